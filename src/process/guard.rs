//! What is still done when this program is killed: a shell that waits for its end, and then removes the files of a folder.

use std::path::Path;

use super::{Input, Job, Running, start_unguarded};
use crate::step::{StepError, Touch};

/// Nothing is ever written to its standard input, which ends with this program. That closes its handles one after the
/// other, which takes a while when large files go with them, and it is no parent of the shell any more when the last is
/// closed: whoever writes to a pipe of ours has failed or been heard by then, and nothing new comes. Only files of the
/// folder that the shell was started in are removed, whatever that is called by then.
const SCRIPT: &str = "trap '' HUP INT TERM; read -r _; \
    while rm -f ./*; read -r _ _ _ parent _ < /proc/$$/stat; [ \"$parent\" = \"$PPID\" ]; do sleep 1; done; \
    exec rm -f ./*";

/// A guard that stands as long as this value; what it guards is the holder's to remove then.
pub struct Guard {
    _shell: Running,
}

/// Sets a guard over a folder whose files must not outlast this program.
///
/// # Errors
/// There is no shell.
pub fn guard(touch: &Touch, dir: &Path) -> Result<Guard, StepError> {
    let path = touch.look().env.get("PATH").map(|path| ("PATH".to_owned(), path.clone()));
    let job = Job {
        argv: ["/bin/sh", "-c", SCRIPT].map(str::to_owned).to_vec(),
        env: path.into_iter().collect(),
        cwd: Some(dir.to_path_buf()),
        stdin: Input::Pipe,
        quiet: true,
        ..Job::default()
    };
    Ok(Guard { _shell: start_unguarded(touch, &job, false)? })
}
