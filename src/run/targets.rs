//! The targets of a run, one after the other or several at a time. A plan without targets is a run over one that has no
//! name.
//!
//! Each runs all steps and its own handlers, under its own lock and with a log of its own. What becomes of one concerns no
//! other, unless the plan says `fail_fast`.

use std::sync::Arc;
use std::time::Instant;

use super::begin::Begun;
use super::emit::Emitter;
use super::lock::{self, Locks};
use super::missing::{Missing, MissingSecret};
use super::secrets::Secrets;
use super::steps::Runner;
use super::walk::{Walk, group};
use super::{Aim, End, Request, failed, preflight, resumed, scope, stopped, unready};
use crate::cancel::{Cancel, Reason};
use crate::event::Fact;
use crate::secret::Secret;
use crate::step::{Failure, FailureKind, RunFacts, Status};
use crate::template::Scope;
use crate::value::Value;

/// A target before its first step.
#[derive(Clone)]
pub struct Work {
    /// Its place among the request's.
    pub aim: usize,
    pub scope: Scope,
    pub facts: RunFacts,
    /// What keeps it from its first step.
    pub failure: Option<(Failure, End)>,
    /// The secrets that only handlers read and that are missing.
    missing: Vec<MissingSecret>,
    /// How many warnings there are before its first step that count in its result.
    warnings: u32,
    /// What it has in common with those that do not run at the same time.
    group: Option<String>,
    /// Its task broke, and what is left are its handlers.
    broke: bool,
}

/// Every target with what was fetched and computed for it.
pub struct Prepared {
    pub works: Vec<Work>,
    /// Every secret value at hand.
    pub known: Vec<Secret>,
    pub warnings: Vec<String>,
    /// The names of roles, databases, targets and the plan, which texts have anyway.
    pub names: Vec<String>,
}

/// Fetches the secrets, those of each source once, and computes what the targets' templates read. To look, fetches just
/// the database passwords.
pub async fn prepare(request: &Request, begun: &Begun, to_look: bool) -> Prepared {
    let mut secrets = Secrets::new(request);
    let mut prepared = Prepared { works: Vec::new(), known: Vec::new(), warnings: Vec::new(), names: Vec::new() };
    for (at, aim) in request.aims.iter().enumerate() {
        let mut scope = begun.scope(request, aim);
        let mut fetched =
            if to_look { secrets.fetch_for_looking(aim, &scope).await } else { secrets.fetch(aim, &scope).await };
        let group = group(aim, &scope);
        if to_look {
            fetched.seal_missing(aim.checked.plan());
        }
        scope::set(&mut scope, "secrets", Value::Map(fetched.values.clone()));
        let broken = compute(request, aim, begun, &mut scope);
        let missing = Missing::of(aim.checked.plan(), &fetched.problems, &request.env);
        prepared.names.extend(names(request, aim, &scope));
        let weak = fetched.weak(&prepared.names);
        let failure = match group {
            Ok(_) => unready(aim, &missing, &broken),
            Err(ref problem) => Some((failed(FailureKind::Step, problem.clone(), None), End::Failed)),
        };
        for secret in fetched.known.into_iter().chain(password(&scope)) {
            if !prepared.known.contains(&secret) {
                prepared.known.push(secret);
            }
        }
        let warnings = u32::try_from(missing.by_handlers.len()).unwrap_or(u32::MAX);
        let Missing { by_handlers, by_nobody, secrets: missing, .. } = missing;
        for warning in fetched.warnings.into_iter().chain(weak).chain(by_handlers).chain(by_nobody) {
            if !prepared.warnings.contains(&warning) {
                prepared.warnings.push(warning);
            }
        }
        let facts = facts(request, aim, begun, &scope, to_look);
        let group = group.unwrap_or_default();
        prepared.works.push(Work { aim: at, scope, facts, failure, missing, warnings, group, broke: false });
    }
    prepared
}

/// Computes the database settings and the vars, which may be those of an earlier run.
fn compute(request: &Request, aim: &Aim, begun: &Begun, scope: &mut Scope) -> Vec<scope::Broken> {
    let earlier = resumed::vars_of(request, aim).and_then(|run| Some((run, resumed::time_of(run)?)));
    if let Some((run, started_at)) = &earlier {
        scope::set_moment(scope, run, started_at);
    }
    let broken = scope::compute(scope, aim.checked.plan(), aim.checked.dir(), &request.env);
    scope::set_moment(scope, &begun.id, &begun.time());
    broken
}

/// The database password that the settings resolved to.
pub fn password(scope: &Scope) -> Option<Secret> {
    let database = scope.roots.iter().find(|(k, _)| k == "database")?;
    match database.1.get("password")? {
        Value::Secret(secret) => Some(secret.clone()),
        _ => None,
    }
}

/// The names that texts about a target have anyway, also where a secret is the same: of its role, its database, itself and
/// the plan.
pub fn names(request: &Request, aim: &Aim, scope: &Scope) -> Vec<String> {
    let database = scope.roots.iter().find(|(k, _)| k == "database").map(|(_, settings)| settings);
    let of = |key: &str| database.and_then(|d| d.get(key)).and_then(Value::as_text).map(str::to_owned);
    let plan = request.checked.plan().name.clone();
    [Some(plan), aim.target.clone(), of("user"), of("dbname")].into_iter().flatten().collect()
}

/// What the steps of a target may know of the run.
pub fn facts(request: &Request, aim: &Aim, begun: &Begun, scope: &Scope, dry_run: bool) -> RunFacts {
    let setting = |name: &str| scope.roots.iter().find(|(k, _)| k == "database").and_then(|(_, d)| d.get(name));
    let port = match setting("port") {
        Some(Value::Int(port)) => u16::try_from(*port).ok(),
        _ => None,
    };
    RunFacts {
        plan: request.checked.plan().name.clone(),
        run: begun.id.clone(),
        started_at: begun.started_at,
        host: request.host.clone(),
        target: aim.target.clone(),
        database: setting("dbname").and_then(Value::as_text).map(str::to_owned),
        server: setting("host").and_then(Value::as_text).map(str::to_owned).zip(port),
        wrong_clock: None,
        own_servers_only: dry_run && !request.connect,
        exclusion: lock::exclusion(aim, scope),
        log_file: (!dry_run).then(|| begun.log_file(aim)),
        log_dir: (!dry_run).then(|| begun.log_dir.clone()),
        failure: None,
        resume: None,
        steps: Arc::default(),
        log_tail: Vec::new(),
        upcoming: Vec::new(),
    }
}

/// What became of a target.
#[derive(Debug)]
pub struct Done {
    /// Its place among the request's.
    pub aim: usize,
    pub end: End,
    pub warnings: u32,
    pub failure: Option<Failure>,
    pub handler_failed: bool,
    /// It never began.
    pub skipped: bool,
}

impl Done {
    fn status(&self) -> Status {
        match (self.end, self.failure.as_ref().map(|f| f.kind)) {
            _ if self.skipped => Status::Skipped,
            (End::Done, _) => Status::Ok,
            (End::Warnings, _) => Status::Warning,
            (End::Timeout, _) => Status::TimedOut,
            (_, Some(FailureKind::Signal | FailureKind::Cancelled)) => Status::Cancelled,
            _ => Status::Failed,
        }
    }
}

/// Runs the targets, as many at a time as the plan allows, in its order.
pub async fn all(request: &Arc<Request>, run: &str, emitter: &Arc<Emitter>, works: Vec<Work>) -> Vec<Done> {
    let plan = request.checked.plan();
    let fail_fast = plan.targets.as_ref().is_some_and(|t| t.fail_fast);
    let stop = request.stop.child(None);
    let locks = Arc::new(Locks::default());
    let mut walk = Walk::new(plan, works, |work: &Work| work.group.as_deref());
    let mut done: Vec<Done> = Vec::new();
    loop {
        let may = |alone| may_begin(&stop, &done, alone);
        walk.begin(may, |work| {
            let (request, run, stop, locks) = (Arc::clone(request), run.to_owned(), stop.clone(), Arc::clone(&locks));
            let emitter = of(&request, work.aim, emitter);
            async move { one(&request, &run, &emitter, work, &stop, &locks).await }
        });
        let Some((work, ended)) = walk.next().await else { break };
        let ended = match ended {
            Some(ended) => ended,
            None if !work.broke => {
                walk.again(broken(work));
                continue;
            }
            None => given_up(request, work, emitter),
        };
        if fail_fast && ended.failure.is_some() {
            stop.cancel(Reason::FailFast);
        }
        done.push(ended);
    }
    for work in walk.rest() {
        let end = stop.reason().map_or(End::Failed, |r| stopped(r).1);
        let skipped = Done { aim: work.aim, end, warnings: 0, failure: None, handler_failed: false, skipped: true };
        let reason = stop.reason().map(|r| stopped(r).0.error);
        close(request, &of(request, work.aim, emitter), &skipped, 0.0, reason);
        done.push(skipped);
    }
    done.sort_by_key(|d| d.aim);
    done
}

/// Whether another target may begin. When the run was told to stop none does, unless none heard of it: then one more is
/// begun and cut short, so that its handlers tell of it.
fn may_begin(stop: &Cancel, done: &[Done], alone: bool) -> bool {
    let heard = || done.iter().any(|d| d.failure.is_some());
    match stop.reason() {
        None => true,
        Some(Reason::FailFast) => false,
        Some(_) => alone && !heard(),
    }
}

/// Where the events of a target start.
fn of(request: &Request, aim: usize, emitter: &Arc<Emitter>) -> Arc<Emitter> {
    match &request.aims[aim].target {
        Some(name) => emitter.of(name),
        None => Arc::clone(emitter),
    }
}

/// A target whose task broke. What an executor does wrong is caught at its step, so this is our own fault; its handlers
/// tell of it.
fn broken(work: Work) -> Work {
    let hint = "please report it; the other targets are run all the same";
    let failure = failed(FailureKind::Step, "an internal fault".to_owned(), Some(hint));
    Work { failure: Some((failure, End::Failed)), broke: true, ..work }
}

/// One whose handlers broke too.
fn given_up(request: &Request, work: Work, emitter: &Arc<Emitter>) -> Done {
    let failure = work.failure.map(|(failure, _)| failure);
    let done = Done { aim: work.aim, end: End::Failed, warnings: 0, failure, handler_failed: true, skipped: false };
    close(request, &of(request, work.aim, emitter), &done, 0.0, None);
    done
}

/// Says that a target has ended.
fn close(request: &Request, emitter: &Emitter, done: &Done, seconds: f64, reason: Option<String>) {
    if request.aims[done.aim].target.is_some() {
        emitter.emit(Fact::TargetFinished {
            status: done.status(),
            exit_code: (request.exit_code)(done.end),
            seconds,
            warnings: done.warnings,
            failure: done.failure.clone(),
            reason,
            done_by: None,
        });
    }
}

/// Says that a target begins.
pub fn open(request: &Request, aim: &Aim, facts: &RunFacts, emitter: &Emitter) {
    if aim.target.is_some() {
        emitter.emit(Fact::TargetStarted {
            params: Value::Map(aim.params.clone()).to_json(),
            database: facts.database.clone(),
            log_file: facts.log_file.clone(),
            place: resumed::place(aim, &request.env, &request.host),
            vars_of: resumed::vars_of(request, aim).map(str::to_owned),
        });
    }
}

/// Runs one target from its lock to its last handler.
async fn one(request: &Request, run: &str, emitter: &Arc<Emitter>, work: Work, stop: &Cancel, locks: &Locks) -> Done {
    let clock = Instant::now();
    let aim = &request.aims[work.aim];
    let Work { scope, facts, failure, broke, missing, warnings, .. } = work;
    let mut runner = Runner::new(request, aim, Arc::clone(emitter), scope, facts);
    (runner.missing, runner.warnings) = (missing, warnings);
    if !broke {
        open(request, aim, &runner.facts, emitter);
        runner.take_over();
    }
    let (mut failure, end) = failure.unzip();
    let mut ends: Vec<End> = end.into_iter().collect();
    let mut lock = None;
    if failure.is_none() {
        match locks.hold((request, aim), &runner.scope, run, emitter, stop).await {
            Ok(held) => lock = Some(held),
            Err((found, end)) => {
                failure = Some(found);
                ends.push(end);
            }
        }
    }
    let limit = stop.child(aim.checked.plan().timeout.map(|t| t.0));
    if failure.is_none() {
        let mut ahead = Runner::new(request, aim, Arc::clone(emitter), runner.scope.clone(), runner.facts.clone());
        ahead.missing.clone_from(&runner.missing);
        let found = match runner.stands(&limit).await {
            None => preflight::before(ahead, &limit, &mut runner.facts.wrong_clock).await,
            found => found,
        };
        if let Some((found, end)) = found {
            failure = Some(found);
            ends.push(end);
        }
    }
    match failure {
        Some(failure) => {
            runner.failure = Some(failure);
            if !broke {
                runner.skip_all("the run failed before its first step");
            }
        }
        None => {
            runner.steps(&limit).await;
            ends.extend(runner.end(&limit, stop));
        }
    }
    if let (None, Some(error)) = (&runner.failure, emitter.broken()) {
        runner.failure = Some(failed(FailureKind::Step, format!("the log cannot be written: {error}"), None));
    }
    ends.extend(emitter.broken().map(|_| End::Journal));
    runner.handlers().await;
    let done = Done {
        aim: work.aim,
        end: End::worst(ends, runner.warnings),
        warnings: runner.warnings,
        failure: runner.failure.take(),
        handler_failed: runner.handler_failed,
        skipped: false,
    };
    close(request, emitter, &done, clock.elapsed().as_secs_f64(), None);
    drop(lock);
    done
}

/// Shows what a run would do for one target.
pub async fn preview(request: &Request, emitter: &Arc<Emitter>, work: Work) -> Done {
    let clock = Instant::now();
    let aim = &request.aims[work.aim];
    let emitter = of(request, work.aim, emitter);
    open(request, aim, &work.facts, &emitter);
    let mut runner = Runner::new(request, aim, Arc::clone(&emitter), work.scope, work.facts);
    runner.warnings = work.warnings;
    let mut ends = Vec::new();
    let failure = match work.failure {
        None => runner.stands(&request.stop).await,
        failure => failure,
    };
    if let Some((found, end)) = failure {
        emitter.emit(Fact::Failed { failure: found.clone() });
        if found.kind == FailureKind::Secret {
            // The rest can be shown without what is missing.
            runner.lacking = true;
            runner.preview(&request.stop).await;
            ends.extend(runner.end(&request.stop, &request.stop));
        }
        runner.failure = Some(found);
        ends.push(end);
    } else {
        runner.preview(&request.stop).await;
        ends.extend(runner.end(&request.stop, &request.stop));
    }
    let done = Done {
        aim: work.aim,
        end: End::worst(ends, runner.warnings),
        warnings: runner.warnings,
        failure: runner.failure.take(),
        handler_failed: false,
        skipped: false,
    };
    close(request, &emitter, &done, clock.elapsed().as_secs_f64(), None);
    done
}

/// What a run over all of them failed at, and how it ended.
pub fn together(request: &Request, done: &[Done]) -> (Option<Failure>, End) {
    let warnings =
        done.iter().map(|d| d.warnings).sum::<u32>() + taken(request).iter().map(|t| t.warnings).sum::<u32>();
    let worst = End::worst(done.iter().map(|d| d.end).filter(|e| *e > End::Warnings), warnings);
    if let [only] = done
        && request.aims[only.aim].target.is_none()
    {
        return (only.failure.clone(), worst);
    }
    let failures: Vec<(&str, &Failure)> = done
        .iter()
        .filter_map(|d| Some((request.aims[d.aim].target.as_deref().unwrap_or("-"), d.failure.as_ref()?)))
        .collect();
    let Some((_, first)) = failures.first() else { return (None, worst) };
    let all = done.len() + taken(request).len();
    let unreachable = failures.len() == all && failures.iter().all(|(_, f)| f.kind == FailureKind::Unreachable);
    let end = if unreachable && worst == End::Failed { End::Unreachable } else { worst };
    let named: Vec<String> = failures.iter().take(10).map(|(name, f)| said(name, f)).collect();
    let more = if failures.len() > 10 { format!("; and {} more", failures.len() - 10) } else { String::new() };
    let error = format!("{} of {all} targets failed: {}{more}", failures.len(), named.join("; "));
    let kind = if failures.iter().all(|(_, f)| f.kind == first.kind) { first.kind } else { FailureKind::Step };
    (Some(Failure { kind, step: "-".to_owned(), error, hint: None }), end)
}

/// The targets that an earlier run did.
pub fn taken(request: &Request) -> &[resumed::TakenTarget] {
    request.resumed.as_ref().map_or(&[], |r| &r.targets)
}

fn said(name: &str, failure: &Failure) -> String {
    if failure.step == "-" { format!("`{name}`: {}", failure.error) } else { format!("`{name}` at {}", failure.step) }
}
