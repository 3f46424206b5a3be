//! What becomes of a chunk: stored, or compressed by one of three encoders.

use super::deflate;
use crate::step::StepError;

/// Bytes of a chunk.
pub const CHUNK: usize = deflate::CHUNK;

/// How chunks are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Codec {
    /// Deflate's stored blocks, which end by themselves, as method 0 does not.
    Store,
    /// Our own encoder.
    Fast,
}

/// One part of a stream, with room for what it becomes. It is used again and again.
#[derive(Default)]
pub struct Chunk {
    /// Its place in the stream, from 0.
    pub number: u64,
    pub input: Vec<u8>,
    /// Whether the stream ends with it.
    pub last: bool,
    pub output: Vec<u8>,
}

/// Compresses chunks, one after the other.
pub enum Coder {
    Store,
    Fast(Box<deflate::Encoder>),
    /// Fails, or panics, at a chunk.
    #[cfg(test)]
    Broken {
        panics: bool,
    },
}

impl Coder {
    pub fn new(codec: Codec) -> Self {
        match codec {
            Codec::Store => Self::Store,
            Codec::Fast => Self::Fast(Box::new(deflate::Encoder::new())),
        }
    }

    /// Puts what a chunk becomes into its output.
    ///
    /// # Errors
    /// The encoder failed.
    pub fn code(&mut self, chunk: &mut Chunk) -> Result<(), StepError> {
        match self {
            Self::Store => deflate::store(&chunk.input, &mut chunk.output),
            Self::Fast(encoder) => encoder.chunk(&chunk.input, &mut chunk.output),
            #[cfg(test)]
            Self::Broken { panics } => {
                assert!(!*panics || chunk.number < 3, "a fault that was planted");
                if chunk.number >= 3 {
                    return Err(StepError::new("a fault that was planted"));
                }
                deflate::store(&chunk.input, &mut chunk.output);
            }
        }
        if chunk.last {
            chunk.output.extend(deflate::END);
        }
        Ok(())
    }
}
