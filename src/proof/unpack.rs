//! A dump laid out in a folder of its own, for a program that must seek in it.

use std::fs::OpenOptions;
use std::io::{self, Read, Write};
use std::path::PathBuf;

use super::source::{Source, open};
use crate::dump::FOLDER;
use crate::files::{self, Spool};
use crate::process::{self, Account, Guard};
use crate::quantity::Size;
use crate::step::{Progress, StepError, Touch, Unit};

/// A dump that lies unencrypted in a folder closed to others (0700), which goes with this value; when this program is
/// killed, what is in the folder goes.
pub struct Unpacked {
    /// What `pg_restore` is given.
    pub path: PathBuf,
    spool: Spool,
    _guard: Option<Guard>,
}

impl Unpacked {
    /// Gives what is laid out to the account that is to read it.
    ///
    /// # Errors
    /// The file system refuses.
    pub fn hand_over(&self, account: Option<Account>) -> Result<(), StepError> {
        #[cfg(unix)]
        if let Some(Account { user, group }) = account {
            use std::os::unix::fs::chown;
            let give = || -> io::Result<()> {
                for entry in std::fs::read_dir(self.spool.path())? {
                    chown(entry?.path(), Some(user), Some(group))?;
                }
                chown(self.spool.path(), Some(user), Some(group))
            };
            give().map_err(|e| StepError::because("giving the dump to the account that restores it", &e))?;
        }
        #[cfg(not(unix))]
        let _ = account;
        Ok(())
    }
}

impl Source {
    /// Lays the dump out in the system's temporary folder: one file, or those of a folder.
    ///
    /// # Errors
    /// There is no room, or the archive cannot be read.
    pub async fn unpack(&self, touch: &Touch) -> Result<Unpacked, StepError> {
        let own = touch.again();
        let source = self.clone();
        let unpacking = tokio::task::spawn_blocking(move || unpack(&own, &source));
        unpacking.await.map_err(|e| StepError::because("unpacking the dump", &e))?
    }
}

fn unpack(touch: &Touch, source: &Source) -> Result<Unpacked, StepError> {
    let failed = |e: &(dyn std::error::Error + 'static)| StepError::because("unpacking the dump", e);
    let mut archive = open(touch, &source.path)?;
    let dump = source.manifest.dump.clone();
    let folder = dump.starts_with(FOLDER);
    let belongs = |name: &str| if folder { name.starts_with(FOLDER) } else { name == dump };
    let items = archive.entries().iter().enumerate().filter(|(_, e)| belongs(&e.name));
    let items: Vec<(usize, String, u64)> = items.map(|(at, e)| (at, e.name.clone(), e.size)).collect();
    let total = items.iter().map(|(.., size)| size).sum();
    let spool = Spool::temporary(touch).map_err(|e| {
        let what = format!("making a folder in `{}`, where the dump is laid out", std::env::temp_dir().display());
        StepError::because(what, &e).hint("name a folder that can be written in the environment variable TMPDIR")
    })?;
    if let Ok(free) = files::free(touch.look(), spool.path())
        && free < total
    {
        let place = spool.path().parent().unwrap_or(spool.path()).display().to_string();
        let what =
            format!("the dump is laid out in `{place}`, which has {} free, and takes {}", Size(free), Size(total));
        return Err(StepError::new(what).hint("name a folder with more room in the environment variable TMPDIR"));
    }
    let guard = process::guard(touch, spool.path());
    let guard = guard.map_err(|e| {
        let place = spool.path().display();
        touch.log().warn(format!("{e}; a run that is killed may leave the dump in `{place}`"));
    });
    let mut done = 0;
    let mut buffer = vec![0; 1 << 18];
    for (index, name, _) in items {
        // The reader lets no name through that leads out of its folder; below this one there are no others.
        let name = name.strip_prefix(FOLDER).unwrap_or(&name);
        if name.contains('/') {
            return Err(StepError::new(format!("the dump has a folder in its folder: `{name}`")));
        }
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        {
            use std::os::unix::fs::OpenOptionsExt;
            options.mode(0o600);
        }
        let mut to = options.open(spool.path().join(name)).map_err(|e| failed(&e))?;
        let password = source.password.as_ref().map(|p| p.as_bytes());
        let mut content = archive.read(index, password).map_err(|e| failed(&e))?;
        loop {
            if touch.cancel().is_cancelled() {
                return Err(StepError::cancelled());
            }
            let count = match content.read(&mut buffer) {
                Ok(0) => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                other => other.map_err(|e| failed(&e))?,
            };
            to.write_all(&buffer[..count]).map_err(|e| failed(&e))?;
            done += count as u64;
            touch.log().progress(&Progress {
                done,
                total: Some(total),
                unit: Unit::Bytes,
                note: "unpacking".to_owned(),
            });
        }
    }
    let path = if folder { spool.path().to_path_buf() } else { spool.path().join(&dump) };
    Ok(Unpacked { path, spool, _guard: guard.ok() })
}
