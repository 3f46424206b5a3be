//! The course of a past run: what it was made of, and how each step and target ended. For a run that goes on with it.

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::Path;

use super::EVENTS;
use super::past::{Line, parse};
use crate::event::{Basis, Fact, Resumes, Section};
use crate::files;
use crate::step::Status;

/// How many runs that went on with each other are read.
const MOST: usize = 100;

/// How a run went, as far as its journal tells.
#[derive(Debug, Clone)]
pub struct Course {
    pub run: String,
    pub plan: String,
    /// As it was given, see [`Basis::dir`].
    pub plan_file: String,
    /// The values of the parameters, masked.
    pub params: serde_json::Value,
    /// What the command line left out: labels of steps, and like `target crm` targets.
    pub left_out: Vec<String>,
    /// The targets that it took.
    pub targets: Vec<String>,
    pub basis: Option<Basis>,
    pub resumes: Option<Resumes>,
    pub steps: Vec<Step>,
    pub ended: Vec<Target>,
    /// What each target meant; in a plan without targets, what the run did.
    pub meant: Vec<Meant>,
}

/// What a target meant when it began.
#[derive(Debug, Clone)]
pub struct Meant {
    pub target: Option<String>,
    /// Which database, like `db1:5432/app`.
    pub place: Option<String>,
    /// The run with whose id and time its vars were computed.
    pub vars_of: String,
}

/// How a step of the plan's list ended.
#[derive(Debug, Clone)]
pub struct Step {
    pub target: Option<String>,
    pub label: String,
    pub uses: String,
    pub status: Status,
    /// Masked; null unless it ended well.
    pub outputs: serde_json::Value,
    pub error: Option<String>,
    /// The run that did it, where that is an earlier one.
    pub done_by: Option<String>,
}

/// How a target ended.
#[derive(Debug, Clone)]
pub struct Target {
    pub name: String,
    pub status: Status,
    pub warnings: u32,
    /// The run that did it, where that is an earlier one.
    pub done_by: Option<String>,
}

impl Course {
    /// Reads the journal in the folder of a run. Of a target that it did not come to, the run tells that it went on with,
    /// whose journal lies beside it. A line that was cut short, or says nothing to us, is passed over. None when even the
    /// first one is.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn read(dir: &Path) -> io::Result<Option<Self>> {
        let Some(mut course) = Self::alone(dir)? else { return Ok(None) };
        let mut earlier = course.resumes.clone();
        for _ in 0..MOST {
            let Some(run) = earlier.map(|r| r.run).filter(|r| files::is_run_id(r)) else { break };
            // One that is gone by now tells nothing, and what it did is done again.
            let Some(Ok(Some(old))) = dir.parent().map(|shelf| Self::alone(&shelf.join(run))) else { break };
            earlier = old.resumes.clone();
            course.fill(old);
        }
        Ok(Some(course))
    }

    fn alone(dir: &Path) -> io::Result<Option<Self>> {
        let mut course: Option<Self> = None;
        for line in BufReader::new(files::open_trusted(&dir.join(EVENTS))?).split(b'\n') {
            let Line::Event(event) = parse(&line?) else { continue };
            match course.as_mut() {
                None => course = Self::begin(event.fact),
                Some(course) => course.take(event.target, event.fact),
            }
        }
        Ok(course)
    }

    fn begin(fact: Fact) -> Option<Self> {
        let Fact::RunStarted { run, plan, plan_file, params, left_out, targets, basis, resumes, .. } = fact else {
            return None;
        };
        let basis = basis.map(|b| *b);
        let (place, vars_of) = basis.as_ref().map(|b| (b.place.clone(), b.vars_of.clone())).unwrap_or_default();
        let vars_of = vars_of.unwrap_or_else(|| run.clone());
        let meant = if targets.is_empty() { vec![Meant { target: None, place, vars_of }] } else { Vec::new() };
        let (steps, ended) = (Vec::new(), Vec::new());
        Some(Self { run, plan, plan_file, params, left_out, targets, basis, resumes, steps, ended, meant })
    }

    /// Adds what an earlier run tells of targets of which this one tells nothing.
    fn fill(&mut self, old: Self) {
        let told = |target: &Option<String>| self.steps.iter().any(|s| s.target == *target);
        let meant: Vec<Meant> = old.meant.into_iter().filter(|m| !told(&m.target)).collect();
        let steps: Vec<Step> = old.steps.into_iter().filter(|s| !told(&s.target)).collect();
        let ended = |name: &String| self.ended.iter().any(|t| t.name == *name && t.status != Status::Skipped);
        let targets: Vec<Target> = old.ended.into_iter().filter(|t| !ended(&t.name)).collect();
        let by = |done_by: Option<String>| done_by.or_else(|| Some(old.run.clone()));
        self.meant.retain(|m| !meant.iter().any(|o| o.target == m.target));
        self.meant.extend(meant);
        self.steps.extend(steps.into_iter().map(|s| Step { done_by: by(s.done_by), ..s }));
        self.ended.retain(|t| !targets.iter().any(|o| o.name == t.name));
        self.ended.extend(targets.into_iter().map(|t| Target { done_by: by(t.done_by), ..t }));
    }

    /// What a target meant.
    pub fn meant(&self, target: Option<&str>) -> Option<&Meant> {
        self.meant.iter().find(|m| m.target.as_deref() == target)
    }

    fn take(&mut self, target: Option<String>, fact: Fact) {
        match fact {
            Fact::StepFinished { step, status, outputs, error, done_by, .. } if step.section == Section::Steps => {
                let (label, uses) = (step.label, step.uses);
                self.steps.push(Step { target, label, uses, status, outputs, error, done_by });
            }
            Fact::TargetStarted { place, vars_of, .. } => {
                let vars_of = vars_of.unwrap_or_else(|| self.run.clone());
                self.meant.push(Meant { target, place, vars_of });
            }
            Fact::TargetFinished { status, warnings, done_by, .. } => {
                self.ended.extend(target.map(|name| Target { name, status, warnings, done_by }));
            }
            _ => {}
        }
    }

    /// The targets that ended well.
    pub fn good_targets(&self) -> impl Iterator<Item = &Target> {
        self.ended.iter().filter(|t| matches!(t.status, Status::Ok | Status::Warning))
    }
}

/// Keeps others from going on with a run, as long as it lives, where the file system knows locks.
#[derive(Debug)]
pub struct Hold {
    _file: Option<File>,
}

impl Hold {
    /// Takes it; none when the run itself goes on, or another one goes on with it.
    ///
    /// # Errors
    /// The journal cannot be opened.
    pub fn take(dir: &Path) -> io::Result<Option<Self>> {
        let file = files::open_trusted(&dir.join(EVENTS))?;
        Ok(match files::try_hold(&file) {
            Some(false) => None,
            Some(true) => Some(Self { _file: Some(file) }),
            None => Some(Self { _file: None }),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_one_holds_a_run_until_it_lets_go() {
        let dir = tempfile::tempdir().expect("a folder");
        std::fs::write(dir.path().join(EVENTS), "").expect("a journal");
        let first = Hold::take(dir.path()).expect("it can be opened");
        assert!(first.is_some());
        assert!(Hold::take(dir.path()).is_ok_and(|held| held.is_none()));
        drop(first);
        assert!(Hold::take(dir.path()).is_ok_and(|held| held.is_some()));
    }
}
