//! Everything that can be known of a plan without running it.
//!
//! The order is YAML, structure, the parameters by the schema of the executor that `uses` names, then names and types.
//! The schemas are walked over the nodes themselves, so that every finding has its exact place, and a misspelt key is one
//! finding, not two.

use std::collections::BTreeMap;

mod names;
mod shape;

use serde_json::{Map, Value, json};

use crate::diag::{Code, Finding, SourceId, Sources, Span};
use crate::document::{Document, Entry, Kind, Node};
use crate::plan::{Checked, Input, Outcome, schema};
use crate::plan::{ParamType, Plan};
use crate::step::Registry;
use crate::template::{self, Type};

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

use names::{tainted, type_of};

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

/// Calls `each` with every text below a node.
fn leaves(node: &Node, each: &mut dyn FnMut(&Node, &str)) {
    match &node.kind {
        Kind::Text(text) => each(node, text),
        Kind::List(items) => items.iter().for_each(|i| leaves(i, each)),
        Kind::Map(entries) => entries.iter().for_each(|e| leaves(&e.value, each)),
        _ => {}
    }
}
