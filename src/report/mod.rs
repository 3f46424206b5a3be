//! Readers of events for whoever sits in front: lines and progress bars on a terminal, one JSON document for programs.

mod needs;
mod result;
mod terminal;

pub use needs::needs;
pub use result::{Collector, RunResult, SCHEMA_VERSION, StepResult, TargetResult};
pub use terminal::{Style, Terminal, Verbosity, summary};
