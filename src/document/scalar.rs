//! Plain scalars: what they are, and which spellings YAML readers disagree on.
//!
//! YAML 1.1 reads `010` as eight and `12:30` as seven hundred and fifty, YAML 1.2 as ten and as a text; some readers know
//! underscores in numbers, some know dates. A plan that means one thing here and another in the next tool is a trap, so
//! such a scalar is a finding wherever it stands unquoted, and the remedy is quotes or the plain number.

use super::Kind;

/// Why a plain scalar is doubtful, and what to write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Doubt {
    /// Reads after "`010` is".
    pub why: &'static str,
    /// The plain number that was most likely meant.
    pub number: Option<String>,
    /// It is doubtful only where a text is wanted, like `3.10` for a version.
    pub only_as_text: bool,
}

/// What a plain scalar is.
pub fn classify(raw: &str) -> Kind {
    match raw {
        "" | "~" | "null" | "Null" | "NULL" => return Kind::Null,
        "true" | "True" | "TRUE" => return Kind::Bool(true),
        "false" | "False" | "FALSE" => return Kind::Bool(false),
        _ => {}
    }
    if is_integer(raw)
        && let Ok(number) = raw.parse()
    {
        return Kind::Int(number);
    }
    if is_float(raw)
        && let Ok(number) = raw.parse::<f64>()
        && number.is_finite()
    {
        return Kind::Float(number);
    }
    Kind::Text(raw.to_owned())
}

/// `0`, `7`, `-12`: what every reader takes for the same integer.
fn is_integer(raw: &str) -> bool {
    let digits = raw.strip_prefix('-').unwrap_or(raw);
    !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()) && (digits == "0" || !digits.starts_with('0'))
}

/// JSON's numbers with a fraction or an exponent.
fn is_float(raw: &str) -> bool {
    let body = raw.strip_prefix('-').unwrap_or(raw);
    let (mantissa, exponent) = match body.split_once(['e', 'E']) {
        Some((m, e)) => (m, Some(e)),
        None => (body, None),
    };
    let digits = |t: &str| !t.is_empty() && t.bytes().all(|b| b.is_ascii_digit());
    let whole = |t: &str| digits(t) && (t == "0" || !t.starts_with('0'));
    let mantissa_fits = match mantissa.split_once('.') {
        Some((a, b)) => whole(a) && digits(b),
        None => whole(mantissa) && exponent.is_some(),
    };
    mantissa_fits && exponent.is_none_or(|e| digits(e.strip_prefix(['+', '-']).unwrap_or(e)))
}

/// What makes a plain scalar doubtful.
pub fn doubt(raw: &str) -> Option<Doubt> {
    let always = |why, number| Some(Doubt { why, number, only_as_text: false });
    let body = raw.strip_prefix(['-', '+']).unwrap_or(raw);
    let sign = if raw.starts_with('-') { "-" } else { "" };
    let digits = |t: &str| !t.is_empty() && t.bytes().all(|b| b.is_ascii_digit());
    if !raw.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '-' | '+' | '.')) {
        return None;
    }
    if digits(body) && body.len() > 1 && body.starts_with('0') {
        let plain = body.trim_start_matches('0');
        let plain = if plain.is_empty() { "0" } else { plain };
        return always("octal to some YAML readers and decimal to others", Some(format!("{sign}{plain}")));
    }
    let prefixed = [("0o", 8), ("0O", 8), ("0x", 16), ("0X", 16), ("0b", 2)];
    for (prefix, radix) in prefixed {
        if let Some(Ok(number)) =
            body.strip_prefix(prefix).map(|rest| i64::from_str_radix(&rest.replace('_', ""), radix))
        {
            return always("a number to some YAML readers and a text to others", Some(format!("{sign}{number}")));
        }
    }
    if body.contains('_')
        && body.bytes().all(|b| b.is_ascii_digit() || b == b'_' || b == b'.')
        && body.starts_with(|c: char| c.is_ascii_digit())
    {
        return always(
            "a number to some YAML readers and a text to others",
            Some(raw.trim_start_matches('+').replace('_', "")),
        );
    }
    let sexagesimal: Vec<&str> = body.split(':').collect();
    if sexagesimal.len() > 1 && sexagesimal.len() < 4 && sexagesimal.iter().all(|p| digits(p) && p.len() <= 2) {
        return always("a number of base 60 to some YAML readers and a text to others", None);
    }
    if is_date(raw) {
        return always("a date to some YAML readers and a text to others", None);
    }
    if raw.starts_with('+') && (digits(body) || is_float(body)) {
        return always("a number to some YAML readers and a text to others", Some(body.to_owned()));
    }
    if body.starts_with('.') && digits(&body[1..]) {
        return always("a number to some YAML readers and a text to others", Some(format!("{sign}0{body}")));
    }
    if matches!(body, ".inf" | ".Inf" | ".INF" | ".nan" | ".NaN" | ".NAN") {
        return always("no number that a plan can use", None);
    }
    if is_float(raw) {
        // As a number it is clear; as a text it lost a zero, or its exponent, on the way.
        return Some(Doubt { why: "a number, which loses its spelling", number: None, only_as_text: true });
    }
    None
}

/// `2026-01-01`, also with a time behind it.
fn is_date(raw: &str) -> bool {
    let head = raw.as_bytes();
    let digit = |i: usize| head.get(i).is_some_and(u8::is_ascii_digit);
    let dash = |i: usize| head.get(i) == Some(&b'-');
    let shape = [0, 1, 2, 3, 5, 6, 8, 9].into_iter().all(digit) && dash(4) && dash(7);
    shape && (head.len() == 10 || matches!(head[10], b'T' | b't' | b' '))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_scalars_are_what_json_says() {
        for raw in [
            "no",
            "off",
            "on",
            "y",
            "Yes",
            "010",
            "1_000",
            "12:30",
            "2026-01-01",
            "+5",
            ".5",
            "0x1F",
            "abc",
            "1.2.3",
            "-",
        ] {
            assert!(matches!(classify(raw), Kind::Text(t) if t == raw), "{raw}");
        }
        assert!(matches!(classify("-12"), Kind::Int(-12)));
        assert!(matches!(classify("0"), Kind::Int(0)));
        assert!(matches!(classify("3.10"), Kind::Float(f) if (f - 3.1).abs() < 1e-9));
        assert!(matches!(classify("1e3"), Kind::Float(f) if f == 1000.0));
        assert!(matches!(classify("~"), Kind::Null));
        assert!(matches!(classify("True"), Kind::Bool(true)));
        // Too large for 64 bits: no reader agrees on it, and as a text nothing is lost.
        assert!(matches!(classify("99999999999999999999"), Kind::Text(_)));
    }

    #[test]
    fn doubtful_spellings_have_a_remedy() {
        for (raw, number) in [
            ("010", "10"),
            ("0o14", "12"),
            ("1_000", "1000"),
            ("0x1F", "31"),
            ("+5", "5"),
            (".5", "0.5"),
            ("-007", "-7"),
        ] {
            assert_eq!(doubt(raw).and_then(|d| d.number).as_deref(), Some(number), "{raw}");
        }
        for raw in ["12:30", "2026-01-01", "2026-01-01T00:00:00Z", ".inf"] {
            assert!(doubt(raw).is_some_and(|d| !d.only_as_text && d.number.is_none()), "{raw}");
        }
        assert!(doubt("3.10").is_some_and(|d| d.only_as_text));
        for raw in [
            "10",
            "0",
            "-3",
            "30s",
            "20GiB",
            "a:b",
            "1.2.3",
            "10.0.0.1",
            "backups/x",
            "- x",
            "0b",
            "127.0.0.1:5432",
            "01a",
        ] {
            assert_eq!(doubt(raw), None, "{raw}");
        }
    }
}
