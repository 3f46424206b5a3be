//! What a person reads of a run that failed: once while it runs, once at the end, and what to do next.

use crate::smtp::Server;
use crate::world::World;

#[test]
fn a_failure_is_told_once_live_and_once_at_the_end_and_the_mail_says_what_to_do() {
    let (world, server) = (World::with_database(), Server::start(&[]));
    world.sql("CREATE TABLE t AS SELECT generate_series(1, 9) g");
    let plan = format!(
        "steps:\n  - {{ id: dump, uses: pg_dump, timeout: 5m, with: {{ file: 'd-${{{{ run.id }}}}.dump' }} }}\n\
         \x20 - {{ id: copy, uses: command, timeout: 5m, with: {{ argv: [sh, -c, 'echo no-room >&2; exit 4'] }} }}\n\
         on_failure:\n  - {{ uses: email, with: {{ smtp: {{ host: 127.0.0.1, port: {}, security: none }}, from: a@example.org, to: [b@example.org] }} }}\n",
        server.port
    );
    let run = world.run(&plan, &[]).ends(1);
    let ended = "ended with exit status 4";
    let (live, last): (Vec<&str>, Vec<&str>) =
        run.said.lines().filter(|l| l.contains(ended)).partition(|l| l.as_bytes().get(2) == Some(&b':'));
    assert_eq!((live.len(), last.len()), (1, 1), "{}", run.said);
    assert!(last[0].starts_with("night: failed at copy: "), "{last:?}");

    let mail = server.mails().pop().expect("a mail");
    let text = mail.part("text").replace("\r\n", "\n");
    let resume = run.said.lines().find_map(|l| l.split_once("where it stopped: ").map(|(_, c)| c)).expect("a command");
    assert!(text.contains(&format!("\nResume    {resume}\n")), "{text}");
    let made = text.lines().find(|l| l.starts_with("Made ")).unwrap_or_else(|| panic!("{text}"));
    assert!(made.contains("d-20") && made.contains("KiB (by dump)"), "{made}");
    let started = text.lines().find(|l| l.starts_with("Started")).expect("a time");
    let local =
        chrono::DateTime::parse_from_str(&started[10..], "%Y-%m-%d %H:%M:%S %:z").expect("a time with its offset");
    assert_eq!(local.offset(), chrono::Local::now().offset(), "{started}");
    assert!(!text.contains("Kind") && !text.contains("UTC"), "{text}");
}

#[test]
fn many_targets_say_how_far_they_are_and_what_they_made() {
    let world = World::with_database();
    world.sql("CREATE TABLE t AS SELECT generate_series(1, 9) g");
    let plan = "targets: { max_parallel: 1, list: [{ name: a, params: { code: 0 } }, { name: b, params: { code: 5 } }, { name: c, params: { code: 0 } }] }\n\
                params: { code: { type: integer, default: 0 } }\n\
                steps:\n  - { id: dump, uses: pg_dump, timeout: 5m, with: { file: 'd-${{ target.name }}-${{ run.id }}.dump' } }\n\
                \x20 - { id: check, uses: command, timeout: 5m, with: { argv: [sh, -c, 'exit ${{ params.code }}'] } }\n";
    let run = world.run(plan, &[]).ends(1).says("1/3 done\n").says("2/3 done, 1 failed\n").says("3/3 done, 1 failed\n");
    let row = |name: &str| run.out.lines().find(|l| l.trim_start().starts_with(name)).expect("a row").to_owned();
    assert!(row("a ").contains("d-a-") && row("a ").ends_with("KiB"), "{}", run.out);
    assert!(row("b ").contains("exit status 5"), "{}", run.out);
}

#[test]
fn a_failure_is_red_and_a_warning_yellow() {
    let world = World::new();
    let plan = "steps:\n  - { uses: command, timeout: 5m, continue_on_error: true, with: { argv: ['false'] } }\n  - { uses: command, timeout: 5m, with: { argv: ['false'] } }\n";
    let run = world.run(plan, &["--color", "always"]).ends(1);
    let colored = |code: &str, text: &str| run.said.lines().any(|l| l.contains(&format!("\x1b[{code}m{text}")));
    assert!(colored("33", "warning after") && colored("31;1", "failed after"), "{}", run.said);
    assert!(!colored("33", "failed"), "{}", run.said);
}

#[test]
fn warnings_of_the_plan_are_one_line_before_a_run_and_all_with_validate() {
    let world = World::new();
    let plan = "secrets: { a: { env: TEST_ZIP }, b: { env: TEST_ZIP } }\nsteps:\n  - { uses: command, with: { argv: ['true'] } }\n";
    world.run(plan, &[]).ends(0).says("2 warnings in the plan: runplan validate plan.yaml\n").never_says("RP0502");
    world.run(plan, &["-n"]).ends(0).says("RP0502");
    let output = world.runplan().args(["validate", "plan.yaml"]).output().expect("it runs");
    crate::world::Run::from(output).says("RP0502");
}
