//! A fact as lines for people: the log file, a plain terminal and a mail's tail say the same.

use super::{Fact, Outcome, Section, StepRef};
use crate::diag::visible;
use crate::step::{Failure, FailureKind, Level, Status};

/// One line for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    /// Who says it: a step's label, or `run`.
    pub who: String,
    pub level: Level,
    /// Without control characters; it may have several lines.
    pub text: String,
    /// The line opens a section of the log.
    pub heading: bool,
    /// It tells of a failure that the plan does not allow.
    pub failed: bool,
}

/// A line that tells of a failure, where it is one.
fn failing(is: bool, said: Said) -> Said {
    Said { failed: is, ..said }
}

/// Whether a status is a failure that the plan does not allow.
fn is_failure(status: Status) -> bool {
    matches!(status, Status::Failed | Status::TimedOut | Status::Cancelled)
}

fn said(who: &str, level: Level, text: impl Into<String>) -> Said {
    let text: String = text.into();
    Said { who: who.to_owned(), level, text: visible(&text).into_owned(), heading: false, failed: false }
}

/// A length of time for people: `0.4 s`, `12 s`, `3 min 05 s`, `2 h 03 min`.
pub fn seconds(seconds: f64) -> String {
    let whole = seconds.round() as u64;
    match whole {
        _ if seconds < 9.95 => format!("{seconds:.1} s"),
        0..60 => format!("{whole} s"),
        60..3600 => format!("{} min {:02} s", whole / 60, whole % 60),
        _ => format!("{} h {:02} min", whole / 3600, whole / 60 % 60),
    }
}

/// The heading of a step: what it is and, if the plan has one, its line for people.
pub fn title(step: &StepRef) -> String {
    let place = match step.section {
        Section::Steps => String::new(),
        other => format!("{}: ", other.key()),
    };
    let uses = if step.label.ends_with(')') { String::new() } else { format!(" ({})", step.uses) };
    match &step.name {
        Some(name) => format!("{place}{}{uses}: {name}", step.label),
        None => format!("{place}{}{uses}", step.label),
    }
}

/// A value of an output in one line, cut when it is long.
fn brief(value: &serde_json::Value) -> String {
    let text = match value {
        serde_json::Value::String(text) => text.clone(),
        serde_json::Value::Array(items) if items.len() > 3 || items.iter().any(serde_json::Value::is_object) => {
            format!("{} item{}", items.len(), if items.len() == 1 { "" } else { "s" })
        }
        other => other.to_string(),
    };
    if text.chars().count() <= 120 { text } else { format!("{}…", text.chars().take(119).collect::<String>()) }
}

/// The lines of a fact; none for progress.
pub fn lines(fact: &Fact) -> Vec<Said> {
    match fact {
        Fact::RunStarted { run, plan, plan_file, host, tool_version, dry_run, resumes, .. } => {
            let what = if *dry_run { "dry run" } else { "run" };
            let text = format!("{what} {run} of plan {plan} ({plan_file}) on {host}, runplan {tool_version}");
            let mut lines = vec![Said { heading: true, ..said("run", Level::Info, text) }];
            lines.extend(resumes.iter().map(|r| said("run", Level::Info, format!("goes on with run {}", r.run))));
            lines
        }
        Fact::StepStarted { step, attempt } if *attempt == 1 => {
            vec![Said { heading: true, ..said(&step.label, Level::Info, title(step)) }]
        }
        Fact::StepStarted { step, attempt } => {
            vec![said(&step.label, Level::Info, format!("attempt {attempt}"))]
        }
        Fact::Decided { step, lines, .. } => lines.iter().map(|l| said(&step.label, Level::Info, l.clone())).collect(),
        Fact::Line { step, level, text } => {
            vec![said(step.as_ref().map_or("run", |s| &s.label), *level, text.clone())]
        }
        Fact::Progress { .. } => Vec::new(),
        Fact::Retrying { step, attempt, of, delay_seconds, error } => {
            let wait = seconds(*delay_seconds);
            vec![said(
                &step.label,
                Level::Warn,
                format!("attempt {attempt} of {of} failed: {error}; next one in {wait}"),
            )]
        }
        Fact::StepFinished { step, status, attempts, seconds: took, outputs, error, hint, reason, done_by } => {
            let who = &step.label;
            let mut lines = Vec::new();
            if done_by.is_some() {
                lines.push(Said { heading: true, ..said(who, Level::Info, title(step)) });
            }
            if let serde_json::Value::Object(map) = outputs {
                let shown = map.iter().filter(|(_, v)| !v.is_null());
                lines.extend(shown.map(|(k, v)| said(who, Level::Debug, format!("{k}: {}", brief(v)))));
            }
            let level = if matches!(status, Status::Ok | Status::Skipped) { Level::Info } else { Level::Warn };
            let text = match (status, error, reason) {
                (Status::Skipped, _, Some(reason)) => format!("skipped: {reason}"),
                (_, Some(error), Some(reason)) => format!("{reason}: {error}"),
                (_, None, Some(reason)) => reason.clone(),
                (Status::Ok, ..) => format!("ok in {}", seconds(*took)),
                (status, Some(error), _) => {
                    let tries = if *attempts > 1 { format!(" at attempt {attempts}") } else { String::new() };
                    format!("{}{tries} after {}: {error}", status.word().replace('_', " "), seconds(*took))
                }
                (status, ..) => status.word().replace('_', " "),
            };
            lines.push(failing(is_failure(*status), said(who, level, text)));
            if let Some(hint) = hint {
                lines.push(said(who, level, format!("help: {hint}")));
            }
            lines
        }
        Fact::Failed { failure } => told_failure(failure),
        Fact::TargetStarted { database, .. } => {
            let of = database.as_ref().map(|d| format!(": database `{d}`")).unwrap_or_default();
            vec![Said { heading: true, ..said("target", Level::Info, format!("begins{of}")) }]
        }
        Fact::TargetFinished { status, seconds: took, warnings, failure, reason, .. } => {
            let took = seconds(*took);
            let word = status.word().replace('_', " ");
            let text = match (failure, reason) {
                (Some(f), _) if f.step != "-" => format!("{word} at {} after {took}", f.step),
                (Some(_), _) => format!("{word} after {took}"),
                (None, Some(reason)) => format!("{word}: {reason}"),
                (None, None) if *warnings > 0 => {
                    format!("done in {took} with {warnings} warning{}", if *warnings == 1 { "" } else { "s" })
                }
                (None, None) => format!("{word} in {took}"),
            };
            let level = if *status == Status::Ok { Level::Info } else { Level::Warn };
            vec![Said { heading: true, ..failing(is_failure(*status), said("target", level, text)) }]
        }
        Fact::RunFinished { result, exit_code, seconds: took, warnings, failure } => {
            let took = seconds(*took);
            let text = match (result, failure) {
                (Outcome::Ok, _) => format!("ok in {took}"),
                (Outcome::Warning, _) => {
                    format!("done in {took} with {warnings} warning{}", if *warnings == 1 { "" } else { "s" })
                }
                (Outcome::Failed, Some(f)) if f.step != "-" => {
                    format!("failed at {} after {took}, exit code {exit_code}", f.step)
                }
                (Outcome::Failed, _) => format!("failed after {took}, exit code {exit_code}"),
            };
            let level = if *result == Outcome::Ok { Level::Info } else { Level::Warn };
            vec![Said { heading: true, ..failing(*result == Outcome::Failed, said("run", level, text)) }]
        }
    }
}

/// What there is to say of the failure of a run. What its step or a check before the first step has said already is not
/// said again.
fn told_failure(failure: &Failure) -> Vec<Said> {
    if failure.kind == FailureKind::Preflight {
        let text = format!("stops before the first step: `{}` would fail", failure.step);
        return vec![failing(true, said("run", Level::Warn, text))];
    }
    if failure.step != "-" {
        return Vec::new();
    }
    let mut lines = vec![failing(true, said("run", Level::Warn, format!("failed: {}", failure.error)))];
    lines.extend(failure.hint.iter().map(|h| said("run", Level::Warn, format!("help: {h}"))));
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_of_time_read_well() {
        for (given, text) in
            [(0.04, "0.0 s"), (9.94, "9.9 s"), (59.4, "59 s"), (185.0, "3 min 05 s"), (7384.0, "2 h 03 min")]
        {
            assert_eq!(seconds(given), text);
        }
    }
}
