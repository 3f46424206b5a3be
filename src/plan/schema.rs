//! The shape of a plan as JSON Schema, from the model and the registry: what the checker walks and what editors read.

use std::sync::{Arc, Mutex, PoisonError};

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, SchemaGenerator};
use serde_json::{Map, Value, json};

use super::model::{Lock, Logs, Param, Retry};
use super::targets::Targets;
use crate::postgres::Settings;
use crate::step::Registry;
use crate::vault::Source;

/// The pattern of a text that holds a template.
const TEMPLATE: &str = "\\$\\{\\{";

/// The key of a schema that marks a place where a template works.
pub const TEMPLATE_MARK: &str = "x-runplan-template";

/// The key of a schema that says in words what its pattern wants.
pub const EXPECTED_MARK: &str = "x-runplan-expected";

/// The lists of steps.
pub const SECTIONS: [&str; 4] = ["steps", "on_failure", "on_success", "finally"];

/// What the checker walks, built once a process for each registry.
#[derive(Debug)]
pub struct Schemas {
    /// Everything but the steps.
    pub frame: Value,
    /// A step without what `uses` decides.
    pub step: Value,
    /// The parameters by executor.
    executors: Map<String, Value>,
}

impl Schemas {
    /// The schemas of a registry.
    pub fn of(registry: &Registry) -> Arc<Self> {
        static BUILT: Mutex<Vec<(usize, usize, Arc<Schemas>)>> = Mutex::new(Vec::new());
        // A registry is static: its address names it.
        let (at, length) = (registry.0.as_ptr().addr(), registry.0.len());
        let mut built = BUILT.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((.., schemas)) = built.iter().find(|(a, l, _)| (*a, *l) == (at, length)) {
            return Arc::clone(schemas);
        }
        let mut frame = frame(registry);
        // Another number has a finding of its own.
        frame["properties"]["version"].as_object_mut().map(|version| version.remove("enum"));
        for section in SECTIONS {
            frame["properties"][section].as_object_mut().map(|list| list.remove("items"));
        }
        let executors = registry.names().filter_map(|n| Some((n.to_owned(), params(registry, n)?))).collect();
        let schemas = Arc::new(Self { frame, step: step(registry), executors });
        built.push((at, length, Arc::clone(&schemas)));
        schemas
    }

    /// The schema of an executor's parameters.
    pub fn params(&self, name: &str) -> Option<&Value> {
        self.executors.get(name)
    }
}

/// The schema with the mark of [`TEMPLATE_MARK`] on these of its properties, or on itself.
fn marked(mut schema: Value, properties: &[&str]) -> Value {
    if properties.is_empty() {
        schema[TEMPLATE_MARK] = true.into();
    }
    for name in properties {
        schema["properties"][*name][TEMPLATE_MARK] = true.into();
    }
    schema
}

/// The draft-07 schema of a type, whole in itself.
fn of<T: JsonSchema>() -> Value {
    inlined(SchemaGenerator::from(SchemaSettings::draft07()).into_root_schema_for::<T>().to_value())
}

/// A root schema with its definitions put in place of the references to them.
pub fn inlined(mut root: Value) -> Value {
    let definitions = root.as_object_mut().and_then(|o| o.remove("definitions")).unwrap_or_default();
    if let Some(object) = root.as_object_mut() {
        object.remove("$schema");
        object.remove("title");
    }
    fn walk(value: &mut Value, definitions: &Value) {
        if let Some(name) = value.get("$ref").and_then(Value::as_str).and_then(|r| r.strip_prefix("#/definitions/")) {
            let mut target = definitions.get(name).cloned().unwrap_or_default();
            if let (Some(target), Some(own)) = (target.as_object_mut(), value.as_object()) {
                target.extend(own.iter().filter(|(k, _)| *k != "$ref").map(|(k, v)| (k.clone(), v.clone())));
            }
            *value = target;
        }
        match value {
            Value::Object(map) => map.values_mut().for_each(|v| walk(v, definitions)),
            Value::Array(items) => items.iter_mut().for_each(|v| walk(v, definitions)),
            _ => {}
        }
    }
    walk(&mut root, &definitions);
    root
}

/// The keys of a step, without what `uses` decides.
fn step(registry: &Registry) -> Value {
    json!({
        "type": "object", "additionalProperties": false, "required": ["uses"],
        "description": "A step: an executor with its parameters, and when to run it.",
        "properties": {
            "id": { "type": "string", "pattern": "^[a-z][a-z0-9_]*$", EXPECTED_MARK: "small letters, digits and `_`, a letter first", "description": "Name of the step for other steps and for `--only`, `--skip` and `--from`, like `dump`." },
            "name": { "type": "string", "description": "Title of the step in logs and reports.", TEMPLATE_MARK: true },
            "uses": { "type": "string", "enum": registry.names().collect::<Vec<_>>(), "description": "Executor of the step. `runplan steps` lists all." },
            "with": { "type": "object", "description": "Parameters of the executor." },
            "when": { "type": ["boolean", "string"], "description": "Condition: a boolean, or an expression without `${{ }}`, like `params.copy_dir != \"\"`. The step is skipped when it is false." },
            "retry": of::<Retry>(),
            "timeout": { "type": "string", "pattern": crate::quantity::SPAN_PATTERN, "x-runplan-unit": "duration",
                         "description": "Maximum time of one attempt, like `2h`. Default: no limit; `5m` for a step of a handler." },
            "continue_on_error": { "type": "boolean", "default": false, "description": "Continue the run when the step fails. The failure is then a warning." },
            "tags": { "type": "array", "items": { "type": "string" }, "description": "Tags of the step, for `--tags` and `--skip-tags`." }
        }
    })
}

/// The strict schema of everything but the parameters of executors.
pub fn frame(registry: &Registry) -> Value {
    let named =
        |value: Value, text: &str| json!({ "type": "object", "additionalProperties": value, "description": text });
    let list = |text: &str| json!({ "type": "array", "items": step(registry), "description": text });
    let defaults: Map<String, Value> = registry
        .names()
        .map(|n| {
            (
                n.to_owned(),
                json!({ "type": "object", "description": format!("Defaults for the parameters of every `{n}` step.") }),
            )
        })
        .collect();
    let mut steps = list("Steps of the plan, in order.");
    steps["minItems"] = 1.into();
    json!({
        "type": "object", "additionalProperties": false, "required": ["version", "name", "steps"],
        "properties": {
            "version": { "type": "integer", "enum": [1], "description": "Version of the plan language: 1." },
            "name": { "type": "string", "pattern": "^[a-z][a-z0-9_-]*$", EXPECTED_MARK: "small letters, digits, `_` and `-`, a letter first", "description": "Name of the plan, for logs, locks and records." },
            "description": { "type": "string", "description": "One line that says what the plan is for." },
            "params": named(of::<Param>(), "Parameters of the plan, by name. Set one for a run with `-p NAME=VALUE`."),
            "secrets": named(marked(of::<Source>(), &["file", "command"]), "Source of each secret, by name; never its value. Use one as `${{ secrets.NAME }}`."),
            "vars": named(marked(json!({}), &[]), "Values that are computed once per run, by name. Use one as `${{ vars.NAME }}`."),
            "database": marked(of::<Settings>(), &[]),
            "logs": marked(of::<Logs>(), &["dir"]),
            "defaults": { "type": "object", "additionalProperties": false, "properties": defaults, "description": "Default parameters, by executor. They apply to every step that does not set them." },
            "lock": marked(of::<Lock>(), &["key"]),
            "timeout": { "type": "string", "pattern": crate::quantity::SPAN_PATTERN, "x-runplan-unit": "duration", "description": "Maximum time of all steps together, for each target, like `6h`. Default: no limit." },
            "targets": targets(),
            "steps": steps,
            "on_failure": list("Steps to run after a failure."),
            "on_success": list("Steps to run after a success."),
            "finally": list("Steps that always run, after all others.")
        }
    })
}

/// The schema of `targets`.
fn targets() -> Value {
    let mut schema = of::<Targets>();
    let limit = &mut schema["properties"]["limit_per"];
    *limit = marked(merged(limit).unwrap_or_else(|| limit.clone()), &["key"]);
    let settings = &mut schema["properties"]["list"]["items"]["properties"]["database"];
    *settings = marked(merged(settings).unwrap_or_else(|| settings.clone()), &[]);
    schema
}

/// A reference with words of its own is a list of one: the two as one schema.
fn merged(schema: &Value) -> Option<Value> {
    let map = schema.as_object()?;
    let [Value::Object(one)] = map.get("allOf")?.as_array()?.as_slice() else { return None };
    let mut merged = one.clone();
    merged.extend(map.iter().filter(|(k, _)| *k != "allOf").map(|(k, v)| (k.clone(), v.clone())));
    Some(Value::Object(merged))
}

/// The schema of an executor's parameters, whole in itself.
pub fn params(registry: &Registry, name: &str) -> Option<Value> {
    registry.get(name).map(|e| inlined(e.params().to_value()))
}

/// A choice of words that are explained one by one, as editors show it: the words in one list, beside it what they mean.
fn choice(map: &Map<String, Value>) -> Option<Value> {
    let all = map.get("oneOf")?.as_array()?;
    let words: Vec<&Value> = all.iter().map(|s| s.get("const")).collect::<Option<_>>()?;
    let texts: Vec<&Value> = all.iter().map(|s| s.get("description").unwrap_or(&Value::Null)).collect();
    let mut out: Map<String, Value> =
        map.iter().filter(|(k, _)| *k != "oneOf").map(|(k, v)| (k.clone(), v.clone())).collect();
    out.insert("type".to_owned(), "string".into());
    out.insert("enum".to_owned(), json!(words));
    if texts.iter().all(|t| t.is_string()) {
        out.insert("markdownEnumDescriptions".to_owned(), json!(texts));
    }
    Some(Value::Object(out))
}

/// The same schema for editors: a template may stand wherever one works, so a text with `${{` fits everywhere there.
fn relaxed(schema: &Value) -> Value {
    let Value::Object(map) = schema else { return schema.clone() };
    if let Some(choice) = choice(map) {
        return relaxed(&choice);
    }
    if let Some(merged) = merged(schema) {
        return relaxed(&merged);
    }
    let mut out = Map::new();
    for (key, value) in map {
        let value = match (key.as_str(), value) {
            ("properties", Value::Object(fields)) => {
                Value::Object(fields.iter().map(|(k, v)| (k.clone(), relaxed(v))).collect())
            }
            ("items" | "additionalProperties", inner) => relaxed(inner),
            ("anyOf" | "oneOf" | "allOf", Value::Array(all)) => Value::Array(all.iter().map(relaxed).collect()),
            ("required" | "format", _) if key == "format" => continue,
            _ => value.clone(),
        };
        if !key.starts_with("x-runplan") {
            out.insert(key.clone(), value);
        }
    }
    let is_map = out.get("type") == Some(&json!("object"));
    if is_map || out.is_empty() || out.keys().all(|k| matches!(k.as_str(), "description" | "default")) {
        return Value::Object(out);
    }
    let mut wrapper = Map::new();
    for key in ["title", "description", "default", "examples"] {
        wrapper.extend(out.remove(key).map(|v| (key.to_owned(), v)));
    }
    wrapper.insert("anyOf".to_owned(), json!([out, { "type": "string", "pattern": TEMPLATE }]));
    Value::Object(wrapper)
}

/// The JSON Schema of plans for editors, draft-07: the committed `schema/plan.schema.json`.
pub fn editor(registry: &Registry) -> Value {
    let mut root = frame(registry);
    let mut definitions = Map::new();
    let parameters = |name: &str| json!({ "$ref": format!("#/definitions/{name}") });
    let mut branches = Vec::new();
    for name in registry.names() {
        let Some(mut with) = params(registry, name).map(|p| relaxed(&p)) else { continue };
        // What a step leaves out may stand under `defaults`.
        with.as_object_mut().and_then(|o| o.remove("required"));
        definitions.insert(name.to_owned(), with);
        branches.push(json!({
            "if": { "properties": { "uses": { "const": name } }, "required": ["uses"] },
            "then": { "properties": { "with": parameters(name) } }
        }));
        root["properties"]["defaults"]["properties"][name] = parameters(name);
    }
    let mut step = step(registry);
    step["allOf"] = Value::Array(branches);
    definitions.insert("step".to_owned(), step);
    for list in SECTIONS {
        root["properties"][list]["items"] = parameters("step");
    }
    root["definitions"] = Value::Object(definitions);
    root["properties"]["database"] = relaxed(&root["properties"]["database"]);
    let settings = &mut root["properties"]["targets"]["properties"]["list"]["items"]["properties"]["database"];
    *settings = relaxed(settings);
    root["patternProperties"] = json!({ "^x-": {} });
    let mut out = Map::new();
    out.insert("$schema".to_owned(), "http://json-schema.org/draft-07/schema#".into());
    out.insert("title".to_owned(), "runplan plan, version 1".into());
    out.extend(strip(root).as_object().cloned().unwrap_or_default());
    Value::Object(out)
}

/// The schema without our own marks, and without what editors make nothing of.
fn strip(value: Value) -> Value {
    match value {
        Value::Object(map) => {
            let map = match choice(&map) {
                Some(Value::Object(simple)) => simple,
                _ => map,
            };
            let noise = |k: &str, v: &Value| match k {
                "default" => v.is_null(),
                "format" => v.is_string(),
                _ => k.starts_with("x-runplan"),
            };
            let kept = map.into_iter().filter(|(k, v)| !noise(k, v));
            let stripped = kept.map(|(k, v)| {
                let titled = k == "properties";
                let v = strip(v);
                (k, if titled { with_titles(v) } else { v })
            });
            Value::Object(stripped.collect())
        }
        Value::Array(items) => items.into_iter().map(strip).collect(),
        other => other,
    }
}

/// Properties with their names as titles, which editors show above what is said of them.
fn with_titles(properties: Value) -> Value {
    let Value::Object(map) = properties else { return properties };
    let titled = map.into_iter().map(|(name, schema)| match schema {
        Value::Object(schema) if !schema.contains_key("$ref") && !schema.contains_key("const") => {
            let mut titled = Map::new();
            titled.insert("title".to_owned(), name.as_str().into());
            titled.extend(schema);
            (name, Value::Object(titled))
        }
        other => (name, other),
    });
    Value::Object(titled.collect())
}
