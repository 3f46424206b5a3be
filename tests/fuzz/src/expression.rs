//! Any text is a template or has a problem in it; what is inferred is what is given; no secret comes out as plain text.

use std::collections::BTreeMap;
use std::ops::Range;

use runplan::secret::Secret;
use runplan::template::{self, Expression, Problem, Scope, Template, Type};
use runplan::value::{Map, Value};

/// Found nowhere else, so that it is known wherever it comes out.
const SECRET: &str = "hunter22-Zq";

fn values() -> Map {
    let map = |entries: Vec<(&str, Value)>| entries.into_iter().map(|(k, v)| (k.to_owned(), v)).collect::<Map>();
    let list = |items: &[&str]| Value::List(items.iter().map(|i| Value::from(*i)).collect());
    let secret = || Value::Secret(Secret::new(SECRET));
    map(vec![
        (
            "params",
            Value::Map(map(vec![
                ("keep", Value::Int(5)),
                ("share", Value::Float(0.5)),
                ("dir", "backups".into()),
                ("full", Value::Bool(true)),
                ("tables", list(&["a", "public.b"])),
                ("numbers", Value::List(vec![Value::Int(1), Value::Int(2)])),
            ])),
        ),
        ("secrets", Value::Map(map(vec![("zip", secret()), ("sealed", Value::Secret(Secret::sealed()))]))),
        (
            "vars",
            Value::Map(map(vec![
                ("login", Value::Map(map(vec![("user", "me".into()), ("password", secret())]))),
                ("several", Value::List(vec!["x".into(), secret()])),
            ])),
        ),
        (
            "run",
            Value::Map(map(vec![("id", "20261122T213000Z-1".into()), ("started_at", "2026-11-22T21:30:00Z".into())])),
        ),
        ("env", Value::Map(map(vec![("HOME", "/root".into())]))),
        ("later", Value::Map(map(vec![("bytes", Value::Unknown)]))),
    ])
}

fn type_of(value: &Value) -> Type {
    match value {
        Value::Null => Type::Null,
        Value::Bool(_) => Type::Bool,
        Value::Int(_) => Type::Int,
        Value::Float(_) => Type::Float,
        Value::Text(_) => Type::Text,
        Value::List(items) => Type::List(Box::new(items.iter().map(type_of).reduce(Type::or).unwrap_or(Type::Any))),
        Value::Map(map) => Type::Map(map.iter().map(|(k, v)| (k.clone(), type_of(v))).collect()),
        Value::Secret(_) => Type::Secret,
        Value::Unknown => Type::Any,
    }
}

/// What must hold for any text.
pub fn holds(text: &str) {
    let scope = Scope::from(values());
    let mut types: BTreeMap<String, Type> = scope.roots.iter().map(|(k, v)| (k.clone(), type_of(v))).collect();
    types.insert("env".to_owned(), Type::Open(Box::new(Type::Text)));
    let types = Type::Map(types);
    match template::parse(text) {
        Ok(template) => {
            template.expressions().for_each(|e| named(text, e));
            let found = template.infer(&types);
            judge(text, template.expressions(), found, template.render(&scope), &types);
            whole(text, &template);
        }
        Err(problems) => {
            assert!(!problems.is_empty());
            problems.iter().for_each(|p| said(text, p));
        }
    }
    match template::parse_expression(text) {
        Ok(expression) => {
            named(text, &expression);
            let found = expression.infer(&types);
            judge(text, std::iter::once(&expression), found, expression.eval(&scope), &types);
            drop(expression.constant());
        }
        Err(problem) => said(text, &problem),
    }
    drop(template::render_json(&serde_json::Value::from(text), &scope));
}

fn piece(text: &str, range: &Range<usize>) {
    assert!(text.get(range.clone()).is_some(), "{range:?} is no piece of the text");
}

fn said(text: &str, problem: &Problem) {
    piece(text, &problem.range);
    assert!(!problem.message.is_empty());
    let words = problem.message.clone() + problem.help.as_deref().unwrap_or_default();
    assert!(text.contains(SECRET) || !words.contains(SECRET), "a secret is said: {words}");
}

fn named(text: &str, expression: &Expression) {
    piece(text, &expression.range);
    for name in expression.names() {
        piece(text, &name.range);
        name.ranges.iter().for_each(|r| piece(text, r));
        assert_eq!(name.path.len(), name.ranges.len());
    }
}

/// A text without an expression gives itself.
fn whole(text: &str, template: &Template) {
    if template.is_plain() {
        assert_eq!(template.render(&Scope::default()), Ok(Value::from(text)));
    }
}

fn judge<'e>(
    text: &str,
    mut expressions: impl Iterator<Item = &'e Expression>,
    (found, problems): (Type, Vec<Problem>),
    given: Result<Value, Problem>,
    types: &Type,
) {
    problems.iter().for_each(|p| said(text, p));
    match &given {
        Ok(value) => assert!(text.contains(SECRET) || !shows(value), "a secret comes out"),
        Err(problem) => said(text, problem),
    }
    let all_there = expressions.all(|e| e.names().iter().all(|n| exists(&n.path, types)));
    let (Ok(value), true, true) = (given, problems.is_empty(), all_there) else { return };
    if has_secret(&value) {
        assert!(found.has_secret(), "inferred {}, found a secret", found.name());
    } else if !found.has_secret() {
        assert!(of_type(&value, &found), "inferred {}, found {value:?}", found.name());
    }
}

/// Whoever checks names looks at those that are written out.
fn exists(path: &[String], types: &Type) -> bool {
    let mut here = types;
    for segment in path {
        here = match here {
            Type::Map(map) => match map.get(segment) {
                Some(next) => next,
                None => return false,
            },
            Type::Open(values) => values,
            _ => return true,
        };
    }
    true
}

fn shows(value: &Value) -> bool {
    match value {
        Value::Text(text) => text.contains(SECRET),
        Value::List(items) => items.iter().any(shows),
        Value::Map(map) => map.iter().any(|(k, v)| k.contains(SECRET) || shows(v)),
        _ => false,
    }
}

fn has_secret(value: &Value) -> bool {
    match value {
        Value::Secret(_) => true,
        Value::List(items) => items.iter().any(has_secret),
        Value::Map(map) => map.iter().any(|(_, v)| has_secret(v)),
        _ => false,
    }
}

fn of_type(value: &Value, found: &Type) -> bool {
    match (found, value) {
        (Type::Any, _) | (_, Value::Unknown) => true,
        (Type::Either(all), _) => all.iter().any(|t| of_type(value, t)),
        (Type::Null, Value::Null)
        | (Type::Bool, Value::Bool(_))
        | (Type::Int, Value::Int(_))
        | (Type::Text, Value::Text(_))
        // Of a fraction and an integer the type is a number, and the value may be either.
        | (Type::Float, Value::Float(_) | Value::Int(_)) => true,
        (Type::List(inner), Value::List(items)) => items.iter().all(|i| of_type(i, inner)),
        (Type::Map(types), Value::Map(map)) => map.iter().all(|(k, v)| types.get(k).is_some_and(|t| of_type(v, t))),
        (Type::Open(inner), Value::Map(map)) => map.iter().all(|(_, v)| of_type(v, inner)),
        _ => false,
    }
}
