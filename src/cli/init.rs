//! `runplan init`: a first plan that validates.

use std::fs;
use std::io::{ErrorKind, Write};
use std::path::Path;

use super::args::InitArgs;
use super::exit::{Exit, Failure};
use super::output::Terms;
use crate::diag;

/// A plan to begin with: its name, what it is for, its text.
struct Template {
    name: &'static str,
    about: &'static str,
    text: &'static str,
}

const TEMPLATES: [Template; 3] = [
    Template {
        name: "dump-only",
        about: "dump one database into an encrypted archive",
        text: include_str!("../../plans/dump-only.yaml"),
    },
    Template {
        name: "maintenance",
        about: "vacuum the tables that are due",
        text: include_str!("../../plans/maintenance.yaml"),
    },
    Template { name: "command", about: "run a program, and say so when it fails", text: COMMAND },
];

const COMMAND: &str = r#"version: 1
name: command
description: Run a program every night, and say so when it fails.

params:
  greeting: { type: string, default: good night, description: What to say }

logs: { dir: logs, keep: 14 }

steps:
  - id: greet
    name: Say something
    uses: command
    timeout: 1m
    with:
      argv: [echo, "${{ params.greeting }} from ${{ run.host }}"]

on_failure:
  - uses: command
    with:
      argv: [echo, "${{ plan.name }} failed at ${{ failure.step }}: ${{ failure.error }}"]
"#;

/// The plans to begin with: each one's name, and what it is for.
pub fn templates() -> impl Iterator<Item = (&'static str, &'static str)> {
    TEMPLATES.iter().map(|t| (t.name, t.about))
}

/// Writes a plan into a folder; what is there already is never overwritten.
pub fn init(args: &InitArgs, terms: &Terms) -> Result<Exit, Failure> {
    let names = || TEMPLATES.iter().map(|t| t.name);
    let template = TEMPLATES.iter().find(|t| t.name == args.template).ok_or_else(|| {
        let failure = Failure::usage(format!("there is no template `{}`", args.template));
        failure.hint(match diag::nearest(&args.template, names()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => TEMPLATES.iter().map(|t| format!("`{}`: {}", t.name, t.about)).collect::<Vec<_>>().join("; "),
        })
    })?;
    let path = args.dir.join(format!("{}.yaml", template.name));
    // Where the schema lies is known in this program's own folder only.
    let text: String =
        template.text.lines().filter(|l| !l.starts_with("# yaml-language-server:")).map(|l| format!("{l}\n")).collect();
    create(&args.dir, &path, &text).map_err(|error| match error.kind() {
        ErrorKind::AlreadyExists => Failure::usage(format!("`{}` exists, and is not overwritten", path.display()))
            .hint("name another folder, or another template with `--template`"),
        _ => Failure {
            exit: Exit::State,
            text: format!("the plan `{}` cannot be written: {error}", path.display()),
            hint: None,
        },
    })?;
    let shown = path.display();
    let next = format!(
        "wrote {shown}: {}\nnext: `runplan validate {shown}`, then `runplan -n {shown}` shows what it would do\n",
        template.about
    );
    let failed = |e: std::io::Error| Failure { exit: Exit::State, text: e.to_string(), hint: None };
    terms.print(&next).map_err(failed).map(|()| Exit::Done)
}

fn create(dir: &Path, path: &Path, text: &str) -> std::io::Result<()> {
    fs::create_dir_all(dir)?;
    let mut file = fs::File::options().write(true).create_new(true).open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}
