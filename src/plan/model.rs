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

/// A plan as written, with nothing rendered yet.
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
    /// The keys of `postgres::Settings`; templates.
    #[serde(default)]
    pub database: Map<String, Value>,
    #[serde(default)]
    pub logs: Logs,
    /// By executor; templates.
    #[serde(default)]
    pub defaults: BTreeMap<String, Map<String, Value>>,
    #[serde(default)]
    pub lock: Lock,
    #[serde(default)]
    pub timeout: Option<Span>,
    /// What `include` names is in its list by now.
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

/// A typed input of a plan.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Param {
    /// The type of the value.
    #[serde(rename = "type")]
    pub kind: ParamType,
    /// What the items of an array are.
    #[serde(default)]
    pub items: Option<Items>,
    /// The value when none is given; without it the parameter is required.
    #[serde(default, deserialize_with = "present")]
    pub default: Option<Value>,
    /// A line for people.
    #[serde(default)]
    pub description: Option<String>,
    /// The values allowed.
    #[serde(default, rename = "enum")]
    pub one_of: Option<Vec<Value>>,
    /// The least number allowed.
    #[serde(default)]
    pub minimum: Option<f64>,
    /// The greatest number allowed.
    #[serde(default)]
    pub maximum: Option<f64>,
    /// The regular expression that a string must match.
    #[serde(default)]
    pub pattern: Option<String>,
}

/// `default: null` is a value that was given, not a missing one.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(deserializer).map(Some)
}

/// What the items of an array are.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Items {
    /// The type of each item.
    #[serde(rename = "type")]
    pub kind: ParamType,
}

/// Where the logs go and how many stay.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Logs {
    /// The folder, relative to that of the plan; a run's files lie in `<dir>/<plan>/<run id>/`. Default: the user's state
    /// folder.
    #[serde(default)]
    pub dir: Option<String>,
    /// How many runs of each database, and with targets of each target, keep their logs after a good run; 0 leaves only
    /// the run that just succeeded.
    #[serde(default = "Logs::keep_default")]
    pub keep: u32,
    /// The size at which the files of one run stop taking lines, all of them together, like `200MiB`. How its steps, its
    /// targets and the run itself end is always written. Default: `1GiB`.
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

/// Who else may run at the same time.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Lock {
    /// Runs with the same key exclude each other. Default: plan, target, server and database.
    #[serde(default)]
    pub key: Option<String>,
    /// What to do when another run holds the lock.
    #[serde(default)]
    pub overlap: Overlap,
    /// How long to wait for it, with `overlap: wait`.
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
    /// End at once with exit code 75.
    #[default]
    Fail,
    /// Wait for it.
    Wait,
}

/// One step of a list.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StepPlan {
    #[serde(default)]
    pub id: Option<String>,
    #[serde(default)]
    pub name: Option<String>,
    pub uses: String,
    /// The parameters as written; templates. The plan's `defaults` are not in it.
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

/// The condition of a step.
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

/// How often and when to try again.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Retry {
    /// How many attempts there are in all.
    #[schemars(range(min = 1, max = 100))]
    pub attempts: u32,
    /// The wait before the second attempt.
    #[serde(default = "Retry::delay_default")]
    pub delay: Span,
    /// What the wait is multiplied by after each attempt.
    #[serde(default = "Retry::backoff_default")]
    #[schemars(range(min = 1.0, max = 10.0))]
    pub backoff: f64,
    /// The longest wait.
    #[serde(default)]
    pub max_delay: Option<Span>,
    /// Whether each wait is varied at random, between half and all of it.
    #[serde(default)]
    pub jitter: bool,
    /// Which failures are worth another attempt: `transient`, `timeout`, `exit:N`.
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

/// A kind of failure that is worth another attempt.
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
