//! What a plan declares: parameters that fit themselves, secrets with one source each.

use super::codes::{BAD_PARAM, DOUBTFUL, ENV_NAME, SECRET_SOURCE, WRONG_VALUE};
use super::{Work, kinds, shape};
use crate::diag::{Finding, Span};
use crate::document::{Entry, Kind, Node, Style};
use crate::plan::{Param, ParamType};

impl<'a> Work<'a> {
    /// What the schema cannot say of the declared parameters.
    pub(super) fn inputs(&self) {
        for entry in self.root.get("params").map(Node::entries).unwrap_or_default() {
            self.input(entry);
        }
    }

    fn input(&self, entry: &'a Entry) {
        let node = &entry.value;
        let kind = node.get("type").and_then(Node::text).and_then(kind);
        let Some(kind) = kind else { return };
        let name = &entry.key;
        let only = |key: &str, kinds: &[ParamType], what: &str| {
            if let Some(found) = node.entry(key).filter(|_| !kinds.contains(&kind)) {
                let message =
                    format!("`{key}` of `{name}` is for {what} only, and this is a parameter of type {}", kind.name());
                self.push(Finding::error(BAD_PARAM, found.key_span, message));
            }
        };
        let numbers = [ParamType::Integer, ParamType::Number];
        only("items", &[ParamType::Array], "arrays");
        only("minimum", &numbers, "numbers");
        only("maximum", &numbers, "numbers");
        only("pattern", &[ParamType::String], "strings");
        if let Some(pattern) = node.get("pattern")
            && let Some(text) = pattern.text()
            && kinds::matches(text, "").is_none()
        {
            let message = format!("`{text}` is no regular expression");
            let finding = Finding::error(BAD_PARAM, pattern.span, message);
            self.push(finding.help("close every bracket, and write `\\\\.` in double quotes for a dot"));
        }
        let bound = |key: &str| node.get(key).and_then(|n| n.to_json().as_f64());
        if let (Some(least), Some(most)) = (bound("minimum"), bound("maximum"))
            && least > most
        {
            let span = node.get("minimum").map_or(node.span, |n| n.span);
            let finding = Finding::error(BAD_PARAM, span, format!("no number is at least {least} and at most {most}"));
            let other = node.get("maximum").map_or(node.span, |n| n.span);
            self.push(finding.related(other, "the greatest allowed"));
        }
        // The values themselves, each against what the others say; a declaration that does not read as one has its finding.
        let mut plain = node.to_json();
        let Some(map) = plain.as_object_mut() else { return };
        map.remove("default");
        map.remove("enum");
        if kinds::matches(node.get("pattern").and_then(Node::text).unwrap_or_default(), "").is_none() {
            map.remove("pattern");
        }
        let Ok(mut param) = serde_json::from_value::<Param>(plain) else { return };
        let mut sound = true;
        if let Some(choices) = node.get("enum") {
            if matches!(choices.kind, Kind::List(_)) && choices.items().is_empty() {
                self.error(BAD_PARAM, choices.span, format!("`enum` of `{name}` allows no value at all"));
                sound = false;
            }
            for choice in choices.items() {
                sound &= self.accepted(choice, &param, &format!("a choice of `{name}`"));
            }
            param.one_of = Some(choices.items().iter().map(Node::to_json).collect());
        }
        if !sound {
            param.one_of = None;
        }
        if let Some(default) = node.get("default") {
            self.accepted(default, &param, &format!("the default of `{name}`"));
        }
    }

    /// Whether a value is one that a parameter takes.
    pub(super) fn accepted(&self, node: &'a Node, param: &Param, what: &str) -> bool {
        if leaf(node) {
            // `params` is a place without templates, and has its finding.
            return true;
        }
        if is_text(param.kind) && !matches!(node.kind, Kind::Text(_)) && node.style == Style::Plain {
            let raw = self.spelled(node.span);
            if matches!(node.kind, Kind::Int(_) | Kind::Float(_) | Kind::Bool(_)) {
                let (code, found) = match node.doubt(self.text_of(node.span)) {
                    Some(doubt) => (DOUBTFUL, doubt.why),
                    None => (WRONG_VALUE, node.kind_name()),
                };
                let quoted = format!("\"{raw}\"");
                let finding = Finding::error(code, node.span, format!("{what}: `{raw}` is {found}; expected a text"));
                self.push(finding.help(format!("write `{quoted}`")).fix(node.span, quoted, true));
                return false;
            }
        }
        let items = param.items.as_ref().map(|i| i.kind);
        if let (ParamType::Array, Some(kind), Kind::List(list)) = (param.kind, items, &node.kind) {
            let one = Param { kind, items: None, one_of: None, ..param.clone() };
            // All of them are said, not just the first.
            let odd = list.iter().filter(|item| !self.accepted(item, &one, &format!("an item of {what}")));
            if odd.count() > 0 {
                return false;
            }
        }
        if node.text().is_some() && node.doubt(self.text_of(node.span)).is_some() && !is_text(param.kind) {
            // What is doubtful has its finding.
            return false;
        }
        match param.accept(&node.to_json()) {
            Ok(_) => true,
            Err(problem) => {
                let finding = Finding::error(WRONG_VALUE, node.span, format!("{what}: {problem}"));
                let meant = match (param.kind, node.text().map(str::to_ascii_lowercase).as_deref()) {
                    (ParamType::Boolean, Some("yes" | "on" | "y" | "true")) => Some("true".to_owned()),
                    (ParamType::Boolean, Some("no" | "off" | "n" | "false")) => Some("false".to_owned()),
                    (ParamType::Integer, Some(text)) if text.parse::<i64>().is_ok() => Some(text.to_owned()),
                    (ParamType::Number, Some(text)) if text.parse::<f64>().is_ok_and(f64::is_finite) => {
                        Some(text.to_owned())
                    }
                    _ => None,
                };
                let inline = !matches!(node.style, Style::Block | Style::Alias);
                self.push(match meant {
                    Some(text) if inline => finding.help(format!("write `{text}`")).fix(node.span, text, true),
                    _ => finding,
                });
                false
            }
        }
    }

    /// `env: $PASSWORD` names a variable that begins with `$`, which there never is.
    fn variable_name(&self, source: &Entry) {
        let node = &source.value;
        let Some(text) = node.text().filter(|_| source.key == "env") else { return };
        let bare = text.trim_start_matches(['$', '{', '%']).trim_end_matches(['}', '%']);
        let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
        if bare.len() == text.len() || text.starts_with("${{") || bare.is_empty() || !bare.chars().all(is_name) {
            return;
        }
        let message = format!("`env` takes the name of a variable, found `{text}`");
        let finding = Finding::error(ENV_NAME, node.span, message).help(format!("write `env: {bare}`"));
        let inline = !matches!(node.style, Style::Block | Style::Alias);
        self.push(if inline { finding.fix(node.span, bare, true) } else { finding });
    }

    /// Each secret has one source, and it names something.
    pub(super) fn sources(&self) {
        for entry in self.root.get("secrets").map(Node::entries).unwrap_or_default() {
            let Kind::Map(keys) = &entry.value.kind else { continue };
            let given: Vec<&Entry> =
                keys.iter().filter(|e| matches!(e.key.as_str(), "env" | "file" | "command")).collect();
            if let [first, second, ..] = given.as_slice() {
                let message = format!("the secret `{}` has {} sources, expected one", entry.key, given.len());
                let finding = Finding::error(SECRET_SOURCE, second.key_span, message);
                self.push(finding.related(first.key_span, "the first is here"));
            }
            // A key that is misspelt is one finding, not two.
            let known = ["env", "file", "command"];
            if given.is_empty() && !keys.iter().any(|k| shape::meant(keys, &k.key, known.into_iter()).is_some()) {
                let message = format!("the secret `{}` has no source, expected one of env, file, command", entry.key);
                self.error(SECRET_SOURCE, entry.key_span, message);
            }
            for source in given {
                self.variable_name(source);
                let empty = match &source.value.kind {
                    Kind::Text(text) => text.trim().is_empty(),
                    Kind::List(argv) => argv.first().is_none_or(|a| a.text().is_some_and(|t| t.trim().is_empty())),
                    Kind::Null => true,
                    _ => false,
                };
                if empty {
                    let what = match source.key.as_str() {
                        "command" => "program",
                        "file" => "file",
                        _ => "environment variable",
                    };
                    let message = format!("`{}` of the secret `{}` names no {what}", source.key, entry.key);
                    let at = Span::new(self.base.source, source.value.span.start, source.value.span.end);
                    let at = if at.start == at.end { source.key_span } else { at };
                    self.error(SECRET_SOURCE, at, message);
                }
            }
        }
    }
}

/// Whether a text with a template is in it.
fn leaf(node: &Node) -> bool {
    let mut found = false;
    super::leaves(node, &mut |_| found = true);
    found
}

/// Whether the values of a type are texts.
fn is_text(kind: ParamType) -> bool {
    matches!(kind, ParamType::String | ParamType::Path)
}

/// The type of a parameter, by its word.
pub(super) fn kind(word: &str) -> Option<ParamType> {
    serde_json::from_value(word.into()).ok()
}
