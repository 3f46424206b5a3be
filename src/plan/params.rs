//! Values for a plan's parameters, read by their declared types.

use serde_json::Value as Json;

use super::{Param, ParamType};
use crate::value::Value;

impl ParamType {
    /// The type as a message names it.
    pub fn name(self) -> &'static str {
        match self {
            Self::String => "string",
            Self::Integer => "integer",
            Self::Number => "number",
            Self::Boolean => "boolean",
            Self::Array => "array",
        }
    }

    fn read(self, text: &str) -> Option<Json> {
        match self {
            Self::String => Some(text.into()),
            Self::Integer => text.parse::<i64>().ok().map(Json::from),
            Self::Number => text.parse::<f64>().ok().filter(|n| n.is_finite()).map(Json::from),
            Self::Boolean => text.parse::<bool>().ok().map(Json::from),
            Self::Array => None,
        }
    }

    fn fits(self, json: &Json) -> bool {
        match self {
            Self::String => json.is_string(),
            Self::Integer => json.as_i64().is_some(),
            Self::Number => json.is_number(),
            Self::Boolean => json.is_boolean(),
            Self::Array => json.is_array(),
        }
    }
}

impl Param {
    /// Reads a value as typed on a command line. An array is a comma list, or JSON when it starts with `[`.
    ///
    /// # Errors
    /// What was expected.
    pub fn read_text(&self, text: &str) -> Result<Value, String> {
        let expected = |kind: ParamType| format!("expected {} {}, found `{text}`", article(kind), kind.name());
        let json = if self.kind != ParamType::Array {
            self.kind.read(text).ok_or_else(|| expected(self.kind))?
        } else if text.trim_start().starts_with('[') {
            serde_json::from_str(text).map_err(|e| format!("expected a JSON list, found `{text}`: {e}"))?
        } else {
            let kind = self.items.as_ref().map_or(ParamType::String, |i| i.kind);
            let pieces = text.split(',').map(str::trim).filter(|p| !p.is_empty());
            let items = pieces.map(|p| {
                kind.read(p).ok_or_else(|| format!("each item is {} {}, found `{p}`", article(kind), kind.name()))
            });
            Json::Array(items.collect::<Result<_, _>>()?)
        };
        self.accept(&json)
    }

    /// Takes a value of a parameters file.
    ///
    /// # Errors
    /// What was expected.
    pub fn accept(&self, json: &Json) -> Result<Value, String> {
        if !self.kind.fits(json) {
            return Err(format!(
                "expected {} {}, found {}",
                article(self.kind),
                self.kind.name(),
                Value::from(json).kind()
            ));
        }
        if let (Some(items), Json::Array(all)) = (&self.items, json)
            && let Some(odd) = all.iter().find(|i| !items.kind.fits(i))
        {
            return Err(format!("each item is {} {}, found `{odd}`", article(items.kind), items.kind.name()));
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

fn article(kind: ParamType) -> &'static str {
    if matches!(kind, ParamType::Integer | ParamType::Array) { "an" } else { "a" }
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
        let keep = param(serde_json::json!({ "type": "integer", "minimum": 1 }));
        assert_eq!(keep.read_text("7"), Ok(Value::Int(7)));
        assert!(keep.read_text("seven").is_err_and(|e| e.contains("an integer") && e.contains("seven")));
        assert!(keep.read_text("0").is_err_and(|e| e.contains("at least 1")));
        let full = param(serde_json::json!({ "type": "boolean" }));
        assert_eq!(full.read_text("true"), Ok(Value::Bool(true)));
        assert!(full.read_text("yes").is_err());
        let tables = param(serde_json::json!({ "type": "array", "items": { "type": "string" } }));
        let both = Value::List(vec!["a".into(), "b".into()]);
        assert_eq!(tables.read_text("a, b"), Ok(both.clone()));
        assert_eq!(tables.read_text("[\"a\", \"b\"]"), Ok(both));
        assert!(param(serde_json::json!({ "type": "string", "pattern": "^a" })).read_text("b").is_err());
        assert!(param(serde_json::json!({ "type": "string", "enum": ["a"] })).read_text("b").is_err());
    }
}
