//! A dump in SQL.

use super::{Contents, Fault, INSERTED};
use crate::dump::evidence::{Extension, Found, Sequence, text_of};
use crate::dump::objects::ObjectHasher;
use crate::dump::roles::roles_of;
use crate::dump::rows::{Hashing, RowHasher};
use crate::dump::sql::{self, CopyTarget, Piece, SqlDump};
use crate::dump::toc::{encoding, sequence_value};

/// What stands near the end of a whole dump.
const END: &[u8] = b"-- PostgreSQL database dump complete";
/// How many of the last bytes are kept to look for it.
const TAIL: usize = 512;

/// The reader.
pub struct PlainDump {
    hashing: Hashing,
    reader: SqlDump,
    tail: Vec<u8>,
    data: Data,
}

/// What was read.
struct Data {
    found: Found,
    tables: u64,
    defined: std::collections::BTreeSet<(String, String)>,
    target: Option<CopyTarget>,
    hasher: RowHasher,
    object: Option<u64>,
    objects: ObjectHasher,
    fault: Option<Fault>,
    /// The first place that `psql` does not read as it was meant.
    misread: Option<String>,
}

impl PlainDump {
    pub fn new(hashing: Hashing) -> Self {
        let data = Data {
            found: Found::default(),
            tables: 0,
            defined: std::collections::BTreeSet::new(),
            target: None,
            hasher: RowHasher::open(hashing),
            object: None,
            objects: ObjectHasher::new(hashing),
            fault: None,
            misread: None,
        };
        Self { hashing, reader: SqlDump::new(), tail: Vec::new(), data }
    }

    /// Takes the next bytes.
    pub fn take(&mut self, bytes: &[u8]) {
        self.tail.extend_from_slice(&bytes[bytes.len().saturating_sub(TAIL)..]);
        self.tail.drain(..self.tail.len().saturating_sub(TAIL));
        let data = &mut self.data;
        self.reader.take(bytes, &mut |piece| match piece {
            Piece::Statement { text, whole } => data.statement(text, whole),
            Piece::Rows(rows) => data.hasher.take(rows),
            Piece::RowsEnd => data.rows_end(),
            Piece::Quoting { .. } => {}
            // What is measured behind such a place is not what `psql` would restore.
            piece => data.misread = data.misread.take().or_else(|| sql::misread(&piece)),
        });
    }

    /// What it holds, after its last byte.
    ///
    /// # Errors
    /// It is not whole, or `psql` would not read it as it was meant.
    pub fn end(self) -> Result<Contents, Fault> {
        if let Some(why) = self.data.misread {
            return Err(Fault::Misread(why));
        }
        if memchr::memmem::find(&self.tail, END).is_none() {
            return Err(Fault::Broken("the dump has no end".to_owned()));
        }
        self.reader.end().map_err(|why| Fault::Broken(format!("the dump {why}")))?;
        if let Some(fault) = self.data.fault {
            return Err(fault);
        }
        let Data { found, tables, defined, .. } = self.data;
        Ok(Contents { evidence: found.evidence(self.hashing), tables, defined })
    }
}

impl Data {
    fn rows_end(&mut self) {
        let rows = self.hasher.take_rows();
        match (self.target.take(), rows) {
            (Some(target), Some(rows)) => self.found.add(&target, rows),
            _ => self.fault = Some(Fault::Broken("the rows of a table break off in the dump".to_owned())),
        }
    }

    fn statement(&mut self, text: &[u8], whole: bool) {
        let after = |prefix: &str| text.strip_prefix(prefix.as_bytes());
        if let Some(target) = sql::copy_target(text) {
            self.tables += 1;
            self.target = Some(target);
        } else if let Some(rest) = after("INSERT INTO ") {
            let end = memchr::memmem::find(rest, b" VALUES").unwrap_or(rest.len());
            self.insert(&rest[..end]);
        } else if let Some(rest) = after("SELECT pg_catalog.setval(") {
            self.sequence(rest, text);
        } else if after("SELECT pg_catalog.lo").is_some() {
            self.large_object(text, whole);
        } else if let Some(rest) = after("CREATE EXTENSION IF NOT EXISTS ") {
            let extension = sql::name(rest).map(|(name, _)| Extension { name: text_of(&name), version: None });
            self.found.extensions.extend(extension);
        } else if text.starts_with(b"SET client_encoding") {
            self.found.encoding = encoding(text);
        } else if let Some(rest) = ["TABLE ", "UNLOGGED TABLE ", "FOREIGN TABLE "]
            .iter()
            .find_map(|kind| after("CREATE ")?.strip_prefix(kind.as_bytes()))
        {
            self.tables += 1;
            self.defined.extend(place(rest));
        }
        self.found.roles.extend(roles_of(text));
    }

    fn insert(&mut self, rest: &[u8]) {
        self.tables += 1;
        let place = place(rest).unwrap_or_else(|| (String::new(), "rows".to_owned()));
        self.found.not_measured.insert(place, INSERTED);
    }

    fn sequence(&mut self, rest: &[u8], text: &[u8]) {
        let place = literal(rest).and_then(|name| sql::names(&name));
        match (place.as_deref(), sequence_value(text)) {
            (Some([schema, name]), Some((last_value, is_called))) => {
                let (schema, name) = (text_of(schema), text_of(name));
                self.found.sequences.push(Sequence { schema, name, last_value, is_called });
            }
            _ => self.fault = Some(Fault::Unread("the value of a sequence in the dump is not understood".to_owned())),
        }
    }

    /// `lo_open('16400', 131072)`, `lowrite(0, '\x…')`, `lo_close(0)`.
    fn large_object(&mut self, text: &[u8], whole: bool) {
        let after = |prefix: &str| text.strip_prefix(prefix.as_bytes());
        if let Some(rest) = after("SELECT pg_catalog.lo_open(") {
            let oid = literal(rest).and_then(|l| String::from_utf8(l).ok()?.parse().ok());
            self.object = oid;
        } else if let Some(rest) = after("SELECT pg_catalog.lowrite(0, ") {
            let hex = rest.strip_prefix(b"E").unwrap_or(rest).strip_prefix(b"'").map(|r| r.trim_ascii_start());
            let hex = hex.and_then(|h| h.strip_prefix(b"\\\\x").or_else(|| h.strip_prefix(b"\\x")));
            let hex = hex.and_then(|h| h.strip_suffix(b"')")).filter(|_| whole);
            match hex.filter(|h| h.len() % 2 == 0 && h.iter().all(u8::is_ascii_hexdigit)) {
                Some(hex) => self.bytes(hex),
                None => self.fault = Some(Fault::Unread("a large object in the dump is not understood".to_owned())),
            }
        } else if after("SELECT pg_catalog.lo_close(").is_some() {
            let object = self.objects.finish();
            self.found.objects.extend(self.object.take().map(|oid| (oid, object)));
        }
    }

    fn bytes(&mut self, hex: &[u8]) {
        let digit = |b: u8| match b {
            b'0'..=b'9' => b - b'0',
            _ => (b | 0x20) - b'a' + 10,
        };
        let mut bytes = Vec::with_capacity(hex.len() / 2);
        bytes.extend(hex.chunks_exact(2).map(|pair| digit(pair[0]) << 4 | digit(pair[1])));
        self.objects.take(&bytes);
    }
}

/// Schema and name at the start of a text.
fn place(text: &[u8]) -> Option<(String, String)> {
    let (schema, rest) = sql::name(text)?;
    let (name, _) = sql::name(rest.strip_prefix(b".")?)?;
    Some((text_of(&schema), text_of(&name)))
}

/// The string at the start of a text, as `pg_dump` writes it: quotes are doubled, and behind an `E` backslashes too.
fn literal(text: &[u8]) -> Option<Vec<u8>> {
    let (escapes, text) = match text.strip_prefix(b"E") {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let mut rest = text.strip_prefix(b"'")?.iter().copied();
    let mut found = Vec::new();
    loop {
        match rest.next()? {
            b'\'' if rest.clone().next() == Some(b'\'') => {
                rest.next();
                found.push(b'\'');
            }
            b'\'' => return Some(found),
            b'\\' if escapes => found.push(rest.next()?),
            byte => found.push(byte),
        }
    }
}
