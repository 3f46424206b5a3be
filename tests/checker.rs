//! The checker as a user meets it: the binary over plans that are wrong and plans that are right.
//!
//! `tests/plans/bad/*.yaml` stand beside what `validate` prints for each of them, word for word; `RUNPLAN_BLESS=1` writes
//! those texts anew, for a person to read before they are committed. `tests/plans/ok/*.yaml` give no finding at all.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn runplan(dir: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_runplan"));
    // Plans that name no database leave that to the environment.
    command.current_dir(dir).env("NO_COLOR", "1").env_remove("PGSERVICE").env("PGDATABASE", "app");
    command
}

/// The plan that is checked where the environment names no database either.
const NO_DATABASE: &str = "lint-no-database.yaml";

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
        let mut command = runplan(&dir);
        if name == NO_DATABASE {
            command.env_remove("PGDATABASE");
        }
        let output = command.args(["validate", &name]).output().expect("the binary runs");
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

fn findings(text: &str, dbname_in_env: bool) -> Vec<runplan::diag::Finding> {
    let input =
        runplan::plan::Input { name: "plan.yaml".to_owned(), dir: "/".into(), text: text.to_owned(), dbname_in_env };
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
        let in_env = code.to_string() != "RP0518";
        let wrong = findings(explanation.wrong, in_env);
        assert!(wrong.iter().any(|f| f.code == code), "{code}: the wrong plan is let pass: {wrong:?}");
        assert!(wrong.iter().all(|f| f.code == code), "{code}: the wrong plan has other faults: {wrong:?}");
        assert_eq!(findings(explanation.right, in_env), [], "{code}: the right plan is wrong");
        checked += 1;
    }
    assert!(checked > 35, "{checked}");
}

#[test]
fn every_file_of_an_explanation_is_used() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/plan/check/explain");
    let names = std::fs::read_dir(folder).expect("the folder").flatten().map(|e| e.path());
    let files: BTreeSet<String> = names
        .filter(|p| p.extension().is_some_and(|e| e == "md"))
        .filter_map(|p| Some(p.file_stem()?.to_string_lossy().into_owned()))
        .collect();
    assert_eq!(files, runplan::plan::codes().map(|c| c.to_string()).collect());
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

#[test]
fn mending_changes_what_it_mends_and_not_one_byte_more() {
    let from = folder("fix");
    for name in plans("fix") {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("plan.yaml");
        std::fs::copy(from.join(&name), &path).expect("a copy");
        let output = runplan(dir.path()).args(["validate", "--fix", "plan.yaml"]).output().expect("the binary runs");
        let got = std::fs::read(&path).expect("the plan");
        let wanted = std::fs::read(from.join(&name).with_extension("fixed")).expect("what it is mended to");
        assert_eq!(String::from_utf8_lossy(&got), String::from_utf8_lossy(&wanted), "{name}: {}", said(&output));
        assert_eq!(std::fs::read_dir(dir.path()).expect("the folder").count(), 1, "nothing else is left behind");
        let again = runplan(dir.path()).args(["validate", "--fix", "plan.yaml"]).output().expect("the binary runs");
        assert!(!said(&again).contains("mended"), "{name} is mended a second time: {}", said(&again));
    }
    let output = runplan(&from).args(["validate", "--fix", "-"]).output().expect("the binary runs");
    assert_eq!(output.status.code(), Some(2));
}

/// Every bad plan, mended, has fewer findings than before and no other text in it than before and in the remedies.
#[test]
fn mending_never_makes_a_plan_worse() {
    for name in plans("bad") {
        let Ok(before) = std::fs::read_to_string(folder("bad").join(&name)) else { continue };
        let found = findings(&before, true);
        let (after, count) = runplan::diag::mend(&before, &found);
        assert!(count == 0 || findings(&after, true).len() < found.len(), "{name}: {after}");
        assert_eq!(count == 0, before == after, "{name}");
    }
}

#[test]
fn what_stands_in_an_included_file_is_not_mended_in_the_plan() {
    let dir = tempfile::tempdir().expect("a folder");
    let plan = "version: 1\nname: n\nparams: { keep: { type: integer, default: 5 } }\ntargets: { include: list.yaml }\nsteps:\n\
                \x20 - uses: command\n    continue_on_error: yes\n    with: { argv: [echo, \"n ${{ params.keep }}\"] }\n";
    let list = "- name: a\n  params:\n    keep: \"7\"\n";
    std::fs::write(dir.path().join("plan.yaml"), plan).expect("a plan");
    std::fs::write(dir.path().join("list.yaml"), list).expect("targets");
    let output = runplan(dir.path()).args(["validate", "--fix", "plan.yaml"]).output().expect("the binary runs");
    assert_eq!(output.status.code(), Some(78), "{}", said(&output));
    assert!(text(&output.stdout).contains("list.yaml:3:11"), "{}", said(&output));
    let read = |name: &str| std::fs::read_to_string(dir.path().join(name)).expect("a file");
    assert_eq!((read("plan.yaml"), read("list.yaml")), (plan.replace("yes", "true"), list.to_owned()));
}

fn formatted(format: &str, paths: &[&str]) -> String {
    let mut command = runplan(&folder("bad"));
    text(&command.args(["validate", "--format", format]).args(paths).output().expect("the binary runs").stdout)
}

#[test]
fn the_formats_for_programs_say_what_the_text_says() {
    let paths = ["names-unknown-param.yaml", "place-non-ascii.yaml", "shape-boolean-yes.yaml", "lint-when-true.yaml"];
    let json: serde_json::Value = serde_json::from_str(&formatted("json", &paths)).expect("JSON");
    assert_eq!((&json["plans"], &json["errors"], &json["warnings"]), (&4.into(), &4.into(), &1.into()));
    let first = &json["findings"][0];
    let place = |line: u32, column: u32, end_column: u32| serde_json::json!({ "file": paths[0], "line": line, "column": column, "end_line": line, "end_column": end_column });
    assert_eq!((&first["code"], &first["severity"]), (&"RP0303".into(), &"error".into()));
    assert_eq!(first["place"], place(7, 36, 45));
    assert_eq!(first["related"][0]["place"], place(4, 3, 13));
    assert_eq!(first["fix"]["replacement"], "backup_dir");
    assert_eq!(first["fix"]["safe"], false);

    let lines: Vec<serde_json::Value> =
        formatted("jsonl", &paths).lines().map(|l| serde_json::from_str(l).expect("JSON")).collect();
    assert_eq!(lines.len(), 5);
    assert!(lines.iter().all(|l| l["schema_version"] == 1));

    let sarif: serde_json::Value = serde_json::from_str(&formatted("sarif", &paths)).expect("JSON");
    assert_eq!((&sarif["version"], &sarif["runs"][0]["columnKind"]), (&"2.1.0".into(), &"unicodeCodePoints".into()));
    let results = sarif["runs"][0]["results"].as_array().expect("results");
    let rules = sarif["runs"][0]["tool"]["driver"]["rules"].as_array().expect("rules");
    assert_eq!(results.len(), 5);
    for result in results {
        let index = usize::try_from(result["ruleIndex"].as_u64().expect("an index")).expect("small");
        assert_eq!(rules[index]["id"], result["ruleId"]);
    }
    let region = &results[0]["locations"][0]["physicalLocation"]["region"];
    assert_eq!(*region, serde_json::json!({ "startLine": 7, "startColumn": 36, "endLine": 7, "endColumn": 45 }));
    assert_eq!(results[0]["relatedLocations"][0]["physicalLocation"]["region"]["startLine"], 4);
    let change = &results[3]["fixes"][0]["artifactChanges"][0];
    assert_eq!(change["artifactLocation"]["uri"], "shape-boolean-yes.yaml");
    assert_eq!(change["replacements"][0]["insertedContent"]["text"], "true");

    let github = formatted("github", &paths);
    assert!(
        github.starts_with(
            "::error file=names-unknown-param.yaml,line=7,endLine=7,col=36,endColumn=45,title=RP0303::`params` has no `bakup_dir`; did you mean `backup_dir`?\n"
        ),
        "{github}"
    );
    assert!(github.ends_with("::warning file=lint-when-true.yaml,line=5,endLine=5,col=11,endColumn=15,title=RP0501::this `when` is always true; leave it out\n"), "{github}");

    let gitlab: serde_json::Value = serde_json::from_str(&formatted("gitlab", &["."])).expect("JSON");
    let issues = gitlab.as_array().expect("a list");
    let prints: BTreeSet<&str> = issues.iter().filter_map(|i| i["fingerprint"].as_str()).collect();
    assert_eq!(prints.len(), issues.len(), "each fingerprint is its own");
    assert!(issues.iter().all(|i| i["location"]["lines"]["begin"].is_u64() && i["severity"].is_string()));

    let junit = formatted("junit", &paths);
    assert!(junit.contains("<testsuite name=\"runplan validate\" tests=\"4\" failures=\"3\""), "{junit}");
    assert!(junit.contains("<system-out>warning[RP0501]"), "{junit}");
    assert_eq!(junit.matches("<testcase ").count(), 4);
}

/// Columns count characters, a tab is one; the end is exclusive. Written out here by hand.
#[test]
fn places_are_exact() {
    for (text, code, line, column, end) in [
        ("version: 1\nname: n\nsteps:\n  - uses: command\n    with:\t{ argv: [a],\tcdw: b }\n", 102, 5, 24, 27),
        ("version: 1\r\nname: n\r\nsteps:\r\n  - uses: command\r\n    with: { argv: [a], cdw: b }\r\n", 102, 5, 24, 27),
        ("version: 1\nname: n\nsteps:\n  - uses: command\n    with: { argv: [\"Köln 🌙\"], cdw: b }\n", 102, 5, 31, 34),
        ("\u{feff}version: 1\nnaam: n\nsteps:\n  - { uses: command, with: { argv: [a] } }\n", 102, 2, 1, 5),
        ("\u{feff}verzion: 1\nname: n\nsteps:\n  - { uses: command, with: { argv: [a] } }\n", 102, 1, 1, 8),
        (
            "version: 1\nname: n\nsteps:\n  - uses: command\n    with:\n      argv: [sh]\n      stdin: |\n        äö\n          x ${{ params.nope }}\n",
            303,
            9,
            24,
            28,
        ),
        (
            "version: 1\nname: n\nsteps:\n  - uses: command\n    with:\n      argv: [sh]\n      stdin: >-\n        one\n        ü ${{ params.nope }}\n",
            303,
            9,
            22,
            26,
        ),
        (
            "version: 1\nname: n\nsteps:\n  - uses: command\n    with:\n      argv: [sh]\n      cwd: 'it''s ${{ params.nope }}'\n",
            303,
            7,
            30,
            34,
        ),
        ("version: 1\nname: n\nsteps:\n  - uses: command\n    timeout: 30", 105, 5, 14, 16),
    ] {
        let input =
            runplan::plan::Input { name: "p".to_owned(), dir: "/".into(), text: text.to_owned(), dbname_in_env: true };
        let outcome = runplan::plan::check(input, &runplan::steps::REGISTRY);
        let found = outcome
            .findings
            .iter()
            .find(|f| f.code.0 == code)
            .unwrap_or_else(|| panic!("{text}: {:?}", outcome.findings));
        let place = outcome.sources.place(found.span);
        assert_eq!((place.line, place.column, place.end_column), (line, column, end), "{text}");
    }
}

/// Editors see what the checker sees: a good plan is valid by the committed schema, templates and all, and a misspelt key
/// of a step or of its parameters is not.
#[test]
fn the_schema_for_editors_takes_every_good_plan_and_no_misspelt_key() {
    let text = std::fs::read_to_string(folder("../../schema/plan.schema.json")).expect("the schema");
    let schema: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    let validator = jsonschema::validator_for(&schema).expect("a schema");
    let json = |text: &str| {
        let mut sources = runplan::diag::Sources::default();
        let source = sources.add("plan.yaml", text);
        runplan::document::Document::parse(source, text).0.expect("YAML").root.to_json()
    };
    for name in plans("ok") {
        let plan = json(&std::fs::read_to_string(folder("ok").join(&name)).expect("a plan"));
        let errors: Vec<String> = validator.iter_errors(&plan).map(|e| e.to_string()).collect();
        assert_eq!(errors, Vec::<String>::new(), "{name}");
    }
    let head = "version: 1\nname: n\nsteps:\n  - uses: pg_dump\n";
    for wrong in [
        "    retrys: { attempts: 2 }\n",
        "    with: { formt: custom }\n",
        "    with: { format: costum }\n",
        "    with: { archive: { path: a, pasword: b } }\n",
        "defaults: { vacuum: { fulll: true } }\n",
    ] {
        assert_eq!(validator.iter_errors(&json(&format!("{head}{wrong}"))).count(), 1, "{wrong}");
    }
    // Words that are explained stand in one list, so that an editor offers them with what they mean.
    let format = &schema["definitions"]["pg_dump"]["properties"]["format"]["anyOf"][0];
    assert_eq!(format["enum"][0], "custom");
    assert!(format["markdownEnumDescriptions"][0].is_string());
}
