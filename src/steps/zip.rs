//! `zip`: files into an encrypted archive.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

use chrono::Utc;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::archive::{self, Content, Record, Writer};
use crate::files;
use crate::quantity::Size;
use crate::step::{Area, Check, Fault, Look, Preflight, Preview, Progress, Step, StepError, Touch, Unit};
use crate::value::Value;

/// Pack files into an encrypted archive.
///
/// Entries have the paths that are given here, without a leading `/` or `..`. The archive gets its name only after
/// every byte was read back. Retention does not count it, because it contains no dump.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Params {
    /// Files, folders (with everything in them), or patterns with `*`, `?` and `**`, like `/etc/postgresql/**`. Each
    /// must match something. Symbolic links are not followed. A relative path is relative to the folder of the plan.
    #[schemars(length(min = 1))]
    #[schemars(extend("x-runplan-path" = "pattern"))]
    files: Vec<String>,
    /// Archive to write.
    archive: archive::Settings,
}

/// Result of the step.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Output {
    /// Path of the archive.
    path: String,
    /// All paths that were written, `path` first.
    paths: Vec<String>,
    /// Size of the archive in bytes.
    bytes: u64,
    /// SHA-256 of the archive, in hexadecimal.
    sha256: String,
    /// Number of files in the archive.
    files: u64,
    /// Size of these files in bytes.
    file_bytes: u64,
}

/// Everything decided.
#[derive(Debug)]
pub struct Work {
    /// Each file by its name in the archive.
    entries: BTreeMap<String, PathBuf>,
    /// Their size when they were looked at.
    bytes: u64,
    archive: archive::Settings,
}

/// The executor.
pub struct Zip;

impl Step for Zip {
    const NAME: &'static str = "zip";
    const EXAMPLE: &'static str = "files: [exports/*.csv]\narchive:\n  path: backups/files-${{ run.id }}.zip\n  password: ${{ secrets.zip_password }}\n";
    const PUBLISHES: bool = true;
    type Params = Params;
    type Output = Output;
    type Work = Work;

    fn check(params: &serde_json::Value) -> Vec<Fault> {
        archive::Settings::faults(params)
    }

    async fn preflight(params: Params, look: &Look) -> Preflight {
        let path = PathBuf::from(&params.archive.path);
        let settings = params.archive.check().and_then(|()| archive::unused(look, &path));
        let mut checks: Vec<Check> = settings.err().iter().map(|e| Check::failed(Area::Parameters, e)).collect();
        checks.push(files::folder(
            look,
            path.parent().filter(|d| !d.as_os_str().is_empty()).unwrap_or(Path::new(".")),
            true,
        ));
        checks.extend(params.archive.weak_password());
        let mut seen = Preflight::from(checks);
        seen.know("path", params.archive.path.as_str());
        seen
    }

    fn stands(outputs: &serde_json::Value, look: &Look) -> Result<(), StepError> {
        archive::stand(look, outputs, true)
    }

    async fn plan(params: Params, look: &Look) -> Result<Work, StepError> {
        params.archive.check()?;
        params.archive.unused(look)?;
        params.archive.foresee(look);
        if params.files.is_empty() {
            return Err(StepError::new("`files` names no file"));
        }
        let mut work = Work { entries: BTreeMap::new(), bytes: 0, archive: params.archive };
        for pattern in &params.files {
            let found = files::expand(look, &look.plan_dir, pattern);
            // The folder of the plan is not part of the name of what lies in it.
            let relative = Path::new(pattern).is_relative();
            let named =
                |path: &Path| inside(path.strip_prefix(&look.plan_dir).ok().filter(|_| relative).unwrap_or(path));
            for (path, listed) in found.map_err(|e| StepError::new(format!("`{pattern}`: {e}")))? {
                let name = named(&path);
                match work.entries.insert(name.clone(), path.clone()) {
                    Some(other) if other != path => {
                        let (a, b) = (other.display(), path.display());
                        return Err(StepError::new(format!(
                            "`{a}` and `{b}` would both be called `{name}` in the archive"
                        )));
                    }
                    // Named by two patterns, and taken once.
                    Some(_) => {}
                    None => work.bytes += listed.bytes,
                }
            }
        }
        Ok(work)
    }

    fn preview(work: &Work) -> Preview {
        let count = work.entries.len();
        let archive = &work.archive;
        let mut lines =
            vec![format!("{count} file{}, {}", if count == 1 { "" } else { "s" }, Size(work.bytes)), archive.places()];
        lines.extend(work.entries.keys().take(20).map(|n| format!("  {n}")));
        if count > 20 {
            lines.push(format!("  and {} more", count - 20));
        }
        Preview::new(lines)
            .known("path", Value::from(archive.path.as_str()))
            .known("paths", Value::List(archive.paths().map(Value::from).collect()))
            .known("files", Value::Int(i64::try_from(count).unwrap_or(i64::MAX)))
    }

    async fn apply(work: Work, touch: &Touch) -> Result<Output, StepError> {
        let touch = touch.again();
        let done = tokio::task::spawn_blocking(move || pack(&work, &touch)).await;
        done.map_err(|e| StepError::because("packing", &e))?
    }
}

fn pack(work: &Work, touch: &Touch) -> Result<Output, StepError> {
    let started_at = Utc::now();
    let mut writer = Writer::create(touch, &work.archive)?;
    let (log, total) = (touch.log(), Some(work.bytes));
    let mut before = 0;
    for (name, path) in &work.entries {
        let mut from = files::open(touch.look(), path)
            .map_err(|e| StepError::because(format!("opening `{}`", path.display()), &e))?;
        let mut progress = |done: u64| {
            log.progress(&Progress { done: before + done, total, unit: Unit::Bytes, note: name.clone() });
        };
        before += writer.entry(name, &mut from, &mut progress)?;
    }
    let sealed = writer.seal()?;
    let facts = touch.facts();
    let record = Record {
        schema_version: archive::SCHEMA_VERSION,
        kind: Content::Files,
        plan: facts.plan.clone(),
        target: facts.target.clone(),
        server: None,
        database: None,
        machine: facts.host.clone(),
        run: facts.run.clone(),
        started_at,
        finished_at: Utc::now(),
        bytes: sealed.bytes,
        dump_bytes: before,
        sha256: sealed.sha256.clone(),
        format: None,
        encryption: work.archive.encryption.word().to_owned(),
        compression: work.archive.compression.word().to_owned(),
        server_version: None,
        tool_version: env!("CARGO_PKG_VERSION").to_owned(),
    };
    sealed.publish(touch, &record)?;
    Ok(Output {
        path: work.archive.path.clone(),
        paths: work.archive.paths().map(str::to_owned).collect(),
        bytes: record.bytes,
        sha256: record.sha256,
        files: work.entries.len() as u64,
        file_bytes: before,
    })
}

/// The name of a file in the archive: its path without what leads out of a folder it may be unpacked in, with `/`
/// between its parts (PKWARE APPNOTE 4.4.17).
fn inside(path: &Path) -> String {
    let parts = path.components().filter_map(|c| match c {
        Component::Normal(part) => Some(part.to_string_lossy().into_owned()),
        _ => None,
    });
    parts.collect::<Vec<_>>().join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_in_the_archive_stay_below_the_folder_they_are_unpacked_in() {
        for (path, name) in [("/etc/a b", "etc/a b"), ("../x/./y", "x/y"), ("z", "z")] {
            assert_eq!(inside(Path::new(path)), name);
        }
    }
}
