//! Markdown to blocks: the part of Markdown that the manual uses.

use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};

/// A piece of a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Span {
    Text(String),
    /// What stood in back-ticks.
    Code(String),
    Strong(String),
}

/// A block of a page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Block {
    /// The title has level 1.
    Heading(u8, Vec<Span>),
    Paragraph(Vec<Span>),
    /// An item of a list.
    Item(Vec<Block>),
    /// Lines that are shown as they are.
    Code(String),
    /// Rows of cells, the head first.
    Table(Vec<Vec<Vec<Span>>>),
}

/// The blocks of a page.
pub fn parse(text: &str) -> Vec<Block> {
    let mut reader = Reader::default();
    for event in Parser::new_ext(text, Options::ENABLE_TABLES) {
        reader.read(event);
    }
    reader.flush();
    reader.blocks
}

#[derive(Default)]
struct Reader {
    blocks: Vec<Block>,
    /// The blocks around the items that are open.
    outer: Vec<Vec<Block>>,
    spans: Vec<Span>,
    strong: bool,
    code: Option<String>,
    table: Vec<Vec<Vec<Span>>>,
}

impl Reader {
    fn read(&mut self, event: Event<'_>) {
        match event {
            Event::Text(text) => match &mut self.code {
                Some(code) => code.push_str(&text),
                None if self.strong => self.spans.push(Span::Strong(text.into_string())),
                None => self.spans.push(Span::Text(text.into_string())),
            },
            Event::Code(text) => self.spans.push(Span::Code(text.into_string())),
            Event::SoftBreak | Event::HardBreak => self.spans.push(Span::Text(" ".to_owned())),
            Event::Start(Tag::Strong) => self.strong = true,
            Event::End(TagEnd::Strong) => self.strong = false,
            Event::Start(Tag::Item) => {
                self.flush();
                self.outer.push(std::mem::take(&mut self.blocks));
            }
            Event::End(TagEnd::Item) => {
                self.flush();
                let outer = self.outer.pop().unwrap_or_default();
                let item = std::mem::replace(&mut self.blocks, outer);
                self.blocks.push(Block::Item(item));
            }
            Event::End(TagEnd::Heading(level)) => {
                let spans = std::mem::take(&mut self.spans);
                self.blocks.push(Block::Heading(level as u8, spans));
            }
            Event::End(TagEnd::Paragraph) => self.flush(),
            Event::Start(Tag::CodeBlock(_)) => {
                self.flush();
                self.code = Some(String::new());
            }
            Event::End(TagEnd::CodeBlock) => self.blocks.extend(self.code.take().map(Block::Code)),
            Event::Start(Tag::TableHead | Tag::TableRow) => self.table.push(Vec::new()),
            Event::End(TagEnd::TableCell) => {
                let cell = std::mem::take(&mut self.spans);
                self.table.last_mut().into_iter().for_each(|row| row.push(cell.clone()));
            }
            Event::End(TagEnd::Table) => self.blocks.push(Block::Table(std::mem::take(&mut self.table))),
            _ => {}
        }
    }

    /// Ends a paragraph.
    fn flush(&mut self) {
        if !self.spans.is_empty() {
            let spans = std::mem::take(&mut self.spans);
            self.blocks.push(Block::Paragraph(spans));
        }
    }
}
