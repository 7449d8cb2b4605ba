//! The operations of the token endpoint, apart from any wire format: a code becomes a grant, a
//! refresh token becomes the next one, an app acts for itself. What the answers say is committed
//! before they are given, refusals that revoke included (attack K2).

use std::net::IpAddr;

use domain::audit::{AuditActor, AuditEvent, AuditKind};
use domain::change::Change;
use domain::grant::{Grant, RevokeReason};
use domain::id::{AttemptId, GrantId};
use domain::issuance::pick_audience;
use domain::policy::EffectiveLifetimes;
use domain::redemption::{CodeOutcome, CodeRefusal, CodeRows, Proof, evictions};
use domain::seal::Purpose;
use domain::time::Timestamp;
use domain::token::AuthorizationCode;
use domain::token::codec::Content;
use protocol::error::OAuthError;
use protocol::pkce::CodeVerifier;
use protocol::token::TokenRequest;
use serde_json::json;
use store::webhooks::{self, GrantNews};
use store::{DbError, Tx, apps, audit, changes, grants, mails};

use crate::oauth::answer::TokenError;
use crate::oauth::client::AuthenticatedClient;
use crate::oauth::mint::{self, Order};
use crate::oauth::open;
use crate::provider::Provider;

mod by_credentials;
mod by_user_code;
mod refresh;

pub use crate::oauth::mint::IssuedTokens;

/// A commit whose answer was lost is tried again so often; the attempt id finds the own row.
const ATTEMPTS_MAX: usize = 3;

/// Answer what an authenticated client asks, whatever wire format it came in. `dialect` is the
/// endpoint's.
pub async fn issue(
    provider: &Provider,
    client: &AuthenticatedClient,
    request: TokenRequest,
    dialect: Option<&str>,
) -> Result<IssuedTokens, TokenError> {
    match request {
        TokenRequest::AuthorizationCode { code, redirect_uri, verifier, resources } => {
            let shown = ShownCode { code, redirect_uri, verifier, resources };
            redeem_code(provider, client, shown, dialect).await
        }
        TokenRequest::DeviceCode { device_code, resources } => {
            by_user_code::of_device(provider, client, &device_code, &resources, dialect).await
        }
        TokenRequest::UserCode { code } => match dialect {
            Some(dialect) => by_user_code::of_user(provider, client, &code, dialect).await,
            // The standard has no word for it (attack B1).
            None => Err(OAuthError::unsupported_grant_type().into()),
        },
        TokenRequest::Refresh { token, scopes, resources } => {
            let asked = refresh::Asked { scopes, resources };
            refresh::refresh(provider, client, &token, asked, dialect).await
        }
        TokenRequest::ClientCredentials { scopes, resources } => {
            by_credentials::client_credentials(provider, client, scopes.as_ref(), &resources).await
        }
    }
}

/// A code and the proof that comes with it.
struct ShownCode {
    code: String,
    redirect_uri: Option<String>,
    verifier: Option<CodeVerifier>,
    resources: Vec<String>,
}

/// Unseal → (the client is authenticated) → app, dialect, redirect URI, PKCE → app, user, consent
/// still so → insert. Single use is the primary key of the grant.
async fn redeem_code(
    provider: &Provider,
    client: &AuthenticatedClient,
    shown: ShownCode,
    dialect: Option<&str>,
) -> Result<IssuedTokens, TokenError> {
    let code: AuthorizationCode = open(provider, Purpose::Code, &shown.code).await?;
    let policy = provider.policy();
    let proof = Proof {
        app: &client.app,
        dialect,
        relaxed: policy.relaxed(dialect),
        redirect_uri: shown.redirect_uri.as_deref(),
        verifier: shown.verifier.as_ref(),
    };
    code.check_proof(&proof).map_err(refused)?;
    redeem(provider, client, Proven { code, device: None }, &shown.resources)
        .await?
        .map_err(refused)
}

/// A grant that is not inserted yet, and nothing is missing for it but the rows as they stand.
struct Proven {
    code: AuthorizationCode,
    /// Where the device was that asked for it.
    device: Option<IpAddr>,
}

async fn redeem(
    provider: &Provider,
    client: &AuthenticatedClient,
    Proven { code, device }: Proven,
    resources: &[String],
) -> Result<Result<IssuedTokens, CodeRefusal>, TokenError> {
    let audience = pick_audience(resources, &code.resources)?;
    let redemption = Redemption {
        attempt: AttemptId::random(&*provider.entropy),
        lifetimes: provider.policy().lifetimes_of_grant(
            &client.app,
            code.dialect.as_deref(),
            &code.scopes,
        ),
        address: client.address,
        now: provider.now(),
        code,
        device,
        is_heard: client.app.has_webhooks,
    };
    let grant = match redemption.run(provider).await? {
        Ok(grant) => grant,
        Err(refusal) => return Ok(Err(refusal)),
    };
    let generation = grant.refresh.map(|state| state.generation);
    let order = Order { scopes: grant.scopes.clone(), audience, generation };
    mint::tokens(provider, &client.app, grant, order).map(Ok)
}

fn refused(refusal: CodeRefusal) -> TokenError {
    OAuthError::invalid_grant(refusal.to_string()).into()
}

/// One attempt to turn a code into a grant. Its closure may run more than once.
#[derive(Clone)]
struct Redemption {
    code: AuthorizationCode,
    device: Option<IpAddr>,
    attempt: AttemptId,
    lifetimes: EffectiveLifetimes,
    address: IpAddr,
    now: Timestamp,
    /// The app wants to hear of grants. Others pay nothing for it.
    is_heard: bool,
}

type Redeemed = Result<Grant, CodeRefusal>;

impl Redemption {
    /// The rows that the code names may be cached: what was taken back meanwhile shows in the
    /// token, whose consent and epoch are looked at on every use.
    async fn run(self, provider: &Provider) -> Result<Redeemed, DbError> {
        let code = &self.code;
        let rows = provider
            .store
            .code_rows((code.app_id, code.mode), code.user_id, code.consent_id)
            .await?;
        let made = match &rows.app {
            None => return Ok(Err(CodeRefusal::AppNotLive)),
            Some(app) => {
                let (user, consent) = (rows.user.as_deref(), rows.consent.as_deref());
                let rows = CodeRows { app, user, consent };
                let made = code.clone().into_grant(&rows, self.attempt, &self.lifetimes, self.now);
                made.map(|grant| Grant { device_address: self.device, ..grant })
            }
        };
        let excess = if made.is_ok() { self.find_excess(provider).await? } else { Vec::new() };
        let mut outcome = Err(DbError::OutcomeUnknown(String::new()));
        for _ in 0..ATTEMPTS_MAX {
            let (this, made, excess) = (self.clone(), made.clone(), excess.clone());
            let write = async move |tx: &mut Tx<'_>| this.write(tx, made.clone(), &excess).await;
            outcome = provider.store.db.write(write).await;
            if !matches!(outcome, Err(DbError::OutcomeUnknown(_))) {
                break;
            }
        }
        outcome
    }

    /// Single use is the primary key: the row goes in, or it is there and tells what to do.
    async fn write(
        &self,
        tx: &mut Tx<'_>,
        made: Redeemed,
        excess: &[GrantId],
    ) -> Result<Redeemed, DbError> {
        if let Ok(grant) = &made
            && grants::insert(tx, grant).await?
        {
            self.evict(tx, excess).await?;
            let event = self.event(AuditKind::GrantCreated);
            let detail = json!({ "scopes": grant.scopes, "device": self.device });
            audit::record(tx, &event.detail(detail)).await?;
            if self.is_heard {
                webhooks::queue_grant(tx, grant, GrantNews::Created, self.now).await?;
            }
            return Ok(made);
        }
        let existing = grants::find(tx, self.code.grant_id).await?;
        match self.code.present(existing, self.attempt) {
            CodeOutcome::First => Ok(Err(made.err().unwrap_or(CodeRefusal::Used))),
            CodeOutcome::OwnRow(grant) => Ok(Ok(*grant)),
            // A replay also when the code could not be redeemed any more.
            CodeOutcome::Replay(grant) => {
                self.revoke(tx, &grant).await?;
                Ok(Err(CodeRefusal::Used))
            }
            CodeOutcome::Foreign => Ok(Err(CodeRefusal::Used)),
        }
    }

    /// RFC 6749 §4.1.2: tokens of a code that is used twice are revoked.
    async fn revoke(&self, tx: &mut Tx<'_>, grant: &Grant) -> Result<(), DbError> {
        if grants::revoke(tx, grant.id, RevokeReason::CodeReplayed, self.now).await? {
            changes::record(tx, Change::Grant(grant.id)).await?;
            let news = GrantNews::Revoked(RevokeReason::CodeReplayed);
            webhooks::queue_grant(tx, grant, news, self.now).await?;
            if let Some(app) = apps::find(tx, grant.app_id).await?
                && let Some(told) = refresh::theft_mail(grant, &app, self.now)
            {
                mails::queue(tx, &told).await?;
            }
        }
        audit::record(tx, &self.event(AuditKind::CodeReplayed)).await
    }

    /// Make room: apps that ask at every start would pile up grants otherwise. Looked up outside of
    /// the transaction, which would wait for everyone who is let in at the same time; codes that
    /// are redeemed in the same moment can go over the limit until the next one.
    async fn find_excess(&self, provider: &Provider) -> Result<Vec<GrantId>, DbError> {
        let whose = (self.code.user_id, self.code.app_id, self.code.mode);
        let now = self.now;
        let read = async move |tx: &mut Tx<'_>| grants::list_last_uses_of(tx, whose, now).await;
        let mut live = provider.store.db.read(read).await?;
        live.retain(|(_, id)| *id != self.code.grant_id);
        Ok(evictions(live))
    }

    async fn evict(&self, tx: &mut Tx<'_>, excess: &[GrantId]) -> Result<(), DbError> {
        for id in excess {
            if grants::revoke(tx, *id, RevokeReason::Evicted, self.now).await? {
                changes::record(tx, Change::Grant(*id)).await?;
                let event = self.event(AuditKind::GrantRevoked).grant(*id);
                audit::record(tx, &event.detail(json!({ "reason": "evicted" }))).await?;
                if self.is_heard
                    && let Some(grant) = grants::find(tx, *id).await?
                {
                    let news = GrantNews::Revoked(RevokeReason::Evicted);
                    webhooks::queue_grant(tx, &grant, news, self.now).await?;
                }
            }
        }
        Ok(())
    }

    fn event(&self, kind: AuditKind) -> AuditEvent {
        AuditEvent::new(self.now, kind, AuditActor::App(self.code.app_id))
            .user(self.code.user_id)
            .consent(self.code.consent_id)
            .grant(self.code.grant_id)
            .address(self.address)
    }
}

/// Open a code or a refresh token. Whatever is wrong with it, the answer is the same (attack T3).
async fn open<C: Content>(
    provider: &Provider,
    purpose: Purpose,
    text: &str,
) -> Result<C, TokenError> {
    let opened = open::sealed(provider, purpose, text).await;
    opened.map_err(|_| {
        let what = if purpose == Purpose::Code { "code" } else { "refresh_token" };
        OAuthError::invalid_grant(format!("the {what} is not valid")).into()
    })
}
