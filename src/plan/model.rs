//! What a plan says, typed. A place that may hold a template keeps its JSON value as written.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::{self, Deserializer, Visitor};
use serde_json::{Map, Value};

use super::targets::Targets;
use crate::quantity::{Size, Span};
use crate::value::ParamType;
use crate::vault::Source;

/// A plan as written. No template is rendered yet.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    pub version: u32,
    pub name: String,
    #[serde(default)]
    pub description: Option<String>,
    #[serde(default)]
    pub params: Ordered<Param>,
    #[serde(default)]
    pub secrets: Ordered<Source>,
    /// Templates.
    #[serde(default)]
    pub vars: Map<String, Value>,
    /// Templates, with the keys of `postgres::Settings`.
    #[serde(default)]
    pub database: Map<String, Value>,
    #[serde(default)]
    pub logs: Logs,
    /// Templates, by executor.
    #[serde(default)]
    pub defaults: BTreeMap<String, Map<String, Value>>,
    #[serde(default)]
    pub lock: Lock,
    #[serde(default)]
    pub timeout: Option<Span>,
    /// The targets. An `include` is already read into the list.
    #[serde(default)]
    pub targets: Option<Targets>,
    pub steps: Vec<StepPlan>,
    #[serde(default)]
    pub on_failure: Vec<StepPlan>,
    #[serde(default)]
    pub on_success: Vec<StepPlan>,
    #[serde(default)]
    pub finally: Vec<StepPlan>,
}

/// Named entries in the order in which they were written.
#[derive(Debug, Clone)]
pub struct Ordered<T>(pub Vec<(String, T)>);

impl<T> Default for Ordered<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> Ordered<T> {
    /// The entry of that name.
    pub fn get(&self, name: &str) -> Option<&T> {
        self.0.iter().find(|(n, _)| n == name).map(|(_, t)| t)
    }

    /// The entries, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &T)> {
        self.0.iter().map(|(n, t)| (n.as_str(), t))
    }

    /// The names, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(n, _)| n.as_str())
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Ordered<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader<T>(std::marker::PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Reader<T> {
            type Value = Ordered<T>;
            fn expecting(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
                f.write_str("a map")
            }
            fn visit_map<A: de::MapAccess<'de>>(self, mut map: A) -> Result<Ordered<T>, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }
                Ok(Ordered(entries))
            }
        }
        deserializer.deserialize_map(Reader(std::marker::PhantomData))
    }
}

/// A typed input of the plan, set for one run by `-p NAME=VALUE` or in a `--params-file`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Param {
    /// Type of the value.
    #[serde(rename = "type")]
    pub kind: ParamType,
    /// Type of the items of an array, like `{ type: integer }`. Without it the items are not checked, and those on a
    /// command line are strings.
    #[serde(default)]
    pub items: Option<Items>,
    /// Value when none is given. A parameter without a default is required.
    #[serde(default, deserialize_with = "present")]
    pub default: Option<Value>,
    /// One line that says what the parameter is for.
    #[serde(default)]
    pub description: Option<String>,
    /// List of the allowed values.
    #[serde(default, rename = "enum")]
    pub one_of: Option<Vec<Value>>,
    /// Smallest allowed number.
    #[serde(default)]
    pub minimum: Option<f64>,
    /// Largest allowed number.
    #[serde(default)]
    pub maximum: Option<f64>,
    /// Regular expression that the string must match, like `^[a-z]+$`.
    #[serde(default)]
    pub pattern: Option<String>,
}

/// `default: null` is a value that was given, not a missing one.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(deserializer).map(Some)
}

/// Type of the items of an array.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Items {
    /// Type of each item.
    #[serde(rename = "type")]
    pub kind: ParamType,
}

/// Folder, number and size of the logs.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Logs {
    /// Folder of the logs, relative to the folder of the plan. The files of a run are in `<dir>/<plan>/<run id>/`.
    /// Default: a folder in the user's state folder.
    #[serde(default)]
    pub dir: Option<String>,
    /// Keep the logs of the newest N runs of each database or target, the current run included. Older logs are removed
    /// after a run that ends well and takes every step. 0 means 1.
    #[serde(default = "Logs::keep_default")]
    pub keep: u32,
    /// Maximum size of all log files of one run together, like `200MiB`. After that, only the ends of steps, of targets
    /// and of the run are written.
    #[serde(default = "Logs::max_size_default")]
    pub max_size: Size,
}

impl Logs {
    fn keep_default() -> u32 {
        14
    }

    fn max_size_default() -> Size {
        Size(1 << 30)
    }
}

impl Default for Logs {
    fn default() -> Self {
        Self { dir: None, keep: Self::keep_default(), max_size: Self::max_size_default() }
    }
}

/// Prevent two runs at the same time.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Lock {
    /// Key of the lock. Two runs with the same key exclude each other. Default: the plan, target, server and database.
    #[serde(default)]
    pub key: Option<String>,
    /// What to do when another run holds the lock.
    #[serde(default)]
    pub overlap: Overlap,
    /// Maximum time to wait for the lock, with `overlap: wait`.
    #[serde(default = "Lock::wait_default")]
    pub wait: Span,
}

impl Lock {
    fn wait_default() -> Span {
        Span(std::time::Duration::from_secs(15 * 60))
    }
}

impl Default for Lock {
    fn default() -> Self {
        Self { key: None, overlap: Overlap::default(), wait: Self::wait_default() }
    }
}

/// What to do when another run holds the lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Overlap {
    /// Exit at once with code 75.
    #[default]
    Fail,
    /// Wait for the lock, at most `wait`.
    Wait,
}

/// A step.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StepPlan {
    #[serde(default)]
    pub id: Option<String>,
    #[serde(default)]
    pub name: Option<String>,
    pub uses: String,
    /// Parameters as written, with templates and without the `defaults` of the plan.
    #[serde(default, rename = "with")]
    pub params: Map<String, Value>,
    #[serde(default)]
    pub when: Option<When>,
    #[serde(default)]
    pub retry: Option<Retry>,
    #[serde(default)]
    pub timeout: Option<Span>,
    #[serde(default)]
    pub continue_on_error: bool,
    #[serde(default)]
    pub tags: Vec<String>,
}

/// Condition of a step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum When {
    Literal(bool),
    /// A bare expression.
    Expression(String),
}

impl<'de> Deserialize<'de> for When {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Value::deserialize(deserializer)? {
            Value::Bool(b) => Ok(Self::Literal(b)),
            Value::String(text) => Ok(Self::Expression(text)),
            _ => Err(de::Error::custom("expected a boolean or an expression")),
        }
    }
}

/// When and how often to repeat a failed attempt.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Retry {
    /// Maximum number of attempts, the first one included.
    #[schemars(range(min = 1, max = 100))]
    pub attempts: u32,
    /// Wait before the second attempt, like `30s`.
    #[serde(default = "Retry::delay_default")]
    pub delay: Span,
    /// Factor by which the wait grows after each attempt: with 2, each wait is twice the one before.
    #[serde(default = "Retry::backoff_default")]
    #[schemars(range(min = 1.0, max = 10.0))]
    pub backoff: f64,
    /// Maximum wait between two attempts, like `10m`. Default: no maximum.
    #[serde(default)]
    pub max_delay: Option<Span>,
    /// Shorten each wait at random, to between half and all of it.
    #[serde(default)]
    pub jitter: bool,
    /// Failures that are repeated: `transient` (the executor says that a retry may help), `timeout`, or `exit:N` (a
    /// program exited with status N). Default: `[transient]`.
    #[serde(default = "Retry::errors_default")]
    pub errors: Vec<RetryOn>,
}

impl Retry {
    fn delay_default() -> Span {
        Span(std::time::Duration::from_secs(10))
    }
    fn backoff_default() -> f64 {
        1.0
    }
    fn errors_default() -> Vec<RetryOn> {
        vec![RetryOn::Transient]
    }
}

/// A kind of failure that is repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RetryOn {
    Transient,
    Timeout,
    Exit(i32),
}

impl<'de> Deserialize<'de> for RetryOn {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        match text.as_str() {
            "transient" => Ok(Self::Transient),
            "timeout" => Ok(Self::Timeout),
            other => match other.strip_prefix("exit:").map(str::parse) {
                Some(Ok(code)) => Ok(Self::Exit(code)),
                _ => Err(de::Error::custom("expected `transient`, `timeout` or `exit:N`")),
            },
        }
    }
}

impl JsonSchema for RetryOn {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "RetryOn".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "pattern": "^(transient|timeout|exit:[0-9]{1,3})$",
            "x-runplan-expected": "`transient`, `timeout` or `exit:N`",
            "examples": ["transient", "timeout", "exit:75"]
        })
    }
}
