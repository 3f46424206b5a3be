//! Finding the `pg_dump` that fits a server.

use std::path::{Path, PathBuf};

use crate::step::{Look, StepError};

/// Where the distributions keep the programs of a major version.
fn folder(major: u32) -> [PathBuf; 3] {
    [
        format!("/usr/lib/postgresql/{major}/bin").into(),
        format!("/usr/pgsql-{major}/bin").into(),
        format!("/opt/homebrew/opt/postgresql@{major}/bin").into(),
    ]
}

/// Whether a program lies where the distributions keep those of one major version, so that its place says which one.
pub fn is_distributed(program: &Path) -> bool {
    let dir = program.parent();
    (9..100).any(|major| folder(major).iter().any(|f| Some(f.as_path()) == dir))
}

/// The folders that a program of PostgreSQL needs beside those of the system: its own, and those with its libraries and
/// texts.
pub fn installation(program: &Path) -> Vec<PathBuf> {
    if program.starts_with("/usr") || program.starts_with("/nix/store") {
        return Vec::new();
    }
    let Some(bin) = program.parent() else { return Vec::new() };
    let beside = ["lib", "lib64", "share"].into_iter().filter_map(|name| Some(bin.parent()?.join(name)));
    std::iter::once(bin.to_path_buf()).chain(beside.filter(|dir| dir.is_dir())).collect()
}

/// The program `name` of the server's own major version, else of the nearest newer one, with a warning that names both.
/// The distributions' folders come first; the one in `PATH`, which may be a wrapper, is taken when they have none, and its
/// version is looked at when it runs. Starts nothing.
///
/// # Errors
/// There is none that is new enough.
pub fn find(look: &Look, name: &str, server: u32) -> Result<PathBuf, StepError> {
    for major in server..server + 10 {
        let Some(found) = folder(major).into_iter().map(|d| d.join(name)).find(|p| p.is_file()) else { continue };
        if major > server {
            look.log.warn(format!("there is no `{name}` {server} for the server's version; `{name}` {major} is used"));
        }
        return Ok(found);
    }
    let path = look.env.get("PATH").map(std::ffi::OsString::from).unwrap_or_default();
    let older = (9..server).rev().find(|m| folder(*m).iter().any(|d| d.join(name).is_file()));
    let there = std::env::split_paths(&path).map(|d| d.join(name)).find(|p| p.is_file());
    // On Debian `PATH` has a wrapper that takes the newest of those folders, and they were looked at.
    if let (Some(found), None) = (there, older) {
        return Ok(found);
    }
    let what = match older {
        Some(major) => {
            format!("the server is version {server} and the newest `{name}` found is {major}, which cannot dump it")
        }
        None => format!("there is no `{name}` for a server of version {server}"),
    };
    Err(StepError::new(what).hint(format!(
        "install the client programs of PostgreSQL {server} (postgresql-client-{server}), or name one under `program`"
    )))
}
