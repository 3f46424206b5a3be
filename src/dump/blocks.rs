//! The data behind the table of contents of a dump in pg_dump's custom format: whether it is all there. The format has no
//! end mark, so a dump that was cut is known only by its pieces.
//!
//! The format is that of PostgreSQL's `src/bin/pg_dump/pg_backup_custom.c`: a byte for the kind of block, the number of
//! its entry, then chunks, each with its length before it, up to a length of zero. A block of large objects has chunks
//! like these for each object, with its number before them, up to a number of zero.

use std::collections::BTreeSet;

const DATA: u8 = 1;
const LARGE_OBJECTS: u8 = 3;

/// What a reader comes upon.
#[derive(Debug)]
pub enum Piece<'a> {
    /// The block of this entry begins.
    Begin(i64),
    /// In a block of large objects, that of this number begins.
    Object(u64),
    /// Data of the block, or of the large object, that has begun.
    Data(&'a [u8]),
    /// The end of the large object.
    ObjectEnd,
    /// The end of the block of this entry.
    End(i64),
}

/// A reader of blocks that keeps nothing of them.
#[derive(Debug)]
pub struct Blocks {
    /// Bytes of a number after its sign.
    int: usize,
    /// The entries that were promised and have not come to their end.
    missing: BTreeSet<i64>,
    at: At,
    /// The bytes of a number that has begun.
    number: Vec<u8>,
    /// The entry of the block.
    entry: i64,
    large_objects: bool,
}

/// What is next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum At {
    Kind,
    Entry,
    Object,
    Length,
    /// So many bytes of a chunk are still to come.
    Chunk(u64),
    /// What came is none of this.
    Lost,
}

impl Blocks {
    /// A reader that expects the data of these entries; `int` is how many bytes a number has after its sign.
    pub fn new(int: usize, expected: impl IntoIterator<Item = i64>) -> Self {
        let missing = expected.into_iter().collect();
        Self { int, missing, at: At::Kind, number: Vec::new(), entry: 0, large_objects: false }
    }

    /// Takes the next bytes, and shows what they are.
    pub fn take_with(&mut self, mut bytes: &[u8], see: &mut dyn FnMut(Piece<'_>)) {
        while let Some(&first) = bytes.first() {
            match self.at {
                At::Lost => return,
                At::Chunk(left) => {
                    let some = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len());
                    see(Piece::Data(&bytes[..some]));
                    bytes = &bytes[some..];
                    let left = left - some as u64;
                    self.at = if left == 0 { At::Length } else { At::Chunk(left) };
                }
                At::Kind => {
                    bytes = &bytes[1..];
                    self.large_objects = first == LARGE_OBJECTS;
                    self.at = if first == DATA || self.large_objects { At::Entry } else { At::Lost };
                }
                At::Entry | At::Object | At::Length => {
                    let some = (self.int + 1 - self.number.len()).min(bytes.len());
                    self.number.extend_from_slice(&bytes[..some]);
                    bytes = &bytes[some..];
                    if self.number.len() > self.int {
                        self.at = self.after(see);
                        self.number.clear();
                    }
                }
            }
        }
    }

    /// What comes after the number that is complete.
    fn after(&mut self, see: &mut dyn FnMut(Piece<'_>)) -> At {
        let magnitude =
            self.number[1..].iter().rev().try_fold(0u64, |v, b| v.checked_mul(256)?.checked_add((*b).into()));
        let Some(number) = magnitude.filter(|_| self.number[0] == 0) else { return At::Lost };
        match (self.at, number) {
            (At::Entry, _) => {
                self.entry = i64::try_from(number).unwrap_or(-1);
                see(Piece::Begin(self.entry));
                if self.large_objects { At::Object } else { At::Length }
            }
            (At::Object, 1..) => {
                see(Piece::Object(number));
                At::Length
            }
            (At::Length, 1..) => At::Chunk(number),
            (At::Length, 0) if self.large_objects => {
                see(Piece::ObjectEnd);
                At::Object
            }
            // The end of the block.
            _ => {
                self.missing.remove(&self.entry);
                see(Piece::End(self.entry));
                At::Kind
            }
        }
    }

    /// Whether all that was promised came to its end, and nothing else has begun.
    ///
    /// # Errors
    /// What is wrong; it reads after "ended well and".
    pub fn whole(&self) -> Result<(), &'static str> {
        match self.at {
            At::Lost => Err("the data of its dump is not in the custom format"),
            At::Kind if self.missing.is_empty() => Ok(()),
            At::Kind => Err("its dump lacks data that its table of contents lists"),
            _ => Err("its dump is cut short"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn int(value: u32) -> Vec<u8> {
        [vec![0], value.to_le_bytes().to_vec()].concat()
    }

    fn sample() -> Vec<u8> {
        let chunk = |n: u32| [int(n), vec![3; n as usize]].concat();
        let table = [vec![DATA], int(7), chunk(300), chunk(1), int(0)].concat();
        let objects =
            [vec![LARGE_OBJECTS], int(9), int(16_400), chunk(5), int(0), int(16_401), int(0), int(0)].concat();
        [table, objects, vec![DATA], int(8), int(0)].concat()
    }

    fn read(bytes: &[u8], step: usize) -> Result<(), &'static str> {
        let mut blocks = Blocks::new(4, [7, 8, 9]);
        bytes.chunks(step).for_each(|part| blocks.take_with(part, &mut |_| {}));
        blocks.whole()
    }

    #[test]
    fn the_whole_is_whole_and_every_cut_is_seen() {
        let bytes = sample();
        for step in [1, 2, 7, 100, bytes.len()] {
            assert_eq!(read(&bytes, step), Ok(()), "{step}");
            for cut in 0..bytes.len() {
                assert!(read(&bytes[..cut], step).is_err(), "{cut} by {step}");
            }
        }
    }

    #[test]
    fn what_is_no_block_is_said() {
        let more = |bytes: &[u8]| read(&[sample(), bytes.to_vec()].concat(), 64);
        assert!(more(b"error: out of memory").is_err_and(|e| e.contains("not in the custom format")));
        assert!(more(&[DATA]).is_err_and(|e| e.contains("cut short")));
        assert!(more(&[vec![DATA, 1], vec![1; 4]].concat()).is_err_and(|e| e.contains("not in the custom format")));
        // A block that nobody expected is no fault.
        assert_eq!(more(&[vec![DATA], int(70), int(0)].concat()), Ok(()));
    }
}
