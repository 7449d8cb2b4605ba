//! Which headers cross the gateway. Removed on the way in: what belongs to one connection, the
//! token, our cookies, and everything an upstream could take for a word of ours. Removed on the way
//! out: what would act on the pages' origin.

use std::net::IpAddr;

use http::header::{
    AUTHORIZATION, CONNECTION, CONTENT_LENGTH, CONTENT_SECURITY_POLICY, COOKIE, EXPECT, HOST,
    PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, SET_COOKIE, TE, TRANSFER_ENCODING, UPGRADE, VIA,
    WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderMap, HeaderName, HeaderValue};

pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("consentry-request-id");
const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");
const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// Words that speak for a proxy in front of an upstream, or that make it read another method or
/// path than the one that was matched (attacks G1, G2, G5). In canonical form; a dash at the end
/// stands for every word that begins so.
const RESERVED: &[&str] = &[
    "consentry-",
    "x-consentry-",
    // Who calls, as proxies that sign people in tell it.
    "remote-",
    "x-remote-",
    "x-auth-request-",
    "x-auth-user",
    "x-authenticated-",
    "x-webauth-",
    "x-authentik-",
    "x-authelia-",
    "x-pomerium-",
    "x-consumer-",
    "x-amzn-oidc-",
    "x-ms-client-principal",
    "x-ms-client-principal-",
    "x-goog-authenticated-user-",
    "x-goog-iap-",
    "cf-access-",
    "tailscale-",
    "wl-proxy-",
    // Kubernetes: act as somebody else.
    "impersonate-",
    // Which certificate the client has shown (RFC 9440, and what there was before).
    "client-cert",
    "client-cert-chain",
    "x-client-cert",
    "x-client-cert-",
    "x-arr-clientcert",
    "ssl-client-",
    "x-ssl-client-",
    // From where, to which host, how.
    "forwarded",
    "x-forwarded",
    "x-forwarded-",
    "x-real-ip",
    "client-ip",
    "x-client-ip",
    "x-cluster-client-ip",
    "x-proxyuser-ip",
    "true-client-ip",
    "cf-connecting-",
    "fastly-client-ip",
    "x-envoy-",
    "x-host",
    "x-scheme",
    "front-end-https",
    // CGI reads it as `HTTP_PROXY`, and many programs send their own calls there (httpoxy).
    "proxy",
    // Another method or path.
    "x-original-",
    "x-rewrite-url",
    "x-http-method",
    "x-http-method-override",
    "x-method-override",
    "x-http-path-override",
    // Only the right spelling frames a body, and only ours passes on (attack G3).
    "content-length",
    "transfer-encoding",
    "proxy-connection",
];

/// What an answer says to a proxy in front of us: fetch this file or address yourself.
const TO_A_PROXY: [&str; 4] = ["x-accel-", "x-sendfile", "x-lighttpd-send-file", "x-reproxy-"];

/// What an answer says about its whole origin, or makes a browser do, besides its own content.
const ORIGIN_WIDE: [&str; 20] = [
    "accept-ch",
    "activate-storage-access",
    "alt-svc",
    "clear-site-data",
    "critical-ch",
    "nel",
    "origin-agent-cluster",
    "public-key-pins",
    "public-key-pins-report-only",
    "refresh",
    "report-to",
    "reporting-endpoints",
    "sec-session-registration",
    "secure-session-registration",
    "service-worker-allowed",
    "set-cookie2",
    "set-login",
    "speculation-rules",
    "strict-transport-security",
    "use-as-dictionary",
];

/// Ways to prove who one is that make no browser open a window for a password, or send what it
/// knows of the user by itself.
const QUIET_CHALLENGES: [&str; 2] = ["bearer", "dpop"];

/// What a request said about its connection, read before it is removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Hop {
    /// `Connection: upgrade` with `Upgrade: websocket` (RFC 6455 §4.1).
    pub(crate) asks_websocket: bool,
    /// RFC 9110 §10.1.4
    pub(crate) takes_trailers: bool,
}

/// Makes a request's headers fit for the upstream; what is added comes after ([`add_forwarded`]).
/// `dropped` are the operator's own, of the form of [`RESERVED`].
pub(crate) fn clean_request(headers: &mut HeaderMap, dropped: &[String]) -> Hop {
    let hop = Hop {
        asks_websocket: has_token(headers, &CONNECTION, "upgrade")
            && has_token(headers, &UPGRADE, "websocket"),
        takes_trailers: has_token(headers, &TE, "trailers"),
    };
    remove_hop_by_hop(headers);
    headers.remove(AUTHORIZATION);
    headers.remove(PROXY_AUTHORIZATION);
    headers.remove(EXPECT);
    headers.remove(HOST);
    remove_matching(headers, |name| {
        // The one name of these words that is no forgery: hyper has read it, and it is true.
        name != CONTENT_LENGTH.as_str()
            && (may_be_reserved(name) && is_one_of(name, RESERVED.iter().copied())
                || is_one_of(name, dropped.iter().map(String::as_str)))
    });
    remove_our_cookies(headers);
    hop
}

/// Who asks, for which host, how: our words in place of whatever the client said.
pub(crate) fn add_forwarded(
    headers: &mut HeaderMap,
    client: IpAddr,
    host: Option<HeaderValue>,
    scheme: &HeaderValue,
) {
    if let Ok(address) = HeaderValue::from_str(&client.to_canonical().to_string()) {
        headers.insert(X_FORWARDED_FOR, address);
    }
    if let Some(host) = host {
        headers.insert(X_FORWARDED_HOST, host);
    }
    headers.insert(X_FORWARDED_PROTO, scheme.clone());
    // RFC 9110 §7.6.3: a gateway says so to the inbound side.
    headers.append(VIA, HeaderValue::from_static("1.1 consentry"));
}

/// `Connection: upgrade` and `Upgrade: websocket`, on either side of a tunnel.
pub(crate) fn add_websocket(headers: &mut HeaderMap) {
    headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
}

pub(crate) fn add_takes_trailers(headers: &mut HeaderMap) {
    headers.insert(TE, HeaderValue::from_static("trailers"));
    headers.insert(CONNECTION, HeaderValue::from_static("te"));
}

pub(crate) fn is_websocket(headers: &HeaderMap) -> bool {
    has_token(headers, &UPGRADE, "websocket")
}

/// Makes an answer's headers fit for the client.
pub(crate) fn clean_answer(headers: &mut HeaderMap, shares_origin: bool) {
    remove_hop_by_hop(headers);
    headers.remove(PROXY_AUTHENTICATE);
    // Attack G6: a cookie of the upstream would be a cookie of the pages.
    headers.remove(SET_COOKIE);
    remove_matching(headers, |name| {
        is_reserved_word(name, "consentry-") || is_one_of(name, TO_A_PROXY)
    });
    if shares_origin {
        // Attack G7: whatever it is, it is no page and no script of ours.
        headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        headers.append(CONTENT_SECURITY_POLICY, HeaderValue::from_static("sandbox"));
        remove_matching(headers, |name| ORIGIN_WIDE.contains(&name));
        keep_quiet_challenges(headers);
    }
}

/// A window that asks for a password on the pages' origin would be taken for ours.
fn keep_quiet_challenges(headers: &mut HeaderMap) {
    if !headers.contains_key(WWW_AUTHENTICATE) {
        return;
    }
    let kept: Vec<HeaderValue> =
        headers.get_all(WWW_AUTHENTICATE).iter().filter(|line| is_quiet(line)).cloned().collect();
    headers.remove(WWW_AUTHENTICATE);
    for line in kept {
        headers.append(WWW_AUTHENTICATE, line);
    }
}

/// Is every challenge of a line one of [`QUIET_CHALLENGES`]? Commas separate challenges, and
/// also their parameters (RFC 9110 §11.6.1): a word without a value begins a challenge. What
/// programs could take apart differently is not quiet.
fn is_quiet(line: &HeaderValue) -> bool {
    let Ok(line) = line.to_str() else { return false };
    if line.contains('\\') || line.matches('"').count() % 2 == 1 {
        return false;
    }
    let mut is_quoted = false;
    let elements = line.split(|c: char| {
        is_quoted ^= c == '"';
        c == ',' && !is_quoted
    });
    elements.map(str::trim).filter(|element| !element.is_empty()).all(|element| {
        let end = element.find([' ', '\t', '=', '"']).unwrap_or(element.len());
        let (word, rest) = element.split_at(end);
        rest.trim_start().starts_with('=')
            || QUIET_CHALLENGES.iter().any(|quiet| word.eq_ignore_ascii_case(quiet))
    })
}

/// Trailers may carry no more than headers may.
pub(crate) fn clean_request_trailers(trailers: &mut HeaderMap, dropped: &[String]) {
    clean_request(trailers, dropped);
    trailers.remove(CONTENT_LENGTH);
    trailers.remove(COOKIE);
}

pub(crate) fn clean_answer_trailers(trailers: &mut HeaderMap) {
    clean_answer(trailers, false);
}

/// RFC 9110 §7.6.1: what `Connection` names, and what was always per connection (attack G4).
fn remove_hop_by_hop(headers: &mut HeaderMap) {
    if headers.contains_key(CONNECTION) {
        let named: Vec<HeaderName> = tokens(headers, &CONNECTION)
            .filter(|token| !token.eq_ignore_ascii_case("close"))
            .filter_map(|token| HeaderName::from_bytes(token.as_bytes()).ok())
            .collect();
        for name in named {
            headers.remove(name);
        }
        headers.remove(CONNECTION);
    }
    for name in [KEEP_ALIVE, PROXY_CONNECTION, TE, TRANSFER_ENCODING, UPGRADE] {
        headers.remove(name);
    }
}

/// A first look at the first letter, which settles most names.
fn may_be_reserved(name: &str) -> bool {
    /// A bit for each letter that a reserved word begins with.
    const FIRST_LETTERS: u32 = {
        let (mut bits, mut at) = (0, 0);
        while at < RESERVED.len() {
            #[expect(clippy::indexing_slicing, reason = "checked when it is compiled")]
            let first = RESERVED[at].as_bytes()[0];
            bits |= 1 << (first & 0x1f);
            at += 1;
        }
        bits
    };
    name.bytes().next().is_some_and(|first| FIRST_LETTERS >> (first & 0x1f) & 1 == 1)
}

fn is_one_of<'a>(name: &str, words: impl IntoIterator<Item = &'a str>) -> bool {
    words.into_iter().any(|word| is_reserved_word(name, word))
}

pub(crate) fn remove_matching(headers: &mut HeaderMap, matches: impl Fn(&str) -> bool) {
    // Allocates only when there is something to remove.
    let doomed: Vec<HeaderName> =
        headers.keys().filter(|name| matches(name.as_str())).cloned().collect();
    for name in doomed {
        headers.remove(name);
    }
}

/// Upstreams that see headers as variables (CGI, WSGI, PHP) cannot tell `_` and other signs from
/// `-`, so neither do we.
fn is_reserved_word(name: &str, word: &str) -> bool {
    let open = word.ends_with('-');
    let fits_length = if open { name.len() >= word.len() } else { name.len() == word.len() };
    let canonical = |byte: u8| {
        if byte.is_ascii_alphanumeric() { byte.to_ascii_lowercase() } else { b'-' }
    };
    fits_length && name.bytes().zip(word.bytes()).all(|(a, b)| canonical(a) == b)
}

/// Drops the cookies of our pages from what is sent on (attack G6), and joins what HTTP/2 may have
/// split (RFC 9113 §8.2.3).
fn remove_our_cookies(headers: &mut HeaderMap) {
    let mut values = headers.get_all(COOKIE).iter();
    let (first, more) = (values.next(), values.next().is_some());
    let Some(first) = first else { return };
    if !more && !first.as_bytes().split(|byte| *byte == b';').any(is_our_cookie) {
        return;
    }
    let mut kept = Vec::new();
    for value in headers.get_all(COOKIE) {
        for pair in value.as_bytes().split(|byte| *byte == b';') {
            let pair = pair.trim_ascii();
            if pair.is_empty() || is_our_cookie(pair) {
                continue;
            }
            if !kept.is_empty() {
                kept.extend_from_slice(b"; ");
            }
            kept.extend_from_slice(pair);
        }
    }
    headers.remove(COOKIE);
    if let Ok(value) = HeaderValue::from_bytes(&kept)
        && !value.is_empty()
    {
        headers.insert(COOKIE, value);
    }
}

fn is_our_cookie(pair: &[u8]) -> bool {
    let pair = pair.trim_ascii();
    let begins = |prefix: &[u8]| {
        pair.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix))
    };
    begins(b"cs-") || begins(b"__Host-cs-") || begins(b"__Secure-cs-")
}

fn has_token(headers: &HeaderMap, name: &HeaderName, token: &str) -> bool {
    tokens(headers, name).any(|found| found.eq_ignore_ascii_case(token))
}

/// The elements of a comma-separated header, without parameters.
fn tokens<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a str> {
    headers
        .get_all(name)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(|token| token.split(';').next().unwrap_or_default().trim())
}

#[cfg(test)]
mod tests;
