//! How much is taken of what has no end: lines, answers, logs.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::time::{Duration, Instant};

use crate::everything;
use crate::world::World;

#[test]
fn a_log_stops_growing_at_its_size_and_ends_as_it_should() {
    let world = World::new();
    let line = "x".repeat(1000);
    let plan = |more: &str| {
        format!(
            "version: 1\nname: night\nlogs: {{ dir: logs{more} }}\nsteps:\n  - {{ id: loud, uses: command, timeout: 5m, with: {{ argv: [sh, -c, 'yes {line} | head -5000; exit 3'] }} }}\n"
        )
    };
    let size = |files: &[(String, Vec<u8>)]| files.iter().map(|(_, b)| b.len()).sum::<usize>();
    world.write("plan.yaml", plan(", max_size: 256KiB"));
    let output = world.runplan().args(["plan.yaml", "-q"]).output().expect("it runs");
    assert_eq!(output.status.code(), Some(1));
    let files = everything(&world.path("logs"));
    assert!(size(&files) < 300 << 10, "{}", size(&files));
    for (path, bytes) in &files {
        let text = String::from_utf8_lossy(bytes);
        assert_eq!(text.matches("`logs.max_size`").count(), 1, "{path}: {text:.300}");
        assert!(text.contains("exit status 3") && text.contains("exit_code\":1") != path.ends_with(".log"), "{path}");
    }
    let history = world.runplan().args(["history", "plan.yaml"]).output().expect("it runs");
    assert!(String::from_utf8_lossy(&history.stdout).contains("failed"), "{history:?}");
    std::fs::remove_dir_all(world.path("logs")).expect("logs");
    world.write("plan.yaml", plan(""));
    world.runplan().args(["plan.yaml", "-q"]).output().expect("it runs");
    assert!(size(&everything(&world.path("logs"))) > 5 << 20);
}

#[test]
fn a_long_line_is_cut_and_a_very_long_one_is_left_out() {
    let world = World::new();
    let plan = "version: 1\nname: night\nlogs: { dir: logs }\nsteps:\n  - uses: command\n    with:\n      argv: [sh, -c, \"head -c 3000000 /dev/zero | tr '\\\\0' x; echo; head -c 100000 /dev/zero | tr '\\\\0' y; echo; echo after\"]\n";
    world.write("plan.yaml", plan);
    let output = world.runplan().args(["plan.yaml", "-q"]).output().expect("it runs");
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let files = everything(&world.path("logs"));
    assert!(files.iter().all(|(_, bytes)| bytes.len() < 100_000), "{:?}", files.iter().map(|f| f.1.len()));
    let log = files.iter().find(|(path, _)| path.ends_with(".log")).expect("a log");
    let text = String::from_utf8_lossy(&log.1);
    assert!(text.contains("(a line of more than 1024 KiB is left out)") && text.contains("after"), "{text:.500}");
    assert!(text.contains("yyy … (83616 bytes are left out)") && !text.contains("xx"), "{text:.500}");
}

#[test]
fn a_mail_server_whose_answer_has_no_end_is_given_up() {
    for tls in ["none", "tls"] {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let serving = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().expect("a connection");
            let mut sent = 0u64;
            let _ = stream.set_write_timeout(Some(Duration::from_secs(20)));
            // In clear text the server speaks first.
            if tls == "tls" {
                let _ = stream.read(&mut [0; 1]);
            }
            while let Ok(n) = stream.write(&[b'2'; 65536]) {
                sent += n as u64;
            }
            sent
        });
        let world = World::new();
        let plan = format!(
            "steps:\n  - {{ id: mail, uses: email, with: {{ smtp: {{ host: 127.0.0.1, port: {port}, security: {tls} }}, from: a@example.org, to: [b@example.org] }} }}\n"
        );
        let started = Instant::now();
        let run = world.run(&plan, &[]).ends(1);
        assert!(started.elapsed() < Duration::from_secs(9), "{}", run.said);
        assert!(tls == "tls" || run.said.contains("the answer is longer than 1024 KiB"), "{}", run.said);
        let sent = serving.join().expect("it served");
        assert!(sent < 16 << 20, "{sent} bytes were taken");
    }
}
