//! The text of the main job for one database, with comments for somebody who reads a plan for the first time.

use std::fmt::Write;

/// What the plan is about.
#[derive(Debug, Clone)]
pub struct Nightly {
    pub name: String,
    pub database: String,
    /// The folder of the archives, absolute.
    pub to: String,
    /// The second folder, absolute.
    pub copy: Option<String>,
    pub mail: Option<Mail>,
}

/// Who hears of a failure, and through which server.
#[derive(Debug, Clone)]
pub struct Mail {
    pub to: String,
    pub from: String,
    pub host: String,
    pub port: Option<u16>,
    /// The user to log in as; its password is a secret of the plan.
    pub user: Option<String>,
}

/// The host of a mail server on this machine, which takes mail without TLS and login.
fn is_local(host: &str) -> bool {
    matches!(host, "localhost" | "127.0.0.1" | "::1")
}

/// A text as YAML and templates take it.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text.replace("${{", "${{ \"${{\" }}")).to_string()
}

impl Nightly {
    /// The plan.
    pub fn text(&self, schema: &str) -> String {
        let mut out = format!("# yaml-language-server: $schema={schema}\n");
        out += HEAD;
        let _ = write!(out, "version: 1\nname: {}\ndescription: {ABOUT}\n\n", self.name);
        out += PARAMS;
        out += SECRETS;
        if self.mail.as_ref().is_some_and(|m| m.user.is_some()) {
            out += "  smtp_password: { env: RUNPLAN_SMTP_PASSWORD }\n";
        }
        let _ = write!(
            out,
            "\ndatabase:                     # add host, port, user; the rest comes from PGHOST, PGPORT … and ~/.pgpass\n  dbname: {}\n\n",
            quoted(&self.database)
        );
        out += LOGS;
        let _ = write!(out, "vars:\n  backup_dir: {}   # folder of the archives\n", quoted(&self.to));
        if let Some(copy) = &self.copy {
            let _ = writeln!(out, "  copy_dir: {}   # second folder, best on another disk or machine", quoted(copy));
        }
        out += STEPS;
        if self.copy.is_some() {
            out += COPY;
        }
        out += PRUNE;
        if self.copy.is_some() {
            out += PRUNE_COPIES;
        }
        match &self.mail {
            Some(mail) => out += &mail.handler(),
            None => out += NOBODY,
        }
        out
    }
}

impl Mail {
    fn handler(&self) -> String {
        let mut smtp = format!("        host: {}\n", quoted(&self.host));
        if let Some(port) = self.port {
            let _ = writeln!(smtp, "        port: {port}");
        }
        match &self.user {
            Some(user) => {
                let _ = write!(
                    smtp,
                    "        username: {}\n        password: ${{{{ secrets.smtp_password }}}}\n",
                    quoted(user)
                );
            }
            None if is_local(&self.host) => smtp += "        security: none   # a mail server on this machine\n",
            None => {}
        }
        format!(
            "\non_failure:                   # also when a secret is missing, the lock is held or a signal arrives\n  - uses: email\n    with:\n      smtp:\n{smtp}      from: {}\n      to: [{}]\n      subject: \"[runplan] ${{{{ plan.name }}}} failed at ${{{{ failure.step }}}}\"\n      attach: [\"${{{{ run.log_file }}}}\"]\n",
            quoted(&self.from),
            quoted(&self.to)
        )
    }
}

const ABOUT: &str = "Vacuum, dump, encrypt, verify, keep the newest archives.";

const HEAD: &str = "\
# Written by `runplan init`; change it as you like.
#   runplan validate FILE   check this file    runplan doctor FILE   check what a run needs
#   runplan -n FILE         show what a run would do                  runplan FILE          run it
#   runplan steps pg_dump   list the parameters of a step
";

const PARAMS: &str = "\
params:                       # set for one run: runplan FILE -p keep=7
  keep: { type: integer, default: 5, minimum: 1, description: Number of archives to keep in each folder }

";

const SECRETS: &str = "\
secrets:                      # where each value comes from, never the value itself; `file: /etc/runplan/zip` works too
  # Use five random words, and keep a copy in another place: without them nobody can open an archive.
  zip_password: { env: RUNPLAN_ZIP_PASSWORD }
";

const LOGS: &str = "\
logs:                         # in ~/.local/state/runplan/logs; `dir: logs` puts them beside this plan
  keep: 14                    # number of runs whose logs are kept; older ones are removed after a good run

";

const STEPS: &str = "
steps:
  - id: vacuum
    name: Vacuum the tables that are due
    uses: vacuum              # the table `controle_vacuum` records each VACUUM; it is created when it is missing
    continue_on_error: true   # a locked table must not cost the backup
    with:
      full: false             # true allows VACUUM FULL, which locks a table while it rewrites it

  - id: dump
    name: Dump and encrypt
    uses: pg_dump
    timeout: 2h
    retry: { attempts: 3, delay: 30s, backoff: 2, errors: [transient] }
    with:
      archive:
        path: ${{ vars.backup_dir }}/${{ database.dbname }}-${{ run.id }}.zip
        password: ${{ secrets.zip_password }}

  - id: verify
    name: Verify the archive
    uses: verify
    timeout: 2h
    with: { archive: \"${{ steps.dump.outputs.path }}\", password: \"${{ secrets.zip_password }}\" }
";

const COPY: &str = "
  - id: copy
    name: Copy to the second folder
    uses: copy                # for a mounted share add `require_mount: true`
    timeout: 2h
    with: { from: \"${{ steps.dump.outputs.path }}\", to: \"${{ vars.copy_dir }}\" }
";

const PRUNE: &str = "
  - id: prune
    name: Keep the newest archives
    uses: retention           # removes nothing when an earlier step failed
    with: { dir: \"${{ vars.backup_dir }}\", keep_last: \"${{ params.keep }}\" }
";

const PRUNE_COPIES: &str = "
  - id: prune_copies
    name: Keep the newest copies
    uses: retention
    with: { dir: \"${{ vars.copy_dir }}\", keep_last: \"${{ params.keep }}\" }
";

const NOBODY: &str = "
# Failures are not reported yet: add `on_failure` with `uses: email` or `uses: http` (`runplan steps email`), or monitor
# `runplan status FILE`.
";
