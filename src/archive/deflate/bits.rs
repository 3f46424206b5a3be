//! A stream of bits, the first in the lowest place of a byte (RFC 1951, 3.1.1).

/// Bytes that [`Bits::flush`] may write behind the end.
const SLACK: usize = 8;

/// Writes bits into a buffer. Up to 56 bits are put one after the other, then flushed.
pub struct Bits<'a> {
    out: &'a mut Vec<u8>,
    at: usize,
    held: u64,
    count: u32,
}

impl<'a> Bits<'a> {
    /// Begins in place of what `out` held; at most `bound` bytes will be written.
    pub fn begin(out: &'a mut Vec<u8>, bound: usize) -> Self {
        out.resize(bound + SLACK, 0);
        Self { out, at: 0, held: 0, count: 0 }
    }

    /// Adds the lowest `count` bits; those above are zero. Between two flushes at most 56 bits.
    #[inline(always)]
    pub fn put(&mut self, bits: u64, count: u32) {
        self.held |= bits << self.count;
        self.count += count;
    }

    /// Writes all whole bytes; fewer than eight bits are held after it.
    #[inline(always)]
    pub fn flush(&mut self) {
        self.out[self.at..self.at + 8].copy_from_slice(&self.held.to_le_bytes());
        self.at += (self.count >> 3) as usize;
        self.held >>= self.count & 56;
        self.count &= 7;
    }

    /// How many bits of the last byte are used, 0 when it is full.
    pub fn odd(&self) -> u32 {
        self.count & 7
    }

    /// Fills the last byte with zeros.
    pub fn align(&mut self) {
        self.count = self.count.next_multiple_of(8);
        self.flush();
    }

    /// Adds whole bytes, on a byte boundary.
    pub fn bytes(&mut self, bytes: &[u8]) {
        self.out[self.at..self.at + bytes.len()].copy_from_slice(bytes);
        self.at += bytes.len();
    }

    /// Cuts the buffer to what was written.
    pub fn end(self) {
        self.out.truncate(self.at);
    }
}
