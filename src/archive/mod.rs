//! The zip engine: compression, AES-256, records, reading back, publication under the final name.
//!
//! An archive is a standard zip (PKWARE APPNOTE 6.3) whose entries are encrypted by the WinZip AES specification (AE-2).
//! It is written as `<name>.partial` in its own folder, flushed, read back and checked, and only then gets its name.
//! Memory does not grow with what is stored: two chunks a thread and one more, of a mebibyte each.

mod bare;
pub mod codec;
pub mod crypt;
pub mod deflate;
mod follow;
pub mod frame;
mod keys;
mod level;
mod outs;
mod pipe;
mod pipeline;
pub mod read;
mod record;
mod sealed;
mod stands;
mod through;
mod zip;

use std::path::{Component, Path, PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use codec::Codec;

use crate::files;
use crate::secret::Secret;
use crate::step::{Area, Check, Fault, Look, StepError};

pub use bare::Bare;
pub use level::Level;
pub use pipe::Pipe;
pub use record::{Content, LIMIT, Record, SCHEMA_VERSION, Server};
pub use sealed::Sealed;
pub use stands::stand;
pub use zip::Writer;

/// The end of the name of a file that pins the archive beside it: retention leaves that one alone.
pub const PIN: &str = ".pin";

/// An archive: its files, encryption and compression.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Path of the archive. An existing file is never overwritten.
    #[schemars(extend("x-runplan-path" = true))]
    pub path: String,
    /// Paths of more copies, byte for byte the same, written in the same pass: on another disk or a mounted share. Each
    /// copy is complete or absent. If one fails, the others are still written and the step fails. The slowest one sets
    /// the pace.
    #[serde(default)]
    #[schemars(extend("x-runplan-path" = true))]
    pub also: Vec<String>,
    /// Require that each folder of `also` is the root of a mounted file system, so that nothing is written when a share
    /// is not mounted.
    #[serde(default)]
    pub require_mount: bool,
    /// Check of the archive before it gets its name.
    #[serde(default)]
    pub verify: Verify,
    /// Encryption of the archive.
    #[serde(default)]
    pub encryption: Encryption,
    /// Password of the archive. Required unless `encryption` is `none`.
    #[serde(default)]
    pub password: Option<Secret>,
    /// Compression of the archive.
    #[serde(default)]
    pub compression: Compression,
    /// Compression level: `fast` (the default) keeps up with the server and makes archives smaller than `gzip -1`;
    /// `small` makes them smaller than `gzip -6`; a number from 1 to 9 is a level of zlib, or of zstd.
    #[serde(default)]
    pub level: Option<Level>,
    /// Number of threads that compress, never more than the machine has processors. Default: one per processor, at most
    /// 4.
    #[serde(default)]
    #[schemars(range(min = 1, max = 64))]
    pub threads: Option<u8>,
}

impl Settings {
    /// What is wrong with a password that is easily guessed: somebody who has the archive can try any number of them.
    pub fn weak_password(&self) -> Option<Check> {
        let why = self.password.as_ref().filter(|_| self.encryption != Encryption::None)?.why_guessable()?;
        let check = Check::warning(Area::Parameters, format!("the archive password {why}"));
        Some(check.hint("use at least five random words or 20 random characters"))
    }
}

/// Check of an archive before it gets its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Verify {
    /// Read every byte back from the disk while the next ones are written, and compare the hash and every
    /// authentication code.
    #[default]
    Bytes,
    /// Like `bytes`, and afterwards read the archive again and unpack it: each entry must have the size and checksum of
    /// what was packed. This takes as long as unpacking.
    Full,
}

/// Encryption of an archive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Encryption {
    /// AES-256 (WinZip AE-2). 7-Zip, WinZip, bsdtar and pyzipper can open it.
    #[default]
    Aes256,
    /// No encryption.
    None,
}

/// Compression of an archive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Compression {
    /// Deflate. Every zip tool can read it.
    #[default]
    Deflate,
    /// Zstandard (zip method 93): faster and smaller, for fewer tools. 7-Zip 26 reads it, libarchive 3.6 only when the
    /// archive is not encrypted, pyzipper not at all.
    Zstd,
    /// No compression: stored blocks of deflate, whose end every tool finds.
    Store,
}

impl Encryption {
    /// The word of plans and records.
    pub fn word(self) -> &'static str {
        if self == Self::Aes256 { "aes256" } else { "none" }
    }
}

impl Compression {
    /// The word of plans and records.
    pub fn word(self) -> &'static str {
        match self {
            Self::Deflate => "deflate",
            Self::Zstd => "zstd",
            Self::Store => "store",
        }
    }
}

impl Settings {
    /// What is wrong with the parameter `archive` as a plan writes it, as far as its schema cannot say.
    pub fn faults(params: &serde_json::Value) -> Vec<Fault> {
        let Some(given) = params.get("archive").filter(|a| a.is_object()) else { return Vec::new() };
        let mut faults = Vec::new();
        let clear = given.get("encryption").is_some_and(|e| e != "aes256");
        if given.get("password").is_none() && !clear {
            faults.push(Fault {
                pointer: "/archive".to_owned(),
                at_key: true,
                message: "the archive is to be encrypted and has no password".to_owned(),
                help: Some("give it `password: ${{ secrets.… }}`, or write `encryption: none`".to_owned()),
            });
        }
        let also = given.get("also").and_then(serde_json::Value::as_array).into_iter().flatten();
        let texts = given.get("path").into_iter().chain(also).map(serde_json::Value::as_str).collect::<Vec<_>>();
        for (at, text) in texts.iter().enumerate().skip(1).filter_map(|(at, text)| Some((at, (*text)?))) {
            if texts[..at].iter().flatten().any(|earlier| same(earlier, text)) {
                faults.push(Fault {
                    pointer: format!("/archive/also/{}", at - 1),
                    at_key: false,
                    message: "the archive goes there already".to_owned(),
                    help: Some("name another folder, or leave it out".to_owned()),
                });
            }
        }
        let alone = given.get("also").is_none_or(|a| a.as_array().is_some_and(Vec::is_empty));
        if alone && given.get("require_mount") == Some(&serde_json::Value::Bool(true)) {
            faults.push(Fault {
                pointer: "/archive/require_mount".to_owned(),
                at_key: true,
                message: "`require_mount` is about the folders of `also`, and there is none".to_owned(),
                help: None,
            });
        }
        faults
    }

    /// Every file to make, `path` first.
    pub fn paths(&self) -> impl Iterator<Item = &str> {
        std::iter::once(&self.path).chain(&self.also).map(String::as_str)
    }

    /// Whether a name is free; see [`unused`]. One that is not costs the others nothing.
    ///
    /// # Errors
    /// None is, or two of them are one file.
    pub fn unused(&self, look: &Look) -> Result<(), StepError> {
        let real = |path: &str| {
            let path: &Path = path.as_ref();
            let folder = std::fs::canonicalize(folder(path)).or_else(|_| std::path::absolute(folder(path)));
            folder.unwrap_or_default().join(path.file_name().unwrap_or_default())
        };
        let all: Vec<PathBuf> = self.paths().map(real).collect();
        for (at, path) in self.paths().enumerate() {
            if all[..at].contains(&all[at]) {
                return Err(StepError::new(format!(
                    "`{path}` of `archive.also` is a file that the archive goes to already"
                ))
                .hint("name another file there, on another disk, or leave it out"));
            }
        }
        let mut taken = self.paths().map(|path| unused(look, path.as_ref()));
        let first = taken.next().unwrap_or(Ok(()));
        if first.is_err() && taken.any(|other| other.is_ok()) { Ok(()) } else { first }
    }

    /// Says of each place that would fail for want of a mount.
    pub fn foresee(&self, look: &Look) {
        for error in self.unmounted(look) {
            look.log.warn(format!("{error}: no archive will be there"));
        }
    }

    /// The places that would fail for want of a mount, and why.
    pub fn unmounted(&self, look: &Look) -> Vec<StepError> {
        let asked = self.also.iter().filter(|_| self.require_mount);
        asked.filter_map(|path| mounted(look, folder(path.as_ref())).err()).collect()
    }

    /// Where it goes, for people.
    pub fn places(&self) -> String {
        let paths: Vec<String> = self.paths().map(|p| format!("`{p}`")).collect();
        let unpacked = if self.verify == Verify::Full { ", unpacked again before it gets its name" } else { "" };
        let (encryption, compression) = (self.encryption.word(), self.compression.word());
        format!("into {} ({encryption}, {compression}){unpacked}", paths.join(" and "))
    }

    /// Encryption fails closed: without a password nothing is begun. A sealed one, in a dry run, is taken for given.
    ///
    /// # Errors
    /// The password is missing or empty.
    pub fn check(&self) -> Result<(), StepError> {
        let given = self.password.as_ref().is_some_and(|p| !p.is_empty());
        if self.encryption == Encryption::Aes256 && !given {
            return Err(StepError::new(format!("the archive `{}` is to be encrypted and has no password", self.path))
                .hint("give `archive.password` a secret, or write `encryption: none`"));
        }
        let paths: Vec<&str> = self.paths().collect();
        for (at, path) in paths.iter().enumerate() {
            if path.is_empty() {
                return Err(StepError::new("a path of the archive is empty").hint("leave it out of `archive.also`"));
            }
            if paths[..at].iter().any(|earlier| same(earlier, path)) {
                return Err(StepError::new(format!("the archive would go to `{path}` twice"))
                    .hint("name another folder in `archive.also`, or leave it out"));
            }
        }
        if self.compression == Compression::Store && self.level.is_some() {
            return Err(StepError::new("`archive.level` says how to compress, and `compression: store` not to")
                .hint("leave one of them out"));
        }
        if self.threads.is_some_and(|threads| !(1..=64).contains(&threads)) {
            return Err(StepError::new("`archive.threads` is from 1 to 64"));
        }
        Ok(())
    }
}

/// Whether a name is free for an archive or a dump: nothing is ever overwritten.
///
/// # Errors
/// The file is there, or a record without its file.
pub fn unused(look: &Look, path: &Path) -> Result<(), StepError> {
    if files::exists(look, path) {
        return Err(StepError::new(format!("`{}` exists, and no archive is ever overwritten", path.display()))
            .hint("put `${{ run.id }}` into the name"));
    }
    let record = Record::path_of(path);
    if files::exists(look, &record) {
        return Err(StepError::new(format!("the record `{}` exists without its archive", record.display()))
            .hint("remove it, or use another name"));
    }
    Ok(())
}

/// Whether two texts name the same file, as far as texts say.
fn same(a: &str, b: &str) -> bool {
    let plain = |text: &str| Path::new(text).components().filter(|c| *c != Component::CurDir).collect::<PathBuf>();
    plain(a) == plain(b)
}

/// The folder of a file.
fn folder(path: &Path) -> &Path {
    path.parent().filter(|d| !d.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Whether a folder is there because a file system is mounted on it.
///
/// # Errors
/// It is not.
fn mounted(look: &Look, dir: &Path) -> Result<(), StepError> {
    if files::is_dir(look, dir) && files::is_mount(look, dir).is_ok_and(|is| is) {
        return Ok(());
    }
    Err(StepError::new(format!(
        "`{}` is not the root of a mounted file system; nothing was written there",
        dir.display()
    ))
    .hint("mount the share, or name the folder it is mounted on in `archive.also`"))
}

impl Settings {
    fn codec(&self) -> Codec {
        let level = self.level.unwrap_or(Level::Fast);
        match (self.compression, level) {
            (Compression::Store, _) => Codec::Store,
            (Compression::Deflate, Level::Fast) => Codec::Fast,
            (Compression::Deflate, Level::Small) => Codec::ZlibSmall,
            (Compression::Deflate, Level::Number(number)) => Codec::Zlib(number.into()),
            (Compression::Zstd, Level::Fast) => Codec::ZstdFast,
            (Compression::Zstd, Level::Small) => Codec::Zstd(9),
            (Compression::Zstd, Level::Number(number)) => Codec::Zstd(number.into()),
        }
    }

    /// The method as zip numbers it.
    fn method(&self) -> u16 {
        if self.compression == Compression::Zstd { frame::ZSTD } else { frame::DEFLATE }
    }

    /// How many threads compress. A machine that does not say what it has is taken for one processor.
    fn workers(&self) -> usize {
        let machine = std::thread::available_parallelism().map_or(1, usize::from);
        machine.min(self.threads.map_or(4, usize::from)).max(1)
    }
}

#[cfg(test)]
mod tests;
