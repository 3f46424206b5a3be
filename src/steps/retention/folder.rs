//! What lies in the folder: which files are archives that count, and why the others do not.

use std::path::Path;

use chrono::{DateTime, Utc};
use globset::{GlobBuilder, GlobMatcher};

use super::Params;
use super::rules::Candidate;
use crate::archive::{self, Content, Record};
use crate::files::{self, Kind, Listed};
use crate::step::{Look, StepError};

/// Whose archives count.
pub struct Wanted {
    plan: String,
    target: Option<String>,
    pub database: Option<String>,
    /// Names that count without a record.
    pattern: Option<GlobMatcher>,
}

impl Wanted {
    /// Those of a plan, target and database.
    pub fn of(plan: &str, target: Option<&str>, database: Option<&str>) -> Self {
        let own = |t: Option<&str>| t.map(str::to_owned);
        Self { plan: plan.to_owned(), target: own(target), database: own(database), pattern: None }
    }

    /// Those that the parameters name; what they leave out is the run's own.
    ///
    /// # Errors
    /// A pattern that is none.
    pub fn new(params: &Params, look: &Look) -> Result<Self, StepError> {
        let facts = &look.facts;
        let database = params.database.as_ref().or(facts.database.as_ref()).map(String::as_str);
        let mut wanted = Self::of(params.plan.as_ref().unwrap_or(&facts.plan), facts.target.as_deref(), database);
        if let Some(text) = &params.pattern {
            // Only `*` and `?` mean something.
            let special = |c: char| matches!(c, '[' | ']' | '{' | '}' | '\\');
            let plain: String =
                text.chars().map(|c| if special(c) { format!("\\{c}") } else { c.to_string() }).collect();
            let built = GlobBuilder::new(&plain).backslash_escape(true).literal_separator(true).build();
            let built = built.map_err(|e| StepError::because(format!("`pattern` `{text}`"), &e))?;
            wanted.pattern = Some(built.compile_matcher());
        }
        Ok(wanted)
    }

    /// Why a record's archive is not one of those wanted.
    fn refuses(&self, record: &Record) -> Option<String> {
        let named = |n: &Option<String>| n.as_ref().map_or_else(|| "none".to_owned(), |n| format!("`{n}`"));
        if record.kind != Content::Dump {
            return Some("it holds files, not a dump".to_owned());
        }
        if record.plan != self.plan {
            return Some(format!("it is of the plan `{}`", record.plan));
        }
        if record.target != self.target {
            return Some(format!("it is of the target {}", named(&record.target)));
        }
        (record.database != self.database).then(|| format!("it is of the database {}", named(&record.database)))
    }
}

/// A file as it was looked at.
pub struct Seen {
    pub file: Listed,
    /// Its record: what it says, or why it counts for nothing; none when there is none.
    pub record: Option<Result<Record, String>>,
    pub pinned: bool,
}

/// The archive as it counts, or why it does not.
pub fn judge(seen: &Seen, wanted: &Wanted) -> Result<Candidate, String> {
    let made = made(seen, wanted)?;
    // Each run makes its own, and an archive at several places has the same record at each.
    let record = seen.record.as_ref().and_then(|r| r.as_ref().ok());
    let identity = record.map(|r| format!("{} {}", r.run, r.sha256));
    Ok(Candidate { name: seen.file.name.clone(), identity, made, pinned: seen.pinned })
}

/// When an archive that counts was made.
fn made(seen: &Seen, wanted: &Wanted) -> Result<DateTime<Utc>, String> {
    let file = &seen.file;
    match file.kind {
        Kind::File => {}
        other => return Err(format!("it is {}", other.describe())),
    }
    if file.name.ends_with(".partial") {
        return Err("it is not complete".to_owned());
    }
    let record = match &seen.record {
        Some(Ok(record)) => record,
        Some(Err(why)) => return Err(format!("its record {why}")),
        None if wanted.pattern.as_ref().is_some_and(|p| p.is_match(&file.name)) => return Ok(file.modified),
        None => return Err("it has no record".to_owned()),
    };
    if let Some(why) = wanted.refuses(record) {
        return Err(why);
    }
    if record.bytes != file.bytes {
        return Err(format!("it has {} bytes, and its record says {}", file.bytes, record.bytes));
    }
    Ok(record.started_at)
}

/// An archive that counts, as it lies there.
pub struct Archive {
    pub candidate: Candidate,
    pub file: Listed,
    pub record: Option<Listed>,
}

/// The archives that count, and why each other file does not.
pub struct Sorted {
    pub archives: Vec<Archive>,
    /// Records of such archives that are gone.
    pub orphans: Vec<Listed>,
    pub others: Vec<Other>,
}

/// A file that is left alone.
#[derive(Debug)]
pub struct Other {
    pub name: String,
    /// Why it does not count.
    pub why: String,
    /// It would be an archive of ours, were it or its record not damaged.
    pub damaged: bool,
}

/// Tells the archives that count from everything else in the folder.
pub fn sort(look: &Look, dir: &Path, listed: Vec<Listed>, wanted: &Wanted) -> Sorted {
    let mut sorted = Sorted { archives: Vec::new(), orphans: Vec::new(), others: Vec::new() };
    let find = |name: &str| listed.iter().find(|l| l.name == name);
    for file in &listed {
        // A record or a pin is spoken of with its archive.
        let beside = [".json", archive::PIN].iter().find_map(|end| file.name.strip_suffix(end));
        if beside.is_some_and(|archive| find(archive).is_some()) {
            continue;
        }
        if let Some(archive) = file.name.strip_suffix(".json")
            && find(&format!("{archive}.partial")).is_none()
            && read(look, dir, file).is_ok_and(|r| wanted.refuses(&r).is_none())
        {
            sorted.orphans.push(file.clone());
            continue;
        }
        let record = find(&format!("{}.json", file.name));
        let pinned = find(&format!("{}{}", file.name, archive::PIN)).is_some();
        let seen = Seen { file: file.clone(), record: record.map(|r| read(look, dir, r)), pinned };
        match judge(&seen, wanted) {
            Ok(candidate) => {
                sorted.archives.push(Archive { candidate, file: seen.file, record: record.cloned() });
            }
            Err(why) => {
                let damaged = seen.file.kind == Kind::File
                    && match &seen.record {
                        Some(Ok(record)) => wanted.refuses(record).is_none(),
                        Some(Err(_)) => true,
                        None => false,
                    };
                sorted.others.push(Other { name: file.name.clone(), why, damaged });
            }
        }
    }
    sorted
}

fn read(look: &Look, dir: &Path, record: &Listed) -> Result<Record, String> {
    if record.kind != Kind::File {
        return Err(format!("is {}, not a regular file", record.kind.describe()));
    }
    let text = files::read_small(look, &dir.join(&record.name), archive::LIMIT);
    Record::parse(&text.map_err(|e| format!("cannot be read: {e}"))?)
}
