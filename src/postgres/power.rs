//! What a role may do beyond its own objects: what code that runs as it could do to the server.

use tokio_postgres::Client;

use super::asked;
use crate::step::StepError;

/// Predefined roles that let their members see what the server does, and no more (PostgreSQL manual, "Predefined Roles").
const HARMLESS: [&str; 4] = ["pg_monitor", "pg_read_all_settings", "pg_read_all_stats", "pg_database_owner"];

/// A right that reaches beyond a role's own objects, worded to follow "the role, which …".
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Power {
    pub text: String,
    /// The role itself is a superuser.
    pub superuser: bool,
}

/// The gravest right of the logged-in role, or of a role that it can become (SET ROLE) or whose rights it has, beyond its
/// own objects; none for an ordinary role, which is a member of no other. Code that runs in a session can always go back
/// to the role that logged in (RESET ROLE), so that one counts.
///
/// # Errors
/// The server does not answer.
pub async fn gravest_power(client: &Client) -> Result<Option<Power>, StepError> {
    let sql = "SELECT r.rolname::text, r.rolname = session_user, r.rolsuper, r.rolcreaterole, r.rolreplication, r.rolbypassrls, \
               (SELECT pg_catalog.min(d.datname) FROM pg_catalog.pg_database d WHERE d.datdba = r.oid \
                AND d.datname <> pg_catalog.current_database() AND d.datname !~ '^runplan_check_')::text \
               FROM pg_catalog.pg_roles r \
               WHERE r.rolname = session_user OR pg_catalog.pg_has_role(session_user, r.oid, 'MEMBER') \
               ORDER BY r.rolname <> session_user, NOT r.rolsuper, r.rolname !~ '^pg_', r.rolname";
    let rows = client.query(sql, &[]).await.map_err(|e| asked("asking for the rights of the role", &e))?;
    let mut membership = None;
    for row in rows {
        let (name, own): (String, bool) = (row.get(0), row.get(1));
        let owned: Option<String> = row.get(6);
        let rights = [
            (row.get(2), "is a superuser".to_owned()),
            (row.get(3), "may make roles".to_owned()),
            (row.get(4), "may replicate".to_owned()),
            (row.get(5), "bypasses row security".to_owned()),
            (owned.is_some(), format!("owns the database `{}`", owned.unwrap_or_default())),
        ];
        let right = rights.into_iter().find(|(has, _)| *has).map(|(_, text)| text);
        let text = match (own, right) {
            (true, Some(text)) => text,
            (true, None) => continue,
            (false, Some(text)) => format!("is a member of `{name}`, which {text}"),
            (false, None) if name.starts_with("pg_") && !HARMLESS.contains(&name.as_str()) => {
                format!("is a member of `{name}`")
            }
            (false, None) if HARMLESS.contains(&name.as_str()) => continue,
            // It could at least change what that role owns.
            (false, None) => {
                membership.get_or_insert(Power { text: format!("is a member of `{name}`"), superuser: false });
                continue;
            }
        };
        return Ok(Some(Power { text, superuser: own && row.get::<_, bool>(2) }));
    }
    Ok(membership)
}
