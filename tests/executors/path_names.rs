//! Names that become part of a path stay in their folder.

use crate::world::World;

const COPY: &str = "steps:\n  - { uses: copy, with: { from: x, to: \"@\", create: true } }\n";

#[test]
fn a_name_cannot_lead_a_path_elsewhere() {
    let world = World::new();
    world.write("x", "x");
    for (frame, to, name) in [
        ("database: { dbname: ../up }\n", "out/${{ database.dbname }}", "database.dbname"),
        ("database: { dbname: .. }\n", "out/${{ database.dbname }}", "database.dbname"),
        ("database: { dbname: /up }\n", "${{ database.dbname }}", "database.dbname"),
        ("database: { dbname: \"a\\nb\" }\n", "out/${{ database.dbname }}", "database.dbname"),
        (
            "database: { dbname: ../up }\nvars: { dir: \"out/${{ database.dbname }}\" }\n",
            "${{ vars.dir }}",
            "database.dbname",
        ),
        ("targets: { list: [{ name: t, labels: { l: ../up } }] }\n", "out/${{ target.labels.l }}", "target.labels.l"),
        ("params: { p: { type: string, default: ../up } }\n", "out/${{ params.p }}", "params.p"),
    ] {
        for arguments in [&["-n"][..], &[]] {
            let run = world.run(&format!("{frame}{}", COPY.replace('@', to)), arguments).ends(1);
            run.says(&format!("`{name}` is `")).says("cannot be part of a path");
        }
        assert!(!world.path("up").exists() && !world.path("out").exists());
    }
    for (frame, to) in [
        ("database: { dbname: ../up }\n", "out/${{ database.dbname | replace('/', '_') }}"),
        ("params: { p: { type: string, default: out/a } }\n", "${{ params.p }}/b"),
        ("params: { p: { type: string, default: a.b } }\n", "out/${{ params.p }}"),
    ] {
        world.run(&format!("{frame}{}", COPY.replace('@', to)), &[]).ends(0);
    }
}
