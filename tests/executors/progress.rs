//! What is seen of long work: a bar on a terminal, lines elsewhere. The terminal is one of `script`, from util-linux.

use std::process::Command;

use crate::world::{PASSWORD, Run, World};

/// A dump that is held back for some seconds.
fn slow(world: &World) {
    world.sql("CREATE TABLE big AS SELECT g AS id, repeat(md5(g::text), 4) AS m FROM generate_series(1, 30000) g");
    let archive = "archive: { path: 'out/a-${{ run.id }}.zip', password: '${{ secrets.zip }}' }";
    world.write("plan.yaml", format!("version: 1\nname: night\nlogs: {{ dir: logs }}\nsecrets: {{ zip: {{ env: TEST_ZIP }} }}\nsteps:\n  - {{ id: dump, uses: pg_dump, timeout: 1h, with: {{ max_rate: 600kB/s, {archive} }} }}\n"));
}

/// A run at a terminal; what that would show.
fn at_terminal(world: &World, arguments: &str, color: bool) -> Run {
    let mut command = Command::new("script");
    let run = format!("stty cols 160; '{}' {arguments} plan.yaml", env!("CARGO_BIN_EXE_runplan"));
    command.args(["--quiet", "--return", "--command", &run, "/dev/null"]).current_dir(world.path(""));
    command.env("TEST_ZIP", PASSWORD).env("PGDATABASE", world.db()).env("XDG_STATE_HOME", world.path("state"));
    command.env("TERM", "xterm").env_remove("NO_COLOR").stdin(std::process::Stdio::null());
    if !color {
        command.env("NO_COLOR", "1");
    }
    Run::from(command.output().expect("script: run `tests/sandbox cargo test`")).ends(0)
}

#[test]
fn a_terminal_sees_a_bar_with_bytes_in_and_out_rate_and_time_left() {
    let world = World::with_database();
    slow(&world);
    let run = at_terminal(&world, "", true).says("\u{1b}[").says(" of about ").says("B/s ").says("left");
    // What is written is counted up while it is read.
    let out =
        run.said.split(" written").filter_map(|s| s.rsplit("left ").next()).collect::<std::collections::BTreeSet<_>>();
    assert!(out.len() > 2, "{out:?}");
    // How much there will be is known from the last time, where there was one.
    let record = world.names("out").into_iter().find(|n| n.ends_with(".json")).expect("a record");
    let record = std::fs::read(world.path("out").join(record)).expect("it reads");
    let record: serde_json::Value = serde_json::from_slice(&record).expect("JSON");
    let last = format!(" of about {:.2} MiB", record["dump_bytes"].as_f64().expect("a number") / f64::from(1 << 20));
    run.never_says(&last);
    at_terminal(&world, "", true).says(&last);
    at_terminal(&world, "-q", true).never_says(" of about ");
}

#[test]
fn without_colour_or_terminal_there_are_lines_and_not_one_escape() {
    let world = World::with_database();
    slow(&world);
    for run in [at_terminal(&world, "", false), world.runplan().arg("plan.yaml").output().expect("runs").into()] {
        let lines: Vec<&str> =
            run.said.lines().filter(|l| l.contains("/s, ") && l.contains(" so far, about ")).collect();
        assert_eq!(lines.len(), 1, "{}", run.said);
        assert!(lines[0].contains(" of about ") && lines[0].contains(" written"), "{lines:?}");
        assert!(!run.said.contains('\u{1b}'), "{:?}", run.said);
    }
    let quiet: Run = world.runplan().args(["-q", "plan.yaml"]).output().expect("runs").into();
    quiet.ends(0).never_says(" so far");
}
