//! The folders for state, locks and logs: never one that somebody else made, never one that a link leads elsewhere.

use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::path::Path;
use std::process::Command;

use crate::world::{Run, World, psql};

const TRUE: &str = "version: 1\nname: night\nsteps:\n  - { uses: command, with: { argv: [\"true\"] } }\n";

/// A plan without `logs`, so that logs are in the state folder, and the binary with a folder for temporary files.
fn runplan(world: &World) -> Command {
    world.write("plan.yaml", TRUE);
    std::fs::create_dir_all(world.path("tmp")).expect("a folder");
    let mut command = world.runplan();
    command.arg("plan.yaml").env("TMPDIR", world.path("tmp"));
    command
}

fn run(mut command: Command) -> Run {
    command.output().expect("the binary runs").into()
}

fn mode(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("permissions");
}

/// Whether the tests run as root, who alone can give files away.
fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

#[test]
fn without_a_home_state_is_never_in_the_temporary_folder() {
    let world = World::new();
    // The home of the account that runs the tests would be written to: a folder named `.local` there is not ours to make
    // in a test. `doctor` only looks.
    let mut command = runplan(&world);
    command.arg("-n").env_remove("HOME").env_remove("XDG_STATE_HOME");
    run(command).ends(0);
    world.write("plan.yaml", TRUE);
    let mut command = world.runplan();
    command
        .args(["doctor", "plan.yaml"])
        .env_remove("HOME")
        .env_remove("XDG_STATE_HOME")
        .env("TMPDIR", world.path("tmp"));
    let doctor = run(command);
    let tmp = world.path("tmp");
    doctor.never_says(&tmp.display().to_string()).says("/.local/state/runplan");
}

#[test]
fn state_that_others_can_read_or_write_is_refused_and_says_what_to_do() {
    let world = World::new();
    run(runplan(&world)).ends(0);
    let state = world.path("state/runplan");
    for (name, bits) in [("", 0o755), ("", 0o777), ("locks", 0o750)] {
        let dir = state.join(name);
        mode(&dir, bits);
        let dir = dir.display().to_string();
        run(runplan(&world)).ends(73).says(&format!("chmod 700 {}", dir.trim_end_matches('/')));
        mode(Path::new(&dir), 0o700);
    }
    mode(&state.join("logs"), 0o770);
    run(runplan(&world)).ends(73).says("chmod go-w");
    let mut command = world.runplan();
    command.args(["doctor", "plan.yaml"]);
    mode(&state.join("logs/night"), 0o777);
    run(command).ends(1).says("chmod go-w");
}

#[test]
fn a_link_that_others_can_replace_leads_nowhere() {
    let world = World::new();
    run(runplan(&world)).ends(0);
    let state = world.path("state");
    std::fs::rename(state.join("runplan"), world.path("elsewhere")).expect("it is moved");
    symlink(world.path("elsewhere"), state.join("runplan")).expect("a link");
    run(runplan(&world)).ends(0);
    mode(&state, 0o1777);
    run(runplan(&world)).ends(73).says("is a symbolic link, and others can write to");
}

#[test]
fn the_lock_is_never_written_through_a_link() {
    let world = World::new();
    run(runplan(&world)).ends(0);
    let victim = world.write("victim", "precious");
    let [lock] = &world.names("state/runplan/locks")[..] else { panic!("one lock") };
    let lock = world.path("state/runplan/locks").join(lock);
    std::fs::remove_file(&lock).expect("it is removed");
    symlink(&victim, &lock).expect("a link");
    run(runplan(&world)).ends(73).says("it is a symbolic link, not a regular file");
    std::fs::remove_file(&lock).expect("it is removed");
    std::fs::hard_link(&victim, &lock).expect("a second name");
    run(runplan(&world)).ends(73).says("has a second name");
    assert_eq!(std::fs::read_to_string(victim).expect("the file"), "precious");
}

#[test]
fn a_folder_of_another_user_is_refused() {
    let world = World::new();
    run(runplan(&world)).ends(0);
    if is_root() {
        for name in ["state/runplan", "state/runplan/locks", "state/runplan/logs", "state/runplan/logs/night"] {
            chown(world.path(name), Some(65534), Some(65534)).expect("it is given away");
            run(runplan(&world)).ends(73).says("belongs to user id 65534, and runplan runs as user id 0");
            chown(world.path(name), Some(0), Some(0)).expect("it is taken back");
        }
        // What others left in the temporary folder under a name of ours stays.
        let spool = world.path("tmp/runplan-20260101T000000Z-aaaa-0.spool");
        std::fs::create_dir_all(&spool).expect("a folder");
        chown(&spool, Some(65534), Some(65534)).expect("it is given away");
        run(runplan(&world)).ends(0);
        assert!(spool.exists());
    } else {
        // Whoever is not root finds a folder of root's in the way.
        let mut command = runplan(&world);
        command.env("XDG_STATE_HOME", "/");
        run(command).ends(73);
    }
}

#[test]
fn a_folder_of_another_run_for_what_passes_through_is_only_cleared_when_it_is_ours() {
    let world = World::with_database();
    psql(world.db(), "CREATE TABLE t (id int)");
    std::fs::create_dir_all(world.path("out")).expect("a folder");
    let spool = world.path("out/20260101T000000Z-aaaa.zip.spool");
    std::fs::create_dir_all(&spool).expect("a folder");
    let other = world.path("other");
    std::fs::create_dir_all(other.join("precious")).expect("a folder");
    symlink(&other, world.path("out/20260101T000000Z-bbbb.zip.spool")).expect("a link");
    if is_root() {
        chown(&spool, Some(65534), Some(65534)).expect("it is given away");
    }
    let plan = "steps:\n  - uses: pg_dump\n    with: { format: directory, archive: { path: \"out/${{ run.id }}.zip\", encryption: none } }\n";
    world.run(plan, &[]).ends(0);
    assert_eq!(spool.exists(), is_root());
    assert!(other.join("precious").exists());
}
