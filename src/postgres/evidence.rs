//! What a database holds, measured: rows and, when asked, a checksum of each table, sequences, extensions, roles, large
//! objects. Taken in the snapshot that is dumped, and compared with a database that was restored.

use serde::{Deserialize, Serialize};
use tokio_postgres::Client;

use super::{asked, escape_identifier};
use crate::step::StepError;

/// What was measured.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Evidence {
    pub tables: Vec<Table>,
    pub sequences: Vec<Sequence>,
    pub extensions: Vec<Extension>,
    /// Roles that own something in the database or have a right there.
    pub roles: Vec<String>,
    pub large_objects: LargeObjects,
}

/// One table whose rows are in the dump.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Table {
    pub schema: String,
    pub name: String,
    pub rows: i64,
    /// Its content as one number; none unless it was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checksum: Option<String>,
}

/// Where a sequence stands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sequence {
    pub schema: String,
    pub name: String,
    pub last_value: i64,
    pub is_called: bool,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Extension {
    pub name: String,
    pub version: String,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LargeObjects {
    pub count: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checksum: Option<String>,
}

/// What a session is set to before anything is measured, so that values are written alike everywhere: as `pg_dump` does it
/// (`setup_connection` in its source), with times in UTC.
pub const PREPARE: &str = "SET datestyle = ISO; SET intervalstyle = postgres; SET extra_float_digits = 3; SET timezone = 'UTC'; \
                           SET bytea_output = hex; SET row_security = off; SET search_path = pg_catalog";

/// The content of a table as one number that does not depend on the order of its rows: the sum over all rows of the first
/// 64 bits of the MD5 of the row written as text. Rows that are there twice count twice. It finds mistakes, not malice.
fn checksum_of(table: &str) -> String {
    format!(
        "(SELECT coalesce(sum(('x' || left(md5(t::text), 16))::bit(64)::bigint::numeric), 0)::text FROM ONLY {table} t)"
    )
}

/// Rows of one table, and its checksum when that is asked for.
///
/// # Errors
/// The server does not answer, or does not let the user read.
pub async fn table(client: &Client, schema: &str, name: &str, checksum: bool) -> Result<Table, StepError> {
    let quoted = format!("{}.{}", escape_identifier(schema), escape_identifier(name));
    let sum = if checksum { checksum_of(&quoted) } else { "NULL::text".to_owned() };
    let sql = format!("SELECT (SELECT count(*) FROM ONLY {quoted}), {sum}");
    let row = client.query_one(&sql, &[]).await.map_err(|e| asked(&format!("counting the rows of {quoted}"), &e))?;
    Ok(Table { schema: schema.to_owned(), name: name.to_owned(), rows: row.get(0), checksum: row.get(1) })
}

/// Where a sequence stands.
///
/// # Errors
/// As for [`table`].
pub async fn sequence(client: &Client, schema: &str, name: &str) -> Result<Sequence, StepError> {
    let quoted = format!("{}.{}", escape_identifier(schema), escape_identifier(name));
    let row = client.query_one(&format!("SELECT last_value, is_called FROM {quoted}"), &[]).await;
    let row = row.map_err(|e| asked(&format!("asking the sequence {quoted}"), &e))?;
    Ok(Sequence { schema: schema.to_owned(), name: name.to_owned(), last_value: row.get(0), is_called: row.get(1) })
}

/// Extensions, roles and large objects of the database.
///
/// # Errors
/// As for [`table`].
pub async fn surroundings(client: &Client, checksum: bool) -> Result<Evidence, StepError> {
    let wrong = |e: tokio_postgres::Error| asked("asking for extensions, roles and large objects", &e);
    let sql = "SELECT extname::text, extversion FROM pg_extension ORDER BY 1";
    let extensions = client.query(sql, &[]).await.map_err(wrong)?;
    // The first superuser owns without being noted as an owner in pg_shdepend.
    let sql = "SELECT DISTINCT r.rolname::text FROM pg_roles r WHERE EXISTS (SELECT FROM pg_shdepend d \
               WHERE d.refclassid = 'pg_authid'::regclass AND d.refobjid = r.oid \
               AND d.dbid = (SELECT oid FROM pg_database WHERE datname = current_database())) \
               OR EXISTS (SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
               WHERE c.relowner = r.oid AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema') ORDER BY 1";
    let roles = client.query(sql, &[]).await.map_err(wrong)?;
    let sql = "SELECT count(*) FROM pg_largeobject_metadata";
    let count = client.query_one(sql, &[]).await.map_err(wrong)?.get(0);
    let sum = if checksum && count > 0 {
        // `lo_get` asks for the same rights as pg_dump needs.
        let sql = "SELECT sum(('x' || left(md5(oid::text || ' ' || lo_get(oid)::text), 16))::bit(64)::bigint::numeric)::text \
                   FROM pg_largeobject_metadata";
        client.query_one(sql, &[]).await.map_err(wrong)?.get(0)
    } else {
        None
    };
    Ok(Evidence {
        extensions: extensions.iter().map(|r| Extension { name: r.get(0), version: r.get(1) }).collect(),
        roles: roles.iter().map(|r| r.get(0)).collect(),
        large_objects: LargeObjects { count, checksum: sum },
        ..Evidence::default()
    })
}

/// Every way in which a database differs from what was measured, a line each; none when it is the same. Only what the
/// evidence names is looked at. A sequence may have moved between the snapshot and the dump, so one that stands further
/// is no difference.
///
/// # Errors
/// The server does not answer.
pub async fn differences(client: &Client, evidence: &Evidence) -> Result<Vec<String>, StepError> {
    client.batch_execute(PREPARE).await.map_err(|e| asked("preparing the session", &e))?;
    let mut found = Vec::new();
    for wanted in &evidence.tables {
        let place = format!("`{}.{}`", wanted.schema, wanted.name);
        if !exists(client, &wanted.schema, &wanted.name).await? {
            found.push(format!("the table {place} is missing"));
            continue;
        }
        let there = table(client, &wanted.schema, &wanted.name, wanted.checksum.is_some()).await?;
        if there.rows != wanted.rows {
            found.push(format!("the table {place} has {} rows, and {} were dumped", there.rows, wanted.rows));
        } else if there.checksum != wanted.checksum {
            found.push(format!("the table {place} has other content than was dumped (its checksum differs)"));
        }
    }
    for wanted in &evidence.sequences {
        let place = format!("`{}.{}`", wanted.schema, wanted.name);
        if !exists(client, &wanted.schema, &wanted.name).await? {
            found.push(format!("the sequence {place} is missing"));
            continue;
        }
        let there = sequence(client, &wanted.schema, &wanted.name).await?;
        if there.last_value < wanted.last_value {
            found.push(format!(
                "the sequence {place} stands at {}, and {} was dumped",
                there.last_value, wanted.last_value
            ));
        }
    }
    let there = surroundings(client, evidence.large_objects.checksum.is_some()).await?;
    for wanted in &evidence.extensions {
        if !there.extensions.iter().any(|e| e.name == wanted.name) {
            found.push(format!("the extension `{}` is missing", wanted.name));
        }
    }
    let (own, dumped) = (&there.large_objects, &evidence.large_objects);
    if own.count != dumped.count {
        found.push(format!("there are {} large objects, and {} were dumped", own.count, dumped.count));
    } else if own.checksum != dumped.checksum {
        found.push("the large objects have other content than was dumped".to_owned());
    }
    Ok(found)
}

async fn exists(client: &Client, schema: &str, name: &str) -> Result<bool, StepError> {
    let sql = "SELECT EXISTS (SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
               WHERE n.nspname = $1 AND c.relname = $2)";
    let row = client.query_one(sql, &[&schema, &name]).await;
    Ok(row.map_err(|e| asked(&format!("looking for `{schema}.{name}`"), &e))?.get(0))
}
