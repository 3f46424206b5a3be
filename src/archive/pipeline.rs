//! One thread reads chunks, some compress them, one takes them in order.
//!
//! ```text
//!  the caller: fill a chunk -> workers: compress -> the taker: encrypt, hash, write
//!       ^                                                |
//!       +---------------- the empty chunk ---------------+
//! ```
//!
//! Chunks are filled whatever the sizes of the reads are, and taken by their number: what comes out does not depend on
//! the number of workers or on how the input trickles in. There is one chunk more than twice the workers, of about a
//! mebibyte with both their buffers, and no other memory grows.
//!
//! A stage that fails drops its ends of the channels, and the others see that: the taker's failure leaves the reader
//! without empty chunks, the reader's leaves the workers without work, and a worker sends its failure on in place of the
//! chunk. A reader that waits for its source notices when the source gives something or ends.

use std::collections::VecDeque;
use std::io::{self, Read};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;

use crossbeam_channel::bounded;

use super::codec::{CHUNK, Chunk, Codec, Coder, WINDOW};
use crate::cancel::Cancel;
use crate::step::StepError;

/// The workers and the chunks, used for entry after entry.
pub struct Pipeline {
    coders: Vec<Coder>,
    chunks: Vec<Chunk>,
    looks_back: bool,
}

/// What takes chunks in their order.
pub trait Take: Send {
    /// Takes one; its output may be changed in place.
    ///
    /// # Errors
    /// It cannot be taken, and nothing more will be.
    fn take(&mut self, chunk: &mut Chunk) -> Result<(), StepError>;
}

/// Fills chunks from a stream.
struct Source<'a> {
    from: &'a mut dyn Read,
    progress: &'a mut dyn FnMut(u64),
    cancel: &'a Cancel,
    number: u64,
    size: u64,
    /// The end of what was read, where the coders want it.
    tail: Option<Vec<u8>>,
}

impl Source<'_> {
    fn fill(&mut self, chunk: &mut Chunk) -> Result<(), StepError> {
        let (room, filled) = chunk.room();
        *filled = 0;
        while *filled < CHUNK {
            if self.cancel.is_cancelled() {
                return Err(StepError::cancelled());
            }
            match self.from.read(&mut room[*filled..]) {
                Ok(0) => break,
                Ok(count) => *filled += count,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                Err(e) => return Err(StepError::because("reading what is to be packed", &e)),
            }
            (self.progress)(self.size + *filled as u64);
        }
        let filled = *filled;
        if let Some(tail) = &mut self.tail {
            // Every chunk that has one behind it is longer than the window.
            chunk.before.clone_from(tail);
            tail.clear();
            tail.extend_from_slice(&chunk.input()[filled.saturating_sub(WINDOW)..]);
        }
        chunk.number = self.number;
        chunk.last = filled < CHUNK;
        self.number += 1;
        self.size += filled as u64;
        Ok(())
    }
}

impl Pipeline {
    /// A pipeline with so many threads that compress, one at least.
    ///
    /// # Errors
    /// The encoder refuses what it is told.
    pub fn new(codec: Codec, threads: usize) -> Result<Self, StepError> {
        Ok(Self { coders: codec.coders(threads.max(1))?, chunks: Vec::new(), looks_back: codec.looks_back() })
    }

    /// Compresses all that `from` gives, and gives its size. `progress` hears how much was read.
    ///
    /// # Errors
    /// The first failure of any stage, or that the work was cancelled.
    pub fn run(
        &mut self,
        from: &mut dyn Read,
        progress: &mut dyn FnMut(u64),
        cancel: &Cancel,
        to: &mut dyn Take,
    ) -> Result<u64, StepError> {
        let tail = self.looks_back.then(Vec::new);
        let mut source = Source { from, progress, cancel, number: 0, size: 0, tail };
        let mut first = self.chunks.pop().unwrap_or_default();
        source.fill(&mut first)?;
        if first.last {
            // Not worth a thread.
            self.coders[0].code(&mut first)?;
            to.take(&mut first)?;
            self.chunks.push(first);
            return Ok(source.size);
        }
        // A coder that looks back holds windows of its own and is slow: it does with one chunk less, so that all stay within
        // the same memory.
        let count = 2 * self.coders.len() + usize::from(!self.looks_back);
        self.chunks.resize_with(count - 1, Chunk::default);
        let (send_free, free) = bounded(count);
        for chunk in self.chunks.drain(..) {
            send_free.send(chunk).map_err(|_| stopped())?;
        }
        let (send_work, work) = bounded::<Chunk>(count);
        let (send_done, done) = bounded(count);
        let (read, taken) = thread::scope(|scope| {
            for coder in &mut self.coders {
                let (work, send_done) = (work.clone(), send_done.clone());
                scope.spawn(move || {
                    for mut chunk in work {
                        // A panic that nobody sees would leave the taker waiting for this chunk.
                        let coded = catch_unwind(AssertUnwindSafe(|| coder.code(&mut chunk)))
                            .unwrap_or_else(|_| Err(stopped()));
                        if send_done.send(coded.map(|()| chunk)).is_err() {
                            break;
                        }
                    }
                });
            }
            drop((work, send_done));
            let taker = scope.spawn(move || {
                let mut waiting: VecDeque<Option<Chunk>> = VecDeque::new();
                let mut next = 0;
                for chunk in done {
                    let chunk = chunk?;
                    let at = usize::try_from(chunk.number - next).unwrap_or(usize::MAX);
                    while waiting.len() <= at {
                        waiting.push_back(None);
                    }
                    waiting[at] = Some(chunk);
                    while let Some(Some(mut chunk)) = waiting.pop_front_if(|c| c.is_some()) {
                        if cancel.is_cancelled() {
                            return Err(StepError::cancelled());
                        }
                        to.take(&mut chunk)?;
                        next += 1;
                        // The reader needs no more of them when it has seen the end.
                        let _ = send_free.send(chunk);
                    }
                }
                Ok(())
            });
            let mut read = send_work.send(first).map_err(|_| stopped());
            let mut last = false;
            while read.is_ok() && !last {
                // Without free chunks the taker has failed, and says why.
                let Ok(mut chunk) = free.recv() else { break };
                read = source.fill(&mut chunk);
                last = chunk.last;
                if read.is_ok() && send_work.send(chunk).is_err() {
                    break;
                }
            }
            drop(send_work);
            let taken = taker.join().unwrap_or_else(|_| Err(stopped()));
            (read, taken)
        });
        self.chunks.extend(free.try_iter());
        read.and(taken).map(|()| source.size)
    }
}

#[cfg(test)]
impl Pipeline {
    /// One whose coder packs other bytes than it is given.
    pub fn faulty() -> Self {
        let code = |chunk: &mut Chunk| {
            super::deflate::store(b"something else", &mut chunk.output);
            Ok(())
        };
        Self { coders: vec![Coder::Planted(code)], chunks: Vec::new(), looks_back: false }
    }
}

/// A panic in a thread, whose message is on standard error already.
fn stopped() -> StepError {
    StepError::new("a thread of the archive stopped by a fault of its own")
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    struct Into {
        bytes: Vec<u8>,
        fails_at: u64,
    }

    impl Take for Into {
        fn take(&mut self, chunk: &mut Chunk) -> Result<(), StepError> {
            if chunk.number == self.fails_at {
                return Err(StepError::new("the disk is full"));
            }
            self.bytes.extend_from_slice(&chunk.output);
            Ok(())
        }
    }

    /// Gives bytes a few at a time, and fails at a place.
    struct Trickle {
        left: usize,
        step: usize,
        fails: bool,
    }

    impl Read for Trickle {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            if self.left == 0 && self.fails {
                return Err(io::Error::other("the source broke"));
            }
            let count = self.step.min(self.left).min(buffer.len());
            for (i, byte) in buffer[..count].iter_mut().enumerate() {
                let at = self.left - i;
                *byte = (at % 251 * (at / 7_000) % 253) as u8;
            }
            self.left -= count;
            Ok(count)
        }
    }

    fn run(pipeline: &mut Pipeline, from: &mut dyn Read, fails_at: u64) -> Result<Vec<u8>, StepError> {
        let mut to = Into { bytes: Vec::new(), fails_at };
        pipeline.run(from, &mut |_| {}, &Cancel::new(), &mut to).map(|_| to.bytes)
    }

    fn new(codec: Codec, threads: usize) -> Pipeline {
        Pipeline::new(codec, threads).expect("a pipeline")
    }

    fn planted(threads: usize, code: fn(&mut Chunk) -> Result<(), StepError>) -> Pipeline {
        let coders = (0..threads).map(|_| Coder::Planted(code)).collect();
        Pipeline { coders, chunks: Vec::new(), looks_back: false }
    }

    #[test]
    fn chunks_are_taken_in_order_though_some_take_longer() {
        let mut pipeline = planted(4, |chunk| {
            thread::sleep(std::time::Duration::from_millis(20 - chunk.number * 7 % 20));
            chunk.output = vec![chunk.number as u8];
            Ok(())
        });
        let mut from = Trickle { left: 29 * CHUNK + 1, step: CHUNK, fails: false };
        let taken = run(&mut pipeline, &mut from, u64::MAX).expect("it packs");
        assert_eq!(taken, [(0..30).collect::<Vec<u8>>(), super::super::deflate::END.to_vec()].concat());
    }

    #[test]
    fn the_bytes_are_the_same_with_any_number_of_workers_and_any_reads() {
        for codec in [Codec::Store, Codec::Fast, Codec::Zlib(6), Codec::ZlibSmall, Codec::Zstd(3), Codec::ZstdFast] {
            for size in [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 5 * CHUNK + 5] {
                let from = |step| Trickle { left: size, step, fails: false };
                let expected = run(&mut new(codec, 1), &mut from(CHUNK), u64::MAX).expect("it packs");
                for (threads, step) in [(1, 30_001), (2, CHUNK), (5, 70_000)] {
                    let mut pipeline = new(codec, threads);
                    for _ in 0..2 {
                        let bytes = run(&mut pipeline, &mut from(step), u64::MAX);
                        assert!(bytes.is_ok_and(|bytes| bytes == expected), "{codec:?} {size} {threads} {step}");
                    }
                }
            }
        }
    }

    fn fails(chunk: &mut Chunk) -> Result<(), StepError> {
        if chunk.number == 3 { Err(StepError::new("a fault that was planted")) } else { Ok(()) }
    }

    fn panics(chunk: &mut Chunk) -> Result<(), StepError> {
        assert!(chunk.number != 3, "a fault that was planted");
        Ok(())
    }

    #[test]
    fn the_failure_of_any_stage_stops_the_others() {
        for workers in [1, 4] {
            let from = |fails| Trickle { left: 40 * CHUNK, step: CHUNK, fails };
            let new = || new(Codec::Store, workers);
            let said = |result: Result<Vec<u8>, StepError>| result.expect_err("it fails").what;
            assert_eq!(said(run(&mut new(), &mut from(false), 5)), "the disk is full");
            assert!(said(run(&mut new(), &mut from(true), u64::MAX)).contains("the source broke"));
            assert!(said(run(&mut planted(workers, fails), &mut from(false), u64::MAX)).contains("planted"));
            assert!(said(run(&mut planted(workers, panics), &mut from(false), u64::MAX)).contains("stopped"));
        }
    }

    #[test]
    fn it_stops_when_it_is_told_to() {
        let cancel = Cancel::new();
        let mut to = Into { bytes: Vec::new(), fails_at: u64::MAX };
        let mut progress = |done| {
            if done > 3_000_000 {
                cancel.cancel(crate::cancel::Reason::Interrupt);
            }
        };
        let mut from = Trickle { left: usize::MAX, step: CHUNK, fails: false };
        let result = new(Codec::Store, 2).run(&mut from, &mut progress, &cancel, &mut to);
        assert_eq!(result, Err(StepError::cancelled()));
    }

    #[test]
    fn chunks_are_used_again_and_there_are_no_more_than_stated() {
        let mut pipeline = new(Codec::Fast, 3);
        for _ in 0..3 {
            run(&mut pipeline, &mut Trickle { left: 50 * CHUNK, step: CHUNK, fails: false }, u64::MAX)
                .expect("it packs");
            assert_eq!(pipeline.chunks.len(), 7);
            let held: usize = pipeline.chunks.iter().map(Chunk::held).sum();
            assert!(held <= 7 * (2 * CHUNK + 4096), "{held}");
        }
        run(&mut pipeline, &mut Cursor::new(b"small"), u64::MAX).expect("it packs");
        assert_eq!(pipeline.chunks.len(), 7);
    }
}
