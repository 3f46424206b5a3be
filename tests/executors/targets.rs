//! One plan over many databases.

use std::collections::BTreeSet;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::smtp::Server;
use crate::world::{PASSWORD, Run, World, psql};

/// A world with as many databases as names, each with a table of as many rows as its place counts.
struct Many {
    world: World,
    names: Vec<String>,
}

impl Many {
    fn new(names: &[&str]) -> Self {
        let world = World::with_database();
        let names: Vec<String> = names.iter().map(|n| format!("{}_{n}", world.db())).collect();
        for (at, name) in names.iter().enumerate() {
            psql("postgres", &format!("CREATE DATABASE {name}"));
            psql(name, &format!("CREATE TABLE t AS SELECT g AS id FROM generate_series(1, {}) g", at + 1));
        }
        Self { world, names }
    }

    /// The archives of a target, in order.
    fn archives(&self, target: &str) -> Vec<String> {
        let names = self.world.names("out").into_iter();
        names.filter(|n| n.starts_with(&format!("{target}-")) && n.ends_with(".zip")).collect()
    }
}

impl Drop for Many {
    fn drop(&mut self) {
        self.names.iter().for_each(|n| drop(psql("postgres", &format!("DROP DATABASE IF EXISTS {n} WITH (FORCE)"))));
    }
}

/// Three targets, the second of which has a database that is not there.
fn broken(many: &Many, rest: &str) -> String {
    let prefix = many.world.db();
    format!(
        "secrets: {{ zip: {{ env: TEST_ZIP }} }}\ntimeout: 5m\ntargets:\n  list:\n\
         \x20   - {{ name: crm, labels: {{ tier: prod }}, database: {{ dbname: {prefix}_crm }} }}\n\
         \x20   - {{ name: gone, database: {{ dbname: {prefix}_gone }} }}\n\
         \x20   - {{ name: shop, database: {{ dbname: {prefix}_shop }} }}\n\
         steps:\n  - id: dump\n    uses: pg_dump\n    with:\n      archive: {{ path: 'out/${{{{ target.name }}}}-${{{{ run.id }}}}.zip', password: '${{{{ secrets.zip }}}}' }}\n\
         \x20 - {{ id: prune, uses: retention, with: {{ dir: out, keep_last: 1 }} }}\n{rest}"
    )
}

#[test]
fn a_database_that_fails_costs_the_others_nothing_and_is_told_alone() {
    let many = Many::new(&["crm", "shop"]);
    let server = Server::start(&[]);
    let mail = format!(
        "defaults: {{ email: {{ smtp: {{ host: 127.0.0.1, port: {}, security: none }}, from: a@example.org, to: [dba@example.org] }} }}\n\
         on_failure:\n  - {{ uses: email, with: {{ attach: ['${{{{ run.log_file }}}}'] }} }}\n",
        server.port
    );
    let plan = broken(&many, &mail);
    let run = many.world.run(&plan, &[]).ends(1);
    run.says("1 of 3 targets failed: `gone` at dump").says("_gone\" does not exist");
    assert_eq!((many.archives("crm").len(), many.archives("gone").len(), many.archives("shop").len()), (1, 0, 1));
    let mails = server.mails();
    assert_eq!(mails.len(), 1);
    assert!(mails[0].header("Subject").contains("night (gone) failed at dump"), "{}", mails[0].header("Subject"));

    let text = mails[0].part("text");
    assert!(text.contains("Target    gone") && !text.contains("crm") && !text.contains("shop"), "{text}");

    // Each has a log of its own, and the one of all names it on every line.
    let logs = many.world.names("logs/night");
    let read = |name: &str| {
        std::fs::read_to_string(many.world.path(&format!("logs/night/{}/{name}", logs[0]))).expect("a log")
    };
    assert_eq!(
        many.world.names(&format!("logs/night/{}", logs[0])),
        ["crm.log", "events.jsonl", "gone.log", "run.log", "shop.log"]
    );
    assert!(read("crm.log").contains("out/crm-") && !read("crm.log").contains("gone"), "{}", read("crm.log"));
    assert!(read("gone.log").contains("failed at dump"), "{}", read("gone.log"));
    for line in read("run.log").lines().filter(|l| l.contains(" dump ") && !l.starts_with("==")) {
        let target = line.split(' ').nth(1).unwrap_or_default();
        assert!(["crm", "gone", "shop"].contains(&target), "{line}");
    }
    let events: Vec<serde_json::Value> =
        read("events.jsonl").lines().map(|l| serde_json::from_str(l).expect("an event")).collect();
    assert!(events.is_sorted_by(|a, b| a["seq"].as_u64() < b["seq"].as_u64()), "one order for all of them");
    let of = |e: &serde_json::Value| e["target"].as_str().map(str::to_owned);
    let finished: Vec<_> = events.iter().filter(|e| e["fact"]["type"] == "target_finished").collect();
    assert_eq!(finished.iter().filter_map(|e| of(e)).collect::<Vec<_>>(), ["crm", "gone", "shop"]);
    assert_eq!(
        finished.iter().map(|e| e["fact"]["exit_code"].as_u64()).collect::<Vec<_>>(),
        [Some(0), Some(1), Some(0)]
    );

    // The next run: each target's retention sees its own archives alone, in one folder.
    let first = (many.archives("crm"), many.archives("shop"));
    std::thread::sleep(Duration::from_millis(1100));
    many.world.run(&plan, &["-l", "crm"]).ends(0).says("it is of the target `shop`");
    assert_eq!((many.archives("crm").len(), &many.archives("shop")), (1, &first.1));
    assert_ne!(many.archives("crm"), first.0);
    let record = many.world.path(&format!("out/{}.json", many.archives("crm")[0]));
    let record: serde_json::Value = serde_json::from_slice(&std::fs::read(record).expect("a record")).expect("JSON");
    assert_eq!((record["target"].as_str(), record["database"].as_str()), (Some("crm"), Some(many.names[0].as_str())));
}

#[test]
fn the_plan_of_the_folder_runs_over_the_databases_of_its_file() {
    let many = Many::new(&["crm", "shop", "wiki"]);
    let world = &many.world;
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/plans/");
    let read = |name: &str| std::fs::read_to_string(format!("{root}{name}")).expect("a plan");
    world.write("plans/many.yaml", read("many.yaml"));
    world.write(
        "plans/targets/prod.yaml",
        read("targets/prod.yaml").replace("dbname: ", &format!("dbname: {}_", world.db())),
    );
    let runplan = |arguments: &[&str]| -> Run {
        let mut command = world.runplan();
        command.env("RUNPLAN_ZIP_PASSWORD", PASSWORD).args(arguments).output().expect("the binary runs").into()
    };
    runplan(&["validate", "--deny-warnings", "plans"]).ends(0).says("1 plan checked: no findings");
    let dry = runplan(&["-n", "plans/many.yaml", "-p", "backup_dir=out"]).ends(0);
    dry.says("target crm").says("target wiki").says("into `out/shop-").never_says("target play");
    assert_eq!(world.names("."), ["plans"], "a dry run leaves nothing");
    runplan(&["doctor", "plans/many.yaml", "-l", "wiki", "-p", "backup_dir=out"]).ends(0).says("wiki: dump");
    let shown = runplan(&["show", "plans/many.yaml", "--resolved", "--target", "crm", "-p", "backup_dir=out"]).ends(0);
    let shown = shown.says("out/crm-").says("tier: prod");
    assert!(
        shown.out.lines().any(|l| l.contains("keep: 14") && l.ends_with("# target, plans/targets/prod.yaml:6")),
        "{}",
        shown.out
    );
    assert!(
        shown.out.lines().any(|l| l.contains("dbname: ") && l.contains("# target, plans/targets/prod.yaml:5")),
        "{}",
        shown.out
    );

    let json = runplan(&["plans/many.yaml", "-p", "backup_dir=out", "--format", "json"]).ends(0).json();
    let targets: Vec<&str> =
        json["targets"].as_array().expect("targets").iter().filter_map(|t| t["target"].as_str()).collect();
    assert_eq!(targets, ["crm", "shop", "wiki"]);
    assert!(json["targets"].as_array().expect("targets").iter().all(|t| t["status"] == "ok"), "{json}");
    let of = |target: &str, step: &str| {
        let steps = json["steps"].as_array().expect("steps");
        steps.iter().find(|s| s["target"] == target && s["step"] == step).expect("a step").clone()
    };
    // What a target sets wins over the default, and holds for that one alone.
    assert_eq!(
        (of("crm", "vacuum")["status"].as_str(), of("wiki", "vacuum")["status"].as_str()),
        (Some("ok"), Some("skipped"))
    );
    for (at, target) in ["crm", "shop", "wiki"].into_iter().enumerate() {
        let archive = of(target, "dump")["outputs"]["path"].as_str().expect("a path").to_owned();
        let into = many.names[at].clone() + "_again";
        let mut command = world.runplan();
        command.args(["restore", &archive, "--into", &into, "--create"]).env("RUNPLAN_ZIP_PASSWORD", PASSWORD);
        Run::from(command.output().expect("the binary runs")).ends(0);
        let rows = psql(&into, "SELECT count(*) FROM t");
        psql("postgres", &format!("DROP DATABASE {into} WITH (FORCE)"));
        assert_eq!(rows, (at + 1).to_string(), "{target}");
    }
}

#[test]
fn targets_that_are_restored_at_the_same_time_do_not_meet() {
    let many = Many::new(&["one", "two", "three", "four"]);
    let list: String = many
        .names
        .iter()
        .enumerate()
        .map(|(at, n)| format!("    - {{ name: t{at}, database: {{ dbname: {n} }} }}\n"))
        .collect();
    let plan = format!(
        "secrets: {{ zip: {{ env: TEST_ZIP }} }}\ntimeout: 5m\ntargets:\n  max_parallel: 4\n  list:\n{list}steps:\n\
         \x20 - {{ id: dump, uses: pg_dump, with: {{ archive: {{ path: 'out/${{{{ target.name }}}}-${{{{ run.id }}}}.zip', password: '${{{{ secrets.zip }}}}' }} }} }}\n\
         \x20 - {{ id: check, uses: restore_check, with: {{ archive: '${{{{ steps.dump.outputs.path }}}}', password: '${{{{ secrets.zip }}}}', into: scratch, trust_source: true }} }}\n"
    );
    let json = many.world.run(&plan, &["--format", "json"]).ends(0).json();
    let checks: Vec<_> = json["steps"].as_array().expect("steps").iter().filter(|s| s["step"] == "check").collect();
    assert_eq!(checks.len(), 4);
    for check in checks {
        let at: u64 =
            check["target"].as_str().and_then(|t| t.strip_prefix('t')).and_then(|t| t.parse().ok()).expect("a target");
        assert_eq!(check["outputs"]["rows"], at + 1, "{check}");
    }
}

/// A server that nobody can reach.
const NOWHERE: &str = "database: { host: 127.0.0.1, port: 1, dbname: app, connect_timeout: 1s }";

#[test]
fn only_when_no_target_can_be_reached_the_code_is_69() {
    let many = Many::new(&["crm"]);
    let plan = |first: &str, second: &str| {
        format!(
            "targets:\n  list:\n    - {{ name: a, {first} }}\n    - {{ name: b, {second} }}\nsteps:\n  - {{ uses: sql, with: {{ statement: SELECT 1 }} }}\n"
        )
    };
    let here = format!("database: {{ dbname: {} }}", many.names[0]);
    let json = many.world.run(&plan(NOWHERE, NOWHERE), &["--format", "json"]).ends(69).json();
    assert_eq!((json["exit_code"].as_u64(), json["failure"]["kind"].as_str()), (Some(69), Some("unreachable")));
    many.world.run(&plan(NOWHERE, &here), &[]).ends(1);
    many.world.run(&plan(&here, &here), &[]).ends(0);
    many.world.run(&plan(NOWHERE, "database: { dbname: not_there }"), &[]).ends(1);
    many.world.run(&plan(NOWHERE, &here), &["-l", "a"]).ends(69);
    // A plan without targets fails at its step.
    let alone = format!("{NOWHERE}\nsteps:\n  - {{ uses: sql, with: {{ statement: SELECT 1 }} }}\n");
    many.world.run(&alone, &[]).ends(1);
}

#[test]
fn the_first_that_fails_stops_the_others_when_the_plan_says_so() {
    let world = World::new();
    let plan = "targets:\n  fail_fast: true\n  max_parallel: 2\n  list: [{ name: a, params: { code: 3 } }, { name: b }, { name: c }]\n\
                params: { code: { type: integer, default: 0 } }\nsteps:\n\
                \x20 - { uses: command, with: { argv: [sh, -c, 'test ${{ params.code }} = 0 && exec sleep 20; sleep 0.3; exit ${{ params.code }}'] } }\n\
                on_failure:\n  - { uses: command, with: { argv: [touch, 'told-${{ target.name }}-${{ failure.kind }}'] } }\n\
                finally:\n  - { uses: command, with: { argv: [touch, 'end-${{ target.name }}'] } }\n";
    let clock = Instant::now();
    let json = world.run(plan, &["--format", "json"]).ends(1).json();
    assert!(clock.elapsed() < Duration::from_secs(10), "{:?}", clock.elapsed());
    let status: Vec<&str> =
        json["targets"].as_array().expect("targets").iter().filter_map(|t| t["status"].as_str()).collect();
    assert_eq!(status, ["failed", "cancelled", "skipped"]);
    let step = json["steps"].as_array().expect("steps").iter().find(|s| s["target"] == "b" && s["section"] == "steps");
    assert_eq!(step.expect("the step of b")["status"], "cancelled", "{json}");
    let left: Vec<String> =
        world.names(".").into_iter().filter(|n| n.starts_with("told") || n.starts_with("end")).collect();
    assert_eq!(left, ["end-a", "end-b", "told-a-step", "told-b-cancelled"]);
    // Without it each runs to its end.
    let json = world
        .run(&plan.replace("fail_fast: true", "fail_fast: false").replace("sleep 20", "true"), &["--format", "json"])
        .ends(1)
        .json();
    let status: Vec<&str> =
        json["targets"].as_array().expect("targets").iter().filter_map(|t| t["status"].as_str()).collect();
    assert_eq!(status, ["failed", "ok", "ok"]);
}

/// Which targets were at work at the same time, from the times that each wrote when it began and ended.
fn together(world: &World) -> BTreeSet<(String, String)> {
    let text = std::fs::read_to_string(world.path("times")).unwrap_or_default();
    let (mut open, mut found) = (BTreeSet::<String>::new(), BTreeSet::new());
    for line in text.lines() {
        let (word, name) = line.split_once(' ').expect("a word and a name");
        if word == "begin" {
            found.extend(open.iter().map(|o| (o.clone().min(name.to_owned()), o.clone().max(name.to_owned()))));
            open.insert(name.to_owned());
        } else {
            open.remove(name);
        }
    }
    let _ = std::fs::remove_file(world.path("times"));
    found
}

#[test]
fn as_many_run_at_a_time_as_the_plan_allows() {
    let world = World::new();
    let plan = |limits: &str| {
        format!(
            "targets:\n  {limits}\n  list:\n    - {{ name: a, labels: {{ server: one }} }}\n    - {{ name: b, labels: {{ server: one }} }}\n\
             \x20   - {{ name: c, labels: {{ server: two }} }}\n    - {{ name: d, labels: {{ server: two }} }}\nsteps:\n\
             \x20 - {{ uses: command, with: {{ argv: [sh, -c, 'echo begin ${{{{ target.name }}}} >> times; sleep 0.7; echo end ${{{{ target.name }}}} >> times'] }} }}\n"
        )
    };
    let pairs =
        |all: &[(&str, &str)]| all.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect::<BTreeSet<_>>();
    world.run(&plan("max_parallel: 1"), &[]).ends(0);
    assert_eq!(together(&world), pairs(&[]));
    world.run(&plan("max_parallel: 4"), &[]).ends(0);
    assert_eq!(together(&world).len(), 6, "all of them at once");
    world.run(&plan("max_parallel: 2"), &[]).ends(0);
    assert!(together(&world).contains(&("a".to_owned(), "b".to_owned())), "in the order of the plan");
    // One of each server: the third begins beside the first, since the second waits for it.
    world.run(&plan("max_parallel: 4\n  limit_per: { key: '${{ target.labels.server }}' }"), &[]).ends(0);
    let met = together(&world);
    assert!(met.contains(&("a".to_owned(), "c".to_owned())), "{met:?}");
    assert!(met.is_disjoint(&pairs(&[("a", "b"), ("c", "d")])), "{met:?}");
}

/// Says when it was asked and when it answers; it waits for as many others as `wanted` has, and then `a` for all of them.
const TOOL: &str = r#"cd "${0%/*}"; name=${0##*-}; n=0
met() { [ "$(grep -c "^$1" times)" -ge "$2" ]; }
echo "begin $name" >> times
until met begin "$(cat wanted)" || [ $n -ge 400 ]; do n=$((n+1)); sleep 0.05; done
[ "$name$(cat wanted)" != a4 ] || until met end 3 || [ $n -ge 800 ]; do n=$((n+1)); sleep 0.05; done
echo "end $name" >> times
exec pg_dump "$@""#;

#[test]
fn a_doctor_looks_at_as_many_as_run_at_a_time_and_tells_of_them_in_order() {
    let world = World::with_database();
    for name in ["a", "b", "c", "d"] {
        crate::world::script(&world.path(&format!("tool-{name}")), TOOL);
    }
    let look = |limits: &str, wanted: &str| {
        world.write("wanted", wanted);
        let plan = format!(
            "version: 1\nname: night\nlogs: {{ dir: logs }}\nsecrets: {{ zip: {{ env: TEST_ZIP }} }}\ntargets:\n  {limits}\n  list:\n\
             \x20   - {{ name: a, labels: {{ server: one }} }}\n    - {{ name: b, labels: {{ server: one }} }}\n\
             \x20   - {{ name: c, labels: {{ server: two }} }}\n    - {{ name: d, labels: {{ server: two }} }}\nsteps:\n\
             \x20 - {{ id: dump, uses: pg_dump, with: {{ program: '{}-${{{{ target.name }}}}', archive: {{ path: 'out/${{{{ target.name }}}}.zip', password: '${{{{ secrets.zip }}}}' }} }} }}\n",
            world.path("tool").display()
        );
        world.write("plan.yaml", plan);
        let run = Run::from(world.runplan().args(["doctor", "plan.yaml"]).output().expect("the binary runs")).ends(0);
        let mut whose: Vec<String> =
            run.out.lines().filter_map(|l| l.split_once(": ")).map(|(name, _)| name.to_owned()).collect();
        whose.retain(|name| ["a", "b", "c", "d"].contains(&name.as_str()));
        assert!(whose.is_sorted() && whose.contains(&"a".to_owned()), "{}", run.out);
        let told = ["a", "b", "c", "d"].map(|n| run.out.find(&format!("tool-{n}`: version")));
        assert!(told.is_sorted() && told[0].is_some(), "{}", run.out);
        together(&world)
    };
    assert_eq!(look("max_parallel: 1", "1").len(), 0);
    assert_eq!(look("max_parallel: 4", "4").len(), 6, "all of them at once, and `a` the last to answer");
    let met = look("max_parallel: 4\n  limit_per: { key: '${{ target.labels.server }}' }", "2");
    let pair = |a: &str, b: &str| (a.to_owned(), b.to_owned());
    assert!(met.contains(&pair("a", "c")), "{met:?}");
    assert!(!met.contains(&pair("a", "b")) && !met.contains(&pair("c", "d")), "{met:?}");
}

#[test]
fn targets_are_picked_by_name_pattern_and_label() {
    let world = World::new();
    let plan = "params: { all: { type: boolean, default: false } }\ntargets:\n  select: params.all or target.labels.tier != \"scratch\"\n  list:\n\
                \x20   - { name: crm-eu, labels: { tier: prod, size: 3 } }\n    - { name: crm-us, labels: { tier: test, size: 4 } }\n\
                \x20   - { name: shop, labels: { tier: prod, size: 3 } }\n    - { name: play, labels: { tier: scratch } }\n\
                steps:\n  - { uses: command, with: { argv: [echo, 'here ${{ target.name }}'] } }\n";
    let taken = |arguments: &[&str]| -> Vec<String> {
        let json = world.run(plan, &[&["--format", "json"], arguments].concat()).ends(0).json();
        let all = json["targets"].as_array().expect("targets").iter();
        all.filter_map(|t| t["target"].as_str()).map(str::to_owned).collect()
    };
    assert_eq!(taken(&[]), ["crm-eu", "crm-us", "shop"]);
    assert_eq!(taken(&["-l", "shop"]), ["shop"]);
    assert_eq!(taken(&["--target", "crm-*"]), ["crm-eu", "crm-us"]);
    assert_eq!(taken(&["-l", "tier=prod"]), ["crm-eu", "shop"]);
    assert_eq!(taken(&["-l", "size=4", "-l", "shop"]), ["crm-us", "shop"], "each adds to the others");
    assert_eq!(taken(&["-p", "all=true", "-l", "play"]), ["play"]);
    for (word, said) in [
        ("shp", "did you mean `shop`?"),
        ("pla*", "the target `play` is not one that `select` of the plan leaves"),
        ("play", "the target `play` is not one that `select` of the plan leaves"),
        ("tier=prd", "did you mean `prod`?"),
        ("teir=prod", "no target has the label `teir`; did you mean `tier`?"),
    ] {
        world.run(plan, &["-l", "shop", "-l", word]).ends(2).says(said);
        world.run(plan, &["-n", "-l", word]).ends(2).says(said);
    }
    world
        .run("steps:\n  - { uses: command, with: { argv: [date] } }\n", &["-l", "shop"])
        .ends(2)
        .says("has no targets");
    world
        .run(&plan.replace("params.all or target.labels.tier != \"scratch\"", "params.all"), &[])
        .ends(2)
        .says("false for all 4 targets");
    let unset = plan.replace("params.all or", "params.all or env.RUNPLAN_TEST_UNSET == 'x' or");
    world.run(&unset, &[]).ends(77).says("`RUNPLAN_TEST_UNSET` is not set");
}

#[test]
fn a_signal_stops_all_targets_and_each_tells_of_it_once() {
    let world = World::new();
    let plan = "version: 1\nname: night\nlogs: { dir: logs }\ntargets:\n  max_parallel: 2\n  list: [{ name: a }, { name: b }, { name: c }]\nsteps:\n\
                \x20 - { uses: command, with: { argv: [sh, -c, 'touch begun-${{ target.name }}; exec sleep 60'] } }\n\
                on_failure:\n  - { uses: command, with: { argv: [sh, -c, 'echo ${{ target.name }} ${{ failure.kind }} >> told'] } }\n\
                finally:\n  - { uses: command, with: { argv: [sh, -c, 'echo ${{ target.name }} end >> told'] } }\n";
    world.write("plan.yaml", plan);
    let mut child =
        world.runplan().arg("plan.yaml").stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("it runs");
    let clock = Instant::now();
    while !(world.path("begun-a").exists() && world.path("begun-b").exists()) {
        assert!(clock.elapsed() < Duration::from_secs(20), "both begin");
        std::thread::sleep(Duration::from_millis(20));
    }
    Command::new("kill").arg(child.id().to_string()).status().expect("kill");
    assert_eq!(child.wait().expect("it ends").code(), Some(143));
    let told = std::fs::read_to_string(world.path("told")).expect("the handlers ran");
    let mut told: Vec<&str> = told.lines().collect();
    told.sort_unstable();
    assert_eq!(told, ["a end", "a signal", "b end", "b signal"]);
    assert!(!world.path("begun-c").exists());
}

#[test]
fn a_signal_that_no_step_hears_of_is_told_by_the_next_target_alone() {
    let world = World::new();
    let plan = "version: 1\nname: night\nlogs: { dir: logs }\ntargets: { list: [{ name: a }, { name: b }, { name: c }] }\nsteps:\n\
                \x20 - { uses: command, with: { argv: [sh, -c, 'touch ran-${{ target.name }}'] } }\n\
                on_failure:\n  - { uses: command, with: { argv: [sh, -c, 'echo ${{ target.name }} ${{ failure.kind }} >> told'] } }\n\
                on_success:\n  - { uses: command, with: { argv: [sh, -c, 'touch over; sleep 1'] } }\n";
    world.write("plan.yaml", plan);
    let mut child =
        world.runplan().arg("plan.yaml").stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("it runs");
    let clock = Instant::now();
    while !world.path("over").exists() {
        assert!(clock.elapsed() < Duration::from_secs(20), "the first is over");
        std::thread::sleep(Duration::from_millis(20));
    }
    Command::new("kill").arg(child.id().to_string()).status().expect("kill");
    assert_eq!(child.wait().expect("it ends").code(), Some(143));
    assert_eq!(std::fs::read_to_string(world.path("told")).expect("somebody told"), "b signal\n");
    assert!(world.path("ran-a").exists() && !world.path("ran-b").exists() && !world.path("ran-c").exists());
}

#[test]
fn a_target_that_is_busy_elsewhere_is_left_and_the_others_run() {
    let world = World::new();
    let plan = "params: { wait: { type: integer, default: 0 } }\ntargets:\n  max_parallel: 2\n  list: [{ name: a }, { name: b }]\nsteps:\n\
                \x20 - { uses: command, with: { argv: [sh, -c, 'echo ${{ target.name }} >> ran; sleep ${{ params.wait }}'] } }\n\
                on_failure:\n  - { uses: command, with: { argv: [sh, -c, 'echo ${{ target.name }} ${{ failure.kind }} >> told'] } }\n";
    let text = format!("version: 1\nname: night\nlogs: {{ dir: logs }}\n{plan}");
    world.write("other.yaml", &text);
    let mut other = world.runplan().args(["other.yaml", "-l", "a", "-p", "wait=8", "-q"]).spawn().expect("it runs");
    let clock = Instant::now();
    while !world.path("ran").exists() {
        assert!(clock.elapsed() < Duration::from_secs(20), "it begins");
        std::thread::sleep(Duration::from_millis(20));
    }
    world.run(plan, &[]).ends(75).says("another run holds the lock");
    assert_eq!(std::fs::read_to_string(world.path("ran")).expect("it ran"), "a\nb\n");
    assert_eq!(std::fs::read_to_string(world.path("told")).expect("it told"), "a lock\n");
    // What is worse wins.
    let worse = plan.replace("echo ${{ target.name }} >> ran; sleep", "exit 3; sleep");
    world.run(&worse, &["-l", "b"]).ends(1);
    let secret = format!(
        "secrets: {{ s: {{ env: RUNPLAN_TEST_UNSET }} }}\n{}",
        plan.replace("sleep ${{ params.wait }}'] }", "sleep ${{ params.wait }}'], env: { S: '${{ secrets.s }}' } }")
    );
    world.run(&secret, &[]).ends(77);
    other.wait().expect("it ends");
    // A key that the plan names is one lock for the whole run: its targets do not exclude each other.
    let json = world.run(&format!("lock: {{ key: one }}\n{plan}"), &["--format", "json"]).ends(0).json();
    assert!(json["targets"].as_array().is_some_and(|t| t.iter().all(|t| t["status"] == "ok")), "{json}");
}

#[test]
fn secrets_are_fetched_once_and_values_have_their_order() {
    let many = Many::new(&["crm"]);
    let world = &many.world;
    for name in ["a", "b"] {
        world.write(&format!("pw/{name}"), format!("canary-{name}-secret"));
    }
    let chmod = Command::new("chmod").args(["600", "pw/a", "pw/b"]).current_dir(world.path(".")).status();
    assert!(chmod.is_ok_and(|s| s.success()));
    crate::world::script(&world.path("fetch"), "echo x >> fetched\necho canary-of-all");
    let plan = format!(
        "params: {{ x: {{ type: string, default: default }}, y: {{ type: string, default: default }}, z: {{ type: string, default: default }}, w: {{ type: string, default: default }} }}\n\
         secrets: {{ one: {{ command: [./fetch] }}, own: {{ file: 'pw/${{{{ target.name }}}}' }} }}\n\
         database: {{ dbname: {crm} }}\n\
         targets:\n  list:\n    - {{ name: a, params: {{ y: target, z: target, w: target }} }}\n    - {{ name: b, database: {{ dbname: postgres }} }}\n\
         steps:\n  - id: show\n    uses: command\n    with:\n      argv: [sh, -c, 'echo ${{{{ target.name }}}} ${{{{ params.x }}}} ${{{{ params.y }}}} ${{{{ params.z }}}} ${{{{ params.w }}}} $OWN $ONE | tee -a seen']\n      env: {{ OWN: '${{{{ secrets.own }}}}', ONE: '${{{{ secrets.one }}}}' }}\n\
         \x20 - {{ id: which, uses: sql, with: {{ statement: SELECT current_database() AS name }} }}\n\
         \x20 - {{ id: step, uses: sql, with: {{ statement: SELECT current_database() AS name, database: {{ dbname: template1 }} }} }}\n",
        crm = many.names[0]
    );
    world.write("params.yaml", "z: file\nw: file\n");
    let run = world.run(&plan, &["--params-file", "params.yaml", "-p", "w=given", "--format", "json"]).ends(0);
    assert_eq!(
        std::fs::read_to_string(world.path("seen")).expect("it was shown"),
        "a default target file given canary-a-secret canary-of-all\nb default default file given canary-b-secret canary-of-all\n"
    );
    assert_eq!(std::fs::read_to_string(world.path("fetched")).expect("it was fetched"), "x\n");
    let json = run.json();
    let name = |target: &str, step: &str| {
        let steps = json["steps"].as_array().expect("steps");
        let found = steps.iter().find(|s| s["target"] == target && s["step"] == step).expect("a step");
        found["outputs"]["rows"][0]["name"].as_str().expect("a name").to_owned()
    };
    assert_eq!((name("a", "which"), name("b", "which")), (many.names[0].clone(), "postgres".to_owned()));
    assert_eq!(name("b", "step"), "template1");
    run.never_says("canary");
    let missing = plan.replace("x: { type: string, default: default }", "x: { type: string }");
    world.run(&missing, &[]).ends(2).says("set it for the target `a` and 1 more");
}
