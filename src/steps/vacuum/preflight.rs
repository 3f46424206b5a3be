//! What can be seen before a run of what VACUUM will need: the tables, and the right to.

use tokio_postgres::Client;

use super::Params;
use super::control::Control;
use super::names::wanted;
use crate::postgres;
use crate::step::{Alters, Area, Check, Look, Preflight, StepError};

pub async fn preflight(params: Params, look: &Look) -> Preflight {
    let database = match params.database.resolve(&look.env) {
        Ok(database) => database,
        Err(error) => return vec![Check::problem(Area::Server, error.to_string())].into(),
    };
    let (mut checks, server) = postgres::meet(look, &database).await;
    if let Some(server) = server {
        let user = database.user.clone().unwrap_or_default();
        match control(&server.client, &params, &user).await {
            Ok((place, check)) => {
                checks.push(check);
                checks.push(tables(&server.client, server.major, &params, &place, &user).await);
            }
            Err(error) => checks.push(Check::failed(Area::Object, &error)),
        }
    }
    let mut seen = Preflight::from(checks);
    // Only VACUUM FULL gives space back to the disk, and only that disk may be the one of the archives.
    if !(params.full && database.is_here()) {
        seen.alters = Some(Alters::Nothing);
    }
    seen
}

/// The place of the control table, and whether it can be read and written, or made.
async fn control(client: &Client, params: &Params, user: &str) -> Result<(Control, Check), StepError> {
    let control = Control::place(client, &params.control_table).await?;
    let quoted = control.quoted();
    let sql = "SELECT c.oid IS NOT NULL, \
               pg_catalog.has_table_privilege(c.oid, 'SELECT') AND pg_catalog.has_table_privilege(c.oid, 'INSERT') \
               AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d JOIN pg_catalog.pg_class s ON s.oid = d.objid \
               WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.refobjid = c.oid AND d.deptype = 'a' \
               AND CASE s.relkind WHEN 'S' THEN NOT pg_catalog.has_sequence_privilege(s.oid, 'USAGE, UPDATE') ELSE false END), \
               coalesce((SELECT pg_catalog.has_schema_privilege(n.oid, 'CREATE') FROM pg_catalog.pg_namespace n WHERE n.nspname = $2), false) \
               FROM (SELECT pg_catalog.to_regclass($1)::oid AS oid) c";
    let row = client.query_one(sql, &[&quoted, &control.schema]).await;
    let row = row.map_err(|e| postgres::asked("looking for the control table", &e))?;
    let (there, usable, creatable) = (row.get(0), row.get::<_, Option<bool>>(1).unwrap_or_default(), row.get(2));
    if there && let Err(error) = control.inspect(client).await {
        return Ok((control, Check::failed(Area::Object, &error)));
    }
    let check = match (there, usable, creatable) {
        (true, true, _) => Check::ok(Area::Right, format!("control table {quoted}: can be read and written")),
        (true, false, _) => {
            Check::problem(Area::Right, format!("control table {quoted}: `{user}` may not both read and write it"))
                .hint(format!("GRANT SELECT, INSERT ON {quoted} and USAGE on its sequence to `{user}`"))
        }
        (false, _, true) => Check::ok(Area::Right, format!("control table {quoted}: is made when it is needed")),
        (false, _, false) => {
            Check::problem(Area::Right, format!("control table {quoted}: is missing, and `{user}` may not make it"))
                .hint("let the user create tables in that schema, or name another one under `control_table`")
        }
    };
    Ok((control, check))
}

/// Whether the tables are there and may be vacuumed: by their owner, the database's owner, a superuser, and from
/// PostgreSQL 17 on by who may MAINTAIN them (its manual, VACUUM, "Notes").
async fn tables(client: &Client, major: u32, params: &Params, control: &Control, user: &str) -> Check {
    let chosen = match wanted(client, params.tables.as_deref(), &params.exclude, control).await {
        Ok(chosen) => chosen,
        Err(error) => return Check::failed(Area::Object, &error),
    };
    let maintain = if major >= 17 { "pg_catalog.has_table_privilege(c.oid, 'MAINTAIN')" } else { "false" };
    let sql = format!(
        "SELECT n.nspname::text, c.relname::text FROM ROWS FROM (pg_catalog.unnest($1::text[]), pg_catalog.unnest($2::text[])) AS t (schema, name) \
         JOIN pg_catalog.pg_namespace n ON n.nspname = t.schema JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relname = t.name \
         WHERE NOT (pg_catalog.pg_has_role(c.relowner, 'USAGE') OR {maintain} OR (SELECT pg_catalog.pg_has_role(d.datdba, 'USAGE') \
         FROM pg_catalog.pg_database d WHERE d.datname = pg_catalog.current_database())) ORDER BY 1, 2"
    );
    let (schemas, names): (Vec<&str>, Vec<&str>) = chosen.iter().map(|t| (t.schema.as_str(), t.name.as_str())).unzip();
    let rows = match client.query(&sql, &[&schemas, &names]).await {
        Ok(rows) => rows,
        Err(error) => return Check::warning(Area::Right, postgres::asked("asking who owns the tables", &error).what),
    };
    if rows.is_empty() {
        let count = chosen.len();
        let s = if count == 1 { "" } else { "s" };
        return Check::ok(Area::Right, format!("`{user}` may vacuum the {count} table{s}"));
    }
    let mut all: Vec<String> =
        rows.iter().take(10).map(|r| format!("`{}.{}`", r.get::<_, String>(0), r.get::<_, String>(1))).collect();
    if rows.len() > all.len() {
        all.push(format!("{} more", rows.len() - all.len()));
    }
    let owner = if major >= 17 { "its owner, or GRANT MAINTAIN on it" } else { "its owner or that of the database" };
    Check::problem(Area::Right, format!("`{user}` may not vacuum {}", all.join(", ")))
        .hint(format!("a table is vacuumed by {owner}: GRANT the owner's role to `{user}`"))
}
