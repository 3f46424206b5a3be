//! The shape of values: keys, types, choices, bounds and units, against a schema walked over the nodes.

use std::fmt;

use serde_json::{Map, Value};

use super::Work;
use super::codes::{
    DOUBTFUL, LITERAL_SECRET, MISSING_KEY, MISSING_PARAM, NO_TEMPLATE, UNKNOWN_KEY, UNKNOWN_STEP, WRONG_TYPE,
    WRONG_VALUE,
};
use super::fits::{of_kind, property};
use super::kinds::{choices, is, kinds, matches, variants, wanted};
use crate::diag::{Finding, nearest};
use crate::document::{Entry, Kind, Node};
use crate::plan::schema;
use crate::quantity;
use crate::secret::{PLAIN_MARK, SCHEMA_MARK};

/// What a value is, as a message names it.
#[derive(Clone, Copy)]
pub(super) enum What<'a> {
    Plan,
    /// A step, as `step 3` or ``step `dump` ``, and its executor.
    Step(&'a str, &'a str),
    /// A declared parameter.
    Param(&'a str),
    /// A declared secret.
    Secret(&'a str),
    /// The parameters of an executor.
    Params(&'a str),
    /// What `defaults` has for an executor.
    Defaults(&'a str),
    Key(&'a str),
    Item(&'a str),
}

impl fmt::Display for What<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Plan => f.write_str("the plan"),
            Self::Step(label, _) => f.write_str(label),
            Self::Param(name) => write!(f, "the parameter `{name}`"),
            Self::Secret(name) => write!(f, "the secret `{name}`"),
            Self::Params(name) => write!(f, "the parameters of `{name}`"),
            Self::Defaults(name) => write!(f, "the defaults of `{name}`"),
            Self::Key(key) => write!(f, "`{key}`"),
            Self::Item(key) => write!(f, "an item of `{key}`"),
        }
    }
}

/// What is let pass in a part of a plan.
#[derive(Clone, Copy)]
pub(super) struct Rules {
    /// Keys that begin with `x-`.
    pub top: bool,
    /// Templates.
    pub templates: bool,
    /// Required keys may be missing.
    pub partial: bool,
}

impl Rules {
    pub fn plain() -> Self {
        Self { top: false, templates: false, partial: false }
    }

    pub fn templates() -> Self {
        Self { templates: true, ..Self::plain() }
    }

    /// What holds one level below.
    fn below(self) -> Self {
        Self { top: false, partial: false, ..self }
    }
}

/// The known key that an unknown one was meant to be: it is near, and not there already.
pub(super) fn meant<'k>(entries: &[Entry], key: &str, known: impl Iterator<Item = &'k str>) -> Option<&'k str> {
    meant_of(key, known.filter(|k| !entries.iter().any(|e| e.key == *k)).collect())
}

/// The one of these keys that another one was meant to be: the same in other words, or near.
fn meant_of<'k>(key: &str, free: Vec<&'k str>) -> Option<&'k str> {
    let other_word =
        SYNONYMS.iter().filter(|(word, _)| *word == key).find_map(|(_, own)| free.iter().find(|k| *k == own));
    other_word.copied().or_else(|| nearest(key, free))
}

/// A value with the keys in it that a schema does not have renamed to those that were meant: each has its finding.
pub(super) fn as_meant(value: Value, schema: &Value) -> Value {
    let Value::Object(map) = value else { return value };
    let schema = of_kind(schema, "object");
    let closed = schema.get("additionalProperties") == Some(&Value::Bool(false));
    let known = || schema.get("properties").and_then(Value::as_object).into_iter().flatten().map(|(k, _)| k.as_str());
    let given: Vec<String> = map.keys().cloned().collect();
    let meant = map.into_iter().map(|(key, value)| {
        let free = || known().filter(|k| !given.iter().any(|g| g == k)).collect();
        let own = if closed && property(schema, &key).is_none() { meant_of(&key, free()) } else { None };
        let key = own.map_or(key, str::to_owned);
        let value = match property(schema, &key) {
            Some(inner) => as_meant(value, inner),
            None => value,
        };
        (key, value)
    });
    Value::Object(meant.collect())
}

/// Words of other programs, each with ours.
const SYNONYMS: [(&str, &str); 44] = [
    ("keep", "keep_last"),
    ("user", "username"),
    ("username", "user"),
    ("login", "username"),
    ("role", "user"),
    ("pass", "password"),
    ("passwd", "password"),
    ("pw", "password"),
    ("passphrase", "password"),
    ("database", "dbname"),
    ("db", "dbname"),
    ("name", "dbname"),
    ("db", "database"),
    ("hostname", "host"),
    ("server", "host"),
    ("folder", "dir"),
    ("directory", "dir"),
    ("path", "dir"),
    ("output", "path"),
    ("dest", "to"),
    ("destination", "to"),
    ("target", "to"),
    ("recipients", "to"),
    ("source", "from"),
    ("src", "from"),
    ("sender", "from"),
    ("cmd", "argv"),
    ("command", "argv"),
    ("args", "argv"),
    ("run", "argv"),
    ("sql", "statement"),
    ("query", "statement"),
    ("uri", "url"),
    ("address", "url"),
    ("title", "subject"),
    ("text", "body"),
    ("message", "body"),
    ("if", "when"),
    ("on_error", "on_failure"),
    ("always", "finally"),
    ("variables", "vars"),
    ("parameters", "params"),
    ("inputs", "params"),
    ("jobs", "steps"),
];

/// Keys that ask for a time to start at.
const SCHEDULES: [&str; 6] = ["schedule", "cron", "on", "timer", "every", "interval"];

impl Work<'_> {
    /// Whether a map has the keys that a schema wants, and they the values.
    pub(super) fn keys(&self, entries: &[Entry], schema: &Value, node: &Node, what: What<'_>, rules: Rules) {
        let none = Map::new();
        let properties = schema.get("properties").and_then(Value::as_object).unwrap_or(&none);
        let open = schema.get("additionalProperties");
        let required = schema.get("required").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        let mut missing: Vec<&str> = required
            .iter()
            .filter_map(Value::as_str)
            .filter(|r| !rules.partial && !entries.iter().any(|e| e.key == *r))
            .collect();
        for entry in entries {
            if let Some(inner) = properties.get(&entry.key) {
                self.value(&entry.value, inner, What::Key(&entry.key), rules.below());
            } else if rules.top && entry.key.starts_with("x-") {
            } else if let Some(inner) = open.filter(|o| o.is_object()) {
                let what = match what {
                    What::Key("params") => What::Param(&entry.key),
                    What::Key("secrets") => What::Secret(&entry.key),
                    _ => What::Key(&entry.key),
                };
                self.value(&entry.value, inner, what, rules.below());
            } else if open == Some(&Value::Bool(false)) {
                let known = || properties.keys().map(String::as_str);
                let near = meant(entries, &entry.key, known());
                let finding = if matches!(what, What::Key("defaults")) {
                    Finding::error(UNKNOWN_STEP, entry.key_span, format!("there is no executor `{}`", entry.key))
                } else {
                    Finding::error(UNKNOWN_KEY, entry.key_span, format!("unknown key `{}` in {what}", entry.key))
                };
                if matches!(what, What::Plan) && SCHEDULES.contains(&entry.key.as_str()) {
                    let finding = Finding::error(UNKNOWN_KEY, entry.key_span, "a plan does not say when it starts");
                    let help = "start `runplan PLAN` from cron, like `30 2 * * * runplan /srv/backup/nightly.yaml`, or from a systemd timer";
                    self.push(finding.help(help));
                    continue;
                }
                self.push(match near {
                    Some(near) => {
                        missing.retain(|m| *m != near);
                        self.value(&entry.value, &properties[near], What::Key(near), rules.below());
                        finding.label(format!("did you mean `{near}`?")).fix(entry.key_span, near, false)
                    }
                    None if properties.is_empty() => finding,
                    None if self.is_parameter(what, &entry.key) => {
                        finding.help("it is a parameter of the executor: put it under `with`")
                    }
                    None => finding.help(format!("there are {}", known().collect::<Vec<_>>().join(", "))),
                });
            }
        }
        for key in missing {
            let span = entries.first().map_or(node.span, |e| e.key_span);
            self.push(match what {
                What::Params(name) => {
                    Finding::error(MISSING_PARAM, span, format!("`{name}` needs the parameter `{key}`"))
                }
                _ => Finding::error(MISSING_KEY, span, format!("{what} needs the key `{key}`")),
            });
        }
    }

    /// Whether a key that a step does not have is one that its executor takes.
    pub(super) fn is_parameter(&self, what: What<'_>, key: &str) -> bool {
        let What::Step(_, executor) = what else { return false };
        self.schemas.params(executor).and_then(|s| s.get("properties")?.get(key)).is_some()
    }

    /// Whether a value has the shape that a schema wants.
    pub(super) fn value(&self, node: &Node, schema: &Value, what: What<'_>, rules: Rules) {
        let rules = Rules { templates: rules.templates || schema.get(schema::TEMPLATE_MARK).is_some(), ..rules };
        if node.text().is_some_and(|t| t.contains("${{")) {
            // The condition of a step has a finding of its own for it.
            if !rules.templates && !matches!(what, What::Key("when" | "select")) {
                let finding = Finding::error(NO_TEMPLATE, node.span, format!("{what}: a template does not work here"));
                self.push(finding.help("write the value itself: it is read before anything is computed"));
            }
            return;
        }
        let optional = schema.get("anyOf").and_then(Value::as_array).into_iter().flatten();
        if matches!(node.kind, Kind::Null) && optional.into_iter().any(|s| kinds(s).any(|k| k == "null")) {
            return;
        }
        let variants = variants(schema);
        let schema = match variants.as_slice() {
            [one] => one,
            many => match many.iter().find(|v| kinds(v).any(|k| is(node, k))) {
                Some(fitting) => fitting,
                None => {
                    let words = wanted(many.iter().flat_map(|v| kinds(v)));
                    return self.mistyped(node, &words, what, many);
                }
            },
        };
        let unit = schema.get("x-runplan-unit").and_then(Value::as_str);
        if let (Some(unit), Kind::Int(_) | Kind::Float(_)) = (unit, &node.kind) {
            let (suffix, other) = if unit == "duration" { ("s", "m` or `h") } else { ("B", "MiB` or `GiB") };
            let number = self.number(node);
            let finding =
                Finding::error(WRONG_VALUE, node.span, format!("{what} needs a unit, found the bare number {number}"));
            let finding = finding.help(format!("write `{number}{suffix}`, or with `{other}`"));
            let whole = matches!(node.kind, Kind::Int(_)) && node.style == crate::document::Style::Plain;
            return self.push(if whole { finding.fix(node.span, format!("{number}{suffix}"), false) } else { finding });
        }
        if kinds(schema).next().is_some() && !kinds(schema).any(|k| is(node, k)) {
            return self.mistyped(node, &wanted(kinds(schema)), what, &[schema]);
        }
        match &node.kind {
            Kind::Map(entries) => self.keys(entries, schema, node, what, rules),
            Kind::List(items) => {
                if let Some(inner) = schema.get("items") {
                    let what = match what {
                        What::Key(key) | What::Item(key) => What::Item(key),
                        other => other,
                    };
                    items.iter().for_each(|i| self.value(i, inner, what, rules.below()));
                }
                let least = schema.get("minItems").and_then(Value::as_u64).unwrap_or(0);
                if (items.len() as u64) < least {
                    let s = if least == 1 { "" } else { "s" };
                    let found = if items.is_empty() { "none".to_owned() } else { items.len().to_string() };
                    let message = format!("{what} needs at least {least} item{s}, found {found}");
                    self.error(WRONG_VALUE, node.span, message);
                }
            }
            Kind::Text(text) => self.text(node, text, schema, what, unit),
            Kind::Int(_) | Kind::Float(_) => self.bounds(node, schema, what),
            Kind::Bool(_) | Kind::Null => {}
        }
    }

    /// A number as it is spelled.
    fn number(&self, node: &Node) -> String {
        match node.style {
            crate::document::Style::Plain => self.spelled(node.span).to_owned(),
            _ => node.to_json().to_string(),
        }
    }

    /// A value of the wrong type, with the remedy where the author can have meant one thing only.
    fn mistyped(&self, node: &Node, words: &str, what: What<'_>, schemas: &[&Value]) {
        // What is doubtful, or opens a map by mistake, has its finding.
        let raw = self.spelled(node.span);
        let known = node.text().is_some() && node.doubt(self.text_of(node.span)).is_some_and(|d| !d.only_as_text);
        if known || (matches!(node.kind, Kind::Map(_)) && raw.starts_with("{{")) {
            return;
        }
        let takes = |kind: &str| schemas.iter().any(|s| kinds(s).any(|k| k == kind));
        let plain = node.style == crate::document::Style::Plain;
        if takes("string")
            && plain
            && let Some(doubt) = node.doubt(self.text_of(node.span)).filter(|d| d.only_as_text)
        {
            let message = format!("{what}: `{raw}` is {}; expected a text", doubt.why);
            let quoted = format!("\"{raw}\"");
            let finding = Finding::error(DOUBTFUL, node.span, message).help(format!("write `{quoted}`"));
            return self.push(finding.fix(node.span, quoted, true));
        }
        let found = match &node.kind {
            // What stands in place of a secret's source may be the secret.
            Kind::Text(text) if text.chars().count() <= 40 && !matches!(what, What::Secret(_)) => {
                format!("the text `{text}`")
            }
            _ => node.kind_name().to_owned(),
        };
        let words = if matches!(what, What::Key("when")) { "true, false or an expression" } else { words };
        let finding = Finding::error(WRONG_TYPE, node.span, format!("{what}: expected {words}, found {found}"));
        let remedy = |text: String| (format!("write `{text}`"), Some(text));
        let (help, replacement) = match &node.kind {
            _ if matches!(what, What::Key("when")) => (String::new(), None),
            Kind::Text(_) if matches!(what, What::Secret(_)) => {
                ("say where it comes from, like `{ env: PW }`, never its value".to_owned(), None)
            }
            Kind::Text(_) | Kind::Int(_) | Kind::Bool(_) if matches!(what, What::Param(_)) => {
                (format!("write its type and its default, like `{{ type: string, default: {raw} }}`"), None)
            }
            Kind::Int(_) | Kind::Float(_) | Kind::Bool(_) if takes("string") && plain => remedy(format!("\"{raw}\"")),
            Kind::Text(text) if takes("boolean") => match text.to_ascii_lowercase().as_str() {
                "yes" | "on" | "y" | "true" => remedy("true".to_owned()),
                "no" | "off" | "n" | "false" => remedy("false".to_owned()),
                _ => (String::new(), None),
            },
            Kind::Text(text)
                if (takes("integer") && text.parse::<i64>().is_ok())
                    || (takes("number") && text.parse::<f64>().is_ok_and(f64::is_finite)) =>
            {
                remedy(text.clone())
            }
            Kind::Float(number) if takes("integer") && number.fract() == 0.0 && number.abs() < 1e15 => {
                remedy(format!("{number:.0}"))
            }
            Kind::Map(_) if raw.starts_with("${{") => {
                ("put quotes around the text: a `: ` in it opens a map in YAML".to_owned(), None)
            }
            Kind::Text(text)
                if takes("object") && matches!(what, What::Key("database")) && !text.contains(['{', '"']) =>
            {
                remedy(format!("{{ dbname: {raw} }}"))
            }
            Kind::Map(entries) if takes("array") && entries.iter().any(|e| e.key.starts_with('-')) => {
                ("put a space after each `-`".to_owned(), None)
            }
            Kind::Map(_)
                if takes("array")
                    && matches!(what, What::Key("steps" | "on_failure" | "on_success" | "finally" | "list")) =>
            {
                ("begin each item with `- `".to_owned(), None)
            }
            Kind::Null if takes("object") => ("leave the key out, or write `{}`".to_owned(), None),
            Kind::Null if takes("array") => ("leave the key out, or write `[]`".to_owned(), None),
            Kind::Null => ("leave the key out, or give it a value".to_owned(), None),
            Kind::Text(text) if takes("array") && raw.len() < 60 => {
                let words = matches!(what, What::Key("argv" | "command")) && !text.contains(['"', '\'', '\\']);
                let items = text.split_whitespace().collect::<Vec<_>>().join(", ");
                (format!("write a list: `[{}]`", if words { &items } else { raw }), None)
            }
            _ => (String::new(), None),
        };
        let finding = if help.is_empty() { finding } else { finding.help(help) };
        let inline = !matches!(node.style, crate::document::Style::Block | crate::document::Style::Alias);
        self.push(match replacement {
            Some(text) if inline => finding.fix(node.span, text, true),
            _ => finding,
        });
    }

    fn bounds(&self, node: &Node, schema: &Value, what: What<'_>) {
        let number = node.to_json().as_f64().unwrap_or_default();
        let spelled = self.number(node);
        let bound = |key: &str| schema.get(key).and_then(Value::as_f64);
        let (low, high) = match schema.get("format").and_then(Value::as_str) {
            Some("int8") => (Some(-128.0), Some(127.0)),
            Some("int16") => (Some(-32_768.0), Some(32_767.0)),
            Some("int32") => (Some(f64::from(i32::MIN)), Some(f64::from(i32::MAX))),
            Some("uint8") => (Some(0.0), Some(255.0)),
            Some("uint16") => (Some(0.0), Some(65_535.0)),
            Some("uint32") => (Some(0.0), Some(f64::from(u32::MAX))),
            Some("uint" | "uint64") => (Some(0.0), None),
            _ => (None, None),
        };
        if let Some(choices) = schema.get("enum").and_then(Value::as_array)
            && !choices.iter().any(|c| c.as_f64() == Some(number))
        {
            let all: Vec<String> = choices.iter().map(Value::to_string).collect();
            return self.error(
                WRONG_VALUE,
                node.span,
                format!("{what}: expected {}, found {spelled}", all.join(" or ")),
            );
        }
        if let Some(least) = bound("minimum").or(low).filter(|m| number < *m) {
            self.error(WRONG_VALUE, node.span, format!("{what}: expected at least {least}, found {spelled}"));
        }
        if let Some(above) = bound("exclusiveMinimum").filter(|m| number <= *m) {
            self.error(WRONG_VALUE, node.span, format!("{what}: expected more than {above}, found {spelled}"));
        }
        if let Some(most) = bound("maximum").or(high).filter(|m| number > *m) {
            self.error(WRONG_VALUE, node.span, format!("{what}: expected at most {most}, found {spelled}"));
        }
    }

    fn text(&self, node: &Node, text: &str, schema: &Value, what: What<'_>, unit: Option<&str>) {
        let choices = choices(schema);
        if !choices.is_empty() && !choices.contains(&text) {
            let uses = matches!(what, What::Key("uses"));
            let message = if uses {
                format!("there is no executor `{text}`")
            } else {
                format!("{what}: expected one of {}, found `{text}`", choices.join(", "))
            };
            let finding = Finding::error(if uses { UNKNOWN_STEP } else { WRONG_VALUE }, node.span, message);
            return self.push(match nearest(text, choices.iter().copied()) {
                Some(near) => finding.label(format!("did you mean `{near}`?")).fix(node.span, near, false),
                None if uses => finding.help(format!("there are {}", choices.join(", "))),
                None => finding,
            });
        }
        let malformed = match unit {
            Some("duration") => text.parse::<quantity::Span>().err(),
            Some("rate") => text.parse::<quantity::Rate>().err(),
            Some(_) => text.parse::<quantity::Size>().err(),
            None => None,
        };
        if let Some(error) = malformed {
            return self.error(WRONG_VALUE, node.span, error.to_string());
        }
        if let (None, Some(pattern)) = (unit, schema.get("pattern").and_then(Value::as_str))
            && matches(pattern, text) == Some(false)
        {
            let wanted = schema.get(schema::EXPECTED_MARK).and_then(Value::as_str);
            let wanted = wanted.map_or_else(|| format!("a text that matches `{pattern}`"), str::to_owned);
            return self.error(WRONG_VALUE, node.span, format!("{what}: expected {wanted}, found `{text}`"));
        }
        let least = schema.get("minLength").and_then(Value::as_u64).unwrap_or(0);
        if (text.chars().count() as u64) < least {
            let finding = Finding::error(WRONG_VALUE, node.span, format!("{what} is empty, expected a text"));
            return self.push(finding);
        }
        let secret = schema.get(SCHEMA_MARK).is_some() && schema.get(PLAIN_MARK).is_none();
        if secret && !self.literals.get() && !text.is_empty() {
            let finding = Finding::warning(LITERAL_SECRET, node.span, format!("{what} is in plain text"));
            self.push(
                finding
                    .conceal()
                    .help("declare it under `secrets`, like `pw: { env: PW }`, and write `${{ secrets.pw }}` here"),
            );
        }
    }
}
