//! Dumps whose objects run code of an ordinary role when they are restored: it must reach nothing.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::proof::alone;
use crate::world::{PASSWORD, Run, World, psql};

const DUMP: &str = "  - { id: dump, uses: pg_dump, timeout: 1h, with: { archive: { path: 'out/a.zip', password: '${{ secrets.zip }}' } } }\n";

fn plan(steps: &str) -> String {
    format!("secrets: {{ zip: {{ env: TEST_ZIP }} }}\nsteps:\n{steps}")
}

fn check(with: &str) -> String {
    format!(
        "  - {{ id: check, uses: restore_check, timeout: 1h, with: {{ archive: out/a.zip, password: '${{{{ secrets.zip }}}}'{with} }} }}\n"
    )
}

/// What an ordinary role writes into its own schema so that a restore runs its function. The function runs a program as
/// the account of the server where it may, and fails with what the program printed.
fn attack(role: &str, program: &str) -> String {
    let program = program.replace('\'', "''");
    format!(
        "CREATE ROLE {role}; CREATE SCHEMA evil AUTHORIZATION {role}; SET ROLE {role};
CREATE FUNCTION evil.hit(v text) RETURNS boolean LANGUAGE plpgsql AS $f$
DECLARE heard text;
BEGIN
  BEGIN
    EXECUTE 'ALTER ROLE {role} SUPERUSER';
  EXCEPTION WHEN OTHERS THEN NULL; END;
  BEGIN
    CREATE TEMP TABLE IF NOT EXISTS said (t text); DELETE FROM pg_temp.said;
    COPY pg_temp.said FROM PROGRAM '{program}' WITH (DELIMITER E'\\x01');
    SELECT string_agg(t, ', ') INTO heard FROM pg_temp.said;
  EXCEPTION WHEN OTHERS THEN NULL; END;
  IF heard <> '' THEN RAISE EXCEPTION 'LEAK by %: %', v, heard; END IF;
  RETURN true;
END $f$;
CREATE FUNCTION evil.number(v text) RETURNS int LANGUAGE plpgsql IMMUTABLE AS $f$ BEGIN PERFORM evil.hit(v); RETURN 1; END $f$;
CREATE DOMAIN evil.word AS text CHECK (evil.hit('domain'));
CREATE TABLE evil.checked (a int CHECK (evil.hit('check')));
CREATE TABLE evil.generated (a int, g int GENERATED ALWAYS AS (evil.number('generated')) STORED);
CREATE TABLE evil.indexed (a int); CREATE INDEX ON evil.indexed (evil.number('index' || a));
CREATE TABLE evil.domained (a evil.word);
CREATE MATERIALIZED VIEW evil.kept AS SELECT evil.number('matview') AS n;
INSERT INTO evil.checked VALUES (1); INSERT INTO evil.generated VALUES (1); INSERT INTO evil.indexed VALUES (1); INSERT INTO evil.domained VALUES ('a');
RESET ROLE;"
    )
}

/// Makes what the world has so far the property of an account that is not root, and gives the binary run as it.
fn as_somebody(world: &World) -> Command {
    let run = |program: &str, arguments: &[&str]| {
        let status = Command::new(program).args(arguments).arg(world.path("")).status().expect("it runs");
        assert!(status.success(), "{program}");
    };
    run("chown", &["-R", "65534:65534"]);
    let own = world.runplan();
    let mut command = Command::new("setpriv");
    command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]).arg(own.get_program());
    command.current_dir(world.path(""));
    for (name, value) in own.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    command
}

fn is_root() -> bool {
    std::fs::metadata("/proc/self").is_ok_and(|m| std::os::unix::fs::MetadataExt::uid(&m) == 0)
}

/// Tries everything that the code of a dump may try, and says `LEAK` for what it could.
fn program(world: &World, marker: &Path) -> String {
    let (archives, marker) = (world.path("out").display().to_string(), marker.display());
    format!(
        "(echo hit > {marker}; rm -rf {archives}; ls {archives}; ls -A {home}; cat /proc/[0-9]*/environ | tr '\\000' '\\n' | grep -a RUNPLAN_ZIP; \
         (echo > /dev/tcp/127.0.0.1/{port}) && echo network; true) 2>/dev/null",
        home = "/root /home/* /var/lib/postgresql",
        port = std::env::var("PGPORT").unwrap_or_default(),
    )
    .replace("(echo > /dev/tcp", "bash -c \"echo > /dev/tcp")
    .replace(") && echo network", "\" && echo network")
}

#[test]
fn the_code_of_a_dump_reaches_nothing_outside_its_cluster() {
    let _alone = alone();
    for root in [false, true].into_iter().filter(|root| !root || is_root()) {
        let world = World::with_database();
        let open = tempfile::tempdir().expect("a folder");
        std::fs::set_permissions(open.path(), std::os::unix::fs::PermissionsExt::from_mode(0o777)).expect("a mode");
        let marker = open.path().join("marker");
        let role = format!("{}_mallory", world.db());
        world.sql(&attack(&role, &program(&world, &marker)));
        for format in ["custom", "plain", "directory"] {
            let _ = std::fs::remove_dir_all(world.path("out"));
            let dump = DUMP.replace("with: {", &format!("with: {{ format: {format},"));
            world.write(
                "plan.yaml",
                format!("version: 1\nname: night\nlogs: {{ dir: logs }}\n{}", plan(&format!("{dump}{}", check("")))),
            );
            let mut command = if root || !is_root() { world.runplan() } else { as_somebody(&world) };
            let output = command.arg("plan.yaml").env("RUNPLAN_ZIP_PASSWORD", "canary").output();
            let run = Run::from(output.expect("the binary runs")).ends(0).says("are what was dumped");
            run.never_says("LEAK").says("confinement: namespaces of their own (bubblewrap)");
            assert!(!marker.exists(), "{format}, root: {root}");
            assert!(world.path("out/a.zip").exists(), "{format}, root: {root}");
        }
        world.sql(&format!("DROP OWNED BY {role} CASCADE; DROP ROLE {role}"));
    }
}

#[test]
fn the_code_of_a_dump_does_run_in_its_cluster() {
    let _alone = alone();
    let world = World::with_database();
    let role = format!("{}_mallory", world.db());
    world.sql(&attack(&role, "id -u; ls /; ls -A /tmp"));
    let run = world.run(&plan(&format!("{DUMP}{}", check(", into: cluster"))), &[]).ends(1);
    run.says("LEAK by generated: 65534, bin, ").never_says(", root").never_says(", home");
    world.sql(&format!("DROP OWNED BY {role} CASCADE; DROP ROLE {role}"));
}

#[test]
fn a_scratch_database_is_refused_to_who_could_lose_the_server_by_it() {
    let _alone = alone();
    let world = World::with_database();
    let role = format!("{}_mallory", world.db());
    world.sql(&attack(&role, "true"));
    let superuser = || psql("postgres", &format!("SELECT rolsuper FROM pg_roles WHERE rolname = '{role}'"));
    let scratch = |with: &str| plan(&check(&format!(", into: scratch{with}")));
    world.run(&plan(DUMP), &[]).ends(0);
    world
        .run(&scratch(""), &[])
        .ends(1)
        .says("`runplan`, which is a superuser")
        .says("trust_source: true")
        .says("into: cluster");
    assert_eq!(superuser(), "f");
    // Nor to a role that only may become one, or may read and write the files of the server.
    let user = format!("{}_checker", world.db());
    world.sql(&format!("CREATE ROLE {user} LOGIN CREATEDB PASSWORD 'graphite'; GRANT {role} TO {user}"));
    let as_user = scratch(&format!(", database: {{ user: {user}, password: '${{{{ secrets.pw }}}}' }}"))
        .replace("secrets: {", "secrets: { pw: { env: TEST_PW },");
    let run = |text: &str| {
        world.write("plan.yaml", format!("version: 1\nname: night\nlogs: {{ dir: logs }}\n{text}"));
        Run::from(world.runplan().arg("plan.yaml").env("TEST_PW", "graphite").output().expect("the binary runs"))
    };
    for (grant, says) in [
        ("GRANT pg_execute_server_program TO", "a member of `pg_execute_server_program`"),
        ("GRANT pg_read_all_data TO", "a member of `pg_read_all_data`"),
        ("GRANT runplan TO", "a member of `runplan`, which is a superuser"),
    ] {
        world.sql(&format!("{grant} {role}"));
        run(&as_user).ends(1).says(&format!("`{user}`, which is {says}"));
        world.sql(&format!("{} {role}", grant.replace("GRANT", "REVOKE").replace(" TO", " FROM")));
    }
    for (option, says) in
        [("CREATEROLE", "may make roles"), ("REPLICATION", "may replicate"), ("BYPASSRLS", "bypasses row security")]
    {
        world.sql(&format!("ALTER ROLE {user} {option}"));
        run(&as_user).ends(1).says(&format!("`{user}`, which {says}"));
        world.sql(&format!("ALTER ROLE {user} NO{option}"));
    }
    assert_eq!(psql("postgres", "SELECT count(*) FROM pg_database WHERE datname LIKE 'runplan_check_%'"), "0");
    // Nor to a member of any other role, whose objects the code could change.
    run(&as_user).ends(1).says(&format!("`{user}`, which is a member of `{role}`"));
    // Who trusts the source lets it in, and the code gains no more by it.
    run(&as_user.replace("into: scratch", "into: scratch, trust_source: true")).ends(0);
    assert_eq!(superuser(), "f");
    // An ordinary role is let in, but has to own what it restores.
    world.sql(&format!("REVOKE {role} FROM {user}"));
    run(&as_user).ends(1).says("restoring runs code").says("ALTER SCHEMA evil OWNER TO").never_says("trust_source");
    // Who trusts the source says so, and loses the server to it.
    world.run(&scratch(", trust_source: true"), &[]).ends(0);
    assert_eq!(superuser(), "t");
    world.sql(&format!("DROP OWNED BY {role} CASCADE; DROP ROLE {user}; DROP ROLE {role}"));
}

#[test]
fn a_restore_into_a_database_says_what_it_trusts() {
    let _alone = alone();
    let world = World::with_database();
    world.sql("CREATE TABLE t (id int)");
    world.run(&plan(DUMP), &[]).ends(0);
    let into = format!("{}_again", world.db());
    let mut command = world.runplan();
    command.args(["restore", "out/a.zip", "--into", &into, "--create"]).env("RUNPLAN_ZIP_PASSWORD", PASSWORD);
    let port = std::env::var("PGPORT").expect("a server");
    Run::from(command.output().expect("the binary runs")).ends(0).says(&format!(
        "restoring runs code that owners of objects in this dump wrote, as `runplan` (superuser) on 127.0.0.1:{port}"
    ));
    psql("postgres", &format!("DROP DATABASE {into}"));
}

#[test]
fn without_bubblewrap_it_says_so_and_gives_no_secret_along() {
    let _alone = alone();
    let world = World::with_database();
    let role = format!("{}_mallory", world.db());
    // What the shell of the program has in its environment.
    world.sql(&attack(&role, "set"));
    world.run(&plan(DUMP), &[]).ends(0);
    std::fs::create_dir(world.path("empty")).expect("a folder");
    let text = plan(&check(""));
    world.write("plan.yaml", format!("version: 1\nname: night\nlogs: {{ dir: logs }}\n{text}"));
    let mut command = world.runplan();
    command.arg("plan.yaml").env("PATH", world.path("empty")).env("RUNPLAN_ZIP_PASSWORD", "canary-of-ours");
    let run = Run::from(command.output().expect("the binary runs")).ends(1);
    let run = run.says("LEAK by generated: ").says("HOME=").never_says("canary-of-ours").never_says("TEST_ZIP");
    run.says(if is_root() { "confinement: account" } else { "confinement: a cleared environment only" })
        .says("install `bubblewrap`");
    world.sql(&format!("DROP OWNED BY {role} CASCADE; DROP ROLE {role}"));
}

#[test]
fn only_a_database_that_stays_is_said_to_hold_what_was_restored() {
    let _alone = alone();
    let world = World::with_database();
    // A check that holds for the row as it was written and not when it is restored.
    world.sql(
        "CREATE FUNCTION fails() RETURNS boolean LANGUAGE plpgsql AS $$BEGIN RETURN pg_catalog.current_database() NOT LIKE 'runplan\\_check%' AND pg_catalog.current_database() NOT LIKE '%\\_again'; END$$;
         CREATE TABLE t (id int CHECK (fails())); INSERT INTO t VALUES (1)",
    );
    world.run(&plan(DUMP), &[]).ends(0);
    let says = "what was restored so far is still in the database";
    for into in ["cluster", "scratch"] {
        let step = check(&format!(", into: {into}, trust_source: true"));
        world.run(&plan(&step), &[]).ends(1).says("violates check constraint").never_says(says);
    }
    let other = format!("{}_again", world.db());
    psql("postgres", &format!("CREATE DATABASE {other}"));
    let step = check(&format!(", into: database, trust_source: true, database: {{ dbname: {other} }}"));
    world.run(&plan(&step), &[]).ends(1).says("violates check constraint").says(says);
    psql("postgres", &format!("DROP DATABASE {other}"));
}

/// Runs a check whose dump runs a program in its cluster, as an account that is not root, with a temporary folder of its
/// own. Gives what it said, and what is left in that folder.
fn check_running(program: &str, env: &[(&str, &Path)]) -> (Run, Vec<String>) {
    let world = World::with_database();
    let role = format!("{}_mallory", world.db());
    world.sql(&attack(&role, program));
    std::fs::create_dir(world.path("tmp")).expect("a folder");
    world.run(&plan(DUMP), &[]).ends(0);
    world.write("plan.yaml", format!("version: 1\nname: night\nlogs: {{ dir: logs }}\n{}", plan(&check(""))));
    let mut command = if is_root() { as_somebody(&world) } else { world.runplan() };
    command.arg("plan.yaml").env("TMPDIR", world.path("tmp")).envs(env.iter().copied());
    let run = Run::from(command.output().expect("the binary runs"));
    world.sql(&format!("DROP OWNED BY {role} CASCADE; DROP ROLE {role}"));
    (run, world.names("tmp"))
}

#[test]
fn folders_that_the_code_closes_go_with_the_cluster() {
    let _alone = alone();
    let (run, left) = check_running(
        "mkdir -p shut/in/deep half/in; ln -s / shut/root; touch shut/in/deep/f; chmod 0 shut/in/deep shut/in shut; chmod 500 half; echo done",
        &[],
    );
    run.ends(1).says("LEAK by generated: done").never_says("of the cluster stays");
    assert!(left.is_empty(), "{left:?}");
}

/// A password file that has a password for every server.
fn password_file(world: &World) -> PathBuf {
    let file = world.write("passwords", "*:*:*:*:canary-of-a-password\n");
    std::fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o600)).expect("a mode");
    if is_root() {
        std::os::unix::fs::chown(&file, Some(65534), Some(65534)).expect("an owner");
        std::fs::set_permissions(world.path(""), std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("a mode");
    }
    file
}

#[test]
fn code_that_poses_as_the_server_of_its_cluster_hears_no_password_of_ours() {
    let _alone = alone();
    let world = World::new();
    let file = password_file(&world);
    // Takes the socket's place, asks for the password as it is, and tells what it heard.
    let poser = r#"perl -MSocket -e '
        my $p = ".s.PGSQL.5432"; rename $p, "old"; socket(S, PF_UNIX, SOCK_STREAM, 0); bind(S, sockaddr_un($p)); listen(S, 9);
        exit if fork; close STDOUT; close STDERR; close STDIN; accept(C, S); sysread C, $_, 4096; syswrite C, pack("aNN", "R", 8, 3);
        sysread C, $_, 4096; my ($w) = /^p....(.*)\0/s; my $m = "SFATAL\0VFATAL\0C28000\0Mheard <$w>\0\0"; syswrite C, pack("aN", "E", 4 + length $m) . $m; sleep 1'"#;
    let (run, left) = check_running(&poser.replace('\n', " "), &[("PGPASSFILE", &file)]);
    run.ends(1).says("heard <none>").never_says("canary-of-a-password");
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn a_link_in_place_of_the_socket_leads_to_no_other_server() {
    let _alone = alone();
    let world = World::new();
    let file = password_file(&world);
    let listener = std::os::unix::net::UnixListener::bind(world.path("other")).expect("a socket");
    std::fs::set_permissions(world.path("other"), std::os::unix::fs::PermissionsExt::from_mode(0o777)).expect("a mode");
    let other = std::thread::spawn(move || {
        let mut heard = Vec::new();
        // The last one to come is this test.
        for mut stream in listener.incoming().flatten() {
            let mut buffer = [0; 4096];
            let size = std::io::Read::read(&mut stream, &mut buffer).unwrap_or(0);
            if buffer.starts_with(b"end") {
                break;
            }
            heard.extend_from_slice(&buffer[..size]);
            let _ = std::io::Write::write_all(&mut stream, b"E\0\0\0\x05\0");
        }
        heard
    });
    let program = format!("ln -sf {} .s.PGSQL.5432", world.path("other").display());
    let (run, left) = check_running(&program, &[("PGPASSFILE", &file)]);
    let mut last = std::os::unix::net::UnixStream::connect(world.path("other")).expect("a connection");
    std::io::Write::write_all(&mut last, b"end").expect("it is told");
    let heard = other.join().expect("it ends");
    let run = run.ends(1).never_says("canary-of-a-password");
    // Without root the other server has the account of ours.
    if is_root() {
        run.says("user id 0 listens on the socket there, and user id 65534 should");
        assert!(heard.is_empty(), "{}", String::from_utf8_lossy(&heard));
    }
    assert!(!String::from_utf8_lossy(&heard).contains("canary") && left.is_empty(), "{left:?}");
}

#[test]
fn what_the_user_demands_of_servers_does_not_shut_out_the_cluster() {
    let world = World::with_database();
    world.sql("CREATE TABLE t (a int); INSERT INTO t VALUES (1)");
    world.write("plan.yaml", format!("version: 1\nname: demands\n{}", plan(&format!("{DUMP}{}", check("")))));
    let demand = |how: &str| {
        let run = world.runplan().arg("plan.yaml").env("PGREQUIREAUTH", how).output();
        Run::from(run.expect("the binary runs"))
    };
    demand("scram-sha-256").ends(0).says("were restored");
    std::fs::remove_dir_all(world.path("out")).expect("a folder");
    demand("none").ends(1).says("`PGREQUIREAUTH` is `none`");
}
