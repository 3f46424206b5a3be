//! How a run ends, and which of several ends counts.

/// How a run ended; `cli` gives each its exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum End {
    /// All went well.
    Done,
    /// Done, with failures that the plan allows.
    Warnings,
    /// A step failed.
    Failed,
    /// No target could be reached.
    Unreachable,
    /// Another run holds the lock.
    Lock,
    /// The journal or other state could not be written.
    Journal,
    /// A secret, an environment variable or a permission is missing.
    Secret,
    /// The plan's own timeout passed.
    Timeout,
    /// SIGINT.
    Interrupted,
    /// SIGTERM.
    Terminated,
}

impl End {
    /// The gravest of several ends; without any, the run is done, with or without warnings. The order of the variants
    /// is the order of the exit codes: 143, 130, 124, 77, 73, 75, 69, 1.
    pub fn worst(ends: impl IntoIterator<Item = Self>, warnings: u32) -> Self {
        let mild = if warnings > 0 { Self::Warnings } else { Self::Done };
        ends.into_iter().max().unwrap_or(mild)
    }
}

#[cfg(test)]
mod tests {
    use super::End;

    #[test]
    fn the_gravest_end_counts() {
        assert_eq!(End::worst([], 0), End::Done);
        assert_eq!(End::worst([], 2), End::Warnings);
        assert_eq!(End::worst([End::Failed, End::Terminated, End::Journal], 0), End::Terminated);
        assert_eq!(End::worst([End::Journal, End::Lock], 1), End::Journal);
        assert_eq!(End::worst([End::Secret, End::Timeout], 1), End::Timeout);
        assert_eq!(End::worst([End::Failed, End::Unreachable], 0), End::Unreachable);
        assert_eq!(End::worst([End::Lock, End::Unreachable], 0), End::Lock);
    }
}
