//! The snapshot that is dumped, and what it holds: rows and checksums are taken in the very transaction that lends its
//! snapshot to `pg_dump`, while that runs.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio_postgres::Client;

use super::Params;
use crate::dump::toc::{self, Toc};
use crate::postgres::evidence::{self, Evidence};
use crate::postgres::{self, Pattern, Settings};
use crate::step::{StepError, Touch};

/// What is measured of each table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Depth {
    /// Its rows are counted.
    #[default]
    Counts,
    /// Its rows are counted and its content summed up, which reads and hashes every row.
    Checksums,
}

/// What was picked of the database, for a dump that does not say itself what it holds.
#[derive(Debug, Clone, Default)]
pub struct Picked {
    schemas: Vec<String>,
    tables: Vec<String>,
    without: Vec<String>,
    /// More was said in words of `pg_dump`'s own, and nobody but it knows what is dumped.
    unknown: bool,
}

impl Picked {
    pub fn of(params: &Params) -> Self {
        Self {
            schemas: params.schemas.clone(),
            tables: params.tables.clone(),
            without: [params.exclude_tables.clone(), params.exclude_table_data.clone()].concat(),
            unknown: !params.extra_args.is_empty(),
        }
    }

    /// The same with nothing left out but these.
    pub fn but_for(&self, without: &[String]) -> Self {
        Self { without: without.to_vec(), ..self.clone() }
    }
}

/// A transaction that holds a snapshot.
pub struct Snapshot {
    client: Client,
    /// What `pg_dump --snapshot` takes.
    pub id: String,
}

impl Snapshot {
    /// Begins a transaction and lends its snapshot out (PostgreSQL manual, "Snapshot Synchronization Functions"), in a
    /// session that cannot write, and that is opened again when it was lost.
    ///
    /// # Errors
    /// The server does not do that.
    pub async fn export(touch: &Touch, database: &Settings, session: Option<Client>) -> Result<Self, StepError> {
        let client = match session.filter(|s| !s.is_closed()) {
            Some(session) => session,
            None => postgres::connect(touch.look(), database).await?,
        };
        let begin = format!("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; {}", evidence::PREPARE);
        client.batch_execute(&begin).await.map_err(|e| postgres::asked("beginning a snapshot", &e))?;
        let row = client.query_one("SELECT pg_export_snapshot()", &[]).await;
        let id = row.map_err(|e| postgres::asked("lending the snapshot out", &e))?.get(0);
        Ok(Self { client, id })
    }

    /// Measures what the dump says that it holds.
    ///
    /// # Errors
    /// The server does not let it be measured.
    pub async fn measure(&self, toc: &Toc, depth: Depth) -> Result<Evidence, StepError> {
        let place = |e: &toc::Entry| (e.schema.clone().unwrap_or_default(), e.name.clone());
        let tables = toc.of("TABLE DATA").filter(|e| e.data).map(place).collect();
        self.all(tables, toc.of("SEQUENCE SET").map(place).collect(), depth).await
    }

    /// Measures what was picked, for a dump that cannot be asked, or not yet; none when nobody knows what that is.
    ///
    /// # Errors
    /// The server does not let it be measured.
    pub async fn measure_picked(&self, picked: &Picked, depth: Depth) -> Result<Option<Evidence>, StepError> {
        if picked.unknown {
            return Ok(None);
        }
        let (tables, sequences) = (self.picked(picked, "r").await?, self.picked(picked, "S").await?);
        self.all(tables, sequences, depth).await.map(Some)
    }

    /// Makes what was measured of what was picked into what the dump says that it holds.
    ///
    /// # Errors
    /// The server does not let it be measured.
    pub async fn settle(&self, found: Option<Evidence>, toc: &Toc, depth: Depth) -> Result<Evidence, StepError> {
        let Some(mut found) = found else { return self.measure(toc, depth).await };
        let mut tables = Vec::new();
        for entry in toc.of("TABLE DATA").filter(|e| e.data) {
            let schema = entry.schema.clone().unwrap_or_default();
            match found.tables.iter().position(|t| t.schema == schema && t.name == entry.name) {
                Some(at) => tables.push(found.tables.swap_remove(at)),
                None => {
                    let checksum = depth == Depth::Checksums;
                    tables.push(evidence::table(&self.client, &schema, &entry.name, checksum).await?);
                }
            }
        }
        found.tables = tables;
        Ok(found)
    }

    async fn all(
        &self,
        tables: Vec<(String, String)>,
        sequences: Vec<(String, String)>,
        depth: Depth,
    ) -> Result<Evidence, StepError> {
        let checksum = depth == Depth::Checksums;
        let mut found = evidence::surroundings(&self.client, checksum).await?;
        for (schema, name) in tables {
            found.tables.push(evidence::table(&self.client, &schema, &name, checksum).await?);
        }
        for (schema, name) in sequences {
            found.sequences.push(evidence::sequence(&self.client, &schema, &name).await?);
        }
        Ok(found)
    }

    /// The relations of a kind that `pg_dump` takes when it is told the same.
    async fn picked(&self, picked: &Picked, kind: &str) -> Result<Vec<(String, String)>, StepError> {
        // A name without a schema means what the search path shows, as for `pg_dump`.
        let path = async |sql: &str| {
            self.client.batch_execute(sql).await.map_err(|e| postgres::asked("changing the search path", &e))
        };
        path("RESET search_path").await?;
        let found = self::picked(&self.client, picked, kind).await?;
        path("SET search_path = pg_catalog").await?;
        Ok(found)
    }
}

/// The relations of a kind that `pg_dump` takes when it is told the same (its manual, `--schema`, `--table`): tables
/// that are named win over schemas, and what belongs to an extension is not dumped.
pub async fn picked(client: &Client, picked: &Picked, kind: &str) -> Result<Vec<(String, String)>, StepError> {
    let near = postgres::visible_schemas(client).await?;
    let sql = "SELECT n.nspname::text, c.relname::text, VISIBLE, \
               ARRAY(SELECT n.nspname ~ p FROM unnest($2::text[]) p), \
               ARRAY(SELECT c.relname ~ p FROM unnest($3::text[]) p), \
               ARRAY(SELECT n.nspname ~ p FROM unnest($4::text[]) p), \
               ARRAY(SELECT c.relname ~ p FROM unnest($5::text[]) p), \
               ARRAY(SELECT n.nspname ~ p FROM unnest($6::text[]) p) \
               FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
               WHERE c.relkind::text = $1 AND c.relpersistence <> 't' AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' \
               AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e') \
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
