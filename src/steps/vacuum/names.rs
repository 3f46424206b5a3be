//! Which tables a plan names: patterns and exact names against the catalog.

use std::borrow::Cow;
use std::collections::BTreeSet;

use globset::{GlobBuilder, GlobMatcher};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use serde::de::{self, Deserializer, MapAccess, Visitor};
use tokio_postgres::Client;

use super::control::Control;
use super::place::{Chosen, former_name, record_name};
use crate::postgres;
use crate::step::StepError;

/// A table as a plan names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Name {
    /// `name` or `schema.name`, with `*` and `?`.
    Pattern(String),
    /// A name that itself has a dot or a star.
    Exact { schema: String, name: String },
}

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Exact {
            schema: String,
            name: String,
        }
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = Name;
            fn expecting(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
                f.write_str("a name or pattern, or `{ schema, name }`")
            }
            fn visit_str<E>(self, text: &str) -> Result<Name, E> {
                Ok(Name::Pattern(text.to_owned()))
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Name, A::Error> {
                let Exact { schema, name } = Exact::deserialize(de::value::MapAccessDeserializer::new(map))?;
                Ok(Name::Exact { schema, name })
            }
        }
        deserializer.deserialize_any(Reader)
    }
}

impl JsonSchema for Name {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        "TableName".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": ["string", "object"],
            "properties": {
                "schema": { "type": "string", "description": "Name of the schema, exactly as stored." },
                "name": { "type": "string", "description": "Name of the table, exactly as stored." }
            },
            "required": ["schema", "name"],
            "additionalProperties": false
        })
    }
}

/// What the catalog calls a thing that can be named like a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Ordinary,
    /// A partitioned table or a materialized view: taken only when it is named in full.
    InFull,
    /// What VACUUM does not take, as people call it.
    Other(&'static str),
}

#[derive(Debug)]
struct Known {
    schema: String,
    name: String,
    /// It lies on the search path.
    near: bool,
    kind: Kind,
}

/// A name ready to be compared.
struct Matcher {
    shown: String,
    schema: Option<GlobMatcher>,
    name: GlobMatcher,
    /// It has no wildcard, so that it can only mean one table (of each schema).
    exact: bool,
}

impl Matcher {
    fn new(given: &Name) -> Result<Self, StepError> {
        let glob = |part: &str, literal: bool| {
            // Only `*` and `?` mean something.
            let special = |c: char| matches!(c, '[' | ']' | '{' | '}' | '\\') || literal && matches!(c, '*' | '?');
            let plain: String =
                part.chars().map(|c| if special(c) { format!("\\{c}") } else { c.to_string() }).collect();
            let built = GlobBuilder::new(&plain).backslash_escape(true).build();
            built.map(|g| g.compile_matcher()).map_err(|e| StepError::because(format!("the pattern `{part}`"), &e))
        };
        match given {
            Name::Exact { schema, name } => Ok(Self {
                shown: format!("{schema}.{name}"),
                schema: Some(glob(schema, true)?),
                name: glob(name, true)?,
                exact: true,
            }),
            Name::Pattern(text) => {
                let (schema, name) = text.split_once('.').map_or((None, text.as_str()), |(s, n)| (Some(s), n));
                Ok(Self {
                    shown: text.clone(),
                    schema: schema.map(|s| glob(s, false)).transpose()?,
                    name: glob(name, false)?,
                    exact: !text.contains(['*', '?']),
                })
            }
        }
    }

    fn fits(&self, table: &Known) -> bool {
        let schema = self.schema.as_ref().map_or(table.near, |s| s.is_match(&table.schema));
        schema && self.name.is_match(&table.name)
    }
}

/// The tables that are meant, in order of schema and name.
///
/// A wildcard means ordinary tables, the partitions of partitioned ones among them. A partitioned table that is named in
/// full is taken as a whole: the server does each of its partitions; so is a materialized view. Temporary tables belong to another session and are
/// not seen.
///
/// # Errors
/// A name or pattern that matches nothing, or one in full that is no table that can be vacuumed.
pub async fn wanted(
    client: &Client,
    include: Option<&[Name]>,
    exclude: &[Name],
    control: &Control,
) -> Result<Vec<Chosen>, StepError> {
    let all = catalog(client).await?;
    let matchers = |names: &[Name]| names.iter().map(Matcher::new).collect::<Result<Vec<_>, _>>();
    let exclude = matchers(exclude)?;
    let include = include.map(matchers).transpose()?;
    for matcher in include.iter().flatten() {
        let found: Vec<&Known> = all.iter().filter(|t| matcher.fits(t)).collect();
        let usable = |t: &&Known| match t.kind {
            Kind::Ordinary => true,
            Kind::InFull => matcher.exact,
            Kind::Other(_) => false,
        };
        if found.iter().any(usable) {
            continue;
        }
        if let (true, Some(Kind::Other(what))) = (matcher.exact, found.first().map(|t| t.kind)) {
            return Err(StepError::new(format!("`{}` is {what}, which cannot be vacuumed", matcher.shown)));
        }
        return Err(StepError::new(format!("there is no table `{}`", matcher.shown))
            .hint("names are taken exactly as stored; write `schema.name` for one outside the search path"));
    }
    let taken = |t: &&Known| match (&include, t.kind) {
        (None, Kind::Ordinary) => (&t.schema, &t.name) != (&control.schema, &control.name),
        (Some(all), Kind::Ordinary) => all.iter().any(|m| m.fits(t)),
        (Some(all), Kind::InFull) => all.iter().any(|m| m.exact && m.fits(t)),
        _ => false,
    };
    let chosen = all.iter().filter(taken).filter(|t| !exclude.iter().any(|m| m.fits(t)));
    let records: BTreeSet<String> = all.iter().map(|t| record_name(&t.schema, &t.name)).collect();
    let place = |t: &Known| {
        let (record, former) = (record_name(&t.schema, &t.name), former_name(&t.schema, &t.name));
        let former = (former != record && !records.contains(&former)).then_some(former);
        Chosen { schema: t.schema.clone(), name: t.name.clone(), record, former }
    };
    Ok(chosen.map(place).collect())
}

async fn catalog(client: &Client) -> Result<Vec<Known>, StepError> {
    let near = postgres::visible_schemas(client).await?;
    let sql = "SELECT n.nspname::text, c.relname::text, n.nspname::text = ANY ($1::text[]), c.relkind::text \
               FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
               WHERE c.relkind IN ('r', 'p', 'm', 'v', 'f') AND c.relpersistence <> 't' \
               AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' ORDER BY 1, 2";
    let rows = client.query(sql, &[&near]).await.map_err(|e| postgres::asked("listing the tables", &e))?;
    let kind = |letter: &str| match letter {
        "r" => Kind::Ordinary,
        "p" | "m" => Kind::InFull,
        "v" => Kind::Other("a view"),
        _ => Kind::Other("a foreign table"),
    };
    let known = |r: &tokio_postgres::Row| Known {
        schema: r.get(0),
        name: r.get(1),
        near: r.get(2),
        kind: kind(r.get::<_, &str>(3)),
    };
    Ok(rows.iter().map(known).collect())
}
