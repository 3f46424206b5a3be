//! The steps, in order, and everything around them that templates stand in.

use std::collections::{BTreeSet, HashSet};

use serde_json::{Map, Value, json};

use super::Work;
use super::codes::{DUPLICATE_ID, FAULT, MISSING_PARAM};
use super::fits::{of_kind, property, type_of};
use super::names::{Area, Place, conjuncts};
use super::shape::{Rules, What, as_meant, meant};
use crate::diag::Finding;
use crate::document::{Kind, Node};
use crate::plan::schema::{self, SECTIONS};
use crate::template::{self, Type};

/// A step and where it stands.
pub(super) struct StepAt<'a> {
    pub node: &'a Node,
    pub section: &'static str,
    /// As a message names it: ``step `dump` `` or `step 3`.
    pub label: String,
    pub id: Option<&'a Node>,
    pub uses: Option<&'a Node>,
    pub with: Option<&'a Node>,
    pub when: Option<&'a Node>,
}

impl StepAt<'_> {
    /// The executor's name as written.
    pub fn executor(&self) -> &str {
        self.uses.and_then(Node::text).unwrap_or_default()
    }
}

impl<'a> Work<'a> {
    /// Lists the steps. A misspelt key counts as the one that was meant.
    pub(super) fn gather(&mut self) {
        let keys: Vec<&str> = self
            .schemas
            .step
            .get("properties")
            .and_then(Value::as_object)
            .into_iter()
            .flatten()
            .map(|(k, _)| k.as_str())
            .collect();
        for section in SECTIONS {
            for (index, node) in self.root.get(section).map(Node::items).unwrap_or_default().iter().enumerate() {
                let entries = node.entries();
                let find = |key: &str| {
                    let unknown = || entries.iter().filter(|e| !keys.contains(&e.key.as_str()));
                    let near = || unknown().find(|e| meant(entries, &e.key, keys.iter().copied()) == Some(key));
                    node.entry(key).or_else(near).map(|e| &e.value)
                };
                let id = find("id");
                let name = id.and_then(Node::text);
                let label = match (name, section) {
                    (Some(name), _) => format!("step `{name}`"),
                    (None, "steps") => format!("step {}", index + 1),
                    (None, _) => format!("step {} of `{section}`", index + 1),
                };
                let at = self.steps.len();
                let (uses, with, when) = (find("uses"), find("with"), find("when"));
                self.steps.push(StepAt { node, section, label, id, uses, with, when });
                let (Some(name), Some(id)) = (name, id) else { continue };
                if let Some(first) = self.ids.get(name).and_then(|i| self.steps[*i].id) {
                    let finding =
                        Finding::error(DUPLICATE_ID, id.span, format!("the id `{name}` stands here a second time"));
                    self.push(finding.related(first.span, "first here").help("an id is unique in the whole plan"));
                } else {
                    self.ids.insert(name, at);
                }
            }
        }
    }

    /// The templates that are rendered before the first step.
    pub(super) fn outside_steps(&self) {
        let properties = &self.schemas.frame["properties"];
        let before = Place::before(Area::Before, &self.scope);
        for entry in self.root.get("vars").map(Node::entries).unwrap_or_default() {
            self.templates(&entry.value, None, &entry.key, &before);
        }
        for node in [Some(self.root), self.target].into_iter().flatten().filter_map(|n| n.get("database")) {
            self.templates(node, Some(&properties["database"]), "database", &before);
        }
        let text = json!({ "type": "string" });
        let one = self.part(&["params", "env", "plan", "run"]);
        for (pointer, key) in [("/logs/dir", "dir"), ("/lock/key", "key")] {
            let Some((node, _)) = self.root.at(pointer) else { continue };
            if key == "dir" && self.has_targets() {
                // One folder for all of them.
                self.templates(node, Some(&text), key, &Place::before(Area::Targets, &one));
                self.one_for_all(node);
            } else {
                self.templates(node, Some(&text), key, &before);
            }
        }
        let scope = self.part(&["params", "env", "plan", "run", "target"]);
        let place = Place::before(Area::Secrets, &scope);
        for entry in self.root.get("secrets").map(Node::entries).unwrap_or_default() {
            for key in ["file", "command"] {
                if let Some(node) = entry.value.get(key) {
                    let schema = if key == "file" { text.clone() } else { json!({ "type": "array", "items": text }) };
                    self.templates(node, Some(&schema), key, &place);
                }
            }
        }
    }

    /// Every step with what it may read where it stands.
    pub(super) fn walk_steps(&mut self) {
        self.roots().insert("steps".to_owned(), Type::Map(std::collections::BTreeMap::new()));
        for entry in self.root.get("defaults").map(Node::entries).unwrap_or_default() {
            if let Some(schema) = self.schemas.params(&entry.key)
                && let Kind::Map(entries) = &entry.value.kind
            {
                let rules = Rules { partial: true, ..Rules::templates() };
                self.literals.set(entry.key == "command");
                self.keys(entries, schema, &entry.value, What::Defaults(&entry.key), rules);
                self.literals.set(false);
            }
        }
        let mut section = "steps";
        for at in 0..self.steps.len() {
            if self.steps[at].section != section {
                // What one list of handlers leaves behind is not there for the next: only one of the two first ones runs.
                self.forget(section);
                section = self.steps[at].section;
                if matches!(section, "on_failure" | "finally") {
                    let text = |k: &str| (k.to_owned(), Type::Text);
                    let failure = Type::Map(["kind", "step", "error"].map(text).into());
                    self.roots().insert("failure".to_owned(), failure);
                } else {
                    self.roots().remove("failure");
                }
            }
            self.step(at);
            self.remember(at);
        }
        self.unread_defaults();
    }

    /// These roots of the scope.
    pub(super) fn part(&self, names: &[&str]) -> Type {
        let Type::Map(roots) = &self.scope else { return Type::Any };
        Type::Map(names.iter().filter_map(|k| Some(((*k).to_owned(), roots.get(*k)?.clone()))).collect())
    }

    fn forget(&mut self, section: &str) {
        if section == "steps" {
            return;
        }
        let gone: Vec<&str> =
            self.steps.iter().filter(|s| s.section == section).filter_map(|s| s.id.and_then(Node::text)).collect();
        let gone: HashSet<&str> =
            gone.into_iter().filter(|id| self.ids.get(id).is_some_and(|i| self.steps[*i].section == section)).collect();
        if let Some(Type::Map(steps)) = self.roots().get_mut("steps") {
            steps.retain(|id, _| !gone.contains(id.as_str()));
        }
    }

    fn step(&self, at: usize) {
        let step = &self.steps[at];
        let Kind::Map(entries) = &step.node.kind else {
            return self.value(step.node, &self.schemas.step, What::Step(&step.label, ""), Rules::plain());
        };
        let what = What::Step(&step.label, step.executor());
        self.keys(entries, &self.schemas.step, step.node, what, Rules::plain());
        let when = step.when.and_then(Node::text);
        let mut place = Place {
            area: Area::Step,
            scope: &self.scope,
            step: Some(at),
            holds: BTreeSet::new(),
            asked: HashSet::new(),
            certain: self.holds(step.when),
        };
        if let Some(when) = step.when {
            self.when("when", when, &place);
        }
        if let Some(when) = when {
            place.holds = conjuncts(when);
            for name in template::parse_expression(when).map(|e| e.names()).unwrap_or_default() {
                let asks = name.path.get(2).is_some_and(|s| s == "status") || name.defaulted;
                if name.path[0] == "steps" && asks {
                    place.asked.extend(name.path.into_iter().nth(1));
                }
            }
        }
        if let Some(name) = step.node.get("name") {
            self.templates(name, Some(&json!({ "type": "string" })), "name", &place);
        }
        let name = step.executor();
        let Some((entry, schema)) = self.registry.get(name).zip(self.schemas.params(name)) else {
            // Nobody knows what it takes, but the names in it can be looked up all the same.
            if let Some(with) = step.with {
                self.templates(with, None, "with", &place);
            }
            return;
        };
        self.literals.set(name == "command");
        let defaults = self.defaults(name);
        self.parameters(step, schema, defaults, &place);
        self.literals.set(false);
        let faults = entry.check(&as_meant(Value::Object(self.merged(step)), schema));
        if !faults.iter().any(|f| f.pointer.starts_with("/archive")) {
            self.open_archive(step, schema, defaults);
        }
        for fault in faults {
            let given = step.with.and_then(|w| w.at(&fault.pointer)).or_else(|| defaults?.at(&fault.pointer));
            let span = match given {
                Some((node, key)) if fault.at_key => key.unwrap_or(node.span),
                Some((node, _)) if !fault.pointer.is_empty() => node.span,
                _ => step.uses.map_or(step.node.span, |u| u.span),
            };
            let finding = Finding::error(FAULT, span, fault.message);
            self.push(match fault.help {
                Some(help) => finding.help(help),
                None => finding,
            });
        }
    }

    /// An archive that is to be encrypted and has no password: a run would stop there, so the plan does.
    fn open_archive(&self, step: &StepAt<'a>, schema: &Value, defaults: Option<&'a Node>) {
        let Some(archive) = schema.pointer("/properties/archive").map(|s| of_kind(s, "object")) else { return };
        let has = |key: &str| property(archive, key).is_some();
        let given = step.with.and_then(|w| w.entry("archive")).or_else(|| defaults?.entry("archive"));
        let Some(entry) = given.filter(|_| has("password") && has("encryption")) else { return };
        let Kind::Map(keys) = &entry.value.kind else { return };
        let encryption = entry.value.get("encryption").and_then(Node::text).unwrap_or_default();
        let password = entry.value.get("password");
        let missing = password.is_none_or(|p| matches!(p.kind, Kind::Null) || p.text() == Some(""));
        // A key that is misspelt has its finding.
        let known =
            || archive.get("properties").and_then(Value::as_object).into_iter().flatten().map(|(k, _)| k.as_str());
        let near = |key: &str| if has(key) { None } else { meant(keys, key, known()) };
        let misspelt = keys.iter().any(|k| matches!(near(&k.key), Some("password" | "encryption")));
        if missing && !misspelt && encryption != "none" && !encryption.contains("${{") {
            let span = password.map_or(entry.key_span, |p| p.span);
            let finding = Finding::error(FAULT, span, "the archive is to be encrypted and has no password");
            self.push(finding.help("give it one, like `password: ${{ secrets.zip }}`, or write `encryption: none`"));
        }
    }

    /// What the plan gives every step of an executor.
    pub(super) fn defaults(&self, name: &str) -> Option<&'a Node> {
        self.root.get("defaults").and_then(|d| d.get(name))
    }

    /// A step's parameters as written, the plan's defaults among them.
    pub(super) fn merged(&self, step: &StepAt<'_>) -> Map<String, Value> {
        let mut all = Map::new();
        for node in self.defaults(step.executor()).into_iter().chain(step.with) {
            all.extend(node.entries().iter().map(|e| (e.key.clone(), e.value.to_json())));
        }
        all
    }

    fn parameters(&self, step: &StepAt<'a>, schema: &Value, defaults: Option<&'a Node>, place: &Place<'_>) {
        let name = step.executor();
        let given = step.with.map(Node::entries).unwrap_or_default();
        let rules = Rules { partial: true, ..Rules::templates() };
        if let Some(Kind::Map(entries)) = step.with.map(|w| &w.kind) {
            self.keys(entries, schema, step.node, What::Params(name), rules);
        }
        let default_entries = defaults.map(Node::entries).unwrap_or_default();
        let known: Vec<&str> = schema
            .get("properties")
            .and_then(Value::as_object)
            .into_iter()
            .flatten()
            .map(|(k, _)| k.as_str())
            .collect();
        let required = schema.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
        let unknown: Vec<_> = given.iter().filter(|e| !known.contains(&e.key.as_str())).collect();
        for key in required {
            let there = given.iter().chain(default_entries).any(|e| e.key == key);
            let misspelt = || unknown.iter().any(|e| meant(given, &e.key, known.iter().copied()) == Some(key));
            // One that stands beside `with` is one finding, not two.
            let beside = step.node.entry(key).is_some();
            if there || beside || misspelt() || step.with.is_some_and(|w| !matches!(w.kind, Kind::Map(_))) {
                continue;
            }
            let span = step.node.entry("with").map(|e| e.key_span);
            let span = span.or(step.uses.map(|u| u.span)).unwrap_or(step.node.span);
            let finding = Finding::error(MISSING_PARAM, span, format!("`{name}` needs the parameter `{key}`"));
            self.push(finding.help(format!("`runplan steps {name}` shows its parameters, with an example")));
        }
        if let Some(with) = step.with {
            self.templates(with, Some(schema), "with", place);
        }
        for entry in default_entries.iter().filter(|d| !given.iter().any(|g| g.key == d.key)) {
            let inner = schema.get("properties").and_then(|p| p.get(&entry.key));
            self.templates(&entry.value, inner, &entry.key, place);
        }
    }

    /// The templates in defaults that no step uses: whatever a step may read, they may.
    fn unread_defaults(&mut self) {
        let text = |k: &str| (k.to_owned(), Type::Text);
        let failure = Type::Map(["kind", "step", "error"].map(text).into());
        self.roots().insert("failure".to_owned(), failure);
        let place = Place { certain: false, ..Place::before(Area::Step, &self.scope) };
        for entry in self.root.get("defaults").map(Node::entries).unwrap_or_default() {
            let used = self.steps.iter().any(|s| s.executor() == entry.key);
            if let Some(schema) = self.schemas.params(&entry.key).filter(|_| !used) {
                self.literals.set(entry.key == "command");
                self.templates(&entry.value, Some(schema), &entry.key, &place);
                self.literals.set(false);
            }
        }
    }

    /// Later steps may read this one.
    fn remember(&mut self, at: usize) {
        let step = &self.steps[at];
        let Some(name) = step.id.and_then(Node::text).filter(|n| self.ids.get(n) == Some(&at)) else { return };
        // Only what somebody reads needs its outputs known.
        let read = self.usage.borrow().reads("steps", name);
        let outputs = match self.registry.get(step.executor()).filter(|_| read) {
            Some(entry) => {
                let schema = entry.outputs(&Value::Object(self.merged(step)));
                type_of(&schema::inlined(schema.to_value()))
            }
            None => Type::Any,
        };
        let known = [("status".to_owned(), Type::Text), ("outputs".to_owned(), outputs)];
        if let Some(Type::Map(steps)) = self.roots().get_mut("steps") {
            steps.insert(name.to_owned(), Type::Map(known.into()));
        }
    }
}
