//! Running a program: in a process group of its own, with the environment handed over, its lines passed on as they come,
//! stopped with SIGTERM, and after a grace SIGKILL, when the work is cancelled. What may run a stranger's code is confined.

mod confine;
mod guard;
mod locate;
pub mod nice;
mod orphans;

use std::collections::VecDeque;
use std::path::PathBuf;
use std::process::{ExitStatus, Output, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, Command};

use crate::cancel::Cancel;
use crate::diag;
use crate::step::{Class, Env, Probe, StepError, Touch};

pub use confine::{Account, Confined, Confinement, PASSWD, View, minimal_env};
pub use guard::{Guard, guard};
pub use locate::locate;
pub use orphans::Guarded;
use orphans::stand_by;

/// How long a program may take to end after SIGTERM.
const GRACE: Duration = Duration::from_secs(10);
/// The longest line that is passed on, in bytes; a longer one is left out whole, since a piece of it may end within a
/// secret, which nobody would know again.
const MAX_LINE: u64 = 1 << 20;
/// How many of the last lines of standard error an error quotes.
const TAIL: usize = 5;
/// How the programs of PostgreSQL, and most others, call a line an error.
const MARKS: [&str; 4] = ["error: ", "fatal: ", "ERROR: ", "FATAL: "];

/// What to run.
#[derive(Debug, Clone, Default)]
pub struct Job {
    /// The program and its arguments.
    pub argv: Vec<String>,
    /// The whole environment of the program.
    pub env: Env,
    /// The folder to run it in. Default: the folder of the plan, unless the program is confined.
    pub cwd: Option<PathBuf>,
    pub stdin: Input,
    /// How it is kept away from the rest of the machine; none: not at all.
    pub confined: Option<Confined>,
    /// What it says is detail that only `-v` and the log file show.
    pub quiet: bool,
    /// Knows the lines that only say what the program is at: they are such detail, and no error quotes them.
    pub chatter: Option<fn(&str) -> bool>,
    /// How far it steps back for other programs, see [`nice`].
    pub nice: Option<u8>,
}

/// What a program reads on its standard input.
#[derive(Debug, Clone, Default)]
pub enum Input {
    /// Nothing.
    #[default]
    None,
    Text(String),
    /// What is written to [`Running::input`].
    Pipe,
}

/// A program that was started.
pub struct Running {
    child: Child,
    group: Option<i32>,
    tail: Arc<Mutex<VecDeque<String>>>,
    readers: Vec<tokio::task::JoinHandle<()>>,
    /// Somebody reads the standard output to its end.
    piped: bool,
    /// Kills it should this program be killed.
    _guarded: Option<Guarded>,
}

/// How long a program may take to say its version.
const ASKING: Duration = Duration::from_secs(10);

/// What `<program> --version` prints: its first line.
///
/// # Errors
/// It cannot be started, fails, or gives no answer in time.
pub async fn version(probe: &Probe, program: &str) -> Result<String, StepError> {
    let look = probe.look();
    let mut command = Command::new(program);
    command.arg("--version").env_clear().envs(&*look.env).stdin(Stdio::null());
    let cancel = look.cancel.child(Some(ASKING));
    let output = tokio::select! {
        output = output(command) => output.map_err(|e| unstartable(program, &e))?,
        _ = cancel.cancelled() => return Err(match look.cancel.is_cancelled() {
            true => StepError::cancelled(),
            false => StepError::new(format!("`{program} --version` gave no answer in {} s", ASKING.as_secs())),
        }),
    };
    let said = diag::from_bytes(&output.stdout).lines().next().unwrap_or_default().trim().to_owned();
    if output.status.success() { Ok(said) } else { Err(StepError::new(format!("`{program} --version` failed"))) }
}

/// What a program prints, which is killed should this one be killed or stop waiting.
///
/// # Errors
/// It cannot be started or waited for.
pub async fn output(mut command: Command) -> std::io::Result<Output> {
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    // Without a shell to guard it, it is waited for all the same.
    let ready = stand_by().ok();
    let child = command.spawn()?;
    let number = child.id().and_then(|id| i32::try_from(id).ok());
    let _guarded = ready.zip(number).map(|(ready, number)| ready.guard(number, false));
    child.wait_with_output().await
}

fn unstartable(program: &str, error: &std::io::Error) -> StepError {
    let failed = StepError::because(format!("`{program}` cannot be started"), error);
    match error.kind() {
        std::io::ErrorKind::NotFound => failed.hint("install it, or write its whole path"),
        std::io::ErrorKind::PermissionDenied => failed.hint("let the user that runs the plan start it"),
        _ => failed,
    }
}

/// How a program ended.
#[derive(Debug, Clone)]
pub struct Ended {
    /// The exit status; none when a signal ended it.
    pub code: Option<i32>,
    /// In words, like `exit status 1`.
    pub how: String,
    /// The last lines of its standard error, in one.
    pub said: String,
}

/// Starts a program. Its standard output goes to the log line by line, or, with `pipe`, to whoever takes
/// [`Running::output`]; standard error always goes to the log.
///
/// # Errors
/// The program cannot be started.
pub fn start(touch: &Touch, job: &Job, pipe: bool) -> Result<Running, StepError> {
    let ready = stand_by();
    let mut running = start_unguarded(touch, job, pipe)?;
    match ready {
        Ok(ready) => running._guarded = running.group.map(|group| ready.guard(group, true)),
        Err(error) => touch.log().debug(format!("the program would outlive a killed run: {error}")),
    }
    Ok(running)
}

/// Starts a program that ends by itself when this one ends.
fn start_unguarded(touch: &Touch, job: &Job, pipe: bool) -> Result<Running, StepError> {
    let (argv, account) = match &job.confined {
        Some(confined) => confined.confinement.command(&job.argv, job.cwd.as_deref(), &confined.view),
        None => (job.argv.clone(), None),
    };
    let (program, arguments) = argv.split_first().ok_or_else(|| StepError::new("there is no program to run"))?;
    let mut command = Command::new(program);
    #[cfg(unix)]
    if let Some(path) = locate(touch.look(), program, &job.env, job.cwd.as_deref()).filter(|_| !program.contains('/')) {
        // With a whole path the system's fast way to start a program is taken (posix_spawn); else this process is forked.
        command = Command::new(path);
        command.arg0(program);
    }
    command.args(arguments).env_clear().envs(&job.env).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    command.stdin(if matches!(job.stdin, Input::None) { Stdio::null() } else { Stdio::piped() });
    let inside = job.confined.as_ref().is_some_and(|c| c.confinement.has_namespaces());
    // Another account, or a confined program, may not enter the folder of the plan.
    let usual = job.confined.is_none().then(|| &touch.look().plan_dir).filter(|d| !d.as_os_str().is_empty());
    if let Some(cwd) = job.cwd.as_ref().or(usual).filter(|_| !inside) {
        command.current_dir(cwd);
    }
    #[cfg(unix)]
    command.process_group(0);
    confine::run_as(&mut command, account);
    let mut child = command.spawn().map_err(|e| unstartable(program, &e))?;
    let group = child.id().and_then(|id| i32::try_from(id).ok());
    if let Some(nice) = job.nice {
        nice::step_back(group, nice);
    }
    if let Input::Text(text) = &job.stdin
        && let Some(mut stdin) = child.stdin.take()
    {
        let text = text.clone();
        tokio::spawn(async move {
            // A program that does not want to read its input says so by its exit status.
            let _ = stdin.write_all(text.as_bytes()).await;
        });
    }
    let tail = Arc::new(Mutex::new(VecDeque::new()));
    let mut readers = Vec::new();
    if let Some(stderr) = child.stderr.take() {
        let (log, tail) = (touch.log().clone(), Arc::clone(&tail));
        let (quiet, chatter) = (job.quiet, job.chatter);
        readers.push(tokio::spawn(lines(stderr, move |line| {
            if chatter.is_some_and(|is| is(&line)) {
                log.debug(&line);
                return;
            }
            if quiet {
                log.debug(&line)
            } else {
                log.info(&line)
            }
            let mut tail = tail.lock().unwrap_or_else(PoisonError::into_inner);
            if tail.len() == TAIL {
                // What is wrong outlasts the command that is quoted behind it.
                let first = tail.iter().position(|l: &String| !MARKS.iter().any(|m| l.contains(m)));
                tail.remove(first.unwrap_or(0));
            }
            // The lines are put into one later: what is secret in a line is masked while it is whole.
            tail.push_back(log.mask(&line));
        })));
    }
    if !pipe && let Some(stdout) = child.stdout.take() {
        let log = touch.log().clone();
        let quiet = job.quiet;
        readers.push(tokio::spawn(lines(stdout, move |line| if quiet { log.debug(&line) } else { log.info(&line) })));
    }
    Ok(Running { child, group, tail, readers, piped: pipe, _guarded: None })
}

impl Running {
    /// The program's standard output for a thread that reads it; once, and only when started with `pipe`.
    #[cfg(unix)]
    pub fn output(&mut self) -> Option<std::fs::File> {
        self.child.stdout.take().and_then(|out| out.into_owned_fd().ok()).map(std::fs::File::from)
    }

    /// The program's standard input for a thread that writes it; once, and only when started with [`Input::Pipe`].
    #[cfg(unix)]
    pub fn input(&mut self) -> Option<std::fs::File> {
        self.child.stdin.take().and_then(|stdin| stdin.into_owned_fd().ok()).map(std::fs::File::from)
    }

    /// Waits for the end. When the work is cancelled the whole group is told to end, and killed after a grace.
    ///
    /// # Errors
    /// The work was cancelled, or the program cannot be waited for.
    pub async fn wait(mut self, cancel: &Cancel) -> Result<Ended, StepError> {
        let status = tokio::select! {
            status = self.child.wait() => status,
            _ = cancel.cancelled() => {
                self.signal(false);
                if tokio::time::timeout(GRACE, self.child.wait()).await.is_err() {
                    self.signal(true);
                    let _ = self.child.wait().await;
                }
                self.signal(true);
                return Err(StepError::cancelled());
            }
        };
        let status = status.map_err(|e| StepError::because("the program cannot be waited for", &e))?;
        if self.piped {
            // What it left behind would hold the pipe open, and its reader would wait for ever.
            self.signal(true);
        }
        for reader in self.readers.drain(..) {
            // A child of the program may hold its pipe open; its last words are not worth waiting for.
            let _ = tokio::time::timeout(Duration::from_secs(2), reader).await;
        }
        let tail = self.tail.lock().unwrap_or_else(PoisonError::into_inner);
        let said = tail.iter().cloned().collect::<Vec<_>>().join("; ");
        Ok(Ended { code: status.code(), how: words(status), said })
    }

    #[cfg(unix)]
    fn signal(&self, kill: bool) {
        use rustix::process::{Pid, Signal, kill_process_group};
        if let Some(pid) = self.group.and_then(Pid::from_raw) {
            // It may be gone already.
            let _ = kill_process_group(pid, if kill { Signal::KILL } else { Signal::TERM });
        }
    }

    #[cfg(not(unix))]
    fn signal(&self, _: bool) {}
}

impl Drop for Running {
    fn drop(&mut self) {
        // Given up before its end: nothing of it may stay behind. A group that ended by itself is not signalled, since
        // its number may have been given to others.
        if matches!(self.child.try_wait(), Ok(None)) {
            self.signal(true);
        }
    }
}

impl Ended {
    /// The failure of a program that should have ended otherwise.
    pub fn failure(&self, program: &str) -> StepError {
        let said = why(&self.said);
        let said = if said.is_empty() { String::new() } else { format!(": {said}") };
        let class = self.code.map_or(Class::Permanent, Class::Exit);
        StepError::new(format!("`{program}` ended with {}{said}", self.how)).class(class)
    }
}

/// Of what a program said last: from the first line that calls itself an error, if there is one. The programs of
/// PostgreSQL quote a whole command behind it.
fn why(said: &str) -> &str {
    MARKS.iter().filter_map(|mark| said.find(mark)).min().map_or(said, |at| {
        let start = said[..at].rfind("; ").map_or(0, |end| end + 2);
        &said[start..]
    })
}

fn words(status: ExitStatus) -> String {
    #[cfg(unix)]
    {
        use std::os::unix::process::ExitStatusExt;
        if let Some(signal) = status.signal() {
            return format!("signal {signal}");
        }
    }
    status.code().map_or_else(|| "no exit status".to_owned(), |code| format!("exit status {code}"))
}

/// Passes on each line; of one that is too long only that it was there.
async fn lines(from: impl AsyncRead + Unpin, mut each: impl FnMut(String)) {
    let mut from = BufReader::new(from);
    let mut line = Vec::new();
    let mut long = false;
    loop {
        line.clear();
        match (&mut from).take(MAX_LINE).read_until(b'\n', &mut line).await {
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
        let ends = line.ends_with(b"\n");
        let full = line.len() as u64 == MAX_LINE && !ends;
        if full && !long {
            each(format!("(a line of more than {} KiB is left out)", MAX_LINE >> 10));
        } else if !long {
            each(diag::from_bytes(&line).trim_end_matches(['\n', '\r']).to_owned());
        }
        long = full || (long && !ends);
    }
}
