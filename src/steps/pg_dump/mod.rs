//! `pg_dump`: a dump into an encrypted archive, or a bare file.

mod account;
mod cross_check;
mod decide;
mod folder;
mod manner;
mod measure;
mod members;
mod options;
mod preflight;
mod rights;
mod room;
mod session;
mod stream;
mod target;

use chrono::Utc;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use crate::archive;
use crate::dump::contents::Contents;
use crate::dump::rows::Hashing;
use crate::dump::{FOLDER, TOC};
use crate::files::Spool;
use crate::postgres::Settings;
use crate::process::{self, Job};
use crate::quantity::{Rate, Span};
use crate::step::{Check, Class, Fault, Look, Preflight, Preview, Probe, Step, StepError, Touch, Upcoming};
use crate::value::Value;
use cross_check::Snapshot;
use manner::Manner;
use measure::Depth;
use stream::{Kind, Sink, Wanted};
use target::Target;

/// Dump a database into an encrypted archive.
///
/// The output of `pg_dump` goes directly into the archive, without a temporary file, so nothing unencrypted is written
/// to the disk (except with `format: directory`). The archive gets its name only after `pg_dump` succeeded and every
/// byte was read back. Its record is beside it, as `<archive>.json`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Params {
    /// Path or name of `pg_dump`. Default: the one of the server's major version, else the nearest newer one.
    #[serde(default)]
    #[schemars(extend("x-runplan-path" = "program"))]
    program: Option<String>,
    /// Format of the dump.
    #[serde(default)]
    format: Format,
    /// Number of tables that are dumped at the same time, each over its own connection. Only for `format: directory`.
    #[serde(default)]
    #[schemars(range(min = 1, max = 64))]
    jobs: Option<u8>,
    /// Archive to write. Give `archive` or `file`.
    #[serde(default)]
    archive: Option<archive::Settings>,
    /// File to write instead of an archive: the dump as `pg_dump` writes it, neither compressed nor encrypted.
    #[serde(default)]
    #[schemars(extend("x-runplan-path" = true))]
    file: Option<String>,
    /// Dump only these schemas. Patterns as in `pg_dump --schema`; each must match something.
    #[serde(default)]
    schemas: Vec<String>,
    /// Dump only these tables. Patterns as in `pg_dump --table`; each must match something.
    #[serde(default)]
    tables: Vec<String>,
    /// Leave these tables out. Patterns as in `pg_dump --exclude-table`.
    #[serde(default)]
    exclude_tables: Vec<String>,
    /// Dump the definition of these tables without their rows. Patterns as in `pg_dump --exclude-table-data`.
    #[serde(default)]
    exclude_table_data: Vec<String>,
    /// Add the roles and tablespaces of the server to the archive, as `globals.sql`. Passwords of roles are included if
    /// the role of the dump may read them.
    #[serde(default)]
    globals: bool,
    /// What the manifest in the archive says of each table: the number of rows and a checksum, or only the number of
    /// rows.
    #[serde(default)]
    evidence: Depth,
    /// Also count the rows of each ordinary table by a query in the snapshot of the dump, for those who do not want to
    /// trust `pg_dump` alone. Every table is then read once more. A difference fails the step; a table that cannot be
    /// counted is a warning.
    #[serde(default)]
    cross_check: bool,
    /// Accept a dump that defines no table, partitioned table or foreign table and contains no rows. By default the
    /// step then fails and writes no archive.
    #[serde(default)]
    allow_empty: bool,
    /// Maximum time to wait for the locks of all tables.
    #[serde(default = "a_minute")]
    lock_wait_timeout: Span,
    /// Lower the priority of `pg_dump` and of runplan's own threads: the nice value, from 0 to 19 (the lowest
    /// priority).
    #[serde(default)]
    #[schemars(range(min = 0, max = 19))]
    nice: Option<u8>,
    /// Maximum rate at which the output of `pg_dump` is read, in bytes per second, like `50MB/s`. The server is then
    /// read no faster, and the snapshot and locks last longer. Not for `format: directory`.
    #[serde(default)]
    max_rate: Option<Rate>,
    /// More arguments for `pg_dump`, passed on unchanged, like `[--no-comments]`. Arguments that set the connection,
    /// the output or the format are refused; use the parameters instead.
    #[serde(default)]
    extra_args: Vec<String>,
    /// Connection settings. They override those of the plan.
    #[serde(default)]
    database: Settings,
}

fn a_minute() -> Span {
    Span(std::time::Duration::from_secs(60))
}

/// Format of the dump.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// One file for `pg_restore`. `pg_dump` does not compress it, because the archive does.
    #[default]
    Custom,
    /// SQL for `psql`.
    Plain,
    /// One file per table, for `pg_restore`; `jobs` tables are dumped at the same time. The files wait unencrypted in a
    /// folder beside the archive until they are packed, each without a name, so the folder needs room for them. One
    /// table is never dumped by two connections, so a database with one large table gains nothing. Linux only.
    Directory,
}

/// Result of the step.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Output {
    /// Path of the archive, or of the dump file.
    path: String,
    /// All paths that were written, `path` first.
    paths: Vec<String>,
    /// Size in bytes.
    bytes: u64,
    /// SHA-256, in hexadecimal.
    sha256: String,
    /// Size of the dump before compression, in bytes.
    dump_bytes: u64,
    /// Version of the server.
    server_version: String,
    /// Duration in seconds, to the millisecond.
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
    server: decide::Facts,
    /// About how many bytes there will be: as many as the last time, else as the database has on the server's disk.
    total: Option<u64>,
    measuring: Measuring,
    manner: Manner,
}

/// How the dump is measured.
#[derive(Debug)]
struct Measuring {
    depth: Depth,
    /// Settings of its session, for the manifest.
    session: std::collections::BTreeMap<String, String>,
    cross_check: bool,
    allow_empty: bool,
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

    async fn apply(work: Work, touch: &Touch) -> Result<Output, StepError> {
        let clock = std::time::Instant::now();
        let started_at = Utc::now();
        let (fits, snapshot) = tokio::join!(decide::fits(touch, &work), snapshot(&work, touch));
        fits?;
        let snapshot = snapshot?;
        let mut sink = match &work.target {
            Target::Archive(settings) => {
                let (own, settings) = (touch.again(), settings.clone());
                let create = move || archive::Writer::create(&own, &settings);
                Sink::Zip(process::nice::work(work.manner.nice, create).await??)
            }
            Target::File(path) => Sink::Bare(archive::Bare::create(touch, path.as_ref())?),
        };
        let (env, manner) = (work.database.child_env(&touch.look().env), work.manner);
        let job = |argv: Vec<String>, env| Job { argv, env, nice: manner.nice, ..Job::default() };
        let mut argv = work.argv.clone();
        argv.splice(1..1, snapshot.iter().map(|s| format!("--snapshot={}", s.id)));
        let hashing = Hashing { seed: session::seed()?, on: work.measuring.depth == Depth::Checksums };
        let job_of_dump = job(argv, session::environment(env.clone()));
        let total = work.total;
        let filled = if work.format == Format::Directory {
            fill_folder(&work, touch, job_of_dump, sink, hashing).await?
        } else {
            let kind = if work.format == Format::Custom { Kind::Custom } else { Kind::Plain };
            let wanted = Wanted { name: work.entry(), kind, total, hashing, manner };
            stream::fill(touch, &job_of_dump, sink, wanted).await?
        };
        let (dump_bytes, contents) = (filled.bytes, filled.contents);
        sink = filled.sink;
        check_contents(&work, touch, contents.as_ref(), snapshot).await?;
        if let Some(argv) = &work.globals {
            let name = "globals.sql".to_owned();
            let wanted = Wanted { name, kind: Kind::Globals, total: None, hashing, manner };
            sink = stream::fill(touch, &job(argv.clone(), env), sink, wanted).await?.sink;
        }
        let manifest = account::manifest(&work, touch, dump_bytes, started_at, contents.map(|c| c.evidence))?;
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

/// The snapshot that is dumped and counted again, when that is asked for; otherwise `pg_dump` takes its own.
async fn snapshot(work: &Work, touch: &Touch) -> Result<Option<Snapshot>, StepError> {
    if !work.measuring.cross_check {
        return Ok(None);
    }
    match Snapshot::export(touch, &work.database).await {
        Ok(snapshot) => Ok(Some(snapshot)),
        Err(error) if error.class == Class::Cancelled => Err(error),
        Err(error) => {
            touch.log().warn(format!("the dump is made without `cross_check`: {error}"));
            Ok(None)
        }
    }
}

/// Dumps into a folder beside the archive.
async fn fill_folder(
    work: &Work,
    touch: &Touch,
    job: Job,
    sink: Sink,
    hashing: Hashing,
) -> Result<stream::Filled, StepError> {
    let place = work.target.path();
    let spool = Spool::beside(touch, place.as_ref());
    let spool = spool.map_err(|e| StepError::because(format!("making the folder `{place}.spool`"), &e))?;
    let job = Job { chatter: Some(folder::chatter), ..job };
    folder::fill(touch, &job, sink, spool, folder::Wanted { total: work.total, hashing }).await
}

/// Whether the dump holds what it should; nothing is published otherwise.
async fn check_contents(
    work: &Work,
    touch: &Touch,
    contents: Option<&Contents>,
    snapshot: Option<Snapshot>,
) -> Result<(), StepError> {
    // One that is not understood was warned of.
    let Some(contents) = contents else { return Ok(()) };
    if contents.tables == 0 && !work.measuring.allow_empty {
        let what = format!("the dump of {} has no tables, so no archive is made", work.database.place());
        return Err(StepError::new(what).hint(
            "check `dbname`, `schemas` and `tables`; write `allow_empty: true` if a dump without tables is wanted",
        ));
    }
    if let Some(unmeasured) = contents.evidence.unmeasured() {
        touch.log().warn(format!("not measured: {unmeasured}"));
    }
    match snapshot {
        Some(snapshot) => cross_check::compare(touch, snapshot, &work.database, &contents.evidence).await,
        None => Ok(()),
    }
}
