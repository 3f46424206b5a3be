//! `init`: a first plan that validates, runs, and tells of a failure.

use crate::smtp::Server;
use crate::world::{PASSWORD, Run, World};
use crate::{at_keyboard, call};

fn written(world: &World, file: &str) -> String {
    std::fs::read_to_string(world.path(file)).expect("the plan was written")
}

#[test]
fn the_main_job_is_written_validates_and_runs_whole() {
    let world = World::with_database();
    world.sql("CREATE TABLE notes AS SELECT generate_series(1, 500) AS id");
    let server = Server::start(&[]);
    let port = server.port.to_string();
    let db = world.db();
    let arguments = ["init", "meu-plano.yaml", "--nightly", "--database", db, "--to", "arquivos", "--copy", "share"];
    let mail = ["--mail", "dba@example.org", "--mail-host", "127.0.0.1", "--mail-port", &port];
    let init = call(&world, &[&arguments[..], &mail].concat()).ends(0);
    for next in ["runplan doctor meu-plano.yaml", "runplan -n meu-plano.yaml", "runplan restore --plan", "30 1 * * *"] {
        assert!(init.out.contains(next), "{next}: {}", init.said);
    }
    // Cron has neither the variables of this shell nor, for all to read, its password.
    let variable = |name: &str| std::env::var(name).expect("run `tests/sandbox cargo test`");
    assert!(init.out.contains(&format!("\n  PGPORT={}\n", variable("PGPORT"))), "{}", init.said);
    assert!(init.out.contains("~/.pgpass") && !init.out.contains(&variable("PGPASSWORD")), "{}", init.said);
    let plan = written(&world, "meu-plano.yaml");
    assert!(plan.contains("  keep: 14 "), "old logs go: {plan}");
    assert!(plan.starts_with("# yaml-language-server: $schema=runplan.schema.json\n"), "{plan}");
    assert!(plan.contains("\nname: meu-plano\n") && plan.contains(&world.path("arquivos").display().to_string()));
    let schema: serde_json::Value = serde_json::from_str(&written(&world, "runplan.schema.json")).expect("a schema");
    assert!(schema.get("properties").is_some());
    call(&world, &["validate", "--deny-warnings", "meu-plano.yaml"]).ends(0);
    // What is there is not overwritten.
    call(&world, &[&arguments[..], &mail].concat()).ends(2).says("exists, and is not overwritten");

    let run = |arguments: &[&str]| -> Run {
        let mut command = world.runplan();
        command.env_remove("PGDATABASE").env("RUNPLAN_ZIP_PASSWORD", PASSWORD);
        command.args(arguments).output().expect("the binary runs").into()
    };
    // The second folder is missing, as a share that is not mounted: said before, and mailed.
    run(&["doctor", "meu-plano.yaml"]).ends(1).says("there is no folder");
    run(&["meu-plano.yaml", "-q"]).ends(1);
    let mails = server.mails();
    assert_eq!(mails.len(), 1, "one mail for one failure");
    assert!(mails[0].header("Subject").contains("meu-plano failed at copy"), "{}", mails[0].raw);
    assert!(mails[0].raw.contains("run.log"), "the log is attached");
    std::fs::create_dir(world.path("share")).expect("a share");
    run(&["doctor", "meu-plano.yaml"]).ends(0);
    run(&["-n", "meu-plano.yaml"]).ends(0);
    for _ in 0..2 {
        crate::next_second();
        run(&["meu-plano.yaml", "-q", "-p", "keep=1"]).ends(0);
    }
    for dir in ["arquivos", "share"] {
        let archives = world.names(dir).into_iter().filter(|n| n.ends_with(".zip")).count();
        assert_eq!(archives, 1, "both folders are pruned: {dir}");
    }
    assert_eq!(world.sql("SELECT count(*) FROM controle_vacuum WHERE tabela_nome = 'notes'"), "1");
    run(&["archives", "meu-plano.yaml"]).ends(0).says(" 501 ").says("share/");
    let again = format!("{db}_again");
    run(&["restore", "--plan", "meu-plano.yaml", "--into", &again, "--create"]).ends(0).says("are there");
    crate::world::psql("postgres", &format!("DROP DATABASE {again}"));
    assert_eq!(server.mails().len(), 1);
}

#[test]
fn every_way_to_write_it_validates() {
    let world = World::new();
    let base = ["--database", "it's \"${{ x }}\"", "--to", "a b/${{ y }}"];
    for (at, more) in [
        &[][..],
        &["--copy", "/mnt/c"],
        &["--mail", "dba@example.org"],
        &["--mail", "dba@example.org", "--mail-host", "smtp.example.org", "--mail-user", "me", "--mail-port", "465"],
        &["--mail", "dba@example.org", "--mail-host", "smtp.example.org", "--copy", "c"],
    ]
    .into_iter()
    .enumerate()
    {
        let file = format!("plans/p{at}.yaml");
        call(&world, &[&["init", &file], &base[..], more].concat()).ends(0);
        call(&world, &["validate", "--deny-warnings", &file]).ends(0);
    }
    let show = call(&world, &["show", "--resolved", "plans/p0.yaml"]).ends(0);
    assert!(show.out.contains("dbname: it's \"${{ x }}\"") && show.out.contains("a b/${{ y }}"), "{}", show.out);
    let plan = written(&world, "plans/p0.yaml");
    assert!(plan.contains("Failures are not reported yet") && !plan.contains("uses: copy"), "{plan}");
    call(&world, &["init", "same.yaml", "--database", "x", "--to", "d", "--copy", "d"]).ends(2).says("same folder");
}

#[test]
fn no_database_is_taken_by_silence() {
    let world = World::new();
    let refused = call(&world, &["init"]).ends(2).says("--database and --to must be given");
    refused.says("like `runplan init --database app");
    for template in ["dump-only", "maintenance"] {
        call(&world, &["init", "--template", template]).ends(2).says("--database must be given");
        call(&world, &["init", "--template", template, "--database", "app"]).ends(0);
        assert!(written(&world, &format!("{template}.yaml")).contains("database: { dbname: \"app\" }"));
    }
    assert!(world.names("").iter().all(|n| n != "nightly.yaml"));
    let answers =
        ["database to back up: ", "app", "folder for the archives", "", "second folder", "/mnt/x", "mail address", ""];
    at_keyboard(&world, &answers, &["init"]).ends(0).says("wrote ./nightly.yaml");
    let plan = written(&world, "nightly.yaml");
    assert!(plan.contains("dbname: \"app\"") && plan.contains("/backups\"") && plan.contains("\"/mnt/x\""), "{plan}");
    call(&world, &["validate", "--deny-warnings", "."]).ends(0);
}
