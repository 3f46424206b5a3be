//! Relative paths belong to the folder of the file that they are written in, wherever the run is started.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

/// A plan in a folder of its own, with everything that it names beside it.
struct World(tempfile::TempDir);

const PLAN: &str = "\
version: 1
name: night
params:
  out: { type: path, default: out }
  copies: { type: path, default: copies }
  more: { type: array, items: { type: path }, default: [] }
secrets:
  pw: { file: private/pw }
  same: { command: [cat, private/pw] }
logs: { dir: logs }
steps:
  - id: z
    uses: zip
    with:
      files: ['etc/*.conf', etc/plain]
      archive: { path: '${{ params.out }}/f.zip', password: '${{ secrets.pw }}' }
  - id: moved
    uses: copy
    with: { from: '${{ steps.z.outputs.path }}', to: '${{ params.copies }}' }
  - id: after
    uses: command
    with: { argv: [./after.sh], env: { PW: '${{ secrets.same }}', MORE: \"${{ params.more | join(':') }}\" } }
on_failure:
  - { uses: command, with: { argv: [touch, failed] } }
";

impl World {
    fn new() -> Self {
        let world = Self(tempfile::tempdir().expect("a folder"));
        world.write("plans/night.yaml", PLAN);
        world.write("plans/private/pw", "five words make a password\n");
        fs::set_permissions(world.path("plans/private/pw"), fs::Permissions::from_mode(0o600)).expect("a mode");
        world.write("plans/etc/a.conf", "a");
        world.write("plans/etc/plain", "b");
        world.script("pwd > started-in; echo \"$PW $MORE\" > got");
        for folder in ["plans/out", "plans/copies", "elsewhere/copies", "given/copies"] {
            fs::create_dir_all(world.path(folder)).expect("a folder");
        }
        world
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, text: impl AsRef<[u8]>) {
        fs::create_dir_all(self.path(name).parent().expect("a folder")).expect("a folder");
        fs::write(self.path(name), text).expect("a file");
    }

    fn script(&self, text: &str) {
        self.write("plans/after.sh", format!("#!/bin/sh\n{text}\n"));
        fs::set_permissions(self.path("plans/after.sh"), fs::Permissions::from_mode(0o755)).expect("a mode");
    }

    fn runplan(&self, from: &str, arguments: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_runplan"));
        command.current_dir(self.path(from)).args(arguments).env("NO_COLOR", "1");
        command.env("XDG_STATE_HOME", self.path("state")).output().expect("the binary runs")
    }

    /// The names in a folder, in order.
    fn names(&self, folder: &str) -> Vec<String> {
        let Ok(entries) = fs::read_dir(self.path(folder)) else { return Vec::new() };
        let mut names: Vec<String> = entries.flatten().map(|e| e.file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).expect(name)
    }
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{e}: {}", said(output)))
}

#[test]
fn a_plan_means_the_same_files_wherever_it_is_started() {
    for (from, plan) in [("plans", "night.yaml"), ("elsewhere", "../plans/night.yaml"), (".", "./plans/night.yaml")] {
        let world = World::new();
        let output = world.runplan(from, &[plan, "--format", "json"]);
        assert_eq!(output.status.code(), Some(0), "{from}: {}", said(&output));
        assert_eq!(world.names("plans/out"), ["f.zip", "f.zip.json"], "{from}");
        assert_eq!(world.names("plans/copies"), ["f.zip", "f.zip.json"], "{from}");
        assert_eq!(world.names("plans/logs"), ["night"], "{from}");
        assert_eq!(world.names("elsewhere"), ["copies"], "{from}");
        assert!(world.names("elsewhere/copies").is_empty(), "{from}");
        let outputs = &json(&output)["steps"];
        let path = outputs[0]["outputs"]["path"].as_str().expect("a path");
        assert!(Path::new(path).is_absolute() && Path::new(path).is_file(), "{path}");
        assert!(outputs[1]["outputs"]["path"].as_str().is_some_and(|p| Path::new(p).is_file()), "{outputs}");
        assert_eq!(world.read("plans/got").trim_end(), "five words make a password", "{from}");
        assert_eq!(Path::new(world.read("plans/started-in").trim_end()), world.path("plans"), "{from}");
        // What lies beside the plan has its name from there.
        let list = Command::new("7z").args(["l", "-slt"]).arg(world.path("plans/out/f.zip")).output().expect("7z");
        let names = String::from_utf8_lossy(&list.stdout).into_owned();
        assert!(names.contains("Path = etc/a.conf\n") && names.contains("Path = etc/plain\n"), "{names}");

        // What looks for past runs finds them from each folder.
        for (from, plan) in [("plans", "night.yaml"), ("elsewhere", "../plans/night.yaml")] {
            for arguments in
                [&["history", plan][..], &["status", plan, "--max-age", "1h"], &["logs", "last", "--plan", plan]]
            {
                let output = world.runplan(from, arguments);
                assert_eq!(output.status.code(), Some(0), "{arguments:?}: {}", said(&output));
                assert!(!said(&output).contains("has none"), "{arguments:?}: {}", said(&output));
            }
        }
    }
}

#[test]
fn a_parameter_of_type_path_belongs_to_where_it_is_given() {
    let world = World::new();
    world.write("given/p.yaml", "copies: copies\nmore: [a, /b]\n");
    let run = |arguments: &[&str]| {
        let output = world.runplan("elsewhere", &[&["../plans/night.yaml"], arguments].concat());
        assert_eq!(output.status.code(), Some(0), "{}", said(&output));
        fs::remove_file(world.path("plans/out/f.zip"))
            .and_then(|()| fs::remove_file(world.path("plans/out/f.zip.json")))
    };
    run(&["--params-file", "../given/p.yaml"]).expect("the archive");
    assert_eq!(world.names("given/copies"), ["f.zip", "f.zip.json"]);
    let got = world.read("plans/got");
    assert!(got.contains(&format!("{}:/b", world.path("given/a").display())), "{got}");
    run(&["-p", "copies=copies", "-p", "more=x,/y"]).expect("the archive");
    assert_eq!(world.names("elsewhere/copies"), ["f.zip", "f.zip.json"]);
    assert!(world.read("plans/got").contains(&format!("{}:/y", world.path("elsewhere/x").display())));
    let refused = world.runplan("elsewhere", &["../plans/night.yaml", "-p", "copies=~/x"]);
    assert_eq!(refused.status.code(), Some(2), "{}", said(&refused));
    assert!(
        said(&refused).contains("parameter `copies`: `~/x` begins with `~`, which is not expanded"),
        "{}",
        said(&refused)
    );
}

#[test]
fn a_run_is_resumed_from_any_folder_with_the_same_files() {
    let world = World::new();
    world.script("exit 3");
    let failed = world.runplan("elsewhere", &["../plans/night.yaml", "-p", "copies=copies"]);
    assert_eq!(failed.status.code(), Some(1), "{}", said(&failed));
    assert_eq!(world.names("plans").iter().filter(|n| *n == "failed").count(), 1, "a handler runs beside the plan");
    world.script("true");
    // The ids of two runs of one second are ordered by chance.
    std::thread::sleep(std::time::Duration::from_millis(1100));
    let output = world.runplan("given", &["resume", "last", "--plan", "../plans/night.yaml", "--format", "json"]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let steps = &json(&output)["steps"];
    assert!(steps[0]["done_by"].is_string() && steps[1]["done_by"].is_string(), "{steps}");
    assert_eq!(world.names("elsewhere/copies"), ["f.zip", "f.zip.json"]);
    assert!(world.names("given/copies").is_empty());
}

#[test]
fn a_file_of_targets_has_its_own_relative_paths() {
    let world = World::new();
    let plan = "\
version: 1
name: many
params: { note: { type: path, default: note } }
targets: { include: sub/list.yaml }
logs: { dir: logs }
steps:
  - { uses: command, with: { argv: [sh, -c, 'echo \"$0\" \"$1\"', '${{ params.note }}', '${{ database.sslrootcert }}'] } }
";
    world.write("plans/many.yaml", plan);
    world.write("plans/sub/list.yaml", "- { name: a, params: { note: n }, database: { sslrootcert: ca.pem } }\n- { name: b, database: { sslrootcert: '${{ plan.dir }}/ca.pem' } }\n");
    let output = world.runplan("elsewhere", &["../plans/many.yaml"]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let plans = world.path("plans");
    for line in [
        format!("{} {}", plans.join("sub/n").display(), plans.join("sub/ca.pem").display()),
        format!("{} {}", plans.join("note").display(), plans.join("ca.pem").display()),
    ] {
        assert!(said(&output).contains(&line), "{line}: {}", said(&output));
    }
}
