//! Files that nobody but us or root can have written: what is read there is taken at its word.

use std::fs::File;
use std::io;
use std::path::Path;

/// Opens a regular file for reading. It and its folder must belong to us or to root, must not be writable by others, and
/// must not be symbolic links.
///
/// # Errors
/// It cannot be opened, or somebody else may have written it.
#[cfg(unix)]
pub fn open_trusted(path: &Path) -> io::Result<File> {
    use super::own_dir::{Missing, open_safe_dir};
    use rustix::fs::{AtFlags, FileType, Mode, OFlags, openat, statat};

    let full = std::path::absolute(path)?;
    let (Some(folder), Some(name)) = (full.parent(), full.file_name()) else {
        return Err(io::Error::other(format!("`{}` is not a file", path.display())));
    };
    let (Some(above), Some(folder_name)) = (folder.parent(), folder.file_name()) else {
        return Err(io::Error::other(format!("`{}` is not the folder of a run", folder.display())));
    };
    let (above, _) = open_safe_dir(above, Missing::Refuse)?;
    // What may be a device is not opened before its kind is known.
    let link = |at: &File, name: &std::ffi::OsStr, shown: &Path| match statat(at, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(found) if FileType::from_raw_mode(found.st_mode) == FileType::Symlink => {
            Err(io::Error::other(format!("`{}` is a symbolic link", shown.display())))
        }
        other => Ok(other?),
    };
    link(&above, folder_name, folder)?;
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let opened = File::from(openat(&above, folder_name, flags | OFlags::DIRECTORY, Mode::empty())?);
    check(&opened.metadata()?, folder)?;
    let kind = FileType::from_raw_mode(link(&opened, name, &full)?.st_mode);
    if kind != FileType::RegularFile {
        return Err(super::not_regular(full.symlink_metadata()?.file_type()));
    }
    let flags = flags | OFlags::NONBLOCK | OFlags::NOCTTY;
    let file = File::from(openat(&opened, name, flags, Mode::empty())?);
    let meta = file.metadata()?;
    if !meta.is_file() {
        return Err(super::not_regular(meta.file_type()));
    }
    check(&meta, &full)?;
    Ok(file)
}

/// Opens a regular file for reading.
///
/// # Errors
/// It cannot be opened, or is not a regular file.
#[cfg(not(unix))]
pub fn open_trusted(path: &Path) -> io::Result<File> {
    super::open_regular(path, super::Links::Refuse)
}

/// Why a file is not to be taken at its word, as far as its permissions and those of its folder tell without opening them;
/// none of one that is missing or cannot be looked at. [`open_trusted`] checks again what it opens.
#[cfg(unix)]
pub fn why_distrusted(path: &Path) -> Option<String> {
    let why = |path: &Path| match path.symlink_metadata() {
        Ok(meta) if meta.is_symlink() => Some(format!("`{}` is a symbolic link", path.display())),
        Ok(meta) => check(&meta, path).err().map(|e| e.to_string()),
        Err(_) => None,
    };
    path.parent().and_then(why).or_else(|| why(path))
}

/// None: no permissions are known here.
#[cfg(not(unix))]
pub fn why_distrusted(_: &Path) -> Option<String> {
    None
}

#[cfg(unix)]
fn check(meta: &std::fs::Metadata, path: &Path) -> io::Result<()> {
    use std::os::unix::fs::MetadataExt;
    let (shown, owner, mode) = (path.display(), meta.uid(), meta.mode() & 0o777);
    let user = rustix::process::geteuid().as_raw();
    if owner != 0 && owner != user {
        return Err(io::Error::other(format!(
            "`{shown}` belongs to user id {owner}, and runplan runs as user id {user}"
        )));
    }
    if mode & 0o022 != 0 {
        return Err(io::Error::other(format!("`{shown}` can be written by others (mode {mode:03o})")));
    }
    Ok(())
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    #[test]
    fn only_what_others_cannot_have_written_is_taken_at_its_word() {
        let dir = tempfile::tempdir().expect("a folder");
        let (run, file) = (dir.path().join("run"), dir.path().join("run/events"));
        std::fs::create_dir(&run).expect("a folder");
        std::fs::write(&file, "").expect("a file");
        let set = |path: &Path, mode| {
            std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).expect("permissions");
        };
        for (folder, own, says) in [
            (0o700, 0o600, None),
            (0o755, 0o644, None),
            (0o775, 0o600, Some("run` can be written by others (mode 775)")),
            (0o1777, 0o600, Some("run` can be written by others (mode 777)")),
            (0o700, 0o602, Some("events` can be written by others (mode 602)")),
        ] {
            set(&run, folder);
            set(&file, own);
            let (found, opened) = (why_distrusted(&file), open_trusted(&file).map_err(|e| e.to_string()).err());
            assert_eq!(found, opened);
            assert!(found.as_deref().map_or(says.is_none(), |w| says.is_some_and(|s| w.contains(s))), "{found:?}");
        }
        set(&run, 0o700);
        set(&file, 0o600);
        symlink(&run, dir.path().join("link")).expect("a link");
        symlink(&file, run.join("other")).expect("a link");
        for link in ["link/events", "run/other"] {
            let path = dir.path().join(link);
            let found = why_distrusted(&path);
            assert_eq!(found, open_trusted(&path).map_err(|e| e.to_string()).err());
            assert!(found.is_some_and(|w| w.contains("is a symbolic link")), "{link}");
        }
        assert!(why_distrusted(&run.join("missing")).is_none() && open_trusted(&run.join("missing")).is_err());
    }
}
