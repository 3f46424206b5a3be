//! A finding: what is wrong with a plan, where, and what would be right.
//!
//! Knows texts and places, nothing of plans. Places are byte ranges into a [`Source`]; lines and columns are computed
//! when somebody reads them. Lines and columns count from 1, a column counts Unicode scalar values (a tab is one).

mod data;
mod mend;
mod text;
mod visible;

use std::fmt;

pub use data::{Report, github, gitlab, json, junit, lines, sarif, xml};
pub use mend::mend;
pub use text::render;
pub use visible::{clean, continued, from_bytes, visible};

/// The stable code of a finding, shown as `RP0102`.
///
/// Families: 00xx YAML, 01xx structure, 02xx executors and their parameters, 03xx names and expressions, 04xx secrets,
/// 05xx lint, 06xx versions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Code(pub u16);

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RP{:04}", self.0)
    }
}

/// How grave a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Severity {
    /// The plan will not be run.
    Error,
    /// The plan runs; `--deny-warnings` makes it an error.
    Warning,
}

/// Which of the [`Sources`] a span lies in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SourceId(pub u16);

/// A half-open range of bytes in one source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Span {
    pub source: SourceId,
    pub start: usize,
    pub end: usize,
}

impl Span {
    /// The range `start..end` of `source`.
    pub fn new(source: SourceId, start: usize, end: usize) -> Self {
        Self { source, start, end }
    }
}

/// One text that was read, under the name it is shown by.
#[derive(Debug, Clone)]
pub struct Source {
    pub name: String,
    pub text: String,
    lines: Vec<usize>,
}

/// A place as people read it; the end is exclusive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    pub file: String,
    pub line: usize,
    pub column: usize,
    pub end_line: usize,
    pub end_column: usize,
}

/// The texts that findings point into.
#[derive(Debug, Clone, Default)]
pub struct Sources(Vec<Source>);

impl Sources {
    /// Adds a text under the name it is shown by.
    pub fn add(&mut self, name: impl Into<String>, text: impl Into<String>) -> SourceId {
        let text = text.into();
        let lines = std::iter::once(0).chain(text.bytes().enumerate().filter(|(_, b)| *b == b'\n').map(|(i, _)| i + 1));
        let lines = lines.collect();
        self.0.push(Source { name: name.into(), text, lines });
        SourceId(u16::try_from(self.0.len() - 1).unwrap_or(u16::MAX))
    }

    /// The texts, in the order in which they were added.
    pub fn iter(&self) -> impl Iterator<Item = (SourceId, &Source)> {
        self.0.iter().enumerate().map(|(i, s)| (SourceId(u16::try_from(i).unwrap_or(u16::MAX)), s))
    }

    /// The text with that id.
    pub fn get(&self, id: SourceId) -> &Source {
        &self.0[usize::from(id.0)]
    }

    /// The same texts with stars for each byte that a finding conceals, so that every place stays where it is.
    fn concealing(&self, findings: &[Finding]) -> Self {
        let mut all = self.clone();
        for finding in findings.iter().filter(|f| f.concealed) {
            let text = &mut all.0[usize::from(finding.span.source.0)].text;
            let end = text.floor_char_boundary(finding.span.end.min(text.len()));
            let start = text.floor_char_boundary(finding.span.start.min(end));
            let stars: String = text[start..end].bytes().map(|b| if b == b'\n' { '\n' } else { '*' }).collect();
            text.replace_range(start..end, &stars);
        }
        all
    }

    /// The place of a span, for people.
    pub fn place(&self, span: Span) -> Place {
        let source = self.get(span.source);
        let (line, column) = source.line_column(span.start);
        let (end_line, end_column) = source.line_column(span.end.max(span.start));
        Place { file: source.name.clone(), line, column, end_line, end_column }
    }
}

impl Source {
    /// Line and column of a byte offset, both from 1.
    pub fn line_column(&self, offset: usize) -> (usize, usize) {
        let offset = self.text.floor_char_boundary(offset.min(self.text.len()));
        let line = self.lines.partition_point(|start| *start <= offset);
        let start = self.lines[line - 1];
        // A byte order mark is no column.
        (line, self.text[start..offset].trim_start_matches('\u{feff}').chars().count() + 1)
    }

    /// The byte offset of a line and column, both from 1; the nearest one when there is no such place.
    pub fn offset(&self, line: usize, column: usize) -> usize {
        let Some(start) = self.lines.get(line.saturating_sub(1)) else {
            return self.text.len();
        };
        self.text[*start..].char_indices().nth(column.saturating_sub(1)).map_or(self.text.len(), |(i, _)| start + i)
    }
}

/// A remedy as a change of the text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fix {
    pub span: Span,
    pub replacement: String,
    /// A safe one keeps the meaning that the author can only have had; `--fix` applies no other.
    pub safe: bool,
}

/// One thing that is wrong, or doubtful.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    pub code: Code,
    pub severity: Severity,
    pub span: Span,
    /// Fact first, lower case, names in back-ticks.
    pub message: String,
    /// What stands under the marked place: `did you mean …?` or what was expected.
    pub label: Option<String>,
    /// What to do.
    pub help: Option<String>,
    /// Second places that help to understand.
    pub related: Vec<(Span, String)>,
    pub fix: Option<Fix>,
    /// What stands at the place is a secret, and no output shows it.
    pub concealed: bool,
}

impl Finding {
    /// An error at a place.
    pub fn error(code: Code, span: Span, message: impl Into<String>) -> Self {
        let message = message.into();
        Self {
            code,
            severity: Severity::Error,
            span,
            message,
            label: None,
            help: None,
            related: Vec::new(),
            fix: None,
            concealed: false,
        }
    }

    /// A warning at a place.
    pub fn warning(code: Code, span: Span, message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(code, span, message) }
    }

    /// The text under the marked place.
    #[must_use]
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.label = Some(label.into());
        self
    }

    /// The place holds a secret.
    #[must_use]
    pub fn conceal(mut self) -> Self {
        self.concealed = true;
        self
    }

    /// What to do about it.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// A second place, with its text.
    #[must_use]
    pub fn related(mut self, span: Span, text: impl Into<String>) -> Self {
        self.related.push((span, text.into()));
        self
    }

    /// The remedy as a change of the text.
    #[must_use]
    pub fn fix(mut self, span: Span, replacement: impl Into<String>, safe: bool) -> Self {
        self.fix = Some(Fix { span, replacement: replacement.into(), safe });
        self
    }
}

/// The nearest of `names` to `word`, when one is near enough to be meant: at most one edit, and one more for each four
/// letters (Damerau-Levenshtein). Two that are equally near are none.
pub fn nearest<'a>(word: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let limit = 1 + word.chars().count() / 4;
    let mut best: Option<(usize, &str)> = None;
    let mut tie = false;
    for name in names {
        let distance = strsim::damerau_levenshtein(word, name);
        if distance > limit || distance >= word.chars().count().max(2) {
            continue;
        }
        match best {
            Some((d, _)) if distance > d => {}
            Some((d, _)) if distance == d => tie = true,
            _ => {
                best = Some((distance, name));
                tie = false;
            }
        }
    }
    best.filter(|_| !tie).map(|(_, name)| name)
}
