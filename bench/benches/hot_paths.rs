//! What every request passes, each by itself, so that a regression shows without a quiet machine
//! full of servers: opening a sealed token, a secret's HMAC, matching a route, checking scopes, and
//! what a dialect's answer costs.

#![expect(clippy::unwrap_used, reason = "a bench stops when its own input is wrong")]
use std::hint::black_box;
use std::sync::atomic::{AtomicU64, Ordering};

use criterion::{Criterion, criterion_group, criterion_main};
use domain::entropy::Entropy;
use domain::id::{GrantId, TokenId};
use domain::keyring::{Keyring, MasterKey, SealingSecret};
use domain::seal::{KeyClass, Purpose};
use domain::time::Timestamp;
use domain::token::AccessToken;
use http::{Method, StatusCode};
use protocol::dialect::{TokenAnswer, TokenEndpoint, Tokens};
use protocol::path::NormalPath;
use protocol::route::{Lookup, RoutePattern, RouteTable};
use protocol::scope::ScopeSet;
use protocol::template::Template;
use zeroize::Zeroizing;

/// Distinct nonces are all that sealing needs here.
#[derive(Debug, Default)]
struct Counting(AtomicU64);

impl Entropy for Counting {
    fn fill(&self, out: &mut [u8]) {
        let count = self.0.fetch_add(1, Ordering::Relaxed).to_le_bytes();
        out.iter_mut().zip(count.iter().cycle()).for_each(|(to, from)| *to = *from);
    }
}

fn keyring() -> Keyring {
    let now = Timestamp::from_seconds(1_000);
    let key = |kid, class| SealingSecret {
        kid,
        class,
        secret: Zeroizing::new([5; 32]),
        use_at: Timestamp::default(),
        retire_at: None,
    };
    let secrets = vec![key(1, KeyClass::LongLived), key(2, KeyClass::Code)];
    Keyring::new("https://a.example", &MasterKey::new([7; 32]), secrets, Vec::new(), now).unwrap()
}

fn token() -> AccessToken {
    AccessToken {
        grant_id: GrantId::from_bytes([1; 16]),
        token_id: TokenId::from_bytes([2; 16]),
        scopes: "balances.read orders.read orders.write".parse().unwrap(),
        audience: "https://a.example/api/v4".to_owned(),
        issued_at: Timestamp::from_seconds(1),
        expires_at: Timestamp::from_seconds(601),
        key_binding: None,
    }
}

fn sealing(bench: &mut Criterion) {
    let (keys, entropy, token) = (keyring(), Counting::default(), token());
    let text = keys.seal(Purpose::Access, &token, &entropy).unwrap();
    bench.bench_function("seal an access token", |run| {
        run.iter(|| keys.seal(Purpose::Access, black_box(&token), &entropy));
    });
    bench.bench_function("unseal an access token", |run| {
        run.iter(|| keys.open::<AccessToken>(Purpose::Access, black_box(&text)));
    });
}

fn client_secret(bench: &mut Criterion) {
    let keys = keyring();
    let secret = b"a-client-secret-of-forty-three-characters-0";
    let mac = keys.secret_mac(secret);
    bench.bench_function("compare a client secret by HMAC", |run| {
        run.iter(|| keys.secret_matches(black_box(secret), black_box(&mac)));
    });
}

fn routes(bench: &mut Criterion) {
    let mut table = RouteTable::new();
    for noun in 0..100 {
        for path in ["", "/{id}", "/{id}/parts/{part}", "/files/{*rest}"] {
            let pattern = RoutePattern::parse(&format!("/api/v4/noun{noun}{path}")).unwrap();
            table.insert(Method::GET, pattern, noun).unwrap();
        }
    }
    bench.bench_function("normalise a path and match it among 400 routes", |run| {
        run.iter(|| {
            let path = NormalPath::parse(black_box("/api/v4/noun57/1234/parts/5")).unwrap();
            matches!(table.lookup(&Method::GET, &path), Lookup::Found(_))
        });
    });
}

fn scopes(bench: &mut Criterion) {
    let set = |text: &str| text.parse::<ScopeSet>().unwrap();
    let token = set("balances.read orders.read orders.write");
    let grant = set("balances.read history.read orders.read orders.write");
    let approved = set("balances.read deposits.read history.read orders.read orders.write");
    let needed = set("orders.write");
    bench.bench_function("what a token may do: three intersections and a subset", |run| {
        run.iter(|| {
            let live = black_box(&grant).intersection(&approved).intersection(&grant);
            needed.is_subset(&live.intersection(black_box(&token)))
        });
    });
}

fn dialects(bench: &mut Criterion) {
    let template = r#"{"code": 0, "data": {"access_token": "{{access_token}}",
        "expires_in": "{{expires_in}}", "refresh_token": "{{refresh_token}}",
        "token_type": "{{token_type}}", "scopes": "{{scopes}}"}}"#;
    let endpoint = TokenEndpoint {
        path: "/v2/token".to_owned(),
        parameters: Vec::new(),
        grant_types: Vec::new(),
        bodies: Vec::new(),
        takes_basic: true,
        required: Vec::new(),
        scope_separator: ' ',
        needs_listed_address: false,
        rate_per_app: None,
        rate_of_failures: None,
        answer: TokenAnswer {
            body: (StatusCode::OK, Template::parse(template).unwrap()),
            token_type: "bearer".to_owned(),
            scope_separator: ' ',
        },
        errors: Vec::new(),
    };
    let (token, scopes) = ("x".repeat(180), "balances.read orders.read".parse().unwrap());
    bench.bench_function("dress tokens in a dialect's answer", |run| {
        run.iter(|| {
            endpoint.granted(Tokens {
                access_token: black_box(&token),
                expires_in_seconds: 3600,
                refresh_token: Some(&token),
                scopes: &scopes,
            })
        });
    });
}

criterion_group!(hot_paths, sealing, client_secret, routes, scopes, dialects);
criterion_main!(hot_paths);
