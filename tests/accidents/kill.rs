//! SIGKILL at random moments of the nightly plan, with its copy and both its retentions.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::night::{as_recorded, opens, zips};
use crate::world::{PASSWORD, Run, World};

/// Kills in all, shared out over the worlds, which are killed side by side.
const KILLS: u32 = 200;
const WORLDS: u32 = 4;
/// Another one gives other moments: `RUNPLAN_KILL_SEED`.
const SEED: u64 = 20_261_122;

/// A sequence that looks random and is the same for a seed (xorshift, Marsaglia 2003).
struct Random(u64);

impl Random {
    /// The next number below 1.
    fn next(&mut self) -> f64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as f64 / (1u64 << 53) as f64
    }
}

/// A world with the nightly plan, whose vacuum has something to do every night.
fn world() -> World {
    let world = World::with_database();
    world.sql("CREATE TABLE exemplo_vacuo AS SELECT g AS id, md5(g::text) AS codigo FROM generate_series(1, 3000) g");
    let plan = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/plans/nightly.yaml")).expect("the plan");
    let wanted = "with: { tables: \"${{ params.tables }}\",";
    assert!(plan.contains(wanted));
    world.write("nightly.yaml", plan.replace(wanted, &format!("{wanted} rules: {{ skip_below_days: 0 }},")));
    std::fs::create_dir(world.path("share")).expect("a share");
    world
}

fn command(world: &World) -> std::process::Command {
    let mut command = world.runplan();
    command.args(["nightly.yaml", "-p", "copy_dir=share", "-p", "keep=2"]).env("RUNPLAN_ZIP_PASSWORD", PASSWORD);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// The archives under a final name, each with its hash, after each was compared with its record.
fn good(world: &World, dir: &str) -> BTreeMap<String, String> {
    let one = |name: String| {
        let sum = as_recorded(&world.path(dir).join(&name)).unwrap_or_else(|e| panic!("{dir}/{name}: {e}"));
        (name, sum)
    };
    zips(world, dir).into_iter().map(one).collect()
}

/// What in a folder is no archive and no record of one.
fn litter(world: &World, dir: &str) -> Vec<String> {
    let names = world.names(dir);
    let record = |n: &str| n.strip_suffix(".json").is_some_and(|a| names.iter().any(|o| o == a));
    names.iter().filter(|n| !n.ends_with(".zip") && !record(n)).cloned().collect()
}

/// Where a run was that left this folder of its log.
fn phase(logs: &Path) -> String {
    let text = std::fs::read_to_string(logs.join("events.jsonl")).unwrap_or_default();
    let events = text.lines().filter_map(|l| serde_json::from_str::<serde_json::Value>(l).ok());
    let mut phase = "begin".to_owned();
    for event in events {
        if event.to_string().contains("run_finished") {
            phase = "end".to_owned();
        } else if let Some(label) = event.pointer("/fact/step/label").and_then(serde_json::Value::as_str) {
            phase = label.to_owned();
        }
    }
    phase
}

/// What became of the kills of one world.
#[derive(Default)]
struct Tally {
    phases: BTreeMap<String, u32>,
    /// Kills after which something unfinished lay in a folder.
    half: u32,
    too_late: u32,
}

fn kill_again_and_again(seed: u64, kills: u32) -> Tally {
    let world = world();
    let mut random = Random(seed);
    let mut tally = Tally::default();
    let mut length = Duration::ZERO;
    for _ in 0..3 {
        let clock = Instant::now();
        Run::from(command(&world).output().expect("runs")).ends(0);
        length = clock.elapsed();
    }
    let mut opened = BTreeSet::new();
    for kill in 0..kills {
        let before = ["backups", "share"].map(|d| good(&world, d));
        let runs: BTreeSet<String> = world.names("logs/nightly").into_iter().collect();
        let mut child = command(&world).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("runs");
        std::thread::sleep(length.mul_f64(random.next()));
        // `kill` of the library is SIGKILL, to the one process: what it started finds out by itself.
        child.kill().expect("it can be killed");
        let ended = child.wait().expect("it ends");
        tally.too_late += u32::from(ended.code().is_some());
        let new: Vec<String> = world.names("logs/nightly").into_iter().filter(|n| !runs.contains(n)).collect();
        let at = new.first().map_or("before the log".to_owned(), |n| phase(&world.path("logs/nightly").join(n)));
        *tally.phases.entry(at.clone()).or_default() += 1;

        // What is under a final name is whole; of what was good only what a retention may take is gone.
        for (dir, before) in ["backups", "share"].iter().zip(&before) {
            let after = good(&world, dir);
            assert!(after.len() >= 2, "kill {kill} at {at}: {dir} has {after:?}");
            let kept = before.iter().filter(|(n, s)| after.get(*n) == Some(s)).count();
            let newer = after.keys().filter(|n| !before.contains_key(*n)).count();
            assert!(kept == before.len() || (newer == 1 && kept + 1 == before.len()), "kill {kill} at {at}: {dir}");
        }
        tally.half += u32::from(!litter(&world, "backups").is_empty() || !litter(&world, "share").is_empty());

        // The next run is a good one at once, and nothing is left of the one that was killed.
        let clock = Instant::now();
        Run::from(command(&world).output().expect("runs")).ends(0);
        length = (length * 3 + clock.elapsed()) / 4;
        for dir in ["backups", "share"] {
            assert_eq!(litter(&world, dir), Vec::<String>::new(), "kill {kill} at {at}: {dir}");
            assert_eq!(good(&world, dir).len(), 2, "kill {kill} at {at}: {dir}");
            for (name, sum) in good(&world, dir) {
                if opened.insert(sum) {
                    opens(&world.path(dir).join(&name)).unwrap_or_else(|e| panic!("{dir}/{name}: {e}"));
                }
            }
        }
    }
    tally
}

#[test]
fn killed_two_hundred_times_it_leaves_no_bad_archive_and_loses_no_good_one() {
    let clock = Instant::now();
    let seed = std::env::var("RUNPLAN_KILL_SEED").ok().and_then(|s| s.parse().ok()).unwrap_or(SEED);
    println!("seed {seed}");
    let threads: Vec<_> = (0..WORLDS)
        .map(|n| {
            let kills = KILLS / WORLDS;
            std::thread::spawn(move || kill_again_and_again(seed.wrapping_add(u64::from(n) * 7919).max(1), kills))
        })
        .collect();
    let mut all = Tally::default();
    for tally in threads.into_iter().map(|t| t.join().expect("no world came to harm")) {
        tally.phases.into_iter().for_each(|(phase, n)| *all.phases.entry(phase).or_default() += n);
        all.half += tally.half;
        all.too_late += tally.too_late;
    }
    let seconds = clock.elapsed().as_secs();
    println!(
        "{KILLS} kills in {seconds} s: {:?}, {} with something unfinished, {} too late",
        all.phases, all.half, all.too_late
    );
    assert!(all.half >= 10 && all.too_late <= KILLS / 4, "the moments were badly chosen");
    assert!(all.phases.contains_key("dump") && all.phases.contains_key("vacuum"), "{:?}", all.phases);
}
