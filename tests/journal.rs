//! What past runs left, read back: `history`, `logs` and `status`.

use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

/// A step that ends as a file says, one that the plan allows to fail, and one that takes as long as it is let.
const PLAN: &str = r#"version: 1
name: night
params: { db: { type: string, default: app } }
secrets: { token: { env: TOKEN } }
logs: { dir: logs, keep: 20 }
steps:
  - id: dump
    uses: command
    with:
      argv: [sh, -c, 'test ! -e slow || { echo $$ > pid; exec sleep 60; }; test ! -e bad || { echo "no | room $T" >&2; exit 3; }']
      env: { DB: "${{ params.db }}", T: "${{ secrets.token }}" }
  - { id: prune, uses: command, continue_on_error: true, with: { argv: [sh, -c, 'test ! -e warn'] } }
"#;

const CANARY: &str = "canary-Zebra-77";

struct Run {
    code: Option<i32>,
    out: String,
    /// Both streams.
    said: String,
}

impl Run {
    fn of(output: &Output) -> Self {
        let out = String::from_utf8_lossy(&output.stdout).into_owned();
        let said = format!("{out}{}", String::from_utf8_lossy(&output.stderr));
        assert!(!said.contains(CANARY), "{said}");
        Self { code: output.status.code(), out, said }
    }

    fn ends(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{}", self.said);
        self
    }

    fn says(self, text: &str) -> Self {
        assert!(self.said.contains(text), "`{text}` is not in\n{}", self.said);
        self
    }

    fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|e| panic!("{e}: {}", self.said))
    }
}

/// A folder with the plan; what it starts and does not end goes with it.
struct World {
    dir: tempfile::TempDir,
    running: Vec<Child>,
}

impl Drop for World {
    fn drop(&mut self) {
        for child in &mut self.running {
            let _ = child.kill();
            let _ = child.wait();
        }
        self.end_step();
    }
}

impl World {
    fn new() -> Self {
        let world = Self { dir: tempfile::tempdir().expect("a folder"), running: Vec::new() };
        world.write("plan.yaml", PLAN);
        world
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).expect("a file can be written");
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.current_dir(self.dir.path()).env("XDG_STATE_HOME", self.path("state")).env("NO_COLOR", "1");
        command.env("TOKEN", CANARY);
        command
    }

    fn runplan(&self, arguments: &[&str]) -> Run {
        let output = self.command(env!("CARGO_BIN_EXE_runplan")).args(arguments).output();
        Run::of(&output.expect("the binary runs"))
    }

    /// A run whose end these files decide.
    fn run(&self, with: &[&str], arguments: &[&str], code: i32) {
        with.iter().for_each(|name| self.write(name, ""));
        self.runplan(&[&["plan.yaml", "-q"], arguments].concat()).ends(code);
        with.iter().for_each(|name| std::fs::remove_file(self.path(name)).expect("it was there"));
    }

    /// Starts a run that stays in its first step.
    fn start(&mut self) {
        self.write("slow", "");
        let child = self.command(env!("CARGO_BIN_EXE_runplan")).args(["plan.yaml", "-q"]).stderr(Stdio::null()).spawn();
        self.running.push(child.expect("the binary runs"));
        let until = Instant::now() + Duration::from_secs(20);
        while !std::fs::read_to_string(self.path("pid")).is_ok_and(|t| t.ends_with('\n')) {
            assert!(Instant::now() < until, "the step does not begin");
            std::thread::sleep(Duration::from_millis(20));
        }
        std::fs::remove_file(self.path("slow")).expect("it was there");
    }

    /// Kills the run that was started; its step is left behind.
    fn kill(&mut self) {
        let mut child = self.running.pop().expect("a run");
        child.kill().expect("SIGKILL");
        child.wait().expect("it ends");
    }

    /// Ends the step that a run began.
    fn end_step(&self) {
        if let Ok(pid) = std::fs::read_to_string(self.path("pid")) {
            let _ = Command::new("kill").args(["-9", pid.trim()]).stderr(Stdio::null()).status();
            let _ = std::fs::remove_file(self.path("pid"));
        }
    }

    /// The runs as the JSON of `history` has them.
    fn history(&self, arguments: &[&str]) -> Vec<Value> {
        let run = self.runplan(&[&["history", "--format", "json"], arguments].concat()).ends(0);
        let document = run.json();
        assert_eq!(document["schema_version"], 1);
        document["runs"].as_array().expect("a list").clone()
    }

    fn results(&self, arguments: &[&str]) -> String {
        let words = self.history(arguments).iter().map(|r| text(&r["result"]).to_owned()).collect::<Vec<_>>();
        words.join(" ")
    }

    /// The folders of the runs, the newest last.
    fn folders(&self) -> Vec<PathBuf> {
        let mut all: Vec<PathBuf> =
            std::fs::read_dir(self.path("logs/night")).expect("runs").flatten().map(|e| e.path()).collect();
        all.sort();
        all
    }

    /// The journal of the newest run once more, under another name, changed.
    fn again(&self, id: &str, change: impl Fn(String) -> String) -> PathBuf {
        let from = self.folders().pop().expect("a run");
        let to = self.path("logs/night").join(id);
        std::fs::create_dir(&to).expect("a folder");
        for name in ["events.jsonl", "run.log"] {
            let text = std::fs::read_to_string(from.join(name)).expect("a journal");
            std::fs::write(to.join(name), if name == "events.jsonl" { change(text) } else { text }).expect("a file");
        }
        to
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// Waits for the next second, so that ids order as runs do.
fn next_second() {
    std::thread::sleep(Duration::from_millis(1050));
}

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
    assert!(text(&runs[6]["problem"]).contains("it is no file"), "{}", runs[6]);
    assert_eq!(world.results(&["--dir", "logs"]).split(' ').count(), 9);
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

#[test]
fn a_log_is_printed_as_it_was_written() {
    let world = World::new();
    world.run(&["bad"], &[], 1);
    let id = world.folders().pop().expect("a run").file_name().expect("a name").to_string_lossy().into_owned();
    let log = std::fs::read_to_string(world.path("logs/night").join(&id).join("run.log")).expect("a log");
    assert!(log.contains("no | room ***"), "{log}");
    for word in [id.as_str(), &id[..10], "last"] {
        let run = world.runplan(&["logs", word, "--plan", "plan.yaml"]).ends(0);
        assert_eq!(run.out, log);
        assert_eq!(run.said, log);
    }
    assert_eq!(world.runplan(&["logs", "last", "--dir", "logs"]).ends(0).out, log);
    assert_eq!(world.runplan(&["logs", "last", "--dir", "logs", "--plan", "night"]).ends(0).out, log);
    world.again("20200101T000000Z-aaaa", |t| t);
    world.again("20200101T000000Z-bbbb", |t| t);
    let logs = |word: &str| world.runplan(&["logs", word, "--plan", "plan.yaml"]);
    logs("2020").ends(2).says("2 runs begin with `2020`").says("`20200101T000000Z-aaaa` (night)");
    logs("20200101T000000Z-bbab").ends(2).says("did you mean `20200101T000000Z-bbbb`?");
    logs("2021").ends(2).says("the nearest are").says(&id);
    // Without a plan the user's state folder is meant, and a run there needs no plan.
    world.runplan(&["logs", "last"]).ends(2).says("there is no run").says("add `--plan FILE`");
    world.write("other.yaml", &PLAN.replace("logs: { dir: logs, keep: 20 }\n", ""));
    world.runplan(&["other.yaml", "-q"]).ends(0);
    world.runplan(&["logs", "last"]).ends(0).says("run of plan night (other.yaml)".trim_start_matches("run "));
    world.runplan(&["history"]).ends(0).says("night");
    world.runplan(&["history", "night"]).ends(0).says(" ok ");
    world.runplan(&["status", "night", "--max-age", "1h"]).ends(0).says("OK - night: last good run ");
}

fn status(world: &World, arguments: &[&str]) -> Run {
    world.runplan(&[&["status", "plan.yaml"], arguments].concat())
}

#[test]
fn status_is_good_as_long_as_the_last_good_run_is_young_enough() {
    let mut world = World::new();
    let hour = ["--max-age", "1h"];
    status(&world, &[]).ends(2).says("like `--max-age 26h`");
    let never = status(&world, &hour).ends(1).says("CRITICAL - night: no good run; it never ran: ");
    assert_eq!(never.out.lines().count(), 1);
    // One that took only some steps is no proof, and neither is a dry run or one that failed.
    world.run(&[], &["--only", "prune"], 0);
    world.runplan(&["-n", "plan.yaml"]).ends(0);
    status(&world, &hour).ends(1).says("no good run; last run ").says("was not whole: without dump");
    world.run(&["bad"], &[], 1);
    let failed = status(&world, &hour).ends(1).says("failed at dump: `sh` ended with exit status 3: no / room ***");
    assert!(!failed.out.contains('|'), "{}", failed.said);
    next_second();
    world.start();
    status(&world, &hour).ends(1).says("no good run; ").says("a run goes on for ").says(", at dump");
    world.kill();
    world.end_step();
    status(&world, &hour).ends(1).says("no good run; last run ").says("was killed at dump");

    next_second();
    world.run(&["warn"], &[], 0);
    let good = status(&world, &hour).ends(0).says("OK - night: last good run ").says("with 1 warning | age=");
    assert!(good.out.contains("s;;3600 duration=") && good.out.lines().count() == 1, "{}", good.said);
    std::thread::sleep(Duration::from_millis(2100));
    status(&world, &["--max-age", "1s"]).ends(1).says("CRITICAL - night: last good run ").says("more than 1s");
    // What failed since then is said, and the good one stands.
    world.run(&["bad"], &[], 1);
    let both = status(&world, &hour).ends(0).says("OK - night: last good run ").says("; last run ");
    assert!(both.out.contains("failed at dump"), "{}", both.said);
    world.start();
    status(&world, &hour).ends(0).says("a run goes on for ");
    world.kill();
    status(&world, &hour).ends(0).says("was killed at dump");

    let document = status(&world, &["--max-age", "1h", "--format", "json"]).ends(0).json();
    assert_eq!(document["schema_version"], 1);
    assert_eq!((&document["ok"], &document["max_age_seconds"]), (&true.into(), &3600.0.into()));
    assert_eq!((&document["last_good"]["result"], &document["last"]["result"]), (&"warning".into(), &"killed".into()));
    assert!(document["age_seconds"].as_f64().is_some_and(|s| s > 2.0 && s < 600.0), "{document}");
}

#[test]
fn status_of_one_plan_for_several_databases_asks_for_each() {
    let world = World::new();
    world.run(&[], &["-p", "db=one"], 0);
    world.run(&["bad"], &["-p", "db=two"], 1);
    let hour = ["--max-age", "1h"];
    status(&world, &hour).ends(0);
    status(&world, &[&hour[..], &["-p", "db=one"]].concat()).ends(0).says("OK - night (db=one): ");
    status(&world, &[&hour[..], &["-p", "db=two"]].concat()).ends(1).says("CRITICAL - night (db=two): no good run; ");
    status(&world, &[&hour[..], &["-p", "db=three"]].concat()).ends(1).says("it never ran");
    assert_eq!(world.history(&["plan.yaml", "-p", "db=two"]).len(), 1);
    // The folder of the logs may hang on a parameter.
    let by_db = PLAN.replace("dir: logs", "dir: 'logs-${{ params.db }}'").replace(", default: app", "");
    world.write("by-db.yaml", &by_db);
    world.runplan(&["by-db.yaml", "-q", "-p", "db=x"]).ends(0);
    world.runplan(&["status", "by-db.yaml", "--max-age", "1h", "-p", "db=x"]).ends(0);
    world.runplan(&["status", "by-db.yaml", "--max-age", "1h"]).ends(2).says("give what it reads with `-p`");
    world.write("by-run.yaml", &PLAN.replace("dir: logs", "dir: 'logs-${{ run.id }}'"));
    world.runplan(&["history", "by-run.yaml"]).ends(2).says("another folder for each run").says("`--dir`");
}

#[test]
fn status_says_what_keeps_it_from_knowing() {
    let world = World::new();
    world.run(&[], &[], 0);
    // A clock that was wrong must not keep a plan well for years.
    let year = world.again("20300101T000000Z-0001", |t| {
        let (from, to) = (format!("\"time\":\"{}", &now()[..4]), "\"time\":\"2030");
        t.replace(&from, to)
    });
    let hour = ["--max-age", "1h"];
    status(&world, &hour)
        .ends(1)
        .says("CRITICAL - night: the last good run 20300101T000000Z-0001 ended")
        .says("a clock");
    std::fs::remove_dir_all(year).expect("it was there");
    status(&world, &hour).ends(0);
    world.write("plan.yaml", &PLAN.replace("steps:", "stesp:"));
    status(&world, &hour).ends(78).says("CRITICAL - plan.yaml: the plan `plan.yaml` is not valid");
    world.runplan(&["history", "plan.yaml"]).ends(78).says("found by its name, with `--dir`");
    world.runplan(&["status", "night", "--dir", "logs", "--max-age", "1h"]).ends(0);
    world.runplan(&["status", "nigth", "--dir", "logs", "--max-age", "1h"]).ends(1).says("did you mean `night`?");
    world.runplan(&["status", "gone.yaml", "--max-age", "1h"]).ends(2).says("CRITICAL - gone.yaml: cannot read");
}

fn now() -> String {
    let date = Command::new("date").args(["-u", "+%Y-%m-%d"]).output().expect("date");
    String::from_utf8_lossy(&date.stdout).trim().to_owned()
}

#[test]
fn help_and_completion_know_them() {
    let world = World::new();
    for (command, words) in [
        ("history", vec!["--limit", "--failed", "--dir", "Exit codes:"]),
        ("logs", vec!["--plan", "the beginning of one, or `last`", "Exit codes:"]),
        ("status", vec!["--max-age", "prometheus", "is no proof", "Exit codes:"]),
        ("run", vec!["--report", "`junit`"]),
    ] {
        let help = world.runplan(&[command, "--help"]).ends(0).out;
        let text = help.split_whitespace().collect::<Vec<_>>().join(" ");
        words.iter().for_each(|w| assert!(text.contains(w), "{w}: {help}"));
    }
    let script = world.runplan(&["completions", "bash"]).ends(0).out;
    assert!(!script.is_empty());
    world.write("runplan.bash", &script);
    let complete = |words: &str| {
        let text = format!(
            "source ./runplan.bash; COMP_WORDS=({words}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); \
             _runplan runplan \"${{COMP_WORDS[COMP_CWORD]}}\" \"${{COMP_WORDS[COMP_CWORD-1]}}\"; echo \"${{COMPREPLY[@]}}\""
        );
        let output = Command::new("bash").current_dir(world.path("")).args(["-c", &text]).output().expect("bash");
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    assert!(complete("runplan hist").contains("history"), "{}", complete("runplan hist"));
    assert!(complete("runplan status --max").contains("--max-age"));
    assert!(complete("runplan status --format p").contains("prometheus"));
    assert!(complete("runplan logs --pl").contains("--plan"));
    let man = world.runplan(&["man"]).ends(0).out;
    assert!(["history", "logs", "status"].iter().all(|w| man.contains(w)));
}
