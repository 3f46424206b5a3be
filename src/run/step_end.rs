//! How a step ended: for its event, for the steps that follow, and for the end of the run.

use super::resumed::{Taken, done_by};
use crate::step::{Status, StepError};
use crate::value::Value;

/// How a step ended.
pub struct StepEnd {
    pub status: Status,
    pub attempts: u32,
    pub seconds: f64,
    pub outputs: Option<Value>,
    pub error: Option<StepError>,
    pub reason: Option<String>,
    /// The earlier run that did it.
    pub done_by: Option<String>,
}

impl StepEnd {
    pub fn skipped(reason: impl Into<String>) -> Self {
        let reason = Some(reason.into());
        Self { status: Status::Skipped, attempts: 0, seconds: 0.0, outputs: None, error: None, reason, done_by: None }
    }
}

impl From<&Taken> for StepEnd {
    fn from(taken: &Taken) -> Self {
        Self {
            status: taken.status,
            attempts: 0,
            seconds: 0.0,
            outputs: (!taken.outputs.is_null()).then(|| Value::from(&taken.outputs)),
            error: taken.error.as_ref().map(StepError::new),
            reason: Some(done_by(&taken.run)),
            done_by: Some(taken.run.clone()),
        }
    }
}
