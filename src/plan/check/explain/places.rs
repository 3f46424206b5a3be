//! Paths, the names of archives, copies, and the version.

use super::Explanation;
use crate::plan::check::codes;

pub const ALL: &[Explanation] = &[
    Explanation {
        code: codes::SHELL_PATH,
        title: "a path that only a shell would expand",
        text: "`~`, `$HOME` and `%TEMP%` are expanded by shells. No shell reads a plan, so they would be names of files. Write the whole path, a path relative to the folder of the plan, or read a variable as `${{ env.HOME }}`.",
        wrong: "version: 1
name: night
steps:
  - uses: copy
    with: { from: /var/backups/app.zip, to: ~/copies }
",
        right: r#"version: 1
name: night
steps:
  - uses: copy
    with: { from: /var/backups/app.zip, to: "${{ env.HOME }}/copies" }
"#,
    },
    Explanation {
        code: codes::WINDOWS_PATH,
        title: "a path of Windows on another system",
        text: r"Here `Z:\backups` and `\\nas\backups` are names of files in the folder of the plan. Mount the share and write the path of its folder.",
        wrong: r"version: 1
name: night
steps:
  - uses: copy
    with: { from: /var/backups/app.zip, to: 'Z:\backups' }
",
        right: "version: 1
name: night
steps:
  - uses: copy
    with: { from: /var/backups/app.zip, to: /mnt/nas/backups }
",
    },
    Explanation {
        code: codes::FIXED_NAME,
        title: "an archive with the same name in each run",
        text: "A file that exists is never overwritten, so the second run fails. Add `${{ run.id }}` or a date to the name, and remove old archives with a `retention` step. A parameter without a default also makes the name differ.",
        wrong: r#"version: 1
name: night
secrets: { zip: { env: ZIP_PASSWORD } }
steps:
  - uses: zip
    with: { files: [etc], archive: { path: backups/etc.zip, password: "${{ secrets.zip }}" } }
"#,
        right: r#"version: 1
name: night
secrets: { zip: { env: ZIP_PASSWORD } }
steps:
  - uses: zip
    with: { files: [etc], archive: { path: "backups/etc-${{ run.id }}.zip", password: "${{ secrets.zip }}" } }
"#,
    },
    Explanation {
        code: codes::DATE_IN_NAME,
        title: "a date with `/` in the name of a file",
        text: "`/` separates folders, so `29/11/2026.zip` is the file `2026.zip` in the folder `29/11`, which retention does not see. Write the date like `%Y-%m-%d`, which also sorts by time.",
        wrong: r#"version: 1
name: night
secrets: { zip: { env: ZIP_PASSWORD } }
steps:
  - uses: zip
    with:
      files: [etc]
      archive: { path: "backups/${{ run.started_at | date('%d/%m/%Y') }}.zip", password: "${{ secrets.zip }}" }
"#,
        right: r#"version: 1
name: night
secrets: { zip: { env: ZIP_PASSWORD } }
steps:
  - uses: zip
    with:
      files: [etc]
      archive: { path: "backups/${{ run.started_at | date('%Y-%m-%d') }}.zip", password: "${{ secrets.zip }}" }
"#,
    },
    Explanation {
        code: codes::COPIES_STAY,
        title: "copies that no step removes",
        text: "The plan removes old archives from one folder and puts copies into another one, which fills up. A second `retention` step keeps the same number there.",
        wrong: r#"version: 1
name: night
secrets: { zip: { env: ZIP_PASSWORD } }
steps:
  - id: pack
    uses: zip
    with: { files: [etc], archive: { path: "backups/${{ run.id }}.zip", password: "${{ secrets.zip }}" } }
  - uses: copy
    with: { from: "${{ steps.pack.outputs.path }}", to: /mnt/share }
  - uses: retention
    with: { dir: backups, keep_last: 5 }
"#,
        right: r#"version: 1
name: night
secrets: { zip: { env: ZIP_PASSWORD } }
steps:
  - id: pack
    uses: zip
    with: { files: [etc], archive: { path: "backups/${{ run.id }}.zip", password: "${{ secrets.zip }}" } }
  - uses: copy
    with: { from: "${{ steps.pack.outputs.path }}", to: /mnt/share }
  - uses: retention
    with: { dir: backups, keep_last: 5 }
  - uses: retention
    with: { dir: /mnt/share, keep_last: 5 }
"#,
    },
    Explanation {
        code: codes::TEXT_AS_PATH,
        title: "a path in a parameter of type `string`",
        text: "A relative path belongs to the folder of the plan, also where it comes from `-p`. With `type: path` a value of `-p` belongs to the current folder, and one of `--params-file` to the folder of that file.",
        wrong: r#"version: 1
name: night
params: { dir: { type: string, default: /mnt/share } }
steps:
  - uses: copy
    with: { from: /var/backups/app.zip, to: "${{ params.dir }}" }
"#,
        right: r#"version: 1
name: night
params: { dir: { type: path, default: /mnt/share } }
steps:
  - uses: copy
    with: { from: /var/backups/app.zip, to: "${{ params.dir }}" }
"#,
    },
    Explanation {
        code: codes::NO_DATABASE,
        title: "a step whose database nothing names",
        text: "Neither the step, the target nor the plan names a database, and PGDATABASE is not set here. libpq would take the role's name, so a dump of the wrong database would be called good: a run refuses the step unless PGDATABASE is set there. Name the database in the plan, or say that PGDATABASE names it.",
        wrong: r#"version: 1
name: night
steps:
  - uses: pg_dump
    timeout: 2h
    with: { file: "backups/${{ run.id }}.dump" }
"#,
        right: r#"version: 1
name: night
database: { dbname: "${{ env.PGDATABASE }}" }
steps:
  - uses: pg_dump
    timeout: 2h
    with: { file: "backups/${{ run.id }}.dump" }
"#,
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
