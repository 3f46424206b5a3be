//! `command`: runs a program.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::process::{self, Job};
use crate::secret::Secret;
use crate::step::{Look, Preview, Step, StepError, Touch};

/// Runs a program.
///
/// There is no shell: each argument reaches the program as it stands. Its lines go to the log, with secrets masked. It
/// gets the environment of runplan without the variables that hold the plan's secrets.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Params {
    /// The program and its arguments.
    #[schemars(length(min = 1))]
    argv: Vec<String>,
    /// Environment variables for the program, over those it inherits.
    #[serde(default)]
    env: BTreeMap<String, Secret>,
    /// What the program reads on standard input.
    #[serde(default)]
    stdin: Option<Secret>,
    /// The folder to run it in.
    #[serde(default)]
    cwd: Option<String>,
    /// The exit statuses that mean success.
    #[serde(default = "zero")]
    expect_exit: Vec<i32>,
}

fn zero() -> Vec<i32> {
    vec![0]
}

/// What the program gave.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Output {
    /// The exit status.
    exit_code: i32,
}

/// The executor.
pub struct Command;

impl Step for Command {
    const NAME: &'static str = "command";
    const EXAMPLE: &'static str = "argv: [/usr/local/bin/after-backup, --quiet]\n";
    type Params = Params;
    type Output = Output;
    type Work = Params;

    async fn plan(params: Params, _: &Look) -> Result<Params, StepError> {
        match params.argv.first() {
            Some(program) if !program.is_empty() => Ok(params),
            _ => Err(StepError::new("`argv` names no program")),
        }
    }

    fn preview(work: &Params) -> Preview {
        let mut lines = vec![format!("would run: {}", work.argv.join(" "))];
        lines.extend(work.cwd.iter().map(|d| format!("in the folder `{d}`")));
        Preview::new(lines)
    }

    async fn apply(work: Params, touch: &Touch) -> Result<Output, StepError> {
        let mut env = (*touch.look().env).clone();
        env.extend(work.env.iter().map(|(k, v)| (k.clone(), touch.open(v).to_owned())));
        let stdin = work.stdin.as_ref().map(|s| touch.open(s).to_owned());
        let job = Job { argv: work.argv, env, cwd: work.cwd.map(Into::into), stdin };
        let ended = process::start(touch, &job, false)?.wait(touch.cancel()).await?;
        match ended.code.filter(|c| work.expect_exit.contains(c)) {
            Some(exit_code) => Ok(Output { exit_code }),
            None => Err(ended.failure(&job.argv[0])),
        }
    }
}
