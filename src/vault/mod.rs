//! Where a secret comes from, and fetching it.

use std::io;
use std::path::Path;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::cancel::Cancel;
use crate::files::{self, Links};
use crate::process;
use crate::secret::Secret;
use crate::step::Env;

/// Source of a secret. Give exactly one key.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Source {
    /// Environment variable with the secret. An empty one counts as missing.
    #[serde(default)]
    pub env: Option<String>,
    /// File with the secret, at most 64 KiB. A final newline is removed. A relative path is relative to the folder of
    /// the plan.
    #[serde(default)]
    pub file: Option<String>,
    /// Program and arguments that print the secret, like `[pass, show, backup/token]`. A final newline is removed. The
    /// program runs in the folder of the plan.
    #[serde(default)]
    pub command: Option<Vec<String>>,
}

/// A secret that was fetched.
#[derive(Debug, Clone)]
pub struct Found {
    pub secret: Secret,
    /// What is doubtful about it, a line each; never its value.
    pub warnings: Vec<String>,
}

/// Why a secret is missing; never quotes a value.
#[derive(Debug, thiserror::Error)]
#[error("the secret `{name}` is missing: {why}")]
pub struct VaultError {
    pub name: String,
    pub why: String,
}

/// The largest file of a secret that is read, in bytes: a private key has less.
const FILE_LIMIT: u64 = 64 << 10;

/// How long a secret's program may take.
const LIMIT: Duration = Duration::from_secs(30);

/// Fetches a secret; a program runs in the folder `dir`. A last line end of a file or of a program's output is not part of
/// it.
///
/// # Errors
/// It is missing or empty.
pub async fn fetch(name: &str, source: &Source, env: &Env, dir: &Path, cancel: &Cancel) -> Result<Found, VaultError> {
    let missing = |why: String| VaultError { name: name.to_owned(), why };
    let mut warnings = Vec::new();
    let origin = origin_of(source);
    let value = match (&source.env, &source.file, &source.command) {
        (Some(variable), None, None) => env
            .get(variable)
            .cloned()
            .ok_or_else(|| missing(format!("the environment variable `{variable}` is not set")))?,
        (None, Some(file), None) => {
            let (text, mode) =
                read_file(file).map_err(|e| missing(format!("the file `{file}` cannot be read: {e}")))?;
            warnings.extend(exposed(name, file, mode));
            without_line_end(text)
        }
        (None, None, Some(argv)) => without_line_end(ask(argv, env, dir, cancel).await.map_err(missing)?),
        _ => return Err(missing("it needs exactly one of `env`, `file` and `command`".to_owned())),
    };
    if value.is_empty() {
        return Err(missing("its value is empty".to_owned()));
    }
    Ok(Found { secret: Secret::new(value).with_origin(&origin), warnings })
}

/// Where the secret of a source comes from, for messages.
fn origin_of(source: &Source) -> String {
    match (&source.env, &source.file, &source.command) {
        (Some(variable), ..) => variable.clone(),
        (_, Some(file), _) => format!("the file `{file}`"),
        (.., argv) => format!("the program `{}`", argv.iter().flatten().next().map_or("", String::as_str)),
    }
}

/// Why a secret is surely missing, as far as can be seen without reading it; for a dry run.
pub fn absent(name: &str, source: &Source, env: &Env) -> Option<String> {
    let why = match (&source.env, &source.file) {
        (Some(variable), _) => match env.get(variable) {
            None => format!("the environment variable `{variable}` is not set"),
            Some(value) if value.is_empty() => "its value is empty".to_owned(),
            Some(_) => return None,
        },
        (_, Some(file)) => match std::fs::metadata(file) {
            Err(error) => format!("the file `{file}` cannot be read: {error}"),
            Ok(found) if found.is_file() && found.len() == 0 => "its value is empty".to_owned(),
            Ok(_) => return None,
        },
        _ => return None,
    };
    Some(VaultError { name: name.to_owned(), why }.to_string())
}

fn without_line_end(mut text: String) -> String {
    if text.ends_with('\n') {
        text.pop();
        if text.ends_with('\r') {
            text.pop();
        }
    }
    text
}

/// The text of a secret's file, and the permissions of the file: 0600 where the system has none.
fn read_file(file: &str) -> io::Result<(String, u32)> {
    let opened = files::open_regular(file.as_ref(), Links::Follow)?;
    #[cfg(unix)]
    let mode = std::os::unix::fs::PermissionsExt::mode(&opened.metadata()?.permissions()) & 0o777;
    #[cfg(not(unix))]
    let mode = 0o600;
    let text = String::from_utf8(files::read_limited(opened, FILE_LIMIT)?);
    Ok((text.map_err(|_| io::Error::other("it is not UTF-8 text"))?, mode))
}

fn exposed(name: &str, file: &str, mode: u32) -> Option<String> {
    (mode & 0o077 != 0)
        .then(|| format!("the file of the secret `{name}` can be read by others (mode {mode:03o}): chmod 600 {file}"))
}

/// What a program prints on standard output.
async fn ask(argv: &[String], env: &Env, dir: &Path, cancel: &Cancel) -> Result<String, String> {
    let (program, arguments) = argv.split_first().ok_or("`command` is empty")?;
    let mut command = tokio::process::Command::new(program);
    command.args(arguments).current_dir(dir).env_clear().envs(env).stdin(std::process::Stdio::null());
    let cancel = cancel.child(Some(LIMIT));
    let output = tokio::select! {
        output = process::output(command) => output.map_err(|e| format!("`{program}` cannot be started: {e}"))?,
        _ = cancel.cancelled() => return Err(format!("`{program}` gave no answer in {} s", LIMIT.as_secs())),
    };
    if !output.status.success() {
        // What it says of its failure may hold the secret, or another one that nobody here knows.
        let silent = if output.stderr.is_empty() { "" } else { "; what it printed is not shown: run it by hand" };
        return Err(format!("`{program}` failed ({}){silent}", output.status));
    }
    String::from_utf8(output.stdout).map_err(|_| format!("`{program}` printed what is no UTF-8 text"))
}
