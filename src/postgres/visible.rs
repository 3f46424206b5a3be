//! What a name without a schema means: that goes by the role's own search path, while our own statements run with that
//! of the system alone.

use tokio_postgres::{Client, SimpleQueryMessage};

use super::asked;
use crate::step::StepError;

/// The schemas in which the role's own settings look a name up, the first one first.
///
/// # Errors
/// The server does not say it.
pub async fn visible_schemas(client: &Client) -> Result<Vec<String>, StepError> {
    // One statement names a function, and in full: the role's search path, which holds for it, plays no part.
    let sql = "SET search_path TO DEFAULT; SELECT pg_catalog.array_to_json(pg_catalog.current_schemas(false)); \
               SET search_path = pg_catalog";
    let messages = client.simple_query(sql).await.map_err(|e| asked("asking for the search path", &e))?;
    let text = messages.iter().find_map(|m| match m {
        SimpleQueryMessage::Row(row) => row.get(0),
        _ => None,
    });
    serde_json::from_str(text.unwrap_or("[]")).map_err(|e| StepError::because("reading the search path", &e))
}

/// The condition that a relation `c` of the schema `n` is what its name alone means: it lies in one of the schemas of the
/// parameter (`$1`, a `text[]`), and none before that has one of its name. As `pg_table_is_visible` says it, but for
/// schemas that are given.
pub fn visible(parameter: &str) -> String {
    format!(
        "(n.nspname::pg_catalog.text = ANY ({parameter}::pg_catalog.text[]) AND NOT EXISTS (SELECT FROM pg_catalog.pg_class o \
         JOIN pg_catalog.pg_namespace m ON m.oid = o.relnamespace WHERE o.relname = c.relname \
         AND pg_catalog.array_position({parameter}::pg_catalog.text[], m.nspname::pg_catalog.text) \
         < pg_catalog.array_position({parameter}::pg_catalog.text[]::pg_catalog.text[], n.nspname::pg_catalog.text)))"
    )
}
