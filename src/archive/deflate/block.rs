//! Writing a block: stored, with fixed codes, or with codes of its own (RFC 1951, 3.2.3 to 3.2.7).

use super::STORED;
use super::bits::Bits;
use super::huffman;
use super::parse::Parsed;

/// The longest code word. The format allows 15 bits; with 14, four literals fit between two flushes.
const LIMIT: usize = 14;
const LITERALS: usize = 286;
const DISTANCES: usize = 30;
/// The order in which the lengths of the code for lengths are written (RFC 1951, 3.2.7).
const ORDER: [usize; 19] = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];

/// Symbol, less 257, of each length less 3 (RFC 1951, 3.2.5).
const LENGTH_SYMBOL: [u8; 256] = {
    let mut table = [28; 256];
    let mut symbol = 0;
    while symbol < 28 {
        let (base, extra) = length_base(symbol);
        let mut at = base;
        while at < base + (1 << extra) && at < 255 {
            table[at] = symbol as u8;
            at += 1;
        }
        symbol += 1;
    }
    table
};

/// The least length less 3 of a symbol less 257, and how many bits follow it.
const fn length_base(symbol: usize) -> (usize, u32) {
    match symbol {
        0..8 => (symbol, 0),
        28 => (255, 0),
        _ => {
            let extra = symbol / 4 - 1;
            ((4 + symbol % 4) << extra, extra as u32)
        }
    }
}

/// The least distance less 1 of a symbol, and how many bits follow it.
const fn distance_base(symbol: usize) -> (usize, u32) {
    match symbol {
        0..4 => (symbol, 0),
        _ => {
            let extra = symbol / 2 - 1;
            ((2 + symbol % 2) << extra, extra as u32)
        }
    }
}

/// Symbol of each distance less 1: below 256 by itself, above by its part in 128.
const DISTANCE_SYMBOL: [u8; 512] = {
    let mut table = [0; 512];
    let mut symbol = 0;
    while symbol < DISTANCES {
        let (base, extra) = distance_base(symbol);
        let mut at = base;
        while at < base + (1 << extra) {
            if at < 256 {
                table[at] = symbol as u8;
            } else if at % 128 == 0 {
                table[256 + at / 128] = symbol as u8;
            }
            at += 1;
        }
        symbol += 1;
    }
    table
};

const DISTANCE_EXTRA: [u8; 32] = {
    let mut table = [0; 32];
    let mut symbol = 0;
    while symbol < DISTANCES {
        table[symbol] = distance_base(symbol).1 as u8;
        symbol += 1;
    }
    table
};

#[inline(always)]
pub fn length_symbol(length: usize) -> usize {
    257 + usize::from(LENGTH_SYMBOL[(length - 3) & 255])
}

/// The symbol of a distance, given less 1.
#[inline(always)]
pub fn distance_symbol(back: usize) -> usize {
    // Both masks change nothing; they spare a check.
    usize::from(DISTANCE_SYMBOL[if back < 256 { back } else { 256 + (back >> 7 & 255) }] & 31)
}

/// A code word in the lower 24 bits, how many bits it has above.
type Word = u32;

#[inline(always)]
fn put(bits: &mut Bits, word: Word) {
    bits.put(u64::from(word & 0xff_ffff), word >> 24);
}

/// The codes of one block.
pub struct Writer {
    lengths: [u8; LITERALS + DISTANCES],
    literals: [Word; 256],
    /// The word of a length less 3 with the bits that follow it.
    matches: [Word; 256],
    distances: [Word; 32],
    end: Word,
}

/// The code lengths of a block as they are written, and what that takes.
struct Header {
    symbols: Vec<(u8, u8)>,
    lengths: [u8; 19],
    literals: usize,
    distances: usize,
    codes: usize,
    bits: usize,
}

impl Writer {
    pub fn new() -> Self {
        Self { lengths: [0; LITERALS + DISTANCES], literals: [0; 256], matches: [0; 256], distances: [0; 32], end: 0 }
    }

    /// Writes one block. After the last one of a chunk the bits end on a byte boundary.
    pub fn block(&mut self, data: &[u8], parsed: &Parsed<'_>, last: bool, bits: &mut Bits) {
        let counts = parsed.counts;
        huffman::lengths(&counts.literals[..LITERALS], LIMIT, &mut self.lengths[..LITERALS]);
        huffman::lengths(&counts.distances[..DISTANCES], LIMIT, &mut self.lengths[LITERALS..]);
        let header = Header::of(&self.lengths);
        let size = |lengths: &dyn Fn(usize) -> usize, distances: &dyn Fn(usize) -> usize| {
            let literals: usize =
                counts.literals[..257].iter().enumerate().map(|(s, c)| *c as usize * lengths(s)).sum();
            let matches: usize = (257..LITERALS)
                .map(|s| counts.literals[s] as usize * (lengths(s) + length_base(s - 257).1 as usize))
                .sum();
            let backs: usize = counts.distances[..DISTANCES]
                .iter()
                .enumerate()
                .map(|(s, c)| *c as usize * (distances(s) + usize::from(DISTANCE_EXTRA[s])))
                .sum();
            literals + matches + backs
        };
        let own = &self.lengths;
        let dynamic_bits = 3 + header.bits + size(&|s| own[s].into(), &|s| own[LITERALS + s].into());
        let fixed_bits = 3 + size(&|s| fixed_length(s).into(), &|_| 5);
        let odd = bits.odd() as usize;
        // A coded block that ends inside a byte has to be followed by an empty stored one at the end of a chunk.
        let filled = |size: usize| {
            if last && !(odd + size).is_multiple_of(8) { (odd + size + 3).next_multiple_of(8) + 32 } else { odd + size }
        };
        let stored = (odd + 3).next_multiple_of(8) + 8 * (5 * data.len().div_ceil(STORED) - 1 + data.len());
        let (dynamic, fixed) = (filled(dynamic_bits), filled(fixed_bits));
        if stored <= dynamic.min(fixed) {
            for piece in data.chunks(STORED) {
                store(piece, bits);
            }
            return;
        }
        if fixed <= dynamic {
            for (symbol, length) in self.lengths[..LITERALS].iter_mut().enumerate() {
                *length = fixed_length(symbol);
            }
            self.lengths[LITERALS..].fill(5);
            bits.put(1 << 1, 3);
        } else {
            bits.put(2 << 1, 3);
            header.write(bits);
        }
        bits.flush();
        self.words(fixed <= dynamic);
        self.body(data, parsed, bits);
        if last && bits.odd() != 0 {
            store(&[], bits);
        }
    }

    fn words(&mut self, fixed: bool) {
        // The two symbols that the fixed code has and nothing uses take part in it (RFC 1951, 3.2.6).
        let mut lengths = [8u8; 288];
        lengths[..LITERALS].copy_from_slice(&self.lengths[..LITERALS]);
        let count = if fixed { 288 } else { LITERALS };
        let mut codes = [0u16; 288];
        huffman::codes(&lengths[..count], &mut codes);
        let word = |symbol: usize| Word::from(codes[symbol]) | Word::from(lengths[symbol]) << 24;
        for (symbol, literal) in self.literals.iter_mut().enumerate() {
            *literal = word(symbol);
        }
        self.end = word(256);
        for (length, entry) in self.matches.iter_mut().enumerate() {
            let symbol = usize::from(LENGTH_SYMBOL[length]);
            let (base, extra) = length_base(symbol);
            let word = word(257 + symbol);
            *entry = (word | ((length - base) as Word) << (word >> 24)) + (extra << 24);
        }
        let mut codes = [0u16; DISTANCES];
        huffman::codes(&self.lengths[LITERALS..], &mut codes);
        for ((entry, code), length) in self.distances.iter_mut().zip(codes).zip(&self.lengths[LITERALS..]) {
            *entry = Word::from(code) | Word::from(*length) << 24;
        }
    }

    fn body(&self, data: &[u8], parsed: &Parsed<'_>, bits: &mut Bits) {
        let mut rest = data;
        for sequence in parsed.sequences {
            let (literals, after) = rest.split_at(sequence.literals as usize);
            // Up to 7 bits are held after a flush, and four words have at most 56.
            for four in literals.chunks(4) {
                if let [a, b, c, d] = four {
                    put(bits, self.literals[usize::from(*a)]);
                    put(bits, self.literals[usize::from(*b)]);
                    put(bits, self.literals[usize::from(*c)]);
                    put(bits, self.literals[usize::from(*d)]);
                } else {
                    for byte in four {
                        put(bits, self.literals[usize::from(*byte)]);
                    }
                }
                bits.flush();
            }
            if sequence.length == 0 {
                rest = after;
                continue;
            }
            // 14 and 5, 14 and 13 bits.
            put(bits, self.matches[usize::from(sequence.length - 3) & 255]);
            let back = usize::from(sequence.back);
            let symbol = distance_symbol(back);
            put(bits, self.distances[symbol]);
            let extra = u32::from(DISTANCE_EXTRA[symbol]);
            bits.put(back as u64 & ((1 << extra) - 1), extra);
            bits.flush();
            rest = &after[usize::from(sequence.length)..];
        }
        put(bits, self.end);
        bits.flush();
    }
}

fn fixed_length(symbol: usize) -> u8 {
    match symbol {
        0..144 => 8,
        144..256 => 9,
        256..280 => 7,
        _ => 8,
    }
}

/// One stored block: its length, the complement of it, the bytes (RFC 1951, 3.2.4).
pub fn store(piece: &[u8], bits: &mut Bits) {
    bits.put(0, 3);
    bits.align();
    let length = piece.len() as u16;
    bits.bytes(&length.to_le_bytes());
    bits.bytes(&(!length).to_le_bytes());
    bits.bytes(piece);
}

impl Header {
    /// Runs of equal lengths are written as one symbol (RFC 1951, 3.2.7).
    fn of(lengths: &[u8; LITERALS + DISTANCES]) -> Self {
        let used = |part: &[u8], least: usize| part.iter().rposition(|l| *l > 0).map_or(least, |p| (p + 1).max(least));
        let literals = used(&lengths[..LITERALS], 257);
        let distances = used(&lengths[LITERALS..], 1);
        let all: Vec<u8> = [&lengths[..literals], &lengths[LITERALS..LITERALS + distances]].concat();
        let mut symbols = Vec::with_capacity(all.len());
        for run in all.chunk_by(|a, b| a == b) {
            let (length, mut left) = (run[0], run.len());
            if length != 0 {
                symbols.push((length, 0));
                left -= 1;
            }
            while left > 0 {
                let (symbol, count) = match (length, left) {
                    (0, 11..) => (18, left.min(138)),
                    (0, 3..) => (17, left),
                    (1.., 3..) => (16, left.min(6)),
                    _ => (length, 1),
                };
                symbols.push((symbol, if symbol < 16 { 0 } else { (count - if symbol == 18 { 11 } else { 3 }) as u8 }));
                left -= count;
            }
        }
        let mut counts = [0u32; 19];
        for (symbol, _) in &symbols {
            counts[usize::from(*symbol)] += 1;
        }
        let mut own = [0u8; 19];
        huffman::lengths(&counts, 7, &mut own);
        let codes = ORDER.iter().rposition(|s| own[*s] > 0).map_or(4, |p| (p + 1).max(4));
        let body: usize =
            symbols.iter().map(|(s, _)| usize::from(own[usize::from(*s)]) + repeat_bits(*s) as usize).sum();
        Self { symbols, lengths: own, literals, distances, codes, bits: 14 + 3 * codes + body }
    }

    fn write(&self, bits: &mut Bits) {
        bits.put((self.literals - 257) as u64, 5);
        bits.put((self.distances - 1) as u64, 5);
        bits.put((self.codes - 4) as u64, 4);
        bits.flush();
        for symbol in &ORDER[..self.codes] {
            bits.put(self.lengths[*symbol].into(), 3);
            bits.flush();
        }
        let mut codes = [0u16; 19];
        huffman::codes(&self.lengths, &mut codes);
        for (symbol, repeat) in &self.symbols {
            bits.put(codes[usize::from(*symbol)].into(), self.lengths[usize::from(*symbol)].into());
            bits.put((*repeat).into(), repeat_bits(*symbol));
            bits.flush();
        }
    }
}

/// How many bits follow a symbol of the code for lengths.
fn repeat_bits(symbol: u8) -> u32 {
    match symbol {
        16 => 2,
        17 => 3,
        18 => 7,
        _ => 0,
    }
}
