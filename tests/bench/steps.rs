//! What a step costs: plans of many `command: [/bin/true]`, beside `just` and `sh` running the same program as often, and a
//! plan of many targets.
//!
//! `cargo bench --bench steps` prints for each number of steps the medians of interleaved rounds, in wall time, and the
//! ratio to `just` (from crates.io, found in `PATH`; left out where there is none) and to `sh`. A second run of the same
//! plan has its locks and folders already, as every night but the first.

use std::fmt::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const ROUNDS: usize = 5;

/// A plan with so many steps.
fn steps(count: usize) -> String {
    let mut text = "version: 1\nname: steps\nlogs: { dir: logs, keep: 2 }\nsteps:\n".to_owned();
    for i in 0..count {
        let _ = writeln!(text, "  - {{ id: s{i}, uses: command, with: {{ argv: [/bin/true] }} }}");
    }
    text
}

/// A plan with one step and so many targets.
fn targets(count: usize) -> String {
    let mut text =
        "version: 1\nname: targets\nlogs: { dir: logs, keep: 2 }\nsteps:\n  - { uses: command, with: { argv: [/bin/true] } }\n"
            .to_owned();
    text += "targets:\n  list:\n";
    for i in 0..count {
        let _ = writeln!(text, "    - {{ name: t{i} }}");
    }
    text
}

/// How long a command takes, which must succeed.
fn time(dir: &Path, argv: &[&str]) -> Duration {
    let mut command = Command::new(argv[0]);
    command.args(&argv[1..]).current_dir(dir).env("XDG_STATE_HOME", dir.join("state"));
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let clock = Instant::now();
    let status = command.status().expect("it starts");
    let took = clock.elapsed();
    assert!(status.success(), "{argv:?}: {status}");
    took
}

fn median(mut all: Vec<Duration>) -> f64 {
    all.sort_unstable();
    all[all.len() / 2].as_secs_f64()
}

/// The medians of several commands, one after the other in each round.
fn interleaved(dir: &Path, rounds: usize, commands: &[Vec<&str>]) -> Vec<f64> {
    let mut all = vec![Vec::new(); commands.len()];
    for _ in 0..rounds {
        for (at, argv) in commands.iter().enumerate() {
            all[at].push(time(dir, argv));
        }
    }
    all.into_iter().map(median).collect()
}

fn main() {
    let own = env!("CARGO_BIN_EXE_runplan");
    let dir = tempfile::tempdir().expect("a folder");
    let write = |name: &str, text: String| std::fs::write(dir.path().join(name), text).expect("a file");
    let just = Command::new("just").arg("--version").output().is_ok();
    for (count, rounds) in [(100, ROUNDS), (1_000, ROUNDS), (10_000, 1)] {
        write("plan.yaml", steps(count));
        write("justfile", format!("all:\n{}", "    /bin/true\n".repeat(count)));
        write("run.sh", "/bin/true\n".repeat(count));
        let mut commands = vec![vec![own, "validate", "plan.yaml"], vec![own, "-q", "plan.yaml"], vec!["sh", "run.sh"]];
        if just {
            commands.push(vec!["just", "-q", "all"]);
        }
        let took = interleaved(dir.path(), rounds, &commands);
        print!(
            "{count:6} steps: {:.3} s (validate {:.3} s); sh {:.3} s, ratio {:.2}",
            took[1],
            took[0],
            took[2],
            took[1] / took[2]
        );
        if let Some(other) = took.get(3) {
            print!("; just {other:.3} s, ratio {:.2}", took[1] / other);
        }
        println!();
    }
    for (count, rounds) in [(200, ROUNDS), (2_000, 1)] {
        write("plan.yaml", targets(count));
        let took = interleaved(dir.path(), rounds + 1, &[vec![own, "-q", "plan.yaml"]]);
        println!("{count:6} targets: {:.3} s", took[0]);
    }
}
