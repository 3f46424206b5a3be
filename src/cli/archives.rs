//! `runplan archives`: what there is of a plan, the newest first.

use std::collections::BTreeMap;
use std::path::Path;

use chrono::{DateTime, Local, SecondsFormat, Utc};
use serde_json::json;

use super::args::{ArchivesArgs, Format};
use super::exit::{Exit, Failure};
use super::inventory::{Archive, Inventory, Place, Places, Role, Stored};
use super::of_plan::OfPlan;
use super::output::Terms;
use super::run::{environment, host};
use crate::archive::Content;
use crate::diag::clean;
use crate::journal::{Check, Shelf, age, checks};
use crate::quantity::Size;
use crate::report::Verbosity;
use crate::run::{default_logs, folder_of_runs};
use crate::steps::REGISTRY;

/// The version of the document's shape.
const SCHEMA_VERSION: u32 = 1;

/// The executor that reads archives through, and the command that does.
const VERIFY: &str = "verify";

/// How many runs of each kind are asked when an archive was read through.
const RUNS: usize = 200;

/// What was found, and what is known of it.
struct Listing {
    inventory: Inventory,
    places: Vec<Place>,
    unknown: Vec<String>,
    /// The last time that each archive was found good, by its SHA-256.
    checked: BTreeMap<String, Check>,
    with_targets: bool,
}

/// Lists the archives of a plan.
pub fn archives(args: &ArchivesArgs, terms: &Terms) -> Result<Exit, Failure> {
    let of_plan = OfPlan::read(&args.plan, &args.aim, terms)?;
    let listing = Listing::of(&of_plan, args);
    let text = match args.format {
        Format::Json => listing.document(&of_plan.checked.plan().name),
        Format::Text => listing.table(Utc::now(), terms),
    };
    let failed = |e: std::io::Error| Failure { exit: Exit::State, text: e.to_string(), hint: None };
    terms.print(&text).map_err(failed)?;
    if args.format == Format::Text && terms.verbosity != Verbosity::Quiet {
        terms.say(&listing.remarks());
    }
    for (dir, why) in &listing.inventory.unread {
        terms.error(&format!("the folder `{}` cannot be listed: {why}", dir.display()), None);
    }
    Ok(if listing.inventory.unread.is_empty() { Exit::Done } else { Exit::Usage })
}

impl Listing {
    fn of(of_plan: &OfPlan, args: &ArchivesArgs) -> Self {
        let (mut inventory, mut places, mut unknown) = (Inventory::default(), Vec::new(), Vec::new());
        for aim in &of_plan.aims {
            let found = Places::of(&crate::run::Outlook::new(aim, &REGISTRY, &environment(), &host()));
            let mut wanted = of_plan.wanted(aim, &found);
            // Those of a plan for several databases are all meant, unless one is named.
            if args.aim.param.is_empty() && args.aim.params_file.is_none() && aim.target.is_none() {
                wanted.databases.clear();
            }
            inventory.add(&wanted, &found.all);
            places.extend(found.all.into_iter().filter(|p| !places.contains(p)).collect::<Vec<_>>());
            unknown.extend(found.unknown.into_iter().filter(|u| !unknown.contains(u)).collect::<Vec<_>>());
        }
        let with_targets = of_plan.aims.iter().any(|a| a.target.is_some());
        Self { inventory, places, unknown, checked: checked(of_plan), with_targets }
    }

    fn check(&self, archive: &Archive) -> Option<&Check> {
        self.checked.get(&archive.record.sha256)
    }

    fn document(&self, plan: &str) -> String {
        let time = |t: DateTime<Utc>| t.to_rfc3339_opts(SecondsFormat::Secs, true);
        let place = |s: &Stored| json!({ "path": s.path, "copy": s.role == Role::Copy, "pinned": s.pinned });
        let archive = |a: &Archive| {
            let check = self.check(a);
            json!({
                "run": a.record.run, "made_at": time(a.record.started_at), "bytes": a.record.bytes,
                "kind": a.record.kind, "database": a.record.database, "target": a.record.target,
                "encryption": a.record.encryption, "sha256": a.record.sha256,
                "rows": check.and_then(|c| c.rows), "tables": check.and_then(|c| c.tables),
                "verified_at": check.map(|c| time(c.at)), "pinned": a.places.iter().any(|p| p.pinned),
                "places": a.places.iter().map(place).collect::<Vec<_>>(),
            })
        };
        let pairs = |all: &[(std::path::PathBuf, String)]| -> Vec<serde_json::Value> {
            all.iter().map(|(path, why)| json!({ "path": path, "why": why })).collect()
        };
        let document = json!({
            "schema_version": SCHEMA_VERSION, "plan": plan,
            "archives": self.inventory.archives.iter().map(archive).collect::<Vec<_>>(),
            "others": pairs(&self.inventory.others), "unread": pairs(&self.inventory.unread),
            "folders": self.places.iter().map(|p| &p.dir).collect::<Vec<_>>(),
        });
        serde_json::to_string_pretty(&document).map(|t| t + "\n").unwrap_or_default()
    }

    fn table(&self, now: DateTime<Utc>, terms: &Terms) -> String {
        let all = &self.inventory.archives;
        if all.is_empty() {
            return String::new();
        }
        let heads = ["made", "age", "size", "rows", "database", "target", "pinned", "verified", "file"];
        let rows: Vec<[String; 9]> = all.iter().map(|a| self.row(a, now)).collect();
        let columns: Vec<usize> = (0..heads.len()).filter(|at| *at != 5 || self.with_targets).collect();
        let width =
            |at: usize| rows.iter().map(|r| r[at].chars().count()).chain([heads[at].len()]).max().unwrap_or_default();
        let widths: Vec<usize> = (0..heads.len()).map(width).collect();
        let line = |cells: &[&str]| {
            let padded = columns.iter().map(|&at| match at {
                // Numbers are aligned at the right, and nothing follows the last cell.
                1..=3 => format!("{:>1$}", cells[at], widths[at]),
                8 => cells[at].to_owned(),
                _ => format!("{:<1$}", cells[at], widths[at]),
            });
            padded.collect::<Vec<_>>().join("  ")
        };
        let indent = columns.iter().filter(|at| **at != 8).map(|&at| widths[at] + 2).sum::<usize>();
        let mut out = terms.out.paint("2", &line(&heads)) + "\n";
        for (archive, row) in all.iter().zip(&rows) {
            let cells: Vec<&str> = row.iter().map(String::as_str).collect();
            out += &(line(&cells) + "\n");
            for copy in archive.places.iter().skip(1) {
                out += &format!("{:indent$}{}\n", "", shown(&copy.path));
            }
        }
        out + &self.totals()
    }

    fn row(&self, archive: &Archive, now: DateTime<Utc>) -> [String; 9] {
        let local = |t: DateTime<Utc>| t.with_timezone(&Local).format("%Y-%m-%d %H:%M").to_string();
        let (record, check) = (&archive.record, self.check(archive));
        let none = || "-".to_owned();
        [
            local(record.started_at),
            age((now - record.started_at).num_seconds().max(0) as f64),
            Size(record.bytes).to_string(),
            check.and_then(|c| c.rows).map_or_else(none, |n| n.to_string()),
            match record.kind {
                Content::Dump => record.database.as_deref().map_or_else(none, clean),
                Content::Files => "(files)".to_owned(),
            },
            record.target.as_deref().map_or_else(none, clean),
            if archive.places.iter().any(|p| p.pinned) { "pinned".to_owned() } else { none() },
            check.map_or_else(none, |c| local(c.at)),
            archive.places.first().map_or_else(none, |p| shown(&p.path)),
        ]
    }

    /// How many archives each folder has, and of what size together.
    fn totals(&self) -> String {
        let mut by_dir: BTreeMap<&Path, (usize, u64)> = BTreeMap::new();
        for place in self.inventory.archives.iter().flat_map(|a| &a.places) {
            let (count, bytes) = by_dir.entry(place.path.parent().unwrap_or(Path::new("."))).or_default();
            *count += 1;
            *bytes += place.bytes;
        }
        let word = |count: usize| if count == 1 { "archive" } else { "archives" };
        let line = |(dir, (count, bytes)): (&Path, (usize, u64))| {
            format!("{}: {count} {}, {}\n", shown(dir), word(count), Size(bytes))
        };
        by_dir.into_iter().map(line).collect()
    }

    /// What a person wants to know beside the table.
    fn remarks(&self) -> String {
        let mut out = String::new();
        if self.inventory.archives.is_empty() {
            let dirs: Vec<String> = self.places.iter().map(|p| format!("`{}`", shown(&p.dir))).collect();
            out += &match dirs.as_slice() {
                [] => "no archives: the plan names no folder for them\n".to_owned(),
                dirs => format!("no archives in {}\n", dirs.join(", ")),
            };
        }
        for (path, why) in &self.inventory.others {
            let hint = if why == "record missing" { ": `runplan verify --write-record` restores it" } else { "" };
            out += &format!("not counted: `{}`: {}{hint}\n", shown(path), clean(why));
        }
        for unknown in &self.unknown {
            out += &format!("not searched: only a run knows `{unknown}`\n");
        }
        out
    }
}

/// When archives were found good: by the plan's own runs, and by `runplan verify`.
fn checked(of_plan: &OfPlan) -> BTreeMap<String, Check> {
    let (env, host) = (environment(), host());
    let logs = default_logs(&env);
    let mut shelves = vec![Shelf::new(VERIFY, logs.join(VERIFY))];
    let name = &of_plan.checked.plan().name;
    for aim in &of_plan.aims {
        if let Ok(dir) = folder_of_runs(&of_plan.checked, &aim.params, &env, &host)
            && !shelves.iter().any(|s| s.dir == dir)
        {
            shelves.push(Shelf::new(name, dir));
        }
    }
    let mut found: BTreeMap<String, Check> = BTreeMap::new();
    for shelf in &shelves {
        // A run that cannot be read tells nothing.
        let runs = Shelf::runs(std::slice::from_ref(shelf)).unwrap_or_default();
        for check in runs.iter().take(RUNS).flat_map(|run| checks(&run.dir(), VERIFY).unwrap_or_default()) {
            match found.get(&check.sha256) {
                Some(known) if known.at >= check.at => {}
                _ => drop(found.insert(check.sha256.clone(), check)),
            }
        }
    }
    found
}

/// A path in one line, with hidden characters made visible.
pub fn shown(path: &Path) -> String {
    clean(&path.to_string_lossy())
}
