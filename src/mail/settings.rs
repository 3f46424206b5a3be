//! How to reach a mail server, and where a password may travel.

use std::net::IpAddr;
use std::sync::Arc;

use lettre::transport::smtp::client::{Certificate, CertificateStore, TlsParameters, TlsParametersBuilder};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::refusal::unreachable;
use crate::files::{self, Links};
use crate::secret::Secret;
use crate::step::{Look, StepError};
use crate::tls::{self, bare, is_here};

/// Connection to a mail server (SMTP).
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Host name or IP address of the server. Its certificate must be valid for this name.
    pub host: String,
    /// TCP port. Default: 465 with `security: tls`, 25 with `none`, otherwise 587.
    #[serde(default)]
    #[schemars(range(min = 1, max = 65535))]
    pub port: Option<u16>,
    /// User name for the login. Default: no login.
    #[serde(default)]
    pub username: Option<String>,
    /// Password of `username`.
    #[serde(default)]
    pub password: Option<Secret>,
    /// Encryption of the connection. Default: `tls` on port 465, `starttls` on every other port.
    #[serde(default)]
    pub security: Option<Security>,
    /// PEM file with the certificate authorities to trust, instead of those of the system. An empty text counts as
    /// absent.
    #[serde(default)]
    #[schemars(extend("x-runplan-path" = true))]
    pub ca_file: Option<String>,
}

/// Encryption of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Security {
    /// TLS from the start of the connection.
    Tls,
    /// STARTTLS. The step fails when the server does not offer it.
    Starttls,
    /// No encryption. A password is then sent only to this machine.
    None,
}

impl Security {
    /// The word of plans.
    pub fn word(self) -> &'static str {
        match self {
            Self::Tls => "tls",
            Self::Starttls => "starttls",
            Self::None => "none",
        }
    }
}

/// Something that does not fit together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unfit {
    /// The key at fault.
    pub key: &'static str,
    pub what: String,
    pub hint: String,
}

/// What of a server does not fit together, as far as it is known: `host` when it is, whether it is reached in clear text,
/// and whether a user and a password are given.
pub fn unfit(host: Option<&str>, clear: bool, username: bool, password: bool) -> Vec<Unfit> {
    let found = |key, what: String, hint: &str| Unfit { key, what, hint: hint.to_owned() };
    let mut all = Vec::new();
    let odd = |c: char| c.is_whitespace() || c.is_control() || matches!(c, ':' | '/' | '@' | '[' | ']');
    if let Some(host) = host
        && (host.is_empty() || host.contains(odd) && bare(host).parse::<IpAddr>().is_err())
    {
        let what = format!("`{}` is no host name and no address", host.escape_debug());
        all.push(found("host", what, "write the name alone; the port stands under `smtp.port`"));
    }
    if username != password {
        let (given, missing) = if username { ("username", "password") } else { ("password", "username") };
        let what = format!("`smtp.{given}` is given and `smtp.{missing}` is not");
        all.push(found(given, what, "give both, or neither for a server that wants no login"));
    }
    if let Some(host) = host
        && clear
        && password
        && !is_here(host)
    {
        let what = format!("the password would travel to `{host}` in clear text");
        let hint = "leave out `security: none`; clear text with a password is for this machine only";
        all.push(found("security", what, hint));
    }
    all
}

impl Settings {
    /// The protection that is written, else the one that the port stands for.
    pub fn security(&self) -> Security {
        match (self.security, self.port) {
            (Some(security), _) => security,
            (None, Some(465)) => Security::Tls,
            (None, _) => Security::Starttls,
        }
    }

    /// The port that is written, else the one of the protection (RFC 8314 for 465, RFC 6409 for 587).
    pub fn port(&self) -> u16 {
        self.port.unwrap_or(match self.security() {
            Security::Tls => 465,
            Security::Starttls => 587,
            Security::None => 25,
        })
    }

    /// Host and port, as people write them.
    pub fn place(&self) -> String {
        let colons = self.host.contains(':') && !self.host.starts_with('[');
        if colons { format!("[{}]:{}", self.host, self.port()) } else { format!("{}:{}", self.host, self.port()) }
    }

    /// The host as a resolver and a certificate know it: an IPv6 address without its brackets.
    pub(super) fn name(&self) -> &str {
        bare(&self.host)
    }

    /// Whether they fit together, and whether the file of authorities can be read. A sealed password, in a dry run, is
    /// taken for given.
    ///
    /// # Errors
    /// What does not fit, and what to write.
    pub fn check(&self, _: &Look) -> Result<(), StepError> {
        let clear = self.security() == Security::None;
        let found = unfit(Some(&self.host), clear, self.username.is_some(), self.password.is_some());
        if let Some(first) = found.into_iter().next() {
            return Err(StepError::new(first.what).hint(first.hint));
        }
        if self.password.as_ref().is_some_and(Secret::is_empty) {
            return Err(StepError::new("`smtp.password` is empty")
                .hint("look at where the secret comes from, or leave out `username` and `password`"));
        }
        // Whom the system trusts is read when it is needed: there is nothing in it that a plan could get wrong.
        if clear || self.ca_file.as_deref().is_none_or(str::is_empty) { Ok(()) } else { self.tls().map(drop) }
    }

    /// Whom to trust, and for which name.
    /// The same for a server that speaks TLS at once.
    pub(super) async fn encrypt(&self, stream: TcpStream) -> Result<TlsStream<TcpStream>, StepError> {
        let config = tls::client("smtp.ca_file", self.ca_file.as_deref().filter(|f| !f.is_empty()))?;
        let name = ServerName::try_from(self.name().to_owned())
            .map_err(|_| StepError::new(format!("`smtp.host`: `{}` is not the name of a host", self.name())))?;
        let shaken = TlsConnector::from(Arc::new(config)).connect(name, stream).await;
        shaken.map_err(|e| unreachable(self, "connecting", &e))
    }

    pub(super) fn tls(&self) -> Result<TlsParameters, StepError> {
        let mut builder = TlsParametersBuilder::new(self.name().to_owned());
        if let Some(file) = self.ca_file.as_ref().filter(|f| !f.is_empty()) {
            let hint = "`smtp.ca_file` is a PEM file with certificates of authorities";
            let wrong = |e: &dyn std::fmt::Display| StepError::new(format!("`{file}`: {e}")).hint(hint);
            let pem = files::read_regular(file.as_ref(), tls::CA_LIMIT, Links::Follow).map_err(|e| wrong(&e))?;
            let count = CertificateDer::pem_slice_iter(&pem).try_fold(0, |n, c| c.map(|_| n + 1));
            if count.map_err(|e| wrong(&e))? == 0 {
                return Err(wrong(&"there is no certificate in it"));
            }
            let authorities = Certificate::from_pem(&pem).map_err(|e| wrong(&e))?;
            builder = builder.certificate_store(CertificateStore::None).add_root_certificate(authorities);
        }
        builder.build().map_err(|e| StepError::because("TLS", &e))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(json: serde_json::Value) -> Settings {
        serde_json::from_value(json).expect("settings")
    }

    #[test]
    fn port_and_protection_follow_from_each_other() {
        for (json, port, security) in [
            (serde_json::json!({ "host": "h" }), 587, Security::Starttls),
            (serde_json::json!({ "host": "h", "port": 465 }), 465, Security::Tls),
            (serde_json::json!({ "host": "h", "port": 25 }), 25, Security::Starttls),
            (serde_json::json!({ "host": "h", "security": "tls" }), 465, Security::Tls),
            (serde_json::json!({ "host": "h", "security": "none" }), 25, Security::None),
            (serde_json::json!({ "host": "h", "port": 465, "security": "starttls" }), 465, Security::Starttls),
        ] {
            let read = settings(json.clone());
            assert_eq!((read.port(), read.security()), (port, security), "{json}");
        }
        assert_eq!(settings(serde_json::json!({ "host": "::1" })).place(), "[::1]:587");
    }

    #[test]
    fn a_password_travels_in_clear_text_to_this_machine_only() {
        for host in ["localhost", "LOCALHOST", "127.0.0.1", "127.9.9.9", "::1", "[::1]"] {
            assert_eq!(unfit(Some(host), true, true, true), [], "{host}");
        }
        for host in ["mail.example.org", "127.0.0.1.example.org", "localhost.example.org", "10.0.0.1", "0.0.0.0"] {
            let keys: Vec<&str> = unfit(Some(host), true, true, true).iter().map(|u| u.key).collect();
            assert_eq!(keys, ["security"], "{host}");
            assert_eq!(unfit(Some(host), false, true, true), [], "{host}");
        }
        assert_eq!(unfit(None, true, true, true), [], "a host that is not known yet");
    }

    #[test]
    fn a_host_is_a_name_and_a_login_is_whole() {
        for host in ["", "mail.example.org:587", "smtp://mail.example.org", "a b", "me@mail.example.org", "a\r\nb"] {
            assert_eq!(unfit(Some(host), false, false, false).len(), 1, "{host}");
        }
        assert_eq!(unfit(Some("fe80::1"), false, false, false), []);
        assert_eq!(unfit(Some("h"), false, true, false)[0].key, "username");
        assert_eq!(unfit(Some("h"), false, false, true)[0].key, "password");
    }
}
