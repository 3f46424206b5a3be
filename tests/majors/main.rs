//! One server of each major version that PostgreSQL still maintains, old and new programs against it, and a database of
//! everything. `RUNPLAN_SANDBOX_PG=17 tests/sandbox cargo test --test majors` picks the major version of the server.

mod other;
#[path = "../smtp/mod.rs"]
#[expect(dead_code, reason = "the tests of mail use the rest")]
mod smtp;
#[path = "../executors/world.rs"]
#[expect(dead_code, reason = "the tests of the executors use the rest")]
mod world;

use std::path::{Path, PathBuf};
use std::process::Command;

use other::{OtherServer, programs};
use smtp::Server;
use world::{PASSWORD, Run, World, psql};

/// A database of everything, and what removes its subscription, which would keep the database from being dropped.
struct Everything {
    world: World,
}

impl Everything {
    fn new() -> Self {
        let world = World::with_database();
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/majors/everything.sql");
        let mut command = Command::new("psql");
        command.args(["-Xq", "-v", "ON_ERROR_STOP=1", "-d", world.db(), "-f", script]);
        let output = command.output().expect("psql: run `tests/sandbox cargo test`");
        let everything = Self { world };
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        everything
    }

    /// Runs a plan of one dump in a format, and of what proves it. `programs` is where the programs of another major
    /// version lie; `restored` says whether it is restored into a cluster, too.
    fn dump(&self, format: &str, programs: Option<&Path>, restored: bool) -> Run {
        let jobs = if format == "directory" { ", jobs: 2" } else { "" };
        let program = programs.map(|dir| format!(", program: {}/pg_dump", dir.display())).unwrap_or_default();
        let archive = format!("out/{format}.zip");
        let step = |id: &str, uses: &str, more: &str| {
            format!(
                "  - {{ id: {id}, uses: {uses}, timeout: 1h, with: {{ {more}, password: '${{{{ secrets.zip }}}}' }} }}\n"
            )
        };
        let check = step("check", "restore_check", &format!("archive: {archive}, into: cluster"));
        let plan = [
            "version: 1\nname: night\nlogs: { dir: logs }\nsecrets: { zip: { env: TEST_ZIP } }\nsteps:\n".to_owned(),
            format!(
                "  - {{ id: dump, uses: pg_dump, timeout: 1h, with: {{ format: {format}{jobs}{program}, evidence: checksums, archive: {{ path: {archive}, password: '${{{{ secrets.zip }}}}' }} }} }}\n"
            ),
            step("read", "verify", &format!("archive: {archive}")),
            if restored { check } else { String::new() },
        ];
        self.world.write("plan.yaml", plan.concat());
        let mut command = self.world.runplan();
        if let Some(dir) = programs {
            let path = std::env::var_os("PATH").unwrap_or_default();
            let all = std::iter::once(dir.to_path_buf()).chain(std::env::split_paths(&path));
            command.env("PATH", std::env::join_paths(all).expect("a path"));
        }
        command.arg("plan.yaml").output().expect("the binary runs").into()
    }

    /// Restores an archive into a new database, and gives the database's name.
    fn restore(&self, format: &str) -> Restored {
        let name = format!("{}_{format}", self.world.db());
        let mut command = self.world.runplan();
        command.args(["restore", &format!("out/{format}.zip"), "--into", &name, "--create"]);
        let run: Run = command.env("RUNPLAN_ZIP_PASSWORD", PASSWORD).output().expect("the binary runs").into();
        let restored = Restored(name);
        run.ends(0);
        restored
    }
}

impl Drop for Everything {
    fn drop(&mut self) {
        drop_subscriptions(self.world.db());
    }
}

/// A database that goes with the test.
struct Restored(String);

impl Drop for Restored {
    fn drop(&mut self) {
        drop_subscriptions(&self.0);
        psql("postgres", &format!("DROP DATABASE IF EXISTS \"{}\" WITH (FORCE)", self.0));
    }
}

fn drop_subscriptions(database: &str) {
    let names = psql(
        database,
        "SELECT quote_ident(subname) FROM pg_subscription s JOIN pg_database d ON d.oid = s.subdbid WHERE datname = current_database()",
    );
    for name in names.lines() {
        psql(database, &format!("DROP SUBSCRIPTION {name}"));
    }
}

/// All lines of a dump of a database by the stock program of the server's version, sorted: rows of a table that is
/// partitioned by the hash of an enum lie in other partitions after a restore, which `pg_dump` allows for.
fn stock_dump(database: &str) -> Vec<String> {
    let mut command = Command::new("pg_dump");
    command.args(["--restrict-key=same", "--no-password", database]).env("PGTZ", "UTC");
    command.env("PGOPTIONS", "-c bytea_output=hex");
    let output = command.output().expect("pg_dump");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut lines: Vec<String> = String::from_utf8(output.stdout).expect("UTF-8").lines().map(str::to_owned).collect();
    lines.sort();
    lines
}

fn assert_alike(format: &str, source: &[String], restored: &[String]) {
    let missing: Vec<_> = source.iter().filter(|l| restored.binary_search(l).is_err()).take(5).collect();
    let new: Vec<_> = restored.iter().filter(|l| source.binary_search(l).is_err()).take(5).collect();
    assert!(source == restored, "{format}: missing {missing:#?}, new {new:#?}");
}

/// The major version of the server.
fn server_major() -> u32 {
    let number: u32 = psql("postgres", "SHOW server_version_num").parse().expect("a number");
    number / 10_000
}

/// A program of another major version.
fn program(name: &str, major: u32) -> PathBuf {
    let path = programs(major).join(name);
    assert!(path.is_file(), "{} is missing", path.display());
    path
}

/// A dump by the `pg_dump` of one major version, and what it is read by, of a server of another.
fn dump_of(server: &OtherServer, client: u32) -> Run {
    server.sql("CREATE TABLE here AS SELECT generate_series(1, 1000) AS id");
    let world = World::new();
    let step = format!(
        "steps:\n  - {{ id: dump, uses: pg_dump, timeout: 1h, with: {{ program: {}, archive: {{ path: out/a.zip, encryption: none }} }} }}\n\
         \x20 - {{ uses: verify, timeout: 1h, with: {{ archive: out/a.zip }} }}\n",
        program("pg_dump", client).display()
    );
    world.write("plan.yaml", format!("version: 1\nname: night\nlogs: {{ dir: logs }}\n{step}"));
    let mut command = world.runplan();
    server.settings(&mut command);
    let run: Run = command.arg("plan.yaml").output().expect("the binary runs").into();
    assert!(run.code == Some(0) || world.names("out").is_empty(), "{:?} {}", world.names("out"), run.said);
    run
}

#[test]
fn every_format_of_a_database_of_everything_restores_as_it_was() {
    let everything = Everything::new();
    let source = stock_dump(everything.world.db());
    assert!(source.len() > 2_000, "the database of everything has {} lines", source.len());
    for format in ["custom", "plain", "directory"] {
        everything.dump(format, None, true).ends(0);
        let restored = everything.restore(format);
        assert_alike(format, &source, &stock_dump(&restored.0));
    }
}

#[test]
fn a_newer_pg_dump_serves_an_older_server() {
    if server_major() == 18 {
        // Nothing is newer than this server yet, so its programs serve an older one here.
        println!("pg_dump 18, server 17");
        dump_of(&OtherServer::start(17), 18).ends(0).says("is good: 1000 rows of 1 tables");
        return;
    }
    println!("pg_dump 18, server {}", server_major());
    let everything = Everything::new();
    let newest = program("pg_dump", 18);
    // A distribution's server may have what the programs from PyPI do not know: ICU, options of its own. A server of 18
    // is what a dump by `pg_dump` 18 can be restored into, so the cluster is one.
    let same_build = std::env::var_os("RUNPLAN_SANDBOX_PG").is_some();
    let run = everything.dump("custom", newest.parent(), same_build).ends(0).says("is good: ");
    if same_build {
        run.says("what was dumped");
    }
}

#[test]
fn a_dump_by_a_newer_pg_dump_goes_back_into_the_older_server_as_sql_alone() {
    if server_major() >= 17 {
        // Its own `pg_restore` reads and restores such dumps.
        return;
    }
    let world = World::with_database();
    world.sql("CREATE TABLE t AS SELECT g AS id FROM generate_series(1, 100) g");
    let newest = program("pg_dump", 18);
    let refused = format!("cannot be restored into a server of version {}", server_major());
    let run = |arguments: &[&str]| -> Run {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let all = std::iter::once(newest.parent().expect("a folder").to_path_buf()).chain(std::env::split_paths(&path));
        let mut command = world.runplan();
        command.env("PATH", std::env::join_paths(all).expect("a path")).env("RUNPLAN_ZIP_PASSWORD", PASSWORD);
        command.args(arguments).output().expect("the binary runs").into()
    };
    for format in ["plain", "custom"] {
        let plan = format!(
            "version: 1\nname: {format}\nlogs: {{ dir: logs }}\nsecrets: {{ zip: {{ env: TEST_ZIP }} }}\nsteps:\n  - {{ id: dump, uses: pg_dump, timeout: 1h, with: {{ format: {format}, program: {}, archive: {{ path: out/{format}.zip, password: '${{{{ secrets.zip }}}}' }} }} }}\n",
            newest.display()
        );
        world.write("plan.yaml", plan);
        let name = format!("{}_{format}", world.db());
        let archive = format!("out/{format}.zip");
        let restore = ["restore", &archive, "--into", &name, "--create"];
        if format == "plain" {
            run(&["doctor", "plan.yaml"]).ends(0).never_says(&refused);
            run(&["plan.yaml"]).ends(0).never_says(&refused);
            let again = run(&restore);
            let _restored = Restored(name.clone());
            again.ends(0).says("1 tables with 100 rows are there");
        } else {
            run(&["doctor", "plan.yaml"]).ends(0).says(&refused).says("or use `format: plain`");
            run(&["plan.yaml"]).ends(0).says(&refused);
            run(&restore).ends(1).says("sets `transaction_timeout`");
            let there = format!("SELECT count(*) FROM pg_database WHERE datname = '{name}'");
            assert_eq!(psql("postgres", &there), "0", "nothing is left of it");
        }
    }
}

#[test]
fn an_older_pg_dump_is_refused_before_it_writes() {
    let refused = |run: Run, old: u32, server: u32| {
        println!("pg_dump {old}, server {server}");
        run.ends(1).says(&format!("version {old}.")).says(&format!("version {server}"));
    };
    if server_major() == 14 {
        // Nothing that is maintained is older than this server, so its programs meet a newer one here.
        return refused(dump_of(&OtherServer::start(15), 14), 14, 15);
    }
    let world = World::with_database();
    world.sql("CREATE TABLE here (id int)");
    let old = server_major() - 1;
    let step = format!(
        "steps:\n  - {{ id: dump, uses: pg_dump, timeout: 1h, with: {{ program: {}, file: out/old.dump }} }}\n",
        program("pg_dump", old).display()
    );
    refused(world.run(&step, &[]), old, server_major());
    assert_eq!(world.names("out"), Vec::<String>::new());
}

#[test]
fn the_nightly_plan_keeps_two_of_three_nights_and_doctor_finds_all_well() {
    let world = World::with_database();
    world.sql(
        "CREATE TABLE exemplo_vacuo (id bigserial PRIMARY KEY, codigo text);
         INSERT INTO exemplo_vacuo (codigo) SELECT 'ITEM-' || g FROM generate_series(1, 5000) g;
         DELETE FROM exemplo_vacuo WHERE id % 5 = 0",
    );
    let plan = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/plans/nightly.yaml")).expect("the plan");
    world.write("nightly.yaml", plan);
    std::fs::create_dir(world.path("share")).expect("a share");
    let server = Server::start(&["--tls", "starttls", "--login", "backup:mail password"]);
    let run = |arguments: &[&str]| -> Run {
        let mut command = world.runplan();
        command.args(arguments).arg("nightly.yaml").env("RUNPLAN_ZIP_PASSWORD", PASSWORD);
        command.env("RUNPLAN_SMTP_PASSWORD", "mail password").args(["-p", "smtp_host=127.0.0.1"]);
        command.args([
            "-p",
            &format!("smtp_port={}", server.port),
            "-p",
            &format!("smtp_ca={}", server.ca_file().display()),
        ]);
        let (backups, share) = (world.path("backups"), world.path("share"));
        command.args([
            "-p",
            &format!("backup_dir={}", backups.display()),
            "-p",
            &format!("copy_dir={}", share.display()),
        ]);
        command.args(["-p", "keep=2"]).output().expect("the binary runs").into()
    };
    std::fs::create_dir(world.path("backups")).expect("a folder");
    run(&["doctor"]).ends(0);
    run(&["-n"]).ends(0).says("VACUUM (FULL, ANALYZE)");
    run(&[]).ends(0).says("VACUUM (FULL, ANALYZE), no record of a VACUUM");
    run(&[]).ends(0).says("last VACUUM was 0 days ago");
    run(&[]).ends(0);
    for dir in ["backups", "share"] {
        let archives = world.names(dir).into_iter().filter(|n| n.ends_with(".zip")).count();
        assert_eq!(archives, 2, "{dir}: {:?}", world.names(dir));
    }
    assert_eq!(
        world.sql("SELECT tabela_nome || ' ' || tipo_vacuum FROM controle_vacuum"),
        "exemplo_vacuo FULL ANALYZE"
    );
}
