//! Whether a plan is well: whether its last good run is young enough.

use chrono::{DateTime, Utc};

use super::past::seconds_between;
use super::{Found, Past, State};

/// A run may end so much later than the clock says before the clock is wrong.
const SKEW: f64 = 60.0;

/// The runs that say how a plan is.
#[derive(Debug, Clone, Default)]
pub struct Health {
    /// The newest good one that can be read.
    pub last_good: Option<Past>,
    /// The newest that does not go on.
    pub last: Option<Past>,
    /// The newest that goes on.
    pub running: Option<Past>,
}

/// What is to be said of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Verdict {
    pub ok: bool,
    /// Since the end of the last good run; of one that went on with another, since the end of that one.
    pub age_seconds: Option<f64>,
    pub text: String,
}

impl Health {
    /// Opens runs, the newest first, until enough is known; `wanted` says which count.
    pub fn of(runs: &[Found<'_>], here: &str, wanted: impl Fn(&Past) -> bool) -> Self {
        let mut health = Self::default();
        for past in runs.iter().filter_map(|r| r.open(here)).filter(wanted) {
            let slot = match past.result {
                State::Running => &mut health.running,
                _ => &mut health.last,
            };
            slot.get_or_insert_with(|| past.clone());
            if past.is_good() {
                // One that went on with an old run may be older than the one before it.
                let whole = past.resumes.as_ref().is_none_or(|r| r.since.is_none());
                if health.last_good.as_ref().is_none_or(|good| past.good_since() > good.good_since()) {
                    health.last_good = Some(past);
                }
                if whole {
                    break;
                }
            }
        }
        health
    }

    /// Whether the last good run ended at most `max_age` seconds before now, in one line. Without a limit any good run
    /// will do.
    pub fn judge(&self, now: DateTime<Utc>, max_age: Option<(f64, &str)>) -> Verdict {
        let ended = |past: &Past| past.ended_at.or(past.started_at);
        let until_now = |end: DateTime<Utc>| (now - end).num_milliseconds() as f64 / 1000.0;
        let since = |past: &Past| ended(past).map(until_now);
        let age_seconds = self.last_good.as_ref().and_then(Past::good_since).map(until_now);
        let (ok, mut parts) = match (&self.last_good, age_seconds, max_age) {
            (Some(good), Some(old), _) if old < -SKEW => {
                let ahead = age(-old);
                (false, vec![format!("the last good run {} ended {ahead} from now: a clock is wrong", good.run)])
            }
            (Some(good), Some(old), limit) => {
                let mut text = format!("last good run {} ago", age(old));
                let late = limit.filter(|(most, _)| old > *most);
                text += &late.map(|(_, said)| format!(", more than {said}")).unwrap_or_default();
                let with = good.resumes.as_ref().map(|r| format!(", which went on with {}", r.run)).unwrap_or_default();
                text += &format!(" ({}{with})", good.run);
                if good.warnings > 0 {
                    text += &format!(", with {} warning{}", good.warnings, if good.warnings == 1 { "" } else { "s" });
                }
                (late.is_none(), vec![text])
            }
            _ => (false, vec!["no good run".to_owned()]),
        };
        if let Some(last) = self.last.as_ref().filter(|l| self.last_good.as_ref().is_none_or(|g| g.run != l.run)) {
            let when = since(last).map(|s| format!(" {} ago", age(s))).unwrap_or_default();
            let what = match last.result {
                State::Failed => "failed",
                State::Killed => "was killed",
                State::Unknown => "is not understood:",
                _ => "was not whole:",
            };
            parts.push(format!("last run{when} {what} {}", last.said()).trim_end().to_owned());
        }
        if let Some(running) = &self.running {
            let since =
                running.started_at.map(|s| format!(" for {}", age(seconds_between(s, now)))).unwrap_or_default();
            let said = running.said();
            let said = if said.is_empty() { said } else { format!(", {said}") };
            parts.push(format!("a run goes on{since}{said}"));
        }
        if self.last.is_none() && self.running.is_none() {
            parts.push("it never ran".to_owned());
        }
        Verdict { ok, age_seconds, text: parts.join("; ") }
    }
}

/// An age for people: `40 s`, `12 min`, `5 h 12 min`, `3 d 4 h`.
pub fn age(seconds: f64) -> String {
    let whole = seconds.max(0.0) as u64;
    match whole {
        0..60 => format!("{whole} s"),
        60..3600 => format!("{} min", whole / 60),
        3600..172_800 => format!("{} h {:02} min", whole / 3600, whole / 60 % 60),
        _ => format!("{} d {} h", whole / 86_400, whole / 3600 % 24),
    }
}
