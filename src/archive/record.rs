//! The public record beside an archive: what it is and how to know it again. It holds no secret and no row of data.

use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// The version of the shape below.
pub const SCHEMA_VERSION: u32 = 1;

/// The largest record that is read, in bytes; ours have less than one KiB.
pub const LIMIT: u64 = 64 * 1024;

/// What an archive holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Content {
    /// A dump of a database.
    Dump,
    /// Files.
    Files,
}

/// The record, as `<archive>.json` has it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// 1.
    pub schema_version: u32,
    pub kind: Content,
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

    /// Reads a record. Its version is looked at first, so that a newer one is not called broken.
    ///
    /// # Errors
    /// Why it counts for nothing: it reads after "its record".
    pub fn parse(text: &[u8]) -> Result<Self, String> {
        let json: serde_json::Value = serde_json::from_slice(text).map_err(|e| format!("is no JSON: {e}"))?;
        match json.get("schema_version").and_then(serde_json::Value::as_u64) {
            Some(1) => {}
            Some(other) => return Err(format!("has version {other}, and this runplan reads version 1")),
            None => return Err("is none of runplan's".to_owned()),
        }
        let record: Self = serde_json::from_value(json).map_err(|e| format!("cannot be read: {e}"))?;
        let digest = record.sha256.len() == 64 && record.sha256.bytes().all(|b| b.is_ascii_hexdigit());
        if digest { Ok(record) } else { Err("has no SHA-256".to_owned()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_read_back_and_a_broken_one_says_why() {
        let record = Record {
            schema_version: SCHEMA_VERSION,
            kind: Content::Dump,
            plan: "nightly".to_owned(),
            target: None,
            server: None,
            database: Some("app".to_owned()),
            machine: "db1".to_owned(),
            run: "20261122T213000Z-3f9c".to_owned(),
            started_at: DateTime::UNIX_EPOCH,
            finished_at: DateTime::UNIX_EPOCH,
            bytes: 10,
            dump_bytes: 20,
            sha256: "0".repeat(64),
            format: None,
            encryption: "none".to_owned(),
            compression: "store".to_owned(),
            server_version: None,
            tool_version: "0.1.0".to_owned(),
        };
        let text = serde_json::to_vec(&record).expect("JSON");
        assert_eq!(Record::parse(&text), Ok(record.clone()));
        for (broken, why) in [
            (&text[..text.len() - 5], "is no JSON"),
            (b"{\"schema_version\": 2}".as_slice(), "version 2"),
            (b"{\"name\": \"package\"}", "is none of runplan's"),
            (b"{\"schema_version\": 1}", "cannot be read"),
        ] {
            assert!(Record::parse(broken).is_err_and(|e| e.contains(why)), "{why}");
        }
        let cut = Record { sha256: "12".to_owned(), ..record };
        assert!(Record::parse(&serde_json::to_vec(&cut).expect("JSON")).is_err());
    }
}
