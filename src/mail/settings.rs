//! How to reach a mail server, and where a password may travel.

use std::net::IpAddr;

use lettre::transport::smtp::client::{Certificate, CertificateStore, TlsParameters, TlsParametersBuilder};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::secret::Secret;
use crate::step::{Look, StepError};

/// How to reach a mail server, by SMTP.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Host name or address of the server. Its certificate must be made out for this name.
    pub host: String,
    /// TCP port. When it is left out: 465 for `tls`, 25 for `none`, otherwise 587.
    #[serde(default)]
    #[schemars(range(min = 1, max = 65535))]
    pub port: Option<u16>,
    /// The user to log in as; without it nobody logs in.
    #[serde(default)]
    pub username: Option<String>,
    /// The password of `username`.
    #[serde(default)]
    pub password: Option<Secret>,
    /// How the connection is protected. When it is left out: `tls` at port 465, at every other one `starttls`.
    #[serde(default)]
    pub security: Option<Security>,
    /// A file with the certificate authorities to trust, PEM, in place of the system's.
    #[serde(default)]
    pub ca_file: Option<String>,
}

/// How a connection is protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Security {
    /// TLS from the first byte.
    Tls,
    /// TLS before anything is said; a server that does not offer it is refused.
    Starttls,
    /// Clear text; with a password only to this machine.
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

/// Whether a name leads to this machine whoever answers for names: `localhost`, 127.0.0.0/8, `::1`.
fn is_here(host: &str) -> bool {
    let bare = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(host);
    host.eq_ignore_ascii_case("localhost") || bare.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// Why a password may not travel in clear text to `host`; none when it may.
pub fn clear_password(host: &str) -> Option<(String, String)> {
    (!is_here(host)).then(|| {
        (
            format!("the password would travel to `{host}` in clear text"),
            "leave out `security: none`; clear text with a password is for this machine only".to_owned(),
        )
    })
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
        self.host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(&self.host)
    }

    /// Whether they fit together, and whether the file of authorities can be read. A sealed password, in a dry run, is
    /// taken for given.
    ///
    /// # Errors
    /// What does not fit, and what to write.
    pub fn check(&self, _: &Look) -> Result<(), StepError> {
        let odd = |c: char| c.is_whitespace() || c.is_control();
        if self.host.is_empty() || self.host.contains(odd) {
            return Err(StepError::new(format!("`{}` is no name of a mail server", self.host.escape_debug()))
                .hint("write a host name or an address under `smtp.host`"));
        }
        match (&self.username, &self.password) {
            (Some(_), None) => {
                return Err(StepError::new("`smtp.username` is given and `smtp.password` is not")
                    .hint("give both, or neither for a server that wants no login"));
            }
            (None, Some(_)) => {
                return Err(StepError::new("`smtp.password` is given and `smtp.username` is not")
                    .hint("give both, or neither for a server that wants no login"));
            }
            (Some(_), Some(password)) if password.is_empty() => {
                return Err(StepError::new("`smtp.password` is empty")
                    .hint("look at where the secret comes from, or leave out `username` and `password`"));
            }
            _ => {}
        }
        if self.password.is_some()
            && self.security() == Security::None
            && let Some((what, hint)) = clear_password(&self.host)
        {
            return Err(StepError::new(what).hint(hint));
        }
        if self.security() != Security::None { self.tls().map(drop) } else { Ok(()) }
    }

    /// Whom to trust, and for which name.
    pub(super) fn tls(&self) -> Result<TlsParameters, StepError> {
        let mut builder = TlsParametersBuilder::new(self.name().to_owned());
        if let Some(file) = &self.ca_file {
            let hint = "`smtp.ca_file` is a PEM file with certificates of authorities";
            let wrong = |e: &dyn std::fmt::Display| StepError::new(format!("`{file}`: {e}")).hint(hint);
            let pem = std::fs::read(file).map_err(|e| wrong(&e))?;
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
            assert_eq!(clear_password(host), None, "{host}");
        }
        for host in ["mail.example.org", "127.0.0.1.example.org", "localhost.example.org", "10.0.0.1", "0.0.0.0", ""] {
            assert!(clear_password(host).is_some(), "{host}");
        }
    }
}
