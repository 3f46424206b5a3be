//! Which archives stay: one pure function from what lies in a folder to a decision for each, with its reasons.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Datelike, NaiveDate, SecondsFormat, TimeDelta, Utc};

/// A file that is an archive that counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    pub name: String,
    /// What tells the archive from all others and is the same wherever it lies; none where nobody knows.
    pub identity: Option<String>,
    /// When it was made: the record's time, or for a file without one the time it was last written.
    pub made: DateTime<Utc>,
    /// Somebody said that it stays.
    pub pinned: bool,
}

/// How many stay. Of several rules each keeps its own; what any of them keeps stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Policy {
    /// The newest so many.
    pub last: Option<u32>,
    /// The newest of each of the last so many days, calendar weeks (ISO 8601), months and years that have one.
    pub daily: Option<u32>,
    pub weekly: Option<u32>,
    pub monthly: Option<u32>,
    pub yearly: Option<u32>,
    /// All that are no older than this, reckoned from the newest: when nothing new comes, nothing runs out.
    pub within: Option<TimeDelta>,
    /// Never fewer than so many, whatever else is said.
    pub min_keep: u32,
}

/// What becomes of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    pub name: String,
    /// Which archive it is; those that lie at several places have one number.
    pub archive: usize,
    pub stays: bool,
    /// Reads after "keeps … :" or "removes … :".
    pub reason: String,
}

/// A calendar period, by the name that people give it.
#[derive(Clone, Copy)]
enum Period {
    Day,
    Week,
    Month,
    Year,
}

impl Period {
    /// The period that a day lies in: two days have the same one when they lie in the same period.
    fn of(self, day: NaiveDate) -> (i32, u32) {
        match self {
            Self::Day => (day.num_days_from_ce(), 0),
            Self::Week => (day.iso_week().year(), day.iso_week().week()),
            Self::Month => (day.year(), day.month()),
            Self::Year => (day.year(), 0),
        }
    }

    /// Its name.
    fn name(self, day: NaiveDate) -> String {
        match self {
            Self::Day => format!("day {day}"),
            Self::Week => format!("week {}-W{:02}", day.iso_week().year(), day.iso_week().week()),
            Self::Month => format!("month {}-{:02}", day.year(), day.month()),
            Self::Year => format!("year {}", day.year()),
        }
    }
}

/// One archive, at all its places in the folder.
struct Archive {
    made: DateTime<Utc>,
    pinned: bool,
    places: Vec<Candidate>,
}

/// The archives, the newest first; of two of one moment the one whose name is later in the alphabet counts as newer. What
/// was made in the same moment and is the same lies at several places, and is pinned at all when it is at one.
fn archives(mut candidates: Vec<Candidate>) -> Vec<Archive> {
    candidates.sort_by(|a, b| b.made.cmp(&a.made).then_with(|| b.name.cmp(&a.name)));
    let mut archives: Vec<Archive> = Vec::new();
    let mut known = BTreeMap::new();
    for candidate in candidates {
        let next = archives.len();
        let at = candidate.identity.clone().map_or(next, |id| *known.entry((candidate.made, id)).or_insert(next));
        match archives.get_mut(at) {
            Some(archive) => {
                archive.pinned |= candidate.pinned;
                archive.places.push(candidate);
            }
            None => {
                let (made, pinned) = (candidate.made, candidate.pinned);
                archives.push(Archive { made, pinned, places: vec![candidate] });
            }
        }
    }
    archives
}

/// Decides for each candidate, the newest first. An archive that lies at several places counts once, and stays or goes at
/// all of them. `day` tells the calendar day of a moment where the archives are kept. With `hold` nothing goes, whatever the
/// policy says. A pinned one stays and takes nobody's place; so does one from after `now`, made while a clock was wrong:
/// it would count as the newest until that day, and push out each one that is made meanwhile.
pub fn decide(
    candidates: Vec<Candidate>,
    policy: &Policy,
    now: DateTime<Utc>,
    day: &dyn Fn(DateTime<Utc>) -> NaiveDate,
    hold: Option<&str>,
) -> Vec<Verdict> {
    let archives = archives(candidates);
    let newest = archives.iter().find(|a| !a.pinned && a.made <= now).map(|a| a.made);
    let rules = [
        (Period::Day, policy.daily),
        (Period::Week, policy.weekly),
        (Period::Month, policy.monthly),
        (Period::Year, policy.yearly),
    ];
    let mut seen: [BTreeSet<(i32, u32)>; 4] = Default::default();
    let mut place: u32 = 0;
    let mut verdicts = Vec::new();
    for (number, archive) in archives.into_iter().enumerate() {
        if archive.pinned {
            verdicts.extend(told(archive, number, true, "it is pinned"));
            continue;
        }
        if archive.made > now {
            let time = archive.made.to_rfc3339_opts(SecondsFormat::Secs, true);
            let reason = format!("its time, {time}, is yet to come: was a clock wrong?");
            verdicts.extend(told(archive, number, true, &reason));
            continue;
        }
        place = place.saturating_add(1);
        let mut reasons = Vec::new();
        if let Some(last) = policy.last.filter(|last| place <= *last) {
            reasons.push(format!("number {place} of the {last} newest"));
        }
        for ((period, keep), seen) in rules.iter().zip(&mut seen) {
            let day = day(archive.made);
            let room = keep.is_some_and(|k| seen.len() < usize::try_from(k).unwrap_or(usize::MAX));
            if room && seen.insert(period.of(day)) {
                reasons.push(format!("the newest of {}", period.name(day)));
            }
        }
        if let (Some(within), Some(newest)) = (policy.within, newest)
            && newest - archive.made <= within
        {
            reasons.push("young enough".to_owned());
        }
        if reasons.is_empty() && place <= policy.min_keep {
            reasons.push(format!("number {place}, and at least {} stay", policy.min_keep));
        }
        let (stays, reason) = match (reasons.is_empty(), hold) {
            (false, _) => (true, reasons.join(", ")),
            (true, Some(why)) => (true, format!("would go as number {place}, but nothing is removed: {why}")),
            (true, None) => (false, format!("number {place}, and no rule keeps it")),
        };
        verdicts.extend(told(archive, number, stays, &reason));
    }
    verdicts
}

/// What is decided of an archive, said of each of its places.
fn told(archive: Archive, number: usize, stays: bool, reason: &str) -> Vec<Verdict> {
    let first = archive.places.iter().position(|p| p.pinned).unwrap_or_default();
    let names: Vec<String> = archive.places.into_iter().map(|p| p.name).collect();
    let verdict = |(at, name): (usize, &String)| {
        let again = if at == first { String::new() } else { format!("; the same archive as `{}`", names[first]) };
        Verdict { name: name.clone(), archive: number, stays, reason: format!("{reason}{again}") }
    };
    names.iter().enumerate().map(verdict).collect()
}
