//! `pg_dump`: a dump into an encrypted archive.

use std::io::{self, Read};

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::archive::{self, Record, Sealed, Server, Writer};
use crate::files;
use crate::postgres::{self, Settings};
use crate::process::{self, Job};
use crate::quantity::Span;
use crate::step::{Class, Look, Preview, Progress, Step, StepError, Touch, Unit, Upcoming};
use crate::value::Value;

/// Dumps a database into an encrypted archive.
///
/// The dump goes straight from the standard output of `pg_dump` into the archive: no temporary file, nothing unencrypted
/// on disk. The archive gets its name only when `pg_dump` ended well and every byte was read back.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Params {
    /// The `pg_dump` to use; otherwise the one of the server's own major version, else the nearest newer one.
    #[serde(default)]
    program: Option<String>,
    /// What `pg_dump` writes.
    #[serde(default)]
    format: Format,
    /// The archive to make.
    archive: archive::Settings,
    /// How long to wait for the locks on all tables.
    #[serde(default = "a_minute")]
    lock_wait_timeout: Span,
    /// More arguments for `pg_dump`, passed on as they are.
    #[serde(default)]
    extra_args: Vec<String>,
    /// The database; what is left out is the plan's.
    #[serde(default)]
    database: Settings,
}

fn a_minute() -> Span {
    Span(std::time::Duration::from_secs(60))
}

/// What `pg_dump` writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// For `pg_restore`; uncompressed, since the archive compresses.
    #[default]
    Custom,
    /// SQL, for `psql`.
    Plain,
}

/// What the dump gave.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Output {
    /// The archive.
    path: String,
    /// Its size in bytes.
    bytes: u64,
    /// Its SHA-256, in hexadecimal.
    sha256: String,
    /// The size of the dump before compression, in bytes.
    dump_bytes: u64,
    /// The server's version.
    server_version: String,
    /// How long it took.
    seconds: f64,
}

/// Everything decided.
#[derive(Debug)]
pub struct Work {
    argv: Vec<String>,
    entry: &'static str,
    format: Format,
    archive: archive::Settings,
    database: Settings,
    server_version: String,
    /// The server's major version.
    major: u32,
    identifier: Option<String>,
    estimate: Option<u64>,
}

/// The executor.
pub struct PgDump;

impl Step for PgDump {
    const NAME: &'static str = "pg_dump";
    const EXAMPLE: &'static str =
        "archive:\n  path: backups/app-${{ run.id }}.zip\n  password: ${{ secrets.zip_password }}\n";
    const PUBLISHES: bool = true;
    type Params = Params;
    type Output = Output;
    type Work = Work;

    async fn plan(params: Params, look: &Look) -> Result<Work, StepError> {
        params.archive.check()?;
        if files::exists(look, params.archive.path.as_ref()) {
            let what = format!("`{}` exists, and no archive is ever overwritten", params.archive.path);
            return Err(StepError::new(what).hint("put `${{ run.id }}` into the name"));
        }
        let database = params.database.resolve(&look.env).map_err(|e| StepError::new(e.to_string()))?;
        let client = postgres::connect(look, &database).await?;
        let wrong = |e: tokio_postgres::Error| postgres::asked("asking the server for its version", &e);
        let row = client
            .query_one("SELECT current_setting('server_version'), current_setting('server_version_num')::int, pg_database_size(current_database())", &[])
            .await
            .map_err(wrong)?;
        let (server_version, number, size): (String, i32, i64) = (row.get(0), row.get(1), row.get(2));
        // Not every role may ask; the record then says nothing of it.
        let identifier = client
            .query_one("SELECT system_identifier::text FROM pg_control_system()", &[])
            .await
            .ok()
            .map(|r| r.get(0));
        let major = u32::try_from(number / 10_000).unwrap_or(0);
        let program = match params.program {
            Some(program) => program,
            None => postgres::find(look, "pg_dump", major)?.to_string_lossy().into_owned(),
        };
        let mut argv = vec![program, "--no-password".to_owned()];
        argv.extend(match params.format {
            Format::Custom => ["--format=custom".to_owned(), "--compress=0".to_owned()].to_vec(),
            Format::Plain => ["--format=plain".to_owned()].to_vec(),
        });
        argv.push(format!("--lock-wait-timeout={}", params.lock_wait_timeout.0.as_millis()));
        argv.extend(params.extra_args);
        Ok(Work {
            argv,
            entry: if params.format == Format::Custom { "database.dump" } else { "database.sql" },
            format: params.format,
            archive: params.archive,
            database,
            server_version,
            major,
            identifier,
            estimate: u64::try_from(size).ok(),
        })
    }

    fn preview(work: &Work) -> Preview {
        let archive = &work.archive;
        let lines = [
            format!("{}, server {}", work.database.place(), work.server_version),
            format!("runs {}", work.argv.join(" ")),
            format!("into `{}` ({}, {})", archive.path, archive.encryption.word(), archive.compression.word()),
        ];
        let mut preview = Preview::new(lines).known("path", Value::from(archive.path.as_str()));
        preview.archives.push(Upcoming { path: archive.path.clone().into(), database: work.database.dbname.clone() });
        preview
    }

    async fn apply(work: Work, touch: &Touch) -> Result<Output, StepError> {
        let clock = std::time::Instant::now();
        let started_at = Utc::now();
        let env = work.database.child_env(&touch.look().env);
        check_version(&work, touch).await?;
        let mut writer = Writer::create(touch, &work.archive)?;
        let job = Job { argv: work.argv.clone(), env, cwd: None, stdin: None };
        let mut running = process::start(touch, &job, true)?;
        let pipe = running.output().ok_or_else(|| StepError::new("the output of `pg_dump` cannot be read"))?;
        let (log, total, entry) = (touch.log().clone(), work.estimate, work.entry);
        let magic: &[u8] = if work.format == Format::Custom { b"PGDMP" } else { b"--" };
        let packing = tokio::task::spawn_blocking(move || {
            let mut from = Checked { inner: pipe, magic, seen: 0, same: true };
            let mut step = 0;
            let result = writer.entry(entry, &mut from, &mut |done| {
                if done >> 20 != step {
                    step = done >> 20;
                    log.progress(&Progress { done, total, unit: Unit::Bytes, note: String::new() });
                }
            });
            let good = from.same && from.seen >= magic.len();
            // The pipe is closed here, so that a `pg_dump` whose output nobody takes any more ends.
            drop(from);
            result.map(|bytes| (writer, bytes, good))
        });
        // Its exit status is looked at before anything gets a name: a dump cut short ends like a whole one.
        let ended = running.wait(touch.cancel()).await;
        let packed = packing.await.map_err(|e| StepError::because("packing", &e))?;
        let ended = ended?;
        if ended.code != Some(0) {
            return Err(failure(&ended));
        }
        let (mut writer, dump_bytes, good) = packed?;
        if !good {
            return Err(StepError::new(format!("`pg_dump` ended well and wrote no dump ({dump_bytes} bytes)"))
                .hint("is the program under `program` really pg_dump?"));
        }
        let manifest = manifest(&work, touch, dump_bytes, started_at);
        let sealed = tokio::task::spawn_blocking(move || {
            writer.entry("manifest.json", &mut manifest.as_bytes(), &mut |_| {})?;
            writer.seal()
        });
        let sealed = sealed.await.map_err(|e| StepError::because("sealing", &e))??;
        let record = record(&work, touch, &sealed, dump_bytes, started_at);
        sealed.publish(touch, &record)?;
        Ok(Output {
            path: work.archive.path,
            bytes: record.bytes,
            sha256: record.sha256,
            dump_bytes,
            server_version: work.server_version,
            seconds: clock.elapsed().as_secs_f64(),
        })
    }
}

/// What `pg_dump` says when trying again may help. It gives no error codes, so its words, and the server's, are all
/// there is to go by; a server in another language is not understood, and then nothing is tried again.
const PASSING: [&str; 6] = [
    "server closed the connection unexpectedly",
    "terminating connection",
    "the database system is starting up",
    "canceling statement due to lock timeout",
    "Connection refused",
    "Connection reset by peer",
];

fn failure(ended: &process::Ended) -> StepError {
    let error = ended.failure("pg_dump");
    if PASSING.iter().any(|p| ended.said.contains(p)) { error.class(Class::Transient) } else { error }
}

/// A `pg_dump` that is older than the server cannot dump it (PostgreSQL manual, pg_dump, "Notes").
async fn check_version(work: &Work, touch: &Touch) -> Result<(), StepError> {
    let said = process::version(touch, &work.argv[0]).await?;
    // `pg_dump (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)`, `… 18beta1`
    let number = said.split_whitespace().find(|w| w.starts_with(|c: char| c.is_ascii_digit())).unwrap_or_default();
    let digits: String = number.chars().take_while(char::is_ascii_digit).collect();
    let own: u32 = digits
        .parse()
        .map_err(|_| StepError::new(format!("`{}` says it is `{said}`, which is no version", work.argv[0])))?;
    if own >= work.major {
        return Ok(());
    }
    let what = format!(
        "`{}` is version {number} and cannot dump the server, which is version {}",
        work.argv[0], work.server_version
    );
    Err(StepError::new(what).hint(format!("install the client programs of PostgreSQL {}", work.major)))
}

/// A stream that remembers whether it began as it should.
struct Checked<R> {
    inner: R,
    magic: &'static [u8],
    seen: usize,
    same: bool,
}

impl<R: Read> Read for Checked<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        let head = &self.magic[self.seen.min(self.magic.len())..];
        let common = head.len().min(count);
        self.same &= head[..common] == buffer[..common];
        self.seen = self.seen.saturating_add(count);
        Ok(count)
    }
}

fn manifest(work: &Work, touch: &Touch, dump_bytes: u64, started_at: DateTime<Utc>) -> String {
    serde_json::json!({
        "schema_version": 1, "plan": touch.facts().plan, "run": touch.facts().run, "database": work.database.dbname,
        "server_version": work.server_version, "dump": work.entry, "dump_bytes": dump_bytes, "started_at": started_at,
    })
    .to_string()
}

fn record(work: &Work, touch: &Touch, sealed: &Sealed, dump_bytes: u64, started_at: DateTime<Utc>) -> Record {
    let facts = touch.facts();
    let (host, port) = (work.database.host.clone().unwrap_or_default(), work.database.port.unwrap_or(5432));
    Record {
        schema_version: 1,
        kind: "dump".to_owned(),
        plan: facts.plan.clone(),
        target: facts.target.clone(),
        server: Some(Server { host, port, system_identifier: work.identifier.clone() }),
        database: work.database.dbname.clone(),
        machine: facts.host.clone(),
        run: facts.run.clone(),
        started_at,
        finished_at: Utc::now(),
        bytes: sealed.bytes,
        dump_bytes,
        sha256: sealed.sha256.clone(),
        format: Some(if work.format == Format::Custom { "custom" } else { "plain" }.to_owned()),
        encryption: work.archive.encryption.word().to_owned(),
        compression: work.archive.compression.word().to_owned(),
        server_version: Some(work.server_version.clone()),
        tool_version: env!("CARGO_PKG_VERSION").to_owned(),
    }
}
