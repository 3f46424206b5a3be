//! From the command line to what a run is about: parameters and targets.

use super::args::AimArgs;
use super::exit::{Exit, Failure};
use super::input::Given;
use crate::plan::Checked;
use crate::run::{self, Aim, Refused};
use crate::step::Env;
use crate::value::Map;

/// What a plan is run for, at least one.
#[derive(Default)]
pub struct Aims {
    /// The values of the parameters, without those that targets set.
    pub params: Map,
    /// The names of those that were given by hand.
    pub given: Vec<String>,
    pub all: Vec<Aim>,
    /// The targets that the plan selects and the arguments left out.
    pub unpicked: Vec<String>,
}

/// The targets that the plan selects and the arguments pick, with the values of their parameters.
///
/// # Errors
/// A parameter or a target that is not there: exit code 2. A selection that needs a variable which is not set: 77.
pub fn aims(checked: &Checked, args: &AimArgs, env: &Env) -> Result<Aims, Failure> {
    of_given(checked, &Given::read(checked.plan(), &args.param, args.params_file.as_deref())?, &args.target, env)
}

/// The same with values that were read already.
///
/// # Errors
/// As [`aims`] has.
pub fn of_given(checked: &Checked, given: &Given, pick: &[String], env: &Env) -> Result<Aims, Failure> {
    let plan = checked.plan();
    let found = Aim::all(checked, pick, env, &|target| given.over(plan, target).0);
    let run::Aims { all, unpicked } = found.map_err(|refused| match refused {
        Refused::Pick(text) => Failure::usage(text),
        Refused::Env(text) => Failure { exit: Exit::Secret, text, hint: None },
        Refused::Select(text) => Failure { exit: Exit::Failed, text, hint: None },
    })?;
    let mut problems = Vec::new();
    for (name, _) in plan.params.iter() {
        let lack = |aim: &&Aim| !aim.params.iter().any(|(n, _)| n == name);
        let lacking: Vec<&str> = all.iter().filter(lack).filter_map(|a| a.target.as_deref()).collect();
        if let Some(first) = lacking.first() {
            let more = if lacking.len() > 1 { format!(" and {} more", lacking.len() - 1) } else { String::new() };
            problems.push(format!(
                "parameter `{name}` is required: write `-p {name}=VALUE`, or set it for the target `{first}`{more}"
            ));
        }
    }
    if problems.is_empty() {
        Ok(Aims { params: given.over(plan, None).0, given: given.names(), all, unpicked })
    } else {
        Err(Failure::usage(problems.join("\nerror: ")))
    }
}
