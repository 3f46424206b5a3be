//! An archive read through without a database: record, hash, codes, manifest, the dump's own contents.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use super::reread::{self, Compared};
use crate::archive::read::{Archive, Item, Refused};
use crate::archive::{self, Record};
use crate::dump::contents::{Contents, DirectoryDump};
use crate::dump::rows::Hashing;
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
    /// What was compared with the manifest.
    pub compared: Compared,
}

const BAD: &str = "do not rely on that archive: look at the copies and at older ones, and dump again";
const UNENCRYPTED: &str = "not encrypted, though a password is given: it is not an archive of this plan";
const PASSWORD: &str = "give the password that it was made with: without it nothing can be said of what is inside";

const CLEAR: &str = "look who made it; leave the password out only if the archive was meant to be without one";

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
        _ => Err(StepError::new(format!("`{}` is not good: {}", path.display(), failed.0.join("; "))).hint(
            if failed.0.iter().all(|f| f.contains("password") && !f.contains(UNENCRYPTED)) { PASSWORD } else { BAD },
        )),
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
        Err(_) if record.as_ref().is_some_and(|r| r.compression == "none") => {
            if let Some(record) = record.as_ref().filter(|r| r.encryption != "none") {
                failed.note("encryption", format!("its record says {}, and that is not so", record.encryption));
            }
            if password.is_some() {
                failed.note("encryption", format!("the archive is {UNENCRYPTED}"));
            }
            return bare(touch, path, record, failed);
        }
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
    if password.is_some() && !encrypted {
        failed.note("encryption", format!("the archive is {UNENCRYPTED}"));
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
    let inside = dump_entries(touch, &mut archive, password, manifest.as_ref(), failed)?;
    if let Some(manifest) = manifest.as_ref().filter(|m| !names.contains(&m.dump)) {
        failed.note("manifest", format!("it names the dump `{}`, which is not there", manifest.dump));
    }
    if let (Some(record), Some(manifest)) = (&record, &manifest) {
        let differing = differing(record, manifest);
        if !differing.is_empty() {
            failed.note("record", format!("it is not that of the dump inside, by {}", differing.join(", ")));
        }
    }
    let entries = names.len() as u64;
    let compared = match (&manifest, inside) {
        (Some(manifest), Some(contents)) => match reread::compare(manifest, &contents) {
            Ok(compared) => compared,
            Err(differences) => {
                differences.iter().for_each(|why| failed.note("dump", why));
                Compared::default()
            }
        },
        _ => Compared { summary: format!("its {entries} entries were read to their end"), ..Compared::default() },
    };
    Ok(record.map(|record| Verified { record, manifest, entries, compared }))
}

/// In what a record differs from the manifest inside, of what both have.
fn differing(record: &Record, manifest: &Manifest) -> Vec<&'static str> {
    let server = record.server.as_ref().zip(manifest.origin.as_ref());
    let facts = [
        ("run", record.run == manifest.run),
        ("plan", record.plan == manifest.plan),
        ("target", record.target == manifest.target),
        ("database", record.database == manifest.database),
        ("size", record.dump_bytes == manifest.dump_bytes),
        ("time", record.started_at == manifest.started_at),
        ("server", server.is_none_or(|(s, o)| s.host == o.host && s.port == o.port)),
    ];
    facts.into_iter().filter(|(_, same)| !same).map(|(name, _)| name).collect()
}

/// Reads every entry to its end; gives what the dump among them holds.
fn dump_entries(
    touch: &Touch,
    archive: &mut Archive<File>,
    password: Option<&[u8]>,
    manifest: Option<&Manifest>,
    failed: &mut Failed,
) -> Result<Option<Contents>, StepError> {
    let hashing = match reread::hashing(manifest) {
        Ok(hashing) => hashing,
        Err(why) => {
            failed.note("manifest", why);
            return Ok(None);
        }
    };
    let mut found = None;
    let mut folder = manifest.filter(|m| m.form() == Form::Directory).map(|_| DirectoryDump::new(hashing));
    let names: Vec<String> = archive.entries().iter().map(|e| e.name.clone()).collect();
    let mut whole = true;
    for (index, name) in names.iter().enumerate() {
        let stream = manifest.filter(|m| m.dump == *name && m.form() != Form::Directory);
        let inside = name.strip_prefix(FOLDER).zip(folder.as_mut());
        let of_dump = stream.is_some() || inside.is_some();
        let checked = match (inside, stream) {
            // Its entry was read before, to its end.
            (None, None) if name == MANIFEST => continue,
            (None, None) => archive.check(index, password).map(drop).map_err(|e| e.to_string()),
            (inside, stream) => archive.read(index, password).map_err(|e| e.to_string()).and_then(|mut content| {
                let mut content = Watched { inner: &mut content, touch, read: 0 };
                if let Some((name, folder)) = inside {
                    return reread::file(&mut content, folder, name);
                }
                if let Some(manifest) = stream {
                    let contents = reread::stream(&mut content, manifest.form(), hashing)?;
                    same_size(content.read, manifest)?;
                    found = Some(contents);
                }
                Ok(())
            }),
        };
        if touch.cancel().is_cancelled() {
            return Err(StepError::cancelled());
        }
        if let Err(why) = checked {
            whole &= !of_dump;
            // What is wrong with an entry names it already.
            failed.note(if of_dump { "dump" } else { "entries" }, why);
        }
    }
    if let Some((manifest, folder)) = manifest.zip(folder).filter(|_| whole) {
        let bytes = folder.bytes();
        let read = folder.end().map_err(reread::words);
        match read.and_then(|contents| same_size(bytes, manifest).map(|()| contents)) {
            Ok(contents) => found = Some(contents),
            Err(why) => failed.note("dump", why),
        }
    }
    Ok(found)
}

fn same_size(bytes: u64, manifest: &Manifest) -> Result<(), String> {
    match bytes == manifest.dump_bytes {
        true => Ok(()),
        false => Err(format!("it has {bytes} bytes, and the manifest says {}", manifest.dump_bytes)),
    }
}

/// Whether the password fits, as far as the first entry that takes one tells.
///
/// # Errors
/// It does not, there is none, or there is one and something in the archive takes none.
pub(super) fn check_password(
    archive: &mut Archive<File>,
    path: &Path,
    password: Option<&[u8]>,
) -> Result<(), StepError> {
    if password.is_some() && !archive.entries().iter().all(Item::encrypted) {
        return Err(StepError::new(format!("`{}`: the archive is {UNENCRYPTED}", path.display())).hint(CLEAR));
    }
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
    if text.len() as u64 > MANIFEST_LIMIT {
        return Err(format!("it has more than {} MiB", MANIFEST_LIMIT >> 20));
    }
    Ok(text)
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
    let form = if custom { Form::Custom } else { Form::Plain };
    let read = opened.map_err(|e| e.to_string()).and_then(|mut file| {
        let mut content = Watched { inner: &mut file, touch, read: 0 };
        reread::stream(&mut content, form, Hashing { seed: 0, on: false })
    });
    if touch.cancel().is_cancelled() {
        return Err(StepError::cancelled());
    }
    let summary = match read {
        Ok(contents) => {
            format!("{} were counted; it has no manifest to compare them with", reread::counts(&contents.evidence))
        }
        Err(why) => {
            failed.note("dump", why);
            String::new()
        }
    };
    let compared = Compared { summary, ..Compared::default() };
    Ok(record.map(|record| Verified { record, manifest: None, entries: 1, compared }))
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
            return Err(std::io::Error::other("cancelled"));
        }
        let count = self.inner.read(buffer)?;
        self.read += count as u64;
        Ok(count)
    }
}
