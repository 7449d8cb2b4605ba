//! A dialect's token endpoint: decode, let `oauth::grants` decide, encode.

use std::net::IpAddr;

use axum::body::to_bytes;
use axum::extract::Request;
use axum::response::Response;
use http::HeaderMap;
use http::header::{AUTHORIZATION, CONTENT_TYPE, RETRY_AFTER};
use protocol::client_auth::PresentedClient;
use protocol::dialect::{Dialect, RenderedAnswer, TokenEndpoint, Tokens};
use protocol::error::OAuthError;
use protocol::params::{BYTES_MAX, Params};
use protocol::token::TokenRequest;

use crate::oauth::answer::{self, TokenError};
use crate::oauth::client::AuthenticatedClient;
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
    let call = Call { provider, dialect, endpoint, address, params };
    match call.issue(&parts.headers, parts.uri.query()).await {
        Ok(tokens) => send(endpoint.granted(Tokens {
            access_token: &tokens.access_token,
            expires_in_seconds: tokens.expires_in.as_secs(),
            refresh_token: tokens.refresh_token.as_deref(),
            scopes: &tokens.scopes,
        })),
        Err(error) => send(endpoint.refused(&error.to_oauth())),
    }
}

/// One request, in the standard's words.
struct Call<'a> {
    provider: &'a Provider,
    dialect: &'a Dialect,
    endpoint: &'a TokenEndpoint,
    address: IpAddr,
    params: Params,
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
        let key = self.failure_key(&presented);
        let now = self.provider.now();
        if let Some(rate) = self.endpoint.rate_of_failures {
            self.provider.paces.check(&key, rate, now).map_err(slow_down)?;
        }
        let issued = self.issue_to(&presented).await;
        if let (Err(TokenError::OAuth(_)), Some(rate)) = (&issued, self.endpoint.rate_of_failures) {
            // The refusal stands whether or not the next one will be looked at.
            let _ = self.provider.paces.admit(&key, rate, now);
        }
        issued
    }

    async fn issue_to(&self, presented: &PresentedClient) -> Result<IssuedTokens, TokenError> {
        let (provider, dialect) = (self.provider, Some(self.dialect.name.as_str()));
        let client =
            AuthenticatedClient::authenticate(provider, presented, self.address, dialect).await?;
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

    fn failure_key(&self, presented: &PresentedClient) -> String {
        let named = presented.candidates().first().map_or("", |one| one.client_id.as_str());
        // Longer than any registered id; made-up ones must not fill the memory (attack X2).
        let named: String = named.chars().take(NAMED_MAX).collect();
        format!("failures of {named} from {} {}", self.address, self.endpoint.path)
    }
}

fn slow_down(wait: std::time::Duration) -> OAuthError {
    let seconds = wait.as_millis().div_ceil(1000);
    OAuthError::slow_down(u32::try_from(seconds).unwrap_or(u32::MAX))
}

fn send(rendered: RenderedAnswer) -> Response {
    let mut response = answer::json(rendered.status, rendered.body);
    if let Some(seconds) = rendered.retry_after_seconds {
        response.headers_mut().insert(RETRY_AFTER, seconds.into());
    }
    response
}
