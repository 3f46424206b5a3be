//! The way to a server: its name, a connection, through a proxy where there is one, and TLS.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use url::Url;

use super::proxy::Proxy;
use super::{Place, Way};
use crate::step::{StepError, chain};
use crate::tls::{self, Expected};

/// A connection, encrypted or not.
pub trait Line: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Line for T {}

const NETWORK: &str = "is the server running, and is `url` right? a network that comes back helps a `retry`";

/// Whether a file names authorities to trust.
///
/// # Errors
/// It cannot be read, or has no certificate in it.
pub fn trusted(ca_file: &str) -> Result<(), StepError> {
    tls::authorities("ca_file", Some(ca_file)).map(drop)
}

/// Reaches the server of an address within the time that a connection may take.
///
/// # Errors
/// It cannot be reached, or not be trusted.
pub async fn reach(url: &Url, place: &Place, way: &Way) -> Result<Box<dyn Line>, StepError> {
    let limit = way.connect_timeout;
    let silent = || {
        let what = format!("{place}: no connection within {} s", limit.as_secs_f64());
        StepError::transient(what).hint(NETWORK)
    };
    tokio::time::timeout(limit, open(url, place, way)).await.unwrap_or_else(|_| Err(silent()))
}

async fn open(url: &Url, place: &Place, way: &Way) -> Result<Box<dyn Line>, StepError> {
    let host = tls::bare(url.host_str().unwrap_or_default());
    let port = url.port_or_known_default().unwrap_or(443);
    let encrypted = url.scheme() == "https";
    let line = match way.proxies.of(url)? {
        None => tcp(host, port, &place.to_string(), way.connect_timeout).await?,
        Some(proxy) => {
            let through = format!("{place}: through the proxy {}", proxy.place());
            let mut line = tcp(&proxy.host, proxy.port, &through, way.connect_timeout).await?;
            if encrypted {
                tunnel(&mut line, &proxy, url, &through).await?;
            }
            line
        }
    };
    if !encrypted {
        return Ok(Box::new(line));
    }
    let config = tls::client("ca_file", way.ca_file.as_deref())?;
    let name = ServerName::try_from(host.to_owned())
        .map_err(|_| StepError::new(format!("{place}: its host is no name that a certificate is made out for")))?;
    let shaken = TlsConnector::from(Arc::new(config)).connect(name, line).await;
    shaken.map(|line| Box::new(line) as Box<dyn Line>).map_err(|e| distrust(&e, host, place, way))
}

/// A connection to the first of the addresses of a host that takes one.
async fn tcp(host: &str, port: u16, place: &str, limit: Duration) -> Result<TcpStream, StepError> {
    let failed = |doing: &str, error: &std::io::Error| {
        StepError::transient(format!("{place}: {doing}: {}", chain(error))).hint(NETWORK)
    };
    let started = Instant::now();
    let found = tokio::net::lookup_host((host, port)).await.map_err(|e| failed("looking up its host", &e))?;
    let addresses: Vec<_> = found.collect();
    let mut last = std::io::Error::other("its host has no address");
    for (at, address) in addresses.iter().enumerate() {
        // One that does not answer leaves time for the next.
        let left = u32::try_from(addresses.len() - at).unwrap_or(1);
        let share = limit.saturating_sub(started.elapsed()) / left;
        match tokio::time::timeout(share, TcpStream::connect(address)).await {
            Ok(Ok(line)) => {
                // A small request goes at once; that it cannot be told so costs a moment.
                let _ = line.set_nodelay(true);
                return Ok(line);
            }
            Ok(Err(error)) => last = error,
            Err(_) => last = std::io::ErrorKind::TimedOut.into(),
        }
    }
    Err(failed("connecting", &last))
}

/// The most that a proxy may say before the tunnel stands, in bytes.
const GREETING: usize = 16 << 10;

/// Has a proxy open a way to the server (RFC 9110, section 9.3.6).
async fn tunnel(line: &mut TcpStream, proxy: &Proxy, url: &Url, through: &str) -> Result<(), StepError> {
    let broken = |error: &std::io::Error| StepError::transient(format!("{through}: {}", chain(error))).hint(NETWORK);
    let host = url.host_str().unwrap_or_default();
    let target = format!("{host}:{}", url.port_or_known_default().unwrap_or(443));
    let login = proxy.login.as_ref().map(|l| format!("Proxy-Authorization: {l}\r\n")).unwrap_or_default();
    let asked =
        format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\nUser-Agent: {}\r\n{login}\r\n", super::ask::AGENT);
    line.write_all(asked.as_bytes()).await.map_err(|e| broken(&e))?;
    let mut head = Vec::new();
    // One byte at a time: what follows belongs to TLS.
    while !head.ends_with(b"\r\n\r\n") {
        if head.len() >= GREETING {
            return Err(StepError::new(format!("{through}: its answer has no end")).hint("is it a proxy for HTTP?"));
        }
        let byte = line.read_u8().await.map_err(|e| broken(&e))?;
        head.push(byte);
    }
    let text = String::from_utf8_lossy(&head);
    let first = text.lines().next().unwrap_or_default();
    let status: Option<u16> = first.strip_prefix("HTTP/1.").and_then(|r| r.get(2..5)).and_then(|s| s.parse().ok());
    match status {
        Some(200..300) => Ok(()),
        Some(407) => Err(StepError::new(format!("{through}: it wants a login"))
            .hint("write it as `http://user:password@host:port`, as a secret under `proxy` or in the environment")),
        Some(status @ 500..600) => Err(StepError::transient(format!("{through}: it answered {status}"))
            .hint("the proxy does not reach the server: look at its log")),
        Some(status) => Err(StepError::new(format!("{through}: it answered {status}"))
            .hint("does the proxy let this machine through to that host?")),
        None => Err(StepError::new(format!("{through}: its answer is no HTTP")).hint("is it a proxy for HTTP?")),
    }
}

/// What came of a handshake that failed.
fn distrust(error: &std::io::Error, host: &str, place: &Place, way: &Way) -> StepError {
    let inner = error.get_ref().and_then(|e| e.downcast_ref::<rustls::Error>());
    match inner {
        Some(rustls::Error::InvalidCertificate(cause)) => {
            let host = if place.names_host() { host } else { crate::secret::MASK };
            let ca_file = way.ca_file.as_deref();
            let (what, hint) = tls::refused(cause, Expected { ca_key: "ca_file", ca_file, host_key: "url", host });
            StepError::new(format!("{place}: {what}")).hint(hint)
        }
        Some(other) => StepError::new(format!("{place}: TLS: {other}")).hint("is the port one for TLS?"),
        None => StepError::transient(format!("{place}: TLS: {}", chain(error))).hint(NETWORK),
    }
}
