//! Before the first step: what every step will need is looked at, all faults at once, with the parameters as far as they
//! are known. A run stops here only when going on is in vain.

use std::sync::Arc;
use std::time::Duration;

use super::steps::{Ready, Runner};
use super::{End, scope};
use crate::cancel::Cancel;
use crate::diag;
use crate::event::{Section, StepRef};
use crate::plan::{Plan, StepPlan, When};
use crate::step::{
    Alters, Area, Check, Entry, Failure, FailureKind, Level, Log, Look, Preflight, Probe, StepError, Verdict,
};
use crate::value::{AT_RUN_TIME, Value};

/// With what leave is looked ahead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leave {
    /// In a dry run: looking alone.
    Look,
    /// Before a run, when there is little time.
    Quick,
    /// For a person who asked.
    Thorough,
}

impl Leave {
    /// How long one step is looked at. What does not answer is left to fail by itself.
    fn limit(self) -> Duration {
        Duration::from_secs(if self == Self::Thorough { 60 } else { 5 })
    }
}

/// What was seen for one step that may run.
#[derive(Debug)]
pub struct Seen {
    pub step: StepRef,
    pub checks: Vec<Check>,
    /// It surely runs, and its failure would be the run's.
    counts: bool,
    /// It makes something that is of use by itself.
    publishes: bool,
}

/// A check in one line.
pub fn said(check: &Check) -> String {
    let hint = check.hint.as_ref().map(|h| format!(" (help: {h})")).unwrap_or_default();
    format!("{}{hint}", check.text)
}

/// All lists of a plan, in the order in which they run.
pub(super) fn lists(plan: &Plan) -> [(Section, &Vec<StepPlan>); 4] {
    [
        (Section::Steps, &plan.steps),
        (Section::OnFailure, &plan.on_failure),
        (Section::OnSuccess, &plan.on_success),
        (Section::Finally, &plan.finally),
    ]
}

impl Runner<'_> {
    /// A good run fails nowhere: what a handler reads of the failure is known when there is one.
    pub(super) fn foresee_failure(&mut self) {
        let unknown = ["kind", "step", "error"].map(|k| (k.to_owned(), Value::Unknown));
        scope::set(&mut self.scope, "failure", Value::Map(unknown.to_vec()));
    }

    /// Looks at what every step and handler will need. The scope then knows what is known of their outputs: this is not
    /// the runner that runs them.
    pub async fn look_at_all(&mut self, leave: Leave, stop: &Cancel) -> Vec<Seen> {
        let plan = self.plan();
        let mut all = Vec::new();
        let mut before = Before::default();
        for (section, list) in lists(plan) {
            if section == Section::OnFailure {
                self.foresee_failure();
            }
            for (index, step) in list.iter().enumerate() {
                if stop.is_cancelled() {
                    return all;
                }
                let reference = self.reference(section, index, step);
                if self.taken(section, &reference.label).is_some() {
                    continue;
                }
                let picked = section != Section::Steps || self.request.pick.refuses(plan, index, step).is_none();
                let condition = self.refused(step);
                if !picked || matches!(condition, Ok(Some(Ready::Skip(_)))) {
                    if let Some(id) = &step.id {
                        scope::set_step(&mut self.scope, id, Value::from("skipped"), None);
                    }
                    continue;
                }
                let mut seen = self.look_ahead(step, leave, stop).await;
                seen.checks.extend(condition.as_ref().err().map(|e| self.told(Check::failed(Area::Parameters, e))));
                let entry = self.request.registry.get(&step.uses);
                let alters = seen.alters.or(entry.map(|e| e.alters)).unwrap_or(Alters::Nothing);
                if matches!(condition, Ok(Some(Ready::Undecided(_)))) {
                    seen.checks.iter_mut().for_each(|c| only_if(c, step, section));
                }
                seen.checks.iter_mut().for_each(|c| before.temper(c));
                self.learn(step, &seen.outputs);
                self.facts.upcoming.extend(seen.archives);
                all.push(Seen {
                    counts: section == Section::Steps && matches!(condition, Ok(None)) && !step.continue_on_error,
                    publishes: entry.is_some_and(|e| e.publishes),
                    checks: seen.checks,
                    step: reference.clone(),
                });
                match alters {
                    Alters::Nothing => {}
                    Alters::Space => before.space = true,
                    Alters::Anything => before.anything = Some(reference.label),
                }
            }
        }
        all
    }

    /// Leave to look whose log nobody reads: what is found is told by its checks.
    pub(super) fn quiet_look(&self, stop: &Cancel) -> Look {
        Look {
            now: chrono::Utc::now(),
            plan_dir: self.request.checked.dir().to_path_buf(),
            env: Arc::clone(&self.env),
            cancel: stop.child(None),
            log: Log::default(),
            facts: Arc::new(self.facts.clone()),
            kept: self.kept.clone(),
        }
    }

    /// Looks at what one step will need.
    pub(super) async fn look_ahead(&self, step: &StepPlan, leave: Leave, stop: &Cancel) -> Preflight {
        let fault = |verdict, error: &StepError| {
            Preflight::from(vec![Check { verdict, ..Check::failed(Area::Parameters, error) }])
        };
        let Some(entry) = self.request.registry.get(&step.uses) else { return Preflight::default() };
        let with = match self.rendered(step) {
            Ok(with) => with,
            // What is missing is a problem of its own, and said there.
            Err(error) if self.lacking || !self.missing.is_empty() => return fault(Verdict::Warning, &error),
            Err(error) => {
                let mut seen = fault(Verdict::Problem, &error);
                // Without a database there is nothing to publish, whatever comes before it.
                seen.checks.iter_mut().for_each(|c| c.in_vain = entry.needs_dbname);
                return seen;
            }
        };
        let unknown = with.has_unknown();
        if with.get("database").is_some_and(Value::has_unknown) {
            return Preflight::default();
        }
        let look = self.quiet_look(stop);
        // On a thread of its own: a share that does not answer must not hold up the rest.
        let (handle, limit) = (tokio::runtime::Handle::current(), leave.limit());
        let looking = tokio::task::spawn_blocking(move || handle.block_on(one(entry, with, look, leave)));
        let mut seen = match tokio::time::timeout(limit, looking).await {
            Ok(Ok(Ok(seen))) => seen,
            // A number or a flag that only the run will know.
            Ok(Ok(Err(_))) if unknown => Preflight::default(),
            Ok(Ok(Err(error))) => fault(Verdict::Problem, &error),
            Ok(Err(_)) => fault(Verdict::Warning, &StepError::new("it could not be looked at: an internal fault")),
            Err(_) => {
                let what = format!("what it needs could not be looked at within {} s", limit.as_secs());
                fault(Verdict::Warning, &StepError::new(what).hint("does a share or a server not answer?"))
            }
        };
        seen.checks.retain(|c| !c.text.contains(AT_RUN_TIME));
        seen.checks = seen.checks.into_iter().map(|c| self.told(c)).collect();
        seen
    }

    /// A check without what is secret, and only then in one line: the names in it are others', like those of tables.
    fn told(&self, check: Check) -> Check {
        let clean = |text: &String| diag::clean(&self.emitter.mask(text));
        Check { text: clean(&check.text), hint: check.hint.as_ref().map(clean), ..check }
    }
}

/// Says of a problem that only the run will know whether its step runs, and takes from it that it surely is one. What waits
/// for a failure keeps that: an alert that cannot be sent is a problem before there is anything to tell.
fn only_if(check: &mut Check, step: &StepPlan, section: Section) {
    if let (Verdict::Problem, Some(When::Expression(condition))) = (check.verdict, &step.when) {
        if section == Section::Steps {
            check.verdict = Verdict::Warning;
        }
        check.text = format!("only if `{}`: {}", diag::clean(condition.trim()), check.text);
    }
}

/// What the steps before one may change of what it needs.
#[derive(Debug, Default)]
struct Before {
    space: bool,
    /// The last one that may change whatever it likes.
    anything: Option<String>,
}

impl Before {
    /// Takes from a check what it cannot know.
    fn temper(&self, check: &mut Check) {
        // Parameters stay as they are, whatever comes before.
        let changes = self.anything.is_some() || self.space && check.area == Area::Space;
        check.in_vain &= check.area == Area::Parameters || !changes;
        if let (Some(step), Area::Folder | Area::Program | Area::Space, Verdict::Problem) =
            (&self.anything, check.area, check.verdict)
        {
            check.verdict = Verdict::Warning;
            check.hint = Some(format!("`{step}` comes before it and may see to that"));
        }
    }
}

/// What makes the run one in vain, if anything does: a dump that cannot be made, where its failure would be the run's and
/// nothing of use is made before it. Every problem is named.
pub fn in_vain(all: &[Seen]) -> Option<(Failure, End)> {
    let mut doomed = None;
    for seen in all.iter().filter(|s| s.step.section == Section::Steps) {
        match seen.checks.iter().find(|c| c.in_vain) {
            Some(check) if seen.counts => {
                doomed = Some((seen, check));
                break;
            }
            None if seen.publishes => return None,
            _ => {}
        }
    }
    let (seen, first) = doomed?;
    let denied = seen.checks.iter().any(|c| c.in_vain && c.area == Area::Right);
    let mut texts: Vec<&str> = seen.checks.iter().filter(|c| c.in_vain).map(|c| c.text.as_str()).collect();
    let others = all.iter().flat_map(|s| &s.checks).filter(|c| c.verdict == Verdict::Problem && !c.in_vain);
    texts.extend(others.map(|c| c.text.as_str()));
    let mut known = std::collections::BTreeSet::new();
    texts.retain(|t| known.insert(*t));
    let failure = Failure {
        kind: FailureKind::Preflight,
        step: seen.step.label.clone(),
        error: texts.join("; "),
        hint: first.hint.clone(),
    };
    Some((failure, if denied { End::Secret } else { End::Failed }))
}

/// Looks at everything before the first step of a run, says what is not well, and gives what makes it one in vain.
/// What is said of a clock that is wrong by more than a day is put into `wrong_clock`.
pub async fn before(mut runner: Runner<'_>, stop: &Cancel, wrong_clock: &mut Option<String>) -> Option<(Failure, End)> {
    let all = runner.look_at_all(Leave::Quick, stop).await;
    *wrong_clock = all.iter().flat_map(|s| &s.checks).find(|c| c.holds_removal).map(|c| c.text.clone());
    // What is missing is said already.
    let missing: Vec<String> = runner.missing.iter().map(|m| diag::clean(&runner.emitter.mask(&m.problem))).collect();
    let mut known: std::collections::BTreeSet<&String> = missing.iter().collect();
    for seen in &all {
        for check in &seen.checks {
            if known.insert(&check.text) {
                let level = if check.verdict == Verdict::Ok { Level::Debug } else { Level::Warn };
                let text = format!("preflight: {}: {}: {}", seen.step.label, check.verdict.word(), said(check));
                runner.emitter.say(level, text);
            }
        }
    }
    if stop.is_cancelled() { None } else { in_vain(&all) }
}

/// The look, and where there is leave, the questions.
async fn one(entry: &'static Entry, with: Value, look: Look, leave: Leave) -> Result<Preflight, StepError> {
    let mut seen = entry.preflight(with.clone(), &look).await?;
    if leave != Leave::Look {
        let probe = Probe::begin(look, leave == Leave::Thorough);
        seen.checks.extend(entry.probe(with, &probe).await?);
    }
    Ok(seen)
}
