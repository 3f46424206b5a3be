//! A plan seen from outside of a run, by commands that look for what its runs made: the parameters of each step as far as
//! they are known before a run, and single values with the plan's secrets in them.

use super::secrets::Secrets;
use super::{Aim, Request, paths, scope};
use crate::secret::Secret;
use crate::step::{Env, Registry};
use crate::template::{self, Scope};
use crate::value::{Map, Value};

/// A plan for one target, before a run.
#[derive(Debug, Clone)]
pub struct Outlook {
    pub target: Option<String>,
    /// Every step, handlers too.
    pub steps: Vec<StepOutlook>,
}

/// A step before a run.
#[derive(Debug, Clone)]
pub struct StepOutlook {
    pub uses: String,
    /// Its parameters in one run and in another: what differs is not the same in every run, what only a run knows is
    /// unknown.
    pub with: [Value; 2],
    /// The name of its database, where the plan or PGDATABASE names one.
    pub database: Option<String>,
}

/// Two runs far apart, whose ids and times have nothing in common.
const MOMENTS: [(&str, &str); 2] =
    [("20000101T000000Z-0000", "2000-01-01T00:00:00Z"), ("21112223T112233Z-ffff", "2111-12-23T11:22:33Z")];

impl Outlook {
    /// What the plan means for a target. `host` is the name of this machine.
    pub fn new(aim: &Aim, registry: &Registry, env: &Env, host: &str) -> Self {
        let scopes = MOMENTS.map(|(run, started_at)| outside(aim, env, host, run, started_at));
        let plan = aim.checked.plan();
        let block = as_known(&plan.database.clone().into(), &scopes[0]);
        let written = block.get("dbname").and_then(Value::as_text).map(str::to_owned);
        let of_plan = written.or_else(|| env.get("PGDATABASE").filter(|name| !name.is_empty()).cloned());
        let steps = scope::all_steps(plan).map(|step| {
            let json = serde_json::Value::Object(scope::parameters(plan, step));
            let with = [&scopes[0], &scopes[1]].map(|scope| {
                let mut with = as_known(&json, scope);
                // What only a shell expands has its finding.
                let entry = registry.get(&step.uses);
                let _ = entry.map(|entry| paths::anchor(entry, &mut with, aim.checked.dir()));
                with
            });
            let own = with[0].get("database").and_then(|d| d.get("dbname")).and_then(Value::as_text);
            let database = own.map(str::to_owned).or_else(|| of_plan.clone());
            StepOutlook { uses: step.uses.clone(), with, database }
        });
        Self { target: aim.target.clone(), steps: steps.collect() }
    }
}

/// The scope of a run that has not begun: its secrets are sealed, and what its steps give is unknown.
fn outside(aim: &Aim, env: &Env, host: &str, run: &str, started_at: &str) -> Scope {
    let (plan, dir, params) = (aim.checked.plan(), aim.checked.dir(), &aim.params);
    let mut scope = scope::ground(&scope::Ground { plan, dir, params, env, run, started_at, host });
    if let Some(target) = &aim.target {
        scope::set_target(&mut scope, target, &aim.labels);
    }
    scope::set_log(&mut scope, Value::Unknown, Value::Unknown);
    scope::set(&mut scope, "steps", Value::Unknown);
    let sealed = |name: &str| (name.to_owned(), Value::Secret(Secret::sealed()));
    scope::set(&mut scope, "secrets", Value::Map(plan.secrets.names().map(sealed).collect()));
    scope::compute(&mut scope, plan, dir, env);
    scope
}

/// The values as far as they are known.
fn as_known(json: &serde_json::Value, scope: &Scope) -> Value {
    match json {
        serde_json::Value::Object(map) => {
            Value::Map(map.iter().map(|(key, value)| (key.clone(), as_known(value, scope))).collect())
        }
        serde_json::Value::Array(items) => Value::List(items.iter().map(|item| as_known(item, scope)).collect()),
        _ => template::render_json(json, scope).unwrap_or(Value::Unknown),
    }
}

/// Values of a plan, with its secrets in them.
#[derive(Debug)]
pub struct Revealed {
    pub values: Vec<Value>,
    /// What is doubtful about the secrets, a line each.
    pub warnings: Vec<String>,
}

/// The names of the secrets that templates in a value read by themselves.
pub fn secret_names(json: &serde_json::Value) -> Vec<String> {
    let names = scope::names(json).into_iter();
    names.filter(|n| n.path.first().is_some_and(|r| r == "secrets")).filter_map(|n| n.path.into_iter().nth(1)).collect()
}

/// Fetches the secrets behind the templates in `wanted`, as a run does, and renders these.
///
/// # Errors
/// Every secret that is missing, a line each; a value that cannot be computed.
pub async fn reveal(request: &Request, aim: &Aim, wanted: &[serde_json::Value]) -> Result<Revealed, Vec<String>> {
    let plan = aim.checked.plan();
    let (run, started_at) = MOMENTS[0];
    let mut scope = outside(aim, &request.env, &request.host, run, started_at);
    let names = scope::secrets_behind(plan, wanted.iter().flat_map(scope::names).collect());
    let fetched = Secrets::new(request).fetch_named(aim, &scope, &names).await;
    if !fetched.problems.is_empty() {
        return Err(fetched.problems.into_iter().map(|missing| missing.problem).collect());
    }
    let sealed = plan.secrets.names().filter(|name| !names.contains(*name));
    let sealed: Map = sealed.map(|name| (name.to_owned(), Value::Secret(Secret::sealed()))).collect();
    scope::set(&mut scope, "secrets", Value::Map(fetched.values.into_iter().chain(sealed).collect()));
    scope::compute(&mut scope, plan, aim.checked.dir(), &request.env);
    let render = |json| template::render_json(json, &scope).map_err(|(at, p)| vec![scope::said(&at, &p)]);
    let values = wanted.iter().map(render).collect::<Result<_, _>>()?;
    Ok(Revealed { values, warnings: fetched.warnings })
}
