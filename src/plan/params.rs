//! Values for a plan's parameters, read by their declared types.

use std::path::Path;

use serde_json::Value as Json;

use super::Param;
use crate::value::Value;

impl Param {
    /// Reads a value as typed on a command line in the folder `dir`. An array is a comma list, or JSON when it starts with
    /// `[`.
    ///
    /// # Errors
    /// What was expected.
    pub fn read_text(&self, text: &str, dir: &Path) -> Result<Value, String> {
        let json = self.kind.parse(self.items.as_ref().map(|i| i.kind), text)?;
        self.read(json, dir)
    }

    /// Takes a value that is written in a file of the folder `dir`.
    ///
    /// # Errors
    /// What was expected.
    pub fn read(&self, json: Json, dir: &Path) -> Result<Value, String> {
        self.accept(&self.anchored(json, dir)?)
    }

    /// Takes a value whose paths are absolute already.
    ///
    /// # Errors
    /// What was expected.
    pub fn accept(&self, json: &Json) -> Result<Value, String> {
        if !self.kind.fits(json) {
            return Err(format!("expected {}, found {}", self.kind.a(), Value::from(json).kind()));
        }
        if let (Some(items), Json::Array(all)) = (&self.items, json)
            && let Some(odd) = all.iter().find(|i| !items.kind.fits(i))
        {
            return Err(format!("each item is {}, found `{odd}`", items.kind.a()));
        }
        if let Some(allowed) = &self.one_of
            && !allowed.contains(json)
        {
            let names: Vec<String> = allowed.iter().map(|v| format!("`{}`", shown(v))).collect();
            return Err(format!("expected one of {}, found `{}`", names.join(", "), shown(json)));
        }
        if let Some(number) = json.as_f64() {
            if let Some(least) = self.minimum.filter(|m| number < *m) {
                return Err(format!("expected at least {least}, found {number}"));
            }
            if let Some(most) = self.maximum.filter(|m| number > *m) {
                return Err(format!("expected at most {most}, found {number}"));
            }
        }
        if let (Some(pattern), Some(text)) = (&self.pattern, json.as_str()) {
            let regex =
                jsonschema::validator_for(&serde_json::json!({ "pattern": pattern })).map_err(|e| e.to_string())?;
            if !regex.is_valid(json) {
                return Err(format!("expected a text that matches `{pattern}`, found `{text}`"));
            }
        }
        Ok(Value::from(json))
    }
}

fn shown(json: &Json) -> String {
    json.as_str().map_or_else(|| json.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn param(json: Json) -> Param {
        serde_json::from_value(json).expect("a parameter")
    }

    #[test]
    fn texts_are_read_by_the_declared_type() {
        let here = Path::new("/here");
        let keep = param(serde_json::json!({ "type": "integer", "minimum": 1 }));
        assert_eq!(keep.read_text("7", here), Ok(Value::Int(7)));
        assert!(keep.read_text("seven", here).is_err_and(|e| e.contains("an integer") && e.contains("seven")));
        assert!(keep.read_text("0", here).is_err_and(|e| e.contains("at least 1")));
        let full = param(serde_json::json!({ "type": "boolean" }));
        assert_eq!(full.read_text("true", here), Ok(Value::Bool(true)));
        assert!(full.read_text("yes", here).is_err());
        let tables = param(serde_json::json!({ "type": "array", "items": { "type": "string" } }));
        let both = Value::List(vec!["a".into(), "b".into()]);
        assert_eq!(tables.read_text("a, b", here), Ok(both.clone()));
        assert_eq!(tables.read_text("[\"a\", \"b\"]", here), Ok(both));
        let dir = param(serde_json::json!({ "type": "path" }));
        assert_eq!(dir.read_text("/a", here), Ok("/a".into()));
        assert!(dir.read_text("~/a", here).is_err_and(|e| e.contains("`~`, which is not expanded")));
        let dirs = param(serde_json::json!({ "type": "array", "items": { "type": "path" } }));
        let both = Value::List(vec![here.join("a").to_string_lossy().as_ref().into(), "/b".into()]);
        assert_eq!(dirs.read_text("a, /b", here), Ok(both));
        assert!(param(serde_json::json!({ "type": "string", "pattern": "^a" })).read_text("b", here).is_err());
        assert!(param(serde_json::json!({ "type": "string", "enum": ["a"] })).read_text("b", here).is_err());
    }
}
