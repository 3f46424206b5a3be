//! Which run `last` is: never one of `runplan verify` or `runplan restore`, and never one of another plan in place of the
//! newest.

use crate::world::{PLAN, World, next_second};

/// The same plan without a folder of its own for logs, under another name.
fn in_state(name: &str) -> String {
    PLAN.replace("logs: { dir: logs, keep: 20 }\n", "").replace("name: night", &format!("name: {name}"))
}

#[test]
fn last_is_no_run_of_another_plan_than_the_newest() {
    let world = World::new();
    world.write("other.yaml", &in_state("other"));
    world.write("junk.zip", "junk");
    world.runplan(&["other.yaml", "-q"]).ends(0);
    next_second();
    world.run(&["bad"], &[], 1);
    // The newest run is one of `night`, which keeps its logs in a folder of its own.
    for command in [&["resume"][..], &["resume", "last"], &["logs", "last"], &["logs"]] {
        let refused = world.runplan(command).ends(2).says("the newest run is").says("of plan `night`");
        let word = command[0];
        let again =
            refused.says(if word == "resume" { "`runplan resume --plan " } else { "`runplan logs last --plan " });
        assert!(again.said.contains("plan.yaml`"), "{}", again.said);
    }
    world.runplan(&["resume", "--plan", "plan.yaml"]).ends(0);
    next_second();
    // A newer one in the state folder is the last again.
    world.runplan(&["other.yaml", "-q"]).ends(0);
    world.runplan(&["logs", "last"]).ends(0).says("of plan other");
    // The logs of the other plan may be gone.
    next_second();
    world.run(&[], &[], 0);
    world.runplan(&["logs", "last"]).ends(2).says("of plan `night`");
    std::fs::remove_dir_all(world.path("logs")).expect("they were there");
    world.runplan(&["logs", "last"]).ends(0).says("of plan other");
}

#[test]
fn last_is_no_run_of_verify_or_restore() {
    let world = World::new();
    world.write("junk.zip", "junk");
    world.runplan(&["verify", "junk.zip", "--password-env", "TOKEN"]).ends(1);
    world.runplan(&["logs", "last"]).ends(2).says("there is no run");
    world.runplan(&["resume"]).ends(2).says("there is no run").says("add `--plan FILE`");
    world.write("other.yaml", &in_state("other"));
    std::fs::write(world.path("bad"), "").expect("a file");
    world.runplan(&["other.yaml", "-q"]).ends(1);
    std::fs::remove_file(world.path("bad")).expect("it was there");
    next_second();
    world.runplan(&["verify", "junk.zip", "--password-env", "TOKEN"]).ends(1);
    world.runplan(&["restore", "junk.zip", "--into", "x", "--password-env", "TOKEN"]).ends(1);
    world.runplan(&["logs", "last"]).ends(0).says("of plan other");
    world.runplan(&["resume"]).ends(0).says("other: ok");
    // Asked for by name they are there.
    world.runplan(&["logs", "last", "--plan", "verify"]).ends(0).says("junk.zip");
    world.runplan(&["resume", "--plan", "verify"]).ends(2).says("runplan verify");
}

#[test]
fn runs_of_a_plan_called_verify_are_its_own() {
    let world = World::new();
    world.write("junk.zip", "junk");
    world.write("verify.yaml", &in_state("verify"));
    world.runplan(&["verify", "junk.zip", "--password-env", "TOKEN"]).ends(1);
    assert_eq!(world.results(&["verify.yaml"]), "");
    world.runplan(&["status", "verify.yaml", "--max-age", "1h"]).ends(1).says("it never ran");
    world.runplan(&["verify.yaml", "-q"]).ends(0);
    next_second();
    world.runplan(&["verify", "junk.zip", "--password-env", "TOKEN"]).ends(1);
    assert_eq!(world.results(&["verify.yaml"]), "ok");
    world
        .runplan(&["logs", "last", "--plan", "verify.yaml"])
        .ends(0)
        .says(&format!("of plan verify ({})", world.path("verify.yaml").display()));
    let status = world.runplan(&["status", "verify.yaml", "--max-age", "1h"]).ends(0);
    assert!(!status.said.contains("failed"), "{}", status.said);
}
