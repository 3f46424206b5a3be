//! What templates may read: parameters, environment, secrets, vars, database, target, plan, run, steps, failure.

use std::collections::BTreeSet;
use std::path::Path;

use crate::plan::{self, Plan, StepPlan, When};
use crate::secret::Secret;
use crate::step::{Env, Failure};
use crate::template::{self, Name, Problem, Scope};
use crate::value::{Map, Value};

/// The facts of a run that templates may read from its first moment.
pub struct Ground<'a> {
    pub plan: &'a Plan,
    pub dir: &'a Path,
    pub params: &'a Map,
    pub env: &'a Env,
    pub run: &'a str,
    pub started_at: &'a str,
    pub host: &'a str,
}

/// The scope before anything was fetched or computed.
pub fn ground(ground: &Ground<'_>) -> Scope {
    let mut scope = Scope::default();
    set(&mut scope, "params", Value::Map(ground.params.clone()));
    set_env(&mut scope, ground.plan, ground.env);
    set_plan(&mut scope, ground.plan, ground.dir);
    let run = [("id", ground.run.into()), ("started_at", ground.started_at.into()), ("host", ground.host.into())];
    set(&mut scope, "run", map(run));
    set(&mut scope, "steps", Value::Map(Map::new()));
    scope
}

/// The environment; a variable that a secret reads is one.
pub fn set_env(scope: &mut Scope, plan: &Plan, env: &Env) {
    let hidden: BTreeSet<&str> = plan.secrets.iter().filter_map(|(_, s)| s.env.as_deref()).collect();
    let env = env.iter().map(|(name, value)| {
        let value = if hidden.contains(name.as_str()) {
            Value::Secret(Secret::new(value.clone()))
        } else {
            Value::Text(value.clone())
        };
        (name.clone(), value)
    });
    set(scope, "env", Value::Map(env.collect()));
}

pub fn set_plan(scope: &mut Scope, plan: &Plan, dir: &Path) {
    let dir = dir.to_string_lossy();
    set(scope, "plan", map([("name", plan.name.as_str().into()), ("dir", dir.as_ref().into())]));
}

/// The target that the steps are run for.
pub fn set_target(scope: &mut Scope, name: &str, labels: &Map) {
    set(scope, "target", map([("name", name.into()), ("labels", Value::Map(labels.clone()))]));
}

/// The scope knows where the log is, from here on.
pub fn set_log(scope: &mut Scope, log_dir: Value, log_file: Value) {
    if let Some((_, Value::Map(run))) = scope.roots.iter_mut().find(|(k, _)| k == "run") {
        run.retain(|(k, _)| k != "log_dir" && k != "log_file");
        run.push(("log_dir".to_owned(), log_dir));
        run.push(("log_file".to_owned(), log_file));
    }
}

/// Puts another id and time in place of the run's.
pub fn set_moment(scope: &mut Scope, id: &str, started_at: &str) {
    if let Some((_, Value::Map(run))) = scope.roots.iter_mut().find(|(k, _)| k == "run") {
        run.retain(|(k, _)| k != "id" && k != "started_at");
        run.push(("id".to_owned(), id.into()));
        run.push(("started_at".to_owned(), started_at.into()));
    }
}

/// What a handler may read of the failure; empty texts after a good run.
pub fn set_failure(scope: &mut Scope, failure: Option<&Failure>) {
    let value = failure.map_or_else(
        || map([("kind", "".into()), ("step", "-".into()), ("error", "".into())]),
        |f| map([("kind", f.kind.word().into()), ("step", f.step.as_str().into()), ("error", f.error.as_str().into())]),
    );
    set(scope, "failure", value);
}

/// What later steps may read of a step.
pub fn set_step(scope: &mut Scope, id: &str, status: Value, outputs: Option<Value>) {
    let mut entry = vec![("status".to_owned(), status)];
    entry.extend(outputs.map(|o| ("outputs".to_owned(), o)));
    scope.set_step(id, Value::Map(entry));
}

/// Puts a root in place of the one of that name.
pub fn set(scope: &mut Scope, name: &str, value: Value) {
    scope.roots.retain(|(k, _)| k != name);
    scope.roots.push((name.to_owned(), value));
}

fn map<const N: usize>(entries: [(&str, Value); N]) -> Value {
    Value::Map(entries.into_iter().map(|(k, v)| (k.to_owned(), v)).collect())
}

/// A value that could not be computed.
#[derive(Debug)]
pub struct Broken {
    /// Like `vars.archive`.
    pub place: String,
    pub problem: String,
}

/// Computes the database settings and the vars, each after what it reads. One that cannot be computed is left out of
/// the scope; whoever reads it fails then.
pub fn compute(scope: &mut Scope, plan: &Plan, dir: &Path, env: &Env) -> Vec<Broken> {
    let mut work = Computation { scope, plan, dir, env, done: BTreeSet::new(), held: 0, broken: Vec::new() };
    set(work.scope, "vars", Value::Map(Map::new()));
    work.node(None);
    for name in plan.vars.keys() {
        work.node(Some(name));
    }
    work.broken
}

struct Computation<'a> {
    scope: &'a mut Scope,
    plan: &'a Plan,
    dir: &'a Path,
    env: &'a Env,
    /// Vars by name, and `None` for the database.
    done: BTreeSet<Option<String>>,
    /// What the vars hold.
    held: usize,
    broken: Vec<Broken>,
}

impl Computation<'_> {
    fn node(&mut self, name: Option<&str>) {
        // Marked before its needs are visited: the checker has refused cycles, and one that slipped by must not hang.
        if !self.done.insert(name.map(str::to_owned)) {
            return;
        }
        let plan = self.plan;
        let json = match name {
            None => serde_json::Value::Object(plan.database.clone()),
            Some(name) => plan.vars.get(name).cloned().unwrap_or_default(),
        };
        for read in names(&json) {
            match (read.path.first().map(String::as_str), read.path.get(1)) {
                (Some("vars"), Some(var)) => self.node(Some(var)),
                (Some("database"), _) => self.node(None),
                _ => {}
            }
        }
        let place = name.map_or_else(|| "database".to_owned(), |n| format!("vars.{n}"));
        let result = template::render_json(&json, self.scope).map_err(|(at, p)| said(&at, &p));
        let result = match name {
            None => result.and_then(|v| plan::resolve_database(v, self.env, self.dir)),
            Some(_) => result.and_then(|v| self.fits(v)),
        };
        match (result, name) {
            (Ok(value), None) => set(self.scope, "database", value),
            (Ok(value), Some(name)) => {
                if let Some((_, Value::Map(vars))) = self.scope.roots.iter_mut().find(|(k, _)| k == "vars") {
                    vars.push((name.to_owned(), value));
                }
            }
            (Err(problem), _) => self.broken.push(Broken { place, problem }),
        }
    }

    /// Vars that repeat others would soon fill any memory, bounded as each of them is.
    fn fits(&mut self, value: Value) -> Result<Value, String> {
        let held = self.held.saturating_add(value.size());
        if held > plan::MAX_VARS {
            let problem = "with this one, all vars together become larger than 16 MiB: put what it repeats where it is \
                           read, or into a file";
            return Err(problem.to_owned());
        }
        self.held = held;
        Ok(value)
    }
}

/// A problem with the place of its text below the one that was rendered.
pub fn said(pointer: &str, problem: &Problem) -> String {
    let place = pointer.trim_start_matches('/').replace('/', ".");
    let place = if place.is_empty() { String::new() } else { format!("`{place}`: ") };
    format!("{place}{}", problem.message)
}

/// Every name that the templates in a JSON value read.
pub fn names(json: &serde_json::Value) -> Vec<Name> {
    match json {
        serde_json::Value::String(text) if text.contains("${{") => template::parse(text)
            .map(|t| t.expressions().flat_map(template::Expression::names).collect())
            .unwrap_or_default(),
        serde_json::Value::Array(items) => items.iter().flat_map(names).collect(),
        serde_json::Value::Object(map) => map.values().flat_map(names).collect(),
        _ => Vec::new(),
    }
}

/// Every name that a step reads, its plan's defaults among them.
pub fn step_names(plan: &Plan, step: &StepPlan) -> Vec<Name> {
    let mut all = names(&serde_json::Value::Object(parameters(plan, step)));
    all.extend(step.name.iter().flat_map(|n| names(&n.as_str().into())));
    if let Some(When::Expression(text)) = &step.when {
        all.extend(template::parse_expression(text).map(|e| e.names()).unwrap_or_default());
    }
    all
}

/// A step's parameters with the plan's defaults for its executor under them.
pub fn parameters(plan: &Plan, step: &StepPlan) -> serde_json::Map<String, serde_json::Value> {
    let mut all = step.params.clone();
    for (key, value) in plan.defaults.get(&step.uses).into_iter().flatten() {
        if !all.contains_key(key) {
            all.insert(key.clone(), value.clone());
        }
    }
    all
}

/// Everything outside the steps that templates stand in.
fn frame(plan: &Plan) -> Vec<serde_json::Value> {
    let mut all: Vec<serde_json::Value> = plan.vars.values().cloned().collect();
    all.push(serde_json::Value::Object(plan.database.clone()));
    all.extend(plan.logs.dir.iter().chain(&plan.lock.key).map(|t| t.as_str().into()));
    all.extend(plan.targets.iter().filter_map(|t| t.limit_per.as_ref()).map(|l| l.key.as_str().into()));
    for (_, source) in plan.secrets.iter() {
        all.extend(source.file.iter().chain(source.command.iter().flatten()).map(|t| t.as_str().into()));
    }
    all
}

/// Every list of steps of a plan.
pub fn all_steps(plan: &Plan) -> impl Iterator<Item = &StepPlan> {
    [&plan.steps, &plan.on_failure, &plan.on_success, &plan.finally].into_iter().flatten()
}

/// The environment variables that the plan reads outside its steps, or in these ones, without a default and that are not
/// set, each once. One that a secret reads is reported as that secret.
pub fn missing_env<'p>(plan: &Plan, env: &Env, steps: impl Iterator<Item = &'p StepPlan>) -> Vec<String> {
    let hidden: BTreeSet<&str> = plan.secrets.iter().filter_map(|(_, s)| s.env.as_deref()).collect();
    let reads = frame(plan).iter().flat_map(names).collect::<Vec<_>>().into_iter();
    let reads = reads.chain(steps.flat_map(|s| step_names(plan, s)));
    let missing: BTreeSet<String> = reads
        .filter(|n| n.path.first().is_some_and(|r| r == "env") && !n.defaulted)
        .filter_map(|n| n.path.get(1).cloned())
        .filter(|name| !env.contains_key(name) && !hidden.contains(name.as_str()))
        .collect();
    missing.into_iter().collect()
}

/// The secrets that are read, through vars or straight, by the places in `start`.
pub fn secrets_behind(plan: &Plan, start: Vec<Name>) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut seen = BTreeSet::new();
    let mut queue = start;
    while let Some(name) = queue.pop() {
        match (name.path.first().map(String::as_str), name.path.get(1)) {
            (Some("secrets"), Some(secret)) => {
                found.insert(secret.clone());
            }
            (Some("vars"), Some(var)) if seen.insert(var.clone()) => {
                queue.extend(plan.vars.get(var).map(names).unwrap_or_default());
            }
            _ => {}
        }
    }
    found
}

/// The names behind every database password of the plan: its own and those of its steps.
pub fn password_names(plan: &Plan) -> Vec<Name> {
    let mut all: Vec<Name> = plan.database.get("password").map(names).unwrap_or_default();
    for step in all_steps(plan) {
        let with = parameters(plan, step);
        all.extend(with.get("database").and_then(|d| d.get("password")).map(names).unwrap_or_default());
    }
    all
}
