//! What operators make of types, and which they cannot join.

use super::super::syntax::{Ast, Op};
use super::{Found, found, name, over};
use crate::template::{Problem, ProblemKind, Type};

/// A type of which a truth value is wanted.
pub(super) fn boolean(ast: &Ast, scope: &Type, problems: &mut Vec<Problem>) -> Found {
    let Found { kind, secret } = found(ast, scope, problems);
    let kind = over(kind, problems, |kind, problems| {
        if !matches!(kind, Type::Bool | Type::Any) {
            let message = format!("expected a boolean, found {}", name(&kind, secret));
            let problem = Problem::new(ProblemKind::Type, &ast.range, message);
            problems.push(match kind {
                _ if secret => problem,
                Type::Text => problem.help("compare it: `… != \"\"`"),
                Type::List(_) => problem.help("compare its length: `… | length > 0`"),
                Type::Int | Type::Float => problem.help("compare it: `… > 0`"),
                _ => problem,
            });
        }
        Type::Bool
    });
    Found { kind, secret }
}

/// The type that an operator makes of two, each of which may be one of several.
pub(super) fn pair(op: Op, left: &Found, right: &Found, ast: &Ast, problems: &mut Vec<Problem>) -> Found {
    let secrets = (left.secret, right.secret);
    let kind = over(left.kind.clone(), problems, |left, problems| {
        over(right.kind.clone(), problems, |right, problems| binary(op, (&left, &right), secrets, ast, problems))
    });
    Found { kind, secret: left.secret || right.secret }
}

/// Whether two types can be compared for equality or order.
fn comparable(left: &Type, right: &Type, order: bool) -> bool {
    let unordered = |t: &Type| matches!(t, Type::Null | Type::Bool | Type::List(_) | Type::Map(_) | Type::Open(_));
    match (left, right) {
        _ if order && (unordered(left) || unordered(right)) => false,
        (Type::Any, _) | (_, Type::Any) => true,
        // A secret is a text.
        (Type::Secret, other) | (other, Type::Secret) if *other != Type::Secret => {
            comparable(&Type::Text, other, order)
        }
        (Type::Either(all), other) | (other, Type::Either(all)) => all.iter().all(|t| comparable(t, other, order)),
        (Type::Null, _) | (_, Type::Null) => !order,
        (Type::Text, Type::Text) | (Type::Secret, Type::Secret) => true,
        (Type::Bool, Type::Bool) | (Type::List(_), Type::List(_)) => !order,
        (Type::Map(_) | Type::Open(_), Type::Map(_) | Type::Open(_)) => !order,
        _ => left.is_number() && right.is_number(),
    }
}

/// Whether an operator of arithmetic can take a type on one side, whatever stands on the other.
fn joins(op: Op, kind: &Type) -> bool {
    let texts = op == Op::Add && matches!(kind, Type::Text | Type::List(_));
    texts || kind.is_number() || *kind == Type::Any
}

fn binary(
    op: Op,
    (left, right): (&Type, &Type),
    secrets: (bool, bool),
    ast: &Ast,
    problems: &mut Vec<Problem>,
) -> Type {
    let any = *left == Type::Any || *right == Type::Any;
    let sign = op.sign();
    let (left_name, right_name) = (name(left, secrets.0), name(right, secrets.1));
    let mut wrong = |message: String, help: Option<&str>| {
        let problem = Problem::new(ProblemKind::Type, &ast.range, message);
        problems.push(match help {
            Some(help) => problem.help(help),
            None => problem,
        });
    };
    let number_and_secret = (left.is_number() && right_name == Type::Secret.name())
        || (right.is_number() && left_name == Type::Secret.name());
    let a_text = number_and_secret.then_some("a secret is a text, and nothing makes a number of it");
    match op {
        Op::Eq | Op::Ne | Op::Lt | Op::Lte | Op::Gt | Op::Gte => {
            if !comparable(left, right, !matches!(op, Op::Eq | Op::Ne)) {
                let message = format!("`{sign}` compares values of one type, found {left_name} and {right_name}");
                wrong(message, a_text);
            }
            Type::Bool
        }
        Op::In | Op::NotIn => {
            let fits = match (right, left) {
                (Type::List(items), item) => comparable(items, item, false),
                (Type::Text, Type::Text) | (Type::Map(_) | Type::Open(_), Type::Text) => true,
                _ => any,
            };
            if !fits {
                wrong(format!("`{sign}` cannot look for {left_name} in {right_name}"), None);
            }
            Type::Bool
        }
        Op::Concat => {
            for (side, name) in [(left, &left_name), (right, &right_name)] {
                if !matches!(side, Type::Any | Type::Text | Type::Int | Type::Float) {
                    wrong(format!("{name} cannot be put into a text"), None);
                }
            }
            Type::Text
        }
        _ => match (op, left, right) {
            (Op::Add, Type::Text, Type::Text) => Type::Text,
            (Op::Add, Type::List(_), Type::List(_)) => left.clone().or(right.clone()),
            _ if any && [left, right].into_iter().all(|t| joins(op, t)) => Type::Any,
            _ if left.is_number() && right.is_number() => match (op, left, right) {
                // Of two integers that divide evenly the result is one.
                (Op::Div, Type::Int, Type::Int) => Type::Either(vec![Type::Int, Type::Float]),
                (_, Type::Int, Type::Int) => Type::Int,
                _ => Type::Float,
            },
            _ => {
                let text = *left == Type::Text || *right == Type::Text;
                let help = (text && op == Op::Add).then_some("`~` joins a text and a number");
                wrong(format!("`{sign}` cannot join {left_name} and {right_name}"), a_text.or(help));
                Type::Any
            }
        },
    }
}
