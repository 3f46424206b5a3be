//! Whether the files that the outputs of an earlier run name are still what they were: there, of the same size, and with
//! the record that knows them. One that was written to after its record, or has none, is read through; others are not.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::{LIMIT, Record};
use crate::files::{self, Kind, Listed};
use crate::step::{Look, Progress, StepError, Unit};

const GONE: &str = "put it back, or run the plan anew; is a share not mounted?";
const ANOTHER: &str = "it is another file, or a broken one: run the plan anew";

/// The files under `path` and `paths`, of `bytes` each. With `recorded` each has a record beside it, which names `sha256`.
///
/// # Errors
/// The first one that is not what it was.
pub fn stand(look: &Look, outputs: &Value, recorded: bool) -> Result<(), StepError> {
    let text = |name: &str| outputs.get(name).and_then(Value::as_str);
    let mut paths: Vec<&str> = text("path").into_iter().collect();
    for other in outputs.get("paths").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str) {
        if !paths.contains(&other) {
            paths.push(other);
        }
    }
    let bytes = outputs.get("bytes").and_then(Value::as_u64);
    for path in paths.into_iter().map(PathBuf::from) {
        let file = file(look, &path, bytes)?;
        untouched(look, &path, &file, text("sha256"))?;
        if recorded {
            record(look, &path, text("sha256"))?;
        }
    }
    Ok(())
}

fn file(look: &Look, path: &Path, bytes: Option<u64>) -> Result<Listed, StepError> {
    let shown = path.display();
    let there =
        files::at(look, path).map_err(|e| StepError::because(format!("looking at `{shown}`"), &e).hint(GONE))?;
    match there {
        None => Err(StepError::new(format!("`{shown}` is gone")).hint(GONE)),
        Some(file) if file.kind != Kind::File => {
            Err(StepError::new(format!("`{shown}` is no longer a regular file, it is {}", file.kind.describe())))
        }
        Some(file) => match bytes.filter(|b| *b != file.bytes) {
            None => Ok(file),
            Some(had) => {
                let what = format!("`{shown}` has {} bytes by now, and had {had} when it was made", file.bytes);
                Err(StepError::new(what).hint(ANOTHER))
            }
        },
    }
}

/// Whether a file was left alone since it was made: its record is written when it is complete, and both by one clock. One
/// without a record may be anything.
fn untouched(look: &Look, path: &Path, file: &Listed, sha256: Option<&str>) -> Result<(), StepError> {
    let Some(sha256) = sha256 else { return Ok(()) };
    if files::at(look, &Record::path_of(path)).is_ok_and(|r| r.is_some_and(|r| file.modified <= r.modified)) {
        return Ok(());
    }
    let shown = path.display();
    let mut progress = |done| {
        look.log.progress(&Progress { done, total: Some(file.bytes), unit: Unit::Bytes, note: String::new() });
    };
    let (_, now) = files::hash_told(look, path, &mut progress)
        .map_err(|e| StepError::because(format!("reading `{shown}`"), &e))?;
    match now == sha256 {
        true => Ok(()),
        false => Err(StepError::new(format!("`{shown}` holds other bytes than when it was made")).hint(ANOTHER)),
    }
}

fn record(look: &Look, path: &Path, sha256: Option<&str>) -> Result<(), StepError> {
    let shown = Record::path_of(path);
    let shown = shown.display();
    let refused = |why: String| StepError::new(format!("the record `{shown}` {why}"));
    let text = files::read_small(look, &Record::path_of(path), LIMIT)
        .map_err(|e| refused(format!("cannot be read: {e}")).hint(GONE))?;
    let record = Record::parse(&text).map_err(refused)?;
    match sha256 {
        Some(sha256) if sha256 != record.sha256 => {
            Err(refused("is that of another archive".to_owned()).hint("run the plan anew"))
        }
        _ => Ok(()),
    }
}
