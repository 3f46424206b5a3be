//! The facts of a run, as they happen: serialisable, versioned, masked before they get here.
//!
//! The stream of events is the one source: terminal, log, report, mail and history are readers of it.

mod basis;
mod text;

use std::path::PathBuf;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::step::{Failure, Level, Progress, Status};

pub use basis::{Basis, Digest, Pick, Resumes};
pub use text::{Said, lines, seconds, title};

/// The version of the shape below. It grows when a reader of the old shape would misread the new one; a field that may
/// be missing is added without that.
pub const SCHEMA_VERSION: u32 = 1;

/// One fact, with its place in the run.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Event {
    pub schema_version: u32,
    /// Counts from 1 within a run, without gaps.
    pub seq: u64,
    pub time: DateTime<Utc>,
    /// The target that it is about, in a plan with targets.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    pub fact: Fact,
}

/// Which list of the plan a step stands in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Section {
    Steps,
    OnFailure,
    OnSuccess,
    Finally,
}

impl Section {
    /// The key of the plan.
    pub fn key(self) -> &'static str {
        match self {
            Self::Steps => "steps",
            Self::OnFailure => "on_failure",
            Self::OnSuccess => "on_success",
            Self::Finally => "finally",
        }
    }
}

/// Which step a fact is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepRef {
    pub section: Section,
    /// From 0, in its section.
    pub index: usize,
    /// The id, else like `steps[3] (copy)`.
    pub label: String,
    /// The line for people, if the plan has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    pub uses: String,
}

/// What happened.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Fact {
    /// The run began; always the first event.
    RunStarted {
        run: String,
        plan: String,
        plan_file: String,
        host: String,
        tool_version: String,
        pid: u32,
        dry_run: bool,
        /// The values of the parameters, masked.
        params: serde_json::Value,
        steps: Vec<StepRef>,
        /// The labels of the steps that the command line left out (`--only`, `--skip`, `--from` and the tags), and like
        /// `target crm` the targets that it did not pick.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        left_out: Vec<String>,
        /// The targets that are taken, in a plan with targets.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        targets: Vec<String>,
        /// The name of the database, in a plan without targets.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        database: Option<String>,
        /// What it is made of; none from a runplan that could not go on with a run.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        basis: Option<Box<Basis>>,
        /// The run that it goes on with.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        resumes: Option<Resumes>,
    },
    /// A target began, in a plan with targets.
    TargetStarted {
        /// The values of the parameters, masked.
        params: serde_json::Value,
        /// The name of the database.
        database: Option<String>,
        /// The log of this target alone, in the folder of the run.
        log_file: Option<PathBuf>,
        /// Which database, like `db1:5432/app`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        place: Option<String>,
        /// The run with whose id and time the vars are computed, where that is an earlier one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        vars_of: Option<String>,
    },
    /// A step began an attempt.
    StepStarted { step: StepRef, attempt: u32 },
    /// What the step decided, before it does it.
    Decided { step: StepRef, attempt: u32, lines: Vec<String> },
    /// A line of the log; without a step it is the run's own.
    Line { step: Option<StepRef>, level: Level, text: String },
    /// How far a step has come. Not kept in the journal.
    #[serde(skip)]
    Progress { step: StepRef, progress: Progress },
    /// An attempt failed, another follows.
    Retrying { step: StepRef, attempt: u32, of: u32, delay_seconds: f64, error: String },
    /// A step ended.
    StepFinished {
        step: StepRef,
        status: Status,
        attempts: u32,
        seconds: f64,
        /// A map, masked; null unless it ended well.
        outputs: serde_json::Value,
        #[serde(skip_serializing_if = "Option::is_none")]
        error: Option<String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        hint: Option<String>,
        /// Why it was skipped, or not done again.
        #[serde(skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
        /// The earlier run that did it; this one took it over.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        done_by: Option<String>,
    },
    /// The steps are over and this is what the run failed at; handlers follow.
    Failed { failure: Failure },
    /// A target ended.
    TargetFinished {
        status: Status,
        /// That of a run over this target alone.
        exit_code: u8,
        seconds: f64,
        warnings: u32,
        failure: Option<Failure>,
        /// Why it was skipped, or not run again.
        #[serde(skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
        /// The earlier run that did all of it; this one took it over.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        done_by: Option<String>,
    },
    /// The run ended; always the last event.
    RunFinished { result: Outcome, exit_code: u8, seconds: f64, warnings: u32, failure: Option<Failure> },
}

/// What a run is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subject {
    /// The targets of a plan that has some, by name.
    Targets(Vec<String>),
    /// The database of a plan without.
    Database(String),
}

impl Fact {
    /// What the run is about that begins with this; none for any other fact, and where a run does not tell.
    pub fn subject(&self) -> Option<Subject> {
        match self {
            Self::RunStarted { targets, .. } if !targets.is_empty() => Some(Subject::Targets(targets.clone())),
            Self::RunStarted { database, .. } => database.clone().map(Subject::Database),
            _ => None,
        }
    }
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    Ok,
    /// Done, with failures that the plan allows.
    Warning,
    Failed,
}

/// Who wants to know what happens. Called from several threads, in order of `seq`.
pub trait Reader: Send + Sync {
    /// Takes one event.
    ///
    /// # Errors
    /// What could not be written, for the journal alone: a run whose journal cannot be written stops.
    fn event(&self, event: &Event) -> std::io::Result<()>;
}
