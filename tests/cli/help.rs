//! Help that somebody new can read: what runplan is, an example of each command, global options apart.

use crate::call;
use crate::world::World;

#[test]
fn every_command_has_an_example_and_the_global_options_apart() {
    let world = World::new();
    let help = call(&world, &["--help"]).ends(0).out;
    assert!(
        help.starts_with("Encrypted, verified PostgreSQL backups and rule-driven VACUUM from one plan file"),
        "{help}"
    );
    assert!(help.contains("First steps:") && help.contains("runplan doctor nightly.yaml"), "{help}");
    let list = help.split("Commands:").nth(1).and_then(|t| t.split("Arguments:").next()).expect("the commands");
    let names: Vec<&str> = list
        .lines()
        .filter(|l| l.starts_with("  ") && !l.starts_with("   "))
        .filter_map(|l| l.split_whitespace().next())
        .collect();
    assert!(names.len() > 15 && names.contains(&"archives"), "{names:?}");
    for name in names.iter().filter(|n| **n != "help") {
        for form in ["--help", "-h"] {
            let help = call(&world, &[name, form]).ends(0).out;
            assert!(
                help.contains("Example") && help.contains("  runplan ") || *name == "completions",
                "{name}: {help}"
            );
            let (own, global) = help.split_once("Global options:").unwrap_or_else(|| panic!("{name}: {help}"));
            for flag in ["--verbose", "--quiet", "--color"] {
                assert!(!own.contains(flag) && global.contains(flag), "{name} {flag}: {help}");
            }
        }
    }
}
