//! Text from outside, made safe to show: server messages, names, program output, answers. The one place for it.

use std::borrow::Cow;
use std::fmt::Write;

/// What stands before each line but the first of a text that is shown below other lines. The bar keeps a line from being
/// taken for one of the log, or for a command by whoever reads the log (`::…` of GitHub).
const CONTINUED: &str = "    | ";

/// Whether a character must not reach a terminal, a log or a page as it is: control characters, and those that change the
/// order or the width of other text without being seen themselves.
pub fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// Writes a hidden character: `\n`, `\x1b`, `\u{202e}`.
fn escape(c: char, out: &mut String) {
    match c {
        '\n' | '\r' | '\t' => out.extend(c.escape_default()),
        c if u32::from(c) < 0x100 => {
            let _ = write!(out, "\\x{:02x}", u32::from(c));
        }
        c => out.extend(c.escape_unicode()),
    }
}

fn escaped(text: &str, keep: &[char]) -> String {
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if is_hidden(c) && !keep.contains(&c) { escape(c, &mut out) } else { out.push(c) }
    }
    out
}

/// A text that may have several lines, with every other hidden character made visible (`\x1b`, `\u{202e}`); tabs stay.
pub fn visible(text: &str) -> Cow<'_, str> {
    let keep = ['\n', '\t'];
    if text.bytes().all(|b| (b' '..=b'~').contains(&b)) || !text.contains(|c| is_hidden(c) && !keep.contains(&c)) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(escaped(text, &keep))
}

/// The same in one line: line ends and tabs are made visible too.
pub fn clean(text: &str) -> String {
    escaped(text, &[])
}

/// A text of several lines as it stands in a log: each line but the first is indented and marked.
pub fn continued(text: &str) -> Cow<'_, str> {
    let shown = visible(text);
    if !shown.contains('\n') {
        return shown;
    }
    Cow::Owned(shown.trim_end_matches('\n').replace('\n', &format!("\n{CONTINUED}")))
}

/// Bytes as text: what is not UTF-8 becomes `\xNN`.
pub fn from_bytes(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        out += chunk.valid();
        for byte in chunk.invalid() {
            let _ = write!(out, "\\x{byte:02x}");
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_act_on_a_terminal_is_made_visible() {
        for (text, shown) in [
            ("plain ä 漢 🙂\ttext", "plain ä 漢 🙂\ttext"),
            ("\u{1b}]0;title\u{7}", "\\x1b]0;title\\x07"),
            ("a\rb\u{9b}31m\u{7f}", "a\\rb\\x9b31m\\x7f"),
            ("user\u{202e}gpj.exe\u{2066}x\u{200b}y\u{feff}", "user\\u{202e}gpj.exe\\u{2066}x\\u{200b}y\\u{feff}"),
            ("one\ntwo", "one\ntwo"),
        ] {
            assert_eq!(visible(text), shown);
            assert_eq!(visible(shown), shown);
        }
    }

    #[test]
    fn one_line_stays_one_line() {
        assert_eq!(clean("a\nb\r\n\tc\u{1b}[2J"), "a\\nb\\r\\n\\tc\\x1b[2J");
        assert_eq!(continued("a\nb\u{1b}\n"), "a\n    | b\\x1b");
        assert_eq!(continued("a"), "a");
    }

    #[test]
    fn bytes_that_are_not_text_are_shown_as_numbers() {
        assert_eq!(from_bytes(b"caf\xe9 \xc3\xa9 \xff\xfe"), "caf\\xe9 é \\xff\\xfe");
    }
}
