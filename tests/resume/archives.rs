//! What was made must be what it was.

use std::process::Stdio;
use std::time::{Duration, Instant, SystemTime};

use serde_json::Value;

use crate::runs::{NIGHT, next_second, night, written};
use crate::world::Run;

#[test]
fn what_was_made_must_be_there_before_anything_is_begun() {
    let world = night();
    world.run(NIGHT, &[]).ends(1);
    let name = world.archives("out").pop().expect("an archive");
    let (archive, record) = (world.path(&format!("out/{name}")), world.path(&format!("out/{name}.json")));
    let first = world.last();
    std::fs::create_dir(world.path("share")).expect("a folder");
    let bytes = std::fs::read(&archive).expect("an archive");
    let told = std::fs::read(&record).expect("a record");
    let refused = |why: &str| {
        next_second();
        let run = world.resume_last(&[]).ends(1).says("night: failed: what `dump` did in run ").says(why);
        run.says(&format!("in run {first} does not stand"));
        world.resume_last(&["-n"]).ends(1).says(why);
        assert_eq!(world.archives("share").len(), 0);
    };
    std::fs::rename(&archive, world.path("hidden")).expect("it goes");
    refused(&format!("`out/{name}` is gone"));
    std::fs::write(&archive, &bytes[1..]).expect("another file");
    refused(&format!("`out/{name}` has {} bytes by now", bytes.len() - 1));
    std::fs::rename(world.path("hidden"), &archive).expect("it is back");
    std::fs::remove_file(&record).expect("a record");
    refused("cannot be read");
    let mut json: Value = serde_json::from_slice(&told).expect("JSON");
    json["sha256"] = "0".repeat(64).into();
    std::fs::write(&record, json.to_string()).expect("another record");
    refused("is that of another archive");
    std::fs::write(&record, &told).expect("a record");
    // As long as it was, and no archive: what is older must not go for it.
    let same = bytes.iter().map(|b| !b).collect::<Vec<u8>>();
    let later = written(&record) + Duration::from_secs(3600);
    let write = |bytes: &[u8]| {
        std::fs::write(&archive, bytes).expect("a file");
        std::fs::File::open(&archive).and_then(|f| f.set_modified(later)).expect("a later time");
    };
    write(&same);
    refused(&format!("`out/{name}` holds other bytes than when it was made"));
    write(&bytes);
    let mails = std::fs::read_to_string(world.path("told")).expect("mails");
    assert!(mails.contains("-: what `dump` did in run ") && mails.lines().count() == 6, "{mails}");
    next_second();
    world.resume_last(&[]).ends(0).says(&format!("done by run {first}"));
    assert_eq!((world.archives("out"), world.archives("share")), (vec![name.clone()], vec![name]));
}

#[test]
fn a_dump_that_failed_in_one_of_its_places_is_made_anew_under_a_name_of_its_own() {
    let world = night();
    let plan = NIGHT
        .replace(
            "path: \"${{ vars.archive }}\",",
            "path: \"${{ vars.archive }}\", also: [\"second/${{ run.id }}.zip\"],",
        )
        .replace("to: share", "to: share, create: true");
    world.write("second", "in the way");
    world.run(&plan, &[]).ends(1).says("failed at dump").says("runplan resume");
    assert_eq!(world.archives("out").len(), 1);
    std::fs::remove_file(world.path("second")).expect("it was there");
    next_second();
    let run = world.resume_last(&[]).ends(0).says("vacuum       done by run ");
    run.never_says("dump         done by run");
    // The one place that it was in is no place for another one of that name.
    let new = world.last();
    assert_eq!(world.archives("out"), [format!("{}-{new}.zip", world.db())]);
    assert_eq!(
        (world.archives("share"), world.archives("second")),
        (world.archives("out"), vec![format!("{new}.zip")])
    );
}

#[test]
fn a_copy_that_lost_its_record_is_read() {
    let world = night();
    std::fs::create_dir(world.path("share")).expect("a folder");
    let plan = NIGHT.replace(
        "  - { id: prune,",
        "  - { id: two, uses: command, with: { argv: [sh, -c, 'test ! -e bad-two'] } }\n  - { id: prune,",
    );
    world.bad("two");
    world.run(&plan, &[]).ends(1);
    world.good("two");
    let name = world.archives("share").pop().expect("a copy");
    let copy = world.path(&format!("share/{name}"));
    let bytes = std::fs::read(&copy).expect("a copy");
    std::fs::remove_file(world.path(&format!("share/{name}.json"))).expect("a record");
    std::fs::write(&copy, bytes.iter().map(|b| !b).collect::<Vec<u8>>()).expect("another file");
    next_second();
    let refused = world.resume_last(&[]).ends(1).says("what `copy` did in run ");
    refused.says(&format!("`share/{name}` holds other bytes than when it was made"));
    std::fs::write(&copy, &bytes).expect("the copy");
    next_second();
    world.resume_last(&[]).ends(0);
}

#[test]
fn a_look_at_what_was_made_ends_when_the_run_is_told_to_stop() {
    let world = night();
    world.run(NIGHT, &[]).ends(1);
    // It was written to, and reading it takes minutes.
    let bytes = 32u64 << 30;
    let archive = world.path("out").join(world.archives("out").pop().expect("an archive"));
    let had = format!("\"bytes\":{}", archive.metadata().expect("an archive").len());
    let file = std::fs::File::options().write(true).open(&archive).expect("the archive");
    file.set_len(bytes)
        .and_then(|()| file.set_modified(SystemTime::now() + Duration::from_secs(3600)))
        .expect("a hole");
    let events = world.path(&format!("logs/night/{}/events.jsonl", world.last()));
    let text = std::fs::read_to_string(&events).expect("a journal");
    std::fs::write(&events, text.replace(&had, &format!("\"bytes\":{bytes}"))).expect("a journal");
    next_second();
    let child = world.runplan().args(["resume", "last", "--plan", "plan.yaml"]).stdout(Stdio::piped()).spawn();
    let child = child.expect("the binary runs");
    let until = Instant::now() + Duration::from_secs(60);
    while world.history().len() < 2 {
        assert!(Instant::now() < until, "it does not begin");
        std::thread::sleep(Duration::from_millis(20));
    }
    let pid = child.id().to_string();
    std::process::Command::new("kill").args(["-INT", &pid]).status().expect("kill");
    let run: Run = child.wait_with_output().expect("it ends").into();
    run.ends(130).says("night: failed: interrupted by SIGINT");
}
