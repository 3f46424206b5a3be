//! Files in an archive, opened by foreign readers.

use std::process::Command;

use async_zip::base::read1::ZipOptions;
use async_zip::base::read1::seek::ZipArchiveReader;
use futures_lite::future::block_on;
use futures_lite::io::{AsyncReadExt, Cursor};

use crate::world::{PASSWORD, World};

fn plan(files: &str, archive: &str) -> String {
    format!(
        "secrets: {{ zip: {{ env: TEST_ZIP }} }}\nsteps:\n  - {{ id: z, uses: zip, with: {{ files: {files}, archive: {{ path: out/f.zip, {archive} }} }} }}\n"
    )
}

const SECRET: &str = "password: '${{ secrets.zip }}'";

#[test]
fn files_folders_and_patterns_come_out_as_they_went_in() {
    let world = World::new();
    world.write("etc/a.conf", "a = 1\n");
    world.write("etc/sub/ü b.conf", vec![0u8; 700_000]);
    world.write("etc/sub/c.txt", "");
    world.write("one.csv", "1,2\n");
    std::os::unix::fs::symlink("/etc/passwd", world.path("etc/link.conf")).expect("a link");
    let run = world.run(&plan("['etc/**/*.conf', etc/sub, one.csv]", SECRET), &["--format", "json"]).ends(0);
    let outputs = &run.json()["steps"][0]["outputs"];
    assert_eq!((outputs["files"].as_u64(), outputs["file_bytes"].as_u64()), (Some(4), Some(700_010)));
    let archive = world.path("out/f.zip");
    let test = Command::new("7z").arg("t").arg(format!("-p{PASSWORD}")).arg(&archive).output().expect("7z");
    assert!(test.status.success(), "{}", String::from_utf8_lossy(&test.stdout));
    let out = world.path("unpacked");
    std::fs::create_dir(&out).expect("a folder");
    let tar = Command::new("bsdtar").args(["--passphrase", PASSWORD, "-xf"]).arg(&archive).arg("-C").arg(&out).output();
    let tar = tar.expect("bsdtar");
    assert!(tar.status.success(), "{}", String::from_utf8_lossy(&tar.stderr));
    for name in ["etc/a.conf", "etc/sub/ü b.conf", "etc/sub/c.txt", "one.csv"] {
        let both = [world.path(name), out.join(name)].map(|p| std::fs::read(p).expect(name));
        assert_eq!(both[0], both[1], "{name}");
    }
    assert!(!out.join("etc/link.conf").exists(), "a link is not followed");
    let record = std::fs::read_to_string(world.path("out/f.zip.json")).expect("a record");
    assert!(record.contains("\"kind\": \"files\""), "{record}");
    world.run(&plan("[one.csv]", SECRET), &[]).ends(1).says("no archive is ever overwritten");
}

#[test]
fn what_names_nothing_or_has_no_password_makes_nothing() {
    let world = World::new();
    world.write("a", "x");
    world.run(&plan("[a, 'nothing-*']", SECRET), &[]).ends(1).says("`nothing-*`: it names no file");
    world.run(&plan("[a]", "encryption: aes256"), &[]).ends(78).says("has no password");
    let empty = plan("[a]", "password: '${{ params.none }}'")
        .replace("steps:", "params: { none: { type: string, default: '' } }\nsteps:");
    world.run(&empty, &[]).ends(1).says("has no password");
    assert_eq!(world.names("out"), Vec::<String>::new());
    world.run(&plan("[a]", SECRET), &["-n"]).ends(0).says("1 file, 1 B");
    assert_eq!(world.names("out"), Vec::<String>::new());
    world.run(&plan("[a]", "encryption: none"), &[]).ends(0);
    assert_eq!(world.names("out"), ["f.zip", "f.zip.json"]);
}

/// The entries of an archive as async_zip reads them, with every check that it has.
fn entries(bytes: Vec<u8>) -> Result<Vec<(String, Vec<u8>)>, String> {
    block_on(async {
        let opened = ZipArchiveReader::open_with_options(Cursor::new(bytes), ZipOptions::untrusted()).await;
        let mut archive = opened.map_err(|e| e.to_string())?;
        let names: Vec<_> = archive.cdrs().iter().map(|c| c.insecure_file_name.clone()).collect();
        let mut entries = Vec::new();
        for (at, name) in names.iter().enumerate() {
            let mut content = Vec::new();
            let mut entry = archive.file(at).await.map_err(|e| e.to_string())?;
            entry.read_to_end(&mut content).await.map_err(|e| e.to_string())?;
            entries.push((String::from_utf8_lossy(name.as_bytes()).into_owned(), content));
        }
        Ok(entries)
    })
}

#[test]
fn an_archive_that_is_not_encrypted_is_read_by_async_zip() {
    let world = World::new();
    world.write("etc/ü b.conf", vec![7u8; 3_000_000]);
    let mixed: Vec<u8> = (0..400_000u32).flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
    world.write("etc/mixed", mixed);
    world.write("etc/empty", "");
    for compression in ["store", "deflate"] {
        let archive = format!("encryption: none, compression: {compression}");
        world.run(&plan("['etc/*']", &archive).replace("out/f", &format!("out/{compression}")), &[]).ends(0);
        let bytes = std::fs::read(world.path(&format!("out/{compression}.zip"))).expect("an archive");
        let found = entries(bytes.clone()).expect("async_zip reads it");
        for name in ["etc/empty", "etc/mixed", "etc/ü b.conf"] {
            let content = std::fs::read(world.path(name)).expect(name);
            assert!(found.iter().any(|(n, c)| n == name && *c == content), "{compression}: {name}");
        }
        // It does look: one bit of the data, and it refuses.
        let mut broken = bytes;
        let at = broken.len() / 2;
        broken[at] ^= 1;
        entries(broken).expect_err("a flipped bit");
    }
}
