//! Codes that a person carried: a device asks until its user has decided (RFC 8628 §3.4), or an app
//! of a dialect shows what its user pasted. What is traded becomes a grant as an authorization code
//! does, with the same guarantees: single use is the primary key of the grant.

use domain::audit::{AuditActor, AuditEvent, AuditKind};
use domain::authorization::grant_id_of;
use domain::id::CodeId;
use domain::redemption::CodeRefusal;
use domain::time::Timestamp;
use domain::user_code::{PollOutcome, PollPace, UserCode, UserCodeText, device_code_mac};
use protocol::error::OAuthError;
use serde_json::json;
use store::{DbError, Tx, audit, user_codes};

use super::{IssuedTokens, Proven, redeem, refused};
use crate::account::limits::Limits;
use crate::oauth::answer::TokenError;
use crate::oauth::client::AuthenticatedClient;
use crate::provider::Provider;

/// A device asks whether its user has decided.
pub(super) async fn of_device(
    provider: &Provider,
    client: &AuthenticatedClient,
    device_code: &str,
    resources: &[String],
    dialect: Option<&str>,
) -> Result<IssuedTokens, TokenError> {
    let mac = device_code_mac(&provider.keyring(), device_code);
    let read = async move |tx: &mut Tx<'_>| user_codes::find_by_device_code(tx, &mac).await;
    let found: Option<UserCode> = provider.store.db.read(read).await?;
    // Somebody else's code: nothing happens to it (attack D1).
    let code = found.filter(|code| is_of(code, client, dialect)).ok_or_else(|| {
        OAuthError::invalid_grant("the device code is not valid, or is not this client's")
    })?;
    match code.poll(grant_id_of(&provider.keyring(), code.id), provider.now()) {
        PollOutcome::Redeem(redeemed) => {
            let device = code.device.as_ref().map(|device| device.address);
            let proven = Proven { code: *redeemed, device };
            redeem(provider, client, proven, resources).await?.map_err(|refusal| match refusal {
                CodeRefusal::Expired => OAuthError::expired_token().into(),
                other => refused(other),
            })
        }
        PollOutcome::Pending(pace) => {
            save_pace(provider, code.id, pace).await?;
            Err(OAuthError::authorization_pending().into())
        }
        PollOutcome::TooFast(pace) => {
            if let Some(pace) = pace {
                save_pace(provider, code.id, pace).await?;
            }
            Err(OAuthError::poll_too_fast().into())
        }
        PollOutcome::Denied => Err(OAuthError::access_denied().into()),
        PollOutcome::Expired => Err(OAuthError::expired_token().into()),
    }
}

async fn save_pace(provider: &Provider, id: CodeId, pace: PollPace) -> Result<(), DbError> {
    let write = async move |tx: &mut Tx<'_>| user_codes::save_pace(tx, id, pace).await;
    provider.store.db.write_one(write).await
}

/// An app of a dialect shows what its user pasted. Counted before it is looked at.
pub(super) async fn of_user(
    provider: &Provider,
    client: &AuthenticatedClient,
    typed: &str,
    dialect: &str,
) -> Result<IssuedTokens, TokenError> {
    let keyring = provider.keyring();
    let shown = Shown {
        mac: UserCodeText::parse(typed).map(|text| text.mac(&keyring)),
        client: client.clone(),
        dialect: dialect.to_owned(),
        limits: Limits::of_app_with_user_codes(client.app.id, client.address),
        now: provider.now(),
    };
    let look = async move |tx: &mut Tx<'_>| shown.look(tx).await;
    let code = match provider.store.db.write(look).await? {
        Looked::Found(code) => code,
        Looked::Wait(seconds) => return Err(OAuthError::slow_down(seconds).into()),
        Looked::Wrong => return Err(wrong()),
    };
    match code.poll(grant_id_of(&keyring, code.id), provider.now()) {
        PollOutcome::Redeem(redeemed) => {
            let proven = Proven { code: *redeemed, device: None };
            redeem(provider, client, proven, &[]).await?.map_err(refused)
        }
        _ => Err(wrong()),
    }
}

/// One text for every reason: whoever guesses learns nothing.
fn wrong() -> TokenError {
    OAuthError::invalid_grant("the code is not valid, or is not for this app").into()
}

enum Looked {
    Found(Box<UserCode>),
    Wrong,
    /// Seconds.
    Wait(u32),
}

#[derive(Clone)]
struct Shown {
    mac: Option<[u8; 16]>,
    client: AuthenticatedClient,
    dialect: String,
    limits: Limits,
    now: Timestamp,
}

impl Shown {
    async fn look(&self, tx: &mut Tx<'_>) -> Result<Looked, DbError> {
        if let Some(wait) = self.limits.count(tx, self.now).await? {
            return Ok(Looked::Wait(u32::try_from(wait.as_secs()).unwrap_or(u32::MAX).max(1)));
        }
        let found = match &self.mac {
            Some(mac) => user_codes::find_by_user_code(tx, mac).await?,
            None => None,
        };
        // A device's code is typed at our page; here it is none (attack B1).
        let own = found
            .filter(|code| code.device.is_none() && is_of(code, &self.client, Some(&self.dialect)));
        let Some(code) = own else {
            let actor = AuditActor::App(self.client.app.id);
            let event = AuditEvent::new(self.now, AuditKind::UserCodeWrong, actor)
                .address(self.client.address)
                .detail(json!({ "dialect": self.dialect }));
            audit::record(tx, &event).await?;
            return Ok(Looked::Wrong);
        };
        self.limits.give_back(tx).await?;
        Ok(Looked::Found(Box::new(code)))
    }
}

fn is_of(code: &UserCode, client: &AuthenticatedClient, dialect: Option<&str>) -> bool {
    client.is(code.app_id, code.mode) && code.dialect.as_deref() == dialect
}
