//! `command`: runs a program.

use std::collections::BTreeMap;

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use crate::files::{self, Scratch};
use crate::process::{self, Input, Job};
use crate::secret::Secret;
use crate::step::{Alters, Area, Check, Fault, Look, Preflight, Preview, Step, StepError, Touch};
use crate::value::ParamType;

/// Run a program.
///
/// The program runs without a shell and gets each argument unchanged. The lines that it prints go to the log, with
/// secrets masked. It gets the environment of runplan, without the variables that contain secrets of the plan.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Params {
    /// Program and its arguments, like `[pg_isready, -q]`. A relative path to a program, like `./after.sh`, is relative
    /// to the folder of the plan. A name without `/` is searched in `PATH`.
    #[schemars(length(min = 1))]
    argv: Vec<String>,
    /// Environment variables for the program. They override the inherited ones.
    #[serde(default)]
    env: BTreeMap<String, Secret>,
    /// Text for the standard input of the program.
    #[serde(default)]
    stdin: Option<Secret>,
    /// Folder to run the program in. Default: the folder of the plan.
    #[serde(default)]
    #[schemars(extend("x-runplan-path" = true))]
    cwd: Option<String>,
    /// Exit statuses that mean success.
    #[serde(default = "zero")]
    expect_exit: Vec<i32>,
    /// Outputs for later steps, by name. The program writes a line `name=value` for each one to the file that the
    /// variable `RUNPLAN_OUTPUT` names. If one is missing, the step fails.
    #[serde(default)]
    outputs: BTreeMap<String, Declared>,
}

/// An output of the program.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Declared {
    /// Type of the value. An array is a list separated by commas, or JSON if it starts with `[`.
    #[serde(rename = "type")]
    kind: ParamType,
    /// Type of the items of an array, like `{ type: integer }`. Default: string.
    #[serde(default)]
    items: Option<Items>,
    /// One line that says what the output is.
    #[serde(default)]
    description: Option<String>,
}

/// Type of the items of an array.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Items {
    /// Type of each item.
    #[serde(rename = "type")]
    kind: ParamType,
}

fn zero() -> Vec<i32> {
    vec![0]
}

/// Result of the step.
#[derive(Debug, JsonSchema)]
pub struct Output {
    /// Exit status of the program.
    exit_code: i32,
    /// Outputs that the plan declares.
    #[schemars(skip)]
    declared: BTreeMap<String, Json>,
}

/// The most that a program may write to `RUNPLAN_OUTPUT`, in bytes.
const LIMIT: u64 = 1 << 20;

impl Serialize for Output {
    /// The exit status and the declared outputs side by side, as later steps read them.
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let own = std::iter::once(("exit_code", Json::from(self.exit_code)));
        serializer.collect_map(own.chain(self.declared.iter().map(|(k, v)| (k.as_str(), v.clone()))))
    }
}

/// The executor.
pub struct Command;

impl Step for Command {
    const NAME: &'static str = "command";
    const ALTERS: Alters = Alters::Anything;
    const EXAMPLE: &'static str = "argv: [/usr/local/bin/after-backup, --quiet]\n";
    type Params = Params;
    type Output = Output;
    type Work = Params;

    fn outputs(params: &Json) -> Schema {
        let mut schema = SchemaGenerator::from(SchemaSettings::draft07()).into_root_schema_for::<Output>();
        let mut declared = params.get("outputs").and_then(Json::as_object).cloned().unwrap_or_default();
        // In a schema a path is a text.
        for output in declared.values_mut() {
            for at in ["/type", "/items/type"] {
                if let Some(kind) = output.pointer_mut(at).filter(|k| *k == "path") {
                    *kind = "string".into();
                }
            }
        }
        if let Some(properties) = schema.get_mut("properties").and_then(Json::as_object_mut) {
            properties.extend(declared);
        }
        schema
    }

    fn check(params: &Json) -> Vec<Fault> {
        let declared = params.get("outputs").and_then(Json::as_object);
        let names = declared.into_iter().flatten().map(|(name, _)| name);
        let wrong = |name: &String| {
            let message = match name.as_str() {
                "exit_code" => "`exit_code` is there already".to_owned(),
                _ if !is_name(name) => format!("the output `{name}` has no name that a template can read"),
                _ => return None,
            };
            let help = Some("a name is a letter or `_`, then letters, digits and `_`".to_owned());
            Some(Fault { pointer: format!("/outputs/{name}"), at_key: true, message, help })
        };
        names.filter_map(wrong).collect()
    }

    async fn preflight(params: Params, look: &Look) -> Preflight {
        let params = params.anchored(look);
        let name = params.argv.first().map(String::as_str).unwrap_or_default();
        let mut checks = Vec::new();
        let cwd = params.cwd.as_ref().map(std::path::PathBuf::from);
        if let Some(dir) = cwd.as_ref().filter(|d| !files::is_dir(look, d)) {
            checks.push(Check::problem(Area::Folder, format!("there is no folder `{}`", dir.display())));
        }
        // A `PATH` of its own may be a secret, which nobody reads here.
        if !params.env.contains_key("PATH") {
            checks.push(match process::locate(look, name, &look.env, cwd.as_deref()) {
                Some(path) => Check::ok(Area::Program, format!("`{}`: is there", path.display())),
                None => Check::problem(Area::Program, format!("there is no program `{name}` that can be started"))
                    .hint("install it, or write its whole path"),
            });
        }
        checks.into()
    }

    async fn plan(params: Params, look: &Look) -> Result<Params, StepError> {
        match params.argv.first() {
            Some(program) if !program.is_empty() => Ok(params.anchored(look)),
            _ => Err(StepError::new("`argv` names no program")),
        }
    }

    fn preview(work: &Params) -> Preview {
        let mut lines = vec![format!("runs: {}", work.argv.join(" "))];
        lines.extend(work.cwd.iter().map(|d| format!("in the folder `{d}`")));
        lines.extend(work.outputs.iter().map(|(name, output)| {
            let said = output.description.as_ref().map(|d| format!(": {d}")).unwrap_or_default();
            format!("publishes `{name}`, {}{said}", output.kind.a())
        }));
        Preview::new(lines)
    }

    async fn apply(work: Params, touch: &Touch) -> Result<Output, StepError> {
        let mut env = (*touch.look().env).clone();
        env.extend(work.env.iter().map(|(k, v)| (k.clone(), touch.open(v).to_owned())));
        let scratch = match work.outputs.is_empty() {
            true => None,
            false => Some(Scratch::new(touch).map_err(|e| StepError::because("making the file of outputs", &e))?),
        };
        env.extend(scratch.iter().map(|s| ("RUNPLAN_OUTPUT".to_owned(), s.path().to_string_lossy().into_owned())));
        let stdin = work.stdin.as_ref().map_or(Input::None, |s| Input::Text(touch.open(s).to_owned()));
        let job = Job { argv: work.argv, env, cwd: work.cwd.map(Into::into), stdin, ..Job::default() };
        let ended = process::start(touch, &job, false)?.wait(touch.cancel()).await?;
        let Some(exit_code) = ended.code.filter(|c| work.expect_exit.contains(c)) else {
            return Err(ended.failure(&job.argv[0]));
        };
        let declared = match scratch {
            None => BTreeMap::new(),
            Some(scratch) => {
                let text = scratch.read(LIMIT).map_err(|e| StepError::because("reading `RUNPLAN_OUTPUT`", &e))?;
                published(&text, &work.outputs, touch)?
            }
        };
        Ok(Output { exit_code, declared })
    }
}

impl Params {
    /// The same with the path of a program that the plan names by a relative one.
    fn anchored(mut self, look: &Look) -> Self {
        if let Some(program) = self.argv.first_mut().filter(|p| p.contains(std::path::is_separator)) {
            *program = look.plan_dir.join(program.as_str()).to_string_lossy().into_owned();
        }
        self
    }
}

/// Reads `name=value` lines by the declared types; of a name that is written twice the last one counts.
fn published(
    text: &str,
    declared: &BTreeMap<String, Declared>,
    touch: &Touch,
) -> Result<BTreeMap<String, Json>, StepError> {
    let mut found = BTreeMap::new();
    for line in text.lines().filter(|l| !l.trim().is_empty()) {
        let Some((name, value)) = line.split_once('=') else {
            return Err(StepError::new(format!("`RUNPLAN_OUTPUT` has the line `{line}`, expected `name=value`")));
        };
        let Some(output) = declared.get(name) else {
            touch.log().warn(format!("the output `{name}` is not declared under `outputs`, and nothing reads it"));
            continue;
        };
        let items = output.items.as_ref().map(|i| i.kind);
        let value = output.kind.parse(items, value).map_err(|e| StepError::new(format!("the output `{name}`: {e}")))?;
        found.insert(name.to_owned(), value);
    }
    let missing: Vec<&str> = declared.keys().filter(|n| !found.contains_key(*n)).map(String::as_str).collect();
    if missing.is_empty() {
        return Ok(found);
    }
    let hint = "the program appends a line `name=value` to the file that `RUNPLAN_OUTPUT` names";
    Err(StepError::new(format!("the program did not publish `{}`", missing.join("`, `"))).hint(hint))
}

fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}
