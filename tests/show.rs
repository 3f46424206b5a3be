//! `init` and `show`, run as a user would.

use std::path::Path;
use std::process::{Command, Output};

fn runplan(dir: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_runplan"));
    command.current_dir(dir).env_clear().env("NO_COLOR", "1").env("USER", "me").env("PGPORT", "5433");
    command
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[test]
fn every_first_plan_validates_and_none_is_overwritten() {
    let dir = tempfile::tempdir().expect("a folder");
    for template in ["dump-only", "maintenance", "command"] {
        let init = || {
            let mut command = runplan(dir.path());
            command.args(["init", "plans", "--template", template, "--database", "app"]).output().expect("it runs")
        };
        let output = init();
        assert!(output.status.success(), "{}", said(&output));
        let file = dir.path().join(format!("plans/{template}.yaml"));
        std::fs::write(&file, std::fs::read_to_string(&file).expect("a plan") + "# mine\n").expect("a plan");
        assert_eq!(init().status.code(), Some(2));
        assert!(std::fs::read_to_string(&file).expect("a plan").ends_with("# mine\n"));
    }
    let output = runplan(dir.path()).args(["validate", "--deny-warnings", "plans"]).output().expect("it runs");
    assert!(output.status.success(), "{}", said(&output));
    let output = runplan(dir.path()).args(["plans/command.yaml", "-n"]).output().expect("it runs");
    assert!(output.status.success() && said(&output).contains("runs: echo good night from"), "{}", said(&output));
    let output = runplan(dir.path()).args(["init", "--template", "dump-onyl"]).output().expect("it runs");
    assert!(
        output.status.code() == Some(2) && said(&output).contains("did you mean `dump-only`?"),
        "{}",
        said(&output)
    );
}

const PLAN: &str = r#"version: 1
name: shown
params:
  dir: { type: string, default: backups }
  keep: { type: integer, default: 5 }
secrets: { zip: { env: ZIP } }
vars:
  archive: ${{ vars.folder }}/${{ database.dbname }}-${{ run.id }}.zip
  folder: ${{ params.dir }}/daily
database: { dbname: app, password: hunter2 }
defaults:
  pg_dump: { lock_wait_timeout: 5m }
steps:
  - id: dump
    uses: pg_dump
    timeout: 2h
    when: params.keep > 6
    with:
      archive: { path: "${{ vars.archive }}", password: "${{ secrets.zip }}" }
  - uses: pg_dump
    timeout: 2h
    with:
      archive: { path: b.zip, password: hunter22 }
"#;

#[test]
fn each_value_is_shown_with_where_it_came_from() {
    let dir = tempfile::tempdir().expect("a folder");
    std::fs::write(dir.path().join("plan.yaml"), PLAN).expect("a plan");
    let show = |more: &[&str]| {
        let output = runplan(dir.path()).args(["show", "plan.yaml"]).args(more).output().expect("it runs");
        assert!(output.status.success(), "{}", said(&output));
        // Blanks only align.
        String::from_utf8_lossy(&output.stdout)
            .lines()
            .map(|l| l.split_whitespace().collect::<Vec<_>>().join(" "))
            .collect::<Vec<_>>()
    };
    let lines = show(&["--resolved", "-p", "keep=7"]);
    let archive = format!("path: {}/backups/daily/app-<run.id>.zip # plan.yaml:19", dir.path().display());
    for line in [
        "dir: backups # default, plan.yaml:4",
        "keep: 7 # -p",
        "zip: *** # env ZIP, plan.yaml:6",
        "port: 5433 # env PGPORT",
        "user: me # default",
        "dbname: app # plan.yaml:10",
        "password: *** # plan.yaml:10",
        "archive: backups/daily/app-<run.id>.zip # plan.yaml:8",
        "- dump, uses pg_dump # plan.yaml:14",
        "when: params.keep > 6 (is true) # plan.yaml:17",
        &archive,
        "password: *** # plan.yaml:19",
        "lock_wait_timeout: 5m # defaults, plan.yaml:12",
        "extra_args: [] # default",
    ] {
        assert!(lines.iter().any(|l| l == line), "{line}: {lines:#?}");
    }
    let lines = show(&[]);
    for line in ["keep: 5 # default, plan.yaml:5", "path: ${{ vars.archive }} # plan.yaml:19"] {
        assert!(lines.iter().any(|l| l == line), "{line}: {lines:#?}");
    }
    assert!(!lines.join("\n").contains("hunter2"), "{lines:#?}");
    assert!(lines.iter().any(|l| l == "password: *** # plan.yaml:23"), "{lines:#?}");
    assert!(!dir.path().join("backups").exists(), "nothing is made");
}
