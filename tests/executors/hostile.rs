//! A database whose owner is a stranger: settings that hurt, and functions, operators and tables of his that our own
//! statements must never run.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use crate::vacuum::Holder;
use crate::world::{Run, World, psql};

/// A mark that the stranger's functions leave as the server's account.
struct Mark(PathBuf);

impl Mark {
    fn of(world: &World) -> Self {
        Self(std::env::temp_dir().join(format!("{}_mark", world.db())))
    }

    fn is_missing(&self) {
        assert!(!self.0.exists(), "a stranger's function ran");
    }
}

impl Drop for Mark {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// Makes the schema `evil`: whatever our queries name is there too, and leaves a mark when it is run.
fn plant(world: &World, mark: &Mark) {
    let mark = mark.0.display();
    world.sql(&format!(
        "CREATE SCHEMA evil;
         CREATE FUNCTION evil.hit() RETURNS boolean LANGUAGE plpgsql SET search_path = pg_catalog AS
           $$BEGIN COPY (SELECT 1) TO '{mark}'; RETURN true; END$$;
         CREATE VIEW evil.pg_class AS SELECT c.* FROM pg_catalog.pg_class c WHERE evil.hit();
         CREATE VIEW evil.pg_namespace AS SELECT n.* FROM pg_catalog.pg_namespace n WHERE evil.hit();
         CREATE VIEW evil.pg_database AS SELECT d.* FROM pg_catalog.pg_database d WHERE evil.hit();
         CREATE VIEW evil.pg_roles AS SELECT r.* FROM pg_catalog.pg_roles r WHERE evil.hit();
         CREATE VIEW evil.pg_depend AS SELECT d.* FROM pg_catalog.pg_depend d WHERE evil.hit();
         CREATE VIEW evil.pg_stat_activity AS SELECT a.* FROM pg_catalog.pg_stat_activity a WHERE evil.hit();"
    ));
    for (arguments, result) in [
        ("current_setting(text)", "text"),
        ("current_database()", "name"),
        ("clock_timestamp()", "timestamptz"),
        ("pg_database_size(name)", "bigint"),
        ("pg_total_relation_size(regclass)", "bigint"),
        ("to_regclass(text)", "regclass"),
        ("pg_table_is_visible(oid)", "boolean"),
        ("current_schemas(boolean)", "name[]"),
        ("current_schema()", "name"),
        ("has_schema_privilege(oid, text)", "boolean"),
        ("has_table_privilege(oid, text)", "boolean"),
        ("has_sequence_privilege(oid, text)", "boolean"),
        ("pg_has_role(oid, text)", "boolean"),
        ("row_security_active(oid)", "boolean"),
        ("array_to_json(anyarray)", "json"),
        ("pg_try_advisory_lock(bigint)", "boolean"),
    ] {
        world.sql(&format!(
            "CREATE FUNCTION evil.{arguments} RETURNS {result} LANGUAGE plpgsql SET search_path = pg_catalog AS \
             $$BEGIN PERFORM evil.hit(); RETURN NULL; END$$"
        ));
    }
    for (name, left, right) in [
        ("=", "name", "name"),
        ("=", "text", "text"),
        ("=", "name", "text"),
        ("=", "oid", "oid"),
        ("=", "\"char\"", "\"char\""),
        ("<>", "\"char\"", "\"char\""),
        ("<>", "name", "text"),
        ("~", "name", "text"),
        ("!~", "name", "text"),
        ("/", "integer", "integer"),
    ] {
        let result = if name == "/" { "integer" } else { "boolean" };
        world.sql(&format!(
            "CREATE FUNCTION evil.two(l {left}, r {right}) RETURNS {result} LANGUAGE plpgsql \
             SET search_path = pg_catalog AS $$BEGIN PERFORM evil.hit(); RETURN l OPERATOR(pg_catalog.{name}) r; END$$;
             ALTER FUNCTION evil.two({left}, {right}) RENAME TO \"two {name}\";
             CREATE OPERATOR evil.{name} (LEFTARG = {left}, RIGHTARG = {right}, FUNCTION = evil.\"two {name}\")"
        ));
    }
}

const STEPS: &str = "steps:
  - { id: care, uses: vacuum, with: { tables: [first, 'other.*'] } }
  - { id: dump, uses: pg_dump, with: { tables: [first, 'other.*'], exclude_table_data: [second], archive: { path: 'out/${{ run.id }}.zip', password: '${{ secrets.zip }}' } } }
  - { id: ask, uses: sql, with: { statement: 'SELECT 1 AS one' } }
";

const SECRET: &str = "secrets: { zip: { env: TEST_ZIP } }\n";

#[test]
fn a_search_path_that_a_stranger_leads_runs_nothing_of_his() {
    let world = World::with_database();
    world.sql("CREATE TABLE first (id int); CREATE TABLE second (id int); CREATE SCHEMA other; CREATE TABLE other.far (id int)");
    let mark = Mark::of(&world);
    plant(&world, &mark);
    mark.is_missing();
    psql("postgres", &format!("ALTER DATABASE {} SET search_path = evil, pg_catalog, public", world.db()));
    for arguments in [&["-n"][..], &[]] {
        world.run(&(SECRET.to_owned() + STEPS), arguments).ends(0).never_says("does not exist");
        mark.is_missing();
    }
    Run::from(world.runplan().args(["doctor", "plan.yaml"]).output().expect("it runs")).ends(0);
    mark.is_missing();
    // What is named without a schema is what the role's own search path shows: the plan means it as `psql` would.
    world.run(&(SECRET.to_owned() + &STEPS.replace("[first, 'other.*']", "[far]")), &[]).ends(1).says("far");
    psql("postgres", &format!("ALTER DATABASE {} SET search_path = evil, pg_catalog, public, other", world.db()));
    world.run(&(SECRET.to_owned() + &STEPS.replace("[first, 'other.*']", "[far]")), &[]).ends(0);
    mark.is_missing();
    psql("postgres", &format!("ALTER DATABASE {} RESET search_path", world.db()));
    assert_eq!(
        world.sql("SELECT string_agg(tabela_nome, ' ' ORDER BY tabela_nome COLLATE \"C\") FROM evil.controle_vacuum"),
        "first other.far"
    );
}

#[test]
fn settings_of_a_role_or_database_that_hurt_change_nothing() {
    let world = World::with_database();
    world.sql("CREATE TABLE first (id int, at timestamptz DEFAULT now()); INSERT INTO first VALUES (1); CREATE SCHEMA other; CREATE TABLE other.far (id int); CREATE TABLE second (id int)");
    let role = format!("{}_user", world.db());
    psql("postgres", &format!("CREATE ROLE {role} LOGIN SUPERUSER PASSWORD 'pw-of-other'"));
    let version: u32 = world.sql("SHOW server_version_num").parse().expect("a number");
    let mut settings = vec![
        ("statement_timeout", "500ms"),
        ("lock_timeout", "300ms"),
        ("idle_in_transaction_session_timeout", "300ms"),
        ("idle_session_timeout", "700ms"),
        ("default_transaction_read_only", "on"),
        ("default_transaction_isolation", "serializable"),
        ("row_security", "off"),
        ("client_min_messages", "error"),
        ("DateStyle", "SQL, DMY"),
        ("IntervalStyle", "sql_standard"),
        ("TimeZone", "Pacific/Kiritimati"),
        ("bytea_output", "escape"),
        ("extra_float_digits", "-15"),
        ("standard_conforming_strings", "off"),
        ("client_encoding", "LATIN1"),
    ];
    if version >= 170_000 {
        settings.push(("transaction_timeout", "900ms"));
    }
    for (name, value) in &settings {
        psql("postgres", &format!("ALTER ROLE {role} SET {name} = '{value}'"));
        psql("postgres", &format!("ALTER DATABASE {} SET {name} = '{value}'", world.db()));
    }
    let user = format!("{SECRET}database: {{ user: {role}, password: '${{{{ secrets.pw }}}}' }}\n")
        .replace("secrets: {", "secrets: { pw: { env: OTHER_PW },");
    let holder =
        Holder::new(world.db(), "SET LOCAL transaction_read_only = off; LOCK TABLE first IN ACCESS EXCLUSIVE MODE");
    let ask = "statement: ''SELECT 1 AS one, count(*) AS n FROM pg_sleep(1)''";
    let steps = STEPS.replace("tables: [first, 'other.*'] } }", "tables: [first, 'other.*'], lock_timeout: 60s } }");
    let steps = steps.replace("statement: 'SELECT 1 AS one'", &ask.replace("''", "'"));
    world.write("plan.yaml", format!("version: 1\nname: night\nlogs: {{ dir: logs }}\n{user}{steps}"));
    let child = world
        .runplan()
        .arg("plan.yaml")
        .env("OTHER_PW", "pw-of-other")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    std::thread::sleep(Duration::from_millis(2500));
    holder.let_go();
    let run = Run::from(child.expect("it runs").wait_with_output().expect("it ends"));
    psql("postgres", &format!("ALTER DATABASE {} RESET ALL", world.db()));
    let owned = format!("REASSIGN OWNED BY {role} TO CURRENT_USER; DROP OWNED BY {role}; DROP ROLE {role}");
    run.ends(0);
    assert_eq!(world.sql("SELECT count(*) FROM controle_vacuum WHERE ultima_execucao BETWEEN localtimestamp - interval '13 hours' AND localtimestamp + interval '13 hours'"), "2");
    world.sql(&owned);
}
