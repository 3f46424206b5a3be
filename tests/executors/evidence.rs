//! Evidence: what a dump holds comes from its own bytes, is read again by `verify`, and compared after a restore.

use std::process::Command;

use crate::proof::{alone, forge};
use crate::world::{PASSWORD, Run, World, psql, script};

const FORMATS: [&str; 3] = ["custom", "plain", "directory"];

fn plan(with: &str) -> String {
    format!(
        "secrets: {{ zip: {{ env: TEST_ZIP }} }}\nsteps:\n  - {{ id: dump, uses: pg_dump, timeout: 1h, with: {{ {with}, archive: {{ path: out/a.zip, password: '${{{{ secrets.zip }}}}' }} }} }}\n"
    )
}

fn dump(world: &World, with: &str) -> Run {
    let _ = std::fs::remove_dir_all(world.path("out"));
    world.run(&plan(with), &[])
}

fn runplan(world: &World, arguments: &[&str]) -> Run {
    let mut command = world.runplan();
    command.args(arguments).env("RUNPLAN_ZIP_PASSWORD", PASSWORD).output().expect("the binary runs").into()
}

fn verify(world: &World) -> Run {
    runplan(world, &["verify", "out/a.zip"])
}

/// A database to restore into, that goes with the test.
struct Restored(String);

impl Restored {
    fn of(world: &World) -> Self {
        Self(format!("{}_restored", world.db()))
    }

    fn drop_now(&self) {
        psql("postgres", &format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.0));
    }
}

impl Drop for Restored {
    fn drop(&mut self) {
        self.drop_now();
    }
}

/// Restores into a new database and compares.
fn restore(world: &World, more: &[&str]) -> Run {
    let restored = Restored::of(world);
    let arguments = [&["restore", "out/a.zip", "--into", &restored.0, "--create"], more].concat();
    runplan(world, &arguments)
}

/// Dumps in every format, reads each dump again and restores it: no difference anywhere.
fn same_in_every_format(world: &World, with: &str) {
    for format in FORMATS {
        let run = dump(world, &format!("format: {format}{with}")).ends(0);
        run.never_says("not measured").never_says("cannot be read");
        verify(world).ends(0).says("is good: ").never_says("not measured");
        restore(world, &[]).ends(0).says("as they were dumped");
    }
}

fn manifest(world: &World) -> serde_json::Value {
    let mut command = Command::new("7z");
    command.args(["e", "-so", "-bd", &format!("-p{PASSWORD}")]).arg(world.path("out/a.zip")).arg("manifest.json");
    let output = command.output().expect("7z: run `tests/sandbox cargo test`");
    serde_json::from_slice(&output.stdout).expect("JSON")
}

#[test]
fn tables_of_every_shape_are_the_same_after_a_restore() {
    let _alone = alone();
    let world = World::with_database();
    world.sql(
        r#"CREATE TABLE par (a int); CREATE TABLE chi (b int) INHERITS (par); ALTER TABLE par ADD c int;
           INSERT INTO chi (a, b, c) VALUES (1, 2, 3); INSERT INTO par VALUES (4, 5);
           CREATE TABLE shadow (t int, u text); INSERT INTO shadow VALUES (NULL, 'x'), (NULL, 'y');
           CREATE TABLE no_columns (); INSERT INTO no_columns DEFAULT VALUES; INSERT INTO no_columns DEFAULT VALUES;
           CREATE TABLE made (a int GENERATED ALWAYS AS (1) STORED); INSERT INTO made DEFAULT VALUES;
           CREATE TABLE dropped (a int, b int, c int); ALTER TABLE dropped DROP b; INSERT INTO dropped VALUES (1, 2);
           CREATE TABLE guarded (id int); ALTER TABLE guarded ENABLE ROW LEVEL SECURITY; INSERT INTO guarded VALUES (1);
           CREATE TABLE odd ("new
line" text, "tab	""q""" text); INSERT INTO odd VALUES ('a', E'b\n\\.\n\tc'), (NULL, ''), ('\N', '\.');
           CREATE TABLE regs (r regclass, p regproc); INSERT INTO regs VALUES ('par', 'now'), ('pg_class', 'pg_backend_pid');
           CREATE TABLE wide AS SELECT g, repeat(md5(g::text), 4000) AS x FROM generate_series(1, 5) g;
           CREATE SEQUENCE turning MAXVALUE 3 CYCLE; SELECT nextval('turning') FROM generate_series(1, 4);
           CREATE SEQUENCE down INCREMENT -1; SELECT nextval('down'), nextval('down');
           CREATE SEQUENCE unused START 9; CREATE SEQUENCE "odd ""s.q' x"; SELECT nextval('"odd ""s.q'' x"');
           SELECT setval('unused', 12, false);
           SELECT lo_from_bytea(0, decode(repeat('00ff', 700000), 'hex')), lo_from_bytea(0, ''), lo_create(0);"#,
    );
    same_in_every_format(&world, "");
    let evidence = manifest(&world)["evidence"].clone();
    assert_eq!(
        (evidence["tables"].as_array().map(Vec::len), evidence["large_objects"]["count"].as_u64()),
        (Some(10), Some(3))
    );
    assert_eq!(evidence["large_objects"]["bytes"], 1_400_000);
}

#[test]
fn a_cast_of_a_stranger_is_not_called() {
    let _alone = alone();
    let world = World::with_database();
    world.sql(
        "CREATE TABLE innocent (id int); INSERT INTO innocent VALUES (1), (2); \
         CREATE FUNCTION ran(innocent) RETURNS text LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'the cast was called'; END $$; \
         CREATE CAST (innocent AS text) WITH FUNCTION ran(innocent)",
    );
    same_in_every_format(&world, ", evidence: checksums");
}

#[test]
fn settings_of_role_and_database_do_not_change_what_is_compared() {
    let _alone = alone();
    let world = World::with_database();
    world.sql(&format!(
        "CREATE TABLE t (z timestamptz, i interval, f float8, b bytea, m money, d date, r regclass); \
         INSERT INTO t VALUES ('2026-01-02 03:04:05+00', '1 mon 2 days', 0.1, '\\x00ff5c', 1234.5, '2026-12-11', 't'); \
         ALTER DATABASE {0} SET TimeZone = 'Asia/Tokyo'; ALTER DATABASE {0} SET DateStyle = 'SQL, DMY'; \
         ALTER DATABASE {0} SET IntervalStyle = 'iso_8601'; ALTER DATABASE {0} SET bytea_output = 'escape'; \
         ALTER DATABASE {0} SET extra_float_digits = 0; ALTER DATABASE {0} SET quote_all_identifiers = on; \
         ALTER DATABASE {0} SET statement_timeout = '1min'",
        world.db()
    ));
    same_in_every_format(&world, "");
}

#[test]
fn a_database_in_another_encoding_is_compared_as_it_was_dumped() {
    let _alone = alone();
    let mut world = World::with_database();
    let name = format!("{}_latin", world.db());
    psql("postgres", &format!("CREATE DATABASE {name} ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0"));
    psql("postgres", &format!("DROP DATABASE {}", world.db()));
    world.database = Some(name);
    // Escapes, since `psql` reads what it is given in the encoding of its surroundings.
    world.sql(
        r#"CREATE SCHEMA U&"\00E9"; CREATE TABLE U&"\00E9".U&"t\00E2ble" (U&"c\00F6lumn" text); CREATE SEQUENCE U&"\00E9".U&"s\00E9";
           INSERT INTO U&"\00E9".U&"t\00E2ble" VALUES (U&'\00F1'), ('plain')"#,
    );
    same_in_every_format(&world, "");
    let evidence = manifest(&world)["evidence"].clone();
    assert_eq!(
        (&evidence["session"]["client_encoding"], &evidence["tables"][0]["name"]),
        (&"LATIN1".into(), &"t\\xe2ble".into())
    );
}

/// The lines of the server's log with a statement on this table, as the server got it.
fn statements(table: &str) -> Vec<String> {
    let log = psql(
        "postgres",
        "SELECT pg_catalog.pg_read_file(pg_catalog.current_setting('data_directory') || '/../server.log')",
    );
    let lines = log.lines().filter(|l| l.contains(table) && (l.contains("statement: ") || l.contains("execute ")));
    lines.map(str::to_owned).collect()
}

#[test]
fn no_statement_of_ours_touches_a_table_of_the_source() {
    let _alone = alone();
    let world = World::with_database();
    let table = format!("canary_{}", world.db());
    world.sql(&format!(
        "CREATE TABLE {table} AS SELECT generate_series(1, 10) AS id; CREATE SEQUENCE {table}_seq; \
         SELECT lo_from_bytea(0, 'x'); ALTER DATABASE {} SET log_statement = 'all'",
        world.db()
    ));
    for format in FORMATS {
        let before = statements(&table).len();
        dump(&world, &format!("format: {format}, evidence: checksums")).ends(0);
        let new = statements(&table).split_off(before);
        // `pg_dump` locks it, copies it and reads the sequence; nobody else says its name.
        let copies = new.iter().filter(|l| l.contains(&format!("COPY public.{table} (id) TO stdout"))).count();
        let others = new.iter().filter(|l| {
            let own = ["COPY public.", "LOCK TABLE ", "SELECT last_value, is_called FROM public."];
            !own.iter().any(|o| l.contains(o))
        });
        let others: Vec<_> = others.collect();
        assert!(copies == 1 && others.is_empty(), "{format}: {copies} {others:?}");
    }
}

#[test]
fn rows_that_an_extension_brings_along_are_no_difference() {
    let _alone = alone();
    let world = World::with_database();
    // Like spatial_ref_sys of PostGIS: of a configuration table only the rows that the user added are dumped.
    let extension = "CREATE EXTENSION citext; CREATE TABLE config (id int PRIMARY KEY, own boolean); ALTER EXTENSION citext ADD TABLE config; \
                     INSERT INTO config SELECT g, false FROM generate_series(1, 50) g; \
                     UPDATE pg_catalog.pg_extension SET extconfig = ARRAY['config'::regclass::oid], extcondition = ARRAY['WHERE own'] WHERE extname = 'citext';";
    world.sql(extension);
    world.sql("INSERT INTO config VALUES (100, true), (101, true); CREATE TABLE other (c citext); INSERT INTO other VALUES ('A')");
    for format in FORMATS {
        dump(&world, &format!("format: {format}")).ends(0).never_says("not measured");
        verify(&world).ends(0).says("is good: 3 rows of 2 tables");
        let restored = Restored::of(&world);
        psql("postgres", &format!("CREATE DATABASE {}", restored.0));
        psql(&restored.0, extension);
        runplan(&world, &["restore", "out/a.zip", "--into", &restored.0, "--non-empty"])
            .ends(0)
            .says("as they were dumped");
        psql(&restored.0, "DROP TABLE other; DELETE FROM config WHERE own");
        psql(&restored.0, "INSERT INTO config VALUES (7777, true)");
        runplan(&world, &["restore", "out/a.zip", "--into", &restored.0, "--non-empty"])
            .ends(1)
            .says("`public.config` has 3 rows, and 2 were dumped");
    }
}

#[test]
fn rows_that_pg_dump_leaves_to_an_extension_are_warned_of() {
    let world = World::with_database();
    world.sql(
        "CREATE EXTENSION citext; CREATE TABLE config (id int); CREATE TABLE empty (id serial); CREATE TABLE orders (id int); \
         INSERT INTO config VALUES (1); INSERT INTO orders VALUES (1); ALTER EXTENSION citext ADD TABLE config; \
         ALTER EXTENSION citext ADD TABLE empty; ALTER EXTENSION citext ADD TABLE orders; \
         UPDATE pg_catalog.pg_extension SET extconfig = ARRAY['config'::regclass::oid], extcondition = ARRAY[''] WHERE extname = 'citext'; \
         CREATE TABLE other (id int); ANALYZE",
    );
    let says =
        "are not its configuration; a restore has those that CREATE EXTENSION makes: `public.orders` (of `citext`)";
    let run = dump(&world, "format: custom").ends(0).says(says).says("ALTER EXTENSION … DROP TABLE");
    run.never_says("public.empty").never_says("public.config`");
    runplan(&world, &["doctor", "plan.yaml"]).says(says);
    // What is left out knowingly, or is not asked for, is nothing to warn of.
    for with in ["format: custom, exclude_tables: [orders]", "format: custom, tables: [other]"] {
        dump(&world, with).ends(0).never_says("CREATE EXTENSION makes");
    }
    world.sql("ALTER EXTENSION citext DROP TABLE orders");
    dump(&world, "format: custom").ends(0).never_says("CREATE EXTENSION makes");
}

#[test]
fn what_cannot_be_measured_is_named_and_never_counted_as_nothing() {
    let _alone = alone();
    let world = World::with_database();
    world.sql("CREATE TABLE t AS SELECT generate_series(1, 10) AS id; CREATE SEQUENCE s");
    for format in FORMATS {
        dump(&world, &format!("format: {format}, extra_args: [--inserts]"))
            .ends(0)
            .says("`public.t` (its rows are INSERT statements)");
        verify(&world)
            .ends(0)
            .says("not measured: `public.t` (its rows are INSERT statements)")
            .never_says("0 rows of 0 tables");
        restore(&world, &[]).ends(0).says("not compared, because it was not measured in the dump: `public.t`");
    }
    dump(&world, "extra_args: [-Z6]").ends(0).says("`public.t` (pg_dump compressed the dump itself)");
    verify(&world).ends(0).says("not measured: `public.t`").never_says("0 rows of 0 tables");
}

#[test]
fn a_partitioned_table_that_is_dumped_as_one_is_compared_as_one() {
    let _alone = alone();
    let world = World::with_database();
    world.sql(
        "CREATE TABLE log (id int, k text) PARTITION BY LIST (k); CREATE TABLE log_a PARTITION OF log FOR VALUES IN ('a'); \
         CREATE TABLE log_b PARTITION OF log FOR VALUES IN ('b'); INSERT INTO log SELECT g, CASE g % 2 WHEN 0 THEN 'a' ELSE 'b' END FROM generate_series(1, 9) g",
    );
    same_in_every_format(&world, ", extra_args: [--load-via-partition-root]");
    assert_eq!(manifest(&world)["evidence"]["tables"][0]["rows"], 9);
    // Columns in another order in one of the partitions: rows are counted, and the checksum is named.
    world.sql("CREATE TABLE log_c (k text, id int); ALTER TABLE log ATTACH PARTITION log_c FOR VALUES IN ('c'); INSERT INTO log VALUES (1, 'c')");
    for format in FORMATS {
        dump(&world, &format!("format: {format}, extra_args: [--load-via-partition-root]"))
            .ends(0)
            .says("columns in different orders");
        verify(&world).ends(0).says("is good: 10 rows of 1 tables");
        restore(&world, &[]).ends(0).says("as they were dumped");
    }
}

#[test]
fn a_dump_without_tables_makes_no_archive_unless_that_is_allowed() {
    let _alone = alone();
    let world = World::with_database();
    world.sql("CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'; CREATE VIEW v AS SELECT 1 AS a");
    for format in FORMATS {
        dump(&world, &format!("format: {format}"))
            .ends(1)
            .says("has no tables, so no archive is made")
            .says("allow_empty: true");
        assert_eq!(world.names("out"), Vec::<String>::new());
        dump(&world, &format!("format: {format}, allow_empty: true")).ends(0);
        verify(&world).ends(0).never_says("not measured");
    }
    for table in [
        "CREATE TABLE t (id int)",
        "CREATE TABLE p (id int) PARTITION BY LIST (id)",
        "CREATE UNLOGGED TABLE u (id int)",
    ] {
        world.sql(table);
        for format in FORMATS {
            dump(&world, &format!("format: {format}")).ends(0);
        }
        let name = table.split_whitespace().skip_while(|w| *w != "TABLE").nth(1).expect("a name");
        world.sql(&format!("DROP TABLE {name}"));
    }
}

#[test]
fn a_cross_check_sees_what_the_dump_lost_and_harms_no_dump() {
    let _alone = alone();
    let world = World::with_database();
    world.sql(
        "CREATE TABLE t AS SELECT g AS id, 'row ' || g AS x FROM generate_series(1, 300) g; CREATE TABLE u (id int)",
    );
    for format in FORMATS {
        let run = dump(&world, &format!("format: {format}, cross_check: true")).ends(0);
        run.says("`cross_check` compared the rows of 2 tables").never_says("did not count");
    }
    // A `pg_dump` that loses a row.
    let real = "/usr/lib/postgresql/*/bin/pg_dump";
    script(
        &world.path("lossy"),
        &format!("case \"$1\" in --version) exec {real} --version;; esac\n{real} \"$@\" | grep -v 'row 7$'"),
    );
    let lossy = format!("format: plain, program: {}", world.path("lossy").display());
    dump(&world, &lossy).ends(0);
    let run = dump(&world, &format!("{lossy}, cross_check: true")).ends(1);
    run.says("`public.t` has 300 rows, and 299 were dumped");
    assert_eq!(world.names("out"), Vec::<String>::new());
    // A table that is emptied after the dump and before the counting: named, and no difference.
    let database = world.db();
    script(
        &world.path("late"),
        &format!(
            "case \"$1\" in --version) exec {real} --version;; esac\n{real} \"$@\" || exit 1\npsql -qX -d {database} -c 'TRUNCATE t' >&2"
        ),
    );
    let late = format!("program: {}, cross_check: true", world.path("late").display());
    dump(&world, &late).ends(0).says("did not count `public.t` (not an ordinary table, or replaced during the dump)");
    verify(&world).ends(0).says("is good: 300 rows of 2 tables");
}

#[test]
fn a_table_that_is_emptied_after_it_was_dumped_is_no_difference() {
    let _alone = alone();
    let world = World::with_database();
    world.sql(
        "CREATE TABLE t AS SELECT generate_series(1, 300) AS id; CREATE TABLE u (id int); INSERT INTO u VALUES (1)",
    );
    let database = world.db();
    script(
        &world.path("late"),
        &format!(
            "case \"$1\" in --version) exec /usr/lib/postgresql/*/bin/pg_dump --version;; esac\n/usr/lib/postgresql/*/bin/pg_dump \"$@\" || exit 1\npsql -qX -d {database} -c 'TRUNCATE t; ALTER TABLE u ADD c int' >&2"
        ),
    );
    for format in FORMATS {
        world.sql("TRUNCATE t; INSERT INTO t SELECT generate_series(1, 300); ALTER TABLE u DROP COLUMN IF EXISTS c");
        dump(&world, &format!("format: {format}, program: {}", world.path("late").display()))
            .ends(0)
            .never_says("not measured");
        verify(&world).ends(0).says("is good: 301 rows of 2 tables");
        restore(&world, &[]).ends(0).says("2 tables with 301 rows are there, as they were dumped");
    }
}

#[test]
fn what_changes_in_the_restored_database_is_named() {
    let _alone = alone();
    let world = World::with_database();
    world.sql(
        "CREATE TABLE a AS SELECT g AS id, md5(g::text) AS m FROM generate_series(1, 50) g; CREATE TABLE b (LIKE a); \
         INSERT INTO b SELECT g, md5(g::text) FROM generate_series(51, 60) g; CREATE SEQUENCE s; SELECT nextval('s'); \
         SELECT lo_from_bytea(4711, 'large'); CREATE INDEX last ON a (id)",
    );
    for (damage, said) in [
        ("DELETE FROM a WHERE id = 7", "`public.a` has 49 rows, and 50 were dumped"),
        ("UPDATE a SET m = overlay(m placing 'X' from 3) WHERE id = 8", "`public.a` has other content"),
        ("UPDATE a SET id = 51 WHERE id = 1; UPDATE b SET id = 1 WHERE id = 51", "`public.b` has other content"),
        ("TRUNCATE b", "`public.b` has 0 rows, and 10 were dumped"),
        ("INSERT INTO a SELECT * FROM a WHERE id = 3; DELETE FROM a WHERE id = 4", "`public.a` has other content"),
        ("ALTER TABLE b DROP m", "`public.b` cannot be read back"),
        ("PERFORM nextval('s')", "the sequence `public.s` has the value 2, and 1 was dumped"),
        ("PERFORM setval('s', 1, false)", "`public.s` differs in whether its value 1 was used"),
        ("PERFORM lo_put(4711, 0, 'L')", "the large object 4711 has other content there"),
        ("PERFORM lo_unlink(4711)", "there are 0 large objects there, and 1 were dumped"),
        ("DROP TABLE b", "the table `public.b` is missing"),
        ("DROP TABLE b; CREATE VIEW b AS SELECT 1 AS id, pg_sleep(1000)::text AS m", "`public.b` is not a table there"),
    ] {
        let format = FORMATS[damage.len() % 3];
        dump(&world, &format!("format: {format}")).ends(0);
        let restored = Restored::of(&world);
        psql("postgres", &format!("CREATE DATABASE {}", restored.0));
        let harm = format!(
            "CREATE FUNCTION harm() RETURNS event_trigger LANGUAGE plpgsql SET search_path = public AS $$ BEGIN {damage}; END $$; \
             CREATE EVENT TRIGGER harm ON ddl_command_end WHEN TAG IN ('CREATE INDEX') EXECUTE FUNCTION harm()"
        );
        psql(&restored.0, &harm);
        runplan(&world, &["restore", "out/a.zip", "--into", &restored.0, "--non-empty"]).ends(1).says(said);
    }
}

#[test]
fn archives_of_the_older_version_are_read_and_restored() {
    let _alone = alone();
    let world = World::with_database();
    world.sql("CREATE TABLE t (id int, back text); INSERT INTO t VALUES (1, 'x'), (2, 'y'); CREATE SEQUENCE s; SELECT nextval('s')");
    let old = "import sys\ne = manifest['evidence']\nfor t in e['tables']: del t['columns']; t['checksum'] = '-123'\n\
               for k in ('hash', 'session', 'not_measured'): e.pop(k, None)\ne['large_objects'] = dict(count=0)\nmanifest['schema_version'] = 1\n";
    for format in FORMATS {
        dump(&world, &format!("format: {format}")).ends(0);
        // Rows of an extension were counted too, and are not in the dump.
        let extension = "e['tables'].append(dict(schema='public', name='spatial_ref_sys', rows=8500))\n";
        forge(&world, &format!("{old}{}", if format == "custom" { extension } else { "" }));
        verify(&world).ends(0).says("is good: 2 rows of 1 tables");
        if format == "custom" {
            continue;
        }
        restore(&world, &[]).ends(0).says("of an older version of runplan").says("as they were dumped");
        forge(&world, "manifest['evidence']['tables'][0]['rows'] = 3");
        verify(&world).ends(1).says("`public.t` has 2 rows in the dump, and the manifest says 3");
        restore(&world, &[]).ends(1).says("`public.t` has 2 rows, and 3 were dumped");
    }
}

#[test]
fn an_archive_that_claims_more_than_memory_is_refused() {
    let _alone = alone();
    let world = World::with_database();
    world.sql("CREATE TABLE t (id int)");
    let limited = |arguments: &str| -> Run {
        let mut command = Command::new("sh");
        let binary = env!("CARGO_BIN_EXE_runplan");
        command.args(["-c", &format!("ulimit -v 2500000; exec {binary} {arguments}")]).current_dir(world.path(""));
        command.env("XDG_STATE_HOME", world.path("state")).env("RUNPLAN_ZIP_PASSWORD", PASSWORD).env("NO_COLOR", "1");
        command.output().expect("sh").into()
    };
    for (format, change, said) in [
        // Half a gigabyte of brackets, which is little in a zip.
        (
            "custom",
            "class M(dict): pass\nmanifest = M(manifest)\njson.dumps = lambda m: '{\"schema_version\": 2, \"plan\": ' + '[' * (500 << 20)",
            "more than 64 MiB",
        ),
        (
            "directory",
            "d = head(3) + entry(b'', t(b'1.dat')) * 3500000; files['database/toc.dat'] = d; manifest['dump_bytes'] = 1",
            "takes more than 512 MiB of memory",
        ),
        (
            "custom",
            "files['database.dump'] = head(1) + i(1) * 2 + t(b'') * 4 + i(3) + i(2147483647) + bytes(300 << 20)",
            "has an entry of more than 256 MiB",
        ),
    ] {
        dump(&world, &format!("format: {format}")).ends(0);
        let code = "i = lambda v: bytes([v < 0]) + abs(v).to_bytes(4, 'little')\nt = lambda s: i(len(s)) + s\n\
                    head = lambda f: b'PGDMP' + bytes([1, 14, 0, 4, 8, f]) + i(0) * 8 + t(b'') * 3 + i(2147483647)\n\
                    entry = lambda d, end: i(1) * 2 + t(b'') * 2 + t(b't') + t(b'TABLE DATA') + i(3) + t(d) + t(b'') * 5 + t(b'') * 2 + i(-1) + end\n";
        forge(&world, &format!("{code}{change}\n"));
        limited("verify out/a.zip").ends(1).says(said);
    }
}

/// `psql` takes the name of a function for the start of a body, and does not see the tables behind it. Such a dump is not
/// called good, and the other formats are.
#[test]
fn a_function_named_begin_hides_no_table_from_the_evidence() {
    let world = World::with_database();
    world.sql(
        "CREATE FUNCTION begin() RETURNS int LANGUAGE sql AS 'select 1'; CREATE TABLE a AS SELECT 1 AS n; \
         CREATE TABLE zz AS SELECT 'end end end end end end ; '::text AS v; CREATE TABLE zzz AS SELECT 1 AS n",
    );
    let step = |format: &str| {
        format!(
            "secrets: {{ zip: {{ env: TEST_ZIP }} }}\nsteps:\n  - {{ id: dump, uses: pg_dump, timeout: 1h, with: \
             {{ format: {format}, archive: {{ path: out/a.zip, password: '${{{{ secrets.zip }}}}' }} }} }}\n"
        )
    };
    let refused = world.run(&step("plain"), &[]).ends(1);
    refused.says("psql could not restore this dump").says("named `begin`").says("dump with `format: custom`");
    assert!(!world.path("out/a.zip").exists());
    world.run(&step("custom"), &[]).ends(0);
    // The name of a table or an argument is not that of a body.
    world.sql("DROP FUNCTION begin(); CREATE FUNCTION f(begin int) RETURNS int LANGUAGE sql AS 'select 1'; CREATE TABLE begin (begin int)");
    std::fs::remove_dir_all(world.path("out")).expect("the archive is removed");
    world.run(&step("plain"), &[]).ends(0);
}

/// What `psql` takes for a meta-command, `SqlDump` must see too. Texts are thrown together at random from what matters to
/// either, and `psql` reads them for real; `\echo` shows where it saw a meta-command.
#[test]
fn meta_commands_are_seen_where_psql_sees_them() {
    use runplan::dump::sql::{Piece, SqlDump};
    const PARTS: [&str; 30] = [
        "'",
        "''",
        "\"",
        "$$",
        "$a$",
        "$b$",
        "E'",
        "b'",
        "U&'",
        "\\'",
        "--",
        "-",
        "/*",
        "*/",
        "/",
        "*",
        "(",
        ")",
        ";",
        "begin ",
        "CREATE FUNCTION ",
        "end ",
        "a",
        "1",
        "$1 ",
        "\n",
        "\r",
        " ",
        "\n\\echo MARK\n",
        " \\echo MARK\n",
    ];
    let world = World::with_database();
    let mut seed = 88_172_645_463_325_252_u64;
    let mut below = |limit: usize| {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        usize::try_from(seed % limit as u64).expect("small")
    };
    let (mut compared, mut seen) = (0, 0);
    for _ in 0..400 {
        let count = below(25) + 5;
        let text: String = (0..count).map(|_| PARTS[below(PARTS.len())]).collect::<String>() + "\n\\echo MARK\n";
        let file = world.write("soup.sql", &text);
        let output = Command::new("psql").args(["-XAtq", "-d", world.db(), "-f"]).arg(file).output().expect("psql");
        let echoed = String::from_utf8_lossy(&output.stdout).matches("MARK").count();
        let (mut metas, mut doubts) = (0, 0);
        SqlDump::new().take(text.as_bytes(), &mut |piece| match piece {
            Piece::Meta { text, .. } if text.starts_with(b"\\echo MARK") => metas += 1,
            // `\'` and the like, of which `psql` says that it does not know them, or that it takes with its arguments.
            Piece::Meta { .. } | Piece::Doubt { .. } | Piece::Quoting { .. } => doubts += 1,
            _ => {}
        });
        if doubts == 0 {
            assert_eq!(metas, echoed, "{text:?}");
            (compared, seen) = (compared + 1, seen + echoed);
        }
    }
    assert!(compared > 150 && seen > 100, "{compared} {seen}");
}
