//! Phase 2 for requests that are signed with a partner key: by HTTP Message Signatures, or in the
//! form of a dialect. The signature is checked before the body is read, the nonce is used up last,
//! so that nobody without the secret costs memory or a write.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use bytes::Bytes;
use domain::authority::Authority;
use domain::grant::Mode;
use domain::key_access::{KeyRefused, LiveKey};
use domain::nonce::{Moment, Nonce, NonceRefusal};
use domain::policy::RouteAccess;
use domain::time::Timestamp;
use http::header::AUTHORIZATION;
use http::request::Parts;
use http_body_util::{BodyExt as _, Limited};
use hyper::body::Incoming;
use protocol::dialect::Dialect;
use protocol::message_signature::{
    CONTENT_DIGEST, MessageSignature, MessageSignatureError, SIGNATURE, SIGNATURE_INPUT,
    SignedParts, check_content_digest,
};
use protocol::signed_request::{Said, SignedForm, SignedRefusal};
use tokio::time::timeout;

use crate::error::{GatewayError, SignedError};
use crate::pass::Inner;
use crate::phase::account::Known;
use crate::phase::authenticate::{Caller, Proof};
use crate::phase::matching::Matched;
use crate::target::{host_of, without_default_port};

/// How far the `created` of a message signature may lie from now, either way: clocks differ, and a
/// nonce has to be remembered for as long.
const MESSAGE_WINDOW: Duration = Duration::from_secs(30);

/// In which way a request is signed.
#[derive(Clone, Debug)]
pub(crate) enum Signing {
    /// RFC 9421, open to every key.
    Message,
    /// A dialect's own, for the keys that were made in it (attack B1).
    Dialect(Arc<Dialect>),
}

impl Signing {
    /// `None`: the request is not signed, or its route takes no notice. A token beside a dialect's
    /// signature does not count. The standard's signature beside a token is not ours to look at: it
    /// may be for the upstream.
    pub(crate) fn of<A>(gateway: &Inner<A>, matched: &Matched<'_>, parts: &Parts) -> Option<Self> {
        if let RouteAccess::Public = matched.route.access {
            return None;
        }
        let policy = gateway.policy();
        let is_used = |dialect: &&Arc<Dialect>| {
            dialect.signed.as_ref().is_some_and(|form| form.is_used_in(&parts.headers))
        };
        if let Some(dialect) = policy.dialects.iter().find(is_used) {
            return Some(Self::Dialect(Arc::clone(dialect)));
        }
        let is_message = MessageSignature::is_used_in(&parts.headers);
        (is_message && !parts.headers.contains_key(AUTHORIZATION)).then_some(Self::Message)
    }

    /// What proves the request is of no use to the upstream.
    pub(crate) fn clean(&self, headers: &mut http::HeaderMap) {
        match self {
            Self::Message => {
                headers.remove(SIGNATURE);
                headers.remove(SIGNATURE_INPUT);
            }
            Self::Dialect(dialect) => {
                for name in dialect.signed.iter().flat_map(SignedForm::headers) {
                    headers.remove(name);
                }
            }
        }
    }

    pub(crate) fn refusal(&self, why: SignedRefusal) -> SignedError {
        SignedError { dialect: self.dialect().cloned(), ..why.into() }
    }

    fn dialect(&self) -> Option<&Arc<Dialect>> {
        match self {
            Self::Message => None,
            Self::Dialect(dialect) => Some(dialect),
        }
    }
}

/// A signed request on its way through the checks.
struct Request<'a, A> {
    gateway: &'a Inner<A>,
    matched: &'a Matched<'a>,
    signing: &'a Signing,
    parts: &'a Parts,
    client: IpAddr,
}

/// The caller and the whole body.
pub(crate) async fn authenticate<A: Authority>(
    gateway: &Inner<A>,
    matched: &Matched<'_>,
    signing: &Signing,
    parts: &Parts,
    body: Incoming,
    client: IpAddr,
) -> Result<(Caller, Bytes), GatewayError> {
    let request = Request { gateway, matched, signing, parts, client };
    let (live, body) = match signing.dialect().and_then(|dialect| dialect.signed.as_ref()) {
        Some(form) => request.in_form(form, body).await?,
        None => request.by_message(body).await?,
    };
    let proof = Proof::Key { live, signing: signing.clone() };
    Ok((Caller { proof, keyring: gateway.authority.keyring() }, body))
}

/// A refusal that the audit trail hears of.
pub(crate) fn note_refusal<A: Authority>(
    gateway: &Inner<A>,
    live: &LiveKey,
    why: SignedRefusal,
    client: IpAddr,
) {
    gateway.authority.key_refused(KeyRefused {
        key_id: live.key.id,
        app_id: live.app.id,
        user_id: live.user.id,
        why,
        address: client,
        at: gateway.clock.now(),
    });
}

/// Whose key it is.
pub(crate) fn known(live: &LiveKey) -> Known {
    Known { app: live.app.id, user: Some(live.user.id), mode: Mode::Live }
}

impl<A: Authority> Request<'_, A> {
    async fn in_form(
        &self,
        form: &SignedForm,
        body: Incoming,
    ) -> Result<(LiveKey, Bytes), GatewayError> {
        let signed =
            form.read_headers(&self.parts.headers).map_err(|why| self.unproven(why.into()))?;
        let live = self.find_key(signed.key).await?;
        let refuse = |why: SignedRefusal| self.refuse(&live, why.into());
        let secret = self.secret(&live)?;
        form.verify(&signed, secret).map_err(refuse)?;
        self.check(&live)?;
        // Neither is covered by the signature, so there is only one way for either.
        if self.parts.method != form.method || self.parts.uri.query().is_some() {
            return Err(refuse(SignedRefusal::RequestMismatch));
        }
        let body = self.read(body).await?;
        signed.carry(&body).map_err(refuse)?;
        let path = self.matched.path.as_str();
        let Said { nonce, has_window } = form.read_body(&body, path).map_err(refuse)?;
        let nonce = match has_window {
            true => Nonce::Moment(Moment {
                at: Timestamp::from_millis(nonce),
                id: [0; 16],
                window: form.window,
            }),
            false => Nonce::Increasing(nonce),
        };
        let live = self.look_again(live).await?;
        self.use_nonce(&live, nonce).await?;
        Ok((live, body))
    }

    async fn by_message(&self, body: Incoming) -> Result<(LiveKey, Bytes), GatewayError> {
        let Parts { method, uri, headers, .. } = self.parts;
        let unproven = |error| self.unproven(SignedError::message(error));
        let signature = MessageSignature::read(headers).map_err(unproven)?;
        let has_body = !http_body::Body::is_end_stream(&body);
        let nonce = signature.complete(has_body).map_err(unproven)?;
        let live = self.find_key(&signature.key_id).await?;
        let refuse = |error| self.refuse(&live, SignedError::message(error));
        let secret = self.secret(&live)?;
        let scheme = self.matched.api.scheme.to_str().unwrap_or("https");
        let parts = SignedParts {
            method: method.as_str(),
            scheme,
            authority: without_default_port(host_of(self.parts)?, scheme),
            path: self.matched.path.as_str(),
            query: uri.query(),
            headers,
        };
        signature.verify(&parts, secret).map_err(refuse)?;
        self.check(&live)?;
        let body = self.read(body).await?;
        if has_body || headers.contains_key(CONTENT_DIGEST) {
            check_content_digest(headers, &body).map_err(refuse)?;
        }
        let now = self.gateway.clock.now();
        if signature.expires.is_some_and(|expires| Timestamp::from_seconds(expires) <= now) {
            return Err(self.refuse(&live, SignedRefusal::NonceEarly.into()));
        }
        let mut id = [0; 16];
        id.iter_mut().zip(digest(&SHA256, nonce.as_bytes()).as_ref()).for_each(|(to, b)| *to = *b);
        let at = Timestamp::from_seconds(signature.created);
        let moment = Moment { at, id, window: MESSAGE_WINDOW };
        let live = self.look_again(live).await?;
        self.use_nonce(&live, Nonce::Moment(moment)).await?;
        Ok((live, body))
    }

    /// A body takes as long as its sender likes; what was taken back meanwhile counts.
    async fn look_again(&self, before: LiveKey) -> Result<LiveKey, GatewayError> {
        let live = self.find_key(&before.key.public).await?;
        self.secret(&live)?;
        self.check(&live)?;
        Ok(live)
    }

    /// Nothing is known of who it is.
    fn unproven(&self, error: SignedError) -> GatewayError {
        GatewayError::Signed(SignedError { dialect: self.signing.dialect().cloned(), ..error })
    }

    fn refuse(&self, live: &LiveKey, error: SignedError) -> GatewayError {
        note_refusal(self.gateway, live, error.why, self.client);
        self.unproven(SignedError { known: Some(known(live)), ..error })
    }

    async fn find_key(&self, public: &str) -> Result<LiveKey, GatewayError> {
        let live = self.gateway.authority.partner_key(public).await?;
        let is_of_form = |live: &LiveKey| match self.signing.dialect() {
            None => true,
            Some(dialect) => live.key.dialect.as_ref() == Some(&dialect.name),
        };
        live.filter(is_of_form).ok_or_else(|| self.unproven(SignedRefusal::SignatureInvalid.into()))
    }

    /// Of a disabled key there is none: that it is one is said without a proof.
    fn secret<'l>(&self, live: &'l LiveKey) -> Result<&'l protocol::mac::MacKey, GatewayError> {
        live.secret.as_deref().ok_or_else(|| self.refuse(live, SignedRefusal::KeyDisabled.into()))
    }

    /// Whether a proven key may call at all, from here.
    fn check(&self, live: &LiveKey) -> Result<(), GatewayError> {
        live.check(self.client).map_err(|why| self.refuse(live, why.into()))?;
        match self.gateway.policy().takes_tokens(&live.app, live.key.dialect.as_deref()) {
            true => Ok(()),
            false => Err(self.refuse(live, SignedRefusal::NotActive.into())),
        }
    }

    async fn use_nonce(&self, live: &LiveKey, nonce: Nonce) -> Result<(), GatewayError> {
        let taken = self.gateway.authority.use_nonce(live.key.id, nonce).await?;
        taken.map_err(|refusal| {
            let why = match refusal {
                NonceRefusal::NotGreater | NonceRefusal::Used => SignedRefusal::NonceUsed,
                NonceRefusal::TooEarly => SignedRefusal::NonceEarly,
                NonceRefusal::TooLate => SignedRefusal::NonceLate,
                NonceRefusal::TooMany => SignedRefusal::NonceUsed,
            };
            self.refuse(live, why.into())
        })
    }

    /// The whole body: what is forwarded must be what was signed.
    async fn read(&self, body: Incoming) -> Result<Bytes, GatewayError> {
        let target = self.matched.api.upstream.as_ref();
        let declared = &target.ok_or(GatewayError::Internal("no upstream"))?.declared;
        let bytes_max = declared.signed_body_max.min(declared.body_max);
        let too_large = || GatewayError::BodyTooLarge(bytes_max);
        if http_body::Body::size_hint(&body).lower() > bytes_max {
            return Err(too_large());
        }
        let limited = Limited::new(body, usize::try_from(bytes_max).unwrap_or(usize::MAX));
        let whole = timeout(declared.idle_timeout, limited.collect()).await;
        match whole.map_err(|_| GatewayError::ClientStalled)? {
            Ok(whole) => Ok(whole.to_bytes()),
            Err(error) if error.is::<http_body_util::LengthLimitError>() => Err(too_large()),
            Err(_) => Err(GatewayError::BodyBroken),
        }
    }
}

impl SignedError {
    fn message(error: MessageSignatureError) -> Self {
        let why = match error {
            MessageSignatureError::Digest | MessageSignatureError::Body => {
                SignedRefusal::PayloadInvalid
            }
            _ => SignedRefusal::SignatureInvalid,
        };
        Self { detail: Some(error), ..why.into() }
    }
}
