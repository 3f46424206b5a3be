//! The VACUUMs themselves, one table after the other.

use chrono::Local;
use tokio_postgres::Client;
use tokio_postgres::error::SqlState;

use super::control::Recorder;
use super::{Done, Output, Table, Work};
use crate::postgres::{self, Meaning, Session};
use crate::quantity::Size;
use crate::step::{Class, StepError, Touch};

/// What became of one VACUUM.
enum Fate {
    Vacuumed,
    /// The table is gone since it was decided.
    Gone,
    /// Why it was not vacuumed, and whether another attempt may go well.
    Failed(String, bool),
}

/// Does what was decided.
pub async fn apply(work: Work, touch: &Touch) -> Result<Output, StepError> {
    let _hold = postgres::hold(touch, &work.database).await?;
    let session = postgres::connect_rw(touch, &work.database).await?;
    let set = format!(
        "SET lock_timeout = {}; SET TIME ZONE INTERVAL '{}' HOUR TO MINUTE",
        work.lock_timeout.0.as_millis(),
        Local::now().format("%:z")
    );
    session.client.batch_execute(&set).await.map_err(|e| postgres::asked("preparing the session", &e))?;
    if work.create {
        work.control.create(&session.client).await?;
    }
    let recorder = Recorder::new(&session.client, &work.control).await?;
    let mut output = Output { tables: Vec::new(), vacuumed: 0, skipped: 0, failed: 0 };
    let mut problems = Vec::new();
    // Whether all that failed may go well at another attempt, like a table that was locked.
    let mut passing = true;
    for table in &work.tables {
        let Some(options) = table.action.options() else {
            output.skipped += 1;
            output.tables.push(Done::new(table, 0.0, 0, 0));
            continue;
        };
        if touch.cancel().is_cancelled() {
            return Err(StepError::cancelled());
        }
        let clock = std::time::Instant::now();
        let before = size(&session.client, table).await;
        match vacuum(&session, table, options, touch).await? {
            Fate::Gone => {
                touch.log().info(format!("`{}` is gone since it was decided; nothing to do", table.shown()));
                output.skipped += 1;
            }
            Fate::Failed(why, again) => {
                passing &= again;
                touch.log().warn(format!("`{}` was not vacuumed: {why}", table.shown()));
                problems.push(format!("`{}`: {why}", table.shown()));
                output.failed += 1;
            }
            Fate::Vacuumed => {
                recorder.record(&table.place.record, table.action.word()).await?;
                let after = size(&session.client, table).await;
                let took = clock.elapsed().as_secs_f64();
                let size = |bytes: i64| Size(u64::try_from(bytes).unwrap_or(0));
                let (was, is) = (size(before), size(after));
                touch.log().info(format!("`{}`: done in {took:.1} s, {was} before, {is} after", table.shown()));
                output.vacuumed += 1;
                output.tables.push(Done::new(table, took, before, after));
            }
        }
    }
    if problems.is_empty() {
        return Ok(output);
    }
    let (count, of) = (problems.len(), work.tables.len());
    let failed = StepError::new(format!("{count} of {of} tables were not vacuumed: {}", problems.join("; ")));
    Err(if passing { failed.class(Class::Transient) } else { failed })
}

/// How many warnings about one table go to the log.
const SAID: usize = 10;

/// Vacuums one table.
///
/// # Errors
/// The session is lost, or the step was told to stop.
async fn vacuum(session: &Session, table: &Table, options: &str, touch: &Touch) -> Result<Fate, StepError> {
    session.take_warnings();
    let sql = format!("VACUUM {options}{}", table.place.quoted());
    let result = tokio::select! {
        result = session.client.batch_execute(&sql) => result,
        _ = touch.cancel().cancelled() => {
            // The server stops too; a VACUUM that was broken off changed nothing.
            session.break_off().await;
            return Err(StepError::cancelled());
        }
    };
    // The server leaves out a table that it may not vacuum with no more than a warning. What else it warns of, like a
    // function of an index, has no bearing on that.
    let (skips, said) = session.take_notices().split();
    said.iter().take(SAID).for_each(|text| touch.log().warn(format!("`{}`: the server warns: {text}", table.shown())));
    if said.len() > SAID {
        touch.log().warn(format!("`{}`: … and {} more warnings", table.shown(), said.len() - SAID));
    }
    match result {
        Err(error) if matches!(error.code(), Some(&SqlState::UNDEFINED_TABLE | &SqlState::INVALID_SCHEMA_NAME)) => {
            Ok(Fate::Gone)
        }
        Err(error) if error.is_closed() => Err(postgres::asked("VACUUM", &error)),
        Err(error) => {
            let failed = postgres::asked("VACUUM", &error);
            Ok(Fate::Failed(failed.what, failed.class.is_transient()))
        }
        Ok(()) if skips.iter().any(|n| n.meaning == Meaning::Skipped) => {
            let texts: Vec<String> = skips.into_iter().map(|n| n.text).collect();
            Ok(Fate::Failed(texts.join("; "), false))
        }
        Ok(()) if skips.is_empty() => Ok(Fate::Vacuumed),
        Ok(()) => Ok(Fate::Gone),
    }
}

async fn size(client: &Client, table: &Table) -> i64 {
    // A table that vanished has no size; the VACUUM says so itself.
    let sql = "SELECT coalesce(pg_catalog.pg_total_relation_size(pg_catalog.to_regclass($1)), 0)";
    client.query_one(sql, &[&table.place.quoted()]).await.map_or(0, |r| r.get(0))
}
