//! Tables that belong to an extension: `pg_dump` leaves their rows to `CREATE EXTENSION`, but for those that the extension
//! has registered as its configuration (PostgreSQL manual, "Extension Configuration Tables").

use tokio_postgres::Client;

use super::Params;
use super::rights::{NAMED, few};
use crate::postgres::{self, Pattern};
use crate::step::StepError;

/// What to do about rows that are left out.
pub const HINT: &str = "if the rows are yours and not the extension's, take the table out of it (ALTER EXTENSION … DROP TABLE …), or \
                        leave it out knowingly (`exclude_tables`)";

/// The tables of extensions whose rows are left out, in a sentence; none when there are none.
///
/// Neither the tables are read for it nor locked: whether there are rows is what the server has counted.
///
/// # Errors
/// The server cannot say it.
pub async fn left_out(params: &Params, client: &Client) -> Result<Option<String>, StepError> {
    let sql = format!(
        "SELECT n.nspname::text, c.relname::text, e.extname::text, pg_catalog.count(*) OVER () FROM pg_catalog.pg_depend d \
         JOIN pg_catalog.pg_extension e ON e.oid = d.refobjid JOIN pg_catalog.pg_class c ON c.oid = d.objid \
         JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
         WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objsubid = 0 AND d.deptype = 'e' \
         AND d.refclassid = 'pg_catalog.pg_extension'::pg_catalog.regclass \
         AND c.relkind IN ('r', 'm') AND c.relpersistence <> 't' AND n.nspname NOT IN ('pg_catalog', 'information_schema') \
         AND (e.extconfig IS NULL OR NOT c.oid = ANY (e.extconfig)) \
         AND (c.reltuples > 0 OR pg_catalog.pg_stat_get_live_tuples(c.oid) > 0) \
         AND (pg_catalog.cardinality($1::text[]) = 0 OR n.nspname ~ ANY ($1)) \
         AND (pg_catalog.cardinality($2::text[]) = 0 OR c.relname ~ ANY ($2)) AND NOT c.relname ~ ANY ($3::text[]) \
         ORDER BY 1, 2 LIMIT {NAMED}"
    );
    let names = |texts: &[String]| texts.iter().map(|t| Pattern::parse(t).name).collect::<Vec<_>>();
    let without = [names(&params.exclude_tables), names(&params.exclude_table_data)].concat();
    let rows = client.query(&sql, &[&names(&params.schemas), &names(&params.tables), &without]).await;
    let rows = rows.map_err(|e| postgres::asked("asking for tables of extensions", &e))?;
    let Some(all) = rows.first().map(|r| usize::try_from(r.get::<_, i64>(3)).unwrap_or(usize::MAX)) else {
        return Ok(None);
    };
    let shown = |r: &tokio_postgres::Row| {
        let (schema, name, extension): (String, String, String) = (r.get(0), r.get(1), r.get(2));
        format!("`{schema}.{name}` (of `{extension}`)")
    };
    let first: Vec<String> = rows.iter().map(shown).collect();
    Ok(Some(format!(
        "pg_dump leaves out the rows of tables that belong to an extension and are not its configuration; a restore has those that \
         CREATE EXTENSION makes: {}",
        few(&first, all)
    )))
}
