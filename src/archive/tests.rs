//! Archives, read by another implementation.

mod foreign;
mod reader;

use std::io::{Cursor, Read};
use std::path::Path;
use std::sync::{Arc, LazyLock};

use super::*;
use crate::cancel::Cancel;
use crate::step::{Level as Loudness, Log, Look, Progress, RunFacts, Sink, Touch};

struct Nobody;

impl Sink for Nobody {
    fn line(&self, _: Loudness, _: &str) {}
    fn progress(&self, _: &Progress) {}
}

fn touch() -> Touch {
    let now = chrono::Utc::now();
    let facts = RunFacts {
        plan: "p".to_owned(),
        run: "r".to_owned(),
        started_at: now,
        host: "h".to_owned(),
        target: None,
        database: None,
        server: None,
        wrong_clock: None,
        log_file: None,
        log_dir: None,
        failure: None,
        resume: None,
        steps: Arc::default(),
        log_tail: Vec::new(),
        upcoming: Vec::new(),
        ..RunFacts::default()
    };
    let log = Log::new(Arc::new(Nobody));
    let look = Look {
        now,
        plan_dir: ".".into(),
        env: Arc::default(),
        cancel: Cancel::new(),
        log,
        facts: Arc::new(facts),
        kept: Default::default(),
    };
    Touch::begin(look)
}

fn record(sealed: &Sealed) -> Record {
    let now = chrono::Utc::now();
    Record {
        schema_version: 1,
        kind: crate::archive::Content::Files,
        plan: "p".to_owned(),
        target: None,
        server: None,
        database: None,
        machine: "h".to_owned(),
        run: "r".to_owned(),
        started_at: now,
        finished_at: now,
        bytes: sealed.bytes,
        dump_bytes: 0,
        sha256: sealed.sha256.clone(),
        format: None,
        encryption: "aes256".to_owned(),
        compression: "deflate".to_owned(),
        server_version: None,
        tool_version: "0".to_owned(),
    }
}

fn settings(path: &Path, encryption: Encryption, compression: Compression) -> Settings {
    let path = path.to_string_lossy().into_owned();
    Settings {
        path,
        also: Vec::new(),
        require_mount: false,
        verify: Verify::Bytes,
        encryption,
        compression,
        password: Some(Secret::new("p ä\"s$ s'w")),
        level: None,
        threads: None,
    }
}

/// Rows, as far as numbers make them. They are made once for all tests: without optimisation that takes a while.
fn content(size: usize) -> Vec<u8> {
    static ROWS: LazyLock<Vec<u8>> = LazyLock::new(|| {
        let mut state = 88_172_645_463_325_252u64;
        let mut rows = vec![0; 4 << 20];
        for (i, byte) in rows.iter_mut().enumerate() {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            *byte = if i % 9_000 < 6_000 { b"0123\tab\n"[(state % 9) as usize % 8] } else { state as u8 };
        }
        rows
    });
    ROWS[..size].to_vec()
}

/// Writes an archive under its final name.
fn write(settings: &Settings, entries: &[(&str, &[u8])]) {
    let mut writer = Writer::create(&touch(), settings).expect("a writer");
    for (name, data) in entries {
        let size = writer.entry(name, &mut Cursor::new(data), &mut |_| {}).expect("an entry");
        assert_eq!(size, data.len() as u64);
    }
    let sealed = writer.seal().expect("sealed");
    assert!(!Path::new(&settings.path).exists());
    let written = record(&sealed);
    sealed.publish(&touch(), &written).expect("published");
}

/// How archives differ that a plan may ask for.
fn kinds() -> Vec<(Encryption, Compression, Option<Level>)> {
    let mut kinds = Vec::new();
    for encryption in [Encryption::Aes256, Encryption::None] {
        kinds.push((encryption, Compression::Store, None));
        for level in [None, Some(Level::Small), Some(Level::Number(1)), Some(Level::Number(9))] {
            kinds.push((encryption, Compression::Deflate, level));
            kinds.push((encryption, Compression::Zstd, level));
        }
    }
    kinds
}

#[test]
fn another_reader_gets_the_same_bytes_at_every_size() {
    let dir = tempfile::tempdir().expect("a folder");
    let chunk = super::codec::CHUNK;
    let content = content(3_000_000);
    for (at, (encryption, compression, level)) in kinds().into_iter().enumerate() {
        let few = level.is_some() && level != Some(Level::Small);
        let sizes = [0, 3_000_000, 1, 15, 16, 17, chunk - 1, chunk, chunk + 1];
        for size in sizes.into_iter().take(if few { 2 } else { sizes.len() }) {
            let data = &content[..size];
            let path = dir.path().join(format!("{at}-{size}.zip"));
            let settings = Settings { level, ..settings(&path, encryption, compression) };
            write(&settings, &[("a.dump", data), ("dados \u{e7}\u{e3}o \u{1f600}.json", b"{}")]);
            assert!(Record::path_of(&path).exists());
            let mut zip = ::zip::ZipArchive::new(std::fs::File::open(&path).expect("the archive")).expect("a zip");
            let second = zip.name_for_index(1).and_then(Result::ok);
            assert_eq!(second.as_deref(), Some("dados \u{e7}\u{e3}o \u{1f600}.json"));
            let mut read = Vec::new();
            let mut entry = match encryption {
                Encryption::Aes256 => {
                    zip.by_index_decrypt(0, "p \u{e4}\"s$ s'w".as_bytes()).expect("the password fits")
                }
                Encryption::None => zip.by_index(0).expect("an entry"),
            };
            entry.read_to_end(&mut read).expect("it reads");
            assert!(read == data, "{encryption:?} {compression:?} {level:?} {size}");
            drop(entry);
            if encryption == Encryption::Aes256 {
                assert!(zip.by_index_decrypt(0, b"another").is_err());
            }
        }
    }
}

#[test]
fn settings_that_do_not_fit_together_are_refused_before_anything_is_written() {
    let dir = tempfile::tempdir().expect("a folder");
    let good = settings(&dir.path().join("a.zip"), Encryption::Aes256, Compression::Store);
    for (wrong, word) in [
        (Settings { level: Some(Level::Fast), ..good.clone() }, "level"),
        (Settings { threads: Some(0), ..good.clone() }, "threads"),
        (Settings { threads: Some(65), ..good.clone() }, "threads"),
    ] {
        let error = Writer::create(&touch(), &wrong).err().expect("it is refused");
        assert!(error.what.contains(word), "{error}");
    }
    assert_eq!(std::fs::read_dir(dir.path()).expect("the folder").count(), 0);
}

#[test]
fn a_name_that_exists_is_kept_and_an_archive_given_up_leaves_nothing() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("a.zip");
    std::fs::write(&path, b"mine").expect("a file");
    assert!(Writer::create(&touch(), &settings(&path, Encryption::Aes256, Compression::Deflate)).is_err());
    assert_eq!(std::fs::read(&path).expect("the file"), b"mine");
    let other = dir.path().join("b.zip");
    let mut writer =
        Writer::create(&touch(), &settings(&other, Encryption::Aes256, Compression::Deflate)).expect("a writer");
    writer.entry("x", &mut Cursor::new(b"data"), &mut |_| {}).expect("an entry");
    drop(writer);
    assert_eq!(std::fs::read_dir(dir.path()).expect("the folder").count(), 1);
}

#[test]
fn encryption_without_a_password_writes_nothing() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("a.zip");
    for password in [None, Some(Secret::new(""))] {
        let settings = Settings { password, ..settings(&path, Encryption::Aes256, Compression::Deflate) };
        assert!(Writer::create(&touch(), &settings).is_err());
    }
    assert_eq!(std::fs::read_dir(dir.path()).expect("the folder").count(), 0);
}

#[test]
fn a_partial_of_a_dead_run_is_cleared_and_one_of_a_live_run_is_not() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("a.zip");
    std::fs::write(dir.path().join("a.zip.partial"), b"left behind").expect("a file");
    let settings = settings(&path, Encryption::Aes256, Compression::Deflate);
    let live = Writer::create(&touch(), &settings).expect("the dead one is cleared");
    let error = Writer::create(&touch(), &settings).err().expect("a live one is left alone");
    assert!(error.what.contains("another run is writing it"), "{error}");
    assert!(dir.path().join("a.zip.partial").exists());
    drop(live);
}

#[test]
fn a_byte_that_changed_on_the_disk_is_seen_before_the_archive_gets_its_name() {
    use std::os::unix::fs::FileExt;
    // In the data; in the header, of which an authentication code knows nothing; behind what is read back on the way.
    for (encryption, size, at) in [
        (Encryption::Aes256, 2_000_000, 100_000),
        (Encryption::None, 2_000_000, 100_000),
        (Encryption::Aes256, 2_000_000, 12),
        (Encryption::None, 40_000_000, 39_900_000),
    ] {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("a.zip");
        let mut writer = Writer::create(&touch(), &settings(&path, encryption, Compression::Store)).expect("a writer");
        let data = vec![7u8; size];
        writer.entry("x", &mut Cursor::new(&data), &mut |_| {}).expect("an entry");
        let partial =
            std::fs::OpenOptions::new().write(true).open(dir.path().join("a.zip.partial")).expect("the partial");
        partial.write_all_at(&[1], at).expect("a changed byte");
        let error = writer.seal().err().expect("it is seen");
        assert!(error.what.contains("not what was written"), "{error}");
        assert_eq!(std::fs::read_dir(dir.path()).expect("the folder").count(), 0);
    }
}

#[test]
fn unpacked_again_it_must_be_what_was_packed_in_every_kind() {
    let dir = tempfile::tempdir().expect("a folder");
    let data = content(2_500_000);
    for (at, (encryption, compression, level)) in kinds().into_iter().enumerate() {
        let path = dir.path().join(format!("{at}.zip"));
        let settings = Settings { level, verify: Verify::Full, ..settings(&path, encryption, compression) };
        write(&settings, &[("a.dump", &data), ("b", b"")]);
        let sum = |name: &str, data: &[u8]| through::Sum {
            name: name.to_owned(),
            size: data.len() as u64,
            crc: zlib_rs::crc32::crc32(0, data),
        };
        let password = (encryption == Encryption::Aes256).then_some("p \u{e4}\"s$ s'w".as_bytes());
        let check = |sums: &[through::Sum]| through::check(&path, password, sums, &Cancel::new());
        let good = [sum("a.dump", &data), sum("b", b"")];
        check(&good).expect("it is what was packed");
        let mut other = data.clone();
        other[1_000_000] ^= 1;
        for bad in [vec![sum("a.dump", &other), good[1].clone()], vec![sum("a.dump", &data[1..]), good[1].clone()]] {
            assert!(check(&bad).is_err(), "{encryption:?} {compression:?}: {bad:?}");
        }
        // Which entries there are does not depend on their size.
        let path = dir.path().join(format!("{at}-small.zip"));
        write(
            &Settings { path: path.to_string_lossy().into_owned(), ..settings },
            &[("a.dump", &data[..9]), ("b", b"")],
        );
        let check = |sums: &[through::Sum]| through::check(&path, password, sums, &Cancel::new());
        let good = [sum("a.dump", &data[..9]), sum("b", b"")];
        check(&good).expect("it is what was packed");
        for bad in [
            vec![good[0].clone()],
            vec![good[0].clone(), sum("c", b"")],
            vec![good[0].clone(), good[1].clone(), good[1].clone()],
        ] {
            assert!(check(&bad).is_err(), "{encryption:?} {compression:?}: {bad:?}");
        }
    }
}

#[test]
fn a_fault_of_the_encoder_is_seen_only_when_it_is_unpacked_again() {
    let dir = tempfile::tempdir().expect("a folder");
    for (verify, seen) in [(Verify::Bytes, false), (Verify::Full, true)] {
        let path = dir.path().join(format!("{seen}.zip"));
        let settings = Settings { verify, ..settings(&path, Encryption::Aes256, Compression::Deflate) };
        let mut writer = Writer::create(&touch(), &settings).expect("a writer");
        // It packs something else than it was given, and packs that well.
        writer.pipeline = super::pipeline::Pipeline::faulty();
        writer.entry("x", &mut Cursor::new(b"what was given"), &mut |_| {}).expect("an entry");
        let error = writer.seal().err().map(|e| e.what);
        assert_eq!(error.is_some_and(|e| e.contains("unpacks to something else")), seen, "{verify:?}");
    }
}

/// Makes a writer give the same bytes each time: the same salt, the same time.
fn fix(writer: &mut Writer) {
    writer.now = || chrono::DateTime::from_timestamp(1_700_000_000, 0).expect("a time").into();
    let password = writer.keys.as_ref().map(|k| k.password().to_owned().into());
    writer.keys = password.map(|p| Box::new(super::keys::KeySource::new(p, || Ok(*b"sixteen of salt."))));
}

/// Gives what it has in pieces of a size.
struct Pieces<'a>(&'a [u8], usize);

impl Read for Pieces<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = self.1.min(buffer.len());
        Read::read(&mut self.0, &mut buffer[..count])
    }
}

#[test]
fn the_same_input_settings_and_salt_give_the_same_bytes() {
    let dir = tempfile::tempdir().expect("a folder");
    let data: Vec<u8> = (0..3_000_000u64).map(|i| (i * i / 977 % 251) as u8).collect();
    let mut hashes = std::collections::BTreeSet::new();
    for (workers, piece) in [(1, usize::MAX), (2, 4_096), (3, 65_536), (7, 3_001)] {
        let path = dir.path().join(format!("{workers}.zip"));
        let mut writer =
            Writer::create(&touch(), &settings(&path, Encryption::Aes256, Compression::Deflate)).expect("a writer");
        fix(&mut writer);
        writer.pipeline = super::pipeline::Pipeline::new(super::codec::Codec::Fast, workers).expect("a pipeline");
        writer.entry("a.dump", &mut Pieces(&data, piece), &mut |_| {}).expect("an entry");
        writer.entry("manifest.json", &mut Cursor::new(b"{}"), &mut |_| {}).expect("an entry");
        let sealed = writer.seal().expect("sealed");
        let partial = dir.path().join(format!("{workers}.zip.partial"));
        let read = std::fs::read(&partial).expect("the partial");
        assert_eq!(read.len() as u64, sealed.bytes);
        use sha2::Digest;
        let hash: String = sha2::Sha256::digest(&read).iter().map(|b| format!("{b:02x}")).collect();
        assert_eq!(hash, sealed.sha256);
        hashes.insert(hash);
    }
    assert_eq!(hashes.len(), 1, "{hashes:?}");
}

#[test]
fn an_archive_that_changed_since_its_removal_was_decided_stays() {
    let dir = tempfile::tempdir().expect("a folder");
    let touch = touch();
    let path = dir.path().join("a.zip");
    let decided = || {
        std::fs::write(&path, "archive").expect("a file");
        files::list(touch.look(), dir.path()).expect("a list").remove(0)
    };
    let listed = decided();
    std::fs::write(&path, "another one").expect("a file");
    assert!(files::remove(&touch, dir.path(), &listed).is_err() && path.exists(), "another size");
    let listed = decided();
    std::fs::rename(&path, dir.path().join("b.zip")).expect("moved");
    std::fs::copy(dir.path().join("b.zip"), &path).expect("copied");
    assert!(files::remove(&touch, dir.path(), &listed).is_err() && path.exists(), "another file of the same size");
    std::fs::remove_file(&path).expect("removed");
    std::fs::remove_file(dir.path().join("b.zip")).expect("removed");
    let listed = decided();
    std::fs::remove_file(&path).expect("removed");
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink("/etc/passwd", &path).expect("a link");
        assert!(files::remove(&touch, dir.path(), &listed).is_err() && path.symlink_metadata().is_ok(), "a link");
        std::fs::remove_file(&path).expect("removed");
    }
    let outside = files::Listed { name: "../a.zip".to_owned(), ..listed };
    assert!(files::remove(&touch, dir.path(), &outside).is_err());
    assert!(files::remove(&touch, dir.path(), &decided()).is_ok() && !path.exists());
}

#[cfg(unix)]
#[test]
fn a_folder_that_is_swapped_loses_nothing_elsewhere() {
    let dir = tempfile::tempdir().expect("a folder");
    let touch = touch();
    let (shared, victim, aside) = (dir.path().join("shared"), dir.path().join("victim"), dir.path().join("aside"));
    for folder in [&shared, &victim] {
        std::fs::create_dir(folder).expect("a folder");
        std::fs::write(folder.join("a.zip"), "same").expect("a file");
    }
    let folder = files::OpenFolder::open(touch.look(), &shared).expect("it opens");
    let listed = folder.list(touch.look()).expect("a list");
    // Between the decision and the deed the folder becomes a link to another one with the same names.
    std::fs::rename(&shared, &aside).expect("it is moved");
    std::os::unix::fs::symlink(&victim, &shared).expect("a link");
    assert!(folder.remove(&touch, &listed[0]).is_ok());
    assert!(victim.join("a.zip").exists() && !aside.join("a.zip").exists());
    std::fs::write(aside.join("b"), "same").expect("another file");
    std::fs::rename(aside.join("b"), aside.join("a.zip")).expect("it takes the name");
    assert!(folder.remove(&touch, &listed[0]).is_err() && aside.join("a.zip").exists(), "another file of that name");
}
