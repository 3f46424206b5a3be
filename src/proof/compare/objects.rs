//! Large objects of a database against those of the evidence.

use std::collections::BTreeMap;

use futures_util::StreamExt;
use tokio_postgres::Client;

use crate::dump::evidence::{Evidence, LargeObjects, large_objects};
use crate::dump::objects::{Object, ObjectHasher};
use crate::dump::rows::Hashing;
use crate::postgres::asked;
use crate::step::StepError;

/// Bytes of an object that are read at a time. The server makes no value larger than this, however large the object is.
const PIECE: i32 = 1 << 20;

/// Every difference, a line each.
///
/// # Errors
/// The server does not answer.
pub async fn differences(client: &Client, evidence: &Evidence, hashing: Hashing) -> Result<Vec<String>, StepError> {
    let dumped = &evidence.large_objects;
    if dumped.bytes == 0 && dumped.checksum.is_none() {
        // None were dumped, or they were counted only.
        let sql = "SELECT pg_catalog.count(*) FROM pg_catalog.pg_largeobject_metadata";
        let row = client.query_one(sql, &[]).await.map_err(|e| asked("counting the large objects", &e))?;
        let count = u64::try_from(row.get::<_, i64>(0)).unwrap_or(0);
        let other = LargeObjects { count, ..dumped.clone() };
        let named = evidence.not_measured.iter().any(|n| n.schema.is_empty());
        return Ok(if named { Vec::new() } else { dumped.differences(&other, "there") });
    }
    match read(client, hashing).await {
        Ok(objects) => Ok(dumped.differences(&large_objects(&objects, hashing), "there")),
        Err(error) => match error.as_db_error() {
            Some(database) => Ok(vec![format!("the large objects cannot be read back: {}", database.message())]),
            None => Err(asked("reading the large objects back", &error)),
        },
    }
}

async fn read(client: &Client, hashing: Hashing) -> Result<BTreeMap<u64, Object>, tokio_postgres::Error> {
    let sql =
        "SELECT oid::pg_catalog.int8, pg_catalog.lo_get(oid, 0, $1::int4) FROM pg_catalog.pg_largeobject_metadata";
    let mut objects = BTreeMap::new();
    let mut long = Vec::new();
    let mut hasher = ObjectHasher::new(hashing);
    {
        let rows = client.query_raw(sql, [PIECE]).await?;
        let mut rows = std::pin::pin!(rows);
        while let Some(row) = rows.next().await {
            let row = row?;
            let (oid, data): (i64, &[u8]) = (row.get(0), row.get(1));
            if i32::try_from(data.len()) == Ok(PIECE) {
                long.push(oid);
                continue;
            }
            hasher.take(data);
            objects.insert(u64::try_from(oid).unwrap_or(0), hasher.finish());
        }
    }
    for oid in long {
        let mut at = 0i64;
        loop {
            let sql = "SELECT pg_catalog.lo_get($1::int8::pg_catalog.oid, $2::int8, $3::int4)";
            let row = client.query_one(sql, &[&oid, &at, &PIECE]).await?;
            let data: &[u8] = row.get(0);
            hasher.take(data);
            if i32::try_from(data.len()) != Ok(PIECE) {
                break;
            }
            at += i64::from(PIECE);
        }
        objects.insert(u64::try_from(oid).unwrap_or(0), hasher.finish());
    }
    Ok(objects)
}
