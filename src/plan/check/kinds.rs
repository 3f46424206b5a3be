//! What a schema says of a value's kind, read straight from the schema.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Value, json};

use crate::document::{Kind, Node};

/// Whether a text matches a pattern; none when the pattern is none. Patterns are compiled once a process.
pub(super) fn matches(pattern: &str, text: &str) -> Option<bool> {
    type Compiled = HashMap<String, Option<Arc<jsonschema::Validator>>>;
    static BUILT: Mutex<Option<Compiled>> = Mutex::new(None);
    let mut built = BUILT.lock().unwrap_or_else(PoisonError::into_inner);
    let built = built.get_or_insert_default();
    let validator = match built.get(pattern) {
        Some(found) => found.clone(),
        None => {
            let made = jsonschema::validator_for(&json!({ "pattern": pattern })).ok().map(Arc::new);
            built.insert(pattern.to_owned(), made.clone());
            made
        }
    };
    validator.map(|v| v.is_valid(&json!(text)))
}

/// Whether a value is of a kind of JSON Schema.
pub(super) fn is(node: &Node, kind: &str) -> bool {
    match kind {
        "string" => matches!(node.kind, Kind::Text(_)),
        "integer" => matches!(node.kind, Kind::Int(_)),
        "number" => matches!(node.kind, Kind::Int(_) | Kind::Float(_)),
        "boolean" => matches!(node.kind, Kind::Bool(_)),
        "array" => matches!(node.kind, Kind::List(_)),
        "object" => matches!(node.kind, Kind::Map(_)),
        _ => matches!(node.kind, Kind::Null),
    }
}

/// The kinds in words, without the one that stands for a key left out.
pub(super) fn wanted<'s>(kinds: impl Iterator<Item = &'s str>) -> String {
    let mut words: Vec<&str> = kinds.filter(|k| *k != "null").map(word).collect();
    words.dedup();
    words.join(" or ")
}

fn word(kind: &str) -> &'static str {
    match kind {
        "string" => "a text",
        "integer" => "an integer",
        "number" => "a number",
        "boolean" => "true or false",
        "array" => "a list",
        "object" => "a map",
        _ => "nothing",
    }
}

/// The texts that a schema allows, when it names them.
pub(super) fn choices(schema: &Value) -> Vec<&str> {
    let list = |key: &str| schema.get(key).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let constants = list("oneOf")
        .iter()
        .flat_map(|o| o.get("const").into_iter().chain(o.get("enum").and_then(Value::as_array).into_iter().flatten()));
    list("enum").iter().chain(constants).filter_map(Value::as_str).collect()
}

/// The schemas of which one must fit: the schema itself, or those of its `anyOf` that are more than `null`.
pub(super) fn variants(schema: &Value) -> Vec<&Value> {
    let several = ["allOf", "anyOf"].into_iter().find_map(|k| schema.get(k).and_then(Value::as_array));
    let several = several.or_else(|| {
        let one_of = schema.get("oneOf").and_then(Value::as_array)?;
        // A choice of words is one schema, not several.
        one_of.iter().any(|s| s.get("const").is_none() && s.get("enum").is_none()).then_some(one_of)
    });
    match several {
        None => vec![schema],
        Some(parts) => {
            let solid = parts.iter().filter(|s| s.get("type") != Some(&Value::from("null")));
            let all: Vec<&Value> = solid.flat_map(variants).collect();
            if all.is_empty() { vec![schema] } else { all }
        }
    }
}

/// The schema itself, or the first of several that is not just `null`.
pub(super) fn solid(schema: &Value) -> &Value {
    variants(schema)[0]
}

/// The kinds that a schema takes; none when it takes all.
pub(super) fn kinds(schema: &Value) -> impl Iterator<Item = &str> {
    let (one, many) = match schema.get("type") {
        Some(Value::String(one)) => (Some(one.as_str()), &[] as &[Value]),
        Some(Value::Array(many)) => (None, many.as_slice()),
        // A choice of words without a type of its own.
        _ if !choices(schema).is_empty() => (Some("string"), &[] as &[Value]),
        _ => (None, &[] as &[Value]),
    };
    one.into_iter().chain(many.iter().filter_map(Value::as_str))
}
