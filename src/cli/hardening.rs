//! What the program asks of the system for itself before it does anything: that no core file ever holds what it knows, and
//! that a file that may not grow is an error to be told instead of the end.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::mpsc;
use std::time::Duration;

use tokio::runtime::Runtime;

/// How many files a run has open at once at least, besides those that are open when it starts.
const FILES: usize = 12;
/// How many threads a run needs at least: two for the work, and two for what blocks.
const THREADS: usize = 4;

/// Leaves no core file, and hears of a file that has reached the limit of its size by the error of the write. What the
/// system refuses of this is left as it is.
pub fn harden() {
    #[cfg(unix)]
    {
        use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
        // Programs that are started inherit the limit, and may raise it.
        let maximum = getrlimit(Resource::Core).maximum;
        let _ = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum });
        // A handler does: with it the write fails (EFBIG), and programs that are started do not inherit it.
        let _ = signal_hook::flag::register(signal_hook::consts::SIGXFSZ, Arc::new(AtomicBool::new(false)));
    }
    // A system that pipes cores into a program does so whatever the limit (core(5)).
    #[cfg(any(target_os = "linux", target_os = "android"))]
    {
        use rustix::process::{DumpableBehavior, set_dumpable_behavior};
        let _ = set_dumpable_behavior(DumpableBehavior::NotDumpable);
    }
}

/// A runtime with the threads that a run needs, or why the system does not allow it.
///
/// # Errors
/// There are too few files or threads.
pub fn runtime() -> Result<Runtime, String> {
    files()?;
    threads()?;
    // The library panics where the system refuses a thread, which it may: those that were just tried can still be counted.
    std::panic::catch_unwind(start_runtime).unwrap_or_else(|_| Err(few_threads("the system refused a thread")))
}

fn start_runtime() -> Result<Runtime, String> {
    // Threads for what blocks stay: the runtime waits for ever for one that the system no longer gives it.
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.worker_threads(2).thread_keep_alive(Duration::from_secs(1 << 32)).enable_all();
    let runtime = builder.build().map_err(|e| format!("the system does not let the run start: {e}"))?;
    let (tell, told) = mpsc::channel::<()>();
    let (go, waits) = mpsc::channel::<()>();
    let waits = Arc::new(std::sync::Mutex::new(waits));
    for _ in 0..2 {
        let (tell, waits) = (tell.clone(), Arc::clone(&waits));
        runtime.spawn_blocking(move || {
            let _ = tell.send(());
            // Until both are there, so that there are two.
            let _ = waits.lock().map(|waits| waits.recv());
        });
    }
    let both = (0..2).all(|_| told.recv_timeout(Duration::from_secs(5)).is_ok());
    drop(go);
    if both { Ok(runtime) } else { Err(few_threads("the system gave no thread within 5 s")) }
}

fn files() -> Result<(), String> {
    let null = if cfg!(windows) { "NUL" } else { "/dev/null" };
    let opened: std::io::Result<Vec<_>> = (0..FILES).map(|_| std::fs::File::open(null)).collect();
    match opened {
        Ok(_) => Ok(()),
        Err(error) => Err(format!("a run cannot open the files that it needs: {error}{}", limit_of_files())),
    }
}

#[cfg(unix)]
fn limit_of_files() -> String {
    use rustix::process::{Resource, getrlimit};
    let limit = getrlimit(Resource::Nofile).current;
    limit.map(|n| format!("; the limit of open files is {n} (`ulimit -n`)")).unwrap_or_default()
}

#[cfg(not(unix))]
fn limit_of_files() -> String {
    String::new()
}

fn threads() -> Result<(), String> {
    let (go, waits) = mpsc::channel::<()>();
    let waits = std::sync::Mutex::new(waits);
    std::thread::scope(|scope| {
        let one = || std::thread::Builder::new().stack_size(64 << 10);
        let started: std::io::Result<Vec<_>> =
            (0..THREADS).map(|_| one().spawn_scoped(scope, || drop(waits.lock().map(|w| w.recv())))).collect();
        // They wait for each other, and end now.
        drop(go);
        started.map(drop).map_err(|e| few_threads(&e.to_string()))
    })
}

fn few_threads(why: &str) -> String {
    format!("a run cannot start the {THREADS} threads that it needs: {why}; see `ulimit -u` and `ulimit -v`")
}
