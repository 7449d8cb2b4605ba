//! `POST /oauth/introspect` (RFC 7662): a resource server learns about tokens of its own audience,
//! an app about its own tokens. Everybody and everything else is `{"active":false}` (attack T7).

use axum::extract::State;
use axum::response::Response;
use domain::access::{Access, AccessRefusal, LiveRows, check_access, grant_scopes, live_scopes};
use domain::authority::{Authority as _, Unverifiable};
use domain::grant::Mode;
use domain::seal::Purpose;
use domain::time::Timestamp;
use domain::token::{AccessToken, RefreshToken};
use http::StatusCode;
use protocol::error::OAuthError;
use protocol::introspection::{ActiveToken, IntrospectionRequest, IntrospectionResponse};
use protocol::scope::ScopeSet;

use crate::oauth::answer::{self, TokenError};
use crate::oauth::client::{IntrospectionCall, Introspector, ResourceServer};
use crate::oauth::{mint, open};
use crate::provider::{Provider, Shared};

/// After how long to ask again when this node is not sure what is revoked.
const RETRY_AFTER_SECONDS: u32 = 5;

pub async fn introspect(
    State(provider): State<Shared>,
    IntrospectionCall { caller, params }: IntrospectionCall,
) -> Result<Response, TokenError> {
    let request = IntrospectionRequest::decode(&params)?;
    let found = if request.token.starts_with(Purpose::Refresh.prefix()) {
        look_at_refresh(&provider, &caller, &request.token).await
    } else {
        look_at_access(&provider, &caller, &request.token).await
    };
    let found = found.map_err(|error: Unverifiable| {
        tracing::error!(%error, "introspection failed");
        // Fail closed, and say that it is us: "inactive" would be a claim about the token.
        TokenError::from(OAuthError::temporarily_unavailable(RETRY_AFTER_SECONDS))
    })?;
    let response = match found {
        Some(active) => IntrospectionResponse::Active(Box::new(active)),
        None => IntrospectionResponse::Inactive,
    };
    Ok(answer::json(StatusCode::OK, response.to_json()))
}

async fn look_at_access(
    provider: &Provider,
    caller: &Introspector,
    text: &str,
) -> Result<Option<ActiveToken>, Unverifiable> {
    let Ok(token) = open::access_token(provider, text).await else { return Ok(None) };
    let Some(rows) = provider.store.live_rows(token.grant_id, token.token_id).await? else {
        return Ok(None);
    };
    let scopes = match decide(provider, caller, &token, &rows) {
        Ok(scopes) => scopes,
        Err(refusal) => {
            tracing::debug!(%refusal, grant = %token.grant_id, "introspected as inactive");
            return Ok(None);
        }
    };
    Ok(Some(ActiveToken {
        token_type: "Bearer".to_owned(),
        aud: vec![token.audience.clone()],
        iat: token.issued_at.as_seconds(),
        exp: token.expires_at.as_seconds(),
        jti: Some(token.token_id.to_string()),
        ..describe(provider, &rows, scopes)
    }))
}

fn decide(
    provider: &Provider,
    caller: &Introspector,
    token: &AccessToken,
    rows: &LiveRows,
) -> Result<ScopeSet, AccessRefusal> {
    if !is_taken(provider, rows) {
        return Err(AccessRefusal::WrongDialect);
    }
    let now = provider.now();
    match caller {
        // An API that has no place for tests does not learn to tell their tokens from others.
        Introspector::Resource(server) if !takes_mode(provider, server, rows.grant.mode) => {
            Err(AccessRefusal::WrongMode)
        }
        Introspector::Resource(server) => check_access(token, rows, &server.resource, None, now)
            .map(|access: Access| access.scopes),
        Introspector::App(client) if client.is(rows.app.id, rows.grant.mode) => {
            live_scopes(token, rows, now)
        }
        Introspector::App(_) => Err(AccessRefusal::WrongAudience),
    }
}

fn takes_mode(provider: &Provider, server: &ResourceServer, mode: Mode) -> bool {
    let policy = provider.policy();
    let resource = policy.resource(&server.resource);
    mode == Mode::Live || resource.is_some_and(|resource| resource.test_upstream.is_some())
}

/// By the wire format that the grant was made in.
fn is_taken(provider: &Provider, rows: &LiveRows) -> bool {
    provider.policy().takes_tokens(&rows.app, rows.grant.dialect.as_deref())
}

/// Only the app itself may ask about a refresh token, and only the newest one is called active.
async fn look_at_refresh(
    provider: &Provider,
    caller: &Introspector,
    text: &str,
) -> Result<Option<ActiveToken>, Unverifiable> {
    let Introspector::App(client) = caller else { return Ok(None) };
    let opened = open::sealed::<RefreshToken>(provider, Purpose::Refresh, text).await;
    let Ok(token) = opened else { return Ok(None) };
    // Other nodes rotate without a word: which one is the newest is asked of the database.
    let rows = provider.store.grant_rows(token.grant_id, true).await;
    let rows = rows.map_err(|error| Unverifiable { reason: error.to_string() })?;
    let Some(rows) = rows else { return Ok(None) };
    let newest = rows.grant.refresh.map(|state| state.generation);
    let is_newest = newest == Some(token.generation);
    if !client.is(rows.app.id, rows.grant.mode) || !is_newest || !is_taken(provider, &rows) {
        return Ok(None);
    }
    let Ok(scopes) = grant_scopes(&rows, provider.now()) else { return Ok(None) };
    Ok(Some(ActiveToken {
        token_type: "refresh_token".to_owned(),
        aud: rows.grant.resources.clone(),
        iat: rows.grant.refresh.map_or(0, |state| state.rotated_at.as_seconds()),
        exp: rows.grant.idle_expires_at.as_seconds(),
        ..describe(provider, &rows, scopes)
    }))
}

fn describe(provider: &Provider, rows: &LiveRows, scope: ScopeSet) -> ActiveToken {
    ActiveToken {
        iss: provider.issuer(),
        sub: mint::subject(&rows.app, &rows.grant),
        aud: Vec::new(),
        client_id: rows.app.client_id.clone(),
        scope,
        token_type: String::new(),
        iat: 0,
        exp: 0,
        jti: None,
        username: None,
        auth_time: rows.grant.auth_time.map(Timestamp::as_seconds),
        acr: rows.grant.acr.clone(),
        mode: (rows.grant.mode == Mode::Test).then(|| "test".to_owned()),
    }
}
