//! A plain value of the language: what a template gives and a step takes.
//!
//! Knows two kinds that JSON does not: a secret, and a value that is known only at run time.

mod kind;
mod read;

use std::fmt;

use serde::de::value::StringDeserializer;
use serde::de::{self, Deserializer, IntoDeserializer, Visitor};

use crate::secret::{self, MASK, Secret};

pub use kind::ParamType;

/// What a dry run shows for a value that only the run will know.
pub const AT_RUN_TIME: &str = "(known at run time)";

/// A map that keeps the order in which its keys were written.
pub type Map = Vec<(String, Value)>;

/// A plain value.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(String),
    List(Vec<Value>),
    Map(Map),
    /// A value that is never shown; also what is made from one.
    Secret(Secret),
    /// A value that a dry run cannot know; also what is made from one.
    Unknown,
}

impl Value {
    /// The kind, as a message names it.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "a boolean",
            Self::Int(_) => "an integer",
            Self::Float(_) => "a number",
            Self::Text(_) => "a text",
            Self::List(_) => "a list",
            Self::Map(_) => "a map",
            Self::Secret(_) => "a secret",
            Self::Unknown => "a value known at run time",
        }
    }

    /// The entry of a map.
    pub fn get(&self, key: &str) -> Option<&Value> {
        match self {
            Self::Map(map) => map.iter().find(|(k, _)| k == key).map(|(_, v)| v),
            _ => None,
        }
    }

    /// The text, if it is one.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// Whether it is, or holds, a value that only the run will know.
    pub fn has_unknown(&self) -> bool {
        match self {
            Self::Unknown => true,
            Self::List(items) => items.iter().any(Self::has_unknown),
            Self::Map(map) => map.iter().any(|(_, v)| v.has_unknown()),
            _ => false,
        }
    }

    /// What it holds: bytes of text, and one for each value.
    pub fn size(&self) -> usize {
        1 + match self {
            Self::Text(text) => text.len(),
            Self::List(items) => items.iter().map(Self::size).sum(),
            Self::Map(map) => map.iter().map(|(k, v)| k.len() + v.size()).sum(),
            _ => 0,
        }
    }

    /// The value as JSON for people and programs to read: a secret is `***`, what is not known says so.
    pub fn to_json(&self) -> serde_json::Value {
        match self {
            Self::Null => serde_json::Value::Null,
            Self::Bool(b) => (*b).into(),
            Self::Int(i) => (*i).into(),
            Self::Float(f) => (*f).into(),
            Self::Text(t) => t.as_str().into(),
            Self::List(items) => items.iter().map(Self::to_json).collect(),
            Self::Map(map) => map.iter().map(|(k, v)| (k.clone(), v.to_json())).collect(),
            Self::Secret(_) => MASK.into(),
            Self::Unknown => AT_RUN_TIME.into(),
        }
    }
}

impl From<&serde_json::Value> for Value {
    fn from(json: &serde_json::Value) -> Self {
        match json {
            serde_json::Value::Null => Self::Null,
            serde_json::Value::Bool(b) => Self::Bool(*b),
            serde_json::Value::Number(n) => match n.as_i64() {
                Some(i) => Self::Int(i),
                None => Self::Float(n.as_f64().unwrap_or(f64::NAN)),
            },
            serde_json::Value::String(s) => Self::Text(s.clone()),
            serde_json::Value::Array(items) => Self::List(items.iter().map(Self::from).collect()),
            serde_json::Value::Object(map) => Self::Map(map.iter().map(|(k, v)| (k.clone(), Self::from(v))).collect()),
        }
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

/// Why a value does not fit the type it is read into.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mismatch(String);

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Mismatch {}

impl de::Error for Mismatch {
    fn custom<T: fmt::Display>(msg: T) -> Self {
        Self(msg.to_string())
    }
}

impl<'de> IntoDeserializer<'de, Mismatch> for Value {
    type Deserializer = Self;
    fn into_deserializer(self) -> Self {
        self
    }
}

impl<'de> Deserializer<'de> for Value {
    type Error = Mismatch;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mismatch> {
        match self {
            Self::Null => visitor.visit_unit(),
            Self::Bool(b) => visitor.visit_bool(b),
            Self::Int(i) => visitor.visit_i64(i),
            Self::Float(f) => visitor.visit_f64(f),
            Self::Text(t) => visitor.visit_string(t),
            Self::List(items) => {
                let mut access = de::value::SeqDeserializer::new(items.into_iter());
                let value = visitor.visit_seq(&mut access)?;
                access.end()?;
                Ok(value)
            }
            Self::Map(map) => {
                let mut access = de::value::MapDeserializer::new(map.into_iter());
                let value = visitor.visit_map(&mut access)?;
                access.end()?;
                Ok(value)
            }
            Self::Secret(_) => Err(Mismatch("a secret may not stand here".to_owned())),
            Self::Unknown => visitor.visit_string(AT_RUN_TIME.to_owned()),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mismatch> {
        match self {
            Self::Null => visitor.visit_none(),
            other => visitor.visit_some(other),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, name: &'static str, visitor: V) -> Result<V::Value, Mismatch> {
        match self {
            Self::Secret(secret) if name == secret::TOKEN => {
                let part = |text: Option<&str>| text.map_or(Self::Null, Self::from);
                visitor.visit_newtype_struct(Self::List(vec![
                    part(secret.expose()),
                    part(secret.shown()),
                    part(secret.origin()),
                ]))
            }
            other if name == secret::TOKEN => other.deserialize_any(visitor),
            other => visitor.visit_newtype_struct(other),
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Mismatch> {
        match self {
            Self::Text(text) => StringDeserializer::<Mismatch>::new(text).deserialize_enum(name, variants, visitor),
            Self::Map(map) => {
                let access = de::value::MapDeserializer::new(map.into_iter());
                de::value::MapAccessDeserializer::new(access).deserialize_enum(name, variants, visitor)
            }
            other => Err(Mismatch(format!("expected one of {}, found {}", variants.join(", "), other.kind()))),
        }
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct seq tuple
        tuple_struct map struct identifier ignored_any
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Deserialize, Debug)]
    #[serde(deny_unknown_fields)]
    struct Sample {
        keep: u32,
        password: Option<Secret>,
        #[serde(default)]
        names: Vec<String>,
    }

    #[test]
    fn a_secret_reaches_only_a_place_made_for_it() {
        let map = |key: &str| {
            let secret = Value::Secret(Secret::new("hunter22"));
            Value::Map(vec![("keep".to_owned(), Value::Int(3)), (key.to_owned(), secret)])
        };
        let sample = Sample::deserialize(map("password")).expect("a secret where one may stand");
        assert_eq!(sample.password, Some(Secret::new("hunter22")));
        assert_eq!((sample.keep, sample.names.len()), (3, 0));
        let error = Sample::deserialize(map("names")).expect_err("a secret in a list of names");
        assert!(!error.to_string().contains("hunter22"), "{error}");
    }

    #[test]
    fn a_sealed_secret_stays_sealed() {
        let value = Value::Map(vec![
            ("keep".to_owned(), Value::Int(1)),
            ("password".to_owned(), Value::Secret(Secret::sealed())),
        ]);
        let sample = Sample::deserialize(value).expect("a sealed secret");
        assert!(sample.password.is_some_and(|s| s.is_sealed()));
    }
}
