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
    /// The table that keeps when each table was last vacuumed; created when missing. It must be a plain table of the
    /// connected user, of the database's owner or of a superuser: one with triggers, rules, policies, checks or
    /// expressions is refused, since a record would run them.
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
