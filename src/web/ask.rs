//! One request and its answer, over a connection of its own, through redirects as far as they may be followed.

use std::time::Duration;

use hyper::body::Bytes;
use hyper::header::{AUTHORIZATION, COOKIE, HOST, HeaderValue, PROXY_AUTHORIZATION, USER_AGENT};
use hyper::{HeaderMap, Method, Uri};
use hyper_util::rt::TokioIo;
use tokio_util::task::AbortOnDropHandle;
use url::Url;

use super::connect::{Line, reach};
use super::{Answer, Place, Proxies, in_clear, read};
use crate::step::{Look, Probe, StepError, Touch, chain};

/// How we call ourselves.
pub const AGENT: &str = concat!("runplan/", env!("CARGO_PKG_VERSION"));

/// The most of an answer's head, in bytes.
const HEAD: usize = 64 << 10;

/// What is asked.
pub struct Request {
    pub method: Method,
    pub url: Url,
    pub place: Place,
    pub headers: HeaderMap,
    pub body: Bytes,
    /// A secret is in the headers or in the body, or the body's content is not known: it goes to no other host.
    pub confidential: bool,
    /// A secret is in the address.
    pub secret_url: bool,
}

/// How it gets there.
#[derive(Debug, Clone)]
pub struct Way {
    pub ca_file: Option<String>,
    pub proxies: Proxies,
    pub connect_timeout: Duration,
    /// For the whole, redirects included.
    pub timeout: Duration,
    /// How many redirects are followed.
    pub redirects: u8,
    /// Statuses that are the answer, also where they send the request elsewhere.
    pub wanted: Vec<u16>,
}

impl Request {
    /// Whether it may go there: a secret goes to another machine under TLS only, and so to another machine's proxy.
    ///
    /// # Errors
    /// It may not, or the proxy is none.
    pub fn allowed(&self, way: &Way) -> Result<(), StepError> {
        if !self.confidential && !self.secret_url {
            return Ok(());
        }
        let away = self.url.scheme() == "http" && way.proxies.of(&self.url)?.is_some_and(|p| !p.is_here());
        if !in_clear(&self.url) && !away {
            return Ok(());
        }
        let what = if away { "a secret would travel to the proxy in clear text" } else { CLEAR };
        Err(StepError::new(format!("{}: {what}", self.place)).hint(CLEAR_HINT))
    }
}

/// What is wrong with a secret on its way to an address that begins with `http://`.
const CLEAR: &str = "a secret would travel there in clear text";
const CLEAR_HINT: &str = "write `https://`; clear text with a secret is for this machine only";

/// Asks, and gives the answer whatever its status is.
///
/// # Errors
/// The server cannot be reached, cannot be trusted, breaks off, does not answer in time, or sends the request where it may
/// not go.
pub async fn ask(touch: &Touch, request: Request, way: &Way) -> Result<Answer, StepError> {
    let (place, limit) = (request.place.clone(), way.timeout);
    tokio::select! {
        answer = tokio::time::timeout(limit, follow(touch.look(), request, way)) => answer.unwrap_or_else(|_| {
            let what = format!("{place}: no answer within {} s", limit.as_secs_f64());
            Err(StepError::transient(what).hint("is the server busy? `timeout` bounds the whole exchange"))
        }),
        _ = touch.cancel().cancelled() => Err(StepError::cancelled()),
    }
}

/// Reaches the server, TLS included, and sends nothing.
///
/// # Errors
/// As [`ask`], for what comes before the request.
pub async fn greet(probe: &Probe, url: &Url, place: &Place, way: &Way) -> Result<(), StepError> {
    tokio::select! {
        line = reach(url, place, way) => line.map(drop),
        _ = probe.look().cancel.cancelled() => Err(StepError::cancelled()),
    }
}

async fn follow(look: &Look, mut request: Request, way: &Way) -> Result<Answer, StepError> {
    request.allowed(way)?;
    let mut followed = 0;
    loop {
        let line = reach(&request.url, &request.place, way).await?;
        let answer = exchange(look, line, &request, way).await?;
        let Some(to) = answer.location.clone().filter(|_| !way.wanted.contains(&answer.status)) else {
            return Ok(answer);
        };
        request = redirected(request, &answer, &to)?;
        request.allowed(way)?;
        if followed == way.redirects {
            let (from, status, to) = (&answer.place, answer.status, &request.place);
            let what =
                format!("{from}: answered {status} and leads to {to}, after {followed} redirects that were followed");
            let hint = "do two addresses send to each other? `redirects` says how many are followed";
            return Err(StepError::new(what).hint(hint));
        }
        followed += 1;
        look.log.debug(format!("{} answered {}: on to {}", answer.place, answer.status, request.place));
    }
}

/// The request as a redirect wants it (RFC 9110, section 15.4), where it may go there.
fn redirected(mut request: Request, answer: &Answer, to: &str) -> Result<Request, StepError> {
    let target = request.url.join(to).ok().filter(|u| matches!(u.scheme(), "http" | "https"));
    let from = &answer.place;
    let status = answer.status;
    let Some(mut target) = target else {
        let what = format!("{from}: answered {status} and leads to what is no address of the web");
        return Err(StepError::new(what).hint("look at the server: its `Location` is not one to follow"));
    };
    target.set_fragment(None);
    let place = request.place.next(&target);
    let refuse = |why: &str, hint: &str| {
        Err(StepError::new(format!("{from}: answered {status} and leads to {place}: {why}")).hint(hint))
    };
    if read(target.as_str()).is_err() {
        return refuse("that address is not taken", "look at the server: its `Location` is not one to follow");
    }
    if request.url.scheme() == "https" && target.scheme() == "http" {
        return refuse(
            "from `https://` to `http://` is not followed",
            "write an address under `url` that stays encrypted",
        );
    }
    let reads = matches!(request.method, Method::GET | Method::HEAD);
    if matches!(status, 301 | 302) && !reads {
        let hint = "write that address under `url`";
        return refuse("what is sent would be lost, since such a redirect is followed with a GET", hint);
    }
    if !same_host(&request.url, &target) {
        if request.confidential {
            let hint = "write that address under `url` if it may have them";
            return refuse("another host, which is not given the secrets or the file of this one", hint);
        }
        for name in [AUTHORIZATION, COOKIE, PROXY_AUTHORIZATION] {
            request.headers.remove(name);
        }
    }
    if status == 303 && !reads {
        request.method = Method::GET;
        request.body = Bytes::new();
        request.headers.remove(hyper::header::CONTENT_TYPE);
    }
    request.url = target;
    request.place = place;
    Ok(request)
}

/// Whether the same server answers: the same host and port, or its default ports for clear text and then for TLS.
fn same_host(from: &Url, to: &Url) -> bool {
    let ports = |url: &Url| url.port_or_known_default();
    from.host_str() == to.host_str()
        && (ports(from) == ports(to) || (from.port().is_none() && to.port().is_none() && to.scheme() == "https"))
}

/// Sends the request over a connection and reads the answer.
async fn exchange(look: &Look, line: Box<dyn Line>, request: &Request, way: &Way) -> Result<Answer, StepError> {
    let place = &request.place;
    let mut builder = hyper::client::conn::http1::Builder::new();
    builder.max_buf_size(HEAD);
    let shaken = builder.handshake(TokioIo::new(line)).await;
    let (mut sender, connection) = shaken.map_err(|e| broken(place, &e))?;
    // What goes wrong with it the request is told, and it ends with the request.
    let _driver = AbortOnDropHandle::new(tokio::spawn(async move { connection.await.map_err(drop) }));
    let message = written(request, way)?;
    let response = sender.send_request(message).await.map_err(|e| broken(place, &e))?;
    Ok(Answer::read(response, place.clone(), look.now).await)
}

/// The request as it travels.
fn written(request: &Request, way: &Way) -> Result<hyper::Request<http_body_util::Full<Bytes>>, StepError> {
    let url = &request.url;
    let proxy = way.proxies.of(url)?.filter(|_| url.scheme() == "http");
    // A proxy for clear text is told the whole address (RFC 9112, section 3.2).
    let target = if proxy.is_some() { url.as_str() } else { &url[url::Position::BeforePath..] };
    let odd = |_| StepError::new(format!("{}: the address cannot be sent", request.place));
    let target: Uri = target.parse().map_err(|e: hyper::http::uri::InvalidUri| odd(e.to_string()))?;
    let mut message = hyper::Request::new(http_body_util::Full::new(request.body.clone()));
    *message.method_mut() = request.method.clone();
    *message.uri_mut() = target;
    let headers = message.headers_mut();
    headers.insert(USER_AGENT, HeaderValue::from_static(AGENT));
    headers.extend(request.headers.clone());
    let host = &url[url::Position::BeforeHost..url::Position::AfterPort];
    headers.insert(HOST, HeaderValue::from_str(host).map_err(|e| odd(e.to_string()))?);
    if let Some(login) = proxy.and_then(|p| p.login) {
        headers.insert(PROXY_AUTHORIZATION, HeaderValue::from_str(&login).map_err(|e| odd(e.to_string()))?);
    }
    Ok(message)
}

/// An exchange that came to no answer.
fn broken(place: &Place, error: &hyper::Error) -> StepError {
    if error.is_parse() {
        return StepError::new(format!("{place}: its answer is no HTTP that is taken: {}", chain(error)))
            .hint("does something else listen there, or does it speak TLS?");
    }
    StepError::transient(format!("{place}: no answer: {}", chain(error)))
        .hint("the server hung up: look at its log; it may have done what was asked")
}
