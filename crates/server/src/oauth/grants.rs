//! The operations of the token endpoint, apart from any wire format: a code becomes a grant, a
//! refresh token becomes the next one, an app acts for itself. What the answers say is committed
//! before they are given, refusals that revoke included (attack K2).

use std::net::IpAddr;

use domain::app::App;
use domain::audit::{AuditActor, AuditEvent, AuditKind};
use domain::change::Change;
use domain::grant::{Grant, RevokeReason};
use domain::id::AttemptId;
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
use store::{DbError, Tx, apps, audit, changes, consents, grants, users};

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
        lifetimes: provider.policy().lifetimes_for(&client.app, code.dialect.as_deref()),
        address: client.address,
        now: provider.now(),
        code,
        device,
    };
    let (app, grant) = match redemption.run(provider).await? {
        Ok(made) => made,
        Err(refusal) => return Ok(Err(refusal)),
    };
    let generation = grant.refresh.map(|state| state.generation);
    let order = Order { scopes: grant.scopes.clone(), audience, generation };
    mint::tokens(provider, &app, grant, order).map(Ok)
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
}

type Redeemed = Result<(App, Grant), CodeRefusal>;

impl Redemption {
    async fn run(&self, provider: &Provider) -> Result<Redeemed, DbError> {
        let mut outcome = Err(DbError::OutcomeUnknown(String::new()));
        for _ in 0..ATTEMPTS_MAX {
            let this = self.clone();
            outcome =
                provider.store.db.write(async move |tx: &mut Tx<'_>| this.write(tx).await).await;
            if !matches!(outcome, Err(DbError::OutcomeUnknown(_))) {
                break;
            }
        }
        outcome
    }

    async fn write(&self, tx: &mut Tx<'_>) -> Result<Redeemed, DbError> {
        let Some(app) = apps::find(tx, self.code.app_id).await? else {
            return Ok(Err(CodeRefusal::AppNotLive));
        };
        let existing = grants::find(tx, self.code.grant_id).await?;
        match self.code.present(existing, self.attempt) {
            CodeOutcome::First => {}
            CodeOutcome::OwnRow(grant) => return Ok(Ok((app, *grant))),
            CodeOutcome::Replay(grant) => {
                self.revoke(tx, &grant).await?;
                return Ok(Err(CodeRefusal::Used));
            }
            CodeOutcome::Foreign => return Ok(Err(CodeRefusal::Used)),
        }
        let user = users::find(tx, self.code.user_id).await?;
        let consent = consents::find_of(tx, self.code.user_id, app.id).await?;
        let rows = CodeRows { app: &app, user: user.as_ref(), consent: consent.as_ref() };
        let made = self.code.clone().into_grant(&rows, self.attempt, &self.lifetimes, self.now);
        let grant = match made {
            Ok(grant) => Grant { device_address: self.device, ..grant },
            Err(refusal) => return Ok(Err(refusal)),
        };
        self.evict(tx).await?;
        if !grants::insert(tx, &grant).await? {
            return Ok(Err(CodeRefusal::Used));
        }
        let event = self.event(AuditKind::GrantCreated);
        let detail = json!({ "scopes": grant.scopes, "device": self.device });
        audit::record(tx, &event.detail(detail)).await?;
        Ok(Ok((app, grant)))
    }

    /// RFC 6749 §4.1.2: tokens of a code that is used twice are revoked.
    async fn revoke(&self, tx: &mut Tx<'_>, grant: &Grant) -> Result<(), DbError> {
        if grants::revoke(tx, grant.id, RevokeReason::CodeReplayed, self.now).await? {
            changes::record(tx, Change::Grant(grant.id)).await?;
        }
        audit::record(tx, &self.event(AuditKind::CodeReplayed)).await
    }

    /// Make room: apps that ask at every start would pile up grants otherwise.
    async fn evict(&self, tx: &mut Tx<'_>) -> Result<(), DbError> {
        let (user, app) = (self.code.user_id, self.code.app_id);
        let live = grants::list_live_of(tx, user, app, self.now).await?;
        for id in evictions(&live) {
            grants::revoke(tx, id, RevokeReason::Evicted, self.now).await?;
            changes::record(tx, Change::Grant(id)).await?;
            let event = self.event(AuditKind::GrantRevoked).grant(id);
            audit::record(tx, &event.detail(json!({ "reason": "evicted" }))).await?;
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
