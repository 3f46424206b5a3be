//! Dumps in pg_dump's directory format, by several workers into one archive, and restores by several connections.

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::proof::{EVERYTHING, alone, forge};
use crate::world::{PASSWORD, Run, World, psql};

fn plan(with: &str) -> String {
    format!(
        "secrets: {{ zip: {{ env: TEST_ZIP }} }}\nsteps:\n  - {{ id: dump, uses: pg_dump, timeout: 1h, with: {{ {with}, archive: {{ path: out/a.zip, password: '${{{{ secrets.zip }}}}' }} }} }}\n"
    )
}

/// The binary with the password of the archive and a temporary folder of its own.
fn runplan(world: &World, arguments: &[&str]) -> Run {
    let _ = std::fs::create_dir(world.path("tmp"));
    let mut command = world.runplan();
    command.args(arguments).env("RUNPLAN_ZIP_PASSWORD", PASSWORD).env("TMPDIR", world.path("tmp"));
    command.output().expect("the binary runs").into()
}

fn dump(world: &World, with: &str) -> Run {
    let _ = std::fs::remove_dir_all(world.path("out"));
    world.run(&plan(with), &["-v"]).ends(0)
}

fn restored(world: &World) -> String {
    format!("{}_restored", world.db())
}

fn drop_restored(world: &World) {
    psql("postgres", &format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", restored(world)));
}

#[test]
fn what_several_workers_dump_is_restored_as_it_was_and_leaves_nothing_on_the_way() {
    let _alone = alone();
    let world = World::with_database();
    world.sql(EVERYTHING);
    for jobs in [1, 2, 4] {
        let run = dump(&world, &format!("format: directory, jobs: {jobs}, evidence: checksums"));
        run.says(&format!("--jobs={jobs}")).never_says("WARNING");
        assert_eq!(world.names("out"), ["a.zip", "a.zip.json"]);
        runplan(&world, &["verify", "out/a.zip"]).ends(0).says("is good: ").never_says(" 0 rows of");
        let said = runplan(&world, &["restore", "out/a.zip", "--into", &restored(&world), "--create", "--jobs", "2"]);
        said.ends(0).says("as they were dumped").never_says("does not say what was dumped");
        let count = "SELECT (SELECT count(*) FROM types) || ' ' || (SELECT count(*) FROM \"Schéma \"\"x\"\" 数据\".\"таблица.*\") || ' ' || (SELECT count(*) FROM pg_largeobject_metadata)";
        assert_eq!(psql(&restored(&world), count), world.sql(count));
        drop_restored(&world);
        assert_eq!(world.names("tmp"), Vec::<String>::new(), "what was laid out is gone");
    }
}

#[test]
fn stock_tools_alone_unpack_and_restore_it() {
    let world = World::with_database();
    world.sql("CREATE TABLE \"quoted \"\"name\" (t text); INSERT INTO \"quoted \"\"name\" VALUES ('x'), (NULL); CREATE TABLE empty (id int); SELECT lo_from_bytea(0, 'large')");
    dump(&world, "format: directory, jobs: 2");
    for tool in ["7z", "bsdtar"] {
        std::fs::create_dir_all(world.path(tool)).expect("a folder");
        let mut command = Command::new(tool);
        match tool {
            "7z" => command.args(["x", "-bd", &format!("-p{PASSWORD}")]).arg(world.path("out/a.zip")),
            _ => command.args(["--passphrase", PASSWORD, "-xf"]).arg(world.path("out/a.zip")),
        };
        let output = command.current_dir(world.path(tool)).output().expect("run `tests/sandbox cargo test`");
        assert!(output.status.success(), "{tool}: {}", String::from_utf8_lossy(&output.stderr));
        psql("postgres", &format!("CREATE DATABASE {}", restored(&world)));
        let mut command = Command::new("pg_restore");
        command.args(["--exit-on-error", "--format=directory", "--jobs=2", "-d", &restored(&world)]);
        let output = command.arg(world.path(tool).join("database")).output().expect("pg_restore");
        assert!(output.status.success(), "{tool}: {}", String::from_utf8_lossy(&output.stderr));
        let count = "SELECT (SELECT count(*) FROM \"quoted \"\"name\") || ' ' || (SELECT count(*) FROM empty) || ' ' || (SELECT count(*) FROM pg_largeobject_metadata)";
        assert_eq!(psql(&restored(&world), count), "2 0 1");
        drop_restored(&world);
    }
}

#[test]
fn more_files_than_a_process_holds_open_go_through() {
    let world = World::with_database();
    world.sql("SELECT lo_from_bytea(0, repeat(g::text, 50)::bytea) FROM generate_series(1, 1500) g");
    world.write(
        "plan.yaml",
        format!(
            "version: 1\nname: night\nlogs: {{ dir: logs }}\n{}",
            plan("format: directory, jobs: 2, allow_empty: true")
        ),
    );
    let mut command = Command::new("sh");
    command.args(["-c", "ulimit -n 320; exec \"$@\"", "sh", env!("CARGO_BIN_EXE_runplan"), "plan.yaml"]);
    command.current_dir(world.path("")).env("TEST_ZIP", PASSWORD).env("PGDATABASE", world.db());
    command.env("XDG_STATE_HOME", world.path("state"));
    Run::from(command.output().expect("sh")).ends(0);
    runplan(&world, &["verify", "out/a.zip"]).ends(0);
    runplan(&world, &["restore", "out/a.zip", "--into", &restored(&world), "--create"])
        .ends(0)
        .says("as they were dumped");
    drop_restored(&world);
}

/// Tables that take a while to dump, and a run that is in the midst of it.
fn midst(world: &World) -> std::process::Child {
    for table in ["a", "b", "c", "d", "e", "f"] {
        world.sql(&format!(
            "CREATE TABLE {table} AS SELECT g AS id, repeat(md5(g::text), 8) AS canary FROM generate_series(1, 150000) g"
        ));
    }
    let with = plan("format: directory, jobs: 2").replace("out/a.zip", "'out/a-${{ run.id }}.zip'");
    world.write("plan.yaml", format!("version: 1\nname: night\nlogs: {{ dir: logs }}\n{with}"));
    let mut command = world.runplan();
    let mut child =
        command.args(["-v", "plan.yaml"]).stderr(Stdio::piped()).stdout(Stdio::null()).spawn().expect("runs");
    let lines = BufReader::new(child.stderr.take().expect("its lines")).lines();
    let mut dumping = lines.map_while(Result::ok).filter(|l| l.contains("dumping contents of table"));
    assert!(dumping.nth(1).is_some(), "it never began");
    child
}

/// Waits until something is so.
fn until(what: &str, is: impl Fn() -> bool) {
    let since = Instant::now();
    while !is() {
        assert!(since.elapsed() < Duration::from_secs(60), "never: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Waits until two files are being read that have no name any more.
fn nameless(child: &std::process::Child) {
    let held = || {
        let handles = std::fs::read_dir(format!("/proc/{}/fd", child.id())).into_iter().flatten().flatten();
        let files = handles.filter_map(|h| std::fs::read_link(h.path()).ok());
        files.filter(|f| f.to_string_lossy().ends_with(".dat (deleted)")).count()
    };
    until("the files lose their names", || held() >= 2);
}

/// Waits until no `pg_dump` is at the database any more.
fn quiet(world: &World) {
    let sql = format!(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = '{}' AND application_name = 'pg_dump'",
        world.db()
    );
    until("pg_dump ends", || psql("postgres", &sql) == "0");
}

/// Changes the record of an archive.
fn enlarge(world: &World, key: &str, bytes: u64) {
    let text = std::fs::read_to_string(world.path("out/a.zip.json")).expect("a record");
    let mut record: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    record[key] = bytes.into();
    world.write("out/a.zip.json", record.to_string());
}

#[test]
fn doctor_counts_what_waits_beside_the_archive() {
    let world = World::with_database();
    world.sql("CREATE TABLE a AS SELECT generate_series(1, 100) AS id");
    let doctor = |with: &str, also: &str| {
        let text = plan(with).replace("out/a.zip,", &format!("'out/${{{{ run.id }}}}.zip', {also}"));
        world.write("plan.yaml", format!("version: 1\nname: night\nlogs: {{ dir: logs }}\n{text}"));
        Run::from(world.runplan().args(["doctor", "plan.yaml"]).output().expect("runs")).ends(0)
    };
    let wait = "may have to wait there until it is packed";
    for (with, waits) in [("format: custom", false), ("format: directory, jobs: 2", true)] {
        dump(&world, with);
        doctor(with, "").says("folder `out`: ").never_says(wait);
        // As if that dump had been larger than any disk, and its archive had not.
        enlarge(&world, "dump_bytes", 1 << 60);
        let run = doctor(with, "");
        let run = if waits { run.says("1.00 EiB, ").says(wait).says("1 warning") } else { run.never_says(wait) };
        run.never_says("problem");
    }
    // It waits beside the first place alone.
    std::fs::create_dir(world.path("b")).expect("a folder");
    std::fs::copy(world.path("out/a.zip.json"), world.path("b/a.zip.json")).expect("a record");
    doctor("format: directory", "also: ['b/${{ run.id }}.zip'],").says("folder `b`: ").says("1 warning\n");
}

#[test]
fn compression_by_pg_dump_is_refused_before_anything_is_made() {
    let world = World::with_database();
    world.run(&plan("format: directory, extra_args: [-Z6]"), &[]).ends(78).says("the archive compresses");
    // What a template gives is known at the run.
    let late = plan("format: directory, extra_args: ['${{ params.more }}']");
    let late = format!("params: {{ more: {{ type: string, default: '--compress=gzip:6' }} }}\n{late}");
    world.run(&late, &[]).ends(1).says("`--compress` is not for `extra_args`").says("the archive compresses");
    assert!(!world.path("out").exists());
}

#[test]
fn killed_in_the_midst_it_leaves_no_row_and_the_next_run_clears_up() {
    let world = World::with_database();
    let mut child = midst(&world);
    nameless(&child);
    child.kill().expect("it is killed");
    child.wait().expect("it ended");
    quiet(&world);
    let left = world.names("out");
    let spool = left.iter().find(|n| n.ends_with(".spool")).unwrap_or_else(|| panic!("no folder: {left:?}"));
    for name in world.names(&format!("out/{spool}")) {
        let bytes = std::fs::read(world.path(&format!("out/{spool}/{name}"))).expect("a file");
        assert!(bytes.is_empty(), "{name} has {} bytes", bytes.len());
    }
    // What somebody else keeps under such a name stays.
    world.write("out/other.spool/file", "mine");
    let plan = std::fs::read_to_string(world.path("plan.yaml")).expect("the plan");
    let plan = plan.split_once("logs: { dir: logs }\n").expect("a plan").1;
    world.run(plan, &[]).ends(0).says(&format!("removed `{spool}`"));
    let left: Vec<String> = world.names("out").into_iter().filter(|n| n.contains("spool")).collect();
    assert_eq!(left, ["other.spool"]);
    let archive = world.names("out").into_iter().find(|n| n.ends_with(".zip")).expect("an archive");
    runplan(&world, &["verify", &format!("out/{archive}")]).ends(0).says("900000 rows of 6 tables");
}

#[test]
fn killed_before_it_could_take_a_name_away_it_leaves_no_row_either() {
    let world = World::with_database();
    // It stops runplan, so that no name is taken away any more, and only then writes.
    let text = "[ \"$1\" = --version ] && exec /usr/lib/postgresql/*/bin/pg_dump --version
for a in \"$@\"; do case \"$a\" in --file=*) dir=\"${a#--file=}\";; esac; done
kill -STOP $PPID
while grep -L '^State:.[Tt]' /proc/$PPID/task/*/status | grep -q .; do sleep 0.01; done
echo canary > \"$dir/1.dat\"
touch written";
    crate::world::script(&world.path("fake"), text);
    let with = format!("format: directory, program: {}", world.path("fake").display());
    world.write("plan.yaml", format!("version: 1\nname: night\nlogs: {{ dir: logs }}\n{}", plan(&with)));
    let mut child = world.runplan().arg("plan.yaml").stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("runs");
    until("it is written", || world.path("written").exists());
    assert_eq!(world.names("out/a.zip.spool"), ["1.dat"], "it has its name");
    child.kill().expect("it is killed");
    child.wait().expect("it ended");
    until("the rows are gone", || world.names("out/a.zip.spool").is_empty());
}

#[test]
fn told_to_stop_in_the_midst_it_leaves_nothing() {
    let world = World::with_database();
    let mut child = midst(&world);
    let told = Command::new("kill").args(["-TERM", &child.id().to_string()]).status().expect("kill");
    assert!(told.success());
    assert_eq!(child.wait().expect("it ended").code(), Some(143));
    quiet(&world);
    assert_eq!(world.names("out"), Vec::<String>::new());
}

#[test]
fn a_pg_dump_that_fails_or_lies_makes_no_archive() {
    let world = World::with_database();
    world.sql("CREATE TABLE a AS SELECT generate_series(1, 100) AS id");
    // Its last argument but those of ours names the folder.
    let real = "/usr/lib/postgresql/*/bin/pg_dump";
    for (deed, says) in [
        ("exec 3>\"$dir/1.dat\"; echo x >&3; exit 3", "exit status 3"),
        ("exit 0", "has no table of contents"),
        ("head -c 20 /dev/zero > \"$dir/toc.dat\"", "does not begin with"),
        (
            "@REAL@ --format=directory --compress=0 --file=keep @DB@; rm keep/*.dat.gz; for f in keep/[0-9]*; do rm \"$f\"; done; cp keep/* \"$dir\"",
            "is missing",
        ),
        (
            "@REAL@ --format=directory --compress=0 --file=keep @DB@; for f in keep/[0-9]*; do truncate -s -4 \"$f\"; done; cp keep/* \"$dir\"",
            "break off",
        ),
    ] {
        let script = format!(
            "[ \"$1\" = --version ] && exec {real} --version\nfor a in \"$@\"; do case \"$a\" in --file=*) dir=\"${{a#--file=}}\";; esac; done\nrm -rf keep\n{}",
            deed.replace("@REAL@", real).replace("@DB@", world.db())
        );
        crate::world::script(&world.path("fake"), &script);
        let run = world.run(&plan(&format!("format: directory, program: {}", world.path("fake").display())), &[]);
        run.ends(1).says(says);
        assert_eq!(world.names("out"), Vec::<String>::new(), "{deed}");
    }
}

#[test]
fn what_was_lost_or_added_on_the_way_is_named() {
    let _alone = alone();
    let world = World::with_database();
    world.sql("CREATE TABLE a AS SELECT generate_series(1, 100) AS id; SELECT lo_from_bytea(0, 'large')");
    for (change, says) in [
        ("del files[[n for n in files if n.startswith('database/blob_')][0]]", "is missing"),
        (
            "n = [n for n in files if n[9:10].isdigit()][0]; size = len(files.pop(n)); manifest['dump_bytes'] -= size",
            "is missing",
        ),
        (
            "n = [n for n in files if n[9:10].isdigit()][0]; files[n] = files[n][2:]; manifest['dump_bytes'] -= 2",
            "has 99 rows in the dump",
        ),
        ("files['database/99.dat'] = b''", "nothing names the file `99.dat`"),
        ("manifest['dump_bytes'] += 1", "bytes, and the manifest says"),
        ("del files['database/toc.dat']", "it names the dump `database/toc.dat`, which is not there"),
    ] {
        dump(&world, "format: directory, jobs: 2");
        runplan(&world, &["verify", "out/a.zip"]).ends(0);
        forge(&world, change);
        runplan(&world, &["verify", "out/a.zip"]).ends(1).says(says);
    }
}

#[test]
fn killed_in_a_restore_it_leaves_nothing_of_the_dump() {
    let _alone = alone();
    let world = World::with_database();
    world.sql("CREATE TABLE a AS SELECT generate_series(1, 100) AS id");
    dump(&world, "format: directory");
    let to = restored(&world);
    psql("postgres", &format!("CREATE DATABASE {to} TEMPLATE template0"));
    // Nobody makes a table there as long as somebody holds this lock.
    let mut holder = Command::new("psql").args(["-XAtq", "-d", &to]).stdin(Stdio::piped()).spawn().expect("psql");
    let mut said = holder.stdin.take().expect("its input");
    writeln!(said, "BEGIN; LOCK TABLE pg_class IN SHARE MODE;").expect("it listens");
    let locks =
        "SELECT count(*) FROM pg_locks WHERE relation = 'pg_class'::regclass AND mode = 'ShareLock' AND granted";
    until("the lock is held", || psql(&to, locks) == "1");
    std::fs::create_dir(world.path("tmp")).expect("a folder");
    let mut command = world.runplan();
    command.args(["restore", "out/a.zip", "--into", &to, "--jobs", "2"]).env("RUNPLAN_ZIP_PASSWORD", PASSWORD);
    command.env("TMPDIR", world.path("tmp")).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = command.spawn().expect("runs");
    let waits = "SELECT count(*) FROM pg_locks WHERE relation = 'pg_class'::regclass AND NOT granted";
    until("pg_restore waits", || psql(&to, waits) != "0");
    let spool = world.names("tmp").into_iter().find(|n| n.ends_with(".spool")).expect("the dump is laid out");
    assert!(world.names(&format!("tmp/{spool}")).contains(&"toc.dat".to_owned()));
    child.kill().expect("it is killed");
    child.wait().expect("it ended");
    until("the dump is gone", || world.names(&format!("tmp/{spool}")).is_empty());
    drop(said);
    holder.wait().expect("it ended");
    drop_restored(&world);
}

#[test]
fn a_dump_in_one_file_is_laid_out_for_several_connections_and_sql_is_refused() {
    let _alone = alone();
    let world = World::with_database();
    world.sql(EVERYTHING);
    dump(&world, "format: custom");
    let run = runplan(&world, &["restore", "out/a.zip", "--into", &restored(&world), "--create", "--jobs", "3"]);
    run.ends(0).says("as they were dumped");
    drop_restored(&world);
    assert_eq!(world.names("tmp"), Vec::<String>::new());
    dump(&world, "format: plain");
    let run = runplan(&world, &["restore", "out/a.zip", "--into", &restored(&world), "--create", "--jobs", "3"]);
    run.ends(1).says("the dump is SQL").says("`format: directory`");
    drop_restored(&world);
    for (with, says) in [
        ("jobs: 2", "`jobs` needs `format: directory`"),
        ("format: directory, jobs: 0", "0"),
        ("format: directory, jobs: 65", "65"),
    ] {
        world.run(&plan(with), &[]).ends(78).says(says);
    }
    let bare = "steps:\n  - { uses: pg_dump, with: { format: directory, file: x.dump } }\n";
    world.run(bare, &[]).ends(78).says("`format: directory` needs an `archive`");
    let check = "  - { id: check, uses: restore_check, timeout: 1h, with: { archive: out/a.zip, password: '${{ secrets.zip }}', into: cluster, jobs: 2 } }\n";
    let _ = std::fs::remove_dir_all(world.path("out"));
    world.run(&(plan("format: directory, jobs: 2") + check), &[]).ends(0).says("are what was dumped");
}
