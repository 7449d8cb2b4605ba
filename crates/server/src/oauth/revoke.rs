//! `POST /oauth/revoke` (RFC 7009). An access token ends alone; a refresh token ends its grant with
//! everything that points to it. A token that is not the caller's, or nobody's, is answered with
//! 200 and nothing happens (attack T9).

use axum::extract::State;
use axum::response::Response;
use domain::audit::{AuditActor, AuditEvent, AuditKind};
use domain::change::Change;
use domain::grant::RevokeReason;
use domain::id::GrantId;
use domain::seal::Purpose;
use domain::token::{AccessToken, RefreshToken};
use http::StatusCode;
use protocol::revocation::RevocationRequest;
use serde_json::json;
use store::webhooks::{self, GrantNews};
use store::{DbError, Tx, audit, changes, grants, revoked_tokens};

use crate::oauth::answer::{self, TokenError};
use crate::oauth::client::{AppCall, AuthenticatedClient};
use crate::oauth::open;
use crate::provider::{Provider, Shared};

pub async fn revoke(
    State(provider): State<Shared>,
    AppCall { client, params, noted }: AppCall,
) -> Result<Response, TokenError> {
    let request = RevocationRequest::decode(&params)?;
    if let Some(token) = Revocable::open(&provider, &request.token).await {
        noted.set_grant(token.grant_id());
        end(&provider, &client, token).await?;
    }
    Ok(answer::empty(StatusCode::OK))
}

/// A token that says what it is; a hint is not needed.
enum Revocable {
    Access(AccessToken),
    Refresh(GrantId),
}

impl Revocable {
    async fn open(provider: &Provider, text: &str) -> Option<Self> {
        if text.starts_with(Purpose::Refresh.prefix()) {
            let token =
                open::sealed::<RefreshToken>(provider, Purpose::Refresh, text).await.ok()?;
            return Some(Self::Refresh(token.grant_id));
        }
        // An expired token has ended already.
        open::access_token(provider, text).await.ok().map(Self::Access)
    }

    fn grant_id(&self) -> GrantId {
        match self {
            Self::Access(token) => token.grant_id,
            Self::Refresh(grant_id) => *grant_id,
        }
    }
}

async fn end(
    provider: &Provider,
    client: &AuthenticatedClient,
    token: Revocable,
) -> Result<(), DbError> {
    let (now, app_id, address) = (provider.now(), client.app.id, client.address);
    let mode = client.app.mode;
    let write = async move |tx: &mut Tx<'_>| {
        let Some(grant) = grants::find(tx, token.grant_id()).await? else { return Ok(()) };
        if (grant.app_id, grant.mode) != (app_id, mode) {
            return Ok(());
        }
        let (ended, kind, change) = match &token {
            Revocable::Access(token) => {
                let ended = revoked_tokens::insert(tx, token.token_id, token.expires_at).await?;
                (ended, AuditKind::TokenRevoked, Change::Token(token.token_id))
            }
            Revocable::Refresh(id) => {
                let ended = grants::revoke(tx, *id, RevokeReason::App, now).await?;
                (ended, AuditKind::GrantRevoked, Change::Grant(*id))
            }
        };
        if !ended {
            return Ok(());
        }
        changes::record(tx, change).await?;
        if kind == AuditKind::GrantRevoked {
            let news = GrantNews::Revoked(RevokeReason::App);
            webhooks::queue_grant(tx, &grant, news, now).await?;
        }
        let mut event = AuditEvent::new(now, kind, AuditActor::App(app_id))
            .grant(grant.id)
            .address(address)
            .detail(json!({ "reason": "app" }));
        event.user_id = grant.user_id();
        event.consent_id = grant.consent_id();
        audit::record(tx, &event).await
    };
    provider.store.db.write(write).await
}
