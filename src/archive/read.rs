//! Reading an archive by its central directory: listing, authenticating, decrypting, decompressing, as a stream.
//!
//! Any zip that follows the specifications is read: stored, deflated or by zstd, plain or encrypted by WinZip AES (AE-1
//! and AE-2, all lengths of key), zip64 or not. What headers claim is checked against the file and against each other and
//! never believed for memory: however an archive was made, reading takes a few hundred kilobytes and what the names of at
//! most a million entries need, and zstd a window of at most 8 MiB.

mod directory;

use std::collections::HashSet;
use std::io::{self, BufReader, Read, Seek, SeekFrom};

use zlib_rs::{Inflate, InflateFlush, Status};
use zstd::stream::raw::{DParameter, Decoder, InBuffer, Operation, OutBuffer};

use super::crypt::{CODE, Crypt};
use super::frame;
use directory::{Fields, bound, find, item};

/// Bytes read at a time.
const PIECE: usize = 64 * 1024;
/// The most entries.
const ENTRIES: u64 = 1_000_000;
/// The most that all names may have, in bytes.
const NAMES: usize = 64 << 20;
/// The most that zstd may look back, as a power of two.
const WINDOW_LOG: u32 = 23;
/// The most that a byte of deflate can become (a length of 258 for two bits), rounded up.
const EXPANDS: u64 = 1033;

/// Why an archive, or an entry of it, is not read.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    #[error("it cannot be read: {0}")]
    Io(#[from] io::Error),
    #[error("it is no zip: {0}")]
    NoZip(&'static str),
    #[error("its directory {0}")]
    Directory(&'static str),
    #[error("the entry `{name}` {what}")]
    Entry { name: String, what: &'static str },
    #[error("the password does not fit the entry `{name}`")]
    Password { name: String },
    #[error("its entries claim {claimed} bytes, and at most {most} are taken")]
    TooLarge { claimed: u64, most: u64 },
}

/// How an entry is encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Aes {
    /// AE-1, which has a checksum of the plain text too.
    first: bool,
    salt: usize,
}

/// An entry, as the central directory has it.
#[derive(Debug, Clone)]
pub struct Item {
    /// A path that stays inside the folder it is unpacked to, with `/` between its parts, and behind it for a folder.
    pub name: String,
    /// Bytes of its content, as claimed; a reader gives just so many, or fails.
    pub size: u64,
    /// Bytes that it takes in the archive.
    pub packed: u64,
    method: u16,
    aes: Option<Aes>,
    crc: u32,
    header: u64,
    /// Where the next one, or the directory, begins.
    limit: u64,
}

impl Item {
    /// Whether it takes a password.
    pub fn encrypted(&self) -> bool {
        self.aes.is_some()
    }

    /// How it is compressed, in the words of plans and records.
    pub fn compression(&self) -> &'static str {
        match self.method {
            0 => "store",
            93 => "zstd",
            _ => "deflate",
        }
    }

    fn refused(&self, what: &'static str) -> Refused {
        Refused::Entry { name: self.name.clone(), what }
    }
}

/// An archive whose directory was read and found sound.
#[derive(Debug)]
pub struct Archive<F> {
    file: F,
    items: Vec<Item>,
}

impl<F: Read + Seek> Archive<F> {
    /// Reads the directory. `most` is what all entries together may claim to become, in bytes: the free space of where
    /// they go, or the most there is when nothing is kept.
    ///
    /// # Errors
    /// It is no zip, or one whose headers contradict each other, overlap, or name paths outside.
    pub fn open(mut file: F, most: u64) -> Result<Self, Refused> {
        let place = find(&mut file)?;
        if place.count > ENTRIES {
            return Err(Refused::Directory("has more than a million entries"));
        }
        file.seek(SeekFrom::Start(place.start))?;
        let mut from = BufReader::with_capacity(PIECE, &mut file).take(place.end - place.start);
        let mut items = Vec::new();
        let (mut names, mut claimed) = (0usize, 0u64);
        for _ in 0..place.count {
            let item = item(&mut from)?;
            names += item.name.len();
            if names > NAMES {
                return Err(Refused::Directory("has names of more than 64 MiB"));
            }
            claimed = claimed.saturating_add(item.size);
            items.push(item);
        }
        if from.limit() != 0 {
            return Err(Refused::Directory("has more than the entries it counts"));
        }
        if claimed > most {
            return Err(Refused::TooLarge { claimed, most });
        }
        let mut seen = HashSet::new();
        if let Some(twice) = items.iter().find(|i| !seen.insert(i.name.trim_end_matches('/'))) {
            return Err(twice.refused("is there twice"));
        }
        bound(&mut items, place.start)?;
        Ok(Self { file, items })
    }

    /// The entries, in the directory's order.
    pub fn entries(&self) -> &[Item] {
        &self.items
    }

    /// The content of an entry, by its place among [`Archive::entries`]. It may be trusted once the reader has come to
    /// its end without an error: only there stand the authentication code and the checksum.
    ///
    /// # Errors
    /// The local header is not that of the entry, the password does not fit, or the method is not known.
    pub fn read(&mut self, index: usize, password: Option<&[u8]>) -> Result<Content<'_, F>, Refused> {
        let item = self.items.get(index).ok_or(Refused::Directory("has no such entry"))?;
        let start = begin(&mut self.file, item)?;
        self.file.seek(SeekFrom::Start(start))?;
        let mut left = item.packed;
        let mut crypt = None;
        if let Some(aes) = item.aes {
            let around = aes.salt + 2 + CODE;
            left = left.checked_sub(around as u64).ok_or_else(|| item.refused("is too short to be encrypted"))?;
            let mut head = [0; 18];
            let head = &mut head[..aes.salt + 2];
            self.file.read_exact(head)?;
            let fresh = Crypt::new(password.unwrap_or_default(), &head[..aes.salt]);
            if password.is_none() || head[aes.salt..] != fresh.verifier {
                return Err(Refused::Password { name: item.name.clone() });
            }
            crypt = Some(fresh);
        }
        let decoder = match item.method {
            0 => Unpack::Stored,
            frame::DEFLATE => Unpack::Deflate(Box::new(Inflate::new(false, 15))),
            frame::ZSTD => {
                let mut decoder = Decoder::new()?;
                decoder.set_parameter(DParameter::WindowLogMax(WINDOW_LOG))?;
                Unpack::Zstd(Box::new(decoder))
            }
            _ => return Err(item.refused("is packed by a method that is not known here")),
        };
        let file = &mut self.file;
        let buffer = vec![0; PIECE];
        Ok(Content { file, item, crypt, decoder, left, buffer, at: 0, end: 0, made: 0, crc: 0, done: false })
    }

    /// Reads an entry to its end and gives nothing of it: whether it is whole, and whether the password fits.
    ///
    /// # Errors
    /// As for [`Archive::read`], and what its content gives.
    pub fn check(&mut self, index: usize, password: Option<&[u8]>) -> Result<u64, Refused> {
        Ok(io::copy(&mut self.read(index, password)?, &mut io::sink())?)
    }
}

/// Reads the local header of an entry, which must say the same as the directory, and gives the place of its data.
fn begin(file: &mut (impl Read + Seek), item: &Item) -> Result<u64, Refused> {
    file.seek(SeekFrom::Start(item.header))?;
    let mut head = [0; 30];
    file.read_exact(&mut head)?;
    let fields = Fields(&head);
    let mut name = vec![0; fields.short(26).into()];
    file.read_exact(&mut name)?;
    let method = if item.encrypted() { frame::AES } else { item.method };
    let flags = fields.short(6);
    let unknown = flags & frame::DESCRIPTOR != 0;
    let same = |at: usize, number: u64| {
        let local = fields.long(at);
        (unknown && local == 0) || local == u32::MAX || u64::from(local) == number
    };
    if !head.starts_with(&frame::LOCAL)
        || fields.short(8) != method
        || (flags & frame::ENCRYPTED != 0) != item.encrypted()
        || name != item.name.as_bytes()
        || !same(18, item.packed)
        || !same(22, item.size)
    {
        return Err(item.refused("has two headers that contradict each other"));
    }
    let data = item.header + 30 + name.len() as u64 + u64::from(fields.short(28));
    if data + item.packed > item.limit {
        return Err(item.refused("overlaps what lies behind it"));
    }
    Ok(data)
}

enum Unpack {
    Stored,
    Deflate(Box<Inflate>),
    Zstd(Box<Decoder<'static>>),
}

/// The content of an entry. After its end without an error, every byte is proven; before, none is.
pub struct Content<'a, F> {
    file: &'a mut F,
    item: &'a Item,
    crypt: Option<Crypt>,
    decoder: Unpack,
    /// Packed bytes that were not read yet.
    left: u64,
    buffer: Vec<u8>,
    at: usize,
    end: usize,
    made: u64,
    crc: u32,
    done: bool,
}

impl<F: Read> Content<'_, F> {
    fn wrong(&self, what: &'static str) -> io::Error {
        io::Error::new(io::ErrorKind::InvalidData, self.item.refused(what))
    }

    /// Reads some more of what is packed, when all of it was used.
    fn fill(&mut self) -> io::Result<()> {
        if self.at < self.end || self.left == 0 {
            return Ok(());
        }
        let count = usize::try_from(self.left).unwrap_or(PIECE).min(PIECE);
        let piece = &mut self.buffer[..count];
        self.file.read_exact(piece)?;
        if let Some(crypt) = &mut self.crypt {
            crypt.decrypt(piece);
        }
        (self.at, self.end) = (0, count);
        self.left -= count as u64;
        Ok(())
    }

    /// Unpacks into `out`. Gives how much was used and made, and whether that was the end.
    fn unpack(&mut self, out: &mut [u8]) -> io::Result<(usize, usize, bool)> {
        let input = &self.buffer[self.at..self.end];
        match &mut self.decoder {
            Unpack::Stored => {
                let count = input.len().min(out.len());
                out[..count].copy_from_slice(&input[..count]);
                Ok((count, count, self.left == 0 && count == input.len()))
            }
            Unpack::Deflate(inflate) => {
                let (taken, made) = (inflate.total_in(), inflate.total_out());
                let status = inflate.decompress(input, out, InflateFlush::NoFlush);
                let used = |now: u64, before: u64| usize::try_from(now - before).unwrap_or(0);
                let (used, made) = (used(inflate.total_in(), taken), used(inflate.total_out(), made));
                match status {
                    Ok(status) => Ok((used, made, status == Status::StreamEnd)),
                    Err(_) => Err(self.wrong("is not what was packed")),
                }
            }
            Unpack::Zstd(decoder) => {
                let (mut input, mut output) = (InBuffer::around(input), OutBuffer::around(out));
                // Zero says that a frame is at its end; a stream of several goes on behind it.
                let hint = decoder.run(&mut input, &mut output);
                let (used, made) = (input.pos, output.pos());
                let hint = hint.map_err(|_| self.wrong("is not what was packed"))?;
                Ok((used, made, hint == 0 && self.left == 0 && self.at + used == self.end))
            }
        }
    }

    /// Nothing may be left over, and all that was said of it has to be true.
    fn finish(&mut self) -> io::Result<()> {
        if self.at < self.end || self.left > 0 {
            return Err(self.wrong("goes on behind its end"));
        }
        if self.made != self.item.size {
            return Err(self.wrong("is shorter than it says"));
        }
        if let Some(crypt) = self.crypt.take() {
            let mut code = [0; CODE];
            self.file.read_exact(&mut code)?;
            if code != crypt.code() {
                return Err(self.wrong("was changed: its authentication code does not fit"));
            }
        }
        if self.item.aes.is_none_or(|aes| aes.first) && self.crc != self.item.crc {
            return Err(self.wrong("was changed: its checksum does not fit"));
        }
        self.done = true;
        Ok(())
    }
}

impl<F: Read> Read for Content<'_, F> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if self.done || out.is_empty() {
            return Ok(0);
        }
        // One byte more than it may have would be seen.
        let room = usize::try_from((self.item.size - self.made).saturating_add(1)).unwrap_or(usize::MAX);
        let length = out.len().min(room);
        loop {
            self.fill()?;
            let (used, made, end) = self.unpack(&mut out[..length])?;
            self.at += used;
            self.made += made as u64;
            self.crc = zlib_rs::crc32::crc32(self.crc, &out[..made]);
            if self.made > self.item.size {
                return Err(self.wrong("is longer than it says"));
            }
            if end {
                self.finish()?;
                return Ok(made);
            }
            if made > 0 {
                return Ok(made);
            }
            if used == 0 && self.left == 0 && self.at == self.end {
                return Err(self.wrong("breaks off"));
            }
            if used == 0 && self.at < self.end {
                return Err(self.wrong("is not what was packed"));
            }
        }
    }
}
