//! A walk over targets, as many at a time as the plan allows, in its order: the steps of a run and the looks of a doctor go
//! the same way.

use std::collections::{BTreeMap, VecDeque};

use tokio::task::{Id, JoinSet};

use super::Aim;
use crate::plan::Plan;
use crate::template::{self, Scope};
use crate::value::Value;

/// What is to be done for each target, and what is being done. `T` is what becomes of one.
pub struct Walk<W, T> {
    most: usize,
    /// How many of a group.
    per: usize,
    group: fn(&W) -> Option<&str>,
    waiting: VecDeque<W>,
    running: JoinSet<T>,
    /// What is being done, as it was before it began.
    begun: BTreeMap<Id, W>,
}

impl<W: Clone, T: Send + 'static> Walk<W, T> {
    /// Nothing has begun yet. Those that have a group in common are done at the same time only as far as the plan says.
    pub fn new(plan: &Plan, works: Vec<W>, group: fn(&W) -> Option<&str>) -> Self {
        let settings = plan.targets.as_ref();
        let most = settings.map_or(1, |t| t.max_parallel.max(1));
        let per = settings.and_then(|t| t.limit_per.as_ref()).map_or(u32::MAX, |l| l.max.max(1));
        let (waiting, running, begun) = (VecDeque::from(works), JoinSet::new(), BTreeMap::new());
        Self { most: most as usize, per: per as usize, group, waiting, running, begun }
    }

    /// Begins what there is room for. `may` says whether one more may begin, and is told whether it would be the only one.
    pub fn begin<F>(&mut self, may: impl Fn(bool) -> bool, task: impl Fn(W) -> F)
    where
        F: Future<Output = T> + Send + 'static,
    {
        while self.running.len() < self.most && may(self.running.is_empty()) {
            let group = self.group;
            let busy = |name: &str| self.begun.values().filter(|w| group(w) == Some(name)).count();
            let free = |work: &W| group(work).is_none_or(|name| busy(name) < self.per);
            let Some(work) = self.waiting.iter().position(free).and_then(|at| self.waiting.remove(at)) else { break };
            let id = self.running.spawn(task(work.clone())).id();
            self.begun.insert(id, work);
        }
    }

    /// Waits for the next that is done, and gives what became of it; nothing when its task broke. None when nothing is
    /// being done.
    pub async fn next(&mut self) -> Option<(W, Option<T>)> {
        loop {
            let (id, ended) = match self.running.join_next_with_id().await? {
                Ok((id, ended)) => (id, Some(ended)),
                Err(error) => (error.id(), None),
            };
            if let Some(work) = self.begun.remove(&id) {
                return Some((work, ended));
            }
        }
    }

    /// Takes up one before all that wait.
    pub fn again(&mut self, work: W) {
        self.waiting.push_front(work);
    }

    /// What has not begun.
    pub fn rest(self) -> impl Iterator<Item = W> {
        self.waiting.into_iter()
    }
}

/// What a target has in common with others; none where the plan does not ask.
///
/// # Errors
/// The plan's `limit_per.key` cannot be told for it.
pub fn group(aim: &Aim, scope: &Scope) -> Result<Option<String>, String> {
    let limit = aim.checked.plan().targets.as_ref().and_then(|t| t.limit_per.as_ref());
    let Some(limit) = limit else { return Ok(None) };
    let told = |problem: &str| format!("`targets.limit_per.key`: {problem}");
    let template = template::parse(&limit.key).map_err(|p| told(&p[0].message))?;
    match template.render(scope).map_err(|p| told(&p.message))? {
        Value::Text(key) => Ok(Some(key)),
        other => Err(told(&format!("expected a text, found {}", other.kind()))),
    }
}
