//! The checker as a user meets it: the binary over plans that are wrong and plans that are right.
//!
//! `tests/plans/bad/*.yaml` stand beside what `validate` prints for each of them, word for word; `RUNPLAN_BLESS=1` writes
//! those texts anew, for a person to read before they are committed. `tests/plans/ok/*.yaml` give no finding at all.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn runplan(dir: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_runplan"));
    command.current_dir(dir).env("NO_COLOR", "1");
    command
}

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/plans").join(name)
}

fn plans(name: &str) -> Vec<String> {
    let mut all: Vec<String> = std::fs::read_dir(folder(name))
        .expect("the folder of plans")
        .map(|e| e.expect("an entry").file_name().into_string().expect("a name"))
        .filter(|n| n.ends_with(".yaml"))
        .collect();
    all.sort();
    all
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("UTF-8")
}

fn said(output: &Output) -> String {
    text(&output.stdout) + &text(&output.stderr)
}

#[test]
fn every_bad_plan_gets_exactly_these_findings() {
    let dir = folder("bad");
    let bless = std::env::var_os("RUNPLAN_BLESS").is_some();
    let mut differ = Vec::new();
    for name in plans("bad") {
        let output = runplan(&dir).args(["validate", &name]).output().expect("the binary runs");
        let got = text(&output.stdout);
        let errors = got.lines().any(|l| l.starts_with("error["));
        assert_eq!(output.status.code(), Some(if errors { 78 } else { 0 }), "{name}: {}", said(&output));
        assert!(!got.is_empty(), "{name} has no finding");
        let file = dir.join(&name).with_extension("out");
        if bless {
            std::fs::write(&file, &got).expect("the text can be written");
            continue;
        }
        let wanted = std::fs::read_to_string(&file).unwrap_or_default();
        if wanted != got {
            differ.push(format!("--- {name}, expected:\n{wanted}--- found:\n{got}"));
        }
    }
    assert!(differ.is_empty(), "{}", differ.join("\n"));
}

#[test]
fn every_good_plan_is_silent() {
    let dir = folder("ok");
    let output = runplan(&dir).args(["validate", "--deny-warnings", "."]).output().expect("the binary runs");
    assert_eq!((output.status.code(), text(&output.stdout)), (Some(0), String::new()), "{}", said(&output));
    assert!(plans("ok").len() >= 8);
}

#[test]
fn there_are_enough_bad_plans_and_every_code_is_among_them() {
    let names = plans("bad");
    assert!(names.len() >= 120, "{}", names.len());
    let all: String = names
        .iter()
        .map(|n| std::fs::read_to_string(folder("bad").join(n).with_extension("out")).unwrap_or_default())
        .collect();
    let missing: BTreeSet<String> = runplan::plan::codes()
        .filter(|c| !runplan::plan::explain(*c).is_some_and(out_of_reach))
        .map(|c| c.to_string())
        .filter(|c| !all.contains(&format!("[{c}]")))
        .collect();
    assert!(missing.is_empty(), "no bad plan for {missing:?}");
}

/// The codes whose example needs an executor that this build does not have.
fn out_of_reach(explanation: &runplan::plan::Explanation) -> bool {
    let mut uses = explanation.right.lines().filter_map(|l| l.split("uses: ").nth(1));
    let known =
        |name: &str| runplan::steps::REGISTRY.get(name.trim_end_matches(|c: char| !c.is_alphanumeric())).is_some();
    explanation.wrong.is_empty() || uses.any(|u| !known(u.split([',', ' ']).next().unwrap_or_default()))
}

fn findings(text: &str) -> Vec<runplan::diag::Finding> {
    let input = runplan::plan::Input { name: "plan.yaml".to_owned(), dir: "/".into(), text: text.to_owned() };
    runplan::plan::check(input, &runplan::steps::REGISTRY).findings
}

#[test]
fn every_explanation_is_true() {
    let mut checked = 0;
    for explanation in runplan::plan::codes().filter_map(runplan::plan::explain) {
        if out_of_reach(explanation) {
            continue;
        }
        let code = explanation.code;
        let wrong = findings(explanation.wrong);
        assert!(wrong.iter().any(|f| f.code == code), "{code}: the wrong plan is let pass: {wrong:?}");
        assert!(wrong.iter().all(|f| f.code == code), "{code}: the wrong plan has other faults: {wrong:?}");
        assert_eq!(findings(explanation.right), [], "{code}: the right plan is wrong");
        checked += 1;
    }
    assert!(checked > 35, "{checked}");
}

#[test]
fn explain_reads_codes_as_people_type_them() {
    let dir = tempfile::tempdir().expect("a folder");
    for word in ["RP0102", "rp102", "0102"] {
        let output = runplan(dir.path()).args(["explain", word]).output().expect("the binary runs");
        assert!(output.status.success() && text(&output.stdout).starts_with("RP0102: "), "{}", said(&output));
        assert!(text(&output.stdout).contains("Wrong:\n\n    version: 1\n"), "{}", said(&output));
    }
    let output = runplan(dir.path()).arg("explain").output().expect("the binary runs");
    assert_eq!(text(&output.stdout).lines().count(), runplan::plan::codes().count());
    let output = runplan(dir.path()).args(["explain", "RP9999"]).output().expect("the binary runs");
    assert_eq!(output.status.code(), Some(2), "{}", said(&output));
}

#[test]
fn a_plan_may_come_from_standard_input() {
    use std::io::Write;
    let dir = tempfile::tempdir().expect("a folder");
    let mut command = runplan(dir.path());
    command.args(["validate", "-"]).stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::piped());
    let mut child = command.stderr(std::process::Stdio::piped()).spawn().expect("the binary runs");
    child.stdin.take().expect("a pipe").write_all(b"version: 1\nnam: x\nsteps: []\n").expect("it is read");
    let output = child.wait_with_output().expect("it ends");
    assert_eq!(output.status.code(), Some(78));
    assert!(text(&output.stdout).contains("--> <stdin>:2:1"), "{}", said(&output));
}

#[test]
fn a_folder_is_walked_and_what_cannot_be_read_hides_nothing() {
    let dir = tempfile::tempdir().expect("a folder");
    std::fs::create_dir_all(dir.path().join("plans/deep")).expect("folders");
    std::fs::create_dir_all(dir.path().join("empty")).expect("folders");
    for (name, bytes) in [
        ("plans/b.yaml", &b"version: 1\nname: b\nstep: []\n"[..]),
        ("plans/deep/a.yml", b"version: 1\nname: a\nsteps: []\n"),
        ("plans/not-utf8.yaml", b"name: \xff\n"),
        ("plans/readme.txt", b"x"),
    ] {
        std::fs::write(dir.path().join(name), bytes).expect("a file");
    }
    let output = runplan(dir.path()).args(["validate", "plans"]).output().expect("the binary runs");
    assert_eq!(output.status.code(), Some(78), "{}", said(&output));
    let out = text(&output.stdout);
    assert!(out.find("plans/b.yaml:3:1") < out.find("plans/deep/a.yml:3:8"), "{out}");
    assert!(
        text(&output.stderr).contains("not-utf8.yaml") && text(&output.stderr).contains("2 plans"),
        "{}",
        said(&output)
    );
    for missing in ["empty", "nowhere.yaml"] {
        let output = runplan(dir.path()).args(["validate", missing]).output().expect("the binary runs");
        assert_eq!(output.status.code(), Some(2), "{missing}: {}", said(&output));
    }
}

#[test]
fn without_colour_there_is_not_one_escape_byte() {
    let output = runplan(&folder("bad")).args(["validate", "."]).output().expect("the binary runs");
    assert!(!said(&output).contains('\u{1b}'));
    for format in ["json", "jsonl", "sarif", "github", "gitlab", "junit"] {
        let output = runplan(&folder("bad")).args(["validate", "--color", "always", "--format", format, "."]).output();
        assert!(!text(&output.expect("the binary runs").stdout).contains('\u{1b}'), "{format}");
    }
    let mut colored = runplan(&folder("bad"));
    let output = colored.args(["validate", "--color", "always", "."]).output().expect("the binary runs");
    assert!(text(&output.stdout).contains('\u{1b}'));
}

#[test]
fn denied_warnings_are_errors_of_the_exit_code_only() {
    let dir = folder("bad");
    let run = |more: &[&str]| {
        runplan(&dir).args(["validate", "lint-when-true.yaml"]).args(more).output().expect("the binary runs")
    };
    assert_eq!(run(&[]).status.code(), Some(0));
    assert_eq!(run(&["--deny-warnings"]).status.code(), Some(78));
    assert_eq!(run(&[]).stdout, run(&["--deny-warnings"]).stdout);
}
