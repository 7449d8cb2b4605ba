//! The part of a dialect file about partner keys.

use super::*;

/// What the operator is told when `from` of the part about keys is `to`.
#[track_caller]
fn told_of_keys(from: &str, to: &str) -> String {
    assert!(KEYS.contains(from), "{from}");
    parse(CONFIG, &format!("{OLDEN}{}", KEYS.replace(from, to))).expect_err("a mistake")
}

#[test]
fn a_dialect_says_where_its_apps_ask_about_keys() {
    let config = parse(CONFIG, &format!("{OLDEN}{KEYS}")).unwrap();
    let dialect = &config.policy.dialects[0];
    assert!(dialect.owns("/v1/key/550e8400/secret") && !dialect.owns("/v1/key/a/b"));
    assert!(config.policy.is_dialect_path("/v1/key/550e8400"));
}

#[test]
fn an_address_of_a_key_without_its_id_is_told() {
    insta::assert_snapshot!(told_of_keys("/v1/key/{id}/secret", "/v1/key/secret"), @r"
    etc/olden.toml:43:8: `path` cannot be `/v1/key/secret`
        One segment of it is {id}, for the id of the key.
    ");
    insta::assert_snapshot!(told_of_keys("path = \"/v1/key\"", "path = \"/v1/key/{id}\""), @r"
    etc/olden.toml:40:8: `path` cannot be `/v1/key/{id}`
        It has no {id}: the token says whose key it is.
    etc/olden.toml:46:8: two parts of the dialect answer /v1/key/{id}
        Give one of them another path.
    ");
}

#[test]
fn a_secret_that_is_told_nowhere_or_everywhere_is_told() {
    insta::assert_snapshot!(told_of_keys("{{secret}}", "{{external_id}}"), @r"
    etc/olden.toml:42:1: {{secret}} belongs into the template of `secret`, and nowhere else
        The secret is told once, there.
    ");
    insta::assert_snapshot!(told_of_keys("{{exists}}", "{{secret}}"), @r"
    etc/olden.toml:42:1: {{secret}} belongs into the template of `secret`, and nowhere else
        The secret is told once, there.
    ");
}

#[test]
fn a_part_about_keys_that_says_what_nobody_knows_is_told() {
    insta::assert_snapshot!(told_of_keys("\"locked\"", "\"looked\""), @r"
    etc/olden.toml:49:9: `when` cannot be `looked`
        Did you mean `locked`? It is one of: invalid_token, insufficient_scope, access_denied, not_found, secret_read, locked, temporarily_unavailable, server_error.
    ");
    insta::assert_snapshot!(told_of_keys("asked_by = \"state\"", "asked_by = \"nonsense\""), @r"
    etc/olden.toml:35:12: `asked_by` cannot be `nonsense`
        It is one of: client_id, redirect_uri, response_type, response_mode, scope, state, code_challenge, code_challenge_method, prompt, max_age, login_hint, resource.
    ");
    insta::assert_snapshot!(told_of_keys("\"key\"", "\"code\""), @r"
    etc/olden.toml:36:22: `redirect_parameter` cannot be `code`
        Write a name that the answer does not have yet.
    ");
    let last = "[[partner_keys.error]]\ntemplate = '{\"no\": \"{{error}}\"}'\n";
    insta::assert_snapshot!(told_of_keys(last, ""), @r"
    etc/olden.toml:48:1: nothing fits every refusal
        Add a last [[partner_keys.error]] without `when`.
    ");
}
