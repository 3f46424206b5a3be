//! Lines and progress bars for a person; plain lines where nobody looks.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use chrono::Local;
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::diag;
use crate::event::{Event, Fact, Reader, lines};
use crate::step::{Level, Progress, Status, Unit};

/// How much is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verbosity {
    /// Warnings and the end.
    Quiet,
    Normal,
    /// Also what an executor notes as detail.
    Verbose,
}

/// Whether escape codes may be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Style {
    pub color: bool,
}

impl Style {
    /// The text in the colour of an SGR code.
    pub fn paint(self, code: &str, text: &str) -> String {
        if self.color { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }

    pub(super) fn bold(self, text: &str) -> String {
        self.paint("1", text)
    }

    pub(super) fn dim(self, text: &str) -> String {
        self.paint("2", text)
    }

    pub(super) fn warn(self, text: &str) -> String {
        self.paint("33", text)
    }

    pub(super) fn status(self, status: Status) -> String {
        let word = status.word().replace('_', " ");
        match status {
            Status::Ok => self.paint("32", &word),
            Status::Warning => self.paint("33", &word),
            Status::Failed | Status::TimedOut | Status::Cancelled => self.paint("31;1", &word),
            Status::Skipped => self.paint("2", &word),
        }
    }
}

/// Writes events as they happen: a run's to standard error, with a bar for long work when it is a terminal.
pub struct Terminal {
    style: Style,
    verbosity: Verbosity,
    bars: bool,
    /// Where bars are drawn, one above the other.
    drawn: MultiProgress,
    /// By target.
    works: Mutex<BTreeMap<Option<String>, Shown>>,
    ended: Mutex<Ended>,
}

/// How many targets there are, and how many of them have ended.
#[derive(Default)]
struct Ended {
    all: usize,
    ended: usize,
    failed: usize,
}

impl Ended {
    /// Counts, and says how far the run is when a target has ended, like `13/20 done, 2 failed`.
    fn count(&mut self, fact: &Fact) -> Option<String> {
        match fact {
            Fact::RunStarted { targets, .. } => self.all = targets.len(),
            Fact::TargetFinished { status, .. } => {
                self.ended += 1;
                self.failed += usize::from(!matches!(status, Status::Ok | Status::Warning));
                let failed = if self.failed > 0 { format!(", {} failed", self.failed) } else { String::new() };
                return Some(format!("{}/{} done{failed}", self.ended, self.all));
            }
            _ => {}
        }
        None
    }
}

/// How the long work of a target is shown.
enum Shown {
    Bar(ProgressBar),
    Pace(Pace),
}

/// When a line of progress was said, where no bar is drawn.
struct Pace {
    begun: Instant,
    next: Duration,
}

/// After so long the first line of progress is said, and the next after twice as long, up to the last.
const FIRST: Duration = Duration::from_secs(5);
const LAST: Duration = Duration::from_secs(60);

impl Terminal {
    /// A reader that writes to standard error; `bars` when that is a terminal that may be drawn on.
    pub fn new(style: Style, verbosity: Verbosity, bars: bool) -> Self {
        let drawn = MultiProgress::with_draw_target(ProgressDrawTarget::stderr_with_hz(8));
        Self { style, verbosity, bars, drawn, works: Mutex::default(), ended: Mutex::default() }
    }

    fn write(&self, text: &str) {
        let write = || {
            // Nobody left to read is no reason to stop a backup.
            let _ = io::stderr().lock().write_all(text.as_bytes());
        };
        if self.bars { self.drawn.suspend(write) } else { write() }
    }

    fn draw(&self, target: Option<&String>, label: &str, progress: &Progress) {
        if self.verbosity == Verbosity::Quiet {
            return;
        }
        let label = target.map_or_else(|| label.to_owned(), |t| format!("{t} {label}"));
        let mut works = self.works.lock().unwrap_or_else(PoisonError::into_inner);
        let shown = works.entry(target.cloned()).or_insert_with(|| Shown::Pace(Pace::new()));
        if let (Shown::Pace(_), true) = (&shown, self.bars) {
            // Only one that has its style is shown.
            let bar = ProgressBar::with_draw_target(progress.total, ProgressDrawTarget::hidden());
            bar.set_style(bar_style(progress));
            bar.set_prefix(label.clone());
            let bar = self.drawn.add(bar);
            bar.enable_steady_tick(Duration::from_millis(250));
            *shown = Shown::Bar(bar);
        }
        match shown {
            Shown::Bar(bar) => {
                if let Some(total) = progress.total {
                    bar.set_length(total.max(progress.done));
                }
                bar.set_position(progress.done);
                bar.set_message(diag::clean(&progress.note));
            }
            // A line now and then, for a log that nobody draws on.
            Shown::Pace(pace) => {
                let elapsed = pace.begun.elapsed();
                if elapsed < pace.next {
                    return;
                }
                pace.next = elapsed + pace.next.min(LAST);
                drop(works);
                let clock = Local::now().format("%H:%M:%S");
                self.write(&format!("{clock} {label:<12} {}\n", far(progress, elapsed)));
            }
        }
    }

    fn clear(&self, target: Option<&String>) {
        let mut works = self.works.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(Shown::Bar(bar)) = works.remove(&target.cloned()) {
            bar.finish_and_clear();
            self.drawn.remove(&bar);
        }
    }
}

impl Pace {
    fn new() -> Self {
        Self { begun: Instant::now(), next: FIRST }
    }
}

/// How far work has come in that time, in words.
fn far(progress: &Progress, elapsed: Duration) -> String {
    let (done, total) = (progress.done, progress.total.filter(|t| *t > progress.done));
    let seconds = elapsed.as_secs_f64().max(0.001);
    let per_second = done as f64 / seconds;
    let text = |n: u64| if progress.unit == Unit::Bytes { crate_size(n) } else { n.to_string() };
    let mut said = text(done);
    if let Some(total) = total {
        said += &format!(" of about {}", text(total));
    }
    said += &format!(", {}/s, {} so far", text(per_second as u64), spent(seconds));
    if let Some(total) = total.filter(|_| per_second >= 1.0) {
        said += &format!(", about {} left", spent((total - done) as f64 / per_second));
    }
    if progress.note.is_empty() { said } else { format!("{said}, {}", diag::clean(&progress.note)) }
}

/// A length of time for people.
fn spent(seconds: f64) -> String {
    indicatif::HumanDuration(Duration::from_secs(seconds as u64)).to_string()
}

fn bar_style(progress: &Progress) -> ProgressStyle {
    let template = match (progress.unit, progress.total) {
        (Unit::Bytes, Some(_)) => {
            "{prefix} {bar:20} {binary_bytes} of about {binary_total_bytes} {binary_bytes_per_sec} {elapsed} about {eta} left {msg}"
        }
        (Unit::Bytes, None) => "{prefix} {spinner} {binary_bytes} {binary_bytes_per_sec} {elapsed} {msg}",
        (Unit::Items, Some(_)) => "{prefix} {bar:30} {pos} of {len} {elapsed} {msg}",
        (Unit::Items, None) => "{prefix} {spinner} {pos} {elapsed} {msg}",
    };
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

impl Reader for Terminal {
    fn event(&self, event: &Event) -> io::Result<()> {
        match &event.fact {
            Fact::Progress { step, progress } => {
                self.draw(event.target.as_ref(), &step.label, progress);
                return Ok(());
            }
            Fact::StepStarted { .. } => {
                let mut works = self.works.lock().unwrap_or_else(PoisonError::into_inner);
                works.insert(event.target.clone(), Shown::Pace(Pace::new()));
            }
            Fact::StepFinished { .. } => self.clear(event.target.as_ref()),
            _ => {}
        }
        let clock = event.time.with_timezone(&Local).format("%H:%M:%S").to_string();
        let mut out = String::new();
        let far = self.ended.lock().unwrap_or_else(PoisonError::into_inner).count(&event.fact);
        let target = event.target.as_ref().map(|t| format!("{t:<12} ")).unwrap_or_default();
        for mut said in lines(&event.fact) {
            said.text = diag::continued(&said.text).into_owned();
            said.text += &far.as_ref().map(|f| format!("; {f}")).unwrap_or_default();
            let shown = match self.verbosity {
                Verbosity::Quiet => said.level == Level::Warn,
                Verbosity::Normal => said.level >= Level::Info,
                Verbosity::Verbose => true,
            };
            if !shown {
                continue;
            }
            let who = format!("{target}{:<12}", said.who);
            let text = match (said.heading, said.level) {
                _ if said.failed => self.style.paint("31;1", &said.text),
                (true, Level::Debug | Level::Info) => self.style.bold(&said.text),
                (_, Level::Warn) => self.style.warn(&said.text),
                (false, _) => said.text.clone(),
            };
            out += &format!("{} {} {text}\n", self.style.dim(&clock), self.style.dim(&who));
        }
        self.write(&out);
        Ok(())
    }
}

/// A size for people, in powers of 1024.
pub(super) fn crate_size(bytes: u64) -> String {
    indicatif::BinaryBytes(bytes).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_far_it_is_reads_well_with_and_without_a_total() {
        let progress = |done, total, note: &str| Progress { done, total, unit: Unit::Bytes, note: note.to_owned() };
        let ten = Duration::from_secs(10);
        assert_eq!(
            far(&progress(10 << 20, Some(40 << 20), "3.00 MiB written"), ten),
            "10.00 MiB of about 40.00 MiB, 1.00 MiB/s, 10 seconds so far, about 30 seconds left, 3.00 MiB written"
        );
        // More than was thought: nothing is said of what is left.
        assert_eq!(far(&progress(10 << 20, Some(1 << 20), ""), ten), "10.00 MiB, 1.00 MiB/s, 10 seconds so far");
        assert_eq!(far(&progress(0, Some(1 << 20), ""), ten), "0 B of about 1.00 MiB, 0 B/s, 10 seconds so far");
    }
}
