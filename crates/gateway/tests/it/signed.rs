//! Requests that are signed with a partner key: in a dialect's form, and by HTTP Message
//! Signatures. Every way to replay, alter or misdirect one is refused, and told to the audit trail.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use domain::app::App;
use domain::id::PartnerKeyId;
use domain::key_access::LiveKey;
use domain::key_terms::{Endpoint, KeyTerms, PermissionGroup, Translated};
use domain::partner_key::{
    DisabledWhy, KeyStatus, PartnerKey, Permission, SealedSecret, SecretState,
};
use domain::policy::Policy;
use domain::time::{Clock as _, Timestamp};
use domain::usage::UsedBy;
use http::{HeaderName, HeaderValue, Method, Request, StatusCode};
use http_body_util::Full;
use protocol::dialect::{AuthorizeEndpoint, Dialect, DialectLifetimes, Relaxed};
use protocol::jose;
use protocol::mac::{Digest, MacKey};
use protocol::message_signature::{MessageSignature, SignedParts, content_digest};
use protocol::scope::ScopeName;
use protocol::signed_request::{Encoding, Members, SignedForm, SignedRefusal as R, SignedRefusals};
use protocol::template::Template;
use serde_json::{Value, json};

use crate::authority::rows;
use crate::upstream::Echo;
use crate::world::{API, APP, Answer, HOST, START, USER, World};

mod messages;

const PUBLIC: &str = "0123456789abcdef0123456789abcdef";
const SECRET: &str = "the secret of the key";
const PATH: &str = "/api/v4/orders";

/// A dialect of which only the signatures matter.
fn dialect() -> Dialect {
    let header = HeaderName::from_static;
    let template = Template::parse(r#"{"code":9,"message":"{{error}}"}"#).unwrap();
    Dialect {
        name: "old".to_owned(),
        title: "Old".to_owned(),
        relaxed: Relaxed::default(),
        lifetimes: DialectLifetimes {
            access_token: Duration::from_secs(60),
            refresh_token: None,
            idle: Duration::from_secs(60),
            grant: Duration::from_secs(60),
        },
        authorize: AuthorizeEndpoint {
            path: "/old".to_owned(),
            parameters: Vec::new(),
            scope_separator: ' ',
        },
        tokens: Vec::new(),
        user_code: None,
        pages: Vec::new(),
        partner_keys: None,
        signed: Some(SignedForm {
            key_header: header("x-old-key"),
            payload_header: header("x-old-payload"),
            signature_header: header("x-old-signature"),
            digest: Digest::Sha512,
            encoding: Encoding::Hex,
            method: Method::POST,
            members: Members {
                request: "request".to_owned(),
                nonce: "nonce".to_owned(),
                window: Some("nonceWindow".to_owned()),
            },
            window: Duration::from_secs(5),
            refusals: SignedRefusals {
                template,
                status: StatusCode::BAD_REQUEST,
                statuses: BTreeMap::new(),
                messages: BTreeMap::new(),
            },
        }),
        envelope: None,
    }
}

fn terms() -> KeyTerms {
    let scope = |name| ScopeName::parse(name).unwrap();
    KeyTerms {
        create: scope("apikeys.create"),
        read: scope("apikeys.read"),
        delete: scope("apikeys.delete"),
        access_token: Duration::from_secs(60),
        groups: vec![PermissionGroup {
            name: "trade".to_owned(),
            title: Translated { text: "Trade".to_owned(), by_language: BTreeMap::new() },
            moves_money: false,
            endpoints: vec![Endpoint { url: PATH.to_owned(), access: Vec::new() }],
        }],
    }
}

fn key(dialect: Option<&str>) -> LiveKey {
    let permission = Permission { group: "trade".to_owned(), url: PATH.to_owned() };
    let rows = rows();
    let mut app = App::clone(&rows.app);
    app.dialect = Some("old".to_owned());
    app.also_standard = true;
    app.approved = "orders.read orders.create orders.cancel apikeys.create".parse().unwrap();
    LiveKey {
        key: Arc::new(PartnerKey {
            id: PartnerKeyId::from_bytes([8; 16]),
            public: PUBLIC.to_owned(),
            user_id: USER,
            app_id: APP,
            secret: SealedSecret::forgotten(),
            secret_state: SecretState::Unread,
            permissions: BTreeSet::from([permission]),
            status: KeyStatus::Active,
            dialect: dialect.map(str::to_owned),
            created_at: Timestamp::from_millis(START),
            last_used_at: None,
        }),
        secret: Some(Arc::new(MacKey::new(SECRET.as_bytes()))),
        app: Arc::new(app),
        user: rows.user.unwrap(),
    }
}

async fn world(upstream: SocketAddr) -> World {
    let world = World::new(upstream).await;
    let policy = Policy {
        dialects: vec![Arc::new(dialect())],
        partner_keys: Some(terms()),
        ..(**world.policy.load()).clone()
    };
    world.policy.store(Arc::new(policy));
    set(&world, |_| {});
    world
}

/// The key as it is after a change.
fn set(world: &World, change: impl FnOnce(&mut LiveKey)) {
    let mut live = key(Some("old"));
    change(&mut live);
    world.authority.set_key(PUBLIC, live, &world.clock);
}

fn body(nonce: i64) -> String {
    json!({ "request": PATH, "nonce": nonce, "amount": "1" }).to_string()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A request as a client of the dialect makes it.
fn signed(path: &str, body: &str) -> Request<Full<Bytes>> {
    let payload = STANDARD.encode(body);
    let mac = MacKey::new(SECRET.as_bytes()).sign(Digest::Sha512, payload.as_bytes());
    Request::post(path)
        .header("host", HOST)
        .header("content-type", "application/json")
        .header("x-old-key", PUBLIC)
        .header("x-old-payload", payload)
        .header("x-old-signature", hex(&mac))
        .body(Full::from(body.to_owned()))
        .unwrap()
}

/// What the dialect's answer names, or the status where it is none of its answers.
fn refusal(answer: &Answer) -> String {
    match answer.status {
        StatusCode::BAD_REQUEST => answer.json()["message"].as_str().unwrap().to_owned(),
        other => other.to_string(),
    }
}

fn refused(world: &World) -> Vec<R> {
    let mut refused = world.authority.refused.lock().unwrap();
    std::mem::take(&mut *refused).into_iter().map(|one| one.why).collect()
}

#[tokio::test]
async fn a_signed_request_reaches_the_upstream_with_a_proven_identity() {
    let echo = Echo::start().await;
    let world = world(echo.address).await;
    let answer = world.send(signed(PATH, &body(1))).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
    let seen = answer.json();
    assert_eq!(seen["body"], body(1));
    let headers = &seen["headers"];
    assert_eq!(headers["consentry-subject"], json!([USER.to_string()]));
    assert_eq!(headers["consentry-client-id"], json!(["trading-bot"]));
    for name in ["x-old-key", "x-old-payload", "x-old-signature"] {
        assert!(headers.get(name).is_none(), "{name}");
    }
    let assertion = headers["consentry-assertion"][0].as_str().unwrap();
    let keyring = world.keyring();
    let claims =
        jose::verify(keyring.verifying_keys(), "consentry-assertion+jwt", assertion).unwrap();
    assert_eq!(claims["aud"], API);
    assert_eq!(claims["sub"], USER.to_string());
    assert_eq!(claims["scope"], "orders.cancel orders.create orders.read");
    assert_eq!(claims["key_id"], "08080808-0808-0808-0808-080808080808");
    assert_eq!(claims.get("grant_id"), None);
    let uses = world.authority.uses();
    assert_eq!(uses[0].by, UsedBy::PartnerKey(PartnerKeyId::from_bytes([8; 16])));
    assert_eq!((uses[0].status, uses[0].user_id), (200, Some(USER)));
    assert_eq!(refused(&world), []);
}

#[tokio::test]
async fn n1_a_replayed_signature_and_a_reused_nonce_are_refused() {
    let echo = Echo::start().await;
    let world = world(echo.address).await;
    assert_eq!(world.send(signed(PATH, &body(7))).await.status, StatusCode::OK);
    assert_eq!(refusal(&world.send(signed(PATH, &body(7))).await), "nonce_used");
    let other = json!({ "request": PATH, "nonce": "7", "amount": "2" }).to_string();
    assert_eq!(refusal(&world.send(signed(PATH, &other)).await), "nonce_used");
    assert_eq!(refusal(&world.send(signed(PATH, &body(6))).await), "nonce_used");
    assert_eq!(refused(&world), [R::NonceUsed, R::NonceUsed, R::NonceUsed]);
    assert_eq!(echo.calls(), 1);
}

#[tokio::test]
async fn n1_a_nonce_in_a_window_is_good_once_and_near_now() {
    let echo = Echo::start().await;
    let world = world(echo.address).await;
    let now = world.clock.now().as_millis();
    let at = |nonce: i64| {
        let body = json!({ "request": PATH, "nonce": nonce, "nonceWindow": true });
        signed(PATH, &body.to_string())
    };
    assert_eq!(world.send(at(now)).await.status, StatusCode::OK);
    assert_eq!(world.send(at(now - 3)).await.status, StatusCode::OK);
    assert_eq!(refusal(&world.send(at(now)).await), "nonce_used");
    assert_eq!(refusal(&world.send(at(now - 5001)).await), "nonce_early");
    assert_eq!(refusal(&world.send(at(now + 5001)).await), "nonce_late");
    let odd = json!({ "request": PATH, "nonce": now + 1, "nonceWindow": "yes" }).to_string();
    assert_eq!(refusal(&world.send(signed(PATH, &odd)).await), "window_invalid");
    assert_eq!(echo.calls(), 2);
}

#[tokio::test]
async fn n2_an_altered_body_a_wrong_path_and_an_unsigned_query_are_refused() {
    let echo = Echo::start().await;
    let world = world(echo.address).await;
    let mut altered = signed(PATH, &body(1));
    *altered.body_mut() = Full::from(body(1).replace("\"1\"", "\"9\""));
    assert_eq!(refusal(&world.send(altered).await), "payload_invalid");
    let mut without = signed(PATH, &body(1));
    *without.body_mut() = Full::default();
    assert_eq!(refusal(&world.send(without).await), "payload_invalid");
    let elsewhere = signed("/api/v4/orders/7", &body(1));
    assert_eq!(refusal(&world.send(elsewhere).await), "request_mismatch");
    let query = signed(&format!("{PATH}?amount=9"), &body(1));
    assert_eq!(refusal(&world.send(query).await), "request_mismatch");
    // The same path has another meaning with another method.
    let mut put = signed(PATH, &body(1));
    *put.method_mut() = Method::PUT;
    assert_eq!(refusal(&world.send(put).await), "request_mismatch");
    let nonce = json!({ "request": PATH }).to_string();
    assert_eq!(refusal(&world.send(signed(PATH, &nonce)).await), "nonce_missing");
    let request = json!({ "nonce": 1 }).to_string();
    assert_eq!(refusal(&world.send(signed(PATH, &request)).await), "request_missing");
    let told = [
        R::PayloadInvalid,
        R::PayloadInvalid,
        R::RequestMismatch,
        R::RequestMismatch,
        R::RequestMismatch,
        R::NonceMissing,
        R::RequestMissing,
    ];
    assert_eq!(refused(&world), told);
    assert_eq!(echo.calls(), 0);
    // None of them has used the nonce up.
    assert_eq!(world.send(signed(PATH, &body(1))).await.status, StatusCode::OK);
}

#[tokio::test]
async fn n2_a_signature_by_another_secret_or_with_missing_headers_is_refused() {
    let echo = Echo::start().await;
    let world = world(echo.address).await;
    let without = |name: &str| {
        let mut request = signed(PATH, &body(1));
        request.headers_mut().remove(name).unwrap();
        request
    };
    assert_eq!(refusal(&world.send(without("x-old-payload")).await), "payload_missing");
    assert_eq!(refusal(&world.send(without("x-old-signature")).await), "signature_invalid");
    assert_eq!(refusal(&world.send(without("x-old-key")).await), "signature_invalid");
    let with = |name: &'static str, value: &str| {
        let mut request = signed(PATH, &body(1));
        request.headers_mut().insert(name, HeaderValue::from_str(value).unwrap());
        request
    };
    for wrong in ["", "00", &"0".repeat(128), &"g".repeat(128), &"0".repeat(130)] {
        let answer = world.send(with("x-old-signature", wrong)).await;
        assert_eq!(refusal(&answer), "signature_invalid", "{wrong}");
    }
    let unknown = world.send(with("x-old-key", "ffffffffffffffffffffffffffffffff")).await;
    assert_eq!(refusal(&unknown), "signature_invalid");
    // Only what named a key that there is.
    assert_eq!(refused(&world), [R::SignatureInvalid; 5]);
    // X4: of two ways to say who one is, the signature counts.
    let token = format!("Bearer {}", world.token("orders.read orders.create orders.cancel"));
    let token = HeaderValue::from_str(&token).unwrap();
    let mut both = with("x-old-signature", "00");
    both.headers_mut().insert("authorization", token.clone());
    assert_eq!(refusal(&world.send(both).await), "signature_invalid");
    assert_eq!(echo.calls(), 0);
    let mut both = signed(PATH, &body(1));
    both.headers_mut().insert("authorization", HeaderValue::from_static("Bearer nonsense"));
    assert_eq!(world.send(both).await.status, StatusCode::OK);
    // A key that is only named is none of it.
    let mut named = without("x-old-payload");
    named.headers_mut().remove("x-old-signature");
    named.headers_mut().insert("authorization", token);
    assert_eq!(world.send(named).await.status, StatusCode::OK);
    assert_eq!(world.authority.uses().len(), 2);
}

#[tokio::test]
async fn n3_a_key_that_lost_its_right_is_refused_on_the_next_request() {
    let echo = Echo::start().await;
    let world = world(echo.address).await;
    let mut nonce = 0;
    let mut why = async || {
        nonce += 1;
        let answer = world.send(signed(PATH, &body(nonce))).await;
        if answer.status == StatusCode::OK { "fine".to_owned() } else { refusal(&answer) }
    };
    assert_eq!(why().await, "fine");
    let app = |change: fn(&mut App)| {
        move |live: &mut LiveKey| {
            let mut app = App::clone(&live.app);
            change(&mut app);
            live.app = Arc::new(app);
        }
    };
    set(&world, app(|app| app.addresses = vec!["192.0.2.0/24".parse().unwrap()]));
    assert_eq!(why().await, "address_not_allowed");
    set(
        &world,
        app(|app| {
            *app = app.clone().suspend("spam".to_owned(), Timestamp::from_millis(START)).unwrap();
        }),
    );
    assert_eq!(why().await, "not_active");
    set(&world, |live| {
        let user = (*live.user).clone().block("fraud".to_owned(), Timestamp::from_millis(START));
        live.user = Arc::new(user);
    });
    assert_eq!(why().await, "not_active");
    set(&world, app(|app| app.dialect = None));
    assert_eq!(why().await, "not_active");
    set(&world, |live| {
        let mut key = PartnerKey::clone(&live.key);
        key.disable(DisabledWhy::Unused, Timestamp::from_millis(START)).unwrap();
        (live.key, live.secret) = (Arc::new(key), None);
    });
    assert_eq!(why().await, "key_disabled");
    // What the user did not pick, and what the app is not approved for.
    set(&world, |live| {
        let mut key = PartnerKey::clone(&live.key);
        key.permissions.clear();
        live.key = Arc::new(key);
    });
    assert_eq!(why().await, "not_permitted");
    set(&world, app(|app| app.approved = "orders.read apikeys.create".parse().unwrap()));
    assert_eq!(why().await, "not_permitted");
    set(
        &world,
        app(|app| {
            app.approved = "orders.read orders.create orders.cancel".parse().unwrap();
        }),
    );
    assert_eq!(why().await, "not_permitted");
    set(&world, |_| {});
    assert_eq!(why().await, "fine");
    let told = [
        R::AddressNotAllowed,
        R::NotActive,
        R::NotActive,
        R::NotActive,
        R::KeyDisabled,
        R::NotPermitted,
        R::NotPermitted,
        R::NotPermitted,
    ];
    assert_eq!(refused(&world), told);
    world.authority.cut_feed();
    assert_eq!(why().await, "503 Service Unavailable");
}

#[tokio::test]
async fn b1_a_key_of_the_standard_does_not_sign_in_a_dialect() {
    let echo = Echo::start().await;
    let world = world(echo.address).await;
    world.authority.set_key(PUBLIC, key(None), &world.clock);
    assert_eq!(refusal(&world.send(signed(PATH, &body(1))).await), "signature_invalid");
    let answer = world.send(messages::message(messages::MESSAGE, "n", |_| {})).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
}

#[tokio::test]
async fn g11_a_signed_body_is_bounded_and_only_read_when_it_is_proven() {
    let echo = Echo::start().await;
    let world = world(echo.address).await;
    let large = json!({ "request": PATH, "nonce": 1, "more": "x".repeat(600) }).to_string();
    let answer = world.send(signed(PATH, &large)).await;
    assert_eq!(answer.status, StatusCode::PAYLOAD_TOO_LARGE);
    // Refused before a byte of the body has come.
    let mut raw = world.connect().await;
    raw.send(&format!(
        "POST {PATH} HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: 100\r\nX-Old-Key: {PUBLIC}\r\n\
         X-Old-Payload: e30=\r\nX-Old-Signature: 00\r\n\r\n"
    ))
    .await;
    assert!(raw.until("\r\n\r\n").await.starts_with("HTTP/1.1 400"));
    assert_eq!(echo.calls(), 0);
}

#[tokio::test]
async fn n3_a_key_that_ends_while_the_body_is_on_its_way_is_refused() {
    let echo = Echo::start().await;
    let world = world(echo.address).await;
    for (nonce, taken_back) in [(1, true), (2, false)] {
        let (parts, _) = signed(PATH, &body(nonce)).into_parts();
        let lines = parts.headers.iter();
        let head: String =
            lines.map(|(name, value)| format!("{name}: {}\r\n", value.to_str().unwrap())).collect();
        let text = body(nonce);
        let (begun, rest) = text.split_at(5);
        let mut raw = world.connect().await;
        let length = begun.len() + rest.len();
        raw.send(&format!(
            "POST {PATH} HTTP/1.1\r\n{head}Content-Length: {length}\r\nExpect: 100-continue\r\n\r\n"
        ))
        .await;
        // The gateway has judged the head and waits for the body.
        assert!(raw.until("\r\n\r\n").await.starts_with("HTTP/1.1 100"));
        raw.send(begun).await;
        if taken_back {
            set(&world, |live| {
                let app = (*live.app).clone();
                live.app =
                    Arc::new(app.suspend("spam".into(), Timestamp::from_millis(START)).unwrap());
            });
        }
        raw.send(rest).await;
        let answer = raw.until("\r\n\r\n").await;
        let expected = if taken_back { "HTTP/1.1 400" } else { "HTTP/1.1 200" };
        assert!(answer.starts_with(expected), "{answer}");
        set(&world, |_| {});
    }
    assert_eq!((echo.calls(), refused(&world)), (1, vec![R::NotActive]));
}
