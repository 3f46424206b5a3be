//! The rows of a `COPY … FROM stdin` in an SQL dump, up to the line that ends them.

/// What a line must be to end the rows: as `handleCopyIn` in PostgreSQL's `src/bin/psql/copy.c` compares it.
const ENDS: [&[u8]; 2] = [b"\\.\n", b"\\.\r\n"];

/// Finds the end of the rows, however the bytes are cut.
#[derive(Debug)]
pub struct CopyData {
    /// The bytes of the line so far, while it may still be the end; none once it is a row.
    start: Option<Vec<u8>>,
}

impl Default for CopyData {
    fn default() -> Self {
        Self { start: Some(Vec::new()) }
    }
}

impl CopyData {
    /// Takes bytes up to the end of the rows. Gives how many, and whether that end was met.
    pub fn take(&mut self, bytes: &[u8], rows: &mut dyn FnMut(&[u8])) -> (usize, bool) {
        let mut at = 0;
        while at < bytes.len() {
            if let Some(start) = &mut self.start {
                start.push(bytes[at]);
                at += 1;
                if ENDS.contains(&start.as_slice()) {
                    self.start = Some(Vec::new());
                    return (at, true);
                }
                if !ENDS.iter().any(|end| end.starts_with(start)) {
                    let ended = start.ends_with(b"\n");
                    rows(start);
                    start.clear();
                    if !ended {
                        self.start = None;
                    }
                }
                continue;
            }
            let rest = &bytes[at..];
            let (count, line_ends) = match memchr::memmem::find(rest, b"\n\\.") {
                Some(found) => (found + 1, true),
                None if rest.ends_with(b"\n") => (rest.len(), true),
                // The backslash may begin the end of the rows.
                None if rest.ends_with(b"\n\\") => (rest.len() - 1, true),
                None => (rest.len(), false),
            };
            rows(&rest[..count]);
            at += count;
            if line_ends {
                self.start = Some(Vec::new());
            }
        }
        (at, false)
    }
}
