//! `runplan verify` and `runplan restore`: each is a plan of one step, run like any other.

use std::path::Path;

use serde_json::json;

use super::aims::Aims;
use super::args::{Format, PasswordArgs, RestoreArgs, VerifyArgs};
use super::exit::{Exit, Failure};
use super::output::Terms;
use super::run::{Task, carry_out};
use crate::archive::{LIMIT, Record};
use crate::event::Pick;
use crate::plan::{self, Input};
use crate::run::Aim;
use crate::steps::REGISTRY;
use crate::value::{Map, Value};

/// Reads each archive through. The worst of several ends counts.
pub fn verify(args: &VerifyArgs, terms: &Terms) -> Result<Exit, Failure> {
    let mut worst = Exit::Done;
    for archive in &args.archives {
        let (secrets, password) = password(archive, &args.password);
        let plan = json!({
            "version": 1, "name": "verify", "params": { "archive": { "type": "string" } }, "secrets": secrets,
            "steps": [{ "id": "verify", "uses": "verify", "with": with(password, json!({})) }],
        });
        let exit = start(&plan, params(archive, None), args.format, terms)?;
        worst = if exit.code() > worst.code() { exit } else { worst };
    }
    Ok(worst)
}

/// Restores an archive into a database.
pub fn restore(args: &RestoreArgs, terms: &Terms) -> Result<Exit, Failure> {
    let (secrets, password) = password(&args.archive, &args.password);
    let parameters =
        json!({ "create": args.create, "non_empty": args.non_empty, "no_owner": args.no_owner, "jobs": args.jobs });
    let plan = json!({
        "version": 1, "name": "restore", "secrets": secrets,
        "params": { "archive": { "type": "string" }, "into": { "type": "string" } },
        "database": { "dbname": "${{ params.into }}" },
        "steps": [{ "id": "restore", "uses": "pg_restore", "with": with(password, parameters) }],
    });
    start(&plan, params(&args.archive, Some(&args.into)), args.format, terms)
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

/// Where the password comes from, and whether one is needed: an archive whose record says that it is not encrypted has
/// none.
fn password(archive: &Path, args: &PasswordArgs) -> (serde_json::Value, bool) {
    let mut text = Vec::new();
    let read = std::fs::File::open(Record::path_of(archive));
    let read = read.and_then(|f| std::io::Read::read_to_end(&mut std::io::Read::take(f, LIMIT), &mut text));
    if read.is_ok() && Record::parse(&text).is_ok_and(|r| r.encryption == "none") {
        return (json!({}), false);
    }
    let source = match (&args.password_file, &args.password_env) {
        (Some(file), _) => json!({ "file": file }),
        (None, variable) => json!({ "env": variable }),
    };
    (json!({ "password": source }), true)
}

fn start(plan: &serde_json::Value, params: Map, format: Format, terms: &Terms) -> Result<Exit, Failure> {
    let failed = |text: String| Failure { exit: Exit::Failed, text, hint: None };
    let dir = std::env::current_dir().map_err(|e| failed(format!("there is no folder to start in: {e}")))?;
    let name = plan["name"].as_str().unwrap_or_default();
    let input = Input { name: format!("runplan {name}"), dir, text: plan.to_string() };
    let outcome = plan::check(input, &REGISTRY);
    // A file name that is written like a template is the one thing that can be wrong with it.
    let checked = outcome.checked.ok_or_else(|| Failure::usage("the names given cannot be used in a plan"))?;
    let aims = Aims { all: vec![Aim::whole(checked.clone(), params.clone())], params, ..Aims::default() };
    let (resumed, reports, readers) = (None, Vec::new(), Vec::new());
    carry_out(Task { checked, aims, pick: Pick::default(), resumed, dry_run: false, format, reports, readers }, terms)
}
