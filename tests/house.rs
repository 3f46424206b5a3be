//! The house rules: which room may import which, and what must not be met where.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Each room, in layer order, with the rooms it may import.
const ROOMS: &[(&str, &[&str])] = &[
    ("diag", &[]),
    ("secret", &[]),
    ("value", &["secret"]),
    ("cancel", &[]),
    ("quantity", &[]),
    ("document", &["diag"]),
    ("template", &["secret", "value"]),
    ("step", &["secret", "value", "cancel"]),
    ("event", &["diag", "step"]),
    ("process", &["diag", "secret", "cancel", "step"]),
    ("files", &["cancel", "step"]),
    ("tls", &["step", "files"]),
    ("vault", &["diag", "secret", "cancel", "step", "process", "files"]),
    ("postgres", &["secret", "cancel", "step", "tls", "process", "files", "quantity"]),
    ("dump", &["step", "postgres"]),
    ("mail", &["diag", "secret", "cancel", "step", "tls", "files"]),
    ("web", &["diag", "secret", "cancel", "step", "tls"]),
    ("archive", &["secret", "cancel", "step", "files"]),
    ("proof", &["secret", "cancel", "quantity", "step", "process", "files", "postgres", "dump", "archive"]),
    (
        "steps",
        &[
            "diag", "proof", "secret", "value", "cancel", "quantity", "step", "process", "files", "vault", "postgres",
            "dump", "mail", "web", "archive",
        ],
    ),
    (
        "plan",
        &["diag", "secret", "value", "quantity", "document", "template", "step", "files", "vault", "postgres", "mail"],
    ),
    (
        "run",
        &[
            "diag", "secret", "value", "cancel", "quantity", "document", "template", "step", "event", "process",
            "files", "vault", "plan",
        ],
    ),
    ("journal", &["event", "step", "diag", "files", "mail", "secret"]),
    ("report", &["event", "step", "diag", "files", "mail", "secret"]),
];

/// Texts that may stand only in these files or folders below `src`.
const ONLY_IN: &[(&str, &[&str])] = &[
    ("Touch::begin", &["run/", "archive/tests.rs", "files/tests.rs", "proof/compare/tests/"]),
    ("Probe::begin", &["run/"]),
    (".expose()", &["secret.rs", "value/", "step/", "template/", "postgres/"]),
    // What a path names may be a pipe, a device or a link: `files` opens it so that nothing hangs and nothing is followed.
    // Files of the system (`/proc`, `/etc/passwd`) are what they are.
    ("File::open(", &["files/", "proof/", "cli/hardening.rs", "archive/tests"]),
    ("fs::read(", &["files/", "proof/", "archive/tests"]),
    ("fs::read_to_string(", &["files/", "proof/", "process/confine.rs"]),
    ("File::create(", &["files/"]),
    ("unsafe ", &[]),
    ("serde(flatten", &[]),
    ("untagged", &[]),
    ("#[allow(", &[]),
];

/// What an executor asks a room for and never does itself.
const NOT_IN_STEPS: &[&str] = &[
    "std::fs",
    "std::process",
    "std::net",
    "tokio::fs",
    "tokio::process",
    "tokio::net",
    "symlink_metadata",
    ".is_file()",
];

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

/// The code of a file without its comments.
fn code(text: &str) -> String {
    text.lines().filter(|l| !l.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

/// Every room that the code names after `crate::`, also in a `use crate::{a, b}`.
fn imports(code: &str) -> BTreeSet<String> {
    let word = |t: &str| t.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>();
    let mut found = BTreeSet::new();
    for (at, _) in code.match_indices("crate::") {
        let rest = &code[at + 7..];
        match rest.strip_prefix('{') {
            None => {
                found.insert(word(rest));
            }
            Some(list) => {
                let mut depth = 0;
                let mut start = true;
                for (i, c) in list.char_indices() {
                    match c {
                        '{' => depth += 1,
                        '}' if depth == 0 => break,
                        '}' => depth -= 1,
                        ',' if depth == 0 => start = true,
                        c if start && depth == 0 && !c.is_whitespace() => {
                            found.insert(word(&list[i..]));
                            start = false;
                        }
                        _ => {}
                    }
                }
            }
        }
    }
    found
}

/// What is wrong with one file, given its path below `src`.
fn faults(path: &str, text: &str) -> Vec<String> {
    let code = code(text);
    let room = path.split('/').next().unwrap_or_default().trim_end_matches(".rs");
    let mut faults = Vec::new();
    if !matches!(room, "cli" | "lib" | "main") {
        match ROOMS.iter().find(|(name, _)| *name == room) {
            None => faults.push(format!("{path}: there is no room `{room}`")),
            Some((_, may)) => {
                let wrong = imports(&code).into_iter().filter(|i| i != room && !may.contains(&i.as_str()));
                faults.extend(wrong.map(|i| format!("{path}: `{room}` may not import `{i}`")));
            }
        }
    }
    for (text, places) in ONLY_IN {
        if code.contains(text) && !places.iter().any(|p| path.starts_with(p)) {
            faults.push(format!("{path}: `{text}` does not belong here"));
        }
    }
    if room == "steps" {
        let met = NOT_IN_STEPS.iter().filter(|t| code.contains(**t));
        faults.extend(met.map(|t| format!("{path}: an executor does not use `{t}`")));
    }
    let names = ["utils", "helpers", "common", "types", "prelude"];
    if path.split(['/', '.']).any(|p| names.contains(&p)) {
        faults.push(format!("{path}: a room is named for what it knows"));
    }
    faults
}

fn files() -> BTreeMap<String, String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    sources(&root, &mut found);
    let name = |p: &Path| p.strip_prefix(&root).expect("below src").to_string_lossy().replace('\\', "/");
    found.iter().map(|p| (name(p), std::fs::read_to_string(p).expect("a source"))).collect()
}

#[test]
fn every_file_keeps_the_house_rules() {
    let all: Vec<String> = files().iter().flat_map(|(path, text)| faults(path, text)).collect();
    assert!(all.is_empty(), "{}", all.join("\n"));
}

#[test]
fn rooms_import_only_rooms_above_them() {
    for (at, (name, may)) in ROOMS.iter().enumerate() {
        for other in *may {
            assert!(
                ROOMS[..at].iter().any(|(n, _)| n == other),
                "`{name}` may import `{other}`, which is not above it"
            );
        }
    }
}

#[test]
fn the_registry_lists_the_executors_that_there_are() {
    let rooms: BTreeSet<String> = files()
        .keys()
        .filter_map(|p| p.strip_prefix("steps/")?.split('/').next().map(|n| n.trim_end_matches(".rs").to_owned()))
        .filter(|n| n != "mod")
        .collect();
    let listed: BTreeSet<String> = runplan::steps::REGISTRY.names().map(str::to_owned).collect();
    assert_eq!(rooms, listed);
}

/// Phrases that people must read twice, each with what to write in its place.
const IDIOMS: &[(&str, &str)] = &[
    ("anew", "again"),
    ("blanks", "spaces"),
    ("whoever", "the user, the caller"),
    ("by now", "already, now"),
    ("all the same", "still, anyway"),
    ("go on with", "resume, continue"),
    ("goes on with", "resumes, continues"),
    ("gone on with", "resumed, continued"),
    ("is looked at", "is checked"),
    ("are looked at", "are checked"),
    ("told to stop", "cancelled"),
    ("stands", "is, is written"),
    ("is no", "is not a"),
    ("no ordinary", "not a regular"),
    ("laid out", "unpacked"),
    ("reckoned", "counted"),
];

/// The phrases of a text that are listed, each with its line. Code blocks are what programs print.
fn idioms(path: &str, text: &str) -> Vec<String> {
    let mut in_block = false;
    let mut found = Vec::new();
    for (number, line) in text.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            in_block = !in_block;
        }
        let shown = if path.ends_with(".rs") { line.trim_start().strip_prefix("///") } else { Some(line) };
        let Some(shown) = shown.filter(|_| !in_block) else { continue };
        let words: Vec<String> =
            shown.split(|c: char| !c.is_alphanumeric()).filter(|w| !w.is_empty()).map(str::to_lowercase).collect();
        let plain = format!(" {} ", words.join(" ")).replace(" no longer ", " ");
        let met = IDIOMS.iter().filter(|(phrase, _)| plain.contains(&format!(" {phrase} ")));
        found.extend(met.map(|(phrase, better)| format!("{path}:{}: `{phrase}`: write {better}", number + 1)));
    }
    found
}

/// What people read first is in plain English: the README, the manual, the explanations of findings, the help of the command
/// line, the descriptions of the schema, the sample plans.
#[test]
fn what_people_read_has_no_listed_idiom() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut paths: Vec<PathBuf> = ["README.md", "src/cli/args.rs", "src/cli/args/past.rs"].map(|p| root.join(p)).into();
    for dir in ["src/cli/help", "src/plan/check/explain", ".github"] {
        let entries = std::fs::read_dir(root.join(dir)).expect("a folder").flatten().map(|e| e.path());
        paths.extend(entries.filter(|p| p.extension().is_some_and(|e| e == "md")));
    }
    // The schema holds the texts of every executor and of the plan, as `steps` and editors show them.
    paths.push(root.join("schema/plan.schema.json"));
    paths.extend(std::fs::read_dir(root.join("plans")).expect("a folder").flatten().map(|e| e.path()));
    paths.retain(|p| p.is_file());
    assert!(paths.len() > 78, "{paths:?}");
    let read = |p: &PathBuf| std::fs::read_to_string(p).expect("a text");
    let found: Vec<String> = paths.iter().flat_map(|p| idioms(&p.display().to_string(), &read(p))).collect();
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn planted_faults_are_seen() {
    for text in
        ["It is decided anew.", "A run that can be\ngone on with.", "`x` is no file", "A tab where YAML wants blanks"]
    {
        assert_eq!(idioms("README.md", text).len(), 1, "{text}");
    }
    assert_eq!(idioms("x.md", "It is no longer there.\n```\nis no file\n```\n"), Vec::<String>::new());
    assert_eq!(idioms("x.rs", "let anew = 1; // anew"), Vec::<String>::new());
    for (path, text) in [
        ("steps/copy.rs", "use crate::plan::Plan;"),
        ("steps/copy.rs", "use crate::{step::Look, template::{self, Scope}};"),
        ("steps/copy.rs", "fn f() { std::fs::remove_file(\"x\"); }"),
        ("diag/mod.rs", "use crate::step::Look;"),
        ("report/x.rs", "fn f() { crate::run::run(); }"),
        ("journal/mod.rs", "fn f(s: &S) { s.expose(); }"),
        ("steps/copy.rs", "let touch = Touch::begin(look);"),
        ("cli/doctor.rs", "let probe = Probe::begin(look, true);"),
        ("files/helpers.rs", ""),
        ("archive/x.rs", "unsafe { f() }"),
        ("cli/x.rs", "let text = std::fs::read_to_string(path);"),
        ("vault/mod.rs", "let file = File::open(path);"),
    ] {
        assert!(!faults(path, text).is_empty(), "{path}: {text}");
    }
    assert_eq!(faults("steps/copy.rs", "// crate::plan\nuse crate::files::Partial;"), Vec::<String>::new());
}
