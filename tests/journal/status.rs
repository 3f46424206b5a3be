//! `status`: whether the last good run is young enough.

use std::process::Command;
use std::time::Duration;

use crate::world::{PLAN, Run, World, next_second};

fn status(world: &World, arguments: &[&str]) -> Run {
    world.runplan(&[&["status", "plan.yaml"], arguments].concat())
}

#[test]
fn status_is_good_as_long_as_the_last_good_run_is_young_enough() {
    let mut world = World::new();
    let hour = ["--max-age", "1h"];
    status(&world, &[]).ends(1).says("CRITICAL - night: no good run; it never ran: ");
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
fn a_good_run_keeps_its_place_beside_those_of_some_steps() {
    let world = World::new();
    world.write("plan.yaml", &PLAN.replace("keep: 20", "keep: 2"));
    world.run(&[], &[], 0);
    for _ in 0..3 {
        next_second();
        world.run(&[], &["--only", "prune"], 0);
    }
    status(&world, &["--max-age", "1h"]).ends(0).says("was not whole: without dump");
    world.run(&[], &[], 0);
    assert_eq!(world.folders().len(), 2);
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
    world.runplan(&["status", "gone.yaml", "--max-age", "1h"]).ends(2).says("CRITICAL - gone.yaml: there is no plan");
}

fn now() -> String {
    let date = Command::new("date").args(["-u", "+%Y-%m-%d"]).output().expect("date");
    String::from_utf8_lossy(&date.stdout).trim().to_owned()
}
