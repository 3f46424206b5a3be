//! `runplan verify` and `runplan restore`: each is a plan of one step, run like any other.

use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::json;

use super::aims::Aims;
use super::archives::shown;
use super::args::{Format, PasswordArgs, PlanArgs, RestoreArgs, VerifyArgs};
use super::exit::{Exit, Failure};
use super::inventory::{self, Place, Role};
use super::of_plan::{self, Access, OfPlan};
use super::output::Terms;
use super::run::{Task, carry_out};
use crate::archive::{Record, read};
use crate::diag::clean;
use crate::event::{Pick, Reader};
use crate::files::{self, Links};
use crate::plan::{self, Input};
use crate::report::{Collector, RunResult, Verbosity};
use crate::run::Aim;
use crate::secret::Secret;
use crate::step::Status;
use crate::steps::REGISTRY;
use crate::value::{Map, Value};

/// The variable that holds the password, unless something else is said.
const VARIABLE: &str = "RUNPLAN_ZIP_PASSWORD";

/// Where the password of an archive comes from.
#[derive(Clone)]
enum Password {
    /// It has none.
    None,
    /// A run fetches it: the source as plans have it.
    Source(serde_json::Value),
    Known(Secret),
}

/// Reads each archive through. The worst of several ends counts.
pub fn verify(args: &VerifyArgs, terms: &Terms) -> Result<Exit, Failure> {
    let found = archives(args, terms)?;
    let mut worst = Exit::Done;
    let mut results = Vec::new();
    let several = found.len() > 1 && args.format == Format::Text;
    // Of several archives, standard output has one table in place of a table each.
    let quiet = Terms { verbosity: if several { Verbosity::Quiet } else { terms.verbosity }, ..*terms };
    for (archive, password) in found {
        let collector = Arc::new(Collector::default());
        let exit = verify_one(&archive, &password, args, &collector, &quiet)?;
        results.push((archive, collector.result(None)));
        worst = if exit.code() > worst.code() { exit } else { worst };
    }
    if several {
        let failed = |e: io::Error| Failure { exit: Exit::State, text: e.to_string(), hint: None };
        terms.print(&verdicts(&results)).map_err(failed)?;
    }
    Ok(worst)
}

fn verify_one(
    archive: &Path,
    password: &Password,
    args: &VerifyArgs,
    collector: &Arc<Collector>,
    terms: &Terms,
) -> Result<Exit, Failure> {
    let (secrets, handed, encrypted) = password.as_plan();
    let plan = json!({
        "version": 1, "name": "verify", "params": { "archive": { "type": "string" } }, "secrets": secrets,
        "steps": [{ "id": "verify", "uses": "verify", "with": with(encrypted, json!({ "write_record": args.write_record })) }],
    });
    let readers: Vec<Arc<dyn Reader>> = vec![Arc::clone(collector) as Arc<dyn Reader>];
    start(&plan, params(archive, None), handed, args.format, readers, terms)
}

/// The archives that are meant, each with its password.
fn archives(args: &VerifyArgs, terms: &Terms) -> Result<Vec<(PathBuf, Password)>, Failure> {
    let mut asked = Asked::default();
    let mut found = Vec::new();
    if let Some(of_plan) = of_plan(&args.plan, terms)? {
        for aim in &of_plan.aims {
            let access = of_plan.access(aim, !args.password.is_given(), false, terms)?;
            let words: Vec<Option<&Path>> = match args.archives.as_slice() {
                [] => vec![None],
                all => all.iter().map(|a| Some(a.as_path())).collect(),
            };
            for word in words {
                let archive = of_plan.archive(aim, word.and_then(Path::to_str), terms)?;
                let password = Password::of(&archive, &args.password, Some(&access), &mut asked)?;
                found.push((archive, password));
            }
        }
        return Ok(found);
    }
    for path in &args.archives {
        for archive in in_folder(path)? {
            let password = Password::of(&archive, &args.password, None, &mut asked)?;
            found.push((archive, password));
        }
    }
    Ok(found)
}

/// The archives in a folder; what is not a folder is meant itself.
fn in_folder(path: &Path) -> Result<Vec<PathBuf>, Failure> {
    if !path.is_dir() {
        return Ok(vec![path.to_path_buf()]);
    }
    let place = Place { role: Role::Original, dir: path.to_path_buf(), depth: 0 };
    let stored = inventory::stored_in(&place)
        .map_err(|e| Failure::usage(format!("the folder `{}` cannot be listed: {e}", path.display())))?;
    match stored.is_empty() {
        true => Err(Failure::usage(format!("there are no archives in the folder `{}`", path.display()))
            .hint("an archive is a file with a record (`<archive>.json`) beside it, or a `.zip` file")),
        false => Ok(stored.into_iter().map(|s| s.path).collect()),
    }
}

/// A table of several archives: what each was found to be.
fn verdicts(results: &[(PathBuf, RunResult)]) -> String {
    let width = results.iter().map(|(archive, _)| shown(archive).chars().count()).max().unwrap_or(0);
    let mut good = 0;
    let mut out = String::new();
    for (archive, result) in results {
        let step = result.steps.first();
        let verdict = match step.filter(|s| s.status == Some(Status::Ok)) {
            Some(step) => {
                good += 1;
                let number = |key: &str| step.outputs.get(key).and_then(serde_json::Value::as_u64).unwrap_or(0);
                format!("good, {} rows of {} tables", number("rows"), number("tables"))
            }
            None => {
                let error = step.and_then(|s| s.error.clone());
                error
                    .or_else(|| result.failure.as_ref().map(|f| f.error.clone()))
                    .unwrap_or_else(|| "not read".to_owned())
            }
        };
        out += &format!("{:<width$}  {}\n", shown(archive), clean(&verdict));
    }
    out + &format!("{good} of {} archives are good\n", results.len())
}

/// Restores an archive into a database.
pub fn restore(args: &RestoreArgs, terms: &Terms) -> Result<Exit, Failure> {
    let mut asked = Asked::default();
    let word = args.archive.as_deref();
    let (archive, password, server) = match of_plan(&args.plan, terms)? {
        Some(of_plan) => {
            let aim = of_plan.one()?;
            let archive = of_plan.archive(aim, word.and_then(Path::to_str), terms)?;
            let access = of_plan.access(aim, !args.password.is_given(), true, terms)?;
            let password = Password::of(&archive, &args.password, Some(&access), &mut asked)?;
            (archive, password, access.server)
        }
        None => {
            let archive = word.map(Path::to_path_buf).unwrap_or_default();
            let password = Password::of(&archive, &args.password, None, &mut asked)?;
            (archive, password, Map::new())
        }
    };
    let (mut secrets, mut handed, encrypted) = password.as_plan();
    let (mut database, of_server) = of_plan::as_plan(&server);
    for (name, secret) in of_server {
        secrets.insert(name.clone(), json!({ "env": name }));
        handed.push((name, secret));
    }
    database.insert("dbname".to_owned(), json!("${{ params.into }}"));
    let mut parameters = json!({
        "create": args.create, "non_empty": args.non_empty, "no_owner": args.no_owner, "jobs": args.jobs,
        "tables": args.tables.iter().map(|t| of_plan::literal(t)).collect::<Vec<_>>(),
        "no_tablespaces": args.no_tablespaces,
    });
    for (name, value) in [("locale", &args.locale), ("program", &args.program)] {
        if let Some(value) = value {
            parameters[name] = of_plan::literal(value).into();
        }
    }
    let plan = json!({
        "version": 1, "name": "restore", "secrets": secrets,
        "params": { "archive": { "type": "string" }, "into": { "type": "string" } },
        "database": database,
        "steps": [{ "id": "restore", "uses": "pg_restore", "with": with(encrypted, parameters) }],
    });
    start(&plan, params(&archive, Some(&args.into)), handed, args.format, Vec::new(), terms)
}

/// The plan that is named, with the targets that are meant.
fn of_plan(args: &PlanArgs, terms: &Terms) -> Result<Option<OfPlan>, Failure> {
    let Some(file) = &args.file else {
        let aim = &args.aim;
        return match aim.param.is_empty() && aim.params_file.is_none() && aim.target.is_empty() {
            true => Ok(None),
            false => Err(Failure::usage("parameters and targets are those of a plan: name it with `--plan`")),
        };
    };
    OfPlan::read(file, &args.aim, terms).map(Some)
}

/// The parameters of the step: the archive, its password, and what else is said.
fn with(password: bool, mut all: serde_json::Value) -> serde_json::Value {
    all["archive"] = "${{ params.archive }}".into();
    if password {
        all["password"] = "${{ secrets.password }}".into();
    }
    all
}

fn params(archive: &Path, into: Option<&str>) -> Map {
    let path = Value::Text(archive.to_string_lossy().into_owned());
    let into = into.map(|name| ("into".to_owned(), Value::from(name)));
    std::iter::once(("archive".to_owned(), path)).chain(into).collect()
}

/// The password that was typed, which is asked for once.
#[derive(Default)]
struct Asked(Option<Secret>);

impl PasswordArgs {
    /// Whether the command line says where the password comes from.
    fn is_given(&self) -> bool {
        self.password_file.is_some() || self.password_env.is_some()
    }
}

impl Password {
    /// Decides where the password of an archive comes from: the command line, the plan, the usual variable, the keyboard.
    ///
    /// # Errors
    /// It is encrypted, and there is nothing to take a password from.
    fn of(archive: &Path, args: &PasswordArgs, plan: Option<&Access>, asked: &mut Asked) -> Result<Self, Failure> {
        // Of one that does not exist the run says so.
        if !archive.exists() {
            return Ok(Self::None);
        }
        let of_plan = plan.and_then(|access| access.password.as_ref());
        // One that was given is used whatever the archive and its record say of themselves.
        match (&args.password_file, &args.password_env, of_plan) {
            (Some(file), ..) => return Ok(Self::Source(json!({ "file": file }))),
            (_, Some(variable), _) => return Ok(Self::Source(json!({ "env": variable }))),
            (.., Some(secret)) if plan.is_some_and(|access| access.encrypts) => return Ok(Self::Known(secret.clone())),
            _ => {}
        }
        if is_clear(archive) {
            return Ok(Self::None);
        }
        if let Some(secret) = of_plan {
            return Ok(Self::Known(secret.clone()));
        }
        if std::env::var_os(VARIABLE).is_some_and(|v| !v.is_empty()) {
            return Ok(Self::Source(json!({ "env": VARIABLE })));
        }
        if asked.0.is_none() && io::stdin().is_terminal() && io::stderr().is_terminal() {
            let typed = rpassword::prompt_password(format!("password of {}: ", archive.display()));
            let typed = typed.map_err(|e| Failure::usage(format!("the password cannot be read: {e}")))?;
            asked.0 = Some(Secret::new(typed).with_origin("the keyboard"));
        }
        match &asked.0 {
            Some(secret) if !secret.is_empty() => Ok(Self::Known(secret.clone())),
            _ => {
                let text = format!("there is no password for `{}`", archive.display());
                let hint = format!("set {VARIABLE}, or use `--plan`, `--password-env` or `--password-file`");
                Err(Failure { exit: Exit::Secret, text, hint: Some(hint) })
            }
        }
    }

    /// The secrets of a plan that has it, the values that are known already, and whether there is one.
    fn as_plan(&self) -> (serde_json::Map<String, serde_json::Value>, Vec<(String, Secret)>, bool) {
        let mut secrets = serde_json::Map::new();
        let mut declare = |source: serde_json::Value| secrets.insert("password".to_owned(), source);
        let handed = match self {
            Self::None => return (secrets, Vec::new(), false),
            Self::Source(source) => {
                declare(source.clone());
                Vec::new()
            }
            Self::Known(secret) => {
                declare(json!({ "env": VARIABLE }));
                vec![("password".to_owned(), secret.clone())]
            }
        };
        (secrets, handed, true)
    }
}

/// Whether an archive is not encrypted, by its record or, where it has none, by itself.
fn is_clear(archive: &Path) -> bool {
    if let Ok(record) = inventory::read_record(&Record::path_of(archive)) {
        return record.encryption == "none";
    }
    let entries = files::open_regular(archive, Links::Follow).ok().and_then(|f| read::Archive::open(f, u64::MAX).ok());
    entries.is_some_and(|a| !a.entries().iter().any(read::Item::encrypted))
}

fn start(
    plan: &serde_json::Value,
    params: Map,
    handed: Vec<(String, Secret)>,
    format: Format,
    readers: Vec<Arc<dyn Reader>>,
    terms: &Terms,
) -> Result<Exit, Failure> {
    let failed = |text: String| Failure { exit: Exit::Failed, text, hint: None };
    let dir = std::env::current_dir().map_err(|e| failed(format!("there is no folder to start in: {e}")))?;
    let name = plan["name"].as_str().unwrap_or_default();
    let input = Input { name: format!("runplan {name}"), dir, text: plan.to_string(), dbname_in_env: true };
    let outcome = plan::check(input, &REGISTRY);
    // A file name that is written like a template is the one thing that can be wrong with it.
    let checked = outcome.checked.ok_or_else(|| Failure::usage("the names given cannot be used in a plan"))?;
    let aims = Aims { all: vec![Aim::whole(checked.clone(), params.clone())], params, ..Aims::default() };
    let (resumed, reports) = (None, Vec::new());
    carry_out(
        Task {
            checked,
            aims,
            pick: Pick::default(),
            handed,
            resumed,
            dry_run: false,
            connect: false,
            format,
            reports,
            readers,
        },
        terms,
    )
}
