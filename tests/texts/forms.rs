//! Secrets in the forms in which the common tools print them: none is seen, wherever it comes from.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::PathBuf;

use crate::everything;
use crate::smtp::{Server, python};
use crate::world::World;

/// Letters that are written otherwise by each of the tools.
const SECRET: &str = "Gnu's \"7\" $x ä/+&\\<Yak>-canary";

/// Writes every form that the tools of this machine give to a file, one a line, and prints them.
const CODE: &str = r#"
import base64, html, json, os, pathlib, shlex, subprocess, sys, textwrap, urllib.parse
text = os.environ["SECRET"]
raw = text.encode()
out = []
for n in (0, 1, 2):
    for width, before in ((76, 50 + n), (64, 42 + n)):
        data = b"x" * before + raw
        out += textwrap.wrap(base64.b64encode(data).decode(), width)
    out += base64.encodebytes(b"x" * (50 + n) + raw).decode().split()
out += textwrap.wrap((b"x" * 24 + raw).hex(), 60) + textwrap.wrap((b"x" * 24 + raw).hex().upper(), 60)
out += [raw.hex(), raw.hex().upper(), raw.hex(" "), raw.hex(":"), raw.hex(" ", 2), "\\x" + raw.hex()]
out += ["".join("\\x%02x" % b for b in raw), repr(text), repr(text + "'"), repr(raw), ascii(text)]
out += [shlex.quote(text), shlex.join(["cmd", text]), json.dumps(text), json.dumps(text).replace("/", "\\/")]
out += [json.dumps({"a": json.dumps(text)}), "".join("\\u%04x" % ord(c) for c in text)]
out += [html.escape(text), html.escape(text).replace("&#x27;", "&#39;"), text.encode("ascii", "xmlcharrefreplace").decode()]
for quote in (urllib.parse.quote, urllib.parse.quote_plus):
    quoted = quote(text, safe="")
    out += [quoted, urllib.parse.quote(text)]
    out += ["".join(c.lower() if quoted[max(i - 2, 0):i].count("%") else c for i, c in enumerate(quoted))]
out += ["'" + text.replace("'", "''") + "'", "E'" + text.replace("\\", "\\\\").replace("'", "''") + "'"]
def bash(script, locale):
    env = {"PATH": os.environ["PATH"], "SECRET": text, "LC_ALL": locale}
    ran = subprocess.run(["bash", "-c", script], env=env, capture_output=True)
    return [l for l in (ran.stdout + ran.stderr).decode().splitlines() if l]
for locale in ("C.UTF-8", "C"):
    out += bash('printf "%q\\n" "$SECRET"; echo "${SECRET@Q}"', locale)
    out += bash('set -x; : "$SECRET"; curl_is="$SECRET"; [ "$SECRET" = y ]', locale)
pathlib.Path("truth.json").write_text(json.dumps(out))
for line in out:
    print(line)
    print("said: " + line, file=sys.stderr)
sys.exit(int(sys.argv[1]))
"#;

/// What must be seen nowhere: every line that a tool printed, as far as it is more than the secret's neighbours.
fn truth(world: &World) -> Vec<String> {
    let text = std::fs::read_to_string(world.path("truth.json")).expect("the program ran");
    let all: Vec<String> = serde_json::from_str(&text).expect("JSON");
    assert!(all.len() > 50, "{all:?}");
    // Of a line that only says how it was called there is nothing to hide.
    all
}

fn hidden(truth: &[String], all: &[(String, Vec<u8>)]) {
    let mut seen = Vec::new();
    for (place, bytes) in all {
        let text = String::from_utf8_lossy(bytes);
        for part in truth.iter().map(String::as_str).chain(["canary", "Y2FuYXJ5", "636e6172", "Yak>"]) {
            // In a journal each line is escaped once more.
            let escaped = serde_json::to_string(part).expect("JSON");
            if text.contains(part) || text.contains(escaped.trim_matches('"')) {
                seen.push(format!("{part:?} in {place}"));
            }
        }
    }
    assert_eq!(seen, Vec::<String>::new());
}

fn plan(world: &World, code: u8) -> String {
    let script = world.write("forms.py", CODE);
    format!(
        "secrets: {{ s: {{ env: T_SECRET }} }}\nsteps:\n  - {{ id: tools, uses: command, with: {{ argv: ['{}', '{}', '{code}'], env: {{ SECRET: '${{{{ secrets.s }}}}' }} }} }}\n",
        python().display(),
        script.display(),
    )
}

#[test]
fn what_the_common_tools_make_of_a_secret_is_masked() {
    let world = World::new();
    let server = Server::start(&[]);
    for code in [0, 3] {
        let mail = format!(
            "finally:\n  - {{ id: alert, uses: email, with: {{ smtp: {{ host: 127.0.0.1, port: {}, security: none }}, from: a@example.org, to: [b@example.org], attach: ['${{{{ run.log_file }}}}'] }} }}\n",
            server.port
        );
        world.write(
            "plan.yaml",
            format!("version: 1\nname: night\nlogs: {{ dir: logs }}\n{}{mail}", plan(&world, code)),
        );
        let output = world.runplan().args(["plan.yaml", "-v"]).env("T_SECRET", SECRET).output().expect("it runs");
        assert_eq!(output.status.code(), Some(i32::from(code > 0)), "{}", String::from_utf8_lossy(&output.stderr));
        let mut all = everything(&world.path("logs"));
        all.extend(everything(&world.path("state")));
        all.push(("the terminal".to_owned(), [output.stdout, output.stderr].concat()));
        all.extend(server.mails().iter().enumerate().map(|(n, m)| (format!("mail {n}"), m.everything().into_bytes())));
        hidden(&truth(&world), &all);
        let masked = all.iter().map(|(_, b)| String::from_utf8_lossy(b).matches("***").count()).sum::<usize>();
        assert!(masked > 200, "{masked}");
    }
}

#[test]
fn what_a_database_makes_of_a_secret_is_masked() {
    let world = World::with_database();
    let literal = SECRET.replace('\'', "''");
    world.sql(&format!("CREATE TABLE kept AS SELECT '{literal}'::text AS s"));
    let wrapped = "encode(convert_to(repeat('x', 50) || s, 'UTF8'), 'base64')";
    let forms = [
        "quote_literal(s)",
        "quote_ident(s)",
        "encode(convert_to(s, 'UTF8'), 'hex')",
        "convert_to(s, 'UTF8')",
        "encode(convert_to(s, 'UTF8'), 'escape')",
        "to_json(s)",
        "row(s)",
        wrapped,
    ];
    let notices: String =
        forms.iter().map(|f| format!("RAISE WARNING '%', (SELECT ({f})::text FROM kept); ")).collect();
    let sql = format!(
        "DO $$ BEGIN {notices} RAISE WARNING '%', (SELECT {wrapped} FROM kept); RAISE EXCEPTION '%', (SELECT quote_literal(s) FROM kept); END $$"
    );
    world.write("say.sql", sql);
    let plan = "version: 1\nname: night\nlogs: { dir: logs }\nsecrets: { s: { env: T_SECRET } }\nsteps:\n  - { id: say, uses: sql, with: { file: say.sql } }\n\
                finally:\n  - { uses: command, with: { argv: ['true'], env: { S: '${{ secrets.s }}' } } }\n";
    world.write("plan.yaml", plan);
    let output = world.runplan().args(["plan.yaml", "-v"]).env("T_SECRET", SECRET).output().expect("it runs");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.matches("***").count() > 8, "{said}");
    let mut all = everything(&world.path("logs"));
    all.push(("the terminal".to_owned(), [output.stdout, output.stderr].concat()));
    hidden(&[world.sql(&format!("SELECT translate({wrapped}, E'\\n', '') FROM kept"))], &all);
    for line in world.sql(&format!("SELECT {wrapped} FROM kept")).lines() {
        hidden(&[line.to_owned()], &all);
    }
}

#[test]
fn a_secret_across_the_end_of_what_is_taken_of_an_answer_is_masked() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let answer = format!("{}{SECRET}{}", "x".repeat((64 << 10) - 12), "y".repeat(200_000));
    let serving = std::thread::spawn(move || {
        for _ in 0..2 {
            let (mut stream, _) = listener.accept().expect("a request");
            let _ = stream.read(&mut [0; 4096]);
            let head =
                format!("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {}\r\n\r\n", answer.len());
            let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(answer.as_bytes()));
        }
    });
    let world = World::new();
    for header in ["", ", headers: { X-T: '${{ secrets.s }}' }"] {
        let plan = format!(
            "version: 1\nname: night\nlogs: {{ dir: logs }}\nsecrets: {{ s: {{ env: T_SECRET }} }}\nsteps:\n\
             \x20 - {{ uses: command, with: {{ argv: ['true'], env: {{ S: '${{{{ secrets.s }}}}' }} }} }}\n\
             \x20 - {{ id: ask, uses: http, with: {{ url: 'http://127.0.0.1:{port}/'{header} }} }}\n"
        );
        world.write("plan.yaml", plan);
        // The header cannot hold this secret whole, so the plain request is the one that must pass.
        let secret = if header.is_empty() { SECRET } else { "Gnu-7-Yak-canary-0123456789" };
        let output = world.runplan().args(["plan.yaml", "--format", "json"]).env("T_SECRET", secret).output();
        let output = output.expect("it runs");
        assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
        let all = [everything(&world.path("logs")), vec![("JSON".to_owned(), output.stdout)]].concat();
        if header.is_empty() {
            for (place, bytes) in &all {
                assert!(!String::from_utf8_lossy(bytes).contains("Gnu"), "{place}");
            }
        }
    }
    serving.join().expect("it served");
}

#[test]
fn what_a_program_for_a_secret_prints_is_never_shown() {
    let world = World::new();
    let path: PathBuf = world.path("ask");
    crate::world::script(
        &path,
        "set -x\ncurl='X-Token: canary-of-the-store'\necho canary-half\necho canary-reason >&2\nexit 4",
    );
    let plan = format!(
        "secrets: {{ s: {{ command: ['{}'] }} }}\nsteps:\n  - {{ uses: command, with: {{ argv: ['true'], env: {{ S: '${{{{ secrets.s }}}}' }} }} }}\n",
        path.display()
    );
    let run = world.run(&plan, &["-v"]).ends(77).says("exit status: 4").says("is not shown");
    let mut all = everything(&world.path("logs"));
    all.push(("the terminal".to_owned(), run.said.into_bytes()));
    hidden(&[], &all);
}
