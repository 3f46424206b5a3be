//! A run as a page of Markdown: for the summary of a build, or a ticket.

use chrono::SecondsFormat;

use super::result::{RunResult, StepResult};
use crate::diag;
use crate::event::{self, Outcome, Section};
use crate::step::Status;

/// The page.
pub fn report(run: &RunResult) -> String {
    let result = match run.result {
        Some(Outcome::Ok) => "ok",
        Some(Outcome::Warning) => "done, with warnings",
        Some(Outcome::Failed) | None => "failed",
    };
    let mut out = format!("## {}: {result}\n\n", escaped(&run.plan));
    if let Some(failure) = &run.failure {
        let at = if failure.step == "-" { String::new() } else { format!(" at {}", escaped(&failure.step)) };
        out += &format!("**Failed{at}:** {}\n\n", escaped(&failure.error));
        out.extend(failure.hint.iter().map(|h| format!("Help: {}\n\n", escaped(h))));
    }
    out += "| step | result | took | attempts | |\n|---|---|--:|--:|---|\n";
    run.steps.iter().for_each(|step| out += &row(step));
    let started = run.started_at.map(|t| t.to_rfc3339_opts(SecondsFormat::Secs, true)).unwrap_or_default();
    let code = run.exit_code.map(|c| format!(", exit code {c}")).unwrap_or_default();
    out += &format!(
        "\nRun {} of {} on {}, begun {started}, {}{code}.\n",
        escaped(&run.run),
        escaped(&run.plan_file),
        escaped(&run.host),
        event::seconds(run.seconds)
    );
    out
}

fn row(step: &StepResult) -> String {
    let place = match step.section {
        section if section == Section::Steps || step.step.starts_with(section.key()) => String::new(),
        section => format!("{}: ", section.key()),
    };
    let of = step.target.as_ref().map(|t| format!("{t}: ")).unwrap_or_default();
    let status = step.status.map_or("-", Status::word).replace('_', " ");
    let undone = step.status == Some(Status::Skipped) || step.done_by.is_some();
    let took = if undone { String::new() } else { event::seconds(step.seconds) };
    let attempts = if step.attempts == 0 { String::new() } else { step.attempts.to_string() };
    let path = || step.outputs.get("path").and_then(serde_json::Value::as_str);
    let said = step.error.as_deref().or(step.reason.as_deref()).or_else(path).unwrap_or_default();
    format!("| {}{place}{} | {status} | {took} | {attempts} | {} |\n", escaped(&of), escaped(&step.step), escaped(said))
}

/// A text that means itself: nothing of it is markup, and it stays in its cell.
fn escaped(text: &str) -> String {
    let mut out = String::new();
    for c in diag::clean(text).chars() {
        match c {
            '<' => out += "&lt;",
            '>' => out += "&gt;",
            '&' => out += "&amp;",
            '\\' | '`' | '*' | '_' | '[' | ']' | '|' | '#' | '~' | '!' => {
                out.push('\\');
                out.push(c);
            }
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::escaped;

    #[test]
    fn nothing_of_a_text_is_markup() {
        assert_eq!(escaped("a|b\n<b> `x` exemplo_vacuo"), "a\\|b\\\\n&lt;b&gt; \\`x\\` exemplo\\_vacuo");
    }
}
