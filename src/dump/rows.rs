//! A dump in pg_dump's custom format read through: which entries have their data, and how many rows came by COPY. Only
//! dumps made without compression can be counted; of what is compressed no end of a COPY is found.

use std::collections::BTreeMap;
use std::io::{self, Read};

use super::blocks::Piece;
use super::toc::Toc;

/// Bytes handled at a time.
const PIECE: usize = 64 * 1024;
/// What ends the rows of a COPY.
const END: &[u8] = b"\\.\n";

/// How many rows came by COPY for each entry that has data, by its id; none when there was no end of a COPY.
pub type Found = BTreeMap<i64, Option<u64>>;

/// Reads the blocks that follow `toc` in `from`, to the end.
///
/// # Errors
/// Reading failed, or not all is there that the table of contents promises: it is cut short or broken.
pub fn read(from: &mut impl Read, toc: &Toc) -> io::Result<Found> {
    let mut blocks = toc.blocks();
    let mut found = Found::new();
    let mut rows = Rows::default();
    let mut buffer = vec![0; PIECE];
    loop {
        let count = match from.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        blocks.take_with(&buffer[..count], &mut |piece| match piece {
            Piece::Data(data) => rows.take(data),
            Piece::End(entry) => {
                let done = std::mem::take(&mut rows);
                found.insert(entry, done.count());
            }
        });
    }
    blocks.whole().map_err(io::Error::other)?;
    Ok(found)
}

/// Counts lines up to the one that ends a COPY.
#[derive(Default)]
pub struct Rows {
    lines: u64,
    ended: bool,
    /// The beginning of the line that is not ended yet, as far as it could be the end.
    start: Vec<u8>,
}

impl Rows {
    /// How many rows there were, when they came to their end.
    pub fn count(&self) -> Option<u64> {
        self.ended.then_some(self.lines)
    }

    /// Takes the next bytes.
    pub fn take(&mut self, mut data: &[u8]) {
        while !self.ended && !data.is_empty() {
            let end = data.iter().position(|b| *b == b'\n').map_or(data.len(), |i| i + 1);
            let (line, rest) = data.split_at(end);
            let room = END.len().saturating_sub(self.start.len());
            // One byte more than the end has, so that a longer line is never taken for it.
            self.start.extend_from_slice(&line[..line.len().min(room + 1)]);
            if line.ends_with(b"\n") {
                if self.start == END {
                    self.ended = true;
                } else {
                    self.lines += 1;
                }
                self.start.clear();
            }
            data = rest;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(pieces: &[&str]) -> Option<u64> {
        let mut rows = Rows::default();
        pieces.iter().for_each(|p| rows.take(p.as_bytes()));
        rows.ended.then_some(rows.lines)
    }

    #[test]
    fn rows_are_counted_however_the_pieces_are_cut() {
        assert_eq!(rows(&["1\ta\n2\tb\n\\.\n\n\n"]), Some(2));
        assert_eq!(rows(&["1\ta", "\n2\tb\n\\", ".", "\n\n\n"]), Some(2));
        assert_eq!(rows(&["\\.\n\n\n"]), Some(0));
        assert_eq!(rows(&["\\.x\n", "\\.\n"]), Some(1), "a row that begins like the end");
        assert_eq!(rows(&["\n", "\n", "\\.\n"]), Some(2), "rows of one empty text");
        assert_eq!(rows(&["1\n2\n"]), None, "cut short");
    }
}
