//! Files in an archive, opened by foreign readers.

use std::process::Command;

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
