//! What each code means, with a plan that is wrong and one that is right.

use super::codes;
use crate::diag::Code;
use crate::document::codes as yaml;

/// What a code means.
#[derive(Debug)]
pub struct Explanation {
    pub code: Code,
    /// A fragment.
    pub title: &'static str,
    /// Why it matters and what to do, in sentences.
    pub text: &'static str,
    /// A plan with the fault; empty where only an executor knows one.
    pub wrong: &'static str,
    /// The same plan without it.
    pub right: &'static str,
}

/// Every code there is, in order.
pub static ALL: &[Explanation] = &[
    Explanation {
        code: yaml::SYNTAX,
        title: "the text is no YAML",
        text: "The file cannot be read at all, so nothing else in it was checked. The usual causes are a tab in the indentation, a missing blank behind a colon, a quote or a bracket that is not closed, and a line that is indented otherwise than its neighbours.",
        wrong: "version: 1
name: night
steps:
  - uses:command
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
        code: yaml::DUPLICATE_KEY,
        title: "a key stands twice",
        text: "YAML readers take the first or the last of the two without a word, so one of them would do nothing.",
        wrong: "version: 1
name: night
timeout: 1h
steps:
  - uses: command
    with: { argv: [date] }
timeout: 2h
",
        right: "version: 1
name: night
timeout: 2h
steps:
  - uses: command
    with: { argv: [date] }
",
    },
    Explanation {
        code: yaml::MERGE_KEY,
        title: "merge keys are not read",
        text: "`<<` is no part of YAML 1.2, and hides where a value comes from. What several steps share stands under `defaults`, by executor.",
        wrong: "version: 1
name: night
x-base: &base { cwd: /srv }
steps:
  - uses: command
    with: { <<: *base, argv: [date] }
",
        right: "version: 1
name: night
defaults:
  command: { cwd: /srv }
steps:
  - uses: command
    with: { argv: [date] }
",
    },
    Explanation {
        code: yaml::DOCUMENTS,
        title: "more than one document",
        text: "A file holds one plan. A `---` begins another document, which nobody would run.",
        wrong: "version: 1
name: night
steps:
  - uses: command
    with: { argv: [date] }
---
version: 1
name: night
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
        code: yaml::DOUBTFUL,
        title: "YAML readers disagree on this value",
        text: "Some readers take `010` for eight, `12:30` for a number, and lose the zero of `3.10`. Quotes make it a text everywhere; a plain number is the same everywhere.",
        wrong: "version: 1
name: night
logs: { keep: 010 }
steps:
  - uses: command
    with: { argv: [at, 12:30, python, 3.10] }
",
        right: r#"version: 1
name: night
logs: { keep: 10 }
steps:
  - uses: command
    with: { argv: [at, "12:30", python, "3.10"] }
"#,
    },
    Explanation {
        code: yaml::KEY,
        title: "a key that is no text",
        text: "The keys of a plan are words.",
        wrong: "version: 1
name: night
? [a, b]
: c
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
        code: yaml::EMPTY,
        title: "the file is empty",
        text: "There is nothing in it but blanks and comments.",
        wrong: "# to do
",
        right: "version: 1
name: night
steps:
  - uses: command
    with: { argv: [date] }
",
    },
    Explanation {
        code: yaml::LIMIT,
        title: "too large or nested too deeply",
        text: "A plan has at most 1 MiB, 100,000 values and 64 levels, aliases followed: more than anybody writes, less than what stops a machine.",
        wrong: "version: 1
name: night
x-deep: [[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]
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
        code: yaml::TAG,
        title: "tags are not read",
        text: "A tag like `!secret` tells a program how to read a value. Plans are read the same way by everybody, so there are none.",
        wrong: "version: 1
name: night
description: !late at night
steps:
  - uses: command
    with: { argv: [date] }
",
        right: r#"version: 1
name: night
description: "!late at night"
steps:
  - uses: command
    with: { argv: [date] }
"#,
    },
    Explanation {
        code: yaml::BRACES,
        title: "braces that open a map",
        text: "`{` begins a map in YAML, also in `{{ … }}`, and inside brackets in `${{ … }}` too. Quotes make a text of it.",
        wrong: "version: 1
name: night
params: { dir: { type: string, default: x } }
steps:
  - uses: command
    with: { argv: [ls, ${{ params.dir }}] }
",
        right: r#"version: 1
name: night
params: { dir: { type: string, default: x } }
steps:
  - uses: command
    with: { argv: [ls, "${{ params.dir }}"] }
"#,
    },
    Explanation {
        code: yaml::ESCAPE,
        title: "a backslash in double quotes",
        text: r#"In double quotes `\n` is a line end and `\b` a backspace, so a path of Windows becomes another text. Single quotes leave backslashes alone."#,
        wrong: r#"version: 1
name: night
logs: { dir: "D:\backups\new" }
steps:
  - uses: command
    with: { argv: [date] }
"#,
        right: r#"version: 1
name: night
logs: { dir: 'D:\backups\new' }
steps:
  - uses: command
    with: { argv: [date] }
"#,
    },
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
        text: "`steps.dump` must mean one step. Ids are unique in the whole plan, handlers included.",
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
        text: "Some parameters exclude or need each other; the executor says which.",
        wrong: "",
        right: "",
    },
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
params: { dir: { type: string, default: x } }
steps:
  - uses: command
    with: { argv: [ls, "${{ upper(params.dir) }}"] }
"#,
        right: r#"version: 1
name: night
params: { dir: { type: string, default: x } }
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
params: { backup_dir: { type: string, default: x } }
steps:
  - uses: command
    with: { argv: [ls, "${{ params.bakup_dir }}"] }
"#,
        right: r#"version: 1
name: night
params: { backup_dir: { type: string, default: x } }
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
    Explanation {
        code: codes::EXPOSED,
        title: "a secret where it would be seen",
        text: "Arguments of programs stand in the process list, paths and subjects in logs and mails. What is made from a secret is a secret too. Secrets go into passwords, and into `env` and `stdin` of a command.",
        wrong: r#"version: 1
name: night
secrets: { pw: { env: PW } }
steps:
  - uses: command
    with: { argv: [login, "${{ secrets.pw }}"] }
"#,
        right: r#"version: 1
name: night
secrets: { pw: { env: PW } }
steps:
  - uses: command
    with: { argv: [login], stdin: "${{ secrets.pw }}" }
"#,
    },
    Explanation {
        code: codes::SECRET_SOURCE,
        title: "a secret needs exactly one source",
        text: "It comes from an environment variable (`env`), a file (`file`), or a program that prints it (`command`, a list).",
        wrong: r#"version: 1
name: night
secrets: { pw: { env: PW, file: /etc/pw } }
steps:
  - uses: command
    with: { argv: [login], stdin: "${{ secrets.pw }}" }
"#,
        right: r#"version: 1
name: night
secrets: { pw: { file: /etc/pw } }
steps:
  - uses: command
    with: { argv: [login], stdin: "${{ secrets.pw }}" }
"#,
    },
    Explanation {
        code: codes::LITERAL_SECRET,
        title: "a password in the plan",
        text: "A plan is reviewed, copied and kept in git, and the password with it. Declare where it comes from under `secrets`.",
        wrong: "version: 1
name: night
database: { password: hunter2 }
steps:
  - uses: command
    with: { argv: [date] }
",
        right: r#"version: 1
name: night
secrets: { db: { env: DB_PASSWORD } }
database: { password: "${{ secrets.db }}" }
steps:
  - uses: command
    with: { argv: [date] }
"#,
    },
    Explanation {
        code: codes::NOT_SECRET,
        title: "a password that is no secret",
        text: "A parameter, a variable or a text is shown in logs and records. Only what is declared under `secrets` is masked.",
        wrong: r#"version: 1
name: night
params: { pw: { type: string } }
database: { password: "${{ params.pw }}" }
steps:
  - uses: command
    with: { argv: [date] }
"#,
        right: r#"version: 1
name: night
secrets: { pw: { env: PW } }
database: { password: "${{ secrets.pw }}" }
steps:
  - uses: command
    with: { argv: [date] }
"#,
    },
    Explanation {
        code: codes::CONSTANT_WHEN,
        title: "a condition that is always true",
        text: "It says nothing, and looks as if it did.",
        wrong: "version: 1
name: night
steps:
  - uses: command
    when: true
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
        code: codes::UNUSED,
        title: "a declaration that nothing reads",
        text: "Often the trace of a misspelt name, or of a step that was removed.",
        wrong: "version: 1
name: night
params: { dir: { type: string, default: x } }
steps:
  - uses: command
    with: { argv: [date] }
",
        right: r#"version: 1
name: night
params: { dir: { type: string, default: x } }
steps:
  - uses: command
    with: { argv: [ls, "${{ params.dir }}"] }
"#,
    },
    Explanation {
        code: codes::NEVER_RUNS,
        title: "a step that never runs",
        text: "Its condition is false whatever happens. A parameter makes a switch of it.",
        wrong: "version: 1
name: night
steps:
  - uses: command
    when: false
    with: { argv: [date] }
",
        right: "version: 1
name: night
params: { dates: { type: boolean, default: false } }
steps:
  - uses: command
    when: params.dates
    with: { argv: [date] }
",
    },
    Explanation {
        code: codes::NO_TIMEOUT,
        title: "long work without a limit",
        text: "A dump that waits for ever blocks the next night too. Give the step, or the plan, a `timeout` that it never needs on a good night.",
        wrong: r#"version: 1
name: night
secrets: { zip: { env: ZIP } }
steps:
  - uses: pg_dump
    with: { archive: { path: "b/${{ run.id }}.zip", password: "${{ secrets.zip }}" } }
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
    Explanation {
        code: codes::RETENTION_FIRST,
        title: "archives are removed before they are copied",
        text: "When the copy fails, the old archives are gone already. Retention stands last.",
        wrong: r#"version: 1
name: night
secrets: { zip: { env: ZIP } }
steps:
  - id: dump
    uses: pg_dump
    timeout: 2h
    with: { archive: { path: "b/${{ run.id }}.zip", password: "${{ secrets.zip }}" } }
  - uses: retention
    with: { dir: b, keep_last: 5 }
  - uses: copy
    with: { from: "${{ steps.dump.outputs.path }}", to: /mnt/share }
"#,
        right: r#"version: 1
name: night
secrets: { zip: { env: ZIP } }
steps:
  - id: dump
    uses: pg_dump
    timeout: 2h
    with: { archive: { path: "b/${{ run.id }}.zip", password: "${{ secrets.zip }}" } }
  - uses: copy
    with: { from: "${{ steps.dump.outputs.path }}", to: /mnt/share }
  - uses: retention
    with: { dir: b, keep_last: 5 }
"#,
    },
    Explanation {
        code: codes::RETENTION_ELSEWHERE,
        title: "retention where the plan puts nothing",
        text: "It counts archives of this plan only, and no step of the plan makes any in that folder: a misspelt folder fills a disk. `plan` names another plan whose archives lie there.",
        wrong: r#"version: 1
name: night
secrets: { zip: { env: ZIP } }
steps:
  - id: dump
    uses: pg_dump
    timeout: 2h
    with: { archive: { path: "b/${{ run.id }}.zip", password: "${{ secrets.zip }}" } }
  - uses: retention
    with: { dir: backup, keep_last: 5 }
"#,
        right: r#"version: 1
name: night
secrets: { zip: { env: ZIP } }
steps:
  - id: dump
    uses: pg_dump
    timeout: 2h
    with: { archive: { path: "b/${{ run.id }}.zip", password: "${{ secrets.zip }}" } }
  - uses: retention
    with: { dir: b, keep_last: 5 }
"#,
    },
    Explanation {
        code: codes::NO_ADDRESS,
        title: "a mail to nobody",
        text: "An alert that nobody gets is none.",
        wrong: r#"version: 1
name: night
params: { mail_to: { type: array, items: { type: string }, default: [] } }
defaults:
  email: { smtp: { host: smtp.example.org }, from: backup@example.org }
steps:
  - uses: command
    with: { argv: [date] }
on_failure:
  - uses: email
    with: { to: "${{ params.mail_to }}" }
"#,
        right: r#"version: 1
name: night
params: { mail_to: { type: array, items: { type: string }, default: [dba@example.org] } }
defaults:
  email: { smtp: { host: smtp.example.org }, from: backup@example.org }
steps:
  - uses: command
    with: { argv: [date] }
on_failure:
  - uses: email
    with: { to: "${{ params.mail_to }}" }
"#,
    },
    Explanation {
        code: codes::LOOKS_LIKE_TEMPLATE,
        title: "text that looks like an expression",
        text: "Expressions are written `${{ … }}`; `{{ … }}` and `${…}` are plain text, and reach the program as they stand.",
        wrong: r#"version: 1
name: night
params: { dir: { type: string, default: x } }
steps:
  - uses: command
    with: { cwd: "${{ params.dir }}", argv: [ls, "{{ params.dir }}"] }
"#,
        right: r#"version: 1
name: night
params: { dir: { type: string, default: x } }
steps:
  - uses: command
    with: { argv: [ls, "${{ params.dir }}"] }
"#,
    },
    Explanation {
        code: codes::IDLE_RETRY,
        title: "a retry that changes nothing",
        text: "`attempts` counts the first one; `max_delay` is the longest wait; `timeout` among `errors` needs a timeout that can pass.",
        wrong: "version: 1
name: night
steps:
  - uses: command
    retry: { attempts: 1 }
    with: { argv: [date] }
",
        right: "version: 1
name: night
steps:
  - uses: command
    retry: { attempts: 3 }
    with: { argv: [date] }
",
    },
    Explanation {
        code: codes::VERSION,
        title: "another version of the plan language",
        text: "A plan says which version of the language it is written in. This program reads version 1.",
        wrong: "version: 2
name: night
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
];
