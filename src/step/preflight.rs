//! What can be seen before a run of what its steps will need.

use std::any::Any;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use serde::Serialize;

use super::{Look, StepError, Touch, Upcoming};
use crate::secret::Secret;
use crate::value::Value;

/// What kind of thing was looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Area {
    /// The parameters of the step as they are once rendered.
    Parameters,
    /// A secret or an environment variable.
    Secret,
    /// A program: is it there, and new enough.
    Program,
    /// A connection to a database server.
    Server,
    /// What the user may do there.
    Right,
    /// What the step names there: tables, databases.
    Object,
    /// A folder or a file.
    Folder,
    /// Free space.
    Space,
    /// A mail server.
    Mail,
    /// A web server.
    Web,
    /// The clock of this machine.
    Clock,
}

/// How a check came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    Ok,
    /// It may go well.
    Warning,
    /// The step fails if this stays as it is.
    Problem,
}

impl Verdict {
    /// The word a report uses.
    pub fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Problem => "problem",
        }
    }
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
    pub area: Area,
    pub verdict: Verdict,
    /// What was looked at and what was found, in one line.
    pub text: String,
    /// What to do about it.
    pub hint: Option<String>,
    /// No archive can come of the step while this is so, and going on to it is in vain.
    #[serde(skip)]
    pub in_vain: bool,
    /// Nothing is removed in a run that saw this.
    #[serde(skip)]
    pub holds_removal: bool,
}

impl Check {
    pub fn new(area: Area, verdict: Verdict, text: impl Into<String>) -> Self {
        Self { area, verdict, text: text.into(), hint: None, in_vain: false, holds_removal: false }
    }

    pub fn ok(area: Area, text: impl Into<String>) -> Self {
        Self::new(area, Verdict::Ok, text)
    }

    pub fn warning(area: Area, text: impl Into<String>) -> Self {
        Self::new(area, Verdict::Warning, text)
    }

    pub fn problem(area: Area, text: impl Into<String>) -> Self {
        Self::new(area, Verdict::Problem, text)
    }

    /// The problem that an error is.
    pub fn failed(area: Area, error: &StepError) -> Self {
        Self { hint: error.hint.clone(), ..Self::problem(area, error.what.clone()) }
    }

    /// The same with what to do about it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The same with what to do about it, where it is not well and says nothing of that yet.
    #[must_use]
    pub fn or_hint(self, hint: &str) -> Self {
        if self.verdict == Verdict::Ok || self.hint.is_some() { self } else { self.hint(hint) }
    }

    /// The same, and the step is in vain while it is so.
    #[must_use]
    pub fn in_vain(mut self) -> Self {
        self.in_vain = true;
        self
    }
}

/// What was seen for one step.
#[derive(Debug, Clone, Default)]
pub struct Preflight {
    pub checks: Vec<Check>,
    /// Outputs whose value is known already, for the steps that read them.
    pub outputs: Vec<(String, Option<Value>)>,
    /// Archives that the step will make, with the size that is expected.
    pub archives: Vec<Upcoming>,
    /// What the step alters with these parameters, where that is less than it can.
    pub alters: Option<Alters>,
}

impl Preflight {
    /// Adds an output whose value is known already.
    pub fn know(&mut self, name: &str, value: impl Into<Value>) {
        self.outputs.push((name.to_owned(), Some(value.into())));
    }
}

impl From<Vec<Check>> for Preflight {
    fn from(checks: Vec<Check>) -> Self {
        Self { checks, ..Self::default() }
    }
}

/// What a step may change of what later steps need: what was seen of that before the run says little then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Alters {
    /// Nothing beyond what it publishes.
    Nothing,
    /// The free space.
    Space,
    /// Folders, programs, rights, whatever it likes.
    Anything,
}

/// What several steps of one preflight need and one of them made, like a connection. Empty outside of a preflight.
#[derive(Clone, Default)]
pub struct Kept(Arc<Mutex<BTreeMap<String, Arc<dyn Any + Send + Sync>>>>);

impl Kept {
    /// What was kept under a name.
    pub fn get<T: Any + Send + Sync>(&self, name: &str) -> Option<Arc<T>> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.get(name).and_then(|kept| Arc::clone(kept).downcast().ok())
    }

    /// Keeps something under a name.
    pub fn put<T: Any + Send + Sync>(&self, name: String, it: T) -> Arc<T> {
        let it = Arc::new(it);
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(name, Arc::clone(&it) as Arc<dyn Any + Send + Sync>);
        it
    }
}

impl fmt::Debug for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Kept")
    }
}

/// Leave to ask: what [`Look`] may, and to log in with a secret, and to have a program say its version. Nothing is changed
/// with it. A dry run has none to give.
#[derive(Debug)]
pub struct Probe {
    look: Look,
    thorough: bool,
}

impl Probe {
    /// The leave itself, made where the preflight of a real run and `doctor` begin; `tests/house.rs` sees to that.
    pub(crate) fn begin(look: Look, thorough: bool) -> Self {
        Self { look, thorough }
    }

    /// Who may touch may ask.
    pub fn of(touch: &Touch) -> Self {
        Self { look: touch.look().clone(), thorough: false }
    }

    /// Who may ask may look.
    pub fn look(&self) -> &Look {
        &self.look
    }

    /// Whether a person asked for it, and what takes a second or speaks with another server is wanted too.
    pub fn thorough(&self) -> bool {
        self.thorough
    }

    /// A secret's value; none when it is missing.
    pub fn open<'s>(&self, secret: &'s Secret) -> Option<&'s str> {
        secret.expose()
    }
}
