//! What templates give with the defaults of the parameters, as far as that is known before the run.
//!
//! What only the run knows stays unknown through every operation, so what fails here fails there too.

use std::collections::{HashMap, HashSet};

use serde_json::Value as Json;

use super::codes::{FAILS, WRONG_VALUE};
use super::names::Place;
use super::shape::{Rules, What};
use super::{Work, leaves};
use crate::diag::{Finding, Severity, Span};
use crate::document::{Entry, Kind, Node, Style};
use crate::plan::MAX_VARS;
use crate::secret::Secret;
use crate::template::{self, Expression, Name, Scope, Template};
use crate::value::Value;

/// What is known of values before the run.
#[derive(Default)]
pub(super) struct Known {
    /// The defaults of those parameters that have one.
    params: HashMap<String, Value>,
    /// Those that the target gives.
    given: HashSet<String>,
    vars: HashMap<String, Value>,
    /// The vars that another value of a parameter makes another.
    varying: HashSet<String>,
    /// What the vars hold.
    held: usize,
}

impl Work<'_> {
    pub(super) fn know_params(&mut self) {
        for entry in self.root.get("params").map(Node::entries).unwrap_or_default() {
            if let Some(default) = entry.value.get("default") {
                self.known.params.insert(entry.key.clone(), Value::from(&default.to_json()));
            }
        }
        // What the target gives is no default: with it the plan stands as it is written.
        for entry in self.target.and_then(|t| t.get("params")).map(Node::entries).unwrap_or_default() {
            self.known.params.insert(entry.key.clone(), Value::from(&entry.value.to_json()));
            self.known.given.insert(entry.key.clone());
        }
    }

    /// The value of a var, once those of the vars it reads are known.
    pub(super) fn know_var(&mut self, name: &str, node: &Node) {
        let mut held = self.known.held;
        let value = self.value_of(node, &mut held);
        self.known.held = held;
        let mut varies = false;
        leaves(node, &mut |text| {
            varies |= template::parse(text).is_ok_and(|t| self.varies(&all_names(&t)));
        });
        if varies {
            self.known.varying.insert(name.to_owned());
        }
        self.known.vars.insert(name.to_owned(), value);
    }

    fn value_of(&self, node: &Node, held: &mut usize) -> Value {
        let value = match &node.kind {
            Kind::List(items) => return Value::List(items.iter().map(|i| self.value_of(i, held)).collect()),
            Kind::Map(entries) => {
                return Value::Map(entries.iter().map(|e| (e.key.clone(), self.value_of(&e.value, held))).collect());
            }
            Kind::Text(text) if text.contains("${{") => template::parse(text)
                .ok()
                .and_then(|t| t.render(&self.foreseen(&all_names(&t))).ok())
                .unwrap_or(Value::Unknown),
            _ => Value::from(&node.to_json()),
        };
        let size = value.size();
        // Beyond that nothing is foreseen.
        if *held + size > MAX_VARS {
            return Value::Unknown;
        }
        *held += size;
        value
    }

    /// Whether what reads these names is another with other parameters.
    pub(super) fn varies(&self, names: &[Name]) -> bool {
        names.iter().any(|n| match (n.path[0].as_str(), n.path.get(1)) {
            ("params", Some(param)) if self.known.given.contains(param) => false,
            ("params", _) | ("vars", None) => true,
            ("vars", Some(var)) => self.known.varying.contains(var),
            _ => false,
        })
    }

    /// A scope that has just what these names read.
    pub(super) fn foreseen(&self, names: &[Name]) -> Scope {
        let mut scope = Scope::default();
        for root in ["params", "vars", "secrets"] {
            let mut entries: Vec<(String, Value)> = Vec::new();
            let mut whole = false;
            for name in names.iter().filter(|n| n.path[0] == root) {
                let Some(entry) = name.path.get(1) else {
                    whole = true;
                    continue;
                };
                let known = match root {
                    "params" => self.known.params.get(entry).cloned(),
                    "vars" => self.known.vars.get(entry).cloned(),
                    _ => Some(Value::Secret(Secret::sealed())),
                };
                entries.push((entry.clone(), known.unwrap_or(Value::Unknown)));
            }
            scope.roots.push((root.to_owned(), if whole { Value::Unknown } else { Value::Map(entries) }));
        }
        for root in ["env", "database", "plan", "run", "steps", "failure"] {
            scope.roots.push((root.to_owned(), Value::Unknown));
        }
        scope.roots.push(("target".to_owned(), self.value_of_target()));
        scope
    }

    /// Whether a condition is sure to hold with the defaults of the parameters.
    pub(super) fn holds(&self, when: Option<&Node>) -> bool {
        match when.map(|w| &w.kind) {
            None | Some(Kind::Bool(true)) => true,
            Some(Kind::Text(text)) => template::parse_expression(text)
                .is_ok_and(|e| e.eval(&self.foreseen(&e.names())).is_ok_and(|v| v == Value::Bool(true))),
            Some(_) => false,
        }
    }

    /// A condition that cannot be computed.
    pub(super) fn foresee_condition(&self, node: &Node, expression: &Expression, names: &[Name]) {
        if let Err(problem) = expression.eval(&self.foreseen(names)) {
            let span = node.locate(self.text_of(node.span), problem.range.start, problem.range.end);
            self.fails(span, &problem.message, names);
        }
    }

    /// A template that cannot be rendered, or gives what its place does not take.
    pub(super) fn foresee(
        &self,
        node: &Node,
        template: &Template,
        names: &[Name],
        (schema, key): (Option<&Json>, &str),
        place: &Place<'_>,
    ) {
        if !place.certain {
            return;
        }
        match template.render(&self.foreseen(names)) {
            Err(problem) => {
                let span = node.locate(self.text_of(node.span), problem.range.start, problem.range.end);
                self.fails(span, &problem.message, names);
            }
            Ok(value) => {
                let Some((schema, given)) = schema.zip(as_node(&value, node.span)) else { return };
                let before = self.findings.borrow().len();
                self.value(&given, schema, What::Key(key), Rules::plain());
                let found = self.findings.borrow_mut().split_off(before);
                if let Some(found) = found.into_iter().find(|f| f.code == WRONG_VALUE) {
                    self.fails(node.span, &found.message, names);
                }
            }
        }
    }

    fn fails(&self, span: Span, message: &str, names: &[Name]) {
        let finding = Finding::error(FAILS, span, message);
        self.push(if self.varies(names) {
            let finding = Finding { severity: Severity::Warning, ..finding };
            finding.help("this is so with the defaults of the parameters")
        } else {
            finding
        });
    }
}

fn all_names(template: &Template) -> Vec<Name> {
    template.expressions().flat_map(Expression::names).collect()
}

/// A value as if it were written at a place; none when it is empty, or not known to the last part.
fn as_node(value: &Value, span: Span) -> Option<Node> {
    let kind = match value {
        Value::Null | Value::Secret(_) | Value::Unknown => return None,
        Value::Bool(truth) => Kind::Bool(*truth),
        Value::Int(number) => Kind::Int(*number),
        Value::Float(number) => Kind::Float(*number),
        Value::Text(text) if text.is_empty() || text.contains("${{") => return None,
        Value::Text(text) => Kind::Text(text.clone()),
        Value::List(items) if items.is_empty() => return None,
        Value::List(items) => Kind::List(items.iter().map(|i| as_node(i, span)).collect::<Option<_>>()?),
        Value::Map(entries) => Kind::Map(
            entries
                .iter()
                .map(|(k, v)| Some(Entry { key: k.clone(), key_span: span, value: as_node(v, span)? }))
                .collect::<Option<_>>()?,
        ),
    };
    Some(Node { kind, span, style: Style::Alias })
}
