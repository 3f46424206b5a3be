//! The command line for somebody new, through the binary, against a real PostgreSQL: archives found by their plan, a first
//! plan, words for what went wrong. Run by `tests/sandbox cargo test`.

mod password;
#[path = "../executors/world.rs"]
#[expect(dead_code, reason = "the tests of executors use the rest")]
mod world;
