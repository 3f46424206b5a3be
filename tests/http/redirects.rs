//! Redirects: followed where nothing is lost and no secret goes elsewhere.

use crate::world::{Web, World, header, hidden};

#[test]
fn a_redirect_is_followed_with_what_it_may_take_along() {
    let (world, web) = (World::new(), Web::start(&[]));
    for (status, with, method, body) in [
        (301, "", "GET", ""),
        (302, "method: HEAD", "HEAD", ""),
        (307, "body: hello", "POST", "hello"),
        (308, "method: PUT, body: hello", "PUT", "hello"),
        (303, "body: hello", "GET", ""),
    ] {
        world.ask(&format!("url: '{}', {with}", web.at(&format!("/to/{status}?/status/200")))).ends(0);
        let last = web.requests().pop().expect("a request");
        assert_eq!(last["target"], "/status/200", "{status}");
        assert_eq!((last["method"].as_str(), last["body"].as_str()), (Some(method), Some(body)), "{status}");
    }
    // To the same host the secrets go along.
    let with = "headers: { X-Token: '${{ secrets.token }}' }";
    world.ask(&format!("url: '{}', {with}", web.at("/to/302?/status/200"))).ends(0);
    assert!(header(&web.requests().pop().expect("a request"), "x-token").is_some());
    // One that is expected is the answer.
    world.ask(&format!("url: '{}', expect_status: [302]", web.at("/to/302?/status/500"))).ends(0);
}

#[test]
fn one_that_is_not_followed_names_where_it_leads() {
    let (world, web, other) = (World::new(), Web::start(&[]), Web::start(&[]));
    let away = |path: &str| format!("http://localhost:{}{path}", other.port);
    for (path, with, part) in [
        ("/to/301?/status/200".to_owned(), "body: hello", "what is sent would be lost"),
        ("/to/302?/status/200".to_owned(), "method: DELETE", "what is sent would be lost"),
        ("/to/302?/status/200".to_owned(), "redirects: 0", "after 0 redirects that were followed"),
        ("/to/302?ftp://h.example.org/x".to_owned(), "", "what is no address of the web"),
        (format!("/to/302?{}", away("/x")), "headers: { X-Token: '${{ secrets.token }}' }", "another host"),
        (format!("/to/302?{}", away("/x")), "username: me, password: '${{ secrets.pw }}'", "another host"),
        (format!("/to/307?{}", away("/x")), "json: { deep: ['a ${{ secrets.token }}'] }", "another host"),
        (format!("/to/307?{}", away("/x")), "body: 'a ${{ secrets.token }}'", "another host"),
        (format!("/to/307?{}", away("/x")), "file: plan.yaml", "another host"),
        (format!("/to/302?{}", away("/x")), "headers: { Authorization: Bearer plain }", "another host"),
    ] {
        let run = world.ask(&format!("url: '{}', {with}", web.at(&path))).ends(1).says(part).says("answered 30");
        let leads = path.split_once('?').expect("a query").1;
        if !leads.starts_with("ftp") {
            run.says(leads.trim_start_matches("http://"));
        }
    }
    assert_eq!(other.connections(), 0);
    // A loop ends, and is not tried again.
    let before = web.connections();
    let url = web.at(&format!("/to/302?http://127.0.0.1:{}/loop", web.port));
    let plan = format!(
        "steps:\n  - {{ uses: http, retry: {{ attempts: 3, delay: 1ms }}, with: {{ url: '{url}', redirects: 3 }} }}\n"
    );
    world.run(&plan, &["plan.yaml"]).ends(1).says("/loop: answered 302 and leads to").says("after 3 redirects");
    assert_eq!(web.connections() - before, 4);
}

#[test]
fn nothing_secret_of_an_address_is_said_of_where_it_leads() {
    let (world, web, other) = (World::new(), Web::start(&[]), Web::start(&[]));
    // The server puts what it was asked for into the address it leads to.
    let plan = "steps:\n  - { uses: http, with: { url: '${{ secrets.url }}', method: DELETE } }\n";
    let mut command = world.command(plan, &["plan.yaml", "-v"]);
    command.env("T_URL", web.at(&format!("/away/{}/canary-Wombat-9", other.port)));
    let run: crate::world::Run = command.output().expect("it runs").into();
    let run = run.ends(1).says(&format!("leads to http://localhost:{}/***", other.port));
    hidden(&run.said);
    hidden(&world.everything());
    // Of the request itself only the address is secret, which stays behind.
    let mut command = world.command(&plan.replace(", method: DELETE", ""), &["plan.yaml", "-v"]);
    command.env("T_URL", web.at(&format!("/away/{}/status/200", other.port)));
    crate::world::Run::from(command.output().expect("it runs")).ends(0);
    assert_eq!(other.requests().pop().expect("a request")["target"], "/status/200");
}

#[test]
fn from_tls_to_clear_text_nothing_is_followed() {
    let (world, web, other) = (World::new(), Web::start(&["--tls"]), Web::start(&[]));
    let url = format!("https://127.0.0.1:{}/to/302?{}", web.port, other.at("/status/200"));
    let run = world.ask(&format!("url: '{url}', ca_file: '{}'", web.file("ca.pem"))).ends(1);
    run.says("from `https://` to `http://` is not followed").says(&other.at("/status/200"));
    assert_eq!((web.requests().len(), other.connections()), (1, 0));
}
