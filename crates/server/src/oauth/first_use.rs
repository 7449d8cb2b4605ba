//! The first time that a secret is shown of which only a foreign hash is known: it is checked
//! slowly, in a queue, and its MAC replaces the hash. From then on the app is like any other.

use domain::app::{App, ClientSecret, SecretProof};
use domain::change::Change;
use domain::foreign_hash::ForeignHash;
use domain::id::CredentialId;
use domain::throttle::{PER_CLIENT, ThrottleOutcome};
use domain::time::Timestamp;
use protocol::client_auth::Candidate;
use protocol::error::OAuthError;
use protocol::secret::Secret;
use store::{DbError, Tx, changes, client_secrets, throttles};

use super::answer::TokenError;
use super::client::prove;
use crate::foreign_hash::Busy;
use crate::portal::registration::secret_hint;
use crate::provider::Provider;

/// Checks per request at most: the two readings of HTTP Basic.
const CHECKS_MAX: usize = 2;

/// An app with a foreign hash, and what was shown that is no secret we know.
pub(super) struct FirstUse<'a> {
    app: &'a App,
    shown: Vec<Candidate>,
}

impl<'a> FirstUse<'a> {
    /// `None`: there is nothing to check slowly.
    pub(super) fn of(
        app: &'a App,
        candidates: &[Candidate],
        secrets: &[ClientSecret],
        now: Timestamp,
    ) -> Option<Self> {
        let shown: Vec<_> = candidates
            .iter()
            .filter(|one| one.client_id == app.client_id && one.secret.is_some())
            .cloned()
            .collect();
        let waits = app.kind.is_confidential() && foreign(secrets, now).next().is_some();
        (waits && !shown.is_empty()).then_some(Self { app, shown })
    }

    /// The secret that was shown. `None`: it is wrong, and that is counted already.
    ///
    /// The attempt is counted before it is looked at, when its turn has come: a hundred parallel
    /// guesses cost twenty checks (attack X2).
    pub(super) async fn prove(
        &self,
        provider: &Provider,
        throttle_key: &str,
    ) -> Result<Option<CredentialId>, TokenError> {
        let turn =
            provider.foreign_hashes.turn(self.app.id).await.map_err(|Busy| TokenError::Busy)?;
        let now = provider.now();
        let secrets = self.count_and_read(provider, throttle_key, now).await?;
        // Whoever was in front may have shown the same secret.
        if let Some(Some(id)) = prove(&provider.keyring(), &self.shown, self.app, &secrets, now) {
            self.note(provider, throttle_key, None, now).await;
            return Ok(Some(id));
        }
        let shown = self.shown.iter().filter_map(|candidate| candidate.secret.as_ref());
        let tries: Vec<(&Secret, CredentialId, &ForeignHash)> = shown
            .flat_map(|secret| foreign(&secrets, now).map(move |(id, hash)| (secret, id, hash)))
            .take(CHECKS_MAX)
            .collect();
        let pairs = tries.iter().map(|(secret, _, hash)| ((*secret).clone(), (*hash).clone()));
        let checked =
            provider.foreign_hashes.check(turn, &provider.passwords, pairs.collect()).await;
        // Kept until the hash has given way, so that the next in line finds the MAC.
        let (right, _turn) = checked.ok_or(TokenError::Internal("a secret's check broke off"))?;
        let Some((secret, id, hash)) = right.and_then(|at| tries.get(at)) else {
            return Ok(None);
        };
        let upgrade = Upgrade {
            id: *id,
            from: (*hash).clone(),
            mac: provider.keyring().secret_mac(secret.expose().as_bytes()),
            hint: secret_hint(secret.expose()),
        };
        self.note(provider, throttle_key, Some(upgrade), now).await;
        Ok(Some(*id))
    }

    async fn count_and_read(
        &self,
        provider: &Provider,
        throttle_key: &str,
        now: Timestamp,
    ) -> Result<Vec<ClientSecret>, TokenError> {
        let (key, app) = (throttle_key.to_owned(), self.app.id);
        let write = async move |tx: &mut Tx<'_>| {
            let state = throttles::find(tx, &key).await?.unwrap_or_default();
            match state.attempt(&PER_CLIENT, now) {
                ThrottleOutcome::Wait(wait) => Ok(Err(wait)),
                ThrottleOutcome::Admitted(state) => {
                    let forgotten_at = now.after(PER_CLIENT.forget_after);
                    throttles::save(tx, &key, &state, forgotten_at).await?;
                    let secrets = client_secrets::list_of_app(tx, app).await?;
                    Ok::<_, DbError>(Ok((state, secrets)))
                }
            }
        };
        let counted = provider.store.db.write(write).await?;
        let (state, secrets) = counted.map_err(|wait| {
            let seconds = u32::try_from(wait.as_secs()).unwrap_or(u32::MAX).max(1);
            OAuthError::slow_down(seconds)
        })?;
        provider.seen_failures.note(throttle_key, state, now);
        Ok(secrets)
    }

    /// Replace the hash, and forget failures. The secret was right, whether or not that is kept.
    async fn note(
        &self,
        provider: &Provider,
        throttle_key: &str,
        upgrade: Option<Upgrade>,
        now: Timestamp,
    ) {
        let (key, app_id) = (throttle_key.to_owned(), self.app.id);
        let write = async move |tx: &mut Tx<'_>| {
            if let Some(Upgrade { id, from, mac, hint }) = &upgrade {
                // Lost against another node: it found the same secret right.
                client_secrets::upgrade(tx, *id, from, mac, hint, now).await?;
                changes::record(tx, Change::App(app_id)).await?;
            }
            throttles::clear(tx, &key).await
        };
        if let Err(error) = provider.store.db.write(write).await {
            tracing::warn!(%error, app = %self.app.id, "the first use of a secret was not noted");
            return;
        }
        provider.seen_failures.forget(throttle_key);
    }
}

/// What takes the place of a hash.
struct Upgrade {
    id: CredentialId,
    from: ForeignHash,
    mac: [u8; 32],
    hint: String,
}

fn foreign(
    secrets: &[ClientSecret],
    now: Timestamp,
) -> impl Iterator<Item = (CredentialId, &ForeignHash)> {
    secrets.iter().filter(move |secret| secret.is_live(now)).filter_map(|secret| {
        match &secret.proof {
            SecretProof::Foreign(hash) => Some((secret.id, hash)),
            SecretProof::Mac(_) => None,
        }
    })
}
