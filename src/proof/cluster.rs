//! A throwaway PostgreSQL: a cluster of its own in a temporary folder, reached by a Unix socket there and by nobody else,
//! stopped and removed with its holder.

use std::fs::File;
use std::path::PathBuf;
use std::time::Duration;

use tempfile::TempDir;

use super::orphan;
use crate::cancel::{Cancel, Reason};
use crate::postgres::{self, Settings, SslMode};
use crate::process::{self, Job, Running};
use crate::step::{StepError, Touch};

/// How long the server may take until it answers.
const PATIENCE: Duration = Duration::from_secs(60);

/// A cluster that runs.
pub struct Cluster {
    server: Running,
    folder: TempDir,
    _held: Option<File>,
}

/// The account that the server runs under when we are root, which it refuses.
#[derive(Debug, Clone, Copy)]
pub(super) struct Account {
    user: u32,
    group: u32,
}

impl Cluster {
    /// Makes and starts a cluster with the server programs of a major version, or the nearest newer ones.
    ///
    /// # Errors
    /// There are no such programs, or they fail.
    pub async fn start(touch: &Touch, major: u32) -> Result<Self, StepError> {
        let initdb = postgres::find(touch.look(), "initdb", major).map_err(|e| {
            e.hint(format!("install the server programs of PostgreSQL {major} (postgresql-{major}) on this machine"))
        })?;
        let bin = initdb.parent().map(PathBuf::from).unwrap_or_default();
        orphan::clear(touch);
        let made = tempfile::Builder::new().prefix(orphan::PREFIX).tempdir();
        let folder = made.map_err(|e| StepError::because("making a folder for the cluster", &e))?;
        let held = orphan::hold(folder.path());
        let account = account()?;
        if let Some(account) = account {
            hand_over(&folder, account)?;
        }
        let text = |path: PathBuf| path.to_string_lossy().into_owned();
        let (data, socket) = (text(folder.path().join("data")), text(folder.path().to_path_buf()));
        let job = |argv: Vec<String>| Job {
            argv,
            env: touch
                .look()
                .env
                .iter()
                .filter(|(k, _)| !k.starts_with("PG"))
                .map(|(k, v)| (k.clone(), v.clone()))
                .collect(),
            cwd: Some(folder.path().to_path_buf()),
            account: account.map(|a| (a.user, a.group)),
            quiet: true,
            ..Job::default()
        };
        let options = ["--username=postgres", "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync"];
        let argv = [vec![text(initdb), format!("--pgdata={data}")], options.map(str::to_owned).to_vec()].concat();
        let ended = process::start(touch, &job(argv), false)?.wait(touch.cancel()).await?;
        if ended.code != Some(0) {
            return Err(ended.failure("initdb"));
        }
        let settings =
            ["listen_addresses=", "fsync=off", "full_page_writes=off", "autovacuum=off", "max_connections=20"];
        let mut argv = vec![text(bin.join("postgres")), "-D".to_owned(), data, "-k".to_owned(), socket];
        settings.iter().for_each(|s| argv.extend(["-c".to_owned(), (*s).to_owned()]));
        let cluster = Self { server: process::start(touch, &job(argv), false)?, folder, _held: held };
        cluster.answers(touch).await?;
        Ok(cluster)
    }

    /// How to reach a database of it, as its superuser.
    pub fn settings(&self, database: &str) -> Settings {
        Settings {
            host: Some(self.folder.path().to_string_lossy().into_owned()),
            port: Some(5432),
            user: Some("postgres".to_owned()),
            dbname: Some(database.to_owned()),
            sslmode: Some(SslMode::Disable),
            ..Settings::default()
        }
    }

    async fn answers(&self, touch: &Touch) -> Result<(), StepError> {
        let cancel = touch.cancel().child(Some(PATIENCE));
        loop {
            let error = match postgres::connect(touch.look(), &self.settings("postgres")).await {
                Ok(_) => return Ok(()),
                Err(error) => error,
            };
            tokio::select! {
                () = tokio::time::sleep(Duration::from_millis(100)) => {}
                _ = cancel.cancelled() => {
                    return Err(if touch.cancel().is_cancelled() { StepError::cancelled() } else { error });
                }
            }
        }
    }

    /// Stops the server and removes its folder.
    pub async fn stop(self) {
        let now = Cancel::new();
        now.cancel(Reason::Terminate);
        // Told to end it ends; what it says then is of no interest, and its folder goes with it.
        let _ = self.server.wait(&now).await;
    }
}

/// Whom the server runs as: none when we are not root.
#[cfg(unix)]
pub(super) fn account() -> Result<Option<Account>, StepError> {
    if !rustix::process::geteuid().is_root() {
        return Ok(None);
    }
    let text = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let find = |name: &str| {
        let line = text.lines().find(|l| l.split(':').next() == Some(name))?;
        let field = |n: usize| line.split(':').nth(n)?.parse().ok();
        Some(Account { user: field(2)?, group: field(3)? })
    };
    let found = find("postgres").or_else(|| find("nobody"));
    let nobody = || StepError::new("PostgreSQL does not run as root, and there is no account `postgres` to run it as");
    found.map(Some).ok_or_else(|| nobody().hint("run the plan as another user, or create that account"))
}

#[cfg(not(unix))]
pub(super) fn account() -> Result<Option<Account>, StepError> {
    Ok(None)
}

#[cfg(unix)]
fn hand_over(folder: &TempDir, account: Account) -> Result<(), StepError> {
    let given = std::os::unix::fs::chown(folder.path(), Some(account.user), Some(account.group));
    given.map_err(|e| StepError::because("handing the folder of the cluster over", &e))
}

#[cfg(not(unix))]
fn hand_over(_: &TempDir, _: Account) -> Result<(), StepError> {
    Ok(())
}
