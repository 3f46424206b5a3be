//! `archives`: what there is of a plan.

use crate::call;
use crate::next_second;
use crate::world::World;

fn plan(world: &World, more: &str) -> String {
    format!(
        r#"version: 1
name: night
secrets: {{ zip: {{ env: TEST_ZIP }} }}
logs: {{ dir: "{dir}/logs" }}
steps:
  - id: dump
    uses: pg_dump
    timeout: 1m
    with:
      archive: {{ path: "{dir}/out/${{{{ run.started_at | date('%Y') }}}}/${{{{ run.id }}}}.zip", password: "${{{{ secrets.zip }}}}", also: ["{dir}/also/${{{{ run.id }}}}.zip"] }}
  - {{ id: check, uses: verify, timeout: 1m, with: {{ archive: "${{{{ steps.dump.outputs.path }}}}", password: "${{{{ secrets.zip }}}}" }} }}
  - {{ uses: copy, timeout: 1m, with: {{ from: "${{{{ steps.dump.outputs.path }}}}", to: "{dir}/share" }} }}
{more}"#,
        dir = world.path("").display().to_string().trim_end_matches('/')
    )
}

#[test]
fn archives_are_listed_with_their_copies_the_newest_first() {
    let world = World::with_database();
    world.sql("CREATE TABLE notes AS SELECT generate_series(1, 42) AS id");
    world.write("plan.yaml", plan(&world, ""));
    std::fs::create_dir(world.path("share")).expect("a share");
    std::fs::create_dir(world.path("also")).expect("a folder");
    call(&world, &["archives", "plan.yaml"]).ends(0).says("no archives in").says("/out`").says("/share`");
    call(&world, &["plan.yaml", "-q"]).ends(0);
    next_second();
    call(&world, &["plan.yaml", "-q"]).ends(0);
    let names: Vec<String> = world.names("share").into_iter().filter(|n| n.ends_with(".zip")).collect();
    let year = &names[0][..4];
    call(&world, &["pin", &format!("out/{year}/{}", names[0])]).ends(0);
    // Archives of another plan, and files that are none, are not listed.
    std::fs::write(world.path("share/other.txt"), "x").expect("a file");
    let json = std::fs::read_to_string(world.path(&format!("share/{}.json", names[0]))).expect("a record");
    std::fs::copy(world.path(&format!("share/{}", names[0])), world.path("share/x.zip")).expect("a copy");
    std::fs::write(world.path("share/x.zip.json"), json.replace("\"night\"", "\"day\"")).expect("a record");

    let listed = call(&world, &["archives", "plan.yaml"]).ends(0).never_says("x.zip").never_says("other.txt");
    let place = |name: &str, dir: &str| listed.out.find(&format!("{dir}/{name}")).expect(name);
    assert!(place(&names[1], &format!("out/{year}")) < place(&names[0], &format!("out/{year}")), "{}", listed.said);
    assert!(place(&names[1], "share") < place(&names[0], &format!("out/{year}")) && place(&names[0], "also") > 0);
    let row = listed.out.lines().find(|l| l.contains("pinned  20")).expect("a pinned one");
    let words: Vec<&str> = row.split_whitespace().collect();
    assert!(row.contains(" 42 ") && words.contains(&world.db()), "{row}");
    assert!(listed.out.contains("/share: 2 archives, "), "{}", listed.said);
    // Local time, also that of the year's folder.
    let made = |zone: &str| {
        let mut command = world.runplan();
        let run: crate::world::Run =
            command.args(["archives", "plan.yaml"]).env("TZ", zone).output().expect("runs").into();
        run.ends(0).out.lines().nth(1).expect("a row")[..16].to_owned()
    };
    assert_ne!(made("UTC"), made("America/Sao_Paulo"));

    let document = call(&world, &["archives", "plan.yaml", "--format", "json"]).ends(0).json();
    assert_eq!(document["schema_version"], 1);
    let first = &document["archives"][0];
    assert_eq!((&first["rows"], &first["pinned"], &first["database"]), (&42.into(), &false.into(), &world.db().into()));
    assert_eq!(first["places"].as_array().map(Vec::len), Some(3), "{first}");
    assert_eq!(document["archives"][1]["pinned"], true);
    assert!(first["verified_at"].as_str().is_some_and(|t| t.ends_with('Z')), "{first}");

    std::fs::remove_file(world.path(&format!("share/{}.json", names[0]))).expect("a record");
    call(&world, &["archives", "plan.yaml"]).ends(0).says("record missing").says("--write-record");
}

#[test]
fn a_folder_that_cannot_be_listed_and_a_bad_plan_are_said() {
    let world = World::with_database();
    world.write("plan.yaml", plan(&world, ""));
    world.write("share", "a file");
    call(&world, &["archives", "plan.yaml"]).ends(2).says("/share` cannot be listed");
    world.write("plan.yaml", plan(&world, "stesp: 1\n"));
    call(&world, &["archives", "plan.yaml"]).ends(78).says("is not valid");
}

#[test]
fn names_from_outside_reach_no_terminal_raw() {
    let world = World::new();
    world.write("junk/a\u{1b}[31mb.zip", "junk");
    world.write("junk/c.zip", "junk");
    let run = call(&world, &["verify", "junk", "--password-env", "TEST_ZIP"]).ends(1).says("0 of 2 archives are good");
    assert!(!run.out.contains('\u{1b}') && run.out.contains("\\x1b[31mb.zip"), "{:?}", run.out);
}

#[test]
fn relative_folders_belong_to_the_folder_of_the_plan() {
    let world = World::with_database();
    world.sql("CREATE TABLE notes AS SELECT generate_series(1, 42) AS id");
    let plan = "version: 1\nname: night\nsecrets: { zip: { env: TEST_ZIP } }\nsteps:\n  - uses: pg_dump\n    timeout: 1m\n    with: { archive: { path: \"out/${{ run.id }}.zip\", password: \"${{ secrets.zip }}\" } }\n";
    world.write("sub/plan.yaml", plan);
    let mut command = world.runplan();
    command.current_dir(world.path("sub")).args(["plan.yaml", "-q"]);
    crate::world::Run::from(command.output().expect("the binary runs")).ends(0);
    call(&world, &["archives", "sub/plan.yaml"]).ends(0).says("/sub/out: 1 archive, ");
    call(&world, &["verify", "--plan", "sub/plan.yaml"]).ends(0).says("42 rows of 1 tables");
}
