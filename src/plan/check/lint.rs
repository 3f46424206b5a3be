//! What is allowed and doubtful all the same.
//!
//! These are warnings. Each has a way to write the plan so that it is silent.

use serde_json::Value;

use super::Work;
use super::archives::filled;
use super::codes::{
    CONSTANT_WHEN, FAULT, IDLE_RETRY, LOOKS_LIKE_TEMPLATE, NEVER_RUNS, NO_ADDRESS, NO_TIMEOUT, RETENTION_ELSEWHERE,
    RETENTION_FIRST, UNUSED,
};
use super::names::bare;
use super::steps::StepAt;
use crate::diag::Finding;
use crate::document::{Kind, Node};
use crate::quantity::Span as Length;
use crate::template;
use crate::value::Value as Plain;

/// Executors that can hang for a night: a lock that is never given, a server that does not answer.
const LONG: [&str; 3] = ["pg_dump", "pg_restore", "restore_check"];
/// Executors that look at an archive which retention may have removed.
const LOOKERS: [&str; 3] = ["copy", "verify", "restore_check"];
/// The roots that an expression can begin with.
const ROOTS: [&str; 10] = ["params", "secrets", "vars", "env", "database", "target", "plan", "run", "steps", "failure"];

impl<'a> Work<'a> {
    pub(super) fn lint(&self) {
        let plan_limit = self.root.get("timeout").is_some();
        for step in &self.steps {
            self.condition(step);
            self.retry(step);
            // A handler has a limit by default.
            let limited = plan_limit || step.section != "steps" || step.node.get("timeout").is_some();
            if LONG.contains(&step.executor()) && !limited {
                let span = step.uses.map_or(step.node.span, |u| u.span);
                let message = format!("{} has no `timeout`, and may wait for ever", step.label);
                let finding = Finding::warning(NO_TIMEOUT, span, message);
                self.push(finding.help("give it one that it never needs, like `timeout: 2h`"));
            }
            if step.executor() == "email" {
                self.address(step);
            }
        }
        self.retention();
        // A condition in braces has its finding.
        let wrapped: Vec<_> =
            self.steps.iter().filter_map(|s| s.when.filter(|w| w.text().is_some_and(|t| bare(t).is_some()))).collect();
        let wrapped: Vec<_> = wrapped.into_iter().chain(self.select()).collect();
        for entry in self.root.entries().iter().filter(|e| !e.key.starts_with("x-")) {
            self.plain_braces(&entry.value, &wrapped);
        }
        self.unused();
    }

    /// Declarations that nothing reads.
    fn unused(&self) {
        let usage = self.usage.borrow();
        for (section, what) in [("params", "parameter"), ("vars", "var"), ("secrets", "secret")] {
            for entry in self.root.get(section).map(Node::entries).unwrap_or_default() {
                // A secret's variable may also be read as `env`.
                let variable = entry.value.get("env").and_then(Node::text).filter(|_| section == "secrets");
                if usage.reads(section, &entry.key) || variable.is_some_and(|v| usage.reads("env", v)) {
                    continue;
                }
                let finding =
                    Finding::warning(UNUSED, entry.key_span, format!("nothing reads the {what} `{}`", entry.key));
                self.push(finding.help(format!("read it as `{section}.{}`, or remove it", entry.key)));
            }
        }
        for entry in self.root.get("defaults").map(Node::entries).unwrap_or_default() {
            let known = self.registry.get(&entry.key).is_some();
            if known && !self.steps.iter().any(|s| s.executor() == entry.key) {
                let message = format!("no step uses `{}`, so nothing takes these defaults", entry.key);
                self.push(Finding::warning(UNUSED, entry.key_span, message));
            }
        }
    }

    /// Conditions that do not depend on anything.
    fn condition(&self, step: &StepAt<'a>) {
        let Some(when) = step.when else { return };
        let truth = match &when.kind {
            Kind::Bool(truth) => Some(*truth),
            Kind::Text(text) if bare(text).is_none() => match template::parse_expression(text).map(|e| e.constant()) {
                Ok(Some(Plain::Bool(truth))) => Some(truth),
                _ => None,
            },
            _ => None,
        };
        match truth {
            Some(true) => {
                let finding = Finding::warning(CONSTANT_WHEN, when.span, "this `when` is always true");
                self.push(finding.help("leave it out"));
            }
            Some(false) => {
                let finding = Finding::warning(NEVER_RUNS, when.span, format!("{} never runs", step.label));
                self.push(finding.help("remove it, or make the condition a parameter"));
            }
            None => {}
        }
    }

    fn retry(&self, step: &StepAt<'a>) {
        let Some(retry) = step.node.entry("retry") else { return };
        let length = |key: &str| retry.value.get(key).and_then(Node::text).and_then(|t| t.parse::<Length>().ok());
        if let Some(attempts) = retry.value.get("attempts").filter(|a| matches!(a.kind, Kind::Int(1))) {
            let finding = Finding::warning(IDLE_RETRY, attempts.span, "one attempt is no retry");
            self.push(finding.help("`attempts` counts the first one too: write at least 2"));
        }
        if let (Some(delay), Some(most), Some(node)) =
            (length("delay"), length("max_delay"), retry.value.get("max_delay"))
            && most < delay
        {
            let finding =
                Finding::warning(IDLE_RETRY, node.span, format!("`max_delay` {most} is shorter than `delay` {delay}"));
            let other = retry.value.get("delay").map_or(node.span, |n| n.span);
            self.push(finding.related(other, "the first wait"));
        }
        let errors = retry.value.get("errors").map(Node::items).unwrap_or_default();
        if let Some(word) = errors.iter().find(|e| e.text() == Some("timeout"))
            && step.node.get("timeout").is_none()
            && step.section == "steps"
        {
            let finding =
                Finding::warning(IDLE_RETRY, word.span, format!("{} has no `timeout` that could pass", step.label));
            self.push(finding.help("give the step a `timeout`, or leave the word out"));
        }
    }

    /// A mail that nobody gets.
    fn address(&self, step: &StepAt<'a>) {
        let given = step.with.and_then(|w| w.get("to"));
        let Some(to) = given.or_else(|| self.defaults("email")?.get("to")) else { return };
        let empty = match &to.kind {
            Kind::List(items) => items.is_empty(),
            Kind::Text(text) => match self.parse(text).as_ref().as_ref().ok().and_then(|t| t.whole()) {
                // A parameter whose default is the empty list or text.
                Some(whole) => whole.names().iter().any(|n| {
                    let path: Vec<&str> = n.path.iter().map(String::as_str).collect();
                    let ["params", name] = path.as_slice() else { return false };
                    let default = self.root.get("params").and_then(|p| p.get(name)).and_then(|p| p.get("default"));
                    default.is_some_and(|d| matches!(&d.kind, Kind::List(l) if l.is_empty()) || d.text() == Some(""))
                }),
                None => text.trim().is_empty(),
            },
            _ => false,
        };
        if empty {
            let finding = Finding::warning(NO_ADDRESS, to.span, format!("the mail of {} goes to nobody", step.label));
            self.push(finding.help("name somebody under `to`, or ask in `when` whether there is anybody"));
        }
    }

    /// Retention that comes too early, or looks where nothing is.
    fn retention(&self) {
        for (at, step) in self.steps.iter().enumerate().filter(|(_, s)| s.executor() == "retention") {
            let span = step.uses.map_or(step.node.span, |u| u.span);
            let later =
                self.steps[at + 1..].iter().find(|s| s.section == step.section && LOOKERS.contains(&s.executor()));
            if let Some(later) = later {
                let message = format!("{} removes archives before {} has looked at them", step.label, later.label);
                let finding = Finding::warning(RETENTION_FIRST, span, message).help("move it behind that step");
                self.push(finding.related(later.uses.map_or(later.node.span, |u| u.span), "which comes later"));
            }
            let with = self.merged(step);
            if !with.contains_key("database")
                && let Some(dump) = self.steps.iter().find(|s| self.dumps_another(s))
            {
                let message = format!(
                    "{} must say whose archives it keeps: {} dumps another database than the plan's",
                    step.label, dump.label
                );
                let finding =
                    Finding::error(FAULT, span, message).help("give it `database`, the name that the dump names");
                self.push(finding.related(dump.uses.map_or(dump.node.span, |u| u.span), "which dumps another one"));
            }
            // Another plan's archives lie where that plan says.
            let Some(dir) = with.get("dir").and_then(Value::as_str).filter(|_| !with.contains_key("plan")) else {
                continue;
            };
            if with.contains_key("pattern") {
                continue;
            }
            let Some(dir) = self.folder(dir) else { continue };
            let filled: Option<Vec<String>> = self.steps.iter().flat_map(|s| self.fills(s)).collect();
            // A step whose folder is not known may be the one.
            let Some(mut filled) = filled else { continue };
            filled.sort();
            filled.dedup();
            if !filled.contains(&dir) {
                let place = step.with.and_then(|w| w.get("dir")).map_or(span, |n| n.span);
                let message = format!("no step of this plan puts archives into `{dir}`");
                let finding = Finding::warning(RETENTION_ELSEWHERE, place, message);
                self.push(if filled.is_empty() {
                    finding.help("`plan` names the plan whose archives lie there")
                } else {
                    finding.help(format!(
                        "they go to {}",
                        filled.iter().map(|f| format!("`{f}`")).collect::<Vec<_>>().join(", ")
                    ))
                });
            }
        }
    }

    /// Whether a step dumps a database that it names itself, otherwise than the plan does.
    fn dumps_another(&self, step: &StepAt<'a>) -> bool {
        let with = self.merged(step);
        let own = with.get("database").and_then(|d| d.get("dbname"));
        let named = |node: Option<&Node>| node?.get("database")?.get("dbname").map(Node::to_json);
        let plans = named(self.target).or_else(|| named(Some(self.root)));
        step.executor() == "pg_dump" && own.is_some_and(|own| Some(own) != plans.as_ref())
    }

    /// The folders that a step puts archives into; none in place of one that is not known.
    fn fills(&self, step: &StepAt<'a>) -> Vec<Option<String>> {
        let with = Value::Object(self.merged(step));
        let text = |pointer: &str| with.pointer(pointer).and_then(Value::as_str);
        match step.executor() {
            "pg_dump" | "zip" => {
                let first = text("/archive/path").or_else(|| text("/file"));
                let also = match with.pointer("/archive/also") {
                    Some(Value::Array(items)) => items.iter().map(Value::as_str).collect(),
                    // A list that is known when it runs.
                    Some(_) => vec![None],
                    None => Vec::new(),
                };
                first.map(Some).into_iter().chain(also).map(|path| self.folder_of(path?)).collect()
            }
            "copy" => text("/to").map(|to| self.folder(to)).into_iter().collect(),
            _ => Vec::new(),
        }
    }

    /// The folder of a file whose path is written so.
    pub(super) fn folder_of(&self, path: &str) -> Option<String> {
        let path = self.expanded(path, 0)?;
        // The last `/` outside a template ends the folder.
        let mut depth = 0usize;
        let slash = path.char_indices().rev().find(|(_, c)| {
            match c {
                '}' => depth += 1,
                '{' => depth = depth.saturating_sub(1),
                _ => {}
            }
            *c == '/' && depth == 0
        });
        match slash {
            Some((at, _)) => Some(tidy(&path[..at])),
            None if path.contains("${{") => None,
            None => Some(".".to_owned()),
        }
    }

    pub(super) fn folder(&self, text: &str) -> Option<String> {
        self.expanded(text, 0).map(|t| tidy(&t))
    }

    /// A text with the vars in it put in as they are written.
    fn expanded(&self, text: &str, depth: usize) -> Option<String> {
        if depth > 8 {
            return None;
        }
        filled(text, |inner| {
            let var = inner.strip_prefix("vars.").and_then(|n| self.root.get("vars")?.get(n));
            match var.and_then(Node::text) {
                Some(text) => self.expanded(text, depth + 1),
                None if var.is_some() => None,
                None => Some(format!("${{{{ {inner} }}}}")),
            }
        })
    }

    /// Texts that were meant as expressions.
    fn plain_braces(&self, node: &'a Node, but: &[&Node]) {
        match &node.kind {
            Kind::List(items) => items.iter().for_each(|i| self.plain_braces(i, but)),
            Kind::Map(entries) => entries.iter().for_each(|e| self.plain_braces(&e.value, but)),
            Kind::Text(text) if text.contains('{') && !but.iter().any(|b| std::ptr::eq(*b, node)) => {
                for (open, close) in [("{{", "}}"), ("${", "}")] {
                    for (at, _) in text.match_indices(open) {
                        let inner = &text[at + open.len()..];
                        let before = &text[..at];
                        let Some(end) = inner.find(close) else { continue };
                        // `${{` is the real thing, and of a `{{{` the last two count.
                        if before.ends_with(['$', '{']) || inner.starts_with('{') {
                            continue;
                        }
                        let root = inner.trim_start().split(['.', '[']).next().unwrap_or_default();
                        if !ROOTS.contains(&root) || !inner.trim_start()[root.len()..].starts_with(['.', '[']) {
                            continue;
                        }
                        // It was meant to be read.
                        let word = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-');
                        let entry = inner.trim_start()[root.len()..].trim_start_matches(['.', '[', '"', '\'']);
                        let entry: String = entry.chars().take_while(|c| word(*c)).collect();
                        self.usage.borrow_mut().names.insert((root.to_owned(), entry));
                        let span = node.locate(self.text_of(node.span), at, at + open.len() + end + close.len());
                        let message = format!("`{open} {close}` is plain text here");
                        let right = format!("${{{{ {} }}}}", inner[..end].trim());
                        let finding = Finding::warning(LOOKS_LIKE_TEMPLATE, span, message);
                        let finding = finding.help(format!("an expression is written `{right}`"));
                        self.push(if span == node.span { finding } else { finding.fix(span, right, false) });
                    }
                }
            }
            _ => {}
        }
    }
}

/// A folder without what does not change where it is.
fn tidy(path: &str) -> String {
    let path = path.trim_end_matches('/');
    let path = path.strip_prefix("${{ plan.dir }}/").unwrap_or(path);
    let path = path.strip_prefix("./").unwrap_or(path);
    if path.is_empty() { "/".to_owned() } else { path.to_owned() }
}
