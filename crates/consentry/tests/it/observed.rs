//! What an operator sees of a running server: one line in the log per request, metrics, the dashboard
//! over them, traces. And what nobody may see there.

use std::collections::BTreeSet;
use std::fs;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::redirect::Policy;
use reqwest::{Client, StatusCode};
use serde_json::Value;
use testkit::html::Form;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

use crate::served::{PASSWORD, PATIENCE, Site, until};
use crate::upstream::Upstream;

const WRONG_PASSWORD: &str = "wrong-password-of-alice";
const WRONG_SECRET: &str = "wrong-secret-of-the-app";
const WRONG_CODE: &str = "wrong-code-of-the-app";

/// Everything secret that was used, with a word for it.
type Secrets = Vec<(&'static str, String)>;

/// Sign in by hand, so that the cookies and the form's token are known.
async fn sign_in(site: &Site, password: &str) -> Secrets {
    let client = Client::builder().redirect(Policy::none()).build().unwrap();
    let set = |answer: &reqwest::Response| -> Vec<String> {
        let lines = answer.headers().get_all("set-cookie").iter();
        lines.map(|line| line.to_str().unwrap().split(';').next().unwrap().to_owned()).collect()
    };
    let url = format!("{}/sign-in", site.issuer);
    let page = client.get(&url).send().await.unwrap();
    let visitor = set(&page);
    let form = Form::find(&page.text().await.unwrap(), "sign-in").unwrap();
    let csrf = form.values("csrf")[0].to_owned();
    let form = form.set("email", "alice@example.com").set("password", password);
    let sent = client.post(&url).form(&form.fields).header("cookie", visitor.join("; "));
    let answer = sent.header("origin", &site.issuer).send().await.unwrap();
    let cookies = [visitor, set(&answer)].concat();
    let value = |cookie: &String| cookie.split_once('=').unwrap().1.to_owned();
    let mut secrets: Secrets = cookies.iter().map(|cookie| ("a cookie", value(cookie))).collect();
    secrets.push(("a form's token", csrf));
    secrets
}

/// Everything that users and apps do, right and wrong; what must not be found anywhere afterwards.
async fn live(site: &Site) -> Secrets {
    site.add_user("dev@example.com", Some("developer")).await;
    site.add_user("alice@example.com", None).await;
    let app = site.add_app("Item Bot").await;
    let mut secrets = sign_in(site, PASSWORD).await;
    secrets.extend(sign_in(site, WRONG_PASSWORD).await);
    let alice = site.signed_in("alice@example.com").await;
    let code = app.authorize(&alice, "items.read").await;
    let first = app.redeem(&code).await;
    assert_eq!(first.status, StatusCode::OK, "{:?}", first.body);
    let text = |name: &str| first.body[name].as_str().unwrap().to_owned();
    let (access, refresh) = (text("access_token"), text("refresh_token"));
    let second = app.refresh(&refresh).await;
    let later = |name: &str| second.body[name].as_str().unwrap().to_owned();
    assert_eq!(app.introspect(&access).await.body["active"], true);
    assert_eq!(site.status("/api/items", &access).await, StatusCode::OK);
    assert_eq!(site.status("/api/items", "no-token-of-ours").await, StatusCode::UNAUTHORIZED);
    let in_query = format!("/api/items?access_token={access}");
    assert_eq!(site.status(&in_query, &access).await, StatusCode::BAD_REQUEST);
    assert_eq!(site.status(&format!("/lost/{access}"), &access).await, StatusCode::NOT_FOUND);
    assert_eq!(app.redeem(WRONG_CODE).await.error(), "invalid_grant");
    let secret = app.client_secret.clone().unwrap();
    let basic = STANDARD.encode(format!("{}:{secret}", app.client_id));
    let mut wrong = app.clone();
    wrong.client_secret = Some(WRONG_SECRET.to_owned());
    assert_eq!(wrong.refresh(&later("refresh_token")).await.error(), "invalid_client");
    assert_eq!(app.revoke(&later("refresh_token")).await.status, StatusCode::OK);
    secrets.extend([
        ("a password", PASSWORD.to_owned()),
        ("a wrong password", WRONG_PASSWORD.to_owned()),
        ("the app's secret", secret),
        ("a wrong secret", WRONG_SECRET.to_owned()),
        ("an Authorization header", basic),
        ("a code", code),
        ("a wrong code", WRONG_CODE.to_owned()),
        ("a verifier", testkit::app::VERIFIER.to_owned()),
        ("an access token", access),
        ("a refresh token", refresh),
        ("a later access token", later("access_token")),
        ("a later refresh token", later("refresh_token")),
        ("what is no token", "no-token-of-ours".to_owned()),
        ("an address of a person", "alice@example.com".to_owned()),
        ("the state of an app", "test-state".to_owned()),
        ("the master key", "5a".repeat(32)),
    ]);
    secrets
}

fn assert_told_nowhere(secrets: &Secrets, place: &str, text: &str) {
    for (what, secret) in secrets {
        assert!(secret.len() > 5, "{what} is too short to look for");
        assert!(!text.contains(secret.as_str()), "{what} is in {place}");
    }
}

fn lines_of(site: &Site) -> Vec<Value> {
    let log = fs::read_to_string(site.path("stderr")).unwrap();
    // Behind the last end of a line is one that is being written.
    let whole = log.rsplit_once('\n').map_or("", |(whole, _)| whole);
    let parse = |line| serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}"));
    whole.lines().map(parse).collect()
}

#[tokio::test]
async fn x3_every_request_is_one_line_in_the_log_and_no_secret_is_in_any() {
    let upstream = Upstream::start().await;
    let site = Site::new(&upstream.url);
    let mut server = site.serve().await;
    let secrets = live(&site).await;
    assert_told_nowhere(&secrets, "the metrics", &site.internal("/metrics").await);

    // Lines are written beside the requests: the last one is there when the server has ended.
    server.signal("TERM").await;
    server.wait().await;
    assert_told_nowhere(&secrets, "the log", &fs::read_to_string(site.path("stderr")).unwrap());
    let lines = lines_of(&site);
    let requests: Vec<_> =
        lines.iter().filter(|line| line["target"] == "consentry::request").collect();
    assert!(lines.iter().any(|line| line["message"] == "stopped"));
    let of =
        |route: &str| requests.iter().filter(|line| line["route"] == route).collect::<Vec<_>>();
    let tokens = of("/oauth/token");
    let statuses: Vec<_> = tokens.iter().map(|line| line["status"].as_u64().unwrap()).collect();
    assert_eq!(statuses, [200, 200, 400, 401], "redeemed, refreshed, a wrong code, a wrong secret");
    let granted = tokens[0];
    assert!(granted["app"].is_string() && granted["grant"].is_string(), "{granted}");
    assert_eq!((&granted["method"], &granted["client"]), (&"POST".into(), &"127.0.0.1".into()));
    assert!(granted["duration_us"].as_u64().unwrap() > 0);
    assert!(tokens[2]["cause"].as_str().unwrap().contains("invalid_grant"), "{}", tokens[2]);
    let calls = of("/api/{*rest}");
    let why: Vec<_> = calls.iter().map(|line| line["refused"].as_str().unwrap_or("-")).collect();
    assert_eq!(why, ["-", "token_refused", "token_misplaced"]);
    assert_eq!(calls[0]["grant"], granted["grant"]);
    assert_eq!(of("unmatched").len(), 1, "the path itself is not told");
    let ids: BTreeSet<_> = requests.iter().map(|line| line["request_id"].to_string()).collect();
    assert_eq!(ids.len(), requests.len(), "each has an id of its own");
}

#[tokio::test]
async fn every_answer_has_the_id_under_which_it_is_logged() {
    let upstream = Upstream::start().await;
    let site = Site::new(&upstream.url);
    let _server = site.serve().await;
    let (client, issuer) = (Client::new(), &site.issuer);
    for (path, host) in [
        ("/sign-in", None),
        ("/oauth/token", None),
        ("/.well-known/jwks.json", None),
        ("/api/items", None),
        ("/api", None),
        ("/nowhere", None),
        ("/sign-in", Some("somebody-elses.example")),
    ] {
        let mut request = client.get(format!("{issuer}{path}"));
        if let Some(host) = host {
            request = request.header("host", host);
        }
        let answer = request.send().await.unwrap();
        let id = answer.headers()["consentry-request-id"].to_str().unwrap().to_owned();
        until("its line", async || {
            lines_of(&site).iter().any(|line| line["request_id"] == id.as_str()).then_some(())
        })
        .await;
    }
}

/// Names of the samples of a metrics page.
fn samples(page: &str) -> BTreeSet<&str> {
    let lines = page.lines().filter(|line| !line.starts_with('#'));
    lines.map(|line| line.split(['{', ' ']).next().unwrap()).collect()
}

/// Names of metrics in the texts of a JSON document.
fn named_in<'a>(value: &'a Value, found: &mut BTreeSet<&'a str>) {
    match value {
        Value::String(text) => {
            let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
            let is_name =
                |word: &&str| word.starts_with("consentry_") || word.starts_with("process_");
            found.extend(words.filter(is_name));
        }
        Value::Array(values) => values.iter().for_each(|value| named_in(value, found)),
        Value::Object(fields) => fields.values().for_each(|value| named_in(value, found)),
        _ => {}
    }
}

#[tokio::test]
async fn the_dashboard_and_the_alerts_name_metrics_that_exist() {
    let upstream = Upstream::start().await;
    let site = Site::new(&upstream.url);
    let _server = site.serve().await;
    live(&site).await;
    let page = site.internal("/metrics").await;
    let known = samples(&page);
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/operator");
    let dashboard = fs::read_to_string(format!("{folder}/grafana-dashboard.json")).unwrap();
    let dashboard: Value = serde_json::from_str(&dashboard).unwrap();
    let text = Value::from(fs::read_to_string(format!("{folder}/monitoring.md")).unwrap());
    let mut named = BTreeSet::new();
    named_in(&dashboard, &mut named);
    assert!(named.len() > 20, "{named:?}");
    named_in(&text, &mut named);
    let missing: Vec<_> = named.difference(&known).collect();
    assert!(missing.is_empty(), "{missing:?} are not in:\n{page}");
    let panels = dashboard["panels"].as_array().unwrap();
    let ids: BTreeSet<_> = panels.iter().map(|panel| panel["id"].as_u64().unwrap()).collect();
    assert_eq!(ids.len(), panels.len());
}

#[tokio::test]
async fn requests_are_counted_by_what_they_are_and_never_by_their_path() {
    let upstream = Upstream::start().await;
    let site = Site::new(&upstream.url);
    let _server = site.serve().await;
    live(&site).await;
    let page = site.internal("/metrics").await;
    for line in [
        r#"consentry_http_requests_total{endpoint="/oauth/token",method="POST",status="2xx"} 2"#,
        r#"consentry_http_requests_total{endpoint="unmatched",method="GET",status="4xx"} 1"#,
        r#"reason="token_refused"} 1"#,
        "consentry_lease_valid 1",
        "consentry_sqlite_queue_length 0",
        r#"consentry_gateway_requests_total{api="#,
    ] {
        assert!(page.contains(line), "no {line} in:\n{page}");
    }
    assert!(page.ends_with("# EOF\n"));
    assert!(!page.contains("/lost/"), "{page}");
}

#[tokio::test]
async fn a_client_that_goes_before_the_answer_is_told_too() {
    let upstream = Upstream::start().await;
    let site = Site::new(&upstream.url);
    site.add_user("dev@example.com", Some("developer")).await;
    site.add_user("alice@example.com", None).await;
    let _server = site.serve().await;
    let token = site.alices_token().await;
    let held = tokio::spawn(site.get("/api/held", &token).send());
    upstream.came.notified().await;
    held.abort();
    until("its line", async || {
        lines_of(&site).iter().any(|line| line["status"] == 499).then_some(())
    })
    .await;
    let page = site.internal("/metrics").await;
    assert!(page.contains("consentry_requests_abandoned_total 1\n"), "{page}");
}

#[tokio::test]
async fn metrics_can_be_switched_off() {
    let site = Site::on_with("http://127.0.0.1:1", "[telemetry]\nmetrics = false\n");
    let _server = site.serve().await;
    let url = format!("http://127.0.0.1:{}/metrics", site.internal);
    assert_eq!(Client::new().get(url).send().await.unwrap().status(), StatusCode::NOT_FOUND);
}

/// A collector that hands over the bodies that it was sent.
async fn collector() -> (String, mpsc::UnboundedReceiver<Value>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (sender, bodies) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(stream.read_u8().await.unwrap());
            }
            let head = String::from_utf8(head).unwrap().to_lowercase();
            assert!(head.starts_with("post /v1/traces "), "{head}");
            let (_, length) = head.split_once("content-length: ").unwrap();
            let length = length.split("\r\n").next().unwrap().parse().unwrap();
            let mut body = vec![0; length];
            stream.read_exact(&mut body).await.unwrap();
            let answer = b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\n{}";
            stream.write_all(answer).await.unwrap();
            sender.send(serde_json::from_slice(&body).unwrap()).unwrap();
        }
    });
    (url, bodies)
}

fn spans_of(document: &Value) -> Vec<Value> {
    document["resourceSpans"][0]["scopeSpans"][0]["spans"].as_array().unwrap().clone()
}

#[tokio::test]
async fn x3_a_trace_goes_through_to_the_upstream_and_to_the_collector_without_secrets() {
    const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
    let (url, mut bodies) = collector().await;
    let upstream = Upstream::start().await;
    let site = Site::on_with(&upstream.url, &format!("[telemetry]\notlp_endpoint = \"{url}\"\n"));
    site.change_config("drain = \"10s\"", "drain = \"10s\"\ntrusted_proxies = [\"127.0.0.1\"]");
    let _server = site.serve().await;
    let secrets = live(&site).await;
    let parent = format!("00-{TRACE}-b7ad6b7169203331-01");
    let token = site.alices_token().await;
    let call = site.get("/api/items", &token).header("traceparent", &parent);
    assert_eq!(call.send().await.unwrap().status(), StatusCode::OK);

    let mut spans = Vec::new();
    let of_trace = |spans: &[Value], name: &str| {
        spans.iter().find(|span| span["traceId"] == TRACE && span["name"] == name).cloned()
    };
    let request = loop {
        if let Some(span) = of_trace(&spans, "GET /api/{*rest}") {
            break span;
        }
        let body = tokio::time::timeout(PATIENCE, bodies.recv()).await.expect("spans").unwrap();
        assert_told_nowhere(&secrets, "a span", &body.to_string());
        spans.extend(spans_of(&body));
    };
    assert_eq!(request["parentSpanId"], "b7ad6b7169203331");
    let inner = of_trace(&spans, "upstream").expect("the call to the upstream");
    assert_eq!(inner["parentSpanId"], request["spanId"]);
    let heads = upstream.heads.lock().unwrap().clone();
    let last = heads.last().unwrap();
    let told = format!("traceparent: 00-{TRACE}-{}-01", inner["spanId"].as_str().unwrap());
    assert!(last.to_lowercase().contains(&told), "{last}");
    let names: BTreeSet<_> = spans.iter().map(|span| span["name"].as_str().unwrap()).collect();
    assert!(names.contains("POST /oauth/token") && names.contains("POST /sign-in"), "{names:?}");
}

#[tokio::test]
async fn a_trace_that_a_stranger_names_goes_no_further() {
    let upstream = Upstream::start().await;
    let site = Site::new(&upstream.url);
    let _server = site.serve().await;
    site.add_user("dev@example.com", Some("developer")).await;
    site.add_user("alice@example.com", None).await;
    let token = site.alices_token().await;
    let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let call = site.get("/api/items", &token).header("traceparent", parent);
    let call = call.header("tracestate", "vendor=secret");
    assert_eq!(call.send().await.unwrap().status(), StatusCode::OK);
    let heads = upstream.heads.lock().unwrap().clone();
    let last = heads.last().unwrap().to_lowercase();
    assert!(!last.contains("traceparent") && !last.contains("tracestate"), "{last}");
}
