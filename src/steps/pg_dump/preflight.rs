//! What can be seen before a run of what a dump will need.

use tokio_postgres::Client;

use super::decide::{missed, program, version};
use super::measure::{Picked, picked};
use super::room::{self, Room};
use super::{Params, Target};
use crate::files;
use crate::postgres::{self, Server, Settings};
use crate::process;
use crate::step::{Area, Check, Look, Preflight, Probe, StepError, Upcoming, Verdict};
use crate::value::Value;

/// Everything that can be seen: the folder and its room, the programs, the rights.
pub async fn preflight(params: Params, look: &Look) -> Preflight {
    let mut seen = Preflight::default();
    let target = match Target::of(&params) {
        Ok(target) => target,
        Err(error) => return vec![Check::failed(Area::Parameters, &error).in_vain()].into(),
    };
    let path = target.path().to_owned();
    seen.know("path", path.as_str());
    seen.know("paths", Value::List(target.paths().into_iter().map(Value::from).collect()));
    let place = files::folder(look, room::folder(path.as_ref()), true);
    // With other places the dump is not in vain.
    let alone = target.paths().len() == 1;
    let place = if alone && place.verdict == Verdict::Problem { place.in_vain() } else { place };
    seen.checks.push(place);
    if let Target::Archive(archive) = &target {
        // Each fails by itself, and the archive is at the other places.
        seen.checks.extend(archive.also.iter().map(|path| files::folder(look, room::folder(path.as_ref()), true)));
        seen.checks.extend(archive.unmounted(look).iter().map(|error| Check::failed(Area::Folder, error)));
    }
    if let Err(error) = target.unused(look) {
        seen.checks.push(Check::failed(Area::Folder, &error));
    }
    let database = match params.database.resolve(&look.env) {
        Ok(database) => database,
        Err(error) => {
            seen.checks.push(Check::problem(Area::Server, error.to_string()));
            return seen;
        }
    };
    let (met, server) = postgres::meet(look, &database).await;
    seen.checks.extend(met);
    let size = match &server {
        Some(server) => size(&server.client).await,
        None => None,
    };
    let outlooks = Room::outlooks(look, &target, params.format, database.dbname.as_deref(), size);
    let in_vain = outlooks.iter().all(|o| o.in_vain);
    let bytes = outlooks.iter().find_map(|o| o.expected);
    for outlook in outlooks {
        let mut check = Check::new(Area::Space, outlook.verdict, outlook.text);
        check.hint = (outlook.verdict != Verdict::Ok).then(|| room::HINT.to_owned());
        check.in_vain = in_vain;
        seen.checks.push(check);
    }
    seen.archives.extend(target.paths().into_iter().map(|place| Upcoming {
        path: place.into(),
        archive: path.clone().into(),
        database: database.dbname.clone(),
        bytes,
    }));
    if let Some(server) = &server {
        seen.know("server_version", server.version.as_str());
        seen.checks.extend(programs(&params, look, server));
        match missed(&server.client, &params).await {
            Ok(missed) => seen.checks.extend(missed.into_iter().map(|text| Check::problem(Area::Parameters, text))),
            Err(error) => seen.checks.push(Check::warning(Area::Parameters, error.what)),
        }
        match rights(&params, &server.client, &database).await {
            Ok(checks) => seen.checks.extend(checks),
            Err(error) => seen.checks.push(Check::warning(Area::Right, error.what)),
        }
    }
    seen
}

/// The version of a `pg_dump` whose place does not say it.
pub async fn probe(params: Params, probe: &Probe) -> Vec<Check> {
    let look = probe.look();
    let Ok(database) = params.database.resolve(&look.env) else { return Vec::new() };
    let (_, Some(server)) = postgres::meet(look, &database).await else { return Vec::new() };
    let Ok(found) = program(look, &params, server.major) else { return Vec::new() };
    // What is missing is said without asking it.
    if postgres::is_distributed(found.as_ref()) || process::locate(look, &found, &look.env, None).is_none() {
        return Vec::new();
    }
    vec![match version(probe, &found, &server.version, server.major).await {
        Ok(number) => Check::ok(Area::Program, format!("`{found}`: version {number}")),
        Err(error) => Check::failed(Area::Program, &error).in_vain(),
    }]
}

async fn size(client: &Client) -> Option<u64> {
    let row = client.query_one("SELECT pg_database_size(current_database())", &[]).await.ok()?;
    u64::try_from(row.get::<_, i64>(0)).ok()
}

fn programs(params: &Params, look: &Look, server: &Server) -> Vec<Check> {
    let mut wanted = vec![program(look, params, server.major)];
    if params.globals {
        let found = postgres::find(look, "pg_dumpall", server.major);
        wanted.push(found.map(|p| p.to_string_lossy().into_owned()));
    }
    let seen = |found: Result<String, StepError>| match found {
        Err(error) => Check::failed(Area::Program, &error).in_vain(),
        Ok(name) => match process::locate(look, &name, &look.env, None) {
            Some(path) => Check::ok(Area::Program, format!("`{}`: is there", path.display())),
            None => Check::problem(Area::Program, format!("there is no program `{name}` that can be started"))
                .hint("install it, or write its whole path")
                .in_vain(),
        },
    };
    wanted.into_iter().map(seen).collect()
}

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

/// The tables and sequences that are dumped and may not be read, and those of which row-level security would hide rows.
async fn rights(params: &Params, client: &Client, database: &Settings) -> Result<Vec<Check>, StepError> {
    // `pg_dump` locks the tables it dumps, with or without their rows, and reads each of their sequences.
    let sql = "SELECT * FROM (SELECT n.nspname::text, c.relname::text, c.relkind::text, \
               NOT (has_schema_privilege(n.oid, 'USAGE') AND CASE c.relkind WHEN 'S' THEN has_sequence_privilege(c.oid, 'SELECT') \
               ELSE has_table_privilege(c.oid, 'SELECT') END) AS denied, \
               c.relkind = 'r' AND c.relrowsecurity AND row_security_active(c.oid) AS filtered \
               FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
               WHERE c.relkind IN ('r', 'p', 'S') AND c.relpersistence <> 't' AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' \
               AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e') \
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
    // Who hands `pg_dump` words of its own may have left these tables out.
    let said = |text: String, hint: String| match params.extra_args.is_empty() {
        true => Check::problem(Area::Right, text).hint(hint).in_vain(),
        false => Check::warning(Area::Right, text).hint(hint),
    };
    let mut checks = Vec::new();
    if !denied.is_empty() {
        let text = format!("`{user}` may not read {}, and pg_dump would fail at it", list(&denied));
        checks.push(said(
            text,
            format!("GRANT USAGE on the schema and SELECT to `{user}`, or the role pg_read_all_data"),
        ));
    }
    if !hidden.is_empty() {
        let end = if filters { "and they would be missing in the dump" } else { "and pg_dump would fail at it" };
        let text = format!("row-level security hides rows of {} from `{user}`, {end}", list(&hidden));
        checks.push(said(text, format!("dump as a user that it does not bind: ALTER ROLE \"{user}\" BYPASSRLS")));
    }
    if checks.is_empty() {
        checks.push(Check::ok(Area::Right, format!("`{user}` may read every table and sequence that is dumped")));
    }
    Ok(checks)
}

/// The first few, and how many more there are.
fn list(all: &[Obstacle]) -> String {
    let first: Vec<String> = all.iter().take(10).map(Obstacle::shown).collect();
    let more = all.len() - first.len();
    let rest = if more == 0 { String::new() } else { format!(" and {more} more") };
    format!("{}{rest}", first.join(", "))
}
