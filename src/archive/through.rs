//! An archive unpacked again before it gets its name: what comes out must be what went in.

use std::io::{self, Read};
use std::path::Path;

use super::read::Archive;
use crate::cancel::Cancel;
use crate::files::{self, Links};

/// Bytes handled at a time.
const PIECE: usize = 256 * 1024;

/// What went into an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sum {
    pub name: String,
    pub size: u64,
    /// CRC-32 of the content.
    pub crc: u32,
}

/// Reads an archive as its reader will: the directory, then every entry decrypted, authenticated and unpacked to its end,
/// with the size and the checksum that it had when it was packed.
///
/// # Errors
/// It is not what was packed, or the work was cancelled.
pub fn check(path: &Path, password: Option<&[u8]>, packed: &[Sum], cancel: &Cancel) -> io::Result<()> {
    let file = files::open_regular(path, Links::Refuse)?;
    #[cfg(target_os = "linux")]
    {
        // What is in memory was put there by the first reading.
        let _ = rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed);
    }
    let mut archive = Archive::open(file, u64::MAX).map_err(io::Error::other)?;
    let mut buffer = vec![0; PIECE];
    for (index, wanted) in packed.iter().enumerate() {
        let mut content = archive.read(index, password).map_err(io::Error::other)?;
        let mut found = Sum { name: wanted.name.clone(), size: 0, crc: 0 };
        loop {
            if cancel.is_cancelled() {
                return Err(io::Error::other("told to stop"));
            }
            let count = content.read(&mut buffer)?;
            if count == 0 {
                break;
            }
            found.crc = zlib_rs::crc32::crc32(found.crc, &buffer[..count]);
            found.size += count as u64;
        }
        let name = archive.entries().get(index).map(|e| e.name.as_str());
        if found != *wanted || name != Some(&wanted.name) {
            return Err(io::Error::other(format!(
                "the entry `{}` unpacks to something else than was packed",
                wanted.name
            )));
        }
    }
    if archive.entries().len() == packed.len() {
        Ok(())
    } else {
        Err(io::Error::other("it has other entries than were packed"))
    }
}
