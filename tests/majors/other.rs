//! A server of another major version than the one that the tests run beside.

use std::path::PathBuf;
use std::process::{Command, Output};

/// A server that ends with the test. It listens on a socket in its folder only.
pub struct OtherServer {
    dir: tempfile::TempDir,
    bin: PathBuf,
}

/// The programs of a major version.
pub fn programs(major: u32) -> PathBuf {
    let all = std::env::var_os("RUNPLAN_TEST_PG_PROGRAMS").expect("all majors: run `tests/sandbox cargo test`");
    PathBuf::from(all).join(major.to_string()).join("bin")
}

impl OtherServer {
    pub fn start(major: u32) -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        if rustix::process::geteuid().is_root() {
            std::os::unix::fs::chown(dir.path(), Some(NOBODY), Some(NOBODY)).expect("the folder is given away");
        }
        let server = Self { dir, bin: programs(major) };
        let data = server.path("data");
        good(server.program("initdb").args(["-D", &data, "-U", "runplan", "-A", "trust", "-E", "UTF8", "--no-sync"]));
        let socket = server.dir.path().display();
        let options = format!("-c listen_addresses= -c port=5432 -c unix_socket_directories={socket} -c fsync=off");
        let log = server.path("log");
        good(server.program("pg_ctl").args(["-D", &data, "-w", "-t", "300", "-l", &log, "-o", &options, "start"]));
        server
    }

    fn path(&self, name: &str) -> String {
        self.dir.path().join(name).display().to_string()
    }

    /// A program of the server, as an account that a server takes: it refuses root.
    fn program(&self, name: &str) -> Command {
        let program = self.bin.join(name);
        let mut command = if rustix::process::geteuid().is_root() {
            let mut command = Command::new("setpriv");
            command
                .arg(format!("--reuid={NOBODY}"))
                .arg(format!("--regid={NOBODY}"))
                .arg("--clear-groups")
                .arg(program);
            command
        } else {
            Command::new(program)
        };
        command.current_dir(self.dir.path()).env_remove("PGOPTIONS");
        // What stays behind of a server that goes on must not hold the test's own output open.
        command.stdin(std::process::Stdio::null());
        command
    }

    /// Lets a command connect to this server.
    pub fn settings(&self, command: &mut Command) {
        command.env("PGHOST", self.dir.path()).env("PGPORT", "5432").env("PGDATABASE", "postgres");
    }

    pub fn sql(&self, sql: &str) {
        let mut command = self.program("psql");
        self.settings(&mut command);
        good(command.args(["-XAtq", "-v", "ON_ERROR_STOP=1", "-c", sql]));
    }
}

/// The user that owns nothing.
const NOBODY: u32 = 65_534;

fn good(command: &mut Command) -> Output {
    let file = tempfile::NamedTempFile::new().expect("a file");
    let (out, errors) = (file.reopen().expect("the file"), file.reopen().expect("the file"));
    let status = command.stdout(out).stderr(errors).status().expect("the program runs");
    let said = std::fs::read(file.path()).unwrap_or_default();
    assert!(status.success(), "{command:?}: {}", String::from_utf8_lossy(&said));
    Output { status, stdout: said, stderr: Vec::new() }
}

impl Drop for OtherServer {
    fn drop(&mut self) {
        let data = self.path("data");
        let _ = self.program("pg_ctl").args(["-D", &data, "-m", "immediate", "stop"]).output();
    }
}
