//! `runplan show`: the effective plan, each value with where it came from.

use super::aims::aims;
use super::args::ShowArgs;
use super::exit::{Exit, Failure};
use super::output::Terms;
use super::{input, run};
use crate::diag::{self, Sources, Span};
use crate::document::{Document, Node};
use crate::plan::{self, StepPlan, When};
use crate::run::Aim;
use crate::secret::{MASK, Secret};
use crate::step::Env;
use crate::steps::REGISTRY;
use crate::template::{self, Scope};
use crate::value::{AT_RUN_TIME, Map, Value};

/// The variables that fill in database settings.
const VARIABLES: [(&str, &str); 8] = [
    ("host", "PGHOST"),
    ("port", "PGPORT"),
    ("user", "PGUSER"),
    ("password", "PGPASSWORD"),
    ("dbname", "PGDATABASE"),
    ("sslmode", "PGSSLMODE"),
    ("sslrootcert", "PGSSLROOTCERT"),
    ("connect_timeout", "PGCONNECT_TIMEOUT"),
];

/// Prints the plan as a run would take it. Fetches no secret and asks no server.
pub fn show(args: &ShowArgs, terms: &Terms) -> Result<Exit, Failure> {
    let outcome = plan::check(input::read_plan(&args.plan)?, &REGISTRY);
    terms.say(&diag::render(&outcome.sources, &outcome.findings, terms.err.color));
    let Some(checked) = outcome.checked else {
        terms.error(&format!("the plan `{}` is not valid", args.plan.display()), None);
        return Ok(Exit::Invalid);
    };
    let env = run::environment();
    let aims = aims(&checked, &args.aim, &env)?;
    // The second text is that of the targets which the plan includes.
    let parsed = outcome.sources.iter().filter_map(|(id, s)| Document::parse(id, &s.text).0).map(|d| d.root);
    let roots: Vec<Node> = parsed.collect();
    let Some(root) = roots.first() else { return Ok(Exit::Invalid) };
    let items = match roots.get(1) {
        Some(included) => included.items(),
        None => root.at("/targets/list").map(|(list, _)| list.items()).unwrap_or_default(),
    };
    // Without a pick a plan with targets is shown as it is for all of them.
    let whole = Aim::whole(checked.clone(), aims.params);
    let shown = if args.aim.target.is_empty() { std::slice::from_ref(&whole) } else { aims.all.as_slice() };
    let mut text = String::new();
    for aim in shown {
        let named =
            |item: &&Node| aim.target.is_some() && item.get("name").and_then(Node::text) == aim.target.as_deref();
        let target = items.iter().find(named);
        let mut page = Page { sources: &outcome.sources, root, target, lines: Vec::new() };
        page.plan(aim, &scope(aim, &env), &env, args);
        if aim.target.is_none() {
            page.targets(items);
        }
        text += &format!("{}{}", if text.is_empty() { "" } else { "\n" }, page.text());
    }
    let failed = |e: std::io::Error| Failure { exit: Exit::State, text: e.to_string(), hint: None };
    terms.print(&diag::visible(&text)).map_err(failed).map(|()| Exit::Done)
}

/// The scope of a run, with a name in `< >` where only the run knows a value.
fn scope(aim: &Aim, env: &Env) -> Scope {
    let (plan, dir, params) = (aim.checked.plan(), aim.checked.dir(), aim.params.clone());
    let later = |path: &str| Value::Text(format!("<{path}>"));
    let map = |root: &str, names: &[&str]| {
        Value::Map(names.iter().map(|n| ((*n).to_owned(), later(&format!("{root}.{n}")))).collect())
    };
    let hidden: Vec<&str> = plan.secrets.iter().filter_map(|(_, s)| s.env.as_deref()).collect();
    let variables = env.iter().map(|(name, value)| {
        let secret = hidden.contains(&name.as_str());
        (name.clone(), if secret { Value::Secret(Secret::sealed()) } else { Value::Text(value.clone()) })
    });
    let mut plan_map = vec![("name".to_owned(), Value::Text(plan.name.clone()))];
    plan_map.push(("dir".to_owned(), Value::Text(dir.to_string_lossy().into_owned())));
    let secrets = plan.secrets.names().map(|n| (n.to_owned(), Value::Secret(Secret::sealed())));
    let mut scope = Scope::from(vec![
        ("params".to_owned(), Value::Map(params)),
        ("env".to_owned(), Value::Map(variables.collect())),
        ("secrets".to_owned(), Value::Map(secrets.collect())),
        ("plan".to_owned(), Value::Map(plan_map)),
        ("run".to_owned(), map("run", &["id", "started_at", "host", "log_dir", "log_file"])),
        ("failure".to_owned(), map("failure", &["kind", "step", "error"])),
        ("steps".to_owned(), Value::Unknown),
        ("vars".to_owned(), Value::Map(Map::new())),
    ]);
    if plan.targets.is_some() {
        let target = aim.target.as_ref().map_or(Value::Unknown, |name| {
            let name = ("name".to_owned(), Value::Text(name.clone()));
            Value::Map(vec![name, ("labels".to_owned(), Value::Map(aim.labels.clone()))])
        });
        scope.roots.push(("target".to_owned(), target));
    }
    // Each after what it reads: what reads something that is not there yet has its turn in a later round.
    let mut open: Vec<Option<&String>> = std::iter::once(None).chain(plan.vars.keys().map(Some)).collect();
    while !open.is_empty() {
        let before = open.len();
        open.retain(|name| {
            let json = name.map_or_else(|| plan.database.clone().into(), |n| plan.vars[n].clone());
            let Ok(value) = template::render_json(&json, &scope) else { return true };
            match name {
                None => match plan::resolve_database(value, env, dir) {
                    Ok(database) => scope.roots.push(("database".to_owned(), database)),
                    Err(_) => scope.roots.push(("database".to_owned(), Value::Unknown)),
                },
                Some(name) => {
                    if let Some((_, Value::Map(vars))) = scope.roots.iter_mut().find(|(k, _)| k == "vars") {
                        vars.push(((*name).clone(), value));
                    }
                }
            }
            false
        });
        if open.len() == before {
            break;
        }
    }
    for name in open {
        match name {
            None => scope.roots.push(("database".to_owned(), Value::Unknown)),
            Some(name) => {
                if let Some((_, Value::Map(vars))) = scope.roots.iter_mut().find(|(k, _)| k == "vars") {
                    vars.push((name.clone(), Value::Unknown));
                }
            }
        }
    }
    scope
}

struct Page<'a> {
    sources: &'a Sources,
    root: &'a Node,
    /// The target that the plan is shown for.
    target: Option<&'a Node>,
    /// What stands at the left, and where it came from.
    lines: Vec<(String, String)>,
}

impl Page<'_> {
    fn plan(&mut self, aim: &Aim, scope: &Scope, env: &Env, args: &ShowArgs) {
        let plan = aim.checked.plan();
        self.value("", "name", &plan.name.as_str().into(), &self.at("/name"));
        if let Some(name) = &aim.target {
            let from = self.target.map_or_else(String::new, |t| self.place(t.span));
            self.value("", "target", &Value::Text(name.clone()), &from);
            let labels = Value::Map(aim.labels.clone());
            if !aim.labels.is_empty() {
                self.value("  ", "labels", &labels, &self.of_target("/labels").unwrap_or_default());
            }
        }
        self.heading("params:", plan.params.iter().next().is_some());
        let given: Vec<&str> = args.aim.param.iter().filter_map(|p| p.split('=').next()).collect();
        for (name, param) in plan.params.iter() {
            let value = scope.roots.iter().find(|(k, _)| k == "params").and_then(|(_, p)| p.get(name)).cloned();
            let value = value.unwrap_or(Value::Unknown);
            let from = if given.contains(&name) {
                "-p".to_owned()
            } else if let Some(at) = self.of_target(&format!("/params/{}", escaped(name))).filter(|_| {
                let own = self.target.and_then(|t| t.get("params")).and_then(|p| p.get(name));
                own.is_some_and(|own| Value::from(&own.to_json()) == value)
            }) {
                format!("target, {at}")
            } else if param.default.as_ref().is_some_and(|d| Value::from(d) == value) {
                format!("default, {}", self.at(&format!("/params/{}/default", escaped(name))))
            } else {
                args.aim.params_file.as_ref().map_or_else(String::new, |f| f.display().to_string())
            };
            self.value("  ", name, &value, &from);
        }
        self.heading("secrets:", plan.secrets.iter().next().is_some());
        for (name, source) in plan.secrets.iter() {
            let kind = match (&source.env, &source.file) {
                (Some(variable), _) => format!("env {variable}"),
                (_, Some(_)) => "file".to_owned(),
                _ => "command".to_owned(),
            };
            let from = format!("{kind}, {}", self.at(&format!("/secrets/{}", escaped(name))));
            self.value("  ", name, &Value::Secret(Secret::sealed()), &from);
        }
        self.database(scope, env);
        self.heading("vars:", !plan.vars.is_empty());
        for (name, json) in &plan.vars {
            let value = if args.resolved { render(json, scope) } else { Value::from(json) };
            let from = self.at(&format!("/vars/{}", escaped(name)));
            self.value("  ", name, &value, &from);
        }
        let lists = [
            ("steps", &plan.steps),
            ("on_failure", &plan.on_failure),
            ("on_success", &plan.on_success),
            ("finally", &plan.finally),
        ];
        for (section, steps) in lists {
            self.heading(&format!("{section}:"), !steps.is_empty());
            for (index, step) in steps.iter().enumerate() {
                self.step(aim, step, &format!("/{section}/{index}"), scope, args.resolved);
            }
        }
    }

    fn database(&mut self, scope: &Scope, env: &Env) {
        let Some((_, Value::Map(settings))) = scope.roots.iter().find(|(k, _)| k == "database") else { return };
        self.heading("database:", true);
        for (key, value) in settings {
            let pointer = format!("/database/{key}");
            let variable = VARIABLES.iter().find(|(k, _)| k == key).map(|(_, v)| *v);
            let from = if let Some(at) = self.of_target(&pointer) {
                format!("target, {at}")
            } else if self.root.at(&pointer).is_some() {
                self.at(&pointer)
            } else if let Some(set) = variable.filter(|v| env.get(*v).is_some_and(|t| !t.is_empty())) {
                format!("env {set}")
            } else {
                "default".to_owned()
            };
            self.value("  ", key, value, &from);
        }
    }

    fn step(&mut self, aim: &Aim, step: &StepPlan, pointer: &str, scope: &Scope, resolved: bool) {
        let label = step.id.as_ref().or(step.name.as_ref()).map_or_else(String::new, |l| format!("{l}, "));
        self.lines.push((format!("  - {label}uses {}", step.uses), self.at(pointer)));
        if let Some(When::Expression(when)) = &step.when {
            let now = template::parse_expression(when).and_then(|e| e.eval(scope));
            let value = match now {
                Ok(Value::Bool(truth)) if resolved => format!("{when} (is {truth})"),
                _ => when.clone(),
            };
            let from = self.at(&format!("{pointer}/when"));
            self.value("      ", "when", &Value::Text(value), &from);
        }
        let plan = aim.checked.plan();
        let entry = REGISTRY.get(&step.uses).filter(|_| resolved);
        let shown = |key: &String, json: &serde_json::Value| {
            let Some(entry) = entry else { return Value::from(json) };
            let mut one = Value::Map(vec![(key.clone(), render(json, scope))]);
            // What only a shell expands has its finding.
            let _ = crate::run::anchor_paths(entry, &mut one, aim.checked.dir());
            one.get(key).cloned().unwrap_or(Value::Null)
        };
        for (key, json) in &step.params {
            let from = self.at(&format!("{pointer}/with/{}", escaped(key)));
            self.value("      ", key, &shown(key, json), &from);
        }
        let defaults = plan.defaults.get(&step.uses);
        for (key, json) in defaults.into_iter().flatten().filter(|(k, _)| !step.params.contains_key(*k)) {
            let from = format!("defaults, {}", self.at(&format!("/defaults/{}/{}", step.uses, escaped(key))));
            self.value("      ", key, &shown(key, json), &from);
        }
        let schema = REGISTRY.get(&step.uses).map(|e| e.params().to_value()).unwrap_or_default();
        for (key, field) in schema.get("properties").and_then(|p| p.as_object()).into_iter().flatten() {
            let there = step.params.contains_key(key) || defaults.is_some_and(|d| d.contains_key(key));
            if let Some(default) = field.get("default").filter(|d| !there && !d.is_null() && key != "database") {
                self.value("      ", key, &Value::from(default), "default");
            }
        }
    }

    /// A line for a value, or one for each of its entries.
    fn value(&mut self, indent: &str, key: &str, value: &Value, from: &str) {
        match value {
            Value::Map(entries) if !entries.is_empty() => {
                self.lines.push((format!("{indent}{key}:"), String::new()));
                for (name, value) in entries {
                    self.value(&format!("{indent}  "), name, value, from);
                }
            }
            // One that stands in the plan for all to read need not be shown to more people.
            Value::Text(text) if key == "password" && !text.contains("${{") => {
                self.lines.push((format!("{indent}{key}: {MASK}"), from.to_owned()));
            }
            _ => self.lines.push((format!("{indent}{key}: {}", plain(value)), from.to_owned())),
        }
    }

    fn heading(&mut self, text: &str, shown: bool) {
        if shown {
            self.lines.push((text.to_owned(), String::new()));
        }
    }

    /// Where a key or value stands, as `file:line`.
    fn at(&self, pointer: &str) -> String {
        self.root.at(pointer).map_or_else(String::new, |(node, key)| self.place(key.unwrap_or(node.span)))
    }

    /// The same below the target; none when it does not say that.
    fn of_target(&self, pointer: &str) -> Option<String> {
        self.target?.at(pointer).map(|(node, key)| self.place(key.unwrap_or(node.span)))
    }

    fn place(&self, span: Span) -> String {
        let place = self.sources.place(span);
        format!("{}:{}", place.file, place.line)
    }

    /// The targets by name.
    fn targets(&mut self, items: &[Node]) {
        self.heading("targets:", !items.is_empty());
        for item in items {
            let name = item.get("name").and_then(Node::text).unwrap_or_default();
            let about = item.get("description").and_then(Node::text).map(|d| format!(": {d}")).unwrap_or_default();
            self.lines.push((format!("  - {name}{about}"), self.place(item.span)));
        }
    }

    fn text(&self) -> String {
        let width = self.lines.iter().map(|(l, _)| l.chars().count()).filter(|w| *w <= 60).max().unwrap_or(0);
        let line = |(left, from): &(String, String)| {
            if from.is_empty() { format!("{left}\n") } else { format!("{left:<width$}  # {from}\n") }
        };
        self.lines.iter().map(line).collect()
    }
}

/// What a template gives as far as it is known; a secret stays closed.
fn render(json: &serde_json::Value, scope: &Scope) -> Value {
    match json {
        serde_json::Value::Object(map) => Value::Map(map.iter().map(|(k, v)| (k.clone(), render(v, scope))).collect()),
        serde_json::Value::Array(items) => Value::List(items.iter().map(|i| render(i, scope)).collect()),
        _ => template::render_json(json, scope).unwrap_or(Value::Unknown),
    }
}

/// A value in one line.
fn plain(value: &Value) -> String {
    match value {
        Value::Text(text) if text.is_empty() => "\"\"".to_owned(),
        Value::Text(text) => text.escape_debug().to_string().replace("\\'", "'").replace("\\\"", "\""),
        Value::Unknown => AT_RUN_TIME.to_owned(),
        other => {
            let json = other.to_json();
            json.as_str().map_or_else(|| json.to_string(), str::to_owned)
        }
    }
}

/// A name as part of a JSON pointer.
fn escaped(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}
