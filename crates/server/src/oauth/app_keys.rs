//! Apps that prove themselves with a key (`private_key_jwt`, RFC 7523): their key sets, pasted or
//! fetched and kept for a while, and an assertion that is good once.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use domain::app::{App, AppKeys};
use domain::grant::Mode;
use domain::id::{AppId, CredentialId};
use domain::keyring::Keyring;
use domain::time::Timestamp;
use http::StatusCode;
use protocol::client_assertion::ClientAssertion;
use protocol::jose::{ForeignKeys, JwtError};
use store::{DbError, Tx, used_once};
use url::Url;

use crate::outbound::{Call, Reach};
use crate::provider::Provider;

/// A key set is read again after this long.
const KEPT_FOR: Duration = Duration::from_secs(10 * 60);
/// And at most this often for a key that is not in it, or after a failure.
const AGAIN_AFTER: Duration = Duration::from_secs(60);
/// Addresses that are remembered. When there are more, all are read again.
const SETS_MAX: usize = 1_000;
const ANSWER_BYTES_MAX: usize = 64 * 1024;
const TIMEOUT: Duration = Duration::from_secs(5);

/// What the keys of an app count as, where a secret would be named.
pub(crate) fn credential_of(keyring: &Keyring, app: AppId, mode: Mode) -> CredentialId {
    let what = match mode {
        Mode::Live => "keys of app",
        Mode::Test => "keys of app in tests",
    };
    CredentialId::from_bytes(keyring.derive_id(what, app.as_bytes()))
}

/// The key sets of apps that publish theirs.
#[derive(Default)]
pub struct KeySets(Mutex<HashMap<String, Arc<tokio::sync::Mutex<KeySet>>>>);

#[derive(Default)]
struct KeySet {
    keys: Option<Arc<ForeignKeys>>,
    /// When it was asked for last, whatever came of it.
    asked_at: Option<Timestamp>,
}

impl KeySets {
    fn of(&self, uri: &str) -> Arc<tokio::sync::Mutex<KeySet>> {
        let mut sets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if sets.len() >= SETS_MAX && !sets.contains_key(uri) {
            sets.clear();
        }
        Arc::clone(sets.entry(uri.to_owned()).or_default())
    }

    /// The keys at `uri`; `is_new`: one is wanted that was not in what is remembered.
    async fn read(&self, provider: &Provider, uri: &str, is_new: bool) -> Option<Arc<ForeignKeys>> {
        let set = self.of(uri);
        // One asks, and the others wait for what it gets.
        let mut set = set.lock().await;
        let now = provider.now();
        let good_for = if is_new || set.keys.is_none() { AGAIN_AFTER } else { KEPT_FOR };
        if set.asked_at.is_some_and(|at| now.since(at) < good_for) {
            return set.keys.clone();
        }
        set.asked_at = Some(now);
        match fetch(provider, uri).await {
            Ok(keys) => set.keys = Some(Arc::new(keys)),
            Err(why) => tracing::info!(%why, "the key set of an app was not read"),
        }
        set.keys.clone()
    }
}

async fn fetch(provider: &Provider, uri: &str) -> Result<ForeignKeys, String> {
    let url = Url::parse(uri).map_err(|error| error.to_string())?;
    // Anybody can register an app: only what everybody can reach, and no redirect (attack F1).
    let call = Call {
        answer_bytes_max: ANSWER_BYTES_MAX,
        timeout: TIMEOUT,
        ..Call::get(url, Reach::Public)
    };
    let reply = provider.outbound.send(call).await.map_err(|error| error.to_string())?;
    if reply.status != StatusCode::OK {
        return Err(format!("status {}", reply.status));
    }
    ForeignKeys::parse(&reply.body).ok_or_else(|| "it is no key set".to_owned())
}

/// The claims of `assertion` if a key of `app` has signed it and they are for us, now. Whether it
/// comes for the first time is [`use_up`]'s to say.
pub(super) async fn verify(
    provider: &Provider,
    app: &App,
    assertion: &str,
) -> Option<ClientAssertion> {
    let claims = match app.keys.as_ref()? {
        AppKeys::Pasted(text) => ForeignKeys::parse(text.as_bytes())?.verify_assertion(assertion),
        AppKeys::At(uri) => {
            let sets = &provider.key_sets;
            match sets.read(provider, uri, false).await?.verify_assertion(assertion) {
                Err(JwtError::UnknownKey) => {
                    sets.read(provider, uri, true).await?.verify_assertion(assertion)
                }
                other => other,
            }
        }
    };
    let issuer = provider.issuer();
    let token_endpoint = format!("{issuer}/oauth/token");
    let now = provider.now().as_seconds();
    let checked = claims.map_err(|error| error.to_string()).and_then(|claims| {
        ClientAssertion::check(&claims, &app.client_id, [&issuer, &token_endpoint], now)
            .map_err(|error| error.to_string())
    });
    checked
        .inspect_err(|why| tracing::debug!(%why, app = %app.id, "a client assertion was refused"))
        .ok()
}

/// `false`: it was used before (attack T5).
pub(super) async fn use_up(
    provider: &Provider,
    app: &App,
    assertion: &ClientAssertion,
) -> Result<bool, DbError> {
    let whole = format!("{}\0{}", app.client_id, assertion.jti);
    let hash = provider.keyring().derive_id("client assertion", whole.as_bytes());
    let ends_at = Timestamp::from_seconds(assertion.exp);
    let write =
        async move |tx: &mut Tx<'_>| used_once::take(tx, "client_assertion", &hash, ends_at).await;
    provider.store.db.write_one(write).await
}
