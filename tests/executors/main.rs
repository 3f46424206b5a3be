//! Each executor through the binary, as a user runs it, against a real PostgreSQL. Run by `tests/sandbox cargo test`.

mod command;
mod copy;
mod pg_dump;
mod retention;
mod sql;
mod vacuum;
mod world;
mod zip;
