//! One plan over many databases.

use crate::runs::{next_second, night, text};
use crate::world::World;

#[test]
fn of_several_targets_only_those_are_run_that_did_not_end_well() {
    let world = World::new();
    let targets = "- { name: a }\n- { name: b, params: { v: bee } }\n- { name: c }\n- { name: d }\n";
    world.write("targets.yaml", targets);
    let plan = "params: { v: { type: string, default: none }, w: { type: string, default: x } }\ntargets: { include: targets.yaml }\nsteps:\n\
        \x20 - { id: one, uses: command, with: { argv: [sh, -c, 'echo \"one-$0\" >> done', \"${{ target.name }}\"] } }\n\
        \x20 - { id: two, uses: command, with: { argv: [sh, -c, 'test ! -e \"bad-$0\" || exit 3; echo \"two-$0-$1-$2\" >> done', \"${{ target.name }}\", \"${{ params.v }}\", \"${{ params.w }}\"] } }\n";
    world.bad("b");
    let failed = world.run(plan, &["-p", "w=y", "-l", "a", "-l", "b", "-l", "c"]).ends(1).says("1 of 3 targets failed");
    failed.says("runplan resume ");
    let first = world.last();
    assert_eq!(world.done(), "one-a two-a-none-y one-b one-c two-c-none-y");
    next_second();
    world.resume_last(&[]).ends(1).says("1 of 3 targets failed");
    assert_eq!(world.done(), "");
    world.good("b");
    next_second();
    world.write("targets.yaml", targets.replace("bee", "bug"));
    world.resume_last(&[]).ends(2).says("`targets.yaml` has changed since run ");
    world.write("targets.yaml", targets);
    let run = world.resume_last(&["--format", "json"]).ends(0).json();
    assert_eq!(world.done(), "two-b-bee-y");
    let told: Vec<_> =
        run["targets"].as_array().expect("targets").iter().map(|t| (text(&t["target"]), text(&t["done_by"]))).collect();
    assert_eq!(told, [("a", &*first), ("c", &*first), ("b", "")]);
    let last = world.history().pop().expect("a run");
    assert_eq!((&last["result"], &last["left_out"]), (&"ok".into(), &serde_json::json!(["target d"])));
    world.resume_last(&[]).ends(0).says("nothing is left to do");
}

#[test]
fn a_target_that_ended_well_has_what_it_made_and_all_that_the_plan_asks() {
    let world = night();
    let plan = "secrets: { zip: { env: TEST_ZIP } }\ntargets: { list: [{ name: a }, { name: b }] }\nsteps:\n\
        \x20 - id: dump\n    uses: pg_dump\n    with: { archive: { path: \"out/${{ target.name }}-${{ run.id }}.zip\", password: \"${{ secrets.zip }}\" } }\n\
        \x20 - { id: two, uses: command, with: { argv: [sh, -c, 'test ! -e \"bad-$0\"', \"${{ target.name }}\"] } }\n";
    world.bad("b");
    world.run(plan, &[]).ends(1);
    let name = world.archives("out").remove(0);
    let archive = world.path(&format!("out/{name}"));
    std::fs::rename(&archive, world.path("hidden")).expect("it goes");
    world.good("b");
    next_second();
    let run = world.resume_last(&[]).ends(1).says("1 of 2 targets failed: `a`: what `dump` did in run ");
    run.says(&format!("`out/{name}` is gone"));
    std::fs::rename(world.path("hidden"), &archive).expect("it is back");
    next_second();
    world.resume_last(&[]).ends(0);
    assert_eq!(world.archives("out").len(), 2);

    // What the plan asks by now is asked of both, and the dumps are not made again.
    world.bad("b");
    next_second();
    world.run(plan, &[]).ends(1);
    world.good("b");
    world.rewrite(|t| {
        t + "  - { id: three, uses: command, with: { argv: [sh, -c, 'echo \"three-$0\" >> done', \"${{ target.name }}\"] } }\n"
    });
    next_second();
    world.resume_last(&["--changed"]).ends(0);
    assert_eq!((world.done(), world.archives("out").len()), ("three-a three-b".to_owned(), 4));
}

#[test]
fn what_a_killed_run_did_not_come_to_is_known_from_the_one_before() {
    let world = World::new();
    let waits = "'if test \"$0\" = a -a -e slow; then echo $$ > pid; exec sleep 600; fi; test ! -e \"bad-$0\" || exit 3; echo \"two-$0\" >> done'";
    let plan = format!(
        "targets: {{ list: [{{ name: a }}, {{ name: b }}] }}\nsteps:\n\
         \x20 - {{ id: one, uses: command, with: {{ argv: [sh, -c, 'echo \"one-$0\" >> done', \"${{{{ target.name }}}}\"] }} }}\n\
         \x20 - {{ id: two, uses: command, with: {{ argv: [sh, -c, {waits}, \"${{{{ target.name }}}}\"] }} }}\n"
    );
    world.bad("a");
    world.bad("b");
    world.run(&plan, &[]).ends(1);
    assert_eq!(world.done(), "one-a one-b");
    world.good("a");
    world.good("b");
    next_second();
    // The second one is killed at the first target, before it comes to the other.
    world.start(&["resume", "last", "--plan", "plan.yaml"]).kill();
    next_second();
    world.resume_last(&[]).ends(0);
    assert_eq!(world.done(), "two-a two-b");
}
