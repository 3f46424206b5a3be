//! Finding what was seen before (RFC 1951, 3.2.5: lengths from 3 to 258, distances up to 32,768).
//!
//! Speed here is a matter of branches that the processor cannot foresee, about one for each byte that the archive ends up
//! with. So the first eight bytes are compared at once, what is found out about a place is joined into one condition, and
//! the better of two matches is chosen without a branch.

use super::block::{distance_symbol, length_symbol};

/// The longest match that the format knows.
const LONGEST: usize = 258;
/// How far back a match may lie.
const WINDOW: usize = 32_768;
/// Four bytes from farther back than this cost as much as they save, as five do: there, six are asked for. Digits and
/// hexadecimal, of which a dump has many, are full of such chance meetings.
const NEAR: usize = 256;
/// A match of this many bytes is taken without a look at the next byte's.
const GOOD: usize = 8;
/// Places in the table, as a power of two. With 8192 it stays in the nearest cache; a larger one finds 2 % more, and
/// takes a third longer.
const TABLE: u32 = 13;
/// How many bytes from a place on are looked at, with its neighbour.
const AHEAD: usize = 9;
/// After this many bytes without a match, which is noise, not every byte is tried: one in two from there on, one in three
/// after twice as many, and so on.
const PATIENCE: usize = 512;

/// Literals, then a match; the last of a block may have none.
#[derive(Clone, Copy)]
pub struct Sequence {
    pub literals: u32,
    /// 0 for none.
    pub length: u16,
    /// One less than the distance.
    pub back: u16,
}

/// How often each symbol was met in a block. Of both there are more than the format has, which are for nothing.
pub struct Counts {
    pub literals: [u32; 288],
    pub distances: [u32; 32],
}

/// A block as literals and matches.
pub struct Parsed<'a> {
    pub sequences: &'a [Sequence],
    pub counts: &'a Counts,
}

pub struct Parser {
    /// Where each four bytes stood last, by their hash, in the lower 16 bits of the place. A place that is too far back
    /// or was never written only costs a look at bytes that differ.
    table: Box<[u16; 1 << TABLE]>,
    sequences: Vec<Sequence>,
    counts: Counts,
}

#[inline(always)]
fn word(data: &[u8], at: usize) -> u64 {
    let mut bytes = [0; 8];
    bytes.copy_from_slice(&data[at..at + 8]);
    u64::from_le_bytes(bytes)
}

/// A place in the table for the first four bytes of a word.
#[inline(always)]
fn hash(word: u64) -> usize {
    ((word << 32).wrapping_mul(0x9E37_79B1_85EB_CA87) >> (64 - TABLE)) as usize
}

/// Whether a match is worth taking, given how its first eight bytes differ and how far back it lies.
#[inline(always)]
fn usable(differ: u64, back: usize) -> bool {
    (differ << (if back > NEAR { 16 } else { 32 }) == 0) & (back.wrapping_sub(1) < WINDOW)
}

/// How many bytes from `at` on are those from `from` on, given how the first eight differ.
#[inline(always)]
fn common(data: &[u8], differ: u64, from: usize, at: usize) -> usize {
    if differ != 0 {
        return (differ.trailing_zeros() / 8) as usize;
    }
    let end = data.len().min(at + LONGEST);
    let mut length = 8;
    while at + length + 8 <= end {
        let differ = word(data, from + length) ^ word(data, at + length);
        if differ != 0 {
            return length + (differ.trailing_zeros() / 8) as usize;
        }
        length += 8;
    }
    while at + length < end && data[from + length] == data[at + length] {
        length += 1;
    }
    length
}

impl Parser {
    pub fn new() -> Self {
        let table = vec![0; 1 << TABLE].into_boxed_slice().try_into().expect("it has that length");
        Self { table, sequences: Vec::new(), counts: Counts { literals: [0; 288], distances: [0; 32] } }
    }

    /// Forgets the chunk before.
    pub fn begin(&mut self) {
        self.table.fill(0);
    }

    /// How the eight bytes at `at`, which are `now`, differ from those at the place that the table names, and how far back
    /// that is. Remembers that these stand here.
    #[inline(always)]
    fn probe(&mut self, data: &[u8], at: usize, now: u64) -> (u64, usize) {
        let place = &mut self.table[hash(now)];
        let from = at.saturating_sub(usize::from((at as u16).wrapping_sub(*place)));
        *place = at as u16;
        (word(data, from) ^ now, at - from)
    }

    /// Parses the bytes from `start` to the end of `data`, after those before `start`, which are of the same chunk.
    pub fn block(&mut self, data: &[u8], start: usize) -> Parsed<'_> {
        self.sequences.clear();
        self.counts.literals.fill(0);
        self.counts.distances.fill(0);
        // The end of the block.
        self.counts.literals[256] = 1;
        let (mut at, mut anchor) = (start, start);
        while at + AHEAD <= data.len() {
            let now = word(data, at);
            let (differ, mut back) = self.probe(data, at, now);
            if !usable(differ, back) {
                self.counts.literals[now as usize & 255] += 1;
                at += 1;
                if at - anchor > PATIENCE {
                    let next = data.len().min(at + (at - anchor) / PATIENCE);
                    self.count(&data[at..next]);
                    at = next;
                }
                continue;
            }
            let mut length = common(data, differ, at - back, at);
            if length < GOOD {
                let (differ, other) = self.probe(data, at + 1, word(data, at + 1));
                if usable(differ, other) {
                    let longer = common(data, differ, at + 1 - other, at + 1);
                    let better = longer > length;
                    // 287 is no symbol.
                    self.counts.literals[if better { now as usize & 255 } else { 287 }] += 1;
                    (length, back) = if better { (longer, other) } else { (length, back) };
                    at += usize::from(better);
                }
            }
            self.counts.literals[length_symbol(length)] += 1;
            self.counts.distances[distance_symbol(back - 1)] += 1;
            self.sequences.push(Sequence {
                literals: (at - anchor) as u32,
                length: length as u16,
                back: (back - 1) as u16,
            });
            at += length;
            anchor = at;
            if at + 6 <= data.len() {
                self.table[hash(word(data, at - 2))] = (at - 2) as u16;
            }
        }
        if anchor < data.len() {
            self.count(&data[at..]);
            self.sequences.push(Sequence { literals: (data.len() - anchor) as u32, length: 0, back: 0 });
        }
        Parsed { sequences: &self.sequences, counts: &self.counts }
    }

    /// Counts literals that were not tried.
    #[cold]
    fn count(&mut self, literals: &[u8]) {
        for byte in literals {
            self.counts.literals[usize::from(*byte)] += 1;
        }
    }
}
