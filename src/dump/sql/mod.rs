//! A reader for SQL dumps. It splits the text into statements, rows of `COPY` and meta-commands exactly where `psql` does.
//!
//! The rules are those of PostgreSQL's `src/fe_utils/psqlscan.l` and `src/bin/psql/copy.c`: quotes, dollar quotes, nested
//! comments, parentheses and `BEGIN … END` bodies hide semicolons; a backslash outside of strings, comments and rows of
//! `COPY` begins a meta-command, anywhere in a line. What `psql` could read in another way than this reader does is
//! reported as a [`Piece::Doubt`], so that nothing hides between the two readings.

mod copy;
mod misread;
mod names;
#[cfg(test)]
mod tests;

use std::mem::take;

pub use copy::CopyData;
pub use misread::misread;
pub use names::{CopyTarget, Name, copy_target, name, names};

/// The most bytes of one statement that are kept; of a longer one only its start is shown.
pub const STATEMENT_LIMIT: usize = 1 << 20;
/// The most bytes of a meta-command that are shown.
const META_LIMIT: usize = 200;
/// The longest tag of a dollar quote.
const TAG_LIMIT: usize = 256;

/// What the reader finds, in the order of the dump.
#[derive(Debug, PartialEq, Eq)]
pub enum Piece<'a> {
    /// A statement without comments and without its semicolon. `whole` is false when it was longer than
    /// [`STATEMENT_LIMIT`] and only its start is shown.
    Statement { text: &'a [u8], whole: bool },
    /// Bytes of the rows of the `COPY … FROM stdin` statement before, cut anywhere.
    Rows(&'a [u8]),
    /// The line `\.` that ends these rows.
    RowsEnd,
    /// A meta-command of `psql`, from its backslash on. The pair `\restrict` and `\unrestrict` that `pg_dump` writes
    /// around a dump is not reported.
    Meta { line: u64, text: &'a [u8] },
    /// `psql` may read this place in another way than this reader.
    Doubt { line: u64, why: &'static str },
    /// Where this string ends is another matter under other settings or in another encoding. `pg_dump` writes such strings.
    Quoting { line: u64, why: &'static str },
    /// A `begin` in a routine that begins no body. `psql` takes it for one all the same, and this reader does too: the
    /// semicolons behind it end no statement, and COPY is sent without its rows.
    Begin { line: u64 },
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum State {
    Normal,
    /// A `-` or `/` that may begin a comment.
    Dash,
    Slash,
    LineComment,
    /// How deep comments are nested, and the byte before inside of one.
    Comment(u32, u8),
    /// A string. `escapes`: a backslash takes the next byte along. `plain`: it has no prefix, or `N`, so that the setting
    /// `standard_conforming_strings` decides.
    String {
        escapes: bool,
        plain: bool,
    },
    /// A quote in a string: its end, unless another quote follows.
    StringQuote {
        escapes: bool,
        plain: bool,
    },
    /// A backslash in a string with escapes.
    Escape {
        plain: bool,
    },
    Identifier,
    Word,
    Number,
    /// A `$` and what may become the tag of a dollar quote.
    Tag,
    /// How many bytes of the tag were met again.
    Dollar(usize),
    Meta,
    /// After the semicolon of a `COPY … FROM stdin`.
    CopyStart,
    Copy,
}

/// The reader. Bytes go in by [`SqlDump::take`], pieces come out.
#[derive(Debug)]
pub struct SqlDump {
    state: State,
    line: u64,
    /// Bytes taken in the current line, outside of `COPY`.
    column: u64,
    taken: u64,
    /// The statement so far.
    text: Vec<u8>,
    whole: bool,
    /// The word, tag or meta-command so far.
    token: Vec<u8>,
    parens: u32,
    begins: u32,
    /// The token before was a `begin` that counts, and only `atomic` may follow it.
    begun: bool,
    /// The first words of the statement, as far as `psql` looks at them, each by its first letter.
    head: [u8; 4],
    words: usize,
    /// A semicolon inside of the statement was the last token.
    inner: bool,
    standard_strings: bool,
    /// The letter before the quote of a string: `E`, `B` or `X`.
    prefix: u8,
    backslashes: u32,
    /// The byte before, in strings and before words.
    last: u8,
    copy: CopyData,
    statements: u64,
    restricted: Option<Vec<u8>>,
    released: bool,
}

impl Default for SqlDump {
    fn default() -> Self {
        Self::new()
    }
}

fn starts_word(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || byte == b'_' || byte >= 0x80
}

fn continues_word(byte: u8) -> bool {
    starts_word(byte) || byte.is_ascii_digit() || byte == b'$'
}

impl SqlDump {
    /// A reader at the start of a dump.
    pub fn new() -> Self {
        Self {
            state: State::Normal,
            line: 1,
            column: 0,
            taken: 0,
            text: Vec::new(),
            whole: true,
            token: Vec::new(),
            parens: 0,
            begins: 0,
            begun: false,
            head: [0; 4],
            words: 0,
            inner: false,
            standard_strings: true,
            prefix: 0,
            backslashes: 0,
            last: 0,
            copy: CopyData::default(),
            statements: 0,
            restricted: None,
            released: false,
        }
    }

    /// Takes the next bytes and reports what they complete.
    pub fn take(&mut self, mut bytes: &[u8], report: &mut dyn FnMut(Piece<'_>)) {
        if memchr::memchr(0, bytes).is_some() {
            report(Piece::Doubt { line: self.line, why: "a zero byte" });
        }
        while !bytes.is_empty() {
            let count =
                if self.state == State::Copy { self.take_rows(bytes, report) } else { self.step(bytes, report) };
            bytes = &bytes[count..];
        }
    }

    /// Whether the dump ends outside of statements, strings, comments and rows.
    ///
    /// # Errors
    /// What is not finished; reads after "the dump".
    pub fn end(&self) -> Result<(), &'static str> {
        match self.state {
            State::Copy | State::CopyStart => Err("breaks off in the rows of a table"),
            State::Normal | State::LineComment if self.text.iter().all(u8::is_ascii_whitespace) => Ok(()),
            _ => Err("breaks off in a statement"),
        }
    }

    fn take_rows(&mut self, bytes: &[u8], report: &mut dyn FnMut(Piece<'_>)) -> usize {
        let (count, ended) = self.copy.take(bytes, &mut |rows| report(Piece::Rows(rows)));
        self.line += memchr::memchr_iter(b'\n', &bytes[..count]).count() as u64;
        if ended {
            self.state = State::Normal;
            report(Piece::RowsEnd);
        }
        count
    }

    /// Takes one byte, or several that change nothing; gives how many.
    fn step(&mut self, bytes: &[u8], report: &mut dyn FnMut(Piece<'_>)) -> usize {
        if let Some(count) = self.skip(bytes) {
            return count;
        }
        let byte = bytes[0];
        if !self.finish_token(byte, report) {
            return 0;
        }
        self.one(byte, report);
        self.taken += 1;
        if self.taken == 3 && self.line == 1 && self.text.starts_with(b"\xef\xbb\xbf") {
            report(Piece::Doubt { line: 1, why: "a byte order mark" });
        }
        self.column += 1;
        if byte == b'\n' {
            self.line += 1;
            self.column = 0;
        }
        1
    }

    /// Passes over the inside of long strings and comments.
    fn skip(&mut self, bytes: &[u8]) -> Option<usize> {
        let end = match self.state {
            State::String { .. } => memchr::memchr2(b'\'', b'\\', bytes),
            State::Dollar(0) => memchr::memchr(b'$', bytes),
            State::LineComment => memchr::memchr2(b'\n', b'\r', bytes),
            _ => return None,
        };
        let count = end.unwrap_or(bytes.len());
        let passed = &bytes[..count];
        self.last = *passed.last()?;
        self.backslashes = 0;
        if self.state != State::LineComment {
            self.keep(passed);
        }
        let lines = memchr::memchr_iter(b'\n', passed).count() as u64;
        self.line += lines;
        self.column = if lines > 0 { 0 } else { self.column + 1 };
        self.taken += count as u64;
        Some(count)
    }

    fn keep(&mut self, bytes: &[u8]) {
        let room = STATEMENT_LIMIT.saturating_sub(self.text.len());
        self.text.extend_from_slice(&bytes[..bytes.len().min(room)]);
        self.whole &= bytes.len() <= room;
    }

    /// Ends a token that `byte` does not belong to. Gives false when the state changed and `byte` is to be read again.
    fn finish_token(&mut self, byte: u8, report: &mut dyn FnMut(Piece<'_>)) -> bool {
        let line = self.line;
        match self.state {
            State::Word if !continues_word(byte) => {
                let word = take(&mut self.token).to_ascii_lowercase();
                self.state = State::Normal;
                self.prefix = match word.as_slice() {
                    [kind @ (b'e' | b'b' | b'x')] if byte == b'\'' => *kind,
                    _ => 0,
                };
                self.word(&word, report);
                self.last = 0;
                false
            }
            State::Number if !(byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80 || byte == b'.') => {
                let letters = self.token.iter().any(|b| b.is_ascii_alphabetic() || *b >= 0x80);
                if byte == b'$' || letters && byte == b'\'' {
                    report(Piece::Doubt { line, why: "a number with something attached to it" });
                }
                self.token.clear();
                self.state = State::Normal;
                false
            }
            State::Dash if byte != b'-' => self.not_a_comment(b"-"),
            State::Slash if byte != b'*' => self.not_a_comment(b"/"),
            State::StringQuote { .. } if byte != b'\'' => {
                self.state = State::Normal;
                false
            }
            State::Tag => self.tag(byte, report),
            _ => true,
        }
    }

    fn not_a_comment(&mut self, sign: &[u8]) -> bool {
        self.keep(sign);
        self.inner = false;
        self.state = State::Normal;
        false
    }

    /// A byte after a `$`: of a tag, or the end of what is none.
    fn tag(&mut self, byte: u8, report: &mut dyn FnMut(Piece<'_>)) -> bool {
        let line = self.line;
        let parameter = self.token.get(1).is_some_and(u8::is_ascii_digit);
        let belongs = if self.token.len() == 1 { continues_word(byte) } else { continues_word(byte) && byte != b'$' };
        if belongs || byte == b'$' {
            if parameter && !byte.is_ascii_digit() {
                report(Piece::Doubt { line, why: "a parameter with something attached to it" });
            }
            if self.token.len() > TAG_LIMIT {
                report(Piece::Doubt { line, why: "a dollar quote with a very long tag" });
                self.token.truncate(1);
            }
            return true;
        }
        self.token.clear();
        self.state = State::Normal;
        false
    }

    fn one(&mut self, byte: u8, report: &mut dyn FnMut(Piece<'_>)) {
        let line = self.line;
        match self.state {
            State::Normal => self.normal(byte, report),
            State::Dash => self.state = State::LineComment,
            State::Slash => self.state = State::Comment(1, 0),
            State::LineComment => {
                self.state = State::Normal;
                self.blank();
            }
            State::Comment(depth, last) => {
                self.state = match (last, byte) {
                    (b'*', b'/') if depth == 1 => State::Normal,
                    (b'*', b'/') => State::Comment(depth - 1, 0),
                    (b'/', b'*') => State::Comment(depth + 1, 0),
                    _ => State::Comment(depth, byte),
                };
                if self.state == State::Normal {
                    self.blank();
                }
            }
            State::String { .. } | State::StringQuote { .. } | State::Escape { .. } => self.string(byte, report),
            State::Identifier => {
                self.keep(&[byte]);
                if byte == b'"' {
                    self.state = State::Normal;
                }
            }
            State::Word | State::Number => {
                self.keep(&[byte]);
                if self.token.len() <= TAG_LIMIT {
                    self.token.push(byte);
                }
            }
            State::Tag => {
                self.keep(&[byte]);
                self.token.push(byte);
                if byte == b'$' && self.token.len() > 1 {
                    self.state = State::Dollar(0);
                }
            }
            State::Dollar(met) => {
                self.keep(&[byte]);
                let met = if self.token.get(met) == Some(&byte) { met + 1 } else { usize::from(byte == b'$') };
                self.state = State::Dollar(met);
                if met == self.token.len() {
                    self.token.clear();
                    self.state = State::Normal;
                }
            }
            State::Meta if byte == b'\n' => self.meta(report),
            State::Meta => {
                if self.token.len() < META_LIMIT {
                    self.token.push(byte);
                }
            }
            State::CopyStart => {
                if byte != b'\n' {
                    report(Piece::Doubt { line, why: "text behind a COPY in the same line" });
                }
                // Rows begin with the next line.
                if byte == b'\n' {
                    self.copy = CopyData::default();
                    self.state = State::Copy;
                }
            }
            State::Copy => {}
        }
    }

    /// A space in place of a comment.
    fn blank(&mut self) {
        if self.text.last().is_some_and(|b| !b.is_ascii_whitespace()) {
            self.keep(b" ");
        }
    }

    fn normal(&mut self, byte: u8, report: &mut dyn FnMut(Piece<'_>)) {
        if self.begun && !byte.is_ascii_whitespace() && !starts_word(byte) {
            self.begun = false;
            report(Piece::Begin { line: self.line });
        }
        match byte {
            b'-' => return self.state = State::Dash,
            b'/' => return self.state = State::Slash,
            b'\\' => {
                self.token = vec![byte];
                // Whether it stands alone in its line, outside of a statement.
                self.inner = self.column > 0 || !self.text.is_empty();
                return self.state = State::Meta;
            }
            b';' if self.parens == 0 && self.begins == 0 => return self.statement(report),
            _ => {}
        }
        if self.text.is_empty() && byte.is_ascii_whitespace() {
            return;
        }
        self.keep(&[byte]);
        match byte {
            b'\'' => {
                (self.backslashes, self.last) = (0, 0);
                self.state = match take(&mut self.prefix) {
                    0 => State::String { escapes: !self.standard_strings, plain: true },
                    prefix => State::String { escapes: prefix == b'e', plain: false },
                };
            }
            b'"' => self.state = State::Identifier,
            b'$' => (self.token, self.state) = (vec![byte], State::Tag),
            b'(' => self.parens += 1,
            b')' => self.parens = self.parens.saturating_sub(1),
            b'0'..=b'9' => (self.token, self.state) = (vec![byte], State::Number),
            _ if starts_word(byte) => (self.token, self.state) = (vec![byte], State::Word),
            _ => {}
        }
        if byte == b';' {
            self.inner = true;
        } else if !byte.is_ascii_whitespace() && self.state != State::Word {
            self.inner = false;
        }
        if self.state != State::Word {
            self.last = byte;
        }
    }

    fn string(&mut self, byte: u8, report: &mut dyn FnMut(Piece<'_>)) {
        self.keep(&[byte]);
        let line = self.line;
        self.state = match (self.state.clone(), byte) {
            (State::String { escapes: true, plain }, b'\\') => {
                if self.last >= 0x80 {
                    report(Piece::Quoting { line, why: "a backslash that may be part of a character" });
                }
                self.backslashes += 1;
                State::Escape { plain }
            }
            (State::Escape { plain }, _) => {
                if byte == b'\'' && plain {
                    report(Piece::Quoting { line, why: "a quote after a backslash" });
                }
                self.backslashes = 0;
                State::String { escapes: true, plain }
            }
            (State::String { escapes, plain }, b'\\') => {
                self.backslashes += 1;
                State::String { escapes, plain }
            }
            (State::String { escapes, plain }, b'\'') => {
                if plain && !escapes && self.backslashes % 2 == 1 {
                    report(Piece::Quoting { line, why: "a quote after a backslash" });
                }
                self.backslashes = 0;
                State::StringQuote { escapes, plain }
            }
            (State::StringQuote { escapes, plain }, _) => State::String { escapes, plain },
            (state, _) => state,
        };
        self.last = byte;
    }

    /// A word outside of quotes: what `psql` makes of it.
    fn word(&mut self, word: &[u8], report: &mut dyn FnMut(Piece<'_>)) {
        let line = self.line;
        if self.last == b':' && word == b"last_error_message" {
            report(Piece::Doubt { line, why: "a variable that holds text of the server" });
        }
        if take(&mut self.inner) && word == b"copy" {
            report(Piece::Doubt { line, why: "a COPY inside of another statement" });
        }
        if matches!(word, b"create" | b"function" | b"procedure" | b"or" | b"replace")
            && let Some(place) = self.head.get_mut(self.words)
        {
            *place = word[0];
        }
        self.words += 1;
        let begun = take(&mut self.begun);
        if begun && word != b"atomic" {
            report(Piece::Begin { line });
        }
        let routine = matches!(self.head, [b'c', b'f' | b'p', ..] | [b'c', b'o', b'r', b'f' | b'p']);
        if routine && self.parens == 0 {
            match word {
                b"begin" => {
                    // The name of a routine, type or column; bodies are not nested.
                    let name = self.last == b'.' || self.begins > 0;
                    self.begins += 1;
                    self.begun = !name;
                    if name {
                        report(Piece::Begin { line });
                    }
                }
                b"case" if self.begins > 0 => self.begins += 1,
                b"end" => self.begins = self.begins.saturating_sub(1),
                _ => {}
            }
        }
    }

    /// The end of a statement.
    fn statement(&mut self, report: &mut dyn FnMut(Piece<'_>)) {
        let line = self.line;
        let text = take(&mut self.text);
        let whole = std::mem::replace(&mut self.whole, true);
        let text = text.trim_ascii_end();
        (self.parens, self.begins, self.head, self.words) = (0, 0, [0; 4], 0);
        (self.begun, self.inner, self.last) = (false, false, 0);
        if self.released && !text.is_empty() {
            report(Piece::Doubt { line, why: "a statement behind the end of the dump" });
        }
        self.statements += 1;
        match text {
            b"SET standard_conforming_strings = off" => self.standard_strings = false,
            b"SET standard_conforming_strings = on" => self.standard_strings = true,
            _ => {}
        }
        let copies = text.get(..4).is_some_and(|w| w.eq_ignore_ascii_case(b"copy"))
            && !text.get(4).is_some_and(|b| continues_word(*b));
        report(Piece::Statement { text, whole });
        if copies {
            if whole && copy_target(text).is_some() {
                self.state = State::CopyStart;
            } else {
                report(Piece::Doubt { line, why: "a COPY that pg_dump does not write" });
            }
        }
    }

    /// The end of a line with a meta-command.
    fn meta(&mut self, report: &mut dyn FnMut(Piece<'_>)) {
        let token = take(&mut self.token);
        let alone = !take(&mut self.inner);
        let key = |word: &[u8]| {
            let key = token.strip_prefix(word)?;
            (!key.is_empty() && key.iter().all(u8::is_ascii_alphanumeric)).then(|| key.to_vec())
        };
        self.state = State::Normal;
        if alone && let Some(key) = key(b"\\restrict ").filter(|_| self.restricted.is_none() && self.statements == 0) {
            self.restricted = Some(key);
        } else if alone && key(b"\\unrestrict ").is_some_and(|k| self.restricted.as_ref() == Some(&k)) && !self.released
        {
            self.released = true;
        } else {
            report(Piece::Meta { line: self.line, text: &token });
        }
    }
}
