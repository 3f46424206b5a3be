//! What lies in the folder: which files are archives that count, and why the others do not.

use std::cmp::Reverse;
use std::collections::HashMap;

use chrono::{DateTime, Utc};
use globset::{GlobBuilder, GlobMatcher};

use super::known::Known;
use super::rules::Candidate;
use super::{Params, Servers};
use crate::archive::{self, Content, Record};
use crate::files::{Kind, Listed, OpenFolder};
use crate::postgres::Settings;
use crate::step::{Look, StepError};

/// Whose archives count.
pub struct Wanted {
    plan: String,
    target: Option<String>,
    pub database: Option<String>,
    /// Host and port of the server whose archives count; none when those of any server do.
    pub(super) server: Option<(String, u16)>,
    /// The name of this machine: `localhost` is another server on another machine.
    pub(super) machine: String,
    /// The `system_identifier` of that server, where an archive tells it.
    identifier: Option<String>,
    /// Names that count without a record.
    pattern: Option<GlobMatcher>,
}

impl Wanted {
    /// Those of a plan, target and database.
    pub fn of(plan: &str, target: Option<&str>, database: Option<&str>) -> Self {
        let own = |t: Option<&str>| t.map(str::to_owned);
        let (plan, target, database) = (plan.to_owned(), own(target), own(database));
        Self { plan, target, database, server: None, machine: String::new(), identifier: None, pattern: None }
    }

    /// Those that the parameters name; what they leave out is the run's own.
    ///
    /// # Errors
    /// A pattern that is none.
    pub fn new(params: &Params, look: &Look) -> Result<Self, StepError> {
        let facts = &look.facts;
        let database = params.database.as_ref().or(facts.database.as_ref()).map(String::as_str);
        let mut wanted = Self::of(params.plan.as_ref().unwrap_or(&facts.plan), facts.target.as_deref(), database);
        wanted.machine.clone_from(&facts.host);
        if params.server == Servers::Same {
            wanted.server.clone_from(&facts.server);
        }
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

    /// The server of a record whose archive would count, were it of our server. A record that names no server says nothing
    /// against it.
    fn other_server(&self, record: &Record) -> Option<String> {
        let (_, server) = (self.server.as_ref()?, record.server.as_ref()?);
        let same =
            self.has_our_address(record) || self.identifier.is_some() && self.identifier == server.system_identifier;
        (!same).then(|| match is_local(&server.host) {
            true => format!("{}:{}` on the machine `{}", server.host, server.port, record.machine),
            false => format!("{}:{}", server.host, server.port),
        })
    }

    /// Whether a record has the host and port of our server. Those of a local server count only on the same machine.
    fn has_our_address(&self, record: &Record) -> bool {
        let (Some((host, port)), Some(server)) = (&self.server, &record.server) else { return false };
        server.host == *host && server.port == *port && (!is_local(host) || record.machine == self.machine)
    }

    /// Learns which server ours is: the newest archive from its host and port tells, so that its archives count too that
    /// were made while it had another name.
    pub(super) fn learn<'a>(&mut self, records: impl Iterator<Item = &'a Record>) {
        let ours = records.filter(|r| self.refuses(r).is_none());
        let ours = ours.filter(|r| self.has_our_address(r));
        let newest = ours.max_by_key(|r| r.started_at).and_then(|r| r.server.as_ref());
        self.identifier = newest.and_then(|s| s.system_identifier.clone());
    }
}

/// Whether a host is the machine that says it.
fn is_local(host: &str) -> bool {
    Settings { host: Some(host.to_owned()), ..Settings::default() }.is_here()
}

/// A file as it was looked at.
pub struct Seen {
    pub file: Listed,
    /// Its record: what it says, or why it counts for nothing; none when there is none.
    pub record: Option<Result<Record, String>>,
    pub pinned: bool,
    /// Why neither the file nor its record is to be believed.
    pub doubt: Option<String>,
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
        None if wanted.pattern.as_ref().is_some_and(|p| p.is_match(&file.name)) => {
            return seen.doubt.clone().map_or(Ok(file.modified), Err);
        }
        None => return Err("it has no record".to_owned()),
    };
    if let Some(why) = wanted.refuses(record) {
        return Err(why);
    }
    if let Some(server) = wanted.other_server(record) {
        return Err(format!("it is of the server `{server}`"));
    }
    if record.bytes != file.bytes {
        return Err(format!("it has {} bytes, and its record says {}", file.bytes, record.bytes));
    }
    seen.doubt.clone().map_or(Ok(record.started_at), Err)
}

/// An archive that counts, as it lies there.
pub struct Archive {
    pub candidate: Candidate,
    pub file: Listed,
    pub record: Option<Listed>,
}

/// The archives that count, and why each other file does not.
#[derive(Default)]
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
    /// It would count, were it of our server: the server that it is of.
    pub server: Option<String>,
}

/// Tells the archives that count from everything else in the folder. What is found of their bytes is put into `known`.
///
/// # Errors
/// The work was cancelled.
pub fn sort(
    look: &Look,
    folder: &OpenFolder,
    listed: &[Listed],
    wanted: &mut Wanted,
    known: &mut Known,
) -> Result<Sorted, StepError> {
    let names: HashMap<&str, &Listed> = listed.iter().map(|l| (l.name.as_str(), l)).collect();
    let find = |name: &str| names.get(name).copied();
    let mut sorted = Sorted::default();
    let mut all = Vec::new();
    for file in listed {
        if look.cancel.is_cancelled() {
            return Err(StepError::cancelled());
        }
        // A record or a pin is spoken of with its archive.
        let beside = [".json", archive::PIN].iter().find_map(|end| file.name.strip_suffix(end));
        if beside.is_some_and(|archive| find(archive).is_some()) {
            continue;
        }
        if let Some(archive) = file.name.strip_suffix(".json")
            && find(&format!("{archive}.partial")).is_none()
            && folder.trusts(file)
            && read(folder, file).is_ok_and(|r| wanted.refuses(&r).is_none() && wanted.other_server(&r).is_none())
        {
            sorted.orphans.push(file.clone());
            continue;
        }
        let record = find(&format!("{}.json", file.name));
        let pin = find(&format!("{}{}", file.name, archive::PIN));
        // What root may not pin it could keep by other means.
        let trusted = pin.filter(|p| folder.trusts(p) || p.owner == 0);
        if let Some(pin) = pin.filter(|_| trusted.is_none()) {
            let why = format!("{}: it pins nothing", stranger(pin));
            sorted.others.push(Other { name: pin.name.clone(), why, damaged: false, server: None });
        }
        let pinned = trusted.is_some();
        let doubt = [Some(file), record].into_iter().flatten().find(|f| !folder.trusts(f)).map(stranger);
        let seen = Seen { file: file.clone(), record: record.map(|r| read(folder, r)), pinned, doubt };
        all.push((seen, record.cloned()));
    }
    let records = all.iter().filter(|(seen, _)| seen.doubt.is_none());
    wanted.learn(records.filter_map(|(seen, _)| seen.record.as_ref().and_then(|r| r.as_ref().ok())));
    // The newest first: what there is no time for is what matters least.
    let made = |seen: &Seen| seen.record.as_ref().and_then(|r| r.as_ref().ok()).map(|r| r.started_at);
    all.sort_by_cached_key(|(seen, _)| Reverse(made(seen)));
    for (mut seen, record) in all {
        if look.cancel.is_cancelled() {
            return Err(StepError::cancelled());
        }
        if let (Ok(_), Some(Ok(told)), Some(beside)) = (judge(&seen, wanted), &seen.record, &record) {
            seen.doubt = known.check(look, folder, (&seen.file, beside), told).err();
        }
        match judge(&seen, wanted) {
            Ok(candidate) => sorted.archives.push(Archive { candidate, file: seen.file, record }),
            Err(why) => {
                let told = seen.record.as_ref().and_then(|r| r.as_ref().ok());
                let ours = told.filter(|r| wanted.refuses(r).is_none());
                let server = ours.and_then(|r| wanted.other_server(r));
                let damaged = seen.file.kind == Kind::File
                    && server.is_none()
                    && (ours.is_some() || matches!(seen.record, Some(Err(_))));
                sorted.others.push(Other { name: seen.file.name, why, damaged, server });
            }
        }
    }
    if look.cancel.is_cancelled() {
        return Err(StepError::cancelled());
    }
    sorted.archives.sort_by(|a, b| a.file.name.cmp(&b.file.name));
    sorted.others.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(sorted)
}

/// Why a file of somebody else is not believed.
fn stranger(file: &Listed) -> String {
    let what = if file.name.ends_with(".json") { "its record" } else { "it" };
    format!("{what} belongs to user id {}, who is neither the owner of the folder nor this user", file.owner)
}

fn read(folder: &OpenFolder, record: &Listed) -> Result<Record, String> {
    if record.kind != Kind::File {
        return Err(format!("is {}, not a regular file", record.kind.describe()));
    }
    Record::parse(&folder.read(record, archive::LIMIT).map_err(|e| format!("cannot be read: {e}"))?)
}
