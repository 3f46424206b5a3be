//! What the mail says: a report of the run, in text and in HTML. Knows facts, which are masked already.

use chrono::Local;

use crate::diag;
use crate::quantity::Size;
use crate::step::{RunFacts, Status, StepFact};

/// How many of the last lines of the log are quoted.
const TAIL: usize = 50;
/// The longest quoted line, in characters.
const MAX_LINE: usize = 500;

/// How the run went so far, in a few words.
fn verdict(facts: &RunFacts) -> String {
    if let Some(failure) = &facts.failure {
        return if failure.step == "-" { "failed".to_owned() } else { format!("failed at {}", failure.step) };
    }
    match facts.steps.iter().filter(|s| s.status == Status::Warning).count() {
        0 => "went well".to_owned(),
        1 => "went well but for 1 warning".to_owned(),
        n => format!("went well but for {n} warnings"),
    }
}

fn who(facts: &RunFacts) -> String {
    match &facts.target {
        Some(target) => format!("{} ({target})", facts.plan),
        None => facts.plan.clone(),
    }
}

/// The subject of a mail that has none of its own.
pub fn subject(facts: &RunFacts) -> String {
    format!("[runplan] {} {} on {}", who(facts), verdict(facts), facts.host)
}

/// The report: text and HTML. `notes` say what became of the attachments.
pub fn whole(facts: &RunFacts, notes: &[String]) -> (String, String) {
    let title = format!("Plan {} {}.", who(facts), verdict(facts));
    let pairs = pairs(facts);
    let rows: Vec<[String; 4]> = facts.steps.iter().map(row).collect();
    let tail = tail(facts);
    (text(&title, &pairs, &rows, &tail, notes), html(&title, &pairs, &rows, &tail, notes))
}

/// A body of the plan's own, with what became of the attachments below it.
pub fn own(body: &str, notes: &[String]) -> (String, String) {
    let body = diag::visible(body.trim_end());
    let text = format!("{body}\n{}", noted(notes));
    let html = format!(
        "{HEAD}<div style=\"white-space: pre-wrap\">{}</div>\n{}</body></html>\n",
        escape(&body),
        noted_html(notes)
    );
    (text, html)
}

/// The facts in a column: name and value.
fn pairs(facts: &RunFacts) -> Vec<(&'static str, String)> {
    let mut pairs = vec![("Plan", facts.plan.clone())];
    pairs.extend(facts.target.iter().map(|t| ("Target", t.clone())));
    pairs.push(("Host", facts.host.clone()));
    pairs.push(("Run", facts.run.clone()));
    // The log has local times too.
    let started = facts.started_at.with_timezone(&Local);
    pairs.push(("Started", started.format("%Y-%m-%d %H:%M:%S %:z").to_string()));
    if let Some(failure) = &facts.failure {
        if failure.step != "-" {
            pairs.push(("Step", failure.step.clone()));
        }
        pairs.push(("Error", failure.error.clone()));
        pairs.extend(failure.hint.iter().map(|h| ("Help", h.clone())));
        pairs.extend(facts.resume.iter().map(|command| ("Resume", command.clone())));
    }
    // What is there already, whatever failed after it.
    let made = facts.steps.iter().filter(|s| s.status == Status::Ok).filter_map(|s| Some((s, s.made.as_ref()?)));
    let mut named = Vec::new();
    for (step, (path, bytes)) in made {
        // A step that read an archive names it, too.
        if named.contains(&path) {
            continue;
        }
        named.push(path);
        let size = bytes.map(|b| format!(", {}", Size(b))).unwrap_or_default();
        pairs.push(("Made", format!("{path}{size} (by {})", step.label)));
    }
    pairs.extend(facts.log_file.iter().map(|l| ("Log", l.display().to_string())));
    pairs
}

const COLUMNS: [&str; 4] = ["Step", "Status", "Time", "Error"];

fn row(step: &StepFact) -> [String; 4] {
    let label = if step.label.ends_with(')') { step.label.clone() } else { format!("{} ({})", step.label, step.uses) };
    let undone = step.status == Status::Skipped || step.done_by.is_some();
    let time = if undone { String::new() } else { format!("{:.1} s", step.seconds) };
    let tries = if step.attempts > 1 { format!("attempt {}: ", step.attempts) } else { String::new() };
    let error = step.error.as_ref().map(|e| format!("{tries}{}", cut(&diag::clean(e)))).unwrap_or_default();
    let error = match &step.done_by {
        Some(run) if error.is_empty() => format!("done by run {run}"),
        Some(run) => format!("{error} (run {run})"),
        None => error,
    };
    [label, step.status.word().replace('_', " "), time, error]
}

fn cut(line: &str) -> String {
    if line.chars().count() <= MAX_LINE {
        return line.to_owned();
    }
    format!("{}…", line.chars().take(MAX_LINE - 1).collect::<String>())
}

fn tail(facts: &RunFacts) -> Vec<String> {
    let from = facts.log_tail.len().saturating_sub(TAIL);
    facts.log_tail[from..].iter().map(|l| cut(l)).collect()
}

fn text(title: &str, pairs: &[(&str, String)], rows: &[[String; 4]], tail: &[String], notes: &[String]) -> String {
    let mut out = format!("{title}\n\n");
    for (name, value) in pairs {
        out += &format!("{name:<9} {}\n", diag::visible(value).replace('\n', "\n          "));
    }
    out += &noted(notes);
    if !rows.is_empty() {
        out += "\nSteps\n\n";
        let head = COLUMNS.map(str::to_owned);
        let all = || std::iter::once(&head).chain(rows);
        let width = |column: usize| all().map(|r| r[column].chars().count()).max().unwrap_or(0);
        let (label, status, time) = (width(0), width(1), width(2));
        for [step, word, took, error] in all() {
            let line = format!("  {step:<label$}  {word:<status$}  {took:>time$}  {error}");
            out += line.trim_end();
            out += "\n";
        }
    }
    if !tail.is_empty() {
        out += "\nThe end of the log\n\n";
        tail.iter().for_each(|line| out += &format!("  {line}\n"));
    }
    out
}

const HEAD: &str = "<!DOCTYPE html>\n<html><head><meta charset=\"utf-8\"></head>\n<body style=\"font-family: sans-serif; font-size: 14px\">\n";
const CELL: &str = "style=\"padding: 2px 12px 2px 0; text-align: left; vertical-align: top\"";

fn html(title: &str, pairs: &[(&str, String)], rows: &[[String; 4]], tail: &[String], notes: &[String]) -> String {
    let mut out = format!("{HEAD}<h3>{}</h3>\n<table>\n", escape(title));
    for (name, value) in pairs {
        out += &format!("<tr><th {CELL}>{name}</th><td {CELL}>{}</td></tr>\n", escape(value));
    }
    out += "</table>\n";
    out += &noted_html(notes);
    if !rows.is_empty() {
        out += "<h4>Steps</h4>\n<table>\n<tr>";
        COLUMNS.iter().for_each(|c| out += &format!("<th {CELL}>{c}</th>"));
        out += "</tr>\n";
        for row in rows {
            out += "<tr>";
            row.iter().for_each(|cell| out += &format!("<td {CELL}>{}</td>", escape(cell)));
            out += "</tr>\n";
        }
        out += "</table>\n";
    }
    if !tail.is_empty() {
        out += &format!("<h4>The end of the log</h4>\n<pre>{}</pre>\n", escape(&tail.join("\n")));
    }
    out + "</body></html>\n"
}

fn noted(notes: &[String]) -> String {
    if notes.is_empty() {
        return String::new();
    }
    format!("\nAttachments\n\n{}", notes.iter().map(|n| format!("  {}\n", diag::clean(n))).collect::<String>())
}

fn noted_html(notes: &[String]) -> String {
    if notes.is_empty() {
        return String::new();
    }
    let items: String = notes.iter().map(|n| format!("<li>{}</li>\n", escape(n))).collect();
    format!("<h4>Attachments</h4>\n<ul>\n{items}</ul>\n")
}

/// A text as it stands between the tags of HTML.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in diag::visible(text).chars() {
        match c {
            '&' => out += "&amp;",
            '<' => out += "&lt;",
            '>' => out += "&gt;",
            '"' => out += "&quot;",
            '\'' => out += "&#39;",
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use std::sync::Arc;

    use super::*;
    use crate::step::{Failure, FailureKind};

    fn facts() -> RunFacts {
        let step = |label: &str, status, error: Option<&str>| StepFact {
            label: label.to_owned(),
            uses: "command".to_owned(),
            status,
            allowed: false,
            publishes: false,
            seconds: 1.25,
            attempts: 2,
            error: error.map(str::to_owned),
            done_by: None,
            made: matches!(label, "vacuum" | "check").then(|| ("/backups/a.zip".to_owned(), Some(3 << 20))),
        };
        RunFacts {
            plan: "nightly".to_owned(),
            run: "20261122T213000Z-3f9c".to_owned(),
            started_at: DateTime::UNIX_EPOCH,
            host: "db1".to_owned(),
            target: None,
            database: Some("app".to_owned()),
            server: None,
            wrong_clock: None,
            log_file: Some("/logs/run.log".into()),
            log_dir: None,
            resume: Some("runplan resume 20261122T213000Z-3f9c".to_owned()),
            failure: Some(Failure {
                kind: FailureKind::Step,
                step: "dump".to_owned(),
                error: "exit status 1: <b>&\"x\"".to_owned(),
                hint: Some("look".to_owned()),
            }),
            steps: Arc::new(vec![
                step("vacuum", Status::Ok, None),
                step("check", Status::Ok, None),
                step("dump", Status::Failed, Some("exit status 1: <b>")),
                step("steps[2] (copy)", Status::Skipped, None),
            ]),
            log_tail: (0..80).map(|n| format!("line {n}").into()).collect(),
            upcoming: Vec::new(),
            ..RunFacts::default()
        }
    }

    #[test]
    fn the_report_says_what_failed_and_where() {
        let facts = facts();
        assert_eq!(subject(&facts), "[runplan] nightly failed at dump on db1");
        let (text, _) = whole(&facts, &["not attached: `x`".to_owned()]);
        let started = DateTime::UNIX_EPOCH.with_timezone(&Local).format("%Y-%m-%d %H:%M:%S %:z").to_string();
        let text = text.replace(&started, "LOCAL");
        let head = "Plan nightly failed at dump.\n\nPlan      nightly\nHost      db1\nRun       20261122T213000Z-3f9c\n\
                    Started   LOCAL\nStep      dump\nError     exit status 1: <b>&\"x\"\nHelp      look\n\
                    Resume    runplan resume 20261122T213000Z-3f9c\n\
                    Made      /backups/a.zip, 3.00 MiB (by vacuum)\n\
                    Log       /logs/run.log\n\nAttachments\n\n  not attached: `x`\n\nSteps\n\n\
                    \x20 Step              Status    Time  Error\n\
                    \x20 vacuum (command)  ok       1.2 s\n\
                    \x20 check (command)   ok       1.2 s\n\
                    \x20 dump (command)    failed   1.2 s  attempt 2: exit status 1: <b>\n\
                    \x20 steps[2] (copy)   skipped\n\nThe end of the log\n\n  line 30\n";
        assert!(text.starts_with(head), "{text}");
        assert!(text.ends_with("  line 79\n"), "{text}");
    }

    #[test]
    fn html_shows_every_text_as_it_stands() {
        let (_, html) = whole(&facts(), &[]);
        assert!(html.contains("exit status 1: &lt;b&gt;&amp;&quot;x&quot;") && !html.contains("<b>"), "{html}");
        let (text, html) = own("a < b\n", &["not attached: `<x>`".to_owned()]);
        assert_eq!(text, "a < b\n\nAttachments\n\n  not attached: `<x>`\n");
        assert!(html.contains("a &lt; b") && html.contains("&lt;x&gt;"), "{html}");
    }

    #[test]
    fn a_good_run_is_said_to_be_one() {
        let mut facts = facts();
        facts.failure = None;
        assert_eq!(subject(&facts), "[runplan] nightly went well on db1");
        Arc::make_mut(&mut facts.steps)[0].done_by = Some("20261121T213000Z-77ea".to_owned());
        assert!(whole(&facts, &[]).0.contains("vacuum (command)  ok              done by run 20261121T213000Z-77ea\n"));
        Arc::make_mut(&mut facts.steps)[1].status = Status::Warning;
        facts.target = Some("prod".to_owned());
        assert_eq!(subject(&facts), "[runplan] nightly (prod) went well but for 1 warning on db1");
    }
}
