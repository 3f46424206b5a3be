//! The tables and sequences of the evidence, as the database knows them.

use std::collections::HashMap;

use tokio_postgres::Client;

use crate::dump::evidence::{Evidence, bytes_of};
use crate::postgres::asked;
use crate::step::StepError;

/// Where something of the evidence is.
#[derive(Debug, Clone)]
pub enum Place {
    There(Box<There>),
    Missing,
    /// Its name cannot be written in the encoding of the database.
    Unknown,
}

/// A relation of the database.
#[derive(Debug, Clone)]
pub struct There {
    pub schema: String,
    pub name: String,
    /// As `pg_class.relkind`.
    pub kind: String,
    pub columns: Vec<String>,
    /// Of a configuration table of an extension: which of its rows are dumped, beginning with `WHERE`, as `pg_dump` asks.
    pub condition: Option<String>,
}

/// All of them, in the order of the evidence.
pub struct Places {
    pub tables: Vec<Place>,
    pub sequences: Vec<Place>,
}

/// Turns names of a dump into text, with the help of the server where they are not in UTF-8.
struct Decoder<'c> {
    client: &'c Client,
    encoding: Option<&'c str>,
    known: HashMap<String, Option<String>>,
}

impl Decoder<'_> {
    async fn text(&mut self, name: &str) -> Result<Option<String>, StepError> {
        let bytes = bytes_of(name);
        if bytes.is_ascii() || matches!(self.encoding, None | Some("UTF8" | "SQL_ASCII")) {
            return Ok(String::from_utf8(bytes).ok());
        }
        if let Some(known) = self.known.get(name) {
            return Ok(known.clone());
        }
        let sql = "SELECT pg_catalog.convert_from($1, $2::text::name)";
        let decoded = match self.client.query_one(sql, &[&bytes, &self.encoding]).await {
            Ok(row) => Some(row.get(0)),
            Err(error) if error.as_db_error().is_some() => None,
            Err(error) => return Err(asked("reading names of the dump", &error)),
        };
        self.known.insert(name.to_owned(), decoded.clone());
        Ok(decoded)
    }
}

impl Places {
    /// Looks everything up.
    ///
    /// # Errors
    /// The server does not answer.
    pub async fn find(client: &Client, evidence: &Evidence) -> Result<Self, StepError> {
        let encoding = evidence.session.client_encoding.as_deref();
        let mut decoder = Decoder { client, encoding, known: HashMap::new() };
        let tables = evidence.tables.iter().map(|t| (&t.schema, &t.name, t.columns.as_slice()));
        let all = tables.chain(evidence.sequences.iter().map(|s| (&s.schema, &s.name, [].as_slice())));
        let mut wanted = Vec::new();
        for (schema, name, columns) in all {
            let mut texts = Vec::new();
            for text in [schema, name].into_iter().chain(columns) {
                texts.push(decoder.text(text).await?);
            }
            wanted.push(texts.into_iter().collect::<Option<Vec<String>>>());
        }
        let name =
            |at: usize| wanted.iter().map(move |w| w.as_ref().map_or("", |w| w[at].as_str())).collect::<Vec<_>>();
        let sql = "SELECT w.i, c.relkind::text, \
                   (SELECT e.extcondition[pg_catalog.array_position(e.extconfig, c.oid)] FROM pg_catalog.pg_depend d \
                   JOIN pg_catalog.pg_extension e ON e.oid = d.refobjid \
                   WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objid = c.oid AND d.deptype = 'e' \
                   AND d.refclassid = 'pg_catalog.pg_extension'::pg_catalog.regclass LIMIT 1) \
                   FROM ROWS FROM (pg_catalog.unnest($1::text[]), pg_catalog.unnest($2::text[])) WITH ORDINALITY AS w (s, t, i) \
                   JOIN pg_catalog.pg_namespace n ON n.nspname = w.s::name \
                   JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relname = w.t::name";
        let rows = client.query(sql, &[&name(0), &name(1)]).await.map_err(|e| asked("looking for the tables", &e))?;
        let mut found: HashMap<usize, (String, Option<String>)> = HashMap::new();
        for row in rows {
            let at = usize::try_from(row.get::<_, i64>(0)).unwrap_or(0);
            found.insert(at, (row.get(1), row.get(2)));
        }
        let mut places = Vec::new();
        for (at, names) in wanted.into_iter().enumerate() {
            places.push(match (names, found.remove(&(at + 1))) {
                (None, _) => Place::Unknown,
                (Some(_), None) => Place::Missing,
                (Some(mut names), Some((kind, condition))) => {
                    let columns = names.split_off(2);
                    let name = names.pop().unwrap_or_default();
                    let schema = names.pop().unwrap_or_default();
                    Place::There(Box::new(There { schema, name, kind, columns, condition }))
                }
            });
        }
        let sequences = places.split_off(evidence.tables.len());
        Ok(Self { tables: places, sequences })
    }
}
