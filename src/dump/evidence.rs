//! What a dump holds, as its own bytes say: the rows and the checksum of each table, sequences, large objects, and the
//! extensions and roles that a restore needs. It stands in the manifest; what is read again, or restored, is compared
//! with it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::objects::{self, Object};
use super::rows::{Hashing, Rows};
use super::sql::{CopyTarget, Name};

/// The most large objects that are listed one by one. Of more only the number, the size and the checksum of all are kept.
const LISTED: usize = 50_000;
/// How rows are hashed, in the words of the manifest.
const ALGORITHM: &str = "xxh3-128-sum";

/// The evidence of a dump.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Evidence {
    /// How rows and large objects are hashed; none when they are counted only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hash: Option<Hash>,
    /// The encoding of the dump, and settings of the session that it was made in.
    #[serde(default)]
    pub session: Session,
    pub tables: Vec<Table>,
    /// What is in the dump and could not be measured.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub not_measured: Vec<NotMeasured>,
    pub sequences: Vec<Sequence>,
    pub extensions: Vec<Extension>,
    /// Roles that own something in the dump or have a right there.
    pub roles: Vec<String>,
    pub large_objects: LargeObjects,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hash {
    /// `xxh3-128-sum`.
    pub algorithm: String,
    /// The seed, in hexadecimal.
    pub seed: String,
}

/// What a session needs to write rows as the dump has them. Beside this `pg_dump` and who compares set what `pg_dump`
/// always sets, and the time zone UTC.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Session {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_encoding: Option<String>,
    #[serde(default)]
    pub settings: BTreeMap<String, String>,
}

/// One table whose rows are in the dump. Names have `\xHH` for each byte that is not UTF-8, and `\\` for a backslash.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Table {
    pub schema: String,
    pub name: String,
    /// The columns in the order of its rows. Generated columns are not among them.
    #[serde(default)]
    pub columns: Vec<String>,
    pub rows: u64,
    /// The sum of the hashes of its rows, in hexadecimal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checksum: Option<String>,
}

/// What could not be measured, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NotMeasured {
    pub schema: String,
    pub name: String,
    pub why: String,
}

/// The value that a sequence is set to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sequence {
    pub schema: String,
    pub name: String,
    pub last_value: i64,
    pub is_called: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Extension {
    pub name: String,
    /// Known of archives of the first version only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LargeObjects {
    pub count: u64,
    /// Their size together.
    #[serde(default)]
    pub bytes: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checksum: Option<String>,
    /// Each of them, unless there are more than 50,000.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub objects: Vec<LargeObject>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LargeObject {
    pub oid: u64,
    pub bytes: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checksum: Option<String>,
}

/// A name of a dump as text, so that [`bytes_of`] gives the same bytes again.
pub fn text_of(name: &[u8]) -> String {
    let mut text = String::new();
    for chunk in name.utf8_chunks() {
        text.push_str(&chunk.valid().replace('\\', "\\\\"));
        for byte in chunk.invalid() {
            text.push_str(&format!("\\x{byte:02x}"));
        }
    }
    text
}

/// The bytes of a name that [`text_of`] wrote.
pub fn bytes_of(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let hex = after.strip_prefix(b"x").and_then(|h| std::str::from_utf8(h.get(..2)?).ok());
        match (first, after.first(), hex.and_then(|h| u8::from_str_radix(h, 16).ok())) {
            (b'\\', Some(b'\\'), _) => {
                bytes.push(b'\\');
                rest = &after[1..];
            }
            (b'\\', _, Some(byte)) => {
                bytes.push(byte);
                rest = &after[3..];
            }
            _ => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    bytes
}

fn hex(sum: u128) -> String {
    format!("{sum:032x}")
}

type Columns = Vec<Name>;

/// Puts together what was read of a dump.
#[derive(Debug, Default)]
pub struct Found {
    /// The rows of each table, with the columns in each order that was met.
    tables: BTreeMap<(Name, Name), Vec<(Columns, Rows)>>,
    pub not_measured: BTreeMap<(String, String), &'static str>,
    pub sequences: Vec<Sequence>,
    pub extensions: Vec<Extension>,
    pub roles: std::collections::BTreeSet<String>,
    pub objects: BTreeMap<u64, Object>,
    pub encoding: Option<String>,
}

impl Found {
    /// With these large objects, and nothing else yet.
    pub fn with_objects(objects: BTreeMap<u64, Object>) -> Self {
        Self { objects, ..Self::default() }
    }

    /// Adds rows of a table. The parts of a partitioned table that are dumped through it come one by one.
    pub fn add(&mut self, target: &CopyTarget, rows: Rows) {
        let parts = self.tables.entry((target.schema.clone(), target.table.clone())).or_default();
        match parts.iter_mut().find(|(columns, _)| *columns == target.columns) {
            Some((_, sum)) => sum.add(rows),
            None => parts.push((target.columns.clone(), rows)),
        }
    }

    /// The evidence.
    pub fn evidence(self, hashing: Hashing) -> Evidence {
        let mut not_measured: Vec<NotMeasured> = self
            .not_measured
            .into_iter()
            .map(|((schema, name), why)| NotMeasured { schema, name, why: why.to_owned() })
            .collect();
        let mut tables = Vec::new();
        for ((schema, name), mut parts) in self.tables {
            let (schema, name) = (text_of(&schema), text_of(&name));
            let one = parts.len() == 1;
            let rows = parts.iter().map(|(_, rows)| rows.count).sum();
            let (columns, sum) = parts.swap_remove(0);
            if !one && hashing.on {
                let why = "its checksum: its partitions have their columns in different orders".to_owned();
                not_measured.push(NotMeasured { schema: schema.clone(), name: name.clone(), why });
            }
            let checksum = (one && hashing.on).then(|| hex(sum.sum));
            let columns = if one { columns.iter().map(|c| text_of(c)).collect() } else { Vec::new() };
            tables.push(Table { schema, name, columns, rows, checksum });
        }
        let mut sequences = self.sequences;
        sequences.sort_by(|a, b| (&a.schema, &a.name).cmp(&(&b.schema, &b.name)));
        let hash = Hash { algorithm: ALGORITHM.to_owned(), seed: format!("{:016x}", hashing.seed) };
        Evidence {
            hash: hashing.on.then_some(hash),
            session: Session { client_encoding: self.encoding, settings: BTreeMap::new() },
            tables,
            not_measured,
            sequences,
            extensions: self.extensions,
            roles: self.roles.into_iter().collect(),
            large_objects: large_objects(&self.objects, hashing),
        }
    }
}

/// Large objects in the words of the evidence.
pub fn large_objects(objects: &BTreeMap<u64, Object>, hashing: Hashing) -> LargeObjects {
    let listed = objects.iter().map(|(oid, object)| LargeObject {
        oid: *oid,
        bytes: object.bytes,
        checksum: hashing.on.then(|| hex(object.hash)),
    });
    LargeObjects {
        count: objects.len() as u64,
        bytes: objects.values().map(|o| o.bytes).sum(),
        checksum: (hashing.on && !objects.is_empty()).then(|| hex(objects::sum(objects, hashing.seed))),
        objects: if objects.len() <= LISTED { listed.collect() } else { Vec::new() },
    }
}

impl Table {
    /// What is different in rows that were read again; none when they are the same. Reads after the table's name.
    pub fn difference(&self, rows: Rows, there: &str) -> Option<String> {
        if rows.count != self.rows {
            return Some(format!("has {} rows{there}, and {} were dumped", rows.count, self.rows));
        }
        match &self.checksum {
            Some(checksum) if *checksum != hex(rows.sum) => {
                Some(format!("has other content{there} than was dumped (its checksum differs)"))
            }
            _ => None,
        }
    }
}

impl Evidence {
    /// How what is compared with this must be hashed; none when the evidence does not know a way that is known here.
    pub fn hashing(&self) -> Option<Hashing> {
        match &self.hash {
            None => Some(Hashing { seed: 0, on: false }),
            Some(hash) if hash.algorithm == ALGORITHM => {
                Some(Hashing { seed: u64::from_str_radix(&hash.seed, 16).ok()?, on: true })
            }
            Some(_) => None,
        }
    }

    /// The names of the roles; one that is not UTF-8 as it is written here.
    pub fn role_names(&self) -> Vec<String> {
        self.roles.iter().map(|r| String::from_utf8(bytes_of(r)).unwrap_or_else(|_| r.clone())).collect()
    }

    /// What could not be measured, a few words for people; none when everything was.
    pub fn unmeasured(&self) -> Option<String> {
        let name = |n: &NotMeasured| format!("`{}.{}` ({})", n.schema, n.name, n.why);
        let shown: Vec<String> = self.not_measured.iter().take(5).map(name).collect();
        let more = self.not_measured.len() - shown.len();
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        (!shown.is_empty()).then(|| format!("{}{more}", shown.join(", ")))
    }

    /// Every way in which a dump that was read again differs from this, a line each.
    pub fn differences(&self, read: &Self) -> Vec<String> {
        let mut found = Vec::new();
        let tables: BTreeMap<_, _> = read.tables.iter().map(|t| ((&t.schema, &t.name), t)).collect();
        for wanted in &self.tables {
            let place = format!("the table `{}.{}`", wanted.schema, wanted.name);
            match tables.get(&(&wanted.schema, &wanted.name)) {
                None => found.push(format!("{place} is missing in the dump")),
                Some(table) if table.rows != wanted.rows => {
                    found.push(format!(
                        "{place} has {} rows in the dump, and the manifest says {}",
                        table.rows, wanted.rows
                    ));
                }
                Some(table) if table != &wanted => {
                    found.push(format!("{place} has other content in the dump than the manifest says"));
                }
                Some(_) => {}
            }
        }
        let known: std::collections::BTreeSet<_> = self.tables.iter().map(|t| (&t.schema, &t.name)).collect();
        for table in read.tables.iter().filter(|t| !known.contains(&(&t.schema, &t.name))) {
            found.push(format!("the table `{}.{}` is in the dump and not in the manifest", table.schema, table.name));
        }
        let sequences: BTreeMap<_, _> = read.sequences.iter().map(|s| ((&s.schema, &s.name), s)).collect();
        for wanted in &self.sequences {
            let place = format!("the sequence `{}.{}`", wanted.schema, wanted.name);
            match sequences.get(&(&wanted.schema, &wanted.name)) {
                None => found.push(format!("{place} is missing in the dump")),
                Some(sequence) if *sequence != wanted => {
                    found.push(format!("{place} has another value in the dump than the manifest says"));
                }
                Some(_) => {}
            }
        }
        found.extend(self.large_objects.differences(&read.large_objects, "in the dump"));
        found
    }
}

impl LargeObjects {
    /// How others differ, a line each.
    pub fn differences(&self, other: &Self, there: &str) -> Vec<String> {
        let mut found = Vec::new();
        if self.count != other.count {
            found.push(format!("there are {} large objects {there}, and {} were dumped", other.count, self.count));
        }
        let objects: BTreeMap<u64, &LargeObject> = other.objects.iter().map(|o| (o.oid, o)).collect();
        for wanted in &self.objects {
            match objects.get(&wanted.oid) {
                None => found.push(format!("the large object {} is missing {there}", wanted.oid)),
                Some(object) if *object != wanted => {
                    found.push(format!("the large object {} has other content {there} than was dumped", wanted.oid));
                }
                Some(_) => {}
            }
        }
        let known: std::collections::BTreeSet<u64> = self.objects.iter().map(|o| o.oid).collect();
        let whole = !self.objects.is_empty() || self.count == 0;
        for object in other.objects.iter().filter(|o| whole && !known.contains(&o.oid)) {
            found.push(format!("the large object {} is {there} and was not dumped", object.oid));
        }
        if found.is_empty() && (self.bytes, &self.checksum) != (other.bytes, &other.checksum) {
            found.push(format!("the large objects have other content {there} than was dumped"));
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_come_back_as_they_were() {
        for name in
            [&b"plain"[..], "Schéma \"x\"".as_bytes(), b"caf\xe9", b"a\\b", b"\\x41", b"\xff\xfe\\\\", b"new\nline"]
        {
            assert_eq!(bytes_of(&text_of(name)), name, "{}", text_of(name));
        }
        assert_eq!(text_of(b"caf\xe9 \\"), "caf\\xe9 \\\\");
    }
}
