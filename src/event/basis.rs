//! What a run was made of, so that another one can go on where it stopped.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// What must be the same for the run that goes on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Basis {
    /// The folder in which runplan was started.
    pub dir: String,
    /// The plan's file and the one that it includes.
    pub files: Vec<Digest>,
    /// The names of the parameters that were given by hand.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub given: Vec<String>,
    /// What the command line picked of the steps.
    #[serde(default)]
    pub pick: Pick,
    /// Which database, like `db1:5432/app`; in a plan with targets each has its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<String>,
    /// The run with whose id and time the vars are computed, where that is an earlier one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vars_of: Option<String>,
}

/// A file by its text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Digest {
    /// As it is shown.
    pub file: String,
    /// In lower-case hexadecimal.
    pub sha256: String,
}

/// What the command line picked of a plan's steps; empty lists pick everything.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Pick {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub skip_tags: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub only: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub skip: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
}

/// Which run another one goes on with; it may have gone on with a third one itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resumes {
    pub run: String,
    /// When the first of them ended from which anything was taken over: that is no younger.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<DateTime<Utc>>,
}
