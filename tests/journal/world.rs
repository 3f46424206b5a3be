//! A folder with a plan whose runs end as files say, and the binary run in it.

use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

/// A step that ends as a file says, one that the plan allows to fail, and one that takes as long as it is let.
pub const PLAN: &str = r#"version: 1
name: night
params: { db: { type: string, default: app } }
secrets: { token: { env: TOKEN } }
logs: { dir: logs, keep: 20 }
steps:
  - id: dump
    uses: command
    with:
      argv: [sh, -c, 'test ! -e slow || { echo $$ > pid; exec sleep 60; }; test ! -e bad || { echo "no | room $T" >&2; exit 3; }']
      env: { DB: "${{ params.db }}", T: "${{ secrets.token }}" }
  - { id: prune, uses: command, continue_on_error: true, with: { argv: [sh, -c, 'test ! -e warn'] } }
"#;

pub const CANARY: &str = "canary-Zebra-77";

pub struct Run {
    pub code: Option<i32>,
    pub out: String,
    /// Both streams.
    pub said: String,
}

impl Run {
    pub fn of(output: &Output) -> Self {
        let out = String::from_utf8_lossy(&output.stdout).into_owned();
        let said = format!("{out}{}", String::from_utf8_lossy(&output.stderr));
        assert!(!said.contains(CANARY), "{said}");
        Self { code: output.status.code(), out, said }
    }

    pub fn ends(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{}", self.said);
        self
    }

    pub fn says(self, text: &str) -> Self {
        assert!(self.said.contains(text), "`{text}` is not in\n{}", self.said);
        self
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|e| panic!("{e}: {}", self.said))
    }
}

/// A folder with the plan; what it starts and does not end goes with it.
pub struct World {
    dir: tempfile::TempDir,
    running: Vec<Child>,
}

impl Drop for World {
    fn drop(&mut self) {
        for child in &mut self.running {
            let _ = child.kill();
            let _ = child.wait();
        }
        self.end_step();
    }
}

impl World {
    pub fn new() -> Self {
        let world = Self { dir: tempfile::tempdir().expect("a folder"), running: Vec::new() };
        world.write("plan.yaml", PLAN);
        world
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).expect("a file can be written");
    }

    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.current_dir(self.dir.path()).env("XDG_STATE_HOME", self.path("state")).env("NO_COLOR", "1");
        command.env("TOKEN", CANARY);
        command
    }

    pub fn runplan(&self, arguments: &[&str]) -> Run {
        let output = self.command(env!("CARGO_BIN_EXE_runplan")).args(arguments).output();
        Run::of(&output.expect("the binary runs"))
    }

    /// A run whose end these files decide.
    pub fn run(&self, with: &[&str], arguments: &[&str], code: i32) {
        with.iter().for_each(|name| self.write(name, ""));
        self.runplan(&[&["plan.yaml", "-q"], arguments].concat()).ends(code);
        with.iter().for_each(|name| std::fs::remove_file(self.path(name)).expect("it was there"));
    }

    /// Starts a run that stays in its first step.
    pub fn start(&mut self) {
        self.write("slow", "");
        let child = self.command(env!("CARGO_BIN_EXE_runplan")).args(["plan.yaml", "-q"]).stderr(Stdio::null()).spawn();
        self.running.push(child.expect("the binary runs"));
        let until = Instant::now() + Duration::from_secs(20);
        while !std::fs::read_to_string(self.path("pid")).is_ok_and(|t| t.ends_with('\n')) {
            assert!(Instant::now() < until, "the step does not begin");
            std::thread::sleep(Duration::from_millis(20));
        }
        std::fs::remove_file(self.path("slow")).expect("it was there");
    }

    /// Kills the run that was started; its step is left behind.
    pub fn kill(&mut self) {
        let mut child = self.running.pop().expect("a run");
        child.kill().expect("SIGKILL");
        child.wait().expect("it ends");
    }

    /// Ends the step that a run began.
    pub fn end_step(&self) {
        if let Ok(pid) = std::fs::read_to_string(self.path("pid")) {
            let _ = Command::new("kill").args(["-9", pid.trim()]).stderr(Stdio::null()).status();
            let _ = std::fs::remove_file(self.path("pid"));
        }
    }

    /// The runs as the JSON of `history` has them.
    pub fn history(&self, arguments: &[&str]) -> Vec<Value> {
        let run = self.runplan(&[&["history", "--format", "json"], arguments].concat()).ends(0);
        let document = run.json();
        assert_eq!(document["schema_version"], 1);
        document["runs"].as_array().expect("a list").clone()
    }

    pub fn results(&self, arguments: &[&str]) -> String {
        let words = self.history(arguments).iter().map(|r| text(&r["result"]).to_owned()).collect::<Vec<_>>();
        words.join(" ")
    }

    /// The folders of the runs, the newest last.
    pub fn folders(&self) -> Vec<PathBuf> {
        let mut all: Vec<PathBuf> =
            std::fs::read_dir(self.path("logs/night")).expect("runs").flatten().map(|e| e.path()).collect();
        all.sort();
        all
    }

    /// The journal of the newest run once more, under another name, changed.
    pub fn again(&self, id: &str, change: impl Fn(String) -> String) -> PathBuf {
        let from = self.folders().pop().expect("a run");
        let to = self.path("logs/night").join(id);
        std::fs::create_dir(&to).expect("a folder");
        for name in ["events.jsonl", "run.log"] {
            let text = std::fs::read_to_string(from.join(name)).expect("a journal");
            std::fs::write(to.join(name), if name == "events.jsonl" { change(text) } else { text }).expect("a file");
        }
        to
    }
}

pub fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// Waits for the next second, so that ids order as runs do.
pub fn next_second() {
    std::thread::sleep(Duration::from_millis(1050));
}
