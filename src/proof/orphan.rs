//! Clusters that outlived the run that started them: a run that is killed (SIGKILL) can neither stop its server nor remove
//! the folder, so the next one does.

use std::fs::{self, File, TryLockError};
use std::path::Path;
use std::thread;
use std::time::Duration;

use crate::step::Touch;

/// What the names of their folders begin with.
pub const PREFIX: &str = "runplan-cluster-";
/// How often a server is looked for that was told to stop, and how long it takes in between.
const LOOKS: u32 = 50;
const NAP: Duration = Duration::from_millis(100);

/// Holds a folder, so that no other run takes it for an orphan: to be called before there is a cluster in it. A file system
/// without locks cannot tell the living from the dead, and keeps both.
pub fn hold(folder: &Path) -> Option<File> {
    let file = File::open(folder).ok()?;
    file.try_lock().ok().map(|()| file)
}

/// Stops and removes the clusters in the temporary folder whose runs are gone.
pub fn clear(touch: &Touch) {
    for entry in fs::read_dir(std::env::temp_dir()).into_iter().flatten().flatten() {
        let path = entry.path();
        let named = entry.file_name().to_string_lossy().starts_with(PREFIX);
        if !named || !entry.file_type().is_ok_and(|t| t.is_dir()) || !path.join("data").is_dir() {
            continue;
        }
        let Ok(lock) = File::open(&path) else { continue };
        if let Err(TryLockError::WouldBlock | TryLockError::Error(_)) = lock.try_lock() {
            continue;
        }
        stop(&path);
        if fs::remove_dir_all(&path).is_ok() {
            touch
                .log()
                .info(format!("removed the cluster `{}`, which a run that was killed left behind", path.display()));
        }
    }
}

/// Tells the server of a cluster to stop at once (SIGQUIT, "immediate shutdown" in the PostgreSQL manual), if the number in
/// its file is still that of a program that works in that folder.
#[cfg(unix)]
fn stop(folder: &Path) {
    use rustix::process::{Pid, Signal, kill_process};
    let text = fs::read_to_string(folder.join("data/postmaster.pid")).unwrap_or_default();
    // The server that initdb runs for itself has a number below zero there.
    let number: i32 =
        text.lines().next().and_then(|l| l.trim().trim_start_matches('-').parse().ok()).unwrap_or_default();
    let own = || {
        let command = fs::read(format!("/proc/{number}/cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&command).contains(&*folder.to_string_lossy())
    };
    let Some(pid) = Pid::from_raw(number).filter(|_| own()) else { return };
    if kill_process(pid, Signal::QUIT).is_ok() {
        (0..LOOKS).take_while(|_| own()).for_each(|_| thread::sleep(NAP));
    }
}

#[cfg(not(unix))]
fn stop(_: &Path) {}
