//! Runs that somebody else wrote: what they name is never run.

use std::os::unix::fs::{PermissionsExt, chown};
use std::path::Path;

use crate::runs::{next_second, steps};
use crate::world::{Run, World};

/// Whether files can be given to another user; where they cannot, files that others may write stand in for theirs.
fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Makes a folder and what is in it another user's.
fn give_away(path: &Path) {
    if path.is_dir() {
        std::fs::read_dir(path).expect("a folder").flatten().for_each(|entry| give_away(&entry.path()));
    }
    if is_root() {
        chown(path, Some(65534), Some(65534)).expect("it is given away");
    } else {
        std::fs::set_permissions(path, PermissionsExt::from_mode(0o777)).expect("others may write");
    }
}

/// What is said of a run that was given away.
fn why() -> &'static str {
    if is_root() { "belongs to user id 65534" } else { "can be written by others (mode 777)" }
}

fn plan(names: &[&str]) -> String {
    format!("version: 1\nname: night\nlogs: {{ dir: logs }}\n{}", steps(names))
}

/// A failed run of another plan with the same name, and its folder.
fn theirs(world: &World) -> String {
    world.write("theirs.yaml", plan(&["good", "theirs"]));
    world.bad("theirs");
    let run: Run = world.runplan().args(["theirs.yaml", "-q"]).output().expect("runs").into();
    run.ends(1);
    world.good("theirs");
    world.done();
    world.names("logs/night").pop().expect("a run")
}

#[test]
fn a_run_of_another_user_is_not_gone_on_with() {
    let world = World::new();
    world.write("plan.yaml", plan(&["one", "two"]));
    let id = theirs(&world);
    let folder = format!("logs/night/{id}");
    give_away(&world.path("logs/night"));
    for words in [&["last", "--plan", "plan.yaml"][..], &["last", "--plan", "theirs.yaml"], &["last", "--dir", "logs"]]
    {
        world.resume(words).ends(2).says("a run that others may have written is ignored: ").says(why());
    }
    for words in [&[folder.as_str()][..], &[&id, "--dir", "logs"], &[&id, "--plan", "plan.yaml"]] {
        world.resume(words).ends(2).says("may have been written by others").says(why()).says("as the user whose run");
    }
    assert_eq!(world.done(), "", "nothing was run");
}

#[test]
fn a_journal_of_another_user_or_a_link_to_one_is_not_gone_on_with() {
    let world = World::new();
    world.write("plan.yaml", plan(&["one", "two"]));
    let id = theirs(&world);
    let (folder, journal) =
        (world.path("logs/night").join(&id), world.path("logs/night").join(&id).join("events.jsonl"));
    give_away(&journal);
    let path = folder.to_string_lossy().into_owned();
    world.resume(&[&path]).ends(2).says(why()).says("events.jsonl");
    std::fs::rename(&journal, world.path("kept.jsonl")).expect("it is moved");
    std::os::unix::fs::symlink(world.path("kept.jsonl"), &journal).expect("a link");
    world.resume(&[&path]).ends(2).says("events.jsonl` is a symbolic link");
    std::fs::rename(&folder, world.path("kept")).expect("it is moved");
    std::os::unix::fs::symlink(world.path("kept"), &folder).expect("a link");
    world.resume(&[&path]).ends(2).says(&format!("{id}` is a symbolic link"));
    assert_eq!(world.done(), "", "nothing was run");
}

#[test]
fn the_last_run_is_the_last_of_ours() {
    let world = World::new();
    world.write("plan.yaml", plan(&["one", "two"]));
    world.bad("two");
    let run: Run = world.runplan().args(["plan.yaml", "-q"]).output().expect("runs").into();
    run.ends(1);
    world.good("two");
    next_second();
    let id = theirs(&world);
    give_away(&world.path("logs/night").join(&id));
    next_second();
    world.resume_last(&[]).ends(0).says("is ignored: ").says(why());
    assert_eq!(world.done(), "two");
}

#[test]
fn a_plan_file_that_is_named_is_the_one_that_is_run() {
    let world = World::new();
    world.write("plan.yaml", plan(&["one", "two"]));
    theirs(&world);
    world.resume_last(&[]).ends(2).says("was one of the plan `").says("theirs.yaml`, not of `plan.yaml`");
    assert_eq!(world.done(), "", "nothing was run");
    std::os::unix::fs::symlink("theirs.yaml", world.path("link.yaml")).expect("a link");
    next_second();
    world.resume(&["last", "--plan", "link.yaml"]).ends(0);
    assert_eq!(world.done(), "theirs");
}
