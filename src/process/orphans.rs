//! No program outlives this one, however it ends: a shell waits on a pipe for our end, and then kills the processes and
//! process groups that it was told of and that have not ended yet.
//!
//! One shell serves all programs of the process. It is started with the first of them, and costs each a line when it
//! starts and a line when it has ended. What a program starts in another group or session is not found.

#[cfg(not(unix))]
pub use elsewhere::{Guarded, stand_by};
#[cfg(unix)]
pub use unix::{Guarded, stand_by};

#[cfg(unix)]
mod unix {
    use std::collections::BTreeSet;
    use std::io::{self, Write};
    use std::os::unix::process::CommandExt;
    use std::process::{Child, ChildStdin, Command, Stdio};
    use std::sync::{Mutex, MutexGuard, PoisonError};

    use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
    use rustix::process::{getpgrp, getpid};

    const SCRIPT: &str = include_str!("orphans.sh");

    static GUARD: Mutex<Guard> = Mutex::new(Guard { ids: BTreeSet::new(), starting: 0, shell: None });

    /// The shell, and what it is to know.
    struct Guard {
        /// As kill(2) takes them: a process group is a negative number.
        ids: BTreeSet<i32>,
        /// How many programs are being started.
        starting: u32,
        shell: Option<(Child, ChildStdin)>,
    }

    /// A program that is about to be started. Dropped, it was not.
    #[derive(Debug)]
    pub struct Starting(());

    /// A process or a process group that is killed if this program ends before the value is dropped.
    #[derive(Debug)]
    pub struct Guarded {
        id: i32,
    }

    /// Says that a program is about to be started.
    ///
    /// # Errors
    /// There is no shell. The program is then not guarded.
    pub fn stand_by() -> io::Result<Starting> {
        let mut guard = lock();
        guard.starting += 1;
        if let Err(error) = guard.tell("?\n") {
            guard.starting -= 1;
            return Err(error);
        }
        Ok(Starting(()))
    }

    impl Starting {
        /// Guards the process that was started, given its number, or its whole group.
        pub fn guard(self, process: i32, group: bool) -> Guarded {
            let id = if group { -process } else { process };
            let mut guard = lock();
            guard.ids.insert(id);
            guard.starting -= 1;
            // A shell that cannot be replaced now is so with the next program.
            let _ = guard.tell(&format!("+ {id}\n"));
            drop(guard);
            std::mem::forget(self);
            Guarded { id }
        }
    }

    impl Drop for Starting {
        fn drop(&mut self) {
            let mut guard = lock();
            guard.starting -= 1;
            let _ = guard.tell("!\n");
        }
    }

    impl Drop for Guarded {
        fn drop(&mut self) {
            let mut guard = lock();
            guard.ids.remove(&self.id);
            let _ = guard.tell(&format!("- {}\n", self.id));
        }
    }

    fn lock() -> MutexGuard<'static, Guard> {
        GUARD.lock().unwrap_or_else(PoisonError::into_inner)
    }

    impl Guard {
        /// Writes one line to the shell; to a new one, which is told of everything, where there is none that listens.
        fn tell(&mut self, line: &str) -> io::Result<()> {
            if let Some((_, input)) = &mut self.shell
                && write_whole(input, line).is_ok()
            {
                return Ok(());
            }
            if let Some((mut old, input)) = self.shell.take() {
                // It was ended, or stopped: with its input closed it would kill what still runs.
                let _ = old.kill();
                drop(input);
                let _ = old.wait();
            }
            if self.ids.is_empty() && self.starting == 0 {
                return Ok(());
            }
            let (shell, mut input) = start()?;
            let mut all = "?\n".repeat(self.starting as usize);
            all.extend(self.ids.iter().map(|id| format!("?\n+ {id}\n")));
            write_whole(&mut input, &all)?;
            self.shell = Some((shell, input));
            Ok(())
        }
    }

    /// Writes all of a text or fails: the shell is never waited for.
    fn write_whole(input: &mut ChildStdin, text: &str) -> io::Result<()> {
        input.write_all(text.as_bytes())
    }

    fn start() -> io::Result<(Child, ChildStdin)> {
        let mut command = Command::new("/bin/sh");
        let [own, group] = [getpid(), getpgrp()].map(|id| id.as_raw_nonzero().to_string());
        command
            .args(["-c", SCRIPT, "sh", &own, &group])
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .current_dir("/")
            .process_group(0);
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut shell = command.spawn()?;
        let input = shell.stdin.take().ok_or_else(|| io::Error::other("the shell has no input"))?;
        fcntl_setfl(&input, fcntl_getfl(&input)? | OFlags::NONBLOCK)?;
        Ok((shell, input))
    }
}

#[cfg(not(unix))]
mod elsewhere {
    /// Nothing: there are no process groups to guard.
    #[derive(Debug)]
    pub struct Starting;

    /// Nothing.
    #[derive(Debug)]
    pub struct Guarded;

    /// Nothing to do.
    ///
    /// # Errors
    /// Never.
    pub fn stand_by() -> std::io::Result<Starting> {
        Ok(Starting)
    }

    impl Starting {
        /// Guards nothing.
        pub fn guard(self, _: i32, _: bool) -> Guarded {
            Guarded
        }
    }
}
