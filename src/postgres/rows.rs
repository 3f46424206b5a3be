//! The data of a dump in pg_dump's custom format, read through: which entries have theirs, and how many rows came by COPY.
//!
//! After the table of contents stand blocks (`pg_backup_custom.c`, `_StartData`, `_StartLOs`): a byte for the kind, the id
//! of the entry as an integer, then pieces of a length and so many bytes, up to a length of 0. Blocks of large objects have
//! the object's number before each run of pieces, and end with the number 0. Only dumps made without compression are read
//! through to the rows; what is compressed is passed over.

use std::collections::BTreeMap;
use std::io::{self, Read};

use super::toc::Toc;

const DATA: u8 = 1;
const LARGE_OBJECTS: u8 = 3;
/// Bytes handled at a time.
const PIECE: usize = 64 * 1024;
/// What ends the rows of a COPY.
const END: &[u8] = b"\\.\n";

/// What was found for each entry that has data, by its id.
pub type Found = BTreeMap<i64, Block>;

/// The data of one entry.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Block {
    pub bytes: u64,
    /// Lines before the end of a COPY: its rows; none when there was no such end.
    pub rows: Option<u64>,
    /// How many large objects, in a block of those.
    pub objects: u64,
}

/// Reads the blocks that follow `toc` in `from`, to the end.
///
/// # Errors
/// Reading failed, or what is there is no block: the dump is cut short or broken.
pub fn read(from: &mut impl Read, toc: &Toc) -> io::Result<Found> {
    let mut blocks = Blocks { from, toc, buffer: vec![0; PIECE] };
    let mut found = Found::new();
    while let Some(kind) = blocks.byte()? {
        let id = blocks.int()?;
        let block = match kind {
            DATA => blocks.data()?,
            LARGE_OBJECTS => blocks.large_objects()?,
            other => return Err(broken(&format!("a block of the kind {other} begins where data was expected"))),
        };
        if found.insert(id, block).is_some() && kind == DATA {
            return Err(broken(&format!("the entry {id} has its data twice")));
        }
    }
    Ok(found)
}

fn broken(what: &str) -> io::Error {
    io::Error::other(format!("the dump is broken: {what}"))
}

struct Blocks<'a, R> {
    from: &'a mut R,
    toc: &'a Toc,
    buffer: Vec<u8>,
}

impl<R: Read> Blocks<'_, R> {
    /// The next byte; none at the end.
    fn byte(&mut self) -> io::Result<Option<u8>> {
        let mut byte = [0];
        loop {
            match self.from.read(&mut byte) {
                Ok(0) => return Ok(None),
                Ok(_) => return Ok(Some(byte[0])),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    fn int(&mut self) -> io::Result<i64> {
        let mut bytes = [0; 9];
        let bytes = &mut bytes[..=self.toc.int];
        self.from.read_exact(bytes).map_err(|_| broken("it breaks off"))?;
        let value = bytes[1..].iter().rev().try_fold(0i64, |v, b| v.checked_mul(256)?.checked_add(i64::from(*b)));
        let value = value.ok_or_else(|| broken("it has a number that is too large"))?;
        Ok(if bytes[0] == 0 { value } else { -value })
    }

    fn data(&mut self) -> io::Result<Block> {
        let mut rows = Rows::default();
        let bytes = self.pieces(&mut |data| rows.take(data))?;
        Ok(Block { bytes, rows: rows.ended.then_some(rows.lines), objects: 0 })
    }

    fn large_objects(&mut self) -> io::Result<Block> {
        let mut block = Block::default();
        while self.int()? != 0 {
            block.objects += 1;
            block.bytes += self.pieces(&mut |_| {})?;
        }
        Ok(block)
    }

    /// The pieces up to a length of 0; gives the number of bytes.
    fn pieces(&mut self, take: &mut dyn FnMut(&[u8])) -> io::Result<u64> {
        let mut total = 0;
        loop {
            let length = u64::try_from(self.int()?).map_err(|_| broken("it has a piece of negative length"))?;
            if length == 0 {
                return Ok(total);
            }
            total += length;
            let mut left = length;
            while left > 0 {
                let count = usize::try_from(left).unwrap_or(PIECE).min(PIECE);
                self.from.read_exact(&mut self.buffer[..count]).map_err(|e| match e.kind() {
                    io::ErrorKind::UnexpectedEof => broken("it breaks off in the data of a table"),
                    _ => e,
                })?;
                take(&self.buffer[..count]);
                left -= count as u64;
            }
        }
    }
}

/// Counts lines up to the one that ends a COPY.
#[derive(Default)]
struct Rows {
    lines: u64,
    ended: bool,
    /// The beginning of the line that is not ended yet, as far as it could be the end.
    start: Vec<u8>,
}

impl Rows {
    fn take(&mut self, mut data: &[u8]) {
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
