//! Opening a file that a plan names, when its text goes elsewhere: no link on the way may be a stranger's.

use std::fs::File;
use std::io;
use std::path::Path;

#[cfg(unix)]
use super::own_dir::{MAX_LINKS, Missing, check_link, open_safe_dir};

/// Opens a regular file for reading. Links are followed, unless others could replace them.
///
/// # Errors
/// It cannot be opened, is not a regular file, or is reached by a symbolic link that others can replace.
#[cfg(unix)]
pub(super) fn open_no_foreign_link(file: &Path) -> io::Result<File> {
    use rustix::fs::{AtFlags, FileType, Mode, OFlags, openat, readlinkat, statat};
    use std::os::unix::ffi::OsStringExt;

    let mut file = file.to_path_buf();
    for _ in 0..MAX_LINKS {
        let Some(name) = file.file_name().map(std::ffi::OsStr::to_owned) else {
            return Err(super::not_regular(file.metadata()?.file_type()));
        };
        let above = file.parent().filter(|d| !d.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let (folder, path) = open_safe_dir(above, Missing::Refuse)?;
        let kind = FileType::from_raw_mode(statat(&folder, &name, AtFlags::SYMLINK_NOFOLLOW)?.st_mode);
        if kind == FileType::Symlink {
            check_link(&folder, &path, &name)?;
            let to = readlinkat(&folder, &name, Vec::new())?;
            file = path.join(std::ffi::OsString::from_vec(to.into_bytes()));
            continue;
        }
        if kind != FileType::RegularFile {
            return Err(super::not_regular(path.join(&name).symlink_metadata()?.file_type()));
        }
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let opened = File::from(openat(&folder, &name, flags, Mode::empty())?);
        let kind = opened.metadata()?.file_type();
        return if kind.is_file() { Ok(opened) } else { Err(super::not_regular(kind)) };
    }
    Err(rustix::io::Errno::LOOP.into())
}

#[cfg(not(unix))]
pub(super) fn open_no_foreign_link(file: &Path) -> io::Result<File> {
    super::open_regular(file, super::Links::Follow)
}

#[cfg(all(test, unix))]
mod tests {
    use std::fs::{Permissions, create_dir, set_permissions, write};
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    #[test]
    fn a_link_is_followed_unless_others_can_replace_it() {
        let top = tempfile::tempdir().expect("a folder");
        let (own, open) = (top.path().join("own"), top.path().join("open"));
        for dir in [&own, &open] {
            create_dir(dir).expect("a folder");
            write(dir.join("file"), "text").expect("a file");
            symlink("file", dir.join("link")).expect("a link");
            symlink(dir, dir.join("here")).expect("a link");
        }
        symlink("loop", own.join("loop")).expect("a link");
        symlink(open.join("link"), own.join("out")).expect("a link");
        set_permissions(&open, Permissions::from_mode(0o1777)).expect("permissions");
        for path in [own.join("file"), own.join("link"), own.join("here/link"), open.join("file")] {
            assert!(open_no_foreign_link(&path).is_ok(), "{}", path.display());
        }
        for path in [open.join("link"), open.join("here/file"), own.join("out")] {
            let told = open_no_foreign_link(&path).expect_err("refused").to_string();
            assert!(told.contains("is a symbolic link, and others can write to"), "{told}");
        }
        for path in [own.join("loop"), own.clone(), own.join("missing")] {
            assert!(open_no_foreign_link(&path).is_err(), "{}", path.display());
        }
    }
}
