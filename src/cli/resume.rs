//! `runplan resume`: from a run that stopped to one that goes on with it.

use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use super::aims::{self, Aims};
use super::args::ResumeArgs;
use super::exit::{Exit, Failure};
use super::input::{self, Given};
use super::output::Terms;
use super::past::{self, Sought};
use super::run::{Task, carry_out, distinct, environment, host, say_findings};
use crate::event::{Basis, Event, Fact, Reader, Resumes};
use crate::journal::{Course, Found, Hold, Past, State, Target};
use crate::plan::{self, Checked};
use crate::run::{self, Aim, End, Resumed, Taken, TakenTarget, default_logs, masked};
use crate::steps::REGISTRY;

const ANEW: &str = "run the plan anew";

/// Goes on with a run.
pub fn resume(args: ResumeArgs, terms: &Terms) -> Result<Exit, Failure> {
    distinct(&args.report)?;
    let (sought, word) = past::seek_run(&args.run, args.plan.as_deref(), args.dir.as_deref(), terms)?;
    sought.warn_of_distrusted(terms);
    let found = sought.one(&word, "runplan resume")?;
    let Some(past) = found.open(&host()) else { return Err(no_run(&found)) };
    if let Some(done) = stopped(&past)? {
        terms.say(&done);
        return Ok(Exit::Done);
    }
    let cannot = |e: io::Error| Failure::usage(format!("the journal of run {} cannot be read: {e}", past.run));
    let Some(course) = Course::read(&found.dir()).map_err(cannot)? else {
        return Err(Failure::usage(format!("the journal of run {} does not say what was run", past.run)).hint(ANEW));
    };
    let Some(hold) = Hold::take(&found.dir()).map_err(cannot)? else {
        return Err(locked(format!("run {} goes on, or is being gone on with", past.run)));
    };
    if let Some(done) = later(&sought, &found)? {
        terms.say(&done);
        return Ok(Exit::Done);
    }
    let basis = basis(&course)?;

    let file = Path::new(&basis.dir).join(&course.plan_file);
    same_file(&course, &file, args.plan.as_deref())?;
    let outcome = plan::check(input::read_plan(&file)?, &REGISTRY);
    say_findings(&outcome, &file, args.dry_run, terms);
    let Some(checked) = outcome.checked else {
        terms.error(&format!("the plan `{}` is not valid; nothing was run", course.plan_file), None);
        return Ok(Exit::Invalid);
    };
    unchanged(&course, basis, &checked, args.changed)?;
    basis.pick.check(checked.plan()).map_err(|e| Failure::usage(format!("run {} picked steps: {e}", course.run)))?;
    let ended = past.ended_at.or(past.started_at);
    let stand = |steps: Vec<Taken>| run::stand(&checked, &REGISTRY, steps);
    let (aims, resumed) = taken_over(&course, basis, &checked, ended, args.changed, &stand)?;
    same_places(&course, &checked, &aims)?;
    let task = Task {
        checked,
        aims,
        pick: basis.pick.clone(),
        handed: Vec::new(),
        resumed: Some(resumed),
        dry_run: args.dry_run,
        connect: args.connect,
        format: args.format,
        reports: args.report,
        readers: vec![Arc::new(Held(Mutex::new(Some(hold))))],
    };
    carry_out(task, terms)
}

/// The command that goes on with a run that has just ended in this folder, if it would be accepted and saves anything.
pub fn offer(dir: &Path, checked: &Checked, end: End) -> Option<String> {
    if matches!(end, End::Done | End::Warnings | End::Journal) {
        return None;
    }
    let course = Course::read(dir).ok()??;
    let basis = basis(&course).ok()?;
    let (aims, resumed) = taken_over(&course, basis, checked, None, false, &|_| true).ok()?;
    if resumed.is_empty() {
        return None;
    }
    same_places(&course, checked, &aims).ok()?;
    Some(command(dir, &course.run))
}

/// The command that goes on with the run of this folder. In the user's state folder its id is enough.
fn command(dir: &Path, run: &str) -> String {
    let known = dir.parent().and_then(Path::parent) == Some(&default_logs(&environment()));
    match known {
        true => format!("runplan resume {run}"),
        false => format!("runplan resume {}", past::shell_word(&dir.to_string_lossy())),
    }
}

/// Keeps the earlier run to this one until the journal of this one says which it goes on with.
struct Held(Mutex<Option<Hold>>);

impl Reader for Held {
    fn event(&self, event: &Event) -> io::Result<()> {
        // At the first event the journal is about to be written.
        if !matches!(event.fact, Fact::RunStarted { .. }) {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        }
        Ok(())
    }
}

fn no_run(found: &Found<'_>) -> Failure {
    Failure::usage(format!("there is no run in `{}` any more", found.dir().display()))
}

fn locked(text: String) -> Failure {
    Failure { exit: Exit::Locked, text, hint: Some("wait for it to end".to_owned()) }
}

/// Whether a run has stopped before its end; what to say when it came to a good one.
fn stopped(past: &Past) -> Result<Option<String>, Failure> {
    let (run, plan) = (&past.run, &past.plan);
    match past.result {
        State::Ok | State::Warning => {
            let with = match past.warnings {
                0 => String::new(),
                1 => ", with 1 warning that the plan allows".to_owned(),
                n => format!(", with {n} warnings that the plan allows"),
            };
            Ok(Some(format!("nothing is left to do: run {run} of plan {plan} ended well{with}\n")))
        }
        State::Running => {
            let at = past.at_step.as_ref().map(|s| format!(", at {s}")).unwrap_or_default();
            Err(locked(format!("run {run} of plan {plan} goes on{at}")))
        }
        State::Unknown => {
            let why = past.problem.clone().unwrap_or_default();
            Err(Failure::usage(format!("run {run} cannot be gone on with: {why}")).hint(ANEW))
        }
        // Whether it lives is seen on its own machine alone.
        State::Killed if past.host.as_ref().is_some_and(|h| *h != host()) => {
            let there = past.host.as_deref().unwrap_or_default();
            let text = format!("run {run} has no end, and whether it goes on is seen only on {there}, where it began");
            Err(Failure::usage(text).hint(format!("go on with it on {there}")))
        }
        State::Failed | State::Killed => Ok(None),
    }
}

/// Whether another run has gone on with this one already; what to say when that one ended well.
fn later(sought: &Sought, found: &Found<'_>) -> Result<Option<String>, Failure> {
    let all = sought.runs()?;
    // By name it may be the older one: a clock may have been set back between the two.
    let others = all.iter().filter(|other| other.shelf.dir == found.shelf.dir && other.run != found.run);
    let mut with_it = others.filter_map(|other| other.open(&host()));
    let Some(past) = with_it.find(|p| p.resumes.as_ref().is_some_and(|r| r.run == found.run)) else { return Ok(None) };
    let (run, by) = (&found.run, &past.run);
    match past.result {
        State::Ok | State::Warning => {
            Ok(Some(format!("nothing is left to do: run {by} went on with run {run} and ended well\n")))
        }
        State::Running => Err(locked(format!("run {by} goes on with run {run}"))),
        _ => {
            let text = format!("run {by} went on with run {run} and did not end well");
            Err(Failure::usage(text).hint(format!("go on with that one: {}", command(&past.log_dir, by))))
        }
    }
}

/// What a run was made of.
fn basis(course: &Course) -> Result<&Basis, Failure> {
    let refused = |why: &str| Failure::usage(format!("run {} cannot be gone on with: {why}", course.run));
    let basis = course.basis.as_ref().ok_or_else(|| refused("an older runplan wrote its journal").hint(ANEW))?;
    // What is no file is shown by a name that none has: `<stdin>`, or the command that made the plan.
    if course.plan_file == "<stdin>" {
        return Err(refused("its plan came from standard input").hint(ANEW));
    }
    if course.plan_file.starts_with("runplan ") {
        return Err(refused(&format!("it was made by `{}`", course.plan_file)).hint("call that once more"));
    }
    let values = course.params.as_object().into_iter().flatten();
    if let Some((name, _)) = values.filter(|(name, _)| basis.given.contains(name)).find(|(_, v)| masked(v)) {
        let why = format!("parameter `{name}` holds a secret, which the journal does not keep");
        return Err(refused(&why).hint("run the plan anew with that parameter, `--from` the step that failed"));
    }
    Ok(basis)
}

/// Whether the plan file that was named is the one that was run. A plan's name says nothing of files.
fn same_file(course: &Course, file: &Path, named: Option<&str>) -> Result<(), Failure> {
    let Some(named) = named.filter(|n| !past::is_name(n)) else { return Ok(()) };
    // One that cannot be found is refused when it is read.
    match (file.canonicalize(), Path::new(named).canonicalize()) {
        (Ok(ran), Ok(given)) if ran != given => {
            let text = format!("run {} was one of the plan `{}`, not of `{named}`", course.run, file.display());
            Err(Failure::usage(text).hint("if that plan is meant, name it with `--plan`"))
        }
        _ => Ok(()),
    }
}

/// Whether the plan is the one that was run.
fn unchanged(course: &Course, basis: &Basis, checked: &Checked, changed: bool) -> Result<(), Failure> {
    if checked.plan().name != course.plan {
        let (file, now) = (checked.file(), &checked.plan().name);
        let text = format!("`{file}` is the plan `{now}` by now, and run {} was one of `{}`", course.run, course.plan);
        return Err(Failure::usage(text).hint(ANEW));
    }
    let then: Vec<&str> = basis.files.iter().map(|d| d.sha256.as_str()).collect();
    let now = checked.digests();
    if changed || now.iter().map(|(_, sha256)| sha256.as_str()).eq(then.iter().copied()) {
        return Ok(());
    }
    let differs = now.iter().find(|(_, sha256)| !then.contains(&sha256.as_str()));
    let file = differs.map_or(checked.file(), |(file, _)| file);
    let text = format!("`{file}` has changed since run {}: what was done then may not be what it says now", course.run);
    Err(Failure::usage(text).hint("if it is, add `--changed`, and `-n` first to see what would be done"))
}

/// What is not done again, and what the run is about. `stand` tells whether what the steps of a target made is still there.
fn taken_over(
    course: &Course,
    basis: &Basis,
    checked: &Checked,
    ended: Option<chrono::DateTime<chrono::Utc>>,
    changed: bool,
    stand: &dyn Fn(Vec<Taken>) -> bool,
) -> Result<(Aims, Resumed), Failure> {
    let given = Given::again(checked.plan(), &course.params, &basis.given)?;
    let aims = aims::of_given(checked, &given, &[], &environment())?;
    let of = |done_by: &Option<String>| done_by.clone().unwrap_or_else(|| course.run.clone());
    let steps = course.steps.iter().filter(|s| aims.all.iter().any(|a| a.target == s.target)).map(|s| Taken {
        target: s.target.clone(),
        label: s.label.clone(),
        uses: s.uses.clone(),
        status: s.status,
        outputs: s.outputs.clone(),
        error: s.error.clone(),
        run: of(&s.done_by),
    });
    let earlier = course.resumes.as_ref();
    let resumes = Resumes { run: course.run.clone(), since: None };
    let vars_of = course.meant.iter().map(|m| (m.target.clone(), m.vars_of.clone())).collect();
    let plan = checked.plan();
    let mut resumed = Resumed { resumes, steps: steps.collect(), targets: Vec::new(), vars_of };
    let whole = resumed.keep(plan, &REGISTRY, changed);
    // One of which something is gone is run, and fails at that.
    let done = |name: &String| {
        let own: Vec<Taken> = resumed.steps.iter().filter(|s| s.target.as_ref() == Some(name)).cloned().collect();
        (!changed || whole.contains(name)) && stand(own)
    };
    let good = course.good_targets().filter(|t| aims.all.iter().any(|a| a.target.as_ref() == Some(&t.name)));
    let taken =
        |t: &Target| TakenTarget { name: t.name.clone(), status: t.status, warnings: t.warnings, run: of(&t.done_by) };
    resumed.targets = good.filter(|t| done(&t.name)).map(taken).collect();
    resumed.steps.retain(|s| !resumed.targets.iter().any(|t| Some(&t.name) == s.target.as_ref()));
    let aims = left(course, aims, &resumed.targets)?;
    if !resumed.is_empty() {
        resumed.resumes.since = earlier.and_then(|r| r.since).or(ended);
    }
    let left_out = |at: usize, step: &plan::StepPlan| basis.pick.refuses(plan, at, step).is_some();
    resumed.readable(&aims.all, &left_out).map_err(|(step, output, reader)| {
        let why = format!("`{reader}` reads the output `{output}` of `{step}`, which holds a secret");
        let text = format!("run {} cannot be gone on with: {why}, and the journal keeps none", course.run);
        Failure::usage(text).hint(format!("run the plan anew, from there: `--from {step}`"))
    })?;
    Ok((aims, resumed))
}

/// The targets that are still to be run, of those that the run was about.
fn left(course: &Course, mut aims: Aims, done: &[TakenTarget]) -> Result<Aims, Failure> {
    let unpicked = |name: &str| course.left_out.contains(&format!("target {name}"));
    let there = |name: &str| aims.all.iter().any(|a| a.target.as_deref() == Some(name));
    if let Some(gone) = course.targets.iter().find(|name| !there(name)) {
        let text = format!("the target `{gone}` of run {} is not one that the plan selects now", course.run);
        return Err(Failure::usage(text).hint(ANEW));
    }
    let named = |aim: &Aim| aim.target.clone().unwrap_or_default();
    aims.unpicked = aims.all.iter().filter(|a| a.target.is_some()).map(named).filter(|n| unpicked(n)).collect();
    aims.all.retain(|aim| match &aim.target {
        Some(name) => !unpicked(name) && !done.iter().any(|t| t.name == *name),
        None => true,
    });
    Ok(aims)
}

/// Whether each target means the database that it meant.
fn same_places(course: &Course, checked: &Checked, aims: &Aims) -> Result<(), Failure> {
    if !run::uses_database(checked, &REGISTRY) {
        return Ok(());
    }
    let (env, host) = (environment(), host());
    for aim in &aims.all {
        let then = course.meant(aim.target.as_deref()).and_then(|m| m.place.as_ref());
        let now = run::place(aim, &env, &host);
        if let (Some(then), Some(now)) = (then, now)
            && *then != now
        {
            let of = aim.target.as_ref().map(|t| format!(" for `{t}`")).unwrap_or_default();
            if masked(&then.as_str().into()) {
                let why = format!("its database{of} has a secret in its name, which the journal does not keep");
                return Err(Failure::usage(format!("run {} cannot be gone on with: {why}", course.run)).hint(ANEW));
            }
            let text = format!("run {} was about the database {then}{of}, and now the plan means {now}", course.run);
            return Err(
                Failure::usage(text).hint("set PGHOST, PGPORT, PGDATABASE and what else the plan reads as they were")
            );
        }
    }
    Ok(())
}
