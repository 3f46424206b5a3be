//! Any text is judged: every place lies in it, every format can be read, and what mends it changes nothing else.

use runplan::diag::{self, Finding, Report, Severity, Sources, Span};
use runplan::document::{Document, Kind, Node, Style};
use runplan::plan::{self, Input, Outcome};
use runplan::steps::REGISTRY;

fn check(text: &str) -> Outcome {
    plan::check(
        Input { name: "plan.yaml".to_owned(), dir: "/plans".into(), text: text.to_owned(), dbname_in_env: true },
        &REGISTRY,
    )
}

/// What must hold for any text.
pub fn holds(text: &str) {
    let outcome = check(text);
    let findings = outcome.findings;
    let errors = findings.iter().any(|f| f.severity == Severity::Error);
    assert_eq!(outcome.checked.is_none(), errors, "a plan is let pass if and only if no finding is an error");
    findings.iter().for_each(|f| places(text, f));
    let (mended, count) = diag::mend(text, &findings);
    assert_eq!(count == 0, mended == text, "what is mended is another text");
    if count > 0 {
        keeps_the_rest(text, &mended, &findings);
        drop(check(&mended));
    }
    formats(outcome.sources, findings);
}

fn places(text: &str, finding: &Finding) {
    let all = std::iter::once(finding.span)
        .chain(finding.related.iter().map(|(span, _)| *span))
        .chain(finding.fix.iter().map(|f| f.span));
    for span in all {
        assert!(text.get(span.start..span.end).is_some(), "{span:?} is no piece of the text: {finding:?}");
    }
    assert!(!finding.message.is_empty());
}

fn formats(sources: Sources, findings: Vec<Finding>) {
    let (count, wrong) = (findings.len(), findings.iter().filter(|f| f.severity == Severity::Error).count());
    let drawn = diag::render(&sources, &findings, false);
    assert!(!drawn.contains('\u{1b}'), "an escape byte without colour");
    drop(diag::render(&sources, &findings, true));
    let reports = [Report { name: "plan.yaml".to_owned(), sources, findings }];
    let read = |text: &str| serde_json::from_str::<serde_json::Value>(text).expect("JSON");
    let all = read(&diag::json(&reports));
    assert_eq!(all["findings"].as_array().map(Vec::len), Some(count));
    for place in all["findings"].as_array().into_iter().flatten().map(|f| &f["place"]) {
        let number = |key: &str| place[key].as_u64().expect("a number");
        let (from, to) = ((number("line"), number("column")), (number("end_line"), number("end_column")));
        assert!((1, 1) <= from && from <= to, "{place}");
    }
    let lines = diag::lines(&reports);
    assert_eq!(lines.lines().map(read).filter(serde_json::Value::is_object).count(), count);
    let sarif = read(&diag::sarif(&reports, &|code| plan::explain(code).expect("every code is explained").title));
    assert_eq!(sarif["runs"][0]["results"].as_array().map(Vec::len), Some(count));
    let github = diag::github(&reports);
    assert_eq!(github.split_terminator('\n').count(), count);
    assert_eq!(github.split_terminator('\n').filter(|l| l.starts_with("::error ")).count(), wrong);
    assert!(!github.contains('\r'));
    let gitlab = read(&diag::gitlab(&reports));
    assert_eq!(gitlab.as_array().map(Vec::len), Some(count));
    let junit = diag::junit(&reports, false);
    let xml = roxmltree::Document::parse(&junit).unwrap_or_else(|e| panic!("{e}: {junit}"));
    assert_eq!(xml.descendants().filter(|n| n.has_tag_name("failure")).count(), usize::from(wrong > 0));
}

/// The mended text is the same tree, but for what a remedy replaced.
fn keeps_the_rest(text: &str, mended: &str, findings: &[Finding]) {
    let parse = |text: &str| {
        let mut sources = Sources::default();
        let source = sources.add("plan.yaml", text);
        Document::parse(source, text).0
    };
    let fixes: Vec<Span> = findings.iter().filter_map(|f| f.fix.as_ref()).filter(|f| f.safe).map(|f| f.span).collect();
    let before = parse(text).expect("only what was read is mended");
    let after = parse(mended).unwrap_or_else(|| panic!("what was mended is read no more: {mended}"));
    same(&before.root, &after.root, text, &fixes).unwrap_or_else(|at| panic!("{at} was not to be mended: {mended}"));
}

fn same(a: &Node, b: &Node, text: &str, fixes: &[Span]) -> Result<(), String> {
    let meets = |span: Span| fixes.iter().any(|f| f.start < span.end && span.start < f.end);
    // What stands behind an alias changes with the place that it names.
    if a.style == Style::Alias || text[a.span.start..].starts_with('*') {
        return Ok(());
    }
    match (&a.kind, &b.kind) {
        (Kind::List(a), Kind::List(b)) if a.len() == b.len() => {
            a.iter().zip(b).try_for_each(|(a, b)| same(a, b, text, fixes))
        }
        (Kind::Map(a), Kind::Map(b)) if a.len() == b.len() => a.iter().zip(b).try_for_each(|(a, b)| {
            if a.key != b.key && !meets(a.key_span) {
                return Err(format!("the key `{}`", a.key));
            }
            same(&a.value, &b.value, text, fixes)
        }),
        _ if meets(a.span) || a.to_json() == b.to_json() => Ok(()),
        _ => Err(format!("{}, now {},", a.to_json(), b.to_json())),
    }
}
