//! Dialect files as an operator meets them: what a wrong one is told, by file and line.

use std::io;
use std::path::Path;

use super::super::{Config, Environment};

mod keys;

const MASTER: &str = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

const CONFIG: &str = r#"issuer = "https://auth.example.com"
dialects = ["./olden.toml"]
[[resource]]
path_prefix = "/v1"
[[resource.route]]
method = "GET"
path = "/v1/items"
public = true
"#;

const OLDEN: &str = r#"name = "olden"
relax = ["pkce"]
[lifetimes]
access_token = "1h"
refresh_token = "1d"
grant = "30d"
[authorize]
path = "/v1/ask"
defaults = { response_type = "code" }
[authorize.parameters]
client_id = "who"
[[token]]
path = "/v1/keys"
required = ["who", "kind"]
[token.parameters]
client_id = "who"
grant_type = "kind"
code = "ticket"
refresh_token = "renewal"
[token.grant_types]
authorization_code = "first"
refresh_token = "next"
[token.answer]
template = '{"key": "{{access_token}}"}'
[[token.error]]
when = ["invalid_client"]
status = 403
template = '{"no": "stranger"}'
[[token.error]]
template = '{"no": "{{error}}"}'
[[page]]
from = "/partners"
to = "/apps"
"#;

fn parse(config: &str, olden: &str) -> Result<Config, String> {
    let read = |path: &Path| match path.to_str() {
        Some("etc/master.key") => Ok(MASTER.as_bytes().to_vec()),
        Some("etc/olden.toml") => Ok(olden.as_bytes().to_vec()),
        Some("etc/newer.toml") => {
            Ok(olden.replace("olden", "newer").replace("/partners", "/friends").into_bytes())
        }
        _ => Err(io::Error::from(io::ErrorKind::NotFound)),
    };
    let environment = Environment::default();
    Config::parse(Path::new("etc/consentry.toml"), config, &environment, &read)
        .map_err(|errors| errors.to_string())
}

/// What the operator is told when `from` of the dialect file is `to`.
#[track_caller]
fn told(from: &str, to: &str) -> String {
    assert!(OLDEN.contains(from), "{from}");
    parse(CONFIG, &OLDEN.replace(from, to)).expect_err("a mistake")
}

/// The two rules of refusal.
const CLIENT: &str = "[[token.error]]\nwhen = [\"invalid_client\"]\nstatus = 403\n\
                      template = '{\"no\": \"stranger\"}'\n";
const LAST: &str = "[[token.error]]\ntemplate = '{\"no\": \"{{error}}\"}'\n";

#[test]
fn a_right_file_is_served() {
    let config = parse(CONFIG, OLDEN).unwrap();
    let names: Vec<_> = config.policy.dialects.iter().map(|dialect| &*dialect.name).collect();
    assert_eq!(names, ["olden"]);
}

#[test]
fn an_unknown_key_is_told_with_the_one_that_was_meant() {
    insta::assert_snapshot!(told("[authorize.parameters]\n", "[authorize.paramters]\n"), @r#"
    etc/olden.toml:7:1: no name for `client_id`, without which there is no request
        Add client_id = "…" to `parameters`.
    etc/olden.toml:10:12: `paramters` is not a key of [authorize]
        Did you mean `parameters`?
    "#);
    insta::assert_snapshot!(told("name = \"olden\"", "nam = \"olden\""), @r#"
    etc/olden.toml:1:1: `nam` is not a key of the dialect
        Did you mean `name`?
    etc/olden.toml:1:1: `name` is missing in the dialect
        The word for it in configuration and registrations: small letters, digits and `-`.
    "#);
}

#[test]
fn a_file_that_is_no_toml_is_told_where_it_breaks() {
    insta::assert_snapshot!(told("[lifetimes]", "[lifetimes"), @r#"
    etc/olden.toml:3:11: unclosed table, expected `]`
        This is not TOML; see https://toml.io for its grammar.
    "#);
}

#[test]
fn a_name_that_no_registration_could_say_is_told() {
    insta::assert_snapshot!(told("name = \"olden\"", "name = \"Old One\""), @r#"
    etc/olden.toml:1:8: `name` cannot be `Old One`
        Use up to 32 small letters, digits and `-`; `standard` is taken.
    "#);
    insta::assert_snapshot!(told("name = \"olden\"", "name = \"standard\""), @r#"
    etc/olden.toml:1:8: `name` cannot be `standard`
        Use up to 32 small letters, digits and `-`; `standard` is taken.
    "#);
}

#[test]
fn a_rule_that_cannot_be_relaxed_is_told_with_those_that_can() {
    insta::assert_snapshot!(told("\"pkce\"", "\"pcke\""), @r#"
    etc/olden.toml:2:10: `relax` cannot be `pcke`
        It is one of: pkce, redirect_uri_repeat, loopback_port, iss, bare_token.
    "#);
}

#[test]
fn a_template_that_is_no_json_is_told() {
    insta::assert_snapshot!(told(r#"'{"no": "{{error}}"}'"#, "'{\"no\": '"), @r#"
    etc/olden.toml:30:12: the template is not JSON: EOF while parsing a value at line 1 column 7
        See docs/operator/dialect-files.md for what a template is.
    "#);
}

#[test]
fn an_unknown_or_open_placeholder_is_told_with_those_there_are() {
    insta::assert_snapshot!(told("{{error}}", "{{eror}}"), @r#"
    etc/olden.toml:30:12: the template has the unknown placeholder {{eror}}; known are: error, description, status, missing
        See docs/operator/dialect-files.md for what a template is.
    "#);
    insta::assert_snapshot!(told("{{error}}", "{{error"), @r#"
    etc/olden.toml:30:12: the template has a {{ without }} in "{{error"
        See docs/operator/dialect-files.md for what a template is.
    "#);
}

#[test]
fn an_answer_without_the_token_is_told() {
    insta::assert_snapshot!(told("{{access_token}}", "{{scope}}"), @r#"
    etc/olden.toml:24:12: the template has no {{access_token}}, so nobody would get one
        Add it.
    "#);
}

#[test]
fn a_missing_path_is_told() {
    insta::assert_snapshot!(told("path = \"/v1/keys\"\n", ""), @r#"
    etc/olden.toml:12:1: `path` is missing in [token]
        Its address on the issuer's host.
    "#);
}

#[test]
fn a_path_of_the_standards_endpoints_and_pages_is_told() {
    insta::assert_snapshot!(told("/v1/keys", "/oauth/token"), @r#"
    etc/olden.toml:13:8: `path` cannot be `/oauth/token`
        /oauth is where the standard's endpoints and pages are.
    "#);
}

#[test]
fn a_path_that_two_programs_could_read_differently_is_told() {
    insta::assert_snapshot!(told("/v1/keys", "/v1/{any}/"), @r#"
    etc/olden.toml:13:8: `path` cannot be `/v1/{any}/`
        the path contains a character that must be percent-encoded.
    "#);
    insta::assert_snapshot!(told("/v1/keys", "/v1/../keys"), @r#"
    etc/olden.toml:13:8: `path` cannot be `/v1/../keys`
        the path contains a . or .. segment.
    "#);
}

#[test]
fn two_parts_with_one_path_are_told() {
    insta::assert_snapshot!(told("/v1/keys", "/v1/ask"), @r#"
    etc/olden.toml:13:8: two parts of the dialect answer /v1/ask
        Give one of them another path.
    "#);
}

#[test]
fn refusals_without_a_rule_for_the_rest_are_told() {
    insta::assert_snapshot!(told(LAST, ""), @r#"
    etc/olden.toml:25:1: the last [[token.error]] does not fit everything
        Add one without `when` behind it.
    "#);
}

#[test]
fn an_endpoint_without_refusals_is_told() {
    insta::assert_snapshot!(told(&[CLIENT, LAST].concat(), ""), @r#"
    etc/olden.toml:12:1: the endpoint does not say how it refuses
        Add [[token.error]] with a `template` and without `when`.
    "#);
}

#[test]
fn a_rule_that_is_never_reached_is_told() {
    insta::assert_snapshot!(told("when = [\"invalid_client\"]\n", ""), @r#"
    etc/olden.toml:28:1: an earlier [[token.error]] fits everything, so this one is never used
        Move it before that one, or remove it.
    "#);
    insta::assert_snapshot!(told(LAST, &[CLIENT, LAST].concat()), @r#"
    etc/olden.toml:30:9: `invalid_client` is answered by an earlier [[token.error]]
        Remove one of them.
    "#);
}

#[test]
fn an_unknown_refusal_is_told_with_those_there_are() {
    insta::assert_snapshot!(told("\"invalid_client\"", "\"invalid_cleint\""), @r#"
    etc/olden.toml:26:9: `when` cannot be `invalid_cleint`
        Did you mean `invalid_client`? It is one of: missing_parameter, invalid_request, invalid_client, invalid_grant, unauthorized_client, unsupported_grant_type, invalid_scope, slow_down, temporarily_unavailable, server_error.
    "#);
}

#[test]
fn refresh_tokens_that_nobody_takes_or_gives_are_told() {
    insta::assert_snapshot!(told("refresh_token = \"next\"\n", ""), @r#"
    etc/olden.toml:5:17: there are refresh tokens, but no endpoint takes them
        `lifetimes.refresh_token` and a [[token]] for refresh tokens belong together.
    "#);
    insta::assert_snapshot!(told("refresh_token = \"1d\"\n", ""), @r#"
    etc/olden.toml:3:1: an endpoint takes refresh tokens, but there are none
        `lifetimes.refresh_token` and a [[token]] for refresh tokens belong together.
    "#);
}

#[test]
fn a_dialect_in_which_nobody_gets_a_token_is_told() {
    insta::assert_snapshot!(told("authorization_code = \"first\"\n", ""), @r#"
    etc/olden.toml:1:1: no [[token]] takes codes, so nobody gets a token
        Add one with grant = "authorization_code".
    "#);
}

#[test]
fn lifetimes_that_cannot_be_are_told() {
    insta::assert_snapshot!(told("access_token = \"1h\"", "access_token = \"31d\""), @r#"
    etc/olden.toml:4:16: `access_token` is longer than `grant`, whose end is its end
        Raise `grant`.
    "#);
    insta::assert_snapshot!(told("access_token = \"1h\"", "access_token = \"soon\""), @r#"
    etc/olden.toml:4:16: `access_token` cannot be `soon`
        Write a whole number with a unit: ms, s, m, h or d, such as "10m".
    "#);
}

#[test]
fn a_route_that_an_endpoint_would_hide_is_told() {
    insta::assert_snapshot!(told("/v1/keys", "/v1/items"), @r#"
    etc/consentry.toml:2:12: /v1/items is an endpoint of the dialect `olden` and a route of auth.example.com
        The endpoint would hide the route: remove the route.
    "#);
}

#[test]
fn a_parameter_without_which_there_is_no_request_is_told() {
    insta::assert_snapshot!(told("code = \"ticket\"\n", ""), @r#"
    etc/olden.toml:15:1: no name for `code`, without which there is no request
        Add code = "…" to `parameters`.
    "#);
}

#[test]
fn a_request_that_does_not_say_what_it_asks_for_is_told() {
    insta::assert_snapshot!(told("grant_type = \"kind\"\n", ""), @r#"
    etc/olden.toml:12:1: it is not clear what a request here asks for
        Write either grant = "…" alone, or a name for `grant_type` in `parameters` and its words in `grant_types`.
    etc/olden.toml:14:20: `required` cannot be `kind`
        It is one of: who, ticket, renewal.
    "#);
}

#[test]
fn a_required_field_that_has_no_meaning_is_told() {
    insta::assert_snapshot!(told("\"who\", \"kind\"", "\"whom\""), @r#"
    etc/olden.toml:14:13: `required` cannot be `whom`
        Did you mean `who`? It is one of: kind, who, ticket, renewal.
    "#);
}

#[test]
fn a_body_that_nobody_can_send_is_told() {
    insta::assert_snapshot!(told("required =", "bodies = [\"xml\"]\nrequired ="), @r#"
    etc/olden.toml:14:11: `bodies` cannot be `xml`
        It is one of: form, json, json_as_form.
    "#);
    insta::assert_snapshot!(told("required =", "bodies = []\nrequired ="), @r#"
    etc/olden.toml:14:10: no body is taken, so no request can be made
        Name some of: form, json, json_as_form.
    "#);
}

#[test]
fn a_separator_that_scopes_could_contain_is_told() {
    insta::assert_snapshot!(told("path = \"/v1/ask\"", "path = \"/v1/ask\"\nscope_separator = \"a\""), @r#"
    etc/olden.toml:9:19: `scope_separator` cannot be `a`
        It is one of: space, `,`, `;`, `|`, `+`.
    "#);
}

#[test]
fn a_scope_that_a_dialect_would_take_for_two_is_told() {
    let scope = "[[scope]]\nname = \"items,read\"\ntext = \"see your items\"\n";
    let comma = OLDEN.replace("[token.answer]", "[token.answer]\nscope_separator = \",\"");
    assert!(parse(&format!("{CONFIG}{scope}"), OLDEN).is_ok());
    insta::assert_snapshot!(parse(&format!("{CONFIG}{scope}"), &comma).unwrap_err(), @r#"
    etc/consentry.toml:2:12: the dialect `olden` separates scopes by a character of `items,read`
        Call the scope something else.
    "#);
}

#[test]
fn a_status_that_cannot_be_sent_is_told() {
    insta::assert_snapshot!(told("status = 403", "status = 99"), @r#"
    etc/olden.toml:27:10: `status` cannot be `99`
        It is an HTTP status of an answer: 200, 4xx or 5xx.
    "#);
}

#[test]
fn a_page_that_is_not_ours_is_told() {
    insta::assert_snapshot!(told("to = \"/apps\"", "to = \"https://elsewhere.example\""), @r#"
    etc/olden.toml:33:6: `to` cannot be `https://elsewhere.example`
        It is a page of Consentry, such as /apps or /apps/new.
    "#);
}

#[test]
fn an_envelope_that_cannot_be_written_is_told() {
    insta::assert_snapshot!(told("[[page]]", "[envelope]\ntemplate = '\"{{nonsense}}\"'\n[[page]]"), @r#"
    etc/olden.toml:31:1: the template has the unknown placeholder {{nonsense}}; known are: message, code, status, title, error, missing_scopes
        See “Envelopes” in docs/operator/config.md.
    "#);
}

#[test]
fn a_rate_that_is_none_is_told() {
    insta::assert_snapshot!(told("[token.answer]", "[token.rate]\nper_app = \"often\"\n[token.answer]"), @r#"
    etc/olden.toml:24:11: `per_app` cannot be `often`
        Write calls per period, such as "100/1m" or "5/s".
    "#);
}

/// What the operator is told when the config names `dialects`.
#[track_caller]
fn told_of_names(dialects: &str) -> String {
    parse(&CONFIG.replace("\"./olden.toml\"", dialects), OLDEN).expect_err("a mistake")
}

#[test]
fn two_dialects_with_one_path_are_told() {
    insta::assert_snapshot!(told_of_names(r#""./olden.toml", "./newer.toml""#), @r#"
    etc/consentry.toml:2:29: the dialects `olden` and `newer` both answer /v1/ask
        Two providers' formats need two issuers.
    etc/consentry.toml:2:29: the dialects `olden` and `newer` both answer /v1/keys
        Two providers' formats need two issuers.
    "#);
}

#[test]
fn a_dialect_that_is_there_twice_is_told() {
    insta::assert_snapshot!(told_of_names(r#""./olden.toml", "./olden.toml""#), @r#"
    etc/consentry.toml:2:29: the dialect `olden` is there twice
        Remove one of them.
    "#);
}

#[test]
fn a_file_that_is_not_there_is_told() {
    insta::assert_snapshot!(told_of_names(r#""./none.toml""#), @r#"
    etc/consentry.toml:2:13: the dialect file etc/none.toml cannot be read: entity not found
        Write the path of a dialect file.
    "#);
}

#[test]
fn a_name_that_nobody_knows_is_told_with_what_there_is() {
    insta::assert_snapshot!(told_of_names(r#""olden""#), @r#"
    etc/consentry.toml:2:13: there is no dialect `olden`
        Built in are: bitport, whitebit. For one of your own write the path of its file.
    "#);
    insta::assert_snapshot!(told_of_names(r#""whitbit""#), @r#"
    etc/consentry.toml:2:13: there is no dialect `whitbit`
        Did you mean `whitebit`?
    "#);
}

#[test]
fn the_built_in_dialects_have_the_lifetimes_and_limits_of_their_providers() {
    let config = CONFIG.replace("\"./olden.toml\"", "\"bitport\", \"whitebit\"");
    let config = parse(&config, OLDEN).unwrap();
    let [bitport, whitebit] = &config.policy.dialects[..] else { panic!("two dialects") };
    let seconds = |duration: std::time::Duration| duration.as_secs();
    assert_eq!(seconds(bitport.lifetimes.access_token), 315_360_000);
    assert_eq!(seconds(bitport.lifetimes.idle), 365 * 24 * 3600);
    assert_eq!(bitport.lifetimes.refresh_token, None);
    assert_eq!(seconds(whitebit.lifetimes.access_token), 300);
    assert_eq!(whitebit.lifetimes.refresh_token.map(seconds), Some(600));
    let [_, refresh] = &whitebit.tokens[..] else { panic!("two endpoints") };
    let rate = refresh.rate_per_app.unwrap();
    assert_eq!((rate.requests, seconds(rate.period)), (1, 1));
    assert!(whitebit.tokens.iter().all(|endpoint| endpoint.needs_listed_address));
    assert!(bitport.tokens.iter().all(|endpoint| !endpoint.needs_listed_address));
    assert!(bitport.relaxed.bare_token && !whitebit.relaxed.bare_token);
    assert!(bitport.relaxed.loopback_port && !whitebit.relaxed.loopback_port);
}

const KEYS: &str = r#"[partner_keys]
asked_by = "state"
redirect_parameter = "key"
permission = '{"n": "{{name}}", "u": "{{urls}}"}'
url = '{"u": "{{url}}"}'
[partner_keys.info]
path = "/v1/key"
template = '{"there": "{{exists}}"}'
[partner_keys.secret]
path = "/v1/key/{id}/secret"
template = '{"s": "{{secret}}"}'
[partner_keys.delete]
path = "/v1/key/{id}"
template = '{}'
[[partner_keys.error]]
when = ["locked"]
template = '{"no": "wait"}'
[[partner_keys.error]]
template = '{"no": "{{error}}"}'
"#;
