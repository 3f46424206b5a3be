use std::collections::BTreeSet;

use super::{FILES, all, codes, parse_explanation};
use crate::diag::Code;

#[test]
fn every_file_reads_as_an_explanation_of_its_code() {
    for file in FILES {
        assert_eq!(file.name, file.code.to_string(), "the table names the wrong file");
        let read = parse_explanation(file.code, file.text);
        assert!(read.is_ok(), "{}.md: {read:?}", file.name);
    }
    assert_eq!(all().count(), FILES.len());
    assert!(FILES.is_sorted_by(|a, b| a.code < b.code), "the codes are not in order");
}

#[test]
fn every_code_has_an_explanation() {
    let sources = [include_str!("../codes.rs"), include_str!("../../../document/mod.rs")];
    let declared = sources.iter().flat_map(|s| s.split(": Code = Code(").skip(1));
    let declared: BTreeSet<Code> = declared.filter_map(|rest| rest.split(')').next()?.parse().ok()).map(Code).collect();
    let explained: BTreeSet<Code> = all().map(|e| e.code).collect();
    assert!(declared.contains(&codes::VERSION));
    assert_eq!(declared, explained);
}

#[test]
fn every_text_is_made_of_a_fragment_and_sentences() {
    for explanation in all() {
        let code = explanation.code;
        assert!(explanation.title.len() <= 60 && !explanation.title.ends_with('.'), "{code}: {}", explanation.title);
        for paragraph in explanation.text.split("\n\n") {
            assert!(paragraph.ends_with(['.', '`']), "{code}: {paragraph}");
        }
        let problem_then_help = explanation.text.matches("\n\n").count();
        assert_eq!(problem_then_help, 1, "{code}: expected what is wrong in one paragraph, what to do in another");
    }
}

#[test]
fn a_broken_file_is_refused() {
    const GOOD: &str = "# a title\n\nWhat is wrong.\n\nWhat to do.\n\n## Wrong\n\n```yaml\na: 1\n```\n\n## Right\n\n```yaml\na: 2\n```\n";
    let read = parse_explanation(Code(1), GOOD).expect("a good file");
    assert_eq!((read.title, read.text), ("a title", "What is wrong.\n\nWhat to do."));
    assert_eq!((read.wrong, read.right), ("a: 1\n", "a: 2\n"));
    for (from, to) in [
        ("# a title", "a title"),
        ("# a title", "# "),
        ("# a title\n", "# a title"),
        ("What is wrong.\n\nWhat to do.\n", ""),
        ("## Wrong", "## wrong"),
        ("## Wrong\n\n```yaml", "## Wrong\n\n```"),
        ("a: 1\n```", "a: 1\n"),
        ("## Right", "## Good"),
        ("a: 2\n```\n", "a: 2\n"),
        ("a: 2\n```\n", "a: 2\n```\nmore\n"),
        ("a: 2\n", "a: 2\n```\n\n```yaml\nb: 3\n"),
        ("What to do.", "- what to do"),
    ] {
        assert!(GOOD.contains(from));
        let broken: &'static str = GOOD.replacen(from, to, 1).leak();
        assert!(parse_explanation(Code(1), broken).is_err(), "{from:?} -> {to:?} is accepted:\n{broken}");
    }
}
