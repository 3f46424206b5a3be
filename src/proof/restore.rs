//! An archive's dump restored into a database, and what is there then compared with what was dumped.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::Instant;

use tokio_postgres::Client;

use super::compare;
use super::program::{Restorer, restorer};
use super::source::{Source, open};
use super::sql_input::{SqlInput, SqlOptions};
use super::target::Target;
use super::trust;
use super::unpack::Unpacked;
use crate::dump::Form;
use crate::dump::evidence::Evidence;
use crate::files;
use crate::postgres::{self, NewDatabase, Settings};
use crate::process::{self, Confined, Confinement, Ended, Input, Job, View};
use crate::step::{Look, Probe, Progress, StepError, Touch, Unit};

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
    let create = async {
        let properties = manifest.properties.as_ref();
        let other = properties.zip(target.locale.as_ref()).map(|(properties, locale)| properties.with_locale(locale));
        let new = NewDatabase {
            properties: other.as_ref().or(properties),
            for_check: target.for_check,
            no_tablespaces: target.no_tablespaces,
        };
        postgres::create_database(touch, &target.database, new).await
    };
    if !target.create {
        return fill(touch, source, target, None, clock).await;
    }
    // What can be refused is refused before there is a database.
    let unpacked = if target.seeks(source) { Some(source.unpack(touch).await?) } else { None };
    create.await?;
    let filled = fill(touch, source, target, unpacked, clock).await;
    if let Err(error) = filled {
        return Err(clear_up(touch, target, error).await);
    }
    if let Some(properties) = manifest.properties.as_ref() {
        postgres::apply_settings(touch, &target.database, properties).await?;
    }
    filled
}

/// What is in the database differs from what was dumped: it is all there is, and stays.
const DIFFERS: &str = "what was restored is not what was dumped";

/// Removes the database that was made for a restore that failed, so that the next one can make it; but not one that holds
/// all of the dump and differs.
async fn clear_up(touch: &Touch, target: &Target, error: StepError) -> StepError {
    let name = target.database.dbname.clone().unwrap_or_default();
    if error.what.starts_with(DIFFERS) {
        return error.hint(format!("the database `{name}` is kept, with what was restored"));
    }
    match postgres::drop_database(touch, &target.database).await {
        Ok(()) => {
            touch.log().info(format!("the database `{name}`, which was made for this restore, is removed again"));
            error
        }
        Err(other) => {
            touch.log().warn(format!("the database `{name}` stays, and is to be dropped by hand: {other}"));
            error
        }
    }
}

/// Restores into a database that is there, and compares.
async fn fill(
    touch: &Touch,
    source: &Source,
    target: &Target,
    unpacked: Option<Unpacked>,
    clock: Instant,
) -> Result<Restored, StepError> {
    let manifest = &source.manifest;
    let (client, mut restorer) = prepare(touch, source, target).await?;
    let unpacked = match unpacked {
        None if target.seeks(source) => Some(source.unpack(touch).await?),
        unpacked => unpacked,
    };
    restorer.argv.extend(source.tables.iter().cloned());
    if let Some(unpacked) = &unpacked {
        restorer.argv.push(unpacked.path.to_string_lossy().into_owned());
    }
    let program = Path::new(&restorer.argv[0]).file_name().unwrap_or_default().to_string_lossy().into_owned();
    let job = job(touch, target, restorer.argv, unpacked.as_ref()).await?;
    let ended = match unpacked {
        Some(_) => process::start(touch, &job, false)?.wait(touch.cancel()).await?,
        None => {
            let options = SqlOptions {
                key: if restorer.restrict { Some(random_key()?) } else { None },
                drops_transaction_timeout: restorer.drops_transaction_timeout,
            };
            feed(touch, &Job { stdin: Input::Pipe, ..job }, source, options).await?
        }
    };
    if ended.code != Some(0) {
        let failed = ended.failure(&program);
        return Err(match target.create || target.temporary {
            true => failed,
            false => failed.hint("what was restored so far is still in the database"),
        });
    }
    let different = match &manifest.evidence {
        Some(_) => compare::differences(touch, &target.database, manifest, target.jobs).await?,
        None => {
            touch.log().warn("the archive does not say what was dumped, so nothing could be compared");
            Vec::new()
        }
    };
    if let Some(unmeasured) = manifest.evidence.as_ref().and_then(Evidence::unmeasured) {
        touch.log().warn(format!("not compared, because it was not measured in the dump: {unmeasured}"));
    }
    if !different.is_empty() {
        return Err(StepError::new(format!("{DIFFERS}: {}", different.join("; "))));
    }
    let tables = manifest.evidence.as_ref().map(|e| e.tables.as_slice()).unwrap_or_default();
    Ok(Restored {
        tables: tables.len() as u64,
        rows: tables.iter().map(|t| t.rows).sum(),
        objects: objects(&client).await?,
        seconds: (clock.elapsed().as_secs_f64() * 1000.0).round() / 1000.0,
        compared: manifest.evidence.as_ref().is_some_and(|e| !tables.is_empty() || e.not_measured.is_empty()),
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

/// An error that says, of a database that does not exist, how to have it created.
pub fn name_create(error: StepError) -> StepError {
    match &error.hint {
        Some(hint) if hint == postgres::CHECK_DBNAME => {
            error.hint("check the name, or have the database created: `--create` (`create: true`)")
        }
        _ => error,
    }
}

/// A session with the database, which may be restored into, and the program that does it.
async fn prepare(touch: &Touch, source: &Source, target: &Target) -> Result<(Client, Restorer), StepError> {
    let manifest = &source.manifest;
    let client = postgres::connect(touch.look(), &target.database).await.map_err(name_create)?;
    if target.confinement.is_none() {
        trust::announce(touch, &client, &target.database).await?;
    }
    if !target.non_empty {
        empty(&client, &target.database).await?;
    }
    if let Some(evidence) = manifest.evidence.as_ref().filter(|_| !target.no_owner) {
        roles(&client, evidence).await?;
    }
    let row = client.query_one("SELECT pg_catalog.current_setting('server_version_num')::int", &[]).await;
    let number: i32 = row.map_err(|e| postgres::asked("asking the server for its version", &e))?.get(0);
    let restorer = restorer(touch, source, target, u32::try_from(number / 10_000).unwrap_or(0)).await?;
    Ok((client, restorer))
}

/// Whether the database holds nothing of anybody's.
async fn empty(client: &Client, database: &Settings) -> Result<(), StepError> {
    let count = objects(client).await?;
    if count == 0 {
        return Ok(());
    }
    let what = format!("{} is not empty: it has {count} objects", database.place());
    Err(StepError::new(what)
        .hint("restore into a new database (`--create`, `create: true`), or allow that it holds something (`--non-empty`, `non_empty: true`)"))
}

/// Relations, functions and types that belong neither to the system nor to an extension.
async fn objects(client: &Client) -> Result<u64, StepError> {
    let sql = "SELECT (SELECT pg_catalog.count(*) FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
               WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S') AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' \
               AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objid = c.oid AND d.deptype = 'e')) \
               + (SELECT pg_catalog.count(*) FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace \
               WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' \
               AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d WHERE d.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass AND d.objid = p.oid AND d.deptype = 'e')) \
               + (SELECT pg_catalog.count(*) FROM pg_catalog.pg_type t JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace \
               WHERE t.typtype IN ('e', 'd') AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' \
               AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d WHERE d.classid = 'pg_catalog.pg_type'::pg_catalog.regclass AND d.objid = t.oid AND d.deptype = 'e')) \
               + (SELECT pg_catalog.count(*) FROM pg_catalog.pg_largeobject_metadata)";
    let row = client.query_one(sql, &[]).await;
    let count: i64 = row.map_err(|e| postgres::asked("looking at what is in the database", &e))?.get(0);
    Ok(u64::try_from(count).unwrap_or(0))
}

/// Whether every role that the dump needs is there.
async fn roles(client: &Client, evidence: &Evidence) -> Result<(), StepError> {
    let sql = "SELECT r FROM pg_catalog.unnest($1::text[]) r WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = r)";
    let rows =
        client.query(sql, &[&evidence.role_names()]).await.map_err(|e| postgres::asked("asking for the roles", &e))?;
    let missing: Vec<String> = rows.iter().map(|r| format!("`{}`", r.get::<_, String>(0))).collect();
    if missing.is_empty() {
        return Ok(());
    }
    Err(StepError::new(format!("the dump needs roles that the server does not have: {}", missing.join(", "))).hint(
        "create them (an archive with `globals: true` has them in `globals.sql`), or leave owners out (`no_owner: true`)",
    ))
}

/// Runs a program and hands it an entry of the archive.
async fn feed(touch: &Touch, job: &Job, source: &Source, options: SqlOptions) -> Result<Ended, StepError> {
    let sql = source.is_sql().then_some(options);
    let mut running = process::start(touch, job, false)?;
    let input = running.input().ok_or_else(|| StepError::new("the program does not take its input"))?;
    let (own, path, password, index) = (touch.again(), source.path.clone(), source.password.clone(), source.index);
    let feeding = tokio::task::spawn_blocking(move || {
        pour(&own, &path, password.as_ref().map(|p| p.as_bytes()), index, input, sql)
    });
    let ended = running.wait(touch.cancel()).await;
    let fed = feeding.await.map_err(|e| StepError::because("handing the dump on", &e))?;
    let ended = ended?;
    match fed {
        // A program that ends does not take the rest; why it ended is what matters.
        Err(error) if ended.code == Some(0) => Err(error),
        _ => Ok(ended),
    }
}

/// A key for restricted mode that nobody can guess.
fn random_key() -> Result<String, StepError> {
    let mut bytes = [0u8; 24];
    getrandom::fill(&mut bytes).map_err(|e| StepError::new(format!("the system gives no random numbers: {e}")))?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Hands an entry on; `sql` is for SQL, with how it is handed to `psql`.
fn pour(
    touch: &Touch,
    path: &Path,
    password: Option<&[u8]>,
    index: usize,
    mut input: File,
    sql: Option<SqlOptions>,
) -> Result<(), StepError> {
    let mut archive = open(touch, path)?;
    let total = archive.entries().get(index).map(|e| e.size);
    let failed = |e: &(dyn std::error::Error + 'static)| StepError::because("handing the dump on", e);
    let mut content = archive.read(index, password).map_err(|e| failed(&e))?;
    let mut sql = match sql {
        Some(options) => {
            Some(SqlInput::new(input.try_clone().map_err(|e| failed(&e))?, options).map_err(|e| failed(&e))?)
        }
        None => None,
    };
    let mut buffer = vec![0u8; 1 << 18];
    let mut done = 0;
    loop {
        if touch.cancel().is_cancelled() {
            return Err(StepError::cancelled());
        }
        let count = match content.read(&mut buffer) {
            Ok(0) => return sql.map_or(Ok(()), SqlInput::end).map_err(|e| failed(&e)),
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(failed(&error)),
        };
        let passed = match &mut sql {
            Some(sql) => sql.take(&buffer[..count]),
            None => input.write_all(&buffer[..count]),
        };
        passed.map_err(|e| failed(&e))?;
        done += count as u64;
        touch.log().progress(&Progress { done, total, unit: Unit::Bytes, note: String::new() });
    }
}
