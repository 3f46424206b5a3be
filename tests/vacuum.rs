//! The vacuum rule on a real server. Run by `tests/sandbox cargo test`.

use std::path::Path;
use std::process::{Command, Output};

fn psql(database: &str, sql: &str) -> String {
    let output = Command::new("psql").args(["-XAtq", "-v", "ON_ERROR_STOP=1", "-d", database, "-c", sql]).output();
    let output = output.expect("psql: run `tests/sandbox cargo test`");
    assert!(output.status.success(), "{}", said(&output));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

fn run(dir: &Path, database: &str, with: &str, arguments: &[&str]) -> Output {
    assert!(std::env::var_os("PGHOST").is_some(), "there is no PostgreSQL: run `tests/sandbox cargo test`");
    let plan = format!(
        "version: 1\nname: care\nlogs: {{ dir: logs }}\ndatabase: {{ dbname: {database} }}\nsteps:\n  - {{ id: vacuum, uses: vacuum, with: {{ {with} }} }}\n"
    );
    std::fs::write(dir.join("plan.yaml"), plan).expect("a plan");
    let mut command = Command::new(env!("CARGO_BIN_EXE_runplan"));
    command.current_dir(dir).arg("plan.yaml").args(arguments).env("XDG_STATE_HOME", dir.join("state"));
    command.output().expect("the binary runs")
}

#[test]
fn the_rule_holds_in_relfilenode_and_in_the_control_table() {
    let dir = tempfile::tempdir().expect("a folder");
    let database = format!("vacuum_{}", std::process::id());
    psql("postgres", &format!("CREATE DATABASE {database}"));
    psql(
        &database,
        "CREATE TABLE \"Weird\"\"Name\" (id int); INSERT INTO \"Weird\"\"Name\" SELECT generate_series(1, 100)",
    );
    let node = || psql(&database, "SELECT relfilenode FROM pg_class WHERE relname = 'Weird\"Name'");
    let kinds = || {
        psql(
            &database,
            "SELECT string_agg(tipo_vacuum, ',' ORDER BY id) FROM controle_vacuum WHERE tabela_nome = 'Weird\"Name'",
        )
    };
    let before = node();
    let output = run(dir.path(), &database, "", &["-n"]);
    assert!(said(&output).contains("VACUUM (FULL, ANALYZE), no record"), "{}", said(&output));
    assert_eq!(psql(&database, "SELECT to_regclass('controle_vacuum') IS NULL"), "t", "a dry run makes no table");

    let output = run(dir.path(), &database, "", &[]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    assert_ne!(node(), before);
    assert_eq!(kinds(), "FULL ANALYZE");
    let output = run(dir.path(), &database, "", &[]);
    assert!(said(&output).contains("last VACUUM was 0 days ago"), "{}", said(&output));
    assert_eq!(kinds(), "FULL ANALYZE");

    for (days, full, rewritten, kind) in [
        (0, true, false, None),
        (0, false, false, None),
        (4, true, false, None),
        (4, false, false, None),
        (5, true, false, Some("VACUUM")),
        (5, false, false, Some("VACUUM")),
        (10, true, false, Some("VACUUM")),
        (10, false, false, Some("VACUUM")),
        (11, true, true, Some("FULL ANALYZE")),
        (11, false, false, Some("ANALYZE")),
        (400, true, true, Some("FULL ANALYZE")),
        (400, false, false, Some("ANALYZE")),
    ] {
        let sql = format!(
            "TRUNCATE controle_vacuum; INSERT INTO controle_vacuum (tabela_nome, ultima_execucao, tipo_vacuum) VALUES ('Weird\"Name', localtimestamp - interval '{days} days', 'OLD')"
        );
        psql(&database, &sql);
        let before = node();
        let output = run(dir.path(), &database, &format!("full: {full}"), &[]);
        assert_eq!(output.status.code(), Some(0), "{days}: {}", said(&output));
        assert_eq!(node() != before, rewritten, "{days} {full}: {}", said(&output));
        assert_eq!(kinds(), kind.map_or("OLD".to_owned(), |k| format!("OLD,{k}")), "{days} {full}");
    }
    psql(&database, "TRUNCATE controle_vacuum");
    let before = node();
    let output = run(dir.path(), &database, "full: false", &[]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    assert_eq!((node() == before, kinds().as_str()), (true, "ANALYZE"), "no record, and `full` is false");
    let output = run(dir.path(), &database, "tables: [nothere]", &[]);
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    psql("postgres", &format!("DROP DATABASE {database} WITH (FORCE)"));
}
