//! The manual and the help of every command as man pages.

use std::path::Path;

use clap::CommandFactory;
use roff::{Inline, Roff, bold, roman};

use super::page::{self, Block, Span};
use super::{TOPICS, Topic, terminal};
use crate::cli::args::Cli;
use crate::cli::exit::{Exit, Failure};
use crate::files::{self, Links};

/// How wide tables are set, in columns.
const WIDTH: usize = 72;
/// The largest page, in bytes.
const LIMIT: u64 = 1 << 20;

/// A topic as a man page of section 7.
pub(super) fn topic_page(topic: &Topic) -> String {
    let mut roff = Roff::new();
    let name = format!("runplan-{}", topic.name);
    let version = concat!("runplan ", env!("CARGO_PKG_VERSION"));
    roff.control("TH", [name.to_uppercase().as_str(), "7", "", version, "runplan manual"]);
    roff.control("SH", ["NAME"]);
    roff.text([roman(format!("{name} - {}", topic.title()))]);
    let mut described = false;
    // A heading makes the space above the first paragraph.
    let mut first = false;
    for block in page::parse(topic.text) {
        match block {
            Block::Heading(1, _) => {}
            Block::Heading(_, spans) => {
                roff.control("SH", [terminal::plain(&spans).to_uppercase().as_str()]);
                (described, first) = (true, true);
            }
            other => {
                if !described {
                    roff.control("SH", ["DESCRIPTION"]);
                    (described, first) = (true, true);
                }
                add_block(&mut roff, &other, std::mem::take(&mut first));
            }
        }
    }
    // The page has no date. The library leaves out an empty argument, and the next would be taken for it.
    let (head, title) = ("\n.TH ", " 7 ");
    let page = roff.render();
    match page.split_once(head).and_then(|(above, rest)| Some((above, rest.split_once(title)?))) {
        Some((above, (name, rest))) => format!("{above}{head}{name}{title}\"\" {}", rest.trim_start()),
        None => page,
    }
}

fn add_block(roff: &mut Roff, block: &Block, first: bool) {
    match block {
        Block::Heading(_, spans) | Block::Paragraph(spans) => {
            if !first {
                roff.control("PP", []);
            }
            roff.text(inlines(spans));
        }
        Block::Item(blocks) => {
            roff.control("IP", ["\\(bu", "2"]);
            for (at, block) in blocks.iter().enumerate() {
                match block {
                    Block::Paragraph(spans) if at == 0 => {
                        roff.text(inlines(spans));
                    }
                    other => add_block(roff, other, false),
                }
            }
        }
        Block::Code(text) => add_lines(roff, text, first),
        Block::Table(rows) if rows.iter().all(|r| r.len() == 2) => {
            for (number, row) in rows.iter().enumerate() {
                roff.control("TP", []);
                for cell in row {
                    match number {
                        0 => roff.text([bold(terminal::plain(cell))]),
                        _ => roff.text(inlines(cell)),
                    };
                }
            }
        }
        Block::Table(_) => add_lines(roff, &terminal::render(std::slice::from_ref(block), WIDTH, false), first),
    }
}

/// Lines that are shown as they are.
fn add_lines(roff: &mut Roff, text: &str, first: bool) {
    if !first {
        roff.control("PP", []);
    }
    roff.control("nf", []);
    for line in text.trim_matches('\n').lines() {
        roff.text([roman(line)]);
    }
    roff.control("fi", []);
}

fn inlines(spans: &[Span]) -> Vec<Inline> {
    spans
        .iter()
        .map(|span| match span {
            Span::Text(text) => roman(text.as_str()),
            Span::Code(text) | Span::Strong(text) => bold(text.as_str()),
        })
        .collect()
}

/// Writes a page for the program, each command and each topic into a folder.
pub fn write_pages(dir: &Path) -> Result<Exit, Failure> {
    let failed = |e: std::io::Error| Failure {
        exit: Exit::State,
        text: format!("writing man pages to `{}`: {e}", dir.display()),
        hint: None,
    };
    std::fs::create_dir_all(dir).map_err(failed)?;
    // The library writes through links, which others may have put into the folder: so it writes to a folder of ours.
    let made = files::temp_dir().and_then(tempfile::tempdir_in).map_err(failed)?;
    clap_mangen::generate_to(Cli::command(), made.path()).map_err(failed)?;
    for topic in TOPICS {
        std::fs::write(made.path().join(format!("runplan-{}.7", topic.name)), topic_page(topic)).map_err(failed)?;
    }
    for name in files::folder_names(made.path()).map_err(failed)? {
        let page = files::read_regular(&made.path().join(&name), LIMIT, Links::Refuse).map_err(failed)?;
        files::put(&dir.join(name), &page, 0o644).map_err(failed)?;
    }
    Ok(Exit::Done)
}
