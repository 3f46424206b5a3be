//! Making and dropping whole databases, from a session with another one of the same server.

use tokio_postgres::error::SqlState;

use super::connect::Session;
use super::{Settings, asked, connect_rw, escape_identifier};
use crate::step::{StepError, Touch};

/// A session with the database `postgres`, or `template1` where that one is missing.
///
/// # Errors
/// The server lets us into neither.
pub async fn connect_beside(touch: &Touch, settings: &Settings) -> Result<Session, StepError> {
    let other = |name: &str| Settings { dbname: Some(name.to_owned()), ..settings.clone() };
    match connect_rw(touch, &other("postgres")).await {
        Err(first) => connect_rw(touch, &other("template1")).await.map_err(|_| first),
        ok => ok,
    }
}

/// Makes the database that the settings name, from `template0`: with nothing in it that a dump could meet.
///
/// # Errors
/// It is there already, or the user may not make databases.
pub async fn create_database(touch: &Touch, settings: &Settings) -> Result<(), StepError> {
    let name = settings.dbname.clone().unwrap_or_default();
    let session = connect_beside(touch, settings).await?;
    let sql = format!("CREATE DATABASE {} TEMPLATE template0", escape_identifier(&name));
    session.client.batch_execute(&sql).await.map_err(|e| {
        let failed = asked(&format!("making the database `{name}`"), &e);
        match e.code() {
            Some(&SqlState::DUPLICATE_DATABASE) => failed.hint("drop it first, or restore into it without `create`"),
            Some(&SqlState::INSUFFICIENT_PRIVILEGE) => {
                failed.hint("let the user make databases: ALTER ROLE … CREATEDB")
            }
            _ => failed,
        }
    })
}

/// Drops the database that the settings name, and ends the sessions with it.
///
/// # Errors
/// The server refuses.
pub async fn drop_database(touch: &Touch, settings: &Settings) -> Result<(), StepError> {
    let name = settings.dbname.clone().unwrap_or_default();
    let session = connect_beside(&touch.to_clear_up(), settings).await?;
    let wrong = |e: &tokio_postgres::Error| asked(&format!("dropping the database `{name}`"), e);
    // `DROP DATABASE … WITH (FORCE)` is known from PostgreSQL 13 on only.
    let sql = "SELECT pg_catalog.pg_terminate_backend(pid) FROM pg_catalog.pg_stat_activity WHERE datname = $1 AND pid <> pg_catalog.pg_backend_pid()";
    session.client.query(sql, &[&name]).await.map_err(|e| wrong(&e))?;
    let sql = format!("DROP DATABASE IF EXISTS {}", escape_identifier(&name));
    session.client.batch_execute(&sql).await.map_err(|e| wrong(&e))
}
