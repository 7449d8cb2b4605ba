//! Who gets in: attacks G10 and X3, and the gateway's half of K1.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use domain::app::App;
use domain::consent::{Consent, ConsentStatus};
use domain::grant::{Grant, Mode};
use domain::id::GrantId;
use domain::policy::Upstream;
use domain::user::User;
use http::{Method, StatusCode};
use http_body_util::Full;
use protocol::jose::Algorithm;
use protocol::jwt_access_token::{AccessTokenClaims, TYP};
use serde_json::json;

use crate::authority::keyring;
use crate::upstream::Echo;
use crate::world::{
    API, Answer, GRANT, ISSUER, OWN_HOST_API, TOKEN, World, access_token, scopes, seal,
};

async fn with_token(world: &World, token: &str) -> Answer {
    world.send(world.request(Method::GET, "/api/v4/orders", token)).await
}

#[tokio::test]
async fn without_a_token_the_challenge_says_where_to_learn_more() {
    let world = World::new(Echo::start().await.address).await;
    let answer = with_token(&world, "").await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
    assert_eq!(
        answer.header("www-authenticate"),
        "Bearer resource_metadata=\
         \"http://pages.test:8400/.well-known/oauth-protected-resource/api/v4\""
    );
    assert_eq!(answer.header("consentry-error-source"), "client");
    assert_eq!(answer.header("cache-control"), "no-store");
    assert_eq!(answer.json()["error"], "missing_token");
}

#[tokio::test]
async fn a_refusal_names_all_missing_scopes_at_once() {
    let upstream = Echo::start().await;
    let world = World::new(upstream.address).await;
    let token = world.token("orders.read");
    let answer = world.send(world.request(Method::POST, "/api/v4/orders", &token)).await;
    assert_eq!(answer.status, StatusCode::FORBIDDEN);
    let challenge = answer.header("www-authenticate");
    assert!(challenge.contains("error=\"insufficient_scope\""), "{challenge}");
    assert!(challenge.contains("scope=\"orders.cancel orders.create\""), "{challenge}");
    assert_eq!(answer.json()["missing_scopes"], json!(["orders.cancel", "orders.create"]));
    assert_eq!(upstream.calls(), 0);
}

#[tokio::test]
async fn one_of_several_alternatives_suffices() {
    let world = World::new(Echo::start().await.address).await;
    for held in ["orders.create", "orders.read orders.cancel"] {
        let request = world.request(Method::PUT, "/api/v4/orders", &world.token(held));
        assert_eq!(world.send(request).await.status, StatusCode::OK, "{held}");
    }
    let request = world.request(Method::PUT, "/api/v4/orders", &world.token("orders.cancel"));
    assert_eq!(world.send(request).await.status, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn every_bad_token_gets_the_same_answer_g10() {
    let upstream = Echo::start().await;
    let world = World::new(upstream.address).await;
    let good = world.token("orders.read");
    let mut flipped = good.clone().into_bytes();
    let middle = flipped.len() / 2;
    flipped[middle] = if flipped[middle] == b'A' { b'B' } else { b'A' };
    let expired = world.token_with("orders.read", |token| token.expires_at = token.issued_at);
    let no_grant = |token: &mut domain::token::AccessToken| {
        token.grant_id = GrantId::from_bytes([9; 16]);
    };
    let other_audience = |token: &mut domain::token::AccessToken| {
        token.audience = OWN_HOST_API.to_owned();
    };
    let of_another_issuer = keyring("http://other.test", 1);
    let bad = [
        good[..good.len() - 5].to_owned(),
        String::from_utf8(flipped).unwrap(),
        format!("{good}A"),
        format!("{good}="),
        "cs_at_".to_owned(),
        good.replacen("cs_at_", "cs_rt_", 1),
        "eyJhbGciOiJub25lIn0.e30.".to_owned(),
        expired,
        world.token_with("orders.read", no_grant),
        world.token_with("orders.read", other_audience),
        seal(&of_another_issuer, &access_token("orders.read", |_| {})),
    ];
    let first = with_token(&world, &bad[0]).await;
    assert_eq!(first.status, StatusCode::UNAUTHORIZED);
    assert!(first.header("www-authenticate").contains("error=\"invalid_token\""));
    for token in &bad {
        let answer = with_token(&world, token).await;
        assert_eq!(answer.status, first.status, "{token}");
        assert_eq!(answer.body, first.body, "{token}");
        assert_eq!(answer.header("www-authenticate"), first.header("www-authenticate"), "{token}");
    }
    assert_eq!(upstream.calls(), 0);
    assert_eq!(with_token(&world, &good).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_test_token_and_a_token_of_another_dialect_are_refused_g10() {
    let world = World::new(Echo::start().await.address).await;
    let token = world.token("orders.read");
    world.authority.change(|rows| {
        rows.grant = Arc::new(Grant { mode: Mode::Test, ..(*rows.grant).clone() });
    });
    assert_eq!(with_token(&world, &token).await.status, StatusCode::UNAUTHORIZED);
    world.authority.change(|rows| {
        let dialect = Some("bitport".to_owned());
        rows.grant = Arc::new(Grant { mode: Mode::Live, dialect, ..(*rows.grant).clone() });
    });
    assert_eq!(with_token(&world, &token).await.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_test_token_reaches_the_upstream_for_tests_and_no_other_g10() {
    let (real, practice) = (Echo::start().await, Echo::start().await);
    let (address, url) = (real.address, format!("http://{}", practice.address));
    let world = World::with_resource(address, move |api| {
        let real = api.upstream.clone().unwrap();
        api.test_upstream = Some(Upstream { url: url.clone(), ..real });
    })
    .await;
    let token = world.token("orders.read");
    let mode_of = |answer: &Answer| answer.json()["headers"]["consentry-mode"].clone();
    let answer = with_token(&world, &token).await;
    assert_eq!((real.calls(), practice.calls()), (1, 0));
    assert_eq!(mode_of(&answer), json!(["live"]));
    world.authority.change(|rows| {
        rows.grant = Arc::new(Grant { mode: Mode::Test, ..(*rows.grant).clone() });
    });
    let answer = with_token(&world, &token).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
    assert_eq!((real.calls(), practice.calls()), (1, 1));
    assert_eq!(mode_of(&answer), json!(["test"]));
}

#[tokio::test]
async fn a_token_in_the_address_or_in_two_headers_is_refused_x3() {
    let upstream = Echo::start().await;
    let world = World::new(upstream.address).await;
    let token = world.token("orders.read");
    for path in ["/api/v4/orders", "/api/v4/ticker"] {
        for query in ["access_token", "%61ccess_token", "a=1&access_token"] {
            let path = format!("{path}?{query}={token}");
            for header in ["", token.as_str()] {
                let request = world.request(Method::GET, &path, header);
                let answer = world.send(request).await;
                assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{path}");
                let challenge = answer.header("www-authenticate");
                assert!(challenge.contains("error=\"invalid_request\""), "{challenge}");
                assert!(!answer.body.contains(&token));
            }
        }
    }
    let mut twice = world.request(Method::GET, "/api/v4/orders", &token);
    twice.headers_mut().append("authorization", "Basic YTpi".parse().unwrap());
    assert_eq!(world.send(twice).await.status, StatusCode::BAD_REQUEST);
    assert_eq!(upstream.calls(), 0);
}

#[tokio::test]
async fn a_token_in_the_body_counts_as_none_x3() {
    let upstream = Echo::start().await;
    let world = World::new(upstream.address).await;
    let form = format!("access_token={}", world.token("orders.create"));
    let request = world.request(Method::POST, "/api/v4/orders/1", "").map(|_| Full::from(form));
    let answer: Answer = world.send(request as http::Request<Full<Bytes>>).await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
    assert_eq!(upstream.calls(), 0);
}

#[tokio::test]
async fn what_is_revoked_is_refused_on_the_next_request_k1() {
    let now = domain::time::Timestamp::from_millis(0);
    type Step = (&'static str, Box<dyn Fn(&World)>);
    let steps: Vec<Step> = vec![
        ("grant", Box::new(|world| world.authority.revoke_grant())),
        ("token", Box::new(|world| world.authority.revoke_token())),
        ("row gone", Box::new(|world| world.authority.remove_grant())),
        (
            "consent",
            Box::new(move |world| {
                world.authority.change(|rows| {
                    let consent = (**rows.consent.as_ref().unwrap()).clone();
                    let status = ConsentStatus::Withdrawn { at: now };
                    rows.consent = Some(Arc::new(Consent { status, ..consent }));
                });
            }),
        ),
        (
            "user",
            Box::new(move |world| {
                world.authority.change(|rows| {
                    let user: User = (**rows.user.as_ref().unwrap()).clone();
                    rows.user = Some(Arc::new(user.block("fraud".to_owned(), now)));
                });
            }),
        ),
        (
            "app",
            Box::new(move |world| {
                world.authority.change(|rows| {
                    let app: App = (*rows.app).clone();
                    rows.app = Arc::new(app.suspend("abuse".to_owned(), now).unwrap());
                });
            }),
        ),
    ];
    for (what, revoke) in steps {
        let upstream = Echo::start().await;
        let world = World::new(upstream.address).await;
        let token = world.token("orders.read");
        assert_eq!(with_token(&world, &token).await.status, StatusCode::OK, "{what}");
        revoke(&world);
        assert_eq!(with_token(&world, &token).await.status, StatusCode::UNAUTHORIZED, "{what}");
        assert_eq!(upstream.calls(), 1, "{what}");
    }
}

#[tokio::test]
async fn a_scope_that_is_taken_back_is_missing_on_the_next_request() {
    let world = World::new(Echo::start().await.address).await;
    let token = world.token("orders.read");
    assert_eq!(with_token(&world, &token).await.status, StatusCode::OK);
    world.authority.change(|rows| {
        let consent = (**rows.consent.as_ref().unwrap()).clone();
        rows.consent = Some(Arc::new(Consent { scopes: scopes("orders.create"), ..consent }));
    });
    let answer = with_token(&world, &token).await;
    assert_eq!(answer.status, StatusCode::FORBIDDEN);
    assert!(answer.header("www-authenticate").contains("scope=\"orders.read\""));
}

#[tokio::test]
async fn a_node_that_is_cut_off_fails_closed_k1() {
    let upstream = Echo::start().await;
    let world = World::new(upstream.address).await;
    world.authority.cut_feed();
    let answer = world.get("/api/v4/orders").await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(answer.header("consentry-error-source"), "gateway");
    assert_eq!(answer.header("retry-after"), "1");
    assert!(!answer.body.contains("feed"), "the cause is for the log: {}", answer.body);
    assert_eq!(upstream.calls(), 0);
    let public = world.send(world.request(Method::GET, "/api/v4/ticker", "")).await;
    assert_eq!(public.status, StatusCode::OK);
}

#[tokio::test]
async fn a_token_sealed_with_a_newer_key_is_good_after_one_reload() {
    let world = World::new(Echo::start().await.address).await;
    let newer = keyring(ISSUER, 2);
    let token = seal(&newer, &access_token("orders.read", |_| {}));
    *world.authority.next_keyring.lock().unwrap() = Some(newer);
    assert_eq!(with_token(&world, &token).await.status, StatusCode::OK);
    assert_eq!(world.authority.reloads.load(Ordering::SeqCst), 1);
    let unknown = seal(&keyring(ISSUER, 3), &access_token("orders.read", |_| {}));
    assert_eq!(with_token(&world, &unknown).await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(world.authority.reloads.load(Ordering::SeqCst), 2);
}

fn jwt(world: &World, change: impl FnOnce(&mut AccessTokenClaims)) -> String {
    let token = access_token("orders.read", |_| {});
    let mut claims = AccessTokenClaims {
        iss: ISSUER.to_owned(),
        sub: "user".to_owned(),
        aud: vec![API.to_owned()],
        exp: token.expires_at.as_seconds(),
        iat: token.issued_at.as_seconds(),
        jti: TOKEN.to_string(),
        client_id: "trading-bot".to_owned(),
        scope: token.scopes,
        grant_id: GRANT.to_string(),
        auth_time: None,
        acr: None,
        amr: Vec::new(),
    };
    change(&mut claims);
    let keyring = world.keyring();
    keyring.signing_key(Algorithm::Es256, token.issued_at).unwrap().sign(TYP, &claims).unwrap()
}

#[tokio::test]
async fn a_jwt_is_verified_once_and_its_rows_are_asked_each_time() {
    let world = World::new(Echo::start().await.address).await;
    let token = jwt(&world, |_| {});
    for reads in 1..=3 {
        assert_eq!(with_token(&world, &token).await.status, StatusCode::OK);
        assert_eq!(world.authority.row_reads.load(Ordering::SeqCst), reads);
    }
    world.authority.revoke_token();
    assert_eq!(with_token(&world, &token).await.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_remembered_jwt_dies_with_its_key_and_with_its_time() {
    let world = World::new(Echo::start().await.address).await;
    let token = jwt(&world, |_| {});
    assert_eq!(with_token(&world, &token).await.status, StatusCode::OK);
    world.clock.advance(Duration::from_secs(600));
    assert_eq!(with_token(&world, &token).await.status, StatusCode::UNAUTHORIZED);

    let world = World::new(Echo::start().await.address).await;
    let token = jwt(&world, |_| {});
    assert_eq!(with_token(&world, &token).await.status, StatusCode::OK);
    // A token with an unknown key makes the node load the keys again; the old ones are gone.
    *world.authority.next_keyring.lock().unwrap() = Some(keyring(ISSUER, 2));
    let unknown = seal(&keyring(ISSUER, 3), &access_token("orders.read", |_| {}));
    assert_eq!(with_token(&world, &unknown).await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(with_token(&world, &token).await.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_jwt_of_another_issuer_or_audience_is_refused_g10() {
    let world = World::new(Echo::start().await.address).await;
    let other_issuer = jwt(&world, |claims| claims.iss = "http://other.test".to_owned());
    let other_audience = jwt(&world, |claims| claims.aud = vec![OWN_HOST_API.to_owned()]);
    let two_audiences = jwt(&world, |claims| claims.aud.push(OWN_HOST_API.to_owned()));
    for token in [other_issuer, other_audience, two_audiences] {
        assert_eq!(with_token(&world, &token).await.status, StatusCode::UNAUTHORIZED);
    }
}

#[tokio::test]
async fn an_app_with_a_list_of_addresses_calls_from_these_only() {
    let world = World::new(Echo::start().await.address).await;
    let listed = |list: &'static str| {
        world.authority.change(|rows| {
            let addresses = vec![list.parse().unwrap()];
            rows.app = Arc::new(App { addresses, ..(*rows.app).clone() });
        });
    };
    listed("10.0.0.0/8");
    let answer = world.get("/api/v4/orders").await;
    assert_eq!(answer.status, StatusCode::FORBIDDEN);
    assert_eq!(answer.json()["error"], "address_not_allowed");
    listed("127.0.0.1/32");
    assert_eq!(world.get("/api/v4/orders").await.status, StatusCode::OK);
}
