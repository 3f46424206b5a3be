//! Which logs stay: so many of each database, and nobody's because of another's.

use crate::world::{PLAN, World, text};

/// The plan for the database that a parameter names.
fn plan(keep: u32) -> String {
    PLAN.replace("keep: 20", &format!("keep: {keep}"))
        .replace("steps:\n", "database: { dbname: \"${{ params.db }}\" }\nsteps:\n")
}

/// The names of the runs that are there, those of today left out.
fn old(world: &World) -> Vec<String> {
    let names = world.folders().into_iter().filter_map(|f| Some(f.file_name()?.to_str()?.to_owned()));
    names.filter(|n| n.starts_with("2020")).collect()
}

#[test]
fn of_each_database_so_many_nights_stay() {
    let world = World::new();
    world.write("plan.yaml", &plan(3));
    world.run(&[], &["-p", "db=a"], 0);
    // Four nights of two databases.
    let named = |name: &str| {
        let name = name.to_owned();
        move |events: String| {
            events
                .replace("\"database\":\"a\"", &format!("\"database\":\"{name}\""))
                .replace("\"db\":\"a\"", &format!("\"db\":\"{name}\""))
        }
    };
    for night in 1..=4 {
        world.again(&format!("2020010{night}T210000Z-aaaa"), named("a"));
        world.again(&format!("2020010{night}T220000Z-bbbb"), named("b"));
    }
    // A run that failed keeps its own and all others.
    world.run(&["bad"], &["-p", "db=a"], 1);
    assert_eq!(old(&world).len(), 8);
    // A run of some steps too.
    world.run(&[], &["-p", "db=a", "--only", "prune"], 0);
    assert_eq!(old(&world).len(), 8);
    world.runplan(&["plan.yaml", "-p", "db=b"]).ends(0).says("removed the logs of 2 older runs");
    let nights = |all: &[(u32, char)]| -> Vec<String> {
        all.iter()
            .map(|(night, of)| {
                format!("2020010{night}T2{}0000Z-{}", if *of == 'a' { 1 } else { 2 }, of.to_string().repeat(4))
            })
            .collect()
    };
    assert_eq!(old(&world), nights(&[(1, 'a'), (2, 'a'), (3, 'a'), (3, 'b'), (4, 'a'), (4, 'b')]));
    // Of `a` there are three of today by now, the failed one among them, and the next is the fourth.
    world.runplan(&["plan.yaml", "-p", "db=a"]).ends(0).says("removed the logs of 5 older runs");
    assert_eq!(old(&world), nights(&[(3, 'b'), (4, 'b')]));
    let of = |db: &str| world.history(&["plan.yaml", "-p", &format!("db={db}")]).len();
    assert_eq!((of("a"), of("b")), (3, 3));
    world.runplan(&["status", "plan.yaml", "-p", "db=b", "--max-age", "1h"]).ends(0);
}

#[test]
fn what_does_not_tell_its_database_takes_no_place() {
    let world = World::new();
    world.write("plan.yaml", &plan(2));
    world.run(&[], &["-p", "db=a"], 0);
    let first = world.folders().pop().expect("a run");
    // As an older version left it, torn, and without a journal; then one of another database, and what is no run.
    world.again("20200105T000000Z-aaaa", |events| events.replace(",\"database\":\"a\"", ""));
    world.again("20200104T000000Z-aaaa", |events| events[..20].to_owned());
    std::fs::create_dir(world.path("logs/night/20200103T000000Z-aaaa")).expect("a folder");
    world.again("20200102T000000Z-bbbb", |events| events.replace("\"database\":\"a\"", "\"database\":\"b\""));
    world.again("20200101T000000Z-aaaa", |events| events);
    std::fs::create_dir(world.path("logs/night/kept-by-hand")).expect("a folder");
    let gone = world.runplan(&["plan.yaml", "-p", "db=a"]).ends(0);
    gone.says("removed the logs of 4 older runs");
    assert_eq!(old(&world), ["20200102T000000Z-bbbb"]);
    assert!(first.exists() && world.path("logs/night/kept-by-hand").exists());
    // While there are not enough that are newer, they stay.
    let world = World::new();
    world.write("plan.yaml", &plan(2));
    world.run(&[], &["-p", "db=b"], 0);
    world.again("20200101T000000Z-aaaa", |events| events.replace(",\"database\":\"b\"", ""));
    world.run(&[], &["-p", "db=a"], 0);
    assert_eq!(old(&world).len(), 1);
    assert!(world.history(&["plan.yaml"]).iter().all(|r| text(&r["result"]) == "ok"));
}
