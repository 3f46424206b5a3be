//! What the encoder writes, read by two decoders that know nothing of it.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

/// A chunk as it stands in a stream: compressed, and ended.
fn compress(data: &[u8]) -> Vec<u8> {
    let mut encoder = Encoder::new();
    let mut all = Vec::new();
    let mut out = Vec::new();
    for chunk in data.chunks(CHUNK) {
        encoder.chunk(chunk, &mut out);
        assert!(out.len() <= bound(chunk.len()), "{} bytes became {}", chunk.len(), out.len());
        all.extend_from_slice(&out);
    }
    all.extend(END);
    all
}

fn check(data: &[u8]) -> Result<(), TestCaseError> {
    let packed = compress(data);
    let mut read = vec![0; data.len() + 1];
    let mut zlib = zlib_rs::Inflate::new(false, 15);
    let status = zlib.decompress(&packed, &mut read, zlib_rs::InflateFlush::Finish);
    prop_assert!(matches!(status, Ok(zlib_rs::Status::StreamEnd)), "zlib-rs: {status:?}");
    prop_assert_eq!(zlib.total_in(), packed.len() as u64);
    prop_assert!(read[..zlib.total_out() as usize] == *data, "zlib-rs reads other bytes");
    let read = miniz_oxide::inflate::decompress_to_vec_with_limit(&packed, data.len());
    prop_assert!(read.is_ok_and(|r| r == data), "miniz_oxide reads other bytes");
    Ok(())
}

/// Numbers that look random and are the same each time.
fn noise(length: usize, seed: u64) -> Vec<u8> {
    let mut state = seed | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u8
    };
    (0..length).map(|_| next()).collect()
}

/// Rows as a dump has them.
fn rows(length: usize) -> Vec<u8> {
    let mut out = Vec::new();
    for row in 0u64.. {
        if out.len() >= length {
            break;
        }
        out.extend(format!("{row}\tITEM-{}\t{}\t{{\"a\": {}}}\tt\n", row * 7, row * row % 1009, row % 13).bytes());
    }
    out.truncate(length);
    out
}

#[test]
fn every_size_around_an_edge_is_read_back() {
    let edges = [0, 8, 16, 258, STORED, BLOCK, BLOCK + STORED, CHUNK, CHUNK + STORED];
    for size in edges.iter().flat_map(|e| e.saturating_sub(2)..e + 3) {
        for data in [noise(size, 7), vec![0; size], rows(size)] {
            check(&data).unwrap_or_else(|e| panic!("{size} bytes: {e}"));
        }
    }
}

#[test]
fn noise_grows_by_no_more_than_the_format_asks() {
    let packed = compress(&noise(CHUNK, 3));
    assert_eq!(packed.len(), CHUNK + 5 * CHUNK / STORED + END.len());
    // Rows, then noise: a stored block that begins inside a byte.
    let mut data = rows(BLOCK);
    data.extend(noise(BLOCK, 5));
    assert!(compress(&data).len() < compress(&data[..BLOCK]).len() + BLOCK + 11 + END.len());
}

#[test]
fn small_chunks_take_the_smallest_form_with_what_ends_it() {
    // Where the forms are nearly alike, the one that ends inside a byte needs five bytes more.
    for size in 1..120 {
        for seed in 1..60 {
            for letters in [20, 60, 130] {
                check(&noise(size, seed).iter().map(|byte| byte % letters).collect::<Vec<u8>>())
                    .expect("it is read back");
            }
        }
    }
}

#[test]
fn rows_become_smaller_than_the_fastest_zlib_makes_them() {
    let data = rows(CHUNK);
    let mut out = vec![0; CHUNK];
    let mut zlib = zlib_rs::Deflate::new(1, false, 15);
    zlib.compress(&data, &mut out, zlib_rs::DeflateFlush::Finish).expect("it compresses");
    assert!((compress(&data).len() as u64) < zlib.total_out());
}

/// Pieces of many kinds, one after the other: repeated, noise, few letters, a copy of what came before from any distance.
fn data(longest: usize) -> impl Strategy<Value = Vec<u8>> {
    let piece = (0..5u8, 0..longest, any::<u64>());
    vec(piece, 0..12).prop_map(|pieces| {
        let mut out: Vec<u8> = Vec::new();
        for (kind, length, seed) in pieces {
            match kind {
                0 => out.resize(out.len() + length, seed as u8),
                1 => out.extend(noise(length, seed)),
                2 => out.extend(noise(length, seed).iter().map(|b| b"0123456789abcdef\n"[usize::from(*b) % 17])),
                3 => out.extend(rows(length)),
                _ => {
                    let from = out.len() - (seed as usize % 70_000).min(out.len());
                    let copy: Vec<u8> =
                        out[from..].iter().copied().cycle().take(if from < out.len() { length } else { 0 }).collect();
                    out.extend(copy);
                }
            }
        }
        out
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_written_is_what_two_decoders_read(data in data(3_000)) {
        check(&data)?;
    }

    #[test]
    fn a_chunk_is_the_same_whatever_came_before_it(data in data(300), step in 5..40usize) {
        // Nearly the same bytes before, so that what is remembered of them would fit.
        let mut before = data.clone();
        before.iter_mut().step_by(step).for_each(|byte| *byte ^= 1);
        let mut encoder = Encoder::new();
        let (mut first, mut second) = (Vec::new(), Vec::new());
        encoder.chunk(&before, &mut second);
        encoder.chunk(&data, &mut second);
        Encoder::new().chunk(&data, &mut first);
        prop_assert!(first == second);
    }

    #[test]
    fn lengths_are_a_complete_code_within_the_limit(counts in vec(prop_oneof![Just(0u32), 1..4u32, 1..131_071u32], 286), limit in 9..16usize) {
        let mut lengths = vec![0; counts.len()];
        huffman::lengths(&counts, limit, &mut lengths);
        prop_assert!(lengths.iter().zip(&counts).all(|(l, c)| usize::from(*l) <= limit && (*c == 0 || *l > 0)));
        let share: f64 = lengths.iter().filter(|l| **l > 0).map(|l| 0.5f64.powi(i32::from(*l))).sum();
        prop_assert!((share - 1.0).abs() < 1e-9, "{share}");
    }
}

proptest! {
    // Few, since each is large: blocks and chunks of every kind beside each other.
    #![proptest_config(ProptestConfig { cases: 12, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn long_streams_are_what_two_decoders_read(data in data(200_000)) {
        check(&data)?;
    }
}

#[test]
fn counts_that_ask_for_long_words_are_cut_to_the_limit() {
    // Each as large as the two before it together: one bit longer from word to word.
    let mut counts = [0u32; 24];
    let (mut a, mut b) = (1, 1);
    for count in &mut counts {
        *count = a;
        (a, b) = (b, a + b);
    }
    let mut lengths = [0; 24];
    huffman::lengths(&counts, 7, &mut lengths);
    assert_eq!(lengths.iter().max(), Some(&7));
    assert_eq!(lengths.iter().map(|l| 128 >> l).sum::<u32>(), 128);
    huffman::lengths(&counts, 15, &mut lengths);
    assert_eq!(lengths.iter().max(), Some(&15));
}
