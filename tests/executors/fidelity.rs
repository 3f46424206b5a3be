//! What a restore must keep beside the content: encoding, locale, settings, tablespaces; what it must not keep:
//! subscriptions of a check; and the programs that do it.

use std::process::Command;

use crate::proof::{alone, forge};
use crate::world::{PASSWORD, Run, World, psql, script};

fn plan(steps: &str) -> String {
    format!("secrets: {{ zip: {{ env: TEST_ZIP }} }}\nsteps:\n{steps}")
}

fn dump(world: &World, with: &str) -> Run {
    let _ = std::fs::remove_dir_all(world.path("out"));
    let step = format!(
        "  - {{ id: dump, uses: pg_dump, timeout: 1h, with: {{ {with} archive: {{ path: out/a.zip, password: '${{{{ secrets.zip }}}}' }} }} }}\n"
    );
    world.run(&plan(&step), &[])
}

fn check(world: &World, with: &str) -> Run {
    let step = format!(
        "  - {{ id: check, uses: restore_check, timeout: 1h, with: {{ archive: out/a.zip, password: '${{{{ secrets.zip }}}}' {with} }} }}\n"
    );
    world.run(&plan(&step), &[])
}

const SCRATCH: &str = ", into: scratch, trust_source: true";

fn restore(world: &World, into: &str, more: &[&str]) -> Run {
    let mut command = world.runplan();
    command.args(["restore", "out/a.zip", "--into", into]).args(more).env("RUNPLAN_ZIP_PASSWORD", PASSWORD);
    command.output().expect("the binary runs").into()
}

/// A world whose database is made with these options.
fn world_with(options: &str) -> World {
    let world = World::with_database();
    psql("postgres", &format!("DROP DATABASE {}", world.db()));
    psql("postgres", &format!("CREATE DATABASE {} TEMPLATE template0 {options}", world.db()));
    world
}

fn of(database: &str, expression: &str) -> String {
    psql("postgres", &format!("SELECT {expression} FROM pg_database d WHERE datname = '{database}'"))
}

#[test]
fn a_database_is_made_again_with_its_encoding_locale_and_settings() {
    let _alone = alone();
    let kind = "pg_encoding_to_char(encoding) || ' ' || datcollate || ' ' || datctype";
    for (options, value) in [
        ("ENCODING 'LATIN1' LOCALE 'C'", "convert_from('\\xe9', 'LATIN1')"),
        ("ENCODING 'SQL_ASCII' LOCALE 'C'", "E'\\351'"),
        ("ENCODING 'UTF8' LC_COLLATE 'C' LC_CTYPE 'C.UTF-8'", "'é'"),
    ] {
        let world = world_with(options);
        world.sql(&format!("CREATE TABLE t (v text); INSERT INTO t VALUES ({value})"));
        let name = world.db().to_owned();
        world.sql(&format!(
            "ALTER DATABASE {name} SET search_path TO \"$user\", \"A b\", public; ALTER DATABASE {name} SET work_mem = '7MB'; \
             ALTER ROLE runplan IN DATABASE {name} SET lock_timeout = '9s'; ALTER DATABASE {name} SET app.note TO 'it''s'"
        ));
        dump(&world, "").ends(0);
        let again = format!("{name}_again");
        restore(&world, &again, &["--create"]).ends(0);
        assert_eq!(of(&again, kind), of(&name, kind));
        let settings = |name: &str| {
            psql(
                "postgres",
                &format!(
                    "SELECT string_agg(setrole::text || setconfig::text, ';' ORDER BY setrole) FROM pg_db_role_setting s \
                     JOIN pg_database d ON d.oid = s.setdatabase WHERE datname = '{name}'"
                ),
            )
        };
        let sorted = |text: String| {
            let mut bytes = text.into_bytes();
            bytes.sort_unstable();
            bytes
        };
        assert!(settings(&name).contains("lock_timeout"));
        assert_eq!(sorted(settings(&again)), sorted(settings(&name)));
        psql("postgres", &format!("DROP DATABASE {again}"));
        check(&world, SCRATCH).ends(0);
        check(&world, "").ends(0).says("are what was dumped");
    }
}

#[test]
fn a_locale_that_is_missing_fails_a_restore_with_words_and_costs_no_check() {
    let _alone = alone();
    let world = World::with_database();
    world.sql("CREATE TABLE t AS SELECT 1 AS a");
    dump(&world, "").ends(0);
    forge(&world, "manifest['properties'].update(collate='xx_XX.utf8', ctype='xx_XX.utf8')");
    let again = format!("{}_again", world.db());
    restore(&world, &again, &["--create"])
        .ends(1)
        .says(&format!("making the database `{again}` with encoding UTF8 and libc locale `xx_XX.utf8`"))
        .says("--locale C");
    restore(&world, &again, &["--create", "--locale", "C"]).ends(0);
    assert_eq!(of(&again, "datcollate"), "C");
    psql("postgres", &format!("DROP DATABASE {again}"));
    for into in ["", SCRATCH] {
        check(&world, into).ends(0).says("the check goes on with locale `C`");
    }
}

#[test]
fn tables_in_tablespaces_are_restored_where_there_are_none() {
    let _alone = alone();
    let world = World::with_database();
    let space = format!("{}_space", world.db());
    let made = Command::new("psql")
        .args(["-Xq", "-d", "postgres", "-c", "SET allow_in_place_tablespaces = on", "-c"])
        .arg(format!("CREATE TABLESPACE {space} LOCATION ''"))
        .status();
    assert!(made.expect("psql").success());
    world.sql(&format!("CREATE TABLE t (a int) TABLESPACE {space}; INSERT INTO t VALUES (1)"));
    for format in ["custom", "plain", "directory"] {
        dump(&world, &format!("format: {format},")).ends(0);
        check(&world, "").ends(0).says("1 tables with 1 rows");
    }
    dump(&world, "").ends(0);
    world.sql("DROP TABLE t");
    world.sql(&format!("DROP TABLESPACE {space}"));
    let again = format!("{}_again", world.db());
    restore(&world, &again, &["--create"]).ends(1).says(&space);
    restore(&world, &again, &["--create", "--no-tablespaces"]).ends(0);
    psql("postgres", &format!("DROP DATABASE {again}"));
}

#[test]
fn a_check_leaves_no_database_with_a_subscription() {
    let _alone = alone();
    let world = World::with_database();
    let name = format!("{}_sub", world.db());
    world.sql("CREATE TABLE t (a int); INSERT INTO t VALUES (1); CREATE PUBLICATION p FOR TABLE t");
    for format in ["custom", "plain"] {
        world.sql(&format!(
            "CREATE SUBSCRIPTION {name} CONNECTION 'host=127.0.0.1 port=9 dbname=none' PUBLICATION p \
             WITH (connect = false, slot_name = NONE)"
        ));
        let dumped = dump(&world, &format!("format: {format},"));
        world.sql(&format!("DROP SUBSCRIPTION {name}"));
        dumped.ends(0);
        for into in ["", SCRATCH] {
            check(&world, into).ends(0).never_says("stays");
        }
    }
    assert_eq!(psql("postgres", "SELECT count(*) FROM pg_database WHERE datname LIKE 'runplan_check_%'"), "0");
}

#[test]
fn a_restore_that_fails_removes_the_database_that_it_made() {
    let _alone = alone();
    let world = World::with_database();
    world.sql("CREATE TABLE t AS SELECT 1 AS a");
    dump(&world, "").ends(0);
    let again = format!("{}_again", world.db());
    let there = || psql("postgres", &format!("SELECT count(*) FROM pg_database WHERE datname = '{again}'"));
    let failing = world.path("pg_restore");
    script(
        &failing,
        "case $1 in --version) echo 'pg_restore (PostgreSQL) 16.1';; *) echo 'error: no' >&2; exit 1;; esac",
    );
    let failing = failing.display().to_string();
    restore(&world, &again, &["--create", "--program", &failing])
        .ends(1)
        .says("which was made for this restore, is removed again");
    assert_eq!(there(), "0");
    // One that is too old for the dump is refused by its words.
    script(&world.path("pg_restore"), "echo 'pg_restore (PostgreSQL) 11.1'");
    restore(&world, &again, &["--create", "--program", &failing])
        .ends(1)
        .says("is version 11, and `pg_restore` 12 or newer is needed: the dump was made by pg_dump 15");
    assert_eq!(there(), "0");
    let good = Command::new("sh").args(["-c", "ls /usr/lib/postgresql/*/bin/pg_restore | tail -1"]).output();
    let good = String::from_utf8_lossy(&good.expect("sh").stdout).trim().to_owned();
    restore(&world, &again, &["--create", "--program", &good]).ends(0);
    psql("postgres", &format!("DROP DATABASE {again}"));
    // What differs is kept, since it is all there is.
    forge(
        &world,
        "manifest['evidence']['tables'][0]['rows'] += 1; manifest['evidence']['tables'][0].pop('checksum', None)",
    );
    restore(&world, &again, &["--create"]).ends(1).says("is kept, with what was restored");
    assert_eq!(there(), "1");
    psql("postgres", &format!("DROP DATABASE {again}"));
}

#[test]
fn a_command_of_psql_in_an_sql_dump_is_refused_before_anything_starts() {
    let _alone = alone();
    let world = World::with_database();
    world.sql("CREATE TABLE t (a text); INSERT INTO t VALUES (E'\\\\restrict x'), ('b')");
    let mark = world.path("mark");
    let again = format!("{}_again", world.db());
    for command in [
        format!("\\\\! touch {}", mark.display()),
        "\\\\connect postgres".to_owned(),
        format!("\\\\copy t from program 'touch {}'", mark.display()),
        format!("\\\\o |touch {}", mark.display()),
        "\\\\i /etc/hostname".to_owned(),
        format!("SELECT 1 \\\\g |touch {}", mark.display()),
    ] {
        dump(&world, "format: plain,").ends(0);
        forge(
            &world,
            &format!(
                "files['database.sql'] = files['database.sql'].replace(b'CREATE TABLE', b\"\"\"{command}\\nCREATE TABLE\"\"\", 1); \
                 manifest['dump_bytes'] = len(files['database.sql'])"
            ),
        );
        restore(&world, &again, &["--create"]).ends(1).says("has a command of psql").says("cannot be restored: line ");
        check(&world, "").ends(1).says("has a command of psql");
        assert!(!mark.exists(), "{command}");
    }
    assert_eq!(psql("postgres", &format!("SELECT count(*) FROM pg_database WHERE datname = '{again}'")), "0");
    // The same dump without them is restored.
    dump(&world, "format: plain,").ends(0);
    restore(&world, &again, &["--create"]).ends(0);
    assert_eq!(psql(&again, "SELECT string_agg(a, ',' ORDER BY a DESC) FROM t"), "b,\\restrict x");
    psql("postgres", &format!("DROP DATABASE {again}"));
}

/// Which strings end behind a backslash hangs on settings, and `pg_dump` writes such strings.
#[test]
fn an_sql_dump_with_a_path_that_ends_in_a_backslash_is_restored() {
    let _alone = alone();
    let world = World::with_database();
    world.sql("CREATE TABLE t (a int, p text DEFAULT 'C:\\'); INSERT INTO t VALUES (1); COMMENT ON TABLE t IS 'D:\\'");
    let again = format!("{}_again", world.db());
    dump(&world, "format: plain,").ends(0);
    check(&world, "").ends(0);
    restore(&world, &again, &["--create"]).ends(0);
    assert_eq!(psql(&again, "SELECT p || obj_description('t'::regclass) FROM t"), "C:\\D:\\");
    psql("postgres", &format!("DROP DATABASE {again}"));
}

/// Without restricted mode, what `psql` takes for a command hangs on the encoding, which the dump can change.
#[test]
fn a_psql_without_restricted_mode_is_given_no_sql_of_others() {
    let _alone = alone();
    let world = World::with_database();
    world.sql("CREATE TABLE t AS SELECT 1 AS a");
    dump(&world, "format: plain,").ends(0);
    let again = format!("{}_again", world.db());
    let old = world.path("bin");
    std::fs::create_dir(&old).expect("a folder");
    let mark = world.path("mark");
    let old = old.join("psql");
    script(
        &old,
        &format!("case \"$1\" in --version) echo 'psql (PostgreSQL) 15.13'; exit 0;; esac\ntouch {}", mark.display()),
    );
    restore(&world, &again, &["--create", "--program", &old.to_string_lossy()])
        .ends(1)
        .says("psql 15.13 (`")
        .says("can be made to run commands from an SQL dump: update it")
        .says("--program");
    assert_eq!(psql("postgres", &format!("SELECT count(*) FROM pg_database WHERE datname = '{again}'")), "0");
    // The other formats are not read by `psql`.
    dump(&world, "").ends(0);
    restore(&world, &again, &["--create"]).ends(0);
    assert!(!mark.exists());
    psql("postgres", &format!("DROP DATABASE {again}"));
}

/// Somebody else's folder of such a name, or a link to one, is never ours to remove.
#[test]
fn the_cluster_folders_of_others_are_left_alone() {
    let _alone = alone();
    let world = World::with_database();
    world.sql("CREATE TABLE t AS SELECT 1 AS a");
    dump(&world, "").ends(0);
    let open = tempfile::tempdir().expect("a folder");
    std::fs::set_permissions(open.path(), std::os::unix::fs::PermissionsExt::from_mode(0o1777)).expect("a mode");
    let victim = world.path("victim");
    std::fs::create_dir_all(victim.join("data")).expect("a folder");
    std::os::unix::fs::symlink(&victim, open.path().join("runplan-cluster-link")).expect("a link");
    let other = open.path().join("runplan-cluster-other");
    std::fs::create_dir_all(other.join("data")).expect("a folder");
    // Another's, or one that others may change.
    let given = std::os::unix::fs::chown(&other, Some(65_533), None);
    if given.is_err() {
        std::fs::set_permissions(&other, std::os::unix::fs::PermissionsExt::from_mode(0o777)).expect("a mode");
    }
    let step = "  - { id: check, uses: restore_check, timeout: 1h, with: { archive: out/a.zip, password: '${{ secrets.zip }}' } }\n";
    world.write("plan.yaml", format!("version: 1\nname: night\nlogs: {{ dir: logs }}\n{}", plan(step)));
    let output = world.runplan().arg("plan.yaml").env("TMPDIR", open.path()).output();
    Run::from(output.expect("the binary runs")).ends(0).never_says("left behind");
    assert!(victim.join("data").is_dir() && other.join("data").is_dir());
}
