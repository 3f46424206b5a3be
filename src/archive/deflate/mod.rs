//! The fast level of deflate (RFC 1951): one pass over a chunk, made for the stream of `pg_dump`.
//!
//! A chunk is compressed on its own, so that many can be made at once, and ends on a byte boundary with no block marked as
//! the last one. Chunks laid end to end, and [`END`] behind them, are one deflate stream that every reader knows.
//!
//! Each block of [`BLOCK`] bytes goes three steps:
//!
//! 1. `parse` finds what was seen before: a table remembers where each four bytes stood last, and the one place it names
//!    is tried. A short match is weighed against the next byte's, and the longer of the two is taken.
//! 2. `huffman` gives the literals, lengths and distances that came out of it codes by how often each was met.
//! 3. `block` writes it in the smallest of the format's three forms. Noise is stored, in pieces that fill a stored block to
//!    its last byte: it grows by five bytes in 65,535, the least that the format can do.
//!
//! What is written depends on the chunk alone, not on the chunks that the same encoder made before.

mod bits;
mod block;
mod huffman;
mod parse;

use parse::Parser;

/// The most that a stored block can hold (RFC 1951, 3.2.4).
const STORED: usize = 65_535;
/// Bytes of input that share one set of codes: two full stored blocks, in case it has to be stored.
pub const BLOCK: usize = 2 * STORED;
/// Bytes of a chunk: half a mebibyte but eight bytes.
pub const CHUNK: usize = 4 * BLOCK;
/// What ends a stream: a last block of fixed codes that has nothing but its end (RFC 1951, 3.2.6).
pub const END: [u8; 2] = [0x03, 0x00];

/// The most that a chunk of `length` bytes becomes.
pub const fn bound(length: usize) -> usize {
    length + 5 * length.div_ceil(STORED)
}

/// Puts a chunk as stored blocks in place of what `out` held.
pub fn store(data: &[u8], out: &mut Vec<u8>) {
    let mut bits = bits::Bits::begin(out, bound(data.len()));
    for piece in data.chunks(STORED) {
        block::store(piece, &mut bits);
    }
    bits.end();
}

/// Compresses chunk after chunk. It holds about 300 KiB.
pub struct Encoder {
    parser: Parser,
    writer: block::Writer,
}

impl Encoder {
    pub fn new() -> Self {
        Self { parser: Parser::new(), writer: block::Writer::new() }
    }

    /// Puts the compressed form of a chunk in place of what `out` held: at most [`bound`] bytes, nothing for nothing.
    pub fn chunk(&mut self, data: &[u8], out: &mut Vec<u8>) {
        self.parser.begin();
        let mut bits = bits::Bits::begin(out, bound(data.len()));
        let mut start = 0;
        while start < data.len() {
            let end = data.len().min(start + BLOCK);
            let parsed = self.parser.block(&data[..end], start);
            self.writer.block(&data[start..end], &parsed, end == data.len(), &mut bits);
            start = end;
        }
        bits.end();
    }
}

impl Default for Encoder {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests;
