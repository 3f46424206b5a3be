//! A dump as it is, without an archive around it: the same publication, the same record, the same reading back.

use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::outs::unread;
use super::sealed::{Made, Sealed, failed};
use crate::files::{self, Partial};
use crate::step::{StepError, Touch};

/// Bytes handled at a time.
const CHUNK: usize = 256 * 1024;

/// A file that is being written, as `<path>.partial`. Dropped before its end, it leaves nothing.
pub struct Bare {
    partial: Partial,
    path: PathBuf,
    digest: Sha256,
    touch: Touch,
}

impl Bare {
    /// Begins a file (0600). Missing folders above it are made (0700).
    ///
    /// # Errors
    /// A name that exists, or a folder that cannot be written.
    pub fn create(touch: &Touch, path: &Path) -> Result<Self, StepError> {
        super::unused(touch.look(), path)?;
        if let Some(dir) = path.parent().filter(|d| !d.as_os_str().is_empty()) {
            files::make_private_dir(dir).map_err(|e| failed("making the folder", dir, &e))?;
        }
        let partial = Partial::create(touch, path).map_err(|e| failed("creating", path, &e))?;
        Ok(Self { partial, path: path.to_path_buf(), digest: Sha256::new(), touch: touch.again() })
    }

    /// Writes everything that `from` gives; `progress` hears how many bytes were taken. Gives their number.
    ///
    /// # Errors
    /// Reading or writing failed, or the work was cancelled.
    pub fn fill(&mut self, from: &mut dyn Read, progress: &mut dyn FnMut(u64)) -> Result<u64, StepError> {
        let mut buffer = vec![0u8; CHUNK];
        let mut done = 0;
        loop {
            if self.touch.cancel().is_cancelled() {
                return Err(StepError::cancelled());
            }
            let count = match from.read(&mut buffer) {
                Ok(0) => return Ok(done),
                Err(e) if e.kind() == std::io::ErrorKind::Interrupted => continue,
                other => other.map_err(|e| StepError::because("reading the dump", &e))?,
            };
            self.digest.update(&buffer[..count]);
            let mut file = self.partial.file();
            file.write_all(&buffer[..count]).map_err(|e| failed("writing", &self.path, &e))?;
            done += count as u64;
            progress(done);
        }
    }

    /// Flushes the file to the disk and reads every byte back.
    ///
    /// # Errors
    /// Flushing failed, or what is on the disk is not what was written.
    pub fn seal(self) -> Result<Sealed, StepError> {
        let Self { partial, path, digest, touch } = self;
        let mut file = partial.file();
        file.sync_all().map_err(|e| failed("flushing", &path, &e))?;
        #[cfg(target_os = "linux")]
        {
            // Otherwise the pages in memory would be compared with themselves.
            let _ = rustix::fs::fadvise(file, 0, None, rustix::fs::Advice::DontNeed);
        }
        let wrote: String = digest.finalize().iter().map(|b| format!("{b:02x}")).collect();
        file.seek(SeekFrom::Start(0)).map_err(|e| failed("reading back", &path, &e))?;
        let (bytes, sha256) = files::hash_of(touch.look(), &mut file).map_err(|e| unread(touch.cancel(), &path, &e))?;
        if sha256 != wrote {
            return Err(StepError::new(format!("`{}` was read back and is not what was written", path.display())));
        }
        Ok(Sealed { made: vec![Made { partial, path }], failed: Vec::new(), bytes, sha256 })
    }
}
