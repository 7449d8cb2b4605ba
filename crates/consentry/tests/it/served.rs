//! `consentry serve` as an operator has it: a config file, a master key, a data folder, the command
//! line beside the running server, and an API behind it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use reqwest::{Client, StatusCode};
use serde_json::Value;
use tempfile::TempDir;
use testkit::{Browser, TestApp};
use tokio::process::{Child, Command};
use tokio::time::{interval, timeout};

use crate::BINARY;

pub const PASSWORD: &str = "a long password for tests";
pub const CALLBACK: &str = "https://bot.example.com/callback";
/// Longer than any wait of a test that passes.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// A port that nobody listens on, outside of the range from which the kernel gives ports to clients.
pub fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let start = u16::try_from(std::process::id() % 9_000).unwrap();
    loop {
        let port = 20_000 + start + NEXT.fetch_add(1, Ordering::Relaxed);
        if std::net::TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

/// Look again and again until `found` answers with something.
pub async fn until<T>(what: &str, mut found: impl AsyncFnMut() -> Option<T>) -> T {
    let looking = async {
        let mut ticks = interval(Duration::from_millis(20));
        loop {
            ticks.tick().await;
            if let Some(value) = found().await {
                return value;
            }
        }
    };
    timeout(PATIENCE, looking).await.unwrap_or_else(|_| panic!("in vain: {what}"))
}

/// A folder with a config; nothing runs yet.
pub struct Site {
    folder: TempDir,
    pub port: u16,
    pub internal: u16,
    pub issuer: String,
}

impl Site {
    pub fn new(upstream: &str) -> Self {
        let port = free_port();
        Self::on(port, &format!("http://localhost:{port}"), upstream, "", &"5a".repeat(32))
    }

    /// `more` are further lines at the top of the config.
    pub fn on(port: u16, issuer: &str, upstream: &str, more: &str, master_key: &str) -> Self {
        let (folder, internal) = (TempDir::new().unwrap(), free_port());
        let config = CONFIG
            .replace("ISSUER", issuer)
            .replace("PORT", &port.to_string())
            .replace("INTERNAL", &internal.to_string())
            .replace("UPSTREAM", upstream)
            .replace("# MORE", more);
        fs::write(folder.path().join("consentry.toml"), config).unwrap();
        let key = folder.path().join("master.key");
        fs::write(&key, master_key).unwrap();
        Self { folder, port, internal, issuer: issuer.to_owned() }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn change_config(&self, from: &str, to: &str) {
        let path = self.path("consentry.toml");
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains(from), "the config has no {from}");
        fs::write(path, text.replace(from, to)).unwrap();
    }

    /// More lines at the top of the config.
    pub fn also_config(&self, more: &str) {
        let first = "data_dir = \"data\"";
        self.change_config(first, &format!("{first}\n{more}"));
    }

    /// `consentry WORDS -c CONFIG`, to its end.
    pub async fn run(&self, words: &[&str]) -> Output {
        run(self.folder.path(), &[words, &["-c", "consentry.toml"]].concat()).await
    }

    /// The JSON that a command prints.
    pub async fn command(&self, words: &[&str]) -> Value {
        let output = self.run(&[words, &["--json"]].concat()).await;
        assert!(output.status.success(), "{words:?}: {}", stderr(&output));
        serde_json::from_slice(&output.stdout).unwrap()
    }

    pub async fn add_user(&self, email: &str, role: Option<&str>) {
        let file = self.path("password");
        fs::write(&file, PASSWORD).unwrap();
        let mut words = vec!["user", "create", email, "--password-file", file.to_str().unwrap()];
        words.extend(role.iter().flat_map(|role| ["--role", role]));
        self.command(&words).await;
    }

    /// A web app of dev@example.com, who must exist.
    pub async fn add_app(&self, name: &str) -> TestApp {
        self.create_app(name, "web", &["--redirect-uri", CALLBACK]).await
    }

    /// An app of dev@example.com; `more` are further words of the command line.
    pub async fn create_app(&self, name: &str, kind: &str, more: &[&str]) -> TestApp {
        let scope = "items.read=To show your items";
        let words = ["app", "create", "--owner", "dev@example.com", "--kind", kind];
        let words = [&words[..], &["--name", name, "--scope", scope], more].concat();
        let app = self.command(&words).await;
        let text = |name: &str| app[name].as_str().map(str::to_owned);
        let redirect_uri = app["redirect_uris"][0].as_str().unwrap();
        let (id, secret) = (text("client_id").unwrap(), text("client_secret"));
        TestApp::new(&self.issuer, &id, secret.as_deref(), redirect_uri)
    }

    /// Start the server and wait until it accepts tokens.
    pub async fn serve(&self) -> Server {
        let stderr = fs::File::create(self.path("stderr")).unwrap();
        let child = Command::new(BINARY)
            .args(["serve", "-c", "consentry.toml"])
            .current_dir(self.folder.path())
            .stdin(Stdio::null())
            .stderr(stderr)
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut server = Server { child };
        until("the server is ready", async || {
            let ended = server.child.try_wait().unwrap();
            assert!(ended.is_none(), "{}", fs::read_to_string(self.path("stderr")).unwrap());
            self.is_ready().await.then_some(())
        })
        .await;
        server
    }

    pub async fn is_ready(&self) -> bool {
        let url = format!("http://127.0.0.1:{}/readyz", self.internal);
        let asked = Client::new().get(url).timeout(Duration::from_secs(1)).send().await;
        asked.is_ok_and(|answer| answer.status() == StatusCode::OK)
    }

    /// A browser in which `email` is signed in.
    pub async fn signed_in(&self, email: &str) -> Browser {
        let browser = Browser::new(&self.issuer);
        let page = browser.sign_in(email, PASSWORD).await;
        assert!(page.html.contains(email), "{email} is not signed in:\n{}", page.html);
        browser
    }

    /// GET an address of the API at this node.
    pub fn get(&self, path: &str, token: &str) -> reqwest::RequestBuilder {
        let host = self.issuer.trim_start_matches("http://").to_owned();
        let url = format!("http://127.0.0.1:{}{path}", self.port);
        Client::new().get(url).header("host", host).bearer_auth(token).timeout(PATIENCE)
    }

    pub async fn status(&self, path: &str, token: &str) -> StatusCode {
        self.get(path, token).send().await.unwrap().status()
    }
}

/// A running `consentry serve`; killed when dropped.
pub struct Server {
    child: Child,
}

impl Server {
    pub async fn signal(&self, name: &str) {
        signal(self.child.id().expect("it runs"), name).await;
    }

    pub async fn wait(&mut self) -> std::process::ExitStatus {
        timeout(PATIENCE, self.child.wait()).await.expect("the server ends").unwrap()
    }
}

pub async fn signal(pid: u32, name: &str) {
    let sent = Command::new("kill").args([&format!("-{name}"), &pid.to_string()]).status().await;
    assert!(sent.unwrap().success());
}

pub async fn run(folder: &Path, words: &[&str]) -> Output {
    let running = Command::new(BINARY)
        .args(words)
        .current_dir(folder)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    timeout(PATIENCE, running).await.unwrap_or_else(|_| panic!("{words:?} does not end")).unwrap()
}

pub fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

const CONFIG: &str = r#"issuer = "ISSUER"
data_dir = "data"
# MORE

[listen]
public = ["127.0.0.1:PORT"]
internal = "127.0.0.1:INTERNAL"
drain = "10s"

[brand]
name = "Test"

[[scope]]
name = "items.read"
text = "see your items"

[[resource]]
path_prefix = "/api"

[resource.upstream]
url = "UPSTREAM"
answer_timeout = "20s"

[[resource.route]]
method = "GET"
path = "/api/{*rest}"
scopes = ["items.read"]
"#;
