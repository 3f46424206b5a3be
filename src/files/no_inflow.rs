//! Files that another program writes into a folder of ours, on a system that does not say when one is complete: there are
//! none to be had.

use std::io::{self, Read};

use super::Spool;
use crate::cancel::Cancel;

/// A folder that is listened to.
pub enum Inflow {}

/// A file that came.
pub struct Arrival {
    pub name: String,
}

impl Inflow {
    /// Listens to a folder.
    ///
    /// # Errors
    /// Always.
    pub fn listen(_: Spool, _: &Cancel) -> io::Result<Self> {
        Err(io::Error::new(io::ErrorKind::Unsupported, "this system does not say when a file is complete"))
    }

    pub fn over(&self) {
        match *self {}
    }

    /// The next file.
    ///
    /// # Errors
    /// None: there is no such folder.
    pub fn next(&self) -> io::Result<Option<Arrival>> {
        match *self {}
    }
}

impl Read for Arrival {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        Ok(0)
    }
}
