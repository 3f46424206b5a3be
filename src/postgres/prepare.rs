//! What every session of ours is set to at its start, before it asks anything.
//!
//! A role or a database may carry settings that end a session early, change what its statements mean, or have a name in
//! them find somebody else's function (PostgreSQL manual, `ALTER ROLE … SET`). `pg_dump` sets its own sessions in the same
//! way (`setup_connection` in its source).

use super::messages::Limits;

/// Whose statements a session runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Ours, which only read.
    Read,
    /// Ours, which read tables and large objects.
    Rows,
    /// Ours, which also write.
    Write,
    /// Those of the plan. They keep what they may count on in the role's own settings: its search path, its time zone, how
    /// it writes dates, its row security, its verbosity.
    Plan,
}

impl Purpose {
    /// How long messages may be in such a session.
    pub fn limits(self) -> Limits {
        match self {
            Self::Read | Self::Write => Limits::CATALOG,
            Self::Rows => Limits::TABLES,
            Self::Plan => Limits::PLAN,
        }
    }
}

/// Every session: nothing that ends it, and nothing that changes how a text is read.
///
/// The time limits come first, so that they do not hit the rest.
const ALWAYS: &[(u32, &str)] = &[
    (0, "SET statement_timeout = 0"),
    (17, "SET transaction_timeout = 0"),
    (14, "SET idle_session_timeout = 0"),
    (0, "SET idle_in_transaction_session_timeout = 0"),
    (0, "SET lock_timeout = 0"),
    (0, "SET client_encoding = 'UTF8'"),
    (0, "SET standard_conforming_strings = on"),
    (0, "SET default_transaction_isolation = 'read committed'"),
    (0, "SET default_transaction_deferrable = off"),
];

/// Sessions with our own statements: names mean what the system catalog says, values are written in one way, no row is
/// left out without an error, and warnings are heard.
const OURS: &[&str] = &[
    "SET search_path = pg_catalog",
    "SET row_security = off",
    "SET client_min_messages = warning",
    "SET DateStyle = 'ISO'",
    "SET IntervalStyle = 'postgres'",
    "SET TimeZone = 'UTC'",
    "SET extra_float_digits = 3",
    "SET bytea_output = 'hex'",
    "SET transform_null_equals = off",
];

/// Our statements read no view and no foreign table of others, also where one takes a table's place in the meantime
/// (CVE-2024-7348).
const NO_VIEWS: &str = "SET restrict_nonsystem_relation_kind = 'view, foreign-table'";

/// Whether a server knows [`NO_VIEWS`]: from the minor versions of August 2024 on.
fn restricts_views(major: u32, minor: u32) -> bool {
    match major {
        14 => minor >= 13,
        15 => minor >= 8,
        16 => minor >= 4,
        major => major >= 17,
    }
}

/// The statements that set a session, for a server of that version, like `15.18 (Debian …)`.
///
/// They name no function, operator or table, so that the role's own search path, which still holds, plays no part.
pub fn statements(purpose: Purpose, version: &str) -> String {
    let mut numbers = version.split(|c: char| !c.is_ascii_digit()).map(|n| n.parse().unwrap_or_default());
    let (major, minor) = (numbers.next().unwrap_or_default(), numbers.next().unwrap_or_default());
    let views = (purpose != Purpose::Plan && restricts_views(major, minor)).then_some(NO_VIEWS);
    let always = ALWAYS.iter().filter(|(since, _)| major >= *since).map(|(_, sql)| *sql);
    let ours = OURS.iter().copied().filter(|_| purpose != Purpose::Plan);
    let access = match purpose {
        Purpose::Read | Purpose::Rows => "SET default_transaction_read_only = on",
        Purpose::Write | Purpose::Plan => "SET default_transaction_read_only = off",
    };
    always.chain(ours).chain(views).chain([access]).collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_only_told_what_it_knows_and_time_limits_go_first() {
        let old = statements(Purpose::Read, "13.9");
        assert!(!old.contains("idle_session_timeout") && !old.contains("transaction_timeout ="), "{old}");
        let new = statements(Purpose::Write, "17.11 (Debian 17.11-1)");
        assert!(
            new.starts_with("SET statement_timeout = 0; SET transaction_timeout = 0; SET idle_session_timeout = 0;")
        );
        assert!(new.contains("search_path = pg_catalog") && new.ends_with("read_only = off"), "{new}");
        let plan = statements(Purpose::Plan, "18beta1");
        for (version, known) in [("15.7", false), ("15.8", true), ("14.23", true), ("16.3 (x)", false), ("18", true)] {
            assert_eq!(statements(Purpose::Read, version).contains(NO_VIEWS), known, "{version}");
        }
        assert!(
            !plan.contains(NO_VIEWS)
                && !plan.contains("search_path")
                && !plan.contains("TimeZone")
                && plan.contains("statement_timeout")
        );
    }
}
