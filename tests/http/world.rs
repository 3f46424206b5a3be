//! A folder of its own, the binary run in it, and the servers that are asked: the one of `server.py`, nginx, tinyproxy.

use std::io::{BufRead, BufReader};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

pub use crate::base::Run;

/// What must be seen nowhere: a path of an address, a token, a password. A parser of addresses writes some of its letters
/// otherwise.
pub const PATH: &str = "canary-Wombat{7}|<é>\"";
pub const TOKEN: &str = "canary-Quokka/58+\"&";
pub const PASSWORD: &str = "canary-Numbat:3 'ä";

/// A folder that goes with the test.
pub struct World {
    dir: tempfile::TempDir,
}

impl World {
    pub fn new() -> Self {
        Self { dir: tempfile::tempdir().expect("a folder") }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The binary with a plan of these steps.
    pub fn command(&self, steps: &str, arguments: &[&str]) -> Command {
        let all = [("url", "T_URL"), ("path", "T_PATH"), ("token", "T_TOKEN"), ("pw", "T_PW")];
        let read = all.iter().filter(|(name, _)| steps.contains(&format!("secrets.{name}")));
        let read: Vec<String> = read.map(|(name, variable)| format!("{name}: {{ env: {variable} }}")).collect();
        let head = format!("version: 1\nname: night\nlogs: {{ dir: logs }}\nsecrets: {{ {} }}\n", read.join(", "));
        std::fs::write(self.path("plan.yaml"), format!("{head}{steps}")).expect("a plan");
        let mut command = Command::new(env!("CARGO_BIN_EXE_runplan"));
        command.current_dir(self.dir.path()).args(arguments).env("NO_COLOR", "1");
        command.env("XDG_STATE_HOME", self.path("state"));
        command
            .env("T_URL", "https://127.0.0.1:9/none")
            .env("T_PATH", PATH)
            .env("T_TOKEN", TOKEN)
            .env("T_PW", PASSWORD);
        for name in ["http_proxy", "https_proxy", "all_proxy", "no_proxy"] {
            command.env_remove(name).env_remove(name.to_uppercase());
        }
        command
    }

    /// Runs a plan of one `http` step with these parameters.
    pub fn ask(&self, with: &str) -> Run {
        self.run(&step(with), &["plan.yaml"])
    }

    pub fn run(&self, steps: &str, arguments: &[&str]) -> Run {
        self.command(steps, arguments).output().expect("the binary runs").into()
    }

    /// Every file below the folder, but the plan, as text.
    pub fn everything(&self) -> String {
        fn walk(dir: &Path, all: &mut String) {
            for entry in std::fs::read_dir(dir).expect("a folder").flatten() {
                let path = entry.path();
                if path.is_dir() {
                    walk(&path, all);
                } else {
                    *all += &String::from_utf8_lossy(&std::fs::read(&path).unwrap_or_default());
                }
            }
        }
        let mut all = String::new();
        walk(&self.path("logs"), &mut all);
        all
    }
}

/// A plan of one step.
pub fn step(with: &str) -> String {
    format!("steps:\n  - {{ id: ask, uses: http, with: {{ {with} }} }}\n")
}

/// Nothing of the secrets is in a text: their beginnings are met in no spelling.
pub fn hidden(text: &str) {
    let lower = text.to_lowercase();
    for part in ["canary", "wombat", "quokka", "numbat", "y2fuyxj5", "nhbmfyes", "jyw5hcnkt"] {
        let at = lower.find(part);
        let near = at.map(|a| lower.chars().skip(a.saturating_sub(80)).take(200).collect::<String>());
        assert!(at.is_none(), "`{part}` is in …{near:?}…");
    }
}

/// The server of `server.py`.
pub struct Web {
    child: Child,
    _stdin: Option<ChildStdin>,
    pub port: u16,
    pub dir: tempfile::TempDir,
}

impl Web {
    pub fn start(arguments: &[&str]) -> Self {
        let python = std::env::var_os("RUNPLAN_TEST_PYTHON").expect("a Python: run `tests/sandbox cargo test`");
        let dir = tempfile::tempdir().expect("a folder");
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/http/server.py");
        let mut command = Command::new(python);
        command.arg(script).arg(dir.path()).args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("the server starts");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("its output")).read_line(&mut line).expect("its port");
        let port = line.trim().parse().expect("the server says its port");
        let _stdin = child.stdin.take();
        Self { child, _stdin, port, dir }
    }

    /// An address of it.
    pub fn at(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    pub fn file(&self, name: &str) -> String {
        self.dir.path().join(name).display().to_string()
    }

    /// What it was asked.
    pub fn requests(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(self.dir.path().join("requests.jsonl")).unwrap_or_default();
        text.lines().map(|l| serde_json::from_str(l).expect("JSON")).collect()
    }

    pub fn connections(&self) -> u32 {
        let text = std::fs::read_to_string(self.dir.path().join("connections")).unwrap_or_default();
        text.parse().unwrap_or(0)
    }
}

impl Drop for Web {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A header of a request.
pub fn header(request: &Value, name: &str) -> Option<String> {
    let all = request["headers"].as_array().expect("headers");
    let found = all.iter().find(|h| h[0].as_str().is_some_and(|n| n.eq_ignore_ascii_case(name)))?;
    found[1].as_str().map(str::to_owned)
}

/// A program that listens at ports of this machine until it is dropped.
pub struct Daemon {
    child: Child,
    pub ports: Vec<u16>,
    pub dir: tempfile::TempDir,
}

impl Daemon {
    /// Starts a program whose configuration has `@DIR@`, and `@PORT0@` and so on for its ports; `@CONF@` is its path.
    pub fn start(argv: &[&str], count: usize, configuration: &str) -> Self {
        for _ in 0..5 {
            let dir = tempfile::tempdir().expect("a folder");
            let free: Vec<_> = (0..count).map(|_| TcpListener::bind("127.0.0.1:0").expect("a free port")).collect();
            let ports: Vec<u16> = free.iter().map(|l| l.local_addr().expect("an address").port()).collect();
            drop(free);
            let folder = dir.path().display().to_string();
            let mut text = configuration.replace("@DIR@", &folder);
            for (at, port) in ports.iter().enumerate() {
                text = text.replace(&format!("@PORT{at}@"), &port.to_string());
            }
            let conf = dir.path().join("conf");
            std::fs::write(&conf, text).expect("a configuration");
            let argv: Vec<String> = argv
                .iter()
                .map(|a| a.replace("@CONF@", &conf.display().to_string()).replace("@DIR@", &folder))
                .collect();
            let mut command = Command::new(&argv[0]);
            command.args(&argv[1..]).stdout(Stdio::null()).stderr(Stdio::null());
            let mut child =
                command.spawn().unwrap_or_else(|e| panic!("{}: {e}: run `tests/sandbox cargo test`", argv[0]));
            let until = Instant::now() + Duration::from_secs(60);
            while Instant::now() < until && child.try_wait().expect("its state").is_none() {
                if ports.iter().all(|p| TcpStream::connect(("127.0.0.1", *p)).is_ok()) {
                    return Self { child, ports, dir };
                }
                std::thread::sleep(Duration::from_millis(20));
            }
            let _ = child.kill();
            let _ = child.wait();
        }
        panic!("{argv:?} did not start")
    }

    pub fn log(&self, name: &str) -> String {
        std::fs::read_to_string(self.dir.path().join(name)).unwrap_or_default()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
