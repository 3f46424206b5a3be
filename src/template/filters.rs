//! The closed list of filters and tests.

use std::ops::Range;

use chrono::format::{Item, StrftimeItems};
use chrono::{DateTime, FixedOffset, Local, Utc};

use super::syntax::Ast;
use super::{MAX_SIZE, Problem, ProblemKind};
use crate::value::Value;

/// The names of all filters.
pub const FILTERS: [&str; 11] =
    ["date", "default", "join", "lower", "upper", "replace", "length", "first", "last", "basename", "dirname"];

/// The names of all tests.
pub const TESTS: [&str; 2] = ["defined", "none"];

/// The parameters of a filter: their names, and how many of them must be given.
fn signature(name: &str) -> Option<(&'static [&'static str], usize)> {
    Some(match name {
        "date" => (&["format", "tz"], 1),
        "default" => (&["value"], 1),
        "join" => (&["separator"], 0),
        "replace" => (&["from", "to"], 2),
        "lower" | "upper" | "length" | "first" | "last" | "basename" | "dirname" => (&[], 0),
        _ => return None,
    })
}

fn nearest<'n>(word: &str, names: &[&'n str]) -> Option<&'n str> {
    let near = names.iter().map(|n| (strsim::damerau_levenshtein(word, n), *n)).min();
    near.filter(|(d, _)| *d <= 1 + word.len() / 4).map(|(_, n)| n)
}

fn unknown(kind: &str, name: &str, names: &[&str], range: &Range<usize>) -> Problem {
    let problem = Problem::new(ProblemKind::Call, range, format!("there is no {kind} `{name}`"));
    match nearest(name, names) {
        Some(near) => problem.help(format!("did you mean `{near}`?")).mend(near),
        None => problem.help(format!("there are {}", names.join(", "))),
    }
}

/// Whether a filter exists and its arguments fit.
///
/// # Errors
/// What is wrong with the name or the arguments.
pub fn check(name: &str, arguments: &[(Option<String>, Ast)], range: &Range<usize>) -> Result<(), Problem> {
    let Some((params, required)) = signature(name) else { return Err(unknown("filter", name, &FILTERS, range)) };
    let spelled = if params.is_empty() { format!("`{name}`") } else { format!("`{name}({})`", params.join(", ")) };
    if arguments.len() > params.len() || arguments.len() < required {
        let s = if params.len() == 1 { "" } else { "s" };
        let wanted = if required == params.len() {
            format!("{required} argument{s}")
        } else {
            format!("{required} to {} argument{s}", params.len())
        };
        let message = format!("the filter `{name}` takes {wanted}, found {}", arguments.len());
        return Err(Problem::new(ProblemKind::Call, range, message).help(format!("write {spelled}")));
    }
    for (given, argument) in arguments {
        if let Some(given) = given
            && !params.contains(&given.as_str())
        {
            let message = format!("the filter `{name}` has no argument `{given}`");
            return Err(Problem::new(ProblemKind::Call, &argument.range, message).help(format!("write {spelled}")));
        }
    }
    Ok(())
}

/// Whether a test exists.
///
/// # Errors
/// What is wrong with the name or the arguments.
pub fn check_test(name: &str, arguments: usize, range: &Range<usize>) -> Result<(), Problem> {
    if !TESTS.contains(&name) {
        return Err(unknown("test", name, &TESTS, range));
    }
    if arguments > 0 {
        return Err(Problem::new(ProblemKind::Call, range, format!("the test `{name}` takes no arguments")));
    }
    Ok(())
}

/// The value of a filter's parameter among those given.
pub fn argument<'v>(name: &str, param: &str, given: &'v [(Option<String>, Value)]) -> Option<&'v Value> {
    if let Some((_, value)) = given.iter().find(|(n, _)| n.as_deref() == Some(param)) {
        return Some(value);
    }
    let at = signature(name)?.0.iter().position(|p| *p == param)?;
    given.get(at).filter(|(n, _)| n.is_none()).map(|(_, v)| v)
}

/// Applies a filter, `default` apart, which the evaluator handles since its value may be missing.
///
/// # Errors
/// What the filter cannot take.
pub fn apply(name: &str, of: &Value, given: &[(Option<String>, Value)]) -> Result<Value, String> {
    let text = || of.as_text().ok_or_else(|| format!("the filter `{name}` takes a text, found {}", of.kind()));
    let text_argument = |param: &str| match argument(name, param, given) {
        None => Ok(None),
        Some(Value::Text(text)) => Ok(Some(text.as_str())),
        Some(other) => Err(format!("`{param}` of the filter `{name}` is a text, found {}", other.kind())),
    };
    let items = || match of {
        Value::List(items) => Ok(items),
        other => Err(format!("the filter `{name}` takes a list, found {}", other.kind())),
    };
    Ok(match name {
        "lower" => Value::Text(text()?.to_lowercase()),
        "upper" => Value::Text(text()?.to_uppercase()),
        "replace" => {
            let from = text_argument("from")?.unwrap_or_default();
            let (text, to) = (text()?, text_argument("to")?.unwrap_or_default());
            // Counted before it is made: a few of them in a row would fill any memory.
            let more = text.matches(from).count().saturating_mul(to.len().saturating_sub(from.len()));
            if text.len().saturating_add(more) > MAX_SIZE {
                return Err("the text becomes longer than 1 MiB".to_owned());
            }
            Value::Text(text.replace(from, to))
        }
        "length" => {
            let count = match of {
                Value::Text(text) => text.chars().count(),
                Value::List(items) => items.len(),
                Value::Map(map) => map.len(),
                other => {
                    return Err(format!("the filter `length` takes a text, a list or a map, found {}", other.kind()));
                }
            };
            Value::Int(i64::try_from(count).unwrap_or(i64::MAX))
        }
        "first" => items()?.first().cloned().ok_or("the filter `first` found an empty list")?,
        "last" => items()?.last().cloned().ok_or("the filter `last` found an empty list")?,
        "basename" => Value::from(split_path(text()?).1),
        "dirname" => Value::from(split_path(text()?).0),
        "date" => {
            let format = text_argument("format")?.unwrap_or_default();
            Value::Text(date(text()?, format, text_argument("tz")?.unwrap_or("utc"))?)
        }
        // `join` is done by the evaluator, since its items may be secrets.
        other => return Err(format!("there is no filter `{other}`")),
    })
}

/// The folder and the last name of a path. The folder of a bare name is `.`, as dirname(1) has it.
fn split_path(path: &str) -> (&str, &str) {
    let separators: &[char] = if cfg!(windows) { &['/', '\\'] } else { &['/'] };
    let trimmed = path.trim_end_matches(separators);
    if trimmed.is_empty() {
        return if path.is_empty() { (".", "") } else { ("/", "/") };
    }
    match trimmed.rfind(separators) {
        None => (".", trimmed),
        Some(0) => (&trimmed[..1], &trimmed[1..]),
        Some(at) => (trimmed[..at].trim_end_matches(separators), &trimmed[at + 1..]),
    }
}

/// Whether a format of strftime is one that chrono can print.
pub fn date_format(format: &str) -> Result<(), String> {
    if StrftimeItems::new(format).any(|item| matches!(item, Item::Error)) {
        return Err(format!("`{format}` is no date format: write one like `%Y-%m-%d`"));
    }
    Ok(())
}

/// A time zone of the filter `date`: `utc`, `local`, or a fixed offset like `+02:00`.
pub fn time_zone(name: &str) -> Result<Option<FixedOffset>, String> {
    match name {
        "local" => Ok(None),
        "utc" | "UTC" | "Z" => Ok(FixedOffset::east_opt(0)),
        other => other
            .parse()
            .map(Some)
            .map_err(|_| format!("`{other}` is no time zone: write `utc`, `local` or an offset like `+02:00`")),
    }
}

fn date(time: &str, format: &str, tz: &str) -> Result<String, String> {
    date_format(format)?;
    let time: DateTime<Utc> = DateTime::parse_from_rfc3339(time)
        .map_err(|_| format!("the filter `date` takes a time like `run.started_at`, found `{time}`"))?
        .with_timezone(&Utc);
    Ok(match time_zone(tz)? {
        Some(offset) => time.with_timezone(&offset).format(format).to_string(),
        None => time.with_timezone(&Local).format(format).to_string(),
    })
}
