//! Writing an archive from its first byte to its last.

use std::io::Read;

use chrono::{DateTime, Local};

use super::codec::Chunk;
use super::crypt::{Crypt, SALT};
use super::frame::{self, Entry};
use super::keys::KeySource;
use super::outs::Outs;
use super::pipeline::{Pipeline, Take};
use super::sealed::Sealed;
use super::through::Sum;
use super::{Encryption, Settings, Verify};
use crate::cancel::Cancel;
use crate::step::{StepError, Touch};

/// An archive that is being written, as `<path>.partial`. Dropped before its end, it leaves nothing.
pub struct Writer {
    outs: Outs,
    entries: Vec<Entry>,
    /// What went into each, when it is to be unpacked again.
    sums: Option<Vec<Sum>>,
    pub(super) pipeline: Pipeline,
    pub(super) now: fn() -> DateTime<Local>,
    method: u16,
    /// None when nothing is encrypted.
    pub(super) keys: Option<Box<KeySource>>,
    cancel: Cancel,
}

fn random() -> Result<[u8; SALT], StepError> {
    let mut salt = [0u8; SALT];
    getrandom::fill(&mut salt).map_err(|e| StepError::new(format!("the system gives no random numbers: {e}")))?;
    Ok(salt)
}

/// Encrypts, hashes and writes the chunks of one entry.
struct Packing<'a> {
    outs: &'a mut Outs,
    crypt: Option<Crypt>,
    /// Whether the content is summed up though it is encrypted.
    summed: bool,
    crc: u32,
}

impl Take for Packing<'_> {
    fn take(&mut self, chunk: &mut Chunk) -> Result<(), StepError> {
        if self.crypt.is_none() || self.summed {
            self.crc = zlib_rs::crc32::crc32(self.crc, chunk.input());
        }
        if let Some(crypt) = &mut self.crypt {
            crypt.encrypt(&mut chunk.output);
        }
        self.outs.put(&chunk.output)
    }
}

impl Writer {
    /// Begins an archive, at every place that the settings name. Missing folders above them are made (0700); the files
    /// themselves are 0600.
    ///
    /// # Errors
    /// No password where one is needed, settings that do not fit together, a name that exists, or no folder that can be
    /// written.
    pub fn create(touch: &Touch, settings: &Settings) -> Result<Self, StepError> {
        settings.check()?;
        let password = settings.password.as_ref().map(|p| zeroize::Zeroizing::new(touch.open(p).to_owned()));
        let password = password.filter(|_| settings.encryption == Encryption::Aes256);
        if settings.encryption == Encryption::Aes256 && password.as_ref().is_none_or(|p| p.is_empty()) {
            return Err(StepError::new("the archive is to be encrypted and its password is empty"));
        }
        settings.unused(touch.look())?;
        let outs = Outs::create(touch, settings)?;
        Ok(Self {
            outs,
            entries: Vec::new(),
            sums: (settings.verify == Verify::Full).then(Vec::new),
            pipeline: Pipeline::new(settings.codec(), settings.workers())?,
            now: Local::now,
            method: settings.method(),
            keys: password.map(|password| Box::new(KeySource::new(password, random))),
            cancel: touch.cancel().clone(),
        })
    }

    /// A counter of the bytes that were written by now.
    pub fn written(&self) -> std::sync::Arc<std::sync::atomic::AtomicU64> {
        self.outs.written()
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
            header: self.outs.at,
            data: 0,
            crc: 0,
            size: 0,
            packed: 0,
            method: self.method,
            encrypted: self.keys.is_some(),
            time: (self.now)(),
        };
        let mut head = entry.local();
        entry.data = entry.header + head.len() as u64;
        let mut crypt = None;
        if let Some(keys) = &mut self.keys {
            let salted = keys.next()?;
            head.extend(salted.salt);
            head.extend(salted.keys.verifier());
            self.outs.salt(entry.data, name, &salted);
            crypt = Some(Crypt::with_keys(&salted.keys));
        }
        self.outs.put(&head)?;
        let mut packing = Packing { outs: &mut self.outs, crypt, summed: self.sums.is_some(), crc: 0 };
        entry.size = self.pipeline.run(from, progress, &self.cancel, &mut packing)?;
        if let Some(sums) = &mut self.sums {
            sums.push(Sum { name: name.to_owned(), size: entry.size, crc: packing.crc });
        }
        // AE-2 keeps no checksum of the plain text.
        entry.crc = if self.keys.is_some() { 0 } else { packing.crc };
        let code = packing.crypt.map(Crypt::code);
        if code.is_some() {
            self.outs.code();
        }
        let mut tail = code.map(Vec::from).unwrap_or_default();
        entry.packed = self.outs.at + tail.len() as u64 - entry.data;
        tail.extend(entry.descriptor());
        self.outs.put(&tail)?;
        let size = entry.size;
        self.entries.push(entry);
        Ok(size)
    }

    /// Ends the archive, flushes it to the disk and reads every byte back: the hash must be that of what was written, and
    /// each authentication code that of what stands before it. With `verify: full` it is unpacked again, too.
    ///
    /// # Errors
    /// Writing failed, or what is on the disk is not what was written.
    pub fn seal(mut self) -> Result<Sealed, StepError> {
        let start = self.outs.at;
        self.entries.iter().try_for_each(|entry| self.outs.put(&entry.central()))?;
        self.outs.put(&frame::end(self.entries.len() as u64, start, self.outs.at))?;
        let password = self.keys.as_ref().map(|k| k.password().as_bytes());
        self.outs.seal(self.sums.as_deref(), password)
    }
}
