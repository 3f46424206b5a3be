//! A dump in pg_dump's directory format: what its files say of each other and of the manifest.

use std::collections::BTreeMap;
use std::io::{self, Read};

use super::verify::counted;
use crate::dump::rows::Rows;
use crate::dump::toc::Toc;
use crate::dump::{FOLDER, Manifest, TOC};

/// The largest table of contents that is read, in bytes.
const MOST: u64 = 256 << 20;

/// The files of the dump that were read so far, each to its end.
#[derive(Default)]
pub struct Folder {
    toc: Vec<u8>,
    bytes: u64,
    /// The rows of each file, when they came by COPY to their end.
    files: BTreeMap<String, Option<u64>>,
    /// The files that the tables of contents of large objects list.
    listed: Vec<String>,
}

impl Folder {
    /// Reads a file of the dump to its end.
    ///
    /// # Errors
    /// It cannot be read, or is a table of contents larger than any.
    pub fn take(&mut self, name: &str, from: &mut impl Read) -> io::Result<()> {
        let mut rows = Rows::default();
        let mut kept = (name == TOC || name.starts_with("blobs") && name.ends_with(".toc")).then(Vec::new);
        let mut buffer = vec![0; 64 * 1024];
        let mut size = 0;
        loop {
            let count = from.read(&mut buffer)?;
            if count == 0 {
                break;
            }
            size += count as u64;
            rows.take(&buffer[..count]);
            if let Some(kept) = &mut kept {
                if size > MOST {
                    return Err(io::Error::other("it is larger than a table of contents can be"));
                }
                kept.extend_from_slice(&buffer[..count]);
            }
        }
        self.bytes += size;
        self.files.insert(name.to_owned(), rows.count());
        match kept {
            Some(kept) if name == TOC => self.toc = kept,
            Some(kept) => {
                let text = String::from_utf8_lossy(&kept);
                self.listed.extend(text.lines().filter_map(|l| l.split_once(' ')).map(|(_, file)| file.to_owned()));
            }
            None => {}
        }
        Ok(())
    }

    /// Whether all is there that the table of contents and the manifest name, and nothing else. Gives the tables and rows
    /// that were compared.
    ///
    /// # Errors
    /// What is missing, too much or different.
    pub fn compare(&self, manifest: &Manifest) -> Result<(u64, u64), String> {
        let toc = Toc::parse(&self.toc).map_err(|_| format!("the table of contents `{FOLDER}{TOC}` breaks off"))?;
        let named = toc.entries.iter().filter_map(|e| e.file.as_deref()).chain([TOC]);
        let named: Vec<&str> = named.chain(self.listed.iter().map(String::as_str)).collect();
        if let Some(missing) = named.iter().find(|n| !self.files.contains_key(**n)) {
            return Err(format!("the file `{FOLDER}{missing}` is missing"));
        }
        let known: std::collections::BTreeSet<&str> = named.into_iter().collect();
        if let Some(other) = self.files.keys().find(|n| !known.contains(n.as_str())) {
            return Err(format!("nothing names the file `{FOLDER}{other}`"));
        }
        if self.bytes != manifest.dump_bytes {
            return Err(format!("it has {} bytes, and the manifest says {}", self.bytes, manifest.dump_bytes));
        }
        counted(manifest, &toc, |entry| self.files.get(entry.file.as_ref()?).copied())
    }
}
