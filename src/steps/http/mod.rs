//! `http`: a request to a web server: a heartbeat, a message, a webhook.

mod answer;
mod check;
mod message;

use std::collections::BTreeMap;
use std::time::Instant;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::quantity::{Size, Span};
use crate::secret::{MaybeSecret, Secret};
use crate::step::{Area, Check, Class, Fault, Look, Preflight, Preview, Probe, Step, StepError, Touch};
use crate::value::Value;
use crate::web::{self, Place};

/// Sends a request to a web server.
///
/// A heartbeat at the end of a good night, a message to a chat, a webhook. The step is good when the server answers with a
/// status that is expected, and fails otherwise: no connection, a broken one, no answer in time, 408, 425, 429 and 5xx are
/// worth a `retry`, and `Retry-After` lengthens its wait, up to `max_delay` or 5 minutes; every other failure is final.
///
/// Address, login, headers and what is sent may be secrets. They are masked wherever the request or its answer is shown,
/// go to no other host by a redirect, and travel in clear text to this machine only. Certificates are always checked.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Params {
    /// The address, `https://…` or `http://…`. It may be a secret or have one in it.
    url: MaybeSecret,
    /// The method. When it is left out: `POST` where something is sent, otherwise `GET`.
    #[serde(default)]
    method: Option<Method>,
    /// Headers by name; a value may be a secret.
    #[serde(default)]
    headers: BTreeMap<String, MaybeSecret>,
    /// The user to log in as (Basic); a token goes under `headers`.
    #[serde(default)]
    username: Option<String>,
    /// The password of `username`.
    #[serde(default)]
    password: Option<Secret>,
    /// The text to send, as `text/plain` unless `headers` says otherwise.
    #[serde(default)]
    body: Option<MaybeSecret>,
    /// The value to send as JSON; texts in it may be secrets.
    #[serde(default)]
    json: Option<Value>,
    /// The file whose content is sent.
    #[serde(default)]
    #[schemars(extend("x-runplan-path" = true))]
    file: Option<String>,
    /// The largest `file` that is sent.
    #[serde(default = "sixteen_mebibytes")]
    max_file: Size,
    /// The statuses that are good; otherwise each from 200 to 299.
    #[serde(default)]
    #[schemars(inner(range(min = 200, max = 599)))]
    expect_status: Vec<u16>,
    /// What the answer must be, apart from blanks around it: some servers say 200 also of what they did not take.
    #[serde(default)]
    expect_body: Option<String>,
    /// How many redirects are followed. Never from `https://` to `http://`, with a secret never to another host, and not
    /// where what is sent would be lost.
    #[serde(default = "five")]
    #[schemars(range(max = 20))]
    redirects: u8,
    /// How long a connection may take, TLS included.
    #[serde(default = "ten_seconds")]
    connect_timeout: Span,
    /// How long the whole exchange may take, redirects included.
    #[serde(default = "thirty_seconds")]
    timeout: Span,
    /// A file with the certificate authorities to trust, PEM, in place of the system's; empty is the same as left out.
    #[serde(default)]
    #[schemars(extend("x-runplan-path" = true))]
    ca_file: Option<String>,
    /// The proxy, like `http://proxy.example.org:3128`, or `none`; empty is the same as left out: as `https_proxy`,
    /// `http_proxy`, `all_proxy` and `no_proxy` say, in small or capital letters.
    #[serde(default)]
    proxy: Option<MaybeSecret>,
}

/// The method of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum Method {
    Get,
    Head,
    Post,
    Put,
    Patch,
    Delete,
}

fn five() -> u8 {
    5
}
fn ten_seconds() -> Span {
    Span(std::time::Duration::from_secs(10))
}
fn thirty_seconds() -> Span {
    Span(std::time::Duration::from_secs(30))
}
fn sixteen_mebibytes() -> Size {
    Size(16 << 20)
}

impl Method {
    /// The word as it travels.
    fn word(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Head => "HEAD",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
        }
    }

    /// Whether it takes something along.
    fn sends(self) -> bool {
        !matches!(self, Self::Get | Self::Head)
    }
}

/// What the server answered.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Output {
    /// The status.
    status: u16,
    /// The answer as text, its first 64 KiB, with the secrets that were sent masked.
    body: String,
    /// The same as a value, when the server says that it is JSON and all of it was taken; otherwise null.
    json: Json,
    /// How long the exchange took.
    seconds: f64,
}

/// Any JSON value.
#[derive(Debug, Serialize)]
#[serde(transparent)]
pub struct Json(serde_json::Value);

impl JsonSchema for Json {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Json".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({})
    }
}

/// Everything decided.
#[derive(Debug)]
pub struct Work {
    params: Params,
    method: Method,
    /// For people.
    lines: Vec<String>,
}

/// The executor.
pub struct Http;

impl Step for Http {
    const NAME: &'static str = "http";
    const EXAMPLE: &'static str = "url: ${{ secrets.ping_url }}\nexpect_body: OK\n";
    type Params = Params;
    type Output = Output;
    type Work = Work;

    fn check(params: &serde_json::Value) -> Vec<Fault> {
        check::written(params)
    }

    async fn preflight(params: Params, look: &Look) -> Preflight {
        if params.is_open() {
            return Preflight::default();
        }
        match params.closed(look) {
            Ok(()) => Preflight::default(),
            Err(error) => vec![Check::failed(Area::Parameters, &error)].into(),
        }
    }

    async fn probe(params: Params, probe: &Probe) -> Vec<Check> {
        if params.is_open() || params.closed(probe.look()).is_err() {
            return Vec::new();
        }
        match params.opened(&|s| probe.open(s).map(str::to_owned), probe.look()) {
            Ok((url, place, way)) if probe.thorough() => vec![match web::greet(probe, &url, &place, &way).await {
                Ok(()) if url.scheme() == "https" => {
                    Check::ok(Area::Web, format!("{place}: can be reached, and trusted"))
                }
                Ok(()) => Check::ok(Area::Web, format!("{place}: can be reached")),
                Err(error) => Check::failed(Area::Web, &error),
            }],
            Ok(_) => Vec::new(),
            Err(error) if error.class == Class::Sealed => {
                let place = Place::closed(&params.url);
                vec![Check::warning(Area::Web, format!("{place}: not asked, since {}", error.what))]
            }
            Err(error) => vec![Check::failed(Area::Parameters, &error)],
        }
    }

    async fn plan(params: Params, look: &Look) -> Result<Work, StepError> {
        params.closed(look)?;
        let method = params.method();
        Ok(Work { lines: params.lines(look), method, params })
    }

    fn preview(work: &Work) -> Preview {
        Preview::new(work.lines.clone())
    }

    async fn apply(work: Work, touch: &Touch) -> Result<Output, StepError> {
        let Work { params, method, .. } = work;
        let (request, way, redactor) = params.message(method, touch).await?;
        let clock = Instant::now();
        let said = web::ask(touch, request, &way).await;
        let prefixed = |e: StepError| match e.class {
            Class::Cancelled => e,
            _ => StepError { what: redactor.mask(&format!("{} {}", method.word(), e.what)).into_owned(), ..e },
        };
        let answer = said.map_err(prefixed)?;
        let seconds = clock.elapsed().as_secs_f64();
        // Its own secrets are known here, those of the run to the log.
        let mask = |text: &str| touch.log().mask(&redactor.mask(text));
        let (body, json) = answer::judge(&params, answer, &mask).map_err(prefixed)?;
        touch.log().debug(format!("answered within {seconds:.3} s"));
        Ok(Output { status: json.0, body, json: Json(json.1), seconds })
    }
}
