//! What each value of the command line may be, by the name that help has for it.

use std::ffi::OsStr;
use std::path::Path;
use std::sync::Arc;

use clap::Command;
use clap_complete::engine::{ArgValueCompleter, CompletionCandidate, PathCompleter, ValueCompleter};

use super::super::{docs, help, init, run};
use super::line::Line;
use crate::journal::Shelf;
use crate::plan::{self, Param};
use crate::report;
use crate::run::default_logs;
use crate::steps::REGISTRY;
use crate::value::ParamType;

/// How many past runs are offered.
const RUNS: usize = 100;

/// Words for the value that is typed. They need not begin like it.
type Offers = fn(&Line, &str) -> Vec<CompletionCandidate>;

/// What completes a value of a command; none where the library knows as much.
fn of(command: &str, value: &str) -> Option<Offers> {
    Some(match (command, value) {
        ("history" | "logs" | "status", "PLAN") => plans_that_ran,
        (_, "PLAN") => plans,
        ("validate", "PATH") => plans_and_folders,
        (_, "ID") => ids,
        (_, "TAG") => tags,
        (_, "TARGET") => targets,
        (_, "NAME=VALUE") => params,
        (_, "RUN") => runs,
        (_, "KIND:FILE") => reports,
        ("explain", "CODE") => codes,
        ("steps", "NAME") => executors,
        ("init", "NAME") => templates,
        ("help", "TOPIC") => topics,
        _ => return None,
    })
}

/// The command with all of its values known, below it too.
pub fn known(command: Command, line: &Arc<Line>) -> Command {
    let name = command.get_name().to_owned();
    let command = command.mut_args(|arg| {
        let value = arg.get_value_names().and_then(|names| names.first()).map(ToString::to_string);
        let Some(offers) = value.and_then(|value| of(&name, &value)) else { return arg };
        let line = Arc::clone(line);
        arg.add(ArgValueCompleter::new(move |typed: &OsStr| {
            let Some(typed) = typed.to_str() else { return Vec::new() };
            let mut offers = offers(&line, typed);
            offers.retain(|o| o.get_value().as_encoded_bytes().starts_with(typed.as_bytes()));
            offers
        }))
    });
    command.mut_subcommands(|below| known(below, line))
}

fn offer(word: impl Into<String>, about: impl Into<String>) -> CompletionCandidate {
    let about: String = about.into();
    CompletionCandidate::new(word.into()).help(Some(about.into()))
}

fn is_plan(path: &Path) -> bool {
    path.extension().is_some_and(|e| e == "yaml" || e == "yml") && path.is_file()
}

/// Plan files, and folders on the way to them.
fn plans(_: &Line, typed: &str) -> Vec<CompletionCandidate> {
    PathCompleter::any().filter(is_plan).complete(OsStr::new(typed))
}

fn plans_and_folders(_: &Line, typed: &str) -> Vec<CompletionCandidate> {
    PathCompleter::any().filter(|path| path.is_dir() || is_plan(path)).complete(OsStr::new(typed))
}

/// Plan files, and the names of plans that have runs.
fn plans_that_ran(line: &Line, typed: &str) -> Vec<CompletionCandidate> {
    let logs = line.dir.clone().unwrap_or_else(|| default_logs(&run::environment()));
    let names =
        Shelf::all(&logs).unwrap_or_default().into_iter().map(|shelf| offer(shelf.plan, "a plan that has runs"));
    names.chain(plans(line, typed)).collect()
}

fn ids(line: &Line, _: &str) -> Vec<CompletionCandidate> {
    let Some(checked) = line.checked() else { return Vec::new() };
    let steps = checked.plan().steps.iter();
    steps.filter_map(|s| Some(offer(s.id.clone()?, s.name.as_ref().unwrap_or(&s.uses)))).collect()
}

fn tags(line: &Line, _: &str) -> Vec<CompletionCandidate> {
    let Some(checked) = line.checked() else { return Vec::new() };
    let steps = &checked.plan().steps;
    let mut tags: Vec<&String> = steps.iter().flat_map(|s| &s.tags).collect();
    tags.sort_unstable();
    tags.dedup();
    let about = |tag: &String| count(steps.iter().filter(|s| s.tags.contains(tag)).count(), "step");
    tags.into_iter().map(|tag| offer(tag, about(tag))).collect()
}

/// The names of the targets that the plan selects, then their labels.
fn targets(line: &Line, _: &str) -> Vec<CompletionCandidate> {
    let Some(checked) = line.checked() else { return Vec::new() };
    let selected = line.selected(&checked);
    let taken = |name: &String| selected.as_ref().is_none_or(|names| names.contains(name));
    let all: Vec<_> = checked.targets().iter().filter(|t| taken(&t.name)).collect();
    let names = all.iter().map(|t| offer(&t.name, t.description.as_deref().unwrap_or_default()));
    let mut labels: Vec<String> =
        all.iter().flat_map(|t| &t.labels).map(|(label, value)| format!("{label}={}", text(value))).collect();
    labels.sort_unstable();
    let labels = labels.chunk_by(|a, b| a == b).map(|same| offer(&same[0], count(same.len(), "target")));
    names.chain(labels).collect()
}

/// Names, and behind the `=` the values that are declared.
fn params(line: &Line, typed: &str) -> Vec<CompletionCandidate> {
    let Some(checked) = line.checked() else { return Vec::new() };
    let params = &checked.plan().params;
    match typed.split_once('=') {
        None => params.iter().map(|(name, param)| offer(format!("{name}="), about(param))).collect(),
        Some((name, _)) => {
            let values = params.get(name).map(values).unwrap_or_default();
            values.into_iter().map(|value| offer(format!("{name}={value}"), "")).collect()
        }
    }
}

fn about(param: &Param) -> String {
    param.description.clone().unwrap_or_else(|| param.kind.a())
}

fn values(param: &Param) -> Vec<String> {
    match (&param.one_of, param.kind) {
        (Some(all), _) => all.iter().map(text).collect(),
        (None, ParamType::Boolean) => vec!["true".to_owned(), "false".to_owned()],
        _ => Vec::new(),
    }
}

/// The newest first.
fn runs(line: &Line, typed: &str) -> Vec<CompletionCandidate> {
    let Some(runs) = line.runs().filter(|runs| !runs.is_empty()) else { return Vec::new() };
    let meant = runs.into_iter().filter(|(run, _)| run.starts_with(typed)).take(RUNS);
    let last = [offer("last", "the newest run")];
    last.into_iter().chain(meant.map(|(run, plan)| offer(run, plan))).collect()
}

fn reports(_: &Line, typed: &str) -> Vec<CompletionCandidate> {
    match typed.split_once(':') {
        None => report::kinds().map(|kind| offer(format!("{kind}:"), "")).collect(),
        Some((kind, file)) => {
            let files = PathCompleter::file().complete(OsStr::new(file));
            files.into_iter().map(|found| found.add_prefix(format!("{kind}:"))).collect()
        }
    }
}

fn codes(_: &Line, _: &str) -> Vec<CompletionCandidate> {
    plan::codes().filter_map(plan::explain).map(|e| offer(e.code.to_string(), e.title)).collect()
}

fn executors(_: &Line, _: &str) -> Vec<CompletionCandidate> {
    REGISTRY.iter().map(|entry| offer(entry.name, docs::title(entry))).collect()
}

fn topics(_: &Line, _: &str) -> Vec<CompletionCandidate> {
    help::TOPICS.iter().map(|topic| offer(topic.name, topic.title())).collect()
}

fn templates(_: &Line, _: &str) -> Vec<CompletionCandidate> {
    init::templates().map(|(name, about)| offer(name, about)).collect()
}

/// A value as people type it.
fn text(value: &serde_json::Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn count(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;
    use crate::cli::args::Cli;

    /// Nothing is known of these but what the library knows: paths and the words of a closed list.
    const PLAIN: &[&str] = &["N", "DURATION", "DATABASE", "ARCHIVE", "FILE", "DIR", "COLOR", "FORMAT", "SHELL"];

    fn unknown(command: &Command, found: &mut Vec<String>) {
        for arg in command.get_arguments().filter(|a| a.get_action().takes_values()) {
            let value = arg.get_value_names().map(|names| names[0].to_string()).unwrap_or_default();
            if of(command.get_name(), &value).is_none() && !PLAIN.contains(&value.as_str()) {
                found.push(format!("{} {value}", command.get_name()));
            }
        }
        command.get_subcommands().for_each(|below| unknown(below, found));
    }

    #[test]
    fn of_every_value_it_is_said_what_it_may_be() {
        let (mut cli, mut found) = (Cli::command(), Vec::new());
        cli.build();
        unknown(&cli, &mut found);
        // The name of a variable, in `--password-env`, is free. So are hosts, users, ports,
        // addresses, tables and locales; a path of `init` is completed by the library.
        const FREE: [&str; 9] = [
            "verify NAME",
            "restore NAME",
            "init PATH",
            "init ADDRESS",
            "init HOST",
            "init PORT",
            "init USER",
            "restore TABLE",
            "restore LOCALE",
        ];
        found.retain(|f| !FREE.contains(&f.as_str()));
        assert_eq!(found, Vec::<String>::new());
    }
}
