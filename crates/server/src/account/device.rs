//! Devices that have signed in to an account before, as OWASP's "device cookies" describe: what
//! strangers try on an account does not keep its owner's own browser out. The cookie holds a random
//! name and, for each account, a proof that this name signed in to it. Nothing is stored.

use std::time::Duration;

use aws_lc_rs::constant_time;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use domain::entropy::{Entropy, random_bytes};
use domain::keyring::Keyring;
use domain::time::Timestamp;
use domain::user::normalize_email;
use http::HeaderMap;
use http::header::HeaderValue;

use crate::cookie;
use crate::provider::Provider;

/// How long a device is remembered after its last sign-in.
pub(super) const REMEMBERED_FOR: Duration = Duration::from_secs(365 * 24 * 3600);
/// Accounts of one device, newest first; the oldest is forgotten.
const ACCOUNTS_MAX: usize = 8;
/// 16 bytes in base64url.
const NAME_LENGTH: usize = 22;

/// The cookie of this browser once it has signed in to the account of `email`.
pub(super) fn remembered(
    provider: &Provider,
    headers: &HeaderMap,
    email: &str,
) -> Option<HeaderValue> {
    let names = &provider.cookies;
    let claimed = cookie::read(headers, &names.device).and_then(Device::parse);
    let device = claimed.unwrap_or_else(|| Device::random(&*provider.entropy));
    let email = normalize_email(email);
    let device = device.remember(&provider.keyring(), &email, provider.now());
    names.set_for(&names.device, &device.to_cookie(), REMEMBERED_FOR)
}

/// What the cookie of a browser says. Anyone can write one; only [`Device::knows`] tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Device {
    name: String,
    /// Seconds since 1970 at which it ends, and the proof.
    accounts: Vec<(i64, String)>,
}

impl Device {
    pub(super) fn random(entropy: &dyn Entropy) -> Self {
        let name = URL_SAFE_NO_PAD.encode(random_bytes::<16>(entropy));
        Self { name, accounts: Vec::new() }
    }

    /// `None`: not a cookie of ours.
    pub(super) fn parse(cookie: &str) -> Option<Self> {
        let mut parts = cookie.split('.');
        let name = parts
            .next()
            .filter(|name| name.len() == NAME_LENGTH && URL_SAFE_NO_PAD.decode(name).is_ok())?;
        let account = |part: &str| {
            let (until, proof) = part.split_once('-')?;
            Some((until.parse().ok()?, proof.to_owned()))
        };
        let accounts: Vec<_> = parts.map(account).collect::<Option<_>>()?;
        (accounts.len() <= ACCOUNTS_MAX).then(|| Self { name: name.to_owned(), accounts })
    }

    pub(super) fn to_cookie(&self) -> String {
        let accounts = self.accounts.iter().map(|(until, proof)| format!(".{until}-{proof}"));
        std::iter::once(self.name.clone()).chain(accounts).collect()
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Has it signed in to the account of this (normalized) e-mail address before?
    pub(super) fn knows(&self, keyring: &Keyring, email: &str, now: Timestamp) -> bool {
        self.accounts.iter().any(|(until, proof)| {
            now.as_seconds() < *until && self.is_proof(keyring, email, *until, proof)
        })
    }

    /// The device after it has signed in to the account.
    #[must_use]
    pub(super) fn remember(mut self, keyring: &Keyring, email: &str, now: Timestamp) -> Self {
        let mut accounts = std::mem::take(&mut self.accounts);
        accounts.retain(|(until, proof)| {
            now.as_seconds() < *until && !self.is_proof(keyring, email, *until, proof)
        });
        let until = now.after(REMEMBERED_FOR).as_seconds();
        accounts.insert(0, (until, self.proof(keyring, email, until)));
        accounts.truncate(ACCOUNTS_MAX);
        Self { accounts, ..self }
    }

    fn is_proof(&self, keyring: &Keyring, email: &str, until: i64, proof: &str) -> bool {
        let expected = self.proof(keyring, email, until);
        constant_time::verify_slices_are_equal(expected.as_bytes(), proof.as_bytes()).is_ok()
    }

    /// The e-mail address is last: what stands before it has a fixed form.
    fn proof(&self, keyring: &Keyring, email: &str, until: i64) -> String {
        let input = format!("{} {until} {email}", self.name);
        let bytes = keyring.derive_id("device", input.as_bytes());
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}
