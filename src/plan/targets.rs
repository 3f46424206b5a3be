//! What a plan says of its targets, typed.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::postgres::Settings;

/// Run the plan for several databases: each target runs every step.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Targets {
    /// List of the targets.
    #[serde(default)]
    #[schemars(length(min = 1))]
    pub list: Vec<Target>,
    /// YAML file with the list, instead of `list`. The path is relative to the folder of the plan.
    #[serde(default)]
    pub include: Option<String>,
    /// Expression that selects targets, without `${{ }}`, like `target.labels.tier == "prod"`. It can read `target`,
    /// `params`, `plan` and `env`. Default: all targets.
    #[serde(default)]
    pub select: Option<String>,
    /// Maximum number of targets that run at the same time.
    #[serde(default = "Targets::one_at_a_time")]
    #[schemars(range(min = 1, max = 256))]
    pub max_parallel: u32,
    /// Limit how many targets that have something in common run at the same time, like those of one server.
    #[serde(default)]
    #[schemars(with = "LimitPer")]
    pub limit_per: Option<LimitPer>,
    /// Cancel the other targets when one fails. By default a failed target does not affect the others.
    #[serde(default)]
    pub fail_fast: bool,
}

impl Targets {
    fn one_at_a_time() -> u32 {
        1
    }
}

/// Limit for targets that have something in common.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LimitPer {
    /// What the targets have in common, like `${{ target.labels.server }}`. It can read `target`, `params`, `plan` and
    /// `env`.
    pub key: String,
    /// Maximum number of targets with the same key that run at the same time.
    #[serde(default = "Targets::one_at_a_time")]
    #[schemars(range(min = 1, max = 256))]
    pub max: u32,
}

/// A database, or anything else that parameters describe, for which the plan runs.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Target {
    /// Name of the target, for `--target`, logs and records.
    #[schemars(regex(pattern = "^[a-z]([a-z0-9_.-]{0,98}[a-z0-9_-])?$"), extend("x-runplan-expected" = "small letters, digits, `_`, `-` and `.`, a letter first"))]
    pub name: String,
    /// One line that says what the target is.
    #[serde(default)]
    pub description: Option<String>,
    /// Labels, like `{ tier: prod }`. Read one as `target.labels.<name>`, or choose targets by it:
    /// `--target tier=prod`.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, Label>")]
    pub labels: Map<String, Value>,
    /// Connection settings of the target. They override those of the plan.
    #[serde(default)]
    #[schemars(with = "Settings")]
    pub database: Map<String, Value>,
    /// Values for the parameters of the plan. They override the defaults; `--params-file` and `-p` override them.
    #[serde(default)]
    pub params: Map<String, Value>,
}

/// A string, an integer or a boolean.
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
