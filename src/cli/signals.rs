//! The first signal stops the steps and lets the handlers run, the second stops those too.

use crate::cancel::{Cancel, Reason};

/// Listens for SIGINT, SIGTERM, SIGQUIT and SIGHUP (Ctrl-C on Windows) as long as the runtime lives.
///
/// # Errors
/// The system does not let us listen.
pub fn listen(stop: &Cancel, abort: &Cancel) -> std::io::Result<()> {
    let (stop, abort) = (stop.clone(), abort.clone());
    let mut signals = Signals::new()?;
    tokio::spawn(async move {
        let first = signals.next().await;
        stop.cancel(first);
        let second = signals.next().await;
        abort.cancel(second);
    });
    Ok(())
}

#[cfg(unix)]
struct Signals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
    hangup: tokio::signal::unix::Signal,
    quit: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    fn new() -> std::io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
            quit: signal(SignalKind::quit())?,
        })
    }

    async fn next(&mut self) -> Reason {
        tokio::select! {
            _ = self.interrupt.recv() => Reason::Interrupt,
            _ = self.terminate.recv() => Reason::Terminate,
            // The terminal or session went away: the same as being told to end.
            _ = self.hangup.recv() => Reason::Hangup,
            _ = self.quit.recv() => Reason::Quit,
        }
    }
}

#[cfg(not(unix))]
struct Signals;

#[cfg(not(unix))]
impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self)
    }

    async fn next(&mut self) -> Reason {
        // An error means that nothing can be heard any more: then nothing is.
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
        Reason::Interrupt
    }
}
