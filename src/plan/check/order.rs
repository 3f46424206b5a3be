//! What is computed from what outside the steps: the types of vars, and chains that bite their own tail.

use std::collections::{BTreeMap, HashMap};

use super::Work;
use super::codes::{CYCLE, LIMIT};
use super::fits::tainted;
use crate::diag::{Finding, Span};
use crate::document::{Entry, Kind, Node};
use crate::template::{self, Type};

/// The longest chain of values that read one another: whoever computes them needs a stack.
const LONGEST: usize = 500;

/// A value that is computed before the first step.
struct Computed<'a> {
    /// Like `vars.archive` or `database`.
    name: String,
    node: &'a Node,
    span: Span,
    /// What it reads, by place in the list.
    reads: Vec<usize>,
}

/// How far the walk has come with a value.
#[derive(Clone, Copy, PartialEq)]
enum Seen {
    Not,
    Open,
    Done,
}

impl<'a> Work<'a> {
    /// The roots that templates may read from the start.
    pub(super) fn ground(&mut self) {
        let root = self.root;
        let names = |key: &str| root.get(key).map(Node::entries).unwrap_or_default();
        let of = |t: Option<&str>| match t {
            Some("integer") => Type::Int,
            Some("number") => Type::Float,
            Some("boolean") => Type::Bool,
            Some("string" | "path") => Type::Text,
            Some("array") => Type::List(Box::new(Type::Any)),
            _ => Type::Any,
        };
        let typed = |node: &Node| match node.get("type").and_then(Node::text) {
            Some("array") => {
                Type::List(Box::new(of(node.get("items").and_then(|i| i.get("type")).and_then(Node::text))))
            }
            other => of(other),
        };
        let map = |entries: &[Entry], of: &dyn Fn(&Node) -> Type| {
            Type::Map(entries.iter().map(|e| (e.key.clone(), of(&e.value))).collect())
        };
        let texts = |keys: &[&str]| Type::Map(keys.iter().map(|k| ((*k).to_owned(), Type::Text)).collect());
        self.hidden = names("secrets").iter().filter_map(|e| e.value.get("env").and_then(Node::text)).collect();
        let mut database = texts(&["host", "user", "dbname", "sslmode", "sslrootcert", "connect_timeout"]);
        if let Type::Map(map) = &mut database {
            map.insert("port".to_owned(), Type::Int);
            map.insert("password".to_owned(), Type::Secret);
        }
        let (params, secrets) = (map(names("params"), &typed), map(names("secrets"), &|_| Type::Secret));
        let vars = map(names("vars"), &|_| Type::Any);
        let target = self.type_of_target();
        let roots = self.roots();
        roots.insert("params".to_owned(), params);
        roots.insert("secrets".to_owned(), secrets);
        roots.insert("env".to_owned(), Type::Open(Box::new(Type::Text)));
        roots.insert("plan".to_owned(), texts(&["name", "dir"]));
        roots.insert("run".to_owned(), texts(&["id", "started_at", "host", "log_file", "log_dir"]));
        roots.insert("database".to_owned(), database);
        roots.insert("vars".to_owned(), vars);
        roots.extend(target.map(|t| ("target".to_owned(), t)));
    }

    /// Finds every chain of values that read each other, and the type of every var after those that it reads.
    pub(super) fn order(&mut self) {
        let all = self.computed();
        let mut seen = vec![Seen::Not; all.len()];
        for start in 0..all.len() {
            if seen[start] != Seen::Not {
                continue;
            }
            // A walk with a stack of its own: a chain may be longer than the program's stack is deep.
            let mut path: Vec<(usize, usize)> = vec![(start, 0)];
            seen[start] = Seen::Open;
            while let Some((at, next)) = path.last_mut() {
                let at = *at;
                let Some(&read) = all[at].reads.get(*next) else {
                    seen[at] = Seen::Done;
                    path.pop();
                    self.learn(&all[at]);
                    continue;
                };
                *next += 1;
                match seen[read] {
                    Seen::Done => {}
                    Seen::Not => {
                        seen[read] = Seen::Open;
                        path.push((read, 0));
                        if path.len() == LONGEST + 1 {
                            let message = format!(
                                "`{}` stands at the head of a chain of more than {LONGEST} values",
                                all[start].name
                            );
                            self.error(LIMIT, all[start].span, message);
                        }
                    }
                    Seen::Open => {
                        let from = path.iter().position(|(p, _)| *p == read).unwrap_or(0);
                        let cycle: Vec<usize> = path[from..].iter().map(|(p, _)| *p).collect();
                        self.cycle(&all, cycle);
                    }
                }
            }
        }
    }

    fn cycle(&self, all: &[Computed<'_>], mut cycle: Vec<usize>) {
        // It begins with what stands first in the list, wherever the walk came in.
        let first = cycle.iter().enumerate().min_by_key(|(_, at)| **at).map_or(0, |(i, _)| i);
        cycle.rotate_left(first);
        let at = &all[cycle[0]];
        if let [_] = cycle.as_slice() {
            return self.push(Finding::error(CYCLE, at.span, format!("`{}` reads itself", at.name)));
        }
        let names: Vec<&str> = cycle.iter().chain(cycle.first()).map(|i| all[*i].name.as_str()).collect();
        let finding = Finding::error(CYCLE, at.span, format!("these values read each other: {}", names.join(" -> ")));
        self.push(cycle[1..].iter().take(4).fold(finding, |f, i| f.related(all[*i].span, "which reads the next one")));
    }

    /// The vars, the database settings and the folder of the logs, with what each reads.
    fn computed(&self) -> Vec<Computed<'a>> {
        let mut all = Vec::new();
        for entry in self.root.get("vars").map(Node::entries).unwrap_or_default() {
            let name = format!("vars.{}", entry.key);
            all.push(Computed { name, node: &entry.value, span: entry.key_span, reads: Vec::new() });
        }
        for key in ["database", "logs"] {
            if let Some(entry) = self.root.entry(key) {
                let dir = if key == "logs" { entry.value.entry("dir") } else { Some(entry) };
                let Some(entry) = dir else { continue };
                let name = if key == "logs" { "logs.dir".to_owned() } else { key.to_owned() };
                all.push(Computed { name, node: &entry.value, span: entry.key_span, reads: Vec::new() });
            }
        }
        if let Some(entry) = self.target.and_then(|t| t.entry("database")) {
            let name = "the target's database".to_owned();
            all.push(Computed { name, node: &entry.value, span: entry.key_span, reads: Vec::new() });
        }
        let places: HashMap<String, usize> = all.iter().enumerate().map(|(i, c)| (c.name.clone(), i)).collect();
        let vars: Vec<usize> = (0..all.len()).filter(|i| all[*i].name.starts_with("vars.")).collect();
        for computed in &mut all {
            let mut reads = Vec::new();
            super::leaves(computed.node, &mut |text| {
                let parsed = self.parse(text);
                let Ok(template) = &*parsed else { return };
                for name in template.expressions().flat_map(template::Expression::names) {
                    let entry = name.path.get(1).map(String::as_str);
                    match (name.path[0].as_str(), entry) {
                        ("vars", Some(var)) => reads.extend(places.get(&format!("vars.{var}"))),
                        ("vars", None) => reads.extend(&vars),
                        ("database", _) => {
                            reads.extend(["database", "the target's database"].iter().filter_map(|n| places.get(*n)));
                        }
                        ("run", None | Some("log_file" | "log_dir")) => reads.extend(places.get("logs.dir")),
                        _ => {}
                    }
                }
            });
            reads.dedup();
            computed.reads = reads;
        }
        all
    }

    /// The scope knows the type of a var, once those of the vars it reads are known.
    fn learn(&mut self, computed: &Computed<'_>) {
        let Some(name) = computed.name.strip_prefix("vars.") else { return };
        let found = self.type_of_value(computed.node);
        self.know_var(name, computed.node);
        if let Some(Type::Map(vars)) = self.roots().get_mut("vars") {
            vars.insert(name.to_owned(), found);
        }
    }

    /// The type of a value as it will be once its templates are rendered.
    fn type_of_value(&self, node: &Node) -> Type {
        match &node.kind {
            Kind::Null => Type::Null,
            Kind::Bool(_) => Type::Bool,
            Kind::Int(_) => Type::Int,
            Kind::Float(_) => Type::Float,
            Kind::Text(text) if !text.contains("${{") => Type::Text,
            Kind::Text(text) => match template::parse(text) {
                Ok(template) => tainted(&template, &self.hidden).unwrap_or_else(|| template.infer(&self.scope).0),
                Err(_) => Type::Any,
            },
            Kind::List(items) => {
                let types = items.iter().map(|i| self.type_of_value(i));
                Type::List(Box::new(types.reduce(Type::or).unwrap_or(Type::Any)))
            }
            Kind::Map(entries) => {
                let types: BTreeMap<String, Type> =
                    entries.iter().map(|e| (e.key.clone(), self.type_of_value(&e.value))).collect();
                Type::Map(types)
            }
        }
    }
}
