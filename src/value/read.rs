//! A parameter that takes any value, with secrets in it.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

use super::Value;
use crate::secret::{MaybeSecret, PLAIN_MARK, SCHEMA_MARK, TOKEN, handed_over};

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_newtype_struct(TOKEN, Reader)
    }
}

struct Reader;

impl<'de> Visitor<'de> for Reader {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a value")
    }
    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }
    fn visit_bool<E>(self, v: bool) -> Result<Value, E> {
        Ok(Value::Bool(v))
    }
    fn visit_i64<E>(self, v: i64) -> Result<Value, E> {
        Ok(Value::Int(v))
    }
    fn visit_f64<E>(self, v: f64) -> Result<Value, E> {
        Ok(Value::Float(v))
    }
    fn visit_str<E>(self, v: &str) -> Result<Value, E> {
        Ok(Value::from(v))
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut all = Vec::new();
        while let Some(item) = items.next_element()? {
            all.push(item);
        }
        Ok(Value::List(all))
    }
    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut all = Vec::new();
        while let Some(entry) = entries.next_entry()? {
            all.push(entry);
        }
        Ok(Value::Map(all))
    }
    fn visit_newtype_struct<D: Deserializer<'de>>(self, d: D) -> Result<Value, D::Error> {
        Ok(match handed_over(d)? {
            MaybeSecret::Plain(text) => Value::Text(text),
            MaybeSecret::Secret(secret) => Value::Secret(secret),
        })
    }
}

impl JsonSchema for Value {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        "Value".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ SCHEMA_MARK: true, PLAIN_MARK: true })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::Secret;

    #[test]
    fn a_value_is_read_as_it_is_with_its_secrets() {
        let secret = Value::Secret(Secret::new("x hunter22").showing("x ***"));
        let map = Value::Map(vec![
            ("text".to_owned(), Value::from("said")),
            ("list".to_owned(), Value::List(vec![Value::Null, Value::Int(3), Value::Float(0.5), Value::Bool(true)])),
            ("deep".to_owned(), Value::Map(vec![("key".to_owned(), secret)])),
            ("sealed".to_owned(), Value::Secret(Secret::sealed())),
        ]);
        let read = Value::deserialize(map.clone()).expect("a value");
        assert_eq!(read, map);
        let deep = read.get("deep").and_then(|d| d.get("key"));
        assert!(matches!(deep, Some(Value::Secret(s)) if s.shown() == Some("x ***")));
    }
}
