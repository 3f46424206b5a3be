//! The command line of those that look back.

use std::path::PathBuf;

use clap::{Args, ValueEnum, ValueHint};

use super::Format;
use crate::quantity::Span;
use crate::report::Target;

/// Which runs to list.
#[derive(Debug, Args)]
pub struct HistoryArgs {
    /// A plan file, whose `logs.dir` has its runs, or the name of a plan in the user's state folder; without it, all plans in
    /// that folder
    #[arg(value_name = "PLAN", value_hint = ValueHint::FilePath)]
    pub plan: Option<String>,
    /// The folder of logs; it has a folder for each plan
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub dir: Option<PathBuf>,
    /// List only runs with this value of a parameter
    #[arg(short, long = "param", value_name = "NAME=VALUE")]
    pub param: Vec<String>,
    /// The number of runs to list; 0 lists all
    #[arg(short = 'n', long, value_name = "N", default_value_t = 20)]
    pub limit: usize,
    /// List only runs that failed or were killed
    #[arg(long)]
    pub failed: bool,
    /// What to print on standard output
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub format: Format,
}

/// Whose log to print.
#[derive(Debug, Args)]
pub struct LogsArgs {
    /// A run id from `runplan history`, the beginning of one, `last`, or the folder of a run
    #[arg(value_name = "RUN", default_value = "last", value_hint = ValueHint::DirPath)]
    pub run: String,
    /// A plan file, whose `logs.dir` has its runs, or the name of a plan in the user's state folder; without it, all plans in
    /// that folder
    #[arg(long, value_name = "PLAN", value_hint = ValueHint::FilePath)]
    pub plan: Option<String>,
    /// The folder of logs; it has a folder for each plan
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub dir: Option<PathBuf>,
}

/// Which run to resume.
#[derive(Debug, Args)]
pub struct ResumeArgs {
    /// A run id from `runplan history`, the beginning of one, `last`, or the folder of a run
    #[arg(value_name = "RUN", default_value = "last", value_hint = ValueHint::DirPath)]
    pub run: String,
    /// A plan file, whose `logs.dir` has its runs, or the name of a plan in the user's state folder; without it, all plans in
    /// that folder
    #[arg(long, value_name = "PLAN", value_hint = ValueHint::FilePath)]
    pub plan: Option<String>,
    /// The folder of logs; it has a folder for each plan
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub dir: Option<PathBuf>,
    /// Resume with the plan as it is now, although it has changed
    #[arg(long)]
    pub changed: bool,
    /// Show what a run would do, with the real decisions, and change nothing
    #[arg(short = 'n', long)]
    pub dry_run: bool,
    /// In a dry run, also send passwords to servers that only the plan names
    #[arg(long, requires = "dry_run")]
    pub connect: bool,
    /// What to print on standard output at the end
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub format: Format,
    /// Write a report when the run ends, also when it failed: `json`, `junit` or `markdown`, like `junit:report.xml`
    #[arg(long, value_name = "KIND:FILE", value_hint = ValueHint::FilePath, conflicts_with = "dry_run")]
    pub report: Vec<Target>,
}

/// Which plan is asked about.
#[derive(Debug, Args)]
pub struct StatusArgs {
    /// A plan file, whose `logs.dir` has its runs, or the name of a plan
    #[arg(value_name = "PLAN", value_hint = ValueHint::FilePath)]
    pub plan: String,
    /// The greatest age of the last good run, like `2d` or `90m` [default: 26h; none for `--format prometheus`]
    #[arg(long, value_name = "DURATION")]
    pub max_age: Option<Span>,
    /// The folder of logs; it has a folder for each plan
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub dir: Option<PathBuf>,
    /// Count only runs with this value of a parameter, for a plan that serves several databases
    #[arg(short, long = "param", value_name = "NAME=VALUE")]
    pub param: Vec<String>,
    /// What to print on standard output
    #[arg(long, value_enum, default_value_t = StatusFormat::Text)]
    pub format: StatusFormat,
}

/// How a status is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum StatusFormat {
    /// One line, as Nagios shows it
    Text,
    /// One JSON document
    Json,
    /// Metrics for the textfile collector of Prometheus' node exporter
    Prometheus,
}
