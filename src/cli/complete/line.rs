//! What the words before the one that is completed say: the plan that is meant, and what narrows it.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use clap::{ArgMatches, CommandFactory};

use super::super::args::Cli;
use super::super::input::{self, Given};
use super::super::{given_to_run, past, run};
use crate::plan::{self, Checked};
use crate::run::Aim;
use crate::steps::REGISTRY;

/// A command line that is not complete yet.
#[derive(Debug, Default)]
pub struct Line {
    plan: Option<OsString>,
    params: Vec<String>,
    pub dir: Option<PathBuf>,
    /// It runs a plan without the word `run`.
    pub short: bool,
}

impl Line {
    /// Reads what can be read.
    pub fn read(words: &[OsString]) -> Self {
        let Ok(matches) = Cli::command().ignore_errors(true).try_get_matches_from(words) else {
            return Self::default();
        };
        let of = matches.subcommand().map_or(&matches, |(_, of)| of);
        let texts = |of: &ArgMatches, id: &str| -> Vec<OsString> {
            of.try_get_raw(id).ok().flatten().into_iter().flatten().map(OsStr::to_owned).collect()
        };
        Self {
            plan: texts(of, "plan").into_iter().next(),
            params: texts(of, "param").into_iter().filter_map(|t| t.into_string().ok()).collect(),
            dir: texts(of, "dir").first().map(|dir| at_home(Path::new(dir))),
            short: matches.subcommand().is_none() && given_to_run(&matches).is_some(),
        }
    }

    /// The plan's file. What is none, like a pipe, may never end.
    fn file(&self) -> Option<PathBuf> {
        let path = at_home(Path::new(self.plan.as_ref()?));
        (path != Path::new("-") && path.is_file()).then_some(path)
    }

    /// The plan, if it is valid.
    pub fn checked(&self) -> Option<Checked> {
        plan::check(input::read_plan(&self.file()?).ok()?, &REGISTRY).checked
    }

    /// The names of the targets that the plan selects; none where that depends on what is not on the line yet.
    pub fn selected(&self, checked: &Checked) -> Option<Vec<String>> {
        let plan = checked.plan();
        let given = Given::read(plan, &self.params, None).or_else(|_| Given::read(plan, &[], None)).ok()?;
        let aims = Aim::all(checked, &[], &run::environment(), &|target| given.over(plan, target).0).ok()?;
        Some(aims.all.into_iter().filter_map(|aim| aim.target).collect())
    }

    /// The runs that are meant: each with its plan, the newest first.
    pub fn runs(&self) -> Option<Vec<(String, String)>> {
        let plan = match (&self.plan, self.file()) {
            (None, _) => None,
            (_, Some(file)) => Some(file.to_str()?.to_owned()),
            (Some(word), None) => Some(word.to_str().filter(|w| past::is_name(w))?.to_owned()),
        };
        let sought = past::seek(plan.as_deref(), self.dir.as_deref(), &[], None).ok()?;
        let runs = |shelf: &crate::journal::Shelf| {
            let names = shelf.names().unwrap_or_default();
            names.into_iter().map(|run| (run, shelf.plan.clone())).collect::<Vec<_>>()
        };
        let mut all: Vec<_> = sought.shelves.iter().flat_map(runs).collect();
        all.sort_unstable_by(|a, b| b.cmp(a));
        Some(all)
    }
}

/// A path as the shell will hand it over: `~/` is the user's home.
fn at_home(path: &Path) -> PathBuf {
    match (path.strip_prefix("~"), std::env::home_dir()) {
        (Ok(rest), Some(home)) => home.join(rest),
        _ => path.to_path_buf(),
    }
}
