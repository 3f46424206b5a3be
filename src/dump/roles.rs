//! The roles that statements of `pg_dump` name: owners, grants, policies.

use super::evidence::text_of;
use super::sql::{Name, name};

/// The roles that must exist for a statement to succeed.
pub fn roles_of(statement: &[u8]) -> Vec<String> {
    let starts = |word: &str| statement.starts_with(word.as_bytes());
    let found = if starts("GRANT ") || starts("REVOKE ") || starts("ALTER DEFAULT PRIVILEGES ") {
        after(statement, &["TO", "FROM", "ROLE"], &[])
    } else if starts("CREATE POLICY ") {
        after(statement, &["TO"], &["USING", "WITH"])
    } else if starts("CREATE USER MAPPING FOR ") {
        after(statement, &["FOR"], &["SERVER"])
    } else if starts("ALTER ") {
        let owner = b" OWNER TO ";
        let at = memchr::memmem::rfind(statement, owner);
        at.and_then(|at| name(&statement[at + owner.len()..]))
            .filter(|(_, rest)| rest.is_empty())
            .map(|(n, _)| n)
            .into_iter()
            .collect()
    } else {
        Vec::new()
    };
    // `public` means everybody and is reserved, so no role has that name. A user mapping has it in small letters.
    found.iter().map(|n| text_of(n)).filter(|n| n != "public").collect()
}

/// The names behind these key words, up to one of the others.
fn after(statement: &[u8], words: &[&str], until: &[&str]) -> Vec<Name> {
    let mut found = Vec::new();
    let mut rest = statement;
    while let Some(first) = rest.first() {
        match first {
            b'"' => rest = name(rest).map_or(&[], |(_, rest)| rest),
            b'\'' => rest = memchr::memchr(b'\'', &rest[1..]).map_or(&[], |end| &rest[end + 2..]),
            b'A'..=b'Z' | b'a'..=b'z' | b'_' | 0x80.. => {
                let count = rest.iter().take_while(|b| b.is_ascii_alphanumeric() || **b == b'_' || **b >= 0x80).count();
                let word = &rest[..count];
                rest = &rest[count..];
                if until.iter().any(|u| u.as_bytes() == word) {
                    break;
                }
                if words.iter().any(|w| w.as_bytes() == word) {
                    rest = list(rest, &mut found);
                }
            }
            _ => rest = &rest[1..],
        }
    }
    found
}

/// A list of names with commas between them.
fn list<'t>(mut rest: &'t [u8], found: &mut Vec<Name>) -> &'t [u8] {
    loop {
        rest = rest.trim_ascii_start();
        rest = rest.strip_prefix(b"GROUP ").unwrap_or(rest);
        // Key words like PUBLIC are in capitals, and no name without quotes is.
        let Some((role, after)) = name(rest) else { return rest };
        found.push(role);
        match after.strip_prefix(b",") {
            Some(more) => rest = more,
            None => return after,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_are_found_where_statements_name_them() {
        for (statement, roles) in [
            ("GRANT SELECT ON TABLE public.t TO reader", &["reader"][..]),
            ("GRANT SELECT(\"a TO b\") ON TABLE public.\"x TO y\" TO \"R \"\"x\" WITH GRANT OPTION", &["R \"x"]),
            ("REVOKE ALL ON SCHEMA public FROM PUBLIC", &[]),
            ("ALTER DEFAULT PRIVILEGES FOR ROLE ann IN SCHEMA s GRANT SELECT ON TABLES TO bob", &["ann", "bob"]),
            ("CREATE POLICY p ON public.t FOR SELECT TO ann, bob USING ((a = ( SELECT x FROM TO y)))", &["ann", "bob"]),
            ("CREATE POLICY p ON public.t USING ((a = b))", &[]),
            ("ALTER TABLE public.\"a OWNER TO b\" OWNER TO ann", &["ann"]),
            ("ALTER TABLE ONLY public.t ALTER COLUMN a SET DEFAULT ' OWNER TO x y'", &[]),
            ("CREATE USER MAPPING FOR ann SERVER s", &["ann"]),
            ("CREATE USER MAPPING FOR public SERVER s", &[]),
            ("CREATE VIEW v AS SELECT 1 FROM x", &[]),
        ] {
            assert_eq!(roles_of(statement.as_bytes()), roles, "{statement}");
        }
    }
}
