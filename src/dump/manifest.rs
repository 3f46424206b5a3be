//! `manifest.json`, what a dump says of itself inside its archive: where it comes from, and what it holds.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::evidence::{Evidence, text_of};
use crate::postgres::DatabaseProperties;

/// The name of the entry.
pub const MANIFEST: &str = "manifest.json";
/// The largest one that is written or read, in bytes.
pub const MANIFEST_LIMIT: u64 = 64 << 20;
/// The version that is written. In version 1 rows were counted by queries on the source, and not in the dump.
pub const MANIFEST_VERSION: u32 = 2;

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
    /// 2; 1 in archives of older versions.
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
    /// What the dump holds; none when that could not be read.
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

    /// Whether it comes from a version that counted by queries on the source.
    pub fn is_old(&self) -> bool {
        self.schema_version < MANIFEST_VERSION
    }

    /// Writes it.
    ///
    /// # Errors
    /// It is larger than is read.
    pub fn write(&self) -> Result<String, String> {
        let text = serde_json::to_string(self).map_err(|e| e.to_string())?;
        if text.len() as u64 > MANIFEST_LIMIT {
            return Err(format!("it has {} MiB, and at most {} MiB are read", text.len() >> 20, MANIFEST_LIMIT >> 20));
        }
        Ok(text)
    }

    /// Reads a manifest.
    ///
    /// # Errors
    /// It cannot be used: reads after "its manifest".
    pub fn parse(text: &[u8]) -> Result<Self, String> {
        /// The one key that is read first.
        #[derive(Deserialize)]
        struct Version {
            schema_version: Option<u32>,
        }
        if text.len() as u64 > MANIFEST_LIMIT {
            return Err(format!("has more than {} MiB", MANIFEST_LIMIT >> 20));
        }
        let version: Version = serde_json::from_slice(text).map_err(|e| format!("cannot be read: {e}"))?;
        match version.schema_version {
            Some(1..=MANIFEST_VERSION) => {}
            Some(other) => {
                return Err(format!("has version {other}, and this runplan reads versions 1 to {MANIFEST_VERSION}"));
            }
            None => return Err("was not written by runplan".to_owned()),
        }
        let mut manifest: Self = serde_json::from_slice(text).map_err(|e| format!("cannot be read: {e}"))?;
        if manifest.is_old() {
            manifest.evidence.iter_mut().for_each(modernise);
        }
        Ok(manifest)
    }
}

/// Makes evidence of version 1 into what is compared now. Its checksums were made by the server from rows as it prints
/// them, which nobody does again: casts of the dumped database have a hand in it.
fn modernise(evidence: &mut Evidence) {
    for table in &mut evidence.tables {
        table.checksum = None;
        (table.schema, table.name) = (text_of(table.schema.as_bytes()), text_of(table.name.as_bytes()));
    }
    for sequence in &mut evidence.sequences {
        (sequence.schema, sequence.name) = (text_of(sequence.schema.as_bytes()), text_of(sequence.name.as_bytes()));
    }
    evidence.roles.iter_mut().for_each(|role| *role = text_of(role.as_bytes()));
    evidence.large_objects.checksum = None;
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: &str = r#"{"schema_version":1,"plan":"p","target":null,"run":"r","database":"d","server_version":"15.1",
        "dump":"database.dump","globals":null,"dump_bytes":3,"started_at":"2026-01-01T00:00:00Z","evidence":{
        "tables":[{"schema":"public","name":"a\\b","rows":3,"checksum":"-123"}],"sequences":[],
        "extensions":[{"name":"citext","version":"1.6"}],"roles":["ann"],"large_objects":{"count":0}}}"#;

    #[test]
    fn manifests_of_both_versions_are_read_and_no_others() {
        let old = Manifest::parse(OLD.as_bytes()).expect("a manifest");
        let table = &old.evidence.as_ref().expect("evidence").tables[0];
        assert_eq!((table.rows, table.name.as_str(), table.checksum.as_deref()), (3, "a\\\\b", None));
        assert!(old.is_old());
        let new = Manifest { schema_version: MANIFEST_VERSION, ..old };
        assert_eq!(Manifest::parse(new.write().expect("a text").as_bytes()), Ok(new));
        for (from, to) in [("\"schema_version\":1", "\"schema_version\":3"), ("\"schema_version\":1,", ""), ("{", "[")]
        {
            assert!(Manifest::parse(OLD.replacen(from, to, 1).as_bytes()).is_err(), "{to}");
        }
    }

    #[test]
    fn a_manifest_that_is_too_large_is_refused_before_it_takes_memory() {
        let large = [b"{\"schema_version\":2,\"plan\":[".to_vec(), b"[],".repeat(23 << 20)].concat();
        assert!(Manifest::parse(&large).is_err_and(|why| why.contains("more than 64 MiB")));
    }
}
