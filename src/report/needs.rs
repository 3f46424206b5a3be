//! What a run would need, as a list to tick off.

use super::{Style, Verbosity};
use crate::diag;
use crate::step::{Check, Verdict};

/// Whose need it is and what was looked at, for people, with a last line that sums it up.
pub fn needs(plan: &str, all: &[(String, Vec<Check>)], verbosity: Verbosity, style: Style) -> String {
    let mut out = String::new();
    let shown = |check: &&Check| verbosity != Verbosity::Quiet || check.verdict != Verdict::Ok;
    for (whose, checks) in all.iter().filter(|(_, c)| c.iter().any(|c| shown(&c))) {
        out += &format!("{}\n", style.paint("1", whose));
        for check in checks.iter().filter(shown) {
            let code = match check.verdict {
                Verdict::Ok => "32",
                Verdict::Warning => "33",
                Verdict::Problem => "31;1",
            };
            let word = style.paint(code, check.verdict.word());
            let pad = " ".repeat(9 - check.verdict.word().len());
            out += &format!("  {word}{pad}{}\n", diag::clean(&check.text));
            out.extend(check.hint.iter().map(|h| format!("           help: {}\n", diag::clean(h))));
        }
    }
    let count = |verdict| all.iter().flat_map(|(_, c)| c).filter(|c| c.verdict == verdict).count();
    let some = |n: usize, what: &str| format!("{n} {what}{}", if n == 1 { "" } else { "s" });
    let said = match (count(Verdict::Problem), count(Verdict::Warning)) {
        (0, 0) => style.paint("32", "all is well"),
        (0, warnings) => style.paint("33", &some(warnings, "warning")),
        (problems, 0) => style.paint("31;1", &some(problems, "problem")),
        (problems, warnings) => {
            format!("{}, {}", style.paint("31;1", &some(problems, "problem")), some(warnings, "warning"))
        }
    };
    out + &format!("{plan}: {said}\n")
}
