//! Names and types in templates: what they read must exist, what they give must fit its place.

use std::collections::{BTreeSet, HashSet};

use serde_json::Value;

use super::codes::{CALL, MAYBE_MISSING, NAME, SYNTAX, TOO_EARLY, TYPE, WRAPPED_WHEN};
use super::fits::{of_kind, property, tainted, takes_anything};
use super::shape::meant;
use super::{Work, steps};
use crate::diag::{Finding, nearest};
use crate::document::{Kind, Node, Style};
use crate::template::{self, Name, Problem, ProblemKind, Type};

/// Where a template stands, as far as that says what it may read.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Area {
    Secrets,
    /// Which targets are taken, and how many at a time; the folder of the logs in a plan with targets.
    Targets,
    /// Vars, the database, the logs, the lock.
    Before,
    Step,
}

/// A place that templates stand in.
pub(super) struct Place<'p> {
    pub area: Area,
    pub scope: &'p Type,
    /// The step's place in the list of all.
    pub step: Option<usize>,
    /// The conditions that hold when it is rendered.
    pub holds: BTreeSet<String>,
    /// Steps whose end is asked for before it is rendered.
    pub asked: HashSet<String>,
    /// Nothing keeps it from being rendered.
    pub certain: bool,
}

impl<'p> Place<'p> {
    pub fn before(area: Area, scope: &'p Type) -> Self {
        Self { area, scope, step: None, holds: BTreeSet::new(), asked: HashSet::new(), certain: true }
    }
}

/// The expression of a condition that is written as a template.
pub(super) fn bare(when: &str) -> Option<&str> {
    let text = when.trim();
    let inner = text.strip_prefix("${{").or_else(|| text.strip_prefix("{{"))?;
    Some(inner.strip_suffix("}}")?.trim())
}

/// The parts of a condition that all hold when it does.
pub(super) fn conjuncts(when: &str) -> BTreeSet<String> {
    let text = when.split_whitespace().collect::<Vec<_>>().join(" ");
    if text.contains(" or ") || text.contains(" if ") {
        return BTreeSet::from([text]);
    }
    text.split(" and ").map(str::to_owned).collect()
}

impl<'a> Work<'a> {
    /// A condition: the `when` of a step, the `select` of targets.
    pub(super) fn when(&self, key: &str, node: &'a Node, place: &Place<'_>) {
        let Some(text) = node.text() else { return };
        if let Some(bare) = bare(text) {
            let message = format!("`{key}` is an expression as it stands, without `${{{{ }}}}`");
            let finding = Finding::error(WRAPPED_WHEN, node.span, message);
            let finding = finding.help(format!("write `{key}: {bare}`"));
            // Only a text that is one whole expression can be mended by taking the marks away.
            let one = template::parse_expression(bare).is_ok();
            let plain = node.style == Style::Plain && !bare.contains(": ") && !bare.contains(" #");
            let replacement = if plain { bare.to_owned() } else { serde_json::to_string(bare).unwrap_or_default() };
            let inline = !matches!(node.style, Style::Block | Style::Alias);
            self.push(if one && inline { finding.fix(node.span, replacement, true) } else { finding });
            return;
        }
        match template::parse_expression(text) {
            Err(problem) => self.problem(node, &problem),
            Ok(expression) => {
                let names = expression.names();
                let before = self.findings.borrow().len();
                self.names(node, &names, place);
                let (found, problems) = expression.infer(place.scope);
                problems.iter().for_each(|p| self.problem(node, p));
                let truth = |t: &Type| matches!(t, Type::Bool | Type::Any);
                let fits = matches!(&found, Type::Either(all) if all.iter().all(truth)) || truth(&found);
                if !fits && problems.is_empty() {
                    let finding =
                        Finding::error(TYPE, node.span, format!("`{key}` needs true or false, found {}", found.name()));
                    self.push(match found {
                        Type::Text => finding.help(format!("compare it: `{text} != \"\"`")),
                        Type::Int | Type::Float => finding.help(format!("compare it: `{text} > 0`")),
                        Type::List(_) => finding.help(format!("compare its length: `{text} | length > 0`")),
                        _ => finding,
                    });
                }
                if !super::failed(&self.findings.borrow()[before..]) {
                    self.foresee_condition(node, &expression, &names);
                }
            }
        }
    }

    pub(super) fn problem(&self, node: &Node, problem: &Problem) {
        let span = node.locate(self.text_of(node.span), problem.range.start, problem.range.end);
        let code = match problem.kind {
            ProblemKind::Syntax => SYNTAX,
            ProblemKind::Call => CALL,
            ProblemKind::Name => NAME,
            ProblemKind::Type => TYPE,
        };
        let finding = Finding::error(code, span, problem.message.clone());
        let at = node.text().and_then(|t| t.get(problem.range.start..)).and_then(|t| t.chars().next());
        let finding = match &problem.help {
            None if code == SYNTAX && at == Some('=') => finding.help("`==` compares"),
            None if code == SYNTAX && at.is_some_and(|c| c.is_alphabetic() && !c.is_ascii()) => {
                finding.help("a name with such letters is read like `params[\"größe\"]`")
            }
            Some(help) if help.starts_with("did you mean") => finding.label(help.clone()),
            Some(help) => finding.help(help.clone()),
            None => finding,
        };
        self.push(match &problem.replacement {
            Some(text) if span != node.span => finding.fix(span, text.clone(), false),
            _ => finding,
        });
    }

    /// Whether every name exists, segment by segment.
    fn names(&self, node: &'a Node, names: &[Name], place: &Place<'_>) {
        for name in names {
            let mut here = place.scope;
            for (depth, (segment, range)) in name.path.iter().zip(&name.ranges).enumerate() {
                match here {
                    Type::Open(values) => here = values,
                    Type::Map(map) => match map.get(segment) {
                        Some(next) => here = next,
                        None if name.defaulted && self.some_label(&name.path[..depth], segment) => break,
                        None => {
                            self.unknown(node, name, depth, range, map.keys().map(String::as_str), place);
                            break;
                        }
                    },
                    _ => break,
                }
            }
            if !name.defaulted {
                self.maybe_missing(node, name, names, place);
            }
        }
    }

    fn unknown<'k>(
        &self,
        node: &'a Node,
        name: &Name,
        depth: usize,
        range: &std::ops::Range<usize>,
        keys: impl Iterator<Item = &'k str> + Clone,
        place: &Place<'_>,
    ) {
        let segment = &name.path[depth];
        let span = node.locate(self.text_of(node.span), range.start, range.end);
        if depth == 0 {
            if let (Some(near), Some(entry)) = (nearest(segment, keys.clone()), name.path.get(1)) {
                self.usage.borrow_mut().names.insert((near.to_owned(), entry.clone()));
            }
            // The rest of a name with a `-`, whose beginning has its finding.
            let before = node.text().and_then(|t| t.get(..range.start)).unwrap_or_default();
            if before.ends_with('-') && !before.ends_with(" -") {
                return;
            }
            return self.unknown_root(node, segment, span, keys, place);
        }
        let before = name.path[..depth].join(".");
        if before == "steps"
            && let Some(at) = self.ids.get(segment.as_str())
        {
            let step = &self.steps[*at];
            let message = match place.step {
                Some(own) if own == *at => format!("step `{segment}` reads itself"),
                Some(own) if self.steps[own].section == step.section => {
                    format!("step `{segment}` runs later than this one")
                }
                _ => format!("step `{segment}` of `{}` cannot be read here", step.section),
            };
            let finding = Finding::error(TOO_EARLY, span, message);
            let id = step.id.map_or(step.node.span, |n| n.span);
            return self.push(if place.step == Some(*at) { finding } else { finding.related(id, "it stands here") });
        }
        let finding = Finding::error(NAME, span, format!("`{before}` has no `{segment}`"));
        // `params.backup-dir` reads as a subtraction.
        let dashed = format!("{segment}-");
        if let Some(whole) = keys.clone().find(|k| k.starts_with(&dashed)) {
            return self.push(finding.help(format!("a name with a `-` is read as `{before}[\"{whole}\"]`")));
        }
        if self.some_label(&name.path[..depth], segment) {
            let help = format!("give every target the label, or write `{before}.{segment} | default(…)`");
            return self.push(finding.help(help));
        }
        let near = nearest(segment, keys.clone());
        if let Some(near) = near
            && matches!(before.as_str(), "params" | "vars" | "secrets" | "steps")
        {
            // What was meant is in use: one mistake is one finding.
            self.usage.borrow_mut().names.insert((before.clone(), near.to_owned()));
        }
        let declared = near.and_then(|near| self.root.get(&before).and_then(|n| n.entry(near)).map(|e| e.key_span));
        let finding = match near {
            Some(near) => {
                let finding = finding.label(format!("did you mean `{near}`?"));
                if span == node.span { finding } else { finding.fix(span, near, false) }
            }
            None if keys.clone().next().is_none() && before == "steps" => {
                finding.help("no step with an `id` stands before this one")
            }
            None if keys.clone().next().is_none() && matches!(before.as_str(), "params" | "vars" | "secrets") => {
                finding.help(format!("declare it under `{before}`"))
            }
            None if keys.clone().next().is_none() => finding,
            None => finding.help(format!("there are {}", keys.collect::<Vec<_>>().join(", "))),
        };
        self.push(match declared {
            Some(place) => finding.related(place, "a similar name is declared here"),
            None => finding,
        });
    }

    fn unknown_root<'k>(
        &self,
        node: &Node,
        root: &str,
        span: crate::diag::Span,
        keys: impl Iterator<Item = &'k str> + Clone,
        place: &Place<'_>,
    ) {
        let here = match root {
            "vars" | "database" | "secrets" | "run" | "target" | "steps" if place.area == Area::Targets => {
                Some("this is decided before any target's vars, database and secrets are known")
            }
            "steps" => Some("`steps` cannot be read here, which is computed before the first step"),
            "failure" => Some("`failure` is known in `on_failure` and `finally` only"),
            "target" => Some("`target` is known in a plan with `targets` only"),
            "vars" | "database" | "secrets" if place.area == Area::Secrets => {
                Some("a secret is fetched before vars, the database and other secrets are known")
            }
            _ => None,
        };
        if let Some(message) = here {
            return self.error(NAME, span, message);
        }
        let finding = Finding::error(NAME, span, format!("there is no `{root}`"));
        let word = match root.to_ascii_lowercase().as_str() {
            "yes" | "on" | "y" => Some("true"),
            "no" | "off" | "n" => Some("false"),
            _ => None,
        };
        let declared = ["params", "vars", "secrets", "steps"].into_iter().find(|k| {
            matches!(place.scope, Type::Map(roots) if matches!(roots.get(*k), Some(Type::Map(map)) if map.contains_key(root)))
        });
        let replacement = match (word, declared) {
            (Some(word), _) => Some(word.to_owned()),
            (None, Some(key)) => {
                self.usage.borrow_mut().names.insert((key.to_owned(), root.to_owned()));
                Some(format!("{key}.{root}"))
            }
            _ => nearest(root, keys.clone()).map(str::to_owned),
        };
        self.push(match replacement {
            Some(text) => {
                let finding = finding.label(format!("did you mean `{text}`?"));
                if span == node.span && node.style != Style::Plain { finding } else { finding.fix(span, text, false) }
            }
            None => finding.help(format!("there are {}", keys.collect::<Vec<_>>().join(", "))),
        });
    }

    /// What a name reads may not be there when the run comes to it.
    fn maybe_missing(&self, node: &Node, name: &Name, all: &[Name], place: &Place<'_>) {
        let path: Vec<&str> = name.path.iter().map(String::as_str).collect();
        let at = || node.locate(self.text_of(node.span), name.range.start, name.range.end);
        if let ["database", key @ ("password" | "sslrootcert" | "connect_timeout"), ..] = path.as_slice() {
            let own = |d: Option<&Node>| d.is_some_and(|d| d.get(key).is_some());
            if !own(self.root.get("database")) && !own(self.target.and_then(|t| t.get("database"))) {
                let message = format!("`database.{key}` is there only when the environment gives it");
                let finding = Finding::warning(MAYBE_MISSING, at(), message);
                self.push(finding.help(format!("set it under `database`, or write `database.{key} | default(…)`")));
            }
            return;
        }
        let ["steps", id, "outputs", ..] = path.as_slice() else { return };
        let Some(step) = self.ids.get(id).map(|i| &self.steps[*i]) else { return };
        let here = place.step.map(|i| &self.steps[i]);
        let asks = |n: &Name| n.path.get(1).is_some_and(|i| i == id) && n.path.get(2).is_some_and(|s| s == "status");
        if place.asked.contains(*id) || all.iter().any(asks) {
            return;
        }
        let handler = here.is_some_and(|h| matches!(h.section, "on_failure" | "finally") && h.section != step.section);
        let (why, second) = if handler {
            (format!("step `{id}` may not have run, and then has no outputs"), None)
        } else if step.continues() {
            let flag = step.node.entry("continue_on_error").map(|e| e.key_span);
            (
                format!("step `{id}` may fail, and then has no outputs"),
                flag.map(|s| (s, "the run goes on all the same")),
            )
        } else if let Some(when) = step.when.filter(|w| w.text().is_some() || matches!(w.kind, Kind::Bool(false))) {
            if when.text().is_some_and(|w| conjuncts(w).is_subset(&place.holds)) {
                return;
            }
            (
                format!("step `{id}` may be skipped, and then has no outputs"),
                Some((when.span, "skipped when this is false")),
            )
        } else {
            return;
        };
        let finding = Finding::warning(MAYBE_MISSING, at(), why);
        let finding = finding.help(format!("add `| default(…)`, or a `when: steps.{id}.status == \"ok\"`"));
        self.push(match second {
            Some((span, text)) => finding.related(span, text),
            None => finding,
        });
    }

    /// Every template below a node, with the schema of the place it stands in; without one, anything may stand there.
    pub(super) fn templates(&self, node: &'a Node, schema: Option<&Value>, key: &str, place: &Place<'_>) {
        static ANY: Value = Value::Null;
        match &node.kind {
            Kind::Map(entries) => {
                let schema = schema.map(|s| of_kind(s, "object"));
                for entry in entries {
                    // A key that is misspelt has its finding; its value is that of the one that was meant.
                    let inner = schema.and_then(|s| match property(s, &entry.key) {
                        None if takes_anything(s) => Some(s),
                        None if s.get("additionalProperties") == Some(&Value::Bool(false)) => {
                            let known = s.get("properties").and_then(Value::as_object).into_iter().flatten();
                            property(s, meant(entries, &entry.key, known.map(|(k, _)| k.as_str()))?)
                        }
                        found => Some(found.unwrap_or(&ANY)),
                    });
                    self.templates(&entry.value, inner, &entry.key, place);
                }
            }
            Kind::List(items) => {
                let inner = schema.map(|s| of_kind(s, "array")).map(|s| match s.get("items") {
                    None if takes_anything(s) => s,
                    found => found.unwrap_or(&ANY),
                });
                items.iter().for_each(|i| self.templates(i, inner, key, place));
            }
            Kind::Text(text) if text.contains("${{") => match &*self.parse(text) {
                Err(problems) => problems.iter().for_each(|p| self.problem(node, p)),
                Ok(template) => {
                    let names: Vec<Name> = template.expressions().flat_map(template::Expression::names).collect();
                    let before = self.findings.borrow().len();
                    self.names(node, &names, place);
                    let (found, problems) = template.infer(place.scope);
                    problems.iter().for_each(|p| self.problem(node, p));
                    let found = tainted(template, &self.hidden).unwrap_or(found);
                    if let Some(schema) = schema {
                        self.fits(node, &found, schema, key, &names);
                    }
                    // What has a finding already would only be said twice.
                    if !super::failed(&self.findings.borrow()[before..]) {
                        self.foresee(node, template, &names, (schema, key), place);
                    }
                }
            },
            _ => {}
        }
    }
}

impl steps::StepAt<'_> {
    /// Whether the run goes on when it fails.
    fn continues(&self) -> bool {
        self.node.get("continue_on_error").is_some_and(|n| matches!(n.kind, Kind::Bool(true)))
    }
}
