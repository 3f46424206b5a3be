//! Damage of a dump's own bytes. What is read of such a dump, and what is restored of it, differs from the manifest of the
//! dump as it was made.

use std::collections::BTreeSet;

use super::restored::{dump, manifest, program, psql, settings, touch};
use super::{Random, rounds};
use crate::dump::Form;

const TABLES: [&str; 4] = ["a", "b", "c", "d"];
const WORLD: &str = "CREATE TABLE a (id int, x text); CREATE TABLE b (LIKE a); CREATE TABLE c (LIKE a); CREATE TABLE d (LIKE a); \
     INSERT INTO a SELECT g, md5(g::text) FROM generate_series(1, 60) g; INSERT INTO b SELECT g, md5(g::text) FROM generate_series(50, 90) g; \
     INSERT INTO c SELECT g, repeat(md5(g::text), 300) FROM generate_series(1, 5) g; INSERT INTO d VALUES (1, 'one'); \
     CREATE SEQUENCE s; SELECT setval('s', 40)";

/// The lines of a dump in SQL, with the places of the rows of each table.
struct Sql {
    lines: Vec<String>,
}

impl Sql {
    fn rows(&self, table: &str) -> std::ops::Range<usize> {
        let head = format!("COPY public.{table} (id, x) FROM stdin;");
        let start = self.lines.iter().position(|l| *l == head).expect("the table") + 1;
        let count = self.lines[start..].iter().position(|l| l == "\\.").expect("the end of the rows");
        start..start + count
    }

    fn row(&self, table: &str, random: &mut Random) -> usize {
        let rows = self.rows(table);
        rows.start + random.below(rows.len())
    }

    fn text(&self) -> String {
        self.lines.join("\n") + "\n"
    }

    /// Does one damage, and gives what must be named.
    fn damage(&mut self, random: &mut Random) -> BTreeSet<String> {
        let table = *random.pick(&TABLES);
        let at = self.row(table, random);
        let named = |tables: &[&str]| tables.iter().map(|t| format!("the table `public.{t}` ")).collect();
        match random.below(7) {
            0 => drop(self.lines.remove(at)),
            1 => self.lines.insert(at, self.lines[at].clone()),
            2 | 3 => {
                let start = self.lines[at].find('\t').expect("two columns") + 1;
                let at_byte = start + random.below(self.lines[at].len() - start);
                let old = self.lines[at].as_bytes()[at_byte];
                let new = if old == b'9' { "8" } else { "9" };
                self.lines[at].replace_range(at_byte..=at_byte, new);
            }
            4 => {
                let others: Vec<&str> = TABLES.into_iter().filter(|t| *t != table).collect();
                let other = *random.pick(&others);
                let there = self.row(other, random);
                if self.lines[at] == self.lines[there] {
                    return BTreeSet::new();
                }
                self.lines.swap(at, there);
                return named(&[table, other]);
            }
            5 => drop(self.lines.drain(self.rows(table))),
            _ => {
                let value = random.below(39) + 1;
                let line = self.lines.iter_mut().find(|l| l.contains("setval('public.s', 40")).expect("the sequence");
                *line = line.replace("40", &value.to_string());
                return BTreeSet::from(["the sequence `public.s` ".to_owned()]);
            }
        }
        named(&[table])
    }
}

/// Fails unless exactly these are named.
fn check(what: &str, named: &BTreeSet<String>, found: &[String]) {
    let all = named.iter().all(|n| found.iter().any(|f| f.starts_with(n.as_str())));
    let no_more = found.iter().all(|f| named.iter().any(|n| f.starts_with(n.as_str())));
    assert!(all && no_more, "{what}: {named:?} are damaged, and this was found: {found:?}");
}

/// What the comparison finds in a database that such a dump was restored into.
async fn restored(text: &str, manifest: &crate::dump::Manifest) -> Vec<String> {
    let name = format!("dumped_{}", std::process::id());
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), text).expect("a file");
    psql("postgres", &format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)"));
    psql("postgres", &format!("CREATE DATABASE {name}"));
    program(&["psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-d", &name, "-f", &file.path().to_string_lossy()]);
    let touch = touch();
    let found = super::super::differences(&touch, &settings(&touch, &name), manifest, 1).await.expect("a comparison");
    psql("postgres", &format!("DROP DATABASE {name} WITH (FORCE)"));
    found
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_random_damage_of_a_dump_is_named() {
    let (wanted, seed) = rounds(1);
    let source = format!("dumped_{}_source", std::process::id());
    psql("postgres", &format!("DROP DATABASE IF EXISTS {source} WITH (FORCE)"));
    psql("postgres", &format!("CREATE DATABASE {source}"));
    psql(&source, WORLD);
    let bytes = dump(&source, &["-Fp"]);
    psql("postgres", &format!("DROP DATABASE {source}"));
    let good = manifest(&bytes, Form::Plain);
    let text = String::from_utf8(bytes).expect("UTF-8");
    assert_eq!(restored(&text, &good).await, Vec::<String>::new(), "nothing is damaged");
    let evidence = good.evidence.as_ref().expect("evidence");
    let mut restores = 0;
    for at in 0..wanted {
        let mut random = Random::seeded(seed.wrapping_add(at));
        let mut sql = Sql { lines: text.lines().map(str::to_owned).collect() };
        let named = sql.damage(&mut random);
        let damaged = sql.text();
        let read = manifest(damaged.as_bytes(), Form::Plain).evidence.expect("evidence");
        let what = format!("RUNPLAN_DAMAGE_SEED={} RUNPLAN_DAMAGE=1", seed + at);
        check(&what, &named, &evidence.differences(&read));
        if at % 10 == 0 {
            restores += 1;
            check(&format!("{what}, restored"), &named, &restored(&damaged, &good).await);
        }
    }
    println!("{wanted} damages read, {restores} of them restored, seed {seed}");
}
