//! `runplan help`: the manual. Its topics are Markdown files of this folder.

mod man;
mod page;
mod terminal;
#[cfg(test)]
mod tests;

use std::io::IsTerminal;

use clap::CommandFactory;

use super::args::Cli;
use super::exit::{Exit, Failure};
use super::output::Terms;
use super::pager;
use crate::diag;

pub use man::write_pages;

/// A page of the manual.
#[derive(Debug)]
pub struct Topic {
    /// What it is called by: `runplan help NAME`.
    pub name: &'static str,
    /// Its Markdown; the first line is the title.
    text: &'static str,
}

impl Topic {
    /// The title.
    pub fn title(&self) -> &'static str {
        self.text.lines().next().unwrap_or_default().trim_start_matches("# ")
    }
}

macro_rules! topics {
    ($($name:literal),* $(,)?) => {
        /// The pages of the manual, in the order in which somebody new would read them.
        pub const TOPICS: &[Topic] = &[$(Topic { name: $name, text: include_str!(concat!($name, ".md")) }),*];
    };
}

topics![
    "start",
    "plan",
    "secrets",
    "dump",
    "vacuum",
    "retention",
    "restore",
    "targets",
    "notify",
    "schedule",
    "doctor",
    "resume",
    "history",
    "exit-codes",
    "ci",
    "editors",
    "security",
    "performance",
    "migrate",
];

/// The widest that text is set, in columns.
const MAX_WIDTH: usize = 100;
/// How wide text is set where there is no terminal, in columns.
const DEFAULT_WIDTH: usize = 80;

/// Shows a topic or the help of a command; without a name, the list of topics.
pub fn help(name: Option<&str>, terms: &Terms) -> Result<Exit, Failure> {
    let terminal = std::io::stdout().is_terminal();
    let width = match terminal_size::terminal_size() {
        Some((width, _)) if terminal => usize::from(width.0).clamp(40, MAX_WIDTH),
        _ => DEFAULT_WIDTH,
    };
    let Some(name) = name else {
        return pager::show(terms, &list_topics());
    };
    if let Some(topic) = TOPICS.iter().find(|t| t.name == name) {
        return pager::show(terms, &terminal::render(&page::parse(topic.text), width, terms.out.color));
    }
    let mut cli = Cli::command();
    cli.build();
    if let Some(command) = cli.find_subcommand_mut(name) {
        let text = command.render_long_help();
        let text = if terms.out.color { text.ansi().to_string() } else { text.to_string() };
        return pager::show(terms, &text);
    }
    let topics = || TOPICS.iter().map(|t| t.name);
    let commands = cli.get_subcommands().map(clap::Command::get_name);
    let names = topics().chain(commands.filter(|c| !topics().any(|t| t == *c)));
    let failure = Failure::usage(format!("there is no help topic or command `{name}`"));
    Err(match diag::nearest(name, names) {
        Some(near) => failure.hint(format!("did you mean `runplan help {near}`?")),
        None => failure.hint("`runplan help` lists the topics"),
    })
}

fn list_topics() -> String {
    let width = TOPICS.iter().map(|t| t.name.len()).max().unwrap_or(0);
    let lines: String = TOPICS.iter().map(|t| format!("  {:<width$}  {}\n", t.name, t.title())).collect();
    format!(
        "Topics of the manual:\n{lines}\n\
         `runplan help TOPIC` shows one of them. `runplan COMMAND --help` shows the options of a command,\n\
         `runplan --help` lists the commands, and `runplan steps` lists the executors.\n"
    )
}
