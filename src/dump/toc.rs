//! The table of contents at the head of a dump in pg_dump's custom format, or in the file `toc.dat` of its directory
//! format: what is in the dump, as the dump itself says.
//!
//! The format is that of PostgreSQL's `src/bin/pg_dump/pg_backup_archiver.c` (`ReadHead`, `ReadToc`) and
//! `pg_backup_custom.c` and `pg_backup_directory.c` (`_ReadExtraToc`), archive versions 1.12 (PostgreSQL 9.0) to 1.16 (PostgreSQL 17).

pub use super::blocks::Blocks;

/// What the dump begins with.
const MAGIC: &[u8] = b"PGDMP";
/// The oldest and the newest version of the format that is read.
const VERSIONS: std::ops::RangeInclusive<(u8, u8)> = (1, 12)..=(1, 16);
/// The formats as `pg_backup_archiver.h` numbers them. The file `toc.dat` says that it is one of a tar, which has the same
/// shape (`_CloseArchive` in `pg_backup_directory.c`).
const CUSTOM: u8 = 1;
const DIRECTORY: u8 = 3;
/// More entries than any database has; a larger number is a broken head.
const MOST: i64 = 50_000_000;

/// The table of contents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Toc {
    /// The version of the format, like 1.14.
    pub version: (u8, u8),
    /// The server that was dumped, in its own words.
    pub server: String,
    pub entries: Vec<Entry>,
    /// The data is compressed inside the dump, so that its rows cannot be counted.
    pub compressed: bool,
    /// Bytes that it takes; data follows.
    pub bytes: usize,
    /// Bytes of a number after its sign.
    int: usize,
}

/// One thing in the dump.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    pub id: i64,
    /// What it is, like `TABLE`, `TABLE DATA`, `SEQUENCE SET`, `BLOBS`.
    pub kind: String,
    pub name: String,
    pub schema: Option<String>,
    pub owner: Option<String>,
    /// Data of this entry follows in the dump.
    pub data: bool,
    /// Its rows come by COPY, one a line.
    pub copied: bool,
    /// In the directory format, the file of its data.
    pub file: Option<String>,
}

/// Why there is no table of contents yet, or never will be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unread {
    /// More bytes are needed.
    Short,
    /// Reads after "the table of contents".
    Broken(String),
}

impl Toc {
    /// Reads the head of a dump.
    ///
    /// # Errors
    /// It is cut short so far, or it is none.
    pub fn parse(bytes: &[u8]) -> Result<Self, Unread> {
        let mut from = Cursor { bytes, at: 0, int: 4, offset: 8 };
        if from.take(5)? != MAGIC {
            return Err(Unread::Broken("is none: the dump does not begin with `PGDMP`".to_owned()));
        }
        let head = from.take(6)?;
        let version = (head[0], head[1]);
        if !VERSIONS.contains(&version) {
            let (major, minor) = version;
            return Err(Unread::Broken(format!("has the version {major}.{minor}, and 1.12 to 1.16 are read")));
        }
        (from.int, from.offset) = (usize::from(head[3]), usize::from(head[4]));
        if !(1..=8).contains(&from.int) || !(1..=8).contains(&from.offset) || !matches!(head[5], CUSTOM | DIRECTORY) {
            return Err(Unread::Broken("is not that of the custom or the directory format".to_owned()));
        }
        let directory = head[5] == DIRECTORY;
        // The compression: its name from 1.15 on, before that its level.
        let compressed = if version >= (1, 15) { from.take(1)? != [0] } else { from.int()? != 0 };
        // When it was made: seconds, minutes, hours, day, month, year, summer time.
        for _ in 0..7 {
            from.int()?;
        }
        let _database = from.text()?;
        let server = from.text()?.unwrap_or_default();
        let _program = from.text()?;
        let count = from.int()?;
        if !(0..=MOST).contains(&count) {
            return Err(Unread::Broken(format!("says it has {count} entries")));
        }
        let mut entries = Vec::new();
        for _ in 0..count {
            entries.push(entry(&mut from, version, directory)?);
        }
        Ok(Self { version, server, entries, compressed, bytes: from.at, int: from.int })
    }

    /// A reader of the data that follows, which knows whether it is all there.
    pub fn blocks(&self) -> Blocks {
        Blocks::new(self.int, self.entries.iter().filter(|e| e.data).map(|e| e.id))
    }

    /// The entries of that kind.
    pub fn of<'t>(&'t self, kind: &'t str) -> impl Iterator<Item = &'t Entry> {
        self.entries.iter().filter(move |e| e.kind == kind)
    }
}

fn entry(from: &mut Cursor<'_>, version: (u8, u8), directory: bool) -> Result<Entry, Unread> {
    let id = from.int()?;
    let data = from.int()? != 0;
    let _table_oid = from.text()?;
    let _oid = from.text()?;
    let name = from.text()?.unwrap_or_default();
    let kind = from.text()?.unwrap_or_default();
    let _section = from.int()?;
    for _ in ["definition", "drop statement"] {
        from.skip()?;
    }
    let copied = from.text()?.is_some_and(|s| !s.is_empty());
    let schema = from.text()?.filter(|s| !s.is_empty());
    let _tablespace = from.skip()?;
    if version >= (1, 14) {
        from.skip()?;
    }
    if version >= (1, 16) {
        from.int()?;
    }
    let owner = from.text()?.filter(|o| !o.is_empty());
    let _with_oids = from.skip()?;
    // What it depends on, up to a text that is none.
    while from.skip()? {}
    let mut file = None;
    if directory {
        file = from.text()?.filter(|f| !f.is_empty());
    } else {
        let _data_state = from.take(1)?;
        let width = from.offset;
        let _data_place = from.take(width)?;
    }
    Ok(Entry { id, kind, name, schema, owner, data, copied, file })
}

struct Cursor<'b> {
    bytes: &'b [u8],
    at: usize,
    /// Bytes of an integer after its sign, and of an offset.
    int: usize,
    offset: usize,
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
        let width = self.int;
        let value =
            self.take(width)?.iter().rev().try_fold(0i64, |v, b| v.checked_mul(256)?.checked_add(i64::from(*b)));
        let value = value.ok_or_else(|| Unread::Broken("has a number that is too large".to_owned()))?;
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
        Ok(self.raw()?.map(|b| String::from_utf8_lossy(b).into_owned()))
    }

    /// Passes over a text; whether there was one.
    fn skip(&mut self) -> Result<bool, Unread> {
        Ok(self.raw()?.is_some())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn int(value: i32) -> Vec<u8> {
        let mut out = vec![u8::from(value < 0)];
        out.extend(value.unsigned_abs().to_le_bytes());
        out
    }

    fn text(value: &str) -> Vec<u8> {
        [int(i32::try_from(value.len()).expect("short")), value.as_bytes().to_vec()].concat()
    }

    /// A head of version 1.`minor` with one entry, written as `WriteHead` and `WriteToc` do.
    fn head(minor: u8) -> Vec<u8> {
        let none = || int(-1);
        let mut out = b"PGDMP".to_vec();
        out.extend([1, minor, 0, 4, 8, 1]);
        out.extend(if minor >= 15 { vec![0] } else { int(0) });
        (0..7).for_each(|n| out.extend(int(n)));
        out.extend([text("app"), text("15.1"), text("15.1"), int(1)].concat());
        out.extend([int(7), int(1), text("0"), text("16385"), text("orders"), text("TABLE DATA"), int(3)].concat());
        out.extend([text(""), text(""), text("COPY …"), text("public"), none()].concat());
        if minor >= 14 {
            out.extend(text("heap"));
        }
        if minor >= 16 {
            out.extend(int(114));
        }
        out.extend([text("ann"), text("false"), text("214"), none()].concat());
        out.extend([1, 0, 0, 0, 0, 0, 0, 0, 0]);
        out
    }

    #[test]
    fn the_head_of_each_version_is_read_and_every_cut_is_known_for_one() {
        for minor in 12..=16 {
            let bytes = head(minor);
            let toc = Toc::parse(&[bytes.clone(), b"data".to_vec()].concat()).expect("a head");
            assert_eq!((toc.bytes, toc.version, toc.server.as_str()), (bytes.len(), (1, minor), "15.1"));
            let entry = Entry {
                id: 7,
                kind: "TABLE DATA".to_owned(),
                name: "orders".to_owned(),
                schema: Some("public".to_owned()),
                owner: Some("ann".to_owned()),
                data: true,
                copied: true,
                file: None,
            };
            assert_eq!(toc.entries, [entry]);
            for cut in 0..bytes.len() {
                assert_eq!(Toc::parse(&bytes[..cut]), Err(Unread::Short), "{minor} {cut}");
            }
        }
    }

    #[test]
    fn the_directory_format_names_files_in_place_of_offsets() {
        for minor in 12..=16 {
            let mut bytes = head(minor);
            bytes[10] = DIRECTORY;
            bytes.truncate(bytes.len() - 9);
            bytes.extend(text("7.dat"));
            let toc = Toc::parse(&bytes).expect("a head");
            assert_eq!((toc.bytes, toc.entries[0].file.as_deref()), (bytes.len(), Some("7.dat")), "{minor}");
        }
    }

    #[test]
    fn what_is_no_head_is_broken_and_not_waited_for() {
        let mut newer = head(14);
        newer[6] = 17;
        let mut none = head(14);
        none[10] = 4;
        for bytes in [b"-- PostgreSQL database dump".to_vec(), newer, none] {
            assert!(matches!(Toc::parse(&bytes), Err(Unread::Broken(_))));
        }
    }
}
