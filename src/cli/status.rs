//! `runplan status`: whether the last good run of a plan is young enough.

use std::fmt::Write;
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::json;

use super::args::{StatusArgs, StatusFormat};
use super::exit::{Exit, Failure};
use super::output::Terms;
use super::past::{self, Sought};
use super::run::host;
use crate::diag;
use crate::journal::{Health, Past, State, Verdict};
use crate::quantity::Span;

/// The version of the document's shape.
const SCHEMA_VERSION: u32 = 1;

/// How old the last good run may be, unless `--max-age` says otherwise: a day and two hours.
const MAX_AGE: Span = Span(Duration::from_secs(26 * 3600));

/// Says how a plan is.
pub fn status(args: &StatusArgs, terms: &Terms) -> Result<Exit, Failure> {
    // Metrics without a limit are not judged.
    let limit = args.max_age.or_else(|| (args.format != StatusFormat::Prometheus).then_some(MAX_AGE));
    let sought = match past::seek(Some(&args.plan), args.dir.as_deref(), &args.param, Some(terms)) {
        // Who watches sees standard output alone.
        Err(failure) if args.format == StatusFormat::Text => {
            let _ = terms.print(&critical(&args.plan, &failure.text));
            return Err(failure);
        }
        other => other?,
    };
    let plan = sought.shelves.first().map_or(args.plan.as_str(), |s| s.plan.as_str());
    let values: Vec<String> = sought.params.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let who = if values.is_empty() { plan.to_owned() } else { format!("{plan} ({})", values.join(", ")) };
    let (health, mut verdict) = match sought.runs() {
        Ok(runs) => {
            let health = Health::of(&runs, &host(), |past| sought.wants(past));
            let limit = limit.map(|span| (span.0.as_secs_f64(), span.to_string()));
            let mut verdict = health.judge(Utc::now(), limit.as_ref().map(|(most, said)| (*most, said.as_str())));
            if runs.is_empty() {
                verdict.text += &format!(": {}", sought.nothing());
            }
            (health, verdict)
        }
        Err(failure) => {
            let hint = failure.hint.map(|h| format!("; {h}")).unwrap_or_default();
            (Health::default(), Verdict { ok: false, age_seconds: None, text: failure.text + &hint })
        }
    };
    match sought.distrusted() {
        // Who watches sees standard output alone.
        Some(text) if args.format != StatusFormat::Prometheus => verdict.text += &format!("; {}", diag::clean(&text)),
        _ => sought.warn_of_distrusted(terms),
    }
    let max_age = limit.map(|span| span.0.as_secs_f64());
    let text = match args.format {
        StatusFormat::Text => line(&who, &verdict, &health, max_age),
        StatusFormat::Json => {
            let document = json!({
                "schema_version": SCHEMA_VERSION, "plan": plan, "dir": sought.place, "ok": verdict.ok,
                "message": verdict.text, "age_seconds": verdict.age_seconds, "max_age_seconds": max_age,
                "last_good": health.last_good, "last": health.last, "running": health.running,
            });
            serde_json::to_string_pretty(&document).map(|t| t + "\n").unwrap_or_default()
        }
        StatusFormat::Prometheus => metrics(plan, &sought, &health),
    };
    let failed = |e: std::io::Error| Failure { exit: Exit::State, text: e.to_string(), hint: None };
    terms.print(&text).map_err(failed)?;
    let fine = verdict.ok || limit.is_none();
    Ok(if fine { Exit::Done } else { Exit::Failed })
}

/// A text that Nagios takes for one line, and for no performance data.
fn plain(text: &str) -> String {
    diag::clean(text).replace('|', "/")
}

fn critical(plan: &str, text: &str) -> String {
    format!("CRITICAL - {}: {}\n", plain(plan), plain(text))
}

/// The line of a plugin: the state, what there is to say, and behind `|` what is drawn.
fn line(plan: &str, verdict: &Verdict, health: &Health, max_age: Option<f64>) -> String {
    let mut out = match verdict.ok {
        true => format!("OK - {}: {}", plain(plan), plain(&verdict.text)),
        false => critical(plan, &verdict.text).trim_end().to_owned(),
    };
    let mut data = Vec::new();
    if let Some(age) = verdict.age_seconds {
        let limit = max_age.map(|most| format!(";;{most:.0}")).unwrap_or_default();
        data.push(format!("age={:.0}s{limit}", age.max(0.0).floor()));
    }
    data.extend(health.last_good.as_ref().and_then(|g| g.seconds).map(|s| format!("duration={s:.1}s")));
    if !data.is_empty() {
        out += &format!(" | {}", data.join(" "));
    }
    out + "\n"
}

/// Metrics in the text format of Prometheus.
fn metrics(plan: &str, sought: &Sought, health: &Health) -> String {
    let mut labels = format!("plan=\"{}\"", escaped(plan));
    for (name, value) in &sought.params {
        let _ = write!(labels, ",param_{}=\"{}\"", label(name), escaped(value));
    }
    let mut out = String::new();
    let mut gauge = |name: &str, help: &str, value: Option<f64>| {
        if let Some(value) = value {
            let _ = write!(out, "# HELP {name} {help}\n# TYPE {name} gauge\n{name}{{{labels}}} {value}\n");
        }
    };
    let unix = |time: DateTime<Utc>| time.timestamp_millis() as f64 / 1000.0;
    let end = |past: &Past| past.ended_at.or(past.started_at).map(unix);
    let last = health.last.as_ref();
    gauge(
        "runplan_last_success_timestamp_seconds",
        "When the last good run of the plan ended, in Unix time; 0 if there is none.",
        Some(health.last_good.as_ref().and_then(Past::good_since).map_or(0.0, unix)),
    );
    gauge(
        "runplan_last_run_timestamp_seconds",
        "When the last run of the plan ended, in Unix time.",
        last.and_then(end),
    );
    gauge(
        "runplan_last_run_exit_code",
        "The exit code of the last run of the plan; -1 if it was killed or its journal cannot be read.",
        last.map(|past| past.exit_code.map_or(-1.0, f64::from)),
    );
    gauge(
        "runplan_last_run_duration_seconds",
        "How long the last run of the plan took.",
        last.and_then(|past| past.seconds),
    );
    gauge(
        "runplan_running",
        "Whether a run of the plan goes on.",
        Some(f64::from(u8::from(health.running.as_ref().is_some_and(|r| r.result == State::Running)))),
    );
    out
}

/// The value of a label.
fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

/// A name as part of a label's.
fn label(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect()
}
