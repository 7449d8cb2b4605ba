//! The cases: what is asked, of whom, and what has to be reached. One group is one kind of request
//! at several servers; the first contender is the one that ratios are taken of.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;

use crate::Outcome;
use crate::keys::{self, Form, Key};
use crate::load::Source;
use crate::people::{People, authorize, collect_all};
use crate::rounds::{Contender, Drive, Refill};
use crate::signed::Signed;
use crate::site::{App, EDDSA, ES256, OPAQUE, Site};
use crate::sources::{Collect, Cycle, Once, Refresh};
use crate::wire::{self, Answer};

/// Every case by name, with the smallest share of the limit (or of the proxy) that it has to reach.
pub const CASES: &[Case] = &[
    Case::new("token-opaque", "client credentials, opaque token", 0.60),
    Case::new("token-eddsa", "client credentials, EdDSA JWT", 0.50),
    Case::new("token-es256", "client credentials, ES256 JWT", 0.45),
    Case::new("introspect", "introspection of an opaque token", 0.60),
    Case::new("refresh", "refresh, durable", 0.20),
    Case::new("code", "code exchange, durable", 0.20),
    Case::new("revoke", "revocation of an access token, durable", 0.0),
    Case::new("authorize", "authorization request and consent page", 0.25),
    Case::new("gateway-opaque", "call through the gateway, opaque token", 0.80),
    Case::new("gateway-jwt", "call through the gateway, JWT seen before", 0.80),
    Case::new("gateway-signed", "call through the gateway, signed by RFC 9421", 0.60),
    Case::new(
        "gateway-signed-v4",
        "call through the gateway, signed as WhiteBIT's clients do",
        0.60,
    ),
    Case::new("forward-auth", "question of another proxy, opaque token", 0.0),
];

pub const LIMIT: &str = "limit";
pub const PROXY: &str = "proxy";

#[derive(Clone, Copy, Debug)]
pub struct Case {
    pub name: &'static str,
    pub about: &'static str,
    /// 0: none is set.
    pub target: f64,
}

impl Case {
    const fn new(name: &'static str, about: &'static str, target: f64) -> Self {
        Self { name, about, target }
    }

    /// Its rows change, so the database is what is measured.
    pub fn writes(&self) -> bool {
        ["refresh", "code", "revoke"].contains(&self.name)
    }

    /// It takes partner keys.
    pub fn is_signed(&self) -> bool {
        self.name.starts_with("gateway-signed")
    }

    pub fn is_gateway(&self) -> bool {
        self.name.starts_with("gateway")
    }
}

/// A Consentry with its people, ready to be asked.
pub struct Backend {
    pub site: Rc<Site>,
    people: Rc<RefCell<People>>,
    app: App,
    /// Token answers of users' grants.
    grants: Vec<(usize, String)>,
    codes_per_round: usize,
    /// For message signatures and for WhiteBIT's form.
    keys: [Vec<Key>; 2],
}

/// How much is prepared.
#[derive(Clone, Copy, Debug)]
pub struct Supply {
    pub rounds: usize,
    pub codes_per_round: usize,
    pub grants: usize,
    /// Partner keys: as many as calls are signed at once.
    pub keys: usize,
}

impl Backend {
    pub fn prepare(site: Site, supply: Supply) -> Outcome<Self> {
        let codes = supply.rounds * supply.codes_per_round;
        let mut people = People::gather(&site, codes + supply.grants)?;
        let grants = people.grants(&site, supply.grants)?;
        let keys = keys::make(&site, &mut people.cookies, [supply.keys; 2])?;
        let app = people.apps.first().cloned().ok_or("there is no app")?;
        Ok(Self {
            site: Rc::new(site),
            people: Rc::new(RefCell::new(people)),
            app,
            grants,
            codes_per_round: supply.codes_per_round,
            keys,
        })
    }

    /// While nobody else holds the site, to stop and start it.
    pub fn site_mut(&mut self) -> Outcome<&mut Site> {
        Rc::get_mut(&mut self.site).ok_or_else(|| "the server is still in use".to_owned())
    }

    /// What is sent for `case`.
    pub fn contender(&self, case: &Case) -> Outcome<Contender> {
        let site = &self.site;
        let mut address = site.address;
        let mut refill: Option<Refill> = None;
        let source: Box<dyn Source> = match case.name {
            "token-opaque" => cycle(vec![self.client_credentials(OPAQUE)], 200),
            "token-eddsa" => cycle(vec![self.client_credentials(EDDSA)], 200),
            "token-es256" => cycle(vec![self.client_credentials(ES256)], 200),
            "introspect" => cycle(self.introspections(&self.user_tokens()), 200),
            "authorize" => cycle(self.authorizations(), 200),
            "gateway-opaque" => cycle(self.calls(OPAQUE, &self.user_tokens()), 200),
            "gateway-jwt" => cycle(self.calls(EDDSA, &self.service_tokens(EDDSA, 64)?), 200),
            "gateway-signed" => self.signed(Form::Message),
            "gateway-signed-v4" => self.signed(Form::V4),
            "forward-auth" => {
                address = site.internal;
                cycle(self.forward_auth(), 204)
            }
            "refresh" => Box::new(self.refreshes()),
            "code" => {
                refill = Some(self.codes());
                Box::new(Once { requests: VecDeque::new(), status: 200 })
            }
            "revoke" => {
                refill = Some(self.revocations());
                Box::new(Once { requests: VecDeque::new(), status: 200 })
            }
            other => return Err(format!("there is no case {other}")),
        };
        let name = format!("consentry {}", site.name);
        Ok(Contender { name, drive: Drive::Http { address, pid: site.pid(), source, refill } })
    }

    fn client_credentials(&self, path: &str) -> Vec<u8> {
        let fields =
            [("grant_type", "client_credentials"), ("resource", &self.site.resource(path))];
        self.site.post("/oauth/token", &self.app.basic, &fields)
    }

    fn user_tokens(&self) -> Vec<String> {
        self.grants.iter().filter_map(|(_, text)| wire::json_text(text, "access_token")).collect()
    }

    /// Tokens of the app itself.
    fn service_tokens(&self, path: &str, count: usize) -> Outcome<Vec<String>> {
        let requests = std::iter::repeat_n(self.client_credentials(path), count);
        let mut collect =
            Collect::new(requests, |answer: &Answer<'_>| answer.json_token("access_token"));
        collect_all(&self.site, 16, &mut collect)?;
        Ok(collect.found)
    }

    fn introspections(&self, tokens: &[String]) -> Vec<Vec<u8>> {
        let basic = Site::introspection_basic(OPAQUE);
        let ask = |token: &String| self.site.post("/oauth/introspect", &basic, &[("token", token)]);
        tokens.iter().map(ask).collect()
    }

    fn authorizations(&self) -> Vec<Vec<u8>> {
        let people = self.people.borrow();
        let of_user = |cookie: &String| {
            authorize(&self.site, &self.app, cookie, "a-state", "&prompt=consent")
        };
        people.cookies.iter().map(of_user).collect()
    }

    fn calls(&self, prefix: &str, tokens: &[String]) -> Vec<Vec<u8>> {
        let call = |token: &String| {
            let headers = [("authorization", format!("Bearer {token}"))];
            let headers = headers.each_ref().map(|(name, value)| (*name, value.as_str()));
            wire::request("GET", &format!("{prefix}/items/17"), &self.site.host, &headers, None)
        };
        tokens.iter().map(call).collect()
    }

    fn signed(&self, form: Form) -> Box<dyn Source> {
        let [message, v4] = &self.keys;
        let keys = if form == Form::V4 { v4 } else { message };
        Box::new(Signed::new(form, &self.site.host, keys))
    }

    fn forward_auth(&self) -> Vec<Vec<u8>> {
        let ask = |token: &String| {
            let bearer = format!("Bearer {token}");
            let headers = [
                ("x-original-method", "GET"),
                ("x-original-uri", "/api/items/17"),
                ("authorization", &bearer),
            ];
            wire::request("GET", "/forward-auth/nginx", &self.site.host, &headers, None)
        };
        self.user_tokens().iter().map(ask).collect()
    }

    fn refreshes(&self) -> Refresh {
        let people = self.people.borrow();
        let token = |(app, text): &(usize, String)| {
            let basic = Arc::clone(&people.apps.get(*app)?.basic);
            Some((basic, wire::json_text(text, "refresh_token")?))
        };
        let tokens = self.grants.iter().filter_map(token).collect();
        let site = Rc::clone(&self.site);
        Refresh::new(tokens, move |basic, token| {
            let fields = [("grant_type", "refresh_token"), ("refresh_token", token)];
            site.post("/oauth/token", basic, &fields)
        })
    }

    fn codes(&self) -> Refill {
        let (site, people) = (Rc::clone(&self.site), Rc::clone(&self.people));
        let count = self.codes_per_round;
        Box::new(move || {
            let mut people = people.borrow_mut();
            let codes = people.codes(&site, count)?;
            let requests =
                codes.iter().filter_map(|(app, code)| people.redeem(&site, *app, code)).collect();
            Ok(Box::new(Once { requests, status: 200 }))
        })
    }

    fn revocations(&self) -> Refill {
        let (site, basic) = (Rc::clone(&self.site), Arc::clone(&self.app.basic));
        let (mint, count) = (self.client_credentials(OPAQUE), self.codes_per_round);
        Box::new(move || {
            let requests = std::iter::repeat_n(mint.clone(), count);
            let mut collect =
                Collect::new(requests, |answer: &Answer<'_>| answer.json_token("access_token"));
            collect_all(&site, 16, &mut collect)?;
            let revoke = |token: &String| site.post("/oauth/revoke", &basic, &[("token", token)]);
            Ok(Box::new(Once { requests: collect.found.iter().map(revoke).collect(), status: 200 }))
        })
    }
}

pub fn cycle(requests: Vec<Vec<u8>>, status: u16) -> Box<dyn Source> {
    Box::new(Cycle::new(Arc::new(requests), status))
}

/// One request and its answer: what the limit server has to look like.
pub struct Sample {
    pub request: Vec<u8>,
    pub status: u16,
    pub body_bytes: usize,
}

impl Sample {
    pub fn of(contender: &mut Contender) -> Outcome<Self> {
        let Drive::Http { address, source, refill, .. } = &mut contender.drive else {
            return Err("only servers can be asked".into());
        };
        if let Some(refill) = refill {
            *source = refill()?;
        }
        let mut request = Vec::new();
        if !source.next(0, &mut request) {
            return Err(format!("{}: nothing to send", contender.name));
        }
        let ask = wire::ask(*address, &request, |answer| {
            let is_right = source.answered(0, answer);
            is_right.then_some((answer.status, answer.body.len())).ok_or(answer.describe())
        });
        let (status, body_bytes) = ask?.map_err(|wrong| format!("{}: {wrong}", contender.name))?;
        Ok(Self { request, status, body_bytes })
    }

    /// The same request at the limit server, under `/name`.
    fn for_limit(&self, name: &str) -> Vec<u8> {
        let text = String::from_utf8_lossy(&self.request);
        let (line, rest) = text.split_once("\r\n").unwrap_or_default();
        let (method, target) = line.split_once(' ').unwrap_or_default();
        let query = target.split_once('?').map_or("", |(_, rest)| rest);
        let query = query.trim_end_matches(" HTTP/1.1");
        format!("{method} /{name}?{query} HTTP/1.1\r\n{rest}").into_bytes()
    }

    /// The contender that only answers.
    pub fn limit(&self, case: &Case, address: SocketAddr, pid: u32) -> Contender {
        // An answer without a body is 204 there, as it is from forward-auth.
        let status = if self.body_bytes == 0 { 204 } else { 200 };
        let source = cycle(vec![self.for_limit(case.name)], status);
        let drive = Drive::Http { address, pid, source, refill: None };
        Contender { name: LIMIT.to_owned(), drive }
    }

    /// The contender that only forwards.
    pub fn proxy(&self, address: SocketAddr, pid: u32) -> Contender {
        let source = cycle(vec![self.request.clone()], self.status);
        let drive = Drive::Http { address, pid, source, refill: None };
        Contender { name: PROXY.to_owned(), drive }
    }
}
