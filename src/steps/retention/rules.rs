//! Which archives stay: one pure function from what lies in a folder to a decision for each, with its reasons.

use std::collections::BTreeSet;

use chrono::{DateTime, Datelike, NaiveDate, TimeDelta, Utc};

/// An archive that counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    pub name: String,
    /// When it was made: the record's time, or for a file without one the time it was last written.
    pub made: DateTime<Utc>,
    /// Somebody said that it stays.
    pub pinned: bool,
}

/// How many stay. Of several rules each keeps its own; what any of them keeps stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Policy {
    /// The newest so many.
    pub last: Option<u32>,
    /// The newest of each of the last so many days, calendar weeks (ISO 8601), months and years that have one.
    pub daily: Option<u32>,
    pub weekly: Option<u32>,
    pub monthly: Option<u32>,
    pub yearly: Option<u32>,
    /// All that are no older than this, reckoned from the newest: when nothing new comes, nothing runs out.
    pub within: Option<TimeDelta>,
    /// Never fewer than so many, whatever else is said.
    pub min_keep: u32,
}

/// What becomes of an archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    pub name: String,
    pub stays: bool,
    /// Reads after "keeps … :" or "removes … :".
    pub reason: String,
}

/// A calendar period, by the name that people give it.
#[derive(Clone, Copy)]
enum Period {
    Day,
    Week,
    Month,
    Year,
}

impl Period {
    /// The period that a day lies in.
    fn of(self, day: NaiveDate) -> String {
        match self {
            Self::Day => format!("day {day}"),
            Self::Week => format!("week {}-W{:02}", day.iso_week().year(), day.iso_week().week()),
            Self::Month => format!("month {}-{:02}", day.year(), day.month()),
            Self::Year => format!("year {}", day.year()),
        }
    }
}

/// Decides for each candidate, the newest first; of two of one moment the one whose name is later in the alphabet counts
/// as newer. `day` tells the calendar day of a moment where the archives are kept. With `hold` nothing goes, whatever the
/// policy says. A pinned one stays and takes nobody's place.
pub fn decide(
    mut candidates: Vec<Candidate>,
    policy: &Policy,
    day: &dyn Fn(DateTime<Utc>) -> NaiveDate,
    hold: Option<&str>,
) -> Vec<Verdict> {
    candidates.sort_by(|a, b| b.made.cmp(&a.made).then_with(|| b.name.cmp(&a.name)));
    let newest = candidates.iter().find(|c| !c.pinned).map(|c| c.made);
    let rules = [
        (Period::Day, policy.daily),
        (Period::Week, policy.weekly),
        (Period::Month, policy.monthly),
        (Period::Year, policy.yearly),
    ];
    let mut seen: [BTreeSet<String>; 4] = Default::default();
    let mut place: u32 = 0;
    let mut verdicts = Vec::new();
    for candidate in candidates {
        if candidate.pinned {
            verdicts.push(Verdict { name: candidate.name, stays: true, reason: "it is pinned".to_owned() });
            continue;
        }
        place = place.saturating_add(1);
        let mut reasons = Vec::new();
        if let Some(last) = policy.last.filter(|last| place <= *last) {
            reasons.push(format!("number {place} of the {last} newest"));
        }
        for ((period, keep), seen) in rules.iter().zip(&mut seen) {
            let name = period.of(day(candidate.made));
            let room = keep.is_some_and(|k| seen.len() < usize::try_from(k).unwrap_or(usize::MAX));
            if room && seen.insert(name.clone()) {
                reasons.push(format!("the newest of {name}"));
            }
        }
        if let (Some(within), Some(newest)) = (policy.within, newest)
            && newest - candidate.made <= within
        {
            reasons.push("young enough".to_owned());
        }
        if reasons.is_empty() && place <= policy.min_keep {
            reasons.push(format!("number {place}, and at least {} stay", policy.min_keep));
        }
        let (stays, reason) = match (reasons.is_empty(), hold) {
            (false, _) => (true, reasons.join(", ")),
            (true, Some(why)) => (true, format!("would go as number {place}, but nothing is removed: {why}")),
            (true, None) => (false, format!("number {place}, and no rule keeps it")),
        };
        verdicts.push(Verdict { name: candidate.name, stays, reason });
    }
    verdicts
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn candidates(seconds: &[i64]) -> Vec<Candidate> {
        let at = |s: &i64| DateTime::UNIX_EPOCH + TimeDelta::seconds(*s);
        let one = |(i, s)| Candidate { name: format!("a{i:03}"), made: at(s), pinned: false };
        seconds.iter().enumerate().map(one).collect()
    }

    fn names(verdicts: &[Verdict], stays: bool) -> Vec<&str> {
        verdicts.iter().filter(|v| v.stays == stays).map(|v| v.name.as_str()).collect()
    }

    fn run(candidates: Vec<Candidate>, policy: Policy, hold: Option<&str>) -> Vec<Verdict> {
        decide(candidates, &policy, &|t| t.date_naive(), hold)
    }

    fn last(last: u32, min_keep: u32) -> Policy {
        Policy { last: Some(last), min_keep, ..Policy::default() }
    }

    #[test]
    fn the_newest_by_time_stay_whatever_their_names() {
        let verdicts = run(candidates(&[50, 10, 40, 30]), last(2, 1), None);
        assert_eq!(names(&verdicts, true), ["a000", "a002"]);
        assert_eq!(names(&verdicts, false), ["a003", "a001"]);
        assert!(verdicts[3].reason.contains("number 4"), "{verdicts:?}");
    }

    #[test]
    fn two_of_one_second_are_told_apart_by_name() {
        assert_eq!(names(&run(candidates(&[7, 7, 7]), last(1, 1), None), true), ["a002"]);
    }

    #[test]
    fn the_floor_is_above_the_policy_and_a_hold_above_both() {
        assert_eq!(names(&run(candidates(&[1, 2, 3, 4]), last(1, 3), None), true).len(), 3);
        let held = run(candidates(&[1, 2, 3, 4]), last(1, 1), Some("`dump` failed"));
        assert_eq!(names(&held, true).len(), 4);
        assert!(held[3].reason.contains("`dump` failed"));
    }

    #[test]
    fn a_pinned_one_stays_and_takes_no_place() {
        let mut all = candidates(&[1, 2, 3, 4]);
        all[0].pinned = true;
        all[3].pinned = true;
        let verdicts = run(all, last(1, 1), None);
        assert_eq!(names(&verdicts, true), ["a003", "a002", "a000"]);
    }

    #[test]
    fn each_period_keeps_its_newest() {
        const HOUR: i64 = 3600;
        const DAY: i64 = 24 * HOUR;
        // 1970-01-01 was a Thursday. Two on each of 40 days.
        let seconds: Vec<i64> = (0..40).flat_map(|d| [d * DAY + HOUR, d * DAY + 2 * HOUR]).collect();
        let days = |policy: Policy| -> Vec<i64> {
            let verdicts = run(candidates(&seconds), policy, None);
            let place = |n: &str| n[1..].parse::<i64>().expect("a number");
            // The later one of a day has an odd number.
            names(&verdicts, true).into_iter().map(|n| if place(n) % 2 == 1 { place(n) / 2 } else { -1 }).collect()
        };
        assert_eq!(days(Policy { daily: Some(3), ..Policy::default() }), [39, 38, 37]);
        // Day 39 is Monday, 1970-02-09; weeks end with their Sundays, days 38 and 31.
        assert_eq!(days(Policy { weekly: Some(3), ..Policy::default() }), [39, 38, 31]);
        assert_eq!(days(Policy { monthly: Some(5), ..Policy::default() }), [39, 30]);
        assert_eq!(days(Policy { yearly: Some(5), ..Policy::default() }), [39]);
        let both = Policy { last: Some(1), monthly: Some(2), ..Policy::default() };
        assert_eq!(days(both), [39, 30]);
        let within = Policy { within: Some(TimeDelta::days(1)), ..Policy::default() };
        assert_eq!(days(within), [39, -1, 38], "a day from the newest, both ends in");
    }

    #[test]
    fn a_month_of_failures_empties_nothing() {
        // Nothing new for 30 days: the age is reckoned from the newest, so each night decides the same.
        let all = candidates(&[0, 86_400, 2 * 86_400]);
        let policy = Policy { within: Some(TimeDelta::days(7)), min_keep: 1, ..Policy::default() };
        for _ in 0..30 {
            assert_eq!(names(&run(all.clone(), policy, None), true).len(), 3);
        }
    }

    prop_compose! {
        fn any_policy()(
            last in prop::option::of(1u32..20), daily in prop::option::of(1u32..20), weekly in prop::option::of(1u32..9),
            monthly in prop::option::of(1u32..9), yearly in prop::option::of(1u32..4),
            within in prop::option::of(0i64..100), min_keep in 1u32..20,
        ) -> Policy {
            Policy { last, daily, weekly, monthly, yearly, within: within.map(TimeDelta::days), min_keep }
        }
    }

    proptest! {
        #[test]
        fn what_goes_under_keep_last_is_older_than_all_that_stays(
            seconds in prop::collection::vec(0i64..50, 0..40), keep in 1u32..20, min_keep in 1u32..20
        ) {
            let all = candidates(&seconds);
            let verdicts = run(all.clone(), last(keep, min_keep), None);
            let made = |name: &str| all.iter().find(|c| c.name == name).map(|c| c.made);
            let stay = names(&verdicts, true);
            prop_assert_eq!(stay.len(), (keep.max(min_keep) as usize).min(all.len()));
            for gone in names(&verdicts, false) {
                prop_assert!(stay.iter().all(|s| made(s) >= made(gone)));
            }
        }

        #[test]
        fn every_policy_keeps_the_floor_and_the_newest_and_what_is_pinned(
            days in prop::collection::vec(0i64..900, 0..60), pins in prop::collection::vec(any::<bool>(), 60),
            policy in any_policy()
        ) {
            let mut all = candidates(&days.iter().map(|d| d * 86_400).collect::<Vec<_>>());
            all.iter_mut().zip(&pins).for_each(|(c, p)| c.pinned = *p);
            let verdicts = run(all.clone(), policy, None);
            prop_assert_eq!(verdicts.len(), all.len());
            let free: Vec<&Candidate> = all.iter().filter(|c| !c.pinned).collect();
            let kept = |c: &&&Candidate| verdicts.iter().any(|v| v.name == c.name && v.stays);
            prop_assert!(free.iter().filter(kept).count() >= (policy.min_keep as usize).min(free.len()));
            prop_assert!(all.iter().filter(|c| c.pinned).all(|c| verdicts.iter().any(|v| v.name == c.name && v.stays)));
            if let Some(newest) = free.iter().map(|c| c.made).max() {
                prop_assert!(free.iter().any(|c| c.made == newest && kept(&c)));
            }
            // A stricter policy never keeps what a laxer one lets go.
            let more = Policy { last: policy.last.map(|n| n + 1), daily: policy.daily.map(|n| n + 1), ..policy };
            let lax = run(all.clone(), more, None);
            for v in verdicts.iter().filter(|v| v.stays) {
                prop_assert!(lax.iter().any(|l| l.name == v.name && l.stays));
            }
            prop_assert!(run(all, policy, Some("x")).iter().all(|v| v.stays));
        }
    }
}
