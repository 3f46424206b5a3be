//! `plans/heartbeat.yaml` as it is: the monitor hears of the beginning, of a good end and of a bad one.

use crate::world::{Run, Web, World, hidden};

#[test]
fn the_monitor_hears_of_each_night() {
    let (world, web) = (World::new(), Web::start(&[]));
    let plan = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/plans/heartbeat.yaml")).expect("the plan");
    let url = web.at("/status/200/canary-Wombat");
    let run = |arguments: &[&str]| -> Run {
        let mut command = world.command("", &[]);
        std::fs::write(world.path("plan.yaml"), &plan).expect("a plan");
        command.env("RUNPLAN_PING_URL", &url).arg("plan.yaml").args(arguments).output().expect("it runs").into()
    };
    let told =
        || web.requests().iter().map(|r| r["target"].as_str().unwrap_or_default().to_owned()).collect::<Vec<_>>();
    // The monitor does not know the address: nothing is good by its status alone, and the exit code is that of the steps.
    run(&[]).ends(0).says("answered 200, and nothing with it; expected `OK`");
    assert_eq!(told(), ["/status/200/canary-Wombat/start", "/status/200/canary-Wombat"]);
    run(&["-p", "backup_dir=/dev/null/x"]).ends(1);
    assert_eq!(told()[2..], ["/status/200/canary-Wombat/fail"]);
    let body = web.requests()[2]["body"].as_str().unwrap_or_default().to_owned();
    assert!(body.starts_with("heartbeat failed at dump: ") && body.contains("/dev/null/x"), "{body}");
    let said = run(&["-n"]).ends(0).said + &run(&["-v"]).said;
    hidden(&said);
    hidden(&world.everything());
}
