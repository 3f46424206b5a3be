//! The edges of `vacuum`: kinds of tables, names, locks, rights.

use std::io::Write;
use std::process::{Child, Command, Stdio};

use crate::world::{World, psql};

fn plan(with: &str) -> String {
    format!("steps:\n  - {{ id: vacuum, uses: vacuum, with: {{ {with} }} }}\n")
}

/// A session that holds what its statements took, until it is let go.
pub struct Holder(Child);

impl Holder {
    pub fn new(database: &str, sql: &str) -> Self {
        let mut child = Command::new("psql")
            .args(["-XAtq", "-d", database])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("psql");
        let mut stdin = child.stdin.take().expect("a pipe");
        writeln!(stdin, "BEGIN; {sql}; \\echo held").expect("it listens");
        let mut line = String::new();
        let mut out = std::io::BufReader::new(child.stdout.take().expect("a pipe"));
        while !line.contains("held") {
            line.clear();
            assert!(std::io::BufRead::read_line(&mut out, &mut line).expect("it answers") > 0, "psql ended");
        }
        child.stdin = Some(stdin);
        Self(child)
    }

    pub fn let_go(mut self) {
        drop(self.0.stdin.take());
        self.0.wait().expect("it ends");
    }
}

/// Waits until a session waits for a lock in the database.
pub fn wait_for_lock(world: &World) {
    let waits =
        format!("SELECT count(*) FROM pg_stat_activity WHERE datname = '{}' AND wait_event_type = 'Lock'", world.db());
    for _ in 0..600 {
        if psql("postgres", &waits) == "1" {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    panic!("nobody waits for a lock");
}

#[test]
fn names_are_taken_as_stored_and_kinds_of_tables_have_their_outcome() {
    let world = World::with_database();
    world.sql("CREATE TABLE \"A.b*\" (id int); CREATE TABLE \"Übung\" (id int); CREATE TABLE plain (id int); CREATE TABLE plainer (id int)");
    world.sql("CREATE SCHEMA other; CREATE TABLE other.far (id int); CREATE VIEW v AS SELECT 1; CREATE MATERIALIZED VIEW m AS SELECT 1");
    world.sql(
        "CREATE TABLE p (id int) PARTITION BY RANGE (id); CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (9)",
    );
    let recorded =
        || world.sql("SELECT string_agg(tabela_nome, ' ' ORDER BY tabela_nome COLLATE \"C\") FROM controle_vacuum");
    world.run(&plan("tables: ['Übung', 'plain?*', other.far, { schema: public, name: 'A.b*' }]"), &[]).ends(0);
    assert_eq!(recorded(), "\"A.b*\" other.far plainer Übung");
    world.run(&plan("tables: [p, m]"), &[]).ends(0);
    assert_eq!(recorded(), "\"A.b*\" m other.far p plainer Übung");
    world.sql("TRUNCATE controle_vacuum");
    world.run(&plan("exclude: ['plain*']"), &[]).ends(0);
    assert_eq!(
        recorded(),
        "\"A.b*\" other.far p1 Übung",
        "all ordinary tables, partitions among them, not the control table"
    );
    world.run(&plan("tables: [v]"), &[]).ends(1).says("`v` is a view, which cannot be vacuumed");
    world.run(&plan("tables: [ubung]"), &[]).ends(1).says("there is no table `ubung`");
    world.run(&plan("tables: ['{ schema: x }']"), &[]).ends(1).says("there is no table");
    world.run(&plan("tables: [{ schema: public }]"), &[]).ends(78).says("needs the key `name`");
}

#[test]
fn a_locked_table_fails_alone_and_can_be_tried_again() {
    let world = World::with_database();
    world.sql("CREATE TABLE a (id int); CREATE TABLE b (id int)");
    let holder = Holder::new(world.db(), "LOCK TABLE a IN ACCESS EXCLUSIVE MODE");
    let run = world.run(&plan("tables: [a, b], lock_timeout: 200ms"), &[]).ends(1);
    run.says("1 of 2 tables were not vacuumed: `a`").says("lock timeout");
    assert_eq!(world.sql("SELECT string_agg(tabela_nome, ' ') FROM controle_vacuum"), "b");
    let again = plan("tables: [a], lock_timeout: 200ms")
        .replace("uses: vacuum,", "uses: vacuum, retry: { attempts: 2, delay: 10ms },");
    world.run(&again, &[]).ends(1).says("attempt 1 of 2 failed");
    holder.let_go();
    world.run(&plan("tables: [a, b]"), &[]).ends(0);
    assert_eq!(world.sql("SELECT count(*) FROM controle_vacuum"), "2");
}

#[test]
fn a_table_that_vanishes_is_no_failure() {
    let world = World::with_database();
    world.sql("CREATE TABLE a (id int); CREATE TABLE b (id int); CREATE TABLE c (id int)");
    // The run decides, then waits for `a`; meanwhile `b` goes.
    let holder = Holder::new(world.db(), "LOCK TABLE a IN ACCESS EXCLUSIVE MODE");
    world.write("plan.yaml", format!("version: 1\nname: night\nlogs: {{ dir: logs }}\n{}", plan("lock_timeout: 60s")));
    let child = world.runplan().arg("plan.yaml").stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("runs");
    wait_for_lock(&world);
    world.sql("DROP TABLE b");
    holder.let_go();
    let output = child.wait_with_output().expect("it ends");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(said.contains("`b` is gone since it was decided"), "{said}");
    assert_eq!(world.sql("SELECT string_agg(tabela_nome, ' ' ORDER BY id) FROM controle_vacuum"), "a c");
}

#[test]
fn a_table_of_another_owner_is_reported_and_not_recorded() {
    let world = World::with_database();
    let role = format!("{}_user", world.db());
    world.sql(&format!("CREATE ROLE {role} LOGIN PASSWORD 'pw-of-other'; GRANT CREATE ON SCHEMA public TO {role}; CREATE TABLE mine (id int)"));
    let as_other = format!(
        "database: {{ user: {role}, password: '${{{{ secrets.pw }}}}' }}\nsecrets: {{ pw: {{ env: OTHER_PW }} }}\n"
    );
    world.write(
        "plan.yaml",
        format!("version: 1\nname: night\nlogs: {{ dir: logs }}\n{as_other}{}", plan("tables: [mine]")),
    );
    let mut command = world.runplan();
    let run = crate::world::Run::from(command.arg("plan.yaml").env("OTHER_PW", "pw-of-other").output().expect("runs"));
    run.ends(1).says("`mine`").says("skipping");
    assert_eq!(world.sql("SELECT count(*) FROM controle_vacuum"), "0");
    // Without the right to make the control table the run says so.
    world.sql(&format!("DROP TABLE controle_vacuum; REVOKE CREATE ON SCHEMA public FROM {role}"));
    let run = crate::world::Run::from(
        world.runplan().arg("plan.yaml").env("OTHER_PW", "pw-of-other").output().expect("runs"),
    );
    run.ends(1).says("creating the control table").says("control_table");
    let run =
        crate::world::Run::from(world.runplan().arg("plan.yaml").env("OTHER_PW", "wrong-word").output().expect("runs"));
    run.ends(1).says("check `user` and `password`").never_says("wrong-word");
    world.sql(&format!("DROP OWNED BY {role}; DROP ROLE {role}"));
}

#[test]
fn the_control_table_may_lie_elsewhere_and_the_greatest_time_counts() {
    let world = World::with_database();
    world.sql("CREATE SCHEMA care; CREATE TABLE t (id int)");
    world.run(&plan("control_table: care.log"), &[]).ends(0);
    let columns = "SELECT string_agg(column_name || ' ' || data_type || ' ' || is_nullable, ', ' ORDER BY ordinal_position) FROM information_schema.columns WHERE table_schema = 'care' AND table_name = 'log'";
    let expected =
        "id integer NO, tabela_nome text NO, ultima_execucao timestamp without time zone NO, tipo_vacuum text YES";
    assert_eq!(world.sql(columns), expected);
    // A row that was added later but says an earlier time does not count.
    world.sql("INSERT INTO care.log (tabela_nome, ultima_execucao) VALUES ('t', localtimestamp - interval '30 days')");
    world.run(&plan("control_table: care.log"), &[]).ends(0).says("last VACUUM was 0 days ago");
}
