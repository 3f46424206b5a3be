//! The targets of a plan: where they stand, what each of them gives, and the plan as it is with that.
//!
//! The names and types of a plan are looked at once for each target, so that a label which one of them lacks, or a value
//! that breaks a step, is found. What is wrong for all of them alike is said once and without their names.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use serde_json::json;

use super::codes::{
    DUPLICATE_ID, NAME, NO_TARGET, NO_TEMPLATE, SAME_ARCHIVE, TARGET_SOURCE, UNKNOWN_KEY, WRONG_TYPE, WRONG_VALUE,
};
use super::names::{Area, Place};
use super::shape::{Rules, What};
use super::{Base, Work, kinds, leaves};
use crate::diag::{Code, Finding, Sources, Span, nearest};
use crate::document::{Document, Kind, Node};
use crate::files::{self, Links};
use crate::plan::Param;
use crate::template::{self, Type};
use crate::value::Value;

/// The largest file of targets that is read, in bytes.
const LIMIT: u64 = 4 << 20;

/// A file of targets that a plan includes.
pub(super) struct Included {
    pub text: String,
    pub root: Node,
    /// The folder that relative paths in it belong to.
    pub dir: PathBuf,
}

/// Reads the file that a plan includes, if it does.
pub(super) fn read(
    plan: &Node,
    dir: &Path,
    plan_name: &str,
    sources: &mut Sources,
    findings: &mut Vec<Finding>,
) -> Option<Included> {
    let node = plan.get("targets").filter(|t| t.get("list").is_none())?.get("include")?;
    // A template in it has its finding.
    let name = node.text().filter(|t| !t.contains("${{"))?;
    let text = match files::read_text(&dir.join(name), LIMIT, Links::Follow) {
        Ok(text) => text,
        Err(error) => {
            let message = format!("the targets in `{name}` cannot be read: {error}");
            let finding = Finding::error(TARGET_SOURCE, node.span, message);
            findings.push(finding.help(match error.kind() {
                std::io::ErrorKind::InvalidData => "convert the file with `iconv -f latin1 -t utf8`",
                _ => "the path begins at the folder of the plan",
            }));
            return None;
        }
    };
    let shown = Path::new(plan_name).with_file_name(name);
    let source = sources.add(shown.to_string_lossy(), text.clone());
    let (document, mut found) = Document::parse(source, &text);
    findings.append(&mut found);
    let root = document?.root;
    if !matches!(root.kind, Kind::List(_)) {
        let message = format!("a file of targets is a list, found {}", root.kind_name());
        findings.push(Finding::error(WRONG_TYPE, root.span, message).help("begin each target with `- name: …`"));
        return None;
    }
    let file = dir.join(name);
    let dir = file.parent().unwrap_or(dir).to_path_buf();
    Some(Included { text, root, dir })
}

/// What is wrong for which targets.
struct Merged<'a> {
    all: Vec<(Finding, Vec<&'a str>)>,
    places: HashMap<(Span, Code, String), usize>,
}

impl<'a> Merged<'a> {
    fn add(&mut self, finding: Finding, target: &'a str) {
        let key = (finding.span, finding.code, finding.message.clone());
        let at = *self.places.entry(key).or_insert_with(|| {
            self.all.push((finding, Vec::new()));
            self.all.len() - 1
        });
        if !self.all[at].1.contains(&target) {
            self.all[at].1.push(target);
        }
    }
}

/// Names in a row, the first few of them.
fn listed(names: &[&str]) -> String {
    let shown: Vec<String> = names.iter().take(3).map(|n| format!("`{n}`")).collect();
    let s = if names.len() == 1 { "" } else { "s" };
    match names.len() {
        0..=3 => format!("target{s} {}", shown.join(", ")),
        more => format!("targets {} and {} more", shown.join(", "), more - 3),
    }
}

/// Every finding of a plan, for each of its targets.
pub(super) fn check(base: Base<'_>) -> Vec<Finding> {
    let frame = Work::new(base, None);
    let more = frame.frame();
    let mut all = frame.findings.take();
    if !more {
        return all;
    }
    let mut plain = Work::new(base, None);
    plain.plan();
    let own = plain.findings.take();
    let mut merged = Merged { all: Vec::new(), places: HashMap::new() };
    let mut archives: HashMap<String, &str> = HashMap::new();
    let mut clashes = Merged { all: Vec::new(), places: HashMap::new() };
    let (mut there, mut taken) = (0, 0);
    for item in plain.items() {
        let Some(name) = item.get("name").and_then(Node::text) else { continue };
        there += 1;
        let mut work = Work::new(base, Some(item));
        let selected = work.plan();
        work.findings.take().into_iter().for_each(|f| merged.add(f, name));
        if !selected {
            continue;
        }
        taken += 1;
        for (span, path) in work.archives() {
            let first = *archives.entry(path.clone()).or_insert(name);
            if first != name {
                let message = format!("the same archive `{path}` is written");
                let finding = Finding::warning(SAME_ARCHIVE, span, message);
                let finding = finding.help("put `${{ target.name }}` into the path");
                clashes.add(finding.clone(), first);
                clashes.add(finding, name);
            }
        }
    }
    if there == 0 {
        all.extend(own);
        return all;
    }
    if taken == 0 {
        all.extend(own.iter().cloned());
        if let Some(select) = plain.select() {
            let finding = Finding::warning(NO_TARGET, select.span, "this leaves no target");
            all.push(finding.help("it is false for each of them"));
        }
    }
    for (finding, names) in merged.all {
        let same = |f: &Finding| (f.span, f.code, &f.message) == (finding.span, finding.code, &finding.message);
        let everywhere = names.len() >= taken && own.iter().any(same);
        all.push(if everywhere { finding } else { of(finding, &names) });
    }
    all.extend(clashes.all.into_iter().map(|(finding, names)| of(finding, &names)));
    all
}

/// A finding with the targets that it is about.
fn of(finding: Finding, names: &[&str]) -> Finding {
    Finding { message: format!("{}: {}", listed(names), finding.message), ..finding }
}

impl<'a> Work<'a> {
    /// Whether the plan has targets. A misspelt key counts as the one that was meant.
    pub(super) fn has_targets(&self) -> bool {
        let known = self.schemas.frame["properties"].as_object();
        let unknown = |key: &str| known.is_none_or(|k| !k.contains_key(key));
        let meant = |key: &str| key == "targets" || (unknown(key) && nearest(key, ["targets"]).is_some());
        self.root.entries().iter().any(|e| meant(&e.key))
    }

    /// The targets, wherever they stand.
    fn items(&self) -> &'a [Node] {
        match self.base.included {
            Some(included) => included.root.items(),
            None => self.root.get("targets").and_then(|t| t.get("list")).map(Node::items).unwrap_or_default(),
        }
    }

    /// The expression that selects targets.
    pub(super) fn select(&self) -> Option<&'a Node> {
        self.root.get("targets")?.get("select")
    }

    /// Where the targets come from, and what each of them gives.
    pub(super) fn targets(&self) {
        let Some(entry) = self.root.entry("targets") else { return };
        let Kind::Map(keys) = &entry.value.kind else { return };
        let key = |name: &str| keys.iter().find(|e| e.key == name);
        match (key("list"), key("include")) {
            (Some(first), Some(second)) => {
                let (first, second) = if first.key_span < second.key_span { (first, second) } else { (second, first) };
                let message = "targets come from one place, found `list` and `include`";
                let finding = Finding::error(TARGET_SOURCE, second.key_span, message);
                self.push(finding.related(first.key_span, "the first is here"));
            }
            // A key that is misspelt has its finding.
            (None, None) if !keys.iter().any(|k| nearest(&k.key, ["list", "include"]).is_some()) => {
                let finding = Finding::error(TARGET_SOURCE, entry.key_span, "the plan has `targets` and names none");
                self.push(finding.help("write them under `list`, or name their file under `include`"));
            }
            _ => {}
        }
        if let Some(included) = self.base.included {
            let schema = &self.schemas.frame["properties"]["targets"]["properties"]["list"];
            self.value(&included.root, schema, What::Key("list"), Rules::plain());
        }
        let mut seen: HashMap<&str, Span> = HashMap::new();
        for item in self.items() {
            if let Some(node) = item.get("name")
                && let Some(name) = node.text()
            {
                if name == "run" {
                    let message = "the name `run` is taken: `run.log` is the log of all targets";
                    self.error(WRONG_VALUE, node.span, message);
                }
                match seen.get(name) {
                    None => drop(seen.insert(name, node.span)),
                    Some(first) => {
                        let message = format!("the target `{name}` stands here a second time");
                        let finding = Finding::error(DUPLICATE_ID, node.span, message);
                        self.push(finding.related(*first, "first here").help("a target's name is unique"));
                    }
                }
            }
            self.params_of(item);
        }
    }

    /// The parameters that a target sets, as if they were given by hand.
    fn params_of(&self, item: &'a Node) {
        let declared = self.root.get("params").map(Node::entries).unwrap_or_default();
        for entry in item.get("params").map(Node::entries).unwrap_or_default() {
            let Some(found) = declared.iter().find(|d| d.key == entry.key) else {
                let message = format!("the plan declares no parameter `{}`", entry.key);
                let finding = Finding::error(UNKNOWN_KEY, entry.key_span, message);
                self.push(match nearest(&entry.key, declared.iter().map(|d| d.key.as_str())) {
                    Some(near) => finding.label(format!("did you mean `{near}`?")).fix(entry.key_span, near, false),
                    None if declared.is_empty() => finding.help("declare it under `params`"),
                    None => {
                        let all: Vec<&str> = declared.iter().map(|d| d.key.as_str()).collect();
                        finding.help(format!("there are {}", all.join(", ")))
                    }
                });
                continue;
            };
            leaves(&entry.value, &mut |_| {
                let message = format!("the parameter `{}`: a template does not work here", entry.key);
                let finding = Finding::error(NO_TEMPLATE, entry.value.span, message);
                self.push(finding.help("write the value itself: it is read before anything is computed"));
            });
            // A declaration that is none has its finding.
            let Ok(param) = serde_json::from_value::<Param>(found.value.to_json()) else { continue };
            if param.pattern.as_ref().is_none_or(|p| kinds::matches(p, "").is_some()) {
                self.accepted(&entry.value, &param, &format!("the parameter `{}`", entry.key));
            }
        }
    }

    /// What `target` is in templates.
    pub(super) fn type_of_target(&self) -> Option<Type> {
        if !self.has_targets() {
            return None;
        }
        let Some(item) = self.target else { return Some(Type::Any) };
        let labels = item.get("labels").map(Node::entries).unwrap_or_default().iter().map(|e| {
            let kind = match e.value.kind {
                Kind::Text(_) => Type::Text,
                Kind::Int(_) => Type::Int,
                Kind::Bool(_) => Type::Bool,
                _ => Type::Any,
            };
            (e.key.clone(), kind)
        });
        let labels = Type::Map(labels.collect());
        Some(Type::Map(BTreeMap::from([("name".to_owned(), Type::Text), ("labels".to_owned(), labels)])))
    }

    /// The same as a value.
    pub(super) fn value_of_target(&self) -> Value {
        let Some(item) = self.target else { return Value::Unknown };
        let value = |key: &str| item.get(key).map(|n| Value::from(&n.to_json()));
        let labels = value("labels").unwrap_or(Value::Map(Vec::new()));
        Value::Map(vec![("name".to_owned(), value("name").unwrap_or(Value::Unknown)), ("labels".to_owned(), labels)])
    }

    /// Whether a name below `target.labels` is a label that another target has.
    pub(super) fn some_label(&self, of: &[String], label: &str) -> bool {
        let has = |item: &Node| item.get("labels").is_some_and(|l| l.get(label).is_some());
        of == ["target", "labels"] && self.items().iter().any(has)
    }

    /// Which targets are taken, and how many at a time.
    pub(super) fn selection(&self) {
        let scope = self.part(&["params", "target", "plan", "env"]);
        let place = Place::before(Area::Targets, &scope);
        if let Some(node) = self.select() {
            self.when("select", node, &place);
        }
        if let Some((node, _)) = self.root.at("/targets/limit_per/key") {
            self.templates(node, Some(&json!({ "type": "string" })), "key", &place);
        }
    }

    /// Whether no parameter and no variable can make the target one that is selected.
    pub(super) fn left_out(&self) -> bool {
        let select = self.target.and(self.select()).and_then(Node::text);
        let Some(Ok(expression)) = select.map(template::parse_expression) else { return false };
        let names = expression.names();
        !self.varies(&names) && expression.eval(&self.foreseen(&names)) == Ok(Value::Bool(false))
    }

    /// What is one for all targets may not depend on what each of them sets.
    pub(super) fn one_for_all(&self, node: &'a Node) {
        leaves(node, &mut |text| {
            let parsed = self.parse(text);
            let Ok(template) = &*parsed else { return };
            for name in template.expressions().flat_map(template::Expression::names) {
                let (Some("params"), Some(param)) = (name.path.first().map(String::as_str), name.path.get(1)) else {
                    continue;
                };
                let sets = |item: &'a Node| item.get("params").and_then(|p| p.entry(param));
                if let Some(set) = self.items().iter().find_map(sets) {
                    let span = node.locate(self.text_of(node.span), name.range.start, name.range.end);
                    let message = format!("`params.{param}` is set by a target, and the logs of all lie in one folder");
                    self.push(Finding::error(NAME, span, message).related(set.key_span, "set here"));
                }
            }
        });
    }
}
