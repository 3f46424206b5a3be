//! Files and folders as runplan handles them: the state folder, the run lock, listing, atomic publication, copying, free
//! space, old logs.
//!
//! Knows no plan and no step.

mod copying;
mod excerpt;
mod globbing;
#[cfg_attr(not(target_os = "linux"), path = "no_inflow.rs")]
mod inflow;
mod linked;
mod listing;
mod lock;
mod open_folder;
mod own_dir;
mod preflight;
mod publish;
mod regular;
mod scratch;
mod space;
mod spool;
mod temporary;
#[cfg(test)]
mod tests;
mod tree;
mod trusted;

use std::io;
use std::path::{Path, PathBuf};

use crate::step::{Env, Look};

pub use copying::{Copied, copy, hash, hash_of, hash_told};
pub use excerpt::{Excerpt, read_head_tail, size};
pub use globbing::expand;
pub use inflow::{Arrival, Inflow};
pub use listing::{Listed, at, flush_dir, is_dir, list, open, read_small, remove};
pub use lock::{Attempt, Lock, LockDir, name_of_key};
pub(crate) use lock::{hold, is_locked, lives, try_hold};
pub use open_folder::{OpenFolder, others_write, owner, trusts};
pub(crate) use own_dir::make_private_dir;
pub use own_dir::{Access, OwnDir};
pub use preflight::{folder, nearest, writable};
pub(crate) use publish::put;
pub use publish::{Partial, replace};
pub use regular::{
    Kind, Links, not_regular, not_utf8, open_input, open_regular, open_with, read_limited, read_regular, read_text,
};
pub use scratch::Scratch;
pub use space::{free, is_mount};
pub use spool::Spool;
pub use temporary::temp_dir;
pub use tree::{open_folder, remove_folder};
pub use trusted::{open_trusted, why_distrusted};

/// The user's folder for state (XDG Base Directory Specification): `$XDG_STATE_HOME/runplan`, else
/// `~/.local/state/runplan`; `%LOCALAPPDATA%\runplan` on Windows. Where `HOME` is not set, the system's user database says
/// where the home is. A user without a home has `/var/lib/runplan`, which the administrator has to make.
pub fn state_dir(env: &Env) -> PathBuf {
    let set = |name: &str| env.get(name).filter(|v| !v.is_empty()).map(PathBuf::from);
    let base = if cfg!(windows) {
        set("LOCALAPPDATA")
    } else {
        let home = || set("HOME").or_else(|| std::env::home_dir().filter(|h| h.is_absolute()));
        set("XDG_STATE_HOME").filter(|p| p.is_absolute()).or_else(|| home().map(|h| h.join(".local/state")))
    };
    // Never a temporary folder: anybody could have made it before us.
    base.unwrap_or_else(|| PathBuf::from(FALLBACK)).join("runplan")
}

/// Where the state of a user without a home is.
const FALLBACK: &str = if cfg!(windows) { r"C:\ProgramData" } else { "/var/lib" };

/// Whether a name is a run's id, like `20261122T213000Z-3f9c`.
pub fn is_run_id(name: &str) -> bool {
    let shape = |i: usize, c: char| match i {
        8 => c == 'T',
        15 => c == 'Z',
        16 => c == '-',
        0..15 => c.is_ascii_digit(),
        _ => c.is_ascii_hexdigit(),
    };
    name.len() == 21 && name.chars().enumerate().all(|(i, c)| shape(i, c))
}

/// Whether a name is taken, be it by a file, a folder or a link that leads nowhere.
pub fn exists(_: &Look, path: &Path) -> bool {
    path.symlink_metadata().is_ok()
}

/// The names in a folder, in no order; one that is no UTF-8 is not ours and left out.
///
/// # Errors
/// The folder cannot be listed.
pub fn folder_names(dir: &Path) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(dir)? {
        names.extend(entry?.file_name().into_string());
    }
    Ok(names)
}

/// Removes the folder of an old run below `root`. A symbolic link is refused, and so is the folder of a run that still
/// writes its journal. It takes no leave to touch: `run` calls it with its own log folder, after the last step.
///
/// # Errors
/// Why the folder stays.
pub(crate) fn remove_run_dir(root: &Path, name: &str) -> io::Result<()> {
    if name.is_empty() || name.contains(['/', '\\']) || name == "." || name == ".." {
        return Err(io::Error::other("it is no name of a folder"));
    }
    let dir = root.join(name);
    if !dir.symlink_metadata()?.is_dir() {
        return Err(io::Error::other("it is no folder"));
    }
    if is_locked(&dir.join("events.jsonl")).is_ok_and(|locked| locked) {
        return Err(io::Error::other("its run still goes on"));
    }
    std::fs::remove_dir_all(dir)
}
