//! The executor `http` through the binary, against real servers: nginx and tinyproxy, and one of our own for answers that a
//! good server does not give. Run by `tests/sandbox cargo test`.

mod answers;
#[path = "../executors/world.rs"]
#[expect(dead_code, reason = "the tests of executors use the rest")]
mod base;
mod plans;
mod redirects;
mod secrets;
mod ways;
mod world;
