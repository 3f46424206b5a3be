//! How a run ends that hangs, is told to end, is killed, or gets too little of the machine; and how large a plan may be.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

const HEAD: &str = "version: 1\nname: night\nlogs: { dir: logs }\n";

/// A folder with a plan, and the program as a user starts it there.
struct World {
    dir: tempfile::TempDir,
}

impl World {
    fn new(plan: &str) -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        std::fs::write(dir.path().join("plan.yaml"), format!("{HEAD}{plan}")).expect("a plan");
        Self { dir }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.current_dir(self.dir.path()).env("NO_COLOR", "1").env("XDG_STATE_HOME", self.path("state"));
        command.env("HOME", self.path("home")).stdin(Stdio::null());
        command
    }

    fn run(&self) -> Output {
        self.command(BINARY).arg("plan.yaml").output().expect("it runs")
    }

    /// Starts the plan, and waits until it has written a file.
    fn started(&self, file: &str) -> Child {
        let mut command = self.command(BINARY);
        let child = command.arg("plan.yaml").stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
        within(Duration::from_secs(20), &format!("the file {file}"), || self.lines(file) > 0);
        child
    }

    fn lines(&self, file: &str) -> usize {
        std::fs::read_to_string(self.path(file)).map_or(0, |text| text.lines().count())
    }

    /// The numbers that programs of the plan have written to a file.
    fn numbers(&self, file: &str) -> Vec<i32> {
        let text = std::fs::read_to_string(self.path(file)).expect("numbers");
        text.split_whitespace().map(|n| n.parse().expect("a number")).collect()
    }

    /// Runs the plan under limits of the shell, as a user other than root where we are root.
    fn limited(&self, limits: &str) -> (Output, String) {
        let mut command = self.command("bash");
        if rustix::process::geteuid().is_root() {
            command = self.command("setpriv");
            command.args(["--reuid", "54321", "--regid", "54321", "--clear-groups", "bash"]);
            open_to_all(self.dir.path());
        }
        command.args(["-c", &format!("{limits} && exec '{BINARY}' plan.yaml")]);
        let clock = Instant::now();
        let output = command.output().expect("bash");
        assert!(clock.elapsed() < Duration::from_secs(30), "{limits}: it took {:?}", clock.elapsed());
        let said = said(&output);
        assert!(!said.contains("panicked") && !said.contains("internal error"), "{limits}: {said}");
        (output, said)
    }
}

const BINARY: &str = env!("CARGO_BIN_EXE_runplan");

fn open_to_all(path: &Path) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o777)).expect("a mode");
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

fn within(limit: Duration, what: &str, done: impl Fn() -> bool) {
    let clock = Instant::now();
    while !done() {
        assert!(clock.elapsed() < limit, "not within {limit:?}: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Whether a process runs; one that waits to be collected does not.
fn runs(process: i32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with(['Z', 'X']))
}

fn signal(child: &Child, signal: Signal) {
    let process = i32::try_from(child.id()).ok().and_then(Pid::from_raw).expect("a process");
    kill_process(process, signal).expect("a signal");
}

const HANG: &str = "[sh, -c, 'sleep 300 & echo $! >> ids; echo $$ >> ids; echo 1 >> began; wait']";

#[test]
fn what_a_killed_run_has_started_is_gone_within_two_seconds() {
    let hang = format!("steps:\n  - {{ uses: command, timeout: 1h, with: {{ argv: {HANG} }} }}\n");
    let parallel = "targets: { list: [{ name: a }, { name: b }, { name: c }], max_parallel: 3 }\n";
    for (plan, began) in [(hang.clone(), 1), (format!("{parallel}{hang}"), 3)] {
        let world = World::new(&plan);
        let mut child = world.started("began");
        within(Duration::from_secs(20), "all have begun", || world.lines("began") == began);
        let ids = world.numbers("ids");
        assert_eq!((ids.len(), ids.iter().filter(|id| runs(**id)).count()), (2 * began, 2 * began));
        child.kill().expect("SIGKILL");
        child.wait().expect("it ends");
        within(Duration::from_secs(2), "its programs are gone", || !ids.iter().any(|id| runs(*id)));
    }
}

#[test]
fn the_program_of_a_secret_does_not_outlive_a_killed_run() {
    let secret = "secrets: { key: { command: [sh, -c, 'echo $$ >> ids; echo 1 >> began; exec sleep 300'] } }\n";
    let step = "steps:\n  - { uses: command, with: { argv: [cat], stdin: '${{ secrets.key }}' } }\n";
    let world = World::new(&format!("{secret}{step}"));
    let mut child = world.started("began");
    let ids = world.numbers("ids");
    child.kill().expect("SIGKILL");
    child.wait().expect("it ends");
    within(Duration::from_secs(2), "it is gone", || !ids.iter().any(|id| runs(*id)));
}

#[test]
fn what_has_ended_is_not_killed_with_the_run_and_a_lost_guard_is_replaced() {
    // The first step leaves a program behind, which is what some steps are for; the second one kills the guard.
    let world = World::new(&format!(
        "steps:\n  - {{ uses: command, with: {{ argv: [sh, -c, 'sleep 300 >/dev/null 2>&1 & echo $! >> stays'] }} }}\n  \
         - {{ uses: command, with: {{ argv: [sh, -c, 'ps -o pid= -o args= --ppid $PPID | while read -r id sh rest; do \
         case $sh in /bin/sh) kill -9 $id;; esac; done; echo 1 >> killed'] }} }}\n  \
         - {{ uses: command, timeout: 1h, with: {{ argv: {HANG} }} }}\n"
    ));
    let mut child = world.started("began");
    let (stays, ids) = (world.numbers("stays"), world.numbers("ids"));
    assert_eq!(world.lines("killed"), 1);
    child.kill().expect("SIGKILL");
    child.wait().expect("it ends");
    within(Duration::from_secs(2), "its program is gone", || !ids.iter().any(|id| runs(*id)));
    assert!(runs(stays[0]), "what a step left behind is not ours to kill");
    kill_process(Pid::from_raw(stays[0]).expect("a process"), Signal::KILL).expect("it ends");
}

#[test]
fn a_handler_that_hangs_is_stopped_and_the_run_keeps_its_own_end() {
    let handler = "{ uses: command, timeout: 1s, with: { argv: [sleep, '300'] } }";
    let after = "{ uses: command, with: { argv: [touch, after] } }";
    for (program, code) in [("'false'", 1), ("'true'", 0)] {
        let steps = format!("steps:\n  - {{ uses: command, with: {{ argv: [{program}] }} }}\n");
        let world =
            World::new(&format!("{steps}on_failure: [{handler}]\non_success: [{handler}]\nfinally: [{after}]\n"));
        let clock = Instant::now();
        let output = world.run();
        assert!(clock.elapsed() < Duration::from_secs(15), "{:?}", clock.elapsed());
        assert_eq!(output.status.code(), Some(code), "{}", said(&output));
        assert!(said(&output).contains("the step's timeout of 1s passed"), "{}", said(&output));
        assert!(world.path("after").exists());
    }
}

#[test]
fn handlers_run_after_a_first_signal_and_end_with_the_second() {
    let hang = "{ uses: command, timeout: 1h, with: { argv: [sh, -c, 'echo 1 >> FILE; exec sleep 300'] } }";
    let step = hang.replace("FILE", "step");
    let handler = hang.replace("FILE", "handler");
    for (first, name, code) in [
        (Signal::TERM, "SIGTERM", 143),
        (Signal::HUP, "SIGHUP", 143),
        (Signal::QUIT, "SIGQUIT", 143),
        (Signal::INT, "SIGINT", 130),
    ] {
        let world = World::new(&format!("steps: [{step}]\non_failure: [{handler}]\nfinally: [{handler}]\n"));
        let child = world.started("step");
        signal(&child, first);
        within(Duration::from_secs(5), "the handler has begun", || world.lines("handler") == 1);
        let clock = Instant::now();
        signal(&child, Signal::TERM);
        let output = child.wait_with_output().expect("it ends");
        assert!(clock.elapsed() < Duration::from_secs(5), "{:?}", clock.elapsed());
        assert_eq!(output.status.code(), Some(code), "{}", said(&output));
        assert!(said(&output).contains(name), "{name}: {}", said(&output));
        assert_eq!(world.lines("handler"), 1, "the second handler is skipped");
    }
}

#[test]
fn a_file_that_may_not_grow_is_an_error_of_the_log() {
    let world = World::new("steps:\n  - { uses: command, with: { argv: ['true'] } }\n");
    let (output, said) = world.limited("ulimit -f 1");
    assert_eq!(output.status.code(), Some(73), "{said}");
    assert!(said.contains("File too large"), "{said}");
}

#[test]
fn a_program_of_the_plan_does_not_inherit_how_we_hear_of_file_sizes() {
    let write = "[sh, -c, 'ulimit -f 1; exec dd if=/dev/zero of=large bs=1M count=1']";
    let world = World::new(&format!("steps:\n  - {{ uses: command, with: {{ argv: {write} }} }}\n"));
    let said = said(&world.run());
    assert!(said.contains("signal 25"), "{said}");
}

#[test]
fn too_few_files_are_said() {
    let world = World::new("steps:\n  - { uses: command, with: { argv: [echo, hello] } }\n");
    let (output, text) = world.limited("ulimit -n 6");
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("Too many open files") && text.contains("`ulimit -n`"), "{text}");
    for limit in 4..40 {
        let (output, text) = world.limited(&format!("ulimit -n {limit}"));
        let code = output.status.code();
        assert!(matches!(code, Some(0 | 1 | 73)) && !text.is_empty(), "{limit}: {code:?} {text}");
    }
}

#[test]
fn too_few_processes_are_said() {
    let world = World::new("steps:\n  - { uses: command, with: { argv: [echo, hello] } }\n");
    let (output, text) = world.limited("ulimit -u 1");
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("threads") && text.contains("`ulimit -u`"), "{text}");
    for limit in 2..9 {
        let (output, text) = world.limited(&format!("ulimit -u {limit}"));
        let code = output.status.code();
        assert!(matches!(code, Some(0 | 1 | 73)) && !text.is_empty(), "{limit}: {code:?} {text}");
    }
}

#[test]
fn no_core_file_is_left_and_memory_is_closed_to_the_user_who_started_it() {
    let look = "[sh, -c, 'stat -c %u /proc/$PPID/mem > owner; grep core /proc/$PPID/limits > limit; \
                stat -c %u /proc/$$/mem > own']";
    let world = World::new(&format!("steps:\n  - {{ uses: command, with: {{ argv: {look} }} }}\n"));
    let (output, text) = world.limited("ulimit -c unlimited");
    assert_eq!(output.status.code(), Some(0), "{text}");
    let read = |name: &str| std::fs::read_to_string(world.path(name)).expect("it was written");
    assert_eq!(read("limit").split_whitespace().nth(4), Some("0"), "{}", read("limit"));
    assert_eq!(read("owner").trim(), "0");
    assert_ne!(read("own").trim(), "0", "a program of the plan is as open as it was");
}

#[test]
fn a_program_that_was_being_started_is_found_by_the_guard_and_no_other_is() {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/src/process/orphans.sh");
    for (line, dies) in [("?", true), ("? !", false)] {
        let world = World::new("");
        // The shell takes our part: it starts the guard, says what it is about to do, starts a program, and is killed.
        let ours = format!(
            "set -m; sleep 300 & echo $! > before; sleep 0.05; exec 9> >(exec sh {script} $$ $$); \
             for l in {line}; do echo \"$l\" >&9; done; sleep 300 9>&- & echo $! > id; kill -9 $$"
        );
        let mut command = world.command("bash");
        command.args(["-f", "-c", &ours]).stdout(Stdio::null()).stderr(Stdio::null());
        command.status().expect("bash");
        let (id, before) = (world.numbers("id")[0], world.numbers("before")[0]);
        if dies {
            within(Duration::from_secs(2), "it is gone", || !runs(id));
        } else {
            std::thread::sleep(Duration::from_millis(500));
        }
        assert_eq!((runs(id), runs(before)), (!dies, true), "{line}");
        for left in [id, before] {
            let _ = kill_process(Pid::from_raw(left).expect("a process"), Signal::KILL);
        }
    }
}

#[test]
fn a_plan_may_have_ten_thousand_steps_and_no_more_text_than_before() {
    let steps = |count: usize, name: &str| -> String {
        (0..count)
            .map(|i| format!("  - id: {name}{i}\n    uses: command\n    with: {{ argv: [cp, a, b] }}\n"))
            .collect()
    };
    let world = World::new(&format!("steps:\n{}", steps(10_000, "step_")));
    let output = world.command(BINARY).args(["validate", "plan.yaml"]).output().expect("it runs");
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let world = World::new(&format!("steps:\n{}", steps(10_000, &"long_".repeat(12))));
    let output = world.command(BINARY).args(["validate", "plan.yaml"]).output().expect("it runs");
    assert!(output.status.code() == Some(78) && said(&output).contains("larger than 1024 KiB"), "{}", said(&output));
}
