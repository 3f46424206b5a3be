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

/// A plan with a step of each end, in a folder of its own; gives what it printed.
fn mixed(dir: &Path, arguments: &[&str]) -> Output {
    let plan = "version: 1\nname: all\nparams: { db: { type: string, default: a } }\nlogs: { dir: logs }\nsteps:\n\
        \x20 - { id: good, uses: command, with: { argv: [echo, 'a <b> & \\e[31m'] } }\n\
        \x20 - { id: allowed, continue_on_error: true, uses: command, with: { argv: [sh, -c, 'echo \"x < y\" >&2; exit 4'] } }\n\
        \x20 - { id: never, when: false, uses: command, with: { argv: [echo] } }\n\
        \x20 - { id: late, timeout: 100ms, uses: command, with: { argv: [sleep, '20'] } }\n\
        \x20 - { id: after, uses: command, with: { argv: [echo] } }\n\
        finally:\n  - { id: tell, uses: command, with: { argv: ['false'] } }\n";
    std::fs::write(dir.join("plan.yaml"), plan).expect("a plan");
    let mut command = Command::new(env!("CARGO_BIN_EXE_runplan"));
    command.current_dir(dir).env("XDG_STATE_HOME", dir.join("state"));
    command.args(arguments).output().expect("the binary runs")
}

#[test]
fn the_report_of_a_run_for_junit_is_one() {
    let said = |output: &Output| String::from_utf8_lossy(&output.stderr).into_owned();
    let dir = tempfile::tempdir().expect("a folder");
    let output = mixed(dir.path(), &["plan.yaml", "--report", "junit:r.xml"]);
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    let report = std::fs::read_to_string(dir.path().join("r.xml")).expect("a report");
    let output = by_xsd(&report);
    assert!(output.status.success(), "{}\n{report}", said(&output));
    let document = roxmltree::Document::parse(&report).expect("XML");
    let cases: Vec<String> = document
        .descendants()
        .filter(|n| n.has_tag_name("testcase"))
        .map(|n| {
            let inner = n.children().filter(roxmltree::Node::is_element).map(|c| c.tag_name().name());
            format!("{}: {}", n.attribute("name").unwrap_or_default(), inner.collect::<Vec<_>>().join(" "))
        })
        .collect();
    let expected = [
        "good: system-out",
        "allowed: system-out",
        "never: skipped",
        "late: failure",
        "after: skipped",
        "finally: tell: failure",
    ];
    assert_eq!(cases, expected, "{report}");
    // What the reader refuses of it.
    for (from, to) in [("<properties>", "<facts>"), ("<skipped message=", "<skipped text="), (" tests=", " count=")] {
        assert!(report.contains(from), "{from}");
        let wrong = report
            .replace(from, to)
            .replace("</properties>", if to == "<facts>" { "</facts>" } else { "</properties>" });
        assert!(said(&by_xsd(&wrong)).contains("DocumentInvalid"), "{from} as {to}");
    }
}

/// Reads metrics as Prometheus' own client does: of each its type, labels and value.
fn by_prometheus(text: &str) -> Output {
    let variable =
        std::env::var_os("RUNPLAN_TEST_PYTHON").expect("RUNPLAN_TEST_PYTHON: run `tests/sandbox cargo test`");
    let script = "import json, sys; from prometheus_client.parser import text_string_to_metric_families as read\n\
        print(json.dumps({s.name: [f.type, f.documentation, s.labels, s.value] for f in read(sys.stdin.read()) for s in f.samples}))";
    let mut command = Command::new(variable);
    command.args(["-c", script]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("python");
    child.stdin.take().expect("its input").write_all(text.as_bytes()).expect("it reads");
    child.wait_with_output().expect("it ends")
}

#[test]
fn the_metrics_are_what_prometheus_reads() {
    let dir = tempfile::tempdir().expect("a folder");
    let odd = "a \"b\" \\ c";
    let param = format!("db={odd}");
    assert_eq!(mixed(dir.path(), &["plan.yaml", "-q", "-p", &param]).status.code(), Some(1));
    let status = |arguments: &[&str]| {
        let all = [&["status", "plan.yaml", "--format", "prometheus", "-p", &param], arguments].concat();
        let output = mixed(dir.path(), &all);
        (output.status.code(), String::from_utf8(output.stdout).expect("UTF-8"))
    };
    let (code, text) = status(&[]);
    assert_eq!(code, Some(0), "{text}");
    let output = by_prometheus(&text);
    assert!(output.status.success(), "{text}\n{}", String::from_utf8_lossy(&output.stderr));
    let read: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let value = |metric: &str| {
        let found = &read[format!("runplan_{metric}")];
        assert_eq!(found[0], "gauge", "{metric}: {read}");
        assert!(found[1].as_str().is_some_and(|help| !help.is_empty()), "{metric}: {read}");
        assert_eq!(found[2], serde_json::json!({ "plan": "all", "param_db": odd }));
        found[3].as_f64().expect("a number")
    };
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970").as_secs_f64();
    assert_eq!(value("last_success_timestamp_seconds"), 0.0);
    assert_eq!(value("last_run_exit_code"), 1.0);
    assert!((now - 600.0..=now).contains(&value("last_run_timestamp_seconds")), "{text}");
    assert!((0.1..60.0).contains(&value("last_run_duration_seconds")), "{text}");
    assert_eq!(value("running"), 0.0);
    // With a limit it judges, too.
    assert_eq!(status(&["--max-age", "1h"]).0, Some(1));
    let output = by_prometheus(&text.replace("plan=\"all", "plan=all"));
    assert!(!output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}

#[test]
fn the_schemas_say_where_they_are_from() {
    for file in std::fs::read_dir(Path::new("tests/schemas")).expect("the schemas").flatten() {
        let text = std::fs::read_to_string(file.path()).expect("a schema");
        assert!(text.contains("$comment"), "{}", file.path().display());
    }
}
