//! Other servers under the same load, each in its best case. Their programs are in `bench/peers`;
//! npm installs what they need into the work folder.

use std::collections::VecDeque;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use crate::Outcome;
use crate::bare::Bare;
use crate::cases::cycle;
use crate::load::{self, Pace, Source};
use crate::people::{CHALLENGE, VERIFIER};
use crate::process::Server;
use crate::rounds::{Contender, Drive, Refill};
use crate::site::{CALLBACK, basic, free_address};
use crate::sources::{Collect, Once, Refresh};
use crate::wire::{self, Answer};

/// nginx asks about each call before it forwards it, over connections that are kept: its best case,
/// with an answer that costs nothing. Under `/cached` it asks once in ten seconds about each token.
const NGINX: &str = r#"daemon off;
worker_processes 2;
error_log error.log;
pid nginx.pid;
events { worker_connections 1024; }
http {
    access_log off;
    client_body_temp_path body;
    proxy_temp_path proxy;
    fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;
    keepalive_requests 1000000;
    proxy_cache_path judged keys_zone=judged:10m;
    upstream api { server API; keepalive 64; keepalive_requests 1000000; }
    upstream judge { server JUDGE; keepalive 64; keepalive_requests 1000000; }
    server {
        listen LISTEN;
        location / {
            auth_request /judge;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_pass http://api;
        }
        location = /judge {
            internal;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_set_header Content-Length "";
            proxy_pass_request_body off;
            proxy_pass http://judge/yes;
        }
        location /cached/ {
            auth_request /judge-seldom;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_pass http://api;
        }
        location = /judge-seldom {
            internal;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_set_header Content-Length "";
            proxy_pass_request_body off;
            proxy_cache judged;
            proxy_cache_key $http_authorization;
            proxy_cache_valid 200 204 10s;
            proxy_pass http://judge/yes;
        }
    }
}
"#;
const FILES: [(&str, &str); 3] = [
    ("package.json", include_str!("../peers/package.json")),
    (OIDC_PROVIDER, include_str!("../peers/oidc-provider.mjs")),
    (OAUTH2_SERVER, include_str!("../peers/oauth2-server.mjs")),
];
const OIDC_PROVIDER: &str = "oidc-provider.mjs";
const OAUTH2_SERVER: &str = "oauth2-server.mjs";
const CLIENT: &str = "bench";
const SECRET: &str = "a-secret-of-the-bench-client";
const HOST: &str = "127.0.0.1";
const NGINX_CACHED: &str = "nginx, cached 10 s";
const OIDC_DURABLE: &str = "oidc-provider sqlite";

/// How many times as fast ours has to be, where that is set: case, peer, factor.
pub const FACTORS: [(&str, &str, f64); 8] = [
    ("gateway-opaque", "nginx auth_request", 1.2),
    ("gateway-opaque", NGINX_CACHED, 1.0),
    ("refresh", OIDC_DURABLE, 12.0),
    ("token-opaque", "oidc-provider", 5.0),
    ("token-opaque", "oauth2-server", 2.0),
    ("introspect", "oidc-provider", 5.0),
    ("refresh", "oidc-provider", 3.0),
    ("code", "oidc-provider", 3.0),
];

pub struct Peers {
    /// Where it is installed; its auth server ends with it.
    nginx: Option<(Server, SocketAddr, Server)>,
    oidc: (Server, SocketAddr),
    /// With its rows in SQLite; where npm could not build that, it is left out.
    durable: Option<(Server, SocketAddr)>,
    bare: (Server, SocketAddr),
    basic: Arc<str>,
    codes_per_round: usize,
}

impl Peers {
    pub fn start(work: &Path, codes_per_round: usize, upstream: SocketAddr) -> Outcome<Self> {
        let folder = work.join("peers");
        let failed = |error: std::io::Error| format!("{}: {error}", folder.display());
        fs::create_dir_all(&folder).map_err(failed)?;
        for (name, text) in FILES {
            fs::write(folder.join(name), text).map_err(failed)?;
        }
        eprintln!("installing peers");
        let install = Command::new("npm")
            .args(["install", "--no-audit", "--no-fund", "--silent"])
            .current_dir(&folder)
            .status()
            .map_err(|error| format!("npm: {error}"))?;
        if !install.success() {
            return Err("npm could not install the peers".into());
        }
        let start = |program: &str, more: Option<&str>| {
            let mut node = Command::new("node");
            node.current_dir(&folder).args([program, CLIENT, SECRET, CALLBACK, CHALLENGE]);
            Server::start_printing(node.args(more))
        };
        let (oidc, bare) = (start(OIDC_PROVIDER, None)?, start(OAUTH2_SERVER, None)?);
        for name in ["oidc.db", "oidc.db-wal", "oidc.db-shm"] {
            let _ = fs::remove_file(folder.join(name));
        }
        let durable = start(OIDC_PROVIDER, Some("oidc.db"));
        let durable = durable.inspect_err(|_| eprintln!("{OIDC_DURABLE} is left out")).ok();
        let nginx = start_nginx(&folder, upstream)?;
        Ok(Self { nginx, oidc, durable, bare, basic: basic(CLIENT, SECRET), codes_per_round })
    }

    /// Those that can take part in a case.
    pub fn contenders(&self, case: &str) -> Outcome<Vec<Contender>> {
        let mut found = Vec::new();
        let mut refill: Option<Refill> = None;
        let source: Option<Box<dyn Source>> = match case {
            "token-opaque" => Some(cycle(vec![self.client_credentials("opaque")], 200)),
            "token-eddsa" => Some(cycle(vec![self.client_credentials("eddsa")], 200)),
            "token-es256" => Some(cycle(vec![self.client_credentials("es256")], 200)),
            "introspect" => {
                let mint = std::iter::repeat_n(self.client_credentials("opaque"), 1_000);
                let tokens = ask(self.oidc.1, mint.collect(), |a| a.json_token("access_token"))?;
                let about = |token: &String| self.post("/token/introspection", &[("token", token)]);
                Some(cycle(tokens.iter().map(about).collect(), 200))
            }
            "refresh" => {
                if let Some((server, address)) = &self.durable {
                    let (address, pid) = (*address, server.pid());
                    let source = self.refreshes(address, 200)?;
                    let drive = Drive::Http { address, pid, source, refill: None };
                    found.push(Contender { name: OIDC_DURABLE.to_owned(), drive });
                }
                Some(self.refreshes(self.oidc.1, 1_000)?)
            }
            "code" => {
                let (address, basic) = (self.oidc.1, Arc::clone(&self.basic));
                let count = self.codes_per_round;
                refill = Some(Box::new(move || {
                    let requests = codes(address, &basic, count)?;
                    Ok(Box::new(Once { requests, status: 200 }))
                }));
                Some(Box::new(Once { requests: VecDeque::new(), status: 200 }))
            }
            _ => None,
        };
        found.extend(source.map(|source| {
            let (server, address) = &self.oidc;
            let drive = Drive::Http { address: *address, pid: server.pid(), source, refill };
            Contender { name: "oidc-provider".to_owned(), drive }
        }));
        if let (Some((server, address, _)), "gateway-opaque") = (&self.nginx, case) {
            let bearer = format!("Bearer {}", "x".repeat(200));
            let headers = [("authorization", bearer.as_str())];
            for (name, path) in
                [("nginx auth_request", "/api/items/17"), (NGINX_CACHED, "/cached/items/17")]
            {
                let request = wire::request("GET", path, HOST, &headers, None);
                let (address, pid, source) = (*address, server.pid(), cycle(vec![request], 200));
                let drive = Drive::Http { address, pid, source, refill: None };
                found.push(Contender { name: name.to_owned(), drive });
            }
        }
        if case == "token-opaque" {
            let (server, address) = &self.bare;
            let request = self.post("/token", &[("grant_type", "client_credentials")]);
            let source = cycle(vec![request], 200);
            let (address, pid) = (*address, server.pid());
            let drive = Drive::Http { address, pid, source, refill: None };
            found.push(Contender { name: "oauth2-server".to_owned(), drive });
        }
        Ok(found)
    }

    fn client_credentials(&self, format: &str) -> Vec<u8> {
        let resource = format!("urn:items:{format}");
        self.post(
            "/token",
            &[
                ("grant_type", "client_credentials"),
                ("resource", &resource),
                ("scope", "items.read"),
            ],
        )
    }

    fn post(&self, path: &str, fields: &[(&str, &str)]) -> Vec<u8> {
        post(path, &self.basic, fields)
    }

    /// Refreshes of new grants, each with the token of the answer before.
    fn refreshes(&self, address: SocketAddr, grants: usize) -> Outcome<Box<dyn Source>> {
        let redeem = codes(address, &self.basic, grants)?;
        let tokens = ask(address, redeem, |answer| answer.json_token("refresh_token"))?;
        let tokens = tokens.into_iter().map(|token| (Arc::clone(&self.basic), token));
        Ok(Box::new(Refresh::new(tokens.collect(), |basic, token| {
            let fields = [("grant_type", "refresh_token"), ("refresh_token", token)];
            post("/token", basic, &fields)
        })))
    }
}

fn ask(
    address: SocketAddr,
    requests: VecDeque<Vec<u8>>,
    read: impl Fn(&Answer<'_>) -> Option<String>,
) -> Outcome<Vec<String>> {
    let mut collect = Collect::new(requests, read);
    load::run(address, 8, Pace::ToTheEnd, &mut collect)?.check("preparing a peer")?;
    Ok(collect.found)
}

fn start_nginx(
    folder: &Path,
    upstream: SocketAddr,
) -> Outcome<Option<(Server, SocketAddr, Server)>> {
    let (judge, judge_address) = Server::bare(&Bare::Limit { answers: vec!["yes=0".into()] })?;
    let address = free_address()?;
    let config = NGINX
        .replace("API", &upstream.to_string())
        .replace("JUDGE", &judge_address.to_string())
        .replace("LISTEN", &address.to_string());
    let file = folder.join("nginx.conf");
    fs::write(&file, config).map_err(|error| format!("{}: {error}", file.display()))?;
    let mut command = Command::new("nginx");
    command.arg("-p").arg(folder).arg("-c").arg(&file).stderr(Stdio::null());
    let Ok(server) = Server::start(&mut command) else {
        eprintln!("nginx is not installed and left out");
        return Ok(None);
    };
    let question = wire::request("GET", "/", HOST, &[], None);
    for _ in 0..200 {
        if wire::ask(address, &question, |answer| answer.status) == Ok(200) {
            return Ok(Some((server, address, judge)));
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    Err(format!("nginx did not start, see {}", folder.join("error.log").display()))
}

fn post(path: &str, basic: &str, fields: &[(&str, &str)]) -> Vec<u8> {
    wire::request("POST", path, HOST, &[("authorization", basic)], Some(&wire::form(fields)))
}

/// The token requests of new codes.
fn codes(address: SocketAddr, basic: &str, count: usize) -> Outcome<VecDeque<Vec<u8>>> {
    let ask = wire::request("GET", &format!("/bench/codes?count={count}"), HOST, &[], None);
    let codes = wire::ask(address, &ask, |answer| answer.text())?;
    let redeem = |code: &str| {
        let fields = [
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", CALLBACK),
            ("code_verifier", VERIFIER),
        ];
        post("/token", basic, &fields)
    };
    Ok(codes.lines().map(redeem).collect())
}
