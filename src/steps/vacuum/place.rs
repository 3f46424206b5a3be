//! How a table is named: in SQL, and in the control table.

use crate::postgres::escape_identifier;

/// A table that is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chosen {
    pub schema: String,
    pub name: String,
    /// The name that people and the control table use; see [`record_name`].
    pub record: String,
    /// The name of its records in the time before names with dots were quoted, if that is no other table's now.
    pub former: Option<String>,
}

impl Chosen {
    /// The name as SQL takes it.
    pub fn quoted(&self) -> String {
        format!("{}.{}", escape_identifier(&self.schema), escape_identifier(&self.name))
    }
}

/// The name of a table in the control table: bare in schema `public`, else `schema.table`. A part that has a dot itself
/// is quoted as in SQL, so that `public."a.b"` is not `a.b`; outside of `public` so is one with a quote.
pub fn record_name(schema: &str, name: &str) -> String {
    let part = |text: &str, special: &[char]| match text.contains(special) {
        true => escape_identifier(text),
        false => text.to_owned(),
    };
    match schema {
        "public" => part(name, &['.']),
        _ => format!("{}.{}", part(schema, &['.', '"']), part(name, &['.', '"'])),
    }
}

/// The same as it was before parts were quoted.
pub fn former_name(schema: &str, name: &str) -> String {
    if schema == "public" { name.to_owned() } else { format!("{schema}.{name}") }
}

#[cfg(test)]
mod tests {
    use super::record_name;

    #[test]
    fn no_two_tables_share_a_record_and_plain_names_are_as_they_were() {
        let all = [
            (("public", "orders"), "orders"),
            (("public", "Weird\"Name"), "Weird\"Name"),
            (("audit", "log"), "audit.log"),
            (("public", "a.b"), "\"a.b\""),
            (("a", "b"), "a.b"),
            (("\"a", "b\""), "\"\"\"a\".\"b\"\"\""),
            (("a.b", "c"), "\"a.b\".c"),
            (("a", "b.c"), "a.\"b.c\""),
            (("public", "\"a.b\""), "\"\"\"a.b\"\"\""),
        ];
        let mut seen = std::collections::BTreeSet::new();
        for ((schema, name), record) in all {
            assert_eq!(record_name(schema, name), record);
            assert!(seen.insert(record), "{record}");
        }
    }
}
