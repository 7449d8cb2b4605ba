//! JWT access tokens whose signature was checked once. Remembered by hash, so that no token lies in
//! memory, and only as long as the keys are the same; the rows behind them are asked at each call.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use aws_lc_rs::digest::{SHA256, SHA256_OUTPUT_LEN, digest};
use domain::access::{AccessRefusal, open_access_token};
use domain::keyring::Keyring;
use domain::seal::Purpose;
use domain::time::Timestamp;
use domain::token::AccessToken;
use quick_cache::sync::Cache;

/// About 4 MB when full.
const JWTS_MAX: usize = 10_000;

pub(crate) struct JwtCache {
    verified: Cache<[u8; SHA256_OUTPUT_LEN], Verified>,
    pub(crate) hits: AtomicU64,
    pub(crate) misses: AtomicU64,
}

#[derive(Clone)]
struct Verified {
    token: Arc<AccessToken>,
    /// A rotation may have taken the key away: then it is verified again.
    keyring: Arc<Keyring>,
}

impl Default for JwtCache {
    fn default() -> Self {
        let (hits, misses) = Default::default();
        Self { verified: Cache::new(JWTS_MAX), hits, misses }
    }
}

impl JwtCache {
    /// [`open_access_token`], from memory where it was done before.
    pub(crate) fn open(
        &self,
        keyring: &Arc<Keyring>,
        text: &str,
        now: Timestamp,
    ) -> Result<Arc<AccessToken>, AccessRefusal> {
        if text.starts_with(Purpose::Access.prefix()) {
            return open_access_token(keyring, text, now).map(Arc::new);
        }
        let hash = digest(&SHA256, text.as_bytes());
        let Ok(hash) = <[u8; SHA256_OUTPUT_LEN]>::try_from(hash.as_ref()) else {
            return open_access_token(keyring, text, now).map(Arc::new);
        };
        if let Some(known) = self.verified.get(&hash)
            && Arc::ptr_eq(&known.keyring, keyring)
        {
            if now < known.token.expires_at {
                self.hits.fetch_add(1, Ordering::Relaxed);
                return Ok(known.token);
            }
            self.verified.remove(&hash);
            return Err(AccessRefusal::Expired);
        }
        self.misses.fetch_add(1, Ordering::Relaxed);
        let token = Arc::new(open_access_token(keyring, text, now)?);
        let keyring = Arc::clone(keyring);
        self.verified.insert(hash, Verified { token: Arc::clone(&token), keyring });
        Ok(token)
    }

    pub(crate) fn len(&self) -> usize {
        self.verified.len()
    }
}
