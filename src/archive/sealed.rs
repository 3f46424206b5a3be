//! An archive that is complete and read back, and its publication: the record first, then the name.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::record::Record;
use crate::files::{self, Partial};
use crate::step::{StepError, Touch};

/// An archive that is complete and read back, and has no name yet.
pub struct Sealed {
    pub(super) made: Vec<Made>,
    /// What became of the places where it could not be made.
    pub(super) failed: Vec<StepError>,
    /// Size in bytes.
    pub bytes: u64,
    /// SHA-256 as written and as read back from the disk, in hexadecimal.
    pub sha256: String,
}

/// The archive at one of its places.
pub(super) struct Made {
    pub partial: Partial,
    pub path: PathBuf,
}

pub(super) fn failed(doing: &str, path: &Path, error: &io::Error) -> StepError {
    let said = StepError::because(format!("{doing} `{}`", path.display()), error);
    match error.kind() {
        io::ErrorKind::StorageFull => said.hint("free space on that disk; no earlier archive was touched"),
        io::ErrorKind::PermissionDenied => said.hint("let the user that runs the plan write to that folder"),
        _ => said,
    }
}

impl Made {
    /// Gives the archive its name, after its record has one: a crash between the two leaves a record without an archive,
    /// which nothing counts, and never an archive that nobody knows.
    fn publish(self, touch: &Touch, json: &[u8]) -> Result<(), StepError> {
        let record = Record::path_of(&self.path);
        let publish = || {
            let partial = Partial::create(touch, &record)?;
            let mut file = partial.file();
            file.write_all(json)?;
            file.sync_all()?;
            partial.publish()
        };
        publish().map_err(|e| failed("publishing", &record, &e))?;
        let path = self.path;
        self.partial.publish().map_err(|error| {
            if error.kind() == io::ErrorKind::AlreadyExists || !files::exists(touch.look(), &path) {
                // Without its archive the record only stands in the way, or speaks of somebody else's file.
                let _ = fs::remove_file(&record);
            }
            failed("publishing", &path, &error)
        })
    }
}

impl Sealed {
    /// The same, when it is complete somewhere.
    ///
    /// # Errors
    /// It is nowhere: the first failure.
    pub(super) fn some(mut self) -> Result<Self, StepError> {
        if self.made.is_empty() && !self.failed.is_empty() { Err(self.failed.swap_remove(0)) } else { Ok(self) }
    }

    /// Gives the archive its name at every place where it is complete.
    ///
    /// # Errors
    /// A name exists by now, a folder cannot be written, or a place failed earlier. Where it is complete it is published
    /// all the same.
    pub fn publish(self, touch: &Touch, record: &Record) -> Result<(), StepError> {
        let json = serde_json::to_vec_pretty(record).map_err(|e| StepError::because("the record", &e))?;
        let (mut failures, mut there) = (self.failed, Vec::new());
        for made in self.made {
            let path = made.path.display().to_string();
            match made.publish(touch, &json) {
                Ok(()) => there.push(format!("`{path}`")),
                Err(error) => failures.push(error),
            }
        }
        let Some(first) = failures.first() else { return Ok(()) };
        if there.is_empty() {
            return Err(first.clone());
        }
        let what: Vec<&str> = failures.iter().map(|f| f.what.as_str()).collect();
        let what = format!("{}; the archive is complete at {}", what.join("; "), there.join(", "));
        Err(StepError { what, ..first.clone() })
    }
}
