//! The way to a server, and a look at how it asks for a password before it is answered, and at how much it sends.
//!
//! `tokio-postgres` answers every request for a password, also one for the password as it is, and waits for all of a
//! message of any length. So the stream between it and the server is read along, and ends with an error where a request
//! must not be answered or a message is longer than it can be.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpSocket, TcpStream};
use tokio_postgres::tls::{ChannelBinding, MakeTlsConnect, TlsConnect, TlsStream};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::messages::{Limits, Messages, Seen, error_message};

/// A connection to a server.
pub enum Socket {
    Tcp(TcpStream),
    #[cfg(unix)]
    Unix(tokio::net::UnixStream),
}

/// Hands a call on to whichever of the two it is.
macro_rules! hand_on {
    ($socket:expr, $stream:ident => $call:expr) => {
        match $socket.get_mut() {
            Socket::Tcp($stream) => $call,
            #[cfg(unix)]
            Socket::Unix($stream) => $call,
        }
    };
}

impl AsyncRead for Socket {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        hand_on!(self, s => Pin::new(s).poll_read(cx, buf))
    }
}

impl AsyncWrite for Socket {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        hand_on!(self, s => Pin::new(s).poll_write(cx, buf))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        hand_on!(self, s => Pin::new(s).poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        hand_on!(self, s => Pin::new(s).poll_shutdown(cx))
    }
}

/// Where a server listens, once it was found.
#[derive(Debug, Clone)]
pub enum Address {
    Tcp(SocketAddr),
    #[cfg(unix)]
    Unix(std::path::PathBuf),
}

impl Address {
    /// Whether it is on this machine.
    pub fn is_local(&self) -> bool {
        match self {
            Self::Tcp(address) => address.ip().to_canonical().is_loopback(),
            #[cfg(unix)]
            Self::Unix(_) => true,
        }
    }

    /// Whether it is a Unix socket, which has no TLS.
    pub fn is_socket(&self) -> bool {
        !matches!(self, Self::Tcp(_))
    }

    /// The addresses of a host, or the socket in a folder.
    ///
    /// # Errors
    /// The name is not known.
    pub async fn of(host: &str, port: u16) -> io::Result<Vec<Self>> {
        #[cfg(unix)]
        if host.starts_with('/') {
            return Ok(vec![Self::Unix(std::path::Path::new(host).join(format!(".s.PGSQL.{port}")))]);
        }
        let found: Vec<Self> = tokio::net::lookup_host((host, port)).await?.map(Self::Tcp).collect();
        if found.is_empty() {
            return Err(io::Error::new(io::ErrorKind::NotFound, "the host has no address"));
        }
        Ok(found)
    }

    /// Connects. `peer` is the user id that the server behind a Unix socket must have.
    ///
    /// # Errors
    /// Nobody listens there, or somebody else does.
    pub async fn dial(&self, peer: Option<u32>) -> io::Result<Socket> {
        #[cfg(not(unix))]
        let _ = peer;
        match self {
            Self::Tcp(address) => {
                let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
                // A server that is gone without a word is noticed.
                socket.set_keepalive(true)?;
                socket.set_nodelay(true)?;
                Ok(Socket::Tcp(socket.connect(*address).await?))
            }
            #[cfg(unix)]
            Self::Unix(path) => {
                let stream = tokio::net::UnixStream::connect(path).await?;
                if let Some(wanted) = peer {
                    let found = stream.peer_cred()?.uid();
                    if found != wanted {
                        let why = format!("user id {found} listens on the socket there, and user id {wanted} should");
                        return Err(io::Error::new(io::ErrorKind::PermissionDenied, Refused(why)));
                    }
                }
                Ok(Socket::Unix(stream))
            }
        }
    }
}

/// How a server may ask who we are, as a server's `AuthenticationRequest` numbers it (PostgreSQL manual, "Message
/// Formats").
const OK: i32 = 0;
const CLEAR_TEXT: i32 = 3;

/// What must not be answered: a password as it is, and what `PGREQUIREAUTH` excludes (PostgreSQL manual, "Database
/// Connection Control Functions", `require_auth`).
#[derive(Debug, Clone, Default)]
pub struct Rule {
    /// Refuse to send a password as it is.
    pub no_clear_text: bool,
    /// `PGREQUIREAUTH`, if it is set.
    pub required: Option<String>,
}

impl Rule {
    /// Why a request must not be answered; `None` when it may be. `asked` says whether the server asked for anything before
    /// it was content.
    fn refusal(&self, code: i32, asked: bool) -> Option<String> {
        let name = match code {
            OK if asked => return None,
            OK => "none",
            CLEAR_TEXT => "password",
            5 => "md5",
            7 | 8 => "gss",
            9 => "sspi",
            10 => "scram-sha-256",
            // The rest of an exchange that was allowed to begin.
            11 | 12 => return None,
            _ => "other",
        };
        if code == CLEAR_TEXT && self.no_clear_text {
            return Some(
                "the server asks for the password in clear text, and the connection is not encrypted".to_owned(),
            );
        }
        let required = self.required.as_deref().filter(|r| !r.trim().is_empty())?;
        let mut words = required.split(',').map(str::trim);
        let allowed = match required.trim_start().starts_with('!') {
            true => !words.any(|w| w.strip_prefix('!') == Some(name)),
            false => words.any(|w| w == name),
        };
        (!allowed)
            .then(|| format!("the server asks for the authentication `{name}`, and `PGREQUIREAUTH` is `{required}`"))
    }
}

/// What the server last asked for, −1 for nothing so far.
#[derive(Debug, Clone)]
pub struct Asked(Arc<AtomicI32>);

impl Asked {
    pub fn nothing() -> Self {
        Self(Arc::new(AtomicI32::new(-1)))
    }

    /// Whether the server asked for a password in any form.
    pub fn for_password(&self) -> bool {
        matches!(self.0.load(Ordering::Relaxed), CLEAR_TEXT | 5 | 10)
    }
}

/// A stream from a server, read along.
pub struct Watched<S> {
    inner: S,
    messages: Messages,
    rule: Rule,
    asked: Asked,
    /// The beginning of a head that is not complete: it is handed on with the rest, or not at all.
    held: Vec<u8>,
    /// What is handed on in place of everything that follows.
    last_words: Option<Vec<u8>>,
}

/// Why the stream was ended by us.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Refused(pub String);

impl<S> Watched<S> {
    /// A stream that begins with the server's answer to the question for TLS, or at once with its messages.
    pub fn new(inner: S, rule: Rule, asked: Asked, limits: Limits, negotiates: bool) -> Self {
        let messages = Messages::new(limits, negotiates);
        Self { inner, messages, rule, asked, held: Vec::new(), last_words: None }
    }

    /// Reads along. Where a message is too long, gives where its head ends, and why.
    fn see(&mut self, bytes: &[u8]) -> Result<Option<(usize, String)>, Refused> {
        let mut at = 0;
        loop {
            let (read, seen) = self.messages.read(&bytes[at..]);
            at += read;
            match seen {
                None => return Ok(None),
                Some(Seen::TooLong(why)) => return Ok(Some((at, why))),
                Some(Seen::Request(code)) => self.request(code)?,
            }
        }
    }

    fn request(&mut self, code: i32) -> Result<(), Refused> {
        let before = self.asked.0.load(Ordering::Relaxed);
        if let Some(why) = self.rule.refusal(code, before >= 0) {
            return Err(Refused(why));
        }
        match code {
            OK => self.messages.let_in(),
            11 | 12 => {}
            _ => self.asked.0.store(code, Ordering::Relaxed),
        }
        Ok(())
    }

    /// Hands on what comes in place of everything that follows.
    fn say_last(&mut self, buf: &mut ReadBuf<'_>) {
        if let Some(words) = &mut self.last_words {
            let count = words.len().min(buf.remaining());
            buf.put_slice(&words[..count]);
            words.drain(..count);
        }
    }

    /// Judges what was read: `new` is where in the buffer it begins. Only whole heads are handed on, so that an error can
    /// take the place of one.
    fn judge(&mut self, buf: &mut ReadBuf<'_>, before: usize, new: usize) -> Result<(), Refused> {
        match self.see(&buf.filled()[new..])? {
            None => {
                let end = buf.filled().len();
                let keep = end.saturating_sub(self.messages.begun()).max(before);
                self.held.extend_from_slice(&buf.filled()[keep..]);
                buf.set_filled(keep);
            }
            Some((read, why)) => {
                let head = (new + read).checked_sub(self.messages.whole()).ok_or_else(|| Refused(why.clone()))?;
                if head < before {
                    return Err(Refused(why));
                }
                buf.set_filled(head);
                self.last_words = Some(error_message(&why));
                self.say_last(buf);
            }
        }
        Ok(())
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.last_words.is_some() {
            this.say_last(buf);
            return Poll::Ready(Ok(()));
        }
        if this.messages.is_over() {
            return Pin::new(&mut this.inner).poll_read(cx, buf);
        }
        let before = buf.filled().len();
        loop {
            if !this.held.is_empty() && buf.remaining() <= this.held.len() {
                // No room for more: the head goes on in pieces, and no error can take its place then.
                let count = buf.remaining();
                buf.put_slice(&this.held[..count]);
                this.held.drain(..count);
                return Poll::Ready(Ok(()));
            }
            buf.put_slice(&this.held);
            let new = buf.filled().len();
            let read = Pin::new(&mut this.inner).poll_read(cx, buf);
            if !matches!(read, Poll::Ready(Ok(()))) {
                buf.set_filled(before);
                return read;
            }
            this.held.clear();
            if buf.filled().len() == new {
                return read;
            }
            if let Err(refused) = this.judge(buf, before, new) {
                buf.set_filled(before);
                return Poll::Ready(Err(io::Error::new(io::ErrorKind::PermissionDenied, refused)));
            }
            // Nothing at all would be the end.
            if buf.filled().len() > before || this.last_words.is_some() {
                return Poll::Ready(Ok(()));
            }
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

impl<S: TlsStream + Unpin> TlsStream for Watched<S> {
    fn channel_binding(&self) -> ChannelBinding {
        self.inner.channel_binding()
    }
}

/// What is sent and received without TLS, or below it.
pub type Raw = Watched<Socket>;
type Encrypted = <MakeRustlsConnect as MakeTlsConnect<Raw>>::Stream;

/// TLS over a stream, whose content is read along too.
pub struct Tls {
    connect: <MakeRustlsConnect as MakeTlsConnect<Raw>>::TlsConnect,
    rule: Rule,
    asked: Asked,
    limits: Limits,
}

impl Tls {
    /// TLS with a server of that name.
    ///
    /// # Errors
    /// The name cannot be one.
    pub fn new(tls: &MakeRustlsConnect, host: &str, rule: Rule, asked: Asked, limits: Limits) -> io::Result<Self> {
        let mut tls = tls.clone();
        let connect = MakeTlsConnect::<Raw>::make_tls_connect(&mut tls, host);
        let connect = connect.map_err(|e| io::Error::new(io::ErrorKind::InvalidInput, e))?;
        Ok(Self { connect, rule, asked, limits })
    }
}

impl TlsConnect<Raw> for Tls {
    type Stream = Watched<Encrypted>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Self::Stream>> + Send>>;

    fn connect(self, stream: Raw) -> Self::Future {
        let Self { connect, rule, asked, limits } = self;
        Box::pin(async move { Ok(Watched::new(connect.connect(stream).await?, rule, asked, limits, false)) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn watched(rule: Rule, negotiates: bool) -> Watched<()> {
        Watched::new((), rule, Asked::nothing(), Limits::CATALOG, negotiates)
    }

    fn request(code: i32, more: &[u8]) -> Vec<u8> {
        let length = i32::try_from(8 + more.len()).expect("short");
        [b"R", &length.to_be_bytes()[..], &code.to_be_bytes()[..], more].concat()
    }

    #[test]
    fn a_request_for_a_clear_text_password_is_seen_however_it_arrives() {
        let strict = Rule { no_clear_text: true, required: None };
        let notice = [b"N", &9_i32.to_be_bytes()[..], b"hello"].concat();
        for before in [Vec::new(), notice.clone(), [b"N".to_vec(), notice].concat()] {
            // An answer to the question for TLS comes before a notice that is one byte longer.
            let negotiates = before.len() == 11;
            let bytes = [before, request(CLEAR_TEXT, b"")].concat();
            for size in 1..=bytes.len() {
                let mut stream = watched(strict.clone(), negotiates);
                let seen = bytes.chunks(size).try_for_each(|chunk| stream.see(chunk).map(drop));
                assert!(seen.is_err(), "{size}");
                let mut lenient = watched(Rule::default(), negotiates);
                assert!(bytes.chunks(size).all(|chunk| lenient.see(chunk).is_ok()));
                assert!(lenient.asked.for_password());
            }
        }
        let mut hashed = watched(strict.clone(), false);
        assert!(hashed.see(&request(5, b"salt")).is_ok());
        // Neither what is encrypted nor what follows the login is read.
        let mut over = watched(strict.clone(), true);
        assert!(over.see(&[b"S".to_vec(), request(CLEAR_TEXT, b"")].concat()).is_ok());
        let mut in_already = watched(strict, false);
        assert!(in_already.see(&[request(OK, b""), request(CLEAR_TEXT, b"")].concat()).is_ok());
    }

    #[test]
    fn required_authentication_is_read_as_libpq_reads_it() {
        let rule = |text: &str| Rule { no_clear_text: false, required: Some(text.to_owned()) };
        for (text, code, asked, allowed) in [
            ("scram-sha-256", 10, false, true),
            ("scram-sha-256", 5, false, false),
            ("scram-sha-256", OK, false, false),
            ("scram-sha-256", OK, true, true),
            ("md5, scram-sha-256", 5, false, true),
            ("none,password", OK, false, true),
            ("!password,!md5", 5, false, false),
            ("!password,!md5", 10, false, true),
            ("!password", OK, false, true),
            ("", 3, false, true),
        ] {
            assert_eq!(rule(text).refusal(code, asked).is_none(), allowed, "{text} {code} {asked}");
        }
    }

    #[tokio::test]
    async fn a_message_that_is_too_long_becomes_an_error_however_it_arrives() {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let good = [request(OK, b""), b"Z\0\0\0\x05I".to_vec()].concat();
        let bytes = [good.clone(), b"D\x7f\xff\xff\xffmuch more".to_vec()].concat();
        for size in 1..=bytes.len() {
            let (near, mut far) = tokio::io::duplex(size);
            let mut stream = Watched::new(near, Rule::default(), Asked::nothing(), Limits::CATALOG, false);
            let mut heard = Vec::new();
            let say = async { far.write_all(&bytes).await };
            let hear = async {
                let read = stream.read_to_end(&mut heard).await;
                drop(stream);
                read
            };
            // What follows is not taken any more.
            let (_, read) = tokio::join!(say, hear);
            assert!(read.is_ok(), "{size}");
            let error = heard.strip_prefix(&good[..]).expect("what came before is handed on");
            let text = String::from_utf8_lossy(error);
            assert!(error[0] == b'E' && text.contains("claims a message of 2.00 GiB, and at most 16.0 MiB"), "{text}");
        }
        // An end within a head is an end.
        let mut stream =
            Watched::new(&good[..good.len() - 4], Rule::default(), Asked::nothing(), Limits::CATALOG, false);
        let mut heard = Vec::new();
        stream.read_to_end(&mut heard).await.expect("it ends");
        assert_eq!(heard, good[..good.len() - 4]);
    }

    #[tokio::test]
    async fn whatever_room_the_reader_has_it_gets_every_byte() {
        use tokio::io::AsyncReadExt;
        let rows = b"D\0\0\0\x0csome rowC\0\0\0\x04".repeat(50);
        let good = [request(10, b"SCRAM\0\0"), request(OK, b""), b"Z\0\0\0\x05I".to_vec(), rows].concat();
        for room in 1..40 {
            for size in [1, 2, 3, 5, 7, 64, 4096] {
                let reader = slowly(&good, size);
                let mut stream = Watched::new(reader, Rule::default(), Asked::nothing(), Limits::CATALOG, false);
                let mut heard = Vec::new();
                let mut buffer = vec![0; room];
                loop {
                    let count = stream.read(&mut buffer).await.expect("it reads");
                    if count == 0 {
                        break;
                    }
                    heard.extend_from_slice(&buffer[..count]);
                }
                assert_eq!(heard, good, "{room} {size}");
            }
        }
    }
    fn slowly(bytes: &[u8], size: usize) -> tokio::io::DuplexStream {
        use tokio::io::AsyncWriteExt;
        let (near, mut far) = tokio::io::duplex(size);
        let bytes = bytes.to_vec();
        tokio::spawn(async move {
            let _ = far.write_all(&bytes).await;
        });
        near
    }
}
