//! The shape of values: keys, types, choices, bounds and units, against a schema walked over the nodes.

use serde_json::{Map, Value, json};

use super::{MISSING_KEY, NO_TEMPLATE, UNKNOWN_KEY, UNKNOWN_STEP, WRONG_TYPE, WRONG_VALUE, Work};
use crate::diag::{Finding, nearest};
use crate::document::{Entry, Kind, Node};
use crate::plan::schema;
use crate::quantity;

impl Work<'_> {
    pub(super) fn object(
        &mut self,
        entries: &[Entry],
        schema: &Value,
        node: &Node,
        what: &str,
        (top, templates): (bool, bool),
    ) {
        let empty = Map::new();
        let properties = schema.get("properties").and_then(Value::as_object).unwrap_or(&empty);
        let open = schema.get("additionalProperties");
        let required: Vec<&str> =
            schema.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect();
        let mut missing: Vec<&str> =
            required.iter().copied().filter(|r| !entries.iter().any(|e| e.key == *r)).collect();
        for entry in entries {
            if let Some(inner) = properties.get(&entry.key) {
                self.value(&entry.value, inner, &format!("`{}`", entry.key), templates);
            } else if top && entry.key.starts_with("x-") {
            } else if let Some(inner) = open.filter(|o| o.is_object()) {
                self.value(&entry.value, inner, &format!("`{}`", entry.key), templates);
            } else if open == Some(&Value::Bool(false)) {
                let free = properties.keys().map(String::as_str).filter(|k| !entries.iter().any(|e| e.key == *k));
                let near = nearest(&entry.key, free);
                let finding =
                    Finding::error(UNKNOWN_KEY, entry.key_span, format!("unknown key `{}` in {what}", entry.key));
                self.findings.push(match near {
                    Some(near) => {
                        missing.retain(|m| *m != near);
                        finding.label(format!("did you mean `{near}`?"))
                    }
                    None => finding
                        .help(format!("expected one of {}", properties.keys().cloned().collect::<Vec<_>>().join(", "))),
                });
            }
        }
        for key in missing {
            let span = entries.first().map_or(node.span, |e| e.key_span);
            self.error(MISSING_KEY, span, format!("{what} needs the key `{key}`"));
        }
    }

    /// Whether a value has the shape that a schema wants.
    pub(super) fn value(&mut self, node: &Node, schema: &Value, what: &str, templates: bool) {
        let templates = templates || schema.get(schema::TEMPLATE_MARK).is_some();
        let schema = solid(schema);
        let kinds = kinds(schema);
        let templated = node.text().is_some_and(|t| t.contains("${{"));
        if templated {
            if !templates {
                self.error(NO_TEMPLATE, node.span, format!("{what}: a template does not work here"));
            }
            return;
        }
        let is = |kind: &&String| match kind.as_str() {
            "string" => matches!(node.kind, Kind::Text(_)),
            "integer" => matches!(node.kind, Kind::Int(_)),
            "number" => matches!(node.kind, Kind::Int(_) | Kind::Float(_)),
            "boolean" => matches!(node.kind, Kind::Bool(_)),
            "array" => matches!(node.kind, Kind::List(_)),
            "object" => matches!(node.kind, Kind::Map(_)),
            _ => matches!(node.kind, Kind::Null),
        };
        let unit = schema.get("x-runplan-unit").and_then(Value::as_str);
        if let (Some(unit), Kind::Int(number)) = (unit, &node.kind) {
            let (suffix, other) = if unit == "duration" { ("s", "m` or `h") } else { ("B", "MiB` or `GiB") };
            let finding =
                Finding::error(WRONG_VALUE, node.span, format!("{what} needs a unit, found the bare number {number}"));
            self.findings.push(finding.help(format!("write `{number}{suffix}`, or with `{other}`")));
            return;
        }
        if !kinds.is_empty() && !kinds.iter().any(|k| is(&k)) {
            let wanted = kinds.iter().map(|k| if k == "null" { "nothing" } else { k }).collect::<Vec<_>>().join(" or ");
            return self.error(WRONG_TYPE, node.span, format!("{what}: expected {wanted}, found {}", node.kind_name()));
        }
        match &node.kind {
            Kind::Map(entries) => self.object(entries, schema, node, what, (false, templates)),
            Kind::List(items) => {
                if let Some(inner) = schema.get("items") {
                    items.iter().for_each(|i| self.value(i, inner, "an item", templates));
                }
                if items.is_empty() && schema.get("minItems").is_some() {
                    self.error(WRONG_VALUE, node.span, format!("{what} has no items, expected at least one"));
                }
            }
            Kind::Text(text) => self.text(node, text, schema, what, unit),
            Kind::Int(_) | Kind::Float(_) => {
                let number = node.to_json().as_f64().unwrap_or_default();
                let bound = |key: &str| schema.get(key).and_then(Value::as_f64);
                if let Some(least) = bound("minimum").filter(|m| number < *m) {
                    self.error(WRONG_VALUE, node.span, format!("{what}: expected at least {least}, found {number}"));
                }
                if let Some(most) = bound("maximum").filter(|m| number > *m) {
                    self.error(WRONG_VALUE, node.span, format!("{what}: expected at most {most}, found {number}"));
                }
            }
            Kind::Bool(_) | Kind::Null => {}
        }
    }

    pub(super) fn text(&mut self, node: &Node, text: &str, schema: &Value, what: &str, unit: Option<&str>) {
        let listed = schema.get("enum").and_then(Value::as_array).into_iter().flatten();
        let constants = schema.get("oneOf").and_then(Value::as_array).into_iter().flatten();
        let constants = constants.flat_map(|o| {
            o.get("const").into_iter().chain(o.get("enum").and_then(Value::as_array).into_iter().flatten())
        });
        let choices: Vec<&str> = listed.chain(constants).filter_map(Value::as_str).collect();
        if !choices.is_empty() && !choices.contains(&text) {
            let uses = what == "`uses`";
            let message = if uses {
                format!("there is no executor `{text}`")
            } else {
                format!("{what}: expected one of {}, found `{text}`", choices.join(", "))
            };
            let finding = Finding::error(if uses { UNKNOWN_STEP } else { WRONG_VALUE }, node.span, message);
            self.findings.push(match nearest(text, choices.iter().copied()) {
                Some(near) => finding.label(format!("did you mean `{near}`?")),
                None => finding.help(format!("there are {}", choices.join(", "))),
            });
            return;
        }
        let malformed = match unit {
            Some("duration") => text.parse::<quantity::Span>().err(),
            Some(_) => text.parse::<quantity::Size>().err(),
            None => None,
        };
        if let Some(error) = malformed {
            return self.error(WRONG_VALUE, node.span, error.to_string());
        }
        if let (None, Some(pattern)) = (unit, schema.get("pattern").and_then(Value::as_str)) {
            let fits =
                jsonschema::validator_for(&json!({ "pattern": pattern })).is_ok_and(|v| v.is_valid(&json!(text)));
            if !fits {
                self.error(
                    WRONG_VALUE,
                    node.span,
                    format!("{what}: expected a text that matches `{pattern}`, found `{text}`"),
                );
            }
        }
    }
}

/// The schema itself, or the first of several that is not just `null`.
pub(super) fn solid(schema: &Value) -> &Value {
    let parts = ["allOf", "anyOf"].into_iter().filter_map(|k| schema.get(k).and_then(Value::as_array)).flatten();
    parts.into_iter().find(|s| s.get("type") != Some(&json!("null"))).unwrap_or(schema)
}

pub(super) fn kinds(schema: &Value) -> Vec<String> {
    match schema.get("type") {
        Some(Value::String(one)) => vec![one.clone()],
        Some(Value::Array(many)) => many.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        _ => Vec::new(),
    }
}
