//! What is removed is what was decided.

use std::sync::Arc;

use super::*;
use crate::cancel::Cancel;
use crate::step::{Level, Log, Progress, RunFacts, Sink, Touch};

struct Nobody;

impl Sink for Nobody {
    fn line(&self, _: Level, _: &str) {}
    fn progress(&self, _: &Progress) {}
}

fn touch() -> Touch {
    let now = chrono::Utc::now();
    let facts = RunFacts {
        plan: "p".to_owned(),
        run: "r".to_owned(),
        started_at: now,
        host: "h".to_owned(),
        target: None,
        database: None,
        log_file: None,
        log_dir: None,
        failure: None,
        steps: Vec::new(),
        log_tail: Vec::new(),
        upcoming: Vec::new(),
    };
    let log = Log::new(Arc::new(Nobody));
    let look =
        Look { now, plan_dir: ".".into(), env: Arc::default(), cancel: Cancel::new(), log, facts: Arc::new(facts) };
    Touch::begin(look)
}

#[test]
fn a_file_that_changed_since_it_was_decided_stays() {
    let dir = tempfile::tempdir().expect("a folder");
    let touch = touch();
    let path = dir.path().join("a.zip");
    let decided = || {
        std::fs::write(&path, "archive").expect("a file");
        list(touch.look(), dir.path()).expect("a list").remove(0)
    };
    let listed = decided();
    std::fs::write(&path, "another one").expect("a file");
    assert!(remove(&touch, dir.path(), &listed).is_err() && path.exists(), "another size");
    let listed = decided();
    std::fs::rename(&path, dir.path().join("b.zip")).expect("moved");
    std::fs::copy(dir.path().join("b.zip"), &path).expect("copied");
    assert!(remove(&touch, dir.path(), &listed).is_err() && path.exists(), "another file of the same size");
    std::fs::remove_file(&path).expect("removed");
    std::fs::remove_file(dir.path().join("b.zip")).expect("removed");
    let listed = decided();
    std::fs::remove_file(&path).expect("removed");
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink("/etc/passwd", &path).expect("a link");
        assert!(remove(&touch, dir.path(), &listed).is_err() && path.symlink_metadata().is_ok(), "a link");
        std::fs::remove_file(&path).expect("removed");
    }
    let outside = Listed { name: "../a.zip".to_owned(), ..listed };
    assert!(remove(&touch, dir.path(), &outside).is_err());
    assert!(remove(&touch, dir.path(), &decided()).is_ok() && !path.exists());
}
