//! The interpreter: secrets, the lock, one step after the other, attempts, handlers, and the same without touching
//! anything for a dry run. Everything that happens becomes an event; nothing is printed here.

mod aim;
mod attempt;
mod backoff;
mod begin;
mod doctor;
mod emit;
mod ending;
mod folder;
mod lock;
mod logs;
mod missing;
mod outlook;
mod path_names;
mod paths;
mod pick;
mod preflight;
mod preview;
mod resumed;
mod scope;
mod secrets;
mod step_end;
mod steps;
mod targets;
mod walk;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::cancel::{Cancel, Reason};
use crate::event::{Basis, Digest, Fact, Outcome, Pick, Reader, Section, StepRef, Subject};
use crate::plan::{Checked, StepPlan};
use crate::secret::{Redactor, Secret};
use crate::step::{Env, Failure, FailureKind, Level, Registry};
use crate::value::{Map, Value};

pub use aim::{Aim, Aims, Refused};
pub use attempt::{last_panic, quiet_panics};
pub use doctor::{Diagnosis, doctor};
pub use ending::End;
pub use folder::{default_logs, folder_of_runs};
pub use outlook::{Outlook, Revealed, StepOutlook, reveal, secret_names};
pub use paths::anchor as anchor_paths;
pub use resumed::{Resumed, Taken, TakenTarget, masked, place, stand, uses_database};

use begin::{Begun, begin};
use emit::Emitter;
use missing::Missing;
use targets::{Done, Work};

/// Opens the journal of a run in its folder, which does not exist yet.
pub type OpenJournal = Box<dyn FnOnce(&Path) -> io::Result<Arc<dyn Reader>> + Send + Sync>;

/// Everything a run needs that it does not find by itself.
pub struct Request {
    pub checked: Checked,
    pub registry: Registry,
    /// The values of the plan's parameters, without those that targets set.
    pub params: Map,
    /// The names of those that were given by hand.
    pub given: Vec<String>,
    /// What the plan is run for; none only where every target is taken over.
    pub aims: Vec<Aim>,
    /// The targets that the plan selects and the command line left out.
    pub unpicked: Vec<String>,
    /// The environment as it was when the program started.
    pub env: Env,
    /// The name of this machine.
    pub host: String,
    pub pick: Pick,
    /// Secrets that the caller has already, by name: their sources are not asked.
    pub handed: Vec<(String, Secret)>,
    /// In a dry run: passwords also go to servers that only the plan names.
    pub connect: bool,
    /// What is taken over from the run that this one goes on with.
    pub resumed: Option<Resumed>,
    /// Raised by the first signal: the steps stop, the handlers run.
    pub stop: Cancel,
    /// Raised by the second signal: the handlers stop too.
    pub abort: Cancel,
    /// Who listens besides the journal.
    pub readers: Vec<Arc<dyn Reader>>,
    pub open_journal: OpenJournal,
    /// What the run is about whose journal lies in a folder, if that tells.
    pub subject_of: fn(&Path) -> Option<Subject>,
    /// The exit code of an end, for the closing event.
    pub exit_code: fn(End) -> u8,
    /// The command that resumes a run which ends so, from the folder of its log, if it would save anything.
    pub resume_command: fn(&Path, &Checked, End) -> Option<String>,
}

/// How a run ended, for whoever started it.
#[derive(Debug, Clone)]
pub struct Ended {
    pub end: End,
    pub run: String,
    /// The folder of the run's log; none after a dry run, or when it could not be made.
    pub log_dir: Option<PathBuf>,
}

/// Runs a plan, for each of its targets.
pub async fn run(mut request: Request) -> Ended {
    let begun = begin(&request);
    let emitter = Emitter::new(std::mem::take(&mut request.readers));
    let open = std::mem::replace(&mut request.open_journal, Box::new(|_| Err(io::Error::other("opened already"))));
    let journal = open(&begun.log_dir);
    let log_dir = journal.is_ok().then(|| begun.log_dir.clone());
    let unwritten = journal.map(|reader| emitter.add(reader)).map_err(|error| {
        let what = format!("the log folder `{}` cannot be written: {error}", begun.log_dir.display());
        failed(FailureKind::Step, what, Some("make it writable, or name another one under `logs.dir`"))
    });

    // The redactor knows every password that is at hand before the first event is written.
    let mut prepared = targets::prepare(&request, &begun, false).await;
    emitter.redact_with(Redactor::with_names(&prepared.known, &prepared.names));

    emitter.emit(started(&request, &begun.id, &prepared.works, false));
    request.resumed.iter().for_each(|r| r.tell_targets(&emitter));
    prepared.warnings.iter().for_each(|w| emitter.say(Level::Warn, w.clone()));
    if let Err(failure) = &unwritten {
        prepared.works.iter_mut().for_each(|w| w.failure = Some((failure.clone(), End::Journal)));
    }

    let request = Arc::new(request);
    let done = on_a_worker(&request, &begun.id, &emitter, prepared.works).await;
    let good = done.iter().all(|d| d.failure.is_none() && !d.handler_failed && !d.skipped);
    // A run of some steps or targets alone takes no place from a whole one, which may be the last that is known to be good.
    if good && left_out(&request).is_empty() {
        logs::prune(&begun.log_dir, request.checked.plan().logs.keep, request.subject_of, &emitter);
    }
    let end = finish(&request, &begun, &emitter, &done);
    Ended { end, run: begun.id, log_dir }
}

/// Runs the targets from one of the runtime's own threads: started from there, each target begins on the same one. From
/// this thread each would wake another one, and be waited for.
async fn on_a_worker(request: &Arc<Request>, run: &str, emitter: &Arc<Emitter>, works: Vec<Work>) -> Vec<Done> {
    let (request, run, emitter) = (Arc::clone(request), run.to_owned(), Arc::clone(emitter));
    let all = tokio::spawn(async move { targets::all(&request, &run, &emitter, works).await });
    all.await.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))
}

/// Shows what a run would do: the same decisions, and no leave to act on them.
pub async fn preview(mut request: Request) -> Ended {
    let begun = begin(&request);
    let emitter = Emitter::new(std::mem::take(&mut request.readers));
    let prepared = targets::prepare(&request, &begun, true).await;
    emitter.redact_with(Redactor::with_names(&prepared.known, &prepared.names));
    emitter.emit(started(&request, &begun.id, &prepared.works, true));
    request.resumed.iter().for_each(|r| r.tell_targets(&emitter));
    prepared.warnings.iter().for_each(|w| emitter.say(Level::Warn, w.clone()));
    let mut done = Vec::new();
    for work in prepared.works {
        done.push(targets::preview(&request, &emitter, work).await);
    }
    let end = finish(&request, &begun, &emitter, &done);
    Ended { end, run: begun.id, log_dir: None }
}

/// Says how the run ended, all targets together.
fn finish(request: &Request, begun: &Begun, emitter: &Emitter, done: &[Done]) -> End {
    let (failure, end) = targets::together(request, done);
    emitter.emit(Fact::RunFinished {
        result: match end {
            End::Done => Outcome::Ok,
            End::Warnings => Outcome::Warning,
            _ => Outcome::Failed,
        },
        exit_code: (request.exit_code)(end),
        seconds: begun.clock.elapsed().as_secs_f64(),
        warnings: done.iter().map(|d| d.warnings).chain(targets::taken(request).iter().map(|t| t.warnings)).sum(),
        failure,
    });
    end
}

fn failed(kind: FailureKind, error: String, hint: Option<&str>) -> Failure {
    Failure { kind, step: "-".to_owned(), error, hint: hint.map(str::to_owned) }
}

/// What keeps a run from its first step: secrets and variables that a step reads and that are missing, all at once, or a
/// var that cannot be computed.
fn unready(aim: &Aim, missing: &Missing, broken: &[scope::Broken]) -> Option<(Failure, End)> {
    if !missing.by_steps.is_empty() {
        let hint = "set what is missing, then run the plan again; nothing was done";
        return Some((failed(FailureKind::Secret, missing.by_steps.join("; "), Some(hint)), End::Secret));
    }
    let first = broken.iter().find(|b| !missing.excuses(aim.checked.plan(), b))?;
    Some((failed(FailureKind::Step, format!("`{}`: {}", first.place, first.problem), None), End::Failed))
}

fn started(request: &Request, id: &str, works: &[Work], dry_run: bool) -> Fact {
    let plan = request.checked.plan();
    let taken = targets::taken(request).iter().map(|t| t.name.clone());
    Fact::RunStarted {
        run: id.to_owned(),
        plan: plan.name.clone(),
        plan_file: request.checked.path(),
        host: request.host.clone(),
        tool_version: env!("CARGO_PKG_VERSION").to_owned(),
        pid: std::process::id(),
        dry_run,
        params: Value::Map(request.params.clone()).to_json(),
        left_out: left_out(request),
        steps: plan.steps.iter().enumerate().map(|(i, s)| step_ref(Section::Steps, i, s, s.name.clone())).collect(),
        targets: taken.chain(request.aims.iter().filter_map(|a| a.target.clone())).collect(),
        database: match (request.aims.as_slice(), works) {
            ([Aim { target: None, .. }], [work]) => work.facts.database.clone(),
            _ => None,
        },
        basis: Some(Box::new(basis(request))),
        resumes: request.resumed.as_ref().map(|r| r.resumes.clone()),
    }
}

/// What a run that goes on with this one needs to know.
fn basis(request: &Request) -> Basis {
    let whole = request.aims.iter().find(|a| a.target.is_none());
    let digest = |(file, sha256): &(String, String)| Digest { file: file.clone(), sha256: sha256.clone() };
    Basis {
        dir: std::env::current_dir().unwrap_or_default().to_string_lossy().into_owned(),
        files: request.checked.digests().iter().map(digest).collect(),
        given: request.given.clone(),
        pick: request.pick.clone(),
        place: whole.and_then(|aim| place(aim, &request.env, &request.host)),
        vars_of: whole.and_then(|aim| resumed::vars_of(request, aim)).map(str::to_owned),
    }
}

/// The labels of the steps that the command line leaves out.
fn left_out(request: &Request) -> Vec<String> {
    let plan = request.checked.plan();
    let steps = plan.steps.iter().enumerate().filter(|(i, s)| request.pick.refuses(plan, *i, s).is_some());
    let steps = steps.map(|(i, s)| step_ref(Section::Steps, i, s, None).label);
    steps.chain(request.unpicked.iter().map(|name| format!("target {name}"))).collect()
}

/// A step as events name it.
fn step_ref(section: Section, index: usize, step: &StepPlan, name: Option<String>) -> StepRef {
    let label = step.id.clone().unwrap_or_else(|| format!("{}[{index}] ({})", section.key(), step.uses));
    StepRef { section, index, label, name, uses: step.uses.clone() }
}

fn stopped(reason: Reason) -> (Failure, End) {
    let (kind, word, end) = match reason {
        Reason::Terminate => (FailureKind::Signal, "terminated by SIGTERM", End::Terminated),
        Reason::Hangup => (FailureKind::Signal, "terminated by SIGHUP", End::Terminated),
        Reason::Quit => (FailureKind::Signal, "terminated by SIGQUIT", End::Terminated),
        Reason::FailFast => {
            (FailureKind::Cancelled, "another target failed, and the plan says `fail_fast`", End::Failed)
        }
        _ => (FailureKind::Signal, "interrupted by SIGINT", End::Interrupted),
    };
    (failed(kind, word.to_owned(), None), end)
}
