//! `vacuum`: each table when the control table says that it is due.

mod apply;
mod control;
mod names;
mod place;
mod preflight;
mod rules;

use chrono::Local;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::postgres::{self, Settings};
use crate::quantity::Span;
use crate::step::{Alters, Look, Preflight, Preview, Step, StepError, Touch};
use control::Control;
use names::{Name, wanted};
use place::Chosen;
use rules::{Action, Rules, decide};

/// Vacuum the tables that are due, by a control table.
///
/// By default: `VACUUM (FULL, ANALYZE)` for a table without a record in the control table, nothing when the last VACUUM
/// was fewer than 5 days ago, `VACUUM` when it was 5 to 10 days ago, and `VACUUM (FULL, ANALYZE)` when it was more than
/// 10 days ago. If one table fails, the others are still vacuumed and the step fails at the end.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Params {
    /// Tables to vacuum, named exactly as stored: `orders`, `sales.orders`, or a pattern with `*` and `?` like
    /// `audit.*`. A name without a schema is searched in the search path. `{ schema, name }` names a table whose name
    /// contains a dot or a star. Partitioned tables and materialized views must be named without wildcards. Default:
    /// all ordinary tables except the control table.
    #[serde(default)]
    tables: Option<Vec<Name>>,
    /// Tables to leave out: names or patterns, as in `tables`.
    #[serde(default)]
    exclude: Vec<Name>,
    /// Allow `VACUUM FULL`. With `false`, `VACUUM (ANALYZE)` is used instead.
    #[serde(default = "yes")]
    full: bool,
    /// Rules that decide which VACUUM is due.
    #[serde(default)]
    rules: Rules,
    /// Table that records when each table was last vacuumed. It is created when it is missing. It must be a plain table
    /// that belongs to the connected role, the owner of the database or a superuser. A table with triggers, rules,
    /// policies, check constraints or expressions is refused, because a new record would run their code.
    #[serde(default = "control")]
    control_table: String,
    /// Maximum time to wait for the lock of a table.
    #[serde(default = "five_seconds")]
    lock_timeout: Span,
    /// Connection settings. They override those of the plan.
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

/// Result of the step.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Output {
    /// Each table with its decision and its figures.
    tables: Vec<Done>,
    /// Number of tables that were vacuumed.
    vacuumed: u32,
    /// Number of tables that were not due.
    skipped: u32,
    /// Number of tables that failed.
    failed: u32,
}

/// A table with its decision and its figures.
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
    place: Chosen,
    action: Action,
    reason: String,
    days: Option<i64>,
}

impl Table {
    /// The name that people and the control table use.
    fn shown(&self) -> &str {
        &self.place.record
    }
}

/// Everything decided.
#[derive(Debug)]
pub struct Work {
    tables: Vec<Table>,
    control: Control,
    create: bool,
    lock_timeout: Span,
    database: Settings,
}

/// The executor.
pub struct Vacuum;

impl Step for Vacuum {
    const NAME: &'static str = "vacuum";
    const ALTERS: Alters = Alters::Space;
    const NEEDS_DBNAME: bool = true;
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
        let control = Control::place(&client, &params.control_table).await?;
        let create = !control.exists(&client).await?;
        let today = look.now.with_timezone(&Local).date_naive();
        let chosen = wanted(&client, params.tables.as_deref(), &params.exclude, &control).await?;
        let records = if create { Default::default() } else { control.read(&client, &chosen).await? };
        let decided = |place: Chosen| {
            let former = || place.former.as_ref().and_then(|f| records.get(f));
            let last = records.get(&place.record).or_else(former).copied();
            let (action, reason) = decide(last, today, &params.rules, params.full);
            Table { place, action, reason, days: last.map(|l| (today - l).num_days()) }
        };
        let tables = chosen.into_iter().map(decided).collect();
        Ok(Work { tables, control, create, lock_timeout: params.lock_timeout, database })
    }

    fn preview(work: &Work) -> Preview {
        let created = work.create.then(|| format!("creates the control table {}", work.control.quoted()));
        let line = |t: &Table| match t.action.options() {
            None => format!("`{}`: nothing, {}", t.shown(), t.reason),
            Some(options) => format!("`{}`: VACUUM {}, {}", t.shown(), options.trim(), t.reason).replace(" ,", ","),
        };
        Preview::new(created.into_iter().chain(work.tables.iter().map(line)))
    }

    async fn apply(work: Work, touch: &Touch) -> Result<Output, StepError> {
        apply::apply(work, touch).await
    }
}

impl Done {
    fn new(table: &Table, seconds: f64, bytes_before: i64, bytes_after: i64) -> Self {
        let (name, reason) = (table.shown().to_owned(), table.reason.clone());
        Self { name, action: table.action, reason, days: table.days, seconds, bytes_before, bytes_after }
    }
}
