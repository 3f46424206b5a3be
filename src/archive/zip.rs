//! Writing an archive from its first byte to its last, reading it back, giving it its name.

use std::fs::{self, File};
use std::io::{self, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use chrono::{DateTime, Local};
use sha2::{Digest, Sha256};

use super::codec::Chunk;
use super::crypt::{Crypt, SALT};
use super::follow::Follower;
use super::frame::{self, Entry};
use super::pipeline::{Pipeline, Take};
use super::record::Record;
use super::{Encryption, Settings};
use crate::cancel::Cancel;
use crate::files::{self, Partial};
use crate::step::{StepError, Touch};

/// After so many bytes they are flushed and read back, so that the end has less to wait for.
const FLUSH: u64 = 16 << 20;

/// What differs from one archive to the next though its content is the same.
pub(super) struct Chance {
    pub salt: fn() -> Result<[u8; SALT], StepError>,
    pub now: fn() -> DateTime<Local>,
}

/// An archive that is being written, as `<path>.partial`. Dropped before its end, it leaves nothing.
pub struct Writer {
    out: Out,
    path: PathBuf,
    partial: Partial,
    entries: Vec<Entry>,
    pub(super) pipeline: Pipeline,
    pub(super) chance: Chance,
    method: u16,
    password: Option<zeroize::Zeroizing<String>>,
    cancel: Cancel,
}

/// An archive that is complete and read back, and has no name yet.
pub struct Sealed {
    pub(super) partial: Partial,
    pub(super) path: PathBuf,
    /// Size in bytes.
    pub bytes: u64,
    /// SHA-256 as written and as read back from the disk, in hexadecimal.
    pub sha256: String,
}

/// A file that is only ever appended to, with the hash of all that was written.
struct Out {
    file: BufWriter<File>,
    hash: Sha256,
    at: u64,
    flushed: u64,
    follower: Follower,
}

pub(super) fn failed(doing: &str, path: &Path, error: &io::Error) -> StepError {
    let said = StepError::because(format!("{doing} `{}`", path.display()), error);
    match error.kind() {
        io::ErrorKind::StorageFull => said.hint("free space on that disk; no earlier archive was touched"),
        io::ErrorKind::PermissionDenied => said.hint("let the user that runs the plan write to that folder"),
        _ => said,
    }
}

fn random() -> Result<[u8; SALT], StepError> {
    let mut salt = [0u8; SALT];
    getrandom::fill(&mut salt).map_err(|e| StepError::new(format!("the system gives no random numbers: {e}")))?;
    Ok(salt)
}

impl Out {
    fn new(file: &File, path: &Path, password: Option<zeroize::Zeroizing<String>>, cancel: Cancel) -> io::Result<Self> {
        let follower = Follower::new(file.try_clone()?, File::open(path)?, password, cancel);
        let file = BufWriter::with_capacity(64 * 1024, file.try_clone()?);
        Ok(Self { file, hash: Sha256::new(), at: 0, flushed: 0, follower })
    }

    fn put(&mut self, data: &[u8]) -> io::Result<()> {
        self.hash.update(data);
        self.file.write_all(data)?;
        self.at += data.len() as u64;
        if self.at - self.flushed >= FLUSH {
            self.file.flush()?;
            self.flushed = self.at;
            self.follower.written(self.at);
        }
        Ok(())
    }

    /// Everything on the disk.
    fn finish(&mut self) -> io::Result<()> {
        self.file.flush()?;
        self.file.get_ref().sync_all()?;
        self.follower.written(self.at);
        Ok(())
    }
}

/// Encrypts, hashes and writes the chunks of one entry.
struct Packing<'a> {
    out: &'a mut Out,
    path: &'a Path,
    crypt: Option<Crypt>,
    crc: u32,
}

impl Take for Packing<'_> {
    fn take(&mut self, chunk: &mut Chunk) -> Result<(), StepError> {
        match &mut self.crypt {
            Some(crypt) => crypt.encrypt(&mut chunk.output),
            None => self.crc = zlib_rs::crc32::crc32(self.crc, chunk.input()),
        }
        self.out.put(&chunk.output).map_err(|e| failed("writing", self.path, &e))
    }
}

impl Writer {
    /// Begins an archive. Missing folders above it are made (0700); the file itself is 0600.
    ///
    /// # Errors
    /// No password where one is needed, settings that do not fit together, a name that exists, a folder that cannot be
    /// written.
    pub fn create(touch: &Touch, settings: &Settings) -> Result<Self, StepError> {
        settings.check()?;
        let password = settings.password.as_ref().map(|p| zeroize::Zeroizing::new(touch.open(p).to_owned()));
        let password = password.filter(|_| settings.encryption == Encryption::Aes256);
        if settings.encryption == Encryption::Aes256 && password.as_ref().is_none_or(|p| p.is_empty()) {
            return Err(StepError::new("the archive is to be encrypted and its password is empty"));
        }
        let path = PathBuf::from(&settings.path);
        super::unused(touch.look(), &path)?;
        if let Some(dir) = path.parent().filter(|d| !d.as_os_str().is_empty()) {
            files::make_private_dir(dir).map_err(|e| failed("making the folder", dir, &e))?;
        }
        let partial = Partial::create(touch, &path).map_err(|e| failed("creating", &path, &e))?;
        let out = Out::new(partial.file(), partial.path(), password.clone(), touch.cancel().clone());
        let out = out.map_err(|e| failed("creating", &path, &e))?;
        Ok(Self {
            out,
            path,
            partial,
            entries: Vec::new(),
            pipeline: Pipeline::new(settings.codec(), settings.workers())?,
            chance: Chance { salt: random, now: Local::now },
            method: settings.method(),
            password,
            cancel: touch.cancel().clone(),
        })
    }

    /// Adds an entry with everything that `from` gives; `progress` hears how many bytes were taken. Gives their number.
    /// After an error the archive is of no use any more.
    ///
    /// # Errors
    /// Reading or writing failed, the work was cancelled, or the name is one that readers would not unpack.
    pub fn entry(&mut self, name: &str, from: &mut dyn Read, progress: &mut dyn FnMut(u64)) -> Result<u64, StepError> {
        if name.is_empty() || name.len() > usize::from(u16::MAX) {
            return Err(StepError::new(format!("an entry cannot be called by {} bytes", name.len())));
        }
        let mut entry = Entry {
            name: name.to_owned(),
            header: self.out.at,
            data: 0,
            crc: 0,
            size: 0,
            packed: 0,
            method: self.method,
            encrypted: self.password.is_some(),
            time: (self.chance.now)(),
        };
        let mut head = entry.local();
        entry.data = entry.header + head.len() as u64;
        let mut crypt = None;
        if let Some(password) = &self.password {
            let salt = (self.chance.salt)()?;
            let fresh = Crypt::new(password.as_bytes(), &salt);
            head.extend(salt);
            head.extend(fresh.verifier);
            crypt = Some(fresh);
        }
        if crypt.is_some() {
            self.out.follower.salt(entry.data, name);
        }
        self.out.put(&head).map_err(|e| failed("writing", &self.path, &e))?;
        let mut packing = Packing { out: &mut self.out, path: &self.path, crypt, crc: 0 };
        entry.size = self.pipeline.run(from, progress, &self.cancel, &mut packing)?;
        // AE-2 keeps no checksum of the plain text.
        entry.crc = packing.crc;
        let code = packing.crypt.map(Crypt::code);
        if code.is_some() {
            self.out.follower.code(self.out.at);
        }
        let mut tail = code.map(Vec::from).unwrap_or_default();
        entry.packed = self.out.at + tail.len() as u64 - entry.data;
        tail.extend(entry.descriptor());
        self.out.put(&tail).map_err(|e| failed("writing", &self.path, &e))?;
        let size = entry.size;
        self.entries.push(entry);
        Ok(size)
    }

    /// Ends the archive, flushes it to the disk and reads every byte back: the hash must be that of what was written, and
    /// each authentication code that of what stands before it.
    ///
    /// # Errors
    /// Writing failed, or what is on the disk is not what was written.
    pub fn seal(mut self) -> Result<Sealed, StepError> {
        let path = self.path;
        let start = self.out.at;
        let directory = |out: &mut Out, entries: &[Entry]| {
            entries.iter().try_for_each(|entry| out.put(&entry.central()))?;
            out.put(&frame::end(entries.len() as u64, start, out.at))
        };
        directory(&mut self.out, &self.entries).map_err(|e| failed("writing", &path, &e))?;
        self.out.finish().map_err(|e| failed("flushing", &path, &e))?;
        let (bytes, hash) = (self.out.at, self.out.hash.finalize().into());
        let read = self.out.follower.finish().map_err(|e| unread(&self.cancel, &path, &e))?;
        if read != (bytes, hash) {
            return Err(unread(&self.cancel, &path, &io::Error::other("it is not what was written")));
        }
        let sha256 = read.1.iter().map(|b| format!("{b:02x}")).collect();
        Ok(Sealed { partial: self.partial, path, bytes, sha256 })
    }
}

impl Sealed {
    /// Gives the archive its name, after its record has one: a crash between the two leaves a record without an archive,
    /// which nothing counts, and never an archive that nobody knows.
    ///
    /// # Errors
    /// A name exists by now, or the folder cannot be written.
    pub fn publish(self, touch: &Touch, record: &Record) -> Result<(), StepError> {
        let record_path = Record::path_of(&self.path);
        let json = serde_json::to_vec_pretty(record).map_err(|e| StepError::because("the record", &e))?;
        let publish = || {
            let partial = Partial::create(touch, &record_path)?;
            let mut file = partial.file();
            file.write_all(&json)?;
            file.sync_all()?;
            partial.publish()
        };
        publish().map_err(|e| failed("publishing", &record_path, &e))?;
        let path = self.path;
        self.partial.publish().map_err(|error| {
            if !files::exists(touch.look(), &path) {
                // Without its archive the record only stands in the way.
                let _ = fs::remove_file(&record_path);
            }
            failed("publishing", &path, &error)
        })
    }
}

/// What reading back failed at; being told to stop is no fault of the archive.
pub(super) fn unread(cancel: &Cancel, path: &Path, error: &io::Error) -> StepError {
    if cancel.is_cancelled() { StepError::cancelled() } else { failed("reading back", path, error) }
}
