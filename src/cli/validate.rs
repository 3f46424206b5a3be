//! `runplan validate`: every finding of every plan.

use std::io::Write;
use std::path::{Path, PathBuf};

use super::args::{FindingFormat, ValidateArgs};
use super::exit::{Exit, Failure};
use super::input;
use super::output::Terms;
use crate::diag::{self, Report, Severity};
use crate::plan::{self, Input};
use crate::steps::REGISTRY;

/// How often remedies are applied to one text: each may bring to light what another one mends.
const ROUNDS: usize = 8;

/// Checks the plans that the paths name.
pub fn validate(args: &ValidateArgs, terms: &Terms) -> Result<Exit, Failure> {
    let mut files = Vec::new();
    let mut named = Vec::new();
    for path in &args.paths {
        let before = files.len();
        named.extend(path.is_file().then_some(before));
        walk(path, &mut files)?;
        if files.len() == before {
            return Err(Failure::usage(format!("there is no `*.yaml` or `*.yml` in the folder `{}`", path.display())));
        }
    }
    let mut reports: Vec<(usize, Report)> = Vec::new();
    let mut unread = false;
    let mut mended = 0;
    let mut included: Vec<PathBuf> = Vec::new();
    for (at, file) in files.iter().enumerate() {
        // One that cannot be read hides no finding of another.
        let input = match input::read_plan(file) {
            Ok(input) => input,
            Err(failure) => {
                terms.error(&failure.text, failure.hint.as_deref());
                unread = true;
                continue;
            }
        };
        let input = if args.fix {
            let (input, count) = fix(file, input)?;
            mended += count;
            input
        } else {
            input
        };
        let name = input.name.clone();
        let outcome = plan::check(input, &REGISTRY);
        let others = outcome.sources.iter().skip(1).filter_map(|(_, s)| std::fs::canonicalize(&s.name).ok());
        included.extend(others);
        reports.push((at, Report { name, sources: outcome.sources, findings: outcome.findings }));
    }
    // A file of targets that lies in a folder of plans is checked with the plan that includes it.
    reports.retain(|(at, _)| {
        named.contains(at) || !std::fs::canonicalize(&files[*at]).is_ok_and(|path| included.contains(&path))
    });
    let reports: Vec<Report> = reports.into_iter().map(|(_, report)| report).collect();
    let text = match args.format {
        FindingFormat::Text => reports.iter().map(|r| diag::render(&r.sources, &r.findings, terms.out.color)).collect(),
        FindingFormat::Json => diag::json(&reports),
        FindingFormat::Jsonl => diag::lines(&reports),
        FindingFormat::Sarif => diag::sarif(&reports, &|code| plan::explain(code).map_or("a finding", |e| e.title)),
        FindingFormat::Github => diag::github(&reports),
        FindingFormat::Gitlab => diag::gitlab(&reports),
        FindingFormat::Junit => diag::junit(&reports, args.deny_warnings),
    };
    terms.print(&text).map_err(|e| Failure { exit: Exit::State, text: e.to_string(), hint: None })?;
    let total = |severity| reports.iter().map(|r| r.count(severity)).sum::<usize>();
    let (errors, warnings) = (total(Severity::Error), total(Severity::Warning));
    let verdict = match (errors, warnings) {
        (0, 0) => "no findings".to_owned(),
        (0, w) => count(w, "warning"),
        (e, 0) => count(e, "error"),
        (e, w) => format!("{}, {}", count(e, "error"), count(w, "warning")),
    };
    let fixed = if mended > 0 { format!("{} mended; ", count(mended, "finding")) } else { String::new() };
    let hint = if errors + warnings > 0 && args.format == FindingFormat::Text {
        let first = reports.iter().flat_map(|r| &r.findings).next();
        first.map(|f| format!("`runplan explain {}` says more\n", f.code)).unwrap_or_default()
    } else {
        String::new()
    };
    terms.say(&format!("{} checked: {fixed}{verdict}\n{hint}", count(reports.len(), "plan")));
    Ok(if errors > 0 || (args.deny_warnings && warnings > 0) {
        Exit::Invalid
    } else if unread {
        Exit::Usage
    } else {
        Exit::Done
    })
}

fn count(n: usize, word: &str) -> String {
    format!("{n} {word}{}", if n == 1 { "" } else { "s" })
}

/// Applies the safe remedies to a file, as long as there are some and they leave fewer findings.
fn fix(file: &Path, input: Input) -> Result<(Input, usize), Failure> {
    if file == Path::new("-") {
        return Err(Failure::usage("`--fix` changes files, and standard input is none"));
    }
    let before = input.text.clone();
    let mut input = input;
    let mut total = 0;
    for _ in 0..ROUNDS {
        let outcome = plan::check(input.clone(), &REGISTRY);
        let (text, count) = diag::mend(&input.text, &outcome.findings);
        if count == 0 {
            break;
        }
        let next = Input { text, ..input.clone() };
        if plan::check(next.clone(), &REGISTRY).findings.len() >= outcome.findings.len() {
            break;
        }
        input = next;
        total += count;
    }
    if input.text != before {
        let cannot = |e: std::io::Error| {
            let text = format!("the plan `{}` cannot be written: {e}", file.display());
            Failure { exit: Exit::State, text, hint: None }
        };
        write(file, &input.text).map_err(cannot)?;
    }
    Ok((input, total))
}

/// Puts a text in place of a file: whole, with the same permissions, behind a link if it is one.
fn write(file: &Path, text: &str) -> std::io::Result<()> {
    let file = std::fs::canonicalize(file)?;
    let dir = file.parent().unwrap_or(Path::new("."));
    let permissions = std::fs::metadata(&file)?.permissions();
    let mut new = tempfile::Builder::new().prefix(".runplan-").tempfile_in(dir)?;
    new.write_all(text.as_bytes())?;
    new.as_file().set_permissions(permissions)?;
    new.as_file().sync_all()?;
    new.persist(&file).map(drop).map_err(|e| e.error)
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
        let entry = entry.map_err(cannot)?.path();
        entries.push(entry.strip_prefix("./").map(Path::to_path_buf).unwrap_or(entry));
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
