//! Copies to places as they are found in the world.

use crate::world::World;

fn plan(with: &str) -> String {
    format!("steps:\n  - {{ id: copy, uses: copy, with: {{ from: a.zip, {with} }} }}\n")
}

#[test]
fn the_copy_is_the_same_and_takes_the_record_along() {
    let world = World::new();
    let bytes: Vec<u8> = (0..3_000_000u32).map(|i| (i * 7 % 251) as u8).collect();
    world.write("a.zip", &bytes);
    world.write("a.zip.json", "{}");
    world.run(&plan("to: share"), &[]).ends(1).says("there is no folder `share`").says("is the share mounted?");
    let run = world.run(&plan("to: share, create: true"), &["--format", "json"]).ends(0);
    assert_eq!(world.names("share"), ["a.zip", "a.zip.json"]);
    assert_eq!(std::fs::read(world.path("share/a.zip")).expect("the copy"), bytes);
    let outputs = &run.json()["steps"][0]["outputs"];
    assert_eq!(outputs["path"], serde_json::json!(world.path("share/a.zip")));
    assert_eq!(outputs["bytes"].as_u64(), Some(3_000_000));
    let mode = |name: &str| {
        use std::os::unix::fs::PermissionsExt;
        std::fs::metadata(world.path(name)).expect("it is there").permissions().mode() & 0o777
    };
    assert_eq!((mode("share"), mode("share/a.zip")), (0o700, 0o600));
    // The same once more is done already; another one of that name is not overwritten.
    world.run(&plan("to: share"), &[]).ends(0).says("is there already, and the same");
    world.write("share/a.zip", "another");
    world.run(&plan("to: share"), &[]).ends(1).says("exists and is another file; it is not overwritten");
    assert_eq!(std::fs::read(world.path("share/a.zip")).expect("the other one"), b"another");
}

#[test]
fn a_source_that_is_not_what_its_record_says_is_not_copied() {
    let world = World::new();
    world.write("a.zip", "twelve bytes");
    let record = r#"{ "schema_version": 1, "kind": "dump", "plan": "p", "target": null, "server": null, "database": null,
        "machine": "m", "run": "r", "started_at": "2026-11-01T00:00:00Z", "finished_at": "2026-11-01T00:00:00Z",
        "bytes": 12, "dump_bytes": 1, "sha256": "SHA", "format": null, "encryption": "none", "compression": "store",
        "server_version": null, "tool_version": "0" }"#;
    world.write("a.zip.json", record.replace("SHA", &"1".repeat(64)));
    world.run(&plan("to: share, create: true"), &[]).ends(1).says("is not what its record says");
    assert_eq!(world.names("share"), Vec::<String>::new());
}

#[test]
fn a_share_that_is_not_mounted_or_has_no_room_gets_nothing() {
    let world = World::new();
    world.write("a.zip", "archive");
    std::fs::create_dir(world.path("share")).expect("a folder");
    world.run(&plan("to: share, require_mount: true"), &[]).ends(1).says("is not the root of a mounted file system");
    world.run(&plan("to: share, min_free: 900TiB"), &[]).ends(1).says("to be left free");
    assert_eq!(world.names("share"), Vec::<String>::new());
    // `/dev/shm` or `/proc` is one everywhere on Linux: what is refused there is not the mount.
    world.run(&plan("to: /proc, require_mount: true"), &["-n"]).never_says("is not the root of a mounted");
}

#[test]
fn a_missing_source_and_an_empty_folder_name_are_errors() {
    let world = World::new();
    world.run(&plan("to: ."), &[]).ends(1).says("there is no file `a.zip`");
    world.write("a.zip", "archive");
    world.run(&plan("to: ''"), &[]).ends(1).says("`to` names no folder");
}
