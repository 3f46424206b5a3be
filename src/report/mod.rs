//! Readers of events for whoever sits in front: lines and progress bars on a terminal, one document for programs, reports
//! in files.

mod junit;
mod markdown;
mod needs;
mod result;
mod summary;
mod target;
mod terminal;

pub use needs::needs;
pub use result::{Collector, RunResult, SCHEMA_VERSION, StepResult, TargetResult};
pub use summary::summary;
pub use target::{Kind, Target, kinds};
pub use terminal::{Style, Terminal, Verbosity};
