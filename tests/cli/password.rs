//! A wrong password says so, and where it came from.

use crate::world::{PASSWORD, Run, World};

const DUMP: &str = r#"secrets: { zip: { env: TEST_ZIP } }
steps:
  - id: dump
    uses: pg_dump
    with: { archive: { path: "backups/${{ run.id }}.zip", password: "${{ secrets.zip }}" } }
"#;

/// A world with a dump of a small database, and the path of its archive.
fn dumped() -> (World, String) {
    let world = World::with_database();
    world.sql("CREATE TABLE notes AS SELECT g AS id, 'note ' || g AS text FROM generate_series(1, 100) g");
    world.run(DUMP, &[]).ends(0);
    let archive = world.names("backups").into_iter().find(|n| n.ends_with(".zip")).expect("an archive");
    (world, format!("backups/{archive}"))
}

fn call(world: &World, arguments: &[&str], password: &str) -> Run {
    let mut command = world.runplan();
    command.args(arguments).env("RUNPLAN_ZIP_PASSWORD", password).output().expect("the binary runs").into()
}

#[test]
fn a_wrong_password_says_so_and_where_it_came_from() {
    let (world, archive) = dumped();
    world.write("pw", "typed wrongly\n");
    let wrong = "wrong password";
    for command in [&["verify", &archive][..], &["restore", &archive, "--into", "never_made", "--create"]] {
        call(&world, command, "another-one")
            .ends(1)
            .says("wrong password (from RUNPLAN_ZIP_PASSWORD)")
            .says("`--password-file");
        let of_file = [command, &["--password-file", "pw"]].concat();
        call(&world, &of_file, PASSWORD)
            .ends(1)
            .says("wrong password (from the file `pw`)")
            .never_says("typed wrongly");
    }
    call(&world, &["verify", &archive], PASSWORD).ends(0).never_says(wrong);
    // A plan's own step says it too.
    let steps = format!(
        "secrets: {{ zip: {{ command: [echo, never-this] }} }}\nsteps:\n  - uses: verify\n    with: {{ archive: '{archive}', password: '${{{{ secrets.zip }}}}' }}\n"
    );
    world.run(&steps, &[]).ends(1).says("wrong password (from the program `echo`)");
    // An archive that was changed is not good, whatever the password.
    let path = world.path(&archive);
    let mut bytes = std::fs::read(&path).expect("the archive");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&path, bytes).expect("the archive");
    call(&world, &["verify", &archive], "another-one").ends(1).says("SHA-256").says("password");
}
