//! Findings for programs: JSON, a line each, SARIF, and what the larger code forges and build servers read.
//!
//! Lines and columns count from 1; a column counts Unicode scalar values (a tab is one); an end column is exclusive. A byte
//! order mark is no column.

use std::collections::BTreeMap;
use std::fmt::Write;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::visible::{clean, visible};
use super::{Code, Finding, Fix, Place, Severity, Sources, Span, render};

/// The version of the JSON that [`json`] and [`lines`] write.
const SCHEMA_VERSION: u32 = 1;

/// What was found in one text.
#[derive(Debug)]
pub struct Report {
    /// The name it is shown by.
    pub name: String,
    pub sources: Sources,
    pub findings: Vec<Finding>,
}

impl Report {
    /// How many findings there are of a severity.
    pub fn count(&self, severity: Severity) -> usize {
        self.findings.iter().filter(|f| f.severity == severity).count()
    }
}

fn word(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    }
}

/// Each finding with its report.
fn each(reports: &[Report]) -> impl Iterator<Item = (&Report, &Finding)> {
    reports.iter().flat_map(|r| r.findings.iter().map(move |f| (r, f)))
}

fn place(place: Place) -> Value {
    json!({
        "file": place.file, "line": place.line, "column": place.column,
        "end_line": place.end_line, "end_column": place.end_column,
    })
}

fn finding(report: &Report, finding: &Finding) -> Value {
    let at = |span: Span| place(report.sources.place(span));
    let fix = |fix: &Fix| json!({ "place": at(fix.span), "replacement": fix.replacement, "safe": fix.safe });
    let related: Vec<Value> =
        finding.related.iter().map(|(span, text)| json!({ "place": at(*span), "message": text })).collect();
    json!({
        "code": finding.code.to_string(),
        "severity": word(finding.severity),
        "message": finding.message,
        "place": at(finding.span),
        "label": finding.label,
        "help": finding.help,
        "related": related,
        "fix": finding.fix.as_ref().map(fix),
    })
}

/// One JSON document.
pub fn json(reports: &[Report]) -> String {
    let all: Vec<Value> = each(reports).map(|(r, f)| finding(r, f)).collect();
    let count = |s| reports.iter().map(|r| r.count(s)).sum::<usize>();
    let document = json!({
        "schema_version": SCHEMA_VERSION,
        "plans": reports.len(),
        "errors": count(Severity::Error),
        "warnings": count(Severity::Warning),
        "findings": all,
    });
    pretty(&document)
}

/// One JSON object a line, one a finding.
pub fn lines(reports: &[Report]) -> String {
    each(reports)
        .map(|(report, found)| {
            let mut object = finding(report, found);
            object["schema_version"] = SCHEMA_VERSION.into();
            format!("{object}\n")
        })
        .collect()
}

/// SARIF 2.1.0, with a rule for each code that was met; `title` says what a code means.
pub fn sarif(reports: &[Report], title: &dyn Fn(Code) -> &'static str) -> String {
    let mut codes: Vec<Code> = each(reports).map(|(_, f)| f.code).collect();
    codes.sort();
    codes.dedup();
    let rules: Vec<Value> =
        codes.iter().map(|c| json!({ "id": c.to_string(), "shortDescription": { "text": title(*c) } })).collect();
    let results: Vec<Value> = each(reports)
        .map(|(report, found)| {
            let region = |span: Span| {
                let place = report.sources.place(span);
                json!({
                    "startLine": place.line, "startColumn": place.column,
                    "endLine": place.end_line, "endColumn": place.end_column,
                })
            };
            let artifact = |span: Span| json!({ "uri": uri(&report.sources.get(span.source).name) });
            let location = |span: Span| {
                json!({ "physicalLocation": { "artifactLocation": artifact(span), "region": region(span) } })
            };
            let mut result = json!({
                "ruleId": found.code.to_string(),
                "ruleIndex": codes.iter().position(|c| *c == found.code),
                "level": word(found.severity),
                "message": { "text": sentence(found) },
                "locations": [location(found.span)],
            });
            if !found.related.is_empty() {
                let related = found.related.iter().map(|(span, text)| {
                    let mut location = location(*span);
                    location["message"] = json!({ "text": text });
                    location
                });
                result["relatedLocations"] = related.collect();
            }
            if let Some(fix) = &found.fix {
                result["fixes"] = json!([{
                    "description": { "text": format!("write `{}`", fix.replacement) },
                    "artifactChanges": [{
                        "artifactLocation": artifact(fix.span),
                        "replacements": [{
                            "deletedRegion": region(fix.span),
                            "insertedContent": { "text": fix.replacement },
                        }],
                    }],
                }]);
            }
            result
        })
        .collect();
    pretty(&json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": {
                "name": "runplan", "semanticVersion": env!("CARGO_PKG_VERSION"), "rules": rules,
            } },
            "columnKind": "unicodeCodePoints",
            "results": results,
        }],
    }))
}

/// The commands that GitHub makes annotations of.
pub fn github(reports: &[Report]) -> String {
    let mut out = String::new();
    for (report, found) in each(reports) {
        let place = report.sources.place(found.span);
        let property = |text: &str| escape(&clean(text)).replace(':', "%3A").replace(',', "%2C");
        let _ = writeln!(
            out,
            "::{} file={},line={},endLine={},col={},endColumn={},title={}::{}",
            word(found.severity),
            property(&place.file),
            place.line,
            place.end_line,
            place.column,
            place.end_column,
            found.code,
            escape(&sentence(found)),
        );
    }
    out
}

fn escape(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

/// GitLab's code quality report.
pub fn gitlab(reports: &[Report]) -> String {
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    let issues: Vec<Value> = each(reports)
        .map(|(report, found)| {
            let place = report.sources.place(found.span);
            // The line is not in it, so that a finding stays the same when lines are added above.
            let same = format!("{}\0{}\0{}", found.code, place.file, found.message);
            let nth = seen.entry(same.clone()).or_default();
            *nth += 1;
            let hash = Sha256::digest(format!("{same}\0{nth}").as_bytes());
            let fingerprint: String = hash.iter().map(|b| format!("{b:02x}")).collect();
            json!({
                "description": sentence(found),
                "check_name": found.code.to_string(),
                "fingerprint": fingerprint,
                "severity": if found.severity == Severity::Error { "major" } else { "minor" },
                "location": { "path": place.file, "lines": { "begin": place.line, "end": place.end_line } },
            })
        })
        .collect();
    pretty(&Value::Array(issues))
}

/// A JUnit report: a test case for each plan, which fails on errors, and on warnings too if they are denied.
pub fn junit(reports: &[Report], deny_warnings: bool) -> String {
    let bad = |r: &Report| r.count(Severity::Error) > 0 || (deny_warnings && r.count(Severity::Warning) > 0);
    let (tests, failures) = (reports.len(), reports.iter().filter(|r| bad(r)).count());
    let mut out = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    let _ = writeln!(
        out,
        "<testsuites name=\"runplan\" tests=\"{tests}\" failures=\"{failures}\" errors=\"0\" time=\"0\">"
    );
    let _ = writeln!(
        out,
        "  <testsuite name=\"runplan validate\" tests=\"{tests}\" failures=\"{failures}\" errors=\"0\" skipped=\"0\" time=\"0\">"
    );
    for report in reports {
        let name = xml(&report.name);
        let _ = write!(out, "    <testcase name=\"{name}\" classname=\"runplan.validate\" time=\"0\"");
        let text = xml(render(&report.sources, &report.findings, false).trim_end());
        let _ = match report.findings.first() {
            None => writeln!(out, "/>"),
            Some(first) if bad(report) => writeln!(
                out,
                ">\n      <failure message=\"{}\" type=\"{}\">{text}</failure>\n    </testcase>",
                xml(&first.message),
                first.code
            ),
            Some(_) => writeln!(out, ">\n      <system-out>{text}</system-out>\n    </testcase>"),
        };
    }
    out + "  </testsuite>\n</testsuites>\n"
}

/// A text as XML takes it, which forbids control characters: between tags and in an attribute.
pub fn xml(text: &str) -> String {
    visible(text)
        .chars()
        .filter(|c| !matches!(c, '\u{fffe}' | '\u{ffff}'))
        .flat_map(|c| match c {
            '&' => "&amp;".chars().collect::<Vec<_>>(),
            '<' => "&lt;".chars().collect(),
            '>' => "&gt;".chars().collect(),
            '"' => "&quot;".chars().collect(),
            c => vec![c],
        })
        .collect()
}

/// The message with what it says beside it, where there is but one line for it.
fn sentence(finding: &Finding) -> String {
    let more = finding.label.as_ref().or(finding.help.as_ref());
    clean(&more.map_or_else(|| finding.message.clone(), |more| format!("{}; {more}", finding.message)))
}

/// A path as a relative URI.
fn uri(path: &str) -> String {
    let mut out = String::new();
    for byte in path.replace('\\', "/").bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'.' | b'-' | b'_' | b'~' => out.push(byte.into()),
            _ => {
                let _ = write!(out, "%{byte:02X}");
            }
        }
    }
    out
}

fn pretty(value: &Value) -> String {
    serde_json::to_string_pretty(value).unwrap_or_default() + "\n"
}
