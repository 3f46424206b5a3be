//! Where the archives of a plan will lie, as far as that is known before the run: two targets that write the same one are
//! found by it.

use super::Work;
use crate::diag::Span;
use crate::document::{Kind, Node};
use crate::template;
use crate::value::Value;

impl<'a> Work<'a> {
    /// The paths of the archives that the steps write for sure, each as far as it is known before the run.
    pub(super) fn archives(&self) -> Vec<(Span, String)> {
        let mut found = Vec::new();
        for step in self.steps.iter().filter(|s| s.section == "steps" && self.holds(s.when)) {
            let given = |pointer: &str| {
                let in_defaults = || self.defaults(step.executor())?.at(pointer);
                step.with.and_then(|w| w.at(pointer)).or_else(in_defaults).map(|(node, _)| node)
            };
            if !matches!(step.executor(), "pg_dump" | "zip") {
                continue;
            }
            let also = given("/archive/also").map(Node::items).unwrap_or_default();
            for node in [given("/archive/path"), given("/file")].into_iter().flatten().chain(also) {
                if let Some(path) = node.text().and_then(|t| self.told(t, 0)) {
                    found.push((node.span, path));
                }
            }
        }
        found
    }

    /// A text with everything in it that may differ between targets put in; none when that is not known.
    fn told(&self, text: &str, depth: usize) -> Option<String> {
        if depth > 8 {
            return None;
        }
        filled(text, |inner| {
            let (root, key) = inner.split_once('.').unwrap_or((inner, ""));
            let place = match root {
                "vars" => Some(self.root.get("vars").and_then(|v| v.get(key))?),
                "database" => {
                    let own = |node: Option<&'a Node>| node?.get("database")?.get(key);
                    own(self.target).or_else(|| own(Some(self.root)))
                }
                _ => None,
            };
            match place.map(|n| &n.kind) {
                Some(Kind::Text(text)) => self.told(text, depth + 1),
                Some(Kind::Int(number)) => Some(number.to_string()),
                Some(_) => None,
                None => self.part_told(inner),
            }
        })
    }

    /// One expression of such a text.
    fn part_told(&self, inner: &str) -> Option<String> {
        let expression = template::parse_expression(inner).ok()?;
        let names = expression.names();
        // A setting of the database that neither target nor plan gives is that of the environment.
        let same = |root: &str| matches!(root, "params" | "env" | "run" | "plan");
        let plain = inner.strip_prefix("database.").is_some_and(|k| k.chars().all(|c| c.is_ascii_alphanumeric()));
        if plain {
            return Some(format!("${{{{ {inner} }}}}"));
        }
        match expression.eval(&self.foreseen(&names)).ok()? {
            Value::Text(text) => Some(text),
            Value::Int(number) => Some(number.to_string()),
            Value::Unknown if names.iter().all(|n| same(&n.path[0])) => Some(format!("${{{{ {inner} }}}}")),
            _ => None,
        }
    }
}

/// A text with something put in for each expression in it; none when one of them has nothing.
pub(super) fn filled(text: &str, mut part: impl FnMut(&str) -> Option<String>) -> Option<String> {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find("${{") {
        out += &rest[..at];
        let end = rest[at..].find("}}")? + at + 2;
        out += &part(rest[at + 3..end - 2].trim())?;
        rest = &rest[end..];
    }
    Some(out + rest)
}
