//! Past runs and reports of a plan with targets.

use crate::world::{PLAN, World, next_second, text};

fn plan() -> String {
    PLAN.replace("keep: 20", "keep: 2")
        .replace(
            "steps:\n",
            "targets:\n  list:\n    - { name: crm }\n    - { name: shop, params: { db: shop } }\nsteps:\n",
        )
        .replace("test ! -e bad ||", "test ! -e bad-${{ target.name }} ||")
}

#[test]
fn a_run_over_some_targets_takes_no_place_from_a_whole_one() {
    let world = World::new();
    world.write("plan.yaml", &plan());
    world.run(&[], &[], 0);
    for _ in 0..3 {
        next_second();
        world.run(&[], &["-l", "crm"], 0);
    }
    let health = world.runplan(&["status", "plan.yaml", "--max-age", "1h"]).ends(0);
    health.says("was not whole: without target shop");
    assert_eq!(world.folders().len(), 4);
    next_second();
    world.run(&[], &["-l", "crm", "-l", "shop"], 0);
    // The newest two of each: of `shop` they are the whole ones, of `crm` the last two.
    let left: Vec<String> = world.history(&["plan.yaml"]).iter().map(|r| r["left_out"].to_string()).collect();
    assert_eq!(left, ["[]", "[\"target shop\"]", "[]"]);
}

#[test]
fn each_target_has_its_class_in_a_report() {
    let world = World::new();
    world.write("plan.yaml", &plan());
    let all = ["--report", "junit:r.xml", "--report", "markdown:r.md"];
    world.run(&["bad-shop"], &all, 1);
    let report = std::fs::read_to_string(world.path("r.xml")).expect("a report");
    assert!(report.contains("tests=\"4\" failures=\"1\" errors=\"0\" skipped=\"1\""), "{report}");
    let case = |target: &str, inner: &str| {
        let from =
            report.find(&format!("<testcase name=\"dump\" classname=\"runplan.night.{target}\"")).expect("a case");
        let to = from + report[from..].find("<testcase name=\"prune\"").expect("the next one");
        assert!(report[from..to].contains(inner), "{target}: {inner}: {report}");
    };
    case("crm", "<system-out>");
    case("shop", "<failure message=");
    let page = std::fs::read_to_string(world.path("r.md")).expect("a report");
    assert!(page.contains("1 of 2 targets failed") && page.contains("| shop: dump | failed |"), "{page}");
    let last = world.history(&["plan.yaml"]).pop().expect("a run");
    assert!(text(&last["failure"]["error"]).contains("`shop` at dump"), "{last}");

    // What fails before its first step is a case of its own.
    world.runplan(&[&["plan.yaml", "-q"], &all[..]].concat()).ends(0);
    let missing =
        world.command(env!("CARGO_BIN_EXE_runplan")).args(["plan.yaml", "-q"]).args(all).env_remove("TOKEN").status();
    assert_eq!(missing.expect("the binary runs").code(), Some(77));
    let report = std::fs::read_to_string(world.path("r.xml")).expect("a report");
    assert_eq!(report.matches("<testcase name=\"target\"").count(), 2, "{report}");
    assert!(report.contains("errors=\"2\""), "{report}");
}

#[test]
fn where_a_run_was_killed_names_its_target() {
    let mut world = World::new();
    world.write("plan.yaml", &plan());
    world.start();
    let running = world.history(&["plan.yaml"]).pop().expect("a run");
    assert_eq!(text(&running["at_step"]), "crm: dump");
    world.kill();
    let killed = world.history(&["plan.yaml"]).pop().expect("a run");
    assert_eq!((text(&killed["result"]), text(&killed["at_step"])), ("killed", "crm: dump"));
}
