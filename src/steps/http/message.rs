//! The request: as far as it is known without a secret, and whole.

use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::{Method, Params, check};
use crate::files;
use crate::quantity::Size;
use crate::secret::{MaybeSecret, Redactor, Secret};
use crate::step::{Class, Look, StepError, Touch};
use crate::value::{AT_RUN_TIME, Value};
use crate::web::{self, Flaw, HeaderMap, HeaderName, HeaderValue, Place, Proxies, Request, Way};

/// Opens a secret; none when it is not at hand.
type Open<'o> = &'o (dyn Fn(&Secret) -> Option<String> + Sync);

fn opened(text: &MaybeSecret, open: Open<'_>) -> Option<String> {
    match text {
        MaybeSecret::Plain(text) => Some(text.clone()),
        MaybeSecret::Secret(secret) => open(secret),
    }
}

fn flawed(flaw: Flaw) -> StepError {
    StepError::new(format!("`url` {}", flaw.what)).hint(flaw.hint)
}

impl Params {
    /// The method that is written, else the one that what is sent stands for.
    pub(super) fn method(&self) -> Method {
        let sends = self.body.is_some() || self.json.is_some() || self.file.is_some();
        self.method.unwrap_or(if sends { Method::Post } else { Method::Get })
    }

    /// Whether a secret is sent beside the address, or a file that may hold one.
    fn confidential(&self) -> bool {
        let named = |n: &String| ["authorization", "cookie"].iter().any(|o| n.eq_ignore_ascii_case(o));
        self.password.is_some()
            || self.file.is_some()
            || self.headers.iter().any(|(name, value)| value.is_secret() || named(name))
            || self.body.as_ref().is_some_and(MaybeSecret::is_secret)
            || self.json.as_ref().is_some_and(has_secret)
    }

    fn way(&self, open: Open<'_>, look: &Look) -> Option<Way> {
        let proxy = match &self.proxy {
            Some(proxy) => Some(opened(proxy, open)?),
            None => None,
        };
        Some(Way {
            ca_file: self.ca_file.clone().filter(|f| !f.is_empty()),
            proxies: Proxies::new(&look.env, proxy.as_deref()),
            connect_timeout: self.connect_timeout.0,
            timeout: self.timeout.0,
            redirects: self.redirects,
            wanted: self.expect_status.clone(),
        })
    }

    /// Whether only the run will know where the request goes.
    pub(super) fn is_open(&self) -> bool {
        let proxy = self.proxy.as_ref().map_or("", MaybeSecret::shown);
        [self.url.shown(), proxy].iter().any(|text| text.contains(AT_RUN_TIME))
    }

    /// What is wrong as far as that is known without opening a secret.
    pub(super) fn closed(&self, look: &Look) -> Result<(), StepError> {
        let sent = [self.body.is_some(), self.json.is_some(), self.file.is_some()].into_iter().filter(|s| *s).count();
        if sent > 1 {
            return Err(StepError::new("of `body`, `json` and `file` more than one is given").hint("one thing is sent"));
        }
        if sent > 0 && !self.method().sends() {
            let what = format!("a {} sends nothing, and something to send is given", self.method().word());
            return Err(StepError::new(what).hint("write `method: POST`, or leave `method` out"));
        }
        if self.username.is_some() != self.password.is_some() {
            return Err(StepError::new("of `username` and `password` one is given").hint("give both or neither"));
        }
        if self.username.as_ref().is_some_and(|u| u.contains(':')) {
            return Err(StepError::new("`username` has a `:` in it, where the password would begin"));
        }
        for name in self.headers.keys() {
            if let Some((what, hint)) = check::header(name) {
                return Err(StepError::new(what).hint(hint.unwrap_or_default()));
            }
        }
        if let Some(file) = self.ca_file.as_deref().filter(|f| !f.is_empty()) {
            web::trusted(file)?;
        }
        if let MaybeSecret::Plain(url) = &self.url {
            web::read(url).map_err(flawed)?;
        }
        // What is secret stays closed: with a stand-in the way may be known all the same.
        self.opened(&|_| None, look).map(drop).or_else(|e| if e.class == Class::Sealed { Ok(()) } else { Err(e) })
    }

    /// The address, and how one gets there.
    pub(super) fn opened(&self, open: Open<'_>, look: &Look) -> Result<(web::Url, Place, Way), StepError> {
        let sealed = || StepError::new("a secret is not at hand").class(Class::Sealed);
        let way = self.way(open, look).ok_or_else(sealed)?;
        let text = match opened(&self.url, open) {
            Some(text) => text,
            // What may be shown of it is an address of its own, as far as it goes.
            None if web::read(self.url.shown()).is_ok_and(|u| web::in_clear(&u)) => self.url.shown().to_owned(),
            None => return Err(sealed()),
        };
        let url = web::read(&text).map_err(flawed)?;
        let place = Place::open(&url, &self.url);
        let request = Request {
            method: web::Method::GET,
            url: url.clone(),
            place: place.clone(),
            headers: HeaderMap::new(),
            body: Vec::new().into(),
            confidential: self.confidential(),
            secret_url: self.url.is_secret(),
        };
        request.allowed(&way)?;
        Ok((url, place, way))
    }

    /// The request for people, before it goes.
    pub(super) fn lines(&self, look: &Look) -> Vec<String> {
        let mut lines = vec![format!("{} {}", self.method().word(), Place::closed(&self.url))];
        if !self.headers.is_empty() {
            let named: Vec<String> = self.headers.iter().map(|(n, v)| format!("{n}: {}", v.shown())).collect();
            lines.push(format!("headers: {}", named.join(", ")));
        }
        lines.extend(self.username.as_ref().map(|user| format!("logs in as `{user}`")));
        if let Some(body) = &self.body {
            lines.push(format!("sends a text: {}", first(body.shown())));
        } else if let Some(json) = &self.json {
            lines.push(format!("sends JSON: {}", first(&shown(json).to_string())));
        } else if let Some(file) = &self.file {
            lines.push(match files::size(look, Path::new(file)) {
                Ok(size) => format!("sends `{file}`, {}", Size(size)),
                Err(_) => format!("sends `{file}`, which is not there now"),
            });
        }
        if let Ok((url, _, way)) = self.opened(&|_| None, look)
            && let Ok(Some(proxy)) = way.proxies.of(&url)
        {
            lines.push(format!("through the proxy {}", proxy.place()));
        }
        lines
    }

    /// The whole request, how it gets there, and what keeps its secrets out of what is said of it.
    pub(super) async fn message(&self, method: Method, touch: &Touch) -> Result<(Request, Way, Redactor), StepError> {
        let open = |secret: &Secret| Some(touch.open(secret).to_owned());
        let (url, place, way) = self.opened(&open, touch.look())?;
        let mut secrets: Vec<Secret> = Vec::new();
        let mut keep = |text: &MaybeSecret| {
            if let MaybeSecret::Secret(secret) = text {
                secrets.extend(web::parts(touch.open(secret)));
            }
        };
        keep(&self.url);
        if self.url.is_secret() {
            // As the server is told it, and may say it back.
            keep(&MaybeSecret::Secret(Secret::new(url.as_str())));
        }
        self.headers.values().chain(&self.body).chain(&self.proxy).for_each(&mut keep);
        if let Some(json) = &self.json {
            texts(json, &mut |secret| keep(&MaybeSecret::Secret(secret.clone())));
        }
        let mut headers = HeaderMap::new();
        for (name, value) in &self.headers {
            let odd = || {
                StepError::new(format!("the header `{name}`: its value has a line break or another control character"))
                    .hint("a header is one line; see where its value comes from")
            };
            let text = opened(value, &open).unwrap_or_default();
            let mut value = HeaderValue::from_bytes(text.trim().as_bytes()).map_err(|_| odd())?;
            value.set_sensitive(true);
            headers.insert(HeaderName::from_bytes(name.as_bytes()).map_err(|_| odd())?, value);
        }
        if let (Some(user), Some(password)) = (&self.username, &self.password) {
            let password = touch.open(password);
            let pair = STANDARD.encode(format!("{user}:{password}"));
            secrets.extend([Secret::new(password), Secret::new(pair.clone())]);
            let value = HeaderValue::from_str(&format!("Basic {pair}"));
            headers.insert("authorization", value.map_err(|e| StepError::because("the login", &e))?);
        }
        let mut kind = None;
        let mut body = Vec::new();
        if let Some(text) = &self.body {
            body = opened(text, &open).unwrap_or_default().into_bytes();
            kind = Some("text/plain; charset=utf-8");
        } else if let Some(json) = &self.json {
            body = written(json, touch).to_string().into_bytes();
            kind = Some("application/json");
        } else if let Some(file) = &self.file {
            body = self.content(file, touch).await?;
            kind = Some("application/octet-stream");
        }
        if let Some(kind) = kind {
            headers.entry("content-type").or_insert(HeaderValue::from_static(kind));
        }
        let method = web::Method::from_bytes(method.word().as_bytes()).map_err(|e| StepError::because("method", &e))?;
        let (confidential, secret_url) = (self.confidential(), self.url.is_secret());
        let request = Request { method, url, place, headers, body: body.into(), confidential, secret_url };
        Ok((request, way, Redactor::new(&secrets)))
    }

    /// The file that is sent.
    async fn content(&self, file: &str, touch: &Touch) -> Result<Vec<u8>, StepError> {
        let (look, path, max) = (touch.look().clone(), file.to_owned(), self.max_file);
        let reading = move || files::read_head_tail(&look, Path::new(&path), max.0);
        let read = tokio::task::spawn_blocking(reading).await.map_err(|e| StepError::because("reading", &e))?;
        let excerpt = read.map_err(|e| StepError::because(format!("reading `{file}`"), &e))?;
        if excerpt.left_out > 0 {
            let what = format!("`{file}` is larger than {max}, and half a file is not sent");
            return Err(StepError::new(what).hint("`max_file` says how large it may be"));
        }
        Ok(excerpt.head)
    }
}

/// The beginning of a text, in one line.
fn first(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let start: String = line.chars().take(100).collect();
    if start.len() < line.len() { format!("{start}…") } else { start }
}

fn has_secret(value: &Value) -> bool {
    let mut found = false;
    texts(value, &mut |_| found = true);
    found
}

/// Every secret in a value.
fn texts(value: &Value, each: &mut dyn FnMut(&Secret)) {
    match value {
        Value::Secret(secret) => each(secret),
        Value::List(items) => items.iter().for_each(|i| texts(i, each)),
        Value::Map(map) => map.iter().for_each(|(_, v)| texts(v, each)),
        _ => {}
    }
}

/// A value for people: of a text with secrets in it the rest is shown.
fn shown(value: &Value) -> serde_json::Value {
    walk(value, &|secret| secret.shown().unwrap_or(crate::secret::MASK).to_owned())
}

/// A value as it travels.
fn written(value: &Value, touch: &Touch) -> serde_json::Value {
    walk(value, &|secret| touch.open(secret).to_owned())
}

fn walk(value: &Value, text: &dyn Fn(&Secret) -> String) -> serde_json::Value {
    match value {
        Value::Secret(secret) => text(secret).into(),
        Value::List(items) => items.iter().map(|v| walk(v, text)).collect(),
        Value::Map(map) => map.iter().map(|(k, v)| (k.clone(), walk(v, text))).collect(),
        other => other.to_json(),
    }
}
