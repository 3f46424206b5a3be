//! Where the logs of a plan's runs lie.

use std::path::PathBuf;

use super::scope;
use crate::files;
use crate::plan::{self, Checked};
use crate::step::Env;
use crate::template::{self, Scope};
use crate::value::{Map, Value};

/// The folder that `logs.dir` names, else the one in the user's state folder; absolute.
pub fn of_logs(checked: &Checked, scope: &Scope, env: &Env) -> PathBuf {
    absolute(given(checked, scope, env).ok().flatten().unwrap_or_else(|| default_logs(env)))
}

/// The folder of logs of every plan that names none.
pub fn default_logs(env: &Env) -> PathBuf {
    files::state_dir(env).join("logs")
}

fn absolute(dir: PathBuf) -> PathBuf {
    std::path::absolute(&dir).unwrap_or(dir)
}

/// What `logs.dir` gives, seen from the folder of the plan; none where the plan names no folder.
fn given(checked: &Checked, scope: &Scope, env: &Env) -> Result<Option<PathBuf>, String> {
    let plan = checked.plan();
    let Some(text) = &plan.logs.dir else { return Ok(None) };
    let mut scope = scope.clone();
    // What the folder's name needs of secrets is refused by the checker; the rest is computed for it alone.
    scope::set(&mut scope, "secrets", Value::Map(Map::new()));
    scope::compute(&mut scope, plan, checked.dir(), env);
    let parsed = template::parse(text).map_err(|problems| problems[0].message.clone())?;
    match parsed.render(&scope).map_err(|p| p.message)? {
        Value::Text(dir) if !dir.is_empty() => plan::absolute(checked.dir(), &dir).map(|d| Some(PathBuf::from(d))),
        _ => Ok(None),
    }
}

/// The folder that holds a folder for each run of the plan, for whoever looks for past ones. Of the parameters those that
/// are known suffice, if `logs.dir` reads no other.
///
/// # Errors
/// `logs.dir` cannot be told without a run.
pub fn folder_of_runs(checked: &Checked, params: &Map, env: &Env, host: &str) -> Result<PathBuf, String> {
    let plan = checked.plan();
    let ground = |run: &str, started_at: &str| {
        scope::ground(&scope::Ground { plan, dir: checked.dir(), params, env, run, started_at, host })
    };
    let dir = given(checked, &ground("20000101T000000Z-0000", "2000-01-01T00:00:00Z"), env)?;
    if dir != given(checked, &ground("20010203T040506Z-ffff", "2001-02-03T04:05:06Z"), env)? {
        return Err("it is another folder for each run".to_owned());
    }
    let dir = dir.unwrap_or_else(|| default_logs(env));
    Ok(absolute(dir).join(&plan.name))
}
