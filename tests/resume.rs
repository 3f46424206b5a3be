//! `runplan resume`: a run that stopped is gone on with, and what it did is not done again. Run by `tests/sandbox cargo
//! test`.

#[path = "executors/world.rs"]
#[expect(dead_code, reason = "the tests of executors use the rest")]
mod world;

use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant, SystemTime};

use serde_json::Value;

use world::{Run, World};

/// A dump, its copy on a share, and one archive that stays. The copy finds the archive by a name made of the run's id.
const NIGHT: &str = r#"secrets: { zip: { env: TEST_ZIP } }
vars: { archive: "out/${{ database.dbname }}-${{ run.id }}.zip" }
steps:
  - { id: vacuum, uses: vacuum, with: { tables: [t] } }
  - id: dump
    uses: pg_dump
    with: { archive: { path: "${{ vars.archive }}", password: "${{ secrets.zip }}" } }
  - { id: copy, uses: copy, with: { from: "${{ vars.archive }}", to: share } }
  - { id: prune, uses: retention, with: { dir: out, keep_last: 1 } }
on_failure:
  - { uses: command, with: { argv: [sh, -c, 'echo "$1" >> told', told, "${{ failure.step }}: ${{ failure.error }}"] } }
"#;

fn night() -> World {
    let world = World::with_database();
    world.sql("CREATE TABLE t AS SELECT g AS id FROM generate_series(1, 100) g");
    world
}

/// A plan of steps that write their names into `done`; one that a file `bad-<name>` stands for fails.
fn steps(names: &[&str]) -> String {
    let step = |name: &&str| {
        format!(
            "  - {{ id: {name}, uses: command, with: {{ argv: [sh, -c, 'test ! -e bad-{name} || exit 3; echo {name} >> done'] }} }}\n"
        )
    };
    format!("steps:\n{}", names.iter().map(step).collect::<String>())
}

impl World {
    fn resume(&self, arguments: &[&str]) -> Run {
        self.runplan().arg("resume").args(arguments).output().expect("the binary runs").into()
    }

    /// The newest run of the plan.
    fn resume_last(&self, arguments: &[&str]) -> Run {
        self.resume(&[&["last", "--plan", "plan.yaml"], arguments].concat())
    }

    /// What the steps wrote, and nothing is left of it.
    fn done(&self) -> String {
        let text = std::fs::read_to_string(self.path("done")).unwrap_or_default();
        let _ = std::fs::remove_file(self.path("done"));
        text.split_whitespace().collect::<Vec<_>>().join(" ")
    }

    fn bad(&self, name: &str) {
        self.write(&format!("bad-{name}"), "");
    }

    fn good(&self, name: &str) {
        std::fs::remove_file(self.path(&format!("bad-{name}"))).expect("it was there");
    }

    /// The runs as `history` has them, the newest last.
    fn history(&self) -> Vec<Value> {
        let run: Run = self.runplan().args(["history", "plan.yaml", "--format", "json"]).output().expect("runs").into();
        run.ends(0).json()["runs"].as_array().expect("a list").clone()
    }

    fn last(&self) -> String {
        text(&self.history().pop().expect("a run")["run"]).to_owned()
    }

    fn archives(&self, dir: &str) -> Vec<String> {
        self.names(dir).into_iter().filter(|n| n.ends_with(".zip")).collect()
    }

    fn rewrite(&self, change: impl Fn(String) -> String) {
        let text = std::fs::read_to_string(self.path("plan.yaml")).expect("a plan");
        self.write("plan.yaml", change(text));
    }

    /// Starts something that comes to a step which writes its process number, and then waits.
    fn start(&self, arguments: &[&str]) -> Waits {
        self.write("slow", "");
        let child = self.runplan().args(arguments).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let waits = Waits { child: child.expect("the binary runs"), pid: self.path("pid") };
        let until = Instant::now() + Duration::from_secs(60);
        while !std::fs::read_to_string(&waits.pid).is_ok_and(|t| t.ends_with('\n')) {
            assert!(Instant::now() < until, "the step does not begin");
            std::thread::sleep(Duration::from_millis(20));
        }
        std::fs::remove_file(self.path("slow")).expect("it was there");
        waits
    }
}

/// The step that waits as long as it is let.
const WAITS: &str = "  - { id: waits, uses: command, with: { argv: [sh, -c, 'test ! -e slow || { echo $$ > pid; exec sleep 600; }'] } }\n";

struct Waits {
    child: Child,
    pid: PathBuf,
}

impl Waits {
    fn kill(self) {
        drop(self);
    }
}

impl Drop for Waits {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if let Ok(pid) = std::fs::read_to_string(&self.pid) {
            let _ = std::process::Command::new("kill").args(["-9", pid.trim()]).stderr(Stdio::null()).status();
            let _ = std::fs::remove_file(&self.pid);
        }
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// Waits for the next second, so that ids order as runs do.
fn next_second() {
    std::thread::sleep(Duration::from_millis(1050));
}

fn written(path: &Path) -> SystemTime {
    path.metadata().and_then(|m| m.modified()).expect("a file")
}

/// What `status --format prometheus` says of a time.
fn metric(world: &World, name: &str) -> f64 {
    let run: Run =
        world.runplan().args(["status", "plan.yaml", "--format", "prometheus"]).output().expect("runs").into();
    let run = run.ends(0);
    let line = run.out.lines().find(|l| l.starts_with(name)).unwrap_or_else(|| panic!("{name}: {}", run.said));
    line.rsplit(' ').next().and_then(|n| n.parse().ok()).expect("a number")
}

fn seconds(time: &Value) -> f64 {
    let time: chrono::DateTime<chrono::Utc> = text(time).parse().expect("a time");
    time.timestamp_millis() as f64 / 1000.0
}

#[test]
fn what_is_left_of_a_night_is_done_without_another_dump() {
    let world = night();
    std::fs::create_dir(world.path("share")).expect("a folder");
    world.run(NIGHT, &[]).ends(0).never_says("runplan resume");
    let before = world.archives("out");
    std::fs::rename(world.path("share"), world.path("away")).expect("the share goes");
    next_second();
    let failed = world.run(NIGHT, &[]).ends(1).says("there is no folder `share`");
    let both = world.archives("out");
    assert_eq!((both.len(), &both[..1]), (2, &before[..]), "nothing is removed after a failure");
    let made = world.path(&format!("out/{}", both[1]));
    let time = written(&made);
    let stopped = world.last();
    let folder = world.path(&format!("logs/night/{stopped}"));
    failed.says(&format!("help: to go on where it stopped: runplan resume {}\n", folder.display()));

    // The share is still away: that costs nothing either, and the next one goes on with this one.
    next_second();
    let again = world.resume(&[&folder.to_string_lossy()]).ends(1).says("there is no folder `share`");
    let second = world.last();
    again.says(&format!("{second}\n"));
    world
        .resume(&[&stopped, "--plan", "plan.yaml"])
        .ends(2)
        .says("did not end well")
        .says("go on with that one: ")
        .says(&second);

    std::fs::rename(world.path("away"), world.path("share")).expect("the share is back");
    next_second();
    let run = world.resume_last(&[]).ends(0).says(&format!("goes on with run {second}"));
    run.says(&format!("dump         done by run {stopped}")).says("night: ok in ").never_says("runs /");
    assert_eq!(world.archives("out"), both[1..], "the older one went, since all went well");
    assert_eq!(written(&made), time);
    assert_eq!(world.archives("share"), both, "the copy is there");
    assert_eq!(std::fs::read_to_string(world.path("told")).expect("two mails").lines().count(), 2);
    assert_eq!(world.sql("SELECT count(*) FROM controle_vacuum"), "1", "no table is vacuumed again");

    let history = world.history();
    let results: Vec<&str> = history.iter().map(|r| text(&r["result"])).collect();
    assert_eq!(results, ["ok", "failed", "failed", "ok"]);
    assert_eq!((text(&history[2]["resumes"]["run"]), text(&history[3]["resumes"]["run"])), (&*stopped, &*second));
    let table: Run = world.runplan().args(["history", "plan.yaml"]).output().expect("runs").into();
    table.ends(0).says(&format!("goes on with {second}"));
    let status: Run = world.runplan().args(["status", "plan.yaml", "--max-age", "1h"]).output().expect("runs").into();
    status.ends(0).says("OK - night: last good run ").says(&format!("which went on with {second}"));
    // The dump is as old as the run that made it.
    assert_eq!(metric(&world, "runplan_last_success_timestamp_seconds{"), seconds(&history[1]["ended_at"]));
    assert_eq!(metric(&world, "runplan_last_run_timestamp_seconds{"), seconds(&history[3]["ended_at"]));

    // Nothing is left to do, whoever asks.
    world.resume_last(&[]).ends(0).says("nothing is left to do: run ");
    world.resume(&[&second, "--plan", "plan.yaml"]).ends(0).says("went on with run ").says("ended well");
    assert_eq!(world.history().len(), 4);
}

#[test]
fn a_run_that_was_killed_is_gone_on_with_once_it_is_gone() {
    let world = night();
    let plan =
        NIGHT.replace("  - { id: copy, uses: copy, with: { from: \"${{ vars.archive }}\", to: share } }\n", WAITS);
    world.run(&plan, &["--skip", "waits,prune"]).ends(0);
    next_second();
    let waits = world.start(&["plan.yaml"]);
    let run = world.last();
    world.resume_last(&[]).ends(75).says(&format!("run {run} of plan night goes on, at waits"));
    waits.kill();
    assert_eq!(text(&world.history()[1]["result"]), "killed");
    let archives = world.archives("out");
    next_second();

    // Only one goes on with it, and nobody goes on with that one while it lives.
    let waits = world.start(&["resume", "last", "--plan", "plan.yaml"]);
    world.resume(&[&run, "--plan", "plan.yaml"]).ends(75).says(&format!("goes on with run {run}"));
    waits.kill();
    next_second();
    world.resume_last(&[]).ends(0).says(&format!("done by run {run}"));
    assert_eq!(world.archives("out"), archives[1..], "it is the one of the run that was killed");
    assert_eq!(text(&world.history()[3]["result"]), "ok");
}

#[test]
fn what_was_made_must_be_there_before_anything_is_begun() {
    let world = night();
    world.run(NIGHT, &[]).ends(1);
    let name = world.archives("out").pop().expect("an archive");
    let (archive, record) = (world.path(&format!("out/{name}")), world.path(&format!("out/{name}.json")));
    let first = world.last();
    std::fs::create_dir(world.path("share")).expect("a folder");
    let bytes = std::fs::read(&archive).expect("an archive");
    let told = std::fs::read(&record).expect("a record");
    let refused = |why: &str| {
        next_second();
        let run = world.resume_last(&[]).ends(1).says("night: failed: what `dump` did in run ").says(why);
        run.says(&format!("in run {first} does not stand"));
        world.resume_last(&["-n"]).ends(1).says(why);
        assert_eq!(world.archives("share").len(), 0);
    };
    std::fs::rename(&archive, world.path("hidden")).expect("it goes");
    refused(&format!("`out/{name}` is gone"));
    std::fs::write(&archive, &bytes[1..]).expect("another file");
    refused(&format!("`out/{name}` has {} bytes by now", bytes.len() - 1));
    std::fs::rename(world.path("hidden"), &archive).expect("it is back");
    std::fs::remove_file(&record).expect("a record");
    refused("cannot be read");
    let mut json: Value = serde_json::from_slice(&told).expect("JSON");
    json["sha256"] = "0".repeat(64).into();
    std::fs::write(&record, json.to_string()).expect("another record");
    refused("is that of another archive");
    std::fs::write(&record, &told).expect("a record");
    // As long as it was, and no archive: what is older must not go for it.
    let same = bytes.iter().map(|b| !b).collect::<Vec<u8>>();
    let later = written(&record) + Duration::from_secs(3600);
    let write = |bytes: &[u8]| {
        std::fs::write(&archive, bytes).expect("a file");
        std::fs::File::open(&archive).and_then(|f| f.set_modified(later)).expect("a later time");
    };
    write(&same);
    refused(&format!("`out/{name}` holds other bytes than when it was made"));
    write(&bytes);
    let mails = std::fs::read_to_string(world.path("told")).expect("mails");
    assert!(mails.contains("-: what `dump` did in run ") && mails.lines().count() == 6, "{mails}");
    next_second();
    world.resume_last(&[]).ends(0).says(&format!("done by run {first}"));
    assert_eq!((world.archives("out"), world.archives("share")), (vec![name.clone()], vec![name]));
}

#[test]
fn a_plan_that_changed_is_gone_on_with_only_when_that_is_said() {
    let world = World::new();
    let plan = steps(&["one", "two", "three"]).replace("id: two, ", "");
    world.bad("three");
    world.run(&plan, &[]).ends(1);
    assert_eq!(world.done(), "one two");
    world.good("three");
    world.rewrite(|t| t.replace("echo one", "echo ONE"));
    next_second();
    let refused = world.resume_last(&[]).ends(2).says("`plan.yaml` has changed since run ");
    refused.says("add `--changed`, and `-n` first");
    assert_eq!(world.history().len(), 1, "nothing was begun");
    world.resume_last(&["--changed", "-n"]).ends(0).says("done by run ").says("runs: sh -c ");
    assert_eq!((world.history().len(), world.done()), (1, String::new()), "a dry run leaves nothing");
    // A step without an id may be another one by now.
    world.resume_last(&["--changed"]).ends(0);
    assert_eq!(world.done(), "two three");

    world.bad("three");
    next_second();
    world.run(&plan, &[]).ends(1);
    world.good("three");
    world.done();
    next_second();
    // A step that is another executor's by now is done again, and one that is gone is no matter.
    world.rewrite(|t| {
        let two = t.lines().find(|l| l.contains("echo two")).expect("a step").to_owned() + "\n";
        t.replace(&two, "").replace(
            "  - { id: one, uses: command, with: { argv: [sh, -c, 'test ! -e bad-one || exit 3; echo one >> done'] } }\n",
            "  - { id: one, uses: copy, with: { from: plan.yaml, to: ., create: true } }\n",
        )
    });
    world.resume_last(&["--changed"]).ends(0).never_says("one          done by").says("`./plan.yaml` is there already");
    assert_eq!(world.done(), "three");

    world.bad("three");
    next_second();
    world.run(&plan, &[]).ends(1);
    world.rewrite(|t| t.replace("name: night", "name: day"));
    world
        .resume(&[
            &world.path("logs/night").join(world.names("logs/night").pop().expect("a run")).to_string_lossy(),
            "--changed",
        ])
        .ends(2)
        .says("is the plan `day` by now");
    world.rewrite(|t| t.replace("steps:", "stesp:").replace("name: day", "name: night"));
    let folder = world.path("logs/night").join(world.names("logs/night").pop().expect("a run"));
    world.resume(&[&folder.to_string_lossy()]).ends(78).says("nothing was run");
}

#[test]
fn parameters_and_steps_are_those_of_the_run() {
    let world = World::new();
    let plan = "params: { db: { type: string }, n: { type: array, items: { type: integer }, default: [1] } }\nsteps:\n\
        \x20 - { id: one, uses: command, with: { argv: [sh, -c, 'echo one >> done'] } }\n\
        \x20 - { id: two, uses: command, with: { argv: [sh, -c, 'echo two >> done'] } }\n\
        \x20 - { id: three, uses: command, with: { argv: [sh, -c, 'test ! -e bad-three || exit 3; echo \"$DB\" >> done'], env: { DB: \"${{ params.db }}\" } } }\n\
        \x20 - { id: four, uses: command, when: \"params.n == [7, 8]\", with: { argv: [sh, -c, 'echo four >> done'] } }\n";
    world.bad("three");
    world.run(plan, &["-p", "db=a b", "-p", "n=7,8", "--skip", "two"]).ends(1).says("runplan resume");
    world.good("three");
    world.done();
    next_second();
    world.resume_last(&["-p", "db=c"]).ends(2).says("unexpected argument '-p'");
    world.resume_last(&[]).ends(0).says("left out by --skip");
    assert_eq!(world.done(), "a b four");
    // It is no more whole than the run it goes on with.
    let status: Run = world.runplan().args(["status", "plan.yaml", "--max-age", "1h"]).output().expect("runs").into();
    status.ends(1).says("was not whole: without two; goes on with ");

    // A parameter that happens to hold a secret is not in the journal.
    let plan = format!("secrets: {{ s: {{ env: TEST_SECRET }} }}\n{plan}")
        .replace("env: { DB: \"${{ params.db }}\" }", "env: { DB: \"${{ params.db }}\", S: \"${{ secrets.s }}\" }");
    world.bad("three");
    next_second();
    world.write("plan.yaml", format!("version: 1\nname: night\nlogs: {{ dir: logs }}\n{plan}"));
    let secret = |arguments: &[&str]| -> Run {
        let mut command = world.runplan();
        command.env("TEST_SECRET", "Zebra-41").args(arguments).output().expect("the binary runs").into()
    };
    let failed = secret(&["plan.yaml", "-p", "db=x-Zebra-41"]).ends(1);
    failed.never_says("runplan resume").never_says("Zebra-41");
    let refused = secret(&["resume", "last", "--plan", "plan.yaml"]).ends(2);
    refused.says("parameter `db` holds a secret, which the journal does not keep").never_says("Zebra-41");
    // What is given by no hand is in the plan.
    next_second();
    world.write(
        "plan.yaml",
        format!("version: 1\nname: night\nlogs: {{ dir: logs }}\n{plan}")
            .replace("db: { type: string }", "db: { type: string, default: x-Zebra-41 }"),
    );
    secret(&["plan.yaml"]).ends(1).says("runplan resume");
    world.good("three");
    world.done();
    next_second();
    secret(&["resume", "last", "--plan", "plan.yaml"]).ends(0);
    assert_eq!(world.done(), "x-Zebra-41");
}

#[test]
fn an_output_that_holds_a_secret_is_not_known_any_more() {
    let world = World::new();
    let plan = |reads: &str| {
        format!(
            "version: 1\nname: night\nlogs: {{ dir: logs }}\nsecrets: {{ s: {{ env: TEST_SECRET }} }}\nsteps:\n\
             \x20 - id: token\n    uses: command\n    with: {{ argv: [sh, -c, 'printf \"t=%s\\nn=7\\n\" \"$S\" > \"$RUNPLAN_OUTPUT\"; echo token >> done'], env: {{ S: \"${{{{ secrets.s }}}}\" }}, outputs: {{ t: {{ type: string }}, n: {{ type: integer }} }} }}\n\
             \x20 - {{ id: use, uses: command, with: {{ argv: [sh, -c, 'test ! -e bad-use || exit 3; echo \"$X\" >> done'], env: {{ X: \"{reads}\" }} }} }}\n"
        )
    };
    let run = |arguments: &[&str]| -> Run {
        let mut command = world.runplan();
        let run: Run = command.env("TEST_SECRET", "Zebra-41").args(arguments).output().expect("the binary runs").into();
        run.never_says("Zebra-41")
    };
    world.bad("use");
    world.write("plan.yaml", plan("${{ steps.token.outputs.t }}"));
    run(&["plan.yaml"]).ends(1).never_says("runplan resume");
    let refused = run(&["resume", "last", "--plan", "plan.yaml"]).ends(2);
    refused.says("`use` reads the output `t` of `token`, which holds a secret").says("`--from token`");
    next_second();
    world.write("plan.yaml", plan("n is ${{ steps.token.outputs.n }}"));
    run(&["plan.yaml"]).ends(1).says("runplan resume");
    world.good("use");
    world.done();
    // What fails before its first step knows all the same what it took over.
    next_second();
    world.resume_last(&[]).ends(77).says("secret `s` is missing").says("  token  ok ");
    next_second();
    run(&["resume", "last", "--plan", "plan.yaml"]).ends(0);
    assert_eq!(world.done(), "n is 7");
}

#[test]
fn the_run_goes_on_where_it_was_started_and_with_the_database_it_was_about() {
    let world = night();
    world.run(NIGHT, &[]).ends(1);
    std::fs::create_dir_all(world.path("share/elsewhere")).expect("a folder");
    let folder = world.path("logs/night").join(world.last());
    next_second();
    let elsewhere = |database: &str| -> Run {
        let mut command = world.runplan();
        command.current_dir(world.path("share/elsewhere")).env("PGDATABASE", database);
        command.arg("resume").arg(&folder).args(["--report", "json:r.json"]).output().expect("the binary runs").into()
    };
    let refused = elsewhere("postgres").ends(2).says(&format!("/{}, and now the plan means ", world.db()));
    refused.says("/postgres").says("set PGHOST, PGPORT, PGDATABASE");
    assert_eq!(world.history().len(), 1, "nothing was begun");
    elsewhere(world.db()).ends(0);
    assert_eq!((world.archives("out").len(), world.archives("share").len()), (1, 1));
    let report = std::fs::read(world.path("share/elsewhere/r.json")).expect("the report, where it was asked for");
    let report: Value = serde_json::from_slice(&report).expect("JSON");
    assert_eq!(report["steps"][1]["done_by"], report["resumes"]);
    assert!(text(&report["steps"][1]["outputs"]["path"]).starts_with("out/"), "{report}");
}

#[test]
fn a_dump_that_failed_in_one_of_its_places_is_made_anew_under_a_name_of_its_own() {
    let world = night();
    let plan = NIGHT
        .replace(
            "path: \"${{ vars.archive }}\",",
            "path: \"${{ vars.archive }}\", also: [\"second/${{ run.id }}.zip\"],",
        )
        .replace("to: share", "to: share, create: true");
    world.write("second", "in the way");
    world.run(&plan, &[]).ends(1).says("failed at dump").says("runplan resume");
    assert_eq!(world.archives("out").len(), 1);
    std::fs::remove_file(world.path("second")).expect("it was there");
    next_second();
    let run = world.resume_last(&[]).ends(0).says("vacuum       done by run ");
    run.never_says("dump         done by run");
    // The one place that it was in is no place for another one of that name.
    let new = world.last();
    assert_eq!(world.archives("out"), [format!("{}-{new}.zip", world.db())]);
    assert_eq!(
        (world.archives("share"), world.archives("second")),
        (world.archives("out"), vec![format!("{new}.zip")])
    );
}

#[test]
fn a_failure_that_the_plan_allows_stays_one() {
    let world = night();
    std::fs::create_dir(world.path("out")).expect("a folder");
    let plan = NIGHT.replace("id: copy,", "id: copy, continue_on_error: true,").replace(
        "  - { id: prune,",
        "  - { id: after, uses: command, with: { argv: [sh, -c, 'test ! -e bad-after'] } }\n  - { id: prune,",
    );
    world.run(&plan, &["--only", "dump"]).ends(0);
    next_second();
    world.bad("after");
    world.run(&plan, &[]).ends(1);
    world.good("after");
    std::fs::create_dir(world.path("share")).expect("a folder");
    next_second();
    let run = world.resume_last(&["--format", "json"]).ends(0).json();
    assert_eq!((&run["result"], &run["steps"][2]["status"]), (&"warning".into(), &"warning".into()));
    // An archive without its copy: nothing goes, as in a run of its own.
    assert_eq!((world.archives("out").len(), world.archives("share").len()), (2, 0));
    world.resume_last(&[]).ends(0).says("ended well, with 1 warning that the plan allows");
}

#[test]
fn of_several_targets_only_those_are_run_that_did_not_end_well() {
    let world = World::new();
    let targets = "- { name: a }\n- { name: b, params: { v: bee } }\n- { name: c }\n- { name: d }\n";
    world.write("targets.yaml", targets);
    let plan = "params: { v: { type: string, default: none }, w: { type: string, default: x } }\ntargets: { include: targets.yaml }\nsteps:\n\
        \x20 - { id: one, uses: command, with: { argv: [sh, -c, 'echo \"one-$0\" >> done', \"${{ target.name }}\"] } }\n\
        \x20 - { id: two, uses: command, with: { argv: [sh, -c, 'test ! -e \"bad-$0\" || exit 3; echo \"two-$0-$1-$2\" >> done', \"${{ target.name }}\", \"${{ params.v }}\", \"${{ params.w }}\"] } }\n";
    world.bad("b");
    let failed = world.run(plan, &["-p", "w=y", "-l", "a", "-l", "b", "-l", "c"]).ends(1).says("1 of 3 targets failed");
    failed.says("runplan resume ");
    let first = world.last();
    assert_eq!(world.done(), "one-a two-a-none-y one-b one-c two-c-none-y");
    next_second();
    world.resume_last(&[]).ends(1).says("1 of 3 targets failed");
    assert_eq!(world.done(), "");
    world.good("b");
    next_second();
    world.write("targets.yaml", targets.replace("bee", "bug"));
    world.resume_last(&[]).ends(2).says("`targets.yaml` has changed since run ");
    world.write("targets.yaml", targets);
    let run = world.resume_last(&["--format", "json"]).ends(0).json();
    assert_eq!(world.done(), "two-b-bee-y");
    let told: Vec<_> =
        run["targets"].as_array().expect("targets").iter().map(|t| (text(&t["target"]), text(&t["done_by"]))).collect();
    assert_eq!(told, [("a", &*first), ("c", &*first), ("b", "")]);
    let last = world.history().pop().expect("a run");
    assert_eq!((&last["result"], &last["left_out"]), (&"ok".into(), &serde_json::json!(["target d"])));
    world.resume_last(&[]).ends(0).says("nothing is left to do");
}

#[test]
fn a_target_that_ended_well_has_what_it_made_and_all_that_the_plan_asks() {
    let world = night();
    let plan = "secrets: { zip: { env: TEST_ZIP } }\ntargets: { list: [{ name: a }, { name: b }] }\nsteps:\n\
        \x20 - id: dump\n    uses: pg_dump\n    with: { archive: { path: \"out/${{ target.name }}-${{ run.id }}.zip\", password: \"${{ secrets.zip }}\" } }\n\
        \x20 - { id: two, uses: command, with: { argv: [sh, -c, 'test ! -e \"bad-$0\"', \"${{ target.name }}\"] } }\n";
    world.bad("b");
    world.run(plan, &[]).ends(1);
    let name = world.archives("out").remove(0);
    let archive = world.path(&format!("out/{name}"));
    std::fs::rename(&archive, world.path("hidden")).expect("it goes");
    world.good("b");
    next_second();
    let run = world.resume_last(&[]).ends(1).says("1 of 2 targets failed: `a`: what `dump` did in run ");
    run.says(&format!("`out/{name}` is gone"));
    std::fs::rename(world.path("hidden"), &archive).expect("it is back");
    next_second();
    world.resume_last(&[]).ends(0);
    assert_eq!(world.archives("out").len(), 2);

    // What the plan asks by now is asked of both, and the dumps are not made again.
    world.bad("b");
    next_second();
    world.run(plan, &[]).ends(1);
    world.good("b");
    world.rewrite(|t| {
        t + "  - { id: three, uses: command, with: { argv: [sh, -c, 'echo \"three-$0\" >> done', \"${{ target.name }}\"] } }\n"
    });
    next_second();
    world.resume_last(&["--changed"]).ends(0);
    assert_eq!((world.done(), world.archives("out").len()), ("three-a three-b".to_owned(), 4));
}

#[test]
fn what_follows_a_step_that_is_done_again_is_done_again_too() {
    let world = World::new();
    world.bad("three");
    world.run(&steps(&["one", "two", "three"]), &[]).ends(1);
    world.good("three");
    world.done();
    // A disk that lost a piece: what became of the first step is not known any more.
    let events = world.path(&format!("logs/night/{}/events.jsonl", world.last()));
    let text = std::fs::read_to_string(&events).expect("a journal");
    let lost = |line: &&str| line.contains("step_finished") && line.contains("\"label\":\"one\"");
    assert_eq!(text.lines().filter(lost).count(), 1);
    let kept: Vec<&str> = text.lines().filter(|line| !lost(line)).collect();
    std::fs::write(&events, kept.join("\n") + "\n").expect("a journal");
    next_second();
    world.resume_last(&[]).ends(0);
    assert_eq!(world.done(), "one two three");
}

#[test]
fn a_copy_that_lost_its_record_is_read() {
    let world = night();
    std::fs::create_dir(world.path("share")).expect("a folder");
    let plan = NIGHT.replace(
        "  - { id: prune,",
        "  - { id: two, uses: command, with: { argv: [sh, -c, 'test ! -e bad-two'] } }\n  - { id: prune,",
    );
    world.bad("two");
    world.run(&plan, &[]).ends(1);
    world.good("two");
    let name = world.archives("share").pop().expect("a copy");
    let copy = world.path(&format!("share/{name}"));
    let bytes = std::fs::read(&copy).expect("a copy");
    std::fs::remove_file(world.path(&format!("share/{name}.json"))).expect("a record");
    std::fs::write(&copy, bytes.iter().map(|b| !b).collect::<Vec<u8>>()).expect("another file");
    next_second();
    let refused = world.resume_last(&[]).ends(1).says("what `copy` did in run ");
    refused.says(&format!("`share/{name}` holds other bytes than when it was made"));
    std::fs::write(&copy, &bytes).expect("the copy");
    next_second();
    world.resume_last(&[]).ends(0);
}

#[test]
fn a_database_whose_name_is_a_secret_is_not_taken_for_another_one() {
    let world = night();
    let plan = "secrets: { word: { env: TEST_WORD } }\nsteps:\n\
        \x20 - { id: vacuum, uses: vacuum, with: { tables: [t] } }\n\
        \x20 - { id: two, uses: command, with: { argv: [sh, -c, 'exit 3'], env: { WORD: \"${{ secrets.word }}\" } } }\n";
    world.write("plan.yaml", format!("version: 1\nname: night\nlogs: {{ dir: logs }}\n{plan}"));
    let run = |arguments: &[&str]| -> Run {
        let mut command = world.runplan();
        command.env("TEST_WORD", world.db()).args(arguments).output().expect("the binary runs").into()
    };
    run(&["plan.yaml"]).ends(1).never_says("runplan resume");
    let refused = run(&["resume", "last", "--plan", "plan.yaml"]).ends(2).never_says(world.db());
    refused.says("its database has a secret in its name, which the journal does not keep");
}

#[test]
fn a_look_at_what_was_made_ends_when_the_run_is_told_to_stop() {
    let world = night();
    world.run(NIGHT, &[]).ends(1);
    // It was written to, and reading it takes minutes.
    let bytes = 32u64 << 30;
    let archive = world.path("out").join(world.archives("out").pop().expect("an archive"));
    let had = format!("\"bytes\":{}", archive.metadata().expect("an archive").len());
    let file = std::fs::File::options().write(true).open(&archive).expect("the archive");
    file.set_len(bytes)
        .and_then(|()| file.set_modified(SystemTime::now() + Duration::from_secs(3600)))
        .expect("a hole");
    let events = world.path(&format!("logs/night/{}/events.jsonl", world.last()));
    let text = std::fs::read_to_string(&events).expect("a journal");
    std::fs::write(&events, text.replace(&had, &format!("\"bytes\":{bytes}"))).expect("a journal");
    next_second();
    let child = world.runplan().args(["resume", "last", "--plan", "plan.yaml"]).stdout(Stdio::piped()).spawn();
    let child = child.expect("the binary runs");
    let until = Instant::now() + Duration::from_secs(60);
    while world.history().len() < 2 {
        assert!(Instant::now() < until, "it does not begin");
        std::thread::sleep(Duration::from_millis(20));
    }
    let pid = child.id().to_string();
    std::process::Command::new("kill").args(["-INT", &pid]).status().expect("kill");
    let run: Run = child.wait_with_output().expect("it ends").into();
    run.ends(130).says("night: failed: interrupted by SIGINT");
}

#[test]
fn a_run_is_gone_on_with_once_also_when_the_clock_was_set_back() {
    let world = World::new();
    world.bad("two");
    world.run(&steps(&["one", "two"]), &[]).ends(1);
    let now = world.last();
    // The clock was ahead when it ran.
    let ahead = format!("2099{}", &now[4..]);
    let events = world.path(&format!("logs/night/{now}/events.jsonl"));
    let text = std::fs::read_to_string(&events).expect("a journal").replace(&now, &ahead);
    std::fs::write(&events, text).expect("a journal");
    std::fs::rename(world.path(&format!("logs/night/{now}")), world.path(&format!("logs/night/{ahead}")))
        .expect("a name");
    world.good("two");
    world.done();
    world.resume(&[&ahead, "--plan", "plan.yaml"]).ends(0);
    world.resume(&[&ahead, "--plan", "plan.yaml"]).ends(0).says("nothing is left to do: run ");
    assert_eq!(world.done(), "two");
}

#[test]
fn an_old_run_that_is_gone_on_with_is_no_younger_proof_than_a_whole_one() {
    let world = World::new();
    world.bad("two");
    world.run(&steps(&["one", "two"]), &[]).ends(1);
    let old = world.last();
    world.good("two");
    next_second();
    world.run(&steps(&["one", "two"]), &[]).ends(0);
    next_second();
    world.resume(&[&old, "--plan", "plan.yaml"]).ends(0);
    let history = world.history();
    let results: Vec<&str> = history.iter().map(|r| text(&r["result"])).collect();
    assert_eq!(results, ["failed", "ok", "ok"]);
    assert_eq!(metric(&world, "runplan_last_success_timestamp_seconds{"), seconds(&history[1]["ended_at"]));
    let status: Run = world.runplan().args(["status", "plan.yaml", "--max-age", "1h"]).output().expect("runs").into();
    status.ends(0).says(text(&history[1]["run"]));
}

#[test]
fn what_a_killed_run_did_not_come_to_is_known_from_the_one_before() {
    let world = World::new();
    let waits = "'if test \"$0\" = a -a -e slow; then echo $$ > pid; exec sleep 600; fi; test ! -e \"bad-$0\" || exit 3; echo \"two-$0\" >> done'";
    let plan = format!(
        "targets: {{ list: [{{ name: a }}, {{ name: b }}] }}\nsteps:\n\
         \x20 - {{ id: one, uses: command, with: {{ argv: [sh, -c, 'echo \"one-$0\" >> done', \"${{{{ target.name }}}}\"] }} }}\n\
         \x20 - {{ id: two, uses: command, with: {{ argv: [sh, -c, {waits}, \"${{{{ target.name }}}}\"] }} }}\n"
    );
    world.bad("a");
    world.bad("b");
    world.run(&plan, &[]).ends(1);
    assert_eq!(world.done(), "one-a one-b");
    world.good("a");
    world.good("b");
    next_second();
    // The second one is killed at the first target, before it comes to the other.
    world.start(&["resume", "last", "--plan", "plan.yaml"]).kill();
    next_second();
    world.resume_last(&[]).ends(0);
    assert_eq!(world.done(), "two-a two-b");
}

#[test]
fn what_cannot_be_gone_on_with_is_refused_in_a_sentence() {
    let world = World::new();
    world.resume(&[]).ends(2).says("there is no run").says("add `--plan FILE`");
    world.resume(&["plan.yaml"]).ends(2).says("`plan.yaml` is a plan, and no run").says("`last --plan plan.yaml`");
    // In the user's state folder a run is found by its id.
    let plan = format!("version: 1\nname: night\n{}", steps(&["one", "two"]));
    world.write("plan.yaml", &plan);
    world.bad("one");
    let run = |arguments: &[&str]| -> Run { world.runplan().args(arguments).output().expect("runs").into() };
    // Nothing was done: going on is beginning anew, which needs no advice.
    run(&["plan.yaml"]).ends(1).never_says("runplan resume");
    world.good("one");
    world.bad("two");
    next_second();
    let failed = run(&["plan.yaml"]).ends(1).says("help: to go on where it stopped: runplan resume 2");
    let id = failed.out.lines().find_map(|l| l.split("runplan resume ").nth(1)).expect("a command").to_owned();
    world.good("two");
    world.done();
    next_second();
    world.resume(&[&id[..20]]).ends(0);
    assert_eq!(world.done(), "two");

    let piped = |text: &str| -> Run {
        use std::io::Write;
        let mut command = world.runplan();
        let child =
            command.args(["run", "-"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        let mut child = child.expect("the binary runs");
        child.stdin.take().expect("a pipe").write_all(text.as_bytes()).expect("it reads");
        child.wait_with_output().expect("it ends").into()
    };
    world.bad("two");
    next_second();
    piped(&plan).ends(1).never_says("runplan resume");
    world.resume(&[]).ends(2).says("its plan came from standard input");
    next_second();
    run(&["verify", "nowhere.zip"]).ends(1);
    world.resume(&[]).ends(2).says("it was made by `runplan verify`");
}
