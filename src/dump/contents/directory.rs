//! A dump in the directory format, whose files come one after the other, in any order.

use std::collections::{BTreeMap, BTreeSet};

use super::{Contents, Fault, contents};
use crate::dump::TOC;
use crate::dump::objects::{Object, ObjectHasher};
use crate::dump::rows::{Hashing, RowHasher, Rows};
use crate::dump::toc::TocReader;

/// The longest line of a table of contents of large objects.
const LINE: usize = 256;
/// The most large objects that these may list.
const OBJECTS: usize = 32_000_000;

/// The reader of the folder.
pub struct DirectoryDump {
    hashing: Hashing,
    toc: Option<TocReader>,
    /// Each file, with its rows when it has some that came to their end.
    files: BTreeMap<String, Option<Rows>>,
    /// The numbers of the large objects that are listed.
    listed: BTreeSet<u64>,
    objects: BTreeMap<u64, Object>,
    /// The first thing that is wrong with a file.
    fault: Option<Fault>,
    bytes: u64,
}

/// The reader of one file.
pub struct FileReader {
    name: String,
    kind: Kind,
    bytes: u64,
    fault: Option<Fault>,
}

enum Kind {
    Toc(TocReader),
    /// The line so far, and the numbers of large objects.
    Listing(Vec<u8>, BTreeSet<u64>),
    Object(u64, ObjectHasher),
    Rows(RowHasher),
}

/// The number of a large object by the name of its file.
fn object(name: &str) -> Option<u64> {
    name.strip_prefix("blob_")?.strip_suffix(".dat")?.parse().ok()
}

impl DirectoryDump {
    pub fn new(hashing: Hashing) -> Self {
        Self {
            hashing,
            toc: None,
            files: BTreeMap::new(),
            listed: BTreeSet::new(),
            objects: BTreeMap::new(),
            fault: None,
            bytes: 0,
        }
    }

    /// A reader for a file of that name.
    pub fn file(&self, name: &str) -> FileReader {
        let kind = if name == TOC {
            Kind::Toc(TocReader::new())
        } else if name.starts_with("blobs") && name.ends_with(".toc") {
            Kind::Listing(Vec::new(), BTreeSet::new())
        } else if let Some(oid) = object(name) {
            Kind::Object(oid, ObjectHasher::new(self.hashing))
        } else {
            Kind::Rows(RowHasher::terminated(self.hashing))
        };
        FileReader { name: name.to_owned(), kind, bytes: 0, fault: None }
    }

    /// Takes a file that was read to its end.
    pub fn add(&mut self, file: FileReader) {
        let mut rows = None;
        match file.kind {
            Kind::Toc(toc) => self.toc = Some(toc),
            Kind::Listing(line, listed) => {
                self.listed.extend(listed);
                if !line.is_empty() {
                    self.fault.get_or_insert(Fault::Broken(format!("the list `{}` breaks off", file.name)));
                }
            }
            Kind::Object(oid, mut hasher) => drop(self.objects.insert(oid, hasher.finish())),
            Kind::Rows(hasher) => rows = hasher.rows(),
        }
        self.bytes += file.bytes;
        if let Some(fault) = file.fault {
            self.fault.get_or_insert(fault);
        }
        self.files.insert(file.name, rows);
    }

    /// The bytes of all files.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// What it holds, after its last file: all that the table of contents names must be there, and nothing else.
    ///
    /// # Errors
    /// It is not whole, or is not understood.
    pub fn end(self) -> Result<Contents, Fault> {
        if let Some(fault) = self.fault {
            return Err(fault);
        }
        let Some(toc) = self.toc else {
            return Err(Fault::Broken("the dump has no table of contents".to_owned()));
        };
        let toc = toc.finish().map_err(Fault::from)?;
        let named: BTreeSet<&str> = toc.entries.iter().filter_map(|e| e.file.as_deref()).chain([TOC]).collect();
        if let Some(missing) = named.iter().find(|n| !self.files.contains_key(**n)) {
            return Err(Fault::Broken(format!("the file `{missing}` is missing")));
        }
        if let Some(missing) = self.listed.iter().find(|oid| !self.objects.contains_key(oid)) {
            return Err(Fault::Broken(format!("the large object `blob_{missing}.dat` is missing")));
        }
        let known = |name: &str| named.contains(name) || object(name).is_some_and(|oid| self.listed.contains(&oid));
        if let Some(other) = self.files.keys().find(|n| !known(n)) {
            return Err(Fault::Broken(format!("nothing names the file `{other}`")));
        }
        contents(toc, self.hashing, self.objects, |entry| self.files.get(entry.file.as_ref()?).copied().flatten())
    }
}

impl FileReader {
    /// Takes the next bytes of the file.
    pub fn take(&mut self, bytes: &[u8]) {
        self.bytes += bytes.len() as u64;
        if self.fault.is_some() {
            return;
        }
        match &mut self.kind {
            Kind::Rows(hasher) => hasher.take(bytes),
            Kind::Object(_, hasher) => hasher.take(bytes),
            Kind::Toc(toc) => {
                if let Err(fault) = toc.take(bytes) {
                    self.fault = Some(fault.into());
                }
            }
            Kind::Listing(line, listed) => {
                for byte in bytes {
                    if *byte != b'\n' {
                        line.push(*byte);
                    }
                    // `16400 blob_16400.dat`
                    let text = || std::str::from_utf8(line).ok()?.split_once(' ');
                    let same = |(oid, file): (&str, &str)| object(file).filter(|o| o.to_string() == oid);
                    let oid = (*byte == b'\n').then(|| text().and_then(same));
                    let full = line.len() > LINE || listed.len() > OBJECTS;
                    if let Some(oid) = oid {
                        listed.extend(oid);
                        line.clear();
                    }
                    if full || oid == Some(None) {
                        let what = format!("`{}` is not a list of large objects", self.name);
                        self.fault = Some(Fault::Broken(what));
                        return;
                    }
                }
            }
        }
    }
}
