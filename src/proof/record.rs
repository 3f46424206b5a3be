//! The record of an archive, written again from the manifest inside.

use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;

use chrono::{DateTime, Utc};

use super::source::open;
use super::verify::{Found, check_password, examine};
use crate::archive::read::{Archive, Item};
use crate::archive::{Content, Record, SCHEMA_VERSION, Server};
use crate::dump::{Form, MANIFEST, MANIFEST_LIMIT, Manifest};
use crate::files::{self, Partial};
use crate::step::{StepError, Touch};

/// Writes the record of an archive that has none, after every byte of it was read and is good. An archive that has its
/// record is left alone.
///
/// # Errors
/// It is not good, it has no manifest to write a record from, or the record cannot be written.
pub fn write_record(touch: &Touch, path: &Path, password: Option<&str>) -> Result<(), StepError> {
    match examine(touch, path, password)? {
        Found::Good(_) => {
            touch.log().info(format!("`{}` has its record", path.display()));
            return Ok(());
        }
        Found::RecordMissing => {}
    }
    let mut archive = open(touch, path)?;
    let password = password.map(str::as_bytes);
    check_password(&mut archive, path, password)?;
    let manifest = manifest(&mut archive, password)
        .map_err(|why| StepError::new(format!("the record of `{}` cannot be written again: {why}", path.display())))?;
    let record = record(touch, path, &archive, &manifest)?;
    if record.server.is_none() {
        touch.log().warn("the archive does not say which server it comes from, and neither does its record");
    }
    let place = Record::path_of(path);
    let failed =
        |e: &(dyn std::error::Error + 'static)| StepError::because(format!("writing `{}`", place.display()), e);
    let json = serde_json::to_vec_pretty(&record).map_err(|e| failed(&e))?;
    let write = || -> std::io::Result<()> {
        let partial = Partial::create(touch, &place)?;
        partial.file().write_all(&json)?;
        partial.file().sync_all()?;
        partial.publish()
    };
    write().map_err(|e| failed(&e))?;
    touch.log().info(format!("wrote the record `{}`", place.display()));
    Ok(())
}

fn manifest(archive: &mut Archive<File>, password: Option<&[u8]>) -> Result<Manifest, String> {
    let index = archive.entries().iter().position(|e| e.name == MANIFEST);
    let index = index.ok_or("it has no manifest, so it is not a dump that runplan made")?;
    let content = archive.read(index, password).map_err(|e| e.to_string())?;
    let mut text = Vec::new();
    content.take(MANIFEST_LIMIT + 1).read_to_end(&mut text).map_err(|e| e.to_string())?;
    Manifest::parse(&text).map_err(|why| format!("its manifest {why}"))
}

fn record(touch: &Touch, path: &Path, archive: &Archive<File>, manifest: &Manifest) -> Result<Record, StepError> {
    let reading = |e: std::io::Error| StepError::because(format!("reading `{}`", path.display()), &e);
    let (bytes, sha256) = files::hash(touch.look(), path).map_err(reading)?;
    let at = files::at(touch.look(), path).map_err(reading)?;
    let dump = archive.entries().iter().find(|e| e.name == manifest.dump);
    let encrypted = archive.entries().iter().all(Item::encrypted);
    let origin = manifest.origin.as_ref();
    let format = match manifest.form() {
        Form::Custom => "custom",
        Form::Plain => "plain",
        Form::Directory => "directory",
    };
    Ok(Record {
        schema_version: SCHEMA_VERSION,
        kind: Content::Dump,
        plan: manifest.plan.clone(),
        target: manifest.target.clone(),
        server: origin.map(|o| Server {
            host: o.host.clone(),
            port: o.port,
            system_identifier: o.system_identifier.clone(),
        }),
        database: manifest.database.clone(),
        machine: origin.map(|o| o.machine.clone()).unwrap_or_default(),
        run: manifest.run.clone(),
        started_at: manifest.started_at,
        // The archive was complete when it was written to last.
        finished_at: at.map_or(manifest.started_at, |file| DateTime::<Utc>::max(file.modified, manifest.started_at)),
        bytes,
        dump_bytes: manifest.dump_bytes,
        sha256,
        format: Some(format.to_owned()),
        encryption: if encrypted { "aes256" } else { "none" }.to_owned(),
        compression: dump.map_or("deflate", Item::compression).to_owned(),
        server_version: Some(manifest.server_version.clone()),
        tool_version: env!("CARGO_PKG_VERSION").to_owned(),
    })
}
