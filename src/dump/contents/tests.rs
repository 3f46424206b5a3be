//! Dumps written here, changed at random, and read: every change must be named.

use super::*;
use crate::dump::toc::tests::{entry, head, int};

const HASHING: Hashing = Hashing { seed: 42, on: true };

/// What a dump holds: rows of some tables, the value of a sequence, large objects.
#[derive(Clone)]
struct Model {
    tables: Vec<Vec<Vec<u8>>>,
    sequence: i64,
    objects: Vec<Vec<u8>>,
}

/// Numbers that are the same in each run (Marsaglia's xorshift).
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % limit as u64).unwrap_or(0)
    }
}

fn model(random: &mut Random) -> Model {
    let row = |random: &mut Random| {
        let most = if random.below(50) == 0 { 100_000 } else { 30 };
        let length = random.below(most);
        (0..length).map(|_| b"abc\t\\\xc3 1"[random.below(8)]).collect::<Vec<u8>>()
    };
    let row = |random: &mut Random| {
        // As COPY writes it: no row begins like the end.
        let row = row(random);
        if row.starts_with(b"\\.") { b"x".to_vec() } else { row }
    };
    let tables = (0..4).map(|_| (0..random.below(12)).map(|_| row(random)).collect()).collect();
    let objects = (0..3).map(|_| row(random)).collect();
    Model { tables, sequence: 5, objects }
}

impl Model {
    /// The dump, and where its data begins.
    fn custom(&self, random: &mut Random) -> (Vec<u8>, usize) {
        let sequence = format!("SELECT pg_catalog.setval('public.s', {}, true);\n", self.sequence);
        let count = i32::try_from(self.tables.len()).expect("few") + 2;
        let mut out = [head(14, count), entry(1, 14, "SEQUENCE SET", "s", [&sequence, ""], false)].concat();
        out.extend(entry(2, 14, "BLOBS", "BLOBS", ["", ""], true));
        let id = |at: usize| i32::try_from(at).expect("few") + 10;
        for at in 0..self.tables.len() {
            let copy = format!("COPY public.t{at} (a, b) FROM stdin;\n");
            out.extend(entry(id(at), 14, "TABLE DATA", &format!("t{at}"), ["", &copy], true));
        }
        let start = out.len();
        let chunks = |out: &mut Vec<u8>, mut data: &[u8], random: &mut Random| {
            while !data.is_empty() {
                let (part, rest) = data.split_at((random.below(200) + 1).min(data.len()));
                out.extend(int(i32::try_from(part.len()).expect("short")));
                out.extend_from_slice(part);
                data = rest;
            }
            out.extend(int(0));
        };
        for (at, rows) in self.tables.iter().enumerate() {
            out.push(1);
            out.extend(int(id(at)));
            let mut data = Vec::new();
            rows.iter().for_each(|row| data.extend([row.as_slice(), b"\n"].concat()));
            data.extend(b"\\.\n\n\n");
            chunks(&mut out, &data, random);
        }
        out.extend([vec![3], int(2)].concat());
        for (at, object) in self.objects.iter().enumerate() {
            out.extend(int(id(at)));
            chunks(&mut out, object, random);
        }
        out.extend(int(0));
        (out, start)
    }

    fn plain(&self) -> Vec<u8> {
        let mut out = b"--\n-- PostgreSQL database dump\n--\n\nSET client_encoding = 'UTF8';\n\n".to_vec();
        for (at, rows) in self.tables.iter().enumerate() {
            out.extend(format!("COPY public.t{at} (a, b) FROM stdin;\n").bytes());
            rows.iter().for_each(|row| out.extend([row.as_slice(), b"\n"].concat()));
            out.extend(b"\\.\n\n\n");
        }
        for (at, object) in self.objects.iter().enumerate() {
            let hex: String = object.iter().map(|b| format!("{b:02x}")).collect();
            out.extend(format!("SELECT pg_catalog.lo_open('{}', 131072);\n", at + 10).bytes());
            for part in hex.as_bytes().chunks(32_768) {
                let part = std::str::from_utf8(part).expect("hex");
                out.extend(format!("SELECT pg_catalog.lowrite(0, '\\x{part}');\n").bytes());
            }
            out.extend(b"SELECT pg_catalog.lo_close(0);\n\n");
        }
        out.extend(format!("SELECT pg_catalog.setval('public.s', {}, true);\n\n", self.sequence).bytes());
        out.extend(b"--\n-- PostgreSQL database dump complete\n--\n\n");
        out
    }

    /// The files of a dump that is a folder.
    fn directory(&self) -> Vec<(String, Vec<u8>)> {
        let sequence = format!("SELECT pg_catalog.setval('public.s', {}, true);\n", self.sequence);
        let count = i32::try_from(self.tables.len()).expect("few") + 2;
        let text = |t: &str| [int(i32::try_from(t.len()).expect("short")), t.as_bytes().to_vec()].concat();
        let file = |entry: Vec<u8>, name: &str| [entry[..entry.len() - 9].to_vec(), text(name)].concat();
        let mut toc = [head(14, count), file(entry(1, 14, "SEQUENCE SET", "s", [&sequence, ""], false), "")].concat();
        toc[10] = 3;
        toc.extend(file(entry(2, 14, "BLOBS", "BLOBS", ["", ""], true), "blobs.toc"));
        let (mut files, mut listing) = (Vec::new(), String::new());
        for (at, rows) in self.tables.iter().enumerate() {
            let (name, copy) = (format!("{}.dat", at + 10), format!("COPY public.t{at} (a, b) FROM stdin;\n"));
            let id = i32::try_from(at).expect("few") + 10;
            toc.extend(file(entry(id, 14, "TABLE DATA", &format!("t{at}"), ["", &copy], true), &name));
            let rows: Vec<u8> = rows.iter().flat_map(|row| [row.as_slice(), b"\n"].concat()).collect();
            files.push((name, [rows, b"\\.\n\n\n".to_vec()].concat()));
        }
        for (at, object) in self.objects.iter().enumerate() {
            files.push((format!("blob_{}.dat", at + 10), object.clone()));
            listing += &format!("{0} blob_{0}.dat\n", at + 10);
        }
        files.push(("blobs.toc".to_owned(), listing.into_bytes()));
        files.push(("toc.dat".to_owned(), toc));
        files
    }
}

fn stream(form: Form, bytes: &[u8], step: usize) -> Result<Contents, Fault> {
    let mut reader = StreamReader::new(form, HASHING);
    bytes.chunks(step).for_each(|part| reader.take(part));
    reader.end()
}

fn folder(files: &[(String, Vec<u8>)], step: usize) -> Result<Contents, Fault> {
    let mut dump = DirectoryDump::new(HASHING);
    for (name, bytes) in files {
        let mut file = dump.file(name);
        bytes.chunks(step).for_each(|part| file.take(part));
        dump.add(file);
    }
    dump.end()
}

#[test]
fn all_formats_give_the_same_evidence_however_they_are_cut() {
    let mut random = Random(10_000_000_019);
    for _ in 0..40 {
        let model = model(&mut random);
        let step = random.below(300) + 1;
        let wanted = folder(&model.directory(), usize::MAX).expect("a dump").evidence;
        assert_eq!(
            wanted.tables.iter().map(|t| t.rows).collect::<Vec<_>>(),
            model.tables.iter().map(|t| t.len() as u64).collect::<Vec<_>>()
        );
        let (custom, _) = model.custom(&mut random);
        for (form, bytes) in [(Form::Custom, custom), (Form::Plain, model.plain())] {
            for step in [step, usize::MAX] {
                let read = stream(form, &bytes, step).expect("a dump").evidence;
                assert_eq!(wanted.differences(&read), Vec::<String>::new(), "{form:?}");
            }
        }
        assert_eq!(folder(&model.directory(), step).expect("a dump").evidence, wanted);
    }
}

/// What can go wrong between tables; gives false where it would change nothing.
fn damage(model: &mut Model, random: &mut Random) -> bool {
    let (a, b) = (random.below(4), random.below(4));
    match random.below(6) {
        0 if !model.tables[a].is_empty() => {
            let at = random.below(model.tables[a].len());
            drop(model.tables[a].remove(at));
        }
        1 if a != b && !model.tables[a].is_empty() && !model.tables[b].is_empty() => {
            let (i, j) = (random.below(model.tables[a].len()), random.below(model.tables[b].len()));
            if model.tables[a][i] == model.tables[b][j] {
                return false;
            }
            let row = model.tables[a][i].clone();
            model.tables[a][i] = std::mem::replace(&mut model.tables[b][j], row);
        }
        2 if !model.tables[a].is_empty() => model.tables[a].clear(),
        3 if !model.tables[a].is_empty() => {
            let row = model.tables[a][0].clone();
            model.tables[a].push(row);
        }
        4 => model.sequence += 1,
        5 if a < 3 => model.objects[a].push(b'x'),
        _ => return false,
    }
    true
}

#[test]
fn rows_that_are_lost_swapped_or_doubled_are_named() {
    let mut random = Random(20_000_000_019);
    let mut count = 0;
    while count < 2000 {
        let good = model(&mut random);
        let wanted = stream(Form::Plain, &good.plain(), usize::MAX).expect("a dump").evidence;
        for _ in 0..30 {
            let mut bad = good.clone();
            if !damage(&mut bad, &mut random) {
                continue;
            }
            let read = match random.below(3) {
                0 => stream(Form::Custom, &bad.custom(&mut random).0, 4096),
                1 => stream(Form::Plain, &bad.plain(), 4096),
                _ => folder(&bad.directory(), 4096),
            };
            assert_ne!(wanted.differences(&read.expect("a dump").evidence), Vec::<String>::new());
            count += 1;
        }
    }
}

#[test]
fn no_flipped_bit_in_rows_or_objects_goes_unnoticed() {
    let mut random = Random(30_000_000_019);
    for _ in 0..40 {
        let good = model(&mut random);
        let files = good.directory();
        let wanted = folder(&files, usize::MAX).expect("a dump").evidence;
        let (custom, start) = good.custom(&mut random);
        for _ in 0..40 {
            let mut flipped = files.clone();
            // Not the table of contents, which says what is there and not what is in it.
            let at = random.below(flipped.len() - 1);
            if !flipped[at].1.is_empty() {
                let byte = random.below(flipped[at].1.len());
                flipped[at].1[byte] ^= 1 << random.below(8);
                let read = folder(&flipped, usize::MAX);
                let seen = read.map_or(true, |c| !wanted.differences(&c.evidence).is_empty());
                assert!(seen, "{} {byte}", flipped[at].0);
            }
            let mut bytes = custom.clone();
            let byte = start + random.below(bytes.len() - start);
            bytes[byte] ^= 1 << random.below(8);
            let read = stream(Form::Custom, &bytes, usize::MAX);
            let seen = read.map_or(true, |c| !wanted.differences(&c.evidence).is_empty());
            assert!(seen, "{byte} of {start} to {}", bytes.len());
        }
    }
}

/// A table that `psql` does not see, behind a function named `begin`, is not passed over in silence.
#[test]
fn sql_that_psql_reads_otherwise_gives_no_contents() {
    let good = Model { tables: vec![vec![b"1\t2".to_vec()]], objects: Vec::new(), sequence: 1 }.plain();
    let text = String::from_utf8(good).expect("text");
    let with = |sql: &str| text.replacen("COPY public.t0", &format!("{sql}COPY public.t0"), 1).into_bytes();
    let begin = "CREATE FUNCTION public.begin() RETURNS integer LANGUAGE sql AS $$select 1$$;\n\n";
    let hides = "COPY public.zz (a) FROM stdin;\nend end end end ;\n\\.\n\n";
    for (sql, why) in [
        (begin.to_owned(), "named `begin`"),
        (format!("{begin}{hides}"), "named `begin`"),
        ("SELECT 1 \\g |id\n;\n".to_owned(), "a command of psql"),
        ("COPY public.t (a) FROM program 'id';\n".to_owned(), "a COPY that pg_dump does not write"),
    ] {
        match stream(Form::Plain, &with(&sql), usize::MAX) {
            Err(Fault::Misread(said)) => assert!(said.contains(why), "{said}"),
            other => panic!("{sql}: {:?}", other.map(|c| c.evidence)),
        }
    }
    let paths = "COMMENT ON TABLE public.t0 IS 'D:\\';\n\n";
    assert_eq!(stream(Form::Plain, &with(paths), usize::MAX).map(|c| c.tables), Ok(1));
}
