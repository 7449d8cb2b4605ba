//! Running it: what start-up refuses and how it says so, the command line beside a running server,
//! an API that fails, the orderly stop, and requests that nobody should send.

use reqwest::redirect::Policy;
use reqwest::{Client, StatusCode};
use serde_json::Value;
use testkit::html::Form;
use testkit::{Demo, TestApp, Tokens};
use tokio::net::TcpListener;

use crate::BINARY;
use crate::served::{PASSWORD, Server, Site, run, stderr, until};
use crate::upstream::Upstream;

/// Sign in by hand, with `cookies` besides those of the page; the cookies that were set last.
async fn sign_in_with(issuer: &str, cookies: &[String]) -> Vec<String> {
    let client = Client::builder().redirect(Policy::none()).build().unwrap();
    let set = |answer: &reqwest::Response| -> Vec<String> {
        let lines = answer.headers().get_all("set-cookie").iter();
        lines.map(|line| line.to_str().unwrap().split(';').next().unwrap().to_owned()).collect()
    };
    let page = client.get(format!("{issuer}/sign-in"));
    let page = page.header("cookie", cookies.join("; ")).send().await.unwrap();
    let jar = [cookies, &set(&page)].concat().join("; ");
    let form = Form::find(&page.text().await.unwrap(), "sign-in").expect("a sign-in form");
    let form = form.set("email", "alice@example.com").set("password", "demo-alice-password");
    let request = client.post(format!("{issuer}/sign-in")).form(&form.fields);
    let answer = request.header("cookie", jar).header("origin", issuer).send().await.unwrap();
    assert_eq!(
        answer.status(),
        StatusCode::SEE_OTHER,
        "never 307, which would send the password on"
    );
    set(&answer)
}

#[tokio::test]
async fn s1_r9_every_sign_in_makes_a_session_that_nobody_could_have_planted() {
    let demo = Demo::start(BINARY).await;
    let issuer = &demo.exchange.issuer;
    let first = sign_in_with(issuer, &[]).await;
    let session = first.first().expect("a session cookie");
    let (name, _) = session.split_once('=').unwrap();
    let planted = format!("{name}=planted-by-an-attacker");
    let second = sign_in_with(issuer, std::slice::from_ref(&planted)).await;
    assert!(!second.is_empty() && !second.contains(&planted), "{second:?}");
    assert!(!second.contains(session), "every sign-in has its own");
    let home = Client::new().get(format!("{issuer}/connected")).header("cookie", planted);
    let page = home.send().await.unwrap().text().await.unwrap();
    assert!(Form::find(&page, "sign-in").is_some(), "the planted session is nobody's:\n{page}");
}

/// A served API with alice, a developer, and an app that alice let in.
struct World {
    site: Site,
    server: Server,
    upstream: Upstream,
    app: TestApp,
    tokens: Tokens,
}

async fn world() -> World {
    let upstream = Upstream::start().await;
    let site = Site::new(&upstream.url);
    world_of(site, upstream).await
}

async fn world_of(site: Site, upstream: Upstream) -> World {
    site.add_user("dev@example.com", Some("developer")).await;
    site.add_user("alice@example.com", None).await;
    let server = site.serve().await;
    // Over the control socket, as the server runs already.
    let app = site.add_app("Item Bot").await;
    let alice = site.signed_in("alice@example.com").await;
    let tokens = app.connect(&alice, "items.read").await;
    assert_eq!(site.status("/api/items", &tokens.access).await, StatusCode::OK);
    World { site, server, upstream, app, tokens }
}

#[tokio::test]
async fn a_port_in_use_is_said_with_what_to_change() {
    let site = Site::new("http://127.0.0.1:1");
    let _other = TcpListener::bind(("127.0.0.1", site.port)).await.unwrap();
    let refused = site.run(&["serve"]).await;
    assert_eq!(refused.status.code(), Some(1));
    let said = stderr(&refused);
    assert!(said.contains(&format!("127.0.0.1:{} is in use", site.port)), "{said}");
    assert!(said.contains("listen.public"), "what to change: {said}");

    let folder = site.path("demo");
    let (port, folder) = (site.port.to_string(), folder.to_str().unwrap());
    let demo = ["demo", "--exchange-port", &port, "--data", folder];
    let refused = run(std::path::Path::new("."), &demo).await;
    assert_eq!(refused.status.code(), Some(1));
    assert!(stderr(&refused).contains("--exchange-port"), "{}", stderr(&refused));
}

/// What others could read in a folder.
fn readable_by_others(folder: &std::path::Path) -> Vec<String> {
    use std::os::unix::fs::PermissionsExt as _;
    let mode = |path: &std::path::Path| path.metadata().unwrap().permissions().mode() & 0o077;
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let all = entries.chain([folder.to_owned()]);
    all.filter(|path| mode(path) != 0).map(|path| path.display().to_string()).collect()
}

#[tokio::test]
async fn nobody_else_can_look_into_the_data_folder_even_if_they_could_before() {
    use std::os::unix::fs::PermissionsExt as _;
    let site = Site::new("http://127.0.0.1:1");
    let data = site.path("data");
    std::fs::create_dir(&data).unwrap();
    std::fs::set_permissions(&data, std::fs::Permissions::from_mode(0o755)).unwrap();
    let _server = site.serve().await;
    assert!(data.join("control.sock").exists());
    assert_eq!(readable_by_others(&data), [""; 0]);
    let log = std::fs::read_to_string(site.path("stderr")).unwrap();
    assert!(log.contains("other users could look into the data directory"), "{log}");
}

#[tokio::test]
async fn a_second_server_on_the_same_data_is_refused_and_the_first_is_unhurt() {
    let site = Site::new("http://127.0.0.1:1");
    let _server = site.serve().await;
    let refused = site.run(&["serve"]).await;
    assert_eq!(refused.status.code(), Some(1));
    let said = stderr(&refused);
    assert!(said.contains("another Consentry runs on the data directory"), "{said}");
    assert!(said.contains("data_dir"), "what to change: {said}");
    assert!(site.is_ready().await);
    assert!(site.path("data/control.sock").exists(), "the socket is still the first one's");
}

#[tokio::test]
async fn check_says_where_a_typing_error_is_and_what_was_meant() {
    let site = Site::new("http://127.0.0.1:1");
    assert!(site.run(&["check"]).await.status.success());
    site.change_config("path_prefix", "path_prefx");
    let found = site.run(&["check"]).await;
    assert_eq!(found.status.code(), Some(2));
    let text = std::fs::read_to_string(site.path("consentry.toml")).unwrap();
    let line = text.lines().position(|line| line.starts_with("path_prefx")).unwrap() + 1;
    let said = stderr(&found);
    assert!(said.contains(&format!("consentry.toml:{line}:1")), "{said}");
    assert!(said.contains("`path_prefix`"), "what was meant: {said}");
}

#[tokio::test]
async fn init_makes_what_serve_needs_and_never_overwrites() {
    let folder = tempfile::TempDir::new().unwrap();
    std::fs::write(folder.path().join("password"), PASSWORD).unwrap();
    let init =
        ["init", "new", "--admin-email", "a@example.com", "--admin-password-file", "password"];
    let asked = run(folder.path(), &init[..4]).await;
    assert_eq!(asked.status.code(), Some(2), "no terminal to ask on");
    assert!(stderr(&asked).contains("--admin-password-file"), "{}", stderr(&asked));
    let made = run(folder.path(), &init).await;
    assert!(made.status.success(), "{}", stderr(&made));
    let key = std::fs::read(folder.path().join("new/master.key")).unwrap();
    let checked = run(folder.path(), &["check", "-c", "new/consentry.toml"]).await;
    assert!(checked.status.success(), "{}", stderr(&checked));

    let again = run(folder.path(), &init).await;
    assert_eq!(again.status.code(), Some(1));
    assert!(stderr(&again).contains("is not overwritten"), "{}", stderr(&again));
    assert_eq!(std::fs::read(folder.path().join("new/master.key")).unwrap(), key);
}

#[tokio::test]
async fn a_suspended_app_is_felt_by_the_next_request() {
    let world = world().await;
    let list = world.site.command(&["app", "list"]).await;
    assert_eq!(list["apps"][0]["client_id"], world.app.client_id.as_str(), "{list}");
    assert!(list["apps"][0]["client_secret"].is_null(), "a secret is shown once");
    let id = world.app.client_id.clone();
    let suspended =
        world.site.command(&["app", "suspend", &id, "--reason", "It asks too often."]).await;
    assert_eq!(suspended["status"], "suspended", "{suspended}");
    let status = world.site.status("/api/items", &world.tokens.access).await;
    assert_eq!(status, StatusCode::UNAUTHORIZED);
    let refresh = world.app.refresh(world.tokens.refresh.as_deref().unwrap()).await;
    assert_eq!(refresh.error(), "invalid_client");
    world.site.command(&["app", "resume", &id, "--reason", "It was a test."]).await;
    assert_eq!(world.site.status("/api/items", &world.tokens.access).await, StatusCode::OK);
}

#[tokio::test]
async fn the_trail_says_which_user_of_the_machine_gave_a_command() {
    use std::os::unix::fs::MetadataExt as _;
    let site = Site::new("http://127.0.0.1:1");
    site.add_user("before@example.com", None).await;
    let server = site.serve().await;
    site.add_user("beside@example.com", None).await;
    let output = site.run(&["audit", "export"]).await;
    let lines = String::from_utf8(output.stdout).unwrap();
    let events: Vec<Value> =
        lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let made = events.iter().filter(|event| event["kind"] == "user.created");
    let actors: Vec<_> = made.map(|event| event["actor"].as_str().unwrap()).collect();
    let uid = site.path("data").metadata().unwrap().uid();
    let expected = format!("cli:{uid}");
    assert_eq!(actors, [&*expected, &*expected], "with and without a server: {lines}");
    drop(server);
}

#[tokio::test]
async fn a_blocked_user_is_felt_by_the_next_request() {
    let world = world().await;
    world.site.command(&["user", "block", "alice@example.com", "--reason", "Stolen."]).await;
    let status = world.site.status("/api/items", &world.tokens.access).await;
    assert_eq!(status, StatusCode::UNAUTHORIZED);
    let refresh = world.app.refresh(world.tokens.refresh.as_deref().unwrap()).await;
    assert_eq!(refresh.error(), "invalid_grant");
    let browser = testkit::Browser::new(&world.site.issuer);
    let page = browser.sign_in("alice@example.com", PASSWORD).await;
    assert_eq!(page.status, StatusCode::UNAUTHORIZED);
    world.site.command(&["user", "unblock", "alice@example.com"]).await;
    assert_eq!(world.site.status("/api/items", &world.tokens.access).await, StatusCode::OK);
    let page = browser.sign_in("alice@example.com", PASSWORD).await;
    assert!(page.html.contains("alice@example.com"), "{}", page.html);
}

#[tokio::test]
async fn keys_are_rotated_and_what_the_old_ones_made_goes_on() {
    let world = world().await;
    for _ in 0..2 {
        world.site.command(&["keys", "rotate"]).await;
    }
    let status = world.site.status("/api/items", &world.tokens.access).await;
    assert_eq!(status, StatusCode::OK, "a token of the old key");
    let renewed = world.app.refresh(world.tokens.refresh.as_deref().unwrap()).await.tokens();
    assert_eq!(world.site.status("/api/items", &renewed.access).await, StatusCode::OK);
}

#[tokio::test]
async fn a_database_of_a_newer_program_is_refused_and_left_alone() {
    let site = Site::new("http://127.0.0.1:1");
    site.add_user("dev@example.com", None).await;
    let path = std::fs::read_dir(site.path("data"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| path.extension().is_some_and(|extension| extension == "db"))
        .expect("a database");
    let db = store::Db::open(&format!("sqlite:{}", path.display())).await.unwrap();
    let raise = async |tx: &mut store::Tx<'_>| {
        tx.execute("INSERT INTO schema_migrations (version, name) VALUES (999, 'later')", &[]).await
    };
    db.write(raise).await.unwrap();
    drop(db);
    let said = until("the database is let go", async || {
        let refused = site.run(&["serve"]).await;
        assert_eq!(refused.status.code(), Some(1));
        Some(stderr(&refused)).filter(|said| !said.contains("in use"))
    })
    .await;
    assert!(said.contains("999"), "{said}");
    assert!(said.contains("start the newer program"), "what to do: {said}");
}

#[tokio::test]
async fn an_upstream_that_is_down_slow_or_breaks_off_is_told_apart_g11() {
    let upstream = Upstream::start().await;
    let site = Site::new(&upstream.url);
    site.change_config("answer_timeout = \"20s\"", "answer_timeout = \"1s\"");
    let world = world_of(site, upstream).await;
    let get = |path: &'static str| world.site.get(path, &world.tokens.access).send();

    let slow = get("/api/silent").await.unwrap();
    assert_eq!(slow.status(), StatusCode::GATEWAY_TIMEOUT);
    let kind = slow.headers()["content-type"].to_str().unwrap().to_owned();
    assert_eq!(kind, "application/problem+json");

    let half = get("/api/half").await.unwrap();
    assert_eq!(half.status(), StatusCode::OK, "its head has gone out already");
    world.upstream.release.notify_one();
    assert!(half.bytes().await.is_err(), "half an answer must not look like a whole one");

    drop(world.upstream);
    let down = until("the upstream is down", async || {
        let answer = get("/api/items").await.unwrap();
        (answer.status() != StatusCode::OK).then_some(answer)
    })
    .await;
    assert_eq!(down.status(), StatusCode::BAD_GATEWAY);
    let body: Value = down.json().await.unwrap();
    assert_eq!(body["status"], 502, "in the API's envelope: {body}");
}

#[tokio::test]
async fn a_stop_lets_a_running_call_end_and_takes_no_new_one() {
    let mut world = world().await;
    let call = tokio::spawn(world.site.get("/api/held", &world.tokens.access).send());
    world.upstream.came.notified().await;
    world.server.signal("TERM").await;
    let port = world.site.port;
    until("no new connection is accepted", async || {
        tokio::net::TcpStream::connect(("127.0.0.1", port)).await.err()
    })
    .await;
    world.upstream.release.notify_one();
    let answer = call.await.unwrap().unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(answer.text().await.unwrap(), "done");
    assert!(world.server.wait().await.success());
    assert!(!world.site.path("data/control.sock").exists(), "it tidies up after itself");
}

/// GET over a connection of its own, with this `Host`.
async fn get_as(site: &Site, host: &str, path: &str) -> reqwest::Response {
    let url = format!("http://127.0.0.1:{}{path}", site.port);
    let client = Client::builder().redirect(Policy::none()).build().unwrap();
    client.get(url).header("host", host).send().await.unwrap()
}

#[tokio::test]
async fn a_host_that_is_nobodys_is_refused_with_what_to_check_m2() {
    let site = Site::new("http://127.0.0.1:1");
    site.change_config(
        "path_prefix = \"/api\"",
        "path_prefix = \"/api\"\nhost = \"api.example.com\"",
    );
    let _server = site.serve().await;
    for host in ["evil.example", "localhost.evil.example", "10.0.0.1:80", "[::2]", "xlocalhost"] {
        for path in ["/sign-in", "/oauth/token", "/.well-known/oauth-authorization-server"] {
            let refused = get_as(&site, host, path).await;
            assert_eq!(refused.status(), StatusCode::MISDIRECTED_REQUEST, "{host}{path}");
            assert_eq!(refused.headers()["content-type"], "application/problem+json");
            let body: Value = refused.json().await.unwrap();
            assert_eq!(body["status"], 421, "{body}");
            let detail = body["detail"].as_str().unwrap();
            assert!(detail.contains("`issuer`"), "what to check: {detail}");
            assert!(!detail.contains(host), "what a header says is not repeated: {detail}");
        }
    }
    for host in ["localhost", "LOCALHOST:1", "127.0.0.1:443", "[::1]", "[::1]:8400"] {
        assert_eq!(get_as(&site, host, "/sign-in").await.status(), StatusCode::OK, "{host}");
    }
    let metadata = "/.well-known/oauth-protected-resource/api";
    assert_eq!(get_as(&site, "api.example.com:1", metadata).await.status(), StatusCode::OK);
    for (host, status) in [("api.example.com", 404), ("a,b", 400)] {
        let refused = get_as(&site, host, "/sign-in").await;
        assert_eq!(refused.status(), status, "{host}");
        assert_eq!(refused.headers()["content-type"], "application/problem+json", "{host}");
    }
}

#[tokio::test]
async fn a_page_on_another_origin_calls_the_apis_of_the_demo() {
    let demo = Demo::start(BINARY).await;
    let paths =
        [(&demo.exchange, "/api/v4/trade-account/balance", "POST"), (&demo.drive, "/v2/me", "GET")];
    for (provider, path, method) in paths {
        let url = format!("{}{path}", provider.issuer);
        let from_page =
            |method| Client::new().request(method, &url).header("origin", "http://localhost:5173");
        let asked = from_page(reqwest::Method::OPTIONS)
            .header("access-control-request-method", method)
            .header("access-control-request-headers", "authorization");
        let allowed = asked.send().await.unwrap();
        assert_eq!(allowed.status(), StatusCode::NO_CONTENT);
        assert_eq!(allowed.headers()["access-control-allow-origin"], "*");
        let methods = allowed.headers()["access-control-allow-methods"].to_str().unwrap();
        assert!(methods.split(", ").any(|allowed| allowed == method), "{methods}");
        let refused = from_page(method.parse().unwrap()).send().await.unwrap();
        assert_eq!(refused.status(), StatusCode::UNAUTHORIZED);
        assert_eq!(refused.headers()["access-control-allow-origin"], "*");
        let readable = refused.headers()["access-control-expose-headers"].to_str().unwrap();
        assert!(readable.contains("WWW-Authenticate"), "{readable}");
    }
}

#[tokio::test]
async fn malformed_token_requests_get_an_answer_and_the_server_lives_x1() {
    const FORM: &str = "application/x-www-form-urlencoded";
    let demo = Demo::start(BINARY).await;
    let bot = demo.exchange.app("trading-bot");
    let deep = format!("grant_type={}", "[".repeat(30_000));
    let json = format!("{}1{}", "[".repeat(20_000), "]".repeat(20_000));
    let attacks: [(&str, Vec<u8>); 8] = [
        (FORM, deep.into()),
        (FORM, b"grant_type=\xff\xfe&code=\x00".to_vec()),
        (FORM, b"grant_type=%ff%fe&refresh_token=%".to_vec()),
        (FORM, b"grant_type=refresh_token&grant_type=refresh_token&refresh_token=a".to_vec()),
        (FORM, b"&&&===&".to_vec()),
        (FORM, Vec::new()),
        ("application/json", json.into()),
        ("multipart/form-data; boundary=x", b"--x\r\n".to_vec()),
    ];
    for (number, (kind, body)) in attacks.into_iter().enumerate() {
        let url = format!("{}/oauth/token", bot.issuer);
        let request = bot.client.post(url).header("content-type", kind).body(body);
        let request = request.basic_auth(&bot.client_id, bot.client_secret.as_ref());
        let answer = testkit::app::answer(request).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "attack {number}: {}", answer.body);
        assert!(!answer.error().is_empty(), "attack {number}: {}", answer.body);
    }
    // Nobody reads it to its end, so whoever still sends may find the connection closed instead.
    let large = [("grant_type", "refresh_token"), ("refresh_token", &*"x".repeat(300_000))];
    let sent = bot.client.post(format!("{}/oauth/token", bot.issuer)).form(&large).send().await;
    if let Ok(answer) = sent {
        assert_eq!(answer.status(), StatusCode::BAD_REQUEST);
    }
    let alice = demo.exchange.signed_in("alice").await;
    let tokens = bot.connect(&alice, "orders.read").await;
    bot.refresh(tokens.refresh.as_deref().unwrap()).await.tokens();
}

#[tokio::test]
async fn output_that_nobody_reads_on_ends_a_command_quietly() {
    let site = Site::new("http://127.0.0.1:1");
    site.add_user("dev@example.com", None).await;
    for words in [&["audit", "export"][..], &["user", "list"], &["user", "list", "--json"]] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let mut command = tokio::process::Command::new(crate::BINARY);
        let command = command.args(words).current_dir(site.path("."));
        let output = command.stdout(writer).output().await.unwrap();
        assert_eq!((output.status.code(), &*stderr(&output)), (Some(0), ""), "{words:?}");
    }
}

#[tokio::test]
async fn nobody_is_kept_out_without_a_reason() {
    let site = Site::new("http://127.0.0.1:1");
    for words in [["user", "block", "dev@example.com"], ["app", "suspend", "bot"]] {
        for reason in [&[][..], &["--reason", ""]] {
            let output = site.run(&[&words[..], reason].concat()).await;
            assert_eq!(output.status.code(), Some(2), "{words:?} {reason:?}");
            assert!(stderr(&output).contains("--reason"), "{}", stderr(&output));
        }
    }
}
