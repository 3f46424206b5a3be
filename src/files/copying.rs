//! Copying a file under a passing name: hashed as it is read, flushed, and read back from the disk.

use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;

use sha2::{Digest, Sha256};

use super::Partial;
use super::regular::{Links, open_regular};
use crate::step::{Look, Touch};

/// Bytes handled at a time.
const CHUNK: usize = 1 << 20;

/// A copy that is complete and has no name yet.
#[derive(Debug)]
pub struct Copied {
    pub partial: Partial,
    pub bytes: u64,
    /// SHA-256 of the source as it was read, in lower-case hexadecimal.
    pub sha256: String,
}

/// Copies `from` to what will be called `to`; `progress` hears how many bytes were done. With `verify` every byte is
/// read back and must give the hash of what was read from the source.
///
/// # Errors
/// Reading or writing failed, the copy is not what was read, or the work was cancelled.
pub fn copy(touch: &Touch, from: &Path, to: &Path, verify: bool, progress: &mut dyn FnMut(u64)) -> io::Result<Copied> {
    let mut source = open_regular(from, Links::Refuse)?;
    let partial = Partial::create(touch, to)?;
    let mut target = partial.file();
    let (bytes, sha256) = pump(touch.look(), &mut source, progress, &mut |data| target.write_all(data))?;
    target.sync_all()?;
    if verify {
        #[cfg(target_os = "linux")]
        {
            // Otherwise the pages in memory would be compared with themselves.
            let _ = rustix::fs::fadvise(target, 0, None, rustix::fs::Advice::DontNeed);
        }
        target.seek(SeekFrom::Start(0))?;
        let (again, found) = hash_of(touch.look(), &mut target)?;
        if (again, &found) != (bytes, &sha256) {
            return Err(io::Error::other("the copy that was read back is not what was copied"));
        }
    }
    Ok(Copied { partial, bytes, sha256 })
}

/// Size and SHA-256 of a file.
///
/// # Errors
/// It cannot be read, or the work was cancelled.
pub fn hash(look: &Look, path: &Path) -> io::Result<(u64, String)> {
    hash_told(look, path, &mut |_| {})
}

/// The same; `progress` hears how many bytes were read.
///
/// # Errors
/// As [`hash`] has.
pub fn hash_told(look: &Look, path: &Path, progress: &mut dyn FnMut(u64)) -> io::Result<(u64, String)> {
    pump(look, &mut open_regular(path, Links::Refuse)?, progress, &mut |_| Ok(()))
}

/// Size and SHA-256 of everything that a reader gives.
///
/// # Errors
/// It cannot be read, or the work was cancelled.
pub fn hash_of(look: &Look, from: &mut impl Read) -> io::Result<(u64, String)> {
    pump(look, from, &mut |_| {}, &mut |_| Ok(()))
}

fn pump(
    look: &Look,
    from: &mut impl Read,
    progress: &mut dyn FnMut(u64),
    put: &mut dyn FnMut(&[u8]) -> io::Result<()>,
) -> io::Result<(u64, String)> {
    let mut buffer = vec![0u8; CHUNK];
    let mut digest = Sha256::new();
    let mut done = 0;
    loop {
        if look.cancel.is_cancelled() {
            return Err(io::Error::other("told to stop"));
        }
        let count = match from.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        digest.update(&buffer[..count]);
        put(&buffer[..count])?;
        done += count as u64;
        progress(done);
    }
    Ok((done, digest.finalize().iter().map(|b| format!("{b:02x}")).collect()))
}
