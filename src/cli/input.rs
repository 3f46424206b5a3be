//! Plans and parameters from files, standard input and the command line.

use std::fs;
use std::io::{self, Read};
use std::path::{Component, Path, PathBuf};

use clap::CommandFactory;

use super::args::Cli;
use super::exit::Failure;
use crate::diag;
use crate::document::Document;
use crate::files;
use crate::plan::{Input, Plan, Target};
use crate::value::{Map, Value};

/// The largest plan that is read, in bytes: far more than anybody writes, far less than memory.
const LIMIT: u64 = 4 << 20;

/// Reads a plan; `-` is standard input.
///
/// # Errors
/// A file that is missing, unreadable, too large or no UTF-8: exit code 2.
pub fn read_plan(path: &Path) -> Result<Input, Failure> {
    let here = here();
    if path == Path::new("-") {
        let text = read(io::stdin().lock()).map_err(|e| Failure::usage(format!("cannot read standard input: {e}")))?;
        return Ok(Input { name: "<stdin>".to_owned(), dir: here, text, dbname_in_env: names_database() });
    }
    let name = path.to_string_lossy().into_owned();
    let cannot = |e: io::Error| {
        if e.kind() == io::ErrorKind::NotFound {
            return absent(path, false);
        }
        let failure = Failure::usage(format!("cannot read the plan `{name}`: {e}"));
        match e.kind() {
            io::ErrorKind::InvalidData => {
                failure.hint(format!("convert it: `iconv -f latin1 -t utf8 {name} > new.yaml`"))
            }
            _ => failure,
        }
    };
    if path.is_dir() {
        return Err(Failure::usage(format!("`{name}` is a folder, not a plan"))
            .hint(format!("name a file in it, or check all of them with `runplan validate {name}`")));
    }
    let text = files::open_input(path).and_then(read).map_err(cannot)?;
    Ok(Input { name, dir: folder_of(path), text, dbname_in_env: names_database() })
}

/// Whether the environment names a database: PGDATABASE, or a service, which has an error of its own.
fn names_database() -> bool {
    ["PGDATABASE", "PGSERVICE"].iter().any(|name| std::env::var_os(name).is_some_and(|value| !value.is_empty()))
}

/// The current folder, which relative paths of the command line and of a plan on standard input belong to.
fn here() -> PathBuf {
    std::env::current_dir().unwrap_or_else(|_| PathBuf::from("."))
}

/// The folder of a file, absolute. A symbolic link stands for itself: its folder is the one it lies in.
fn folder_of(file: &Path) -> PathBuf {
    let full = std::path::absolute(file).unwrap_or_else(|_| here().join(file));
    let dir = full.parent().map_or_else(here, Path::to_path_buf);
    let mut short = PathBuf::new();
    for part in dir.components() {
        match part {
            Component::ParentDir => drop(short.pop()),
            part => short.push(part),
        }
    }
    // Behind a link `..` leads elsewhere.
    let same = |a: &Path, b: &Path| fs::canonicalize(a).ok().zip(fs::canonicalize(b).ok()).is_some_and(|(a, b)| a == b);
    if same(&short, &dir) { short } else { dir }
}

fn read(from: impl Read) -> io::Result<String> {
    let bytes = files::read_limited(from, LIMIT)?;
    String::from_utf8(bytes).map_err(|e| files::not_utf8(&e))
}

/// Whether the first word of a command line is neither a file nor like one.
pub fn is_no_file(path: &Path) -> bool {
    path.components().count() == 1 && path.extension().is_none() && path != Path::new("-") && !path.exists()
}

/// Says that a plan is not there, or neither a plan nor a command where either could stand.
pub fn absent(path: &Path, or_command: bool) -> Failure {
    let name = path.to_string_lossy();
    let failure = Failure::usage(match or_command {
        true => format!("there is no command and no file `{name}`"),
        false => format!("there is no plan `{name}`"),
    });
    match near(path) {
        Some(near) => failure.hint(format!("did you mean `{near}`?")),
        None if or_command => failure.hint("`runplan --help` lists the commands"),
        None => failure,
    }
}

/// The name beside a missing file, or of a command, that is nearest to what was typed.
fn near(path: &Path) -> Option<String> {
    let word = path.file_name()?.to_str()?;
    let dir = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let names: Vec<String> = fs::read_dir(dir)
        .map(|entries| entries.filter_map(|e| e.ok()?.file_name().into_string().ok()).collect())
        .unwrap_or_default();
    if let Some(name) = diag::nearest(word, names.iter().map(String::as_str)) {
        return Some(path.with_file_name(name).to_string_lossy().into_owned());
    }
    if word == "version" {
        return Some("runplan --version".to_owned());
    }
    let cli = Cli::command();
    let commands = cli.get_subcommands().map(clap::Command::get_name).chain(["help"]);
    diag::nearest(word, commands).map(|c| format!("runplan {c}"))
}

/// The values of a plan's parameters that were given by hand: those of the file, over them `-p`.
pub struct Given(Map);

impl Given {
    /// Reads them.
    ///
    /// # Errors
    /// Unknown names, values that do not fit: exit code 2, all of them at once, with what is missing.
    pub fn read(plan: &Plan, given: &[String], file: Option<&Path>) -> Result<Self, Failure> {
        let (values, problems) = given_params(plan, given, file)?;
        Self(values).whole(plan, problems)
    }

    /// Takes those of an earlier run: of all its values those with these names.
    ///
    /// # Errors
    /// Names and values that the plan does not take any more: exit code 2, all of them at once, with what is missing.
    pub fn again(plan: &Plan, all: &serde_json::Value, names: &[String]) -> Result<Self, Failure> {
        let (mut values, mut problems) = (Map::new(), Vec::new());
        for name in names {
            let read = |json| plan.params.get(name).ok_or_else(|| unknown(plan, name)).and_then(|p| p.accept(json));
            match all.get(name).map(read) {
                Some(Ok(value)) => values.push((name.clone(), value)),
                Some(Err(problem)) => problems.push(format!("parameter `{name}`, as the run had it: {problem}")),
                None => problems.push(format!("parameter `{name}`: the journal of the run does not have its value")),
            }
        }
        Self(values).whole(plan, problems)
    }

    /// The names.
    pub fn names(&self) -> Vec<String> {
        self.0.iter().map(|(name, _)| name.clone()).collect()
    }

    /// The same, unless there are problems, or values are missing.
    fn whole(self, plan: &Plan, mut problems: Vec<String>) -> Result<Self, Failure> {
        let given = self;
        if plan.targets.is_none() {
            for name in given.over(plan, None).1 {
                // Said once: a value that was refused is not also missing.
                if !problems.iter().any(|p| p.starts_with(&format!("parameter `{name}`"))) {
                    problems.push(format!("parameter `{name}` is required: write `-p {name}=VALUE`"));
                }
            }
        }
        if problems.is_empty() { Ok(given) } else { Err(refused(&problems)) }
    }

    /// The values over those of the target, and these over the defaults; beside them the names that have no value.
    pub fn over(&self, plan: &Plan, target: Option<&Target>) -> (Map, Vec<String>) {
        let (mut all, mut missing) = (Map::new(), Vec::new());
        for (name, param) in plan.params.iter() {
            let given = self.0.iter().find(|(n, _)| n == name).map(|(_, value)| value.clone());
            let of_target = || target.and_then(|t| t.params.get(name)).map(Value::from);
            match given.or_else(of_target).or_else(|| param.default.as_ref().map(Value::from)) {
                Some(value) => all.push((name.to_owned(), value)),
                None => missing.push(name.to_owned()),
            }
        }
        (all, missing)
    }
}

/// The values of some of a plan's parameters, with the defaults of the others, for whoever looks for past runs: those that
/// were given, and all that are known.
///
/// # Errors
/// Unknown names and values that do not fit.
pub fn some_params(plan: &Plan, given: &[String]) -> Result<(Map, Map), Failure> {
    let (values, problems) = given_params(plan, given, None)?;
    if !problems.is_empty() {
        return Err(refused(&problems));
    }
    let others = plan.params.iter().filter(|(name, _)| !values.iter().any(|(n, _)| n == name));
    let defaults = others.filter_map(|(name, p)| Some((name.to_owned(), Value::from(p.default.as_ref()?))));
    let all = values.iter().cloned().chain(defaults).collect();
    Ok((values, all))
}

fn refused(problems: &[String]) -> Failure {
    Failure::usage(problems.join("\nerror: "))
}

/// The values that were given, with what is wrong with them.
fn given_params(plan: &Plan, given: &[String], file: Option<&Path>) -> Result<(Map, Vec<String>), Failure> {
    let here = here();
    let mut problems = Vec::new();
    let mut values = Map::new();
    let mut set = |name: &str, value: Result<Value, String>, from: &str| match value {
        Ok(value) => {
            values.retain(|(n, _): &(String, Value)| n != name);
            values.push((name.to_owned(), value));
        }
        Err(problem) => problems.push(format!("parameter `{name}`{from}: {problem}")),
    };
    if let Some(path) = file {
        let from = format!(" in `{}`", path.display());
        let dir = folder_of(path);
        for (name, json) in read_params_file(path)? {
            let value = plan.params.get(&name).map_or_else(|| Err(unknown(plan, &name)), |p| p.read(json, &dir));
            set(&name, value, &from);
        }
    }
    for text in given {
        let Some((name, value)) = text.split_once('=') else {
            return Err(Failure::usage(format!("`-p {text}` has no `=`: write `-p name=value`")));
        };
        let value = plan.params.get(name).map_or_else(|| Err(unknown(plan, name)), |p| p.read_text(value, &here));
        set(name, value, "");
    }
    Ok((values, problems))
}

fn unknown(plan: &Plan, name: &str) -> String {
    match diag::nearest(name, plan.params.names()) {
        Some(near) => format!("the plan `{}` declares no such parameter; did you mean `{near}`?", plan.name),
        None => format!("the plan `{}` declares no such parameter{}", plan.name, declared(plan)),
    }
}

fn declared(plan: &Plan) -> String {
    let names: Vec<String> = plan.params.names().map(|n| format!("`{n}`")).collect();
    if names.is_empty() { " (it declares none)".to_owned() } else { format!("; it declares {}", names.join(", ")) }
}

fn read_params_file(path: &Path) -> Result<Vec<(String, serde_json::Value)>, Failure> {
    let name = path.to_string_lossy().into_owned();
    let text = files::open_input(path).and_then(read);
    let text = text.map_err(|e| Failure::usage(format!("cannot read the parameters file `{name}`: {e}")))?;
    let mut sources = diag::Sources::default();
    let source = sources.add(name.clone(), text.clone());
    let (document, findings) = Document::parse(source, &text);
    let errors: Vec<_> = findings.into_iter().filter(|f| f.severity == diag::Severity::Error).collect();
    if !errors.is_empty() {
        let shown = diag::render(&sources, &errors, false);
        return Err(Failure::usage(format!("the parameters file `{name}` cannot be read\n{}", shown.trim_end())));
    }
    match document.map(|d| d.root.to_json()) {
        Some(serde_json::Value::Object(map)) => Ok(map.into_iter().collect()),
        _ => Err(Failure::usage(format!("the parameters file `{name}` is no map: write `name: value` lines"))),
    }
}
