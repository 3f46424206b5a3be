//! The lock of a target, or of a plan without targets.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use super::emit::Emitter;
use super::{Aim, End, Request, failed, stopped};
use crate::cancel::Cancel;
use crate::files;
use crate::plan::Overlap;
use crate::step::{Exclusion, Failure, FailureKind, Level};
use crate::template::{self, Scope};
use crate::value::Value;

/// The locks that the targets of one run hold, by key: two of them with the same key hold one lock, and do not exclude
/// each other.
#[derive(Default)]
pub struct Locks {
    held: Mutex<BTreeMap<String, Weak<files::Lock>>>,
    /// Opened for the first of them: with 2,000 targets it would be checked as often.
    dir: Mutex<Option<Arc<files::LockDir>>>,
    /// A key that the plan names is for the whole run.
    kept: Mutex<Vec<Arc<files::Lock>>>,
}

impl Locks {
    fn try_acquire(
        &self,
        request: &Request,
        key: &str,
        run: &str,
    ) -> std::io::Result<Result<Arc<files::Lock>, String>> {
        let plan = request.checked.plan();
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(lock) = held.get(key).and_then(Weak::upgrade) {
            return Ok(Ok(lock));
        }
        let attempt = self.dir(request)?.try_acquire(key, &plan.name, run).or_else(|_| {
            // The folder was removed, or what is wrong is said of a folder that is opened now.
            *self.dir.lock().unwrap_or_else(PoisonError::into_inner) = None;
            self.dir(request)?.try_acquire(key, &plan.name, run)
        });
        match attempt? {
            files::Attempt::Busy(holder) => Ok(Err(holder)),
            files::Attempt::Held(lock) => {
                let lock = Arc::new(lock);
                held.insert(key.to_owned(), Arc::downgrade(&lock));
                if plan.lock.key.is_some() {
                    self.kept.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::clone(&lock));
                }
                Ok(Ok(lock))
            }
        }
    }

    fn dir(&self, request: &Request) -> std::io::Result<Arc<files::LockDir>> {
        let mut dir = self.dir.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(dir) = dir.as_ref() {
            return Ok(Arc::clone(dir));
        }
        Ok(Arc::clone(dir.insert(Arc::new(files::LockDir::open(&request.env)?))))
    }

    /// Takes the lock of a target, or says who holds it.
    pub async fn hold(
        &self,
        (request, aim): (&Request, &Aim),
        scope: &Scope,
        run: &str,
        emitter: &Emitter,
        stop: &Cancel,
    ) -> Result<Arc<files::Lock>, (Failure, End)> {
        let lock = &request.checked.plan().lock;
        let key =
            key(aim, scope).map_err(|p| (failed(FailureKind::Lock, format!("`lock.key`: {p}"), None), End::Failed))?;
        let deadline = Instant::now() + lock.wait.0;
        let mut told = false;
        loop {
            match self.try_acquire(request, &key, run) {
                Ok(Ok(lock)) => return Ok(lock),
                Ok(Err(holder)) => {
                    let wait = lock.overlap == Overlap::Wait;
                    if !wait || Instant::now() >= deadline {
                        let waited = if wait { format!(" after {} of waiting", lock.wait) } else { String::new() };
                        let what = format!("another run holds the lock{waited}: {holder}");
                        let hint = "wait for it to end, or set `lock.overlap: wait`";
                        return Err((failed(FailureKind::Lock, what, Some(hint)), End::Lock));
                    }
                    if !told {
                        emitter.say(Level::Info, format!("waiting for the lock, at most {}: {holder}", lock.wait));
                        told = true;
                    }
                }
                Err(error) => {
                    let what = format!("the lock cannot be taken: {error}");
                    return Err((failed(FailureKind::Lock, what, None), End::Journal));
                }
            }
            tokio::select! {
                () = tokio::time::sleep(Duration::from_millis(500)) => {}
                reason = stop.cancelled() => return Err(stopped(reason)),
            }
        }
    }
}

/// Whom the steps of a target that write to a database exclude there. The server and its database are known there, however
/// they are named here. A key that cannot be rendered is told where the lock is taken.
pub fn exclusion(aim: &Aim, scope: &Scope) -> Exclusion {
    let plan = aim.checked.plan();
    let usual = || format!("{}|{}", plan.name, aim.target.as_deref().unwrap_or("-"));
    let named = plan.lock.key.as_ref().and_then(|_| key(aim, scope).ok());
    let wait = if plan.lock.overlap == Overlap::Wait { plan.lock.wait.0 } else { Duration::ZERO };
    Exclusion { key: named.unwrap_or_else(usual), wait }
}

/// The key of a target's lock: plan, target, server and database, or what the plan says.
fn key(aim: &Aim, scope: &Scope) -> Result<String, String> {
    let plan = aim.checked.plan();
    let Some(text) = &plan.lock.key else {
        let part = |name: &str| {
            let database = scope.roots.iter().find(|(k, _)| k == "database");
            database.and_then(|(_, d)| d.get(name)).map(|v| v.to_json().to_string()).unwrap_or_default()
        };
        let target = aim.target.as_deref().unwrap_or("-");
        return Ok(format!("{}|{target}|{}:{}|{}", plan.name, part("host"), part("port"), part("dbname")));
    };
    let template = template::parse(text).map_err(|p| p[0].message.clone())?;
    Ok(match template.render(scope).map_err(|p| p.message)? {
        Value::Text(key) => key,
        other => other.to_json().to_string(),
    })
}
