//! `${{ … }}`: parse, list the names read, infer the type, render; the scope a template may see.
//!
//! A text is cut into plain pieces and expressions by a scanner that knows string literals, so `{{ }}`, `{% %}` and
//! `{# #}` are plain text. Expressions are parsed by minijinja's parser into a tree of our own and evaluated here: that
//! way a secret taints what is made from it, a missing name is an error, and values of different types never compare as
//! merely unequal. What a template gives is never parsed again.

mod eval;
mod filters;
mod infer;
mod syntax;

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;

use crate::secret::{MASK, Secret};
use crate::value::{AT_RUN_TIME, Map, Value};

pub use filters::{FILTERS, TESTS};
pub use syntax::{parse, parse_expression};

use syntax::{Ast, Kind};

/// The largest value that a template gives, in bytes of text and items: values that read each other several times would
/// soon fill any memory.
pub const MAX_SIZE: usize = 1 << 20;

/// A text with expressions in it.
#[derive(Debug, Clone)]
pub struct Template {
    parts: Vec<Part>,
}

/// A piece of a template.
#[derive(Debug, Clone)]
enum Part {
    Text(String),
    Expression(Expression),
}

/// One expression, parsed.
#[derive(Debug, Clone)]
pub struct Expression {
    /// Byte range of the expression itself in the text that was parsed.
    pub range: Range<usize>,
    ast: Ast,
}

/// What is wrong with an expression; ranges are bytes of the text that was parsed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    pub kind: ProblemKind,
    pub message: String,
    pub help: Option<String>,
    pub range: Range<usize>,
    /// A text that, in place of the range, mends it.
    pub replacement: Option<String>,
}

/// What kind of problem it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProblemKind {
    /// It does not parse.
    Syntax,
    /// A filter, function or test that does not exist, or wrong arguments of one.
    Call,
    /// A name that does not exist.
    Name,
    /// Types that do not go together.
    Type,
}

impl Problem {
    fn new(kind: ProblemKind, range: &Range<usize>, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), help: None, range: range.clone(), replacement: None }
    }

    fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    fn mend(mut self, replacement: impl Into<String>) -> Self {
        self.replacement = Some(replacement.into());
        self
    }
}

/// A name that an expression reads: `steps.dump.outputs.path` is four segments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Name {
    pub path: Vec<String>,
    /// Where each segment stands; same length as `path`.
    pub ranges: Vec<Range<usize>>,
    /// The whole name.
    pub range: Range<usize>,
    /// The name stands under `default` or `is defined`, so it may be missing.
    pub defaulted: bool,
}

/// The type of a value, as far as it is known before the run.
#[derive(Debug, Clone, PartialEq)]
pub enum Type {
    /// Not known.
    Any,
    Null,
    Bool,
    Int,
    Float,
    Text,
    List(Box<Type>),
    /// A map with just these keys.
    Map(BTreeMap<String, Type>),
    /// A map with any keys, all of one type.
    Open(Box<Type>),
    Secret,
    /// One of several, like the two sides of an `if`.
    Either(Vec<Type>),
}

impl Type {
    /// The type as a message names it.
    pub fn name(&self) -> String {
        match self {
            Self::Any => "any value".to_owned(),
            Self::Null => "null".to_owned(),
            Self::Bool => "a boolean".to_owned(),
            Self::Int => "an integer".to_owned(),
            Self::Float => "a number".to_owned(),
            Self::Text => "a text".to_owned(),
            Self::List(items) if **items == Self::Any => "a list".to_owned(),
            Self::List(items) => {
                let item = items.name();
                let item = item.trim_start_matches("a ").trim_start_matches("an ");
                format!("a list of {item}s")
            }
            Self::Map(_) | Self::Open(_) => "a map".to_owned(),
            Self::Secret => "a secret".to_owned(),
            Self::Either(all) => all.iter().map(Self::name).collect::<Vec<_>>().join(" or "),
        }
    }
}

/// The values that templates may read, a map of roots: `params`, `vars`, `steps`, …
#[derive(Debug, Clone, Default)]
pub struct Scope {
    pub roots: Map,
    /// Where each step is in the root `steps`, which may have many.
    places: HashMap<String, usize>,
}

impl From<Map> for Scope {
    fn from(roots: Map) -> Self {
        Self { roots, places: HashMap::new() }
    }
}

impl Scope {
    fn root(&self, name: &str) -> Option<&Value> {
        self.roots.iter().find(|(k, _)| k == name).map(|(_, v)| v)
    }

    /// An entry of the root `steps`.
    fn step<'s>(&self, steps: &'s Map, id: &str) -> Option<&'s Value> {
        let placed = self.places.get(id).and_then(|at| steps.get(*at));
        placed.filter(|(k, _)| k == id).or_else(|| steps.iter().find(|(k, _)| k == id)).map(|(_, v)| v)
    }

    /// Puts an entry into the root `steps`, in place of the one of that name.
    pub fn set_step(&mut self, id: &str, entry: Value) {
        let Some((_, Value::Map(steps))) = self.roots.iter_mut().find(|(k, _)| k == "steps") else { return };
        // Whoever puts another map there knows nothing of the places.
        let stale = self.places.get(id).is_some_and(|at| steps.get(*at).is_none_or(|(k, _)| k != id));
        if stale || self.places.len() != steps.len() {
            self.places = steps.iter().enumerate().map(|(at, (k, _))| (k.clone(), at)).collect();
        }
        match self.places.get(id).and_then(|at| steps.get_mut(*at)) {
            Some(place) => place.1 = entry,
            None => {
                self.places.insert(id.to_owned(), steps.len());
                steps.push((id.to_owned(), entry));
            }
        }
    }
}

impl Template {
    /// The expressions in it.
    pub fn expressions(&self) -> impl Iterator<Item = &Expression> {
        self.parts.iter().filter_map(|p| match p {
            Part::Expression(e) => Some(e),
            Part::Text(_) => None,
        })
    }

    /// Whether it has no expression at all.
    pub fn is_plain(&self) -> bool {
        self.expressions().next().is_none()
    }

    /// The expression, when the whole text is one.
    pub fn whole(&self) -> Option<&Expression> {
        match self.parts.as_slice() {
            [Part::Expression(expression)] => Some(expression),
            _ => None,
        }
    }

    /// The type of what it gives, and what is wrong with the types in it. A name that `scope` does not have is of any
    /// type: whoever checks [`Expression::names`] reports it.
    pub fn infer(&self, scope: &Type) -> (Type, Vec<Problem>) {
        if let Some(expression) = self.whole() {
            return expression.infer(scope);
        }
        let mut result = Type::Text;
        let mut problems = Vec::new();
        for expression in self.expressions() {
            let (found, mut more) = expression.infer(scope);
            problems.append(&mut more);
            for found in found.alternatives() {
                match found {
                    Type::Secret => result = Type::Secret,
                    Type::Bool | Type::Null | Type::List(_) | Type::Map(_) | Type::Open(_) => {
                        problems.push(into_text(&found.name(), &expression.range, matches!(found, Type::List(_))));
                    }
                    Type::Any | Type::Int | Type::Float | Type::Text | Type::Either(_) => {}
                }
            }
        }
        (result, problems)
    }

    /// The value it gives.
    ///
    /// # Errors
    /// A missing name, types that do not go together.
    pub fn render(&self, scope: &Scope) -> Result<Value, Problem> {
        if let Some(expression) = self.whole() {
            return expression.eval(scope);
        }
        // The second is what may be shown of the first.
        let (mut text, mut shown) = (String::new(), String::new());
        let (mut secret, mut sealed, mut unknown) = (false, false, false);
        for part in &self.parts {
            let expression = match part {
                Part::Text(plain) => {
                    text += plain;
                    shown += plain;
                    continue;
                }
                Part::Expression(expression) => expression,
            };
            let mut before = text.len();
            match expression.eval(scope)? {
                Value::Text(piece) => text += &piece,
                Value::Int(number) => text += &number.to_string(),
                Value::Float(number) => text += &number.to_string(),
                Value::Secret(piece) => {
                    secret = true;
                    shown += piece.shown().unwrap_or(MASK);
                    match piece.expose() {
                        Some(piece) => text += piece,
                        None => sealed = true,
                    }
                    before = text.len();
                }
                Value::Unknown => {
                    unknown = true;
                    text += AT_RUN_TIME;
                }
                other => return Err(into_text(other.kind(), &expression.range, matches!(other, Value::List(_)))),
            }
            shown += &text[before..];
            if text.len() > MAX_SIZE {
                return Err(Problem::new(ProblemKind::Type, &expression.range, "the text becomes longer than 1 MiB"));
            }
        }
        Ok(match (secret, sealed, unknown) {
            (true, true, _) | (true, _, true) => Value::Secret(Secret::sealed().showing(&shown)),
            (true, false, false) => Value::Secret(Secret::new(text).showing(&shown)),
            (false, _, true) => Value::Unknown,
            _ => Value::Text(text),
        })
    }
}

/// The problem of a value that has no one spelling as text.
fn into_text(kind: &str, range: &Range<usize>, list: bool) -> Problem {
    let problem = Problem::new(ProblemKind::Type, range, format!("{kind} cannot be put into a text"));
    if list { problem.help("join it: `${{ … | join(\",\") }}`") } else { problem }
}

impl Expression {
    /// Every name it reads, as far as it is written out.
    pub fn names(&self) -> Vec<Name> {
        let mut names = Vec::new();
        collect(&self.ast, false, &mut names);
        names
    }

    /// The type of what it gives, and what is wrong with the types in it.
    pub fn infer(&self, scope: &Type) -> (Type, Vec<Problem>) {
        let mut problems = Vec::new();
        let found = infer::infer(&self.ast, scope, &mut problems);
        (found, problems)
    }

    /// The value it gives.
    ///
    /// # Errors
    /// A missing name, types that do not go together.
    pub fn eval(&self, scope: &Scope) -> Result<Value, Problem> {
        // A secret that is only named stays as it is, with what may be shown of it.
        if let Some(secret) = self.named_secret(scope) {
            return Ok(secret);
        }
        let value = eval::eval(&self.ast, scope)?.into_value();
        let fits = value.size() <= MAX_SIZE;
        if fits {
            Ok(value)
        } else {
            Err(Problem::new(ProblemKind::Type, &self.range, "the value becomes larger than 1 MiB"))
        }
    }

    fn named_secret(&self, scope: &Scope) -> Option<Value> {
        let found = eval::named(&self.ast, scope).ok().flatten()?;
        matches!(found, Value::Secret(_)).then(|| found.clone())
    }

    /// The value of an expression that reads no name, such as `1 < 2`; none for all others.
    pub fn constant(&self) -> Option<Value> {
        if self.names().is_empty() { self.eval(&Scope::default()).ok() } else { None }
    }
}

/// The path of a chain of names, as far as it is written out.
fn path(ast: &Ast) -> Option<(Vec<String>, Vec<Range<usize>>)> {
    match &ast.kind {
        Kind::Var(name) => Some((vec![name.clone()], vec![ast.range.clone()])),
        Kind::Attr(of, name, range) => {
            let (mut names, mut ranges) = path(of)?;
            names.push(name.clone());
            ranges.push(range.clone());
            Some((names, ranges))
        }
        Kind::Item(of, index) => match &index.kind {
            Kind::Const(Value::Text(name)) => {
                let (mut names, mut ranges) = path(of)?;
                names.push(name.clone());
                ranges.push(index.range.clone());
                Some((names, ranges))
            }
            _ => None,
        },
        _ => None,
    }
}

fn collect(ast: &Ast, defaulted: bool, names: &mut Vec<Name>) {
    if let Some((path, ranges)) = path(ast) {
        names.push(Name { path, ranges, range: ast.range.clone(), defaulted });
        return;
    }
    match &ast.kind {
        Kind::Filter(name, of, arguments) => {
            collect(of, defaulted || name == "default", names);
            arguments.iter().for_each(|(_, a)| collect(a, defaulted, names));
        }
        // `is none` reads the value, which must be there.
        Kind::Test(name, of, _) => collect(of, defaulted || name == "defined", names),
        _ => ast.children().for_each(|child| collect(child, defaulted, names)),
    }
}

/// Renders every text leaf of a JSON value, once; keys are left as they are.
///
/// # Errors
/// The first problem, with the JSON pointer of the leaf.
pub fn render_json(json: &serde_json::Value, scope: &Scope) -> Result<Value, (String, Problem)> {
    match json {
        serde_json::Value::String(text) if text.contains("${{") => {
            let template = parse(text).map_err(|mut p| (String::new(), p.remove(0)))?;
            template.render(scope).map_err(|p| (String::new(), p))
        }
        serde_json::Value::Array(items) => {
            let mut size = 0;
            let items = items.iter().enumerate().map(|(i, v)| below(&i.to_string(), part(v, scope, &mut size)));
            Ok(Value::List(items.collect::<Result<_, _>>()?))
        }
        serde_json::Value::Object(map) => {
            let mut size = 0;
            let entries = map.iter().map(|(k, v)| Ok((k.clone(), below(k, part(v, scope, &mut size))?)));
            Ok(Value::Map(entries.collect::<Result<_, _>>()?))
        }
        other => Ok(Value::from(other)),
    }
}

/// One of the parts of a value, with what all of them are in size so far.
fn part(json: &serde_json::Value, scope: &Scope, size: &mut usize) -> Result<Value, (String, Problem)> {
    let value = render_json(json, scope)?;
    *size += value.size();
    let problem = || Problem::new(ProblemKind::Type, &(0..0), "the value becomes larger than 1 MiB");
    if *size <= MAX_SIZE { Ok(value) } else { Err((String::new(), problem())) }
}

fn below(key: &str, result: Result<Value, (String, Problem)>) -> Result<Value, (String, Problem)> {
    result.map_err(|(at, problem)| (format!("/{}{at}", key.replace('~', "~0").replace('/', "~1")), problem))
}

#[cfg(test)]
mod tests;
