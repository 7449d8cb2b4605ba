//! A refresh token becomes the next one, by `domain::grant`'s rule and one compare-and-swap.
//! Refreshes are not audited one by one: the trail grows with decisions, not with traffic.

use domain::access::{LiveRows, grant_scopes};
use domain::app::App;
use domain::audit::{AuditActor, AuditEvent, AuditKind};
use domain::change::Change;
use domain::grant::{Grant, RefreshOutcome, RefreshState, RevokeReason};
use domain::issuance::{narrow_scopes, pick_audience};
use domain::mail::{Mail, MailKind};
use domain::seal::Purpose;
use domain::time::Timestamp;
use domain::token::RefreshToken;
use protocol::error::OAuthError;
use protocol::scope::ScopeSet;
use store::webhooks::{self, GrantNews};
use store::{DbError, Tx, audit, changes, grants, mails};

use crate::oauth::answer::TokenError;
use crate::oauth::client::AuthenticatedClient;
use crate::oauth::grants::open;
use crate::oauth::mint::{self, IssuedTokens, Order};
use crate::provider::Provider;

/// Lost compare-and-swaps in a row; each means that somebody else's refresh went through.
const SWAPS_MAX: usize = 16;

/// What the next access token is to be good for. Narrower than the grant or as wide, never wider.
pub(super) struct Asked {
    pub(super) scopes: Option<ScopeSet>,
    pub(super) resources: Vec<String>,
}

pub(super) async fn refresh(
    provider: &Provider,
    client: &AuthenticatedClient,
    text: &str,
    asked: Asked,
    dialect: Option<&str>,
) -> Result<IssuedTokens, TokenError> {
    let token: RefreshToken = open(provider, Purpose::Refresh, text).await?;
    let mut is_fresh = false;
    for _ in 0..SWAPS_MAX {
        let rows = provider.store.grant_rows(token.grant_id, is_fresh).await?.ok_or_else(over)?;
        // Somebody else's token: nothing happens to it (attack C2).
        if !client.is(rows.grant.app_id, rows.grant.mode)
            || rows.grant.dialect.as_deref() != dialect
        {
            return Err(over());
        }
        let now = provider.now();
        let outcome = rows.grant.present_refresh(token.generation, &rows.app, now);
        // What is cached is good enough for a compare-and-swap, and for nothing else.
        if !is_fresh && !matches!(outcome, RefreshOutcome::Rotate(_)) {
            is_fresh = true;
            continue;
        }
        let (generation, rotated) = match outcome {
            RefreshOutcome::Rotate(state) => (state.generation, Some(state)),
            RefreshOutcome::Repeat { generation } => (generation, None),
            RefreshOutcome::Theft => {
                revoke_stolen(provider, client, &rows.grant, token).await?;
                return Err(over());
            }
            RefreshOutcome::FromTheFuture | RefreshOutcome::NotRefreshable => return Err(over()),
        };
        // A request that cannot be met must not use the token up.
        let order = place_order(&rows, &asked, generation, now)?;
        let swapped = match rotated {
            Some(state) => rotate(provider, &rows, state).await?,
            None => true,
        };
        if swapped {
            return mint::tokens(provider, &rows.app, (*rows.grant).clone(), order);
        }
        // Somebody else was faster.
        is_fresh = true;
    }
    Err(DbError::Conflict("a grant is refreshed too often at once".to_owned()).into())
}

/// One text for every reason: a stranger learns nothing, the developer starts over in every case.
fn over() -> TokenError {
    let text =
        "the refresh token is not valid any more, or is not this client's; ask the user again";
    OAuthError::invalid_grant(text).into()
}

fn place_order(
    rows: &LiveRows,
    asked: &Asked,
    generation: i64,
    now: Timestamp,
) -> Result<Order, TokenError> {
    let live = grant_scopes(rows, now).map_err(|refusal| {
        tracing::debug!(%refusal, grant = %rows.grant.id, "refresh refused");
        over()
    })?;
    if live.is_empty() {
        return Err(over());
    }
    let scopes = narrow_scopes(asked.scopes.as_ref(), &live)?;
    let audience = pick_audience(&asked.resources, &rows.grant.resources)?;
    Ok(Order { scopes, audience, generation: Some(generation) })
}

/// `false`: somebody else was faster; decide again.
async fn rotate(
    provider: &Provider,
    LiveRows { grant, app, .. }: &LiveRows,
    to: RefreshState,
) -> Result<bool, DbError> {
    let idle = provider.policy().lifetimes_for(app, grant.dialect.as_deref()).refresh_idle;
    let idle_expires_at = to.rotated_at.after(idle).min(grant.expires_at);
    provider.store.rotate(grant, to, idle_expires_at).await
}

/// Two parties hold tokens of this grant. Neither can be told from the other, so both lose it.
async fn revoke_stolen(
    provider: &Provider,
    client: &AuthenticatedClient,
    grant: &Grant,
    token: RefreshToken,
) -> Result<(), DbError> {
    let now = provider.now();
    let mut event = AuditEvent::new(now, AuditKind::RefreshTheft, AuditActor::App(grant.app_id))
        .grant(grant.id)
        .address(client.address)
        .detail(serde_json::json!({
            "presented_generation": token.generation,
            "newest_generation": grant.refresh.map(|state| state.generation),
        }));
    event.user_id = grant.user_id();
    event.consent_id = grant.consent_id();
    let (id, ended) = (grant.id, grant.clone());
    let told = theft_mail(grant, &client.app, now);
    let write = async move |tx: &mut Tx<'_>| {
        if grants::revoke(tx, id, RevokeReason::RefreshTheft, now).await? {
            changes::record(tx, Change::Grant(id)).await?;
            // Once: whoever goes on trying has nothing sent.
            if let Some(told) = &told {
                mails::queue(tx, told).await?;
            }
            let news = GrantNews::Revoked(RevokeReason::RefreshTheft);
            webhooks::queue_grant(tx, &ended, news, now).await?;
        }
        audit::record(tx, &event).await
    };
    provider.store.db.write(write).await
}

/// What the user is told when a copy was used. `None`: the grant is the app's own.
pub(super) fn theft_mail(grant: &Grant, app: &App, now: Timestamp) -> Option<Mail> {
    let told = MailKind::TheftDetected { app: app.name.clone() };
    grant.user_id().map(|user| Mail::to_user(user, told, now))
}
