//! Any bytes are read or refused, within bounds; what is read is what another reader finds there.

use std::io::{Cursor, Read};

use runplan::archive::read::{Archive, Refused};

pub const PASSWORD: &str = "sandbox password";

/// The most that all entries may become, in bytes.
pub const MOST: u64 = 1 << 20;

/// Every entry with its content, or why the archive is not read.
pub fn read(bytes: &[u8]) -> Result<Vec<(String, Vec<u8>)>, Refused> {
    let mut archive = Archive::open(Cursor::new(bytes), MOST)?;
    let entries: Vec<_> = archive.entries().to_vec();
    assert!(entries.iter().map(|e| e.size).sum::<u64>() <= MOST);
    let mut all = Vec::new();
    let mut refused = None;
    // One that is refused hides no other.
    for (at, entry) in entries.into_iter().enumerate() {
        let mut data = Vec::new();
        let given = archive.read(at, Some(PASSWORD.as_bytes())).and_then(|mut c| Ok(c.read_to_end(&mut data)?));
        assert!(data.len() as u64 <= entry.size, "`{}` gave more than it claims", entry.name);
        match given {
            Ok(_) => assert_eq!(data.len() as u64, entry.size, "`{}` gave less than it claims", entry.name),
            Err(error) => refused = Some(error),
        }
        all.push((entry.name, data));
    }
    refused.map_or(Ok(all), Err)
}

/// The `zip` crate refuses it, or finds the same.
pub fn as_others_read(bytes: &[u8], entries: &[(String, Vec<u8>)]) {
    let Ok(mut archive) = zip::ZipArchive::new(Cursor::new(bytes)) else { return };
    for (name, data) in entries {
        let Some(at) = archive.index_for_name(name) else { continue };
        let encrypted = archive.by_index_raw(at).is_ok_and(|f| f.encrypted());
        let file = if encrypted { archive.by_index_decrypt(at, PASSWORD.as_bytes()) } else { archive.by_index(at) };
        let mut other = Vec::new();
        if file.is_ok_and(|f| f.take(MOST + 1).read_to_end(&mut other).is_ok()) {
            assert!(other == *data, "`{name}`: {} bytes here, {} there", data.len(), other.len());
        }
    }
}
