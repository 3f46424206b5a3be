//! `runplan resume`: a run that stopped is gone on with, and what it did is not done again. Run by `tests/sandbox cargo
//! test`.

mod archives;
mod forged;
mod night;
mod refused;
mod runs;
mod targets;
#[path = "../executors/world.rs"]
#[expect(dead_code, reason = "the tests of executors use the rest")]
mod world;
