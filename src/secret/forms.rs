//! The forms in which programs write a text: escaped, quoted and encoded as the common tools do it.

use std::collections::BTreeSet;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};

/// Shorter texts have no encoded forms: they would match everywhere.
const ENCODED: usize = 4;

/// A text in every form in which a program may print it. Never empty texts.
pub fn of(text: &str) -> BTreeSet<String> {
    let mut forms = BTreeSet::from([text.to_owned()]);
    json(text, &mut forms);
    rust_and_python(text, &mut forms);
    urls(text, &mut forms);
    html(text, &mut forms);
    shell(text, &mut forms);
    sql(text, &mut forms);
    if text.len() >= ENCODED {
        forms.extend(base64(text.as_bytes()));
        forms.extend(hex(text.as_bytes()));
    }
    forms.remove("");
    forms
}

/// The text escaped once to three times as JSON writers do it: as it is, in ASCII alone (upper and lower case), with the
/// slash escaped, and with the characters escaped that mean something in HTML.
fn json(text: &str, forms: &mut BTreeSet<String>) {
    for slash in [false, true] {
        for (ascii, upper, html) in
            [(false, false, ""), (true, false, ""), (true, true, ""), (false, false, "<>&"), (true, true, "<>&'\"")]
        {
            let mut escaped = text.to_owned();
            for _ in 0..3 {
                escaped = escape_json(&escaped, ascii, upper, html);
                if slash {
                    escaped = escaped.replace('/', "\\/");
                }
                forms.insert(escaped.clone());
            }
        }
    }
    let mut all = String::new();
    for unit in text.encode_utf16() {
        all += "\\u";
        push_hex(&mut all, unit.into(), 4, false);
    }
    forms.insert(all.to_uppercase().replace("\\U", "\\u"));
    forms.insert(all);
}

/// A JSON text without its quotes; characters beyond ASCII and those in `html` as `\uXXXX`.
fn escape_json(text: &str, ascii: bool, upper: bool, html: &str) -> String {
    let special = |c: char| c < ' ' || matches!(c, '"' | '\\') || (ascii && !c.is_ascii()) || html.contains(c);
    replaced(text, special, |out, c| match c {
        '"' | '\\' if !html.contains(c) => out.extend(['\\', c]),
        '\n' => *out += "\\n",
        '\r' => *out += "\\r",
        '\t' => *out += "\\t",
        '\x08' => *out += "\\b",
        '\x0c' => *out += "\\f",
        c => {
            for unit in c.encode_utf16(&mut [0; 2]) {
                *out += "\\u";
                push_hex(out, u32::from(*unit), 4, upper && c >= ' ');
            }
        }
    })
}

/// The text with what `write` makes of each special character in its place.
fn replaced(text: &str, special: impl Fn(char) -> bool, write: impl Fn(&mut String, char)) -> String {
    let mut out = String::with_capacity(text.len());
    let mut last = 0;
    for (at, c) in text.char_indices() {
        if special(c) {
            out += &text[last..at];
            write(&mut out, c);
            last = at + c.len_utf8();
        }
    }
    out += &text[last..];
    out
}

/// Adds a number in hexadecimal, with at least so many digits.
fn push_hex(out: &mut String, number: u32, digits: u32, upper: bool) {
    let digits = digits.max(8 - number.leading_zeros() / 4);
    for place in (0..digits).rev() {
        let digit = char::from_digit((number >> (4 * place)) & 0xf, 16).unwrap_or_default();
        out.push(if upper { digit.to_ascii_uppercase() } else { digit });
    }
}

/// Adds a byte as a backslash and three octal digits.
fn push_octal(out: &mut String, byte: u8) {
    out.push('\\');
    for place in [6, 3, 0] {
        out.push(char::from(b'0' + ((byte >> place) & 7)));
    }
}

/// `{:?}` of Rust, once to three times, and `repr` of Python: of a text with either quote, and of bytes.
fn rust_and_python(text: &str, forms: &mut BTreeSet<String>) {
    let mut debug = text.to_owned();
    for _ in 0..3 {
        debug = format!("{debug:?}");
        debug = debug[1..debug.len() - 1].to_owned();
        forms.insert(debug.clone());
    }
    for quote in ['\'', '"', '\0'] {
        for ascii in [false, true] {
            let special = |c: char| c == '\\' || c == quote || c.is_ascii_control() || (ascii && !c.is_ascii());
            let repr = replaced(text, special, |out, c| match c {
                '\\' => *out += "\\\\",
                '\n' => *out += "\\n",
                '\r' => *out += "\\r",
                '\t' => *out += "\\t",
                c if c == quote => out.extend(['\\', c]),
                c => c.encode_utf8(&mut [0; 4]).bytes().for_each(|b| {
                    *out += "\\x";
                    push_hex(out, b.into(), 2, false);
                }),
            });
            if !ascii {
                forms.insert(replaced(&repr, |c| !c.is_ascii(), python_ascii));
            }
            forms.insert(repr);
        }
    }
}

/// Adds a character beyond ASCII as `ascii` of Python writes it.
fn python_ascii(out: &mut String, c: char) {
    let (sign, digits) = match u32::from(c) {
        0..0x100 => ("\\x", 2),
        0x100..0x10000 => ("\\u", 4),
        _ => ("\\U", 8),
    };
    *out += sign;
    push_hex(out, c.into(), digits, false);
}

/// The text in an address and in a form: percent-encoded, with each set of characters that some tool leaves as it is, in
/// upper and lower case, and with `+` for the space; the same with `=` as mails write it (quoted-printable).
fn urls(text: &str, forms: &mut BTreeSet<String>) {
    // Python and PHP, JavaScript's two, forms, everything; Python again, which leaves the slash by default.
    let mut kept: Vec<String> =
        ["-_.~", "-_.!~*'()", "-_.!~*'();/?:@&=+$,#", "*-._", "", "-_.~/"].map(str::to_owned).into();
    // What a parser of addresses leaves as it is in a path and in a query (WHATWG URL, "Percent-encoded bytes").
    for mask in [" \"#<>?^`{}", " \"#<>?`{}", " \"#<>'", " \"#<>"] {
        kept.push((' '..='~').filter(|c| !mask.contains(*c)).collect());
    }
    for keep in &kept {
        for upper in [true, false] {
            let encoded = percent(text, keep, '%', upper);
            forms.insert(encoded.replace("%20", "+"));
            forms.insert(encoded);
        }
    }
    let printable: String = (' '..='~').filter(|c| *c != '=').collect();
    forms.insert(percent(text, &printable, '=', true));
}

fn percent(text: &str, keep: &str, sign: char, upper: bool) -> String {
    let special = |c: char| !c.is_ascii_alphanumeric() && !keep.contains(c);
    replaced(text, special, |out, c| {
        for byte in c.encode_utf8(&mut [0; 4]).bytes() {
            out.push(sign);
            push_hex(out, byte.into(), 2, upper);
        }
    })
}

/// The text in a page: with the names and numbers that the common escapers give.
fn html(text: &str, forms: &mut BTreeSet<String>) {
    forms.insert(numbered(text, false));
    forms.insert(numbered(text, true));
    let basic = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    // One way is enough for what is not in the text.
    let ways = |quote: char, all: &'static [&'static str]| if text.contains(quote) { all } else { &all[..1] };
    for double in ways('"', &["\"", "&quot;", "&#34;", "&#x22;"]) {
        for single in ways('\'', &["'", "&#39;", "&#039;", "&#x27;", "&apos;"]) {
            let quoted = basic.replace('"', double).replace('\'', single);
            forms.insert(quoted.replace('/', "&#x2F;"));
            forms.insert(quoted.replace('/', "&#47;"));
            forms.insert(numbered(&quoted, false));
            forms.insert(numbered(&quoted, true));
            forms.insert(quoted);
        }
    }
}

/// Characters beyond ASCII as character references.
fn numbered(text: &str, hex: bool) -> String {
    replaced(
        text,
        |c| !c.is_ascii(),
        |out, c| {
            *out += &if hex { format!("&#x{:x};", u32::from(c)) } else { format!("&#{};", u32::from(c)) };
        },
    )
}

/// The text as shells quote it: `printf %q` and `set -x` of bash, `shlex.quote` of Python, within double quotes.
fn shell(text: &str, forms: &mut BTreeSet<String>) {
    forms.insert(text.replace('\'', "'\\''"));
    forms.insert(text.replace('\'', "'\"'\"'"));
    // `#` and `~` are escaped where they mean something only, and `^` and `,` by newer versions only.
    for extra in ["", ",", "^,", "^,#~", "^,#~=:%@+"] {
        let (mut all, mut some) = (String::new(), String::new());
        let mut last = None;
        for c in text.chars() {
            let special = " \t!\"$&'()*;<>?[\\]`{|}".contains(c) || extra.contains(c);
            let here = (c == '#' && last.is_none()) || (c == '~' && matches!(last, None | Some('=' | ':')));
            if special {
                all.push('\\');
            }
            if special || here {
                some.push('\\');
            }
            all.push(c);
            some.push(c);
            last = Some(c);
        }
        forms.extend([all, some]);
    }
    let mut double = String::new();
    for c in text.chars() {
        if "\"\\$`".contains(c) {
            double.push('\\');
        }
        double.push(c);
    }
    forms.insert(double);
    // `$'…'`, in which a locale without UTF-8 makes octal numbers of the bytes.
    for ascii in [false, true] {
        let mut dollar = String::new();
        for c in text.chars() {
            match c {
                '\\' | '\'' => dollar.extend(['\\', c]),
                '\n' => dollar += "\\n",
                '\t' => dollar += "\\t",
                '\r' => dollar += "\\r",
                '\x1b' => dollar += "\\E",
                c if c.is_ascii() && !c.is_ascii_control() => dollar.push(c),
                c if !c.is_ascii() && !ascii => dollar.push(c),
                c => c.encode_utf8(&mut [0; 4]).bytes().for_each(|b| push_octal(&mut dollar, b)),
            }
        }
        forms.insert(dollar);
    }
}

/// The text as a literal, an identifier, a field of COPY and a `bytea` of PostgreSQL.
fn sql(text: &str, forms: &mut BTreeSet<String>) {
    forms.insert(text.replace('\'', "''"));
    forms.insert(text.replace('\\', "\\\\").replace('\'', "''"));
    forms.insert(text.replace('"', "\"\""));
    // A field of a row.
    forms.insert(text.replace('\\', "\\\\").replace('"', "\"\""));
    let copy = text.replace('\\', "\\\\").replace('\t', "\\t").replace('\n', "\\n").replace('\r', "\\r");
    forms.insert(copy);
    let mut escaped = String::new();
    for byte in text.bytes() {
        match byte {
            b'\\' => escaped += "\\\\",
            b' '..=b'~' => escaped.push(char::from(byte)),
            byte => push_octal(&mut escaped, byte),
        }
    }
    forms.insert(escaped);
}

/// The characters of base64 texts (RFC 4648, standard and URL-safe) that depend on `data` alone, at each of the three
/// alignments, so also inside a larger text such as an SMTP `AUTH PLAIN`.
pub fn base64(data: &[u8]) -> BTreeSet<String> {
    [false, true].into_iter().flat_map(|url| (0..3).map(move |shift| base64_inner(data, shift, url))).collect()
}

/// The characters of the base64 text of `data` after `shift` unknown bytes that depend on `data` alone.
fn base64_inner(data: &[u8], shift: usize, url: bool) -> String {
    let engine = if url { URL_SAFE_NO_PAD } else { STANDARD_NO_PAD };
    let mut text = engine.encode([&[0; 2][..shift], data].concat());
    // The last character and the first ones have bits of their own only.
    text.truncate((shift + data.len()) * 8 / 6);
    text.split_off((shift * 8).div_ceil(6).min(text.len()))
}

/// The bytes in hexadecimal, without anything between them: `encode(…, 'hex')`, a `bytea`, `xxd -p`.
pub fn plain_hex(data: &[u8]) -> [String; 2] {
    [true, false].map(|upper| hex_with(data, upper, |_| ""))
}

/// The bytes in hexadecimal as tools write them: plain, with something between them, in pairs as `xxd` does, with `\x` or
/// `0x` before each.
fn hex(data: &[u8]) -> Vec<String> {
    let mut forms: Vec<String> = plain_hex(data).into();
    for upper in [false, true] {
        forms.extend([" ", ":", "-", "\\x", ", 0x", ",0x", " 0x"].map(|between| hex_with(data, upper, |_| between)));
        forms.extend([1, 0].map(|odd| hex_with(data, upper, |at| if at % 2 == odd { " " } else { "" })));
    }
    forms
}

/// The bytes in hexadecimal, with what `between` gives before each but the first.
fn hex_with(data: &[u8], upper: bool, between: impl Fn(usize) -> &'static str) -> String {
    let digits = if upper { b"0123456789ABCDEF" } else { b"0123456789abcdef" };
    let mut out = String::with_capacity(data.len() * 4);
    for (at, byte) in data.iter().enumerate() {
        if at > 0 {
            out += between(at);
        }
        out.push(char::from(digits[usize::from(byte >> 4)]));
        out.push(char::from(digits[usize::from(byte & 0xf)]));
    }
    out
}
