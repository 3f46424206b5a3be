//! A dry run of every executor in the registry leaves files, database, processes and network as they were. It is watched
//! from outside, by strace: whatever it opens to write, makes, removes, starts or speaks to is in the trace.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use runplan::steps::REGISTRY;
use serde_json::Value;

use crate::world::{PASSWORD, Run, World, psql};

/// The calls by which a program changes the world or speaks to it.
const CALLS: &str = "execve,execveat,connect,bind,sendto,sendmsg,open,openat,openat2,creat,mkdir,mkdirat,rmdir,unlink,unlinkat,\
                     rename,renameat,renameat2,link,linkat,symlink,symlinkat,chmod,fchmod,fchmodat,chown,fchown,fchownat,\
                     truncate,ftruncate,utimensat,mknod,mknodat,kill,tkill,flock";

/// Files by path, each with size, time and content.
pub type Files = BTreeMap<String, (u64, String, Vec<u8>)>;

/// Every file below a folder with its size, time and content.
fn files(dir: &Path, found: &mut Files) {
    for entry in std::fs::read_dir(dir).expect("a folder").flatten() {
        let path = entry.path();
        let meta = path.symlink_metadata().expect("it is there");
        if meta.is_dir() {
            found.insert(path.display().to_string(), (0, format!("{:?}", meta.modified()), Vec::new()));
            files(&path, found);
        } else {
            let text = std::fs::read(&path).unwrap_or_default();
            found.insert(path.display().to_string(), (meta.len(), format!("{:?}", meta.modified()), text));
        }
    }
}

pub fn snapshot(world: &World) -> (Files, String) {
    let mut found = BTreeMap::new();
    files(&world.path(""), &mut found);
    let dump = Command::new("pg_dump").args(["--inserts", "--restrict-key=0", world.db()]).output().expect("pg_dump");
    let dump = if dump.status.success() {
        dump
    } else {
        Command::new("pg_dump").args(["--inserts", world.db()]).output().expect("pg_dump")
    };
    let text = String::from_utf8_lossy(&dump.stdout);
    let kept = text.lines().filter(|l| !l.starts_with("\\restrict") && !l.starts_with("\\unrestrict"));
    (found, kept.collect::<Vec<_>>().join("\n"))
}

fn world() -> World {
    let world = World::with_database();
    world.sql("CREATE SCHEMA audit; CREATE TABLE audit.log (id int); CREATE TABLE orders (id int); INSERT INTO orders VALUES (1)");
    world.sql("CREATE TABLE sessions (last_seen timestamptz); INSERT INTO sessions VALUES (now() - interval '1 year')");
    world.write("exports/a.csv", "1,2\n");
    world.write("copies/.keep", "");
    world.write("backups/old.zip", "x");
    world.write("home/.keep", "");
    world.write("tmp/.keep", "");
    world
}

/// The trace of the binary with these arguments.
pub fn traced(world: &World, arguments: &[&str]) -> (Run, String) {
    let trace = std::env::temp_dir().join(format!("trace-{}", world.db()));
    let mut command = Command::new("strace");
    command.args(["-f", "-qq", "-s", "200", "-e", &format!("trace={CALLS}"), "-o"]).arg(&trace);
    command.arg(env!("CARGO_BIN_EXE_runplan")).args(arguments).args(["--color", "never"]).current_dir(world.path(""));
    command
        .env("XDG_STATE_HOME", world.path("home/state"))
        .env("HOME", world.path("home"))
        .env("TMPDIR", world.path("tmp"));
    command.env("PGDATABASE", world.db()).env("TEST_ZIP", PASSWORD).env("TEST_MAIL", "mail-password");
    let run = Run::from(command.output().expect("strace: run `tests/sandbox cargo test`"));
    let text = std::fs::read_to_string(&trace).expect("a trace");
    std::fs::remove_file(&trace).expect("the trace");
    (run, text)
}

/// What in a trace is more than looking.
pub fn deeds(trace: &str) -> Vec<&str> {
    let port = std::env::var("PGPORT").expect("a port");
    let harmless = |line: &str| {
        let call = line.split_once(' ').map_or(line, |(_, rest)| rest.trim_start());
        let opens = ["open(", "openat(", "openat2("].iter().any(|c| call.starts_with(c));
        let reads = opens && !["O_WRONLY", "O_RDWR", "O_CREAT", "O_TRUNC"].iter().any(|f| call.contains(f));
        let null = opens && (call.contains("\"/dev/null\"") || call.contains("\"/dev/tty\""));
        let server = call.starts_with("connect(") && call.contains(&format!("htons({port})"));
        // To a socket that is connected already, which only the server's can be.
        let talks = (call.starts_with("sendto(") || call.starts_with("sendmsg("))
            && (call.contains("NULL, 0)") || call.contains("NULL, 0 <"));
        let starts = call.starts_with("execve(") && call.contains("/runplan\"");
        // Threads of its own, told to start or end.
        let own =
            call.starts_with("<...") || call.starts_with("+++") || call.starts_with("---") || call.starts_with("???");
        reads || null || server || talks || starts || own
    };
    trace.lines().filter(|l| !harmless(l)).collect()
}

#[test]
fn a_dry_run_of_every_executor_touches_nothing() {
    let world = world();
    for entry in REGISTRY.iter() {
        let example = |text: &str| text.lines().map(|l| format!("      {l}\n")).collect::<String>();
        let dump = REGISTRY.get("pg_dump").expect("pg_dump").example;
        let plan = format!(
            "version: 1\nname: night\nlogs: {{ dir: logs }}\nsecrets:\n  zip_password: {{ env: TEST_ZIP }}\n  smtp_password: {{ command: [touch, started] }}\n  ping_url: {{ command: [touch, started] }}\nsteps:\n  - id: dump\n    uses: pg_dump\n    with:\n{}  - id: it\n    uses: {}\n    with:\n{}on_failure:\n  - {{ uses: command, with: {{ argv: [touch, handled] }} }}\n",
            example(dump).replace("app-", "first-"),
            entry.name,
            example(entry.example)
        );
        world.write("plan.yaml", plan);
        let before = snapshot(&world);
        let (run, trace) = traced(&world, &["run", "-n", "plan.yaml"]);
        let run = run.ends(0).says("nothing was changed");
        assert!(!run.said.contains("would fail"), "{}: {}", entry.name, run.said);
        assert!(before == snapshot(&world), "{}: the world has changed", entry.name);
        assert!(trace.contains("htons("), "{}: the trace does not even show the server: {trace}", entry.name);
        assert_eq!(deeds(&trace), Vec::<&str>::new(), "{}", entry.name);
    }
    // The dry run had rows to change and files to remove, had it been a real one.
    assert_eq!(psql(world.db(), "SELECT count(*) FROM sessions"), "1");
}

#[test]
fn the_watch_sees_what_a_real_run_does() {
    let world = world();
    world.write("plan.yaml", "version: 1\nname: night\nsteps:\n  - { uses: command, with: { argv: [touch, made] } }\n");
    let trace = std::env::temp_dir().join(format!("trace-{}-real", world.db()));
    let mut command = Command::new("strace");
    command.args(["-f", "-qq", "-e", &format!("trace={CALLS}"), "-o"]).arg(&trace);
    command.arg(env!("CARGO_BIN_EXE_runplan")).arg("plan.yaml").current_dir(world.path(""));
    Run::from(command.env("XDG_STATE_HOME", world.path("home/state")).output().expect("strace")).ends(0);
    let text = std::fs::read_to_string(&trace).expect("a trace");
    std::fs::remove_file(&trace).expect("the trace");
    for part in ["mkdir", "O_CREAT", "touch", "flock"] {
        assert!(deeds(&text).iter().any(|l| l.contains(part)), "{part}: {text}");
    }
}

#[test]
fn every_output_of_every_executor_is_documented() {
    for entry in REGISTRY.iter() {
        for (what, schema) in [("parameter", entry.params()), ("output", entry.outputs(&Value::Null))] {
            for (name, field) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
                let text = field.get("description").or_else(|| {
                    let name = field
                        .get("$ref")
                        .or_else(|| field.pointer("/allOf/0/$ref"))
                        .or_else(|| field.pointer("/anyOf/0/$ref"))?;
                    schema.pointer(name.as_str()?.strip_prefix('#')?)?.get("description")
                });
                assert!(
                    text.is_some_and(|t| t.as_str().is_some_and(|t| t.len() > 5)),
                    "{} {what} `{name}`",
                    entry.name
                );
            }
        }
    }
}
