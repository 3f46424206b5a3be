//! Whether what a template gives fits the place it stands in: by its type, and as a secret.

use std::collections::BTreeSet;

use serde_json::Value;

use super::Work;
use super::codes::{EXPOSED, NOT_SECRET, TYPE};
use super::kinds::{kinds, solid, variants, wanted};
use crate::diag::Finding;
use crate::document::Node;
use crate::secret::{PLAIN_MARK, SCHEMA_MARK};
use crate::template::{self, Name, Type};

impl Work<'_> {
    /// Whether what a template gives fits the place.
    pub(super) fn fits(&self, node: &Node, found: &Type, schema: &Value, key: &str, names: &[Name]) {
        if exposes(found, schema) {
            let message = format!("a secret may not stand in `{key}`, where it would be seen");
            let finding = Finding::error(EXPOSED, node.span, message);
            return self
                .push(finding.help(
                    "secrets go into passwords, into `env` and `stdin` of a command, and into what `http` sends",
                ));
        }
        if *found == Type::Text && schema_is_secret(schema) && !self.literals.get() && !may_be_plain(schema) {
            let message = format!("`{key}` is no secret here, so nothing keeps it out of logs");
            let finding = Finding::warning(NOT_SECRET, node.span, message);
            self.push(finding.help("say under `secrets` where it comes from, and write `${{ secrets.… }}` here"));
            return;
        }
        if let Some((expected, got)) = mismatch(found, schema) {
            let finding = Finding::error(TYPE, node.span, format!("`{key}`: expected {expected}, found {got}"));
            let text = variants(schema).iter().any(|s| kinds(s).any(|k| k == "string"));
            let number = matches!(found, Type::Int | Type::Float);
            let inner = node.text().and_then(|t| t.strip_prefix("${{")?.strip_suffix("}}")).map(str::trim);
            let finding = match inner.filter(|_| text && number) {
                Some(inner) => finding.help(format!("`~` makes a text of it: `${{{{ {inner} ~ '' }}}}`")),
                None => finding,
            };
            let declared = match names {
                [only] if only.path[0] == "params" => only.path.get(1).and_then(|p| {
                    Some((self.root.get("params")?.get(p)?.get("type")?.span, format!("`{p}` is declared here")))
                }),
                _ => None,
            };
            self.push(match declared {
                Some((span, text)) => finding.related(span, text),
                None => finding,
            });
        }
    }
}

/// The schema of a map's entry.
pub(super) fn property<'s>(schema: &'s Value, key: &str) -> Option<&'s Value> {
    let named = schema.get("properties").and_then(|p| p.get(key));
    named.or_else(|| schema.get("additionalProperties").filter(|v| v.is_object()))
}

/// The variant of a schema that takes a kind, else the first.
pub(super) fn of_kind<'s>(schema: &'s Value, kind: &str) -> &'s Value {
    let all = variants(schema);
    all.iter().find(|s| kinds(s).any(|k| k == kind)).copied().unwrap_or_else(|| solid(schema))
}

fn schema_is_secret(schema: &Value) -> bool {
    schema.get(SCHEMA_MARK).is_some() || variants(schema).iter().any(|s| s.get(SCHEMA_MARK).is_some())
}

/// Whether what stands there need not be a secret.
pub(super) fn may_be_plain(schema: &Value) -> bool {
    schema.get(PLAIN_MARK).is_some() || variants(schema).iter().any(|s| s.get(PLAIN_MARK).is_some())
}

/// A schema that takes any value, with secrets in it.
pub(super) fn takes_anything(schema: &Value) -> bool {
    may_be_plain(schema) && variants(schema).iter().all(|s| kinds(s).next().is_none())
}

/// Whether a secret would come to a place that is not made for one.
fn exposes(found: &Type, schema: &Value) -> bool {
    static ANY: Value = Value::Null;
    if takes_anything(schema) {
        return false;
    }
    match found {
        Type::Secret => !schema_is_secret(schema),
        Type::List(items) => {
            items.has_secret() && exposes(items, of_kind(schema, "array").get("items").unwrap_or(&ANY))
        }
        Type::Map(map) => {
            let schema = of_kind(schema, "object");
            map.iter().any(|(k, t)| t.has_secret() && exposes(t, property(schema, k).unwrap_or(&ANY)))
        }
        Type::Open(values) => {
            let schema = of_kind(schema, "object");
            values.has_secret() && exposes(values, schema.get("additionalProperties").unwrap_or(&ANY))
        }
        Type::Either(all) => all.iter().any(|t| t.has_secret() && exposes(t, schema)),
        _ => false,
    }
}

/// What was expected and what is found, when a type does not fit a schema.
fn mismatch(found: &Type, schema: &Value) -> Option<(String, String)> {
    if let Type::Either(all) = found {
        let (expected, _) = all.iter().find_map(|t| mismatch(t, schema))?;
        return Some((expected, found.name()));
    }
    let variants = variants(schema);
    if matches!(found, Type::Any | Type::Secret) || variants.iter().any(|s| kinds(s).next().is_none()) {
        return None;
    }
    let optional = schema.get("anyOf").is_some() && *found == Type::Null;
    let fits = |kind: &str| match kind {
        "string" => *found == Type::Text,
        "integer" => *found == Type::Int,
        "number" => matches!(found, Type::Int | Type::Float),
        "boolean" => *found == Type::Bool,
        "array" => matches!(found, Type::List(_)),
        "object" => matches!(found, Type::Map(_) | Type::Open(_)),
        _ => *found == Type::Null,
    };
    let Some(fitting) = variants.iter().find(|s| kinds(s).any(fits)) else {
        return (!optional).then(|| (wanted(variants.iter().flat_map(|v| kinds(v))), found.name()));
    };
    match found {
        Type::List(items) => {
            let (expected, got) = mismatch(items, fitting.get("items")?)?;
            let plural = |word: &str| match word {
                "a text" => "a list of texts".to_owned(),
                "an integer" => "a list of integers".to_owned(),
                "a number" => "a list of numbers".to_owned(),
                "a boolean" => "a list of booleans".to_owned(),
                other => format!("a list, each item {other}"),
            };
            Some((plural(&expected), plural(&got)))
        }
        Type::Map(map) => map.iter().find_map(|(key, found)| {
            let (expected, got) = mismatch(found, property(fitting, key)?)?;
            Some((format!("{expected} under `{key}`"), got))
        }),
        _ => None,
    }
}

/// What a template gives that reads a variable of the environment which a secret reads too: a secret.
pub(super) fn tainted(template: &template::Template, hidden: &BTreeSet<&str>) -> Option<Type> {
    if hidden.is_empty() {
        return None;
    }
    let mut names = template.expressions().flat_map(template::Expression::names);
    let reads = names.any(|n| n.path[0] == "env" && n.path.get(1).is_some_and(|v| hidden.contains(v.as_str())));
    reads.then_some(Type::Secret)
}

/// The type that a schema of outputs promises.
pub(super) fn type_of(schema: &Value) -> Type {
    let several = variants(schema);
    let [schema] = several.as_slice() else { return Type::Any };
    match kinds(schema).find(|k| *k != "null") {
        Some("string") => Type::Text,
        Some("integer") => Type::Int,
        Some("number") => Type::Float,
        Some("boolean") => Type::Bool,
        Some("array") => Type::List(Box::new(schema.get("items").map_or(Type::Any, type_of))),
        Some("object") => match schema.get("properties").and_then(Value::as_object) {
            Some(fields) => Type::Map(fields.iter().map(|(k, v)| (k.clone(), type_of(v))).collect()),
            None => Type::Open(Box::new(Type::Any)),
        },
        _ => Type::Any,
    }
}
