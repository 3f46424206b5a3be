//! What `runplan verify --plan` and `runplan restore --plan` take from a plan: the archive, its password, the server.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde_json::json;

use super::aims::{Aims, aims};
use super::archives::shown;
use super::args::AimArgs;
use super::exit::{Exit, Failure};
use super::inventory::{Archive, Inventory, Places, Wanted};
use super::output::Terms;
use super::run::{environment, host, on_runtime, request};
use super::{input, past};
use crate::diag;
use crate::event::Pick;
use crate::plan::{self, Checked, StepPlan};
use crate::run::{self, Aim, Outlook, Revealed};
use crate::secret::Secret;
use crate::steps::REGISTRY;
use crate::value::{Map, Value};

/// The word for the newest archive.
const LATEST: &str = "latest";

/// A plan that was checked, with the targets that are meant.
pub struct OfPlan {
    pub checked: Checked,
    pub aims: Vec<Aim>,
    file: PathBuf,
}

/// What opens an archive of the plan, and the server that it came from.
pub struct Access {
    /// The password; none when the plan does not encrypt.
    pub password: Option<Secret>,
    /// Every step of the plan that makes archives encrypts them.
    pub encrypts: bool,
    /// The database settings of the plan, without the name of the database: keys and values.
    pub server: Map,
}

impl OfPlan {
    /// Reads the plan.
    ///
    /// # Errors
    /// It cannot be read or is not valid; a parameter or target that does not exist.
    pub fn read(file: &Path, args: &AimArgs, terms: &Terms) -> Result<Self, Failure> {
        let outcome = plan::check(input::read_plan(file)?, &REGISTRY);
        let Some(checked) = outcome.checked else {
            terms.say(&diag::render(&outcome.sources, &outcome.findings, terms.err.color));
            let text = format!("the plan `{}` is not valid", file.display());
            return Err(Failure { exit: Exit::Invalid, text, hint: None });
        };
        let Aims { all, .. } = aims(&checked, args, &environment())?;
        Ok(Self { checked, aims: all, file: file.to_path_buf() })
    }

    /// The one target that is meant.
    ///
    /// # Errors
    /// The plan has several.
    pub fn one(&self) -> Result<&Aim, Failure> {
        match self.aims.as_slice() {
            [aim] => Ok(aim),
            all => {
                let names: Vec<&str> = all.iter().take(5).filter_map(|a| a.target.as_deref()).collect();
                let text = format!("the plan `{}` has {} targets", self.checked.plan().name, all.len());
                Err(Failure::usage(text).hint(format!("pick one with `--target`, like {}", names.join(", "))))
            }
        }
    }

    /// The archives of a target, and where they were looked for.
    pub fn inventory(&self, aim: &Aim) -> (Inventory, Places) {
        let places = Places::of(&Outlook::new(aim, &REGISTRY, &environment(), &host()));
        let mut inventory = Inventory::default();
        inventory.add(&self.wanted(aim, &places), &places.all);
        (inventory, places)
    }

    /// Whose archives are meant.
    pub fn wanted(&self, aim: &Aim, places: &Places) -> Wanted {
        let plan = self.checked.plan().name.clone();
        Wanted { plan, target: aim.target.clone(), databases: places.databases.clone() }
    }

    /// The archive that a word means: `latest`, the path of a file, its name in a folder of the plan, or the beginning of
    /// the id of its run.
    ///
    /// # Errors
    /// There is none, or more than one.
    pub fn archive(&self, aim: &Aim, word: Option<&str>, terms: &Terms) -> Result<PathBuf, Failure> {
        let word = word.unwrap_or(LATEST);
        if word != LATEST && Path::new(word).exists() {
            return Ok(PathBuf::from(word));
        }
        let (inventory, places) = self.inventory(aim);
        // What is not taken although it is of this plan by its record.
        for (path, why) in inventory.others.iter().filter(|(_, why)| why.contains(" belongs to user id ")) {
            terms.say(&format!("warning: not counted: `{}`: {}\n", shown(path), diag::clean(why)));
        }
        let named = |a: &&Archive| {
            let of_name = |p: &&super::inventory::Stored| p.path.file_name().is_some_and(|n| n == word);
            word == LATEST || a.record.run.starts_with(word) || a.places.iter().find(of_name).is_some()
        };
        let found: Vec<&Archive> = inventory.archives.iter().filter(named).collect();
        let path = |archive: &Archive| archive.places.first().map(|p| p.path.clone());
        match found.as_slice() {
            [first, ..] if word == LATEST => path(first).ok_or_else(|| self.none(aim, word, &inventory, &places)),
            [one] => path(one).ok_or_else(|| self.none(aim, word, &inventory, &places)),
            [] => Err(self.none(aim, word, &inventory, &places)),
            all => {
                let runs: Vec<String> = all.iter().take(5).map(|a| format!("`{}`", a.record.run)).collect();
                let failure = Failure::usage(format!("{} archives are meant by `{word}`", all.len()));
                Err(failure.hint(format!("write more of one of {}", runs.join(", "))))
            }
        }
    }

    fn none(&self, aim: &Aim, word: &str, inventory: &Inventory, places: &Places) -> Failure {
        let plan = &self.checked.plan().name;
        let of = aim.target.as_ref().map(|t| format!(", target `{t}`")).unwrap_or_default();
        let dirs: Vec<String> = places.all.iter().map(|p| format!("`{}`", p.dir.display())).collect();
        let looked = match dirs.as_slice() {
            [] => "the plan does not say before a run where its archives are".to_owned(),
            dirs => format!("looked in {}", dirs.join(", ")),
        };
        let what = if word == LATEST { "an archive".to_owned() } else { format!("an archive `{word}`") };
        let text = format!("there is not {what} of the plan `{plan}`{of}: {looked}");
        let failure = Failure { exit: Exit::Failed, text, hint: None };
        match (inventory.unread.first(), inventory.others.first()) {
            (Some((dir, why)), _) => failure.hint(format!("`{}` cannot be listed: {why}", dir.display())),
            (_, Some((path, why))) => failure.hint(format!("`{}` is there, but {why}", path.display())),
            _ if word == LATEST => failure.hint("run the plan first, or name the archive"),
            _ => failure
                .hint(format!("`runplan archives {}` lists them", past::shell_word(&self.file.to_string_lossy()))),
        }
    }

    /// Fetches what opens the archives of a target, as a run does. `with_server` fetches the login to its server too.
    ///
    /// # Errors
    /// A secret is missing.
    pub fn access(&self, aim: &Aim, with_password: bool, with_server: bool, terms: &Terms) -> Result<Access, Failure> {
        let plan = aim.checked.plan();
        let dump = plan.steps.iter().find(|s| s.uses == "pg_dump");
        let archiver = dump.or_else(|| plan.steps.iter().find(|s| s.uses == "zip"));
        let parameter = |step: Option<&StepPlan>, key: &str| {
            let step = step?;
            let own = step.params.get(key);
            own.or_else(|| plan.defaults.get(&step.uses)?.get(key)).cloned()
        };
        let archive = parameter(archiver, "archive").unwrap_or_default();
        let mut archivers = plan.steps.iter().filter(|s| matches!(s.uses.as_str(), "pg_dump" | "zip"));
        let encrypts = archivers.all(|step| {
            let archive = parameter(Some(step), "archive").unwrap_or_default();
            let clear = archive.get("encryption").is_some_and(|e| e != "aes256");
            !clear && archive.get("password").is_some() && parameter(Some(step), "file").is_none()
        });
        let password = archive.get("password").filter(|_| with_password).cloned().unwrap_or_default();
        let mut server = plan.database.clone();
        if let Some(serde_json::Value::Object(own)) = parameter(dump, "database") {
            server.extend(own);
        }
        server.remove("dbname");
        if !with_server {
            server.clear();
        }
        let names: BTreeSet<String> = [&password].into_iter().flat_map(run::secret_names).collect();
        let wanted = [password, server.into()];
        let aims = Aims { all: vec![aim.clone()], params: aim.params.clone(), ..Aims::default() };
        let request = request(self.checked.clone(), aims, Pick::default(), Vec::new());
        let found = on_runtime(request, async |request| run::reveal(&request, aim, &wanted).await)?;
        let Revealed { values, warnings } = found.map_err(|problems| {
            let hint = "set what is missing, or say where the password comes from: `--password-env`, `--password-file`";
            Failure { exit: Exit::Secret, text: problems.join("; "), hint: Some(hint.to_owned()) }
        })?;
        warnings.iter().for_each(|w| terms.say(&format!("warning: {w}\n")));
        let mut values = values.into_iter();
        let password = match values.next() {
            Some(Value::Secret(secret)) => {
                let of = names.iter().map(|n| format!("secret `{n}`")).collect::<Vec<_>>().join(", ");
                let origin = match secret.origin() {
                    Some(origin) => format!("{origin}, {of} of the plan"),
                    None => format!("{of} of the plan"),
                };
                Some(secret.with_origin(&origin))
            }
            Some(Value::Text(text)) => Some(Secret::new(text).with_origin("the plan")),
            _ => None,
        };
        let server = match values.next() {
            Some(Value::Map(map)) => map,
            _ => Map::new(),
        };
        Ok(Access { password, encrypts, server })
    }
}

/// A text as plans have it that is not a template.
pub fn literal(text: &str) -> String {
    text.replace("${{", "${{ \"${{\" }}")
}

/// Settings of a server as a plan has them, and the secrets in them by name.
pub fn as_plan(server: &Map) -> (serde_json::Map<String, serde_json::Value>, Vec<(String, Secret)>) {
    let (mut settings, mut handed) = (serde_json::Map::new(), Vec::new());
    for (key, value) in server {
        let json = match value {
            Value::Secret(secret) => {
                let name = format!("server_{key}");
                handed.push((name.clone(), secret.clone()));
                json!(format!("${{{{ secrets.{name} }}}}"))
            }
            Value::Text(text) => json!(literal(text)),
            other => other.to_json(),
        };
        settings.insert(key.clone(), json);
    }
    (settings, handed)
}
