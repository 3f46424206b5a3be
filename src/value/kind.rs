//! The types that a plan declares for a parameter or an output, and how a text is read by them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

/// Type of a parameter or of a declared output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ParamType {
    String,
    /// Path of a file or folder. A relative path is relative to the folder of the file that it is written in; on a
    /// command line, to the current folder.
    Path,
    Integer,
    Number,
    Boolean,
    Array,
}

impl ParamType {
    /// The type as a message names it.
    pub fn name(self) -> &'static str {
        match self {
            Self::String => "string",
            Self::Path => "path",
            Self::Integer => "integer",
            Self::Number => "number",
            Self::Boolean => "boolean",
            Self::Array => "array",
        }
    }

    /// The type with its article, like `an integer`.
    pub fn a(self) -> String {
        let article = if matches!(self, Self::Integer | Self::Array) { "an" } else { "a" };
        format!("{article} {}", self.name())
    }

    /// Reads a text. An array is a comma list of `items` (texts when that is none), or JSON when it starts with `[`.
    ///
    /// # Errors
    /// What was expected.
    pub fn parse(self, items: Option<Self>, text: &str) -> Result<Json, String> {
        if self != Self::Array {
            return self.scalar(text).ok_or_else(|| format!("expected {}, found `{text}`", self.a()));
        }
        if text.trim_start().starts_with('[') {
            return serde_json::from_str(text).map_err(|e| format!("expected a JSON list, found `{text}`: {e}"));
        }
        let kind = items.unwrap_or(Self::String);
        let pieces = text.split(',').map(str::trim).filter(|p| !p.is_empty());
        let each = pieces.map(|p| kind.scalar(p).ok_or_else(|| format!("each item is {}, found `{p}`", kind.a())));
        each.collect::<Result<_, _>>().map(Json::Array)
    }

    fn scalar(self, text: &str) -> Option<Json> {
        match self {
            Self::String | Self::Path => Some(text.into()),
            Self::Integer => text.parse::<i64>().ok().map(Json::from),
            Self::Number => text.parse::<f64>().ok().filter(|n| n.is_finite()).map(Json::from),
            Self::Boolean => text.parse::<bool>().ok().map(Json::from),
            Self::Array => None,
        }
    }

    /// Whether a value is of this type.
    pub fn fits(self, json: &Json) -> bool {
        match self {
            Self::String | Self::Path => json.is_string(),
            Self::Integer => json.as_i64().is_some(),
            Self::Number => json.is_number(),
            Self::Boolean => json.is_boolean(),
            Self::Array => json.is_array(),
        }
    }
}
