//! The command line as typed.

mod past;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum, ValueHint};

use crate::report::Target;

pub use past::{HistoryArgs, LogsArgs, ResumeArgs, StatusArgs, StatusFormat};

/// What somebody new does first.
const FIRST: &str = "First steps:\n  runplan init nightly.yaml    write the main job for a database\n  runplan doctor nightly.yaml  check what it needs\n  runplan -n nightly.yaml      show what it would do\n  runplan nightly.yaml         run it\n\n`runplan help` lists the topics of the manual.";

/// Encrypted, verified PostgreSQL backups and rule-driven VACUUM from one plan file.
///
/// `runplan plans/nightly.yaml` runs a plan; it is short for `runplan run plans/nightly.yaml`.
///
/// Progress and logs go to standard error, results to standard output.
///
/// Exit codes: 0 done; 1 a step or a target failed; 2 wrong command line; 69 none of the plan's targets could be reached; 73 a log, report or state file could not be written; 75 another run
/// holds the lock; 77 a secret or a permission is missing; 78 the plan is not valid; 124 the plan's timeout passed; 130 interrupted; 143
/// terminated.
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
    /// Say more: also what executors note as detail
    #[arg(short, long, global = true, conflicts_with = "quiet", help_heading = GLOBAL)]
    pub verbose: bool,
    /// Say less: only warnings and the end
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
    /// Go on where a failed run stopped
    ///
    /// The steps of that run that ended well are not done again: later steps read their outputs from its journal. Those that
    /// failed, were stopped or never began are run now, and one that its `when` skipped is decided anew. It is a run of its
    /// own, with an id, a log and handlers, and says which one it goes on with. Without RUN it is the last run there is.
    ///
    /// What must be as it was: the plan (see `--changed`), the database that it means, and the archives that were made;
    /// they must be there, with their size and their record, and with their SHA-256 if they were written to since, or
    /// nothing is begun. Parameters, steps and targets are those of the run. Where an archive is taken over, `vars` are
    /// what they were, also those that read `run.id`; `run` itself is always the new run. Secrets and variables of the
    /// environment are read anew, and must be set. Targets that ended well are not run again. A run that was killed can be
    /// gone on with; one that ended well leaves nothing to do (exit code 0).
    ///
    /// With `--changed` steps are taken over as far as the plan is still the same, each by its id and executor; all that
    /// follows the first one that differs is done again.
    ///
    /// For `runplan status` it is good when all that was left is done, and as old as the run it goes on with.
    ///
    /// Exit codes: as those of a run; 2 also when the run cannot be gone on with, 75 also while it goes on.
    #[command(after_help = "Examples:\n  runplan resume\n  runplan resume --plan nightly.yaml -n")]
    Resume(ResumeArgs),
    /// Check plans without running them
    #[command(after_help = "Example:\n  runplan validate --deny-warnings plans/")]
    Validate(ValidateArgs),
    /// Look at everything that a run of a plan will need, and change nothing
    ///
    /// Tools and their versions, connections and rights, folders and free space, secrets, the mail server, the clock: every
    /// problem at once. It fetches the plan's secrets as a run does, those of a `command` too, logs in to databases and
    /// mail servers, and has `pg_dump` say its version. It starts no step and sends, writes and removes nothing.
    ///
    /// What of it is cheap stands before the first step of every run, as warnings. A run stops there only when a dump
    /// cannot be made (no right to read, a tool that is missing or too old, a folder that cannot be written, room for not
    /// even half of the last archive) and nothing of use is made before it.
    ///
    /// Exit codes: 0 all is well, or nothing but warnings; 1 a problem; 2 wrong command line; 77 a secret or a permission
    /// is missing; 78 the plan is not valid.
    #[command(after_help = "Example:\n  runplan doctor nightly.yaml")]
    Doctor(DoctorArgs),
    /// Say what a finding's code means, with an example of wrong and right
    #[command(after_help = "Example:\n  runplan explain RP0102")]
    Explain(ExplainArgs),
    /// Write a first plan that validates, and say what to do next
    #[command(
        after_help = "Example:\n  runplan init nightly.yaml --database app --to /var/backups/app --copy /mnt/share/app --mail dba@example.org"
    )]
    Init(InitArgs),
    /// Show the effective plan, each value with where it came from
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
    /// A run is `ok`, `warning` (done, with failures that the plan allows), `failed`, `running`, or `killed`: it has no
    /// closing event, and its process is gone. Dry runs leave nothing and are not listed.
    ///
    /// Exit codes: 0 done; 2 wrong command line, or runs that cannot be read; 78 the plan is not valid.
    #[command(after_help = "Example:\n  runplan history nightly.yaml --failed")]
    History(HistoryArgs),
    /// Print the log of a past run
    ///
    /// Exit codes: 0 done; 2 wrong command line: no such run, or more than one; 78 the plan is not valid.
    #[command(after_help = "Example:\n  runplan logs last --plan nightly.yaml")]
    Logs(LogsArgs),
    /// Say whether the last good run of a plan is young enough, for cron, Nagios and Prometheus
    ///
    /// A good run is one that ended `ok` or `warning` and took all steps of the plan, for all targets that it selects: one
    /// that left some out at the word of the command line (`--only`, `--skip`, `--from`, `--tags`, `--skip-tags`,
    /// `--target`) is no proof, whereas a step that its own `when` skips is as the plan wants it. The age counts from the
    /// end of the run, or of the one that it went on with. Dry runs leave nothing and do not count.
    ///
    /// Exit codes: 0 young enough; 1 too old, none, or runs that cannot be read; 2 wrong command line; 78 the plan is not
    /// valid. To Nagios 1 is a warning; its `negate --warning=CRITICAL` makes it critical.
    #[command(after_help = "Example:\n  runplan status nightly.yaml --max-age 26h")]
    Status(StatusArgs),
    /// Read archives through and say whether they are good
    ///
    /// An archive whose record (`<archive>.json`) is lost is read through all the same. When nothing else is missing it is
    /// intact, but retention does not count it and does not remove it until `--write-record` has written the record again.
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
    /// It looks in every folder that dumps, archives of files and copies of the plan are written to, and says of each archive
    /// when it was made, how large it is, how many rows it had and when it was read through last (`verify`, as far as the
    /// journals of past runs tell), whether it is pinned, and where its copies are. It opens no archive and needs no password.
    ///
    /// Exit codes: 0 done; 2 wrong command line, or a folder that cannot be listed; 78 the plan is not valid.
    #[command(after_help = "Example:\n  runplan archives nightly.yaml")]
    Archives(ArchivesArgs),
    /// Pin archives, so that retention leaves them alone
    #[command(after_help = "Example:\n  runplan pin /var/backups/app/app-20261124T142631Z-3cfb.zip")]
    Pin(PinArgs),
    /// Print what a shell needs to complete words
    ///
    /// In ~/.bashrc `source <(runplan completions bash)`, in ~/.zshrc behind `compinit` the same with `zsh`, in
    /// ~/.config/fish/config.fish `runplan completions fish | source`. These ask runplan at each TAB: it knows plans, the
    /// step ids, tags, targets and parameters of the plan on the line, and past runs. It starts and writes nothing for
    /// that, asks no server and reads no secret. `elvish` and `powershell` know commands and flags.
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
    /// Set a parameter of the plan; read by its declared type
    #[arg(short, long = "param", value_name = "NAME=VALUE")]
    pub param: Vec<String>,
    /// Read parameters from a YAML or JSON file of `name: value`; `-p` wins over it
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub params_file: Option<PathBuf>,
    /// Take only these targets: a name, a pattern of names like `crm-*`, or `label=value`
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
    /// Show what would be done, with the real decisions, and change nothing
    #[arg(short = 'n', long)]
    pub dry_run: bool,
    /// In a dry run, also log in with passwords at servers that only the plan names
    #[arg(long, requires = "dry_run")]
    pub connect: bool,
    /// Take only steps with one of these tags
    #[arg(short, long, value_name = "TAG", value_delimiter = ',')]
    pub tags: Vec<String>,
    /// Leave out steps with one of these tags
    #[arg(long, value_name = "TAG", value_delimiter = ',')]
    pub skip_tags: Vec<String>,
    /// Take only these steps
    #[arg(long, value_name = "ID", value_delimiter = ',')]
    pub only: Vec<String>,
    /// Leave out these steps
    #[arg(long, value_name = "ID", value_delimiter = ',')]
    pub skip: Vec<String>,
    /// Start at this step
    #[arg(long, value_name = "ID")]
    pub from: Option<String>,
    /// What to print on standard output at the end
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub format: Format,
    /// Write a report when the run is over, also when it failed: `json`, `junit` or `markdown`
    #[arg(long, value_name = "KIND:FILE", value_hint = ValueHint::FilePath, conflicts_with = "dry_run")]
    pub report: Vec<Target>,
}

/// What a run prints at its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Default)]
pub enum Format {
    /// For people
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
    /// Apply the remedies that keep the meaning, and change nothing else in the files
    #[arg(long)]
    pub fix: bool,
}

/// How findings are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum FindingFormat {
    /// For people
    Text,
    /// One JSON document
    Json,
    /// One JSON object a line, one a finding
    Jsonl,
    /// SARIF 2.1.0
    Sarif,
    /// Annotations of GitHub Actions
    Github,
    /// GitLab's code quality report
    Gitlab,
    /// A JUnit report, a test case a plan
    Junit,
}

/// Where to put what plan.
#[derive(Debug, Args)]
pub struct InitArgs {
    /// The file to write (`*.yaml`), or the folder to write it into
    #[arg(value_name = "PATH", default_value = ".", value_hint = ValueHint::AnyPath)]
    pub path: PathBuf,
    /// The main job, as `--template nightly` (the default): vacuum, dump, encrypt, verify, copy, keep the newest, mail
    #[arg(long)]
    pub nightly: bool,
    /// The database; asked for on a terminal when it is left out
    #[arg(long, value_name = "DATABASE")]
    pub database: Option<String>,
    /// The folder for the archives
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub to: Option<PathBuf>,
    /// A second folder for a copy of each archive, better on another disk or machine
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub copy: Option<PathBuf>,
    /// The mail address that hears of a failure, with the log
    #[arg(long, value_name = "ADDRESS")]
    pub mail: Option<String>,
    /// The mail server; one on another machine must offer TLS [default: localhost]
    #[arg(long, value_name = "HOST")]
    pub mail_host: Option<String>,
    /// Its port [default: 25 on this machine, else 587]
    #[arg(long, value_name = "PORT")]
    pub mail_port: Option<u16>,
    /// The user to log in as; the password comes from RUNPLAN_SMTP_PASSWORD
    #[arg(long, value_name = "USER")]
    pub mail_user: Option<String>,
    /// The sender [default: the address of --mail]
    #[arg(long, value_name = "ADDRESS")]
    pub mail_from: Option<String>,
    /// Which plan: `nightly`, `dump-only`, `maintenance` or `command`
    #[arg(long, value_name = "NAME")]
    pub template: Option<String>,
}

/// Which plan to show, and how.
#[derive(Debug, Args)]
pub struct ShowArgs {
    /// The plan file
    #[arg(value_name = "PLAN", value_hint = ValueHint::FilePath)]
    pub plan: PathBuf,
    /// Render the templates, as far as their values are known before a run
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
    /// The code, like `RP0102`; without one, all codes are listed
    pub code: Option<String>,
}

/// The plan that archives belong to.
#[derive(Debug, Args, Default)]
pub struct PlanArgs {
    /// The plan that made the archives: says where they are, how they are encrypted and which server they came from
    #[arg(long = "plan", id = "of_plan", value_name = "PLAN", value_hint = ValueHint::FilePath)]
    pub file: Option<PathBuf>,
    #[command(flatten)]
    pub aim: AimArgs,
}

/// Where the password of an archive comes from.
#[derive(Debug, Args)]
pub struct PasswordArgs {
    /// The environment variable that holds the password of the archive [default: the secret of the plan given with --plan,
    /// else RUNPLAN_ZIP_PASSWORD, else it is asked for on a terminal]
    #[arg(long, value_name = "NAME")]
    pub password_env: Option<String>,
    /// The file that holds it; wins over the variable
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub password_file: Option<String>,
}

/// What to read through.
#[derive(Debug, Args)]
pub struct VerifyArgs {
    /// Write the record of an archive again when it is all that is missing: from the manifest inside, after every byte was read
    #[arg(long)]
    pub write_record: bool,
    /// The archives, or folders of archives; with `--plan` also `latest` (the default) and names in the plan's folders
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
    /// The database to restore into; server and user come from the plan, and from PGHOST and its like
    #[arg(long, value_name = "DATABASE")]
    pub into: String,
    /// Make the database first
    #[arg(long)]
    pub create: bool,
    /// Restore although the database holds something
    #[arg(long)]
    pub non_empty: bool,
    /// Restore this table alone, like `orders` or `sales.orders`; may be repeated. Indexes, constraints and triggers are left
    /// out, as `pg_restore --table` leaves them out; not for `format: plain`
    #[arg(long = "table", value_name = "TABLE")]
    pub tables: Vec<String>,
    /// Leave out owners and rights
    #[arg(long)]
    pub no_owner: bool,
    /// Leave out tablespaces
    #[arg(long)]
    pub no_tablespaces: bool,
    /// With --create: the locale of the new database, like C, instead of that of the dumped one
    #[arg(long, value_name = "LOCALE", requires = "create")]
    pub locale: Option<String>,
    /// The pg_restore to use, or the psql for SQL; default: the one that fits the dump and the server
    #[arg(long, value_name = "FILE", value_hint = ValueHint::ExecutablePath)]
    pub program: Option<String>,
    /// Connections that restore at a time; with more than one the dump is first laid out in the temporary folder
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
    /// Take the pins away
    #[arg(long)]
    pub remove: bool,
}

#[derive(Debug, Args)]
pub struct StepsArgs {
    /// The executor
    pub name: Option<String>,
}

#[derive(Debug, Args)]
pub struct ManArgs {
    /// Write the pages of the program, of every command and of every topic of the manual to this folder
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
