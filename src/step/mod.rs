//! The contract of an executor, the registry, leave to look and leave to touch.
//!
//! An executor decides first ([`Step::plan`], with [`Look`]) and then does exactly that ([`Step::apply`], with
//! [`Touch`]). A dry run stops after the decision and has no `Touch` to give, so it cannot act.
//! Knows nothing of plans, templates or events: whoever runs steps hands in plain values and facts.

mod error;
mod facts;
mod leave;
mod preflight;
mod registry;

use schemars::{JsonSchema, Schema};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::value::Value;

pub use error::{Class, StepError, chain};
pub use facts::{Exclusion, Failure, FailureKind, RunFacts, Status, StepFact, Upcoming};
pub use leave::{Env, Level, Log, Look, Progress, Sink, Touch, Unit};
pub use preflight::{Alters, Area, Check, Kept, Preflight, Probe, Verdict};
pub use registry::{Decided, Entry, PATH_MARK, PathKind, PathParam, Registry};

/// What one executor is: its name in a plan, its parameters, its outputs, what it decides and what it does.
pub trait Step: 'static {
    /// The name after `uses:`.
    const NAME: &'static str;
    /// A `with:` block in YAML: shown in the docs, checked and previewed by a test.
    const EXAMPLE: &'static str;
    /// Whether it makes an archive, a dump or a copy, or vouches for one: when such a step failed, nothing is removed after
    /// it.
    const PUBLISHES: bool = false;
    /// Whether its database must be named, by the plan, the target, the step or PGDATABASE: a default would be taken for
    /// the database that was meant.
    const NEEDS_DBNAME: bool = false;
    /// What it may change of what later steps need, beyond what it publishes.
    const ALTERS: Alters = Alters::Nothing;

    /// The parameters: a closed struct whose doc comments are the documentation. The doc comment of the struct itself
    /// describes the executor: its first line is the title.
    type Params: DeserializeOwned + JsonSchema;
    /// What later steps may read, known before the run.
    type Output: Serialize + JsonSchema;
    /// Everything decided: arguments, file list, recipients, reasons.
    type Work: Send + 'static;

    /// The schema of the outputs of a step with these parameters (as written, templates and all).
    fn outputs(params: &serde_json::Value) -> Schema {
        let _ = params;
        schemars::SchemaGenerator::from(schemars::generate::SchemaSettings::draft07())
            .into_root_schema_for::<Self::Output>()
    }

    /// What the schema cannot say of the parameters as written: keys that exclude or need each other. A place that
    /// holds a template is a text with `${{`, and is to be forgiven.
    fn check(params: &serde_json::Value) -> Vec<Fault> {
        let _ = params;
        Vec::new()
    }

    /// What can be seen before the run of what the step will need, every fault at once. It is done before the first step
    /// of every run: it is cheap, and only looks. What the run alone can know is a text that says so.
    fn preflight(params: Self::Params, look: &Look) -> impl Future<Output = Preflight> + Send {
        let _ = (params, look);
        std::future::ready(Preflight::default())
    }

    /// The same for what is more than looking: a program's version, a login.
    fn probe(params: Self::Params, probe: &Probe) -> impl Future<Output = Vec<Check>> + Send {
        let _ = (params, probe);
        std::future::ready(Vec::new())
    }

    /// Whether what the outputs of an earlier run say is still so, asked before a run that goes on with it takes them over.
    /// Only looks.
    ///
    /// # Errors
    /// What is not as it was.
    fn stands(outputs: &serde_json::Value, look: &Look) -> Result<(), StepError> {
        let _ = (outputs, look);
        Ok(())
    }

    /// Decides. May look at files, folders, databases; changes nothing.
    fn plan(params: Self::Params, look: &Look) -> impl Future<Output = Result<Self::Work, StepError>> + Send;

    /// The decision for people, and what of the outputs is known already.
    fn preview(work: &Self::Work) -> Preview;

    /// Does what was decided, no more and no less.
    fn apply(work: Self::Work, touch: &Touch) -> impl Future<Output = Result<Self::Output, StepError>> + Send;
}

/// Something wrong with parameters that a schema cannot express.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The JSON pointer below `with`, empty for `with` itself.
    pub pointer: String,
    /// Whether the key at the pointer is at fault, not its value.
    pub at_key: bool,
    pub message: String,
    pub help: Option<String>,
}

/// A decision as people read it in a dry run and in the log.
#[derive(Debug, Clone, Default)]
pub struct Preview {
    /// One fact a line.
    pub lines: Vec<String>,
    /// Each output by name, with its value where that is known before the run.
    pub outputs: Vec<(String, Option<Value>)>,
    /// Archives that will be there afterwards; retention counts them in a dry run.
    pub archives: Vec<Upcoming>,
}

impl Preview {
    /// A preview of these lines that knows no output.
    pub fn new(lines: impl IntoIterator<Item = String>) -> Self {
        Self { lines: lines.into_iter().collect(), ..Self::default() }
    }

    /// Adds an output whose value is known already.
    #[must_use]
    pub fn known(mut self, name: &str, value: Value) -> Self {
        self.outputs.push((name.to_owned(), Some(value)));
        self
    }
}
