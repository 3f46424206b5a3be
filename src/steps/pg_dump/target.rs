//! Where a dump goes: into an archive, or a bare file.

use super::Params;
use crate::archive;
use crate::step::{Look, StepError};

/// Where the dump goes.
#[derive(Debug, Clone)]
pub enum Target {
    Archive(archive::Settings),
    File(String),
}

impl Target {
    pub fn of(params: &Params) -> Result<Self, StepError> {
        match (&params.archive, &params.file) {
            (Some(archive), None) => {
                archive.check()?;
                Ok(Self::Archive(archive.clone()))
            }
            (None, Some(file)) if !params.globals => Ok(Self::File(file.clone())),
            (None, Some(_)) => Err(StepError::new("`globals` needs an `archive`: a bare file holds one dump")),
            _ => Err(StepError::new("exactly one of `archive` and `file` is needed")),
        }
    }

    /// Its encryption and compression, in the words of records.
    pub fn words(&self) -> (&'static str, &'static str) {
        match self {
            Self::Archive(archive) => (archive.encryption.word(), archive.compression.word()),
            Self::File(_) => ("none", "none"),
        }
    }

    pub fn path(&self) -> &str {
        match self {
            Self::Archive(archive) => &archive.path,
            Self::File(path) => path,
        }
    }

    /// Whether every name is free.
    pub fn unused(&self, look: &Look) -> Result<(), StepError> {
        match self {
            Self::Archive(archive) => archive.unused(look),
            Self::File(path) => archive::unused(look, path.as_ref()),
        }
    }

    /// Every file to make, the first one first.
    pub fn paths(&self) -> Vec<&str> {
        match self {
            Self::Archive(archive) => archive.paths().collect(),
            Self::File(path) => vec![path],
        }
    }
}
