//! When archives were read through, as the journals of past runs tell.

use std::io::{self, BufRead, BufReader};
use std::path::Path;

use chrono::{DateTime, Utc};

use super::EVENTS;
use super::past::{Line, parse};
use crate::event::Fact;
use crate::files;
use crate::step::Status;

/// An archive that was found good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// Its SHA-256, in hexadecimal.
    pub sha256: String,
    pub at: DateTime<Utc>,
    pub tables: Option<u64>,
    pub rows: Option<u64>,
}

/// The archives that steps of the executor `uses` found good in a run, by the journal in its folder. A step that was taken
/// over from an earlier run counts there.
///
/// # Errors
/// The journal cannot be read.
pub fn checks(dir: &Path, uses: &str) -> io::Result<Vec<Check>> {
    let mut found = Vec::new();
    for line in BufReader::new(files::open_trusted(&dir.join(EVENTS))?).split(b'\n') {
        let Line::Event(event) = parse(&line?) else { continue };
        let Fact::StepFinished { step, status: Status::Ok, outputs, done_by: None, .. } = event.fact else { continue };
        let number = |key: &str| outputs.get(key).and_then(serde_json::Value::as_u64);
        if let Some(sha256) = outputs.get("sha256").and_then(|s| s.as_str()).filter(|_| step.uses == uses) {
            let (tables, rows) = (number("tables"), number("rows"));
            found.push(Check { sha256: sha256.to_owned(), at: event.time, tables, rows });
        }
    }
    Ok(found)
}
