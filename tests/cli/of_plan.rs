//! `verify` and `restore` with what a plan says: the archive, its password, the server.

use crate::world::{PASSWORD, World, psql};
use crate::{at_keyboard, call};

fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_default()
}

/// A plan whose password of archives and login to the server are secrets, with the server written out.
fn plan(world: &World) -> String {
    format!(
        r#"version: 1
name: night
params: {{ sub: {{ type: string, default: daily }} }}
secrets: {{ zip: {{ env: TEST_ZIP }}, login: {{ env: TEST_LOGIN }} }}
vars: {{ dir: "{dir}" }}
database: {{ host: "{host}", port: {port}, user: "{user}", password: "${{{{ secrets.login }}}}", dbname: {db} }}
steps:
  - id: dump
    uses: pg_dump
    timeout: 1m
    with: {{ archive: {{ path: "${{{{ vars.dir }}}}/${{{{ params.sub }}}}/${{{{ run.id }}}}.zip", password: "${{{{ secrets.zip }}}}" }} }}
"#,
        dir = world.path("out").display(),
        host = variable("PGHOST"),
        port = variable("PGPORT"),
        user = variable("PGUSER"),
        db = world.db(),
    )
}

fn world() -> World {
    let world = World::with_database();
    world.sql("CREATE TABLE notes AS SELECT g AS id, 'note ' || g AS text FROM generate_series(1, 100) g");
    world.write("plan.yaml", plan(&world));
    world
}

/// Runs the binary without any setting of a server in its environment.
fn bare(world: &World, arguments: &[&str]) -> crate::world::Run {
    let mut command = world.runplan();
    for name in ["PGHOST", "PGPORT", "PGUSER", "PGPASSWORD", "PGDATABASE", "PGPASSFILE", "RUNPLAN_ZIP_PASSWORD"] {
        command.env_remove(name);
    }
    let login = Some(variable("PGPASSWORD")).filter(|p| !p.is_empty()).unwrap_or_else(|| "not-asked-for".to_owned());
    command.env("TEST_LOGIN", login).args(arguments).output().expect("the binary runs").into()
}

#[test]
fn the_plan_says_where_its_newest_archive_is_and_how_it_is_opened() {
    let world = world();
    bare(&world, &["verify", "--plan", "plan.yaml"]).ends(1).says("there is not an archive of the plan `night`");
    bare(&world, &["plan.yaml", "-q"]).ends(0);
    crate::next_second();
    world.sql("INSERT INTO notes VALUES (101, 'the newest')");
    bare(&world, &["plan.yaml", "-q"]).ends(0);
    let newest = world.names("out/daily").into_iter().rfind(|n| n.ends_with(".zip")).expect("an archive");
    let oldest = world.names("out/daily").into_iter().find(|n| n.ends_with(".zip")).expect("an archive");
    assert_ne!(newest, oldest);
    bare(&world, &["verify", "--plan", "plan.yaml"]).ends(0).says(&newest).says("101 rows of 1 tables");
    bare(&world, &["verify", "--plan", "plan.yaml", &oldest]).ends(0).says("100 rows of 1 tables");
    bare(&world, &["verify", "--plan", "plan.yaml", &oldest[..21]]).ends(0).says("100 rows of 1 tables");
    bare(&world, &["verify", "--plan", "plan.yaml", "2"]).ends(2).says("2 archives are meant by `2`");
    bare(&world, &["verify", "--plan", "plan.yaml", "nowhere"]).ends(1).says("runplan archives plan.yaml");
    bare(&world, &["verify", "latest"]).ends(1);
    // The folder hangs on a parameter.
    bare(&world, &["verify", "--plan", "plan.yaml", "-p", "sub=weekly"]).ends(1).says("out/weekly`");
    bare(&world, &["verify", &format!("out/daily/{newest}"), "-p", "sub=weekly"]).ends(2).says("name it with `--plan`");

    let restored = format!("{}_again", world.db());
    let into = ["--into", &restored, "--create"];
    bare(&world, &[&["restore", "--plan", "plan.yaml"][..], &into].concat()).ends(0).says("101 rows");
    assert_eq!(psql(&restored, "SELECT count(*) FROM notes"), "101");
    psql("postgres", &format!("DROP DATABASE {restored}"));
    // A wrong password tells its secret; what the command line says wins over the plan.
    let wrong = world.runplan().args(["verify", "--plan", "plan.yaml"]).env("TEST_ZIP", "another-one").output();
    crate::world::Run::from(wrong.expect("runs"))
        .ends(1)
        .says("wrong password (from TEST_ZIP, secret `zip` of the plan)");
    world.write("pw", PASSWORD);
    let mut given = world.runplan();
    given.args(["verify", "--plan", "plan.yaml", "--password-file", "pw"]).env_remove("TEST_ZIP");
    crate::world::Run::from(given.output().expect("runs")).ends(0);
    let mut missing = world.runplan();
    missing.args(["verify", "--plan", "plan.yaml"]).env_remove("TEST_ZIP").env_remove("RUNPLAN_ZIP_PASSWORD");
    crate::world::Run::from(missing.output().expect("runs")).ends(77).says("`TEST_ZIP` is not set");
}

#[test]
fn of_several_targets_each_has_its_newest_archive() {
    let world = World::with_database();
    world.sql("CREATE TABLE notes AS SELECT generate_series(1, 7) AS id");
    let plan = format!(
        "version: 1\nname: many\nsecrets: {{ zip: {{ env: TEST_ZIP }} }}\ntargets:\n  list:\n    - {{ name: one, database: {{ dbname: {db} }} }}\n    - {{ name: two, database: {{ dbname: {db} }} }}\nsteps:\n  - uses: pg_dump\n    timeout: 1m\n    with: {{ archive: {{ path: \"{dir}/${{{{ target.name }}}}-${{{{ run.id }}}}.zip\", password: \"${{{{ secrets.zip }}}}\" }} }}\n",
        db = world.db(),
        dir = world.path("out").display()
    );
    world.write("many.yaml", plan);
    call(&world, &["many.yaml", "-q"]).ends(0);
    call(&world, &["verify", "--plan", "many.yaml"]).ends(0).says("one-").says("two-").says("2 of 2 archives are good");
    call(&world, &["verify", "--plan", "many.yaml", "-l", "two"]).ends(0).says("two-").never_says("one-");
    let into = ["--into", "never_made", "--create"];
    call(&world, &[&["restore", "--plan", "many.yaml"][..], &into].concat()).ends(2).says("pick one with `--target`");
    call(&world, &["archives", "many.yaml"]).ends(0).says("target").says(" one ").says(" two ");
}

#[test]
fn the_password_is_asked_for_on_a_terminal_without_echo() {
    let world = world();
    bare(&world, &["plan.yaml", "-q"]).ends(0);
    let archive = world.names("out/daily").into_iter().find(|n| n.ends_with(".zip")).expect("an archive");
    let path = format!("out/daily/{archive}");
    let asked = at_keyboard(&world, &["password of out/daily/", PASSWORD], &["verify", &path]);
    asked.ends(0).says("is good").never_says(PASSWORD);
    let wrong = at_keyboard(&world, &["password of out/daily/", "typed-wrongly"], &["verify", &path]);
    wrong.ends(1).says("wrong password (from the keyboard)").never_says("typed-wrongly");
    // Without a terminal nobody is asked.
    call(&world, &["verify", &path]).ends(77).says("there is no password for").says("--password-env");
}

#[test]
fn all_archives_of_a_folder_are_read_through() {
    let world = world();
    bare(&world, &["plan.yaml", "-q"]).ends(0);
    crate::next_second();
    bare(&world, &["plan.yaml", "-q"]).ends(0);
    let all: Vec<String> = world.names("out/daily").into_iter().filter(|n| n.ends_with(".zip")).collect();
    let given = ["verify", "out/daily", "--password-env", "TEST_ZIP"];
    let good = call(&world, &given).ends(0).says("2 of 2 archives are good");
    all.iter().for_each(|name| assert!(good.out.contains(name), "{}", good.said));
    let path = world.path("out/daily").join(&all[0]);
    let mut bytes = std::fs::read(&path).expect("the archive");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&path, bytes).expect("the archive");
    let one = call(&world, &given).ends(1).says("1 of 2 archives are good");
    let row = one.out.lines().find(|l| l.contains(&all[0])).expect("a row");
    assert!(row.contains("SHA-256"), "{}", one.said);
    std::fs::create_dir(world.path("empty")).expect("a folder");
    call(&world, &["verify", "empty"]).ends(2).says("there are no archives in the folder `empty`");
}
