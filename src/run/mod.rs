//! The interpreter: secrets, the lock, one step after the other, attempts, handlers, and the same without touching
//! anything for a dry run. Everything that happens becomes an event; nothing is printed here.

mod attempt;
mod backoff;
mod doctor;
mod emit;
mod ending;
mod folder;
mod logs;
mod paths;
mod pick;
mod preflight;
mod preview;
mod scope;
mod secrets;
mod steps;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use chrono::{DateTime, SecondsFormat, Utc};

use crate::cancel::{Cancel, Reason};
use crate::event::{Fact, Outcome, Reader, Section, StepRef};
use crate::files;
use crate::plan::{Checked, Overlap, StepPlan};
use crate::secret::{Redactor, Secret};
use crate::step::{Env, Failure, FailureKind, Level, Registry, RunFacts};
use crate::template::{self, Scope};
use crate::value::{Map, Value};

pub use attempt::quiet_panics;
pub use doctor::{Diagnosis, doctor};
pub use ending::End;
pub use folder::{default_logs, folder_of_runs};
pub use pick::Pick;

use emit::Emitter;
use steps::Runner;

/// Opens the journal of a run in its folder, which does not exist yet.
pub type OpenJournal = Box<dyn FnOnce(&Path) -> io::Result<Arc<dyn Reader>> + Send>;

/// Everything a run needs that it does not find by itself.
pub struct Request {
    pub checked: Checked,
    pub registry: Registry,
    /// The values of the plan's parameters, all of them.
    pub params: Map,
    /// The environment as it was when the program started.
    pub env: Env,
    /// The name of this machine.
    pub host: String,
    /// Whether the program was started in the root folder, where relative paths are warned of.
    pub at_root: bool,
    pub pick: Pick,
    /// Raised by the first signal: the steps stop, the handlers run.
    pub stop: Cancel,
    /// Raised by the second signal: the handlers stop too.
    pub abort: Cancel,
    /// Who listens besides the journal.
    pub readers: Vec<Arc<dyn Reader>>,
    pub open_journal: OpenJournal,
    /// The exit code of an end, for the closing event.
    pub exit_code: fn(End) -> u8,
}

/// How a run ended, for whoever started it.
#[derive(Debug, Clone)]
pub struct Ended {
    pub end: End,
    pub run: String,
    /// The folder of the run's log; none after a dry run, or when it could not be made.
    pub log_dir: Option<PathBuf>,
}

/// The parts of a run that both kinds of it share.
struct Begun {
    id: String,
    started_at: DateTime<Utc>,
    clock: Instant,
    scope: Scope,
    log_dir: PathBuf,
}

/// Runs a plan.
pub async fn run(mut request: Request) -> Ended {
    let begun = begin(&request);
    let emitter = Emitter::new(std::mem::take(&mut request.readers));
    let open = std::mem::replace(&mut request.open_journal, Box::new(|_| Err(io::Error::other("opened already"))));
    let journal = open(&begun.log_dir);
    let log_dir = journal.is_ok().then(|| begun.log_dir.clone());
    let mut failure = None;
    let mut ends = Vec::new();
    match journal {
        Ok(reader) => emitter.add(reader),
        Err(error) => {
            ends.push(End::Journal);
            let what = format!("the log folder `{}` cannot be written: {error}", begun.log_dir.display());
            failure =
                Some(failed(FailureKind::Step, what, Some("make it writable, or name another one under `logs.dir`")));
        }
    }

    // The redactor knows every password that is at hand before the first event is written.
    let mut scope = begun.scope;
    let fetched = secrets::fetch(&request, &scope).await;
    emitter.redact_with(Redactor::new(&fetched.known));
    scope::set(&mut scope, "secrets", Value::Map(fetched.values));
    let broken = scope::compute(&mut scope, request.checked.plan(), &request.env);
    let known: Vec<Secret> = fetched.known.into_iter().chain(password(&scope)).collect();
    emitter.redact_with(Redactor::new(&known));

    emitter.emit(started(&request, &begun.id, false));
    fetched.warnings.iter().for_each(|w| emitter.say(Level::Warn, w.clone()));
    if request.at_root
        && let Some(dir) = request.checked.plan().logs.dir.as_ref().filter(|d| !d.starts_with(['/', '$']))
    {
        emitter.say(Level::Warn, paths::said("logs.dir", dir));
    }
    if failure.is_none()
        && let Some((found, end)) = unready(&request, &fetched.problems, &broken)
    {
        failure = Some(found);
        ends.push(end);
    }
    let lock = match failure {
        None => hold(&request, &scope, &begun.id, &emitter).await,
        Some(_) => Ok(None),
    };
    if let Err((found, end)) = &lock {
        failure = Some(found.clone());
        ends.push(*end);
    }

    let facts = facts(&request, &scope, &begun.id, begun.started_at, Some(&begun.log_dir));
    let plan = request.checked.plan();
    let limit = request.stop.child(plan.timeout.map(|t| t.0));
    if failure.is_none() {
        let ahead = Runner::new(&request, Arc::clone(&emitter), scope.clone(), facts.clone());
        if let Some((found, end)) = preflight::before(ahead, &limit).await {
            failure = Some(found);
            ends.push(end);
        }
    }
    let mut runner = Runner::new(&request, Arc::clone(&emitter), scope, facts);
    match failure {
        Some(failure) => {
            runner.failure = Some(failure);
            runner.skip_all("the run failed before its first step");
        }
        None => {
            runner.steps(&limit).await;
            ends.extend(runner.end(&limit, &request.stop));
        }
    }
    if let (None, Some(error)) = (&runner.failure, emitter.broken()) {
        runner.failure = Some(failed(FailureKind::Step, format!("the log cannot be written: {error}"), None));
    }
    ends.extend(emitter.broken().map(|_| End::Journal));
    runner.handlers().await;

    // A run of some steps alone takes no place from a whole one, which may be the last that is known to be good.
    if runner.failure.is_none() && !runner.handler_failed && left_out(&request).is_empty() {
        logs::prune(&begun.log_dir, plan.logs.keep, &emitter);
    }
    let end = End::worst(ends, runner.warnings);
    let result = match end {
        End::Done => Outcome::Ok,
        End::Warnings => Outcome::Warning,
        _ => Outcome::Failed,
    };
    emitter.emit(Fact::RunFinished {
        result,
        exit_code: (request.exit_code)(end),
        seconds: begun.clock.elapsed().as_secs_f64(),
        warnings: runner.warnings,
        failure: runner.failure.clone(),
    });
    drop(lock);
    Ended { end, run: begun.id, log_dir }
}

/// Shows what a run would do: the same decisions, and no leave to act on them.
pub async fn preview(mut request: Request) -> Ended {
    let begun = begin(&request);
    let emitter = Emitter::new(std::mem::take(&mut request.readers));
    let mut scope = begun.scope;
    let fetched = secrets::fetch_for_looking(&request, &scope).await;
    scope::set(&mut scope, "secrets", Value::Map(fetched.values));
    let broken = scope::compute(&mut scope, request.checked.plan(), &request.env);
    let known: Vec<Secret> = fetched.known.into_iter().chain(password(&scope)).collect();
    emitter.redact_with(Redactor::new(&known));
    emitter.emit(started(&request, &begun.id, true));
    let mut ends = Vec::new();
    let mut failure = None;
    let facts = facts(&request, &scope, &begun.id, begun.started_at, None);
    let mut runner = Runner::new(&request, Arc::clone(&emitter), scope, facts);
    if let Some((found, end)) = unready(&request, &fetched.problems, &broken) {
        emitter.emit(Fact::Failed { failure: found.clone() });
        failure = Some(found);
        ends.push(end);
    } else {
        runner.preview(&request.stop).await;
        ends.extend(runner.end(&request.stop, &request.stop));
    }
    let end = End::worst(ends, runner.warnings);
    emitter.emit(Fact::RunFinished {
        result: match end {
            End::Done => Outcome::Ok,
            End::Warnings => Outcome::Warning,
            _ => Outcome::Failed,
        },
        exit_code: (request.exit_code)(end),
        seconds: begun.clock.elapsed().as_secs_f64(),
        warnings: runner.warnings,
        failure: failure.or(runner.failure.clone()),
    });
    Ended { end, run: begun.id, log_dir: None }
}

/// How many ids are tried until one has no folder of logs yet: many runs of a plan may begin in one second.
const IDS: usize = 100;

fn begin(request: &Request) -> Begun {
    let mut begun = begin_as_new(request);
    for _ in 1..IDS {
        if !begun.log_dir.exists() {
            break;
        }
        begun = begin_as_new(request);
    }
    begun
}

fn begin_as_new(request: &Request) -> Begun {
    let clock = Instant::now();
    let started_at = Utc::now();
    let mut random = [0u8; 2];
    // Without a source of randomness the process number keeps two runs of one second apart.
    if getrandom::fill(&mut random).is_err() {
        random = (std::process::id() as u16).to_be_bytes();
    }
    let id = format!("{}-{:02x}{:02x}", started_at.format("%Y%m%dT%H%M%SZ"), random[0], random[1]);
    let plan = request.checked.plan();
    let started = started_at.to_rfc3339_opts(SecondsFormat::Secs, true);
    let mut scope = scope::ground(&scope::Ground {
        plan,
        dir: request.checked.dir(),
        params: &request.params,
        env: &request.env,
        run: &id,
        started_at: &started,
        host: &request.host,
    });
    let log_dir = folder::of_logs(plan, &scope, &request.env).join(&plan.name).join(&id);
    let text = |path: &Path| Value::Text(path.to_string_lossy().into_owned());
    scope::set_log(&mut scope, text(&log_dir), text(&log_dir.join("run.log")));
    Begun { id, started_at, clock, scope, log_dir }
}

fn failed(kind: FailureKind, error: String, hint: Option<&str>) -> Failure {
    Failure { kind, step: "-".to_owned(), error, hint: hint.map(str::to_owned) }
}

/// What keeps a run from its first step: secrets and variables that are missing, all at once, or a var that cannot be
/// computed.
fn unready(request: &Request, problems: &[String], broken: &[scope::Broken]) -> Option<(Failure, End)> {
    let mut missing: Vec<String> = problems.to_vec();
    let env = scope::missing_env(request.checked.plan(), &request.env);
    missing.extend(env.iter().map(|name| format!("the environment variable `{name}` is not set")));
    if !missing.is_empty() {
        let hint = "set what is missing, then run the plan again; nothing was done";
        return Some((failed(FailureKind::Secret, missing.join("; "), Some(hint)), End::Secret));
    }
    let first = broken.first()?;
    Some((failed(FailureKind::Step, format!("`{}`: {}", first.place, first.problem), None), End::Failed))
}

/// The database password that the settings resolved to.
fn password(scope: &Scope) -> Option<Secret> {
    let database = scope.roots.iter().find(|(k, _)| k == "database")?;
    match database.1.get("password")? {
        Value::Secret(secret) => Some(secret.clone()),
        _ => None,
    }
}

fn started(request: &Request, id: &str, dry_run: bool) -> Fact {
    let plan = request.checked.plan();
    Fact::RunStarted {
        run: id.to_owned(),
        plan: plan.name.clone(),
        plan_file: request.checked.file().to_owned(),
        host: request.host.clone(),
        tool_version: env!("CARGO_PKG_VERSION").to_owned(),
        pid: std::process::id(),
        dry_run,
        params: Value::Map(request.params.clone()).to_json(),
        left_out: left_out(request),
        steps: plan.steps.iter().enumerate().map(|(i, s)| step_ref(Section::Steps, i, s, s.name.clone())).collect(),
    }
}

/// The labels of the steps that the command line leaves out.
fn left_out(request: &Request) -> Vec<String> {
    let plan = request.checked.plan();
    let steps = plan.steps.iter().enumerate().filter(|(i, s)| request.pick.refuses(plan, *i, s).is_some());
    steps.map(|(i, s)| step_ref(Section::Steps, i, s, None).label).collect()
}

/// A step as events name it.
fn step_ref(section: Section, index: usize, step: &StepPlan, name: Option<String>) -> StepRef {
    let label = step.id.clone().unwrap_or_else(|| format!("{}[{index}] ({})", section.key(), step.uses));
    StepRef { section, index, label, name, uses: step.uses.clone() }
}

fn facts(request: &Request, scope: &Scope, id: &str, started_at: DateTime<Utc>, log_dir: Option<&Path>) -> RunFacts {
    let database = scope.roots.iter().find(|(k, _)| k == "database").and_then(|(_, d)| d.get("dbname"));
    RunFacts {
        plan: request.checked.plan().name.clone(),
        run: id.to_owned(),
        started_at,
        host: request.host.clone(),
        target: None,
        database: database.and_then(Value::as_text).map(str::to_owned),
        log_file: log_dir.map(|d| d.join("run.log")),
        log_dir: log_dir.map(Path::to_path_buf),
        failure: None,
        steps: Vec::new(),
        log_tail: Vec::new(),
        upcoming: Vec::new(),
    }
}

type Held = Result<Option<files::Lock>, (Failure, End)>;

/// Takes the plan's lock, or says who holds it.
async fn hold(request: &Request, scope: &Scope, id: &str, emitter: &Emitter) -> Held {
    let plan = request.checked.plan();
    let key = match &plan.lock.key {
        None => {
            let part = |name: &str| {
                let database = scope.roots.iter().find(|(k, _)| k == "database");
                database.and_then(|(_, d)| d.get(name)).map(|v| v.to_json().to_string()).unwrap_or_default()
            };
            format!("{}|-|{}:{}|{}", plan.name, part("host"), part("port"), part("dbname"))
        }
        Some(text) => {
            let rendered = template::parse(text).map_err(|p| p[0].message.clone());
            match rendered.and_then(|t| t.render(scope).map_err(|p| p.message)) {
                Ok(Value::Text(key)) => key,
                Ok(other) => other.to_json().to_string(),
                Err(problem) => {
                    return Err((failed(FailureKind::Lock, format!("`lock.key`: {problem}"), None), End::Failed));
                }
            }
        }
    };
    let deadline = Instant::now() + plan.lock.wait.0;
    let mut told = false;
    loop {
        match files::Lock::try_acquire(&request.env, &key, &plan.name, id) {
            Ok(files::Attempt::Held(lock)) => return Ok(Some(lock)),
            Ok(files::Attempt::Busy(holder)) => {
                let wait = plan.lock.overlap == Overlap::Wait;
                if !wait || Instant::now() >= deadline {
                    let waited = if wait { format!(" after {} of waiting", plan.lock.wait) } else { String::new() };
                    let what = format!("another run holds the lock{waited}: {holder}");
                    let hint = "wait for it to end, or set `lock.overlap: wait`";
                    return Err((failed(FailureKind::Lock, what, Some(hint)), End::Lock));
                }
                if !told {
                    emitter.say(Level::Info, format!("waiting for the lock, at most {}: {holder}", plan.lock.wait));
                    told = true;
                }
            }
            Err(error) => {
                let what = format!("the lock cannot be taken: {error}");
                return Err((failed(FailureKind::Lock, what, None), End::Journal));
            }
        }
        tokio::select! {
            () = tokio::time::sleep(std::time::Duration::from_millis(500)) => {}
            reason = request.stop.cancelled() => return Err(stopped(reason)),
        }
    }
}

fn stopped(reason: Reason) -> (Failure, End) {
    let (word, end) = match reason {
        Reason::Terminate => ("terminated by SIGTERM", End::Terminated),
        _ => ("interrupted by SIGINT", End::Interrupted),
    };
    (failed(FailureKind::Signal, word.to_owned(), None), end)
}
