//! What a server answered, as far as it is taken.

use std::time::Duration;

use chrono::{DateTime, Utc};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderMap, HeaderName, LOCATION, RETRY_AFTER};
use hyper::{Response, StatusCode};

use super::Place;
use crate::diag;
use crate::step::{StepError, chain};

/// The most that is taken of an answer, in bytes.
pub const TAKEN: usize = 64 << 10;
/// How much more is read, so that a secret at the end of what is taken is whole when it is masked.
const OVERLAP: usize = 64 << 10;

/// What a server answered.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    /// What the status means, as the standard says it.
    pub reason: &'static str,
    /// The beginning of the answer: more than is taken of it, see [`Answer::text`].
    read: Vec<u8>,
    /// There was more of it than is taken.
    pub cut: bool,
    /// It says that it is JSON.
    pub json: bool,
    /// How long the server wants to be left alone.
    pub retry_after: Option<Duration>,
    /// Where it sends the request.
    pub(super) location: Option<String>,
    /// Where it came from.
    pub place: Place,
    /// The answer broke off: the server had the request, and what it said of it is known in part.
    pub broken: Option<StepError>,
}

impl Answer {
    /// Reads an answer.
    pub(super) async fn read(response: Response<Incoming>, place: Place, now: DateTime<Utc>) -> Self {
        let (head, mut incoming) = response.into_parts();
        let (mut read, mut broken) = (Vec::new(), None);
        while let Some(frame) = incoming.frame().await {
            match frame {
                Ok(frame) => {
                    let data = frame.into_data().unwrap_or_default();
                    let room = TAKEN + OVERLAP - read.len();
                    read.extend_from_slice(&data[..data.len().min(room)]);
                    if data.len() > room {
                        break;
                    }
                }
                Err(error) => {
                    let what =
                        format!("{place}: answered {}, and the answer broke off: {}", head.status, chain(&error));
                    broken = Some(StepError::transient(what).hint("the server may have done what was asked"));
                    break;
                }
            }
        }
        let text = |name: HeaderName| header(&head.headers, &name);
        let kind = text(CONTENT_TYPE).unwrap_or_default().to_ascii_lowercase();
        let kind = kind.split(';').next().unwrap_or_default().trim();
        Self {
            status: head.status.as_u16(),
            reason: head.status.canonical_reason().unwrap_or_default(),
            json: kind == "application/json" || kind.ends_with("+json"),
            retry_after: text(RETRY_AFTER).and_then(|t| after(&t, now)),
            location: text(LOCATION).filter(|_| redirects(head.status)),
            cut: read.len() > TAKEN,
            read,
            place,
            broken,
        }
    }
}

impl Answer {
    /// The answer as text, its first 64 KiB: masked while it is whole, and then cut.
    pub fn text(&self, mask: impl Fn(&str) -> String) -> String {
        let mut text = mask(&diag::from_bytes(&self.read));
        if self.cut {
            text.truncate(text.floor_char_boundary(TAKEN));
        }
        text
    }
}

/// Whether a status sends the request elsewhere (RFC 9110, section 15.4).
fn redirects(status: StatusCode) -> bool {
    matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308)
}

fn header(headers: &HeaderMap, name: &HeaderName) -> Option<String> {
    headers.get(name).map(|v| String::from_utf8_lossy(v.as_bytes()).trim().to_owned())
}

/// Reads `Retry-After`: seconds, or a date (RFC 9110, section 10.2.3).
fn after(text: &str, now: DateTime<Utc>) -> Option<Duration> {
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = DateTime::parse_from_rfc2822(text).ok()?.with_timezone(&Utc);
    (date - now).to_std().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_says_how_long_it_wants_to_be_left_alone() {
        let now = DateTime::parse_from_rfc3339("2026-11-24T21:30:00Z").expect("a time").with_timezone(&Utc);
        for (text, seconds) in [
            ("120", Some(120)),
            ("0", Some(0)),
            ("Tue, 24 Nov 2026 21:30:30 GMT", Some(30)),
            ("Tue, 24 Nov 2026 21:29:30 GMT", None),
            ("soon", None),
            ("-5", None),
        ] {
            assert_eq!(after(text, now), seconds.map(Duration::from_secs), "{text}");
        }
    }
}
