//! What comes from outside and would act on a terminal, a page or a log is shown, and does not act.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;

use crate::everything;
use crate::smtp::Server;
use crate::world::World;

/// Sets a terminal's title, moves its cursor, turns text round, begins a line of a log.
const EVIL: &str = "\u{1b}]0;owned\u{7}\u{1b}[2J\u{202e}txt\u{2066}\u{9b}31m\rCR\u{200b}\u{7f}";

/// No byte that acts is in a text: no control character but line feed and tab, nothing that turns text round or hides.
fn harmless(place: &str, bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let acts = |c: char| {
        (c.is_control() && !matches!(c, '\n' | '\t'))
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    if let Some((at, c)) = text.char_indices().find(|(_, c)| acts(*c)) {
        let near: String = text[..at].chars().rev().take(80).collect::<Vec<_>>().into_iter().rev().collect();
        panic!("{c:?} in {place} after {near:?}");
    }
}

/// A JSON text escapes what acts; what it means when it is read is for programs.
fn checked(dir: &std::path::Path) {
    for (path, bytes) in everything(dir) {
        if path.ends_with(".log") || path.ends_with(".xml") || path.ends_with(".md") {
            harmless(&path, &bytes);
        }
    }
}

#[test]
fn what_a_program_prints_does_not_act() {
    let world = World::new();
    let server = Server::start(&[]);
    world.write("evil", format!("{EVIL}\nbad \u{fffd}"));
    std::fs::OpenOptions::new()
        .append(true)
        .open(world.path("evil"))
        .and_then(|mut f| f.write_all(b" \xff\xfe\n::error::owned\n"))
        .expect("bytes");
    let steps = format!(
        "steps:\n  - {{ id: say, name: \"evil {}\", uses: command, with: {{ argv: [sh, -c, 'cat evil; cat evil >&2; exit 3'] }} }}\n\
         on_failure:\n  - {{ uses: email, with: {{ smtp: {{ host: 127.0.0.1, port: {}, security: none }}, from: a@example.org, to: [b@example.org] }} }}\n",
        EVIL.escape_default()
            .to_string()
            .replace("\\u{1b}", "\\e")
            .replace("\\u{7}", "\\a")
            .replace("\\u{202e}", "\\u202e")
            .replace("\\u{2066}", "\\u2066")
            .replace("\\u{9b}", "\\x9b")
            .replace("\\u{200b}", "\\u200b")
            .replace("\\u{7f}", "\\x7f"),
        server.port
    );
    let run = world.run(&steps, &["--report", "junit:r.xml", "--report", "markdown:r.md"]).ends(1);
    harmless("the terminal", run.said.as_bytes());
    run.says("\\x1b]0;owned\\x07\\x1b[2J\\u{202e}txt").says("\\xff\\xfe");
    checked(&world.path("."));
    let mail = &server.mails()[0];
    for part in ["text", "html"] {
        harmless(&format!("the {part} of the mail"), mail.part(part).replace("\r\n", "\n").as_bytes());
        assert!(mail.part(part).contains("\\x1b]0;owned"), "{}", mail.part(part));
    }
    for arguments in [
        &["logs", "last", "--plan", "plan.yaml"][..],
        &["history", "plan.yaml"],
        &["status", "plan.yaml", "--max-age", "1h"],
    ] {
        let run = crate::world::Run::from(world.runplan().args(arguments).output().expect("it runs"));
        harmless(&arguments.join(" "), run.said.as_bytes());
        assert!(run.said.contains("owned") || arguments[0] == "status", "{arguments:?}: {}", run.said);
    }
}

#[test]
fn what_a_server_and_its_names_say_does_not_act() {
    let world = World::with_database();
    world.sql(&format!("CREATE TABLE \"t{EVIL}\n2026-01-01 run ok\" (id int)"));
    let escaped = EVIL.chars().map(|c| format!("\\{:04X}", u32::from(c))).collect::<String>();
    let plan = format!(
        "steps:\n  - {{ id: note, uses: sql, with: {{ statement: \"DO $$ BEGIN RAISE NOTICE '%', U&'{0}'; RAISE WARNING '%', U&'{0}\\\\000Anext line'; END $$\" }} }}\n\
         \x20 - {{ id: vacuum, uses: vacuum, continue_on_error: true }}\n\
         \x20 - {{ id: dump, uses: pg_dump, with: {{ file: 'd-${{{{ run.id }}}}.dump', format: custom }} }}\n\
         \x20 - {{ id: fail, uses: sql, with: {{ statement: \"DO $$ BEGIN RAISE EXCEPTION '%', U&'{0}\\\\000A::error::next'; END $$\" }} }}\n",
        escaped.replace('\\', "\\\\")
    );
    let run = world.run(&plan, &["-v", "--report", "junit:r.xml", "--report", "markdown:r.md"]);
    harmless("the terminal", run.said.as_bytes());
    let run = run.ends(1).says("\\x1b]0;owned\\x07").says("t\\x1b]0;owned");
    assert!(
        !run.said.lines().any(|l| l.trim_start().starts_with("::error") || l.starts_with("next line")),
        "{}",
        run.said
    );
    checked(&world.path("."));
    let dry = world.run(&plan, &["-n"]);
    harmless("the dry run", dry.said.as_bytes());
    let doctor = crate::world::Run::from(world.runplan().args(["doctor", "plan.yaml"]).output().expect("it runs"));
    harmless("doctor", doctor.said.as_bytes());
}

#[test]
fn what_web_and_mail_servers_answer_does_not_act() {
    let world = World::new();
    let web = TcpListener::bind("127.0.0.1:0").expect("a port");
    let web_port = web.local_addr().expect("an address").port();
    std::thread::spawn(move || {
        let (mut stream, _) = web.accept().expect("a request");
        let _ = stream.read(&mut [0; 4096]);
        let _ = stream.write_all(
            format!("HTTP/1.1 404 No\r\nContent-Length: 200\r\n\r\n{EVIL}\n::error::x{}", " ".repeat(200)).as_bytes(),
        );
    });
    let mail = TcpListener::bind("127.0.0.1:0").expect("a port");
    let mail_port = mail.local_addr().expect("an address").port();
    std::thread::spawn(move || {
        let (mut stream, _) = mail.accept().expect("a connection");
        let mut lines = BufReader::new(stream.try_clone().expect("the same")).lines();
        let _ = stream.write_all(b"220 mail\r\n");
        while let Some(Ok(line)) = lines.next() {
            let evil = EVIL.replace('\r', "");
            let answer = if line.starts_with("EHLO") { "250 mail".to_owned() } else { format!("550 no {evil}") };
            let _ = stream.write_all(format!("{answer}\r\n").as_bytes());
        }
    });
    let plan = format!(
        "steps:\n  - {{ id: ask, uses: http, with: {{ url: 'http://127.0.0.1:{web_port}/' }}, continue_on_error: true }}\n\
         \x20 - {{ id: mail, uses: email, with: {{ smtp: {{ host: 127.0.0.1, port: {mail_port}, security: none }}, from: a@example.org, to: [b@example.org] }} }}\n"
    );
    let run = world.run(&plan, &["-v", "--report", "junit:r.xml", "--report", "markdown:r.md"]).ends(1);
    harmless("the terminal", run.said.as_bytes());
    let run = run.says("answered 404").says("550 no \\x1b]0;owned");
    assert!(run.said.contains("\\x1b[2J"), "{}", run.said);
    checked(&world.path("."));
}

#[test]
fn names_of_files_and_plans_do_not_act() {
    let world = World::new();
    let odd = format!("p{}", EVIL.replace('/', ""));
    let file = world.path("").join(std::ffi::OsStr::from_bytes([odd.as_bytes(), b".yaml"].concat().as_slice()));
    std::fs::write(&file, format!("version: 1\nname: night\nlogs: {{ dir: logs }}\nsteps:\n  - {{ uses: copy, with: {{ from: ./x*, to: y }} }}\nnaem: {odd}\n")).expect("a plan");
    for arguments in [
        vec!["validate"],
        vec!["validate", "--format", "github"],
        vec!["validate", "--format", "junit"],
        vec!["run"],
        vec!["show"],
        vec!["doctor"],
    ] {
        let run = crate::world::Run::from(world.runplan().args(&arguments).arg(&file).output().expect("it runs"));
        harmless(&format!("{arguments:?}"), run.said.as_bytes());
        assert!(run.said.contains("owned"), "{}", run.said);
    }
    std::fs::create_dir(world.path("y")).expect("a folder");
    std::fs::write(world.path(&format!("x{odd}")), "x").expect("a file");
    let plan = "steps:\n  - { id: c, uses: copy, with: { from: 'x*', to: y } }\n  - { uses: command, with: { argv: [sh, -c, 'echo y/*; exit 1'] } }\n";
    let run = world.run(plan, &["-v"]);
    harmless("the terminal", run.said.as_bytes());
    checked(&world.path("logs"));
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).expect("a mode");
}
