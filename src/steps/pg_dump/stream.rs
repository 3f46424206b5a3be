//! From the standard output of a program into the archive, with its exit status and its first and last bytes looked at.

use std::io::{self, Read};
use std::time::Instant;

use super::manner::{Manner, Paced};
use crate::archive::{Bare, Pipe, Sealed, Writer};
use crate::dump::Form;
use crate::dump::contents::{Contents, Fault, StreamReader};
use crate::dump::rows::Hashing;
use crate::process::{self, Job};
use crate::quantity::Size;
use crate::step::{Class, Progress, StepError, Touch, Unit};

/// Where the bytes go.
pub enum Sink {
    Zip(Writer),
    Bare(Bare),
}

impl Sink {
    pub fn put(&mut self, name: &str, from: &mut dyn Read, progress: &mut dyn FnMut(u64)) -> Result<u64, StepError> {
        match self {
            Self::Zip(writer) => writer.entry(name, from, progress),
            Self::Bare(bare) => bare.fill(from, progress),
        }
    }

    /// What was written by now, for people; of a bare file that is what was dumped.
    pub fn note(&self) -> impl Fn() -> String + use<> {
        let written = match self {
            Self::Zip(writer) => Some(writer.written()),
            Self::Bare(_) => None,
        };
        move || {
            let size = written.as_ref().map(|w| Size(w.load(std::sync::atomic::Ordering::Relaxed)));
            size.map(|size| format!("{size} written")).unwrap_or_default()
        }
    }

    /// Ends the file; an archive gets its manifest first.
    pub fn seal(self, manifest: &str) -> Result<Sealed, StepError> {
        match self {
            Self::Zip(mut writer) => {
                writer.entry("manifest.json", &mut manifest.as_bytes(), &mut |_| {})?;
                writer.seal()
            }
            Self::Bare(bare) => bare.seal(),
        }
    }
}

/// When to say how far it is: at each mebibyte, and each second.
#[derive(Default)]
pub struct Ticks {
    step: u64,
    last: Option<Instant>,
}

impl Ticks {
    pub fn due(&mut self, done: u64) -> bool {
        let due = done >> 20 != self.step || self.last.is_none_or(|l| l.elapsed().as_secs() >= 1);
        if due {
            (self.step, self.last) = (done >> 20, Some(Instant::now()));
        }
        due
    }
}

/// What a whole output looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Custom,
    Plain,
    Globals,
}

impl Kind {
    /// What it begins with.
    fn head(self) -> &'static [u8] {
        if self == Self::Custom { b"PGDMP" } else { b"--" }
    }

    /// What reads it; globals are not read.
    fn form(self) -> Option<Form> {
        match self {
            Self::Custom => Some(Form::Custom),
            Self::Plain => Some(Form::Plain),
            Self::Globals => None,
        }
    }

    fn program(self) -> &'static str {
        if self == Self::Globals { "pg_dumpall" } else { "pg_dump" }
    }
}

/// What a program is to print, and where that goes.
pub struct Wanted {
    /// The name of the entry.
    pub name: String,
    pub kind: Kind,
    /// About how many bytes there will be.
    pub total: Option<u64>,
    pub hashing: Hashing,
    pub manner: Manner,
}

/// What was put into the archive.
pub struct Filled {
    pub sink: Sink,
    pub bytes: u64,
    /// What the dump holds; none for globals, and for a dump that is not understood.
    pub contents: Option<Contents>,
}

/// Runs a program and puts what it prints under a name. Its exit status is looked at before anything is made of it: a
/// dump cut short ends like a whole one.
pub async fn fill(touch: &Touch, job: &Job, mut sink: Sink, wanted: Wanted) -> Result<Filled, StepError> {
    let Wanted { name, kind, total, hashing, manner } = wanted;
    let program = kind.program();
    let mut running = process::start(touch, job, true)?;
    let pipe = running
        .output()
        .map(Pipe::new)
        .ok_or_else(|| StepError::new(format!("the output of `{program}` cannot be read")))?;
    let over = pipe.over();
    let (log, cancel) = (touch.log().clone(), touch.cancel().clone());
    let packing = process::nice::work(manner.nice, move || {
        let reader = kind.form().map(|form| StreamReader::new(form, hashing));
        let pipe = Paced::new(pipe, manner.rate, cancel);
        let mut from = Checked { inner: pipe, kind, seen: 0, same: true, tail: Vec::new(), reader };
        let (mut ticks, note) = (Ticks::default(), sink.note());
        let result = sink.put(&name, &mut from, &mut |done| {
            if ticks.due(done) {
                log.progress(&Progress { done, total, unit: Unit::Bytes, note: note() });
            }
        });
        // The pipe is closed here, so that a program whose output nobody takes any more ends.
        let verdict = from.verdict();
        result.map(|bytes| (sink, bytes, verdict))
    });
    let waiting = async {
        let ended = running.wait(touch.cancel()).await;
        over.store(true, std::sync::atomic::Ordering::Release);
        ended
    };
    let (packed, ended) = tokio::join!(packing, waiting);
    let packed = packed?;
    if let Err(fault) = &packed
        && fault.class != Class::Cancelled
    {
        // Whatever the program said after that: it ended because nobody took its output any more.
        return Err(fault.clone());
    }
    let ended = ended?;
    if ended.code != Some(0) {
        return Err(failure(&ended, program));
    }
    let (sink, bytes, verdict) = packed?;
    match verdict {
        Ok(contents) => Ok(Filled { sink, bytes, contents }),
        Err(Fault::Unread(why)) => {
            touch.log().warn(format!("what the dump holds, and whether it is whole, cannot be read: {why}"));
            Ok(Filled { sink, bytes, contents: None })
        }
        Err(Fault::Broken(what)) => Err(StepError::new(format!("`{program}` ended well, but {what} ({bytes} bytes)"))
            .hint(format!("is `{}` really {program}?", job.argv[0]))),
        Err(Fault::Misread(why)) => {
            Err(StepError::new(format!("psql could not restore this dump: {why}")).hint("dump with `format: custom`"))
        }
    }
}

/// What `pg_dump` says when trying again may help. It gives no error codes, so its words, and the server's, are all
/// there is to go by; a server in another language is not understood, and then nothing is tried again.
///
/// `--lock-wait-timeout` is a statement timeout to the server; `pg_dump` switches every other one off.
const PASSING: [&str; 7] = [
    "server closed the connection unexpectedly",
    "terminating connection",
    "the database system is starting up",
    "canceling statement due to lock timeout",
    "canceling statement due to statement timeout",
    "Connection refused",
    "Connection reset by peer",
];

pub fn failure(ended: &process::Ended, program: &str) -> StepError {
    let error = ended.failure(program);
    if PASSING.iter().any(|p| ended.said.contains(p)) { error.class(Class::Transient) } else { error }
}

/// What stands near the end of globals: a line that the program writes when all is said.
const END_OF_GLOBALS: &str = "-- PostgreSQL database cluster dump complete";
/// How many of the last bytes are kept.
const TAIL: usize = 512;

/// A stream that remembers whether it began and ended as it should.
struct Checked<R> {
    inner: R,
    kind: Kind,
    seen: usize,
    same: bool,
    tail: Vec<u8>,
    /// What reads the dump.
    reader: Option<StreamReader>,
}

impl<R> Checked<R> {
    /// What it holds; what is wrong with it reads after "ended well, but".
    fn verdict(self) -> Result<Option<Contents>, Fault> {
        let broken = |what: &str| Err(Fault::Broken(what.to_owned()));
        if !self.same || self.seen < self.kind.head().len() {
            return broken("it wrote no dump");
        }
        match self.reader {
            Some(reader) => reader.end().map(Some),
            None if !String::from_utf8_lossy(&self.tail).contains(END_OF_GLOBALS) => broken("its dump has no end"),
            None => Ok(None),
        }
    }
}

impl<R: Read> Read for Checked<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        let head = self.kind.head();
        let head = &head[self.seen.min(head.len())..];
        let common = head.len().min(count);
        self.same &= head[..common] == buffer[..common];
        self.seen = self.seen.saturating_add(count);
        if let Some(reader) = &mut self.reader {
            reader.take(&buffer[..count]);
        } else {
            self.tail.extend_from_slice(&buffer[count.saturating_sub(TAIL)..count]);
            let surplus = self.tail.len().saturating_sub(TAIL);
            self.tail.drain(..surplus);
        }
        Ok(count)
    }
}
