//! What is wrong with the parameters as they are written, before anything is computed.

use serde_json::Value as Json;

use crate::secret::MASK;
use crate::step::Fault;
use crate::web;

/// Headers that follow from the request: one written by hand says the same, or the server is told two things.
const OURS: [&str; 11] = [
    "connection",
    "content-length",
    "expect",
    "host",
    "keep-alive",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// What is wrong with a header's name, and what to do.
pub fn header(name: &str) -> Option<(String, Option<&'static str>)> {
    if web::HeaderName::from_bytes(name.as_bytes()).is_err() {
        let help = "letters, digits and `-`, as in `Content-Type`";
        return Some((format!("`{}` is no name of a header", name.escape_debug()), Some(help)));
    }
    if OURS.iter().any(|o| name.eq_ignore_ascii_case(o)) {
        let help = match name.to_ascii_lowercase().as_str() {
            "host" => "the host is the one of `url`",
            "proxy-authorization" => "the login of a proxy stands in its address, under `proxy`",
            _ => "leave it out",
        };
        return Some((format!("the header `{name}` follows from the request"), Some(help)));
    }
    None
}

/// Every fault of the parameters as written.
pub fn written(params: &Json) -> Vec<Fault> {
    let mut faults = Vec::new();
    let mut push = |pointer: &str, at_key: bool, message: String, help: Option<&str>| {
        faults.push(Fault { pointer: pointer.to_owned(), at_key, message, help: help.map(str::to_owned) });
    };
    let given = |key: &str| params.get(key).is_some_and(|v| !v.is_null());
    let text = |key: &str| params.get(key).and_then(Json::as_str);

    let sent: Vec<&str> = ["body", "json", "file"].into_iter().filter(|k| given(k)).collect();
    if let [first, others @ ..] = sent.as_slice() {
        for other in others {
            let message = format!("`{other}` stands beside `{first}`, and one thing is sent");
            push(&format!("/{other}"), true, message, Some("leave one of them out"));
        }
        if let Some(method @ ("GET" | "HEAD")) = text("method") {
            let message = format!("a {method} sends nothing, and `{first}` is given");
            push("/method", false, message, Some("write `method: POST`, or leave `method` out"));
        }
    }
    for (one, other) in [("username", "password"), ("password", "username")] {
        if given(one) && !given(other) {
            let message = format!("`{one}` is given and `{other}` is not");
            push(&format!("/{one}"), true, message, Some("a token without a user goes under `headers`"));
        }
    }

    let headers = params.get("headers").and_then(Json::as_object);
    let mut seen: Vec<&str> = Vec::new();
    for name in headers.into_iter().flatten().map(|(name, _)| name) {
        let pointer = format!("/headers/{}", name.replace('~', "~0").replace('/', "~1"));
        if let Some((message, help)) = header(name) {
            push(&pointer, true, message, help);
        } else if let Some(first) = seen.iter().find(|s| s.eq_ignore_ascii_case(name)) {
            push(&pointer, true, format!("the header `{first}` is there already"), Some("case does not count in it"));
        } else if name.eq_ignore_ascii_case("authorization") && given("username") {
            let help = "write `username` and `password`, or the header";
            push(&pointer, true, "a login stands under `username` already".to_owned(), Some(help));
        }
        seen.push(name);
    }

    if let Some(url) = text("url").filter(|u| !u.trim_start().starts_with("${{")) {
        let templated = url.contains("${{");
        let shown = if templated { masked(url) } else { url.to_owned() };
        match web::read(&shown) {
            Ok(url) => {
                let secret = [params.get("url"), params.get("headers"), params.get("body"), params.get("json")]
                    .into_iter()
                    .flatten()
                    .any(reads_secret);
                let known = !url.host_str().unwrap_or_default().contains(MASK);
                if known && web::in_clear(&url) && (secret || given("password")) {
                    let host = url.host_str().unwrap_or_default();
                    let message = format!("a secret would travel to `{host}` in clear text");
                    push(
                        "/url",
                        false,
                        message,
                        Some("write `https://`; clear text with a secret is for this machine only"),
                    );
                }
            }
            // With a port that is computed it cannot be read yet, and a value may have its own beginning.
            Err(flaw) if !templated || !flaw.what.starts_with("is no address") => {
                push("/url", false, format!("`url` {}", flaw.what), Some(flaw.hint));
            }
            Err(_) => {}
        }
    }
    faults
}

/// A text with [`MASK`] in place of each template.
fn masked(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${{") {
        out += before;
        out += MASK;
        rest = after.split_once("}}").map_or("", |(_, rest)| rest);
    }
    out + rest
}

/// Whether a value reads a secret by its name.
fn reads_secret(value: &Json) -> bool {
    match value {
        Json::String(text) => text.split("${{").skip(1).any(|t| t.trim_start().starts_with("secrets.")),
        Json::Array(items) => items.iter().any(reads_secret),
        Json::Object(map) => map.values().any(reads_secret),
        _ => false,
    }
}
