//! Proving a second factor: what a form of ours brings, and whether it is right. Everything counts
//! once: a step of an authenticator app, a recovery code, a challenge for a passkey. Guesses are
//! counted before they are looked at (attack X2).

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use domain::audit::{AuditActor, AuditEvent, AuditKind};
use domain::authentication::Methods;
use domain::entropy::random_bytes;
use domain::id::UserId;
use domain::mail::{Mail, MailKind, Seen};
use domain::second_factor::{Enrolled, Passkey, RecoveryCode};
use domain::time::Timestamp;
use protocol::params::Params;
use protocol::totp;
use protocol::webauthn::{Assertion, PasskeyError, RelyingParty, check_assertion};
use serde_json::json;
use store::{Tx, audit, mails, second_factors, used_once};

use super::held::{Challenge, HELD_FOR};
use super::limits::Limits;
use crate::error::PageError;
use crate::pages::views;
use crate::provider::{Provider, Shared};

/// Whose passkeys are: `None` where browsers have none, on plain http and on bare addresses.
pub(super) fn relying_party(issuer: &str) -> Option<(String, String)> {
    let url = url::Url::parse(issuer).ok()?;
    let host = url.domain()?;
    let is_local = host == "localhost" || host.ends_with(".localhost");
    (url.scheme() == "https" || is_local).then(|| (host.to_owned(), issuer.to_owned()))
}

/// A new question for a passkey. `browser`: what binds it to this browser; `user`: whose passkey
/// has to answer, and which ones there are; `None`: whoever has one.
pub(super) fn ask(
    provider: &Provider,
    browser: &str,
    user: Option<(UserId, &Enrolled)>,
) -> Result<Option<views::PasskeyQuestion>, PageError> {
    if user.is_some_and(|(_, enrolled)| enrolled.passkeys.is_empty()) {
        return Ok(None);
    }
    question(provider, browser, user)
}

/// A question that a new passkey of `user` answers.
pub(super) fn ask_for_new(
    provider: &Provider,
    browser: &str,
    user: UserId,
    enrolled: &Enrolled,
) -> Result<Option<views::PasskeyQuestion>, PageError> {
    question(provider, browser, Some((user, enrolled)))
}

fn question(
    provider: &Provider,
    browser: &str,
    user: Option<(UserId, &Enrolled)>,
) -> Result<Option<views::PasskeyQuestion>, PageError> {
    let Some((rp_id, _)) = relying_party(&provider.issuer()) else { return Ok(None) };
    let challenge = URL_SAFE_NO_PAD.encode(random_bytes::<32>(&*provider.entropy));
    let held = Challenge {
        challenge: challenge.clone(),
        browser: browser.to_owned(),
        user: user.map(|(id, _)| id),
        at: provider.now(),
    };
    let passkeys = user.map(|(_, enrolled)| enrolled.passkeys.as_slice()).unwrap_or_default();
    let encode = |passkey: &Passkey| URL_SAFE_NO_PAD.encode(&passkey.credential_id);
    Ok(Some(views::PasskeyQuestion {
        state: held.seal(provider)?,
        challenge,
        rp_id,
        credentials: passkeys.iter().map(encode).collect(),
    }))
}

/// What a form brings.
pub(super) enum Presented {
    /// Of an authenticator app, or a recovery code, as typed.
    Code(String),
    Passkey(Box<Answer>),
}

/// A passkey's answer to a question that this browser was asked.
pub(super) struct Answer {
    question: Challenge,
    credential_id: Vec<u8>,
    client_data: Vec<u8>,
    authenticator_data: Vec<u8>,
    signature: Vec<u8>,
    /// The account for which the passkey was made, as the device remembers it.
    user_handle: Vec<u8>,
}

impl Presented {
    /// `Err`: the form is stale, or not one of ours.
    pub(super) fn read(
        provider: &Provider,
        params: &Params,
        browser: &str,
    ) -> Result<Self, PageError> {
        if params.one("credential_id")?.is_none() {
            return Ok(Self::Code(params.one("code")?.unwrap_or_default().trim().to_owned()));
        }
        let question =
            Challenge::open(provider, params.one("passkey")?.unwrap_or_default(), browser)?;
        let bytes = |name: &str| -> Result<Vec<u8>, PageError> {
            decode(params.one(name)?.unwrap_or_default())
        };
        Ok(Self::Passkey(Box::new(Answer {
            question,
            credential_id: bytes("credential_id")?,
            client_data: bytes("client_data")?,
            authenticator_data: bytes("authenticator_data")?,
            signature: bytes("signature")?,
            user_handle: bytes("user_handle")?,
        })))
    }
}

pub(super) fn decode(text: &str) -> Result<Vec<u8>, PageError> {
    URL_SAFE_NO_PAD
        .decode(text)
        .map_err(|_| PageError::BadRequest("What the passkey sent cannot be read.".into()))
}

pub(super) enum Checked {
    Right { user: UserId, method: Methods },
    Wrong,
    Wait(Duration),
}

/// One proof on its way into a transaction.
#[derive(Clone)]
pub(super) struct Check {
    pub(super) provider: Shared,
    pub(super) presented: Arc<Presented>,
    /// `None`: a passkey tells who it is.
    pub(super) user: Option<UserId>,
    pub(super) limits: Limits,
    pub(super) seen: Seen,
    pub(super) now: Timestamp,
}

impl Check {
    pub(super) async fn run(&self, tx: &mut Tx<'_>) -> Result<Checked, PageError> {
        // Nobody guesses a passkey, so its owner waits for nobody's guesses either.
        let is_code = matches!(*self.presented, Presented::Code(_));
        if is_code && let Some(wait) = self.limits.count(tx, self.now).await? {
            return Ok(Checked::Wait(wait));
        }
        let right = match (&*self.presented, self.user) {
            (Presented::Code(typed), Some(user)) => self.code(tx, user, typed).await?,
            (Presented::Code(_), None) => None,
            (Presented::Passkey(answer), _) => self.passkey(tx, answer).await?,
        };
        if let Some((user, method)) = right {
            if is_code {
                self.limits.give_back(tx).await?;
            }
            return Ok(Checked::Right { user, method });
        }
        if !is_code && let Some(wait) = self.limits.count(tx, self.now).await? {
            return Ok(Checked::Wait(wait));
        }
        let by = self.user.map_or(AuditActor::System, AuditActor::User);
        let kind = if is_code { "code" } else { "passkey" };
        let event = AuditEvent::new(self.now, AuditKind::SecondFactorFailed, by);
        audit::record(tx, &event.address(self.seen.address).detail(json!({ "kind": kind })))
            .await?;
        Ok(Checked::Wrong)
    }

    async fn code(
        &self,
        tx: &mut Tx<'_>,
        user: UserId,
        typed: &str,
    ) -> Result<Option<(UserId, Methods)>, PageError> {
        let right = Some((user, Methods { otp: true, ..Methods::default() }));
        let keyring = self.provider.keyring();
        if let Some(digits) = totp::parse(typed) {
            for app in second_factors::find_enrolled(tx, user).await?.totps {
                let step = app
                    .accept(&keyring, &digits, self.now)
                    .map_err(|error| PageError::Internal(error.to_string()))?;
                if let Some(step) = step
                    && second_factors::use_totp(tx, app.id, step, self.now).await?
                {
                    return Ok(right);
                }
            }
            return Ok(None);
        }
        let Some(code) = RecoveryCode::parse(typed) else { return Ok(None) };
        if !second_factors::use_recovery_code(tx, user, &code.mac(&keyring, user)).await? {
            return Ok(None);
        }
        let event = AuditEvent::new(self.now, AuditKind::RecoveryCodeUsed, AuditActor::User(user));
        audit::record(tx, &event.address(self.seen.address)).await?;
        let left = second_factors::find_enrolled(tx, user).await?.recovery_codes_left;
        let kind = MailKind::RecoveryCodeUsed { left, seen: self.seen.clone() };
        mails::queue(tx, &Mail::to_user(user, kind, self.now)).await?;
        Ok(right)
    }

    /// The passkey, and with it the account, is found by the id that it presents; whose it may be
    /// is what the question says (attack S7).
    async fn passkey(
        &self,
        tx: &mut Tx<'_>,
        answer: &Answer,
    ) -> Result<Option<(UserId, Methods)>, PageError> {
        let question = &answer.question;
        let gone_at = question.at.after(HELD_FOR);
        if !used_once::take(tx, "passkey", question.challenge.as_bytes(), gone_at).await? {
            return Ok(None);
        }
        let found = second_factors::find_passkey(tx, &answer.credential_id).await?;
        let Some(passkey) = found.filter(|found| answer.is_of(found, self.user)) else {
            return Ok(None);
        };
        match answer.check(&self.provider.issuer(), &passkey) {
            Ok(count) => {
                second_factors::use_passkey(tx, passkey.id, count.into(), self.now).await?;
                Ok(Some((passkey.user_id, Methods::PASSKEY)))
            }
            Err(error) => {
                tracing::info!(%error, user = %passkey.user_id, "a passkey was refused");
                Ok(None)
            }
        }
    }
}

impl Answer {
    /// Whose account the question was about, whose the passkey is and whose the device says it is
    /// must be one.
    fn is_of(&self, passkey: &Passkey, user: Option<UserId>) -> bool {
        let owner = passkey.user_id;
        let says_so = self.user_handle == owner.as_bytes();
        // A device that keeps no account with its key says nothing (WebAuthn §7.2, step 6).
        let is_silent = self.user_handle.is_empty() && user.is_some();
        self.question.user == user
            && user.is_none_or(|user| user == owner)
            && (says_so || is_silent)
    }

    fn check(&self, issuer: &str, passkey: &Passkey) -> Result<u32, PasskeyError> {
        let (id, origin) = relying_party(issuer).ok_or(PasskeyError::WrongOrigin)?;
        let rp = RelyingParty { id: &id, origin: &origin };
        let assertion = Assertion {
            client_data: &self.client_data,
            authenticator_data: &self.authenticator_data,
            signature: &self.signature,
        };
        let known = u32::try_from(passkey.signature_count).unwrap_or(u32::MAX);
        let challenge = &self.question.challenge;
        check_assertion(rp, challenge, &assertion, &passkey.public_key, known)
    }
}
