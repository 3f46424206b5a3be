//! A server that goes away: a proxy between the run and PostgreSQL that cuts the connection; and tables that are locked.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::night::{Night, bytes, holding, let_go, until, zips};
use crate::world::Run;

/// When the proxy cuts a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cut {
    Never,
    /// As soon as somebody connects.
    AtConnect,
    /// When the client has sent this.
    WhenAsked(&'static [u8]),
    /// When the server has sent so many bytes after the client began a `COPY`.
    InCopy(usize),
}

/// A proxy on a port of its own.
struct Proxy {
    port: u16,
    cut: Arc<Mutex<(Cut, usize)>>,
    cuts: Arc<AtomicUsize>,
}

impl Proxy {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let cut = Arc::new(Mutex::new((Cut::Never, 0)));
        let cuts = Arc::new(AtomicUsize::new(0));
        let (shared, count) = (Arc::clone(&cut), Arc::clone(&cuts));
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let (shared, count) = (Arc::clone(&shared), Arc::clone(&count));
                std::thread::spawn(move || serve(client, &shared, &count));
            }
        });
        Self { port, cut, cuts }
    }

    /// Cuts so many times in this way, and then no more.
    fn cut(&self, how: Cut, times: usize) {
        *self.cut.lock().expect("nobody panicked") = (how, times);
        self.cuts.store(0, Ordering::SeqCst);
    }

    fn cuts(&self) -> usize {
        self.cuts.load(Ordering::SeqCst)
    }
}

/// Takes one of the cuts that are left.
fn take(shared: &Mutex<(Cut, usize)>, count: &AtomicUsize, fits: impl Fn(Cut) -> bool) -> bool {
    let mut left = shared.lock().expect("nobody panicked");
    let taken = left.1 > 0 && fits(left.0);
    if taken {
        left.1 -= 1;
        count.fetch_add(1, Ordering::SeqCst);
    }
    taken
}

fn serve(client: TcpStream, shared: &Arc<Mutex<(Cut, usize)>>, count: &Arc<AtomicUsize>) {
    if take(shared, count, |cut| cut == Cut::AtConnect) {
        return drop(client.shutdown(Shutdown::Both));
    }
    let port: u16 = std::env::var("PGPORT").expect("a port").parse().expect("a number");
    let server = TcpStream::connect(("127.0.0.1", port)).expect("the server");
    let ends = [client.try_clone().expect("a socket"), server.try_clone().expect("a socket")];
    let close = move || ends.iter().for_each(|end| drop(end.shutdown(Shutdown::Both)));
    let copying = Arc::new(AtomicUsize::new(usize::MAX));
    let (mut from, mut to) = (client.try_clone().expect("a socket"), server.try_clone().expect("a socket"));
    let (asked, shared_up, count_up, close_up) = (Arc::clone(&copying), Arc::clone(shared), Arc::clone(count), {
        let ends = [client.try_clone().expect("a socket"), server.try_clone().expect("a socket")];
        move || ends.iter().for_each(|end| drop(end.shutdown(Shutdown::Both)))
    });
    let holds = |data: &[u8], word: &[u8]| data.windows(word.len()).any(|w| w == word);
    let up = std::thread::spawn(move || {
        let mut buffer = [0; 16 * 1024];
        while let Ok(n @ 1..) = from.read(&mut buffer) {
            let data = &buffer[..n];
            if take(&shared_up, &count_up, |cut| matches!(cut, Cut::WhenAsked(word) if holds(data, word))) {
                // The server has the order and goes on with it; the answer never comes.
                let _ = to.write_all(data);
                std::thread::sleep(Duration::from_millis(20));
                return close_up();
            }
            if holds(data, b"COPY ") {
                asked.store(0, Ordering::SeqCst);
            }
            if to.write_all(data).is_err() {
                break;
            }
        }
        let _ = to.shutdown(Shutdown::Write);
    });
    let (mut from, mut to) = (server, client);
    let mut buffer = [0; 16 * 1024];
    while let Ok(n @ 1..) = from.read(&mut buffer) {
        if to.write_all(&buffer[..n]).is_err() {
            break;
        }
        let before = copying.load(Ordering::SeqCst);
        if before != usize::MAX {
            copying.store(before + n, Ordering::SeqCst);
            if take(shared, count, |cut| matches!(cut, Cut::InCopy(bytes) if before + n >= bytes)) {
                close();
                break;
            }
        }
    }
    let _ = to.shutdown(Shutdown::Both);
    let _ = up.join();
}

/// A night whose server is reached through a proxy.
fn through_proxy() -> (Night, Proxy) {
    let mut night = Night::new();
    night.world.sql("CREATE TABLE big AS SELECT md5(g::text) AS m FROM generate_series(1, 60000) g");
    let proxy = Proxy::start();
    night.edit("logs:", &format!("database: {{ host: 127.0.0.1, port: {}, sslmode: disable }}\nlogs:", proxy.port));
    night.two_good_nights();
    (night, proxy)
}

fn nothing_changed(night: &Night, run: impl FnOnce() -> Run) -> Run {
    let before = ["backups", "share"].map(|d| bytes(&night.world.path(d)));
    let run = run();
    let after = ["backups", "share"].map(|d| bytes(&night.world.path(d)));
    assert!(before == after, "{:?} {:?}", night.world.names("backups"), night.world.names("share"));
    run
}

#[test]
fn a_connection_cut_while_the_dump_streams_leaves_nothing_and_is_tried_again_when_the_plan_says_so() {
    let (mut night, proxy) = through_proxy();
    for bytes in [1, 200_000, 1_500_000] {
        let mails = night.server.mails().len();
        proxy.cut(Cut::InCopy(bytes), 1);
        nothing_changed(&night, || night.run(&[]).ends(1).says("server closed the connection unexpectedly"));
        assert_eq!((proxy.cuts(), night.mails(mails).len()), (1, 1));
    }
    night.edit("uses: pg_dump\n", "uses: pg_dump\n    retry: { attempts: 3, delay: 20ms }\n");
    let mails = night.server.mails().len();
    proxy.cut(Cut::InCopy(200_000), 2);
    night.run(&[]).ends(0).says("attempt 3");
    assert_eq!((proxy.cuts(), night.mails(mails).len()), (2, 0));
    assert_eq!(night.world.names("backups").len(), 4, "nothing of the attempts that failed is left");
    proxy.cut(Cut::InCopy(200_000), 3);
    nothing_changed(&night, || night.run(&[]).ends(1));
    assert_eq!((proxy.cuts(), night.mails(mails).len()), (3, 1));
}

#[test]
fn a_connection_cut_at_once_is_tried_again_when_the_plan_says_so() {
    let (mut night, proxy) = through_proxy();
    let mails = night.server.mails().len();
    // The look before the first step is worth a warning, and the first to be cut.
    proxy.cut(Cut::AtConnect, 2);
    nothing_changed(&night, || night.run(&[]).ends(1).says("preflight: dump: problem: connecting to"));
    assert_eq!((proxy.cuts(), night.mails(mails).len()), (2, 1));
    proxy.cut(Cut::AtConnect, 1);
    night.run(&[]).ends(0).says("preflight: dump: problem: connecting to");
    night.edit("uses: pg_dump\n", "uses: pg_dump\n    retry: { attempts: 3, delay: 20ms }\n");
    proxy.cut(Cut::AtConnect, 3);
    night.run(&[]).ends(0).says("attempt 3");
    assert_eq!((proxy.cuts(), zips(&night.world, "backups").len()), (3, 2));
}

#[test]
fn a_connection_cut_during_vacuum_fails_that_step_and_is_recorded_nowhere() {
    let (mut night, proxy) = through_proxy();
    let vacuum = "steps:\n  - { id: care, uses: vacuum, with: { tables: [big] } }\n";
    night.edit("steps:\n", vacuum);
    let mails = night.server.mails().len();
    proxy.cut(Cut::WhenAsked(b"VACUUM ("), 1);
    nothing_changed(&night, || night.run(&[]).ends(1).says("`big`"));
    assert_eq!((proxy.cuts(), night.mails(mails).len()), (1, 1));
    let recorded = "SELECT count(*) FROM controle_vacuum";
    assert_eq!(night.world.sql(recorded), "0", "what was not seen to end was not done");
    // A vacuum that may fail does not cost the backup; tried again it succeeds.
    night.edit("{ id: care, uses: vacuum,", "{ id: care, continue_on_error: true, uses: vacuum,");
    proxy.cut(Cut::WhenAsked(b"VACUUM ("), 1);
    let before = zips(&night.world, "backups");
    night.run(&[]).ends(0);
    assert_ne!(zips(&night.world, "backups"), before);
    night.edit("continue_on_error: true,", "retry: { attempts: 3, delay: 20ms },");
    proxy.cut(Cut::WhenAsked(b"VACUUM ("), 1);
    night.run(&[]).ends(0);
    assert_eq!((proxy.cuts(), night.world.sql(recorded)), (1, "1".to_owned()));
}

#[test]
fn a_dump_behind_a_lock_gives_up_in_time_and_meanwhile_a_second_run_says_who_is_at_it() {
    let mut night = Night::new();
    night.two_good_nights();
    night.edit("archive:", "lock_wait_timeout: 3s\n      archive:");
    let holder = holding(night.world.db(), "BEGIN; LOCK TABLE t IN ACCESS EXCLUSIVE MODE; SELECT pg_sleep(60)");
    let mails = night.server.mails().len();
    let clock = std::time::Instant::now();
    nothing_changed(&night, || {
        let mut first: Command = night.command(&[]);
        let first = first.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped()).spawn();
        let first = first.expect("the binary runs");
        let waiting = format!(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = '{}' AND wait_event_type = 'Lock'",
            night.world.db()
        );
        until("a dump that waits", || crate::world::psql("postgres", &waiting) != "0");
        night.run(&[]).ends(75).says("another run holds the lock").says("of plan night");
        Run::from(first.wait_with_output().expect("it ends")).ends(1).says("LOCK TABLE public.t")
    });
    assert!(clock.elapsed() < Duration::from_secs(20), "{:?}", clock.elapsed());
    let told: Vec<String> = night.mails(mails).iter().map(|m| m.part("text").to_owned()).collect();
    assert_eq!(told.len(), 2);
    assert!(told[0].contains("another run holds the lock") && told[1].contains("LOCK TABLE public.t"), "{told:?}");
    let_go(&night, holder);
    // A plan that tries again has its dump when the table comes free meanwhile.
    night.edit("lock_wait_timeout: 3s", "lock_wait_timeout: 1s");
    night.edit("uses: pg_dump\n", "uses: pg_dump\n    retry: { attempts: 9, delay: 100ms }\n");
    let holder = holding(night.world.db(), "BEGIN; LOCK TABLE t IN ACCESS EXCLUSIVE MODE; SELECT pg_sleep(60)");
    let mut run: Command = night.command(&[]);
    let run = run.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped()).spawn();
    let run = run.expect("the binary runs");
    let waiting = format!(
        "SELECT pid FROM pg_stat_activity WHERE datname = '{}' AND wait_event_type = 'Lock' LIMIT 1",
        night.world.db()
    );
    let mut first = String::new();
    until("the first attempt waits", || {
        first = crate::world::psql("postgres", &waiting);
        !first.is_empty()
    });
    until("another attempt waits", || {
        !["", first.as_str()].contains(&crate::world::psql("postgres", &waiting).as_str())
    });
    let_go(&night, holder);
    Run::from(run.wait_with_output().expect("it ends")).ends(0).says("attempt 2");
}
