//! One address, with or without a name before it.

pub use lettre::message::Mailbox;

/// Reads `dba@example.org` or `The DBAs <dba@example.org>`. The whole text must be one address, so a list of several, a
/// line break or anything after it is refused.
///
/// # Errors
/// What was expected.
pub fn address(text: &str) -> Result<Mailbox, String> {
    let wrong = |_| format!("expected one mail address, like `dba@example.org`, found `{}`", text.escape_debug());
    text.parse().map_err(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_address_is_read_and_nothing_else() {
        for (text, shown) in [
            ("dba@example.org", "dba@example.org"),
            (" The DBAs <dba@example.org> ", "The DBAs <dba@example.org>"),
            ("\"Silva, José\" <jose@example.org>", "\"Silva, José\" <jose@example.org>"),
            ("José <jose@example.org>", "José <jose@example.org>"),
            ("root@localhost", "root@localhost"),
        ] {
            assert_eq!(address(text).map(|m| m.to_string()), Ok(shown.to_owned()));
        }
        for text in [
            "",
            "dba",
            "a@example.org, b@example.org",
            "a@example.org b@example.org",
            "a@example.org>",
            "<a@example.org> x",
            "a@example.org\nBcc: b@example.org",
            "A\r\nBcc: b@example.org <a@example.org>",
            "A\r\n B <a@example.org>",
            "\"A\r\n B\" <a@example.org>",
            "\"A\nB\" <a@example.org>",
            "\"a b\"@example.org",
            "\"a\r\nRCPT TO:<b@example.org>\"@example.org",
            "\"a>\"@example.org",
            "a@example.org> SIZE=1 <b@example.org",
        ] {
            assert!(address(text).is_err(), "{text}");
        }
    }
}
