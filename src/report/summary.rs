//! The result of a run for people: a table of its steps or targets, or the decisions of a dry run, and how it ended.

use super::result::{RunResult, StepResult, TargetResult};
use super::terminal::{Style, crate_size};
use crate::diag;
use crate::event::{self, Outcome, Section};
use crate::step::{Failure, Status};

/// The result for people, for standard output: after a run a table of its steps, after a dry run the decisions.
pub fn summary(result: &RunResult, style: Style) -> String {
    let mut out = String::new();
    if result.dry_run {
        out += &format!(
            "{}\n",
            style.bold(&format!("dry run of {} ({}): nothing is changed", result.plan, diag::clean(&result.plan_file)))
        );
        for warning in &result.warnings {
            out += &format!("{}\n", style.warn(&format!("warning: {}", diag::continued(warning))));
        }
        let of = |target: Option<&str>| -> String {
            let own = result.steps.iter().filter(|s| s.target.as_deref() == target);
            own.map(|s| decision(s, style)).collect()
        };
        out += &of(None);
        for target in &result.targets {
            out += &format!("\n{}\n", style.bold(&format!("target {}", target.target)));
            if let Some(failure) = target.failure.as_ref().filter(|f| f.step == "-") {
                out += &format!("  {}\n", style.paint("31;1", &format!("would fail: {}", failure.error)));
            }
            out += &of(Some(&target.target));
        }
    } else if !result.targets.is_empty() {
        let width = result.targets.iter().map(|t| t.target.len()).max().unwrap_or(0);
        result.targets.iter().for_each(|t| out += &line(t, made(result, t), width, style));
    } else {
        let width = result.steps.iter().map(|s| title(s).chars().count()).max().unwrap_or(0);
        for step in &result.steps {
            out += &row(step, width, is_told(result, step), style);
        }
    }
    out + &closing(result, style)
}

fn title(step: &StepResult) -> String {
    match step.section {
        Section::Steps => step.step.clone(),
        _ if step.step.starts_with(step.section.key()) => step.step.clone(),
        section => format!("{}: {}", section.key(), step.step),
    }
}

/// Whether the last line says what a step failed at, so that its row need not.
fn is_told(result: &RunResult, step: &StepResult) -> bool {
    let failed = matches!(step.status, Some(Status::Failed | Status::TimedOut | Status::Cancelled));
    let of = |failure: &Failure| step.section == Section::Steps && failure.step == step.step;
    failed && result.failure.as_ref().is_some_and(of)
}

/// The archive that a target's steps made first.
fn made(result: &RunResult, target: &TargetResult) -> Option<String> {
    let own = |s: &&StepResult| s.target.as_ref() == Some(&target.target) && s.section == Section::Steps;
    result.steps.iter().filter(own).find_map(|s| brief(&s.outputs))
}

fn row(step: &StepResult, width: usize, told: bool, style: Style) -> String {
    let Some(status) = step.status else { return String::new() };
    let title = format!("{:<width$}", title(step));
    let pad = " ".repeat(9usize.saturating_sub(status.word().len()));
    let undone = status == Status::Skipped || step.done_by.is_some();
    let took = if undone { String::new() } else { event::seconds(step.seconds) };
    let mut line = format!("  {title}  {}{pad}  {took:>12}", style.status(status));
    let said = match (&step.error, &step.reason) {
        (Some(_), _) if told => None,
        (Some(error), Some(reason)) => Some(format!("{reason}: {error}")),
        (Some(error), None) => Some(error.clone()),
        (None, Some(reason)) => {
            Some(reason.clone() + &brief(&step.outputs).map(|b| format!(": {b}")).unwrap_or_default())
        }
        (None, None) => brief(&step.outputs),
    };
    if let Some(said) = said {
        line += &format!("  {}", diag::continued(&said));
    }
    line.truncate(line.trim_end().len());
    line + "\n"
}

/// A target, how it ended, what it failed at and what it made.
fn line(target: &TargetResult, made: Option<String>, width: usize, style: Style) -> String {
    let Some(status) = target.status else { return String::new() };
    let pad = " ".repeat(9usize.saturating_sub(status.word().len()));
    let undone = status == Status::Skipped || target.done_by.is_some();
    let took = if undone { String::new() } else { event::seconds(target.seconds) };
    let said = match (&target.failure, &target.reason) {
        (Some(f), _) if f.step == "-" => f.error.clone(),
        (Some(f), _) => format!("at {}: {}", f.step, f.error),
        (None, Some(reason)) => reason.clone(),
        (None, None) => made.unwrap_or_default(),
    };
    let said = diag::continued(&said);
    let mut line = format!("  {:<width$}  {}{pad}  {took:>12}  {said}", target.target, style.status(status));
    line.truncate(line.trim_end().len());
    line + "\n"
}

/// What a reader wants to know of a step's outputs at a glance: its file and size.
fn brief(outputs: &serde_json::Value) -> Option<String> {
    let path = outputs.get("path")?.as_str()?;
    let size = outputs.get("bytes").and_then(serde_json::Value::as_u64).map(|b| format!(", {}", crate_size(b)));
    Some(format!("{}{}", diag::clean(path), size.unwrap_or_default()))
}

fn decision(step: &StepResult, style: Style) -> String {
    let name = step.name.as_ref().map(|n| format!(": {n}")).unwrap_or_default();
    let uses = if step.step.ends_with(')') { String::new() } else { format!(" ({})", step.uses) };
    let mut out = format!("\n{}\n", style.bold(&format!("{}{uses}{name}", title(step))));
    for line in &step.decided {
        out += &format!("  {}\n", diag::continued(line));
    }
    for warning in &step.warnings {
        out += &format!("  {}\n", style.warn(&format!("warning: {warning}")));
    }
    if let Some(reason) = &step.reason {
        let word = if step.done_by.is_some() { "" } else { "skipped: " };
        out += &format!("  {}\n", style.dim(&format!("{word}{reason}")));
    }
    if let Some(error) = &step.error {
        out += &format!("  {}\n", style.paint("31;1", &format!("would fail: {error}")));
    }
    if let Some(hint) = &step.hint {
        out += &format!("  help: {hint}\n");
    }
    out
}

fn closing(result: &RunResult, style: Style) -> String {
    let took = event::seconds(result.seconds);
    let mut out = match (result.result, &result.failure) {
        (Some(Outcome::Ok), _) if result.dry_run => "\nnothing was changed\n".to_owned(),
        (Some(Outcome::Ok), _) => format!("{}: {} in {took}\n", result.plan, style.paint("32", "ok")),
        (Some(Outcome::Warning), _) => {
            format!("{}: {} in {took}\n", result.plan, style.paint("33", "done, with warnings,"))
        }
        (_, Some(failure)) => {
            let at = if failure.step == "-" { String::new() } else { format!(" at {}", failure.step) };
            let word = if result.dry_run { "would fail" } else { "failed" };
            let head = style.paint("31;1", &format!("{word}{at}"));
            let hint = failure.hint.as_ref().map(|h| format!("help: {h}\n")).unwrap_or_default();
            format!("{}: {head}: {}\n{hint}", result.plan, diag::continued(&failure.error))
        }
        (_, None) => format!("{}: {}\n", result.plan, style.paint("31;1", "failed")),
    };
    out.extend(result.resume.iter().map(|command| format!("help: to go on where it stopped: {command}\n")));
    if let Some(dir) = &result.log_dir {
        out += &format!("log: {}\n", diag::clean(&dir.join("run.log").to_string_lossy()));
    }
    out
}
