//! Secrets that are missing: those that a step reads stop the run, those that only handlers read do not.

use crate::smtp::Server;
use crate::world::{Run, World};

const STEP: &str = "steps:\n  - { id: dump, uses: command, with: { argv: [sh, -c, 'echo made > made'] } }\n";

/// A plan whose mail needs a password that is not there, and one whose mail needs none.
fn plan(port: u16) -> String {
    format!(
        "secrets: {{ senha_email: {{ env: T_SENHA }}, other: {{ env: T_OTHER }} }}\n\
         vars: {{ login: '${{{{ secrets.senha_email }}}}' }}\n\
         defaults: {{ email: {{ from: a@example.org, to: [b@example.org] }} }}\n{STEP}\
         on_failure:\n\
         \x20 - {{ id: avisar, uses: email, with: {{ smtp: {{ host: 127.0.0.1, port: {port}, security: none, username: u, password: '${{{{ vars.login }}}}' }} }} }}\n\
         \x20 - {{ id: plain, uses: email, with: {{ smtp: {{ host: 127.0.0.1, port: {port}, security: none }} }} }}\n"
    )
}

#[test]
fn a_secret_that_only_handlers_read_does_not_cost_the_backup() {
    let (world, server) = (World::new(), Server::start(&[]));
    let good = plan(server.port).replace(", other: { env: T_OTHER }", "");
    let run = world.run(&good, &["--format", "json"]).ends(0);
    let run = run
        .says("nobody can be told: the secret `senha_email` is missing: the environment variable `T_SENHA` is not set");
    assert_eq!(run.json()["result"], "warning", "{}", run.said);
    assert!(run.said.contains("on_failure: avisar") && !run.said.contains("on_failure: plain"), "{}", run.said);
    assert_eq!(run.said.matches("nobody can be told").count(), 2, "{}", run.said);
    assert!(world.path("made").exists());

    // One that fails: the handler whose secret is there tells of it, the other says what it lacks.
    let bad = good.replace("echo made > made", "exit 3");
    let run =
        world.run(&bad, &[]).ends(1).says("avisar       failed").says("failed at dump: `sh` ended with exit status 3");
    run.never_says("does not exist");
    let mails = server.mails();
    assert_eq!(mails.len(), 1);
    assert!(mails[0].part("text").contains("nobody can be told"), "{}", mails[0].part("text"));

    let doctor = |plan: &str| -> Run {
        world.write("plan.yaml", format!("version: 1\nname: night\nlogs: {{ dir: logs }}\n{plan}"));
        world.runplan().args(["doctor", "plan.yaml"]).output().expect("it runs").into()
    };
    doctor(&good).ends(0).says("warning  nobody can be told: the secret `senha_email`");
    world.run(&good, &["-n"]).ends(0).says("warning: nobody can be told: the secret `senha_email` is missing");
    // Empty is as bad as missing.
    world.write("plan.yaml", format!("version: 1\nname: night\nlogs: {{ dir: logs }}\n{good}"));
    let output = world.runplan().arg("plan.yaml").env("T_SENHA", "").output().expect("it runs");
    Run::from(output).ends(0).says("nobody can be told: the secret `senha_email` is missing: its value is empty");
}

#[test]
fn secrets_that_steps_read_stop_the_run_all_at_once_and_a_dry_run_says_so() {
    let (world, server) = (World::new(), Server::start(&[]));
    let plan = plan(server.port).replace(
        "argv: [sh, -c, 'echo made > made']",
        "argv: ['true'], env: { A: '${{ secrets.other }}', B: '${{ secrets.file }}' }",
    );
    let plan = plan.replace("secrets: {", "secrets: { file: { file: no/such/file }, program: { command: ['true'] },");
    for arguments in [&[][..], &["-n"]] {
        let run = world.run(&plan, arguments).ends(77);
        let run = run.says("the secret `other` is missing: the environment variable `T_OTHER` is not set");
        run.says("the secret `file` is missing: ").says("nobody can be told: the secret `senha_email` is missing");
    }
    assert_eq!(server.mails().len(), 1, "the handler that needs no secret tells of it");
    // The rest of the plan is shown all the same.
    world.run(&plan, &["-n"]).ends(77).says("runs: true").says("would fail: the secret");
    assert!(!world.path("made").exists());
}

#[test]
fn a_weak_secret_is_warned_of_and_does_not_spoil_the_log() {
    let world = World::new();
    let plan = "secrets: { weak: { env: T_WEAK } }\n\
                steps:\n  - { uses: command, with: { argv: [echo, 'nightly_x e teste exemplo; night'], env: { W: '${{ secrets.weak }}' } } }\n";
    for (value, why, line) in [
        ("e", "has fewer than four characters", "nightly_x *** teste exemplo; night"),
        ("night", "is also the name of", "nightly_x e teste exemplo; ***"),
        ("exemplo", "is a common word", "nightly_x e teste ***; night"),
    ] {
        world.write("plan.yaml", format!("version: 1\nname: night\nlogs: {{ dir: logs }}\n{plan}"));
        let output = world.runplan().arg("plan.yaml").env("T_WEAK", value).output().expect("it runs");
        Run::from(output).ends(0).says(&format!("the secret `weak` {why}")).says(line);
    }
}
