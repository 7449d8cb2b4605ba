//! Paths and routes: a path has one reading, the same for us, a browser and a decoder; the table
//! finds the most specific pattern that a plain search would find. Fields: path, patterns by line.

use std::cmp::Ordering;

use http::Method;
use protocol::path::NormalPath;
use protocol::route::{Lookup, RoutePattern, RouteTable};
use url::Url;

use super::input::Input;

pub fn check(data: &[u8]) {
    let mut input = Input::new(data);
    let raw = input.text();
    let patterns = input.text();
    let Ok(path) = NormalPath::parse(&raw) else { return };
    check_path(&raw, &path);
    let patterns: Vec<RoutePattern> =
        patterns.lines().take(20).filter_map(|line| RoutePattern::parse(line).ok()).collect();
    check_routes(&path, &patterns);
}

fn check_path(raw: &str, path: &NormalPath) {
    let text = path.as_str();
    assert_eq!(NormalPath::parse(text).as_ref(), Ok(path), "normal paths stay as they are");
    let read = Url::parse(&format!("http://a{text}")).unwrap();
    assert_eq!((read.path(), read.query(), read.fragment()), (text, None, None));
    assert_eq!(decode(raw), decode(text), "another path");
    let decoded = decode(text);
    assert!(std::str::from_utf8(&decoded).is_ok());
    assert!(!decoded.iter().any(|byte| byte.is_ascii_control() || *byte == b'\\'));
    assert_eq!(
        decoded.iter().filter(|byte| **byte == b'/').count(),
        text.matches('/').count(),
        "a slash was hidden"
    );
    let twice = decode(&String::from_utf8(decoded.clone()).unwrap());
    assert_eq!(twice, decoded, "a second decoding gives another path");
    let is_dots = |segment: &[u8]| {
        let name = segment.split(|byte| *byte == b';').next().unwrap();
        name == b"." || name == b".."
    };
    assert!(!decoded.split(|byte| *byte == b'/').any(is_dots), "a dot segment");
    assert_eq!(format!("/{}", path.segments().collect::<Vec<_>>().join("/")), text);
}

fn check_routes(path: &NormalPath, patterns: &[RoutePattern]) {
    let mut table = RouteTable::new();
    let mut inserted: Vec<&RoutePattern> = Vec::new();
    for (index, pattern) in patterns.iter().enumerate() {
        let is_doubled = inserted.iter().any(|known| known.is_same_shape(pattern));
        let outcome = table.insert(Method::GET, pattern.clone(), index);
        assert_eq!(outcome.is_err(), is_doubled, "{pattern}");
        if !is_doubled {
            inserted.push(pattern);
        }
    }
    let fitting: Vec<_> = inserted.iter().filter(|pattern| pattern.matches(path)).collect();
    for (a, b) in fitting.iter().zip(fitting.iter().skip(1)) {
        assert!(a.overlaps(b) && b.overlaps(a), "{a} and {b} have a path in common");
        assert_eq!(a.cmp_specificity(b), b.cmp_specificity(a).reverse());
    }
    let found = table.pattern_for(path);
    if let Some(found) = found {
        assert!(found.matches(path), "{found} does not fit");
        let is_better = |other: &RoutePattern| other.cmp_specificity(found) == Ordering::Less;
        assert!(!fitting.iter().any(|other| is_better(other)), "{found} is not the best");
    }
    match table.lookup(&Method::GET, path) {
        Lookup::Found(index) => {
            assert_eq!(Some(patterns[*index].as_str()), found.map(|p| p.as_str()))
        }
        Lookup::NotFound => assert!(found.is_none()),
        Lookup::MethodNotAllowed(_) => panic!("every route is a GET"),
    }
    assert!(!matches!(table.lookup(&Method::POST, path), Lookup::Found(_)));
}

/// Percent-decoding by another hand: a wrong escape stays as it is.
fn decode(text: &str) -> Vec<u8> {
    // The form decoder would also turn a plus sign into a space.
    let protected = text.replace('+', "%2B").replace('&', "%26").replace('=', "%3D");
    form_urlencoded::parse(protected.as_bytes())
        .next()
        .map(|(name, _)| name.into_owned().into_bytes())
        .unwrap_or_default()
}
