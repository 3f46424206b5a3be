//! Where a secret comes from, and fetching it.

use schemars::JsonSchema;
use serde::Deserialize;

/// Where a secret comes from: exactly one of the keys.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Source {
    /// The environment variable that holds it.
    #[serde(default)]
    pub env: Option<String>,
    /// The file that holds it; a last line end is not part of it.
    #[serde(default)]
    pub file: Option<String>,
    /// The program and its arguments that print it on standard output; a last line end is not part of it.
    #[serde(default)]
    pub command: Option<Vec<String>>,
}
