//! `--report`: written whole at the end of a run, whatever that end is.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::world::{CANARY, Run, World};

const ALL: [&str; 6] = ["--report", "json:r.json", "--report", "junit:r.xml", "--report", "markdown:r.md"];

impl World {
    /// What a report holds; never a secret.
    fn report(&self, name: &str) -> String {
        let text = std::fs::read_to_string(self.path(name)).expect("a report");
        assert!(!text.contains(CANARY), "{text}");
        text
    }

    fn json_report(&self) -> Value {
        serde_json::from_str(&self.report("r.json")).expect("JSON")
    }
}

#[test]
fn a_report_is_written_after_a_good_run_and_a_bad_one() {
    let world = World::new();
    let printed = world.runplan(&[&["plan.yaml", "--format", "json"], &ALL[..]].concat()).ends(0).json();
    assert_eq!(world.json_report(), printed);
    assert_eq!((&printed["schema_version"], &printed["result"]), (&1.into(), &"ok".into()));
    assert!(world.report("r.md").starts_with("## night: ok\n"), "{}", world.report("r.md"));

    world.run(&["bad"], &ALL, 1);
    let json = world.json_report();
    assert_eq!((&json["result"], &json["exit_code"]), (&"failed".into(), &1.into()));
    assert_eq!(json["failure"]["step"], "dump");
    assert_eq!(json["steps"][0]["status"], "failed");
    assert_eq!(json["steps"][1]["reason"], "an earlier step failed");
    let xml = world.report("r.xml");
    let document = roxmltree::Document::parse(&xml).expect("XML");
    let case = |name: &str| {
        let found = document.descendants().find(|n| n.attribute("name") == Some(name) && n.has_tag_name("testcase"));
        found.unwrap_or_else(|| panic!("{name}: {xml}"))
    };
    let failure = case("dump").children().find(|n| n.has_tag_name("failure")).expect("it failed");
    assert_eq!(failure.attribute("message"), Some("`sh` ended with exit status 3: no | room ***"));
    assert!(case("prune").children().any(|n| n.has_tag_name("skipped")));
    let suite = document.descendants().find(|n| n.has_tag_name("testsuite")).expect("a suite");
    let counts = ["tests", "failures", "errors", "skipped"].map(|k| suite.attribute(k).unwrap_or_default());
    assert_eq!(counts, ["2", "1", "0", "1"]);
    let page = world.report("r.md");
    assert!(page.contains("**Failed at dump:**") && page.contains("no \\| room \\*\\*\\*"), "{page}");

    // A run that fails before its first step has a case that failed all the same.
    let mut command = world.command(env!("CARGO_BIN_EXE_runplan"));
    let output = command.args(["plan.yaml", "-q"]).args(ALL).env_remove("TOKEN").output().expect("the binary runs");
    Run::of(&output).ends(77);
    assert_eq!(world.json_report()["failure"]["kind"], "secret");
    let xml = world.report("r.xml");
    let document = roxmltree::Document::parse(&xml).expect("XML");
    let error = document.descendants().find(|n| n.has_tag_name("error")).expect("an error");
    assert_eq!(error.attribute("type"), Some("secret"));
    assert!(error.attribute("message").is_some_and(|m| m.contains("TOKEN")), "{xml}");
}

#[test]
fn a_run_that_was_told_to_stop_is_reported_too() {
    let world = World::new();
    world.write("slow", "");
    let mut command = world.command(env!("CARGO_BIN_EXE_runplan"));
    let mut child = command.args(["plan.yaml", "-q"]).args(ALL).stderr(Stdio::null()).spawn().expect("the binary runs");
    let until = Instant::now() + Duration::from_secs(20);
    while !world.path("pid").exists() {
        assert!(Instant::now() < until, "the step does not begin");
        std::thread::sleep(Duration::from_millis(20));
    }
    // Nothing of it is there before the end.
    assert!(ALL.iter().all(|a| !a.split_once(':').is_some_and(|(_, file)| world.path(file).exists())));
    Command::new("kill").args(["-TERM", &child.id().to_string()]).status().expect("kill");
    assert_eq!(child.wait().expect("it ends").code(), Some(143));
    let json = world.json_report();
    assert_eq!((&json["exit_code"], &json["failure"]["kind"]), (&143.into(), &"signal".into()));
    assert!(world.report("r.xml").contains("<failure "), "{}", world.report("r.xml"));
}

#[test]
fn one_that_cannot_be_written_exits_73_and_hides_nothing() {
    let world = World::new();
    std::fs::create_dir(world.path("folder")).expect("a folder");
    let missing = ["--report", "junit:gone/r.xml"];
    let run = |with: &[&str], arguments: &[&str]| {
        with.iter().for_each(|name| world.write(name, ""));
        let run = world.runplan(&[&["plan.yaml"], arguments].concat());
        with.iter().for_each(|name| std::fs::remove_file(world.path(name)).expect("it was there"));
        run
    };
    let good = run(&[], &missing).ends(73).says("the report `gone/r.xml` cannot be written: No such file");
    assert!(good.out.contains("night: ok"), "{}", good.said);
    assert!(!world.path("gone").exists());
    // The gravest counts, and what the run failed at is said.
    run(&["bad"], &missing).ends(73).says("no | room ***");
    let mut command = world.command(env!("CARGO_BIN_EXE_runplan"));
    let output = command.arg("plan.yaml").args(missing).env_remove("TOKEN").output().expect("the binary runs");
    Run::of(&output).ends(77).says("gone/r.xml").says("TOKEN");
    // One of several does not keep the others from being written.
    run(&[], &["--report", "json:folder", "--report", "json:r.json"]).ends(73).says("it is there and is no file");
    assert_eq!(world.json_report()["result"], "ok");
    // A device stays what it is.
    assert!(Command::new("mkfifo").arg(world.path("pipe")).status().expect("mkfifo").success());
    run(&[], &["--report", "json:pipe"]).ends(73);
    assert!(!world.path("pipe").metadata().expect("a pipe").is_file());
    // The run itself went well, and its journal says so.
    world.runplan(&["status", "plan.yaml", "--max-age", "1h"]).ends(0);
    // What cannot be meant is refused before the run.
    let runs = world.history(&["plan.yaml"]).len();
    run(&[], &["--report", "juint:r.xml"]).ends(2).says("did you mean `junit`?");
    run(&[], &["--report", "r.xml"]).ends(2).says("like `junit:report.xml`");
    run(&[], &["--report", "json:r.json", "-n"]).ends(2).says("cannot be used with");
    run(&[], &["--report", "json:r", "--report", "junit:r"]).ends(2).says("two reports would be written to `r`");
    assert_eq!(world.history(&["plan.yaml"]).len(), runs);
}

#[test]
fn an_older_report_is_replaced_in_one_step() {
    let world = World::new();
    world.write("r.json", "old");
    std::fs::hard_link(world.path("r.json"), world.path("kept")).expect("a link");
    world.run(&[], &["--report", "json:r.json"], 0);
    assert_eq!(world.json_report()["result"], "ok");
    // Whoever reads the old one meanwhile reads it to its end.
    assert_eq!(world.report("kept"), "old");
    // When the last moment fails, the old one stays, and nothing lies beside it.
    world.write("r.json", "older");
    let mut command = world.command("strace");
    command.args(["-f", "-qq", "-o", "/dev/null", "-e", "trace=/^rename", "-e", "inject=/^rename:error=EIO"]);
    command.args([env!("CARGO_BIN_EXE_runplan"), "plan.yaml", "-q", "--report", "json:r.json"]);
    Run::of(&command.output().expect("strace: run `tests/sandbox cargo test`")).ends(73).says("Input/output error");
    assert_eq!(world.report("r.json"), "older");
    let names = std::fs::read_dir(world.path("")).expect("the folder").flatten();
    let mut names: Vec<String> = names.map(|e| e.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    assert_eq!(names, ["kept", "logs", "plan.yaml", "r.json", "state"]);
}

#[cfg(unix)]
#[test]
fn others_may_read_it_as_far_as_the_umask_lets_them() {
    use std::os::unix::fs::PermissionsExt;
    let world = World::new();
    for (umask, mode) in [("022", 0o644), ("077", 0o600)] {
        let mut command = world.command("sh");
        command.args(["-c", &format!("umask {umask}; exec \"$@\""), "sh", env!("CARGO_BIN_EXE_runplan")]);
        let output = command.args(["plan.yaml", "-q", "--report", "json:r.json"]).output().expect("sh");
        Run::of(&output).ends(0);
        assert_eq!(world.path("r.json").metadata().expect("a report").permissions().mode() & 0o777, mode);
    }
}
