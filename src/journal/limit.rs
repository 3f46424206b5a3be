//! How large a run's log may grow: a program that never stops printing must not fill the disk.

use std::borrow::Cow;

use crate::event::{Event, Fact};
use crate::step::Level;

/// What may still be written of lines.
pub struct Limit {
    /// In words, for the line that says it.
    shown: String,
    left: u64,
    /// The line that says so is written.
    told: bool,
}

impl Limit {
    /// A log of at most about so many bytes, all files together; `shown` is the same in words.
    pub fn new(bytes: u64, shown: String) -> Self {
        Self { shown, left: bytes, told: false }
    }

    /// What is written of an event: all of it; when the log is full the line that says so in place of the first line that
    /// is left out; or nothing. How steps, targets and the run begin and end is always written.
    pub fn admit<'e>(&mut self, event: &'e Event) -> Option<Cow<'e, Event>> {
        let is_line = matches!(event.fact, Fact::Line { .. } | Fact::Decided { .. } | Fact::Retrying { .. });
        if self.left > 0 || !is_line {
            return Some(Cow::Borrowed(event));
        }
        if std::mem::replace(&mut self.told, true) {
            return None;
        }
        let text = format!("the log has reached `logs.max_size` ({}); further lines are left out", self.shown);
        Some(Cow::Owned(Event { fact: Fact::Line { step: None, level: Level::Warn, text }, ..event.clone() }))
    }

    /// Counts what was written.
    pub fn count(&mut self, bytes: usize) {
        self.left = self.left.saturating_sub(u64::try_from(bytes).unwrap_or(u64::MAX));
    }
}
