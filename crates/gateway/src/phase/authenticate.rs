//! Phase 2, authenticate: who calls, through which app. The token is opened, and the rows behind it
//! are asked at every call: that is what makes *revoked* mean *refused on the next request*.

use std::net::IpAddr;
use std::sync::Arc;

use domain::access::{Access, AccessRefusal, LiveRows, check_access};
use domain::app::App;
use domain::authority::Authority;
use domain::grant::Mode;
use domain::id::UserId;
use domain::key_access::LiveKey;
use domain::keyring::Keyring;
use domain::policy::RouteAccess;
use domain::token::AccessToken;
use domain::usage::UsedBy;
use http::HeaderMap;
use protocol::bearer::{self, BearerError, Presented};

use crate::error::{GatewayError, TokenRefusal};
use crate::pass::Inner;
use crate::phase::account::Known;
use crate::phase::matching::Matched;
use crate::phase::signed::{self, Signing};

/// A call whose caller is known.
pub(crate) struct Caller {
    pub(crate) proof: Proof,
    pub(crate) keyring: Arc<Keyring>,
}

/// How a caller proved who they are.
#[derive(Clone)]
pub(crate) enum Proof {
    Token { access: Access, token: Arc<AccessToken>, rows: LiveRows },
    Key { live: LiveKey, signing: Signing },
}

impl Proof {
    pub(crate) fn app(&self) -> &Arc<App> {
        match self {
            Self::Token { access, .. } => &access.app,
            Self::Key { live, .. } => &live.app,
        }
    }

    pub(crate) fn user_id(&self) -> Option<UserId> {
        match self {
            Self::Token { access, .. } => access.user_id,
            Self::Key { live, .. } => Some(live.user.id),
        }
    }

    pub(crate) fn mode(&self) -> Mode {
        match self {
            Self::Token { access, .. } => access.mode,
            // Keys are for the real thing only.
            Self::Key { .. } => Mode::Live,
        }
    }

    pub(crate) fn known(&self) -> Known {
        match self {
            Self::Token { access, .. } => {
                Known { app: access.app.id, user: access.user_id, mode: access.mode }
            }
            Self::Key { live, .. } => signed::known(live),
        }
    }

    pub(crate) fn used_by(&self) -> UsedBy {
        match self {
            Self::Token { access, .. } => UsedBy::Grant(access.grant_id),
            Self::Key { live, .. } => UsedBy::PartnerKey(live.key.id),
        }
    }
}

/// `None`: the route is public. `known` hears whose token it is, also where it is refused.
pub(crate) async fn authenticate<A: Authority>(
    gateway: &Inner<A>,
    matched: &Matched<'_>,
    (headers, query): (&HeaderMap, Option<&str>),
    client: IpAddr,
    known: &mut Option<Known>,
) -> Result<Option<Caller>, GatewayError> {
    // RFC 6750 §2.3: a token in an address ends up in logs and histories (attack X3).
    if query.is_some_and(may_carry_token) && bearer::query_carries_token(query) {
        return Err(GatewayError::TokenMisplaced);
    }
    if let RouteAccess::Public = matched.route.access {
        return Ok(None);
    }
    let presented = bearer::presented_in(headers).map_err(|error| match error {
        BearerError::Missing => GatewayError::TokenMissing,
        BearerError::Several => GatewayError::TokenMisplaced,
        BearerError::Malformed => GatewayError::TokenRefused(TokenRefusal::Malformed),
    })?;
    let takes_bare = || gateway.policy().dialects.iter().any(|dialect| dialect.relaxed.bare_token);
    if presented.is_bare && !takes_bare() {
        return Err(GatewayError::TokenMissing);
    }
    let (access, token, rows, keyring) =
        identify(gateway, matched, &presented, client, known).await?;
    let policy = gateway.policy();
    let dialect = rows.grant.dialect.as_deref();
    if !policy.takes_tokens(&rows.app, dialect) {
        return Err(AccessRefusal::WrongDialect.into());
    }
    // Without a scheme it is a token only to the dialect that takes it so (attack B1).
    if presented.is_bare && !policy.relaxed(dialect).bare_token {
        return Err(GatewayError::TokenMissing);
    }
    Ok(Some(Caller { proof: Proof::Token { access, token, rows }, keyring }))
}

/// The token with the rows behind it, as they are now.
async fn identify<A: Authority>(
    gateway: &Inner<A>,
    matched: &Matched<'_>,
    presented: &Presented<'_>,
    client: IpAddr,
    known: &mut Option<Known>,
) -> Result<(Access, Arc<AccessToken>, LiveRows, Arc<Keyring>), GatewayError> {
    let (token, keyring) = open(gateway, presented.token).await?;
    let rows = gateway
        .authority
        .live_rows(token.grant_id, token.token_id)
        .await?
        .ok_or(GatewayError::TokenRefused(TokenRefusal::NoGrant))?;
    *known = Some(Known {
        app: rows.app.id,
        user: rows.user.as_ref().map(|user| user.id),
        mode: rows.grant.mode,
    });
    let audience = &matched.api.resource.identifier;
    let access = check_access(&token, &rows, audience, Some(client), gateway.clock.now())?;
    if access.mode == Mode::Test && matched.api.resource.test_upstream.is_none() {
        return Err(GatewayError::TestToken);
    }
    Ok((access, token, rows, keyring))
}

/// Another node may have issued it with a key that is new to us: worth one reload.
async fn open<A: Authority>(
    gateway: &Inner<A>,
    text: &str,
) -> Result<(Arc<AccessToken>, Arc<Keyring>), GatewayError> {
    let mut keyring = gateway.authority.keyring();
    let mut opened = gateway.opened.open(&keyring, text);
    if let Err(AccessRefusal::UnknownKey) = opened {
        gateway.authority.reload_keys().await;
        keyring = gateway.authority.keyring();
        opened = gateway.opened.open(&keyring, text);
    }
    Ok((opened?, keyring))
}

/// A cheap first look, so that ordinary queries are not parsed.
fn may_carry_token(query: &str) -> bool {
    query.contains('%') || query.contains("access_token")
}
