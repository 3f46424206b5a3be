//! What a plan says of its targets, typed.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::postgres::Settings;

/// The same plan over many databases: every step runs once a target.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Targets {
    /// The targets.
    #[serde(default)]
    #[schemars(length(min = 1))]
    pub list: Vec<Target>,
    /// Instead of `list`: a YAML file that is such a list, relative to the plan.
    #[serde(default)]
    pub include: Option<String>,
    /// An expression that says which targets are taken, without `${{ }}`. It reads `target`, `params`, `plan` and `env`.
    #[serde(default)]
    pub select: Option<String>,
    /// How many targets run at a time.
    #[serde(default = "Targets::one_at_a_time")]
    #[schemars(range(min = 1, max = 256))]
    pub max_parallel: u32,
    /// How many targets that have something in common run at a time, like those of one server.
    #[serde(default)]
    #[schemars(with = "LimitPer")]
    pub limit_per: Option<LimitPer>,
    /// Whether the first target that fails stops the others; otherwise none hears of another's failure.
    #[serde(default)]
    pub fail_fast: bool,
}

impl Targets {
    fn one_at_a_time() -> u32 {
        1
    }
}

/// How many targets that have something in common run at a time.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LimitPer {
    /// What they have in common, like `${{ target.labels.server }}`. It reads `target`, `params`, `plan` and `env`.
    pub key: String,
    /// How many of them run at a time.
    #[serde(default = "Targets::one_at_a_time")]
    #[schemars(range(min = 1, max = 256))]
    pub max: u32,
}

/// One database that the plan is run for, or whatever else its parameters name.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Target {
    /// Its name: in logs, in records, for `--target`.
    #[schemars(regex(pattern = "^[a-z]([a-z0-9_.-]{0,98}[a-z0-9_-])?$"), extend("x-runplan-expected" = "small letters, digits, `_`, `-` and `.`, a letter first"))]
    pub name: String,
    /// A line for people.
    #[serde(default)]
    pub description: Option<String>,
    /// Words to pick targets by, and to read as `target.labels.<name>`.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, Label>")]
    pub labels: Map<String, Value>,
    /// Keys of `database`; they win over the plan's.
    #[serde(default)]
    #[schemars(with = "Settings")]
    pub database: Map<String, Value>,
    /// Values for the plan's parameters; `--params-file` and `-p` win over them.
    #[serde(default)]
    pub params: Map<String, Value>,
}

/// A text, an integer, true or false.
struct Label;

impl JsonSchema for Label {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Label".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": ["string", "integer", "boolean"] })
    }
}
