//! The table of contents at the head of a dump in pg_dump's custom format, or in the file `toc.dat` of its directory
//! format: what is in the dump, as the dump itself says.
//!
//! The format is that of PostgreSQL's `src/bin/pg_dump/pg_backup_archiver.c` (`ReadHead`, `ReadToc`) and
//! `pg_backup_custom.c` and `pg_backup_directory.c` (`_ReadExtraToc`), archive versions 1.12 (PostgreSQL 9.0) to 1.16
//! (PostgreSQL 17 and 18). It is read entry by entry, and only what is used is kept.

use std::collections::BTreeSet;

use super::blocks::Blocks;
use super::evidence::{Extension, Sequence, text_of};
use super::roles::roles_of;
use super::sql::{CopyTarget, Piece, SqlDump, copy_target};

/// What the dump begins with.
const MAGIC: &[u8] = b"PGDMP";
/// The oldest and the newest version of the format that is read.
const VERSIONS: std::ops::RangeInclusive<(u8, u8)> = (1, 12)..=(1, 16);
/// The formats as `pg_backup_archiver.h` numbers them. The file `toc.dat` says that it is one of a tar, which has the same
/// shape (`_CloseArchive` in `pg_backup_directory.c`).
const CUSTOM: u8 = 1;
const DIRECTORY: u8 = 3;
/// Bytes of a number after its sign, and of an offset, on every machine that PostgreSQL runs on.
const INT: usize = 4;
const OFFSET: usize = 8;
/// The most bytes that one entry may have, and the most memory that all that is kept of them may take.
const LIMITS: Limits = Limits { entry: 256 << 20, kept: 512 << 20 };

#[derive(Debug, Clone, Copy)]
struct Limits {
    entry: usize,
    kept: usize,
}

/// The table of contents.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Toc {
    /// The version of the format, like 1.14.
    pub version: (u8, u8),
    /// The server that was dumped, in its own words.
    pub server: String,
    /// The entries that have data.
    pub entries: Vec<Entry>,
    /// The data is compressed inside the dump, so that its rows cannot be counted.
    pub compressed: bool,
    /// How many entries define a table, or have the rows of one.
    pub tables: u64,
    pub encoding: Option<String>,
    pub sequences: Vec<Sequence>,
    pub extensions: Vec<Extension>,
    pub roles: BTreeSet<String>,
    /// Tables that are defined in the dump, schema and name. Those of extensions are not.
    pub defined: BTreeSet<(String, String)>,
}

/// One thing in the dump that has data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    pub id: i64,
    /// What it is, like `TABLE DATA` or `BLOBS`.
    pub kind: String,
    pub name: String,
    pub schema: String,
    /// Its rows come by COPY, one a line.
    pub copied: bool,
    /// What that COPY fills; none when it is not understood.
    pub target: Option<CopyTarget>,
    /// In the directory format, the file of its data.
    pub file: Option<String>,
}

/// Why there is no table of contents; both read after "the table of contents".
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TocFault {
    /// It may be good: its version is not known here, or it takes too much memory.
    Unknown(String),
    Broken(String),
}

/// Why something of it is not read.
enum Unread {
    /// More bytes are needed.
    Short,
    Fault(TocFault),
}

fn broken(why: impl Into<String>) -> Unread {
    Unread::Fault(TocFault::Broken(why.into()))
}

/// Reads a table of contents while it arrives.
#[derive(Debug)]
pub struct TocReader {
    buffer: Vec<u8>,
    at: usize,
    directory: bool,
    /// How many entries are to come; none before the head was read.
    left: Option<i64>,
    /// How many bytes there must be for the next try, so that a long entry is not read over and over.
    next: usize,
    kept: usize,
    limits: Limits,
    toc: Toc,
}

impl Default for TocReader {
    fn default() -> Self {
        Self::new()
    }
}

impl TocReader {
    pub fn new() -> Self {
        Self {
            buffer: Vec::new(),
            at: 0,
            directory: false,
            left: None,
            next: 0,
            kept: 0,
            limits: LIMITS,
            toc: Toc::default(),
        }
    }

    /// Takes the next bytes; gives whether the table of contents has come to its end.
    ///
    /// # Errors
    /// It is not one, or needs too much memory; reads after "the table of contents".
    pub fn take(&mut self, bytes: &[u8]) -> Result<bool, TocFault> {
        self.buffer.extend_from_slice(bytes);
        if self.left != Some(0) && self.buffer.len() < self.next && self.buffer.len() <= self.limits.entry {
            return Ok(false);
        }
        self.read()
    }

    fn read(&mut self) -> Result<bool, TocFault> {
        while self.left != Some(0) {
            let mut from = Cursor { bytes: &self.buffer, at: self.at };
            let read = match self.left {
                None => head(&mut from, &mut self.toc).map(|(directory, count)| {
                    self.directory = directory;
                    self.left = Some(count);
                }),
                Some(left) => entry(&mut from, &mut self.toc, self.directory).map(|kept| {
                    self.kept += kept;
                    self.left = Some(left - 1);
                }),
            };
            match read {
                Ok(()) => self.at = from.at,
                Err(Unread::Short) => {
                    self.buffer.drain(..self.at);
                    self.at = 0;
                    let length = self.buffer.len();
                    if length > self.limits.entry {
                        let why = format!("has an entry of more than {} MiB", self.limits.entry >> 20);
                        return Err(TocFault::Unknown(why));
                    }
                    self.next = if length > 1 << 20 { length * 2 } else { 0 };
                    return Ok(false);
                }
                Err(Unread::Fault(fault)) => return Err(fault),
            }
            if self.kept > self.limits.kept {
                let why = format!("takes more than {} MiB of memory", self.limits.kept >> 20);
                return Err(TocFault::Unknown(why));
            }
        }
        Ok(true)
    }

    /// The bytes that were taken and stand behind the table of contents.
    pub fn take_rest(&mut self) -> Vec<u8> {
        self.buffer.split_off(self.at)
    }

    /// The table of contents, when no bytes follow any more.
    ///
    /// # Errors
    /// It breaks off, or is not one; reads after "the table of contents".
    pub fn finish(mut self) -> Result<Toc, TocFault> {
        if self.read()? { Ok(self.toc) } else { Err(TocFault::Broken("breaks off".to_owned())) }
    }
}

impl Toc {
    /// A reader of the data that follows, which knows whether it is all there.
    pub fn blocks(&self) -> Blocks {
        Blocks::new(INT, self.entries.iter().map(|e| e.id))
    }
}

/// Reads the head. Gives whether it is that of a directory, and the number of entries.
fn head(from: &mut Cursor<'_>, toc: &mut Toc) -> Result<(bool, i64), Unread> {
    if from.take(5)? != MAGIC {
        return Err(broken("is missing: the dump does not begin with `PGDMP`"));
    }
    let head = from.take(6)?;
    let version = (head[0], head[1]);
    if !VERSIONS.contains(&version) {
        let (major, minor) = version;
        return Err(Unread::Fault(TocFault::Unknown(format!(
            "has the version {major}.{minor}, and 1.12 to 1.16 are read"
        ))));
    }
    if (usize::from(head[3]), usize::from(head[4])) != (INT, OFFSET) || !matches!(head[5], CUSTOM | DIRECTORY) {
        return Err(broken("is not that of the custom or the directory format"));
    }
    // The compression: its name from 1.15 on, before that its level.
    let compressed = if version >= (1, 15) { from.take(1)? != [0] } else { from.int()? != 0 };
    // When it was made: seconds, minutes, hours, day, month, year, summer time.
    for _ in 0..7 {
        from.int()?;
    }
    let _database = from.raw()?;
    let server = from.text()?.unwrap_or_default();
    let _program = from.raw()?;
    let count = from.int()?;
    if count < 0 {
        return Err(broken(format!("says it has {count} entries")));
    }
    (toc.version, toc.server, toc.compressed) = (version, server, compressed);
    Ok((head[5] == DIRECTORY, count))
}

/// Reads an entry and keeps what is used of it. Gives the memory that takes.
fn entry(from: &mut Cursor<'_>, toc: &mut Toc, directory: bool) -> Result<usize, Unread> {
    let id = from.int()?;
    let data = from.int()? != 0;
    let _table_oid = from.raw()?;
    let _oid = from.raw()?;
    let name = from.raw()?.unwrap_or_default();
    let kind = from.text()?.unwrap_or_default();
    let _section = from.int()?;
    let definition = from.raw()?.unwrap_or_default();
    let _drop = from.raw()?;
    let copy = from.raw()?.unwrap_or_default();
    let schema = from.raw()?.unwrap_or_default();
    let _tablespace = from.raw()?;
    if toc.version >= (1, 14) {
        from.raw()?;
    }
    if toc.version >= (1, 16) {
        from.int()?;
    }
    let owner = from.raw()?.unwrap_or_default();
    let _with_oids = from.raw()?;
    // What it depends on, up to a text that is none.
    while from.raw()?.is_some() {}
    let mut file = None;
    if directory {
        file = from.text()?.filter(|f| !f.is_empty());
    } else {
        let _data_state = from.take(1)?;
        let _data_place = from.take(OFFSET)?;
    }
    let mut kept = 0;
    let mut role = |role: String, roles: &mut BTreeSet<String>| {
        kept += if roles.contains(&role) { 0 } else { role.len() + 64 };
        roles.insert(role);
    };
    if !owner.is_empty() {
        role(text_of(owner), &mut toc.roles);
    }
    let place = || (text_of(schema), text_of(name));
    match kind.as_str() {
        "ACL" | "DEFAULT ACL" | "POLICY" | "USER MAPPING" => {
            let mut reader = SqlDump::new();
            reader.take(definition, &mut |piece| {
                if let Piece::Statement { text, .. } = piece {
                    roles_of(text).into_iter().for_each(|r| role(r, &mut toc.roles));
                }
            });
        }
        "ENCODING" => toc.encoding = encoding(definition),
        "EXTENSION" => {
            toc.extensions.push(Extension { name: text_of(name), version: None });
            kept += name.len() + 80;
        }
        "SEQUENCE SET" => {
            let (schema, name) = place();
            kept += schema.len() + name.len() + 80;
            let (last_value, is_called) = sequence_value(definition).ok_or_else(|| {
                Unread::Fault(TocFault::Unknown(format!(
                    "has a value for the sequence `{schema}.{name}` that is not understood"
                )))
            })?;
            toc.sequences.push(Sequence { schema, name, last_value, is_called });
        }
        "TABLE" | "FOREIGN TABLE" => {
            toc.tables += 1;
            kept += schema.len() + name.len() + 80;
            toc.defined.insert(place());
        }
        "TABLE DATA" => toc.tables += 1,
        _ => {}
    }
    // In the directory format also what has no file is marked as having data.
    if data && (!directory || file.is_some()) {
        let (schema, name) = place();
        let statement = copy.trim_ascii_end();
        let target = copy_target(statement.strip_suffix(b";").unwrap_or(statement));
        let columns = target.as_ref().map_or(0, |t| t.columns.iter().map(|c| c.len() + 40).sum());
        kept += schema.len() * 2 + name.len() * 2 + columns + std::mem::size_of::<Entry>();
        toc.entries.push(Entry { id, kind, name, schema, copied: !copy.is_empty(), target, file });
    }
    Ok(kept)
}

/// The encoding in `SET client_encoding = 'UTF8';`.
pub fn encoding(statement: &[u8]) -> Option<String> {
    let rest = statement.trim_ascii().strip_prefix(b"SET client_encoding = '")?;
    let end = memchr::memchr(b'\'', rest)?;
    let name = std::str::from_utf8(&rest[..end]).ok()?;
    name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_').then(|| name.to_owned())
}

/// The value in `SELECT pg_catalog.setval('public.s', 3, true);`.
pub fn sequence_value(statement: &[u8]) -> Option<(i64, bool)> {
    let text = statement.trim_ascii_end();
    let text = text.strip_suffix(b";").unwrap_or(text).strip_suffix(b")")?;
    // The name before may be in any encoding.
    let mut parts = text.rsplitn(3, |b| *b == b',').map(|part| std::str::from_utf8(part.trim_ascii()));
    let (called, value) = (parts.next()?.ok()?, parts.next()?.ok()?);
    Some((value.parse().ok()?, called.parse().ok()?))
}

struct Cursor<'b> {
    bytes: &'b [u8],
    at: usize,
}

impl<'b> Cursor<'b> {
    fn take(&mut self, count: usize) -> Result<&'b [u8], Unread> {
        let end = self.at.checked_add(count).ok_or(Unread::Short)?;
        let taken = self.bytes.get(self.at..end).ok_or(Unread::Short)?;
        self.at = end;
        Ok(taken)
    }

    /// A byte for the sign, then the magnitude, the lowest byte first.
    fn int(&mut self) -> Result<i64, Unread> {
        let sign = self.take(1)?[0];
        let value = self.take(INT)?.iter().rev().fold(0i64, |v, b| v * 256 + i64::from(*b));
        Ok(if sign == 0 { value } else { -value })
    }

    fn raw(&mut self) -> Result<Option<&'b [u8]>, Unread> {
        match usize::try_from(self.int()?) {
            Ok(length) => self.take(length).map(Some),
            // A negative length stands for no text at all.
            Err(_) => Ok(None),
        }
    }

    fn text(&mut self) -> Result<Option<String>, Unread> {
        Ok(self.raw()?.map(text_of))
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub fn int(value: i32) -> Vec<u8> {
        let mut out = vec![u8::from(value < 0)];
        out.extend(value.unsigned_abs().to_le_bytes());
        out
    }

    fn text(value: &str) -> Vec<u8> {
        [int(i32::try_from(value.len()).expect("short")), value.as_bytes().to_vec()].concat()
    }

    /// A head of version 1.`minor` with `count` entries to come, written as `WriteHead` does.
    pub fn head(minor: u8, count: i32) -> Vec<u8> {
        let mut out = b"PGDMP".to_vec();
        out.extend([1, minor, 0, 4, 8, 1]);
        out.extend(if minor >= 15 { vec![0] } else { int(0) });
        (0..7).for_each(|n| out.extend(int(n)));
        out.extend([text("app"), text("15.1"), text("15.1"), int(count)].concat());
        out
    }

    /// An entry, written as `WriteToc` does.
    pub fn entry(id: i32, minor: u8, kind: &str, name: &str, texts: [&str; 2], data: bool) -> Vec<u8> {
        let [definition, copy] = texts;
        let mut out = [int(id), int(data.into()), text("0"), text("16385"), text(name), text(kind), int(3)].concat();
        out.extend([text(definition), text(""), text(copy), text("public"), int(-1)].concat());
        if minor >= 14 {
            out.extend(text("heap"));
        }
        if minor >= 16 {
            out.extend(int(114));
        }
        out.extend([text("ann"), text("false"), text("214"), int(-1)].concat());
        out.extend([1, 0, 0, 0, 0, 0, 0, 0, 0]);
        out
    }

    fn sample(minor: u8) -> Vec<u8> {
        [
            head(minor, 5),
            entry(7, minor, "ENCODING", "ENCODING", ["SET client_encoding = 'LATIN1';\n", ""], false),
            entry(7, minor, "TABLE", "orders", ["CREATE TABLE …", ""], false),
            entry(7, minor, "ACL", "TABLE orders", ["GRANT SELECT ON TABLE public.orders TO bob;\n", ""], false),
            entry(7, minor, "SEQUENCE SET", "s", ["SELECT pg_catalog.setval('public.s', -3, false);\n", ""], false),
            entry(7, minor, "TABLE DATA", "orders", ["", "COPY public.orders (id, \"B\") FROM stdin;\n"], true),
        ]
        .concat()
    }

    #[test]
    fn each_version_is_read_however_it_is_cut() {
        for minor in 12..=16 {
            let bytes = [sample(minor), b"data".to_vec()].concat();
            let mut whole = TocReader::new();
            assert_eq!((whole.take(&bytes), whole.take_rest()), (Ok(true), b"data".to_vec()));
            let toc = whole.finish().expect("a table of contents");
            assert_eq!((toc.version, toc.server.as_str(), toc.tables), ((1, minor), "15.1", 2));
            assert_eq!(toc.encoding.as_deref(), Some("LATIN1"));
            assert_eq!(toc.roles.iter().map(String::as_str).collect::<Vec<_>>(), ["ann", "bob"]);
            let sequence = &toc.sequences[0];
            assert_eq!((sequence.name.as_str(), sequence.last_value, sequence.is_called), ("s", -3, false));
            let target = toc.entries[0].target.as_ref().expect("a target");
            assert_eq!((toc.entries.len(), target.columns.as_slice()), (1, &[b"id".to_vec(), b"B".to_vec()][..]));
            for step in [1, 7, 50] {
                let mut reader = TocReader::new();
                let ends: Vec<bool> = bytes.chunks(step).map(|p| reader.take(p).expect("readable")).collect();
                assert_eq!((ends.last(), reader.take_rest()), (Some(&true), b"data".to_vec()), "{step}");
                assert_eq!(reader.finish(), Ok(toc.clone()), "{step}");
            }
            let mut cut = TocReader::new();
            assert_eq!(cut.take(&bytes[..bytes.len() - 5]), Ok(false));
            assert_eq!(cut.finish(), Err(TocFault::Broken("breaks off".to_owned())));
        }
    }

    #[test]
    fn the_value_of_a_sequence_is_read_whatever_its_name_is() {
        for (text, value) in [
            (&b"SELECT pg_catalog.setval('public.s', 3, true);\n"[..], Some((3, true))),
            (b"SELECT pg_catalog.setval('\xe9.s\xe9', -9223372036854775808, false);\n", Some((i64::MIN, false))),
            (b"SELECT pg_catalog.setval('public.\"a, 1, true\"', 3, true)", Some((3, true))),
            (b"SELECT 1", None),
        ] {
            assert_eq!(sequence_value(text), value);
        }
    }

    #[test]
    fn the_directory_format_names_files_in_place_of_offsets() {
        for minor in 12..=16 {
            let data = entry(7, minor, "TABLE DATA", "orders", ["", "COPY public.orders (id) FROM stdin;\n"], true);
            let mut bytes = [head(minor, 1), data[..data.len() - 9].to_vec(), text("7.dat")].concat();
            bytes[10] = DIRECTORY;
            let mut reader = TocReader::new();
            assert_eq!(reader.take(&bytes), Ok(true));
            assert_eq!(reader.finish().expect("a table of contents").entries[0].file.as_deref(), Some("7.dat"));
        }
    }

    #[test]
    fn what_is_no_head_is_broken_and_not_waited_for() {
        let (mut newer, mut none, mut wide) = (head(14, 0), head(14, 0), head(14, 0));
        newer[6] = 17;
        none[10] = 4;
        wide[8] = 1;
        for bytes in [b"-- PostgreSQL database dump".to_vec(), newer, none, wide] {
            assert!(TocReader::new().take(&bytes).is_err());
        }
    }

    #[test]
    fn a_table_of_contents_that_takes_too_much_memory_is_refused() {
        let limits = Limits { entry: 3 << 20, kept: 2 << 20 };
        let mut reader = TocReader { limits, ..TocReader::new() };
        assert_eq!(reader.take(&head(14, i32::MAX)), Ok(false));
        let many = entry(7, 14, "TABLE DATA", "t", ["", ""], true).repeat(100);
        let refused = (0..200).find_map(|_| reader.take(&many).err());
        assert!(refused.is_some_and(|f| format!("{f:?}").contains("more than 2 MiB of memory")));
        let mut reader = TocReader { limits, ..TocReader::new() };
        assert_eq!(reader.take(&[head(14, 1), int(1), int(1), int(i32::MAX)].concat()), Ok(false));
        let part = vec![0; 1 << 19];
        let refused = (0..20).find_map(|_| reader.take(&part).err());
        assert!(refused.is_some_and(|f| format!("{f:?}").contains("more than 3 MiB")));
    }
}
