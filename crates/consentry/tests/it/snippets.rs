//! The programs of the developer documentation, as developers copy them out of the served page, run
//! against the demo as they are.

use std::path::Path;
use std::process::Stdio;

use serde_json::json;
use tempfile::TempDir;
use testkit::html::decode;
use testkit::{Browser, Demo, DemoProvider, TestApp};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::{Child, Command};

use crate::BINARY;
use crate::clients::variable;
use crate::use_cases::assert_audited;

const RUN: [&str; 3] = ["curl", "python", "typescript"];

/// The page of a guide, as the developer of the app sees it.
async fn guide(provider: &DemoProvider, app: &TestApp, name: &str, language: &str) -> String {
    let dev = provider.signed_in("dev").await;
    let apps = dev.open("/apps").await.html;
    let ids = apps.split("href=\"/apps/").skip(1).filter_map(|part| part.split('"').next());
    for id in ids.filter(|id| id.len() == 32) {
        let path = format!("/docs/guides/{name}?app={id}&lang={language}");
        let html = dev.open(&path).await.html;
        if html.contains(&format!("(<code>{}</code>)", app.client_id)) {
            return html;
        }
    }
    panic!("the developer has no app {}", app.client_id);
}

/// All programs of a page, one after the other: each goes on where the one before has ended.
fn program(html: &str) -> String {
    let pieces = html.split("<code id=\"snippet-").skip(1);
    let texts = pieces.map(|piece| {
        let text = piece.split_once('>').unwrap().1;
        decode(text.split_once("</code>").unwrap().0)
    });
    let program = texts.collect::<Vec<_>>().join("\n");
    assert!(program.len() > 500, "{program}");
    program
}

/// Start a program with nothing but the secret in its environment that it could know.
fn start(folder: &Path, language: &str, text: &str, app: &TestApp) -> Child {
    let file =
        folder.join(format!("program.{}", if language == "typescript" { "ts" } else { "x" }));
    std::fs::write(&file, text).unwrap();
    let mut command = match language {
        "curl" => {
            let mut bash = Command::new("bash");
            bash.arg("-eu");
            bash
        }
        "python" => Command::new(variable("CONSENTRY_TEST_PYTHON")),
        _ => {
            let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients/typescript.mjs");
            let mut node = Command::new(variable("CONSENTRY_TEST_NODE"));
            node.arg(script);
            node
        }
    };
    if let Some(secret) = &app.client_secret {
        command.env("CLIENT_SECRET", secret);
    }
    command.arg(&file).stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
    command.spawn().unwrap()
}

/// Run the programs of a guide as the app; `decide` is told the first line that they print with an
/// address in it, and answers what to type. What they print is returned.
async fn run(
    (provider, app): (&DemoProvider, &TestApp),
    (name, language): (&str, &str),
    decide: impl AsyncFn(String) -> String,
) -> String {
    let folder = TempDir::new().unwrap();
    let text = program(&guide(provider, app, name, language).await);
    let mut child = start(folder.path(), language, &text, app);
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut input = child.stdin.take().unwrap();
    let (mut told, mut has_decided) = (String::new(), name == "enterprise");
    while let Some(line) = lines.next_line().await.unwrap() {
        if !has_decided && line.contains("http://") {
            has_decided = true;
            let answer = decide(line.clone()).await;
            input.write_all(format!("{answer}\n").as_bytes()).await.unwrap();
        }
        told.push_str(&line);
        told.push('\n');
    }
    let status = child.wait().await.unwrap();
    assert!(status.success(), "{name} in {language}: {told}\n{text}");
    told
}

/// Let the user allow everything that the app asks for.
async fn connect(
    (provider, app): (&DemoProvider, &TestApp),
    (guide, language): (&str, &str),
    user: &Browser,
) {
    let told = run((provider, app), (guide, language), async |line| {
        let page = user.open(&line).await;
        app.allow(user, page).await.callback().to_string()
    })
    .await;
    assert!(told.contains("200"), "{guide} in {language}: {told}");
}

async fn users_of(provider: &DemoProvider) -> [Browser; 3] {
    let users = ["alice", "bob", "review"].map(|name| provider.signed_in(name));
    let [one, another, third] = users;
    [one.await, another.await, third.await]
}

#[tokio::test]
async fn the_programs_of_the_guides_connect_call_refresh_and_give_back() {
    let demo = Demo::start(BINARY).await;
    let exchange = &demo.exchange;
    let users = users_of(exchange).await;
    for (guide, app) in [
        ("portfolio-tracker", "portfolio-tracker"),
        ("mobile-app", "mobile"),
        ("trading-bot", "trading-bot"),
    ] {
        let app = exchange.app(app);
        for (language, user) in RUN.into_iter().zip(&users) {
            connect((exchange, &app), (guide, language), user).await;
        }
        let kinds = ["grant.created", "grant.revoked"];
        assert_audited(&demo, "exchange", &app, &kinds);
    }
}

#[tokio::test]
async fn the_programs_of_a_dialect_speak_the_dialect() {
    for language in RUN {
        // A server for each: WhiteBIT lets an app refresh once a second.
        let demo = Demo::start(BINARY).await;
        let alice = demo.exchange.signed_in("alice").await;
        let partner = demo.exchange.app("whitebit-partner");
        connect((&demo.exchange, &partner), ("web-app", language), &alice).await;
    }
}

#[tokio::test]
async fn the_programs_of_the_enterprise_guide_act_for_the_app() {
    let demo = Demo::start(BINARY).await;
    let app = demo.exchange.app("enterprise");
    for language in RUN {
        let nobody = async |_| String::new();
        let told = run((&demo.exchange, &app), ("enterprise", language), nobody).await;
        assert!(told.contains("200"), "{language}: {told}");
    }
}

#[tokio::test]
async fn the_programs_of_the_device_guide_wait_for_the_user() {
    let demo = Demo::start(BINARY).await;
    let bob = demo.drive.signed_in("bob").await;
    let device = demo.drive.app("device");
    for language in RUN {
        let told = run((&demo.drive, &device), ("device", language), async |line| {
            let code = user_code(&line);
            let form = bob.open("/device").await.form("device").set("user_code", &code);
            let page = bob.submit(&form).await;
            let page = bob.submit(&page.form("confirm-device").set("decision", "mine")).await;
            bob.submit(&page.form("consent").set("decision", "allow")).await;
            String::new()
        })
        .await;
        assert!(told.contains("200"), "{language}: {told}");
    }
}

/// Eight letters with a hyphen between, wherever they are in the line.
fn user_code(line: &str) -> String {
    let is_code =
        |word: &&str| word.len() == 9 && word.chars().all(|c| c.is_ascii_uppercase() || c == '-');
    let mut words = line.split(|c: char| !c.is_ascii_alphanumeric() && c != '-');
    words.find(is_code).unwrap_or_else(|| panic!("no code in {line}")).to_owned()
}

/// Compilers and formatters that are on this machine read the programs of the other languages.
#[tokio::test]
async fn go_java_and_rust_can_read_their_programs() {
    let demo = Demo::start(BINARY).await;
    let cases = [
        (&demo.exchange, demo.exchange.app("portfolio-tracker"), "portfolio-tracker"),
        (&demo.exchange, demo.exchange.app("mobile"), "mobile-app"),
        (&demo.exchange, demo.exchange.app("enterprise"), "enterprise"),
        (&demo.exchange, demo.exchange.app("whitebit-partner"), "web-app"),
        (&demo.drive, demo.drive.app("device"), "device"),
    ];
    let folder = TempDir::new().unwrap();
    for (provider, app, name) in &cases {
        for language in ["go", "java", "rust"] {
            let text = program(&guide(provider, app, name, language).await);
            let (file, text, tool, arguments): (_, _, _, &[&str]) = match language {
                "go" => ("connect.go", text, "go", &["vet", "connect.go"]),
                "java" => {
                    ("Connect.java", java_class(&text), "javac", &["-proc:none", "Connect.java"])
                }
                _ => ("connect.rs", text, "rustfmt", &["--edition", "2024", "connect.rs"]),
            };
            std::fs::write(folder.path().join(file), &text).unwrap();
            let mut check = Command::new(tool);
            check.current_dir(folder.path()).args(arguments);
            check.env("GO111MODULE", "off").env("GOTOOLCHAIN", "local");
            match check.output().await {
                // The machine has no such tool: `cargo xtask test` does not ask for it.
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(error) => panic!("{tool}: {error}"),
                Ok(output) => {
                    let told = String::from_utf8_lossy(&output.stderr).into_owned();
                    assert!(output.status.success(), "{name}: {}\n{text}", json!(told));
                }
            }
        }
    }
}

/// Methods and fields stand in a class; imports before it.
fn java_class(text: &str) -> String {
    let (imports, members): (Vec<_>, Vec<_>) =
        text.lines().partition(|line| line.starts_with("import "));
    format!("{}\nclass Connect {{\n{}\n}}\n", imports.join("\n"), members.join("\n"))
}
