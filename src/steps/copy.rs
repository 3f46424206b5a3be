//! `copy`: an archive into a second folder.

use std::io;
use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::archive::{self, Record};
use crate::files::{self, Copied, Kind};
use crate::quantity::Size;
use crate::step::{Area, Check, Look, Preflight, Preview, Progress, Step, StepError, Touch, Unit, Upcoming, Verdict};
use crate::value::Value;

/// Copy a file into another folder and read it back.
///
/// The record of an archive is copied too. The copy gets its name only when it is complete and flushed to the disk. An
/// existing file is never overwritten; if it has the same content, the step succeeds without copying.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Params {
    /// File to copy.
    #[schemars(extend("x-runplan-path" = true))]
    from: String,
    /// Folder to copy it to.
    #[schemars(extend("x-runplan-path" = true))]
    to: String,
    /// Create the folder when it is missing. By default a missing folder is an error, because it is often a share that
    /// is not mounted.
    #[serde(default)]
    create: bool,
    /// Read the copy back from the disk and compare its SHA-256.
    #[serde(default = "yes")]
    verify: bool,
    /// Require that the folder is the root of a mounted file system.
    #[serde(default)]
    require_mount: bool,
    /// Space that must remain free after the copy, like `20GiB`.
    #[serde(default)]
    min_free: Option<Size>,
}

fn yes() -> bool {
    true
}

/// Result of the step.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Output {
    /// Path of the copy.
    path: String,
    /// Size in bytes.
    bytes: u64,
    /// SHA-256, in hexadecimal.
    sha256: String,
}

const UNMOUNTED: &str = "is the share mounted? make the folder, or set `create: true` to have it made";

/// Everything decided.
#[derive(Debug)]
pub struct Work {
    from: PathBuf,
    dir: PathBuf,
    to: PathBuf,
    /// The size of the source; none in a dry run in which an earlier step would make it.
    bytes: Option<u64>,
    /// The source has a record beside it.
    record: bool,
    make_dir: bool,
    verify: bool,
    require_mount: bool,
    min_free: Option<u64>,
    /// What retention counts in a dry run.
    upcoming: Option<Upcoming>,
}

/// The executor.
pub struct Copy;

impl Step for Copy {
    const NAME: &'static str = "copy";
    const EXAMPLE: &'static str = "from: ${{ steps.dump.outputs.path }}\nto: copies\nmin_free: 1GiB\n";
    const PUBLISHES: bool = true;
    type Params = Params;
    type Output = Output;
    type Work = Work;

    async fn preflight(params: Params, look: &Look) -> Preflight {
        foresee(&params, look)
    }

    fn stands(outputs: &serde_json::Value, look: &Look) -> Result<(), StepError> {
        archive::stand(look, outputs, false)
    }

    async fn plan(params: Params, look: &Look) -> Result<Work, StepError> {
        let (from, dir) = (PathBuf::from(&params.from), PathBuf::from(&params.to));
        let name = from.file_name().ok_or_else(|| StepError::new(format!("`from` `{}` names no file", params.from)))?;
        if params.to.is_empty() {
            return Err(StepError::new("`to` names no folder")
                .hint("leave the step out with `when` when there is no second folder"));
        }
        let to = dir.join(name);
        let source = files::at(look, &from).map_err(|e| StepError::because(format!("`{}`", from.display()), &e))?;
        let mut upcoming = look.facts.upcoming.iter().find(|u| u.path == from).cloned();
        let bytes = match source {
            Some(file) if file.kind == Kind::File => Some(file.bytes),
            Some(other) => {
                let kind = other.kind.describe();
                return Err(StepError::new(format!("`{}` is {kind}, not a regular file", from.display())));
            }
            None if upcoming.is_some() => None,
            None => return Err(StepError::new(format!("there is no file `{}`", from.display()))),
        };
        let make_dir = !files::is_dir(look, &dir);
        if make_dir && !params.create {
            return Err(StepError::new(format!("there is no folder `{}`", dir.display())).hint(UNMOUNTED));
        }
        if params.require_mount && (make_dir || !mounted(look, &dir)?) {
            return Err(not_mounted(&dir));
        }
        upcoming.iter_mut().for_each(|u| u.path.clone_from(&to));
        let work = Work {
            record: files::exists(look, &Record::path_of(&from)),
            bytes,
            make_dir,
            verify: params.verify,
            require_mount: params.require_mount,
            min_free: params.min_free.map(|s| s.0),
            upcoming,
            from,
            dir,
            to,
        };
        if !make_dir && !files::exists(look, &work.to) {
            room(look, &work)?;
        }
        Ok(work)
    }

    fn preview(work: &Work) -> Preview {
        let size = work.bytes.map(|b| format!(" ({})", Size(b))).unwrap_or_default();
        let mut lines = vec![format!("copies `{}`{size} to `{}`", work.from.display(), work.to.display())];
        if work.make_dir {
            lines.push(format!("makes the folder `{}`", work.dir.display()));
        }
        if !work.verify {
            lines.push("does not read the copy back".to_owned());
        }
        let mut preview = Preview::new(lines).known("path", Value::from(work.to.to_string_lossy().as_ref()));
        preview.archives.extend(work.upcoming.clone());
        preview
    }

    async fn apply(work: Work, touch: &Touch) -> Result<Output, StepError> {
        let touch_again = touch.again();
        let done = tokio::task::spawn_blocking(move || copy(&work, &touch_again)).await;
        done.map_err(|e| StepError::because("copying", &e))?
    }
}

/// The folder, the mount, and the room for what is expected.
fn foresee(params: &Params, look: &Look) -> Preflight {
    let (from, dir) = (PathBuf::from(&params.from), PathBuf::from(&params.to));
    let Some(name) = from.file_name().filter(|_| !params.to.is_empty()) else {
        return vec![Check::problem(Area::Parameters, "`from` names no file, or `to` no folder")].into();
    };
    let to = dir.join(name);
    let mut seen = Preflight::default();
    seen.know("path", to.to_string_lossy().as_ref());
    let upcoming = look.facts.upcoming.iter().find(|u| u.path == from).cloned();
    let there = files::at(look, &from).ok().flatten().map(|f| f.bytes);
    let bytes = there.or(upcoming.as_ref().and_then(|u| u.bytes));
    let folder = files::folder(look, &dir, params.create).or_hint(UNMOUNTED);
    let usable = folder.verdict != Verdict::Problem;
    seen.checks.push(folder);
    if params.require_mount && !mounted(look, &dir).unwrap_or(false) {
        seen.checks.push(Check::failed(Area::Folder, &not_mounted(&dir)));
    } else if usable {
        let there = files::nearest(look, &dir);
        if let Err(error) = enough(look, &dir, &there, bytes.unwrap_or(0), params.min_free.map(|s| s.0)) {
            seen.checks.push(Check::failed(Area::Space, &error));
        } else if let Ok(free) = files::free(look, &there) {
            seen.checks.push(Check::ok(Area::Space, format!("folder `{}`: {} free", dir.display(), Size(free))));
        }
        seen.archives.extend(upcoming.map(|u| Upcoming { path: to, ..u }));
    }
    seen
}

fn copy(work: &Work, touch: &Touch) -> Result<Output, StepError> {
    let failed = |doing: &str, path: &Path, error: &io::Error| {
        if touch.cancel().is_cancelled() {
            return StepError::cancelled();
        }
        let said = StepError::because(format!("{doing} `{}`", path.display()), error);
        match error.kind() {
            io::ErrorKind::StorageFull => said.hint("free space there, or keep fewer copies"),
            io::ErrorKind::PermissionDenied => said.hint("let the user that runs the plan write to that folder"),
            _ => said,
        }
    };
    if work.make_dir {
        files::make_private_dir(&work.dir).map_err(|e| failed("making the folder", &work.dir, &e))?;
    }
    // Asked again: a share may have gone since the decision.
    if work.require_mount && !mounted(touch.look(), &work.dir)? {
        return Err(not_mounted(&work.dir));
    }
    let expected = expected(work, touch)?;
    if files::exists(touch.look(), &work.to) {
        return there(work, touch, expected.as_ref());
    }
    room(touch.look(), work)?;
    let (log, total) = (touch.log().clone(), work.bytes);
    let mut progress = |done| log.progress(&Progress { done, total, unit: Unit::Bytes, note: String::new() });
    let copied = files::copy(touch, &work.from, &work.to, work.verify, &mut progress);
    let Copied { partial, bytes, sha256 } = copied.map_err(|e| failed("copying to", &work.to, &e))?;
    matches_record(work, expected.as_ref(), bytes, &sha256)?;
    let made = work.record && copy_record(work, touch)?;
    if let Err(error) = partial.publish() {
        // When the flush of the folder failed, the copy has its name and keeps its record.
        if made && (error.kind() == io::ErrorKind::AlreadyExists || !files::exists(touch.look(), &work.to)) {
            remove_record(work, touch);
        }
        return Err(failed("publishing", &work.to, &error));
    }
    Ok(output(work, bytes, sha256))
}

fn output(work: &Work, bytes: u64, sha256: String) -> Output {
    Output { path: work.to.to_string_lossy().into_owned(), bytes, sha256 }
}

/// What the record of the source promises.
fn expected(work: &Work, touch: &Touch) -> Result<Option<Record>, StepError> {
    if !work.record {
        return Ok(None);
    }
    let path = Record::path_of(&work.from);
    let text = files::read_small(touch.look(), &path, archive::LIMIT);
    let text = text.map_err(|e| StepError::because(format!("reading the record `{}`", path.display()), &e))?;
    // A file of that name that is no record of ours is not copied as one, and promises nothing.
    Ok(Record::parse(&text).ok())
}

/// Whether the source is what its record says, so that no copy is made of an archive that is broken by now.
fn matches_record(work: &Work, record: Option<&Record>, bytes: u64, sha256: &str) -> Result<(), StepError> {
    match record {
        Some(r) if (r.bytes, r.sha256.as_str()) != (bytes, sha256) => {
            let what = format!(
                "`{}` is not what its record says: its bytes have changed since it was made",
                work.from.display()
            );
            Err(StepError::new(what).hint("do not trust that archive; look at the disk, and dump again"))
        }
        _ => Ok(()),
    }
}

/// A file that is there already is the copy when it is the same.
fn there(work: &Work, touch: &Touch, record: Option<&Record>) -> Result<Output, StepError> {
    let hash = |path: &Path| {
        files::hash(touch.look(), path).map_err(|e| match touch.cancel().is_cancelled() {
            true => StepError::cancelled(),
            false => StepError::because(format!("reading `{}`", path.display()), &e),
        })
    };
    let (bytes, sha256) = hash(&work.from)?;
    matches_record(work, record, bytes, &sha256)?;
    if hash(&work.to)? != (bytes, sha256.clone()) {
        return Err(StepError::new(format!(
            "`{}` exists and is another file; it is not overwritten",
            work.to.display()
        ))
        .hint("put `${{ run.id }}` into the name of the archive"));
    }
    if work.record && !files::exists(touch.look(), &Record::path_of(&work.to)) {
        copy_record(work, touch)?;
    }
    touch.log().info(format!("`{}` is there already, and the same", work.to.display()));
    Ok(output(work, bytes, sha256))
}

/// Copies the record; whether it was not there already.
fn copy_record(work: &Work, touch: &Touch) -> Result<bool, StepError> {
    let (from, to) = (Record::path_of(&work.from), Record::path_of(&work.to));
    if files::exists(touch.look(), &to) && files::hash(touch.look(), &to).ok() == files::hash(touch.look(), &from).ok()
    {
        return Ok(false);
    }
    let copied = files::copy(touch, &from, &to, work.verify, &mut |_| {}).and_then(|c| c.partial.publish());
    copied.map_err(|e| StepError::because(format!("copying the record to `{}`", to.display()), &e))?;
    Ok(true)
}

/// A record without its copy only stands in the way, or speaks of somebody else's file.
fn remove_record(work: &Work, touch: &Touch) {
    let path = Record::path_of(&work.to);
    if let Ok(Some(record)) = files::at(touch.look(), &path) {
        // What cannot be removed counts for nothing.
        let _ = files::remove(touch, &work.dir, &record);
    }
}

fn mounted(look: &Look, dir: &Path) -> Result<bool, StepError> {
    files::is_mount(look, dir).map_err(|e| StepError::because(format!("looking at `{}`", dir.display()), &e))
}

fn not_mounted(dir: &Path) -> StepError {
    StepError::new(format!("`{}` is not the root of a mounted file system; nothing was written there", dir.display()))
        .hint("mount the share, or name the folder it is mounted on under `to`")
}

/// Whether there is room for the copy, and for what is to be left free.
fn room(look: &Look, work: &Work) -> Result<(), StepError> {
    enough(look, &work.dir, &work.dir, work.bytes.unwrap_or(0), work.min_free)
}

/// Whether `there`, which is the folder or lies above it, has room for so many bytes.
fn enough(look: &Look, dir: &Path, there: &Path, bytes: u64, min_free: Option<u64>) -> Result<(), StepError> {
    let Ok(free) = files::free(look, there) else { return Ok(()) };
    let need = bytes.saturating_add(min_free.unwrap_or(0));
    if free >= need {
        return Ok(());
    }
    let reserve = min_free.map(|m| format!(", {} of it to be left free", Size(m))).unwrap_or_default();
    let what = format!("`{}` has {} free and {} is needed{reserve}", dir.display(), Size(free), Size(need));
    Err(StepError::new(what).hint("free space there, or keep fewer copies"))
}
