//! Scopes: the alphabet of the RFC, and sets as text.

use super::*;

fn set(text: &str) -> ScopeSet {
    ScopeSet::parse(text).unwrap()
}

#[test]
fn the_alphabet_is_that_of_the_rfc() {
    for good in ["orders.create", "users:read", "https://api.example/x", "!", "a'b", "~"] {
        assert!(ScopeName::parse(good).is_ok(), "{good}");
    }
    for bad in ["a b", "a\"b", "a\\b", "é", "a\tb", "a\nb", "\u{7f}"] {
        assert_eq!(ScopeName::parse(bad), Err(InvalidScope::Character), "{bad:?}");
    }
    assert_eq!(ScopeName::parse(""), Err(InvalidScope::Empty));
    assert_eq!(ScopeName::parse(&"a".repeat(129)), Err(InvalidScope::TooLong));
}

#[test]
fn a_set_is_ordered_text_without_doubles() {
    assert_eq!(set(" b  a b ").to_string(), "a b");
    assert_eq!(set("").to_string(), "");
    assert!(set("   ").is_empty());
    assert_eq!(ScopeSet::parse("a\tb"), Err(InvalidScope::Character));
}

#[test]
fn x1_a_set_from_outside_is_bounded() {
    let names: Vec<String> = (0..=COUNT_MAX).map(|number| format!("s{number}")).collect();
    assert_eq!(ScopeSet::parse(&names.join(" ")), Err(InvalidScope::TooMany));
}

#[test]
fn set_operations_do_what_they_say() {
    let (ab, bc) = (set("a b"), set("b c"));
    assert_eq!(ab.intersection(&bc), set("b"));
    assert_eq!(ab.difference(&bc), set("a"));
    assert_eq!(ab.union(&bc), set("a b c"));
    assert!(set("b").is_subset(&ab));
    assert!(!bc.is_subset(&ab));
    assert!(set("").is_subset(&ab));
    assert!(ab.contains("a") && !ab.contains("c"));
}

#[test]
fn a_set_stays_in_order_as_it_changes_and_its_copies_do_not_change() {
    let before = set("b d");
    let mut after = before.clone();
    assert!(after.insert(ScopeName::parse("c").unwrap()));
    assert!(!after.insert(ScopeName::parse("c").unwrap()));
    after.extend([ScopeName::parse("a").unwrap(), ScopeName::parse("d").unwrap()]);
    assert_eq!(after, set("a b c d"));
    assert!(after.remove("b") && !after.remove("b"));
    assert_eq!(after.to_string(), "a c d");
    assert_eq!(before.to_string(), "b d");
}

#[test]
fn a_scope_is_not_contained_by_its_prefix() {
    assert!(!set("orders").contains("orders.create"));
    assert!(!set("orders.create").is_subset(&set("orders")));
}

#[test]
fn serde_is_the_text() {
    assert_eq!(serde_json::to_string(&set("b a")).unwrap(), r#""a b""#);
    assert_eq!(serde_json::from_str::<ScopeSet>(r#""b a""#).unwrap(), set("a b"));
    assert!(serde_json::from_str::<ScopeSet>(r#""a\"b""#).is_err());
    assert!(serde_json::from_str::<ScopeName>(r#""a b""#).is_err());
}
