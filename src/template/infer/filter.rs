//! What filters make of types, and what they take.

use super::super::filters;
use super::super::syntax::{Ast, Kind};
use super::{Found, found, name as name_of, over};
use crate::template::{Problem, ProblemKind, Type, path};
use crate::value::Value;

pub(super) fn filter(
    name: &str,
    of: &Ast,
    arguments: &[(Option<String>, Ast)],
    ast: &Ast,
    scope: &Type,
    problems: &mut Vec<Problem>,
) -> Found {
    if name == "default" {
        // What has another value at hand may be missing.
        let mut own = Vec::new();
        let first = found(of, scope, &mut own);
        problems.extend(own.into_iter().filter(|p| p.kind != ProblemKind::Name));
        let other = arguments.first().map_or(Found::plain(Type::Any), |(_, a)| found(a, scope, problems));
        return match first.kind {
            Type::Null => other.tainted(first.secret),
            _ if always(of) && first.kind != Type::Any => first,
            _ => first.or(other),
        };
    }
    let given: Vec<Found> = arguments.iter().map(|(_, a)| found(a, scope, problems)).collect();
    arguments_fit(name, arguments, &given, problems);
    let Found { kind, secret } = found(of, scope, problems);
    // The number of items says nothing of them.
    let inside = name == "join" && kind.has_secret();
    let secret = secret || inside || given.iter().any(|g| g.secret);
    let kind = over(kind, problems, |kind, problems| filtered(name, kind, secret, ast, problems));
    // The first of a list of secrets is one.
    Found::open(kind).tainted(secret)
}

/// Whether a name is there in every run, so that no other value ever takes its place.
fn always(ast: &Ast) -> bool {
    path(ast).is_some_and(|(path, _)| {
        path.len() > 1 && matches!(path[0].as_str(), "params" | "vars" | "secrets" | "plan" | "run")
    })
}

fn arguments_fit(name: &str, arguments: &[(Option<String>, Ast)], given: &[Found], problems: &mut Vec<Problem>) {
    for ((_, argument), found) in arguments.iter().zip(given) {
        if !matches!(found.kind, Type::Text | Type::Any) {
            let message =
                format!("the filter `{name}` takes a text here, found {}", name_of(&found.kind, found.secret));
            problems.push(Problem::new(ProblemKind::Type, &argument.range, message));
        }
    }
    if name != "date" {
        return;
    }
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

fn filtered(name: &str, kind: Type, secret: bool, ast: &Ast, problems: &mut Vec<Problem>) -> Type {
    let mut wrong = |message: String| problems.push(Problem::new(ProblemKind::Type, &ast.range, message));
    let (takes, fits) = match name {
        "length" => {
            ("a text, a list or a map", matches!(kind, Type::Text | Type::List(_) | Type::Map(_) | Type::Open(_)))
        }
        "first" | "last" | "join" => ("a list", matches!(kind, Type::List(_))),
        _ => ("a text", kind == Type::Text),
    };
    if !fits && kind != Type::Any {
        wrong(format!("the filter `{name}` takes {takes}, found {}", name_of(&kind, secret)));
    }
    if let (Type::List(items), "join") = (&kind, name) {
        let odd = |t: &Type| !matches!(t, Type::Text | Type::Int | Type::Float | Type::Any | Type::Secret);
        let all = if let Type::Either(all) = &**items { all.as_slice() } else { std::slice::from_ref(&**items) };
        if let Some(odd) = all.iter().find(|t| odd(t)) {
            wrong(format!("the filter `join` makes a text of texts and numbers, found {}", odd.name()));
        }
    }
    match (name, kind) {
        ("length", _) => Type::Int,
        ("first" | "last", Type::List(items)) => *items,
        ("first" | "last", _) => Type::Any,
        _ => Type::Text,
    }
}
