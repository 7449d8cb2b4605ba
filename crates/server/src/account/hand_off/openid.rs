//! What OpenID providers tell us: their documents and keys, kept for a while, and who has signed
//! in.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use domain::sign_in::{SignInProvider, Way};
use domain::time::Timestamp;
use http::StatusCode;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use protocol::identity::Identity;
use protocol::jose::{ForeignKeys, JwtError};
use protocol::openid::{
    ExpectedIdToken, ProviderDocument, TokenAnswer, check_id_token, discovery_url, known_error,
    token_request,
};
use serde_json::{Map, Value};
use tokio::sync::Mutex as AsyncMutex;
use url::Url;

use super::refused::Why;
use super::return_url;
use super::travel::Travel;
use crate::outbound::{Call, Reach};
use crate::provider::Provider;

/// How long a document and a key set are good without looking again: a key that is withdrawn is
/// gone after this.
const KEPT_FOR: Duration = Duration::from_secs(3600);
/// A token with an unknown key is a reason to look again, but not more often than this.
const RELOAD_EVERY: Duration = Duration::from_secs(60);
/// Who does not answer is left alone for this long.
const PAUSE_AFTER_FAILURE: Duration = Duration::from_secs(5);

/// What is known of each issuer of the config.
#[derive(Debug, Default)]
pub struct OpenIdProviders(Mutex<HashMap<String, Arc<AsyncMutex<Known>>>>);

#[derive(Debug, Default)]
struct Known {
    document: Option<(Arc<ProviderDocument>, Timestamp)>,
    keys: Option<(Arc<ForeignKeys>, Timestamp)>,
    failed_at: Option<Timestamp>,
}

impl OpenIdProviders {
    /// One place for each issuer: its lock makes many visitors ask once.
    fn of(&self, issuer: &str) -> Arc<AsyncMutex<Known>> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(known.entry(issuer.to_owned()).or_default())
    }

    pub(super) async fn document(
        &self,
        provider: &Provider,
        issuer: &str,
    ) -> Result<Arc<ProviderDocument>, Why> {
        let place = self.of(issuer);
        let mut known = place.lock().await;
        known.document(provider, issuer).await
    }

    /// The claims of a token that one of the issuer's keys signed.
    async fn verify(
        &self,
        provider: &Provider,
        issuer: &str,
        id_token: &str,
    ) -> Result<Map<String, Value>, Why> {
        let place = self.of(issuer);
        let keys = place.lock().await.keys(provider, issuer, KEPT_FOR).await?;
        let claims = match keys.verify_id_token(id_token) {
            Err(JwtError::UnknownKey) => {
                let keys = place.lock().await.keys(provider, issuer, RELOAD_EVERY).await?;
                keys.verify_id_token(id_token)
            }
            known => known,
        };
        claims.map_err(|error| Why::NotGood(error.to_string()))
    }
}

impl Known {
    async fn document(
        &mut self,
        provider: &Provider,
        issuer: &str,
    ) -> Result<Arc<ProviderDocument>, Why> {
        let now = provider.now();
        if let Some((document, at)) = &self.document
            && now.since(*at) < KEPT_FOR
        {
            return Ok(Arc::clone(document));
        }
        let parse =
            |body: &Bytes| ProviderDocument::parse(body, issuer).map_err(|error| error.to_string());
        let url =
            Url::parse(&discovery_url(issuer)).map_err(|e| Why::Unreachable(e.to_string()))?;
        let fetched = self.fetch(provider, url, parse).await;
        let document = kept(&mut self.document, fetched, now)?;
        Ok(document)
    }

    async fn keys(
        &mut self,
        provider: &Provider,
        issuer: &str,
        good_for: Duration,
    ) -> Result<Arc<ForeignKeys>, Why> {
        let now = provider.now();
        if let Some((keys, at)) = &self.keys
            && now.since(*at) < good_for
        {
            return Ok(Arc::clone(keys));
        }
        let url = self.document(provider, issuer).await?.jwks_uri.clone();
        let parse = |body: &Bytes| {
            let keys = ForeignKeys::parse(body).filter(|keys| !keys.is_empty());
            keys.ok_or_else(|| "the key set has no key that we know how to use".to_owned())
        };
        let fetched = self.fetch(provider, url, parse).await;
        // A provider that does not answer keeps the keys that it had, for as long as they are good.
        let is_good = self.keys.as_ref().is_some_and(|(_, at)| now.since(*at) < KEPT_FOR);
        if !is_good {
            self.keys = None;
        }
        kept(&mut self.keys, fetched, now)
    }

    async fn fetch<T>(
        &mut self,
        provider: &Provider,
        url: Url,
        parse: impl FnOnce(&Bytes) -> Result<T, String>,
    ) -> Result<T, Why> {
        let now = provider.now();
        if self.failed_at.is_some_and(|at| now.since(at) < PAUSE_AFTER_FAILURE) {
            return Err(Why::Unreachable("it failed a moment ago".to_owned()));
        }
        let asked = get(provider, url.clone(), None).await.and_then(|body| {
            parse(&body).map_err(|error| Why::Unreachable(format!("{url}: {error}")))
        });
        self.failed_at = asked.is_err().then_some(now);
        asked
    }
}

/// Keep what was fetched; or go on with what there is, if that failed.
fn kept<T>(
    place: &mut Option<(Arc<T>, Timestamp)>,
    fetched: Result<T, Why>,
    now: Timestamp,
) -> Result<Arc<T>, Why> {
    match (fetched, &place) {
        (Ok(new), _) => {
            let new = Arc::new(new);
            *place = Some((Arc::clone(&new), now));
            Ok(new)
        }
        (Err(why), Some((old, _))) => {
            tracing::warn!(%why, "going on with what was fetched before");
            Ok(Arc::clone(old))
        }
        (Err(why), None) => Err(why),
    }
}

/// Trade the code that came back, and read who it is for.
pub(super) async fn redeem(
    provider: &Provider,
    upstream: &SignInProvider,
    travel: &Travel,
    code: &str,
) -> Result<Identity, Why> {
    let Way::OpenId { client_id, client_secret, .. } = &upstream.way else {
        return Err(Why::NotGood("a code of no OpenID provider".to_owned()));
    };
    let providers = &provider.openid_providers;
    let document = providers.document(provider, &upstream.issuer).await?;
    let (body, authorization) = token_request(
        document.client_auth,
        (client_id, client_secret.as_ref()),
        code,
        &return_url(provider, upstream),
        &travel.verifier,
    );
    let mut call = Call::post(document.token_endpoint.clone(), Reach::Configured, body);
    let form = HeaderValue::from_static("application/x-www-form-urlencoded");
    call.headers.insert(CONTENT_TYPE, form);
    let answer = send(provider, call, authorization.as_ref().map(|secret| secret.expose())).await?;
    let answer: TokenAnswer = serde_json::from_slice(&answer)
        .map_err(|_| Why::NotGood("the token answer has no ID token".to_owned()))?;
    let claims = providers.verify(provider, &upstream.issuer, &answer.id_token).await?;
    let expected = ExpectedIdToken {
        issuer: &upstream.issuer,
        client_id,
        nonce: &travel.nonce,
        needs_auth_time: travel.demand.max_age().is_some(),
        now_seconds: provider.now().as_seconds(),
    };
    let identity =
        check_id_token(&claims, &expected).map_err(|error| Why::NotGood(error.to_string()))?;
    // OpenID Connect Core §5.4: with a code, the claims of `email` and `profile` may be only there.
    match (&document.userinfo_endpoint, answer.access_token) {
        (Some(url), Some(token)) if identity.email.is_none() => {
            let told = user_info(provider, url.clone(), &token).await?;
            // §5.3.2: another subject's claims must not be used.
            if told.subject != identity.subject {
                return Err(Why::NotGood("UserInfo is about somebody else".to_owned()));
            }
            Ok(identity.completed_by(told))
        }
        _ => Ok(identity),
    }
}

async fn user_info(provider: &Provider, url: Url, token: &str) -> Result<Identity, Why> {
    let body = get(provider, url, Some(&format!("Bearer {token}"))).await?;
    let claims: Option<Map<String, Value>> = serde_json::from_slice(&body).ok();
    let identity = claims.and_then(|claims| Identity::read(&claims));
    identity.ok_or_else(|| Why::NotGood("UserInfo is not readable".to_owned()))
}

async fn get(provider: &Provider, url: Url, authorization: Option<&str>) -> Result<Bytes, Why> {
    send(provider, Call::get(url, Reach::Configured), authorization).await
}

async fn send(
    provider: &Provider,
    mut call: Call,
    authorization: Option<&str>,
) -> Result<Bytes, Why> {
    let place = format!("{}{}", call.url.host_str().unwrap_or_default(), call.url.path());
    call.headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
    if let Some(text) = authorization {
        let mut value = HeaderValue::from_str(text)
            .map_err(|_| Why::NotGood("a credential that is no header".to_owned()))?;
        value.set_sensitive(true);
        call.headers.insert(AUTHORIZATION, value);
    }
    let reply = provider.outbound.send(call).await;
    let reply = reply.map_err(|error| Why::Unreachable(format!("{place}: {error}")))?;
    match reply.status {
        StatusCode::OK => Ok(reply.body),
        status if status.is_client_error() => {
            let told: Option<Value> = serde_json::from_slice(&reply.body).ok();
            let error = told.as_ref().and_then(|told| told.get("error")).and_then(Value::as_str);
            let word = error.map_or("no error code", known_error);
            Err(Why::NotGood(format!("{place} answered {status}, {word}")))
        }
        status => Err(Why::Unreachable(format!("{place} answered {status}"))),
    }
}
