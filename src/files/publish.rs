//! Atomic publication: a file is written under a passing name in its own folder and gets its final name only when it is
//! complete. Dropped before that, it leaves nothing.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use super::own_dir::{Access, OwnDir};
use super::regular::{Links, open_regular, open_with};
use crate::step::Touch;

/// A file under its passing name, `<final name>.partial`, locked as long as it is being made (0600).
#[derive(Debug)]
pub struct Partial {
    file: File,
    path: PathBuf,
    to: PathBuf,
    named: bool,
}

impl Partial {
    /// Begins a file that will be called `to`. What a killed run left under the passing name is cleared; one that is
    /// still being written is not.
    ///
    /// # Errors
    /// The final name exists, another run writes the same file, or the folder cannot be written.
    pub fn create(touch: &Touch, to: &Path) -> io::Result<Self> {
        clear_dead(touch, to);
        if to.symlink_metadata().is_ok() {
            return Err(io::Error::new(io::ErrorKind::AlreadyExists, "it exists, and is not overwritten"));
        }
        let mut name = to.as_os_str().to_owned();
        name.push(".partial");
        let path = PathBuf::from(name);
        if path.symlink_metadata().is_ok() {
            let old = open_regular(&path, Links::Refuse)
                .map_err(|e| io::Error::new(e.kind(), format!("`{}` is in the way: {e}", path.display())))?;
            if matches!(old.try_lock(), Err(TryLockError::WouldBlock)) {
                return Err(io::Error::other("another run is writing it"));
            }
            fs::remove_file(&path)?;
        }
        let file = open_with(&path, Links::Refuse, OpenOptions::new().read(true).write(true).create_new(true))?;
        // A file system without locks cannot tell a live partial from a dead one; `create_new` still keeps two apart.
        let _ = file.try_lock();
        Ok(Self { file, path, to: to.to_path_buf(), named: false })
    }

    /// The file itself.
    pub fn file(&self) -> &File {
        &self.file
    }

    /// Its passing name.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Gives the file its final name, and flushes the folder.
    ///
    /// # Errors
    /// The name exists by now, or the folder cannot be written.
    pub fn publish(mut self) -> io::Result<()> {
        rename(&self.path, &self.to)?;
        self.named = true;
        let dir = self.to.parent().filter(|d| !d.as_os_str().is_empty()).unwrap_or(Path::new("."));
        flush(dir)
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        if !self.named {
            // What cannot be removed is recognised by its name.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Puts a text into a file of ours in place of what it held, in one step: a small note, never an archive. Missing folders
/// are made (0700).
///
/// # Errors
/// The folder cannot be written, or is not ours alone.
pub fn replace(_: &Touch, path: &Path, text: &[u8]) -> io::Result<()> {
    let dir = path.parent().filter(|d| !d.as_os_str().is_empty()).unwrap_or(Path::new("."));
    OwnDir::make(dir, Access::Closed)?;
    put(path, text, 0o600)
}

/// Puts a text under a name in place of the file that had it, in one step. Something else than a file is not replaced.
///
/// # Errors
/// The folder is missing or cannot be written, or the name is that of no file.
pub(crate) fn put(path: &Path, text: &[u8], mode: u32) -> io::Result<()> {
    if path.metadata().is_ok_and(|m| !m.is_file()) {
        return Err(io::Error::other("it is there and is no file"));
    }
    let dir = path.parent().filter(|d| !d.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut builder = tempfile::Builder::new();
    builder.prefix(".runplan-");
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(mode));
    #[cfg(not(unix))]
    let _ = mode;
    let mut file = builder.tempfile_in(dir).map_err(bare)?;
    io::Write::write_all(&mut file, text)?;
    file.as_file().sync_all()?;
    file.persist(path).map(drop).map_err(|e| e.error)
}

/// The error of the system itself, without the passing name that was tried.
fn bare(error: io::Error) -> io::Error {
    let inner = error.get_ref().and_then(|e| e.source()).and_then(|e| e.downcast_ref::<io::Error>());
    inner.and_then(io::Error::raw_os_error).map_or(error, io::Error::from_raw_os_error)
}

/// Removes what killed runs left of the same file: the same name with the id of another run, still under its passing
/// name, that no live run holds. What cannot be removed stays, recognised by its name.
fn clear_dead(touch: &Touch, to: &Path) {
    let own = &touch.facts().run;
    let Some((before, after)) = to.file_name().and_then(|n| n.to_str()).and_then(|n| n.split_once(own.as_str())) else {
        return;
    };
    let dir = to.parent().filter(|d| !d.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let Ok(entries) = fs::read_dir(dir) else { return };
    for entry in entries.flatten() {
        let Ok(name) = entry.file_name().into_string() else { continue };
        let middle =
            name.strip_prefix(before).and_then(|n| n.strip_suffix(".partial")).and_then(|n| n.strip_suffix(after));
        if middle.is_some_and(|id| id != own && super::is_run_id(id)) && entry.file_type().is_ok_and(|t| t.is_file()) {
            // Where locks are not known, nobody can tell a live one from a dead one.
            let Ok(file) = open_regular(&entry.path(), Links::Refuse) else { continue };
            if file.try_lock().is_err() {
                continue;
            }
            // Its record gets its name a moment earlier. The half file goes last, since it is what tells the two by.
            let finished = name.strip_suffix(".partial").unwrap_or(&name);
            if dir.join(finished).symlink_metadata().is_err() {
                let _ = fs::remove_file(dir.join(format!("{finished}.json")));
            }
            if fs::remove_file(entry.path()).is_ok() {
                touch.log().info(format!("removed `{name}`, which a run that was killed left unfinished"));
            }
        }
    }
}

/// Renames without overwriting: in one step where the system can, else by a second name for the same file, which fails
/// when the name exists. A file system that knows neither (many a network share and FUSE) is looked at before a plain
/// rename: runs of ours are kept apart by the passing name, which only one of them can make.
fn rename(from: &Path, to: &Path) -> io::Result<()> {
    #[cfg(target_os = "linux")]
    {
        use rustix::fs::{CWD, RenameFlags, renameat_with};
        match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
            Ok(()) => return Ok(()),
            Err(rustix::io::Errno::EXIST) => return Err(rustix::io::Errno::EXIST.into()),
            // An older kernel, or a file system that does not know the flag.
            Err(_) => {}
        }
    }
    match fs::hard_link(from, to) {
        // `PermissionDenied` is what link(2) gives where there are no second names.
        Err(error) if matches!(error.kind(), io::ErrorKind::PermissionDenied | io::ErrorKind::Unsupported) => {
            if to.symlink_metadata().is_ok() {
                return Err(io::ErrorKind::AlreadyExists.into());
            }
            fs::rename(from, to)
        }
        linked => linked.and_then(|()| fs::remove_file(from)),
    }
}

/// Flushes a folder, so that a new name in it outlives a loss of power. Where folders cannot be flushed there is nothing
/// to be done, and PostgreSQL takes that the same way (`fsync_fname` of its `fd.c`).
pub(super) fn flush(dir: &Path) -> io::Result<()> {
    if cfg!(not(unix)) {
        return Ok(());
    }
    match File::open(dir)?.sync_all() {
        Err(error) if error.kind() == io::ErrorKind::InvalidInput => Ok(()),
        flushed => flushed,
    }
}
