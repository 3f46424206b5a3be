//! Secrets and variables that are missing: those that a step reads keep the run from its first step; those that only
//! handlers read are a warning, since a backup matters more than the mail about it.

use std::collections::BTreeSet;

use super::preflight::lists;
use super::{scope, step_ref};
use crate::event::Section;
use crate::plan::{Plan, StepPlan};
use crate::step::Env;
use crate::template::Name;

/// A secret that is missing or empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MissingSecret {
    pub name: String,
    /// The secret and why it is missing; never its value.
    pub problem: String,
}

/// What is missing, by who reads it.
#[derive(Debug, Default)]
pub struct Missing {
    /// What a step reads, or the plan before its steps: it keeps the run from its first step.
    pub by_steps: Vec<String>,
    /// What only handlers read, as warnings that name them.
    pub by_handlers: Vec<String>,
    /// The secrets among the latter.
    pub secrets: Vec<MissingSecret>,
    /// What nothing reads.
    pub by_nobody: Vec<String>,
}

impl Missing {
    /// Sorts the secrets that are missing and the environment variables that are not set by who reads them.
    pub fn of(plan: &Plan, secrets: &[MissingSecret], env: &Env) -> Self {
        let mut missing = Self::default();
        let needed = scope::secrets_behind(plan, before_steps(plan).chain(of_steps(plan)).collect());
        for secret in secrets {
            let reads = |step: &StepPlan| scope::secrets_behind(plan, scope::step_names(plan, step));
            let readers = handlers(plan, &|step| reads(step).contains(&secret.name));
            match (needed.contains(&secret.name), readers.is_empty()) {
                (true, _) => missing.by_steps.push(secret.problem.clone()),
                (false, false) => {
                    missing.by_handlers.push(untold(&secret.problem, &readers));
                    missing.secrets.push(secret.clone());
                }
                (false, true) => missing.by_nobody.push(format!("{}; nothing reads it", secret.problem)),
            }
        }
        let of = |name: &str, step: &StepPlan| scope::step_names(plan, step).iter().any(|n| n.path == ["env", name]);
        let elsewhere = scope::missing_env(plan, env, plan.steps.iter());
        for name in scope::missing_env(plan, env, scope::all_steps(plan)) {
            let problem = format!("the environment variable `{name}` is not set");
            match elsewhere.contains(&name) {
                true => missing.by_steps.push(problem),
                false => missing.by_handlers.push(untold(&problem, &handlers(plan, &|step| of(&name, step)))),
            }
        }
        missing
    }

    /// Whether a value of the plan that cannot be computed is one that reads such a secret, and so fails only its handler.
    pub fn excuses(&self, plan: &Plan, broken: &scope::Broken) -> bool {
        let Some(json) = broken.place.strip_prefix("vars.").and_then(|name| plan.vars.get(name)) else { return false };
        let read = scope::secrets_behind(plan, scope::names(json));
        self.secrets.iter().any(|s| read.contains(&s.name))
    }
}

/// What is missing of the secrets that a step reads.
pub fn of_step(plan: &Plan, step: &StepPlan, missing: &[MissingSecret]) -> Option<String> {
    let read = scope::secrets_behind(plan, scope::step_names(plan, step));
    let problems: Vec<&str> = missing.iter().filter(|m| read.contains(&m.name)).map(|m| m.problem.as_str()).collect();
    (!problems.is_empty()).then(|| problems.join("; "))
}

/// What is read before the first step, whatever the steps are.
fn before_steps(plan: &Plan) -> impl Iterator<Item = Name> {
    let mut all = vec![serde_json::Value::Object(plan.database.clone())];
    all.extend(plan.logs.dir.iter().chain(&plan.lock.key).map(|t| t.as_str().into()));
    all.extend(plan.targets.iter().filter_map(|t| t.limit_per.as_ref()).map(|l| l.key.as_str().into()));
    all.into_iter().flat_map(|json: serde_json::Value| scope::names(&json)).collect::<Vec<_>>().into_iter()
}

fn of_steps(plan: &Plan) -> impl Iterator<Item = Name> {
    plan.steps.iter().flat_map(|step| scope::step_names(plan, step))
}

/// The handlers of which that is so, like `on_failure: alert`.
fn handlers(plan: &Plan, is: &dyn Fn(&StepPlan) -> bool) -> BTreeSet<String> {
    let sections = lists(plan).into_iter().filter(|(section, _)| *section != Section::Steps);
    let all = sections.flat_map(|(section, list)| list.iter().enumerate().map(move |(at, step)| (section, at, step)));
    let label = |section: Section, at, step| {
        let label = step_ref(section, at, step, None).label;
        if label.starts_with(section.key()) { label } else { format!("{}: {label}", section.key()) }
    };
    all.filter(|(_, _, step)| is(step)).map(|(section, at, step)| label(section, at, step)).collect()
}

fn untold(problem: &str, readers: &BTreeSet<String>) -> String {
    let readers: Vec<String> = readers.iter().map(|r| format!("`{r}`")).collect();
    format!("nobody can be told: {problem}; {} cannot do without it", readers.join(", "))
}
