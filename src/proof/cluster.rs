//! A throwaway PostgreSQL: a cluster of its own in a temporary folder, confined, reached by a Unix socket there and by
//! nobody else, stopped and removed with its holder.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::orphan::{self, DATA};
use super::tuning::{self, Machine};
use crate::cancel::{Cancel, Reason};
use crate::files;
use crate::postgres::{self, Settings, SslMode};
use crate::process::{self, Account, Confined, Confinement, Job, PASSWD, Running, View, minimal_env};
use crate::secret::Secret;
use crate::step::{Env, Probe, StepError, Touch};

/// How long the server may take until it answers.
const PATIENCE: Duration = Duration::from_secs(60);

/// A cluster that runs.
pub struct Cluster {
    server: Running,
    /// A name that no other server knows: what is restored may put a link to another server's socket in place of ours.
    superuser: String,
    folder: Folder,
    confinement: Confinement,
    machine: Machine,
}

/// A new name for the superuser of a cluster.
fn superuser_name() -> Result<String, StepError> {
    let mut bytes = [0u8; 8];
    getrandom::fill(&mut bytes).map_err(|e| StepError::new(format!("the system gives no random numbers: {e}")))?;
    Ok(format!("runplan_{:016x}", u64::from_le_bytes(bytes)))
}

impl Cluster {
    /// Makes and starts a cluster with the server programs of a major version, or the nearest newer ones, for a number of
    /// connections, as many as the machine has processors when none is given.
    ///
    /// # Errors
    /// There are no such programs, or they fail.
    pub async fn start(touch: &Touch, major: u32, jobs: Option<u8>) -> Result<Self, StepError> {
        let initdb = postgres::find(touch.look(), "initdb", major).map_err(|e| {
            e.hint(format!("install the server programs of PostgreSQL {major} (postgresql-{major}) on this machine"))
        })?;
        let bin = initdb.parent().map(PathBuf::from).unwrap_or_default();
        let confinement = Confinement::detect(&Probe::of(touch), false).await?;
        report(touch, &confinement);
        if let Some(error) = runs_as_root(&confinement) {
            return Err(error);
        }
        orphan::clear(touch);
        let folder = Folder::make(touch).map_err(|e| StepError::because("making a folder for the cluster", &e))?;
        lay_out(&folder.path, confinement.account())
            .map_err(|e| StepError::because("preparing the folder of the cluster", &e))?;
        let machine = Machine::measure(files::free(touch.look(), &folder.path).ok());
        let data = folder.path.join(DATA);
        let view = View {
            read: postgres::installation(&initdb),
            write: vec![data.clone()],
            replaced: vec![("/etc/passwd".to_owned(), folder.path.join("passwd"))],
            network: false,
        };
        let job = |argv: Vec<String>| Job {
            argv,
            env: minimal_env(&touch.look().env, Env::new()),
            cwd: Some(data.clone()),
            confined: Some(Confined { confinement: confinement.clone(), view: view.clone() }),
            quiet: true,
            ..Job::default()
        };
        let text = |path: PathBuf| path.to_string_lossy().into_owned();
        let superuser = superuser_name()?;
        let username = format!("--username={superuser}");
        let options = [username.as_str(), "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync"];
        let place = text(data.clone());
        let argv = [vec![text(initdb), format!("--pgdata={place}")], options.map(str::to_owned).to_vec()].concat();
        let ended = process::start(touch, &job(argv), false)?.wait(touch.cancel()).await?;
        if ended.code != Some(0) {
            return Err(ended.failure("initdb"));
        }
        let mut argv = vec![text(bin.join("postgres")), "-D".to_owned(), place.clone(), "-k".to_owned(), place];
        let settings = tuning::settings(machine, jobs.unwrap_or(machine.jobs()));
        settings.into_iter().for_each(|s| argv.extend(["-c".to_owned(), s]));
        let server = process::start(touch, &job(argv), false)?;
        let cluster = Self { server, superuser, folder, confinement, machine };
        cluster.answers(touch).await?;
        Ok(cluster)
    }

    /// How to reach a database of it, as its superuser.
    pub fn settings(&self, database: &str) -> Settings {
        Settings {
            host: Some(self.folder.path.join(DATA).to_string_lossy().into_owned()),
            port: Some(5432),
            user: Some(self.superuser.clone()),
            // The server asks for none. What is restored may pretend to be the server and ask: it must not get one from
            // the user's password file.
            password: Some(Secret::new("none")),
            dbname: Some(database.to_owned()),
            sslmode: Some(SslMode::Disable),
            // What is restored may put a link to the socket of another server in place of ours.
            peer: self.confinement.user(),
            ..Settings::default()
        }
    }

    /// How it is confined; what restores into it is confined alike.
    pub fn confinement(&self) -> &Confinement {
        &self.confinement
    }

    /// How many connections should restore a dump of so many bytes at a time: with more than one the dump is laid out
    /// beside the cluster, which needs room.
    pub fn jobs(&self, bytes: u64) -> u8 {
        if self.machine.room / 4 > bytes { self.machine.jobs() } else { 1 }
    }

    async fn answers(&self, touch: &Touch) -> Result<(), StepError> {
        let cancel = touch.cancel().child(Some(PATIENCE));
        loop {
            let error = match postgres::connect(touch.look(), &self.settings("postgres")).await {
                Ok(_) => return Ok(()),
                Err(error) => error,
            };
            tokio::select! {
                () = tokio::time::sleep(Duration::from_millis(50)) => {}
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

/// The folder of a cluster, which goes with this value. It stays open, so that nothing else is removed in its place, and
/// locked, so that no other run removes it.
struct Folder {
    path: PathBuf,
    open: File,
    touch: Touch,
}

impl Folder {
    /// Makes one in the temporary folder, closed to others.
    fn make(touch: &Touch) -> std::io::Result<Self> {
        let mut builder = tempfile::Builder::new();
        #[cfg(unix)]
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o700));
        let made = builder.prefix(orphan::PREFIX).tempdir_in(files::temp_dir()?)?;
        let open = files::open_folder(made.path())?;
        orphan::hold(&open);
        Ok(Self { path: made.keep(), open, touch: touch.again() })
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // Whether it is gone is said there.
        let _ = orphan::remove(&self.touch, &self.path, &self.open);
    }
}

/// Says which confinement is in force, and what is missing.
pub(super) fn report(touch: &Touch, confinement: &Confinement) {
    match confinement.hint() {
        None => touch.log().info(confinement.describe()),
        Some(hint) => touch.log().warn(format!("{}; {hint}", confinement.describe())),
    }
}

/// Why a server cannot run: PostgreSQL refuses to run as root.
pub(super) fn runs_as_root(confinement: &Confinement) -> Option<StepError> {
    #[cfg(unix)]
    if rustix::process::geteuid().is_root() && confinement.account().is_none() && !confinement.has_namespaces() {
        let what = "PostgreSQL does not run as root, and there is no account `nobody` to run it as";
        return Some(StepError::new(what).hint("install `bubblewrap`, or run the plan as another user"));
    }
    let _ = confinement;
    None
}

/// Makes the folder that the server writes, which belongs to its account. The folder above stays ours, and nobody else
/// gets through it.
fn lay_out(folder: &Path, account: Option<Account>) -> std::io::Result<()> {
    let data = folder.join(DATA);
    std::fs::create_dir(&data)?;
    std::fs::write(folder.join("passwd"), PASSWD)?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::{PermissionsExt, chown};
        let mode = std::fs::Permissions::from_mode;
        std::fs::set_permissions(&data, mode(0o700))?;
        std::fs::set_permissions(folder.join("passwd"), mode(0o644))?;
        if let Some(Account { user, group }) = account {
            chown(&data, Some(user), Some(group))?;
            chown(folder, None, Some(group))?;
            std::fs::set_permissions(folder, mode(0o710))?;
        }
    }
    #[cfg(not(unix))]
    let _ = account;
    Ok(())
}
