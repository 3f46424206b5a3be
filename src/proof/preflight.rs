//! What can be seen before a run of what a restore will need: the server, the right to make a database, the programs.

use std::sync::Arc;

use super::cluster::runs_as_root;
use super::trust;
use crate::files;
use crate::postgres::{self, Server, Settings};
use crate::process::Confinement;
use crate::quantity::Size;
use crate::step::{Area, Check, Look, Probe, StepError};

/// Which database a restore goes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Into {
    /// The one that is named, which is there.
    There,
    /// The one that is named, made for it.
    Made,
    /// One that nobody named, made for it.
    Scratch,
}

/// A restore to a server; `ordinary` is whether it needs a role that could not harm the server.
pub async fn foresee(look: &Look, database: &Settings, into: Into, ordinary: bool) -> Vec<Check> {
    if into == Into::There {
        let (mut checks, server) = postgres::meet(look, database).await;
        if let Some(server) = &server {
            checks.push(trust::check(&server.client, database, ordinary).await);
        }
        checks.extend(server.iter().map(|s| program(look, "pg_restore", s.major)));
        return checks;
    }
    let (mut checks, server) = beside(look, database).await;
    if let Some(server) = server {
        let named = database.dbname.clone().filter(|_| into == Into::Made);
        checks.push(trust::check(&server.client, database, ordinary).await);
        checks.extend(creatable(&server, database, named).await);
        checks.push(program(look, "pg_restore", server.major));
    }
    checks
}

/// A restore into a cluster of its own. Its version is that of the archive, which is the server's where that can be asked.
pub async fn foresee_cluster(look: &Look, database: &Settings) -> Vec<Check> {
    let (_, server) = postgres::meet(look, database).await;
    let mut checks = Vec::new();
    if let Some(server) = server {
        let names = ["initdb", "postgres", "pg_restore"];
        checks.extend(names.iter().map(|name| program(look, name, server.major)));
        checks.extend(room(look, &server).await);
    }
    checks
}

/// Room for the cluster in the temporary folder: about what the database takes on its server, and the dump beside it.
async fn room(look: &Look, server: &Server) -> Option<Check> {
    let sql = "SELECT pg_catalog.pg_database_size(pg_catalog.current_database())";
    let size: i64 = server.client.query_one(sql, &[]).await.ok()?.get(0);
    let size = u64::try_from(size).ok()?;
    let place = match files::temp_dir() {
        Ok(place) => place,
        Err(error) => return Some(Check::problem(Area::Space, error.to_string())),
    };
    let free = files::free(look, &place).ok()?;
    let text = format!("`{}`: {} free, the database takes {}", place.display(), Size(free), Size(size));
    Some(match free < size {
        false => Check::ok(Area::Space, text),
        true => Check::warning(Area::Space, text)
            .hint("name a folder with more room in the environment variable TMPDIR, where the cluster is made"),
    })
}

/// How the cluster would be confined.
pub async fn probe_confinement(probe: &Probe) -> Vec<Check> {
    let found = match Confinement::detect(probe, false).await {
        Ok(found) => found,
        Err(error) => return vec![Check::failed(Area::Right, &error)],
    };
    if let Some(error) = runs_as_root(&found) {
        return vec![Check::failed(Area::Right, &error)];
    }
    vec![match found.hint() {
        None => Check::ok(Area::Right, found.describe()),
        Some(hint) => Check::warning(Area::Right, found.describe()).hint(hint),
    }]
}

/// A database of the server that is surely there, from which another one is made.
async fn beside(look: &Look, database: &Settings) -> (Vec<Check>, Option<Arc<Server>>) {
    let other = |name: &str| Settings { dbname: Some(name.to_owned()), ..database.clone() };
    let (checks, server) = postgres::meet(look, &other("postgres")).await;
    if server.is_some() {
        return (checks, server);
    }
    match postgres::meet(look, &other("template1")).await {
        (told, Some(server)) => (told, Some(server)),
        _ => (checks, None),
    }
}

async fn creatable(server: &Server, database: &Settings, named: Option<String>) -> Vec<Check> {
    let user = database.user.clone().unwrap_or_default();
    let sql = "SELECT rolcreatedb OR rolsuper, EXISTS (SELECT FROM pg_catalog.pg_database WHERE datname = $1) \
               FROM pg_catalog.pg_roles WHERE rolname = current_user";
    let row = match server.client.query_one(sql, &[&named]).await {
        Ok(row) => row,
        Err(error) => {
            return vec![Check::warning(
                Area::Right,
                postgres::asked("asking for the right to CREATE DATABASE", &error).what,
            )];
        }
    };
    let mut checks = vec![match row.get(0) {
        true => Check::ok(Area::Right, format!("`{user}` may make databases")),
        false => Check::problem(Area::Right, format!("`{user}` may not make databases"))
            .hint(format!("ALTER ROLE \"{user}\" CREATEDB")),
    }];
    if let (Some(name), true) = (named, row.get(1)) {
        let text = format!("the database `{name}` is there already");
        checks.push(Check::problem(Area::Object, text).hint("drop it first, or restore into it without `create`"));
    }
    checks
}

fn program(look: &Look, name: &str, major: u32) -> Check {
    match postgres::find(look, name, major) {
        Ok(path) => Check::ok(Area::Program, format!("`{}`: is there", path.display())),
        Err(StepError { what, .. }) => Check::problem(Area::Program, what)
            .hint(format!("install the programs of PostgreSQL {major} (postgresql-{major}) on this machine")),
    }
}
