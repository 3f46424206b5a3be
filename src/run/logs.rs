//! Old logs of the same plan, removed after a good run.

use std::path::Path;

use super::emit::Emitter;
use crate::files;
use crate::step::Level;

/// Which of the run folders `names` go so that `keep` stay, the newest, and at least the current one. Ids order by time.
fn surplus<'n>(names: &'n [String], current: &str, keep: u32) -> Vec<&'n str> {
    let mut runs: Vec<&str> =
        names.iter().map(String::as_str).filter(|n| files::is_run_id(n) && *n != current).collect();
    runs.sort_unstable_by(|a, b| b.cmp(a));
    let others = usize::try_from(keep.max(1)).unwrap_or(usize::MAX) - 1;
    runs.split_off(others.min(runs.len()))
}

/// Removes the logs beyond `keep` beside the current run's folder. One that cannot be removed is said and left.
pub fn prune(current: &Path, keep: u32, emitter: &Emitter) {
    let (Some(root), Some(name)) = (current.parent(), current.file_name()) else { return };
    let name = name.to_string_lossy();
    let names = match files::folder_names(root) {
        Ok(names) => names,
        Err(error) => return emitter.say(Level::Warn, format!("old logs in `{}` stay: {error}", root.display())),
    };
    let gone = surplus(&names, &name, keep);
    let mut removed = 0;
    for old in &gone {
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

    #[test]
    fn the_newest_logs_stay_and_foreign_folders_are_not_touched() {
        let names: Vec<String> = [
            "20260101T000000Z-aaaa",
            "20260103T000000Z-bbbb",
            "20260102T000000Z-cccc",
            "keep-me",
            "20260104T000000Z-dddd",
        ]
        .map(str::to_owned)
        .to_vec();
        let current = "20260104T000000Z-dddd";
        assert_eq!(surplus(&names, current, 2), ["20260102T000000Z-cccc", "20260101T000000Z-aaaa"]);
        assert_eq!(surplus(&names, current, 0).len(), 3);
        assert_eq!(surplus(&names, current, 14).len(), 0);
    }
}
