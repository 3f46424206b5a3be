//! Standard output and standard error: colour, and a reader who left.

use std::ffi::OsString;
use std::io::{self, BufRead, IsTerminal, Read, Write};

use super::args::{Color, Global};
use crate::diag;
use crate::report::{Style, Verbosity};

/// What may be written where.
pub struct Terms {
    pub verbosity: Verbosity,
    pub out: Style,
    pub err: Style,
    /// Whether progress bars may be drawn on standard error.
    pub bars: bool,
}

impl Terms {
    /// What the flags, the environment and the streams say.
    pub fn new(global: &Global) -> Self {
        let verbosity = match (global.quiet, global.verbose) {
            (true, _) => Verbosity::Quiet,
            (_, true) => Verbosity::Verbose,
            _ => Verbosity::Normal,
        };
        let err_terminal = io::stderr().is_terminal();
        let err = Style { color: colored(global.color, err_terminal) };
        let out = Style { color: colored(global.color, io::stdout().is_terminal()) };
        Self { verbosity, out, err, bars: err_terminal && err.color }
    }

    /// Writes a result to standard output. A pipe that was closed is no failure: its reader has seen enough.
    ///
    /// # Errors
    /// Anything else that keeps the result from being written.
    pub fn print(&self, text: &str) -> io::Result<()> {
        let mut out = io::stdout().lock();
        match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            other => other,
        }
    }

    /// Writes the lines of a file to standard output, with control characters made visible. A pipe that was closed is no
    /// failure.
    ///
    /// # Errors
    /// What keeps it from being read or written.
    pub fn copy(&self, mut from: impl io::BufRead) -> io::Result<()> {
        let mut out = io::BufWriter::new(io::stdout().lock());
        let mut line = Vec::new();
        let copied = (|| {
            while (&mut from).take(LINE).read_until(b'\n', &mut line)? > 0 {
                out.write_all(diag::visible(&diag::from_bytes(&line)).as_bytes())?;
                line.clear();
            }
            out.flush()
        })();
        match copied {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            other => other,
        }
    }

    /// Says on standard error what went wrong, and what to do.
    pub fn error(&self, text: &str, hint: Option<&str>) {
        let (start, end) = if self.err.color { ("\x1b[31;1m", "\x1b[0m") } else { ("", "") };
        let hint = hint.map(|h| format!("help: {}\n", diag::visible(h))).unwrap_or_default();
        self.say(&format!("{start}error{end}: {}\n{hint}", diag::visible(text)));
    }

    /// Writes to standard error what is no result.
    pub fn say(&self, text: &str) {
        let _ = io::stderr().lock().write_all(text.as_bytes());
    }
}

/// How much of a file is taken for one line, in bytes.
const LINE: u64 = 1 << 20;

/// Whether a stream gets escape codes (no-color.org, bixense.com/clicolors).
fn colored(choice: Color, terminal: bool) -> bool {
    let set = |name: &str| std::env::var_os(name).is_some_and(|v| !v.is_empty());
    match choice {
        Color::Always => true,
        Color::Never => false,
        Color::Auto if set("NO_COLOR") => false,
        Color::Auto if std::env::var_os("CLICOLOR_FORCE").is_some_and(|v| !v.is_empty() && v != "0") => true,
        Color::Auto => terminal && std::env::var_os("TERM").is_none_or(|t| t != "dumb"),
    }
}

/// The same decision for texts that are printed before the flags are known: help and mistakes.
pub fn help_color(argv: &[OsString]) -> clap::ColorChoice {
    let given = argv.iter().enumerate().find_map(|(i, arg)| match arg.to_str() {
        Some("--color") => argv.get(i + 1).and_then(|v| v.to_str().map(str::to_owned)),
        Some(text) => text.strip_prefix("--color=").map(str::to_owned),
        None => None,
    });
    match given.as_deref() {
        Some("always") => clap::ColorChoice::Always,
        Some("never") => clap::ColorChoice::Never,
        _ if std::env::var_os("NO_COLOR").is_some_and(|v| !v.is_empty()) => clap::ColorChoice::Never,
        _ => clap::ColorChoice::Auto,
    }
}
