//! The forms in which programs write a text: escaped, quoted and encoded as the common tools do it.

use std::collections::BTreeSet;

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
    let all: String = text.encode_utf16().map(|unit| format!("\\u{unit:04x}")).collect();
    forms.insert(all.to_uppercase().replace("\\U", "\\u"));
    forms.insert(all);
}

/// A JSON text without its quotes; characters beyond ASCII and those in `html` as `\uXXXX`.
fn escape_json(text: &str, ascii: bool, upper: bool, html: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        if (ascii && !c.is_ascii()) || html.contains(c) {
            for unit in c.encode_utf16(&mut [0; 2]) {
                out += &if upper { format!("\\u{unit:04X}") } else { format!("\\u{unit:04x}") };
            }
            continue;
        }
        let one = serde_json::to_string(&c).unwrap_or_default();
        out += one.get(1..one.len().saturating_sub(1)).unwrap_or_default();
    }
    out
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
            let mut repr = String::new();
            for c in text.chars() {
                match c {
                    '\\' => repr += "\\\\",
                    '\n' => repr += "\\n",
                    '\r' => repr += "\\r",
                    '\t' => repr += "\\t",
                    c if c == quote => repr.extend(['\\', c]),
                    c if c.is_ascii_control() => repr += &format!("\\x{:02x}", u32::from(c)),
                    c if c.is_ascii() || !ascii => repr.push(c),
                    c => c.encode_utf8(&mut [0; 4]).bytes().for_each(|b| repr += &format!("\\x{b:02x}")),
                }
            }
            if !ascii {
                forms.insert(repr.chars().map(python_ascii).collect());
            }
            forms.insert(repr);
        }
    }
}

/// A character as `ascii` of Python writes it.
fn python_ascii(c: char) -> String {
    match u32::from(c) {
        0..0x80 => c.to_string(),
        code @ 0x80..0x100 => format!("\\x{code:02x}"),
        code @ 0x100..0x10000 => format!("\\u{code:04x}"),
        code => format!("\\U{code:08x}"),
    }
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
    let mut out = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || keep.as_bytes().contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push(sign);
            out += &if upper { format!("{byte:02X}") } else { format!("{byte:02x}") };
        }
    }
    out
}

/// The text in a page: with the names and numbers that the common escapers give.
fn html(text: &str, forms: &mut BTreeSet<String>) {
    forms.insert(numbered(text, false));
    forms.insert(numbered(text, true));
    let basic = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    for double in ["\"", "&quot;", "&#34;", "&#x22;"] {
        for single in ["'", "&#39;", "&#039;", "&#x27;", "&apos;"] {
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
    let one = |c: char| match (c.is_ascii(), hex) {
        (true, _) => c.to_string(),
        (false, true) => format!("&#x{:x};", u32::from(c)),
        (false, false) => format!("&#{};", u32::from(c)),
    };
    text.chars().map(one).collect()
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
                c => c.encode_utf8(&mut [0; 4]).bytes().for_each(|b| dollar += &format!("\\{b:03o}")),
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
            byte => escaped += &format!("\\{byte:03o}"),
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
    const STANDARD: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let bit = |i: usize| -> u8 {
        let byte = data[i / 8];
        (byte >> (7 - i % 8)) & 1
    };
    let bits = data.len() * 8;
    // With `shift` bytes before it, the first sextet that starts inside the data begins after this many of its bits.
    let first = (6 - (shift * 8) % 6) % 6;
    (0..(bits - first) / 6)
        .map(|n| {
            let index = (0..6).fold(0u8, |acc, k| (acc << 1) | bit(first + n * 6 + k));
            match (STANDARD[usize::from(index)], url) {
                (b'+', true) => '-',
                (b'/', true) => '_',
                (c, _) => char::from(c),
            }
        })
        .collect()
}

/// The bytes in hexadecimal, without anything between them: `encode(…, 'hex')`, a `bytea`, `xxd -p`.
pub fn plain_hex(data: &[u8]) -> [String; 2] {
    let lower: String = data.iter().map(|b| format!("{b:02x}")).collect();
    [lower.to_uppercase(), lower]
}

/// The bytes in hexadecimal as tools write them: plain, with something between them, in pairs as `xxd` does, with `\x` or
/// `0x` before each.
fn hex(data: &[u8]) -> Vec<String> {
    let mut forms: Vec<String> = plain_hex(data).into();
    for upper in [false, true] {
        let bytes: Vec<String> =
            data.iter().map(|b| if upper { format!("{b:02X}") } else { format!("{b:02x}") }).collect();
        forms.extend([" ", ":", "-", "\\x", ", 0x", ",0x", " 0x"].map(|between| bytes.join(between)));
        for first in [1, 2] {
            let mut pairs = String::new();
            for (at, byte) in bytes.iter().enumerate() {
                if at > 0 && at % 2 == first % 2 {
                    pairs.push(' ');
                }
                pairs += byte;
            }
            forms.push(pairs);
        }
    }
    forms
}
