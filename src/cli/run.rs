//! `runplan run`: from the arguments to a run, and from its end to an exit code.

use std::path::Path;
use std::sync::Arc;

use super::aims::{Aims, aims};
use super::args::{Format, RunArgs};
use super::exit::{self, Exit, Failure};
use super::output::Terms;
use super::{hardening, input, past, plan_path, resume, signals};
use crate::cancel::Cancel;
use crate::diag;
use crate::event::{Pick, Reader};
use crate::files;
use crate::journal::{self, Journal};
use crate::plan::{self, Checked};
use crate::report::{self, Collector, Terminal, Verbosity};
use crate::run::{self, End, Ended, Request, Resumed};
use crate::secret::Secret;
use crate::step::Env;
use crate::steps::REGISTRY;

/// Runs a plan, or shows what a run would do.
pub fn run(args: RunArgs, terms: &Terms) -> Result<Exit, Failure> {
    let path = plan_path(&args)?;
    distinct(&args.report)?;
    let outcome = plan::check(input::read_plan(path)?, &REGISTRY);
    say_findings(&outcome, path, args.dry_run, terms);
    let Some(checked) = outcome.checked else {
        terms.error(&format!("the plan `{}` is not valid; nothing was run", path.display()), None);
        return Ok(Exit::Invalid);
    };
    let aims = aims(&checked, &args.aim, &environment())?;
    let pick = Pick { tags: args.tags, skip_tags: args.skip_tags, only: args.only, skip: args.skip, from: args.from };
    pick.check(checked.plan()).map_err(Failure::usage)?;

    let (dry_run, connect, format, reports) = (args.dry_run, args.connect, args.format, args.report);
    let (handed, readers) = (Vec::new(), Vec::new());
    carry_out(Task { checked, aims, pick, handed, resumed: None, dry_run, connect, format, reports, readers }, terms)
}

/// Says what was found in a plan: every finding of one that is not run, and of one that is run how many warnings there are.
pub fn say_findings(outcome: &plan::Outcome, path: &Path, whole: bool, terms: &Terms) {
    if whole || outcome.checked.is_none() {
        terms.say(&diag::render(&outcome.sources, &outcome.findings, terms.err.color));
    } else if !outcome.findings.is_empty() {
        let (count, s) = (outcome.findings.len(), if outcome.findings.len() == 1 { "" } else { "s" });
        let file = path.display().to_string();
        let text = format!("{count} warning{s} in the plan: runplan validate {}", past::shell_word(&file));
        terms.say(&format!("{}\n", terms.err.paint("33", &diag::clean(&text))));
    }
}

/// Refuses two reports in one file.
pub fn distinct(reports: &[report::Target]) -> Result<(), Failure> {
    match reports.iter().enumerate().find(|(at, t)| reports[..*at].iter().any(|o| o.file == t.file)) {
        Some((_, same)) => Err(Failure::usage(format!("two reports would be written to `{}`", same.file.display()))),
        None => Ok(()),
    }
}

/// A plan that was checked, with all that it takes to run it.
pub struct Task {
    pub checked: Checked,
    pub aims: Aims,
    pub pick: Pick,
    /// Secrets that are known already, by name.
    pub handed: Vec<(String, Secret)>,
    /// What is taken over from an earlier run.
    pub resumed: Option<Resumed>,
    pub dry_run: bool,
    /// In a dry run: passwords also go to servers that only the plan names.
    pub connect: bool,
    pub format: Format,
    /// What else is written at its end.
    pub reports: Vec<report::Target>,
    /// Who else listens.
    pub readers: Vec<Arc<dyn Reader>>,
}

/// Runs it, or shows what a run would do, and prints the result.
pub fn carry_out(task: Task, terms: &Terms) -> Result<Exit, Failure> {
    let Task { checked, aims, pick, handed, resumed, dry_run, connect, format, reports, mut readers } = task;
    let collector = Arc::new(Collector::default());
    readers.push(Arc::clone(&collector) as Arc<dyn Reader>);
    // A dry run's result is its decisions, on standard output; saying them twice helps nobody.
    if !dry_run || terms.verbosity == Verbosity::Verbose {
        readers.push(Arc::new(Terminal::new(terms.err, terms.verbosity, terms.bars)));
    }
    let plan = checked.clone();
    let request = Request { handed, resumed, connect, ..request(checked, aims, pick, readers) };
    let ended: Ended = match dry_run {
        true => on_runtime(request, run::preview)?,
        false => on_runtime(request, run::run)?,
    };

    let mut result = collector.result(ended.log_dir);
    result.resume = result.log_dir.as_deref().and_then(|dir| resume::offer(dir, &plan, ended.end));
    let text = match format {
        Format::Text if terms.verbosity == Verbosity::Quiet && !dry_run => String::new(),
        Format::Text => report::summary(&result, terms.out),
        Format::Json => serde_json::to_string_pretty(&result).map(|t| t + "\n").unwrap_or_default(),
    };
    let printed = terms.print(&text);
    let mut end = ended.end;
    for target in &reports {
        if let Err(error) = target.write(&result) {
            let hint = "its folder must be there, and be writable";
            terms.error(&format!("the report `{}` cannot be written: {error}", target.file.display()), Some(hint));
            // It hides nothing that is worse.
            end = end.max(End::Journal);
        }
    }
    let exit = Exit::from(end);
    match printed {
        Err(error) if exit == Exit::Done => {
            let text = format!("the result cannot be written: {error}");
            Err(Failure { exit: Exit::State, text, hint: None })
        }
        _ => Ok(exit),
    }
}

/// Everything that a run of the plan needs, found or made.
pub fn request(checked: Checked, aims: Aims, pick: Pick, readers: Vec<Arc<dyn Reader>>) -> Request {
    let max = checked.plan().logs.max_size;
    Request {
        checked,
        registry: REGISTRY,
        params: aims.params,
        given: aims.given,
        aims: aims.all,
        unpicked: aims.unpicked,
        env: environment(),
        host: host(),
        pick,
        handed: Vec::new(),
        connect: false,
        resumed: None,
        stop: Cancel::new(),
        abort: Cancel::new(),
        readers,
        open_journal: Box::new(move |dir| {
            // Only `last` without a plan reads it, and a run does not depend on that.
            let _ = journal::note_run(&files::state_dir(&environment()), dir);
            Journal::create(dir, journal::Limit::new(max.0, max.to_string())).map(|j| j as Arc<dyn Reader>)
        }),
        subject_of: journal::subject_of,
        exit_code: exit::of_run,
        resume_command: resume::offer,
    }
}

/// Does something with a request, and listens for signals meanwhile.
pub fn on_runtime<T, F: Future<Output = T>>(request: Request, work: impl FnOnce(Request) -> F) -> Result<T, Failure> {
    let cannot = |error: std::io::Error| {
        let text = format!("the system does not let the run start: {error}");
        Failure { exit: Exit::Failed, text, hint: None }
    };
    let refused = |text| Failure { exit: Exit::Failed, text, hint: None };
    let runtime = hardening::runtime().map_err(refused)?;
    let ended = runtime.block_on(async {
        signals::listen(&request.stop, &request.abort)?;
        Ok(work(request).await)
    });
    // A thread that still waits for something that was given up must not hold the end back.
    runtime.shutdown_background();
    ended.map_err(cannot)
}

/// The environment as texts; a variable that is no UTF-8 cannot be named in a plan.
pub fn environment() -> Env {
    std::env::vars_os().filter_map(|(k, v)| Some((k.into_string().ok()?, v.into_string().ok()?))).collect()
}

/// The name of this machine.
pub fn host() -> String {
    #[cfg(unix)]
    {
        rustix::system::uname().nodename().to_string_lossy().into_owned()
    }
    #[cfg(not(unix))]
    {
        std::env::var("COMPUTERNAME").unwrap_or_else(|_| "localhost".to_owned())
    }
}
