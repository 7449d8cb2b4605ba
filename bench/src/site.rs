//! A Consentry as an operator runs it: the release binary as a process, a config file, users and
//! apps made with its command line. Nothing in here is special to the bench but the names.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use crate::Outcome;
use crate::process::Server;
use crate::wire;

pub const PASSWORD: &str = "a long password for the bench";
pub const CALLBACK: &str = "https://app.example.com/callback";
/// Resource paths of the config below; each has a token format of its own.
pub const OPAQUE: &str = "/api";
pub const ES256: &str = "/es256";
pub const EDDSA: &str = "/eddsa";

const PATIENCE: Duration = Duration::from_secs(30);

const CONFIG: &str = r#"issuer = "ISSUER"
data_dir = "data"
database_url = "DATABASE"
dialects = ["whitebit"]

[lifetimes]
access_token = "LIFETIME"

[listen]
public = ["PUBLIC"]
internal = "INTERNAL"
trusted_proxies = PROXIES

[brand]
name = "Bench"

[[scope]]
name = "items.read"
text = "see your items"

[[scope]]
name = "items.write"
text = "change your items"
kind = "change"

[[scope]]
name = "apikeys.create"
text = "get a key for your account"
kind = "change"

[[scope]]
name = "apikeys.read"
text = "see the key that it has"

[[scope]]
name = "apikeys.delete"
text = "delete the key that it has"
kind = "change"

[partner_keys]

[[partner_keys.group]]
name = "items"
title = "Items"
endpoints = ["/api/{*rest}"]
"#;

/// What one site has different from the others.
#[derive(Clone, Copy, Debug)]
pub struct Settings<'a> {
    pub access_token: &'a str,
    /// More lines of the config.
    pub more: &'a str,
    /// What `CONSENTRY_LOG` says.
    pub log: &'static str,
    /// Whether the load is a proxy whose word on addresses counts.
    pub trusts_loopback: bool,
}

impl Default for Settings<'_> {
    fn default() -> Self {
        // A run takes longer than the usual ten minutes.
        Self { access_token: "1h", more: "", log: "info", trusts_loopback: false }
    }
}

/// One API; `PATH` is its prefix, `FORMAT` that of its tokens.
const RESOURCE: &str = r#"
[[resource]]
name = "Items"
path_prefix = "PATH"
token_format = "FORMAT"

[resource.upstream]
url = "http://UPSTREAM"

[resource.introspection]
id = "api-PATH"
secret = "a-secret-of-the-api-for-introspection"

[[resource.route]]
methods = ["GET"]
path = "PATH/{*rest}"
scopes = ["items.read"]

[[resource.route]]
methods = ["POST", "PUT", "DELETE"]
path = "PATH/{*rest}"
scopes = ["items.write"]
"#;

pub struct Site {
    pub name: &'static str,
    binary: PathBuf,
    folder: PathBuf,
    pub address: SocketAddr,
    pub internal: SocketAddr,
    pub issuer: String,
    /// `localhost:PORT`
    pub host: String,
    log: &'static str,
    pub server: Option<Server>,
}

/// An app with the `Authorization` header of its credentials.
#[derive(Clone, Debug)]
pub struct App {
    pub client_id: String,
    pub secret: String,
    pub basic: Arc<str>,
}

impl Site {
    /// A new one in `work/name`; what was there is removed.
    pub fn new(
        name: &'static str,
        binary: &Path,
        work: &Path,
        database: &str,
        upstream: SocketAddr,
        settings: Settings<'_>,
    ) -> Outcome<Self> {
        let folder = work.join(name);
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
        let (address, internal) = (free_address()?, free_address()?);
        let host = format!("localhost:{}", address.port());
        let issuer = format!("http://{host}");
        let mut config = CONFIG
            .replace("ISSUER", &issuer)
            .replace("DATABASE", database)
            .replace("LIFETIME", settings.access_token)
            .replace("PROXIES", if settings.trusts_loopback { "[\"127.0.0.1\"]" } else { "[]" })
            .replace("PUBLIC", &address.to_string())
            .replace("INTERNAL", &internal.to_string());
        for (path, format) in [(OPAQUE, "opaque"), (ES256, "jwt-es256"), (EDDSA, "jwt-eddsa")] {
            let resource = RESOURCE.replace("PATH", path).replace("FORMAT", format);
            let resource = resource.replace("\"api-/", "\"api-");
            config.push_str(&resource.replace("UPSTREAM", &upstream.to_string()));
        }
        config.push_str(settings.more);
        let write = |name: &str, text: &str| {
            fs::write(folder.join(name), text).map_err(|error| format!("{name}: {error}"))
        };
        write("consentry.toml", &config)?;
        write("master.key", &"5a".repeat(32))?;
        write("password", PASSWORD)?;
        let (binary, log) = (binary.to_path_buf(), settings.log);
        Ok(Self { name, binary, folder, address, internal, issuer, host, log, server: None })
    }

    /// The database file of SQLite.
    pub fn database(&self) -> PathBuf {
        self.folder.join("data/bench.db")
    }

    pub fn control_socket(&self) -> PathBuf {
        self.folder.join("data/control.sock")
    }

    pub fn resource(&self, path: &str) -> String {
        format!("{}{path}", self.issuer)
    }

    /// Starts it; the time from the start of the process to the first answer.
    pub fn start(&mut self) -> Outcome<Duration> {
        let log = fs::File::create(self.folder.join("log")).map_err(|error| error.to_string())?;
        let mut command = Command::new(&self.binary);
        command.args(["serve", "-c", "consentry.toml"]).current_dir(&self.folder);
        command.env("NO_COLOR", "1").env("CONSENTRY_LOG", self.log);
        command.stdout(Stdio::null()).stderr(log);
        let began = Instant::now();
        let mut server = Server::start(&mut command)?;
        let question = wire::request("GET", "/.well-known/jwks.json", &self.host, &[], None);
        loop {
            if wire::ask(self.address, &question, |answer| answer.status) == Ok(200) {
                break;
            }
            if server.has_ended() || began.elapsed() > PATIENCE {
                let log = fs::read_to_string(self.folder.join("log")).unwrap_or_default();
                return Err(format!("consentry serve did not start:\n{log}"));
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        let took = began.elapsed();
        self.server = Some(server);
        Ok(took)
    }

    pub fn stop(&mut self) -> Outcome<()> {
        self.server.take().map_or(Ok(()), Server::stop)
    }

    pub fn pid(&self) -> u32 {
        self.server.as_ref().map(Server::pid).unwrap_or_default()
    }

    /// The JSON that a command prints.
    fn command(&self, words: &[&str]) -> Outcome<Value> {
        let output = Command::new(&self.binary)
            .args(words)
            .args(["--json", "-c", "consentry.toml"])
            .current_dir(&self.folder)
            .stdin(Stdio::null())
            .output()
            .map_err(|error| error.to_string())?;
        if !output.status.success() {
            return Err(format!("{words:?}: {}", String::from_utf8_lossy(&output.stderr)));
        }
        serde_json::from_slice(&output.stdout).map_err(|error| format!("{words:?}: {error}"))
    }

    pub fn add_user(&self, email: &str, role: Option<&str>) -> Outcome<()> {
        let mut words = vec!["user", "create", email, "--password-file", "password"];
        words.extend(role.iter().flat_map(|role| ["--role", role]));
        self.command(&words).map(drop)
    }

    /// A web app that may also act for itself.
    pub fn add_app(&self, name: &str, owner: &str) -> Outcome<App> {
        self.create_app(&["--name", name, "--owner", owner, "--service-scope", "items.read"])
    }

    /// A web app that may ask users for keys. Other systems name the addresses of theirs.
    pub fn add_key_app(&self, name: &str, dialect: Option<&str>) -> Outcome<App> {
        let mut words = vec!["--name", name, "--owner", "dev@example.com"];
        words.extend(["--scope", "apikeys.create=To sign calls for you"]);
        words.extend(["--scope", "apikeys.read=To see what the key may do"]);
        words.extend(["--address", "127.0.0.0/8"]);
        words.extend(dialect.iter().flat_map(|dialect| ["--dialect", dialect]));
        self.create_app(&words)
    }

    fn create_app(&self, more: &[&str]) -> Outcome<App> {
        let mut words = vec!["app", "create", "--kind", "web", "--redirect-uri", CALLBACK];
        words.extend(["--scope", "items.read=To show your items"]);
        words.extend(["--scope", "items.write=To change your items"]);
        words.extend(more);
        let app = self.command(&words)?;
        let field = |name: &str| app.get(name).and_then(Value::as_str).unwrap_or_default();
        let (client_id, secret) =
            (field("client_id").to_owned(), field("client_secret").to_owned());
        let basic = basic(&client_id, &secret);
        Ok(App { client_id, secret, basic })
    }

    /// `POST` of a form to an OAuth endpoint.
    pub fn post(&self, path: &str, basic: &str, fields: &[(&str, &str)]) -> Vec<u8> {
        let headers = [("authorization", basic)];
        wire::request("POST", path, &self.host, &headers, Some(&wire::form(fields)))
    }

    /// The credentials of the API under `path`.
    pub fn introspection_basic(path: &str) -> Arc<str> {
        let id = format!("api-{}", path.trim_start_matches('/'));
        basic(&id, "a-secret-of-the-api-for-introspection")
    }
}

pub fn basic(id: &str, secret: &str) -> Arc<str> {
    format!("Basic {}", STANDARD.encode(format!("{id}:{secret}"))).into()
}

pub fn free_address() -> Outcome<SocketAddr> {
    std::net::TcpListener::bind("127.0.0.1:0")
        .and_then(|listener| listener.local_addr())
        .map_err(|error| format!("no free port on loopback: {error}"))
}
