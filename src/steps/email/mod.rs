//! `email`: a mail that says how the run went.

mod attach;
mod report;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::mail::{self, Letter, Mailbox};
use crate::quantity::Size;
use crate::step::{Area, Check, Class, Fault, Look, Preflight, Preview, Probe, RunFacts, Step, StepError, Touch};
use crate::value::Value;
use attach::Attach;

/// Send a mail.
///
/// Without a `body` the mail is a report of the run, in text and HTML: the plan, the host, what failed and why, every
/// step with its status, and the last lines of the log. Every address is checked before the run, secrets are masked,
/// and an encrypted connection never falls back to clear text. An attachment that is missing, or too large for the
/// server, does not stop the mail: the mail says so.
///
/// A temporary error of the server (4xx), or a server that cannot be reached, is transient: `retry` repeats it. A
/// refusal (5xx) is final. If some recipients are refused, the others get the mail, and the step fails and names the
/// refused ones.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Params {
    /// Mail server.
    smtp: mail::Settings,
    /// Sender, like `backup@example.org` or `Backups <backup@example.org>`.
    from: String,
    /// Recipients.
    #[schemars(length(min = 1))]
    to: Vec<String>,
    /// Recipients of a carbon copy.
    #[serde(default)]
    cc: Vec<String>,
    /// Subject. Default: the plan, the result of the run and the host.
    #[serde(default)]
    subject: Option<String>,
    /// Text of the mail. Default: a report of the run.
    #[serde(default)]
    body: Option<String>,
    /// Files to attach, like `${{ run.log_file }}`. Secrets are masked in the log of the run only, not in other files.
    #[serde(default)]
    #[schemars(extend("x-runplan-path" = true))]
    attach: Vec<String>,
    /// Maximum size of one attachment. Of a larger text file only the beginning and the end are attached; another file
    /// is left out.
    #[serde(default = "five_mebibytes")]
    max_attachment: Size,
}

fn five_mebibytes() -> Size {
    Size(5 << 20)
}

/// Result of the step.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Output {
    /// Message-ID, by which the logs of mail servers name the mail.
    message_id: String,
    /// Number of recipients that the server accepted.
    recipients: u64,
    /// Number of attached files.
    attachments: u64,
}

/// Everything decided.
#[derive(Debug)]
pub struct Work {
    smtp: mail::Settings,
    from: Mailbox,
    to: Vec<Mailbox>,
    cc: Vec<Mailbox>,
    /// None in a dry run that would report how the run went.
    subject: Option<String>,
    body: Option<String>,
    attach: Vec<Attach>,
    max_attachment: Size,
}

/// The executor.
pub struct Email;

impl Step for Email {
    const NAME: &'static str = "email";
    const EXAMPLE: &'static str = "smtp:\n  host: smtp.example.org\n  username: backup\n  password: ${{ secrets.smtp_password }}\nfrom: backup@example.org\nto: [dba@example.org]\nattach: [\"${{ run.log_file }}\"]\n";
    type Params = Params;
    type Output = Output;
    type Work = Work;

    fn check(params: &serde_json::Value) -> Vec<Fault> {
        // What a template gives is looked at when the step is decided.
        let written = |pointer: &str| {
            params.pointer(pointer).and_then(serde_json::Value::as_str).filter(|text| !text.contains("${{"))
        };
        let given = |pointer: &str| params.pointer(pointer).is_some_and(|v| !v.is_null());
        let fault = |pointer, message, help| Fault { pointer, at_key: false, message, help };
        let mut pointers = vec!["/from".to_owned()];
        for list in ["to", "cc"] {
            let count = params.get(list).and_then(serde_json::Value::as_array).map_or(0, Vec::len);
            pointers.extend((0..count).map(|i| format!("/{list}/{i}")));
        }
        let mut faults: Vec<Fault> = pointers
            .into_iter()
            .filter_map(|p| written(&p).and_then(|t| mail::address(t).err()).map(|e| fault(p, e, None)))
            .collect();
        let clear = written("/smtp/security") == Some("none");
        let unfit = mail::unfit(written("/smtp/host"), clear, given("/smtp/username"), given("/smtp/password"));
        faults.extend(unfit.into_iter().map(|u| fault(format!("/smtp/{}", u.key), u.what, Some(u.hint))));
        faults
    }

    async fn preflight(params: Params, look: &Look) -> Preflight {
        let smtp = params.smtp.check(look).err().map(|e| Check::failed(Area::Mail, &e));
        let texts = std::iter::once(&params.from).chain(&params.to).chain(&params.cc);
        let people = texts.filter_map(|t| mail::address(t).err()).map(|e| Check::problem(Area::Parameters, e));
        smtp.into_iter().chain(people).collect::<Vec<_>>().into()
    }

    async fn probe(params: Params, probe: &Probe) -> Vec<Check> {
        // What does not fit together was said already, and a mail server is not bothered before every run.
        if !probe.thorough() || params.smtp.check(probe.look()).is_err() {
            return Vec::new();
        }
        let place = format!("mail server {}", params.smtp.place());
        vec![match mail::greet(probe, &params.smtp).await {
            Ok(()) => {
                let login =
                    params.smtp.username.as_ref().map_or("no login".to_owned(), |u| format!("logged in as `{u}`"));
                Check::ok(Area::Mail, format!("{place} ({}): answers, {login}", params.smtp.security().word()))
            }
            Err(error) if error.class == Class::Sealed => {
                Check::warning(Area::Mail, format!("{place}: not asked, since {}", error.what))
            }
            Err(error) => Check::failed(Area::Mail, &error),
        }]
    }

    async fn plan(params: Params, look: &Look) -> Result<Work, StepError> {
        params.smtp.check(look)?;
        let one = |key: &str, text: &str| mail::address(text).map_err(|e| StepError::new(format!("`{key}`: {e}")));
        let all = |key: &str, texts: &[String]| texts.iter().map(|t| one(key, t)).collect::<Result<Vec<_>, _>>();
        let (from, to, cc) = (one("from", &params.from)?, all("to", &params.to)?, all("cc", &params.cc)?);
        if to.is_empty() {
            return Err(StepError::new("`to` names nobody").hint("a mail needs at least one recipient"));
        }
        let given = params.subject.map(|s| mail::one_line(&s)).filter(|s| !s.is_empty());
        // A run has a log; a dry run has none, and cannot know how the run will go.
        let real = look.facts.log_file.is_some();
        Ok(Work {
            subject: given.or_else(|| real.then(|| report::subject(&look.facts))),
            attach: params.attach.iter().map(|path| Attach::look(look, path)).collect(),
            smtp: params.smtp,
            from,
            to,
            cc,
            body: params.body,
            max_attachment: params.max_attachment,
        })
    }

    fn preview(work: &Work) -> Preview {
        let names = |list: &[Mailbox]| list.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        let mut lines = vec![format!("mail to {}, from {}", names(&work.to), work.from)];
        if !work.cc.is_empty() {
            lines.push(format!("copies to {}", names(&work.cc)));
        }
        lines.push(match &work.subject {
            Some(subject) => format!("subject: {subject}"),
            None => "subject: how the run went".to_owned(),
        });
        let login = work.smtp.username.as_ref().map_or("no login".to_owned(), |user| format!("as `{user}`"));
        lines.push(format!("through {} ({}), {login}", work.smtp.place(), work.smtp.security().word()));
        lines.extend(work.attach.iter().map(|a| a.shown(work.max_attachment)));
        let count = i64::try_from(recipients(&work.to, &work.cc)).unwrap_or(i64::MAX);
        Preview::new(lines).known("recipients", Value::Int(count))
    }

    async fn apply(work: Work, touch: &Touch) -> Result<Output, StepError> {
        let facts = touch.facts();
        let subject = work.subject.clone().unwrap_or_else(|| report::subject(facts));
        let message_id = message_id(&work, &subject, facts);
        let mut attachments = Vec::new();
        let mut notes = Vec::new();
        for attach in &work.attach {
            let (content, note) = attach.read(touch, work.max_attachment).await;
            if let Some(note) = &note {
                touch.log().warn(note);
            }
            attachments.extend(content);
            notes.extend(note);
        }
        let written = |notes: &[String]| match &work.body {
            Some(body) => report::own(body, notes),
            None => report::whole(facts, notes),
        };
        let (text, html) = written(&notes);
        let mut letter = Letter {
            from: work.from.clone(),
            to: work.to.clone(),
            cc: work.cc.clone(),
            subject,
            text,
            html,
            attachments,
            date: touch.look().now,
            message_id,
        };
        match mail::send(touch, &work.smtp, &letter).await {
            Ok(()) => {}
            // A mail without its log is worth more than none.
            Err(unsent) if unsent.too_large && !letter.attachments.is_empty() => {
                for gone in std::mem::take(&mut letter.attachments) {
                    let note =
                        format!("not attached: `{}`: the server refused the mail with it as too large", gone.name);
                    touch.log().warn(&note);
                    notes.push(note);
                }
                touch.log().debug(&unsent.error.what);
                (letter.text, letter.html) = written(&notes);
                mail::send(touch, &work.smtp, &letter).await.map_err(|u| u.error)?;
            }
            Err(unsent) => return Err(unsent.error),
        }
        let count = |n: usize| u64::try_from(n).unwrap_or(u64::MAX);
        Ok(Output {
            recipients: count(letter.recipients().len()),
            attachments: count(letter.attachments.len()),
            message_id: letter.message_id,
        })
    }
}

fn recipients(to: &[Mailbox], cc: &[Mailbox]) -> usize {
    let all: std::collections::BTreeSet<String> = to.iter().chain(cc).map(|m| m.email.to_string()).collect();
    all.len()
}

/// The same for each attempt at the same mail of a run: an attempt that failed after the server had the mail may be
/// followed by another, and mailboxes know the two for one.
fn message_id(work: &Work, subject: &str, facts: &RunFacts) -> String {
    let mut hash = Sha256::new();
    let people = work.to.iter().chain(&work.cc).map(ToString::to_string);
    let files = work.attach.iter().map(|a| a.path.to_string_lossy().into_owned());
    // The same mail of another target is another one.
    let own = [subject.to_owned(), work.body.clone().unwrap_or_default(), facts.target.clone().unwrap_or_default()];
    for text in people.chain(files).chain(own) {
        hash.update(text.as_bytes());
        hash.update([0]);
    }
    let digest: String = hash.finalize().iter().take(8).map(|b| format!("{b:02x}")).collect();
    let plain = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-');
    let host: String = facts.host.chars().filter(plain).collect();
    let host = host.trim_matches(['.', '-']);
    format!("<{}.{digest}@{}>", facts.run, if host.is_empty() { "localhost" } else { host })
}
