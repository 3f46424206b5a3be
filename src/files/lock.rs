//! The run lock: an operating-system lock on a file in the state folder. It goes with its process, so it cannot go stale.

use std::fs::{File, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::time::Duration;

use chrono::{SecondsFormat, Utc};
use sha2::{Digest, Sha256};

use super::regular::{Links, open_regular};
use super::{Access, OwnDir, state_dir};
use crate::step::Env;

/// A name for a key, which may hold anything: its hash is a name everywhere.
pub fn name_of_key(key: &str) -> String {
    Sha256::digest(key.as_bytes()).iter().take(16).map(|b| format!("{b:02x}")).collect()
}

/// A lock that is held until it is dropped.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

/// The folder of the locks. Who takes many of them opens it once.
#[derive(Debug)]
pub struct LockDir(OwnDir);

/// What trying gave.
#[derive(Debug)]
pub enum Attempt {
    Held(Lock),
    /// Another run holds it: what it wrote of itself.
    Busy(String),
}

impl LockDir {
    /// Opens the folder, and makes it where it is missing.
    ///
    /// # Errors
    /// It cannot be made, or it or a folder above is not ours.
    pub fn open(env: &Env) -> io::Result<Self> {
        let state = state_dir(env);
        OwnDir::make(&state, Access::Closed)?;
        OwnDir::make(&state.join("locks"), Access::Closed).map(Self)
    }

    /// Tries to take the lock of a key, and writes who holds it into its file.
    ///
    /// # Errors
    /// The file cannot be made or locked.
    pub fn try_acquire(&self, key: &str, plan: &str, run: &str) -> io::Result<Attempt> {
        let mut file = self.0.open_file(&format!("{}.lock", name_of_key(key)))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                // On some systems a locked file cannot be read; then we only know that somebody holds it.
                let _ = file.take(1024).read_to_string(&mut holder);
                let holder = holder.trim();
                let holder = if holder.is_empty() { "a run that has just begun" } else { holder };
                return Ok(Attempt::Busy(holder.to_owned()));
            }
            Err(TryLockError::Error(error)) => return Err(error),
        }
        let since = Utc::now().to_rfc3339_opts(SecondsFormat::Secs, true);
        let text = format!("run {run} of plan {plan}, process {}, since {since}\n", std::process::id());
        file.seek(SeekFrom::Start(0))?;
        file.write_all(text.as_bytes())?;
        // Only a longer text of before is cut. A file that is emptied and written again is written out to the disk when
        // it is closed (ext4), which costs more than the lock.
        if file.metadata()?.len() != text.len() as u64 {
            file.set_len(text.len() as u64)?;
        }
        Ok(Attempt::Held(Lock { _file: file }))
    }
}

/// Whether somebody holds the lock of a file. The lock is taken for a moment to see, so whoever makes a file and locks it
/// tries more than once.
///
/// # Errors
/// It is not a regular file or cannot be opened, or the file system knows no locks.
pub(crate) fn is_locked(path: &Path) -> io::Result<bool> {
    match open_regular(path, Links::Refuse)?.try_lock_shared() {
        Ok(()) => Ok(false),
        Err(TryLockError::WouldBlock) => Ok(true),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// Locks a file that was just made. Some file systems know no locks; it is then not locked.
pub(crate) fn hold(file: &File) {
    let _ = try_hold(file);
}

/// Locks a file unless somebody holds its lock; none where the file system knows no locks.
pub(crate) fn try_hold(file: &File) -> Option<bool> {
    for _ in 0..HOLD_TRIES {
        match file.try_lock() {
            Ok(()) => return Some(true),
            Err(TryLockError::WouldBlock) => std::thread::sleep(Duration::from_millis(5)),
            Err(TryLockError::Error(_)) => return None,
        }
    }
    Some(false)
}

/// How often a lock is tried that only someone who looks can hold.
const HOLD_TRIES: usize = 40;

/// Whether there is a process of this number.
pub(crate) fn lives(pid: u32) -> bool {
    #[cfg(unix)]
    {
        let pid = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw);
        pid.is_some_and(|pid| rustix::process::test_kill_process(pid) != Err(rustix::io::Errno::SRCH))
    }
    #[cfg(not(unix))]
    {
        let _ = pid;
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_one_is_told_who_holds_it_until_it_is_let_go() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let env = Env::from([("XDG_STATE_HOME".to_owned(), dir.path().to_string_lossy().into_owned())]);
        let open = || LockDir::open(&env).expect("a folder");
        let first = open();
        let Ok(Attempt::Held(lock)) = first.try_acquire("a|b", "nightly", "r1") else { panic!("the lock is free") };
        let Ok(Attempt::Busy(holder)) = open().try_acquire("a|b", "nightly", "r2") else { panic!("it is held") };
        assert!(holder.contains("run r1 of plan nightly"), "{holder}");
        assert!(matches!(first.try_acquire("a|c", "nightly", "r3"), Ok(Attempt::Held(_))));
        drop(lock);
        assert!(matches!(open().try_acquire("a|b", "nightly", "r4"), Ok(Attempt::Held(_))));
    }

    #[test]
    fn who_only_looks_keeps_nobody_from_holding_a_lock() {
        let made = tempfile::NamedTempFile::new().expect("a temporary file");
        assert!(is_locked(made.path()).is_ok_and(|l| !l));
        let looker = File::open(made.path()).expect("the file");
        looker.lock_shared().expect("it looks");
        let looks = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(50));
            drop(looker);
        });
        hold(made.as_file());
        looks.join().expect("it ends");
        assert!(is_locked(made.path()).is_ok_and(|l| l));
        assert!(is_locked(made.path().parent().expect("its folder")).is_err());
    }

    #[test]
    fn a_process_lives_until_it_has_ended() {
        assert!(lives(std::process::id()));
        let mut child = std::process::Command::new("true").spawn().expect("a program");
        child.wait().expect("it ends");
        assert!(!lives(child.id()) && !lives(0));
    }
}
