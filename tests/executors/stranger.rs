//! A server that belongs to somebody else: what it is told of a password.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use crate::world::{Run, World};

/// A server that says it is a PostgreSQL server without TLS, asks for a password as it is, and keeps what it gets.
struct Stranger {
    port: u16,
    heard: Receiver<Vec<u8>>,
}

impl Stranger {
    /// One at an address of this machine.
    fn at(ip: &str) -> Self {
        let listener = TcpListener::bind((ip, 0)).expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let (send, heard) = channel();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let send = send.clone();
                std::thread::spawn(move || drop(send.send(talk(stream))));
            }
        });
        Self { port, heard }
    }

    /// Everything that was said to it, once it is quiet.
    fn heard(&self) -> String {
        let mut all = Vec::new();
        while let Ok(words) = self.heard.recv_timeout(Duration::from_millis(500)) {
            all.extend(words);
        }
        String::from_utf8_lossy(&all).into_owned()
    }
}

/// Refuses TLS, asks for the password, and gives what was answered.
fn talk(mut stream: TcpStream) -> Vec<u8> {
    let mut said = Vec::new();
    stream.set_read_timeout(Some(Duration::from_secs(2))).expect("a limit");
    let mut read = |stream: &mut TcpStream| {
        let mut buffer = [0; 4096];
        let size = stream.read(&mut buffer).unwrap_or(0);
        said.extend_from_slice(&buffer[..size]);
        buffer[..size].to_vec()
    };
    let first = read(&mut stream);
    // An SSLRequest has eight bytes and the number 80877103.
    if first.len() == 8 && first[4..] == 80_877_103_i32.to_be_bytes() {
        let _ = stream.write_all(b"N");
        read(&mut stream);
    }
    let _ = stream.write_all(&[b"R", &8_i32.to_be_bytes()[..], &3_i32.to_be_bytes()[..]].concat());
    read(&mut stream);
    said
}

/// An address of this machine that is not a loopback one; there is one wherever there is a network.
fn other_address() -> String {
    let socket = std::net::UdpSocket::bind("0.0.0.0:0").expect("a socket");
    // Nothing is sent: the address is the one that would be used.
    socket.connect("192.0.2.1:9").expect("a network");
    socket.local_addr().expect("an address").ip().to_string()
}

const STEP: &str = "steps:\n  - { uses: sql, with: { statement: SELECT 1 } }\n";

fn run(world: &World, host: &str, port: u16, more: &str, arguments: &[&str]) -> Run {
    let plan = format!(
        "version: 1\nname: night\nlogs: {{ dir: logs }}\nsecrets: {{ pw: {{ file: key }} }}\ndatabase: {{ host: {host}, port: {port}, user: me, dbname: x, password: '${{{{ secrets.pw }}}}'{more} }}\n{STEP}"
    );
    world.write("plan.yaml", plan);
    world.write("key", "canary-of-a-key");
    world.runplan().args(arguments).arg("plan.yaml").output().expect("it runs").into()
}

#[test]
fn a_password_is_not_sent_as_it_is_to_another_machine() {
    let world = World::new();
    let address = other_address();
    let stranger = Stranger::at(&address);
    run(&world, &address, stranger.port, "", &["run"])
        .ends(1)
        .says("asks for the password in clear text")
        .says("sslmode: verify-full");
    let heard = stranger.heard();
    assert!(heard.contains("database") && !heard.contains("canary"), "{heard:?}");
    run(&world, &address, stranger.port, ", sslmode: disable", &["run"]).ends(1).says("in clear text");
    assert!(!stranger.heard().contains("canary"));
    // On this machine nobody else listens.
    let neighbour = Stranger::at("127.0.0.1");
    run(&world, "127.0.0.1", neighbour.port, "", &["run"]).ends(1).says("connection closed");
    assert!(neighbour.heard().contains("canary"));
    // Unless the user says that it is not to be.
    world.write("plan.yaml", "");
    let mut command = world.runplan();
    run(&world, "127.0.0.1", neighbour.port, "", &["validate"]).ends(0);
    let required = command.arg("plan.yaml").env("PGREQUIREAUTH", "scram-sha-256").output().expect("it runs");
    Run::from(required).ends(1).says("`PGREQUIREAUTH` is `scram-sha-256`");
    assert!(!neighbour.heard().contains("canary"));
}

#[test]
fn a_dry_run_sends_no_password_to_a_server_that_only_the_plan_names() {
    let world = World::new();
    let stranger = Stranger::at("127.0.0.1");
    for _ in 0..2 {
        run(&world, "127.0.0.1", stranger.port, "", &["-n"]).ends(0).says("not connected").says("--connect");
        assert_eq!(stranger.heard(), "", "not even a connection without it");
    }
    // The file is not so much as opened: nobody ever writes to this pipe.
    let command = format!("rm key; mkfifo key; exec timeout 20 {} -n plan.yaml", env!("CARGO_BIN_EXE_runplan"));
    let piped = std::process::Command::new("bash").args(["-c", &command]).current_dir(world.path("")).output();
    Run::from(piped.expect("it runs")).ends(0).says("not connected");
    std::fs::remove_file(world.path("key")).expect("it is there");
    run(&world, "127.0.0.1", stranger.port, "", &["-n", "--connect"]).ends(0).says("connection closed");
    assert!(stranger.heard().contains("canary-of-a-key"));
    // Neither does the user's own password go there, by whatever way it is given.
    let plan = format!(
        "version: 1\nname: night\nlogs: {{ dir: logs }}\ndatabase: {{ host: localhost, port: {}, user: me, dbname: x }}\n{STEP}",
        stranger.port
    );
    world.write("plan.yaml", plan.replace("uses: sql, with: { statement: SELECT 1 }", "uses: vacuum"));
    let with = |name: &str, value: &str, more: &[&str]| -> Run {
        let mut command = world.runplan();
        command.args(["-n", "plan.yaml"]).args(more).env_remove("PGPASSWORD").env(name, value);
        command.output().expect("it runs").into()
    };
    with("PGPASSWORD", "canary-around", &[]).ends(0).says("not connected").says("--connect");
    assert!(!stranger.heard().contains("canary"));
    with("PGPASSWORD", "canary-around", &["--connect"]).ends(1);
    assert!(stranger.heard().contains("canary-around"));
    let pass = world.write("pass", "*:*:*:*:canary-for-any");
    std::fs::set_permissions(&pass, std::os::unix::fs::PermissionsExt::from_mode(0o600)).expect("it is ours");
    let pass = pass.to_string_lossy().into_owned();
    with("PGPASSFILE", &pass, &[]).ends(0).says("not connected");
    assert!(!stranger.heard().contains("canary"));
    world.write("pass", "localhost:*:*:*:canary-for-any-port");
    with("PGPASSFILE", &pass, &[]).ends(0).says("not connected");
    assert!(!stranger.heard().contains("canary"));
    // A line that names the host and the port is the user's own word.
    world.write("pass", format!("localhost:{}:*:*:canary-for-this", stranger.port));
    with("PGPASSFILE", &pass, &[]).ends(1);
    assert!(stranger.heard().contains("canary-for-this"));
    world.runplan().args(["run", "plan.yaml", "--connect"]).output().map(Run::from).expect("it runs").ends(2);
}

#[test]
fn a_dry_run_logs_in_where_the_users_own_settings_point() {
    let world = World::new();
    let own = Stranger::at("127.0.0.1");
    run(&world, "127.0.0.1", own.port, "", &["validate"]).ends(0);
    let plan = std::fs::read_to_string(world.path("plan.yaml")).expect("a plan");
    for plan in [plan.clone(), plan.replace(&format!("host: 127.0.0.1, port: {}, ", own.port), "")] {
        world.write("plan.yaml", plan.replace("uses: sql, with: { statement: SELECT 1 }", "uses: vacuum"));
        let mut command = world.runplan();
        command.args(["-n", "plan.yaml"]).env("PGHOST", "localhost").env("PGPORT", own.port.to_string());
        Run::from(command.output().expect("it runs")).ends(1);
        assert!(own.heard().contains("canary-of-a-key"));
    }
}

/// A server that lets everybody in and answers every statement with the head of a message of 2 GiB.
fn boaster(before_login: bool) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            std::thread::spawn(move || {
                let mut buffer = [0; 4096];
                let mut hear = |stream: &mut TcpStream| stream.read(&mut buffer).unwrap_or(0);
                hear(&mut stream);
                let _ = stream.write_all(b"N");
                hear(&mut stream);
                if !before_login {
                    let _ = stream.write_all(b"R\0\0\0\x08\0\0\0\0Z\0\0\0\x05I");
                    hear(&mut stream);
                }
                let _ = stream.write_all(b"E\x7f\xff\xff\xff");
                let more = [b'x'; 1 << 16];
                while stream.write_all(&more).is_ok() {}
            });
        }
    });
    port
}

#[test]
fn a_server_that_claims_a_huge_message_is_left_at_once() {
    for (before_login, most) in [(true, "29.3 KiB"), (false, "16.0 MiB")] {
        let world = World::new();
        let port = boaster(before_login);
        let run = run(&world, "127.0.0.1", port, "", &[]).ends(1);
        run.says(&format!("the server claims a message of 2.00 GiB, and at most {most} are expected there"));
    }
}
