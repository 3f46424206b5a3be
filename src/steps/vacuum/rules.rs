//! The maintenance rule of one table: what the age of its last VACUUM asks for. Pure; days are calendar days.

use chrono::NaiveDate;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Rules that decide which VACUUM is due.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Rules {
    /// What to do with a table without a record in the control table.
    #[serde(default)]
    never: Never,
    /// Do nothing when the last VACUUM was fewer than this many days ago.
    #[serde(default = "five")]
    skip_below_days: i64,
    /// Use `VACUUM (FULL, ANALYZE)` when the last VACUUM was more than this many days ago. Between the two limits, use
    /// `VACUUM`.
    #[serde(default = "ten")]
    full_above_days: i64,
}

fn five() -> i64 {
    5
}

fn ten() -> i64 {
    10
}

impl Default for Rules {
    fn default() -> Self {
        Self { never: Never::default(), skip_below_days: five(), full_above_days: ten() }
    }
}

/// What to do with a table without a record in the control table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Never {
    /// `VACUUM (FULL, ANALYZE)`.
    #[default]
    FullAnalyze,
    /// `VACUUM (ANALYZE)`.
    Analyze,
    /// `VACUUM`.
    Vacuum,
    /// Do nothing.
    Skip,
}

/// What is done with a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    Skip,
    Vacuum,
    Analyze,
    FullAnalyze,
}

impl Action {
    /// The options of the command; none for nothing to do.
    pub fn options(self) -> Option<&'static str> {
        match self {
            Self::Skip => None,
            Self::Vacuum => Some(""),
            Self::Analyze => Some("(ANALYZE) "),
            Self::FullAnalyze => Some("(FULL, ANALYZE) "),
        }
    }

    /// The word that the control table keeps.
    pub fn word(self) -> &'static str {
        match self {
            Self::Skip => "",
            Self::Vacuum => "VACUUM",
            Self::Analyze => "ANALYZE",
            Self::FullAnalyze => "FULL ANALYZE",
        }
    }
}

/// What is due, and why. Without `full`, VACUUM FULL is never used: it becomes VACUUM (ANALYZE).
pub fn decide(last: Option<NaiveDate>, today: NaiveDate, rules: &Rules, full: bool) -> (Action, String) {
    let (action, reason) = match last.map(|l| (today - l).num_days()) {
        None => {
            let action = match rules.never {
                Never::FullAnalyze => Action::FullAnalyze,
                Never::Analyze => Action::Analyze,
                Never::Vacuum => Action::Vacuum,
                Never::Skip => Action::Skip,
            };
            (action, "no record of a VACUUM".to_owned())
        }
        Some(days) => {
            let s = if days == 1 { "" } else { "s" };
            let reason = format!("last VACUUM was {days} day{s} ago");
            match days {
                _ if days < rules.skip_below_days => (Action::Skip, reason),
                _ if days > rules.full_above_days => (Action::FullAnalyze, reason),
                _ => (Action::Vacuum, reason),
            }
        }
    };
    match action {
        Action::FullAnalyze if !full => (Action::Analyze, format!("{reason}, and `full` is false")),
        other => (other, reason),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rule_at_its_edges() {
        let today = NaiveDate::from_ymd_opt(2026, 11, 22).expect("a date");
        let rules = Rules::default();
        let at = |days: i64, full| decide(Some(today - chrono::Duration::days(days)), today, &rules, full).0;
        for (days, action) in [(0, Action::Skip), (4, Action::Skip), (5, Action::Vacuum), (10, Action::Vacuum)] {
            assert_eq!((at(days, true), at(days, false)), (action, action), "{days}");
        }
        for days in [11, 400] {
            assert_eq!((at(days, true), at(days, false)), (Action::FullAnalyze, Action::Analyze), "{days}");
        }
        assert_eq!(decide(None, today, &rules, true).0, Action::FullAnalyze);
        assert_eq!(decide(None, today, &rules, false).0, Action::Analyze);
        assert!(decide(Some(today), today, &rules, true).1.contains("0 days ago"));
    }
}
