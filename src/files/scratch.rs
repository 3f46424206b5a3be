//! A file of a step's own in the system's temporary folder, closed to others, gone with its holder.

use std::io::{self, Read};
use std::path::Path;

use tempfile::NamedTempFile;

use crate::step::Touch;

/// A file that lasts as long as this value (0600).
#[derive(Debug)]
pub struct Scratch(NamedTempFile);

impl Scratch {
    /// Makes an empty one.
    ///
    /// # Errors
    /// The temporary folder cannot be written, or others could exchange what is in it.
    pub fn new(_: &Touch) -> io::Result<Self> {
        tempfile::Builder::new().prefix("runplan-").tempfile_in(super::temp_dir()?).map(Self)
    }

    /// Where it lies.
    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// What is in it by now, at most `limit` bytes.
    ///
    /// # Errors
    /// It cannot be read, is larger, or is no UTF-8.
    pub fn read(&self, limit: u64) -> io::Result<String> {
        let mut text = String::new();
        self.0.reopen()?.take(limit + 1).read_to_string(&mut text)?;
        if text.len() as u64 > limit {
            return Err(io::Error::other(format!("more than {limit} bytes were written to it")));
        }
        Ok(text)
    }
}
