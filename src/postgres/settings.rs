//! How to reach a server: what the plan says, then `PGHOST` and its like, then libpq's defaults.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::quantity::Span;
use crate::secret::Secret;
use crate::step::Env;

/// Connection to a database. A setting that is absent comes from its environment variable (`PGHOST`, `PGPORT` …), then
/// from the defaults of libpq.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("x-runplan-database" = true))]
pub struct Settings {
    /// Host name, IP address, or folder of a Unix socket. Default: `PGHOST`, then the server on this machine.
    #[serde(default)]
    pub host: Option<String>,
    /// Port. Default: `PGPORT`, then 5432.
    #[serde(default)]
    #[schemars(range(min = 1, max = 65535))]
    pub port: Option<u16>,
    /// Role for the login. Default: `PGUSER`, then the name of the user who runs the plan.
    #[serde(default)]
    pub user: Option<String>,
    /// Password of the role. Default: `PGPASSWORD`, then the password file (`~/.pgpass`).
    #[serde(default)]
    pub password: Option<Secret>,
    /// Name of the database. Default: `PGDATABASE`.
    #[serde(default)]
    pub dbname: Option<String>,
    /// Use of TLS. Default: `PGSSLMODE`, then `prefer`.
    #[serde(default)]
    pub sslmode: Option<SslMode>,
    /// PEM file with the certificate authorities to trust. Default: `PGSSLROOTCERT`, then `~/.postgresql/root.crt` if
    /// it exists.
    #[serde(default)]
    #[schemars(extend("x-runplan-path" = true))]
    pub sslrootcert: Option<String>,
    /// Maximum time to wait for a connection, like `10s`. Default: `PGCONNECT_TIMEOUT`, then 15 s for runplan's own
    /// connections.
    #[serde(default)]
    pub connect_timeout: Option<Span>,
    /// The user id that the server behind a Unix socket must have; none: any.
    #[serde(skip)]
    pub peer: Option<u32>,
}

/// Use of TLS, with the names of libpq.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum SslMode {
    /// Never use TLS.
    Disable,
    /// Use TLS if the server offers it. The certificate is not checked.
    #[default]
    Prefer,
    /// Require TLS. The certificate is not checked.
    Require,
    /// Require TLS and a certificate from a trusted authority.
    VerifyCa,
    /// Require TLS and a certificate from a trusted authority that is valid for the host name.
    VerifyFull,
}

/// Why settings cannot be completed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unusable(String);

impl Settings {
    /// Whether the server is on this machine, as far as its name says: a socket, `localhost`, a loopback address.
    pub fn is_here(&self) -> bool {
        self.host.as_deref().is_none_or(|host| {
            let loopback = host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback());
            loopback || host.starts_with('/') || host.eq_ignore_ascii_case("localhost")
        })
    }

    /// Whether these settings, which are resolved, lead to the server that the user's own environment names: the same port
    /// of the same host, where `localhost` and loopback addresses are one host.
    pub fn is_users_own(&self, env: &Env) -> bool {
        let Ok(own) = Self::default().resolve(env) else { return false };
        let loopback = |s: &Self| s.is_here() && !s.host.as_deref().is_some_and(|h| h.starts_with('/'));
        self.port == own.port && (self.host == own.host || loopback(self) && own.is_here())
    }

    /// What is absent comes from `PGHOST` and its like, then from libpq's defaults (PostgreSQL manual, "Environment
    /// Variables" and "Parameter Key Words").
    ///
    /// # Errors
    /// A variable whose value does not fit, or one that we do not read while `pg_dump` would.
    pub fn resolve(&self, env: &Env) -> Result<Self, Unusable> {
        let set = |name: &str| env.get(name).filter(|v| !v.is_empty()).cloned();
        if env.contains_key("PGSERVICE") {
            return Err(Unusable(
                "`PGSERVICE` is set, and service files are not read: unset it and write the settings under `database`"
                    .to_owned(),
            ));
        }
        let number = |name: &str| -> Result<Option<u16>, Unusable> {
            let wrong = |v: &str| Unusable(format!("`{name}` is `{v}`, expected a number"));
            set(name).map(|v| v.parse().map_err(|_| wrong(&v))).transpose()
        };
        let sslmode = match (self.sslmode, set("PGSSLMODE")) {
            (Some(mode), _) => mode,
            (None, None) => SslMode::default(),
            (None, Some(text)) => serde_json::from_value(text.clone().into()).map_err(|_| {
                Unusable(format!(
                    "`PGSSLMODE` is `{text}`, expected disable, prefer, require, verify-ca or verify-full"
                ))
            })?,
        };
        let user = self
            .user
            .clone()
            .or_else(|| set("PGUSER"))
            .or_else(|| set("USER"))
            .or_else(|| set("LOGNAME"))
            .unwrap_or_else(|| "postgres".to_owned());
        let timeout = match self.connect_timeout {
            Some(limit) => Some(limit),
            None => {
                number("PGCONNECT_TIMEOUT")?.filter(|s| *s > 0).map(|s| Span(std::time::Duration::from_secs(s.into())))
            }
        };
        Ok(Self {
            host: self.host.clone().or_else(|| set("PGHOST")).or_else(|| Some(default_host())),
            port: match self.port {
                Some(port) => Some(port),
                None => Some(number("PGPORT")?.unwrap_or(5432)),
            },
            dbname: self.dbname.clone().or_else(|| set("PGDATABASE")).or_else(|| Some(user.clone())),
            user: Some(user),
            password: self.password.clone().or_else(|| set("PGPASSWORD").map(Secret::new)),
            sslmode: Some(sslmode),
            sslrootcert: self.sslrootcert.clone().or_else(|| set("PGSSLROOTCERT")).or_else(|| usual_roots(env)),
            connect_timeout: timeout,
            peer: self.peer,
        })
    }
}

/// libpq's own place for certificate authorities: `~/.postgresql/root.crt` (PostgreSQL manual, "Client Verification of
/// Server Certificates").
fn usual_roots(env: &Env) -> Option<String> {
    let file = match cfg!(windows) {
        true => std::path::Path::new(env.get("APPDATA")?).join("postgresql").join("root.crt"),
        false => std::path::Path::new(env.get("HOME")?).join(".postgresql/root.crt"),
    };
    file.is_file().then(|| file.to_string_lossy().into_owned())
}

/// The folder of the server's Unix socket where there is one, as the distributions build libpq, else this machine.
fn default_host() -> String {
    let sockets = ["/var/run/postgresql", "/tmp"];
    let found = sockets.into_iter().find(|d| cfg!(unix) && std::path::Path::new(d).join(".s.PGSQL.5432").exists());
    found.unwrap_or("localhost").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_the_users_own_when_his_environment_leads_there() {
        let env: Env = [("PGHOST", "db.example.org"), ("PGPORT", "6543")].map(|(k, v)| (k.into(), v.into())).into();
        let local: Env = [("PGHOST", "/run/pg")].map(|(k, v)| (k.into(), v.into())).into();
        let at = |host: Option<&str>, port: Option<u16>, env: &Env| {
            let settings = Settings { host: host.map(str::to_owned), port, ..Settings::default() };
            settings.resolve(env).expect("they are whole").is_users_own(env)
        };
        assert!(
            at(None, None, &env) && at(Some("db.example.org"), Some(6543), &env) && at(Some("localhost"), None, &local)
        );
        assert!(!at(Some("evil.example.org"), None, &env) && !at(None, Some(5432), &env));
        assert!(!at(Some("/tmp/evil"), None, &local) && !at(Some("localhost"), Some(6543), &local));
        assert!(!at(Some("localhost"), None, &env));
    }
}
