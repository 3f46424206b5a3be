//! Free space, and whether a folder is the root of a mounted file system.

use std::io;
use std::path::Path;

use crate::step::Look;

/// Bytes that an ordinary user may still write to the file system of a path.
///
/// # Errors
/// The system does not say.
#[cfg(unix)]
pub fn free(_: &Look, path: &Path) -> io::Result<u64> {
    let stat = rustix::fs::statvfs(path)?;
    Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
}

/// Bytes that may still be written to the file system of a path: not known here.
///
/// # Errors
/// Always.
#[cfg(not(unix))]
pub fn free(_: &Look, _: &Path) -> io::Result<u64> {
    Err(io::Error::other("free space is not known on this system"))
}

/// Whether a folder is the root of a mounted file system: its device differs from that of the folder above it or, for a
/// mount of the same device, the system lists it (Linux, proc(5), `/proc/self/mountinfo`, field 5).
///
/// # Errors
/// The folder cannot be looked at.
#[cfg(unix)]
pub fn is_mount(_: &Look, dir: &Path) -> io::Result<bool> {
    use std::os::unix::fs::MetadataExt;
    let dir = dir.canonicalize()?;
    let Some(above) = dir.parent() else { return Ok(true) };
    if dir.metadata()?.dev() != above.metadata()?.dev() {
        return Ok(true);
    }
    // Where there is no such list, the devices have said all there is to say.
    let listed = std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    Ok(listed.lines().filter_map(|l| l.split(' ').nth(4)).any(|m| Path::new(&unescaped(m)) == dir))
}

/// Whether a folder is the root of a mounted file system: here, whether it is the root of a drive or share.
///
/// # Errors
/// The folder cannot be looked at.
#[cfg(not(unix))]
pub fn is_mount(_: &Look, dir: &Path) -> io::Result<bool> {
    Ok(dir.canonicalize()?.parent().is_none())
}

/// The kernel writes blanks, tabs, line ends and backslashes as three octal digits.
#[cfg(unix)]
fn unescaped(text: &str) -> String {
    [(r"\040", " "), (r"\011", "\t"), (r"\012", "\n"), (r"\134", "\\")]
        .iter()
        .fold(text.to_owned(), |t, (code, plain)| t.replace(code, plain))
}
