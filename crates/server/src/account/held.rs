//! What the server knows between two steps of proving who somebody is. It travels sealed in a form,
//! is bound to the browser that got it, and ends after a few minutes. Who has it has nothing yet:
//! it opens no page (attacks S1, S2).

use std::time::Duration;

use domain::authentication::Methods;
use domain::id::{AttemptId, UserId};
use domain::keyring::Keyring;
use domain::password::PasswordHash;
use domain::seal::Purpose;
use domain::time::Timestamp;
use serde::{Deserialize, Serialize};

use crate::error::PageError;
use crate::provider::Provider;

/// Long enough to fetch a phone.
pub(super) const HELD_FOR: Duration = Duration::from_secs(10 * 60);

/// The kind is part of the sealed text, so that none is taken for another.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Held {
    HalfWay(HalfWay),
    Challenge(Challenge),
    NewTotp(NewTotp),
}

/// The password was right (or another system vouches), and the second factor is still missing.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct HalfWay {
    /// It becomes one session at most.
    pub(super) id: AttemptId,
    pub(super) user: UserId,
    /// Normalized.
    pub(super) email: String,
    /// Which password it was: another one ends this.
    password: String,
    browser: String,
    /// What was found right so far.
    pub(super) methods: Methods,
    /// Another system vouches; `None`: it was the password.
    pub(super) elsewhere: Option<Elsewhere>,
    pub(super) at: Timestamp,
}

/// Another system says who the user is.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Elsewhere {
    /// Its name in the config.
    pub(super) provider: String,
    pub(super) issuer: String,
    pub(super) subject: String,
    /// When they proved it there.
    pub(super) auth_time: Timestamp,
    /// This is the first time; they become one user with the account when they are in.
    pub(super) is_new: bool,
}

/// A question for a passkey.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Challenge {
    /// As browsers repeat it.
    pub(super) challenge: String,
    pub(super) browser: String,
    /// `None`: whoever has a passkey.
    pub(super) user: Option<UserId>,
    pub(super) at: Timestamp,
}

/// The secret of an authenticator app that has not been confirmed with a code.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct NewTotp {
    /// As the database will keep it.
    pub(super) secret: String,
    pub(super) browser: String,
    pub(super) at: Timestamp,
}

impl HalfWay {
    pub(super) fn new(
        provider: &Provider,
        user: &domain::user::User,
        email: &str,
        browser: &str,
        methods: Methods,
    ) -> Self {
        Self {
            id: AttemptId::random(&*provider.entropy),
            user: user.id,
            email: email.to_owned(),
            password: password_tag(&provider.keyring(), user.password.as_ref()),
            browser: browser.to_owned(),
            methods,
            elsewhere: None,
            at: provider.now(),
        }
    }

    #[must_use]
    pub(super) fn vouched_for(self, elsewhere: Elsewhere) -> Self {
        Self { elsewhere: Some(elsewhere), ..self }
    }

    pub(super) fn seal(&self, provider: &Provider) -> Result<String, PageError> {
        seal(provider, &Held::HalfWay(self.clone()))
    }

    pub(super) fn open(provider: &Provider, text: &str, browser: &str) -> Result<Self, PageError> {
        match open(provider, text)? {
            Held::HalfWay(held) => {
                check(provider, (&held.browser, held.at), browser).map(|()| held)
            }
            _ => Err(PageError::StaleForm),
        }
    }

    pub(super) fn is_of_password(&self, keyring: &Keyring, now: Option<&PasswordHash>) -> bool {
        self.password == password_tag(keyring, now)
    }
}

impl Challenge {
    pub(super) fn seal(&self, provider: &Provider) -> Result<String, PageError> {
        seal(provider, &Held::Challenge(self.clone()))
    }

    pub(super) fn open(provider: &Provider, text: &str, browser: &str) -> Result<Self, PageError> {
        match open(provider, text)? {
            Held::Challenge(held) => {
                check(provider, (&held.browser, held.at), browser).map(|()| held)
            }
            _ => Err(PageError::StaleForm),
        }
    }
}

impl NewTotp {
    pub(super) fn seal(&self, provider: &Provider) -> Result<String, PageError> {
        seal(provider, &Held::NewTotp(self.clone()))
    }

    pub(super) fn open(provider: &Provider, text: &str, browser: &str) -> Result<Self, PageError> {
        match open(provider, text)? {
            Held::NewTotp(held) => {
                check(provider, (&held.browser, held.at), browser).map(|()| held)
            }
            _ => Err(PageError::StaleForm),
        }
    }
}

fn seal(provider: &Provider, held: &Held) -> Result<String, PageError> {
    let failed = || PageError::Internal("a step of a sign-in could not be sealed".to_owned());
    let bytes = serde_json::to_vec(held).map_err(|_| failed())?;
    let keyring = provider.keyring();
    keyring.seal_bytes(Purpose::Proof, &bytes, &*provider.entropy).ok_or_else(failed)
}

fn open(provider: &Provider, text: &str) -> Result<Held, PageError> {
    let opened = provider.keyring().open_bytes(Purpose::Proof, text);
    let bytes = opened.map_err(|_| PageError::StaleForm)?;
    serde_json::from_slice(&bytes).map_err(|_| PageError::StaleForm)
}

fn check(
    provider: &Provider,
    (bound_to, at): (&str, Timestamp),
    browser: &str,
) -> Result<(), PageError> {
    let is_in_time = provider.now() < at.after(HELD_FOR);
    if bound_to == browser && is_in_time { Ok(()) } else { Err(PageError::StaleForm) }
}

/// Tells one stored password from the next, and nothing about either.
fn password_tag(keyring: &Keyring, password: Option<&PasswordHash>) -> String {
    let phc = password.map(PasswordHash::as_phc).unwrap_or_default();
    let bytes = keyring.derive_id("half-way", phc.as_bytes());
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
