//! The bytes of a zip around its data (PKWARE APPNOTE 6.3.10, WinZip AES note 1.04).
//!
//! What an entry measures is known only behind its data, and stands there, in a data descriptor (APPNOTE 4.3.9): so an
//! archive is written from its first byte to its last and hashed as it is written. A reader that knows only the stream
//! finds the end of an entry because deflate and zstd mark their own end; nothing is kept by method 0, which does not.
//! The local header says that the sizes of the descriptor have eight bytes, by a zip64 field; the central directory has
//! such a field only where a number needs it (APPNOTE 4.5.3).

use chrono::{DateTime, Datelike, Local, Timelike};

/// Deflate.
pub const DEFLATE: u16 = 8;
/// Zstandard.
pub const ZSTD: u16 = 93;
/// What stands for the method of an entry that is encrypted by AES; the true one is in its extra field.
pub const AES: u16 = 99;

/// Extra fields: zip64, Unix time, AES.
pub const EXTRA_ZIP64: u16 = 0x0001;
pub const EXTRA_TIME: u16 = 0x5455;
pub const EXTRA_AES: u16 = 0x9901;

/// Bit 0: encrypted; bit 3: sizes follow the data; bit 11: the name is UTF-8.
pub const ENCRYPTED: u16 = 1;
pub const DESCRIPTOR: u16 = 1 << 3;
pub const UTF8: u16 = 1 << 11;

pub const LOCAL: [u8; 4] = *b"PK\x03\x04";
pub const CENTRAL: [u8; 4] = *b"PK\x01\x02";
pub const FOLLOWS: [u8; 4] = *b"PK\x07\x08";
pub const END64: [u8; 4] = *b"PK\x06\x06";
pub const LOCATOR: [u8; 4] = *b"PK\x06\x07";
pub const END: [u8; 4] = *b"PK\x05\x06";

/// What the headers say of an entry.
#[derive(Debug, Clone)]
pub struct Entry {
    pub name: String,
    /// Where its local header begins.
    pub header: u64,
    /// Where its data begin.
    pub data: u64,
    /// Checksum of its content; 0 where an authentication code stands for it (AE-2).
    pub crc: u32,
    pub size: u64,
    /// Bytes of its data, with all that encryption adds.
    pub packed: u64,
    pub method: u16,
    pub encrypted: bool,
    pub time: DateTime<Local>,
}

fn short(number: u64) -> [u8; 2] {
    u16::try_from(number).unwrap_or(u16::MAX).to_le_bytes()
}

fn long(number: u64) -> [u8; 4] {
    u32::try_from(number).unwrap_or(u32::MAX).to_le_bytes()
}

/// Time and date as MS-DOS kept them, in local time, to two seconds.
fn dos_time(time: DateTime<Local>) -> [u8; 4] {
    let year = u32::try_from(time.year().clamp(1980, 2107) - 1980).unwrap_or(0);
    let clock = (time.hour() << 11) | (time.minute() << 5) | (time.second() / 2);
    let date = (year << 9) | (time.month() << 5) | time.day();
    ((date << 16) | clock).to_le_bytes()
}

impl Entry {
    /// Version needed, flags, method, time: what local and central headers begin with.
    fn common(&self, out: &mut Vec<u8>) {
        // 4.5 for zip64, 5.1 for AES, 6.3 for zstd (APPNOTE 4.4.3).
        let needed: u16 = match (self.method, self.encrypted) {
            (ZSTD, _) => 63,
            (_, true) => 51,
            (_, false) => 45,
        };
        out.extend(needed.to_le_bytes());
        out.extend((DESCRIPTOR | UTF8 | if self.encrypted { ENCRYPTED } else { 0 }).to_le_bytes());
        out.extend(if self.encrypted { AES } else { self.method }.to_le_bytes());
        out.extend(dos_time(self.time));
    }

    /// The extra fields that both headers share: AES (version 2 of the vendor AE, 256 bits) and the time in UTC.
    fn extra(&self) -> Vec<u8> {
        let mut out = Vec::new();
        if self.encrypted {
            out.extend(EXTRA_AES.to_le_bytes());
            out.extend([7, 0, 2, 0, b'A', b'E', 3]);
            out.extend(self.method.to_le_bytes());
        }
        // A number of 32 bits with a sign: none where it does not fit.
        if let Ok(seconds) = i32::try_from(self.time.timestamp()) {
            out.extend(EXTRA_TIME.to_le_bytes());
            out.extend([5, 0, 1]);
            out.extend(seconds.to_le_bytes());
        }
        out
    }

    /// What stands before the data.
    pub fn local(&self) -> Vec<u8> {
        let mut extra = EXTRA_ZIP64.to_le_bytes().to_vec();
        extra.extend([16, 0]);
        extra.extend([0; 16]);
        extra.extend(self.extra());
        let mut out = LOCAL.to_vec();
        self.common(&mut out);
        out.extend([0; 4]);
        out.extend([0xff; 8]);
        out.extend(short(self.name.len() as u64));
        out.extend(short(extra.len() as u64));
        out.extend(self.name.as_bytes());
        out.extend(extra);
        out
    }

    /// What stands behind the data.
    pub fn descriptor(&self) -> Vec<u8> {
        let mut out = FOLLOWS.to_vec();
        out.extend(self.crc.to_le_bytes());
        out.extend(self.packed.to_le_bytes());
        out.extend(self.size.to_le_bytes());
        out
    }

    /// Its place in the central directory.
    pub fn central(&self) -> Vec<u8> {
        // Those that are too large for the header, in this order.
        let large: Vec<u8> = [self.size, self.packed, self.header]
            .iter()
            .filter(|number| **number >= u32::MAX.into())
            .flat_map(|number| number.to_le_bytes())
            .collect();
        let mut extra = Vec::new();
        if !large.is_empty() {
            extra.extend(EXTRA_ZIP64.to_le_bytes());
            extra.extend(short(large.len() as u64));
            extra.extend(large);
        }
        extra.extend(self.extra());
        let mut out = CENTRAL.to_vec();
        // Made by version 6.3 on Unix, so that the attributes are a Unix mode: a file, 0600.
        out.extend([63, 3]);
        self.common(&mut out);
        out.extend(self.crc.to_le_bytes());
        out.extend(long(self.packed));
        out.extend(long(self.size));
        out.extend(short(self.name.len() as u64));
        out.extend(short(extra.len() as u64));
        out.extend([0; 6]);
        out.extend((0o100_600u32 << 16).to_le_bytes());
        out.extend(long(self.header));
        out.extend(self.name.as_bytes());
        out.extend(extra);
        out
    }
}

/// What stands behind the central directory, which lies from `start` to `end` and has `count` entries.
pub fn end(count: u64, start: u64, end: u64) -> Vec<u8> {
    let mut out = Vec::new();
    if count >= u16::MAX.into() || start >= u32::MAX.into() || end - start >= u32::MAX.into() {
        out.extend(END64);
        out.extend(44u64.to_le_bytes());
        out.extend([63, 3, 45, 0]);
        out.extend([0; 8]);
        for number in [count, count, end - start, start] {
            out.extend(number.to_le_bytes());
        }
        out.extend(LOCATOR);
        out.extend([0; 4]);
        out.extend(end.to_le_bytes());
        out.extend(1u32.to_le_bytes());
    }
    out.extend(END);
    out.extend([0; 4]);
    out.extend(short(count));
    out.extend(short(count));
    out.extend(long(end - start));
    out.extend(long(start));
    out.extend([0, 0]);
    out
}
