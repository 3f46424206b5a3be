//! What the YAML crate says is wrong, in our words and at the place of the cause.

use super::{codes, layout};
use crate::diag::{Finding, SourceId, Span};

/// The crate's error in our words, at its place.
pub fn explain(source: SourceId, text: &str, error: &serde_yaml::Error) -> Finding {
    let place = error.location();
    let offset = place.map_or(0, |l| {
        let by_byte = l.span().byte_offset().and_then(|o| usize::try_from(o).ok());
        by_byte.unwrap_or_else(|| offset_of(text, l.line(), l.column()))
    });
    let offset = text.floor_char_boundary(offset.min(text.len()));
    let said = error.to_string();
    let said = said.split(" at line ").next().unwrap_or(&said);
    let line_start = text[..offset].rfind('\n').map_or(0, |i| i + 1);
    let line = text[line_start..].lines().next().unwrap_or_default();
    let width = text[offset..].chars().next().filter(|c| *c != '\n').map_or(0, char::len_utf8);
    let span = Span::new(source, offset, offset + width);
    let finding = |message: &str| Finding::error(codes::SYNTAX, span, message);
    let indent = &line[..line.len() - line.trim_start().len()];

    if said.contains("multiple YAML documents") || line.trim_end() == "---" {
        return Finding::error(codes::DOCUMENTS, span, "a second document begins here")
            .help("a file holds one plan: remove the `---`");
    }
    if said.contains("unsupported tag") {
        let at = text[..offset].rfind('!').filter(|i| *i >= line_start).unwrap_or(offset);
        let at = text[..at].trim_end_matches('!').len().max(line_start);
        let end = text[at..].find(char::is_whitespace).map_or(text.len(), |i| at + i);
        let span = Span::new(source, at, end);
        return Finding::error(codes::TAG, span, "tags (`!…`) are not read")
            .help("quote the value if it begins with `!`");
    }
    if said.contains("budget")
        || said.contains("depth")
        || said.contains("recursion")
        || said.contains("alias expansion")
    {
        let message = "the text is nested too deeply, or has too many values";
        return Finding::error(codes::LIMIT, span, message).help("split it into several plans");
    }
    if indent.contains('\t') || said.contains("tab") {
        // The parser may have stopped on the line before.
        let at = line_start + text[line_start..].find('\t').unwrap_or(0);
        let span = Span::new(source, at, (at + 1).min(text.len()));
        return Finding::error(codes::SYNTAX, span, "tabs cannot indent YAML").help("use spaces");
    }
    if said.contains("unclosed quote") || said.contains("unexpected end of stream") && said.contains("quot") {
        return finding("a quote is opened here and not closed")
            .help("close it, and double a quote that stands inside");
    }
    if said.contains("invalid trailing content") {
        return finding("there is text after the closing quote").help(layout::quoted(line, offset - line_start));
    }
    if let Some(finding) = layout::marks(source, text, line_start) {
        return finding;
    }
    if said.contains("non-finite") {
        let end =
            text[offset..].find(|c: char| c.is_whitespace() || ",]}".contains(c)).map_or(text.len(), |i| offset + i);
        let span = Span::new(source, offset, end);
        let raw = &text[offset..end];
        return Finding::error(codes::DOUBTFUL, span, format!("`{raw}` is no number that a plan can use"))
            .help(format!("write `\"{raw}\"` for the text"));
    }
    if said.contains("mismatched bracket") {
        let close = if text[offset..].starts_with('[') { ']' } else { '}' };
        let open = if close == ']' { '[' } else { '{' };
        return finding(&format!("this `{open}` is closed by another bracket"))
            .help(format!("close it with `{close}`"));
    }
    if said.contains("unknown escape") || said.contains("hexadecimal") {
        return finding("an unknown escape in a double-quoted text")
            .help(r"write `\\` for a backslash, or use single quotes");
    }
    if said.contains("unknown anchor") {
        return finding("this alias names an anchor that is not set above")
            .help("quote the text if it begins with `*`");
    }
    if said.contains("unexpected character") {
        return finding("a plain text cannot begin with this character").help("put the value in quotes");
    }
    if let Some(brace) = line.find("${{").filter(|i| line[..*i].trim_end().ends_with(['[', ',', '{', ':'])) {
        let at = line_start + brace;
        if open_bracket(&text[..at]).is_none() && line[brace..].contains(": ") {
            let at = at + line[brace..].find(": ").unwrap_or(0);
            let span = Span::new(source, at, at + 1);
            return Finding::error(codes::SYNTAX, span, "a `: ` stands in a text without quotes")
                .help("put quotes around the whole text: `'${{ … }}'`");
        }
        let span = Span::new(source, at, at + 3);
        return Finding::error(codes::BRACES, span, "an unquoted `${{` inside brackets opens a map in YAML")
            .help("put quotes around the text: `[\"${{ … }}\"]`");
    }
    if said.contains("mapping values are not allowed") || said.contains("illegal placement of ':'") {
        if let Some((start, above)) = line_above(text, line_start)
            && !line[..offset - line_start].contains(": ")
        {
            let body = above.trim_start().trim_start_matches("- ");
            let at = start + (above.len() - body.len());
            let word = body.bytes().take_while(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-')).count();
            let rest = &body[word..];
            if word > 0
                && rest.len() > 1
                && rest.starts_with(':')
                && !rest.starts_with(": ")
                && !rest.starts_with("://")
            {
                let span = Span::new(source, at + word, at + word + 1);
                return Finding::error(codes::SYNTAX, span, "a `:` needs a space after it").help("write `key: value`");
            }
            if word > 0 && rest.starts_with(": ") && !rest.contains(['\'', '"']) && indent.len() > at - start {
                let span = Span::new(source, line_start, line_start + indent.len());
                return layout::indentation(text, line_start, span);
            }
        }
        return finding("a `:` stands where no key can be").help(
            "quote a text that holds `: `, or look for a missing line end or a bracket that is not closed above",
        );
    }
    if said.contains("block sequence entries are not allowed") {
        return finding("a `-` stands where no list can begin").help("begin the list on a line of its own");
    }
    if said.contains("flow sequence") || said.contains("flow mapping") {
        let finding = finding("a bracket is not closed, or a `,` is missing");
        return match open_bracket(&text[..offset]) {
            Some(at) => finding.related(Span::new(source, at, at + 1), "opened here"),
            None => finding.help("close the `[` or `{` that was opened above"),
        };
    }
    if said.contains("did not find expected key")
        || said.contains("block mapping")
        || said.contains("block collection")
        || said.contains("could not find expected ':'")
    {
        return match line.trim_start().split_once(':') {
            Some((_, rest)) if rest.starts_with(|c: char| !c.is_whitespace()) => {
                finding("a `:` needs a space after it").help("write `key: value`")
            }
            Some(_) => layout::indentation(text, line_start, span),
            None => finding("a key with a `:` is expected here").help("write `key: value`"),
        };
    }
    finding(&format!("this is no YAML: {said}"))
}

/// The last line before a place that is more than a comment, and where it begins.
pub fn line_above(text: &str, line_start: usize) -> Option<(usize, &str)> {
    let mut end = line_start;
    while end > 0 {
        let start = text[..end - 1].rfind('\n').map_or(0, |i| i + 1);
        let line = text[start..end].trim_end();
        if !line.trim().is_empty() && !line.trim_start().starts_with('#') {
            return Some((start, line));
        }
        end = start;
    }
    None
}

/// The bracket that is still open at the end of a text, as far as quotes and comments let it be seen.
fn open_bracket(text: &str) -> Option<usize> {
    let mut open = Vec::new();
    let mut quote = None;
    let mut comment = false;
    let mut before = ' ';
    for (at, c) in text.char_indices() {
        match (quote, c) {
            (_, '\n') => comment = false,
            _ if comment => {}
            (Some(q), c) if q == c => quote = None,
            (Some(_), _) => {}
            (None, '#') if before.is_whitespace() => comment = true,
            (None, '\'' | '"') if !before.is_alphanumeric() => quote = Some(c),
            (None, '[' | '{') => open.push(at),
            (None, ']' | '}') => drop(open.pop()),
            _ => {}
        }
        before = c;
    }
    open.pop()
}

fn offset_of(text: &str, line: u64, column: u64) -> usize {
    let line = usize::try_from(line.saturating_sub(1)).unwrap_or(usize::MAX);
    let column = usize::try_from(column.saturating_sub(1)).unwrap_or(usize::MAX);
    let start: usize = text.split_inclusive('\n').take(line).map(str::len).sum();
    let rest = &text[start.min(text.len())..];
    start + rest.char_indices().nth(column).map_or(rest.lines().next().unwrap_or_default().len(), |(i, _)| i)
}
