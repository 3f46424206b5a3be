//! Pieces of secrets in base64 and hexadecimal texts that are broken into lines: `base64`, PEM, `xxd -p`, PostgreSQL's
//! `encode(…, 'base64')`. No line of them has the whole secret, and together they give it away.

use std::ops::Range;

use super::beginnings::{Beginnings, Grams};
use super::forms;

/// How many characters of base64 (3 bytes) a piece has at least. A shorter one is left.
const BASE64: usize = 4;
/// The same of hexadecimal, 4 bytes.
const HEX: usize = 8;
/// How long a line is at least that lies within a secret and has neither its beginning nor its end.
const WITHIN: usize = 16;
/// Every so many characters of a text are looked up: each line that long has one that is looked up whole.
const GRAM: usize = WITHIN / 2;
/// Shorter words within a line are words.
const WORD: usize = 8;

/// What the secrets look like in base64 and in hexadecimal.
#[derive(Default)]
pub struct Pieces {
    /// Each form with the length of its shortest piece.
    forms: Vec<(Vec<u8>, usize)>,
    /// They find the shortest piece at the beginning and at the end of each form: a longer one has it too.
    ends: Beginnings,
    /// What a line consists of that lies within a form.
    grams: Option<Grams<GRAM>>,
    longest: usize,
}

impl Pieces {
    /// The pieces of these secrets.
    pub fn new<'s>(secrets: impl IntoIterator<Item = &'s [u8]>) -> Self {
        let all = secrets.into_iter().flat_map(|data| {
            let base64 = forms::base64(data).into_iter().map(|f| (f.into_bytes(), BASE64));
            base64.chain(forms::plain_hex(data).map(|f| (f.into_bytes(), HEX)))
        });
        let forms: Vec<(Vec<u8>, usize)> = all.filter(|(form, least)| form.len() >= 2 * least).collect();
        let ends = forms.iter().flat_map(|(form, least)| [&form[..*least], &form[form.len() - least..]]);
        let ends = Beginnings::of(ends, HEX);
        let within = || forms.iter().map(|(form, _)| form.as_slice()).filter(|f| f.len() >= WITHIN);
        let longest = within().map(<[u8]>::len).max().unwrap_or(0);
        let grams = (longest > 0).then(|| Grams::of(within()));
        Self { ends, grams, longest, forms }
    }

    /// The places of pieces in a text, in order: at the beginning and at the end of each encoded text in a line, where a line
    /// also ends at an escaped line end.
    pub fn find(&self, text: &str) -> Vec<Range<usize>> {
        let mut found = Vec::new();
        if self.forms.is_empty() {
            return found;
        }
        let text = text.as_bytes();
        let mut ends = self.ends.search(text);
        let (mut at, mut end, mut within) = (0, ends.next(0), self.next_within(text, 0));
        while let Some(place) = end.into_iter().chain(within).min() {
            let run = run_around(text, at, place);
            if self.is_within(&text[run.clone()]) {
                found.push(run.clone());
            } else if end.is_some_and(|e| run.contains(&e))
                && (run.len() >= WORD || (run.len() >= BASE64 && is_at_an_end(text, &run)))
            {
                self.find_in_run(text, run.clone(), &mut found);
            }
            at = run.end.max(place + 1);
            if end.is_some_and(|e| e < at) {
                end = ends.next(at);
            }
            if within.is_some_and(|w| w < at) {
                within = self.next_within(text, at);
            }
        }
        found
    }

    /// The next place at or after `from` that a line within a form may have.
    fn next_within(&self, text: &[u8], from: usize) -> Option<usize> {
        let grams = self.grams.as_ref()?;
        let from = from.next_multiple_of(GRAM);
        let (looked, _) = text.get(from..)?.as_chunks::<GRAM>();
        looked.iter().position(|gram| grams.has(gram)).map(|at| from + at * GRAM)
    }

    /// The end of a form at the beginning of a run, and the beginning of one at its end.
    fn find_in_run(&self, text: &[u8], run: Range<usize>, found: &mut Vec<Range<usize>>) {
        let encoded = &text[run.clone()];
        let longest = |common: &dyn Fn(&[u8]) -> usize| {
            let all = self.forms.iter().map(|(form, least)| (common(form), least));
            all.filter(|(length, least)| length >= least).map(|(length, _)| length).max().unwrap_or(0)
        };
        let covered = run.start + longest(&|form| overlap(form, encoded));
        if covered > run.start {
            found.push(run.start..covered);
        }
        let from = (run.end - longest(&|form| overlap(encoded, form))).max(covered);
        if from < run.end {
            found.push(from..run.end);
        }
    }

    /// Whether a run lies within a form, which is taken from that all its grams do.
    fn is_within(&self, run: &[u8]) -> bool {
        let Some(grams) = &self.grams else { return false };
        (WITHIN..=self.longest).contains(&run.len())
            && run.windows(GRAM).filter_map(|w| w.first_chunk()).all(|gram| grams.has(gram))
    }
}

/// How many bytes at the end of `a` are the beginning of `b`, at most: by the automaton of Knuth, Morris and Pratt, so
/// that texts which repeat themselves take no longer.
fn overlap(a: &[u8], b: &[u8]) -> usize {
    let b = &b[..b.len().min(a.len())];
    let a = &a[a.len() - b.len()..];
    // For each beginning of `b`, how much of its end is a beginning of `b` too.
    let mut borders = vec![0; b.len()];
    let grow = |mut same: usize, byte: u8, borders: &[usize]| {
        while same > 0 && (same == b.len() || b[same] != byte) {
            same = borders[same - 1];
        }
        same + usize::from(b.get(same) == Some(&byte))
    };
    for at in 1..b.len() {
        borders[at] = grow(borders[at - 1], b[at], &borders);
    }
    a.iter().fold(0, |same, byte| grow(same, *byte, &borders))
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

/// Whether there is a character of base64, which the letter of an escaped line end is not.
fn is_encoded(text: &[u8], at: usize) -> bool {
    let byte = text[at];
    ENCODED[usize::from(byte)] && !(matches!(byte, b'n' | b'r') && at > 0 && text[at - 1] == b'\\')
}

/// Where a line ends: at a line feed, a carriage return, and at an escaped one.
fn ends_line(text: &[u8], at: usize) -> bool {
    match text[at] {
        b'\n' | b'\r' => true,
        b'\\' => matches!(text.get(at + 1), Some(b'n' | b'r')),
        _ => false,
    }
}

/// The characters of base64 around a place, none before `from`.
fn run_around(text: &[u8], from: usize, place: usize) -> Range<usize> {
    let start = (from..place).rev().find(|at| !is_encoded(text, *at)).map_or(from, |at| at + 1);
    let end = (place..text.len()).find(|at| !is_encoded(text, *at)).unwrap_or(text.len());
    start..end.max(start)
}

/// Whether a run is the first or the last in its line that is long enough to be a piece.
fn is_at_an_end(text: &[u8], run: &Range<usize>) -> bool {
    let alone = |places: &mut dyn Iterator<Item = usize>| {
        let mut length = 0;
        for at in places.take_while(|at| !ends_line(text, *at)) {
            length = if is_encoded(text, at) { length + 1 } else { 0 };
            if length == BASE64 {
                return false;
            }
        }
        true
    };
    alone(&mut (0..run.start).rev()) || alone(&mut (run.end..text.len()))
}

#[cfg(test)]
mod tests {
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;

    use super::*;
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

    /// What is found, said simply: in each line, in each run of encoded characters.
    fn slowly(pieces: &Pieces, text: &str) -> Vec<Range<usize>> {
        let forms = &pieces.forms;
        let marked = text.replace("\\n", "\\\n").replace("\\r", "\\\n").replace('\r', "\n");
        let mut found = Vec::new();
        let mut start = 0;
        for line in marked.split('\n') {
            let is_encoded = |b: u8| ENCODED[usize::from(b)];
            let bytes = line.as_bytes();
            let mut runs = Vec::new();
            let mut at = 0;
            for run in bytes.chunk_by(|a, b| is_encoded(*a) == is_encoded(*b)) {
                if is_encoded(run[0]) && run.len() >= BASE64 {
                    runs.push(at..at + run.len());
                }
                at += run.len();
            }
            for (number, run) in runs.iter().enumerate() {
                let encoded = &bytes[run.clone()];
                let outer = number == 0 || number + 1 == runs.len();
                let place = start + run.start..start + run.end;
                let within = |form: &[u8]| form.windows(encoded.len()).any(|w| w == encoded);
                let is_within = encoded.len() >= WITHIN && forms.iter().any(|(form, _)| within(form));
                // One of which most lies within a form may be taken for it.
                let grams = encoded.windows(GRAM);
                let known = grams.filter(|w| forms.iter().any(|(f, _)| f.windows(GRAM).any(|g| g == *w)));
                if is_within || (pieces.is_within(encoded) && known.count() * 4 >= (encoded.len() - GRAM) * 3) {
                    found.push(place);
                    continue;
                }
                if !outer && encoded.len() < WORD {
                    continue;
                }
                let longest = |is: &dyn Fn(&[u8], usize) -> bool| {
                    let of = |(form, least): &(Vec<u8>, usize)| {
                        (*least..=form.len().min(encoded.len())).rev().find(|n| is(form, *n)).unwrap_or(0)
                    };
                    forms.iter().map(of).max().unwrap_or(0)
                };
                let head = longest(&|form, n| form.ends_with(&encoded[..n]));
                let tail = longest(&|form, n| form.starts_with(&encoded[encoded.len() - n..]));
                let (covered, from) = (place.start + head, (place.end - tail).max(place.start + head));
                found.extend([place.start..covered, from..place.end].into_iter().filter(|r| !r.is_empty()));
            }
            start += line.len() + 1;
        }
        found
    }

    #[test]
    fn what_is_found_is_what_a_simple_search_finds() {
        let mut state = 0x9E37_79B9_7F4A_7C15u64;
        let mut chance = move |below: usize| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            usize::try_from(state >> 33).expect("31 bits") % below
        };
        let long: String = (0..300u32).map(|n| char::from(b'!' + (n * n % 89) as u8)).collect();
        let many: Vec<String> = (0..40).map(|n| format!("{n}+secret~{}", n * 7_919)).collect();
        let several = many.iter().map(String::as_bytes).collect();
        let mut hits = 0;
        for secrets in [
            vec![b"Zebu-Kudu?Ibex~Gnu!".as_slice()],
            vec![b"aaaaaaaaaaaaaaaaaaaaaa", b"abcd"],
            several,
            vec![long.as_bytes()],
        ] {
            let pieces = Pieces::new(secrets);
            for _ in 0..200 {
                let mut text = String::new();
                for _ in 0..chance(12) {
                    let (form, _) = &pieces.forms[chance(pieces.forms.len())];
                    let (a, b) = (chance(form.len()), chance(form.len()));
                    let (from, to) = match chance(4) {
                        0 => (0, a),
                        1 => (a, form.len()),
                        _ => (a.min(b), a.max(b)),
                    };
                    let piece = String::from_utf8_lossy(&form[from..to]);
                    let between = ["", "", " ", "\n", "\\n", "\\r", "\r", "x", "né", "YWFh", " word ", "\\", "n"];
                    text += &piece;
                    text += between[chance(between.len())];
                }
                let found = pieces.find(&text);
                assert_eq!(found, slowly(&pieces, &text), "{text:?}");
                hits += found.len();
            }
        }
        assert!(hits > 800, "{hits}");
    }

    #[test]
    fn plain_lines_stay() {
        let redactor = Redactor::new([&Secret::new("Zebu-Kudu?Ibex~Gnu!"), &Secret::new("correct horse battery")]);
        for line in ["2026-11-29 14:03:00 dump: 1234567 rows", "pg_dump: error: connection refused", "aaaa", ""] {
            assert_eq!(redactor.mask(line), line);
        }
    }
}
