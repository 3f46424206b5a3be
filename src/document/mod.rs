//! YAML text to values that know their place; the only room that names a YAML crate.
//!
//! Plain scalars are read by the JSON part of YAML 1.2's core schema: `true`, `false`, `null`, `~`, decimal integers and
//! floats. `no`, `off`, `on` and `y` are texts. Spellings that YAML readers disagree on are findings.
//! Aliases are read; what stands behind one has the place of the alias. Merge keys, tags and several documents are
//! refused.

mod errors;
mod layout;
mod parse;
mod scalar;

use crate::diag::{Code, Finding, SourceId, Span};

pub use scalar::Doubt;

/// The codes of this room.
pub mod codes {
    use super::Code;

    /// The file is not valid YAML.
    pub const SYNTAX: Code = Code(1);
    /// The same key is given twice.
    pub const DUPLICATE_KEY: Code = Code(2);
    /// YAML merge keys are not supported.
    pub const MERGE_KEY: Code = Code(3);
    /// The file holds more than one YAML document.
    pub const DOCUMENTS: Code = Code(4);
    /// YAML readers disagree on this value.
    pub const DOUBTFUL: Code = Code(5);
    /// A key is a list or a map.
    pub const KEY: Code = Code(6);
    /// The file is empty.
    pub const EMPTY: Code = Code(7);
    /// The file is too large or nested too deeply.
    pub const LIMIT: Code = Code(8);
    /// YAML tags are not supported.
    pub const TAG: Code = Code(9);
    /// Unquoted braces open a map.
    pub const BRACES: Code = Code(10);
    /// A backslash in double quotes.
    pub const ESCAPE: Code = Code(11);
}

/// One parsed YAML document.
#[derive(Debug, Clone)]
pub struct Document {
    pub root: Node,
}

/// How a scalar is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    Plain,
    SingleQuoted,
    DoubleQuoted,
    /// `|` or `>`.
    Block,
    /// A map or list.
    Collection,
    /// It stands behind an alias.
    Alias,
}

/// A value and where it stands.
#[derive(Debug, Clone)]
pub struct Node {
    pub kind: Kind,
    /// The value's own place; a block map or list has the place of its first key or dash up to the end of its last entry.
    pub span: Span,
    pub style: Style,
}

/// What a value is.
#[derive(Debug, Clone)]
pub enum Kind {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(String),
    List(Vec<Node>),
    Map(Vec<Entry>),
}

/// One entry of a map.
#[derive(Debug, Clone)]
pub struct Entry {
    pub key: String,
    pub key_span: Span,
    pub value: Node,
}

impl Document {
    /// Parses one document. A text that is no YAML gives findings and no document; doubtful spellings give findings
    /// beside the document.
    pub fn parse(source: SourceId, text: &str) -> (Option<Self>, Vec<Finding>) {
        parse::parse(source, text)
    }
}

impl Node {
    /// The value as plain JSON.
    pub fn to_json(&self) -> serde_json::Value {
        use serde_json::Value;
        match &self.kind {
            Kind::Null => Value::Null,
            Kind::Bool(b) => (*b).into(),
            Kind::Int(i) => (*i).into(),
            Kind::Float(f) => (*f).into(),
            Kind::Text(t) => t.as_str().into(),
            Kind::List(items) => items.iter().map(Self::to_json).collect(),
            Kind::Map(entries) => entries.iter().map(|e| (e.key.clone(), e.value.to_json())).collect(),
        }
    }

    /// The entry of a map.
    pub fn entry(&self, key: &str) -> Option<&Entry> {
        self.entries().iter().find(|e| e.key == key)
    }

    /// The value under a key of a map.
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.entry(key).map(|e| &e.value)
    }

    /// The entries of a map; none when it is no map.
    pub fn entries(&self) -> &[Entry] {
        match &self.kind {
            Kind::Map(entries) => entries,
            _ => &[],
        }
    }

    /// The items of a list; none when it is no list.
    pub fn items(&self) -> &[Node] {
        match &self.kind {
            Kind::List(items) => items,
            _ => &[],
        }
    }

    /// The text, if it is one.
    pub fn text(&self) -> Option<&str> {
        match &self.kind {
            Kind::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The kind, as a message names it.
    pub fn kind_name(&self) -> &'static str {
        match self.kind {
            Kind::Null => "nothing",
            Kind::Bool(_) => "a boolean",
            Kind::Int(_) => "an integer",
            Kind::Float(_) => "a number",
            Kind::Text(_) => "a text",
            Kind::List(_) => "a list",
            Kind::Map(_) => "a map",
        }
    }

    /// The node at a JSON pointer (RFC 6901), with its key's place when it is an entry of a map.
    pub fn at(&self, pointer: &str) -> Option<(&Node, Option<Span>)> {
        let mut found = (self, None);
        for part in pointer.split('/').skip(1) {
            let part = part.replace("~1", "/").replace("~0", "~");
            found = match &found.0.kind {
                Kind::Map(_) => found.0.entry(&part).map(|e| (&e.value, Some(e.key_span)))?,
                Kind::List(items) => (items.get(part.parse::<usize>().ok()?)?, None),
                _ => return None,
            };
        }
        Some(found)
    }

    /// Where bytes `start..end` of a text value stand in the source `text`. Exact for plain and quoted scalars in one
    /// line without escapes, and for the lines of block scalars; else the place of the whole scalar.
    pub fn locate(&self, text: &str, start: usize, end: usize) -> Span {
        let Kind::Text(value) = &self.kind else { return self.span };
        let whole = self.span;
        let Some(raw) = text.get(whole.start..whole.end) else { return whole };
        let (quote, body) = match self.style {
            Style::Plain => (0, raw),
            Style::SingleQuoted | Style::DoubleQuoted => {
                (1, raw.get(1..raw.len().saturating_sub(1)).unwrap_or_default())
            }
            Style::Block => return parse::locate_in_block(text, whole, value, start, end).unwrap_or(whole),
            Style::Collection | Style::Alias => return whole,
        };
        if body == value && end <= value.len() {
            return Span::new(whole.source, whole.start + quote + start, whole.start + quote + end);
        }
        // With escapes or folded lines the piece may still stand there once, letter by letter.
        match value.get(start..end).filter(|p| !p.is_empty()) {
            Some(piece) if body.matches(piece).count() == 1 => {
                let at = whole.start + quote + body.find(piece).unwrap_or_default();
                Span::new(whole.source, at, at + piece.len())
            }
            _ => whole,
        }
    }

    /// What makes this scalar doubtful where a text is wanted.
    pub fn doubt(&self, text: &str) -> Option<Doubt> {
        if self.style != Style::Plain {
            return None;
        }
        text.get(self.span.start..self.span.end).and_then(scalar::doubt)
    }
}
