//! Finding the `pg_dump` that fits a server.

use std::path::{Path, PathBuf};

use crate::process;
use crate::step::{Look, Probe, StepError};

/// Where the distributions keep the programs of a major version.
fn folder(major: u32) -> [PathBuf; 3] {
    [
        format!("/usr/lib/postgresql/{major}/bin").into(),
        format!("/usr/pgsql-{major}/bin").into(),
        format!("/opt/homebrew/opt/postgresql@{major}/bin").into(),
    ]
}

/// The major version of a program that lies where the distributions keep those of one major version; none of another.
pub fn distributed_major(program: &Path) -> Option<u32> {
    let dir = program.parent();
    (9..100).find(|major| folder(*major).iter().any(|f| Some(f.as_path()) == dir))
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
/// The distributions' folders come first, then `PATH`, except for what leads to one of those folders. The version of a
/// program from `PATH` is checked when it runs. Starts nothing.
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
    if let Some(found) = std::env::split_paths(&path).map(|d| d.join(name)).find(|p| p.is_file() && !was_searched(p)) {
        return Ok(found);
    }
    let older = (9..server).rev().find(|m| folder(*m).iter().any(|d| d.join(name).is_file()));
    let what = match older {
        Some(major) => format!(
            "`{name}` of version {server} or newer is needed for a server of version {server}, and the newest that was found is {major}"
        ),
        None => format!("there is no `{name}` for a server of version {server}"),
    };
    Err(StepError::new(what).hint(format!(
        "install the client programs of PostgreSQL {server} (postgresql-client-{server}), or name one under `program`"
    )))
}

/// Whether a program of `PATH` leads to a folder of the distributions, which are searched before. On Debian it is a link to
/// a wrapper, `pg_wrapper`, that takes the newest of those folders.
fn was_searched(program: &Path) -> bool {
    let Ok(real) = program.canonicalize() else { return false };
    distributed_major(&real).is_some() || real.file_name() != program.file_name()
}

/// A program that was found, and its major version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chosen {
    pub path: PathBuf,
    pub major: u32,
}

/// The program `name` of at least one version that fits another best: that version itself, else the nearest newer one, else
/// any that is new enough. The distributions' folders are searched, then `PATH`, whose programs are asked for their version.
/// None when there is none.
pub async fn choose(probe: &Probe, name: &str, at_least: u32, best: u32) -> Option<Chosen> {
    let distributed = (9..100).flat_map(|major| folder(major).map(|dir| (dir.join(name), major)));
    let mut found: Vec<Chosen> =
        distributed.filter(|(path, _)| path.is_file()).map(|(path, major)| Chosen { path, major }).collect();
    if !found.iter().any(|c| c.major == best && best >= at_least) {
        let path = probe.look().env.get("PATH").map(std::ffi::OsString::from).unwrap_or_default();
        for path in std::env::split_paths(&path).map(|dir| dir.join(name)).filter(|path| path.is_file()) {
            if let Some(major) = major_of(probe, &path).await {
                found.push(Chosen { path, major });
            }
        }
    }
    fitting(found, at_least, best)
}

/// The major version of a program of PostgreSQL, in its own words.
pub async fn major_of(probe: &Probe, program: &Path) -> Option<u32> {
    let said = process::version(probe, &program.to_string_lossy()).await.ok()?;
    numbers(&said).first().copied()
}

/// The numbers of a version, like 15 and 18 of `psql (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)`.
pub fn numbers(said: &str) -> Vec<u32> {
    let word = said.split_whitespace().find(|w| w.starts_with(|c: char| c.is_ascii_digit())).unwrap_or_default();
    let number = |part: &str| part.chars().take_while(char::is_ascii_digit).collect::<String>().parse().ok();
    word.split('.').map_while(number).collect()
}

fn fitting(mut found: Vec<Chosen>, at_least: u32, best: u32) -> Option<Chosen> {
    found.retain(|c| c.major >= at_least);
    // Of those that are not older than the best the oldest, else the newest.
    found.into_iter().min_by_key(|c| (c.major < best, c.major.abs_diff(best)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_program_that_fits_best_is_new_enough_and_near() {
        let of = |majors: &[u32], at_least, best| {
            let found = majors.iter().map(|m| Chosen { path: format!("/{m}").into(), major: *m }).collect();
            fitting(found, at_least, best).map(|c| c.major)
        };
        assert_eq!(of(&[14, 15, 16, 18], 12, 15), Some(15));
        assert_eq!(of(&[14, 16, 18], 12, 15), Some(16));
        assert_eq!(of(&[13, 14], 12, 15), Some(14));
        assert_eq!(of(&[15, 18], 18, 15), Some(18));
        assert_eq!(of(&[15, 16], 17, 15), None);
        assert_eq!(numbers("psql (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)"), [15, 18]);
        assert_eq!(numbers("pg_restore (PostgreSQL) 18beta1"), [18]);
        assert_eq!(numbers("nothing"), Vec::<u32>::new());
    }
}
