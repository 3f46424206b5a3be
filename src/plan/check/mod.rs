//! Everything that can be known of a plan without running it.
//!
//! The order is YAML, structure, the parameters by the schema of the executor that `uses` names, then names and types,
//! then what is allowed and doubtful all the same. The schemas are walked over the nodes themselves, so that every finding
//! has its exact place, and a misspelt key is one finding, not two: its value is checked as that of the key that was meant.

mod archives;
pub mod codes;
mod database;
pub mod explain;
mod fits;
mod foresee;
mod inputs;
mod kinds;
mod lint;
mod names;
mod order;
mod places;
mod secrecy;
mod shape;
mod steps;
mod targets;
#[cfg(test)]
mod tests;

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::rc::Rc;

use sha2::{Digest, Sha256};

use crate::diag::{Code, Finding, Severity, SourceId, Sources, Span};
use crate::document::{Document, Kind, Node};
use crate::plan::schema::Schemas;
use crate::plan::{Checked, Input, Outcome, Plan, paths};
use crate::step::Registry;
use crate::template::{self, Expression, Problem, Template, Type};

use codes::{VERSION, WRONG_TYPE, WRONG_VALUE};
use shape::{Rules, What};
use steps::StepAt;

/// Checks a plan.
pub fn check(input: Input, registry: &Registry) -> Outcome {
    let mut sources = Sources::default();
    let source = sources.add(input.name.clone(), input.text.clone());
    let (document, mut findings) = Document::parse(source, &input.text);
    let schemas = Schemas::of(registry);
    let mut plan = None;
    if let Some(document) = &document {
        let included = targets::read(&document.root, &input.dir, &input.name, &mut sources, &mut findings);
        let base = Base {
            text: &input.text,
            source,
            root: &document.root,
            included: included.as_ref(),
            registry,
            schemas: &schemas,
            unclear: failed(&findings),
            dbname_in_env: input.dbname_in_env,
        };
        findings.append(&mut targets::check(base));
        if !failed(&findings) {
            let mut json = document.root.to_json();
            if let Some(map) = json.as_object_mut() {
                map.retain(|k, _| !k.starts_with("x-"));
            }
            if let Some(included) = &included {
                json["targets"]["list"] = included.root.to_json();
            }
            match serde_json::from_value::<Plan>(json) {
                Ok(mut read) => {
                    let folder = included.as_ref().map_or(&input.dir, |i| &i.dir);
                    match paths::anchor(&mut read, &input.dir, folder) {
                        Ok(()) => plan = Some(read),
                        Err(problem) => findings.push(Finding::error(WRONG_VALUE, document.root.span, problem)),
                    }
                }
                Err(error) => findings.push(Finding::error(WRONG_VALUE, document.root.span, error.to_string())),
            }
        }
    }
    let failed = failed(&findings);
    findings.sort_by(|a, b| (a.span, a.code, &a.message).cmp(&(b.span, b.code, &b.message)));
    // A default is read by every step that uses it, and said once.
    findings.dedup_by(|a, b| (a.span, a.code, &a.message) == (b.span, b.code, &b.message));
    let digests = || sources.iter().map(|(_, s)| (s.name.clone(), digest(&s.text))).collect();
    let checked =
        plan.filter(|_| !failed).map(|plan| Checked { plan, dir: input.dir, file: input.name, digests: digests() });
    Outcome { sources, findings, checked }
}

fn digest(text: &str) -> String {
    Sha256::digest(text.as_bytes()).iter().map(|b| format!("{b:02x}")).collect()
}

fn failed(findings: &[Finding]) -> bool {
    findings.iter().any(|f| f.severity == Severity::Error)
}

/// A text with templates, parsed once.
type Parsed = Rc<Result<Template, Vec<Problem>>>;

/// What is checked, and by what.
#[derive(Clone, Copy)]
struct Base<'a> {
    text: &'a str,
    source: SourceId,
    root: &'a Node,
    /// The file that `targets` names.
    included: Option<&'a targets::Included>,
    registry: &'a Registry,
    schemas: &'a Schemas,
    /// The text is not all that it was meant to be.
    unclear: bool,
    /// The environment names a database.
    dbname_in_env: bool,
}

struct Work<'a> {
    base: Base<'a>,
    root: &'a Node,
    registry: &'a Registry,
    schemas: &'a Schemas,
    /// The target that the plan is checked for.
    target: Option<&'a Node>,
    findings: RefCell<Vec<Finding>>,
    parsed: RefCell<HashMap<&'a str, Parsed>>,
    /// A map of the roots that templates may read where the walk has come to.
    scope: Type,
    /// The environment variables that secrets read.
    hidden: BTreeSet<&'a str>,
    steps: Vec<StepAt<'a>>,
    /// Each id with the place of its step in `steps`: the first one that has it.
    ids: HashMap<&'a str, usize>,
    usage: RefCell<Usage>,
    known: foresee::Known,
    /// Whether a text in the place of a secret is let pass in silence: in a program's environment most are none.
    literals: Cell<bool>,
}

/// What the templates of a plan read.
#[derive(Default)]
struct Usage {
    /// Root and name, like `params` and `keep`.
    names: HashSet<(String, String)>,
    /// Roots that are read as a whole, or by a name that is computed.
    whole: BTreeSet<String>,
    /// A template did not parse, so what it reads is not known.
    unclear: bool,
}

impl Usage {
    fn note(&mut self, expression: &Expression) {
        for name in expression.names() {
            let mut path = name.path.into_iter();
            match (path.next(), path.next()) {
                (Some(root), Some(entry)) => drop(self.names.insert((root, entry))),
                (Some(root), None) => drop(self.whole.insert(root)),
                _ => {}
            }
        }
    }

    fn reads(&self, root: &str, name: &str) -> bool {
        self.unclear || self.whole.contains(root) || self.names.contains(&(root.to_owned(), name.to_owned()))
    }
}

impl<'a> Work<'a> {
    fn new(base: Base<'a>, target: Option<&'a Node>) -> Self {
        Self {
            base,
            root: base.root,
            registry: base.registry,
            schemas: base.schemas,
            target,
            findings: RefCell::default(),
            parsed: RefCell::default(),
            scope: Type::Map(BTreeMap::new()),
            hidden: BTreeSet::new(),
            steps: Vec::new(),
            ids: HashMap::new(),
            usage: RefCell::new(Usage { unclear: base.unclear, ..Usage::default() }),
            known: foresee::Known::default(),
            literals: Cell::new(false),
        }
    }

    fn push(&self, finding: Finding) {
        self.findings.borrow_mut().push(finding);
    }

    fn error(&self, code: Code, span: Span, message: impl Into<String>) {
        self.push(Finding::error(code, span, message));
    }

    /// The text that a place lies in.
    fn text_of(&self, span: Span) -> &'a str {
        match self.base.included {
            Some(included) if span.source != self.base.source => &included.text,
            _ => self.base.text,
        }
    }

    /// The source as it is spelled at a place.
    fn spelled(&self, span: Span) -> &'a str {
        self.text_of(span).get(span.start..span.end).unwrap_or_default()
    }

    /// The template of a text.
    fn parse(&self, text: &'a str) -> Parsed {
        Rc::clone(self.parsed.borrow_mut().entry(text).or_insert_with(|| Rc::new(template::parse(text))))
    }

    /// The roots of the scope.
    fn roots(&mut self) -> &mut BTreeMap<String, Type> {
        if !matches!(self.scope, Type::Map(_)) {
            self.scope = Type::Map(BTreeMap::new());
        }
        match &mut self.scope {
            Type::Map(roots) => roots,
            _ => unreachable!("made a map above"),
        }
    }

    /// What is the same for every target. Gives whether there is more to be looked at.
    fn frame(&self) -> bool {
        let root = self.root;
        let Kind::Map(entries) = &root.kind else {
            let finding = Finding::error(WRONG_TYPE, root.span, format!("a plan is a map, found {}", root.kind_name()));
            self.push(finding.help("a plan begins with `version: 1` and `name: …`"));
            return false;
        };
        if let Some(version) = root.get("version")
            && let Kind::Int(number) = version.kind
            && number != 1
        {
            let finding =
                Finding::error(VERSION, version.span, format!("this runplan reads version 1, found {number}"));
            self.push(finding.help(if number > 1 { "take a newer runplan" } else { "write `version: 1`" }));
            // What a newer language means by its keys is not for this checker to say.
            if number > 1 {
                return false;
            }
        }
        let rules = Rules { top: true, ..Rules::plain() };
        self.keys(entries, &self.schemas.frame, root, What::Plan, rules);
        self.inputs();
        self.sources();
        self.targets();
        true
    }

    /// The names and types of a plan, for its target if it has one. A target that is surely not selected has none.
    fn plan(&mut self) -> bool {
        self.gather();
        self.use_of_names();
        self.ground();
        self.know_params();
        self.selection();
        if self.left_out() {
            return false;
        }
        self.order();
        self.outside_steps();
        self.walk_steps();
        self.lint();
        self.databases();
        self.places();
        self.secrecy();
        true
    }

    /// What every template of the plan reads.
    fn use_of_names(&mut self) {
        let mut usage = Usage { unclear: self.usage.borrow().unclear, ..Usage::default() };
        let outside = self.root.entries().iter().filter(|e| !e.key.starts_with("x-"));
        let included = self.base.included.map(|i| &i.root);
        for node in outside.map(|e| &e.value).chain(included) {
            leaves(node, &mut |text| match &*self.parse(text) {
                Ok(template) => template.expressions().for_each(|e| usage.note(e)),
                Err(_) => usage.unclear = true,
            });
        }
        let select = self.select().and_then(Node::text);
        for when in self.steps.iter().filter_map(|s| s.when.and_then(Node::text)).chain(select) {
            match template::parse_expression(names::bare(when).unwrap_or(when)) {
                Ok(expression) => usage.note(&expression),
                Err(_) => usage.unclear = true,
            }
        }
        *self.usage.get_mut() = usage;
    }
}

/// Calls `each` with every text below a node that holds a template.
fn leaves<'n>(node: &'n Node, each: &mut dyn FnMut(&'n str)) {
    match &node.kind {
        Kind::Text(text) if text.contains("${{") => each(text),
        Kind::List(items) => items.iter().for_each(|i| leaves(i, each)),
        Kind::Map(entries) => entries.iter().for_each(|e| leaves(&e.value, each)),
        _ => {}
    }
}
