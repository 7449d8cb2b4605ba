//! Why a call does not reach the upstream or comes back without its answer. Each error knows whose
//! it is; the API's envelope says it to the caller, the log says the cause.

use std::borrow::Cow;
use std::sync::Arc;

use domain::access::AccessRefusal;
use domain::authority::Unverifiable;
use domain::policy::Resource;
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode};
use protocol::bearer::{BearerErrorCode, Challenge};
use protocol::dialect::Dialect;
use protocol::envelope::{ErrorEnvelope, Refusal, RefusalKind};
use protocol::message_signature::MessageSignatureError;
use protocol::path::Ambiguous;
use protocol::scope::ScopeSet;
use protocol::signed_request::SignedRefusal;

use crate::api::Api;
use crate::body::Body;
use crate::facts::Refused;
use crate::phase::account::Known;
use crate::phase::limit::Limited;
use crate::target::TargetError;
use crate::watch::Cut;

/// Tells errors of the gateway's own from those of the upstream, whose answers pass unchanged.
pub(crate) const ERROR_SOURCE: HeaderName = HeaderName::from_static("consentry-error-source");

const ACCEPT_SIGNATURE: HeaderName = HeaderName::from_static("accept-signature");
const WANTED_SIGNATURE: &str = "sig=(\"@method\" \"@authority\" \"@path\" \"@query\" \
     \"content-digest\");created;nonce;keyid;alg=\"hmac-sha256\"";

/// Whose fault it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    Client,
    Gateway,
    Upstream,
}

impl Source {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Gateway => "gateway",
            Self::Upstream => "upstream",
        }
    }
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum GatewayError {
    #[error("{0}")]
    Target(#[from] TargetError),
    #[error("{0}")]
    AmbiguousPath(#[from] Ambiguous),
    #[error("there is no such endpoint")]
    UnknownRoute,
    #[error("this endpoint does not have this method")]
    MethodNotAllowed(Vec<Method>),
    #[error("send an access token in the Authorization header, as Bearer")]
    TokenMissing,
    #[error("send the access token in one Authorization header only, never in the address")]
    TokenMisplaced,
    #[error("the access token is not valid")]
    TokenRefused(TokenRefusal),
    #[error("this is a test token, and this API has no place for tests")]
    TestToken,
    #[error("this app may not call from this address")]
    AddressNotAllowed,
    #[error("the access token lacks permissions: {0}")]
    InsufficientScope(ScopeSet),
    #[error("{0}")]
    Signed(SignedError),
    #[error("too many requests, try again in {} s", .0.retry_after_seconds)]
    RateLimited(Limited),
    /// The plan of the app has no call left.
    #[error("the calls of this app's plan are used up (quota), they start anew in {0} s")]
    QuotaUsedUp(u64),
    #[error("the request is larger than {0} bytes")]
    BodyTooLarge(u64),
    #[error("the request broke off or was not readable")]
    BodyBroken,
    #[error("the request was not sent in time")]
    ClientStalled,
    #[error("the access ended during the call")]
    Cut(Cut),

    #[error("the access cannot be verified right now, try again")]
    Unverifiable(#[from] Unverifiable),
    #[error("too many calls wait for this API, try again")]
    Busy,
    #[error("the gateway could not handle this call")]
    Internal(&'static str),

    #[error("the API cannot be reached right now")]
    Unreachable(String),
    #[error("the API did not answer properly")]
    BadAnswer(String),
    #[error("the API did not answer in time")]
    AnswerTimeout(&'static str),
}

/// Why a token is no good. Outside they all look the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TokenRefusal {
    #[error("{0}")]
    Access(#[from] AccessRefusal),
    #[error("there is no such grant")]
    NoGrant,
    #[error("the token is not of the form that RFC 6750 allows")]
    Malformed,
}

/// Why a signed request is no good, and in whose words that is said.
#[derive(Debug)]
pub(crate) struct SignedError {
    pub(crate) why: SignedRefusal,
    /// `None`: the standard.
    pub(crate) dialect: Option<Arc<Dialect>>,
    /// What exactly is wrong with a message signature, for its developer.
    pub(crate) detail: Option<MessageSignatureError>,
    /// Whose key it names, where there is one.
    pub(crate) known: Option<Known>,
}

impl From<SignedRefusal> for SignedError {
    fn from(why: SignedRefusal) -> Self {
        Self { why, dialect: None, detail: None, known: None }
    }
}

impl std::fmt::Display for SignedError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.detail {
            Some(detail) => detail.fmt(f),
            None => self.why.fmt(f),
        }
    }
}

impl SignedError {
    /// The answer of a dialect.
    fn rendered(&self) -> Option<(StatusCode, String)> {
        let form = self.dialect.as_ref()?.signed.as_ref()?;
        Some(form.render(self.why))
    }
}

impl GatewayError {
    pub(crate) fn kind(&self) -> RefusalKind {
        match self {
            Self::AmbiguousPath(Ambiguous::TooLong) => RefusalKind::UriTooLong,
            Self::Target(_) | Self::AmbiguousPath(_) => RefusalKind::BadRequest,
            Self::TokenMisplaced | Self::BodyBroken => RefusalKind::BadRequest,
            Self::UnknownRoute => RefusalKind::NotFound,
            Self::MethodNotAllowed(_) => RefusalKind::MethodNotAllowed,
            Self::TokenMissing => RefusalKind::MissingToken,
            Self::TokenRefused(_) | Self::TestToken => RefusalKind::InvalidToken,
            Self::AddressNotAllowed => RefusalKind::AddressNotAllowed,
            Self::InsufficientScope(_) => RefusalKind::InsufficientScope,
            Self::Signed(signed) => match signed.why {
                SignedRefusal::AddressNotAllowed => RefusalKind::AddressNotAllowed,
                SignedRefusal::NotPermitted => RefusalKind::InsufficientScope,
                _ => RefusalKind::InvalidSignature,
            },
            Self::RateLimited(_) | Self::QuotaUsedUp(_) => RefusalKind::RateLimited,
            Self::BodyTooLarge(_) => RefusalKind::PayloadTooLarge,
            Self::ClientStalled => RefusalKind::RequestTimeout,
            Self::Cut(Cut::Ended) => RefusalKind::InvalidToken,
            Self::Cut(Cut::Unverifiable | Cut::ShuttingDown) => RefusalKind::Unavailable,
            Self::Unverifiable(_) | Self::Busy => RefusalKind::Unavailable,
            Self::Internal(_) => RefusalKind::Internal,
            Self::Unreachable(_) | Self::BadAnswer(_) => RefusalKind::UpstreamUnavailable,
            Self::AnswerTimeout(_) => RefusalKind::UpstreamTimeout,
        }
    }

    /// For counting: few words, and none that a caller can choose.
    pub(crate) fn refused(&self) -> Refused {
        let (phase, reason) = match self {
            Self::Target(_) => ("match", "host"),
            Self::AmbiguousPath(_) => ("match", "path"),
            Self::UnknownRoute => ("match", "unknown_route"),
            Self::MethodNotAllowed(_) => ("match", "method"),
            Self::TokenMissing => ("authenticate", "token_missing"),
            Self::TokenMisplaced => ("authenticate", "token_misplaced"),
            Self::TokenRefused(_) => ("authenticate", "token_refused"),
            Self::TestToken => ("authenticate", "test_token"),
            Self::AddressNotAllowed => ("authenticate", "address"),
            Self::Unverifiable(_) => ("authenticate", "unverifiable"),
            Self::InsufficientScope(_) => ("authorize", "scope"),
            Self::Signed(signed) => match signed.why {
                SignedRefusal::NotPermitted => ("authorize", "key_permission"),
                SignedRefusal::AddressNotAllowed => ("authenticate", "address"),
                why => ("authenticate", why.as_str()),
            },
            Self::RateLimited(_) => ("limit", "rate"),
            Self::QuotaUsedUp(_) => ("limit", "quota"),
            Self::BodyTooLarge(_) => ("forward", "body_too_large"),
            Self::BodyBroken => ("forward", "body_broken"),
            Self::ClientStalled => ("forward", "client_stalled"),
            Self::Cut(_) => ("forward", "cut"),
            Self::Busy => ("forward", "busy"),
            Self::Internal(_) => ("forward", "internal"),
            Self::Unreachable(_) => ("forward", "unreachable"),
            Self::BadAnswer(_) => ("forward", "bad_answer"),
            Self::AnswerTimeout(_) => ("forward", "answer_timeout"),
        };
        Refused { phase, reason }
    }

    /// Whose key a signed request names, where it is refused.
    pub(crate) fn known(&self) -> Option<Known> {
        match self {
            Self::Signed(signed) => signed.known,
            _ => None,
        }
    }

    /// For the developer of the app, who may know more than a caller: again one of few words.
    pub(crate) fn why(&self) -> &'static str {
        match self {
            Self::TokenRefused(TokenRefusal::Access(refusal)) => refusal.as_str(),
            Self::Cut(Cut::Ended) => "grant_ended",
            other => other.refused().reason,
        }
    }

    pub(crate) fn source(&self) -> Source {
        match self.kind() {
            RefusalKind::UpstreamUnavailable | RefusalKind::UpstreamTimeout => Source::Upstream,
            RefusalKind::Unavailable | RefusalKind::Internal => Source::Gateway,
            _ => Source::Client,
        }
    }

    /// What only the log may say.
    fn cause(&self) -> Cow<'_, str> {
        match self {
            Self::TokenRefused(refusal) => refusal.to_string().into(),
            Self::Unverifiable(unverifiable) => unverifiable.reason.as_str().into(),
            Self::Internal(cause) | Self::AnswerTimeout(cause) => (*cause).into(),
            Self::Unreachable(cause) | Self::BadAnswer(cause) => cause.as_str().into(),
            Self::Cut(cut) => cut.to_string().into(),
            other => other.to_string().into(),
        }
    }

    /// Written for calls that fail, with what only the log may know. Says nothing that was sent: a
    /// path can hold a secret too. The listener's line with the same id says which route it was.
    pub(crate) fn log(&self, api: Option<&Resource>, request_id: &HeaderValue) {
        let (api, cause) = (api.map_or("", |api| api.name.as_str()), self.cause());
        let request_id = request_id.to_str().unwrap_or_default();
        match self.source() {
            Source::Client => tracing::debug!(request_id, api, %cause, "call refused"),
            source => {
                let source = source.as_str();
                tracing::warn!(request_id, source, api, %cause, "call failed");
            }
        }
    }

    /// RFC 6750 §3: error code and all missing scopes at once; RFC 9728 §5.1: where to learn more.
    fn challenge(&self, metadata_url: Option<&str>) -> Option<HeaderValue> {
        let challenge = Challenge::new();
        let challenge = match self {
            Self::TokenMissing => challenge,
            // RFC 9110 §15.5.2: a 401 names a scheme. There is none for signatures.
            Self::Signed(_) if self.kind() == RefusalKind::InvalidSignature => challenge,
            Self::TokenMisplaced => {
                challenge.error(BearerErrorCode::InvalidRequest, &self.to_string())
            }
            Self::TokenRefused(_) | Self::Cut(Cut::Ended) => {
                let text = GatewayError::TokenRefused(TokenRefusal::NoGrant).to_string();
                challenge.error(BearerErrorCode::InvalidToken, &text)
            }
            Self::TestToken => challenge.error(BearerErrorCode::InvalidToken, &self.to_string()),
            Self::InsufficientScope(missing) => challenge
                .error(BearerErrorCode::InsufficientScope, "the access token lacks permissions")
                .scope(missing),
            _ => return None,
        };
        let challenge = match metadata_url {
            Some(url) => challenge.resource_metadata(url),
            None => challenge,
        };
        Some(challenge.to_header_value())
    }

    /// The headers of the refusal, without those about its body.
    pub(crate) fn headers(&self, api: Option<&Api>) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(ERROR_SOURCE, HeaderValue::from_static(self.source().as_str()));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(challenge) = self.challenge(api.map(|api| api.metadata_url.as_str())) {
            headers.insert(WWW_AUTHENTICATE, challenge);
        }
        match self {
            Self::MethodNotAllowed(methods) => {
                let allow: Vec<&str> = methods.iter().map(Method::as_str).collect();
                if let Ok(allow) = HeaderValue::from_str(&allow.join(", ")) {
                    headers.insert(ALLOW, allow);
                }
            }
            Self::RateLimited(limited) => {
                headers.insert(RETRY_AFTER, limited.retry_after_seconds.into());
                limited.allowance.write(&mut headers);
            }
            Self::QuotaUsedUp(seconds) => {
                headers.insert(RETRY_AFTER, (*seconds).into());
            }
            // RFC 9421 §5.1: what a signature must cover and say.
            Self::Signed(SignedError { dialect: None, .. }) => {
                headers.insert(ACCEPT_SIGNATURE, HeaderValue::from_static(WANTED_SIGNATURE));
            }
            Self::Unverifiable(_) | Self::Busy => {
                headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
            }
            _ => {}
        }
        headers
    }

    /// The refusal in the envelope of the API, or as problem details when it is of none.
    pub(crate) fn respond(&self, api: Option<&Api>) -> Response<Body> {
        let problem;
        let envelope = match api {
            Some(api) => &api.resource.envelope,
            None => {
                problem = ErrorEnvelope::problem_json();
                &problem
            }
        };
        if let Self::Signed(signed) = self
            && let Some((status, body)) = signed.rendered()
        {
            let mut response = Response::new(Body::text(body));
            *response.status_mut() = status;
            *response.headers_mut() = self.headers(api);
            let json = HeaderValue::from_static("application/json");
            response.headers_mut().insert(CONTENT_TYPE, json);
            if status != StatusCode::UNAUTHORIZED {
                response.headers_mut().remove(WWW_AUTHENTICATE);
            }
            return response;
        }
        let message = self.to_string();
        let missing_scopes = match self {
            Self::InsufficientScope(missing) => Some(missing),
            _ => None,
        };
        let refusal = Refusal { kind: self.kind(), message: &message, missing_scopes };
        let rendered = envelope.render(&refusal);
        let mut response = Response::new(Body::text(rendered.body));
        *response.status_mut() = rendered.status;
        *response.headers_mut() = self.headers(api);
        let content_type = HeaderValue::from_str(&rendered.content_type)
            .unwrap_or(HeaderValue::from_static("application/json"));
        response.headers_mut().insert(CONTENT_TYPE, content_type);
        response
    }

    /// The status that the caller sees.
    pub(crate) fn status_in(&self, envelope: &ErrorEnvelope) -> StatusCode {
        match self {
            Self::Signed(signed) => signed.rendered().map(|(status, _)| status),
            _ => None,
        }
        .unwrap_or_else(|| envelope.status(self.kind()))
    }

    /// The status of HTTP itself, whatever an envelope makes of it.
    pub(crate) fn status(&self) -> StatusCode {
        self.kind().status()
    }
}

impl From<AccessRefusal> for GatewayError {
    fn from(refusal: AccessRefusal) -> Self {
        match refusal {
            AccessRefusal::AddressNotAllowed => Self::AddressNotAllowed,
            other => Self::TokenRefused(other.into()),
        }
    }
}
