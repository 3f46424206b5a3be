//! What the fuzzers hold any input to (`tests/fuzz`), held to the plans, to their expressions and to every input that was
//! once found to break it.

#[path = "fuzz/src/deflate.rs"]
mod deflate;
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

#[test]
fn the_encoder_and_what_was_found() {
    let folder = "tests/fuzz/found/deflate";
    let found = if Path::new(env!("CARGO_MANIFEST_DIR")).join(folder).is_dir() { files(folder) } else { Vec::new() };
    // Steps of every kind, also where nothing was found yet.
    let made = (0..=u16::MAX).step_by(1009).map(|seed| {
        let step = |n: u16| seed.wrapping_mul(n * 2 + 1).to_le_bytes();
        (0..24).flat_map(step).collect::<Vec<u8>>()
    });
    // Noise, and a piece of it again from just inside and just outside of the window.
    let edges = [[0x7f, 0xfe], [0x7f, 0xff], [0x80, 0], [0x80, 1]];
    let edges = edges.map(|[high, low]| [[1, 0, 0xf0, 7], [4, low, 2, high]].concat());
    let read = found.iter().map(|file| std::fs::read(file).expect("it reads"));
    let mut bytes = 0;
    for steps in made.chain(edges).chain(read) {
        bytes += deflate::content(&steps).len();
        deflate::holds(&steps);
    }
    assert!(bytes > 4 << 20, "{bytes}");
}
