//! Relative paths, which mean something else for each folder that runplan is started in. A timer starts it in `/`, where
//! they are hardly meant.

use std::path::Path;

use crate::step::Entry;
use crate::value::Value;

/// What to say of each relative path among the rendered parameters of a step that is started in `/`.
pub fn warnings(entry: &Entry, with: &Value) -> Vec<String> {
    let mut found = Vec::new();
    for keys in entry.paths() {
        let value = keys.iter().try_fold(with, |value, key| value.get(key));
        let texts: Vec<&str> = match value {
            Some(Value::Text(text)) => vec![text],
            Some(Value::List(items)) => items.iter().filter_map(Value::as_text).collect(),
            _ => Vec::new(),
        };
        found.extend(
            texts.into_iter().filter(|t| !t.is_empty() && Path::new(t).is_relative()).map(|t| said(&keys.join("."), t)),
        );
    }
    found
}

/// The warning for one of them.
pub fn said(name: &str, path: &str) -> String {
    format!(
        "`{name}` is the relative path `{path}`, and runplan was started in `/`: write the whole path, begin it with \
         `${{{{ plan.dir }}}}`, or start runplan elsewhere"
    )
}
