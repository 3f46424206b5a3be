//! What shows that an archive is good: every byte read through, restored into a database, compared with what was dumped.
//!
//! Knows archives, records and databases; nothing of plans. The steps `verify`, `pg_restore` and `restore_check` are made
//! of it.

mod cluster;
mod compare;
mod orphan;
mod preflight;
mod program;
mod record;
mod reread;
mod restore;
mod source;
mod sql_input;
mod tables;
mod target;
mod trust;
mod tuning;
mod unpack;
mod verify;

pub use cluster::Cluster;
pub use preflight::{Into, foresee, foresee_cluster, probe_confinement};
pub use record::write_record;
pub use reread::Compared;
pub use restore::{Restored, name_create, restore, there};
pub use source::Source;
pub use target::{Target, one};
pub use trust::require_ordinary_role_on;
pub use verify::{Verified, verify};
