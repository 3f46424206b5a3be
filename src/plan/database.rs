//! The plan's database settings as they are once the environment has filled them.

use std::path::Path;

use serde::Deserialize;

use super::paths::absolute;
use crate::postgres::{self, Settings};
use crate::secret::Secret;
use crate::step::Env;
use crate::value::{Map, Value};

/// The rendered `database:` block with everything filled in that `PGHOST` and its like and libpq's defaults give, as
/// templates read it and steps take it. A relative path in it belongs to `dir`, the folder of the plan.
///
/// # Errors
/// A value that does not fit, from the block or from the environment.
pub fn resolve_database(block: Value, env: &Env, dir: &Path) -> Result<Value, String> {
    let mut settings = Settings::deserialize(block).map_err(|e| e.to_string())?;
    let roots = settings.sslrootcert.take().map(|file| absolute(dir, &file)).transpose();
    settings.sslrootcert = roots.map_err(|problem| format!("`sslrootcert`: {problem}"))?;
    let settings = settings.resolve(env).map_err(|e| e.to_string())?;
    let mut map = Map::new();
    let mut put = |name: &str, value: Option<Value>| map.extend(value.map(|v| (name.to_owned(), v)));
    put("host", settings.host.map(Value::Text));
    put("port", settings.port.map(|p| Value::Int(p.into())));
    put("user", settings.user.map(Value::Text));
    put("password", settings.password.map(Value::Secret));
    put("dbname", settings.dbname.map(Value::Text));
    let sslmode = settings.sslmode.and_then(|m| serde_json::to_value(m).ok());
    put("sslmode", sslmode.as_ref().map(Value::from));
    put("sslrootcert", settings.sslrootcert.map(Value::Text));
    put("connect_timeout", settings.connect_timeout.map(|t| Value::Text(t.to_string())));
    Ok(Value::Map(map))
}

/// Whether database settings with everything filled in lead to the server that the user's own environment names.
pub fn is_users_own_server(settings: &Value, env: &Env) -> bool {
    Settings::deserialize(settings.clone()).is_ok_and(|settings| settings.is_users_own(env))
}

/// The passwords that a session may use without the plan naming them, for the redactor: `PGPASSWORD` and those of the
/// password file.
pub fn passwords_around(env: &Env) -> Vec<Secret> {
    let set = env.get("PGPASSWORD").filter(|p| !p.is_empty()).map(|p| Secret::new(p.clone()));
    set.into_iter().chain(postgres::passwords(env)).collect()
}
