//! Completing a word for a shell, with what the plan on the line has. A script asks the program itself at each TAB.
//!
//! Where a word stands and which flags there are clap_complete's engine knows; what a word may be is told here, by the name
//! of the value. The scripts are our own: those of the library take what bash splits at `=` for words of their own, read
//! no quotes, and let a name from a plan become a command.
//!
//! Nothing is written, started, asked or said, and no secret is read. Where something cannot be known nothing is offered.

mod line;
mod values;
mod words;

use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::sync::Arc;

use clap::CommandFactory;
use clap_complete::{Shell, engine};

use super::args::Cli;
use line::Line;

/// Set by the scripts: which shell asks.
const ASKED: &str = "RUNPLAN_COMPLETE";

/// A word that may stand on the line, and a line about it, which may be empty.
type Offer = (String, String);

/// What a shell is given to read. `program` is the name that this one was started by.
pub fn script(shell: Shell, program: &OsStr) -> String {
    let text = match shell {
        Shell::Bash => include_str!("runplan.bash"),
        Shell::Zsh => include_str!("runplan.zsh"),
        Shell::Fish => include_str!("runplan.fish"),
        // They know commands and flags, and nothing of plans.
        other => {
            let mut script = Vec::new();
            clap_complete::generate(other, &mut Cli::command(), "runplan", &mut script);
            return String::from_utf8_lossy(&script).into_owned();
        }
    };
    // A bare name is looked for when it is needed, as it was now; a path must hold in other folders too.
    let path = Path::new(program);
    let path = if path.components().count() > 1 { std::path::absolute(path).ok() } else { None };
    let program = path.map_or_else(|| program.to_string_lossy().into_owned(), |p| p.to_string_lossy().into_owned());
    let quoted = match shell {
        Shell::Fish => program.replace('\\', r"\\").replace('\'', r"\'"),
        _ => program.replace('\'', r"'\''"),
    };
    text.replace("@PROGRAM@", &format!("'{quoted}'"))
}

/// What to print to a script that asks; none when none does.
pub fn answer(argv: &[OsString]) -> Option<String> {
    let shell = std::env::var(ASKED).ok()?;
    let [_, mark, words @ ..] = argv else { return None };
    if mark != "--" {
        return None;
    }
    match (shell.as_str(), words) {
        ("bash", [line, last]) => Some(for_bash(line.to_str().unwrap_or_default(), last.to_str().unwrap_or_default())),
        ("zsh" | "fish", words) => {
            let offers = offers(words.to_vec());
            Some(offers.into_iter().map(|(word, about)| format!("{word}\t{about}\n")).collect())
        }
        _ => None,
    }
}

/// bash is given only what follows its last break, ready to stand on the line.
fn for_bash(line: &str, last: &str) -> String {
    let split = words::split(line);
    let kept = split.kept(last);
    let offers = offers(split.words.iter().map(OsString::from).collect());
    let rest = offers.iter().filter_map(|(word, _)| split.quoted(word.strip_prefix(&kept)?));
    rest.map(|word| word + "\n").collect()
}

/// What the last of these words may become.
fn offers(mut words: Vec<OsString>) -> Vec<Offer> {
    let Some((last, before)) = words.split_last().filter(|(_, before)| !before.is_empty()) else { return Vec::new() };
    let flags = last.as_encoded_bytes().starts_with(b"-");
    let line = Arc::new(Line::read(before));
    if line.short {
        // A step may have the name of a command.
        words.insert(1, "run".into());
    }
    let mut command = values::known(Cli::command(), &line);
    let at = words.len() - 1;
    let here = std::env::current_dir().ok();
    let found = engine::complete(&mut command, words, at, here.as_deref()).unwrap_or_default();
    let mut offers: Vec<Offer> = found
        .iter()
        .filter_map(|candidate| {
            let word = candidate.get_value().to_str().filter(|w| !w.contains(char::is_control))?;
            let about = candidate.get_help().map(ToString::to_string).unwrap_or_default();
            let about = about.lines().next().unwrap_or_default().replace(char::is_control, " ");
            Some((word.to_owned(), about))
        })
        .collect();
    // Flags are asked for by their dash, unless there is nothing else.
    if !flags && offers.iter().any(|(word, _)| !word.starts_with('-')) {
        offers.retain(|(word, _)| !word.starts_with('-'));
    }
    offers
}
