//! Findings as text for people, drawn by the renderer that rustc uses.

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};

use super::visible::{clean, is_hidden};
use super::{Finding, Severity, SourceId, Sources, Span};

/// The findings as people read them: what is wrong, where, and what to do, with the lines of the source.
///
/// Without colour there is not one escape byte in it, whatever the source has.
pub fn render(sources: &Sources, findings: &[Finding], color: bool) -> String {
    let sources = &sources.concealing(findings);
    let renderer = if color { Renderer::styled() } else { Renderer::plain() };
    let mut out = String::new();
    for finding in findings {
        out += &renderer.render(&[group(sources, finding)]);
        out += "\n\n";
    }
    out
}

fn group<'s>(sources: &'s Sources, finding: &'s Finding) -> Group<'s> {
    let level = match finding.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let title = level.primary_title(clean(&finding.message)).id(finding.code.to_string());
    let mut group = Group::with_title(title);
    let own = finding.span.source;
    let mut others: Vec<SourceId> = finding.related.iter().map(|(s, _)| s.source).filter(|s| *s != own).collect();
    others.dedup();
    for source in std::iter::once(own).chain(others) {
        let related: Vec<_> = finding.related.iter().filter(|(s, _)| s.source == source).collect();
        let primary = (source == own).then_some(finding.span);
        let spans = primary.into_iter().chain(related.iter().map(|(s, _)| *s));
        let (low, high, line) = window(sources, spans);
        let text = sources.get(source);
        let local = |span: Span| {
            let span = first_line(&text.text, span);
            let at = |offset: usize| offset - low - unseen(&text.text[low..offset]);
            at(span.start)..at(span.end)
        };
        let shown = text.text[low..high].replace("\r\n", "\n").replace('\u{feff}', "");
        let shown = shown.strip_suffix('\r').map_or(shown.clone(), str::to_owned);
        let mut snippet = Snippet::source(same_width(&shown)).line_start(line).path(clean(&text.name));
        if let Some(span) = primary {
            let annotation = AnnotationKind::Primary.span(local(span));
            snippet = snippet.annotation(match &finding.label {
                Some(label) => annotation.label(clean(label)),
                None => annotation,
            });
        }
        for (span, text) in related {
            snippet = snippet.annotation(AnnotationKind::Context.span(local(*span)).label(clean(text)));
        }
        group = group.element(snippet);
    }
    match &finding.help {
        Some(help) => group.element(Level::HELP.message(clean(help))),
        None => group,
    }
}

/// The text with another character of as many bytes for each that must not be shown and that the renderer lets through.
fn same_width(text: &str) -> String {
    let shown = |c: char| match (is_hidden(c), c.len_utf8()) {
        (true, 2) => '¿',
        (true, 3) => '\u{fffd}',
        (true, 4) => '\u{1f7a8}',
        _ => c,
    };
    text.chars().map(shown).collect()
}

/// How many bytes of a text are not shown: of line ends the carriage returns, and byte order marks.
fn unseen(text: &str) -> usize {
    text.matches("\r\n").count() + text.matches('\u{feff}').count() * '\u{feff}'.len_utf8()
}

/// The whole lines that hold these spans, and the number of the first.
fn window(sources: &Sources, spans: impl Iterator<Item = Span>) -> (usize, usize, usize) {
    let (mut low, mut high, mut line) = (usize::MAX, 0, 1);
    for span in spans {
        let source = sources.get(span.source);
        let span = first_line(&source.text, span);
        if span.start < low {
            low = source.text[..span.start].rfind('\n').map_or(0, |i| i + 1);
            line = source.line_column(span.start).0;
        }
        let end = source.text[span.end..].find('\n').map_or(source.text.len(), |i| span.end + i);
        high = high.max(end);
    }
    (low.min(high), high, line)
}

/// A place of many lines is shown by the first of them.
fn first_line(text: &str, span: Span) -> Span {
    let start = text.floor_char_boundary(span.start.min(text.len()));
    let end = text.floor_char_boundary(span.end.clamp(start, text.len()));
    let line = match text[start..end].split_once('\n') {
        Some((line, _)) => line.trim_end(),
        None => text[start..end].trim_end_matches('\r'),
    };
    Span { start, end: start + line.len(), ..span }
}
