//! What the user may read of what is dumped.

use super::Params;
use super::measure::{Picked, picked};
use super::options::Narrowed;
use crate::postgres::{self, Server, Settings};
use crate::step::{Area, Check, StepError};

/// A table or sequence that stands in the way.
struct Obstacle {
    schema: String,
    name: String,
    kind: String,
    /// It may not be read.
    denied: bool,
}

impl Obstacle {
    fn shown(&self) -> String {
        let place = format!("`{}.{}`", self.schema, self.name);
        if self.kind == "S" { format!("sequence {place}") } else { place }
    }
}

/// The tables, sequences and large objects that are dumped and may not be read, and the tables of which row-level security
/// would hide rows.
///
/// # Errors
/// The server cannot say it.
pub async fn rights(params: &Params, server: &Server, database: &Settings) -> Result<Vec<Check>, StepError> {
    let client = &server.client;
    // `pg_dump` locks the tables it dumps, with or without their rows, and reads each of their sequences.
    let sql = "SELECT * FROM (SELECT n.nspname::text, c.relname::text, c.relkind::text, \
               NOT (pg_catalog.has_schema_privilege(n.oid, 'USAGE') AND CASE c.relkind WHEN 'S' THEN pg_catalog.has_sequence_privilege(c.oid, 'SELECT') \
               ELSE pg_catalog.has_table_privilege(c.oid, 'SELECT') END) AS denied, \
               c.relkind = 'r' AND c.relrowsecurity AND pg_catalog.row_security_active(c.oid) AS filtered \
               FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
               WHERE c.relkind IN ('r', 'p', 'S') AND c.relpersistence <> 't' AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' \
               AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objid = c.oid AND d.deptype = 'e') \
               ) all_of_them WHERE denied OR filtered ORDER BY 1, 2";
    let rows = client.query(sql, &[]).await.map_err(|e| postgres::asked("asking what may be read", &e))?;
    let mut found: Vec<Obstacle> =
        rows.iter().map(|r| Obstacle { schema: r.get(0), name: r.get(1), kind: r.get(2), denied: r.get(3) }).collect();
    let with_rows = Picked::of(params);
    if !found.is_empty() {
        let with_or_without = with_rows.but_for(&params.exclude_tables);
        let mut locked = Vec::new();
        for kind in ["r", "p", "S"] {
            locked.extend(picked(client, &with_or_without, kind).await?);
        }
        let read = picked(client, &with_rows, "r").await?;
        found.retain(|o| {
            let named = |(schema, name): &(String, String)| *schema == o.schema && *name == o.name;
            if o.denied { locked.iter().any(named) } else { read.iter().any(named) }
        });
    }
    let user = database.user.clone().unwrap_or_default();
    let (denied, hidden): (Vec<Obstacle>, Vec<Obstacle>) = found.into_iter().partition(|o| o.denied);
    let filters = params.extra_args.iter().any(|a| a == "--enable-row-security");
    // Who hands `pg_dump` words of its own may have left out what is closed.
    let narrowed = Narrowed::by(&params.extra_args);
    let said = |spared: bool, text: String, hint: String| match spared {
        false => Check::problem(Area::Right, text).hint(hint).in_vain(),
        true => Check::warning(Area::Right, text).hint(hint),
    };
    let mut checks = Vec::new();
    if !denied.is_empty() {
        let text = format!("`{user}` may not read {}, and pg_dump would fail at it", list(&denied));
        let hint = format!("GRANT USAGE on the schema and SELECT to `{user}`, or the role pg_read_all_data");
        let spared = |o: &Obstacle| if o.kind == "S" { narrowed.rows } else { narrowed.tables };
        checks.push(said(denied.iter().all(spared), text, hint));
    }
    if !hidden.is_empty() {
        let end = if filters { "and they would be missing in the dump" } else { "and pg_dump would fail at it" };
        let text = format!("row-level security hides rows of {} from `{user}`, {end}", list(&hidden));
        let hint = format!("dump as a user that it does not bind: ALTER ROLE \"{user}\" BYPASSRLS");
        checks.push(said(narrowed.rows, text, hint));
    }
    if let Some(closed) = large_objects(params, server).await? {
        let text = format!("`{user}` may not read {closed}, and pg_dump would fail at it");
        let hint = format!("GRANT SELECT ON LARGE OBJECT … TO `{user}`, for each, or give it the role of their owner");
        checks.push(said(narrowed.large_objects, text, hint));
    }
    if checks.is_empty() {
        let text = format!("`{user}` may read every table, sequence and large object that is dumped");
        checks.push(Check::ok(Area::Right, text));
    }
    Ok(checks)
}

/// How many things of a kind are named.
pub const NAMED: usize = 10;

/// The large objects that are dumped and may not be read; none when there are none.
///
/// They belong to no schema: a dump of some schemas or tables has none of them unless it is told to. Before PostgreSQL 18
/// no function says who may read one; a superuser, whoever was granted SELECT, and everybody where
/// `lo_compat_privileges` is on (its manual, "Large Objects"). The role pg_read_all_data is not asked there.
async fn large_objects(params: &Params, server: &Server) -> Result<Option<String>, StepError> {
    let told = params.extra_args.iter().any(|a| matches!(a.as_str(), "-b" | "--blobs" | "--large-objects"));
    let whole = params.schemas.is_empty() && params.tables.is_empty();
    if !(whole || told) {
        return Ok(None);
    }
    let readable = match server.major {
        18.. => "pg_catalog.has_largeobject_privilege(m.oid, 'SELECT')",
        _ => {
            "pg_catalog.current_setting('is_superuser')::bool OR pg_catalog.current_setting('lo_compat_privileges')::bool OR EXISTS \
             (SELECT FROM pg_catalog.aclexplode(coalesce(m.lomacl, pg_catalog.acldefault('L', m.lomowner))) a \
             WHERE a.privilege_type = 'SELECT' AND (a.grantee = 0 OR pg_catalog.pg_has_role(a.grantee, 'USAGE')))"
        }
    };
    let sql = format!(
        "SELECT m.oid, pg_catalog.count(*) OVER () FROM pg_catalog.pg_largeobject_metadata m WHERE NOT ({readable}) ORDER BY m.oid LIMIT {NAMED}"
    );
    let rows = server.client.query(&sql, &[]).await;
    let rows = rows.map_err(|e| postgres::asked("asking which large objects may be read", &e))?;
    let Some(all) = rows.first().map(|r| usize::try_from(r.get::<_, i64>(1)).unwrap_or(usize::MAX)) else {
        return Ok(None);
    };
    let first: Vec<String> = rows.iter().map(|r| r.get::<_, u32>(0).to_string()).collect();
    let s = if all == 1 { "" } else { "s" };
    Ok(Some(format!("the large object{s} {}", few(&first, all))))
}

fn list(all: &[Obstacle]) -> String {
    few(&all.iter().take(NAMED).map(Obstacle::shown).collect::<Vec<_>>(), all.len())
}

/// The first few, and how many more there are.
pub fn few(first: &[String], all: usize) -> String {
    let more = all - first.len();
    let rest = if more == 0 { String::new() } else { format!(" and {more} more") };
    format!("{}{rest}", first.join(", "))
}
