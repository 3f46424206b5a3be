//! One past run, as its journal tells it.

use std::io;
use std::path::{Path, PathBuf};

use chrono::{DateTime, NaiveDateTime, Utc};
use serde::{Deserialize, Serialize};

use super::EVENTS;
use super::ends::Ends;
use crate::event::{Basis, Event, Fact, Outcome, Resumes, SCHEMA_VERSION, Subject};
use crate::files;
use crate::step::Failure;

/// What became of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    Running,
    Ok,
    /// Done, with failures that the plan allows.
    Warning,
    Failed,
    /// It has no closing event, and its process is gone.
    Killed,
    /// The journal cannot be read.
    Unknown,
}

impl State {
    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Failed => "failed",
            Self::Killed => "killed",
            Self::Unknown => "unknown",
        }
    }
}

/// A run that is over, or goes on.
#[derive(Debug, Clone, Serialize)]
pub struct Past {
    pub run: String,
    pub plan: String,
    /// The plan file with its folder, or the name of what is not a file: `<stdin>`, `runplan verify`.
    pub plan_file: Option<String>,
    pub host: Option<String>,
    pub result: State,
    pub started_at: Option<DateTime<Utc>>,
    /// Of a run that was killed: its last sign of life.
    pub ended_at: Option<DateTime<Utc>>,
    pub seconds: Option<f64>,
    /// None of a run that was killed.
    pub exit_code: Option<u8>,
    pub warnings: u32,
    /// The step that a run is at, or was killed in.
    pub at_step: Option<String>,
    pub failure: Option<Failure>,
    /// The steps that the command line left out.
    pub left_out: Vec<String>,
    /// The run that it went on with.
    pub resumes: Option<Resumes>,
    pub params: serde_json::Value,
    pub log_dir: PathBuf,
    /// Why nothing more is known.
    pub problem: Option<String>,
}

/// What every version of an event has.
#[derive(Deserialize)]
struct Versioned {
    schema_version: u32,
}

/// A line that says something to us.
pub(super) enum Line {
    Event(Box<Event>),
    /// The version that a newer runplan wrote.
    Newer(u32),
    Foreign,
}

pub(super) fn parse(line: &[u8]) -> Line {
    match serde_json::from_slice::<Versioned>(line) {
        Ok(v) if v.schema_version > SCHEMA_VERSION => Line::Newer(v.schema_version),
        Ok(_) => serde_json::from_slice(line).map_or(Line::Foreign, Line::Event),
        Err(_) => Line::Foreign,
    }
}

/// What the run was about whose journal lies in a folder. None when that cannot be read, or does not tell, as those of
/// older versions do.
pub fn subject_of(dir: &Path) -> Option<Subject> {
    match parse(&Ends::first(&dir.join(EVENTS)).ok()??) {
        Line::Event(event) => event.fact.subject(),
        Line::Newer(_) | Line::Foreign => None,
    }
}

impl Past {
    /// Reads the ends of a run's journal; `here` is the name of this machine. None for what is no run: one that is gone
    /// by now, or a dry one.
    pub fn read(plan: &str, dir: &Path, here: &str) -> Option<Self> {
        let run = dir.file_name()?.to_string_lossy().into_owned();
        let started_at = NaiveDateTime::parse_from_str(run.get(..16)?, "%Y%m%dT%H%M%SZ").ok().map(|t| t.and_utc());
        let mut past = Self {
            run,
            plan: plan.to_owned(),
            plan_file: None,
            host: None,
            result: State::Unknown,
            started_at,
            ended_at: None,
            seconds: None,
            exit_code: None,
            warnings: 0,
            at_step: None,
            failure: None,
            left_out: Vec::new(),
            resumes: None,
            params: serde_json::Value::Null,
            log_dir: dir.to_path_buf(),
            problem: None,
        };
        let events = dir.join(EVENTS);
        // Asked before it is read: a run that ends in between has its closing event by then.
        let locked = files::is_locked(&events);
        let ends = match Ends::read(&events) {
            Ok(ends) => ends,
            Err(error) if error.kind() == io::ErrorKind::NotFound && !dir.is_dir() => return None,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                past.result = State::Killed;
                return Some(past);
            }
            Err(error) => {
                past.problem = Some(format!("`{}` cannot be read: {error}", events.display()));
                return Some(past);
            }
        };
        past.tell(&ends, locked.ok(), here).then_some(past)
    }

    /// Takes what the ends say. Not when it was a dry run.
    fn tell(&mut self, ends: &Ends, locked: Option<bool>, here: &str) -> bool {
        let mut pid = None;
        match ends.first.as_deref().map(parse) {
            Some(Line::Newer(version)) => {
                self.problem = Some(format!(
                    "it was written by a newer runplan (version {version} of events, this one reads {SCHEMA_VERSION})"
                ));
                return true;
            }
            Some(Line::Event(event)) => {
                if let Fact::RunStarted {
                    host,
                    pid: process,
                    dry_run,
                    params,
                    left_out,
                    resumes,
                    plan_file,
                    basis,
                    ..
                } = event.fact
                {
                    if dry_run {
                        return false;
                    }
                    pid = Some(process).filter(|_| host == here);
                    self.started_at = Some(event.time);
                    self.plan_file = Some(located(plan_file, basis.as_deref()));
                    self.host = Some(host);
                    self.params = params;
                    self.left_out = left_out;
                    self.resumes = resumes;
                }
            }
            Some(Line::Foreign) => {
                self.problem = Some(format!("`{}` holds no events", self.log_dir.join(EVENTS).display()));
                return true;
            }
            None => {}
        }
        let mut events = ends.last.iter().rev().filter_map(|line| match parse(line) {
            Line::Event(event) => Some(*event),
            _ => None,
        });
        let last = events.next();
        if let Some(Event { time, fact: Fact::RunFinished { result, exit_code, seconds, warnings, failure }, .. }) =
            &last
        {
            self.result = match result {
                Outcome::Ok => State::Ok,
                Outcome::Warning => State::Warning,
                Outcome::Failed => State::Failed,
            };
            self.ended_at = Some(*time);
            self.seconds = Some(*seconds);
            self.exit_code = Some(*exit_code);
            self.warnings = *warnings;
            self.failure.clone_from(failure);
            return true;
        }
        let sign = last.as_ref().map(|e| e.time).or(self.started_at);
        self.at_step = last.into_iter().chain(events).find_map(at).flatten();
        // Where no lock is known, the process says it, on its own machine.
        if locked.unwrap_or_else(|| pid.is_some_and(files::lives)) {
            self.result = State::Running;
        } else {
            self.result = State::Killed;
            self.ended_at = sign;
            self.seconds = self.ended_at.zip(self.started_at).map(|(end, start)| seconds_between(start, end));
        }
        true
    }

    /// Whether a command made its plan, as `runplan verify` and `runplan restore` do.
    pub fn is_of_command(&self) -> bool {
        self.plan_file.as_ref().is_some_and(|file| file.starts_with(COMMAND))
    }

    /// Whether it did all that the plan asks, or all but what the plan allows to fail. One that left out steps at the
    /// command line's word is no proof.
    pub fn is_good(&self) -> bool {
        matches!(self.result, State::Ok | State::Warning) && self.left_out.is_empty()
    }

    /// From when on a good run is one that gets older: its end. What it took over from an earlier run is no younger than
    /// that one.
    pub fn good_since(&self) -> Option<DateTime<Utc>> {
        self.resumes.as_ref().and_then(|r| r.since).or(self.ended_at).or(self.started_at)
    }

    /// Whether it came to an end that is no good one.
    pub fn is_bad(&self) -> bool {
        matches!(self.result, State::Failed | State::Killed)
    }

    /// What there is to say of its end, in a line without the result itself; empty after a good run.
    pub fn said(&self) -> String {
        let mut parts = Vec::new();
        match (&self.result, &self.failure, &self.problem) {
            (_, _, Some(problem)) => parts.push(problem.clone()),
            (State::Failed, Some(f), _) if f.step == "-" => parts.push(f.error.clone()),
            (State::Failed, Some(f), _) => parts.push(format!("at {}: {}", f.step, f.error)),
            (State::Running | State::Killed, ..) => parts.extend(self.at_step.as_ref().map(|s| format!("at {s}"))),
            _ => {}
        }
        // Beside a failure they are no news.
        match self.warnings {
            warnings if warnings == 0 || self.is_bad() => {}
            1 => parts.push("1 warning".to_owned()),
            n => parts.push(format!("{n} warnings")),
        }
        if !self.left_out.is_empty() {
            parts.push(format!("without {}", self.left_out.join(", ")));
        }
        parts.extend(self.resumes.as_ref().map(|r| format!("goes on with {}", r.run)));
        // What a program printed may be in it.
        crate::diag::clean(&parts.join("; "))
    }
}

/// How the plans of commands are named, as no file is.
const COMMAND: &str = "runplan ";

/// A plan file as its run named it, with the folder in which that was started.
fn located(file: String, basis: Option<&Basis>) -> String {
    match basis {
        Some(basis) if !file.starts_with(COMMAND) && !file.starts_with('<') => {
            Path::new(&basis.dir).join(file).to_string_lossy().into_owned()
        }
        _ => file,
    }
}

/// Between two times, never less than none.
pub fn seconds_between(from: DateTime<Utc>, to: DateTime<Utc>) -> f64 {
    ((to - from).num_milliseconds() as f64 / 1000.0).max(0.0)
}

/// Whether a fact tells the step that the run is at; the step, unless one has just ended.
fn at(event: Event) -> Option<Option<String>> {
    let of = event.target.map(|t| format!("{t}: ")).unwrap_or_default();
    match event.fact {
        Fact::StepStarted { step, .. } | Fact::Decided { step, .. } | Fact::Retrying { step, .. } => {
            Some(Some(of + &step.label))
        }
        Fact::Line { step: Some(step), .. } => Some(Some(of + &step.label)),
        Fact::StepFinished { .. } => Some(None),
        _ => None,
    }
}
