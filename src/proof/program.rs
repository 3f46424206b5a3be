//! The program that restores: which one the dump needs and the server takes, and how it is called.

use std::path::{Path, PathBuf};

use super::source::{Source, TRANSACTION_TIMEOUT};
use super::target::Target;
use crate::dump::Form;
use crate::dump::head::Head;
use crate::postgres::{self, Chosen};
use crate::process;
use crate::step::{Probe, StepError, Touch};

/// A command line that restores.
pub struct Restorer {
    pub argv: Vec<String>,
    /// It is a `psql` that knows restricted mode.
    pub restrict: bool,
    /// The server does not know `transaction_timeout`.
    pub drops_transaction_timeout: bool,
}

/// Decides how a dump is restored into a server of a major version.
///
/// # Errors
/// No program is there that reads the dump, or it cannot work for that server.
pub async fn restorer(touch: &Touch, source: &Source, target: &Target, major: u32) -> Result<Restorer, StepError> {
    let probe = Probe::of(touch);
    if source.manifest.form() == Form::Plain {
        let path = match &target.program {
            Some(program) => PathBuf::from(program),
            None => find(&probe, "psql", 9, major, &format!("the server is version {major}")).await?.path,
        };
        let said = process::version(&probe, &path.to_string_lossy()).await?;
        let numbers = postgres::numbers(&said);
        let restrict = super::sql_input::knows_restrict(&numbers);
        if !restrict && target.confinement.is_none() && !target.trust_source {
            return Err(unrestricted(&path, &numbers, target));
        }
        let options =
            ["--no-psqlrc", "--quiet", "--no-password", "--set=ON_ERROR_STOP=1", "--output=/dev/null", "--file=-"];
        return Ok(Restorer {
            argv: std::iter::once(text(&path)).chain(options.map(str::to_owned)).collect(),
            restrict,
            drops_transaction_timeout: major < TRANSACTION_TIMEOUT,
        });
    }
    let chosen = pg_restore(&probe, source.head.as_ref(), target.program.as_deref(), major).await?;
    if chosen.major >= TRANSACTION_TIMEOUT && major < TRANSACTION_TIMEOUT {
        let what = format!(
            "`{}` is version {}, which cannot restore into a server of version {major}: it sets `transaction_timeout`, which \
             servers have from version {TRANSACTION_TIMEOUT} on{}",
            chosen.path.display(),
            chosen.major,
            made_by(source.head.as_ref())
        );
        return Err(StepError::new(what)
            .hint("restore into a server of version 17 or newer, or dump with a `pg_dump` of version 16 or older"));
    }
    Ok(Restorer { argv: arguments(&chosen.path, target), restrict: false, drops_transaction_timeout: false })
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

/// A `psql` that does not know restricted mode is given no SQL outside of a cluster of our own: what it takes for a command
/// hangs on the encoding, which functions in the dump can change while they are restored.
fn unrestricted(path: &Path, numbers: &[u32], target: &Target) -> StepError {
    let version: Vec<String> = numbers.iter().map(u32::to_string).collect();
    let what = format!(
        "psql {} (`{}`) can be made to run commands from an SQL dump: update it to 14.19, 15.14, 16.10, 17.6, 18 or newer",
        if version.is_empty() { "of an unknown version".to_owned() } else { version.join(".") },
        path.display()
    );
    StepError::new(what).hint(match target.for_check {
        true => {
            "or leave `into` out (or write `into: cluster`), or write `trust_source: true` if you trust everyone who may \
             create objects in the dumped database"
        }
        false => "or name a newer `psql` (`program`, `--program`)",
    })
}

fn made_by(head: Option<&Head>) -> String {
    head.map(|h| format!("; the dump was made by pg_dump {}", h.program)).unwrap_or_default()
}

async fn find(probe: &Probe, name: &str, at_least: u32, best: u32, why: &str) -> Result<Chosen, StepError> {
    postgres::choose(probe, name, at_least, best).await.ok_or_else(|| {
        let version = at_least.max(if at_least <= 12 { best } else { 0 });
        StepError::new(format!("`{name}` {version} or newer is needed: {why}")).hint(format!(
            "install the client programs of PostgreSQL {version} (postgresql-client-{version}), put them on `PATH`, or name one \
             (`program`, `--program`)"
        ))
    })
}

async fn pg_restore(
    probe: &Probe,
    head: Option<&Head>,
    program: Option<&str>,
    server: u32,
) -> Result<Chosen, StepError> {
    let readable = head.map_or(0, Head::readable_by);
    let dumper = head.and_then(Head::program_major).unwrap_or(0).max(readable);
    let why = head.map_or_else(String::new, |h| format!("the dump was made by pg_dump {}", h.program));
    if let Some(program) = program {
        let major = postgres::major_of(probe, Path::new(program)).await;
        let major = major.ok_or_else(|| StepError::new(format!("`{program}` does not say its version")))?;
        if major < readable {
            let what = format!("`{program}` is version {major}, and `pg_restore` {readable} or newer is needed: {why}");
            return Err(StepError::new(what));
        }
        return Ok(Chosen { path: program.into(), major });
    }
    // An older one that knows the format is better than none.
    if let Some(chosen) = postgres::choose(probe, "pg_restore", dumper, server).await {
        let refused = chosen.major >= TRANSACTION_TIMEOUT && server < TRANSACTION_TIMEOUT;
        if !refused || readable >= TRANSACTION_TIMEOUT {
            return Ok(chosen);
        }
    }
    match postgres::choose(probe, "pg_restore", readable, server).await {
        Some(chosen) => Ok(chosen),
        None => find(probe, "pg_restore", dumper, server, &why).await,
    }
}

fn arguments(program: &Path, target: &Target) -> Vec<String> {
    // A name that looks like connection settings must not be taken for some (PostgreSQL manual, "Connection Strings").
    let name = target.database.dbname.clone().unwrap_or_default().replace('\\', "\\\\").replace('\'', "\\'");
    let mut argv = vec![text(program), "--exit-on-error".to_owned(), "--no-password".to_owned()];
    argv.push(format!("--dbname=dbname='{name}'"));
    if target.jobs > 1 {
        argv.push(format!("--jobs={}", target.jobs));
    }
    if target.no_owner {
        argv.extend(["--no-owner".to_owned(), "--no-privileges".to_owned()]);
    }
    if target.no_tablespaces || target.for_check {
        argv.push("--no-tablespaces".to_owned());
    }
    if target.for_check {
        argv.push("--no-subscriptions".to_owned());
    }
    argv
}
