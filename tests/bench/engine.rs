//! How fast the parts of the archive engine are, each alone on one core: the codecs, the cryptography, the framing.
//!
//! ```text
//! cargo bench --bench engine
//! cargo bench --bench engine -- --seconds 3 --file some.dump
//! ```
//!
//! It is for those who work on the engine; what a night costs is measured by the bench `throughput`. Every part takes the
//! same megabytes, rows as a dump has them or the beginning of a file, again and again for so many seconds, in turns, and
//! the table has the median. Beside ours stand encoders and decoders that we do not write.

use std::io::{Cursor, Read, Write as _};
use std::time::Instant;

use runplan::archive::codec::{CHUNK, Chunk, Codec, WINDOW};
use runplan::archive::crypt::Crypt;
use runplan::archive::frame;
use sha2::Digest;

/// Bytes that every part takes.
const SIZE: usize = 32 << 20;
/// Entries whose headers are written.
const ENTRIES: u64 = 100_000;

/// Rows of text, JSON, numbers and bytes, the same each time (xorshift64).
fn rows() -> Vec<u8> {
    let mut state = 0x9E37_79B9_7F4A_7C15u64;
    let mut next = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let words: Vec<String> =
        (0..5_000).map(|_| (0..2 + next() % 8).map(|_| char::from(b'a' + (next() % 26) as u8)).collect()).collect();
    let mut out = Vec::with_capacity(SIZE + 4096);
    for id in 0u64.. {
        if out.len() >= SIZE {
            break;
        }
        // Writing into memory does not fail.
        let _ = match id % 4 {
            0 => {
                let line: Vec<&str> = (0..20).map(|_| words[(next() % 71 * (next() % 71)) as usize].as_str()).collect();
                writeln!(out, "{id}\t{}\t{}\t2024-05-{:02} 08:00:00+00", next() % 5_000, line.join(" "), id % 28 + 1)
            }
            1 => writeln!(
                out,
                "{id}\t{{\"kind\": \"order\", \"user\": {{\"id\": {}}}, \"price\": {}.{:02}}}",
                next() % 90_000,
                next() % 1_000,
                next() % 100
            ),
            2 => writeln!(out, "{id}\t{}\t{}\t0.{}\tt", next() % 1_000, next() % 1_000_000_000_000, next()),
            _ => writeln!(out, "{id}\t\\\\x{:016x}{:016x}{:016x}", next(), next(), next()),
        };
    }
    out.truncate(SIZE);
    out
}

/// What a part did with the bytes: how many came out.
type Part<'a> = Box<dyn FnMut() -> usize + 'a>;

/// The whole stream by a codec, as the pipeline gives it chunks.
fn code(codec: Codec, data: &[u8]) -> impl FnMut() -> usize {
    let mut coder = codec.coders(1).expect("a coder").remove(0);
    let mut chunk = Chunk::default();
    move || {
        let (mut made, mut at) = (0, 0);
        while at < data.len() {
            let end = data.len().min(at + CHUNK);
            let (room, filled) = chunk.room();
            room[..end - at].copy_from_slice(&data[at..end]);
            *filled = end - at;
            chunk.last = end == data.len();
            chunk.before.clear();
            if codec.looks_back() {
                chunk.before.extend(&data[at.saturating_sub(WINDOW)..at]);
            }
            coder.code(&mut chunk).expect("it is coded");
            made += chunk.output.len();
            at = end;
        }
        made
    }
}

/// A stream as a codec makes it.
fn coded(codec: Codec, data: &[u8]) -> Vec<u8> {
    let mut coder = codec.coders(1).expect("a coder").remove(0);
    let mut chunk = Chunk::default();
    let mut out = Vec::new();
    for (at, piece) in data.chunks(CHUNK).enumerate() {
        let (room, filled) = chunk.room();
        room[..piece.len()].copy_from_slice(piece);
        *filled = piece.len();
        chunk.last = (at + 1) * CHUNK >= data.len();
        coder.code(&mut chunk).expect("it is coded");
        out.extend(&chunk.output);
    }
    out
}

fn inflate(packed: &[u8], whole: &mut [u8]) -> usize {
    let mut decoder = zlib_rs::Inflate::new(false, 15);
    decoder.decompress(packed, whole, zlib_rs::InflateFlush::Finish).expect("deflate");
    whole.len()
}

/// An archive of empty entries: the headers, the descriptors and the directory of it.
fn headers() -> Vec<u8> {
    let mut out = Vec::new();
    let mut directory = Vec::new();
    let mut entry = frame::Entry {
        name: String::new(),
        header: 0,
        data: 0,
        crc: 0,
        size: 0,
        packed: 2,
        method: frame::DEFLATE,
        encrypted: false,
        time: chrono::Local::now(),
    };
    for number in 0..ENTRIES {
        entry.name = format!("folder/{number}");
        entry.header = out.len() as u64;
        out.extend(entry.local());
        out.extend([3, 0]);
        out.extend(entry.descriptor());
        directory.extend(entry.central());
    }
    let start = out.len() as u64;
    out.extend(directory);
    let end = out.len() as u64;
    out.extend(frame::end(ENTRIES, start, end));
    out
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let option = |name: &str| arguments.iter().position(|a| a == name).and_then(|at| arguments.get(at + 1));
    let seconds: f64 = option("--seconds").map_or(1.0, |n| n.parse().expect("a number of seconds"));
    let data = option("--file").map_or_else(rows, |file| {
        let mut data = Vec::new();
        std::fs::File::open(file).expect("the file").take(SIZE as u64).read_to_end(&mut data).expect("it reads");
        data
    });
    let (deflated, zstd) = (coded(Codec::Fast, &data), coded(Codec::ZstdFast, &data));
    let mut plain = vec![0; data.len()];
    let mut other = data.clone();
    let mut third = data.clone();
    let mut miniz = vec![0; data.len()];
    let zip = headers();
    println!("{:.0} MB, {:.1} s for each.\n", data.len() as f64 / 1e6, seconds);
    let mut crypt = Crypt::new(b"bench password", &[7; 16]);
    let mut reading = Crypt::new(b"bench password", &[7; 16]);
    let mut parts: Vec<(&str, Part<'_>)> = vec![
        ("store, deflate's stored blocks", Box::new(code(Codec::Store, &data))),
        ("deflate `fast`, ours", Box::new(code(Codec::Fast, &data))),
        ("deflate 1, zlib-rs", Box::new(code(Codec::Zlib(1), &data))),
        ("deflate 2, zlib-rs", Box::new(code(Codec::Zlib(2), &data))),
        ("deflate `small`, zlib-rs", Box::new(code(Codec::ZlibSmall, &data))),
        ("deflate 6, zlib-rs", Box::new(code(Codec::Zlib(6), &data))),
        ("zstd `fast`", Box::new(code(Codec::ZstdFast, &data))),
        ("inflate of `fast`, zlib-rs", Box::new(|| inflate(&deflated, &mut plain))),
        (
            "inflate of `fast`, miniz_oxide",
            Box::new(|| {
                miniz_oxide::inflate::decompress_slice_iter_to_slice(
                    &mut miniz,
                    std::iter::once(&deflated[..]),
                    false,
                    false,
                )
                .expect("deflate")
            }),
        ),
        (
            "unzstd of `fast`",
            Box::new(|| {
                std::io::copy(&mut zstd::Decoder::new(&zstd[..]).expect("a decoder"), &mut std::io::sink())
                    .expect("zstd") as usize
            }),
        ),
        (
            "AES-256 and HMAC-SHA1, writing",
            Box::new(|| {
                other.chunks_mut(CHUNK).for_each(|piece| crypt.encrypt(piece));
                other.len()
            }),
        ),
        (
            "HMAC-SHA1, reading back",
            Box::new(|| {
                data.chunks(CHUNK).for_each(|piece| reading.authenticate(piece));
                data.len()
            }),
        ),
        (
            "SHA-256",
            Box::new(|| {
                let sum = sha2::Sha256::digest(&third);
                // Something of it is used, so that it is not left out.
                third[0] ^= sum[0];
                third.len()
            }),
        ),
        ("CRC-32", Box::new(|| data.len() + zlib_rs::crc32::crc32(0, &data) as usize % 2)),
    ];
    let mut times: Vec<Vec<f64>> = vec![Vec::new(); parts.len()];
    let mut made = vec![0; parts.len()];
    let short = |times: &Vec<f64>| times.len() < 3 || times.iter().sum::<f64>() < seconds;
    while times.iter().any(short) {
        for (at, (_, part)) in parts.iter_mut().enumerate() {
            if !short(&times[at]) {
                continue;
            }
            let clock = Instant::now();
            made[at] = part();
            times[at].push(clock.elapsed().as_secs_f64());
        }
    }
    println!("| | MB/s of content | becomes |\n|---|--:|--:|");
    for ((at, (name, _)), times) in parts.iter().enumerate().zip(&mut times) {
        let rate = data.len() as f64 / 1e6 / median(times);
        println!("| {name} | {rate:.0} | {:.1} % |", 100.0 * made[at] as f64 / data.len() as f64);
    }
    let frame = |name: &str, part: &mut dyn FnMut()| {
        let mut times: Vec<f64> = (0..7)
            .map(|_| {
                let clock = Instant::now();
                part();
                clock.elapsed().as_secs_f64()
            })
            .collect();
        println!("| {name} | {:.2} |", 1e3 * median(&mut times));
    };
    println!("\n| | ms |\n|---|--:|");
    frame("keys of an entry (PBKDF2)", &mut || drop(Crypt::new(b"bench password", &[9; 16])));
    frame("headers of 100,000 entries", &mut || assert!(headers().len() > 1 << 20));
    frame("opening an archive of 100,000 entries", &mut || {
        let archive = runplan::archive::read::Archive::open(Cursor::new(&zip), u64::MAX).expect("an archive");
        assert_eq!(archive.entries().len() as u64, ENTRIES);
    });
}

fn median(times: &mut [f64]) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}
