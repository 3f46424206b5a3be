//! Archives made from a fuzzer's bytes: what begins with `PK` is one as it stands, everything else says how to make one
//! whose checksums and authentication codes are right, so that a fuzzer comes past them. By the specifications (PKWARE
//! APPNOTE 6.3.10, WinZip AES note 1.04) and with nothing of the engine that reads them.

use std::borrow::Cow;
use std::io::{Read, Write};
use std::sync::OnceLock;

use aes::{Aes128, Aes192, Aes256};
use ctr::Ctr128LE;
use ctr::cipher::{KeyIvInit, StreamCipher};
use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;

use crate::archive::{MOST, PASSWORD};

/// A fuzzer's bytes, zeros behind their end.
struct Source<'a>(&'a [u8]);

impl<'a> Source<'a> {
    fn byte(&mut self) -> u8 {
        let (first, rest) = self.0.split_first().unwrap_or((&0, &[]));
        self.0 = rest;
        *first
    }

    fn take(&mut self, count: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(count.min(self.0.len()));
        self.0 = rest;
        taken
    }
}

/// The archive that the bytes are, or say how to make.
pub fn archive(data: &[u8]) -> Cow<'_, [u8]> {
    if data.starts_with(b"PK") { Cow::Borrowed(data) } else { Cow::Owned(crafted(&mut Source(data))) }
}

fn crafted(from: &mut Source<'_>) -> Vec<u8> {
    let shape = from.byte();
    let mut out = if shape & 1 == 1 { b"#!/bin/sh\n".to_vec() } else { Vec::new() };
    let mut directory = Vec::new();
    let count = u16::from(from.byte() % 5);
    for _ in 0..count {
        entry(from, &mut out, &mut directory);
    }
    let start = out.len() as u64;
    let size = directory.len() as u64;
    out.extend(&directory);
    // A number that is wrong, now and then.
    let mut said = |bit: u8, number: u64| {
        if shape & bit == 0 { number } else { number.wrapping_add_signed(i64::from(from.byte().cast_signed())) }
    };
    let (count, size, start) = (said(2, count.into()), said(4, size), said(8, start));
    let short = |n: u64| if shape & 32 == 0 { n as u16 } else { u16::MAX };
    let long = |n: u64| if shape & 32 == 0 { n as u32 } else { u32::MAX };
    if shape & 16 != 0 {
        let at = out.len() as u64;
        out.extend(b"PK\x06\x06");
        out.extend(44u64.to_le_bytes());
        out.extend([63, 3, 45, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        [count, count, size, start].iter().for_each(|n| out.extend(n.to_le_bytes()));
        out.extend(b"PK\x06\x07\0\0\0\0");
        out.extend(at.to_le_bytes());
        out.extend(1u32.to_le_bytes());
    }
    out.extend(b"PK\x05\x06\0\0\0\0");
    out.extend(short(count).to_le_bytes());
    out.extend(short(count).to_le_bytes());
    out.extend(long(size).to_le_bytes());
    out.extend(long(start).to_le_bytes());
    let comment = if shape & 64 != 0 { from.take(30) } else { &[] };
    out.extend((comment.len() as u16).to_le_bytes());
    out.extend(comment);
    out
}

/// One entry, behind what is there of the archive and of its directory.
fn entry(from: &mut Source<'_>, out: &mut Vec<u8>, directory: &mut Vec<u8>) {
    let (kind, shape) = (from.byte(), from.byte());
    // The last are methods that others know (APPNOTE 4.4.5), or that nobody does.
    let foreign = [1, 6, 9, 12, 14, 95, 98, u16::from(shape)][usize::from(shape >> 2) % 8];
    let mut method = [8, 93, 0, 8, foreign][usize::from(kind % 5)];
    let strength = (kind >> 3) & 3;
    let first = kind & 32 != 0;
    let name_length = usize::from(from.byte() % 12);
    let name = from.take(name_length);
    let length = usize::from(from.byte()) * 8;
    let content = from.take(length);
    let (plain, mut packed) = if kind & 64 != 0 {
        (unpacked(method, content), content.to_vec())
    } else {
        let plain = content.repeat(1 + usize::from(from.byte() % 32));
        let packed = packed(method, &plain);
        (plain, packed)
    };
    let mut crc = crc32fast::hash(&plain);
    let mut size = plain.len() as u64;
    let lie = if kind & 128 != 0 { from.byte() % 8 } else { 8 };
    let mut by = || i64::from(from.byte().cast_signed());
    match lie {
        0 => size = size.wrapping_add_signed(by()),
        1 => size = size.wrapping_add_signed(by() << 16),
        2 => crc ^= by() as u32,
        3 => packed.push(by() as u8),
        4 => method ^= by() as u16 & 0xff,
        _ => {}
    }
    let mut extra = Vec::new();
    if strength > 0 {
        encrypt(strength, &mut packed);
        if !first {
            crc = 0;
        }
        extra.extend([0x01, 0x99, 7, 0, if first { 1 } else { 2 }, 0, b'A', b'E', strength]);
        extra.extend(method.to_le_bytes());
    }
    if lie == 5
        && let Some(last) = packed.last_mut()
    {
        *last ^= 1;
    }
    let outer = if strength > 0 { 99u16 } else { method };
    let described = shape & 1 != 0;
    let flags = u16::from(strength > 0) | if described { 8 } else { 0 } | 1 << 11;
    let header = out.len() as u64;
    let packed_size = packed.len() as u64;
    let common = |head: &mut Vec<u8>| {
        head.extend([51, 0]);
        head.extend(flags.to_le_bytes());
        head.extend(outer.to_le_bytes());
        head.extend([0, 0, 0x21, 0x58]);
    };
    out.extend(b"PK\x03\x04");
    common(out);
    let local = |n: u64| if described { 0 } else { n as u32 };
    out.extend(local(crc.into()).to_le_bytes());
    out.extend(local(packed_size).to_le_bytes());
    out.extend(local(if lie == 6 { size ^ 1 } else { size }).to_le_bytes());
    out.extend((name.len() as u16).to_le_bytes());
    out.extend((extra.len() as u16).to_le_bytes());
    out.extend(name);
    out.extend(&extra);
    out.extend(&packed);
    if described {
        out.extend(b"PK\x07\x08");
        out.extend(crc.to_le_bytes());
        out.extend((packed_size as u32).to_le_bytes());
        out.extend((size as u32).to_le_bytes());
    }
    let header = if lie == 7 { header.saturating_sub(packed_size) } else { header };
    let large = shape & 2 != 0;
    if large {
        extra.extend([1, 0, 24, 0]);
        [size, packed_size, header].iter().for_each(|n| extra.extend(n.to_le_bytes()));
    }
    let number = |n: u64| if large { u32::MAX } else { n as u32 };
    directory.extend(b"PK\x01\x02\x3f\x03");
    common(directory);
    directory.extend(crc.to_le_bytes());
    directory.extend(number(packed_size).to_le_bytes());
    directory.extend(number(size).to_le_bytes());
    directory.extend((name.len() as u16).to_le_bytes());
    directory.extend((extra.len() as u16).to_le_bytes());
    directory.extend([0; 10]);
    directory.extend(number(header).to_le_bytes());
    directory.extend(name);
    directory.extend(&extra);
}

fn packed(method: u16, plain: &[u8]) -> Vec<u8> {
    match method {
        8 => {
            let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::fast());
            encoder.write_all(plain).expect("into memory");
            encoder.finish().expect("into memory")
        }
        93 => zstd::bulk::compress(plain, 1).expect("into memory"),
        _ => plain.to_vec(),
    }
}

/// What packed bytes become, as far as they do.
fn unpacked(method: u16, packed: &[u8]) -> Vec<u8> {
    let mut plain = Vec::new();
    let _ = match method {
        8 => flate2::read::DeflateDecoder::new(packed).take(MOST).read_to_end(&mut plain),
        93 => zstd::Decoder::new(packed).and_then(|mut d| {
            d.window_log_max(23)?;
            d.take(MOST).read_to_end(&mut plain)
        }),
        _ => return packed.to_vec(),
    };
    plain
}

/// Salt, verifier, ciphertext and authentication code in place of the plain bytes.
fn encrypt(strength: u8, data: &mut Vec<u8>) {
    static KEYS: [OnceLock<Vec<u8>>; 3] = [const { OnceLock::new() }; 3];
    let salt = vec![7u8; 4 + 4 * usize::from(strength)];
    let length = 2 * salt.len();
    let keys = KEYS[usize::from(strength - 1)].get_or_init(|| {
        let mut keys = vec![0; 2 * length + 2];
        pbkdf2::pbkdf2_hmac::<Sha1>(PASSWORD.as_bytes(), &salt, 1000, &mut keys);
        keys
    });
    let mut counter = [0u8; 16];
    counter[0] = 1;
    let key = &keys[..length];
    let wrong = "a key of that length";
    match strength {
        1 => Ctr128LE::<Aes128>::new_from_slices(key, &counter).expect(wrong).apply_keystream(data),
        2 => Ctr128LE::<Aes192>::new_from_slices(key, &counter).expect(wrong).apply_keystream(data),
        _ => Ctr128LE::<Aes256>::new_from_slices(key, &counter).expect(wrong).apply_keystream(data),
    }
    let mut mac = Hmac::<Sha1>::new_from_slice(&keys[length..2 * length]).expect("a key of any length");
    mac.update(data);
    let code = mac.finalize().into_bytes();
    let mut all = salt;
    all.extend(&keys[2 * length..]);
    all.append(data);
    all.extend(&code[..10]);
    *data = all;
}
