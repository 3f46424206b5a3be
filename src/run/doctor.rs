//! What a run would need, looked at for a person who asks: the preflight, and beyond it logins, versions and the secrets
//! themselves. Nothing is changed, and nothing is left behind.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use super::begin::{Begun, begin};
use super::emit::Emitter;
use super::missing::Missing;
use super::preflight::Leave;
use super::secrets::{Fetched, Secrets};
use super::steps::Runner;
use super::targets::{facts, password};
use super::walk::{Walk, group};
use super::{Aim, End, Request, scope, stopped};
use crate::event::Section;
use crate::files::{self, Access};
use crate::quantity::Size;
use crate::secret::{Redactor, Secret};
use crate::step::{Area, Check, Look, Verdict};
use crate::template::Scope;
use crate::value::{Map, Value};

/// What was found.
#[derive(Debug)]
pub struct Diagnosis {
    pub plan: String,
    pub plan_file: String,
    pub host: String,
    /// Whose need it is (`secrets`, `run`, a step), and what was looked at.
    pub needs: Vec<Need>,
    pub end: End,
}

/// Whose need it is, and what was looked at.
pub type Need = (String, Vec<Check>);

/// Looks at everything that a run of the plan would need, for each of its targets: as many at a time as a run takes, told
/// in the order of the plan.
pub async fn doctor(request: Request) -> Diagnosis {
    let begun = begin(&request);
    let emitter = Emitter::new(Vec::new());
    let (mut known, mut works, mut names) = (Vec::new(), Vec::new(), Vec::new());
    let mut secrets = Secrets::new(&request);
    for (at, aim) in request.aims.iter().enumerate() {
        works.push(prepare(&request, (at, aim), &begun, &mut secrets, &mut known).await);
        names.extend(works.last().map(|w: &Work| super::targets::names(&request, aim, &w.scope)).unwrap_or_default());
    }
    emitter.redact_with(Redactor::with_names(&known, &names));
    let (request, begun) = (Arc::new(request), Arc::new(begun));
    let plan = request.checked.plan();
    let mut walk = Walk::new(plan, works, |work: &Work| work.group.as_deref());
    let mut found: BTreeMap<usize, Vec<Need>> = BTreeMap::new();
    loop {
        walk.begin(
            |_| true,
            |work| {
                let (request, begun, emitter) = (Arc::clone(&request), Arc::clone(&begun), Arc::clone(&emitter));
                async move { of_target(&request, &begun, &emitter, work).await }
            },
        );
        let Some((work, needs)) = walk.next().await else { break };
        found.insert(work.aim, needs.unwrap_or_else(|| given_up(work.needs)));
    }
    let mut needs = Vec::new();
    for (at, found) in found {
        let whose = |place: String| match &request.aims[at].target {
            Some(target) => format!("{target}: {place}"),
            None => place,
        };
        needs.extend(found.into_iter().map(|(place, checks)| (whose(place), checks)));
    }
    for check in needs.iter_mut().flat_map(|(_, checks)| checks) {
        check.text = emitter.mask(&check.text);
        check.hint = check.hint.as_ref().map(|h| emitter.mask(h));
    }
    // What is well is said once.
    let mut told = BTreeSet::new();
    needs.iter_mut().for_each(|(_, c)| c.retain(|c| c.verdict != Verdict::Ok || told.insert(c.text.clone())));
    let stop = request.stop.reason().map(|r| stopped(r).1);
    let problems = needs.iter().flat_map(|(_, c)| c).filter(|c| c.verdict == Verdict::Problem);
    let ends = problems.map(|c| if matches!(c.area, Area::Secret | Area::Right) { End::Secret } else { End::Failed });
    let end = End::worst(ends.chain(stop).collect::<Vec<_>>(), 0);
    Diagnosis { plan: plan.name.clone(), plan_file: request.checked.path(), host: request.host.clone(), needs, end }
}

/// A target before it is looked at.
#[derive(Clone)]
struct Work {
    /// Its place among the request's.
    aim: usize,
    scope: Scope,
    /// What is known by now: of the secrets, and of the run.
    needs: Vec<Need>,
    /// Something is missing that its templates may read.
    lacking: bool,
    group: Option<String>,
}

/// Fetches the secrets of a target, and computes what its templates read. Secrets that several share are fetched once, so
/// this is done one target after the other.
async fn prepare(
    request: &Request,
    (at, aim): (usize, &Aim),
    begun: &Begun,
    secrets: &mut Secrets<'_>,
    known: &mut Vec<Secret>,
) -> Work {
    let plan = aim.checked.plan();
    let mut scope = begun.scope(request, aim);
    let group = group(aim, &scope);
    let fetched = secrets.fetch(aim, &scope).await;
    let mut needs = vec![("secrets".to_owned(), of_secrets(request, aim, &fetched))];
    // What is missing is sealed, so that the rest can be looked at.
    let there: BTreeSet<&String> = fetched.values.iter().map(|(n, _)| n).collect();
    let missing = plan.secrets.names().filter(|n| !there.contains(&(*n).to_owned()));
    let sealed: Map = missing.map(|n| (n.to_owned(), Value::Secret(Secret::sealed()))).collect();
    let mut lacking = !sealed.is_empty() || !scope::missing_env(plan, &request.env, scope::all_steps(plan)).is_empty();
    scope::set(&mut scope, "secrets", Value::Map([fetched.values.clone(), sealed].concat()));
    let broken = scope::compute(&mut scope, plan, aim.checked.dir(), &request.env);
    let weak = fetched.weak(&super::targets::names(request, aim, &scope));
    needs[0].1.extend(weak.into_iter().map(|w| Check::warning(Area::Secret, w)));
    known.extend(fetched.known.into_iter().chain(password(&scope)));

    let mut own: Vec<Check> = broken
        .iter()
        .map(|b| {
            let text = format!("`{}`: {}", b.place, b.problem);
            if lacking { Check::warning(Area::Parameters, text) } else { Check::problem(Area::Parameters, text) }
        })
        .collect();
    lacking |= !broken.is_empty();
    own.extend(group.as_ref().err().map(|problem| Check::problem(Area::Parameters, problem.clone())));
    needs.push(("run".to_owned(), own));
    Work { aim: at, scope, needs, lacking, group: group.unwrap_or_default() }
}

/// One that could not be looked at to the end, which is our own fault.
fn given_up(mut needs: Vec<Need>) -> Vec<Need> {
    let check = Check::problem(Area::Parameters, "it could not be looked at: an internal fault".to_owned());
    needs.push((
        "run".to_owned(),
        vec![check.or_hint("please report it; the other targets are looked at all the same")],
    ));
    needs
}

async fn of_target(request: &Request, begun: &Begun, emitter: &Arc<Emitter>, work: Work) -> Vec<Need> {
    let aim = &request.aims[work.aim];
    let Work { scope, mut needs, lacking, .. } = work;
    let facts = facts(request, aim, begun, &scope, false);
    let mut runner = Runner::new(request, aim, Arc::clone(emitter), scope, facts);
    runner.lacking = lacking;
    let look = runner.quiet_look(&request.stop);
    // The folder of the plan's runs: that of this one is never made.
    let mut own = of_folder(&look, begun.log_dir.parent().unwrap_or(&begun.log_dir), Access::ReadOnly);
    own.extend(of_folder(&look, &files::state_dir(&request.env), Access::Closed));
    if let Some((_, checks)) = needs.last_mut() {
        checks.extend(own);
    }
    for seen in runner.look_at_all(Leave::Thorough, &request.stop).await {
        let place = match seen.step.section {
            Section::Steps => seen.step.label,
            section if seen.step.label.starts_with(section.key()) => seen.step.label,
            section => format!("{}: {}", section.key(), seen.step.label),
        };
        needs.push((place, seen.checks));
    }
    needs
}

fn of_secrets(request: &Request, aim: &Aim, fetched: &Fetched) -> Vec<Check> {
    let there = fetched.values.iter().map(|(name, _)| Check::ok(Area::Secret, format!("`{name}`: is there")));
    let Missing { by_steps, by_handlers, by_nobody, .. } =
        Missing::of(aim.checked.plan(), &fetched.problems, &request.env);
    let doubts = fetched.warnings.iter().cloned().chain(by_nobody).chain(by_handlers);
    let warnings = doubts.map(|w| Check::warning(Area::Secret, w));
    let missing = by_steps.into_iter().map(|problem| match problem.ends_with("is not set") {
        true => Check::problem(Area::Secret, problem).hint(
            "set it where the plan is started: `export` in a shell, a line of the crontab, `EnvironmentFile` in systemd",
        ),
        false => Check::problem(Area::Secret, problem),
    });
    there.chain(warnings).chain(missing).collect()
}

/// Below this a log can hardly be written.
const NEEDED: u64 = 1 << 20;
/// Below this it may not be for long.
const NOTED: u64 = 100 << 20;

fn of_folder(look: &Look, dir: &Path, access: Access) -> Vec<Check> {
    let mut checks = vec![files::folder(look, dir, true)];
    if dir.is_dir()
        && let Err(error) = files::OwnDir::open(dir, access)
    {
        checks.push(Check::problem(Area::Folder, error.to_string()));
    }
    if let Ok(free) = files::free(look, &files::nearest(look, dir)) {
        let verdict = match free {
            ..NEEDED => Verdict::Problem,
            NEEDED..NOTED => Verdict::Warning,
            _ => Verdict::Ok,
        };
        let check = Check::new(Area::Space, verdict, format!("folder `{}`: {} free", dir.display(), Size(free)));
        checks.push(check.or_hint("logs and locks are written there: free space"));
    }
    checks
}
