//! Retention against folders as they are found in the world.

use serde_json::json;

use crate::world::World;

const PLAN: &str =
    "database: { dbname: app }\nsteps:\n  - { id: prune, uses: retention, with: { dir: out, keep_last: 2 } }\n";

/// An archive and its record, made on day `day` of November.
fn archive(world: &World, name: &str, day: u32, change: &[(&str, serde_json::Value)]) {
    let text = format!("PK\u{3}\u{4}ive {name}");
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

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

#[test]
fn what_strangers_forge_pushes_nothing_out() {
    let world = World::new();
    for day in 1..4 {
        archive(&world, &format!("a{day}.zip"), day, &[]);
    }
    for (name, content) in
        [("f1.zip", "PK\u{3}\u{4}ive f1.zip"), ("f2.zip", "PK\u{3}\u{4}ive f2.zip"), ("f3.zip", "garbage f3.zip")]
    {
        archive(&world, name, 20, &[]);
        std::fs::write(world.path("out").join(name), content).expect("a file");
        let record = std::fs::read(world.path(&format!("out/{name}.json"))).expect("a record");
        std::fs::write(world.path(&format!("out/{name}.json")), record).expect("a record");
    }
    if is_root() {
        let give =
            |name: &str| std::os::unix::fs::chown(world.path(name), Some(65534), None).expect("it is given away");
        give("out/f1.zip");
        give("out/f2.zip.json");
    } else {
        // Nobody but root can make files of others: what is no archive at all stands in for them.
        for name in ["f1.zip", "f2.zip"] {
            std::fs::write(world.path("out").join(name), "garbage").expect("a file");
        }
    }
    let run = world.run(PLAN, &[]).ends(0).says("leaves `f3.zip` alone: it ");
    if is_root() {
        run.says("leaves `f1.zip` alone: it belongs to user id 65534")
            .says("leaves `f2.zip` alone: its record belongs to");
    }
    let archives: Vec<String> = world.names("out").into_iter().filter(|n| n.ends_with(".zip")).collect();
    assert_eq!(archives, ["a2.zip", "a3.zip", "f1.zip", "f2.zip", "f3.zip"]);
}

#[test]
fn the_pin_of_a_stranger_keeps_nothing() {
    let world = World::new();
    for day in 1..4 {
        archive(&world, &format!("a{day}.zip"), day, &[]);
    }
    world.write("out/a1.zip.pin", "");
    world.run(PLAN, &[]).ends(0).says("keeps `a1.zip`: it is pinned");
    // Nobody but root can make files of others.
    if is_root() {
        std::os::unix::fs::chown(world.path("out/a1.zip.pin"), Some(65534), None).expect("it is given away");
        world
            .run(PLAN, &[])
            .ends(0)
            .says("leaves `a1.zip.pin` alone: it belongs to user id 65534")
            .says("it pins nothing");
        assert!(!world.path("out/a1.zip").exists());
    }
}

#[test]
fn a_record_whose_archive_is_gone_goes_and_that_of_a_stranger_stays() {
    let world = World::new();
    for (name, day) in [("a1.zip", 1), ("ours.zip", 2), ("theirs.zip", 3)] {
        archive(&world, name, day, &[]);
    }
    for name in ["ours.zip", "theirs.zip"] {
        std::fs::remove_file(world.path("out").join(name)).expect("it is removed");
    }
    if is_root() {
        let record = world.path("out/theirs.zip.json");
        std::os::unix::fs::chown(record, Some(65534), None).expect("it is given away");
    } else {
        // Nobody but root can make files of others: what is not a record stands in for theirs.
        world.write("out/theirs.zip.json", "{}");
    }
    world.run(PLAN, &[]).ends(0).says("removed the record `ours.zip.json`, whose archive is gone");
    assert_eq!(world.names("out"), ["a1.zip", "a1.zip.json", "theirs.zip.json"]);
}

#[test]
fn an_archive_whose_bytes_changed_does_not_count() {
    let world = World::new();
    for day in 1..6 {
        archive(&world, &format!("a{day}.zip"), day, &[]);
    }
    let touched = |name: &str, seconds: u64| {
        let time = std::time::SystemTime::now() + std::time::Duration::from_secs(seconds);
        let file = std::fs::File::options().write(true).open(world.path(&format!("out/{name}"))).expect("a file");
        file.set_modified(time).expect("a time");
    };
    let five = PLAN.replace("keep_last: 2", "keep_last: 5");
    world.run(&five, &[]).ends(0).never_says("alone").never_says("checks the bytes");
    // The same size, other bytes; with the second one the record is touched too.
    for name in ["a5.zip", "a4.zip"] {
        world.write(&format!("out/{name}"), format!("PK\u{3}\u{4}ivE {name}"));
        touched(name, 5);
    }
    touched("a4.zip.json", 9);
    let run = world.run(PLAN, &[]).ends(0);
    for name in ["a5.zip", "a4.zip"] {
        assert!(
            run.said.contains(&format!("leaves `{name}` alone: its bytes changed since it was made")),
            "{}",
            run.said
        );
    }
    let archives: Vec<String> = world.names("out").into_iter().filter(|n| n.ends_with(".zip")).collect();
    assert_eq!(archives, ["a2.zip", "a3.zip", "a4.zip", "a5.zip"]);
}

#[test]
fn an_archive_that_was_only_touched_is_hashed_once() {
    let world = World::new();
    let text = "PK\u{3}\u{4}ive a1.zip";
    let hash = std::process::Command::new("sha256sum").arg(world.write("text", text)).output().expect("sha256sum");
    let hash = String::from_utf8_lossy(&hash.stdout)[..64].to_owned();
    archive(&world, "a1.zip", 1, &[("sha256", json!(hash))]);
    let file = std::fs::File::options().write(true).open(world.path("out/a1.zip")).expect("a file");
    file.set_modified(std::time::SystemTime::now() + std::time::Duration::from_secs(9)).expect("a time");
    world.run(PLAN, &["-v"]).ends(0).says("checks the bytes of `a1.zip`").never_says("alone");
    world.run(PLAN, &["-v"]).ends(0).never_says("checks the bytes").never_says("alone");
}

#[test]
fn archives_of_another_server_are_left_alone_and_said_once() {
    let world = World::new();
    let server =
        |host: &str, port: u16, id: &str| [("server", json!({ "host": host, "port": port, "system_identifier": id }))];
    archive(&world, "now.zip", 9, &server("db1", 5432, "2"));
    archive(&world, "before-the-upgrade.zip", 8, &server("db1", 5432, "1"));
    archive(&world, "by-its-old-name.zip", 7, &server("old", 5432, "2"));
    archive(&world, "other-port.zip", 12, &server("db1", 5433, "3"));
    archive(&world, "other-host.zip", 11, &server("db2", 5432, "4"));
    let plan = PLAN.replace("dbname", "host: db1, port: 5432, dbname");
    let run = world.run(&plan, &["-n"]).ends(0);
    let run = run.says("keeps `now.zip`: number 1").says("keeps `before-the-upgrade.zip`: number 2");
    let run = run.says("removes `by-its-old-name.zip`: number 3");
    run.says("leaves 2 archives of `db1:5433`, `db2:5432` alone: `server: any` counts them in");
    let any = plan.replace("keep_last: 2", "keep_last: 2, server: any");
    world.run(&any, &["-n"]).ends(0).says("keeps `other-port.zip`: number 1").says("removes `now.zip`: number 3");
}

#[test]
fn a_clock_that_is_wrong_by_more_than_a_day_holds_retention_still() {
    let world = World::with_database();
    let plan = PLAN.replace("dbname: app", &format!("dbname: {}", world.db()));
    for day in 1..5 {
        archive(&world, &format!("a{day}.zip"), day, &[("database", json!(world.db()))]);
    }
    let asks = "steps:\n  - { uses: sql, with: { statement: SELECT 1 } }\n";
    let plan = plan.replace("steps:\n", asks);
    for (ahead, left) in [("2 days", 8), ("-25 hours", 8), ("1 hour", 4)] {
        world.sql(&format!(
            "CREATE OR REPLACE FUNCTION pg_catalog.clock_timestamp() RETURNS timestamptz LANGUAGE sql AS \
             $$ SELECT pg_catalog.statement_timestamp() + interval '{ahead}' $$"
        ));
        let dry = world.run(&plan, &["-n"]).ends(0);
        let run = world.run(&plan, &[]).ends(0);
        assert_eq!(world.names("out").len(), left, "{ahead}: {}", run.said);
        for run in [dry, run].into_iter().filter(|_| left == 8) {
            run.says("nothing is removed: clock: this machine's is ");
        }
    }
}

/// The folder is swapped again and again while the step runs: what is elsewhere stays.
#[test]
fn a_folder_that_is_swapped_in_a_loop_costs_nothing_elsewhere() {
    use std::sync::atomic::{AtomicBool, Ordering};
    let world = World::new();
    for day in 1..9 {
        archive(&world, &format!("a{day}.zip"), day, &[]);
    }
    let (out, aside, victim) = (world.path("out"), world.path("aside"), world.path("victim"));
    std::fs::create_dir(&victim).expect("a folder");
    for name in world.names("out") {
        std::fs::copy(out.join(&name), victim.join(&name)).expect("a copy");
    }
    let all = world.names("victim");
    // Others can write where the folder is, so that a link in its place is not followed.
    std::fs::set_permissions(world.path(""), std::os::unix::fs::PermissionsExt::from_mode(0o777)).expect("permissions");
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                std::fs::rename(&out, &aside).expect("it is moved");
                std::os::unix::fs::symlink(&victim, &out).expect("a link");
                std::fs::remove_file(&out).expect("it is removed");
                std::fs::rename(&aside, &out).expect("it is moved back");
            }
        });
        for _ in 0..20 {
            world.run(PLAN, &[]);
        }
        over.store(true, Ordering::Relaxed);
    });
    assert_eq!(world.names("victim"), all);
}

/// Growth is linear: ten times the files take no more than twenty times as long, which a square would by far.
#[test]
fn a_large_folder_takes_time_in_proportion() {
    let time = |files: u32| {
        let world = World::new();
        for number in 0..files / 2 {
            archive(&world, &format!("a{number}.zip"), 1 + number % 28, &[]);
        }
        let keep = PLAN.replace("keep_last: 2", "keep_last: 100000");
        let since = std::time::Instant::now();
        world.run(&keep, &["-n", "-q"]).ends(0);
        since.elapsed()
    };
    let (small, large) = (time(1_000), time(10_000));
    assert!(large < small * 20, "{small:?}, {large:?}");
}
