//! Names, types and order.

use super::Explanation;
use crate::plan::check::codes;

pub const ALL: &[Explanation] = &[
    Explanation {
        code: codes::SYNTAX,
        title: "an expression that does not read as one",
        text: "Expressions have names, literals, `and`, `or`, `not`, comparisons, arithmetic, `~` to join texts, `a if b else c`, filters behind `|`, and the tests `is defined` and `is none`.",
        wrong: "version: 1
name: night
params: { a: { type: boolean, default: true } }
steps:
  - uses: command
    when: params.a && true
    with: { argv: [date] }
",
        right: "version: 1
name: night
params: { a: { type: boolean, default: true } }
steps:
  - uses: command
    when: params.a and env.HOME is defined
    with: { argv: [date] }
",
    },
    Explanation {
        code: codes::CALL,
        title: "a filter, test or function that is not there",
        text: "The filters are a closed list: date, default, join, lower, upper, replace, length, first, last, basename, dirname. There are no functions.",
        wrong: r#"version: 1
name: night
params: { dir: { type: path, default: x } }
steps:
  - uses: command
    with: { argv: [ls, "${{ upper(params.dir) }}"] }
"#,
        right: r#"version: 1
name: night
params: { dir: { type: path, default: x } }
steps:
  - uses: command
    with: { argv: [ls, "${{ params.dir | upper }}"] }
"#,
    },
    Explanation {
        code: codes::NAME,
        title: "a name that is not there",
        text: "Expressions read `params`, `secrets`, `vars`, `env`, `database`, `plan`, `run`, `steps.<id>.status`, `steps.<id>.outputs.<name>`, in `on_failure` and `finally` also `failure`, and in a plan with targets `target`.",
        wrong: r#"version: 1
name: night
params: { backup_dir: { type: path, default: x } }
steps:
  - uses: command
    with: { argv: [ls, "${{ params.bakup_dir }}"] }
"#,
        right: r#"version: 1
name: night
params: { backup_dir: { type: path, default: x } }
steps:
  - uses: command
    with: { argv: [ls, "${{ params.backup_dir }}"] }
"#,
    },
    Explanation {
        code: codes::TYPE,
        title: "types that do not go together",
        text: "A template that is the whole value keeps its type; beside other text it becomes a text, which a list, a map, true, false and null cannot. Values of different types are never equal by accident: comparing them is an error.",
        wrong: "version: 1
name: night
params: { keep: { type: integer, default: 1 } }
steps:
  - uses: command
    when: params.keep > '2'
    with: { argv: [date] }
",
        right: "version: 1
name: night
params: { keep: { type: integer, default: 1 } }
steps:
  - uses: command
    when: params.keep > 2
    with: { argv: [date] }
",
    },
    Explanation {
        code: codes::CYCLE,
        title: "values that read each other",
        text: "Vars, the database settings and the folder of the logs are computed once, each after what it reads. In a circle there is no first.",
        wrong: r#"version: 1
name: night
vars: { a: "${{ vars.b }}", b: "${{ vars.a }}" }
steps:
  - uses: command
    with: { argv: ["${{ vars.a }}"] }
"#,
        right: r#"version: 1
name: night
vars: { a: "${{ vars.b }}", b: x }
steps:
  - uses: command
    with: { argv: ["${{ vars.a }}"] }
"#,
    },
    Explanation {
        code: codes::WRAPPED_WHEN,
        title: "a condition in template marks",
        text: "`when` is an expression as it stands. In marks it would be a text, and no text is a condition.",
        wrong: "version: 1
name: night
params: { full: { type: boolean, default: true } }
steps:
  - uses: command
    when: ${{ params.full }}
    with: { argv: [date] }
",
        right: "version: 1
name: night
params: { full: { type: boolean, default: true } }
steps:
  - uses: command
    when: params.full
    with: { argv: [date] }
",
    },
    Explanation {
        code: codes::TOO_EARLY,
        title: "a step that is read before it ran",
        text: "A step has a status and outputs once it ended. Steps run in the order in which they stand; handlers run after them, and `finally` last.",
        wrong: r#"version: 1
name: night
steps:
  - { uses: command, with: { argv: ["code ${{ steps.a.outputs.exit_code }}"] } }
  - { id: a, uses: command, with: { argv: [date] } }
"#,
        right: r#"version: 1
name: night
steps:
  - { id: a, uses: command, with: { argv: [date] } }
  - { uses: command, with: { argv: ["code ${{ steps.a.outputs.exit_code }}"] } }
"#,
    },
    Explanation {
        code: codes::MAYBE_MISSING,
        title: "a value that may not be there",
        text: "A step that was skipped or failed has no outputs, and reading one then fails. Give another value with `default`, or ask for the step's status first.",
        wrong: r#"version: 1
name: night
params: { full: { type: boolean, default: true } }
steps:
  - { id: a, uses: command, when: params.full, with: { argv: [date] } }
  - { uses: command, with: { argv: ["code ${{ steps.a.outputs.exit_code }}"] } }
"#,
        right: r#"version: 1
name: night
params: { full: { type: boolean, default: true } }
steps:
  - { id: a, uses: command, when: params.full, with: { argv: [date] } }
  - { uses: command, with: { argv: ["code ${{ steps.a.outputs.exit_code | default(0) }}"] } }
"#,
    },
    Explanation {
        code: codes::FAILS,
        title: "an expression that fails",
        text: "With the defaults of the parameters it cannot be computed, or gives what its place does not take. Where other parameters may make it work it is a warning.",
        wrong: r#"version: 1
name: night
params: { tables: { type: array, items: { type: string }, default: [a] } }
steps:
  - uses: command
    with: { argv: [echo, "${{ params.tables[7] }}"] }
"#,
        right: r#"version: 1
name: night
params: { tables: { type: array, items: { type: string }, default: [a] } }
steps:
  - uses: command
    with: { argv: [echo, "${{ params.tables[0] }}"] }
"#,
    },
];
