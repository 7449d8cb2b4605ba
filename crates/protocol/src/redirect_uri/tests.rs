//! Rows R1 to R5 and R7 of the attack list, at registration and at comparison.

use proptest::prelude::*;

use super::RedirectPolicy::{Native, Web};
use super::*;

fn web(text: &str) -> RedirectUri {
    RedirectUri::register(Web, text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn native(text: &str) -> RedirectUri {
    RedirectUri::register(Native, text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn refused(policy: RedirectPolicy, text: &str) -> RedirectUriError {
    match RedirectUri::register(policy, text) {
        Err(error) => error,
        Ok(_) => panic!("{text} was registered"),
    }
}

#[test]
fn ordinary_uris_can_be_registered() {
    for text in [
        "https://app.example/callback",
        "https://app.example",
        "https://app.example?tenant=7",
        "https://app.example:8443/cb?tenant=7&next=%2Fhome",
        "https://xn--bcher-kva.example/cb",
        "https://app.example/user@home/cb",
        "https://app.example/a%20b/cb;v=1",
        "http://127.0.0.1:9000/cb",
        "http://[::1]/cb",
        "http://localhost:3000/cb",
    ] {
        assert_eq!(web(text).as_str(), text);
        assert!(web(text).matches(text));
    }
    for text in ["com.example.app:/cb", "com.example.app://cb", "com.example.app:/cb?x=1"] {
        assert_eq!(native(text).as_str(), text);
    }
}

#[test]
fn r1_a_prefix_or_suffix_of_the_host_does_not_match() {
    let registered = web("https://ok.com/cb");
    for presented in [
        "https://ok.com.evil.com/cb",
        "https://evilok.com/cb",
        "https://ok.com:8443/cb",
        "https://ok.co/cb",
        "https://ok.com/cb/more",
        "https://ok.com/cb?x=1",
        "https://ok.com/c",
        "https://ok.com/",
        "http://ok.com/cb",
        "",
    ] {
        assert!(!registered.matches(presented), "{presented}");
        assert!(registered.resolve(presented).is_none(), "{presented}");
    }
}

#[test]
fn r2_userinfo_and_backslashes_are_refused_and_do_not_match() {
    use RedirectUriError as E;
    for (text, why) in [
        ("https://ok.com@evil.com/cb", E::UserInfo),
        ("https://a@b@evil.com/cb", E::UserInfo),
        ("https://user:pass@ok.com/cb", E::UserInfo),
        ("https://@ok.com/cb", E::UserInfo),
        ("https://evil.com\\@ok.com/cb", E::Backslash),
        ("https://ok.com/\\evil.com", E::Backslash),
        ("https:\\\\ok.com/cb", E::Backslash),
        ("https://ok.com/\t/evil.com", E::ControlOrSpace),
        ("https://ok.com/\n", E::ControlOrSpace),
        (" https://ok.com/", E::ControlOrSpace),
        ("https://ok.com/\u{a0}", E::ControlOrSpace),
        ("https://ok.com//evil.com", E::EmptySegment),
        ("https:///evil.com/cb", E::BadHost),
        ("https:////evil.com/cb", E::BadHost),
        ("https:/ok.com/cb", E::BadHost),
        ("https:ok.com/cb", E::BadHost),
    ] {
        assert_eq!(refused(Web, text), why, "{text:?}");
        assert!(!web("https://ok.com/cb").matches(text), "{text:?}");
    }
}

#[test]
fn r2_an_at_sign_in_the_path_stays_legal() {
    assert!(web("https://ok.com/@me/cb").matches("https://ok.com/@me/cb"));
}

#[test]
fn r3_traversal_is_refused_and_nothing_is_decoded() {
    use RedirectUriError as E;
    for (text, why) in [
        ("https://ok.com/a/../b", E::DotSegment),
        ("https://ok.com/a/..", E::DotSegment),
        ("https://ok.com/./b", E::DotSegment),
        ("https://ok.com/a/%2e%2e/b", E::DotSegment),
        ("https://ok.com/a/.%2E/b", E::DotSegment),
        ("https://ok.com/a/..;/b", E::DotSegment),
        ("https://ok.com/a/..%3b/b", E::DotSegment),
        ("https://ok.com/a%2f..%2fb", E::EncodedDelimiter),
        ("https://ok.com/a%5cb", E::EncodedDelimiter),
        ("https://ok.com/a%252fb", E::EncodedDelimiter),
        ("https://ok.com/a%00", E::EncodedDelimiter),
        ("https://ok.com/a%0d%0aSet-Cookie:x", E::EncodedDelimiter),
        ("https://ok.com/a%zz", E::BadEscape),
        ("https://ok.com/a?x=%4", E::BadEscape),
    ] {
        assert_eq!(refused(Web, text), why, "{text}");
    }
    assert!(matches!(refused(Native, "com.example.app:/a/../b"), E::DotSegment));
    let registered = web("https://ok.com/cb");
    for presented in [
        "https://ok.com/x/../cb",
        "https://ok.com/%63b",
        "https://ok.com/cb/",
        "https://ok.com/cb/..",
        "https://ok.com/x/..;/cb",
        "https://ok.com/cb%2f..",
        "https://ok.com/cb%252f..",
    ] {
        assert!(!registered.matches(presented), "{presented}");
    }
}

#[test]
fn r4_there_are_no_patterns_and_case_counts() {
    let registered = web("https://ok.com/cb");
    for presented in
        ["https://okxcom/cb", "https://OK.com/cb", "HTTPS://ok.com/cb", "https://ok.com/CB"]
    {
        assert!(!registered.matches(presented), "{presented}");
    }
    assert_eq!(refused(Web, "https://*.ok.com/cb"), RedirectUriError::Pattern);
    assert_eq!(refused(Web, "https://ok.com/*"), RedirectUriError::Pattern);
    assert_eq!(refused(Web, "https://OK.com/cb"), RedirectUriError::UpperCase);
    assert_eq!(refused(Web, "HTTPS://ok.com/cb"), RedirectUriError::UpperCase);
}

#[test]
fn r5_fragments_and_scripts_are_refused() {
    use RedirectUriError as E;
    assert_eq!(refused(Web, "https://ok.com/cb#x"), E::Fragment);
    assert_eq!(refused(Web, "https://ok.com/cb#"), E::Fragment);
    for text in [
        "javascript:alert(1)",
        "JavaScript:alert(1)",
        "data:text/html,x",
        "vbscript:x",
        "file:///etc/passwd",
        "blob:https://ok.com/1",
        "about:blank",
        "intent://x",
    ] {
        for policy in [Web, Native] {
            assert!(matches!(refused(policy, text), E::DangerousScheme(_)), "{text}");
        }
    }
}

#[test]
fn r5_plain_http_is_for_the_own_machine_only() {
    for text in [
        "http://app.example/cb",
        "http://localhost.evil.com/cb",
        "http://127.0.0.1.evil.com/cb",
        "http://127.0.0.2/cb",
        "http://10.0.0.1/cb",
        "http://[::2]/cb",
        "http://0.0.0.0/cb",
    ] {
        assert_eq!(refused(Native, text), RedirectUriError::NotHttps, "{text}");
    }
}

#[test]
fn r5_the_port_is_free_only_for_loopback_addresses_of_native_apps() {
    for (registered, presented, expected) in [
        ("http://127.0.0.1/cb", "http://127.0.0.1:51004/cb", true),
        ("http://127.0.0.1:9000/cb", "http://127.0.0.1:51004/cb", true),
        ("http://127.0.0.1:9000/cb", "http://127.0.0.1/cb", true),
        ("http://[::1]:9000/cb?x=1", "http://[::1]:1/cb?x=1", true),
        ("http://127.0.0.1", "http://127.0.0.1:65535", true),
        ("http://127.0.0.1/cb", "http://127.0.0.1:51004/other", false),
        ("http://127.0.0.1/cb", "http://127.0.0.1:51004/cb?x=1", false),
        ("http://127.0.0.1/cb", "http://[::1]:51004/cb", false),
        ("http://127.0.0.1/cb", "http://localhost:51004/cb", false),
        ("http://127.0.0.1/cb", "https://127.0.0.1:51004/cb", false),
        ("http://127.0.0.1/cb", "http://127.0.0.1:0/cb", false),
        ("http://127.0.0.1/cb", "http://127.0.0.1:080/cb", false),
        ("http://127.0.0.1/cb", "http://127.0.0.1:65536/cb", false),
        ("http://127.0.0.1/cb", "http://127.0.0.1:+80/cb", false),
        ("http://127.0.0.1/cb", "http://127.0.0.1:/cb", false),
        ("http://127.0.0.1/cb", "http://127.0.0.1:80@evil.com/cb", false),
        ("http://127.0.0.1/cb", "http://127.0.0.1:80\\@evil.com/cb", false),
        ("http://127.0.0.1/cb", "http://127.0.0.1.evil.com:80/cb", false),
        ("http://127.0.0.1/cb", "http://user@127.0.0.1:80/cb", false),
        ("http://localhost:3000/cb", "http://localhost:3001/cb", false),
        ("https://app.example/cb", "https://app.example:444/cb", false),
    ] {
        assert_eq!(native(registered).matches(presented), expected, "{registered} {presented}");
        if !registered.starts_with("http:") || registered == presented {
            continue;
        }
        assert!(!web(registered).matches(presented), "a web app has no free port: {presented}");
    }
}

#[test]
fn r7_the_query_may_not_hold_what_the_answer_adds() {
    for name in ["code", "state", "iss", "error", "error_description", "error_uri", "c%6Fde"] {
        let text = format!("https://ok.com/cb?a=1&{name}=x");
        assert!(matches!(refused(Web, &text), RedirectUriError::AnswerParameter(_)), "{text}");
    }
}

#[test]
fn hosts_must_be_spelled_as_browsers_spell_them() {
    use RedirectUriError as E;
    for (text, why) in [
        ("https://0x7f.1/cb", E::BadHost),
        ("https://0x7f.1", E::BadHost),
        ("https://127.1/cb", E::BadHost),
        ("https://2130706433/cb", E::BadHost),
        ("https://ok.com./cb", E::BadHost),
        ("https://ok..com/cb", E::BadHost),
        ("https://.ok.com/cb", E::BadHost),
        ("https://[0:0::1]/cb", E::BadHost),
        ("https://[::1/cb", E::BadPort),
        ("https://ok.com:443/cb", E::BadPort),
        ("http://localhost:80/cb", E::BadPort),
        ("https://ok.com:/cb", E::BadPort),
        ("https://ok.com:99999/cb", E::BadPort),
        ("https://ok.com:0443/cb", E::BadPort),
        ("https://bücher.example/cb", E::NotAscii),
        ("https://ok.com/<script>", E::IllegalCharacter('<')),
        ("https://ok.com/cb?x='", E::IllegalCharacter('\'')),
        ("/cb", E::NotAbsolute),
        ("cb", E::NotAbsolute),
        ("//ok.com/cb", E::NotAbsolute),
        ("://ok.com/cb", E::NotAbsolute),
        ("", E::Empty),
        (&format!("https://ok.com/{}", "a".repeat(BYTES_MAX)), E::TooLong),
    ] {
        assert_eq!(refused(Web, text), why, "{text}");
    }
}

#[test]
fn r1_a_host_that_no_dns_has_is_refused() {
    for host in [
        "e.example;sandbox",
        "e.example,x",
        "e$.example",
        "e.example!",
        "e.example&x=",
        "e=.example",
        "(e).example",
        "e~.example",
        "e+f.example",
        "my_app.example",
        "ok%2ecom",
    ] {
        for text in [format!("https://{host}/cb"), format!("https://{host}:8443")] {
            assert_eq!(refused(Web, &text), RedirectUriError::HostCharacter, "{text}");
        }
    }
    for host in ["192.0.2.7", "[2001:db8::1]", "a-b.example", "xn--bcher-kva.example", "intranet"] {
        web(&format!("https://{host}:8443/cb"));
    }
}

#[test]
fn custom_schemes_are_for_native_apps_and_need_a_dot() {
    use RedirectUriError as E;
    assert_eq!(refused(Web, "com.example.app:/cb"), E::CustomSchemeNotNative);
    assert_eq!(refused(Native, "myapp:/cb"), E::CustomSchemeWithoutDot);
    assert_eq!(refused(Native, "myapp.:/cb"), E::CustomSchemeWithoutDot);
    assert_eq!(refused(Native, "com..app:/cb"), E::CustomSchemeWithoutDot);
    assert_eq!(refused(Native, "com.Example.app:/cb"), E::UpperCase);
    assert_eq!(refused(Native, "com.example.app://user@host/cb"), E::UserInfo);
    assert!(!native("com.example.app:/cb").matches("com.example.app://cb"));
}

#[test]
fn the_destination_says_where_the_user_is_sent() {
    let shown = |uri: RedirectUri| (uri.destination().host.clone(), uri.destination().kind);
    assert_eq!(
        shown(web("https://app.example:8443/cb?x=1")),
        ("app.example:8443".to_owned(), DestinationKind::Https)
    );
    assert_eq!(
        shown(web("http://localhost:3000/cb")),
        ("localhost:3000".to_owned(), DestinationKind::Loopback)
    );
    assert_eq!(
        shown(native("com.example.app:/cb")),
        ("com.example.app".to_owned(), DestinationKind::CustomScheme)
    );
    let resolved = native("http://127.0.0.1/cb").resolve("http://127.0.0.1:5000/cb").unwrap();
    assert_eq!(resolved.as_str(), "http://127.0.0.1:5000/cb");
    assert_eq!(resolved.destination().host, "127.0.0.1:5000");
}

fn registered() -> [RedirectUri; 5] {
    [
        web("https://ok.example/cb"),
        web("http://localhost:3000/cb"),
        native("http://127.0.0.1/cb"),
        native("http://[::1]:9000/cb?x=1"),
        native("com.example.app:/cb"),
    ]
}

proptest! {
    /// Whatever is presented: if it matches, a browser goes to the registered authority.
    #[test]
    fn a_match_never_leads_to_another_authority(
        prefix in prop::sample::select(vec![
            "https://ok.example", "http://127.0.0.1", "http://[::1]", "http://localhost:3000",
            "com.example.app:", "",
        ]),
        middle in "(:[0-9]{1,5})?[:@/\\\\.#?%;0-9a-z\t ]{0,8}",
        suffix in prop::sample::select(vec!["/cb", "/cb?x=1", "", "/"]),
    ) {
        let presented = format!("{prefix}{middle}{suffix}");
        for uri in registered() {
            if !uri.matches(&presented) {
                continue;
            }
            let ours = Url::parse(uri.as_str()).unwrap();
            let theirs = Url::parse(&presented).unwrap();
            prop_assert_eq!(ours.scheme(), theirs.scheme());
            prop_assert_eq!(ours.host_str(), theirs.host_str());
            prop_assert_eq!(theirs.username(), "");
            prop_assert_eq!(ours.path(), theirs.path());
            prop_assert_eq!(ours.query(), theirs.query());
            prop_assert_eq!(theirs.fragment(), None);
        }
    }

    #[test]
    fn whatever_can_be_registered_reads_the_same_in_a_browser(
        text in "(https?|com\\.app)://?[a-z0-9.\\[\\]:@%-]{0,12}[/?#;.%a-f0-9\\\\]{0,12}",
    ) {
        if let Ok(uri) = RedirectUri::register(Native, &text) {
            let parsed = Url::parse(&text).unwrap();
            prop_assert!(parsed.username().is_empty() && parsed.fragment().is_none());
            if uri.destination().kind == DestinationKind::Https {
                prop_assert!(uri.destination().host.starts_with(parsed.host_str().unwrap()));
            }
            prop_assert!(uri.matches(&text));
        }
    }
}
