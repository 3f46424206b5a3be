//! Clusters that outlived the run that started them: a run that is killed (SIGKILL) can neither stop its server nor remove
//! the folder, so the next one does.

use std::fs::{self, File, TryLockError};
use std::path::Path;
use std::thread;
use std::time::Duration;

use crate::files;
use crate::step::Touch;

/// What the names of their folders begin with.
pub const PREFIX: &str = "runplan-cluster-";
/// The name of the folder below it that the server may write.
pub const DATA: &str = "data";
/// How often a server is looked for that was told to stop, and how long it takes in between.
const LOOKS: u32 = 50;
/// How often a folder is emptied again that is written to.
const WRITES: u32 = 20;
const NAP: Duration = Duration::from_millis(100);

/// Holds an open folder, so that no other run takes it for an orphan: to be called before there is a cluster in it. A file
/// system without locks cannot tell the living from the dead, and keeps both.
pub fn hold(folder: &File) {
    // Without the lock the folder is only kept from nobody.
    let _ = folder.try_lock();
}

/// Stops and removes the clusters in the temporary folder whose runs are gone. Only folders that belong to us and that
/// nobody else can change count: anybody may make one of such a name there.
pub fn clear(touch: &Touch) {
    for entry in files::temp_dir().and_then(fs::read_dir).into_iter().flatten().flatten() {
        let path = entry.path();
        let named = entry.file_name().to_string_lossy().starts_with(PREFIX);
        if !named || !is_ours(&path) || !fs::symlink_metadata(path.join(DATA)).is_ok_and(|m| m.is_dir()) {
            continue;
        }
        let Ok(folder) = files::open_folder(&path) else { continue };
        if let Err(TryLockError::WouldBlock | TryLockError::Error(_)) = folder.try_lock() {
            continue;
        }
        stop(&path);
        if remove(touch, &path, &folder) {
            touch
                .log()
                .info(format!("removed the cluster `{}`, which a run that was killed left behind", path.display()));
        }
    }
}

/// Removes the folder of a cluster, whatever the code of the dump made in it. Says so when it stays.
pub fn remove(touch: &Touch, path: &Path, folder: &File) -> bool {
    let mut removed = files::remove_folder(touch, path, folder);
    for _ in 0..WRITES {
        // The last processes of a server that was killed may still be writing.
        if !removed.as_ref().is_err_and(|e| e.kind() == std::io::ErrorKind::DirectoryNotEmpty) {
            break;
        }
        thread::sleep(NAP);
        removed = files::remove_folder(touch, path, folder);
    }
    let Err(error) = removed else { return true };
    if error.kind() != std::io::ErrorKind::NotFound {
        touch.log().warn(format!(
            "the folder `{}` of the cluster stays: {error}; unmount what is mounted in it, and remove it by hand, as root if \
             need be",
            path.display()
        ));
    }
    false
}

/// Whether a path is a folder of ours, and no link to one.
#[cfg(unix)]
fn is_ours(path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let ours = rustix::process::geteuid().as_raw();
    fs::symlink_metadata(path).is_ok_and(|m| m.is_dir() && m.uid() == ours && m.mode() & 0o027 == 0)
}

#[cfg(not(unix))]
fn is_ours(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|m| m.is_dir())
}

/// Tells the servers that work in the folder of a cluster to stop at once (SIGQUIT, "immediate shutdown" in the PostgreSQL
/// manual), and kills those that do not. Nothing in the folder is believed, since code of the dump could write there: a
/// process counts when it has the folder's data among its arguments and the same owner.
#[cfg(unix)]
fn stop(folder: &Path) {
    use rustix::process::{Signal, kill_process};
    for signal in [Signal::QUIT, Signal::KILL] {
        for pid in servers(folder) {
            // It may be gone already.
            let _ = kill_process(pid, signal);
        }
        for _ in 0..LOOKS {
            if servers(folder).is_empty() {
                return;
            }
            thread::sleep(NAP);
        }
    }
}

/// The processes that were started with the data of a cluster, by whoever owns that.
#[cfg(unix)]
fn servers(folder: &Path) -> Vec<rustix::process::Pid> {
    use std::os::unix::ffi::OsStrExt;
    use std::os::unix::fs::MetadataExt;
    let data = folder.join(DATA);
    let Ok(owner) = fs::symlink_metadata(&data).map(|m| m.uid()) else { return Vec::new() };
    let started = |dir: &fs::DirEntry| {
        let command = fs::read(dir.path().join("cmdline")).unwrap_or_default();
        command.split(|byte| *byte == 0).any(|argument| argument == data.as_os_str().as_bytes())
    };
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    let own = processes.filter(|dir| dir.metadata().is_ok_and(|m| m.uid() == owner)).filter(started);
    own.filter_map(|dir| rustix::process::Pid::from_raw(dir.file_name().to_str()?.parse().ok()?)).collect()
}

#[cfg(not(unix))]
fn stop(_: &Path) {}
