//! The type of an expression before the run, and what in it cannot go together.
//!
//! As in the evaluator a secret is a text while one computes with it, and what is computed from one is closed again.

mod filter;
mod join;
mod lookup;
mod operate;

use std::collections::BTreeMap;

use super::syntax::{Ast, Kind, Op};
use super::{Problem, ProblemKind, Type};
use crate::value::Value;

use operate::{boolean, pair};

/// The type of a tree; problems are added as they are found, each once.
pub fn infer(ast: &Ast, scope: &Type, problems: &mut Vec<Problem>) -> Type {
    found(ast, scope, problems).closed()
}

/// A type, and whether a secret went into it.
#[derive(Debug, Clone)]
struct Found {
    kind: Type,
    secret: bool,
}

impl Found {
    fn plain(kind: Type) -> Self {
        Self { kind, secret: false }
    }

    /// Opens a secret, for computing with it.
    fn open(kind: Type) -> Self {
        if kind == Type::Secret { Self { kind: Type::Text, secret: true } } else { Self::plain(kind) }
    }

    /// The type as others see it.
    fn closed(self) -> Type {
        if self.secret { Type::Secret } else { self.kind }
    }

    fn tainted(self, by: bool) -> Self {
        Self { secret: self.secret || by, ..self }
    }

    fn or(self, other: Self) -> Self {
        Self::open(self.kind.or(other.kind)).tainted(self.secret || other.secret)
    }
}

/// A type as a message names it.
fn name(kind: &Type, secret: bool) -> String {
    if secret && *kind == Type::Text { Type::Secret.name() } else { kind.name() }
}

fn found(ast: &Ast, scope: &Type, problems: &mut Vec<Problem>) -> Found {
    match &ast.kind {
        Kind::Const(value) => Found::plain(of_value(value)),
        Kind::Var(_) | Kind::Attr(..) | Kind::Item(..) => lookup::look_up(ast, scope, problems).found(),
        Kind::Not(of) => boolean(of, scope, problems),
        Kind::Neg(of) => {
            let Found { kind, secret } = found(of, scope, problems);
            let kind = over(kind, problems, |kind, problems| match kind {
                kind @ (Type::Int | Type::Float | Type::Any) => kind,
                other => {
                    let message = format!("`-` takes a number, found {}", name(&other, secret));
                    problems.push(Problem::new(ProblemKind::Type, &of.range, message));
                    Type::Any
                }
            });
            Found { kind, secret }
        }
        Kind::Binary(Op::And | Op::Or, left, right) => {
            let (left, right) = (boolean(left, scope, problems), boolean(right, scope, problems));
            left.tainted(right.secret)
        }
        Kind::Binary(op, left, right) => {
            let (left, right) = (found(left, scope, problems), found(right, scope, problems));
            pair(*op, &left, &right, ast, problems)
        }
        Kind::Chain(first, rest) => {
            let mut left = found(first, scope, problems);
            let mut secret = false;
            for (op, right) in rest {
                let right = found(right, scope, problems);
                secret |= pair(*op, &left, &right, ast, problems).secret;
                left = right;
            }
            Found { kind: Type::Bool, secret }
        }
        Kind::If(test, yes, no) => {
            let test = boolean(test, scope, problems);
            let yes = found(yes, scope, problems);
            let no = no.as_ref().map_or(Found::plain(Type::Null), |n| found(n, scope, problems));
            yes.or(no).tainted(test.secret)
        }
        Kind::Filter(name, of, arguments) => filter::filter(name, of, arguments, ast, scope, problems),
        Kind::Test(name, of, _) => {
            // Only a name may be missing, and only where that is asked.
            let mut own = Vec::new();
            found(of, scope, &mut own);
            problems.extend(own.into_iter().filter(|p| name != "defined" || p.kind != ProblemKind::Name));
            Found::plain(Type::Bool)
        }
        Kind::List(items) => {
            let types: Vec<Type> = items.iter().map(|i| infer(i, scope, problems)).collect();
            Found::plain(Type::List(Box::new(types.into_iter().reduce(Type::or).unwrap_or(Type::Any))))
        }
        Kind::Map(entries) => {
            let mut named = Some(BTreeMap::new());
            let mut values = Type::Any;
            for (key, value) in entries {
                key_is_text(key, scope, problems);
                let value = infer(value, scope, problems);
                values = values.or(value.clone());
                match (&key.kind, &mut named) {
                    (Kind::Const(Value::Text(name)), Some(named)) => drop(named.insert(name.clone(), value)),
                    _ => named = None,
                }
            }
            Found::plain(named.map_or_else(|| Type::Open(Box::new(values)), Type::Map))
        }
    }
}

/// A key is seen wherever the map is, so it is no secret.
fn key_is_text(key: &Ast, scope: &Type, problems: &mut Vec<Problem>) {
    let key_type = infer(key, scope, problems);
    if let Some(odd) = key_type.alternatives().into_iter().find(|t| !matches!(t, Type::Text | Type::Any)) {
        let message = format!("a key is a text, found {}", odd.name());
        problems.push(Problem::new(ProblemKind::Type, &key.range, message));
    }
}

/// The type of a value that is at hand.
fn of_value(value: &Value) -> Type {
    match value {
        Value::Null => Type::Null,
        Value::Bool(_) => Type::Bool,
        Value::Int(_) => Type::Int,
        Value::Float(_) => Type::Float,
        Value::Text(_) => Type::Text,
        Value::List(items) => Type::List(Box::new(items.iter().map(of_value).reduce(Type::or).unwrap_or(Type::Any))),
        Value::Map(map) => Type::Map(map.iter().map(|(k, v)| (k.clone(), of_value(v))).collect()),
        Value::Secret(_) => Type::Secret,
        Value::Unknown => Type::Any,
    }
}

/// What an operation makes of a type. Of one of several each must do; the first that does not is the problem.
fn over(kind: Type, problems: &mut Vec<Problem>, mut each: impl FnMut(Type, &mut Vec<Problem>) -> Type) -> Type {
    let Type::Either(all) = kind else { return each(kind, problems) };
    let mut said = Vec::new();
    let results: Vec<Type> = all
        .into_iter()
        .map(|kind| {
            let mut own = Vec::new();
            let result = each(kind, &mut own);
            if said.is_empty() {
                said = own;
            }
            result
        })
        .collect();
    problems.append(&mut said);
    results.into_iter().reduce(Type::or).unwrap_or(Type::Any)
}
