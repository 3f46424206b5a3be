//! Dumps of a real server, opened by foreign readers. Run by `tests/sandbox cargo test`.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const PASSWORD: &str = "p ä\"s$ s'w of 15";

const PLAN: &str = "version: 1\nname: dumps\nlogs: { dir: logs }\nparams:\n  program: { type: string, default: '' }\n\
secrets: { zip: { env: TEST_ZIP } }\nsteps:\n  - id: dump\n    uses: pg_dump\n    with:\n      PROGRAM\n      archive: { path: 'out/a-${{ run.id }}.zip', password: '${{ secrets.zip }}' }\n\
on_failure:\n  - { uses: command, with: { argv: [touch, handled] } }\n";

fn runplan(dir: &Path, program: Option<&Path>, arguments: &[&str]) -> Output {
    assert!(std::env::var_os("PGHOST").is_some(), "there is no PostgreSQL: run `tests/sandbox cargo test`");
    let program = program.map(|p| format!("program: {}", p.display())).unwrap_or_default();
    std::fs::write(dir.join("plan.yaml"), PLAN.replace("PROGRAM", &program)).expect("a plan");
    let mut command = Command::new(env!("CARGO_BIN_EXE_runplan"));
    command.current_dir(dir).arg("plan.yaml").args(arguments).env("TEST_ZIP", PASSWORD);
    command.env("XDG_STATE_HOME", dir.join("state")).output().expect("the binary runs")
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

fn files(dir: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(dir.join("out")).map(|d| d.flatten().map(|e| e.path()).collect());
    entries.unwrap_or_default()
}

fn fake(dir: &Path, script: &str) -> PathBuf {
    use std::os::unix::fs::PermissionsExt;
    let path = dir.join("fake-pg_dump");
    let version = "[ \"$1\" = --version ] && { echo \"pg_dump (PostgreSQL) ${FAKE_VERSION:-99.1}\"; exit; }";
    std::fs::write(&path, format!("#!/bin/sh\n{version}\n{script}\n")).expect("a script");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).expect("executable");
    path
}

fn psql(database: &str, sql: &str) -> String {
    let output = Command::new("psql").args(["-XAtq", "-d", database, "-c", sql]).output().expect("psql");
    assert!(output.status.success(), "{}", said(&output));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

#[test]
fn the_archive_opens_with_three_foreign_readers_and_restores_to_the_same_rows() {
    let dir = tempfile::tempdir().expect("a folder");
    let output = runplan(dir.path(), None, &[]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let made = files(dir.path());
    let archive = made.iter().find(|f| f.extension().is_some_and(|e| e == "zip")).expect("an archive");
    assert_eq!(made.len(), 2, "the archive and its record: {made:?}");
    let record: serde_json::Value =
        serde_json::from_slice(&std::fs::read(format!("{}.json", archive.display())).expect("a record")).expect("JSON");
    assert_eq!(record["bytes"].as_u64(), std::fs::metadata(archive).ok().map(|m| m.len()));
    assert_eq!((record["kind"].as_str(), record["encryption"].as_str()), (Some("dump"), Some("aes256")));

    let seven = |password: &str| {
        Command::new("7z")
            .arg("t")
            .arg(format!("-p{password}"))
            .arg(archive)
            .output()
            .expect("7z: run `tests/sandbox cargo test`")
    };
    assert!(seven(PASSWORD).status.success(), "{}", said(&seven(PASSWORD)));
    assert!(!seven("another").status.success());
    let tar = |password: &str| {
        Command::new("bsdtar")
            .arg("--passphrase")
            .arg(password)
            .args(["-xOf"])
            .arg(archive)
            .arg("database.dump")
            .output()
            .expect("bsdtar: run `tests/sandbox cargo test`")
    };
    let dump = tar(PASSWORD);
    assert!(dump.status.success() && dump.stdout.starts_with(b"PGDMP"), "{}", String::from_utf8_lossy(&dump.stderr));
    assert!(!tar("another").status.success());
    let python = std::env::var("RUNPLAN_TEST_PYTHON").expect("a Python with pyzipper: run `tests/sandbox cargo test`");
    let code = "import sys, pyzipper, hashlib\nz = pyzipper.AESZipFile(sys.argv[1])\nz.setpassword(sys.argv[2].encode())\nprint(hashlib.sha256(z.read('database.dump')).hexdigest())";
    let read = Command::new(&python).args(["-c", code]).arg(archive).arg(PASSWORD).output().expect("python");
    let expected: String = {
        use sha2::Digest;
        sha2::Sha256::digest(&dump.stdout).iter().map(|b| format!("{b:02x}")).collect()
    };
    assert_eq!(String::from_utf8_lossy(&read.stdout).trim(), expected, "{}", said(&read));

    let wrong = Command::new(&python).args(["-c", code]).arg(archive).arg("another").output().expect("python");
    assert!(!wrong.status.success() && said(&wrong).contains("Bad password"), "{}", said(&wrong));

    std::fs::write(dir.path().join("database.dump"), &dump.stdout).expect("the dump");
    psql("postgres", "DROP DATABASE IF EXISTS restored");
    psql("postgres", "CREATE DATABASE restored");
    let restore = Command::new("pg_restore")
        .args(["--exit-on-error", "-d", "restored"])
        .arg(dir.path().join("database.dump"))
        .output()
        .expect("pg_restore");
    assert!(restore.status.success(), "{}", said(&restore));
    let sums =
        "SELECT count(*), sum(id), sum(quantidade), count(*) FILTER (WHERE marcado), max(codigo) FROM exemplo_vacuo";
    assert_eq!(psql("restored", sums), psql("sample", sums));
    psql("postgres", "DROP DATABASE restored");
}

#[test]
fn a_pg_dump_that_misbehaves_leaves_no_file_and_runs_the_handler() {
    for (script, expected) in [
        ("printf PGDMPxxxx; exit 1", "exit status 1"),
        ("exit 0", "wrote no dump"),
        ("echo hello", "wrote no dump"),
        ("printf PGDMPxxxx; kill -9 $$", "signal 9"),
    ] {
        let dir = tempfile::tempdir().expect("a folder");
        let program = fake(dir.path(), script);
        let output = runplan(dir.path(), Some(&program), &[]);
        assert_eq!(output.status.code(), Some(1), "{script}: {}", said(&output));
        assert!(said(&output).contains(expected), "{script}: {}", said(&output));
        assert_eq!(files(dir.path()), Vec::<PathBuf>::new(), "{script}");
        assert!(dir.path().join("handled").exists());
    }
}

#[test]
fn a_dry_run_shows_the_arguments_and_makes_nothing() {
    let dir = tempfile::tempdir().expect("a folder");
    let output = runplan(dir.path(), None, &["-n"]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    assert!(said(&output).contains("--format=custom --compress=0"), "{}", said(&output));
    assert_eq!(std::fs::read_dir(dir.path()).expect("the folder").count(), 1);
}

#[test]
fn a_termination_during_the_dump_leaves_nothing_and_exits_143() {
    let dir = tempfile::tempdir().expect("a folder");
    let program = fake(dir.path(), "sleep 300 & echo $! > pid; printf PGDMPxxxx; wait");
    std::fs::write(dir.path().join("plan.yaml"), PLAN.replace("PROGRAM", &format!("program: {}", program.display())))
        .expect("a plan");
    let mut child = Command::new(env!("CARGO_BIN_EXE_runplan"))
        .current_dir(dir.path())
        .arg("plan.yaml")
        .env("TEST_ZIP", PASSWORD)
        .env("XDG_STATE_HOME", dir.path().join("state"))
        .stderr(std::process::Stdio::null())
        .spawn()
        .expect("the binary runs");
    let pid = (0..200).find_map(|_| {
        std::thread::sleep(std::time::Duration::from_millis(50));
        std::fs::read_to_string(dir.path().join("pid")).ok().filter(|p| p.ends_with('\n'))
    });
    let pid = pid.expect("the program started");
    Command::new("kill").args(["-TERM", &child.id().to_string()]).status().expect("kill");
    assert_eq!(child.wait().expect("it ends").code(), Some(143));
    assert_eq!(files(dir.path()), Vec::<PathBuf>::new());
    assert!(dir.path().join("handled").exists());
    // The grandchild: killing the program alone would leave it. A zombie is dead and waits for its parent.
    let state = Command::new("ps").args(["-o", "stat=", "-p", pid.trim()]).output().expect("ps");
    let state = String::from_utf8_lossy(&state.stdout).trim().to_owned();
    assert!(state.is_empty() || state.starts_with('Z'), "left behind: {state}");
}

#[test]
fn a_pg_dump_older_than_the_server_is_refused_with_both_versions() {
    let dir = tempfile::tempdir().expect("a folder");
    let program = fake(dir.path(), "printf PGDMPxxxx");
    let text = std::fs::read_to_string(&program).expect("the script").replace(":-99.1", ":-9.6.24");
    std::fs::write(&program, text).expect("the script");
    let output = runplan(dir.path(), Some(&program), &[]);
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    let server = psql("postgres", "SHOW server_version");
    assert!(said(&output).contains("version 9.6.24") && said(&output).contains(&server), "{}", said(&output));
    assert_eq!(files(dir.path()), Vec::<PathBuf>::new());
}

#[test]
fn a_lost_connection_is_tried_again_by_default() {
    let dir = tempfile::tempdir().expect("a folder");
    let program = fake(
        dir.path(),
        "echo x >> tries; [ $(wc -l < tries) -ge 3 ] && { printf PGDMPxxxxxx; exit; }; echo 'pg_dump: error: server closed the connection unexpectedly' >&2; exit 1",
    );
    let plan = PLAN.replace("PROGRAM", &format!("program: {}", program.display()));
    let plan = plan.replace("    uses: pg_dump\n", "    uses: pg_dump\n    retry: { attempts: 3, delay: 10ms }\n");
    std::fs::write(dir.path().join("retry.yaml"), plan).expect("a plan");
    let mut command = Command::new(env!("CARGO_BIN_EXE_runplan"));
    command
        .current_dir(dir.path())
        .arg("retry.yaml")
        .env("TEST_ZIP", PASSWORD)
        .env("XDG_STATE_HOME", dir.path().join("state"));
    let output = command.output().expect("the binary runs");
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    assert_eq!(files(dir.path()).len(), 2);
}

#[test]
fn what_a_pg_dump_leaves_behind_does_not_hold_the_night_up() {
    let dir = tempfile::tempdir().expect("a folder");
    // The child keeps the pipe open for a minute; the run must not wait for it.
    let program = fake(dir.path(), "sleep 60 & printf PGDMPxxxxxx; exit 0");
    let clock = std::time::Instant::now();
    let output = runplan(dir.path(), Some(&program), &[]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    assert!(clock.elapsed().as_secs() < 50, "it waited for a child that holds the pipe");
}
