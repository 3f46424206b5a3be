//! Whom to trust: certificate authorities, what is wrong with a certificate, and which names stay on this machine.

use std::net::IpAddr;
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{CertificateError, ClientConfig, RootCertStore};

use crate::files::{self, Links};
use crate::step::StepError;

/// The largest file of certificates that is read, in bytes: the bundle of a distribution has a quarter of one MiB.
pub const CA_LIMIT: u64 = 8 << 20;

/// Whether a name leads to this machine whoever answers for names: `localhost`, 127.0.0.0/8, `::1`.
pub fn is_here(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost") || bare(host).parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// An IPv6 address without its brackets; any other host as it stands.
pub fn bare(host: &str) -> &str {
    host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(host)
}

/// The authorities in a PEM file, else those that the system trusts. `key` is the parameter that names the file.
///
/// # Errors
/// The file cannot be read, or has no certificate in it.
pub fn authorities(key: &str, file: Option<&str>) -> Result<RootCertStore, StepError> {
    let mut store = RootCertStore::empty();
    let Some(file) = file.filter(|f| !f.is_empty()) else {
        store.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        return Ok(store);
    };
    let hint = format!("`{key}` is a PEM file with certificates of authorities");
    let wrong = |e: &dyn std::fmt::Display| StepError::new(format!("`{file}`: {e}")).hint(&hint);
    let pem = files::read_regular(file.as_ref(), CA_LIMIT, Links::Follow).map_err(|e| wrong(&e))?;
    for certificate in CertificateDer::pem_slice_iter(&pem) {
        store.add(certificate.map_err(|e| wrong(&e))?).map_err(|e| wrong(&e))?;
    }
    if store.is_empty() { Err(wrong(&"there is no certificate in it")) } else { Ok(store) }
}

/// A client that checks the certificate and its name.
///
/// # Errors
/// As [`authorities`].
pub fn client(key: &str, file: Option<&str>) -> Result<ClientConfig, StepError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let builder = builder.map_err(|e| StepError::because("TLS", &e))?;
    Ok(builder.with_root_certificates(authorities(key, file)?).with_no_client_auth())
}

/// A server whose certificate was looked at: the keys that say of a plan whom to trust and whom to expect, and their
/// values.
#[derive(Debug, Clone, Copy)]
pub struct Expected<'a> {
    pub ca_key: &'a str,
    pub ca_file: Option<&'a str>,
    pub host_key: &'a str,
    pub host: &'a str,
}

/// What is wrong with a certificate, and what to do.
pub fn refused(cause: &CertificateError, expected: Expected<'_>) -> (String, String) {
    let Expected { ca_key, host_key, .. } = expected;
    let (what, hint) = match cause {
        CertificateError::UnknownIssuer | CertificateError::BadSignature => {
            return match expected.ca_file.filter(|f| !f.is_empty()) {
                None => (
                    "its certificate is of an authority that is not trusted here".to_owned(),
                    format!("name the authority's certificate, a PEM file, under `{ca_key}`"),
                ),
                Some(file) => (
                    format!("its certificate is of no authority in `{file}`"),
                    format!("name the certificate of the authority that signed the server's under `{ca_key}`"),
                ),
            };
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            return (
                format!("its certificate is made out for another name than `{}`", expected.host),
                format!("write the name that the certificate is made out for under `{host_key}`"),
            );
        }
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            ("its certificate has expired", "renew it, or look at this machine's clock")
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            ("its certificate is not valid yet", "look at this machine's clock")
        }
        other => {
            return (format!("its certificate is refused: {other}"), "look at the server's certificate".to_owned());
        }
    };
    (what.to_owned(), hint.to_owned())
}
