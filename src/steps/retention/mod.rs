//! `retention`: which archives of a folder stay, and which go.

mod folder;
mod known;
mod rules;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io;
use std::path::{Path, PathBuf};

use chrono::{DateTime, Local, TimeDelta, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::files::{self, Listed, OpenFolder};
use crate::quantity::{Size, Span};
use crate::step::{Alters, Area, Check, Fault, Look, Preflight, Preview, Step, StepError, Touch, Upcoming};
use crate::value::Value;
use folder::{Archive, Other, Sorted, Wanted, sort};
use known::Known;
use rules::{Candidate, Policy, Verdict, decide};

/// Remove old archives from a folder, by rules.
///
/// Give at least one `keep_…` rule. An archive stays when any of the rules keeps it.
///
/// Only complete dumps count, with a valid record of the same plan, target, database and server. Only those are ever
/// removed, each with its record. Archive and record must belong to the owner of the folder or to the user who runs the
/// plan. An archive whose bytes changed since it was made does not count. `pattern` adds files without a record. An
/// archive that is in the folder several times counts once, and stays or goes in all places. Archives are ordered by
/// the time in their records. Symbolic links are not followed.
///
/// A pinned archive (`runplan pin`) stays and does not count for the rules. The same is true of an archive with a time
/// in the future, because a clock was wrong.
///
/// Nothing is removed when an earlier step of the run failed, except a step with `continue_on_error` that makes no
/// archive and no copy. Nothing is removed while the clock differs from the server's by more than a day.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Params {
    /// Folder with the archives.
    #[schemars(extend("x-runplan-path" = true))]
    dir: String,
    /// Keep the newest N archives.
    #[serde(default)]
    #[schemars(range(min = 1))]
    keep_last: Option<u32>,
    /// Keep the newest archive of each of the last N days that have one.
    #[serde(default)]
    #[schemars(range(min = 1))]
    keep_daily: Option<u32>,
    /// Keep the newest archive of each of the last N weeks (Monday to Sunday) that have one.
    #[serde(default)]
    #[schemars(range(min = 1))]
    keep_weekly: Option<u32>,
    /// Keep the newest archive of each of the last N months that have one.
    #[serde(default)]
    #[schemars(range(min = 1))]
    keep_monthly: Option<u32>,
    /// Keep the newest archive of each of the last N years that have one.
    #[serde(default)]
    #[schemars(range(min = 1))]
    keep_yearly: Option<u32>,
    /// Keep every archive that is at most this much older than the newest one, like `30d`.
    #[serde(default)]
    keep_within: Option<Span>,
    /// Keep at least N archives, whatever the rules say.
    #[serde(default = "one")]
    #[schemars(range(min = 1))]
    min_keep: u32,
    /// Name of the database whose archives count. Default: the database of the plan.
    #[serde(default)]
    database: Option<String>,
    /// Name of the plan whose archives count. Default: this plan.
    #[serde(default)]
    plan: Option<String>,
    /// Servers whose archives count. Two archives are from the same server when they have the same `system_identifier`,
    /// or the same host and port.
    #[serde(default)]
    server: Servers,
    /// Pattern for names of files without a record that count too, like `app-*.zip`. Such files are ordered by their
    /// modification time. `*` and `?` are wildcards.
    #[serde(default)]
    pattern: Option<String>,
}

/// Servers whose archives count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Servers {
    /// The server of the plan. Archives of other servers are left alone.
    #[default]
    Same,
    /// Every server.
    Any,
}

fn one() -> u32 {
    1
}

/// The parameters of which one is needed.
const RULES: [&str; 6] = ["keep_last", "keep_daily", "keep_weekly", "keep_monthly", "keep_yearly", "keep_within"];

impl Params {
    fn policy(&self) -> Result<Policy, StepError> {
        let counts = [self.keep_last, self.keep_daily, self.keep_weekly, self.keep_monthly, self.keep_yearly];
        if counts.contains(&Some(0)) || self.min_keep == 0 {
            return Err(StepError::new("the `keep_…` numbers and `min_keep` are at least 1"));
        }
        if counts.iter().all(Option::is_none) && self.keep_within.is_none() {
            return Err(StepError::new("nothing says what stays").hint(format!("give one of {}", RULES.join(", "))));
        }
        Ok(Policy {
            last: self.keep_last,
            daily: self.keep_daily,
            weekly: self.keep_weekly,
            monthly: self.keep_monthly,
            yearly: self.keep_yearly,
            within: self.keep_within.and_then(|s| TimeDelta::from_std(s.0).ok()),
            min_keep: self.min_keep,
        })
    }
}

/// Result of the step.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Output {
    /// Number of archives that stay, each counted once.
    kept: u64,
    /// Number of archives that were removed, each counted once.
    deleted: u64,
    /// Number of bytes that were freed.
    freed_bytes: u64,
}

const ASTRAY: &str = "is `dir` the folder that the archives are written to, and is it mounted?";

/// An archive that goes: at each of its places the file and, if it has one, its record.
#[derive(Debug, Default)]
struct Doomed(Vec<(Listed, Option<Listed>)>);

/// Everything decided.
#[derive(Debug)]
pub struct Work {
    dir: PathBuf,
    /// The folder, open since it was listed; none in a dry run in which an earlier step would make it.
    folder: Option<OpenFolder>,
    /// What is known of the bytes of the archives that count.
    known: Known,
    /// Each file that is an archive that counts, the newest first.
    verdicts: Vec<Verdict>,
    doomed: Vec<Doomed>,
    /// Records whose archives are gone, left by a retention that was killed between the two; they go too.
    orphans: Vec<Listed>,
    /// Each other file, and why it is left alone.
    others: Vec<Other>,
}

/// The executor.
pub struct Retention;

impl Step for Retention {
    const NAME: &'static str = "retention";
    const ALTERS: Alters = Alters::Space;
    const EXAMPLE: &'static str = "dir: backups\nkeep_last: 5\n";
    type Params = Params;
    type Output = Output;
    type Work = Work;

    fn check(params: &serde_json::Value) -> Vec<Fault> {
        if RULES.iter().any(|r| params.get(r).is_some()) {
            return Vec::new();
        }
        let help = Some(format!("give one of {}", RULES.join(", ")));
        vec![Fault { pointer: String::new(), at_key: false, message: "nothing says what stays".to_owned(), help }]
    }

    async fn preflight(params: Params, look: &Look) -> Preflight {
        if let Err(error) = params.policy() {
            return vec![Check::failed(Area::Parameters, &error)].into();
        }
        let dir = PathBuf::from(&params.dir);
        let made = look.facts.upcoming.iter().any(|u| within(&u.path, &dir));
        vec![files::folder(look, &dir, made).or_hint(ASTRAY)].into()
    }

    async fn plan(params: Params, look: &Look) -> Result<Work, StepError> {
        let policy = params.policy()?;
        let mut wanted = Wanted::new(&params, look)?;
        let dir = PathBuf::from(&params.dir);
        let upcoming = upcoming(look, &dir, wanted.database.as_deref());
        let failed = |error: &io::Error| match look.cancel.is_cancelled() {
            true => StepError::cancelled(),
            false => StepError::because(format!("the folder `{}` cannot be listed", dir.display()), error).hint(ASTRAY),
        };
        let folder = match OpenFolder::open(look, &dir) {
            Ok(folder) => Some(folder),
            Err(error) if error.kind() == io::ErrorKind::NotFound && !upcoming.is_empty() => None,
            Err(error) => return Err(failed(&error)),
        };
        let mut known = Known::read(look, folder.as_ref().map_or(&dir, |f| f.path()));
        let sorted = match &folder {
            None => Sorted::default(),
            Some(folder) => {
                let listed = folder.list(look).map_err(|e| failed(&e))?;
                sort(look, folder, &listed, &mut wanted, &mut known)?
            }
        };
        let mut candidates = upcoming;
        candidates.extend(sorted.archives.iter().map(|a| a.candidate.clone()));
        let hold = hold(look);
        let day = |time: DateTime<Utc>| time.with_timezone(&Local).date_naive();
        let verdicts = decide(candidates, &policy, look.now, &day, hold.as_deref());
        let mut doomed: BTreeMap<usize, Doomed> = BTreeMap::new();
        let gone: HashMap<&str, usize> =
            verdicts.iter().filter(|v| !v.stays).map(|v| (v.name.as_str(), v.archive)).collect();
        for Archive { file, record, .. } in sorted.archives {
            if let Some(archive) = gone.get(file.name.as_str()) {
                doomed.entry(*archive).or_default().0.push((file, record));
            }
        }
        let doomed = doomed.into_values().collect();
        for Other { name, why, .. } in sorted.others.iter().filter(|o| !o.damaged) {
            look.log.debug(format!("leaves `{name}` alone: {why}"));
        }
        let orphans = if hold.is_none() { sorted.orphans } else { Vec::new() };
        Ok(Work { dir, folder, known, verdicts, doomed, orphans, others: sorted.others })
    }

    fn preview(work: &Work) -> Preview {
        let verdict = |v: &Verdict| {
            let word = if v.stays { "keeps" } else { "removes" };
            format!("{word} `{}`: {}", v.name, v.reason)
        };
        let mut lines: Vec<String> = work.verdicts.iter().map(verdict).collect();
        if lines.is_empty() {
            lines.push(format!("no archive in `{}` counts", work.dir.display()));
        }
        lines.extend(work.orphans.iter().map(|r| format!("removes the record `{}`: its archive is gone", r.name)));
        let (elsewhere, others): (Vec<&Other>, Vec<&Other>) = work.others.iter().partition(|o| o.server.is_some());
        let (damaged, foreign): (Vec<&Other>, Vec<&Other>) = others.into_iter().partition(|o| o.damaged);
        lines.extend(of_other_servers(&elsewhere));
        lines.extend(damaged.iter().map(|o| format!("leaves `{}` alone: {}", o.name, o.why)));
        lines.extend(summary(&foreign));
        let count = |n: usize| Value::Int(i64::try_from(n).unwrap_or(i64::MAX));
        let places = work.doomed.iter().flat_map(|d| &d.0);
        let freed: u64 = places.map(|(file, record)| size(file, record.as_ref())).sum();
        Preview::new(lines)
            .known("kept", count(work.kept()))
            .known("deleted", count(work.doomed.len()))
            .known("freed_bytes", Value::Int(i64::try_from(freed).unwrap_or(i64::MAX)))
    }

    async fn apply(work: Work, touch: &Touch) -> Result<Output, StepError> {
        let mut output = Output { kept: work.kept() as u64, deleted: 0, freed_bytes: 0 };
        let Work { folder: Some(folder), .. } = &work else { return Ok(output) };
        let mut problems = Vec::new();
        for Doomed(places) in &work.doomed {
            let before = problems.len();
            for (file, record) in places {
                if touch.cancel().is_cancelled() {
                    return Err(StepError::cancelled());
                }
                // The archive first: a record that is left without one counts for nothing, the other way round a good
                // archive would be one that nobody knows.
                let removed = folder.remove(touch, file);
                match removed.and_then(|()| record.as_ref().map_or(Ok(()), |r| folder.remove(touch, r))) {
                    Ok(()) => {
                        touch.log().info(format!("removed `{}` ({})", file.name, Size(file.bytes)));
                        output.freed_bytes += size(file, record.as_ref());
                    }
                    Err(error) => problems.push(format!("`{}`: {error}", file.name)),
                }
            }
            output.deleted += u64::from(problems.len() == before);
        }
        for record in &work.orphans {
            match folder.remove(touch, record) {
                Ok(()) => touch.log().info(format!("removed the record `{}`, whose archive is gone", record.name)),
                Err(error) => problems.push(format!("`{}`: {error}", record.name)),
            }
        }
        if !work.doomed.is_empty() {
            // The names are gone either way; a crash may bring one back, and the next run removes it then.
            let _ = folder.flush(touch);
        }
        work.known.write(touch);
        if problems.is_empty() {
            return Ok(output);
        }
        Err(StepError::new(format!(
            "{} of {} could not be removed: {}",
            problems.len(),
            work.doomed.iter().map(|d| d.0.len()).sum::<usize>() + work.orphans.len(),
            problems.join("; ")
        )))
    }
}

impl Work {
    /// How many archives stay.
    fn kept(&self) -> usize {
        self.verdicts.iter().filter(|v| v.stays).map(|v| v.archive).collect::<BTreeSet<_>>().len()
    }
}

/// How many names a line of several files has.
const NAMED: usize = 3;

/// The files that are nobody's or another's, in one line; why each is left alone is detail.
fn summary(foreign: &[&Other]) -> Option<String> {
    if let [only] = foreign {
        return Some(format!("leaves `{}` alone: {}", only.name, only.why));
    }
    let names: Vec<String> = foreign.iter().take(NAMED).map(|o| format!("`{}`", o.name)).collect();
    let more = foreign.len() - names.len();
    let rest = if more == 0 { String::new() } else { format!(" and {more} more") };
    (!names.is_empty()).then(|| format!("leaves {} other files alone: {}{rest}", foreign.len(), names.join(", ")))
}

/// The archives of other servers, said once.
fn of_other_servers(others: &[&Other]) -> Option<String> {
    let servers: BTreeSet<&str> = others.iter().filter_map(|o| o.server.as_deref()).collect();
    let names: Vec<String> = servers.iter().take(NAMED).map(|s| format!("`{s}`")).collect();
    let more = if servers.len() > names.len() { " and others" } else { "" };
    let (count, s) = (others.len(), if others.len() == 1 { "" } else { "s" });
    let names = names.join(", ");
    (count > 0).then(|| format!("leaves {count} archive{s} of {names}{more} alone: `server: any` counts them in"))
}

fn size(file: &Listed, record: Option<&Listed>) -> u64 {
    file.bytes + record.map_or(0, |r| r.bytes)
}

/// Why nothing may go: a clock that is wrong, or an earlier step that failed, unless the plan allows that and it makes no archive or copy.
fn hold(look: &Look) -> Option<String> {
    use crate::step::Status::{Cancelled, Failed, TimedOut, Warning};
    if let Some(clock) = &look.facts.wrong_clock {
        return Some(clock.clone());
    }
    let bad = look.facts.steps.iter().find(|s| match s.status {
        Failed | TimedOut | Cancelled => true,
        Warning => s.publishes,
        _ => false,
    });
    match bad {
        Some(step) => Some(format!("`{}` did not end well", step.label)),
        None => look.facts.failure.as_ref().map(|f| format!("the run failed: {}", f.error)),
    }
}

/// Whether a file lies in a folder.
fn within(path: &Path, dir: &Path) -> bool {
    let parent = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let full = |p: &Path| std::path::absolute(p).unwrap_or_else(|_| p.to_path_buf());
    full(parent) == full(dir)
}

/// In a dry run, the archives that earlier steps would have put into the folder by now.
fn upcoming(look: &Look, dir: &Path, database: Option<&str>) -> Vec<Candidate> {
    let ours = look.facts.upcoming.iter().filter(|u| u.database.as_deref() == database && within(&u.path, dir));
    let candidate = |u: &Upcoming| Candidate {
        name: u.path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default(),
        identity: Some(u.archive.to_string_lossy().into_owned()),
        made: look.now,
        pinned: false,
    };
    ours.map(candidate).collect()
}
