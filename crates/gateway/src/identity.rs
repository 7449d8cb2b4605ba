//! How the upstream learns who calls: five headers, and a signed assertion that proves them. Made
//! once per grant or key, scopes and API, used for half a minute, and dropped as soon as the rows
//! behind them are others.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use domain::access::LiveRows;
use domain::id::GrantId;
use domain::key_access::LiveKey;
use domain::partner_key::uuid_of;
use domain::time::Timestamp;
use domain::usage::UsedBy;
use http::{HeaderMap, HeaderName, HeaderValue};
use protocol::jose::Algorithm;
use protocol::scope::ScopeSet;
use quick_cache::sync::Cache;
use serde::Serialize;

use crate::error::GatewayError;
use crate::phase::authenticate::{Caller, Proof};
use crate::phase::matching::Matched;

const SUBJECT: HeaderName = HeaderName::from_static("consentry-subject");
const CLIENT_ID: HeaderName = HeaderName::from_static("consentry-client-id");
const SCOPES: HeaderName = HeaderName::from_static("consentry-scopes");
/// `live` or `test`.
const MODE: HeaderName = HeaderName::from_static("consentry-mode");
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
    rows: Rows,
    scopes: ScopeSet,
    made_at: Timestamp,
    subject: HeaderValue,
    client_id: HeaderValue,
    scopes_header: HeaderValue,
    assertion: HeaderValue,
}

/// What an identity was made of.
#[derive(Clone)]
enum Rows {
    Token(LiveRows),
    Key(LiveKey),
}

/// The identities of one API's callers.
pub(crate) struct Identities(Cache<(UsedBy, u64), Arc<Identity>>);

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
    /// `live` or `test`.
    mode: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    grant_id: Option<GrantId>,
    /// The `externalId` of a partner key.
    #[serde(skip_serializing_if = "Option::is_none")]
    key_id: Option<String>,
}

impl Identities {
    /// Adds the identity of the caller to `headers`, which must be clean of forged ones. The route
    /// must have been authorized.
    pub(crate) fn write(
        &self,
        headers: &mut HeaderMap,
        caller: &Caller,
        matched: &Matched<'_>,
        now: Timestamp,
    ) -> Result<(), GatewayError> {
        // Of a key, what this call needs; of a token, what it has.
        let of_route;
        let scopes = match &caller.proof {
            Proof::Token { access, .. } => &access.scopes,
            Proof::Key { live, .. } => {
                of_route = live.scopes_for(matched.route, now);
                &of_route
            }
        };
        let mut hasher = DefaultHasher::new();
        scopes.hash(&mut hasher);
        let key = (caller.proof.used_by(), hasher.finish());
        let identity = match self.0.get(&key) {
            Some(known) if known.holds(&caller.proof, scopes, now) => known,
            _ => {
                let audience = &matched.api.resource.identifier;
                let made = Arc::new(Identity::make(caller, scopes, audience, now)?);
                self.0.insert(key, Arc::clone(&made));
                made
            }
        };
        headers.insert(SUBJECT, identity.subject.clone());
        headers.insert(CLIENT_ID, identity.client_id.clone());
        headers.insert(SCOPES, identity.scopes_header.clone());
        headers.insert(MODE, HeaderValue::from_static(caller.proof.mode().as_str()));
        headers.insert(ASSERTION, identity.assertion.clone());
        Ok(())
    }
}

impl Identity {
    fn holds(&self, proof: &Proof, scopes: &ScopeSet, now: Timestamp) -> bool {
        now < self.made_at.after(ASSERTION_REUSE)
            && now >= self.made_at
            && self.rows.are_of(proof)
            && self.scopes == *scopes
    }

    fn make(
        caller: &Caller,
        scopes: &ScopeSet,
        audience: &str,
        now: Timestamp,
    ) -> Result<Self, GatewayError> {
        let Caller { proof, keyring } = caller;
        let client_id = &proof.app().client_id;
        let (subject, grant_id, key_id, rows) = match proof {
            Proof::Token { access, rows, .. } => {
                (access.subject(), Some(access.grant_id), None, Rows::Token(rows.clone()))
            }
            Proof::Key { live, .. } => {
                let key_id = Some(uuid_of(live.key.id));
                (live.user.id.to_string(), None, key_id, Rows::Key(live.clone()))
            }
        };
        let scope = scopes.to_string();
        let claims = Claims {
            iss: keyring.issuer(),
            sub: &subject,
            aud: audience,
            iat: now.as_seconds(),
            exp: now.after(ASSERTION_LIFETIME).as_seconds(),
            client_id,
            scope: &scope,
            mode: proof.mode().as_str(),
            grant_id,
            key_id,
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
            client_id: header(client_id)?,
            scopes_header: header(&scope)?,
            assertion: header(&assertion)?,
            scopes: scopes.clone(),
            rows,
            made_at: now,
        })
    }
}

/// Rows are never changed in place, so the same addresses are the same rows.
impl Rows {
    fn are_of(&self, proof: &Proof) -> bool {
        fn same<T>(a: Option<&Arc<T>>, b: Option<&Arc<T>>) -> bool {
            match (a, b) {
                (Some(a), Some(b)) => Arc::ptr_eq(a, b),
                (None, None) => true,
                _ => false,
            }
        }
        match (self, proof) {
            (Self::Token(a), Proof::Token { rows: b, .. }) => {
                Arc::ptr_eq(&a.grant, &b.grant)
                    && Arc::ptr_eq(&a.app, &b.app)
                    && same(a.user.as_ref(), b.user.as_ref())
                    && same(a.consent.as_ref(), b.consent.as_ref())
            }
            (Self::Key(a), Proof::Key { live: b, .. }) => {
                Arc::ptr_eq(&a.key, &b.key)
                    && Arc::ptr_eq(&a.app, &b.app)
                    && Arc::ptr_eq(&a.user, &b.user)
            }
            _ => false,
        }
    }
}

/// Says of every identity header that it is empty: a proxy that copies them overwrites forged ones
/// with it, also on routes that need no caller.
pub(crate) fn clear(headers: &mut HeaderMap) {
    for name in [SUBJECT, CLIENT_ID, SCOPES, MODE, ASSERTION] {
        headers.insert(name, HeaderValue::from_static(""));
    }
}
