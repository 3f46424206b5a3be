//! The binary, run as a user would, with plans of programs.

use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

fn runplan(dir: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_runplan"));
    command.current_dir(dir).env_remove("PGSERVICE").env("XDG_STATE_HOME", dir.join("state")).env("NO_COLOR", "1");
    command
}

fn run(dir: &Path, plan: &str, arguments: &[&str]) -> Output {
    std::fs::write(dir.join("plan.yaml"), plan).expect("a plan can be written");
    runplan(dir).arg("plan.yaml").args(arguments).output().expect("the binary runs")
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

const HEAD: &str = "version: 1\nname: night\nlogs: { dir: logs, keep: 2 }\n";

#[test]
fn steps_run_in_order_with_templates_and_the_journal_keeps_them() {
    let dir = tempfile::tempdir().expect("a folder");
    let plan = format!(
        "{HEAD}params: {{ who: {{ type: string, default: world }} }}\nvars: {{ text: 'hello ${{{{ params.who }}}}' }}\nsteps:\n\
         \x20 - id: greet\n    uses: command\n    with: {{ argv: [echo, '${{{{ vars.text }}}}'] }}\n\
         \x20 - uses: command\n    when: steps.greet.outputs.exit_code == 0 and params.who != 'nobody'\n    with: {{ argv: [echo, second] }}\n"
    );
    let output = run(dir.path(), &plan, &["-p", "who=moon"]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    assert!(said(&output).contains("hello moon") && said(&output).contains("second"), "{}", said(&output));
    let runs: Vec<_> = std::fs::read_dir(dir.path().join("logs/night")).expect("a log").flatten().collect();
    let events = std::fs::read_to_string(runs[0].path().join("events.jsonl")).expect("events");
    assert!(events.lines().last().is_some_and(|l| l.contains("run_finished")), "{events}");
    for _ in 0..3 {
        run(dir.path(), &plan, &[]);
    }
    assert_eq!(std::fs::read_dir(dir.path().join("logs/night")).expect("logs").count(), 2, "old logs are removed");
}

#[test]
fn a_failure_ends_the_list_runs_the_handlers_and_exits_1() {
    let dir = tempfile::tempdir().expect("a folder");
    let plan = format!(
        "{HEAD}steps:\n  - {{ id: bad, uses: command, with: {{ argv: [sh, -c, 'echo oops >&2; exit 3'] }} }}\n\
         \x20 - {{ id: after, uses: command, with: {{ argv: [touch, after] }} }}\n\
         on_failure:\n  - {{ uses: command, with: {{ argv: [echo, 'handler saw ${{{{ failure.step }}}} ${{{{ failure.kind }}}}'] }} }}\n\
         finally:\n  - {{ uses: command, with: {{ argv: [touch, finally] }} }}\n"
    );
    let output = run(dir.path(), &plan, &[]);
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    assert!(said(&output).contains("handler saw bad step"), "{}", said(&output));
    assert!(said(&output).contains("exit status 3: oops"), "{}", said(&output));
    assert!(!dir.path().join("after").exists() && dir.path().join("finally").exists());
    let allowed = plan.replace("id: bad,", "id: bad, continue_on_error: true,");
    let output = run(dir.path(), &allowed, &[]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    assert!(dir.path().join("after").exists());
}

#[test]
fn a_secret_is_seen_nowhere_and_a_missing_one_exits_77() {
    let dir = tempfile::tempdir().expect("a folder");
    let plan = format!(
        "{HEAD}secrets: {{ pw: {{ env: RP_PW }} }}\nsteps:\n\
         \x20 - {{ uses: command, with: {{ argv: [sh, -c, 'echo $PW; env; printf %s \"$PW\" | base64'], env: {{ PW: '${{{{ secrets.pw }}}}' }} }} }}\n"
    );
    std::fs::write(dir.path().join("plan.yaml"), &plan).expect("a plan");
    let output = runplan(dir.path()).arg("plan.yaml").env("RP_PW", "canary-Zebra-77").output().expect("runs");
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    assert!(said(&output).contains("***"), "{}", said(&output));
    let mut all = said(&output);
    for run in std::fs::read_dir(dir.path().join("logs/night")).expect("logs").flatten() {
        for file in ["events.jsonl", "run.log"] {
            all += &std::fs::read_to_string(run.path().join(file)).expect("a log");
        }
    }
    assert!(!all.contains("canary-Zebra-77") && !all.contains("Y2FuYXJ5LVplYnJhLT"), "{all}");
    let output = runplan(dir.path()).arg("plan.yaml").env_remove("RP_PW").output().expect("runs");
    assert_eq!(output.status.code(), Some(77), "{}", said(&output));
}

#[test]
fn an_invalid_plan_exits_78_with_every_finding() {
    let dir = tempfile::tempdir().expect("a folder");
    let plan = "version: 1\nname: night\nsteps:\n  - uses: comand\n    retrys: { attempts: 2 }\n  - uses: command\n    \
                timeout: 30\n    with: { argv: ['${{ params.nope }}'] }\n";
    let output = run(dir.path(), plan, &[]);
    assert_eq!(output.status.code(), Some(78), "{}", said(&output));
    for part in [
        "plan.yaml:4:11",
        "did you mean `command`?",
        "plan.yaml:5:5",
        "did you mean `retry`?",
        "plan.yaml:7:14",
        "`30s`",
        "has no `nope`",
    ] {
        assert!(said(&output).contains(part), "{part}: {}", said(&output));
    }
    let output = runplan(dir.path()).arg("missing.yaml").output().expect("runs");
    assert_eq!(output.status.code(), Some(2), "{}", said(&output));
}

#[test]
fn a_dry_run_changes_nothing() {
    let dir = tempfile::tempdir().expect("a folder");
    let plan = format!("{HEAD}steps:\n  - {{ uses: command, with: {{ argv: [touch, made] }} }}\n");
    let output = run(dir.path(), &plan, &["-n"]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    assert!(String::from_utf8_lossy(&output.stdout).contains("runs: touch made"), "{}", said(&output));
    let names: Vec<_> = std::fs::read_dir(dir.path()).expect("the folder").flatten().map(|e| e.file_name()).collect();
    assert_eq!(names, ["plan.yaml"]);
}

#[test]
fn one_run_at_a_time_and_timeouts_and_retries_end_as_they_should() {
    let dir = tempfile::tempdir().expect("a folder");
    let slow = format!("{HEAD}steps:\n  - {{ uses: command, with: {{ argv: [sleep, '30'] }} }}\n");
    std::fs::write(dir.path().join("slow.yaml"), slow).expect("a plan");
    let mut first = runplan(dir.path()).arg("slow.yaml").stderr(std::process::Stdio::null()).spawn().expect("runs");
    std::thread::sleep(Duration::from_millis(1500));
    let second = runplan(dir.path()).arg("slow.yaml").output().expect("runs");
    assert_eq!(second.status.code(), Some(75), "{}", said(&second));
    Command::new("kill").args(["-TERM", &first.id().to_string()]).status().expect("kill");
    assert_eq!(first.wait().expect("it ends").code(), Some(143));

    let late = "version: 1\nname: late\nlogs: { dir: logs }\ntimeout: 1s\nsteps:\n  - { uses: command, with: { argv: [sleep, '30'] } }\n";
    let output = run(dir.path(), late, &[]);
    assert_eq!(output.status.code(), Some(124), "{}", said(&output));

    let again = "version: 1\nname: again\nlogs: { dir: logs }\nsteps:\n  - uses: command\n    \
                 retry: { attempts: 3, delay: 10ms, errors: ['exit:1'] }\n    \
                 with: { argv: [sh, -c, 'echo x >> tries; test $(wc -l < tries) -ge 3'] }\n";
    let output = run(dir.path(), again, &[]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    assert!(said(&output).contains("attempt 2 of 3 failed"), "{}", said(&output));
}

#[test]
fn vars_that_repeat_others_are_bounded_together() {
    let dir = tempfile::tempdir().expect("a folder");
    let copies = |name: &str, count: usize| format!("${{{{ vars.{name} }}}}").repeat(count);
    let plan = |count: usize| {
        let vars = format!("  a: {}\n  b: {}\n  c: {}\n", "x".repeat(1000), copies("a", 33), copies("b", 31));
        let more: String = (0..count).map(|at| format!("  v{at}: {}\n", copies("c", 1))).collect();
        format!("{HEAD}vars:\n{vars}{more}steps:\n  - {{ uses: command, with: {{ argv: [touch, made] }} }}\n")
    };
    for arguments in [&["-n"][..], &[]] {
        let output = run(dir.path(), &plan(16), arguments);
        assert_eq!(output.status.code(), Some(1), "{}", said(&output));
        let text = said(&output);
        assert!(text.contains("`vars.v15`: with this one, all vars together become larger than 16 MiB"), "{text}");
        assert!(!dir.path().join("made").exists(), "a step ran");
    }
    let output = run(dir.path(), &plan(15), &[]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    assert!(dir.path().join("made").exists());
}

#[test]
fn a_template_works_only_where_it_may_and_a_secret_is_seen_before_the_run() {
    let dir = tempfile::tempdir().expect("a folder");
    for (plan, expected) in [
        ("steps:\n  - { uses: '${{ params.x }}' }\n", "RP0107"),
        ("steps:\n  - { uses: command, tags: ['${{ params.x }}'], with: { argv: [a] } }\n", "RP0107"),
        (
            "secrets: { s: { env: TOKEN } }\nsteps:\n  - { uses: command, with: { argv: ['${{ env.TOKEN }}'] } }\n",
            "RP0401",
        ),
        (
            "secrets: { s: { env: TOKEN } }\nvars: { v: 'x${{ env.TOKEN }}' }\nsteps:\n  - { uses: command, with: { argv: ['${{ vars.v }}'] } }\n",
            "RP0401",
        ),
        (
            "steps:\n  - { id: a, uses: command, with: { argv: [a] } }\nfinally:\n  - { id: a, uses: command, with: { argv: [a] } }\n",
            "RP0106",
        ),
    ] {
        let plan = format!("{HEAD}params: {{ x: {{ type: string, default: command }} }}\n{plan}");
        let output = run(dir.path(), &plan, &["-n"]);
        assert_eq!(output.status.code(), Some(78), "{plan}{}", said(&output));
        assert!(said(&output).contains(expected), "{plan}{}", said(&output));
    }
}

#[test]
fn a_secret_across_the_cut_of_a_long_line_is_not_seen_in_part() {
    let dir = tempfile::tempdir().expect("a folder");
    // The line is cut at 16 KiB, in the middle of the secret.
    let plan = format!(
        "{HEAD}secrets: {{ pw: {{ env: RP_PW }} }}\nsteps:\n  - uses: command\n    with:\n      argv: [sh, -c, 'head -c 16376 /dev/zero | tr \"\\0\" x; echo \"$PW end\"']\n      env: {{ PW: '${{{{ secrets.pw }}}}' }}\n"
    );
    std::fs::write(dir.path().join("plan.yaml"), &plan).expect("a plan");
    let output = runplan(dir.path()).arg("plan.yaml").env("RP_PW", "canary-Zebra-77").output().expect("runs");
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    assert!(said(&output).contains("xxxx") && !said(&output).contains("canary"), "{}", &said(&output)[16_000..]);
}

#[test]
fn parameters_are_read_by_their_types_from_flags_and_files() {
    let dir = tempfile::tempdir().expect("a folder");
    let plan = format!(
        "{HEAD}params:\n  keep: {{ type: integer, minimum: 1 }}\n  on: {{ type: boolean, default: false }}\n  names: {{ type: array, items: {{ type: string }}, default: [] }}\n\
         steps:\n  - uses: command\n    with: {{ argv: [echo, 'keep ${{{{ params.keep + 1 }}}} of ${{{{ params.names | join(\"+\") }}}}'] }}\n\
         \x20 - {{ uses: command, when: params.on, with: {{ argv: [echo, it is on] }} }}\n"
    );
    std::fs::write(dir.path().join("values.yaml"), "keep: 4\nnames: [x, y]\n").expect("a file");
    let output = run(dir.path(), &plan, &["--params-file", "values.yaml", "-p", "names=a,b"]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    assert!(said(&output).contains("keep 5 of a+b") && !said(&output).contains("it is on"), "{}", said(&output));
    let output = run(dir.path(), &plan, &["-p", "keep=1", "-p", "on=true", "-p", "names=[\"c, d\"]"]);
    assert!(said(&output).contains("keep 2 of c, d") && said(&output).contains("it is on"), "{}", said(&output));
    for (arguments, expected) in [
        (vec!["-p", "keep=seven"], "expected an integer, found `seven`"),
        (vec!["-p", "keep=0"], "expected at least 1"),
        (vec!["-p", "keep=1", "-p", "on=yes"], "expected a boolean"),
        (vec!["-p", "kep=1"], "did you mean `keep`?"),
        (vec!["-p", "keep"], "write `-p name=value`"),
        (vec![], "parameter `keep` is required"),
        (vec!["--params-file", "missing.yaml"], "cannot read the parameters file"),
        (vec!["--nonsense"], "--nonsense"),
    ] {
        let output = run(dir.path(), &plan, &arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {}", said(&output));
        assert!(said(&output).contains(expected), "{arguments:?}: {}", said(&output));
    }
    let runs = std::fs::read_dir(dir.path().join("logs/night")).expect("logs").count();
    assert_eq!(runs, 2, "only the two good ones were begun");
}

#[test]
fn handlers_fit_the_end_and_their_failures_change_nothing() {
    let dir = tempfile::tempdir().expect("a folder");
    let touch = |name: &str| format!("  - {{ uses: command, with: {{ argv: [touch, {name}] }} }}\n");
    let handlers = format!(
        "on_success:\n{}on_failure:\n  - {{ uses: command, with: {{ argv: ['false'] }} }}\n{}finally:\n{}",
        touch("good"),
        touch("bad"),
        touch("always")
    );
    let made = |name: &str| std::fs::remove_file(dir.path().join(name)).is_ok();
    let output = run(dir.path(), &format!("{HEAD}steps:\n{}{handlers}", touch("step")), &[]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    assert!(made("good") && !made("bad") && made("always"));
    let failing =
        format!("{HEAD}steps:\n  - {{ id: one, uses: command, with: {{ argv: [sh, -c, 'exit 4'] }} }}\n{handlers}");
    let output = run(dir.path(), &failing, &[]);
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    assert!(!made("good") && made("bad") && made("always"), "the next handler has its chance");
    assert!(said(&output).contains("failed at one: `sh` ended with exit status 4"), "{}", said(&output));
    for (begin, steps, expected) in [
        ("", "argv: [echo, well]", 0),
        ("secrets: { key: { env: RUNPLAN_TEST_NO_SUCH } }\n", "argv: [cat], stdin: '${{ secrets.key }}'", 77),
    ] {
        let broken = "  - { uses: command, with: { argv: ['false'] } }\n";
        let plan = format!(
            "{HEAD}{begin}steps:\n  - {{ uses: command, with: {{ {steps} }} }}\non_success:\n{broken}on_failure:\n{broken}finally:\n{broken}"
        );
        let output = run(dir.path(), &plan, &[]);
        assert_eq!(output.status.code(), Some(expected), "{}", said(&output));
        assert!(said(&output).contains("`false` ended with exit status 1"), "{}", said(&output));
    }
}

#[test]
fn an_interrupt_runs_the_handlers_and_exits_130() {
    let dir = tempfile::tempdir().expect("a folder");
    let plan = format!(
        "{HEAD}steps:\n  - {{ uses: command, with: {{ argv: [sh, -c, 'touch begun; exec sleep 60'] }} }}\nfinally:\n  - {{ uses: command, with: {{ argv: [touch, ended] }} }}\n"
    );
    std::fs::write(dir.path().join("plan.yaml"), plan).expect("a plan");
    let mut child = runplan(dir.path()).arg("plan.yaml").stderr(std::process::Stdio::null()).spawn().expect("runs");
    while !dir.path().join("begun").exists() {
        std::thread::sleep(Duration::from_millis(20));
    }
    Command::new("kill").args(["-INT", &child.id().to_string()]).status().expect("kill");
    assert_eq!(child.wait().expect("it ends").code(), Some(130));
    assert!(dir.path().join("ended").exists());
}

#[test]
fn steps_are_picked_by_tag_and_id() {
    let dir = tempfile::tempdir().expect("a folder");
    let step = |id: &str, tag: &str| {
        format!("  - {{ id: {id}, tags: [{tag}], uses: command, with: {{ argv: [touch, {id}] }} }}\n")
    };
    let plan = format!("{HEAD}steps:\n{}{}{}", step("a", "x"), step("b", "x"), step("c", "y"));
    let made =
        || ["a", "b", "c"].into_iter().filter(|n| std::fs::remove_file(dir.path().join(n)).is_ok()).collect::<String>();
    for (arguments, expected) in [
        (vec!["--tags", "x"], "ab"),
        (vec!["--skip-tags", "x"], "c"),
        (vec!["--only", "a,c"], "ac"),
        (vec!["--skip", "a"], "bc"),
        (vec!["--from", "b"], "bc"),
        (vec!["--from", "b", "--tags", "y"], "c"),
    ] {
        let output = run(dir.path(), &plan, &arguments);
        assert_eq!(output.status.code(), Some(0), "{arguments:?}: {}", said(&output));
        assert_eq!(made(), expected, "{arguments:?}");
    }
    let output = run(dir.path(), &plan, &["--only", "d"]);
    assert_eq!(output.status.code(), Some(2), "{}", said(&output));
}

#[test]
fn without_colour_not_one_escape_byte_is_written() {
    let dir = tempfile::tempdir().expect("a folder");
    let plan = format!("{HEAD}steps:\n  - {{ uses: comand, with: {{ argv: [a] }} }}\n");
    for arguments in
        [vec!["plan.yaml"], vec!["--help"], vec!["--nonsense"], vec!["validate", "plan.yaml"], vec!["steps", "nope"]]
    {
        std::fs::write(dir.path().join("plan.yaml"), &plan).expect("a plan");
        let mut command = runplan(dir.path());
        let output = command.args(&arguments).env("CLICOLOR_FORCE", "1").output().expect("runs");
        assert!(!said(&output).contains('\x1b'), "{arguments:?}: {}", said(&output));
        let output = runplan(dir.path()).env_remove("NO_COLOR").env("CLICOLOR_FORCE", "1").arg("plan.yaml").output();
        assert!(said(&output.expect("runs")).contains('\x1b'));
    }
}

#[test]
fn relative_paths_from_the_root_folder_belong_to_the_plan() {
    let dir = tempfile::tempdir().expect("a folder");
    let logs = dir.path().join("logs");
    let plan = |path: &str| {
        format!(
            "version: 1\nname: night\nlogs: {{ dir: '{}' }}\nsteps:\n  - {{ uses: copy, with: {{ from: {path}, to: /nowhere }} }}\n",
            logs.display()
        )
    };
    for (path, full) in [("a/b.zip", dir.path().join("a/b.zip")), ("/a/b.zip", "/a/b.zip".into())] {
        std::fs::write(dir.path().join("plan.yaml"), plan(path)).expect("a plan");
        let output = runplan(dir.path()).current_dir("/").arg("-n").arg(dir.path().join("plan.yaml")).output();
        let output = output.expect("runs");
        assert!(said(&output).contains(&format!("`{}`", full.display())), "{}", said(&output));
    }
}

#[test]
fn flags_of_every_command_may_stand_before_it_and_those_of_a_run_may_not() {
    let dir = tempfile::tempdir().expect("a folder");
    for arguments in [&["-q", "steps", "sql"][..], &["--color", "never", "steps", "sql"], &["steps", "-v", "sql"]] {
        let output = runplan(dir.path()).args(arguments).output().expect("the binary runs");
        assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    }
    for (arguments, flag) in [
        (&["-n", "steps", "sql"][..], "--dry-run"),
        (&["-p", "a=1", "validate", "."], "--param"),
        (&["plan.yaml", "validate", "."], "[PLAN]"),
    ] {
        let output = runplan(dir.path()).args(arguments).output().expect("the binary runs");
        assert_eq!(output.status.code(), Some(2), "{}", said(&output));
        assert!(said(&output).contains(flag) && said(&output).contains("cannot stand before"), "{}", said(&output));
    }
}

#[test]
fn a_word_that_is_neither_a_command_nor_a_file_is_said_to_be_so() {
    let dir = tempfile::tempdir().expect("a folder");
    for (arguments, what, help) in [
        (&["vaildate", "x"][..], "there is no command and no file `vaildate`", "did you mean `runplan validate`?"),
        (
            &["vaildate", "--deny-warnings", "x"],
            "no command and no file `vaildate`",
            "did you mean `runplan validate`?",
        ),
        (&["list"], "there is no command and no file `list`", "`runplan --help` lists the commands"),
        (&["version"], "there is no command and no file `version`", "did you mean `runplan --version`?"),
        (&["run", "nowhere.yaml"], "there is no plan `nowhere.yaml`", ""),
    ] {
        let output = runplan(dir.path()).args(arguments).output().expect("the binary runs");
        assert_eq!(output.status.code(), Some(2), "{}", said(&output));
        assert!(said(&output).contains(what) && said(&output).contains(help), "{}", said(&output));
        assert!(!said(&output).contains("os error"), "{}", said(&output));
    }
}

#[test]
fn a_plan_in_latin_1_is_said_to_be_so_with_its_line() {
    let dir = tempfile::tempdir().expect("a folder");
    std::fs::write(dir.path().join("old.yaml"), b"version: 1\nname: night\ndescription: c\xf3pia\n").expect("a plan");
    let output = runplan(dir.path()).args(["validate", "old.yaml"]).output().expect("the binary runs");
    assert_eq!(output.status.code(), Some(2), "{}", said(&output));
    assert!(said(&output).contains("`old.yaml`: line 3 is not UTF-8 text"), "{}", said(&output));
    assert!(said(&output).contains("iconv -f latin1 -t utf8 old.yaml"), "{}", said(&output));
    assert!(!said(&output).contains("did you mean"), "{}", said(&output));
}
