//! Remedies that keep what the author can only have meant, applied to the text and to nothing else in it.

use super::{Finding, Fix, SourceId};

/// The text with every safe remedy of these findings applied, and how many there were. Of two that overlap the first one
/// counts; the rest of the text stays as it is, byte for byte.
pub fn mend(text: &str, findings: &[Finding]) -> (String, usize) {
    let mut fixes: Vec<&Fix> = findings.iter().filter_map(|f| f.fix.as_ref()).filter(|f| f.safe).collect();
    // What stands in another file than the first is left to its author.
    fixes.retain(|f| f.span.source == SourceId(0));
    fixes.sort_by_key(|f| (f.span.start, f.span.end));
    let mut out = String::with_capacity(text.len());
    let (mut at, mut count) = (0, 0);
    for fix in fixes {
        let Some(between) = text.get(at..fix.span.start) else { continue };
        out += between;
        out += &fix.replacement;
        at = fix.span.end;
        count += 1;
    }
    out += text.get(at..).unwrap_or_default();
    (out, count)
}
