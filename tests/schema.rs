//! The committed schema is the one that the program prints.

#[test]
fn the_committed_schema_is_current() {
    let printed =
        std::process::Command::new(env!("CARGO_BIN_EXE_runplan")).arg("schema").output().expect("the binary runs");
    let committed = std::fs::read_to_string("schema/plan.schema.json").expect("the committed schema");
    let printed = String::from_utf8(printed.stdout).expect("UTF-8");
    assert!(committed == printed, "write it anew: cargo run -- schema > schema/plan.schema.json");
    let json = serde_json::from_str(&committed).expect("JSON");
    assert!(jsonschema::draft7::meta::is_valid(&json));
}

#[test]
fn every_plan_of_the_folder_is_valid() {
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_runplan"))
        .args(["validate", "--deny-warnings", "plans"])
        .output();
    let output = output.expect("the binary runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}

/// The schema as another implementation reads it.
fn check_jsonschema(plan: &std::path::Path) -> std::process::Output {
    let python = std::env::var_os("RUNPLAN_TEST_PYTHON").expect("check-jsonschema: run `tests/sandbox cargo test`");
    let mut command = std::process::Command::new(python);
    command.args(["-m", "check_jsonschema", "--no-cache", "--schemafile", "schema/plan.schema.json"]).arg(plan);
    command.output().expect("check-jsonschema runs")
}

#[test]
fn another_implementation_accepts_the_plans_and_rejects_the_broken_ones_as_we_do() {
    let plans: Vec<_> = std::fs::read_dir("plans").expect("the plans").flatten().map(|e| e.path()).collect();
    let plans: Vec<_> = plans.into_iter().filter(|p| p.is_file()).collect();
    assert!(plans.len() >= 4, "{plans:?}");
    for plan in &plans {
        let output = check_jsonschema(plan);
        assert!(output.status.success(), "{}: {}", plan.display(), String::from_utf8_lossy(&output.stdout));
    }
    let dir = tempfile::tempdir().expect("a folder");
    let good = std::fs::read_to_string("plans/nightly.yaml").expect("the plan");
    for (from, to) in [
        ("version: 1", "version: 2"),
        ("name: nightly", "name: Nightly Plan"),
        ("    timeout: 2h", "    timeout: 2 hours"),
        ("uses: pg_dump", "uses: pgdump"),
        ("keep_last:", "keep_lst:"),
        ("retry: { attempts: 3", "retry: { attempts: three"),
        ("format: custom", "format: customs"),
        ("continue_on_error: true", "continue_on_error: yes please"),
        ("type: boolean", "type: bool"),
        ("on_failure:", "on_fail:"),
        ("logs: { dir: logs, keep: 14 }", "logs: { dir: logs, keep: many }"),
        ("steps:", "step:"),
    ] {
        assert!(good.contains(from), "{from}");
        let path = dir.path().join("plan.yaml");
        std::fs::write(&path, good.replacen(from, to, 1)).expect("a plan");
        let ours = std::process::Command::new(env!("CARGO_BIN_EXE_runplan")).arg("validate").arg(&path).output();
        assert_eq!(ours.expect("the binary runs").status.code(), Some(78), "{to}");
        let theirs = check_jsonschema(&path);
        assert_eq!(theirs.status.code(), Some(1), "{to}: {}", String::from_utf8_lossy(&theirs.stdout));
    }
}

#[test]
fn the_plans_of_the_readme_are_valid() {
    let text = std::fs::read_to_string("README.md").expect("the README");
    let blocks: Vec<&str> = text.split("```yaml\n").skip(1).filter_map(|b| b.split("```").next()).collect();
    // What is no plan is for another program.
    let blocks: Vec<&str> = blocks.into_iter().filter(|b| format!("\n{b}").contains("\nversion: 1\n")).collect();
    assert!(!blocks.is_empty());
    let dir = tempfile::tempdir().expect("a folder");
    for block in blocks {
        let path = dir.path().join("plan.yaml");
        std::fs::write(&path, block).expect("a plan");
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_runplan"))
            .args(["validate", "--deny-warnings"])
            .arg(&path)
            .output()
            .expect("the binary runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    }
}
