//! `Secret`, a value that is never shown, and the one `Redactor` that keeps it out of every text.
//!
//! A secret has no `Display`, its `Debug` is `***`, and it is wiped from memory when the last holder lets go.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use aho_corasick::{AhoCorasick, MatchKind};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use secrecy::{ExposeSecret, SecretString};
use serde::de::{Deserialize, Deserializer, SeqAccess, Visitor};

/// What stands in place of a secret wherever text is shown.
pub const MASK: &str = "***";

/// The name under which a deserializer of ours hands a secret over; see [`Secret`]'s `Deserialize`.
pub const TOKEN: &str = "$runplan::Secret";

/// The key of a JSON Schema that marks a place where a secret may stand.
pub const SCHEMA_MARK: &str = "x-runplan-secret";

/// The key of a JSON Schema that marks, beside [`SCHEMA_MARK`], a place where what stands need not be a secret.
pub const PLAIN_MARK: &str = "x-runplan-plain";

/// A value that is never shown.
///
/// It may be sealed: its source is known, its value was not fetched. A dry run holds only sealed ones (a database
/// password apart), so nothing in it can use one.
#[derive(Clone)]
pub struct Secret {
    value: Option<Arc<SecretString>>,
    shown: Option<Arc<str>>,
    origin: Option<Arc<str>>,
}

impl Secret {
    /// A secret whose value is at hand.
    pub fn new(value: impl Into<String>) -> Self {
        let value: String = value.into();
        Self { value: Some(Arc::new(SecretString::from(value))), shown: None, origin: None }
    }

    /// A secret whose value was not fetched.
    pub fn sealed() -> Self {
        Self { value: None, shown: None, origin: None }
    }

    /// The same secret, a text that has others in it, with what may be shown of it: [`MASK`] stands in place of each.
    #[must_use]
    pub fn showing(self, shown: &str) -> Self {
        Self { shown: Some(shown.into()), ..self }
    }

    /// What may be shown of a text that has secrets in it, if it is more than a secret alone.
    pub fn shown(&self) -> Option<&str> {
        self.shown.as_deref()
    }

    /// The same secret with where it came from, like the name of a variable: for messages.
    #[must_use]
    pub fn with_origin(self, origin: &str) -> Self {
        Self { origin: Some(origin.into()), ..self }
    }

    /// Where it came from, if that is known; never its value.
    pub fn origin(&self) -> Option<&str> {
        self.origin.as_deref()
    }

    /// Whether the value was not fetched.
    pub fn is_sealed(&self) -> bool {
        self.value.is_none()
    }

    /// Whether the value is at hand and is the empty text.
    pub fn is_empty(&self) -> bool {
        self.expose().is_some_and(str::is_empty)
    }

    /// The value, for the few places that hand it to a server, a cipher or a child; none when sealed. Everything else
    /// asks `Touch::open`, which a dry run does not have.
    pub(crate) fn expose(&self) -> Option<&str> {
        self.value.as_deref().map(ExposeSecret::expose_secret)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(MASK)
    }
}

impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        self.expose() == other.expose()
    }
}

/// A text that may be a secret and need not be one.
#[derive(Debug, Clone, PartialEq)]
pub enum MaybeSecret {
    Plain(String),
    Secret(Secret),
}

impl MaybeSecret {
    /// Whether it is a secret.
    pub fn is_secret(&self) -> bool {
        matches!(self, Self::Secret(_))
    }

    /// The text for people: [`MASK`] in place of what is secret in it.
    pub fn shown(&self) -> &str {
        match self {
            Self::Plain(text) => text,
            Self::Secret(secret) => secret.shown().unwrap_or(MASK),
        }
    }
}

/// Reads what a deserializer of ours gives under the newtype name [`TOKEN`]: the value, none when it is sealed, what
/// may be shown, and where it came from. Other deserializers give a text.
pub(crate) fn handed_over<'de, D: Deserializer<'de>>(deserializer: D) -> Result<MaybeSecret, D::Error> {
    struct Parts;
    impl<'de> Visitor<'de> for Parts {
        type Value = MaybeSecret;
        fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
            f.write_str("a text or a secret")
        }
        fn visit_str<E>(self, v: &str) -> Result<MaybeSecret, E> {
            Ok(MaybeSecret::Plain(v.to_owned()))
        }
        fn visit_seq<A: SeqAccess<'de>>(self, mut parts: A) -> Result<MaybeSecret, A::Error> {
            let value: Option<Option<String>> = parts.next_element()?;
            let shown: Option<Option<String>> = parts.next_element()?;
            let origin: Option<Option<String>> = parts.next_element()?;
            let mut secret = value.flatten().map_or_else(Secret::sealed, Secret::new);
            secret.origin = origin.flatten().map(Into::into);
            Ok(MaybeSecret::Secret(match shown.flatten() {
                Some(shown) => secret.showing(&shown),
                None => secret,
            }))
        }
    }
    deserializer.deserialize_any(Parts)
}

impl<'de> Deserialize<'de> for MaybeSecret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = MaybeSecret;
            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("a text or a secret")
            }
            fn visit_str<E>(self, v: &str) -> Result<MaybeSecret, E> {
                Ok(MaybeSecret::Plain(v.to_owned()))
            }
            fn visit_newtype_struct<D: Deserializer<'de>>(self, d: D) -> Result<MaybeSecret, D::Error> {
                handed_over(d)
            }
        }
        deserializer.deserialize_newtype_struct(TOKEN, Reader)
    }
}

impl<'de> Deserialize<'de> for Secret {
    /// Reads a text, or the secret that a deserializer of ours hands over.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(match MaybeSecret::deserialize(deserializer)? {
            MaybeSecret::Plain(text) => Self::new(text),
            MaybeSecret::Secret(secret) => secret,
        })
    }
}

impl JsonSchema for Secret {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        "Secret".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", SCHEMA_MARK: true })
    }
}

impl JsonSchema for MaybeSecret {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        "MaybeSecret".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", SCHEMA_MARK: true, PLAIN_MARK: true })
    }
}

/// Takes every known secret, in every form it may have been given on the way, out of a text.
///
/// The forms: as it is, each line of a value of several lines, percent-encoded, base64 (standard and URL-safe, at each of
/// the three alignments, so also inside an SMTP `AUTH PLAIN`), and escaped once to three times as JSON
/// (also in ASCII alone) or Rust `Debug` do, and as a page of HTML writes it.
/// The longest match wins. Texts are given line by line; a secret is never cut by a buffer's edge.
#[derive(Clone, Default)]
pub struct Redactor(Option<Arc<AhoCorasick>>);

impl Redactor {
    /// A redactor for these secrets; sealed and empty ones are passed over.
    pub fn new<'a>(secrets: impl IntoIterator<Item = &'a Secret>) -> Self {
        let mut patterns: Vec<String> = Vec::new();
        for value in secrets.into_iter().filter_map(Secret::expose) {
            let lines = value.lines().map(str::trim).filter(|l| l.chars().count() >= 4 && *l != value);
            for text in std::iter::once(value).chain(lines) {
                patterns.extend(forms(text));
            }
        }
        patterns.retain(|p| !p.is_empty());
        patterns.sort();
        patterns.dedup();
        if patterns.is_empty() {
            return Self(None);
        }
        let built = AhoCorasick::builder().match_kind(MatchKind::LeftmostLongest).build(&patterns);
        Self(Some(Arc::new(built.expect("the patterns of a few secrets fit an automaton"))))
    }

    /// The text with [`MASK`] in place of every secret.
    pub fn mask<'t>(&self, text: &'t str) -> Cow<'t, str> {
        let Some(matcher) = &self.0 else {
            return Cow::Borrowed(text);
        };
        if !matcher.is_match(text) {
            return Cow::Borrowed(text);
        }
        let mut out = String::with_capacity(text.len());
        matcher.replace_all_with(text, &mut out, |_, _, dst| {
            dst.push_str(MASK);
            true
        });
        Cow::Owned(out)
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

/// A text in every form a secret may be met in.
fn forms(text: &str) -> Vec<String> {
    let mut forms = vec![text.to_owned()];
    let mut escaped = text.to_owned();
    let mut debug = text.to_owned();
    for upper in [false, true] {
        let mut ascii = text.to_owned();
        for _ in 0..3 {
            ascii = escaped_to_ascii(&ascii, upper);
            forms.push(ascii.clone());
        }
    }
    for _ in 0..3 {
        escaped = serde_json::to_string(&escaped).map(|s| s[1..s.len() - 1].to_owned()).unwrap_or_default();
        debug = format!("{debug:?}");
        debug = debug[1..debug.len() - 1].to_owned();
        forms.push(escaped.clone());
        forms.push(debug.clone());
    }
    // Python and PHP, JavaScript's two, forms, everything; Python again, which leaves the slash by default.
    for keep in ["-_.~", "-_.!~*'()", "-_.!~*'();/?:@&=+$,#", "*-._", "", "-_.~/"] {
        let (upper, lower) = percent(text, keep);
        forms.push(upper.replace("%20", "+"));
        forms.push(upper);
        forms.push(lower);
    }
    // What a parser of addresses leaves as it is in a path and in a query (WHATWG URL, "Percent-encoded bytes").
    for mask in [" \"#<>?^`{}", " \"#<>?`{}", " \"#<>'", " \"#<>"] {
        let keep: String = (' '..='~').filter(|c| !mask.contains(*c)).collect();
        forms.push(percent(text, &keep).0);
    }
    for quotes in [["&quot;", "&#39;"], ["&quot;", "&#x27;"], ["&#34;", "&#39;"], ["\"", "'"]] {
        let html = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
        forms.push(html.replace('"', quotes[0]).replace('\'', quotes[1]));
    }
    if text.len() >= 4 {
        for url in [false, true] {
            for shift in 0..3 {
                forms.push(base64_inner(text.as_bytes(), shift, url));
            }
        }
    }
    forms
}

/// The text as a JSON text in ASCII alone, without its quotes: what Python, PHP and others write by default.
fn escaped_to_ascii(text: &str, upper: bool) -> String {
    let json = serde_json::to_string(text).unwrap_or_default();
    let mut out = String::new();
    for c in json.get(1..json.len().saturating_sub(1)).unwrap_or_default().chars() {
        if c.is_ascii() {
            out.push(c);
            continue;
        }
        for unit in c.encode_utf16(&mut [0; 2]) {
            out += &if upper { format!("\\u{unit:04X}") } else { format!("\\u{unit:04x}") };
        }
    }
    out
}

fn percent(text: &str, keep: &str) -> (String, String) {
    let (mut upper, mut lower) = (String::new(), String::new());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || keep.as_bytes().contains(&byte) {
            upper.push(char::from(byte));
            lower.push(char::from(byte));
        } else {
            upper += &format!("%{byte:02X}");
            lower += &format!("%{byte:02x}");
        }
    }
    (upper, lower)
}

/// The characters of the base64 text (RFC 4648) of `data` after `shift` unknown bytes that depend on `data` alone.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_derived_form_is_masked() {
        let secret = Secret::new("pä ss\"w$rd\\1");
        let redactor = Redactor::new([&secret]);
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
        let redactor = Redactor::new([&Secret::new("é/+& 𝄞key")]);
        for text in [r"\u00e9/+& \ud834\udd1ekey", r"\u00E9/+& \uD834\uDD1Ekey", r"\\u00e9/+& \\ud834\\udd1ekey"] {
            assert_eq!(redactor.mask(text), MASK, "{text}");
        }
        for text in ["%C3%A9/%2B%26%20%F0%9D%84%9Ekey", "%C3%A9/+&%20%F0%9D%84%9Ekey"] {
            assert_eq!(redactor.mask(text), MASK, "{text}");
        }
    }

    #[test]
    fn what_a_parser_of_addresses_makes_of_it_is_masked() {
        let all: String = ('!'..='~').filter(|c| !matches!(c, '#' | '?' | '/' | '\\')).chain("ä€𝄞".chars()).collect();
        let redactor = Redactor::new([&Secret::new(format!("a{all}z"))]);
        let path = url::Url::parse(&format!("https://h.example.org/a{all}z/end")).expect("an address");
        assert_eq!(redactor.mask(path.as_str()), "https://h.example.org/***/end");
        let query = url::Url::parse(&format!("https://h.example.org/?t=a{all}z&end")).expect("an address");
        assert_eq!(redactor.mask(query.as_str()), "https://h.example.org/?t=***&end");
        let redactor = Redactor::new([&Secret::new("a<b>&\"c'd")]);
        for text in ["a&lt;b&gt;&amp;&quot;c&#39;d", "a&lt;b&gt;&amp;&quot;c&#x27;d", "a&lt;b&gt;&amp;\"c'd"] {
            assert_eq!(redactor.mask(text), MASK, "{text}");
        }
    }

    #[test]
    fn base64_is_masked_at_every_alignment() {
        // `printf '\0user\0correct horse' | base64`, and the same with one and two letters more in front.
        let redactor = Redactor::new([&Secret::new("correct horse")]);
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
    fn a_number_that_is_a_secret_is_masked() {
        let redactor = Redactor::new([&Secret::new("748291"), &Secret::new("48")]);
        let masked = redactor.mask_json(&serde_json::json!({ "pin": 748291, "bytes": 1480, "all": [48, 4.5] }));
        assert_eq!(masked, serde_json::json!({ "pin": MASK, "bytes": 1480, "all": [MASK, 4.5] }));
    }

    #[test]
    fn a_secret_does_not_show_itself() {
        assert_eq!(format!("{:?}", Secret::new("hunter22")), "***");
    }
}
