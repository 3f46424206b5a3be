//! Folders of our own: state, locks, logs, notes. Somebody else may have made one before us, or put a link in its place; it
//! is then refused, and so is one that others can write.

use std::fs::{DirBuilder, File};
use std::io;
use std::path::{Path, PathBuf};

/// What others may do with a folder of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Nothing: the permissions are 0700.
    Closed,
    /// Read it, but not write to it.
    ReadOnly,
}

/// A folder of ours that is open. Files below it are reached through it, so that a name on the way cannot be swapped.
#[derive(Debug)]
pub struct OwnDir {
    #[cfg_attr(not(unix), expect(dead_code, reason = "files are opened by path there"))]
    file: File,
    path: PathBuf,
}

impl OwnDir {
    /// Opens a folder, and makes it (0700) with those above it where it is missing.
    ///
    /// # Errors
    /// It cannot be made or opened, belongs to another user, can be written by others, or is reached by a symbolic link
    /// that others can replace.
    pub fn make(dir: &Path, access: Access) -> io::Result<Self> {
        Self::open_with_links(dir, Missing::Make, access)
    }

    /// Opens a folder that exists.
    ///
    /// # Errors
    /// As [`OwnDir::make`] has.
    pub fn open(dir: &Path, access: Access) -> io::Result<Self> {
        Self::open_with_links(dir, Missing::Refuse, access)
    }

    fn open_with_links(dir: &Path, missing: Missing, access: Access) -> io::Result<Self> {
        let (file, path) = open_safe_dir(dir, missing)?;
        check_owner(&file, dir, access)?;
        Ok(Self { file, path })
    }

    /// Where it is, without links.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

#[cfg(unix)]
impl OwnDir {
    /// Opens a regular file for reading and writing, and makes it (0600) where it is missing.
    ///
    /// # Errors
    /// It cannot be opened, is not a regular file, belongs to another user, or has a second name.
    pub fn open_file(&self, name: &str) -> io::Result<File> {
        use rustix::fs::OFlags;
        self.open_with(name, OFlags::RDWR | OFlags::CREATE)
    }

    /// Makes a file (0600) that is appended to.
    ///
    /// # Errors
    /// It exists, or cannot be made.
    pub fn create_file(&self, name: &str) -> io::Result<File> {
        use rustix::fs::OFlags;
        self.open_with(name, OFlags::WRONLY | OFlags::APPEND | OFlags::CREATE | OFlags::EXCL)
    }

    /// Makes a folder (0700) in it.
    ///
    /// # Errors
    /// It exists, or cannot be made.
    pub fn create_dir(&self, name: &str) -> io::Result<Self> {
        use rustix::fs::{Mode, OFlags, mkdirat, openat};
        mkdirat(&self.file, name, Mode::RWXU)?;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = File::from(openat(&self.file, name, flags, Mode::empty())?);
        let path = self.path.join(name);
        check_owner(&file, &path, Access::Closed)?;
        Ok(Self { file, path })
    }

    fn open_with(&self, name: &str, flags: rustix::fs::OFlags) -> io::Result<File> {
        use rustix::fs::{AtFlags, FileType, Mode, OFlags, openat, statat};
        use std::os::unix::fs::MetadataExt;
        let shown = self.path.join(name);
        let named = |e: io::Error| with_path(&shown, &e);
        match statat(&self.file, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(found) if FileType::from_raw_mode(found.st_mode) != FileType::RegularFile => {
                let meta = shown.symlink_metadata().map_err(named)?;
                return Err(named(super::not_regular(meta.file_type())));
            }
            Err(error) if error != rustix::io::Errno::NOENT => return Err(named(error.into())),
            _ => {}
        }
        let flags = flags | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let file = File::from(openat(&self.file, name, flags, Mode::RUSR | Mode::WUSR).map_err(|e| named(e.into()))?);
        let meta = file.metadata()?;
        if !meta.is_file() {
            return Err(named(super::not_regular(meta.file_type())));
        }
        if meta.uid() != rustix::process::geteuid().as_raw() || meta.nlink() > 1 {
            return Err(named(io::Error::other("it belongs to another user or has a second name: remove it")));
        }
        Ok(file)
    }
}

#[cfg(not(unix))]
impl OwnDir {
    /// Opens a regular file for reading and writing, and makes it where it is missing.
    ///
    /// # Errors
    /// It cannot be opened, or is not a regular file.
    pub fn open_file(&self, name: &str) -> io::Result<File> {
        let mut options = std::fs::OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        super::open_with(&self.path.join(name), super::Links::Refuse, &mut options)
    }

    /// Makes a file that is appended to.
    ///
    /// # Errors
    /// It exists, or cannot be made.
    pub fn create_file(&self, name: &str) -> io::Result<File> {
        let mut options = std::fs::OpenOptions::new();
        options.append(true).create_new(true);
        super::open_with(&self.path.join(name), super::Links::Refuse, &mut options)
    }

    /// Makes a folder in it.
    ///
    /// # Errors
    /// It exists, or cannot be made.
    pub fn create_dir(&self, name: &str) -> io::Result<Self> {
        let path = self.path.join(name);
        std::fs::create_dir(&path)?;
        Self::open(&path, Access::Closed)
    }
}

/// Makes a folder and those above it, closed to others (0700).
///
/// # Errors
/// It cannot be made.
pub(crate) fn make_private_dir(dir: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::DirBuilderExt;
        builder.mode(0o700);
    }
    builder.create(dir)
}

/// What becomes of a folder on the way that does not exist.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Missing {
    /// It is an error.
    Refuse,
    /// It is made, closed to others (0700).
    Make,
}

/// How many links may follow each other on the way to a folder, as on Linux.
#[cfg(unix)]
pub(super) const MAX_LINKS: u32 = 40;

/// Opens a folder, and says where it is without links. Each part of the path is looked up in the folder that was opened
/// before it, so that nothing on the way can be swapped between the check and the opening.
///
/// # Errors
/// It cannot be opened or made, is not a folder, or is reached by a symbolic link that others can replace.
#[cfg(unix)]
pub(super) fn open_safe_dir(dir: &Path, missing: Missing) -> io::Result<(File, PathBuf)> {
    use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, mkdirat, openat, readlinkat, statat};
    use std::ffi::OsString;
    use std::os::unix::ffi::OsStringExt;
    use std::path::Component;

    // A folder on the way need not be readable.
    #[cfg(target_os = "linux")]
    let search = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    #[cfg(not(target_os = "linux"))]
    let search = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let open_root = || openat(CWD, "/", search, Mode::empty()).map(|root| (root, PathBuf::from("/")));
    let named = |e: rustix::io::Errno| with_path(dir, &e.into());
    // The parts of the path that are still to be walked, the last first.
    let mut parts: Vec<OsString> = Vec::new();
    let push = |parts: &mut Vec<OsString>, path: &Path| {
        parts.extend(path.components().rev().map(|c| c.as_os_str().to_owned()));
    };
    push(&mut parts, &std::path::absolute(dir).map_err(|e| with_path(dir, &e))?);
    let (mut here, mut path) = open_root().map_err(named)?;
    let mut links = 0;
    while let Some(part) = parts.pop() {
        match Path::new(&part).components().next() {
            Some(Component::Normal(_)) => {}
            Some(Component::RootDir) => {
                (here, path) = open_root().map_err(named)?;
                continue;
            }
            Some(Component::ParentDir) => {
                here = openat(&here, "..", search, Mode::empty()).map_err(named)?;
                path.pop();
                continue;
            }
            _ => continue,
        }
        let found = match statat(&here, &part, AtFlags::SYMLINK_NOFOLLOW) {
            Err(rustix::io::Errno::NOENT) if missing == Missing::Make => {
                match mkdirat(&here, &part, Mode::RWXU) {
                    Ok(()) | Err(rustix::io::Errno::EXIST) => {}
                    Err(error) => return Err(named(error)),
                }
                statat(&here, &part, AtFlags::SYMLINK_NOFOLLOW)
            }
            found => found,
        };
        if FileType::from_raw_mode(found.map_err(named)?.st_mode) == FileType::Symlink {
            check_link(&here, &path, &part)?;
            links += 1;
            if links > MAX_LINKS {
                return Err(named(rustix::io::Errno::LOOP));
            }
            let to = readlinkat(&here, &part, Vec::new()).map_err(named)?;
            push(&mut parts, Path::new(&OsString::from_vec(to.into_bytes())));
            continue;
        }
        here = openat(&here, &part, search, Mode::empty()).map_err(named)?;
        path.push(&part);
    }
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    Ok((File::from(openat(&here, ".", flags, Mode::empty()).map_err(named)?), path))
}

/// Refuses a symbolic link in a folder that others can write to.
#[cfg(unix)]
pub(super) fn check_link(folder: impl std::os::fd::AsFd, path: &Path, name: &std::ffi::OsStr) -> io::Result<()> {
    let above = rustix::fs::fstat(folder)?;
    let trusted = [0, rustix::process::geteuid().as_raw()];
    if above.st_mode & 0o022 == 0 && trusted.contains(&above.st_uid) {
        return Ok(());
    }
    let (link, parent) = (path.join(name), path.display());
    Err(io::Error::other(format!(
        "`{}` is a symbolic link, and others can write to `{parent}`: remove the link, or use another folder",
        link.display()
    )))
}

/// Opens a folder, and says where it is without links. There are no links that others can replace here.
///
/// # Errors
/// It cannot be opened or made, or is not a folder.
#[cfg(not(unix))]
pub(super) fn open_safe_dir(dir: &Path, missing: Missing) -> io::Result<(File, PathBuf)> {
    if missing == Missing::Make {
        make_private_dir(dir).map_err(|e| with_path(dir, &e))?;
    }
    let path = dir.canonicalize().map_err(|e| with_path(dir, &e))?;
    Ok((open_dir(&path)?, path))
}

/// Opens a folder that is no link itself.
#[cfg(unix)]
pub(super) fn open_dir(path: &Path) -> io::Result<File> {
    use rustix::fs::{CWD, Mode, OFlags, openat};
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(File::from(openat(CWD, path, flags, Mode::empty()).map_err(|e| with_path(path, &e.into()))?))
}

#[cfg(not(unix))]
pub(super) fn open_dir(path: &Path) -> io::Result<File> {
    use std::os::windows::fs::OpenOptionsExt;
    // FILE_FLAG_BACKUP_SEMANTICS, without which a folder cannot be opened.
    std::fs::OpenOptions::new().read(true).custom_flags(0x0200_0000).open(path)
}

#[cfg(unix)]
fn check_owner(file: &File, dir: &Path, access: Access) -> io::Result<()> {
    use std::os::unix::fs::MetadataExt;
    let meta = file.metadata()?;
    let (shown, mode) = (dir.display(), meta.mode() & 0o777);
    let (user, owner) = (rustix::process::geteuid().as_raw(), meta.uid());
    if owner != user {
        return Err(io::Error::other(format!(
            "the folder `{shown}` belongs to user id {owner}, and runplan runs as user id {user}: remove the folder, name \
             another one, or run as its owner"
        )));
    }
    let (wrong, remedy) = match access {
        Access::Closed => (0o077, "700"),
        Access::ReadOnly => (0o022, "go-w"),
    };
    if mode & wrong == 0 {
        return Ok(());
    }
    let what = if mode & 0o022 == 0 { "read" } else { "written" };
    Err(io::Error::other(format!(
        "the folder `{shown}` can be {what} by others (mode {mode:03o}): chmod {remedy} {shown}"
    )))
}

#[cfg(not(unix))]
fn check_owner(_: &File, _: &Path, _: Access) -> io::Result<()> {
    Ok(())
}

fn with_path(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("`{}`: {error}", path.display()))
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    fn refused(dir: &Path, access: Access) -> String {
        OwnDir::make(dir, access).map_err(|e| e.to_string()).err().unwrap_or_default()
    }

    #[test]
    fn a_folder_that_others_can_write_is_refused() {
        let dir = tempfile::tempdir().expect("a folder");
        let own = dir.path().join("own");
        assert_eq!(refused(&own, Access::Closed), "", "a new one is ours");
        assert_eq!(own.metadata().expect("it is there").permissions().mode() & 0o777, 0o700);
        for (mode, closed, read_only) in [
            (0o700, "", ""),
            (0o755, "can be read by others (mode 755): chmod 700", ""),
            (0o770, "can be written by others", "(mode 770): chmod go-w"),
            (0o703, "(mode 703)", "can be written"),
        ] {
            std::fs::set_permissions(&own, std::fs::Permissions::from_mode(mode)).expect("permissions");
            for (access, said) in [(Access::Closed, closed), (Access::ReadOnly, read_only)] {
                let found = refused(&own, access);
                assert!(found.contains(said) && found.is_empty() == said.is_empty(), "{mode:o}: {found}");
            }
        }
    }

    #[test]
    fn a_link_that_others_can_replace_is_refused() {
        let dir = tempfile::tempdir().expect("a folder");
        let (real, open) = (dir.path().join("real"), dir.path().join("open"));
        make_private_dir(&real).expect("a folder");
        make_private_dir(&open).expect("a folder");
        symlink(&real, dir.path().join("link")).expect("a link");
        symlink(&real, open.join("link")).expect("a link");
        symlink(open.join("link"), dir.path().join("indirect")).expect("a link");
        std::fs::set_permissions(&open, std::fs::Permissions::from_mode(0o1777)).expect("permissions");
        assert_eq!(refused(&dir.path().join("link/state"), Access::Closed), "");
        for way in ["open/link", "open/link/state", "indirect", "indirect/state"] {
            let found = refused(&dir.path().join(way), Access::Closed);
            assert!(found.contains("is a symbolic link, and others can write to"), "{way}: {found}");
        }
        assert!(!real.join("state/state").exists() && refused(&real, Access::Closed).is_empty());
    }

    #[test]
    fn a_folder_that_is_swapped_for_a_link_is_never_another() {
        use std::os::unix::fs::MetadataExt;
        use std::sync::atomic::{AtomicBool, Ordering};
        let dir = tempfile::tempdir().expect("a folder");
        let [own, aside, victim] = ["own", "aside", "victim"].map(|n| dir.path().join(n));
        make_private_dir(&own).expect("a folder");
        make_private_dir(&victim).expect("a folder");
        std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o777)).expect("permissions");
        let (over, real) = (AtomicBool::new(false), own.metadata().expect("it is there").ino());
        let opened: Vec<u64> = std::thread::scope(|scope| {
            scope.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    std::fs::rename(&own, &aside).expect("it is moved");
                    symlink(&victim, &own).expect("a link");
                    std::fs::remove_file(&own).expect("it is removed");
                    std::fs::rename(&aside, &own).expect("it is moved back");
                }
            });
            let tries = (0..20_000).filter_map(|_| open_safe_dir(&own, Missing::Refuse).ok());
            let opened = tries.filter_map(|(file, _)| Some(file.metadata().ok()?.ino())).collect();
            over.store(true, Ordering::Relaxed);
            opened
        });
        assert!(!opened.is_empty() && opened.iter().all(|ino| *ino == real));
    }

    #[test]
    fn a_path_is_resolved_as_the_system_does() {
        let dir = tempfile::tempdir().expect("a folder");
        let root = dir.path().canonicalize().expect("it is there");
        make_private_dir(&root.join("a/b")).expect("a folder");
        make_private_dir(&root.join("c")).expect("a folder");
        for (link, to) in [("a/up", "../c"), ("abs", "/"), ("round", "round"), ("chain", "a/up/../a/b")] {
            symlink(to, root.join(link)).expect("a link");
        }
        let absolute = format!("abs{}/c", root.display());
        for (path, is) in [("a/b/..", "a"), ("a/up/.", "c"), ("chain", "a/b"), ("a//up/", "c"), (&absolute, "c")] {
            let found = open_safe_dir(&root.join(path), Missing::Refuse).map(|(_, p)| p).map_err(|e| e.to_string());
            assert_eq!(found, Ok(root.join(is)), "{path}");
        }
        for (path, says) in [("round", "Too many levels"), ("missing", "No such file"), ("abs/etc/passwd", "Not a dir")]
        {
            let found = open_safe_dir(&root.join(path), Missing::Refuse).map_err(|e| e.to_string());
            assert!(found.as_ref().is_err_and(|e| e.contains(says)), "{path}: {found:?}");
        }
    }

    #[test]
    fn a_file_is_never_reached_through_a_link() {
        let dir = tempfile::tempdir().expect("a folder");
        let victim = dir.path().join("victim");
        std::fs::write(&victim, "precious").expect("a file");
        let own = OwnDir::make(&dir.path().join("own"), Access::Closed).expect("a folder");
        symlink(&victim, own.path().join("link")).expect("a link");
        std::fs::hard_link(&victim, own.path().join("second")).expect("a second name");
        for name in ["link", "second"] {
            assert!(own.open_file(name).is_err() && own.create_file(name).is_err(), "{name}");
        }
        assert!(own.open_file("new").is_ok() && own.open_file("new").is_ok() && own.create_file("new").is_err());
        assert_eq!(std::fs::read_to_string(victim).ok().as_deref(), Some("precious"));
    }
}
