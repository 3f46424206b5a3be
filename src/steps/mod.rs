//! One executor a file, and the list.

mod command;
mod pg_dump;
mod vacuum;

use crate::step::{Entry, Registry};

/// The executors that plans may use, in the order of a night.
pub const REGISTRY: Registry =
    Registry(&[Entry::of::<vacuum::Vacuum>(), Entry::of::<pg_dump::PgDump>(), Entry::of::<command::Command>()]);
