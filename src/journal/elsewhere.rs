//! The newest run of each plan that keeps its logs outside of the user's state folder: a note in that folder, so that
//! `last` without a plan does not take a run of another plan for the newest.

use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::Shelf;
use crate::files;

/// The folder of the notes, in the state folder: a file for each plan, which holds the folder of its newest run.
const NOTES: &str = "elsewhere";

/// The longest note that is read, in bytes.
const LIMIT: u64 = 16 * 1024;

/// Writes down that a run in `dir` (`<logs>/<plan>/<run id>`) begins. It is not said of a run in the state folder itself.
///
/// # Errors
/// The note cannot be written. A run does not depend on it.
pub fn note_run(state: &Path, dir: &Path) -> io::Result<()> {
    let shelf = dir.parent();
    let Some((plan, text)) = shelf.and_then(Path::file_name).zip(dir.to_str()) else { return Ok(()) };
    if shelf.and_then(Path::parent) == Some(&state.join("logs")) {
        return Ok(());
    }
    let notes = state.join(NOTES);
    let notes = files::OwnDir::make(&notes, files::Access::Closed)?;
    files::put(&notes.path().join(plan), text.as_bytes(), 0o600)
}

/// The folders that hold the noted runs, one for each plan. A note that cannot be read says nothing.
pub fn noted_shelves(state: &Path) -> Vec<Shelf> {
    let notes = state.join(NOTES);
    let read = |name: String| {
        let dir = PathBuf::from(read_note(&notes.join(&name)).ok()?);
        Some(Shelf::new(name, dir.parent()?))
    };
    files::folder_names(&notes).unwrap_or_default().into_iter().filter_map(read).collect()
}

fn read_note(path: &Path) -> io::Result<String> {
    let file = files::open_regular(path, files::Links::Refuse)?;
    let mut text = String::new();
    file.take(LIMIT).read_to_string(&mut text)?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(unix)]
    fn a_note_is_not_written_through_a_link_that_others_can_replace() {
        use std::os::unix::fs::{PermissionsExt, symlink};
        let (open, victim) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
        std::fs::set_permissions(open.path(), PermissionsExt::from_mode(0o777)).expect("open to others");
        let state = open.path().join("state");
        symlink(victim.path(), &state).expect("a link");
        assert!(note_run(&state, &open.path().join("var/night/20261122T213000Z-3f9c")).is_err());
        assert_eq!(std::fs::read_dir(victim.path()).expect("a folder").count(), 0);
    }

    #[test]
    fn a_run_outside_of_the_state_folder_is_noted() {
        let dir = tempfile::tempdir().expect("a folder");
        let run = |logs: &str| dir.path().join(logs).join("night/20261122T213000Z-3f9c");
        note_run(dir.path(), &run("logs")).expect("nothing to write");
        assert!(noted_shelves(dir.path()).is_empty());
        note_run(dir.path(), &run("var")).expect("a note");
        let shelves = noted_shelves(dir.path());
        assert_eq!(shelves.iter().map(|s| s.dir.clone()).collect::<Vec<_>>(), [dir.path().join("var/night")]);
    }
}
