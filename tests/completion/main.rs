//! Completion in the shells of users. Run by `tests/sandbox cargo test`.

mod shells;
#[path = "../executors/world.rs"]
#[expect(dead_code, reason = "the tests with a database use the rest")]
mod world;

use std::process::Command;

use shells::{ALL, Shell, offered, typed};
use world::{Run, World, script};

const PLAN: &str = r#"version: 1
name: night
params:
  keep: { type: integer, default: 5, description: How many archives to keep }
  full: { type: boolean, default: true }
  tier: { type: string, enum: [gold, tin], default: gold }
secrets:
  zip: { command: [./fetch] }
  other: { file: secret }
logs: { dir: "logs/${{ params.tier }}" }
targets:
  select: target.labels.tier != "scratch"
  list:
    - { name: crm, description: Customers, labels: { tier: prod, size: 3 } }
    - { name: shop, labels: { tier: prod } }
    - { name: play, labels: { tier: scratch } }
steps:
  - { id: vacuum, name: Reclaim dead rows, uses: command, when: params.full and params.keep > 1, tags: [slow, weekly], with: { argv: [./work] } }
  - { id: verify, uses: command, tags: [slow], with: { argv: [./work], env: { Z: "${{ secrets.zip }}", O: "${{ secrets.other }}" } } }
  - { id: history, uses: command, with: { argv: [./work] } }
"#;

/// A world with plans, a name with a blank among them, and runs.
fn world() -> World {
    let world = World::new();
    world.write("plans/night.yaml", PLAN);
    world.write("plans/my plan.yml", PLAN);
    world.write("plans/broken.yaml", PLAN.replace("uses: command, with", "uses: comand, with"));
    world.write("plans/notes.txt", "");
    world.write("plans/old/night.yaml", PLAN);
    world.write("home/night.yaml", PLAN);
    world.write("secret", "canary-file");
    script(&world.path("fetch"), "touch fetched; echo canary-command");
    script(&world.path("work"), "touch worked");
    for run in ["20260101T000000Z-aaaa", "20260102T000000Z-bbbb", "20260102T000000Z-cccc"] {
        world.write(&format!("plans/logs/gold/night/{run}/events.jsonl"), "");
        world.write(&format!("state/runplan/logs/night/{run}/events.jsonl"), "");
    }
    world
}

#[test]
fn each_shell_offers_what_the_plan_has() {
    let world = world();
    for (line, expected) in [
        ("runplan run plans/night.yaml --only ", "vacuum verify history"),
        ("runplan plans/night.yaml --only verify --from ", "vacuum verify history"),
        ("runplan plans/night.yaml --only vacuum,ve", "vacuum,verify"),
        ("runplan run -n --skip=v", ""),
        ("runplan run plans/night.yaml --skip=v", "--skip=vacuum --skip=verify"),
        ("runplan run plans/night.yaml -t ", "slow weekly"),
        ("runplan run plans/night.yaml --skip-tags w", "weekly"),
        ("runplan run plans/night.yaml -l ", "crm shop size=3 tier=prod"),
        ("runplan doctor plans/night.yaml --target tier=", "tier=prod"),
        ("runplan show plans/night.yaml -p ", "keep= full= tier="),
        ("runplan show plans/night.yaml -p full=", "full=true full=false"),
        ("runplan run plans/night.yaml -p tier=g", "tier=gold"),
        ("runplan run plans/night.yaml -p keep=", ""),
        ("runplan run plans/", "plans/broken.yaml plans/night.yaml plans/logs/ plans/old/"),
        ("runplan pla", "plans/"),
        ("runplan run 'plans/my plan.yml' --only h", "history"),
        ("runplan run ~/night.yaml --only h", "history"),
        (
            "runplan logs --plan plans/night.yaml ",
            "last 20260102T000000Z-cccc 20260102T000000Z-bbbb 20260101T000000Z-aaaa",
        ),
        ("runplan logs 20260101", "20260101T000000Z-aaaa"),
        ("runplan history n", "night"),
        ("runplan explain RP000", "RP0001 RP0002 RP0003 RP0004 RP0005 RP0006 RP0007 RP0008 RP0009"),
        ("runplan steps pg", "pg_dump pg_restore"),
        ("runplan help se", "secrets security"),
        ("runplan init --template d", "dump-only"),
        ("runplan hist", "history"),
        ("runplan status --max", "--max-age"),
        ("runplan logs --pl", "--plan"),
        ("runplan status --format p", "prometheus"),
        ("runplan run plans/night.yaml --report j", "json: junit:"),
        ("runplan run plans/night.yaml --report junit:pl", "junit:plans/"),
        ("runplan run plans/broken.yaml --only ", ""),
        ("runplan run plans/none.yaml --only ", ""),
        ("runplan run --only ", ""),
    ] {
        // bash and zsh do not tell a name with a blank from two.
        let ids = line.starts_with("runplan explain");
        for shell in ALL {
            let offers: Vec<String> = offered(&world, shell, line)
                .into_iter()
                .filter(|w| !w.contains("my") && !w.contains("plan.yml"))
                .collect();
            let expected: Vec<&str> = expected.split(' ').filter(|w| !w.is_empty()).collect();
            if ids {
                assert!(
                    !offers.is_empty() && offers.iter().all(|o| expected.contains(&o.as_str())),
                    "{shell:?}: {offers:?}"
                );
            } else {
                assert_eq!(offers, expected, "{shell:?}: {line}");
            }
        }
    }
    assert!(!world.path("fetched").exists() && !world.path("worked").exists());
}

#[test]
fn a_word_is_completed_as_it_is_typed() {
    let world = world();
    for (keys, line) in [
        ("runplan run plans/night.yaml --only vac\t", "runplan run plans/night.yaml --only vacuum "),
        ("runplan run plans/night.yaml -p ke\t", "runplan run plans/night.yaml -p keep="),
        ("runplan run plans/night.yaml -p ke\t7 --only hi\t", "runplan run plans/night.yaml -p keep=7 --only history "),
        ("runplan run plans/night.yaml -l tier=p\t", "runplan run plans/night.yaml -l tier=prod "),
        ("runplan run plans/ni\t--from ve\t", "runplan run plans/night.yaml --from verify "),
        ("runplan run plans/my\t--from ve\t", r"runplan run plans/my\ plan.yml --from verify "),
        ("runplan run \"plans/my\t--from ve\t", "runplan run \"plans/my plan.yml\" --from verify "),
        ("runplan run pl\tol\t", "runplan run plans/old/"),
        ("runplan run ~/ni\t--from ve\t", "runplan run ~/night.yaml --from verify "),
        (
            "PGHOST=no runplan run plans/night.yaml --only=vac\t",
            "PGHOST=no runplan run plans/night.yaml --only=vacuum ",
        ),
        ("true; runplan run plans/night.yaml --only vac\t", "true; runplan run plans/night.yaml --only vacuum "),
    ] {
        for shell in [Shell::Bash, Shell::Zsh] {
            assert_eq!(typed(&world, shell, keys), line, "{shell:?}");
        }
    }
}

#[test]
fn what_a_plan_or_a_folder_says_becomes_no_command() {
    let world = world();
    world.write("plans/evil.yaml", PLAN.replace("tier: prod", "tier: '$(touch hit)`touch hit`'"));
    world.write("evil/$(touch hit);touch hit.yaml", PLAN);
    for shell in [Shell::Bash, Shell::Zsh] {
        for keys in ["runplan show plans/evil.yaml -l ti\t", "runplan validate evil/\t"] {
            let line = typed(&world, shell, keys);
            assert!(line.contains(r"\$\(touch\ hit\)"), "{shell:?}: {line}");
            assert_eq!(typed(&world, shell, &format!("{keys}> said 2>&1\r")), "", "{shell:?}: a new line");
            assert!(!world.path("hit").exists(), "{shell:?}: {keys}");
            let said = std::fs::read_to_string(world.path("said")).expect("it ran");
            assert!(!said.is_empty(), "{shell:?}: {keys}");
        }
    }
}

/// What the binary answers to a shell that asks.
fn asked(world: &World, words: &[&str]) -> Run {
    // A pipe that is waited for is waited for in vain.
    let mut command = Command::new("timeout");
    command.arg("60").arg(env!("CARGO_BIN_EXE_runplan")).arg("--").args(words).current_dir(world.path(""));
    command.env("RUNPLAN_COMPLETE", "fish").env("HOME", world.path("home")).env("XDG_STATE_HOME", world.path("state"));
    command.output().expect("the binary runs").into()
}

#[test]
fn what_cannot_be_known_is_nothing_and_nothing_is_said() {
    let world = world();
    world.write("plans/torn.yaml", "steps: [");
    world.write("plans/bytes.yaml", b"\xff\xfe\x00");
    world.write("plans/far.yaml", PLAN.replace("  list:\n", "  include: pipe\n  x-list:\n"));
    let pipe = Command::new("mkfifo").args(["plans/pipe", "plans/pipe.yaml"]).current_dir(world.path("")).status();
    assert!(pipe.is_ok_and(|s| s.success()));
    for plan in ["broken.yaml", "torn.yaml", "bytes.yaml", "far.yaml", "none.yaml", "pipe.yaml", "old", ""] {
        let plan = format!("plans/{plan}");
        for words in [
            vec!["run", &plan, "--only", ""],
            vec![&plan, "-l", ""],
            vec!["show", &plan, "-p", "k"],
            vec!["logs", "--plan", &plan, ""],
            vec!["-"],
            vec!["run", "-", "--only", ""],
        ] {
            let run = asked(&world, &[&["runplan"], &words[..]].concat()).ends(0);
            let said: Vec<&str> = run.said.lines().filter(|l| !l.starts_with('-')).collect();
            assert_eq!(said, Vec::<&str>::new(), "{words:?}");
        }
    }
    for words in [vec!["runplan"], vec![], vec!["runplan", "--help", ""], vec!["runplan", "run", "--only"]] {
        assert_eq!(asked(&world, &words).ends(0).never_says("error").code, Some(0));
    }
    // Without `--` it is no shell that asks.
    let run = world.runplan().env("RUNPLAN_COMPLETE", "fish").args(["validate", "plans/night.yaml"]).output();
    Run::from(run.expect("the binary runs")).ends(0).says("no findings");
}

#[test]
fn watched_from_outside_it_only_reads_and_no_secret() {
    let world = world();
    world.write("home/.pgpass", "*:*:*:*:canary-pass");
    for words in [
        vec!["run", "plans/night.yaml", "--only", ""],
        vec!["run", "plans/night.yaml", "-l", ""],
        vec!["run", "plans/night.yaml", "-p", "full="],
        vec!["logs", "--plan", "plans/night.yaml", ""],
        vec!["history", ""],
    ] {
        let trace = world.path("trace");
        let mut command = Command::new("strace");
        command.args(["-f", "-qq", "-e", "trace=%file,%network,%process,ftruncate,flock,kill", "-o"]).arg(&trace);
        command.arg(env!("CARGO_BIN_EXE_runplan")).args(["--", "runplan"]).args(&words).current_dir(world.path(""));
        command.env("RUNPLAN_COMPLETE", "fish").env("HOME", world.path("home"));
        command.env("XDG_STATE_HOME", world.path("state"));
        let run = Run::from(command.output().expect("strace: run `tests/sandbox cargo test`")).ends(0);
        assert!(run.out.lines().count() > 1, "{words:?}: {}", run.said);
        let text = std::fs::read_to_string(&trace).expect("a trace");
        for call in text.lines().filter_map(|l| l.split_once(' ')).map(|(_, call)| call.trim_start()) {
            let name = call.split('(').next().unwrap_or_default();
            let reads = match name {
                "open" | "openat" => !["O_WRONLY", "O_RDWR", "O_CREAT", "O_TRUNC"].iter().any(|f| call.contains(f)),
                "execve" => call.contains("/runplan\""),
                "access" | "faccessat2" | "stat" | "lstat" | "statx" | "newfstatat" | "statfs" | "readlink"
                | "getcwd" => true,
                "readlinkat" | "exit_group" | "exit" => true,
                _ => call.starts_with("+++") || call.starts_with("---"),
            };
            assert!(reads, "{words:?}: {call}");
            let secret = ["/secret\"", "\"secret\"", ".pgpass"].iter().any(|s| call.contains(s));
            assert!(!(secret && name.starts_with("open")), "{words:?}: {call}");
        }
    }
}
