//! What is allowed and doubtful.

use super::Explanation;
use crate::plan::check::codes;

pub const ALL: &[Explanation] = &[
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
params: { dir: { type: path, default: x } }
steps:
  - uses: command
    with: { argv: [date] }
",
        right: r#"version: 1
name: night
params: { dir: { type: path, default: x } }
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
        title: "archives are removed before the new one is copied or checked",
        text: "When the copy or the check fails, the old archives are already gone. Put retention last.",
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
  - uses: verify
    with: { archive: "${{ steps.dump.outputs.path }}", password: "${{ secrets.zip }}" }
"#,
        right: r#"version: 1
name: night
secrets: { zip: { env: ZIP } }
steps:
  - id: dump
    uses: pg_dump
    timeout: 2h
    with: { archive: { path: "b/${{ run.id }}.zip", password: "${{ secrets.zip }}" } }
  - uses: verify
    with: { archive: "${{ steps.dump.outputs.path }}", password: "${{ secrets.zip }}" }
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
params: { dir: { type: path, default: x } }
steps:
  - uses: command
    with: { cwd: "${{ params.dir }}", argv: [ls, "{{ params.dir }}"] }
"#,
        right: r#"version: 1
name: night
params: { dir: { type: path, default: x } }
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
        code: codes::SAME_ARCHIVE,
        title: "targets that write the same archive",
        text: "No archive is ever overwritten, so only the first of these targets gets its own. `target.name` is another in each of them.",
        wrong: r#"version: 1
name: night
timeout: 2h
targets:
  list:
    - { name: crm, database: { host: one.example.org, dbname: app } }
    - { name: shop, database: { host: two.example.org, dbname: app } }
steps:
  - uses: pg_dump
    with: { file: "backups/${{ database.dbname }}-${{ run.id }}.dump" }
"#,
        right: r#"version: 1
name: night
timeout: 2h
targets:
  list:
    - { name: crm, database: { host: one.example.org, dbname: app } }
    - { name: shop, database: { host: two.example.org, dbname: app } }
steps:
  - uses: pg_dump
    with: { file: "backups/${{ target.name }}-${{ run.id }}.dump" }
"#,
    },
    Explanation {
        code: codes::NO_TARGET,
        title: "a selection that leaves no target",
        text: "`select` is false for every target, so the plan would do nothing.",
        wrong: r#"version: 1
name: night
targets:
  select: target.labels.tier == "prd"
  list: [{ name: crm, labels: { tier: prod } }]
steps:
  - uses: command
    with: { argv: [date] }
"#,
        right: r#"version: 1
name: night
targets:
  select: target.labels.tier == "prod"
  list: [{ name: crm, labels: { tier: prod } }]
steps:
  - uses: command
    with: { argv: [date] }
"#,
    },
];
