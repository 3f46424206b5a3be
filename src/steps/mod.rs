//! One executor a file, and the list.

mod command;
mod copy;
mod email;
mod http;
mod pg_dump;
mod pg_restore;
mod restore_check;
mod retention;
mod sql;
mod vacuum;
mod verify;
mod zip;

use crate::step::{Entry, Registry};

/// The executors that plans may use, in the order of a night.
pub const REGISTRY: Registry = Registry(&[
    Entry::of::<vacuum::Vacuum>(),
    Entry::of::<pg_dump::PgDump>(),
    Entry::of::<verify::Verify>(),
    Entry::of::<copy::Copy>(),
    Entry::of::<restore_check::RestoreCheck>(),
    Entry::of::<retention::Retention>(),
    Entry::of::<pg_restore::PgRestore>(),
    Entry::of::<zip::Zip>(),
    Entry::of::<sql::Sql>(),
    Entry::of::<email::Email>(),
    Entry::of::<http::Http>(),
    Entry::of::<command::Command>(),
]);
