//! Keys, values, declarations and executors.

use super::Explanation;
use crate::plan::check::codes;

pub const ALL: &[Explanation] = &[
    Explanation {
        code: codes::UNKNOWN_KEY,
        title: "a key that the language does not have here",
        text: "A misspelt key would be dropped in silence, and with it what it was to do. `runplan steps NAME` shows the parameters of an executor. Keys that begin with `x-` are free at the top of a plan.",
        wrong: "version: 1
name: night
steps:
  - uses: command
    retrys: { attempts: 2 }
    with: { argv: [date] }
",
        right: "version: 1
name: night
steps:
  - uses: command
    retry: { attempts: 2 }
    with: { argv: [date] }
",
    },
    Explanation {
        code: codes::MISSING_KEY,
        title: "a key that must be there",
        text: "A plan needs `version`, `name` and `steps`; a step needs `uses`.",
        wrong: "name: night
steps:
  - uses: command
    with: { argv: [date] }
",
        right: "version: 1
name: night
steps:
  - uses: command
    with: { argv: [date] }
",
    },
    Explanation {
        code: codes::WRONG_TYPE,
        title: "a value of the wrong type",
        text: "A text, a number, true or false, a list and a map are different things, and none is turned into another by guessing. `yes`, `no`, `on` and `off` are texts.",
        wrong: "version: 1
name: night
steps:
  - uses: command
    continue_on_error: yes
    with: { argv: [date] }
",
        right: "version: 1
name: night
steps:
  - uses: command
    continue_on_error: true
    with: { argv: [date] }
",
    },
    Explanation {
        code: codes::WRONG_VALUE,
        title: "a value that is not allowed",
        text: "The value has the right type, but is out of bounds, none of the choices, or not written as it must be: lengths of time and sizes have a unit.",
        wrong: "version: 1
name: night
timeout: 30
steps:
  - uses: command
    with: { argv: [date] }
",
        right: "version: 1
name: night
timeout: 30m
steps:
  - uses: command
    with: { argv: [date] }
",
    },
    Explanation {
        code: codes::DUPLICATE_ID,
        title: "an id stands twice",
        text: "`steps.dump` must mean one step. Ids are unique in the whole plan, handlers included; so are the names of targets.",
        wrong: "version: 1
name: night
steps:
  - { id: a, uses: command, with: { argv: [date] } }
  - { id: a, uses: command, with: { argv: [date] } }
",
        right: "version: 1
name: night
steps:
  - { id: a, uses: command, with: { argv: [date] } }
  - { id: b, uses: command, with: { argv: [date] } }
",
    },
    Explanation {
        code: codes::NO_TEMPLATE,
        title: "a template where none is rendered",
        text: "What a plan does must be plain before it runs: `uses`, `id`, `tags`, `timeout`, `retry` and the declarations take plain values. Templates work in `with`, `name`, `vars`, `database`, `defaults`, `logs.dir`, `lock.key`, and in the `file` and `command` of a secret.",
        wrong: "version: 1
name: night
params: { long: { type: string, default: 2h } }
steps:
  - uses: command
    timeout: ${{ params.long }}
    with: { argv: [date] }
",
        right: "version: 1
name: night
steps:
  - uses: command
    timeout: 2h
    with: { argv: [date] }
",
    },
    Explanation {
        code: codes::BAD_PARAM,
        title: "a parameter that contradicts itself",
        text: "`minimum` and `maximum` are for numbers, `pattern` for strings, `items` for arrays; a pattern is a regular expression; some value must be allowed.",
        wrong: r#"version: 1
name: night
params: { dir: { type: string, minimum: 5, default: x } }
steps:
  - uses: command
    with: { argv: [ls, "${{ params.dir }}"] }
"#,
        right: r#"version: 1
name: night
params: { dir: { type: string, pattern: "^[^ ]+$", default: x } }
steps:
  - uses: command
    with: { argv: [ls, "${{ params.dir }}"] }
"#,
    },
    Explanation {
        code: codes::TARGET_SOURCE,
        title: "targets without a list, or with two",
        text: "The targets of a plan stand under `list`, or in the file that `include` names: a YAML list of the same items, which are checked as if they stood in the plan. The path begins at the folder of the plan.",
        wrong: "version: 1
name: night
targets: { max_parallel: 2 }
steps:
  - uses: command
    with: { argv: [date] }
",
        right: "version: 1
name: night
targets:
  max_parallel: 2
  list:
    - { name: crm, database: { dbname: crm } }
    - { name: shop, database: { dbname: shop } }
steps:
  - uses: command
    with: { argv: [date] }
",
    },
    Explanation {
        code: codes::UNKNOWN_STEP,
        title: "an executor that is not there",
        text: "`runplan steps` lists the executors.",
        wrong: "version: 1
name: night
steps:
  - uses: vaccum
",
        right: "version: 1
name: night
steps:
  - uses: vacuum
",
    },
    Explanation {
        code: codes::MISSING_PARAM,
        title: "a parameter that the executor needs",
        text: "It may stand in the step's `with`, or under `defaults` for every step that uses the executor. `runplan steps NAME` shows what is required.",
        wrong: "version: 1
name: night
steps:
  - uses: command
    with: { cwd: /srv }
",
        right: "version: 1
name: night
steps:
  - uses: command
    with: { cwd: /srv, argv: [date] }
",
    },
    Explanation {
        code: codes::FAULT,
        title: "parameters that do not go together",
        text: "Some parameters exclude or need each other; the executor says which. An archive is encrypted unless it says otherwise, and then needs a password.",
        wrong: r#"version: 1
name: night
steps:
  - uses: pg_dump
    timeout: 2h
    with: { archive: { path: "b/${{ run.id }}.zip" } }
"#,
        right: r#"version: 1
name: night
secrets: { zip: { env: ZIP } }
steps:
  - uses: pg_dump
    timeout: 2h
    with: { archive: { path: "b/${{ run.id }}.zip", password: "${{ secrets.zip }}" } }
"#,
    },
];
