//! Redirect URIs: what may be registered is what a browser (the `url` crate, WHATWG) reads, and a
//! presented one that matches leads to the registered place. Fields: registered, presented.

use protocol::authorize_response::{
    AuthorizeAnswer, AuthorizeResponse, EncodedResponse, ResponseMode,
};
use protocol::redirect_uri::{DestinationKind, RedirectPolicy, RedirectUri};
use url::Url;

use super::input::Input;

pub fn check(data: &[u8]) {
    let mut input = Input::new(data);
    let (text, presented) = (input.text(), input.text());
    let web = RedirectUri::register(RedirectPolicy::Web, &text);
    let native = RedirectUri::register(RedirectPolicy::Native, &text);
    assert!(web.is_err() || native.is_ok(), "a native app may register what a web app may");
    for uri in [web, native].into_iter().flatten() {
        check_registered(&uri, &text);
        check_presented(&uri, &presented, uri.policy() == RedirectPolicy::Native);
        check_presented(&uri.at_any_loopback_port(), &presented, true);
    }
}

fn check_registered(uri: &RedirectUri, text: &str) {
    assert_eq!(uri.as_str(), text);
    assert!(uri.matches(text));
    assert!(!text.contains(['\\', '#', '*']) && !text.contains(|c: char| c.is_control()));
    let read = browser(text);
    assert!(read.as_str() == text || is_given_a_slash(&read, text), "a browser writes {read}");
    let destination = uri.destination();
    match destination.kind {
        DestinationKind::Https => assert_eq!(read.scheme(), "https"),
        DestinationKind::Loopback => {
            let own = ["127.0.0.1", "[::1]", "localhost"];
            assert!(own.contains(&read.host_str().unwrap()));
        }
        DestinationKind::CustomScheme => {
            assert_eq!(uri.policy(), RedirectPolicy::Native);
            assert!(read.scheme().contains('.'));
            assert_eq!(destination.host, read.scheme());
        }
    }
    if destination.kind != DestinationKind::CustomScheme {
        assert_eq!(destination.host, host_and_port(&read));
    }
    let added = ["code", "state", "iss", "error", "error_description", "error_uri"];
    assert!(read.query_pairs().all(|(name, _)| !added.contains(&&*name)));
    check_location(uri, &read);
}

/// The answer goes where the registered URI goes, and carries each field once.
fn check_location(uri: &RedirectUri, registered: &Url) {
    let response = AuthorizeResponse {
        redirect_uri: uri.clone(),
        response_mode: ResponseMode::Query,
        state: Some("s&t=a".to_owned()),
        issuer: None,
        answer: AuthorizeAnswer::Code("c".to_owned()),
        partner_key: None,
    };
    let EncodedResponse::Redirect(location) = response.encode() else { panic!("no redirect") };
    let location = browser(&location);
    assert_eq!(location.scheme(), registered.scheme());
    assert_eq!(location.host_str(), registered.host_str());
    assert_eq!(location.port(), registered.port());
    assert_eq!(location.path(), registered.path());
    let own = registered.query_pairs().count();
    let pairs: Vec<_> = location.query_pairs().skip(own).collect();
    assert_eq!(pairs, [("code".into(), "c".into()), ("state".into(), "s&t=a".into())]);
}

fn check_presented(uri: &RedirectUri, presented: &str, has_free_port: bool) {
    let resolved = uri.resolve(presented);
    assert_eq!(resolved.is_some(), uri.matches(presented));
    let Some(resolved) = resolved else {
        assert_ne!(presented, uri.as_str());
        return;
    };
    assert_eq!(resolved.as_str(), presented);
    let (ours, theirs) = (browser(uri.as_str()), browser(presented));
    if presented != uri.as_str() {
        assert!(has_free_port, "only the port of a native app is free");
        assert_eq!(ours.scheme(), "http");
        assert!(["127.0.0.1", "[::1]"].contains(&ours.host_str().unwrap()));
        let mut same_port = theirs.clone();
        same_port.set_port(ours.port()).unwrap();
        assert_eq!(same_port, ours, "more than the port differs");
    }
    let shown = browser(&format!("{}://{}", theirs.scheme(), resolved.destination().host));
    if resolved.destination().kind != DestinationKind::CustomScheme {
        assert_eq!(
            host_and_port(&shown),
            host_and_port(&theirs),
            "the consent page tells it wrong"
        );
    }
}

/// Must be readable, without user info and fragment.
fn browser(text: &str) -> Url {
    let url = Url::parse(text).unwrap_or_else(|error| panic!("{text:?}: {error}"));
    assert!(url.username().is_empty() && url.password().is_none() && url.fragment().is_none());
    url
}

fn is_given_a_slash(read: &Url, text: &str) -> bool {
    let (before, after) = text.split_at(text.find('?').unwrap_or(text.len()));
    ["http", "https"].contains(&read.scheme()) && read.as_str() == format!("{before}/{after}")
}

fn host_and_port(url: &Url) -> String {
    let host = url.host_str().unwrap();
    url.port().map_or(host.to_owned(), |port| format!("{host}:{port}"))
}
