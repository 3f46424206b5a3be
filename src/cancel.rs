//! A shared flag and deadline one can wait on.
//!
//! A child is cancelled with its parent, never the other way round. The first reason counts.

use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

/// Why a run, a step or an attempt was told to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// SIGINT, Ctrl-C.
    Interrupt,
    /// SIGTERM.
    Terminate,
    /// SIGHUP.
    Hangup,
    /// SIGQUIT.
    Quit,
    /// The time allowed has passed.
    Deadline,
    /// Another target failed and the plan says `fail_fast`.
    FailFast,
}

/// A flag that many hold: who does long work asks it, who waits for something waits for it too.
#[derive(Debug, Clone)]
pub struct Cancel {
    token: CancellationToken,
    reason: Arc<OnceLock<Reason>>,
    deadline: Option<Instant>,
    parent: Option<Arc<Cancel>>,
}

impl Default for Cancel {
    fn default() -> Self {
        Self::new()
    }
}

impl Cancel {
    /// A flag without a deadline that nobody has raised.
    pub fn new() -> Self {
        Self { token: CancellationToken::new(), reason: Arc::default(), deadline: None, parent: None }
    }

    /// A flag that is raised with this one, or alone, or when `limit` has passed.
    pub fn child(&self, limit: Option<Duration>) -> Self {
        Self {
            token: self.token.child_token(),
            reason: Arc::default(),
            deadline: limit.and_then(|l| Instant::now().checked_add(l)),
            parent: Some(Arc::new(self.clone())),
        }
    }

    /// Raises the flag, and those of all children.
    pub fn cancel(&self, reason: Reason) {
        // A second reason changes nothing.
        let _ = self.reason.set(reason);
        self.token.cancel();
    }

    /// Whether work should stop now.
    pub fn is_cancelled(&self) -> bool {
        self.reason().is_some()
    }

    /// Why work should stop, if it should.
    pub fn reason(&self) -> Option<Reason> {
        if let Some(reason) = self.reason.get() {
            return Some(*reason);
        }
        if let Some(reason) = self.parent.as_ref().and_then(|p| p.reason()) {
            return Some(reason);
        }
        self.deadline.filter(|d| Instant::now() >= *d).map(|_| Reason::Deadline)
    }

    /// The nearest deadline of this flag and its parents.
    pub fn deadline(&self) -> Option<Instant> {
        let above = self.parent.as_ref().and_then(|p| p.deadline());
        self.deadline.into_iter().chain(above).min()
    }

    /// Waits until the flag is raised or the deadline has passed, and says why.
    pub async fn cancelled(&self) -> Reason {
        let deadline = async {
            match self.deadline() {
                Some(at) => tokio::time::sleep_until(at.into()).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = self.token.cancelled() => {}
            () = deadline => {}
        }
        self.reason().unwrap_or(Reason::Deadline)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_child_stops_with_its_parent_and_not_the_other_way_round() {
        let parent = Cancel::new();
        let child = parent.child(None);
        child.cancel(Reason::FailFast);
        assert_eq!(parent.reason(), None);
        let other = parent.child(None);
        parent.cancel(Reason::Terminate);
        assert_eq!(other.cancelled().await, Reason::Terminate);
        assert_eq!(child.reason(), Some(Reason::FailFast));
    }

    #[tokio::test]
    async fn a_deadline_passes_for_the_child_alone() {
        let parent = Cancel::new();
        let child = parent.child(Some(Duration::from_millis(5)));
        assert_eq!(child.cancelled().await, Reason::Deadline);
        assert!(!parent.is_cancelled());
    }
}
