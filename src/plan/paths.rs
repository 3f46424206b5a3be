//! Which file a path of a plan means. A relative path belongs to the folder of the file that it is written in, so the same
//! plan means the same files wherever it is started.

use std::path::Path;

use serde_json::Value as Json;

use super::{Param, ParamType, Plan};

/// The absolute path of a text that is written in a file of the folder `dir`. An empty text stays empty: it names nothing.
///
/// # Errors
/// The text begins with what only a shell expands, or the folder cannot be written as text.
pub fn absolute(dir: &Path, text: &str) -> Result<String, String> {
    if text.is_empty() || Path::new(text).is_absolute() {
        return Ok(text.to_owned());
    }
    if let Some(shell) = for_a_shell(text) {
        return Err(format!("`{text}` begins with `{shell}`, which is not expanded: write the whole path"));
    }
    let full = dir.join(text);
    let full = std::path::absolute(&full).unwrap_or(full);
    let unreadable =
        || format!("`{text}` is relative, and the folder it belongs to is not UTF-8: write the whole path");
    full.to_str().map(str::to_owned).ok_or_else(unreadable)
}

/// The beginning of a path that a shell would replace and nobody here does: `~`, `~user`, `$HOME`, `${HOME}`, `%TEMP%`.
pub fn for_a_shell(text: &str) -> Option<&str> {
    let first = text.split(['/', '\\']).next().unwrap_or_default();
    let name = |n: &str| {
        !n.is_empty()
            && n.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
            && !n.starts_with(|c: char| c.is_ascii_digit())
    };
    let home = first.strip_prefix('~').is_some_and(|user| user.is_empty() || (first != text && name(user)));
    let braces = first.strip_prefix("${").and_then(|r| r.strip_suffix('}'));
    let variable = braces.or_else(|| first.strip_prefix('$')).is_some_and(name);
    let percent = first.strip_prefix('%').and_then(|r| r.strip_suffix('%')).is_some_and(name);
    (home || variable || percent).then_some(first)
}

/// Whether a path is one of Windows: `C:\\x`, `C:/x`, `\\\\server\\share`.
pub fn is_of_windows(text: &str) -> bool {
    let bytes = text.as_bytes();
    let drive =
        bytes.len() > 2 && bytes[0].is_ascii_alphabetic() && bytes[1] == b':' && matches!(bytes[2], b'\\' | b'/');
    drive || text.starts_with("\\\\")
}

/// The first `$NAME`, `${NAME}` or `%NAME%` behind the beginning of a path, with where it stands.
pub fn variable(text: &str) -> Option<(usize, &str)> {
    text.match_indices(['$', '%']).find_map(|(at, mark)| {
        let rest = &text[at + 1..];
        let word = |t: &str| t.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(t.len());
        let length = match (mark, rest.strip_prefix('{')) {
            ("$", Some(inner)) => {
                let end = word(inner);
                (end > 0 && inner[end..].starts_with('}')).then_some(end + 2)?
            }
            ("$", None) => Some(word(rest)).filter(|n| *n > 0)?,
            _ => {
                let end = word(rest);
                (end > 0 && rest[end..].starts_with('%')).then_some(end + 1)?
            }
        };
        let name = rest.trim_start_matches('{');
        (!name.starts_with(|c: char| c.is_ascii_digit())).then(|| (at, &text[at..at + 1 + length]))
    })
}

impl Param {
    /// A value with its relative paths made absolute, where the type is `path` or a list of them.
    ///
    /// # Errors
    /// As [`absolute`] has.
    pub fn anchored(&self, value: Json, dir: &Path) -> Result<Json, String> {
        let text = |value: Json| match value {
            Json::String(text) => absolute(dir, &text).map(Json::String),
            other => Ok(other),
        };
        match (self.kind, value) {
            (ParamType::Path, value) => text(value),
            (ParamType::Array, Json::Array(items))
                if self.items.as_ref().is_some_and(|i| i.kind == ParamType::Path) =>
            {
                items.into_iter().map(text).collect::<Result<_, _>>().map(Json::Array)
            }
            (_, other) => Ok(other),
        }
    }
}

/// Makes the relative paths absolute that are read before templates are: the values of `path` parameters, and in a list of
/// targets that lies in a folder of its own what names a file.
///
/// # Errors
/// As [`absolute`] has, with the parameter.
pub fn anchor(plan: &mut Plan, dir: &Path, targets: &Path) -> Result<(), String> {
    let name = |name: &str| {
        let name = name.to_owned();
        move |problem: String| format!("the parameter `{name}`: {problem}")
    };
    for (key, param) in &mut plan.params.0 {
        param.default = param.default.take().map(|d| param.anchored(d, dir)).transpose().map_err(name(key))?;
        let choices = param.one_of.take().map(|all| all.into_iter().map(|v| param.anchored(v, dir)).collect());
        param.one_of = choices.transpose().map_err(name(key))?;
    }
    for target in plan.targets.iter_mut().flat_map(|t| &mut t.list) {
        for (key, value) in &mut target.params {
            if let Some(param) = plan.params.get(key) {
                *value = param.anchored(value.take(), targets).map_err(name(key))?;
            }
        }
        // One that begins with an expression is as that says; all others of the plan are seen to when they are rendered.
        if let Some(Json::String(file)) = target.database.get_mut("sslrootcert")
            && targets != dir
            && !file.starts_with("${{")
        {
            let literal = targets.to_string_lossy().replace("${{", "${{ '${{' }}");
            *file = absolute(Path::new(&literal), file)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_shell_expands_is_told_from_names_that_look_like_it() {
        for (text, shell) in [
            ("~", Some("~")),
            ("~/copies", Some("~")),
            ("~dba/copies", Some("~dba")),
            ("$HOME/x", Some("$HOME")),
            ("${HOME}/x", Some("${HOME}")),
            ("$BACKUPS", Some("$BACKUPS")),
            ("%TEMP%\\x", Some("%TEMP%")),
            ("~backup", None),
            ("a~/b", None),
            ("$5/x", None),
            ("50%/x", None),
            ("./~", None),
        ] {
            assert_eq!(for_a_shell(text), shell, "{text}");
        }
    }

    #[test]
    fn paths_of_windows_and_variables_are_seen() {
        for (text, windows) in [("Z:\\b", true), ("c:/b", true), ("\\\\nas\\b", true), ("a:b", false), ("/b", false)] {
            assert_eq!(is_of_windows(text), windows, "{text}");
        }
        for (text, found) in [
            ("/b/$HOST/x", Some((3, "$HOST"))),
            ("/b/${HOST}", Some((3, "${HOST}"))),
            ("/b/%HOST%/x", Some((3, "%HOST%"))),
            ("/b/100%/x", None),
            ("/b/$5", None),
            ("/b/%d", None),
        ] {
            assert_eq!(variable(text), found, "{text}");
        }
    }

    #[test]
    #[cfg(unix)]
    fn a_relative_path_belongs_to_its_folder() {
        let dir = Path::new("/srv/plans");
        for (text, path) in
            [("a/b", "/srv/plans/a/b"), ("./a/", "/srv/plans/a/"), ("../a", "/srv/plans/../a"), ("/a", "/a"), ("", "")]
        {
            assert_eq!(absolute(dir, text).as_deref(), Ok(path), "{text}");
        }
        assert!(absolute(dir, "~/a").is_err_and(|e| e.contains("not expanded")));
    }
}
