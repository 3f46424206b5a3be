//! Nights in a row in which all goes wrong, clocks that jump, and neighbours with similar names: what retention leaves.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};
use sha2::Digest;

use crate::night::{Night, bytes, zips};
use crate::world::World;

/// A plan that only prunes, of the database `app`.
fn prune(rules: &str) -> String {
    format!(
        "database: {{ dbname: app }}\nsteps:\n  - {{ id: prune, uses: retention, with: {{ dir: out, {rules} }} }}\n"
    )
}

/// An archive and its record, made at that time.
fn archive(world: &World, name: &str, made: DateTime<Utc>, change: &[(&str, Value)]) {
    let text = format!("PK\u{3}\u{4}ive {name}");
    let sum: String = sha2::Sha256::digest(text.as_bytes()).iter().map(|b| format!("{b:02x}")).collect();
    let mut record = json!({
        "schema_version": 1, "kind": "dump", "plan": "night", "target": null, "server": null, "database": "app",
        "machine": "m", "run": "20261101T000000Z-0000", "started_at": made, "finished_at": made,
        "bytes": text.len(), "dump_bytes": 1, "sha256": sum, "format": "custom", "encryption": "aes256",
        "compression": "deflate", "server_version": "15.1", "tool_version": "0.1.0",
    });
    for (key, value) in change {
        record[*key] = value.clone();
    }
    world.write(&format!("out/{name}"), text);
    world.write(&format!("out/{name}.json"), record.to_string());
}

fn at(text: &str) -> DateTime<Utc> {
    text.parse().expect("a time")
}

/// Makes every record, and every file, of a folder a day older.
fn a_day_passes(world: &World, dir: &str) {
    for name in world.names(dir) {
        let path = world.path(dir).join(&name);
        if name.ends_with(".json")
            && let Ok(mut record) = serde_json::from_slice::<Value>(&std::fs::read(&path).expect("a record"))
        {
            for key in ["started_at", "finished_at"] {
                let time = record[key].as_str().and_then(|t| t.parse::<DateTime<Utc>>().ok()).expect("a time");
                record[key] = json!(time - TimeDelta::days(1));
            }
            std::fs::write(&path, record.to_string()).expect("a record");
        }
        let file = std::fs::File::options().write(true).open(&path).expect("a file");
        let modified = file.metadata().and_then(|m| m.modified()).expect("a time");
        file.set_modified(modified - std::time::Duration::from_secs(86_400)).expect("a time");
    }
}

#[test]
fn in_thirty_nights_of_failures_no_archive_is_lost() {
    let mut night = Night::new();
    night.two_good_nights();
    let (kept, copies) = (zips(&night.world, "backups"), zips(&night.world, "share"));
    night.edit("dir: backups, keep_last: 2", "dir: backups, keep_last: 2, keep_within: 3d");
    night.edit("dir: share, keep_last: 2", "dir: share, keep_within: 3d");
    // Each kind of bad night, and each way in which a plan may try to go on to its retention.
    let strict = night.plan.clone();
    let lenient = strict.replace("    uses: pg_dump\n", "    uses: pg_dump\n    continue_on_error: true\n");
    let lenient =
        lenient.replace("{ id: copy, uses: copy,", "{ id: copy, when: steps.dump.status == \"ok\", uses: copy,");
    let finally = strict.replace(
        "on_failure:\n",
        "finally:\n  - { id: late, uses: retention, with: { dir: backups, keep_last: 1 } }\non_failure:\n",
    );
    let bad = [
        "exit 1",
        "exit 0",
        "printf PGDMPxxxx; kill -9 $$",
        "echo 'pg_dump: error: connection to server failed: Connection refused' >&2; exit 1",
        "head -c 300000 /dev/zero",
    ];
    let mut failed = 0;
    for day in 0..30 {
        for dir in ["backups", "share"] {
            a_day_passes(&night.world, dir);
        }
        // What another tool leaves behind on such a night.
        let name = format!("app-{day:02}.zip");
        night.world.write(&format!("backups/{name}"), if day % 2 == 0 { "" } else { "truncated" });
        night.plan = [&strict, &lenient, &finally][day % 3].clone();
        night.dumper(bad[day % bad.len()]);
        let run = night.run(&[]);
        failed += usize::from(run.code == Some(1));
        assert!(run.code == Some(1) || day % 3 == 1, "{}", run.said);
        // A weekly job that only prunes finds nothing newer than what it finds every week.
        if day % 7 == 0 {
            night.plan = strict.clone();
            night.run(&["--only", "prune,prune_copies"]).ends(0);
        }
        let left = zips(&night.world, "backups");
        assert!(kept.iter().all(|k| left.contains(k)), "night {day}: {left:?}");
        assert_eq!(zips(&night.world, "share"), copies, "night {day}");
    }
    assert_eq!(failed, 20);
    // The first good night after them: it stays, and of the two old ones only the older goes.
    night.plan = strict;
    night.run(&[]).ends(0);
    let left: Vec<String> = zips(&night.world, "backups").into_iter().filter(|n| n.len() > 20).collect();
    assert_eq!(left.len(), 2, "{left:?}");
    assert!(left.contains(&kept[1]) || left.contains(&kept[0]), "{left:?}");
}

#[test]
fn bad_newer_files_never_push_good_older_ones_out() {
    for rules in ["keep_last: 2", "keep_within: 3d, min_keep: 2", "keep_daily: 2"] {
        let world = World::new();
        let day = |n: i64| at("2026-10-01T02:00:00Z") + TimeDelta::days(n);
        for n in 1..=4 {
            archive(&world, &format!("good-{n}.zip"), day(n), &[]);
        }
        // Each newer than the good ones, many of each kind.
        for n in 10..20 {
            let new =
                |name: &str, change: &[(&str, Value)]| archive(&world, &format!("{name}-{n}.zip"), day(n), change);
            new("empty", &[]);
            world.write(&format!("out/empty-{n}.zip"), "");
            new("truncated", &[]);
            world.write(&format!("out/truncated-{n}.zip"), "arch");
            new("longer", &[("bytes", json!(9_999_999))]);
            new("foreign", &[("plan", json!("weekly"))]);
            new("app-prod", &[("database", json!("app-prod"))]);
            world.write(&format!("out/none-{n}.zip"), "no record");
            world.write(&format!("out/half-{n}.zip.partial"), "half");
            world.write(
                &format!("out/alone-{n}.zip.json"),
                std::fs::read(world.path("out/good-1.zip.json")).expect("a record"),
            );
        }
        let before = bytes(&world.path("out"));
        world.run(&prune(rules), &[]).ends(0);
        let after = bytes(&world.path("out"));
        let gone: Vec<&str> = before
            .iter()
            .filter(|b| !after.contains(b))
            .map(|(n, _)| n.as_str())
            .filter(|n| !n.starts_with("alone"))
            .collect();
        let expected: &[&str] = if rules.contains("within") {
            // All four lie within three days of the newest that counts.
            &[]
        } else {
            &["good-1.zip", "good-1.zip.json", "good-2.zip", "good-2.zip.json"]
        };
        assert_eq!(gone, expected, "{rules}");
        let alone = after.iter().filter(|(n, _)| n.starts_with("alone")).count();
        assert_eq!(alone, 0, "a record whose archive is gone stands for nothing");
    }
}

#[test]
fn the_time_in_the_record_decides_and_nothing_else() {
    let world = World::new();
    // By name and by the times of the files `a` is the newest; by record it is the oldest.
    for (name, made) in [("c.zip", 3), ("b.zip", 2), ("a.zip", 1)] {
        archive(&world, name, at("2026-10-01T02:00:00Z") + TimeDelta::days(made), &[]);
    }
    let touch = |name: &str, seconds: u64| {
        let file = std::fs::File::options().write(true).open(world.path("out").join(name)).expect("a file");
        file.set_modified(std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(seconds)).expect("a time");
    };
    touch("c.zip", 1);
    touch("b.zip", 4_000_000_000);
    world.run(&prune("keep_last: 2"), &[]).ends(0);
    assert_eq!(zips(&world, "out"), ["b.zip", "c.zip"]);
}

#[test]
fn the_hour_that_the_clock_shows_twice_loses_nothing() {
    let zone = |world: &World, rules: &str| {
        world.write("plan.yaml", format!("version: 1\nname: night\nlogs: {{ dir: logs }}\n{}", prune(rules)));
        let run = world.runplan().arg("plan.yaml").env("TZ", "Europe/Berlin").output().expect("runs");
        crate::world::Run::from(run).ends(0)
    };
    // On 2026-10-25 at 03:00 summer time the clocks of Berlin went back to 02:00: 02:30 was at 00:30 and at 01:30 UTC.
    let world = World::new();
    archive(&world, "z-first.zip", at("2026-10-25T00:30:00Z"), &[]);
    archive(&world, "a-second.zip", at("2026-10-25T01:30:00Z"), &[]);
    archive(
        &world,
        "with-offset.zip",
        at("2026-10-25T02:00:00+02:00"),
        &[("started_at", json!("2026-10-25T02:00:00+02:00"))],
    );
    zone(&world, "keep_last: 1");
    assert_eq!(zips(&world, "out"), ["a-second.zip"]);
    // The days of Berlin, not those of UTC: 23:30 and 00:30 there are one day in UTC in winter and two here.
    let world = World::new();
    archive(&world, "a.zip", at("2026-10-24T21:30:00Z"), &[]);
    archive(&world, "b.zip", at("2026-10-24T22:30:00Z"), &[]);
    archive(&world, "c.zip", at("2026-10-25T22:59:59Z"), &[]);
    archive(&world, "d.zip", at("2026-10-25T23:00:00Z"), &[]);
    zone(&world, "keep_daily: 3").says("the newest of day 2026-10-24").says("the newest of day 2026-10-26");
    assert_eq!(zips(&world, "out"), ["a.zip", "c.zip", "d.zip"]);
}

#[test]
fn two_runs_in_one_second_have_two_archives_and_the_order_of_their_moments() {
    let world = World::new();
    archive(&world, "b.zip", at("2026-10-01T02:00:00.1Z"), &[]);
    archive(&world, "a.zip", at("2026-10-01T02:00:00.9Z"), &[]);
    archive(&world, "c.zip", at("2026-10-01T02:00:00Z"), &[]);
    world.run(&prune("keep_last: 2"), &[]).ends(0);
    assert_eq!(zips(&world, "out"), ["a.zip", "b.zip"]);
    // The very same moment: one stays, always the same one.
    let world = World::new();
    ["x.zip", "z.zip", "y.zip"].iter().for_each(|n| archive(&world, n, at("2026-10-01T02:00:00Z"), &[]));
    world.run(&prune("keep_last: 1"), &[]).ends(0);
    assert_eq!(zips(&world, "out"), ["z.zip"]);
    // Real ones: as many as a second holds, none in the way of another.
    let mut night = Night::new();
    night.edit("keep_last: 2", "keep_last: 9");
    night.edit("logs:", "lock: { key: '${{ run.id }}', overlap: fail }\nlogs:");
    let runs: Vec<_> = (0..4)
        .map(|_| {
            night
                .command(&[])
                .stdout(std::process::Stdio::piped())
                .stderr(std::process::Stdio::piped())
                .spawn()
                .expect("runs")
        })
        .collect();
    for run in runs {
        crate::world::Run::from(run.wait_with_output().expect("it ends")).ends(0);
    }
    assert_eq!((zips(&night.world, "backups").len(), zips(&night.world, "share").len()), (4, 4));
}

#[test]
fn a_clock_that_was_ahead_costs_no_archive_that_is_made_after_it_was_set_right() {
    let night = Night::new();
    night.two_good_nights();
    // The two of the nights in which the clock was years ahead.
    for dir in ["backups", "share"] {
        for name in zips(&night.world, dir) {
            let path = night.world.path(dir).join(format!("{name}.json"));
            let mut record: Value = serde_json::from_slice(&std::fs::read(&path).expect("a record")).expect("JSON");
            for key in ["started_at", "finished_at"] {
                record[key] = json!("2031-05-05T05:05:05Z");
            }
            std::fs::write(path, record.to_string()).expect("a record");
        }
    }
    let ahead = zips(&night.world, "backups");
    let mut made: Vec<String> = Vec::new();
    for turn in 0..4 {
        night.run(&[]).ends(0);
        for dir in ["backups", "share"] {
            let all = zips(&night.world, dir);
            let new: Vec<String> = all.iter().filter(|n| !ahead.contains(n)).cloned().collect();
            assert!(ahead.iter().all(|n| all.contains(n)), "turn {turn}, {dir}: {all:?}");
            assert_eq!(new.len(), (turn + 1).min(2), "turn {turn}, {dir}: {all:?}");
            if dir == "share" {
                made = new;
            }
        }
    }
    assert_eq!(made.len(), 2);
}

#[test]
fn a_name_that_begins_like_another_is_another() {
    let world = World::new();
    let names = ["app", "app-prod", "app_1", "App", "ap"];
    for (i, database) in names.iter().enumerate() {
        for day in 1..=4 {
            let made =
                at("2026-10-01T02:00:00Z") + TimeDelta::days(day) + TimeDelta::hours(i64::try_from(i).expect("small"));
            archive(&world, &format!("{database}-{day}.zip"), made, &[("database", json!(database))]);
            archive(
                &world,
                &format!("plan-{database}-{day}.zip"),
                made,
                &[("plan", json!(format!("night{database}")))],
            );
        }
    }
    let mut expected = bytes(&world.path("out"));
    // Each prunes its own, in whatever order, and nothing of the others.
    for database in ["app", "App", "app_1"] {
        world.run(&prune("keep_last: 2").replace("dbname: app ", &format!("dbname: {database} ")), &[]).ends(0);
        expected.retain(|(name, _)| {
            let own =
                |day: u32| *name == format!("{database}-{day}.zip") || *name == format!("{database}-{day}.zip.json");
            !own(1) && !own(2)
        });
        assert!(bytes(&world.path("out")) == expected, "{database}: {:?}", world.names("out"));
    }
    // A pattern reaches files without a record alone.
    world.write("out/app-prod-old.zip", "no record");
    let pattern = world.run(&prune("keep_last: 1, pattern: 'app-*.zip'"), &["-n", "-v"]).ends(0);
    pattern.says("keeps `app-prod-old.zip`").says("leaves `app-prod-4.zip` alone: it is of the database `app-prod`");
}
