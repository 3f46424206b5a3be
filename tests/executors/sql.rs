//! Statements on a real server.

use crate::world::World;

fn one(with: &str) -> String {
    format!("steps:\n  - id: q\n    uses: sql\n    with: {{ {with} }}\n")
}

#[test]
fn a_query_gives_typed_rows_and_its_parameters_are_bound() {
    let world = World::with_database();
    let statement = "SELECT $1::int + 1 AS n, $2::text AS t, $3::text[] AS l, $4::jsonb AS j, 1.50::numeric AS d, true AS b, \
                     null::text AS z, timestamp ''2026-11-22 01:02:03.5'' AS at, ''00000000-0000-0000-0000-00000000000a''::uuid AS u, \
                     1.5::float8 AS f, array[1,2] AS a, ''\\x0aff''::bytea AS y, date ''2026-11-22'' AS day";
    let hostile = "x''; DROP TABLE t; --";
    let plan = format!(
        "{}  - {{ uses: command, with: {{ argv: [echo, 'n is ${{{{ steps.q.outputs.rows[0].n + 1 }}}}'] }} }}\n",
        one(&format!("statement: '{statement}', params: [41, '{hostile}', [a, 'b,\"}}c'], {{ k: [1] }}]"))
    );
    let run = world.run(&plan, &["--format", "json"]).ends(0).says("n is 43");
    let row = &run.json()["steps"][0]["outputs"]["rows"][0];
    let expected = serde_json::json!({
        "n": 42, "t": "x'; DROP TABLE t; --", "l": ["a", "b,\"}c"], "j": { "k": [1] }, "d": "1.50", "b": true, "z": null,
        "at": "2026-11-22T01:02:03.500", "u": "00000000-0000-0000-0000-00000000000a", "f": 1.5, "a": [1, 2], "y": "\\x0aff", "day": "2026-11-22",
    });
    assert_eq!(row, &expected);
}

#[test]
fn all_of_it_happens_or_nothing_and_max_rows_bounds_what_is_kept() {
    let world = World::with_database();
    world.sql("CREATE TABLE t (id int PRIMARY KEY)");
    world.write("two.sql", "INSERT INTO t VALUES (1), (2);\nINSERT INTO t VALUES (1);\n");
    world.run(&one("file: two.sql"), &[]).ends(1).says("duplicate key").says("23505");
    assert_eq!(world.sql("SELECT count(*) FROM t"), "0");
    world.write("two.sql", "INSERT INTO t VALUES (1), (2);\nINSERT INTO t VALUES (3);\n");
    let run = world.run(&one("file: two.sql"), &["--format", "json"]).ends(0);
    assert_eq!(run.json()["steps"][0]["outputs"]["affected"], 3);
    let run = world.run(&one("statement: UPDATE t SET id = id + 10 WHERE id > $1, params: [1]"), &["--format", "json"]);
    assert_eq!(run.json()["steps"][0]["outputs"]["affected"], 2);
    let run = world.run(&one("statement: SELECT id FROM t ORDER BY 1, max_rows: 2"), &["--format", "json"]).ends(0);
    let outputs = &run.json()["steps"][0]["outputs"];
    assert_eq!((outputs["rows"].as_array().map(Vec::len), outputs["affected"].as_u64()), (Some(2), Some(3)));
    run.says("only the first 2 rows are kept");
    world.run(&one("statement: VACUUM t"), &[]).ends(1).says("cannot run inside a transaction block");
    world.run(&one("statement: VACUUM t, transaction: false"), &[]).ends(0);
}

#[test]
fn mistakes_say_what_to_do() {
    let world = World::with_database();
    world.run(&one("statement: SELEC 1"), &[]).ends(1).says("syntax error").says("at character 1");
    world.run(&one("statement: SELECT $1::int, params: [1, 2]"), &[]).ends(1).says("1 parameter(s), and 2 were given");
    world.run(&one("statement: SELECT '1 day'::interval AS age"), &[]).ends(1).says("write `age::text`");
    world.run(&one("file: missing.sql"), &[]).ends(1).says("the file `missing.sql` cannot be read");
    world.run(&one("statement: SELECT 1, file: x.sql"), &[]).ends(78).says("exclude each other");
    world.run(&one("transaction: true"), &[]).ends(78).says("either `statement` or `file` is needed");
    let dry = world.run(&one("statement: CREATE TABLE made (id int)"), &["-n"]).ends(0);
    dry.says("runs: CREATE TABLE made (id int)");
    assert_eq!(world.sql("SELECT to_regclass('made') IS NULL"), "t");
}

#[test]
fn a_statement_that_is_told_to_stop_stops_on_the_server_too() {
    let world = World::with_database();
    let plan = "steps:\n  - { uses: sql, timeout: 1s, with: { statement: SELECT pg_sleep(60) } }\n";
    world.run(plan, &[]).ends(1).says("the step's timeout of 1s passed");
    let still = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep(60)%' AND state = 'active'";
    assert_eq!(world.sql(still), "0");
}

#[test]
fn what_a_server_gives_without_end_is_kept_to_a_bound_and_said() {
    let world = World::with_database();
    let wide = "statement: \"SELECT repeat('x', 1000000) AS t FROM generate_series(1, 30)\", max_rows: 100000";
    let run = world.run(&one(wide), &["--format", "json"]).ends(0);
    run.says("only the first 16 rows are kept: they are limited to 16.0 MiB; select fewer columns or rows");
    let wide = "statement: \"SELECT repeat('x', 20000000) AS t\"";
    world.run(&one(wide), &[]).ends(1).says("the first row alone is larger than 16.0 MiB");
    let loud = "statement: 'DO $$BEGIN FOR i IN 1..3000 LOOP RAISE WARNING ''loud %'', i; END LOOP; END$$'";
    let run = world.run(&one(loud), &[]).ends(0).says("loud 100").says("… and 2900 more warnings of the server");
    run.never_says("loud 101");
}

#[test]
fn the_role_keeps_its_search_path_and_formats() {
    let world = World::with_database();
    world.sql("CREATE SCHEMA own; CREATE TABLE own.t (id int); INSERT INTO own.t VALUES (7)");
    crate::world::psql("postgres", &format!("ALTER DATABASE {} SET search_path = own", world.db()));
    crate::world::psql("postgres", &format!("ALTER DATABASE {} SET DateStyle = 'SQL, DMY'", world.db()));
    let ask = "statement: 'SELECT id, date ''3/12/2026'' AS day FROM t', transaction: false";
    let run = world.run(&one(ask), &["--format", "json"]).ends(0);
    assert_eq!(run.json()["steps"][0]["outputs"]["rows"][0], serde_json::json!({ "id": 7, "day": "2026-12-03" }));
}
