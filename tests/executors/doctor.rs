//! `runplan doctor`: every fault at once, and nothing changed in the world.

mod rights;

use std::process::Command;

use crate::dry_run::{deeds, snapshot, traced};
use crate::smtp::Server;
use crate::world::{PASSWORD, Run, World, script, without_world};

const LOGIN: &str = "backup:canary-Numbat/37";
const MAIL: &str = "canary-Numbat/37";

/// A plan of every executor.
const PLAN: &str = "version: 1
name: night
logs: { dir: logs }
secrets:
  zip: { env: TEST_ZIP }
  mail: { command: ['@ASK@'] }
defaults:
  email: { smtp: { host: 127.0.0.1, port: @PORT@, username: backup, password: '${{ secrets.mail }}', ca_file: '@CA@' }, from: backup@example.org }
steps:
  - { id: vacuum, uses: vacuum, with: { tables: [t] } }
  - id: dump
    uses: pg_dump
    with:
      archive: { path: 'backups/app-${{ run.id }}.zip', password: '${{ secrets.zip }}' }
  - { id: verify, uses: verify, with: { archive: '${{ steps.dump.outputs.path }}', password: '${{ secrets.zip }}' } }
  - { id: copy, uses: copy, with: { from: '${{ steps.dump.outputs.path }}', to: share } }
  - { id: restored, uses: restore_check, with: { archive: '${{ steps.copy.outputs.path }}', password: '${{ secrets.zip }}' } }
  - { id: prune, uses: retention, with: { dir: backups, keep_last: 2 } }
  - { id: prune_copies, uses: retention, with: { dir: share, keep_last: 2 } }
  - { id: never, uses: copy, when: false, with: { from: a, to: /nowhere } }
  - { id: again, uses: pg_restore, with: { archive: '${{ steps.dump.outputs.path }}', password: '${{ secrets.zip }}', create: true, database: { dbname: @AGAIN@ } } }
  - { id: files, uses: zip, with: { files: ['*.csv'], archive: { path: 'backups/files-${{ run.id }}.zip', password: '${{ secrets.zip }}' } } }
  - { id: said, uses: command, with: { argv: [sh, -c, 'touch started'] } }
  - { id: gone, uses: sql, with: { statement: DELETE FROM t } }
on_failure:
  - { id: alert, uses: email, with: { to: [dba@example.org], subject: 'failed at ${{ failure.step }}' } }
";

/// A world in which all is well, and a user of no rights beside.
struct Ward {
    world: World,
    server: Server,
    plan: String,
    weak: String,
}

impl Ward {
    fn new() -> Self {
        let world = World::with_database();
        world.sql("CREATE TABLE t AS SELECT g FROM generate_series(1, 100) g; CREATE TABLE closed (id serial); CREATE TABLE rows_of (id int)");
        let weak = format!("weak_{}", world.db());
        world.sql(&format!("CREATE ROLE {weak} LOGIN PASSWORD 'weak-password'; GRANT SELECT ON rows_of TO {weak}; ALTER TABLE rows_of ENABLE ROW LEVEL SECURITY"));
        for dir in ["share", "home", "tmp"] {
            std::fs::create_dir(world.path(dir)).expect("a folder");
        }
        script(&world.path("ask"), &format!("echo '{MAIL}'"));
        let server = Server::start(&["--tls", "starttls", "--login", LOGIN]);
        let plan = PLAN
            .replace("@ASK@", &world.path("ask").display().to_string())
            .replace("@PORT@", &server.port.to_string())
            .replace("@CA@", &server.ca_file().display().to_string())
            .replace("@AGAIN@", &format!("again_{}", world.db()));
        Self { world, server, plan, weak }
    }

    fn edit(&mut self, from: &str, to: &str) {
        assert!(self.plan.contains(from), "{from}");
        self.plan = self.plan.replace(from, to);
    }

    fn command(&self, arguments: &[&str]) -> Command {
        if std::fs::read_to_string(self.world.path("plan.yaml")).ok().as_ref() != Some(&self.plan) {
            self.world.write("plan.yaml", &self.plan);
        }
        let mut command = self.world.runplan();
        command.env("XDG_STATE_HOME", self.world.path("home/state")).args(["doctor", "plan.yaml"]).args(arguments);
        command
    }

    fn doctor(&self, arguments: &[&str]) -> Run {
        self.command(arguments).output().expect("the binary runs").into()
    }

    /// The same as the user of no rights.
    fn weakly(&self, arguments: &[&str]) -> Command {
        let mut command = self.command(arguments);
        command.env("PGUSER", &self.weak).env("PGPASSWORD", "weak-password");
        command
    }
}

/// The lines of a list that are no `ok`.
fn faults(run: &Run) -> Vec<&str> {
    run.out.lines().map(str::trim).filter(|l| l.starts_with("problem") || l.starts_with("warning")).collect()
}

#[test]
fn where_all_is_well_it_says_so_logs_in_everywhere_and_changes_nothing() {
    let ward = Ward::new();
    ward.command(&[]);
    let before = snapshot(&ward.world);
    let run = ward.doctor(&[]).ends(0).says("night: all is well").never_says("canary");
    assert!(!run.out.contains("/nowhere"), "{}", run.out);
    assert_eq!(faults(&run), Vec::<&str>::new());
    for line in [
        "ok       `zip`: is there",
        "ok       `mail`: is there",
        "logs/night`: is made when it is needed",
        "clock: that of the server, within 5 s",
        "may vacuum the 1 table",
        "control table \"public\".\"controle_vacuum\": is made when it is needed",
        "folder `backups`: is made when it is needed",
        "may read every table, sequence and large object that is dumped",
        "pg_dump`: is there",
        "folder `share`: can be written",
        "may make databases",
        "pg_restore`: is there",
        "sh`: is there",
        "(starttls): answers, logged in as `backup`",
    ] {
        assert!(without_world(&run.out).contains(line), "`{line}` is not in {}", run.out);
    }
    assert!(before == snapshot(&ward.world), "the world has changed");
    assert!(ward.server.mails().is_empty());
    let wire: String = ward.server.wire().into_iter().map(|(_, _, said)| said.to_uppercase()).collect();
    assert!(wire.contains("AUTH") && wire.contains("QUIT") && !wire.contains("MAIL FROM"), "{wire}");
    assert_eq!(ward.doctor(&["-q"]).ends(0).out, "night: all is well\n");
    // For programs.
    let json = ward.doctor(&["--format", "json"]).ends(0).json();
    assert_eq!((json["schema_version"].as_u64(), json["exit_code"].as_u64()), (Some(1), Some(0)), "{json}");
    let needs = json["needs"].as_array().expect("needs");
    assert!(needs.iter().any(|n| n["of"] == "dump" && n["checks"][0]["verdict"] == "ok"), "{json}");
    assert!(needs.iter().any(|n| n["of"] == "on_failure: alert" && n["checks"][0]["area"] == "mail"), "{json}");
}

/// The processes that tried whether programs can be confined: `bwrap` sets up namespaces, in which a shell does nothing.
fn trials(deeds: &[&str]) -> std::collections::BTreeSet<String> {
    let marks = ["execve(\"/usr/bin/bwrap\"", "[\"/bin/sh\", \"-c\", \":\"]", "\"uid_map\"", "NETLINK"];
    let tried = deeds.iter().filter(|line| marks.iter().any(|mark| line.contains(mark)));
    tried.filter_map(|line| line.split(' ').next()).map(str::to_owned).collect()
}

#[test]
fn watched_from_outside_it_starts_what_fetches_a_secret_and_writes_nothing() {
    let ward = Ward::new();
    ward.command(&[]);
    let before = snapshot(&ward.world);
    let (run, trace) = traced(&ward.world, &["doctor", "plan.yaml"]);
    run.ends(0);
    let mail = format!("htons({})", ward.server.port);
    let ask = ward.world.path("ask").display().to_string();
    let deeds = deeds(&trace);
    let trials = trials(&deeds);
    let more: Vec<&str> = deeds
        .into_iter()
        .filter(|l| !(l.contains("connect(") && l.contains(&mail) || l.contains("execve(") && l.contains(&ask)))
        .filter(|l| !l.split(' ').next().is_some_and(|pid| trials.contains(pid)))
        // It ends what is started here, should runplan be killed.
        .filter(|l| !l.contains("# Waits for the end of the program that writes to it"))
        .collect();
    assert_eq!(more, Vec::<&str>::new());
    assert!(trace.contains(&mail) && trace.contains(&ask), "the trace shows neither: {trace}");
    assert!(before == snapshot(&ward.world), "the world has changed");
}

#[test]
fn every_fault_is_named_in_one_go_and_nothing_changes() {
    let mut ward = Ward::new();
    let port = format!("port: {}", ward.server.port);
    ward.edit(&port, "port: 1");
    ward.edit("to: share } }\n  - { id: restored", "to: missing, require_mount: true } }\n  - { id: restored");
    ward.edit("dir: share, keep_last", "dir: away, keep_last");
    ward.edit("argv: [sh, -c, 'touch started']", "argv: [no-such-program]");
    ward.edit("  zip: {", "  other: { file: /nowhere/secret }\n  zip: {");
    ward.edit("files: ['*.csv']", "files: ['${{ env.NO_SUCH_VARIABLE }}']");
    ward.command(&[]);
    let before = snapshot(&ward.world);
    let run = Run::from(ward.weakly(&[]).env_remove("TEST_ZIP").output().expect("runs")).ends(77);
    let all = without_world(&faults(&run).join("\n"));
    let weak = &ward.weak;
    let expected = [
        "the secret `other` is missing: the file `/nowhere/secret` cannot be read".to_owned(),
        "the secret `zip` is missing: the environment variable `TEST_ZIP` is not set".to_owned(),
        "the environment variable `NO_SUCH_VARIABLE` is not set".to_owned(),
        format!("`{weak}` may not vacuum `public.t`"),
        format!("is missing, and `{weak}` may not make it"),
        format!(
            "`{weak}` may not read `public.closed`, sequence `public.closed_id_seq`, `public.t`, and pg_dump would fail"
        ),
        format!("row-level security hides rows of `public.rows_of` from `{weak}`, and pg_dump would fail"),
        "there is no folder `missing`".to_owned(),
        "`missing` is not the root of a mounted file system".to_owned(),
        "there is no folder `away`".to_owned(),
        format!("`{weak}` may not make databases"),
        "there is no program `no-such-program`".to_owned(),
        "mail server 127.0.0.1:1: connecting".to_owned(),
    ];
    let missing: Vec<&String> = expected.iter().filter(|t| !all.contains(*t)).collect();
    assert!(missing.is_empty(), "{missing:#?} not in\n{all}");
    assert!(before == snapshot(&ward.world), "the world has changed");
}

#[test]
fn what_only_the_run_can_decide_is_said_with_its_condition() {
    let world = World::new();
    let doctor = |steps: &str| {
        world.write("plan.yaml", format!("version: 1\nname: night\nlogs: {{ dir: logs }}\n{steps}"));
        Run::from(world.runplan().args(["doctor", "plan.yaml"]).output().expect("runs"))
    };
    let said = "steps:\n  - { id: said, uses: copy, with: { from: plan.yaml, to: out, create: true } }\n";
    let copy =
        |when: &str| format!("  - {{ id: copied, uses: copy{when}, with: {{ from: plan.yaml, to: /nowhere }} }}\n");
    let missing = "there is no folder `/nowhere`";
    // By an output, by what became of a step, and by the failure. A handler's day may come, and then it must be of use.
    for (list, when, code, verdict) in [
        ("", "steps.said.outputs.bytes > 100", 0, "warning"),
        ("finally:\n", "steps.said.status == 'failed'", 1, "problem"),
        ("on_failure:\n", "failure.kind == 'timeout'", 1, "problem"),
    ] {
        let run = doctor(&format!("{said}{list}{}", copy(&format!(", when: \"{when}\"")))).ends(code);
        run.says(&format!("{verdict}  only if `{when}`: {missing}")).says(&format!("night: 1 {verdict}\n"));
        doctor(&format!("{said}{list}{}", copy(""))).ends(1).says(&format!("problem  {missing}"));
    }
    // What is known is decided.
    doctor(&format!("{said}{}", copy(", when: plan.name == 'day'"))).ends(0).never_says("/nowhere");
    doctor(&format!("{said}{}", copy(", when: plan.name == 'night'"))).says("/nowhere").never_says("only if");
}

#[test]
fn a_name_of_several_lines_is_shown_in_one() {
    let mut ward = Ward::new();
    ward.world.sql("CREATE TABLE \"odd\n  ok       \u{1b}[2Jname\" (id int)");
    ward.edit("tables: [t]", "tables: ['odd*']");
    let run = Run::from(ward.weakly(&[]).output().expect("runs"));
    let shown = "`public.odd\\n  ok       \\x1b[2Jname`";
    let run = run.says(&format!("may not read `public.closed`, sequence `public.closed_id_seq`, {shown}, `public.t`"));
    run.says(&format!("may not vacuum {shown}")).never_says("\u{1b}");
    // A run says it like that before its first step, and in the mail of its failure.
    let mut command = ward.world.runplan();
    command.arg("plan.yaml").env("PGUSER", &ward.weak).env("PGPASSWORD", "weak-password");
    let run = Run::from(command.output().expect("runs")).ends(77).says(&format!("may not vacuum {shown}"));
    run.never_says("\u{1b}");
    let mails = ward.server.mails();
    assert!(mails.len() == 1 && mails[0].part("text").contains("\\x1b[2Jname"), "{}", mails.len());
}

#[test]
fn the_control_table_is_written_with_its_sequence() {
    let ward = Ward::new();
    let weak = &ward.weak;
    ward.world.sql(&format!(
        "CREATE TABLE controle_vacuum (id serial PRIMARY KEY, tabela_nome text NOT NULL, ultima_execucao timestamp NOT NULL, tipo_vacuum text); \
         ALTER TABLE t OWNER TO {weak}; GRANT SELECT, INSERT ON controle_vacuum TO {weak}"
    ));
    let control = |text: &str| {
        let run = Run::from(ward.weakly(&[]).output().expect("runs"));
        run.says(&format!("control table \"public\".\"controle_vacuum\": {text}")).says("may vacuum the 1 table")
    };
    control(&format!("`{weak}` may not both read and write it"));
    ward.world.sql(&format!("GRANT USAGE ON SEQUENCE controle_vacuum_id_seq TO {weak}"));
    control("can be read and written");
}

#[test]
fn what_a_program_quotes_of_a_secret_is_masked() {
    let ward = Ward::new();
    script(&ward.world.path("ask"), "echo \"no entry for $TEST_ZIP\" >&2; exit 1");
    for format in ["text", "json"] {
        // What it says may hold any form of a secret, so none of it is shown.
        let run = ward.doctor(&["--format", format]).ends(0).says("nobody can be told: the secret `mail` is missing");
        let run = run.says("what it printed is not shown").never_says("no entry for");
        let run = run.never_says(PASSWORD).never_says(&PASSWORD.replace('"', "\\\""));
        // Without it nobody logs in, and that is said too.
        run.says("not asked, since the password is not at hand");
    }
}

#[test]
fn a_wrong_password_is_one_problem_and_the_rest_is_looked_at() {
    let mut ward = Ward::new();
    ward.edit("to: share } }\n  - { id: restored", "to: missing } }\n  - { id: restored");
    let run = Run::from(ward.command(&[]).env("PGPASSWORD", "wrong").output().expect("runs")).ends(1);
    run.says("password authentication failed").says("there is no folder `missing`").says("logged in as `backup`");
}

#[test]
fn a_mail_server_is_asked_for_its_login_and_its_certificate() {
    let mut ward = Ward::new();
    script(&ward.world.path("ask"), "echo canary-wrong");
    ward.doctor(&[]).ends(1).says("logging in as `backup`: 535").never_says("canary");
    script(&ward.world.path("ask"), &format!("echo '{MAIL}'"));
    // An empty file of authorities is none: the system's count.
    ward.edit(&format!("ca_file: '{}'", ward.server.ca_file().display()), "ca_file: ''");
    ward.doctor(&[]).ends(1).says("its certificate is of an authority that is not trusted here");
    assert!(ward.server.mails().is_empty());
}

#[test]
fn tools_are_found_asked_for_their_version_and_named_when_they_do_not_fit() {
    let mut ward = Ward::new();
    let archive = "      archive: { path: 'backups/app-";
    ward.edit(archive, &format!("      program: @TOOL@\n{archive}"));
    let plan = ward.plan.clone();
    script(&ward.world.path("old"), "echo 'pg_dump (PostgreSQL) 9.6.24'; [ \"$1\" = --version ] || touch dumped");
    ward.plan = plan.replace("@TOOL@", "/nowhere/pg_dump");
    ward.doctor(&[]).ends(1).says("there is no program `/nowhere/pg_dump` that can be started");
    ward.plan = plan.replace("@TOOL@", "./old");
    ward.doctor(&[]).ends(1).says("`old` is version 9.6.24 and cannot dump the server, which is version");
    ward.plan = plan.replace("@TOOL@", "pg_dump");
    ward.doctor(&[]).ends(0).says("`pg_dump`: version");
    assert!(!ward.world.path("dumped").exists());
}

#[test]
fn a_clock_that_is_off_is_seen() {
    let ward = Ward::new();
    for (seconds, code, text) in [
        (90, 1, "problem  clock: this machine's is 90 s behind the server's"),
        (-20, 0, "warning  clock: this machine's is 20 s ahead of the server's"),
    ] {
        ward.world.sql(&format!(
            "CREATE OR REPLACE FUNCTION pg_catalog.clock_timestamp() RETURNS timestamptz LANGUAGE sql AS \
             $$ SELECT pg_catalog.statement_timestamp() + interval '{seconds} s' + interval '0.3 s' * sign({seconds}) $$"
        ));
        ward.doctor(&[]).ends(code).says(text);
    }
}

#[test]
fn a_plan_that_is_not_valid_and_a_wrong_command_line_have_their_own_codes() {
    let mut ward = Ward::new();
    ward.doctor(&["-p", "nothing=1"]).ends(2);
    ward.edit("uses: verify", "uses: verfy");
    ward.doctor(&[]).ends(78).says("nothing was looked at");
    let run = Run::from(ward.world.runplan().args(["doctor", "plan.yml"]).output().expect("runs"));
    run.ends(2).says("did you mean `plan.yaml`?");
}
