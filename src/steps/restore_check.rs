//! `restore_check`: a restore of an archive for no other end than to see that it works.

use std::path::PathBuf;

use chrono::{DateTime, Local, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::files;
use crate::postgres::{self, NewDatabase, Settings};
use crate::proof::{self, Cluster, Restored, Source, Target};
use crate::quantity::Span;
use crate::secret::Secret;
use crate::step::{Area, Check, Class, Look, Preflight, Preview, Probe, Step, StepError, Touch};
use crate::value::Value;

/// Test an archive: restore it and compare the result with what was dumped.
///
/// The step succeeds only when every table has the rows, and the checksum if there is one, that the manifest in the
/// archive names. A cluster or database that it created is removed afterwards, also when the step fails.
///
/// A restore runs code that owners of objects in the dump wrote: constraints, defaults, index expressions, generated
/// columns, casts. By default it runs in its own cluster on this machine, confined by `bubblewrap` where that is
/// installed.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Params {
    /// Path of the archive, or of a copy of it.
    #[schemars(extend("x-runplan-path" = true))]
    archive: String,
    /// Password of the archive. Not needed for an archive without encryption.
    #[serde(default)]
    password: Option<Secret>,
    /// Where to restore it.
    #[serde(default)]
    into: Into,
    /// Skip the check when this plan, target and database passed one less than this long ago, like `7d`. Default: check
    /// in every run.
    #[serde(default)]
    every: Option<Span>,
    /// Allow a restore on a server (`scratch`, `database`) by a superuser, a member of another role, or another role that could
    /// harm the server.
    /// Set it only if you trust everyone who may create objects in the dumped database.
    #[serde(default)]
    trust_source: bool,
    /// Number of connections that restore at the same time. Default: in a cluster one per processor if there is room,
    /// otherwise 1. With more than one, and always for a dump of `format: directory`, the dump is first unpacked
    /// unencrypted into a private folder below TMPDIR, which needs room for all of it and is always removed afterwards.
    #[serde(default)]
    #[schemars(range(min = 1, max = 64))]
    jobs: Option<u8>,
    /// Connection settings of the server (`scratch`) or the database (`database`). They override those of the plan.
    #[serde(default)]
    database: Settings,
}

/// Where an archive is restored for a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Into {
    /// A temporary cluster on this machine, removed afterwards. Needs the server programs of PostgreSQL.
    #[default]
    Cluster,
    /// A temporary database on the server, dropped afterwards. Refused for roles that could harm the server.
    Scratch,
    /// The named database. It must be empty, and the restored objects stay in it. Refused for the same roles as
    /// `scratch`.
    Database,
}

/// Result of the step.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Output {
    /// Whether a check was made. It is false when none was due.
    checked: bool,
    /// Number of tables that were compared.
    tables: u64,
    /// Number of rows in these tables.
    rows: u64,
    /// Number of relations, functions and types that were restored.
    objects: u64,
    /// Duration in seconds, to the millisecond.
    seconds: f64,
}

/// Everything decided.
#[derive(Debug)]
pub struct Work {
    archive: PathBuf,
    password: Option<Secret>,
    into: Into,
    trust_source: bool,
    jobs: Option<u8>,
    database: Settings,
    /// Why none is due.
    skipped: Option<String>,
    /// Where it is noted that a check was passed.
    note: PathBuf,
}

/// The executor.
pub struct RestoreCheck;

impl Step for RestoreCheck {
    const NAME: &'static str = "restore_check";
    const EXAMPLE: &'static str =
        "archive: ${{ steps.dump.outputs.path }}\npassword: ${{ secrets.zip_password }}\nevery: 7d\n";
    const PUBLISHES: bool = true;
    type Params = Params;
    type Output = Output;
    type Work = Work;

    async fn preflight(params: Params, look: &Look) -> Preflight {
        let must = !params.trust_source;
        let checks = match (params.database.resolve(&look.env), params.into) {
            (Ok(database), Into::Scratch) => proof::foresee(look, &database, proof::Into::Scratch, must).await,
            (Ok(database), Into::Database) => proof::foresee(look, &database, proof::Into::There, must).await,
            (Ok(database), Into::Cluster) => proof::foresee_cluster(look, &database).await,
            (Err(error), _) => vec![Check::problem(Area::Server, error.to_string())],
        };
        checks.into()
    }

    async fn probe(params: Params, probe: &Probe) -> Vec<Check> {
        match params.into {
            Into::Cluster => proof::probe_confinement(probe).await,
            Into::Scratch | Into::Database => Vec::new(),
        }
    }

    async fn plan(params: Params, look: &Look) -> Result<Work, StepError> {
        let archive = proof::there(look, &params.archive)?;
        let database = params.database.resolve(&look.env).map_err(|e| StepError::new(e.to_string()))?;
        let note = note(look);
        let last = files::read_small(look, &note, 1024).ok().and_then(|t| String::from_utf8(t).ok());
        let last = last.and_then(|t| DateTime::parse_from_rfc3339(t.trim()).ok());
        let skipped = params.every.zip(last).and_then(|(every, last)| {
            let age = look.now.signed_duration_since(last).to_std().unwrap_or_default();
            let when = last.with_timezone(&Local).format("%Y-%m-%d %H:%M");
            (age < every.0).then(|| format!("the last check was passed at {when}, and one is due after {every}"))
        });
        let Params { password, into, trust_source, jobs, .. } = params;
        Ok(Work { archive, password, into, trust_source, jobs, database, skipped, note })
    }

    fn preview(work: &Work) -> Preview {
        if let Some(why) = &work.skipped {
            return Preview::new([format!("nothing: {why}")]).known("checked", Value::Bool(false));
        }
        let into = match work.into {
            Into::Scratch => "a database of its own, dropped afterwards".to_owned(),
            Into::Database => work.database.place(),
            Into::Cluster => "a cluster of its own on this machine, removed afterwards".to_owned(),
        };
        Preview::new([
            format!("restores `{}` into {into}", work.archive.display()),
            "compares it with what was dumped".to_owned(),
        ])
        .known("checked", Value::Bool(true))
    }

    async fn apply(work: Work, touch: &Touch) -> Result<Output, StepError> {
        if work.skipped.is_some() {
            return Ok(Output { checked: false, tables: 0, rows: 0, objects: 0, seconds: 0.0 });
        }
        if work.into != Into::Cluster && !work.trust_source {
            proof::require_ordinary_role_on(touch, &work.database).await?;
        }
        let password = work.password.as_ref().map(|p| touch.open(p));
        let source = Source::open(touch, &work.archive, password).await;
        let source = source.map_err(|e| e.with_password_origin(work.password.as_ref()))?;
        let restored = match work.into {
            Into::Database => into(touch, &source, there(&work, work.database.clone())).await,
            Into::Scratch => scratch(touch, &source, &work).await,
            Into::Cluster => cluster(touch, &source, work.jobs).await,
        }?;
        if !restored.compared {
            return Err(StepError::new("the archive does not say what was dumped, so the restore proves nothing")
                .hint("archives made by the step `pg_dump` say it, unless the server could not be measured"));
        }
        touch.log().info(format!(
            "{} tables with {} rows were restored in {:.1} s and are what was dumped",
            restored.tables, restored.rows, restored.seconds
        ));
        let passed = Utc::now().to_rfc3339();
        if let Err(error) = files::replace(touch, &work.note, passed.as_bytes()) {
            touch
                .log()
                .warn(format!("it cannot be noted that the check was passed, so the next run checks again: {error}"));
        }
        let Restored { tables, rows, objects, seconds, .. } = restored;
        Ok(Output { checked: true, tables, rows, objects, seconds })
    }
}

/// Where it is noted when the last check of this plan, target and database was passed.
fn note(look: &Look) -> PathBuf {
    let facts = &look.facts;
    let part = |text: Option<&String>| text.map_or("-", String::as_str).to_owned();
    let key = format!("{}|{}|{}", facts.plan, part(facts.target.as_ref()), part(facts.database.as_ref()));
    files::state_dir(&look.env).join("checks").join(files::name_of_key(&key))
}

async fn into(touch: &Touch, source: &Source, target: Target) -> Result<Restored, StepError> {
    proof::restore(touch, source, &target).await
}

fn target(database: Settings, jobs: u8) -> Target {
    Target {
        database,
        create: false,
        temporary: false,
        non_empty: false,
        no_owner: false,
        jobs,
        no_tablespaces: true,
        locale: None,
        program: None,
        for_check: true,
        trust_source: false,
        confinement: None,
    }
}

/// A database of a server that is not ours.
fn there(work: &Work, database: Settings) -> Target {
    Target { trust_source: work.trust_source, ..target(database, work.jobs.unwrap_or(1)) }
}

/// A database that is there for a check, of the same kind as the dumped one.
fn of_its_kind(source: &Source) -> NewDatabase<'_> {
    NewDatabase { properties: source.properties(), for_check: true, no_tablespaces: true }
}

/// In a database of the server, made for it. What cannot be dropped is said.
async fn scratch(touch: &Touch, source: &Source, work: &Work) -> Result<Restored, StepError> {
    let facts = touch.facts();
    // Several targets of a run may have their scratch databases on one server.
    let own = facts.target.as_ref().map(|t| format!("_{}", &files::name_of_key(t)[..8])).unwrap_or_default();
    let name = format!("runplan_check_{}{own}", facts.run.to_lowercase().replace('-', "_"));
    let database = Settings { dbname: Some(name.clone()), ..work.database.clone() };
    postgres::create_database(touch, &database, of_its_kind(source)).await?;
    let result = into(touch, source, Target { temporary: true, ..there(work, database.clone()) }).await;
    if let Err(error) = postgres::drop_database(touch, &database).await {
        touch.log().warn(format!("the database `{name}` stays, and is to be dropped by hand: {error}"));
    }
    result
}

/// In a cluster of its own, as its superuser; owners are made as they are needed.
async fn cluster(touch: &Touch, source: &Source, jobs: Option<u8>) -> Result<Restored, StepError> {
    let cluster = Cluster::start(touch, source.server_major()?, jobs).await?;
    let result = async {
        source.create_roles(touch, &cluster.settings("postgres")).await?;
        let several = jobs.unwrap_or_else(|| if source.takes_jobs() { cluster.jobs(source.dump_bytes()) } else { 1 });
        let error = match into_cluster(touch, source, &cluster, "runplan_check", several).await {
            Err(error) if jobs.is_none() && several > 1 && error.class != Class::Cancelled => error,
            done => return done,
        };
        // Nobody asked for several connections. A custom dump that was written to a pipe says nothing of where its rows
        // lie, and `pg_restore --jobs` then orders some entries differently from a restore over one connection.
        touch.log().warn(format!("the restore over {several} connections failed, and is repeated over one: {error}"));
        into_cluster(touch, source, &cluster, "runplan_check_again", 1).await
    };
    let result = result.await;
    cluster.stop().await;
    result
}

/// Into a new database of a cluster, over so many connections.
async fn into_cluster(
    touch: &Touch,
    source: &Source,
    cluster: &Cluster,
    name: &str,
    jobs: u8,
) -> Result<Restored, StepError> {
    let database = cluster.settings(name);
    postgres::create_database(touch, &database, of_its_kind(source)).await?;
    if let Some(properties) = source.properties().filter(|_| source.is_sql()) {
        postgres::create_tablespaces(touch, &database, &properties.tablespaces).await?;
    }
    let confinement = Some(cluster.confinement().clone());
    into(touch, source, Target { confinement, temporary: true, ..target(database, jobs) }).await
}
