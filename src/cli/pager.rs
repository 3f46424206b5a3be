//! Long text on a terminal goes through the user's pager.

use std::io::{IsTerminal, Write};
use std::process::{Command, Stdio};

use super::exit::{Exit, Failure};
use super::output::Terms;

/// Prints a text; on a terminal that it does not fit on, by `PAGER`, or `less` when that is not set.
pub fn show(terms: &Terms, text: &str) -> Result<Exit, Failure> {
    let rows = terminal_size::terminal_size().map_or(usize::MAX, |(_, rows)| usize::from(rows.0));
    if std::io::stdout().is_terminal() && text.lines().count() >= rows && page(text).is_some() {
        return Ok(Exit::Done);
    }
    let failed = |e: std::io::Error| Failure { exit: Exit::State, text: e.to_string(), hint: None };
    terms.print(text).map_err(failed).map(|()| Exit::Done)
}

/// Shows a text by the pager; none when it cannot be started.
fn page(text: &str) -> Option<()> {
    let pager = std::env::var("PAGER").ok().filter(|p| !p.trim().is_empty()).unwrap_or_else(|| "less".to_owned());
    let mut words = pager.split_whitespace();
    let mut command = Command::new(words.next()?);
    command.args(words).stdin(Stdio::piped());
    if std::env::var_os("LESS").is_none() {
        // Colours pass, and a text that fits on the screen is only printed.
        command.env("LESS", "FRX");
    }
    let mut child = command.spawn().ok()?;
    // A reader who leaves early is no failure.
    let _ = child.stdin.take()?.write_all(text.as_bytes());
    let _ = child.wait();
    Some(())
}
