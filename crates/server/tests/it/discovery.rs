//! The documents that clients start from.

use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{Method, StatusCode};
use serde_json::json;

use crate::harness::{API, ISSUER, JWT_API, OTHER_API, TestApp, request};

#[tokio::test]
async fn metadata_says_what_strict_clients_look_for() {
    let app = TestApp::start().await;
    let answer = app.get("/.well-known/oauth-authorization-server").await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.header(CONTENT_TYPE), Some("application/json"));
    assert_eq!(answer.header("access-control-allow-origin"), Some("*"));
    let document = answer.json();
    assert_eq!(document["issuer"], ISSUER);
    assert_eq!(document["response_types_supported"], json!(["code"]));
    assert_eq!(document["code_challenge_methods_supported"], json!(["S256"]));
    assert_eq!(document["acr_values_supported"], json!(["1fa", "2fa", "phr"]));
    assert_eq!(document["authorization_response_iss_parameter_supported"], true);
    assert_eq!(document["protected_resources"], json!([API, OTHER_API, JWT_API]));
    for endpoint in [
        "authorization_endpoint",
        "token_endpoint",
        "revocation_endpoint",
        "introspection_endpoint",
        "jwks_uri",
    ] {
        let url = document[endpoint].as_str().unwrap();
        let path = url.strip_prefix(ISSUER).unwrap();
        assert_ne!(app.get(path).await.status, StatusCode::NOT_FOUND, "{endpoint}");
    }
}

#[tokio::test]
async fn m2_no_header_changes_an_address_in_the_metadata() {
    let app = TestApp::start().await;
    let plain = app.get("/.well-known/oauth-authorization-server").await;
    let mut asked = request(Method::GET, "/.well-known/oauth-authorization-server");
    for name in ["host", "x-forwarded-host", "x-original-host"] {
        asked.headers_mut().insert(name, "evil.example".parse().unwrap());
    }
    asked.headers_mut().insert("x-forwarded-proto", "https".parse().unwrap());
    assert_eq!(app.send(asked).await.json(), plain.json());
}

#[tokio::test]
async fn published_keys_are_public_halves_only() {
    let app = TestApp::start().await;
    let answer = app.get("/.well-known/jwks.json").await;
    assert_eq!(answer.header(CACHE_CONTROL), Some("public, max-age=300"));
    let keys = answer.json()["keys"].as_array().unwrap().clone();
    assert_eq!(keys.len(), 3);
    for key in keys {
        for private in ["d", "p", "q", "dp", "dq", "qi", "k"] {
            assert_eq!(key.get(private), None);
        }
        assert_eq!(key["use"], "sig");
    }
}

#[tokio::test]
async fn each_api_says_who_guards_it() {
    let app = TestApp::start().await;
    for path in ["", "/api"] {
        let answer = app.get(&format!("/.well-known/oauth-protected-resource{path}")).await;
        let document = answer.json();
        assert_eq!(document["resource"], API);
        assert_eq!(document["authorization_servers"], json!([ISSUER]));
        assert_eq!(document["bearer_methods_supported"], json!(["header"]));
        let scopes = document["scopes_supported"].as_array().unwrap();
        assert!(!scopes.contains(&json!("offline_access")));
    }
    let answer = app.get("/.well-known/oauth-protected-resource/nothing").await;
    assert_eq!(answer.status, StatusCode::NOT_FOUND);
}
