//! Whose runs are meant: from a plan file, a plan's name or nothing to the folders of their journals.

use std::path::{Path, PathBuf};

use super::exit::{Exit, Failure};
use super::output::Terms;
use super::{input, run};
use crate::diag;
use crate::files;
use crate::journal::{self, Found, Past, Picked, Shelf};
use crate::plan;
use crate::run::{default_logs, folder_of_runs};
use crate::steps::REGISTRY;

/// Where to look, and which runs count.
pub struct Sought {
    /// The folder that was looked in.
    pub place: PathBuf,
    pub shelves: Vec<Shelf>,
    /// Parameters by name and value, as texts.
    pub params: Vec<(String, String)>,
    /// The plan was named by its name, which may be wrong.
    pub by_name: bool,
    /// No plan and no folder was named: every plan of the state folder is meant.
    pub everywhere: bool,
}

/// Finds the runs of a plan file or a plan's name; without either those of every plan. Findings are said where there are
/// terms.
///
/// # Errors
/// A plan that cannot be read, is not valid (exit code 78), or does not tell where its runs are.
pub fn seek(
    plan: Option<&str>,
    dir: Option<&Path>,
    param: &[String],
    terms: Option<&Terms>,
) -> Result<Sought, Failure> {
    let logs = dir.map_or_else(|| default_logs(&run::environment()), Path::to_path_buf);
    let logs = std::path::absolute(&logs).unwrap_or(logs);
    match plan {
        None => {
            let shelves = Shelf::all(&logs).map_err(|e| unreadable(&logs, &e))?;
            Ok(Sought { place: logs, shelves, params: plain(param)?, by_name: false, everywhere: dir.is_none() })
        }
        Some(name) if is_name(name) => {
            let place = logs.join(name);
            let shelves = vec![Shelf::new(name, &place)];
            Ok(Sought { place, shelves, params: plain(param)?, by_name: true, everywhere: false })
        }
        Some(file) => of_file(Path::new(file), dir, param, terms),
    }
}

/// Finds the runs among which a word names one, and that word: the folder of a run names its place too.
///
/// # Errors
/// As [`seek`] has; a plan where a run is wanted.
pub fn seek_run(
    word: &str,
    plan: Option<&str>,
    dir: Option<&Path>,
    terms: &Terms,
) -> Result<(Sought, String), Failure> {
    if word.ends_with(".yaml") || word.ends_with(".yml") {
        let failure = Failure::usage(format!("`{word}` is a plan, and no run"));
        return Err(failure.hint(format!("the last run of it is `last --plan {word}`")));
    }
    let full = std::path::absolute(word).unwrap_or_else(|_| PathBuf::from(word));
    let name = full.file_name().map(|n| n.to_string_lossy().into_owned()).filter(|n| files::is_run_id(n));
    if let (Some(name), Some(place), true) = (name, full.parent(), plan.is_none() && dir.is_none() && full.is_dir()) {
        let plan = place.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
        let shelves = vec![Shelf::new(plan, place)];
        let sought =
            Sought { place: place.to_path_buf(), shelves, params: Vec::new(), by_name: false, everywhere: false };
        return Ok((sought, name));
    }
    Ok((seek(plan, dir, &[], Some(terms))?, word.to_owned()))
}

/// Whether a word is the name of a plan: nothing that is there, and no path.
pub fn is_name(word: &str) -> bool {
    let like_a_path = word == "-" || word.contains(['/', '\\']) || word.ends_with(".yaml") || word.ends_with(".yml");
    !like_a_path && !Path::new(word).is_file()
}

fn of_file(file: &Path, dir: Option<&Path>, param: &[String], terms: Option<&Terms>) -> Result<Sought, Failure> {
    let outcome = plan::check(input::read_plan(file)?, &REGISTRY);
    let Some(checked) = outcome.checked else {
        if let Some(terms) = terms {
            terms.say(&diag::render(&outcome.sources, &outcome.findings, terms.err.color));
        }
        let text = format!("the plan `{}` is not valid", file.display());
        let hint = "its past runs are found by its name, with `--dir` where it has `logs.dir`";
        return Err(Failure { exit: Exit::Invalid, text, hint: Some(hint.to_owned()) });
    };
    let (given, all) = input::some_params(checked.plan(), param)?;
    let name = &checked.plan().name;
    let place = match dir {
        Some(dir) => std::path::absolute(dir).unwrap_or_else(|_| dir.to_path_buf()).join(name),
        None => folder_of_runs(&checked, &all, &run::environment(), &run::host()).map_err(|why| {
            Failure::usage(format!("`logs.dir` of `{}` does not tell where its runs are: {why}", file.display()))
                .hint("give what it reads with `-p`, or the folder itself with `--dir`")
        })?,
    };
    let params = given.iter().map(|(name, value)| (name.clone(), shown(&value.to_json()))).collect();
    Ok(Sought { shelves: vec![Shelf::new(name, &place)], place, params, by_name: false, everywhere: false })
}

/// `-p` without a plan that could say what types there are.
fn plain(param: &[String]) -> Result<Vec<(String, String)>, Failure> {
    let pair = |text: &String| {
        let (name, value) = text
            .split_once('=')
            .ok_or_else(|| Failure::usage(format!("`-p {text}` has no `=`: write `-p name=value`")))?;
        Ok((name.to_owned(), value.to_owned()))
    };
    param.iter().map(pair).collect()
}

fn shown(json: &serde_json::Value) -> String {
    json.as_str().map_or_else(|| json.to_string(), str::to_owned)
}

fn unreadable(place: &Path, error: &std::io::Error) -> Failure {
    Failure::usage(format!("the runs in `{}` cannot be read: {error}", place.display()))
        .hint("look as the user who runs the plans")
}

impl Sought {
    /// The runs there are, the newest first.
    ///
    /// # Errors
    /// The folder cannot be read; a plan's name that has none, with the nearest that has.
    pub fn runs(&self) -> Result<Vec<Found<'_>>, Failure> {
        let runs = Shelf::runs(&self.shelves).map_err(|e| unreadable(&self.place, &e))?;
        if let (true, true, [shelf]) = (runs.is_empty(), self.by_name, self.shelves.as_slice()) {
            let others = Shelf::all(self.place.parent().unwrap_or(&self.place)).unwrap_or_default();
            let near = diag::nearest(&shelf.plan, others.iter().map(|s| s.plan.as_str()));
            let failure = Failure::usage(format!("there are no runs of a plan `{}`: {}", shelf.plan, self.nothing()));
            return Err(failure.hint(near.map_or_else(
                || "name the plan file if it has `logs.dir`, or give `--dir`".to_owned(),
                |near| format!("did you mean `{near}`?"),
            )));
        }
        Ok(runs)
    }

    /// The run that a word means: its id, the beginning of one, or `last`, which is never a run of `runplan verify` or
    /// `runplan restore`. `command` is what was called, like `runplan resume`, for hints.
    ///
    /// # Errors
    /// There is none, or more than one; without a plan, the newest run is one that keeps its logs elsewhere.
    pub fn one(&self, word: &str, command: &str) -> Result<Found<'_>, Failure> {
        let mut runs = self.runs()?;
        if let Some((run, why)) = Shelf::distrusted(&self.shelves).into_iter().find(|(run, _)| run == word) {
            let failure = Failure::usage(format!("run {run} may have been written by others: {why}"));
            return Err(failure.hint("call this as the user whose run it is"));
        }
        if word == "last" && !self.by_name {
            let of_command = |found: &Found<'_>| found.open("").is_some_and(|past| past.is_of_command());
            let first = runs.iter().position(|found| !of_command(found)).unwrap_or(runs.len());
            runs.drain(..first);
            self.check_elsewhere(runs.first(), command)?;
        }
        match Found::pick(word, runs) {
            Picked::One(found) => Ok(found),
            Picked::Several(all) => {
                let failure = Failure::usage(format!("{} runs begin with `{word}`", all.len()));
                Err(failure.hint(format!("write more of one of {}", names(&all))))
            }
            Picked::None(near) if near.is_empty() => {
                let failure = Failure::usage(format!("there is no run: {}", self.nothing()));
                Err(failure.hint("a plan with `logs.dir` keeps its runs there: add `--plan FILE`"))
            }
            Picked::None(near) => {
                let failure = Failure::usage(format!("there is no run `{word}` in `{}`", self.place.display()));
                Err(failure.hint(match near.as_slice() {
                    [one] => format!("did you mean `{}`?", one.run),
                    all => format!("the nearest are {}; `runplan history` lists all", names(all)),
                }))
            }
        }
    }

    /// Without a plan, refuses to take `newest` for the last run where a plan that keeps its logs elsewhere ran later.
    fn check_elsewhere(&self, newest: Option<&Found<'_>>, command: &str) -> Result<(), Failure> {
        if !self.everywhere {
            return Ok(());
        }
        let shelves = journal::noted_shelves(&files::state_dir(&run::environment()));
        // A folder that is gone or closed to us has no run to offer.
        let later = Shelf::runs(&shelves).unwrap_or_default().into_iter().next();
        let started_at = |found: &Found<'_>| found.open("").and_then(|past| past.started_at);
        let Some(later) = later.filter(|later| newest.is_none_or(|newest| started_at(later) > started_at(newest)))
        else {
            return Ok(());
        };
        let file = later.open("").and_then(|past| past.plan_file).unwrap_or_else(|| "FILE".to_owned());
        let (run, plan, dir) = (&later.run, &later.shelf.plan, later.shelf.dir.display());
        let text = format!("the newest run is {run} of plan `{plan}`, which keeps its logs in `{dir}`");
        Err(Failure::usage(text).hint(format!("name the plan: `{command} --plan {}`", shell_word(&file))))
    }

    /// Whether a run has the parameters that were asked for. One that cannot be read may have them.
    pub fn wants(&self, past: &Past) -> bool {
        let own = self.by_name || self.everywhere || !past.is_of_command();
        past.problem.is_some()
            || own && self.params.iter().all(|(name, value)| past.params.get(name).is_some_and(|v| shown(v) == *value))
    }

    /// What there is to say of runs that are not taken at their word, because others may have written them.
    pub fn distrusted(&self) -> Option<String> {
        let all = Shelf::distrusted(&self.shelves);
        let (_, why) = all.first()?;
        let more = if all.len() > 1 { format!(", and so are {} more", all.len() - 1) } else { String::new() };
        Some(format!("a run that others may have written is ignored{more}: {why}"))
    }

    /// Says that on standard error.
    pub fn warn_of_distrusted(&self, terms: &Terms) {
        if let Some(text) = self.distrusted() {
            terms.say(&format!("warning: {}\n", diag::visible(&diag::clean(&text))));
        }
    }

    /// Where nothing was found.
    pub fn nothing(&self) -> String {
        format!("`{}` has none", self.place.display())
    }
}

/// A word as a shell takes it.
pub fn shell_word(word: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "/._-+,:@=".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', "'\\''"))
    }
}

/// How many runs are named at most.
const NAMED: usize = 10;

fn names(all: &[Found<'_>]) -> String {
    let mut names: Vec<String> = all.iter().take(NAMED).map(|f| format!("`{}` ({})", f.run, f.shelf.plan)).collect();
    if all.len() > NAMED {
        names.push(format!("{} more", all.len() - NAMED));
    }
    names.join(", ")
}
