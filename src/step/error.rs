//! What a step failed at.

use std::error::Error;
use std::fmt;
use std::path::Path;
use std::time::Duration;

use crate::secret::Secret;

/// What kind of failure it was: whether trying again may help, and how the run reports it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// Trying again as it stands will not help.
    Permanent,
    /// Trying again may help: a lock, a dropped connection, a server that says "later".
    Transient,
    /// The server could not be reached at all; trying again may help.
    Unreachable,
    /// A time limit of the step itself passed.
    Timeout,
    /// It was told to stop.
    Cancelled,
    /// A program ended with this exit status.
    Exit(i32),
    /// The password of an archive does not fit.
    Password,
    /// Another run holds the lock in the database; trying again later may help.
    Locked,
    /// In a dry run: the question needs a secret that a dry run does not fetch.
    Sealed,
}

impl Class {
    /// Whether `retry.errors: [transient]` covers it.
    pub fn is_transient(self) -> bool {
        matches!(self, Self::Transient | Self::Unreachable | Self::Locked)
    }
}

/// What failed, why, and what to do. Reads after "cannot …:" or alone; never names the executor or the step, since the
/// caller adds that. Its text may quote a secret that a server or program said: the run masks it before it is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepError {
    /// What was being done to what, and the cause: one line, lower case.
    pub what: String,
    /// What to do about it.
    pub hint: Option<String>,
    pub class: Class,
    /// How long a server wants to be left alone before the next attempt.
    pub retry_after: Option<Duration>,
}

impl StepError {
    /// A failure that trying again will not mend.
    pub fn new(what: impl Into<String>) -> Self {
        Self { what: what.into(), hint: None, class: Class::Permanent, retry_after: None }
    }

    /// A failure that trying again may mend.
    pub fn transient(what: impl Into<String>) -> Self {
        Self::new(what).class(Class::Transient)
    }

    /// What was being done, with the whole chain of causes of `error`.
    pub fn because(doing: impl fmt::Display, error: &(dyn Error + 'static)) -> Self {
        Self::new(format!("{doing}: {}", chain(error)))
    }

    /// The same failure of another class.
    #[must_use]
    pub fn class(mut self, class: Class) -> Self {
        self.class = class;
        self
    }

    /// The same failure with what to do about it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The failure to open the archive at `path` with a password that does not fit.
    pub fn wrong_password(path: &Path) -> Self {
        let hint = "use the password that the archive was made with: `--password-env` or `--password-file`, or the secret \
                    of the step";
        Self::new(format!("`{}`: wrong password", path.display())).class(Class::Password).hint(hint)
    }

    /// The same failure; that of a password that does not fit says where the password came from.
    #[must_use]
    pub fn with_password_origin(mut self, password: Option<&Secret>) -> Self {
        if self.class == Class::Password
            && let Some(origin) = password.and_then(Secret::origin)
        {
            self.what = format!("{} (from {origin})", self.what);
        }
        self
    }

    /// The failure of work that was told to stop.
    pub fn cancelled() -> Self {
        Self::new("told to stop").class(Class::Cancelled)
    }
}

impl fmt::Display for StepError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

impl Error for StepError {}

/// An error and its causes in one line, each said once.
pub fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let said = cause.to_string();
        if !text.contains(&said) {
            text = format!("{text}: {said}");
        }
        next = cause.source();
    }
    text
}
