//! One address, with or without a name before it.

use lettre::Address;
pub use lettre::message::Mailbox;

/// Reads `dba@example.org` or `The DBAs <dba@example.org>`. The whole text must be one address, so a list of several, a
/// line break or anything after it is refused.
///
/// # Errors
/// What was expected.
pub fn address(text: &str) -> Result<Mailbox, String> {
    let wrong = || format!("expected one mail address, like `dba@example.org`, found `{}`", text.escape_debug());
    if text.contains(char::is_control) {
        return Err(wrong());
    }
    let (name, bare) = match text.trim().strip_suffix('>') {
        None => (None, text.trim()),
        Some(start) => {
            let (name, bare) = start.rsplit_once('<').ok_or_else(wrong)?;
            (Some(name.trim()), bare)
        }
    };
    // A quoted local part may hold what ends a command of the protocol early for a careless server.
    if bare.contains(['<', '>', '"', '\\', ' ']) {
        return Err(wrong());
    }
    let email: Address = bare.parse().map_err(|_| wrong())?;
    let name = name.map(unquoted).filter(|n| !n.is_empty());
    Ok(Mailbox::new(name, email))
}

/// A name without the quotes that a header needs and a person does not.
fn unquoted(name: &str) -> String {
    match name.strip_prefix('"').and_then(|n| n.strip_suffix('"')) {
        Some(inner) => inner.replace("\\\"", "\"").replace("\\\\", "\\"),
        None => name.to_owned(),
    }
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
            "\"a b\"@example.org",
            "a@example.org> SIZE=1 <b@example.org",
        ] {
            assert!(address(text).is_err(), "{text}");
        }
    }
}
