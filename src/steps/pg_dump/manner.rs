//! How much a dump takes of the machine: the nice value, and the bytes in a second.

use std::io::{self, Read};
use std::thread;
use std::time::{Duration, Instant};

use crate::cancel::Cancel;
use crate::quantity::Rate;

/// What a plan allows.
#[derive(Debug, Clone, Copy, Default)]
pub struct Manner {
    pub nice: Option<u8>,
    pub rate: Option<Rate>,
}

/// How long one sleeps before asking whether to stop.
const NAP: Duration = Duration::from_millis(50);
/// What may be caught up with when the source was slower for a while.
const SLACK: Duration = Duration::from_millis(100);

/// A reader that takes no more than so many bytes in a second: each read waits until those before it are paid for.
pub struct Paced<R> {
    inner: R,
    rate: Option<Rate>,
    due: Instant,
    cancel: Cancel,
}

impl<R> Paced<R> {
    pub fn new(inner: R, rate: Option<Rate>, cancel: Cancel) -> Self {
        Self { inner, rate, due: Instant::now(), cancel }
    }
}

impl<R: Read> Read for Paced<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Some(Rate(rate)) = self.rate else { return self.inner.read(buffer) };
        while let Some(left) = self.due.checked_duration_since(Instant::now()).filter(|l| !l.is_zero()) {
            if self.cancel.is_cancelled() {
                return Err(io::Error::other("told to stop"));
            }
            thread::sleep(left.min(NAP));
        }
        let rate = rate.get();
        // Twenty small steps in a second, not one large one.
        let most = usize::try_from(rate / 20).unwrap_or(usize::MAX).clamp(1, buffer.len().max(1));
        let room = most.min(buffer.len());
        let count = self.inner.read(&mut buffer[..room])?;
        let early = Instant::now().checked_sub(SLACK).unwrap_or(self.due);
        self.due = self.due.max(early) + Duration::from_secs_f64(count as f64 / rate as f64);
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_takes_as_long_as_the_rate_says_and_gives_every_byte() {
        let data: Vec<u8> = (0..300_000u32).map(|i| i as u8).collect();
        let rate = Some("1MB/s".parse().expect("a rate"));
        let clock = Instant::now();
        let mut read = Vec::new();
        Paced::new(data.as_slice(), rate, Cancel::new()).read_to_end(&mut read).expect("it reads");
        assert!(read == data && clock.elapsed() >= Duration::from_millis(300), "{:?}", clock.elapsed());
    }

    #[test]
    fn a_slow_rate_stops_when_it_is_told_to() {
        let cancel = Cancel::new();
        let mut paced = Paced::new([0u8; 100].as_slice(), Some("1B/s".parse().expect("a rate")), cancel.clone());
        let mut buffer = [0; 10];
        assert_eq!(paced.read(&mut buffer).expect("the first"), 1);
        cancel.cancel(crate::cancel::Reason::Terminate);
        let clock = Instant::now();
        assert!(paced.read(&mut buffer).is_err() && clock.elapsed() < Duration::from_millis(500));
    }
}
