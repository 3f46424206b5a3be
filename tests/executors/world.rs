//! A folder of its own for each test, a database where one is wanted, and the binary run in it.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::atomic::{AtomicU32, Ordering};

/// The password of the archives: blanks, quotes, a dollar sign and letters that are no ASCII.
pub const PASSWORD: &str = "p ä\"s$ s'w of 15";

/// What a run of the binary gave.
pub struct Run {
    pub code: Option<i32>,
    pub out: String,
    /// Both streams.
    pub said: String,
}

impl Run {
    /// The same run, when it ended with that code.
    pub fn ends(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{}", self.said);
        self
    }

    /// The same run, when it said that. A path may be written as it is seen from the world's folder.
    pub fn says(self, text: &str) -> Self {
        assert!(
            self.said.contains(text) || without_world(&self.said).contains(text),
            "`{text}` is not in\n{}",
            self.said
        );
        self
    }

    /// The same run, when it did not say that.
    pub fn never_says(self, text: &str) -> Self {
        assert!(
            !self.said.contains(text) && !without_world(&self.said).contains(text),
            "`{text}` is in\n{}",
            self.said
        );
        self
    }

    /// What `--format json` printed.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.out).unwrap_or_else(|e| panic!("{e}: {}", self.said))
    }
}

/// A text with the folders of worlds left out of its paths.
pub fn without_world(text: &str) -> String {
    let begin = format!("{}/.tmp", std::env::temp_dir().display());
    let mut parts = text.split(&begin);
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        match part.split_once('/').filter(|(name, _)| name.len() == 6 && name.chars().all(char::is_alphanumeric)) {
            Some((_, rest)) => out += rest,
            None => out += &format!("{begin}{part}"),
        }
    }
    out
}

impl From<Output> for Run {
    fn from(output: Output) -> Self {
        let out = String::from_utf8_lossy(&output.stdout).into_owned();
        let said = format!("{out}{}", String::from_utf8_lossy(&output.stderr));
        Self { code: output.status.code(), out, said }
    }
}

/// A folder, and perhaps a database, that go with the test.
pub struct World {
    dir: tempfile::TempDir,
    pub database: Option<String>,
}

impl World {
    /// A folder alone.
    pub fn new() -> Self {
        Self { dir: tempfile::tempdir().expect("a folder"), database: None }
    }

    /// A folder and an empty database.
    pub fn with_database() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        assert!(std::env::var_os("PGHOST").is_some(), "there is no PostgreSQL: run `tests/sandbox cargo test`");
        let name = format!("test_{}_{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        psql("postgres", &format!("CREATE DATABASE {name}"));
        let mut world = Self::new();
        world.database = Some(name);
        world
    }

    /// The name of the database.
    pub fn db(&self) -> &str {
        self.database.as_deref().expect("a world with a database")
    }

    /// What a statement gives on the database.
    pub fn sql(&self, sql: &str) -> String {
        psql(self.db(), sql)
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn write(&self, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        std::fs::write(&path, text).expect("a file");
        path
    }

    /// The names in a folder, in order.
    pub fn names(&self, dir: &str) -> Vec<String> {
        let entries = std::fs::read_dir(self.path(dir)).map(|d| d.flatten().map(|e| e.file_name()).collect::<Vec<_>>());
        let mut names: Vec<String> =
            entries.unwrap_or_default().into_iter().map(|n| n.to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }

    /// The binary in this world, ready for arguments.
    pub fn runplan(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_runplan"));
        command.current_dir(self.dir.path()).env_remove("PGSERVICE").env("NO_COLOR", "1").env("TEST_ZIP", PASSWORD);
        command.env("XDG_STATE_HOME", self.path("state"));
        if let Some(database) = &self.database {
            command.env("PGDATABASE", database);
        }
        command
    }

    /// Runs a plan, given without its first lines.
    pub fn run(&self, plan: &str, arguments: &[&str]) -> Run {
        self.write("plan.yaml", format!("version: 1\nname: night\nlogs: {{ dir: logs }}\n{plan}"));
        self.runplan().arg("plan.yaml").args(arguments).output().expect("the binary runs").into()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if let Some(name) = &self.database {
            psql("postgres", &format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)"));
        }
    }
}

/// What a statement gives on a database.
pub fn psql(database: &str, sql: &str) -> String {
    let output = Command::new("psql").args(["-XAtq", "-v", "ON_ERROR_STOP=1", "-d", database, "-c", sql]).output();
    let output = output.expect("psql: run `tests/sandbox cargo test`");
    assert!(output.status.success(), "{sql}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// Makes a script that can be run.
pub fn script(path: &Path, text: &str) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::write(path, format!("#!/bin/sh\n{text}\n")).expect("a script");
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).expect("executable");
}
