//! `pg_dump`: a dump into an encrypted archive, or a bare file.

mod decide;
mod measure;
mod stream;

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use crate::archive::{self, Content, Record, Sealed, Server};
use crate::postgres::evidence::Evidence;
use crate::postgres::toc::Toc;
use crate::postgres::{Manifest, Settings};
use crate::process::Job;
use crate::quantity::Span;
use crate::step::{Class, Fault, Look, Preview, Step, StepError, Touch, Upcoming};
use crate::value::Value;
use measure::{Depth, Picked, Snapshot};
use stream::{Kind, Sink};

/// Dumps a database into an encrypted archive.
///
/// The dump goes straight from the standard output of `pg_dump` into the archive: no temporary file, nothing unencrypted
/// on disk. The archive gets its name only when `pg_dump` ended well and every byte was read back. Beside it lies its
/// record, `<archive>.json`.
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
    #[serde(default)]
    archive: Option<archive::Settings>,
    /// The file to make instead of an archive: the dump as it is, neither compressed nor encrypted.
    #[serde(default)]
    #[schemars(extend("x-runplan-path" = true))]
    file: Option<String>,
    /// Dump only these schemas; patterns of pg_dump, each of which must match something.
    #[serde(default)]
    schemas: Vec<String>,
    /// Dump only these tables; patterns of pg_dump, each of which must match something.
    #[serde(default)]
    tables: Vec<String>,
    /// Leave these tables out; patterns of pg_dump.
    #[serde(default)]
    exclude_tables: Vec<String>,
    /// Leave the rows of these tables out; patterns of pg_dump.
    #[serde(default)]
    exclude_table_data: Vec<String>,
    /// Whether roles and tablespaces go along, as `globals.sql` in the same archive. Their passwords are among them when
    /// the user may read those.
    #[serde(default)]
    globals: bool,
    /// What is measured of each table in the snapshot that is dumped, for the manifest in the archive.
    #[serde(default)]
    evidence: Depth,
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
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
    /// The archive, or the bare dump.
    path: String,
    /// It at every place it was written to, `path` first.
    paths: Vec<String>,
    /// Its size in bytes.
    bytes: u64,
    /// Its SHA-256, in hexadecimal.
    sha256: String,
    /// The size of the dump before compression, in bytes.
    dump_bytes: u64,
    /// The server's version.
    server_version: String,
    /// How long it took, in seconds to the millisecond.
    seconds: f64,
}

/// Where the dump goes.
#[derive(Debug, Clone)]
enum Target {
    Archive(archive::Settings),
    File(String),
}

impl Target {
    fn path(&self) -> &str {
        match self {
            Self::Archive(archive) => &archive.path,
            Self::File(path) => path,
        }
    }

    /// Every file to make, the first one first.
    fn paths(&self) -> Vec<&str> {
        match self {
            Self::Archive(archive) => archive.paths().collect(),
            Self::File(path) => vec![path],
        }
    }
}

/// Everything decided.
#[derive(Debug)]
pub struct Work {
    argv: Vec<String>,
    /// How `pg_dumpall` is run, when roles and tablespaces go along.
    globals: Option<Vec<String>>,
    format: Format,
    target: Target,
    database: Settings,
    server: decide::Facts,
    depth: Depth,
    picked: Picked,
}

impl Work {
    /// The name of the dump in the archive.
    fn entry(&self) -> &'static str {
        if self.format == Format::Custom { "database.dump" } else { "database.sql" }
    }
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

    fn check(params: &Json) -> Vec<Fault> {
        let has = |key: &str| params.get(key).is_some_and(|v| !v.is_null());
        let fault = |pointer: &str, message: &str| Fault {
            pointer: pointer.to_owned(),
            at_key: !pointer.is_empty(),
            message: message.to_owned(),
            help: None,
        };
        let mut faults = Vec::new();
        match (has("archive"), has("file")) {
            (true, true) => faults.push(fault("/file", "`archive` and `file` exclude each other")),
            (false, false) => faults.push(fault("", "either `archive` or `file` is needed")),
            _ => {}
        }
        if has("file") && params.get("globals") == Some(&Json::Bool(true)) {
            faults.push(fault("/globals", "`globals` needs an `archive`: a bare file holds one dump"));
        }
        faults.extend(archive::Settings::faults(params));
        faults
    }

    async fn plan(params: Params, look: &Look) -> Result<Work, StepError> {
        decide::decide(params, look).await
    }

    fn preview(work: &Work) -> Preview {
        let into = match &work.target {
            Target::Archive(archive) => archive.places(),
            Target::File(path) => format!("into `{path}`, neither compressed nor encrypted"),
        };
        let mut lines = vec![
            format!("{}, server {}", work.database.place(), work.server.version),
            format!("runs {}, in a snapshot of its own", work.argv.join(" ")),
        ];
        lines.extend(work.globals.iter().map(|argv| format!("and {}", argv.join(" "))));
        lines.push(into);
        let paths = work.target.paths();
        let version = Value::from(work.server.version.as_str());
        let mut preview = Preview::new(lines)
            .known("path", Value::from(work.target.path()))
            .known("paths", Value::List(paths.iter().map(|p| Value::from(*p)).collect()))
            .known("server_version", version);
        let upcoming = |path: &str| Upcoming { path: path.into(), database: work.database.dbname.clone() };
        preview.archives.extend(paths.into_iter().map(upcoming));
        preview
    }

    async fn apply(work: Work, touch: &Touch) -> Result<Output, StepError> {
        let clock = std::time::Instant::now();
        let started_at = Utc::now();
        stream::check_version(&work, touch).await?;
        let mut sink = match &work.target {
            Target::Archive(settings) => Sink::Zip(archive::Writer::create(touch, settings)?),
            Target::File(path) => Sink::Bare(archive::Bare::create(touch, path.as_ref())?),
        };
        let job = |argv: Vec<String>| Job { argv, env: work.database.child_env(&touch.look().env), ..Job::default() };
        let snapshot = match Snapshot::export(touch, &work.database).await {
            Ok(snapshot) => Some(snapshot),
            Err(error) if error.class == Class::Cancelled => return Err(error),
            Err(error) => {
                touch.log().warn(format!("the dump is made without evidence of what it holds: {error}"));
                None
            }
        };
        let mut argv = work.argv.clone();
        argv.splice(1..1, snapshot.iter().map(|s| format!("--snapshot={}", s.id)));
        let kind = if work.format == Format::Custom { Kind::Custom } else { Kind::Plain };
        let (told, toc) = tokio::sync::oneshot::channel();
        let measuring = measure(&work, touch, snapshot.as_ref(), toc);
        let job_of_dump = job(argv);
        let filling = stream::fill(touch, &job_of_dump, sink, work.entry(), kind, work.server.size, Some(told));
        // The snapshot lasts as long as its transaction, which must outlive both.
        let (filled, evidence) = tokio::join!(filling, measuring);
        drop(snapshot);
        let dump_bytes;
        (sink, dump_bytes) = filled?;
        if let Some(argv) = &work.globals {
            (sink, _) = stream::fill(touch, &job(argv.clone()), sink, "globals.sql", Kind::Globals, None, None).await?;
        }
        let manifest = manifest(&work, touch, dump_bytes, started_at, evidence)?;
        let sealed = tokio::task::spawn_blocking(move || sink.seal(&manifest)).await;
        let sealed = sealed.map_err(|e| StepError::because("sealing", &e))??;
        let record = record(&work, touch, &sealed, dump_bytes, started_at);
        sealed.publish(touch, &record)?;
        Ok(Output {
            path: work.target.path().to_owned(),
            paths: work.target.paths().into_iter().map(str::to_owned).collect(),
            bytes: record.bytes,
            sha256: record.sha256,
            dump_bytes,
            server_version: work.server.version,
            seconds: (clock.elapsed().as_secs_f64() * 1000.0).round() / 1000.0,
        })
    }
}

/// What the snapshot holds, while it is dumped; a database that does not let itself be measured is dumped all the same.
async fn measure(
    work: &Work,
    touch: &Touch,
    snapshot: Option<&Snapshot>,
    toc: tokio::sync::oneshot::Receiver<Toc>,
) -> Option<Evidence> {
    let snapshot = snapshot?;
    let measured = async {
        match work.format {
            // A dump that never says what it holds has failed, and that is said elsewhere.
            Format::Custom => snapshot.measure(&toc.await.ok()?, work.depth).await.map(Some).transpose(),
            Format::Plain => snapshot.measure_picked(&work.picked, work.depth).await.transpose(),
        }
    };
    let measured = tokio::select! {
        measured = measured => measured?,
        _ = touch.cancel().cancelled() => return None,
    };
    measured.map_err(|e| touch.log().warn(format!("there is no evidence of what the dump holds: {e}"))).ok()
}

fn manifest(
    work: &Work,
    touch: &Touch,
    dump_bytes: u64,
    started_at: DateTime<Utc>,
    evidence: Option<Evidence>,
) -> Result<String, StepError> {
    let facts = touch.facts();
    let manifest = Manifest {
        schema_version: 1,
        plan: facts.plan.clone(),
        target: facts.target.clone(),
        run: facts.run.clone(),
        database: work.database.dbname.clone(),
        server_version: work.server.version.clone(),
        dump: work.entry().to_owned(),
        globals: work.globals.as_ref().map(|_| "globals.sql".to_owned()),
        dump_bytes,
        started_at,
        evidence,
    };
    serde_json::to_string(&manifest).map_err(|e| StepError::because("the manifest", &e))
}

fn record(work: &Work, touch: &Touch, sealed: &Sealed, dump_bytes: u64, started_at: DateTime<Utc>) -> Record {
    let facts = touch.facts();
    let (host, port) = (work.database.host.clone().unwrap_or_default(), work.database.port.unwrap_or(5432));
    let (encryption, compression) = match &work.target {
        Target::Archive(archive) => (archive.encryption.word(), archive.compression.word()),
        Target::File(_) => ("none", "none"),
    };
    Record {
        schema_version: archive::SCHEMA_VERSION,
        kind: Content::Dump,
        plan: facts.plan.clone(),
        target: facts.target.clone(),
        server: Some(Server { host, port, system_identifier: work.server.identifier.clone() }),
        database: work.database.dbname.clone(),
        machine: facts.host.clone(),
        run: facts.run.clone(),
        started_at,
        finished_at: Utc::now(),
        bytes: sealed.bytes,
        dump_bytes,
        sha256: sealed.sha256.clone(),
        format: Some(if work.format == Format::Custom { "custom" } else { "plain" }.to_owned()),
        encryption: encryption.to_owned(),
        compression: compression.to_owned(),
        server_version: Some(work.server.version.clone()),
        tool_version: env!("CARGO_PKG_VERSION").to_owned(),
    }
}
