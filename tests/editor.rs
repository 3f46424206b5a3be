//! The schema in a real editor's language server, over its protocol: what it offers, what it says, what it marks.
//!
//! Run by `tests/sandbox cargo test`, which installs `yaml-language-server` from npm.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde_json::{Value, json};

struct Server {
    child: Child,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
    schema: String,
    next: u64,
}

impl Server {
    fn start(program: &str) -> Self {
        let mut child = Command::new(program)
            .arg("--stdio")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the language server runs");
        let (to, from) = (child.stdin.take().expect("a pipe"), child.stdout.take().expect("a pipe"));
        let schema = Path::new(env!("CARGO_MANIFEST_DIR")).join("schema/plan.schema.json");
        let schema = format!("file://{}", schema.display());
        let mut server = Self { child, to, from: BufReader::new(from), schema, next: 1 };
        let capabilities = json!({
            "workspace": { "configuration": true },
            "textDocument": { "hover": { "contentFormat": ["markdown"] } },
        });
        server.ask("initialize", json!({ "processId": null, "rootUri": null, "capabilities": capabilities }));
        server.tell("initialized", json!({}));
        server.tell("workspace/didChangeConfiguration", json!({ "settings": { "yaml": server.settings() } }));
        server
    }

    fn settings(&self) -> Value {
        json!({ "validate": true, "hover": true, "completion": true, "schemas": { &self.schema: "*.yaml" } })
    }

    fn send(&mut self, message: &Value) {
        let body = message.to_string();
        write!(self.to, "Content-Length: {}\r\n\r\n{body}", body.len()).expect("the server reads");
        self.to.flush().expect("the server reads");
    }

    fn tell(&mut self, method: &str, params: Value) {
        self.send(&json!({ "jsonrpc": "2.0", "method": method, "params": params }));
    }

    fn receive(&mut self) -> Value {
        let mut length = 0;
        loop {
            let mut line = String::new();
            assert!(self.from.read_line(&mut line).expect("the server writes") > 0, "the server ended");
            match line.trim_end() {
                "" => break,
                header => {
                    if let Some(text) = header.strip_prefix("Content-Length: ") {
                        length = text.parse().expect("a number");
                    }
                }
            }
        }
        let mut body = vec![0; length];
        self.from.read_exact(&mut body).expect("a message");
        serde_json::from_slice(&body).expect("JSON")
    }

    /// Takes messages until one is what was waited for; answers what the server asks on the way.
    fn until(&mut self, wanted: impl Fn(&Value) -> bool) -> Value {
        loop {
            let message = self.receive();
            if message.get("id").is_some() && message.get("method").is_some() {
                let items = message["params"]["items"].as_array().cloned().unwrap_or_default();
                let yaml = self.settings();
                let one = |item: &Value| if item["section"] == "yaml" { yaml.clone() } else { json!({}) };
                let result: Value = items.iter().map(one).collect();
                self.send(&json!({ "jsonrpc": "2.0", "id": message["id"], "result": result }));
            } else if wanted(&message) {
                return message;
            }
        }
    }

    fn ask(&mut self, method: &str, params: Value) -> Value {
        let id = self.next;
        self.next += 1;
        self.send(&json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params }));
        self.until(|m| m["id"] == id && m.get("method").is_none())["result"].take()
    }

    /// Opens a text and waits for what is wrong with it.
    fn open(&mut self, name: &str, text: &str) -> Vec<Value> {
        let document =
            json!({ "uri": format!("file:///plans/{name}"), "languageId": "yaml", "version": 1, "text": text });
        self.tell("textDocument/didOpen", json!({ "textDocument": document }));
        let uri = format!("file:///plans/{name}");
        let published =
            self.until(|m| m["method"] == "textDocument/publishDiagnostics" && m["params"]["uri"] == uri.as_str());
        published["params"]["diagnostics"].as_array().cloned().unwrap_or_default()
    }

    fn at(&mut self, method: &str, name: &str, line: u32, character: u32) -> Value {
        let document = json!({ "uri": format!("file:///plans/{name}") });
        self.ask(method, json!({ "textDocument": document, "position": { "line": line, "character": character } }))
    }

    fn offered(&mut self, name: &str, line: u32, character: u32) -> Vec<String> {
        let answer = self.at("textDocument/completion", name, line, character);
        let items = answer.get("items").unwrap_or(&answer).as_array().cloned().unwrap_or_default();
        items.iter().filter_map(|i| i["label"].as_str().map(str::to_owned)).collect()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn an_editor_completes_explains_and_marks() {
    let program = std::env::var("RUNPLAN_YAML_LANGUAGE_SERVER");
    let program = program.expect("a language server: run `tests/sandbox cargo test`");
    let mut server = Server::start(&program);
    let head = "version: 1\nname: n\nsteps:\n";

    server.open(
        "steps.yaml",
        &format!("{head}  - uses: pg_dump\n    timeout: 2h\n    \n    with:\n      format: custom\n      \n"),
    );
    let keys = server.offered("steps.yaml", 5, 4);
    assert!(["id", "retry", "when", "continue_on_error"].iter().all(|k| keys.contains(&(*k).to_owned())), "{keys:?}");
    server.open("params.yaml", &format!("{head}  - uses: pg_dump\n    with:\n      format: custom\n      \n"));
    let keys = server.offered("params.yaml", 6, 6);
    assert!(["archive", "lock_wait_timeout"].iter().all(|k| keys.contains(&(*k).to_owned())), "{keys:?}");
    assert!(!keys.contains(&"argv".to_owned()), "of its own executor only: {keys:?}");
    server.open("uses.yaml", &format!("{head}  - uses: \n"));
    let words = server.offered("uses.yaml", 3, 10);
    assert!(words.contains(&"pg_dump".to_owned()), "{words:?}");

    let hover = server.at("textDocument/hover", "params.yaml", 5, 8).to_string();
    assert!(hover.contains("Format of the dump") && hover.contains("`plain`: SQL"), "{hover}");

    let wrong = server.open("wrong.yaml", &format!("{head}  - uses: pg_dump\n    with:\n      formt: custom\n"));
    assert_eq!(wrong.len(), 1, "{wrong:?}");
    assert_eq!(wrong[0]["range"]["start"], json!({ "line": 5, "character": 6 }));
    assert!(wrong[0]["message"].as_str().is_some_and(|m| m.contains("formt")), "{wrong:?}");
    let plan = include_str!("plans/ok/expressions.yaml");
    assert_eq!(server.open("right.yaml", plan), Vec::<Value>::new());
}
