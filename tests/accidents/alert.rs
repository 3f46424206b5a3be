//! The alert that fails exactly then: the exit code stays that of the first error, and both are said.

use std::process::Stdio;

use crate::night::{Night, holding, let_go, until};
use crate::world::Run;

/// What every such night shows: the first error with its code, the alert's own failure beside it, both in the log.
fn both(run: Run, code: i32, first: &str, alert: &str) {
    let run = run.ends(code).says(first).says("alert").says(alert);
    let place = run.said.find(first).expect("the first error");
    assert!(place < run.said.rfind(alert).expect("the alert's"), "{}", run.said);
}

/// The log that a run names.
fn log(run: &Run) -> String {
    let path = run.said.lines().find_map(|l| l.strip_prefix("log: ")).expect("a log");
    std::fs::read_to_string(path).expect("a log")
}

#[test]
fn with_the_mail_server_down_the_first_error_keeps_its_code_and_both_are_in_the_log() {
    let mut night = Night::new();
    night.two_good_nights();
    let port = format!("port: {}", night.server.port);
    night.edit(&port, "port: 1");
    night.dumper("echo 'first trouble' >&2; exit 1");
    let run = night.run(&[]);
    let log = log(&run);
    both(run, 1, "first trouble", "mail server 127.0.0.1:1: connecting");
    assert!(log.contains("first trouble") && log.contains("127.0.0.1:1"), "{log}");
    // Whatever comes after the alert still happens.
    night.edit("on_failure:\n", "finally:\n  - { uses: command, with: { argv: [touch, finally] } }\non_failure:\n");
    both(night.run(&[]), 1, "first trouble", "mail server 127.0.0.1:1: connecting");
    assert!(night.world.path("finally").exists());
    // The result for machines has the first error, and the alert as a handler that failed.
    let json = night.run(&["--format", "json"]).ends(1).json();
    assert_eq!((json["exit_code"].as_u64(), json["failure"]["step"].as_str()), (Some(1), Some("dump")), "{json}");
}

#[test]
fn a_mail_refused_as_too_large_goes_without_its_log_and_one_refused_for_good_changes_no_code() {
    let mut night = Night::with_mail(&["--reject", "data:552:1"]);
    night.dumper("echo 'first trouble' >&2; exit 1");
    night.run(&[]).ends(1).says("first trouble");
    let mails = night.server.mails();
    assert_eq!(mails.len(), 1);
    assert!(mails[0].attachments().is_empty() && mails[0].part("text").contains("not attached"));
    assert!(mails[0].part("text").contains("first trouble"));

    let mut night = Night::with_mail(&["--reject", "data:552"]);
    night.dumper("echo 'first trouble' >&2; exit 1");
    both(night.run(&[]), 1, "first trouble", "552");
    assert!(night.server.mails().is_empty());
}

#[test]
fn what_fails_beside_a_mail_server_that_is_down_still_has_its_own_code() {
    // A secret is missing.
    let mut night = Night::new();
    let port = format!("port: {}", night.server.port);
    night.edit(&port, "port: 1");
    let run = Run::from(night.command(&[]).env_remove("TEST_ZIP").output().expect("runs"));
    both(run, 77, "the secret `zip` is missing", "mail server 127.0.0.1:1: connecting");
    // The secret that is missing is the alert's own, and does not cost the backup.
    let smtp = "security: none }";
    night.edit(smtp, "security: none, username: u, password: '${{ secrets.mail }}' }");
    night.edit("secrets: {", "secrets: { mail: { env: TEST_MAIL },");
    let run = Run::from(night.command(&[]).env_remove("TEST_MAIL").output().expect("runs"));
    run.ends(0).says("nobody can be told: the secret `mail` is missing").says("`on_failure: alert`");
    let run = Run::from(night.command(&[]).env_remove("TEST_MAIL").env_remove("TEST_ZIP").output().expect("runs"));
    run.ends(77).says("`mail`").says("`zip`").says("alert");

    // The log cannot be written.
    let mut night = Night::new();
    night.edit(&port_of(&night), "port: 1");
    night.edit("logs: { dir: logs", "logs: { dir: /proc/nothing");
    both(night.run(&[]), 73, "cannot be written", "mail server 127.0.0.1:1: connecting");

    // The lock is held.
    let mut night = Night::new();
    night.edit(&port_of(&night), "port: 1");
    let holder = holding(night.world.db(), "BEGIN; LOCK TABLE t IN ACCESS EXCLUSIVE MODE; SELECT pg_sleep(60)");
    let first = night.command(&[]).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    let mut first = first.expect("the binary runs");
    until("a first run", || !night.world.names("logs/night").is_empty());
    until("its lock", || night.run(&["-q"]).code == Some(75));
    both(night.run(&[]), 75, "another run holds the lock", "mail server 127.0.0.1:1: connecting");
    first.kill().expect("it runs");
    first.wait().expect("it ends");
    let_go(&night, holder);

    // The server is unreachable, and so is the mail server.
    let run = night.command(&[]).env("PGHOST", "127.0.0.1").env("PGPORT", "1").output().expect("runs");
    both(run.into(), 1, "connecting to", "mail server 127.0.0.1:1: connecting");
}

fn port_of(night: &Night) -> String {
    format!("port: {}", night.server.port)
}
