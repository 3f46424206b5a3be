//! What the program knows of itself: the schema, the executors, completions, the manual page.

use std::ffi::OsStr;

use clap::CommandFactory;
use clap_complete::Shell;
use serde_json::Value;

use super::args::Cli;
use super::complete;
use super::exit::{Exit, Failure};
use super::output::Terms;
use crate::diag;
use crate::plan;
use crate::step::Entry;
use crate::steps::REGISTRY;

fn print(terms: &Terms, text: &str) -> Result<Exit, Failure> {
    let failed = |e: std::io::Error| Failure { exit: Exit::State, text: e.to_string(), hint: None };
    terms.print(text).map_err(failed).map(|()| Exit::Done)
}

/// Prints the JSON Schema of plans.
pub fn schema(terms: &Terms) -> Result<Exit, Failure> {
    let text = serde_json::to_string_pretty(&plan::schema(&REGISTRY)).unwrap_or_default();
    print(terms, &(text + "\n"))
}

/// Prints the completion script, which asks the program by the name that it was started by.
pub fn completions(shell: Shell, program: &OsStr, terms: &Terms) -> Result<Exit, Failure> {
    print(terms, &complete::script(shell, program))
}

/// Prints the manual page.
pub fn man(terms: &Terms) -> Result<Exit, Failure> {
    let mut page = Vec::new();
    let rendered = clap_mangen::Man::new(Cli::command()).render(&mut page);
    rendered.map_err(|e| Failure { exit: Exit::State, text: e.to_string(), hint: None })?;
    print(terms, &String::from_utf8_lossy(&page))
}

/// Prints the list of executors, or one of them whole.
pub fn steps(name: Option<&str>, terms: &Terms) -> Result<Exit, Failure> {
    let Some(name) = name else {
        let width = REGISTRY.names().map(str::len).max().unwrap_or(0);
        let lines = REGISTRY.iter().map(|e| format!("{:<width$}  {}\n", e.name, title(e))).collect::<String>();
        return print(terms, &lines);
    };
    let entry = REGISTRY.get(name).ok_or_else(|| {
        let failure = Failure::usage(format!("there is no executor `{name}`"));
        match diag::nearest(name, REGISTRY.names()) {
            Some(near) => failure.hint(format!("did you mean `{near}`?")),
            None => failure.hint(format!("there are {}", REGISTRY.names().collect::<Vec<_>>().join(", "))),
        }
    })?;
    print(terms, &page(entry))
}

/// What an executor does, in a line.
pub fn title(entry: &Entry) -> String {
    let params = entry.params();
    let text = params.get("description").and_then(Value::as_str).unwrap_or_default();
    text.lines().next().unwrap_or_default().trim_end_matches('.').to_owned()
}

/// An executor as a page of text.
fn page(entry: &Entry) -> String {
    let params = entry.params();
    let text = params.get("description").and_then(Value::as_str).unwrap_or_default();
    let mut out = format!("{}\n\n{}\n", entry.name, indent(text, 2));
    let required: Vec<&str> =
        params.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect();
    out += "\nParameters (`with:`)\n";
    out += &fields(params.as_value(), params.as_value(), &required, 2);
    let outputs = entry.outputs(&Value::Null);
    out += &format!("\nOutputs (`steps.<id>.outputs.…`)\n{}", fields(outputs.as_value(), outputs.as_value(), &[], 2));
    out += &format!("\nExample\n  - uses: {}\n    with:\n{}\n", entry.name, indent(entry.example.trim_end(), 6));
    out
}

/// The properties of an object schema, one under the other, nested objects indented below.
fn fields(schema: &Value, root: &Value, required: &[&str], depth: usize) -> String {
    let mut out = String::new();
    for (name, field) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
        let target = resolve(field, root);
        let mut facts = vec![kind(field, root)];
        if required.contains(&name.as_str()) {
            facts.push("required".to_owned());
        }
        if let Some(default) = field.get("default").filter(|d| !d.is_null()) {
            facts.push(format!("default {default}"));
        }
        let said = field.get("description").or_else(|| target.get("description")).and_then(Value::as_str);
        out += &format!("{:depth$}{name}: {}\n", "", facts.join(", "));
        if let Some(text) = said {
            out += &format!("{}\n", indent(text, depth + 4));
        }
        if target.get("properties").is_some() && depth < 6 {
            let inner: Vec<&str> = target
                .get("required")
                .and_then(Value::as_array)
                .into_iter()
                .flatten()
                .filter_map(Value::as_str)
                .collect();
            out += &fields(target, root, &inner, depth + 4);
        }
    }
    if out.is_empty() { format!("{:depth$}none\n", "") } else { out }
}

/// The schema behind a reference, the first that is not `null` of several.
fn resolve<'s>(schema: &'s Value, root: &'s Value) -> &'s Value {
    if let Some(pointer) = schema.get("$ref").and_then(Value::as_str).and_then(|r| r.strip_prefix('#')) {
        return root.pointer(pointer).map_or(schema, |s| resolve(s, root));
    }
    let parts = ["allOf", "anyOf"].into_iter().filter_map(|k| schema.get(k).and_then(Value::as_array)).flatten();
    let mut solid = parts.filter(|s| s.get("type") != Some(&Value::from("null")));
    solid.next().map_or(schema, |s| resolve(s, root))
}

/// The type of a field as people say it.
fn kind(field: &Value, root: &Value) -> String {
    let schema = resolve(field, root);
    if let Some(unit) = schema.get("x-runplan-unit").and_then(Value::as_str) {
        return unit.to_owned();
    }
    let choices: Vec<String> = schema
        .get("enum")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .chain(schema.get("oneOf").and_then(Value::as_array).into_iter().flatten().filter_map(|s| s.get("const")))
        .map(|v| v.as_str().map_or_else(|| v.to_string(), str::to_owned))
        .collect();
    if !choices.is_empty() {
        return choices.join(" | ");
    }
    let words: Vec<&str> = match schema.get("type") {
        Some(Value::String(one)) => vec![one],
        Some(Value::Array(many)) => many.iter().filter_map(Value::as_str).filter(|t| *t != "null").collect(),
        _ => vec!["any"],
    };
    match (words.as_slice(), schema.get("items")) {
        (["array"], Some(items)) => format!("list of {}", kind(items, root)),
        _ => words.join(" or "),
    }
}

fn indent(text: &str, by: usize) -> String {
    text.lines()
        .map(|l| if l.is_empty() { String::new() } else { format!("{:by$}{l}", "") })
        .collect::<Vec<_>>()
        .join("\n")
}
