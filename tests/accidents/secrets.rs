//! Secrets that a program prints in every way: nothing of them is in an argument list, a file, a mail or on the terminal.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::night::Night;
use crate::smtp::python;

/// Met nowhere else, each with letters that are written otherwise in some encoding.
const ZIP: &str = "Okapi \"7\" $x ä/+&canary";
const LINES: &str = "-----BEGIN CANARY-----\nTapirAAAAbbbb1111+/==\nTapirCCCCdddd2222/+==\n-----END CANARY-----\n";
const PG: &str = "PGPASSWORD";

/// Prints a secret, which it has from the environment, as programs do: on both streams, whole, within words, encoded, line
/// by line, in an output of the step, and as its last words before it fails.
const CODE: &str = r#"
import base64, json, os, sys, urllib.parse
out = []
for name in ("ZIP", "LINES", "PG"):
    text = os.environ[name]
    raw = text.encode()
    out += [text, "password=" + text + ";", repr(text), json.dumps(text), json.dumps(text, ensure_ascii=False)]
    out += [json.dumps(json.dumps({"password": text}))]
    out += [base64.b64encode(b"x" * n + raw + b"tail").decode() for n in range(3)]
    out += [base64.urlsafe_b64encode(b"u" * n + raw).decode() for n in range(3)]
    out += [urllib.parse.quote(text, safe=""), urllib.parse.quote(text), urllib.parse.quote_plus(text)]
    out += [urllib.parse.quote(text, safe="").lower() if text.isascii() and text.islower() else ""]
    out += ["https://u:" + urllib.parse.quote(text, safe="") + "@host/", text * 3]
    out += [line for line in text.splitlines()] + ["> " + line for line in text.splitlines()]
for line in out:
    print(line)
    print(line, file=sys.stderr)
if "RUNPLAN_OUTPUT" in os.environ:
    with open(os.environ["RUNPLAN_OUTPUT"], "w") as outputs:
        outputs.write("token=" + os.environ["ZIP"] + "\n")
sys.exit(int(sys.argv[1]))
"#;

/// What must not be seen: the secrets whole, their lines, and each in every encoding, with the ends left out that depend
/// on what stands beside it.
fn canaries(secrets: &[&str]) -> Vec<String> {
    let code = r#"
import base64, json, sys, urllib.parse
seen = set()
for text in sys.argv[1:]:
    for part in [text] + [l for l in text.splitlines() if l.strip()]:
        raw = part.encode()
        seen |= {part, json.dumps(part)[1:-1], json.dumps(part, ensure_ascii=False)[1:-1], repr(part)[1:-1]}
        seen |= {urllib.parse.quote(part, safe=""), urllib.parse.quote(part), urllib.parse.quote_plus(part)}
        for n in range(3):
            for encode in (base64.b64encode, base64.urlsafe_b64encode):
                seen.add(encode(b"x" * n + raw).decode().rstrip("=")[(0, 2, 3)[n]:-1])
print(json.dumps(sorted(s for s in seen if len(s) >= 4)))
"#;
    let output = Command::new(python()).args(["-c", code]).args(secrets).output().expect("python");
    serde_json::from_slice(&output.stdout).expect("JSON")
}

/// The arguments of every process there was meanwhile, but those of the tests' own.
struct Watch {
    stop: Arc<AtomicBool>,
    thread: std::thread::JoinHandle<(u64, BTreeSet<String>)>,
}

impl Watch {
    fn start() -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            let (mut rounds, mut seen) = (0, BTreeSet::new());
            while !flag.load(Ordering::Relaxed) {
                for entry in std::fs::read_dir("/proc").expect("/proc").flatten() {
                    let line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
                    if !line.is_empty() {
                        seen.insert(String::from_utf8_lossy(&line).replace('\0', " "));
                    }
                }
                rounds += 1;
            }
            (rounds, seen)
        });
        Self { stop, thread }
    }

    fn end(self) -> (u64, BTreeSet<String>) {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().expect("it ends")
    }
}

/// Every byte of every file below a folder, as text, with its path.
fn everything(dir: &Path, all: &mut Vec<(String, String)>) {
    for entry in std::fs::read_dir(dir).expect("a folder").flatten() {
        let path = entry.path();
        if path.is_dir() {
            everything(&path, all);
        } else {
            let bytes = std::fs::read(&path).unwrap_or_default();
            all.push((path.display().to_string(), String::from_utf8_lossy(&bytes).into_owned()));
        }
    }
}

#[test]
fn what_a_program_prints_of_its_secrets_is_seen_nowhere_in_no_encoding() {
    let mut night = Night::new();
    let code = night.world.write("leak.py", CODE);
    let env = "env: { ZIP: '${{ secrets.zip }}', LINES: '${{ secrets.lines }}', PG: '${{ secrets.pg }}' }";
    let leak = |code_of_exit: u8, more: &str| {
        format!(
            "uses: command, with: {{ argv: ['{}', '{}', '{code_of_exit}'], {env}{more} }}",
            python().display(),
            code.display()
        )
    };
    night.edit("secrets: {", &format!("secrets: {{ lines: {{ file: key.pem }}, pg: {{ env: {PG} }},"));
    let first = format!(
        "steps:\n  - {{ id: leak, {} }}\n  - {{ id: say, uses: command, with: {{ argv: [cat], stdin: '${{{{ secrets.lines }}}}' }} }}\n",
        leak(0, ", outputs: { token: { type: string } }")
    );
    night.edit("steps:\n", &first);
    // After the backup it fails, so that its last words go into the error, the report and the mail.
    night.edit("on_failure:\n", &format!("  - {{ id: last, {} }}\non_failure:\n", leak(3, "")));
    let key = night.world.write("key.pem", LINES);
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600)).expect("a mode");
    let password = std::env::var(PG).expect("a password");
    let canaries = canaries(&[ZIP, LINES, &password]);
    assert!(canaries.len() > 40, "{canaries:?}");

    let watch = Watch::start();
    let run = |arguments: &[&str]| -> String {
        let output = night.command(arguments).env("TEST_ZIP", ZIP).output().expect("the binary runs");
        crate::world::Run::from(output).ends(3 - 2).said
    };
    let mut all = vec![("the terminal".to_owned(), run(&["-v"])), ("JSON".to_owned(), run(&["--format", "json"]))];
    let dry = night.command(&["-n"]).env("TEST_ZIP", ZIP).output().expect("the binary runs");
    all.push(("a dry run".to_owned(), crate::world::Run::from(dry).said));
    let (rounds, seen) = watch.end();
    assert!(rounds > 20, "the processes were looked at {rounds} times");
    assert!(seen.iter().any(|l| l.contains("pg_dump")) && seen.iter().any(|l| l.contains("leak.py")), "{seen:?}");
    all.push(("the arguments of a process".to_owned(), seen.into_iter().collect::<Vec<_>>().join("\n")));

    std::fs::remove_file(&key).expect("the key, which has a right to it");
    everything(&night.world.path(""), &mut all);
    let mails = night.server.mails();
    assert_eq!(mails.len(), 2);
    all.extend(mails.iter().enumerate().map(|(n, m)| (format!("mail {n}"), m.everything())));
    let masked: usize = all.iter().map(|(_, t)| t.matches("***").count()).sum();
    assert!(masked > 400, "the program was heard, {masked} times");
    let shown: Vec<String> = canaries
        .iter()
        .flat_map(|c| {
            all.iter().filter(move |(_, t)| t.contains(c.as_str())).map(move |(p, _)| format!("{c:?} in {p}"))
        })
        .collect();
    assert_eq!(shown, Vec::<String>::new());
}
