//! Paths: whether they name the same file on this machine in every run, and what is kept there.

use std::ops::Range;

use serde_json::Value;

use super::Work;
use super::codes::{COPIES_STAY, DATE_IN_NAME, FIXED_NAME, SHELL_PATH, TEXT_AS_PATH, WINDOWS_PATH};
use super::fits::{of_kind, property};
use super::kinds::variants;
use super::steps::StepAt;
use crate::diag::Finding;
use crate::document::Node;
use crate::plan::paths;
use crate::step::PATH_MARK;
use crate::template::{self, Expression};

/// How far one value is followed into the next.
const DEEP: usize = 8;

impl<'a> Work<'a> {
    /// What is doubtful about the paths of a plan.
    pub(super) fn places(&self) {
        for step in &self.steps {
            let Some(schema) = self.schemas.params(step.executor()) else { continue };
            for node in step.with.into_iter().chain(self.defaults(step.executor())) {
                self.places_below(node, schema);
            }
            if step.section == "steps" && matches!(step.executor(), "pg_dump" | "zip") {
                self.names_of_archives(step);
            }
        }
        let fixed = ["/logs/dir", "/database/sslrootcert", "/targets/include"];
        let fixed = fixed.iter().filter_map(|at| Some(self.root.at(at)?.0));
        let secrets = self.root.get("secrets").map(Node::entries).unwrap_or_default();
        let files = secrets.iter().filter_map(|s| s.value.get("file"));
        let of_target = self.target.and_then(|t| t.get("database")?.get("sslrootcert"));
        fixed.chain(files).chain(of_target).for_each(|node| self.place(node));
        for entry in self.root.get("params").map(Node::entries).unwrap_or_default() {
            let kind = |node: &Node| node.get("type").and_then(Node::text) == Some("path");
            if kind(&entry.value) || entry.value.get("items").is_some_and(kind) {
                let given = self.target.and_then(|t| t.get("params")?.get(&entry.key));
                let values = entry.value.get("default").into_iter().chain(given);
                values.flat_map(|v| std::iter::once(v).chain(v.items())).for_each(|v| self.place(v));
            }
        }
        self.copies();
    }

    /// The paths among the parameters of an executor.
    fn places_below(&self, node: &'a Node, schema: &Value) {
        if variants(schema).into_iter().chain([schema]).any(|s| s.get(PATH_MARK).is_some()) {
            std::iter::once(node).chain(node.items()).for_each(|n| self.place(n));
            return;
        }
        let schema = of_kind(schema, "object");
        for entry in node.entries() {
            if let Some(inner) = property(schema, &entry.key) {
                self.places_below(&entry.value, inner);
            }
        }
    }

    /// A path that means something else here than its author expects.
    fn place(&self, node: &'a Node) {
        self.variables(node);
        let origin = self.origin(node, true, 0);
        if !std::ptr::eq(origin, node) {
            self.variables(origin);
        }
        let Some(text) = origin.text().filter(|t| !t.starts_with("${{")) else { return };
        let beginning = |length: usize| origin.locate(self.text_of(origin.span), 0, length);
        if let Some(shell) = paths::for_a_shell(text) {
            let message = format!("`{shell}` is not expanded: no shell reads this path");
            let help = "write the whole path, or one that begins in the folder of the plan";
            self.push(Finding::error(SHELL_PATH, beginning(shell.len()), message).help(help));
        } else if cfg!(unix) && paths::is_of_windows(text) {
            let message = "this is a Windows path; on this system it names a file in the folder of the plan";
            let help = "write the path of the folder where the share is mounted, like `/mnt/backup`";
            self.push(Finding::warning(WINDOWS_PATH, origin.span, message).help(help));
        }
    }

    /// Variables of a shell behind the beginning of a path.
    fn variables(&self, node: &Node) {
        let text = node.text().unwrap_or_default();
        for part in literals(text) {
            if let Some((at, name)) = paths::variable(&text[part.clone()])
                && part.start + at > 0
            {
                let start = part.start + at;
                let span = node.locate(self.text_of(node.span), start, start + name.len());
                let bare = name.trim_matches(['$', '{', '}', '%']);
                let finding = Finding::warning(SHELL_PATH, span, format!("`{name}` is not expanded"));
                self.push(finding.help(format!("an environment variable is read as `${{{{ env.{bare} }}}}`")));
            }
        }
    }

    /// The value that a text begins with: itself, or the var or default that its first expression reads.
    pub(super) fn origin(&self, node: &'a Node, path: bool, depth: usize) -> &'a Node {
        let first = node.text().and_then(|t| t.strip_prefix("${{")?.split_once("}}")).map(|(inner, _)| inner.trim());
        let Some((root, name)) = first.and_then(|f| f.split_once('.')).filter(|_| depth < DEEP) else { return node };
        let Some(found) = self.root.get(root).and_then(|r| r.get(name)) else { return node };
        match root {
            "vars" => self.origin(found, path, depth + 1),
            "params" => {
                if path {
                    self.text_as_path(name, found);
                }
                found.get("default").unwrap_or(node)
            }
            _ => node,
        }
    }

    /// A parameter that is used as a path and is not declared as one.
    fn text_as_path(&self, name: &str, declared: &Node) {
        if let Some(kind) = declared.get("type").filter(|k| k.text() == Some("string")) {
            let message = format!("`{name}` is used as a path and has the type `string`");
            let finding = Finding::warning(TEXT_AS_PATH, kind.span, message);
            self.push(
                finding
                    .help(format!("write `type: path`: a relative `-p {name}=…` then belongs to the current folder"))
                    .fix(kind.span, "path", false),
            );
        }
    }

    /// The names of the archives that a step makes.
    fn names_of_archives(&self, step: &StepAt<'a>) {
        let given = |pointer: &str| {
            let in_defaults = || self.defaults(step.executor())?.at(pointer);
            step.with.and_then(|w| w.at(pointer)).or_else(in_defaults).map(|(node, _)| node)
        };
        let also = given("/archive/also").map(Node::items).unwrap_or_default();
        for node in [given("/archive/path"), given("/file")].into_iter().flatten().chain(also) {
            let Some(text) = node.text() else { continue };
            self.dates(node, 0);
            if !self.differs(text, 0) {
                let message = "this name is the same in every run, and an existing file is not overwritten";
                let finding = Finding::warning(FIXED_NAME, node.span, message);
                self.push(finding.help("add `${{ run.id }}` to the name"));
            }
        }
    }

    /// Whether a text may be another one in the next run.
    fn differs(&self, text: &str, depth: usize) -> bool {
        let Ok(template) = template::parse(text) else { return true };
        // What was meant as an expression has its finding.
        if literals(text).any(|part| text[part].contains(['{', '}'])) {
            return true;
        }
        template.expressions().flat_map(Expression::names).any(|name| {
            match (name.path[0].as_str(), name.path.get(1).map(String::as_str)) {
                ("database" | "target" | "plan" | "secrets", _) | ("run", Some("host")) => false,
                ("params", Some(param)) => {
                    let declared = self.root.get("params").and_then(|p| p.get(param));
                    let given = self.target.and_then(|t| t.get("params")?.get(param));
                    given.is_none() && declared.is_none_or(|d| d.get("default").is_none())
                }
                ("vars", Some(var)) if depth < DEEP => {
                    let text = self.root.get("vars").and_then(|v| v.get(var)).and_then(Node::text);
                    text.is_none_or(|t| self.differs(t, depth + 1))
                }
                _ => true,
            }
        })
    }

    /// Dates with a `/` in the last part of a path.
    fn dates(&self, node: &'a Node, depth: usize) {
        let Some(text) = node.text().filter(|_| depth < DEEP) else { return };
        let slash = literals(text).filter_map(|part| Some(part.start + text[part].rfind('/')?)).last();
        for part in expressions(text).filter(|p| slash.is_none_or(|s| p.start > s)) {
            let inner = &text[part.clone()];
            if let Some(var) = inner.trim().strip_prefix("vars.") {
                if let Some(node) = self.root.get("vars").and_then(|v| v.get(var)) {
                    self.dates(node, depth + 1);
                }
                continue;
            }
            let format = inner.find("date(").map(|at| at + 5).and_then(|at| {
                let quote = inner[at..].chars().next().filter(|c| matches!(c, '\'' | '"'))?;
                let end = inner[at + 1..].find(quote)?;
                Some(at + 1..at + 1 + end)
            });
            if let Some(range) = format.filter(|r| inner[r.clone()].contains('/')) {
                let at = part.start + range.start;
                let span = node.locate(self.text_of(node.span), at, at + range.len());
                let finding = Finding::warning(DATE_IN_NAME, span, "a `/` in the date makes folders of the name");
                self.push(finding.help("write the date like `%Y-%m-%d`"));
            }
        }
    }

    /// Copies in a folder that no step prunes, in a plan that prunes another one.
    fn copies(&self) {
        let pruning = self.steps.iter().filter(|s| s.executor() == "retention");
        let pruned = pruning.map(|s| self.folder(self.merged(s).get("dir")?.as_str()?)).collect::<Option<Vec<_>>>();
        // One that is not known may be the folder.
        let Some(pruned) = pruned.filter(|p| !p.is_empty()) else { return };
        for step in self.steps.iter().filter(|s| s.section == "steps") {
            let at = |pointer: &str| step.with.and_then(|w| w.at(pointer)).map(|(node, _)| node);
            let copied: Vec<(&Node, Option<String>)> = match step.executor() {
                "copy" => at("/to").map(|n| (n, n.text().and_then(|t| self.folder(t)))).into_iter().collect(),
                "pg_dump" | "zip" => {
                    let also = at("/archive/also").map(Node::items).unwrap_or_default();
                    also.iter().map(|n| (n, n.text().and_then(|t| self.folder_of(t)))).collect()
                }
                _ => Vec::new(),
            };
            for (node, folder) in copied {
                let Some(folder) = folder.filter(|f| !pruned.contains(f)) else { continue };
                let finding =
                    Finding::warning(COPIES_STAY, node.span, format!("nothing removes old copies from `{folder}`"));
                self.push(finding.help(format!("add a `retention` step with `dir: {folder}`")));
            }
        }
    }
}

/// The parts of a text outside `${{ }}`.
pub(super) fn literals(text: &str) -> impl Iterator<Item = Range<usize>> {
    let inside: Vec<Range<usize>> = expressions(text).map(|r| r.start - 3..(r.end + 2).min(text.len())).collect();
    let starts = std::iter::once(0).chain(inside.iter().map(|r| r.end)).collect::<Vec<_>>();
    let ends = inside.iter().map(|r| r.start).chain([text.len()]).collect::<Vec<_>>();
    starts.into_iter().zip(ends).filter(|(start, end)| start < end).map(|(start, end)| start..end)
}

/// The expressions of a text, without their marks.
fn expressions(text: &str) -> impl Iterator<Item = Range<usize>> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let start = at + text[at..].find("${{")? + 3;
        let end = start + text[start..].find("}}").unwrap_or(text.len() - start);
        at = (end + 2).min(text.len());
        Some(start..end)
    })
}
