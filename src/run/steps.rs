//! One step after the other: conditions, parameters, attempts, what a failure means for those that follow.

use std::sync::Arc;
use std::time::Instant;

use chrono::Utc;

use super::emit::{Emitter, StepSink};
use super::missing::{self, MissingSecret};
use super::step_end::StepEnd;
use super::{Aim, End, Request, attempt, backoff, path_names, paths, scope, step_ref, stopped};
use crate::cancel::{Cancel, Reason};
use crate::event::{Fact, Section, StepRef};
use crate::plan::{Plan, StepPlan, When};
use crate::step::{Class, Env, Failure, FailureKind, Kept, Level, Log, Look, RunFacts, Status, StepError, StepFact};
use crate::template::{self, Scope};
use crate::value::Value;

/// The state of a run between its steps.
pub struct Runner<'a> {
    pub(super) request: &'a Request,
    pub(super) aim: &'a Aim,
    pub(super) emitter: Arc<Emitter>,
    pub(super) scope: Scope,
    /// What executors may know; `steps` grows with each step.
    pub(super) facts: RunFacts,
    /// The environment that children get: without the variables that hold the plan's secrets.
    pub(super) env: Arc<Env>,
    pub warnings: u32,
    pub failure: Option<Failure>,
    pub handler_failed: bool,
    /// What the looks ahead share.
    pub(super) kept: Kept,
    /// Secrets or variables are missing, so that what reads them cannot be rendered.
    pub lacking: bool,
    /// The secrets that only handlers read and that are missing.
    pub missing: Vec<MissingSecret>,
}

/// A step that is ready to be decided.
pub(super) enum Ready {
    Go(Value),
    Skip(String),
    /// A dry run cannot know whether it would run.
    Undecided(String),
}

impl<'a> Runner<'a> {
    /// A run before its first step.
    pub fn new(request: &'a Request, aim: &'a Aim, emitter: Arc<Emitter>, scope: Scope, facts: RunFacts) -> Self {
        let mut env = request.env.clone();
        for (_, source) in request.checked.plan().secrets.iter() {
            source.env.iter().for_each(|name| drop(env.remove(name)));
        }
        let env = Arc::new(env);
        Self {
            request,
            aim,
            emitter,
            scope,
            facts,
            env,
            warnings: 0,
            failure: None,
            handler_failed: false,
            kept: Kept::default(),
            lacking: false,
            missing: Vec::new(),
        }
    }

    pub(super) fn plan(&self) -> &'a Plan {
        self.aim.checked.plan()
    }

    /// Runs the plan's steps until one fails for good or `limit` is raised.
    pub async fn steps(&mut self, limit: &Cancel) {
        for (index, step) in self.plan().steps.iter().enumerate() {
            let reference = self.reference(Section::Steps, index, step);
            if self.taken(Section::Steps, &reference.label).is_some() {
                continue;
            }
            let end = if let Some(reason) = self.request.pick.refuses(self.plan(), index, step) {
                StepEnd::skipped(reason)
            } else if self.failure.is_some() {
                StepEnd::skipped("an earlier step failed")
            } else if let Some(reason) = limit.reason() {
                self.failure = Some(self.cut_short(reason, "-"));
                StepEnd::skipped("the run was stopped")
            } else {
                self.step(step, &reference, limit).await
            };
            self.close(step, &reference, end, limit);
        }
    }

    /// Says of every step that it is skipped.
    pub fn skip_all(&mut self, reason: &str) {
        for (index, step) in self.plan().steps.iter().enumerate() {
            let reference = self.reference(Section::Steps, index, step);
            if self.taken(Section::Steps, &reference.label).is_none() {
                self.close(step, &reference, StepEnd::skipped(reason), &Cancel::new());
            }
        }
    }

    /// What the steps so far mean for the end of the run.
    pub fn end(&self, limit: &Cancel, stop: &Cancel) -> Option<End> {
        let failure = self.failure.as_ref()?;
        match (failure.kind, stop.reason(), limit.reason()) {
            (FailureKind::Signal, Some(reason), _) => Some(stopped(reason).1),
            (FailureKind::Timeout, _, Some(Reason::Deadline)) => Some(End::Timeout),
            (FailureKind::Lock, _, _) => Some(End::Lock),
            _ => Some(End::Failed),
        }
    }

    /// Runs the handlers that fit how the steps ended. Each has its chance, whatever became of the one before.
    pub async fn handlers(&mut self) {
        let plan = self.plan();
        if let Some(failure) = &mut self.failure {
            failure.error = self.emitter.mask(&failure.error);
            failure.hint = failure.hint.as_ref().map(|h| self.emitter.mask(h));
            self.emitter.emit(Fact::Failed { failure: failure.clone() });
        }
        scope::set_failure(&mut self.scope, self.failure.as_ref());
        if let (Some(_), Some(dir)) = (&self.failure, &self.facts.log_dir) {
            self.facts.resume = (self.request.resume_command)(dir, &self.request.checked, End::Failed);
        }
        self.facts.failure.clone_from(&self.failure);
        let first = match self.failure {
            Some(_) => (Section::OnFailure, &plan.on_failure),
            None => (Section::OnSuccess, &plan.on_success),
        };
        for (section, list) in [first, (Section::Finally, &plan.finally)] {
            for (index, step) in list.iter().enumerate() {
                let reference = self.reference(section, index, step);
                let limit = self.request.abort.child(None);
                let end = match limit.reason() {
                    Some(_) => StepEnd::skipped("the run was stopped a second time"),
                    None => self.step(step, &reference, &limit).await,
                };
                self.close(step, &reference, end, &limit);
            }
        }
    }

    pub(super) fn reference(&self, section: Section, index: usize, step: &StepPlan) -> StepRef {
        let name = step.name.as_ref().map(|text| {
            let rendered = template::parse(text).ok().and_then(|t| t.render(&self.scope).ok());
            match rendered {
                Some(Value::Text(name)) => name,
                Some(Value::Unknown) | None => text.clone(),
                Some(other) => other.to_json().to_string(),
            }
        });
        step_ref(section, index, step, name)
    }

    /// One step with all its attempts. Each decides anew.
    async fn step(&mut self, step: &StepPlan, reference: &StepRef, limit: &Cancel) -> StepEnd {
        let clock = Instant::now();
        let seconds = || clock.elapsed().as_secs_f64();
        let failed = |error: StepError, attempts| {
            let seconds = clock.elapsed().as_secs_f64();
            let (status, error) = (Status::Failed, Some(error));
            StepEnd { status, attempts, seconds, outputs: None, error, reason: None, done_by: None }
        };
        let with = match self.ready(step) {
            Ok(Ready::Go(with)) => with,
            Ok(Ready::Skip(reason) | Ready::Undecided(reason)) => return StepEnd::skipped(reason),
            Err(error) => {
                self.emitter.emit(Fact::StepStarted { step: reference.clone(), attempt: 1 });
                return failed(error, 1);
            }
        };
        let Some(entry) = self.request.registry.get(&step.uses) else {
            return failed(StepError::new(format!("there is no executor `{}`", step.uses)), 1);
        };
        let of = step.retry.as_ref().map_or(1, |r| r.attempts.max(1));
        let time = attempt::time_limit(reference.section, step);
        let mut number = 1;
        loop {
            self.emitter.emit(Fact::StepStarted { step: reference.clone(), attempt: number });
            let cancel = limit.child(time.map(|t| t.0));
            let look = self.look(reference, cancel.clone());
            let result = attempt::once(entry, with.clone(), look, &self.emitter, reference, number).await;
            let error = match result {
                Ok(outputs) => {
                    let (status, outputs) = (Status::Ok, Some(outputs));
                    return StepEnd {
                        status,
                        attempts: number,
                        seconds: seconds(),
                        outputs,
                        error: None,
                        reason: None,
                        done_by: None,
                    };
                }
                Err(error) => error,
            };
            let (status, error) = attempt::judge(error, time, &cancel, limit);
            let worth = match &step.retry {
                Some(retry) if limit.reason().is_none() => {
                    retry.errors.iter().any(|on| attempt::covers(*on, status, error.class))
                }
                _ => false,
            };
            if let (true, true, Some(retry)) = (worth, number < of, &step.retry) {
                let wait = backoff::wait(retry, number, attempt::chance());
                let wait = backoff::lengthened(wait, error.retry_after, retry);
                let (delay_seconds, error) = (wait.as_secs_f64(), error.what.clone());
                self.emitter.emit(Fact::Retrying {
                    step: reference.clone(),
                    attempt: number,
                    of,
                    delay_seconds,
                    error,
                });
                tokio::select! {
                    () = tokio::time::sleep(wait) => {}
                    _ = limit.cancelled() => {}
                }
                if limit.reason().is_none() {
                    number += 1;
                    continue;
                }
            }
            let (error, seconds) = (Some(error), seconds());
            return StepEnd { status, attempts: number, seconds, outputs: None, error, reason: None, done_by: None };
        }
    }

    /// Leave to look for one attempt.
    pub(super) fn look(&self, reference: &StepRef, cancel: Cancel) -> Look {
        let mut facts = self.facts.clone();
        facts.log_tail = self.emitter.tail();
        let sink = StepSink::new(Arc::clone(&self.emitter), reference.clone());
        Look {
            now: Utc::now(),
            plan_dir: self.request.checked.dir().to_path_buf(),
            env: Arc::clone(&self.env),
            cancel,
            log: Log::new(Arc::new(sink)),
            facts: Arc::new(facts),
            kept: Kept::default(),
        }
    }

    /// The condition and the rendered parameters of a step.
    pub(super) fn ready(&self, step: &StepPlan) -> Result<Ready, StepError> {
        match self.refused(step)? {
            None => self.rendered(step).map(Ready::Go),
            Some(other) => Ok(other),
        }
    }

    /// Why the condition of a step keeps it from running.
    pub(super) fn refused(&self, step: &StepPlan) -> Result<Option<Ready>, StepError> {
        match &step.when {
            None | Some(When::Literal(true)) => Ok(None),
            Some(When::Literal(false)) => Ok(Some(Ready::Skip("`when` is false".to_owned()))),
            Some(When::Expression(text)) => {
                let value = template::parse_expression(text).and_then(|e| e.eval(&self.scope));
                match value.map_err(|p| StepError::new(format!("`when`: {}{}", p.message, self.blame(step))))? {
                    Value::Bool(true) => Ok(None),
                    Value::Bool(false) => Ok(Some(Ready::Skip(format!("`when` is false: {text}")))),
                    Value::Unknown => Ok(Some(Ready::Undecided(format!("`when` is decided at run time: {text}")))),
                    other => {
                        let what = format!("`when` gave {}, expected true or false: {text}", other.kind());
                        Err(StepError::new(what))
                    }
                }
            }
        }
    }

    /// The rendered parameters of a step.
    pub(super) fn rendered(&self, step: &StepPlan) -> Result<Value, StepError> {
        let json = serde_json::Value::Object(scope::parameters(self.plan(), step));
        let mut with = template::render_json(&json, &self.scope).map_err(|(at, p)| {
            match missing::of_step(self.plan(), step, &self.missing) {
                Some(problem) => StepError::new(problem).hint("the steps do not need it, and were run"),
                None => StepError::new(format!("{}{}", scope::said(&at, &p), self.blame(step))),
            }
        })?;
        if let Some(entry) = self.request.registry.get(&step.uses) {
            path_names::check(self.plan(), entry, &json, &self.scope).map_err(|why| {
                StepError::new(why).hint("rename it, or take out what does not fit: `${{ … | replace(\"/\", \"_\") }}`")
            })?;
            paths::anchor(entry, &mut with, self.request.checked.dir())?;
            if entry.takes_database() {
                if entry.needs_dbname {
                    self.named(&with)?;
                }
                self.fill_database(&mut with);
            }
        }
        Ok(with)
    }

    /// Whether something names the database of a step: the step itself, the target, the plan or PGDATABASE. The role's
    /// name, which libpq would take, is hardly what was meant.
    ///
    /// # Errors
    /// Nothing does.
    fn named(&self, with: &Value) -> Result<(), StepError> {
        let is_name = |value: Option<&Value>| value.is_some_and(|v| v.as_text() != Some(""));
        let own = with.get("database").and_then(|d| d.get("dbname"));
        let settings = self.scope.roots.iter().find(|(k, _)| k == "database").map(|(_, settings)| settings);
        let of_plan = settings.and_then(|s| s.get("dbname")).filter(|_| self.plan().database.contains_key("dbname"));
        let of_env = self.request.env.get("PGDATABASE").is_some_and(|name| !name.is_empty());
        if is_name(own) || own.is_none() && (is_name(of_plan) || of_plan.is_none() && of_env) {
            return Ok(());
        }
        let error = StepError::new("no database is named");
        Err(error.hint("write `database: { dbname: … }` in the plan, the target or the step, or set PGDATABASE"))
    }

    /// Puts the plan's database settings under those that the step itself gives.
    fn fill_database(&self, with: &mut Value) {
        let Some((_, Value::Map(settings))) = self.scope.roots.iter().find(|(k, _)| k == "database") else { return };
        let Value::Map(map) = with else { return };
        let own = match map.iter().position(|(k, _)| k == "database") {
            Some(at) => map.remove(at).1,
            None => Value::Map(Vec::new()),
        };
        let mut merged: Vec<(String, Value)> = settings.iter().filter(|(k, _)| own.get(k).is_none()).cloned().collect();
        if let Value::Map(own) = own {
            merged.extend(own);
        }
        map.push(("database".to_owned(), Value::Map(merged)));
    }

    /// Why a name may be missing that the checker knew: a step that has no outputs, since it did not end well.
    fn blame(&self, step: &StepPlan) -> String {
        let names = scope::step_names(self.plan(), step);
        let read = names.iter().filter(|n| n.path.first().is_some_and(|r| r == "steps"));
        let mut ids = read.filter(|n| n.path.get(2).is_some_and(|k| k == "outputs")).filter_map(|n| n.path.get(1));
        let fact = ids.find_map(|id| self.facts.steps.iter().find(|s| &s.label == id && s.status != Status::Ok));
        fact.map_or_else(String::new, |f| format!("; step `{}` has no outputs: {}", f.label, f.status.word()))
    }

    /// Says how a step ended, and lets the rest of the run know.
    pub(super) fn close(&mut self, step: &StepPlan, reference: &StepRef, mut end: StepEnd, limit: &Cancel) {
        let in_steps = reference.section == Section::Steps;
        if end.error.is_some() && in_steps {
            let cut = matches!(end.status, Status::Cancelled) || limit.is_cancelled();
            if step.continue_on_error && !cut {
                end.status = Status::Warning;
                self.warnings += 1;
            } else {
                self.failure = Some(self.failure_of(reference, &end, limit));
            }
        } else if end.error.is_some() {
            self.handler_failed = true;
        }
        let error = end.error.as_ref().map(|e| self.emitter.mask(&e.what));
        if end.status != Status::Skipped || in_steps {
            let made = end.outputs.as_ref().and_then(|outputs| self.made(outputs));
            Arc::make_mut(&mut self.facts.steps).push(StepFact {
                label: reference.label.clone(),
                uses: step.uses.clone(),
                status: end.status,
                allowed: step.continue_on_error,
                publishes: self.request.registry.get(&step.uses).is_some_and(|e| e.publishes),
                seconds: end.seconds,
                attempts: end.attempts,
                error: error.clone(),
                done_by: end.done_by.clone(),
                made,
            });
        }
        if let Some(id) = &step.id {
            let status = Value::from(end.status.word());
            scope::set_step(&mut self.scope, id, status, end.outputs.clone());
        }
        self.emitter.emit(Fact::StepFinished {
            step: reference.clone(),
            status: end.status,
            attempts: end.attempts,
            seconds: end.seconds,
            outputs: end.outputs.as_ref().map_or(serde_json::Value::Null, Value::to_json),
            error,
            hint: end.error.and_then(|e| e.hint),
            reason: end.reason,
            done_by: end.done_by,
        });
    }

    /// The file that a step's outputs name, and its size.
    fn made(&self, outputs: &Value) -> Option<(String, Option<u64>)> {
        let path = self.emitter.mask(outputs.get("path")?.as_text()?);
        let bytes = match outputs.get("bytes") {
            Some(Value::Int(bytes)) => u64::try_from(*bytes).ok(),
            _ => None,
        };
        Some((path, bytes))
    }

    fn failure_of(&self, reference: &StepRef, end: &StepEnd, limit: &Cancel) -> Failure {
        if let (Status::Cancelled | Status::TimedOut, Some(reason)) = (end.status, limit.reason()) {
            return self.cut_short(reason, &reference.label);
        }
        let kind = match (end.status, end.error.as_ref().map(|e| e.class)) {
            (Status::TimedOut, _) => FailureKind::Timeout,
            (_, Some(Class::Unreachable)) => FailureKind::Unreachable,
            (_, Some(Class::Locked)) => FailureKind::Lock,
            _ => FailureKind::Step,
        };
        let error = end.error.as_ref().map(|e| self.emitter.mask(&e.what)).unwrap_or_default();
        let hint = end.error.as_ref().and_then(|e| e.hint.as_ref()).map(|h| self.emitter.mask(h));
        Failure { kind, step: reference.label.clone(), error, hint }
    }

    /// The failure of a run that was stopped from outside its steps.
    pub(super) fn cut_short(&self, reason: Reason, step: &str) -> Failure {
        let limit = self.plan().timeout;
        let (kind, error) = match (reason, limit) {
            (Reason::Deadline, Some(limit)) => (FailureKind::Timeout, format!("the plan's timeout of {limit} passed")),
            (Reason::Deadline, None) => (FailureKind::Timeout, "the time allowed passed".to_owned()),
            (other, _) => {
                let Failure { kind, error, .. } = stopped(other).0;
                (kind, error)
            }
        };
        Failure { kind, step: step.to_owned(), error, hint: None }
    }
}

/// The level at which a dry run says what it could not look at.
pub(super) const UNSEEN: Level = Level::Warn;
