//! The config as an operator meets it: what a right file means, and what a wrong one is told.

use std::io;
use std::path::Path;
use std::time::Duration;

use domain::policy::{CorsOrigins, RouteAccess, ScopeKind, TokenFormat};
use http::Method;
use protocol::path::NormalPath;
use protocol::route::Lookup;
use protocol::scope::ScopeSet;

use super::*;

mod dialects;
mod mail;
mod partner_keys;
mod portal;
mod sign_in;
mod webhooks;

const MASTER: &str = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

const RIGHT: &str = r##"
issuer = "https://auth.example.com"
data_dir = "var"

[brand]
name = "Example"
accent = "#AA3300"

[lifetimes]
access_token = "5m"

[[scope]]
name = "orders.read"
text = "see your orders"

[[scope]]
name = "orders.create"
text = "place orders"
kind = "money"
tier = "high"

[[resource]]
path_prefix = "/api"
token_format = "jwt-es256"
drop_request_headers = ["X_Team", "x-group-"]
envelope = "whitebit"
openapi = "api.yaml"
[resource.upstream]
url = "http://127.0.0.1:9000/"
body_max = 1024
[resource.rate]
per_app = "100/1m"
[resource.introspection]
id = "api"
secret = "a secret of many characters"
[resource.cors]
origins = ["https://app.example", "http://localhost:5173"]
headers = ["Idempotency-Key"]
[[resource.route]]
method = "GET"
path = "/api/orders"
scopes = ["orders.read"]
[[resource.route]]
methods = ["PUT", "POST"]
path = "/api/orders/{id}"
any_of = [["orders.create"], ["orders.read", "orders.create"]]
family = "trading"
"##;

const OPENAPI: &str = r"
openapi: 3.1.0
servers: [{url: 'https://api.example.com/api'}]
security: [{oauth: [orders.read]}]
paths:
  /orders:
    get: {security: []}
    post: {security: [{oauth: [orders.create]}, {key: []}]}
  /status:
    get: {security: []}
  /history:
    get: {x-consentry-family: past}
  /keys:
    get: {security: [{key: []}]}
components:
  securitySchemes:
    oauth: {type: oauth2, flows: {}}
    key: {type: apiKey, in: header, name: X-Key}
";

fn files(path: &Path) -> io::Result<Vec<u8>> {
    match path.to_str() {
        Some("etc/master.key") => Ok(format!("{MASTER}\n").into_bytes()),
        Some("etc/api.yaml") => Ok(OPENAPI.as_bytes().to_vec()),
        _ => Err(io::Error::from(io::ErrorKind::NotFound)),
    }
}

fn parse_with(text: &str, environment: &Environment) -> Result<Config, String> {
    Config::parse(Path::new("etc/consentry.toml"), text, environment, &files)
        .map_err(|errors| errors.to_string())
}

fn parse(text: &str) -> Result<Config, String> {
    parse_with(text, &Environment::default())
}

fn scopes(text: &str) -> ScopeSet {
    text.parse().unwrap()
}

fn access(config: &Config, method: Method, path: &str) -> Option<(RouteAccess, String)> {
    let routes = &config.policy.resources[0].routes;
    match routes.lookup(&method, &NormalPath::parse(path).unwrap()) {
        Lookup::Found(rule) => Some((rule.access.clone(), rule.family.clone())),
        _ => None,
    }
}

#[test]
fn a_right_file_means_what_it_says() {
    let config = parse(RIGHT).unwrap();
    let policy = config.policy_without_credentials();
    assert_eq!(policy.issuer, "https://auth.example.com");
    assert_eq!(config.data_dir, Path::new("etc/var"));
    assert_eq!(config.database_url, "sqlite:etc/var/consentry.db");
    assert_eq!(config.brand.accent, "#aa3300");
    assert_eq!(policy.lifetimes.access_token, Duration::from_secs(300));
    assert_eq!(policy.scopes["orders.create"].kind, ScopeKind::Money);
    let resource = &policy.resources[0];
    assert_eq!(resource.identifier, "https://auth.example.com/api");
    assert_eq!(resource.name, "Example");
    assert!(matches!(resource.token_format, TokenFormat::Jwt(_)));
    let upstream = resource.upstream.as_ref().unwrap();
    assert_eq!((upstream.url.as_str(), upstream.body_max), ("http://127.0.0.1:9000", 1024));
    assert_eq!(*resource.drop_request_headers, ["x-team", "x-group-"]);
    let cors = resource.cors.as_ref().unwrap();
    let origins = ["https://app.example", "http://localhost:5173"].map(str::to_owned).to_vec();
    assert_eq!(cors.origins, CorsOrigins::Listed(origins));
    assert_eq!((cors.headers.concat(), cors.expose.len()), ("Idempotency-Key".to_owned(), 0));
    assert_eq!(config.introspection["https://auth.example.com/api"].id, "api");
}

#[test]
fn routes_of_the_file_replace_those_of_the_openapi_document() {
    let config = parse(RIGHT).unwrap();
    let all = |text| RouteAccess::AnyOf(vec![scopes(text)]);
    let found = |method, path| access(&config, method, path);
    assert_eq!(found(Method::GET, "/api/orders"), Some((all("orders.read"), "orders".into())));
    assert_eq!(found(Method::POST, "/api/orders"), Some((all("orders.create"), "orders".into())));
    assert_eq!(found(Method::GET, "/api/status"), Some((RouteAccess::Public, "status".into())));
    assert_eq!(found(Method::GET, "/api/history"), Some((all("orders.read"), "past".into())));
    assert_eq!(
        found(Method::PUT, "/api/orders/7"),
        Some((
            RouteAccess::AnyOf(vec![scopes("orders.create"), scopes("orders.read orders.create")]),
            "trading".into()
        ))
    );
    // Its only alternative is a scheme that no token of ours satisfies.
    assert_eq!(found(Method::GET, "/api/keys"), None);
    let warnings: Vec<_> = config.warnings.iter().map(ToString::to_string).collect();
    insta::assert_snapshot!(warnings.join("\n"), @r"
    etc/api.yaml: GET /keys: it accepts no OAuth token, so it is not reachable
        Add a scheme of type oauth2 or http bearer, or a [[resource.route]].
    ");
}

fn with_openapi(document: &str) -> Result<Config, String> {
    let read = |path: &Path| match path.to_str() {
        Some("etc/api.yaml") => Ok(document.as_bytes().to_vec()),
        _ => files(path),
    };
    Config::parse(Path::new("etc/consentry.toml"), RIGHT, &Environment::default(), &read)
        .map_err(|errors| errors.to_string())
}

#[test]
fn an_openapi_document_is_kept_without_references_to_elsewhere() {
    let text = OPENAPI.replace(
        "get: {x-consentry-family: past}",
        "get: {responses: {'200': {$ref: 'https://elsewhere.example/a.yaml#/x'}}}",
    );
    let config = with_openapi(&text).unwrap();
    let kept = config.policy.resources[0].api_document.as_ref().unwrap();
    assert_eq!(kept.base_path, "/api");
    let answers = &kept.document["paths"]["/history"]["get"]["responses"];
    assert_eq!(answers, &serde_json::json!({ "200": {} }));
    let warnings: Vec<_> = config.warnings.iter().map(ToString::to_string).collect();
    assert!(warnings.join("\n").contains("elsewhere (`$ref`): 1"), "{warnings:?}");
}

#[test]
fn an_openapi_document_has_bounds() {
    let mut paths = String::from("{\"openapi\": \"3.1.0\", \"paths\": {");
    for number in 0..2_001 {
        paths.push_str(&format!("\"/api/{number}\": {{\"get\": {{\"security\": []}}}},"));
    }
    let many = format!("{}}}}}", paths.trim_end_matches(','));
    assert!(with_openapi(&many).unwrap_err().contains("has 2001 operations"));
    let deep = format!("{}1{}", "[".repeat(70), "]".repeat(70));
    let deep = format!("{{\"openapi\": \"3.1.0\", \"x\": {deep}}}");
    assert!(with_openapi(&deep).unwrap_err().contains("nested deeper than 64 levels"));
}

#[test]
fn the_environment_overrides_the_file() {
    let environment = Environment::default()
        .with("CONSENTRY_ISSUER", "http://localhost:7000")
        .with("CONSENTRY_LISTEN__PUBLIC", "127.0.0.1:1, [::1]:2")
        .with("CONSENTRY_RESOURCE__0__UPSTREAM__URL", "http://upstream:1")
        .with("CONSENTRY_LOG", "debug")
        .with("CONSENTRY_TEST_DATABASE_URL", "postgres://ignored")
        .with("CONSENTRY_MASTER_KEY", "ff".repeat(32));
    let config = parse_with(RIGHT, &environment).unwrap();
    assert_eq!(config.issuer(), "http://localhost:7000");
    let addresses: Vec<_> = config.listen.public.iter().map(ToString::to_string).collect();
    assert_eq!(addresses, ["127.0.0.1:1", "[::1]:2"]);
    assert_eq!(config.policy.resources[0].upstream.as_ref().unwrap().url, "http://upstream:1");
    assert_eq!(config.master_key.as_bytes(), &[0xff; 32]);
}

#[test]
fn variables_that_set_nothing_are_mistakes() {
    let environment = Environment::default()
        .with("CONSENTRY_ISUER", "https://x.example")
        .with("CONSENTRY_RESOURCE__0__UPSTREAM__UR", "http://x")
        .with("CONSENTRY_RESOURCE__7__NAME", "x")
        .with("CONSENTRY_LIFETIMES__ACCESS_TOKEN", "soon");
    insta::assert_snapshot!(parse_with(RIGHT, &environment).unwrap_err(), @r#"
    environment variable CONSENTRY_LIFETIMES__ACCESS_TOKEN: `access_token` cannot be `soon`
        Write a whole number with a unit: ms, s, m, h or d, such as "10m".
    environment variable CONSENTRY_RESOURCE__7__NAME: there is no [[resource]] number 7 in the file
        Positions count from 0, and the file has 1 of them.
    environment variable CONSENTRY_ISUER: it sets nothing
        Did you mean CONSENTRY_ISSUER?
    environment variable CONSENTRY_RESOURCE__0__UPSTREAM__UR: it sets nothing
        Did you mean CONSENTRY_RESOURCE__0__UPSTREAM__URL?
    "#);
}

#[test]
fn every_mistake_is_reported_with_its_place_and_what_to_do() {
    let text = r#"issuer = "http://auth.example.com/"
registraton = "live"
registration = "reviwe"
dialects = ["bitprot"]
[listen]
public = ["localhost:80"]
[lifetimes]
access_token = "2h"
grant = 30
[[scope]]
name = "orders read"
text = "see your orders"
[[scope]]
name = "orders.read"
[[resource]]
path_prefix = "/oauth/api"
envelope = "bitprot"
[resource.upstream]
url = "https://127.0.0.1:9000"
[resource.introspection]
id = "api"
[[resource.route]]
method = "get"
path = "/oauth/api/x"
scopes = ["orders.reed"]
[[resource.route]]
method = "GET"
path = "/y"
[[resource]]
path_prefix = "/oauth/api/x"
[resource.envelope]
template = "{"
[review]
fields = ["nam"]
"#;
    insta::assert_snapshot!(parse(text).unwrap_err(), @r#"
    etc/consentry.toml:1:10: `issuer` cannot be `http://auth.example.com/`
        Passwords and tokens would travel in the clear. Use https://, or for a trial on one machine http://localhost.
    etc/consentry.toml:2:1: `registraton` is not a key of the config
        Did you mean `registration`?
    etc/consentry.toml:3:16: `registration` cannot be `reviwe`
        Did you mean `review`? It is one of: review, live, closed.
    etc/consentry.toml:4:13: there is no dialect `bitprot`
        Did you mean `bitport`?
    etc/consentry.toml:6:11: `public` cannot be `localhost:80`
        Write an IP address and a port, such as 127.0.0.1:8400, 0.0.0.0:80 or [::]:80.
    etc/consentry.toml:8:16: `access_token` is longer than `access_token_max`
        Raise `access_token_max` or lower `access_token`.
    etc/consentry.toml:9:9: `grant` is integer, it must be: duration
    etc/consentry.toml:11:8: `name` cannot be `orders read`
        Choose another name: a scope name has a character other than printable ASCII without quote and backslash.
    etc/consentry.toml:13:1: `text` is missing in [scope]
        What it lets an app do, in plain words, read after “This app will be able to”.
    etc/consentry.toml:17:12: `envelope` cannot be `bitprot`
        It is problem+json or that of a dialect: bitport, whitebit.
    etc/consentry.toml:19:7: `url` cannot be `https://127.0.0.1:9000`
        The gateway speaks plain HTTP to the API. Give it the API's address inside your network, or a local TLS client such as stunnel.
    etc/consentry.toml:20:1: the credentials have no secret
        Add `secret_file` (or `secret`).
    etc/consentry.toml:23:10: `method` cannot be `get`
        Did you mean GET?
    etc/consentry.toml:25:11: no scope is called `orders.reed`
        Declare it with [[scope]], or correct the name.
    etc/consentry.toml:26:1: the route does not say what it needs
        Add scopes = ["…"]; or public = true if no token is needed.
    etc/consentry.toml:28:8: `path` cannot be `/y`
        It must start with the API's path prefix /oauth/api.
    etc/consentry.toml:31:1: the template is not JSON: EOF while parsing an object at line 1 column 1
        See “Envelopes” in docs/operator/config.md.
    etc/consentry.toml:34:11: `fields` cannot be `nam`
        Did you mean `name`? It is one of: name, description, homepage, privacy_url, terms_url, redirect_uris, logo.
    "#);
}

#[test]
fn wrong_origins_and_names_of_headers_are_told_with_their_place() {
    let wrong = RIGHT
        .replace("\"X_Team\", \"x-group-\"", "\"X Team\", \"x-team-*\"")
        .replace("\"https://app.example\", ", "\"https://App.example/\", \"null\", ")
        .replace("\"Idempotency-Key\"]", "\"a b\"]\nexpos = []");
    insta::assert_snapshot!(parse(&wrong).unwrap_err(), @r#"
    etc/consentry.toml:25:25: `drop_request_headers` cannot be `X Team`
        Write the name of a header, such as X-Team. X-Team- stands for every one that begins so.
    etc/consentry.toml:25:35: `drop_request_headers` cannot be `x-team-*`
        Write the name of a header, such as X-Team. X-Team- stands for every one that begins so.
    etc/consentry.toml:37:12: `origins` cannot be `https://App.example/`
        Write https://app.example.
    etc/consentry.toml:37:36: `origins` cannot be `null`
        Write scheme, host and port, such as https://app.example.com.
    etc/consentry.toml:38:12: `headers` cannot be `a b`
        Write the name of a header, such as Idempotency-Key.
    etc/consentry.toml:39:1: `expos` is not a key of [resource.cors]
        Did you mean `expose`?
    "#);
    let every = "\"http://localhost:5173\", \"*\"";
    let error = parse(&RIGHT.replace("\"http://localhost:5173\"", every)).unwrap_err();
    assert!(error.contains("`*` is every origin already"), "{error}");
    let none = RIGHT.replace("\"https://app.example\", \"http://localhost:5173\"", "");
    let error = parse(&none).unwrap_err();
    assert!(error.contains("`cors` names no origin"), "{error}");
}

#[test]
fn a_broken_file_is_told_where_it_breaks() {
    let error = parse("issuer = \"https://a.example\"\n[listen\n").unwrap_err();
    assert!(error.starts_with("etc/consentry.toml:2:"), "{error}");
}

#[test]
fn one_path_cannot_belong_to_two_apis() {
    let second = "[[resource]]\nidentifier = \"urn:two\"\npath_prefix = \"/api/orders\"\n";
    let error = parse(&format!("{RIGHT}{second}")).unwrap_err();
    insta::assert_snapshot!(error, @r#"
    etc/consentry.toml:50:15: the APIs `Example` and `Example` both claim paths under auth.example.com/api/orders
        Choose prefixes of which none contains another.
    "#);
    let elsewhere = format!("{second}host = \"api.example.com\"\n");
    assert!(parse(&format!("{RIGHT}{elsewhere}")).is_ok());
}

#[test]
fn the_same_route_twice_is_a_mistake_whatever_its_parameters_are_called() {
    let twin =
        "[[resource.route]]\nmethod = \"PUT\"\npath = \"/api/orders/{order}\"\nscopes = []\n";
    insta::assert_snapshot!(parse(&format!("{RIGHT}{twin}")).unwrap_err(), @r#"
    etc/consentry.toml:50:8: PUT /api/orders/{order} is declared twice
        Remove one of them.
    "#);
}

#[test]
fn a_missing_or_wrong_master_key_is_a_mistake() {
    let error = parse(&format!("master_key_file = \"other.key\"\n{RIGHT}")).unwrap_err();
    assert!(
        error.contains("etc/consentry.toml:1:19: the master key file etc/other.key"),
        "{error}"
    );
    let environment = Environment::default().with("CONSENTRY_MASTER_KEY", "abc");
    let error = parse_with(RIGHT, &environment).unwrap_err();
    assert!(error.starts_with("environment variable CONSENTRY_MASTER_KEY"), "{error}");
    assert!(!error.contains("abc"), "a secret must not be repeated: {error}");
}

#[test]
fn the_references_in_the_docs_are_those_of_the_code() {
    let written = |name: &str| {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/operator");
        std::fs::read_to_string(folder.join(name)).unwrap_or_default()
    };
    assert!(
        written("config.md") == reference::markdown(),
        "run: cargo run -- check --reference > docs/operator/config.md"
    );
    assert!(
        written("dialect-files.md") == reference::dialect_markdown(),
        "run: cargo run -- check --dialect-reference > docs/operator/dialect-files.md"
    );
}

#[test]
fn every_key_of_the_schema_says_what_it_means() {
    fn walk(shape: &schema::Shape) {
        for key in shape.keys {
            assert!(!key.text.is_empty(), "{}", key.name);
            if let schema::Kind::Section(below) | schema::Kind::Sections(below) = key.kind {
                walk(below);
            }
        }
    }
    walk(&schema::ROOT);
}

#[test]
fn telemetry_and_bounds_say_what_is_wrong_with_their_place() {
    let more = "[telemetry]\nmetrics = 1\notlp_endpoint = \"https://otel:4318\"\notlp_one_in = 0\n\
                [listen]\nconnections_max = \"many\"\ntokens_in_service = -1\n";
    let error = parse(&format!("issuer = \"http://localhost:8400\"\n{more}")).unwrap_err();
    for told in [
        "consentry.toml:3:11: `metrics` is integer, it must be: true or false",
        "consentry.toml:4:17: `otlp_endpoint` cannot be `https://otel:4318`",
        "consentry.toml:5:15: `otlp_one_in` cannot be `0`",
        "consentry.toml:7:19: `connections_max` cannot be `many`",
        "consentry.toml:8:21: `tokens_in_service` cannot be `-1`",
    ] {
        assert!(error.contains(told), "no {told} in:\n{error}");
    }
}

#[test]
fn a_page_of_user_codes_and_a_word_for_them_belong_together() {
    const GOOD: &str = include_str!("../../../../dialects/bitport.toml");
    let (page, word) = ("[user_code]\npath = \"/get-access\"\n", "user_code = \"code\"\n");
    assert!(GOOD.contains(page) && GOOD.contains(word));
    let told = |dialect: String| {
        let text = RIGHT.replacen("data_dir", "dialects = [\"./own.toml\"]\ndata_dir", 1);
        let read = |path: &Path| match path.ends_with("own.toml") {
            true => Ok(dialect.clone().into_bytes()),
            false => files(path),
        };
        let path = Path::new("etc/consentry.toml");
        let parsed = Config::parse(path, &text, &Environment::default(), &read);
        parsed.map(drop).map_err(|problems| problems.to_string())
    };
    assert_eq!(told(GOOD.to_owned()), Ok(()));
    let no_page = told(GOOD.replace(page, "")).unwrap_err();
    assert!(no_page.contains("there is no page that shows them"), "{no_page}");
    let no_word = told(GOOD.replace(word, "")).unwrap_err();
    assert!(no_word.contains("but no endpoint takes them"), "{no_word}");
    let taken = told(GOOD.replace("\"/get-access\"", "\"/device\"")).unwrap_err();
    assert!(taken.contains("/device is where the standard's endpoints and pages are"), "{taken}");
}
