//! What is left of a run is done, and nothing twice.

use crate::runs::{NIGHT, WAITS, metric, next_second, night, seconds, steps, text, written};
use crate::world::{Run, World};

#[test]
fn what_is_left_of_a_night_is_done_without_another_dump() {
    let world = night();
    std::fs::create_dir(world.path("share")).expect("a folder");
    world.run(NIGHT, &[]).ends(0).never_says("runplan resume");
    let before = world.archives("out");
    std::fs::rename(world.path("share"), world.path("away")).expect("the share goes");
    next_second();
    let failed = world.run(NIGHT, &[]).ends(1).says("there is no folder `share`");
    let both = world.archives("out");
    assert_eq!((both.len(), &both[..1]), (2, &before[..]), "nothing is removed after a failure");
    let made = world.path(&format!("out/{}", both[1]));
    let time = written(&made);
    let stopped = world.last();
    let folder = world.path(&format!("logs/night/{stopped}"));
    failed.says(&format!("help: to go on where it stopped: runplan resume {}\n", folder.display()));

    // The share is still away: that costs nothing either, and the next one goes on with this one.
    next_second();
    let again = world.resume(&[&folder.to_string_lossy()]).ends(1).says("there is no folder `share`");
    let second = world.last();
    again.says(&format!("{second}\n"));
    world
        .resume(&[&stopped, "--plan", "plan.yaml"])
        .ends(2)
        .says("did not end well")
        .says("go on with that one: ")
        .says(&second);

    std::fs::rename(world.path("away"), world.path("share")).expect("the share is back");
    next_second();
    let run = world.resume_last(&[]).ends(0).says(&format!("goes on with run {second}"));
    run.says(&format!("dump         done by run {stopped}")).says("night: ok in ").never_says("runs /");
    assert_eq!(world.archives("out"), both[1..], "the older one went, since all went well");
    assert_eq!(written(&made), time);
    assert_eq!(world.archives("share"), both, "the copy is there");
    assert_eq!(std::fs::read_to_string(world.path("told")).expect("two mails").lines().count(), 2);
    assert_eq!(world.sql("SELECT count(*) FROM controle_vacuum"), "1", "no table is vacuumed again");

    let history = world.history();
    let results: Vec<&str> = history.iter().map(|r| text(&r["result"])).collect();
    assert_eq!(results, ["ok", "failed", "failed", "ok"]);
    assert_eq!((text(&history[2]["resumes"]["run"]), text(&history[3]["resumes"]["run"])), (&*stopped, &*second));
    let table: Run = world.runplan().args(["history", "plan.yaml"]).output().expect("runs").into();
    table.ends(0).says(&format!("goes on with {second}"));
    let status: Run = world.runplan().args(["status", "plan.yaml", "--max-age", "1h"]).output().expect("runs").into();
    status.ends(0).says("OK - night: last good run ").says(&format!("which went on with {second}"));
    // The dump is as old as the run that made it.
    assert_eq!(metric(&world, "runplan_last_success_timestamp_seconds{"), seconds(&history[1]["ended_at"]));
    assert_eq!(metric(&world, "runplan_last_run_timestamp_seconds{"), seconds(&history[3]["ended_at"]));

    // Nothing is left to do, whoever asks.
    world.resume_last(&[]).ends(0).says("nothing is left to do: run ");
    world.resume(&[&second, "--plan", "plan.yaml"]).ends(0).says("went on with run ").says("ended well");
    assert_eq!(world.history().len(), 4);
}

#[test]
fn a_run_that_was_killed_is_gone_on_with_once_it_is_gone() {
    let world = night();
    let plan =
        NIGHT.replace("  - { id: copy, uses: copy, with: { from: \"${{ vars.archive }}\", to: share } }\n", WAITS);
    world.run(&plan, &["--skip", "waits,prune"]).ends(0);
    next_second();
    let waits = world.start(&["plan.yaml"]);
    let run = world.last();
    world.resume_last(&[]).ends(75).says(&format!("run {run} of plan night goes on, at waits"));
    waits.kill();
    assert_eq!(text(&world.history()[1]["result"]), "killed");
    let archives = world.archives("out");
    next_second();

    // Only one goes on with it, and nobody goes on with that one while it lives.
    let waits = world.start(&["resume", "last", "--plan", "plan.yaml"]);
    world.resume(&[&run, "--plan", "plan.yaml"]).ends(75).says(&format!("goes on with run {run}"));
    waits.kill();
    next_second();
    world.resume_last(&[]).ends(0).says(&format!("done by run {run}"));
    assert_eq!(world.archives("out"), archives[1..], "it is the one of the run that was killed");
    assert_eq!(text(&world.history()[3]["result"]), "ok");
}

#[test]
fn a_failure_that_the_plan_allows_stays_one() {
    let world = night();
    std::fs::create_dir(world.path("out")).expect("a folder");
    let plan = NIGHT.replace("id: copy,", "id: copy, continue_on_error: true,").replace(
        "  - { id: prune,",
        "  - { id: after, uses: command, with: { argv: [sh, -c, 'test ! -e bad-after'] } }\n  - { id: prune,",
    );
    world.run(&plan, &["--only", "dump"]).ends(0);
    next_second();
    world.bad("after");
    world.run(&plan, &[]).ends(1);
    world.good("after");
    std::fs::create_dir(world.path("share")).expect("a folder");
    next_second();
    let run = world.resume_last(&["--format", "json"]).ends(0).json();
    assert_eq!((&run["result"], &run["steps"][2]["status"]), (&"warning".into(), &"warning".into()));
    // An archive without its copy: nothing goes, as in a run of its own.
    assert_eq!((world.archives("out").len(), world.archives("share").len()), (2, 0));
    world.resume_last(&[]).ends(0).says("ended well, with 1 warning that the plan allows");
}

#[test]
fn what_follows_a_step_that_is_done_again_is_done_again_too() {
    let world = World::new();
    world.bad("three");
    world.run(&steps(&["one", "two", "three"]), &[]).ends(1);
    world.good("three");
    world.done();
    // A disk that lost a piece: what became of the first step is not known any more.
    let events = world.path(&format!("logs/night/{}/events.jsonl", world.last()));
    let text = std::fs::read_to_string(&events).expect("a journal");
    let lost = |line: &&str| line.contains("step_finished") && line.contains("\"label\":\"one\"");
    assert_eq!(text.lines().filter(lost).count(), 1);
    let kept: Vec<&str> = text.lines().filter(|line| !lost(line)).collect();
    std::fs::write(&events, kept.join("\n") + "\n").expect("a journal");
    next_second();
    world.resume_last(&[]).ends(0);
    assert_eq!(world.done(), "one two three");
}

#[test]
fn a_run_is_gone_on_with_once_also_when_the_clock_was_set_back() {
    let world = World::new();
    world.bad("two");
    world.run(&steps(&["one", "two"]), &[]).ends(1);
    let now = world.last();
    // The clock was ahead when it ran.
    let ahead = format!("2099{}", &now[4..]);
    let events = world.path(&format!("logs/night/{now}/events.jsonl"));
    let text = std::fs::read_to_string(&events).expect("a journal").replace(&now, &ahead);
    std::fs::write(&events, text).expect("a journal");
    std::fs::rename(world.path(&format!("logs/night/{now}")), world.path(&format!("logs/night/{ahead}")))
        .expect("a name");
    world.good("two");
    world.done();
    world.resume(&[&ahead, "--plan", "plan.yaml"]).ends(0);
    world.resume(&[&ahead, "--plan", "plan.yaml"]).ends(0).says("nothing is left to do: run ");
    assert_eq!(world.done(), "two");
}

#[test]
fn an_old_run_that_is_gone_on_with_is_no_younger_proof_than_a_whole_one() {
    let world = World::new();
    world.bad("two");
    world.run(&steps(&["one", "two"]), &[]).ends(1);
    let old = world.last();
    world.good("two");
    next_second();
    world.run(&steps(&["one", "two"]), &[]).ends(0);
    next_second();
    world.resume(&[&old, "--plan", "plan.yaml"]).ends(0);
    let history = world.history();
    let results: Vec<&str> = history.iter().map(|r| text(&r["result"])).collect();
    assert_eq!(results, ["failed", "ok", "ok"]);
    assert_eq!(metric(&world, "runplan_last_success_timestamp_seconds{"), seconds(&history[1]["ended_at"]));
    let status: Run = world.runplan().args(["status", "plan.yaml", "--max-age", "1h"]).output().expect("runs").into();
    status.ends(0).says(text(&history[1]["run"]));
}
