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

/// Send an HTTP request: a heartbeat, a chat message or a webhook.
///
/// The step succeeds when the status of the response is one of `expect_status` and, with `expect_body`, the body is
/// that text. A failed or broken connection, a timeout, 408, 425, 429 and 5xx are transient: `retry` repeats them.
/// `Retry-After` lengthens the wait, up to `max_delay` or 5 minutes. All other failures are final.
///
/// The URL, the password, header values and the content may be secrets. They are masked wherever the request or the
/// response is shown. A redirect never sends them to another host, and they are sent in clear text only to this
/// machine. Certificates are always checked.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Params {
    /// URL, `https://…` or `http://…`. It may be or contain a secret.
    url: MaybeSecret,
    /// Method. Default: `POST` when something is sent, otherwise `GET`.
    #[serde(default)]
    method: Option<Method>,
    /// Headers by name, like `Authorization: "Bearer ${{ secrets.token }}"`. A value may be or contain a secret.
    #[serde(default)]
    headers: BTreeMap<String, MaybeSecret>,
    /// User name for basic authentication. For a token, use `headers`.
    #[serde(default)]
    username: Option<String>,
    /// Password of `username`.
    #[serde(default)]
    password: Option<Secret>,
    /// Text to send, as `text/plain` unless `headers` sets another type.
    #[serde(default)]
    body: Option<MaybeSecret>,
    /// Value to send as JSON. Texts in it may be or contain secrets.
    #[serde(default)]
    json: Option<Value>,
    /// File whose content is sent.
    #[serde(default)]
    #[schemars(extend("x-runplan-path" = true))]
    file: Option<String>,
    /// Maximum size of `file`. A larger one fails the step.
    #[serde(default = "sixteen_mebibytes")]
    max_file: Size,
    /// Status codes that mean success, like `[200, 404]`. Default: 200 to 299.
    #[serde(default)]
    #[schemars(inner(range(min = 200, max = 599)))]
    expect_status: Vec<u16>,
    /// Required body of the response; leading and trailing whitespace is ignored. Some servers respond 200 although
    /// they did not accept the request.
    #[serde(default)]
    expect_body: Option<String>,
    /// Maximum number of redirects. They are never followed from `https://` to `http://`, to another host with a secret
    /// or a file, or where a `POST` would become a `GET` without its body.
    #[serde(default = "five")]
    #[schemars(range(max = 20))]
    redirects: u8,
    /// Maximum time to connect, TLS included.
    #[serde(default = "ten_seconds")]
    connect_timeout: Span,
    /// Maximum time for the whole request, redirects included.
    #[serde(default = "thirty_seconds")]
    timeout: Span,
    /// PEM file with the certificate authorities to trust, instead of those of the system. An empty text counts as
    /// absent.
    #[serde(default)]
    #[schemars(extend("x-runplan-path" = true))]
    ca_file: Option<String>,
    /// Proxy, like `http://proxy.example.org:3128`, or `none`. An empty text counts as absent. Default: `https_proxy`,
    /// `http_proxy`, `all_proxy` and `no_proxy`, in lower or upper case.
    #[serde(default)]
    proxy: Option<MaybeSecret>,
}

/// Method of a request.
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

/// Result of the step.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Output {
    /// Status code of the response.
    status: u16,
    /// Body of the response as text, at most the first 64 KiB. Secrets that were sent are masked.
    body: String,
    /// Body as a value, if the server says that it is JSON and the body is complete. Otherwise null.
    json: Json,
    /// Duration in seconds.
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
