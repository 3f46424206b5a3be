//! Mail through a real server. Run by `tests/sandbox cargo test`.

mod smtp;

use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use smtp::Server;

const PASSWORD: &str = "canary-Quokka/58 \"é\"";
const LOGIN: &str = "backup:canary-Quokka/58 \"é\"";

fn runplan(dir: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_runplan"));
    command.current_dir(dir).env("XDG_STATE_HOME", dir.join("state")).env("NO_COLOR", "1");
    command.env("RP_SMTP", PASSWORD).env("RP_OTHER", "canary-Wombat-17");
    command
}

fn run(dir: &Path, plan: &str, arguments: &[&str]) -> Output {
    std::fs::write(dir.join("plan.yaml"), plan).expect("a plan can be written");
    runplan(dir).arg("plan.yaml").args(arguments).output().expect("the binary runs")
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// The beginning of a plan whose mails go through a server on this machine.
fn head(port: u16, smtp: &str) -> String {
    format!(
        "version: 1\nname: night\nlogs: {{ dir: logs }}\nsecrets: {{ smtp: {{ env: RP_SMTP }}, other: {{ env: RP_OTHER }} }}\n\
         defaults: {{ email: {{ smtp: {{ host: 127.0.0.1, port: {port}, {smtp} }}, from: 'Backups <backup@example.org>' }} }}\n"
    )
}

const CLEAR: &str = "security: none";

/// What logs in, and trusts the authority in `file`.
fn login(file: &Path) -> String {
    format!("username: backup, password: '${{{{ secrets.smtp }}}}', ca_file: '{}'", file.display())
}

/// The files of the one run in `dir`: the log and the events.
fn logs(dir: &Path) -> (String, String) {
    let runs: Vec<_> = std::fs::read_dir(dir.join("logs/night")).expect("logs").flatten().collect();
    assert_eq!(runs.len(), 1, "one run");
    let read = |name: &str| std::fs::read_to_string(runs[0].path().join(name)).expect("a log");
    (read("run.log"), read("events.jsonl"))
}

fn hidden(text: &str) {
    // The middle of each secret in base64, at every alignment.
    let parts = ["Quokka", "UXVva2th", "F1b2trY", "RdW9ra2", "Wombat", "V29tYmF0", "dvbWJhd", "Xb21iYX"];
    for part in parts {
        assert!(!text.contains(part), "{part} in {text}");
    }
}

#[test]
fn a_failure_sends_one_mail_with_the_log_and_a_good_run_sends_none() {
    let server = Server::start(&["--tls", "starttls", "--login", LOGIN]);
    let dir = tempfile::tempdir().expect("a folder");
    let plan = head(server.port, &login(&server.ca_file()))
        + "params: { code: { type: string, default: '3' }, mail_to: { type: array, items: { type: string }, default: [dba@example.org, 'José <jose@example.org>'] } }\n\
           steps:\n  - { id: first, uses: command, with: { argv: [echo, hello] } }\n\
           \x20 - { id: dump, uses: command, with: { argv: [sh, -c, 'echo \"<b>oops</b> $PW\" >&2; exit ${{ params.code }}'], env: { PW: '${{ secrets.other }}' } } }\n\
           \x20 - { id: after, uses: command, with: { argv: [echo, never] } }\n\
           on_failure:\n  - uses: email\n    with:\n      to: ${{ params.mail_to }}\n      cc: [dba@example.org, boss@example.org]\n\
           \x20     subject: '[runplan] ${{ plan.name }} failed at ${{ failure.step }} — é'\n      attach: ['${{ run.log_file }}']\n";
    let output = run(dir.path(), &plan, &[]);
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    let mails = server.mails();
    assert_eq!(mails.len(), 1, "{}", said(&output));
    let mail = &mails[0];
    assert_eq!(mail.header("Subject"), "[runplan] night failed at dump — é");
    assert_eq!(mail.header("From"), "Backups <backup@example.org>");
    assert_eq!(mail.header("To"), "dba@example.org, José <jose@example.org>");
    assert_eq!(mail.header("Cc"), "dba@example.org, boss@example.org");
    assert_eq!(mail.header("Auto-Submitted"), "auto-generated");
    assert!(mail.header("Message-ID").starts_with('<') && !mail.header("Date").is_empty());
    assert_eq!(mail.recipients(), ["dba@example.org", "jose@example.org", "boss@example.org"]);
    assert_eq!((mail.part("mail_from"), mail.part("login"), mail.tls()), ("backup@example.org", "backup", true));
    assert_eq!(mail.defects(), [""; 0]);

    let text = mail.part("text");
    for part in [
        "Plan night failed at dump.",
        "\nStep      dump\n",
        "\nError     `sh` ended with exit status 3: <b>oops</b> ***\n",
        "\n  first (command)  ok ",
        "\n  dump (command)   failed ",
        "\n  after (command)  skipped",
        "first: hello",
        "dump: failed after 0.0 s: `sh` ended with exit status 3",
    ] {
        assert!(text.replace("\r\n", "\n").contains(part), "{part}: {text}");
    }
    let html = mail.part("html");
    assert!(html.contains("&lt;b&gt;oops&lt;/b&gt; ***") && !html.contains("<b>"), "{html}");
    assert!(html.contains("first (command)</td>"), "{html}");

    let (log, events) = logs(dir.path());
    let attachments = mail.attachments();
    assert_eq!(attachments.len(), 1);
    let (name, kind, bytes, content) = &attachments[0];
    assert_eq!((name.as_str(), kind.as_str()), ("run.log", "text/plain"));
    assert!(*bytes > 200 && log.starts_with(content.as_str()), "{content}");
    assert!(content.contains("exit status 3: <b>oops</b> ***"), "{content}");
    for text in [&mail.everything(), &log, &events, &said(&output)] {
        hidden(text);
    }
    assert!(!server.clear_text().contains("AUTH") && server.clear_text().contains("STARTTLS"));

    let output = run(dir.path(), &plan, &["-p", "code=0"]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    assert_eq!(server.connections(), 1, "a good run sends nothing");
}

#[test]
fn implicit_tls_and_the_default_subject_work() {
    let server = Server::start(&["--tls", "implicit", "--login", LOGIN]);
    let dir = tempfile::tempdir().expect("a folder");
    let plan = head(server.port, &(login(&server.ca_file()) + ", security: tls"))
        + "steps:\n  - { uses: command, with: { argv: [echo, hello] } }\non_success:\n\
           \x20 - { id: mail, uses: email, with: { to: [dba@example.org] } }\n\
           \x20 - { uses: command, with: { argv: [echo, 'sent ${{ steps.mail.outputs.message_id }} to ${{ steps.mail.outputs.recipients }}'] } }\n";
    let output = run(dir.path(), &plan, &[]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let mails = server.mails();
    assert_eq!(mails.len(), 1, "{}", said(&output));
    let mail = &mails[0];
    assert!(mail.tls() && mail.part("login") == "backup" && server.clear_text().is_empty());
    assert!(mail.header("Subject").starts_with("[runplan] night went well on "), "{}", mail.header("Subject"));
    assert!(mail.part("text").contains("steps[0] (command)"), "{}", mail.part("text"));
    assert!(said(&output).contains(&format!("sent {} to 1", mail.header("Message-ID"))), "{}", said(&output));
    assert!(mail.attachments().is_empty());
}

#[test]
fn a_wrong_password_is_said_without_it_and_not_tried_again() {
    let server = Server::start(&["--tls", "starttls", "--login", "backup:something else"]);
    let dir = tempfile::tempdir().expect("a folder");
    let plan = head(server.port, &login(&server.ca_file()))
        + "steps:\n  - { uses: email, retry: { attempts: 3, delay: 10ms }, with: { to: [dba@example.org] } }\n";
    let output = run(dir.path(), &plan, &[]);
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    let expected = format!("mail server 127.0.0.1:{}: logging in as `backup`: 535", server.port);
    assert!(said(&output).contains(&expected), "{}", said(&output));
    assert!(said(&output).contains("help: check `smtp.username` and `smtp.password`"), "{}", said(&output));
    assert_eq!((server.connections(), server.mails().len()), (1, 0), "{}", said(&output));
    let (log, events) = logs(dir.path());
    [said(&output), log, events, server.clear_text()].iter().for_each(|t| hidden(t));
}

#[test]
fn a_server_that_cannot_be_trusted_gets_nothing() {
    let mail = "steps:\n  - { uses: email, retry: { attempts: 3, delay: 10ms }, with: { to: [dba@example.org] } }\n";
    let known = Server::start(&["--tls", "starttls", "--login", LOGIN]);
    let named = Server::start(&["--tls", "implicit", "--login", LOGIN, "--name", "mail.example.org"]);
    let no_file = "username: backup, password: '${{ secrets.smtp }}'".to_owned();
    for (server, smtp, expected, help) in [
        (&known, no_file, "is of an authority that is not trusted here", "under `smtp.ca_file`"),
        (&known, login(&known.other_ca_file()), "is of no authority in `", "under `smtp.ca_file`"),
        (
            &named,
            login(&named.ca_file()) + ", security: tls",
            "is made out for another name than `127.0.0.1`",
            "under `smtp.host`",
        ),
    ] {
        let dir = tempfile::tempdir().expect("a folder");
        let before = server.connections();
        let output = run(dir.path(), &(head(server.port, &smtp) + mail), &[]);
        assert_eq!(output.status.code(), Some(1), "{}", said(&output));
        assert!(said(&output).contains(expected) && said(&output).contains(help), "{expected}: {}", said(&output));
        assert!(said(&output).contains(&format!("mail server 127.0.0.1:{}", server.port)), "{}", said(&output));
        assert_eq!((server.connections() - before, server.mails().len()), (1, 0), "{}", said(&output));
        let all: String = server.wire().into_iter().map(|(.., said)| said).collect();
        assert!(!all.contains("AUTH") && !all.contains("MAIL"), "{all}");
    }
    let dir = tempfile::tempdir().expect("a folder");
    let smtp = login(Path::new("missing.pem"));
    let output = run(dir.path(), &(head(known.port, &smtp) + mail), &["-n"]);
    let file = dir.path().join("missing.pem");
    assert!(said(&output).contains(&format!("`{}`: No such file", file.display())), "{}", said(&output));
}

#[test]
fn nothing_falls_back_to_clear_text() {
    // It offers a login in clear text, and no STARTTLS.
    let server = Server::start(&["--login", LOGIN]);
    let dir = tempfile::tempdir().expect("a folder");
    let step = "steps:\n  - { uses: email, with: { to: [dba@example.org] } }\n";
    let smtp = "username: backup, password: '${{ secrets.smtp }}'";
    let output = run(dir.path(), &(head(server.port, smtp) + step), &[]);
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    let expected = format!("mail server 127.0.0.1:{} does not offer STARTTLS, and nothing was sent to it", server.port);
    assert!(said(&output).contains(&expected), "{}", said(&output));
    let heard = server.clear_text();
    assert!(!heard.contains("AUTH") && !heard.contains("MAIL"), "{heard}");
    assert!(server.mails().is_empty());

    // Written out, and to this machine, it may.
    let dir = tempfile::tempdir().expect("a folder");
    let output = run(dir.path(), &(head(server.port, &format!("{smtp}, security: none")) + step), &[]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    assert_eq!(server.mails().len(), 1);
    hidden(&said(&output));
}

#[test]
fn a_password_goes_to_another_machine_under_tls_only() {
    let dir = tempfile::tempdir().expect("a folder");
    let plan = |host: &str| {
        format!(
            "version: 1\nname: night\nlogs: {{ dir: logs }}\nparams: {{ host: {{ type: string, default: mail.example.org }} }}\nsecrets: {{ smtp: {{ env: RP_SMTP }} }}\n\
             steps:\n  - uses: email\n    with:\n      smtp: {{ host: '{host}', security: none, username: backup, password: '${{{{ secrets.smtp }}}}' }}\n      from: a@example.org\n      to: [b@example.org]\n"
        )
    };
    let expected = "the password would travel to `mail.example.org` in clear text";
    std::fs::write(dir.path().join("plan.yaml"), plan("mail.example.org")).expect("a plan");
    let output = runplan(dir.path()).args(["validate", "plan.yaml"]).output().expect("runs");
    assert_eq!(output.status.code(), Some(78), "{}", said(&output));
    assert!(said(&output).contains(expected) && said(&output).contains("plan.yaml:9:51"), "{}", said(&output));
    for arguments in [&["-n"][..], &[]] {
        let output = run(dir.path(), &plan("${{ params.host }}"), arguments);
        assert_eq!(output.status.code(), Some(1), "{}", said(&output));
        assert!(said(&output).contains(expected), "{}", said(&output));
    }
}

#[test]
fn a_bad_address_is_seen_before_the_run() {
    let dir = tempfile::tempdir().expect("a folder");
    let server = Server::start(&[]);
    let step = |to: &str| {
        head(server.port, CLEAR)
            + &format!(
                "params: {{ who: {{ type: string, default: nobody }} }}\nsteps:\n  - {{ uses: email, with: {{ to: [{to}] }} }}\n"
            )
    };
    let expected = "expected one mail address, like `dba@example.org`, found `";
    for to in ["nobody", "'a@example.org, b@example.org'", "\"a@example.org\\nBcc: b@example.org\""] {
        let output = run(dir.path(), &step(to), &[]);
        assert_eq!(output.status.code(), Some(78), "{}", said(&output));
        assert!(said(&output).contains(expected), "{}", said(&output));
    }
    assert_eq!(run(dir.path(), &step(""), &[]).status.code(), Some(78), "nobody");
    let output = run(dir.path(), &step("'${{ params.who }}'"), &["-n"]);
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    assert!(said(&output).contains(&format!("`to`: {expected}nobody`")), "{}", said(&output));
    assert_eq!(server.connections(), 0);
}

#[test]
fn a_half_login_and_a_host_that_is_none_are_seen_before_the_run() {
    let dir = tempfile::tempdir().expect("a folder");
    let step = "steps:\n  - { uses: command, with: { argv: ['true'] } }\non_failure:\n  - { uses: email, with: { to: [dba@example.org] } }\n";
    for (from, to, expected) in [
        ("username: backup, ", "", "`smtp.password` is given and `smtp.username` is not"),
        (", password: '${{ secrets.smtp }}'", "", "`smtp.username` is given and `smtp.password` is not"),
        ("host: 127.0.0.1", "host: 'mail.example.org:25'", "`mail.example.org:25` is no host name and no address"),
    ] {
        let plan = head(25, "username: backup, password: '${{ secrets.smtp }}'").replace(from, to) + step;
        std::fs::write(dir.path().join("plan.yaml"), plan).expect("a plan");
        let output = runplan(dir.path()).args(["validate", "plan.yaml"]).output().expect("runs");
        assert_eq!(output.status.code(), Some(78), "{}", said(&output));
        assert!(said(&output).contains(expected), "{expected}: {}", said(&output));
    }
}

#[test]
fn what_the_server_puts_off_is_tried_again_and_what_it_refuses_is_not() {
    let step = "steps:\n  - { uses: email, retry: { attempts: 3, delay: 10ms }, with: { to: [dba@example.org], body: hello } }\n";
    for (reject, code, connections, mails) in
        [("data:451:2", 0, 3, 1), ("data:451", 1, 3, 0), ("data:552", 1, 1, 0), ("rcpt:dba@example.org:450", 1, 3, 0)]
    {
        let server = Server::start(&["--reject", reject]);
        let dir = tempfile::tempdir().expect("a folder");
        let output = run(dir.path(), &(head(server.port, CLEAR) + step), &[]);
        assert_eq!(output.status.code(), Some(code), "{reject}: {}", said(&output));
        assert_eq!(server.connections(), connections, "{reject}: {}", said(&output));
        assert_eq!(server.mails().len(), mails, "{reject}: {}", said(&output));
        let place = format!("127.0.0.1:{}", server.port);
        assert!(said(&output).contains(&place) && said(&output).contains("refused by the test"), "{}", said(&output));
    }
    // Nobody listens where a server was.
    let gone = Server::start(&[]).port;
    let dir = tempfile::tempdir().expect("a folder");
    let output = run(dir.path(), &(head(gone, CLEAR) + step), &[]);
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    assert!(said(&output).contains("attempt 2 of 3 failed"), "{}", said(&output));
    assert!(said(&output).contains(&format!("mail server 127.0.0.1:{gone}: connecting: ")), "{}", said(&output));
    assert!(said(&output).contains("Connection refused"), "{}", said(&output));
}

#[test]
fn one_wrong_address_keeps_the_mail_from_nobody_else() {
    let server = Server::start(&["--reject", "rcpt:gone@example.org:550"]);
    let dir = tempfile::tempdir().expect("a folder");
    let plan = head(server.port, CLEAR)
        + "steps:\n  - { uses: email, retry: { attempts: 3, delay: 10ms }, with: { to: [gone@example.org, dba@example.org] } }\n";
    let output = run(dir.path(), &plan, &[]);
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    let expected = "refused 1 of 2 recipients: `gone@example.org` (550 refused by the test)";
    assert!(said(&output).contains(expected), "{}", said(&output));
    let mails = server.mails();
    assert_eq!(mails.len(), 1, "{}", said(&output));
    assert_eq!(mails[0].recipients(), ["dba@example.org"]);
}

#[test]
fn a_long_log_is_shortened_and_a_missing_file_is_named() {
    let server = Server::start(&[]);
    let dir = tempfile::tempdir().expect("a folder");
    let plan = head(server.port, CLEAR)
        + "steps:\n  - { uses: command, with: { argv: [sh, -c, 'i=0; while [ $i -lt 3000 ]; do i=$((i+1)); echo \"line $i of the night\"; done; exit 1'] } }\n\
           on_failure:\n  - { uses: email, with: { to: [dba@example.org], max_attachment: 20kB, body: 'See below.', attach: ['${{ run.log_file }}', nothere.txt, plan.yaml, ., big.bin] } }\n";
    std::fs::write(dir.path().join("big.bin"), [0u8; 30_000]).expect("a file");
    let output = run(dir.path(), &plan, &[]);
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    let mails = server.mails();
    assert_eq!(mails.len(), 1, "{}", said(&output));
    let attachments = mails[0].attachments();
    let names: Vec<&str> = attachments.iter().map(|(n, ..)| n.as_str()).collect();
    assert_eq!(names, ["run.log", "plan.yaml"]);
    let (_, _, bytes, content) = &attachments[0];
    assert!((18_000..20_200).contains(bytes), "{bytes}");
    assert!(content.contains(" line 1 of the night\n") && !content.contains(" line 1500 of the night\n"), "{content}");
    assert!(content.contains(" line 3000 of the night\n"), "{content}");
    let middle = content.lines().find(|l| l.starts_with("[… ")).expect("a line between");
    let left_out: usize = middle.split(' ').nth(1).and_then(|n| n.parse().ok()).expect("a number");
    let (start, end) = content.split_once(&format!("\n{middle}\n\n")).expect("a line between");
    let (log, _) = logs(dir.path());
    assert!(log.starts_with(start) && log[start.len() + left_out..].starts_with(end), "{content}");
    assert_eq!(attachments[1].3, plan, "a small file goes whole");
    let text = mails[0].part("text");
    for part in [
        "See below.",
        &format!("{left_out} bytes of its middle are left out"),
        &format!("not attached: `{}`: No such file", dir.path().join("nothere.txt").display()),
        &format!("not attached: `{}`: it is a folder, not a regular file", dir.path().display()),
        &format!("not attached: `{}`: it is larger than", dir.path().join("big.bin").display()),
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let absent = format!("not attached: `{}`", dir.path().join("nothere.txt").display());
    assert!(mails[0].part("html").contains(&absent), "{}", mails[0].part("html"));
    assert!(log.contains(&format!("WARNING {absent}")), "{log}");
}

#[test]
fn a_mail_that_is_too_large_for_the_server_goes_without_its_attachments() {
    let server = Server::start(&["--limit", "30000"]);
    let dir = tempfile::tempdir().expect("a folder");
    std::fs::write(dir.path().join("big.txt"), "a line\n".repeat(10_000)).expect("a file");
    let plan = head(server.port, CLEAR)
        + "steps:\n  - { id: mail, uses: email, with: { to: [dba@example.org], attach: [big.txt] } }\n\
           \x20 - { uses: command, with: { argv: [echo, 'with ${{ steps.mail.outputs.attachments }} attachments'] } }\n";
    let output = run(dir.path(), &plan, &[]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let mails = server.mails();
    assert_eq!(mails.len(), 1, "{}", said(&output));
    let note = "not attached: `big.txt`: the server refused the mail with it as too large";
    assert!(mails[0].attachments().is_empty() && mails[0].part("text").contains(note), "{}", mails[0].part("text"));
    assert!(said(&output).contains(note) && said(&output).contains("with 0 attachments"), "{}", said(&output));
}

#[test]
fn answers_that_somebody_put_before_tls_are_not_believed() {
    let mixed = ["--tls", "starttls", "--inject", "--reject", "data:552"];
    let with_login = Server::start(&[&mixed[..], &["--login", LOGIN]].concat());
    let without = Server::start(&mixed);
    let step = "steps:\n  - { uses: email, with: { to: [dba@example.org] } }\n";
    for (server, smtp, expected) in [
        (&with_login, login(&with_login.ca_file()), "logging in as `backup`: expected the answer 235, found `250"),
        (&without, format!("ca_file: '{}'", without.ca_file().display()), "expected the answer 354, found `250"),
    ] {
        let dir = tempfile::tempdir().expect("a folder");
        let output = run(dir.path(), &(head(server.port, &smtp) + step), &[]);
        assert_eq!(output.status.code(), Some(1), "{}", said(&output));
        assert!(said(&output).contains(expected), "{}", said(&output));
        assert!(server.mails().is_empty());
        hidden(&said(&output));
    }
}

#[test]
fn the_alert_goes_whatever_failed() {
    let server = Server::start(&[]);
    let start = head(server.port, CLEAR);
    let alert = "on_failure:\n  - { uses: email, with: { to: [dba@example.org], attach: ['${{ run.log_file }}'] } }\n";
    let sleep = "steps:\n  - { id: sleep, uses: command, with: { argv: [sleep, '30'] } }\n";
    let mut expected = Vec::new();
    let mut seen = |server: &Server, output: &Output, code: i32, parts: &[&str], attached: usize| {
        assert_eq!(output.status.code(), Some(code), "{}", said(output));
        expected.push(code);
        let mails = server.mails();
        assert_eq!(mails.len(), expected.len(), "{}", said(output));
        let mail = &mails[mails.len() - 1];
        assert!(mail.header("Subject").starts_with("[runplan] night failed"), "{}", mail.header("Subject"));
        parts.iter().for_each(|p| assert!(mail.part("text").contains(p), "{p}: {}", mail.part("text")));
        assert_eq!(mail.attachments().len(), attached, "{}", mail.part("text"));
    };

    // A secret is missing that a step reads.
    let dir = tempfile::tempdir().expect("a folder");
    let reads = sleep.replace("'30']", "'30'], env: { O: '${{ secrets.other }}' }");
    std::fs::write(dir.path().join("plan.yaml"), format!("{start}{reads}{alert}")).expect("a plan");
    let output = runplan(dir.path()).arg("plan.yaml").env_remove("RP_OTHER").output().expect("runs");
    seen(&server, &output, 77, &["the secret `other` is missing", "RP_OTHER"], 1);

    // The log cannot be written.
    let dir = tempfile::tempdir().expect("a folder");
    std::fs::write(dir.path().join("logs"), "a file in the way").expect("a file");
    let output = run(dir.path(), &format!("{start}{sleep}{alert}"), &[]);
    let code = output.status.code().unwrap_or_default();
    assert_ne!(code, 0, "{}", said(&output));
    seen(&server, &output, code, &["Error     the log folder", "not attached: `"], 0);

    // The time is over.
    let dir = tempfile::tempdir().expect("a folder");
    let output = run(dir.path(), &format!("{start}timeout: 1s\n{sleep}{alert}"), &[]);
    seen(&server, &output, 124, &["timeout of", "Step      sleep"], 1);

    // Another run holds the lock; then a signal ends that one.
    let dir = tempfile::tempdir().expect("a folder");
    std::fs::write(dir.path().join("plan.yaml"), format!("{start}{sleep}{alert}")).expect("a plan");
    let first = runplan(dir.path()).arg("plan.yaml").stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let first = first.expect("runs");
    std::thread::sleep(Duration::from_millis(1500));
    let second = runplan(dir.path()).arg("plan.yaml").output().expect("runs");
    seen(&server, &second, 75, &["another run holds the lock"], 1);
    Command::new("kill").args(["-TERM", &first.id().to_string()]).status().expect("kill");
    let first = first.wait_with_output().expect("it ends");
    seen(&server, &first, 143, &["terminated by SIGTERM", "Step      sleep"], 1);
}

#[test]
fn a_line_break_in_a_subject_stays_in_it() {
    let server = Server::start(&[]);
    let dir = tempfile::tempdir().expect("a folder");
    let plan = head(server.port, CLEAR)
        + "params: { text: { type: string } }\nsteps:\n  - { uses: email, with: { to: [dba@example.org], subject: '${{ params.text }}', body: \"one\\n.\\nRCPT TO:<x@example.org>\\n\" } }\n";
    let text = "text=hello\r\nBcc: thief@example.org\r\n\r\nbody\r\n.\r\nRCPT TO:<thief@example.org>";
    let output = run(dir.path(), &plan, &["-p", text]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let mails = server.mails();
    assert_eq!(mails.len(), 1, "{}", said(&output));
    assert_eq!(mails[0].header("Subject"), "hello Bcc: thief@example.org body . RCPT TO:<thief@example.org>");
    assert!(mails[0].headers("Bcc").is_empty());
    assert_eq!(mails[0].recipients(), ["dba@example.org"]);
    assert_eq!(mails[0].part("text").replace("\r\n", "\n").trim_end(), "one\n.\nRCPT TO:<x@example.org>");
}

#[test]
fn a_dry_run_says_what_would_go_and_asks_nobody() {
    let server = Server::start(&["--tls", "starttls", "--login", LOGIN]);
    let dir = tempfile::tempdir().expect("a folder");
    let plan = head(server.port, &login(&server.ca_file()))
        + "steps:\n  - { uses: email, with: { to: [dba@example.org], cc: [boss@example.org], subject: 'good\\n morning', attach: [plan.yaml, '${{ run.log_file }}'] } }\n\
           on_success:\n  - { uses: email, with: { to: [dba@example.org] } }\n";
    let output = run(dir.path(), &plan, &["-n"]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    for part in [
        "mail to dba@example.org, from Backups <backup@example.org>",
        "copies to boss@example.org",
        "subject: good\\n morning",
        &format!("through 127.0.0.1:{} (starttls), as `backup`", server.port),
        &format!("attaches `{}`, ", dir.path().join("plan.yaml").display()),
        "run.log`, which is not there now",
        "subject: how the run went",
    ] {
        assert!(said(&output).contains(part), "{part}: {}", said(&output));
    }
    assert_eq!(server.connections(), 0);
    assert!(!dir.path().join("logs").exists() && !dir.path().join("state").exists());
}

#[test]
fn a_server_that_says_nothing_is_given_up_and_a_signal_is_heeded() {
    let server = Server::start(&["--silent"]);
    let dir = tempfile::tempdir().expect("a folder");
    let plan =
        head(server.port, "security: starttls") + "steps:\n  - { uses: email, with: { to: [dba@example.org] } }\n";
    let clock = Instant::now();
    let output = run(dir.path(), &plan, &[]);
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    assert!(said(&output).contains("no answer in 10 s"), "{}", said(&output));
    assert!((9..14).contains(&clock.elapsed().as_secs()), "{:?}", clock.elapsed());

    let dir = tempfile::tempdir().expect("a folder");
    std::fs::write(dir.path().join("plan.yaml"), &plan).expect("a plan");
    let before = server.connections();
    let mut child =
        runplan(dir.path()).arg("plan.yaml").stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("runs");
    let clock = Instant::now();
    while server.connections() == before && clock.elapsed() < Duration::from_secs(8) {
        std::thread::sleep(Duration::from_millis(50));
    }
    Command::new("kill").args(["-TERM", &child.id().to_string()]).status().expect("kill");
    assert_eq!(child.wait().expect("it ends").code(), Some(143));
    assert!(clock.elapsed() < Duration::from_secs(8), "{:?}", clock.elapsed());
}

#[test]
fn the_plan_of_the_documentation_is_valid() {
    let dir = tempfile::tempdir().expect("a folder");
    let plan = "version: 1\nname: nightly\nparams:\n  mail_to: { type: array, items: { type: string }, default: [dba@example.org] }\n\
                secrets: { smtp_password: { env: RUNPLAN_SMTP_PASSWORD } }\n\
                defaults:\n  email: { smtp: { host: smtp.example.org, port: 587, username: backup, password: \"${{ secrets.smtp_password }}\" }, from: backup@example.org }\n\
                steps:\n  - { id: dump, uses: command, with: { argv: ['true'] } }\n\
                on_failure:\n  - uses: email\n    with:\n      to: ${{ params.mail_to }}\n      subject: \"[runplan] ${{ plan.name }} failed at ${{ failure.step }}\"\n      attach: [\"${{ run.log_file }}\"]\n";
    std::fs::write(dir.path().join("plan.yaml"), plan).expect("a plan");
    let output = runplan(dir.path()).args(["validate", "plan.yaml"]).output().expect("runs");
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    // A secret may stand in the password, and nowhere else of a mail.
    for (from, to) in [
        ("subject: \"[runplan]", "subject: \"${{ secrets.smtp_password }}"),
        ("attach: [", "body: \"${{ secrets.smtp_password }}\"\n      attach: ["),
        ("host: smtp.example.org", "host: '${{ secrets.smtp_password }}'"),
        ("attach: [", "attach: ['${{ secrets.smtp_password }}', "),
    ] {
        std::fs::write(dir.path().join("plan.yaml"), plan.replace(from, to)).expect("a plan");
        let output = runplan(dir.path()).args(["validate", "plan.yaml"]).output().expect("runs");
        assert_eq!(output.status.code(), Some(78), "{to}: {}", said(&output));
        assert!(said(&output).contains("RP0401"), "{to}: {}", said(&output));
    }
}

#[test]
fn the_same_mail_of_two_targets_is_two_mails() {
    let server = Server::start(&[]);
    let dir = tempfile::tempdir().expect("a folder");
    let plan = format!(
        "version: 1\nname: night\nlogs: {{ dir: logs }}\ntargets: {{ max_parallel: 2, list: [{{ name: crm }}, {{ name: shop }}] }}\n\
         defaults: {{ email: {{ smtp: {{ host: 127.0.0.1, port: {}, {CLEAR} }}, from: a@example.org, to: [dba@example.org] }} }}\n\
         steps:\n  - {{ id: bad, uses: command, with: {{ argv: [\"false\"] }} }}\n\
         on_failure:\n  - {{ uses: email, with: {{ subject: failed, body: 'look, please' }} }}\n",
        server.port
    );
    let output = run(dir.path(), &plan, &[]);
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    let mails = server.mails();
    assert_eq!(mails.len(), 2, "{}", said(&output));
    // A mailbox takes two with one id for the same.
    assert_ne!(mails[0].header("Message-ID"), mails[1].header("Message-ID"));
}
