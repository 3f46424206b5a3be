//! `runplan doctor`: everything that a run of a plan will need, looked at without running it.

use serde_json::json;

use super::aims::aims;
use super::args::{DoctorArgs, Format};
use super::exit::{self, Exit, Failure};
use super::input;
use super::output::Terms;
use super::run::{environment, on_runtime, request};
use crate::diag;
use crate::event::Pick;
use crate::plan;
use crate::report;
use crate::run;
use crate::steps::REGISTRY;

/// The version of the document's shape.
const SCHEMA_VERSION: u32 = 1;

/// Looks at everything, and prints what was found.
pub fn doctor(args: &DoctorArgs, terms: &Terms) -> Result<Exit, Failure> {
    let outcome = plan::check(input::read_plan(&args.plan)?, &REGISTRY);
    terms.say(&diag::render(&outcome.sources, &outcome.findings, terms.err.color));
    let Some(checked) = outcome.checked else {
        terms.error(&format!("the plan `{}` is not valid; nothing was looked at", args.plan.display()), None);
        return Ok(Exit::Invalid);
    };
    let aims = aims(&checked, &args.aim, &environment())?;
    let found = on_runtime(request(checked, aims, Pick::default(), Vec::new()), run::doctor)?;
    let text = match args.format {
        Format::Text => report::needs(&found.plan, &found.needs, terms.verbosity, terms.out),
        Format::Json => {
            let needs: Vec<_> = found.needs.iter().map(|(of, checks)| json!({ "of": of, "checks": checks })).collect();
            let document = json!({
                "schema_version": SCHEMA_VERSION, "plan": found.plan, "plan_file": found.plan_file, "host": found.host,
                "exit_code": exit::of_run(found.end), "needs": needs,
            });
            serde_json::to_string_pretty(&document).map(|t| t + "\n").unwrap_or_default()
        }
    };
    match terms.print(&text) {
        Err(error) => {
            let text = format!("the result cannot be written: {error}");
            Err(Failure { exit: Exit::State, text, hint: None })
        }
        Ok(()) => Ok(Exit::from(found.end)),
    }
}
