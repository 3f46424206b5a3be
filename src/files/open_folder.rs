//! A folder that stays open from the decision to the deed: what is listed, read and removed is in that folder, whatever its
//! path leads to meanwhile.

use std::fs::{File, Metadata};
use std::io;
use std::path::{Path, PathBuf};

use super::listing::Listed;
use super::own_dir::{Missing, open_safe_dir};
use super::regular::{Kind, not_regular, read_limited};
use crate::step::{Look, Touch};

/// A folder that is open.
#[derive(Debug)]
pub struct OpenFolder {
    #[cfg_attr(not(unix), expect(dead_code, reason = "files are opened by path there"))]
    file: File,
    path: PathBuf,
    /// The user id that it belongs to; 0 where the system has none.
    owner: u32,
}

impl OpenFolder {
    /// Opens a folder. A symbolic link is followed only where others cannot replace it.
    ///
    /// # Errors
    /// It does not exist, cannot be opened, is not a folder, or is reached by such a link.
    pub fn open(_: &Look, dir: &Path) -> io::Result<Self> {
        let (file, path) = open_safe_dir(dir, Missing::Refuse)?;
        let owner = owner(&file.metadata()?);
        Ok(Self { file, path, owner })
    }

    /// Where it was, without links.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether a file belongs to the owner of the folder, or to us.
    pub fn trusts(&self, listed: &Listed) -> bool {
        listed.owner == self.owner || is_own(listed.owner)
    }

    /// What is in the folder, in order of name. A name that is not UTF-8 is left out, and so is one that is gone before it is
    /// checked.
    ///
    /// # Errors
    /// The folder cannot be listed, or the work was cancelled.
    pub fn list(&self, look: &Look) -> io::Result<Vec<Listed>> {
        let mut all = Vec::new();
        for name in self.names()? {
            if look.cancel.is_cancelled() {
                return Err(io::Error::other("cancelled"));
            }
            all.extend(self.find(&name)?);
        }
        all.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(all)
    }

    /// Opens a regular file of the folder, if it is still the one that was listed.
    ///
    /// # Errors
    /// It cannot be opened, is not a regular file, or changed.
    pub fn open_file(&self, listed: &Listed) -> io::Result<File> {
        let file = self.open_name(&listed.name)?;
        let meta = file.metadata()?;
        if !meta.is_file() {
            return Err(not_regular(meta.file_type()));
        }
        match Listed::of(listed.name.clone(), &meta) == *listed {
            true => Ok(file),
            false => Err(io::Error::other("it changed since the folder was listed")),
        }
    }

    /// Reads a whole file of the folder of at most `limit` bytes.
    ///
    /// # Errors
    /// As [`OpenFolder::open_file`] has; or it is larger.
    pub fn read(&self, listed: &Listed, limit: u64) -> io::Result<Vec<u8>> {
        read_limited(self.open_file(listed)?, limit)
    }

    /// Removes a file of the folder that is still the one that was listed: a link, or a file that changed since, is refused.
    ///
    /// # Errors
    /// Why it stays.
    pub fn remove(&self, _: &Touch, listed: &Listed) -> io::Result<()> {
        if listed.kind != Kind::File
            || listed.name.contains(['/', '\\'])
            || matches!(listed.name.as_str(), "" | "." | "..")
        {
            return Err(io::Error::other("it is not a regular file of that folder"));
        }
        match self.find(&listed.name)? {
            Some(now) if now == *listed => self.unlink(&listed.name),
            Some(_) => Err(io::Error::other("it changed since that was decided")),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }
}

#[cfg(unix)]
impl OpenFolder {
    fn names(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in rustix::fs::Dir::read_from(&self.file)? {
            let entry = entry?;
            let name = entry.file_name().to_str().ok().filter(|n| !matches!(*n, "." | ".."));
            names.extend(name.map(str::to_owned));
        }
        Ok(names)
    }

    /// What has a name now; none when nothing has.
    fn find(&self, name: &str) -> io::Result<Option<Listed>> {
        use rustix::fs::{AtFlags, statat};
        match statat(&self.file, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => Ok(Some(Listed::of_stat(name.to_owned(), &stat))),
            Err(rustix::io::Errno::NOENT) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    fn open_name(&self, name: &str) -> io::Result<File> {
        use rustix::fs::{Mode, OFlags, openat};
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOFOLLOW | OFlags::NOCTTY | OFlags::CLOEXEC;
        Ok(File::from(openat(&self.file, name, flags, Mode::empty())?))
    }

    fn unlink(&self, name: &str) -> io::Result<()> {
        Ok(rustix::fs::unlinkat(&self.file, name, rustix::fs::AtFlags::empty())?)
    }

    /// Flushes the folder, so that what was removed from it stays removed.
    ///
    /// # Errors
    /// The system could not.
    pub fn flush(&self, _: &Touch) -> io::Result<()> {
        self.file.sync_all()
    }
}

#[cfg(not(unix))]
impl OpenFolder {
    fn names(&self) -> io::Result<Vec<String>> {
        super::folder_names(&self.path)
    }

    /// What has a name now; none when nothing has.
    fn find(&self, name: &str) -> io::Result<Option<Listed>> {
        match self.path.join(name).symlink_metadata() {
            Ok(meta) => Ok(Some(Listed::of(name.to_owned(), &meta))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn open_name(&self, name: &str) -> io::Result<File> {
        super::open_regular(&self.path.join(name), super::Links::Refuse)
    }

    fn unlink(&self, name: &str) -> io::Result<()> {
        std::fs::remove_file(self.path.join(name))
    }

    /// Flushes the folder, so that what was removed from it stays removed.
    ///
    /// # Errors
    /// None: the system has no such call.
    pub fn flush(&self, _: &Touch) -> io::Result<()> {
        Ok(())
    }
}

/// Whether a file belongs to the owner of the folder it is in, or to us: the rule of [`OpenFolder::trusts`].
pub fn trusts(folder: &Metadata, file: &Metadata) -> bool {
    owner(file) == owner(folder) || is_own(owner(file))
}

/// Whether others than its owner may put files into a folder.
#[cfg(unix)]
pub fn others_write(folder: &Metadata) -> bool {
    std::os::unix::fs::MetadataExt::mode(folder) & 0o022 != 0
}

/// Whether others than its owner may put files into a folder.
#[cfg(not(unix))]
pub fn others_write(_: &Metadata) -> bool {
    true
}

/// The user id that a file belongs to; 0 where the system has none.
#[cfg(unix)]
pub fn owner(meta: &Metadata) -> u32 {
    std::os::unix::fs::MetadataExt::uid(meta)
}

/// The user id that a file belongs to; 0 where the system has none.
#[cfg(not(unix))]
pub fn owner(_: &Metadata) -> u32 {
    0
}

#[cfg(unix)]
fn is_own(owner: u32) -> bool {
    owner == rustix::process::geteuid().as_raw()
}

#[cfg(not(unix))]
fn is_own(_: u32) -> bool {
    true
}
