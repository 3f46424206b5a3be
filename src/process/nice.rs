//! Stepping back for other programs: the nice value of a program, and of threads of our own (nice(2), sched(7)).

use crate::step::StepError;

/// Gives a process, or the calling thread, a nice value; a higher one that it has stays. Whoever is started by it inherits
/// that. A system that refuses goes on as it was.
#[cfg(unix)]
pub(super) fn step_back(process: Option<i32>, nice: u8) {
    use rustix::process::{Pid, getpriority_process, setpriority_process};
    let process = process.and_then(Pid::from_raw);
    if getpriority_process(process).is_ok_and(|now| now < i32::from(nice)) {
        let _ = setpriority_process(process, nice.into());
    }
}

#[cfg(not(unix))]
pub(super) fn step_back(_: Option<i32>, _: u8) {}

/// Does blocking work on a thread that has stepped back, with all the threads that it starts; only Linux knows that of
/// threads. The thread ends with the work, since it may not step forward again.
///
/// # Errors
/// The thread could not be started, or stopped by a fault of its own.
pub async fn work<T: Send + 'static>(
    nice: Option<u8>,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, StepError> {
    let Some(nice) = nice.filter(|_| cfg!(target_os = "linux")) else {
        return tokio::task::spawn_blocking(work).await.map_err(|e| StepError::because("working", &e));
    };
    let (done, result) = tokio::sync::oneshot::channel();
    let thread = std::thread::Builder::new().name("packing".to_owned()).spawn(move || {
        step_back(None, nice);
        // Whoever asked may be gone, when the run was stopped.
        let _ = done.send(work());
    });
    thread.map_err(|e| StepError::because("starting a thread", &e))?;
    result.await.map_err(|_| StepError::new("a thread stopped by a fault of its own"))
}
