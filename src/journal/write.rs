//! Writing the journal of a run: a folder with `events.jsonl`, one event a line, and `run.log`, the same for people. Each
//! line is handed to the system as it happens; the closing event is flushed to the disk.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use chrono::{Local, SecondsFormat};

use super::limit::Limit;
use super::{EVENTS, LOG};
use crate::diag;
use crate::event::{Event, Fact, Reader, lines};
use crate::files::{self, Access, OwnDir};
use crate::step::Level;

/// A journal that is being written.
pub struct Journal {
    dir: OwnDir,
    files: Mutex<Files>,
}

struct Files {
    events: File,
    log: File,
    /// A log for each target that is running.
    targets: BTreeMap<String, File>,
    limit: Limit,
}

impl Journal {
    /// Makes the folder (0700) and the files (0600) of a run. The file of events stays locked while the run lives, so
    /// that nobody removes the folder under it. They take no more lines than `limit` lets.
    ///
    /// # Errors
    /// The folder or a file cannot be made or exists already, or a folder above is not ours.
    pub fn create(dir: &Path, limit: Limit) -> io::Result<Arc<Self>> {
        let (Some(plan), Some(name)) = (dir.parent(), dir.file_name().and_then(|n| n.to_str())) else {
            return Err(io::ErrorKind::InvalidFilename.into());
        };
        if let Some(logs) = plan.parent() {
            OwnDir::make(logs, Access::ReadOnly)?;
        }
        let dir = OwnDir::make(plan, Access::ReadOnly)?.create_dir(name)?;
        let events = dir.create_file(EVENTS)?;
        // Some file systems know no locks; the folder is then protected by its age alone.
        files::hold(&events);
        let log = dir.create_file(LOG)?;
        let files = Files { events, log, targets: BTreeMap::new(), limit };
        Ok(Arc::new(Self { dir, files: Mutex::new(files) }))
    }
}

impl Reader for Journal {
    fn event(&self, event: &Event) -> io::Result<()> {
        if matches!(event.fact, Fact::Progress { .. }) {
            return Ok(());
        }
        let mut files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(event) = files.limit.admit(event) else { return Ok(()) };
        let event = event.as_ref();
        let mut line = serde_json::to_vec(event)?;
        line.push(b'\n');
        files.events.write_all(&line)?;
        let text = log_text(event, event.target.as_deref());
        files.log.write_all(text.as_bytes())?;
        files.limit.count(line.len() + text.len());
        if let Some(target) = &event.target {
            if matches!(event.fact, Fact::TargetStarted { .. }) {
                let file = self.dir.create_file(&format!("{target}.log"))?;
                files.targets.insert(target.clone(), file);
            }
            if let Some(file) = files.targets.get_mut(target) {
                let text = log_text(event, None);
                file.write_all(text.as_bytes())?;
                let written = text.len();
                // The handlers of a target that failed may mail its log. Of the others the log of the run holds every
                // line too, which is on the disk at the end.
                if matches!(event.fact, Fact::Failed { .. }) {
                    file.sync_data()?;
                }
                files.limit.count(written);
            }
            if matches!(event.fact, Fact::TargetFinished { .. }) {
                files.targets.remove(target);
            }
        }
        // Before a handler mails the log, and at the end, it is on the disk.
        if matches!(event.fact, Fact::Failed { .. } | Fact::RunFinished { .. }) {
            files.log.sync_data()?;
            files.events.sync_data()?;
        }
        Ok(())
    }
}

/// The event as lines of time, step and text, a section for each step. In the log of several targets each line names its
/// own.
fn log_text(event: &Event, target: Option<&str>) -> String {
    let time = event.time.with_timezone(&Local).to_rfc3339_opts(SecondsFormat::Millis, false);
    let mut out = String::new();
    for said in lines(&event.fact) {
        if said.heading {
            let own = matches!(said.who.as_str(), "run" | "target");
            let of = target.map(|t| format!("{t}: ")).unwrap_or_default();
            out += &format!("\n== {of}{}\n", if own { &said.who } else { &said.text });
            if !own {
                continue;
            }
        }
        let level = match said.level {
            Level::Warn => "WARNING ",
            Level::Debug | Level::Info => "",
        };
        let of = target.map(|t| format!("{t} ")).unwrap_or_default();
        out += &format!("{time} {of}{} {level}{}\n", said.who, diag::continued(&said.text));
    }
    out
}
