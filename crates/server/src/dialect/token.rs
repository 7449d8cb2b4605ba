//! A dialect's token endpoint: decode, let `oauth::grants` decide, encode.

use std::net::IpAddr;

use axum::body::to_bytes;
use axum::extract::Request;
use axum::response::Response;
use http::HeaderMap;
use http::header::{AUTHORIZATION, CONTENT_TYPE, RETRY_AFTER};
use protocol::client_auth::PresentedClient;
use protocol::dialect::{Dialect, Failure, RenderedAnswer, TokenEndpoint, Tokens};
use protocol::error::OAuthError;
use protocol::params::{BYTES_MAX, Params};
use protocol::token::TokenRequest;

use crate::address::network_of;
use crate::noted::Noted;
use crate::oauth::answer::{self, TokenError};
use crate::oauth::client::{AuthenticatedClient, note_named};
use crate::oauth::grants::{self, IssuedTokens};
use crate::provider::Provider;

/// Characters of a client id that failures are counted by.
const NAMED_MAX: usize = 100;

pub(super) async fn answer(
    provider: &Provider,
    (dialect, endpoint): (&Dialect, &TokenEndpoint),
    address: IpAddr,
    request: Request,
) -> Response {
    let (parts, body) = request.into_parts();
    let Ok(body) = to_bytes(body, BYTES_MAX).await else {
        let error = OAuthError::invalid_request("the body is too long, or was cut short");
        return send(endpoint.refused(&error));
    };
    let content_type = parts.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let has_basic = parts.headers.contains_key(AUTHORIZATION);
    let params = match endpoint.decode(content_type, &body, has_basic) {
        Ok(params) => params,
        Err(error) => return send(endpoint.not_understood(&error)),
    };
    let noted = parts.extensions.get::<Noted>().cloned().unwrap_or_default();
    let call = Call { provider, dialect, endpoint, address, params, noted };
    match call.issue(&parts.headers, parts.uri.query()).await {
        Ok(tokens) => {
            call.noted.set_grant(tokens.grant.id);
            send(endpoint.granted(Tokens {
                access_token: &tokens.access_token,
                expires_in_seconds: tokens.expires_in.as_secs(),
                refresh_token: tokens.refresh_token.as_deref(),
                scopes: &tokens.scopes,
            }))
        }
        Err(error) => {
            let mut response = send(endpoint.refused(&error.to_oauth()));
            error.note(&mut response);
            response
        }
    }
}

/// One request, in the standard's words.
struct Call<'a> {
    provider: &'a Provider,
    dialect: &'a Dialect,
    endpoint: &'a TokenEndpoint,
    address: IpAddr,
    params: Params,
    noted: Noted,
}

impl Call<'_> {
    async fn issue(
        &self,
        headers: &HeaderMap,
        query: Option<&str>,
    ) -> Result<IssuedTokens, TokenError> {
        // A header that the dialect does not know is not looked at.
        let none = HeaderMap::new();
        let headers = if self.endpoint.takes_basic { headers } else { &none };
        let presented =
            PresentedClient::decode(headers, query, &self.params).map_err(OAuthError::from)?;
        let (of_client, of_request) = self.failure_keys(&presented);
        let now = self.provider.now();
        let Some(rate) = self.endpoint.rate_of_failures else {
            return self.issue_to(&presented).await;
        };
        self.provider.paces.check(&of_client, rate, now).map_err(slow_down)?;
        self.provider.paces.check(&of_request, rate, now).map_err(slow_down)?;
        let issued = self.issue_to(&presented).await;
        let failed = match &issued {
            Err(TokenError::OAuth(error)) => Some(Failure::of(error)),
            _ => None,
        };
        // Who shows the right secret is slowed for repeating what was refused, and for nothing
        // else: junk that strangers send to an app's callback must not keep its users out.
        let key = match failed {
            Some(Failure::InvalidClient) => Some(&of_client),
            Some(Failure::SlowDown) | None => None,
            Some(_) => Some(&of_request),
        };
        if let Some(key) = key {
            // The refusal stands whether or not the next one will be looked at.
            let _ = self.provider.paces.admit(key, rate, now);
        }
        issued
    }

    async fn issue_to(&self, presented: &PresentedClient) -> Result<IssuedTokens, TokenError> {
        let (provider, dialect) = (self.provider, Some(self.dialect.name.as_str()));
        let client =
            match AuthenticatedClient::authenticate(provider, presented, self.address, dialect)
                .await
            {
                Ok(client) => client,
                Err(error) => {
                    note_named(provider, presented, &self.noted).await;
                    return Err(error);
                }
            };
        self.noted.set_app(client.app.id);
        if self.endpoint.needs_listed_address && client.app.addresses.is_empty() {
            return Err(OAuthError::unauthorized_client(
                "this app has no list of addresses that it may call from; add one",
            )
            .into());
        }
        if let Some(rate) = self.endpoint.rate_per_app {
            let key = format!("app {} {}", client.app.id, self.endpoint.path);
            provider.paces.admit(&key, rate, provider.now()).map_err(slow_down)?;
        }
        let request = TokenRequest::decode(&self.params)?;
        grants::issue(provider, &client, request, dialect).await
    }

    /// What failures count under: the client and where it calls from, and besides what it asks for.
    fn failure_keys(&self, presented: &PresentedClient) -> (String, String) {
        let named = presented.candidates().first().map_or("", |one| one.client_id.as_str());
        // Longer than any registered id; made-up ones must not fill the memory (attack X2).
        let named: String = named.chars().take(NAMED_MAX).collect();
        let network = network_of(self.address, 32, 64);
        let of_client = format!("failures of {named} from {network} {}", self.endpoint.path);
        let asked = self.params.iter().map(|(name, value)| format!("{name}={value}\n"));
        let asked: String = asked.collect();
        let asked = self.provider.keyring().derive_id("failed request", asked.as_bytes());
        let of_request = format!("{of_client} {}", u128::from_be_bytes(asked));
        (of_client, of_request)
    }
}

fn slow_down(wait: std::time::Duration) -> OAuthError {
    let seconds = wait.as_millis().div_ceil(1000);
    OAuthError::slow_down(u32::try_from(seconds).unwrap_or(u32::MAX))
}

pub(super) fn send(rendered: RenderedAnswer) -> Response {
    let mut response = answer::json(rendered.status, rendered.body);
    if let Some(seconds) = rendered.retry_after_seconds {
        response.headers_mut().insert(RETRY_AFTER, seconds.into());
    }
    response
}
