//! What can be seen before a run of what a dump will need.

use tokio_postgres::Client;

use super::decide::{AMBIGUOUS_HINT, ambiguous, missed, one_way, one_way_hint, program, version};
use super::members;
use super::rights::rights;
use super::room::{self, Room};
use super::{Params, Target};
use crate::files;
use crate::postgres::{self, Server};
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
        seen.checks.extend(archive.weak_password());
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
        match several(&params, &server.client).await {
            Ok(texts) => {
                let problem = |text| Check::problem(Area::Parameters, text).hint(AMBIGUOUS_HINT);
                seen.checks.extend(texts.into_iter().map(problem));
            }
            Err(error) => seen.checks.push(Check::warning(Area::Parameters, error.what)),
        }
        match members::left_out(&params, &server.client).await {
            Ok(text) => seen.checks.extend(text.map(|t| Check::warning(Area::Object, t).hint(members::HINT))),
            Err(error) => seen.checks.push(Check::warning(Area::Object, error.what)),
        }
        match rights(&params, server, &database).await {
            Ok(checks) => seen.checks.extend(checks),
            Err(error) => seen.checks.push(Check::warning(Area::Right, error.what)),
        }
    }
    seen
}

/// The names of `tables` that more than one schema has.
async fn several(params: &Params, client: &Client) -> Result<Vec<String>, StepError> {
    let near = postgres::visible_schemas(client).await?;
    let mut texts = Vec::new();
    for pattern in &params.tables {
        texts.extend(ambiguous(client, pattern, &near).await?);
    }
    Ok(texts)
}

/// The version of a `pg_dump` whose place does not say it.
pub async fn probe(params: Params, probe: &Probe) -> Vec<Check> {
    let look = probe.look();
    let Ok(database) = params.database.resolve(&look.env) else { return Vec::new() };
    let (_, Some(server)) = postgres::meet(look, &database).await else { return Vec::new() };
    let Ok(found) = program(look, &params, server.major) else { return Vec::new() };
    // What is missing is said without asking it.
    if process::locate(look, &found, &look.env, None).is_none() {
        return Vec::new();
    }
    let (mut checks, dumper) = match postgres::distributed_major(found.as_ref()) {
        Some(major) => (Vec::new(), Some(major)),
        None => match version(probe, &found, &server.version, server.major).await {
            Ok(number) => {
                let major = postgres::numbers(&number).first().copied();
                (vec![Check::ok(Area::Program, format!("`{found}`: version {number}"))], major)
            }
            Err(error) => return vec![Check::failed(Area::Program, &error).in_vain()],
        },
    };
    let text = dumper.and_then(|dumper| one_way(dumper, server.major, params.format));
    checks.extend(text.map(|text| Check::warning(Area::Program, text).hint(one_way_hint(server.major))));
    checks
}

async fn size(client: &Client) -> Option<u64> {
    let row = client.query_one("SELECT pg_catalog.pg_database_size(pg_catalog.current_database())", &[]).await.ok()?;
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
