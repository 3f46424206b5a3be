//! What is measured of a dump, and which relations `pg_dump` takes.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio_postgres::Client;

use super::Params;
use crate::postgres::{self, Pattern};
use crate::step::StepError;

/// What the manifest says of each table. It is computed from the bytes of the dump while they are written; the tables
/// of the server are not read again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Depth {
    /// The number of rows.
    Counts,
    /// The number of rows and a checksum of them. The checksum finds mistakes; the authentication code of the archive
    /// finds malicious changes.
    #[default]
    Checksums,
}

/// What was picked of the database, for a dump that does not say itself what it holds.
#[derive(Debug, Clone, Default)]
pub struct Picked {
    schemas: Vec<String>,
    tables: Vec<String>,
    without: Vec<String>,
}

impl Picked {
    pub fn of(params: &Params) -> Self {
        Self {
            schemas: params.schemas.clone(),
            tables: params.tables.clone(),
            without: [params.exclude_tables.clone(), params.exclude_table_data.clone()].concat(),
        }
    }

    /// The same with nothing left out but these.
    pub fn but_for(&self, without: &[String]) -> Self {
        Self { without: without.to_vec(), ..self.clone() }
    }
}

/// The relations of a kind that `pg_dump` takes when it is told the same (its manual, `--schema`, `--table`): tables
/// that are named win over schemas, and what belongs to an extension is not dumped.
pub async fn picked(client: &Client, picked: &Picked, kind: &str) -> Result<Vec<(String, String)>, StepError> {
    let near = postgres::visible_schemas(client).await?;
    let sql = "SELECT n.nspname::text, c.relname::text, VISIBLE, \
               ARRAY(SELECT n.nspname ~ p FROM pg_catalog.unnest($2::text[]) p), \
               ARRAY(SELECT c.relname ~ p FROM pg_catalog.unnest($3::text[]) p), \
               ARRAY(SELECT n.nspname ~ p FROM pg_catalog.unnest($4::text[]) p), \
               ARRAY(SELECT c.relname ~ p FROM pg_catalog.unnest($5::text[]) p), \
               ARRAY(SELECT n.nspname ~ p FROM pg_catalog.unnest($6::text[]) p) \
               FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
               WHERE c.relkind::text = $1 AND c.relpersistence <> 't' AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' \
               AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objid = c.oid AND d.deptype = 'e') \
               ORDER BY 1, 2";
    let sql = sql.replace("VISIBLE", &postgres::visible("$7"));
    let parse = |texts: &[String]| texts.iter().map(|t| Pattern::parse(t)).collect::<Vec<_>>();
    let schemas: Vec<String> = parse(&picked.schemas).into_iter().map(|p| p.name).collect();
    let (tables, without) = (parse(&picked.tables), parse(&picked.without));
    let names = |all: &[Pattern]| all.iter().map(|p| p.name.clone()).collect::<Vec<_>>();
    let places = |all: &[Pattern]| all.iter().map(|p| p.schema.clone().unwrap_or_default()).collect::<Vec<_>>();
    let rows = client
        .query(&sql, &[&kind, &schemas, &names(&tables), &places(&tables), &names(&without), &places(&without), &near])
        .await
        .map_err(|e| postgres::asked("asking what is dumped", &e))?;
    let taken = |row: &tokio_postgres::Row| {
        let near: bool = row.get(2);
        let any = |patterns: &[Pattern], name: usize, place: usize| {
            let (by_name, by_place): (Vec<bool>, Vec<bool>) = (row.get(name), row.get(place));
            let fits = |i: usize| by_name[i] && if patterns[i].schema.is_some() { by_place[i] } else { near };
            (0..patterns.len()).any(fits)
        };
        let inside = match (tables.is_empty(), schemas.is_empty()) {
            (true, true) => true,
            (false, _) => any(&tables, 4, 5),
            (true, false) => row.get::<_, Vec<bool>>(3).contains(&true),
        };
        inside && !any(&without, 6, 7)
    };
    Ok(rows.iter().filter(|r| taken(r)).map(|r| (r.get(0), r.get(1))).collect())
}
