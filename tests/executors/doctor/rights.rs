//! What the user of a dump may read, as `runplan doctor` sees it and as `pg_dump` does.

use std::process::Command;

use serde_json::Value;

use super::Ward;
use crate::world::Run;

#[test]
fn what_is_not_dumped_needs_no_right() {
    let mut ward = Ward::new();
    ward.world.sql(&format!("GRANT SELECT ON t TO {}", ward.weak));
    let rights = |ward: &Ward| {
        let json = Run::from(ward.weakly(&["--format", "json"]).output().expect("runs")).json();
        let all: Vec<Value> = json["needs"].as_array().expect("needs").clone();
        let dump = all.into_iter().find(|n| n["of"] == "dump").expect("the dump");
        let checks = dump["checks"].as_array().expect("checks").clone();
        let right = checks.into_iter().filter(|c| c["area"] == "right");
        right
            .map(|c| format!("{} {}", c["verdict"].as_str().expect("a word"), c["text"].as_str().expect("a text")))
            .collect::<Vec<_>>()
    };
    assert_eq!(rights(&ward).len(), 2, "{:?}", rights(&ward));
    let archive = "      archive: { path: 'backups/app-";
    ward.edit(archive, &format!("      tables: [t]\n{archive}"));
    assert!(rights(&ward)[0].starts_with("ok"), "{:?}", rights(&ward));
    ward.edit("tables: [t]\n", "exclude_tables: ['closed*', rows_of]\n");
    assert!(rights(&ward)[0].starts_with("ok"), "{:?}", rights(&ward));
    // A table without its rows is locked all the same, but row-level security hides nothing of it.
    ward.edit("exclude_tables: ['closed*', rows_of]\n", "exclude_table_data: ['closed*', rows_of]\n");
    let seen = rights(&ward);
    assert!(seen.len() == 1 && seen[0].starts_with("problem") && seen[0].contains("`public.closed`"), "{seen:?}");
    // pg_dump itself is of the same mind.
    let weakly = |arguments: &[&str]| {
        let mut command = Command::new("pg_dump");
        command.env("PGUSER", &ward.weak).env("PGPASSWORD", "weak-password").env("PGDATABASE", ward.world.db());
        command.args(arguments).output().expect("pg_dump").status.success()
    };
    assert!(
        weakly(&["-t", "t"])
            && weakly(&["-T", "closed*", "-T", "rows_of"])
            && weakly(&["-T", "closed*", "--exclude-table-data=rows_of"])
    );
    assert!(!weakly(&[]) && !weakly(&["-T", "closed*"]) && !weakly(&["--exclude-table-data=closed*", "-T", "rows_of"]));
}

#[test]
fn words_for_pg_dump_make_light_of_a_right_only_where_they_may_leave_out_what_is_closed() {
    let mut ward = Ward::new();
    let weak = ward.weak.clone();
    ward.world.sql(&format!("GRANT SELECT ON t TO {weak}; DROP TABLE rows_of; SELECT lo_create(0)"));
    let archive = "      archive: { path: 'backups/app-";
    ward.edit(archive, &format!("      extra_args: []\n{archive}"));
    let mut before = "extra_args: []".to_owned();
    for (words, spared) in [
        (&["--no-sync"][..], false),
        (&["-Z6"], false),
        (&["--quote-all-identifiers", "-E", "UTF8"], false),
        (&["--data-only"], false),
        (&["--schema-only"], false),
        (&["-Ot", "t"], true),
        (&["--exclude-table=closed*", "--no-blobs"], true),
    ] {
        let after = format!("extra_args: {}", serde_json::to_string(words).expect("JSON"));
        ward.edit(&before, &after);
        before = after;
        let run = Run::from(ward.weakly(&[]).output().expect("runs"));
        let word = if spared { "warning" } else { "problem" };
        run.says(&format!("{word}  `{weak}` may not read `public.closed`"));
        // Where it is no more than a warning pg_dump succeeds, else it fails.
        let mut command = Command::new("pg_dump");
        command.env("PGUSER", &weak).env("PGPASSWORD", "weak-password").env("PGDATABASE", ward.world.db());
        let output = command.arg("--format=custom").args(words).output().expect("pg_dump");
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.success(), spared, "{words:?}: {said}");
    }
}

#[test]
fn a_large_object_that_may_not_be_read_is_seen_as_pg_dump_sees_it() {
    let mut ward = Ward::new();
    let (world, weak) = (&ward.world, ward.weak.clone());
    world.sql(&format!("GRANT SELECT ON ALL TABLES IN SCHEMA public TO {weak}; GRANT SELECT ON ALL SEQUENCES IN SCHEMA public TO {weak}; ALTER TABLE rows_of DISABLE ROW LEVEL SECURITY"));
    world.sql(&format!(
        "SELECT lo_create(n) FROM generate_series(71001, 71012) n; CREATE ROLE {weak}_readers; CREATE ROLE {weak}_distant"
    ));
    let agree = |ward: &Ward, says: Option<&str>, arguments: &[&str]| {
        let run = Run::from(ward.weakly(&[]).output().expect("runs"));
        match says {
            Some(text) => run.says(&format!("problem  `{weak}` may not read {text}, and pg_dump would fail at it")),
            None => {
                run.never_says("may not read").says("may read every table, sequence and large object that is dumped")
            }
        };
        let mut command = Command::new("pg_dump");
        command.env("PGUSER", &weak).env("PGPASSWORD", "weak-password").env("PGDATABASE", ward.world.db());
        let output = command.arg("--format=custom").args(arguments).output().expect("pg_dump");
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.success(), says.is_none(), "{said}");
        assert!(says.is_none() || said.contains("permission denied for large object"), "{said}");
    };
    let first = "the large objects 71001, 71002, 71003, 71004, 71005, 71006, 71007, 71008, 71009, 71010 and 2 more";
    agree(&ward, Some(first), &[]);
    // A right to each of them, however it comes: granted, to all, by a role, by being the owner.
    let grant = |objects: std::ops::RangeInclusive<u32>, to: &str| {
        objects.map(|o| format!("GRANT SELECT ON LARGE OBJECT {o} TO {to};")).collect::<String>()
    };
    let sql =
        [grant(71001..=71005, &weak), grant(71006..=71006, "PUBLIC"), grant(71007..=71011, &format!("{weak}_readers"))];
    ward.world
        .sql(&format!("{} GRANT {weak}_readers TO {weak}; ALTER LARGE OBJECT 71012 OWNER TO {weak}", sql.concat()));
    agree(&ward, None, &[]);
    // A right to write is none to read, an owner may have taken it from itself, and a role that is not inherited is none.
    ward.world.sql(&format!(
        "REVOKE SELECT ON LARGE OBJECT 71001 FROM {weak}; GRANT UPDATE ON LARGE OBJECT 71001 TO {weak}; \
         REVOKE SELECT ON LARGE OBJECT 71012 FROM {weak}"
    ));
    agree(&ward, Some("the large objects 71001, 71012"), &[]);
    ward.world.sql(&format!(
        "{} GRANT SELECT ON LARGE OBJECT 71012 TO {weak}; REVOKE SELECT ON LARGE OBJECT 71011 FROM {weak}_readers; \
         GRANT SELECT ON LARGE OBJECT 71011 TO {weak}_distant; ALTER ROLE {weak} NOINHERIT; \
         REVOKE {weak}_readers FROM {weak}; GRANT {weak}_readers, {weak}_distant TO {weak}",
        grant(71001..=71001, &weak)
    ));
    let by_role = "the large objects 71007, 71008, 71009, 71010, 71011";
    agree(&ward, Some(by_role), &[]);
    // Since PostgreSQL 16 it counts what the role was when it became a member.
    ward.world.sql(&format!(
        "ALTER ROLE {weak} INHERIT; REVOKE {weak}_readers, {weak}_distant FROM {weak}; \
         GRANT {weak}_readers, {weak}_distant TO {weak}"
    ));
    agree(&ward, None, &[]);
    // The role that reads all tables does not read these.
    ward.world.sql(&format!("REVOKE SELECT ON LARGE OBJECT 71006 FROM PUBLIC; GRANT pg_read_all_data TO {weak}"));
    agree(&ward, Some("the large object 71006"), &[]);
    // Where the server is told not to ask, or some tables are dumped alone.
    ward.world.sql(&format!("ALTER DATABASE {} SET lo_compat_privileges = on", ward.world.db()));
    agree(&ward, None, &[]);
    ward.world.sql(&format!("ALTER DATABASE {} RESET lo_compat_privileges", ward.world.db()));
    let archive = "      archive: { path: 'backups/app-";
    ward.edit(archive, &format!("      tables: [t]\n{archive}"));
    agree(&ward, None, &["--table=t"]);
    ward.edit("      tables: [t]\n", "      tables: [t]\n      extra_args: [--blobs]\n");
    let run = Run::from(ward.weakly(&[]).output().expect("runs"));
    run.says(&format!("problem  `{weak}` may not read the large object 71006"));
    ward.world.sql(&format!("DROP OWNED BY {weak}_readers, {weak}_distant; DROP ROLE {weak}_readers, {weak}_distant"));
}
