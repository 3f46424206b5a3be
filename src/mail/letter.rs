//! A letter: who, to whom, about what, in text and in HTML, with what attached.

use chrono::{DateTime, Utc};
use lettre::message::header::{ContentTransferEncoding, ContentType, HeaderName, HeaderValue};
use lettre::message::{Body, Message, MultiPart, SinglePart};

use super::Mailbox;
use crate::diag;
use crate::step::StepError;

/// A letter before it is sent.
#[derive(Debug, Clone)]
pub struct Letter {
    pub from: Mailbox,
    pub to: Vec<Mailbox>,
    pub cc: Vec<Mailbox>,
    /// One line; line breaks in it become blanks.
    pub subject: String,
    pub text: String,
    /// The same as `text`, for readers that show HTML.
    pub html: String,
    pub attachments: Vec<Attachment>,
    pub date: DateTime<Utc>,
    /// With its angle brackets; the same for the same letter, so that one that arrives twice can be told.
    pub message_id: String,
}

/// A file that goes along.
#[derive(Debug, Clone)]
pub struct Attachment {
    /// The name without a folder.
    pub name: String,
    pub content: Vec<u8>,
}

/// A text for a header: spaces for line ends and tabs, other control characters made visible, so that it stays one header.
pub fn one_line(text: &str) -> String {
    diag::clean(&text.split_whitespace().collect::<Vec<_>>().join(" "))
}

impl Letter {
    /// Everybody who gets it, each once.
    pub fn recipients(&self) -> Vec<Mailbox> {
        let mut all: Vec<Mailbox> = Vec::new();
        for mailbox in self.to.iter().chain(&self.cc) {
            if !all.iter().any(|m| m.email == mailbox.email) {
                all.push(mailbox.clone());
            }
        }
        all
    }

    /// The letter as it travels (RFC 5322).
    ///
    /// # Errors
    /// It cannot be put into that form.
    pub fn formatted(&self) -> Result<Vec<u8>, StepError> {
        let mut builder = Message::builder()
            .from(self.from.clone())
            .subject(one_line(&self.subject))
            .date(self.date.into())
            .message_id(Some(one_line(&self.message_id)))
            .user_agent(format!("runplan {}", env!("CARGO_PKG_VERSION")))
            // Asks other programs not to answer, like those that say somebody is on holiday (RFC 3834).
            .raw_header(header("Auto-Submitted", "auto-generated"));
        for mailbox in &self.to {
            builder = builder.to(mailbox.clone());
        }
        for mailbox in &self.cc {
            builder = builder.cc(mailbox.clone());
        }
        let both = MultiPart::alternative_plain_html(self.text.clone(), self.html.clone());
        let message = match self.attachments.as_slice() {
            [] => builder.multipart(both),
            attachments => {
                let whole = MultiPart::mixed().multipart(both);
                builder.multipart(attachments.iter().fold(whole, |whole, a| whole.singlepart(part(a))))
            }
        };
        message.map(|m| m.formatted()).map_err(|e| StepError::because("putting the mail together", &e))
    }
}

fn header(name: &'static str, value: &str) -> HeaderValue {
    HeaderValue::new(HeaderName::new_from_ascii_str(name), value.to_owned())
}

fn part(attachment: &Attachment) -> SinglePart {
    let name = one_line(&attachment.name).replace(['"', '\\', '/'], "_");
    let kind = match name.rsplit_once('.').map(|(_, e)| e.to_ascii_lowercase()).as_deref() {
        Some("log" | "txt" | "md" | "sql" | "yaml" | "yml") => "text/plain; charset=utf-8",
        Some("csv") => "text/csv; charset=utf-8",
        Some("html" | "htm") => "text/html; charset=utf-8",
        Some("json" | "jsonl") => "application/json",
        Some("zip") => "application/zip",
        Some("pdf") => "application/pdf",
        _ => "application/octet-stream",
    };
    let kind = ContentType::parse(kind).unwrap_or(ContentType::TEXT_PLAIN);
    // Base64 gives every byte back as it was, line ends too.
    let body = Body::new_with_encoding(attachment.content.clone(), ContentTransferEncoding::Base64);
    let body = body.unwrap_or_else(Body::new);
    lettre::message::Attachment::new(name).body(body, kind)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mail::address;

    fn letter() -> Letter {
        let mailbox = |t: &str| address(t).expect("an address");
        Letter {
            from: mailbox("runplan <backup@example.org>"),
            to: vec![mailbox("dba@example.org"), mailbox("José <jose@example.org>")],
            cc: vec![mailbox("Again <dba@example.org>"), mailbox("boss@example.org")],
            subject: "failed\r\nBcc: thief@example.org\n\nhello".to_owned(),
            text: "text — with an accent\n.\n".to_owned(),
            html: "<p>html</p>".to_owned(),
            attachments: vec![Attachment { name: "a\r\nX: y\".log".to_owned(), content: b"one\ntwo\r\n".to_vec() }],
            date: DateTime::UNIX_EPOCH,
            message_id: "<1@example.org>".to_owned(),
        }
    }

    #[test]
    fn a_line_break_starts_no_header() {
        let bytes = letter().formatted().expect("a letter");
        let text = String::from_utf8(bytes).expect("ASCII");
        let head = text.split("\r\n\r\n").next().unwrap_or_default();
        assert!(head.contains("Subject: failed Bcc: thief@example.org hello\r\n"), "{head}");
        assert!(!text.lines().any(|l| l.starts_with("Bcc:") || l.starts_with("X:")), "{text}");
        assert!(text.is_ascii() && text.lines().all(|l| l.len() < 998), "{text}");
    }

    #[test]
    fn nobody_gets_it_twice() {
        let names: Vec<String> = letter().recipients().iter().map(|m| m.email.to_string()).collect();
        assert_eq!(names, ["dba@example.org", "jose@example.org", "boss@example.org"]);
    }
}
