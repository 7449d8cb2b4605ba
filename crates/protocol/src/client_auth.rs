//! How a client says who it is at the token, revocation and introspection endpoints
//! (RFC 6749 §2.3). This only reads; comparing secrets is done where they are stored.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use http::HeaderMap;
use http::header::AUTHORIZATION;

use crate::jose::TOKEN_BYTES_MAX;
use crate::params::{Duplicate, Params, form_decode};
use crate::secret::Secret;

/// Longest client id, in bytes. A URL can be one (client id documents).
pub const ID_BYTES_MAX: usize = 1024;
/// RFC 7523 §2.2
pub const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
/// Longest client secret, in bytes.
pub const SECRET_BYTES_MAX: usize = 1024;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ClientAuthMethod {
    /// `client_secret_basic`
    Basic,
    /// `client_secret_post`
    Post,
    /// `private_key_jwt` (RFC 7523 §2.2): a JWT that is still to be verified.
    PrivateKeyJwt,
    /// `none`: a public client, identified only.
    None,
}

/// What the client presented.
#[derive(Debug, Clone)]
pub struct PresentedClient {
    pub method: ClientAuthMethod,
    /// The readings of what was sent, likeliest first, one or two; never empty. HTTP Basic is
    /// form-encoded, percent-encoded or raw, depending on the client library.
    candidates: Vec<Candidate>,
    assertion: Option<Secret>,
}

#[derive(Debug, Clone)]
pub struct Candidate {
    pub client_id: String,
    /// `None` when the method is `None`.
    pub secret: Option<Secret>,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ClientAuthError {
    #[error("no client authentication was sent")]
    Missing,
    #[error("the Authorization header is not readable HTTP Basic")]
    Unreadable,
    #[error("more than one way of client authentication was used")]
    Several,
    #[error("client_id differs from the client in the Authorization header")]
    Contradiction,
    #[error("credentials must not be sent in the URL")]
    InUrl,
    #[error("client_assertion is not a JWT of the type that client_assertion_type must name")]
    Assertion,
    #[error("client_id is missing")]
    IdMissing,
    #[error("client_id or client_secret is too long")]
    TooLong,
    #[error(transparent)]
    Duplicate(#[from] Duplicate),
}

impl PresentedClient {
    /// Reads the standard form. `query` is the request's own query, which must not carry
    /// credentials (RFC 6749 §2.3.1, attack X4).
    pub fn decode(
        headers: &HeaderMap,
        query: Option<&str>,
        form: &Params,
    ) -> Result<Self, ClientAuthError> {
        refuse_url_credentials(query)?;
        let client_id = form.one("client_id")?;
        let client_secret = form.one("client_secret")?;
        if form.contains("client_assertion") || form.contains("client_assertion_type") {
            if client_secret.is_some() || headers.contains_key(AUTHORIZATION) {
                return Err(ClientAuthError::Several);
            }
            return Self::from_assertion(form, client_id);
        }
        let mut authorization = headers.get_all(AUTHORIZATION).iter();
        let header = authorization.next();
        if authorization.next().is_some() {
            return Err(ClientAuthError::Several);
        }
        let presented = match (header, client_id, client_secret) {
            (Some(_), _, Some(_)) => return Err(ClientAuthError::Several),
            (Some(value), named, None) => {
                let basic = Self::from_basic(value.as_bytes())?;
                basic.agreeing_with(named)?
            }
            (None, None, Some(_)) => return Err(ClientAuthError::IdMissing),
            (None, None, None) => return Err(ClientAuthError::Missing),
            (None, Some(id), Some(secret)) => Self::post(id, secret),
            (None, Some(id), None) => Self::public(id),
        };
        if presented.candidates.iter().any(Candidate::is_too_long) {
            return Err(ClientAuthError::TooLong);
        }
        Ok(presented)
    }

    /// A client with the secret in the body; also for a dialect's decoder.
    pub fn post(client_id: &str, secret: &str) -> Self {
        let candidate =
            Candidate { client_id: client_id.to_owned(), secret: Some(Secret::new(secret)) };
        Self { method: ClientAuthMethod::Post, candidates: vec![candidate], assertion: None }
    }

    /// A client that names itself and proves nothing.
    pub fn public(client_id: &str) -> Self {
        let candidate = Candidate { client_id: client_id.to_owned(), secret: None };
        Self { method: ClientAuthMethod::None, candidates: vec![candidate], assertion: None }
    }

    /// RFC 7523 §2.2. Whom it names is read before it is verified, to know whose keys to verify it
    /// with; nothing else of it is believed.
    fn from_assertion(form: &Params, named: Option<&str>) -> Result<Self, ClientAuthError> {
        let assertion = form.one("client_assertion")?.ok_or(ClientAuthError::Assertion)?;
        if form.one("client_assertion_type")? != Some(ASSERTION_TYPE) {
            return Err(ClientAuthError::Assertion);
        }
        let client_id = named_in(assertion).ok_or(ClientAuthError::Assertion)?;
        if named.is_some_and(|named| named != client_id) {
            return Err(ClientAuthError::Contradiction);
        }
        let candidate = Candidate { client_id, secret: None };
        if candidate.is_too_long() {
            return Err(ClientAuthError::TooLong);
        }
        Ok(Self {
            method: ClientAuthMethod::PrivateKeyJwt,
            candidates: vec![candidate],
            assertion: Some(Secret::new(assertion)),
        })
    }

    /// The JWT that is to be verified with the keys of the one candidate.
    pub fn assertion(&self) -> Option<&str> {
        self.assertion.as_ref().map(Secret::expose)
    }

    /// The readings, likeliest first. A registered client matches at most one of them.
    pub fn candidates(&self) -> &[Candidate] {
        &self.candidates
    }

    fn from_basic(value: &[u8]) -> Result<Self, ClientAuthError> {
        let value = std::str::from_utf8(value).map_err(|_| ClientAuthError::Unreadable)?;
        let (scheme, encoded) = value.split_once(' ').ok_or(ClientAuthError::Unreadable)?;
        if !scheme.eq_ignore_ascii_case("basic") {
            return Err(ClientAuthError::Unreadable);
        }
        let decoded = STANDARD
            .decode(encoded.trim_matches(' '))
            .map_err(|_| ClientAuthError::Unreadable)
            .and_then(|bytes| String::from_utf8(bytes).map_err(|_| ClientAuthError::Unreadable))?;
        let (raw_id, raw_secret) = decoded.split_once(':').ok_or(ClientAuthError::Unreadable)?;
        if raw_id.is_empty() || decoded.contains('\0') {
            return Err(ClientAuthError::Unreadable);
        }
        let mut readings = Vec::with_capacity(2);
        // RFC 6749 §2.3.1 form-encodes both; some libraries percent-encode even `-_.`, which the
        // same decoding undoes; others send them raw.
        if let (Ok(id), Ok(secret)) =
            (form_decode(raw_id.as_bytes()), form_decode(raw_secret.as_bytes()))
            && !id.contains('\0')
            && !secret.contains('\0')
        {
            readings.push((id, secret));
        }
        if !readings.iter().any(|(id, secret)| id == raw_id && secret == raw_secret) {
            readings.push((raw_id.to_owned(), raw_secret.to_owned()));
        }
        // A public client of some libraries sends `id:` with nothing after the colon.
        if raw_secret.is_empty() {
            let candidates = readings
                .into_iter()
                .map(|(client_id, _)| Candidate { client_id, secret: None })
                .collect();
            return Ok(Self { method: ClientAuthMethod::None, candidates, assertion: None });
        }
        let candidates = readings
            .into_iter()
            .map(|(client_id, secret)| Candidate { client_id, secret: Some(Secret::new(secret)) })
            .collect();
        Ok(Self { method: ClientAuthMethod::Basic, candidates, assertion: None })
    }

    /// Many libraries repeat `client_id` in the body; then it decides between the readings.
    fn agreeing_with(mut self, named: Option<&str>) -> Result<Self, ClientAuthError> {
        if let Some(named) = named {
            self.candidates.retain(|candidate| candidate.client_id == named);
            if self.candidates.is_empty() {
                return Err(ClientAuthError::Contradiction);
            }
        }
        Ok(self)
    }
}

/// `sub` of a JWT whose signature nobody has looked at.
fn named_in(assertion: &str) -> Option<String> {
    if assertion.len() > TOKEN_BYTES_MAX {
        return None;
    }
    let payload = assertion.split('.').nth(1)?;
    let claims: serde_json::Value =
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).ok()?).ok()?;
    claims.get("sub")?.as_str().map(str::to_owned)
}

impl Candidate {
    fn is_too_long(&self) -> bool {
        self.client_id.len() > ID_BYTES_MAX
            || self.secret.as_ref().is_some_and(|secret| secret.expose().len() > SECRET_BYTES_MAX)
    }
}

fn refuse_url_credentials(query: Option<&str>) -> Result<(), ClientAuthError> {
    const SENSITIVE: [&str; 10] = [
        "client_id",
        "client_secret",
        "client_assertion",
        "code",
        "code_verifier",
        "access_token",
        "refresh_token",
        "token",
        "username",
        "password",
    ];
    let Some(query) = query else { return Ok(()) };
    // A query that cannot be read cannot be shown to be harmless.
    let params = Params::parse(query.as_bytes()).map_err(|_| ClientAuthError::InUrl)?;
    match SENSITIVE.iter().any(|name| params.contains(name)) {
        true => Err(ClientAuthError::InUrl),
        false => Ok(()),
    }
}

#[cfg(test)]
mod tests;
