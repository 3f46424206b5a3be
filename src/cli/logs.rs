//! `runplan logs`: the log of a past run, as it was written.

use std::io::{self, BufReader};

use super::args::LogsArgs;
use super::exit::{Exit, Failure};
use super::output::Terms;
use super::past;
use crate::files;
use crate::journal::LOG;

/// Prints the log of a run.
pub fn logs(args: &LogsArgs, terms: &Terms) -> Result<Exit, Failure> {
    let (sought, word) = past::seek_run(&args.run, args.plan.as_deref(), args.dir.as_deref(), terms)?;
    sought.warn_of_distrusted(terms);
    let path = sought.one(&word, "runplan logs last")?.dir().join(LOG);
    let failed = |what: &str, error: &io::Error| Failure::usage(format!("`{}` {what}: {error}", path.display()));
    let file = files::open_trusted(&path).map_err(|e| failed("cannot be read", &e))?;
    terms.copy(BufReader::new(file)).map_err(|e| failed("cannot be printed", &e)).map(|()| Exit::Done)
}
