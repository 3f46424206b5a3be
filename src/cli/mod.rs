//! Arguments, wiring, signals, exit codes: the only room that knows the executors and all the readers.

mod aims;
mod archives;
mod args;
mod complete;
mod docs;
mod doctor;
mod exit;
mod explain;
mod hardening;
mod help;
mod history;
mod init;
mod input;
mod inventory;
mod logs;
mod of_plan;
mod output;
mod pager;
mod past;
mod pin;
mod proof;
mod resume;
mod run;
mod show;
mod signals;
mod status;
mod validate;

use std::ffi::{OsStr, OsString};
use std::io::Write;
use std::panic::AssertUnwindSafe;
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{ArgMatches, Args, CommandFactory, FromArgMatches};

use args::{Cli, Color, Command, Global, RunArgs};
use exit::Exit;
use output::Terms;

/// Runs the program with these arguments, its own name first.
pub fn main(argv: impl IntoIterator<Item = OsString>) -> ExitCode {
    hardening::harden();
    crate::run::quiet_panics();
    std::panic::catch_unwind(AssertUnwindSafe(|| start(argv))).unwrap_or_else(|_| {
        let place = crate::run::last_panic();
        // Nobody is left to tell where standard error is closed.
        let _ = writeln!(std::io::stderr(), "error: internal error at {place}; please report it");
        ExitCode::from(Exit::Failed.code())
    })
}

fn start(argv: impl IntoIterator<Item = OsString>) -> ExitCode {
    let argv: Vec<OsString> = argv.into_iter().collect();
    if let Some(text) = complete::answer(&argv) {
        // A shell that has stopped listening is told nothing.
        let _ = std::io::stdout().write_all(text.as_bytes());
        return ExitCode::SUCCESS;
    }
    let program = argv.first().cloned().unwrap_or_else(|| "runplan".into());
    let mut command = Cli::command().color(output::help_color(&argv));
    let parsed = command.try_get_matches_from_mut(&argv);
    let cli = match parsed.and_then(|m| alone(&mut command, &m).and_then(|()| Cli::from_arg_matches(&m))) {
        Ok(cli) => cli,
        Err(error) => {
            if let Some(failure) = misspelt(&argv, &error) {
                Terms::new(&Global { verbose: false, quiet: false, color: Color::Auto })
                    .error(&failure.text, failure.hint.as_deref());
                return ExitCode::from(failure.exit.code());
            }
            // Help goes to standard output, a mistake to standard error; a reader who left is no mistake.
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() { Exit::Usage.code() } else { Exit::Done.code() });
        }
    };
    let terms = Terms::new(&cli.global);
    let exit = match dispatch(cli, &program, &terms) {
        Ok(exit) => exit,
        Err(failure) => {
            terms.error(&failure.text, failure.hint.as_deref());
            failure.exit
        }
    };
    ExitCode::from(exit.code())
}

/// What to say where the first word is neither a command nor a file, and what follows it cannot be read for that reason.
fn misspelt(argv: &[OsString], error: &clap::Error) -> Option<exit::Failure> {
    if !matches!(error.kind(), ErrorKind::UnknownArgument | ErrorKind::InvalidSubcommand) {
        return None;
    }
    let word = argv.get(1)?.to_str().filter(|w| !w.starts_with('-'))?;
    let path = std::path::Path::new(word);
    let cli = Cli::command();
    let known = cli.get_subcommands().any(|c| c.get_name() == word || c.get_all_aliases().any(|a| a == word));
    (!known && word != "help" && input::is_no_file(path)).then(|| input::absent(path, true))
}

/// Refuses what belongs to `run` in front of another command.
fn alone(command: &mut clap::Command, matches: &ArgMatches) -> Result<(), clap::Error> {
    let Some(name) = matches.subcommand_name() else { return Ok(()) };
    match given_to_run(matches) {
        None => Ok(()),
        Some(arg) => {
            let text = format!("`{arg}` belongs to a run and cannot stand before the command `{name}`");
            Err(command.error(ErrorKind::ArgumentConflict, text))
        }
    }
}

/// What was given to a run without the word `run`.
fn given_to_run(matches: &ArgMatches) -> Option<clap::Arg> {
    let mut of_run = RunArgs::augment_args(clap::Command::new("run").disable_help_flag(true));
    of_run.build();
    let given = |arg: &&clap::Arg| matches.value_source(arg.get_id().as_str()) == Some(ValueSource::CommandLine);
    of_run.get_arguments().find(given).cloned()
}

fn dispatch(cli: Cli, program: &OsStr, terms: &Terms) -> Result<Exit, exit::Failure> {
    match cli.command {
        Some(Command::Run(run)) => run::run(run, terms),
        Some(Command::Resume(args)) => resume::resume(args, terms),
        Some(Command::Validate(validate)) => validate::validate(&validate, terms),
        Some(Command::Doctor(args)) => doctor::doctor(&args, terms),
        Some(Command::Explain(explain)) => explain::explain(explain.code.as_deref(), terms),
        Some(Command::Init(init)) => init::init(&init, terms),
        Some(Command::Show(show)) => show::show(&show, terms),
        Some(Command::Schema) => docs::schema(terms),
        Some(Command::Steps(steps)) => docs::steps(steps.name.as_deref(), terms),
        Some(Command::History(args)) => history::history(&args, terms),
        Some(Command::Logs(args)) => logs::logs(&args, terms),
        Some(Command::Status(args)) => status::status(&args, terms),
        Some(Command::Verify(args)) => proof::verify(&args, terms),
        Some(Command::Restore(args)) => proof::restore(&args, terms),
        Some(Command::Archives(args)) => archives::archives(&args, terms),
        Some(Command::Pin(args)) => pin::pin(&args, terms),
        Some(Command::Completions(shell)) => docs::completions(shell.shell, program, terms),
        Some(Command::Man(args)) => match &args.dir {
            Some(dir) => help::write_pages(dir),
            None => docs::man(terms),
        },
        Some(Command::Help(args)) => help::help(args.name.as_deref(), terms),
        None => match &cli.run.plan {
            Some(word) if input::is_no_file(word) => Err(input::absent(word, true)),
            Some(_) => run::run(cli.run, terms),
            None => {
                // Without anything to do, say what there is to do.
                let _ = Cli::command().color(output::help_color(&[])).print_help();
                Ok(Exit::Usage)
            }
        },
    }
}

/// The path of a plan that the arguments must have.
fn plan_path(args: &RunArgs) -> Result<&std::path::Path, exit::Failure> {
    args.plan.as_deref().ok_or_else(|| exit::Failure::usage("no plan was given; write `runplan run PLAN`"))
}
