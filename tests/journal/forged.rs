//! Runs that somebody else wrote count for nothing.

use std::os::unix::fs::{PermissionsExt, chown};
use std::path::Path;

use crate::world::{PLAN, World, next_second};

/// Makes a folder another user's, or where that cannot be done, one that others may write; what is said of it.
fn give_away(path: &Path) -> &'static str {
    if rustix::process::geteuid().is_root() {
        chown(path, Some(65534), Some(65534)).expect("it is given away");
        "belongs to user id 65534"
    } else {
        std::fs::set_permissions(path, PermissionsExt::from_mode(0o777)).expect("others may write");
        "can be written by others (mode 777)"
    }
}

#[test]
fn a_good_run_that_others_wrote_is_no_good_run() {
    let world = World::new();
    world.run(&[], &[], 0);
    let why = give_away(&world.folders()[0]);
    let status = |arguments: &[&str]| world.runplan(&[&["status", "plan.yaml"], arguments].concat());
    let said = status(&[]).ends(1).says("CRITICAL - night: no good run; it never ran: ").says("is ignored: ").says(why);
    assert_eq!(said.out.lines().count(), 1, "{}", said.said);
    let document = status(&["--format", "json"]).ends(1).json();
    assert!(document["last"].is_null() && document["last_good"].is_null(), "{document}");
    status(&["--format", "prometheus"]).says("warning: a run that others may have written is ignored: ").says(why);
    let id = world.folders()[0].file_name().expect("a name").to_string_lossy().into_owned();
    world.runplan(&["history", "plan.yaml"]).ends(0).says("is ignored: ").says(&id).says("no runs: ");
    world.runplan(&["logs", &id, "--dir", "logs"]).ends(2).says("may have been written by others").says(why);
    // A failed run of ours is the last one, and theirs does not make up for it.
    next_second();
    world.run(&["bad"], &[], 1);
    status(&[]).ends(1).says("no good run; last run ").says("failed at dump").says("is ignored: ");
    assert_eq!(world.results(&["plan.yaml"]), "failed");
}

#[test]
fn runs_that_others_wrote_push_no_log_out() {
    let world = World::new();
    world.write("plan.yaml", &PLAN.replace("keep: 20", "keep: 2"));
    world.run(&[], &[], 0);
    let forged = ["20990101T000000Z-0001", "20990101T000000Z-0002"].map(|id| world.again(id, |text| text));
    for folder in &forged {
        give_away(folder);
    }
    next_second();
    world.run(&[], &[], 0);
    assert_eq!(world.folders().len(), 4, "ours and theirs stay");
    assert_eq!(world.results(&["plan.yaml"]), "ok ok");
}
