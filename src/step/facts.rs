//! Plain facts of the run that a step may read: what a record, a mail or retention needs to know.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// How a step ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    Ok,
    /// It failed, and the plan says to go on.
    Warning,
    Failed,
    Skipped,
    TimedOut,
    Cancelled,
}

impl Status {
    /// The word a plan and a report use.
    pub fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Failed => "failed",
            Self::Skipped => "skipped",
            Self::TimedOut => "timed_out",
            Self::Cancelled => "cancelled",
        }
    }
}

/// What a run failed at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    pub kind: FailureKind,
    /// The step's id, else like `steps[3] (copy)`, else `-`.
    pub step: String,
    /// One line, masked.
    pub error: String,
    /// What to do about it.
    pub hint: Option<String>,
}

/// What kind of thing failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureKind {
    Step,
    Secret,
    Lock,
    Timeout,
    Signal,
    Unreachable,
    /// What was seen before the first step makes the run one in vain.
    Preflight,
    /// Another target failed, and the plan says `fail_fast`.
    Cancelled,
}

impl FailureKind {
    /// The word a plan and a report use.
    pub fn word(self) -> &'static str {
        match self {
            Self::Step => "step",
            Self::Secret => "secret",
            Self::Lock => "lock",
            Self::Timeout => "timeout",
            Self::Signal => "signal",
            Self::Unreachable => "unreachable",
            Self::Preflight => "preflight",
            Self::Cancelled => "cancelled",
        }
    }
}

/// One step of the run so far.
#[derive(Debug, Clone, PartialEq)]
pub struct StepFact {
    /// The id, else like `steps[3] (copy)`.
    pub label: String,
    pub uses: String,
    pub status: Status,
    /// The plan says `continue_on_error`.
    pub allowed: bool,
    /// The executor makes archives or copies.
    pub publishes: bool,
    pub seconds: f64,
    pub attempts: u32,
    /// One line, masked.
    pub error: Option<String>,
    /// The earlier run that did it, where this one goes on with it.
    pub done_by: Option<String>,
    /// What it made: a file, and its size in bytes where that is known.
    pub made: Option<(String, Option<u64>)>,
}

/// An archive that an earlier step would have made by now, before a run or in a dry one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upcoming {
    pub path: PathBuf,
    /// The first place of the same archive, which is the same for each of its places and copies.
    pub archive: PathBuf,
    /// The database's name; none for an archive of files.
    pub database: Option<String>,
    /// The size that is expected, where there is something to go by.
    pub bytes: Option<u64>,
}

/// What tells the runs that exclude each other in a database from the rest.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Exclusion {
    /// The same for all that exclude each other: plan and target, or what the plan's `lock.key` says.
    pub key: String,
    /// How long to wait for another run; nothing with `lock.overlap: fail`.
    pub wait: Duration,
}

/// What a step may know of the run around it.
#[derive(Debug, Clone, Default)]
pub struct RunFacts {
    /// The plan's name.
    pub plan: String,
    /// The run's id, like `20261122T213000Z-3f9c`.
    pub run: String,
    pub started_at: DateTime<Utc>,
    /// The name of this machine.
    pub host: String,
    pub target: Option<String>,
    /// The name of the plan's database.
    pub database: Option<String>,
    /// In a dry run without `--connect`: passwords go only to the servers that the user's own settings name, since the
    /// plan may be a stranger's.
    pub own_servers_only: bool,
    /// Whom steps that write to a database exclude there, and for how long they wait.
    pub exclusion: Exclusion,
    /// Host and port of its server, as the plan or the environment gives them.
    pub server: Option<(String, u16)>,
    /// What preflight said of a clock that is wrong by more than a day.
    pub wrong_clock: Option<String>,
    /// The run's `run.log`, or the log of the target; none in a dry run.
    pub log_file: Option<PathBuf>,
    pub log_dir: Option<PathBuf>,
    pub failure: Option<Failure>,
    /// After a failure: the command that resumes the run.
    pub resume: Option<String>,
    /// The steps that ended so far, in order; in a handler, all of them.
    pub steps: Arc<Vec<StepFact>>,
    /// The last lines of the log, masked.
    pub log_tail: Vec<Arc<str>>,
    /// Before a run and in a dry one, what earlier steps would have published.
    pub upcoming: Vec<Upcoming>,
}
