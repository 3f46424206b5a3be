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
