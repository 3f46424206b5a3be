//! Secrets in every place that takes one: they reach the server, and are seen nowhere else.

use crate::world::{PASSWORD, PATH, Run, TOKEN, Web, World, header, hidden, step};

/// Everything a request can keep secret.
const WITH: &str = "headers: { X-Token: 'Bearer ${{ secrets.token }}', X-Plain: yes }, username: me, password: '${{ secrets.pw }}', \
                    json: { list: ['${{ secrets.token }}', { deep: 'a ${{ secrets.pw }} b' }] }";

#[test]
fn what_a_server_says_back_of_them_is_masked_in_every_spelling() {
    let (world, web) = (World::new(), Web::start(&[]));
    let mirror = web.at("/mirror/${{ secrets.path }}?k=${{ secrets.token }}");
    let after = "  - { uses: command, with: { argv: [echo, '${{ steps.ask.outputs.body }}'] } }\n";
    let mut said = String::new();
    let mut runs = Vec::new();
    for status in ["", "&status=404", "&status=500"] {
        runs.push((step(&format!("url: '{mirror}{status}', {WITH}")) + after, web.at("/mirror/none")));
        let whole = web.at(&format!("/mirror/{PATH}?k={TOKEN}{status}"));
        runs.push((step(&format!("url: '${{{{ secrets.url }}}}', {WITH}")) + after, whole));
    }
    for (plan, url) in runs {
        for arguments in [
            &["plan.yaml", "-v"][..],
            &["plan.yaml", "--format", "json"],
            &["-n", "plan.yaml"],
            &["doctor", "plan.yaml"],
        ] {
            let mut command = world.command(&plan, arguments);
            said += &Run::from(command.env("T_URL", &url).output().expect("it runs")).said;
        }
    }
    assert!(said.contains("404") && said.contains("X-Plain"), "{said}");
    hidden(&said);
    hidden(&world.everything());
    // They arrived.
    let request = web.requests().pop().expect("a request");
    assert_eq!(header(&request, "x-token").map(|t| t.len()), Some(7 + TOKEN.len()));
    let login = header(&request, "authorization").expect("a login");
    assert_eq!(login, format!("Basic {}", base64(&format!("me:{PASSWORD}"))));
    assert_eq!(
        request["body"],
        format!("{{\"list\":[{},{{\"deep\":{}}}]}}", json(TOKEN), json(&format!("a {PASSWORD} b")))
    );
    assert!(
        request["target"].as_str().is_some_and(|t| t.contains("canary-Wombat%7B7%7D|%3C%C3%A9%3E%22?k=")),
        "{request}"
    );
}

fn json(text: &str) -> String {
    serde_json::to_string(text).expect("a text")
}

fn base64(text: &str) -> String {
    let code = "import base64, sys; print(base64.b64encode(sys.argv[1].encode()).decode())";
    let python = std::env::var_os("RUNPLAN_TEST_PYTHON").expect("a Python");
    let output = std::process::Command::new(python).args(["-c", code, text]).output().expect("python");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

#[test]
fn in_clear_text_they_go_to_this_machine_only() {
    let (world, web) = (World::new(), Web::start(&[]));
    // At validation, where it is written; else before anything is sent.
    for with in [
        "url: 'http://h.invalid/${{ secrets.path }}'",
        "url: 'http://h.invalid/x', headers: { X-Token: '${{ secrets.token }}' }",
        "url: 'http://h.invalid/x', username: me, password: '${{ secrets.pw }}'",
        "url: 'http://h.invalid/x', body: 'a ${{ secrets.token }}'",
        "url: 'http://h.invalid/x', json: { a: ['${{ secrets.token }}'] }",
    ] {
        world
            .run(&step(with), &["validate", "plan.yaml"])
            .ends(78)
            .says("a secret would travel to `h.invalid` in clear text");
    }
    world.run(&step("url: 'http://h.invalid/x', body: plain"), &["validate", "plan.yaml"]).ends(0);
    for with in ["url: '${{ vars.at }}', headers: { X-Token: '${{ secrets.token }}' }", "url: '${{ vars.secret }}'"] {
        let plan = "vars: { at: 'http://h.invalid/x', secret: 'http://h.invalid/${{ secrets.path }}' }\n".to_owned()
            + &step(with);
        for arguments in [&["plan.yaml"][..], &["-n", "plan.yaml"], &["doctor", "plan.yaml"]] {
            world.run(&plan, arguments).ends(1).says("a secret would travel there in clear text");
        }
    }
    let mut command = world.command(&step("url: '${{ secrets.url }}'"), &["plan.yaml"]);
    let run = Run::from(command.env("T_URL", "http://h.invalid/canary").output().expect("it runs")).ends(1);
    hidden(&run.says("http://h.invalid/***: a secret would travel there in clear text").said);
    // To this machine it may, but not by way of a proxy elsewhere.
    let with = format!("url: '{}', headers: {{ X-Token: '${{{{ secrets.token }}}}' }}", web.at("/status/200"));
    world.ask(&with).ends(0);
    let mut command = world.command(&step(&with), &["plan.yaml"]);
    let run = Run::from(command.env("http_proxy", "http://proxy.invalid:3128").output().expect("it runs")).ends(1);
    run.says("a secret would travel to the proxy in clear text");
    assert_eq!(web.requests().len(), 1);
}

#[test]
fn a_secret_that_would_not_arrive_as_it_is_is_refused_unseen() {
    let (world, web) = (World::new(), Web::start(&[]));
    for (value, part) in [
        ("canary#x", "has a `#` in it"),
        ("canary x", "has a blank or a line break in it"),
        ("canary\\x", "has a `\\` in it"),
    ] {
        let url = web.at("/status/200/${{ secrets.path }}");
        let mut command = world.command(&step(&format!("url: '{url}'")), &["plan.yaml"]);
        let run = Run::from(command.env("T_PATH", value).output().expect("it runs")).ends(1);
        hidden(&run.says(part).said);
    }
    let mut command = world.command(&step("url: '${{ secrets.url }}'"), &["plan.yaml"]);
    let run = Run::from(command.env("T_URL", "https://me:canary@h.invalid/").output().expect("it runs")).ends(1);
    hidden(&run.says("`url` has a login in it").said);
    let mut command = world.command(
        &step(&format!("url: '{}', headers: {{ X-T: '${{{{ secrets.token }}}}' }}", web.at("/x"))),
        &["plan.yaml"],
    );
    let run = Run::from(command.env("T_TOKEN", "canary\r\nX-Evil: canary").output().expect("it runs")).ends(1);
    hidden(&run.says("the header `X-T`: its value has a line break").said);
    assert_eq!(web.connections(), 0);
}
