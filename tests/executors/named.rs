//! A dump and a restore need a database that somebody named, and an archive a password that nobody guesses.

use crate::world::{Run, World};

const REFUSED: &str = "no database is named";

fn run(world: &World, plan: &str, arguments: &[&str], database: Option<&str>) -> Run {
    world.write("plan.yaml", format!("version: 1\nname: night\nlogs: {{ dir: logs }}\n{plan}"));
    let mut command = world.runplan();
    command.env_remove("PGDATABASE").envs(database.map(|d| ("PGDATABASE", d)));
    command.args(arguments).output().expect("the binary runs").into()
}

fn plan(of_plan: &str, of_step: &str) -> String {
    format!(
        "secrets: {{ zip: {{ env: TEST_ZIP }} }}\n{of_plan}steps:\n\
         \x20 - {{ id: first, uses: command, with: {{ argv: [touch, first] }} }}\n\
         \x20 - id: dump\n    uses: pg_dump\n    timeout: 1h\n    with:\n{of_step}\
         \x20     archive: {{ path: 'out/${{{{ run.id }}}}.zip', password: '${{{{ secrets.zip }}}}' }}\n"
    )
}

#[test]
fn a_dump_of_a_database_that_nothing_names_is_refused_before_the_first_step() {
    let world = World::with_database();
    for (of_plan, of_step, env) in [
        ("", "", None),
        ("database: {}\n", "", Some("")),
        ("database: { dbname: '' }\n", "", Some("postgres")),
        ("", "      database: { dbname: '' }\n", Some("postgres")),
    ] {
        let plan = plan(of_plan, of_step);
        let said = run(&world, &plan, &["plan.yaml"], env).ends(1).says(REFUSED).says("set PGDATABASE");
        said.says("failed at dump");
        assert!(world.names("out").is_empty() && !world.path("first").exists(), "{plan}");
        run(&world, &plan, &["-n", "plan.yaml"], env).ends(1).says(REFUSED);
        run(&world, &plan, &["doctor", "plan.yaml"], env).ends(1).says(REFUSED);
    }
}

#[test]
fn a_dump_takes_the_database_that_plan_step_target_or_environment_names() {
    let world = World::with_database();
    world.sql("CREATE TABLE t AS SELECT 1 AS a");
    let db = world.db();
    let of_plan = format!("database: {{ dbname: {db} }}\n");
    let of_step = format!("      database: {{ dbname: {db} }}\n");
    let of_target = format!("targets: {{ list: [{{ name: a, database: {{ dbname: {db} }} }}] }}\n");
    for (of_plan, of_step, env) in
        [(of_plan.as_str(), "", None), ("", &of_step, None), (&of_target, "", None), ("", "", Some(db))]
    {
        let run = run(&world, &plan(of_plan, of_step), &["plan.yaml"], env).ends(0);
        run.says(&format!("database `{db}`"));
    }
}

#[test]
fn a_restore_into_a_database_that_nothing_names_is_refused() {
    let world = World::with_database();
    let plan = "steps:\n  - { id: back, uses: pg_restore, timeout: 1h, with: { archive: a.zip, non_empty: true } }\n";
    run(&world, plan, &["plan.yaml"], None).ends(1).says(REFUSED);
    run(&world, plan, &["plan.yaml"], Some(world.db())).ends(1).never_says(REFUSED);
}

#[test]
fn a_weak_archive_password_is_warned_of_at_the_run_and_by_doctor() {
    let world = World::new();
    world.write("a", "a");
    let plan = "secrets: { zip: { env: ARCHIVE_PASSWORD } }\nsteps:\n  - uses: zip\n    with: { files: [a], archive: { path: 'out/${{ run.id }}.zip', password: '${{ secrets.zip }}' } }\n";
    world.write("plan.yaml", format!("version: 1\nname: night\nlogs: {{ dir: logs }}\n{plan}"));
    std::fs::create_dir_all(world.path("out")).expect("a folder");
    for (password, why) in [
        ("1234", Some("is easily guessed")),
        ("Postgres-2026", Some("is easily guessed")),
        ("kX9-w2", Some("has fewer than 12 characters")),
        ("five words make a password", None),
    ] {
        for arguments in [&["plan.yaml"][..], &["doctor", "plan.yaml"]] {
            let output = world.runplan().args(arguments).env("ARCHIVE_PASSWORD", password).output();
            let run = Run::from(output.expect("the binary runs")).ends(0);
            // Four digits may be those of a time.
            let run = if password.len() > 4 { run.never_says(password) } else { run };
            match why {
                Some(why) => run.says(&format!("the archive password {why}")),
                None => run.never_says("the archive password"),
            };
        }
    }
}
