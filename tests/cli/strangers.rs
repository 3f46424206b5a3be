//! Archives that somebody else put into a folder of the plan, and archives that are not encrypted where a password is given.

use crate::world::{PASSWORD, Run, World, psql};
use crate::{call, next_second};

/// A plan with one archive in `share`, which everybody may write to.
fn world() -> World {
    use std::os::unix::fs::PermissionsExt;
    let world = World::with_database();
    world.sql("CREATE TABLE notes AS SELECT generate_series(1, 100) AS id");
    std::fs::create_dir(world.path("share")).expect("a folder");
    std::fs::set_permissions(world.path("share"), std::fs::Permissions::from_mode(0o1777)).expect("for all");
    world.write("night.yaml", plan(&world, "share", r#"password: "${{ secrets.zip }}""#));
    call(&world, &["night.yaml", "-q"]).ends(0);
    world
}

fn plan(world: &World, dir: &str, archive: &str) -> String {
    format!(
        "version: 1\nname: night\nsecrets: {{ zip: {{ env: TEST_ZIP }} }}\nsteps:\n  - uses: pg_dump\n    timeout: 1m\n    with: {{ archive: {{ path: \"{}/${{{{ run.id }}}}.zip\", {archive} }} }}\n",
        world.path(dir).display()
    )
}

/// Puts a newer archive that is not encrypted into `share`, as `z.zip`.
fn forge(world: &World) {
    next_second();
    world.sql("INSERT INTO notes VALUES (101)");
    world.write("forged.yaml", plan(world, "elsewhere", "encryption: none"));
    call(world, &["forged.yaml", "-q"]).ends(0);
    let name = world.names("elsewhere").into_iter().find(|n| n.ends_with(".zip")).expect("an archive");
    for end in ["", ".json"] {
        let from = world.path(&format!("elsewhere/{name}{end}"));
        std::fs::copy(from, world.path(&format!("share/z.zip{end}"))).expect("a copy");
    }
}

fn give(world: &World, name: &str, user: u32) {
    std::os::unix::fs::chown(world.path(name), Some(user), None).expect("it is given away");
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Runs the binary with the password in the variable that is used when nothing else is said.
fn ambient(world: &World, arguments: &[&str]) -> Run {
    let mut command = world.runplan();
    command.args(arguments).env("RUNPLAN_ZIP_PASSWORD", PASSWORD).output().expect("the binary runs").into()
}

const CLEAR: &str = "the archive is not encrypted, though a password is given: it is not an archive of this plan";

#[test]
fn what_a_stranger_puts_into_the_folder_is_never_the_newest() {
    let world = world();
    forge(&world);
    // Nobody but root can make files of others.
    if !is_root() {
        call(&world, &["verify", "--plan", "night.yaml"]).ends(1).says(CLEAR).never_says("is good");
        return;
    }
    for given in [&["share/z.zip", "share/z.zip.json"][..], &["share/z.zip"], &["share/z.zip.json"]] {
        given.iter().for_each(|name| give(&world, name, 65534));
        let run = call(&world, &["verify", "--plan", "night.yaml"]).ends(0).says("is good: 100 rows of 1 tables");
        let said = run.says("belongs to user id 65534, who is neither the owner of the folder nor this user").said;
        assert_eq!(said.matches("user id 65534").count(), 1, "{said}");
        let listed = call(&world, &["archives", "night.yaml"]).ends(0).says("not counted").says("user id 65534");
        assert!(listed.out.contains("share: 1 archive, ") && !listed.out.contains("z.zip"), "{}", listed.said);
        given.iter().for_each(|name| give(&world, name, 0));
    }
    let restored = format!("{}_again", world.db());
    give(&world, "share/z.zip", 65534);
    call(&world, &["restore", "--plan", "night.yaml", "--into", &restored, "--create"]).ends(0).says("100 rows");
    psql("postgres", &format!("DROP DATABASE {restored}"));
    // The pin of a stranger.
    let own = world.names("share").into_iter().find(|n| n.ends_with(".zip") && n != "z.zip").expect("an archive");
    let pin = format!("share/{own}.pin");
    world.write(&pin, "");
    give(&world, &pin, 65534);
    let pinned = |world: &World| {
        let document = call(world, &["archives", "night.yaml", "--format", "json"]).ends(0).json();
        document["archives"][0]["pinned"].clone()
    };
    assert_eq!(pinned(&world), false);
    give(&world, &pin, 0);
    assert_eq!(pinned(&world), true);
}

#[test]
fn an_archive_that_is_not_encrypted_is_refused_where_a_password_is_given() {
    let world = world();
    forge(&world);
    let restored = format!("{}_never", world.db());
    call(&world, &["verify", "--plan", "night.yaml"]).ends(1).says(CLEAR).never_says("is good");
    let into = ["--into", &restored, "--create"];
    call(&world, &[&["restore", "--plan", "night.yaml"][..], &into].concat()).ends(1).says(CLEAR);
    call(&world, &[&["restore", "share/z.zip", "--password-env", "TEST_ZIP"][..], &into].concat()).ends(1).says(CLEAR);
    call(&world, &["verify", "share/z.zip", "--password-env", "TEST_ZIP"]).ends(1).says(CLEAR);
    assert_eq!(psql("postgres", &format!("SELECT count(*) FROM pg_database WHERE datname = '{restored}'")), "0");
    for uses in ["verify", "restore_check"] {
        let more = if uses == "verify" { "" } else { ", into: scratch, trust_source: true" };
        let step = format!(
            "secrets: {{ zip: {{ env: TEST_ZIP }} }}\nsteps:\n  - {{ uses: {uses}, timeout: 1m, with: {{ archive: share/z.zip, password: '${{{{ secrets.zip }}}}'{more} }} }}\n"
        );
        world.run(&step, &[]).ends(1).says(CLEAR);
    }
    // What was meant to be without a password stays good, whatever the environment has.
    ambient(&world, &["verify", "share/z.zip"]).ends(0).says("is good: 101 rows");
    ambient(&world, &["verify", "--plan", "forged.yaml"]).ends(0).says("is good: 101 rows");
    let record = std::fs::read_to_string(world.path("share/z.zip.json")).expect("a record");
    std::fs::remove_file(world.path("share/z.zip.json")).expect("it was there");
    ambient(&world, &["verify", "share/z.zip"]).ends(1).says("archive intact, record missing");
    // A record that claims more than is so.
    let claim = |record: &str| record.replace("\"encryption\": \"none\"", "\"encryption\": \"aes256\"");
    assert_ne!(claim(&record), record);
    world.write("share/z.zip.json", claim(&record));
    ambient(&world, &["verify", "share/z.zip"]).ends(1).says("its record says aes256, and that is not so");
    // A record of another plan, server and time than the dump inside.
    let year = record.split("\"started_at\": \"").nth(1).expect("a time")[..4].to_owned();
    let record =
        record.replace("\"night\"", "\"day\"").replace(&format!("\"started_at\": \"{year}"), "\"started_at\": \"2001");
    world.write("share/z.zip.json", record);
    call(&world, &["verify", "share/z.zip"]).ends(1).says("it is not that of the dump inside, by plan, time");
}

#[test]
fn a_bare_dump_is_not_taken_for_an_encrypted_one() {
    let world = World::with_database();
    world.sql("CREATE TABLE notes AS SELECT generate_series(1, 100) AS id");
    world.run("steps:\n  - { uses: pg_dump, timeout: 1m, with: { file: out/app.dump } }\n", &[]).ends(0);
    ambient(&world, &["verify", "out/app.dump"]).ends(0).says("is good");
    call(&world, &["verify", "out/app.dump", "--password-env", "TEST_ZIP"]).ends(1).says(CLEAR);
    let place = world.path("out/app.dump.json");
    let mut record: serde_json::Value =
        serde_json::from_slice(&std::fs::read(&place).expect("a record")).expect("JSON");
    record["encryption"] = "aes256".into();
    std::fs::write(&place, record.to_string()).expect("a record");
    let run = ambient(&world, &["verify", "out/app.dump"]).ends(1);
    run.says("its record says aes256, and that is not so").never_says("is good");
}
