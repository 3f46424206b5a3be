//! What becomes of a chunk: stored, or compressed by one of three encoders.
//!
//! Deflate is joined from chunks that were compressed apart: each ends on a byte boundary, and at the small levels each
//! begins with the window of the one before as its dictionary, so that it may refer to it. A zstd stream is one frame,
//! since not every reader goes on after the first: there is one coder, and at the smaller levels the library has threads
//! of its own for it.

use zlib_rs::{Deflate, DeflateConfig, DeflateFlush, Method, Strategy};
use zstd::stream::raw::{CParameter, Encoder, InBuffer, Operation, OutBuffer};

use super::deflate;
use crate::step::StepError;

/// Bytes of a chunk.
pub const CHUNK: usize = deflate::CHUNK;
/// How far back deflate refers.
pub const WINDOW: usize = 32_768;
/// Bytes that one of zstd's threads takes at a time.
const JOB: u32 = 1 << 20;
/// zstd's level 1 as `fast` has it: a hash table of 2^15 places in place of 2^14 makes 2 % less of a dump for a tenth more
/// work, and a window of 2^19 bytes the same as one of 2^21 with less memory. One thread of it is faster than `pg_dump`,
/// and threads of the library's own hold twelve mebibytes.
const FAST: [CParameter; 2] = [CParameter::HashLog(15), CParameter::WindowLog(19)];

/// Level 6 of zlib-rs as `small` has it: 4,096 symbols share a set of codes in place of 16,384 (`memLevel` of zlib's
/// manual), which suits the rows of many tables that follow each other. It was smaller than `gzip -6` on the
/// databases of the bench `throughput`, in two fifths to two thirds of the time of level 7.
const SMALL: DeflateConfig = DeflateConfig {
    level: 6,
    method: Method::Deflated,
    // Without a header.
    window_bits: -15,
    mem_level: 6,
    strategy: Strategy::Default,
};

/// How chunks are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Codec {
    /// Deflate's stored blocks, which end by themselves, as method 0 does not.
    Store,
    /// Deflate by our own encoder.
    Fast,
    /// Deflate by zlib-rs at a level from 1 to 9.
    Zlib(i32),
    /// Deflate by zlib-rs as small as it pays.
    ZlibSmall,
    /// Zstandard at a level of the library.
    Zstd(i32),
    /// Zstandard as fast as it pays.
    ZstdFast,
}

/// One part of a stream, with room for what it becomes. It is used again and again.
#[derive(Default)]
pub struct Chunk {
    /// Its place in the stream, from 0.
    pub number: u64,
    /// The end of the chunk before, where the coder wants it.
    pub before: Vec<u8>,
    input: Vec<u8>,
    filled: usize,
    /// Whether the stream ends with it.
    pub last: bool,
    pub output: Vec<u8>,
}

impl Chunk {
    /// What it has of the stream.
    pub fn input(&self) -> &[u8] {
        &self.input[..self.filled]
    }

    /// Where the stream goes, and how much of it was filled. It is not cleared, which would take longer than a small
    /// entry.
    pub fn room(&mut self) -> (&mut [u8], &mut usize) {
        self.input.resize(CHUNK, 0);
        (&mut self.input, &mut self.filled)
    }

    /// Bytes of memory that it holds.
    #[cfg(test)]
    pub fn held(&self) -> usize {
        self.before.capacity() + self.input.capacity() + self.output.capacity()
    }
}

/// Compresses chunks.
pub enum Coder {
    Store,
    Fast(Box<deflate::Encoder>),
    Zlib(Box<Deflate>),
    Zstd(Box<Encoder<'static>>),
    /// What a test wants.
    #[cfg(test)]
    Planted(fn(&mut Chunk) -> Result<(), StepError>),
}

impl Codec {
    /// Coders for so many threads.
    ///
    /// # Errors
    /// The library refuses what it is told.
    pub fn coders(self, threads: usize) -> Result<Vec<Coder>, StepError> {
        let each = |coder: fn(i32) -> Coder, level| (0..threads).map(|_| coder(level)).collect();
        Ok(match self {
            Self::Store => each(|_| Coder::Store, 0),
            Self::Fast => each(|_| Coder::Fast(Box::default()), 0),
            Self::Zlib(level) => each(|level| Coder::Zlib(Box::new(Deflate::new(level, false, 15))), level),
            Self::ZlibSmall => each(|_| Coder::Zlib(Box::new(Deflate::new_with_config(SMALL))), 0),
            Self::Zstd(level) => {
                let threads = u32::try_from(threads).unwrap_or(1);
                vec![one_frame(level, &[CParameter::NbWorkers(threads), CParameter::JobSize(JOB)])?]
            }
            Self::ZstdFast => vec![one_frame(1, &FAST)?],
        })
    }

    /// Whether a chunk's coder wants the end of the chunk before.
    pub fn looks_back(self) -> bool {
        matches!(self, Self::Zlib(_) | Self::ZlibSmall)
    }
}

impl Coder {
    /// Puts what a chunk becomes into its output.
    ///
    /// # Errors
    /// The encoder failed.
    pub fn code(&mut self, chunk: &mut Chunk) -> Result<(), StepError> {
        match self {
            Self::Store => deflate::store(&chunk.input[..chunk.filled], &mut chunk.output),
            Self::Fast(encoder) => encoder.chunk(&chunk.input[..chunk.filled], &mut chunk.output),
            Self::Zlib(encoder) => zlib(encoder, chunk)?,
            Self::Zstd(encoder) => return zstd(encoder, chunk).map_err(|e| failed(&e)),
            #[cfg(test)]
            Self::Planted(code) => code(chunk)?,
        }
        if chunk.last {
            chunk.output.extend(deflate::END);
        }
        Ok(())
    }
}

/// A coder of one zstd frame.
fn one_frame(level: i32, settings: &[CParameter]) -> Result<Coder, StepError> {
    let mut encoder = Encoder::new(level).map_err(|e| failed(&e))?;
    for parameter in settings {
        encoder.set_parameter(*parameter).map_err(|e| failed(&e))?;
    }
    Ok(Coder::Zstd(Box::new(encoder)))
}

fn failed(error: &std::io::Error) -> StepError {
    StepError::because("compressing", error)
}

/// Compresses a chunk up to a byte boundary, which is what a synchronising flush gives.
fn zlib(encoder: &mut Deflate, chunk: &mut Chunk) -> Result<(), StepError> {
    encoder.reset();
    if !chunk.before.is_empty() {
        encoder.set_dictionary(&chunk.before).map_err(|e| StepError::new(format!("compressing: {}", e.as_str())))?;
    }
    // Noise grows by a few bytes in each 16 KiB.
    chunk.output.resize(chunk.filled + chunk.filled / 64 + 64, 0);
    let number = |total: u64| usize::try_from(total).unwrap_or(usize::MAX);
    loop {
        let (taken, made) = (number(encoder.total_in()), number(encoder.total_out()));
        encoder
            .compress(&chunk.input[taken..chunk.filled], &mut chunk.output[made..], DeflateFlush::SyncFlush)
            .map_err(|e| StepError::new(format!("compressing: {}", e.as_str())))?;
        let made = number(encoder.total_out());
        if made < chunk.output.len() {
            chunk.output.truncate(made);
            return Ok(());
        }
        chunk.output.resize(made + CHUNK / 64, 0);
    }
}

/// Gives a chunk to the library and takes what it has ready, which may be nothing, or be of chunks before.
fn zstd(encoder: &mut Encoder<'static>, chunk: &mut Chunk) -> std::io::Result<()> {
    chunk.output.clear();
    let mut input = InBuffer::around(&chunk.input[..chunk.filled]);
    while input.pos < chunk.filled {
        step(&mut chunk.output, |output| encoder.run(&mut input, output))?;
    }
    if chunk.last {
        while step(&mut chunk.output, |output| encoder.finish(output, true))? > 0 {}
        encoder.reinit()?;
    }
    Ok(())
}

/// Calls the library with room for some more output.
fn step(
    output: &mut Vec<u8>,
    call: impl FnOnce(&mut OutBuffer<'_, [u8]>) -> std::io::Result<usize>,
) -> std::io::Result<usize> {
    let made = output.len();
    output.resize(made + CHUNK / 4, 0);
    let mut room = OutBuffer::around(&mut output[made..]);
    let left = call(&mut room);
    let used = room.pos();
    output.truncate(made + used);
    left
}
