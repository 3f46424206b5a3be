//! The plan: its model, its schema from the registry, its checks.
//!
//! Knows what a plan means and everything that can be known of it without running it. Reads no file but the plan's own
//! text and what it includes; fetches no secret, asks no server.

mod check;
mod database;
mod model;
mod params;
mod paths;
mod schema;
mod targets;

use std::path::PathBuf;

use crate::diag::{Code, Finding, Sources};
use crate::step::Registry;

pub use crate::value::ParamType;
pub use check::check;
pub use check::explain::Explanation;
pub use database::{is_users_own_server, passwords_around, resolve_database};
pub use model::{Items, Lock, Logs, Overlap, Param, Plan, Retry, RetryOn, StepPlan, When};
pub use paths::absolute;
pub use targets::{LimitPer, Target, Targets};

/// The most that all vars together may hold, in bytes of text and items. [`crate::template::MAX_SIZE`] bounds only each.
pub const MAX_VARS: usize = 16 << 20;

/// The text of a plan and where it came from.
#[derive(Debug, Clone)]
pub struct Input {
    /// The name it is shown by: the path as given, or `<stdin>`.
    pub name: String,
    /// The folder that `${{ plan.dir }}` gives, absolute.
    pub dir: PathBuf,
    pub text: String,
    /// Whether the environment that the plan is checked in names a database, by PGDATABASE or a service.
    pub dbname_in_env: bool,
}

/// A plan that may be run. Made only by [`check`].
#[derive(Debug, Clone)]
pub struct Checked {
    plan: Plan,
    dir: PathBuf,
    file: String,
    digests: Vec<(String, String)>,
}

impl Checked {
    /// The plan.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// The targets, all that are listed; none in a plan without.
    pub fn targets(&self) -> &[Target] {
        self.plan.targets.as_ref().map_or(&[], |t| t.list.as_slice())
    }

    /// The plan as it is for one of its targets: with that one's database settings over its own.
    #[must_use]
    pub fn of(&self, target: &Target) -> Self {
        let mut of = self.clone();
        of.plan.database.extend(target.database.clone());
        of
    }

    /// The plan without the list of its targets, which the plan of each of many need not hold.
    #[must_use]
    pub fn bare(&self) -> Self {
        let mut bare = self.clone();
        bare.plan.targets.iter_mut().for_each(|t| t.list.clear());
        bare
    }

    /// The folder of the plan file, absolute.
    pub fn dir(&self) -> &std::path::Path {
        &self.dir
    }

    /// The plan file by its absolute path; what is no file by the name it is shown by: `<stdin>`, or the command that made
    /// the plan.
    pub fn path(&self) -> String {
        let file = std::path::Path::new(&self.file);
        let made = self.file == "<stdin>" || self.file.starts_with("runplan ");
        let name = file.file_name().filter(|_| !made);
        name.map_or_else(|| self.file.clone(), |n| self.dir.join(n).to_string_lossy().into_owned())
    }

    /// The path of the plan file, as given.
    pub fn file(&self) -> &str {
        &self.file
    }

    /// The plan's file and the one of targets that it includes, as they are shown, each with the SHA-256 of its text in
    /// lower-case hexadecimal.
    pub fn digests(&self) -> &[(String, String)] {
        &self.digests
    }
}

/// What checking a plan gave.
#[derive(Debug)]
pub struct Outcome {
    /// The texts that the findings point into.
    pub sources: Sources,
    /// All findings, sorted by place, each cause once.
    pub findings: Vec<Finding>,
    /// The plan, when no finding is an error.
    pub checked: Option<Checked>,
}

/// What a code means, with an example of wrong and right.
pub fn explain(code: Code) -> Option<&'static Explanation> {
    check::explain::all().find(|e| e.code == code)
}

/// Every code that a finding can have, in order.
pub fn codes() -> impl Iterator<Item = Code> {
    check::explain::all().map(|e| e.code)
}

/// The JSON Schema of plans for editors, draft-07: the committed `schema/plan.schema.json`.
pub fn schema(registry: &Registry) -> serde_json::Value {
    schema::editor(registry)
}
