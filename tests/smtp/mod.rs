//! A real mail server for tests: `server.py` in the Python of `tests/sandbox`. A test file that uses only a part of this
//! says `#[expect(dead_code, reason = "…")]` before its `mod smtp;`.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};

use serde_json::Value;

/// A server that listens until it is dropped.
pub struct Server {
    child: Child,
    /// The server ends when this closes, also when the test is killed.
    _stdin: Option<ChildStdin>,
    pub port: u16,
    dir: tempfile::TempDir,
}

/// A mail that the server took.
pub struct Mail {
    /// As it travelled.
    pub raw: String,
    /// As Python's `email` package reads it.
    seen: Value,
}

/// The Python of `tests/sandbox`.
pub fn python() -> PathBuf {
    std::env::var_os("RUNPLAN_TEST_PYTHON").expect("a Python with aiosmtpd: run `tests/sandbox cargo test`").into()
}

impl Server {
    /// Starts a server; `arguments` are those of `server.py` after its folder.
    pub fn start(arguments: &[&str]) -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/smtp/server.py");
        let mut command = Command::new(python());
        command.arg(script).arg(dir.path()).args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("the mail server starts");
        let mut line = String::new();
        let stdout = child.stdout.take().expect("its output");
        BufReader::new(stdout).read_line(&mut line).expect("its port");
        let port = line.trim().parse().expect("the mail server says its port");
        let _stdin = child.stdin.take();
        Self { child, _stdin, port, dir }
    }

    /// The authority of the server's certificate.
    pub fn ca_file(&self) -> PathBuf {
        self.dir.path().join("ca.pem")
    }

    /// An authority that has nothing to do with the server.
    pub fn other_ca_file(&self) -> PathBuf {
        self.dir.path().join("other-ca.pem")
    }

    /// The mails that it took, in order.
    pub fn mails(&self) -> Vec<Mail> {
        let mail = |n: usize| {
            let seen = std::fs::read_to_string(self.dir.path().join(format!("{n}.json"))).ok()?;
            let raw = std::fs::read(self.dir.path().join(format!("{n}.eml"))).ok()?;
            let seen = serde_json::from_str(&seen).expect("JSON");
            Some(Mail { raw: String::from_utf8_lossy(&raw).into_owned(), seen })
        };
        (1..).map_while(mail).collect()
    }

    /// Everything that was said to it: the number of the connection, whether under TLS, and what.
    pub fn wire(&self) -> Vec<(u64, bool, String)> {
        let text = std::fs::read_to_string(self.dir.path().join("wire.jsonl")).unwrap_or_default();
        let line = |l: &str| {
            let json: Value = serde_json::from_str(l).expect("JSON");
            let said = json["said"].as_str().expect("a text").to_owned();
            (json["connection"].as_u64().expect("a number"), json["tls"] == true, said)
        };
        text.lines().map(line).collect()
    }

    /// What was said to it in clear text.
    pub fn clear_text(&self) -> String {
        self.wire().into_iter().filter(|(_, tls, _)| !tls).map(|(_, _, said)| said).collect()
    }

    /// How many connections it had.
    pub fn connections(&self) -> u64 {
        self.wire().iter().map(|(n, ..)| *n).max().unwrap_or(0)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Mail {
    /// The headers of that name.
    pub fn headers(&self, name: &str) -> Vec<String> {
        let all = self.seen["headers"].as_array().expect("headers");
        let of = all.iter().filter(|h| h[0].as_str().is_some_and(|n| n.eq_ignore_ascii_case(name)));
        of.map(|h| h[1].as_str().expect("a text").to_owned()).collect()
    }

    /// The one header of that name.
    pub fn header(&self, name: &str) -> String {
        let all = self.headers(name);
        assert_eq!(all.len(), 1, "{name}: {all:?}");
        all[0].clone()
    }

    /// `text`, `html`, `mail_from` or `login`.
    pub fn part(&self, name: &str) -> &str {
        self.seen[name].as_str().unwrap_or_default()
    }

    /// Whom the server was told to give it to.
    pub fn recipients(&self) -> Vec<String> {
        let all = self.seen["rcpt_tos"].as_array().expect("recipients");
        all.iter().map(|a| a.as_str().expect("a text").to_owned()).collect()
    }

    /// Whether it came under TLS.
    pub fn tls(&self) -> bool {
        self.seen["tls"] == true
    }

    /// Name, type, size in bytes and content of each attachment.
    pub fn attachments(&self) -> Vec<(String, String, u64, String)> {
        let text = |v: &Value| v.as_str().unwrap_or_default().to_owned();
        let all = self.seen["attachments"].as_array().expect("attachments");
        let one = |a: &Value| (text(&a["name"]), text(&a["type"]), a["bytes"].as_u64().unwrap_or(0), text(&a["text"]));
        all.iter().map(one).collect()
    }

    /// What Python found wrong with it.
    pub fn defects(&self) -> Vec<String> {
        let all = self.seen["defects"].as_array().expect("defects");
        all.iter().map(ToString::to_string).collect()
    }

    /// Every text in it, decoded and as it travelled.
    pub fn everything(&self) -> String {
        format!("{}\n{}", self.raw, self.seen.to_string().replace("\\n", "\n"))
    }
}
