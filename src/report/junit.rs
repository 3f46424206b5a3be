//! A run as a JUnit report: a suite for the plan, a test case for each step and handler, in
//! a class for each target.

use std::fmt::Write;

use chrono::SecondsFormat;

use super::result::{RunResult, StepResult};
use crate::diag::xml;
use crate::event::{Outcome, Section};
use crate::step::{Failure, Status};

/// The report. A run that failed has a case that failed, also when it did so before its first step.
pub fn report(run: &RunResult) -> String {
    let mut cases: Vec<String> = run.steps.iter().map(|step| case(&run.plan, step)).collect();
    let failures = run.steps.iter().filter(|s| failed(s)).count();
    let skipped = run.steps.iter().filter(|s| s.status == Some(Status::Skipped)).count();
    let own = own(run);
    let errors = own.len();
    cases.extend(own);
    let (tests, time) = (cases.len(), run.seconds.max(0.0));
    let started = run.started_at.map(|t| t.to_rfc3339_opts(SecondsFormat::Secs, true)).unwrap_or_default();
    let plan = xml(&run.plan);
    let mut out = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    let _ = writeln!(
        out,
        "<testsuites name=\"runplan\" tests=\"{tests}\" failures=\"{failures}\" errors=\"{errors}\" time=\"{time:.3}\">"
    );
    let _ = writeln!(
        out,
        "  <testsuite name=\"{plan}\" tests=\"{tests}\" failures=\"{failures}\" errors=\"{errors}\" skipped=\"{skipped}\" \
         time=\"{time:.3}\" timestamp=\"{started}\" hostname=\"{}\">",
        xml(&run.host)
    );
    out += "    <properties>\n";
    let log_dir = run.log_dir.as_ref().map(|d| d.display().to_string()).unwrap_or_default();
    for (name, value) in [("run", &run.run), ("plan_file", &run.plan_file), ("log_dir", &log_dir)] {
        let _ = writeln!(out, "      <property name=\"{name}\" value=\"{}\"/>", xml(value));
    }
    out += "    </properties>\n";
    out.extend(cases);
    out + "  </testsuite>\n</testsuites>\n"
}

fn failed(step: &StepResult) -> bool {
    matches!(step.status, Some(Status::Failed | Status::TimedOut | Status::Cancelled))
}

/// A step as a test case.
fn case(plan: &str, step: &StepResult) -> String {
    let name = match step.section {
        Section::Steps => step.step.clone(),
        section if step.step.starts_with(section.key()) => step.step.clone(),
        section => format!("{}: {}", section.key(), step.step),
    };
    let inner = match (step.status, &step.error) {
        (Some(status @ (Status::Failed | Status::TimedOut | Status::Cancelled)), error) => {
            let error = error.as_deref().unwrap_or_else(|| status.word());
            element("failure", error, status.word(), &text(step))
        }
        (Some(Status::Skipped), _) => {
            format!("      <skipped message=\"{}\"/>\n", xml(step.reason.as_deref().unwrap_or_default()))
        }
        _ => match text(step) {
            text if text.is_empty() => String::new(),
            text => format!("      <system-out>{}</system-out>\n", xml(&text)),
        },
    };
    element_of_case(&class(plan, step.target.as_deref()), &name, step.seconds, &inner)
}

fn class(plan: &str, target: Option<&str>) -> String {
    target.map_or_else(|| plan.to_owned(), |t| format!("{plan}.{t}"))
}

/// What failed and is no step, of the run or of its targets: a secret that is missing, a lock that is held.
fn own(run: &RunResult) -> Vec<String> {
    if run.result != Some(Outcome::Failed) {
        return Vec::new();
    }
    let told = |target: Option<&str>, at: &str| {
        let own = |s: &&StepResult| s.target.as_deref() == target && s.section == Section::Steps && s.step == at;
        run.steps.iter().filter(own).any(failed)
    };
    let case = |target: Option<&str>, name: &str, failure: Option<&Failure>| {
        let (kind, error) = failure.map_or(("step", "the run failed"), |f| (f.kind.word(), f.error.as_str()));
        let hint = failure.and_then(|f| f.hint.as_ref()).map(|h| format!("help: {h}")).unwrap_or_default();
        element_of_case(&class(&run.plan, target), name, 0.0, &element("error", error, kind, &hint))
    };
    let failures = run.targets.iter().filter_map(|t| Some((t.target.as_str(), t.failure.as_ref()?)));
    let untold = failures.clone().filter(|(target, f)| !told(Some(target), &f.step));
    let cases: Vec<String> = untold.map(|(target, f)| case(Some(target), "target", Some(f))).collect();
    let known = failures.count() > 0 || run.failure.as_ref().is_some_and(|f| told(None, &f.step));
    if known { cases } else { vec![case(None, "run", run.failure.as_ref())] }
}

fn element_of_case(plan: &str, name: &str, seconds: f64, inner: &str) -> String {
    let (plan, name) = (xml(plan), xml(name));
    let start = format!("    <testcase name=\"{name}\" classname=\"runplan.{plan}\" time=\"{seconds:.3}\"");
    if inner.is_empty() { format!("{start}/>\n") } else { format!("{start}>\n{inner}    </testcase>\n") }
}

fn element(name: &str, message: &str, kind: &str, text: &str) -> String {
    format!("      <{name} message=\"{}\" type=\"{kind}\">{}</{name}>\n", xml(message), xml(text))
}

/// What there is to say of a step beside its error: warnings, what was decided, how often it was tried, and help.
fn text(step: &StepResult) -> String {
    let mut lines = step.decided.clone();
    lines.extend(step.warnings.iter().map(|w| format!("warning: {w}")));
    if step.status == Some(Status::Warning) {
        lines.extend(step.error.iter().map(|e| format!("failed, which the plan allows: {e}")));
    }
    if step.done_by.is_some() {
        lines.extend(step.reason.clone());
    }
    if step.attempts > 1 {
        lines.push(format!("{} attempts", step.attempts));
    }
    lines.extend(step.hint.iter().map(|h| format!("help: {h}")));
    lines.join("\n")
}
