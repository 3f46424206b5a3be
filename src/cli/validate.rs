//! `runplan validate`: every finding of every plan.

use std::path::{Path, PathBuf};

use super::args::ValidateArgs;
use super::exit::{Exit, Failure};
use super::input;
use super::output::Terms;
use crate::diag::{self, Severity};
use crate::plan;
use crate::steps::REGISTRY;

/// Checks the plans that the paths name.
pub fn validate(args: &ValidateArgs, terms: &Terms) -> Result<Exit, Failure> {
    let mut files = Vec::new();
    for path in &args.paths {
        walk(path, &mut files)?;
    }
    let (mut errors, mut warnings) = (0usize, 0usize);
    let mut text = String::new();
    for file in &files {
        let outcome = plan::check(input::read_plan(file)?, &REGISTRY);
        text += &diag::render(&outcome.sources, &outcome.findings, terms.out.color);
        errors += outcome.findings.iter().filter(|f| f.severity == Severity::Error).count();
        warnings += outcome.findings.iter().filter(|f| f.severity == Severity::Warning).count();
    }
    let print =
        |text: &str| terms.print(text).map_err(|e| Failure { exit: Exit::State, text: e.to_string(), hint: None });
    print(&text)?;
    let count = |n: usize, word: &str| format!("{n} {word}{}", if n == 1 { "" } else { "s" });
    let verdict = match (errors, warnings) {
        (0, 0) => "no findings".to_owned(),
        (0, w) => count(w, "warning"),
        (e, 0) => count(e, "error"),
        (e, w) => format!("{}, {}", count(e, "error"), count(w, "warning")),
    };
    terms.say(&format!("{} checked: {verdict}\n", count(files.len(), "plan")));
    let bad = errors > 0 || (args.deny_warnings && warnings > 0);
    Ok(if bad { Exit::Invalid } else { Exit::Done })
}

/// The plans that a path names: itself, or every `*.yaml` and `*.yml` below a folder, in order of name.
fn walk(path: &Path, files: &mut Vec<PathBuf>) -> Result<(), Failure> {
    if !path.is_dir() {
        files.push(path.to_path_buf());
        return Ok(());
    }
    let cannot = |e: std::io::Error| Failure::usage(format!("cannot list the folder `{}`: {e}", path.display()));
    let mut entries = Vec::new();
    for entry in std::fs::read_dir(path).map_err(cannot)? {
        entries.push(entry.map_err(cannot)?.path());
    }
    entries.sort();
    for entry in entries {
        let hidden = entry.file_name().is_some_and(|n| n.to_string_lossy().starts_with('.'));
        let link = entry.symlink_metadata().is_ok_and(|m| m.is_symlink());
        let yaml = entry.extension().is_some_and(|e| e == "yaml" || e == "yml");
        if entry.is_dir() && !hidden && !link {
            walk(&entry, files)?;
        } else if yaml && entry.is_file() {
            files.push(entry);
        }
    }
    Ok(())
}
