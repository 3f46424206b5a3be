//! What `extra_args` may say, and what it means for what is dumped.

/// An option of `pg_dump` that is decided here and nowhere else, and what to use in its place. In the directory format
/// that is the compression too: it gives the files other names and ends.
pub fn own(argument: &str, directory: bool) -> Option<(&'static str, &'static str)> {
    const COMPRESS: (&str, &str, &str) = ("-Z", "--compress", "with `format: directory` the archive compresses");
    const OWN: [(&str, &str, &str); 6] = [
        ("-f", "--file", "the dump goes where `archive.path` or `file` says"),
        ("-F", "--format", "it is the parameter `format`"),
        ("-j", "--jobs", "it is the parameter `jobs`"),
        ("-d", "--dbname", "it is the parameter `database`"),
        ("", "--snapshot", "the dump is taken in the snapshot that its evidence comes from"),
        ("", "--lock-wait-timeout", "it is the parameter `lock_wait_timeout`"),
    ];
    let name = argument.split('=').next().unwrap_or_default();
    OWN.iter().chain(directory.then_some(&COMPRESS)).find_map(|(short, long, why)| match name {
        _ if name == *long => Some((*long, *why)),
        _ if !short.is_empty() && argument.starts_with(short) && !argument.starts_with("--") => Some((*short, *why)),
        _ => None,
    })
}

/// What may be left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    /// Tables and all that is theirs; or it is another user who dumps, or another server that is dumped.
    Tables,
    /// Rows, where sequences stand, and large objects. The tables are locked all the same.
    Rows,
    LargeObjects,
}

/// The options of `pg_dump` (its manual, PostgreSQL 12 to 18) with which it may need fewer rights than without. To leave the
/// definitions out (`--data-only`) spares none.
const NARROWING: [(char, &str, Part); 22] = [
    ('n', "--schema", Part::Tables),
    ('N', "--exclude-schema", Part::Tables),
    ('t', "--table", Part::Tables),
    ('T', "--exclude-table", Part::Tables),
    ('e', "--extension", Part::Tables),
    (' ', "--table-and-children", Part::Tables),
    (' ', "--exclude-table-and-children", Part::Tables),
    (' ', "--exclude-extension", Part::Tables),
    (' ', "--filter", Part::Tables),
    ('h', "--host", Part::Tables),
    ('p', "--port", Part::Tables),
    ('U', "--username", Part::Tables),
    (' ', "--role", Part::Tables),
    ('s', "--schema-only", Part::Rows),
    (' ', "--statistics-only", Part::Rows),
    (' ', "--no-data", Part::Rows),
    (' ', "--section", Part::Rows),
    (' ', "--exclude-table-data", Part::Rows),
    (' ', "--exclude-table-data-and-children", Part::Rows),
    (' ', "--no-unlogged-table-data", Part::Rows),
    ('B', "--no-blobs", Part::LargeObjects),
    (' ', "--no-large-objects", Part::LargeObjects),
];

/// Letters of options that a value follows.
const VALUED: &str = "dEeFfhjNnpSTtUZ";

/// What the words that are handed to `pg_dump` may leave out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Narrowed {
    pub tables: bool,
    pub rows: bool,
    pub large_objects: bool,
}

impl Narrowed {
    /// Reads them as `pg_dump` does: letters may stand together, long options may be cut short, and a word after an option
    /// is its value, else the name of a database.
    pub fn by(arguments: &[String]) -> Self {
        let mut narrowed = Self::default();
        let mut option = false;
        for argument in arguments {
            if let Some(long) = argument.strip_prefix("--") {
                narrowed.long(argument.split('=').next().unwrap_or_default());
                option = !long.contains('=');
            } else if let Some(letters) = argument.strip_prefix('-') {
                let end = letters.find(|c| VALUED.contains(c)).map_or(letters.len(), |at| at + 1);
                letters[..end].chars().for_each(|c| narrowed.take(|(letter, ..)| *letter == c));
                option = end == letters.len();
            } else {
                narrowed.tables |= !option;
                option = false;
            }
        }
        // Who leaves tables out may leave out all of them.
        narrowed.rows |= narrowed.tables;
        narrowed.large_objects |= narrowed.rows;
        narrowed
    }

    fn long(&mut self, name: &str) {
        match NARROWING.iter().any(|(_, long, _)| *long == name) {
            true => self.take(|(_, long, _)| *long == name),
            false => self.take(|(_, long, _)| long.starts_with(name)),
        }
    }

    fn take(&mut self, is: impl Fn(&(char, &str, Part)) -> bool) {
        for (.., part) in NARROWING.iter().filter(|o| is(o)) {
            match part {
                Part::Tables => self.tables = true,
                Part::Rows => self.rows = true,
                Part::LargeObjects => self.large_objects = true,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_leaves_something_out_narrows() {
        let (nothing, all) = ((false, false, false), (true, true, true));
        let (rows, objects) = ((false, true, true), (false, false, true));
        for (words, expected) in [
            ("", nothing),
            ("--no-sync", nothing),
            ("-Z6 -O -x --quote-all-identifiers", nothing),
            ("-Z 6 --encoding UTF8 -E SQL_ASCII --compress=none", nothing),
            ("--data-only", nothing),
            ("-S nobody", nothing),
            ("-b --no-owner --no-comments --inserts --rows-per-insert=10", nothing),
            ("-t x", all),
            ("-tx", all),
            ("-Oxt x", all),
            ("--table=x", all),
            ("--tabl x", all),
            ("--exclude-schema x", all),
            ("--role=owner", all),
            ("-Uother", all),
            ("other", all),
            ("-Z6 other", all),
            ("-s", rows),
            ("-Os", rows),
            ("--schema-on", rows),
            ("--exclude-table-data=x", rows),
            ("--section=pre-data", rows),
            ("-B", objects),
            ("--no-blobs", objects),
            ("--no-large-objects", objects),
        ] {
            let words: Vec<String> = words.split_whitespace().map(str::to_owned).collect();
            let Narrowed { tables, rows, large_objects } = Narrowed::by(&words);
            assert_eq!((tables, rows, large_objects), expected, "{words:?}");
        }
    }
}
