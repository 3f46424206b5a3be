//! Whom a restore trusts: it runs code that owners of objects in the dump wrote (constraints, defaults, index expressions,
//! generated columns, casts, rules), with the rights of the role that restores.

use tokio_postgres::Client;

use crate::postgres::{self, Power, Settings, gravest_power};
use crate::step::{Area, Check, StepError, Touch};

/// What to do instead of a check as a role that may too much.
const INSTEAD: &str = "leave `into` out (or write `into: cluster`), check as an ordinary role with CREATEDB that is a member of no other role, or write \
                       `trust_source: true` if you trust everyone who may create objects in the dumped database";

/// One line about what a restore into a real database trusts.
fn describe(database: &Settings, power: Option<&Power>) -> String {
    let rights = match power {
        Some(power) if power.superuser => " (superuser)".to_owned(),
        Some(power) => format!(" (which {})", power.text),
        None => String::new(),
    };
    let user = database.user.as_deref().unwrap_or_default();
    let (host, port) = (database.host.as_deref().unwrap_or_default(), database.port.unwrap_or(5432));
    format!("restoring runs code that owners of objects in this dump wrote, as `{user}`{rights} on {host}:{port}")
}

/// Refuses a check as a role that could do harm beyond its own objects.
fn refuse(database: &Settings, power: &Power) -> StepError {
    let user = database.user.as_deref().unwrap_or_default();
    let what = format!(
        "restoring runs code that owners of objects in this dump wrote, here as `{user}`, which {}: the code could use that",
        power.text
    );
    StepError::new(what).hint(INSTEAD)
}

/// Says what a restore trusts, before it starts.
///
/// # Errors
/// The server cannot be asked.
pub async fn announce(touch: &Touch, client: &Client, database: &Settings) -> Result<(), StepError> {
    touch.log().info(describe(database, gravest_power(client).await?.as_ref()));
    Ok(())
}

/// Refuses to go on as a role that could do harm beyond its own objects.
///
/// # Errors
/// It is such a role, or the server cannot be asked.
pub async fn require_ordinary_role(client: &Client, database: &Settings) -> Result<(), StepError> {
    match gravest_power(client).await? {
        Some(power) => Err(refuse(database, &power)),
        None => Ok(()),
    }
}

/// What `doctor` says of it: `must` is whether an ordinary role is required.
pub async fn check(client: &Client, database: &Settings, must: bool) -> Check {
    match gravest_power(client).await {
        Err(error) => Check::warning(Area::Right, error.what),
        Ok(Some(power)) if must => Check::failed(Area::Right, &refuse(database, &power)),
        Ok(power) => Check::ok(Area::Right, describe(database, power.as_ref())),
    }
}

/// Checks on the server, from a session with a database that is surely there.
///
/// # Errors
/// As `require_ordinary_role`.
pub async fn require_ordinary_role_on(touch: &Touch, server: &Settings) -> Result<(), StepError> {
    let session = postgres::connect_beside(touch, server).await?;
    require_ordinary_role(&session.client, server).await
}
