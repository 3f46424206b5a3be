//! A named pipe in every place where a file is read: nothing waits for it, and the error says what it is.

use std::os::unix::fs::FileTypeExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::world::{Run, World};

/// How long a run may take before it counts as hanging.
const PATIENCE: Duration = Duration::from_secs(20);

/// What an error says of a named pipe.
const PIPE: &str = "is a named pipe, not a regular file";

fn make_pipe(world: &World, name: &str) {
    let path = world.path(name);
    std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
    let made = Command::new("mkfifo").arg(&path).status().expect("mkfifo");
    assert!(made.success() && path.symlink_metadata().expect("the pipe").file_type().is_fifo());
}

/// Runs a command that must end by itself.
fn ends(mut command: Command) -> Run {
    let mut child =
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it runs");
    let since = Instant::now();
    while child.try_wait().expect("its state").is_none() {
        if since.elapsed() > PATIENCE {
            child.kill().expect("it is stopped");
            let run: Run = child.wait_with_output().expect("its output").into();
            panic!("it hangs: {command:?}\n{}", run.said);
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    child.wait_with_output().expect("its output").into()
}

fn run(world: &World, plan: &str, arguments: &[&str]) -> Run {
    world.write("plan.yaml", format!("version: 1\nname: night\nlogs: {{ dir: logs }}\n{plan}"));
    let mut command = world.runplan();
    command.arg("plan.yaml").args(arguments);
    ends(command)
}

fn runplan(world: &World, arguments: &[&str]) -> Run {
    let mut command = world.runplan();
    command.args(arguments).env("RUNPLAN_ZIP_PASSWORD", "x");
    ends(command)
}

const TRUE: &str = "steps:\n  - { uses: command, with: { argv: [\"true\"] } }\n";

#[test]
fn a_plan_a_params_file_and_a_file_of_targets() {
    let world = World::new();
    make_pipe(&world, "pipe");
    runplan(&world, &["validate", "pipe"]).ends(2).says(PIPE);
    runplan(&world, &["run", "pipe"]).ends(2).says(PIPE);
    run(&world, TRUE, &["--params-file", "pipe"]).ends(2).says(PIPE);
    run(&world, &format!("targets: {{ include: pipe }}\n{TRUE}"), &[]).ends(78).says(PIPE);
}

#[test]
fn a_secret_file() {
    let world = World::new();
    make_pipe(&world, "pipe");
    let plan = "secrets: { token: { file: pipe } }\nsteps:\n  - uses: command\n    with: { argv: [\"true\"], env: { T: \"${{ secrets.token }}\" } }\n";
    run(&world, plan, &[]).ends(77).says(PIPE);
    let over = 64 * 1024 + 1;
    let text: String = (0..over).map(|n| format!("{n:05} ")).collect();
    world.write("large", &text[..over]);
    run(&world, &plan.replace("pipe", "large"), &[]).ends(77).says("larger than 64 KiB");
    // Masking costs more than in proportion to the size, which is the redactor's business and no part of this test.
    world.write("full", &text[..8 * 1024]);
    run(&world, &plan.replace("pipe", "full"), &[]).ends(0);
}

#[test]
fn what_steps_read() {
    let world = World::new();
    make_pipe(&world, "pipe");
    world.write("to/x", "x");
    let step = |uses: &str, with: &str| format!("steps:\n  - {{ uses: {uses}, with: {{ {with} }} }}\n");
    run(&world, &step("copy", "from: pipe, to: to"), &[]).ends(1).says(PIPE);
    run(&world, &step("verify", "archive: pipe"), &[]).ends(1).says(PIPE);
    run(&world, &step("zip", "files: [pipe], archive: { path: out.zip, encryption: none }"), &[]).ends(1).says(PIPE);
    let sql = step("sql", "file: pipe, database: { host: /nowhere, dbname: x }");
    run(&world, &sql, &["-n"]).ends(1).says(PIPE);
    runplan(&world, &["verify", "pipe"]).ends(1).says(PIPE);
    runplan(&world, &["pin", "pipe"]).ends(1).says(PIPE);
    let mail = "host: localhost, ca_file: pipe, username: u, password: p";
    run(&world, &step("email", &format!("smtp: {{ {mail} }}, from: a@b.c, to: [a@b.c], subject: s, body: b")), &[])
        .says(PIPE);
    run(&world, &step("http", "url: \"https://localhost:9/\", ca_file: pipe"), &[]).says(PIPE);
    let sslroot =
        "statement: SELECT 1, database: { host: localhost, port: 9, dbname: x, sslmode: verify-ca, sslrootcert: pipe }";
    run(&world, &step("sql", sslroot), &[]).ends(1).says(PIPE);
}

#[test]
fn what_lies_beside_an_archive() {
    let world = World::new();
    world.write("out/a.zip", "x");
    make_pipe(&world, "out/a.zip.json");
    world.write("to/x", "x");
    let copy = "steps:\n  - { uses: copy, with: { from: out/a.zip, to: to } }\n";
    run(&world, copy, &[]).ends(1).says(PIPE);
    runplan(&world, &["verify", "out/a.zip"]).ends(1).says(PIPE);
    runplan(&world, &["pin", "out/a.zip"]).ends(1).says(PIPE);
    let retention = "database: { dbname: app }\nsteps:\n  - { uses: retention, with: { dir: out, keep_last: 1 } }\n";
    run(&world, retention, &["-v"]).ends(0).says(PIPE);
}

#[test]
fn what_a_killed_run_left() {
    let world = World::new();
    world.write("from.txt", "x");
    world.write("to/x", "x");
    // The name of a copy before it is complete, and that of another run's archive of the same name.
    make_pipe(&world, "to/from.txt.partial");
    run(&world, "steps:\n  - { uses: copy, with: { from: from.txt, to: to } }\n", &[]).ends(1).says(PIPE);
    assert!(world.path("to/from.txt.partial").exists(), "it is not ours to remove");
    make_pipe(&world, "out/20260101T000000Z-aaaa.zip.partial");
    let zip = "steps:\n  - uses: zip\n    with: { files: [from.txt], archive: { path: \"out/${{ run.id }}.zip\", encryption: none } }\n";
    run(&world, zip, &[]).ends(0);
}

#[test]
fn the_journal_of_a_run() {
    let world = World::new();
    run(&world, TRUE, &[]).ends(0);
    let [id] = &world.names("logs/night")[..] else { panic!("one run") };
    for (name, arguments) in
        [("run.log", ["logs", "last", "--plan=plan.yaml"]), ("events.jsonl", ["history", "plan.yaml", "-v"])]
    {
        let path = format!("logs/night/{id}/{name}");
        std::fs::remove_file(world.path(&path)).expect("it is removed");
        make_pipe(&world, &path);
        let listed = runplan(&world, &arguments);
        assert!(name != "run.log" || listed.said.contains(PIPE), "{}", listed.said);
    }
    run(&world, TRUE, &[]).ends(0);
    runplan(&world, &["resume", id, "--plan=plan.yaml"]).says(PIPE);
}

#[test]
fn the_password_file() {
    let world = World::new();
    make_pipe(&world, "pgpass");
    std::fs::set_permissions(world.path("pgpass"), std::os::unix::fs::PermissionsExt::from_mode(0o600))
        .expect("a mode");
    world.write("plan.yaml", format!("version: 1\nname: night\n{TRUE}"));
    let mut command = world.runplan();
    command.arg("plan.yaml").env("PGPASSFILE", world.path("pgpass"));
    ends(command).ends(0);
}

#[test]
fn the_lock_and_the_note_of_the_last_check() {
    let world = World::new();
    run(&world, TRUE, &[]).ends(0);
    let locks = world.names("state/runplan/locks");
    let [lock] = &locks[..] else { panic!("one lock: {locks:?}") };
    let path = format!("state/runplan/locks/{lock}");
    std::fs::remove_file(world.path(&path)).expect("it is removed");
    make_pipe(&world, &path);
    run(&world, TRUE, &[]).ends(73).says(PIPE);
    assert!(Path::new(&world.path(&path)).exists());
}

#[test]
fn a_pipe_that_the_shell_made_is_a_plan() {
    let world = World::new();
    world.write("plan.yaml", format!("version: 1\nname: night\n{TRUE}"));
    let binary = env!("CARGO_BIN_EXE_runplan");
    for how in
        ["cat plan.yaml | {} validate -", "cat plan.yaml | {} validate /dev/stdin", "{} validate <(cat plan.yaml)"]
    {
        let mut command = Command::new("bash");
        command.current_dir(world.path("")).args(["-c", &how.replace("{}", binary)]);
        ends(command).ends(0);
    }
}
