//! The reading side: what it reads, and what it refuses.

use super::*;
use crate::archive::read::{Archive, Refused};

const PASSWORD: &[u8] = "p \u{e4}\"s$ s'w".as_bytes();

fn bytes_of(settings: &Settings, entries: &[(&str, &[u8])]) -> Vec<u8> {
    write(settings, entries);
    let bytes = std::fs::read(&settings.path).expect("the archive");
    std::fs::remove_file(Record::path_of(Path::new(&settings.path))).expect("the record");
    std::fs::remove_file(&settings.path).expect("the archive");
    bytes
}

/// Everything in an archive, or why not.
fn read(bytes: &[u8]) -> Result<Vec<(String, Vec<u8>)>, String> {
    let mut archive = Archive::open(Cursor::new(bytes), 1 << 30).map_err(|e| e.to_string())?;
    let names: Vec<String> = archive.entries().iter().map(|e| e.name.clone()).collect();
    let mut all = Vec::new();
    for (at, name) in names.into_iter().enumerate() {
        let mut data = Vec::new();
        archive
            .read(at, Some(PASSWORD))
            .map_err(|e| e.to_string())?
            .read_to_end(&mut data)
            .map_err(|e| e.to_string())?;
        all.push((name, data));
    }
    Ok(all)
}

fn small(encryption: Encryption, compression: Compression) -> Vec<u8> {
    let dir = tempfile::tempdir().expect("a folder");
    let settings = settings(&dir.path().join("a.zip"), encryption, compression);
    bytes_of(&settings, &[("d/a.txt", b"some text, some text, some text"), ("b", b"")])
}

#[test]
fn it_reads_what_the_engine_writes() {
    let dir = tempfile::tempdir().expect("a folder");
    let content = content(1_300_000);
    for (encryption, compression, level) in kinds() {
        let settings = Settings { level, ..settings(&dir.path().join("a.zip"), encryption, compression) };
        let entries: [(&str, &[u8]); 3] = [("a", &content), ("empty", b""), ("\u{e7}/b", b"b")];
        let bytes = bytes_of(&settings, &entries);
        let expected: Vec<(String, Vec<u8>)> = entries.iter().map(|(n, d)| ((*n).to_owned(), d.to_vec())).collect();
        assert!(read(&bytes).expect("it reads") == expected, "{encryption:?} {compression:?} {level:?}");
        let mut archive = Archive::open(Cursor::new(&bytes), u64::MAX).expect("it opens");
        assert_eq!(archive.check(0, Some(PASSWORD)).expect("it is whole"), 1_300_000);
        if encryption == Encryption::Aes256 {
            assert!(matches!(archive.check(0, Some(b"another")), Err(Refused::Password { .. })));
            assert!(matches!(archive.check(0, None), Err(Refused::Password { .. })));
        }
    }
}

#[test]
fn whatever_byte_is_changed_it_gives_the_same_or_refuses() {
    for (encryption, compression) in [
        // Stored, since there a change gives other bytes, and no error but that of the authentication code.
        (Encryption::Aes256, Compression::Store),
        (Encryption::None, Compression::Deflate),
        (Encryption::None, Compression::Zstd),
        (Encryption::None, Compression::Store),
    ] {
        let bytes = small(encryption, compression);
        let good = read(&bytes).expect("it reads");
        let contents = |all: &[(String, Vec<u8>)]| all.iter().map(|(_, data)| data.clone()).collect::<Vec<_>>();
        for at in 0..bytes.len() {
            // With a password each takes a thousand rounds of hashing.
            let flips = if encryption == Encryption::Aes256 { &[0x11][..] } else { &[1, 0x80, 0xff] };
            for flip in flips {
                let mut changed = bytes.clone();
                changed[at] ^= flip;
                if let Ok(all) = read(&changed) {
                    assert_eq!(contents(&all), contents(&good), "byte {at} ^ {flip}");
                }
            }
        }
        for length in 0..bytes.len() {
            assert!(read(&bytes[..length]).is_err(), "cut to {length}");
        }
    }
}

#[test]
fn vectors_of_other_tools_are_read() {
    // pyzipper 0.3.6: AE-1, deflated. 7-Zip 26.02: AE-2, stored.
    for vector in [
        "504b0304140001006300847b785d9fa1ca09270000001300000001000b00610199070001004145030800e734631c07704b3b\
        2b4af6abb5826ad00e03dceaf2fde7be0712b20593b163ac9e23ffde8ee1d1504b01021403140001006300847b785d9fa1ca\
        09270000001300000001000b000000000000000000a48100000000610199070001004145030800504b050600000000010001\
        003a000000510000000000",
        "504b0304330001006300857b785d000000002f0000001300000001000b0061019907000200414503000017c1f2cf8f99beae\
        75e7af42ccb6dc670a2795e1d3ad188900e1367ce10cfb25187546dd493d29e27ebc7633831e75504b01023f033300010063\
        00857b785d000000002f0000001300000001002f000000000000002080a48100000000610a0020000000000001001800bbc9\
        9368287cdd01000000000000000000000000000000000199070002004145030000504b050600000000010001005e00000059\
        0000000000",
    ] {
        let bytes: Vec<u8> = (0..vector.len())
            .step_by(2)
            .map(|at| u8::from_str_radix(&vector[at..at + 2], 16).expect("a byte"))
            .collect();
        let mut archive = Archive::open(Cursor::new(&bytes), 100).expect("it opens");
        let mut text = String::new();
        archive.read(0, Some(b"secret")).expect("it fits").read_to_string(&mut text).expect("it reads");
        assert_eq!(text, "hello, hello, hello");
        assert!(matches!(archive.check(0, Some(b"Secret")), Err(Refused::Password { .. })));
    }
}

/// Where a header begins.
fn place(bytes: &[u8], signature: [u8; 4], count: usize) -> usize {
    let found = bytes.windows(4).enumerate().filter(|(_, w)| **w == signature).nth(count);
    found.expect("it is there").0
}

fn put(bytes: &mut [u8], at: usize, what: &[u8]) {
    bytes[at..at + what.len()].copy_from_slice(what);
}

#[test]
fn hostile_archives_are_refused_with_a_word_for_it() {
    use crate::archive::frame::{CENTRAL, END, LOCAL};
    type Change = fn(&mut Vec<u8>);
    let cases: [(&str, Change); 15] = [
        ("outside the folder", |b| rename(b, b"../a.tx")),
        ("outside the folder", |b| rename(b, b"/etc/pw")),
        ("outside the folder", |b| rename(b, b"C:a.txt")),
        ("outside the folder", |b| rename(b, b"..\\a.tx")),
        ("outside the folder", |b| rename(b, b"a/./txt")),
        ("not UTF-8", |b| rename(b, b"\xff\xfe.text")),
        // A second entry in the place of the first.
        ("overlaps", |b| {
            let at = place(b, CENTRAL, 1);
            put(b, at + 42, &[0; 4]);
        }),
        ("contradict", |b| {
            let at = place(b, LOCAL, 0);
            put(b, at + 8, &[0; 2]);
        }),
        ("contradict", |b| {
            let at = place(b, LOCAL, 0);
            put(b, at + 30, b"e");
        }),
        ("longer than it says", |b| {
            let at = place(b, CENTRAL, 0);
            put(b, at + 24, &[30, 0, 0, 0]);
        }),
        ("shorter than it says", |b| {
            let at = place(b, CENTRAL, 0);
            put(b, at + 24, &[32, 0, 0, 0]);
        }),
        ("size that it cannot have", |b| {
            let at = place(b, CENTRAL, 0);
            put(b, at + 24, &[0, 0, 0, 1]);
        }),
        ("size that is missing", |b| {
            let at = place(b, CENTRAL, 0);
            put(b, at + 24, &[0xff; 4]);
        }),
        ("fewer entries", |b| {
            let at = place(b, END, 0);
            put(b, at + 8, &[3, 0, 3, 0]);
        }),
        ("more than the entries it counts", |b| {
            let at = place(b, END, 0);
            put(b, at + 8, &[1, 0, 1, 0]);
        }),
    ];
    for (word, change) in cases {
        let mut bytes = small(Encryption::None, Compression::Deflate);
        change(&mut bytes);
        let error = read(&bytes).expect_err(word);
        assert!(error.contains(word), "{word}: {error}");
    }
}

/// The same archive with an end of its directory in zip64, which says these parts: that of its end, of how many, and of
/// the end itself and the directory, in full and then short.
fn in_parts(bytes: &[u8], [at, of, end, directory]: [u32; 4], short: [u16; 2]) -> Vec<u8> {
    use crate::archive::frame::{END, END64, LOCATOR};
    let (mut out, tail) = (bytes.to_vec(), place(bytes, END, 0));
    let last = out.split_off(tail);
    let number = |at: usize, length: usize| {
        let mut long = [0; 8];
        long[..length].copy_from_slice(&last[at..at + length]);
        long
    };
    out.extend(END64);
    out.extend(44u64.to_le_bytes());
    out.extend([45, 0, 45, 0]);
    out.extend([end, directory].iter().flat_map(|n| n.to_le_bytes()));
    out.extend([number(8, 2), number(10, 2), number(12, 4), number(16, 4)].concat());
    out.extend(LOCATOR);
    out.extend(at.to_le_bytes());
    out.extend((tail as u64).to_le_bytes());
    out.extend(of.to_le_bytes());
    out.extend(&last[..4]);
    out.extend(short.iter().flat_map(|n| n.to_le_bytes()));
    out.extend(&last[8..]);
    out
}

#[test]
fn one_part_of_several_is_refused_wherever_that_is_said() {
    let bytes = small(Encryption::None, Compression::Deflate);
    let whole = read(&bytes).expect("it reads");
    for (full, short) in [([0, 1, 0, 0], [0, 0]), ([0, 0, 0, 0], [0, 0]), ([0, 1, 0, 0], [u16::MAX; 2])] {
        assert_eq!(read(&in_parts(&bytes, full, short)), Ok(whole.clone()), "{full:?} {short:?}");
    }
    let parts = [[1, 1, 0, 0], [0, 2, 0, 0], [0, 1, 1, 0], [0, 1, 0, 1]].map(|full| (full, [0, 0]));
    for (full, short) in parts.into_iter().chain([[1, 0], [0, 1]].map(|short| ([0, 1, 0, 0], short))) {
        let error = read(&in_parts(&bytes, full, short)).expect_err("it is a part");
        assert!(error.contains("one part of several"), "{full:?} {short:?}: {error}");
    }
    let mut old = bytes.clone();
    let at = place(&old, crate::archive::frame::END, 0);
    put(&mut old, at + 4, &[0xff; 2]);
    assert!(read(&old).is_err_and(|e| e.contains("one part of several")));
}

#[test]
fn an_archive_of_no_entry_is_one_by_any_end() {
    let empty = [b"PK\x05\x06".as_slice(), &[0; 18]].concat();
    assert_eq!(read(&empty), Ok(Vec::new()));
    assert_eq!(read(&in_parts(&empty, [0, 1, 0, 0], [0, 0])), Ok(Vec::new()));
}

/// Gives the first entry another name, in both headers.
fn rename(bytes: &mut [u8], name: &[u8; 7]) {
    use crate::archive::frame::{CENTRAL, LOCAL};
    let (local, central) = (place(bytes, LOCAL, 0), place(bytes, CENTRAL, 0));
    put(bytes, local + 30, name);
    put(bytes, central + 46, name);
}

#[test]
fn more_than_is_wanted_is_refused_before_anything_is_unpacked() {
    let dir = tempfile::tempdir().expect("a folder");
    let settings = settings(&dir.path().join("a.zip"), Encryption::None, Compression::Deflate);
    let bytes = bytes_of(&settings, &[("zeros", &vec![0; 3_000_000])]);
    assert!(matches!(Archive::open(Cursor::new(&bytes), 2_999_999), Err(Refused::TooLarge { claimed: 3_000_000, .. })));
    assert!(Archive::open(Cursor::new(&bytes), 3_000_000).is_ok());
}

#[test]
fn two_entries_of_one_name_are_refused() {
    let dir = tempfile::tempdir().expect("a folder");
    let settings = settings(&dir.path().join("a.zip"), Encryption::None, Compression::Deflate);
    let bytes = bytes_of(&settings, &[("a", b"one"), ("a", b"two")]);
    assert!(read(&bytes).is_err_and(|e| e.contains("there twice")));
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig { cases: 24, failure_persistence: None, ..Default::default() })]

    #[test]
    fn any_sizes_reads_and_threads_come_back(
        sizes in proptest::collection::vec(0..1_200_000usize, 0..4),
        piece in 1_000..600_000usize,
        threads in 1..6usize,
        kind in 0..18usize,
    ) {
        let content = content(1_200_000);
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("a.zip");
        let (encryption, compression, level) = kinds()[kind];
        let settings = Settings { level, ..settings(&path, encryption, compression) };
        let mut writer = Writer::create(&touch(), &settings).expect("a writer");
        writer.pipeline = crate::archive::pipeline::Pipeline::new(settings.codec(), threads).expect("a pipeline");
        for (at, size) in sizes.iter().enumerate() {
            writer.entry(&at.to_string(), &mut Pieces(&content[..*size], piece), &mut |_| {}).expect("an entry");
        }
        let sealed = writer.seal().expect("sealed");
        let written = record(&sealed);
        sealed.publish(&touch(), &written).expect("published");
        let all = read(&std::fs::read(&path).expect("the archive")).expect("it reads");
        proptest::prop_assert_eq!(all.len(), sizes.len());
        for ((_, data), size) in all.iter().zip(&sizes) {
            proptest::prop_assert!(data[..] == content[..*size]);
        }
    }
}
