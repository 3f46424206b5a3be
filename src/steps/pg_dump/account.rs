//! What a dump says of itself: the manifest in the archive, and the record beside it.

use chrono::{DateTime, Utc};

use super::Work;
use crate::archive::{self, Content, Record, Sealed, Server};
use crate::dump::evidence::Evidence;
use crate::dump::{MANIFEST_VERSION, Manifest, Origin};
use crate::step::{StepError, Touch};

/// The manifest that goes into the archive.
pub fn manifest(
    work: &Work,
    touch: &Touch,
    dump_bytes: u64,
    started_at: DateTime<Utc>,
    evidence: Option<Evidence>,
) -> Result<String, StepError> {
    let facts = touch.facts();
    let evidence = evidence.map(|mut evidence| {
        evidence.session.settings.clone_from(&work.measuring.session);
        evidence
    });
    let mut manifest = Manifest {
        schema_version: MANIFEST_VERSION,
        plan: facts.plan.clone(),
        target: facts.target.clone(),
        run: facts.run.clone(),
        database: work.database.dbname.clone(),
        server_version: work.server.version.clone(),
        dump: work.entry(),
        globals: work.globals.as_ref().map(|_| "globals.sql".to_owned()),
        dump_bytes,
        started_at,
        origin: Some(origin(work, &facts.host)),
        evidence,
        properties: work.server.properties.clone(),
    };
    manifest.write().or_else(|why| {
        touch.log().warn(format!("the manifest does not say what the dump holds: {why}"));
        manifest.evidence = None;
        manifest.write().map_err(|why| StepError::new(format!("writing the manifest: {why}")))
    })
}

/// The machine and the server.
fn origin(work: &Work, machine: &str) -> Origin {
    let (host, port) = (work.database.host.clone().unwrap_or_default(), work.database.port.unwrap_or(5432));
    let system_identifier = work.server.identifier.clone();
    Origin { machine: machine.to_owned(), host, port, system_identifier }
}

/// The record that goes beside it.
pub fn record(work: &Work, touch: &Touch, sealed: &Sealed, dump_bytes: u64, started_at: DateTime<Utc>) -> Record {
    let facts = touch.facts();
    let (host, port) = (work.database.host.clone().unwrap_or_default(), work.database.port.unwrap_or(5432));
    let (encryption, compression) = work.target.words();
    Record {
        schema_version: archive::SCHEMA_VERSION,
        kind: Content::Dump,
        plan: facts.plan.clone(),
        target: facts.target.clone(),
        server: Some(Server { host, port, system_identifier: work.server.identifier.clone() }),
        database: work.database.dbname.clone(),
        machine: facts.host.clone(),
        run: facts.run.clone(),
        started_at,
        finished_at: Utc::now(),
        bytes: sealed.bytes,
        dump_bytes,
        sha256: sealed.sha256.clone(),
        format: Some(work.format.word().to_owned()),
        encryption: encryption.to_owned(),
        compression: compression.to_owned(),
        server_version: Some(work.server.version.clone()),
        tool_version: env!("CARGO_PKG_VERSION").to_owned(),
    }
}
