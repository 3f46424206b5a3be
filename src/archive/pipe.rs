//! Reading the pipe of another program without holding it up.

use std::fs::File;
use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

/// What a pipe is asked to hold: the most that an ordinary user gets from Linux (`/proc/sys/fs/pipe-max-size`).
#[cfg(target_os = "linux")]
const HOLD: usize = 1 << 20;
/// Less than this in one read means that the pipe was nearly empty.
const SMALL: usize = 128 * 1024;
/// How long it is then left to fill.
const NAP: Duration = Duration::from_millis(1);
/// How long an empty pipe is waited for before it is asked whether the program is over, in nanoseconds.
#[cfg(unix)]
const LOOK: i64 = 50_000_000;

/// The reading end of a pipe, enlarged where the system knows how.
///
/// A read that gives little is followed by a nap: a reader that takes every few kilobytes as they come wakes up, and
/// wakes the other program up, a hundred times more often than one that lets the pipe fill, and the two share the
/// machine. A pipe that could not be enlarged is read without naps.
///
/// The pipe of a program that is over ends when it is empty, even if another process still holds it: a child that left the group
/// of its parent is out of reach of every signal, and could hold a night up for ever.
pub struct Pipe {
    file: File,
    patient: bool,
    nap: bool,
    over: Arc<AtomicBool>,
}

impl Pipe {
    pub fn new(file: File) -> Self {
        #[cfg(target_os = "linux")]
        let patient = rustix::pipe::fcntl_setpipe_size(&file, HOLD).is_ok_and(|size| size >= HOLD);
        #[cfg(not(target_os = "linux"))]
        let patient = false;
        Self { file, patient, nap: false, over: Arc::default() }
    }

    /// Set when the program has ended.
    pub fn over(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.over)
    }

    /// Waits until a read gives something at once; false at the end of a pipe that somebody else still holds.
    #[cfg(unix)]
    fn wait(&self) -> io::Result<bool> {
        use rustix::event::{PollFd, PollFlags, Timespec, poll};
        loop {
            // Asked before the pipe is: what the program said last is in it by then.
            let over = self.over.load(Ordering::Acquire);
            let limit = Timespec { tv_sec: 0, tv_nsec: if over { 0 } else { LOOK } };
            match poll(&mut [PollFd::new(&self.file, PollFlags::IN)], Some(&limit)) {
                Ok(0) if over => return Ok(false),
                Ok(0) | Err(rustix::io::Errno::INTR) => {}
                Ok(_) => return Ok(true),
                Err(error) => return Err(error.into()),
            }
        }
    }

    #[cfg(not(unix))]
    fn wait(&self) -> io::Result<bool> {
        Ok(true)
    }
}

impl Read for Pipe {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.nap {
            thread::sleep(NAP);
        }
        if !self.wait()? {
            return Ok(0);
        }
        let count = self.file.read(buffer)?;
        // A small buffer is no sign of a pipe that is nearly empty.
        self.nap = self.patient && count < SMALL && count < buffer.len();
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    #[cfg(target_os = "linux")]
    fn a_pipe_is_enlarged_and_gives_every_byte() {
        let (from, mut to) = std::io::pipe().expect("a pipe");
        let mut pipe = Pipe::new(File::from(std::os::fd::OwnedFd::from(from)));
        assert!(rustix::pipe::fcntl_getpipe_size(&pipe.file).is_ok_and(|size| size >= HOLD));
        let data: Vec<u8> = (0..3_000_000u32).map(|i| (i % 251) as u8).collect();
        let sent = data.clone();
        let writer = thread::spawn(move || sent.chunks(5_000).try_for_each(|part| to.write_all(part)));
        let mut read = Vec::new();
        pipe.read_to_end(&mut read).expect("it reads");
        writer.join().expect("it ends").expect("it wrote");
        assert!(read == data);
    }

    #[test]
    #[cfg(unix)]
    fn a_pipe_that_is_held_ends_when_its_program_is_over_and_everything_was_read() {
        let (from, mut to) = std::io::pipe().expect("a pipe");
        let mut pipe = Pipe::new(File::from(std::os::fd::OwnedFd::from(from)));
        let over = pipe.over();
        let reader = thread::spawn(move || {
            let mut read = Vec::new();
            pipe.read_to_end(&mut read).map(|_| read)
        });
        thread::sleep(Duration::from_millis(50));
        to.write_all(b"last words").expect("it writes");
        over.store(true, Ordering::Release);
        assert_eq!(reader.join().expect("it ends").expect("it reads"), b"last words");
        drop(to);
    }
}
