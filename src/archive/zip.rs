//! Writing a zip: local headers whose sizes are filled in once they are known, a central directory, zip64 throughout.
//!
//! Sizes stand in the local header and not behind the data, since some readers cannot read a stored entry otherwise.

use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use chrono::{DateTime, Datelike, Local, Timelike};
use sha2::{Digest, Sha256};

use super::crypt::{CODE, Crypt, OVERHEAD, SALT};
use super::deflate;
use super::record::Record;
use super::{Compression, Encryption, Settings};
use crate::cancel::Cancel;
use crate::files::{self, Partial};
use crate::step::{StepError, Touch};

/// Bytes handled at a time.
const CHUNK: usize = 256 * 1024;
/// Where the sizes of the zip64 field stand behind the start of a local header and its name.
const LOCAL: u64 = 30;

/// What is known of an entry for the central directory.
struct Entry {
    name: String,
    header: u64,
    data: u64,
    crc: u32,
    size: u64,
    packed: u64,
    /// Checksum of the bytes as packed, for reading back what no authentication code protects.
    packed_crc: u32,
    dos_time: [u8; 4],
}

/// An archive that is being written, as `<path>.partial`. Dropped before its end, it leaves nothing.
pub struct Writer {
    out: BufWriter<File>,
    path: PathBuf,
    partial: Partial,
    entries: Vec<Entry>,
    compression: Compression,
    password: Option<zeroize::Zeroizing<String>>,
    cancel: Cancel,
}

/// An archive that is complete and read back, and has no name yet.
pub struct Sealed {
    pub(super) partial: Partial,
    pub(super) path: PathBuf,
    /// Size in bytes.
    pub bytes: u64,
    /// SHA-256 as read back from the disk, in hexadecimal.
    pub sha256: String,
}

pub(super) fn failed(doing: &str, path: &Path, error: &io::Error) -> StepError {
    let said = StepError::because(format!("{doing} `{}`", path.display()), error);
    match error.kind() {
        io::ErrorKind::StorageFull => said.hint("free space on that disk; no earlier archive was touched"),
        io::ErrorKind::PermissionDenied => said.hint("let the user that runs the plan write to that folder"),
        _ => said,
    }
}

impl Writer {
    /// Begins an archive. Missing folders above it are made (0700); the file itself is 0600.
    ///
    /// # Errors
    /// No password where one is needed, a name that exists, a folder that cannot be written.
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
        let file = partial.file().try_clone().map_err(|e| failed("creating", &path, &e))?;
        Ok(Self {
            out: BufWriter::with_capacity(CHUNK, file),
            path,
            partial,
            entries: Vec::new(),
            compression: settings.compression,
            password,
            cancel: touch.cancel().clone(),
        })
    }

    /// Adds an entry with everything that `from` gives; `progress` hears how many bytes were taken. Gives their number.
    ///
    /// # Errors
    /// Reading or writing failed, or the work was cancelled.
    pub fn entry(&mut self, name: &str, from: &mut dyn Read, progress: &mut dyn FnMut(u64)) -> Result<u64, StepError> {
        let written = |e: &io::Error, path: &Path| failed("writing", path, e);
        let header = self.out.stream_position().map_err(|e| written(&e, &self.path))?;
        let mut entry = Entry {
            name: name.to_owned(),
            header,
            data: 0,
            crc: 0,
            size: 0,
            packed: 0,
            packed_crc: 0,
            dos_time: dos_time(Local::now()),
        };
        let local = self.local_header(&entry);
        entry.data = header + local.len() as u64;
        self.out.write_all(&local).map_err(|e| written(&e, &self.path))?;
        let mut crypt = None;
        if let Some(password) = &self.password {
            let mut salt = [0u8; SALT];
            getrandom::fill(&mut salt)
                .map_err(|e| StepError::new(format!("the system gives no random numbers: {e}")))?;
            let fresh = Crypt::new(password.as_bytes(), &salt);
            self.out
                .write_all(&salt)
                .and_then(|()| self.out.write_all(&fresh.verifier))
                .map_err(|e| written(&e, &self.path))?;
            entry.packed += OVERHEAD;
            crypt = Some(fresh);
        }
        let crc = self.pump(from, &mut entry, &mut crypt, progress)?;
        if let Some(crypt) = crypt {
            self.out.write_all(&crypt.code()).map_err(|e| written(&e, &self.path))?;
        } else {
            // AE-2 keeps no checksum of the plain text.
            entry.crc = crc;
        }
        self.fill_sizes(&entry).map_err(|e| written(&e, &self.path))?;
        let size = entry.size;
        self.entries.push(entry);
        Ok(size)
    }

    fn pump(
        &mut self,
        from: &mut dyn Read,
        entry: &mut Entry,
        crypt: &mut Option<Crypt>,
        progress: &mut dyn FnMut(u64),
    ) -> Result<u32, StepError> {
        let mut deflate = (self.compression == Compression::Deflate).then(deflate::Encoder::new);
        let mut input = vec![0u8; deflate::CHUNK];
        let mut output = Vec::new();
        let mut crc = 0u32;
        loop {
            let mut filled = 0;
            while filled < input.len() {
                if self.cancel.is_cancelled() {
                    return Err(StepError::cancelled());
                }
                match from.read(&mut input[filled..]) {
                    Ok(0) => break,
                    Ok(count) => filled += count,
                    Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                    Err(e) => return Err(StepError::because(format!("reading what becomes `{}`", entry.name), &e)),
                }
                progress(entry.size + filled as u64);
            }
            let chunk = &mut input[..filled];
            crc = zlib_rs::crc32::crc32(crc, chunk);
            entry.size += chunk.len() as u64;
            let last = chunk.len() < deflate::CHUNK;
            if let Some(deflate) = &mut deflate {
                deflate.chunk(chunk, &mut output);
                if last {
                    output.extend(deflate::END);
                }
                self.put(&mut output, entry, crypt)?;
            } else {
                self.put(chunk, entry, crypt)?;
            }
            if last {
                return Ok(crc);
            }
        }
    }

    fn put(&mut self, data: &mut [u8], entry: &mut Entry, crypt: &mut Option<Crypt>) -> Result<(), StepError> {
        if let Some(crypt) = crypt {
            crypt.encrypt(data);
        }
        entry.packed += data.len() as u64;
        entry.packed_crc = zlib_rs::crc32::crc32(entry.packed_crc, data);
        self.out.write_all(data).map_err(|e| failed("writing", &self.path, &e))
    }

    fn method(&self) -> u16 {
        if self.compression == Compression::Deflate { 8 } else { 0 }
    }

    /// Version needed, flags, method, time, checksum: what local and central headers share.
    fn common(&self, entry: &Entry) -> Vec<u8> {
        let aes = self.password.is_some();
        let mut out = Vec::new();
        out.extend(if aes { 51u16 } else { 45 }.to_le_bytes());
        // Bit 0: encrypted; bit 11: the name is UTF-8.
        out.extend((0x0800u16 | u16::from(aes)).to_le_bytes());
        out.extend(if aes { 99 } else { self.method() }.to_le_bytes());
        out.extend(entry.dos_time);
        out.extend(entry.crc.to_le_bytes());
        out.extend([0xff; 8]);
        out.extend(u16::try_from(entry.name.len()).unwrap_or(u16::MAX).to_le_bytes());
        out
    }

    /// The zip64 field with both sizes and, in the central directory, the offset; and the AES field.
    fn extra(&self, entry: &Entry, central: bool) -> Vec<u8> {
        let mut out = Vec::new();
        out.extend(1u16.to_le_bytes());
        out.extend(if central { 24u16 } else { 16 }.to_le_bytes());
        out.extend(entry.size.to_le_bytes());
        out.extend(entry.packed.to_le_bytes());
        if central {
            out.extend(entry.header.to_le_bytes());
        }
        if self.password.is_some() {
            out.extend([0x01, 0x99, 7, 0, 2, 0, b'A', b'E', 3]);
            out.extend(self.method().to_le_bytes());
        }
        out
    }

    fn local_header(&self, entry: &Entry) -> Vec<u8> {
        let extra = self.extra(entry, false);
        let mut out = b"PK\x03\x04".to_vec();
        out.extend(self.common(entry));
        out.extend(u16::try_from(extra.len()).unwrap_or(u16::MAX).to_le_bytes());
        out.extend(entry.name.as_bytes());
        out.extend(extra);
        out
    }

    fn fill_sizes(&mut self, entry: &Entry) -> io::Result<()> {
        let end = self.out.stream_position()?;
        self.out.seek(SeekFrom::Start(entry.header + 14))?;
        self.out.write_all(&entry.crc.to_le_bytes())?;
        self.out.seek(SeekFrom::Start(entry.header + LOCAL + entry.name.len() as u64 + 4))?;
        self.out.write_all(&entry.size.to_le_bytes())?;
        self.out.write_all(&entry.packed.to_le_bytes())?;
        self.out.seek(SeekFrom::Start(end)).map(drop)
    }

    /// Ends the archive, flushes it to the disk and reads every byte back: the authentication code or checksum of each
    /// entry must be the one that was written.
    ///
    /// # Errors
    /// Writing failed, or what is on the disk is not what was written.
    pub fn seal(mut self) -> Result<Sealed, StepError> {
        let path = self.path.clone();
        self.directory().map_err(|e| failed("writing", &path, &e))?;
        let mut file = self.out.into_inner().map_err(|e| failed("writing", &path, e.error()))?;
        file.sync_all().map_err(|e| failed("flushing", &path, &e))?;
        #[cfg(target_os = "linux")]
        {
            // Otherwise the pages in memory would be compared with themselves.
            let _ = rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed);
        }
        for entry in &self.entries {
            check_entry(&mut file, entry, self.password.as_ref().map(|p| p.as_bytes()), &self.cancel)
                .map_err(|e| unread(&self.cancel, &path, &e))?;
        }
        let (bytes, sha256) = hash(&file, &self.cancel).map_err(|e| unread(&self.cancel, &path, &e))?;
        Ok(Sealed { partial: self.partial, path, bytes, sha256 })
    }

    fn directory(&mut self) -> io::Result<()> {
        let start = self.out.stream_position()?;
        for entry in &self.entries {
            let extra = self.extra(entry, true);
            let mut out = b"PK\x01\x02".to_vec();
            // Made by version 6.3 on Unix, so that the attributes are a Unix mode.
            out.extend([63, 3]);
            out.extend(self.common(entry));
            out.extend(u16::try_from(extra.len()).unwrap_or(u16::MAX).to_le_bytes());
            out.extend([0; 6]);
            out.extend((0o100_600u32 << 16).to_le_bytes());
            out.extend([0xff; 4]);
            out.extend(entry.name.as_bytes());
            out.extend(extra);
            self.out.write_all(&out)?;
        }
        let end = self.out.stream_position()?;
        let count = self.entries.len() as u64;
        let mut out = b"PK\x06\x06".to_vec();
        out.extend(44u64.to_le_bytes());
        out.extend([63, 3, 51, 0]);
        out.extend([0; 8]);
        for number in [count, count, end - start, start] {
            out.extend(number.to_le_bytes());
        }
        out.extend(b"PK\x06\x07\0\0\0\0");
        out.extend(end.to_le_bytes());
        out.extend(1u32.to_le_bytes());
        out.extend(b"PK\x05\x06\0\0\0\0");
        let short = |n: u64| u16::try_from(n).unwrap_or(u16::MAX).to_le_bytes();
        let long = |n: u64| u32::try_from(n).unwrap_or(u32::MAX).to_le_bytes();
        out.extend(short(count));
        out.extend(short(count));
        out.extend(long(end - start));
        out.extend(long(start));
        out.extend([0, 0]);
        self.out.write_all(&out)
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

fn check_entry(file: &mut File, entry: &Entry, password: Option<&[u8]>, cancel: &Cancel) -> io::Result<()> {
    file.seek(SeekFrom::Start(entry.data))?;
    let mut from = BufReader::with_capacity(CHUNK, file);
    let broken = |what: &str| io::Error::other(format!("the entry `{}` {what}", entry.name));
    let Some(password) = password else {
        let mut crc = 0;
        read_through(&mut from, entry.packed, cancel, &mut |data| crc = zlib_rs::crc32::crc32(crc, data))?;
        return if crc == entry.packed_crc { Ok(()) } else { Err(broken("is not what was written")) };
    };
    let mut salt = [0u8; SALT];
    from.read_exact(&mut salt)?;
    let mut crypt = Crypt::new(password, &salt);
    let mut verifier = [0u8; 2];
    from.read_exact(&mut verifier)?;
    if verifier != crypt.verifier {
        return Err(broken("does not know its password"));
    }
    read_through(&mut from, entry.packed - OVERHEAD, cancel, &mut |data| crypt.authenticate(data))?;
    let mut code = [0u8; CODE];
    from.read_exact(&mut code)?;
    if code == crypt.code() { Ok(()) } else { Err(broken("is not what was written")) }
}

/// Hands `left` bytes on, a buffer at a time.
fn read_through(from: &mut impl Read, mut left: u64, cancel: &Cancel, take: &mut dyn FnMut(&[u8])) -> io::Result<()> {
    let mut buffer = vec![0u8; CHUNK];
    while left > 0 {
        if cancel.is_cancelled() {
            return Err(io::Error::other("told to stop"));
        }
        let count = usize::try_from(left).unwrap_or(CHUNK).min(CHUNK);
        from.read_exact(&mut buffer[..count])?;
        take(&buffer[..count]);
        left -= count as u64;
    }
    Ok(())
}

pub(super) fn hash(mut file: &File, cancel: &Cancel) -> io::Result<(u64, String)> {
    file.seek(SeekFrom::Start(0))?;
    let mut digest = Sha256::new();
    let bytes = file.metadata()?.len();
    read_through(&mut file, bytes, cancel, &mut |data| digest.update(data))?;
    Ok((bytes, digest.finalize().iter().map(|b| format!("{b:02x}")).collect()))
}

/// Time and date as MS-DOS kept them, in local time, to two seconds.
fn dos_time(time: DateTime<Local>) -> [u8; 4] {
    let year = u32::try_from(time.year().clamp(1980, 2107) - 1980).unwrap_or(0);
    let clock = (time.hour() << 11) | (time.minute() << 5) | (time.second() / 2);
    let date = (year << 9) | (time.month() << 5) | time.day();
    ((date << 16) | clock).to_le_bytes()
}
