//! A finding as text for a terminal.

use super::{Finding, Severity, Sources};

/// The findings as people read them: place, severity, code, message, help.
pub fn render(sources: &Sources, findings: &[Finding], color: bool) -> String {
    let bold = |text: &str| if color { format!("\x1b[1m{text}\x1b[0m") } else { text.to_owned() };
    let mut out = String::new();
    for finding in findings {
        let place = sources.place(finding.span);
        let severity = match finding.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        let head = bold(&format!("{severity}[{}]: {}", finding.code, finding.message));
        out += &format!("{head}\n  --> {}:{}:{}\n", place.file, place.line, place.column);
        let line = sources.get(finding.span.source).text.lines().nth(place.line - 1).unwrap_or_default();
        let width = if place.end_line == place.line { place.end_column.saturating_sub(place.column).max(1) } else { 1 };
        let number = place.line.to_string();
        let gutter = " ".repeat(number.len());
        let pad: String = line.chars().take(place.column - 1).map(|c| if c == '\t' { '\t' } else { ' ' }).collect();
        let label = finding.label.as_ref().map(|l| format!(" {l}")).unwrap_or_default();
        out += &format!("{gutter} |\n{number} | {line}\n{gutter} | {pad}{}{label}\n", "^".repeat(width));
        for (span, text) in &finding.related {
            let place = sources.place(*span);
            out += &format!("{gutter} = note: {}:{}:{}: {text}\n", place.file, place.line, place.column);
        }
        if let Some(help) = &finding.help {
            out += &format!("{gutter} = help: {help}\n");
        }
        out.push('\n');
    }
    out
}
