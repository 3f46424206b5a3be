//! One attempt at a step: decided and done in a task of its own, and what its error means.

use std::panic;
use std::sync::Arc;
use std::time::Duration;

use super::emit::Emitter;
use super::stopped;
use crate::cancel::{Cancel, Reason};
use crate::event::{Fact, StepRef};
use crate::plan::{RetryOn, StepPlan};
use crate::step::{Class, Entry, Look, Status, StepError, Touch};
use crate::value::Value;

/// How long a step that was told to stop may take to clean up before it is given up.
const GRACE: Duration = Duration::from_secs(30);

/// Decides and does one attempt, in a task of its own so that a panic in an executor is a failed step and no more.
pub async fn once(
    entry: &'static Entry,
    with: Value,
    look: Look,
    emitter: &Arc<Emitter>,
    reference: &StepRef,
    attempt: u32,
) -> Result<Value, StepError> {
    let cancel = look.cancel.clone();
    let (emitter, step) = (Arc::clone(emitter), reference.clone());
    let mut task = tokio::spawn(async move {
        let decided = entry.plan(with, &look).await?;
        let lines = decided.preview.lines.clone();
        emitter.emit(Fact::Decided { step, attempt, lines });
        if look.cancel.is_cancelled() {
            return Err(StepError::cancelled());
        }
        let touch = Touch::begin(look);
        decided.apply(&touch).await
    });
    let given_up = async {
        cancel.cancelled().await;
        tokio::time::sleep(GRACE).await;
    };
    let joined = tokio::select! {
        joined = &mut task => joined,
        () = given_up => {
            task.abort();
            return Err(StepError::cancelled());
        }
    };
    joined.unwrap_or_else(|error| {
        let said = match error.try_into_panic() {
            Ok(panic) => panic_text(panic.as_ref()),
            Err(_) => "the task was ended".to_owned(),
        };
        Err(StepError::new(format!("an internal fault: {said}"))
            .hint("please report it; nothing after this step was done"))
    })
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|s| (*s).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "a panic".to_owned())
}

/// What an attempt's error means once it is known whether it was told to stop.
pub fn judge(error: StepError, step: &StepPlan, cancel: &Cancel, limit: &Cancel) -> (Status, StepError) {
    match (cancel.reason(), limit.reason()) {
        (Some(Reason::Deadline), None) => {
            let limit = step.timeout.map(|t| t.to_string()).unwrap_or_default();
            let mut said = StepError::new(format!("the step's timeout of {limit} passed")).class(Class::Timeout);
            if error.class != Class::Cancelled {
                said.what = format!("{}; {}", said.what, error.what);
            }
            (Status::TimedOut, said)
        }
        (Some(_), Some(Reason::Deadline)) => (Status::TimedOut, StepError::new("the plan's timeout passed")),
        (Some(reason), _) => (Status::Cancelled, StepError::new(stopped(reason).0.error).class(Class::Cancelled)),
        (None, _) if error.class == Class::Timeout => (Status::TimedOut, error),
        (None, _) => (Status::Failed, error),
    }
}

/// Whether a kind of failure named under `retry.errors` covers this one.
pub fn covers(on: RetryOn, status: Status, class: Class) -> bool {
    match on {
        RetryOn::Transient => class.is_transient(),
        RetryOn::Timeout => status == Status::TimedOut,
        RetryOn::Exit(code) => class == Class::Exit(code),
    }
}

/// A number between 0 and 1 for the jitter.
pub fn chance() -> f64 {
    let mut byte = [0u8; 1];
    match getrandom::fill(&mut byte) {
        Ok(()) => f64::from(byte[0]) / 255.0,
        Err(_) => 1.0,
    }
}

/// Keeps the panic hook from printing a payload that may quote a secret: the failed step says it, masked.
pub fn quiet_panics() {
    panic::set_hook(Box::new(|info| {
        let place = info.location().map(ToString::to_string).unwrap_or_default();
        tracing::debug!("panic at {place}");
    }));
}
