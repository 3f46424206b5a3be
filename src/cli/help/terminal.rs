//! A page as text of a given width.

use textwrap::{Options, WordSplitter, core::display_width};

use super::page::{Block, Span};

/// How far the text below a heading is indented, in columns.
const INDENT: usize = 2;
/// Between two columns of a table.
const GAP: usize = 2;

/// The page as text; headings and code are styled when `color` is set.
pub fn render(blocks: &[Block], width: usize, color: bool) -> String {
    let mut out = String::new();
    for block in blocks {
        match block {
            Block::Heading(1, spans) => out += &format!("{}\n", bold(&plain(spans), color)),
            Block::Heading(_, spans) => out += &format!("\n{}\n", bold(&plain(spans), color)),
            other => {
                if !(matches!(other, Block::Item(_)) && out.ends_with(ITEM_END)) {
                    out = out.replace(ITEM_END, "");
                    out.push('\n');
                }
                out = out.replace(ITEM_END, "");
                out += &render_block(other, width, INDENT, color);
                if matches!(other, Block::Item(_)) {
                    out += ITEM_END;
                }
            }
        }
    }
    out.replace(ITEM_END, "")
}

/// Marks the end of a list item while a page is put together: the next item follows without an empty line.
const ITEM_END: &str = "\u{0}";

fn render_block(block: &Block, width: usize, indent: usize, color: bool) -> String {
    let pad = " ".repeat(indent);
    match block {
        Block::Heading(_, spans) | Block::Paragraph(spans) => fill(&styled(spans, color), width, &pad, &pad) + "\n",
        Block::Code(text) => text.lines().map(|l| format!("{pad}  {l}").trim_end().to_owned() + "\n").collect(),
        Block::Item(blocks) => {
            let mut out = String::new();
            for (at, block) in blocks.iter().enumerate() {
                match block {
                    Block::Paragraph(spans) if at == 0 => {
                        out += &fill(&styled(spans, color), width, &format!("{pad}- "), &format!("{pad}  "));
                        out.push('\n');
                    }
                    other => out += &format!("\n{}", render_block(other, width, indent + 2, color)),
                }
            }
            out
        }
        Block::Table(rows) => render_table(rows, width, &pad, color),
    }
}

fn fill(text: &str, width: usize, first: &str, next: &str) -> String {
    let options = Options::new(width).initial_indent(first).subsequent_indent(next);
    textwrap::fill(text, options.break_words(false).word_splitter(WordSplitter::NoHyphenation))
}

/// A table in columns; the first row is the head. The last columns wrap first.
fn render_table(rows: &[Vec<Vec<Span>>], width: usize, pad: &str, color: bool) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let natural =
        |at: usize| rows.iter().filter_map(|r| r.get(at)).map(|c| display_width(&styled(c, color))).max().unwrap_or(0);
    let mut widths: Vec<usize> = (0..columns).map(natural).collect();
    let room = width.saturating_sub(pad.len() + GAP * columns.saturating_sub(1));
    // The widest column gives way until the row fits.
    while widths.iter().sum::<usize>() > room
        && let Some(widest) = widths.iter_mut().max_by_key(|w| **w).filter(|w| **w > 8)
    {
        *widest -= 1;
    }
    let mut out = String::new();
    for (number, row) in rows.iter().enumerate() {
        let cells: Vec<Vec<String>> = row
            .iter()
            .zip(&widths)
            .map(|(cell, width)| {
                let text = if number == 0 { bold_words(&plain(cell), color) } else { styled(cell, color) };
                fill(&text, *width, "", "").lines().map(str::to_owned).collect()
            })
            .collect();
        for line in 0..cells.iter().map(Vec::len).max().unwrap_or(0) {
            let mut text = pad.to_owned();
            for (cell, width) in cells.iter().zip(&widths) {
                let part = cell.get(line).map_or("", String::as_str);
                text += part;
                text += &" ".repeat(width + GAP - display_width(part).min(width + GAP));
            }
            out += text.trim_end();
            out.push('\n');
        }
    }
    out
}

/// The text without style.
pub fn plain(spans: &[Span]) -> String {
    styled(spans, false).replace('`', "")
}

/// The text with its style. Each word is styled by itself, so that a line may end behind it.
fn styled(spans: &[Span], color: bool) -> String {
    spans
        .iter()
        .map(|span| match span {
            Span::Text(text) => text.clone(),
            Span::Code(text) if color => bold_words(text, color),
            Span::Code(text) => format!("`{text}`"),
            Span::Strong(text) => bold_words(text, color),
        })
        .collect()
}

fn bold_words(text: &str, color: bool) -> String {
    text.split(' ').map(|word| bold(word, color)).collect::<Vec<_>>().join(" ")
}

fn bold(text: &str, color: bool) -> String {
    if color && !text.is_empty() { format!("\u{1b}[1m{text}\u{1b}[0m") } else { text.to_owned() }
}
