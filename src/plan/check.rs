//! Everything that can be known of a plan without running it.
//!
//! The order is YAML, structure, the parameters by the schema of the executor that `uses` names, then names and types.
//! The schemas are walked over the nodes themselves, so that every finding has its exact place, and a misspelt key is one
//! finding, not two.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::model::{ParamType, Plan};
use super::{Checked, Input, Outcome, schema};
use crate::diag::{Code, Finding, SourceId, Sources, Span, nearest};
use crate::document::{Document, Entry, Kind, Node};
use crate::quantity;
use crate::step::Registry;
use crate::template::{self, Name, Problem, ProblemKind, Type};

const UNKNOWN_KEY: Code = Code(102);
const MISSING_KEY: Code = Code(103);
const WRONG_TYPE: Code = Code(104);
const WRONG_VALUE: Code = Code(105);
const DUPLICATE_ID: Code = Code(106);
const NO_TEMPLATE: Code = Code(107);
const UNKNOWN_STEP: Code = Code(201);
const FAULT: Code = Code(203);
const SYNTAX: Code = Code(301);
const CALL: Code = Code(302);
const NAME: Code = Code(303);
const TYPE: Code = Code(304);
const CYCLE: Code = Code(305);
const WRAPPED_WHEN: Code = Code(306);
const EXPOSED: Code = Code(401);
const SOURCE: Code = Code(402);
const VERSION: Code = Code(601);

/// Checks a plan.
pub fn check(input: Input, registry: &Registry) -> Outcome {
    let mut sources = Sources::default();
    let source = sources.add(input.name.clone(), input.text.clone());
    let (document, findings) = Document::parse(source, &input.text);
    let mut work = Work { text: &input.text, source, registry, findings, types: BTreeMap::new(), hidden: Vec::new() };
    let mut plan = None;
    if let Some(document) = &document {
        work.plan(&document.root);
        let mut json = document.root.to_json();
        if let Some(map) = json.as_object_mut() {
            map.retain(|k, _| !k.starts_with("x-"));
        }
        if !work.failed() {
            match serde_json::from_value::<Plan>(json) {
                Ok(read) => plan = Some(read),
                Err(error) => work.error(WRONG_VALUE, document.root.span, error.to_string()),
            }
        }
        if let Some(plan) = &plan {
            work.params(plan, &document.root);
        }
    }
    let failed = work.failed();
    let mut findings = work.findings;
    findings.sort_by_key(|f| (f.span.start, f.span.end, f.code));
    findings.dedup();
    let checked = plan.filter(|_| !failed).map(|plan| Checked { plan, dir: input.dir, file: input.name });
    Outcome { sources, findings, checked }
}

struct Work<'a> {
    text: &'a str,
    source: SourceId,
    registry: &'a Registry,
    findings: Vec<Finding>,
    /// The types of the roots that templates may read.
    types: BTreeMap<String, Type>,
    /// The environment variables that secrets read.
    hidden: Vec<String>,
}

impl Work<'_> {
    fn failed(&self) -> bool {
        self.findings.iter().any(|f| f.severity == crate::diag::Severity::Error)
    }

    fn error(&mut self, code: Code, span: Span, message: impl Into<String>) {
        self.findings.push(Finding::error(code, span, message));
    }

    fn plan(&mut self, root: &Node) {
        let Kind::Map(entries) = &root.kind else {
            return self.error(WRONG_TYPE, root.span, format!("a plan is a map, found {}", root.kind_name()));
        };
        if let Some(Kind::Int(version)) = root.get("version").map(|v| &v.kind)
            && *version != 1
        {
            let span = root.get("version").map_or(root.span, |v| v.span);
            self.error(VERSION, span, format!("this runplan reads version 1, found {version}"));
        }
        let frame = schema::frame(self.registry);
        self.object(entries, &frame, root, "the plan", (true, false));
        self.roots(root);
        self.secrets(root);
        self.cycles(root);
        for (key, place) in [("vars", "vars"), ("database", "database")] {
            if let Some(node) = root.get(key) {
                let schema = frame.pointer(&format!("/properties/{place}")).cloned().unwrap_or_default();
                self.templates(node, &schema);
            }
        }
        for pointer in ["/logs/dir", "/lock/key"] {
            if let Some((node, _)) = root.at(pointer) {
                self.templates(node, &json!({ "type": "string" }));
            }
        }
        for entry in root.get("defaults").map(Node::entries).unwrap_or_default() {
            if let Some(mut schema) = schema::params(self.registry, &entry.key) {
                schema.as_object_mut().and_then(|o| o.remove("required"));
                self.value(&entry.value, &schema, &format!("the defaults of `{}`", entry.key), true);
                self.templates(&entry.value, &schema);
            }
        }
        let mut ids: BTreeMap<String, Span> = BTreeMap::new();
        for section in ["steps", "on_failure", "on_success", "finally"] {
            let saved = self.types.clone();
            if matches!(section, "on_failure" | "finally") {
                let text = |k: &str| (k.to_owned(), Type::Text);
                self.types.insert("failure".to_owned(), Type::Map(["kind", "step", "error"].map(text).into()));
            }
            for step in root.get(section).map(Node::items).unwrap_or_default() {
                self.step(step, root);
                self.remember(step, &mut ids);
            }
            if section != "steps" {
                self.types = saved;
            }
        }
    }

    /// The roots that templates may read from the start.
    fn roots(&mut self, root: &Node) {
        let names = |key: &str| root.get(key).map(Node::entries).unwrap_or_default();
        let typed = |node: &Node| {
            let of = |t: Option<&str>| match t {
                Some("integer") => Type::Int,
                Some("number") => Type::Float,
                Some("boolean") => Type::Bool,
                Some("string") => Type::Text,
                _ => Type::Any,
            };
            match node.get("type").and_then(Node::text) {
                Some("array") => {
                    Type::List(Box::new(of(node.get("items").and_then(|i| i.get("type")).and_then(Node::text))))
                }
                other => of(other),
            }
        };
        let map = |entries: &[Entry], of: &dyn Fn(&Node) -> Type| {
            Type::Map(entries.iter().map(|e| (e.key.clone(), of(&e.value))).collect())
        };
        let texts = |keys: &[&str]| Type::Map(keys.iter().map(|k| ((*k).to_owned(), Type::Text)).collect());
        let hidden = names("secrets").iter().filter_map(|e| e.value.get("env").and_then(Node::text));
        self.hidden = hidden.map(str::to_owned).collect();
        let hidden = &self.hidden;
        self.types.insert("params".to_owned(), map(names("params"), &typed));
        self.types.insert("secrets".to_owned(), map(names("secrets"), &|_| Type::Secret));
        self.types.insert("env".to_owned(), Type::Open(Box::new(Type::Text)));
        self.types.insert("plan".to_owned(), texts(&["name", "dir"]));
        self.types.insert("run".to_owned(), texts(&["id", "started_at", "host", "log_file", "log_dir"]));
        let mut database = texts(&["host", "user", "dbname", "sslmode", "sslrootcert", "connect_timeout"]);
        if let Type::Map(map) = &mut database {
            map.insert("port".to_owned(), Type::Int);
            map.insert("password".to_owned(), Type::Secret);
        }
        self.types.insert("database".to_owned(), database);
        self.types.insert("steps".to_owned(), Type::Map(BTreeMap::new()));
        self.types.insert("vars".to_owned(), map(names("vars"), &|_| Type::Any));
        // A var may read another one: as often as there are vars, each round knows a little more.
        for _ in 0..names("vars").len().min(8) {
            let scope = Type::Map(self.types.clone());
            let infer = |node: &Node| match node.text() {
                Some(text) => template::parse(text)
                    .map_or(Type::Any, |t| tainted(&t, hidden).unwrap_or_else(|| t.infer(&scope).0)),
                None => Type::Any,
            };
            self.types.insert("vars".to_owned(), map(names("vars"), &infer));
        }
    }

    fn secrets(&mut self, root: &Node) {
        for entry in root.get("secrets").map(Node::entries).unwrap_or_default() {
            let given =
                entry.value.entries().iter().filter(|e| matches!(e.key.as_str(), "env" | "file" | "command")).count();
            if given != 1 && matches!(entry.value.kind, Kind::Map(_)) {
                let message = format!(
                    "the secret `{}` needs exactly one of `env`, `file` and `command`, found {given}",
                    entry.key
                );
                self.error(SOURCE, entry.key_span, message);
            }
        }
    }

    fn cycles(&mut self, root: &Node) {
        let Some(vars) = root.get("vars") else { return };
        let reads = |node: &Node| -> Vec<String> {
            let mut names = Vec::new();
            leaves(node, &mut |leaf, text| {
                let _ = leaf;
                if let Ok(template) = template::parse(text) {
                    let all = template.expressions().flat_map(template::Expression::names);
                    names.extend(all.filter(|n| n.path[0] == "vars").filter_map(|n| n.path.get(1).cloned()));
                }
            });
            names
        };
        for start in vars.entries() {
            let mut chain = vec![start.key.clone()];
            let mut next = reads(&start.value);
            while let Some(name) = next.pop() {
                if name == start.key {
                    chain.push(name);
                    return self.error(
                        CYCLE,
                        start.key_span,
                        format!("these vars read each other: {}", chain.join(" -> ")),
                    );
                }
                if !chain.contains(&name)
                    && let Some(node) = vars.get(&name)
                {
                    chain.push(name);
                    next.extend(reads(node));
                }
            }
        }
    }

    fn step(&mut self, step: &Node, root: &Node) {
        let Some(uses) = step.get("uses") else { return };
        let name = uses.text().unwrap_or_default();
        if let Some(when) = step.get("when") {
            self.when(when);
        }
        if let Some(text) = step.get("name") {
            self.templates(text, &json!({ "type": "string" }));
        }
        let Some(entry) = self.registry.get(name) else { return };
        let Some(mut schema) = schema::params(self.registry, name) else { return };
        // A key that stands under `defaults` is given.
        let defaults = root.at(&format!("/defaults/{name}")).map(|(n, _)| n.entries()).unwrap_or_default();
        if let Some(required) = schema.get_mut("required").and_then(Value::as_array_mut) {
            required.retain(|r| !defaults.iter().any(|d| r.as_str() == Some(&d.key)));
        }
        let mut with = Map::new();
        for default in defaults {
            with.insert(default.key.clone(), default.value.to_json());
        }
        match step.entry("with") {
            Some(given) => {
                if matches!(given.value.kind, Kind::Map(_)) {
                    self.value(&given.value, &schema, &format!("the parameters of `{name}`"), true);
                    self.templates(&given.value, &schema);
                    with.extend(given.value.entries().iter().map(|e| (e.key.clone(), e.value.to_json())));
                }
            }
            None => {
                let required = schema.get("required").and_then(Value::as_array).cloned().unwrap_or_default();
                for key in required.iter().filter_map(Value::as_str) {
                    self.error(MISSING_KEY, uses.span, format!("`{name}` needs the parameter `{key}` under `with`"));
                }
            }
        }
        for fault in entry.check(&Value::Object(with)) {
            let node = step.get("with").and_then(|w| w.at(&fault.pointer));
            let span = node.map_or(uses.span, |(n, key)| if fault.at_key { key.unwrap_or(n.span) } else { n.span });
            let finding = Finding::error(FAULT, span, fault.message);
            self.findings.push(match fault.help {
                Some(help) => finding.help(help),
                None => finding,
            });
        }
    }

    /// Later steps may read this one.
    fn remember(&mut self, step: &Node, ids: &mut BTreeMap<String, Span>) {
        let Some(id) = step.get("id") else { return };
        let Some(name) = id.text() else { return };
        if let Some(first) = ids.get(name) {
            let finding = Finding::error(DUPLICATE_ID, id.span, format!("the id `{name}` stands here a second time"));
            self.findings.push(finding.related(*first, "first here"));
        }
        ids.insert(name.to_owned(), id.span);
        let with = step.get("with").map_or(Value::Null, Node::to_json);
        let entry = step.get("uses").and_then(Node::text).and_then(|n| self.registry.get(n));
        let outputs = entry.map_or(Type::Any, |e| type_of(&schema::inlined(e.outputs(&with).to_value())));
        let known = [("status".to_owned(), Type::Text), ("outputs".to_owned(), outputs)];
        if let Some(Type::Map(steps)) = self.types.get_mut("steps") {
            steps.insert(name.to_owned(), Type::Map(known.into()));
        }
    }

    fn when(&mut self, node: &Node) {
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

    fn problem(&mut self, node: &Node, problem: &Problem) {
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
    fn names(&mut self, node: &Node, names: &[Name]) {
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
    fn templates(&mut self, node: &Node, schema: &Value) {
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
    fn fits(&mut self, node: &Node, found: &Type, schema: &Value) {
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

    fn object(&mut self, entries: &[Entry], schema: &Value, node: &Node, what: &str, (top, templates): (bool, bool)) {
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
    fn value(&mut self, node: &Node, schema: &Value, what: &str, templates: bool) {
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

    fn text(&mut self, node: &Node, text: &str, schema: &Value, what: &str, unit: Option<&str>) {
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

    /// What the model knows of parameters and the schema does not.
    fn params(&mut self, plan: &Plan, root: &Node) {
        for (name, param) in plan.params.iter() {
            let Some((node, key)) = root.at(&format!("/params/{name}")) else { continue };
            if let Some(default) = &param.default
                && let Err(problem) = param.accept(default)
            {
                let span = node.get("default").map_or(node.span, |d| d.span);
                self.error(WRONG_VALUE, span, format!("the default of `{name}`: {problem}"));
            }
            if param.items.is_some() && param.kind != ParamType::Array {
                self.error(
                    WRONG_VALUE,
                    key.unwrap_or(Span::new(self.source, 0, 0)),
                    format!("`items` of `{name}` is for arrays only"),
                );
            }
        }
    }
}

/// What a template gives that reads a variable of the environment which a secret reads too: a secret.
fn tainted(template: &template::Template, hidden: &[String]) -> Option<Type> {
    let mut names = template.expressions().flat_map(template::Expression::names);
    let reads = names.any(|n| n.path[0] == "env" && n.path.get(1).is_some_and(|v| hidden.contains(v)));
    reads.then_some(Type::Secret)
}

/// Calls `each` with every text below a node.
fn leaves(node: &Node, each: &mut dyn FnMut(&Node, &str)) {
    match &node.kind {
        Kind::Text(text) => each(node, text),
        Kind::List(items) => items.iter().for_each(|i| leaves(i, each)),
        Kind::Map(entries) => entries.iter().for_each(|e| leaves(&e.value, each)),
        _ => {}
    }
}

/// The schema itself, or the first of several that is not just `null`.
fn solid(schema: &Value) -> &Value {
    let parts = ["allOf", "anyOf"].into_iter().filter_map(|k| schema.get(k).and_then(Value::as_array)).flatten();
    parts.into_iter().find(|s| s.get("type") != Some(&json!("null"))).unwrap_or(schema)
}

fn kinds(schema: &Value) -> Vec<String> {
    match schema.get("type") {
        Some(Value::String(one)) => vec![one.clone()],
        Some(Value::Array(many)) => many.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        _ => Vec::new(),
    }
}

/// The type that a schema of outputs promises.
fn type_of(schema: &Value) -> Type {
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
