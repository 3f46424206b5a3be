//! How long to wait before the next attempt.

use std::time::Duration;

use crate::plan::Retry;

/// The longest wait of all: a day.
const LIMIT: f64 = 86_400.0;

/// The wait after attempt `attempt` (from 1): `delay * backoff^(attempt - 1)`, at most `max_delay`; with jitter a share
/// of it between one half and all, as `chance` (0 to 1) says.
pub fn wait(retry: &Retry, attempt: u32, chance: f64) -> Duration {
    let exponent = i32::try_from(attempt.saturating_sub(1)).unwrap_or(i32::MAX);
    let limit = retry.max_delay.map_or(LIMIT, |m| m.0.as_secs_f64()).min(LIMIT);
    let full = (retry.delay.0.as_secs_f64() * retry.backoff.powi(exponent)).min(limit);
    let share = if retry.jitter { 0.5 + chance.clamp(0.0, 1.0) / 2.0 } else { 1.0 };
    Duration::from_secs_f64(full * share)
}

/// The longest wait for a server's sake where the plan names none: the run has other work.
const PATIENCE: Duration = Duration::from_secs(300);

/// The wait that was decided, lengthened for a server that wants to be left alone for `after`: up to `max_delay`.
pub fn lengthened(wait: Duration, after: Option<Duration>, retry: &Retry) -> Duration {
    let limit = retry.max_delay.map_or(PATIENCE, |m| m.0);
    after.map_or(wait, |after| wait.max(after.min(limit)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quantity::Span;

    fn retry(backoff: f64, max_delay: Option<u64>, jitter: bool) -> Retry {
        let max_delay = max_delay.map(|s| Span(Duration::from_secs(s)));
        Retry { attempts: 5, delay: Span(Duration::from_secs(30)), backoff, max_delay, jitter, errors: Vec::new() }
    }

    #[test]
    fn the_wait_grows_up_to_its_limit() {
        let seconds = |r: &Retry, n| wait(r, n, 0.0).as_secs();
        assert_eq!([1, 2, 3].map(|n| seconds(&retry(2.0, None, false), n)), [30, 60, 120]);
        assert_eq!([1, 2, 3].map(|n| seconds(&retry(2.0, Some(50), false), n)), [30, 50, 50]);
        assert_eq!([1, 2].map(|n| seconds(&retry(1.0, None, false), n)), [30, 30]);
        assert_eq!(seconds(&retry(10.0, None, false), u32::MAX), 86_400);
    }

    #[test]
    fn a_server_lengthens_the_wait_up_to_its_limit() {
        let seconds = |after: Option<u64>, max| {
            let wait = Duration::from_secs(30);
            lengthened(wait, after.map(Duration::from_secs), &retry(2.0, max, false)).as_secs()
        };
        assert_eq!([None, Some(5), Some(60), Some(9000)].map(|a| seconds(a, None)), [30, 30, 60, 300]);
        assert_eq!([Some(60), Some(9000)].map(|a| seconds(a, Some(45))), [45, 45]);
    }

    #[test]
    fn jitter_keeps_between_half_and_all() {
        let r = retry(1.0, None, true);
        assert_eq!((wait(&r, 1, 0.0).as_secs(), wait(&r, 1, 1.0).as_secs()), (15, 30));
    }
}
