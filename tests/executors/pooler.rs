//! A connection pooler between runplan and the server: in transaction mode a lock of a session belongs to nobody.
//!
//! The pooler is our own: each transaction of a client is given a session of the server that is free, as pgbouncer does with
//! `pool_mode = transaction`.

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use crate::world::{Run, World};

/// Which free session of the server the next transaction is given.
#[derive(Clone, Copy)]
enum Order {
    /// The one that became free last.
    Last,
    /// A new one, else the one that has been free longest.
    New,
}

/// Sessions of the server: those that were used, and those that a login opened and nobody has used yet.
#[derive(Default)]
struct Pool {
    idle: VecDeque<TcpStream>,
    spare: VecDeque<TcpStream>,
}

impl Pool {
    fn take(&mut self, order: Order) -> TcpStream {
        let next = match order {
            Order::Last => self.idle.pop_back().or_else(|| self.spare.pop_front()),
            Order::New => self.spare.pop_front().or_else(|| self.idle.pop_front()),
        };
        next.expect("each login brings a session of the server")
    }
}

/// Starts a pooler before the server of the environment; it ends with the test.
fn start(order: Order) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let pool = Arc::new(Mutex::new(Pool::default()));
    std::thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let pool = Arc::clone(&pool);
            // What ends a client is seen by the client.
            std::thread::spawn(move || drop(serve(client, &pool, order)));
        }
    });
    port
}

/// A message with its type and length, as PostgreSQL writes it on the wire.
fn message(from: &mut TcpStream) -> io::Result<(u8, Vec<u8>)> {
    let mut head = [0u8; 5];
    from.read_exact(&mut head)?;
    let length = u32::from_be_bytes(head[1..].try_into().expect("four bytes")) as usize;
    let mut whole = head.to_vec();
    whole.resize(1 + length, 0);
    from.read_exact(&mut whole[5..])?;
    Ok((head[0], whole))
}

/// Lets a client log in over a session of its own, and gives that to the pool.
fn log_in(client: &mut TcpStream, pool: &Mutex<Pool>) -> io::Result<()> {
    let startup = loop {
        let mut length = [0u8; 4];
        client.read_exact(&mut length)?;
        let mut whole = length.to_vec();
        whole.resize(u32::from_be_bytes(length) as usize, 0);
        client.read_exact(&mut whole[4..])?;
        match u32::from_be_bytes(whole[4..8].try_into().expect("four bytes")) {
            // The questions for TLS and GSSAPI.
            80_877_103 | 80_877_104 => client.write_all(b"N")?,
            80_877_102 => return Err(io::ErrorKind::Unsupported.into()),
            _ => break whole,
        }
    };
    let variable =
        |name: &str| std::env::var(name).unwrap_or_else(|_| panic!("{name}: run `tests/sandbox cargo test`"));
    let mut server = TcpStream::connect(format!("{}:{}", variable("PGHOST"), variable("PGPORT")))?;
    server.write_all(&startup)?;
    loop {
        let (kind, whole) = message(&mut server)?;
        client.write_all(&whole)?;
        match kind {
            // Of the requests for authentication all but "ok" and the end of SASL want an answer.
            b'R' if !matches!(whole[8], 0 | 12) => server.write_all(&message(client)?.1)?,
            b'Z' => break,
            _ => {}
        }
    }
    pool.lock().expect("a pool").spare.push_back(server);
    Ok(())
}

fn serve(mut client: TcpStream, pool: &Mutex<Pool>, order: Order) -> io::Result<()> {
    log_in(&mut client, pool)?;
    let mut held: Option<TcpStream> = None;
    loop {
        let (mut kind, mut whole) = message(&mut client)?;
        if kind == b'X' {
            return Ok(());
        }
        let mut server = match held.take() {
            Some(server) => server,
            None => pool.lock().expect("a pool").take(order),
        };
        // As far as to what has the server answer.
        loop {
            server.write_all(&whole)?;
            if matches!(kind, b'Q' | b'S') {
                break;
            }
            (kind, whole) = message(&mut client)?;
        }
        let state = loop {
            let (kind, whole) = message(&mut server)?;
            client.write_all(&whole)?;
            if kind == b'Z' {
                break whole[5];
            }
        };
        match state {
            b'I' => pool.lock().expect("a pool").idle.push_back(server),
            _ => held = Some(server),
        }
    }
}

const PLAN: &str =
    "version: 1\nname: night\nlogs: { dir: logs }\nsteps:\n  - { id: tidy, uses: vacuum, with: { tables: [t] } }\n";

fn run(world: &World, port: Option<u16>) -> Run {
    world.write("plan.yaml", PLAN);
    let mut command = world.runplan();
    command.envs(port.map(|port| ("PGPORT", port.to_string())));
    command.arg("plan.yaml").output().expect("the binary runs").into()
}

#[test]
fn behind_a_pooler_in_transaction_mode_no_lock_is_trusted_or_left() {
    let world = World::with_database();
    world.sql("CREATE TABLE t (id int)");
    let locks = "SELECT count(*) FROM pg_locks l JOIN pg_database d ON d.oid = l.database \
                 WHERE locktype = 'advisory' AND datname = current_database()";
    let said = run(&world, Some(start(Order::Last))).ends(0).says("`t`: done");
    said.says("is reached through a connection pooler in transaction mode, where no lock lasts");
    // The pooler still has its sessions.
    assert_eq!(world.sql(locks), "0");
    run(&world, None).ends(0).never_says("pooler");
}

#[test]
fn a_statement_that_a_pooler_lost_is_explained() {
    let world = World::with_database();
    world.sql("CREATE TABLE t (id int)");
    run(&world, Some(start(Order::New))).ends(1).says("is there a connection pooler in transaction mode in between?");
}
