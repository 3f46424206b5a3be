//! Leave to look and leave to touch.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use chrono::{DateTime, Utc};

use crate::cancel::Cancel;
use crate::secret::Secret;
use crate::step::{Kept, RunFacts};

/// The environment as it was when the program started; children get it handed over, it is never changed.
pub type Env = BTreeMap<String, String>;

/// How loud a line of the log is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    Debug,
    Info,
    Warn,
}

/// What a progress counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    Bytes,
    Items,
}

/// How far long work has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress {
    pub done: u64,
    pub total: Option<u64>,
    pub unit: Unit,
    /// What it is at, like a table's name, or bytes written.
    pub note: String,
}

/// Where lines and progress go; whoever runs steps masks and forwards them.
pub trait Sink: Send + Sync {
    /// The text with every secret of the run masked.
    fn mask(&self, text: &str) -> String {
        text.to_owned()
    }
    /// One line without its end.
    fn line(&self, level: Level, text: &str);
    fn progress(&self, progress: &Progress);
}

/// The masked log of one step. Cheap to clone, to be handed to threads.
#[derive(Clone)]
pub struct Log(Arc<dyn Sink>);

impl Log {
    /// A log that writes to `sink`.
    pub fn new(sink: Arc<dyn Sink>) -> Self {
        Self(sink)
    }

    /// A line of detail, shown with `-v` and always in the log file.
    pub fn debug(&self, text: impl AsRef<str>) {
        self.write(Level::Debug, text.as_ref());
    }

    /// A line that people want to see.
    pub fn info(&self, text: impl AsRef<str>) {
        self.write(Level::Info, text.as_ref());
    }

    /// A line that people should see.
    pub fn warn(&self, text: impl AsRef<str>) {
        self.write(Level::Warn, text.as_ref());
    }

    /// The text with every secret of the run masked, for what is cut before it is said: mask first, cut later.
    pub fn mask(&self, text: &str) -> String {
        self.0.mask(text)
    }

    /// How far the work has come; a terminal draws it, the log file does not keep it.
    pub fn progress(&self, progress: &Progress) {
        self.0.progress(progress);
    }

    fn write(&self, level: Level, text: &str) {
        for line in text.lines() {
            self.0.line(level, line);
        }
    }
}

/// Says nothing to anybody.
struct Silence;

impl Sink for Silence {
    fn line(&self, _: Level, _: &str) {}
    fn progress(&self, _: &Progress) {}
}

impl Default for Log {
    /// A log that nobody reads.
    fn default() -> Self {
        Self(Arc::new(Silence))
    }
}

impl fmt::Debug for Log {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Log")
    }
}

/// Leave to look: files may be listed and read, a database asked in a read-only session. Nothing is changed with it, no
/// program of the plan is started, and no secret opened but a database's password.
#[derive(Debug, Clone)]
pub struct Look {
    /// What "now" is for this decision.
    pub now: DateTime<Utc>,
    /// The folder of the plan file.
    pub plan_dir: PathBuf,
    pub env: Arc<Env>,
    pub cancel: Cancel,
    pub log: Log,
    pub facts: Arc<RunFacts>,
    /// What the steps of a preflight share.
    pub kept: Kept,
}

/// How long clearing up may take: less than a step that was told to stop is given.
const CLEARING: std::time::Duration = std::time::Duration::from_secs(20);

/// Leave to touch the world: whatever writes, deletes, sends or starts a program asks for it.
#[derive(Debug)]
pub struct Touch {
    look: Look,
}

impl Touch {
    /// The leave itself. Called in one place, where a real run starts a step; `tests/house.rs` sees to that.
    pub(crate) fn begin(look: Look) -> Self {
        Self { look }
    }

    /// The same leave once more, for a thread that does blocking work.
    pub fn again(&self) -> Self {
        Self { look: self.look.clone() }
    }

    /// The same leave for clearing up, which is done also when the step was told to stop, within a time of its own.
    pub fn to_clear_up(&self) -> Self {
        let mut look = self.look.clone();
        look.cancel = Cancel::new().child(Some(CLEARING));
        Self { look }
    }

    /// Who may touch may look.
    pub fn look(&self) -> &Look {
        &self.look
    }

    /// The flag that says when to stop.
    pub fn cancel(&self) -> &Cancel {
        &self.look.cancel
    }

    /// The masked log.
    pub fn log(&self) -> &Log {
        &self.look.log
    }

    /// The facts of the run.
    pub fn facts(&self) -> &RunFacts {
        &self.look.facts
    }

    /// A secret's value. A real run fetches all secrets before its first step, so none is sealed here; one that is
    /// would be a fault of the caller and opens as the empty text, which whoever needs a password refuses.
    pub fn open<'s>(&self, secret: &'s Secret) -> &'s str {
        secret.expose().unwrap_or_default()
    }
}
