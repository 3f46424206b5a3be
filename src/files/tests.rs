//! What was decided about a file of a folder holds for that file only, not for what has its name later.

use std::fs;
use std::sync::Arc;

use super::*;
use crate::cancel::Cancel;
use crate::step::{Log, RunFacts, Touch};

fn touch() -> Touch {
    Touch::begin(Look {
        now: chrono::Utc::now(),
        plan_dir: ".".into(),
        env: Arc::default(),
        cancel: Cancel::new(),
        log: Log::default(),
        facts: Arc::new(RunFacts::default()),
        kept: Default::default(),
    })
}

#[test]
fn a_file_that_took_the_place_of_a_listed_one_is_neither_read_nor_removed() {
    let touch = touch();
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("a.zip");
    fs::write(&path, "before").expect("a file");
    let folder = OpenFolder::open(touch.look(), dir.path()).expect("a folder");
    let listed = folder.list(touch.look()).expect("a list").remove(0);
    assert!(folder.open_file(&listed).is_ok());
    // Another file of the same size, whose number differs since both are there at once.
    fs::write(dir.path().join("other"), "behind").expect("a file");
    fs::rename(dir.path().join("other"), &path).expect("it takes the place");
    let said = |error: std::io::Error| error.to_string();
    assert_eq!(
        folder.open_file(&listed).map_err(said).err().as_deref(),
        Some("it changed since the folder was listed")
    );
    assert_eq!(
        folder.remove(&touch, &listed).map_err(said).err().as_deref(),
        Some("it changed since that was decided")
    );
    assert!(path.exists());
    let again = folder.list(touch.look()).expect("a list").remove(0);
    assert!(folder.remove(&touch, &again).is_ok() && !path.exists());
}
