//! What a server says beside its answers: a bounded part of it is kept.

use tokio_postgres::error::{DbError, SqlState};

/// How many warnings are kept between two times of taking them.
const KEPT: usize = 100;
/// How many bytes of them.
const BYTES: usize = 64 << 10;

/// The warnings of a session since they were last taken.
#[derive(Debug, Default)]
pub struct Notices {
    kept: Vec<Notice>,
    bytes: usize,
    /// Those that were not kept.
    more: u64,
    /// Of those that were not kept, the ones that say that VACUUM left a table out.
    more_skips: u64,
}

/// One warning.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    pub text: String,
    pub meaning: Meaning,
}

/// What a warning means for a VACUUM.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Meaning {
    /// The server left a table out.
    Skipped,
    /// The server left a table out because it is gone.
    Gone,
    /// Anything else, like what a function of an index says.
    Said,
}

impl Notices {
    /// Keeps a warning, or counts it.
    pub fn hear(&mut self, notice: &DbError) {
        if notice.parsed_severity() != Some(tokio_postgres::error::Severity::Warning) && notice.severity() != "WARNING"
        {
            return;
        }
        let (place, code) = ((notice.file(), notice.routine()), notice.code());
        self.keep(Notice { text: notice.message().to_owned(), meaning: meaning(place, code, notice.message()) });
    }

    fn keep(&mut self, notice: Notice) {
        if self.kept.len() >= KEPT || self.bytes + notice.text.len() > BYTES {
            self.more += 1;
            self.more_skips += u64::from(notice.meaning == Meaning::Skipped);
            return;
        }
        self.bytes += notice.text.len();
        self.kept.push(notice);
    }

    /// The texts, the last one of which counts those that were not kept.
    pub fn texts(self) -> Vec<String> {
        let more = (self.more > 0).then(|| format!("… and {} more warnings of the server", self.more));
        self.kept.into_iter().map(|n| n.text).chain(more).collect()
    }

    /// Those that say that VACUUM left a table out, and the rest.
    pub fn split(self) -> (Vec<Notice>, Vec<String>) {
        let (mut skips, rest): (Vec<Notice>, Vec<Notice>) =
            self.kept.into_iter().partition(|n| n.meaning != Meaning::Said);
        if self.more_skips > 0 {
            let text = format!("… and {} more tables were left out", self.more_skips);
            skips.push(Notice { text, meaning: Meaning::Skipped });
        }
        let other = self.more - self.more_skips;
        let more = (other > 0).then(|| format!("… and {other} more warnings of the server"));
        (skips, rest.into_iter().map(|n| n.text).chain(more).collect())
    }
}

/// What a warning means, by the place in the server's source that it comes from: that is the same in every language, and
/// no function written in SQL or PL/pgSQL can imitate it (`src/backend/commands/vacuum.c`).
fn meaning((file, routine): (Option<&str>, Option<&str>), code: &SqlState, text: &str) -> Meaning {
    let skips = match (file, routine) {
        (Some("vacuum.c"), Some(routine)) => matches!(
            routine,
            "vacuum_is_relation_owner" | "vacuum_is_permitted_for_relation" | "vacuum_open_relation" | "vacuum_rel"
        ),
        (Some("analyze.c"), Some(routine)) => routine == "analyze_rel",
        (Some(_), Some(_)) => false,
        // A server that does not say it is taken at its word.
        _ => text.contains("skipping"),
    };
    match skips {
        true if *code == SqlState::UNDEFINED_TABLE => Meaning::Gone,
        true => Meaning::Skipped,
        false => Meaning::Said,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_servers_own_word_says_that_a_table_was_left_out() {
        let at = |file, routine| meaning((Some(file), Some(routine)), &SqlState::WARNING, "skipping \"t\"");
        assert_eq!(at("vacuum.c", "vacuum_is_permitted_for_relation"), Meaning::Skipped);
        assert_eq!(at("pl_exec.c", "exec_stmt_raise"), Meaning::Said);
        // Old snapshots hold VACUUM back, and it was done all the same.
        assert_eq!(at("vacuum.c", "vacuum_get_cutoffs"), Meaning::Said);
        let gone = (Some("vacuum.c"), Some("vacuum_open_relation"));
        assert_eq!(meaning(gone, &SqlState::UNDEFINED_TABLE, ""), Meaning::Gone);
        assert_eq!(meaning((None, None), &SqlState::WARNING, "skipping \"t\""), Meaning::Skipped);
    }

    #[test]
    fn a_server_that_warns_without_end_is_heard_to_a_bound_and_counted() {
        let mut notices = Notices::default();
        for number in 0..1000 {
            let meaning = if number % 2 == 0 { Meaning::Said } else { Meaning::Skipped };
            notices.keep(Notice { text: format!("{number}{}", "x".repeat(300)), meaning });
        }
        assert!(notices.bytes <= BYTES && notices.kept.len() <= KEPT);
        let (skips, rest) = notices.split();
        assert_eq!(skips.last().map(|n| n.text.as_str()), Some("… and 450 more tables were left out"));
        assert_eq!(rest.last().map(String::as_str), Some("… and 450 more warnings of the server"));
        let mut one = Notices::default();
        one.keep(Notice { text: "x".repeat(BYTES + 1), meaning: Meaning::Said });
        assert_eq!(one.texts(), ["… and 1 more warnings of the server"]);
    }
}
