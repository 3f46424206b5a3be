//! The central directory: where it lies, and what it says of each entry (PKWARE APPNOTE 4.3.12 to 4.3.16).

use std::io::{self, Read, Seek, SeekFrom};

use super::{Aes, EXPANDS, Item, Refused};
use crate::archive::frame;

const PART: Refused = Refused::NoZip("it is one part of several");

/// Numbers out of a header that was read in full.
pub(super) struct Fields<'a>(pub &'a [u8]);

impl Fields<'_> {
    pub fn short(&self, at: usize) -> u16 {
        self.0.get(at..).and_then(|b| b.first_chunk()).map_or(0, |b| u16::from_le_bytes(*b))
    }

    pub fn long(&self, at: usize) -> u32 {
        self.0.get(at..).and_then(|b| b.first_chunk()).map_or(0, |b| u32::from_le_bytes(*b))
    }

    pub fn double(&self, at: usize) -> u64 {
        self.0.get(at..).and_then(|b| b.first_chunk()).map_or(0, |b| u64::from_le_bytes(*b))
    }
}

/// The extra field of a number, if there is one.
fn extra(mut fields: &[u8], wanted: u16) -> Option<&[u8]> {
    while let Some((head, rest)) = fields.split_first_chunk::<4>() {
        let head = Fields(head);
        let (body, after) = rest.split_at_checked(head.short(2).into())?;
        if head.short(0) == wanted {
            return Some(body);
        }
        fields = after;
    }
    None
}

/// Where the directory lies, and how many entries it has.
pub(super) struct Place {
    pub count: u64,
    pub start: u64,
    pub end: u64,
}

/// Looks for the end of the directory from the end of the file, past a comment of at most 65,535 bytes.
pub(super) fn find(file: &mut (impl Read + Seek)) -> Result<Place, Refused> {
    let length = file.seek(SeekFrom::End(0))?;
    let tail = length.min(22 + u64::from(u16::MAX) + 20);
    file.seek(SeekFrom::Start(length - tail))?;
    let mut bytes = Vec::new();
    file.take(tail).read_to_end(&mut bytes)?;
    let at = (0..bytes.len().saturating_sub(21)).rev().find(|at| {
        let end = &bytes[*at..];
        end.starts_with(&frame::END) && end.len() == 22 + usize::from(Fields(end).short(20))
    });
    let at = at.ok_or(Refused::NoZip("the end of its directory is not found"))?;
    let end = Fields(&bytes[at..at + 22]);
    let mut place = Place { count: end.short(8).into(), start: end.long(16).into(), end: length - tail + at as u64 };
    let mut size = u64::from(end.long(12));
    let locator = at.checked_sub(20).map(|at| &bytes[at..at + 20]).filter(|l| l.starts_with(&frame::LOCATOR));
    let locator = locator.map(Fields);
    // Numbers of parts that zip64 has in full may be left to it.
    let alone = |part: u16| part == 0 || (part == u16::MAX && locator.is_some());
    let parts = locator.as_ref().is_some_and(|l| l.long(4) != 0 || l.long(16) > 1);
    if parts || !alone(end.short(4)) || !alone(end.short(6)) || end.short(8) != end.short(10) {
        return Err(PART);
    }
    if let Some(locator) = locator {
        let start = locator.double(8);
        // It has 56 bytes, and may have more that nobody knows; they end where the locator begins.
        let room = (place.end - 20).checked_sub(start).filter(|room| *room >= 56);
        let room = room.ok_or(Refused::Directory("ends elsewhere than it says"))?;
        file.seek(SeekFrom::Start(start))?;
        let mut head = [0; 56];
        file.read_exact(&mut head)?;
        let end = Fields(&head);
        if !head.starts_with(&frame::END64) || end.double(4) != room - 12 || end.double(24) != end.double(32) {
            return Err(Refused::Directory("ends elsewhere than it says"));
        }
        if end.long(16) != 0 || end.long(20) != 0 {
            return Err(PART);
        }
        let same = |short: u64, most: u64, long: u64| short == most || short == long;
        if !same(place.count, u16::MAX.into(), end.double(32))
            || !same(size, u32::MAX.into(), end.double(40))
            || !same(place.start, u32::MAX.into(), end.double(48))
        {
            return Err(Refused::Directory("has two ends that contradict each other"));
        }
        place = Place { count: end.double(32), start: end.double(48), end: start };
        size = end.double(40);
    }
    if place.start.checked_add(size) != Some(place.end) {
        return Err(Refused::Directory("lies elsewhere than it says"));
    }
    Ok(place)
}

/// One header of the directory.
pub(super) fn item(from: &mut impl Read) -> Result<Item, Refused> {
    let short = |error: io::Error| match error.kind() {
        io::ErrorKind::UnexpectedEof => Refused::Directory("has fewer entries than it counts"),
        _ => Refused::Io(error),
    };
    let mut head = [0; 46];
    from.read_exact(&mut head).map_err(short)?;
    if !head.starts_with(&frame::CENTRAL) {
        return Err(Refused::Directory("has something else where an entry should be"));
    }
    let head = Fields(&head);
    let mut read = |length: u16| {
        let mut bytes = vec![0; length.into()];
        from.read_exact(&mut bytes).map(|()| bytes)
    };
    let name = read(head.short(28)).map_err(short)?;
    let extras = read(head.short(30)).map_err(short)?;
    read(head.short(32)).map_err(short)?;
    let name = String::from_utf8(name).map_err(|_| Refused::Directory("has a name that is not UTF-8"))?;
    let mut item = Item {
        name,
        size: head.long(24).into(),
        packed: head.long(20).into(),
        method: head.short(10),
        aes: None,
        crc: head.long(16),
        header: head.long(42).into(),
        limit: 0,
    };
    if climbs(&item.name) {
        return Err(item.refused("names a place outside the folder it is unpacked to"));
    }
    // Only what does not fit above stands here, in this order.
    let large = extra(&extras, frame::EXTRA_ZIP64).unwrap_or_default();
    let mut large = large.chunks_exact(8).map(|chunk| Fields(chunk).double(0));
    let mut missing = false;
    for number in [&mut item.size, &mut item.packed, &mut item.header] {
        if *number == u64::from(u32::MAX) {
            match large.next() {
                Some(value) => *number = value,
                None => missing = true,
            }
        }
    }
    if missing {
        return Err(item.refused("has a size that is missing"));
    }
    let flags = head.short(8);
    // Bit 6: strong encryption; bit 13: a directory that is encrypted too.
    if flags & (1 << 6 | 1 << 13) != 0 {
        return Err(item.refused("is encrypted in a way that is not known here"));
    }
    let encrypted = flags & frame::ENCRYPTED != 0;
    if encrypted != (item.method == frame::AES) {
        return Err(item.refused("is encrypted by ZipCrypto, which protects nothing"));
    }
    if encrypted {
        let field = Fields(extra(&extras, frame::EXTRA_AES).filter(|f| f.len() >= 7).unwrap_or_default());
        let (version, strength) = (field.short(0), field.short(4) & 255);
        if !matches!((version, strength, field.short(2)), (1 | 2, 1..=3, 0x4541)) {
            return Err(item.refused("is encrypted in a way that is not known here"));
        }
        item.aes = Some(Aes { first: version == 1, salt: 4 + 4 * usize::from(strength) });
        item.method = field.short(5);
    }
    let impossible = match item.method {
        0 => item.aes.is_none() && item.size != item.packed,
        frame::DEFLATE => item.size / EXPANDS > item.packed,
        _ => false,
    };
    if impossible || (item.name.ends_with('/') && item.size > 0) {
        return Err(item.refused("claims a size that it cannot have"));
    }
    Ok(item)
}

/// Whether a name leads out of the folder it is unpacked to, here or on another system.
fn climbs(name: &str) -> bool {
    let drive = name.as_bytes().get(1) == Some(&b':') && name.as_bytes()[0].is_ascii_alphabetic();
    let folder = name.strip_suffix('/').unwrap_or(name);
    drive || name.contains(['\\', '\0']) || folder.split('/').any(|part| matches!(part, "" | "." | ".."))
}

/// Gives each entry the place where the next begins: data that lie in two entries, by which a small file becomes a huge
/// one, would reach beyond it.
pub(super) fn bound(items: &mut [Item], directory: u64) -> Result<(), Refused> {
    let mut order: Vec<usize> = (0..items.len()).collect();
    order.sort_by_key(|at| std::cmp::Reverse(items[*at].header));
    let mut limit = directory;
    for at in order {
        let item = &mut items[at];
        item.limit = limit;
        let least = (30 + item.name.len() as u64).checked_add(item.packed).and_then(|l| l.checked_add(item.header));
        if least.is_none_or(|end| end > limit) {
            return Err(item.refused("overlaps what lies behind it"));
        }
        limit = item.header;
    }
    Ok(())
}
