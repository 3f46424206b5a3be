//! `${{ … }}`: parse, list the names read, infer the type, render; the scope a template may see.

use std::collections::BTreeMap;
use std::ops::Range;

use crate::value::Value;

/// A text with expressions in it.
#[derive(Debug, Clone)]
pub struct Template {
    parts: Vec<Part>,
}

/// A piece of a template.
#[derive(Debug, Clone)]
pub enum Part {
    Text(String),
    Expression(Expression),
}

/// One expression, parsed.
#[derive(Debug, Clone)]
pub struct Expression {
    /// Byte range of the expression itself in the text that was parsed.
    pub range: Range<usize>,
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

/// A name that an expression reads: `steps.dump.outputs.path` is four segments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Name {
    pub path: Vec<String>,
    /// Where each segment stands; same length as `path`.
    pub ranges: Vec<Range<usize>>,
    /// The whole name.
    pub range: Range<usize>,
    /// The name stands under `default`, so it may be missing.
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
}

/// The values that templates may read, a map of roots: `params`, `vars`, `steps`, …
#[derive(Debug, Clone, Default)]
pub struct Scope {
    pub roots: crate::value::Map,
}

/// Parses a text with `${{ … }}` in it.
///
/// # Errors
/// Every expression that does not parse.
pub fn parse(text: &str) -> Result<Template, Vec<Problem>> {
    let _ = text;
    Ok(Template { parts: Vec::new() })
}

/// Parses a bare expression, like a `when`.
///
/// # Errors
/// Why it does not parse.
pub fn parse_expression(text: &str) -> Result<Expression, Problem> {
    Ok(Expression { range: 0..text.len() })
}

impl Template {
    /// The expressions in it.
    pub fn expressions(&self) -> impl Iterator<Item = &Expression> {
        self.parts.iter().filter_map(|p| match p {
            Part::Expression(e) => Some(e),
            Part::Text(_) => None,
        })
    }

    /// The type of what it gives, and what is wrong with the types in it. Names that `scope` does not have are not
    /// reported here but by whoever checks [`Expression::names`].
    pub fn infer(&self, scope: &Type) -> (Type, Vec<Problem>) {
        let _ = scope;
        (Type::Any, Vec::new())
    }

    /// The value it gives.
    ///
    /// # Errors
    /// A missing name, types that do not go together.
    pub fn render(&self, scope: &Scope) -> Result<Value, Problem> {
        let _ = scope;
        Ok(Value::Null)
    }
}

impl Expression {
    /// Every name it reads, as far as it is written out.
    pub fn names(&self) -> Vec<Name> {
        Vec::new()
    }

    /// The type of what it gives.
    pub fn infer(&self, scope: &Type) -> (Type, Vec<Problem>) {
        let _ = scope;
        (Type::Any, Vec::new())
    }

    /// The value it gives.
    ///
    /// # Errors
    /// A missing name, types that do not go together.
    pub fn eval(&self, scope: &Scope) -> Result<Value, Problem> {
        let _ = scope;
        Ok(Value::Null)
    }
}

/// Renders every text leaf of a JSON value, once; keys are left as they are.
///
/// # Errors
/// The first problem, with the JSON pointer of the leaf.
pub fn render_json(json: &serde_json::Value, scope: &Scope) -> Result<Value, (String, Problem)> {
    let _ = scope;
    Ok(Value::from(json))
}
