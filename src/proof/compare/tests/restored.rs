//! A database of everything, dumped by `pg_dump` and restored by `pg_restore`, with copies of its content to repair it from.

use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;

use chrono::Utc;

use crate::cancel::Cancel;
use crate::dump::contents::StreamReader;
use crate::dump::evidence::{Evidence, bytes_of};
use crate::dump::rows::Hashing;
use crate::dump::{Form, MANIFEST_VERSION, Manifest};
use crate::postgres::{self, Session, Settings, escape_identifier};
use crate::step::{Log, Look, RunFacts, Touch};

/// Beside the database of everything: tables of the same shape, and rows that differ little. What is wide there becomes
/// less wide, since it is read again and again; it still takes several pieces.
const TWINS: &str = "CREATE TABLE public.twin_a (id int, x text, at timestamptz); CREATE TABLE public.twin_b (LIKE public.twin_a); \
     INSERT INTO public.twin_a SELECT g, md5(g::text), timestamptz '2026-01-01' + g * interval '1 day' FROM generate_series(1, 200) g; \
     INSERT INTO public.twin_b SELECT g, md5(g::text), timestamptz '2026-01-01' + g * interval '1 day' FROM generate_series(150, 300) g; \
     ALTER TABLE public.marks REPLICA IDENTITY FULL; UPDATE public.marks SET line = repeat('wide é ', 20000) WHERE length(line) > 10000; \
     SELECT lo_unlink(990003), lo_from_bytea(990003, convert_to(repeat('large é', 20000), 'UTF8')); DROP SUBSCRIPTION from_nowhere";

/// Nothing that refuses a damage: a fault of storage asks no constraint either.
const LOOSEN: &str = "SET session_replication_role = replica; \
     DO $$ DECLARE r record; BEGIN \
       FOR r IN SELECT format('DROP PUBLICATION %I', pubname) AS sql FROM pg_publication LOOP EXECUTE r.sql; END LOOP; \
       FOR r IN SELECT format('ALTER TABLE %s DROP CONSTRAINT IF EXISTS %I CASCADE', c.conrelid::regclass, c.conname) AS sql FROM pg_constraint c \
         WHERE c.conrelid <> 0 AND c.connamespace NOT IN ('pg_catalog'::regnamespace, 'information_schema'::regnamespace) \
           AND c.conislocal AND c.conparentid = 0 AND c.contype <> 'n' LOOP EXECUTE r.sql; END LOOP; \
       FOR r IN SELECT format('DROP INDEX %s', indexrelid::regclass) AS sql FROM pg_index i JOIN pg_class t ON t.oid = i.indrelid \
         WHERE i.indisunique AND t.relkind = 'r' AND t.relnamespace NOT IN ('pg_catalog'::regnamespace, 'pg_toast'::regnamespace) \
         LOOP EXECUTE r.sql; END LOOP; \
       FOR r IN SELECT format('ALTER TABLE %s ALTER %I DROP NOT NULL', attrelid::regclass, attname) AS sql FROM pg_attribute a \
         JOIN pg_class t ON t.oid = a.attrelid WHERE attnotnull AND attnum > 0 AND attidentity = '' AND attinhcount = 0 AND relkind = 'r' \
           AND t.relnamespace NOT IN ('pg_catalog'::regnamespace, 'pg_toast'::regnamespace, 'information_schema'::regnamespace) \
         LOOP EXECUTE r.sql; END LOOP; \
     END $$";

/// A table of the restored database.
pub struct Subject {
    /// As findings name it.
    pub shown: String,
    /// Quoted, with its schema.
    pub name: String,
    /// The columns of its rows, quoted.
    pub columns: Vec<String>,
    pub types: Vec<String>,
    /// Where its rows are kept.
    pub kept: String,
}

impl Subject {
    pub fn list(&self) -> String {
        self.columns.join(", ")
    }
}

pub struct Restored {
    pub touch: Touch,
    pub manifest: Manifest,
    pub settings: Settings,
    /// A session that damages.
    pub session: Session,
    pub tables: Vec<Subject>,
    name: String,
}

/// A name of the evidence as it is.
fn plain(name: &str) -> String {
    String::from_utf8(bytes_of(name)).expect("UTF-8")
}

pub fn quoted(schema: &str, name: &str) -> String {
    format!("{}.{}", escape_identifier(&plain(schema)), escape_identifier(&plain(name)))
}

pub fn literal(text: &str) -> String {
    postgres_protocol::escape::escape_literal(text).trim_start().to_owned()
}

pub fn touch() -> Touch {
    let now = Utc::now();
    let env = std::env::vars().filter(|(name, _)| !name.starts_with("PGSERVICE")).collect();
    let facts = RunFacts { plan: "p".to_owned(), run: "r".to_owned(), started_at: now, ..RunFacts::default() };
    Touch::begin(Look {
        now,
        plan_dir: ".".into(),
        env: Arc::new(env),
        cancel: Cancel::new(),
        log: Log::default(),
        facts: Arc::new(facts),
        kept: Default::default(),
    })
}

pub fn settings(touch: &Touch, database: &str) -> Settings {
    assert!(touch.look().env.contains_key("PGHOST"), "there is no PostgreSQL: run `tests/sandbox cargo test`");
    let settings = Settings { dbname: Some(database.to_owned()), ..Settings::default() };
    settings.resolve(&touch.look().env).expect("settings")
}

/// What a program of PostgreSQL printed.
pub fn program(words: &[&str]) -> Vec<u8> {
    let output = Command::new(words[0]).args(&words[1..]).output().expect("run `tests/sandbox cargo test`");
    assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

/// A dump as the step `pg_dump` has it made: times in UTC.
pub fn dump(database: &str, options: &[&str]) -> Vec<u8> {
    program(&[&["env", "PGTZ=UTC", "pg_dump", "--no-password"], options, &[database]].concat())
}

pub fn psql(database: &str, sql: &str) -> String {
    let out = program(&["psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-d", database, "-c", sql]);
    String::from_utf8_lossy(&out).trim().to_owned()
}

/// The manifest of these bytes of a dump, as they are read when a dump is made.
pub fn manifest(dump: &[u8], form: Form) -> Manifest {
    let mut reader = StreamReader::new(form, Hashing { seed: 7_046_029_254_386_353_131, on: true });
    dump.chunks(70_000).for_each(|piece| reader.take(piece));
    let evidence = reader.end().expect("a dump").evidence;
    assert_eq!(evidence.not_measured, []);
    manifest_of(evidence)
}

fn manifest_of(evidence: Evidence) -> Manifest {
    Manifest {
        schema_version: MANIFEST_VERSION,
        plan: "p".to_owned(),
        target: None,
        run: "r".to_owned(),
        database: None,
        server_version: "15".to_owned(),
        dump: "database.dump".to_owned(),
        globals: None,
        dump_bytes: 0,
        started_at: Utc::now(),
        origin: None,
        evidence: Some(evidence),
        properties: None,
    }
}

impl Restored {
    pub async fn new() -> Self {
        let name = format!("damage_{}", std::process::id());
        let source = format!("{name}_source");
        for database in [&name, &source] {
            psql("postgres", &format!("DROP DATABASE IF EXISTS {database} WITH (FORCE)"));
            psql("postgres", &format!("CREATE DATABASE {database}"));
        }
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/majors/everything.sql");
        program(&["psql", "-XAtq", "-d", &source, "-f", script]);
        psql(&source, TWINS);
        let dump = dump(&source, &["-Fc", "-Z0"]);
        let kept_settings = psql(
            &source,
            "SELECT json_object_agg(name, reset_val) FROM pg_settings WHERE name IN ('bytea_output', 'lc_monetary', 'quote_all_identifiers')",
        );
        psql("postgres", &format!("DROP DATABASE {source}"));
        let file: PathBuf = std::env::temp_dir().join(format!("{name}.dump"));
        std::fs::write(&file, &dump).expect("a file");
        program(&["pg_restore", "--no-password", "-d", &name, &file.to_string_lossy()]);
        std::fs::remove_file(&file).expect("the file");
        // Settings that change how values are written.
        psql(
            "postgres",
            &format!(
                "ALTER DATABASE {name} SET datestyle = 'German, DMY'; ALTER DATABASE {name} SET bytea_output = 'escape'"
            ),
        );
        let touch = touch();
        let settings = settings(&touch, &name);
        let session = postgres::connect_rw(&touch, &settings).await.expect("a session");
        let mut manifest = manifest(&dump, Form::Custom);
        let evidence = manifest.evidence.as_mut().expect("evidence");
        evidence.session.settings = serde_json::from_str(&kept_settings).expect("settings");
        let mut restored = Self { touch, manifest, settings, session, tables: Vec::new(), name };
        restored.keep().await;
        restored
    }

    pub fn evidence(&self) -> &Evidence {
        self.manifest.evidence.as_ref().expect("evidence")
    }

    /// Runs statements, all or none of them.
    pub async fn run(&self, sql: &str) -> Result<(), tokio_postgres::Error> {
        let result = self.session.client.batch_execute(&format!("BEGIN; {sql}; COMMIT")).await;
        if result.is_err() {
            self.session.client.batch_execute("ROLLBACK").await.expect("a rollback");
        }
        result
    }

    /// The first value of the first row, as text.
    pub async fn value(&self, sql: &str) -> Option<String> {
        let messages = self.session.client.simple_query(sql).await.unwrap_or_else(|e| panic!("{sql}: {e}"));
        messages.iter().find_map(|m| match m {
            tokio_postgres::SimpleQueryMessage::Row(row) => Some(row.get(0).map(str::to_owned)),
            _ => None,
        })?
    }

    /// Loosens the database and keeps what is in it.
    async fn keep(&mut self) {
        self.run(LOOSEN).await.expect("without constraints");
        let prepare = "SET datestyle = ISO; SET bytea_output = hex; SET extra_float_digits = 3; SET search_path = ''; CREATE SCHEMA kept; \
                       CREATE TABLE kept.objects AS SELECT oid, pg_catalog.lo_get(oid) AS data FROM pg_catalog.pg_largeobject_metadata";
        self.run(prepare).await.expect("a place to keep things");
        for (at, table) in self.evidence().tables.clone().iter().enumerate() {
            let name = quoted(&table.schema, &table.name);
            let columns: Vec<String> = table.columns.iter().map(|c| escape_identifier(&plain(c))).collect();
            let mut types = Vec::new();
            for column in &table.columns {
                let sql = format!(
                    "SELECT pg_catalog.format_type(atttypid, atttypmod) FROM pg_catalog.pg_attribute WHERE attrelid = {}::pg_catalog.regclass AND attname = {}",
                    literal(&name),
                    literal(&plain(column))
                );
                types.push(self.value(&sql).await.expect("a type"));
            }
            let kept = format!("kept.t{at}");
            let list = columns.join(", ");
            self.run(&format!("CREATE TABLE {kept} AS SELECT {list} FROM ONLY {name}")).await.expect("a copy");
            let shown = format!("the table `{}.{}`", table.schema, table.name);
            self.tables.push(Subject { shown, name, columns, types, kept });
        }
    }

    /// Whether rows of a table differ from what was kept, as a query sees it.
    pub async fn differs(&self, at: usize) -> bool {
        let Subject { name, kept, .. } = &self.tables[at];
        let list = self.tables[at].list();
        let sql = format!(
            "SELECT EXISTS ((SELECT ROW({list})::text FROM ONLY {name} EXCEPT ALL SELECT ROW({list})::text FROM {kept}) \
             UNION ALL (SELECT ROW({list})::text FROM {kept} EXCEPT ALL SELECT ROW({list})::text FROM ONLY {name}))"
        );
        self.value(&sql).await.as_deref() == Some("t")
    }

    /// Puts the rows of a table back.
    pub async fn repair_table(&self, at: usize) {
        let Subject { name, kept, .. } = &self.tables[at];
        let list = self.tables[at].list();
        let columns = if list.is_empty() { String::new() } else { format!("({list}) OVERRIDING SYSTEM VALUE") };
        let sql = format!("DELETE FROM ONLY {name}; INSERT INTO {name} {columns} SELECT {list} FROM {kept}");
        self.run(&sql).await.unwrap_or_else(|e| panic!("{sql}: {e}"));
    }

    pub async fn repair_objects(&self) {
        let sql = "SELECT pg_catalog.lo_unlink(oid) FROM pg_catalog.pg_largeobject_metadata; \
                   SELECT pg_catalog.lo_from_bytea(oid, data) FROM kept.objects";
        self.run(sql).await.expect("the large objects");
    }

    pub async fn repair_sequence(&self, at: usize) {
        let sequence = &self.evidence().sequences[at];
        let sql = format!(
            "SELECT pg_catalog.setval({}, {}, {})",
            literal(&quoted(&sequence.schema, &sequence.name)),
            sequence.last_value,
            sequence.is_called
        );
        self.run(&sql).await.unwrap_or_else(|e| panic!("{sql}: {e}"));
    }

    /// What the comparison finds.
    pub async fn compare(&self) -> Vec<String> {
        super::super::differences(&self.touch, &self.settings, &self.manifest, 1).await.expect("a comparison")
    }

    /// What the comparison finds in a copy of the database in which this was run.
    pub async fn compare_copy(&mut self, sql: &str) -> Result<Vec<String>, String> {
        let copy = format!("{}_copy", self.name);
        let there = settings(&self.touch, "postgres");
        // Nobody may be in a database that is copied.
        self.session = postgres::connect_rw(&self.touch, &there).await.expect("a session");
        psql("postgres", &format!("DROP DATABASE IF EXISTS {copy} WITH (FORCE)"));
        psql("postgres", &format!("CREATE DATABASE {copy} TEMPLATE {}", self.name));
        let damaged = settings(&self.touch, &copy);
        self.session = postgres::connect_rw(&self.touch, &damaged).await.expect("a session");
        let done = self.run(sql).await.map_err(|e| format!("{e:?}"));
        let found = super::super::differences(&self.touch, &damaged, &self.manifest, 1).await.expect("a comparison");
        let back = self.settings.clone();
        self.session = postgres::connect_rw(&self.touch, &back).await.expect("a session");
        let prepare = "SET datestyle = ISO; SET bytea_output = hex; SET extra_float_digits = 3; SET search_path = ''; SET session_replication_role = replica";
        self.session.client.batch_execute(prepare).await.expect("a session");
        psql("postgres", &format!("DROP DATABASE {copy} WITH (FORCE)"));
        done.map(|()| found)
    }
}

impl Drop for Restored {
    fn drop(&mut self) {
        for name in [self.name.clone(), format!("{}_source", self.name), format!("{}_copy", self.name)] {
            let sql = format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)");
            let _ = Command::new("psql").args(["-XAtq", "-d", "postgres", "-c", &sql]).output();
        }
    }
}
