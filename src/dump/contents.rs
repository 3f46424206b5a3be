//! A dump read while it passes by: whether it is whole, and what it holds.

mod custom;
mod directory;
mod plain;
#[cfg(test)]
mod tests;

pub use custom::CustomDump;
pub use directory::{DirectoryDump, FileReader};
pub use plain::PlainDump;

use std::collections::BTreeSet;

use super::Form;
use super::evidence::{Evidence, Found};
use super::rows::{Hashing, Rows};
use super::toc::{Entry, Toc, TocFault};

/// What a dump holds.
#[derive(Debug, Default)]
pub struct Contents {
    pub evidence: Evidence,
    /// How many tables are defined in it, or have rows there.
    pub tables: u64,
    /// Tables that are defined in it. Rows of others belong to extensions.
    pub defined: BTreeSet<(String, String)>,
}

/// Why a dump does not give its contents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// It is of a version that is not known here, or too large to be kept; it may be good.
    Unread(String),
    /// It is not whole.
    Broken(String),
    /// It is SQL that `psql` does not read as it was meant, so that it cannot be restored. The other formats can.
    Misread(String),
}

impl From<TocFault> for Fault {
    fn from(fault: TocFault) -> Self {
        match fault {
            TocFault::Unknown(why) => Self::Unread(format!("the table of contents {why}")),
            TocFault::Broken(why) => Self::Broken(format!("the table of contents {why}")),
        }
    }
}

/// A dump that comes as one stream.
pub enum StreamReader {
    Custom(Box<CustomDump>),
    Plain(Box<PlainDump>),
}

impl StreamReader {
    pub fn new(form: Form, hashing: Hashing) -> Self {
        match form {
            Form::Plain => Self::Plain(Box::new(PlainDump::new(hashing))),
            Form::Custom | Form::Directory => Self::Custom(Box::new(CustomDump::new(hashing))),
        }
    }

    /// Takes the next bytes.
    pub fn take(&mut self, bytes: &[u8]) {
        match self {
            Self::Custom(dump) => dump.take(bytes),
            Self::Plain(dump) => dump.take(bytes),
        }
    }

    /// What it holds, after its last byte.
    ///
    /// # Errors
    /// It is not whole, or is not understood.
    pub fn end(self) -> Result<Contents, Fault> {
        match self {
            Self::Custom(dump) => dump.end(),
            Self::Plain(dump) => dump.end(),
        }
    }
}

/// Why the rows of a table are not measured.
const INSERTED: &str = "its rows are INSERT statements";
const COMPRESSED: &str = "pg_dump compressed the dump itself";
const UNKNOWN: &str = "its COPY statement is not understood";

/// Puts together what the table of contents and the data of a dump say. `rows` gives the rows of an entry, when its data
/// is there and came to its end.
fn contents(
    toc: Toc,
    hashing: Hashing,
    objects: std::collections::BTreeMap<u64, super::objects::Object>,
    rows: impl Fn(&Entry) -> Option<Rows>,
) -> Result<Contents, Fault> {
    let mut found = Found::with_objects(objects);
    for entry in toc.entries.iter().filter(|e| e.kind == "TABLE DATA") {
        let why = match &entry.target {
            _ if !entry.copied => INSERTED,
            _ if toc.compressed => COMPRESSED,
            None => UNKNOWN,
            Some(target) => {
                let place = format!("`{}.{}`", entry.schema, entry.name);
                let rows = rows(entry)
                    .ok_or_else(|| Fault::Broken(format!("the rows of the table {place} break off in the dump")))?;
                found.add(target, rows);
                continue;
            }
        };
        found.not_measured.insert((entry.schema.clone(), entry.name.clone()), why);
    }
    if toc.compressed && toc.entries.iter().any(|e| e.kind == "BLOBS") {
        found.not_measured.insert((String::new(), "large objects".to_owned()), COMPRESSED);
        found.objects.clear();
    }
    (found.encoding, found.sequences) = (toc.encoding, toc.sequences);
    (found.extensions, found.roles) = (toc.extensions, toc.roles);
    Ok(Contents { evidence: found.evidence(hashing), tables: toc.tables, defined: toc.defined })
}
