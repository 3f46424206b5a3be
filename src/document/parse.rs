//! From the YAML crate's events to nodes, and from its errors to findings of ours.

use std::collections::HashMap;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_yaml::{DuplicateKeyPolicy, MergeKeyPolicy, Spanned};

use super::errors::explain;
use super::{Document, Entry, Kind, Node, Style, codes, scalar};
use crate::diag::{Finding, SourceId, Span};

/// The largest text that is parsed, in bytes.
const MAX_BYTES: usize = 1 << 20;
/// The deepest nesting.
const MAX_DEPTH: usize = 64;
/// The most nodes, aliases followed.
const MAX_NODES: usize = 200_000;

fn options() -> serde_yaml::Options {
    serde_yaml::options! {
        strict_booleans: true,
        leading_zero_numbers_as_strings: true,
        underscored_numbers_as_strings: true,
        reject_unsupported_tags: true,
        with_snippet: false,
        duplicate_keys: DuplicateKeyPolicy::PassThrough,
        merge_keys: MergeKeyPolicy::AsOrdinary,
        budget: serde_yaml::budget! { max_nodes: MAX_NODES, max_depth: MAX_DEPTH, max_documents: 1 },
    }
}

/// From here on a text may be deep; what people write is not.
const SHALLOW: usize = 28;
/// A stack that is deep enough for [`MAX_DEPTH`], in bytes.
const STACK: usize = 16 << 20;

/// How deep a text may be at most: its brackets, its indentation and its dashes, whether or not they nest.
fn depth(text: &str) -> usize {
    let (mut open, mut deepest) = (0usize, 0usize);
    for line in text.lines() {
        let body = line.trim_start_matches([' ', '-', '?', ':']);
        let mut most = open;
        for byte in body.bytes() {
            match byte {
                b'[' | b'{' => open += 1,
                b']' | b'}' => open = open.saturating_sub(1),
                _ => continue,
            }
            most = most.max(open);
        }
        deepest = deepest.max(line.len() - body.len() + most);
    }
    deepest
}

/// A value as the YAML crate gives it.
enum Raw {
    Scalar(String),
    /// A boolean, a number or null: its spelling is in the source.
    Typed,
    List(Vec<Spanned<Raw>>),
    Map(Vec<(Spanned<Raw>, Spanned<Raw>)>),
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = Raw;
            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("a value")
            }
            fn visit_str<E>(self, v: &str) -> Result<Raw, E> {
                Ok(Raw::Scalar(v.to_owned()))
            }
            fn visit_string<E>(self, v: String) -> Result<Raw, E> {
                Ok(Raw::Scalar(v))
            }
            fn visit_bool<E>(self, _: bool) -> Result<Raw, E> {
                Ok(Raw::Typed)
            }
            fn visit_i64<E>(self, _: i64) -> Result<Raw, E> {
                Ok(Raw::Typed)
            }
            fn visit_u64<E>(self, _: u64) -> Result<Raw, E> {
                Ok(Raw::Typed)
            }
            fn visit_i128<E>(self, _: i128) -> Result<Raw, E> {
                Ok(Raw::Typed)
            }
            fn visit_u128<E>(self, _: u128) -> Result<Raw, E> {
                Ok(Raw::Typed)
            }
            fn visit_f64<E>(self, _: f64) -> Result<Raw, E> {
                Ok(Raw::Typed)
            }
            fn visit_unit<E>(self) -> Result<Raw, E> {
                Ok(Raw::Typed)
            }
            fn visit_none<E>(self) -> Result<Raw, E> {
                Ok(Raw::Typed)
            }
            fn visit_some<D: Deserializer<'de>>(self, d: D) -> Result<Raw, D::Error> {
                Raw::deserialize(d)
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Raw, A::Error> {
                let mut items = Vec::new();
                while let Some(item) = seq.next_element()? {
                    items.push(item);
                }
                Ok(Raw::List(items))
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Raw, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }
                Ok(Raw::Map(entries))
            }
        }
        deserializer.deserialize_any(Reader)
    }
}

/// Parses one document.
pub fn parse(source: SourceId, text: &str) -> (Option<Document>, Vec<Finding>) {
    let at = |start: usize, end: usize| Span::new(source, start, end);
    if text.len() > MAX_BYTES {
        let message = format!("the text is larger than {} KiB", MAX_BYTES >> 10);
        return (None, vec![Finding::error(codes::LIMIT, at(0, 0), message).help("split it into several plans")]);
    }
    let read = || serde_yaml::from_str_with_options::<Spanned<Raw>>(text, options());
    // The YAML crate recurses: what may be deep is read where the stack is deep enough, whoever calls.
    let read = if depth(text) < SHALLOW {
        Some(read())
    } else {
        std::thread::scope(|scope| {
            let thread = std::thread::Builder::new().stack_size(STACK).spawn_scoped(scope, read);
            thread.ok().and_then(|t| t.join().ok())
        })
    };
    let Some(read) = read else {
        return (None, vec![Finding::error(codes::LIMIT, at(0, 0), "the text is nested too deeply to be read")]);
    };
    match read {
        Ok(raw) => {
            let mut work = Work { source, text, findings: Vec::new() };
            let root = work.node(raw, None);
            let mut findings = work.findings;
            if matches!(root.kind, Kind::Null) && root.span.start == root.span.end {
                findings.push(
                    Finding::error(codes::EMPTY, at(0, 0), "there is nothing in it")
                        .help("`runplan steps` lists what a step can use"),
                );
                return (None, findings);
            }
            (Some(Document { root }), findings)
        }
        Err(error) => (None, vec![explain(source, text, &error)]),
    }
}

struct Work<'t> {
    source: SourceId,
    text: &'t str,
    findings: Vec<Finding>,
}

impl Work<'_> {
    fn span(&self, raw: &Spanned<Raw>) -> Span {
        let span = raw.referenced.span();
        let start = span.byte_offset().and_then(|o| usize::try_from(o).ok()).unwrap_or(0).min(self.text.len());
        let length = span.byte_len().and_then(|o| usize::try_from(o).ok()).unwrap_or(0);
        Span::new(self.source, start, (start + length).min(self.text.len()))
    }

    /// `behind`: the place of the alias that the value stands behind.
    fn node(&mut self, raw: Spanned<Raw>, behind: Option<Span>) -> Node {
        let own = self.span(&raw);
        let alias = behind.or_else(|| (raw.referenced != raw.defined).then_some(own));
        let span = alias.unwrap_or(own);
        match raw.value {
            Raw::List(items) => {
                let items: Vec<Node> = items.into_iter().map(|i| self.node(i, alias)).collect();
                let end = items.last().map_or(span.end, |n| n.span.end).max(span.end);
                let span = alias.unwrap_or_else(|| self.closed(Span { end, ..span }));
                Node { kind: Kind::List(items), span, style: Style::Collection }
            }
            Raw::Map(entries) => self.map(entries, span, alias),
            Raw::Scalar(_) | Raw::Typed if alias.is_some() => {
                let defined = raw.defined.span();
                let start = defined.byte_offset().and_then(|o| usize::try_from(o).ok()).unwrap_or(0);
                let length = defined.byte_len().and_then(|o| usize::try_from(o).ok()).unwrap_or(0);
                let kind = self.scalar(raw.value, self.text.get(start..start + length).unwrap_or_default()).0;
                Node { kind, span, style: Style::Alias }
            }
            scalar => {
                let (kind, style) = self.scalar(scalar, self.text.get(span.start..span.end).unwrap_or_default());
                let node = Node { kind, span, style };
                self.doubtful(&node);
                self.escapes(&node);
                node
            }
        }
    }

    fn scalar(&self, raw: Raw, spelled: &str) -> (Kind, Style) {
        let style = match spelled.as_bytes().first() {
            Some(b'\'') => Style::SingleQuoted,
            Some(b'"') => Style::DoubleQuoted,
            Some(b'|' | b'>') => Style::Block,
            _ => Style::Plain,
        };
        match raw {
            Raw::Scalar(text) if style != Style::Plain => (Kind::Text(text), style),
            // The crate folds the lines of a plain scalar; what is spelled on one line is taken as spelled.
            Raw::Scalar(text) if text != spelled => (Kind::Text(text), style),
            _ => (scalar::classify(spelled), style),
        }
    }

    /// A collection in brackets ends behind its closing bracket.
    fn closed(&self, span: Span) -> Span {
        let close = match self.text.as_bytes().get(span.start) {
            Some(b'[') => ']',
            Some(b'{') => '}',
            _ => return span,
        };
        // Between the last item and the bracket stand only blanks, a comma and comments.
        match self.text.get(span.end..).and_then(|rest| rest.find(close)) {
            Some(i) => Span { end: span.end + i + 1, ..span },
            None => span,
        }
    }

    fn map(&mut self, raw: Vec<(Spanned<Raw>, Spanned<Raw>)>, span: Span, alias: Option<Span>) -> Node {
        let mut entries: Vec<Entry> = Vec::with_capacity(raw.len());
        let mut seen: HashMap<String, Span> = HashMap::with_capacity(raw.len());
        let mut braces = false;
        for (key, value) in raw {
            let key_span = alias.unwrap_or_else(|| self.span(&key));
            let spelled = self.text.get(key_span.start..key_span.end).unwrap_or_default().to_owned();
            let key = match key.value {
                Raw::Scalar(text) => text,
                Raw::Typed if !spelled.is_empty() => {
                    // `1: x` or `true: x`: as a key it is a text to us, and the checker knows no such key.
                    spelled
                }
                Raw::Typed => String::new(),
                Raw::List(_) | Raw::Map(_) => {
                    if self.text.get(span.start..span.start + 2) == Some("{{") {
                        braces = true;
                    } else {
                        let message = "a key is a text, found a list or a map";
                        self.findings.push(Finding::error(codes::KEY, key_span, message));
                    }
                    continue;
                }
            };
            if key == "<<" && alias.is_none() {
                let finding = Finding::error(codes::MERGE_KEY, key_span, "merge keys (`<<`) are not read");
                self.findings
                    .push(finding.help("write the keys out, or put what several steps share under `defaults`"));
                continue;
            }
            let value = self.node(value, alias);
            if let Some(first) = seen.get(&key).copied()
                && alias.is_none()
            {
                let finding = Finding::error(
                    codes::DUPLICATE_KEY,
                    key_span,
                    format!("the key `{key}` stands here a second time"),
                );
                self.findings.push(finding.related(first, "first here").help("remove one of the two"));
                continue;
            }
            seen.insert(key.clone(), key_span);
            entries.push(Entry { key, key_span, value });
        }
        if braces {
            let finding = Finding::error(codes::BRACES, span, "an unquoted `{{` opens a map in YAML");
            self.findings.push(finding.help("an expression is written `${{ … }}`"));
        }
        let start =
            alias.map_or_else(|| entries.first().map_or(span.start, |e| span.start.min(e.key_span.start)), |a| a.start);
        let end = entries.last().map_or(span.end, |e| e.value.span.end.max(e.key_span.end)).max(span.end);
        let span = alias.unwrap_or_else(|| self.closed(Span { start, end, ..span }));
        Node { kind: Kind::Map(entries), span, style: Style::Collection }
    }

    /// A path of Windows in double quotes, where each backslash begins an escape.
    fn escapes(&mut self, node: &Node) {
        let (Style::DoubleQuoted, Kind::Text(value)) = (node.style, &node.kind) else { return };
        let raw = self.text.get(node.span.start..node.span.end).unwrap_or_default();
        let drive = raw.as_bytes();
        let path =
            drive.len() > 5 && drive[1].is_ascii_alphabetic() && raw[2..].starts_with(":\\") && drive[4] != b'\\';
        let control = value.contains(|c: char| c.is_control() && !matches!(c, '\n' | '\r' | '\t' | '\u{1b}'));
        if path || (control && raw.contains('\\')) {
            let message = "a backslash in double quotes begins an escape, so this is not the text it looks like";
            let finding = Finding::warning(codes::ESCAPE, node.span, message);
            let body = &raw[1..raw.len() - 1];
            let finding = finding.help("put it in single quotes");
            self.findings.push(if path && !body.contains('\'') {
                finding.fix(node.span, format!("'{body}'"), false)
            } else {
                finding
            });
        }
    }

    fn doubtful(&mut self, node: &Node) {
        let Some(doubt) = node.doubt(self.text).filter(|d| !d.only_as_text) else { return };
        let raw = &self.text[node.span.start..node.span.end];
        let finding = Finding::error(codes::DOUBTFUL, node.span, format!("`{raw}` is {}", doubt.why));
        let quoted = format!("\"{raw}\"");
        let finding = match doubt.number {
            Some(number) => finding.help(format!("write `{quoted}` for the text or `{number}` for the number")),
            None => finding.help(format!("write `{quoted}`")).fix(node.span, quoted, true),
        };
        self.findings.push(finding);
    }
}

/// Where bytes of a block scalar's value stand. Each line of the value is a line of the source behind its indent.
pub fn locate_in_block(text: &str, span: Span, value: &str, start: usize, end: usize) -> Option<Span> {
    let line_start = value[..start].rfind('\n').map_or(0, |i| i + 1);
    let line = value[line_start..].split('\n').next()?;
    if end > line_start + line.len() {
        return None;
    }
    let nth = value[..line_start].matches('\n').count();
    // The header (`|`, `>-`, …) ends its line; the body follows.
    let body = text.get(span.start..)?.find('\n')? + span.start + 1;
    let mut at = body;
    for (i, source_line) in text.get(body..)?.split_inclusive('\n').enumerate() {
        let trimmed = source_line.trim_end_matches(['\n', '\r']);
        if i == nth {
            let indent = trimmed.len().checked_sub(line.len()).filter(|n| &trimmed[*n..] == line)?;
            let from = at + indent + (start - line_start);
            return Some(Span::new(span.source, from, from + (end - start)));
        }
        at += source_line.len();
    }
    None
}
