//! TLS, proxies, and what `doctor` asks.

use crate::world::{Daemon, Run, Web, World, header, hidden, step};

/// nginx with the certificate of a server of ours: a page, a redirect to TLS, a login, a limit.
fn nginx(web: &Web) -> Daemon {
    std::fs::write(web.dir.path().join("users"), "me:{PLAIN}s3cret word\n").expect("users");
    let conf = "daemon off; master_process off; pid @DIR@/pid; error_log @DIR@/error.log; events {}\nhttp {\n\
        access_log @DIR@/access.log; client_body_temp_path @DIR@/b; proxy_temp_path @DIR@/p; fastcgi_temp_path @DIR@/f; uwsgi_temp_path @DIR@/u; scgi_temp_path @DIR@/s;\n\
        server { listen 127.0.0.1:@PORT0@; return 301 https://127.0.0.1:@PORT1@$request_uri; }\n\
        server { listen 127.0.0.1:@PORT1@ ssl; ssl_certificate @CERT@/server.pem; ssl_certificate_key @CERT@/server.key;\n\
        location = /ping { return 200 'OK'; }\n\
        location = /private { auth_basic x; auth_basic_user_file @CERT@/users; error_page 405 =200 $uri; try_files /none =404; }\n\
        location = /small { client_max_body_size 10; proxy_pass http://127.0.0.1:1; } } }\n"
        .replace("@CERT@", &web.dir.path().display().to_string());
    Daemon::start(&["nginx", "-p", "@DIR@", "-c", "@CONF@", "-e", "@DIR@/error.log"], 2, &conf)
}

#[test]
fn a_real_server_is_asked_over_tls_by_redirect_and_with_a_login() {
    let (world, web) = (World::new(), Web::start(&["--tls"]));
    let nginx = nginx(&web);
    let ca = format!("ca_file: '{}'", web.file("ca.pem"));
    let (clear, tls) = (nginx.ports[0], nginx.ports[1]);
    world.ask(&format!("url: 'https://127.0.0.1:{tls}/ping', expect_body: OK, {ca}")).ends(0);
    world.ask(&format!("url: 'http://127.0.0.1:{clear}/ping', expect_body: OK, {ca}")).ends(0);
    world
        .ask(&format!("url: 'https://127.0.0.1:{tls}/none', {ca}"))
        .ends(1)
        .says("answered 404 Not Found")
        .says("404 Not Found</");
    let private = format!("url: 'https://127.0.0.1:{tls}/private', {ca}");
    world.ask(&private).ends(1).says("answered 401 Unauthorized");
    let with = format!("{private}, username: me, password: '${{{{ secrets.pw }}}}'");
    let mut command = world.command(&step(&with), &["plan.yaml"]);
    // Past the login there is nothing, which is said to those who passed.
    Run::from(command.env("T_PW", "s3cret word").output().expect("it runs")).ends(1).says("answered 404");
    world.ask(&with).ends(1).says("answered 401").says("check the token or the password");
    world
        .ask(&format!("url: 'https://127.0.0.1:{tls}/small', body: more than ten bytes, {ca}"))
        .ends(1)
        .says("answered 413");
    world.ask(&format!("url: 'http://127.0.0.1:{tls}/ping', {ca}")).ends(1).says("answered 400");
    world
        .ask(&format!("url: 'https://127.0.0.1:{clear}/ping', {ca}"))
        .ends(1)
        .says("TLS: ")
        .says("is the port one for TLS?");
    assert!(nginx.log("access.log").contains("runplan/"));
}

#[test]
fn a_certificate_that_cannot_be_trusted_is_named_and_nothing_is_sent() {
    let (world, known, named) =
        (World::new(), Web::start(&["--tls"]), Web::start(&["--tls", "--name", "h.example.org"]));
    let retry = |with: &str| step(with).replace("uses: http,", "uses: http, retry: { attempts: 3, delay: 1ms },");
    for (web, more, part, help) in [
        (&known, String::new(), "is of an authority that is not trusted here", "under `ca_file`"),
        (&known, format!("ca_file: '{}'", known.file("other-ca.pem")), "is of no authority in `", "under `ca_file`"),
        (
            &named,
            format!("ca_file: '{}'", named.file("ca.pem")),
            "is made out for another name than `127.0.0.1`",
            "under `url`",
        ),
    ] {
        let before = web.connections();
        let with = format!(
            "url: 'https://127.0.0.1:{}/x', headers: {{ X-Token: '${{{{ secrets.token }}}}' }}, {more}",
            web.port
        );
        let run = world.run(&retry(&with), &["plan.yaml"]).ends(1).says(part).says(help);
        hidden(&run.said);
        assert!(web.requests().is_empty() && web.connections() - before <= 1, "{}", run.said);
    }
    world.ask("url: 'https://127.0.0.1:1/', ca_file: none.pem").ends(1).says("`none.pem`: No such file");
    std::fs::write(world.path("empty.pem"), "").expect("a file");
    world
        .run(&step("url: 'https://127.0.0.1:1/', ca_file: empty.pem"), &["-n", "plan.yaml"])
        .ends(1)
        .says("there is no certificate in it");
}

#[test]
fn a_proxy_is_found_as_curl_finds_it() {
    let (world, web, safe) = (World::new(), Web::start(&[]), Web::start(&["--tls"]));
    let conf = "Port @PORT0@\nListen 127.0.0.1\nAllow 127.0.0.1\nTimeout 60\nLogLevel Connect\nLogFile \"@DIR@/log\"\nMaxClients 20\nStartServers 2\n";
    let open = Daemon::start(&["tinyproxy", "-d", "-c", "@CONF@"], 1, conf);
    let locked = Daemon::start(&["tinyproxy", "-d", "-c", "@CONF@"], 1, &format!("{conf}BasicAuth me s3cret\n"));
    let clear = step(&format!("url: '{}', headers: {{ X-Token: '${{{{ secrets.token }}}}' }}", web.at("/status/200")));
    let tls = step(&format!("url: 'https://127.0.0.1:{}/status/200', ca_file: '{}'", safe.port, safe.file("ca.pem")));
    let run = |plan: &str, env: &[(&str, String)]| -> Run {
        let mut command = world.command(plan, &["plan.yaml"]);
        command.envs(env.iter().map(|(k, v)| (*k, v.as_str()))).output().expect("it runs").into()
    };
    let proxy = |login: &str, daemon: &Daemon| format!("http://{login}127.0.0.1:{}", daemon.ports[0]);
    let seen = |daemon: &Daemon| daemon.log("log").lines().filter(|l| l.contains("Request (file descriptor")).count();
    // In clear text the whole address, under TLS a tunnel.
    run(&clear, &[("HTTP_PROXY", proxy("", &open))]).ends(0);
    assert_eq!((seen(&open), web.requests().len()), (1, 1), "{}", open.log("log"));
    assert!(header(&web.requests()[0], "via").is_some());
    run(&tls, &[("https_proxy", proxy("", &open))]).ends(0);
    assert!(seen(&open) == 2 && open.log("log").contains("CONNECT 127.0.0.1:"), "{}", open.log("log"));
    run(&tls, &[("ALL_PROXY", proxy("", &open)), ("NO_PROXY", "127.0.0.0/8".to_owned())]).ends(0);
    assert_eq!((seen(&open), safe.requests().len()), (2, 2));
    // A login, from the environment and from a secret; without it, it is said what is missing.
    run(&tls, &[("https_proxy", proxy("me:s3cret@", &locked))]).ends(0);
    run(&clear, &[("http_proxy", proxy("me:s3cret@", &locked))]).ends(0);
    assert!(header(&web.requests()[1], "proxy-authorization").is_none());
    let with = tls.replace(
        "ca_file",
        &format!("proxy: 'http://me:${{{{ secrets.pw }}}}@127.0.0.1:{}', ca_file", locked.ports[0]),
    );
    run(&with, &[("T_PW", "s3cret".to_owned())]).ends(0);
    hidden(&run(&with, &[]).ends(1).says("it answered 4").said);
    run(&tls, &[("https_proxy", proxy("", &locked))]).ends(1).says("through the proxy 127.0.0.1:");
    run(&tls, &[("https_proxy", "socks5://127.0.0.1:1".to_owned())])
        .ends(1)
        .says("`https_proxy` is a proxy of another kind");
    let without = tls.replace("ca_file", "proxy: none, ca_file");
    run(&without, &[("https_proxy", "http://127.0.0.1:1".to_owned())]).ends(0);
    let dry =
        world.command(&tls, &["-n", "plan.yaml"]).env("https_proxy", "http://127.0.0.1:1").output().expect("it runs");
    Run::from(dry).ends(0).says("through the proxy 127.0.0.1:1");
}

#[test]
fn doctor_reaches_the_server_and_asks_for_nothing() {
    let (world, web) = (World::new(), Web::start(&["--tls"]));
    let url = format!("https://127.0.0.1:{}/canary", web.port);
    let plan = format!(
        "steps:\n  - {{ uses: command, with: {{ argv: ['true'] }} }}\non_success:\n  - {{ uses: http, with: {{ url: '${{{{ secrets.url }}}}', ca_file: '{}' }} }}\n",
        web.file("ca.pem")
    );
    let doctor = |plan: &str| -> Run {
        world.command(plan, &["doctor", "plan.yaml"]).env("T_URL", &url).output().expect("it runs").into()
    };
    let run = doctor(&plan).ends(0).says(&format!("https://127.0.0.1:{}/***: can be reached, and trusted", web.port));
    hidden(&run.said);
    doctor(&plan.replace("ca.pem", "other-ca.pem")).ends(1).says("is of no authority in `");
    assert!(web.connections() >= 1 && web.requests().is_empty());
    // What only the run will know is left to it.
    for rest in ["", "/${{ secrets.path }}"] {
        let url = format!("{}/${{{{ steps.said.outputs.code }}}}{rest}", web.at("/status"));
        let later = format!(
            "steps:\n  - {{ id: said, uses: command, with: {{ argv: [sh, -c, 'echo code=204 > $RUNPLAN_OUTPUT'], outputs: {{ code: {{ type: string }} }} }} }}\n\
             \x20 - {{ uses: http, with: {{ url: '{}', ca_file: '{}' }} }}\n",
            url.replace("http:", "https:"),
            web.file("ca.pem")
        );
        doctor(&later).ends(0);
        world.run(&later, &["-n", "plan.yaml"]).ends(0);
        world.run(&later, &["plan.yaml"]).ends(0);
    }
    // A run does not ask beforehand: its one connection is that of its request.
    let before = web.connections();
    let run = world
        .command(&plan.replace("/canary", "/status/200"), &["plan.yaml"])
        .env("T_URL", format!("https://127.0.0.1:{}/status/200", web.port))
        .output();
    Run::from(run.expect("it runs")).ends(0);
    assert_eq!(web.connections() - before, 1);
}
