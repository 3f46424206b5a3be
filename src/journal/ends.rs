//! The two ends of a file of events, read without what lies between: a run may have said a great deal.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

use crate::files;

/// How much of an end is read at first.
const FIRST: u64 = 64 << 10;
/// The most of an end that is read for one line.
const MOST: u64 = 16 << 20;

/// The first line and the last ones of a file.
#[derive(Debug)]
pub struct Ends {
    /// None when not even the first line is complete.
    pub first: Option<Vec<u8>>,
    /// Complete lines, the last one last; the first of them may be the file's first.
    pub last: Vec<Vec<u8>>,
}

impl Ends {
    /// Reads them. Bytes behind the last line feed are a line that was cut short, and left out.
    ///
    /// # Errors
    /// The file cannot be read, or is none.
    pub fn read(path: &Path) -> io::Result<Self> {
        let (mut file, length) = open(path)?;
        Ok(Self { first: first(&mut file, length)?, last: last(&mut file, length)? })
    }

    /// The first line alone; none when it is not complete.
    ///
    /// # Errors
    /// The file cannot be read, or is none.
    pub fn first(path: &Path) -> io::Result<Option<Vec<u8>>> {
        let (mut file, length) = open(path)?;
        first(&mut file, length)
    }
}

/// The file with its length. What is written from here on is left for another time.
fn open(path: &Path) -> io::Result<(File, u64)> {
    let file = files::open_trusted(path)?;
    let length = file.metadata()?.len();
    Ok((file, length))
}

fn part(file: &mut File, from: u64, length: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.seek(SeekFrom::Start(from))?;
    file.by_ref().take(length).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn first(file: &mut File, length: u64) -> io::Result<Option<Vec<u8>>> {
    let mut window = FIRST;
    loop {
        let bytes = part(file, 0, window.min(length))?;
        if let Some(end) = bytes.iter().position(|b| *b == b'\n') {
            return Ok(Some(bytes[..end].to_vec()));
        }
        if window >= length || window >= MOST {
            return Ok(None);
        }
        window *= 4;
    }
}

fn last(file: &mut File, length: u64) -> io::Result<Vec<Vec<u8>>> {
    let mut window = FIRST;
    loop {
        let from = length.saturating_sub(window);
        let bytes = part(file, from, length - from)?;
        let mut lines: Vec<&[u8]> = bytes.split(|b| *b == b'\n').collect();
        // Behind the last line feed: nothing, or a line that was cut short.
        lines.pop();
        // Before the first one: a piece, unless the file begins there.
        if from > 0 && !lines.is_empty() {
            lines.remove(0);
        }
        if !lines.is_empty() || from == 0 || window >= MOST {
            return Ok(lines.into_iter().map(<[u8]>::to_vec).collect());
        }
        window *= 4;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ends(text: &[u8]) -> Ends {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("events");
        std::fs::write(&path, text).expect("a file");
        Ends::read(&path).expect("it is read")
    }

    #[test]
    fn both_ends_are_found_however_long_the_lines_are() {
        for (first, middle, last) in [(3, 0, 3), (200_000, 10, 3), (3, 500_000, 70_000), (70_000, 3, 1_000_000)] {
            let line = |c: char, n: usize| c.to_string().repeat(n) + "\n";
            let found = ends((line('a', first) + &line('b', middle) + &line('c', last)).as_bytes());
            assert_eq!(found.first.map(|l| l.len()), Some(first));
            assert_eq!(found.last.last().map(Vec::len), Some(last));
            assert!(found.last.last().is_some_and(|l| l.iter().all(|b| *b == b'c')));
        }
    }

    #[test]
    fn a_line_that_was_cut_short_is_no_line() {
        let torn = ends(b"one\ntwo\nthr");
        assert_eq!(torn.last, [b"one".to_vec(), b"two".to_vec()]);
        let torn = ends(b"on");
        assert!(torn.first.is_none() && torn.last.is_empty());
        let torn = ends(&[b"one\n".to_vec(), vec![b'x'; 300_000]].concat());
        assert_eq!(torn.last, [b"one".to_vec()]);
        assert!(ends(b"").first.is_none());
    }
}
