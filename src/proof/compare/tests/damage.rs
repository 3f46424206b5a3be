//! Damage of a restored database.

use super::restored::{Restored, literal, quoted};
use super::{Random, rounds};

/// One damage: what is run, and what it harms.
struct Damage {
    sql: String,
    tables: Vec<usize>,
    sequence: Option<usize>,
    /// Large objects, as findings name them.
    objects: Vec<String>,
}

impl Damage {
    fn of_tables(tables: &[usize], sql: String) -> Option<Self> {
        Some(Self { sql, tables: tables.to_vec(), sequence: None, objects: Vec::new() })
    }
}

/// A row: where it is, and its columns as text.
async fn row(world: &Restored, at: usize, random: &mut Random) -> Option<String> {
    let name = &world.tables[at].name;
    let count: usize = world.value(&format!("SELECT count(*) FROM ONLY {name}")).await?.parse().ok()?;
    if count == 0 {
        return None;
    }
    world.value(&format!("SELECT ctid::text FROM ONLY {name} OFFSET {} LIMIT 1", random.below(count))).await
}

/// A text with one character changed, added or taken away.
fn changed(text: &str, random: &mut Random) -> String {
    let mut letters: Vec<char> = text.chars().collect();
    let letter = *random.pick(&['0', '1', '5', '9', 'a', 'b', 'X', ' ', '-', '.', ',', '\\', '\t', '\n', 'é', '🐘']);
    let at = random.below(letters.len() + 1);
    match random.below(6) {
        0 => letters.insert(at, letter),
        1 if at < letters.len() => drop(letters.remove(at)),
        _ if at < letters.len() => letters[at] = letter,
        _ => letters.push(letter),
    }
    letters.into_iter().collect()
}

/// One value of one row becomes another.
async fn value(world: &Restored, at: usize, random: &mut Random) -> Option<Damage> {
    let table = &world.tables[at];
    if table.columns.is_empty() {
        return None;
    }
    let ctid = row(world, at, random).await?;
    let column = random.below(table.columns.len());
    let (name, of, kind) = (&table.name, &table.columns[column], &table.types[column]);
    let old = world.value(&format!("SELECT {of}::text FROM ONLY {name} WHERE ctid = '{ctid}'")).await;
    let new = match (random.below(8), old) {
        (0, Some(_)) => "NULL".to_owned(),
        (1, _) => format!("(SELECT {of} FROM ONLY {name} OFFSET {} LIMIT 1)", random.below(20)),
        (_, Some(old)) => format!("{}::{kind}", literal(&changed(&old, random))),
        (_, None) => format!("(SELECT {of} FROM ONLY {name} WHERE {of} IS NOT NULL LIMIT 1)"),
    };
    Damage::of_tables(&[at], format!("UPDATE ONLY {name} SET {of} = {new} WHERE ctid = '{ctid}'"))
}

/// Two rows of a table exchange the values of a column.
async fn exchange(world: &Restored, at: usize, random: &mut Random) -> Option<Damage> {
    let table = &world.tables[at];
    let (a, b) = (row(world, at, random).await?, row(world, at, random).await?);
    if table.columns.is_empty() || a == b {
        return None;
    }
    let (name, of) = (&table.name, random.pick(&table.columns));
    let sql = format!(
        "UPDATE ONLY {name} t SET {of} = o.{of} FROM (SELECT ctid AS at, {of} FROM ONLY {name} WHERE ctid IN ('{a}', '{b}')) o \
         WHERE t.ctid IN ('{a}', '{b}') AND o.at <> t.ctid"
    );
    Damage::of_tables(&[at], sql)
}

/// A row goes, comes twice, or all of them go.
async fn rows(world: &Restored, at: usize, random: &mut Random) -> Option<Damage> {
    let table = &world.tables[at];
    let (name, list) = (&table.name, table.list());
    let columns = if list.is_empty() { String::new() } else { format!("({list}) OVERRIDING SYSTEM VALUE") };
    let ctid = row(world, at, random).await?;
    let twice = format!("INSERT INTO {name} {columns} SELECT {list} FROM ONLY {name} WHERE ctid = '{ctid}'");
    let sql = match random.below(5) {
        0 | 1 => format!("DELETE FROM ONLY {name} WHERE ctid = '{ctid}'"),
        2 => twice,
        3 => {
            let other = row(world, at, random).await.filter(|o| *o != ctid)?;
            format!("{twice}; DELETE FROM ONLY {name} WHERE ctid = '{other}'")
        }
        _ => format!("TRUNCATE ONLY {name}"),
    };
    Damage::of_tables(&[at], sql)
}

/// Rows of two tables of the same shape change places; or one moves.
async fn between(world: &Restored, at: usize, random: &mut Random) -> Option<Damage> {
    let all = &world.tables;
    let alike: Vec<usize> = (0..all.len()).filter(|o| *o != at && all[*o].types == all[at].types).collect();
    if alike.is_empty() || all[at].columns.is_empty() {
        return None;
    }
    let other = *random.pick(&alike);
    let (a, b) = (row(world, at, random).await?, row(world, other, random).await);
    let (one, two) = (&all[at], &all[other]);
    let moved = |from: &super::restored::Subject, to: &super::restored::Subject, ctid: &str| {
        let (to_list, from_list) = (to.list(), from.list());
        format!(
            "INSERT INTO {} ({to_list}) OVERRIDING SYSTEM VALUE SELECT {from_list} FROM ONLY {} WHERE ctid = '{ctid}'; \
             DELETE FROM ONLY {} WHERE ctid = '{ctid}'",
            to.name, from.name, from.name
        )
    };
    let mut sql = moved(one, two, &a);
    if let Some(b) = b.filter(|_| random.below(3) > 0) {
        sql = format!("{sql}; {}", moved(two, one, &b));
    }
    Damage::of_tables(&[at, other], sql)
}

fn sequence(world: &Restored, random: &mut Random) -> Option<Damage> {
    let at = random.below(world.evidence().sequences.len());
    let sequence = &world.evidence().sequences[at];
    let (value, called) = match random.below(3) {
        0 => (sequence.last_value, !sequence.is_called),
        1 => (sequence.last_value + 1, sequence.is_called),
        _ => (sequence.last_value - 1, random.below(2) == 0),
    };
    let name = literal(&quoted(&sequence.schema, &sequence.name));
    let sql = format!("SELECT pg_catalog.setval({name}, {value}, {called})");
    Some(Damage { sql, tables: Vec::new(), sequence: Some(at), objects: Vec::new() })
}

fn object(world: &Restored, random: &mut Random) -> Option<Damage> {
    let all = &world.evidence().large_objects.objects;
    let (one, two) = (random.pick(all), random.pick(all));
    let at = random.below(usize::try_from(one.bytes).ok()?);
    let byte = format!("set_byte(pg_catalog.lo_get(oid), {at}, (get_byte(pg_catalog.lo_get(oid), {at}) + 1) % 256)");
    let oid = one.oid;
    let (sql, named) = match random.below(6) {
        0 | 1 if one.bytes > 0 => (
            format!(
                "SELECT pg_catalog.lo_put(oid, 0, {byte}) FROM pg_catalog.pg_largeobject_metadata WHERE oid = {oid}"
            ),
            vec![oid],
        ),
        2 => (format!("SELECT pg_catalog.lo_put({oid}, {}, '\\x00')", one.bytes), vec![oid]),
        3 if one.bytes > 0 => {
            (format!("SELECT pg_catalog.lo_truncate(pg_catalog.lo_open({oid}, 131072), {at})"), vec![oid])
        }
        4 => (format!("SELECT pg_catalog.lo_unlink({oid})"), vec![oid]),
        5 if one != two => {
            let make = |oid: u64, of: u64| {
                format!(
                    "SELECT pg_catalog.lo_unlink({oid}); SELECT pg_catalog.lo_from_bytea({oid}, data) FROM kept.objects WHERE oid = {of}"
                )
            };
            (format!("{}; {}", make(oid, two.oid), make(two.oid, oid)), vec![oid, two.oid])
        }
        _ => ("SELECT pg_catalog.lo_from_bytea(4711, 'new')".to_owned(), vec![4711]),
    };
    let objects = named.iter().map(|oid| format!("the large object {oid} ")).collect();
    Some(Damage { sql, tables: Vec::new(), sequence: None, objects })
}

/// What changes the objects themselves. It is done in a copy of the database, and not to a table whose heirs change too.
async fn definition(world: &Restored, at: usize, random: &mut Random) -> Option<Damage> {
    let table = &world.tables[at];
    let name = &table.name;
    let heirs =
        format!("SELECT count(*) FROM pg_catalog.pg_inherits WHERE inhparent = {}::pg_catalog.regclass", literal(name));
    if world.value(&heirs).await? != "0" {
        return None;
    }
    let column = (!table.columns.is_empty()).then(|| random.pick(&table.columns).clone());
    let sequences = &world.evidence().sequences;
    let sql = match (random.below(6), column) {
        (0, Some(column)) => format!("ALTER TABLE {name} DROP COLUMN {column} CASCADE"),
        (1, Some(column)) => format!("ALTER TABLE {name} RENAME COLUMN {column} TO \"other name\""),
        (2, _) => format!("ALTER TABLE {name} RENAME TO \"other name\""),
        (3, _) => format!("DROP TABLE {name} CASCADE; CREATE VIEW {name} AS SELECT 1 AS a"),
        (4, _) if !sequences.is_empty() => {
            let at = random.below(sequences.len());
            let sql = format!("DROP SEQUENCE {} CASCADE", quoted(&sequences[at].schema, &sequences[at].name));
            return Some(Damage { sql, tables: Vec::new(), sequence: Some(at), objects: Vec::new() });
        }
        _ => format!("DROP TABLE {name} CASCADE"),
    };
    Damage::of_tables(&[at], sql)
}

/// What must be named, and nothing else may be.
fn check(world: &Restored, damage: &Damage, found: &[String]) -> Result<(), String> {
    let mut wanted: Vec<String> = damage.tables.iter().map(|at| format!("{} ", world.tables[*at].shown)).collect();
    wanted.extend(damage.objects.iter().cloned());
    wanted.extend(damage.sequence.map(|at| {
        let sequence = &world.evidence().sequences[at];
        format!("the sequence `{}.{}` ", sequence.schema, sequence.name)
    }));
    let missing: Vec<_> = wanted.iter().filter(|w| !found.iter().any(|f| f.starts_with(w.as_str()))).collect();
    let count = |f: &String| f.starts_with("there are ") && !damage.objects.is_empty();
    let more: Vec<_> =
        found.iter().filter(|f| !count(f) && !wanted.iter().any(|w| f.starts_with(w.as_str()))).collect();
    if missing.is_empty() && more.is_empty() {
        return Ok(());
    }
    Err(format!("{}: not named: {missing:?}; also named: {more:?}", damage.sql.chars().take(500).collect::<String>()))
}

/// Damages the database, compares and repairs it. None when the server refused the damage, or it changed nothing.
async fn round(world: &mut Restored, kind: usize, random: &mut Random) -> Option<Result<(), String>> {
    let at = random.below(world.tables.len());
    let damage = match kind {
        0..=8 => value(world, at, random).await,
        9 | 10 => exchange(world, at, random).await,
        11..=14 => rows(world, at, random).await,
        15 | 16 => between(world, at, random).await,
        17 => sequence(world, random),
        18 => object(world, random),
        _ => {
            let damage = definition(world, at, random).await?;
            let found = world.compare_copy(&damage.sql).await.ok()?;
            let owned = damage.sql.contains(" CASCADE") && damage.sequence.is_none();
            return Some(if owned { check_dropped(world, &damage, &found) } else { check(world, &damage, &found) });
        }
    }?;
    if world.run(&damage.sql).await.is_err() {
        return None;
    }
    let mut real = !damage.tables.is_empty() || damage.sequence.is_some() || !damage.objects.is_empty();
    for at in &damage.tables {
        real &= world.differs(*at).await;
    }
    let checked = if real { Some(check(world, &damage, &world.compare().await)) } else { None };
    for at in &damage.tables {
        world.repair_table(*at).await;
    }
    if let Some(at) = damage.sequence {
        world.repair_sequence(at).await;
    }
    if !damage.objects.is_empty() {
        world.repair_objects().await;
    }
    checked
}

/// With a table go the sequences of its columns.
fn check_dropped(world: &Restored, damage: &Damage, found: &[String]) -> Result<(), String> {
    let gone = |f: &&String| !f.starts_with(&world.tables[damage.tables[0]].shown) && f.ends_with(" is missing");
    let rest: Vec<String> = found.iter().filter(|f| !gone(f)).cloned().collect();
    check(world, damage, &rest)
}

const KINDS: [&str; 20] = [
    "value",
    "value",
    "value",
    "value",
    "value",
    "value",
    "value",
    "value",
    "value",
    "exchange",
    "exchange",
    "rows",
    "rows",
    "rows",
    "rows",
    "between",
    "between",
    "sequence",
    "object",
    "definition",
];

// A session that was left is closed while a program of PostgreSQL runs.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_random_damage_of_a_restored_database_is_named() {
    let (wanted, seed) = rounds(1);
    let mut world = Restored::new().await;
    assert_eq!(world.compare().await, Vec::<String>::new(), "nothing is damaged yet");
    let (mut done, mut at) = (0, 0);
    let mut each = std::collections::BTreeMap::new();
    while done < wanted {
        // Each round has a seed of its own, by which it can be repeated.
        at += 1;
        let mut random = Random::seeded(seed.wrapping_add(at));
        let kind = random.below(KINDS.len());
        if let Some(checked) = round(&mut world, kind, &mut random).await {
            checked.unwrap_or_else(|why| panic!("RUNPLAN_DAMAGE_SEED={} RUNPLAN_DAMAGE=1: {why}", seed + at - 1));
            *each.entry(KINDS[kind]).or_insert(0) += 1;
            done += 1;
            if done % 25 == 0 {
                assert_eq!(world.compare().await, Vec::<String>::new(), "all is repaired");
            }
        }
        assert!(at < wanted * 20 + 100, "of {at} damages {done} were done");
    }
    println!("{done} damages of {at} tried, seed {seed}: {each:?}");
}
