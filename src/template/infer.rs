//! The type of an expression before the run, and what in it cannot go together.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::Range;

use super::syntax::{Ast, Kind, Op};
use super::{Problem, ProblemKind, Type, filters};
use crate::value::Value;

/// The type of a tree; problems are added as they are found, each once.
pub fn infer(ast: &Ast, scope: &Type, problems: &mut Vec<Problem>) -> Type {
    match &ast.kind {
        Kind::Const(value) => of_value(value),
        Kind::Var(_) | Kind::Attr(..) | Kind::Item(..) => look_up(ast, scope, problems).into_owned(),
        Kind::Not(of) => boolean(of, scope, problems),
        Kind::Neg(of) => {
            let found = infer(of, scope, problems);
            over(found, problems, |found, problems| match found {
                found @ (Type::Int | Type::Float | Type::Any | Type::Secret) => found,
                other => {
                    let message = format!("`-` takes a number, found {}", other.name());
                    problems.push(Problem::new(ProblemKind::Type, &of.range, message));
                    Type::Any
                }
            })
        }
        Kind::Binary(Op::And | Op::Or, left, right) => {
            let (left, right) = (boolean(left, scope, problems), boolean(right, scope, problems));
            if left == Type::Secret || right == Type::Secret { Type::Secret } else { Type::Bool }
        }
        Kind::Binary(op, left, right) => {
            let (left, right) = (infer(left, scope, problems), infer(right, scope, problems));
            pair(*op, &left, &right, ast, problems)
        }
        Kind::Chain(first, rest) => {
            let mut left = infer(first, scope, problems);
            let mut result = Type::Bool;
            for (op, right) in rest {
                let right = infer(right, scope, problems);
                if pair(*op, &left, &right, ast, problems) == Type::Secret {
                    result = Type::Secret;
                }
                left = right;
            }
            result
        }
        Kind::If(test, yes, no) => {
            let test = boolean(test, scope, problems);
            let yes = infer(yes, scope, problems);
            let no = no.as_ref().map_or(Type::Null, |n| infer(n, scope, problems));
            if test == Type::Secret { Type::Secret } else { join(yes, no) }
        }
        Kind::Filter(name, of, arguments) => filter(name, of, arguments, ast, scope, problems),
        Kind::Test(name, of, _) => {
            // Only a name may be missing, and only where that is asked.
            let mut own = Vec::new();
            infer(of, scope, &mut own);
            problems.extend(own.into_iter().filter(|p| name != "defined" || p.kind != ProblemKind::Name));
            Type::Bool
        }
        Kind::List(items) => {
            let types: Vec<Type> = items.iter().map(|i| infer(i, scope, problems)).collect();
            Type::List(Box::new(types.into_iter().reduce(join).unwrap_or(Type::Any)))
        }
        Kind::Map(entries) => {
            let types = entries.iter().map(|(k, v)| (k, infer(v, scope, problems)));
            let named: Option<BTreeMap<String, Type>> = types
                .map(|(k, t)| match &k.kind {
                    Kind::Const(Value::Text(name)) => Some((name.clone(), t)),
                    _ => None,
                })
                .collect();
            named.map_or_else(|| Type::Open(Box::new(Type::Any)), Type::Map)
        }
    }
}

/// The type of a value that is at hand.
pub fn of_value(value: &Value) -> Type {
    match value {
        Value::Null => Type::Null,
        Value::Bool(_) => Type::Bool,
        Value::Int(_) => Type::Int,
        Value::Float(_) => Type::Float,
        Value::Text(_) => Type::Text,
        Value::List(items) => Type::List(Box::new(items.iter().map(of_value).reduce(join).unwrap_or(Type::Any))),
        Value::Map(map) => Type::Map(map.iter().map(|(k, v)| (k.clone(), of_value(v))).collect()),
        Value::Secret(_) => Type::Secret,
        Value::Unknown => Type::Any,
    }
}

/// The type behind a name, borrowed from the scope as far as it goes: a scope of a thousand steps is not copied.
fn look_up<'s>(ast: &Ast, scope: &'s Type, problems: &mut Vec<Problem>) -> Cow<'s, Type> {
    match &ast.kind {
        Kind::Var(name) => Cow::Borrowed(entry(scope, name)),
        Kind::Attr(of, name, range) => {
            let of = look_up(of, scope, problems);
            if let Type::Either(all) = &*of
                && let Some(odd) = all.iter().find(|t| !matches!(t, Type::Map(_) | Type::Open(_) | Type::Any))
            {
                problems.push(Problem::new(ProblemKind::Type, range, format!("{} has no `{name}`", odd.name())));
            }
            if matches!(&*of, Type::Bool | Type::Int | Type::Float | Type::Text | Type::List(_) | Type::Null) {
                problems.push(Problem::new(ProblemKind::Type, range, format!("{} has no `{name}`", of.name())));
            }
            absent(ast, &of, name, range, problems);
            within(of, |of| entry(of, name))
        }
        Kind::Item(of, index) => {
            let of = look_up(of, scope, problems);
            let at = infer(index, scope, problems);
            match (&*of, &at, &index.kind) {
                (Type::Map(_) | Type::Open(_), _, Kind::Const(Value::Text(name))) => {
                    absent(ast, &of, name, &index.range, problems);
                    within(of, |of| entry(of, name))
                }
                (Type::List(_), Type::Int | Type::Any, _) | (Type::Open(_), ..) => within(of, |of| match of {
                    Type::List(items) | Type::Open(items) => items,
                    _ => &Type::Any,
                }),
                // Which entry it is will only be known in the run: if one is a secret, this may be it.
                (Type::Map(map), Type::Text | Type::Any, _) => {
                    Cow::Owned(if map.values().any(has_secret) { Type::Secret } else { Type::Any })
                }
                (Type::Secret, ..) | (_, Type::Secret, _) => Cow::Owned(Type::Secret),
                (Type::Any | Type::Either(_), ..) => Cow::Owned(Type::Any),
                (Type::List(_) | Type::Map(_), ..) => {
                    let wanted = if matches!(&*of, Type::List(_)) { "an integer" } else { "a text" };
                    let message = format!("{} is read by {wanted}, found {}", of.name(), at.name());
                    problems.push(Problem::new(ProblemKind::Type, &index.range, message));
                    Cow::Owned(Type::Any)
                }
                _ => {
                    problems.push(Problem::new(ProblemKind::Type, &index.range, format!("{} has no items", of.name())));
                    Cow::Owned(Type::Any)
                }
            }
        }
        _ => Cow::Owned(infer(ast, scope, problems)),
    }
}

/// What an operation makes of a type. Of one of several each must do; the first that does not is the problem.
fn over(found: Type, problems: &mut Vec<Problem>, mut each: impl FnMut(Type, &mut Vec<Problem>) -> Type) -> Type {
    let Type::Either(all) = found else { return each(found, problems) };
    let mut said = Vec::new();
    let results: Vec<Type> = all
        .into_iter()
        .map(|found| {
            let mut own = Vec::new();
            let result = each(found, &mut own);
            if said.is_empty() {
                said = own;
            }
            result
        })
        .collect();
    problems.append(&mut said);
    results.into_iter().reduce(join).unwrap_or(Type::Any)
}

/// The type that an operator makes of two, each of which may be one of several.
fn pair(op: Op, left: &Type, right: &Type, ast: &Ast, problems: &mut Vec<Problem>) -> Type {
    over(left.clone(), problems, |left, problems| {
        over(right.clone(), problems, |right, problems| binary(op, &left, &right, ast, problems))
    })
}

/// Whether a name is there in every run, so that no other value ever takes its place.
fn always(ast: &Ast) -> bool {
    super::path(ast).is_some_and(|(path, _)| {
        path.len() > 1 && matches!(path[0].as_str(), "params" | "vars" | "secrets" | "plan" | "run")
    })
}

/// A map that lacks the entry is a problem here where the name is not written out from its root on: those that are
/// written out are looked up by whoever checks names.
fn absent(ast: &Ast, of: &Type, name: &str, range: &Range<usize>, problems: &mut Vec<Problem>) {
    if let Type::Map(map) = of
        && !map.contains_key(name)
        && super::path(ast).is_none()
    {
        let problem = Problem::new(ProblemKind::Name, range, format!("the map has no `{name}`"));
        let names: Vec<&str> = map.keys().map(String::as_str).collect();
        problems.push(if names.is_empty() { problem } else { problem.help(format!("there are {}", names.join(", "))) });
    }
}

/// A part of a type, borrowed when the whole is.
fn within<'s>(of: Cow<'s, Type>, part: impl for<'t> Fn(&'t Type) -> &'t Type) -> Cow<'s, Type> {
    match of {
        Cow::Borrowed(of) => Cow::Borrowed(part(of)),
        Cow::Owned(of) => Cow::Owned(part(&of).clone()),
    }
}

fn entry<'t>(of: &'t Type, name: &str) -> &'t Type {
    match of {
        Type::Map(map) => map.get(name).unwrap_or(&Type::Any),
        Type::Open(values) => values,
        Type::Secret => &Type::Secret,
        _ => &Type::Any,
    }
}

/// Whether a secret is in it, at any depth.
fn has_secret(found: &Type) -> bool {
    match found {
        Type::Secret => true,
        Type::List(items) | Type::Open(items) => has_secret(items),
        Type::Map(map) => map.values().any(has_secret),
        Type::Either(all) => all.iter().any(has_secret),
        _ => false,
    }
}

impl Type {
    /// The type of what may be either; a secret on one side makes a secret.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        join(self, other)
    }

    /// Whether a secret is in it, at any depth.
    pub fn has_secret(&self) -> bool {
        has_secret(self)
    }
}

fn join(left: Type, right: Type) -> Type {
    match (left, right) {
        (Type::Secret, _) | (_, Type::Secret) => Type::Secret,
        (a, b) if a == b => a,
        (Type::Int, Type::Float) | (Type::Float, Type::Int) => Type::Float,
        (Type::List(a), Type::List(b)) => match (*a, *b) {
            (Type::Any, other) | (other, Type::Any) => Type::List(Box::new(other)),
            (a, b) => Type::List(Box::new(join(a, b))),
        },
        // A secret inside one of two different things may be met whatever is taken out of them.
        (a, b) if has_secret(&a) || has_secret(&b) => Type::Secret,
        (Type::Any, _) | (_, Type::Any) => Type::Any,
        (a, b) => {
            let mut all = Vec::new();
            for part in [a, b] {
                match part {
                    Type::Either(parts) => all.extend(parts),
                    one => all.push(one),
                }
            }
            let mut each: Vec<Type> = Vec::new();
            all.into_iter().for_each(|t| {
                if !each.contains(&t) {
                    each.push(t);
                }
            });
            Type::Either(each)
        }
    }
}

fn boolean(ast: &Ast, scope: &Type, problems: &mut Vec<Problem>) -> Type {
    let found = infer(ast, scope, problems);
    over(found, problems, |found, problems| truth(found, ast, problems))
}

fn truth(found: Type, ast: &Ast, problems: &mut Vec<Problem>) -> Type {
    match found {
        found @ (Type::Bool | Type::Any | Type::Secret) => {
            if found == Type::Secret {
                Type::Secret
            } else {
                Type::Bool
            }
        }
        other => {
            let problem =
                Problem::new(ProblemKind::Type, &ast.range, format!("expected a boolean, found {}", other.name()));
            problems.push(match other {
                Type::Text => problem.help("compare it: `… != \"\"`"),
                Type::List(_) => problem.help("compare its length: `… | length > 0`"),
                Type::Int | Type::Float => problem.help("compare it: `… > 0`"),
                _ => problem,
            });
            Type::Bool
        }
    }
}

fn is_number(found: &Type) -> bool {
    matches!(found, Type::Int | Type::Float)
}

/// Whether an operator of arithmetic can take a type on one side, whatever stands on the other.
fn joins(op: Op, found: &Type) -> bool {
    let texts = op == Op::Add && matches!(found, Type::Text | Type::List(_));
    texts || is_number(found) || matches!(found, Type::Any | Type::Secret)
}

/// Whether two types can be compared for equality or order.
fn comparable(left: &Type, right: &Type, order: bool) -> bool {
    let unordered = |t: &Type| matches!(t, Type::Null | Type::Bool | Type::List(_) | Type::Map(_) | Type::Open(_));
    match (left, right) {
        _ if order && (unordered(left) || unordered(right)) => false,
        (Type::Any | Type::Secret, _) | (_, Type::Any | Type::Secret) => true,
        (Type::Either(all), other) | (other, Type::Either(all)) => all.iter().all(|t| comparable(t, other, order)),
        (Type::Null, _) | (_, Type::Null) => !order,
        (Type::Text, Type::Text) => true,
        (Type::Bool, Type::Bool) | (Type::List(_), Type::List(_)) => !order,
        (Type::Map(_) | Type::Open(_), Type::Map(_) | Type::Open(_)) => !order,
        _ => is_number(left) && is_number(right),
    }
}

fn binary(op: Op, left: &Type, right: &Type, ast: &Ast, problems: &mut Vec<Problem>) -> Type {
    let secret = *left == Type::Secret || *right == Type::Secret;
    let any = *left == Type::Any || *right == Type::Any;
    let sign = op.sign();
    let mut wrong = |message: String, help: Option<&str>| {
        let problem = Problem::new(ProblemKind::Type, &ast.range, message);
        problems.push(match help {
            Some(help) => problem.help(help),
            None => problem,
        });
    };
    let result = match op {
        Op::Eq | Op::Ne | Op::Lt | Op::Lte | Op::Gt | Op::Gte => {
            if !comparable(left, right, !matches!(op, Op::Eq | Op::Ne)) {
                wrong(
                    format!("`{sign}` compares values of one type, found {} and {}", left.name(), right.name()),
                    None,
                );
            }
            Type::Bool
        }
        Op::In | Op::NotIn => {
            let fits = match (right, left) {
                (Type::List(items), item) => comparable(items, item, false),
                (Type::Text, Type::Text) | (Type::Map(_) | Type::Open(_), Type::Text) => true,
                _ => any || secret,
            };
            if !fits {
                wrong(format!("`{sign}` cannot look for {} in {}", left.name(), right.name()), None);
            }
            Type::Bool
        }
        Op::Concat => {
            for side in [left, right] {
                if !matches!(side, Type::Any | Type::Secret | Type::Text | Type::Int | Type::Float) {
                    wrong(format!("{} cannot be put into a text", side.name()), None);
                }
            }
            Type::Text
        }
        _ => match (op, left, right) {
            (Op::Add, Type::Text, Type::Text) => Type::Text,
            (Op::Add, Type::List(_), Type::List(_)) => join(left.clone(), right.clone()),
            _ if (any || secret) && [left, right].into_iter().all(|t| joins(op, t)) => Type::Any,
            _ if is_number(left) && is_number(right) => match (op, left, right) {
                // Of two integers that divide evenly the result is one.
                (Op::Div, Type::Int, Type::Int) => Type::Either(vec![Type::Int, Type::Float]),
                (_, Type::Int, Type::Int) => Type::Int,
                _ => Type::Float,
            },
            _ => {
                let text = *left == Type::Text || *right == Type::Text;
                let help = (text && op == Op::Add).then_some("`~` joins a text and a number");
                wrong(format!("`{sign}` cannot join {} and {}", left.name(), right.name()), help);
                Type::Any
            }
        },
    };
    if secret { Type::Secret } else { result }
}

fn filter(
    name: &str,
    of: &Ast,
    arguments: &[(Option<String>, Ast)],
    ast: &Ast,
    scope: &Type,
    problems: &mut Vec<Problem>,
) -> Type {
    if name == "default" {
        // What has another value at hand may be missing.
        let mut own = Vec::new();
        let found = infer(of, scope, &mut own);
        problems.extend(own.into_iter().filter(|p| p.kind != ProblemKind::Name));
        let other = arguments.first().map_or(Type::Any, |(_, a)| infer(a, scope, problems));
        return match found {
            Type::Null => other,
            Type::Any => join(Type::Any, other),
            found if always(of) => found,
            found => join(found, other),
        };
    }
    let given: Vec<Type> = arguments.iter().map(|(_, a)| infer(a, scope, problems)).collect();
    let found = infer(of, scope, problems);
    over(found, problems, |found, problems| filtered(name, found, &given, arguments, ast, problems))
}

fn filtered(
    name: &str,
    found: Type,
    given: &[Type],
    arguments: &[(Option<String>, Ast)],
    ast: &Ast,
    problems: &mut Vec<Problem>,
) -> Type {
    for ((_, argument), kind) in arguments.iter().zip(given) {
        if !matches!(kind, Type::Text | Type::Any | Type::Secret) {
            let message = format!("the filter `{name}` takes a text here, found {}", kind.name());
            problems.push(Problem::new(ProblemKind::Type, &argument.range, message));
        }
    }
    if name == "date" {
        for (at, (key, argument)) in arguments.iter().enumerate() {
            let Kind::Const(Value::Text(text)) = &argument.kind else { continue };
            let checked = match key.as_deref().unwrap_or(if at == 0 { "format" } else { "tz" }) {
                "format" => filters::date_format(text),
                _ => filters::time_zone(text).map(drop),
            };
            if let Err(message) = checked {
                problems.push(Problem::new(ProblemKind::Call, &argument.range, message));
            }
        }
    }
    let wanted = match name {
        "length" => matches!(found, Type::Text | Type::List(_) | Type::Map(_) | Type::Open(_)),
        "first" | "last" | "join" => matches!(found, Type::List(_)),
        _ => found == Type::Text,
    };
    if !wanted && !matches!(found, Type::Any | Type::Secret) {
        let takes = match name {
            "length" => "a text, a list or a map",
            "first" | "last" | "join" => "a list",
            _ => "a text",
        };
        problems.push(Problem::new(
            ProblemKind::Type,
            &ast.range,
            format!("the filter `{name}` takes {takes}, found {}", found.name()),
        ));
    }
    if let (Type::List(items), "join") = (&found, name) {
        let odd = |t: &Type| !matches!(t, Type::Text | Type::Int | Type::Float | Type::Any | Type::Secret);
        let all = if let Type::Either(all) = &**items { all.as_slice() } else { std::slice::from_ref(&**items) };
        if let Some(odd) = all.iter().find(|t| odd(t)) {
            let message = format!("the filter `join` makes a text of texts and numbers, found {}", odd.name());
            problems.push(Problem::new(ProblemKind::Type, &ast.range, message));
        }
    }
    // The number of items says nothing of them; the first of several may itself be a list with a secret in it.
    let inside = matches!(&found, Type::List(items) if has_secret(items)) && name == "join";
    if found == Type::Secret || given.contains(&Type::Secret) || inside {
        return Type::Secret;
    }
    match (name, found) {
        ("length", _) => Type::Int,
        ("first" | "last", Type::List(items)) => *items,
        ("first" | "last", _) => Type::Any,
        _ => Type::Text,
    }
}
