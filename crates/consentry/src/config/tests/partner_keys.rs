//! `[partner_keys]` as an operator meets it: what a right table means, and what a wrong one is told.

use std::io;
use std::path::Path;
use std::time::Duration;

use super::super::{Config, Environment};

const MASTER: &str = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

const RIGHT: &str = r#"issuer = "https://auth.example.com"
[[scope]]
name = "apikeys.create"
text = "get a key"
[[scope]]
name = "apikeys.read"
text = "see its key"
[[scope]]
name = "apikeys.delete"
text = "delete its key"
[[resource]]
path_prefix = "/v1"
[[resource.route]]
methods = ["GET", "POST"]
path = "/v1/orders/{id}"
scopes = ["apikeys.read"]
[[resource.route]]
method = "POST"
path = "/v1/withdraw"
public = true
[[resource]]
host = "api.example.com"
[[resource.route]]
method = "POST"
path = "/v1/withdraw"
public = true
[[resource.route]]
method = "POST"
path = "/pay"
public = true
[partner_keys]
[[partner_keys.group]]
name = "trading"
title = "Trading"
endpoints = ["/v1/orders/{id}"]
[[partner_keys.group.translation]]
language = "uk"
text = "Торгівля"
[[partner_keys.group]]
name = "paying"
title = "Paying"
money = true
endpoints = ["/pay"]
"#;

fn parse(text: &str) -> Result<Config, String> {
    let read = |path: &Path| match path.to_str() {
        Some("etc/master.key") => Ok(MASTER.as_bytes().to_vec()),
        _ => Err(io::Error::from(io::ErrorKind::NotFound)),
    };
    Config::parse(Path::new("etc/consentry.toml"), text, &Environment::default(), &read)
        .map_err(|errors| errors.to_string())
}

/// What the operator is told when `from` is `to`.
#[track_caller]
fn told(from: &str, to: &str) -> String {
    assert!(RIGHT.contains(from), "{from}");
    parse(&RIGHT.replace(from, to)).expect_err("a mistake")
}

#[test]
fn a_right_table_means_what_it_says() {
    let terms = parse(RIGHT).unwrap().policy.partner_keys.unwrap();
    assert_eq!(terms.create.as_str(), "apikeys.create");
    assert_eq!(terms.access_token, Duration::from_secs(4 * 3600));
    let [trading, paying] = terms.groups.as_slice() else { panic!("{terms:?}") };
    assert!(paying.moves_money && !trading.moves_money);
    assert_eq!(trading.title.in_locale("uk-UA"), "Торгівля");
    assert_eq!(trading.endpoints[0].url, "/v1/orders/{id}");
    assert_eq!(trading.endpoints[0].access.len(), 2, "of both methods");
    let none = RIGHT.split("[partner_keys]").next().unwrap();
    assert_eq!(parse(none).unwrap().policy.partner_keys, None);
}

#[test]
fn a_scope_that_is_not_declared_is_told() {
    insta::assert_snapshot!(told("[partner_keys]\n", "[partner_keys]\ncreate_scope = \"apikeys.creat\"\n"), @r"
    etc/consentry.toml:32:16: no scope is called `apikeys.creat`, which `create_scope` needs
        Did you mean `apikeys.create`?
    ");
    insta::assert_snapshot!(told("name = \"apikeys.delete\"", "name = \"keys.delete\""), @r"
    etc/consentry.toml:31:1: no scope is called `apikeys.delete`, which `delete_scope` needs
        Did you mean `keys.delete`?
    ");
}

#[test]
fn an_endpoint_that_is_no_route_is_told() {
    insta::assert_snapshot!(told("[\"/pay\"]", "[\"/pays\"]"), @r"
    etc/consentry.toml:43:14: no route has the path /pays
        Write it as the route has it, or add the route.
    ");
    insta::assert_snapshot!(told("[\"/v1/orders/{id}\"]", "[\"/v1/orders/{order}\"]"), @r"
    etc/consentry.toml:35:14: the route of /v1/orders/{order} is written otherwise
        Write it as there.
    ");
    insta::assert_snapshot!(told("[\"/pay\"]", "[\"pay\"]"), @r#"
    etc/consentry.toml:43:14: the pattern "pay" must start with a slash
        Write the path of a route.
    "#);
}

#[test]
fn an_endpoint_that_means_two_things_is_told() {
    insta::assert_snapshot!(told("[\"/pay\"]", "[\"/v1/withdraw\"]"), @r"
    etc/consentry.toml:43:14: several APIs have the path /v1/withdraw
        A permission must not mean two things.
    ");
    insta::assert_snapshot!(told("[\"/pay\"]", "[\"/pay\", \"/v1/orders/{id}\"]"), @r"
    etc/consentry.toml:43:22: /v1/orders/{id} is in two groups, or twice in one
        Keep one of them.
    ");
}

#[test]
fn a_group_that_permits_nothing_or_is_there_twice_is_told() {
    insta::assert_snapshot!(told("endpoints = [\"/pay\"]\n", ""), @r#"
    etc/consentry.toml:39:1: the group has no endpoints, so it permits nothing
        Add endpoints = ["/api/…"] with the paths of routes.
    "#);
    insta::assert_snapshot!(told("name = \"paying\"", "name = \"trading\""), @r"
    etc/consentry.toml:40:8: the group `trading` is declared twice
        Remove one of them.
    ");
    insta::assert_snapshot!(told("name = \"paying\"", "name = \"Paying bills\""), @r"
    etc/consentry.toml:40:8: `name` cannot be `Paying bills`
        Use up to 32 small letters, digits, `-`, `_` and `.`.
    ");
    insta::assert_snapshot!(told("language = \"uk\"", "language = \"Ukrainian!\""), @r"
    etc/consentry.toml:37:12: `language` cannot be `Ukrainian!`
        Write a language such as de, or pt-BR.
    ");
    let without = RIGHT.split("[[partner_keys.group]]").next().unwrap();
    insta::assert_snapshot!(parse(without).expect_err("a mistake"), @r"
    etc/consentry.toml:31:1: there is no permission that a key could have
        Add [[partner_keys.group]] tables.
    ");
}
