//! The command line for somebody new, through the binary, against a real PostgreSQL: archives found by their plan, a first
//! plan, words for what went wrong. Run by `tests/sandbox cargo test`.

mod archives;
mod help;
mod init;
mod of_plan;
mod password;
mod record;
#[path = "../smtp/mod.rs"]
#[expect(dead_code, reason = "the tests of mail use the rest")]
mod smtp;
mod strangers;
mod table;
#[path = "../executors/world.rs"]
#[expect(dead_code, reason = "the tests of executors use the rest")]
mod world;

use std::process::Command;

/// Runs the binary in a world without the variables that the sandbox sets for archives.
fn call(world: &world::World, arguments: &[&str]) -> world::Run {
    let mut command = world.runplan();
    command.env_remove("RUNPLAN_ZIP_PASSWORD").args(arguments).output().expect("the binary runs").into()
}

/// Runs the binary on a terminal, and answers its questions.
fn at_keyboard(world: &world::World, answers: &[&str], arguments: &[&str]) -> world::Run {
    let script = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cli/keyboard.py");
    let mut command = Command::new(smtp::python());
    command.arg(script).args(answers).arg("--").arg(env!("CARGO_BIN_EXE_runplan")).args(arguments);
    command.current_dir(world.path("")).env("NO_COLOR", "1").env("XDG_STATE_HOME", world.path("state"));
    command.env_remove("RUNPLAN_ZIP_PASSWORD").output().expect("a Python").into()
}

/// Waits for the next second, so that ids order as runs do.
fn next_second() {
    std::thread::sleep(std::time::Duration::from_millis(1050));
}
