//! What can be seen of a server before a run: that it lets us in, its version, its clock.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use tokio_postgres::Client;

use super::{Settings, asked, connect};
use crate::step::{Area, Check, Class, Look, StepError, Verdict};

/// A server that lets us in.
pub struct Server {
    pub client: Client,
    pub version: String,
    /// The major version, like 15.
    pub major: u32,
}

/// How it went when a server was met, for the next step that wants to meet it.
struct Met {
    settings: Settings,
    server: Result<Arc<Server>, StepError>,
}

/// Opens a session that cannot write, one for all steps of a preflight. What it shows is told once, a refusal each time.
pub async fn meet(look: &Look, settings: &Settings) -> (Vec<Check>, Option<Arc<Server>>) {
    let name = settings.place();
    let (checks, met) = match look.kept.get::<Met>(&name).filter(|m| m.settings == *settings) {
        Some(met) => (Vec::new(), met),
        None => {
            // Whoever gives up waiting has had no answer, and the next one need not wait for it too.
            let silent = StepError::new(format!("connecting to {name}: no answer so far")).class(Class::Unreachable);
            look.kept.put(name.clone(), Met { settings: settings.clone(), server: Err(silent) });
            let (checks, server) = match greet(look, settings).await {
                Ok((server, checks)) => (checks, Ok(Arc::new(server))),
                Err(error) => (Vec::new(), Err(error)),
            };
            (checks, look.kept.put(name, Met { settings: settings.clone(), server }))
        }
    };
    match &met.server {
        Ok(server) => (checks, Some(Arc::clone(server))),
        Err(error) if error.class == Class::Sealed => (vec![Check::warning(Area::Server, &error.what)], None),
        Err(error) => (vec![Check::failed(Area::Server, error)], None),
    }
}

async fn greet(look: &Look, settings: &Settings) -> Result<(Server, Vec<Check>), StepError> {
    let client = connect(look, settings).await?;
    let sql = "SELECT pg_catalog.current_setting('server_version'), pg_catalog.current_setting('server_version_num')::int, pg_catalog.clock_timestamp()";
    let statement = client.prepare(sql).await.map_err(|e| asked("asking the server for its version", &e))?;
    let before = Utc::now();
    let row = client.query_one(&statement, &[]).await;
    let after = Utc::now();
    let row = row.map_err(|e| asked("asking the server for its version", &e))?;
    let number: i32 = row.get(1);
    let version: String = row.get(0);
    let met = Check::ok(Area::Server, format!("{}: server {version}", settings.place()));
    let checks = vec![met, clock(ahead(before, after, row.get(2)))];
    Ok((Server { client, version, major: u32::try_from(number / 10_000).unwrap_or(0) }, checks))
}

/// By how much this machine's clock is ahead of one that was read in between.
fn ahead(before: DateTime<Utc>, after: DateTime<Utc>, other: DateTime<Utc>) -> TimeDelta {
    before + (after - before) / 2 - other
}

/// Beyond this a clock is worth a word.
const NOTED: TimeDelta = TimeDelta::seconds(5);
/// Beyond this it is wrong.
const WRONG: TimeDelta = TimeDelta::seconds(60);

/// Beyond this no decision that goes by days can be right.
const USELESS: TimeDelta = TimeDelta::days(1);

fn clock(ahead: TimeDelta) -> Check {
    let verdict = match ahead.abs() {
        far if far > WRONG => Verdict::Problem,
        far if far > NOTED => Verdict::Warning,
        _ => return Check::ok(Area::Clock, "clock: that of the server, within 5 s"),
    };
    let word = if ahead > TimeDelta::zero() { "ahead of" } else { "behind" };
    let text = format!("clock: this machine's is {} s {word} the server's", ahead.abs().num_seconds());
    let check = Check::new(Area::Clock, verdict, text).hint(
        "records, retention and the rules of VACUUM go by this machine's clock: have both machines set theirs (NTP)",
    );
    Check { holds_removal: ahead.abs() > USELESS, ..check }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_is_judged_by_how_far_it_is_off_and_the_way_of_the_question_counts_half() {
        let at = |s: i64| DateTime::from_timestamp(1_800_000_000 + s, 0).expect("a time");
        assert_eq!(ahead(at(0), at(10), at(5)), TimeDelta::zero());
        assert_eq!(ahead(at(100), at(100), at(0)), TimeDelta::seconds(100));
        for (seconds, verdict, text) in [
            (0, Verdict::Ok, "within 5 s"),
            (-5, Verdict::Ok, "within 5 s"),
            (6, Verdict::Warning, "6 s ahead of"),
            (-60, Verdict::Warning, "60 s behind"),
            (61, Verdict::Problem, "61 s ahead of"),
        ] {
            let check = clock(TimeDelta::seconds(seconds));
            assert_eq!(check.verdict, verdict, "{seconds}");
            assert!(check.text.contains(text), "{}", check.text);
            assert!(!check.holds_removal);
        }
        assert!(!clock(TimeDelta::days(-1)).holds_removal && clock(TimeDelta::seconds(-86_401)).holds_removal);
    }
}
