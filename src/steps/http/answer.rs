//! Whether an answer is the one that is expected.

use serde_json::Value as Json;

use super::Params;
use crate::diag;
use crate::step::StepError;
use crate::web::Answer;

/// The answer as text, and its status with the value that it is; an answer that is not expected is the error.
pub fn judge(
    params: &Params,
    answer: Answer,
    mask: &dyn Fn(&str) -> String,
) -> Result<(String, (u16, Json)), StepError> {
    let Answer { status, place, .. } = &answer;
    let text = answer.text(mask);
    let good = match params.expect_status.as_slice() {
        [] => (200..300).contains(status),
        some => some.contains(status),
    };
    if !good {
        let reason = if answer.reason.is_empty() { String::new() } else { format!(" {}", answer.reason) };
        let what = format!("{place}: answered {status}{reason}{}", quoted(&text));
        let passing = matches!(status, 408 | 425 | 429 | 500..=599);
        let error = if passing { StepError::transient(what) } else { StepError::new(what) };
        let error = StepError { retry_after: answer.retry_after.filter(|_| passing), ..error };
        return Err(error.hint(hint(*status)));
    }
    if let Some(broken) = answer.broken {
        return Err(broken);
    }
    if let Some(expected) = &params.expect_body
        && text.trim() != expected.trim()
    {
        let found = if text.trim().is_empty() { ", and nothing with it".to_owned() } else { quoted(&text) };
        let what = format!("{place}: answered {status}{found}; expected `{}`", line(expected, 100));
        return Err(StepError::new(what).hint("the server did not take it: does it know what `url` names?"));
    }
    let whole = answer.json && !answer.cut;
    let json = if whole { serde_json::from_str(&text).unwrap_or(Json::Null) } else { Json::Null };
    Ok((text, (answer.status, json)))
}

/// What to do about a status.
fn hint(status: u16) -> &'static str {
    match status {
        400 | 422 => "the server does not understand what is sent: see its documentation for the fields that it wants",
        401 | 403 => "check the token or the password, and what it may do",
        404 | 410 => "check `url`: the server knows nothing there",
        405 => "check `method`",
        407 => "the proxy wants a login: see `proxy`",
        413 => "send less",
        415 => "check `headers`: the server wants another `Content-Type`",
        408 | 425 | 429 => "the server wants it later: `retry` tries again",
        500..=599 => "the server has a fault of its own, which may pass: `retry` tries again",
        _ => "`expect_status` says which statuses are good",
    }
}

/// The first lines of an answer, in one line.
fn quoted(text: &str) -> String {
    let first: Vec<&str> = text.lines().map(str::trim).filter(|l| !l.is_empty()).take(3).collect();
    if first.is_empty() { String::new() } else { format!(": `{}`", line(&first.join(" "), 300)) }
}

/// A text in one line of at most so many characters.
fn line(text: &str, most: usize) -> String {
    let clean = diag::clean(text);
    if clean.chars().count() > most { format!("{}…", clean.chars().take(most).collect::<String>()) } else { clean }
}
