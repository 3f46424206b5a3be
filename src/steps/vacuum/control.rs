//! The control table: when each table was last vacuumed.
//!
//! It may have been made by somebody else, and a statement on it runs what its owner put there with the rights of whoever
//! runs it: triggers, rules, policies, checks, defaults, expressions of indexes. So nothing is read from it or written to
//! it before it was found to be a plain table, under a lock that keeps it one.

use std::collections::BTreeMap;

use chrono::{NaiveDate, NaiveDateTime};
use tokio_postgres::{Client, Statement};

use super::place::Chosen;
use crate::postgres::{self, escape_identifier};
use crate::step::StepError;

/// The place of the control table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Control {
    pub schema: String,
    pub name: String,
}

/// What is executable in the table `$1`, a word each, and what else makes it unfit; with its kind, its owner, and whether
/// the owner is to be trusted with the records: the user, a superuser, or the owner of the database.
///
/// A default is only evaluated for the columns that a record leaves out, and there a serial's own is fine.
const INSPECT: &str = "SELECT c.relkind::text, pg_catalog.pg_get_userbyid(c.relowner)::text, \
    c.relowner = d.datdba OR r.rolsuper OR r.rolname = current_user, \
    pg_catalog.array_remove(ARRAY[ \
    CASE WHEN c.relispartition OR EXISTS (SELECT FROM pg_catalog.pg_inherits i WHERE i.inhrelid = c.oid) \
      THEN 'inherits from another table' END, \
    CASE WHEN EXISTS (SELECT FROM pg_catalog.pg_trigger t WHERE t.tgrelid = c.oid AND NOT t.tgisinternal) \
      THEN 'has a trigger' END, \
    CASE WHEN EXISTS (SELECT FROM pg_catalog.pg_rewrite w WHERE w.ev_class = c.oid) THEN 'has a rule' END, \
    CASE WHEN c.relrowsecurity OR EXISTS (SELECT FROM pg_catalog.pg_policy p WHERE p.polrelid = c.oid) \
      THEN 'has row-level security' END, \
    CASE WHEN EXISTS (SELECT FROM pg_catalog.pg_constraint k WHERE k.conrelid = c.oid AND k.contype NOT IN ('p', 'u', 'n')) \
      THEN 'has a constraint beyond keys and NOT NULL' END, \
    CASE WHEN EXISTS (SELECT FROM pg_catalog.pg_index i WHERE i.indrelid = c.oid \
      AND (i.indexprs IS NOT NULL OR i.indpred IS NOT NULL)) THEN 'has an index with an expression or a condition' END, \
    CASE WHEN EXISTS (SELECT FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_attrdef e ON e.adrelid = a.attrelid \
      AND e.adnum = a.attnum WHERE a.attrelid = c.oid AND NOT a.attisdropped AND (a.attgenerated <> '' \
      OR a.attname NOT IN ('tabela_nome', 'ultima_execucao', 'tipo_vacuum') \
      AND pg_catalog.pg_get_expr(e.adbin, e.adrelid) !~ '^nextval\\(''[^'']*(''''[^'']*)*''::regclass\\)$')) \
      THEN 'has a default or generated column that is not a serial''s' END, \
    CASE WHEN EXISTS (SELECT FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_type y ON y.oid = a.atttypid \
      JOIN pg_catalog.pg_namespace n ON n.oid = y.typnamespace WHERE a.attrelid = c.oid AND a.attnum > 0 \
      AND NOT a.attisdropped AND (n.nspname <> 'pg_catalog' OR y.typtype <> 'b')) \
      THEN 'has a column of a type that is not built in' END, \
    CASE WHEN (SELECT pg_catalog.count(*) FROM pg_catalog.pg_attribute a WHERE a.attrelid = c.oid AND NOT a.attisdropped \
      AND (a.attname = 'tabela_nome' AND a.atttypid IN (25, 1043, 1042) \
      OR a.attname = 'ultima_execucao' AND a.atttypid = 1114 \
      OR a.attname = 'tipo_vacuum' AND a.atttypid IN (25, 1043, 1042))) <> 3 \
      THEN 'lacks `tabela_nome text`, `ultima_execucao timestamp` or `tipo_vacuum text`' END], NULL) \
    FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace s ON s.oid = c.relnamespace \
    LEFT JOIN pg_catalog.pg_roles r ON r.oid = c.relowner \
    JOIN pg_catalog.pg_database d ON d.datname = pg_catalog.current_database() \
    WHERE s.nspname::text = $1 AND c.relname::text = $2";

impl Control {
    /// As given, else in the first schema in which the role looks a name up.
    ///
    /// # Errors
    /// The search path has no schema.
    pub async fn place(client: &Client, name: &str) -> Result<Self, StepError> {
        if let Some((schema, name)) = name.split_once('.') {
            return Ok(Self { schema: schema.to_owned(), name: name.to_owned() });
        }
        let schema = postgres::visible_schemas(client).await?.into_iter().next();
        schema.map(|schema| Self { schema, name: name.to_owned() }).ok_or_else(|| {
            StepError::new("the search path has no schema for the control table")
                .hint("name one: `control_table: schema.name`")
        })
    }

    /// The name as SQL takes it.
    pub fn quoted(&self) -> String {
        format!("{}.{}", escape_identifier(&self.schema), escape_identifier(&self.name))
    }

    /// Whether it is there.
    ///
    /// # Errors
    /// The server does not say it.
    pub async fn exists(&self, client: &Client) -> Result<bool, StepError> {
        let sql = "SELECT EXISTS (SELECT FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
                   WHERE n.nspname::text = $1 AND c.relname::text = $2)";
        let row = client.query_one(sql, &[&self.schema, &self.name]).await;
        Ok(row.map_err(|e| postgres::asked("looking for the control table", &e))?.get(0))
    }

    /// Refuses a table that would run somebody's code or whose records count for nothing.
    ///
    /// # Errors
    /// What is wrong with it.
    pub async fn inspect(&self, client: &Client) -> Result<(), StepError> {
        let statement = self.inspection(client).await?;
        self.judge(client, &statement).await
    }

    async fn inspection(&self, client: &Client) -> Result<Statement, StepError> {
        client.prepare(INSPECT).await.map_err(|e| postgres::asked("checking the control table", &e))
    }

    async fn judge(&self, client: &Client, inspection: &Statement) -> Result<(), StepError> {
        let row = client.query_opt(inspection, &[&self.schema, &self.name]).await;
        let row = row.map_err(|e| postgres::asked("checking the control table", &e))?;
        let quoted = self.quoted();
        let Some(row) = row else {
            return Err(StepError::transient(format!("the control table {quoted} is gone")));
        };
        let (kind, owner): (String, String) = (row.get(0), row.get(1));
        let other = "name another table under `control_table`, or drop this one: it is created again as a plain table";
        if kind != "r" {
            return Err(StepError::new(format!("the control table {quoted} is not an ordinary table")).hint(other));
        }
        let reasons: Vec<String> = row.get(3);
        if !reasons.is_empty() {
            let what = format!(
                "the control table {quoted} is refused, since a record would run its owner's code or cannot be read: it {}",
                reasons.join("; it ")
            );
            return Err(StepError::new(what).hint(other));
        }
        if !row.get::<_, Option<bool>>(2).unwrap_or_default() {
            let what = format!(
                "the control table {quoted} is refused: it belongs to `{owner}`, who is not the connected user, the owner of the database or a superuser"
            );
            return Err(StepError::new(what).hint(format!("ALTER TABLE {quoted} OWNER TO …, or {other}")));
        }
        Ok(())
    }

    /// When each of the tables was last vacuumed, by the name of its record. One query for all.
    ///
    /// # Errors
    /// The table is not fit, or cannot be read.
    pub async fn read(&self, client: &Client, tables: &[Chosen]) -> Result<BTreeMap<String, NaiveDate>, StepError> {
        let wrong = |e: &tokio_postgres::Error| postgres::asked("reading the control table", e);
        let begin = format!("BEGIN READ ONLY; LOCK TABLE {} IN ACCESS SHARE MODE", self.quoted());
        client.batch_execute(&begin).await.map_err(|e| wrong(&e))?;
        self.inspect(client).await?;
        let names: Vec<&str> =
            tables.iter().flat_map(|t| [Some(t.record.as_str()), t.former.as_deref()]).flatten().collect();
        let sql = format!(
            "SELECT w.name, pg_catalog.max(c.ultima_execucao) FROM pg_catalog.unnest($1::pg_catalog.text[]) w (name) \
             JOIN ONLY {} c ON c.tabela_nome::pg_catalog.text = w.name GROUP BY w.name",
            self.quoted()
        );
        let rows = client.query(&sql, &[&names]).await.map_err(|e| wrong(&e))?;
        client.batch_execute("COMMIT").await.map_err(|e| wrong(&e))?;
        let last = |row: &tokio_postgres::Row| Some((row.get(0), row.get::<_, Option<NaiveDateTime>>(1)?.date()));
        Ok(rows.iter().filter_map(last).collect())
    }

    /// Makes the table when it is missing.
    ///
    /// # Errors
    /// The user may not.
    pub async fn create(&self, client: &Client) -> Result<(), StepError> {
        let quoted = self.quoted();
        let sql = format!(
            "CREATE TABLE IF NOT EXISTS {quoted} (id serial PRIMARY KEY, tabela_nome text NOT NULL, ultima_execucao timestamp NOT NULL, tipo_vacuum text)"
        );
        client.batch_execute(&sql).await.map_err(|e| {
            postgres::asked(&format!("creating the control table {quoted}"), &e)
                .hint("let the user create tables in that schema, or name another one under `control_table`")
        })
    }
}

/// Writes records, one after the other.
pub struct Recorder<'a> {
    client: &'a Client,
    control: &'a Control,
    inspection: Statement,
}

impl<'a> Recorder<'a> {
    /// # Errors
    /// The server cannot be asked.
    pub async fn new(client: &'a Client, control: &'a Control) -> Result<Self, StepError> {
        Ok(Self { client, control, inspection: control.inspection(client).await? })
    }

    /// Records that a table was vacuumed, after a look at the control table that holds until the record is written.
    ///
    /// # Errors
    /// The control table is not fit any more, or the record cannot be written.
    pub async fn record(&self, name: &str, word: &str) -> Result<(), StepError> {
        let written = self.write(name, word).await;
        if written.is_err() {
            // The connection may be gone, and the transaction with it.
            let _ = self.client.batch_execute("ROLLBACK").await;
        }
        written
    }

    async fn write(&self, name: &str, word: &str) -> Result<(), StepError> {
        let wrong = |e: tokio_postgres::Error| postgres::asked(&format!("recording the VACUUM of `{name}`"), &e);
        let quoted = self.control.quoted();
        let begin = format!("BEGIN; LOCK TABLE {quoted} IN ROW EXCLUSIVE MODE");
        self.client.batch_execute(&begin).await.map_err(wrong)?;
        self.control.judge(self.client, &self.inspection).await?;
        let sql =
            format!("INSERT INTO {quoted} (tabela_nome, ultima_execucao, tipo_vacuum) VALUES ($1, LOCALTIMESTAMP, $2)");
        self.client.execute(&sql, &[&name, &word]).await.map_err(wrong)?;
        self.client.batch_execute("COMMIT").await.map_err(wrong)
    }
}
