//! Our own statements name the system's objects in full, so that no search path has them find somebody else's.

use std::path::{Path, PathBuf};

/// Programs that functions of our own are named for.
const PROGRAMS: &[&str] = &["pg_dump", "pg_restore"];

fn sources(dir: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(dir).expect("the sources").flatten() {
        let path = entry.path();
        if path.is_dir() {
            sources(&path, files);
        } else if path.extension().is_some_and(|e| e == "rs") {
            files.push(path);
        }
    }
}

/// How calls of functions of the system begin whose names do not begin with `pg_`.
const CALLS: &[&str] =
    &["array_position(", "convert_from(", "count(*", "current_setting(", "lo_get(", "set_config(", "unnest("];

/// The relations and functions of the system that a line of code names without their schema.
fn unqualified(line: &str) -> Vec<String> {
    let line = line.trim_start();
    if line.starts_with("//") {
        return Vec::new();
    }
    let word = |text: &str| text.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect::<String>();
    let mut found = Vec::new();
    for lead in ["FROM ", "JOIN ", "LATERAL "] {
        for (at, _) in line.match_indices(lead) {
            let name = word(&line[at + lead.len()..]);
            if name.starts_with("pg_") && name != "pg_catalog" {
                found.push(name);
            }
        }
    }
    for (at, _) in line.match_indices("'::") {
        let rest = &line[at + 3..];
        let cast = word(rest.strip_prefix("pg_catalog.").unwrap_or(rest));
        let name = line[..at].rsplit('\'').next().unwrap_or_default();
        if cast.starts_with("reg") && name.starts_with("pg_") && !name.starts_with("pg_catalog.") {
            found.push(name.to_owned());
        }
    }
    for (at, _) in line.match_indices("pg_") {
        let name = word(&line[at..]);
        let before = line[..at].chars().next_back();
        let called = line[at + name.len()..].starts_with('(');
        // A function of Rust's own is declared or is called through its room.
        let of_sql = matches!(before, Some(' ' | '(' | ',' | '"')) && !line[..at].ends_with("fn ");
        if called && of_sql && !PROGRAMS.contains(&name.as_str()) {
            found.push(name);
        }
    }
    for call in CALLS {
        let preceded = |at: usize| matches!(line[..at].chars().next_back(), Some(' ' | '(' | ',' | '"'));
        let calls = line.match_indices(call).filter(|(at, _)| preceded(*at));
        found.extend(calls.map(|_| (*call).to_owned()));
    }
    found
}

#[test]
fn every_statement_names_the_systems_objects_in_full() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&root, &mut files);
    let mut found = Vec::new();
    let mut qualified = 0;
    for file in files {
        let name = file.strip_prefix(&root).expect("below src").to_string_lossy().replace('\\', "/");
        let text = std::fs::read_to_string(&file).expect("a source");
        // Tests ask what they made themselves.
        if name.contains("/tests/") || name.ends_with("/tests.rs") {
            continue;
        }
        qualified += text.matches("pg_catalog.pg_").count();
        for (number, line) in text.lines().enumerate() {
            found.extend(unqualified(line).into_iter().map(|what| format!("{name}:{}: `{what}`", number + 1)));
        }
    }
    assert!(found.is_empty(), "write `pg_catalog.` before\n{}", found.join("\n"));
    assert!(qualified > 50, "the statements are somewhere else: {qualified}");
}

#[test]
fn what_is_planted_is_seen() {
    for line in [
        r#"let sql = "SELECT 1 FROM pg_class c";"#,
        r#"               JOIN pg_namespace n ON n.oid = c.relnamespace \"#,
        r#""SELECT pg_database_size(current_database())""#,
        r#"WHERE d.classid = 'pg_class'::regclass"#,
        r#"WHERE d.classid = 'pg_class'::pg_catalog.regclass"#,
        r#"NOT (pg_has_role(c.relowner, 'USAGE'))"#,
        r#""SELECT count(*) FROM pg_catalog.pg_class""#,
        r#"FROM unnest($1::text[]) r"#,
    ] {
        assert!(!unqualified(line).is_empty(), "{line}");
    }
    for line in [
        r#""SELECT pg_catalog.pg_database_size(1) FROM pg_catalog.pg_class""#,
        "// FROM pg_class",
        "fn pg_dump(x: u8) {}",
        r#"d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND n.nspname !~ '^pg_'"#,
    ] {
        assert!(unqualified(line).is_empty(), "{line}");
    }
}
