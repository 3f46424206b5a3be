//! What `extra_args` may say, and what it means for what is dumped.

/// A word that `pg_dump` reads as an option, or as the name of a database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Word<'a> {
    Letter(char),
    /// Without its dashes and its value; it may be cut short.
    Long(&'a str),
    Database,
}

impl Word<'_> {
    fn is(self, letter: char, long: &str) -> bool {
        match self {
            Self::Letter(said) => said == letter,
            Self::Long(said) => long.starts_with(said),
            Self::Database => false,
        }
    }
}

/// Letters of options that a value follows.
const VALUED: &str = "dEeFfhjNnpSTtUZ";

/// Long options that no value follows, beside those that begin with `no-`.
const FLAGS: [&str; 24] = [
    "attribute-inserts",
    "binary-upgrade",
    "blobs",
    "clean",
    "column-inserts",
    "create",
    "data-only",
    "disable-dollar-quoting",
    "disable-triggers",
    "enable-row-security",
    "if-exists",
    "inserts",
    "large-objects",
    "load-via-partition-root",
    "on-conflict-do-nothing",
    "password",
    "quote-all-identifiers",
    "schema-only",
    "sequence-data",
    "serializable-deferrable",
    "statistics-only",
    "strict-names",
    "use-set-session-authorization",
    "verbose",
];

/// Reads arguments as `pg_dump` does (getopt_long(3)), each word with the number of its argument: letters may stand
/// together, long options may be cut short, and what follows an option that takes a value is its value. One that is not
/// known yet, none, is passed over.
fn read<'a>(arguments: &[Option<&'a str>]) -> Vec<(usize, Word<'a>)> {
    let mut words = Vec::new();
    let (mut value, mut options, mut unknown) = (false, true, false);
    for (at, argument) in arguments.iter().enumerate() {
        // After one that is not known anything but an option may be its value.
        let lenient = std::mem::replace(&mut unknown, argument.is_none());
        let (true, Some(argument)) = (!std::mem::take(&mut value), *argument) else { continue };
        if !options || argument == "-" || !argument.starts_with('-') {
            words.extend((!lenient).then_some((at, Word::Database)));
        } else if argument == "--" {
            options = false;
        } else if let Some(long) = argument.strip_prefix("--") {
            let (name, own) = long.split_once('=').map_or((long, false), |(name, _)| (name, true));
            // An option of a later version is taken for one with a value; `--schema` is not `--schema-only` cut short.
            let flag = name != "schema" && FLAGS.iter().any(|flag| flag.starts_with(name));
            value = !own && !flag && !name.starts_with("no-");
            words.push((at, Word::Long(name)));
        } else {
            for (place, letter) in argument.char_indices().skip(1) {
                words.push((at, Word::Letter(letter)));
                if VALUED.contains(letter) {
                    value = place + 1 == argument.len();
                    break;
                }
            }
        }
    }
    words
}

/// The options of `pg_dump` that are decided here and nowhere else, each with the number of its argument and what to use
/// in its place. In the directory format that is the compression too: it gives the files other names and ends.
pub fn owned(arguments: &[Option<&str>], directory: bool) -> Vec<(usize, String, &'static str)> {
    const DATABASE: &str = "it is the parameter `database`";
    const COMPRESS: (char, &str, &str) = ('Z', "--compress", "with `format: directory` the archive compresses");
    const OWN: [(char, &str, &str); 10] = [
        ('f', "--file", "the dump goes where `archive.path` or `file` says"),
        ('F', "--format", "it is the parameter `format`"),
        ('j', "--jobs", "it is the parameter `jobs`"),
        ('d', "--dbname", DATABASE),
        ('h', "--host", DATABASE),
        ('p', "--port", DATABASE),
        ('U', "--username", DATABASE),
        ('W', "--password", "nobody is there to be asked; give it as `database.password`"),
        (' ', "--snapshot", "the dump is taken in the snapshot that its evidence comes from"),
        (' ', "--lock-wait-timeout", "it is the parameter `lock_wait_timeout`"),
    ];
    let own = |word: Word| {
        if word == Word::Database {
            return Some(("the name of a database".to_owned(), DATABASE));
        }
        let mut owned = OWN.iter().chain(directory.then_some(&COMPRESS));
        let (letter, long, why) = owned.find(|(letter, long, _)| word.is(*letter, &long[2..]))?;
        Some((if word == Word::Letter(*letter) { format!("-{letter}") } else { (*long).to_owned() }, *why))
    };
    read(arguments).into_iter().filter_map(|(at, word)| own(word).map(|(option, why)| (at, option, why))).collect()
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
const NARROWING: [(char, &str, Part); 19] = [
    ('n', "--schema", Part::Tables),
    ('N', "--exclude-schema", Part::Tables),
    ('t', "--table", Part::Tables),
    ('T', "--exclude-table", Part::Tables),
    ('e', "--extension", Part::Tables),
    (' ', "--table-and-children", Part::Tables),
    (' ', "--exclude-table-and-children", Part::Tables),
    (' ', "--exclude-extension", Part::Tables),
    (' ', "--filter", Part::Tables),
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

/// What the words that are handed to `pg_dump` may leave out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Narrowed {
    pub tables: bool,
    pub rows: bool,
    pub large_objects: bool,
}

impl Narrowed {
    /// By these arguments.
    pub fn by(arguments: &[String]) -> Self {
        let mut narrowed = Self::default();
        let arguments: Vec<Option<&str>> = arguments.iter().map(|a| Some(a.as_str())).collect();
        for (_, word) in read(&arguments) {
            let exact = NARROWING.iter().find(|(_, long, _)| word == Word::Long(&long[2..]));
            let like = NARROWING.iter().filter(|(letter, long, _)| exact.is_none() && word.is(*letter, &long[2..]));
            like.chain(exact).for_each(|(.., part)| narrowed.take(*part));
        }
        // Who leaves tables out may leave out all of them.
        narrowed.rows |= narrowed.tables;
        narrowed.large_objects |= narrowed.rows;
        narrowed
    }

    fn take(&mut self, part: Part) {
        match part {
            Part::Tables => self.tables = true,
            Part::Rows => self.rows = true,
            Part::LargeObjects => self.large_objects = true,
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

    #[test]
    fn what_is_decided_elsewhere_is_found_however_it_is_written() {
        for (words, found) in [
            ("-O --no-sync -E UTF8 --encoding UTF8 --section pre-data -n public -t f --schema other", vec![]),
            ("-n -fx --table -d", vec![]),
            ("--newer value", vec![]),
            ("-fx", vec![(0, "-f")]),
            ("-Ofx", vec![(0, "-f")]),
            ("-O -f x", vec![(1, "-f")]),
            ("--fil x", vec![(0, "--file")]),
            ("--form=p -vFp --snap=1", vec![(0, "--format"), (1, "-F"), (2, "--snapshot")]),
            ("-h db2 -p1 -Uroot -w -W", vec![(0, "-h"), (2, "-p"), (3, "-U"), (5, "-W")]),
            ("--host=db2 --user root", vec![(0, "--host"), (1, "--username")]),
            ("other", vec![(0, "the name of a database")]),
            ("-O other", vec![(1, "the name of a database")]),
            ("--no-owner other", vec![(1, "the name of a database")]),
            ("--clean other", vec![(1, "the name of a database")]),
            ("-Z 6 other", vec![(2, "the name of a database")]),
            ("-- -O", vec![(1, "the name of a database")]),
        ] {
            let words: Vec<Option<&str>> = words.split_whitespace().map(Some).collect();
            let owned = owned(&words, false);
            let owned: Vec<_> = owned.iter().map(|(at, option, _)| (*at, option.as_str())).collect();
            assert_eq!(owned, found, "{words:?}");
        }
        let unknown = [Some("-n"), None, Some("x"), Some("y"), None, Some("-OZ6")];
        let owned = owned(&unknown, true);
        let owned: Vec<_> = owned.iter().map(|(at, option, _)| (*at, option.as_str())).collect();
        assert_eq!(owned, [(3, "the name of a database"), (5, "-Z")]);
    }
}
