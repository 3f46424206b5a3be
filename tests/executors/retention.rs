//! Retention against folders as they are found in the world.

use serde_json::json;

use crate::world::World;

const PLAN: &str =
    "database: { dbname: app }\nsteps:\n  - { id: prune, uses: retention, with: { dir: out, keep_last: 2 } }\n";

/// An archive and its record, made on day `day` of November.
fn archive(world: &World, name: &str, day: u32, change: &[(&str, serde_json::Value)]) {
    let text = format!("archive {name}");
    let mut record = json!({
        "schema_version": 1, "kind": "dump", "plan": "night", "target": null, "server": null, "database": "app",
        "machine": "m", "run": "20261101T000000Z-0000", "started_at": format!("2026-11-{day:02}T01:00:00Z"),
        "finished_at": format!("2026-11-{day:02}T01:01:00Z"), "bytes": text.len(), "dump_bytes": 1,
        "sha256": "0".repeat(64), "format": "custom", "encryption": "aes256", "compression": "deflate",
        "server_version": "15.1", "tool_version": "0.1.0",
    });
    for (key, value) in change {
        record[*key] = value.clone();
    }
    world.write(&format!("out/{name}"), text);
    world.write(&format!("out/{name}.json"), record.to_string());
}

#[test]
fn the_newest_by_record_stay_and_each_goes_with_its_record() {
    let world = World::new();
    // Neither the names nor the times of the files say which is newer.
    for (name, day) in [("c.zip", 1), ("a.zip", 4), ("d.zip", 2), ("b.zip", 3)] {
        archive(&world, name, day, &[]);
    }
    let dry = world.run(PLAN, &["-n"]).ends(0);
    dry.says("keeps `a.zip`: number 1 of the 2 newest").says("removes `c.zip`: number 4, and no rule keeps it");
    assert_eq!(world.names("out").len(), 8, "a dry run removes nothing");
    let run = world.run(PLAN, &["--format", "json"]).ends(0);
    assert_eq!(world.names("out"), ["a.zip", "a.zip.json", "b.zip", "b.zip.json"]);
    let outputs = &run.json()["steps"][0]["outputs"];
    assert_eq!((outputs["kept"].as_u64(), outputs["deleted"].as_u64()), (Some(2), Some(2)), "{outputs}");
    assert!(outputs["freed_bytes"].as_u64().is_some_and(|b| b > 26), "{outputs}");
}

#[test]
fn an_archive_that_lies_twice_in_the_folder_counts_once() {
    let world = World::new();
    for day in 1..5 {
        for place in ["a", "b"] {
            let change =
                [("run", json!(format!("2026110{day}T010000Z-0000"))), ("sha256", json!(format!("{day}").repeat(64)))];
            archive(&world, &format!("{place}{day}.zip"), day, &change);
        }
    }
    let dry = world.run(PLAN, &["-n"]).ends(0).says("keeps `b4.zip`: number 1 of the 2 newest\n");
    let dry = dry.says("keeps `a4.zip`: number 1 of the 2 newest; the same archive as `b4.zip`");
    let dry = dry.says("keeps `a3.zip`: number 2 of the 2 newest; the same archive as `b3.zip`");
    dry.says("removes `a2.zip`: number 3, and no rule keeps it; the same archive as `b2.zip`");
    // By the day each of them stays at both places too, and the floor counts archives.
    let archives = |world: &World| world.names("out").into_iter().filter(|n| n.ends_with(".zip")).collect::<Vec<_>>();
    world.run(&PLAN.replace("keep_last: 2", "keep_daily: 4"), &[]).ends(0);
    world.run(&PLAN.replace("keep_last: 2", "keep_last: 1, min_keep: 4"), &[]).ends(0);
    assert_eq!(archives(&world).len(), 8);
    let run = world.run(PLAN, &["--format", "json"]).ends(0).json();
    assert_eq!(archives(&world), ["a3.zip", "a4.zip", "b3.zip", "b4.zip"]);
    assert_eq!(world.names("out").len(), 8, "each went with its record");
    let outputs = &run["steps"][0]["outputs"];
    assert_eq!((outputs["kept"].as_u64(), outputs["deleted"].as_u64()), (Some(2), Some(2)), "{outputs}");
}

#[test]
fn what_is_not_surely_an_archive_of_this_database_is_not_counted_and_not_touched() {
    let world = World::new();
    for day in 1..4 {
        archive(&world, &format!("ours-{day}.zip"), day, &[]);
    }
    let newer = |name: &str, change: &[(&str, serde_json::Value)]| archive(&world, name, 20, change);
    newer("other-database.zip", &[("database", json!("app-prod"))]);
    newer("case.zip", &[("database", json!("App"))]);
    newer("other-plan.zip", &[("plan", json!("weekly"))]);
    newer("other-target.zip", &[("target", json!("t1"))]);
    newer("files.zip", &[("kind", json!("files"))]);
    newer("truncated.zip", &[("bytes", json!(999))]);
    newer("newer-record.zip", &[("schema_version", json!(2))]);
    newer("odd-record.zip", &[("sha256", json!("12"))]);
    world.write("out/no-record.zip", "x");
    world.write("out/broken-record.zip", "x");
    world.write("out/broken-record.zip.json", "{");
    world.write("out/half.zip.partial", "x");
    world.write("out/orphan.zip.json", "{}");
    world.write("out/folder.zip/x", "x");
    let outside = world.write("outside.zip", "keep me");
    std::os::unix::fs::symlink(&outside, world.path("out/link.zip")).expect("a link");
    world.write("out/link.zip.json", std::fs::read(world.path("out/ours-1.zip.json")).expect("a record"));
    let before = world.names("out");

    let run = world.run(PLAN, &["-v"]).ends(0);
    for (name, why) in [
        ("other-database.zip", "it is of the database `app-prod`"),
        ("case.zip", "it is of the database `App`"),
        ("other-plan.zip", "it is of the plan `weekly`"),
        ("other-target.zip", "it is of the target `t1`"),
        ("files.zip", "it holds files, not a dump"),
        ("truncated.zip", "it has 21 bytes, and its record says 999"),
        ("newer-record.zip", "its record has version 2"),
        ("odd-record.zip", "its record has no SHA-256"),
        ("no-record.zip", "it has no record"),
        ("broken-record.zip", "its record is no JSON"),
        ("half.zip.partial", "it is not complete"),
        ("folder.zip", "it is a folder"),
        ("link.zip", "it is a symbolic link"),
    ] {
        assert!(run.said.contains(&format!("leaves `{name}` alone: {why}")), "{name}: {}", run.said);
    }
    let after = world.names("out");
    let gone: Vec<&String> = before.iter().filter(|n| !after.contains(n)).collect();
    assert_eq!(gone, ["ours-1.zip", "ours-1.zip.json"]);
    assert!(outside.exists());
}

#[test]
fn a_folder_full_of_other_files_makes_one_line_and_what_is_damaged_its_own() {
    let world = World::new();
    archive(&world, "ours.zip", 1, &[]);
    world.run(PLAN, &[]).ends(0).never_says("alone");
    world.write("out/a.txt", "x");
    world.run(PLAN, &[]).ends(0).says("leaves `a.txt` alone: it has no record");
    for name in ["b.txt", "c.txt", "d.txt", "e.txt"] {
        world.write(&format!("out/{name}"), "x");
    }
    archive(&world, "cut.zip", 2, &[("bytes", json!(999))]);
    let run = world.run(PLAN, &[]).ends(0).says("leaves 5 other files alone: `a.txt`, `b.txt`, `c.txt` and 2 more");
    let run = run.says("leaves `cut.zip` alone: it has ").says("and its record says 999").never_says("no record");
    // The log has every reason.
    let path = run.said.lines().find_map(|l| l.strip_prefix("log: ")).expect("a log");
    let log = std::fs::read_to_string(path).expect("a log");
    assert!(log.contains("leaves `e.txt` alone: it has no record"), "{log}");
}

#[test]
fn the_floor_holds_and_a_pattern_takes_files_in() {
    let world = World::new();
    for day in 1..5 {
        archive(&world, &format!("a{day}.zip"), day, &[]);
    }
    let floor = PLAN.replace("keep_last: 2", "keep_last: 1, min_keep: 3");
    world.run(&floor, &[]).ends(0).says("number 3, and at least 3 stay");
    assert_eq!(world.names("out").len(), 6);

    let world = World::new();
    for (name, age) in [("old-1.sql", 300), ("old-2.sql", 200), ("old-3.sql", 100), ("other.txt", 400)] {
        let path = world.write(&format!("out/{name}"), name);
        let time = std::time::SystemTime::now() - std::time::Duration::from_secs(age);
        std::fs::File::options().write(true).open(path).expect("a file").set_modified(time).expect("a time");
    }
    world.run(&PLAN.replace("keep_last: 2", "keep_last: 2, pattern: 'old-*.sql'"), &[]).ends(0);
    assert_eq!(world.names("out"), ["old-2.sql", "old-3.sql", "other.txt"]);
}

#[test]
fn nothing_goes_after_a_step_that_failed() {
    let world = World::new();
    for day in 1..5 {
        archive(&world, &format!("a{day}.zip"), day, &[]);
    }
    let prune = "{ uses: retention, with: { dir: out, keep_last: 2 } }";
    let bad = "{ uses: command, with: { argv: ['false'] } }";
    // As a handler it comes after the failure.
    let handler = format!("database: {{ dbname: app }}\nsteps:\n  - {bad}\nfinally:\n  - {prune}\n");
    world.run(&handler, &[]).ends(1).says("nothing is removed: `steps[0] (command)` did not end well");
    assert_eq!(world.names("out").len(), 8);
    // A step that makes archives holds it also when its failure is allowed.
    let copy = "{ uses: copy, continue_on_error: true, with: { from: nothing, to: out } }";
    let allowed = format!("database: {{ dbname: app }}\nsteps:\n  - {copy}\n  - {prune}\n");
    world.run(&allowed, &[]).ends(0).says("nothing is removed: `steps[0] (copy)` did not end well");
    assert_eq!(world.names("out").len(), 8);
    // One that makes none does not.
    let bad = bad.replace("command,", "command, continue_on_error: true,");
    let other = format!("database: {{ dbname: app }}\nsteps:\n  - {bad}\n  - {prune}\n");
    world.run(&other, &[]).ends(0);
    assert_eq!(world.names("out").len(), 4);
    world.run(&PLAN.replace("dir: out", "dir: missing"), &[]).ends(1).says("the folder `missing` cannot be listed");
}

#[test]
fn rules_by_calendar_and_pins_keep_what_they_say() {
    let world = World::new();
    for day in 1..=20 {
        archive(&world, &format!("a{day:02}.zip"), day, &[]);
    }
    let pin = |arguments: &[&str]| {
        crate::world::Run::from(world.runplan().arg("pin").args(arguments).output().expect("runs"))
    };
    pin(&["out/a03.zip", "out/a04.zip"]).ends(0);
    pin(&["--remove", "out/a04.zip"]).ends(0);
    pin(&["out/a99.zip"]).ends(1).says("there is no archive `out/a99.zip`");
    pin(&["out/a05.zip.json"]).ends(1).says("is no archive with a record");
    let plan = PLAN.replace("keep_last: 2", "keep_daily: 2, keep_weekly: 3");
    let dry = world.run(&plan, &["-n"]).ends(0);
    dry.says("keeps `a20.zip`: the newest of day 2026-11-20, the newest of week 2026-W47")
        .says("keeps `a03.zip`: it is pinned");
    world.run(&plan, &[]).ends(0);
    let left: Vec<String> = world.names("out").into_iter().filter(|n| n.ends_with(".zip")).collect();
    // 2026-11-20 is a Friday; the Sundays before it are the 15th and the 8th.
    assert_eq!(left, ["a03.zip", "a08.zip", "a15.zip", "a19.zip", "a20.zip"]);
    world.run(&PLAN.replace(", keep_last: 2", ""), &[]).ends(78).says("nothing says what stays");
}
