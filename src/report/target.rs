//! Reports in files: which kind goes where, written whole when the run is over.

use std::io;
use std::path::PathBuf;
use std::str::FromStr;

use super::{RunResult, junit, markdown};
use crate::diag;
use crate::files;

/// What a report is written as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The document that `--format json` prints.
    Json,
    /// A test case for each step, as build servers read it.
    Junit,
    /// A page with a table of the steps.
    Markdown,
}

const KINDS: [(&str, Kind); 3] = [("json", Kind::Json), ("junit", Kind::Junit), ("markdown", Kind::Markdown)];

/// The words for the kinds.
pub fn kinds() -> impl Iterator<Item = &'static str> {
    KINDS.iter().map(|(name, _)| *name)
}

/// A report that was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    pub kind: Kind,
    pub file: PathBuf,
}

impl FromStr for Target {
    type Err = String;

    /// Reads `KIND:FILE`.
    fn from_str(text: &str) -> Result<Self, String> {
        let names = || KINDS.map(|(name, _)| format!("`{name}`")).join(", ");
        let Some((word, file)) = text.split_once(':').filter(|(_, file)| !file.is_empty()) else {
            return Err(format!("write a kind and a file, like `junit:report.xml`; the kinds are {}", names()));
        };
        match KINDS.iter().find(|(name, _)| *name == word) {
            Some((_, kind)) => Ok(Self { kind: *kind, file: PathBuf::from(file) }),
            None => Err(match diag::nearest(word, KINDS.map(|(name, _)| name)) {
                Some(near) => format!("there is no kind `{word}`; did you mean `{near}`?"),
                None => format!("there is no kind `{word}`; there are {}", names()),
            }),
        }
    }
}

impl Target {
    /// Writes the report of a run in place of an older one, in one step.
    ///
    /// # Errors
    /// It cannot be written; an older one is then as it was.
    pub fn write(&self, result: &RunResult) -> io::Result<()> {
        let text = match self.kind {
            Kind::Json => serde_json::to_string_pretty(result).map(|t| t + "\n")?,
            Kind::Junit => junit::report(result),
            Kind::Markdown => markdown::report(result),
        };
        // For others to read, as far as the umask lets them.
        files::put(&self.file, text.as_bytes(), 0o666)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_a_kind_and_a_file() {
        let read = |text: &str| text.parse::<Target>();
        assert_eq!(read("junit:a:b.xml"), Ok(Target { kind: Kind::Junit, file: "a:b.xml".into() }));
        assert!(read("juint:a").is_err_and(|e| e.contains("did you mean `junit`?")));
        assert!(read("html:a").is_err_and(|e| e.contains("`json`, `junit`, `markdown`")));
        assert!(read("report.json").is_err_and(|e| e.contains("like `junit:report.xml`")));
        assert!(read("json:").is_err());
    }
}
