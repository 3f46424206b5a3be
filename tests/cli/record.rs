//! A lost record is a verdict of its own, and is written again.

use crate::call;
use crate::next_second;
use crate::world::World;

const DUMP: &str = r#"secrets: { zip: { env: TEST_ZIP } }
steps:
  - id: dump
    uses: pg_dump
    with: { archive: { path: "backups/${{ run.id }}.zip", password: "${{ secrets.zip }}" } }
  - { uses: retention, with: { dir: backups, keep_last: 1 } }
"#;

#[test]
fn a_lost_record_is_a_verdict_of_its_own_and_is_written_again() {
    let world = World::with_database();
    world.sql("CREATE TABLE notes AS SELECT generate_series(1, 100) AS id");
    world.run(DUMP, &[]).ends(0);
    let archive = world.names("backups").into_iter().find(|n| n.ends_with(".zip")).expect("an archive");
    let archive = format!("backups/{archive}");
    let record = world.path(&format!("{archive}.json"));
    let before: serde_json::Value = serde_json::from_slice(&std::fs::read(&record).expect("a record")).expect("JSON");
    let verify = |more: &[&str]| call(&world, &[&["verify", &archive, "--password-env", "TEST_ZIP"], more].concat());
    // One that has its record keeps it.
    verify(&["--write-record"]).ends(0).says("has its record");
    std::fs::remove_file(&record).expect("it was there");
    let lost =
        verify(&[]).ends(1).says("archive intact, record missing").says("`runplan verify --write-record ARCHIVE`");
    lost.never_says("do not rely").never_says("is not good");
    assert!(!record.exists());
    verify(&["--write-record"]).ends(0).says("wrote the record").says("is good: 100 rows of 1 tables");
    let after: serde_json::Value = serde_json::from_slice(&std::fs::read(&record).expect("a record")).expect("JSON");
    for (key, value) in before.as_object().expect("a map") {
        assert!(key == "finished_at" || after[key] == *value, "{key}: {value} and {}", after[key]);
    }
    verify(&[]).ends(0);
    // It counts again.
    next_second();
    world.run(DUMP, &[]).ends(0).says("removed `");
    assert!(!world.path(&archive).exists());
}

#[test]
fn no_record_is_written_for_an_archive_that_is_not_good() {
    let world = World::with_database();
    world.sql("CREATE TABLE notes AS SELECT generate_series(1, 100) AS id");
    world.run(DUMP, &[]).ends(0);
    let archive = world.names("backups").into_iter().find(|n| n.ends_with(".zip")).expect("an archive");
    let archive = format!("backups/{archive}");
    std::fs::remove_file(world.path(&format!("{archive}.json"))).expect("it was there");
    let path = world.path(&archive);
    let good = std::fs::read(&path).expect("the archive");
    let mut bytes = good.clone();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&path, bytes).expect("the archive");
    let write = || call(&world, &["verify", &archive, "--write-record", "--password-env", "TEST_ZIP"]);
    write().ends(1).says("is not good").never_says("archive intact");
    assert!(!world.path(&format!("{archive}.json")).exists());
    // A record that is there and broken is not replaced.
    std::fs::write(&path, good).expect("the archive");
    std::fs::write(world.path(&format!("{archive}.json")), "{").expect("a record");
    write().ends(1).says("record: ").never_says("record missing");
    assert_eq!(std::fs::read(world.path(&format!("{archive}.json"))).expect("it is there"), b"{");
}
