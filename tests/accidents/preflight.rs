//! What is seen before the first step: a night in vain is not begun, and one that may still be of use is.

use std::time::{Duration, Instant};

use crate::night::{Night, bytes, zips};
use crate::world::{Run, psql, without_world};

/// A night that begins with VACUUM, so that it can be seen whether it was begun, as a user of no rights.
fn night() -> (Night, String) {
    let mut night = Night::new();
    night.edit(
        "steps:\n",
        "steps:\n  - { id: vacuum, uses: vacuum, continue_on_error: true, with: { tables: [t], full: false } }\n",
    );
    let weak = format!("weak_{}", night.world.db());
    night.world.sql(&format!("CREATE ROLE {weak} LOGIN PASSWORD 'weak-password'"));
    (night, weak)
}

/// Whether VACUUM was begun: its control table is there then.
fn begun(night: &Night) -> bool {
    night.world.sql("SELECT to_regclass('controle_vacuum') IS NOT NULL") == "t"
}

fn weakly(night: &Night, weak: &str) -> Run {
    night.command(&[]).env("PGUSER", weak).env("PGPASSWORD", "weak-password").output().expect("runs").into()
}

#[test]
fn without_the_right_to_read_nothing_is_begun_and_the_mail_names_every_problem() {
    let (mut night, weak) = night();
    night.edit("to: share }", "to: missing }");
    let run = weakly(&night, &weak).ends(77).says("the run failed before its first step");
    assert!(!begun(&night) && zips(&night.world, "backups").is_empty());
    let mails = night.mails(0);
    assert_eq!(mails.len(), 1, "{}", run.said);
    let text = without_world(mails[0].part("text"));
    for part in [
        "preflight",
        "may not read `public.t`, and pg_dump would fail at it",
        "may not vacuum `public.t`",
        "there is no folder `missing`",
        "GRANT USAGE",
    ] {
        assert!(text.contains(part), "`{part}` is not in {text}");
    }
    assert!(mails[0].header("Subject").contains("dump"), "{}", mails[0].header("Subject"));
    // The same with the right, and the folder of the copies costs the archive nothing.
    night.world.sql(&format!("GRANT SELECT ON t TO {weak}; GRANT CREATE ON SCHEMA public TO {weak}"));
    let run = weakly(&night, &weak).ends(1).says("preflight: copy: problem: there is no folder `missing`");
    assert!(
        run.said.find("preflight: copy").expect("a warning") < run.said.find("dump         into").expect("the dump")
    );
    assert!(begun(&night));
    assert_eq!(zips(&night.world, "backups").len(), 1, "{}", run.said);
}

#[test]
fn a_night_that_may_still_be_of_use_is_begun() {
    let (mut night, weak) = night();
    night.world.sql(&format!("GRANT CREATE ON SCHEMA public TO {weak}"));
    let plan = night.plan.clone();
    // The failure of the dump is allowed.
    night.edit("- id: dump\n", "- id: dump\n    continue_on_error: true\n");
    weakly(&night, &weak).says("preflight: dump: problem").says("permission denied");
    assert!(begun(&night));
    // An earlier step may give the right, and does. It is no step that is left out.
    let grant = format!(
        "steps:\n  - {{ id: grant, uses: sql, with: {{ statement: 'GRANT SELECT ON t TO {weak}', database: {{ user: {}, password: '${{{{ secrets.pg }}}}' }} }} }}\n",
        psql("postgres", "SELECT current_user")
    );
    night.plan = plan.replace("steps:\n", &grant).replace("secrets: {", "secrets: { pg: { env: TEST_PG },");
    let password = std::env::var("PGPASSWORD").expect("a password");
    let granting = |arguments: &[&str]| {
        let mut command = night.command(arguments);
        command.env("PGUSER", &weak).env("PGPASSWORD", "weak-password").env("TEST_PG", &password);
        Run::from(command.output().expect("runs"))
    };
    granting(&["--skip", "grant"]).ends(77).says("may not read");
    granting(&[]).ends(0).says("preflight: dump: problem");
    assert_eq!(zips(&night.world, "backups").len(), 1);
    // An earlier dump is worth making.
    night.world.sql(&format!("CREATE TABLE other (id int); GRANT SELECT ON t TO {weak}"));
    let first = "  - id: dump\n    uses: pg_dump\n";
    let before = "  - id: first\n    uses: pg_dump\n    with: { tables: [t], archive: { path: 'first/app-${{ run.id }}.zip', password: '${{ secrets.zip }}' } }\n";
    night.plan = plan.replace(first, &format!("{before}{first}"));
    weakly(&night, &weak).ends(1).says("preflight: dump: problem");
    assert_eq!(zips(&night.world, "first").len(), 1);
    // In the other order there is nothing to be had.
    night.plan = plan.replace("  - { id: copy,", &format!("{before}  - {{ id: copy,"));
    weakly(&night, &weak).ends(77);
    assert_eq!(zips(&night.world, "first").len(), 1);
}

#[test]
fn row_level_security_and_a_tool_that_does_not_fit_are_seen_before_vacuum() {
    let (mut night, weak) = night();
    night.world.sql(&format!("GRANT SELECT ON t TO {weak}; GRANT CREATE ON SCHEMA public TO {weak}"));
    night.world.sql("ALTER TABLE t ENABLE ROW LEVEL SECURITY");
    weakly(&night, &weak).ends(77).says("row-level security hides rows of `public.t`");
    assert!(!begun(&night));
    night.world.sql("ALTER TABLE t DISABLE ROW LEVEL SECURITY");
    let plan = night.plan.clone();
    night.edit("archive:", "program: /nowhere/pg_dump\n      archive:");
    night.run(&[]).ends(1).says("there is no program `/nowhere/pg_dump`");
    assert!(!begun(&night));
    night.plan = plan;
    night.dumper("touch dumped");
    let fake = std::fs::read_to_string(night.world.path("fake")).expect("the script").replace("99.1", "9.6.24");
    std::fs::write(night.world.path("fake"), fake).expect("the script");
    night.run(&[]).ends(1).says("is version 9.6.24 and cannot dump the server");
    assert!(!begun(&night) && !night.world.path("dumped").exists());
}

/// The plan in a world whose folder of archives is mounted like that.
fn mounted(night: &Night, options: &str, more: &str) -> Run {
    night.apart(&format!(
        "set -e; cp -a backups before; mount -t tmpfs -o {options} none backups; cp -a before/. backups/; {more} set +e; \"$@\"; \
         code=$?; rm -rf after; cp -a backups after; rm -rf before; exit $code"
    ))
}

#[test]
fn a_folder_that_cannot_be_written_or_has_no_room_is_seen_before_vacuum() {
    let (mut night, _) = night();
    // Two good nights without VACUUM.
    night.run(&["--skip", "vacuum"]).ends(0);
    night.run(&["--skip", "vacuum"]).ends(0);
    assert!(!begun(&night));
    let before = bytes(&night.world.path("backups"));
    mounted(&night, "size=10m", "mount -o remount,bind,ro backups;")
        .ends(1)
        .says("folder `backups`: cannot be written");
    assert!(!begun(&night));
    // Not a byte is free.
    let fill = "(cat /dev/zero > backups/filler) 2>/dev/null || true;";
    mounted(&night, "size=300k", fill).ends(1).says("folder `backups`: nothing is free");
    assert!(!begun(&night));
    // Not even half of the last archive.
    let last = zips(&night.world, "backups").pop().expect("an archive");
    let record = night.world.path("backups").join(format!("{last}.json"));
    let text = std::fs::read_to_string(&record).expect("a record");
    let mut json: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    json["bytes"] = 5_000_000.into();
    let now = std::time::SystemTime::now() + Duration::from_secs(5);
    let enlarge = |json: &serde_json::Value| {
        std::fs::write(&record, json.to_string()).expect("a record");
        std::fs::File::options().write(true).open(&record).expect("it").set_modified(now).expect("its time");
    };
    enlarge(&json);
    mounted(&night, "size=400k", "")
        .ends(1)
        .says("free, and the last archive has 4.77 MiB")
        .says("before its first step");
    assert!(!begun(&night));
    // A prune before it may make room, and VACUUM FULL where the database may lie on the same disk.
    let plan = night.plan.clone();
    let prune = "  - { id: prune_first, uses: retention, with: { dir: backups, keep_last: 2 } }\n  - id: dump\n";
    night.edit("  - id: dump\n", prune);
    mounted(&night, "size=400k", "").ends(1).says("4.77 MiB").never_says("before its first step");
    assert!(begun(&night));
    night.world.sql("DROP TABLE controle_vacuum");
    night.plan = plan.replace("full: false", "full: true");
    mounted(&night, "size=400k", "").ends(1).says("4.77 MiB").never_says("before its first step");
    assert!(begun(&night));
    night.world.sql("DROP TABLE controle_vacuum");
    night.plan = plan;
    // More than half: that may go well, and is begun.
    json["bytes"] = 500_000.into();
    enlarge(&json);
    mounted(&night, "size=400k", "").says("preflight: dump: problem: folder `backups`");
    assert!(begun(&night));
    std::fs::write(&record, text).expect("a record");
    assert!(before == bytes(&night.world.path("backups")));
}

#[test]
fn a_disk_that_fills_before_the_dump_is_seen_by_the_dump_itself() {
    let (mut night, _) = night();
    night.run(&[]).ends(0);
    let fill = "steps:\n  - { id: fill, uses: command, continue_on_error: true, with: { argv: [sh, -c, 'cat /dev/zero > backups/filler'] } }\n";
    night.edit("steps:\n", fill);
    night.dumper("touch dumped; exit 1");
    mounted(&night, "size=300k", "")
        .ends(1)
        .says("folder `backups`: nothing is free")
        .never_says("before its first step");
    assert!(!night.world.path("dumped").exists());
}

#[test]
fn what_does_not_answer_holds_nothing_up() {
    let (mut night, _) = night();
    // A server that takes connections and never says anything.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = silent.local_addr().expect("an address").port();
    night.edit(
        "on_failure:\n",
        &format!(
            "on_failure:\n  - {{ id: note, uses: sql, with: {{ statement: SELECT 1, database: {{ host: 127.0.0.1, port: {port}, dbname: x, sslmode: disable }} }} }}\n"
        ),
    );
    let clock = Instant::now();
    night.run(&[]).ends(0).says("preflight: note: warning: what it needs could not be looked at within 5 s");
    assert!(clock.elapsed() < Duration::from_secs(30), "{:?}", clock.elapsed());
    assert_eq!(zips(&night.world, "backups").len(), 1);
}

#[test]
fn a_named_pipe_in_place_of_a_file_is_named_at_once() {
    let (mut night, _) = night();
    let made = std::process::Command::new("mkfifo").arg(night.world.path("ca.pem")).status().expect("mkfifo");
    assert!(made.success());
    night.edit("security: none", "ca_file: ca.pem");
    night.run(&[]).ends(0).says("preflight: alert: problem: ").says("it is a named pipe, not a regular file");
    assert_eq!(zips(&night.world, "backups").len(), 1);
}

#[test]
fn a_dry_run_warns_of_what_it_sees_and_asks_nobody() {
    let (mut night, weak) = night();
    night.edit("archive:", "program: ./asked\n      archive:");
    crate::world::script(&night.world.path("asked"), "touch started; echo 'pg_dump (PostgreSQL) 9.6.24'");
    let run = night.command(&["-n"]).env("PGUSER", &weak).env("PGPASSWORD", "weak-password").output().expect("runs");
    Run::from(run).ends(0).says("warning: `").says("may not read `public.t`, and pg_dump would fail at it");
    assert!(!night.world.path("started").exists());
}
