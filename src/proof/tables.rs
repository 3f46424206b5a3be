//! Single tables of a dump: what of its evidence is theirs, and how `pg_restore` is told to take them alone.

use std::collections::BTreeSet;

use super::source::Source;
use crate::dump::{Form, Manifest};
use crate::step::StepError;

/// A table that is in the dump.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Chosen {
    schema: String,
    name: String,
}

impl Source {
    /// The same archive, of which only these tables are restored and compared; no name means all of it. A name is that of a
    /// table, exactly as stored, with `schema.` before it where several schemas have one.
    ///
    /// # Errors
    /// The dump is SQL, or has no such table.
    pub fn only(mut self, names: &[String]) -> Result<Self, StepError> {
        if names.is_empty() {
            return Ok(self);
        }
        self.tables = choose(&mut self.manifest, names)?;
        Ok(self)
    }
}

/// The arguments of `pg_restore` for these tables, and the evidence of the manifest cut down to them.
fn choose(manifest: &mut Manifest, names: &[String]) -> Result<Vec<String>, StepError> {
    if manifest.form() == Form::Plain {
        let what = "the dump is SQL, of which single tables cannot be restored";
        return Err(StepError::new(what).hint("restore all of it into another database, and copy the table from there"));
    }
    let Some(evidence) = &mut manifest.evidence else {
        return Err(StepError::new("the archive does not say which tables it has, so none can be picked"));
    };
    let all: Vec<Chosen> =
        evidence.tables.iter().map(|t| Chosen { schema: t.schema.clone(), name: t.name.clone() }).collect();
    let mut chosen = BTreeSet::new();
    for name in names {
        let found: Vec<&Chosen> =
            all.iter().filter(|t| t.name == *name || format!("{}.{}", t.schema, t.name) == *name).collect();
        match found.as_slice() {
            [] => return Err(missing(name, &all)),
            [one] => drop(chosen.insert((*one).clone())),
            several => {
                let schemas: Vec<String> = several.iter().map(|t| format!("`{}.{}`", t.schema, t.name)).collect();
                let what = format!("several tables of the dump are called `{name}`: {}", schemas.join(", "));
                return Err(StepError::new(what).hint("name the schema too"));
            }
        }
    }
    // `pg_restore` takes each of the schemas with each of the tables.
    let schemas: BTreeSet<&str> = chosen.iter().map(|t| t.schema.as_str()).collect();
    let tables: BTreeSet<&str> = chosen.iter().map(|t| t.name.as_str()).collect();
    let taken = |t: &&Chosen| schemas.contains(t.schema.as_str()) && tables.contains(t.name.as_str());
    if let Some(other) = all.iter().filter(taken).find(|t| !chosen.contains(*t)) {
        let what = format!("pg_restore would take `{}.{}` too", other.schema, other.name);
        return Err(StepError::new(what).hint("restore the tables of one schema at a time"));
    }
    let arguments =
        schemas.iter().map(|s| format!("--schema={s}")).chain(tables.iter().map(|t| format!("--table={t}")));
    let arguments = arguments.collect();
    evidence.tables.retain(|t| chosen.iter().any(|c| c.schema == t.schema && c.name == t.name));
    evidence.not_measured.retain(|t| chosen.iter().any(|c| c.schema == t.schema && c.name == t.name));
    evidence.sequences.clear();
    evidence.extensions.clear();
    evidence.roles.clear();
    evidence.large_objects = Default::default();
    Ok(arguments)
}

fn missing(name: &str, all: &[Chosen]) -> StepError {
    let failure = StepError::new(format!("the dump has no rows of a table `{name}`"));
    let mut names: Vec<String> = all.iter().take(10).map(|t| format!("`{}.{}`", t.schema, t.name)).collect();
    if all.len() > names.len() {
        names.push(format!("{} more", all.len() - names.len()));
    }
    match names.is_empty() {
        true => failure,
        false => failure.hint(format!("it has {}", names.join(", "))),
    }
}
