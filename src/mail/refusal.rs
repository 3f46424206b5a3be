//! What went wrong with a mail server: whether trying again may help, and what to do.

use std::error::Error as _;
use std::io;

use super::{Security, Settings};
use crate::step::{Class, StepError, chain};
use crate::tls::{self, Expected};
use lettre::transport::smtp::Error;
use lettre::transport::smtp::response::Response;

/// Why a letter was not sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unsent {
    pub error: StepError,
    /// The server says that it is too large (552, RFC 1870): it may take a smaller one.
    pub too_large: bool,
}

impl Unsent {
    /// The error that a refusal of the letter itself became.
    pub(super) fn new(error: StepError, refusal: &Error) -> Self {
        Self { error, too_large: refusal.status().is_some_and(|code| u16::from(code) == 552) }
    }
}

impl From<StepError> for Unsent {
    fn from(error: StepError) -> Self {
        Self { error, too_large: false }
    }
}

/// What a server answered, in one line.
pub fn said(error: &Error) -> String {
    let text = error.source().map_or_else(String::new, ToString::to_string);
    let line = super::one_line(&text);
    match error.status() {
        Some(code) if line.is_empty() => code.to_string(),
        Some(code) => format!("{code} {line}"),
        None if line.is_empty() => error.to_string(),
        None => super::one_line(&chain(error)),
    }
}

/// An error of the protocol or of the connection, while `doing` something with the server. `hint` is for an answer of the
/// server; what ails the connection has hints of its own.
pub fn refusal(settings: &Settings, doing: &str, error: &Error, hint: &str) -> StepError {
    let what = |text: &str| StepError::new(format!("mail server {}: {doing}: {text}", settings.place()));
    if error.status().is_some() {
        let class = if error.is_transient() { Class::Transient } else { Class::Permanent };
        return what(&said(error)).class(class).hint(hint);
    }
    if let Some(tls) = tls_error(error) {
        return certificate(settings, tls, &what);
    }
    if error.is_client() {
        return what(&said(error)).hint(hint);
    }
    what(&said(error)).class(Class::Transient).hint(NETWORK)
}

const NETWORK: &str =
    "is the server running, and are `smtp.host` and `smtp.port` right? a network that comes back helps a `retry`";

/// An error of the connection, or of TLS on it, before the server was asked anything.
pub fn unreachable(settings: &Settings, doing: &str, error: &io::Error) -> StepError {
    let what = |text: &str| StepError::new(format!("mail server {}: {doing}: {text}", settings.place()));
    match error.get_ref().and_then(|e| e.downcast_ref::<rustls::Error>()) {
        Some(tls) => certificate(settings, tls, &what),
        None => what(&chain(error)).class(Class::Transient).hint(NETWORK),
    }
}

/// An answer to another question than the one that was asked.
pub fn unexpected(settings: &Settings, doing: &str, reply: &Response, expected: u16) -> StepError {
    let said = super::one_line(&format!("{} {}", reply.code(), reply.message().collect::<Vec<_>>().join(" ")));
    let what = format!("mail server {}: {doing}: expected the answer {expected}, found `{said}`", settings.place());
    StepError::new(what).hint("something between this machine and the server, or the server itself, mixes up answers")
}

/// No answer in time.
pub fn silence(settings: &Settings, doing: &str, seconds: u64) -> StepError {
    let hint = match settings.security() {
        Security::Starttls => "is the port one for STARTTLS? a server that speaks TLS at once wants `security: tls`",
        _ => "is the server running, and are `smtp.host` and `smtp.port` right?",
    };
    let what = format!("mail server {}: {doing}: no answer in {seconds} s", settings.place());
    StepError::transient(what).hint(hint)
}

/// The error of TLS behind an error of the connection, if there is one.
fn tls_error(error: &Error) -> Option<&rustls::Error> {
    let mut next = error.source();
    while let Some(cause) = next {
        if let Some(found) = cause.downcast_ref::<rustls::Error>() {
            return Some(found);
        }
        let inner = cause.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        if let Some(found) = inner.and_then(|e| e.downcast_ref::<rustls::Error>()) {
            return Some(found);
        }
        next = cause.source();
    }
    None
}

fn certificate(settings: &Settings, error: &rustls::Error, what: &dyn Fn(&str) -> StepError) -> StepError {
    let rustls::Error::InvalidCertificate(cause) = error else {
        let hint = "is the port one for TLS? a server that begins in clear text wants `security: starttls`";
        return what(&format!("TLS: {error}")).hint(hint);
    };
    let expected = Expected {
        ca_key: "smtp.ca_file",
        ca_file: settings.ca_file.as_deref(),
        host_key: "smtp.host",
        host: &settings.host,
    };
    let (text, hint) = tls::refused(cause, expected);
    what(&text).hint(hint)
}
