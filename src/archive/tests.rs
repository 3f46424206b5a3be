//! Archives, read by another implementation.

use std::io::{Cursor, Read};
use std::sync::Arc;

use super::*;
use crate::cancel::Cancel;
use crate::step::{Level, Log, Look, Progress, RunFacts, Sink, Touch};

struct Nobody;

impl Sink for Nobody {
    fn line(&self, _: Level, _: &str) {}
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
        log_file: None,
        log_dir: None,
        failure: None,
        steps: Vec::new(),
        log_tail: Vec::new(),
        upcoming: Vec::new(),
    };
    let log = Log::new(Arc::new(Nobody));
    let look =
        Look { now, plan_dir: ".".into(), env: Arc::default(), cancel: Cancel::new(), log, facts: Arc::new(facts) };
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

fn settings(path: &std::path::Path, encryption: Encryption, compression: Compression) -> Settings {
    let path = path.to_string_lossy().into_owned();
    Settings { path, encryption, compression, password: Some(Secret::new("p ä\"s$ s'w")), threads: None }
}

#[test]
fn another_reader_gets_the_same_bytes_at_every_size() {
    let dir = tempfile::tempdir().expect("a folder");
    for encryption in [Encryption::Aes256, Encryption::None] {
        for compression in [Compression::Deflate, Compression::Store] {
            for size in [0usize, 1, 15, 16, 17, 262_143, 262_144, 262_145, 1_000_000] {
                let data: Vec<u8> = (0..size).map(|i| (i * i / 7 % 251) as u8).collect();
                let path = dir.path().join(format!("{encryption:?}{compression:?}{size}.zip"));
                let mut writer = Writer::create(&touch(), &settings(&path, encryption, compression)).expect("a writer");
                writer.entry("a.dump", &mut Cursor::new(&data), &mut |_| {}).expect("an entry");
                writer.entry("manifest.json", &mut Cursor::new(b"{}"), &mut |_| {}).expect("an entry");
                let sealed = writer.seal().expect("sealed");
                assert!(!path.exists());
                let written = record(&sealed);
                sealed.publish(&touch(), &written).expect("published");
                assert!(Record::path_of(&path).exists());
                let mut zip = ::zip::ZipArchive::new(std::fs::File::open(&path).expect("the archive")).expect("a zip");
                let mut read = Vec::new();
                let mut entry = match encryption {
                    Encryption::Aes256 => zip.by_index_decrypt(0, "p ä\"s$ s'w".as_bytes()).expect("the password fits"),
                    Encryption::None => zip.by_index(0).expect("an entry"),
                };
                entry.read_to_end(&mut read).expect("it reads");
                assert!(read == data, "{encryption:?} {compression:?} {size}");
                drop(entry);
                if encryption == Encryption::Aes256 {
                    assert!(zip.by_index_decrypt(0, b"another").is_err());
                }
            }
        }
    }
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
    for (encryption, at) in [(Encryption::Aes256, 100_000), (Encryption::None, 100_000), (Encryption::Aes256, 12)] {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("a.zip");
        let mut writer = Writer::create(&touch(), &settings(&path, encryption, Compression::Store)).expect("a writer");
        let data = vec![7u8; 2_000_000];
        writer.entry("x", &mut Cursor::new(&data), &mut |_| {}).expect("an entry");
        let partial =
            std::fs::OpenOptions::new().write(true).open(dir.path().join("a.zip.partial")).expect("the partial");
        // In the data; in the header, of which an authentication code knows nothing.
        partial.write_all_at(&[1], at).expect("a changed byte");
        let error = writer.seal().err().expect("it is seen");
        assert!(error.what.contains("not what was written"), "{error}");
        assert_eq!(std::fs::read_dir(dir.path()).expect("the folder").count(), 0);
    }
}

/// What another implementation would be given: no chance in it.
fn fixed() -> super::zip::Chance {
    let now = || chrono::DateTime::from_timestamp(1_700_000_000, 0).expect("a time").into();
    super::zip::Chance { salt: || Ok(*b"sixteen of salt."), now }
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
        writer.chance = fixed();
        writer.pipeline = super::pipeline::Pipeline::new(super::codec::Codec::Fast, workers);
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
