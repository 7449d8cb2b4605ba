//! HTTP Message Signatures (RFC 9421).

use super::*;

/// What a message signature covers and says, but for its nonce.
pub(super) const MESSAGE: &str = "sig=(\"@method\" \"@authority\" \"@path\" \"@query\" \"content-digest\" \
                       \"content-type\");created=1800000000;keyid=\"0123456789abcdef0123456789abcdef\"\
                       ;alg=\"hmac-sha256\"";

pub(super) fn message(
    input: &str,
    nonce: &str,
    change: impl FnOnce(&mut Request<Full<Bytes>>),
) -> Request<Full<Bytes>> {
    let body = r#"{"amount":"1"}"#;
    let mut request = Request::post(format!("{PATH}?test=1"))
        .header("host", HOST)
        .header("content-type", "application/json")
        .header("content-digest", content_digest(body.as_bytes()))
        .header("signature-input", format!("{input};nonce=\"{nonce}\""))
        .header("signature", "sig=:AAAA:")
        .body(Full::from(body))
        .unwrap();
    let parts = SignedParts {
        method: "POST",
        scheme: "http",
        authority: HOST,
        path: PATH,
        query: Some("test=1"),
        headers: request.headers(),
    };
    let base = MessageSignature::read(request.headers()).unwrap().base(&parts).unwrap();
    let mac = MacKey::new(SECRET.as_bytes()).sign(Digest::Sha256, base.as_bytes());
    let signature = format!("sig=:{}:", STANDARD.encode(mac));
    request.headers_mut().insert("signature", HeaderValue::from_str(&signature).unwrap());
    change(&mut request);
    request
}

#[tokio::test]
async fn a_message_signature_opens_the_api_and_stays_here() {
    let echo = Echo::start().await;
    let world = world(echo.address).await;
    let answer = world.send(message(MESSAGE, "n1", |_| {})).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
    let seen = answer.json();
    assert_eq!(seen["uri"], format!("{PATH}?test=1"));
    assert_eq!(seen["headers"]["consentry-subject"], json!([USER.to_string()]));
    assert!(seen["headers"].get("signature").is_none());
    assert!(seen["headers"].get("signature-input").is_none());
    assert!(seen["headers"].get("content-digest").is_some());
    // Beside a token it is none of ours.
    let token = world.token("orders.read orders.create orders.cancel");
    let beside = message(MESSAGE, "n1", |request| {
        let token = HeaderValue::from_str(&format!("Bearer {token}")).unwrap();
        request.headers_mut().insert("authorization", token);
    });
    let seen = world.send(beside).await.json();
    assert!(seen["headers"].get("signature").is_some());
}

#[tokio::test]
async fn n1_a_message_signature_is_good_once_and_near_now() {
    let echo = Echo::start().await;
    let world = world(echo.address).await;
    let created =
        |offset: i64| MESSAGE.replace("1800000000", &(1_800_000_000 + offset).to_string());
    let why = async |input: &str, nonce: &str| {
        let answer = world.send(message(input, nonce, |_| {})).await;
        (answer.status.as_u16(), answer)
    };
    assert_eq!(why(MESSAGE, "n1").await.0, 200);
    assert_eq!(why(MESSAGE, "n2").await.0, 200);
    let (status, replayed) = why(MESSAGE, "n1").await;
    assert_eq!((status, &replayed.json()["error"]), (401, &Value::from("invalid_signature")));
    assert!(replayed.header("accept-signature").contains("@authority"));
    assert_eq!(why(&created(-31), "n3").await.0, 401);
    assert_eq!(why(&created(31), "n4").await.0, 401);
    assert_eq!(why(&created(-29), "n5").await.0, 200);
    assert_eq!(why(&format!("{MESSAGE};expires=1800000000"), "n6").await.0, 401);
    assert_eq!(why(&format!("{MESSAGE};expires=1800000001"), "n7").await.0, 200);
    let told = [R::NonceUsed, R::NonceEarly, R::NonceLate, R::NonceEarly];
    assert_eq!(refused(&world), told);
    assert_eq!(echo.calls(), 4);
}

#[tokio::test]
async fn n2_whatever_of_a_message_is_altered_is_noticed() {
    let echo = Echo::start().await;
    let world = world(echo.address).await;
    let detail = async |change: fn(&mut Request<Full<Bytes>>)| {
        let answer = world.send(message(MESSAGE, "n", change)).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{}", answer.body);
        answer.json()["detail"].as_str().unwrap().to_owned()
    };
    let wrong = "the signature is not valid";
    assert_eq!(detail(|request| *request.method_mut() = Method::PUT).await, wrong);
    let other_query = |request: &mut Request<Full<Bytes>>| {
        *request.uri_mut() = format!("{PATH}?test=2").parse().unwrap();
    };
    assert_eq!(detail(other_query).await, wrong);
    let other_path = |request: &mut Request<Full<Bytes>>| {
        *request.uri_mut() = format!("{PATH}/7?test=1").parse().unwrap();
    };
    assert_eq!(detail(other_path).await, wrong);
    let other_type = |request: &mut Request<Full<Bytes>>| {
        request.headers_mut().insert("content-type", HeaderValue::from_static("text/plain"));
    };
    assert_eq!(detail(other_type).await, wrong);
    let other_host = |request: &mut Request<Full<Bytes>>| {
        request.headers_mut().insert("host", HeaderValue::from_static("PAGES.test:8401"));
    };
    assert_eq!(detail(other_host).await, wrong);
    let other_body = |request: &mut Request<Full<Bytes>>| {
        *request.body_mut() = Full::from(r#"{"amount":"9"}"#);
    };
    assert_eq!(detail(other_body).await, "the body is not the one that was signed");
    let both = |request: &mut Request<Full<Bytes>>| {
        let other = r#"{"amount":"9"}"#;
        let digest = HeaderValue::from_str(&content_digest(other.as_bytes())).unwrap();
        request.headers_mut().insert("content-digest", digest);
        *request.body_mut() = Full::from(other);
    };
    assert_eq!(detail(both).await, wrong);
    let uncovered = MESSAGE.replace(" \"content-digest\"", "");
    let answer = world.send(message(&uncovered, "n", |_| {})).await;
    assert_eq!(answer.json()["detail"], "the signature does not cover content-digest");
    assert_eq!(echo.calls(), 0);
}
