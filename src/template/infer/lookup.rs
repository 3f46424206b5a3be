//! The type behind a name.

use std::borrow::Cow;
use std::ops::Range;

use super::super::syntax::{Ast, Kind};
use super::{Found, found};
use crate::template::{Problem, ProblemKind, Type, path};
use crate::value::Value;

/// A type, borrowed from the scope as far as it goes: a scope of a thousand steps is not copied.
pub(super) struct Seen<'s> {
    kind: Cow<'s, Type>,
    /// A secret chose it, or it was taken out of what is one.
    secret: bool,
}

impl Seen<'_> {
    pub(super) fn found(self) -> Found {
        Found::open(self.kind.into_owned()).tainted(self.secret)
    }
}

pub(super) fn look_up<'s>(ast: &Ast, scope: &'s Type, problems: &mut Vec<Problem>) -> Seen<'s> {
    match &ast.kind {
        Kind::Var(name) => Seen { kind: entry(Cow::Borrowed(scope), name), secret: false },
        Kind::Attr(of, name, range) => {
            let of = look_up(of, scope, problems);
            has_entry(ast, &of.kind, name, range, problems);
            Seen { kind: entry(of.kind, name), ..of }
        }
        Kind::Item(of, index) => {
            let of = look_up(of, scope, problems);
            let at = found(index, scope, problems);
            let secret = of.secret || at.secret;
            if let Kind::Const(Value::Text(name)) = &index.kind {
                has_entry(ast, &of.kind, name, &index.range, problems);
                return Seen { kind: entry(of.kind, name), secret };
            }
            let wanted = match &*of.kind {
                Type::Any | Type::Either(_) => None,
                Type::List(_) => Some((Type::Int, "an integer")),
                Type::Map(_) | Type::Open(_) => Some((Type::Text, "a text")),
                other => {
                    let message = format!("{} has no items", other.name());
                    problems.push(Problem::new(ProblemKind::Type, &index.range, message));
                    None
                }
            };
            if let Some((kind, wanted)) = wanted
                && at.kind != kind
                && at.kind != Type::Any
            {
                let found = super::name(&at.kind, at.secret);
                let message = format!("{} is read by {wanted}, found {found}", of.kind.name());
                problems.push(Problem::new(ProblemKind::Type, &index.range, message));
            }
            Seen { kind: Cow::Owned(any_item(&of.kind)), secret }
        }
        _ => {
            let Found { kind, secret } = found(ast, scope, problems);
            Seen { kind: Cow::Owned(kind), secret }
        }
    }
}

/// Which entry it is will only be known in the run: if one is a secret, this may be it.
fn any_item(of: &Type) -> Type {
    match of {
        Type::List(items) | Type::Open(items) => (**items).clone(),
        Type::Secret => Type::Secret,
        other if other.has_secret() => Type::Secret,
        _ => Type::Any,
    }
}

/// What has no entries at all is a problem. So is a map that lacks the entry, where the name is not written out from its
/// root on: those that are written out are looked up by whoever checks names.
fn has_entry(ast: &Ast, of: &Type, name: &str, range: &Range<usize>, problems: &mut Vec<Problem>) {
    let all = if let Type::Either(all) = of { all.as_slice() } else { std::slice::from_ref(of) };
    if let Some(odd) = all.iter().find(|t| !matches!(t, Type::Map(_) | Type::Open(_) | Type::Any | Type::Either(_))) {
        problems.push(Problem::new(ProblemKind::Type, range, format!("{} has no `{name}`", odd.name())));
    }
    if let Type::Map(map) = of
        && !map.contains_key(name)
        && path(ast).is_none()
    {
        let problem = Problem::new(ProblemKind::Name, range, format!("the map has no `{name}`"));
        let names: Vec<&str> = map.keys().map(String::as_str).collect();
        problems.push(if names.is_empty() { problem } else { problem.help(format!("there are {}", names.join(", "))) });
    }
}

/// The type of an entry, borrowed when the whole is.
fn entry<'s>(of: Cow<'s, Type>, name: &str) -> Cow<'s, Type> {
    match of {
        Cow::Borrowed(Type::Map(map)) => map.get(name).map_or(Cow::Owned(Type::Any), Cow::Borrowed),
        Cow::Borrowed(Type::Open(values)) => Cow::Borrowed(values),
        of => Cow::Owned(match &*of {
            Type::Map(map) => map.get(name).cloned().unwrap_or(Type::Any),
            Type::Open(values) => (**values).clone(),
            Type::Either(all) => {
                let each = all.iter().map(|t| entry(Cow::Borrowed(t), name).into_owned());
                each.reduce(Type::or).unwrap_or(Type::Any)
            }
            _ => Type::Any,
        }),
    }
}
