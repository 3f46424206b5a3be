//! Folders of runs: one for each plan below a folder of logs. Names of runs order by time, so that only those are opened
//! that are asked for.

use std::io;
use std::path::{Path, PathBuf};

use super::{EVENTS, Past};
use crate::diag;
use crate::files;

/// The runs of one plan.
#[derive(Debug, Clone)]
pub struct Shelf {
    pub plan: String,
    pub dir: PathBuf,
}

/// A run by its name, not opened yet.
#[derive(Debug, Clone)]
pub struct Found<'s> {
    pub run: String,
    pub shelf: &'s Shelf,
}

/// What a name stands for.
#[derive(Debug)]
pub enum Picked<'s> {
    One(Found<'s>),
    /// More than one begins with it.
    Several(Vec<Found<'s>>),
    /// None does; these are near.
    None(Vec<Found<'s>>),
}

impl Shelf {
    /// The runs in this folder, which are those of `plan`.
    pub fn new(plan: impl Into<String>, dir: impl Into<PathBuf>) -> Self {
        Self { plan: plan.into(), dir: dir.into() }
    }

    /// One for each plan that has runs below a folder of logs, in order of name; none when the folder is missing.
    ///
    /// # Errors
    /// The folder cannot be listed.
    pub fn all(logs: &Path) -> io::Result<Vec<Self>> {
        let mut names = missing_is_none(files::folder_names(logs))?;
        names.sort_unstable();
        let shelves = names.into_iter().map(|plan| Self::new(plan.clone(), logs.join(plan)));
        // Other folders may lie there, and some of them may be closed to us.
        Ok(shelves.filter(|s| s.names().is_ok_and(|names| !names.is_empty())).collect())
    }

    /// The names of the runs, in no order.
    ///
    /// # Errors
    /// The folder cannot be listed; one that is missing has no runs.
    pub fn names(&self) -> io::Result<Vec<String>> {
        let mut names = missing_is_none(files::folder_names(&self.dir))?;
        names.retain(|n| files::is_run_id(n));
        Ok(names)
    }

    /// The runs that [`Shelf::runs`] leaves out, by name in no order, and why. A folder that cannot be listed has none.
    pub fn distrusted(shelves: &[Self]) -> Vec<(String, String)> {
        let of = |shelf| {
            let names = Self::names(shelf).unwrap_or_default().into_iter();
            names.filter_map(move |run| Some((run.clone(), Found { run, shelf }.why_distrusted()?)))
        };
        shelves.iter().flat_map(of).collect()
    }

    /// The runs of several plans, the newest first. Those that others may have written are left out, see
    /// [`Found::why_distrusted`].
    ///
    /// # Errors
    /// A folder cannot be listed; one that is missing has no runs.
    pub fn runs<'s>(shelves: &'s [Self]) -> io::Result<Vec<Found<'s>>> {
        let mut all = Vec::new();
        for shelf in shelves {
            all.extend(shelf.names()?.into_iter().map(|run| Found { run, shelf }));
        }
        all.retain(|found| found.why_distrusted().is_none());
        all.sort_unstable_by(|a, b| b.run.cmp(&a.run));
        // Those of one second are opened to tell which began first.
        for second in all.chunk_by_mut(|a, b| a.second() == b.second()).filter(|runs| runs.len() > 1) {
            second.sort_by_cached_key(|found| std::cmp::Reverse(found.open("").and_then(|past| past.started_at)));
        }
        Ok(all)
    }
}

fn missing_is_none(names: io::Result<Vec<String>>) -> io::Result<Vec<String>> {
    match names {
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Ok(Vec::new()),
        other => other,
    }
}

impl<'s> Found<'s> {
    /// The folder of its journal.
    pub fn dir(&self) -> PathBuf {
        self.shelf.dir.join(&self.run)
    }

    /// Why its journal is not taken at its word: it or its folder belongs to another user than us and root, can be written
    /// by others, or is a symbolic link.
    pub fn why_distrusted(&self) -> Option<String> {
        files::why_distrusted(&self.dir().join(EVENTS))
    }

    /// The second in which it began, as its name says it.
    fn second(&self) -> &str {
        self.run.split('-').next().unwrap_or_default()
    }

    /// Reads it; `here` is the name of this machine.
    pub fn open(&self, here: &str) -> Option<Past> {
        Past::read(&self.shelf.plan, &self.dir(), here)
    }

    /// The run that a word means: its name, the beginning of one, or `last`. The runs are the newest first.
    pub fn pick(word: &str, runs: Vec<Found<'s>>) -> Picked<'s> {
        if word == "last" {
            return runs.into_iter().next().map_or(Picked::None(Vec::new()), Picked::One);
        }
        let mut matching: Vec<Found<'s>> = runs.iter().filter(|r| r.run.starts_with(word)).cloned().collect();
        match matching.len() {
            0 => Picked::None(near(word, &runs)),
            1 => Picked::One(matching.remove(0)),
            _ => Picked::Several(matching),
        }
    }
}

/// How many are named to choose from.
const NEAR: usize = 5;

/// The run that is meant by a word with a mistake, else those with the longest common beginning.
fn near<'s>(word: &str, runs: &[Found<'s>]) -> Vec<Found<'s>> {
    if let Some(name) = diag::nearest(word, runs.iter().map(|r| r.run.as_str())) {
        return runs.iter().filter(|r| r.run == name).cloned().collect();
    }
    let common = |run: &str| run.bytes().zip(word.bytes()).take_while(|(a, b)| a == b).count();
    let most = runs.iter().map(|r| common(&r.run)).max().unwrap_or(0);
    runs.iter().filter(|r| common(&r.run) == most).take(NEAR).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picked(word: &str) -> String {
        let shelf = Shelf::new("night", "/logs/night");
        let names = ["20260301T000000Z-0001", "20260101T000000Z-beef", "20260101T000000Z-bead"];
        let runs = names.map(|n| Found { run: n.to_owned(), shelf: &shelf }).to_vec();
        let list = |all: Vec<Found<'_>>| all.iter().map(|f| f.run[12..].to_owned()).collect::<Vec<_>>().join(" ");
        match Found::pick(word, runs) {
            Picked::One(found) => format!("one {}", list(vec![found])),
            Picked::Several(all) => format!("several {}", list(all)),
            Picked::None(all) => format!("none {}", list(all)),
        }
    }

    #[test]
    fn a_run_is_picked_by_its_name_or_the_beginning_of_it() {
        for (word, expected) in [
            ("last", "one 000Z-0001"),
            ("202603", "one 000Z-0001"),
            ("20260101T000000Z-bee", "one 000Z-beef"),
            ("20260101", "several 000Z-beef 000Z-bead"),
            ("20260301T000000Z-0010", "none 000Z-0001"),
            ("202602", "none 000Z-0001 000Z-beef 000Z-bead"),
            ("2026010x", "none 000Z-beef 000Z-bead"),
        ] {
            assert_eq!(picked(word), expected, "{word}");
        }
    }
}
