//! What shows that an archive is good: every byte read through, restored into a database, compared with what was dumped.
//!
//! Knows archives, records and databases; nothing of plans. The steps `verify`, `pg_restore` and `restore_check` are made
//! of it.

mod cluster;
mod folder;
mod orphan;
mod preflight;
mod restore;
mod unpack;
mod verify;

pub use cluster::Cluster;
pub use preflight::{Into, foresee, foresee_cluster};
pub use restore::{Restored, Source, Target, one, restore, there};
pub use verify::{Verified, verify};
