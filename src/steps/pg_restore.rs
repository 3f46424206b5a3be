//! `pg_restore`: the dump of an archive into a database.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::postgres::{self, Settings};
use crate::proof::{self, Source, Target};
use crate::secret::Secret;
use crate::step::{Alters, Area, Check, Look, Preflight, Preview, Step, StepError, Touch};

/// Restore an archive into a database and compare the result with what was dumped.
///
/// The archive is read to its end and checked before the first byte is restored. The dump then goes directly into
/// `pg_restore` or `psql`, which stop at the first error. Nothing unencrypted is written to the disk, except where
/// `jobs` or `format: directory` need it. The step succeeds only when every table has the rows, and the checksum if
/// there is one, that the manifest in the archive names.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Params {
    /// Path of the archive.
    #[schemars(extend("x-runplan-path" = true))]
    archive: String,
    /// Password of the archive. Not needed for an archive without encryption.
    #[serde(default)]
    password: Option<Secret>,
    /// Create the database first.
    #[serde(default)]
    create: bool,
    /// Allow a database that is not empty.
    #[serde(default)]
    non_empty: bool,
    /// Do not restore owners and privileges: everything belongs to the role that restores.
    #[serde(default)]
    no_owner: bool,
    /// Restore only these tables, named exactly as stored, with `schema.` in front where it is needed. Each gets its
    /// definition and its rows, as with `pg_restore --table`, but no indexes, constraints or triggers, and nothing that
    /// it depends on, such as its schema. Not for a dump in SQL. Default: everything in the dump.
    #[serde(default)]
    tables: Vec<String>,
    /// Do not restore tablespaces: everything goes into the default one.
    #[serde(default)]
    no_tablespaces: bool,
    /// Locale of the new database, like `C` or `de_DE.utf8`. Only with `create`. Default: the locale of the dumped
    /// database.
    #[serde(default)]
    locale: Option<String>,
    /// Path or name of `pg_restore`, or of `psql` for a dump of `format: plain`. Default: the one that fits the dump
    /// and the server, from the folders of the distribution or `PATH`.
    #[serde(default)]
    program: Option<String>,
    /// Number of connections that restore at the same time. With more than one, and always for a dump of
    /// `format: directory`, the dump is first unpacked unencrypted into a private folder below TMPDIR, which needs room
    /// for all of it and is always removed afterwards.
    #[serde(default = "proof::one")]
    #[schemars(range(min = 1, max = 64))]
    jobs: u8,
    /// Connection settings of the database to restore into. They override those of the plan.
    #[serde(default)]
    database: Settings,
}

/// Result of the step.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Output {
    /// Number of tables that were compared.
    tables: u64,
    /// Number of rows in these tables.
    rows: u64,
    /// Number of relations, functions and types in the database.
    objects: u64,
    /// Duration in seconds, to the millisecond.
    seconds: f64,
    /// Whether the result was compared. It is false when the archive does not say what was dumped.
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
            trust_source: false,
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
