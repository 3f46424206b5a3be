//! Which steps of the plan this run takes, by tag, id and starting point.

use crate::diag;
use crate::event::Pick;
use crate::plan::{Plan, StepPlan};

impl Pick {
    /// Whether every id and tag named exists.
    ///
    /// # Errors
    /// The first one that does not, with the nearest that does.
    pub fn check(&self, plan: &Plan) -> Result<(), String> {
        let ids = || plan.steps.iter().filter_map(|s| s.id.as_deref());
        let tags = || plan.steps.iter().flat_map(|s| s.tags.iter().map(String::as_str));
        let near = |word: &str, names: Vec<&str>| match diag::nearest(word, names.iter().copied()) {
            Some(name) => format!("; did you mean `{name}`?"),
            None if names.is_empty() => String::new(),
            None => format!("; there are {}", names.iter().map(|n| format!("`{n}`")).collect::<Vec<_>>().join(", ")),
        };
        for id in self.only.iter().chain(&self.skip).chain(&self.from) {
            if !ids().any(|i| i == id) {
                return Err(format!("the plan has no step `{id}`{}", near(id, ids().collect())));
            }
        }
        for tag in self.tags.iter().chain(&self.skip_tags) {
            if !tags().any(|t| t == tag) {
                let mut all: Vec<&str> = tags().collect();
                all.sort_unstable();
                all.dedup();
                return Err(format!("no step has the tag `{tag}`{}", near(tag, all)));
            }
        }
        Ok(())
    }

    /// Why the step at `index` of the plan's list is not taken; none when it is.
    pub fn refuses(&self, plan: &Plan, index: usize, step: &StepPlan) -> Option<String> {
        let id = step.id.as_deref().unwrap_or_default();
        let named = |list: &[String]| list.iter().any(|n| n == id);
        let tagged = |list: &[String]| list.iter().any(|t| step.tags.contains(t));
        if let Some(from) = &self.from {
            let start = plan.steps.iter().position(|s| s.id.as_ref() == Some(from));
            if start.is_some_and(|s| index < s) {
                return Some(format!("it stands before `{from}` (--from)"));
            }
        }
        if !self.only.is_empty() && !named(&self.only) {
            return Some("it is not picked by --only".to_owned());
        }
        if named(&self.skip) {
            return Some("left out by --skip".to_owned());
        }
        if !self.tags.is_empty() && !tagged(&self.tags) {
            return Some("it has none of the tags picked by --tags".to_owned());
        }
        tagged(&self.skip_tags).then(|| "left out by --skip-tags".to_owned())
    }
}
