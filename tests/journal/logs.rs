//! `logs`, and what the command line says of itself.

use crate::world::{PLAN, World};

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
    assert_eq!(world.runplan(&["logs", &format!("logs/night/{id}")]).ends(0).out, log);
    world.runplan(&["logs", "plan.yaml"]).ends(2).says("`plan.yaml` is a plan, and no run");
    assert_eq!(world.runplan(&["logs", "last", "--dir", "logs", "--plan", "night"]).ends(0).out, log);
    world.again("20200101T000000Z-aaaa", |t| t);
    world.again("20200101T000000Z-bbbb", |t| t);
    let logs = |word: &str| world.runplan(&["logs", word, "--plan", "plan.yaml"]);
    logs("2020").ends(2).says("2 runs begin with `2020`").says("`20200101T000000Z-aaaa` (night)");
    logs("20200101T000000Z-bbab").ends(2).says("did you mean `20200101T000000Z-bbbb`?");
    logs("2021").ends(2).says("the nearest are").says(&id);
    // Without a plan the user's state folder is meant, and a run there needs no plan.
    world.runplan(&["logs", "last"]).ends(2).says("which keeps its logs in").says("plan.yaml`");
    world.write("other.yaml", &PLAN.replace("logs: { dir: logs, keep: 20 }\n", ""));
    world.runplan(&["other.yaml", "-q"]).ends(0);
    world.runplan(&["logs", "last"]).ends(0).says(&format!("of plan night ({})", world.path("other.yaml").display()));
    world.runplan(&["history"]).ends(0).says("night");
    world.runplan(&["history", "night"]).ends(0).says(" ok ");
    world.runplan(&["status", "night", "--max-age", "1h"]).ends(0).says("OK - night: last good run ");
}

#[test]
fn help_and_manual_know_them() {
    let world = World::new();
    for (command, words) in [
        ("history", vec!["--limit", "--failed", "--dir", "Exit codes:"]),
        ("logs", vec!["--plan", "the beginning of one, `last`", "Exit codes:"]),
        ("resume", vec!["--changed", "are not done again", "[default: last]", "Exit codes:"]),
        ("status", vec!["--max-age", "prometheus", "does not count", "Exit codes:"]),
        ("run", vec!["--report", "`junit`"]),
    ] {
        let help = world.runplan(&[command, "--help"]).ends(0).out;
        let text = help.split_whitespace().collect::<Vec<_>>().join(" ");
        words.iter().for_each(|w| assert!(text.contains(w), "{w}: {help}"));
    }
    let man = world.runplan(&["man"]).ends(0).out;
    assert!(["history", "logs", "resume", "status"].iter().all(|w| man.contains(w)));
}
