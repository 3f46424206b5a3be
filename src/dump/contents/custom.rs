//! A dump in the custom format.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::{Contents, Fault, contents};
use crate::dump::blocks::{Blocks, Piece};
use crate::dump::objects::{Object, ObjectHasher};
use crate::dump::rows::{Hashing, RowHasher, Rows};
use crate::dump::toc::{Toc, TocReader};

/// The reader.
pub struct CustomDump {
    hashing: Hashing,
    state: State,
    data: Data,
}

enum State {
    Head(TocReader),
    Data(Toc, Blocks),
    Failed(Fault),
}

/// What was read of the data.
struct Data {
    /// The entries whose rows come by COPY.
    copied: HashSet<i64>,
    hasher: RowHasher,
    /// Whether the block that has begun has rows.
    rows: bool,
    found: HashMap<i64, Option<Rows>>,
    object: Option<u64>,
    objects: ObjectHasher,
    seen: BTreeMap<u64, Object>,
}

impl Data {
    fn piece(&mut self, piece: Piece<'_>) {
        match piece {
            Piece::Begin(entry) => self.rows = self.copied.contains(&entry),
            Piece::Data(data) if self.object.is_some() => self.objects.take(data),
            Piece::Data(data) if self.rows => self.hasher.take(data),
            Piece::Data(_) => {}
            Piece::Object(oid) => self.object = Some(oid),
            Piece::ObjectEnd => {
                let object = self.objects.finish();
                self.seen.extend(self.object.take().map(|oid| (oid, object)));
            }
            Piece::End(entry) => {
                if std::mem::take(&mut self.rows) {
                    self.found.insert(entry, self.hasher.take_rows());
                }
            }
        }
    }
}

impl CustomDump {
    pub fn new(hashing: Hashing) -> Self {
        let data = Data {
            copied: HashSet::new(),
            hasher: RowHasher::terminated(hashing),
            rows: false,
            found: HashMap::new(),
            object: None,
            objects: ObjectHasher::new(hashing),
            seen: BTreeMap::new(),
        };
        Self { hashing, state: State::Head(TocReader::new()), data }
    }

    /// Takes the next bytes.
    pub fn take(&mut self, bytes: &[u8]) {
        let data = &mut self.data;
        let head = match &mut self.state {
            State::Head(head) => head,
            State::Data(_, blocks) => return blocks.take_with(bytes, &mut |piece| data.piece(piece)),
            State::Failed(_) => return,
        };
        match head.take(bytes) {
            Ok(false) => {}
            Err(fault) => self.state = State::Failed(fault.into()),
            Ok(true) => {
                let rest = head.take_rest();
                let head = std::mem::take(head);
                let toc = match head.finish() {
                    Ok(toc) => toc,
                    Err(fault) => return self.state = State::Failed(fault.into()),
                };
                if !toc.compressed {
                    data.copied = toc.entries.iter().filter(|e| e.copied).map(|e| e.id).collect();
                }
                let mut blocks = toc.blocks();
                blocks.take_with(&rest, &mut |piece| data.piece(piece));
                self.state = State::Data(toc, blocks);
            }
        }
    }

    /// What it holds, after its last byte.
    ///
    /// # Errors
    /// It is not whole, or is not understood.
    pub fn end(self) -> Result<Contents, Fault> {
        match self.state {
            State::Head(_) => Err(Fault::Broken("the dump is cut short in its table of contents".to_owned())),
            State::Failed(fault) => Err(fault),
            State::Data(toc, blocks) => {
                blocks.whole().map_err(|why| Fault::Broken(why.to_owned()))?;
                let found = self.data.found;
                contents(toc, self.hashing, self.data.seen, |entry| found.get(&entry.id).copied().flatten())
            }
        }
    }
}
