//! Which archives stay: one pure function from what lies in a folder to a decision for each, with its reason.

use chrono::{DateTime, Utc};

/// An archive that counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    pub name: String,
    /// When it was made: the record's time, or for a file without one the time it was last written.
    pub made: DateTime<Utc>,
}

/// How many stay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// The newest so many stay.
    pub keep_last: u32,
    /// Never fewer than so many stay, whatever else is said.
    pub min_keep: u32,
}

/// What becomes of an archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    pub name: String,
    pub stays: bool,
    pub reason: String,
}

/// Decides for each candidate, the newest first; of two of one moment the one whose name is later in the alphabet counts
/// as newer. With `hold` nothing goes, whatever the policy says.
pub fn decide(mut candidates: Vec<Candidate>, policy: Policy, hold: Option<&str>) -> Vec<Verdict> {
    candidates.sort_by(|a, b| b.made.cmp(&a.made).then_with(|| b.name.cmp(&a.name)));
    let one = |(index, candidate): (usize, Candidate)| {
        let place = u32::try_from(index + 1).unwrap_or(u32::MAX);
        let last = policy.keep_last;
        let (stays, reason) = if place <= last {
            (true, format!("number {place} of the {last} newest"))
        } else if place <= policy.min_keep {
            (true, format!("number {place}, and at least {} stay", policy.min_keep))
        } else {
            match hold {
                Some(why) => (true, format!("would go as number {place}, but nothing is removed: {why}")),
                None => (false, format!("number {place}, and the {last} newest stay")),
            }
        };
        Verdict { name: candidate.name, stays, reason }
    };
    candidates.into_iter().enumerate().map(one).collect()
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;
    use proptest::prelude::*;

    use super::*;

    fn candidates(seconds: &[i64]) -> Vec<Candidate> {
        let at = |s: &i64| DateTime::UNIX_EPOCH + TimeDelta::seconds(*s);
        seconds.iter().enumerate().map(|(i, s)| Candidate { name: format!("a{i:03}"), made: at(s) }).collect()
    }

    fn names(verdicts: &[Verdict], stays: bool) -> Vec<&str> {
        verdicts.iter().filter(|v| v.stays == stays).map(|v| v.name.as_str()).collect()
    }

    #[test]
    fn the_newest_by_time_stay_whatever_their_names() {
        let policy = Policy { keep_last: 2, min_keep: 1 };
        let verdicts = decide(candidates(&[50, 10, 40, 30]), policy, None);
        assert_eq!(names(&verdicts, true), ["a000", "a002"]);
        assert_eq!(names(&verdicts, false), ["a003", "a001"]);
        assert!(verdicts[3].reason.contains("number 4"), "{verdicts:?}");
    }

    #[test]
    fn two_of_one_second_are_told_apart_by_name() {
        let verdicts = decide(candidates(&[7, 7, 7]), Policy { keep_last: 1, min_keep: 1 }, None);
        assert_eq!(names(&verdicts, true), ["a002"]);
    }

    #[test]
    fn the_floor_is_above_the_policy_and_a_hold_above_both() {
        let verdicts = decide(candidates(&[1, 2, 3, 4]), Policy { keep_last: 1, min_keep: 3 }, None);
        assert_eq!(names(&verdicts, true).len(), 3);
        let held = decide(candidates(&[1, 2, 3, 4]), Policy { keep_last: 1, min_keep: 1 }, Some("`dump` failed"));
        assert_eq!(names(&held, true).len(), 4);
        assert!(held[3].reason.contains("`dump` failed"));
    }

    proptest! {
        #[test]
        fn what_goes_is_older_than_all_that_stays_and_enough_stays(
            seconds in prop::collection::vec(0i64..50, 0..40), keep_last in 1u32..20, min_keep in 1u32..20
        ) {
            let all = candidates(&seconds);
            let verdicts = decide(all.clone(), Policy { keep_last, min_keep }, None);
            prop_assert_eq!(verdicts.len(), all.len());
            let made = |name: &str| all.iter().find(|c| c.name == name).map(|c| c.made);
            let stay = names(&verdicts, true);
            let floor = keep_last.max(min_keep) as usize;
            prop_assert_eq!(stay.len(), floor.min(all.len()));
            for gone in names(&verdicts, false) {
                prop_assert!(stay.iter().all(|s| made(s) >= made(gone)));
            }
            let held = decide(all, Policy { keep_last, min_keep }, Some("x"));
            prop_assert!(held.iter().all(|v| v.stays));
        }
    }
}
