//! One attempt at a step: decided and done in a task of its own, and what its error means.

use std::panic;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::emit::Emitter;
use super::stopped;
use crate::cancel::{Cancel, Reason};
use crate::event::{Fact, Section, StepRef};
use crate::plan::{RetryOn, StepPlan};
use crate::quantity::Span;
use crate::step::{Class, Entry, Look, Status, StepError, Touch};
use crate::value::Value;

/// How long a step that was told to stop may take to clean up before it is given up.
const GRACE: Duration = Duration::from_secs(30);

/// How long an attempt of a handler may take where the plan does not say: a mail server that never answers must not keep a
/// run from its end.
const HANDLER_TIMEOUT: Span = Span(Duration::from_secs(300));

/// How long one attempt of a step may take. Handlers always have a limit.
pub fn time_limit(section: Section, step: &StepPlan) -> Option<Span> {
    step.timeout.or((section != Section::Steps).then_some(HANDLER_TIMEOUT))
}

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
pub fn judge(error: StepError, time: Option<Span>, cancel: &Cancel, limit: &Cancel) -> (Status, StepError) {
    match (cancel.reason(), limit.reason()) {
        (Some(Reason::Deadline), None) => {
            let limit = time.map(|t| t.to_string()).unwrap_or_default();
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

/// The place of the last panic.
static PANIC: Mutex<String> = Mutex::new(String::new());

/// Keeps the panic hook from printing a payload that may quote a secret: the failed step says it, masked.
pub fn quiet_panics() {
    panic::set_hook(Box::new(|info| {
        let place = info.location().map(ToString::to_string).unwrap_or_default();
        tracing::debug!("panic at {place}");
        *PANIC.lock().unwrap_or_else(PoisonError::into_inner) = place;
    }));
}

/// Where the program panicked last; empty if it did not.
pub fn last_panic() -> String {
    PANIC.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_handler_has_a_limit_that_its_timeout_overrides() {
        let step = |more: serde_json::Value| {
            let mut json = serde_json::json!({ "uses": "command" });
            json.as_object_mut().expect("a map").extend(more.as_object().expect("a map").clone());
            serde_json::from_value::<StepPlan>(json).expect("a step")
        };
        let seconds = |section, step: &StepPlan| time_limit(section, step).map(|t| t.0.as_secs());
        let (plain, own) = (step(serde_json::json!({})), step(serde_json::json!({ "timeout": "15m" })));
        for section in [Section::OnFailure, Section::OnSuccess, Section::Finally] {
            assert_eq!([seconds(section, &plain), seconds(section, &own)], [Some(300), Some(900)], "{section:?}");
        }
        assert_eq!([seconds(Section::Steps, &plain), seconds(Section::Steps, &own)], [None, Some(900)]);
    }
}
