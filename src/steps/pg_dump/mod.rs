//! `pg_dump`: a dump into an encrypted archive, or a bare file.

mod account;
mod decide;
mod folder;
mod manner;
mod measure;
mod options;
mod preflight;
mod rights;
mod room;
mod stream;
mod target;

use chrono::Utc;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use tokio_postgres::Client;

use crate::archive;
use crate::dump::toc::Toc;
use crate::dump::{FOLDER, TOC};
use crate::files::Spool;
use crate::postgres::Settings;
use crate::postgres::evidence::Evidence;
use crate::process::{self, Job};
use crate::quantity::{Rate, Span};
use crate::step::{Check, Class, Fault, Look, Preflight, Preview, Probe, Step, StepError, Touch, Upcoming};
use crate::value::Value;
use manner::Manner;
use measure::{Depth, Picked, Snapshot};
use stream::{Kind, Sink, Wanted};
use target::Target;

/// Dumps a database into an encrypted archive.
///
/// The dump goes straight from the standard output of `pg_dump` into the archive: no temporary file, nothing unencrypted
/// on disk (`format: directory` excepted). The archive gets its name only when `pg_dump` ended well and every byte was read back. Beside it lies its
/// record, `<archive>.json`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Params {
    /// The `pg_dump` to use; otherwise the one of the server's own major version, else the nearest newer one.
    #[serde(default)]
    #[schemars(extend("x-runplan-path" = "program"))]
    program: Option<String>,
    /// What `pg_dump` writes.
    #[serde(default)]
    format: Format,
    /// How many tables are dumped at a time, each over a connection of its own; for `format: directory`.
    #[serde(default)]
    #[schemars(range(min = 1, max = 64))]
    jobs: Option<u8>,
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
    /// How far `pg_dump` and our own threads step back for other programs: the nice value, from 0 to 19.
    #[serde(default)]
    #[schemars(range(min = 0, max = 19))]
    nice: Option<u8>,
    /// The most bytes in a second that are taken from `pg_dump`, like `50MB/s`; the server is then read no faster. Its
    /// snapshot and locks last as much longer. Not for `format: directory`, whose files nobody holds back.
    #[serde(default)]
    max_rate: Option<Rate>,
    /// More arguments for `pg_dump`, passed on as they are; not those that say what is dumped from where to where, which
    /// are parameters.
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
    /// For `pg_restore`, a file for each table, several tables at a time (`jobs`). The files pass through a folder beside
    /// the archive, where they have no name and are unencrypted until they are packed: it needs room for what waits there.
    /// One table is never dumped by two, so a database that is one large table gains nothing. On Linux only.
    Directory,
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

impl Format {
    fn word(self) -> &'static str {
        match self {
            Self::Custom => "custom",
            Self::Plain => "plain",
            Self::Directory => "directory",
        }
    }
}

/// Everything decided.
#[derive(Debug)]
pub struct Work {
    argv: Vec<String>,
    /// Whether the place of the program says its version, which was gone by.
    placed: bool,
    /// How `pg_dumpall` is run, when roles and tablespaces go along.
    globals: Option<Vec<String>>,
    format: Format,
    target: Target,
    database: Settings,
    /// The session that asked, whose next transaction is the snapshot.
    session: Option<Client>,
    server: decide::Facts,
    /// About how many bytes there will be: as many as the last time, else as the database has on the server's disk.
    total: Option<u64>,
    depth: Depth,
    picked: Picked,
    manner: Manner,
}

impl Work {
    /// The name of the dump in the archive.
    fn entry(&self) -> String {
        match self.format {
            Format::Custom => "database.dump".to_owned(),
            Format::Plain => "database.sql".to_owned(),
            Format::Directory => format!("{FOLDER}{TOC}"),
        }
    }
}

/// The executor.
pub struct PgDump;

impl Step for PgDump {
    const NAME: &'static str = "pg_dump";
    const EXAMPLE: &'static str =
        "archive:\n  path: backups/app-${{ run.id }}.zip\n  password: ${{ secrets.zip_password }}\n";
    const PUBLISHES: bool = true;
    const NEEDS_DBNAME: bool = true;
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
        let directory = params.get("format") == Some(&Json::from("directory"));
        if directory {
            if has("max_rate") {
                faults.push(fault("/max_rate", "`max_rate` holds a pipe back, and `format: directory` has none"));
            }
            if has("file") {
                faults.push(fault("/format", "`format: directory` needs an `archive`: a bare file holds one dump"));
            }
        } else if has("jobs") && !params.get("format").and_then(Json::as_str).is_some_and(|f| f.contains("${{")) {
            faults.push(fault(
                "/jobs",
                "`jobs` needs `format: directory`: only there several tables are dumped at a time",
            ));
        }
        faults.extend(archive::Settings::faults(params));
        let extra = params.get("extra_args").and_then(Json::as_array).into_iter().flatten();
        // What a template gives is known when the run begins.
        let extra: Vec<Option<&str>> = extra.map(|a| a.as_str().filter(|text| !text.contains("${{"))).collect();
        for (at, option, why) in options::owned(&extra, directory) {
            let fault = fault(&format!("/extra_args/{at}"), &format!("`{option}` is not for `extra_args`: {why}"));
            faults.push(Fault { at_key: false, ..fault });
        }
        faults
    }

    async fn preflight(params: Params, look: &Look) -> Preflight {
        preflight::preflight(params, look).await
    }

    async fn probe(params: Params, probe: &Probe) -> Vec<Check> {
        preflight::probe(params, probe).await
    }

    fn stands(outputs: &Json, look: &Look) -> Result<(), StepError> {
        archive::stand(look, outputs, true)
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
        lines.extend(work.manner.nice.map(|nice| format!("with the nice value {nice}")));
        lines.extend(work.manner.rate.map(|rate| format!("at most {rate}")));
        let paths = work.target.paths();
        let version = Value::from(work.server.version.as_str());
        let mut preview = Preview::new(lines)
            .known("path", Value::from(work.target.path()))
            .known("paths", Value::List(paths.iter().map(|p| Value::from(*p)).collect()))
            .known("server_version", version);
        let (archive, database) = (work.target.path(), &work.database.dbname);
        let upcoming = |path: &str| Upcoming {
            path: path.into(),
            archive: archive.into(),
            database: database.clone(),
            bytes: None,
        };
        preview.archives.extend(paths.into_iter().map(upcoming));
        preview
    }

    async fn apply(mut work: Work, touch: &Touch) -> Result<Output, StepError> {
        let clock = std::time::Instant::now();
        let started_at = Utc::now();
        let session = work.session.take();
        let (fits, snapshot) =
            tokio::join!(decide::fits(touch, &work), Snapshot::export(touch, &work.database, session));
        fits?;
        let mut sink = match &work.target {
            Target::Archive(settings) => {
                let (own, settings) = (touch.again(), settings.clone());
                let create = move || archive::Writer::create(&own, &settings);
                Sink::Zip(process::nice::work(work.manner.nice, create).await??)
            }
            Target::File(path) => Sink::Bare(archive::Bare::create(touch, path.as_ref())?),
        };
        let (env, manner) = (work.database.child_env(&touch.look().env), work.manner);
        let job = |argv: Vec<String>| Job { argv, env: env.clone(), nice: manner.nice, ..Job::default() };
        let snapshot = match snapshot {
            Ok(snapshot) => Some(snapshot),
            Err(error) if error.class == Class::Cancelled => return Err(error),
            Err(error) => {
                touch.log().warn(format!("the dump is made without evidence of what it holds: {error}"));
                None
            }
        };
        let mut argv = work.argv.clone();
        argv.splice(1..1, snapshot.iter().map(|s| format!("--snapshot={}", s.id)));
        let (told, toc) = tokio::sync::oneshot::channel();
        let measuring = measure(&work, touch, snapshot.as_ref(), toc);
        let job_of_dump = job(argv);
        let total = work.total;
        let (dump_bytes, evidence);
        // The snapshot lasts as long as its transaction, which must outlive both.
        if work.format == Format::Directory {
            let (filled, measured) = tokio::join!(fill_folder(&work, touch, job_of_dump, sink), measuring);
            let folder = filled?;
            evidence = settle(&work, touch, snapshot.as_ref(), measured, folder.toc.as_ref()).await;
            (sink, dump_bytes) = (folder.sink, folder.bytes);
        } else {
            let kind = if work.format == Format::Custom { Kind::Custom } else { Kind::Plain };
            let wanted = Wanted { name: work.entry(), kind, total, told: Some(told), manner };
            let filling = stream::fill(touch, &job_of_dump, sink, wanted);
            let (filled, measured) = tokio::join!(filling, measuring);
            (sink, dump_bytes) = filled?;
            evidence = measured;
        }
        drop(snapshot);
        if let Some(argv) = &work.globals {
            let name = "globals.sql".to_owned();
            let wanted = Wanted { name, kind: Kind::Globals, total: None, told: None, manner };
            (sink, _) = stream::fill(touch, &job(argv.clone()), sink, wanted).await?;
        }
        let manifest = account::manifest(&work, touch, dump_bytes, started_at, evidence)?;
        let sealed = process::nice::work(manner.nice, move || sink.seal(&manifest)).await??;
        let record = account::record(&work, touch, &sealed, dump_bytes, started_at);
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
            Format::Plain | Format::Directory => snapshot.measure_picked(&work.picked, work.depth).await.transpose(),
        }
    };
    let measured = tokio::select! {
        measured = measured => measured?,
        _ = touch.cancel().cancelled() => return None,
    };
    measured.map_err(|e| touch.log().warn(format!("there is no evidence of what the dump holds: {e}"))).ok()
}

/// Dumps into a folder beside the archive.
async fn fill_folder(work: &Work, touch: &Touch, job: Job, sink: Sink) -> Result<folder::Folder, StepError> {
    let place = work.target.path();
    let spool = Spool::beside(touch, place.as_ref());
    let spool = spool.map_err(|e| StepError::because(format!("making the folder `{place}.spool`"), &e))?;
    let job = Job { chatter: Some(folder::chatter), ..job };
    folder::fill(touch, &job, sink, spool, work.total).await
}

/// What the dump holds, after it has said that itself.
async fn settle(
    work: &Work,
    touch: &Touch,
    snapshot: Option<&Snapshot>,
    measured: Option<Evidence>,
    toc: Option<&Toc>,
) -> Option<Evidence> {
    let (Some(snapshot), Some(toc)) = (snapshot, toc) else { return measured };
    let settled = tokio::select! {
        settled = snapshot.settle(measured, toc, work.depth) => settled,
        _ = touch.cancel().cancelled() => return None,
    };
    settled.map_err(|e| touch.log().warn(format!("there is no evidence of what the dump holds: {e}"))).ok()
}
