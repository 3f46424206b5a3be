//! Making and dropping whole databases, from a session with another one of the same server.

use tokio_postgres::error::SqlState;

use super::connect::Session;
use super::properties::DatabaseProperties;
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

/// What a new database is like.
#[derive(Debug, Clone, Copy, Default)]
pub struct NewDatabase<'p> {
    /// Its encoding, locale and tablespace; none: those of the server.
    pub properties: Option<&'p DatabaseProperties>,
    /// Take the locale `C` where the server does not have that locale, and the usual tablespace always: the database is
    /// there for a check.
    pub for_check: bool,
    /// Take the usual tablespace.
    pub no_tablespaces: bool,
}

/// Makes the database that the settings name, from `template0`: with nothing in it that a dump could meet.
///
/// # Errors
/// It is there already, the user may not make databases, or the server does not have the locale.
pub async fn create_database(touch: &Touch, settings: &Settings, new: NewDatabase<'_>) -> Result<(), StepError> {
    let name = settings.dbname.clone().unwrap_or_default();
    let session = connect_beside(touch, settings).await?;
    let client = &session.client;
    let start = format!("CREATE DATABASE {} TEMPLATE template0", escape_identifier(&name));
    let Some(properties) = new.properties else {
        return client.batch_execute(&start).await.map_err(|e| uncreatable(&name, &e));
    };
    let row = client.query_one("SELECT pg_catalog.current_setting('server_version_num')::int", &[]).await;
    let number: i32 = row.map_err(|e| asked("asking the server for its version", &e))?.get(0);
    let major = u32::try_from(number / 10_000).unwrap_or(0);
    let mut end = String::new();
    if !new.for_check && !new.no_tablespaces && properties.tablespace != "pg_default" {
        let sql = "SELECT FROM pg_catalog.pg_tablespace WHERE spcname = $1";
        let found = client.query_opt(sql, &[&properties.tablespace]).await;
        match found.map_err(|e| asked("asking for the tablespaces", &e))? {
            Some(_) => end = format!(" TABLESPACE {}", escape_identifier(&properties.tablespace)),
            None => touch.log().warn(format!(
                "the server has no tablespace `{}`; the database is made in its usual one",
                properties.tablespace
            )),
        }
    }
    let create = |properties: &DatabaseProperties| format!("{start}{}{end}", properties.options(major));
    let Err(error) = client.batch_execute(&create(properties)).await else { return Ok(()) };
    let common = [Some(&SqlState::DUPLICATE_DATABASE), Some(&SqlState::INSUFFICIENT_PRIVILEGE), None];
    if common.contains(&error.code()) {
        return Err(uncreatable(&name, &error));
    }
    let locale = properties.locale.as_ref().unwrap_or(&properties.collate);
    let failed = asked(
        &format!(
            "making the database `{name}` with encoding {} and {} locale `{locale}`",
            properties.encoding, properties.provider
        ),
        &error,
    );
    if !new.for_check {
        let hint =
            "install that locale on the server's machine, or take another one: `--locale C` (`locale: C` in a plan)";
        return Err(failed.hint(hint));
    }
    touch.log().warn(format!("{failed}; the check goes on with locale `C`, in which texts are sorted differently"));
    client.batch_execute(&create(&properties.with_locale_c())).await.map_err(|e| uncreatable(&name, &e))
}

fn uncreatable(name: &str, error: &tokio_postgres::Error) -> StepError {
    let failed = asked(&format!("making the database `{name}`"), error);
    match error.code() {
        Some(&SqlState::DUPLICATE_DATABASE) => failed.hint("drop it first, or restore into it without `create`"),
        Some(&SqlState::INSUFFICIENT_PRIVILEGE) => failed.hint("let the user make databases: ALTER ROLE … CREATEDB"),
        _ => failed,
    }
}

/// Gives a database the settings that its model had for new sessions. What the server refuses is said.
///
/// # Errors
/// The server cannot be reached.
pub async fn apply_settings(
    touch: &Touch,
    settings: &Settings,
    properties: &DatabaseProperties,
) -> Result<(), StepError> {
    if properties.settings.is_empty() {
        return Ok(());
    }
    let name = settings.dbname.clone().unwrap_or_default();
    let session = connect_beside(touch, settings).await?;
    for setting in &properties.settings {
        let statement = setting.statement(&name);
        if let Err(error) = session.client.batch_execute(&statement).await {
            let what = match &setting.role {
                Some(role) => format!("setting `{}` for `{role}`", setting.name),
                None => format!("setting `{}`", setting.name),
            };
            touch.log().warn(format!("{}; it is left out", asked(&what, &error)));
        }
    }
    Ok(())
}

/// Makes tablespaces inside of a cluster that is there for nothing else, so that statements that name them succeed. Servers
/// before version 15 cannot, and such a statement fails there.
///
/// # Errors
/// The server cannot be reached.
pub async fn create_tablespaces(touch: &Touch, settings: &Settings, names: &[String]) -> Result<(), StepError> {
    if names.is_empty() {
        return Ok(());
    }
    let session = connect_beside(touch, settings).await?;
    for name in names {
        let sql = format!("CREATE TABLESPACE {} LOCATION ''", escape_identifier(name));
        let made = match session.client.batch_execute("SET allow_in_place_tablespaces = on").await {
            Ok(()) => session.client.batch_execute(&sql).await,
            failed => failed,
        };
        if let Err(error) = made {
            touch.log().warn(asked(&format!("making the tablespace `{name}`"), &error).to_string());
        }
    }
    Ok(())
}

/// Takes the subscriptions out of a database, without a word to the servers that they name: a database with one cannot be
/// dropped.
async fn drop_subscriptions(touch: &Touch, settings: &Settings) -> Result<(), StepError> {
    let session = connect_rw(touch, settings).await?;
    let sql = "SELECT subname::text FROM pg_catalog.pg_subscription \
               WHERE subdbid = (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database())";
    let rows = session.client.query(sql, &[]).await.map_err(|e| asked("asking for the subscriptions", &e))?;
    for row in rows {
        let name: String = row.get(0);
        let quoted = escape_identifier(&name);
        for sql in [
            format!("ALTER SUBSCRIPTION {quoted} DISABLE"),
            format!("ALTER SUBSCRIPTION {quoted} SET (slot_name = NONE)"),
            format!("DROP SUBSCRIPTION {quoted}"),
        ] {
            let done = session.client.batch_execute(&sql).await;
            done.map_err(|e| asked(&format!("dropping the subscription `{name}`"), &e))?;
        }
    }
    Ok(())
}

/// Drops the database that the settings name, with its subscriptions, and ends the sessions with it.
///
/// # Errors
/// The server refuses.
pub async fn drop_database(touch: &Touch, settings: &Settings) -> Result<(), StepError> {
    let name = settings.dbname.clone().unwrap_or_default();
    let touch = touch.to_clear_up();
    let session = connect_beside(&touch, settings).await?;
    let wrong = |e: &tokio_postgres::Error| asked(&format!("dropping the database `{name}`"), e);
    let sql = "SELECT EXISTS (SELECT FROM pg_catalog.pg_subscription s JOIN pg_catalog.pg_database d ON d.oid = s.subdbid \
               WHERE d.datname = $1)";
    if session.client.query_one(sql, &[&name]).await.is_ok_and(|row| row.get(0))
        && let Err(error) = drop_subscriptions(&touch, settings).await
    {
        touch.log().warn(error.to_string());
    }
    // `DROP DATABASE … WITH (FORCE)` is known from PostgreSQL 13 on only.
    let sql = "SELECT pg_catalog.pg_terminate_backend(pid) FROM pg_catalog.pg_stat_activity WHERE datname = $1 AND pid <> pg_catalog.pg_backend_pid()";
    session.client.query(sql, &[&name]).await.map_err(|e| wrong(&e))?;
    let sql = format!("DROP DATABASE IF EXISTS {}", escape_identifier(&name));
    session.client.batch_execute(&sql).await.map_err(|e| wrong(&e))
}
