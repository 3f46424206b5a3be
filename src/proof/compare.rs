//! A database compared with the evidence of a dump: every table read back by `COPY` with the same columns in the same
//! order, every sequence, every large object.
//!
//! Only tables are read: `COPY` refuses views, and where a query is needed (a partitioned table that was dumped as one, rows
//! that an extension leaves out) the kind is checked under a lock.

mod objects;
mod places;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::StreamExt;
use tokio_postgres::Client;

use crate::dump::Manifest;
use crate::dump::evidence::{Evidence, Sequence, Table};
use crate::dump::rows::{Hashing, RowHasher, Rows};
use crate::postgres::{self, Settings, asked, escape_identifier};
use crate::step::{StepError, Touch};
use places::{Place, Places};

/// How many tables or sequences are read in one transaction, which holds a lock on each.
const BATCH: usize = 200;

/// Settings of a session that writes values as `pg_dump` does (`setup_connection` in its source), with times in UTC, and
/// that no limit of a role or database ends.
const PREPARE: &str = "SET datestyle = ISO; SET intervalstyle = postgres; SET extra_float_digits = 3; SET timezone = 'UTC'; \
                       SET bytea_output = hex; SET quote_all_identifiers = off; SET row_security = off; \
                       SET statement_timeout = 0; SET lock_timeout = 0; SET idle_in_transaction_session_timeout = 0; \
                       SET default_transaction_isolation = 'repeatable read'; \
                       SELECT pg_catalog.set_config('search_path', '', false); \
                       SELECT pg_catalog.set_config(name, 'view, foreign-table', false) FROM pg_catalog.pg_settings \
                       WHERE name = 'restrict_nonsystem_relation_kind'";
/// The settings of a dump that are taken over.
const TAKEN_OVER: [&str; 4] = ["bytea_output", "extra_float_digits", "lc_monetary", "quote_all_identifiers"];

/// What every session needs.
struct Task {
    touch: Touch,
    database: Settings,
    evidence: Evidence,
    places: Places,
    hashing: Hashing,
    old: bool,
    next: AtomicUsize,
}

/// Every way in which a database differs from what was dumped, a line each; none when it is the same. Only what the
/// evidence names is compared. `jobs` sessions read at a time.
///
/// # Errors
/// The server does not answer, or the run is cancelled.
pub async fn differences(
    touch: &Touch,
    database: &Settings,
    manifest: &Manifest,
    jobs: u8,
) -> Result<Vec<String>, StepError> {
    let Some(evidence) = &manifest.evidence else { return Ok(Vec::new()) };
    tokio::select! {
        compared = compare(touch, database, evidence, manifest.is_old(), jobs) => compared,
        _ = touch.cancel().cancelled() => Err(StepError::cancelled()),
    }
}

async fn compare(
    touch: &Touch,
    database: &Settings,
    evidence: &Evidence,
    old: bool,
    jobs: u8,
) -> Result<Vec<String>, StepError> {
    let hashing = evidence.hashing().ok_or_else(|| {
        StepError::new("the manifest hashes rows in a way that this runplan does not know")
            .hint("use the version of runplan that made the archive, or a newer one")
    })?;
    if old {
        touch.log().info("the archive is of an older version of runplan: rows are counted, checksums are not compared");
    }
    let client = session(touch, database, evidence).await?;
    let places = Places::find(&client, evidence).await?;
    let mut found = extensions(&client, evidence).await?;
    found.extend(objects::differences(&client, evidence, hashing).await?);
    let task = Arc::new(Task {
        touch: touch.again(),
        database: database.clone(),
        evidence: evidence.clone(),
        places,
        hashing,
        old,
        next: AtomicUsize::new(0),
    });
    let mut readers = tokio::task::JoinSet::new();
    for _ in 1..jobs.max(1) {
        let task = Arc::clone(&task);
        readers.spawn(async move {
            let client = session(&task.touch, &task.database, &task.evidence).await?;
            read(&client, &task).await
        });
    }
    let mut lines = read(&client, &task).await?;
    while let Some(read) = readers.join_next().await {
        lines.extend(read.map_err(|e| StepError::because("comparing the database", &e))??);
    }
    lines.sort_by_key(|(at, _)| *at);
    found.extend(lines.into_iter().map(|(_, line)| line));
    Ok(found)
}

/// A session that writes rows as the dump has them.
async fn session(touch: &Touch, database: &Settings, evidence: &Evidence) -> Result<Client, StepError> {
    let client = postgres::connect_for_rows(touch.look(), database).await?;
    client.batch_execute(PREPARE).await.map_err(|e| asked("preparing the session", &e))?;
    for (name, value) in &evidence.session.settings {
        if !TAKEN_OVER.contains(&name.as_str()) {
            continue;
        }
        match client.execute("SELECT pg_catalog.set_config($1, $2, false)", &[name, value]).await {
            Ok(_) => {}
            Err(error) if error.as_db_error().is_some() => touch.log().warn(format!(
                "the server does not take `{name}` = `{value}`, which the dump was made with; values that depend on it may \
                 seem to differ"
            )),
            Err(error) => return Err(asked("preparing the session", &error)),
        }
    }
    Ok(client)
}

async fn extensions(client: &Client, evidence: &Evidence) -> Result<Vec<String>, StepError> {
    let rows = client.query("SELECT extname::text FROM pg_catalog.pg_extension", &[]).await;
    let rows = rows.map_err(|e| asked("asking for the extensions", &e))?;
    let there: Vec<String> = rows.iter().map(|r| r.get(0)).collect();
    let missing = evidence.extensions.iter().filter(|e| !there.contains(&e.name));
    Ok(missing.map(|e| format!("the extension `{}` is missing", e.name)).collect())
}

/// Reads batches until none is left; gives what differs, each with its place in the evidence.
async fn read(client: &Client, task: &Task) -> Result<Vec<(usize, String)>, StepError> {
    let mut found = Vec::new();
    let (tables, sequences) = (&task.evidence.tables, &task.evidence.sequences);
    let total = tables.len() + sequences.len();
    // Small batches at first, so that few large tables are shared out too.
    let batch = if total > 10 * BATCH { BATCH } else { 1 };
    loop {
        let start = task.next.fetch_add(batch, Ordering::Relaxed);
        if start >= total {
            return Ok(found);
        }
        begin(client).await?;
        for at in start..(start + batch).min(total) {
            let difference = match tables.get(at) {
                Some(table) => one_table(client, task, table, &task.places.tables[at]).await,
                None => {
                    let sequence = &sequences[at - tables.len()];
                    one_sequence(client, task, sequence, &task.places.sequences[at - tables.len()]).await
                }
            };
            match difference {
                Ok(None) => {}
                Ok(Some(line)) => found.push((at, line)),
                Err(Trouble::Lost(error)) => return Err(error),
                Err(Trouble::Refused(line)) => {
                    found.push((at, line));
                    client.batch_execute("ROLLBACK").await.map_err(|e| asked("ending a transaction", &e))?;
                    begin(client).await?;
                }
            }
        }
        client.batch_execute("COMMIT").await.map_err(|e| asked("ending a transaction", &e))?;
    }
}

async fn begin(client: &Client) -> Result<(), StepError> {
    let sql = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
    client.batch_execute(sql).await.map_err(|e| asked("beginning a transaction", &e))
}

/// Why something was not read.
enum Trouble {
    /// The server is gone.
    Lost(StepError),
    /// The server refuses this: a difference.
    Refused(String),
}

fn trouble(place: &str, error: &tokio_postgres::Error) -> Trouble {
    match error.as_db_error() {
        Some(database) if !matches!(database.code().code(), "57P01" | "57P02" | "57P03" | postgres::TOO_LONG) => {
            Trouble::Refused(format!(
                "{place} cannot be read back: {} ({})",
                database.message(),
                database.code().code()
            ))
        }
        _ => Trouble::Lost(asked(&format!("reading {place} back"), error)),
    }
}

/// A name with its schema, quoted.
fn quoted(schema: &str, name: &str) -> String {
    format!("{}.{}", escape_identifier(schema), escape_identifier(name))
}

async fn one_table(client: &Client, task: &Task, table: &Table, place: &Place) -> Result<Option<String>, Trouble> {
    let shown = format!("the table `{}.{}`", table.schema, table.name);
    let there = match place {
        Place::Missing => return Ok(Some(format!("{shown} is missing"))),
        Place::Unknown => {
            return Ok(Some(format!("{shown} cannot be compared: its name is not in the encoding of the database")));
        }
        Place::There(there) => there,
    };
    if !matches!(there.kind.as_str(), "r" | "p") {
        // Rows of a foreign table are on another server.
        return Ok((there.kind != "f").then(|| format!("{shown} is not a table there")));
    }
    let name = quoted(&there.schema, &there.name);
    let columns: Vec<String> = there.columns.iter().map(|c| escape_identifier(c)).collect();
    let condition = there.condition.as_deref().filter(|c| !task.old && !c.is_empty());
    let encoding = match task.evidence.session.client_encoding.as_deref() {
        Some(encoding) if encoding.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') => encoding,
        _ => "UTF8",
    };
    let source = match (condition, there.kind.as_str()) {
        (None, "r") if columns.is_empty() => name.clone(),
        (None, "r") => format!("{name} ({})", columns.join(", ")),
        (condition, _) => {
            lock(client, &name, &there.kind, &shown).await?;
            format!("(SELECT {} FROM {name} {})", columns.join(", "), condition.unwrap_or_default())
        }
    };
    let sql = format!("COPY {source} TO STDOUT WITH (ENCODING '{encoding}')");
    let rows = copy(client, &sql, task.hashing).await.map_err(|e| trouble(&shown, &e))?;
    Ok(table.difference(rows, "").map(|what| format!("{shown} {what}")))
}

/// Locks a table that is read by a query, so that nobody puts a view in its place.
async fn lock(client: &Client, name: &str, kind: &str, shown: &str) -> Result<(), Trouble> {
    let sql = format!("LOCK TABLE ONLY {name} IN ACCESS SHARE MODE");
    client.batch_execute(&sql).await.map_err(|e| trouble(shown, &e))?;
    let sql = "SELECT relkind::text FROM pg_catalog.pg_class WHERE oid = $1::text::pg_catalog.regclass";
    let row = client.query_one(sql, &[&name]).await.map_err(|e| trouble(shown, &e))?;
    if row.get::<_, String>(0) == kind {
        return Ok(());
    }
    Err(Trouble::Refused(format!("{shown} is not a table there any more")))
}

async fn copy(client: &Client, sql: &str, hashing: Hashing) -> Result<Rows, tokio_postgres::Error> {
    let stream = client.copy_out(sql).await?;
    let mut stream = std::pin::pin!(stream);
    let mut rows = RowHasher::open(hashing);
    while let Some(part) = stream.next().await {
        rows.take(&part?);
    }
    // The server ends every row.
    Ok(rows.rows().unwrap_or_default())
}

async fn one_sequence(
    client: &Client,
    task: &Task,
    sequence: &Sequence,
    place: &Place,
) -> Result<Option<String>, Trouble> {
    let shown = format!("the sequence `{}.{}`", sequence.schema, sequence.name);
    let there = match place {
        Place::There(there) if there.kind == "S" => there,
        Place::There(_) => return Ok(Some(format!("{shown} is not a sequence there"))),
        Place::Missing => return Ok(Some(format!("{shown} is missing"))),
        Place::Unknown => {
            return Ok(Some(format!("{shown} cannot be compared: its name is not in the encoding of the database")));
        }
    };
    // Asking for its last value locks it, so that nobody puts a view in its place.
    let sql = "SELECT c.relkind::text, pg_catalog.pg_sequence_last_value(c.oid) FROM pg_catalog.pg_class c \
               WHERE c.oid = $1::text::pg_catalog.regclass";
    let name = quoted(&there.schema, &there.name);
    let row = client.query_one(sql, &[&name]).await.map_err(|e| trouble(&shown, &e))?;
    if row.get::<_, String>(0) != "S" {
        return Ok(Some(format!("{shown} is not a sequence there any more")));
    }
    let sql = format!("SELECT last_value, is_called FROM {name}");
    let row = client.query_one(&sql, &[]).await.map_err(|e| trouble(&shown, &e))?;
    let (last, called): (i64, bool) = (row.get(0), row.get(1));
    let same = if task.old {
        // It may have moved between the measuring and the dump.
        last >= sequence.last_value
    } else {
        (last, called) == (sequence.last_value, sequence.is_called)
    };
    let what = match last == sequence.last_value {
        true => format!("{shown} differs in whether its value {last} was used"),
        false => format!("{shown} has the value {last}, and {} was dumped", sequence.last_value),
    };
    Ok((!same).then_some(what))
}
