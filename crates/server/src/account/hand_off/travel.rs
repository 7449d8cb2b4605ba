//! What a browser keeps while its user is away: sealed, in a cookie of its own, so that an answer
//! is worth nothing in any other browser (attacks S1, S9) and nothing is stored for people who
//! never come back. One at a time: whoever leaves a second time forgets the first.

use domain::id::SessionId;
use domain::seal::Purpose;
use domain::sign_in::{HAND_OFF_LIFETIME, SignInProvider};
use domain::time::Timestamp;
use http::HeaderMap;
use http::header::HeaderValue;
use serde::{Deserialize, Serialize};

use super::random_text;
use crate::actor::SignedInUser;
use crate::cookie;
use crate::error::PageError;
use crate::oauth::pending::{self, AskingApp};
use crate::provider::Provider;

/// No `Debug`: whoever has the verifier and the nonce could finish somebody else's sign-in.
#[derive(Clone, Serialize, Deserialize)]
pub(in crate::account) struct Travel {
    /// The name of the one who signs the user in.
    pub(super) to: String,
    /// `state`, or the `jti` of the signed request.
    pub(super) id: String,
    pub(super) nonce: String,
    /// Of PKCE.
    pub(super) verifier: String,
    /// A path of ours.
    pub(super) continue_to: String,
    pub(super) left_at: Timestamp,
    pub(super) demand: Demand,
    /// Only for the way there.
    #[serde(skip)]
    pub(super) login_hint: Option<String>,
}

/// What the sign-in must be like.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Demand {
    /// The user proves who they are after this.
    pub(super) after: Option<Timestamp>,
    /// Or did so at most this many seconds ago.
    pub(super) max_age: Option<u32>,
    /// The user of this session, which stays, gives a second factor.
    pub(super) second_factor: Option<SessionId>,
}

impl Demand {
    /// What the app asks for whose request the user comes with (OpenID Connect Core §3.1.2.1).
    fn of(asking: Option<&AskingApp>) -> Self {
        let after = asking.filter(|app| app.wants_login).map(|app| app.started_at);
        Self { after, max_age: asking.and_then(|app| app.max_age), second_factor: None }
    }

    /// Since when the user must have proven who they are.
    pub(super) fn since(self, now: Timestamp) -> Option<Timestamp> {
        let seconds = |seconds| std::time::Duration::from_secs(u64::from(seconds));
        self.after.or_else(|| Some(now.before(seconds(self.max_age?))))
    }

    /// In the words of a request.
    pub(super) fn max_age(self) -> Option<u32> {
        if self.after.is_some() { Some(0) } else { self.max_age }
    }
}

impl Travel {
    /// `again`: whoever is signed in has to prove it once more.
    pub(in crate::account) fn to_sign_in(
        provider: &Provider,
        upstream: &SignInProvider,
        continue_to: &str,
        again: bool,
    ) -> Self {
        let asking = pending::describe(provider, continue_to);
        let mut demand = Demand::of(asking.as_ref());
        if again && demand.since(provider.now()).is_none() {
            demand.after = Some(provider.now());
        }
        let hint = asking.and_then(|app| app.login_hint);
        Self::new(provider, upstream, continue_to, (demand, hint))
    }

    pub(super) fn to_second_factor(
        provider: &Provider,
        upstream: &SignInProvider,
        continue_to: &str,
        user: &SignedInUser,
    ) -> Self {
        let demand = Demand {
            after: Some(provider.now()),
            max_age: None,
            second_factor: Some(user.session.id),
        };
        Self::new(provider, upstream, continue_to, (demand, Some(user.user.email.clone())))
    }

    fn new(
        provider: &Provider,
        upstream: &SignInProvider,
        continue_to: &str,
        (demand, login_hint): (Demand, Option<String>),
    ) -> Self {
        Self {
            to: upstream.name.clone(),
            id: random_text(provider),
            nonce: random_text(provider),
            verifier: random_text(provider),
            continue_to: continue_to.to_owned(),
            left_at: provider.now(),
            demand,
            login_hint,
        }
    }

    pub(super) fn cookie(&self, provider: &Provider) -> Result<HeaderValue, PageError> {
        let failed = |what: &str| PageError::Internal(what.to_owned());
        let bytes = serde_json::to_vec(self).map_err(|error| failed(&error.to_string()))?;
        if bytes.len() > Purpose::HandOff.content_bytes_max() {
            return Err(PageError::BadRequest("The app sent a request that is too long.".into()));
        }
        let sealed = provider.keyring().seal_bytes(Purpose::HandOff, &bytes, &*provider.entropy);
        let sealed = sealed.ok_or_else(|| failed("a hand-off could not be sealed"))?;
        let names = &provider.cookies;
        names
            .set_for(&names.hand_off, &sealed, HAND_OFF_LIFETIME)
            .ok_or_else(|| failed("a hand-off is no cookie"))
    }

    /// `None`: this browser did not leave from here, or too long ago.
    pub(super) fn of(provider: &Provider, headers: &HeaderMap) -> Option<Self> {
        let sealed = cookie::read(headers, &provider.cookies.hand_off)?;
        let bytes = provider.keyring().open_bytes(Purpose::HandOff, sealed).ok()?;
        let travel: Self = serde_json::from_slice(&bytes).ok()?;
        (provider.now() < travel.ends_at()).then_some(travel)
    }

    /// Until then its answer could be presented.
    pub(super) fn ends_at(&self) -> Timestamp {
        self.left_at.after(HAND_OFF_LIFETIME)
    }
}
