//! The admin API as an operator has it: over the socket, and from elsewhere with a token.

use std::sync::Arc;

use reqwest::{Client, StatusCode};
use rustls::ServerConfig;
use serde_json::Value;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::process::Command;
use tokio_rustls::TlsAcceptor;

use crate::BINARY;
use crate::served::{Site, stderr};

/// A site with staff and an app `bot` of dev@example.com, and its server.
async fn site() -> Site {
    let site = Site::new("http://127.0.0.1:1");
    site.also_config("registration = \"review\"");
    site.add_user("dev@example.com", Some("developer")).await;
    site.add_user("rita@example.com", Some("reviewer")).await;
    site
}

async fn bot(site: &Site) {
    let words = ["--owner", "dev@example.com", "--name", "Bot", "--kind", "service"];
    let more = ["--scope", "items.read=To copy them", "--client-id", "bot"];
    site.command(&[&["app", "create"][..], &words, &more].concat()).await;
}

async fn token(site: &Site, scopes: &[&str], more: &[&str]) -> Value {
    let scopes: Vec<&str> = scopes.iter().flat_map(|scope| ["--scope", scope]).collect();
    let words = ["admin-token", "create", "--name", "test"];
    site.command(&[&words[..], &scopes, more].concat()).await
}

/// `consentry WORDS --server …` with the token in a file, as JSON.
async fn elsewhere(site: &Site, token: &str, words: &[&str]) -> Result<Value, String> {
    std::fs::write(site.path("token"), format!("{token}\n")).unwrap();
    let server = format!("http://127.0.0.1:{}", site.internal);
    let file = site.path("token");
    let more = ["--json", "--server", &server, "--token-file", file.to_str().unwrap()];
    let output = site.run(&[words, &more].concat()).await;
    match output.status.success() {
        true => Ok(serde_json::from_slice(&output.stdout).unwrap_or_default()),
        false => Err(stderr(&output)),
    }
}

#[tokio::test]
async fn the_command_line_does_the_same_over_the_socket_and_from_elsewhere_with_a_token() {
    let site = site().await;
    bot(&site).await;
    let _server = site.serve().await;
    let made = token(&site, &["apps:read", "apps:write", "audit:read"], &[]).await;
    let text = made["token"].as_str().unwrap().to_owned();
    let there = elsewhere(&site, &text, &["app", "list"]).await.unwrap();
    assert_eq!(there, site.command(&["app", "list"]).await);
    let words = ["app", "suspend", "bot", "--reason", "Phishing"];
    assert_eq!(elsewhere(&site, &text, &words).await.unwrap()["status"], "suspended");
    let trail = site.run(&["audit", "export"]).await;
    let trail = String::from_utf8(trail.stdout).unwrap();
    let actor = format!("\"actor\":\"admin_token:{}\"", made["id"].as_str().unwrap());
    let suspended = trail.lines().find(|line| line.contains("\"kind\":\"app.suspended\""));
    assert!(suspended.unwrap().contains(&actor), "{trail}");
    let there = elsewhere(&site, &text, &["audit", "verify"]).await.unwrap();
    assert!(there["blocks"].is_number(), "{there}");

    let refused = elsewhere(&site, &text, &["user", "list"]).await.unwrap_err();
    assert!(refused.contains("the token lacks the scope users:read"), "{refused}");
    site.run(&["admin-token", "revoke", made["id"].as_str().unwrap()]).await;
    let refused = elsewhere(&site, &text, &["app", "list"]).await.unwrap_err();
    assert!(refused.contains("unknown, expired or revoked"), "{refused}");
    let list = site.command(&["admin-token", "list"]).await;
    assert!(list["tokens"][0]["revoked_at"].is_string(), "{list}");
    assert!(!list.to_string().contains(&text), "{list}");
    let output = site.run(&["app", "list", "--server", "http://127.0.0.1:1"]).await;
    assert!(stderr(&output).contains("set CONSENTRY_ADMIN_TOKEN"), "{}", stderr(&output));
}

/// A proxy with TLS in front of a listener, for `localhost`: its port, and the root that vouches for
/// it.
async fn with_tls(to: u16) -> (u16, String) {
    let key = rcgen::KeyPair::generate().unwrap();
    let mut root = rcgen::CertificateParams::default();
    root.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let root_pem = root.self_signed(&key).unwrap().pem();
    let issuer = rcgen::Issuer::new(root, key);
    let own_key = rcgen::KeyPair::generate().unwrap();
    let own = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    let own = own.signed_by(&own_key, &issuer).unwrap();
    let cryptography = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(cryptography)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![own.der().clone()], own_key.into())
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                // Whoever does not trust it hangs up.
                let Ok(mut stream) = acceptor.accept(stream).await else { return };
                let mut inside = TcpStream::connect(("127.0.0.1", to)).await.unwrap();
                _ = copy_bidirectional(&mut stream, &mut inside).await;
            });
        }
    });
    (port, root_pem)
}

#[tokio::test]
async fn the_command_line_speaks_tls_and_trusts_only_roots_that_it_was_told() {
    let site = site().await;
    bot(&site).await;
    let _server = site.serve().await;
    let made = token(&site, &["apps:read"], &[]).await;
    let (port, root) = with_tls(site.internal).await;
    std::fs::write(site.path("root.pem"), root).unwrap();
    let list = async |host: &str, root: Option<&str>| {
        let mut command = Command::new(BINARY);
        command.args(["app", "list", "--server", &format!("https://{host}:{port}")]);
        command.env("CONSENTRY_ADMIN_TOKEN", made["token"].as_str().unwrap());
        match root {
            Some(name) => command.env("SSL_CERT_FILE", site.path(name)),
            None => command.env_remove("SSL_CERT_FILE"),
        };
        command.output().await.unwrap()
    };
    let listed = list("localhost", Some("root.pem")).await;
    assert!(listed.status.success(), "{}", stderr(&listed));
    assert!(String::from_utf8_lossy(&listed.stdout).contains("bot"), "{listed:?}");
    for (host, root) in [("localhost", None), ("127.0.0.1", Some("root.pem"))] {
        let refused = list(host, root).await;
        assert!(!refused.status.success());
        let told = stderr(&refused);
        assert!(told.contains("cannot be trusted: invalid peer certificate"), "{told}");
        assert!(told.contains("SSL_CERT_FILE"), "{told}");
    }
}

#[tokio::test]
async fn plans_are_given_and_wishes_decided_with_commands() {
    let site = site().await;
    let config = std::fs::read_to_string(site.path("consentry.toml")).unwrap();
    let plans = "[[plans]]\nname = \"free\"\ntitle = \"Free\"\ntext = \"To try.\"\ndefault = true\n\
         [[plans]]\nname = \"grow\"\ntitle = \"Grow\"\ntext = \"More.\"\n\
         [[perks]]\nname = \"month\"\ntitle = \"A month\"\ntext = \"Of premium.\"\n";
    std::fs::write(site.path("consentry.toml"), config + plans).unwrap();
    bot(&site).await;
    let _server = site.serve().await;
    assert_eq!(site.command(&["app", "plan", "bot", "grow"]).await["plan"], "grow");
    assert_eq!(site.command(&["app", "plan", "bot"]).await["plan"], Value::Null);
    let unknown = site.run(&["app", "plan", "bot", "huge"]).await;
    assert!(stderr(&unknown).contains("the config has no such plan"), "{}", stderr(&unknown));

    let dev = site.signed_in("dev@example.com").await;
    let id = site.command(&["app", "show", "bot"]).await["id"].as_str().unwrap().to_owned();
    for wish in ["plan grow", "perk month"] {
        let page = dev.open(&format!("/apps/{id}/usage")).await;
        let form = page.form("ask").set("wish", wish).set("reason", "We grow");
        dev.submit(&form).await;
    }
    let waiting = site.command(&["requests", "list"]).await;
    let ids: Vec<_> =
        waiting["requests"].as_array().unwrap().iter().map(|one| &one["id"]).collect();
    let [plan, perk] = [0, 1].map(|at| ids[at].as_str().unwrap());
    let by = ["--by", "rita@example.com"];
    let own = site.run(&["requests", "approve", plan, "--by", "dev@example.com"]).await;
    assert!(!own.status.success(), "{own:?}");
    let approved = site.run(&[&["requests", "approve", plan][..], &by].concat()).await;
    assert_eq!(String::from_utf8_lossy(&approved.stdout), "bot has the plan grow.\n");
    let words = ["requests", "refuse", perk, "--note", "Not yet"];
    let refused = site.run(&[&words[..], &by].concat()).await;
    assert_eq!(String::from_utf8_lossy(&refused.stdout), "bot does not get the perk month.\n");
    let again = site.run(&[&words[..], &by].concat()).await;
    assert!(!again.status.success(), "{again:?}");
    assert_eq!(site.command(&["requests", "list"]).await["requests"], Value::Array(Vec::new()));
    assert_eq!(site.command(&["app", "show", "bot"]).await["plan"], "grow");
}

#[tokio::test]
async fn staff_decide_with_commands_and_say_who_they_are() {
    let site = site().await;
    let _server = site.serve().await;
    let entry = r#"[{ "client_id": "new", "name": "New Bot", "kind": "service", "status": "review",
        "scopes": "items.read", "client_secret": "hunter2", "owner": "dev@example.com" }]"#;
    std::fs::write(site.path("apps.json"), entry).unwrap();
    let imported = site.command(&["import", "apps", "apps.json"]).await;
    assert_eq!(imported["imported"], 1, "{imported}");
    let shown = site.command(&["app", "show", "new"]).await;
    assert_eq!((&shown["status"], &shown["awaits_review"]), (&"in_review".into(), &true.into()));
    let nobody = site.run(&["app", "approve", "new"]).await;
    assert!(stderr(&nobody).contains("say which member of staff decides"), "{}", stderr(&nobody));
    let by = ["--by", "rita@example.com"];
    let silent = site.run(&[&["app", "reject", "new"][..], &by].concat()).await;
    assert!(stderr(&silent).contains("Write a note"), "{}", stderr(&silent));
    let words = ["app", "approve", "new", "--condition", "items.read=Read slowly"];
    let approved = site.command(&[&words[..], &by].concat()).await;
    assert_eq!(
        (&approved["status"], &approved["scopes_approved"]),
        (&"live".into(), &"items.read".into())
    );
    let deleted = site.run(&["app", "delete", "new"]).await;
    assert!(deleted.status.success(), "{}", stderr(&deleted));
    assert!(!site.run(&["app", "show", "new"]).await.status.success());
}

#[tokio::test]
async fn the_admin_api_is_on_the_internal_listener_alone_and_wants_a_token_there() {
    let site = site().await;
    bot(&site).await;
    let _server = site.serve().await;
    let made = token(&site, &["apps:read"], &["--days", "1"]).await;
    let text = made["token"].as_str().unwrap();
    let ask = async |port: u16, token: Option<&str>| {
        let url = format!("http://127.0.0.1:{port}/admin/v1/apps");
        let request = Client::new().get(url).header("host", format!("localhost:{}", site.port));
        let request = match token {
            Some(token) => request.bearer_auth(token),
            None => request,
        };
        request.send().await.unwrap().status()
    };
    assert_eq!(ask(site.internal, Some(text)).await, StatusCode::OK);
    assert_eq!(ask(site.internal, None).await, StatusCode::UNAUTHORIZED);
    assert_eq!(ask(site.port, Some(text)).await, StatusCode::NOT_FOUND);
}
