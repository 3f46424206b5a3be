//! `runplan doctor`: every fault at once, and nothing changed in the world.

use std::process::Command;

use serde_json::Value;

use crate::dry_run::{deeds, snapshot, traced};
use crate::smtp::Server;
use crate::world::{PASSWORD, Run, World, psql, script};

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
        assert!(run.out.contains(line), "`{line}` is not in {}", run.out);
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

#[test]
fn watched_from_outside_it_starts_what_fetches_a_secret_and_writes_nothing() {
    let ward = Ward::new();
    ward.command(&[]);
    let before = snapshot(&ward.world);
    let (run, trace) = traced(&ward.world, &["doctor", "plan.yaml"]);
    run.ends(0);
    let mail = format!("htons({})", ward.server.port);
    let ask = ward.world.path("ask").display().to_string();
    let more: Vec<&str> = deeds(&trace)
        .into_iter()
        .filter(|l| !(l.contains("connect(") && l.contains(&mail) || l.contains("execve(") && l.contains(&ask)))
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
    let all = faults(&run).join("\n");
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
fn what_is_not_dumped_needs_no_right() {
    let mut ward = Ward::new();
    ward.world.sql(&format!("GRANT SELECT ON t TO {}", ward.weak));
    let rights = |ward: &Ward| {
        let json = Run::from(ward.weakly(&["--format", "json"]).output().expect("runs")).json();
        let all: Vec<Value> = json["needs"].as_array().expect("needs").clone();
        let dump = all.into_iter().find(|n| n["of"] == "dump").expect("the dump");
        let checks = dump["checks"].as_array().expect("checks").clone();
        let right = checks.into_iter().filter(|c| c["area"] == "right");
        right
            .map(|c| format!("{} {}", c["verdict"].as_str().expect("a word"), c["text"].as_str().expect("a text")))
            .collect::<Vec<_>>()
    };
    assert_eq!(rights(&ward).len(), 2, "{:?}", rights(&ward));
    let archive = "      archive: { path: 'backups/app-";
    ward.edit(archive, &format!("      tables: [t]\n{archive}"));
    assert!(rights(&ward)[0].starts_with("ok"), "{:?}", rights(&ward));
    ward.edit("tables: [t]\n", "exclude_tables: ['closed*', rows_of]\n");
    assert!(rights(&ward)[0].starts_with("ok"), "{:?}", rights(&ward));
    // A table without its rows is locked all the same, but row-level security hides nothing of it.
    ward.edit("exclude_tables: ['closed*', rows_of]\n", "exclude_table_data: ['closed*', rows_of]\n");
    let seen = rights(&ward);
    assert!(seen.len() == 1 && seen[0].starts_with("problem") && seen[0].contains("`public.closed`"), "{seen:?}");
    // pg_dump itself is of the same mind.
    let weakly = |arguments: &[&str]| {
        let mut command = Command::new("pg_dump");
        command.env("PGUSER", &ward.weak).env("PGPASSWORD", "weak-password").env("PGDATABASE", ward.world.db());
        command.args(arguments).output().expect("pg_dump").status.success()
    };
    assert!(
        weakly(&["-t", "t"])
            && weakly(&["-T", "closed*", "-T", "rows_of"])
            && weakly(&["-T", "closed*", "--exclude-table-data=rows_of"])
    );
    assert!(!weakly(&[]) && !weakly(&["-T", "closed*"]) && !weakly(&["--exclude-table-data=closed*", "-T", "rows_of"]));
}

#[test]
fn what_only_the_run_can_decide_is_said_with_its_condition_and_is_no_problem() {
    let world = World::new();
    let doctor = |steps: &str| {
        world.write("plan.yaml", format!("version: 1\nname: night\nlogs: {{ dir: logs }}\n{steps}"));
        Run::from(world.runplan().args(["doctor", "plan.yaml"]).output().expect("runs"))
    };
    let said = "steps:\n  - { id: said, uses: copy, with: { from: plan.yaml, to: out, create: true } }\n";
    let copy =
        |when: &str| format!("  - {{ id: copied, uses: copy{when}, with: {{ from: plan.yaml, to: /nowhere }} }}\n");
    let missing = "there is no folder `/nowhere`";
    // By an output, by what became of a step, and by the failure, in a handler.
    for (list, when) in [
        ("", "steps.said.outputs.bytes > 100"),
        ("finally:\n", "steps.said.status == 'failed'"),
        ("on_failure:\n", "failure.kind == 'timeout'"),
    ] {
        let run = doctor(&format!("{said}{list}{}", copy(&format!(", when: \"{when}\"")))).ends(0);
        run.says(&format!("warning  only if `{when}`: {missing}")).says("night: 1 warning\n");
        // Without it a handler's day may come, and then it must be of use.
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
    let shown = "`public.odd\\n  ok       \\u{1b}[2Jname`";
    let run = run.says(&format!("may not read `public.closed`, sequence `public.closed_id_seq`, {shown}, `public.t`"));
    run.says(&format!("may not vacuum {shown}")).never_says("\u{1b}");
    // A run says it like that before its first step, and in the mail of its failure.
    let mut command = ward.world.runplan();
    command.arg("plan.yaml").env("PGUSER", &ward.weak).env("PGPASSWORD", "weak-password");
    let run = Run::from(command.output().expect("runs")).ends(77).says(&format!("may not vacuum {shown}"));
    run.never_says("\u{1b}");
    let mails = ward.server.mails();
    assert!(mails.len() == 1 && mails[0].part("text").contains("\\u{1b}[2Jname"), "{}", mails.len());
}

#[test]
fn words_for_pg_dump_make_light_of_a_right_only_where_they_may_leave_out_what_is_closed() {
    let mut ward = Ward::new();
    let weak = ward.weak.clone();
    ward.world.sql(&format!("GRANT SELECT ON t TO {weak}; DROP TABLE rows_of; SELECT lo_create(0)"));
    let archive = "      archive: { path: 'backups/app-";
    ward.edit(archive, &format!("      extra_args: []\n{archive}"));
    let mut before = "extra_args: []".to_owned();
    for (words, spared) in [
        (&["--no-sync"][..], false),
        (&["-Z6"], false),
        (&["--quote-all-identifiers", "-E", "UTF8"], false),
        (&["--data-only"], false),
        (&["--schema-only"], false),
        (&["-Ot", "t"], true),
        (&["--exclude-table=closed*", "--no-blobs"], true),
    ] {
        let after = format!("extra_args: {}", serde_json::to_string(words).expect("JSON"));
        ward.edit(&before, &after);
        before = after;
        let run = Run::from(ward.weakly(&[]).output().expect("runs"));
        let word = if spared { "warning" } else { "problem" };
        run.says(&format!("{word}  `{weak}` may not read `public.closed`"));
        // Where it is no more than a warning pg_dump succeeds, else it fails.
        let mut command = Command::new("pg_dump");
        command.env("PGUSER", &weak).env("PGPASSWORD", "weak-password").env("PGDATABASE", ward.world.db());
        let output = command.arg("--format=custom").args(words).output().expect("pg_dump");
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.success(), spared, "{words:?}: {said}");
    }
}

#[test]
fn a_large_object_that_may_not_be_read_is_seen_as_pg_dump_sees_it() {
    let mut ward = Ward::new();
    let (world, weak) = (&ward.world, ward.weak.clone());
    world.sql(&format!("GRANT SELECT ON ALL TABLES IN SCHEMA public TO {weak}; GRANT SELECT ON ALL SEQUENCES IN SCHEMA public TO {weak}; ALTER TABLE rows_of DISABLE ROW LEVEL SECURITY"));
    world.sql(&format!(
        "SELECT lo_create(n) FROM generate_series(71001, 71012) n; CREATE ROLE {weak}_readers; CREATE ROLE {weak}_distant"
    ));
    let agree = |ward: &Ward, says: Option<&str>, arguments: &[&str]| {
        let run = Run::from(ward.weakly(&[]).output().expect("runs"));
        match says {
            Some(text) => run.says(&format!("problem  `{weak}` may not read {text}, and pg_dump would fail at it")),
            None => {
                run.never_says("may not read").says("may read every table, sequence and large object that is dumped")
            }
        };
        let mut command = Command::new("pg_dump");
        command.env("PGUSER", &weak).env("PGPASSWORD", "weak-password").env("PGDATABASE", ward.world.db());
        let output = command.arg("--format=custom").args(arguments).output().expect("pg_dump");
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.success(), says.is_none(), "{said}");
        assert!(says.is_none() || said.contains("permission denied for large object"), "{said}");
    };
    let first = "the large objects 71001, 71002, 71003, 71004, 71005, 71006, 71007, 71008, 71009, 71010 and 2 more";
    agree(&ward, Some(first), &[]);
    // A right to each of them, however it comes: granted, to all, by a role, by being the owner.
    let grant = |objects: std::ops::RangeInclusive<u32>, to: &str| {
        objects.map(|o| format!("GRANT SELECT ON LARGE OBJECT {o} TO {to};")).collect::<String>()
    };
    let sql =
        [grant(71001..=71005, &weak), grant(71006..=71006, "PUBLIC"), grant(71007..=71011, &format!("{weak}_readers"))];
    ward.world
        .sql(&format!("{} GRANT {weak}_readers TO {weak}; ALTER LARGE OBJECT 71012 OWNER TO {weak}", sql.concat()));
    agree(&ward, None, &[]);
    // A right to write is none to read, an owner may have taken it from itself, and a role that is not inherited is none.
    ward.world.sql(&format!(
        "REVOKE SELECT ON LARGE OBJECT 71001 FROM {weak}; GRANT UPDATE ON LARGE OBJECT 71001 TO {weak}; \
         REVOKE SELECT ON LARGE OBJECT 71012 FROM {weak}"
    ));
    agree(&ward, Some("the large objects 71001, 71012"), &[]);
    ward.world.sql(&format!(
        "{} GRANT SELECT ON LARGE OBJECT 71012 TO {weak}; REVOKE SELECT ON LARGE OBJECT 71011 FROM {weak}_readers; \
         GRANT SELECT ON LARGE OBJECT 71011 TO {weak}_distant; ALTER ROLE {weak} NOINHERIT; GRANT {weak}_distant TO {weak}",
        grant(71001..=71001, &weak)
    ));
    let by_role = "the large objects 71007, 71008, 71009, 71010, 71011";
    agree(&ward, Some(by_role), &[]);
    ward.world.sql(&format!("ALTER ROLE {weak} INHERIT; GRANT {weak}_readers, {weak}_distant TO {weak}"));
    agree(&ward, None, &[]);
    // The role that reads all tables does not read these.
    ward.world.sql(&format!("REVOKE SELECT ON LARGE OBJECT 71006 FROM PUBLIC; GRANT pg_read_all_data TO {weak}"));
    agree(&ward, Some("the large object 71006"), &[]);
    // Where the server is told not to ask, or some tables are dumped alone.
    ward.world.sql(&format!("ALTER DATABASE {} SET lo_compat_privileges = on", ward.world.db()));
    agree(&ward, None, &[]);
    ward.world.sql(&format!("ALTER DATABASE {} RESET lo_compat_privileges", ward.world.db()));
    let archive = "      archive: { path: 'backups/app-";
    ward.edit(archive, &format!("      tables: [t]\n{archive}"));
    agree(&ward, None, &["--table=t"]);
    ward.edit("      tables: [t]\n", "      tables: [t]\n      extra_args: [--blobs]\n");
    let run = Run::from(ward.weakly(&[]).output().expect("runs"));
    run.says(&format!("problem  `{weak}` may not read the large object 71006"));
    ward.world.sql(&format!("DROP OWNED BY {weak}_readers, {weak}_distant; DROP ROLE {weak}_readers, {weak}_distant"));
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
        let run = ward.doctor(&["--format", format]).ends(77).says("the secret `mail` is missing");
        let run = run.says("no entry for ***").never_says(PASSWORD).never_says(&PASSWORD.replace('"', "\\\""));
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
    ward.doctor(&[]).ends(1).says("`./old` is version 9.6.24 and cannot dump the server, which is version");
    ward.plan = plan.replace("@TOOL@", "pg_dump");
    ward.doctor(&[]).ends(0).says("`pg_dump`: version");
    assert!(!ward.world.path("dumped").exists());
}

#[test]
fn a_clock_that_is_off_is_seen() {
    let ward = Ward::new();
    let db = ward.world.db();
    for (seconds, code, text) in [
        (90, 1, "problem  clock: this machine's is 90 s behind the server's"),
        (-20, 0, "warning  clock: this machine's is 20 s ahead of the server's"),
    ] {
        ward.world.sql(&format!(
            "CREATE OR REPLACE FUNCTION public.clock_timestamp() RETURNS timestamptz LANGUAGE sql AS \
             $$ SELECT pg_catalog.clock_timestamp() + interval '{seconds} s' + interval '0.3 s' * sign({seconds}) $$"
        ));
        psql("postgres", &format!("ALTER DATABASE {db} SET search_path = public, pg_catalog"));
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
