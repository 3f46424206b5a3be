//! The value of an expression.
//!
//! A secret taints: whatever is computed from one is a secret. What is known only at run time stays unknown through every
//! operation, except where the other side of `and` or `or` settles it.

use std::cmp::Ordering;
use std::ops::Range;

use super::syntax::{Ast, Kind, Op};
use super::{MAX_SIZE, Problem, ProblemKind, Scope, filters};
use crate::secret::Secret;
use crate::value::Value;

/// A value, and whether a secret went into it.
#[derive(Clone)]
pub struct Got {
    value: Value,
    secret: bool,
}

impl Got {
    fn plain(value: Value) -> Self {
        Self { value, secret: false }
    }

    /// Opens a secret for computing with it.
    fn open(value: Value) -> Self {
        match value {
            Value::Secret(secret) => {
                let value = secret.expose().map_or(Value::Unknown, Value::from);
                Self { value, secret: true }
            }
            value => Self { value, secret: false },
        }
    }

    /// The value as others see it: closed again if a secret went into it.
    pub fn into_value(self) -> Value {
        if !self.secret {
            return self.value;
        }
        match self.value {
            Value::Text(text) => Value::Secret(Secret::new(text)),
            Value::Int(number) => Value::Secret(Secret::new(number.to_string())),
            Value::Float(number) => Value::Secret(Secret::new(number.to_string())),
            Value::Bool(truth) => Value::Secret(Secret::new(truth.to_string())),
            Value::List(items) => {
                Value::List(items.into_iter().map(|value| Self { value, secret: true }.into_value()).collect())
            }
            Value::Null | Value::Unknown | Value::Map(_) | Value::Secret(_) => Value::Secret(Secret::sealed()),
        }
    }
}

fn wrong(range: &Range<usize>, message: impl Into<String>) -> Problem {
    Problem::new(ProblemKind::Type, range, message)
}

/// The value of a tree.
pub fn eval(ast: &Ast, scope: &Scope) -> Result<Got, Problem> {
    match &ast.kind {
        Kind::Const(value) => Ok(Got::plain(value.clone())),
        Kind::Var(name) => match scope.roots.iter().find(|(k, _)| k == name) {
            Some((_, value)) => Ok(Got::open(value.clone())),
            None => Err(missing(name, &ast.range)),
        },
        Kind::Attr(of, name, range) => match named(ast, scope)? {
            Some(value) => Ok(Got::open(value.clone())),
            None => entry(eval(of, scope)?, name, range),
        },
        Kind::Item(of, index) => {
            if let Some(value) = named(ast, scope)? {
                return Ok(Got::open(value.clone()));
            }
            let of = eval(of, scope)?;
            let at = eval(index, scope)?;
            match (&of.value, &at.value) {
                (_, Value::Text(name)) => {
                    let got = entry(of, name, &index.range)?;
                    Ok(Got { secret: got.secret || at.secret, ..got })
                }
                (Value::List(items), Value::Int(number)) => {
                    let length = i64::try_from(items.len()).unwrap_or(i64::MAX);
                    let place = if *number < 0 { length + number } else { *number };
                    let found = usize::try_from(place).ok().and_then(|p| items.get(p));
                    let got = found.map(|v| Got::open(v.clone()));
                    got.map(|got| Got { secret: got.secret || at.secret, ..got }).ok_or_else(|| {
                        Problem::new(
                            ProblemKind::Name,
                            &index.range,
                            format!("the list has {length} items, no item {number}"),
                        )
                    })
                }
                (Value::Unknown, _) | (_, Value::Unknown) => {
                    Ok(Got { value: Value::Unknown, secret: of.secret || at.secret })
                }
                (value, _) => Err(wrong(&index.range, format!("{} has no items", value.kind()))),
            }
        }
        Kind::Not(of) => {
            let got = eval(of, scope)?;
            let value = match truth(&got.value, &of.range)? {
                Some(truth) => Value::Bool(!truth),
                None => Value::Unknown,
            };
            Ok(Got { value, ..got })
        }
        Kind::Neg(of) => {
            let got = eval(of, scope)?;
            let value = match &got.value {
                Value::Int(number) => {
                    Value::Int(number.checked_neg().ok_or_else(|| wrong(&of.range, "the number is too large"))?)
                }
                Value::Float(number) => Value::Float(-number),
                Value::Unknown => Value::Unknown,
                other => return Err(wrong(&of.range, format!("`-` takes a number, found {}", other.kind()))),
            };
            Ok(Got { value, ..got })
        }
        Kind::Binary(op @ (Op::And | Op::Or), left, right) => logic(*op, left, right, scope),
        Kind::Binary(op, left, right) => {
            let (left, right) = (eval(left, scope)?, eval(right, scope)?);
            let value = binary(*op, &left.value, &right.value, &ast.range)?;
            Ok(Got { value, secret: left.secret || right.secret })
        }
        Kind::Chain(first, rest) => {
            let mut left = eval(first, scope)?;
            let (mut result, mut secret) = (Some(true), left.secret);
            for (op, right) in rest {
                let right = eval(right, scope)?;
                secret |= right.secret;
                match binary(*op, &left.value, &right.value, &ast.range)? {
                    Value::Bool(false) => return Ok(Got { value: Value::Bool(false), secret }),
                    Value::Bool(true) => {}
                    _ => result = None,
                }
                left = right;
            }
            Ok(Got { value: result.map_or(Value::Unknown, Value::Bool), secret })
        }
        Kind::If(test, yes, no) => {
            let test_got = eval(test, scope)?;
            let got = match (truth(&test_got.value, &test.range)?, no) {
                (Some(true), _) => eval(yes, scope)?,
                (Some(false), Some(no)) => eval(no, scope)?,
                (Some(false), None) => Got::plain(Value::Null),
                (None, _) => Got::plain(Value::Unknown),
            };
            Ok(Got { secret: got.secret || test_got.secret, ..got })
        }
        Kind::Filter(name, of, arguments) => filter(name, of, arguments, ast, scope),
        Kind::Test(name, of, _) => {
            let value = match eval(of, scope) {
                Ok(got) if matches!(got.value, Value::Unknown) && !got.secret => return Ok(got),
                Ok(got) => Value::Bool(if name == "none" { got.value == Value::Null } else { true }),
                Err(problem) if problem.kind == ProblemKind::Name && name == "defined" => Value::Bool(false),
                Err(problem) => return Err(problem),
            };
            Ok(Got::plain(value))
        }
        Kind::List(items) => {
            let items = items.iter().map(|i| eval(i, scope).map(Got::into_value));
            Ok(Got::plain(Value::List(items.collect::<Result<_, _>>()?)))
        }
        Kind::Map(entries) => {
            let mut map = crate::value::Map::new();
            for (key, value) in entries {
                // A key is seen wherever the map is.
                match eval(key, scope)?.into_value() {
                    Value::Text(name) => map.push((name, eval(value, scope)?.into_value())),
                    other => return Err(wrong(&key.range, format!("a key is a text, found {}", other.kind()))),
                }
            }
            Ok(Got::plain(Value::Map(map)))
        }
    }
}

/// The value of a chain of names that leads through maps, in its place: what it leads through may be large. None for
/// anything else.
///
/// # Errors
/// A name is missing.
pub fn named<'s>(ast: &Ast, scope: &'s Scope) -> Result<Option<&'s Value>, Problem> {
    let (of, name, range) = match &ast.kind {
        Kind::Var(name) => return scope.root(name).map(Some).ok_or_else(|| missing(name, &ast.range)),
        Kind::Attr(of, name, range) => (of, name, range),
        Kind::Item(of, index) => match &index.kind {
            Kind::Const(Value::Text(name)) => (of, name, &index.range),
            _ => return Ok(None),
        },
        _ => return Ok(None),
    };
    let Some(Value::Map(map)) = named(of, scope)? else { return Ok(None) };
    let found = match &of.kind {
        Kind::Var(root) if root == "steps" => scope.step(map, name),
        _ => map.iter().find(|(k, _)| k == name).map(|(_, v)| v),
    };
    found.map(Some).ok_or_else(|| missing(name, range))
}

fn missing(name: &str, range: &Range<usize>) -> Problem {
    Problem::new(ProblemKind::Name, range, format!("`{name}` does not exist"))
}

fn entry(of: Got, name: &str, range: &Range<usize>) -> Result<Got, Problem> {
    match &of.value {
        Value::Map(_) => match of.value.get(name) {
            Some(value) => {
                let got = Got::open(value.clone());
                Ok(Got { secret: got.secret || of.secret, ..got })
            }
            None => Err(missing(name, range)),
        },
        Value::Unknown => Ok(of),
        other => Err(wrong(range, format!("{} has no `{name}`", other.kind()))),
    }
}

/// A truth value, or none when it is known only at run time.
fn truth(value: &Value, range: &Range<usize>) -> Result<Option<bool>, Problem> {
    match value {
        Value::Bool(truth) => Ok(Some(*truth)),
        Value::Unknown => Ok(None),
        other => Err(wrong(range, format!("expected a boolean, found {}", other.kind()))),
    }
}

fn logic(op: Op, left: &Ast, right: &Ast, scope: &Scope) -> Result<Got, Problem> {
    let settles = op == Op::Or;
    let first = eval(left, scope)?;
    let first_truth = truth(&first.value, &left.range)?;
    if first_truth == Some(settles) {
        return Ok(first);
    }
    let second = eval(right, scope)?;
    let secret = first.secret || second.secret;
    let value = match (first_truth, truth(&second.value, &right.range)?) {
        (_, Some(second)) if second == settles => Value::Bool(settles),
        (Some(_), Some(second)) => Value::Bool(second),
        _ => Value::Unknown,
    };
    Ok(Got { value, secret })
}

/// How two values of one type order; none for types that have no order or do not go together.
fn compare(left: &Value, right: &Value) -> Option<Ordering> {
    match (left, right) {
        (Value::Int(a), Value::Int(b)) => Some(a.cmp(b)),
        (Value::Int(a), Value::Float(b)) => (*a as f64).partial_cmp(b),
        (Value::Float(a), Value::Int(b)) => a.partial_cmp(&(*b as f64)),
        (Value::Float(a), Value::Float(b)) => a.partial_cmp(b),
        (Value::Text(a), Value::Text(b)) => Some(a.cmp(b)),
        _ => None,
    }
}

fn equal(left: &Value, right: &Value, range: &Range<usize>) -> Result<bool, Problem> {
    match (left, right) {
        (Value::Null, _) | (_, Value::Null) => Ok(left == right),
        (Value::Bool(a), Value::Bool(b)) => Ok(a == b),
        (Value::List(_), Value::List(_)) | (Value::Map(_), Value::Map(_)) => Ok(left == right),
        _ => compare(left, right).map(|o| o == Ordering::Equal).ok_or_else(|| different("==", left, right, range)),
    }
}

fn different(sign: &str, left: &Value, right: &Value, range: &Range<usize>) -> Problem {
    wrong(range, format!("`{sign}` compares values of one type, found {} and {}", left.kind(), right.kind()))
}

fn binary(op: Op, left: &Value, right: &Value, range: &Range<usize>) -> Result<Value, Problem> {
    if matches!((left, right), (Value::Unknown, _) | (_, Value::Unknown)) {
        return Ok(Value::Unknown);
    }
    let ordered = || compare(left, right).ok_or_else(|| different(op.sign(), left, right, range));
    Ok(match op {
        Op::Eq => Value::Bool(equal(left, right, range)?),
        Op::Ne => Value::Bool(!equal(left, right, range)?),
        Op::Lt => Value::Bool(ordered()? == Ordering::Less),
        Op::Lte => Value::Bool(ordered()? != Ordering::Greater),
        Op::Gt => Value::Bool(ordered()? == Ordering::Greater),
        Op::Gte => Value::Bool(ordered()? != Ordering::Less),
        Op::In => Value::Bool(contains(left, right, range)?),
        Op::NotIn => Value::Bool(!contains(left, right, range)?),
        Op::Concat => Value::Text(limited(format!("{}{}", spelled(left, range)?, spelled(right, range)?), range)?),
        Op::Add | Op::Sub | Op::Mul | Op::Div | Op::FloorDiv | Op::Rem | Op::Pow => arithmetic(op, left, right, range)?,
        // Handled where their sides are evaluated.
        Op::And | Op::Or => Value::Unknown,
    })
}

fn contains(item: &Value, of: &Value, range: &Range<usize>) -> Result<bool, Problem> {
    match (of, item) {
        (Value::List(items), _) => {
            for other in items {
                let other = Got::open(other.clone()).value;
                if equal(item, &other, range)? {
                    return Ok(true);
                }
            }
            Ok(false)
        }
        (Value::Text(text), Value::Text(piece)) => Ok(text.contains(piece.as_str())),
        (Value::Map(map), Value::Text(name)) => Ok(map.iter().any(|(k, _)| k == name)),
        _ => Err(wrong(range, format!("`in` cannot look for {} in {}", item.kind(), of.kind()))),
    }
}

/// A value as part of a text.
fn spelled(value: &Value, range: &Range<usize>) -> Result<String, Problem> {
    match value {
        Value::Text(text) => Ok(text.clone()),
        Value::Int(number) => Ok(number.to_string()),
        Value::Float(number) => Ok(number.to_string()),
        other => Err(wrong(range, format!("{} cannot be put into a text", other.kind()))),
    }
}

fn limited(text: String, range: &Range<usize>) -> Result<String, Problem> {
    if text.len() > MAX_SIZE { Err(wrong(range, "the text becomes longer than 1 MiB")) } else { Ok(text) }
}

fn arithmetic(op: Op, left: &Value, right: &Value, range: &Range<usize>) -> Result<Value, Problem> {
    match (op, left, right) {
        (Op::Add, Value::Text(a), Value::Text(b)) => return Ok(Value::Text(limited(format!("{a}{b}"), range)?)),
        (Op::Add, Value::List(a), Value::List(b)) if a.len() + b.len() <= MAX_SIZE => {
            return Ok(Value::List(a.iter().chain(b).cloned().collect()));
        }
        _ => {}
    }
    let number = |value: &Value| match value {
        Value::Int(number) => Some(*number as f64),
        Value::Float(number) => Some(*number),
        _ => None,
    };
    let (Some(a), Some(b)) = (number(left), number(right)) else {
        let sign = op.sign();
        let problem = wrong(range, format!("`{sign}` cannot join {} and {}", left.kind(), right.kind()));
        let text = matches!(left, Value::Text(_)) || matches!(right, Value::Text(_));
        return Err(if text && op == Op::Add { problem.help("`~` joins a text and a number") } else { problem });
    };
    let zero = || wrong(range, "division by zero");
    if let (Value::Int(a), Value::Int(b)) = (left, right) {
        let result = match op {
            Op::Add => a.checked_add(*b),
            Op::Sub => a.checked_sub(*b),
            Op::Mul => a.checked_mul(*b),
            Op::FloorDiv if *b == 0 => return Err(zero()),
            Op::FloorDiv => a.checked_div_euclid(*b),
            Op::Rem if *b == 0 => return Err(zero()),
            Op::Rem => a.checked_rem_euclid(*b),
            Op::Pow => u32::try_from(*b).ok().and_then(|b| a.checked_pow(b)),
            _ if *b == 0 => return Err(zero()),
            // Of two integers that divide evenly the result is one.
            _ if a % b == 0 => a.checked_div(*b),
            _ => return Ok(Value::Float(*a as f64 / *b as f64)),
        };
        return result.map(Value::Int).ok_or_else(|| wrong(range, "the number becomes too large"));
    }
    let result = match op {
        Op::Add => a + b,
        Op::Sub => a - b,
        Op::Mul => a * b,
        Op::Div | Op::FloorDiv | Op::Rem if b == 0.0 => return Err(zero()),
        Op::Div => a / b,
        Op::FloorDiv => a.div_euclid(b),
        Op::Rem => a.rem_euclid(b),
        _ => a.powf(b),
    };
    if result.is_finite() { Ok(Value::Float(result)) } else { Err(wrong(range, "the number becomes too large")) }
}

fn filter(name: &str, of: &Ast, arguments: &[(Option<String>, Ast)], ast: &Ast, scope: &Scope) -> Result<Got, Problem> {
    if name == "default" {
        return match eval(of, scope) {
            Ok(got) if got.value != Value::Null => Ok(got),
            Err(problem) if problem.kind != ProblemKind::Name => Err(problem),
            _ => eval(&arguments[0].1, scope),
        };
    }
    let got = eval(of, scope)?;
    let mut secret = got.secret;
    let mut given = Vec::with_capacity(arguments.len());
    for (key, argument) in arguments {
        let argument = eval(argument, scope)?;
        secret |= argument.secret;
        given.push((key.clone(), argument.value));
    }
    if got.value == Value::Unknown || given.iter().any(|(_, v)| *v == Value::Unknown) {
        return Ok(Got { value: Value::Unknown, secret });
    }
    if name == "join" {
        return join(&got.value, filters::argument(name, "separator", &given), secret, &ast.range);
    }
    let value = filters::apply(name, &got.value, &given).map_err(|said| {
        // What does not fit is quoted.
        let said = if secret { format!("the filter `{name}` cannot take the secret that it is given") } else { said };
        wrong(&ast.range, said)
    })?;
    // The first of a list of secrets is one.
    let inner = Got::open(value);
    Ok(Got { secret: secret || inner.secret, ..inner })
}

fn join(of: &Value, separator: Option<&Value>, mut secret: bool, range: &Range<usize>) -> Result<Got, Problem> {
    let Value::List(items) = of else {
        return Err(wrong(range, format!("the filter `join` takes a list, found {}", of.kind())));
    };
    let separator = separator.map_or(Ok(String::new()), |s| spelled(s, range))?;
    let mut text = String::new();
    for (at, item) in items.iter().enumerate() {
        let item = Got::open(item.clone());
        secret |= item.secret;
        if item.value == Value::Unknown {
            return Ok(Got { value: Value::Unknown, secret });
        }
        if at > 0 {
            text += &separator;
        }
        text = limited(text + &spelled(&item.value, range)?, range)?;
    }
    Ok(Got { value: Value::Text(text), secret })
}
