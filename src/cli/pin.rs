//! `runplan pin`: archives that retention leaves alone.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use chrono::{SecondsFormat, Utc};

use super::args::PinArgs;
use super::exit::{Exit, Failure};
use super::output::Terms;
use crate::archive::{LIMIT, PIN, Record};
use crate::files::{self, Links};

/// Pins archives, or takes their pins away. Each is looked at before the first is touched.
pub fn pin(args: &PinArgs, terms: &Terms) -> Result<Exit, Failure> {
    let failed = |text: String| Failure { exit: Exit::Failed, text, hint: None };
    for archive in &args.archives {
        known(archive).map_err(failed)?;
    }
    for archive in &args.archives {
        let pin = beside(archive);
        let shown = archive.display();
        let result = if args.remove { remove(&pin) } else { make(&pin) };
        let changed = result.map_err(|e| failed(format!("`{}`: {e}", pin.display())))?;
        let word = match (args.remove, changed) {
            (false, true) => "pinned",
            (false, false) => "was pinned already",
            (true, true) => "no longer pinned",
            (true, false) => "was not pinned",
        };
        let text = format!("`{shown}`: {word}\n");
        terms.print(&text).map_err(|e| Failure { exit: Exit::State, text: e.to_string(), hint: None })?;
    }
    Ok(Exit::Done)
}

/// Whether there is an archive with a record of ours.
fn known(archive: &Path) -> Result<(), String> {
    let shown = archive.display();
    files::open_regular(archive, Links::Follow).map_err(|e| match e.kind() {
        io::ErrorKind::NotFound => format!("there is no archive `{shown}`"),
        _ => format!("`{shown}` cannot be opened: {e}"),
    })?;
    let record = Record::path_of(archive);
    let text = files::read_regular(&record, LIMIT, Links::Follow)
        .map_err(|e| format!("`{shown}` is no archive with a record: `{}`: {e}", record.display()))?;
    Record::parse(&text).map(drop).map_err(|why| format!("`{shown}`: its record {why}"))
}

fn beside(archive: &Path) -> PathBuf {
    let mut name = archive.as_os_str().to_owned();
    name.push(PIN);
    name.into()
}

fn make(pin: &Path) -> io::Result<bool> {
    match files::open_with(pin, Links::Refuse, OpenOptions::new().write(true).create_new(true)) {
        Ok(mut file) => {
            writeln!(file, "pinned at {}", Utc::now().to_rfc3339_opts(SecondsFormat::Secs, true))?;
            file.sync_all().map(|()| true)
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(error),
    }
}

fn remove(pin: &Path) -> io::Result<bool> {
    match fs::remove_file(pin) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}
