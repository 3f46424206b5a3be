//! A dump read again: what it holds now against what its manifest says.

use std::io::Read;

use crate::dump::contents::{Contents, DirectoryDump, Fault, StreamReader};
use crate::dump::evidence::Evidence;
use crate::dump::rows::Hashing;
use crate::dump::{Form, Manifest};

/// Bytes read at a time.
const PIECE: usize = 256 * 1024;

/// What was compared, for people and for the outputs of a step.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Compared {
    pub tables: u64,
    pub rows: u64,
    /// What was read, in words; names what could not be measured.
    pub summary: String,
}

/// How the rows of a dump are hashed, so that they can be compared with its manifest.
///
/// # Errors
/// The manifest names a way that is not known here.
pub fn hashing(manifest: Option<&Manifest>) -> Result<Hashing, String> {
    match manifest.and_then(|m| m.evidence.as_ref()) {
        Some(evidence) => {
            evidence.hashing().ok_or_else(|| "it hashes rows in a way that this runplan does not know".to_owned())
        }
        None => Ok(Hashing { seed: 0, on: false }),
    }
}

/// Reads a dump that is one stream, to its end.
///
/// # Errors
/// It cannot be read, or is not whole.
pub fn stream(from: &mut impl Read, form: Form, hashing: Hashing) -> Result<Contents, String> {
    let mut reader = StreamReader::new(form, hashing);
    pour(from, &mut |bytes| reader.take(bytes))?;
    reader.end().map_err(words)
}

/// Reads a file of a dump that is a folder.
///
/// # Errors
/// It cannot be read.
pub fn file(from: &mut impl Read, folder: &mut DirectoryDump, name: &str) -> Result<(), String> {
    let mut reader = folder.file(name);
    pour(from, &mut |bytes| reader.take(bytes))?;
    folder.add(reader);
    Ok(())
}

fn pour(from: &mut impl Read, take: &mut dyn FnMut(&[u8])) -> Result<(), String> {
    let mut buffer = vec![0; PIECE];
    loop {
        match from.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(count) => take(&buffer[..count]),
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error.to_string()),
        }
    }
}

/// Why a dump was not read to its end, in words.
pub fn words(fault: Fault) -> String {
    match fault {
        Fault::Unread(why) | Fault::Broken(why) | Fault::Misread(why) => why,
    }
}

/// Compares a dump with its manifest.
///
/// # Errors
/// Every difference, a line each.
pub fn compare(manifest: &Manifest, contents: &Contents) -> Result<Compared, Vec<String>> {
    let read = &contents.evidence;
    let Some(evidence) = &manifest.evidence else {
        let counted = counts(read);
        let summary = format!("{counted} were counted; the manifest does not say what was dumped");
        return Ok(Compared { summary, ..Compared::default() });
    };
    let mut evidence = evidence.clone();
    if manifest.is_old() {
        // It was counted by queries, also what is never in a dump: rows that extensions bring along.
        let inside = |t: &crate::dump::evidence::Table| {
            let place = (t.schema.clone(), t.name.clone());
            let unmeasured = |n: &crate::dump::evidence::NotMeasured| (&n.schema, &n.name) == (&place.0, &place.1);
            let known = contents.defined.contains(&place) || contents.defined.is_empty();
            known && !read.not_measured.iter().any(unmeasured)
        };
        evidence.tables.retain(inside);
        evidence.not_measured.clone_from(&read.not_measured);
    }
    let differences = if manifest.is_old() { old(&evidence, read) } else { evidence.differences(read) };
    if !differences.is_empty() {
        return Err(differences);
    }
    let (tables, rows) = (evidence.tables.len() as u64, evidence.tables.iter().map(|t| t.rows).sum());
    let summary = match (tables, evidence.unmeasured()) {
        (_, None) => format!("{} are there", counts(&evidence)),
        (0, Some(unmeasured)) => format!("its rows were not measured: {unmeasured}"),
        (_, Some(unmeasured)) => format!("{} are there; not measured: {unmeasured}", counts(&evidence)),
    };
    Ok(Compared { tables, rows, summary })
}

/// What differs from the manifest of an old archive, which has rows only.
fn old(evidence: &Evidence, read: &Evidence) -> Vec<String> {
    let mut read = read.clone();
    for table in &mut read.tables {
        table.columns = Vec::new();
        table.checksum = None;
    }
    let dumped =
        |t: &crate::dump::evidence::Table| evidence.tables.iter().any(|w| (&w.schema, &w.name) == (&t.schema, &t.name));
    read.tables.retain(dumped);
    Evidence { sequences: Vec::new(), large_objects: read.large_objects.clone(), ..evidence.clone() }.differences(&read)
}

/// What there is of each kind.
pub fn counts(evidence: &Evidence) -> String {
    let rows: u64 = evidence.tables.iter().map(|t| t.rows).sum();
    let mut text = format!("{rows} rows of {} tables", evidence.tables.len());
    for (count, what) in
        [(evidence.sequences.len() as u64, "sequences"), (evidence.large_objects.count, "large objects")]
    {
        if count > 0 {
            text += &format!(", {count} {what}");
        }
    }
    text
}
