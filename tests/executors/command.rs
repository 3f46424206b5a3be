//! Programs and what they publish.

use crate::world::World;

#[test]
fn a_program_publishes_typed_outputs() {
    let world = World::new();
    let plan = "steps:\n  - id: count\n    uses: command\n    with:\n      argv: [sh, -c, 'echo rows=7 >> \"$RUNPLAN_OUTPUT\"; echo names=a,b >> \"$RUNPLAN_OUTPUT\"; echo extra=1 >> \"$RUNPLAN_OUTPUT\"']\n      \
                outputs: { rows: { type: integer, description: Rows seen }, names: { type: array } }\n  \
                - { uses: command, when: steps.count.outputs.rows > 6, with: { argv: [echo, '${{ steps.count.outputs.rows + 1 }} ${{ steps.count.outputs.names | last }}'] } }\n";
    let run = world.run(plan, &["--format", "json"]).ends(0).says("8 b").says("the output `extra` is not declared");
    let outputs = &run.json()["steps"][0]["outputs"];
    assert_eq!(outputs, &serde_json::json!({ "exit_code": 0, "names": ["a", "b"], "rows": 7 }));
}

#[test]
fn an_output_that_is_missing_or_of_another_type_fails_the_step() {
    let world = World::new();
    let with = |script: &str| {
        format!(
            "steps:\n  - {{ id: c, uses: command, with: {{ argv: [sh, -c, '{script}'], outputs: {{ n: {{ type: integer }} }} }} }}\n"
        )
    };
    world.run(&with("true"), &[]).ends(1).says("did not publish `n`");
    world.run(&with("echo n=seven >> \"$RUNPLAN_OUTPUT\""), &[]).ends(1).says("the output `n`: expected an integer");
    world.run(&with("echo hello >> \"$RUNPLAN_OUTPUT\""), &[]).ends(1).says("expected `name=value`");
    let unknown =
        with("true").replace("}\n", "}\n  - { uses: command, with: { argv: ['${{ steps.c.outputs.m }}'] } }\n");
    world.run(&unknown, &[]).ends(78).says("has no `m`");
    world.run(&with("true").replace("{ n:", "{ exit_code:"), &[]).ends(78).says("`exit_code` is there already");
}
