//! From what happens to events: numbered, masked here and nowhere else, handed to every reader in order.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use chrono::{Local, Utc};

use crate::diag;
use crate::event::{Event, Fact, Reader, SCHEMA_VERSION, StepRef, lines};
use crate::secret::Redactor;
use crate::step::{Failure, Level, Progress, Sink};

/// How many lines of the log a step may see.
const TAIL: usize = 200;

/// Where events start: one for a run, and one for each of its targets.
pub struct Emitter {
    shared: Arc<Shared>,
    target: Option<String>,
    /// The last lines, of the target alone if it has one.
    tail: Mutex<VecDeque<Arc<str>>>,
}

/// What the targets of a run share.
struct Shared {
    redactor: RwLock<Redactor>,
    state: Mutex<State>,
}

struct State {
    seq: u64,
    readers: Vec<Arc<dyn Reader>>,
    broken: Option<io::Error>,
}

impl Emitter {
    /// An emitter that hands events to `readers`, and masks nothing yet.
    pub fn new(readers: Vec<Arc<dyn Reader>>) -> Arc<Self> {
        let state = State { seq: 0, readers, broken: None };
        let shared = Shared { redactor: RwLock::default(), state: Mutex::new(state) };
        Arc::new(Self { shared: Arc::new(shared), target: None, tail: Mutex::default() })
    }

    /// The emitter of a target: its events go the same way, among those of the others, and bear its name.
    pub fn of(&self, target: &str) -> Arc<Self> {
        let shared = Arc::clone(&self.shared);
        Arc::new(Self { shared, target: Some(target.to_owned()), tail: Mutex::default() })
    }

    /// From now on events are masked by `redactor`.
    pub fn redact_with(&self, redactor: Redactor) {
        *self.shared.redactor.write().unwrap_or_else(PoisonError::into_inner) = redactor;
    }

    /// The text with every known secret masked.
    pub fn mask(&self, text: &str) -> String {
        shown(&self.redactor(), text)
    }

    fn redactor(&self) -> Redactor {
        self.shared.redactor.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Adds a reader for the events from here on.
    pub fn add(&self, reader: Arc<dyn Reader>) {
        self.state().readers.push(reader);
    }

    /// Says a fact to all readers. What a reader cannot write is remembered, see [`Emitter::broken`].
    pub fn emit(&self, mut fact: Fact) {
        mask(&mut fact, &self.redactor());
        let mut state = self.state();
        state.seq += 1;
        let (seq, target) = (state.seq, self.target.clone());
        let event = Event { schema_version: SCHEMA_VERSION, seq, time: Utc::now(), target, fact };
        let clock = event.time.with_timezone(&Local).format("%H:%M:%S");
        let mut tail = self.tail.lock().unwrap_or_else(PoisonError::into_inner);
        for said in lines(&event.fact) {
            if tail.len() == TAIL {
                tail.pop_front();
            }
            tail.push_back(format!("{clock} {}: {}", said.who, diag::continued(&said.text)).into());
        }
        drop(tail);
        let mut broken = None;
        for reader in &state.readers {
            if let Err(error) = reader.event(&event) {
                broken.get_or_insert(error);
            }
        }
        if let Some(error) = broken {
            state.broken.get_or_insert(error);
        }
    }

    /// A line of the run itself.
    pub fn say(&self, level: Level, text: impl Into<String>) {
        self.emit(Fact::Line { step: None, level, text: text.into() });
    }

    /// The last lines of the log.
    pub fn tail(&self) -> Vec<Arc<str>> {
        self.tail.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }

    /// The first thing that a reader could not write.
    pub fn broken(&self) -> Option<String> {
        self.state().broken.as_ref().map(ToString::to_string)
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The log of one step, as its executor sees it.
pub struct StepSink {
    emitter: Arc<Emitter>,
    step: StepRef,
}

impl StepSink {
    /// The log of `step`.
    pub fn new(emitter: Arc<Emitter>, step: StepRef) -> Self {
        Self { emitter, step }
    }
}

impl Sink for StepSink {
    fn mask(&self, text: &str) -> String {
        self.emitter.redactor().mask(text).into_owned()
    }

    fn line(&self, level: Level, text: &str) {
        self.emitter.emit(Fact::Line { step: Some(self.step.clone()), level, text: text.to_owned() });
    }

    fn progress(&self, progress: &Progress) {
        self.emitter.emit(Fact::Progress { step: self.step.clone(), progress: progress.clone() });
    }
}

/// The longest text of an event, in bytes.
const MAX_TEXT: usize = 16 * 1024;

/// A text masked, then made visible, and only then cut: a cut through a secret would leave a piece that nobody knows again.
fn shown(redactor: &Redactor, text: &str) -> String {
    let mut masked = diag::visible(&redactor.mask(text)).into_owned();
    if masked.len() > MAX_TEXT {
        let end = masked.floor_char_boundary(MAX_TEXT);
        let left = masked.len() - end;
        masked.truncate(end);
        masked += &format!(" … ({left} bytes are left out)");
    }
    masked
}

/// Masks every text of a fact that may quote something from outside. Names that the plan itself gives (labels, ids) are
/// no secrets, but a line for people and a file name may be rendered, so they are masked too.
fn mask(fact: &mut Fact, redactor: &Redactor) {
    let text = |t: &mut String| *t = shown(redactor, t);
    let datum = |t: &mut String| *t = redactor.mask(t).into_owned();
    let option = |t: &mut Option<String>| {
        if let Some(t) = t {
            *t = shown(redactor, t);
        }
    };
    let failed = |f: &mut Failure| {
        text(&mut f.error);
        option(&mut f.hint);
    };
    match fact {
        // What `resume` reads again is masked and stays as it is otherwise; readers make it visible.
        Fact::RunStarted { plan_file, params, database, basis, .. } => {
            datum(plan_file);
            database.iter_mut().for_each(datum);
            *params = redactor.mask_json(params);
            if let Some(basis) = basis {
                datum(&mut basis.dir);
                basis.place.iter_mut().for_each(datum);
                basis.files.iter_mut().for_each(|f| datum(&mut f.file));
            }
        }
        Fact::TargetStarted { params, database, place, .. } => {
            *params = redactor.mask_json(params);
            database.iter_mut().chain(place).for_each(datum);
        }
        Fact::TargetFinished { failure, reason, .. } => {
            option(reason);
            if let Some(failure) = failure {
                failed(failure);
            }
        }
        Fact::StepStarted { step, .. } => option(&mut step.name),
        Fact::Decided { lines, .. } => lines.iter_mut().for_each(text),
        Fact::Line { text: t, .. } => text(t),
        Fact::Progress { progress, .. } => text(&mut progress.note),
        Fact::Retrying { error, .. } => text(error),
        Fact::StepFinished { step, outputs, error, hint, reason, .. } => {
            option(&mut step.name);
            *outputs = redactor.mask_json(outputs);
            [error, hint, reason].into_iter().for_each(option);
        }
        Fact::Failed { failure } => failed(failure),
        Fact::RunFinished { failure, .. } => {
            if let Some(failure) = failure {
                failed(failure);
            }
        }
    }
}
