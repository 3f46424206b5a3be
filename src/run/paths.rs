//! Relative paths among the parameters of a step: they belong to the folder of the plan, wherever `runplan` is started.

use std::collections::BTreeMap;
use std::path::{Path, is_separator};
use std::sync::{Arc, Mutex, PoisonError};

use crate::plan::absolute;
use crate::step::{Entry, PathKind, PathParam, StepError};
use crate::value::Value;

/// Makes the relative paths among the rendered parameters of a step absolute.
///
/// # Errors
/// A path that begins with what only a shell expands, with its parameter.
pub fn anchor(entry: &Entry, with: &mut Value, dir: &Path) -> Result<(), StepError> {
    for param in params_of(entry).iter() {
        anchor_at(with, &param.keys, param.kind, dir)
            .map_err(|problem| StepError::new(format!("`{}`: {problem}", param.keys.join("."))))?;
    }
    Ok(())
}

/// The path parameters of an executor, read once from its schema.
pub(super) fn params_of(entry: &Entry) -> Arc<Vec<PathParam>> {
    static KNOWN: Mutex<BTreeMap<&'static str, Arc<Vec<PathParam>>>> = Mutex::new(BTreeMap::new());
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    Arc::clone(known.entry(entry.name).or_insert_with(|| Arc::new(entry.paths())))
}

fn anchor_at(value: &mut Value, keys: &[String], kind: PathKind, dir: &Path) -> Result<(), String> {
    match (value, keys.split_first()) {
        (Value::Map(entries), Some((key, rest))) => {
            entries.iter_mut().filter(|(k, _)| k == key).try_for_each(|(_, v)| anchor_at(v, rest, kind, dir))
        }
        (Value::List(items), None) => items.iter_mut().try_for_each(|item| anchor_at(item, &[], kind, dir)),
        (Value::Text(text), None) => {
            *text = anchored(text, kind, dir)?;
            Ok(())
        }
        _ => Ok(()),
    }
}

fn anchored(text: &str, kind: PathKind, dir: &Path) -> Result<String, String> {
    match kind {
        PathKind::Program => program(dir, text),
        // The executor knows which part of it is a pattern.
        PathKind::Pattern => absolute(dir, text).map(|_| text.to_owned()),
        PathKind::File => absolute(dir, text),
    }
}

/// The program of that name: a bare one is looked for in `PATH`.
pub fn program(dir: &Path, name: &str) -> Result<String, String> {
    if name.contains(is_separator) { absolute(dir, name) } else { Ok(name.to_owned()) }
}
