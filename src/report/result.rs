//! A run as one document, gathered from its events.

use std::collections::HashMap;
use std::io;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use chrono::{DateTime, Utc};
use serde::Serialize;

use crate::event::{Event, Fact, Outcome, Reader, Section, StepRef};
use crate::step::{Failure, Status};

/// The version of the document's shape.
pub const SCHEMA_VERSION: u32 = 1;

/// A run as `--format json` prints it.
#[derive(Debug, Clone, Serialize)]
pub struct RunResult {
    pub schema_version: u32,
    pub run: String,
    pub plan: String,
    pub plan_file: String,
    pub host: String,
    pub dry_run: bool,
    /// `ok`, `warning` or `failed`.
    pub result: Option<Outcome>,
    pub exit_code: Option<u8>,
    pub started_at: Option<DateTime<Utc>>,
    pub seconds: f64,
    pub params: serde_json::Value,
    /// The folder of the run's log.
    pub log_dir: Option<PathBuf>,
    pub failure: Option<Failure>,
    /// The run that this one went on with.
    pub resumes: Option<String>,
    /// The command that goes on where this one stopped.
    pub resume: Option<String>,
    /// In a plan with targets, each that was taken.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub targets: Vec<TargetResult>,
    /// What is doubtful of the run itself.
    pub warnings: Vec<String>,
    pub steps: Vec<StepResult>,
}

/// One target of a plan with targets.
#[derive(Debug, Clone, Serialize)]
pub struct TargetResult {
    pub target: String,
    pub status: Option<Status>,
    pub exit_code: Option<u8>,
    pub seconds: f64,
    pub warnings: u32,
    pub params: serde_json::Value,
    /// The name of the database.
    pub database: Option<String>,
    /// The log of this target alone.
    pub log_file: Option<PathBuf>,
    pub failure: Option<Failure>,
    /// Why it was skipped, or not run again.
    pub reason: Option<String>,
    /// The earlier run that did all of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub done_by: Option<String>,
}

/// One step or handler.
#[derive(Debug, Clone, Serialize)]
pub struct StepResult {
    /// The target that it was run for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    pub section: Section,
    /// The id, else like `steps[3] (copy)`.
    pub step: String,
    pub name: Option<String>,
    pub uses: String,
    pub status: Option<Status>,
    pub attempts: u32,
    pub seconds: f64,
    /// What the step decided, as lines for people.
    pub decided: Vec<String>,
    pub outputs: serde_json::Value,
    pub error: Option<String>,
    pub hint: Option<String>,
    /// Why it was skipped, or not done again.
    pub reason: Option<String>,
    /// The earlier run that did it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub done_by: Option<String>,
    /// The warnings it gave on its way.
    pub warnings: Vec<String>,
}

/// Gathers the events of a run into its result.
pub struct Collector(Mutex<Gathered>);

#[derive(Debug)]
struct Gathered {
    result: RunResult,
    /// Where each target is in the result, and each step by target, section and label: there may be thousands.
    targets: HashMap<String, usize>,
    steps: HashMap<(Option<String>, Section, String), usize>,
}

impl Default for Collector {
    fn default() -> Self {
        let result = RunResult {
            schema_version: SCHEMA_VERSION,
            run: String::new(),
            plan: String::new(),
            plan_file: String::new(),
            host: String::new(),
            dry_run: false,
            result: None,
            exit_code: None,
            started_at: None,
            seconds: 0.0,
            params: serde_json::Value::Null,
            log_dir: None,
            failure: None,
            resumes: None,
            resume: None,
            targets: Vec::new(),
            warnings: Vec::new(),
            steps: Vec::new(),
        };
        Self(Mutex::new(Gathered { result, targets: HashMap::new(), steps: HashMap::new() }))
    }
}

impl Collector {
    /// What was gathered so far, with the folder of the log.
    pub fn result(&self, log_dir: Option<PathBuf>) -> RunResult {
        let result = self.0.lock().unwrap_or_else(PoisonError::into_inner).result.clone();
        RunResult { log_dir, ..result }
    }
}

impl Gathered {
    fn target(&mut self, name: &str) -> &mut TargetResult {
        let targets = &mut self.result.targets;
        let at = self.targets.get(name).copied().unwrap_or_else(|| {
            self.targets.insert(name.to_owned(), targets.len());
            targets.push(TargetResult {
                target: name.to_owned(),
                status: None,
                exit_code: None,
                seconds: 0.0,
                warnings: 0,
                params: serde_json::Value::Null,
                database: None,
                log_file: None,
                failure: None,
                reason: None,
                done_by: None,
            });
            targets.len() - 1
        });
        &mut targets[at]
    }

    fn step(&mut self, target: Option<&str>, step: &StepRef) -> &mut StepResult {
        let steps = &mut self.result.steps;
        let at =
            *self.steps.entry((target.map(str::to_owned), step.section, step.label.clone())).or_insert_with(|| {
                steps.push(StepResult {
                    target: target.map(str::to_owned),
                    section: step.section,
                    step: step.label.clone(),
                    name: step.name.clone(),
                    uses: step.uses.clone(),
                    status: None,
                    attempts: 0,
                    seconds: 0.0,
                    decided: Vec::new(),
                    outputs: serde_json::Value::Null,
                    error: None,
                    hint: None,
                    reason: None,
                    done_by: None,
                    warnings: Vec::new(),
                });
                steps.len() - 1
            });
        &mut steps[at]
    }
}

impl Reader for Collector {
    fn event(&self, event: &Event) -> io::Result<()> {
        let mut gathered = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let target = event.target.as_deref();
        match &event.fact {
            Fact::RunStarted { run, plan, plan_file, host, dry_run, params, targets, resumes, .. } => {
                for target in targets {
                    gathered.target(target);
                }
                let result = &mut gathered.result;
                result.run.clone_from(run);
                result.plan.clone_from(plan);
                result.plan_file.clone_from(plan_file);
                result.host.clone_from(host);
                result.dry_run = *dry_run;
                result.params = params.clone();
                result.resumes = resumes.as_ref().map(|r| r.run.clone());
                result.started_at = Some(event.time);
            }
            Fact::TargetStarted { params, database, log_file, .. } => {
                let entry = gathered.target(target.unwrap_or_default());
                entry.params = params.clone();
                entry.database.clone_from(database);
                entry.log_file.clone_from(log_file);
            }
            Fact::TargetFinished { status, exit_code, seconds, warnings, failure, reason, done_by } => {
                let entry = gathered.target(target.unwrap_or_default());
                entry.status = Some(*status);
                entry.exit_code = Some(*exit_code);
                entry.seconds = *seconds;
                entry.warnings = *warnings;
                entry.failure.clone_from(failure);
                entry.reason.clone_from(reason);
                entry.done_by.clone_from(done_by);
            }
            Fact::StepStarted { step, .. } => {
                gathered.step(target, step);
            }
            Fact::Decided { step, lines, .. } => gathered.step(target, step).decided.clone_from(lines),
            Fact::Line { step: Some(step), level: crate::step::Level::Warn, text } => {
                gathered.step(target, step).warnings.push(text.clone());
            }
            Fact::Line { step: None, level: crate::step::Level::Warn, text } => {
                gathered.result.warnings.push(text.clone());
            }
            Fact::StepFinished { step, status, attempts, seconds, outputs, error, hint, reason, done_by } => {
                let entry = gathered.step(target, step);
                entry.status = Some(*status);
                entry.attempts = *attempts;
                entry.seconds = *seconds;
                entry.outputs = outputs.clone();
                entry.error.clone_from(error);
                entry.hint.clone_from(hint);
                entry.reason.clone_from(reason);
                entry.done_by.clone_from(done_by);
            }
            Fact::Failed { failure } if target.is_none() => gathered.result.failure = Some(failure.clone()),
            Fact::RunFinished { result: outcome, exit_code, seconds, failure, .. } => {
                let result = &mut gathered.result;
                result.result = Some(*outcome);
                result.exit_code = Some(*exit_code);
                result.seconds = *seconds;
                result.failure.clone_from(failure);
            }
            Fact::Failed { .. } | Fact::Line { .. } | Fact::Progress { .. } | Fact::Retrying { .. } => {}
        }
        Ok(())
    }
}
