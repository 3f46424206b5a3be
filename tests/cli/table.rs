//! `restore --table`: single tables of a dump.

use crate::call;
use crate::world::{World, psql};

const DUMP: &str = r#"params: { format: { type: string, default: custom } }
secrets: { zip: { env: TEST_ZIP } }
steps:
  - id: dump
    uses: pg_dump
    with: { format: "${{ params.format }}", archive: { path: "out/${{ params.format }}.zip", password: "${{ secrets.zip }}" } }
"#;

#[test]
fn single_tables_are_restored_and_compared() {
    let world = World::with_database();
    world.sql(
        "CREATE TABLE notes AS SELECT generate_series(1, 100) AS id; CREATE TABLE bills AS SELECT generate_series(1, 7) AS id;
         CREATE SEQUENCE counts; SELECT nextval('counts'); CREATE SCHEMA old; CREATE TABLE old.bills AS SELECT 1 AS id;
         CREATE TABLE old.things AS SELECT 1 AS id",
    );
    for format in ["custom", "directory", "plain"] {
        world.run(DUMP, &["-p", &format!("format={format}")]).ends(0);
    }
    let restore = |archive: &str, into: &str, more: &[&str]| {
        call(&world, &[&["restore", archive, "--into", into, "--password-env", "TEST_ZIP"], more].concat())
    };
    for format in ["custom", "directory"] {
        let into = format!("{}_{format}", world.db());
        psql("postgres", &format!("CREATE DATABASE {into}"));
        let archive = format!("out/{format}.zip");
        restore(&archive, &into, &["--table", "notes"]).ends(0).says("1 tables with 100 rows are there");
        assert_eq!(psql(&into, "SELECT string_agg(relname, ',') FROM pg_stat_user_tables"), "notes");
        // Beside what is there only when that is said, and never over it.
        restore(&archive, &into, &["--table", "public.bills"]).ends(1).says("is not empty");
        restore(&archive, &into, &["--table", "public.bills", "--non-empty"]).ends(0).says("1 tables with 7 rows");
        restore(&archive, &into, &["--table", "notes", "--non-empty"]).ends(1).says("already exists");
        assert_eq!(psql(&into, "SELECT count(*) FROM notes"), "100");
        restore(&archive, &into, &["--table", "bills", "--non-empty"])
            .ends(1)
            .says("`old.bills`")
            .says("name the schema");
        restore(&archive, &into, &["--table", "nots", "--non-empty"]).ends(1).says("no rows of a table `nots`");
        let both = ["--table", "public.bills", "--table", "old.things", "--non-empty"];
        restore(&archive, &into, &both).ends(1).says("would take `old.bills` too");
        psql("postgres", &format!("DROP DATABASE {into} WITH (FORCE)"));
    }
    let into = format!("{}_plain", world.db());
    let refused = restore("out/plain.zip", &into, &["--create", "--table", "notes"]);
    refused.ends(1).says("the dump is SQL, of which single tables cannot be restored");
    assert_eq!(psql("postgres", &format!("SELECT count(*) FROM pg_database WHERE datname = '{into}'")), "0");
}
