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
