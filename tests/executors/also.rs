//! One dump, written to several places in one pass.

use std::process::Command;

use crate::world::{PASSWORD, Run, World};

fn plan(archive: &str) -> String {
    format!(
        "secrets: {{ zip: {{ env: TEST_ZIP }} }}\nsteps:\n  - id: dump\n    uses: pg_dump\n    with:\n      archive: {{ path: out/a.zip, password: '${{{{ secrets.zip }}}}', {archive} }}\n"
    )
}

fn world() -> World {
    let world = World::with_database();
    world.sql("CREATE TABLE big AS SELECT g AS id, md5(g::text) AS m FROM generate_series(1, 60000) g");
    world
}

fn read(world: &World, name: &str) -> Vec<u8> {
    std::fs::read(world.path(name)).unwrap_or_else(|e| panic!("{name}: {e}"))
}

/// The dump in an archive, as 7-Zip reads it.
fn dump(world: &World, name: &str) -> Vec<u8> {
    let mut command = Command::new("7z");
    command.args(["x", "-so", &format!("-p{PASSWORD}")]).arg(world.path(name)).arg("database.dump");
    command.output().expect("7z: run `tests/sandbox cargo test`").stdout
}

/// Runs the plan in a namespace of its own, in which the script may mount what it likes; `"$@"` is the run.
fn apart(world: &World, text: &str) -> Run {
    let inner = world.runplan();
    let mut command = Command::new("unshare");
    command.args(["--mount", "--map-root-user", "sh", "-c", text, "sh"]).arg(inner.get_program()).arg("plan.yaml");
    command.current_dir(world.path("")).env_remove("PGSERVICE").env("NO_COLOR", "1").env("TEST_ZIP", PASSWORD);
    command.env("XDG_STATE_HOME", world.path("state")).env("PGDATABASE", world.db());
    Run::from(command.output().expect("unshare")).never_says("unshare:").never_says("\nmount:")
}

#[test]
fn every_place_has_the_same_archive_with_its_record() {
    let world = world();
    let plan = plan("also: [b/second.zip, 'c/${{ run.id }}.zip']");
    let later = format!(
        "{plan}  - {{ uses: command, with: {{ argv: [test, -s, \"${{{{ steps.dump.outputs.paths[1] }}}}\"] }} }}\n"
    );
    let dry = world.run(&later, &["-n"]).ends(0).says("into `out/a.zip` and `b/second.zip` and `c/");
    dry.says("test -s b/second.zip");
    assert!(world.names("out").is_empty() && world.names("b").is_empty());
    let run = world.run(&later, &["--format", "json"]).ends(0).json();
    let outputs = &run["steps"][0]["outputs"];
    let third = outputs["paths"][2].as_str().expect("a path").to_owned();
    assert_eq!(outputs["paths"], serde_json::json!([world.path("out/a.zip"), world.path("b/second.zip"), third]));
    let first = read(&world, "out/a.zip");
    for name in ["b/second.zip", &third] {
        assert!(read(&world, name) == first, "{name}");
        assert!(read(&world, &format!("{name}.json")) == read(&world, "out/a.zip.json"), "{name}");
    }
    assert!(dump(&world, "b/second.zip").starts_with(b"PGDMP"));
    assert_eq!((world.names("out").len(), world.names("b").len(), world.names("c").len()), (2, 2, 2));
    // Each place keeps its own: nothing is ever overwritten.
    std::fs::remove_dir_all(world.path("out")).expect("the archive");
    let before = read(&world, "b/second.zip");
    let run = world.run(&plan, &[]).ends(1).says("`b/second.zip` exists, and no archive is ever overwritten");
    run.says("the archive is complete at `out/a.zip`");
    assert!(read(&world, "b/second.zip") == before && dump(&world, "out/a.zip").starts_with(b"PGDMP"));
    world.run(&plan.replace("c/${{ run.id }}.zip", "b/third.zip"), &[]).ends(1).says("complete at `b/third.zip`");
    assert!(dump(&world, "b/third.zip").starts_with(b"PGDMP"));
}

#[test]
fn two_places_in_one_folder_are_one_night_to_retention() {
    let world = world();
    let plan = plan("also: ['out/again-${{ run.id }}.zip', 'b/${{ run.id }}.zip']");
    let plan = plan.replace("out/a.zip", "'out/${{ run.id }}.zip'");
    let plan = format!(
        "{plan}  - {{ id: prune, uses: retention, with: {{ dir: out, keep_last: 2 }} }}\n  - {{ uses: retention, with: {{ dir: b, keep_last: 2 }} }}\n"
    );
    // A dry run counts what it would make once, too.
    world.run(&plan, &["-n"]).ends(0).says("number 1 of the 2 newest; the same archive as").never_says("number 2");
    let nights = |dir: &str| world.names(dir).into_iter().filter(|n| n.ends_with(".zip")).count();
    for (night, in_out, in_b) in [(1, 2, 1), (2, 4, 2), (3, 4, 2)] {
        world.run(&plan, &[]).ends(0);
        assert_eq!((nights("out"), nights("b")), (in_out, in_b), "night {night}");
    }
    // The folder of a later place is made by the dump as well.
    std::fs::remove_dir_all(world.path("b")).expect("the archives");
    let doctor = world.runplan().args(["doctor", "plan.yaml"]).output().expect("runs");
    Run::from(doctor).ends(0).says("folder `b`: is made when it is needed");
}

#[test]
fn a_first_place_without_room_costs_no_backup_on_later_nights_either() {
    let world = world();
    let plan = plan("also: ['b/${{ run.id }}.zip']").replace("out/a.zip", "'out/${{ run.id }}.zip'");
    world.run(&plan, &[]).ends(0);
    // The record of the first night says what the second will need.
    let script =
        "mkdir t; cp out/*.json t; mount -t tmpfs -o size=400k,mode=700 none out || exit 99; cp t/* out; \"$@\"";
    apart(&world, script).ends(1).says("the archive is complete at `b/").says("No space left on device");
    let archives = |dir: &str| world.names(dir).into_iter().filter(|n| n.ends_with(".zip")).count();
    assert_eq!((archives("out"), archives("b")), (1, 2));
}

#[test]
fn one_file_under_two_names_is_refused_as_such() {
    let world = world();
    std::fs::create_dir(world.path("out")).expect("a folder");
    std::os::unix::fs::symlink(world.path("out"), world.path("link")).expect("a link");
    let full = world.path("out/a.zip").display().to_string();
    for (again, why) in
        [("link/a.zip", "a file that the archive goes to already"), (full.as_str(), "/out/a.zip` twice")]
    {
        world.run(&plan(&format!("also: [{again}]")), &[]).ends(1).says(why);
    }
    assert!(world.names("out").is_empty());
}

#[test]
fn a_place_that_fills_up_leaves_nothing_fails_the_step_and_stops_no_other() {
    let world = world();
    for (full, others) in [("b", ["out/a.zip", "c/a.zip"]), ("out", ["b/a.zip", "c/a.zip"])] {
        for dir in ["out", "b", "c"] {
            let _ = std::fs::remove_dir_all(world.path(dir));
            std::fs::create_dir(world.path(dir)).expect("a folder");
        }
        let plan = plan("also: [b/a.zip, c/a.zip]");
        world.write("plan.yaml", format!("version: 1\nname: night\nlogs: {{ dir: logs }}\n{plan}"));
        let script = format!(
            "mount -t tmpfs -o size=200k,mode=700 none {full} || exit 99; \"$@\"; code=$?; ls -A {full} > left; exit $code"
        );
        let run = apart(&world, &script).ends(1).says("No space left on device").says("the archive is complete at");
        assert_eq!(read(&world, "left"), b"", "{}", run.said);
        let bytes = read(&world, others[0]);
        for name in others {
            assert!(read(&world, name) == bytes, "{name}");
            let record: serde_json::Value =
                serde_json::from_slice(&read(&world, &format!("{name}.json"))).expect("JSON");
            assert_eq!(record["bytes"].as_u64(), Some(bytes.len() as u64));
            assert!(dump(&world, name).starts_with(b"PGDMP"), "{name}");
        }
    }
}

#[test]
fn unpacked_again_each_place_is_what_was_packed_or_has_no_name() {
    let world = world();
    let plan = plan("verify: full, also: [b/a.zip]");
    world.run(&plan, &["-n"]).ends(0).says("unpacked again before it gets its name");
    world.run(&plan, &[]).ends(0);
    assert!(read(&world, "b/a.zip") == read(&world, "out/a.zip"));
    for dir in ["out", "b"] {
        std::fs::remove_dir_all(world.path(dir)).expect("the archives");
    }
    // The second reading of one of the two fails: nothing else looks for the directory at its end.
    world.write("plan.yaml", format!("version: 1\nname: night\nlogs: {{ dir: logs }}\n{plan}"));
    let script = format!(
        "exec strace -f -qq -o trace -P {} -e trace=lseek -e inject=lseek:error=EIO \"$@\"",
        world.path("b/a.zip.partial").display()
    );
    let run = apart(&world, &script).ends(1).says("reading back `b/a.zip`").says("complete at `out/a.zip`");
    assert!(world.names("b").is_empty() && world.names("out").len() == 2, "{}", run.said);
}

#[test]
fn a_share_that_is_not_mounted_gets_nothing_and_the_rest_is_made() {
    let world = world();
    std::fs::create_dir(world.path("share")).expect("a folder");
    let plan = plan("also: [share/a.zip], require_mount: true");
    world.run(&plan, &["-n"]).ends(0).says("`share` is not the root of a mounted file system");
    world.run(&plan, &[]).ends(1).says("`share` is not the root of a mounted file system").says("mount the share");
    assert_eq!(world.names("out"), ["a.zip", "a.zip.json"]);
    assert!(world.names("share").is_empty());
    std::fs::remove_dir_all(world.path("out")).expect("the archive");
    let script = "mount -t tmpfs none share || exit 99; \"$@\"; code=$?; cp share/* .; exit $code";
    apart(&world, script).ends(0);
    assert!(read(&world, "a.zip") == read(&world, "out/a.zip"));
}

#[test]
fn what_names_a_place_twice_or_no_place_is_refused() {
    let world = world();
    world.run(&plan("also: [b/a.zip, ./out/a.zip]"), &[]).ends(78).says("the archive goes there already");
    let twice =
        format!("params: {{ dir: {{ type: string, default: out }} }}\n{}", plan("also: ['${{ params.dir }}/a.zip']"));
    world.run(&twice, &[]).ends(1).says("the archive would go to `out/a.zip` twice");
    let empty = format!("params: {{ to: {{ type: string, default: '' }} }}\n{}", plan("also: ['${{ params.to }}']"));
    world.run(&empty, &[]).ends(1).says("a path of the archive is empty");
    let secret = plan("also: ['b/${{ secrets.zip }}.zip']");
    world.run(&secret, &[]).ends(78).says("error[RP04");
    world.run(&plan("require_mount: true"), &[]).ends(78).says("`require_mount` is about the folders of `also`");
    assert!(world.names("out").is_empty() && world.names("b").is_empty());
}

#[test]
fn retention_knows_the_second_place_and_keeps_the_rule_there_too() {
    let world = world();
    let plan = plan("also: ['second/${{ run.id }}.zip']").replace("out/a.zip", "'out/${{ run.id }}.zip'")
        + "  - { uses: retention, with: { dir: second, keep_last: 2 } }\n";
    world.write("plan.yaml", format!("version: 1\nname: night\nlogs: {{ dir: logs }}\n{plan}"));
    let checked = world.runplan().args(["validate", "plan.yaml"]).output().map(Run::from).expect("the binary runs");
    checked.ends(0).never_says("RP0506");
    world.run(&plan, &[]).ends(0);
    world.run(&plan, &[]).ends(0);
    world.run(&plan, &["-n"]).ends(0).says("removes `");
    world.run(&plan, &[]).ends(0);
    assert_eq!((world.names("second").len(), world.names("out").len()), (4, 6));
}
