//! `sql`: a statement, or a file of statements, on the database.

use futures_util::TryStreamExt;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use tokio_postgres::SimpleQueryMessage;

use crate::files;
use crate::postgres::{self, Bound, Session, Settings};
use crate::quantity::Size;
use crate::step::{Alters, Area, Check, Fault, Look, Preflight, Preview, Step, StepError, Touch};

/// Run an SQL statement, or a file of statements.
///
/// Values are bound to `$1`, `$2` …, never pasted into the text. A query returns its rows as a list of maps. Everything
/// runs in one transaction unless `transaction` is false. The session keeps the role's own `search_path`, time zone and
/// date formats, as in `psql`. Its time limits are switched off; use the `timeout` of the step.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Params {
    /// Statement to run. Give `statement` or `file`.
    #[serde(default)]
    statement: Option<String>,
    /// File with one or more statements, instead of `statement`.
    #[serde(default)]
    #[schemars(extend("x-runplan-path" = true))]
    file: Option<String>,
    /// Values for `$1`, `$2` …. A list becomes an array, a map becomes JSON. Only for a single statement.
    #[serde(default)]
    params: Vec<Json>,
    /// Run everything in one transaction, so that all of it happens or nothing. VACUUM, CREATE DATABASE and similar
    /// statements need `false`.
    #[serde(default = "yes")]
    transaction: bool,
    /// Maximum number of rows in the output, and at most 16 MiB of them. Further rows are counted but not returned, and
    /// the log says so.
    #[serde(default = "a_thousand")]
    #[schemars(range(min = 1, max = 100_000))]
    max_rows: usize,
    /// Connection settings. They override those of the plan.
    #[serde(default)]
    database: Settings,
}

fn yes() -> bool {
    true
}

fn a_thousand() -> usize {
    1000
}

/// Result of the step.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Output {
    /// Rows of a query, each a map by column name. It is empty for a file of several statements.
    rows: Vec<serde_json::Map<String, Json>>,
    /// Number of rows that were changed or found.
    affected: u64,
}

/// Everything decided.
#[derive(Debug)]
pub struct Work {
    /// The statements.
    text: String,
    /// Where they come from, when that is a file.
    file: Option<String>,
    params: Vec<Json>,
    transaction: bool,
    max_rows: usize,
    database: Settings,
}

/// The largest file of statements, in bytes.
const LIMIT: u64 = 64 << 20;

/// How many bytes of rows are kept, written as JSON.
const KEPT: usize = 16 << 20;

/// The executor.
pub struct Sql;

impl Step for Sql {
    const NAME: &'static str = "sql";
    const ALTERS: Alters = Alters::Anything;
    const EXAMPLE: &'static str =
        "statement: DELETE FROM sessions WHERE last_seen < now() - $1::interval\nparams: [30 days]\n";
    type Params = Params;
    type Output = Output;
    type Work = Work;

    fn check(params: &Json) -> Vec<Fault> {
        match (params.get("statement"), params.get("file")) {
            (Some(_), Some(_)) => {
                let message = "`statement` and `file` exclude each other".to_owned();
                vec![Fault { pointer: "/file".to_owned(), at_key: true, message, help: None }]
            }
            (None, None) => {
                let message = "either `statement` or `file` is needed".to_owned();
                vec![Fault { pointer: String::new(), at_key: false, message, help: None }]
            }
            _ => Vec::new(),
        }
    }

    async fn preflight(params: Params, look: &Look) -> Preflight {
        let mut checks = match params.database.resolve(&look.env) {
            Ok(database) => postgres::meet(look, &database).await.0,
            Err(error) => vec![Check::problem(Area::Server, error.to_string())],
        };
        if let Some(file) = params.file
            && let Err(error) = files::size(look, file.as_ref())
        {
            checks.push(Check::problem(Area::Folder, format!("the file `{file}` cannot be read: {error}")));
        }
        checks.into()
    }

    async fn plan(params: Params, look: &Look) -> Result<Work, StepError> {
        let database = params.database.resolve(&look.env).map_err(|e| StepError::new(e.to_string()))?;
        let (text, file) = match (params.statement, params.file) {
            (Some(statement), None) => (statement, None),
            (None, Some(file)) => {
                let cannot = |why: String| StepError::new(format!("the file `{file}` cannot be read: {why}"));
                let bytes = files::read_small(look, file.as_ref(), LIMIT).map_err(|e| cannot(e.to_string()))?;
                (String::from_utf8(bytes).map_err(|_| cannot("it is no UTF-8 text".to_owned()))?, Some(file))
            }
            _ => return Err(StepError::new("exactly one of `statement` and `file` is needed")),
        };
        if text.trim().is_empty() {
            return Err(StepError::new("there is no statement in it"));
        }
        let (transaction, max_rows) = (params.transaction, params.max_rows);
        Ok(Work { text, file, params: params.params, transaction, max_rows, database })
    }

    fn preview(work: &Work) -> Preview {
        let first = work.text.lines().map(str::trim).find(|l| !l.is_empty()).unwrap_or_default();
        let what = match &work.file {
            Some(file) => format!("the statements of `{file}`"),
            None if work.text.trim().lines().count() > 1 => format!("{first} …"),
            None => first.to_owned(),
        };
        let mut lines = vec![work.database.place(), format!("runs: {what}")];
        if !work.params.is_empty() {
            lines.push(format!("with {}", Json::Array(work.params.clone())));
        }
        if !work.transaction {
            lines.push("not in a transaction".to_owned());
        }
        Preview::new(lines)
    }

    async fn apply(work: Work, touch: &Touch) -> Result<Output, StepError> {
        let session = postgres::connect_for_plan(touch, &work.database).await?;
        let result = tokio::select! {
            result = run(&session, &work) => result,
            _ = touch.cancel().cancelled() => {
                // A transaction that is broken off changed nothing.
                session.break_off().await;
                Err(StepError::cancelled())
            }
        };
        session.take_warnings().iter().for_each(|w| touch.log().warn(w));
        let output = result?;
        let kept = output.rows.len();
        if output.affected > kept as u64 && kept == work.max_rows {
            touch.log().warn(format!("only the first {kept} rows are kept (`max_rows`)"));
        } else if output.affected > kept as u64 && kept > 0 {
            touch.log().warn(format!(
                "only the first {kept} rows are kept: they are limited to {}; select fewer columns or rows",
                Size(KEPT as u64)
            ));
        }
        touch.log().info(format!("{} row{}", output.affected, if output.affected == 1 { "" } else { "s" }));
        Ok(output)
    }
}

async fn run(session: &Session, work: &Work) -> Result<Output, StepError> {
    let control = |sql: &'static str| async move {
        session.client.batch_execute(sql).await.map_err(|e| postgres::asked(sql, &e))
    };
    if work.transaction {
        control("BEGIN").await?;
    }
    let result = statements(session, work).await;
    if work.transaction {
        match &result {
            Ok(_) => control("COMMIT").await?,
            // The connection may be gone, and the transaction with it.
            Err(_) => drop(control("ROLLBACK").await),
        }
    }
    result
}

async fn statements(session: &Session, work: &Work) -> Result<Output, StepError> {
    let wrong = |e: &tokio_postgres::Error| postgres::asked("the statement", e);
    // A file may hold several statements, which cannot be prepared; a fault in one of them is found when they run.
    if work.file.is_some() && work.params.is_empty() {
        let messages = session.client.simple_query_raw(&work.text).await.map_err(|e| wrong(&e))?;
        let mut messages = std::pin::pin!(messages);
        let mut affected = 0;
        // Rows go by one at a time and are not kept.
        while let Some(message) = messages.try_next().await.map_err(|e| wrong(&e))? {
            if let SimpleQueryMessage::CommandComplete(count) = message {
                affected += count;
            }
        }
        return Ok(Output { rows: Vec::new(), affected });
    }
    let prepared = session.client.prepare(&work.text).await.map_err(|e| wrong(&e))?;
    let expected = prepared.params().len();
    if expected != work.params.len() {
        let what = format!("the statement has {expected} parameter(s), and {} were given", work.params.len());
        return Err(StepError::new(what).hint("list one value under `params` for each of `$1`, `$2`, …"));
    }
    let bound: Vec<Bound> = work.params.iter().map(Bound::new).collect();
    if prepared.columns().is_empty() {
        let affected = session.client.execute_raw(&prepared, bound).await.map_err(|e| wrong(&e))?;
        return Ok(Output { rows: Vec::new(), affected });
    }
    let stream = session.client.query_raw(&prepared, bound).await.map_err(|e| wrong(&e))?;
    let mut stream = std::pin::pin!(stream);
    let mut output = Output { rows: Vec::new(), affected: 0 };
    let (mut bytes, mut full) = (0_usize, false);
    while let Some(row) = stream.try_next().await.map_err(|e| wrong(&e))? {
        output.affected += 1;
        // What is not kept is still counted.
        if full || output.rows.len() >= work.max_rows {
            continue;
        }
        let map = postgres::row(&row).map_err(StepError::new)?;
        bytes = bytes.saturating_add(map.to_string().len());
        full = bytes > KEPT;
        if let (false, Json::Object(map)) = (full, map) {
            output.rows.push(map);
        }
    }
    if full && output.rows.is_empty() {
        let what = format!("the first row alone is larger than {}, which is what a step keeps", Size(KEPT as u64));
        return Err(StepError::new(what).hint("select fewer columns, or write it to a file with `psql`"));
    }
    Ok(output)
}
