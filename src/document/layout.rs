//! What is wrong with how a line is laid out: its indentation, its dash, its quotes and braces.

use super::codes;
use super::errors::line_above;
use crate::diag::{Finding, SourceId, Span};

/// A line whose indentation fits none of the lines above.
pub fn indentation(text: &str, line_start: usize, span: Span) -> Finding {
    let line = text[line_start..].lines().next().unwrap_or_default();
    let here = indent(line);
    let above = columns(text, line_start);
    let message = match above.as_slice() {
        [.., last] => format!("wrong indentation: {}, and {last} in the line above", spaces(here)),
        [] => format!("wrong indentation: {}", spaces(here)),
    };
    let finding = Finding::error(codes::SYNTAX, span, message);
    let fitting: Vec<String> = above.iter().map(usize::to_string).collect();
    match fitting.as_slice() {
        [] => finding.help("begin at the left edge"),
        [one] => finding.help(format!("align it with the keys above: {one} spaces")),
        [rest @ .., last] => {
            finding.help(format!("align it with the keys that it belongs to: {} or {last} spaces", rest.join(", ")))
        }
    }
}

fn spaces(count: usize) -> String {
    format!("{count} space{} here", if count == 1 { "" } else { "s" })
}

fn indent(line: &str) -> usize {
    line.len() - line.trim_start_matches(' ').len()
}

/// The columns of the keys that are still open above a line, the outermost first.
fn columns(text: &str, line_start: usize) -> Vec<usize> {
    let mut found: Vec<usize> = Vec::new();
    let mut at = line_start;
    while let Some((start, line)) = line_above(text, at) {
        at = start;
        // Behind a dash begins the map of an item.
        let body = line.trim_start_matches([' ', '-']);
        let dash = line.trim_start().starts_with("- ");
        let column = if dash { line.len() - body.len() } else { indent(line) };
        let outer = if dash { indent(line) } else { column };
        let is_key = body.split_once(':').is_some_and(|(_, rest)| rest.is_empty() || rest.starts_with(' '));
        let innermost = found.last().copied().unwrap_or(usize::MAX);
        if is_key && column < innermost {
            found.push(column);
        }
        if dash && outer < found.last().copied().unwrap_or(usize::MAX) {
            found.push(outer);
        }
        if outer == 0 {
            break;
        }
    }
    found.reverse();
    found
}

/// A dash without a space after it, or `{{` where an expression is meant, in a line or in the one above.
pub fn marks(source: SourceId, text: &str, line_start: usize) -> Option<Finding> {
    let line = text[line_start..].lines().next().unwrap_or_default();
    let above = line_above(text, line_start);
    for (start, line) in std::iter::once((line_start, line)).chain(above) {
        if let Some(finding) = dash(source, start, line).or_else(|| braces(source, start, line)) {
            return Some(finding);
        }
    }
    None
}

fn dash(source: SourceId, start: usize, line: &str) -> Option<Finding> {
    let body = line.trim_start();
    let key = body.strip_prefix('-')?.split_once(':')?.0;
    if key.is_empty() || !key.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
        return None;
    }
    let at = start + line.len() - body.len();
    let finding = Finding::error(codes::SYNTAX, Span::new(source, at, at + 1), "a `-` needs a space after it");
    Some(finding.help(format!("write `- {key}: …`")))
}

fn braces(source: SourceId, start: usize, line: &str) -> Option<Finding> {
    let open = line.find("{{").filter(|at| line[..*at].ends_with([' ', '[', ',']))?;
    let body = line[..open].trim_end();
    if !(body.ends_with([':', '-', '[', ','])) || body.contains(['"', '\'']) {
        return None;
    }
    let inner = &line[open + 2..];
    let end = inner.find("}}")?;
    let (name, rest) = (inner[..end].trim(), inner[end + 2..].trim_end());
    let span = Span::new(source, start + open, start + open + 2);
    let finding = Finding::error(codes::BRACES, span, "an unquoted `{{` opens a map in YAML");
    // What follows in brackets is another value.
    let rest = rest.split([',', ']', ' ']).next().unwrap_or_default();
    Some(finding.help(format!("an expression is `${{{{ {name} }}}}`: write `\"${{{{ {name} }}}}{rest}\"`")))
}

/// What to write where a text goes on after its closing quote, which stands before `end` in the line.
pub fn quoted(line: &str, end: usize) -> String {
    let twice = "write a quote inside single quotes twice (`'it''s'`), or put double quotes around it";
    let before = &line[..end.min(line.len())];
    let Some(quote) = before.trim_end().chars().last().filter(|c| matches!(c, '"' | '\'')) else {
        return twice.to_owned();
    };
    let body = before.trim_end();
    let Some(open) = body[..body.len() - 1].rfind(quote) else { return twice.to_owned() };
    let rest = line[end.min(line.len())..].trim_end();
    if rest.contains(quote) || rest.is_empty() {
        return twice.to_owned();
    }
    format!("put the quotes around all of it: `{quote}{}{rest}{quote}`", &body[open + 1..body.len() - 1])
}
