//! Rows as `COPY` writes them, counted and hashed while they pass by.
//!
//! The checksum of a table is the sum, modulo 2^128, of the XXH3-128 of each of its lines. It does not depend on the order
//! of the rows, and rows that are there twice count twice. The hash has a seed that is chosen for each dump. It finds
//! mistakes, not malice: against malice stands the authentication code of the archive.

use xxhash_rust::xxh3::{Xxh3, xxh3_128_with_seed};

/// The longest part of a row that is kept until its end comes; of a longer one only the state of its hash is kept.
const CARRY: usize = 64 * 1024;
/// The line that ends the rows in the custom and the directory format.
const END: &[u8] = b"\\.";

/// How rows are hashed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hashing {
    pub seed: u64,
    /// Without it rows are counted only.
    pub on: bool,
}

/// So many rows, and the sum of their hashes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Rows {
    pub count: u64,
    pub sum: u128,
}

impl Rows {
    /// Adds the rows of another part of the table.
    pub fn add(&mut self, other: Self) {
        self.count += other.count;
        self.sum = self.sum.wrapping_add(other.sum);
    }
}

/// Splits bytes into rows, however they are cut, with bounded memory.
pub struct RowHasher {
    hashing: Hashing,
    rows: Rows,
    /// The row that has begun.
    carry: Vec<u8>,
    /// The hash of a row that is longer than is kept.
    long: Option<Box<Xxh3>>,
    /// Rows end with a line of their own, and whether it was met.
    terminated: bool,
    ended: bool,
    broken: bool,
}

impl RowHasher {
    /// A hasher of rows up to the line `\.`.
    pub fn terminated(hashing: Hashing) -> Self {
        Self { terminated: true, ..Self::open(hashing) }
    }

    /// A hasher of rows without a last line.
    pub fn open(hashing: Hashing) -> Self {
        Self {
            hashing,
            rows: Rows::default(),
            carry: Vec::new(),
            long: None,
            terminated: false,
            ended: false,
            broken: false,
        }
    }

    /// Takes the next bytes.
    pub fn take(&mut self, mut data: &[u8]) {
        loop {
            if self.ended {
                // Empty lines follow the end, and nothing else.
                self.broken |= data.iter().any(|b| *b != b'\n');
                return;
            }
            let Some(end) = memchr::memchr(b'\n', data) else { return self.keep(data) };
            let (line, rest) = (&data[..end], &data[end + 1..]);
            if self.carry.is_empty() && self.long.is_none() {
                self.row(line);
            } else {
                self.finish(line);
            }
            data = rest;
        }
    }

    /// The rows, when they came to their end.
    pub fn rows(&self) -> Option<Rows> {
        let whole =
            if self.terminated { self.ended && !self.broken } else { self.carry.is_empty() && self.long.is_none() };
        whole.then_some(self.rows)
    }

    /// The rows, when they came to their end; begins again.
    pub fn take_rows(&mut self) -> Option<Rows> {
        let rows = self.rows();
        (self.rows, self.long, self.ended, self.broken) = (Rows::default(), None, false, false);
        self.carry.clear();
        rows
    }

    fn row(&mut self, line: &[u8]) {
        if self.terminated && line == END {
            self.ended = true;
            return;
        }
        self.rows.count += 1;
        if self.hashing.on {
            self.rows.sum = self.rows.sum.wrapping_add(xxh3_128_with_seed(line, self.hashing.seed));
        }
    }

    /// Keeps a part of a row.
    fn keep(&mut self, part: &[u8]) {
        match &mut self.long {
            Some(hash) => hash.update(part),
            None if self.carry.len() + part.len() <= CARRY => self.carry.extend_from_slice(part),
            None => {
                let mut hash = Box::new(Xxh3::with_seed(self.hashing.seed));
                hash.update(&self.carry);
                hash.update(part);
                self.carry.clear();
                self.long = Some(hash);
            }
        }
    }

    /// The last part of a row.
    fn finish(&mut self, part: &[u8]) {
        match self.long.take() {
            None => {
                let mut line = std::mem::take(&mut self.carry);
                line.extend_from_slice(part);
                self.row(&line);
                line.clear();
                self.carry = line;
            }
            Some(mut hash) => {
                hash.update(part);
                self.rows.count += 1;
                if self.hashing.on {
                    self.rows.sum = self.rows.sum.wrapping_add(hash.digest128());
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEED: Hashing = Hashing { seed: 7, on: true };

    fn rows(pieces: &[&str]) -> Option<Rows> {
        let mut rows = RowHasher::terminated(SEED);
        pieces.iter().for_each(|p| rows.take(p.as_bytes()));
        rows.rows()
    }

    fn count(pieces: &[&str]) -> Option<u64> {
        rows(pieces).map(|r| r.count)
    }

    #[test]
    fn rows_are_counted_however_the_pieces_are_cut() {
        assert_eq!(count(&["1\ta\n2\tb\n\\.\n\n\n"]), Some(2));
        assert_eq!(rows(&["1\ta", "\n2\tb\n\\", ".", "\n\n\n"]), rows(&["1\ta\n2\tb\n\\.\n\n\n"]));
        assert_eq!(count(&["\\.\n\n\n"]), Some(0));
        assert_eq!(count(&["\\.x\n", "\\.\n"]), Some(1), "a row that begins like the end");
        assert_eq!(count(&["\n", "\n", "\\.\n"]), Some(2), "rows of one empty text");
        assert_eq!(count(&["1\n2\n"]), None, "cut short");
    }

    #[test]
    fn the_order_of_rows_does_not_matter_and_everything_else_does() {
        let whole = rows(&["1\ta\n2\tb\n2\tb\n\\.\n"]);
        assert_eq!(rows(&["2\tb\n1\ta\n2\tb\n\\.\n"]), whole);
        for other in
            ["1\ta\n2\tb\n\\.\n", "1\ta\n1\ta\n2\tb\n\\.\n", "1\tb\n2\ta\n2\tb\n\\.\n", "1\ta\n2\tb\n2\tB\n\\.\n"]
        {
            assert_ne!(rows(&[other]), whole, "{other:?}");
        }
        let mut seeded = RowHasher::terminated(Hashing { seed: 8, on: true });
        seeded.take(b"1\ta\n2\tb\n2\tb\n\\.\n");
        assert_ne!(seeded.rows(), whole);
    }

    #[test]
    fn a_row_longer_than_is_kept_has_the_same_hash() {
        let long = "x".repeat(3 * CARRY);
        let text = format!("{long}\nshort\n{long}y\n\\.\n");
        let whole = rows(&[&text]);
        for step in [1, 100, CARRY - 1, CARRY, CARRY + 1, 2 * CARRY] {
            let mut hasher = RowHasher::terminated(SEED);
            text.as_bytes().chunks(step).for_each(|p| hasher.take(p));
            assert!(whole.is_some() && hasher.rows() == whole, "{step}");
        }
    }
}
