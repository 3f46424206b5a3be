//! The parameters of `pg_dump`: what is dumped, and into what.

use std::path::PathBuf;
use std::process::Command;

use crate::world::{PASSWORD, Run, World, psql};

fn plan(with: &str) -> String {
    format!("secrets: {{ zip: {{ env: TEST_ZIP }} }}\nsteps:\n  - {{ id: dump, uses: pg_dump, with: {{ {with} }} }}\n")
}

const ARCHIVE: &str = "archive: { path: 'out/a-${{ run.id }}.zip', password: '${{ secrets.zip }}' }";

fn archive(world: &World) -> PathBuf {
    let name = world.names("out").into_iter().find(|n| n.ends_with(".zip")).expect("an archive");
    world.path("out").join(name)
}

fn entry(world: &World, name: &str) -> Vec<u8> {
    let output = Command::new("bsdtar").args(["--passphrase", PASSWORD, "-xOf"]).arg(archive(world)).arg(name).output();
    let output = output.expect("bsdtar: run `tests/sandbox cargo test`");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

fn tables(world: &World, dump: &[u8]) -> String {
    let path = world.write("dump", dump);
    let list = Command::new("pg_restore").arg("--list").arg(path).output().expect("pg_restore");
    let text = String::from_utf8_lossy(&list.stdout).into_owned();
    let found = text.lines().filter(|l| l.contains(" TABLE ")).map(|l| {
        let words: Vec<&str> = l.split_whitespace().collect();
        let data = if words[4] == "DATA" { "+" } else { "" };
        format!("{}{data}", words[words.len() - 2])
    });
    let mut found: Vec<String> = found.collect();
    found.sort();
    found.join(" ")
}

fn sample() -> World {
    let world = World::with_database();
    world.sql("CREATE SCHEMA s; CREATE TABLE a (id int); CREATE TABLE b (id int); CREATE TABLE s.c (id int); INSERT INTO a VALUES (1)");
    world
}

#[test]
fn a_bare_file_has_a_record_and_is_what_pg_restore_reads() {
    let world = sample();
    let run = world.run(&plan("file: out/app.dump"), &["--format", "json"]).ends(0);
    assert_eq!(world.names("out"), ["app.dump", "app.dump.json"]);
    let dump = std::fs::read(world.path("out/app.dump")).expect("a dump");
    assert_eq!(tables(&world, &dump), "a a+ b b+ c c+");
    let record: serde_json::Value =
        serde_json::from_slice(&std::fs::read(world.path("out/app.dump.json")).expect("a record")).expect("JSON");
    assert_eq!((record["encryption"].as_str(), record["bytes"].as_u64()), (Some("none"), Some(dump.len() as u64)));
    assert_eq!(record["sha256"], run.json()["steps"][0]["outputs"]["sha256"]);
    let sum = Command::new("sha256sum").arg(world.path("out/app.dump")).output().expect("sha256sum");
    assert!(String::from_utf8_lossy(&sum.stdout).starts_with(record["sha256"].as_str().expect("a hash")));
    world.run(&plan("file: out/app.dump"), &[]).ends(1).says("no archive is ever overwritten");
    world.run(&plan(&format!("file: x, {ARCHIVE}")), &[]).ends(78).says("exclude each other");
    world.run(&plan("format: plain"), &[]).ends(78).says("either `archive` or `file` is needed");
}

#[test]
fn a_table_that_somebody_puts_before_another_is_not_dumped_in_its_place() {
    let world = World::with_database();
    world.sql("CREATE TABLE t (a int); INSERT INTO t SELECT generate_series(1, 1000); CREATE TABLE other (a int)");
    let named = plan(&format!("tables: [t, other], {ARCHIVE}"));
    world.run(&named, &[]).ends(0);
    std::fs::remove_dir_all(world.path("out")).expect("the archives");
    // The search path begins with the schema that has the name of the role.
    world.sql("CREATE SCHEMA AUTHORIZATION CURRENT_USER;");
    world.sql(&format!(
        "CREATE TABLE {}.t (a int); INSERT INTO {0}.t VALUES (1)",
        std::env::var("PGUSER").expect("PGUSER")
    ));
    let said = "`t` of `tables` names no schema, and more than one has such a table: ";
    world.run(&named, &[]).ends(1).says(said).says(".t, public.t").says("write the schema");
    world.run(&named, &["-n"]).ends(1).says(said);
    world.run(&plan(&format!("tables: [public.t, other], {ARCHIVE}")), &[]).ends(0);
    let manifest: serde_json::Value = serde_json::from_slice(&entry(&world, "manifest.json")).expect("JSON");
    let rows: Vec<u64> =
        manifest["evidence"]["tables"].as_array().expect("tables").iter().filter_map(|t| t["rows"].as_u64()).collect();
    assert!(rows.contains(&1000), "{manifest}");
}

#[test]
fn includes_must_match_and_excludes_that_match_nothing_are_warned_of() {
    let world = sample();
    world.run(&plan(&format!("tables: [a, 's.*'], exclude_table_data: [a], {ARCHIVE}")), &[]).ends(0);
    assert_eq!(tables(&world, &entry(&world, "database.dump")), "a c c+");
    std::fs::remove_dir_all(world.path("out")).expect("the archives");
    let run = world.run(&plan(&format!("schemas: [public], exclude_tables: [B, nothing], {ARCHIVE}")), &[]).ends(0);
    run.says("the pattern `nothing` excludes nothing").never_says("the pattern `B`");
    assert_eq!(tables(&world, &entry(&world, "database.dump")), "a a+");
    std::fs::remove_dir_all(world.path("out")).expect("the archives");
    let nothing = plan(&format!("tables: [a, 's.*', nothing], {ARCHIVE}"));
    let said = "no table matches the pattern `nothing` of `tables`";
    world.run(&nothing, &["-n"]).ends(0).says(said).never_says("pattern `a`").never_says("pattern `s.*`");
    world.run(&nothing, &[]).ends(1).says(said).says("no matching tables were found");
    let nothing = plan(&format!("schemas: [public, x], {ARCHIVE}"));
    world.run(&nothing, &[]).ends(1).says("no schema matches the pattern `x` of `schemas`").never_says("`public` of");
    assert_eq!(world.names("out"), Vec::<String>::new());
}

#[test]
fn globals_go_along_in_the_same_archive() {
    let world = sample();
    let role = format!("{}_role", world.db());
    psql("postgres", &format!("CREATE ROLE {role}"));
    world.run(&plan(&format!("format: plain, globals: true, {ARCHIVE}")), &[]).ends(0);
    let globals = String::from_utf8(entry(&world, "globals.sql")).expect("SQL");
    assert!(globals.contains(&format!("CREATE ROLE {role};")), "{globals}");
    let plain = String::from_utf8(entry(&world, "database.sql")).expect("SQL");
    assert!(plain.contains("CREATE TABLE public.a"), "{plain}");
    let manifest: serde_json::Value = serde_json::from_slice(&entry(&world, "manifest.json")).expect("JSON");
    assert_eq!((manifest["dump"].as_str(), manifest["globals"].as_str()), (Some("database.sql"), Some("globals.sql")));
    psql("postgres", &format!("DROP ROLE {role}"));
    world.run(&plan("globals: true, file: x.sql"), &[]).ends(78).says("`globals` needs an `archive`");
}

#[test]
fn a_plain_dump_without_its_end_is_no_dump() {
    let world = sample();
    let script = "[ \"$1\" = --version ] && { echo 'pg_dump (PostgreSQL) 99.1'; exit; }; echo '-- PostgreSQL database dump'; echo 'CREATE'";
    crate::world::script(&world.path("fake"), script);
    let program = world.path("fake");
    let run = world.run(&plan(&format!("program: {}, format: plain, {ARCHIVE}", program.display())), &[]);
    run.ends(1).says("the dump has no end");
    assert_eq!(world.names("out"), Vec::<String>::new());
}

#[test]
fn what_a_killed_run_left_is_cleared_by_the_next_and_nothing_else_is() {
    let world = sample();
    let dead = "out/a-20260101T000000Z-abcd.zip.partial";
    for name in [dead, "out/b-20260101T000000Z-abcd.zip.partial", "out/a-2026.zip.partial", "out/download.partial"] {
        world.write(name, "half");
    }
    let live = world.write("out/a-20260101T000001Z-abcd.zip.partial", "half");
    let live = std::fs::File::open(live).expect("a file");
    live.lock().expect("a lock");
    world.run(&plan(ARCHIVE), &[]).ends(0).says("removed `a-20260101T000000Z-abcd.zip.partial`");
    let left: Vec<String> = world.names("out").into_iter().filter(|n| n.ends_with(".partial")).collect();
    assert_eq!(
        left,
        [
            "a-2026.zip.partial",
            "a-20260101T000001Z-abcd.zip.partial",
            "b-20260101T000000Z-abcd.zip.partial",
            "download.partial"
        ]
    );
}

#[test]
fn the_password_file_serves_both_our_client_and_pg_dump() {
    let world = sample();
    let (host, port) = (std::env::var("PGHOST").expect("a host"), std::env::var("PGPORT").expect("a port"));
    let password = std::env::var("PGPASSWORD").expect("a password");
    let file = world.write("pass", format!("{host}:{port}:*:runplan:{password}\n"));
    let run = |mode| {
        use std::os::unix::fs::PermissionsExt;
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).expect("a mode");
        world.write("plan.yaml", format!("version: 1\nname: night\nlogs: {{ dir: logs }}\n{}", plan(ARCHIVE)));
        let mut command = world.runplan();
        Run::from(command.arg("plan.yaml").env_remove("PGPASSWORD").env("PGPASSFILE", &file).output().expect("runs"))
    };
    run(0o600).ends(0).never_says(&password);
    run(0o644).ends(1).says("counts only with mode 600");
}

#[test]
fn the_manifest_says_what_the_dumped_snapshot_holds() {
    let world = sample();
    world.sql("INSERT INTO b SELECT generate_series(1, 7); CREATE SEQUENCE q; SELECT nextval('q'), nextval('q')");
    world.sql(
        "CREATE TABLE s.\"Ünï \"\"q\"\" table\" (t text); INSERT INTO s.\"Ünï \"\"q\"\" table\" VALUES ('x'), ('x')",
    );
    world.sql("SELECT lo_from_bytea(0, 'large'); CREATE EXTENSION pgcrypto");
    let manifest = |with: &str| -> serde_json::Value {
        let _ = std::fs::remove_dir_all(world.path("out"));
        world.run(&plan(&format!("{with}, {ARCHIVE}")), &[]).ends(0).never_says("WARNING");
        serde_json::from_slice(&entry(&world, "manifest.json")).expect("JSON")
    };
    let rows = |manifest: &serde_json::Value| -> Vec<(String, i64)> {
        let tables = manifest["evidence"]["tables"].as_array().expect("tables");
        let mut rows: Vec<_> = tables
            .iter()
            .map(|t| {
                (
                    format!("{}.{}", t["schema"].as_str().expect("a schema"), t["name"].as_str().expect("a name")),
                    t["rows"].as_i64().expect("rows"),
                )
            })
            .collect();
        rows.sort();
        rows
    };
    let named = |all: &[(&str, i64)]| all.iter().map(|(n, r)| ((*n).to_owned(), *r)).collect::<Vec<_>>();
    let all = named(&[("public.a", 1), ("public.b", 7), ("s.c", 0), ("s.Ünï \"q\" table", 2)]);
    for format in ["custom", "plain"] {
        let whole = manifest(&format!("format: {format}"));
        assert_eq!(rows(&whole), all, "{format}");
        let evidence = &whole["evidence"];
        assert_eq!(
            evidence["sequences"],
            serde_json::json!([{ "schema": "public", "name": "q", "last_value": 2, "is_called": true }])
        );
        assert_eq!(evidence["large_objects"]["count"], 1);
        assert!(evidence["extensions"].to_string().contains("pgcrypto"), "{evidence}");
        assert!(evidence["roles"].to_string().contains("runplan"), "{evidence}");
        let part = manifest(&format!("format: {format}, tables: ['b', 's.*'], exclude_table_data: ['s.c']"));
        assert_eq!(rows(&part), named(&[("public.b", 7), ("s.Ünï \"q\" table", 2)]), "{format}");
        let part = manifest(&format!("format: {format}, schemas: [public], exclude_tables: ['A']"));
        assert_eq!(rows(&part), named(&[("public.b", 7)]), "{format}");
    }
}

#[test]
fn what_the_manifest_counts_is_what_was_dumped() {
    let world = sample();
    // Rows are added before and after the moment in which pg_dump takes its snapshot.
    let database = world.db().to_owned();
    let real = "/usr/lib/postgresql/*/bin/pg_dump";
    let script = format!(
        "case \"$1\" in --version) exec {real} --version;; esac\npsql -qX -d {database} -c 'INSERT INTO a SELECT generate_series(1, 50)'\n{real} \"$@\" || exit 1\npsql -qX -d {database} -c 'INSERT INTO a SELECT generate_series(1, 9)' >&2"
    );
    crate::world::script(&world.path("late"), &script);
    world.run(&plan(&format!("program: {}, {ARCHIVE}", world.path("late").display())), &[]).ends(0);
    assert_eq!(world.sql("SELECT count(*) FROM a"), "60");
    let manifest: serde_json::Value = serde_json::from_slice(&entry(&world, "manifest.json")).expect("JSON");
    assert_eq!(manifest["evidence"]["tables"][0]["rows"], 51, "{manifest}");
    let dump = world.write("dump", entry(&world, "database.dump"));
    let text =
        Command::new("pg_restore").args(["-f", "-", "--data-only", "-t", "a"]).arg(dump).output().expect("pg_restore");
    assert_eq!(String::from_utf8_lossy(&text.stdout).lines().filter(|l| l.parse::<i64>().is_ok()).count(), 51);
}

#[test]
fn a_rate_holds_the_dump_back_and_a_nice_value_is_that_of_pg_dump_and_of_our_threads() {
    let world = sample();
    world.sql("CREATE TABLE big AS SELECT g AS id, repeat(md5(g::text), 4) AS m FROM generate_series(1, 30000) g");
    let with = plan(&format!("max_rate: 2MB/s, nice: 15, {ARCHIVE}"));
    world.run(&with, &["-n"]).ends(0).says("at most 1.91 MiB/s").says("with the nice value 15");
    world.write("plan.yaml", format!("version: 1\nname: night\nlogs: {{ dir: logs }}\n{with}"));
    let clock = std::time::Instant::now();
    let mut command = world.runplan();
    let child = command.args(["plan.yaml", "--format", "json"]).stdout(std::process::Stdio::piped());
    let child = child.stderr(std::process::Stdio::null()).spawn().expect("the binary runs");
    // Fields of `/proc/PID/stat` behind the name in brackets: the state, the parent, … and, as the 19th of all, the nice value.
    let stat = |path: String| {
        let text = std::fs::read_to_string(path).unwrap_or_default();
        let (head, rest) = text.rsplit_once(')')?;
        let field = |n: usize| rest.split_whitespace().nth(n - 3).and_then(|f| f.parse::<i64>().ok());
        Some((head.split_once('(')?.1.to_owned(), field(4)?, field(19)?))
    };
    let (mut dumper, mut ours) = (None, std::collections::BTreeSet::new());
    while dumper.is_none() || ours.len() < 2 {
        assert!(
            clock.elapsed().as_secs() < 30,
            "no pg_dump with a nice value, or none of our threads: {dumper:?} {ours:?}"
        );
        for pid in std::fs::read_dir("/proc").expect("processes").flatten() {
            match stat(format!("{}/stat", pid.path().display())) {
                Some((name, parent, nice)) if name == "pg_dump" && parent == i64::from(child.id()) && nice == 15 => {
                    dumper = Some(nice);
                }
                _ => {}
            }
        }
        for task in std::fs::read_dir(format!("/proc/{}/task", child.id())).into_iter().flatten().flatten() {
            ours.extend(stat(format!("{}/stat", task.path().display())).map(|(_, _, nice)| nice));
        }
    }
    assert_eq!(ours.last(), Some(&15), "{ours:?}");
    let run = Run::from(child.wait_with_output().expect("it ends")).ends(0);
    let bytes = run.json()["steps"][0]["outputs"]["dump_bytes"].as_f64().expect("a size");
    assert!(bytes > 3e6 && clock.elapsed().as_secs_f64() >= bytes / 2e6, "{bytes} bytes in {:?}", clock.elapsed());
    for (with, says) in [
        ("max_rate: 0B/s", "nothing would ever be done"),
        ("max_rate: 50", "needs a unit"),
        ("nice: 20", "20"),
        ("nice: -1", "-1"),
        ("format: directory, max_rate: 1MB/s", "has none"),
    ] {
        world.run(&plan(&format!("{with}, {ARCHIVE}")), &[]).ends(78).says(says);
    }
}

#[test]
fn words_for_pg_dump_never_lead_it_elsewhere() {
    let world = sample();
    psql("postgres", &format!("CREATE DATABASE {}_other", world.db()));
    let other = format!("{}_other", world.db());
    let elsewhere = world.path("elsewhere");
    // The snapshot would keep it from another database, with words that nobody understands; nothing keeps it from a file.
    for (words, says) in [
        (vec![other.as_str()], "the name of a database"),
        (vec!["--no-owner", other.as_str()], "the name of a database"),
        (vec!["-h", "localhost"], "-h"),
        (vec!["-vOf", elsewhere.to_str().expect("a path")], "-f"),
        (vec!["--form=t"], "--format"),
    ] {
        let words = serde_json::to_string(&words).expect("JSON");
        let with = format!("file: out/app.sql, format: plain, extra_args: {words}");
        world.run(&plan(&with), &[]).ends(78).says(&format!("`{says}` is not for `extra_args`"));
        // What only a template says is seen before anything is begun.
        let late = plan("file: out/app.sql, format: plain, extra_args: '${{ params.words }}'");
        let late =
            format!("params: {{ words: {{ type: array, items: {{ type: string }}, default: {words} }} }}\n{late}");
        world.run(&late, &[]).ends(1).says(&format!("`{says}` is not for `extra_args`"));
        assert!(world.names("out").is_empty() && !elsewhere.exists(), "{words}");
    }
    psql("postgres", &format!("DROP DATABASE {other}"));
}
