//! Settings of the session in which `pg_dump` runs: what it does not set itself and its output depends on.

use std::collections::BTreeMap;

use tokio_postgres::Client;

use crate::postgres;
use crate::step::{Env, StepError};

/// The settings that rows, as `COPY` writes them, depend on, and that `pg_dump` leaves as the role or the database has them.
const NAMES: [&str; 3] = ["bytea_output", "lc_monetary", "quote_all_identifiers"];

/// Their values for a new session of the user, for the manifest: who reads rows back sets the same.
///
/// # Errors
/// The server does not answer.
pub async fn settings(client: &Client, float_digits: &Option<String>) -> Result<BTreeMap<String, String>, StepError> {
    // The value to which RESET leads is that of a session where nothing was set yet.
    let sql = "SELECT name, reset_val FROM pg_catalog.pg_settings WHERE name = ANY ($1)";
    let rows = client.query(sql, &[&NAMES.as_slice()]).await;
    let rows = rows.map_err(|e| postgres::asked("asking for the settings of the session", &e))?;
    let mut settings: BTreeMap<String, String> = rows.iter().map(|r| (r.get(0), r.get(1))).collect();
    settings.extend(float_digits.clone().map(|digits| ("extra_float_digits".to_owned(), digits)));
    Ok(settings)
}

/// How precisely `pg_dump` is told to write numbers, when that is said in its own words.
pub fn float_digits(extra_args: &[String]) -> Option<String> {
    let mut args = extra_args.iter();
    let mut found = None;
    while let Some(arg) = args.next() {
        match arg.split_once('=') {
            Some(("--extra-float-digits", digits)) => found = Some(digits.to_owned()),
            None if arg == "--extra-float-digits" => found = args.next().cloned(),
            _ => {}
        }
    }
    found
}

/// The environment of `pg_dump`: times are written in UTC, so that another server writes them alike.
pub fn environment(mut env: Env) -> Env {
    env.insert("PGTZ".to_owned(), "UTC".to_owned());
    env
}

/// A seed for the hashes of one dump.
///
/// # Errors
/// The system gives no random bytes.
pub fn seed() -> Result<u64, StepError> {
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes).map_err(|e| StepError::new(format!("the system gives no random bytes: {e}")))?;
    Ok(u64::from_le_bytes(bytes))
}
