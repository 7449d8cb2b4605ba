//! `consentry demo` as a process of its own, on free ports and a folder of its own.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use crate::app::TestApp;
use crate::browser::Browser;

pub struct Demo {
    child: Child,
    pub exchange: DemoProvider,
    pub drive: DemoProvider,
    /// Where programs read the mail of both.
    mailbox: String,
    data: PathBuf,
    /// Removed with the demo.
    _folder: Option<TempDir>,
}

/// One of the two providers, as `demo.json` describes it.
#[derive(Clone, Debug)]
pub struct DemoProvider {
    pub issuer: String,
    json: Value,
}

impl Demo {
    /// Start `binary demo` with a fresh folder and wait until it accepts connections.
    pub async fn start(binary: &str) -> Self {
        let folder = TempDir::new().unwrap();
        let mut demo = Self::start_in(binary, folder.path()).await;
        demo._folder = Some(folder);
        demo
    }

    /// Start it on a folder that the caller keeps.
    pub async fn start_in(binary: &str, data: &Path) -> Self {
        Self::start_on(binary, data, "0").await
    }

    /// Start it with the exchange on a port that the caller knows.
    pub async fn start_on(binary: &str, data: &Path, exchange_port: &str) -> Self {
        let _ = std::fs::remove_file(data.join("demo.json"));
        let mut child = Command::new(binary)
            .args(["demo", "--exchange-port", exchange_port])
            .args(["--drive-port", "0", "--app-port", "0", "--data"])
            .arg(data)
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let json = loop {
            // It writes the file, then prints the same: any line after that finds the file.
            let line = lines.next_line().await.unwrap();
            assert!(line.is_some(), "the demo ended before it was ready");
            if let Ok(text) = std::fs::read(data.join("demo.json")) {
                break serde_json::from_slice::<Value>(&text).unwrap();
            }
        };
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        let provider = |name: &str| DemoProvider {
            issuer: json[name]["issuer"].as_str().unwrap().to_owned(),
            json: json[name].clone(),
        };
        Self {
            child,
            exchange: provider("exchange"),
            drive: provider("drive"),
            mailbox: json["mailbox"].as_str().unwrap().to_owned(),
            data: data.to_owned(),
            _folder: None,
        }
    }

    /// What the demo would have sent to `to`, newest first.
    pub async fn letters(&self, to: &str) -> Vec<Value> {
        let all = reqwest::get(&self.mailbox).await.unwrap().json::<Vec<Value>>().await.unwrap();
        all.into_iter().filter(|letter| letter["to"] == to).collect()
    }

    pub fn data(&self) -> &Path {
        &self.data
    }

    pub fn pid(&self) -> u32 {
        self.child.id().expect("the demo is running")
    }

    /// SIGKILL: no shutdown code runs.
    pub async fn kill(&mut self) {
        self.child.kill().await.unwrap();
    }

    /// Ctrl-C, and wait for the end.
    pub async fn interrupt(&mut self) -> std::process::ExitStatus {
        let pid = self.pid().to_string();
        let sent = Command::new("kill").args(["-INT", &pid]).status().await.unwrap();
        assert!(sent.success());
        self.child.wait().await.unwrap()
    }
}

impl DemoProvider {
    /// A new browser in which `name` (alice, bob, dev, review, admin) is signed in.
    pub async fn signed_in(&self, name: &str) -> Browser {
        let browser = Browser::new(&self.issuer);
        let page = browser.sign_in(&email(name), &password(name)).await;
        assert!(page.html.contains(&email(name)), "{name} is not signed in:\n{}", page.html);
        browser
    }

    /// A seeded app with its credentials.
    pub fn app(&self, name: &str) -> TestApp {
        let app = &self.json["apps"][name];
        let text = |field: &str| app[field].as_str().map(str::to_owned);
        TestApp::new(
            &self.issuer,
            &text("client_id").unwrap_or_else(|| panic!("demo.json has no app {name}")),
            text("client_secret").as_deref(),
            &text("redirect_uri").unwrap_or_default(),
        )
    }

    pub fn json(&self) -> &Value {
        &self.json
    }
}

pub fn email(name: &str) -> String {
    format!("{name}@example.com")
}

pub fn password(name: &str) -> String {
    format!("demo-{name}-password")
}
