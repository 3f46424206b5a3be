//! The journal of runs: a folder `<logs>/<plan>/<run id>/` for each, with `events.jsonl`, one event a line, and `run.log`,
//! the same for people; a plan with targets has a log for each of them too, `<target>.log`. Written as a run goes on, read
//! for `history`, `logs`, `status` and `resume`.
//!
//! A folder without its closing event is a run that goes on, or one that was killed.

mod checks;
mod course;
mod elsewhere;
mod ends;
mod health;
mod limit;
mod past;
mod shelf;
mod write;

pub use checks::{Check, checks};
pub use course::{Course, Hold, Target};
pub use elsewhere::{note_run, noted_shelves};
pub use health::{Health, Verdict, age};
pub use limit::Limit;
pub use past::{Past, State, subject_of};
pub use shelf::{Found, Picked, Shelf};
pub use write::Journal;

/// The file of events.
pub const EVENTS: &str = "events.jsonl";
/// The file for people.
pub const LOG: &str = "run.log";
