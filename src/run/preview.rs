//! A dry run: each step's decision, and nothing done. It holds no leave to touch.

use super::preflight::{self, Leave, lists};
use super::steps::{Ready, Runner, UNSEEN};
use super::{attempt, scope};
use crate::cancel::Cancel;
use crate::event::{Fact, Section, StepRef};
use crate::plan::StepPlan;
use crate::step::{Class, Failure, FailureKind, Level, Preview, Status, StepError, Verdict};
use crate::value::{AT_RUN_TIME, Map, Value};

impl Runner<'_> {
    /// Shows the decision of each step and of each handler. A step that cannot be decided is a failure, and the next
    /// one is shown all the same.
    pub async fn preview(&mut self, stop: &Cancel) {
        let plan = self.plan();
        self.take_over();
        for (section, list) in lists(plan) {
            if section == Section::OnFailure {
                self.foresee_failure();
            }
            for (index, step) in list.iter().enumerate() {
                if stop.is_cancelled() {
                    return;
                }
                self.show(section, index, step, stop).await;
            }
        }
    }

    async fn show(&mut self, section: Section, index: usize, step: &StepPlan, stop: &Cancel) {
        let reference = self.reference(section, index, step);
        if self.taken(section, &reference.label).is_some() {
            return;
        }
        self.emitter.emit(Fact::StepStarted { step: reference.clone(), attempt: 1 });
        let refused =
            (section == Section::Steps).then(|| self.request.pick.refuses(self.plan(), index, step)).flatten();
        let ready = match refused {
            Some(reason) => Ok(Ready::Skip(reason)),
            None => self.ready(step),
        };
        let (status, reason, error) = match ready {
            Ok(Ready::Skip(reason)) => (Status::Skipped, Some(reason), None),
            Ok(Ready::Undecided(reason)) => {
                self.decided(&reference, vec![reason]);
                self.learn(step, &[]);
                (Status::Ok, None, None)
            }
            Ok(Ready::Go(with)) if with.has_unknown() => {
                self.decided(&reference, outline(&with));
                self.learn(step, &[]);
                (Status::Ok, None, None)
            }
            Ok(Ready::Go(with)) => match self.decide(step, with, &reference, stop).await {
                Ok(preview) => {
                    self.decided(&reference, preview.lines.clone());
                    self.warn(step, &reference, stop).await;
                    self.facts.upcoming.extend(preview.archives.iter().cloned());
                    self.learn(step, &preview.outputs);
                    (Status::Ok, None, None)
                }
                Err(error) if error.class == Class::Sealed => {
                    let text = format!("not looked at: {}", error.what);
                    self.emitter.emit(Fact::Line { step: Some(reference.clone()), level: UNSEEN, text });
                    self.learn(step, &[]);
                    (Status::Ok, None, None)
                }
                Err(error) => (Status::Failed, None, Some(error)),
            },
            Err(error) => (Status::Failed, None, Some(error)),
        };
        let status = if error.is_some() && step.continue_on_error { Status::Warning } else { status };
        match (&error, status, section) {
            (Some(_), Status::Warning, _) => self.warnings += 1,
            (Some(e), _, Section::Steps) => self.fail(&reference, e),
            _ => {}
        }
        if status == Status::Skipped {
            if let Some(id) = &step.id {
                scope::set_step(&mut self.scope, id, Value::from(status.word()), None);
            }
        } else if error.is_some() {
            self.learn(step, &[]);
        }
        self.emitter.emit(Fact::StepFinished {
            step: reference,
            status,
            attempts: 0,
            seconds: 0.0,
            outputs: serde_json::Value::Null,
            hint: error.as_ref().and_then(|e| e.hint.clone()),
            error: error.map(|e| e.what),
            reason,
            done_by: None,
        });
    }

    async fn decide(
        &self,
        step: &StepPlan,
        with: Value,
        reference: &StepRef,
        stop: &Cancel,
    ) -> Result<Preview, StepError> {
        let entry = self.request.registry.get(&step.uses);
        let entry = entry.ok_or_else(|| StepError::new(format!("there is no executor `{}`", step.uses)))?;
        let look = self.look(reference, stop.child(attempt::time_limit(reference.section, step).map(|t| t.0)));
        Ok(entry.plan(with, &look).await?.preview)
    }

    /// What the preflight would say of a step that can be decided.
    async fn warn(&mut self, step: &StepPlan, reference: &StepRef, stop: &Cancel) {
        let seen = self.look_ahead(step, Leave::Look, stop).await;
        if let Some(check) = seen.checks.iter().find(|c| c.holds_removal) {
            self.facts.wrong_clock = Some(check.text.clone());
        }
        for check in seen.checks.into_iter().filter(|c| c.verdict != Verdict::Ok) {
            let step = Some(reference.clone());
            self.emitter.emit(Fact::Line { step, level: Level::Warn, text: preflight::said(&check) });
        }
    }

    fn decided(&self, reference: &StepRef, lines: Vec<String>) {
        self.emitter.emit(Fact::Decided { step: reference.clone(), attempt: 1, lines });
    }

    /// What later steps may read of this one: what its decision knows, the rest as known at run time.
    pub(super) fn learn(&mut self, step: &StepPlan, known: &[(String, Option<Value>)]) {
        let Some(id) = &step.id else { return };
        let with = serde_json::Value::Object(scope::parameters(self.plan(), step));
        let schema = self.request.registry.get(&step.uses).map(|e| e.outputs(&with)).unwrap_or_default();
        let names = schema.get("properties").and_then(|p| p.as_object()).map(|p| p.keys().cloned().collect::<Vec<_>>());
        let known = |name: &str| {
            let found = known.iter().find(|(n, _)| n == name);
            found.and_then(|(_, v)| v.clone()).unwrap_or(Value::Unknown)
        };
        let outputs: Map = names.unwrap_or_default().into_iter().map(|n| (n.clone(), known(&n))).collect();
        scope::set_step(&mut self.scope, id, Value::Unknown, Some(Value::Map(outputs)));
    }

    fn fail(&mut self, reference: &StepRef, error: &StepError) {
        if self.failure.is_none() {
            let kind = if error.class == Class::Unreachable { FailureKind::Unreachable } else { FailureKind::Step };
            let (step, hint) = (reference.label.clone(), error.hint.clone());
            self.failure = Some(Failure { kind, step, error: self.emitter.mask(&error.what), hint });
        }
    }
}

/// The parameters of a step that cannot be decided yet, one a line.
fn outline(with: &Value) -> Vec<String> {
    let mut lines = vec![format!("decided {}, with:", AT_RUN_TIME.trim_matches(['(', ')']).replace("known ", ""))];
    if let Value::Map(map) = with {
        for (key, value) in map.iter().filter(|(k, _)| k != "database") {
            let json = value.to_json();
            let text = json.as_str().map_or_else(|| json.to_string(), str::to_owned);
            lines.push(format!("  {key}: {text}"));
        }
    }
    lines
}
