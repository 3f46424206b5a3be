//! `manifest.json`, what a dump says of itself inside its archive: where it comes from, and what was measured in the
//! snapshot that it was taken from.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::postgres::DatabaseProperties;
use crate::postgres::evidence::Evidence;

/// The name of the entry.
pub const MANIFEST: &str = "manifest.json";
/// The largest one that is read, in bytes.
pub const MANIFEST_LIMIT: u64 = 256 << 20;

/// The folder of a dump in pg_dump's directory format, in the archive.
pub const FOLDER: &str = "database/";
/// Its table of contents, in that folder.
pub const TOC: &str = "toc.dat";

/// What `pg_dump` wrote.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// One file for `pg_restore`.
    Custom,
    /// SQL for `psql`.
    Plain,
    /// A folder for `pg_restore`.
    Directory,
}

/// The manifest of a dump.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// 1.
    pub schema_version: u32,
    pub plan: String,
    pub target: Option<String>,
    pub run: String,
    pub database: Option<String>,
    pub server_version: String,
    /// The entry that holds the dump; of one in a folder, its table of contents.
    pub dump: String,
    /// The entry that holds roles and tablespaces.
    pub globals: Option<String>,
    /// Bytes of the dump.
    pub dump_bytes: u64,
    pub started_at: DateTime<Utc>,
    /// Where it was made; none in archives of older versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<Origin>,
    /// What the dumped snapshot held; none when it could not be measured.
    pub evidence: Option<Evidence>,
    /// What the database had besides its content; none in archives of older versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub properties: Option<DatabaseProperties>,
}

/// The machine that made a dump, and the server that it came from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Origin {
    pub machine: String,
    pub host: String,
    pub port: u16,
    pub system_identifier: Option<String>,
}

impl Manifest {
    /// What the dump is, by the name of its entry.
    pub fn form(&self) -> Form {
        if self.dump.strip_prefix(FOLDER) == Some(TOC) {
            Form::Directory
        } else if self.dump.ends_with(".dump") {
            Form::Custom
        } else {
            Form::Plain
        }
    }

    /// Reads a manifest.
    ///
    /// # Errors
    /// Why it counts for nothing: reads after "its manifest".
    pub fn parse(text: &[u8]) -> Result<Self, String> {
        let json: serde_json::Value = serde_json::from_slice(text).map_err(|e| format!("is no JSON: {e}"))?;
        match json.get("schema_version").and_then(serde_json::Value::as_u64) {
            Some(1) => serde_json::from_value(json).map_err(|e| format!("cannot be read: {e}")),
            Some(other) => Err(format!("has version {other}, and this runplan reads version 1")),
            None => Err("is none of runplan's".to_owned()),
        }
    }
}
