//! What an app sends in a wire format: the requests of each step, as snippets write them.

use domain::app::{App, AppKind};
use domain::policy::Policy;
use protocol::dialect::{Dialect, GrantType, Parameter, TokenEndpoint, Tokens};
use protocol::scope::ScopeSet;
use protocol::token::DEVICE_CODE_GRANT;
use serde::Serialize;
use serde_json::Value;

/// A form that is sent. An empty address: there is no such step.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Request {
    pub(super) url: String,
    pub(super) fields: Vec<Field>,
}

#[derive(Clone, Debug, Serialize)]
pub(super) struct Field {
    name: String,
    literal: Option<String>,
    variable: Option<&'static str>,
}

/// A call of the API.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Call {
    pub(super) method: String,
    pub(super) url: String,
    /// JSON.
    pub(super) body: Option<String>,
    pub(super) is_public: bool,
    /// Its place in the reference; empty for a call that is only an example.
    pub(super) path: String,
}

/// Everything that a snippet may name.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Values {
    pub(super) issuer: String,
    pub(super) has_secret: bool,
    pub(super) has_pkce: bool,
    pub(super) has_iss: bool,
    /// The step that a program begins with.
    pub(super) first: String,
    pub(super) authorize: Request,
    pub(super) exchange: Request,
    pub(super) refresh: Option<Request>,
    pub(super) revoke: Option<Request>,
    pub(super) revoke_variable: &'static str,
    pub(super) client_credentials: Option<Request>,
    pub(super) device: Option<Request>,
    pub(super) poll: Option<Request>,
    pub(super) call: Call,
    /// Where in an answer the tokens are.
    pub(super) tokens_at: Vec<String>,
}

/// Whose values are filled in: those of an app, or examples.
#[derive(Clone, Debug)]
pub(super) struct Party {
    pub(super) client_id: String,
    pub(super) redirect_uri: String,
    pub(super) scopes: ScopeSet,
    pub(super) has_secret: bool,
}

impl Party {
    /// `scopes`: for an app that has none, and for the example.
    pub(super) fn new(app: Option<&App>, kind: AppKind, scopes: &ScopeSet) -> Self {
        let example = match kind {
            AppKind::Native => "http://127.0.0.1/callback",
            _ => "https://app.example/callback",
        };
        let Some(app) = app else {
            return Self {
                client_id: "CLIENT_ID".to_owned(),
                redirect_uri: example.to_owned(),
                scopes: scopes.clone(),
                has_secret: kind.is_confidential(),
            };
        };
        let own = match kind {
            AppKind::Service if !app.service_scopes.is_empty() => app.service_scopes.clone(),
            _ => app.requested_scopes().intersection(&app.approved),
        };
        Self {
            client_id: app.client_id.clone(),
            redirect_uri: app
                .redirect_uris
                .first()
                .map_or_else(|| example.to_owned(), |uri| uri.as_str().to_owned()),
            scopes: if own.is_empty() { scopes.clone() } else { own },
            has_secret: app.kind.is_confidential(),
        }
    }

    fn scope(&self, separator: char) -> String {
        let names: Vec<&str> = self.scopes.iter().map(|name| name.as_str()).collect();
        names.join(separator.encode_utf8(&mut [0; 4]))
    }
}

fn literal(name: &str, value: impl Into<String>) -> Field {
    Field { name: name.to_owned(), literal: Some(value.into()), variable: None }
}

fn variable(name: &str, variable: &'static str) -> Field {
    Field { name: name.to_owned(), literal: None, variable: Some(variable) }
}

impl Values {
    pub(super) fn new(
        policy: &Policy,
        dialect: Option<&Dialect>,
        party: &Party,
        call: Call,
        first: &str,
    ) -> Self {
        match dialect {
            None => Self::standard(policy, party, call, first),
            Some(dialect) => Self::of_dialect(policy, dialect, party, call, first),
        }
    }

    /// Whether there is such a step.
    pub(super) fn has(&self, step: &str) -> bool {
        match step {
            "exchange" => !self.exchange.url.is_empty(),
            "refresh" => self.refresh.is_some(),
            "revoke" => self.revoke.is_some(),
            "client_credentials" => self.client_credentials.is_some(),
            "device" => self.device.is_some(),
            "poll" => self.poll.is_some(),
            _ => true,
        }
    }

    fn standard(policy: &Policy, party: &Party, call: Call, first: &str) -> Self {
        let scope = || literal("scope", party.scope(' '));
        let request = |path: &str, fields: Vec<Field>| Request {
            url: format!("{}{path}", policy.issuer),
            fields,
        };
        let proven = |path: &str, mut fields: Vec<Field>| {
            fields.push(literal("client_id", party.client_id.as_str()));
            if party.has_secret {
                fields.push(variable("client_secret", "client_secret"));
            }
            request(path, fields)
        };
        let grant = |name: &str| literal("grant_type", name);
        let revoke_variable =
            if first == "client_credentials" { "access_token" } else { "refresh_token" };
        let redirect = || literal("redirect_uri", party.redirect_uri.as_str());
        let of_token = |fields| proven("/oauth/token", fields);
        Self {
            issuer: policy.issuer.clone(),
            has_secret: party.has_secret,
            has_pkce: true,
            has_iss: true,
            first: first.to_owned(),
            authorize: request(
                "/oauth/authorize",
                vec![
                    literal("response_type", "code"),
                    literal("client_id", party.client_id.as_str()),
                    redirect(),
                    scope(),
                    variable("state", "state"),
                    variable("code_challenge", "challenge"),
                    literal("code_challenge_method", "S256"),
                ],
            ),
            exchange: of_token(vec![
                grant("authorization_code"),
                variable("code", "code"),
                redirect(),
                variable("code_verifier", "verifier"),
            ]),
            refresh: Some(of_token(vec![
                grant("refresh_token"),
                variable("refresh_token", "refresh_token"),
            ])),
            revoke: Some(proven("/oauth/revoke", vec![variable("token", revoke_variable)])),
            revoke_variable,
            client_credentials: Some(of_token(vec![grant("client_credentials"), scope()])),
            device: Some(proven("/oauth/device_authorization", vec![scope()])),
            poll: Some(of_token(vec![
                grant(DEVICE_CODE_GRANT),
                variable("device_code", "device_code"),
            ])),
            call,
            tokens_at: Vec::new(),
        }
    }

    fn of_dialect(
        policy: &Policy,
        dialect: &Dialect,
        party: &Party,
        call: Call,
        first: &str,
    ) -> Self {
        let exchange = endpoint_for(dialect, GrantType::AuthorizationCode);
        let refresh = endpoint_for(dialect, GrantType::RefreshToken)
            .filter(|_| dialect.lifetimes.refresh_token.is_some());
        let has_pkce = has_pkce(dialect);
        let at = |path: &str| format!("{}{path}", policy.issuer);
        let form = |endpoint: &TokenEndpoint, grant: GrantType| Request {
            url: at(&endpoint.path),
            fields: endpoint
                .parameters
                .iter()
                .filter_map(|one| token_field(one, endpoint, grant, party, has_pkce))
                .collect(),
        };
        let authorize = dialect.authorize.parameters.iter();
        Self {
            issuer: policy.issuer.clone(),
            has_secret: party.has_secret,
            has_pkce,
            has_iss: !dialect.relaxed.iss,
            first: first.to_owned(),
            authorize: Request {
                url: at(&dialect.authorize.path),
                fields: authorize
                    .filter_map(|one| authorize_field(one, dialect, party, has_pkce))
                    .collect(),
            },
            exchange: exchange
                .map(|endpoint| form(endpoint, GrantType::AuthorizationCode))
                .unwrap_or_default(),
            refresh: refresh.map(|endpoint| form(endpoint, GrantType::RefreshToken)),
            revoke: None,
            revoke_variable: "refresh_token",
            client_credentials: None,
            device: None,
            poll: None,
            call,
            tokens_at: exchange.map(tokens_at).unwrap_or_default(),
        }
    }
}

/// Whether its snippets prove themselves with PKCE: not where that asks for a key.
fn has_pkce(dialect: &Dialect) -> bool {
    let named = |parameters: &[Parameter], standard: &str| {
        parameters.iter().any(|one| one.standard == standard && one.name.is_some())
    };
    let keys = dialect.partner_keys.as_ref();
    let asks_for_a_key =
        keys.is_some_and(|keys| keys.asked_by.as_deref() == Some("code_challenge"));
    let exchange = endpoint_for(dialect, GrantType::AuthorizationCode);
    named(&dialect.authorize.parameters, "code_challenge")
        && exchange.is_some_and(|endpoint| named(&endpoint.parameters, "code_verifier"))
        && !asks_for_a_key
}

pub(super) fn endpoint_for(dialect: &Dialect, grant: GrantType) -> Option<&TokenEndpoint> {
    let serves =
        |endpoint: &&TokenEndpoint| endpoint.grant_types.iter().any(|(known, _)| *known == grant);
    dialect.tokens.iter().find(serves)
}

fn authorize_field(
    parameter: &Parameter,
    dialect: &Dialect,
    party: &Party,
    has_pkce: bool,
) -> Option<Field> {
    let name = parameter.name.as_deref()?;
    Some(match parameter.standard.as_str() {
        "response_type" => literal(name, "code"),
        "client_id" => literal(name, party.client_id.as_str()),
        "redirect_uri" => literal(name, party.redirect_uri.as_str()),
        "scope" => literal(name, party.scope(dialect.authorize.scope_separator)),
        "state" => variable(name, "state"),
        "code_challenge" if has_pkce => variable(name, "challenge"),
        "code_challenge_method" if has_pkce => literal(name, "S256"),
        _ => return None,
    })
}

fn token_field(
    parameter: &Parameter,
    endpoint: &TokenEndpoint,
    grant: GrantType,
    party: &Party,
    has_pkce: bool,
) -> Option<Field> {
    let name = parameter.name.as_deref()?;
    let word = endpoint.grant_types.iter().find(|(known, _)| *known == grant);
    let is_code = grant == GrantType::AuthorizationCode;
    Some(match parameter.standard.as_str() {
        "grant_type" => literal(name, word?.1.as_str()),
        "client_id" => literal(name, party.client_id.as_str()),
        "client_secret" if party.has_secret => variable(name, "client_secret"),
        "code" if is_code => variable(name, "code"),
        "redirect_uri" if is_code => literal(name, party.redirect_uri.as_str()),
        "code_verifier" if is_code && has_pkce => variable(name, "verifier"),
        "refresh_token" if !is_code => variable(name, "refresh_token"),
        _ => return None,
    })
}

/// An answer of `endpoint`, as an example.
pub(super) fn example_tokens(endpoint: &TokenEndpoint, dialect: &Dialect) -> String {
    let scopes = "orders.read".parse().unwrap_or_default();
    let refresh_token = dialect.lifetimes.refresh_token.map(|_| "cs_rt_…");
    let tokens = Tokens {
        access_token: "cs_at_…",
        expires_in_seconds: dialect.lifetimes.access_token.as_secs(),
        refresh_token,
        scopes: &scopes,
    };
    endpoint.granted(tokens).body
}

/// The members that lead to the object with the access token in it.
fn tokens_at(endpoint: &TokenEndpoint) -> Vec<String> {
    const MARK: &str = "the access token";
    let scopes = ScopeSet::default();
    let tokens =
        Tokens { access_token: MARK, expires_in_seconds: 1, refresh_token: None, scopes: &scopes };
    let answer = serde_json::from_str(&endpoint.granted(tokens).body).unwrap_or(Value::Null);
    let mut path = path_to(&answer, MARK).unwrap_or_default();
    path.pop();
    path
}

/// Through objects only; a template's depth is bounded.
fn path_to(value: &Value, mark: &str) -> Option<Vec<String>> {
    if value.as_str() == Some(mark) {
        return Some(Vec::new());
    }
    value.as_object()?.iter().find_map(|(name, member)| {
        let mut path = path_to(member, mark)?;
        path.insert(0, name.clone());
        Some(path)
    })
}
