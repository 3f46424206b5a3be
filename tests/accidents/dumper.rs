//! A `pg_dump` that misbehaves, in the ways that `tests/pg_dump.rs` does not show.

use std::time::{Duration, Instant};

use crate::night::{Night, bytes};
use crate::world::{Run, World};

/// What a failed night leaves as it was, and whom it told.
fn night_fails(night: &Night, code: i32, says: &str) -> Run {
    let before = (bytes(&night.world.path("backups")), bytes(&night.world.path("share")), night.server.mails().len());
    let run = night.run(&[]).ends(code).says(says);
    assert!(bytes(&night.world.path("backups")) == before.0, "{:?}", night.world.names("backups"));
    assert!(bytes(&night.world.path("share")) == before.1, "{:?}", night.world.names("share"));
    let mails = night.mails(before.2);
    assert_eq!(mails.len(), 1, "{}", run.said);
    assert!(mails[0].part("text").contains(says), "{}", mails[0].part("text"));
    run
}

/// A real dump in the custom format, with tables, large objects and more than one block of data.
fn real_dump(world: &World) -> Vec<u8> {
    world.sql("CREATE TABLE u AS SELECT g, repeat(md5(g::text), 4) AS m FROM generate_series(1, 3000) g; CREATE TABLE v (id int)");
    world.sql("SELECT lo_from_bytea(0, 'large'); CREATE SEQUENCE q; CREATE VIEW w AS SELECT * FROM t");
    let dump = std::process::Command::new("pg_dump").args(["-Fc", "--compress=0", "-d", world.db()]).output();
    let dump = dump.expect("pg_dump");
    assert!(dump.status.success() && dump.stdout.len() > 300_000, "{}", dump.stdout.len());
    dump.stdout
}

#[test]
fn a_dump_cut_anywhere_is_no_dump_even_when_pg_dump_says_that_all_went_well() {
    let mut night = Night::new();
    let dump = real_dump(&night.world);
    night.world.write("whole", &dump);
    night.dumper("cat ../whole 2>/dev/null || cat whole");
    night.run(&[]).ends(0);
    night.run(&[]).ends(0);
    let mut taken = Vec::new();
    let length = dump.len();
    for cut in [
        7,
        300,
        3000,
        length / 8,
        length / 3,
        length / 2,
        length - length / 8,
        length - 5000,
        length - 600,
        length - 6,
        length - 1,
    ] {
        night.dumper(&format!("head -c {cut} whole"));
        let mails = night.server.mails().len();
        let run = night.run(&[]);
        if run.code == Some(0) {
            taken.push(cut);
            continue;
        }
        run.ends(1).says("`pg_dump` ended well, but");
        assert_eq!(night.mails(mails).len(), 1);
    }
    assert_eq!(taken, Vec::<usize>::new(), "of {length} bytes: taken for whole dumps");
}

#[test]
fn no_honest_dump_is_taken_for_a_cut_one() {
    let mut night = Night::new();
    real_dump(&night.world);
    night.world.sql(
        "CREATE MATERIALIZED VIEW mv AS SELECT * FROM u; CREATE TABLE p (id int) PARTITION BY RANGE (id);
         CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (100); INSERT INTO p SELECT generate_series(1, 50);
         CREATE UNLOGGED TABLE ul AS SELECT 1; SELECT lo_create(0), lo_from_bytea(0, decode(repeat('ab', 50000), 'hex'));
         CREATE TABLE none (); CREATE TABLE wide AS SELECT repeat('x', 3000000) AS t",
    );
    night.edit("archive:", "allow_empty: true\n      extra_args: [EXTRA]\n      archive:");
    let plan = night.plan.clone();
    for extra in [
        "",
        "-Z0",
        "-Z6",
        "--schema-only",
        "--data-only",
        "--section=pre-data",
        "--section=data",
        "--section=post-data",
        "--no-blobs",
        "--inserts",
        "--rows-per-insert=7",
        "--exclude-table-data=u",
        "--table=t",
        "--schema=public",
        "--no-unlogged-table-data",
        "--clean",
        "--create",
        "--load-via-partition-root",
    ] {
        night.plan = plan.replace("EXTRA", extra);
        night.run(&[]).ends(0).never_says("cannot be read");
    }
}

#[test]
fn one_that_hangs_is_stopped_by_the_timeout_of_its_step() {
    let mut night = Night::new();
    night.two_good_nights();
    night.edit("uses: pg_dump\n", "uses: pg_dump\n    timeout: 1s\n");
    for script in [
        // Silent, after a half, deaf to SIGTERM with a child, and with its output closed.
        "exec sleep 300",
        "printf PGDMPxxxx; sleep 300 & echo $! > pid; wait",
        "trap '' TERM; printf PGDMPxxxx; while :; do sleep 1; done",
        "printf PGDMPxxxx; exec >&-; exec sleep 300",
    ] {
        night.dumper(script);
        let clock = Instant::now();
        night_fails(&night, 1, "1s");
        assert!(clock.elapsed() < Duration::from_secs(25), "{script}: {:?}", clock.elapsed());
    }
    let pid = std::fs::read_to_string(night.world.path("pid")).expect("a pid");
    let state = std::process::Command::new("ps").args(["-o", "stat=", "-p", pid.trim()]).output().expect("ps");
    let state = String::from_utf8_lossy(&state.stdout).trim().to_owned();
    assert!(state.is_empty() || state.starts_with('Z'), "left behind: {state}");
}

#[test]
fn one_that_closes_its_output_and_goes_on_is_waited_for_and_judged_by_its_end() {
    let mut night = Night::new();
    night.two_good_nights();
    // It has said all there is to say, works on, and then fails: what it said counts for nothing.
    night.world.write("whole", real_dump(&night.world));
    night.dumper("cat whole; exec >&-; sleep 1; echo 'late trouble' >&2; exit 1");
    night_fails(&night, 1, "late trouble");
}

#[test]
fn one_that_never_stops_complaining_neither_fills_the_memory_nor_the_mail() {
    let mut night = Night::new();
    night.two_good_nights();
    night.edit("uses: pg_dump\n", "uses: pg_dump\n    timeout: 2s\n");
    night.dumper("printf PGDMPxxxx; exec yes 'pg_dump: warning: the same again, and again, and again' >&2");
    let run = night_fails(&night, 1, "2s");
    assert!(run.said.contains("the same again"));
    let mails = night.server.mails();
    let mail = mails.last().expect("a mail");
    assert!(mail.raw.len() < 9 << 20, "{} bytes", mail.raw.len());
    let attached = mail.attachments();
    assert!(attached.iter().all(|(_, _, bytes, _)| *bytes <= (5 << 20) + 2), "{:?}", attached.first().map(|a| a.2));
    // A line without an end, too.
    night.dumper("printf PGDMPxxxx; exec tr '\\0' x < /dev/zero >&2");
    let run = night_fails(&night, 1, "2s");
    assert!(run.said.contains("is left out") && run.said.len() < 1 << 20, "{}", run.said.len());
}

#[test]
fn a_grandchild_that_holds_the_pipes_holds_nothing_up_and_makes_no_bad_night_good() {
    let mut night = Night::new();
    night.two_good_nights();
    night.dumper("sleep 300 & echo $! > pid; printf PGDMPxxxx; echo 'out of sorts' >&2; exit 1");
    let clock = Instant::now();
    night_fails(&night, 1, "out of sorts");
    assert!(clock.elapsed() < Duration::from_secs(20), "{:?}", clock.elapsed());
    // One in a session of its own is beyond reach of a signal to the group.
    night.dumper("setsid sh -c 'echo $$ > pid; exec sleep 60' & printf PGDMPxxxx; sleep 1; exit 1");
    let clock = Instant::now();
    night_fails(&night, 1, "exit status 1");
    let waited = clock.elapsed();
    let pid = std::fs::read_to_string(night.world.path("pid")).expect("a pid");
    let _ = std::process::Command::new("kill").args(["-KILL", pid.trim()]).status();
    assert!(waited < Duration::from_secs(15), "{waited:?}");
}
