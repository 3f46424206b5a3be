//! The manual: what it shows of the command line can be typed, its plans are valid, its pages fit.

use clap::CommandFactory;
use clap::error::ErrorKind;

use super::*;
use crate::diag::{Finding, Severity};
use crate::plan::{self, Input};
use crate::steps::REGISTRY;

/// The fenced blocks of a page with their language.
fn fenced(text: &str) -> Vec<(&str, &str)> {
    let mut blocks = Vec::new();
    let mut parts = text.split("```");
    parts.next();
    while let (Some(block), Some(_)) = (parts.next(), parts.next()) {
        blocks.extend(block.split_once('\n'));
    }
    blocks
}

/// A plan around what is only a part of one.
fn whole(block: &str) -> Option<String> {
    let first = block.lines().find(|l| !l.starts_with('#')).unwrap_or_default();
    const HEAD: &str = "version: 1\nname: sample\ndatabase: { host: localhost, dbname: app }\n";
    const SECRETS: &str = "secrets:\n  zip_password: { env: RUNPLAN_ZIP_PASSWORD }\n  smtp_password: { file: smtp }\n";
    const STEPS: &str = "steps:\n  - id: dump\n    uses: pg_dump\n    timeout: 2h\n    with: { archive: { path: \"x/${{ target.name }}-${{ run.id }}.zip\", password: \"${{ secrets.zip_password }}\" } }\n";
    let steps = STEPS.replace("${{ target.name }}-", "");
    match first.split(':').next()? {
        "version" => Some(block.to_owned()),
        "targets" => Some(format!("{HEAD}{SECRETS}{STEPS}{block}")),
        "secrets" => Some(format!("{HEAD}{block}{steps}")),
        "on_failure" => Some(format!("{HEAD}{SECRETS}{steps}{block}")),
        "- uses" => {
            let own: String = block.lines().map(|l| format!("  {l}\n")).collect();
            Some(format!("{HEAD}{SECRETS}{steps}{own}"))
        }
        // A modeline alone, and files of other programs.
        "" | "on" | "repos" => None,
        other => panic!("a test does not know what `{other}` is a part of"),
    }
}

#[test]
fn every_plan_of_the_manual_is_valid() {
    let dir = tempfile::tempdir().expect("a folder");
    std::fs::create_dir(dir.path().join("targets")).expect("a folder");
    let targets = "- { name: crm, labels: { tier: gold, server: db1 } }\n";
    std::fs::write(dir.path().join("targets/prod.yaml"), targets).expect("a file");
    let mut seen = 0;
    for topic in TOPICS {
        for (language, block) in fenced(topic.text).into_iter().filter(|(l, _)| *l == "yaml") {
            let Some(text) = whole(block) else { continue };
            let input = Input {
                name: "plan.yaml".to_owned(),
                dir: dir.path().to_owned(),
                text: text.clone(),
                dbname_in_env: false,
            };
            let outcome = plan::check(input, &REGISTRY);
            // What a part does not use the rest of the plan may.
            let whole = block.contains("version: 1");
            let counts = |f: &&Finding| f.severity == Severity::Error || whole && f.severity == Severity::Warning;
            let found: Vec<&str> = outcome.findings.iter().filter(counts).map(|f| f.message.as_str()).collect();
            assert!(found.is_empty(), "{} {language}: {found:?}\n{text}", topic.name);
            seen += 1;
        }
    }
    assert!(seen > 5, "{seen}");
}

#[test]
fn every_command_line_of_the_manual_can_be_typed() {
    let mut seen = 0;
    for topic in TOPICS {
        let in_blocks = fenced(topic.text).into_iter().filter(|(l, _)| matches!(*l, "sh" | "console"));
        let joined: Vec<String> = in_blocks.map(|(_, text)| text.replace("\\\n", " ")).collect();
        let lines = joined.iter().flat_map(|t| t.lines());
        let lines = lines.map(|l| l.trim_start_matches("$ ").split(" #").next().unwrap_or_default().trim());
        let inline = topic.text.split('`').skip(1).step_by(2).map(|l| l.split(" > ").next().unwrap_or_default());
        for line in lines.chain(inline).filter(|l| l.starts_with("runplan ") && !l.contains(['|', '…', '\n'])) {
            let parsed = Cli::command().try_get_matches_from(line.split_whitespace());
            // A command that a sentence only names needs no arguments there.
            let named = |e: &clap::Error| e.kind() == ErrorKind::MissingRequiredArgument && !line.contains(" -");
            let wrong = parsed.err().filter(|e| !(line.split(' ').count() == 2 && named(e)));
            assert!(wrong.is_none(), "{}: {line}: {wrong:?}", topic.name);
            seen += 1;
        }
    }
    assert!(seen > 30, "{seen}");
}

#[test]
fn topics_that_a_page_names_exist_and_lines_fit() {
    for topic in TOPICS {
        assert!(topic.text.starts_with("# ") && topic.title().len() < 60, "{}", topic.name);
        for named in topic.text.split("`runplan help ").skip(1).filter_map(|t| t.split('`').next()) {
            let known = TOPICS.iter().any(|t| t.name == named) || matches!(named, "TOPIC");
            assert!(known, "{} names the topic `{named}`", topic.name);
        }
        let text = terminal::render(&page::parse(topic.text), 80, false);
        assert!(!text.contains('\u{1b}') && !text.contains('\u{0}') && text.ends_with('\n'), "{}", topic.name);
        let page = man::topic_page(topic);
        assert!(page.contains(".SH NAME") && page.lines().count() > 10, "{page}");
    }
}

#[test]
fn a_page_is_set_in_paragraphs_lists_and_tables() {
    let text = "# Title\n\nOne `two` three\nfour.\n\n- first **item**\n- second\n\n| a | b |\n|---|---|\n| `x` | one two three four five six seven |\n\n```sh\nrunplan a\n```\n";
    let shown = terminal::render(&page::parse(text), 30, false);
    assert_eq!(
        shown,
        "Title\n\n  One `two` three four.\n\n  - first item\n  - second\n\n  a    b\n  `x`  one two three four five\n       six seven\n\n    runplan a\n"
    );
    let color = terminal::render(&page::parse("# T\n\na `b c`\n"), 30, true);
    assert_eq!(color, "\u{1b}[1mT\u{1b}[0m\n\n  a \u{1b}[1mb\u{1b}[0m \u{1b}[1mc\u{1b}[0m\n");
}
