//! Which headers cross the gateway, both ways, and in which spelling none does.

use proptest::prelude::*;

use super::*;

fn map(pairs: &[(&str, &str)]) -> HeaderMap {
    pairs
        .iter()
        .map(|(name, value)| {
            (HeaderName::from_bytes(name.as_bytes()).unwrap(), value.parse().unwrap())
        })
        .collect()
}

fn names(headers: &HeaderMap) -> Vec<&str> {
    let mut names: Vec<_> = headers.keys().map(HeaderName::as_str).collect();
    names.sort_unstable();
    names
}

#[test]
fn headers_named_in_connection_do_not_pass_g4() {
    let mut headers = map(&[
        ("connection", "keep-alive, X-Private"),
        ("connection", "other"),
        ("keep-alive", "timeout=5"),
        ("x-private", "1"),
        ("other", "2"),
        ("te", "gzip"),
        ("accept", "*/*"),
    ]);
    assert_eq!(clean_request(&mut headers, &[]), Hop::default());
    assert_eq!(names(&headers), ["accept"]);
}

#[test]
fn an_upgrade_is_seen_only_when_connection_asks_for_it_g4() {
    let mut asked = map(&[("connection", "Upgrade"), ("upgrade", "WebSocket")]);
    assert!(clean_request(&mut asked, &[]).asks_websocket);
    let mut not_asked = map(&[("upgrade", "websocket")]);
    assert!(!clean_request(&mut not_asked, &[]).asks_websocket);
    let mut h2c = map(&[("connection", "upgrade"), ("upgrade", "h2c")]);
    assert!(!clean_request(&mut h2c, &[]).asks_websocket);
    assert!(asked.is_empty() && not_asked.is_empty() && h2c.is_empty());
}

#[test]
fn our_cookies_stay_with_us_and_others_pass_g6() {
    let mut headers = map(&[
        ("cookie", "a=1; __Host-cs-session-9f=secret; cs-visitor-9f=x"),
        ("cookie", "b=2;CS-session=y"),
    ]);
    clean_request(&mut headers, &[]);
    assert_eq!(headers.get(COOKIE).unwrap(), "a=1; b=2");
    let mut only_ours = map(&[("cookie", "cs-session-9f=secret")]);
    clean_request(&mut only_ours, &[]);
    assert!(only_ours.is_empty());
}

#[test]
fn an_upstream_sets_no_cookie_and_speaks_no_word_of_ours_g6() {
    let mut headers = map(&[
        ("set-cookie", "a=1"),
        ("set-cookie", "b=1"),
        ("consentry-error-source", "gateway"),
        ("content-type", "text/html"),
    ]);
    clean_answer(&mut headers, false);
    assert_eq!(names(&headers), ["content-type"]);
}

#[test]
fn an_upstream_gives_no_orders_to_a_proxy_g7() {
    let mut headers = map(&[
        ("x-accel-redirect", "/secret"),
        ("X-Accel-Buffering", "no"),
        ("x-sendfile", "/etc/passwd"),
        ("x_sendfile", "/etc/passwd"),
        ("x-lighttpd-send-file", "/etc/passwd"),
        ("etag", "1"),
    ]);
    clean_answer(&mut headers, false);
    assert_eq!(names(&headers), ["etag"]);
}

#[test]
fn a_lookalike_of_a_framing_header_does_not_pass_g3() {
    let mut headers = map(&[("content-length", "1"), ("content_length", "2")]);
    clean_request(&mut headers, &[]);
    assert_eq!(names(&headers), ["content-length"]);
}

#[test]
fn an_answer_on_the_pages_origin_is_sandboxed_g7() {
    let mut headers =
        map(&[("content-security-policy", "default-src *"), ("x-content-type-options", "other")]);
    for name in ORIGIN_WIDE {
        headers.insert(name, HeaderValue::from_static("1"));
    }
    clean_answer(&mut headers, true);
    assert_eq!(headers.get(X_CONTENT_TYPE_OPTIONS).unwrap(), "nosniff");
    assert!(headers.get_all(CONTENT_SECURITY_POLICY).iter().any(|csp| csp == "sandbox"));
    assert_eq!(names(&headers), ["content-security-policy", "x-content-type-options"]);
}

#[test]
fn an_answer_on_the_pages_origin_opens_no_window_for_a_password_g7() {
    let loud = [
        "Basic realm=\"Sign in\"",
        "BASIC",
        "Digest realm=x, nonce=y",
        "Negotiate",
        "Negotiate YII=",
        "NTLM",
        "Bearer realm=\"x\", Basic realm=\"y\"",
        "Bearer, Basic realm=y",
        "Bearer realm=x,\tbasic\trealm=y",
        "DPoP algs=\"ES256\" , NTLM",
        "Bearer realm=\"x\\\", Basic realm=\"y",
        "Bearer realm=\"x, Basic realm=y",
    ];
    let quiet = [
        "Bearer",
        "bearer realm=\"x, Basic y\", error=\"invalid_token\"",
        "DPoP algs=\"ES256\", Bearer scope = \"a b\"",
    ];
    let all = [&loud[..], &quiet].concat();
    for (shares_origin, passing) in [(true, &quiet[..]), (false, &all)] {
        let mut headers = HeaderMap::new();
        for line in &all {
            headers.append(WWW_AUTHENTICATE, HeaderValue::from_static(line));
        }
        clean_answer(&mut headers, shares_origin);
        let kept: Vec<_> = headers.get_all(WWW_AUTHENTICATE).iter().collect();
        assert_eq!(kept, passing);
    }
}

proptest! {
    #[test]
    fn no_spelling_of_a_reserved_word_passes_g5(
        word in proptest::sample::select(vec![
            "consentry-subject", "consentry-scopes", "x-forwarded-for", "x-forwarded",
            "x-real-ip", "x-http-method-override", "x-original-url", "x-rewrite-url",
            "forwarded", "remote-user", "x-remote-user", "x-auth-request-email",
            "x-authenticated-userid", "cf-connecting-ip", "true-client-ip", "client-ip",
            "fastly-client-ip", "x-client-ip", "x-cluster-client-ip", "x-proxyuser-ip",
            "x-envoy-external-address", "x-host", "x-scheme", "front-end-https", "proxy",
            "transfer-encoding", "x-operators-own", "x-team-name", "x-consentry-user",
            "client-cert", "client-cert-chain", "x-client-cert", "x-client-cert-dn",
            "x-arr-clientcert", "x-forwarded-client-cert", "x-ms-client-principal",
            "x-ms-client-principal-id", "x-amzn-oidc-data", "x-goog-iap-jwt-assertion",
            "x-goog-authenticated-user-email", "cf-access-jwt-assertion",
            "tailscale-user-login",
            "cf-access-authenticated-user-email", "x-pomerium-claim-email", "x-consumer-id",
            "x-authentik-username", "x-authelia-user", "x-auth-user", "impersonate-user",
            "wl-proxy-client-cert",
        ]),
        signs in proptest::collection::vec(
            proptest::sample::select(vec!['-', '_', '.', '!', '~']), 8),
        upper in any::<u32>(),
    ) {
        let mut signs = signs.into_iter();
        let name: String = word.chars().enumerate().map(|(at, letter)| match letter {
            '-' => signs.next().unwrap(),
            _ if upper >> (at % 32) & 1 == 1 => letter.to_ascii_uppercase(),
            _ => letter,
        }).collect();
        let mut headers = map(&[(&name, "forged"), (&name, "twice"), ("accept", "*/*")]);
        let dropped = ["x-operators-own".to_owned(), "x-team-".to_owned()];
        clean_request(&mut headers, &dropped);
        prop_assert_eq!(names(&headers), vec!["accept"]);
    }
}
