//! Names and types in templates: what they read must exist, what they give must fit its place.

use serde_json::Value;

use super::shape::{kinds, solid};
use super::{CALL, EXPOSED, NAME, SYNTAX, TYPE, WRAPPED_WHEN, Work};
use crate::diag::{Finding, nearest};
use crate::document::{Kind, Node};
use crate::template::{self, Name, Problem, ProblemKind, Type};

impl Work<'_> {
    pub(super) fn when(&mut self, node: &Node) {
        let Some(text) = node.text() else { return };
        if let Some(bare) = text.trim().strip_prefix("${{").and_then(|t| t.strip_suffix("}}")) {
            let finding =
                Finding::error(WRAPPED_WHEN, node.span, "`when` is an expression as it stands, without `${{ }}`");
            let bare = bare.trim();
            let finding = finding.help("leave out the `${{` and the `}}`");
            // Only a text that is one whole expression can be mended by taking the marks away.
            let one = template::parse(text.trim()).is_ok_and(|t| t.whole().is_some());
            let plain = node.style == crate::document::Style::Plain;
            self.findings.push(if one && plain { finding.fix(node.span, bare, true) } else { finding });
            return;
        }
        match template::parse_expression(text) {
            Err(problem) => self.problem(node, &problem),
            Ok(expression) => {
                self.names(node, &expression.names());
                let (found, problems) = expression.infer(&Type::Map(self.types.clone()));
                problems.iter().for_each(|p| self.problem(node, p));
                if !matches!(found, Type::Bool | Type::Any) && problems.is_empty() {
                    self.error(TYPE, node.span, format!("`when` needs a boolean, found {}", found.name()));
                }
            }
        }
    }

    pub(super) fn problem(&mut self, node: &Node, problem: &Problem) {
        let span = node.locate(self.text, problem.range.start, problem.range.end);
        let code = match problem.kind {
            ProblemKind::Syntax => SYNTAX,
            ProblemKind::Call => CALL,
            ProblemKind::Name => NAME,
            ProblemKind::Type => TYPE,
        };
        let finding = Finding::error(code, span, problem.message.clone());
        self.findings.push(match &problem.help {
            Some(help) => finding.help(help.clone()),
            None => finding,
        });
    }

    /// Whether every name exists, segment by segment.
    pub(super) fn names(&mut self, node: &Node, names: &[Name]) {
        for name in names {
            let mut here = Type::Map(self.types.clone());
            for (segment, range) in name.path.iter().zip(&name.ranges) {
                let Type::Map(map) = &here else {
                    if let Type::Open(values) = here {
                        here = *values;
                        continue;
                    }
                    break;
                };
                if let Some(next) = map.get(segment) {
                    here = next.clone();
                    continue;
                }
                let span = node.locate(self.text, range.start, range.end);
                let what = if range.start == name.range.start {
                    format!("there is no `{segment}`")
                } else {
                    let before: Vec<&str> =
                        name.path.iter().take_while(|s| *s != segment).map(String::as_str).collect();
                    format!("`{}` has no `{segment}`", before.join("."))
                };
                let finding = Finding::error(NAME, span, what);
                let keys: Vec<&str> = map.keys().map(String::as_str).collect();
                self.findings.push(match nearest(segment, keys.iter().copied()) {
                    Some(near) => finding.label(format!("did you mean `{near}`?")),
                    None if keys.is_empty() => finding,
                    None => finding.help(format!("there are {}", keys.join(", "))),
                });
                break;
            }
        }
    }

    /// Every template below a node, with the schema of the place it stands in.
    pub(super) fn templates(&mut self, node: &Node, schema: &Value) {
        match &node.kind {
            Kind::Map(entries) => {
                for entry in entries {
                    let open = schema.get("additionalProperties").filter(|v| v.is_object());
                    let inner = solid(schema)
                        .pointer(&format!("/properties/{}", entry.key))
                        .or(open)
                        .cloned()
                        .unwrap_or_default();
                    self.templates(&entry.value, &inner);
                }
            }
            Kind::List(items) => {
                let inner = solid(schema).get("items").cloned().unwrap_or_default();
                items.iter().for_each(|i| self.templates(i, &inner));
            }
            Kind::Text(text) if text.contains("${{") => match template::parse(text) {
                Err(problems) => problems.iter().for_each(|p| self.problem(node, p)),
                Ok(template) => {
                    for expression in template.expressions() {
                        self.names(node, &expression.names());
                    }
                    let (found, problems) = template.infer(&Type::Map(self.types.clone()));
                    problems.iter().for_each(|p| self.problem(node, p));
                    let found = tainted(&template, &self.hidden).unwrap_or(found);
                    self.fits(node, &found, solid(schema));
                }
            },
            _ => {}
        }
    }

    /// Whether what a template gives fits the place.
    pub(super) fn fits(&mut self, node: &Node, found: &Type, schema: &Value) {
        let secret_place = schema.get(crate::secret::SCHEMA_MARK).is_some();
        if *found == Type::Secret {
            if !secret_place && schema.get("type").is_some() {
                let finding = Finding::error(EXPOSED, node.span, "a secret may not stand here, where it would be seen");
                self.findings.push(finding.help("secrets go into passwords, and into `env` and `stdin` of a command"));
            }
            return;
        }
        let fits = |kind: &str| match kind {
            "string" => *found == Type::Text,
            "integer" => *found == Type::Int,
            "number" => matches!(found, Type::Int | Type::Float),
            "boolean" => *found == Type::Bool,
            "array" => matches!(found, Type::List(_)),
            "object" => matches!(found, Type::Map(_) | Type::Open(_)),
            _ => *found == Type::Null,
        };
        let kinds = kinds(schema);
        if *found != Type::Any && !kinds.is_empty() && !kinds.iter().any(|k| fits(k)) {
            self.error(TYPE, node.span, format!("expected {}, found {}", kinds.join(" or "), found.name()));
        }
    }
}

/// What a template gives that reads a variable of the environment which a secret reads too: a secret.
pub(super) fn tainted(template: &template::Template, hidden: &[String]) -> Option<Type> {
    let mut names = template.expressions().flat_map(template::Expression::names);
    let reads = names.any(|n| n.path[0] == "env" && n.path.get(1).is_some_and(|v| hidden.contains(v)));
    reads.then_some(Type::Secret)
}

/// The type that a schema of outputs promises.
pub(super) fn type_of(schema: &Value) -> Type {
    let schema = solid(schema);
    match kinds(schema).iter().find(|k| *k != "null").map(String::as_str) {
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
