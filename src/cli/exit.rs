//! Exit codes, one meaning each.

use crate::run::End;

/// How the program ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    Done,
    Failed,
    Usage,
    Unreachable,
    State,
    Locked,
    Secret,
    Invalid,
    Timeout,
    Interrupted,
    Terminated,
}

impl Exit {
    /// The code, as the help lists it: those of sysexits.h where one fits, 124 as timeout(1), 128 + signal.
    pub fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::Unreachable => 69,
            Self::State => 73,
            Self::Locked => 75,
            Self::Secret => 77,
            Self::Invalid => 78,
            Self::Timeout => 124,
            Self::Interrupted => 130,
            Self::Terminated => 143,
        }
    }
}

impl From<End> for Exit {
    fn from(end: End) -> Self {
        match end {
            End::Done | End::Warnings => Self::Done,
            End::Failed => Self::Failed,
            End::Unreachable => Self::Unreachable,
            End::Lock => Self::Locked,
            End::Journal => Self::State,
            End::Secret => Self::Secret,
            End::Timeout => Self::Timeout,
            End::Interrupted => Self::Interrupted,
            End::Terminated => Self::Terminated,
        }
    }
}

/// The exit code of a run's end.
pub fn of_run(end: End) -> u8 {
    Exit::from(end).code()
}

/// A command that could not be carried out.
#[derive(Debug)]
pub struct Failure {
    pub exit: Exit,
    pub text: String,
    pub hint: Option<String>,
}

impl Failure {
    /// A mistake on the command line.
    pub fn usage(text: impl Into<String>) -> Self {
        Self { exit: Exit::Usage, text: text.into(), hint: None }
    }

    /// The same with what to do.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}
