//! The gateway's public keys, read from a JWKS (RFC 7517) and kept for a while. Only the two
//! algorithms that an assertion may use are understood; other keys are passed over.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, ED25519, UnparsedPublicKey};
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde::Deserialize;

/// The least time between two fetches, so that a flood of unknown key ids costs nothing.
const REFETCH_AFTER_MS: i64 = 5_000;
/// Keys older than this are fetched again, so that a withdrawn key is not trusted for ever.
const FRESH_FOR_MS: i64 = 300_000;
/// A source that takes longer than this counts as unreachable.
const FETCH_TIMEOUT: Duration = Duration::from_secs(5);
const JWKS_BYTES_MAX: usize = 65_536;
const KEYS_MAX: usize = 32;

/// The signature algorithms of an assertion. The key decides which one holds, never the token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub(crate) enum Algorithm {
    #[serde(rename = "ES256")]
    Es256,
    #[serde(rename = "EdDSA")]
    EdDsa,
}

pub(crate) struct PublicKey {
    kid: String,
    algorithm: Algorithm,
    bytes: Vec<u8>,
}

impl PublicKey {
    pub(crate) fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        let key = match self.algorithm {
            Algorithm::Es256 => UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, &self.bytes),
            Algorithm::EdDsa => UnparsedPublicKey::new(&ED25519, &self.bytes),
        };
        key.verify(message, signature).is_ok()
    }
}

pub(crate) type Fetch = Pin<Box<dyn Future<Output = Result<String, String>> + Send>>;
pub(crate) type Source = Box<dyn Fn() -> Fetch + Send + Sync>;

pub(crate) struct KeyCache {
    source: Source,
    known: RwLock<Arc<KeySet>>,
    /// When the last fetch was tried, whatever came of it. Its lock makes fetches one at a time.
    tried_at: tokio::sync::Mutex<Option<i64>>,
}

#[derive(Default)]
struct KeySet {
    keys: Vec<Arc<PublicKey>>,
    fetched_at: Option<i64>,
}

impl KeySet {
    fn find(&self, kid: &str, algorithm: Algorithm) -> Option<Arc<PublicKey>> {
        self.keys.iter().find(|key| key.kid == kid && key.algorithm == algorithm).cloned()
    }

    fn is_fresh(&self, now: i64) -> bool {
        self.fetched_at.is_some_and(|at| within(at, now, FRESH_FOR_MS))
    }
}

/// The key is not in the set (`Unknown`), or there is no set to look into (`Unreachable`).
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum NoKey {
    Unknown,
    Unreachable,
}

impl KeyCache {
    pub(crate) fn new(source: Source) -> Self {
        Self { source, known: RwLock::default(), tried_at: tokio::sync::Mutex::new(None) }
    }

    pub(crate) async fn find(
        &self,
        kid: &str,
        algorithm: Algorithm,
        now: i64,
    ) -> Result<Arc<PublicKey>, NoKey> {
        let known = self.known();
        match known.find(kid, algorithm) {
            Some(key) if known.is_fresh(now) => Ok(key),
            _ => {
                self.refresh(now).await;
                let known = self.known();
                let missing =
                    if known.fetched_at.is_some() { NoKey::Unknown } else { NoKey::Unreachable };
                // When the source is down, keys that were good stay good.
                known.find(kid, algorithm).ok_or(missing)
            }
        }
    }

    fn known(&self) -> Arc<KeySet> {
        self.known.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    async fn refresh(&self, now: i64) {
        let mut tried_at = self.tried_at.lock().await;
        if tried_at.is_some_and(|at| within(at, now, REFETCH_AFTER_MS)) {
            return;
        }
        *tried_at = Some(now);
        match tokio::time::timeout(FETCH_TIMEOUT, (self.source)()).await {
            Ok(Ok(text)) => match parse(&text) {
                Some(keys) => {
                    let fresh = Arc::new(KeySet { keys, fetched_at: Some(now) });
                    *self.known.write().unwrap_or_else(PoisonError::into_inner) = fresh;
                }
                None => tracing::warn!("the gateway's JWKS is not a key set"),
            },
            Ok(Err(error)) => tracing::warn!(%error, "the gateway's JWKS could not be fetched"),
            Err(_) => tracing::warn!("the gateway's JWKS did not arrive in time"),
        }
    }
}

/// A clock that went backwards makes everything stale rather than fresh for ever.
fn within(at: i64, now: i64, milliseconds: i64) -> bool {
    (0..milliseconds).contains(&now.saturating_sub(at))
}

fn parse(text: &str) -> Option<Vec<Arc<PublicKey>>> {
    #[derive(Deserialize)]
    struct Document {
        keys: Vec<serde_json::Value>,
    }
    if text.len() > JWKS_BYTES_MAX {
        return None;
    }
    let document: Document = serde_json::from_str(text).ok()?;
    // RFC 7517 §5: keys that are not understood are ignored, not an error.
    Some(document.keys.into_iter().filter_map(read_key).take(KEYS_MAX).map(Arc::new).collect())
}

fn read_key(value: serde_json::Value) -> Option<PublicKey> {
    #[derive(Deserialize)]
    struct Jwk {
        kid: String,
        kty: String,
        crv: String,
        x: String,
        y: Option<String>,
        alg: Option<Algorithm>,
        #[serde(rename = "use")]
        usage: Option<String>,
    }
    let jwk: Jwk = serde_json::from_value(value).ok()?;
    if jwk.usage.is_some_and(|usage| usage != "sig") {
        return None;
    }
    let (algorithm, bytes) = match (jwk.kty.as_str(), jwk.crv.as_str()) {
        ("EC", "P-256") => {
            // SEC 1 §2.3.3: an uncompressed point is 4, x, y.
            let mut point = vec![4];
            point.extend(coordinate(&jwk.x)?);
            point.extend(coordinate(jwk.y.as_deref()?)?);
            (Algorithm::Es256, point)
        }
        ("OKP", "Ed25519") => (Algorithm::EdDsa, coordinate(&jwk.x)?),
        _ => return None,
    };
    let stated_as_used = jwk.alg.is_none_or(|stated| stated == algorithm);
    stated_as_used.then_some(PublicKey { kid: jwk.kid, algorithm, bytes })
}

fn coordinate(text: &str) -> Option<Vec<u8>> {
    BASE64_URL_SAFE_NO_PAD.decode(text).ok().filter(|bytes| bytes.len() == 32)
}
