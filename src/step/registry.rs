//! The registry: a plain list of cards, one an executor, made of function pointers. Types are erased here, once.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::{Mutex, PoisonError};

use schemars::generate::SchemaSettings;
use schemars::{Schema, SchemaGenerator};
use serde::de::IntoDeserializer;

use super::{Alters, Check, Fault, Look, Preflight, Preview, Probe, Step, StepError, Touch};
use crate::value::Value;

/// The key of a JSON Schema that marks the path of a file or folder, or a list of them: true, or a word of [`PathKind`].
pub const PATH_MARK: &str = "x-runplan-path";

/// How a text of a path parameter names files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PathKind {
    /// It is the path of a file or folder.
    File,
    /// `pattern`: it may have `*`, `?` and `[…]`. The executor itself makes it absolute.
    Pattern,
    /// `program`: without a separator it is looked for in `PATH`.
    Program,
}

/// A parameter that names files or folders.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PathParam {
    /// The keys that lead to it.
    pub keys: Vec<String>,
    pub kind: PathKind,
}

/// The key of a JSON Schema that marks connection settings.
pub const DATABASE_MARK: &str = "x-runplan-database";

/// What asking gives.
type Asked<'a> = Boxed<'a, Result<Vec<Check>, StepError>>;

type Boxed<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// One executor's card.
pub struct Entry {
    /// The name after `uses:`.
    pub name: &'static str,
    /// A `with:` block in YAML.
    pub example: &'static str,
    /// Whether it makes archives or copies.
    pub publishes: bool,
    /// Whether its database must be named.
    pub needs_dbname: bool,
    /// What it may change of what later steps need.
    pub alters: Alters,
    params: fn() -> Schema,
    outputs: fn(&serde_json::Value) -> Schema,
    check: fn(&serde_json::Value) -> Vec<Fault>,
    plan: for<'a> fn(Value, &'a Look) -> Boxed<'a, Result<Decided, StepError>>,
    preflight: for<'a> fn(Value, &'a Look) -> Boxed<'a, Result<Preflight, StepError>>,
    probe: for<'a> fn(Value, &'a Probe) -> Asked<'a>,
    stands: fn(&serde_json::Value, &Look) -> Result<(), StepError>,
}

type Apply = Box<dyn for<'a> FnOnce(&'a Touch) -> Boxed<'a, Result<Value, StepError>> + Send>;

/// A step's decision: what people see of it, and the work itself.
pub struct Decided {
    pub preview: Preview,
    apply: Apply,
}

impl Decided {
    /// Does what was decided; gives the outputs, a map.
    ///
    /// # Errors
    /// What the executor failed at.
    pub async fn apply(self, touch: &Touch) -> Result<Value, StepError> {
        (self.apply)(touch).await
    }
}

impl Entry {
    /// The card of an executor.
    pub const fn of<S: Step>() -> Self {
        Self {
            name: S::NAME,
            example: S::EXAMPLE,
            publishes: S::PUBLISHES,
            needs_dbname: S::NEEDS_DBNAME,
            alters: S::ALTERS,
            params: schema::<S::Params>,
            outputs: S::outputs,
            check: S::check,
            plan: |params, look| Box::pin(decide::<S>(params, look)),
            preflight: |params, look| Box::pin(foresee::<S>(params, look)),
            probe: |params, probe| Box::pin(ask::<S>(params, probe)),
            stands: S::stands,
        }
    }

    /// The JSON Schema (draft-07) of the parameters; its description is the executor's.
    pub fn params(&self) -> Schema {
        (self.params)()
    }

    /// The JSON Schema of the outputs of a step with these parameters, as written.
    pub fn outputs(&self, with: &serde_json::Value) -> Schema {
        (self.outputs)(with)
    }

    /// What the schema cannot say of the parameters, as written.
    pub fn check(&self, with: &serde_json::Value) -> Vec<Fault> {
        (self.check)(with)
    }

    /// Whether the parameter `database` takes connection settings, which the run fills with the plan's own.
    pub fn takes_database(&self) -> bool {
        // It is asked for each step, and a schema takes a while to make.
        static KNOWN: Mutex<BTreeMap<usize, bool>> = Mutex::new(BTreeMap::new());
        let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
        *known.entry(self.params as usize).or_insert_with(|| self.has_database_parameter())
    }

    fn has_database_parameter(&self) -> bool {
        let schema = self.params();
        let Some(field) = schema.pointer("/properties/database") else { return false };
        let marked = |s: &serde_json::Value| s.get(DATABASE_MARK).is_some();
        let by_reference = |s: &serde_json::Value| {
            let name = s.get("$ref").and_then(|r| r.as_str()).and_then(|r| r.strip_prefix('#'));
            name.and_then(|n| schema.pointer(n)).is_some_and(marked)
        };
        let parts = ["allOf", "anyOf"].into_iter().filter_map(|k| field.get(k).and_then(|v| v.as_array())).flatten();
        std::iter::once(field).chain(parts).any(|s| marked(s) || by_reference(s))
    }

    /// The parameters that name files or folders.
    pub fn paths(&self) -> Vec<PathParam> {
        fn walk(field: &serde_json::Value, root: &serde_json::Value, here: &[String], found: &mut Vec<PathParam>) {
            if let Some(mark) = field.get(PATH_MARK) {
                let kind = match mark.as_str() {
                    Some("pattern") => PathKind::Pattern,
                    Some("program") => PathKind::Program,
                    _ => PathKind::File,
                };
                found.push(PathParam { keys: here.to_vec(), kind });
                return;
            }
            let name = field.get("$ref").and_then(|r| r.as_str()).and_then(|r| r.strip_prefix('#'));
            name.and_then(|n| root.pointer(n)).into_iter().for_each(|target| walk(target, root, here, found));
            let parts =
                ["allOf", "anyOf"].into_iter().filter_map(|k| field.get(k).and_then(|v| v.as_array())).flatten();
            parts.for_each(|part| walk(part, root, here, found));
            for (key, inner) in field.get("properties").and_then(|p| p.as_object()).into_iter().flatten() {
                walk(inner, root, &[here, std::slice::from_ref(key)].concat(), found);
            }
        }
        let schema = self.params();
        let mut found = Vec::new();
        walk(schema.as_value(), schema.as_value(), &[], &mut found);
        found
    }

    /// Reads the parameters and decides.
    ///
    /// # Errors
    /// Parameters that do not fit, or what the executor found when it looked.
    pub async fn plan(&self, with: Value, look: &Look) -> Result<Decided, StepError> {
        (self.plan)(with, look).await
    }

    /// Reads the parameters and looks at what the step will need.
    ///
    /// # Errors
    /// Parameters that do not fit.
    pub async fn preflight(&self, with: Value, look: &Look) -> Result<Preflight, StepError> {
        (self.preflight)(with, look).await
    }

    /// The same for what is more than looking.
    ///
    /// # Errors
    /// Parameters that do not fit.
    pub async fn probe(&self, with: Value, probe: &Probe) -> Result<Vec<Check>, StepError> {
        (self.probe)(with, probe).await
    }

    /// Whether what the outputs of an earlier run say is still so.
    ///
    /// # Errors
    /// What is not as it was.
    pub fn stands(&self, outputs: &serde_json::Value, look: &Look) -> Result<(), StepError> {
        (self.stands)(outputs, look)
    }
}

fn schema<T: schemars::JsonSchema>() -> Schema {
    SchemaGenerator::from(SchemaSettings::draft07()).into_root_schema_for::<T>()
}

fn read<S: Step>(with: Value) -> Result<S::Params, StepError> {
    let params = <S::Params as serde::Deserialize>::deserialize(with.into_deserializer());
    params.map_err(|e| StepError::new(format!("parameters: {e}")))
}

async fn decide<S: Step>(with: Value, look: &Look) -> Result<Decided, StepError> {
    let params = read::<S>(with)?;
    let work = S::plan(params, look).await?;
    let preview = S::preview(&work);
    Ok(Decided { preview, apply: Box::new(move |touch| Box::pin(act::<S>(work, touch))) })
}

async fn foresee<S: Step>(with: Value, look: &Look) -> Result<Preflight, StepError> {
    let params = read::<S>(with)?;
    Ok(S::preflight(params, look).await)
}

async fn ask<S: Step>(with: Value, probe: &Probe) -> Result<Vec<Check>, StepError> {
    let params = read::<S>(with)?;
    Ok(S::probe(params, probe).await)
}

async fn act<S: Step>(work: S::Work, touch: &Touch) -> Result<Value, StepError> {
    let output = S::apply(work, touch).await?;
    let json = serde_json::to_value(output).map_err(|e| StepError::because("outputs", &e))?;
    Ok(Value::from(&json))
}

/// The executors that plans may use, in an order that means something to people.
#[derive(Clone, Copy)]
pub struct Registry(pub &'static [Entry]);

impl Registry {
    /// The executor of that name.
    pub fn get(&self, name: &str) -> Option<&'static Entry> {
        self.0.iter().find(|e| e.name == name)
    }

    /// All executors, in order.
    pub fn iter(&self) -> std::slice::Iter<'static, Entry> {
        self.0.iter()
    }

    /// Their names, in order.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        self.0.iter().map(|e| e.name)
    }
}
