//! Patterns, specificity, and rows G1 and G2 of the attack list.

use proptest::prelude::*;

use super::*;

fn pattern(text: &str) -> RoutePattern {
    RoutePattern::parse(text).unwrap_or_else(|error| panic!("{error}"))
}

fn path(raw: &str) -> NormalPath {
    NormalPath::parse(raw).unwrap_or_else(|error| panic!("{raw}: {error}"))
}

fn table(routes: &[(&str, &'static str)]) -> RouteTable<&'static str> {
    let mut table = RouteTable::new();
    for (method, text) in routes {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        table.insert(method, pattern(text), *text).unwrap();
    }
    table
}

fn found(table: &RouteTable<&'static str>, raw: &str) -> Option<&'static str> {
    match table.lookup(&Method::GET, &path(raw)) {
        Lookup::Found(route) => Some(route),
        Lookup::NotFound => None,
        Lookup::MethodNotAllowed(methods) => panic!("{raw}: only {methods:?}"),
    }
}

#[test]
fn a_parameter_is_one_full_segment() {
    let download = pattern("/v2/files/{code}/download");
    assert!(download.matches(&path("/v2/files/abc/download")));
    assert!(download.matches(&path("/v2/files/a%20b/download")));
    for raw in ["/v2/files/download", "/v2/files/a/b/download", "/v2/files/abc/download/", "/v2"] {
        assert!(!download.matches(&path(raw)), "{raw}");
    }
    assert!(!pattern("/v2/files/{code}").matches(&path("/v2/files/")));
}

#[test]
fn a_tail_takes_one_segment_or_more() {
    let tail = pattern("/static/{*rest}");
    for raw in ["/static/a", "/static/a/b", "/static/a/b/"] {
        assert!(tail.matches(&path(raw)), "{raw}");
    }
    for raw in ["/static", "/static/", "/other/a"] {
        assert!(!tail.matches(&path(raw)), "{raw}");
    }
}

#[test]
fn bad_patterns_are_told() {
    use PatternError as E;
    assert!(matches!(RoutePattern::parse("v2/me"), Err(E::NotAbsolute(_))));
    assert!(matches!(RoutePattern::parse("/{*rest}/a"), Err(E::TailNotLast(_))));
    assert!(matches!(RoutePattern::parse("/{a}/{a}"), Err(E::DoubledName(_))));
    for text in ["/{}", "/{*}", "/a{b}", "/{b}c", "/{a b}", "/{a", "/a}"] {
        assert!(matches!(RoutePattern::parse(text), Err(E::BadSegment(_))), "{text}");
    }
    for text in ["/a//b", "/a/../b", "/a b", "/a%2fb", "/%61", "/x/."] {
        assert!(matches!(RoutePattern::parse(text), Err(E::NotNormal(_, _))), "{text}");
    }
}

#[test]
fn the_most_specific_pattern_decides() {
    let table = table(&[
        ("GET", "/v2/cloud"),
        ("GET", "/v2/cloud/{code}"),
        ("GET", "/v2/cloud/byPath"),
        ("GET", "/v2/cloud/{code}/download-as-zip"),
        ("GET", "/v2/{*rest}"),
        ("GET", "/"),
    ]);
    for (raw, expected) in [
        ("/", Some("/")),
        ("/v2/cloud", Some("/v2/cloud")),
        ("/v2/cloud/byPath", Some("/v2/cloud/byPath")),
        ("/v2/cloud/x1", Some("/v2/cloud/{code}")),
        ("/v2/cloud/x1/download-as-zip", Some("/v2/cloud/{code}/download-as-zip")),
        ("/v2/cloud/byPath/download-as-zip", Some("/v2/cloud/{code}/download-as-zip")),
        ("/v2/cloud/x1/other", Some("/v2/{*rest}")),
        ("/v2/else", Some("/v2/{*rest}")),
        ("/v3", None),
        ("/v2", None),
    ] {
        assert_eq!(found(&table, raw), expected, "{raw}");
    }
}

#[test]
fn g1_a_path_that_differs_from_a_literal_by_case_or_encoding_is_no_parameter() {
    let table = table(&[
        ("GET", "/orders/{id}"),
        ("GET", "/orders/admin"),
        ("GET", "/orders/a:b"),
        ("GET", "/files/{*rest}"),
        ("GET", "/files/secret/keys"),
    ]);
    for raw in [
        "/orders/ADMIN",
        "/orders/Admin",
        "/orders/a%3Ab",
        "/orders/A%3ab",
        "/Orders/admin",
        "/files/SECRET/keys",
        "/files/secret/Keys",
        "/files/secret/keys/",
    ] {
        assert_eq!(found(&table, raw), None, "{raw}");
    }
    assert_eq!(found(&table, "/orders/%61dmin"), Some("/orders/admin"));
    assert_eq!(found(&table, "/orders/administrator"), Some("/orders/{id}"));
    assert_eq!(found(&table, "/files/secret/other"), Some("/files/{*rest}"));
}

#[test]
fn g1_a_trailing_slash_is_another_path() {
    let table = table(&[
        ("GET", "/v2/me"),
        ("GET", "/v2/list"),
        ("GET", "/v2/list/"),
        ("GET", "/v2/{name}"),
        ("GET", "/admin/"),
        ("GET", "/{name}"),
        ("GET", "/{*rest}"),
    ]);
    assert_eq!(found(&table, "/v2/me/"), None);
    assert_eq!(found(&table, "/admin"), None);
    assert_eq!(found(&table, "/admin/"), Some("/admin/"));
    assert_eq!(found(&table, "/v2/list"), Some("/v2/list"));
    assert_eq!(found(&table, "/v2/list/"), Some("/v2/list/"));
    assert_eq!(found(&table, "/a/b/c/"), Some("/{*rest}"));
}

#[test]
fn g2_an_unknown_method_is_405_with_the_known_ones() {
    let table = table(&[("GET", "/a"), ("DELETE", "/a"), ("POST", "/b"), ("POST", "/{x}")]);
    let lookup = |method: Method, raw| table.lookup(&method, &path(raw));
    assert_eq!(
        lookup(Method::PUT, "/a"),
        Lookup::MethodNotAllowed(vec![Method::GET, Method::DELETE, Method::HEAD])
    );
    assert_eq!(lookup(Method::GET, "/b"), Lookup::MethodNotAllowed(vec![Method::POST]));
    // Not `/{x}`: the upstream might send it to `/a`.
    assert!(matches!(lookup(Method::POST, "/a"), Lookup::MethodNotAllowed(_)));
    assert_eq!(lookup(Method::GET, "/c/d"), Lookup::NotFound);
    let odd = Method::from_bytes(b"get").unwrap();
    assert!(matches!(lookup(odd, "/a"), Lookup::MethodNotAllowed(_)));
}

#[test]
fn head_follows_get() {
    let table = table(&[("GET", "/a"), ("POST", "/b")]);
    assert_eq!(table.lookup(&Method::HEAD, &path("/a")), Lookup::Found(&"/a"));
    assert!(matches!(table.lookup(&Method::HEAD, &path("/b")), Lookup::MethodNotAllowed(_)));
}

#[test]
fn the_same_route_twice_is_a_conflict() {
    let mut table = RouteTable::new();
    table.insert(Method::GET, pattern("/a/{x}"), 1).unwrap();
    table.insert(Method::PUT, pattern("/a/{y}"), 2).unwrap();
    let conflict = table.insert(Method::GET, pattern("/a/{z}"), 3).unwrap_err();
    assert_eq!(conflict.earlier.as_str(), "/a/{x}");
    assert!(pattern("/a/{x}").is_same_shape(&pattern("/a/{z}")));
}

#[test]
fn overlaps_are_seen() {
    for (one, other, expected) in [
        ("/a/{x}", "/a/b", true),
        ("/a/{x}/c", "/a/b/{y}", true),
        ("/a/{x}", "/a/b/c", false),
        ("/{*rest}", "/a/b", true),
        ("/a/{*rest}", "/a", false),
        ("/a/{*rest}", "/a/", false),
        ("/a/{x}", "/a/", false),
        ("/a/{*rest}", "/b/{*rest}", false),
        ("/a", "/a", true),
        ("/a", "/b", false),
    ] {
        assert_eq!(pattern(one).overlaps(&pattern(other)), expected, "{one} {other}");
        assert_eq!(pattern(other).overlaps(&pattern(one)), expected, "{other} {one}");
    }
}

#[test]
fn specificity_is_a_total_order_by_shape() {
    let mut patterns: Vec<RoutePattern> =
        ["/{*r}", "/a/{x}", "/{x}", "/a/b", "/a/{*r}"].iter().map(|text| pattern(text)).collect();
    patterns.sort_by(RoutePattern::cmp_specificity);
    let texts: Vec<&str> = patterns.iter().map(RoutePattern::as_str).collect();
    assert_eq!(texts, ["/a/b", "/a/{x}", "/a/{*r}", "/{x}", "/{*r}"]);
}

proptest! {
    /// The most specific pattern that fits decides, unless the path with its trailing slash added
    /// or taken away belongs to a more specific one.
    #[test]
    fn the_table_agrees_with_its_patterns(
        texts in proptest::collection::hash_set("(/(a|b|c|\\{x\\})){1,3}(/\\{\\*r\\})?", 1..8),
        raw in "(/[abcd]){1,5}/?",
    ) {
        let mut table = RouteTable::new();
        let mut patterns: Vec<RoutePattern> = Vec::new();
        for text in texts {
            let Ok(pattern) = RoutePattern::parse(&text) else { continue };
            if table.insert(Method::GET, pattern.clone(), pattern.clone()).is_ok() {
                patterns.push(pattern);
            }
        }
        let best = |raw: &str| {
            let path = path(raw);
            let fitting = patterns.iter().filter(|pattern| pattern.matches(&path));
            fitting.min_by(|one, other| one.cmp_specificity(other))
        };
        let toggled = raw.strip_suffix('/').map_or(format!("{raw}/"), str::to_owned);
        let expected = best(&raw).filter(|best_fit| {
            !best_fit.as_str().ends_with('}')
                || best(&toggled).is_none_or(|other| other.cmp_specificity(best_fit).is_ge())
        });
        let found = match table.lookup(&Method::GET, &path(&raw)) {
            Lookup::Found(route) => Some(route),
            Lookup::NotFound => None,
            Lookup::MethodNotAllowed(methods) => panic!("every route has GET, not {methods:?}"),
        };
        prop_assert_eq!(found, expected);
    }
}
