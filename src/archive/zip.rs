//! Writing an archive from its first byte to its last, reading it back, giving it its name.

use std::fs::{self, File};
use std::io::{self, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::thread::{self, JoinHandle};

use chrono::{DateTime, Local};
use crossbeam_channel::{Sender, bounded};
use sha2::{Digest, Sha256};

use super::codec::Chunk;
use super::crypt::{CODE, Crypt, SALT};
use super::frame::{self, Entry};
use super::pipeline::{Pipeline, Take};
use super::record::Record;
use super::{Encryption, Settings};
use crate::cancel::Cancel;
use crate::files::{self, Partial};
use crate::step::{StepError, Touch};

/// Bytes read back at a time.
const PIECE: usize = 512 * 1024;
/// After so many bytes the disk is told to take them, so that the end has less to wait for.
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
    flusher: Flusher,
}

/// A thread that tells the disk to take what was written, while more is.
struct Flusher {
    poke: Sender<()>,
    thread: JoinHandle<io::Result<()>>,
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
    fn new(file: File) -> io::Result<Self> {
        let (poke, poked) = bounded::<()>(1);
        let shared = file.try_clone()?;
        // What goes wrong at a flush is told once, and the last flush would not hear of it: the first failure is kept.
        let thread = thread::spawn(move || poked.iter().try_for_each(|()| shared.sync_data()));
        let file = BufWriter::with_capacity(64 * 1024, file);
        Ok(Self { file, hash: Sha256::new(), at: 0, flushed: 0, flusher: Flusher { poke, thread } })
    }

    fn put(&mut self, data: &[u8]) -> io::Result<()> {
        self.hash.update(data);
        self.file.write_all(data)?;
        self.at += data.len() as u64;
        if self.at - self.flushed >= FLUSH {
            self.flushed = self.at;
            // One that is still at work, or has failed, is let be.
            let _ = self.flusher.poke.try_send(());
        }
        Ok(())
    }

    /// Everything on the disk: the file, its size and its hash.
    fn finish(self) -> io::Result<(File, u64, [u8; 32])> {
        let file = self.file.into_inner().map_err(io::IntoInnerError::into_error)?;
        drop(self.flusher.poke);
        self.flusher.thread.join().unwrap_or_else(|_| Err(io::Error::other("the flush stopped")))?;
        file.sync_all()?;
        Ok((file, self.at, self.hash.finalize().into()))
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
        let out = partial.file().try_clone().and_then(Out::new).map_err(|e| failed("creating", &path, &e))?;
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
        self.out.put(&head).map_err(|e| failed("writing", &self.path, &e))?;
        let mut packing = Packing { out: &mut self.out, path: &self.path, crypt, crc: 0 };
        entry.size = self.pipeline.run(from, progress, &self.cancel, &mut packing)?;
        // AE-2 keeps no checksum of the plain text.
        entry.crc = packing.crc;
        let code = packing.crypt.map(Crypt::code);
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
        let (mut file, bytes, hash) = self.out.finish().map_err(|e| failed("flushing", &path, &e))?;
        #[cfg(target_os = "linux")]
        {
            // Otherwise the pages in memory would be compared with themselves.
            let _ = rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed);
        }
        let password = self.password.as_ref().map(|p| p.as_bytes());
        let cancel = &self.cancel;
        let read = read_back(&mut file, &self.entries, password, cancel).map_err(|e| unread(cancel, &path, &e))?;
        if read != (bytes, hash) {
            return Err(unread(cancel, &path, &io::Error::other("it is not what was written")));
        }
        let sha256 = hash.iter().map(|b| format!("{b:02x}")).collect();
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

/// Reads a whole file once. Gives its size and hash, after each entry's authentication code was compared. Hash and codes
/// are reckoned side by side where there are two processors.
fn read_back(
    file: &mut File,
    entries: &[Entry],
    password: Option<&[u8]>,
    cancel: &Cancel,
) -> io::Result<(u64, [u8; 32])> {
    file.seek(SeekFrom::Start(0))?;
    let (send_full, full) = bounded::<Vec<u8>>(4);
    let (send_empty, empty) = bounded(4);
    thread::scope(|scope| {
        let hasher = scope.spawn(move || {
            let mut hash = Sha256::new();
            for piece in full {
                hash.update(&piece);
                // One too many is let go.
                let _ = send_empty.try_send(piece);
            }
            hash.finalize().into()
        });
        let size = file.metadata()?.len();
        let mut at = 0;
        // Reads up to a place, handing on each piece before it is hashed.
        let mut advance = |to: u64, see: &mut dyn FnMut(&[u8])| {
            while at < to {
                if cancel.is_cancelled() {
                    return Err(io::Error::other("told to stop"));
                }
                let count = usize::try_from(to - at).unwrap_or(PIECE).min(PIECE);
                let mut piece = empty.try_recv().unwrap_or_default();
                piece.resize(count, 0);
                file.read_exact(&mut piece)?;
                see(&piece);
                at += count as u64;
                send_full.send(piece).map_err(|_| io::Error::other("the hash stopped"))?;
            }
            Ok(())
        };
        for entry in entries.iter().filter(|_| password.is_some()) {
            let broken = |what: &str| io::Error::other(format!("the entry `{}` {what}", entry.name));
            advance(entry.data, &mut |_| {})?;
            let mut head = Vec::new();
            advance(entry.data + SALT as u64 + 2, &mut |piece| head.extend_from_slice(piece))?;
            let salt = *head.first_chunk().unwrap_or(&[0; SALT]);
            let mut crypt = Crypt::new(password.unwrap_or_default(), &salt);
            if head[SALT..] != crypt.verifier {
                return Err(broken("does not know its password"));
            }
            let end = entry.data + entry.packed;
            advance(end - CODE as u64, &mut |piece| crypt.authenticate(piece))?;
            let mut code = Vec::new();
            advance(end, &mut |piece| code.extend_from_slice(piece))?;
            if code != crypt.code() {
                return Err(broken("is not what was written"));
            }
        }
        advance(size, &mut |_| {})?;
        drop(send_full);
        Ok((size, hasher.join().map_err(|_| io::Error::other("the hash stopped"))?))
    })
}

/// What reading back failed at; being told to stop is no fault of the archive.
pub(super) fn unread(cancel: &Cancel, path: &Path, error: &io::Error) -> StepError {
    if cancel.is_cancelled() { StepError::cancelled() } else { failed("reading back", path, error) }
}
