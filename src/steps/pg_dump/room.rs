//! Whether there is room for an archive that is yet to be made, by the last one like it. One decision for the preflight
//! and for the moment before the dump.

use std::path::Path;

use super::{Format, Target};
use crate::archive::{self, Content, Record};
use crate::files::{self, Kind};
use crate::quantity::Size;
use crate::step::{Look, Verdict};

/// What is known of the room and of what is to come.
#[derive(Debug, Clone, Copy, Default)]
pub struct Room {
    /// Bytes that may still be written, with those that unfinished archives take up and a dump clears away.
    free: u64,
    /// The last archive like the one to come.
    last: Option<Last>,
    /// Bytes of the database on the server's disk: a dump hardly ever has more.
    database: Option<u64>,
    /// What is dumped waits beside the archive until it is packed (`format: directory`). What was packed is given back, so
    /// that both together have no more than the dump.
    waits: bool,
}

/// Sizes of an archive, in bytes.
#[derive(Debug, Clone, Copy)]
struct Last {
    bytes: u64,
    dump: u64,
}

/// How it looks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outlook {
    pub verdict: Verdict,
    pub text: String,
    /// It cannot fit, and the dump is not worth beginning.
    pub in_vain: bool,
    /// The size that the archive will probably have, in bytes.
    pub expected: Option<u64>,
    /// The size that the dump before compression had the last time, in bytes.
    pub dump: Option<u64>,
}

impl Room {
    /// How it looks at each place, the first one first; those are left out of which the system does not say what is free.
    pub fn outlooks(
        look: &Look,
        target: &Target,
        format: Format,
        database: Option<&str>,
        size: Option<u64>,
    ) -> Vec<Outlook> {
        let words = target.words();
        let facts = &look.facts;
        let like = |r: &Record| {
            r.kind == Content::Dump
                && (&r.plan, &r.target, r.database.as_deref()) == (&facts.plan, &facts.target, database)
                && (r.encryption.as_str(), r.compression.as_str()) == words
                && r.format.as_deref() == Some(format.word())
        };
        let of = |(number, path): (usize, &str)| {
            let room = Self::of(look, folder(path.as_ref()), like, size)?;
            Some(Self { waits: number == 0 && format == Format::Directory, ..room }.outlook(path))
        };
        target.paths().into_iter().enumerate().filter_map(of).collect()
    }

    /// Looks at the folder of an archive, and for the last record that is `like` it; none where the system does not say
    /// what is free.
    fn of(look: &Look, dir: &Path, like: impl Fn(&Record) -> bool, database: Option<u64>) -> Option<Self> {
        let free = files::free(look, &files::nearest(look, dir)).ok()?;
        let listed = files::list(look, dir).unwrap_or_default();
        let unfinished = listed.iter().filter(|l| l.name.ends_with(".partial")).map(|l| l.bytes).sum::<u64>();
        let mut records: Vec<_> = listed.iter().filter(|l| l.kind == Kind::File && l.name.ends_with(".json")).collect();
        records.sort_by_key(|l| std::cmp::Reverse(l.modified));
        let read = |name: &str| Record::parse(&files::read_small(look, &dir.join(name), archive::LIMIT).ok()?).ok();
        let last = records.iter().take(RECORDS).filter_map(|l| read(&l.name)).find(like);
        let last = last.map(|r| Last { bytes: r.bytes, dump: r.dump_bytes });
        Some(Self { free: free.saturating_add(unfinished), last, database, waits: false })
    }

    /// What to think of it. The dump is in vain only when not even half an archive like the last one fits, and the
    /// database has not become smaller than what was dumped then.
    pub fn outlook(&self, path: &str) -> Outlook {
        let dir = folder(path.as_ref()).display();
        let free = Size(self.free);
        let (verdict, in_vain, said) = match (self.last, self.database) {
            _ if self.free == 0 => (Verdict::Problem, true, "nothing is free".to_owned()),
            (Some(last), size) => {
                let smaller = size.is_some_and(|s| s < last.dump);
                let said = format!("{free} free, and the last archive has {}", Size(last.bytes));
                let waits = format!("{said}; its dump, {}, may have to wait there until it is packed", Size(last.dump));
                match self.free {
                    f if f < last.bytes / 2 => (Verdict::Problem, !smaller, said),
                    f if f < last.bytes => (Verdict::Problem, false, said),
                    f if self.waits && f < last.dump => (Verdict::Warning, false, waits),
                    f if f < last.bytes.saturating_add(last.bytes / 5) => (Verdict::Warning, false, said),
                    _ => (Verdict::Ok, false, said),
                }
            }
            (None, Some(size)) if self.free < size => {
                let said =
                    format!("{free} free, no earlier archive to compare with, and the database has {}", Size(size));
                (Verdict::Warning, false, said)
            }
            (None, _) => (Verdict::Ok, false, format!("{free} free, and no earlier archive to compare with")),
        };
        let (expected, dump) = (self.last.map(|l| l.bytes), self.last.map(|l| l.dump));
        Outlook { verdict, text: format!("folder `{dir}`: {said}"), in_vain, expected, dump }
    }
}

/// What to do when there is too little.
pub const HINT: &str = "free space there, or keep fewer archives";

/// Of how many records at most the last one like it is looked for, the newest first.
const RECORDS: usize = 50;

/// The folder of a file.
pub fn folder(path: &Path) -> &Path {
    path.parent().filter(|d| !d.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_cannot_fit_is_in_vain() {
        let last = |bytes, dump| Some(Last { bytes, dump });
        for (free, last, database, verdict, in_vain) in [
            (0, None, None, Verdict::Problem, true),
            (10, None, None, Verdict::Ok, false),
            (10, None, Some(10), Verdict::Ok, false),
            (10, None, Some(11), Verdict::Warning, false),
            (1000, last(100, 500), Some(5000), Verdict::Ok, false),
            (120, last(100, 500), Some(500), Verdict::Ok, false),
            (119, last(100, 500), Some(500), Verdict::Warning, false),
            (99, last(100, 500), Some(500), Verdict::Problem, false),
            (50, last(100, 500), Some(500), Verdict::Problem, false),
            (49, last(100, 500), Some(500), Verdict::Problem, true),
            (49, last(100, 500), None, Verdict::Problem, true),
            // It was emptied since, and who knows what a dump of it has.
            (49, last(100, 500), Some(499), Verdict::Problem, false),
        ] {
            let seen = Room { free, last, database, waits: false }.outlook("backups/a.zip");
            assert_eq!((seen.verdict, seen.in_vain), (verdict, in_vain), "{free} {last:?} {database:?}");
            assert!(seen.text.starts_with("folder `backups`: "), "{}", seen.text);
        }
    }

    #[test]
    fn what_waits_beside_the_archive_needs_room_for_the_dump() {
        let last = Some(Last { bytes: 100, dump: 500 });
        for (free, verdict, in_vain) in [
            (500, Verdict::Ok, false),
            (499, Verdict::Warning, false),
            (99, Verdict::Problem, false),
            (49, Verdict::Problem, true),
        ] {
            let seen = Room { free, last, database: None, waits: true }.outlook("backups/a.zip");
            assert_eq!((seen.verdict, seen.in_vain), (verdict, in_vain), "{free}");
            assert_eq!(
                seen.text.contains("500 B, may have to wait there"),
                verdict == Verdict::Warning,
                "{}",
                seen.text
            );
        }
        // What does not shrink is the larger of the two.
        let last = Some(Last { bytes: 510, dump: 500 });
        assert_eq!(Room { free: 505, last, database: None, waits: true }.outlook("a").verdict, Verdict::Problem);
    }
}
