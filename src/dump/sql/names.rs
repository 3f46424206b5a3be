//! Names in the statements that `pg_dump` writes.

/// A name as it is in the dump, without quotes: bytes in the dump's encoding.
pub type Name = Vec<u8>;

/// What a `COPY … FROM stdin` of `pg_dump` fills.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct CopyTarget {
    pub schema: Name,
    pub table: Name,
    /// None when the statement has no list: a table without columns, or with generated ones only.
    pub columns: Vec<Name>,
}

/// Reads `COPY schema.table (columns) FROM stdin`, exactly as `pg_dump` writes it.
pub fn copy_target(statement: &[u8]) -> Option<CopyTarget> {
    let rest = statement.strip_prefix(b"COPY ")?;
    let (schema, rest) = name(rest)?;
    let (table, rest) = name(rest.strip_prefix(b".")?)?;
    let rest = rest.strip_prefix(b" ")?;
    let Some(mut rest) = rest.strip_prefix(b"(") else {
        return (rest == b" FROM stdin").then(|| CopyTarget { schema, table, columns: Vec::new() });
    };
    let mut columns = Vec::new();
    // No table has more.
    while columns.len() < 1664 {
        let (column, after) = name(rest)?;
        columns.push(column);
        match after.strip_prefix(b", ") {
            Some(more) => rest = more,
            None => return (after == b") FROM stdin").then_some(CopyTarget { schema, table, columns }),
        }
    }
    None
}

/// Reads the names of a qualified name like `a."B c"`, to its end.
pub fn names(text: &[u8]) -> Option<Vec<Name>> {
    let (first, mut rest) = name(text)?;
    let mut all = vec![first];
    while !rest.is_empty() {
        let (next, after) = name(rest.strip_prefix(b".")?)?;
        all.push(next);
        rest = after;
    }
    Some(all)
}

/// Reads a name, quoted or not, and gives what follows it.
pub fn name(text: &[u8]) -> Option<(Name, &[u8])> {
    let Some(mut rest) = text.strip_prefix(b"\"") else {
        let plain = |b: &u8| b.is_ascii_lowercase() || b.is_ascii_digit() || *b == b'_';
        let count = text.iter().take_while(|b| plain(b)).count();
        return (count > 0).then(|| (text[..count].to_vec(), &text[count..]));
    };
    let mut found = Vec::new();
    loop {
        let end = memchr::memchr(b'"', rest)?;
        found.extend_from_slice(&rest[..end]);
        rest = &rest[end + 1..];
        match rest.strip_prefix(b"\"") {
            Some(more) => {
                found.push(b'"');
                rest = more;
            }
            None => return (!found.is_empty()).then_some((found, rest)),
        }
    }
}
