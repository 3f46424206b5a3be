//! What past runs left, read back: `history`, `logs` and `status`, and the reports that a run writes.

mod forged;
mod history;
mod keep;
mod last;
mod logs;
mod report;
mod status;
mod targets;
mod world;
