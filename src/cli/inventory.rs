//! The archives of a plan: in which folders they are, what is in these, which is the newest.

use std::collections::BTreeSet;
use std::fs::{self, Metadata};
use std::io;
use std::path::{Path, PathBuf};

use crate::archive::{Content, LIMIT, PIN, Record};
use crate::files::{self, Links};
use crate::run::{Outlook, StepOutlook};
use crate::value::Value;

/// How an archive came to a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// A step writes archives there.
    Original,
    /// Copies, or the other places of a dump.
    Copy,
}

/// A folder of archives. Where the path of an archive has another folder in each run, the archives are below it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    pub role: Role,
    pub dir: PathBuf,
    /// How many folders deep they may be.
    pub depth: usize,
}

/// What the steps of a plan say about its archives, for one target.
#[derive(Debug, Default)]
pub struct Places {
    /// Originals first.
    pub all: Vec<Place>,
    /// Paths that only a run knows: as `pg_dump: archive.path`.
    pub unknown: Vec<String>,
    /// The databases that are dumped, as far as they are known.
    pub databases: BTreeSet<String>,
}

impl Places {
    /// Reads the folders that dumps, archives of files and copies go to, and that retention looks after.
    pub fn of(outlook: &Outlook) -> Self {
        let mut places = Self::default();
        for step in &outlook.steps {
            match step.uses.as_str() {
                "pg_dump" | "zip" => {
                    places.file(step, &["archive", "path"], Role::Original);
                    places.file(step, &["file"], Role::Original);
                    places.files(step, &["archive", "also"]);
                    if step.uses == "pg_dump" {
                        places.databases.extend(step.database.clone());
                    }
                }
                "copy" => places.folder(step, &["to"]),
                "retention" => places.folder(step, &["dir"]),
                _ => {}
            }
        }
        places.all.sort();
        // A folder that retention looks after is mostly one of the others.
        let mut known: Vec<Place> = Vec::new();
        for place in std::mem::take(&mut places.all) {
            if !known.iter().any(|k| k.dir == place.dir && k.depth >= place.depth) {
                known.push(place);
            }
        }
        places.all = known;
        places
    }

    fn file(&mut self, step: &StepOutlook, keys: &[&str], role: Role) {
        let found = step.with.each_ref().map(|with| at(with, keys));
        if let [Some(one), Some(other)] = found {
            self.add(step, keys, role, one.as_text(), other.as_text(), true);
        }
    }

    fn files(&mut self, step: &StepOutlook, keys: &[&str]) {
        let found = step.with.each_ref().map(|with| at(with, keys));
        if let [Some(Value::List(one)), Some(Value::List(other))] = found {
            for (one, other) in one.iter().zip(other) {
                self.add(step, keys, Role::Copy, one.as_text(), other.as_text(), true);
            }
        }
    }

    fn folder(&mut self, step: &StepOutlook, keys: &[&str]) {
        let found = step.with.each_ref().map(|with| at(with, keys));
        if let [Some(one), Some(other)] = found {
            self.add(step, keys, Role::Copy, one.as_text(), other.as_text(), false);
        }
    }

    /// Adds what is the same of a path in two runs.
    fn add(
        &mut self,
        step: &StepOutlook,
        keys: &[&str],
        role: Role,
        one: Option<&str>,
        other: Option<&str>,
        file: bool,
    ) {
        let (Some(one), Some(other)) = (one, other) else {
            self.unknown.push(format!("{}: {}", step.uses, keys.join(".")));
            return;
        };
        // A step that its `when` skips may have an empty path.
        if one.is_empty() {
            return;
        }
        let full = |text: &str| {
            let path = std::path::absolute(text).unwrap_or_else(|_| PathBuf::from(text));
            if file { path.parent().map(Path::to_path_buf).unwrap_or_default() } else { path }
        };
        let (one, other) = (full(one), full(other));
        let same = one.components().zip(other.components()).take_while(|(a, b)| a == b).count();
        let depth = one.components().count() - same;
        let dir: PathBuf = one.components().take(same).collect();
        self.all.push(Place { role, dir, depth });
    }
}

fn at<'v>(with: &'v Value, keys: &[&str]) -> Option<&'v Value> {
    keys.iter().try_fold(with, |value, key| value.get(key))
}

/// A file that is an archive, or looks like one.
#[derive(Debug, Clone)]
pub struct Stored {
    pub path: PathBuf,
    pub role: Role,
    pub bytes: u64,
    pub pinned: bool,
    /// What its record says, or why that counts for nothing; none when there is no record.
    pub record: Option<Result<Record, String>>,
    /// Why neither the file nor its record is to be believed.
    pub doubt: Option<String>,
}

/// Lists the archives in a place: files with a record, and zip files without one. A folder that is missing has none. What
/// belongs neither to the owner of its folder nor to us counts for nothing, as in retention.
///
/// # Errors
/// The folder cannot be listed.
pub fn stored_in(place: &Place) -> io::Result<Vec<Stored>> {
    let mut found = Vec::new();
    list(place.role, &place.dir, place.depth, None, &mut found)?;
    Ok(found)
}

/// Why what `meta` describes is not believed, if it is in a folder.
fn stranger(what: &str, folder: &Metadata, meta: &Metadata) -> Option<String> {
    (!files::trusts(folder, meta)).then(|| {
        let owner = files::owner(meta);
        format!("{what} belongs to user id {owner}, who is neither the owner of the folder nor this user")
    })
}

/// Lists a folder. `doubt` says why nothing in it is believed.
fn list(role: Role, dir: &Path, depth: usize, doubt: Option<&str>, found: &mut Vec<Stored>) -> io::Result<()> {
    let entries = match fs::read_dir(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        other => other?,
    };
    let own = fs::metadata(dir)?;
    let (mut files, mut folders) = (Vec::new(), Vec::new());
    for entry in entries {
        let entry = entry?;
        let (Ok(name), Ok(kind)) = (entry.file_name().into_string(), entry.file_type()) else { continue };
        if kind.is_file() {
            files.push(name);
        } else if kind.is_dir() {
            folders.push(name);
        }
    }
    let names: BTreeSet<&str> = files.iter().map(String::as_str).collect();
    for name in &names {
        let has_record = names.contains(format!("{name}.json").as_str());
        if !has_record && !name.ends_with(".zip") || name.ends_with(".partial") {
            continue;
        }
        let path = dir.join(name);
        // One that went since it was listed is not there.
        let Ok(meta) = path.symlink_metadata() else { continue };
        let beside = |end: &str| dir.join(format!("{name}{end}")).symlink_metadata().ok();
        let doubt = doubt.map(str::to_owned).or_else(|| stranger("it", &own, &meta));
        let doubt = doubt.or_else(|| stranger("its record", &own, &beside(".json").filter(|_| has_record)?));
        let record = has_record.then(|| read(&Record::path_of(&path), Links::Refuse));
        let has_pin = names.contains(format!("{name}{PIN}").as_str());
        let pin = beside(PIN).filter(|pin| has_pin && (files::trusts(&own, pin) || files::owner(pin) == 0));
        found.push(Stored { path, role, bytes: meta.len(), pinned: pin.is_some(), record, doubt });
    }
    if depth > 0 {
        for name in folders {
            let path = dir.join(name);
            let Ok(meta) = path.symlink_metadata() else { continue };
            // Where only the owner makes folders, each was meant to be there.
            let strange = stranger("its folder", &own, &meta).filter(|_| files::others_write(&own));
            let doubt = doubt.map(str::to_owned).or(strange);
            let listed = list(role, &path, depth - 1, doubt.as_deref(), found);
            if doubt.is_none() {
                listed?;
            }
        }
    }
    Ok(())
}

/// Reads the record of an archive.
///
/// # Errors
/// Why it counts for nothing: reads after "its record".
pub fn read_record(path: &Path) -> Result<Record, String> {
    read(path, Links::Follow)
}

fn read(path: &Path, links: Links) -> Result<Record, String> {
    Record::parse(&files::read_regular(path, LIMIT, links).map_err(|e| format!("cannot be read: {e}"))?)
}

/// One archive, at each place where it is.
#[derive(Debug, Clone)]
pub struct Archive {
    pub record: Record,
    /// Originals first.
    pub places: Vec<Stored>,
}

/// What is in the places of a plan.
#[derive(Debug, Default)]
pub struct Inventory {
    /// Complete archives of the plan, the newest first.
    pub archives: Vec<Archive>,
    /// Files that look like archives and do not count, and why.
    pub others: Vec<(PathBuf, String)>,
    /// Folders that could not be listed, and why.
    pub unread: Vec<(PathBuf, String)>,
}

/// Whose archives are meant.
#[derive(Debug, Default)]
pub struct Wanted {
    pub plan: String,
    pub target: Option<String>,
    /// Any of these; all when there is none.
    pub databases: BTreeSet<String>,
}

impl Wanted {
    fn takes(&self, record: &Record) -> bool {
        record.plan == self.plan
            && record.target == self.target
            && (self.databases.is_empty()
                || record.kind != Content::Dump
                || record.database.as_ref().is_none_or(|name| self.databases.contains(name)))
    }
}

impl Inventory {
    /// Adds the archives of a plan and target.
    pub fn add(&mut self, wanted: &Wanted, places: &[Place]) {
        for place in places {
            match stored_in(place) {
                Ok(all) => all.into_iter().for_each(|stored| self.take(wanted, stored)),
                Err(error) => self.unread.push((place.dir.clone(), error.to_string())),
            }
        }
        self.archives.sort_by_key(|a| std::cmp::Reverse((a.record.started_at, a.record.run.clone())));
        self.archives.iter_mut().for_each(|a| a.places.sort_by_key(|p| p.role));
    }

    fn take(&mut self, wanted: &Wanted, stored: Stored) {
        let counted = match &stored.record {
            Some(Ok(record)) if !wanted.takes(record) => return,
            _ if stored.doubt.is_some() => Err(stored.doubt.clone().unwrap_or_default()),
            None => Err("record missing".to_owned()),
            Some(Err(why)) => Err(format!("its record {why}")),
            Some(Ok(record)) if record.bytes != stored.bytes => {
                Err(format!("it has {} bytes, and its record says {}", stored.bytes, record.bytes))
            }
            Some(Ok(record)) => Ok(record.clone()),
        };
        let path = stored.path.clone();
        let record = match counted {
            Ok(record) => record,
            Err(_) if self.others.iter().any(|(other, _)| *other == path) => return,
            Err(why) => return self.others.push((path, why)),
        };
        let same = |a: &&mut Archive| a.record.run == record.run && a.record.sha256 == record.sha256;
        match self.archives.iter_mut().find(same) {
            Some(archive) if archive.places.iter().any(|p| p.path == path) => {}
            Some(archive) => archive.places.push(stored),
            None => self.archives.push(Archive { record, places: vec![stored] }),
        }
    }
}
