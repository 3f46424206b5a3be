//! `cross_check`: the rows of ordinary tables counted by queries of our own, in the snapshot that is dumped.
//!
//! The snapshot is lent to `pg_dump` and lives as long as the session that made it. Counting comes after the dump, in short
//! transactions that hold locks on some hundred tables at a time. A snapshot does not protect from `TRUNCATE` and the like,
//! so a table whose file on the server's disk is no longer the one that was there before the dump is left out.

use std::collections::HashMap;

use tokio_postgres::Client;

use crate::dump::evidence::{Evidence, Table, bytes_of};
use crate::postgres::{self, Settings, asked, escape_identifier};
use crate::step::{StepError, Touch};

/// How many tables are locked at a time.
const BATCH: usize = 200;
/// How many tables that were not counted are named.
const NAMED: usize = 5;

/// A session that nothing ends and whose queries reach nothing but tables.
const PREPARE: &str = "SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = '60s'; \
                       SET LOCAL idle_in_transaction_session_timeout = 0; SET LOCAL row_security = off; \
                       SELECT pg_catalog.set_config('search_path', '', true); \
                       SELECT pg_catalog.set_config(name, '0', true) FROM pg_catalog.pg_settings WHERE name = 'transaction_timeout'; \
                       SELECT pg_catalog.set_config(name, 'view, foreign-table', true) FROM pg_catalog.pg_settings \
                       WHERE name = 'restrict_nonsystem_relation_kind'";

/// A transaction that holds a snapshot.
pub struct Snapshot {
    /// Keeps it alive.
    _client: Client,
    /// What `pg_dump --snapshot` takes.
    pub id: String,
    /// Each ordinary table, with its number and that of its file.
    files: HashMap<(String, String), (u32, u32)>,
}

impl Snapshot {
    /// Begins a transaction and lends its snapshot out (PostgreSQL manual, "Snapshot Synchronization Functions").
    ///
    /// # Errors
    /// The server refuses.
    pub async fn export(touch: &Touch, database: &Settings) -> Result<Self, StepError> {
        let client = postgres::connect(touch.look(), database).await?;
        let begin = format!("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; {PREPARE}");
        client.batch_execute(&begin).await.map_err(|e| asked("beginning a snapshot", &e))?;
        let row = client.query_one("SELECT pg_catalog.pg_export_snapshot()", &[]).await;
        let id = row.map_err(|e| asked("lending the snapshot out", &e))?.get(0);
        let sql = "SELECT n.nspname::text, c.relname::text, c.oid, pg_catalog.pg_relation_filenode(c.oid) \
                   FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
                   WHERE c.relkind = 'r' AND c.relpersistence <> 't' AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d \
                   WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objid = c.oid AND d.deptype = 'e')";
        let rows = client.query(sql, &[]).await.map_err(|e| asked("asking for the tables", &e))?;
        let file =
            |row: &tokio_postgres::Row| Some(((row.get(0), row.get(1)), (row.get(2), row.get::<_, Option<u32>>(3)?)));
        Ok(Self { files: rows.iter().filter_map(file).collect(), _client: client, id })
    }
}

/// Counts the rows of what was dumped. What cannot be counted is a warning.
///
/// # Errors
/// A table has another number of rows than the dump, or the run is cancelled.
pub async fn compare(
    touch: &Touch,
    snapshot: Snapshot,
    database: &Settings,
    evidence: &Evidence,
) -> Result<(), StepError> {
    let mut skipped = Vec::new();
    let counted = tokio::select! {
        counted = count(touch, &snapshot, database, evidence, &mut skipped) => counted,
        _ = touch.cancel().cancelled() => return Err(StepError::cancelled()),
    };
    let different = match counted {
        Ok(different) => different,
        Err(error) => {
            touch.log().warn(format!("`cross_check` could not count the rows: {error}"));
            return Ok(());
        }
    };
    if !different.is_empty() {
        let what = format!("`cross_check` counted other rows than were dumped: {}", different.join("; "));
        return Err(StepError::new(what)
            .hint("run it again; if it stays so, look at the indexes of these tables and at pg_dump"));
    }
    if !skipped.is_empty() {
        let more = skipped.len().saturating_sub(NAMED);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        skipped.truncate(NAMED);
        touch.log().warn(format!("`cross_check` did not count {}{more}", skipped.join(", ")));
    }
    let tables = evidence.tables.len();
    touch.log().info(format!("`cross_check` compared the rows of {tables} tables with queries in the same snapshot"));
    Ok(())
}

async fn count(
    touch: &Touch,
    snapshot: &Snapshot,
    database: &Settings,
    evidence: &Evidence,
    skipped: &mut Vec<String>,
) -> Result<Vec<String>, StepError> {
    let client = postgres::connect(touch.look(), database).await?;
    let begin = format!(
        "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET TRANSACTION SNAPSHOT '{}'; {PREPARE}",
        snapshot.id.replace('\'', "")
    );
    let doing = "importing the snapshot";
    let mut different = Vec::new();
    for tables in evidence.tables.chunks(BATCH) {
        client.batch_execute(&begin).await.map_err(|e| asked(doing, &e))?;
        for table in tables {
            let place = format!("`{}.{}`", table.schema, table.name);
            match count_one(&client, snapshot, table).await {
                Ok(Some(rows)) if rows != table.rows => {
                    different.push(format!("{place} has {rows} rows, and {} were dumped", table.rows));
                }
                Ok(Some(_)) => {}
                Ok(None) => skipped.push(format!("{place} (not an ordinary table, or replaced during the dump)")),
                Err(error) => {
                    let Some(database) = error.as_db_error() else { return Err(asked("counting rows", &error)) };
                    skipped.push(format!("{place} ({})", database.message()));
                    client.batch_execute("ROLLBACK").await.map_err(|e| asked(doing, &e))?;
                    client.batch_execute(&begin).await.map_err(|e| asked(doing, &e))?;
                }
            }
        }
        client.batch_execute("COMMIT").await.map_err(|e| asked(doing, &e))?;
    }
    Ok(different)
}

/// Counts a table; none when it is not the one that was there before the dump.
async fn count_one(client: &Client, snapshot: &Snapshot, table: &Table) -> Result<Option<u64>, tokio_postgres::Error> {
    let names = (String::from_utf8(bytes_of(&table.schema)), String::from_utf8(bytes_of(&table.name)));
    let (Ok(schema), Ok(name)) = names else { return Ok(None) };
    let quoted = format!("{}.{}", escape_identifier(&schema), escape_identifier(&name));
    let Some(known) = snapshot.files.get(&(schema, name)) else { return Ok(None) };
    client.batch_execute(&format!("LOCK TABLE ONLY {quoted} IN ACCESS SHARE MODE")).await?;
    let sql = "SELECT r.oid, pg_catalog.pg_relation_filenode(r.oid) FROM \
               (SELECT $1::text::pg_catalog.regclass::pg_catalog.oid AS oid) r";
    let row = client.query_one(sql, &[&quoted]).await?;
    if (row.get(0), row.get::<_, Option<u32>>(1)) != (known.0, Some(known.1)) {
        return Ok(None);
    }
    let row = client.query_one(&format!("SELECT pg_catalog.count(*) FROM ONLY {quoted}"), &[]).await?;
    Ok(u64::try_from(row.get::<_, i64>(0)).ok())
}
