//! Files that another program writes into a folder of ours, taken as they come: each loses its name as soon as it appears
//! and is read through the handle that is left. Of a run that is killed those that came in its last moments have a name:
//! whoever listens sees to it that somebody else removes them then, or the next run does.
//!
//! A thread listens to the folder (inotify(7)): it hears of each new file and of each that was closed, which is then
//! complete. A reader gets complete files first, else the oldest that still grows, and follows it. What was read is given
//! back to the disk where the file system can make holes. More complete files than a process may hold open are laid end
//! to end in one without a name.

use std::collections::{BTreeMap, VecDeque};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::mem::MaybeUninit;
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::inotify::{self, CreateFlags, ReadFlags, WatchFlags};

use super::Spool;
use crate::cancel::Cancel;

/// The most files that wait with a handle of their own.
const HELD: usize = 200;
/// How long to wait for news before asking whether all is over, in nanoseconds.
const LOOK: i64 = 20_000_000;
/// How long a reader waits for more of a file that grows.
const NAP: Duration = Duration::from_millis(5);
/// After so many bytes what was read is given back to the disk.
const HOLE: u64 = 4 << 20;

/// A folder that is listened to.
pub struct Inflow {
    shared: Arc<Shared>,
    listener: Option<JoinHandle<()>>,
    cancel: Cancel,
    _spool: Spool,
}

struct Shared {
    state: Mutex<State>,
    news: Condvar,
}

#[derive(Default)]
struct State {
    /// Complete files that nobody reads yet, oldest first.
    complete: VecDeque<Arrival>,
    /// Files that are still written and that nobody reads yet, oldest first: at most one a worker of the writer.
    growing: VecDeque<Arrival>,
    /// Whoever writes has ended.
    over: bool,
    /// Everything was taken in after that, or the listener gave up.
    heard: bool,
    /// Why it gave up.
    failed: Option<String>,
}

/// A file that came, and perhaps still grows.
pub struct Arrival {
    pub name: String,
    file: Arc<File>,
    complete: Arc<AtomicBool>,
    at: u64,
    /// Where it ends, in a file that it shares with others.
    end: Option<u64>,
    /// Up to here it was given back.
    hole: u64,
    cancel: Cancel,
    shared: Arc<Shared>,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the listener gave up: then no file that grows is ever known to be complete.
    fn sound(&self) -> io::Result<()> {
        self.state().failed.as_ref().map_or(Ok(()), |why| Err(io::Error::other(why.clone())))
    }
}

impl Inflow {
    /// Listens to an empty folder.
    ///
    /// # Errors
    /// The system does not let it be listened to.
    pub fn listen(spool: Spool, cancel: &Cancel) -> io::Result<Self> {
        let notes = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?;
        inotify::add_watch(&notes, spool.path(), WatchFlags::CREATE | WatchFlags::CLOSE_WRITE)?;
        let shared = Arc::new(Shared { state: Mutex::default(), news: Condvar::new() });
        let mut listener = Listener {
            dir: spool.path().to_path_buf(),
            shared: Arc::clone(&shared),
            growing: BTreeMap::new(),
            store: None,
            cancel: cancel.clone(),
        };
        let thread = thread::spawn(move || {
            let result = listener.listen(notes);
            let mut state = listener.shared.state();
            state.heard = true;
            state.failed = result.err().map(|e| e.to_string());
            listener.shared.news.notify_all();
        });
        Ok(Self { shared, listener: Some(thread), cancel: cancel.clone(), _spool: spool })
    }

    /// Says that whoever writes has ended: what is there is complete.
    pub fn over(&self) {
        self.shared.state().over = true;
    }

    /// The next file to read; none when there will be no more.
    ///
    /// # Errors
    /// A file could not be taken in, or the work was cancelled.
    pub fn next(&self) -> io::Result<Option<Arrival>> {
        let mut state = self.shared.state();
        loop {
            if self.cancel.is_cancelled() {
                return Err(io::Error::other("told to stop"));
            }
            if let Some(why) = &state.failed {
                return Err(io::Error::other(why.clone()));
            }
            if let Some(arrival) = state.complete.pop_front() {
                return Ok(Some(arrival));
            }
            if let Some(arrival) = state.growing.pop_front() {
                return Ok(Some(arrival));
            }
            if state.heard {
                return Ok(None);
            }
            (state, _) = self.shared.news.wait_timeout(state, NAP).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl Drop for Inflow {
    fn drop(&mut self) {
        self.over();
        if let Some(listener) = self.listener.take() {
            // It takes in what is left and ends; a panic of its own was said already.
            let _ = listener.join();
        }
    }
}

struct Listener {
    dir: std::path::PathBuf,
    shared: Arc<Shared>,
    /// Those that are being written, by name.
    growing: BTreeMap<String, Arc<AtomicBool>>,
    /// Where complete files lie end to end, and how far.
    store: Option<(Arc<File>, u64)>,
    cancel: Cancel,
}

impl Listener {
    fn listen(&mut self, notes: std::os::fd::OwnedFd) -> io::Result<()> {
        let mut buffer = [MaybeUninit::uninit(); 16 * 1024];
        let mut reader = inotify::Reader::new(&notes, &mut buffer);
        loop {
            // Asked before the news are: what was written last is among them.
            let over = self.shared.state().over;
            let limit = Timespec { tv_sec: 0, tv_nsec: if over { 0 } else { LOOK } };
            match poll(&mut [PollFd::new(&notes, PollFlags::IN)], Some(&limit)) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
            loop {
                let (kind, name) = match reader.next() {
                    Ok(note) => (note.events(), note.file_name().map(|n| n.to_string_lossy().into_owned())),
                    Err(rustix::io::Errno::WOULDBLOCK) => break,
                    Err(error) => return Err(error.into()),
                };
                if kind.contains(ReadFlags::QUEUE_OVERFLOW) {
                    // Some news are lost. What came meanwhile is there to be seen; what was closed meanwhile counts as
                    // complete at the end.
                    self.look_round()?;
                }
                let Some(name) = name else { continue };
                if kind.contains(ReadFlags::CREATE) {
                    self.take(&name)?;
                }
                if kind.contains(ReadFlags::CLOSE_WRITE) {
                    self.complete(&name)?;
                }
            }
            if over {
                self.look_round()?;
                let names: Vec<String> = self.growing.keys().cloned().collect();
                return names.iter().try_for_each(|name| self.complete(name));
            }
        }
    }

    fn look_round(&mut self) -> io::Result<()> {
        for entry in fs::read_dir(&self.dir)?.flatten() {
            if let Ok(name) = entry.file_name().into_string() {
                self.take(&name)?;
            }
        }
        Ok(())
    }

    /// Takes a new file's name away. One that is gone was taken already.
    fn take(&mut self, name: &str) -> io::Result<()> {
        let path = self.dir.join(name);
        let file = match OpenOptions::new().read(true).write(true).open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error),
        };
        fs::remove_file(&path)?;
        let complete = Arc::new(AtomicBool::new(false));
        self.growing.insert(name.to_owned(), Arc::clone(&complete));
        let cancel = self.cancel.clone();
        let arrival = Arrival {
            name: name.to_owned(),
            file: Arc::new(file),
            complete,
            at: 0,
            end: None,
            hole: 0,
            cancel,
            shared: Arc::clone(&self.shared),
        };
        self.shared.state().growing.push_back(arrival);
        self.shared.news.notify_all();
        Ok(())
    }

    fn complete(&mut self, name: &str) -> io::Result<()> {
        // A handle of ours that was closed says so too.
        let Some(complete) = self.growing.remove(name) else { return Ok(()) };
        complete.store(true, Ordering::Release);
        let mut state = self.shared.state();
        let at = state.growing.iter().position(|a| a.name == name);
        let Some(arrival) = at.and_then(|at| state.growing.remove(at)) else { return Ok(()) };
        let many = state.complete.len() >= HELD;
        drop(state);
        let arrival = if many { self.store(arrival)? } else { arrival };
        self.shared.state().complete.push_back(arrival);
        self.shared.news.notify_all();
        Ok(())
    }

    /// Lays a complete file behind others, so that its handle can be closed.
    fn store(&mut self, mut arrival: Arrival) -> io::Result<Arrival> {
        let (file, start) = match &self.store {
            Some((file, end)) => (Arc::clone(file), *end),
            None => (Arc::new(tempfile::tempfile_in(&self.dir)?), 0),
        };
        let bytes = io::copy(&mut arrival, &mut { &*file })?;
        (&*file).flush()?;
        let end = start + bytes;
        self.store = Some((Arc::clone(&file), end));
        Ok(Arrival { file, at: start, end: Some(end), hole: start, ..arrival })
    }
}

impl Arrival {
    /// What was read goes back to the disk, where the file system can do that.
    fn give_back(&mut self) {
        use rustix::fs::{FallocateFlags, fallocate};
        if self.at - self.hole >= HOLE {
            let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
            let _ = fallocate(&*self.file, flags, self.hole, self.at - self.hole);
            self.hole = self.at;
        }
    }
}

impl Read for Arrival {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            // Asked before it is read: what was written last is read then.
            let complete = self.complete.load(Ordering::Acquire);
            let room = self.end.map_or(buffer.len(), |end| usize::try_from(end - self.at).unwrap_or(usize::MAX));
            let room = room.min(buffer.len());
            let count = self.file.read_at(&mut buffer[..room], self.at)?;
            if count > 0 || complete || buffer.is_empty() {
                self.at += count as u64;
                self.give_back();
                return Ok(count);
            }
            if self.cancel.is_cancelled() {
                return Err(io::Error::other("told to stop"));
            }
            self.shared.sound()?;
            thread::sleep(NAP);
        }
    }
}
