//! Other servers under the same load, each in its best case. Their programs are in `bench/peers`;
//! npm installs what they need into the work folder.

use std::collections::VecDeque;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use crate::Outcome;
use crate::cases::cycle;
use crate::load::{self, Pace, Source};
use crate::people::{CHALLENGE, VERIFIER};
use crate::process::Server;
use crate::rounds::{Contender, Drive};
use crate::site::{CALLBACK, basic};
use crate::sources::{Collect, Once, Refresh};
use crate::wire::{self, Answer};

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

/// How many times as fast ours has to be, where that is set: case, peer, factor.
pub const FACTORS: [(&str, &str, f64); 5] = [
    ("token-opaque", "oidc-provider", 5.0),
    ("token-opaque", "oauth2-server", 2.0),
    ("introspect", "oidc-provider", 5.0),
    ("refresh", "oidc-provider", 3.0),
    ("code", "oidc-provider", 3.0),
];

pub struct Peers {
    oidc: (Server, SocketAddr),
    bare: (Server, SocketAddr),
    basic: Arc<str>,
    codes_per_round: usize,
}

impl Peers {
    pub fn start(work: &Path, codes_per_round: usize) -> Outcome<Self> {
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
        let start = |program: &str| {
            let mut node = Command::new("node");
            node.current_dir(&folder).args([program, CLIENT, SECRET, CALLBACK, CHALLENGE]);
            Server::start_printing(&mut node)
        };
        let (oidc, bare) = (start(OIDC_PROVIDER)?, start(OAUTH2_SERVER)?);
        Ok(Self { oidc, bare, basic: basic(CLIENT, SECRET), codes_per_round })
    }

    /// Those that can take part in a case.
    pub fn contenders(&self, case: &str) -> Outcome<Vec<Contender>> {
        let mut found = Vec::new();
        let mut refill: Option<crate::cases::Refill> = None;
        let source: Option<Box<dyn Source>> = match case {
            "token-opaque" => Some(cycle(vec![self.client_credentials("opaque")], 200)),
            "token-eddsa" => Some(cycle(vec![self.client_credentials("eddsa")], 200)),
            "token-es256" => Some(cycle(vec![self.client_credentials("es256")], 200)),
            "introspect" => {
                let mint = std::iter::repeat_n(self.client_credentials("opaque"), 1_000);
                let tokens =
                    self.ask(mint.collect(), |answer| answer.json_token("access_token"))?;
                let ask = |token: &String| self.post("/token/introspection", &[("token", token)]);
                Some(cycle(tokens.iter().map(ask).collect(), 200))
            }
            "refresh" => {
                let redeem = codes(self.oidc.1, &self.basic, 1_000)?;
                let tokens = self.ask(redeem, |answer| answer.json_token("refresh_token"))?;
                let tokens = tokens.into_iter().map(|token| (Arc::clone(&self.basic), token));
                Some(Box::new(Refresh::new(tokens.collect(), |basic, token| {
                    let fields = [("grant_type", "refresh_token"), ("refresh_token", token)];
                    post("/token", basic, &fields)
                })))
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

    fn ask(
        &self,
        requests: VecDeque<Vec<u8>>,
        read: impl Fn(&Answer<'_>) -> Option<String>,
    ) -> Outcome<Vec<String>> {
        let mut collect = Collect::new(requests, read);
        load::run(self.oidc.1, 8, Pace::ToTheEnd, &mut collect)?.check("preparing a peer")?;
        Ok(collect.found)
    }
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
