//! An archive read through without a database: record, hash, codes, manifest, the dump's own contents.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use super::folder::Folder;
use crate::archive::read::{Archive, Item, Refused};
use crate::archive::{self, Record};
use crate::dump::rows;
use crate::dump::toc::{Entry, Toc, Unread};
use crate::dump::{FOLDER, Form, MANIFEST, MANIFEST_LIMIT, Manifest};
use crate::files;
use crate::step::{Look, StepError, Touch};

/// What was found good.
#[derive(Debug)]
pub struct Verified {
    pub record: Record,
    /// None for an archive of files.
    pub manifest: Option<Manifest>,
    /// How many entries the archive has.
    pub entries: u64,
    /// Tables whose rows were counted in the dump and are as many as the manifest says.
    pub tables: u64,
    pub rows: u64,
    /// Whether they could be counted, which those of SQL and of a dump that is compressed itself cannot.
    pub counted: bool,
}

const BAD: &str = "do not rely on that archive: look at the copies and at older ones, and dump again";
const PASSWORD: &str = "give the password that it was made with: without it nothing can be said of what is inside";

/// The checks that failed, each a line: which one, and what it saw.
#[derive(Default)]
struct Failed(Vec<String>);

impl Failed {
    fn note(&mut self, check: &str, what: impl std::fmt::Display) {
        self.0.push(format!("{check}: {what}"));
    }
}

/// Reads an archive through. Every check is made that can be made, and all that fail are said.
///
/// # Errors
/// The checks that failed.
pub fn verify(touch: &Touch, path: &Path, password: Option<&str>) -> Result<Verified, StepError> {
    match examine(touch, path, password)? {
        Found::Good(verified) => Ok(*verified),
        Found::RecordMissing => {
            let what = format!("`{}`: archive intact, record missing: retention does not count it", path.display());
            Err(StepError::new(what).hint("`runplan verify --write-record ARCHIVE` writes the record again"))
        }
    }
}

/// What an archive is that was read to its end.
pub(super) enum Found {
    Good(Box<Verified>),
    /// Everything in it is good, and it has no record.
    RecordMissing,
}

/// Reads an archive through, as [`verify`] does.
pub(super) fn examine(touch: &Touch, path: &Path, password: Option<&str>) -> Result<Found, StepError> {
    let mut failed = Failed::default();
    let record = record(touch.look(), path, &mut failed);
    let missing = record.is_none() && !files::exists(touch.look(), &Record::path_of(path));
    if let Some(record) = &record {
        hash(touch, path, record, &mut failed)?;
    }
    let verified = entries(touch, path, password, record, &mut failed)?;
    match (failed.0.is_empty(), verified) {
        (true, Some(verified)) => Ok(Found::Good(Box::new(verified))),
        // The only thing that was noted.
        _ if missing && failed.0.len() == 1 => Ok(Found::RecordMissing),
        _ => Err(StepError::new(format!("`{}` is not good: {}", path.display(), failed.0.join("; ")))
            .hint(if failed.0.iter().all(|f| f.contains("password")) { PASSWORD } else { BAD })),
    }
}

fn record(look: &Look, path: &Path, failed: &mut Failed) -> Option<Record> {
    let place = Record::path_of(path);
    let text = files::read_small(look, &place, archive::LIMIT);
    let text = text.map_err(|e| match e.kind() {
        std::io::ErrorKind::NotFound => format!("is missing: there is no `{}`", place.display()),
        _ => format!("cannot be read: `{}`: {e}", place.display()),
    });
    let read = text.and_then(|t| Record::parse(&t));
    read.map_err(|why| failed.note("record", format!("it {why}"))).ok()
}

/// Size and hash of the whole file against its record.
fn hash(touch: &Touch, path: &Path, record: &Record, failed: &mut Failed) -> Result<(), StepError> {
    match files::hash(touch.look(), path) {
        Ok((bytes, _)) if bytes != record.bytes => {
            failed.note("size", format!("it has {bytes} bytes, and its record says {}", record.bytes));
        }
        Ok((_, sha256)) if sha256 != record.sha256 => failed.note("SHA-256", "it is not the one in its record"),
        Ok(_) => {}
        Err(_) if touch.cancel().is_cancelled() => return Err(StepError::cancelled()),
        Err(error) => failed.note("reading", error),
    }
    Ok(())
}

/// Every entry to its end, then what manifest and dump say of each other.
fn entries(
    touch: &Touch,
    path: &Path,
    password: Option<&str>,
    record: Option<Record>,
    failed: &mut Failed,
) -> Result<Option<Verified>, StepError> {
    let opened = files::open(touch.look(), path).map_err(|e| e.to_string());
    let mut archive = match opened.and_then(|f| Archive::open(f, u64::MAX).map_err(|e| e.to_string())) {
        Ok(archive) => archive,
        // A bare dump is no archive, and its record says so.
        Err(_) if record.as_ref().is_some_and(|r| r.compression == "none") => return bare(touch, path, record, failed),
        Err(error) => {
            failed.note("zip", error);
            return Ok(None);
        }
    };
    let encrypted = archive.entries().iter().all(Item::encrypted);
    if let Some(record) = &record
        && (record.encryption == "aes256") != encrypted
    {
        failed.note("encryption", format!("its record says {}, and that is not so", record.encryption));
    }
    let password = password.map(str::as_bytes);
    // Of an archive that was changed, the changed bytes may be those that the password is checked by.
    if failed.0.len() == usize::from(record.is_none()) {
        check_password(&mut archive, path, password)?;
    }
    let names: Vec<String> = archive.entries().iter().map(|e| e.name.clone()).collect();
    let manifest = match names.iter().position(|n| n == MANIFEST) {
        None => None,
        Some(index) => match text(&mut archive, index, password) {
            Ok(text) => Manifest::parse(&text).map_err(|why| failed.note("manifest", format!("it {why}"))).ok(),
            Err(why) => {
                failed.note("manifest", why);
                None
            }
        },
    };
    let dump = record.as_ref().is_some_and(|r| r.kind == archive::Content::Dump);
    if dump && manifest.is_none() && !failed.0.iter().any(|f| f.starts_with("manifest")) {
        failed.note("manifest", "there is none");
    }
    let (mut tables, mut rows) = (0, 0);
    let mut folder = manifest.as_ref().filter(|m| m.form() == Form::Directory).map(|m| (m, Folder::default()));
    for (index, name) in names.iter().enumerate() {
        if touch.cancel().is_cancelled() {
            return Err(StepError::cancelled());
        }
        if let Some((inside, (_, folder))) = name.strip_prefix(FOLDER).zip(folder.as_mut()) {
            let read = archive.read(index, password).map_err(|e| e.to_string());
            let read = read.and_then(|mut content| {
                let mut content = Watched { inner: &mut content, touch, read: 0 };
                folder.take(inside, &mut content).map_err(|e| e.to_string())
            });
            if touch.cancel().is_cancelled() {
                return Err(StepError::cancelled());
            }
            if let Err(why) = read {
                failed.note("dump", why);
            }
            continue;
        }
        let of_dump = manifest.as_ref().filter(|m| m.dump == *name);
        let checked = match of_dump {
            // Its entry was read above, to its end.
            None if name == MANIFEST => continue,
            None => archive.check(index, password).map(drop).map_err(|e| e.to_string()),
            Some(manifest) => archive.read(index, password).map_err(|e| e.to_string()).and_then(|mut content| {
                let mut content = Watched { inner: &mut content, touch, read: 0 };
                (tables, rows) = contents(&mut content, manifest)?;
                match content.read == manifest.dump_bytes {
                    true => Ok(()),
                    false => {
                        Err(format!("it has {} bytes, and the manifest says {}", content.read, manifest.dump_bytes))
                    }
                }
            }),
        };
        if touch.cancel().is_cancelled() {
            return Err(StepError::cancelled());
        }
        if let Err(why) = checked {
            // What is wrong with an entry names it already.
            failed.note(if of_dump.is_some() { "dump" } else { "entries" }, why);
        }
    }
    if let Some((manifest, folder)) = folder {
        match folder.compare(manifest) {
            Ok(compared) => (tables, rows) = compared,
            Err(why) => failed.note("dump", why),
        }
    }
    if let Some(manifest) = manifest.as_ref().filter(|m| !names.contains(&m.dump)) {
        failed.note("manifest", format!("it names the dump `{}`, which is not there", manifest.dump));
    }
    if let (Some(record), Some(manifest)) = (&record, &manifest) {
        let same = (&record.run, &record.database, record.dump_bytes)
            == (&manifest.run, &manifest.database, manifest.dump_bytes);
        if !same {
            failed.note("record", "it is not that of the dump inside: run, database or size differ");
        }
    }
    let none = |m: &Manifest| !m.dump.ends_with(".sql") && m.evidence.iter().all(|e| e.tables.is_empty());
    let counted = tables > 0 || manifest.as_ref().is_none_or(none);
    Ok(record.map(|record| Verified { record, manifest, entries: names.len() as u64, tables, rows, counted }))
}

/// Whether the password fits, as far as the first entry that takes one tells.
///
/// # Errors
/// It does not, or there is none.
pub(super) fn check_password(
    archive: &mut Archive<File>,
    path: &Path,
    password: Option<&[u8]>,
) -> Result<(), StepError> {
    let Some(index) = archive.entries().iter().position(Item::encrypted) else { return Ok(()) };
    match (archive.read(index, password), password) {
        (Err(Refused::Password { .. }), Some(_)) => Err(StepError::wrong_password(path)),
        (Err(Refused::Password { .. }), None) => {
            Err(StepError::new(format!("`{}` is encrypted, and no password was given", path.display())).hint(PASSWORD))
        }
        // What else is wrong with it is found where it is read.
        _ => Ok(()),
    }
}

fn text(archive: &mut Archive<File>, index: usize, password: Option<&[u8]>) -> Result<Vec<u8>, String> {
    let content = archive.read(index, password).map_err(|e| e.to_string())?;
    let mut text = Vec::new();
    content.take(MANIFEST_LIMIT + 1).read_to_end(&mut text).map_err(|e| e.to_string())?;
    if text.len() as u64 > MANIFEST_LIMIT { Err("it is too large".to_owned()) } else { Ok(text) }
}

/// A dump that lies there as it is: its hash was compared, and it must be one.
fn bare(
    touch: &Touch,
    path: &Path,
    record: Option<Record>,
    failed: &mut Failed,
) -> Result<Option<Verified>, StepError> {
    let opened = files::open(touch.look(), path);
    let custom = record.as_ref().is_some_and(|r| r.format.as_deref() == Some("custom"));
    let read = opened.map_err(|e| e.to_string()).and_then(|mut file| {
        let mut content = Watched { inner: &mut file, touch, read: 0 };
        if custom { whole(&mut content).map(drop) } else { plain(&mut content, "database") }
    });
    if touch.cancel().is_cancelled() {
        return Err(StepError::cancelled());
    }
    if let Err(why) = read {
        failed.note("dump", why);
    }
    Ok(record.map(|record| Verified { record, manifest: None, entries: 1, tables: 0, rows: 0, counted: false }))
}

/// Counts what was read, and stops when it is told to.
struct Watched<'a, R> {
    inner: &'a mut R,
    touch: &'a Touch,
    read: u64,
}

impl<R: Read> Read for Watched<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        if self.touch.cancel().is_cancelled() {
            return Err(std::io::Error::other("told to stop"));
        }
        let count = self.inner.read(buffer)?;
        self.read += count as u64;
        Ok(count)
    }
}

/// The dump read through: its own contents against the manifest. Gives the tables and rows that were compared.
fn contents(from: &mut impl Read, manifest: &Manifest) -> Result<(u64, u64), String> {
    if !manifest.dump.ends_with(".dump") {
        plain(from, "database")?;
        return Ok((0, 0));
    }
    let (toc, found) = whole(from)?;
    counted(manifest, &toc, |entry| found.get(&entry.id).copied())
}

/// Compares the rows that were counted in a dump with those of its manifest. `of` knows of an entry whether its data is
/// there, and how many rows it has if they end. Gives the tables and rows that were compared.
///
/// # Errors
/// The first table that is missing or has other rows.
pub(super) fn counted(
    manifest: &Manifest,
    toc: &Toc,
    of: impl Fn(&Entry) -> Option<Option<u64>>,
) -> Result<(u64, u64), String> {
    let (mut tables, mut rows) = (0, 0);
    for wanted in manifest.evidence.iter().flat_map(|e| &e.tables) {
        let place = format!("`{}.{}`", wanted.schema, wanted.name);
        let entry = toc.of("TABLE DATA").find(|e| e.schema.as_deref() == Some(&wanted.schema) && e.name == wanted.name);
        let entry = entry.ok_or_else(|| format!("the table {place} is missing in the dump"))?;
        let found = of(entry).ok_or_else(|| format!("the rows of the table {place} are missing in the dump"))?;
        if !entry.copied || toc.compressed {
            continue;
        }
        let counted = found.ok_or_else(|| format!("the rows of the table {place} break off in the dump"))?;
        if i64::try_from(counted) != Ok(wanted.rows) {
            return Err(format!(
                "the table {place} has {counted} rows in the dump, and the manifest says {}",
                wanted.rows
            ));
        }
        tables += 1;
        rows += counted;
    }
    Ok((tables, rows))
}

/// A whole dump in the custom format: its table of contents and its data, all that the first promises among the second.
fn whole(from: &mut impl Read) -> Result<(Toc, rows::Found), String> {
    let (toc, rest) = head(from)?;
    let mut chained = rest.as_slice().chain(from);
    let found = rows::read(&mut chained, &toc).map_err(|e| e.to_string())?;
    Ok((toc, found))
}

/// The longest table of contents that is read, in bytes.
const HEAD: usize = 256 << 20;

/// The table of contents, and what was read behind it.
fn head(from: &mut impl Read) -> Result<(Toc, Vec<u8>), String> {
    let mut bytes = Vec::new();
    let mut size: usize = 64 * 1024;
    loop {
        let more = (size - bytes.len()) as u64;
        let read = from.by_ref().take(more).read_to_end(&mut bytes).map_err(|e| e.to_string())?;
        match Toc::parse(&bytes) {
            Ok(toc) => {
                let rest = bytes.split_off(toc.bytes);
                return Ok((toc, rest));
            }
            Err(Unread::Broken(why)) => return Err(format!("the table of contents {why}")),
            Err(Unread::Short) if (read as u64) < more || size > HEAD => {
                return Err("the table of contents breaks off".to_owned());
            }
            Err(Unread::Short) => size *= 2,
        }
    }
}

/// A dump in SQL is read to the line that ends it.
fn plain(from: &mut impl Read, what: &str) -> Result<(), String> {
    let mut buffer = vec![0u8; 64 * 1024];
    let mut tail: Vec<u8> = Vec::new();
    loop {
        let count = from.read(&mut buffer).map_err(|e| e.to_string())?;
        if count == 0 {
            break;
        }
        tail.extend_from_slice(&buffer[count.saturating_sub(512)..count]);
        let surplus = tail.len().saturating_sub(512);
        tail.drain(..surplus);
    }
    let end = format!("-- PostgreSQL {what} dump complete");
    if String::from_utf8_lossy(&tail).contains(&end) { Ok(()) } else { Err("the dump has no end".to_owned()) }
}
