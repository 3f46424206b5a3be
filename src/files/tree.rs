//! Removing a folder in which a stranger's code made what it liked: folders without permissions, links, mount points,
//! folders a hundred thousand deep.

use std::fs::File;
use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::step::Touch;

/// How long it may take, which is much for any number of files.
const LIMIT: Duration = Duration::from_secs(300);
/// How many names are read at a time.
const BATCH: usize = 10_000;

/// Removes a folder that is open, by its path, with what is in it. Nothing outside of it is changed: no link is followed,
/// no mount point entered. What others write to meanwhile is tried again as long as something changes.
///
/// # Errors
/// What stays, and why.
#[cfg(unix)]
pub fn remove_folder(_: &Touch, path: &Path, folder: &File) -> io::Result<()> {
    unix::Emptying::new(folder).run()?;
    std::fs::remove_dir(path)
}

/// Opens a folder itself, and no link to one.
///
/// # Errors
/// It cannot be opened, or is not a folder.
pub fn open_folder(path: &Path) -> io::Result<File> {
    super::own_dir::open_dir(path)
}

/// Removes a folder with what is in it.
///
/// # Errors
/// What stays, and why.
#[cfg(not(unix))]
pub fn remove_folder(_: &Touch, path: &Path, _: &File) -> io::Result<()> {
    std::fs::remove_dir_all(path)
}

#[cfg(unix)]
mod unix {
    use std::ffi::CString;
    use std::os::fd::OwnedFd;

    use rustix::fs::{AtFlags, Dir, Mode, OFlags, RenameFlags, openat, renameat_with, unlinkat};
    use rustix::io::Errno;

    use super::{BATCH, File, Instant, LIMIT, io};

    /// Folders below the first level are moved up to it before they are emptied, so that neither open files nor the stack
    /// grow with the depth.
    pub struct Emptying<'f> {
        folder: &'f File,
        moved: u64,
        until: Instant,
        /// Why something stays: the last reason.
        stays: Option<io::Error>,
        changed: bool,
    }

    impl<'f> Emptying<'f> {
        pub fn new(folder: &'f File) -> Self {
            Self { folder, moved: 0, until: Instant::now() + LIMIT, stays: None, changed: true }
        }

        /// Goes through the folder until it is empty, or nothing changes any more.
        pub fn run(mut self) -> io::Result<()> {
            while self.changed {
                (self.changed, self.stays) = (false, None);
                let mut names = Names::of(self.folder)?;
                loop {
                    let batch = names.next()?;
                    if batch.is_empty() {
                        break;
                    }
                    for name in batch {
                        if Instant::now() > self.until {
                            return Err(io::Error::other("it takes too long"));
                        }
                        if let Err(error) = self.remove(&name) {
                            let shown = name.to_string_lossy().escape_debug().to_string();
                            self.stays = Some(io::Error::new(error.kind(), format!("`{shown}`: {error}")));
                        }
                    }
                }
                if self.stays.is_none() && !self.changed {
                    return Ok(());
                }
            }
            Err(self.stays.unwrap_or_else(|| io::Error::other("it is not empty")))
        }

        fn remove(&mut self, name: &CString) -> io::Result<()> {
            match unlinkat(self.folder, name, AtFlags::empty()) {
                Ok(()) => self.changed = true,
                Err(Errno::NOENT) => {}
                // Linux and other systems name it differently when it is a folder.
                Err(Errno::ISDIR | Errno::PERM) => self.remove_subfolder(name)?,
                Err(error) => return Err(error.into()),
            }
            Ok(())
        }

        fn remove_subfolder(&mut self, name: &CString) -> io::Result<()> {
            let inner = open_subfolder(self.folder, name)?;
            let mut names = Names::of(&inner)?;
            let mut stays = None;
            loop {
                let batch = names.next()?;
                if batch.is_empty() {
                    break;
                }
                for name in &batch {
                    if Instant::now() > self.until {
                        break;
                    }
                    match unlinkat(&inner, name, AtFlags::empty()) {
                        Ok(()) => self.changed = true,
                        Err(Errno::NOENT) => {}
                        Err(Errno::ISDIR | Errno::PERM) => {
                            if let Err(error) = self.move_up(&inner, name) {
                                stays = Some(error);
                            }
                        }
                        Err(error) => stays = Some(error.into()),
                    }
                }
            }
            match unlinkat(self.folder, name, AtFlags::REMOVEDIR) {
                Ok(()) => self.changed = true,
                Err(Errno::NOENT) => {}
                Err(error) => return Err(stays.unwrap_or_else(|| error.into())),
            }
            Ok(())
        }

        /// Moves a folder to the first level.
        fn move_up(&mut self, inner: &OwnedFd, name: &CString) -> io::Result<()> {
            // Its permissions must allow it: its entry `..` changes.
            drop(open_subfolder(inner, name)?);
            loop {
                self.moved += 1;
                let new = format!("runplan-moved-{}", self.moved);
                match renameat_with(inner, name, self.folder, &new, RenameFlags::NOREPLACE) {
                    Ok(()) => {
                        self.changed = true;
                        return Ok(());
                    }
                    Err(Errno::EXIST) if Instant::now() <= self.until => {}
                    Err(error) => return Err(error.into()),
                }
            }
        }
    }

    /// Opens a folder in another one, whatever its permissions are, which are opened to us. A link is not followed, and a
    /// mount point is refused.
    fn open_subfolder(folder: impl std::os::fd::AsFd, name: &CString) -> io::Result<OwnedFd> {
        let found = find_subfolder(folder.as_fd(), name)?;
        let stat = rustix::fs::fstat(&found)?;
        if rustix::fs::fstat(&folder)?.st_dev != stat.st_dev {
            return Err(mounted());
        }
        if Mode::from_raw_mode(stat.st_mode).contains(Mode::RWXU) {
            return Ok(openat(&found, c".", FOLDER, Mode::empty())?);
        }
        allow(folder.as_fd(), name, &found)?;
        Ok(openat(&found, c".", FOLDER, Mode::empty())?)
    }

    const FOLDER: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

    fn mounted() -> io::Error {
        io::Error::other("another file system is mounted there")
    }

    /// A handle of the folder itself, for which its permissions do not matter.
    #[cfg(target_os = "linux")]
    fn find_subfolder(folder: std::os::fd::BorrowedFd<'_>, name: &CString) -> io::Result<OwnedFd> {
        use rustix::fs::{ResolveFlags, openat2};
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        // This also sees where a folder of the same file system is mounted.
        let resolve = ResolveFlags::NO_XDEV | ResolveFlags::NO_SYMLINKS | ResolveFlags::BENEATH;
        match openat2(folder, name, flags, Mode::empty(), resolve) {
            Ok(found) => Ok(found),
            Err(Errno::XDEV) => Err(mounted()),
            // Kernels before 5.6, and sandboxes that do not know the call.
            Err(Errno::NOSYS | Errno::PERM) => Ok(openat(folder, name, flags, Mode::empty())?),
            Err(error) => Err(error.into()),
        }
    }

    #[cfg(not(target_os = "linux"))]
    fn find_subfolder(folder: std::os::fd::BorrowedFd<'_>, name: &CString) -> io::Result<OwnedFd> {
        match openat(folder, name, FOLDER, Mode::empty()) {
            Err(Errno::ACCESS) => {
                rustix::fs::chmodat(folder, name, Mode::RWXU, AtFlags::SYMLINK_NOFOLLOW)?;
                Ok(openat(folder, name, FOLDER, Mode::empty())?)
            }
            found => Ok(found?),
        }
    }

    /// Gives us every permission of a folder: the path leads to what the handle holds, and to nothing else.
    #[cfg(target_os = "linux")]
    fn allow(_: std::os::fd::BorrowedFd<'_>, _: &CString, found: &OwnedFd) -> io::Result<()> {
        use std::os::fd::AsRawFd;
        use std::os::unix::fs::PermissionsExt;
        let path = format!("/proc/self/fd/{}", found.as_raw_fd());
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o700))
    }

    #[cfg(not(target_os = "linux"))]
    fn allow(_: std::os::fd::BorrowedFd<'_>, _: &CString, found: &OwnedFd) -> io::Result<()> {
        Ok(rustix::fs::fchmod(found, Mode::RWXU)?)
    }

    /// The names in a folder, some at a time.
    struct Names(Dir);

    impl Names {
        fn of(folder: impl std::os::fd::AsFd) -> io::Result<Self> {
            Ok(Self(Dir::read_from(folder)?))
        }

        fn next(&mut self) -> io::Result<Vec<CString>> {
            let mut names = Vec::new();
            while names.len() < BATCH {
                let Some(entry) = self.0.read() else { break };
                let entry = entry?;
                if !matches!(entry.file_name().to_bytes(), b"." | b"..") {
                    names.push(entry.file_name().to_owned());
                }
            }
            Ok(names)
        }
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    #[test]
    fn what_is_deep_closed_or_linked_goes_and_nothing_else() {
        let dir = tempfile::tempdir().expect("a folder");
        let (outside, root) = (dir.path().join("outside"), dir.path().join("root"));
        for made in ["outside/sub", "root/closed/in", "root/links", "root/runplan-moved-1/x"] {
            std::fs::create_dir_all(dir.path().join(made)).expect("a folder");
        }
        std::fs::write(outside.join("sub/precious"), "x").expect("a file");
        std::fs::set_permissions(&outside, PermissionsExt::from_mode(0o500)).expect("a mode");
        symlink(&outside, root.join("links/a")).expect("a link");
        symlink("../../outside/sub", root.join("b")).expect("a link");
        std::fs::hard_link(outside.join("sub/precious"), root.join("closed/in/second")).expect("a name");
        // Deeper than there may be open files or than a path may be long.
        let mut here = File::open(root.join("links")).expect("a folder");
        for _ in 0..1200 {
            use rustix::fs::{Mode, OFlags, mkdirat, openat};
            mkdirat(&here, "d", Mode::RWXU).expect("a folder");
            here = openat(&here, "d", OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty()).expect("a folder").into();
        }
        rustix::fs::fchmod(&here, rustix::fs::Mode::empty()).expect("a mode");
        for closed in ["closed/in", "closed", "runplan-moved-1"] {
            std::fs::set_permissions(root.join(closed), PermissionsExt::from_mode(0o000)).expect("a mode");
        }
        let open = File::open(&root).expect("a folder");
        unix::Emptying::new(&open).run().expect("it is emptied");
        std::fs::remove_dir(&root).expect("it is empty");
        assert_eq!(std::fs::read_to_string(outside.join("sub/precious")).expect("it is there"), "x");
        assert_eq!(outside.metadata().expect("it is there").permissions().mode() & 0o777, 0o500);
    }
}
