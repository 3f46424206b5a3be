//! `vacuum`: each table when the control table says that it is due.

mod names;
mod preflight;
mod rules;

use chrono::{Local, NaiveDate, NaiveDateTime};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio_postgres::Client;
use tokio_postgres::error::SqlState;

use crate::postgres::{self, Settings, escape_identifier};
use crate::quantity::{Size, Span};
use crate::step::{Alters, Class, Look, Preflight, Preview, Step, StepError, Touch};
use names::{Name, wanted};
use rules::{Action, Rules, decide};

/// Vacuums each table when a rule on the control table says that it is due.
///
/// By default a table without a record gets VACUUM (FULL, ANALYZE); fewer than 5 days after its last VACUUM nothing is
/// done, up to 10 days VACUUM, later VACUUM (FULL, ANALYZE). One table that fails does not stop the next; the step fails
/// at the end.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Params {
    /// Names exactly as stored, with `schema.` before the first dot if wanted; `*` and `?` are wildcards, and
    /// `{ schema, name }` names a table that itself has a dot or a star. An unqualified name means the search path. A
    /// partitioned table is named in full. Default: all ordinary tables but the control table.
    #[serde(default)]
    tables: Option<Vec<Name>>,
    /// Names or patterns to leave out.
    #[serde(default)]
    exclude: Vec<Name>,
    /// Whether VACUUM FULL may be used.
    #[serde(default = "yes")]
    full: bool,
    /// When what is due.
    #[serde(default)]
    rules: Rules,
    /// The table that keeps when each table was last vacuumed; created when missing.
    #[serde(default = "control")]
    control_table: String,
    /// How long to wait for a table's lock.
    #[serde(default = "five_seconds")]
    lock_timeout: Span,
    /// The database; what is left out is the plan's.
    #[serde(default)]
    database: Settings,
}

fn yes() -> bool {
    true
}

fn control() -> String {
    "controle_vacuum".to_owned()
}

fn five_seconds() -> Span {
    Span(std::time::Duration::from_secs(5))
}

/// What was done.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Output {
    /// Each table with its decision and figures.
    tables: Vec<Done>,
    /// How many were vacuumed.
    vacuumed: u32,
    /// How many were not due.
    skipped: u32,
    /// How many failed.
    failed: u32,
}

/// One table.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Done {
    name: String,
    action: Action,
    reason: String,
    days: Option<i64>,
    seconds: f64,
    bytes_before: i64,
    bytes_after: i64,
}

/// One table, decided.
#[derive(Debug)]
struct Table {
    schema: String,
    name: String,
    action: Action,
    reason: String,
    days: Option<i64>,
}

impl Table {
    /// The name that people and the control table use: bare in schema `public`.
    fn shown(&self) -> String {
        if self.schema == "public" { self.name.clone() } else { format!("{}.{}", self.schema, self.name) }
    }

    fn quoted(&self) -> String {
        format!("{}.{}", escape_identifier(&self.schema), escape_identifier(&self.name))
    }
}

/// Everything decided.
#[derive(Debug)]
pub struct Work {
    tables: Vec<Table>,
    /// The control table, quoted.
    control: String,
    create: bool,
    lock_timeout: Span,
    database: Settings,
}

/// The executor.
pub struct Vacuum;

impl Step for Vacuum {
    const NAME: &'static str = "vacuum";
    const ALTERS: Alters = Alters::Space;
    const EXAMPLE: &'static str = "tables: [orders, \"audit.*\"]\nfull: false\n";
    type Params = Params;
    type Output = Output;
    type Work = Work;

    async fn preflight(params: Params, look: &Look) -> Preflight {
        preflight::preflight(params, look).await
    }

    async fn plan(params: Params, look: &Look) -> Result<Work, StepError> {
        let database = params.database.resolve(&look.env).map_err(|e| StepError::new(e.to_string()))?;
        let client = postgres::connect(look, &database).await?;
        let (schema, name) = control_place(&client, &params.control_table).await?;
        let control = format!("{}.{}", escape_identifier(&schema), escape_identifier(&name));
        let create = client
            .query_one("SELECT pg_catalog.to_regclass($1) IS NULL", &[&control])
            .await
            .map_err(|e| postgres::asked("looking for the control table", &e))?
            .get(0);
        let today = look.now.with_timezone(&Local).date_naive();
        let mut tables = Vec::new();
        for (own_schema, own_name) in
            wanted(&client, params.tables.as_deref(), &params.exclude, (&schema, &name)).await?
        {
            let mut table =
                Table { schema: own_schema, name: own_name, action: Action::Skip, reason: String::new(), days: None };
            let last = if create { None } else { last_vacuum(&client, &control, &table.shown()).await? };
            table.days = last.map(|l| (today - l).num_days());
            (table.action, table.reason) = decide(last, today, &params.rules, params.full);
            tables.push(table);
        }
        Ok(Work { tables, control, create, lock_timeout: params.lock_timeout, database })
    }

    fn preview(work: &Work) -> Preview {
        let created = work.create.then(|| format!("creates the control table {}", work.control));
        let line = |t: &Table| match t.action.options() {
            None => format!("`{}`: nothing, {}", t.shown(), t.reason),
            Some(options) => format!("`{}`: VACUUM {}, {}", t.shown(), options.trim(), t.reason).replace(" ,", ","),
        };
        Preview::new(created.into_iter().chain(work.tables.iter().map(line)))
    }

    async fn apply(work: Work, touch: &Touch) -> Result<Output, StepError> {
        let session = postgres::connect_rw(touch, &work.database).await?;
        let set = |sql: String| async {
            let sql = sql;
            session.client.batch_execute(&sql).await.map_err(|e| postgres::asked("preparing the session", &e))
        };
        set(format!("SET lock_timeout = {}", work.lock_timeout.0.as_millis())).await?;
        set(format!("SET TIME ZONE INTERVAL '{}' HOUR TO MINUTE", Local::now().format("%:z"))).await?;
        if work.create {
            let sql = format!(
                "CREATE TABLE IF NOT EXISTS {} (id serial PRIMARY KEY, tabela_nome text NOT NULL, ultima_execucao timestamp NOT NULL, tipo_vacuum text)",
                work.control
            );
            let done = session.client.batch_execute(&sql).await;
            done.map_err(|e| {
                postgres::asked(&format!("creating the control table {}", work.control), &e)
                    .hint("let the user create tables in that schema, or name another one under `control_table`")
            })?;
        }
        let mut output = Output { tables: Vec::new(), vacuumed: 0, skipped: 0, failed: 0 };
        let mut problems = Vec::new();
        // Whether all that failed may go well at another attempt, like a table that was locked.
        let mut passing = true;
        for table in &work.tables {
            let Some(options) = table.action.options() else {
                output.skipped += 1;
                output.tables.push(done(table, 0.0, 0, 0));
                continue;
            };
            if touch.cancel().is_cancelled() {
                return Err(StepError::cancelled());
            }
            let clock = std::time::Instant::now();
            let before = size(&session.client, table).await;
            session.take_warnings();
            let sql = format!("VACUUM {options}{}", table.quoted());
            let result = tokio::select! {
                result = session.client.batch_execute(&sql) => result,
                _ = touch.cancel().cancelled() => {
                    // The server stops too; a VACUUM that was broken off changed nothing.
                    session.break_off().await;
                    return Err(StepError::cancelled());
                }
            };
            // PostgreSQL skips a table it may not vacuum with no more than a warning.
            let failure = match result {
                Err(error) if error.code() == Some(&SqlState::UNDEFINED_TABLE) => {
                    touch.log().info(format!("`{}` is gone since it was decided; nothing to do", table.shown()));
                    output.skipped += 1;
                    continue;
                }
                Err(error) if error.is_closed() => return Err(postgres::asked("VACUUM", &error)),
                Err(error) => {
                    let failed = postgres::asked("VACUUM", &error);
                    passing &= failed.class.is_transient();
                    Some(failed.what)
                }
                Ok(()) => {
                    Some(session.take_warnings().join("; ")).filter(|w| !w.is_empty()).inspect(|_| passing = false)
                }
            };
            if let Some(why) = failure {
                touch.log().warn(format!("`{}` was not vacuumed: {why}", table.shown()));
                problems.push(format!("`{}`: {why}", table.shown()));
                output.failed += 1;
                continue;
            }
            let sql = format!(
                "INSERT INTO {} (tabela_nome, ultima_execucao, tipo_vacuum) VALUES ($1, LOCALTIMESTAMP, $2)",
                work.control
            );
            let recorded = session.client.execute(&sql, &[&table.shown(), &table.action.word()]).await;
            recorded.map_err(|e| postgres::asked(&format!("recording the VACUUM of `{}`", table.shown()), &e))?;
            let after = size(&session.client, table).await;
            let took = clock.elapsed().as_secs_f64();
            let size = |bytes: i64| Size(u64::try_from(bytes).unwrap_or(0));
            let (was, is) = (size(before), size(after));
            touch.log().info(format!("`{}`: done in {took:.1} s, {was} before, {is} after", table.shown()));
            output.vacuumed += 1;
            output.tables.push(done(table, took, before, after));
        }
        if problems.is_empty() {
            return Ok(output);
        }
        let (count, of) = (problems.len(), work.tables.len());
        let failed = StepError::new(format!("{count} of {of} tables were not vacuumed: {}", problems.join("; ")));
        Err(if passing { failed.class(Class::Transient) } else { failed })
    }
}

fn done(table: &Table, seconds: f64, bytes_before: i64, bytes_after: i64) -> Done {
    let (name, reason) = (table.shown(), table.reason.clone());
    Done { name, action: table.action, reason, days: table.days, seconds, bytes_before, bytes_after }
}

async fn size(client: &Client, table: &Table) -> i64 {
    // A table that vanished has no size; the VACUUM says so itself.
    let row = client
        .query_one(
            "SELECT coalesce(pg_catalog.pg_total_relation_size(pg_catalog.to_regclass($1)), 0)",
            &[&table.quoted()],
        )
        .await;
    row.map_or(0, |r| r.get(0))
}

/// The schema and name of the control table: as given, else in the first schema of the search path.
async fn control_place(client: &Client, name: &str) -> Result<(String, String), StepError> {
    if let Some((schema, name)) = name.split_once('.') {
        return Ok((schema.to_owned(), name.to_owned()));
    }
    let schema = postgres::visible_schemas(client).await?.into_iter().next();
    schema.map(|s| (s, name.to_owned())).ok_or_else(|| {
        StepError::new("the search path has no schema for the control table")
            .hint("name one: `control_table: schema.name`")
    })
}

async fn last_vacuum(client: &Client, control: &str, name: &str) -> Result<Option<NaiveDate>, StepError> {
    let sql = format!("SELECT max(ultima_execucao) FROM {control} WHERE tabela_nome = $1");
    let row = client.query_one(&sql, &[&name]).await.map_err(|e| postgres::asked("reading the control table", &e))?;
    Ok(row.get::<_, Option<NaiveDateTime>>(0).map(|t| t.date()))
}
