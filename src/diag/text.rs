//! A finding as text for a terminal.

use super::{Finding, Severity, Sources};

/// The findings as people read them: place, severity, code, message, help.
pub fn render(sources: &Sources, findings: &[Finding]) -> String {
    let mut out = String::new();
    for finding in findings {
        let place = sources.place(finding.span);
        let severity = match finding.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        out += &format!(
            "{}:{}:{}: {severity}[{}]: {}\n",
            place.file, place.line, place.column, finding.code, finding.message
        );
        for text in finding.label.iter().chain(&finding.help) {
            out += &format!("  {text}\n");
        }
    }
    out
}
