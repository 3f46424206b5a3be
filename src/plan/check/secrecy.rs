//! What is secret, or should be, and is written in the plan for everybody to read.

use std::ops::Range;

use super::Work;
use super::codes::{TOKEN_IN_URL, WEAK_PASSWORD};
use super::places::literals;
use crate::diag::Finding;
use crate::document::Node;
use crate::secret;

/// Keys of a query whose value opens something.
const KEYS: [&str; 14] = [
    "token",
    "access_token",
    "auth_token",
    "api_key",
    "apikey",
    "api-key",
    "key",
    "secret",
    "password",
    "passwd",
    "auth",
    "sig",
    "signature",
    "code",
];

impl<'a> Work<'a> {
    /// Passwords that are easily guessed, tokens in addresses.
    pub(super) fn secrecy(&self) {
        for step in &self.steps {
            let given = |pointer: &str| {
                let in_defaults = || self.defaults(step.executor())?.at(pointer);
                step.with.and_then(|w| w.at(pointer)).or_else(in_defaults).map(|(node, _)| node)
            };
            match step.executor() {
                "pg_dump" | "zip" => given("/archive/password").into_iter().for_each(|n| self.password(n)),
                "http" => ["/url", "/proxy"].into_iter().filter_map(given).for_each(|n| self.url(n)),
                _ => {}
            }
        }
    }

    fn password(&self, node: &Node) {
        let Some(text) = node.text().filter(|t| !t.contains("${{")) else { return };
        if let Some(why) = secret::why_guessable(text) {
            let finding = Finding::warning(WEAK_PASSWORD, node.span, format!("the archive password {why}")).conceal();
            self.push(finding.help("use at least five random words or 20 random characters"));
        }
    }

    fn url(&self, node: &'a Node) {
        let node = self.origin(node, false, 0);
        let Some(text) = node.text() else { return };
        let found = literals(text)
            .find_map(|part| token(&text[part.clone()]).map(|r| part.start + r.start..part.start + r.end));
        if let Some(range) = found {
            let span = node.locate(self.text_of(node.span), range.start, range.end);
            let finding = Finding::warning(TOKEN_IN_URL, span, "the URL holds a token, which everybody can read here");
            self.push(finding.conceal().help(
                "declare the whole URL under `secrets`, like `url: { env: HOOK_URL }`, and write `${{ secrets.url }}` here",
            ));
        }
    }
}

/// Where an address holds what looks like a token: the value of a key like `token`, or a part of the path that looks
/// random.
fn token(text: &str) -> Option<Range<usize>> {
    let (path, query) = text.split_at(text.find('?').unwrap_or(text.len()));
    let mut at = path.len() + 1;
    for pair in query.get(1..).unwrap_or_default().split('&') {
        let pair_only = pair.split('#').next().unwrap_or_default();
        if let Some((key, value)) = pair_only.split_once('=')
            && KEYS.contains(&key.to_ascii_lowercase().as_str())
            && value.len() >= 6
        {
            let start = at + key.len() + 1;
            return Some(start..start + value.len());
        }
        at += pair.len() + 1;
    }
    let skipped = path.find("://").map_or(0, |i| path[i + 3..].find('/').map_or(path.len(), |j| i + 3 + j));
    let mut at = skipped;
    for part in path[skipped..].split('/') {
        if is_random(part) {
            return Some(at..at + part.len());
        }
        at += part.len() + 1;
    }
    None
}

/// Whether a part of a path is hardly a word: a UUID, a long hexadecimal number, letters of both cases mixed with digits.
fn is_random(part: &str) -> bool {
    let has = |of: fn(&char) -> bool| part.chars().any(|c| of(&c));
    let hex = part.len() >= 32 && part.chars().all(|c| c.is_ascii_hexdigit() || c == '-');
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | ':' | '=' | '.');
    let mixed = has(char::is_ascii_uppercase) && has(char::is_ascii_lowercase);
    hex || part.len() >= 20 && part.chars().all(allowed) && mixed && has(char::is_ascii_digit)
}

#[cfg(test)]
mod tests {
    use super::token;

    #[test]
    fn tokens_are_told_from_words() {
        for (url, found) in [
            (
                "https://api.telegram.org/bot123456789:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw/sendMessage",
                "bot123456789:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw",
            ),
            ("https://hooks.slack.com/services/T00AB/B00CD/XyZ0123456789abcdefghijk", "XyZ0123456789abcdefghijk"),
            ("https://hc-ping.com/5d3f1c1e-7a0b-4d55-9a2e-0c1d2e3f4a5b", "5d3f1c1e-7a0b-4d55-9a2e-0c1d2e3f4a5b"),
            ("https://x.example.org/hook?a=b&token=abc123", "abc123"),
            ("/fail?api_key=k-998877#x", "k-998877"),
        ] {
            assert_eq!(token(url).map(|r| &url[r]), Some(found), "{url}");
        }
        for url in [
            "https://monitor.example.org/backups/nightly-database-2026/done",
            "https://x.example.org/?id=12345678&page=2",
            "https://x.example.org",
            "https://status.example.org/a_very_long_path_without_digits",
        ] {
            assert_eq!(token(url), None, "{url}");
        }
    }
}
