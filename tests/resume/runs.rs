//! Plans that stop, and what the tests ask of their runs.

use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant, SystemTime};

use serde_json::Value;

use crate::world::{Run, World};

/// A dump, its copy on a share, and one archive that stays. The copy finds the archive by a name made of the run's id.
pub const NIGHT: &str = r#"secrets: { zip: { env: TEST_ZIP } }
vars: { archive: "out/${{ database.dbname }}-${{ run.id }}.zip" }
steps:
  - { id: vacuum, uses: vacuum, with: { tables: [t] } }
  - id: dump
    uses: pg_dump
    with: { archive: { path: "${{ vars.archive }}", password: "${{ secrets.zip }}" } }
  - { id: copy, uses: copy, with: { from: "${{ vars.archive }}", to: share } }
  - { id: prune, uses: retention, with: { dir: out, keep_last: 1 } }
on_failure:
  - { uses: command, with: { argv: [sh, -c, 'echo "$1" >> told', told, "${{ failure.step }}: ${{ failure.error }}"] } }
"#;

pub fn night() -> World {
    let world = World::with_database();
    world.sql("CREATE TABLE t AS SELECT g AS id FROM generate_series(1, 100) g");
    world
}

/// A plan of steps that write their names into `done`; one that a file `bad-<name>` stands for fails.
pub fn steps(names: &[&str]) -> String {
    let step = |name: &&str| {
        format!(
            "  - {{ id: {name}, uses: command, with: {{ argv: [sh, -c, 'test ! -e bad-{name} || exit 3; echo {name} >> done'] }} }}\n"
        )
    };
    format!("steps:\n{}", names.iter().map(step).collect::<String>())
}

impl World {
    pub fn resume(&self, arguments: &[&str]) -> Run {
        self.runplan().arg("resume").args(arguments).output().expect("the binary runs").into()
    }

    /// The newest run of the plan.
    pub fn resume_last(&self, arguments: &[&str]) -> Run {
        self.resume(&[&["last", "--plan", "plan.yaml"], arguments].concat())
    }

    /// What the steps wrote, and nothing is left of it.
    pub fn done(&self) -> String {
        let text = std::fs::read_to_string(self.path("done")).unwrap_or_default();
        let _ = std::fs::remove_file(self.path("done"));
        text.split_whitespace().collect::<Vec<_>>().join(" ")
    }

    pub fn bad(&self, name: &str) {
        self.write(&format!("bad-{name}"), "");
    }

    pub fn good(&self, name: &str) {
        std::fs::remove_file(self.path(&format!("bad-{name}"))).expect("it was there");
    }

    /// The runs as `history` has them, the newest last.
    pub fn history(&self) -> Vec<Value> {
        let run: Run = self.runplan().args(["history", "plan.yaml", "--format", "json"]).output().expect("runs").into();
        run.ends(0).json()["runs"].as_array().expect("a list").clone()
    }

    pub fn last(&self) -> String {
        text(&self.history().pop().expect("a run")["run"]).to_owned()
    }

    pub fn archives(&self, dir: &str) -> Vec<String> {
        self.names(dir).into_iter().filter(|n| n.ends_with(".zip")).collect()
    }

    pub fn rewrite(&self, change: impl Fn(String) -> String) {
        let text = std::fs::read_to_string(self.path("plan.yaml")).expect("a plan");
        self.write("plan.yaml", change(text));
    }

    /// Starts something that comes to a step which writes its process number, and then waits.
    pub fn start(&self, arguments: &[&str]) -> Waits {
        self.write("slow", "");
        let child = self.runplan().args(arguments).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let waits = Waits { child: child.expect("the binary runs"), pid: self.path("pid") };
        let until = Instant::now() + Duration::from_secs(60);
        while !std::fs::read_to_string(&waits.pid).is_ok_and(|t| t.ends_with('\n')) {
            assert!(Instant::now() < until, "the step does not begin");
            std::thread::sleep(Duration::from_millis(20));
        }
        std::fs::remove_file(self.path("slow")).expect("it was there");
        waits
    }
}

/// The step that waits as long as it is let.
pub const WAITS: &str = "  - { id: waits, uses: command, with: { argv: [sh, -c, 'test ! -e slow || { echo $$ > pid; exec sleep 600; }'] } }\n";

pub struct Waits {
    child: Child,
    pid: PathBuf,
}

impl Waits {
    pub fn kill(self) {
        drop(self);
    }
}

impl Drop for Waits {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if let Ok(pid) = std::fs::read_to_string(&self.pid) {
            let _ = std::process::Command::new("kill").args(["-9", pid.trim()]).stderr(Stdio::null()).status();
            let _ = std::fs::remove_file(&self.pid);
        }
    }
}

pub fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// Waits for the next second, so that ids order as runs do.
pub fn next_second() {
    std::thread::sleep(Duration::from_millis(1050));
}

pub fn written(path: &Path) -> SystemTime {
    path.metadata().and_then(|m| m.modified()).expect("a file")
}

/// What `status --format prometheus` says of a time.
pub fn metric(world: &World, name: &str) -> f64 {
    let run: Run =
        world.runplan().args(["status", "plan.yaml", "--format", "prometheus"]).output().expect("runs").into();
    let run = run.ends(0);
    let line = run.out.lines().find(|l| l.starts_with(name)).unwrap_or_else(|| panic!("{name}: {}", run.said));
    line.rsplit(' ').next().and_then(|n| n.parse().ok()).expect("a number")
}

pub fn seconds(time: &Value) -> f64 {
    let time: chrono::DateTime<chrono::Utc> = text(time).parse().expect("a time");
    time.timestamp_millis() as f64 / 1000.0
}
