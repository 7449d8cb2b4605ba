//! How the upstream learns who calls: four headers, and a signed assertion that proves them. Made
//! once per grant, scopes and API, used for half a minute, and dropped as soon as the rows behind
//! them are others.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use domain::access::{Access, LiveRows};
use domain::id::GrantId;
use domain::keyring::Keyring;
use domain::time::Timestamp;
use http::{HeaderMap, HeaderName, HeaderValue};
use protocol::jose::Algorithm;
use protocol::scope::ScopeSet;
use quick_cache::sync::Cache;
use serde::Serialize;

use crate::error::GatewayError;

const SUBJECT: HeaderName = HeaderName::from_static("consentry-subject");
const CLIENT_ID: HeaderName = HeaderName::from_static("consentry-client-id");
const SCOPES: HeaderName = HeaderName::from_static("consentry-scopes");
const ASSERTION: HeaderName = HeaderName::from_static("consentry-assertion");

/// The assertion's `typ` (RFC 8725 §3.11).
const ASSERTION_TYP: &str = "consentry-assertion+jwt";
/// An assertion is good for this long, so that no clock needs to be exact …
const ASSERTION_LIFETIME: Duration = Duration::from_secs(60);
/// … and is sent for this long, so that it is never about to expire.
const ASSERTION_REUSE: Duration = Duration::from_secs(30);
const IDENTITIES_MAX: usize = 10_000;

/// What is said of one caller, ready to send.
struct Identity {
    rows: LiveRows,
    scopes: ScopeSet,
    made_at: Timestamp,
    subject: HeaderValue,
    client_id: HeaderValue,
    scopes_header: HeaderValue,
    assertion: HeaderValue,
}

/// The identities of one API's callers.
pub(crate) struct Identities(Cache<(GrantId, u64), Arc<Identity>>);

impl Default for Identities {
    fn default() -> Self {
        Self(Cache::new(IDENTITIES_MAX))
    }
}

#[derive(Serialize)]
struct Claims<'a> {
    iss: &'a str,
    sub: &'a str,
    aud: &'a str,
    iat: i64,
    exp: i64,
    client_id: &'a str,
    scope: &'a str,
    grant_id: GrantId,
}

impl Identities {
    /// Adds the identity of the caller to `headers`, which must be clean of forged ones.
    pub(crate) fn write(
        &self,
        headers: &mut HeaderMap,
        access: &Access,
        rows: &LiveRows,
        keyring: &Keyring,
        now: Timestamp,
    ) -> Result<(), GatewayError> {
        let mut hasher = DefaultHasher::new();
        access.scopes.hash(&mut hasher);
        let key = (access.grant_id, hasher.finish());
        let identity = match self.0.get(&key) {
            Some(known) if known.holds(access, rows, now) => known,
            _ => {
                let made = Arc::new(Identity::make(access, rows, keyring, now)?);
                self.0.insert(key, Arc::clone(&made));
                made
            }
        };
        headers.insert(SUBJECT, identity.subject.clone());
        headers.insert(CLIENT_ID, identity.client_id.clone());
        headers.insert(SCOPES, identity.scopes_header.clone());
        headers.insert(ASSERTION, identity.assertion.clone());
        Ok(())
    }
}

impl Identity {
    fn holds(&self, access: &Access, rows: &LiveRows, now: Timestamp) -> bool {
        now < self.made_at.after(ASSERTION_REUSE)
            && now >= self.made_at
            && are_same_rows(&self.rows, rows)
            && self.scopes == access.scopes
    }

    fn make(
        access: &Access,
        rows: &LiveRows,
        keyring: &Keyring,
        now: Timestamp,
    ) -> Result<Self, GatewayError> {
        let (subject, scope) = (access.subject(), access.scopes.to_string());
        let claims = Claims {
            iss: keyring.issuer(),
            sub: &subject,
            aud: &access.audience,
            iat: now.as_seconds(),
            exp: now.after(ASSERTION_LIFETIME).as_seconds(),
            client_id: &access.app.client_id,
            scope: &scope,
            grant_id: access.grant_id,
        };
        let assertion = keyring
            .signing_key(Algorithm::Es256, now)
            .ok_or(GatewayError::Internal("there is no ES256 key to sign assertions with"))?
            .sign(ASSERTION_TYP, &claims)
            .map_err(|_| GatewayError::Internal("an assertion could not be signed"))?;
        let header = |text: &str| {
            HeaderValue::from_str(text)
                .map_err(|_| GatewayError::Internal("an identity does not fit into a header"))
        };
        Ok(Self {
            subject: header(&subject)?,
            client_id: header(&access.app.client_id)?,
            scopes_header: header(&scope)?,
            assertion: header(&assertion)?,
            scopes: access.scopes.clone(),
            rows: rows.clone(),
            made_at: now,
        })
    }
}

/// Rows are never changed in place, so the same addresses are the same rows.
fn are_same_rows(a: &LiveRows, b: &LiveRows) -> bool {
    fn same<T>(a: Option<&Arc<T>>, b: Option<&Arc<T>>) -> bool {
        match (a, b) {
            (Some(a), Some(b)) => Arc::ptr_eq(a, b),
            (None, None) => true,
            _ => false,
        }
    }
    Arc::ptr_eq(&a.grant, &b.grant)
        && Arc::ptr_eq(&a.app, &b.app)
        && same(a.user.as_ref(), b.user.as_ref())
        && same(a.consent.as_ref(), b.consent.as_ref())
}

/// Says of every identity header that it is empty: a proxy that copies them overwrites forged ones
/// with it, also on routes that need no caller.
pub(crate) fn clear(headers: &mut HeaderMap) {
    for name in [SUBJECT, CLIENT_ID, SCOPES, ASSERTION] {
        headers.insert(name, HeaderValue::from_static(""));
    }
}
