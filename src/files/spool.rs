//! A folder for what passes through: closed to others (0700), locked as long as it is used, gone with its holder. What a
//! killed run left is cleared by the next.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use super::own_dir::open_dir;
use crate::step::Touch;

/// What the names of such folders end in.
pub const SPOOL: &str = ".spool";
/// What those in the temporary folder begin with.
const PREFIX: &str = "runplan-";

/// A folder that lasts as long as this value.
#[derive(Debug)]
pub struct Spool {
    path: PathBuf,
    _lock: File,
}

impl Spool {
    /// The folder that goes with a file.
    pub fn path_of(to: &Path) -> PathBuf {
        let mut name = to.as_os_str().to_owned();
        name.push(SPOOL);
        name.into()
    }

    /// Makes the folder that goes with a file that is being made. What dead runs left of the same file is removed.
    ///
    /// # Errors
    /// Another run uses it, or the folder above cannot be written.
    pub fn beside(touch: &Touch, to: &Path) -> io::Result<Self> {
        let dir = to.parent().filter(|d| !d.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let name = to.file_name().and_then(|n| n.to_str()).unwrap_or_default();
        let own = touch.facts().run.as_str();
        let dead = |found: &str| match name.split_once(own) {
            None => found == name,
            Some((before, after)) => found
                .strip_prefix(before)
                .and_then(|n| n.strip_suffix(after))
                .is_some_and(|id| id == own || super::is_run_id(id)),
        };
        clear(touch, dir, &dead);
        Self::make(Self::path_of(to))
    }

    /// Makes one in the system's temporary folder, and removes those that dead runs left there.
    ///
    /// # Errors
    /// The temporary folder cannot be written, or others could exchange what is in it.
    pub fn temporary(touch: &Touch) -> io::Result<Self> {
        let dir = super::temp_dir()?;
        clear(touch, &dir, &|found| {
            found.strip_prefix(PREFIX).is_some_and(|n| n.get(..21).is_some_and(super::is_run_id))
        });
        let free = (0..u32::MAX).map(|n| dir.join(format!("{PREFIX}{}-{n}{SPOOL}", touch.facts().run)));
        for path in free {
            match Self::make(path) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                made => return made,
            }
        }
        Err(io::Error::other("the temporary folder is full of such folders"))
    }

    fn make(path: PathBuf) -> io::Result<Self> {
        let mut builder = fs::DirBuilder::new();
        #[cfg(unix)]
        {
            use std::os::unix::fs::DirBuilderExt;
            builder.mode(0o700);
        }
        builder.create(&path)?;
        let lock = open_dir(&path)?;
        if !is_ours(&lock) {
            return Err(io::Error::other("another user put a folder in its place"));
        }
        // A file system without locks cannot tell a live one from a dead one, and leaves it.
        let _ = lock.try_lock();
        Ok(Self { path, _lock: lock })
    }

    /// Where it lies.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Spool {
    fn drop(&mut self) {
        // What cannot be removed is recognised by its name.
        let _ = fs::remove_dir_all(&self.path);
    }
}

/// Removes the folders of dead runs whose names, without their end, are said to be such.
fn clear(touch: &Touch, dir: &Path, dead: &dyn Fn(&str) -> bool) {
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        let Ok(name) = entry.file_name().into_string() else { continue };
        let folder = entry.file_type().is_ok_and(|t| t.is_dir());
        if !folder || !name.strip_suffix(SPOOL).is_some_and(dead) {
            continue;
        }
        let Ok(lock) = open_dir(&entry.path()) else { continue };
        // Whatever its name says: what belongs to another user is not ours to remove.
        if !is_ours(&lock) {
            continue;
        }
        if matches!(lock.try_lock(), Err(TryLockError::WouldBlock | TryLockError::Error(_))) {
            continue;
        }
        if fs::remove_dir_all(entry.path()).is_ok() {
            touch.log().info(format!("removed `{name}`, which a run that was killed left behind"));
        }
    }
}

/// Whether we own a folder.
fn is_ours(folder: &File) -> bool {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        folder.metadata().is_ok_and(|m| m.uid() == rustix::process::geteuid().as_raw())
    }
    #[cfg(not(unix))]
    {
        let _ = folder;
        true
    }
}
