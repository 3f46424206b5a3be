//! The ordinary files that a path or a pattern names.

use std::io;
use std::path::{Component, Path, PathBuf};

use globset::GlobBuilder;

use super::{Kind, Listed, at, list};
use crate::step::Look;

/// A file that was found, with what was seen of it.
pub type Found = (PathBuf, Listed);

/// The ordinary files that `pattern` names, in order of path: a file itself, a folder with all below it, or what `*`,
/// `?`, `[…]` and `**` match. Symbolic links are not followed. A relative pattern begins in the folder `dir`.
///
/// # Errors
/// It names nothing, is no pattern, or a folder cannot be listed.
pub fn expand(look: &Look, dir: &Path, pattern: &str) -> io::Result<Vec<Found>> {
    let pattern = pattern.trim_start_matches("./");
    let path = &dir.join(pattern);
    let wild = |c: &Component<'_>| c.as_os_str().to_string_lossy().contains(['*', '?', '[', '{']);
    let mut found = Vec::new();
    if let Some(listed) = at(look, path)? {
        match listed.kind {
            Kind::File => found.push((path.to_path_buf(), listed)),
            Kind::Folder => walk(look, path, &mut found)?,
            Kind::Link => return Err(io::Error::other("it is a symbolic link, which is not followed")),
            other => return Err(io::Error::other(format!("it is {}, not a regular file", other.describe()))),
        }
    } else if Path::new(pattern).components().any(|c| wild(&c)) {
        let glob =
            GlobBuilder::new(pattern).literal_separator(true).build().map_err(io::Error::other)?.compile_matcher();
        let base: PathBuf = Path::new(pattern).components().take_while(|c| !wild(c)).collect();
        walk(look, &dir.join(base), &mut found)?;
        // Of the folder itself no part is a pattern.
        let relative = Path::new(pattern).is_relative();
        found.retain(|(p, _)| glob.is_match(p.strip_prefix(dir).ok().filter(|_| relative).unwrap_or(p)));
    }
    if found.is_empty() {
        return Err(io::Error::new(io::ErrorKind::NotFound, "it names no file"));
    }
    found.sort_by(|a, b| a.0.cmp(&b.0));
    Ok(found)
}

fn walk(look: &Look, dir: &Path, found: &mut Vec<Found>) -> io::Result<()> {
    for listed in list(look, dir)? {
        let path = dir.join(&listed.name);
        match listed.kind {
            Kind::Folder => walk(look, &path, found)?,
            Kind::File => found.push((path, listed)),
            _ => {}
        }
    }
    Ok(())
}
