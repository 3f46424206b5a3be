//! Where in a text one of many strings may begin.

use std::collections::BTreeSet;

use aho_corasick::Span;
use aho_corasick::packed::{self, Searcher};

/// How many strings one searcher takes, and how many searchers are worth their passes.
const SEARCHED: usize = 64;
const SEARCHERS: usize = 6;
/// How many bytes of a string a [`Table`] knows.
const GRAM: usize = 4;

/// Finds where one of a set of strings may begin: many bytes at a time if they are few, else by a table.
#[derive(Default)]
pub struct Beginnings {
    searchers: Vec<Searcher>,
    table: Option<Table>,
}

/// The beginnings of many strings.
struct Table {
    grams: Grams<GRAM>,
    /// The first bytes of those that are shorter than a gram.
    short: [bool; 256],
}

/// Hashes of strings of `N` bytes. It may take another one for one of them: one in 16 or fewer.
pub struct Grams<const N: usize> {
    bits: Vec<u64>,
}

impl<const N: usize> Grams<N> {
    /// Every string of `N` bytes within these texts.
    pub fn of<'t>(texts: impl Iterator<Item = &'t [u8]> + Clone) -> Self {
        let all: usize = texts.clone().map(|t| (t.len() + 1).saturating_sub(N)).sum();
        let mut grams = Self { bits: vec![0; (all * 16).next_power_of_two().max(1 << 15) / 64] };
        for gram in texts.flat_map(|t| t.windows(N)).filter_map(|w| w.first_chunk()) {
            let (at, bit) = grams.place(gram);
            grams.bits[at] |= bit;
        }
        grams
    }

    pub fn has(&self, gram: &[u8; N]) -> bool {
        let (at, bit) = self.place(gram);
        self.bits[at] & bit != 0
    }

    fn place(&self, gram: &[u8; N]) -> (usize, u64) {
        let mut wide = [0; 8];
        wide[..N].copy_from_slice(gram);
        let mixed = u64::from_le_bytes(wide).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        // The upper bits are mixed best.
        ((mixed >> 38) as usize & (self.bits.len() - 1), 1 << (mixed >> 32 & 63))
    }
}

impl Beginnings {
    /// Of each string at most `most` bytes are compared.
    pub fn of<'s>(strings: impl IntoIterator<Item = &'s [u8]>, most: usize) -> Self {
        let all: BTreeSet<&[u8]> = strings.into_iter().map(|s| &s[..s.len().min(most)]).collect();
        let all: Vec<&[u8]> = all.into_iter().collect();
        let searcher = |some: &[&[u8]]| packed::Config::new().builder().extend(some).build();
        let few = if all.len() > SEARCHED * SEARCHERS { None } else { Some(&all) };
        let searchers: Option<Vec<Searcher>> = few.and_then(|few| few.chunks(SEARCHED).map(searcher).collect());
        match searchers {
            Some(searchers) => Self { searchers, table: None },
            None => Self { searchers: Vec::new(), table: Some(Table::of(&all)) },
        }
    }

    /// A search through a text, from its beginning.
    pub fn search<'t>(&'t self, text: &'t [u8]) -> Search<'t> {
        Search { beginnings: self, text, ahead: vec![None; self.searchers.len()] }
    }
}

impl Table {
    fn of(strings: &[&[u8]]) -> Self {
        let mut short = [false; 256];
        for string in strings.iter().filter(|s| s.len() < GRAM) {
            string.first().iter().for_each(|byte| short[usize::from(**byte)] = true);
        }
        Self { grams: Grams::of(strings.iter().map(|s| &s[..s.len().min(GRAM)])), short }
    }

    fn find(&self, text: &[u8], from: usize) -> Option<usize> {
        (from..text.len()).find(|at| {
            let rest = &text[*at..];
            self.short[usize::from(rest[0])] || rest.first_chunk().is_some_and(|gram| self.grams.has(gram))
        })
    }
}

/// A search that only goes on.
pub struct Search<'t> {
    beginnings: &'t Beginnings,
    text: &'t [u8],
    /// Where each searcher found its next place, the end of the text if there is none.
    ahead: Vec<Option<usize>>,
}

impl Search<'_> {
    /// The next place at or after `from`.
    pub fn next(&mut self, from: usize) -> Option<usize> {
        if let Some(table) = &self.beginnings.table {
            return table.find(self.text, from);
        }
        let end = self.text.len();
        for (next, searcher) in self.ahead.iter_mut().zip(&self.beginnings.searchers) {
            if next.is_none_or(|n| n < from) && from <= end {
                *next = Some(searcher.find_in(self.text, Span::from(from..end)).map_or(end, |m| m.start()));
            }
        }
        self.ahead.iter().flatten().copied().min().filter(|at| *at < end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_strings_are_found_as_few_are() {
        let strings: Vec<String> =
            (0..1_000).map(|n| format!("{:04}x", n * 7)).chain(["é".into(), "zz".into()]).collect();
        let text = "0007 é 6993x zz, 1 zoo 0014x";
        for count in [10, strings.len()] {
            let some = || strings[..count].iter().chain(&strings[1_000..]).map(|s| s.as_bytes());
            let beginnings = Beginnings::of(some(), 4);
            assert_eq!(beginnings.table.is_some(), count > 384);
            let mut search = beginnings.search(text.as_bytes());
            let mut found = BTreeSet::new();
            let mut at = 0;
            while let Some(next) = search.next(at) {
                found.insert(next);
                at = next + 1;
            }
            let wanted = (0..text.len()).filter(|at| {
                let rest = &text.as_bytes()[*at..];
                some().any(|s| rest.starts_with(&s[..s.len().min(4)]))
            });
            for place in wanted {
                assert!(found.contains(&place), "{place} among {count}");
            }
        }
    }
}
