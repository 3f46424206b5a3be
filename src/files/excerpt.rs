//! A file's beginning and end, when all of it would be too much.

use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

use super::linked::open_no_foreign_link;
use crate::step::Look;

/// What was read of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Excerpt {
    /// The whole file, when `left_out` is 0.
    pub head: Vec<u8>,
    pub tail: Vec<u8>,
    /// How many bytes between the two were not taken.
    pub left_out: u64,
}

/// The size of a file, in bytes; links are followed that others cannot replace.
///
/// # Errors
/// It does not exist, cannot be opened, is not a regular file, or is reached by a link that others can replace.
pub fn size(_: &Look, path: &Path) -> io::Result<u64> {
    open_no_foreign_link(path)?.metadata().map(|m| m.len())
}

/// Reads a file, or its beginning and its end when it is larger than `max` bytes. The cuts fall between lines where there
/// are any. A file that grows meanwhile is read as far as it went.
///
/// # Errors
/// It does not exist, cannot be read, is not a regular file, or is reached by a link that others can replace.
pub fn read_head_tail(_: &Look, path: &Path, max: u64) -> io::Result<Excerpt> {
    let mut file = open_no_foreign_link(path)?;
    let size = file.metadata()?.len();
    let mut read = |from: u64, count: u64| -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        file.seek(SeekFrom::Start(from))?;
        (&mut file).take(count).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    if size <= max {
        return Ok(Excerpt { head: read(0, size)?, tail: Vec::new(), left_out: 0 });
    }
    let half = max / 2;
    let (head, tail) = (before_cut(read(0, half)?), after_cut(read(size - half, half)?));
    let taken = u64::try_from(head.len() + tail.len()).unwrap_or(u64::MAX);
    Ok(Excerpt { head, tail, left_out: size.saturating_sub(taken) })
}

/// Whether a byte is not the first of its character in UTF-8.
fn continues(byte: u8) -> bool {
    byte & 0xC0 == 0x80
}

/// Whole lines only, or whole characters where there is no line.
fn before_cut(mut bytes: Vec<u8>) -> Vec<u8> {
    let end = bytes.iter().rposition(|b| *b == b'\n').map(|at| at + 1);
    let end = end.unwrap_or_else(|| bytes.iter().rposition(|b| !continues(*b)).unwrap_or(0));
    bytes.truncate(end);
    bytes
}

/// As [`before_cut`], for what follows the cut.
fn after_cut(mut bytes: Vec<u8>) -> Vec<u8> {
    let ended = bytes.len().saturating_sub(1);
    let start = bytes[..ended].iter().position(|b| *b == b'\n').map(|at| at + 1);
    let start = start.or_else(|| bytes.iter().position(|b| !continues(*b)));
    bytes.drain(..start.unwrap_or(0));
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cuts_fall_between_lines_or_characters() {
        assert_eq!(before_cut(b"one\ntwo\nthr".to_vec()), b"one\ntwo\n");
        assert_eq!(after_cut(b"e\nfour\nfive\n".to_vec()), b"four\nfive\n");
        assert_eq!(before_cut("xé".as_bytes()[..2].to_vec()), b"x");
        assert_eq!(after_cut("éx\n".as_bytes()[1..].to_vec()), b"x\n");
        assert_eq!(after_cut(b"\n".to_vec()), b"\n");
        assert_eq!((before_cut(Vec::new()), after_cut(Vec::new())), (Vec::new(), Vec::new()));
    }
}
