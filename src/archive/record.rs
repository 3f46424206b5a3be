//! The public record beside an archive: what it is and how to know it again. It holds no secret and no row of data.

use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// The record, as `<archive>.json` has it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// 1.
    pub schema_version: u32,
    /// `dump` or `files`.
    pub kind: String,
    pub plan: String,
    pub target: Option<String>,
    pub server: Option<Server>,
    pub database: Option<String>,
    pub machine: String,
    pub run: String,
    pub started_at: DateTime<Utc>,
    pub finished_at: DateTime<Utc>,
    /// Size of the archive, in bytes.
    pub bytes: u64,
    /// Size of what was dumped, in bytes, before compression.
    pub dump_bytes: u64,
    /// SHA-256 of the archive, in lower-case hexadecimal.
    pub sha256: String,
    pub format: Option<String>,
    pub encryption: String,
    pub compression: String,
    pub server_version: Option<String>,
    pub tool_version: String,
}

/// Which server a dump came from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Server {
    pub host: String,
    pub port: u16,
    pub system_identifier: Option<String>,
}

impl Record {
    /// Where the record of an archive lies.
    pub fn path_of(archive: &Path) -> PathBuf {
        let mut name = archive.as_os_str().to_owned();
        name.push(".json");
        name.into()
    }
}
