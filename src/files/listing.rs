//! What lies in a folder, reading a small file, and removing one that is still what it was when that was decided.

use std::fs::{self, File, Metadata};
use std::io;
use std::path::Path;
use std::time::SystemTime;

use chrono::{DateTime, Utc};

use super::regular::{Kind, Links, open_regular, read_regular};
use crate::step::{Look, Touch};

/// One name in a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    pub name: String,
    pub kind: Kind,
    pub bytes: u64,
    pub modified: DateTime<Utc>,
    /// What tells this file from another one of the same name, where the system has such a number.
    pub inode: u64,
    /// The device that it is on.
    pub device: u64,
    /// The user id that it belongs to; 0 where the system has none.
    pub owner: u32,
}

impl Listed {
    pub(super) fn of(name: String, meta: &Metadata) -> Self {
        let modified = meta.modified().unwrap_or(SystemTime::UNIX_EPOCH).into();
        let (inode, device, owner) = numbers(meta);
        Self { name, kind: meta.file_type().into(), bytes: meta.len(), modified, inode, device, owner }
    }

    /// The same from what a call relative to an open folder gives.
    #[cfg(unix)]
    pub(super) fn of_stat(name: String, stat: &rustix::fs::Stat) -> Self {
        use rustix::fs::FileType;
        let kind = match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile => Kind::File,
            FileType::Directory => Kind::Folder,
            FileType::Symlink => Kind::Link,
            FileType::Fifo => Kind::Pipe,
            FileType::Socket => Kind::Socket,
            FileType::CharacterDevice | FileType::BlockDevice => Kind::Device,
            FileType::Unknown => Kind::Unknown,
        };
        let nanos = u32::try_from(stat.st_mtime_nsec).unwrap_or_default();
        let modified = DateTime::from_timestamp(stat.st_mtime, nanos).unwrap_or_default();
        let bytes = u64::try_from(stat.st_size).unwrap_or_default();
        Self { name, kind, bytes, modified, inode: stat.st_ino, device: stat.st_dev, owner: stat.st_uid }
    }
}

#[cfg(unix)]
fn numbers(meta: &Metadata) -> (u64, u64, u32) {
    use std::os::unix::fs::MetadataExt;
    (meta.ino(), meta.dev(), meta.uid())
}

#[cfg(not(unix))]
fn numbers(_: &Metadata) -> (u64, u64, u32) {
    (0, 0, 0)
}

/// What lies in a folder, in order of name. A name that is no UTF-8 is nobody's we know and left out; one that is gone
/// before it is looked at, too.
///
/// # Errors
/// The folder cannot be listed.
pub fn list(_: &Look, dir: &Path) -> io::Result<Vec<Listed>> {
    let mut all = Vec::new();
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let Ok(name) = entry.file_name().into_string() else { continue };
        match entry.path().symlink_metadata() {
            Ok(meta) => all.push(Listed::of(name, &meta)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    all.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(all)
}

/// The name at a path, links not followed; none when there is nothing.
///
/// # Errors
/// The path cannot be looked at.
pub fn at(_: &Look, path: &Path) -> io::Result<Option<Listed>> {
    let name = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    match path.symlink_metadata() {
        Ok(meta) => Ok(Some(Listed::of(name, &meta))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Whether there is a folder at a path, be it by a link.
pub fn is_dir(_: &Look, path: &Path) -> bool {
    path.is_dir()
}

/// Opens a regular file for reading. Anything else is refused, a symbolic link too.
///
/// # Errors
/// It cannot be opened, or is not a regular file.
pub fn open(_: &Look, path: &Path) -> io::Result<File> {
    open_regular(path, Links::Refuse)
}

/// Reads a whole regular file of at most `limit` bytes. A symbolic link is followed.
///
/// # Errors
/// It cannot be read, is not a regular file, or is larger.
pub fn read_small(_: &Look, path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    read_regular(path, limit, Links::Follow)
}

/// Removes a file of `dir` that is still the one that was listed: a link, or a file that changed since, is refused.
///
/// # Errors
/// Why it stays.
pub fn remove(_: &Touch, dir: &Path, listed: &Listed) -> io::Result<()> {
    if listed.kind != Kind::File || listed.name.contains(['/', '\\']) || matches!(listed.name.as_str(), "" | "." | "..")
    {
        return Err(io::Error::other("it is no file of that folder"));
    }
    let path = dir.join(&listed.name);
    let now = Listed::of(listed.name.clone(), &path.symlink_metadata()?);
    if now != *listed {
        return Err(io::Error::other("it changed since that was decided"));
    }
    fs::remove_file(path)
}

/// Flushes a folder, so that what was removed from it stays removed.
///
/// # Errors
/// The system could not.
pub fn flush_dir(_: &Touch, dir: &Path) -> io::Result<()> {
    super::publish::flush(dir)
}
