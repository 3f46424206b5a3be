//! Texts that come from outside: secrets in every form in which programs print them, and what would act on a terminal, a
//! page or a log; how long they may be; and what a person reads of a run. Run by `tests/sandbox cargo test`.

mod alert;
mod forms;
mod hostile;
mod limits;
mod missing;
#[path = "../smtp/mod.rs"]
#[expect(dead_code, reason = "the tests of mail use the rest")]
mod smtp;
#[path = "../executors/world.rs"]
#[expect(dead_code, reason = "the tests of executors use the rest")]
mod world;

use std::path::Path;

/// Every file below a folder with its path.
fn everything(dir: &Path) -> Vec<(String, Vec<u8>)> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
        let path = entry.path();
        match path.is_dir() {
            true => all.extend(everything(&path)),
            false => all.push((path.display().to_string(), std::fs::read(&path).unwrap_or_default())),
        }
    }
    all
}
