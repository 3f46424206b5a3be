//! What is asked, and what an answer means.

use std::time::{Duration, Instant};

use crate::world::{Web, World, header, step};

#[test]
fn a_heartbeat_is_a_get_with_our_name_and_its_answer_can_be_read() {
    let (world, web) = (World::new(), Web::start(&[]));
    let url = web.at("/status/200?body=%7B%22ok%22%3Atrue%2C%22n%22%3A7%7D&type=application/json");
    let after = "  - { uses: command, with: { argv: [echo, 'got ${{ steps.ask.outputs.status }} ${{ steps.ask.outputs.body }} ${{ steps.ask.outputs.json.n }}'] } }\n";
    let run = world.run(&(step(&format!("url: '{url}'")) + after), &["plan.yaml"]).ends(0);
    run.says("got 200 {\"ok\":true,\"n\":7} 7");
    let requests = web.requests();
    assert_eq!(requests.len(), 1);
    assert_eq!((&requests[0]["method"], &requests[0]["body"]), (&"GET".into(), &"".into()));
    assert_eq!(header(&requests[0], "user-agent"), Some(concat!("runplan/", env!("CARGO_PKG_VERSION")).to_owned()));
    assert_eq!(header(&requests[0], "host"), Some(format!("127.0.0.1:{}", web.port)));
}

#[test]
fn each_method_sends_what_it_is_given() {
    let (world, web) = (World::new(), Web::start(&[]));
    std::fs::write(world.path("note.bin"), b"from a file").expect("a file");
    let url = web.at("/status/200");
    for (with, method, body, kind) in [
        ("", "GET", "", None),
        ("method: HEAD", "HEAD", "", None),
        ("method: POST", "POST", "", None),
        ("method: DELETE", "DELETE", "", None),
        ("body: 'hé ${{ plan.name }}'", "POST", "hé night", Some("text/plain; charset=utf-8")),
        ("method: PUT, body: x, headers: { content-type: text/css }", "PUT", "x", Some("text/css")),
        (
            "json: { text: 'run ${{ plan.name }}', n: [1, 0.5, true, null] }",
            "POST",
            "{\"text\":\"run night\",\"n\":[1,0.5,true,null]}",
            Some("application/json"),
        ),
        ("method: PATCH, file: note.bin", "PATCH", "from a file", Some("application/octet-stream")),
    ] {
        world.ask(&format!("url: '{url}', {with}")).ends(0);
        let request = web.requests().pop().expect("a request");
        assert_eq!((request["method"].as_str(), request["body"].as_str()), (Some(method), Some(body)), "{with}");
        assert_eq!(header(&request, "content-type").as_deref(), kind, "{with}");
    }
    let before = web.connections();
    world.ask(&format!("url: '{url}', file: gone.bin")).ends(1).says("reading `gone.bin`: No such file");
    world.ask(&format!("url: '{url}', file: note.bin, max_file: 3B")).ends(1).says("`note.bin` is larger than 3 B");
    assert_eq!(web.connections(), before);
}

#[test]
fn a_status_is_good_or_says_what_to_do_and_whether_again() {
    let (world, web) = (World::new(), Web::start(&[]));
    for (path, more, code, part, times) in [
        ("/status/204", "", 0, "ok", 1),
        ("/status/404?body=no%20such%0Acheck", "", 1, "answered 404 Not Found: `no such check`", 1),
        ("/status/401", "", 1, "answered 401 Unauthorized", 1),
        ("/status/403", "", 1, "check the token or the password", 1),
        ("/status/408", "", 1, "answered 408", 3),
        ("/status/425", "", 1, "answered 425", 3),
        ("/status/429", "", 1, "answered 429 Too Many Requests", 3),
        ("/status/500", "", 1, "answered 500", 3),
        ("/status/503?times=2", "", 0, "ok", 3),
        ("/status/200", "expect_status: [404]", 1, "answered 200 OK", 1),
        ("/status/404", "expect_status: [404, 410]", 0, "ok", 1),
        ("/status/200?body=OK%0A", "expect_body: OK", 0, "ok", 1),
        (
            "/status/200?body=OK%20(not%20found)",
            "expect_body: OK",
            1,
            "answered 200: `OK (not found)`; expected `OK`",
            1,
        ),
        ("/status/200", "expect_body: OK", 1, "answered 200, and nothing with it; expected `OK`", 1),
        ("/hang", "timeout: 2s", 1, "no answer within 2 s", 3),
        ("/break", "", 1, "no answer", 3),
        ("/cut", "", 1, "answered 200 OK, and the answer broke off", 3),
        ("/heads", "", 1, "its answer is no HTTP that is taken", 1),
        ("/garbage", "", 1, "its answer is no HTTP that is taken", 1),
    ] {
        let before = web.connections();
        let plan = format!(
            "steps:\n  - {{ id: ask, uses: http, retry: {{ attempts: 3, delay: 1ms }}, with: {{ url: '{}', {more} }} }}\n",
            web.at(path)
        );
        let run = world.run(&plan, &["plan.yaml"]).ends(code).says(part);
        assert_eq!(web.connections() - before, times, "{path}: {}", run.said);
        if code == 1 {
            run.says(&format!("GET http://127.0.0.1:{}", web.port)).says("help: ");
        }
    }
}

#[test]
fn where_nobody_listens_is_worth_another_try() {
    let world = World::new();
    let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address").port();
    let plan = format!(
        "steps:\n  - {{ uses: http, retry: {{ attempts: 2, delay: 1ms }}, with: {{ url: 'http://127.0.0.1:{free}/' }} }}\n"
    );
    world.run(&plan, &["plan.yaml", "-v"]).ends(1).says("connecting: Connection refused").says("attempt 1 of 2");
    world
        .ask("url: 'https://no-such-host.invalid/x'")
        .ends(1)
        .says("GET https://no-such-host.invalid/x: looking up its host");
}

#[test]
fn an_answer_without_end_is_taken_in_part() {
    let (world, web) = (World::new(), Web::start(&[]));
    let plan = step(&format!("url: '{}'", web.at("/endless")))
        + "  - { uses: command, with: { argv: [echo, 'length ${{ steps.ask.outputs.body | length }}'] } }\n";
    world.run(&plan, &["plan.yaml"]).ends(0).says("length 65536");
}

#[test]
fn a_server_lengthens_the_wait_up_to_max_delay() {
    let (world, web) = (World::new(), Web::start(&[]));
    for (more, seconds) in [("", "2"), (", max_delay: 1s", "1")] {
        let url = web.at(&format!("/status/503?times=1&after=2&n={seconds}"));
        let plan = format!(
            "steps:\n  - {{ uses: http, retry: {{ attempts: 2, delay: 1ms{more} }}, with: {{ url: '{url}' }} }}\n"
        );
        world.run(&plan, &["plan.yaml", "--format", "json"]).ends(0);
        let events = world.everything();
        assert!(events.contains(&format!("\"delay_seconds\":{seconds}.0")), "{seconds}: {events}");
    }
}

#[test]
fn a_signal_and_the_timeout_of_the_step_end_a_request_at_once() {
    let (world, web) = (World::new(), Web::start(&[]));
    let url = web.at("/hang");
    let plan = format!("steps:\n  - {{ uses: http, timeout: 200ms, with: {{ url: '{url}', timeout: 10m }} }}\n");
    let begun = Instant::now();
    world.run(&plan, &["plan.yaml"]).ends(1).says("the step's timeout of 200ms passed");
    let mut command = world.command(&step(&format!("url: '{url}', timeout: 10m")), &["plan.yaml"]);
    let asked = web.requests().len();
    let mut child =
        command.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null()).spawn().expect("it runs");
    while web.requests().len() == asked {
        std::thread::sleep(Duration::from_millis(10));
    }
    let status = std::process::Command::new("kill").args(["-TERM", &child.id().to_string()]).status().expect("kill");
    assert!(status.success());
    assert_eq!(child.wait().expect("its end").code(), Some(143));
    // A step that is not heard for 30 s is given up; the request did not wait for that.
    assert!(begun.elapsed() < Duration::from_secs(25), "{:?}", begun.elapsed());
}

#[test]
fn a_dry_run_says_what_it_would_ask_and_asks_nobody() {
    let (world, web) = (World::new(), Web::start(&[]));
    let with = format!(
        "url: '{}', method: PUT, json: {{ a: 1 }}, headers: {{ X-One: two }}, username: me, password: '${{{{ secrets.pw }}}}'",
        web.at("/x")
    );
    let run = world.run(&step(&with), &["-n", "plan.yaml"]).ends(0);
    let run = run.says(&format!("PUT {}", web.at("/x"))).says("headers: X-One: two").says("sends JSON: {\"a\":1}");
    run.says("logs in as `me`");
    let after = "  - { uses: command, with: { argv: [echo, '${{ steps.ask.outputs.body }}'] } }\n";
    world.run(&(step(&with) + after), &["-n", "plan.yaml"]).ends(0).says("(known at run time)");
    assert_eq!(web.connections(), 0);
}
