//! What a run takes over from an earlier one that it goes on with: steps and targets that ended well are not done again.
//!
//! What is taken over is said before the lock and whatever else may fail, so that the journal of this run knows it and a
//! third one can go on with this one.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::{Duration, Instant};

use chrono::{NaiveDateTime, SecondsFormat, Utc};

use super::emit::Emitter;
use super::steps::Runner;
use super::{Aim, End, Request, failed, scope, step_ref, stopped};
use crate::cancel::{Cancel, Reason};
use crate::event::{Fact, Resumes, Section};
use crate::plan::{Checked, Plan, StepPlan};
use crate::secret::MASK;
use crate::step::{
    Entry, Env, Failure, FailureKind, Kept, Level, Log, Look, Progress, Registry, Sink, Status, StepError,
};
use crate::template::Name;
use crate::value::{Map, Value};

/// What there is of the earlier run.
#[derive(Debug, Clone)]
pub struct Resumed {
    pub resumes: Resumes,
    /// Steps of targets that did not end well, or of a plan without targets; see [`Resumed::keep`].
    pub steps: Vec<Taken>,
    /// Targets that ended well.
    pub targets: Vec<TakenTarget>,
    /// For each target the run with whose id and time its vars were computed.
    pub vars_of: Vec<(Option<String>, String)>,
}

/// A step that is done.
#[derive(Debug, Clone)]
pub struct Taken {
    pub target: Option<String>,
    /// The id, else like `steps[3] (copy)`.
    pub label: String,
    pub uses: String,
    /// `ok`, or `warning` where the plan allows its failure; before [`Resumed::keep`] any.
    pub status: Status,
    /// A map, masked; null after a failure.
    pub outputs: serde_json::Value,
    pub error: Option<String>,
    /// The run that did it.
    pub run: String,
}

/// A target that is done.
#[derive(Debug, Clone)]
pub struct TakenTarget {
    pub name: String,
    pub status: Status,
    pub warnings: u32,
    /// The run that did it.
    pub run: String,
}

/// How long a look at what was taken over may give no sign: a share that does not answer is no reason to wait for ever.
const LOOK: Duration = Duration::from_secs(60);

/// When a look last came on.
struct Signs(Mutex<Instant>);

impl Signs {
    /// Ends when there was none for too long.
    async fn silence(&self) {
        loop {
            let last = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
            match LOOK.checked_sub(last.elapsed()) {
                Some(left) => tokio::time::sleep(left).await,
                None => return,
            }
        }
    }
}

impl Sink for Signs {
    fn line(&self, _: Level, _: &str) {}

    fn progress(&self, _: &Progress) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }
}

impl Resumed {
    /// Whether there is anything that is not done again.
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty() && self.targets.is_empty()
    }

    fn step(&self, target: Option<&str>, label: &str) -> Option<&Taken> {
        self.steps.iter().find(|s| s.target.as_deref() == target && s.label == label)
    }

    /// Keeps the steps that are done and that the plan as it is now has: with the same name and executor, and all outputs
    /// that such a step has. What follows one that is not kept may hang on it, and is done again too. In a plan that has
    /// `changed`, a step without an id may be another one by now, and is not kept.
    /// Gives the targets that have nothing else to do.
    pub fn keep(&mut self, plan: &Plan, registry: &Registry, changed: bool) -> BTreeSet<String> {
        let all = std::mem::take(&mut self.steps);
        let targets: BTreeSet<&Option<String>> = all.iter().map(|t| &t.target).collect();
        let mut whole: BTreeSet<String> = targets.iter().filter_map(|t| (*t).clone()).collect();
        for target in targets {
            for (at, step) in plan.steps.iter().enumerate() {
                let label = label(at, step);
                let taken = all.iter().find(|t| t.target == *target && t.label == label);
                match taken {
                    // Its condition is asked anew.
                    Some(taken) if taken.status == Status::Skipped => {}
                    Some(taken) if fits(taken, plan, step, registry) && (!changed || step.id.is_some()) => {
                        self.steps.push(taken.clone());
                    }
                    _ => {
                        whole.retain(|name| target.as_ref() != Some(name));
                        break;
                    }
                }
            }
        }
        whole
    }

    /// Whether every output that a step to come may read is known: a secret one is not, the journal does not keep it.
    /// `left_out` tells whether the command line leaves a step out.
    ///
    /// # Errors
    /// The first one that is read: the step that has it, its name, and the step that reads it.
    pub fn readable(
        &self,
        aims: &[Aim],
        left_out: &dyn Fn(usize, &StepPlan) -> bool,
    ) -> Result<(), (String, String, String)> {
        for aim in aims {
            let (plan, target) = (aim.checked.plan(), aim.target.as_deref());
            let steps =
                plan.steps.iter().enumerate().filter(|(at, s)| !left_out(*at, s)).map(|(at, s)| (label(at, s), s));
            let to_come = steps.filter(|(label, _)| self.step(target, label).is_none());
            let handlers = [(Section::OnFailure, &plan.on_failure), (Section::OnSuccess, &plan.on_success)];
            let handlers = handlers.into_iter().chain([(Section::Finally, &plan.finally)]);
            let handlers = handlers.flat_map(|(section, list)| {
                list.iter().enumerate().map(move |(at, s)| (step_ref(section, at, s, None).label, s))
            });
            for (reader, step) in to_come.chain(handlers) {
                let names = scope::step_names(plan, step);
                let of = |s: &&Taken| s.target.as_deref() == target;
                for taken in self.steps.iter().filter(of) {
                    let hidden = taken.outputs.as_object().into_iter().flatten().filter(|(_, value)| masked(value));
                    if let Some((output, _)) = hidden.into_iter().find(|(o, _)| reads(&names, &taken.label, o)) {
                        return Err((taken.label.clone(), output.clone(), reader));
                    }
                }
            }
        }
        Ok(())
    }

    /// Says of each target that is done that it is.
    pub fn tell_targets(&self, emitter: &Emitter) {
        for target in &self.targets {
            emitter.of(&target.name).emit(Fact::TargetFinished {
                status: target.status,
                exit_code: 0,
                seconds: 0.0,
                warnings: target.warnings,
                failure: None,
                reason: Some(done_by(&target.run)),
                done_by: Some(target.run.clone()),
            });
        }
    }
}

/// Whether one of the names is that output, or holds it.
fn reads(names: &[Name], step: &str, output: &str) -> bool {
    let whole = ["steps", step, "outputs", output];
    names.iter().any(|name| name.path.iter().zip(whole).all(|(part, of)| part == of))
}

/// Why a step or a target is not done again.
pub fn done_by(run: &str) -> String {
    format!("done by run {run}")
}

/// The name of a step of the list.
fn label(at: usize, step: &StepPlan) -> String {
    step_ref(Section::Steps, at, step, None).label
}

/// Whether what was done is what the step says.
fn fits(taken: &Taken, plan: &Plan, step: &StepPlan, registry: &Registry) -> bool {
    let complete = || registry.get(&step.uses).is_some_and(|e| complete(e, plan, step, &taken.outputs));
    let done = match taken.status {
        Status::Ok => complete(),
        Status::Warning => step.continue_on_error,
        _ => false,
    };
    done && taken.uses == step.uses
}

/// Whether the outputs are all that a step of this kind has.
fn complete(entry: &Entry, plan: &Plan, step: &StepPlan, outputs: &serde_json::Value) -> bool {
    let with = serde_json::Value::Object(scope::parameters(plan, step));
    let schema = entry.outputs(&with);
    let mut names = schema.get("properties").and_then(|p| p.as_object()).into_iter().flat_map(|p| p.keys());
    outputs.as_object().is_some_and(|known| names.all(|name| known.contains_key(name)))
}

/// Whether a value holds what stands in place of a secret. One that was written so looks the same, and is as unknown.
pub fn masked(value: &serde_json::Value) -> bool {
    match value {
        serde_json::Value::String(text) => text.contains(MASK),
        serde_json::Value::Array(items) => items.iter().any(masked),
        serde_json::Value::Object(map) => map.iter().any(|(key, value)| key.contains(MASK) || masked(value)),
        _ => false,
    }
}

/// The run with whose id and time the vars of a target are computed, where that is an earlier one: when it made archives
/// that this run takes over, they bear names made of them.
pub fn vars_of<'r>(request: &'r Request, aim: &Aim) -> Option<&'r str> {
    let resumed = request.resumed.as_ref()?;
    let made = |t: &Taken| t.target == aim.target && request.registry.get(&t.uses).is_some_and(|e| e.publishes);
    let of = resumed.vars_of.iter().find(|(target, _)| *target == aim.target);
    of.filter(|_| resumed.steps.iter().any(made)).map(|(_, run)| run.as_str())
}

/// The time in the id of a run, as templates read it.
pub fn time_of(run: &str) -> Option<String> {
    let time = NaiveDateTime::parse_from_str(run.get(..16)?, "%Y%m%dT%H%M%SZ").ok()?;
    Some(time.and_utc().to_rfc3339_opts(SecondsFormat::Secs, true))
}

/// Whether what these steps made is still what their outputs say, asked before a target is taken over as a whole. What
/// does not is told when the target is run.
pub fn stand(checked: &Checked, registry: &Registry, steps: Vec<Taken>) -> bool {
    let cancel = Cancel::new();
    let look = Look {
        now: Utc::now(),
        plan_dir: checked.dir().to_path_buf(),
        env: Arc::default(),
        cancel: cancel.clone(),
        log: Log::default(),
        facts: Arc::default(),
        kept: Kept::default(),
    };
    let entries: Vec<_> = steps.into_iter().filter_map(|s| Some((registry.get(&s.uses)?, s.outputs))).collect();
    let (tell, told) = mpsc::channel();
    // On a thread of its own, which is left behind when a share does not answer.
    std::thread::spawn(move || tell.send(entries.iter().all(|(entry, outputs)| entry.stands(outputs, &look).is_ok())));
    let stand = told.recv_timeout(LOOK).unwrap_or(false);
    cancel.cancel(Reason::Deadline);
    stand
}

/// Which database is meant, like `db1:5432/app`, as far as it can be told without a secret; none otherwise.
pub fn place(aim: &Aim, env: &Env, host: &str) -> Option<String> {
    let mut plan = aim.checked.plan().clone();
    plan.database.remove("password");
    let mut scope = scope::ground(&scope::Ground {
        plan: &plan,
        dir: aim.checked.dir(),
        params: &aim.params,
        env,
        run: "",
        started_at: "",
        host,
    });
    if let Some(target) = &aim.target {
        scope::set_target(&mut scope, target, &aim.labels);
    }
    scope::set(&mut scope, "secrets", Value::Map(Map::new()));
    scope::compute(&mut scope, &plan, aim.checked.dir(), env);
    let database = &scope.roots.iter().find(|(k, _)| k == "database")?.1;
    let part = |name: &str| match database.get(name)? {
        Value::Int(number) => Some(number.to_string()),
        other => other.as_text().map(str::to_owned),
    };
    Some(format!("{}:{}/{}", part("host")?, part("port")?, part("dbname")?))
}

/// Whether a plan has to do with its database at all.
pub fn uses_database(checked: &Checked, registry: &Registry) -> bool {
    let plan = checked.plan();
    let takes = |step: &StepPlan| registry.get(&step.uses).is_some_and(Entry::takes_database);
    let reads = |names: Vec<Name>| names.iter().any(|n| n.path.first().is_some_and(|r| r == "database"));
    plan.vars.values().any(|v| reads(scope::names(v)))
        || scope::all_steps(plan).any(|s| takes(s) || reads(scope::step_names(plan, s)))
}

impl<'a> Runner<'a> {
    /// The step of that name, if it is done.
    pub(super) fn taken(&self, section: Section, label: &str) -> Option<&'a Taken> {
        let resumed = self.request.resumed.as_ref().filter(|_| section == Section::Steps)?;
        resumed.step(self.aim.target.as_deref(), label)
    }

    /// Lets the rest of the run know what is done, and says it.
    pub fn take_over(&mut self) {
        for (index, step) in self.plan().steps.iter().enumerate() {
            let reference = self.reference(Section::Steps, index, step);
            if let Some(taken) = self.taken(Section::Steps, &reference.label) {
                self.close(step, &reference, taken.into(), &Cancel::new());
            }
        }
    }

    /// Whether what is taken over is still what its outputs say, all that is not at once.
    pub async fn stands(&self, stop: &Cancel) -> Option<(Failure, End)> {
        let mut problems: Vec<(String, StepError)> = Vec::new();
        let mut known = BTreeSet::new();
        for (index, step) in self.plan().steps.iter().enumerate() {
            let Some(taken) = self.taken(Section::Steps, &label(index, step)) else { continue };
            let Some(entry) = self.request.registry.get(&step.uses) else { continue };
            let signs = Arc::new(Signs(Mutex::new(Instant::now())));
            let look = Look { log: Log::new(Arc::clone(&signs) as Arc<dyn Sink>), ..self.quiet_look(stop) };
            let outputs = taken.outputs.clone();
            let looking = tokio::task::spawn_blocking(move || entry.stands(&outputs, &look));
            let found = tokio::select! {
                looked = looking => looked
                    .unwrap_or_else(|_| Err(StepError::new("it could not be looked at: an internal fault"))),
                () = signs.silence() => {
                    let what = format!("nothing was heard of what it made for {} s", LOOK.as_secs());
                    Err(StepError::new(what).hint("does a share not answer?"))
                }
                _ = stop.cancelled() => Err(StepError::cancelled()),
            };
            if let (Err(_), Some(reason)) = (&found, stop.reason()) {
                let end = if reason == Reason::Deadline { End::Timeout } else { stopped(reason).1 };
                return Some((self.cut_short(reason, "-"), end));
            }
            // A copy, or a check of the same archive, says nothing new.
            if let Err(error) = found
                && known.insert(error.what.clone())
            {
                problems.push((
                    format!("what `{}` did in run {} does not stand: {}", taken.label, taken.run, error.what),
                    error,
                ));
            }
        }
        let hint = problems.iter().find_map(|(_, error)| error.hint.clone());
        let texts: Vec<&str> = problems.iter().map(|(text, _)| text.as_str()).collect();
        let failure = failed(FailureKind::Preflight, texts.join("; "), hint.as_deref());
        (!problems.is_empty()).then_some((failure, End::Failed))
    }
}
