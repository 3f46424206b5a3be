//! How long a dump takes by `runplan` and by what people use in its place, side by side, as a Markdown table.
//!
//! ```text
//! tests/sandbox cargo bench --bench throughput
//! tests/sandbox cargo bench --bench throughput -- --rounds 7 --megabytes 2000 --only runplan
//! tests/sandbox cargo bench --bench throughput -- --database sample
//! ```
//!
//! It makes a database `mixed` of text, JSON, bytes and numbers, the same each time, or takes one that is there, and runs every contender once
//! without a clock (to warm up, and to see its memory), then in rounds, one after the other, so that what else the machine
//! does falls on all alike. The table has medians, each also as a ratio to `pg_dump` writing to nowhere, which is as fast
//! as any of them could be. What is not installed is left out and named.

use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const PASSWORD: &str = "bench password";
const LIMIT: &str = "`pg_dump -Fc -Z0 > /dev/null`";

/// A command to time: its name, what it needs, what the shell is given, and the file that it makes.
struct Contender {
    name: &'static str,
    needs: &'static str,
    shell: String,
    makes: Option<&'static str>,
    seconds: Vec<f64>,
    bytes: u64,
    kibibytes: u64,
}

/// The way of the script that came before: a dump on the disk, and a zip of it.
const SCRIPT: &str = "\
import os, pyzipper
with pyzipper.AESZipFile('out.zip', 'w', compression=pyzipper.ZIP_DEFLATED, encryption=pyzipper.WZ_AES) as z:
    z.setpassword(os.environ['BENCH_ZIP'].encode())
    z.write('out.dump', 'database.dump')
os.remove('out.dump')
";

fn contenders(database: &str) -> Vec<Contender> {
    let dump = format!("pg_dump -Fc -Z0 {database}");
    let piped = |to: &str| format!("{dump} | {to}");
    let python = concat!(env!("CARGO_MANIFEST_DIR"), "/target/sandbox-python/bin/python");
    let seven = |level: u8| format!("7z a -bd -tzip -mem=AES256 -mx{level} '-p{PASSWORD}' -sidump out.zip > log");
    let runplan = |level: &str| {
        format!("{} {level}.yaml > log 2>&1 || {{ cat log >&2; exit 1; }}", env!("CARGO_BIN_EXE_runplan"))
    };
    [
        (LIMIT, "pg_dump", format!("{dump} > /dev/null"), None),
        ("`runplan`, AES-256, read back", "pg_dump", runplan("default"), Some("out.zip")),
        ("`runplan`, `compression: zstd`", "pg_dump", runplan("zstd"), Some("out.zip")),
        ("`runplan`, `level: small`", "pg_dump", runplan("small"), Some("out.zip")),
        ("`pg_dump -Fc`", "pg_dump", format!("pg_dump -Fc {database} > out"), Some("out")),
        ("`\\| gzip -1`", "gzip", piped("gzip -1 > out"), Some("out")),
        ("`\\| gzip`", "gzip", piped("gzip > out"), Some("out")),
        ("`\\| pigz`", "pigz", piped("pigz > out"), Some("out")),
        ("`\\| zip -e`", "zip", piped(&format!("zip -q -P '{PASSWORD}' out.zip -")), Some("out.zip")),
        ("`\\| zstd -T2`", "zstd", piped("zstd -q -T2 > out"), Some("out")),
        ("`\\| zstd \\| age`", "age", piped("zstd -q | age -R recipient > out"), Some("out")),
        ("`\\| 7z -mem=AES256 -mx1`", "7z", piped(&seven(1)), Some("out.zip")),
        ("`\\| 7z -mem=AES256 -mx5`", "7z", piped(&seven(5)), Some("out.zip")),
        (
            "dump to a file, AES zip of it by Python",
            python,
            format!("{dump} -f out.dump && {python} -c \"{SCRIPT}\""),
            Some("out.zip"),
        ),
    ]
    .map(|(name, needs, shell, makes)| Contender {
        name,
        needs,
        shell,
        makes,
        seconds: Vec::new(),
        bytes: 0,
        kibibytes: 0,
    })
    .into()
}

/// The highest use of memory of the processes below the shell, `pg_dump` apart, by looking at it again and again.
fn watch(child: &mut Child) -> u64 {
    let mut most = 0;
    while child.try_wait().expect("a child").is_none() {
        std::thread::sleep(Duration::from_millis(10));
        most = most.max(memory(child.id()));
    }
    most
}

fn memory(of: u32) -> u64 {
    let read = |file: &str| fs::read_to_string(format!("/proc/{of}/{file}")).unwrap_or_default();
    let name = read("comm");
    let own = match name.trim() {
        "sh" | "pg_dump" | "dash" | "bash" => 0,
        _ => read("status")
            .lines()
            .find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB")?.trim().parse().ok())
            .unwrap_or(0),
    };
    let children = read(&format!("task/{of}/children"));
    children.split_whitespace().filter_map(|id| id.parse().ok()).map(memory).fold(own, u64::max)
}

impl Contender {
    fn run(&mut self, dir: &Path, timed: bool) {
        if let Some(made) = self.makes {
            for name in [made.to_owned(), format!("{made}.json")] {
                // It is not there before the first round.
                let _ = fs::remove_file(dir.join(name));
            }
        }
        let mut shell = Command::new("sh");
        shell.arg("-c").arg(&self.shell).current_dir(dir).stdin(Stdio::null());
        shell.env("BENCH_ZIP", PASSWORD).env("XDG_STATE_HOME", dir.join("state"));
        let clock = Instant::now();
        let mut child = shell.spawn().expect("a shell");
        if !timed {
            self.kibibytes = watch(&mut child);
        }
        let status = child.wait().expect("it ends");
        let seconds = clock.elapsed().as_secs_f64();
        assert!(status.success(), "{} failed", self.name);
        if timed {
            self.seconds.push(seconds);
        }
        self.bytes = self.makes.map_or(0, |made| fs::metadata(dir.join(made)).expect("what it made").len());
    }

    fn median(&self) -> f64 {
        let mut sorted = self.seconds.clone();
        sorted.sort_by(f64::total_cmp);
        sorted[sorted.len() / 2]
    }
}

fn psql(database: &str, sql: &str) -> String {
    let output = Command::new("psql").args(["-XAtq", "-v", "ON_ERROR_STOP=1", "-d", database, "-c", sql]).output();
    let output = output.expect("psql");
    assert!(output.status.success(), "{sql}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// Numbers that look random and are the same each time (xorshift64).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, most: u64) -> u64 {
        (self.next() >> 16) % most
    }

    /// Below `most`, and the smaller the likelier, as words are.
    fn skewed(&mut self, most: u64) -> u64 {
        let share = self.below(1 << 20) as f64 / f64::from(1 << 20);
        (share.powi(3) * most as f64) as u64
    }
}

/// Makes the database, about so many megabytes as a dump: a third text, a third JSON, the rest numbers, and bytes of which
/// half are noise.
fn make(megabytes: u64) {
    psql("postgres", "DROP DATABASE IF EXISTS mixed");
    psql("postgres", "CREATE DATABASE mixed");
    psql(
        "mixed",
        "CREATE TABLE notes (id bigint PRIMARY KEY, author int, title text, body text, at timestamptz);
         CREATE TABLE events (id bigint PRIMARY KEY, at timestamptz, body jsonb);
         CREATE TABLE files (id bigint PRIMARY KEY, name text, content bytea);
         CREATE TABLE numbers (id bigint PRIMARY KEY, a int, b bigint, c double precision, d numeric(12, 4), e boolean, f date)",
    );
    let mut random = Random(0x9E37_79B9_7F4A_7C15);
    let letters = b"eeeettaaooiinnsshhrrdlucmfwypvbgkqjxz";
    let words: Vec<String> = (0..20_000)
        .map(|_| {
            let length = 2 + random.below(8);
            (0..length).map(|_| char::from(letters[random.below(letters.len() as u64) as usize])).collect()
        })
        .collect();
    let sentence = |random: &mut Random, length: u64| {
        let words: Vec<&str> = (0..length).map(|_| words[random.skewed(20_000) as usize].as_str()).collect();
        words.join(" ")
    };
    let day = |n: u64| format!("2024-{:02}-{:02}", 1 + n / 28 % 12, 1 + n % 28);
    let kinds = ["login", "logout", "view", "order", "payment", "error"];
    fill("notes", 1_215 * megabytes, |id, row| {
        let length = 20 + id % 40;
        let (title, body) = (sentence(&mut random, 4), sentence(&mut random, length));
        write!(
            row,
            "{id}\t{}\t{title}\t{body}\t{} 08:{:02}:{:02}+00",
            random.skewed(5_000),
            day(id / 900),
            id / 60 % 60,
            id % 60
        )
    });
    fill("events", 1_350 * megabytes, |id, row| {
        let (kind, user) = (kinds[random.below(6) as usize], random.skewed(90_000));
        write!(
            row,
            "{id}\t{} 10:00:{:02}+00\t{{\"kind\": \"{kind}\", \"user\": {{\"id\": {user}, \"name\": \"user{user}\", \"active\": {}}}, \"price\": {}.{:02}, \"session\": \"{:016x}\", \"tags\": [\"a{}\", \"b{}\"]}}",
            day(id / 5_000),
            id % 60,
            random.below(3) > 0,
            random.below(1_000),
            random.below(100),
            (id / 9).wrapping_mul(0x9E37_79B9_7F4A_7C15),
            id % 7,
            id % 13
        )
    });
    fill("files", 108 * megabytes, |id, row| {
        write!(row, "{id}\tfile-{id}.bin\t\\\\x")?;
        let seed = random.next();
        (0..75).try_for_each(|_| write!(row, "{:016x}", if id % 2 == 0 { random.next() } else { seed }))
    });
    fill("numbers", 3_240 * megabytes, |id, row| {
        let (a, b, c, d) =
            (random.below(1_000), random.below(1_000_000_000_000), random.next(), random.below(1_000_000_000));
        let e = random.below(2) == 0;
        write!(row, "{id}\t{a}\t{b}\t0.{c:020}\t{}.{:04}\t{e}\t{}", d / 10_000, d % 10_000, day(id))
    });
    psql("mixed", "VACUUM ANALYZE");
}

/// Fills a table by COPY.
fn fill(table: &str, rows: u64, mut row: impl FnMut(u64, &mut String) -> std::fmt::Result) {
    let mut copy = Command::new("psql");
    copy.args(["-Xq", "-v", "ON_ERROR_STOP=1", "-d", "mixed", "-c", &format!("COPY {table} FROM STDIN")]);
    let mut child = copy.stdin(Stdio::piped()).spawn().expect("psql");
    let mut to = std::io::BufWriter::new(child.stdin.take().expect("its input"));
    let mut text = String::new();
    for id in 1..=rows {
        text.clear();
        row(id, &mut text).expect("a row");
        text.push('\n');
        to.write_all(text.as_bytes()).expect("COPY takes it");
    }
    drop(to);
    assert!(child.wait().expect("it ends").success(), "COPY {table}");
}

fn main() {
    assert!(std::env::var_os("PGHOST").is_some(), "there is no PostgreSQL: run `tests/sandbox cargo bench`");
    let arguments: Vec<String> = std::env::args().collect();
    let option = |name: &str| arguments.iter().position(|a| a == name).and_then(|at| arguments.get(at + 1));
    let number = |name: &str, default: u64| option(name).map_or(default, |n| n.parse().expect("a number"));
    let (rounds, megabytes) = (number("--rounds", 5), number("--megabytes", 500));
    let only = option("--only");
    let database = option("--database").map_or("mixed", String::as_str);
    if database == "mixed" {
        make(megabytes);
    }

    let dir = tempfile::tempdir().expect("a folder");
    for (name, settings) in [("default", ""), ("zstd", ", compression: zstd"), ("small", ", level: small")] {
        let plan = format!(
            "version: 1\nname: bench\nlogs: {{ dir: logs }}\nsecrets: {{ zip: {{ env: BENCH_ZIP }} }}\nsteps:\n  - uses: pg_dump\n    with:\n      database: {{ dbname: {database} }}\n      archive: {{ path: out.zip, password: '${{{{ secrets.zip }}}}'{settings} }}\n"
        );
        fs::write(dir.path().join(format!("{name}.yaml")), plan).expect("a plan");
    }
    let dump =
        Command::new("sh").args(["-c", &format!("pg_dump -Fc -Z0 {database} | wc -c")]).output().expect("pg_dump");
    let dump: f64 = String::from_utf8_lossy(&dump.stdout).trim().parse().expect("its size");

    let there = |program: &str| {
        Command::new("sh")
            .args(["-c", &format!("command -v {program} > /dev/null")])
            .status()
            .is_ok_and(|s| s.success())
    };
    if there("age-keygen") {
        let mut key = Command::new("sh");
        key.args(["-c", "age-keygen 2> /dev/null | age-keygen -y > recipient"]).current_dir(dir.path());
        assert!(key.status().expect("a shell").success(), "age-keygen makes a key");
    }
    let (mut all, missing): (Vec<_>, Vec<_>) = contenders(database).into_iter().partition(|c| there(c.needs));
    all.retain(|c| c.name == LIMIT || only.is_none_or(|only| only.split(',').any(|part| c.name.contains(part))));
    for contender in &mut all {
        contender.run(dir.path(), false);
    }
    for round in 1..=rounds {
        eprintln!("round {round} of {rounds}");
        for contender in &mut all {
            contender.run(dir.path(), true);
        }
    }
    let limit = all[0].median();
    println!("{}", heading(dump, rounds));
    println!("\n| | seconds | of the limit | MB | of the dump | memory |\n|---|--:|--:|--:|--:|--:|");
    for c in &all {
        let median = c.median();
        let size = match c.bytes {
            0 => "|".to_owned(),
            bytes => format!("{:.1} | {:.1} %", bytes as f64 / 1e6, 100.0 * bytes as f64 / dump),
        };
        let memory = if c.kibibytes == 0 { String::new() } else { format!("{:.1} MiB", c.kibibytes as f64 / 1024.0) };
        println!("| {} | {median:.2} | {:.2} | {size} | {memory} |", c.name, median / limit);
    }
    for contender in missing {
        println!("\n{}: `{}` is not installed.", contender.name, contender.needs);
    }
}

fn heading(dump: f64, rounds: u64) -> String {
    let processor = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let processor =
        processor.lines().find_map(|l| l.strip_prefix("model name")?.split(": ").nth(1)).unwrap_or("unknown");
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let date = chrono::Local::now().format("%Y-%m-%d");
    let server = psql("postgres", "SHOW server_version");
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split(' ').next().unwrap_or_default().to_owned();
    format!(
        "{:.0} MB of dump, PostgreSQL {server}, {processor}, {cores} cores, {date}; medians of {rounds} interleaved rounds, load {load} at the end.",
        dump / 1e6
    )
}
