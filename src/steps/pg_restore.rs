//! `pg_restore`: the dump of an archive into a database.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::postgres::{self, Settings};
use crate::proof::{self, Source, Target};
use crate::secret::Secret;
use crate::step::{Alters, Area, Check, Look, Preflight, Preview, Step, StepError, Touch};

/// Restores the dump of an archive into a database, and compares what is there with what was dumped.
///
/// The dump goes straight out of the archive into `pg_restore` or `psql`, which stop at the first error; nothing
/// unencrypted touches the disk, except where `jobs` or `format: directory` need it. The archive is read to its end before its first byte is handed on. It is a success only
/// when every table has the rows, and the checksum if there is one, that the manifest in the archive names.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Params {
    /// The archive.
    #[schemars(extend("x-runplan-path" = true))]
    archive: String,
    /// Its password, when it has one.
    #[serde(default)]
    password: Option<Secret>,
    /// Whether the database is made first.
    #[serde(default)]
    create: bool,
    /// Whether the database may hold something already.
    #[serde(default)]
    non_empty: bool,
    /// Whether owners and rights are left out, so that everything belongs to who restores.
    #[serde(default)]
    no_owner: bool,
    /// The tables to restore, exactly as stored and with `schema.` before the name where it is needed; without any, all of
    /// the dump. Of a table come its definition and its rows, as `pg_restore --table` takes them: no indexes, constraints
    /// and triggers, and nothing that it depends on, like its schema. Not of a dump in SQL.
    #[serde(default)]
    tables: Vec<String>,
    /// Leave tablespaces out: everything goes into the usual one. Default: false.
    #[serde(default)]
    no_tablespaces: bool,
    /// With `create`: the locale of the new database, like `C` or `de_DE.utf8`. Default: that of the dumped database.
    #[serde(default)]
    locale: Option<String>,
    /// The `pg_restore` to use, or the `psql` for a dump of `format: plain`. Default: the one that fits the dump and the
    /// server, from the distribution's folders or `PATH`.
    #[serde(default)]
    program: Option<String>,
    /// How many connections restore at a time. With more than one, and always for a dump of `format: directory`, the dump
    /// is first laid out unencrypted in a private folder of the system's temporary folder (TMPDIR), which needs room for
    /// all of it and is removed whatever happens.
    #[serde(default = "proof::one")]
    #[schemars(range(min = 1, max = 64))]
    jobs: u8,
    /// The database to restore into; what is left out is the plan's.
    #[serde(default)]
    database: Settings,
}

/// What was restored.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Output {
    /// How many tables were compared.
    tables: u64,
    /// How many rows these have.
    rows: u64,
    /// How many relations, functions and types are in the database.
    objects: u64,
    /// How long it took, in seconds to the millisecond.
    seconds: f64,
    /// Whether the archive says what was dumped, so that there was something to compare with.
    compared: bool,
}

/// Everything decided.
#[derive(Debug)]
pub struct Work {
    archive: PathBuf,
    password: Option<Secret>,
    tables: Vec<String>,
    target: Target,
}

/// The executor.
pub struct PgRestore;

impl Step for PgRestore {
    const NAME: &'static str = "pg_restore";
    const NEEDS_DBNAME: bool = true;
    const ALTERS: Alters = Alters::Anything;
    const EXAMPLE: &'static str = "archive: ${{ steps.dump.outputs.path }}\npassword: ${{ secrets.zip_password }}\ndatabase: { dbname: restored }\ncreate: true\n";
    type Params = Params;
    type Output = Output;
    type Work = Work;

    async fn preflight(params: Params, look: &Look) -> Preflight {
        let checks = match params.database.resolve(&look.env) {
            Ok(database) => {
                let into = if params.create { proof::Into::Made } else { proof::Into::There };
                proof::foresee(look, &database, into, false).await
            }
            Err(error) => vec![Check::problem(Area::Server, error.to_string())],
        };
        checks.into()
    }

    async fn plan(params: Params, look: &Look) -> Result<Work, StepError> {
        let archive = proof::there(look, &params.archive)?;
        let database = params.database.resolve(&look.env).map_err(|e| StepError::new(e.to_string()))?;
        let Params { password, create, non_empty, no_owner, jobs, no_tablespaces, locale, program, tables, .. } =
            params;
        let confinement = None;
        let target = Target {
            database,
            create,
            temporary: false,
            non_empty,
            no_owner,
            jobs,
            no_tablespaces,
            locale,
            program,
            for_check: false,
            confinement,
        };
        Ok(Work { archive, password, tables, target })
    }

    fn preview(work: &Work) -> Preview {
        let mut lines = vec![format!("restores `{}` into {}", work.archive.display(), work.target.database.place())];
        if !work.tables.is_empty() {
            lines.push(format!("only the tables {}", work.tables.join(", ")));
        }
        if work.target.create {
            lines.push("makes the database first".to_owned());
        }
        if work.target.jobs > 1 {
            lines.push(format!("over {} connections, laid out in the temporary folder first", work.target.jobs));
        }
        if work.target.non_empty {
            lines.push("although there may be something in it".to_owned());
        }
        Preview::new(lines)
    }

    async fn apply(work: Work, touch: &Touch) -> Result<Output, StepError> {
        let password = work.password.as_ref().map(|p| touch.open(p));
        let source = Source::open(touch, &work.archive, password).await;
        let source = source.map_err(|e| e.with_password_origin(work.password.as_ref()))?.only(&work.tables)?;
        // A database that is yet to be made has nobody to exclude.
        let _hold = match work.target.create {
            true => None,
            false => Some(postgres::hold(touch, &work.target.database).await.map_err(proof::name_create)?),
        };
        let restored = proof::restore(touch, &source, &work.target).await?;
        touch
            .log()
            .info(format!("{} tables with {} rows are there, as they were dumped", restored.tables, restored.rows));
        let proof::Restored { tables, rows, objects, seconds, compared } = restored;
        Ok(Output { tables, rows, objects, seconds, compared })
    }
}
