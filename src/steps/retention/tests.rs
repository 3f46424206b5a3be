//! The rules, on chosen and on random folders.

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use proptest::prelude::*;

use super::folder::{Seen, Wanted, judge};
use super::rules::*;
use crate::archive::{Content, Record, Server};
use crate::files::{Kind, Listed};

fn candidates(seconds: &[i64]) -> Vec<Candidate> {
    let at = |s: &i64| DateTime::UNIX_EPOCH + TimeDelta::seconds(*s);
    let one = |(i, s)| Candidate { name: format!("a{i:03}"), identity: None, made: at(s), pinned: false };
    seconds.iter().enumerate().map(one).collect()
}

fn names(verdicts: &[Verdict], stays: bool) -> Vec<&str> {
    verdicts.iter().filter(|v| v.stays == stays).map(|v| v.name.as_str()).collect()
}

fn run(candidates: Vec<Candidate>, policy: Policy, hold: Option<&str>) -> Vec<Verdict> {
    decide(candidates, &policy, DateTime::<Utc>::MAX_UTC, &|t| t.date_naive(), hold)
}

fn last(last: u32, min_keep: u32) -> Policy {
    Policy { last: Some(last), min_keep, ..Policy::default() }
}

#[test]
fn the_newest_by_time_stay_whatever_their_names() {
    let verdicts = run(candidates(&[50, 10, 40, 30]), last(2, 1), None);
    assert_eq!(names(&verdicts, true), ["a000", "a002"]);
    assert_eq!(names(&verdicts, false), ["a003", "a001"]);
    assert!(verdicts[3].reason.contains("number 4"), "{verdicts:?}");
}

#[test]
fn two_of_one_second_are_told_apart_by_name() {
    assert_eq!(names(&run(candidates(&[7, 7, 7]), last(1, 1), None), true), ["a002"]);
}

#[test]
fn the_floor_is_above_the_policy_and_a_hold_above_both() {
    assert_eq!(names(&run(candidates(&[1, 2, 3, 4]), last(1, 3), None), true).len(), 3);
    let held = run(candidates(&[1, 2, 3, 4]), last(1, 1), Some("`dump` failed"));
    assert_eq!(names(&held, true).len(), 4);
    assert!(held[3].reason.contains("`dump` failed"));
}

/// The same archives, each at several places.
fn again(all: &[Candidate], places: &[usize]) -> Vec<Candidate> {
    let of = |(c, n): (&Candidate, &usize)| -> Vec<Candidate> {
        let place = |i| Candidate { name: format!("{}-{i}", c.name), identity: Some(c.name.clone()), ..c.clone() };
        (0..*n).map(place).collect()
    };
    all.iter().zip(places).flat_map(of).collect()
}

#[test]
fn an_archive_at_several_places_counts_once_and_each_place_has_its_reason() {
    let all = again(&candidates(&[1, 2, 3, 4]), &[2, 1, 2, 3]);
    let verdicts = run(all.clone(), last(2, 1), None);
    assert_eq!(names(&verdicts, true), ["a003-2", "a003-1", "a003-0", "a002-1", "a002-0"]);
    assert_eq!(names(&verdicts, false), ["a001-0", "a000-1", "a000-0"]);
    assert_eq!(verdicts[1].reason, "number 1 of the 2 newest; the same archive as `a003-2`");
    assert_eq!(verdicts[7].reason, "number 4, and no rule keeps it; the same archive as `a000-1`");
    assert_eq!(names(&run(all.clone(), last(1, 3), None), true).len(), 6, "the floor counts archives");
    let days = Policy { daily: Some(1), ..Policy::default() };
    assert_eq!(names(&run(all, days, None), true), ["a003-2", "a003-1", "a003-0"], "the day keeps the whole archive");
}

#[test]
fn a_pin_at_one_place_is_one_of_the_archive() {
    let mut all = again(&candidates(&[1, 2, 3]), &[2, 2, 2]);
    all[0].pinned = true;
    let verdicts = run(all, last(1, 1), None);
    assert_eq!(names(&verdicts, false), ["a001-1", "a001-0"]);
    assert_eq!(verdicts[4].reason, "it is pinned; the same archive as `a000-0`");
    assert_eq!(verdicts[5].reason, "it is pinned");
}

#[test]
fn a_pinned_one_stays_and_takes_no_place() {
    let mut all = candidates(&[1, 2, 3, 4]);
    all[0].pinned = true;
    all[3].pinned = true;
    let verdicts = run(all, last(1, 1), None);
    assert_eq!(names(&verdicts, true), ["a003", "a002", "a000"]);
}

#[test]
fn one_from_the_future_stays_and_takes_no_place() {
    let now = DateTime::UNIX_EPOCH + TimeDelta::seconds(10);
    let policy = Policy { within: Some(TimeDelta::seconds(1)), ..last(1, 1) };
    let verdicts = decide(candidates(&[8, 9, 10, 11, 5000]), &policy, now, &|t| t.date_naive(), None);
    assert_eq!(names(&verdicts, true), ["a004", "a003", "a002", "a001"]);
    assert!(verdicts[0].reason.contains("1970-01-01T01:23:20Z, is yet to come"), "{verdicts:?}");
}

#[test]
fn each_period_keeps_its_newest() {
    const HOUR: i64 = 3600;
    const DAY: i64 = 24 * HOUR;
    // 1970-01-01 was a Thursday. Two on each of 40 days.
    let seconds: Vec<i64> = (0..40).flat_map(|d| [d * DAY + HOUR, d * DAY + 2 * HOUR]).collect();
    let days = |policy: Policy| -> Vec<i64> {
        let verdicts = run(candidates(&seconds), policy, None);
        let place = |n: &str| n[1..].parse::<i64>().expect("a number");
        // The later one of a day has an odd number.
        names(&verdicts, true).into_iter().map(|n| if place(n) % 2 == 1 { place(n) / 2 } else { -1 }).collect()
    };
    assert_eq!(days(Policy { daily: Some(3), ..Policy::default() }), [39, 38, 37]);
    // Day 39 is Monday, 1970-02-09; weeks end with their Sundays, days 38 and 31.
    assert_eq!(days(Policy { weekly: Some(3), ..Policy::default() }), [39, 38, 31]);
    assert_eq!(days(Policy { monthly: Some(5), ..Policy::default() }), [39, 30]);
    assert_eq!(days(Policy { yearly: Some(5), ..Policy::default() }), [39]);
    let both = Policy { last: Some(1), monthly: Some(2), ..Policy::default() };
    assert_eq!(days(both), [39, 30]);
    let within = Policy { within: Some(TimeDelta::days(1)), ..Policy::default() };
    assert_eq!(days(within), [39, -1, 38], "a day from the newest, both ends in");
}

#[test]
fn a_month_of_failures_empties_nothing() {
    // Nothing new for 30 days: the age is reckoned from the newest, so each night decides the same.
    let all = candidates(&[0, 86_400, 2 * 86_400]);
    let policy = Policy { within: Some(TimeDelta::days(7)), min_keep: 1, ..Policy::default() };
    for _ in 0..30 {
        assert_eq!(names(&run(all.clone(), policy, None), true).len(), 3);
    }
}

prop_compose! {
    fn any_policy()(
        last in prop::option::of(1u32..20), daily in prop::option::of(1u32..20), weekly in prop::option::of(1u32..9),
        monthly in prop::option::of(1u32..9), yearly in prop::option::of(1u32..4),
        within in prop::option::of(0i64..100), min_keep in 1u32..20,
    ) -> Policy {
        Policy { last, daily, weekly, monthly, yearly, within: within.map(TimeDelta::days), min_keep }
    }
}

proptest! {
    #[test]
    fn what_goes_under_keep_last_is_older_than_all_that_stays(
        seconds in prop::collection::vec(0i64..50, 0..40), keep in 1u32..20, min_keep in 1u32..20
    ) {
        let all = candidates(&seconds);
        let verdicts = run(all.clone(), last(keep, min_keep), None);
        let made = |name: &str| all.iter().find(|c| c.name == name).map(|c| c.made);
        let stay = names(&verdicts, true);
        prop_assert_eq!(stay.len(), (keep.max(min_keep) as usize).min(all.len()));
        for gone in names(&verdicts, false) {
            prop_assert!(stay.iter().all(|s| made(s) >= made(gone)));
        }
    }

    #[test]
    fn every_policy_keeps_the_floor_and_the_newest_and_what_is_pinned(
        days in prop::collection::vec(0i64..900, 0..60), pins in prop::collection::vec(any::<bool>(), 60),
        policy in any_policy()
    ) {
        let mut all = candidates(&days.iter().map(|d| d * 86_400).collect::<Vec<_>>());
        all.iter_mut().zip(&pins).for_each(|(c, p)| c.pinned = *p);
        let verdicts = run(all.clone(), policy, None);
        prop_assert_eq!(verdicts.len(), all.len());
        let free: Vec<&Candidate> = all.iter().filter(|c| !c.pinned).collect();
        let kept = |c: &&&Candidate| verdicts.iter().any(|v| v.name == c.name && v.stays);
        prop_assert!(free.iter().filter(kept).count() >= (policy.min_keep as usize).min(free.len()));
        prop_assert!(all.iter().filter(|c| c.pinned).all(|c| verdicts.iter().any(|v| v.name == c.name && v.stays)));
        if let Some(newest) = free.iter().map(|c| c.made).max() {
            prop_assert!(free.iter().any(|c| c.made == newest && kept(&c)));
        }
        // A stricter policy never keeps what a laxer one lets go.
        let more = Policy { last: policy.last.map(|n| n + 1), daily: policy.daily.map(|n| n + 1), ..policy };
        let lax = run(all.clone(), more, None);
        for v in verdicts.iter().filter(|v| v.stays) {
            prop_assert!(lax.iter().any(|l| l.name == v.name && l.stays));
        }
        prop_assert!(run(all, policy, Some("x")).iter().all(|v| v.stays));
    }
}

proptest! {
    #[test]
    fn what_lies_at_several_places_is_decided_as_if_it_lay_at_one(
        days in prop::collection::vec(0i64..90, 1..40), pins in prop::collection::vec(any::<bool>(), 40),
        places in prop::collection::vec(1usize..4, 40), policy in any_policy(), held in any::<bool>()
    ) {
        let mut all = candidates(&days.iter().map(|d| d * 86_400).collect::<Vec<_>>());
        all.iter_mut().zip(&pins).for_each(|(c, p)| c.pinned = *p);
        let hold = held.then_some("x");
        let alone = run(all.clone(), policy, hold);
        let many = run(again(&all, &places), policy, hold);
        prop_assert_eq!(many.len(), places.iter().take(all.len()).sum::<usize>());
        for v in &many {
            let (name, _) = v.name.split_once('-').expect("a number");
            let same = alone.iter().find(|a| a.name == name).expect("it is one of them");
            prop_assert_eq!((v.archive, v.stays), (same.archive, same.stays));
            prop_assert_eq!(v.reason.split(';').next(), Some(same.reason.as_str()));
        }
    }
}

/// What restic's documentation says of its keep rules ("Removing backup snapshots", `forget --keep-*`), written anew and
/// plainly: of each of the last n days (weeks, months, years) which have a snapshot, the most recent one; the last n; and
/// all that are no older than a duration before the latest.
fn documented(times: &[DateTime<Utc>], policy: &Policy) -> Vec<DateTime<Utc>> {
    let mut sorted = times.to_vec();
    sorted.sort();
    sorted.reverse();
    let mut kept: Vec<DateTime<Utc>> = sorted.iter().take(policy.last.unwrap_or(0) as usize).copied().collect();
    for (format, n) in
        [("%Y-%m-%d", policy.daily), ("%G-W%V", policy.weekly), ("%Y-%m", policy.monthly), ("%Y", policy.yearly)]
    {
        let mut names: Vec<String> = sorted.iter().map(|t| t.format(format).to_string()).collect();
        names.dedup();
        for name in names.into_iter().take(n.unwrap_or(0) as usize) {
            kept.extend(sorted.iter().find(|t| t.format(format).to_string() == name));
        }
    }
    if let (Some(within), Some(latest)) = (policy.within, sorted.first()) {
        kept.extend(sorted.iter().filter(|t| **t >= *latest - within));
    }
    kept.sort();
    kept.dedup();
    kept
}

proptest! {
    #[test]
    fn the_rules_are_those_that_restic_documents(
        seconds in prop::collection::btree_set(0i64..40_000_000, 0..40), policy in any_policy()
    ) {
        let seconds: Vec<i64> = seconds.into_iter().collect();
        let policy = Policy { min_keep: 0, ..policy };
        let all = candidates(&seconds);
        let times: Vec<DateTime<Utc>> = all.iter().map(|c| c.made).collect();
        let verdicts = run(all.clone(), policy, None);
        let made = |v: &&Verdict| all.iter().find(|c| c.name == v.name).map(|c| c.made).expect("one of them");
        let mut kept: Vec<DateTime<Utc>> = verdicts.iter().filter(|v| v.stays).map(|v| made(&v)).collect();
        kept.sort();
        prop_assert_eq!(kept, documented(&times, &policy));
    }
}

/// A number that looks random, the same in every run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, most: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % most
    }
}

fn archive(name: &str, plan: &str, database: &str, made: DateTime<Utc>) -> Seen {
    let record = Record {
        schema_version: 1,
        kind: Content::Dump,
        plan: plan.to_owned(),
        target: None,
        server: None,
        database: Some(database.to_owned()),
        machine: "m".to_owned(),
        run: "r".to_owned(),
        started_at: made,
        finished_at: made,
        bytes: 10,
        dump_bytes: 20,
        sha256: format!("{:0>64}", name.bytes().map(|b| format!("{b:02x}")).collect::<String>()),
        format: None,
        encryption: "aes256".to_owned(),
        compression: "deflate".to_owned(),
        server_version: None,
        tool_version: "0".to_owned(),
    };
    let file =
        Listed { name: name.to_owned(), kind: Kind::File, bytes: 10, modified: made, inode: 0, device: 0, owner: 0 };
    Seen { file, record: Some(Ok(record)), pinned: false, doubt: None }
}

/// Two machines that put their archives into one folder both call their server `localhost`.
#[test]
fn a_local_server_is_told_apart_by_machine_or_identifier() {
    let of = |host: &str, machine: &str, identifier: Option<&str>| {
        let mut seen = archive("a", "night", "app", DateTime::UNIX_EPOCH);
        if let Some(Ok(record)) = &mut seen.record {
            record.machine = machine.to_owned();
            let system_identifier = identifier.map(str::to_owned);
            record.server = Some(Server { host: host.to_owned(), port: 5432, system_identifier });
        }
        seen
    };
    let wanted = |host: &str| {
        let mut wanted = Wanted::of("night", None, Some("app"));
        (wanted.server, wanted.machine) = (Some((host.to_owned(), 5432)), "m1".to_owned());
        wanted
    };
    for host in ["localhost", "127.0.0.2", "::1", "/run/postgresql"] {
        assert!(judge(&of(host, "m1", None), &wanted(host)).is_ok(), "{host}");
        let told = judge(&of(host, "m2", None), &wanted(host)).err().unwrap_or_default();
        assert!(told.contains("on the machine `m2`"), "{host}: {told}");
        let mut learned = wanted(host);
        let records = [of(host, "m1", Some("7")), of(host, "m2", Some("8"))].map(|s| s.record);
        learned.learn(records.iter().flatten().flatten());
        assert!(judge(&of(host, "m2", Some("7")), &learned).is_ok(), "{host}: the machine has a new name");
        assert!(judge(&of(host, "m2", Some("8")), &learned).is_err(), "{host}");
    }
    assert!(judge(&of("db.example.org", "m2", None), &wanted("db.example.org")).is_ok());
}

/// 100,000 histories of a folder: nights that fail, a clock that jumps, archives of other plans and databases, of a prefix
/// and of another case, broken and foreign files, pins. Each night is decided as in a run, and what is decided is done.
#[test]
fn no_history_breaks_a_promise() {
    const HISTORIES: u64 = 100_000;
    let wanted = Wanted::of("night", None, Some("app"));
    let mut dice = Dice(0x9e37_79b9_7f4a_7c15);
    let (mut removed, mut held) = (0u64, 0u64);
    for history in 0..HISTORIES {
        let some = |dice: &mut Dice, most: u64| {
            (dice.below(3) == 0).then(|| u32::try_from(1 + dice.below(most)).expect("small"))
        };
        let policy = Policy {
            last: Some(u32::try_from(1 + dice.below(4)).expect("small")),
            daily: some(&mut dice, 4),
            weekly: some(&mut dice, 3),
            monthly: some(&mut dice, 2),
            yearly: None,
            within: some(&mut dice, 5).map(|d| TimeDelta::days(d.into())),
            min_keep: u32::try_from(1 + dice.below(3)).expect("small"),
        };
        let mut folder: Vec<Seen> = Vec::new();
        let mut clock = DateTime::UNIX_EPOCH + TimeDelta::days(20_000);
        for night in 0..8 {
            clock += match dice.below(12) {
                0 => -TimeDelta::days(40),
                1 => TimeDelta::days(400),
                2 => TimeDelta::zero(),
                _ => TimeDelta::days(1),
            };
            let failed = dice.below(4) == 0;
            let name = format!("n{night}");
            match dice.below(9) {
                0 => folder.push(archive(&name, "night", "app-prod", clock)),
                1 => folder.push(archive(&name, "night", "App", clock)),
                2 => folder.push(archive(&name, "other", "app", clock)),
                3 => folder.push(Seen { record: None, ..archive(&name, "night", "app", clock) }),
                4 => folder
                    .push(Seen { record: Some(Err("is broken".to_owned())), ..archive(&name, "night", "app", clock) }),
                5 => {
                    let mut cut = archive(&name, "night", "app", clock);
                    cut.file.bytes = 3;
                    folder.push(cut);
                }
                _ => {}
            }
            if !failed {
                folder.push(archive(&format!("o{night}"), "night", "app", clock));
            }
            if let (0, Some(last)) = (dice.below(6), folder.last_mut()) {
                last.pinned = true;
            }
            let all: Vec<Candidate> = folder.iter().filter_map(|s| judge(s, &wanted).ok()).collect();
            let hold = failed.then_some("the dump failed");
            let verdicts =
                decide(all.clone(), &policy, clock, &|t: DateTime<Utc>| -> NaiveDate { t.date_naive() }, hold);
            let doomed: Vec<&str> = names(&verdicts, false);
            held += u64::from(failed);
            removed += doomed.len() as u64;
            assert!(!failed || doomed.is_empty(), "history {history}: a failed night removed {doomed:?}");
            for name in &doomed {
                let seen = folder.iter().find(|s| s.file.name == *name).expect("it is there");
                assert!(name.starts_with('o') && !seen.pinned, "history {history}: `{name}` was not ours to remove");
            }
            let free: Vec<&Candidate> = all.iter().filter(|c| !c.pinned).collect();
            let left = free.len() - doomed.len();
            assert!(left >= (policy.min_keep as usize).min(free.len()), "history {history}: {left} are left");
            let newest = free.iter().map(|c| c.made).max();
            assert!(
                newest.is_none() || free.iter().any(|c| Some(c.made) == newest && !doomed.contains(&c.name.as_str()))
            );
            let doomed: Vec<String> = doomed.into_iter().map(str::to_owned).collect();
            folder.retain(|s| !doomed.contains(&s.file.name));
        }
    }
    assert!(removed > HISTORIES && held > HISTORIES, "{removed} removed, {held} nights failed");
}
