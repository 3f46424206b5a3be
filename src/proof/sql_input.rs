//! What `psql` is given of an SQL dump. Its own commands (`\!`, `\connect`, `\copy … program`) run programs and reach other
//! databases, so a dump with one is refused before anything starts; and where `psql` knows restricted mode, it is in that.

use std::io::{self, Write};

use crate::dump::sql::{SqlDump, misread};

/// Reads an SQL dump and finds what a dump never has.
#[derive(Default)]
pub struct Vetting {
    reader: SqlDump,
    found: Option<String>,
}

impl Vetting {
    /// Takes the next bytes.
    ///
    /// # Errors
    /// What is wrong with them; reads after "cannot be restored: ".
    pub fn take(&mut self, bytes: &[u8]) -> Result<(), String> {
        let found = &mut self.found;
        self.reader.take(bytes, &mut |piece| {
            if found.is_none() {
                *found = misread(&piece);
            }
        });
        self.found.take().map_or(Ok(()), Err)
    }
}

/// The first versions that know `\restrict`, by major version.
const RESTRICT: [(u32, u32); 5] = [(13, 22), (14, 19), (15, 14), (16, 10), (17, 6)];

/// Whether a `psql` of that version knows `\restrict`.
pub fn knows_restrict(numbers: &[u32]) -> bool {
    let (Some(major), minor) = (numbers.first(), numbers.get(1).copied().unwrap_or(0)) else { return false };
    *major >= 18 || RESTRICT.contains(&(*major, minor)) || RESTRICT.iter().any(|(m, n)| m == major && minor > *n)
}

/// What a newer `pg_dump` writes at the head of a dump and a server before version 17 refuses.
const TRANSACTION_TIMEOUT: &[u8] = b"SET transaction_timeout = 0;";

/// How an SQL dump is handed on.
#[derive(Debug, Clone, Default)]
pub struct SqlOptions {
    /// The key that opens restricted mode, where `psql` knows that.
    pub key: Option<String>,
    /// The server does not know `transaction_timeout`. The dump only sets it to its default, so the line is left out.
    pub drops_transaction_timeout: bool,
}

/// Hands an SQL dump on without the pair `\restrict` and `\unrestrict` that a newer `pg_dump` writes around it, and with one
/// of our own in its place where `psql` knows that.
pub struct SqlInput<W> {
    to: W,
    options: SqlOptions,
    state: State,
    /// Bytes that are held back: the head of the dump, then what may be the start of the last line.
    held: Vec<u8>,
}

enum State {
    /// Before the first line that is neither empty nor a comment nor sets a parameter; with the line that the dump ends
    /// with, once it is known.
    Head(Option<Vec<u8>>),
    /// In the dump, which ends with this line.
    Body(Vec<u8>),
    Plain,
}

impl<W: Write> SqlInput<W> {
    /// A writer to `psql`; the key opens restricted mode and nobody else knows it.
    ///
    /// # Errors
    /// It cannot be written to.
    pub fn new(mut to: W, options: SqlOptions) -> io::Result<Self> {
        if let Some(key) = &options.key {
            writeln!(to, "\\restrict {key}")?;
        }
        Ok(Self { to, options, state: State::Head(None), held: Vec::new() })
    }

    /// Takes the next bytes.
    ///
    /// # Errors
    /// They cannot be written.
    pub fn take(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.held.extend_from_slice(bytes);
        if let State::Head(last) = &mut self.state {
            let last = last.take();
            self.head(last);
        }
        match &self.state {
            State::Head(_) => Ok(()),
            State::Plain => self.pass(0),
            State::Body(last) => {
                let keep = last.len();
                while let State::Body(last) = &self.state
                    && let Some(at) = memchr::memmem::find(&self.held, last)
                {
                    // The end of the line before stays.
                    self.to.write_all(&self.held[..=at])?;
                    self.held.drain(..at + last.len());
                    self.state = State::Plain;
                }
                self.pass(if matches!(self.state, State::Plain) { 0 } else { keep })
            }
        }
    }

    /// Ends the dump.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn end(mut self) -> io::Result<()> {
        if let State::Head(Some(last)) = &mut self.state {
            // A dump that is a head alone.
            self.state = State::Body(std::mem::take(last));
            self.take(&[])?;
        }
        self.pass(0)?;
        if let Some(key) = &self.options.key {
            write!(self.to, "\n\\unrestrict {key}\n")?;
        }
        self.to.flush()
    }

    /// Writes what is held but for its last bytes.
    fn pass(&mut self, keep: usize) -> io::Result<()> {
        let count = self.held.len().saturating_sub(keep);
        self.to.write_all(&self.held[..count])?;
        self.held.drain(..count);
        Ok(())
    }

    /// Goes through the lines that a dump begins with: comments, `\restrict`, and settings of the session.
    fn head(&mut self, mut last: Option<Vec<u8>>) {
        let mut at = 0;
        while let Some(length) = memchr::memchr(b'\n', &self.held[at..]) {
            let line = &self.held[at..at + length];
            let goes = match line.strip_prefix(b"\\restrict ") {
                Some(key) if last.is_none() => {
                    last = Some([b"\n\\unrestrict ", key, b"\n"].concat());
                    true
                }
                _ => self.options.drops_transaction_timeout && line == TRANSACTION_TIMEOUT,
            };
            let belongs = line.is_empty()
                || [&b"--"[..], b"SET ", b"SELECT pg_catalog.set_config("].iter().any(|word| line.starts_with(word));
            if goes {
                self.held.drain(at..=at + length);
            } else if belongs {
                at += length + 1;
            } else {
                self.state = last.map_or(State::Plain, State::Body);
                return;
            }
        }
        // A head is not as long as this.
        self.state = match last {
            last if self.held.len() <= 1 << 16 => State::Head(last),
            Some(last) => State::Body(last),
            None => State::Plain,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passed(dump: &str, key: Option<&str>, size: usize) -> String {
        handed(dump, SqlOptions { key: key.map(str::to_owned), ..SqlOptions::default() }, size)
    }

    fn handed(dump: &str, options: SqlOptions, size: usize) -> String {
        let mut to = Vec::new();
        let mut input = SqlInput::new(&mut to, options).expect("a writer");
        dump.as_bytes().chunks(size).for_each(|bytes| input.take(bytes).expect("taken"));
        input.end().expect("the end");
        String::from_utf8(to).expect("text")
    }

    #[test]
    fn the_pair_of_the_dump_goes_and_ours_comes_in_its_place_however_it_is_cut() {
        let dump = "--\n-- dump\n--\n\n\\restrict aB3\n\nSELECT 1;\nCOPY t FROM stdin;\n\\restrict aB3\n\\unrestrict other\n\\.\n\n\\unrestrict aB3\n\n";
        let without =
            "--\n-- dump\n--\n\n\nSELECT 1;\nCOPY t FROM stdin;\n\\restrict aB3\n\\unrestrict other\n\\.\n\n\n";
        for size in 1..dump.len() {
            assert_eq!(passed(dump, None, size), without, "{size}");
            let ours = passed(dump, Some("K1"), size);
            assert_eq!(ours, format!("\\restrict K1\n{without}\n\\unrestrict K1\n"), "{size}");
        }
        let old = "-- dump\nSELECT 1;\n\\unrestrict aB3\n";
        assert_eq!(passed(old, None, 3), old);
    }

    #[test]
    fn what_an_older_server_does_not_know_is_left_out_of_the_head_alone() {
        let set = "SET transaction_timeout = 0;\n";
        let head = "--\n\\restrict aB3\n\n-- Dumped\n\nSET statement_timeout = 0;\n";
        let rest = "SET client_encoding = 'UTF8';\nSELECT pg_catalog.set_config('search_path', '', false);\n\n";
        let body = format!("COPY t FROM stdin;\n{set}\\.\n\n\\unrestrict aB3\n\n");
        for size in [1, 2, 7, 30, 1000] {
            for drops in [false, true] {
                let options = || SqlOptions { key: None, drops_transaction_timeout: drops };
                let kept = if drops { "" } else { set };
                let expected = format!("{head}{kept}{rest}{body}").replace("\\restrict aB3\n", "");
                let expected = expected.replace("\\unrestrict aB3\n", "");
                assert_eq!(handed(&format!("{head}{set}{rest}{body}"), options(), size), expected, "{size}");
                // A dump of nothing is a head alone.
                let nothing = format!("{head}{set}{rest}\\unrestrict aB3\n\n");
                let expected = format!("{head}{kept}{rest}\n").replace("\\restrict aB3\n", "");
                assert_eq!(handed(&nothing, options(), size), expected, "{size}");
                let unended = format!("{head}{set}{rest}");
                let expected = format!("{head}{kept}{rest}").replace("\\restrict aB3\n", "");
                assert_eq!(handed(&unended, options(), size), expected, "{size}");
            }
        }
    }

    #[test]
    fn a_command_of_psql_is_refused_with_its_line_and_a_dump_is_not() {
        let vet = |text: &str| {
            let mut vetting = Vetting::default();
            text.as_bytes().chunks(3).try_for_each(|bytes| vetting.take(bytes))
        };
        let clean = "--\n\\restrict k\n\nSELECT 'a\\b';\nCOPY public.t (a) FROM stdin;\n\\!x\n\\.\n\n\\unrestrict k\n";
        assert_eq!(vet(clean), Ok(()));
        assert_eq!(vet("COMMENT ON TABLE public.t IS 'D:\\';\n"), Ok(()));
        let begin = vet("CREATE FUNCTION public.begin() RETURNS integer\n").expect_err("no body");
        assert!(begin.contains("named `begin`"), "{begin}");
        for command in [
            "\\! id",
            "\\connect other",
            "\\copy t from program 'id'",
            "\\o |id",
            "\\i /etc/passwd",
            "SELECT 1 \\g |id",
        ] {
            let why = vet(&format!("SELECT 1;\n{command}\n")).expect_err(command);
            assert!(why.contains("line 2 of the SQL"), "{why}");
        }
    }

    #[test]
    fn restricted_mode_came_with_minor_versions() {
        for (numbers, knows) in [
            (&[15, 13][..], false),
            (&[15, 14], true),
            (&[15, 18], true),
            (&[14, 18], false),
            (&[16, 10], true),
            (&[17, 5], false),
            (&[18], true),
            (&[19, 0], true),
            (&[12, 40], false),
            (&[], false),
        ] {
            assert_eq!(knows_restrict(numbers), knows, "{numbers:?}");
        }
    }
}
