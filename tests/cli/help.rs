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

#[test]
fn the_manual_is_shown_by_topic_and_written_as_man_pages() {
    let world = World::new();
    let list = call(&world, &["help"]).ends(0).out;
    assert!(list.contains("  restore      Verify and restore\n"), "{list}");
    let topics: Vec<&str> =
        list.lines().filter_map(|l| l.strip_prefix("  ")).filter_map(|l| l.split("  ").next()).collect();
    assert!(topics.len() > 15, "{topics:?}");
    for topic in &topics {
        let text = call(&world, &["help", topic]).ends(0).out;
        assert!(text.lines().count() > 10 && !text.contains('\u{1b}'), "{topic}: {text}");
    }
    let text = call(&world, &["help", "targets", "--color", "always"]).ends(0).out;
    assert!(text.starts_with("\u{1b}[1mTargets"), "{text}");
    let options = call(&world, &["help", "validate"]).ends(0).out;
    assert!(options.contains("--deny-warnings"), "{options}");
    call(&world, &["help", "restoer"]).ends(2).says("did you mean `runplan help restore`?");
    let other = world.write("other", "precious");
    std::fs::create_dir(world.path("pages")).expect("a folder");
    for page in ["runplan.1", "runplan-targets.7"] {
        std::os::unix::fs::symlink(&other, world.path("pages").join(page)).expect("a link");
    }
    call(&world, &["man", "--dir", "pages"]).ends(0);
    assert_eq!(std::fs::read_to_string(other).ok().as_deref(), Some("precious"), "no link is followed");
    let pages = world.names("pages");
    for page in ["runplan.1", "runplan-restore.1", "runplan-restore.7", "runplan-targets.7"] {
        assert!(pages.iter().any(|p| p == page), "{page}: {pages:?}");
    }
    // The text of a topic is whole on its page, whatever roff makes of its first characters.
    let mandoc = |args: &[&str], page: &str| {
        let out = std::process::Command::new("mandoc").args(args).arg(world.path("pages").join(page)).output();
        String::from_utf8_lossy(&out.expect("mandoc").stdout).into_owned()
    };
    for topic in topics {
        let (text, page) = (call(&world, &["help", topic]).ends(0).out, format!("runplan-{topic}.7"));
        // The pages of a build have no date.
        let lint = mandoc(&["-T", "lint", "-W", "warning"], &page);
        let lint: Vec<&str> = lint.lines().filter(|l| !l.contains("missing date")).collect();
        assert!(lint.is_empty(), "{lint:?}");
        // Bold is a character, a backspace, and the character again.
        let page = mandoc(&["-T", "utf8", "-O", "width=200"], &page).chars().fold(String::new(), |mut text, c| {
            if c == '\u{8}' {
                text.pop();
            } else {
                text.push(c);
            }
            text
        });
        let words = |t: &str| -> Vec<String> {
            let dashes = t.replace('`', "").replace(['-', '\u{b7}', '\u{2010}', '\u{2212}', '\u{2022}'], " ");
            dashes.split_whitespace().map(str::to_lowercase).collect()
        };
        let shown = words(&page);
        let missing: Vec<String> = words(&text).into_iter().filter(|w| !shown.contains(w)).collect();
        assert!(missing.is_empty(), "{topic}: {missing:?}\n{page}");
    }
}
