//! What is printed for programs, held to the schemas of those who read it.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

/// What `validate` prints for every bad plan there is, below a folder as CI sees it.
fn printed(format: &str) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_runplan"));
    command.current_dir(env!("CARGO_MANIFEST_DIR")).args(["validate", "--format", format, "plans", "tests/plans/bad"]);
    let output = command.output().expect("the binary runs");
    String::from_utf8(output.stdout).expect("UTF-8")
}

#[test]
fn the_report_for_gitlab_is_one() {
    let schema = std::fs::read_to_string("tests/schemas/gitlab-codequality.schema.json").expect("the schema");
    let schema: serde_json::Value = serde_json::from_str(&schema).expect("JSON");
    let validator = jsonschema::validator_for(&schema).expect("a schema");
    let report: serde_json::Value = serde_json::from_str(&printed("gitlab")).expect("JSON");
    let errors: Vec<String> = validator.iter_errors(&report).map(|e| format!("{}: {e}", e.instance_path())).collect();
    assert_eq!(errors, Vec::<String>::new());
    assert!(report.as_array().is_some_and(|issues| issues.len() > 300));
    // What it would refuse.
    for (pointer, wrong) in [
        ("/0/severity", "error".into()),
        ("/0/fingerprint", serde_json::Value::Null),
        ("/0/location/path", "/builds/plans/a.yaml".into()),
        ("/0/location/lines/begin", 0.into()),
        ("/0/location/lines", serde_json::json!({ "end": 3 })),
    ] {
        let mut report = report.clone();
        *report.pointer_mut(pointer).expect(pointer) = wrong;
        assert!(!validator.is_valid(&report), "{pointer}");
    }
}

/// Validates a report by the schema of Jenkins' xUnit plugin, with libxml2.
fn by_xsd(report: &str) -> Output {
    let variable = |name| std::env::var_os(name).unwrap_or_else(|| panic!("{name}: run `tests/sandbox cargo test`"));
    let mut command = Command::new(variable("RUNPLAN_TEST_PYTHON"));
    let script = "import sys; from lxml import etree\n\
        schema = etree.XMLSchema(etree.parse(sys.argv[1]))\n\
        schema.assertValid(etree.fromstring(sys.stdin.buffer.read(), etree.XMLParser(huge_tree=True)))";
    command.args(["-c", script]).arg(variable("RUNPLAN_JUNIT_XSD"));
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("python");
    child.stdin.take().expect("its input").write_all(report.as_bytes()).expect("it reads");
    child.wait_with_output().expect("it ends")
}

#[test]
fn the_report_for_junit_is_one() {
    let said = |output: &Output| String::from_utf8_lossy(&output.stderr).into_owned();
    let report = printed("junit");
    let output = by_xsd(&report);
    assert!(output.status.success(), "{}", said(&output));
    assert!(report.contains("<failure ") && report.contains("<system-out>"));
    // Every part of it is looked at.
    for (from, to) in [
        ("<testcase name=", "<testcase title="),
        ("<testsuite name=\"runplan validate\" tests=", "<testsuite name=\"runplan validate\" count="),
        ("<failure message=", "<failure text="),
        ("<failure ", "<fault "),
        ("time=\"0\"", "time=\"none\""),
        ("<system-out>", "<output>"),
        ("</testsuites>", ""),
    ] {
        assert!(report.contains(from), "{from}");
        let wrong = report.replace(from, to);
        let wrong = wrong.replace("</failure>", if to == "<fault " { "</fault>" } else { "</failure>" });
        let wrong = wrong.replace("</system-out>", if to == "<output>" { "</output>" } else { "</system-out>" });
        let output = by_xsd(&wrong);
        assert!(!output.status.success(), "{from} as {to}");
        let wanted = if to.is_empty() { "XMLSyntaxError" } else { "DocumentInvalid" };
        assert!(said(&output).contains(wanted), "{from} as {to}: {}", said(&output));
    }
}

#[test]
fn the_schemas_say_where_they_are_from() {
    for file in std::fs::read_dir(Path::new("tests/schemas")).expect("the schemas").flatten() {
        let text = std::fs::read_to_string(file.path()).expect("a schema");
        assert!(text.contains("$comment"), "{}", file.path().display());
    }
}
