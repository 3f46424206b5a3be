//! Where a dump is restored to, and how.

use super::source::Source;
use crate::dump::Form;
use crate::postgres::Settings;
use crate::process::Confinement;

/// Where a dump is restored to, and what is allowed there.
#[derive(Debug, Clone)]
pub struct Target {
    /// The database, with everything filled in.
    pub database: Settings,
    /// Make it first. It goes again when nothing could be restored.
    pub create: bool,
    /// The caller removes it afterwards, by itself or with its server.
    pub temporary: bool,
    /// Restore although there is something in it.
    pub non_empty: bool,
    /// Leave owners and rights out: everything belongs to who restores.
    pub no_owner: bool,
    /// How many connections restore at a time.
    pub jobs: u8,
    /// Leave tablespaces out: everything goes into the usual one.
    pub no_tablespaces: bool,
    /// The locale of a database that is made, in place of that of the dumped one.
    pub locale: Option<String>,
    /// The `pg_restore`, or for SQL the `psql`; none: one that fits the dump and the server.
    pub program: Option<String>,
    /// It is restored for a check only: subscriptions and tablespaces are left out.
    pub for_check: bool,
    /// The dump may run commands as the user who restores it: everyone who may create objects in the dumped database is trusted.
    pub trust_source: bool,
    /// How the programs are confined, when the server that they work for is.
    pub confinement: Option<Confinement>,
}

impl Target {
    /// Whether the program must seek in the dump, which is laid out in a folder for it.
    pub(super) fn seeks(&self, source: &Source) -> bool {
        source.manifest.form() == Form::Directory || self.jobs > 1
    }
}

/// One connection, unless more are asked for.
pub fn one() -> u8 {
    1
}
