//! Flushing and reading back, some way behind the writer.
//!
//! A thread sees to it that what was written is on the disk, drops it from memory, and reads it back, while the writer
//! goes on: at the end only the last part is left to wait for. It reads every byte of the file once, in order, and reckons
//! the hash of the file and each entry's authentication code again from what the disk gives.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Read};
use std::thread::{self, JoinHandle};

use crossbeam_channel::{Receiver, Sender, unbounded};
use sha2::{Digest, Sha256};

use super::crypt::{CODE, Crypt, SALT};
use super::keys::Salted;
use crate::cancel::Cancel;

/// Bytes read at a time.
const PIECE: usize = 256 * 1024;

/// What the writer tells.
enum Word {
    /// Salt and password check of an entry stand here, its ciphertext behind them.
    Salt(u64, String, Salted),
    /// Its authentication code stands here.
    Code(u64),
    /// All bytes before this place were written.
    Written(u64),
}

/// The thread, as the writer knows it.
pub struct Follower {
    words: Sender<Word>,
    thread: JoinHandle<io::Result<(u64, [u8; 32])>>,
}

impl Follower {
    /// Follows the writer of `file`, which stands at its beginning. `again` is the same file, opened for reading.
    pub fn new(file: File, again: File, cancel: Cancel) -> Self {
        let (words, told) = unbounded();
        let reading = Reading { file, again, cancel, at: 0, hash: Sha256::new(), open: None, piece: vec![0; PIECE] };
        Self { words, thread: thread::spawn(move || reading.follow(&told)) }
    }

    // Who has failed hears nothing any more, and says why at the end.

    /// An encrypted entry's data will begin here, with this salt.
    pub fn salt(&self, at: u64, name: &str, salted: Salted) {
        let _ = self.words.send(Word::Salt(at, name.to_owned(), salted));
    }

    /// Its ciphertext ends here.
    pub fn code(&self, at: u64) {
        let _ = self.words.send(Word::Code(at));
    }

    /// All before this place was handed to the system.
    pub fn written(&self, to: u64) {
        let _ = self.words.send(Word::Written(to));
    }

    /// Waits for the rest, and gives the size of what was read and its hash.
    ///
    /// # Errors
    /// A flush or a read failed, an entry is not what was written, or the work was cancelled.
    pub fn finish(self) -> io::Result<(u64, [u8; 32])> {
        drop(self.words);
        self.thread.join().unwrap_or_else(|_| Err(io::Error::other("the thread that reads back stopped")))
    }
}

struct Reading {
    file: File,
    again: File,
    cancel: Cancel,
    at: u64,
    hash: Sha256,
    /// The entry whose ciphertext is being read.
    open: Option<(Crypt, String)>,
    piece: Vec<u8>,
}

impl Reading {
    fn follow(mut self, told: &Receiver<Word>) -> io::Result<(u64, [u8; 32])> {
        // Places come before the word that they were written.
        let mut places = VecDeque::new();
        for word in told {
            let Word::Written(to) = word else {
                places.push_back(word);
                continue;
            };
            self.flush(to)?;
            while let Some(word) = places.pop_front_if(|w| matches!(w, Word::Salt(at, ..) | Word::Code(at) if *at < to))
            {
                match word {
                    Word::Salt(at, name, salted) => self.begin(at, name, &salted)?,
                    Word::Code(at) => self.end(at)?,
                    Word::Written(_) => {}
                }
            }
            self.read(to)?;
        }
        Ok((self.at, self.hash.finalize().into()))
    }

    /// What is in memory only would be compared with itself: it goes to the disk, and out of memory where the system
    /// lets it.
    fn flush(&self, to: u64) -> io::Result<()> {
        self.file.sync_data()?;
        #[cfg(target_os = "linux")]
        {
            let length = std::num::NonZeroU64::new(to - self.at);
            let _ = rustix::fs::fadvise(&self.file, self.at, length, rustix::fs::Advice::DontNeed);
        }
        #[cfg(not(target_os = "linux"))]
        let _ = to;
        Ok(())
    }

    /// Reads up to a place.
    fn read(&mut self, to: u64) -> io::Result<()> {
        while self.at < to {
            if self.cancel.is_cancelled() {
                return Err(io::Error::other("told to stop"));
            }
            let count = usize::try_from(to - self.at).unwrap_or(PIECE).min(PIECE);
            let piece = &mut self.piece[..count];
            self.again.read_exact(piece)?;
            self.hash.update(&*piece);
            if let Some((crypt, _)) = &mut self.open {
                crypt.authenticate(piece);
            }
            self.at += count as u64;
        }
        Ok(())
    }

    /// Reads a few bytes that are no ciphertext.
    fn take<const N: usize>(&mut self) -> io::Result<[u8; N]> {
        let mut bytes = [0; N];
        self.again.read_exact(&mut bytes)?;
        self.hash.update(bytes);
        self.at += N as u64;
        Ok(bytes)
    }

    fn begin(&mut self, at: u64, name: String, salted: &Salted) -> io::Result<()> {
        self.read(at)?;
        let salt = self.take::<SALT>()?;
        let verifier = self.take::<2>()?;
        if salt != salted.salt || verifier != salted.keys.verifier() {
            return Err(io::Error::other(format!("the salt of the entry `{name}` is not the one that was written")));
        }
        self.open = Some((Crypt::with_keys(&salted.keys), name));
        Ok(())
    }

    fn end(&mut self, at: u64) -> io::Result<()> {
        self.read(at)?;
        let open = self.open.take();
        let code = self.take::<CODE>()?;
        let Some((crypt, name)) = open else { return Ok(()) };
        if code == crypt.code() {
            Ok(())
        } else {
            Err(io::Error::other(format!("the entry `{name}` is not what was written")))
        }
    }
}
