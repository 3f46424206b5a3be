//! `runplan init`: a first plan that validates, and what to do next.

mod nightly;

use std::fs;
use std::io::{self, BufRead, ErrorKind, IsTerminal, Write};
use std::path::{Path, PathBuf};

use super::args::InitArgs;
use super::exit::{Exit, Failure};
use super::output::Terms;
use super::past::shell_word;
use crate::diag;
use crate::plan;
use crate::steps::REGISTRY;
use nightly::{Mail, Nightly};

/// A plan to begin with: its name, what it is for, its text.
struct Template {
    name: &'static str,
    about: &'static str,
    text: Text,
}

enum Text {
    /// Made of what was asked for.
    Nightly,
    /// As it is, for one database.
    OfDatabase(&'static str),
    Fixed(&'static str),
}

const TEMPLATES: [Template; 4] = [
    Template {
        name: "nightly",
        about: "vacuum, dump, encrypt, verify, copy, keep the newest archives, mail after a failure",
        text: Text::Nightly,
    },
    Template {
        name: "dump-only",
        about: "dump one database into an encrypted archive",
        text: Text::OfDatabase(include_str!("../../../plans/dump-only.yaml")),
    },
    Template {
        name: "maintenance",
        about: "vacuum the tables that are due",
        text: Text::OfDatabase(include_str!("../../../plans/maintenance.yaml")),
    },
    Template { name: "command", about: "run a program, and report a failure", text: Text::Fixed(COMMAND) },
];

const COMMAND: &str = r#"version: 1
name: command
description: Run a program every night, and report a failure.

params:
  greeting: { type: string, default: good night, description: Text to print }

logs: { dir: logs, keep: 14 }

steps:
  - id: greet
    name: Print a text
    uses: command
    timeout: 1m
    with:
      argv: [echo, "${{ params.greeting }} from ${{ run.host }}"]

on_failure:
  - uses: command
    with:
      argv: [echo, "${{ plan.name }} failed at ${{ failure.step }}: ${{ failure.error }}"]
"#;

/// The schema that editors check the plan with, beside it.
const SCHEMA: &str = "runplan.schema.json";

/// The plans to begin with: each one's name, and what it is for.
pub fn templates() -> impl Iterator<Item = (&'static str, &'static str)> {
    TEMPLATES.iter().map(|t| (t.name, t.about))
}

/// Writes a plan; what is there already is never overwritten.
pub fn init(args: &InitArgs, terms: &Terms) -> Result<Exit, Failure> {
    let template = chosen(args)?;
    let path = file_of(&args.path, template.name);
    let exists = || {
        Failure::usage(format!("`{}` exists, and is not overwritten", path.display()))
            .hint("name another file, like `runplan init my-plan.yaml`")
    };
    // Nobody is asked for a plan that cannot be written.
    if path.symlink_metadata().is_ok() {
        return Err(exists());
    }
    let text = text_of(template, args, &path)?;
    let dir = path.parent().filter(|d| !d.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let schema = serde_json::to_string_pretty(&plan::schema(&REGISTRY)).unwrap_or_default() + "\n";
    let written = create(dir, &path, &text).map_err(|error| match error.kind() {
        ErrorKind::AlreadyExists => exists(),
        _ => unwritten(&path, &error),
    });
    written?;
    match create(dir, &dir.join(SCHEMA), &schema) {
        // One that is there serves every plan of the folder.
        Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(unwritten(&dir.join(SCHEMA), &error)),
        _ => {}
    }
    let failed = |e: io::Error| Failure { exit: Exit::State, text: e.to_string(), hint: None };
    terms.print(&next_steps(template, args, &path)).map_err(failed).map(|()| Exit::Done)
}

fn unwritten(path: &Path, error: &io::Error) -> Failure {
    Failure { exit: Exit::State, text: format!("`{}` cannot be written: {error}", path.display()), hint: None }
}

fn chosen(args: &InitArgs) -> Result<&'static Template, Failure> {
    let name = args.template.as_deref().unwrap_or("nightly");
    if args.nightly && name != "nightly" {
        return Err(Failure::usage(format!("`--nightly` and `--template {name}` are two plans: name one")));
    }
    TEMPLATES.iter().find(|t| t.name == name).ok_or_else(|| {
        let failure = Failure::usage(format!("there is no template `{name}`"));
        failure.hint(match diag::nearest(name, TEMPLATES.iter().map(|t| t.name)) {
            Some(near) => format!("did you mean `{near}`?"),
            None => TEMPLATES.iter().map(|t| format!("`{}`: {}", t.name, t.about)).collect::<Vec<_>>().join("; "),
        })
    })
}

/// The file that is written: the one that is named, or one named for its template in the folder that is named.
fn file_of(path: &Path, template: &str) -> PathBuf {
    let is_plan = path.extension().is_some_and(|e| e == "yaml" || e == "yml");
    if is_plan && !path.is_dir() { path.to_path_buf() } else { path.join(format!("{template}.yaml")) }
}

fn text_of(template: &Template, args: &InitArgs, path: &Path) -> Result<String, Failure> {
    let modeline = format!("# yaml-language-server: $schema={SCHEMA}\n");
    let stock = |text: &str| -> String {
        text.lines().filter(|l| !l.starts_with("# yaml-language-server:")).map(|l| format!("{l}\n")).collect()
    };
    match template.text {
        Text::Nightly => Ok(nightly(args, path)?.text(SCHEMA)),
        Text::Fixed(text) => Ok(modeline + &stock(text)),
        Text::OfDatabase(text) => {
            let mut asker = Asker::new();
            let database = asker.value(args.database.as_deref(), "--database", "database", None)?;
            asker.complain()?;
            let block = format!("database: {{ dbname: {} }}\n\nlogs:", serde_json::Value::from(database));
            Ok(modeline + &stock(text).replacen("logs:", &block, 1))
        }
    }
}

/// What the main job is about: from the command line, and what that leaves out from the terminal.
fn nightly(args: &InitArgs, path: &Path) -> Result<Nightly, Failure> {
    let mut asker = Asker::new();
    let database = asker.value(args.database.as_deref(), "--database", "database to back up", None)?;
    let default = absolute(Path::new("backups"));
    let to = args.to.as_ref().map(|p| p.to_string_lossy().into_owned());
    let to = asker.value(to.as_deref(), "--to", "folder for the archives", Some(&default))?;
    let copy = args.copy.as_ref().map(|p| p.to_string_lossy().into_owned());
    let copy = asker.optional(copy, "second folder, empty for none")?;
    let mail = asker.optional(args.mail.clone(), "mail address that hears of a failure, empty for none")?;
    asker.complain()?;
    let mail = mail.map(|to| Mail {
        from: args.mail_from.clone().unwrap_or_else(|| to.clone()),
        to,
        host: args.mail_host.clone().unwrap_or_else(|| "localhost".to_owned()),
        port: args.mail_port,
        user: args.mail_user.clone(),
    });
    let stem = path.file_stem().map(|s| s.to_string_lossy().into_owned()).unwrap_or_default();
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == '-';
    let named = stem.starts_with(|c: char| c.is_ascii_lowercase()) && stem.chars().all(fits);
    let name = if named { stem } else { "nightly".to_owned() };
    let to = absolute(Path::new(&to));
    let copy = copy.map(|copy| absolute(Path::new(&copy)));
    if copy.as_ref() == Some(&to) {
        return Err(Failure::usage(format!("`--to` and `--copy` are the same folder, `{to}`")));
    }
    Ok(Nightly { name, database, to, copy, mail })
}

fn absolute(path: &Path) -> String {
    std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf()).to_string_lossy().into_owned()
}

/// Asks for what the command line leaves out, where somebody is at a terminal.
struct Asker {
    terminal: bool,
    /// Flags that are needed and that nobody can be asked for.
    missing: Vec<&'static str>,
}

impl Asker {
    fn new() -> Self {
        Self { terminal: io::stdin().is_terminal() && io::stderr().is_terminal(), missing: Vec::new() }
    }

    /// A value that is needed.
    fn value(
        &mut self,
        given: Option<&str>,
        flag: &'static str,
        question: &str,
        default: Option<&str>,
    ) -> Result<String, Failure> {
        if let Some(given) = given.filter(|g| !g.is_empty()) {
            return Ok(given.to_owned());
        }
        if !self.terminal {
            // All that is missing is said at once.
            self.missing.push(flag);
            return Ok(String::new());
        }
        let shown = default.map(|d| format!(" [{d}]")).unwrap_or_default();
        let answer = ask(&format!("{question}{shown}: "))?;
        match (answer.is_empty(), default) {
            (false, _) => Ok(answer),
            (true, Some(default)) => Ok(default.to_owned()),
            (true, None) => {
                Err(Failure::usage(format!("no {question} was named")).hint(format!("name it with `{flag}`")))
            }
        }
    }

    /// A value that may be left out.
    fn optional(&self, given: Option<String>, question: &str) -> Result<Option<String>, Failure> {
        if given.is_some() || !self.terminal {
            return Ok(given);
        }
        Ok(Some(ask(&format!("{question}: "))?).filter(|answer| !answer.is_empty()))
    }

    fn complain(&self) -> Result<(), Failure> {
        match self.missing.as_slice() {
            [] => Ok(()),
            missing => Err(Failure::usage(format!("{} must be given", missing.join(" and "))).hint(EXAMPLE)),
        }
    }
}

const EXAMPLE: &str =
    "like `runplan init --database app --to /var/backups/app --copy /mnt/share/app --mail dba@example.org`";

fn ask(question: &str) -> Result<String, Failure> {
    let failed = |e: io::Error| Failure::usage(format!("the terminal cannot be read: {e}"));
    io::stderr().write_all(question.as_bytes()).map_err(failed)?;
    let mut line = String::new();
    io::stdin().lock().read_line(&mut line).map_err(failed)?;
    Ok(line.trim().to_owned())
}

/// What to do with the plan that was written.
fn next_steps(template: &Template, args: &InitArgs, path: &Path) -> String {
    let file = shell_word(&path.to_string_lossy());
    let mut out = format!("wrote {}: {}\n", path.display(), template.about);
    if !matches!(template.text, Text::Nightly) {
        return out + &format!("next: `runplan doctor {file}`, then `runplan -n {file}` shows what it would do\n");
    }
    out += "\nnext:\n";
    out += "  read -rs RUNPLAN_ZIP_PASSWORD && export RUNPLAN_ZIP_PASSWORD   # the password of the archives, not shown while you type\n";
    if args.mail_user.is_some() {
        out += "  read -rs RUNPLAN_SMTP_PASSWORD && export RUNPLAN_SMTP_PASSWORD   # that of the mail server\n";
    }
    for (command, about) in [
        (format!("runplan doctor {file}"), "checks the server, rights, folders and mail"),
        (format!("runplan -n {file}"), "shows what a run would do"),
        (format!("runplan {file}"), "runs it"),
        (
            format!("runplan restore --plan {file} --into restored --create"),
            "restores the newest archive beside the original",
        ),
    ] {
        out += &format!("  {command}   # {about}\n");
    }
    out += &crontab(args, path);
    if args.mail.is_none() {
        out += "nobody hears of a failure unless the plan has `on_failure`: `--mail ADDRESS` writes it\n";
    }
    out
}

/// The settings of a database that a shell may have and cron does not.
const OF_SHELL: [&str; 6] = ["PGHOST", "PGPORT", "PGUSER", "PGSSLMODE", "PGSSLROOTCERT", "PGPASSFILE"];

/// The lines for cron, which starts a run without the variables of this shell.
fn crontab(args: &InitArgs, path: &Path) -> String {
    let mut out = "each night, by these lines in `crontab -e`; cron has no variables of this shell:\n".to_owned();
    out += "  RUNPLAN_ZIP_PASSWORD=…\n";
    if args.mail_user.is_some() {
        out += "  RUNPLAN_SMTP_PASSWORD=…\n";
    }
    for name in OF_SHELL {
        let value = std::env::var(name).ok().filter(|v| !v.is_empty() && !v.chars().any(char::is_control));
        if let Some(value) = value {
            out += &format!("  {name}={value}\n");
        }
    }
    let program = std::env::current_exe().map_or_else(|_| "runplan".to_owned(), |p| p.to_string_lossy().into_owned());
    out += &format!("  30 1 * * *  {} -q {}\n", shell_word(&program), shell_word(&absolute(path)));
    if std::env::var_os("PGPASSWORD").is_some() {
        out +=
            "the password of the database: put it into ~/.pgpass (mode 600), as `host:port:database:user:password`\n";
    }
    out
}

fn create(dir: &Path, path: &Path, text: &str) -> io::Result<()> {
    fs::create_dir_all(dir)?;
    let mut file = fs::File::options().write(true).create_new(true).open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}
