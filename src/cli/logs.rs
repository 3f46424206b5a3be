//! `runplan logs`: the log of a past run, as it was written.

use std::fs::File;
use std::io::{self, BufReader};

use super::args::LogsArgs;
use super::exit::{Exit, Failure};
use super::output::Terms;
use super::past;
use crate::journal::{Found, LOG, Picked};

/// Prints the log of a run.
pub fn logs(args: &LogsArgs, terms: &Terms) -> Result<Exit, Failure> {
    let sought = past::seek(args.plan.as_deref(), args.dir.as_deref(), &[], Some(terms))?;
    let word = &args.run;
    let found = match Found::pick(word, sought.runs()?) {
        Picked::One(found) => found,
        Picked::Several(all) => {
            let failure = Failure::usage(format!("{} runs begin with `{word}`", all.len()));
            return Err(failure.hint(format!("write more of one of {}", names(&all))));
        }
        Picked::None(near) if near.is_empty() => {
            let failure = Failure::usage(format!("there is no run: {}", sought.nothing()));
            return Err(failure.hint("a plan with `logs.dir` keeps its runs there: add `--plan FILE`"));
        }
        Picked::None(near) => {
            let failure = Failure::usage(format!("there is no run `{word}` in `{}`", sought.place.display()));
            return Err(failure.hint(match near.as_slice() {
                [one] => format!("did you mean `{}`?", one.run),
                all => format!("the nearest are {}; `runplan history` lists all", names(all)),
            }));
        }
    };
    let path = found.dir().join(LOG);
    let failed = |what: &str, error: &io::Error| Failure::usage(format!("`{}` {what}: {error}", path.display()));
    let file = File::open(&path).map_err(|e| failed("cannot be read", &e))?;
    terms.copy(BufReader::new(file)).map_err(|e| failed("cannot be printed", &e)).map(|()| Exit::Done)
}

/// How many runs are named at most.
const NAMED: usize = 10;

fn names(all: &[Found<'_>]) -> String {
    let mut names: Vec<String> = all.iter().take(NAMED).map(|f| format!("`{}` ({})", f.run, f.shelf.plan)).collect();
    if all.len() > NAMED {
        names.push(format!("{} more", all.len() - NAMED));
    }
    names.join(", ")
}
