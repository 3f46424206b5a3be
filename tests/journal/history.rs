//! `history`: which runs there were, and what became of each.

use std::process::Command;

use serde_json::Value;

use crate::world::{Run, World, next_second, text};

#[test]
fn history_tells_each_end_and_the_newest_last() {
    let mut world = World::new();
    world.runplan(&["history", "plan.yaml"]).ends(0).says("no runs: ");
    world.run(&[], &[], 0);
    world.run(&["warn"], &[], 0);
    world.run(&["bad"], &[], 1);
    world.run(&[], &["--skip", "dump"], 0);
    // Nothing is left of a dry run.
    world.runplan(&["-n", "plan.yaml"]).ends(0);
    next_second();
    world.start();
    world.kill();
    next_second();
    world.end_step();
    world.start();

    // Also those that began in the same second are in their order.
    assert_eq!(world.results(&["plan.yaml"]), "ok warning failed ok killed running");
    assert_eq!(world.results(&["plan.yaml", "--failed"]), "failed killed");
    assert_eq!(world.results(&["plan.yaml", "-n", "2"]), "killed running");
    assert_eq!(world.results(&["night", "--dir", "logs"]), "ok warning failed ok killed running");
    assert_eq!(world.results(&["--dir", "logs", "-n", "0"]), "ok warning failed ok killed running");
    assert_eq!(world.results(&["plan.yaml", "-p", "db=other"]), "");
    let runs = world.history(&["plan.yaml"]);
    assert_eq!(runs[2]["exit_code"], 1);
    assert_eq!(runs[2]["failure"]["step"], "dump");
    assert!(text(&runs[2]["failure"]["error"]).contains("no | room ***"), "{}", runs[2]);
    assert_eq!(runs[3]["left_out"], serde_json::json!(["dump"]));
    assert_eq!((&runs[4]["exit_code"], &runs[4]["at_step"]), (&Value::Null, &"dump".into()));
    assert!(runs[4]["ended_at"].is_string() && runs[5]["ended_at"].is_null());
    assert_eq!(runs[5]["at_step"], "dump");

    let table = world.runplan(&["history", "plan.yaml"]).ends(0);
    let lines: Vec<&str> = table.out.lines().collect();
    assert!(lines[0].starts_with("run ") && !lines[0].contains("plan"), "{}", table.said);
    for (line, words) in [
        (1, vec![" ok ", " 0"]),
        (2, vec![" warning ", "1 warning"]),
        (3, vec![" failed ", " 1  at dump: `sh` ended with exit status 3: no | room ***"]),
        (4, vec![" ok ", "without dump"]),
        (5, vec![" killed ", " -  at dump"]),
        (6, vec![" running ", " -  at dump"]),
    ] {
        words.iter().for_each(|w| assert!(lines[line].contains(w), "{w}: {}", table.said));
    }
    world.runplan(&["history", "plan.yaml", "-n", "1"]).ends(0).says("there are older ones: `-n 0` lists all");
    world.runplan(&["history", "plan.yaml", "-p", "db=other"]).ends(0).says("none of the runs in ");
    world.runplan(&["history", "plan.yaml", "-p", "bd=a"]).ends(2).says("did you mean `db`?");
    world.runplan(&["history", "plna.yaml"]).ends(2).says("did you mean `plan.yaml`?");
    world.runplan(&["history", "nihgt", "--dir", "logs"]).ends(2).says("did you mean `night`?");
    world.runplan(&["histroy"]).ends(2).says("did you mean `runplan history`?");
}

#[test]
fn where_no_lock_is_known_the_process_tells_what_goes_on() {
    let mut world = World::new();
    world.start();
    world.kill();
    next_second();
    world.end_step();
    world.start();
    let mut command = world.command("strace");
    command.args(["-f", "-qq", "-o", "trace", "-e", "trace=flock", "-e", "inject=flock:error=ENOLCK"]);
    command.args([env!("CARGO_BIN_EXE_runplan"), "history", "plan.yaml", "--format", "json"]);
    let run = Run::of(&command.output().expect("strace: run `tests/sandbox cargo test`")).ends(0);
    let results: Vec<String> =
        run.json()["runs"].as_array().expect("runs").iter().map(|r| text(&r["result"]).to_owned()).collect();
    assert_eq!(results, ["killed", "running"]);
    let trace = std::fs::read_to_string(world.path("trace")).expect("a trace");
    assert!(trace.contains("ENOLCK"), "{trace}");
}

#[test]
fn what_is_torn_foreign_or_newer_is_not_guessed_at() {
    let world = World::new();
    world.run(&[], &[], 0);
    // Cut within the closing event, and a block of zeros as some file systems leave it.
    world.again("20200101T000000Z-0001", |t| t[..t.len() - 5].to_owned());
    world.again("20200101T000001Z-0002", |t| t[..t.len() - 5].to_owned() + &"\0".repeat(4096));
    world.again("20200101T000002Z-0003", |t| t.lines().next().expect("an event")[..20].to_owned());
    world.again("20200101T000003Z-0004", |_| String::new());
    world.again("20200101T000004Z-0005", |t| t.replace("\"schema_version\":1", "\"schema_version\":2"));
    world.again("20200101T000005Z-0006", |_| "a,b,c\n1,2,3\n".to_owned());
    let piped = world.again("20200101T000006Z-0007", |t| t);
    std::fs::remove_file(piped.join("events.jsonl")).expect("it was there");
    assert!(Command::new("mkfifo").arg(piped.join("events.jsonl")).status().expect("mkfifo").success());
    // Behind the closing event and before it there may be what we do not know.
    world.again("20200101T000007Z-0008", |t| t.replace("\"result\":\"ok\"", "\"result\":\"ok\",\"mood\":\"calm\""));
    // What others keep there.
    std::fs::create_dir_all(world.path("logs/night/old/20200101T000000Z-0001")).expect("a folder");
    std::fs::create_dir_all(world.path("logs/pictures")).expect("a folder");
    world.write("logs/night/notes.txt", "mine");
    world.write("logs/README", "mine");

    let runs = world.history(&["plan.yaml"]);
    let told: Vec<(&str, &str)> = runs.iter().map(|r| (&text(&r["run"])[17..], text(&r["result"]))).collect();
    let expected = ["killed", "killed", "killed", "killed", "unknown", "unknown", "unknown", "ok", "ok"];
    assert_eq!(told.iter().map(|t| t.1).collect::<Vec<_>>(), expected, "{told:?}");
    assert!(text(&runs[4]["problem"]).contains("newer runplan (version 2 of events, this one reads 1)"), "{}", runs[4]);
    assert!(text(&runs[5]["problem"]).contains("holds no events"), "{}", runs[5]);
    assert!(text(&runs[6]["problem"]).contains("not a regular file"), "{}", runs[6]);
    assert_eq!(world.results(&["--dir", "logs"]).split(' ').count(), 9);
    assert_eq!(world.results(&["plan.yaml", "-p", "db=other"]), "unknown unknown unknown");
    world.runplan(&["history", "plan.yaml"]).ends(0).says("newer runplan");

    // None of them is proof, and the newest is said.
    for folder in world.folders().iter().filter(|f| !f.ends_with("20200101T000004Z-0005")) {
        std::fs::remove_dir_all(folder).or_else(|_| std::fs::remove_file(folder)).expect("it was there");
    }
    world.runplan(&["status", "plan.yaml", "--max-age", "9999w"]).ends(1).says("CRITICAL - night: no good run; ");
    world.runplan(&["status", "plan.yaml", "--max-age", "9999w"]).says("is not understood: it was written by a newer");
}

#[test]
fn of_thousands_of_runs_only_those_are_opened_that_are_shown() {
    let world = World::new();
    world.run(&[], &[], 0);
    let from = world.folders().pop().expect("a run");
    for minute in 0..3000 {
        let id = format!("202001{:02}T{:02}{:02}00Z-abcd", 1 + minute / 1440, minute / 60 % 24, minute % 60);
        let to = world.path("logs/night").join(id);
        std::fs::create_dir(&to).expect("a folder");
        std::fs::hard_link(from.join("events.jsonl"), to.join("events.jsonl")).expect("a link");
    }
    let traced = |arguments: &[&str]| {
        let mut command = world.command("strace");
        command.args(["-f", "-qq", "-o", "trace", "-e", "trace=open,openat", env!("CARGO_BIN_EXE_runplan")]);
        let run = Run::of(&command.args(arguments).output().expect("strace: run `tests/sandbox cargo test`"));
        let trace = std::fs::read_to_string(world.path("trace")).expect("a trace");
        (run, trace.lines().filter(|l| l.contains("events.jsonl")).count())
    };
    let (run, opened) = traced(&["history", "plan.yaml", "-n", "5"]);
    assert_eq!(run.ends(0).out.lines().count(), 6);
    // One more than is shown, each for its lock and its ends.
    assert!((6..=12).contains(&opened), "{opened}");
    let (run, opened) = traced(&["status", "plan.yaml", "--max-age", "1h"]);
    run.ends(0);
    assert!((1..=2).contains(&opened), "{opened}");
    assert_eq!(world.history(&["plan.yaml", "-n", "0"]).len(), 3001);
}
