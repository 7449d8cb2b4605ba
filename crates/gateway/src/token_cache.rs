//! Access tokens that were opened once: the signature or the seal was checked. Remembered by hash,
//! so that no token lies in memory, and only as long as the keys are the same. Expiry and the rows
//! behind a token are asked at each call.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use aws_lc_rs::digest::{SHA256, SHA256_OUTPUT_LEN, digest};
use domain::access::{AccessRefusal, read_access_token};
use domain::keyring::Keyring;
use domain::token::AccessToken;
use quick_cache::sync::Cache;

/// About 8 MB when full.
const TOKENS_MAX: usize = 20_000;

pub(crate) struct TokenCache {
    opened: Cache<[u8; SHA256_OUTPUT_LEN], Opened>,
    pub(crate) hits: AtomicU64,
    pub(crate) misses: AtomicU64,
}

#[derive(Clone)]
struct Opened {
    token: Arc<AccessToken>,
    /// A rotation may have taken the key away: then it is opened again.
    keyring: Arc<Keyring>,
}

impl Default for TokenCache {
    fn default() -> Self {
        let (hits, misses) = Default::default();
        Self { opened: Cache::new(TOKENS_MAX), hits, misses }
    }
}

impl TokenCache {
    /// [`read_access_token`], from memory where it was done before. It may have expired.
    pub(crate) fn open(
        &self,
        keyring: &Arc<Keyring>,
        text: &str,
    ) -> Result<Arc<AccessToken>, AccessRefusal> {
        let hash = digest(&SHA256, text.as_bytes());
        let Ok(hash) = <[u8; SHA256_OUTPUT_LEN]>::try_from(hash.as_ref()) else {
            return read_access_token(keyring, text).map(Arc::new);
        };
        if let Some(known) = self.opened.get(&hash)
            && Arc::ptr_eq(&known.keyring, keyring)
        {
            self.hits.fetch_add(1, Ordering::Relaxed);
            return Ok(known.token);
        }
        self.misses.fetch_add(1, Ordering::Relaxed);
        let token = Arc::new(read_access_token(keyring, text)?);
        let keyring = Arc::clone(keyring);
        self.opened.insert(hash, Opened { token: Arc::clone(&token), keyring });
        Ok(token)
    }

    pub(crate) fn len(&self) -> usize {
        self.opened.len()
    }
}
