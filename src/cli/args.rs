//! The command line as typed.

mod past;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum, ValueHint};

use crate::report::Target;

pub use past::{HistoryArgs, LogsArgs, ResumeArgs, StatusArgs, StatusFormat};

/// What somebody new does first.
const FIRST: &str = "First steps:\n  runplan init nightly.yaml    write a plan for a database\n  runplan doctor nightly.yaml  check what it needs\n  runplan -n nightly.yaml      show what it would do\n  runplan nightly.yaml         run it\n\n`runplan help` lists the topics of the manual.";

/// Encrypted, verified PostgreSQL backups and rule-driven VACUUM from one plan file.
///
/// `runplan plans/nightly.yaml` runs a plan; it is short for `runplan run plans/nightly.yaml`.
///
/// Progress and logs go to standard error, results to standard output.
///
/// Exit codes: 0 done; 1 a step or a target failed; 2 wrong command line; 69 none of the plan's targets could be reached;
/// 73 a log, report or state file could not be written; 75 another run holds the lock; 77 a secret or a permission is
/// missing; 78 the plan is not valid; 124 the plan's timeout passed; 130 interrupted; 143 terminated.
#[derive(Debug, Parser)]
#[command(name = "runplan", version, max_term_width = 120, after_help = FIRST)]
#[command(disable_help_subcommand = true)]
#[command(override_usage = "runplan [OPTIONS] [PLAN]\n       runplan [-v] [-q] [--color <COLOR>] <COMMAND>")]
pub struct Cli {
    #[command(flatten)]
    pub global: Global,
    #[command(subcommand)]
    pub command: Option<Command>,
    #[command(flatten)]
    pub run: RunArgs,
}

/// The heading of the flags of every command.
const GLOBAL: &str = "Global options";

/// Flags of every command.
#[derive(Debug, Args)]
pub struct Global {
    /// Print more: also the details that executors report
    #[arg(short, long, global = true, conflicts_with = "quiet", help_heading = GLOBAL)]
    pub verbose: bool,
    /// Print less: only warnings and the result
    #[arg(short, long, global = true, help_heading = GLOBAL)]
    pub quiet: bool,
    /// When to use colour; `auto` honours NO_COLOR and CLICOLOR_FORCE
    #[arg(long, global = true, value_enum, default_value_t = Color::Auto, help_heading = GLOBAL)]
    pub color: Color,
}

/// When to use colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Color {
    Auto,
    Always,
    Never,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run a plan
    #[command(
        after_help = "Examples:\n  runplan run nightly.yaml -n\n  runplan run nightly.yaml -p keep=7 --only dump,verify"
    )]
    Run(RunArgs),
    /// Resume a failed or interrupted run
    ///
    /// Steps that ended well are not done again; their outputs are read from the journal. Steps that failed, were cancelled
    /// or never started are run, and a step that its `when` skipped is decided again. Targets that ended well are not run
    /// again. The resumed run is a run of its own, with an id, a log and handlers. Without RUN the last run is resumed.
    ///
    /// Parameters, chosen steps and targets are those of the earlier run. The plan (see `--changed`) and its database must
    /// be the same. The archives that were made must still be there, with their size and their record; one that was
    /// written to since must have its SHA-256. Otherwise nothing is started. When an archive is reused, `vars` keep their
    /// earlier values. Secrets and variables of the environment are read again, and must be set.
    ///
    /// With `--changed`, steps are reused up to the first one that has changed; that one and all later ones are run.
    ///
    /// A killed run can be resumed. A run that ended well leaves nothing to do (exit code 0). For `runplan status`, a
    /// resumed run is as old as the run that it resumes.
    ///
    /// Exit codes: as those of a run; 2 also when the run cannot be resumed; 75 also while it is still running.
    #[command(after_help = "Examples:\n  runplan resume\n  runplan resume --plan nightly.yaml -n")]
    Resume(ResumeArgs),
    /// Check plans without running them
    #[command(after_help = "Example:\n  runplan validate --deny-warnings plans/")]
    Validate(ValidateArgs),
    /// Check everything that a run of a plan needs, and change nothing
    ///
    /// It checks programs and their versions, connections and privileges, folders and free space, secrets, the mail server
    /// and the clock, and reports every problem at once. It fetches the plan's secrets as a run does, also those of a
    /// `command`, and logs in to databases and mail servers. It starts no step, and sends, writes and removes nothing.
    ///
    /// Every run starts with the cheap checks, and reports them as warnings. It stops there only when a dump cannot be made
    /// (no privilege to read, a program that is missing or too old, a folder that cannot be written, no room) and no step
    /// before the dump is useful by itself.
    ///
    /// Exit codes: 0 no problem, or warnings only; 1 a problem; 2 wrong command line; 77 a secret or a permission is
    /// missing; 78 the plan is not valid.
    #[command(after_help = "Example:\n  runplan doctor nightly.yaml")]
    Doctor(DoctorArgs),
    /// Explain the code of a finding, with a wrong and a right example
    #[command(after_help = "Example:\n  runplan explain RP0102")]
    Explain(ExplainArgs),
    /// Write a plan to start from, and say what to do next
    #[command(
        after_help = "Example:\n  runplan init nightly.yaml --database app --to /var/backups/app --copy /mnt/share/app --mail dba@example.org"
    )]
    Init(InitArgs),
    /// Show the effective plan, and where each value came from
    #[command(after_help = "Example:\n  runplan show --resolved nightly.yaml")]
    Show(ShowArgs),
    /// Print the JSON Schema of plans, for editors
    #[command(after_help = "Example:\n  runplan schema > runplan.schema.json")]
    Schema,
    /// List the executors, or show one with its parameters, outputs and an example
    #[command(after_help = "Example:\n  runplan steps pg_dump")]
    Steps(StepsArgs),
    /// List past runs, the newest last
    ///
    /// A run is `ok`, `warning` (done, with failures that the plan allows), `failed`, `running`, or `killed`: its journal has
    /// no end, and its process is gone. Dry runs are not recorded.
    ///
    /// Exit codes: 0 done; 2 wrong command line, or runs that cannot be read; 78 the plan is not valid.
    #[command(after_help = "Example:\n  runplan history nightly.yaml --failed")]
    History(HistoryArgs),
    /// Print the log of a past run
    ///
    /// Exit codes: 0 done; 2 wrong command line: no such run, or more than one; 78 the plan is not valid.
    #[command(after_help = "Example:\n  runplan logs last --plan nightly.yaml")]
    Logs(LogsArgs),
    /// Check that the last good run of a plan is young enough, for cron, Nagios and Prometheus
    ///
    /// A good run ended `ok` or `warning` and took all steps of the plan, for all targets that the plan selects. A run with
    /// `--only`, `--skip`, `--from`, `--tags`, `--skip-tags` or `--target` that left some out does not count; a step that
    /// its own `when` skips does not matter. The age counts from the end of the run, or of the run that it resumed. Dry runs
    /// do not count.
    ///
    /// Exit codes: 0 young enough; 1 too old, none, or runs that cannot be read; 2 wrong command line; 78 the plan is not
    /// valid. For Nagios 1 is a warning; its `negate --warning=CRITICAL` makes it critical.
    #[command(after_help = "Example:\n  runplan status nightly.yaml --max-age 26h")]
    Status(StatusArgs),
    /// Read archives through, and report whether they are good
    ///
    /// An archive whose record (`<archive>.json`) is lost can be read too. If nothing else is missing it is intact, but
    /// retention neither counts nor removes it until `--write-record` has written the record again.
    ///
    /// Exit codes: 0 all are good; 1 one is not, or its record is missing; 2 wrong command line; 77 the password is missing.
    #[command(
        after_help = "Examples:\n  runplan verify --plan nightly.yaml\n  runplan verify /mnt/share --password-file /etc/runplan/zip"
    )]
    Verify(VerifyArgs),
    /// Restore an archive into a database, and compare it with what was dumped
    #[command(
        after_help = "Examples:\n  runplan restore --plan nightly.yaml --into app_restored --create\n  runplan restore app-20261124T142631Z-3cfb.zip --into scratch --non-empty"
    )]
    Restore(RestoreArgs),
    /// List the archives of a plan, the newest first
    ///
    /// It lists every folder that the plan writes dumps, zip files and copies to. For each archive it shows when it was made,
    /// its size and its rows, when it was last read through (`verify`, from the journals of past runs), whether it is
    /// pinned, and where its copies are. It opens no archive and needs no password.
    ///
    /// Exit codes: 0 done; 2 wrong command line, or a folder that cannot be listed; 78 the plan is not valid.
    #[command(after_help = "Example:\n  runplan archives nightly.yaml")]
    Archives(ArchivesArgs),
    /// Pin archives, so that retention keeps them
    #[command(after_help = "Example:\n  runplan pin /var/backups/app/app-20261124T142631Z-3cfb.zip")]
    Pin(PinArgs),
    /// Print the completion script of a shell
    ///
    /// Write `source <(runplan completions bash)` in ~/.bashrc, the same with `zsh` in ~/.zshrc after `compinit`, and
    /// `runplan completions fish | source` in ~/.config/fish/config.fish. At each TAB the script asks runplan, which knows
    /// plan files, the step ids, tags, targets and parameters of the plan on the line, and past runs. It starts and writes
    /// nothing, connects to nothing and reads no secret. The scripts of `elvish` and `powershell` know only commands and
    /// options.
    #[command(after_help = "Example:\n  source <(runplan completions bash)")]
    Completions(ShellArgs),
    /// Print the manual page of runplan, in roff, or write all pages to a folder
    #[command(after_help = "Examples:\n  runplan man | man -l -\n  runplan man --dir ~/.local/share/man/man1")]
    Man(ManArgs),
    /// Show a topic of the manual, or the options of a command
    ///
    /// Without a name it lists the topics. On a terminal a long page is shown by PAGER.
    #[command(after_help = "Examples:\n  runplan help restore\n  runplan help validate")]
    Help(HelpArgs),
}

/// What a plan is run for.
#[derive(Debug, Args, Default)]
pub struct AimArgs {
    /// Set a parameter of the plan; the value is read by the parameter's type
    #[arg(short, long = "param", value_name = "NAME=VALUE")]
    pub param: Vec<String>,
    /// Read parameters from a YAML or JSON file of `name: value`; `-p` overrides it
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub params_file: Option<PathBuf>,
    /// Use only these targets: a name, a pattern of names like `crm-*`, or `label=value`
    #[arg(short = 'l', long, value_name = "TARGET")]
    pub target: Vec<String>,
}

/// How to run a plan.
#[derive(Debug, Args, Default)]
pub struct RunArgs {
    /// The plan file
    #[arg(value_name = "PLAN", value_hint = ValueHint::FilePath)]
    pub plan: Option<PathBuf>,
    #[command(flatten)]
    pub aim: AimArgs,
    /// Show what a run would do, with the real decisions, and change nothing
    #[arg(short = 'n', long)]
    pub dry_run: bool,
    /// In a dry run, also send passwords to servers that only the plan names
    #[arg(long, requires = "dry_run")]
    pub connect: bool,
    /// Run only steps with one of these tags
    #[arg(short, long, value_name = "TAG", value_delimiter = ',')]
    pub tags: Vec<String>,
    /// Skip steps with one of these tags
    #[arg(long, value_name = "TAG", value_delimiter = ',')]
    pub skip_tags: Vec<String>,
    /// Run only these steps
    #[arg(long, value_name = "ID", value_delimiter = ',')]
    pub only: Vec<String>,
    /// Skip these steps
    #[arg(long, value_name = "ID", value_delimiter = ',')]
    pub skip: Vec<String>,
    /// Start at this step
    #[arg(long, value_name = "ID")]
    pub from: Option<String>,
    /// What to print on standard output at the end
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub format: Format,
    /// Write a report when the run ends, also when it failed: `json`, `junit` or `markdown`, like `junit:report.xml`
    #[arg(long, value_name = "KIND:FILE", value_hint = ValueHint::FilePath, conflicts_with = "dry_run")]
    pub report: Vec<Target>,
}

/// What a run prints at its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Default)]
pub enum Format {
    /// Text for people
    #[default]
    Text,
    /// One JSON document
    Json,
}

/// What to check.
#[derive(Debug, Args)]
pub struct ValidateArgs {
    /// Plan files, folders (all `*.yaml` and `*.yml` below), or `-` for standard input
    #[arg(value_name = "PATH", required = true, value_hint = ValueHint::AnyPath)]
    pub paths: Vec<PathBuf>,
    /// Treat warnings as errors
    #[arg(long)]
    pub deny_warnings: bool,
    /// What to print on standard output
    #[arg(long, value_enum, default_value_t = FindingFormat::Text)]
    pub format: FindingFormat,
    /// Apply the fixes that do not change the meaning of the plan
    #[arg(long)]
    pub fix: bool,
}

/// How findings are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum FindingFormat {
    /// Text for people
    Text,
    /// One JSON document
    Json,
    /// One JSON object per line and finding
    Jsonl,
    /// SARIF 2.1.0
    Sarif,
    /// GitHub Actions annotations
    Github,
    /// GitLab code quality report
    Gitlab,
    /// JUnit report, one test case per plan
    Junit,
}

/// Where to put what plan.
#[derive(Debug, Args)]
pub struct InitArgs {
    /// The file to write (`*.yaml`), or the folder to write it into
    #[arg(value_name = "PATH", default_value = ".", value_hint = ValueHint::AnyPath)]
    pub path: PathBuf,
    /// Write the main job, like `--template nightly` (default): vacuum, dump, encrypt, verify, copy, keep the newest, mail
    #[arg(long)]
    pub nightly: bool,
    /// The database; asked for on a terminal if not given
    #[arg(long, value_name = "DATABASE")]
    pub database: Option<String>,
    /// The folder for the archives
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub to: Option<PathBuf>,
    /// A second folder for copies of the archives, preferably on another disk or machine
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub copy: Option<PathBuf>,
    /// The mail address that gets the log when a run fails
    #[arg(long, value_name = "ADDRESS")]
    pub mail: Option<String>,
    /// The mail server; on another machine it must offer TLS [default: localhost]
    #[arg(long, value_name = "HOST")]
    pub mail_host: Option<String>,
    /// The port of the mail server [default: 25 on this machine, else 587]
    #[arg(long, value_name = "PORT")]
    pub mail_port: Option<u16>,
    /// The user of the mail server; the password comes from RUNPLAN_SMTP_PASSWORD
    #[arg(long, value_name = "USER")]
    pub mail_user: Option<String>,
    /// The sender [default: the address of --mail]
    #[arg(long, value_name = "ADDRESS")]
    pub mail_from: Option<String>,
    /// The kind of plan: `nightly`, `dump-only`, `maintenance` or `command`
    #[arg(long, value_name = "NAME")]
    pub template: Option<String>,
}

/// Which plan to show, and how.
#[derive(Debug, Args)]
pub struct ShowArgs {
    /// The plan file
    #[arg(value_name = "PLAN", value_hint = ValueHint::FilePath)]
    pub plan: PathBuf,
    /// Render the templates whose values are known before a run
    #[arg(long)]
    pub resolved: bool,
    #[command(flatten)]
    pub aim: AimArgs,
}

/// Which plan to look at.
#[derive(Debug, Args)]
pub struct DoctorArgs {
    /// The plan file
    #[arg(value_name = "PLAN", value_hint = ValueHint::FilePath)]
    pub plan: PathBuf,
    #[command(flatten)]
    pub aim: AimArgs,
    /// What to print on standard output
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub format: Format,
}

#[derive(Debug, Args)]
pub struct ExplainArgs {
    /// The code, like `RP0102`; without it, list all codes
    pub code: Option<String>,
}

/// The plan that archives belong to.
#[derive(Debug, Args, Default)]
pub struct PlanArgs {
    /// The plan that made the archives: it gives their folders, their password and their server
    #[arg(long = "plan", id = "of_plan", value_name = "PLAN", value_hint = ValueHint::FilePath)]
    pub file: Option<PathBuf>,
    #[command(flatten)]
    pub aim: AimArgs,
}

/// Where the password of an archive comes from.
#[derive(Debug, Args)]
pub struct PasswordArgs {
    /// The environment variable with the password of the archive [default: the secret of --plan, else RUNPLAN_ZIP_PASSWORD,
    /// else it is asked for on a terminal]
    #[arg(long, value_name = "NAME")]
    pub password_env: Option<String>,
    /// The file with the password of the archive; overrides the variable
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub password_file: Option<String>,
}

/// What to read through.
#[derive(Debug, Args)]
pub struct VerifyArgs {
    /// If only the record of an archive is missing, write it again from the manifest, after every byte was read
    #[arg(long)]
    pub write_record: bool,
    /// The archives, or folders with archives; with `--plan` also `latest` (the default) and names in the plan's folders
    #[arg(value_name = "ARCHIVE", value_hint = ValueHint::AnyPath, required_unless_present = "of_plan")]
    pub archives: Vec<PathBuf>,
    #[command(flatten)]
    pub plan: PlanArgs,
    #[command(flatten)]
    pub password: PasswordArgs,
    /// What to print on standard output at the end
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub format: Format,
}

/// What to restore, and into what.
#[derive(Debug, Args)]
pub struct RestoreArgs {
    /// The archive; with `--plan` also `latest` (the default) and a name in the plan's folders
    #[arg(value_name = "ARCHIVE", value_hint = ValueHint::FilePath, required_unless_present = "of_plan")]
    pub archive: Option<PathBuf>,
    #[command(flatten)]
    pub plan: PlanArgs,
    /// The database to restore into; server and user come from the plan, or from PGHOST, PGUSER and so on
    #[arg(long, value_name = "DATABASE")]
    pub into: String,
    /// Create the database first
    #[arg(long)]
    pub create: bool,
    /// Restore even if the database is not empty
    #[arg(long)]
    pub non_empty: bool,
    /// Restore only this table, like `orders` or `sales.orders`; may be repeated. Like `pg_restore --table`, it restores no
    /// indexes, constraints and triggers. Not for `format: plain`
    #[arg(long = "table", value_name = "TABLE")]
    pub tables: Vec<String>,
    /// Do not restore owners and privileges
    #[arg(long)]
    pub no_owner: bool,
    /// Do not restore tablespaces
    #[arg(long)]
    pub no_tablespaces: bool,
    /// With --create: the locale of the new database, like C [default: that of the dumped one]
    #[arg(long, value_name = "LOCALE", requires = "create")]
    pub locale: Option<String>,
    /// The pg_restore to use, or psql for an SQL dump [default: one that fits the dump and the server]
    #[arg(long, value_name = "FILE", value_hint = ValueHint::ExecutablePath)]
    pub program: Option<String>,
    /// The number of connections that restore; with more than one, the dump is first unpacked in the temporary folder
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=64))]
    pub jobs: u8,
    #[command(flatten)]
    pub password: PasswordArgs,
    /// What to print on standard output at the end
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub format: Format,
}

/// Whose archives to list.
#[derive(Debug, Args)]
pub struct ArchivesArgs {
    /// The plan file
    #[arg(value_name = "PLAN", value_hint = ValueHint::FilePath)]
    pub plan: PathBuf,
    #[command(flatten)]
    pub aim: AimArgs,
    /// What to print on standard output
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub format: Format,
}

/// What to pin.
#[derive(Debug, Args)]
pub struct PinArgs {
    /// The archives
    #[arg(value_name = "ARCHIVE", required = true, value_hint = ValueHint::FilePath)]
    pub archives: Vec<PathBuf>,
    /// Remove the pins
    #[arg(long)]
    pub remove: bool,
}

#[derive(Debug, Args)]
pub struct StepsArgs {
    /// The executor, like `pg_dump`
    pub name: Option<String>,
}

#[derive(Debug, Args)]
pub struct ManArgs {
    /// Write the pages of runplan, of every command and of every topic of the manual to this folder
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub dir: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct HelpArgs {
    /// The topic or the command
    #[arg(value_name = "TOPIC")]
    pub name: Option<String>,
}

#[derive(Debug, Args)]
pub struct ShellArgs {
    /// The shell
    #[arg(value_enum)]
    pub shell: clap_complete::Shell,
}
