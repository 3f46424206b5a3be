//! The main job, `plans/nightly.yaml` as it is, night after night.

use std::process::{Child, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::smtp::Server;
use crate::world::{Run, World, psql};

/// Secrets that are met nowhere else; each with characters that are written otherwise in JSON, URLs and shells.
const ZIP: &str = "Zebra canary \"7\" $x ä";
const MAIL: &str = "Quagga&canary/8+";

/// A world with the sample table, the plan and a mail server.
struct Night {
    world: World,
    server: Server,
}

impl Night {
    fn new() -> Self {
        let world = World::with_database();
        world.sql(
            "CREATE TABLE exemplo_vacuo (id bigserial PRIMARY KEY, codigo text, quantidade int, marcado boolean);
             INSERT INTO exemplo_vacuo (codigo, quantidade, marcado)
               SELECT 'ITEM-' || g, (random() * 100)::int, random() > 0.5 FROM generate_series(1, 20000) g;
             UPDATE exemplo_vacuo SET quantidade = quantidade + 1 WHERE id % 10 IN (1, 2, 3);
             DELETE FROM exemplo_vacuo WHERE id % 5 = 0",
        );
        let server = Server::start(&["--tls", "starttls", "--login", &format!("backup:{MAIL}")]);
        let plan =
            std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/plans/nightly.yaml")).expect("the plan");
        world.write("nightly.yaml", plan);
        std::fs::create_dir(world.path("share")).expect("a share");
        Self { world, server }
    }

    fn command(&self, arguments: &[&str]) -> std::process::Command {
        let mut command = self.world.runplan();
        command.arg("nightly.yaml").env("RUNPLAN_ZIP_PASSWORD", ZIP).env("RUNPLAN_SMTP_PASSWORD", MAIL);
        command.args(["-p", "smtp_host=127.0.0.1", "-p", &format!("smtp_port={}", self.server.port)]);
        command.args(["-p", &format!("smtp_ca={}", self.server.ca_file().display()), "-p", "copy_dir=share"]);
        command.args(arguments);
        command
    }

    fn run(&self, arguments: &[&str]) -> Run {
        self.command(arguments).output().expect("the binary runs").into()
    }

    /// Changes the plan's text.
    fn edit(&self, from: &str, to: &str) {
        let text = std::fs::read_to_string(self.world.path("nightly.yaml")).expect("the plan");
        assert!(text.contains(from), "{from}");
        self.world.write("nightly.yaml", text.replace(from, to));
    }

    /// The archives in a folder, in order of name, which is that of time here.
    fn archives(&self, dir: &str) -> Vec<String> {
        let own = format!("{}-2", self.world.db());
        self.world.names(dir).into_iter().filter(|n| n.starts_with(&own) && n.ends_with(".zip")).collect()
    }
}

/// Watches the arguments of every process until it is dropped, and then gives those in which a canary was seen.
struct Watch {
    stop: Arc<AtomicBool>,
    thread: Option<std::thread::JoinHandle<(u64, Vec<String>)>>,
}

impl Watch {
    fn new(canaries: Vec<String>) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            let (mut seen, mut rounds) = (Vec::new(), 0);
            while !flag.load(Ordering::Relaxed) {
                for entry in std::fs::read_dir("/proc").expect("/proc").flatten() {
                    let line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
                    let line = String::from_utf8_lossy(&line).replace('\0', " ");
                    // The mail server of the tests is told its login there.
                    let own = line.contains("smtp/server.py");
                    if !own && canaries.iter().any(|c| line.contains(c)) && seen.len() < 5 {
                        seen.push(line);
                    }
                }
                rounds += 1;
            }
            (rounds, seen)
        });
        Self { stop, thread: Some(thread) }
    }

    fn end(mut self) -> (u64, Vec<String>) {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.take().expect("it runs").join().expect("it ends")
    }
}

/// Forms in which a secret could show: as it is, in base64, percent-encoded, in JSON.
fn forms(secret: &str) -> Vec<String> {
    let run = |program: &str, arguments: &[&str]| {
        let output = std::process::Command::new(program).args(arguments).output().expect(program);
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    };
    let python = crate::smtp::python().to_string_lossy().into_owned();
    let python = |code: &str| run(&python, &["-c", code, secret]);
    let base64 = python("import sys,base64; print(base64.b64encode(sys.argv[1].encode()).decode().rstrip('=')[:-1])");
    let percent = python("import sys,urllib.parse; print(urllib.parse.quote(sys.argv[1], safe=''))");
    let json = python("import sys,json; print(json.dumps(sys.argv[1])[1:-1])");
    vec![secret.to_owned(), base64, percent, json]
}

/// Every byte of every file below a folder, with its path.
fn everything(dir: &std::path::Path, text: &mut String) {
    for entry in std::fs::read_dir(dir).expect("a folder").flatten() {
        let path = entry.path();
        if path.is_dir() {
            everything(&path, text);
        } else {
            text.push_str(&format!("\n== {}\n", path.display()));
            text.push_str(&String::from_utf8_lossy(&std::fs::read(&path).unwrap_or_default()));
        }
    }
}

#[test]
fn seven_nights_leave_five_archives_and_a_bad_one_deletes_nothing_and_mails_once() {
    let night = Night::new();
    let world = &night.world;
    night.edit("logs: { dir: logs, keep: 14 }", "logs: { dir: logs, keep: 3 }");
    for dir in ["backups", "share"] {
        world.write(&format!("{dir}/foreign.zip"), "not ours");
        world.write(&format!("{dir}/{}-20200101T000000Z-0000.zip", world.db()), "ours by name, and without a record");
    }
    let pg_password = std::env::var("PGPASSWORD").expect("a password");
    let canaries: Vec<String> = [ZIP, MAIL, &pg_password].iter().flat_map(|s| forms(s)).collect();
    let watch = Watch::new(canaries.clone());
    let mut said = String::new();

    let first = night.run(&[]).ends(0).says("`exemplo_vacuo`: VACUUM (FULL, ANALYZE), no record of a VACUUM");
    said += &first.said;
    for _ in 0..6 {
        said += &night.run(&["-v"]).ends(0).says("last VACUUM was 0 days ago").said;
    }
    assert_eq!(world.sql("SELECT string_agg(tipo_vacuum, ',') FROM controle_vacuum"), "FULL ANALYZE");
    assert_eq!(night.archives("backups").len(), 6, "five and the one without a record");
    assert_eq!(night.archives("backups"), night.archives("share"));
    for name in
        night.archives("backups").iter().flat_map(|n| [n.clone(), format!("{n}.json")]).filter(|n| !n.contains("-2020"))
    {
        let both = ["backups", "share"].map(|d| std::fs::read(world.path(d).join(&name)).expect(&name));
        assert!(both[0] == both[1], "{name}");
    }
    assert_eq!(std::fs::read(world.path("backups/foreign.zip")).expect("the foreign file"), b"not ours");
    assert_eq!(night.server.mails().len(), 0, "a good run sends none");
    assert_eq!(world.names("logs/nightly").len(), 3, "old logs are removed");

    let before = (world.names("backups"), world.names("share"), world.names("logs/nightly"));
    night.edit("format: custom", "program: /nonexistent/pg_dump\n      format: custom");
    let bad = night.run(&[]).ends(1).says("failed at dump").says("help:");
    said += &bad.said;
    assert_eq!((world.names("backups"), world.names("share")), (before.0, before.1), "a failed run deletes nothing");
    assert_eq!(world.names("logs/nightly").len(), before.2.len() + 1, "nor logs");
    let mails = night.server.mails();
    assert_eq!(mails.len(), 1);
    assert_eq!(mails[0].header("Subject"), "[runplan] nightly failed at dump");
    assert!(mails[0].tls() && mails[0].part("login") == "backup", "by STARTTLS, with AUTH");
    let log = mails[0].attachments();
    assert!(log.iter().any(|(name, _, _, text)| name == "run.log" && text.contains("/nonexistent/pg_dump")), "{log:?}");
    assert!(mails[0].part("text").contains("/nonexistent/pg_dump") && mails[0].part("html").contains("<table"));

    let (rounds, seen) = watch.end();
    assert!(rounds > 20, "the processes were looked at {rounds} times");
    assert_eq!(seen, Vec::<String>::new(), "a secret in the arguments of a process");
    let mut all = said;
    everything(&world.path(""), &mut all);
    mails.iter().for_each(|m| all += &format!("{}{}{}", m.raw, m.part("text"), m.part("html")));
    assert!(all.contains("events.jsonl") && all.contains("run.log") && all.len() > 100_000);
    for canary in &canaries {
        let found = all.find(canary.as_str()).map(|at| all[..at].rfind("\n== ").map(|p| all[p..].lines().nth(1)));
        assert_eq!(found, None, "{canary}");
    }
}

#[test]
fn the_dry_run_of_the_sample_plan_shows_the_decisions() {
    let night = Night::new();
    let dry = night.run(&["-n"]).ends(0);
    for part in [
        "creates the control table",
        "`exemplo_vacuo`: VACUUM (FULL, ANALYZE), no record of a VACUUM",
        "--format=custom --compress=0 --lock-wait-timeout=60000",
        "(aes256, deflate)",
        "number 1 of the 5 newest",
        &format!("copies `{}/", night.world.path("backups").display()),
        "on_failure[0] (email)",
        "dba@example.org",
    ] {
        assert!(dry.said.contains(part), "{part}: {}", dry.said);
    }
    assert_eq!(night.world.names("backups"), Vec::<String>::new());
    assert_eq!(night.server.connections(), 0);
}

#[test]
fn a_locked_table_does_not_cost_the_backup() {
    let night = Night::new();
    night.edit(
        "with: { tables: \"${{ params.tables }}\",",
        "with: { lock_timeout: 200ms, tables: \"${{ params.tables }}\",",
    );
    night.world.sql("CREATE TABLE busy (id int)");
    // SHARE UPDATE EXCLUSIVE keeps VACUUM away and lets pg_dump read.
    let mut holder = std::process::Command::new("psql")
        .args([
            "-XAtq",
            "-d",
            night.world.db(),
            "-c",
            "BEGIN; LOCK TABLE busy IN SHARE UPDATE EXCLUSIVE MODE; SELECT pg_sleep(60)",
        ])
        .spawn()
        .expect("psql");
    let held = format!(
        "SELECT count(*) FROM pg_locks l JOIN pg_class c ON c.oid = l.relation WHERE c.relname = 'busy' AND l.granted AND l.database = (SELECT oid FROM pg_database WHERE datname = '{}')",
        night.world.db()
    );
    for _ in 0..100 {
        if night.world.sql(&held) != "0" {
            break;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    let run =
        night.run(&["-p", "tables=exemplo_vacuo,busy", "--format", "json"]).ends(0).says("`busy` was not vacuumed");
    holder.kill().expect("psql");
    holder.wait().expect("psql");
    let json = run.json();
    assert_eq!(json["result"], "warning");
    let statuses: Vec<&str> =
        json["steps"].as_array().expect("steps").iter().filter_map(|s| s["status"].as_str()).collect();
    assert_eq!(statuses, ["warning", "ok", "ok", "ok", "ok", "ok"]);
    assert_eq!(night.archives("backups").len(), 1);
    assert_eq!(night.world.sql("SELECT string_agg(tabela_nome, ',') FROM controle_vacuum"), "exemplo_vacuo");
}

/// Waits until something is so.
fn until(what: &str, mut so: impl FnMut() -> bool) {
    for _ in 0..600 {
        if so() {
            return;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    panic!("{what} did not come to be");
}

fn terminate(child: &Child) {
    std::process::Command::new("kill").args(["-TERM", &child.id().to_string()]).status().expect("kill");
}

#[test]
fn while_one_run_holds_the_lock_the_second_says_so_by_mail_and_exits_75() {
    let night = Night::new();
    night.edit("steps:\n", "steps:\n  - { id: slow, uses: command, with: { argv: [sleep, '60'] } }\n");
    let mut first = night.command(&[]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("runs");
    until("the first run", || {
        !night.world.names("logs/nightly").is_empty() && !night.world.names("state/runplan/locks").is_empty()
    });
    std::thread::sleep(Duration::from_millis(300));
    night.run(&[]).ends(75).says("another run holds the lock");
    let mails = night.server.mails();
    assert_eq!(mails.len(), 1);
    assert!(mails[0].part("text").contains("another run holds the lock"), "{}", mails[0].part("text"));
    terminate(&first);
    assert_eq!(first.wait().expect("it ends").code(), Some(143));
    assert_eq!(night.server.mails().len(), 2, "the one that was terminated says so too");
}

#[test]
fn a_termination_during_a_real_dump_leaves_nothing_and_mails() {
    let night = Night::new();
    night.world.sql(
        "CREATE TABLE big AS SELECT g, md5(g::text) || md5((g * 7)::text) AS t FROM generate_series(1, 1500000) g",
    );
    night.edit("on_failure:\n", "finally:\n  - { uses: command, with: { argv: [touch, finally] } }\non_failure:\n");
    let mut child =
        night.command(&["-p", "vacuum=false"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("runs");
    let partial = || {
        let names = night.world.names("backups");
        let size = |n: &String| std::fs::metadata(night.world.path("backups").join(n)).map_or(0, |m| m.len());
        names.iter().filter(|n| n.ends_with(".partial")).any(|n| size(n) > 100_000)
    };
    until("a half dump", partial);
    let workers = format!(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = '{}' AND application_name LIKE '%pg_dump%' OR datname = '{0}' AND query LIKE 'COPY%'",
        night.world.db()
    );
    assert_ne!(psql("postgres", &workers), "0", "the dump is under way");
    terminate(&child);
    assert_eq!(child.wait().expect("it ends").code(), Some(143));
    assert_eq!(night.world.names("backups"), Vec::<String>::new());
    assert!(night.world.path("finally").exists());
    let mails = night.server.mails();
    assert_eq!(mails.len(), 1);
    assert!(mails[0].part("text").contains("SIGTERM"), "{}", mails[0].part("text"));
    let children = std::process::Command::new("ps").args(["-eo", "stat=,args="]).output().expect("ps");
    let children = String::from_utf8_lossy(&children.stdout).into_owned();
    let left: Vec<&str> = children
        .lines()
        .filter(|l| l.contains("bin/pg_dump") && !l.starts_with('Z') && l.contains("--no-password"))
        .collect();
    // Other tests dump too; those of this database speak to it.
    until("the end of its session", || psql("postgres", &workers) == "0");
    drop(left);
}

#[test]
fn the_failure_mail_goes_also_when_the_log_a_secret_or_the_server_is_missing() {
    let night = Night::new();
    night.edit("delay: 30s", "delay: 10ms");
    // The server cannot be reached.
    let run = night.command(&[]).env("PGPORT", "1").env("PGHOST", "127.0.0.1").output().expect("runs");
    Run::from(run).ends(1).says("connecting to");
    assert_eq!(night.server.mails().len(), 1);
    // A secret is missing; the handler needs another one, which is there.
    let run = night.command(&[]).env_remove("RUNPLAN_ZIP_PASSWORD").output().expect("runs");
    Run::from(run).ends(77).says("the secret `zip_password` is missing");
    assert_eq!(night.server.mails().len(), 2);
    // The folder of the log cannot be made.
    night.edit("logs: { dir: logs, keep: 14 }", "logs: { dir: /proc/nothing, keep: 14 }");
    night.run(&[]).ends(73).says("cannot be written");
    let mails = night.server.mails();
    assert_eq!(mails.len(), 3);
    assert!(mails[2].part("text").contains("cannot be written"), "{}", mails[2].part("text"));
    assert_eq!(night.archives("backups").len(), 0);
}
