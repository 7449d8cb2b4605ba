//! An authorization code becomes a grant, once. Nothing is touched before the code's own proof
//! (app, dialect, redirect URI, PKCE) was checked, and only a *fully valid* second redemption
//! counts as a replay: a wrong client or verifier changes nothing (attacks C1–C4, P1–P3).

use protocol::dialect::Relaxed;
use protocol::pkce::{CodeChallenge, CodeVerifier};

use crate::app::App;
use crate::authorization::redirect_uri_hash;
use crate::consent::Consent;
use crate::grant::{
    Grant, GrantStatus, GrantSubject, LIVE_GRANTS_PER_APP_AND_USER_MAX, RefreshState,
};
use crate::id::{AttemptId, GrantId};
use crate::policy::EffectiveLifetimes;
use crate::time::Timestamp;
use crate::token::AuthorizationCode;
use crate::user::User;

/// What a client shows besides the code.
#[derive(Clone, Copy, Debug)]
pub struct Proof<'a> {
    pub app: &'a App,
    /// The dialect of the endpoint; `None` at the standard one.
    pub dialect: Option<&'a str>,
    /// What it lets go.
    pub relaxed: Relaxed,
    pub redirect_uri: Option<&'a str>,
    pub verifier: Option<&'a CodeVerifier>,
}

/// Why a code yields no tokens. On the wire it is `invalid_grant`; the text is for the app's
/// developer and tells a stranger nothing that they did not send.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CodeRefusal {
    #[error("the code was issued to another app")]
    OtherApp,
    #[error("the code was issued to the app's other client id: tests and the real thing are apart")]
    OtherMode,
    #[error("the code was issued at another endpoint")]
    OtherDialect,
    #[error("redirect_uri must be repeated exactly as in the authorization request")]
    RedirectUri,
    #[error("code_verifier is missing")]
    VerifierMissing,
    #[error("code_verifier does not match the code_challenge of the authorization request")]
    VerifierWrong,
    #[error("code_verifier came although the authorization request had no code_challenge")]
    VerifierUnasked,
    #[error("the code has expired")]
    Expired,
    #[error("the code was already used")]
    Used,
    #[error("the access was withdrawn meanwhile")]
    ConsentGone,
    #[error("the account is blocked")]
    UserBlocked,
    #[error("the app is not live")]
    AppNotLive,
}

impl AuthorizationCode {
    /// Everything that can be checked without looking at a row. Expiry is not part of it: a valid
    /// second redemption is a replay after expiry too.
    pub fn check_proof(&self, proof: &Proof<'_>) -> Result<(), CodeRefusal> {
        if self.app_id != proof.app.id {
            return Err(CodeRefusal::OtherApp);
        }
        if self.mode != proof.app.mode {
            return Err(CodeRefusal::OtherMode);
        }
        if self.dialect.as_deref() != proof.dialect {
            return Err(CodeRefusal::OtherDialect);
        }
        match proof.redirect_uri {
            Some(uri) if redirect_uri_hash(uri) != self.redirect_uri_hash => {
                return Err(CodeRefusal::RedirectUri);
            }
            // RFC 6749 §4.1.3
            None if self.redirect_uri_given && !proof.relaxed.redirect_uri_repeat => {
                return Err(CodeRefusal::RedirectUri);
            }
            _ => {}
        }
        match (self.challenge.as_deref(), proof.verifier) {
            (Some(challenge), Some(verifier)) => CodeChallenge::parse(challenge)
                .ok()
                .filter(|challenge| challenge.matches(verifier))
                .map(|_| ())
                .ok_or(CodeRefusal::VerifierWrong),
            (Some(_), None) => Err(CodeRefusal::VerifierMissing),
            // RFC 9700 §4.8.2: somebody removed the challenge on the way.
            (None, Some(_)) => Err(CodeRefusal::VerifierUnasked),
            (None, None) if proof.relaxed.pkce => Ok(()),
            (None, None) => Err(CodeRefusal::VerifierMissing),
        }
    }

    /// What redeeming the code means, given the row that its grant id names.
    pub fn present(&self, existing: Option<Grant>, attempt: AttemptId) -> CodeOutcome {
        match existing {
            None => CodeOutcome::First,
            Some(grant) if grant.code_id != Some(self.code_id) => CodeOutcome::Foreign,
            Some(grant) if grant.attempt_id == attempt => CodeOutcome::OwnRow(Box::new(grant)),
            Some(grant) => CodeOutcome::Replay(Box::new(grant)),
        }
    }

    /// The grant that the first redemption inserts.
    pub fn into_grant(
        self,
        rows: &CodeRows<'_>,
        attempt_id: AttemptId,
        lifetimes: &EffectiveLifetimes,
        now: Timestamp,
    ) -> Result<Grant, CodeRefusal> {
        if now >= self.expires_at {
            return Err(CodeRefusal::Expired);
        }
        if !rows.app.is_live() {
            return Err(CodeRefusal::AppNotLive);
        }
        if !rows.user.is_some_and(User::is_active) {
            return Err(CodeRefusal::UserBlocked);
        }
        let same = |consent: &&Consent| {
            consent.id == self.consent_id && consent.epoch == self.consent_epoch
        };
        let consent = rows.consent.filter(|consent| consent.is_given()).filter(same);
        let consent = consent.ok_or(CodeRefusal::ConsentGone)?;
        let scopes =
            self.scopes.intersection(&consent.scopes).intersection(&rows.app.approved_at(now));
        if scopes.is_empty() {
            return Err(CodeRefusal::ConsentGone);
        }
        let expires_at = now.after(lifetimes.grant);
        Ok(Grant {
            id: self.grant_id,
            app_id: self.app_id,
            subject: GrantSubject::User {
                user_id: self.user_id,
                consent_id: self.consent_id,
                consent_epoch: self.consent_epoch,
            },
            scopes,
            resources: self.resources,
            mode: self.mode,
            dialect: self.dialect,
            session_id: Some(self.session_id),
            auth_time: Some(self.auth_time),
            acr: Some(self.methods.acr().as_str().to_owned()),
            amr: Some(self.methods.amr().join(" ")),
            key_binding: None,
            details_ref: None,
            device_address: None,
            code_id: Some(self.code_id),
            attempt_id,
            refresh: lifetimes.has_refresh_tokens.then(|| RefreshState::first(now)),
            status: GrantStatus::Live,
            created_at: now,
            last_used_at: now,
            expires_at,
            idle_expires_at: now.after(lifetimes.refresh_idle).min(expires_at),
        })
    }
}

/// The rows as they stand when a code is redeemed.
#[derive(Clone, Copy, Debug)]
pub struct CodeRows<'a> {
    pub app: &'a App,
    pub user: Option<&'a User>,
    pub consent: Option<&'a Consent>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CodeOutcome {
    /// Insert the grant.
    First,
    /// This very attempt has inserted it before; only its answer was lost.
    OwnRow(Box<Grant>),
    /// Somebody redeemed it before: revoke the grant (RFC 6749 §4.1.2).
    Replay(Box<Grant>),
    /// The row was made from another code. Refused, changes nothing.
    Foreign,
}

/// Which of the live grants of one (app, user), each with its last use, go when another one comes:
/// the longest unused.
pub fn evictions(mut live: Vec<(Timestamp, GrantId)>) -> Vec<GrantId> {
    live.sort_unstable();
    let excess = (live.len() + 1).saturating_sub(LIVE_GRANTS_PER_APP_AND_USER_MAX);
    live.into_iter().take(excess).map(|(_, id)| id).collect()
}
