//! The `Redactor`: takes every known secret out of a text, in every form in which programs print it.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use super::beginnings::Beginnings;
use super::pieces::Pieces;
use super::{MASK, Secret, forms, weak};

/// How many bytes of a pattern are compared to find where it may begin.
const START: usize = 4;

/// Takes every known secret, in every form in which programs print it, out of a text.
///
/// The forms are those of `forms::of`, of the whole value and of each line of a value of several lines. A base64 or
/// hexadecimal text that is broken into lines is masked too: each line masks the piece of the secret that it has.
/// A weak secret (see `weak`) is masked only where it stands alone. The longest match wins. Give it whole lines: mask
/// first, cut later.
#[derive(Clone, Default)]
pub struct Redactor(Option<Arc<Inner>>);

struct Inner {
    /// They find where a secret may begin.
    starts: Beginnings,
    patterns: Patterns,
    pieces: Pieces,
}

/// Texts in order, of which the longest is found that a text begins with. No automaton: one of a secret of 64 KiB, which
/// has some hundred forms, has millions of states.
struct Patterns(Vec<Pattern>);

struct Pattern {
    text: String,
    /// It counts only where it stands alone.
    bounded: bool,
    /// The longest other pattern that this one begins with.
    shorter: Option<usize>,
}

impl Redactor {
    /// A redactor for these secrets; sealed and empty ones are passed over.
    pub fn new<'a>(secrets: impl IntoIterator<Item = &'a Secret>) -> Self {
        Self::with_names(secrets, &[])
    }

    /// The same, where texts also have these names of roles, databases and plans: a secret that equals one is weak.
    pub fn with_names<'a>(secrets: impl IntoIterator<Item = &'a Secret>, names: &[String]) -> Self {
        let mut patterns: BTreeMap<String, bool> = BTreeMap::new();
        let mut whole = Vec::new();
        for value in secrets.into_iter().filter_map(Secret::expose) {
            let lines = value.lines().map(str::trim).filter(|l| l.chars().count() >= 4 && *l != value);
            for text in std::iter::once(value).chain(lines) {
                let bounded = weak::why(text, names).is_some();
                for form in forms::of(text) {
                    // What a strong secret needs, a weak one does not take back.
                    patterns.entry(form).and_modify(|b| *b &= bounded).or_insert(bounded);
                }
            }
            whole.push(value.as_bytes());
        }
        if patterns.is_empty() {
            return Self(None);
        }
        let starts = Beginnings::of(patterns.keys().map(String::as_bytes), START);
        let (patterns, pieces) = (Patterns::new(patterns), Pieces::new(whole));
        Self(Some(Arc::new(Inner { starts, patterns, pieces })))
    }

    /// The text with [`MASK`] in place of every secret.
    pub fn mask<'t>(&self, text: &'t str) -> Cow<'t, str> {
        let Some(inner) = &self.0 else {
            return Cow::Borrowed(text);
        };
        let masked = replaced(text, inner.whole(text));
        match inner.pieces.find(&masked) {
            found if found.is_empty() => masked,
            found => Cow::Owned(replaced(&masked, found.into_iter()).into_owned()),
        }
    }

    /// The JSON value with every text in it masked, keys too, and every number that is a secret.
    pub fn mask_json(&self, value: &serde_json::Value) -> serde_json::Value {
        use serde_json::Value;
        match value {
            Value::String(s) => Value::String(self.mask(s).into_owned()),
            Value::Array(items) => Value::Array(items.iter().map(|v| self.mask_json(v)).collect()),
            Value::Object(map) => {
                Value::Object(map.iter().map(|(k, v)| (self.mask(k).into_owned(), self.mask_json(v))).collect())
            }
            Value::Number(n) if self.mask(&n.to_string()) == MASK => Value::String(MASK.to_owned()),
            other => other.clone(),
        }
    }
}

impl fmt::Debug for Redactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Redactor")
    }
}

impl Inner {
    /// The places of whole secrets in a text, in order.
    fn whole<'t>(&'t self, text: &'t str) -> impl Iterator<Item = Range<usize>> + 't {
        let mut starts = self.starts.search(text.as_bytes());
        let mut at = 0;
        std::iter::from_fn(move || {
            loop {
                let from = starts.next(at)?;
                at = from + 1;
                let Some(found) = self.patterns.longest(&text.as_bytes()[from..]) else { continue };
                let place = from..from + found.text.len();
                if !found.bounded || stands_alone(text, place.clone()) {
                    at = place.end;
                    return Some(place);
                }
            }
        })
    }
}

impl Patterns {
    fn new(texts: BTreeMap<String, bool>) -> Self {
        let mut all: Vec<Pattern> = Vec::with_capacity(texts.len());
        for (text, bounded) in texts {
            let mut shorter = all.len().checked_sub(1);
            while let Some(before) = shorter.map(|at| &all[at]).filter(|p| !text.starts_with(&p.text)) {
                shorter = before.shorter;
            }
            all.push(Pattern { text, bounded, shorter });
        }
        Self(all)
    }

    /// The longest pattern that a text begins with.
    fn longest(&self, text: &[u8]) -> Option<&Pattern> {
        // All that it begins with are begun with by the last one that is not after it.
        let after = self.0.partition_point(|p| p.text.as_bytes() <= text);
        let mut found = self.0.get(after.checked_sub(1)?)?;
        while !text.starts_with(found.text.as_bytes()) {
            found = &self.0[found.shorter?];
        }
        Some(found)
    }
}

/// Whether no letter, digit or `_` is next to a place in a text.
fn stands_alone(text: &str, place: Range<usize>) -> bool {
    let word = |c: char| c.is_alphanumeric() || c == '_';
    !text[..place.start].ends_with(word) && !text[place.end..].starts_with(word)
}

/// The text with [`MASK`] in these places.
fn replaced(text: &str, places: impl Iterator<Item = Range<usize>>) -> Cow<'_, str> {
    let mut out = String::new();
    let mut last = 0;
    for place in places {
        out += &text[last..place.start];
        out += MASK;
        last = place.end;
    }
    if last == 0 && out.is_empty() {
        return Cow::Borrowed(text);
    }
    out += &text[last..];
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn redactor(value: &str) -> Redactor {
        Redactor::new([&Secret::new(value)])
    }

    #[test]
    fn every_derived_form_is_masked() {
        let redactor = redactor("pä ss\"w$rd\\1");
        let once = serde_json::to_string("pä ss\"w$rd\\1").expect("a text");
        let thrice = serde_json::to_string(&serde_json::to_string(&once).expect("a text")).expect("a text");
        for text in ["x pä ss\"w$rd\\1 y", "a=p%C3%A4%20ss%22w%24rd%5C1&", &once, &thrice] {
            let masked = redactor.mask(text);
            assert!(masked.contains(MASK), "{text} -> {masked}");
            assert!(!masked.contains("w$rd") && !masked.contains("w%24rd"), "{masked}");
        }
        assert_eq!(redactor.mask("nothing here"), "nothing here");
    }

    #[test]
    fn what_others_leave_or_escape_by_default_is_masked() {
        let redactor = redactor("é/+& 𝄞key");
        for text in [
            r"\u00e9/+& \ud834\udd1ekey",
            r"\u00E9/+& \uD834\uDD1Ekey",
            r"\\u00e9/+& \\ud834\\udd1ekey",
            r"é\/+& 𝄞key",
            r"\u00e9\/+& \ud834\udd1ekey",
            r"é/+\u0026 𝄞key",
            r"\u00e9\u002f\u002b\u0026\u0020\ud834\udd1e\u006b\u0065\u0079",
        ] {
            assert_eq!(redactor.mask(text), MASK, "{text}");
        }
        for text in
            ["%C3%A9/%2B%26%20%F0%9D%84%9Ekey", "%C3%A9/+&%20%F0%9D%84%9Ekey", "%c3%a9%2f%2b%26+%f0%9d%84%9ekey"]
        {
            assert_eq!(redactor.mask(text), MASK, "{text}");
        }
    }

    #[test]
    fn what_a_parser_of_addresses_makes_of_it_is_masked() {
        let all: String = ('!'..='~').filter(|c| !matches!(c, '#' | '?' | '/' | '\\')).chain("ä€𝄞".chars()).collect();
        let redactor = redactor(&format!("a{all}z"));
        let path = url::Url::parse(&format!("https://h.example.org/a{all}z/end")).expect("an address");
        assert_eq!(redactor.mask(path.as_str()), "https://h.example.org/***/end");
        let query = url::Url::parse(&format!("https://h.example.org/?t=a{all}z&end")).expect("an address");
        assert_eq!(redactor.mask(query.as_str()), "https://h.example.org/?t=***&end");
    }

    #[test]
    fn what_a_page_makes_of_it_is_masked() {
        let redactor = redactor("a<b>&\"c'd/é");
        for text in [
            "a&lt;b&gt;&amp;&quot;c&#39;d/é",
            "a&lt;b&gt;&amp;&quot;c&#x27;d/é",
            "a&lt;b&gt;&amp;&quot;c&#039;d/é",
            "a&lt;b&gt;&amp;\"c'd/é",
            "a&lt;b&gt;&amp;&quot;c&#x27;d&#x2F;é",
            "a&lt;b&gt;&amp;\"c'd/&#233;",
        ] {
            assert_eq!(redactor.mask(text), MASK, "{text}");
        }
    }

    #[test]
    fn what_shells_and_sql_and_python_make_of_it_is_masked() {
        let redactor = redactor("it's $5 a\\b\"ü");
        for text in [
            r#"it'\''s $5 a\b"ü"#,
            r#"it'"'"'s $5 a\b"ü"#,
            r#"it\'s\ \$5\ a\\b\"ü"#,
            r#"it's \$5 a\\b\"ü"#,
            r#"it\'s $5 a\\b"\303\274"#,
            r#"it''s $5 a\b"ü"#,
            r#"it''s $5 a\\b"ü"#,
            r#"it's $5 a\b""ü"#,
            r#"it\'s $5 a\\b"ü"#,
            r#"it\'s $5 a\\b"\xc3\xbc"#,
        ] {
            assert_eq!(redactor.mask(text), MASK, "{text}");
        }
    }

    #[test]
    fn hexadecimal_is_masked_with_and_without_anything_between() {
        let redactor = redactor("Kiwi5!");
        for text in [
            "4b69776935 21".replace(' ', "").as_str(),
            "4B6977693521",
            "4b 69 77 69 35 21",
            "4b:69:77:69:35:21",
            "4b69 7769 3521",
        ] {
            assert_eq!(redactor.mask(text), MASK, "{text}");
        }
        assert_eq!(redactor.mask("'\\x614b6977693521'::bytea"), "'\\x61***'::bytea");
        assert_eq!(redactor.mask("b'\\x4b\\x69\\x77\\x69\\x35\\x21'"), "b'\\x***'");
    }

    #[test]
    fn base64_is_masked_at_every_alignment() {
        // `printf '\0user\0correct horse' | base64`, and the same with one and two letters more in front.
        let redactor = redactor("correct horse");
        for text in ["AHVzZXIAY29ycmVjdCBob3JzZQ==", "AHVzZXJhAGNvcnJlY3QgaG9yc2U=", "AHVzZXJhYgBjb3JyZWN0IGhvcnNl"] {
            assert!(redactor.mask(text).contains(MASK), "{text}");
        }
    }

    #[test]
    fn the_longest_secret_wins_and_lines_count_alone() {
        let redactor =
            Redactor::new([&Secret::new("abcd"), &Secret::new("abcdef"), &Secret::new("line one\nline two\n")]);
        assert_eq!(redactor.mask("abcdef abcd"), "*** ***");
        assert_eq!(redactor.mask("saw line two"), "saw ***");
    }

    #[test]
    fn a_weak_secret_is_masked_only_where_it_stands_alone() {
        let names = ["exemplo".to_owned()];
        let all = ["e", "postgres", "exemplo", "tok", "wombat-7"].map(Secret::new);
        let redactor = Redactor::with_names(&all, &names);
        assert_eq!(redactor.mask("the exemplo_vacuo of exemplo: e"), "the exemplo_vacuo of ***: ***");
        assert_eq!(redactor.mask("postgresql, postgres, token tok"), "postgresql, ***, token ***");
        assert_eq!(redactor.mask("xwombat-7x"), "x***x");
    }

    #[test]
    fn what_a_secret_costs_grows_as_it_does() {
        let small = 2 << 10;
        let texts = [small, 8 * small].map(|size: usize| {
            let letter = |n: usize| char::from(b'!' + (n.wrapping_mul(n).wrapping_mul(2_654_435_761) >> 7) as u8 % 90);
            let lines = (0..size).map(|n| if n % 64 == 63 { '\n' } else { letter(n) });
            let secret: String = lines.collect();
            let encoded = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, &secret);
            let lines: Vec<&str> = encoded.as_bytes().chunks(76).filter_map(|c| str::from_utf8(c).ok()).collect();
            (secret, lines.join("\n"))
        });
        // To make the redactor, and to mask.
        let mut best = [[f64::MAX; 2]; 2];
        for _ in 0..3 {
            for ([making, masking], (secret, encoded)) in best.iter_mut().zip(&texts) {
                let clock = std::time::Instant::now();
                let redactor = redactor(secret);
                *making = making.min(clock.elapsed().as_secs_f64());
                let clock = std::time::Instant::now();
                let masked: Vec<String> = encoded.lines().map(|l| redactor.mask(l).into_owned()).collect();
                *masking = masking.min(clock.elapsed().as_secs_f64());
                assert!(masked.iter().all(|line| line.starts_with(MASK) && line.len() <= MASK.len() + 3));
                assert_eq!(redactor.mask(&format!("the key is {secret}.")), "the key is ***.");
            }
        }
        // Eight times the size: 64 times as long where each line is compared with the whole secret.
        let [small, large] = best;
        assert!(large[0] < 24.0 * small[0] && large[1] < 24.0 * small[1], "{small:?}, {large:?}");
    }

    #[test]
    fn a_number_that_is_a_secret_is_masked() {
        let redactor = Redactor::new([&Secret::new("748291"), &Secret::new("48")]);
        let masked = redactor.mask_json(&serde_json::json!({ "pin": 748291, "bytes": 1480, "all": [48, 4.5] }));
        assert_eq!(masked, serde_json::json!({ "pin": MASK, "bytes": 1480, "all": [MASK, 4.5] }));
    }
}
