//! Whether a folder can be written, seen from outside: nothing is made in it.

use std::io;
use std::path::{Path, PathBuf};

use crate::step::{Area, Check, Look};

/// The folder itself, or the nearest one above it that is there.
pub fn nearest(_: &Look, dir: &Path) -> PathBuf {
    let full = std::path::absolute(dir).unwrap_or_else(|_| dir.to_path_buf());
    full.ancestors().find(|p| p.symlink_metadata().is_ok()).unwrap_or(Path::new("/")).to_path_buf()
}

/// Whether files can be made in a folder, or the folder itself where it is missing.
///
/// # Errors
/// Why not.
pub fn writable(look: &Look, dir: &Path) -> io::Result<()> {
    let there = nearest(look, dir);
    if !there.is_dir() {
        return Err(io::Error::other(format!("`{}` is no folder", there.display())));
    }
    allowed(&there)
}

#[cfg(unix)]
fn allowed(dir: &Path) -> io::Result<()> {
    use rustix::fs::{Access, AtFlags, CWD, accessat};
    Ok(accessat(CWD, dir, Access::WRITE_OK | Access::EXEC_OK, AtFlags::EACCESS)?)
}

#[cfg(not(unix))]
fn allowed(dir: &Path) -> io::Result<()> {
    match dir.metadata()?.permissions().readonly() {
        true => Err(io::ErrorKind::PermissionDenied.into()),
        false => Ok(()),
    }
}

/// The check of a folder that a step writes to; `made` says whether the step makes it when it is missing.
pub fn folder(look: &Look, dir: &Path, made: bool) -> Check {
    let shown = dir.display();
    let missing = dir.symlink_metadata().is_err();
    if missing && !made {
        return Check::problem(Area::Folder, format!("there is no folder `{shown}`"));
    }
    match writable(look, dir) {
        Ok(()) if missing => Check::ok(Area::Folder, format!("folder `{shown}`: is made when it is needed")),
        Ok(()) => Check::ok(Area::Folder, format!("folder `{shown}`: can be written")),
        Err(error) => Check::problem(Area::Folder, format!("folder `{shown}`: cannot be written: {error}"))
            .hint("let the user that runs the plan write to that folder, or name another one"),
    }
}
