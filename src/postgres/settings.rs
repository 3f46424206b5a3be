//! How to reach a server: what the plan says, then `PGHOST` and its like, then libpq's defaults.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::quantity::Span;
use crate::secret::Secret;

/// How to reach a database. What is absent comes from `PGHOST` and its like, then from libpq's defaults.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("x-runplan-database" = true))]
pub struct Settings {
    /// Host name, address, or the folder of a Unix socket.
    #[serde(default)]
    pub host: Option<String>,
    /// TCP port.
    #[serde(default)]
    #[schemars(range(min = 1, max = 65535))]
    pub port: Option<u16>,
    /// Role to log in as.
    #[serde(default)]
    pub user: Option<String>,
    /// Password of the role; otherwise `PGPASSWORD`, then `~/.pgpass`.
    #[serde(default)]
    pub password: Option<Secret>,
    /// Database name.
    #[serde(default)]
    pub dbname: Option<String>,
    /// How TLS is used.
    #[serde(default)]
    pub sslmode: Option<SslMode>,
    /// File with the certificate authorities to trust, PEM.
    #[serde(default)]
    pub sslrootcert: Option<String>,
    /// How long to wait for a connection.
    #[serde(default)]
    pub connect_timeout: Option<Span>,
}

/// How TLS is used, by libpq's names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum SslMode {
    /// Never.
    Disable,
    /// When the server offers it, without checking whose certificate it is.
    #[default]
    Prefer,
    /// Always, without checking whose certificate it is.
    Require,
    /// Always, with a certificate signed by an authority that is trusted.
    VerifyCa,
    /// Always, with such a certificate made out for this host name.
    VerifyFull,
}
