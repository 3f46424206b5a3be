//! `runplan history`: past runs in a table, the newest last, beside the prompt.

use std::path::Path;

use chrono::{DateTime, Local, Utc};
use serde_json::json;

use super::args::{Format, HistoryArgs};
use super::exit::{Exit, Failure};
use super::output::Terms;
use super::past::{self, Sought};
use super::run::host;
use crate::diag;
use crate::event;
use crate::journal::{Past, State};
use crate::report::{Style, Verbosity};

/// The version of the document's shape.
const SCHEMA_VERSION: u32 = 1;

/// Lists past runs.
pub fn history(args: &HistoryArgs, terms: &Terms) -> Result<Exit, Failure> {
    let sought = past::seek(args.plan.as_deref(), args.dir.as_deref(), &args.param, Some(terms))?;
    let runs = sought.runs()?;
    sought.warn_of_distrusted(terms);
    let limit = if args.limit == 0 { usize::MAX } else { args.limit };
    let here = host();
    // One more than is shown tells whether there are more.
    let mut shown: Vec<Past> = runs
        .iter()
        .filter_map(|found| found.open(&here))
        .filter(|past| sought.wants(past) && (!args.failed || past.is_bad()))
        .take(limit.saturating_add(1))
        .collect();
    let more = shown.len() > limit;
    shown.truncate(limit);
    shown.reverse();
    let text = match args.format {
        Format::Json => document(&sought.place, &shown),
        Format::Text => table(&shown, sought.shelves.len() > 1 || args.plan.is_none(), Utc::now(), terms.out),
    };
    let failed = |e: std::io::Error| Failure { exit: Exit::State, text: e.to_string(), hint: None };
    terms.print(&text).map_err(failed)?;
    if args.format == Format::Text && terms.verbosity != Verbosity::Quiet {
        terms.say(&remark(&sought, shown.is_empty(), runs.is_empty(), more, args));
    }
    Ok(Exit::Done)
}

/// What a person wants to know beside the table.
fn remark(sought: &Sought, none: bool, none_at_all: bool, more: bool, args: &HistoryArgs) -> String {
    match (none_at_all, none, more) {
        (true, ..) if args.plan.is_none() => {
            format!("no runs: {}; a plan with `logs.dir` keeps its runs there: name its file\n", sought.nothing())
        }
        (true, ..) => format!("no runs: {}\n", sought.nothing()),
        (_, true, _) => format!("none of the runs in `{}` is such a one\n", sought.place.display()),
        (.., true) => "there are older ones: `-n 0` lists all\n".to_owned(),
        _ => String::new(),
    }
}

fn document(place: &Path, runs: &[Past]) -> String {
    let document = json!({ "schema_version": SCHEMA_VERSION, "dir": place, "runs": runs });
    serde_json::to_string_pretty(&document).map(|t| t + "\n").unwrap_or_default()
}

/// How much is said of a run's end, in characters.
const SAID: usize = 120;

fn table(runs: &[Past], with_plan: bool, now: DateTime<Utc>, style: Style) -> String {
    if runs.is_empty() {
        return String::new();
    }
    let row = |past: &Past| {
        let started = past.started_at.map(|t| t.with_timezone(&Local).format("%Y-%m-%d %H:%M:%S").to_string());
        let so_far = past.started_at.map(|t| (now - t).num_milliseconds().max(0) as f64 / 1000.0);
        let took = past.seconds.or(so_far.filter(|_| past.result == State::Running));
        let cells = [
            diag::clean(&past.run),
            diag::clean(&past.plan),
            started.unwrap_or_else(|| "-".to_owned()),
            took.map_or_else(|| "-".to_owned(), event::seconds),
            past.result.word().to_owned(),
            past.exit_code.map_or_else(|| "-".to_owned(), |c| c.to_string()),
        ];
        (cells, past.result, brief(&past.said()))
    };
    let rows: Vec<_> = runs.iter().map(row).collect();
    let heads = ["run", "plan", "started", "took", "result", "exit"];
    let width = |at: usize| {
        let longest = rows.iter().map(|(cells, ..)| cells[at].chars().count()).max().unwrap_or(0);
        longest.max(heads[at].len())
    };
    let widths: Vec<usize> = (0..heads.len()).map(width).collect();
    let line = |cells: [&str; 6], color: Option<&str>, said: &str| {
        let shown = cells.iter().zip(&widths).enumerate().filter(|(at, _)| with_plan || *at != 1);
        let padded = shown.map(|(at, (cell, width))| {
            // Numbers stand at the right.
            let text = if matches!(at, 3 | 5) { format!("{cell:>width$}") } else { format!("{cell:<width$}") };
            color.filter(|_| at == 4).map_or(text.clone(), |code| style.paint(code, &text))
        });
        let mut text = padded.collect::<Vec<_>>().join("  ") + "  " + said;
        text.truncate(text.trim_end().len());
        text
    };
    let mut out = style.paint("2", &line(heads, None, "")) + "\n";
    for (cells, state, said) in &rows {
        let color = match state {
            State::Ok => "32",
            State::Warning | State::Unknown => "33",
            State::Failed | State::Killed => "31;1",
            State::Running => "1",
        };
        out += &line(cells.each_ref().map(String::as_str), Some(color), said);
        out.push('\n');
    }
    out
}

/// Of a long text its beginning and, since causes are said last, more of its end.
fn brief(text: &str) -> String {
    let length = text.chars().count();
    if length <= SAID {
        return text.to_owned();
    }
    let begin: String = text.chars().take(SAID / 3).collect();
    let end: String = text.chars().skip(length - SAID * 2 / 3).collect();
    format!("{} … {}", begin.trim_end(), end.trim_start())
}

#[cfg(test)]
mod tests {
    use super::brief;

    #[test]
    fn a_long_text_keeps_both_its_ends() {
        let text =
            format!("at dump: connecting to the ä server{} password authentication failed", " and so on".repeat(20));
        let short = brief(&text);
        assert!(short.starts_with("at dump: connecting to") && short.ends_with("password authentication failed"));
        assert!(short.chars().count() <= 123, "{short}");
        assert_eq!(brief("at dump: no"), "at dump: no");
    }
}
