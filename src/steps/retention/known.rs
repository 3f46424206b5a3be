//! Whether the bytes of an archive are still those that were made: by its size and time since they were last hashed, else
//! by hashing them now.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::archive::Record;
use crate::files::{self, Listed, OpenFolder};
use crate::quantity::Size;
use crate::step::{Look, Touch};

/// The most that is hashed in one run, in bytes; the newest archives come first.
const BUDGET: u64 = 64 << 30;
/// The largest note that is read, in bytes: 100,000 archives take a fifth of it.
const LIMIT: u64 = 64 << 20;

/// An archive whose bytes were those of its record, with what tells that they were not written since.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Checked {
    bytes: u64,
    /// When the file was last written, in nanoseconds since 1970.
    modified: i64,
    sha256: String,
}

impl Checked {
    fn new(file: &Listed, record: &Record) -> Option<Self> {
        let modified = file.modified.timestamp_nanos_opt()?;
        Some(Self { bytes: file.bytes, modified, sha256: record.sha256.clone() })
    }
}

/// What is known of the archives of a folder, by name: kept in the user's state folder.
#[derive(Debug)]
pub struct Known {
    note: PathBuf,
    before: BTreeMap<String, Checked>,
    now: BTreeMap<String, Checked>,
    left: Cell<u64>,
}

impl Known {
    /// Reads what earlier runs knew of a folder. A note that cannot be read is none.
    pub fn read(look: &Look, dir: &Path) -> Self {
        let name = files::name_of_key(&dir.to_string_lossy());
        let note = files::state_dir(&look.env).join("retention").join(format!("{name}.json"));
        let text = files::read_small(look, &note, LIMIT).unwrap_or_default();
        let before = serde_json::from_slice(&text).unwrap_or_default();
        Self { note, before, now: BTreeMap::new(), left: Cell::new(BUDGET) }
    }

    /// Checks that an archive is what its record says: nothing was written to it since its record was, or since an earlier
    /// run knew it; otherwise its bytes have the hash of the record.
    ///
    /// # Errors
    /// Why it does not count.
    pub fn check(
        &mut self,
        look: &Look,
        folder: &OpenFolder,
        (file, beside): (&Listed, &Listed),
        record: &Record,
    ) -> Result<(), String> {
        let checked = Checked::new(file, record);
        let trusted = match (self.before.get(&file.name), &checked) {
            (Some(before), Some(now)) => before == now,
            // Its record was written when it was complete. Nothing else is known of it.
            (None, _) => file.modified <= beside.modified && begins(folder, file, record)?,
            _ => false,
        };
        if !trusted {
            self.hash(look, folder, file, record)?;
        }
        self.now.extend(checked.map(|c| (file.name.clone(), c)));
        Ok(())
    }

    fn hash(&self, look: &Look, folder: &OpenFolder, file: &Listed, record: &Record) -> Result<(), String> {
        let (name, size) = (&file.name, Size(file.bytes));
        let Some(left) = self.left.get().checked_sub(file.bytes) else {
            let limit = Size(BUDGET);
            return Err(format!("it was written to since it was last checked, and one run checks at most {limit}"));
        };
        self.left.set(left);
        look.log.info(format!("checks the bytes of `{name}` ({size}): it was written to since it was last checked"));
        let mut opened = folder.open_file(file).map_err(|e| format!("it cannot be read: {e}"))?;
        let (_, sha256) = files::hash_of(look, &mut opened).map_err(|e| format!("it cannot be read: {e}"))?;
        match sha256 == record.sha256 {
            true => Ok(()),
            false => Err("its bytes changed since it was made".to_owned()),
        }
    }

    /// Keeps what is known now for the next run. That it cannot be kept costs only time.
    pub fn write(&self, touch: &Touch) {
        if self.now == self.before {
            return;
        }
        let written = serde_json::to_vec(&self.now).map_err(std::io::Error::other);
        if let Err(error) = written.and_then(|text| files::replace(touch, &self.note, &text)) {
            touch
                .log()
                .warn(format!("what was checked cannot be noted, and is checked again in the next run: {error}"));
        }
    }
}

/// Whether an archive begins as its record says: a zip, or a dump in the custom format.
fn begins(folder: &OpenFolder, file: &Listed, record: &Record) -> Result<bool, String> {
    let magic: &[u8] = match (record.compression.as_str(), record.format.as_deref()) {
        ("none", Some("custom")) => b"PGDMP",
        ("none", _) => return Ok(true),
        _ => b"PK\x03\x04",
    };
    let opened = folder.open_file(file).map_err(|e| format!("it cannot be read: {e}"))?;
    let mut found = Vec::new();
    let read = opened.take(magic.len() as u64).read_to_end(&mut found);
    read.map_err(|e| format!("it cannot be read: {e}"))?;
    if found == magic { Ok(true) } else { Err("it does not begin as its record says".to_owned()) }
}
