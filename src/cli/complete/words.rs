//! The words of a line of bash: where they begin and end, and how one is written so that bash reads it as it is.

/// A line in words.
#[derive(Debug)]
pub struct Split {
    /// Without their quotes; the last one, which may be empty, is not complete.
    pub words: Vec<String>,
    /// The last word as typed.
    raw: String,
    /// The quote that it ends in.
    quote: Option<char>,
}

/// Splits a line that may end within quotes.
pub fn split(line: &str) -> Split {
    let (mut words, mut word, mut begun) = (Vec::new(), String::new(), false);
    let (mut start, mut quote) = (0, None);
    let mut chars = line.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        match (quote, c) {
            (None, ' ' | '\t' | '\n') => {
                if begun {
                    words.push(std::mem::take(&mut word));
                }
                (begun, start) = (false, at + 1);
                continue;
            }
            (Some(open), c) if c == open => quote = None,
            (None, '\'' | '"') => quote = Some(c),
            (None, '\\') => word.extend(chars.next().map(|(_, next)| next)),
            (Some('"'), '\\') => {
                let next = chars.next_if(|(_, next)| matches!(next, '"' | '\\' | '$' | '`'));
                word.push(next.map_or('\\', |(_, next)| next));
            }
            _ => word.push(c),
        }
        begun = true;
    }
    words.push(word);
    Split { words, raw: line[start..].to_owned(), quote }
}

impl Split {
    /// What of the last word stays as it is when bash puts another in the place of `last`, which is what it takes for the
    /// last word itself.
    pub fn kept(&self, last: &str) -> String {
        match self.raw.strip_suffix(last) {
            Some(kept) => split(kept).words.pop().unwrap_or_default(),
            None => {
                let word = self.words.last().map(String::as_str).unwrap_or_default();
                word.strip_suffix(last).unwrap_or_default().to_owned()
            }
        }
    }

    /// A text as it must stand on the line to be read as itself; none where that cannot be.
    pub fn quoted(&self, text: &str) -> Option<String> {
        let after = |special: &str| {
            text.chars().flat_map(|c| special.contains(c).then_some('\\').into_iter().chain([c])).collect()
        };
        match self.quote {
            Some('\'') if text.contains('\'') => None,
            Some('\'') => Some(text.to_owned()),
            // Within these quotes `!` cannot be written.
            Some(_) if text.contains('!') => None,
            Some(_) => Some(after("\"\\$`")),
            None => {
                let text: String = after(" \"'\\$`&|;<>()[]{}*?!#~^\t");
                // A tilde that was typed is the home folder.
                Some(match text.strip_prefix("\\~/") {
                    Some(rest) if self.raw.starts_with("~/") => format!("~/{rest}"),
                    _ => text,
                })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_read_as_bash_reads_it() {
        for (line, words, quote) in [
            ("runplan", vec!["runplan"], None),
            ("runplan ", vec!["runplan", ""], None),
            ("runplan  run\tx", vec!["runplan", "run", "x"], None),
            ("a my\\ plan.yaml b", vec!["a", "my plan.yaml", "b"], None),
            ("a 'my pl", vec!["a", "my pl"], Some('\'')),
            ("a \"my \\\"p\\l\" -p k=", vec!["a", "my \"p\\l", "-p", "k="], None),
            ("a \"x", vec!["a", "x"], Some('"')),
            ("a '' \\", vec!["a", "", ""], None),
        ] {
            let split = split(line);
            assert_eq!((split.words, split.quote), (words.iter().map(|w| (*w).to_owned()).collect(), quote), "{line}");
        }
    }

    #[test]
    fn what_bash_leaves_in_its_place_is_not_given_again() {
        for (line, last, kept) in [
            ("a -p keep=", "", "keep="),
            ("a -p keep=t", "t", "keep="),
            ("a --only=du", "du", "--only="),
            ("a plans/ni", "plans/ni", ""),
            ("a my\\ pl", "my\\ pl", ""),
            ("a 'my pl", "my pl", ""),
            ("a ", "", ""),
        ] {
            assert_eq!(split(line).kept(last), kept, "{line}");
        }
    }

    #[test]
    fn a_name_is_no_command() {
        let evil = "x$(touch y)`z`;'\"&|! ~";
        assert_eq!(split("a ").quoted(evil).as_deref(), Some("x\\$\\(touch\\ y\\)\\`z\\`\\;\\'\\\"\\&\\|\\!\\ \\~"));
        assert_eq!(split("a \"").quoted(evil), None);
        assert_eq!(split("a \"").quoted("$x`").as_deref(), Some("\\$x\\`"));
        assert_eq!(split("a '").quoted(evil), None);
        assert_eq!(split("a '").quoted("$x y").as_deref(), Some("$x y"));
        assert_eq!(split("a ~/p").quoted("~/p q/").as_deref(), Some("~/p\\ q/"));
        assert_eq!(split("a p").quoted("~/p").as_deref(), Some("\\~/p"));
    }
}
