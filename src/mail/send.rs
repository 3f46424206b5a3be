//! Sending a letter: one connection, one transaction.

use std::time::Duration;

use lettre::transport::smtp::Error;
use lettre::transport::smtp::authentication::{Credentials, DEFAULT_MECHANISMS};
use lettre::transport::smtp::client::{AsyncSmtpConnection, AsyncTokioStream};
use lettre::transport::smtp::commands::{Data, Mail, Rcpt};
use lettre::transport::smtp::extension::{ClientId, Extension, MailBodyParameter, MailParameter};
use lettre::transport::smtp::response::Response;

use super::bounded::{self, Bounded};
use super::refusal::{Unsent, refusal, said, silence, unexpected, unreachable};
use super::{Letter, Security, Settings};
use crate::step::{Class, Probe, StepError, Touch};

/// How long a connection may take until the server is ready for a letter.
const CONNECTING: Duration = Duration::from_secs(10);
/// How long one of the addresses behind a name may take, so that a dead one leaves time for the next.
const ADDRESS: Duration = Duration::from_secs(5);
/// How long an answer to one line may take: some servers ask others about an address before they answer.
const ANSWER: Duration = Duration::from_secs(60);
/// The slowest line that is waited for while a letter travels, in bytes a second.
const SLOWEST: u64 = 20_000;

/// Sends a letter to everybody it is for. When the server refuses some of them, the others get it and the refused ones
/// are the error.
///
/// # Errors
/// The server cannot be reached, cannot be trusted, or refuses. Each names the server and says what to do.
pub async fn send(touch: &Touch, settings: &Settings, letter: &Letter) -> Result<(), Unsent> {
    let bytes = letter.formatted()?;
    tokio::select! {
        sent = converse(touch, settings, letter, &bytes) => sent,
        _ = touch.cancel().cancelled() => Err(StepError::cancelled().into()),
    }
}

async fn converse(touch: &Touch, settings: &Settings, letter: &Letter, bytes: &[u8]) -> Result<(), Unsent> {
    let password = settings.password.as_ref().map(|p| touch.open(p));
    let mut line = reach(settings, password).await?;
    let result = transact(settings, &mut line, letter, bytes).await;
    // The letter is sent or refused already: what the server says to the farewell changes nothing.
    let _ = tokio::time::timeout(Duration::from_secs(2), line.abort()).await;
    result
}

/// Reaches a server, logs in if there is a login, and takes leave without sending anything.
///
/// # Errors
/// As [`send`], for what comes before the letter; a password that is not at hand.
pub async fn greet(probe: &Probe, settings: &Settings) -> Result<(), StepError> {
    let missing = || StepError::new("the password is not at hand").class(Class::Sealed);
    let password = settings.password.as_ref().map(|p| probe.open(p).ok_or_else(missing)).transpose()?;
    let mut line = tokio::select! {
        line = reach(settings, password) => line?,
        _ = probe.look().cancel.cancelled() => return Err(StepError::cancelled()),
    };
    let _ = tokio::time::timeout(Duration::from_secs(2), line.quit()).await;
    Ok(())
}

/// A connection within the time that one may take.
async fn reach(settings: &Settings, password: Option<&str>) -> Result<AsyncSmtpConnection, StepError> {
    let opened = tokio::time::timeout(CONNECTING, open(settings, password)).await;
    opened.unwrap_or_else(|_| Err(silence(settings, "connecting", CONNECTING.as_secs())))
}

/// A connection that is encrypted, if it is to be, and logged in.
async fn open(settings: &Settings, password: Option<&str>) -> Result<AsyncSmtpConnection, StepError> {
    let security = settings.security();
    let tls = if security == Security::Starttls { Some(settings.tls()?) } else { None };
    let hello = ClientId::default();
    let wrong = |e: Error| refusal(settings, "connecting", &e, "ask the mail administrator why it refuses connections");
    let broken = |e: std::io::Error| unreachable(settings, "connecting", &e);
    let stream = bounded::connect(settings.name(), settings.port(), ADDRESS).await.map_err(broken)?;
    let peer = stream.peer_addr().map_err(broken)?;
    let stream: Box<dyn AsyncTokioStream> = match security {
        Security::Tls => Box::new(Bounded::new(settings.encrypt(stream).await?, peer)),
        _ => Box::new(Bounded::new(stream, peer)),
    };
    let mut line = AsyncSmtpConnection::connect_with_transport(stream, &hello).await.map_err(wrong)?;
    if let Some(tls) = tls {
        if !line.can_starttls() {
            line.abort().await;
            let what = format!("mail server {} does not offer STARTTLS, and nothing was sent to it", settings.place());
            return Err(StepError::new(what).hint("try port 465, which is `security: tls`"));
        }
        line.starttls(tls, &hello).await.map_err(wrong)?;
    }
    if let (Some(user), Some(password)) = (&settings.username, password) {
        let login = Credentials::new(user.clone(), password.to_owned());
        let hint = "check `smtp.username` and `smtp.password`; a server that offers no login wants neither";
        let doing = format!("logging in as `{user}`");
        let reply = line.auth(DEFAULT_MECHANISMS, &login).await.map_err(|e| refusal(settings, &doing, &e, hint))?;
        answered(settings, &doing, &reply, 235)?;
    }
    Ok(line)
}

/// Waits for the answer to one line.
async fn answer<T>(
    settings: &Settings,
    doing: &str,
    limit: Duration,
    reply: impl Future<Output = Result<T, Error>>,
) -> Result<Result<T, Error>, StepError> {
    match tokio::time::timeout(limit, reply).await {
        Ok(reply) => Ok(reply),
        Err(_) => Err(silence(settings, doing, limit.as_secs())),
    }
}

/// Whether the answer is the one to this question. Somebody between us and the server can put an answer of his own before
/// STARTTLS into the stream, and each one after it would then be taken for that to the next question: a refusal of the
/// letter would be read by nobody.
fn answered(settings: &Settings, doing: &str, reply: &Response, code: u16) -> Result<(), StepError> {
    if reply.has_code(code) { Ok(()) } else { Err(unexpected(settings, doing, reply, code)) }
}

async fn transact(
    settings: &Settings,
    line: &mut AsyncSmtpConnection,
    letter: &Letter,
    bytes: &[u8],
) -> Result<(), Unsent> {
    let recipients = letter.recipients();
    let mut parameters = Vec::new();
    if !bytes.is_ascii() || recipients.iter().chain([&letter.from]).any(|m| !m.email.to_string().is_ascii()) {
        if !line.server_info().supports_feature(Extension::SmtpUtfEight) {
            let what = format!("mail server {} takes no address with letters beyond ASCII", settings.place());
            return Err(StepError::new(what).hint("write addresses of `from`, `to` and `cc` in ASCII").into());
        }
        parameters = vec![MailParameter::SmtpUtfEight, MailParameter::Body(MailBodyParameter::EightBitMime)];
    }
    let doing = format!("sending from `{}`", letter.from.email);
    let mail = line.command(Mail::new(Some(letter.from.email.clone()), parameters));
    let hint = "may this user send from that address? see `from`, `smtp.username` and `smtp.password`";
    answer(settings, &doing, ANSWER, mail).await?.map_err(|e| refusal(settings, &doing, &e, hint))?;

    let mut refused: Vec<(String, Class)> = Vec::new();
    for recipient in &recipients {
        let doing = format!("the recipient `{}`", recipient.email);
        let reply =
            answer(settings, &doing, ANSWER, line.command(Rcpt::new(recipient.email.clone(), Vec::new()))).await?;
        match reply {
            Ok(_) => {}
            Err(e) if e.status().is_some() => {
                let class = if e.is_transient() { Class::Transient } else { Class::Permanent };
                refused.push((format!("`{}` ({})", recipient.email, said(&e)), class));
            }
            Err(e) => return Err(refusal(settings, &doing, &e, "").into()),
        }
    }
    if refused.len() == recipients.len() {
        return Err(left_out(settings, &refused, recipients.len()).into());
    }

    let hint = "see what the server says of the mail; `max_attachment` bounds what is attached";
    let doing = "handing over the mail";
    let wrong = |e: Error| Unsent::new(refusal(settings, doing, &e, hint), &e);
    let reply = answer(settings, doing, ANSWER, line.command(Data)).await?.map_err(wrong)?;
    answered(settings, doing, &reply, 354)?;
    let size = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
    let limit = ANSWER + Duration::from_secs(size / SLOWEST);
    let reply = answer(settings, doing, limit, line.message(bytes)).await?.map_err(wrong)?;
    answered(settings, doing, &reply, 250)?;
    if refused.is_empty() { Ok(()) } else { Err(left_out(settings, &refused, recipients.len()).into()) }
}

/// The error for recipients that the server does not take.
fn left_out(settings: &Settings, refused: &[(String, Class)], of: usize) -> StepError {
    let names: Vec<&str> = refused.iter().map(|(n, _)| n.as_str()).collect();
    let what = format!(
        "mail server {} refused {} of {of} recipient{}: {}",
        settings.place(),
        refused.len(),
        if of == 1 { "" } else { "s" },
        names.join(", ")
    );
    let hint = if refused.len() == of {
        "check the addresses under `to` and `cc`"
    } else {
        "check these addresses under `to` and `cc`; the other recipients have the mail"
    };
    let later = refused.iter().any(|(_, class)| *class == Class::Transient);
    StepError::new(what).class(if later { Class::Transient } else { Class::Permanent }).hint(hint)
}
