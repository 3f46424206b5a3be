//! Pieces of secrets in base64 and hexadecimal texts that are broken into lines: `base64`, PEM, `xxd -p`, PostgreSQL's
//! `encode(…, 'base64')`. No line of them has the whole secret, and together they give it away.

use std::ops::Range;

use memchr::memchr3_iter;

use super::forms;

/// How many characters of base64 (3 bytes) a piece has at least. A shorter one is left.
const BASE64: usize = 4;
/// The same of hexadecimal, 4 bytes.
const HEX: usize = 8;
/// How long a line is at least that lies within a secret and has neither its beginning nor its end.
const WITHIN: usize = 16;
/// The characters by which a piece is found.
const GRAM: usize = 4;

/// What the secrets look like in base64 and in hexadecimal.
#[derive(Default)]
pub struct Pieces {
    /// Each form with the length of its shortest piece.
    forms: Vec<(Vec<u8>, usize)>,
    /// For every [`GRAM`] characters of them the bit of their [`hash`] is set: most lines have none at their ends.
    grams: Vec<u64>,
}

impl Pieces {
    /// Adds a secret.
    pub fn add(&mut self, data: &[u8]) {
        let base64 = forms::base64(data).into_iter().map(|f| (f, BASE64));
        let hex = forms::plain_hex(data).into_iter().map(|f| (f, HEX));
        for (form, least) in base64.chain(hex).filter(|(form, least)| form.len() >= 2 * least) {
            self.grams.resize(1 << 10, 0);
            for gram in form.as_bytes().windows(GRAM).filter_map(|w| w.first_chunk()) {
                let (at, bit) = hash(gram);
                self.grams[at] |= bit;
            }
            self.forms.push((form.into_bytes(), least));
        }
    }

    /// The places of pieces in a text, in order: at the beginning and at the end of each encoded text in a line, where a line
    /// also ends at an escaped line end.
    pub fn find(&self, text: &str) -> Vec<Range<usize>> {
        let mut found = Vec::new();
        if self.forms.is_empty() {
            return found;
        }
        let bytes = text.as_bytes();
        let mut start = 0;
        for end in line_ends(bytes) {
            self.find_in_line(bytes, start..end, &mut found);
            start = end + 1;
        }
        found
    }

    fn has(&self, gram: &[u8; GRAM]) -> bool {
        let (at, bit) = hash(gram);
        self.grams[at] & bit != 0
    }

    fn find_in_line(&self, text: &[u8], line: Range<usize>, found: &mut Vec<Range<usize>>) {
        let mut runs = Runs { text, at: line.start, end: line.end }.peekable();
        let mut first = true;
        while let Some(run) = runs.next() {
            // Within a line, short words are words.
            let edge = std::mem::replace(&mut first, false) || runs.peek().is_none();
            if !edge && run.len() < 2 * GRAM {
                continue;
            }
            let head = self.head(&text[run.clone()]);
            let covered = run.start + head;
            if head > 0 {
                found.push(run.start..covered);
            }
            let from = (run.end - self.tail(&text[run.clone()])).max(covered);
            if from < run.end {
                found.push(from..run.end);
            }
        }
    }

    /// How many characters at the beginning of a run are the end of a secret, or all of them within one.
    fn head(&self, run: &[u8]) -> usize {
        if !run.first_chunk::<GRAM>().is_some_and(|gram| self.has(gram)) {
            return 0;
        }
        let longest = self.forms.iter().flat_map(|(form, least)| {
            (0..form.len() + 1 - GRAM).filter_map(move |at| {
                let rest = &form[at..];
                let same = rest.iter().zip(run).take_while(|(a, b)| a == b).count();
                let ends = same == rest.len() && same >= *least;
                (ends || (same == run.len() && same >= WITHIN)).then_some(same)
            })
        });
        longest.max().unwrap_or(0)
    }

    /// How many characters at the end of a run are the beginning of a secret, or all of them within one.
    fn tail(&self, run: &[u8]) -> usize {
        if !run.last_chunk::<GRAM>().is_some_and(|gram| self.has(gram)) {
            return 0;
        }
        let longest = self.forms.iter().flat_map(|(form, least)| {
            (GRAM..=form.len()).filter_map(move |to| {
                let before = &form[..to];
                let same = before.iter().rev().zip(run.iter().rev()).take_while(|(a, b)| a == b).count();
                let begins = same == before.len() && same >= *least;
                (begins || (same == run.len() && same >= WITHIN)).then_some(same)
            })
        });
        longest.max().unwrap_or(0)
    }
}

/// A word and a bit of it among 65,536.
fn hash(gram: &[u8; GRAM]) -> (usize, u64) {
    let mixed = u32::from_le_bytes(*gram).wrapping_mul(0x9E37_79B1) >> 16;
    ((mixed >> 6) as usize, 1 << (mixed & 63))
}

/// Where lines end: at a line feed, a carriage return, and before the letter of `\n` and `\r`.
fn line_ends(text: &[u8]) -> impl Iterator<Item = usize> {
    let ends = |at: usize| match (text[at], text.get(at + 1)) {
        (b'\\', Some(b'n' | b'r')) => Some(at + 1),
        (b'\\', _) => None,
        _ => Some(at),
    };
    memchr3_iter(b'\n', b'\r', b'\\', text).filter_map(ends).chain(std::iter::once(text.len()))
}

/// Which bytes are characters of base64, of either alphabet.
static ENCODED: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        let c = byte as u8;
        table[byte] = c.is_ascii_alphanumeric() || matches!(c, b'+' | b'/' | b'-' | b'_');
        byte += 1;
    }
    table
};

fn is_encoded(byte: u8) -> bool {
    ENCODED[usize::from(byte)]
}

/// The runs of characters of base64 in a line that are long enough to be a piece.
struct Runs<'t> {
    text: &'t [u8],
    at: usize,
    end: usize,
}

impl Iterator for Runs<'_> {
    type Item = Range<usize>;

    fn next(&mut self) -> Option<Range<usize>> {
        loop {
            let start = self.at + self.text[self.at..self.end].iter().position(|b| is_encoded(*b))?;
            let rest = &self.text[start..self.end];
            self.at = rest.iter().position(|b| !is_encoded(*b)).map_or(self.end, |n| start + n);
            if self.at - start >= GRAM {
                return Some(start..self.at);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;

    use crate::secret::{MASK, Redactor, Secret};

    /// A text in lines of a width.
    fn wrapped(text: &str, width: usize) -> Vec<String> {
        text.as_bytes().chunks(width).map(|c| String::from_utf8_lossy(c).into_owned()).collect()
    }

    #[test]
    fn base64_and_hex_are_masked_wherever_their_lines_end() {
        let secret = "Zebu-Kudu?Ibex~Gnu!";
        let redactor = Redactor::new([&Secret::new(secret)]);
        for width in [60, 64, 76] {
            for before in 0..90 {
                let data = format!("{}{secret}{}", "x".repeat(before), "y".repeat(40));
                let hex: String = data.bytes().map(|b| format!("{b:02x}")).collect();
                for (encoded, shortest) in [(STANDARD.encode(&data), 4), (hex, 8)] {
                    let lines = wrapped(&encoded, width);
                    let alone: String = lines.iter().map(|l| redactor.mask(l).into_owned()).collect();
                    let together = redactor.mask(&lines.join("\n")).replace('\n', "");
                    let escaped = redactor.mask(&lines.join("\\n")).replace("\\n", "");
                    // What is left when everything is masked but a piece that is shorter than is looked for.
                    let clean: String = wrapped(&encoded, 1).concat();
                    for masked in [alone, together, escaped] {
                        assert!(masked.contains(MASK), "{before}, {width}: {masked}");
                        let pieces = masked.split(MASK).collect::<Vec<_>>();
                        let left: usize = pieces.iter().map(|p| p.len()).sum();
                        let own = if shortest == 4 { secret.len() * 8 / 6 - 2 } else { secret.len() * 2 };
                        assert!(clean.len() - left + shortest > own, "{before}, {width}: {masked}");
                    }
                }
            }
        }
    }

    #[test]
    fn lines_within_a_long_secret_are_masked() {
        let key: String = (0..400u32).map(|n| char::from(b'!' + (n * 37 % 90) as u8)).collect();
        let redactor = Redactor::new([&Secret::new(&key)]);
        let lines = wrapped(&STANDARD.encode(format!("ab{key}cd")), 76);
        assert!(lines.len() > 6);
        for line in &lines[1..lines.len() - 1] {
            assert_eq!(redactor.mask(line), MASK);
        }
    }

    #[test]
    fn plain_lines_stay() {
        let redactor = Redactor::new([&Secret::new("Zebu-Kudu?Ibex~Gnu!"), &Secret::new("correct horse battery")]);
        for line in ["2026-11-29 14:03:00 dump: 1234567 rows", "pg_dump: error: connection refused", "aaaa", ""] {
            assert_eq!(redactor.mask(line), line);
        }
    }
}
