//! `runplan explain`: what a code means.

use super::exit::{Exit, Failure};
use super::output::Terms;
use crate::diag::Code;
use crate::plan::{self, Explanation};

/// Prints what a code means, or the list of all codes.
pub fn explain(code: Option<&str>, terms: &Terms) -> Result<Exit, Failure> {
    let text = match code {
        None => plan::codes().filter_map(plan::explain).map(|e| format!("{}  {}\n", e.code, e.title)).collect(),
        Some(word) => page(known(word).ok_or_else(|| {
            Failure::usage(format!("there is no code `{word}`")).hint("`runplan explain` lists all codes")
        })?),
    };
    let failed = |e: std::io::Error| Failure { exit: Exit::State, text: e.to_string(), hint: None };
    terms.print(&text).map_err(failed).map(|()| Exit::Done)
}

/// The explanation of a code as people type it: `RP0102`, `rp102`, `0102`.
fn known(word: &str) -> Option<&'static Explanation> {
    let digits = word.trim_start_matches(|c: char| c.is_ascii_alphabetic());
    plan::explain(Code(digits.parse().ok()?))
}

fn page(explanation: &Explanation) -> String {
    let text = explanation.text.split("\n\n").map(wrapped).collect::<Vec<_>>().join("\n\n");
    let mut out = format!("{}: {}\n\n{text}\n", explanation.code, explanation.title);
    for (word, plan) in [("Wrong", explanation.wrong), ("Right", explanation.right)] {
        if !plan.is_empty() {
            let lines: String = plan.lines().map(|l| format!("    {l}").trim_end().to_owned() + "\n").collect();
            out += &format!("\n{word}:\n\n{lines}");
        }
    }
    out
}

/// A paragraph in lines of 100 characters.
fn wrapped(text: &str) -> String {
    let mut out = String::new();
    let mut width = 0;
    for word in text.split_whitespace() {
        let length = word.chars().count();
        if width > 0 && width + 1 + length > 100 {
            out.push('\n');
            width = 0;
        }
        if width > 0 {
            out.push(' ');
            width += 1;
        }
        out += word;
        width += length;
    }
    out
}
