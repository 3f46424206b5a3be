//! From a folder that several `pg_dump` workers write to into the archive, each file as an entry of its own.

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::sync::Arc;

use super::stream::{Sink, Ticks, failure};
use crate::cancel::Reason;
use crate::dump::toc::{Toc, Unread};
use crate::dump::{FOLDER, TOC};
use crate::files::{Arrival, Inflow, Spool};
use crate::process::{self, Job};
use crate::step::{Class, Log, Progress, StepError, Touch, Unit};

/// What ends the rows of a COPY.
const END: &[u8] = b"\\.\n\n\n";
/// The largest table of contents that is kept to be looked at, in bytes; also of one of large objects.
const MOST: usize = 256 << 20;

/// What came out of the folder.
pub struct Folder {
    pub sink: Sink,
    pub bytes: u64,
    /// None where it cannot be read, for example that of a newer `pg_dump`.
    pub toc: Option<Toc>,
}

/// What was seen of the files.
#[derive(Default)]
struct Seen {
    bytes: u64,
    /// Each file with whether it ends as the rows of a COPY do.
    files: BTreeMap<String, bool>,
    toc: Vec<u8>,
    /// The files that the tables of contents of large objects list.
    listed: Vec<String>,
}

/// Runs `pg_dump` and packs what it writes into the folder. Its exit status is looked at before anything is made of it.
pub async fn fill(
    touch: &Touch,
    job: &Job,
    mut sink: Sink,
    spool: Spool,
    total: Option<u64>,
) -> Result<Folder, StepError> {
    let guard = process::guard(touch, spool.path());
    let _guard = guard
        .map_err(|e| {
            touch.log().warn(format!("{e}; a run that is killed may leave rows in `{}`", spool.path().display()))
        })
        .ok();
    // Who packs may fail, and then nobody takes what is dumped.
    let stop = touch.cancel().child(None);
    let inflow = Inflow::listen(spool, &stop).map_err(|e| StepError::because("listening to the folder", &e))?;
    let inflow = Arc::new(inflow);
    let running = process::start(touch, job, false)?;
    let (log, from, halt) = (touch.log().clone(), Arc::clone(&inflow), stop.clone());
    let packing = process::nice::work(job.nice, move || {
        let packed = pack(&from, &mut sink, &log, total);
        if packed.is_err() {
            halt.cancel(Reason::FailFast);
        }
        packed.map(|seen| (sink, seen))
    });
    let waiting = async {
        let ended = running.wait(&stop).await;
        inflow.over();
        ended
    };
    let (packed, ended) = tokio::join!(packing, waiting);
    let packed = packed?;
    if touch.cancel().is_cancelled() {
        return Err(StepError::cancelled());
    }
    if let Err(fault) = &packed
        && fault.class != Class::Cancelled
    {
        return Err(fault.clone());
    }
    let ended = ended?;
    if ended.code != Some(0) {
        return Err(failure(&ended, "pg_dump"));
    }
    let (sink, seen) = packed?;
    let toc = match seen.verdict() {
        Ok(toc) => Some(toc),
        Err(Unread::Broken(why)) if why.starts_with("has the version") => {
            touch.log().warn(format!("whether the dump is whole cannot be seen: its table of contents {why}"));
            None
        }
        Err(Unread::Broken(what)) => {
            return Err(StepError::new(format!("`pg_dump` ended well and its dump is not whole: {what}"))
                .hint(format!("is `{}` really pg_dump?", job.argv[0])));
        }
        Err(Unread::Short) => {
            return Err(StepError::new("`pg_dump` ended well and its dump has no whole table of contents")
                .hint(format!("is `{}` really pg_dump?", job.argv[0])));
        }
    };
    Ok(Folder { sink, bytes: seen.bytes, toc })
}

fn pack(from: &Inflow, sink: &mut Sink, log: &Log, total: Option<u64>) -> Result<Seen, StepError> {
    let mut seen = Seen::default();
    let (mut ticks, note) = (Ticks::default(), sink.note());
    let failed = |e: io::Error| StepError::because("taking the dump out of its folder", &e);
    while let Some(arrival) = from.next().map_err(failed)? {
        let name = arrival.name.clone();
        let lists = name == TOC || name.starts_with("blobs") && name.ends_with(".toc");
        let mut file = Watched { inner: arrival, kept: lists.then(Vec::new), tail: Vec::new() };
        let before = seen.bytes;
        seen.bytes += sink.put(&format!("{FOLDER}{name}"), &mut file, &mut |done| {
            if ticks.due(before + done) {
                log.progress(&Progress { done: before + done, total, unit: Unit::Bytes, note: note() });
            }
        })?;
        let Watched { kept, tail, .. } = file;
        seen.files.insert(name.clone(), tail == END);
        match kept {
            Some(kept) if name == TOC => seen.toc = kept,
            Some(kept) => seen.listed.extend(listed(&kept)),
            None => {}
        }
    }
    Ok(seen)
}

/// The files that a table of contents of large objects names: a line each, the object's number before it.
fn listed(toc: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(toc);
    text.lines().filter_map(|l| l.split_once(' ')).map(|(_, file)| file.to_owned()).collect()
}

impl Seen {
    /// The table of contents, when all that it names is there.
    fn verdict(&self) -> Result<Toc, Unread> {
        let toc = Toc::parse(&self.toc)?;
        let broken = |what: String| Err(Unread::Broken(what));
        for (file, entry) in toc.entries.iter().filter_map(|e| Some((e.file.as_ref()?, e))) {
            match self.files.get(file) {
                None => return broken(format!("the data of `{}` (`{file}`) are missing", entry.name)),
                Some(false) if entry.copied => return broken(format!("the rows of `{}` are cut short", entry.name)),
                Some(_) => {}
            }
        }
        match self.listed.iter().find(|file| !self.files.contains_key(*file)) {
            Some(file) => broken(format!("the large object `{file}` is missing")),
            None => Ok(toc),
        }
    }
}

/// A file that remembers how it ended, and all of it where that is wanted.
struct Watched {
    inner: Arrival,
    kept: Option<Vec<u8>>,
    tail: Vec<u8>,
}

impl Read for Watched {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        let new = &buffer[..count];
        if let Some(kept) = &mut self.kept {
            if kept.len() + count > MOST {
                return Err(io::Error::other("the table of contents is larger than is known"));
            }
            kept.extend_from_slice(new);
        }
        self.tail.extend_from_slice(&new[count.saturating_sub(END.len())..]);
        let surplus = self.tail.len().saturating_sub(END.len());
        self.tail.drain(..surplus);
        Ok(count)
    }
}

/// Whether `pg_dump --verbose` only says what it is at. With it a worker that nobody listens to any more ends before it
/// dumps another table, so that a runplan that was killed leaves no dump that goes on into a folder of its own.
pub fn chatter(line: &str) -> bool {
    const WORDS: [&str; 12] = [
        "last built-in",
        "reading ",
        "finding ",
        "identifying ",
        "flagging ",
        "saving ",
        "dumping contents",
        "finished item",
        "launching item",
        "processing ",
        "executing ",
        "entering ",
    ];
    line.strip_prefix("pg_dump: ").is_some_and(|rest| WORDS.iter().any(|w| rest.starts_with(w)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_pg_dump_is_at_is_no_news_and_what_went_wrong_is() {
        assert!(chatter("pg_dump: dumping contents of table \"public.a\""));
        for line in ["pg_dump: error: query failed: ERROR", "pg_dump: detail: Query was: LOCK", "a reading of"] {
            assert!(!chatter(line), "{line}");
        }
    }

    #[test]
    fn large_objects_are_listed_with_their_files() {
        assert_eq!(listed(b"16400 blob_16400.dat\n16401 blob_16401.dat\n"), ["blob_16400.dat", "blob_16401.dat"]);
    }
}
