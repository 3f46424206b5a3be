//! Each executor through the binary, as a user runs it, against a real PostgreSQL. Run by `tests/sandbox cargo test`.

mod also;
mod command;
mod confine;
mod control_table;
mod copy;
mod directory;
mod doctor;
mod dry_run;
mod evidence;
mod fidelity;
mod hostile;
mod memory;
mod named;
mod nightly;
mod path_names;
mod pg_dump;
mod pipes;
mod pooler;
mod progress;
mod proof;
mod retention;
#[path = "../smtp/mod.rs"]
#[expect(dead_code, reason = "the tests of mail use the rest")]
mod smtp;
mod sql;
mod state;
mod stranger;
mod targets;
mod vacuum;
mod world;
mod zip;
