//! An archive's dump restored into a database, and what is there then compared with what was dumped.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::Instant;

use tokio_postgres::Client;

use super::source::{Source, open};
use super::trust;
use super::unpack::Unpacked;
use crate::dump::{Form, Manifest};
use crate::files;
use crate::postgres::evidence::{self, Evidence};
use crate::postgres::{self, Settings};
use crate::process::{self, Confined, Confinement, Ended, Input, Job, View};
use crate::step::{Look, Probe, Progress, StepError, Touch, Unit};

/// Where a dump is restored to, and what is allowed there.
#[derive(Debug, Clone)]
pub struct Target {
    /// The database, with everything filled in.
    pub database: Settings,
    /// Make it first. It goes again when nothing could be restored.
    pub create: bool,
    /// Restore although there is something in it.
    pub non_empty: bool,
    /// Leave owners and rights out: everything belongs to who restores.
    pub no_owner: bool,
    /// How many connections restore at a time.
    pub jobs: u8,
    /// How the programs are confined, when the server that they work for is.
    pub confinement: Option<Confinement>,
}

/// What was restored and found to be what was dumped.
#[derive(Debug, Clone, PartialEq)]
pub struct Restored {
    pub tables: u64,
    pub rows: u64,
    /// Relations, functions and types that are there now.
    pub objects: u64,
    pub seconds: f64,
    /// Whether the archive says what was dumped, so that there was something to compare with.
    pub compared: bool,
}

/// Decides whether an archive can be looked at: it is there, or in a dry run an earlier step would make it.
///
/// # Errors
/// It is not.
pub fn there(look: &Look, archive: &str) -> Result<PathBuf, StepError> {
    let path = PathBuf::from(archive);
    if files::exists(look, &path) || look.facts.upcoming.iter().any(|u| u.path == path) {
        return Ok(path);
    }
    Err(StepError::new(format!("there is no archive `{archive}`")))
}

/// Restores a dump. It is a success only if what is there afterwards is what was dumped.
///
/// # Errors
/// The database is not empty, roles are missing, the program fails, or the result differs.
pub async fn restore(touch: &Touch, source: &Source, target: &Target) -> Result<Restored, StepError> {
    let clock = Instant::now();
    let manifest = &source.manifest;
    if manifest.form() == Form::Plain && target.jobs > 1 {
        let what = "the dump is SQL, which `psql` takes one statement after the other, so `jobs` can do nothing for it";
        return Err(StepError::new(what).hint("leave `jobs` out, or dump with `format: custom` or `format: directory`"));
    }
    let form = manifest.form();
    let seeks = form == Form::Directory || target.jobs > 1;
    let (ready, unpacked);
    if target.create {
        // What can be refused is refused before there is a database.
        unpacked = if seeks { Some(source.unpack(touch).await?) } else { None };
        postgres::create_database(touch, &target.database).await?;
        ready = match prepare(touch, manifest, target).await {
            Ok(ready) => ready,
            Err(error) => {
                if let Err(other) = postgres::drop_database(touch, &target.database).await {
                    touch.log().warn(format!("{} stays, with nothing in it: {other}", target.database.place()));
                }
                return Err(error);
            }
        };
    } else {
        ready = prepare(touch, manifest, target).await?;
        unpacked = if seeks { Some(source.unpack(touch).await?) } else { None };
    }
    let (client, mut argv) = ready;
    argv.extend(source.tables.iter().cloned());
    if let Some(unpacked) = &unpacked {
        argv.push(unpacked.path.to_string_lossy().into_owned());
    }
    let job = job(touch, target, argv.clone(), unpacked.as_ref()).await?;
    let ended = match unpacked {
        Some(_) => process::start(touch, &job, false)?.wait(touch.cancel()).await?,
        None => feed(touch, &Job { stdin: Input::Pipe, ..job }, source).await?,
    };
    if ended.code != Some(0) {
        let program = Path::new(&argv[0]).file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
        return Err(ended.failure(&program).hint("what was restored so far is still in the database"));
    }
    let different = match &manifest.evidence {
        Some(evidence) => evidence::differences(&client, evidence).await?,
        None => {
            touch.log().warn("the archive does not say what was dumped, so nothing could be compared");
            Vec::new()
        }
    };
    if !different.is_empty() {
        return Err(StepError::new(format!("what was restored is not what was dumped: {}", different.join("; "))));
    }
    let tables = manifest.evidence.as_ref().map(|e| e.tables.as_slice()).unwrap_or_default();
    Ok(Restored {
        tables: tables.len() as u64,
        rows: tables.iter().filter_map(|t| u64::try_from(t.rows).ok()).sum(),
        objects: objects(&client).await?,
        seconds: (clock.elapsed().as_secs_f64() * 1000.0).round() / 1000.0,
        compared: manifest.evidence.is_some(),
    })
}

/// The program, confined: it reads the bytes of the dump, and `psql` obeys them.
async fn job(touch: &Touch, target: &Target, argv: Vec<String>, unpacked: Option<&Unpacked>) -> Result<Job, StepError> {
    let confinement = match &target.confinement {
        Some(confinement) => confinement.clone(),
        None => {
            let found = Confinement::detect(&Probe::of(touch), true).await?;
            let what = Path::new(&argv[0]).file_name().unwrap_or_default().to_string_lossy().into_owned();
            touch.log().debug(format!("{} of `{what}`", found.describe()));
            found
        }
    };
    let env = target.database.isolated_env(&touch.look().env);
    let mut read = postgres::installation(Path::new(&argv[0]));
    let host = target.database.host.clone().unwrap_or_default();
    let socket = host.starts_with('/');
    read.extend(socket.then(|| PathBuf::from(host)));
    let certificates = env.get("PGSSLROOTCERT").map(PathBuf::from);
    read.extend(certificates.filter(|path| !socket && path.is_absolute() && path.is_file()));
    if let Some(unpacked) = unpacked {
        unpacked.hand_over(confinement.account())?;
        read.push(unpacked.path.clone());
    }
    let view = View { read, network: !socket, ..View::default() };
    Ok(Job { argv, env, confined: Some(Confined { confinement, view }), ..Job::default() })
}

/// A session with the database, which may be restored into, and the program that does it.
async fn prepare(touch: &Touch, manifest: &Manifest, target: &Target) -> Result<(Client, Vec<String>), StepError> {
    let client = postgres::connect(touch.look(), &target.database).await?;
    if target.confinement.is_none() {
        trust::announce(touch, &client, &target.database).await?;
    }
    if !target.non_empty {
        empty(&client, &target.database).await?;
    }
    if let Some(evidence) = manifest.evidence.as_ref().filter(|_| !target.no_owner) {
        roles(&client, evidence).await?;
    }
    let row = client.query_one("SELECT current_setting('server_version_num')::int", &[]).await;
    let number: i32 = row.map_err(|e| postgres::asked("asking the server for its version", &e))?.get(0);
    let argv = arguments(touch, target, u32::try_from(number / 10_000).unwrap_or(0), manifest.form())?;
    Ok((client, argv))
}

/// One connection, unless more are asked for.
pub fn one() -> u8 {
    1
}

/// Whether the database holds nothing of anybody's.
async fn empty(client: &Client, database: &Settings) -> Result<(), StepError> {
    let count = objects(client).await?;
    if count == 0 {
        return Ok(());
    }
    let what = format!("{} is not empty: it has {count} objects", database.place());
    Err(StepError::new(what)
        .hint("restore into an empty database, or say that it may hold something (`non_empty: true`)"))
}

/// Relations, functions and types that belong neither to the system nor to an extension.
async fn objects(client: &Client) -> Result<u64, StepError> {
    let sql = "SELECT (SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S') \
               AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' \
               AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')) \
               + (SELECT count(*) FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' \
               AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e')) \
               + (SELECT count(*) FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace WHERE t.typtype IN ('e', 'd') AND n.nspname !~ '^pg_' \
               AND n.nspname <> 'information_schema' \
               AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_type'::regclass AND d.objid = t.oid AND d.deptype = 'e')) \
               + (SELECT count(*) FROM pg_largeobject_metadata)";
    let row = client.query_one(sql, &[]).await;
    let count: i64 = row.map_err(|e| postgres::asked("looking at what is in the database", &e))?.get(0);
    Ok(u64::try_from(count).unwrap_or(0))
}

/// Whether every role that the dump needs is there.
async fn roles(client: &Client, evidence: &Evidence) -> Result<(), StepError> {
    let sql = "SELECT r FROM unnest($1::text[]) r WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = r)";
    let rows = client.query(sql, &[&evidence.roles]).await.map_err(|e| postgres::asked("asking for the roles", &e))?;
    let missing: Vec<String> = rows.iter().map(|r| format!("`{}`", r.get::<_, String>(0))).collect();
    if missing.is_empty() {
        return Ok(());
    }
    Err(StepError::new(format!("the dump needs roles that the server does not have: {}", missing.join(", "))).hint(
        "create them (an archive with `globals: true` has them in `globals.sql`), or leave owners out (`no_owner: true`)",
    ))
}

fn arguments(touch: &Touch, target: &Target, major: u32, form: Form) -> Result<Vec<String>, StepError> {
    let find = |name: &str| postgres::find(touch.look(), name, major).map(|p| p.to_string_lossy().into_owned());
    if form == Form::Plain {
        let options =
            ["--no-psqlrc", "--quiet", "--no-password", "--set=ON_ERROR_STOP=1", "--output=/dev/null", "--file=-"];
        return Ok(std::iter::once(find("psql")?).chain(options.map(str::to_owned)).collect());
    }
    // A name that looks like connection settings must not be taken for some (PostgreSQL manual, "Connection Strings").
    let name = target.database.dbname.clone().unwrap_or_default().replace('\\', "\\\\").replace('\'', "\\'");
    let mut argv = vec![find("pg_restore")?, "--exit-on-error".to_owned(), "--no-password".to_owned()];
    argv.push(format!("--dbname=dbname='{name}'"));
    if target.jobs > 1 {
        argv.push(format!("--jobs={}", target.jobs));
    }
    if target.no_owner {
        argv.extend(["--no-owner".to_owned(), "--no-privileges".to_owned()]);
    }
    Ok(argv)
}

/// Runs a program and hands it an entry of the archive.
async fn feed(touch: &Touch, job: &Job, source: &Source) -> Result<Ended, StepError> {
    let mut running = process::start(touch, job, false)?;
    let input = running.input().ok_or_else(|| StepError::new("the program does not take its input"))?;
    let (own, path, password, index) = (touch.again(), source.path.clone(), source.password.clone(), source.index);
    let feeding =
        tokio::task::spawn_blocking(move || pour(&own, &path, password.as_ref().map(|p| p.as_bytes()), index, input));
    let ended = running.wait(touch.cancel()).await;
    let fed = feeding.await.map_err(|e| StepError::because("handing the dump on", &e))?;
    let ended = ended?;
    match fed {
        // A program that ends does not take the rest; why it ended is what matters.
        Err(error) if ended.code == Some(0) => Err(error),
        _ => Ok(ended),
    }
}

fn pour(touch: &Touch, path: &Path, password: Option<&[u8]>, index: usize, mut input: File) -> Result<(), StepError> {
    let mut archive = open(touch, path)?;
    let total = archive.entries().get(index).map(|e| e.size);
    let failed = |e: &(dyn std::error::Error + 'static)| StepError::because("handing the dump on", e);
    let mut content = archive.read(index, password).map_err(|e| failed(&e))?;
    let mut buffer = vec![0u8; 1 << 18];
    let mut done = 0;
    loop {
        if touch.cancel().is_cancelled() {
            return Err(StepError::cancelled());
        }
        let count = match content.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(failed(&error)),
        };
        input.write_all(&buffer[..count]).map_err(|e| failed(&e))?;
        done += count as u64;
        touch.log().progress(&Progress { done, total, unit: Unit::Bytes, note: String::new() });
    }
}
