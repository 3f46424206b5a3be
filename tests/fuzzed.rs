//! What the fuzzers hold any input to (`tests/fuzz`), held to the plans, to their expressions and to every input that was
//! once found to break it.

#[path = "fuzz/src/expression.rs"]
mod expression;
#[path = "fuzz/src/plan.rs"]
mod plan;

use std::path::{Path, PathBuf};

/// Every file below a folder of `tests`, that is below the folder or anywhere in it.
fn files(folder: &str) -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let mut all = Vec::new();
    let mut folders = vec![root];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("a folder").flatten() {
            if entry.path().is_dir() { folders.push(entry.path()) } else { all.push(entry.path()) }
        }
    }
    all.sort();
    all
}

fn texts(folder: &str) -> Vec<String> {
    files(folder).iter().filter_map(|f| std::fs::read_to_string(f).ok()).collect()
}

#[test]
fn every_plan_and_what_was_found() {
    let all = [texts("plans"), texts("tests/plans"), texts("tests/fuzz/found/plan")].concat();
    assert!(all.len() > 400);
    all.iter().for_each(|text| plan::holds(text));
}

#[test]
fn every_expression_and_what_was_found() {
    let plans = [texts("plans"), texts("tests/plans")].concat();
    let lines = plans.iter().flat_map(|t| t.lines());
    let conditions = lines.clone().filter_map(|l| l.split("when: ").nth(1));
    let mut count = 0;
    for text in lines.clone().filter(|l| l.contains("${{")).chain(conditions) {
        expression::holds(text);
        count += 1;
    }
    assert!(count > 300, "{count}");
    texts("tests/fuzz/found/expression").iter().for_each(|text| expression::holds(text));
}
