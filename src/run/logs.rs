//! Old logs of the same plan, removed after a good run: of each database or target as many stay as the plan says.

use std::collections::BTreeMap;
use std::path::Path;

use super::emit::Emitter;
use crate::event::Subject;
use crate::files;
use crate::step::Level;

/// A run by its name, with what it was about if its journal tells.
type Run = (String, Option<Subject>);

/// Which of the runs go so that of everything that the current one is about `keep` stay, the newest, it among them. Names
/// order by time. A run that is about something else stays. One that does not tell what it was about counts for nothing,
/// and goes when `keep` are newer.
fn surplus<'r>(others: &'r [Run], current: Option<&Subject>, keep: u32) -> Vec<&'r str> {
    let mut others: Vec<&Run> = others.iter().collect();
    others.sort_unstable_by(|a, b| b.0.cmp(&a.0));
    let mut newer: BTreeMap<&str, u32> = match current {
        Some(Subject::Targets(names)) => names.iter().map(|name| (name.as_str(), 1)).collect(),
        Some(Subject::Database(_)) | None => BTreeMap::from([("", 1)]),
    };
    let mut gone = Vec::new();
    for (run, about) in others {
        // What the two have in common.
        let (told, shared): (bool, Vec<&str>) = match (current, about) {
            (Some(Subject::Targets(_)), Some(Subject::Targets(names))) => {
                (true, names.iter().map(String::as_str).filter(|name| newer.contains_key(name)).collect())
            }
            (Some(Subject::Database(ours)), Some(Subject::Database(other))) => {
                (true, if ours == other { vec![""] } else { Vec::new() })
            }
            // Where the current one does not tell, all of them count.
            (None, _) => (true, vec![""]),
            // The plan had no targets then, or has none now.
            _ => (false, newer.keys().copied().collect()),
        };
        if !shared.is_empty() && shared.iter().all(|name| newer.get(name).is_some_and(|n| *n >= keep.max(1))) {
            gone.push(run.as_str());
        } else if told {
            shared.into_iter().for_each(|name| *newer.entry(name).or_default() += 1);
        }
    }
    gone
}

/// Removes the logs beyond `keep` beside the current run's folder. One that cannot be removed is said and left.
pub fn prune(current: &Path, keep: u32, subject_of: fn(&Path) -> Option<Subject>, emitter: &Emitter) {
    let (Some(root), Some(name)) = (current.parent(), current.file_name()) else { return };
    let names = match files::folder_names(root) {
        Ok(names) => names,
        Err(error) => return emitter.say(Level::Warn, format!("old logs in `{}` stay: {error}", root.display())),
    };
    let others = names.into_iter().filter(|n| files::is_run_id(n) && name.to_str() != Some(n));
    // A run that others may have written counts for nothing, and is not ours to remove.
    let others = others.filter(|n| files::why_distrusted(&root.join(n).join("events.jsonl")).is_none());
    let others: Vec<Run> = others.map(|n| (n.clone(), subject_of(&root.join(n)))).collect();
    // Read back like theirs, so that it says the same of the same.
    let mut removed = 0;
    for old in surplus(&others, subject_of(current).as_ref(), keep) {
        match files::remove_run_dir(root, old) {
            Ok(()) => removed += 1,
            Err(error) => emitter.say(Level::Warn, format!("the old log `{old}` stays: {error}")),
        }
    }
    if removed > 0 {
        let s = if removed == 1 { "" } else { "s" };
        emitter.say(Level::Info, format!("removed the log{s} of {removed} older run{s}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn database(name: &str) -> Option<Subject> {
        Some(Subject::Database(name.to_owned()))
    }

    fn targets(names: &[&str]) -> Option<Subject> {
        Some(Subject::Targets(names.iter().map(|n| (*n).to_owned()).collect()))
    }

    /// Runs of the last days, the newest first, by the number of their day.
    fn gone(others: &[Option<Subject>], current: Option<Subject>, keep: u32) -> Vec<usize> {
        let day = |at: usize| format!("202601{:02}T000000Z-aaaa", 30 - at);
        let runs: Vec<Run> = others.iter().enumerate().map(|(at, about)| (day(at), about.clone())).rev().collect();
        let gone = surplus(&runs, current.as_ref(), keep);
        (0..others.len()).filter(|at| gone.contains(&day(*at).as_str())).collect()
    }

    #[test]
    fn of_each_database_the_newest_stay() {
        let nights = [database("b"), database("a"), database("b"), database("a"), database("b"), database("a")];
        assert_eq!(gone(&nights, database("a"), 2), [3, 5]);
        assert_eq!(gone(&nights, database("b"), 2), [2, 4]);
        assert_eq!(gone(&nights, database("c"), 2), [0; 0]);
        assert_eq!(gone(&nights, database("a"), 0), [1, 3, 5]);
        assert_eq!(gone(&nights, database("a"), 14), [0; 0]);
    }

    #[test]
    fn a_run_over_targets_goes_when_each_of_them_has_enough_that_are_newer() {
        let runs =
            [targets(&["x"]), targets(&["x"]), targets(&["x", "y"]), targets(&["x", "y", "old"]), targets(&["z"])];
        assert_eq!(gone(&runs, targets(&["x", "y"]), 2), [1, 3]);
        assert_eq!(gone(&runs, targets(&["x", "y"]), 3), [0; 0]);
        assert_eq!(gone(&runs, targets(&["x", "y"]), 1), [0, 1, 2, 3]);
    }

    #[test]
    fn what_does_not_tell_takes_no_place_and_goes_when_enough_are_newer() {
        let runs = [None, database("a"), None, database("b"), targets(&["x"]), database("a")];
        assert_eq!(gone(&runs, database("a"), 1), [0, 1, 2, 4, 5]);
        assert_eq!(gone(&runs, database("a"), 2), [2, 4, 5]);
        assert_eq!(gone(&runs, database("a"), 3), [0; 0]);
        // Where the current one does not tell, all are of one kind, as they were.
        assert_eq!(gone(&runs, None, 3), [2, 3, 4, 5]);
    }
}
