//! The control table of `vacuum` when others have a hand in it, its names, and what counts as a VACUUM.

use crate::world::{World, psql};

fn plan(with: &str) -> String {
    format!("steps:\n  - {{ id: vacuum, uses: vacuum, with: {{ {with} }} }}\n")
}

const PLAIN: &str =
    "id serial PRIMARY KEY, tabela_nome text NOT NULL, ultima_execucao timestamp NOT NULL, tipo_vacuum text";

#[test]
fn a_control_table_that_would_run_a_strangers_code_is_refused() {
    let world = World::with_database();
    let mark = std::env::temp_dir().join(format!("{}_control", world.db()));
    let role = format!("{}_stranger", world.db());
    world.sql(&format!(
        "CREATE ROLE {role}; GRANT CREATE, USAGE ON SCHEMA public TO {role}; CREATE TABLE t (id int);
         CREATE FUNCTION hit() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN COPY (SELECT 1) TO '{0}'; RETURN NEW; END$$;
         CREATE FUNCTION hit_int() RETURNS int LANGUAGE plpgsql AS $$BEGIN COPY (SELECT 1) TO '{0}'; RETURN 1; END$$;
         CREATE FUNCTION hit_text(text) RETURNS text IMMUTABLE LANGUAGE plpgsql AS $$BEGIN COPY (SELECT 1) TO '{0}'; RETURN $1; END$$;
         CREATE DOMAIN word AS text CHECK (hit_text(VALUE) IS NOT NULL);
         CREATE TABLE parent ({PLAIN})",
        mark.display()
    ));
    for (sql, why) in [
        (format!("CREATE TABLE c ({PLAIN}); CREATE TRIGGER x BEFORE INSERT ON c FOR EACH ROW EXECUTE FUNCTION hit()"), "has a trigger"),
        (format!("CREATE TABLE c ({PLAIN}); CREATE RULE x AS ON INSERT TO c DO ALSO SELECT hit_int()"), "has a rule"),
        (format!("CREATE TABLE c ({PLAIN}); ALTER TABLE c ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY; CREATE POLICY x ON c USING (hit_int() = 1)"), "has row-level security"),
        (format!("CREATE TABLE c ({PLAIN}, CHECK (hit_text(tabela_nome) <> ''))"), "has a constraint"),
        (format!("CREATE TABLE c ({PLAIN}, extra int DEFAULT hit_int())"), "has a default"),
        (format!("CREATE TABLE c ({PLAIN}, extra text GENERATED ALWAYS AS (hit_text(tabela_nome)) STORED)"), "generated column"),
        (format!("CREATE TABLE c ({PLAIN}); CREATE INDEX ON c (hit_text(tabela_nome))"), "has an index with an expression"),
        (format!("CREATE TABLE c ({})", PLAIN.replace("tabela_nome text", "tabela_nome word")), "not built in"),
        (format!("CREATE TABLE c ({})", PLAIN.replace("timestamp", "timestamptz")), "lacks"),
        ("CREATE TABLE c () INHERITS (parent)".to_owned(), "inherits"),
        ("CREATE VIEW c AS SELECT hit_int() AS id, 't'::text AS tabela_nome, localtimestamp AS ultima_execucao, ''::text AS tipo_vacuum".to_owned(), "is not an ordinary table"),
    ] {
        world.sql(&format!("{sql}; ALTER TABLE c OWNER TO {role}"));
        let _ = std::fs::remove_file(&mark);
        for arguments in [&["-n"][..], &[]] {
            world.run(&plan("tables: [t], control_table: public.c"), arguments).ends(1).says(why);
            assert!(!mark.exists(), "{sql}: a stranger's function ran");
        }
        // Whoever it belongs to.
        world.sql("ALTER TABLE c OWNER TO CURRENT_USER");
        world.run(&plan("tables: [t], control_table: public.c"), &[]).ends(1).says(why);
        world.sql(if sql.contains("VIEW") { "DROP VIEW c" } else { "DROP TABLE c" });
    }
    // A plain table of a stranger runs nothing, but says what he likes.
    world.sql(&format!("CREATE TABLE c ({PLAIN}); ALTER TABLE c OWNER TO {role}"));
    world.run(&plan("tables: [t], control_table: public.c"), &[]).ends(1).says(&format!("it belongs to `{role}`"));
    world.sql(&format!(
        "ALTER TABLE c OWNER TO CURRENT_USER; CREATE INDEX ON c (tabela_nome); DROP OWNED BY {role}; DROP ROLE {role}"
    ));
    world.run(&plan("tables: [t], control_table: public.c"), &[]).ends(0);
    assert_eq!(world.sql("SELECT tabela_nome FROM c"), "t");
}

#[test]
fn a_trigger_that_comes_between_the_decision_and_the_record_does_not_run() {
    let world = World::with_database();
    let mark = std::env::temp_dir().join(format!("{}_between", world.db()));
    // An index function of the table's owner adds the trigger while the table is vacuumed.
    world.sql(&format!(
        "CREATE TABLE controle_vacuum ({PLAIN}); CREATE TABLE t (id int); INSERT INTO t VALUES (1);
         CREATE FUNCTION hit() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN COPY (SELECT 1) TO '{}'; RETURN NEW; END$$",
        mark.display()
    ));
    let holder = crate::vacuum::Holder::new(world.db(), "LOCK TABLE t IN ACCESS EXCLUSIVE MODE");
    world.write(
        "plan.yaml",
        format!("version: 1\nname: night\nlogs: {{ dir: logs }}\n{}", plan("tables: [t], lock_timeout: 60s")),
    );
    let child = world.runplan().arg("plan.yaml").stderr(std::process::Stdio::piped()).spawn().expect("runs");
    crate::vacuum::wait_for_lock(&world);
    world.sql("CREATE TRIGGER x BEFORE INSERT ON controle_vacuum FOR EACH ROW EXECUTE FUNCTION hit()");
    holder.let_go();
    let run = crate::world::Run::from(child.wait_with_output().expect("it ends"));
    run.ends(1).says("has a trigger");
    assert!(!mark.exists(), "the trigger ran");
}

#[test]
fn tables_whose_names_look_alike_have_records_of_their_own_and_old_ones_are_found() {
    let world = World::with_database();
    world.sql("CREATE SCHEMA a; CREATE TABLE a.b (id int); CREATE TABLE public.\"a.b\" (id int); CREATE TABLE public.\"old.one\" (id int)");
    world.sql(&format!("CREATE TABLE controle_vacuum ({PLAIN}); INSERT INTO controle_vacuum (tabela_nome, ultima_execucao) VALUES ('a.b', localtimestamp), ('old.one', localtimestamp)"));
    let run = world.run(&plan(""), &["-n"]).ends(0).says("`a.b`: nothing").says("`\"old.one\"`: nothing");
    run.says("`\"a.b\"`: VACUUM (FULL, ANALYZE), no record");
    world.run(&plan(""), &[]).ends(0);
    assert_eq!(
        world.sql("SELECT string_agg(tabela_nome, ' ' ORDER BY id) FROM controle_vacuum"),
        "a.b old.one \"a.b\""
    );
}

#[test]
fn what_a_function_of_an_index_warns_of_is_no_failure() {
    let world = World::with_database();
    world.sql(
        "CREATE FUNCTION loud(int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS $$BEGIN RAISE WARNING 'skipping \"t\" --- %', $1; RETURN $1; END$$;
         CREATE TABLE t (id int); INSERT INTO t SELECT generate_series(1, 200); CREATE INDEX ON t (loud(id))",
    );
    world
        .run(&plan("tables: [t]"), &[])
        .ends(0)
        .says("`t`: the server warns: skipping \"t\" --- 1")
        .says("more warnings");
    assert_eq!(world.sql("SELECT tabela_nome FROM controle_vacuum"), "t");
}

#[test]
fn the_decision_asks_as_much_for_many_tables_as_for_one() {
    let world = World::with_database();
    world.sql("DO $$BEGIN FOR g IN 1..200 LOOP EXECUTE format('CREATE TABLE t%s ()', g); END LOOP; END$$");
    let count = || -> i64 {
        world.sql("SELECT pg_stat_force_next_flush()");
        psql("postgres", &format!("SELECT xact_commit FROM pg_stat_database WHERE datname = '{}'", world.db()))
            .parse()
            .expect("a number")
    };
    world.sql(&format!("CREATE TABLE controle_vacuum ({PLAIN}); INSERT INTO controle_vacuum (tabela_nome, ultima_execucao) SELECT 't' || g, localtimestamp - h * interval '1 day' FROM generate_series(1, 200) g, generate_series(0, 9) h"));
    let before = count();
    world.run(&plan(""), &["-n"]).ends(0).says("`t200`: nothing, last VACUUM was 0 days ago");
    let asked = count() - before;
    assert!(asked < 60, "{asked} transactions for 200 tables");
}

#[test]
fn runs_with_different_state_folders_exclude_each_other_in_the_database() {
    let world = World::with_database();
    world.sql("CREATE TABLE t (id int)");
    let holder = crate::vacuum::Holder::new(world.db(), "LOCK TABLE t IN ACCESS EXCLUSIVE MODE");
    let text = |more: &str| {
        format!("version: 1\nname: night\nlogs: {{ dir: logs }}\n{more}{}", plan("tables: [t], lock_timeout: 60s"))
    };
    world.write("plan.yaml", text(""));
    let first = world.runplan().arg("plan.yaml").stderr(std::process::Stdio::piped()).spawn().expect("runs");
    crate::vacuum::wait_for_lock(&world);
    let elsewhere = |plan: &str| -> crate::world::Run {
        let mut command = world.runplan();
        command.arg(plan).env("XDG_STATE_HOME", world.path("other-state")).output().expect("it runs").into()
    };
    elsewhere("plan.yaml")
        .ends(75)
        .says("another run holds the lock in database")
        .says("server process")
        .says("`runplan 20");
    // Another plan is another matter, and so is another key.
    world.write(
        "other.yaml",
        text("").replace("name: night", "name: day").replace("lock_timeout: 60s", "lock_timeout: 200ms"),
    );
    elsewhere("other.yaml").ends(1).says("lock timeout");
    world.write("wait.yaml", text("lock: { overlap: wait, wait: 1m }\n"));
    let second = world
        .runplan()
        .arg("wait.yaml")
        .env("XDG_STATE_HOME", world.path("third-state"))
        .stderr(std::process::Stdio::piped())
        .spawn()
        .expect("runs");
    let says_so = || {
        let logs = world.names("logs/night").into_iter().map(|run| world.path(&format!("logs/night/{run}/run.log")));
        logs.filter_map(|log| std::fs::read_to_string(log).ok()).any(|log| log.contains("waiting for the lock in"))
    };
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(50);
    while !says_so() && std::time::Instant::now() < deadline {
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    holder.let_go();
    crate::world::Run::from(first.wait_with_output().expect("it ends")).ends(0);
    crate::world::Run::from(second.wait_with_output().expect("it ends")).ends(0).says("waiting for the lock in");
}
