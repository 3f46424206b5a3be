//! The patterns of `psql` and `pg_dump` as the regular expressions they are to the server (PostgreSQL manual, psql,
//! "Patterns"; `processSQLNamePattern` in its source).

/// A pattern in parts: schema and name, each a regular expression for the whole of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern {
    /// None: whatever the search path shows.
    pub schema: Option<String>,
    pub name: String,
}

impl Pattern {
    /// Reads a pattern: letters outside of double quotes are folded to lower case, `*` and `?` are wildcards there, a dot
    /// parts schema from name, and everything within quotes stands for itself.
    pub fn parse(text: &str) -> Self {
        let mut parts = vec![String::new()];
        let mut quoted = false;
        let mut chars = text.chars().peekable();
        while let Some(c) = chars.next() {
            let part = parts.last_mut().expect("there is always a part");
            match c {
                '"' if quoted && chars.peek() == Some(&'"') => {
                    chars.next();
                    part.push('"');
                }
                '"' => quoted = !quoted,
                '*' if !quoted => part.push_str(".*"),
                '?' if !quoted => part.push('.'),
                '.' if !quoted => parts.push(String::new()),
                // A dollar sign is an ordinary letter of a name, never the end of the text.
                '$' => part.push_str("\\$"),
                c if quoted && "|*+?()[]{}.^\\".contains(c) => {
                    part.push('\\');
                    part.push(c);
                }
                c if quoted => part.push(c),
                c => part.extend(c.to_lowercase()),
            }
        }
        let name = parts.pop().unwrap_or_default();
        // A third part would be the database, which is the one that is dumped.
        Self { schema: parts.pop().map(|s| whole(&s)), name: whole(&name) }
    }
}

fn whole(part: &str) -> String {
    format!("^({part})$")
}

#[cfg(test)]
mod tests {
    use super::Pattern;

    #[test]
    fn patterns_become_the_expressions_of_the_manual() {
        for (text, schema, name) in [
            ("Foo", None, "^(foo)$"),
            ("\"Foo\"", None, "^(Foo)$"),
            ("a.b*", Some("^(a)$"), "^(b.*)$"),
            ("\"a.b\"", None, "^(a\\.b)$"),
            ("x?$", None, "^(x.\\$)$"),
            ("\"a\"\"b\"", None, "^(a\"b)$"),
            ("db.s.t", Some("^(s)$"), "^(t)$"),
        ] {
            assert_eq!(
                Pattern::parse(text),
                Pattern { schema: schema.map(str::to_owned), name: name.to_owned() },
                "{text}"
            );
        }
    }
}
