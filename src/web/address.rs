//! An address: read strictly, and shown without what is secret in it.

use std::fmt;

use url::Url;

use crate::secret::{MASK, MaybeSecret, Secret};
use crate::tls;

/// What is wrong with an address. Quotes nothing of it, since it may be a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flaw {
    pub what: String,
    pub hint: &'static str,
}

/// Reads an address of the web. What a parser would change or leave out in silence is refused: a secret in it would be
/// another one at the server.
///
/// # Errors
/// What is wrong with it.
pub fn read(text: &str) -> Result<Url, Flaw> {
    let wrong = |what: &str, hint| Err(Flaw { what: what.to_owned(), hint });
    let begins = |scheme: &str| text.get(..scheme.len()).is_some_and(|t| t.eq_ignore_ascii_case(scheme));
    if !begins("https://") && !begins("http://") {
        return wrong("begins with neither `https://` nor `http://`", "write the whole address");
    }
    if text.contains(|c: char| c.is_whitespace() || c.is_control()) {
        return wrong("has a blank or a line break in it", "write `%20` for a blank");
    }
    if text.contains('\\') {
        return wrong("has a `\\` in it", "write `%5C` for it");
    }
    if text.contains('#') {
        return wrong("has a `#` in it, and nothing behind that is ever sent", "leave it out, or write `%23` for it");
    }
    let authority = text.split_once("://").map_or("", |(_, rest)| rest.split(['/', '?']).next().unwrap_or_default());
    if authority.contains('@') {
        return wrong("has a login in it", "put it under `username` and `password`");
    }
    match Url::parse(text) {
        Ok(url) if url.host_str().is_some_and(|h| !h.is_empty()) => Ok(url),
        Ok(_) => wrong("names no host", "write the whole address"),
        Err(error) => Err(Flaw { what: format!("is no address: {error}"), hint: "write it as `https://host/path`" }),
    }
}

/// Whether what goes there would be read on the way: not encrypted, and to another machine.
pub fn in_clear(url: &Url) -> bool {
    url.scheme() == "http" && !tls::is_here(url.host_str().unwrap_or_default())
}

/// Scheme, host and port: what a request is sent to.
pub(super) fn origin(url: &Url) -> String {
    let port = url.port().map(|p| format!(":{p}")).unwrap_or_default();
    format!("{}://{}{port}", url.scheme(), url.host_str().unwrap_or_default())
}

/// Where a request goes, as people may read it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place(String);

impl Place {
    /// As far as it is known without opening a secret.
    pub fn closed(url: &MaybeSecret) -> Self {
        Self(if url.shown() == MASK { "an address that is a secret".to_owned() } else { url.shown().to_owned() })
    }

    /// The place of a whole address: of one that is secret all over, only whom it leads to.
    pub fn open(url: &Url, written: &MaybeSecret) -> Self {
        let shown = written.shown();
        Self(match shown.strip_prefix(MASK) {
            Some(rest) => format!("{}/{MASK}{rest}", origin(url)),
            None => shown.to_owned(),
        })
    }

    /// Where a redirect leads. The server may have put the secrets of the address into it.
    pub(super) fn next(&self, url: &Url) -> Self {
        Self(if self.0.contains(MASK) { format!("{}/{MASK}", origin(url)) } else { url.as_str().to_owned() })
    }

    /// Whether its host may be named.
    pub(super) fn names_host(&self) -> bool {
        let authority =
            self.0.split_once("://").map_or("", |(_, rest)| rest.split(['/', '?']).next().unwrap_or_default());
        !authority.contains(MASK)
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The parts by which a secret text may come back in an answer: of an address its path, its query and what they consist of, of
/// others their words.
pub fn parts(text: &str) -> Vec<Secret> {
    let rest = text.split_once("://").and_then(|(_, rest)| rest.split_once('/')).map_or(text, |(_, path)| path);
    let query = rest.split_once('?').map_or("", |(_, query)| query);
    let pieces = rest.split(|c: char| c.is_whitespace() || matches!(c, '/' | '?' | '&' | '=')).filter(|p| p.len() >= 8);
    let whole = [text, rest, query].into_iter().filter(|p| p.len() >= 4);
    whole.chain(pieces).map(Secret::new).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_read_as_it_stands_or_not_at_all() {
        for text in ["https://h.example.org", "HTTPS://h/a%20b?c=d%23", "http://127.0.0.1:8080/x", "https://[::1]/"] {
            assert!(read(text).is_ok(), "{text}");
        }
        for (text, part) in [
            ("", "neither"),
            ("hc-ping.example.org/x", "neither"),
            ("ftp://h/x", "neither"),
            ("file:///etc/passwd", "neither"),
            ("https://h/a b", "a blank"),
            ("https://h/a\nb", "a line break"),
            ("https://h/a\\b", "`\\`"),
            ("https://h/a#b", "`#`"),
            ("https://me:canary@h/", "a login"),
            ("https://@h/", "a login"),
            ("https://h:canary/", "no address"),
            ("https://", "no address"),
        ] {
            let flaw = read(text).expect_err(text);
            assert!(flaw.what.contains(part) && !flaw.what.contains("canary"), "{text}: {}", flaw.what);
        }
    }

    #[test]
    fn a_place_shows_nothing_secret() {
        let url = read("https://h.example.org:8443/canary/start?k=canary").expect("an address");
        let whole = MaybeSecret::Secret(Secret::new(url.as_str()));
        let partly =
            MaybeSecret::Secret(Secret::new(url.as_str()).showing("https://h.example.org:8443/***/start?k=***"));
        let begun = MaybeSecret::Secret(Secret::new(url.as_str()).showing("***/start"));
        assert_eq!(Place::open(&url, &begun).to_string(), "https://h.example.org:8443/***/start");
        let plain = MaybeSecret::Plain("https://h.example.org/x".to_owned());
        let host = MaybeSecret::Secret(Secret::new(url.as_str()).showing("https://***/start"));
        assert_eq!(Place::closed(&whole).to_string(), "an address that is a secret");
        assert_eq!(Place::open(&url, &whole).to_string(), "https://h.example.org:8443/***");
        assert_eq!(Place::open(&url, &partly).to_string(), "https://h.example.org:8443/***/start?k=***");
        assert_eq!(Place::open(&url, &plain).to_string(), "https://h.example.org/x");
        let hidden = Place::open(&url, &host);
        assert!(hidden.to_string() == "https://***/start" && !hidden.names_host());
        let to = read("https://other.example.org/canary").expect("an address");
        assert_eq!(Place::open(&url, &partly).next(&to).to_string(), "https://other.example.org/***");
    }

    #[test]
    fn clear_text_to_another_machine_is_known() {
        for (text, clear) in [
            ("http://h.example.org/", true),
            ("http://10.0.0.1/", true),
            ("http://127.0.0.1.example.org/", true),
            ("https://h.example.org/", false),
            ("http://localhost/", false),
            ("http://LOCALHOST:9/", false),
            ("http://127.0.0.9/", false),
            ("http://[::1]:80/", false),
        ] {
            assert_eq!(in_clear(&read(text).expect("an address")), clear, "{text}");
        }
    }
}
