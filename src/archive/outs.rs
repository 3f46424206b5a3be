//! The files that one archive is written to: the same bytes in each, and each followed, flushed and read back by itself.
//!
//! One that fails is given up and leaves nothing; the others go on. What fails in all of them fails the archive.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use sha2::{Digest, Sha256};

use super::Settings;
use super::follow::Follower;
use super::keys::Salted;
use super::sealed::{Made, Sealed, failed};
use super::through::{self, Sum};
use crate::cancel::Cancel;
use crate::files::{self, Links, Partial};
use crate::step::{StepError, Touch};

/// After so many bytes they are flushed and read back, so that the end has less to wait for.
const FLUSH: u64 = 16 << 20;
/// The same after so many encrypted entries, however small they are.
const UNREAD: u32 = 10_000;

/// Files that are only ever appended to, with the hash of all that was written.
pub(super) struct Outs {
    places: Vec<Place>,
    /// What became of those that were given up.
    failed: Vec<StepError>,
    hash: Sha256,
    /// How many bytes were written.
    pub at: u64,
    flushed: u64,
    /// Entries begun since then, whose keys are kept for reading them back.
    unread: u32,
    /// The same as `at`, for progress reports.
    written: Arc<AtomicU64>,
    touch: Touch,
}

struct Place {
    path: PathBuf,
    partial: Partial,
    file: BufWriter<File>,
    follower: Follower,
}

impl Place {
    fn create(touch: &Touch, path: &Path, mounted: bool) -> Result<Self, StepError> {
        let dir = super::folder(path);
        super::unused(touch.look(), path)?;
        if mounted {
            super::mounted(touch.look(), dir)?;
        }
        files::make_private_dir(dir).map_err(|e| failed("making the folder", dir, &e))?;
        let begin = || {
            let partial = Partial::create(touch, path)?;
            let again = files::open_regular(partial.path(), Links::Refuse)?;
            let follower = Follower::new(partial.file().try_clone()?, again, touch.cancel().clone());
            let file = BufWriter::with_capacity(64 * 1024, partial.file().try_clone()?);
            Ok(Self { path: path.to_path_buf(), partial, file, follower })
        };
        begin().map_err(|e: io::Error| failed("creating", path, &e))
    }

    /// Everything on the disk.
    fn finish(&mut self, at: u64) -> io::Result<()> {
        self.file.flush()?;
        self.file.get_ref().sync_all()?;
        self.follower.written(at);
        Ok(())
    }

    /// Waits until every byte was read back.
    fn read(self, wrote: (u64, [u8; 32]), cancel: &Cancel) -> Result<Made, StepError> {
        let read = self.follower.finish().map_err(|e| unread(cancel, &self.path, &e))?;
        if read != wrote {
            return Err(unread(cancel, &self.path, &io::Error::other("it is not what was written")));
        }
        Ok(Made { partial: self.partial, path: self.path })
    }
}

impl Outs {
    /// Begins a file at every place of the settings.
    ///
    /// # Errors
    /// None could be begun.
    pub fn create(touch: &Touch, settings: &Settings) -> Result<Self, StepError> {
        let (places, failed) = (Vec::new(), Vec::new());
        let mut outs = Self {
            places,
            failed,
            hash: Sha256::new(),
            at: 0,
            flushed: 0,
            unread: 0,
            written: Arc::default(),
            touch: touch.again(),
        };
        for (number, path) in settings.paths().enumerate() {
            let mounted = settings.require_mount && number > 0;
            match Place::create(touch, path.as_ref(), mounted) {
                Ok(place) => outs.places.push(place),
                Err(error) => outs.failed.push(error),
            }
        }
        outs.some()?;
        outs.failed.iter().for_each(|error| outs.given_up(error));
        Ok(outs)
    }

    /// Writes to every place.
    ///
    /// # Errors
    /// There is none left.
    pub fn put(&mut self, data: &[u8]) -> Result<(), StepError> {
        self.hash.update(data);
        self.each("writing", |place| place.file.write_all(data))?;
        self.at += data.len() as u64;
        self.written.store(self.at, Ordering::Relaxed);
        if self.at - self.flushed >= FLUSH || self.unread >= UNREAD {
            (self.unread, self.flushed) = (0, self.at);
            let at = self.at;
            self.each("writing", |place| place.file.flush().map(|()| place.follower.written(at)))?;
        }
        Ok(())
    }

    /// How many bytes were written so far.
    pub fn written(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.written)
    }

    /// An encrypted entry's data will begin here, with this salt.
    pub fn salt(&mut self, at: u64, name: &str, salted: &Salted) {
        self.places.iter().for_each(|p| p.follower.salt(at, name, salted.clone()));
        self.unread += 1;
    }

    /// Its ciphertext ends here.
    pub fn code(&self) {
        self.places.iter().for_each(|p| p.follower.code(self.at));
    }

    /// Flushes each to the disk and waits until every byte was read back; with `packed` each is unpacked again, too.
    ///
    /// # Errors
    /// None is what was written, or the work was cancelled.
    pub fn seal(mut self, packed: Option<&[Sum]>, password: Option<&[u8]>) -> Result<Sealed, StepError> {
        let at = self.at;
        self.each("flushing", |place| place.finish(at))?;
        let hash: [u8; 32] = std::mem::take(&mut self.hash).finalize().into();
        let mut made = Vec::new();
        for place in std::mem::take(&mut self.places) {
            let cancel = self.touch.cancel();
            let read = place.read((at, hash), cancel).and_then(|made| {
                let sums = packed.map_or(Ok(()), |sums| through::check(made.partial.path(), password, sums, cancel));
                sums.map_err(|e| unread(cancel, &made.path, &e)).map(|()| made)
            });
            match read {
                Ok(whole) => made.push(whole),
                Err(error) => {
                    if !made.is_empty() {
                        self.given_up(&error);
                    }
                    self.failed.push(error);
                }
            }
        }
        if self.touch.cancel().is_cancelled() {
            return Err(StepError::cancelled());
        }
        let sha256 = hash.iter().map(|b| format!("{b:02x}")).collect();
        Sealed { made, failed: self.failed, bytes: at, sha256 }.some()
    }

    /// Does the same at every place, and gives up those where it fails.
    fn each(&mut self, doing: &str, mut act: impl FnMut(&mut Place) -> io::Result<()>) -> Result<(), StepError> {
        let before = self.failed.len();
        let failures = &mut self.failed;
        self.places.retain_mut(|place| match act(place) {
            Ok(()) => true,
            Err(error) => {
                failures.push(failed(doing, &place.path, &error));
                false
            }
        });
        self.some()?;
        self.failed[before..].iter().for_each(|error| self.given_up(error));
        Ok(())
    }

    fn some(&self) -> Result<(), StepError> {
        match self.failed.first() {
            Some(error) if self.places.is_empty() => Err(error.clone()),
            _ => Ok(()),
        }
    }

    fn given_up(&self, error: &StepError) {
        self.touch.log().warn(format!("{error}; the other places of the archive go on without it"));
    }
}

/// What reading back failed at; a cancelled read is not a fault of the archive.
pub(super) fn unread(cancel: &Cancel, path: &Path, error: &io::Error) -> StepError {
    if cancel.is_cancelled() { StepError::cancelled() } else { failed("reading back", path, error) }
}
