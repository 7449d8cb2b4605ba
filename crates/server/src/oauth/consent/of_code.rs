//! What a decision does to a user code, in the transaction of the decision: a device's is decided,
//! a dialect's is made.

use domain::app::App;
use domain::consent::Consent;
use domain::id::{CodeId, UserId};
use domain::session::Session;
use domain::time::Timestamp;
use domain::user_code::{Allowed, USER_CODE_LIFETIME, UserCode, UserCodeStatus, UserCodeText};
use protocol::scope::ScopeSet;
use store::user_codes::Macs;
use store::{DbError, Tx, user_codes};

use super::Stored;
use crate::error::PageError;
use crate::oauth::authorize::resources;
use crate::oauth::pending::{Pending, Reply};
use crate::provider::Provider;

#[derive(Clone)]
pub(super) struct OfCode {
    id: CodeId,
    /// The row to be made, without the decision; `None`: a device's is there.
    shown: Option<(UserCode, Macs)>,
    session: Session,
    now: Timestamp,
}

impl OfCode {
    /// `None`: the answer goes back with the browser, and no code is typed by anybody.
    pub(super) fn new(
        provider: &Provider,
        pending: &Pending,
        app: &App,
        asked: &ScopeSet,
        session: &Session,
    ) -> Option<Self> {
        let (id, now) = (pending.code_id, provider.now());
        let shown = || {
            let code = UserCode {
                id,
                app_id: app.id,
                mode: app.mode,
                dialect: pending.dialect.clone(),
                asked: asked.clone(),
                resources: resources(&[], &provider.policy()),
                device: None,
                status: UserCodeStatus::Waiting,
                created_at: now,
                expires_at: now.after(USER_CODE_LIFETIME),
            };
            let keyring = provider.keyring();
            let user_code = UserCodeText::of(&keyring, id).mac(&keyring);
            (code, Macs { user_code, device_code: None })
        };
        let shown = match pending.reply {
            Reply::Redirect => return None,
            Reply::Device => None,
            Reply::Shown => Some(shown()),
        };
        Some(Self { id, shown, session: session.clone(), now })
    }

    pub(super) fn is_shown(&self) -> bool {
        self.shown.is_some()
    }

    /// Is there still something to decide?
    pub(super) async fn is_open(&self, tx: &mut Tx<'_>) -> Result<bool, DbError> {
        if self.is_shown() {
            return Ok(true);
        }
        let found = user_codes::find(tx, self.id).await?;
        Ok(found.is_some_and(|code| code.is_waiting(self.now)))
    }

    pub(super) async fn deny(&self, tx: &mut Tx<'_>) -> Result<(), DbError> {
        if !self.is_shown() {
            user_codes::deny(tx, self.id).await?;
        }
        Ok(())
    }

    pub(super) async fn allow(
        &self,
        tx: &mut Tx<'_>,
        consent: &Consent,
        scopes: &ScopeSet,
    ) -> Result<(), PageError> {
        let allowed = Allowed {
            user_id: consent.user_id,
            consent_id: consent.id,
            consent_epoch: consent.epoch,
            scopes: scopes.clone(),
            session_id: self.session.id,
            auth_time: self.session.auth_time,
            methods: self.session.methods,
        };
        let stored = match &self.shown {
            None => user_codes::allow(tx, self.id, &allowed).await?,
            Some((code, macs)) => {
                let status = UserCodeStatus::Allowed(allowed);
                user_codes::insert(tx, &UserCode { status, ..code.clone() }, macs).await?
            }
        };
        // Somebody else's code has the same letters, once in a very long while.
        if stored { Ok(()) } else { Err(PageError::RequestOver) }
    }

    /// The form was sent before: the same answer is told again, and nothing is done.
    pub(super) async fn repeat(
        &self,
        tx: &mut Tx<'_>,
        user: UserId,
        consent: Option<Consent>,
    ) -> Result<Stored, PageError> {
        let status = user_codes::find(tx, self.id).await?.map(|code| code.status);
        Ok(match (status, consent) {
            (Some(UserCodeStatus::Allowed(allowed)), Some(consent)) if allowed.user_id == user => {
                Stored::Given { consent, public_key: None }
            }
            (Some(UserCodeStatus::Denied), _) => Stored::Denied,
            _ => Stored::Over,
        })
    }
}
