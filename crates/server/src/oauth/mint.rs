//! Tokens as texts: sealed, or signed for a resource that wants JWTs (RFC 9068). Nothing is written
//! when one is made.

use std::time::Duration;

use domain::app::App;
use domain::grant::{Grant, Mode};
use domain::id::TokenId;
use domain::policy::TokenFormat;
use domain::seal::Purpose;
use domain::time::Timestamp;
use domain::token::{AccessToken, RefreshToken};
use protocol::jose::Algorithm;
use protocol::jwt_access_token::{AccessTokenClaims, TYP};
use protocol::scope::ScopeSet;
use protocol::token::{TokenResponse, TokenType};

use crate::oauth::answer::TokenError;
use crate::provider::Provider;

/// Tokens for an app, before anybody says in which wire format.
#[derive(Clone)]
pub struct IssuedTokens {
    pub access_token: String,
    /// Life of the access token.
    pub expires_in: Duration,
    pub refresh_token: Option<String>,
    pub scopes: ScopeSet,
    pub grant: Grant,
}

/// Tokens stay out of logs.
impl std::fmt::Debug for IssuedTokens {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("IssuedTokens").field("grant", &self.grant.id).finish_non_exhaustive()
    }
}

impl IssuedTokens {
    /// The answer of the standard.
    pub fn to_standard(&self) -> TokenResponse {
        TokenResponse {
            access_token: self.access_token.clone(),
            token_type: TokenType::Bearer,
            expires_in: self.expires_in.as_secs(),
            refresh_token: self.refresh_token.clone(),
            scope: self.scopes.clone(),
        }
    }
}

/// What the tokens are to be good for.
pub(super) struct Order {
    pub scopes: ScopeSet,
    pub audience: String,
    /// The generation of the refresh token; `None`: there is none.
    pub generation: Option<i64>,
}

pub(super) fn tokens(
    provider: &Provider,
    app: &App,
    grant: Grant,
    order: Order,
) -> Result<IssuedTokens, TokenError> {
    let now = provider.now();
    let policy = provider.policy();
    let dialect = grant.dialect.as_deref();
    let lifetimes = match grant.user_id() {
        Some(_) => policy.lifetimes_of_grant(app, dialect, &grant.scopes),
        // Nobody gave the app a key for itself.
        None => policy.lifetimes_for(app, dialect),
    };
    let wish = lifetimes.access_token;
    // A token that outlives its grant would promise what it cannot keep.
    // Up to the second: a grant that was made just now has its whole life before it.
    let left = grant.expires_at.since(now).as_millis().div_ceil(1000);
    let expires_in = wish.min(Duration::from_secs(u64::try_from(left).unwrap_or(u64::MAX)));
    let token = AccessToken {
        grant_id: grant.id,
        token_id: TokenId::random(&*provider.entropy),
        scopes: order.scopes.clone(),
        audience: order.audience,
        issued_at: now,
        expires_at: now.after(expires_in),
        key_binding: grant.key_binding.clone(),
    };
    // Whoever checks JWTs alone may not know that there are tests.
    let format = match grant.mode {
        Mode::Live => policy.resource(&token.audience).map(|resource| resource.token_format),
        Mode::Test => None,
    };
    let access_token = match format {
        Some(TokenFormat::Jwt(algorithm)) => sign(provider, app, &grant, &token, algorithm)?,
        _ => provider
            .keyring()
            .seal(Purpose::Access, &token, &*provider.entropy)
            .ok_or(TokenError::Internal("an access token could not be sealed"))?,
    };
    let refresh_token = order.generation.map(|generation| {
        let token = RefreshToken { grant_id: grant.id, generation };
        provider
            .keyring()
            .seal(Purpose::Refresh, &token, &*provider.entropy)
            .ok_or(TokenError::Internal("a refresh token could not be sealed"))
    });
    let refresh_token = refresh_token.transpose()?;
    Ok(IssuedTokens { access_token, expires_in, refresh_token, scopes: order.scopes, grant })
}

fn sign(
    provider: &Provider,
    app: &App,
    grant: &Grant,
    token: &AccessToken,
    algorithm: Algorithm,
) -> Result<String, TokenError> {
    let claims = AccessTokenClaims {
        iss: provider.issuer(),
        sub: subject(app, grant),
        aud: vec![token.audience.clone()],
        exp: token.expires_at.as_seconds(),
        iat: token.issued_at.as_seconds(),
        jti: token.token_id.to_string(),
        client_id: app.client_id.clone(),
        scope: token.scopes.clone(),
        grant_id: grant.id.to_string(),
        auth_time: grant.auth_time.map(Timestamp::as_seconds),
        acr: grant.acr.clone(),
        amr: grant.amr.iter().flat_map(|amr| amr.split(' ')).map(str::to_owned).collect(),
    };
    let keyring = provider.keyring();
    keyring
        .signing_key(algorithm, token.issued_at)
        .and_then(|key| key.sign(TYP, &claims).ok())
        .ok_or(TokenError::Internal("there is no signing key in use for this algorithm"))
}

/// `sub` on the wire: the user, or the app when it acts for itself.
pub(super) fn subject(app: &App, grant: &Grant) -> String {
    grant.user_id().map_or_else(|| app.client_id.clone(), |id| id.to_string())
}
