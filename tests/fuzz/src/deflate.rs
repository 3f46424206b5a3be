//! What the encoder of `level: fast` writes is what two decoders read that know nothing of it.
//!
//! The fuzzer's bytes are not compressed themselves, which would be a few at a time: they say how to make content of
//! up to mebibytes, so that blocks and chunks of every kind come beside each other.

use runplan::archive::deflate::{self, CHUNK, Encoder};

/// The most content of one input, in bytes.
const MOST: usize = 2 << 20;

/// Content by steps of four bytes, what it does, a length of two, and a seed; and what is left as it stands.
pub fn content(mut steps: &[u8]) -> Vec<u8> {
    let mut out: Vec<u8> = Vec::new();
    while let [kind, low, high, seed, rest @ ..] = steps {
        steps = rest;
        let length = usize::from(u16::from_le_bytes([*low, *high])) << (kind >> 6);
        if out.len() + length > MOST {
            break;
        }
        let mut state = u64::from(*seed) << 8 | 1;
        let mut next = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 24) as u8
        };
        match kind & 7 {
            0 => out.resize(out.len() + length, *seed),
            1 => out.extend((0..length).map(|_| next())),
            2 => out.extend((0..length).map(|_| b"0123456789\t\nabc. "[usize::from(next() % 17)])),
            // As it stands, over and over.
            3 => {
                let piece = &rest[..rest.len().min(usize::from(*seed) + 1)];
                out.extend(piece.iter().copied().cycle().take(if piece.is_empty() { 0 } else { length }));
                steps = &rest[piece.len()..];
            }
            // What stood up to 64 KiB before, so that distances come around the window's end.
            4 => {
                let back = (usize::from(*seed) << 8 | usize::from(*low)) + 1;
                let from = out.len().saturating_sub(back);
                let copy: Vec<u8> = out[from..].iter().copied().cycle().take(length.min(MOST)).collect();
                out.extend(if from < out.len() { copy } else { Vec::new() });
            }
            // Letters of which each is half as common as the one before, for long codes.
            5 => out.extend(
                (0..length).map(|_| seed.wrapping_add(next().leading_zeros() as u8 * 8 + next().leading_zeros() as u8)),
            ),
            // Up to the edge of a chunk, and a little away from it.
            6 => {
                let end = out.len().next_multiple_of(CHUNK) + usize::from(*low % 9);
                out.resize(end.saturating_sub(4).max(out.len()).min(MOST), *seed);
            }
            _ => (0..length / 8).for_each(|n| out.extend(format!("{}\tt\t{n}\n", next()).bytes())),
        }
    }
    out.extend(steps);
    out
}

/// Compressed, and read again.
pub fn holds(steps: &[u8]) {
    let data = content(steps);
    let mut encoder = Encoder::new();
    let (mut packed, mut out) = (Vec::new(), Vec::new());
    for chunk in data.chunks(CHUNK) {
        encoder.chunk(chunk, &mut out);
        assert!(out.len() <= deflate::bound(chunk.len()), "{} bytes became {}", chunk.len(), out.len());
        packed.extend_from_slice(&out);
    }
    packed.extend(deflate::END);
    let mut read = vec![0; data.len() + 1];
    let mut zlib = zlib_rs::Inflate::new(false, 15);
    let status = zlib.decompress(&packed, &mut read, zlib_rs::InflateFlush::Finish);
    assert!(matches!(status, Ok(zlib_rs::Status::StreamEnd)), "zlib-rs: {status:?}");
    assert_eq!(zlib.total_in(), packed.len() as u64);
    assert!(read[..zlib.total_out() as usize] == data[..], "zlib-rs reads other bytes");
    let read = miniz_oxide::inflate::decompress_to_vec_with_limit(&packed, data.len());
    assert!(read.is_ok_and(|r| r == data), "miniz_oxide reads other bytes");
}
