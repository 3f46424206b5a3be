//! A lock in the database itself, for steps that write to it: the lock file of a run is only seen by runs of the same
//! user on the same machine.
//!
//! It is an advisory lock of the server (PostgreSQL manual, "Advisory Locks"), which is one of each database, held by a
//! session of its own and gone with that.
//!
//! A connection pooler in transaction mode gives each transaction another session of the server, so a lock would belong to
//! nobody and would stay when the run is over. Such a pooler is found before the lock is taken, and then none is.

use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};
use tokio_postgres::{Client, SimpleQueryMessage};

use super::connect::Session;
use super::{Settings, asked, connect_rw};
use crate::step::{Class, StepError, Touch};

/// A lock that is held, until this is dropped.
pub struct Hold {
    _session: Session,
}

/// How often another try is made.
const PAUSE: Duration = Duration::from_millis(500);

/// Takes the lock of this run's plan and target, or of its `lock.key`, in a database.
///
/// Steps of one run do not exclude each other.
///
/// # Errors
/// Another run holds it, and has not let go in the time that the plan gives it.
pub async fn hold(touch: &Touch, settings: &Settings) -> Result<Hold, StepError> {
    let session = connect_rw(touch, settings).await?;
    let facts = touch.facts();
    let name =
        format!("runplan {}", facts.run.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '-').collect::<String>());
    let set = session.client.batch_execute(&format!("SET application_name = '{name}'")).await;
    set.map_err(|e| asked("taking the lock in the database", &e))?;
    if is_pooled(touch, settings, &session.client).await {
        touch.log().warn(unlocked(settings));
        return Ok(Hold { _session: session });
    }
    let key = number(&facts.exclusion.key);
    let deadline = Instant::now() + facts.exclusion.wait;
    let mut told = false;
    loop {
        let row = session.client.query_one("SELECT pg_catalog.pg_try_advisory_lock($1)", &[&key]).await;
        let taken: bool = row.map_err(|e| asked("taking the lock in the database", &e))?.get(0);
        let holder = holder(&session.client, key).await?;
        if taken {
            let own = server_process(&session.client).await;
            if own.is_some() && own != holder.map(|(pid, _)| pid) {
                touch.log().warn(unlocked(settings));
            }
            return Ok(Hold { _session: session });
        }
        match holder {
            // Another step of this run has it, and lock files hold targets of one run apart.
            Some((_, other)) if other == name && !facts.run.is_empty() => return Ok(Hold { _session: session }),
            holder => {
                let who = holder.map_or_else(String::new, |(pid, name)| format!(": server process {pid} (`{name}`)"));
                let place = settings.place();
                if Instant::now() >= deadline {
                    let what = format!("another run holds the lock in {place}{who}");
                    return Err(StepError::new(what)
                        .class(Class::Locked)
                        .hint("wait for it to end, or set `lock.overlap: wait`"));
                }
                if !told {
                    touch.log().info(format!("waiting for the lock in {place}{who}"));
                    told = true;
                }
            }
        }
        tokio::select! {
            () = tokio::time::sleep(PAUSE) => {}
            _ = touch.cancel().cancelled() => return Err(StepError::cancelled()),
        }
    }
}

/// Whether sessions of ours share a process of the server, or one of them is served by several.
///
/// A second session holds its process by an open transaction meanwhile, so that a pooler cannot give the same one again.
/// Where no second session can be had, nothing is known.
async fn is_pooled(touch: &Touch, settings: &Settings, client: &Client) -> bool {
    let Some(first) = server_process(client).await else { return false };
    let Ok(other) = connect_rw(touch, settings).await else { return false };
    if other.client.batch_execute("BEGIN").await.is_err() {
        return false;
    }
    let shared = server_process(&other.client).await == Some(first);
    // With a pool of one, another question would wait for that transaction.
    let pooled = shared || server_process(client).await.is_some_and(|again| again != first);
    // Nothing was done in it; a session that ends takes it along.
    let _ = other.client.batch_execute("ROLLBACK").await;
    pooled
}

/// The server process behind a session. A simple query: a prepared one is what a pooler loses.
async fn server_process(client: &Client) -> Option<i32> {
    let said = client.simple_query("SELECT pg_catalog.pg_backend_pid()").await.ok()?;
    said.iter().find_map(|message| match message {
        SimpleQueryMessage::Row(row) => row.get(0)?.parse().ok(),
        _ => None,
    })
}

/// What a run is told that has no lock in a database.
fn unlocked(settings: &Settings) -> String {
    format!(
        "{} is reached through a connection pooler in transaction mode, where no lock lasts: runs of other users and machines \
         are not excluded; connect to the server itself, or to a pooler in session mode",
        settings.place()
    )
}

/// The number that stands for a key.
fn number(key: &str) -> i64 {
    let digest = Sha256::digest(format!("runplan lock\0{key}"));
    digest.iter().take(8).fold(0, |number, byte| (number << 8) | i64::from(*byte))
}

/// Who holds a lock: the server process, and what it calls itself.
async fn holder(client: &Client, key: i64) -> Result<Option<(i32, String)>, StepError> {
    // The two halves of a key stand in two columns.
    let sql = "SELECT l.pid, coalesce(a.application_name, '') FROM pg_catalog.pg_locks l \
               LEFT JOIN pg_catalog.pg_stat_activity a ON a.pid = l.pid \
               WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1 \
               AND l.database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database()) \
               AND (l.classid::bigint << 32) | l.objid::bigint = $1 LIMIT 1";
    let row = client.query_opt(sql, &[&key]).await;
    let row = row.map_err(|e| asked("asking who holds the lock in the database", &e))?;
    Ok(row.map(|r| (r.get(0), r.get(1))))
}

#[cfg(test)]
mod tests {
    use super::number;

    #[test]
    fn a_key_is_always_the_same_number() {
        // Runs of different versions exclude each other.
        assert_ne!(number("nightly|-"), number("nightly|a"));
        assert_eq!(number("nightly|-"), -1_462_297_733_731_536_112);
    }
}
