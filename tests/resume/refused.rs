//! What must be as it was, and what is said when it is not.

use std::process::Stdio;

use serde_json::Value;

use crate::runs::{NIGHT, next_second, night, steps, text};
use crate::world::{Run, World};

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
    world.resume_last(&["--changed"]).ends(0).never_says("one          done by").says("`plan.yaml` is there already");
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

    // A number is one too.
    world.bad("use");
    next_second();
    let pin = |arguments: &[&str]| -> Run {
        let mut command = world.runplan();
        let run: Run = command.env("TEST_SECRET", "748291").args(arguments).output().expect("the binary runs").into();
        run.never_says("748291")
    };
    world.write("plan.yaml", plan("n is ${{ steps.token.outputs.n }}").replace("n=7", "n=748291"));
    pin(&["plan.yaml", "--format", "json"]).ends(1);
    let folder = format!("logs/night/{}", world.last());
    for name in world.names(&folder) {
        let text = std::fs::read_to_string(world.path(&format!("{folder}/{name}"))).expect("a log");
        assert!(text.contains("n\":\"***") || text.contains("n: ***"), "{name}: {text}");
        assert!(!text.contains("748291"), "{name}: {text}");
    }
    pin(&["resume", "last", "--plan", "plan.yaml"]).ends(2).says("`use` reads the output `n` of `token`");
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
    assert!(
        std::path::Path::new(text(&report["steps"][1]["outputs"]["path"])).starts_with(world.path("out")),
        "{report}"
    );
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
    world.resume(&[]).ends(2).says("its plan came from standard input");
    world.resume(&["--plan", "verify"]).ends(2).says("it was made by `runplan verify`");
}
