//! A short job of the night: dump, copy, prune both folders, and a mail when it fails.

use std::path::Path;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use crate::smtp::{Mail, Server};
use crate::world::{PASSWORD, Run, World, script};

/// What stands in the plan of every night. Upper-case words are replaced.
const PLAN: &str = "version: 1
name: night
logs: { dir: logs, keep: 14 }
secrets: { zip: { env: TEST_ZIP } }
defaults:
  email: { smtp: { host: 127.0.0.1, port: PORT, security: none }, from: backup@example.org }
steps:
  - id: dump
    uses: pg_dump
    with:
      archive: { path: 'backups/app-${{ run.id }}.zip', password: '${{ secrets.zip }}' }
  - { id: copy, uses: copy, with: { from: '${{ steps.dump.outputs.path }}', to: share } }
  - { id: prune, uses: retention, with: { dir: backups, keep_last: 2 } }
  - { id: prune_copies, uses: retention, with: { dir: share, keep_last: 2 } }
on_failure:
  - { id: alert, uses: email, with: { to: [dba@example.org], attach: ['${{ run.log_file }}'] } }
";

/// A world with a small database, the plan and a mail server.
pub struct Night {
    pub world: World,
    pub server: Server,
    pub plan: String,
}

impl Night {
    pub fn new() -> Self {
        Self::with_mail(&[])
    }

    /// With these arguments for the mail server.
    pub fn with_mail(arguments: &[&str]) -> Self {
        let world = World::with_database();
        world.sql("CREATE TABLE t AS SELECT g, md5(g::text) AS m FROM generate_series(1, 500) g");
        std::fs::create_dir(world.path("share")).expect("a share");
        let server = Server::start(arguments);
        let plan = PLAN.replace("PORT", &server.port.to_string());
        Self { world, server, plan }
    }

    /// Changes the plan.
    pub fn edit(&mut self, from: &str, to: &str) {
        assert!(self.plan.contains(from), "{from}");
        self.plan = self.plan.replace(from, to);
    }

    /// Has `pg_dump` be a script, which says that it is version 99.1.
    pub fn dumper(&mut self, text: &str) {
        let version = "[ \"$1\" = --version ] && { echo 'pg_dump (PostgreSQL) 99.1'; exit; }";
        script(&self.world.path("fake"), &format!("{version}\n{text}"));
        if !self.plan.contains("program:") {
            let program = format!("program: {}\n      archive:", self.world.path("fake").display());
            self.edit("archive:", &program);
        }
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        // Another run may be reading it.
        if std::fs::read_to_string(self.world.path("plan.yaml")).ok().as_ref() != Some(&self.plan) {
            self.world.write("plan.yaml", &self.plan);
        }
        let mut command = self.world.runplan();
        command.arg("plan.yaml").args(arguments);
        command
    }

    pub fn run(&self, arguments: &[&str]) -> Run {
        self.command(arguments).output().expect("the binary runs").into()
    }

    /// Runs it by a shell in a namespace of its own, in which a script may mount what it likes; `"$@"` is the run. A
    /// machine that does not let that be fails the test.
    pub fn apart(&self, text: &str) -> Run {
        let inner = self.command(&[]);
        let mut command = Command::new("unshare");
        command.args(["--mount", "--map-root-user", "sh", "-c", text, "sh"]).arg(inner.get_program());
        command.args(inner.get_args()).current_dir(self.world.path(""));
        for (name, value) in inner.get_envs() {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        let run = Run::from(command.output().expect("unshare"));
        run.never_says("unshare:").never_says("mount:").never_says("strace:")
    }

    /// The mails since the first `before`.
    pub fn mails(&self, before: usize) -> Vec<Mail> {
        self.server.mails().into_iter().skip(before).collect()
    }

    /// Two good nights, so that there is something to lose.
    pub fn two_good_nights(&self) {
        self.run(&[]).ends(0);
        self.run(&[]).ends(0);
        assert_eq!((zips(&self.world, "backups").len(), zips(&self.world, "share").len()), (2, 2));
    }
}

/// The archives of a folder.
pub fn zips(world: &World, dir: &str) -> Vec<String> {
    world.names(dir).into_iter().filter(|n| n.ends_with(".zip")).collect()
}

/// The bytes of every file of a folder, by name.
pub fn bytes(dir: &Path) -> Vec<(String, Vec<u8>)> {
    let mut all: Vec<(String, Vec<u8>)> = std::fs::read_dir(dir)
        .map(|d| d.flatten().collect::<Vec<_>>())
        .unwrap_or_default()
        .into_iter()
        .map(|e| (e.file_name().to_string_lossy().into_owned(), std::fs::read(e.path()).unwrap_or_default()))
        .collect();
    all.sort();
    all
}

/// Whether an archive is what its record says. Gives the SHA-256.
pub fn as_recorded(archive: &Path) -> Result<String, String> {
    use sha2::Digest;
    let record = std::fs::read(format!("{}.json", archive.display())).map_err(|e| format!("its record: {e}"))?;
    let record: serde_json::Value = serde_json::from_slice(&record).map_err(|e| format!("its record: {e}"))?;
    let bytes = std::fs::read(archive).map_err(|e| e.to_string())?;
    let sum: String = sha2::Sha256::digest(&bytes).iter().map(|b| format!("{b:02x}")).collect();
    match (record["bytes"].as_u64(), record["sha256"].as_str()) {
        (Some(size), Some(hash)) if size == bytes.len() as u64 && hash == sum => Ok(sum),
        _ => Err(format!("{} bytes and {sum}, and its record says {record}", bytes.len())),
    }
}

/// Whether 7-Zip opens an archive and finds every byte of it good.
pub fn opens(archive: &Path) -> Result<(), String> {
    let tested = Command::new("7z").args(["t", &format!("-p{PASSWORD}")]).arg(archive).output();
    let tested = tested.expect("7z: run `tests/sandbox cargo test`");
    if tested.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&tested.stdout).into_owned()) }
}

/// Waits until something is so.
pub fn until(what: &str, mut so: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(30);
    while !so() {
        assert!(Instant::now() < end, "{what} did not come to be");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A statement in a session of its own that goes on until it is killed.
pub fn holding(database: &str, sql: &str) -> Child {
    let child = Command::new("psql").args(["-XAtq", "-d", database, "-c", sql]).spawn().expect("psql");
    let busy = format!("SELECT count(*) FROM pg_stat_activity WHERE datname = '{database}' AND wait_event = 'PgSleep'");
    until("the lock", || crate::world::psql("postgres", &busy) != "0");
    child
}

/// Ends such a session; the server would go on with it when its client is gone.
pub fn let_go(night: &Night, mut child: Child) {
    night.world.sql(
        "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'PgSleep'",
    );
    child.wait().expect("psql");
}
