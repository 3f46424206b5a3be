//! Names that become part of a path. A database, a target, a label or an answer of a server may be named `../x`, and a path
//! that is made with it must not leave its folder.

use super::paths;
use crate::plan::Plan;
use crate::step::{Entry, PathKind};
use crate::template::{self, Scope};
use crate::value::{ParamType, Value};

/// How many vars may read each other on the way to a path.
const DEPTH: u32 = 20;

/// Refuses the paths of a step that a name would lead elsewhere, given the parameters as they are written.
///
/// # Errors
/// The first such name.
pub fn check(plan: &Plan, entry: &Entry, with: &serde_json::Value, scope: &Scope) -> Result<(), String> {
    for param in paths::params_of(entry).iter().filter(|p| p.kind != PathKind::Program) {
        let written = param.keys.iter().try_fold(with, |value, key| value.get(key));
        written.map_or(Ok(()), |written| check_value(plan, written, scope, DEPTH))?;
    }
    Ok(())
}

fn check_value(plan: &Plan, written: &serde_json::Value, scope: &Scope, depth: u32) -> Result<(), String> {
    match written {
        serde_json::Value::String(text) => check_text(plan, text, scope, depth),
        serde_json::Value::Array(items) => items.iter().try_for_each(|item| check_value(plan, item, scope, depth)),
        _ => Ok(()),
    }
}

fn check_text(plan: &Plan, text: &str, scope: &Scope, depth: u32) -> Result<(), String> {
    let Ok(template) = template::parse(text) else { return Ok(()) };
    for expression in template.expressions() {
        // Only what begins a path may be a path itself.
        let first = text.get(..expression.range.start).is_some_and(|before| before.trim() == "${{");
        let inserted = expression.eval(scope).ok();
        for name in expression.names() {
            let path: Vec<&str> = name.path.iter().map(String::as_str).collect();
            let checked = match path.as_slice() {
                ["vars", var, ..] => {
                    if let Some(written) = plan.vars.get(*var).filter(|_| depth > 0) {
                        check_value(plan, written, scope, depth - 1)?;
                    }
                    false
                }
                ["database", "sslrootcert"] => false,
                ["database" | "target", ..] => true,
                ["params", param, ..] => !first && plan.params.get(param).is_none_or(|p| p.kind != ParamType::Path),
                ["env", ..] => !first,
                ["steps", _, "outputs", "path" | "paths", ..] => false,
                ["steps", _, "outputs", ..] => !first,
                _ => false,
            };
            let root =
                scope.roots.iter().find(|(root, _)| path.first() == Some(&root.as_str())).map(|(_, value)| value);
            let value = root.and_then(|root| path.iter().skip(1).try_fold(root, |value, key| value.get(key)));
            // What a filter took away does no harm.
            if let (true, Some(Value::Text(value)), Some(why)) =
                (checked, value, inserted.as_ref().and_then(leads_away))
                && leads_away(&Value::Text(value.clone())).is_some()
            {
                let (name, value) = (path.join("."), value.escape_debug());
                return Err(format!("`{name}` is `{value}`, which cannot be part of a path: {why}"));
            }
        }
    }
    Ok(())
}

/// Why a text cannot be the name of one file or folder.
fn leads_away(value: &Value) -> Option<&'static str> {
    match value {
        Value::Text(text) if text.contains('/') || cfg!(windows) && text.contains(['\\', ':']) => {
            Some("it would lead to another folder")
        }
        Value::Text(text) if matches!(text.as_str(), "." | "..") => Some("it names a folder above"),
        Value::Text(text) if text.chars().any(char::is_control) => Some("it has control characters"),
        _ => None,
    }
}
