//! From a folder that several `pg_dump` workers write to into the archive, each file as an entry of its own.

use std::io::{self, Read};
use std::sync::Arc;

use super::stream::{Filled, Sink, Ticks, failure};
use crate::cancel::Reason;
use crate::dump::FOLDER;
use crate::dump::contents::{Contents, DirectoryDump, Fault, FileReader};
use crate::dump::rows::Hashing;
use crate::files::{Arrival, Inflow, Spool};
use crate::process::{self, Job};
use crate::step::{Class, Log, Progress, StepError, Touch, Unit};

/// What is wanted of the dump.
pub struct Wanted {
    /// About how many bytes there will be.
    pub total: Option<u64>,
    pub hashing: Hashing,
}

/// Runs `pg_dump` and packs what it writes into the folder. Its exit status is looked at before anything is made of it.
pub async fn fill(touch: &Touch, job: &Job, mut sink: Sink, spool: Spool, wanted: Wanted) -> Result<Filled, StepError> {
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
        let packed = pack(&from, &mut sink, &log, &wanted);
        if packed.is_err() {
            halt.cancel(Reason::FailFast);
        }
        packed.map(|dump| (sink, dump))
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
    let (sink, dump) = packed?;
    let bytes = dump.bytes();
    let contents: Option<Contents> = match dump.end() {
        Ok(contents) => Some(contents),
        Err(Fault::Unread(why)) => {
            touch.log().warn(format!("what the dump holds, and whether it is whole, cannot be read: {why}"));
            None
        }
        Err(Fault::Broken(what) | Fault::Misread(what)) => {
            return Err(StepError::new(format!("`pg_dump` ended well, but its dump is not whole: {what}"))
                .hint(format!("is `{}` really pg_dump?", job.argv[0])));
        }
    };
    Ok(Filled { sink, bytes, contents })
}

fn pack(from: &Inflow, sink: &mut Sink, log: &Log, wanted: &Wanted) -> Result<DirectoryDump, StepError> {
    let mut dump = DirectoryDump::new(wanted.hashing);
    let (mut ticks, note) = (Ticks::default(), sink.note());
    let failed = |e: io::Error| StepError::because("taking the dump out of its folder", &e);
    while let Some(arrival) = from.next().map_err(failed)? {
        let name = arrival.name.clone();
        let mut file = Watched { inner: arrival, reader: dump.file(&name) };
        let before = dump.bytes();
        sink.put(&format!("{FOLDER}{name}"), &mut file, &mut |done| {
            if ticks.due(before + done) {
                let done = before + done;
                log.progress(&Progress { done, total: wanted.total, unit: Unit::Bytes, note: note() });
            }
        })?;
        dump.add(file.reader);
    }
    Ok(dump)
}

/// A file that is read by the reader of the dump on its way.
struct Watched {
    inner: Arrival,
    reader: FileReader,
}

impl Read for Watched {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.reader.take(&buffer[..count]);
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
}
