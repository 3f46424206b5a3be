//! Steps whose database nothing names: the run would refuse them.

use super::Work;
use super::codes::NO_DATABASE;
use super::steps::StepAt;
use crate::diag::Finding;
use crate::document::{Kind, Node};

/// The settings of a database. A block with another key has its own finding, and may have meant `dbname`.
const SETTINGS: [&str; 8] = ["host", "port", "user", "password", "dbname", "sslmode", "sslrootcert", "connect_timeout"];

impl<'a> Work<'a> {
    /// Warns of each step that needs a named database when plan, target, step and environment name none.
    pub(super) fn databases(&self) {
        let of = |node: Option<&'a Node>| node?.get("database");
        let outside = says(of(self.target)).or_else(|| says(of(Some(self.root)))).unwrap_or(self.base.dbname_in_env);
        for step in &self.steps {
            let needs = self.registry.get(step.executor()).is_some_and(|entry| entry.needs_dbname);
            if !needs || says(self.own_database(step)).unwrap_or(outside) {
                continue;
            }
            let span = step.uses.map_or(step.node.span, |u| u.span);
            let message = format!("nothing names the database of {}, and a run refuses that", step.label);
            self.push(Finding::warning(NO_DATABASE, span, message).help(
                "write `database: { dbname: … }`; where PGDATABASE is to name it, `dbname: \"${{ env.PGDATABASE }}\"`",
            ));
        }
    }

    /// The `database` block of a step, from its `with` or its defaults.
    fn own_database(&self, step: &StepAt<'a>) -> Option<&'a Node> {
        let given = step.with.and_then(|w| w.get("database"));
        given.or_else(|| self.defaults(step.executor())?.get("database"))
    }
}

/// Whether a block names a database; none where it does not speak of it.
fn says(block: Option<&Node>) -> Option<bool> {
    let block = block?;
    let Kind::Map(entries) = &block.kind else { return Some(true) };
    if entries.iter().any(|e| !SETTINGS.contains(&e.key.as_str())) {
        return Some(true);
    }
    block.get("dbname").map(|name| name.text() != Some(""))
}
